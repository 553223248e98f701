/* Other ways to multiply one token with weights of one bit, on one thread: tables and population counts beside what the
 * kernels do. Each fills `sums[n]` with the inner products of 0/1 weights and 8-bit activation codes.
 *
 * `k` is a multiple of 512 and `n` of 64; the layouts are made by `other_ways.py`. */
#include "../../../bitlinear/engines/native/avx512.c"

#define EXPORT __attribute__((visibility("default")))

enum { OUTPUTS = 64, MOST_FEATURES = 16384, PAIRS_THAT_FIT = 32 };

/* As `native` does: masks and `vpdpbusd`. */
EXPORT void products(const uint8_t *weights, const int8_t *codes, int64_t n, int64_t k, int32_t *sums) {
    int64_t chunks = k / 32;
    for (int64_t tile = 0; tile < n / TILE; tile++)
        avx512_path.dot[0](weights + tile * chunks * CHUNK, codes, chunks, sums + TILE * tile);
}

typedef struct {
    uint8_t low[16], high[16];
} table;

/* All sums of four activation codes, whose low and high bytes are looked up apart (T-MAC, arXiv 2407.00088, without its
 * rounding of tables to 8 bits). */
static void make_tables(const int8_t *codes, int64_t k, table *tables) {
    for (int64_t g = 0; g < k / 4; g++)
        for (int i = 0; i < 16; i++) {
            int sum = 0;
            for (int j = 0; j < 4; j++) sum += (i >> j & 1) * codes[4 * g + j];
            tables[g].low[i] = (uint8_t)sum;
            tables[g].high[i] = (uint8_t)(sum >> 8);
        }
}

ALWAYS __m512i everywhere(const uint8_t entries[16]) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)entries));
}

ALWAYS void look_up(const table *t, __m512i index, __m512i sums[2]) {
    __m512i low = _mm512_shuffle_epi8(everywhere(t->low), index), high = _mm512_shuffle_epi8(everywhere(t->high), index);
    sums[0] = _mm512_add_epi16(sums[0], _mm512_unpacklo_epi8(low, high));
    sums[1] = _mm512_add_epi16(sums[1], _mm512_unpackhi_epi8(low, high));
}

/* A byte holds the weights of one output feature for eight input features; a vector is 64 output features. */
EXPORT void tables(const uint8_t *weights, const int8_t *codes, int64_t n, int64_t k, int32_t *sums) {
    static table all[MOST_FEATURES / 4];
    const __m512i nibble = _mm512_set1_epi8(15);
    make_tables(codes, k, all);
    for (int64_t block = 0; block < n / OUTPUTS; block++, sums += OUTPUTS) {
        memset(sums, 0, OUTPUTS * sizeof *sums);
        for (int64_t pair = 0; pair < k / 8;) {
            __m512i parts[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
            int16_t words[2][OUTPUTS / 2];
            for (int i = 0; i < PAIRS_THAT_FIT; i++, pair++, weights += OUTPUTS) {
                __m512i bytes = _mm512_loadu_si512(weights);
                look_up(&all[2 * pair], _mm512_and_si512(bytes, nibble), parts);
                look_up(&all[2 * pair + 1], _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble), parts);
            }
            _mm512_storeu_si512(words[0], parts[0]);
            _mm512_storeu_si512(words[1], parts[1]);
            for (int r = 0; r < OUTPUTS; r++) sums[r] += words[r / 8 % 2][r / 16 * 8 + r % 8];
        }
    }
}

/* Plane p holds bit p of every activation code, as bits in the order of the weights'. */
static void make_planes(const int8_t *codes, int64_t k, uint8_t planes[8][MOST_FEATURES / 8]) {
    for (int64_t b = 0; b < k / 64; b++) {
        __m512i bytes = _mm512_loadu_si512(codes + 64 * b);
        for (int p = 0; p < 8; p++) {
            uint64_t bits = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((char)(1 << p)));
            memcpy(planes[p] + 8 * b, &bits, sizeof bits);
        }
    }
}

/* A row of bits for each output feature; the last plane of two's complement counts negative. */
EXPORT void counts(const uint8_t *weights, const int8_t *codes, int64_t n, int64_t k, int32_t *sums) {
    static uint8_t planes[8][MOST_FEATURES / 8];
    make_planes(codes, k, planes);
    for (int64_t r = 0; r < n; r++, weights += k / 8) {
        __m512i of_plane[8];
        for (int p = 0; p < 8; p++) of_plane[p] = _mm512_setzero_si512();
        for (int64_t b = 0; b < k / 8; b += CHUNK) {
            __m512i bits = _mm512_loadu_si512(weights + b);
            for (int p = 0; p < 8; p++) {
                __m512i both = _mm512_and_si512(bits, _mm512_loadu_si512(planes[p] + b));
                of_plane[p] = _mm512_add_epi64(of_plane[p], _mm512_popcnt_epi64(both));
            }
        }
        __m512i sum = _mm512_sub_epi64(_mm512_setzero_si512(), _mm512_slli_epi64(of_plane[7], 7));
        for (int p = 0; p < 7; p++) sum = _mm512_add_epi64(sum, _mm512_slli_epi64(of_plane[p], (unsigned)p));
        sums[r] = (int32_t)_mm512_reduce_add_epi64(sum);
    }
}
