/* Floats by packed codes, for a vector of LANES floats: written once, and included by every path.
 *
 * Lanes are output features, so that no sum crosses a lane. All paths sum in one order, with fused multiply-adds, and
 * return the same bits: a group is cut into blocks of BLOCK_CHUNKS chunks, and every fourth chunk of a block belongs to
 * one strand; a strand is summed from its first input feature to its last, and added to the total. Short strands keep
 * roundings small, and several at once keep a processor busy that waits for every sum.
 *
 * The path says LANES, the vectors of SUMS that it has registers for, and FUSE(sum, a, b), which adds `a * b` to `sum`
 * and rounds once; it may say TERNARY(codes), a faster way to the values of the lowest two bits of each lane. */
#ifndef BITLINEAR_WEIGH_H
#define BITLINEAR_WEIGH_H

#include "portable.h"

#define PARTS (TILE / LANES)
#define FLOAT_TOKENS (SUMS / PARTS < 4 ? SUMS / PARTS : 4)
enum { STRANDS = 4, BLOCK_FEATURES = 256, MANTISSA = 23 };
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
#ifndef FLOATS_AHEAD
#define FLOATS_AHEAD 4096 /* bytes that one token's weights are fetched ahead */
#endif

/* What a stored code of `bits` bits in the bits from `at` on stands for. They become the end of the mantissa of a float
 * in which the lowest of them counts one; what else is in it is subtracted, exactly. */
ALWAYS floats value_of(words packed, int at, const int bits) {
    if (bits == 1) return (floats)(((packed << (31 - at)) & 0x80000000u) ^ 0xbf800000u); /* -1 or 1 */
    if (at + bits > MANTISSA) {
        packed >>= 16;
        at -= 16;
    }
#ifdef TERNARY
    if (bits == 2) return TERNARY(packed >> at);
#endif
    const uint32_t mask = ((1u << bits) - 1) << at, exponent = (uint32_t)(127 + MANTISSA - at) << MANTISSA;
    const float offset = bits == 2 ? 1 : (float)(1 << (bits - 1));
    return (floats)((packed & mask) | exponent) - ((float)(1 << (MANTISSA - at)) + offset);
}

ALWAYS floats spread(float x) { return (floats)((words){0} + bits_of(x)); }

/* One chunk and some tokens. */
ALWAYS void weigh_chunk(const uint8_t *chunk, const char *x, int64_t stride, const int tokens, floats sums[][PARTS],
                        const int bits) {
    words packed[PARTS];
#pragma GCC unroll 4
    for (int p = 0; p < PARTS; p++) memcpy(&packed[p], chunk + 4 * LANES * p, sizeof packed[p]);
#pragma GCC unroll 8
    for (int plane = 0; plane < 8 / bits; plane++)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++, x += sizeof(float)) {
            floats values[PARTS];
#pragma GCC unroll 4
            for (int p = 0; p < PARTS; p++) values[p] = value_of(packed[p], 8 * i + plane * bits, bits);
#pragma GCC unroll 8
            for (int m = 0; m < tokens; m++) {
                float one;
                memcpy(&one, x + m * stride, sizeof one);
#pragma GCC unroll 4
                for (int p = 0; p < PARTS; p++) FUSE(sums[m][p], values[p], spread(one));
            }
        }
}

/* `together` strands of a block, of which `first` is the first. */
ALWAYS void weigh_strands(const uint8_t *packed, const char *x, int64_t stride, const int tokens, int64_t chunks,
                          int64_t first, const int together, float sums[][TILE], const int bits) {
    const int64_t features = 4 * (8 / bits);
    floats strand[STRANDS][FLOAT_TOKENS][PARTS];
    for (int s = 0; s < together; s++)
        for (int m = 0; m < tokens; m++)
            for (int p = 0; p < PARTS; p++) strand[s][m][p] = (floats){0};
    for (int64_t c = first; c < chunks; c += STRANDS)
#pragma GCC unroll 4
        for (int s = 0; s < together; s++) {
            if (c + s >= chunks) break;
            const uint8_t *chunk = packed + CHUNK * (c + s);
            if (tokens == 1) __builtin_prefetch(chunk + FLOATS_AHEAD);
            weigh_chunk(chunk, x + (int64_t)sizeof(float) * features * (c + s), stride, tokens, strand[s], bits);
        }
    for (int s = 0; s < together; s++)
        for (int m = 0; m < tokens; m++)
            for (int p = 0; p < PARTS; p++) {
                floats sum;
                memcpy(&sum, sums[m] + LANES * p, sizeof sum);
                sum += strand[s][m][p];
                memcpy(sums[m] + LANES * p, &sum, sizeof sum);
            }
}

ALWAYS void weigh_blocks(const uint8_t *packed, const float *x, int64_t stride, const int tokens, int64_t chunks,
                         const int together, float sums[][TILE], const int bits) {
    const int64_t features = 4 * (8 / bits), most = BLOCK_FEATURES / features;
    for (; chunks > 0; chunks -= most, packed += CHUNK * most, x += BLOCK_FEATURES)
        for (int first = 0; first < STRANDS; first += together)
            weigh_strands(packed, (const char *)x, stride, tokens, chunks < most ? chunks : most, first, together,
                          sums, bits);
}

/* The numbers of tokens and bits are constants to the compiler, with as many strands as there are registers for. */
#define TOGETHER(tokens) (4 * (tokens) * PARTS <= SUMS ? 4 : 2 * (tokens) * PARTS <= SUMS ? 2 : 1)
#define WEIGH_CASE(count, bits)                                                                        \
    case count:                                                                                        \
        if (count <= FLOAT_TOKENS) weigh_blocks(packed, x, stride, count, chunks, TOGETHER(count), sums, bits); \
        break;
#define WEIGH(bits)                                                                                               \
    static void weigh_##bits(const uint8_t *packed, const float *x, int64_t stride, int tokens, int64_t chunks,   \
                             float sums[][TILE]) {                                                                \
        switch (tokens) {                                                                                         \
            WEIGH_CASE(1, bits) WEIGH_CASE(2, bits)                                                               \
            WEIGH_CASE(3, bits) WEIGH_CASE(4, bits)                                                               \
        }                                                                                                         \
    }

WEIGH(1)
WEIGH(2)
WEIGH(4)
WEIGH(8)

#define FLOAT_KERNELS \
    .weigh = {weigh_1, weigh_2, weigh_4, weigh_8}, .float_tokens = FLOAT_TOKENS, .widen = widen, .scale = scale

#endif
