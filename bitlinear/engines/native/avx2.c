/* AVX2: `vpmaddubsw` multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating. Codes below 16 are
 * summed in 16 bits as long as they are sure to fit; whole bytes are made a magnitude and a sign, whose pairs fit. */
#include <immintrin.h>

#define LANES 8
#define SUMS 8
/* GCC 12 surrounds the intrinsic with copies of registers. */
#define FUSE(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b))
#define TERNARY(codes) (floats) _mm256_permutevar_ps(_mm256_setr_ps(-1, 0, 1, 2, -1, 0, 1, 2), (__m256i)(codes))
#include "weigh.h"

enum { HALVES = 2, HALF = CHUNK / HALVES, ROWS = TILE / HALVES, TOKENS = 4 };

ALWAYS __m256i broadcast(const int8_t *four) {
    int32_t word;
    memcpy(&word, four, sizeof word);
    return _mm256_set1_epi32(word);
}

ALWAYS __m256i load(const uint8_t *bytes) { return _mm256_loadu_si256((const __m256i *)bytes); }

ALWAYS void add(int32_t *sums, __m256i lanes) {
    _mm256_storeu_si256((__m256i *)sums, _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)sums), lanes));
}

ALWAYS __m256i widened(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

/* Sums of four products of a stored byte less 128 and an activation code. */
ALWAYS __m256i signed_product(__m256i bytes, __m256i four) {
    __m256i weights = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)0x80));
    return widened(_mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(four, weights)));
}

/* 127 * 2 * (2^bits - 1) at most is added by each plane: so many chunks fit into 16 bits. */
ALWAYS int64_t chunks_that_fit(const int bits) { return 32767 / (127 * 2 * ((1 << bits) - 1)) / (8 / bits); }

ALWAYS void dot_half(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t *sums, const int bits) {
    const int planes = 8 / bits;
    const __m256i mask = _mm256_set1_epi8((char)((1 << bits) - 1));
    for (int64_t c = 0; c < chunks;) {
        int64_t last = c + chunks_that_fit(bits) < chunks ? c + chunks_that_fit(bits) : chunks;
        __m256i pairs[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (; c < last; c++) {
            __m256i half = load(weights + CHUNK * c);
            for (int p = 0; p < planes; p++) {
                __m256i plane = _mm256_and_si256(_mm256_srli_epi16(half, p * bits), mask);
                __m256i product = _mm256_maddubs_epi16(plane, broadcast(codes + 4 * (planes * c + p)));
                pairs[p % 2] = _mm256_add_epi16(pairs[p % 2], product);
            }
        }
        add(sums, _mm256_add_epi32(widened(pairs[0]), widened(pairs[1])));
    }
}

ALWAYS void dot(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE], const int bits) {
    memset(sums, 0, TILE * sizeof *sums);
    for (int h = 0; h < HALVES; h++) dot_half(weights + HALF * h, codes, chunks, sums + ROWS * h, bits);
}

ALWAYS void unpack(const uint8_t *packed, int64_t chunks, uint8_t *bytes, const int bits) {
    const __m256i mask = _mm256_set1_epi8((char)((1 << bits) - 1));
    for (int64_t c = 0; c < chunks; c++)
        for (int p = 0; p < 8 / bits; p++)
            for (int h = 0; h < HALVES; h++, bytes += HALF) {
                __m256i half = _mm256_srli_epi16(load(packed + CHUNK * c + HALF * h), p * bits);
                _mm256_storeu_si256((__m256i *)bytes, _mm256_and_si256(half, mask));
            }
}

FOR_BITS(1)
FOR_BITS(2)
FOR_BITS(4)

/* One half of a tile and up to TOKENS tokens; codes below 16 or whole bytes. */
ALWAYS void block(const uint8_t *bytes, const int8_t *codes, int64_t stride, const int tokens, int64_t fours,
                  int32_t sums[][2][TILE], int at, const int whole) {
    __m256i lanes[TOKENS];
    for (int m = 0; m < tokens; m++) lanes[m] = _mm256_setzero_si256();
    for (int64_t k = 0; k < fours;) {
        int64_t last = !whole && k + 8 < fours ? k + 8 : fours; /* 8 sums of two products below 16 * 127 fit */
        __m256i pairs[TOKENS];
        for (int m = 0; m < tokens; m++) pairs[m] = _mm256_setzero_si256();
        for (; k < last; k++) {
            __m256i weights = load(bytes + CHUNK * k);
            for (int m = 0; m < tokens; m++) {
                __m256i four = broadcast(codes + m * stride + 4 * k);
                if (whole)
                    lanes[m] = _mm256_add_epi32(lanes[m], signed_product(weights, four));
                else
                    pairs[m] = _mm256_add_epi16(pairs[m], _mm256_maddubs_epi16(weights, four));
            }
        }
        for (int m = 0; m < tokens && !whole; m++) lanes[m] = _mm256_add_epi32(lanes[m], widened(pairs[m]));
    }
    for (int m = 0; m < tokens; m++) _mm256_storeu_si256((__m256i *)(sums[m][at / TILE] + at % TILE), lanes[m]);
}

ALWAYS void multiply(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                     int tokens, int64_t fours, int32_t sums[][2][TILE], const int whole) {
    for (int half = 0; half < tiles * HALVES; half++) {
        const uint8_t *weights = bytes + half / HALVES * tile_bytes + half % HALVES * HALF;
        int m = 0;
        for (; m + TOKENS <= tokens; m += TOKENS)
            block(weights, codes + m * stride, stride, TOKENS, fours, sums + m, ROWS * half, whole);
        for (; m < tokens; m++) block(weights, codes + m * stride, stride, 1, fours, sums + m, ROWS * half, whole);
    }
}

static void multiply_small(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                           int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    multiply(bytes, tile_bytes, tiles, codes, stride, tokens, fours, sums, 0);
}

static void multiply_whole(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                           int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    multiply(bytes, tile_bytes, tiles, codes, stride, tokens, fours, sums, 1);
}

static void dot_8(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE]) {
    int32_t all[1][2][TILE];
    multiply(weights, 0, 1, codes, 0, 1, chunks, all, 1);
    memcpy(sums, all[0][0], TILE * sizeof *sums);
}

const path avx2_path = {
    .name = "avx2",
    .byte_offset = 0,
    .dot = {dot_1, dot_2, dot_4, dot_8},
    .unpack = {unpack_1, unpack_2, unpack_4, 0},
    .multiply = {multiply_small, multiply_whole},
    .tokens = 8,
    .block = TOKENS,
    FLOAT_KERNELS,
    .quantise = quantise,
    .rescale = rescale,
    .store = store,
};
