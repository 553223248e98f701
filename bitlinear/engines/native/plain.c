/* Plain C: the path that every machine has, and that the others are held against. */
#define LANES 4
#define SUMS 4
#define FUSE(sum, a, b) \
    for (int l = 0; l < LANES; l++) (sum)[l] = fmaf((a)[l], (b)[l], (sum)[l])
#include "weigh.h"

static uint8_t code_at(const uint8_t *weights, int bits, int64_t plane, int64_t at) {
    return (uint8_t)(weights[at] >> (plane * bits) & ((1 << bits) - 1));
}

static inline void dot(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE], int bits) {
    memset(sums, 0, TILE * sizeof *sums);
    for (int64_t c = 0; c < chunks; c++)
        for (int plane = 0; plane < 8 / bits; plane++, codes += 4)
            for (int i = 0; i < CHUNK; i++) sums[i / 4] += code_at(weights, bits, plane, CHUNK * c + i) * codes[i % 4];
}

static inline void unpack(const uint8_t *packed, int64_t chunks, uint8_t *bytes, int bits) {
    for (int64_t c = 0; c < chunks; c++)
        for (int plane = 0; plane < 8 / bits; plane++)
            for (int i = 0; i < CHUNK; i++) *bytes++ = code_at(packed, bits, plane, CHUNK * c + i);
}

FOR_BITS(1)
FOR_BITS(2)
FOR_BITS(4)
FOR_BITS(8)

static void multiply(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                     int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    for (int m = 0; m < tokens; m++)
        for (int t = 0; t < tiles; t++) dot_8(bytes + t * tile_bytes, codes + m * stride, fours, sums[m][t]);
}

const path plain_path = {
    .name = "plain",
    .byte_offset = 128,
    .dot = {dot_1, dot_2, dot_4, dot_8},
    .unpack = {unpack_1, unpack_2, unpack_4, unpack_8},
    .multiply = {multiply, multiply},
    .tokens = 8,
    .block = 1,
    FLOAT_KERNELS,
    .quantise = quantise,
    .rescale = rescale,
    .store = store,
};
