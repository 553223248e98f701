/* Floats by packed codes, for a vector of LANES floats: written once, and included by every path.
 *
 * Lanes are output features, so that no sum crosses a lane. All paths sum in one order, with fused multiply-adds, and
 * return the same bits: a group is cut into blocks of FLOAT_BLOCK input features, and every fourth chunk of a block
 * belongs to one strand; a strand is summed from its first input feature to its last, and added to the total. Short
 * strands keep roundings small, and several at once keep a processor busy that waits for every sum.
 *
 * The path says LANES, the vectors of SUMS that it has registers for, and FUSE(sum, a, b), which adds `a * b` to `sum`
 * and rounds once; it may say TERNARY(codes), a faster way to the values of the lowest two bits of each lane. */
#ifndef BITLINEAR_WEIGH_H
#define BITLINEAR_WEIGH_H

#include "portable.h"

#define PARTS (TILE / LANES)
#define FLOAT_TOKENS (SUMS / PARTS < 4 ? SUMS / PARTS : 4)
enum { STRANDS = 4, MANTISSA = 23 };
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

/* Adds the products of some values and the float at `x`. */
ALWAYS void fuse(floats sums[PARTS], const floats values[PARTS], const char *x) {
    uint32_t bits;
    memcpy(&bits, x, sizeof bits);
    const floats all = (floats)((words){0} + bits);
#pragma GCC unroll 4
    for (int p = 0; p < PARTS; p++) FUSE(sums[p], values[p], all);
}

ALWAYS void add_to(float *sum, floats strand) {
    floats all;
    memcpy(&all, sum, sizeof all);
    all += strand;
    memcpy(sum, &all, sizeof all);
}

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
            for (int m = 0; m < tokens; m++) fuse(sums[m], values, x + m * stride);
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
            for (int p = 0; p < PARTS; p++) add_to(sums[m] + LANES * p, strand[s][m][p]);
}

ALWAYS void weigh_blocks(const uint8_t *packed, const float *x, int64_t stride, const int tokens, int64_t chunks,
                         const int together, float sums[][TILE], const int bits) {
    const int64_t most = FLOAT_BLOCK / (4 * (8 / bits));
    for (; chunks > 0; chunks -= most, packed += CHUNK * most, x += FLOAT_BLOCK)
        for (int first = 0; first < STRANDS; first += together)
            weigh_strands(packed, (const char *)x, stride, tokens, chunks < most ? chunks : most, first, together,
                          sums, bits);
}

/* What the codes of a block stand for, `(features, TILE)`. */
ALWAYS void decode(const uint8_t *packed, int64_t chunks, float *values, const int bits) {
    for (int64_t c = 0; c < chunks; c++) {
        words codes[PARTS];
#pragma GCC unroll 4
        for (int p = 0; p < PARTS; p++) memcpy(&codes[p], packed + CHUNK * c + 4 * LANES * p, sizeof codes[p]);
#pragma GCC unroll 8
        for (int plane = 0; plane < 8 / bits; plane++)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++, values += TILE)
#pragma GCC unroll 4
                for (int p = 0; p < PARTS; p++) {
                    floats value = value_of(codes[p], 8 * i + plane * bits, bits);
                    memcpy(values + LANES * p, &value, sizeof value);
                }
    }
}

/* A decoded block and some tokens, in the order of `weigh_strands`. */
ALWAYS void weigh_values(const float *values, const float *x, int64_t stride, const int tokens, int64_t chunks,
                         int64_t features, float sums[][TILE]) {
    for (int first = 0; first < STRANDS; first++) {
        floats strand[FLOAT_TOKENS][PARTS];
        for (int m = 0; m < tokens; m++)
            for (int p = 0; p < PARTS; p++) strand[m][p] = (floats){0};
        for (int64_t c = first; c < chunks; c += STRANDS) {
            const char *from = (const char *)(x + features * c), *last = from + sizeof(float) * (size_t)features;
            const float *row = values + TILE * features * c;
            for (; from < last; from += 4 * sizeof(float), row += 4 * TILE)
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++) {
                    floats value[PARTS];
#pragma GCC unroll 4
                    for (int p = 0; p < PARTS; p++) memcpy(&value[p], row + TILE * i + LANES * p, sizeof value[p]);
#pragma GCC unroll 8
                    for (int m = 0; m < tokens; m++) fuse(strand[m], value, from + m * stride + 4 * i);
                }
        }
        for (int m = 0; m < tokens; m++)
            for (int p = 0; p < PARTS; p++) add_to(sums[m] + LANES * p, strand[m][p]);
    }
}

/* The numbers of tokens and bits are constants to the compiler, with as many strands as there are registers for. */
#define TOGETHER(tokens) (4 * (tokens) * PARTS <= SUMS ? 4 : 2 * (tokens) * PARTS <= SUMS ? 2 : 1)
#define WEIGH_CASE(count, bits)                                                                                       \
    case count:                                                                                                       \
        if (count <= FLOAT_TOKENS) weigh_blocks(packed, x, stride, count, chunks, TOGETHER(count), sums, bits);       \
        break;
#define WEIGH(bits)                                                                                                   \
    static void decode_##bits(const uint8_t *packed, int64_t chunks, float *values) {                                 \
        decode(packed, chunks, values, bits);                                                                         \
    }                                                                                                                 \
    static void weigh_##bits(const uint8_t *packed, const float *x, int64_t stride, int tokens, int64_t chunks,       \
                             float sums[][TILE]) {                                                                    \
        switch (tokens) {                                                                                             \
            WEIGH_CASE(1, bits) WEIGH_CASE(2, bits)                                                                   \
            WEIGH_CASE(3, bits) WEIGH_CASE(4, bits)                                                                   \
        }                                                                                                             \
    }

#define VALUES_CASE(count)                                                                         \
    case count:                                                                                    \
        if (count <= FLOAT_TOKENS) weigh_values(values, x, stride, count, chunks, features, sums); \
        break;

static void weigh_decoded(const float *values, const float *x, int64_t stride, int tokens, int64_t chunks,
                          int64_t features, float sums[][TILE]) {
    switch (tokens) {
        VALUES_CASE(1) VALUES_CASE(2) VALUES_CASE(3) VALUES_CASE(4)
    }
}

WEIGH(1)
WEIGH(2)
WEIGH(4)
WEIGH(8)

#define FLOAT_KERNELS                                                                                  \
    .weigh = {weigh_1, weigh_2, weigh_4, weigh_8}, .decode = {decode_1, decode_2, decode_4, decode_8}, \
    .weigh_decoded = weigh_decoded, .float_tokens = FLOAT_TOKENS, .widen = widen, .scale = scale

#endif
