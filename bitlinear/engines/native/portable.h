/* The floating-point work, written once and compiled for every path. It holds no intrinsics and sums in a fixed order,
 * and contraction into fused multiply-adds is switched off, so that all paths return the same bits. */
#ifndef BITLINEAR_PORTABLE_H
#define BITLINEAR_PORTABLE_H

#include <math.h>
#include <string.h>

#include "kernels.h"

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float from_bfloat16(uint16_t x) { return float_of((uint32_t)x << 16); }

static inline uint16_t to_bfloat16(float x) {
    uint32_t bits = bits_of(x);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16; /* half to even */
    return (uint16_t)(x != x ? 0x7fc0 : rounded);
}

static inline float from_float16(uint16_t x) {
    uint32_t magnitude = (uint32_t)(x & 0x7fff) << 13;
    float finite = float_of(magnitude) * 0x1p112f; /* moves the exponent's bias; exact, for subnormal numbers too */
    uint32_t bits = magnitude >= 0x0f800000 ? magnitude | 0x7f800000 : bits_of(finite);
    return float_of(bits | (uint32_t)(x & 0x8000) << 16);
}

static inline uint16_t to_float16(float x) {
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13; /* half to even */
    /* Below 2^-14 results are multiples of 2^-24: adding 0.5 leaves them, rounded half to even, in the lowest bits. */
    uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000;
    uint32_t finite = magnitude < 0x38800000 ? subnormal : normal;
    uint32_t overflow = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (magnitude >= 0x477ff000 ? overflow : finite));
}

static void to_floats(const void *x, dtype type, int64_t size, float *out) {
    const uint16_t *half = x;
    if (type == BFLOAT16)
        for (int64_t i = 0; i < size; i++) out[i] = from_bfloat16(half[i]);
    else
        for (int64_t i = 0; i < size; i++) out[i] = from_float16(half[i]);
}

#define REAL float
#define WORD uint32_t
#define INFINITE 0x7f800000u
#define ROUNDER 0x1.8p23f
#define NAMED(name) name##_float
#include "quantise.inc"
#undef REAL
#undef WORD
#undef INFINITE
#undef ROUNDER
#undef NAMED

#define REAL double
#define WORD uint64_t
#define INFINITE 0x7ff0000000000000u
#define ROUNDER 0x1.8p52
#define NAMED(name) name##_double
#include "quantise.inc"
#undef REAL
#undef WORD
#undef INFINITE
#undef ROUNDER
#undef NAMED

static void quantise(const void *x, dtype type, int64_t size, int64_t padded, int normalise, int top, void *scratch,
                     activations *out) {
    if (type == FLOAT64) {
        quantise_double(x, size, normalise, top, scratch, out);
    } else if (type == FLOAT32) {
        quantise_float(x, size, normalise, top, scratch, out);
    } else {
        to_floats(x, type, size, scratch);
        quantise_float(scratch, size, normalise, top, scratch, out);
    }
    memset(out->codes + size, 0, (size_t)(padded - size));
}

static void widen(const void *x, dtype type, int64_t size, int64_t padded, int normalise, void *scratch, float *out) {
    if (type == FLOAT64) {
        if (normalise) normalised_double(x, size, scratch);
        const double *wide = normalise ? scratch : x;
        for (int64_t i = 0; i < size; i++) out[i] = (float)wide[i];
    } else {
        if (type == FLOAT32)
            memcpy(out, x, (size_t)size * sizeof(float));
        else
            to_floats(x, type, size, out);
        if (normalise) normalised_float(out, size, out);
    }
    memset(out + size, 0, (size_t)(padded - size) * sizeof(float));
}

ALWAYS void rescale_tile(const int32_t sums[restrict TILE], const activations *a, const correction *by,
                         const float *restrict scale, int row_scales, int first, float y[restrict TILE]) {
    int32_t factor = by->factor, shift = by->offset * a->sum;
    float inverse = a->inverse, all = *scale * inverse;
    for (int r = 0; r < TILE; r++)
        y[r] = (first ? 0 : y[r]) + (float)(factor * sums[r] - shift) * (row_scales ? scale[r] * inverse : all);
}

ALWAYS void rescale_all(const int32_t sums[][2][TILE], int tokens, int tiles, const activations *a, int64_t step,
                        const correction *by, int row_scales, int first, float y[][2][TILE]) {
    for (int m = 0; m < tokens; m++, a += step)
        for (int t = 0; t < tiles; t++)
            rescale_tile(sums[m][t], a, by, by->scale + (row_scales ? TILE * t : 0), row_scales, first, y[m][t]);
}

/* In four kinds, each without a question in its innermost loop. */
static void rescale(const int32_t sums[][2][TILE], int tokens, int tiles, const activations *a, int64_t step,
                    const correction *by, float y[][2][TILE]) {
    if (by->row_scales && by->first)
        rescale_all(sums, tokens, tiles, a, step, by, 1, 1, y);
    else if (by->row_scales)
        rescale_all(sums, tokens, tiles, a, step, by, 1, 0, y);
    else if (by->first)
        rescale_all(sums, tokens, tiles, a, step, by, 0, 1, y);
    else
        rescale_all(sums, tokens, tiles, a, step, by, 0, 0, y);
}

ALWAYS void scale_all(const float sums[restrict][TILE], int tokens, const float *scale, int row_scales, int first,
                      float y[restrict][2][TILE]) {
    for (int m = 0; m < tokens; m++)
        for (int r = 0; r < TILE; r++)
            y[m][0][r] = (first ? 0 : y[m][0][r]) + sums[m][r] * scale[row_scales ? r : 0];
}

static void scale(const float sums[][TILE], int tokens, const correction *by, float y[][2][TILE]) {
    if (by->row_scales && by->first)
        scale_all(sums, tokens, by->scale, 1, 1, y);
    else if (by->row_scales)
        scale_all(sums, tokens, by->scale, 1, 0, y);
    else if (by->first)
        scale_all(sums, tokens, by->scale, 0, 1, y);
    else
        scale_all(sums, tokens, by->scale, 0, 0, y);
}

ALWAYS void store_token(const float *y, const float *bias, dtype type, int64_t count, void *out) {
    float sum[2 * TILE];
    for (int64_t n = 0; n < count && bias; n++) sum[n] = y[n] + bias[n];
    if (bias) y = sum;
    if (type == FLOAT32) memcpy(out, y, (size_t)count * sizeof(float));
    for (int64_t n = 0; n < count && type == FLOAT64; n++) ((double *)out)[n] = (double)y[n];
    for (int64_t n = 0; n < count && type == BFLOAT16; n++) ((uint16_t *)out)[n] = to_bfloat16(y[n]);
    for (int64_t n = 0; n < count && type == FLOAT16; n++) ((uint16_t *)out)[n] = to_float16(y[n]);
}

static void store(const float y[][2][TILE], int tokens, int64_t count, const float *bias, dtype type, void *out,
                  int64_t stride) {
    char *to = out;
    for (int m = 0; m < tokens; m++, to += stride)
        if (count == 2 * TILE) /* said thrice, so that the usual numbers are constants to the compiler */
            store_token(y[m][0], bias, type, 2 * TILE, to);
        else if (count == TILE)
            store_token(y[m][0], bias, type, TILE, to);
        else
            store_token(y[m][0], bias, type, count, to);
}

/* `dot` and `unpack` of a path, which take the number of bits, for a constant one: `dot_2`, `unpack_2`. */
#define FOR_BITS(bits)                                                                                        \
    static void dot_##bits(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE]) { \
        dot(weights, codes, chunks, sums, bits);                                                              \
    }                                                                                                         \
    static void unpack_##bits(const uint8_t *packed, int64_t chunks, uint8_t *bytes) {                        \
        unpack(packed, chunks, bytes, bits);                                                                  \
    }

#endif
