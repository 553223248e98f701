/* ARM with the dot product extension: `sdot` multiplies signed bytes. Codes below 16 are the same signed or not. */
#include <arm_neon.h>

#define LANES 4
#define SUMS 16
#define FUSE(sum, a, b) sum = (floats)vfmaq_f32((float32x4_t)(sum), (float32x4_t)(a), (float32x4_t)(b))
#include "weigh.h"

enum { QUARTERS = 4, QUARTER = CHUNK / QUARTERS, ROWS = TILE / QUARTERS, TOKENS = 4 };

ALWAYS int8x16_t broadcast(const int8_t *four) {
    int32_t word;
    memcpy(&word, four, sizeof word);
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

/* The codes of one plane as signed bytes; whole bytes less 128. */
ALWAYS int8x16_t plane_of(uint8x16_t packed, int plane, const int bits) {
    if (bits == 8) return vreinterpretq_s8_u8(veorq_u8(packed, vdupq_n_u8(0x80)));
    uint8x16_t shifted = vshlq_u8(packed, vdupq_n_s8((int8_t)(-plane * bits)));
    return vreinterpretq_s8_u8(vandq_u8(shifted, vdupq_n_u8((uint8_t)((1 << bits) - 1))));
}

ALWAYS void dot(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE], const int bits) {
    int32x4_t lanes[QUARTERS] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int64_t c = 0; c < chunks; c++)
        for (int p = 0; p < 8 / bits; p++, codes += 4) {
            int8x16_t four = broadcast(codes);
            for (int q = 0; q < QUARTERS; q++) {
                uint8x16_t quarter = vld1q_u8(weights + CHUNK * c + QUARTER * q);
                lanes[q] = vdotq_s32(lanes[q], plane_of(quarter, p, bits), four);
            }
        }
    for (int q = 0; q < QUARTERS; q++) vst1q_s32(sums + ROWS * q, lanes[q]);
}

ALWAYS void unpack(const uint8_t *packed, int64_t chunks, uint8_t *bytes, const int bits) {
    for (int64_t c = 0; c < chunks; c++)
        for (int p = 0; p < 8 / bits; p++)
            for (int q = 0; q < QUARTERS; q++, bytes += QUARTER)
                vst1q_s8((int8_t *)bytes, plane_of(vld1q_u8(packed + CHUNK * c + QUARTER * q), p, bits));
}

FOR_BITS(1)
FOR_BITS(2)
FOR_BITS(4)
FOR_BITS(8)

/* One tile and up to TOKENS tokens; codes below 16 or whole bytes. */
ALWAYS void block(const uint8_t *bytes, const int8_t *codes, int64_t stride, const int tokens, int64_t fours,
                  int32_t sums[][2][TILE], int tile, const int bits) {
    int32x4_t lanes[TOKENS][QUARTERS];
    for (int m = 0; m < tokens; m++)
        for (int q = 0; q < QUARTERS; q++) lanes[m][q] = vdupq_n_s32(0);
    for (int64_t k = 0; k < fours; k++) {
        int8x16_t weights[QUARTERS];
        for (int q = 0; q < QUARTERS; q++) weights[q] = plane_of(vld1q_u8(bytes + CHUNK * k + QUARTER * q), 0, bits);
        for (int m = 0; m < tokens; m++) {
            int8x16_t four = broadcast(codes + m * stride + 4 * k);
            for (int q = 0; q < QUARTERS; q++) lanes[m][q] = vdotq_s32(lanes[m][q], weights[q], four);
        }
    }
    for (int m = 0; m < tokens; m++)
        for (int q = 0; q < QUARTERS; q++) vst1q_s32(sums[m][tile] + ROWS * q, lanes[m][q]);
}

ALWAYS void multiply(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                     int tokens, int64_t fours, int32_t sums[][2][TILE], const int bits) {
    for (int t = 0; t < tiles; t++, bytes += tile_bytes) {
        int m = 0;
        for (; m + TOKENS <= tokens; m += TOKENS)
            block(bytes, codes + m * stride, stride, TOKENS, fours, sums + m, t, bits);
        for (; m < tokens; m++) block(bytes, codes + m * stride, stride, 1, fours, sums + m, t, bits);
    }
}

static void multiply_small(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                           int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    multiply(bytes, tile_bytes, tiles, codes, stride, tokens, fours, sums, 4);
}

static void multiply_whole(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                           int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    multiply(bytes, tile_bytes, tiles, codes, stride, tokens, fours, sums, 8);
}

const path neon_path = {
    .name = "neon",
    .byte_offset = 0,
    .dot = {dot_1, dot_2, dot_4, dot_8},
    .unpack = {unpack_1, unpack_2, unpack_4, unpack_8},
    .multiply = {multiply_small, multiply_whole},
    .tokens = 8,
    .block = TOKENS,
    FLOAT_KERNELS,
    .quantise = quantise,
    .rescale = rescale,
    .store = store,
};
