/* What a path (an instruction set) offers, and the layout that all paths share.
 *
 * Weights lie in tiles of 16 output features. A tile is a row of chunks of 64 bytes, 4 bytes for each of its output
 * features, and every byte holds one code of each plane: with b bits a code there are P = 8 / b planes, and a chunk
 * covers 4 P input features. Byte 4 r + j of chunk c holds, in bits [p b, (p + 1) b), the code of output feature r and
 * input feature 4 P c + 4 p + j. So one vector holds four input features of all 16 output features, which is what the
 * dot-product instructions sum up, and no sum ever crosses a lane.
 *
 * Codes are stored unsigned: code + offset (see `linear.c`). What is padded holds zeros, and the activations that meet
 * padding are zeros too.
 */
#ifndef BITLINEAR_KERNELS_H
#define BITLINEAR_KERNELS_H

#include <stdint.h>

/* Compilers that know AMX, on the only system that is asked for its registers here. */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define HAVE_AMX 1
#else
#define HAVE_AMX 0
#endif

#define ALWAYS static inline __attribute__((always_inline))

enum { TILE = 16, CHUNK = 64, MOST_TOKENS = 32 };
enum { FLOAT_BLOCK = 256 }; /* input features whose floats fill half of a core's first cache, in a tile */

typedef enum { FLOAT32, BFLOAT16, FLOAT16, FLOAT64 } dtype;

/* Activations of one token in one group, quantised. */
typedef struct {
    int8_t *codes;
    float inverse; /* 1 / scale; NaN where the group holds NaN or infinity */
    int32_t sum;   /* of the codes */
} activations;

/* `sums[r]`: the inner sums of one token with the stored, unsigned codes of one tile. */
typedef void dot_function(const uint8_t *weights, const int8_t *codes, int64_t chunks, int32_t sums[TILE]);

/* Chunks to vectors of 64 whole bytes, one for every four input features. */
typedef void unpack_function(const uint8_t *packed, int64_t chunks, uint8_t *bytes);

/* `sums[m][t][r]`: as `dot_function` for several tokens, `stride` bytes apart, and one or two unpacked tiles. */
typedef void multiply_function(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                               int tokens, int64_t fours, int32_t sums[][2][TILE]);

/* `multiply_packed` of as many tokens as `multiply` takes at a time, which also writes what `unpack` would. */
typedef void unpacking_function(const uint8_t *packed, int64_t tile_bytes, int tiles, const int8_t *codes,
                                int64_t stride, int64_t chunks, int32_t sums[][2][TILE], uint8_t *unpacked);

/* Makes a thread's registers ready for `multiply`, and puts back what they were for; `kept` holds 64 bytes. */
typedef void enter_function(void *kept);
typedef void leave_function(const void *kept);

/* One group of one token: normalised if asked for, quantised to [-top, top], padded with zeros to `padded` codes.
 * `scratch` is used where `needs_scratch` says so, and holds `size` doubles. */
typedef void quantise_function(const void *x, dtype type, int64_t size, int64_t padded, int normalise, int top,
                               void *scratch, activations *out);

/* What turns inner sums into results; a weight code is `factor * stored - offset`. */
typedef struct {
    int32_t factor, offset;
    int32_t row_scales; /* a scale for each output feature, else one for all */
    int32_t first;      /* group of a result, which begins at 0 */
    const float *scale;
    float padded[2][TILE]; /* where `scale` points to if there are fewer output features than a tile has */
} correction;

/* `y += (factor * sum - offset * activations.sum) * scale * activations.inverse`, for tokens whose activations lie
 * `step` apart. */
typedef void rescale_function(const int32_t sums[][2][TILE], int tokens, int tiles, const activations *a, int64_t step,
                              const correction *by, float y[][2][TILE]);

/* Results of some tokens, whose first `count` are to be stored `stride` bytes apart, plus the bias if there is one. */
typedef void store_function(const float y[][2][TILE], int tokens, int64_t count, const float *bias, dtype type,
                            void *out, int64_t stride);

/* One group of one token as floats: normalised if asked for, padded with zeros to `padded`. `scratch` holds `size`
 * doubles where `type` is FLOAT64. */
typedef void widen_function(const void *x, dtype type, int64_t size, int64_t padded, int normalise, void *scratch,
                            float *out);

/* Adds to `sums[m][r]` what a packed tile contributes to some tokens, whose floats `x` lie `stride` bytes apart. */
typedef void weigh_function(const uint8_t *packed, const float *x, int64_t stride, int tokens, int64_t chunks,
                            float sums[][TILE]);

/* What the codes of some chunks stand for, at most FLOAT_BLOCK input features: `(features, TILE)`. */
typedef void decode_function(const uint8_t *packed, int64_t chunks, float *values);

/* As `weigh_function` does for the chunks, of `features` input features each, that `decode_function` has decoded. */
typedef void weigh_decoded_function(const float *values, const float *x, int64_t stride, int tokens, int64_t chunks,
                                    int64_t features, float sums[][TILE]);

/* `y += sums * by->scale`, for one tile. */
typedef void scale_function(const float sums[][TILE], int tokens, const correction *by, float y[][2][TILE]);

static inline int needs_scratch(dtype type, int normalise) { return normalise || type == BFLOAT16 || type == FLOAT16; }

typedef struct {
    const char *name;
    int32_t byte_offset; /* of 8-bit codes: 128 where they are multiplied as they are stored, 0 where they are signed */
    dot_function *dot[4]; /* by log2 of the bits: 1, 2, 4, 8 */
    unpack_function *unpack[4];
    multiply_function *multiply[2]; /* of codes below 16, of bytes */
    multiply_function *multiply_packed[4]; /* tiles as they are stored, in steps of a chunk; may be null */
    unpacking_function *multiply_unpacking[4]; /* may be null where there is `unpack` */
    int32_t packed_tokens; /* up to which tiles stay packed, if there is `multiply_packed` */
    int32_t tokens; /* that `multiply` takes at a time */
    int32_t block;  /* so many of them take as long as any less */
    int32_t spare;  /* of them it may read, and not use, behind the last */
    enter_function *enter; /* may be null, and then `leave` is */
    leave_function *leave;
    weigh_function *weigh[4]; /* by log2 of the bits, as all that have a place for each */
    decode_function *decode[4];
    weigh_decoded_function *weigh_decoded;
    int32_t float_tokens; /* that `weigh` and `weigh_decoded` take at a time */
    widen_function *widen;
    scale_function *scale;
    quantise_function *quantise;
    rescale_function *rescale;
    store_function *store;
} path;

#endif
