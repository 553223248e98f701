/* AVX-512 with VNNI: `vpdpbusd` multiplies 64 unsigned by 64 signed bytes and adds four products to each 32-bit lane.
 *
 * With few tokens the codes of a plane are masked but not shifted: those of plane p count 2^(p b) times, in sums of
 * their own, which are shifted at the end. That saves most of the instructions that unpacking takes. */
#include <immintrin.h>

#define LANES 16
#define SUMS 16
#define FUSE(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))
#include "weigh.h"

enum { TOKENS = 8 }; /* at a time: with two tiles, as many sums as there are registers for */
#ifndef PACKED_TOKENS
#define PACKED_TOKENS (3 * TOKENS) /* up to which every pass unpacks in registers, and none to memory */
#endif
#ifndef AHEAD
#define AHEAD 4096 /* bytes that one token's weights are fetched ahead: a processor's own fetching ends with a page */
#endif
#ifndef TILES_AHEAD
#define TILES_AHEAD 1 /* as often as some tokens take tiles at a time */
#endif

ALWAYS __m512i broadcast(const int8_t *four) {
    int32_t word;
    memcpy(&word, four, sizeof word);
    return _mm512_set1_epi32(word);
}

/* `lanes + products of weights and four`. GCC 12 surrounds the intrinsic with copies of registers. */
ALWAYS __m512i add_products(__m512i lanes, __m512i weights, __m512i four) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(lanes) : "v"(weights), "v"(four));
    return lanes;
}

ALWAYS void dot_chunk(const uint8_t *weights, const int8_t *codes, __m512i lanes[8], const int bits) {
    __m512i chunk = _mm512_loadu_si512(weights);
    _mm_prefetch(weights + AHEAD, _MM_HINT_T0);
    for (int p = 0; p < 8 / bits; p++) {
        __m512i mask = _mm512_set1_epi8((char)(((1 << bits) - 1) << (p * bits)));
        lanes[p] = add_products(lanes[p], bits == 8 ? chunk : _mm512_and_si512(chunk, mask), broadcast(codes + 4 * p));
    }
}

/* Eight sums in turns, whatever the bits: every instruction waits four cycles for the one before it. */
ALWAYS void dot(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE], const int bits) {
    const int planes = 8 / bits;
    __m512i lanes[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) lanes[i] = _mm512_setzero_si512();
    int64_t c = 0;
    for (; c + bits <= chunks; c += bits)
        for (int i = 0; i < bits; i++)
            dot_chunk(weights + CHUNK * (c + i), codes + 4 * planes * (c + i), lanes + planes * i, bits);
    for (; c < chunks; c++) dot_chunk(weights + CHUNK * c, codes + 4 * planes * c, lanes, bits);
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < 8; i++) sum = _mm512_add_epi32(sum, _mm512_srai_epi32(lanes[i], (unsigned)(i % planes * bits)));
    _mm512_storeu_si512(sums, sum);
}

ALWAYS void unpack(const uint8_t *packed, int64_t chunks, uint8_t *bytes, const int bits) {
    const __m512i mask = _mm512_set1_epi8((char)((1 << bits) - 1));
    for (int64_t c = 0; c < chunks; c++) {
        __m512i chunk = _mm512_loadu_si512(packed + CHUNK * c);
        for (int p = 0; p < 8 / bits; p++, bytes += CHUNK)
            _mm512_storeu_si512(bytes, _mm512_and_si512(_mm512_srli_epi16(chunk, (unsigned)(p * bits)), mask));
    }
}

FOR_BITS(1)
FOR_BITS(2)
FOR_BITS(4)
FOR_BITS(8)

/* Some tokens with one or two packed tiles. A chunk is unpacked into registers, once for all tokens. Of `sets` planes
 * in a row only the first is shifted to the lowest bits; each of the others is masked where it lies, and has sums of
 * its own. The next tiles are fetched meanwhile: a processor does not fetch two rows of chunks ahead by itself. */
ALWAYS void packed_block(const uint8_t *packed, int64_t tile_bytes, const int tiles, const int8_t *codes,
                         int64_t stride, const int tokens, int64_t chunks, int32_t sums[][2][TILE], uint8_t *unpacked,
                         const int bits, const int sets) {
    const int planes = 8 / bits;
    __m512i lanes[4][TOKENS][2];
    for (int s = 0; s < sets; s++)
        for (int m = 0; m < tokens; m++)
            for (int t = 0; t < tiles; t++) lanes[s][m][t] = _mm512_setzero_si512();
    for (int64_t c = 0; c < chunks; c++, packed += CHUNK) {
        __m512i chunk[2];
        for (int t = 0; t < tiles; t++) {
            chunk[t] = _mm512_loadu_si512(packed + t * tile_bytes);
            _mm_prefetch(packed + (t + TILES_AHEAD * tiles) * tile_bytes, _MM_HINT_T0);
        }
#pragma GCC unroll 8
        for (int p = 0; p < planes; p++, codes += 4) {
            const int s = p % sets, shift = (p - s) * bits;
            const __m512i mask = _mm512_set1_epi8((char)(((1 << bits) - 1) << (s * bits)));
            __m512i weights[2];
            for (int t = 0; t < tiles; t++) {
                weights[t] = _mm512_and_si512(shift ? _mm512_srli_epi16(chunk[t], (unsigned)shift) : chunk[t], mask);
                if (unpacked) _mm512_storeu_si512(unpacked + t * planes * tile_bytes, weights[t]);
            }
            if (unpacked) unpacked += CHUNK;
            for (int m = 0; m < tokens; m++) {
                __m512i four = broadcast(codes + m * stride);
                for (int t = 0; t < tiles; t++) lanes[s][m][t] = add_products(lanes[s][m][t], weights[t], four);
            }
        }
    }
    for (int m = 0; m < tokens; m++)
        for (int t = 0; t < tiles; t++) {
            __m512i sum = lanes[0][m][t];
            for (int s = 1; s < sets; s++)
                sum = _mm512_add_epi32(sum, _mm512_srai_epi32(lanes[s][m][t], (unsigned)(s * bits)));
            _mm512_storeu_si512(sums[m][t], sum);
        }
}

/* The numbers of tokens, tiles and bits are constants to the compiler, with as many sets as there are registers for. */
#define PACKED(bits, tokens, unpacked, most)                                                                       \
    do {                                                                                                           \
        const int sets = (most) < 8 / (bits) ? (most) : 8 / (bits);                                                \
        if (tiles == 2)                                                                                            \
            packed_block(packed, tile_bytes, 2, codes, stride, tokens, chunks, sums, unpacked, bits, sets);        \
        else                                                                                                       \
            packed_block(packed, tile_bytes, 1, codes, stride, tokens, chunks, sums, unpacked, bits, sets);        \
    } while (0)
#define PACKED_CASE(bits, count, most)    \
    case count:                           \
        PACKED(bits, count, 0, most);     \
        break;
#define PACKED_FOR_BITS(bits)                                                                                      \
    static void multiply_packed_##bits(const uint8_t *packed, int64_t tile_bytes, int tiles, const int8_t *codes,  \
                                       int64_t stride, int tokens, int64_t chunks, int32_t sums[][2][TILE]) {      \
        switch (tokens) {                                                                                          \
            PACKED_CASE(bits, 1, 4)                                                                                \
            PACKED_CASE(bits, 2, 4)                                                                                \
            PACKED_CASE(bits, 3, 4)                                                                                \
            PACKED_CASE(bits, 4, 2)                                                                                \
            PACKED_CASE(bits, 5, 2)                                                                                \
            PACKED_CASE(bits, 6, 2)                                                                                \
            PACKED_CASE(bits, 7, 1)                                                                                \
            PACKED_CASE(bits, 8, 1)                                                                                \
        }                                                                                                          \
    }                                                                                                              \
    static void multiply_unpacking_##bits(const uint8_t *packed, int64_t tile_bytes, int tiles,                    \
                                          const int8_t *codes, int64_t stride, int64_t chunks,                     \
                                          int32_t sums[][2][TILE], uint8_t *unpacked) {                            \
        PACKED(bits, TOKENS, unpacked, 1);                                                                         \
    }
PACKED_FOR_BITS(1)
PACKED_FOR_BITS(2)
PACKED_FOR_BITS(4)

ALWAYS void block(const uint8_t *bytes, int64_t tile_bytes, const int tiles, const int8_t *codes, int64_t stride,
                  const int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    __m512i lanes[TOKENS][2];
    for (int m = 0; m < tokens; m++)
        for (int t = 0; t < tiles; t++) lanes[m][t] = _mm512_setzero_si512();
    for (int64_t k = 0; k < fours; k++) {
        __m512i weights[2];
        for (int t = 0; t < tiles; t++) weights[t] = _mm512_loadu_si512(bytes + t * tile_bytes + CHUNK * k);
        for (int m = 0; m < tokens; m++) {
            __m512i four = broadcast(codes + m * stride + 4 * k);
            for (int t = 0; t < tiles; t++) lanes[m][t] = add_products(lanes[m][t], weights[t], four);
        }
    }
    for (int m = 0; m < tokens; m++)
        for (int t = 0; t < tiles; t++) _mm512_storeu_si512(sums[m][t], lanes[m][t]);
}

static void multiply(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                     int tokens, int64_t fours, int32_t sums[][2][TILE]) {
#define BLOCK(count)                                                                \
    case count:                                                                     \
        if (tiles == 2)                                                             \
            block(bytes, tile_bytes, 2, codes, stride, count, fours, sums);         \
        else                                                                        \
            block(bytes, tile_bytes, 1, codes, stride, count, fours, sums);         \
        break;
    switch (tokens) {
        BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4) BLOCK(5) BLOCK(6) BLOCK(7) BLOCK(8)
    }
}

#define FOR_ALL_TOKENS                                                                                  \
    .byte_offset = 128, .dot = {dot_1, dot_2, dot_4, dot_8},                                            \
    .multiply_packed = {multiply_packed_1, multiply_packed_2, multiply_packed_4},                       \
    FLOAT_KERNELS, .quantise = quantise, .rescale = rescale, .store = store

const path avx512_path = {
    .name = "avx512",
    .multiply = {multiply, multiply},
    .multiply_unpacking = {multiply_unpacking_1, multiply_unpacking_2, multiply_unpacking_4},
    .tokens = TOKENS,
    .block = 1,
    .packed_tokens = PACKED_TOKENS,
    FOR_ALL_TOKENS,
};

#if HAVE_AMX
extern multiply_function amx_multiply;
extern enter_function amx_enter;
extern leave_function amx_leave;

const path amx_path = {
    .name = "amx",
    .multiply = {amx_multiply, amx_multiply},
    .unpack = {unpack_1, unpack_2, unpack_4, unpack_8},
    .tokens = 32,
    .block = 16,
    .packed_tokens = TOKENS,
    .spare = 15,
    .enter = amx_enter,
    .leave = amx_leave,
    FOR_ALL_TOKENS,
};
#endif
