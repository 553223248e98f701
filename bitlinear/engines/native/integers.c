/* Activation codes by weight codes: exact sums of integers, rescaled. */
#include "job.h"

#ifndef FEW_TOKENS
#define FEW_TOKENS 6 /* so many are multiplied one by one rather than with tiles that are unpacked to memory first */
#endif
/* How tiles meet tokens: packed with one after the other, packed with some, unpacked to scratch memory with some. */
typedef enum { ONE_BY_ONE, PACKED, UNPACKED } way;

static way way_of(const layer *l, const path *p, int64_t tokens) {
    int packed = p->multiply_packed[kernel_of(l->bits)] != 0, free = packed || l->bits == 8;
    if (tokens <= (free ? 1 : FEW_TOKENS)) return ONE_BY_ONE;
    return packed && tokens <= p->packed_tokens ? PACKED : UNPACKED;
}

static void quantise_share(const job *j, int64_t share) {
    const layer *l = j->layer;
    range tokens = share_of(j->tokens, share, j->shares);
    for (int64_t m = tokens.first; m < tokens.last; m++)
        for (int64_t g = 0; g < l->groups; g++) {
            activations *a = &j->activations[m * l->groups + g];
            a->codes = (int8_t *)j->operands + m * j->stride + g * j->padded;
            j->path->quantise(input_of(j, m, g), j->call->type, j->size, j->padded, l->normalise, l->top,
                              scratch_of(j, share), a);
        }
}

/* One token with a packed tile, so that memory is read from one end to the other. */
static void multiply_alone(const job *j, int64_t tile, int64_t m) {
    float y[1][2][TILE];
    int32_t sums[1][2][TILE];
    correction by;
    for (int64_t g = 0; g < j->layer->groups; g++) {
        const uint8_t *weights = j->call->weights + tile * j->tile_bytes + g * j->chunks * CHUNK;
        const activations *a = &j->activations[m * j->layer->groups + g];
        correct(j, g, tile, 1, &by);
        j->path->dot[kernel_of(j->layer->bits)](weights, a->codes, j->chunks, sums[0][0]);
        j->path->rescale(sums, 1, 1, a, 0, &by, y);
    }
    store(j, m, 1, tile, 1, y);
}

/* One or two tiles in steps of 64 bytes a tile, which are four input features or a packed chunk. */
typedef struct {
    multiply_function *multiply;
    unpacking_function *unpacking; /* instead, with `unpacked` to write to */
    uint8_t *unpacked;
    const uint8_t *bytes;
    int64_t steps; /* of a group */
} operand;

static operand packed_tiles(const job *j, int64_t tile) {
    const uint8_t *weights = j->call->weights + tile * j->tile_bytes;
    multiply_function *multiply = j->path->multiply_packed[kernel_of(j->layer->bits)];
    return (operand){.multiply = multiply, .bytes = weights, .steps = j->chunks};
}

static operand bytes_of_tiles(const job *j, const uint8_t *bytes) {
    return (operand){.multiply = j->path->multiply[j->layer->bits == 8], .bytes = bytes, .steps = j->padded / 4};
}

static void multiply_tokens(const job *j, int64_t tile, int tiles, operand o, int64_t m, int tokens) {
    float y[MOST_TOKENS][2][TILE];
    int32_t sums[MOST_TOKENS][2][TILE];
    correction by;
    int64_t groups = j->layer->groups, tile_bytes = groups * o.steps * CHUNK;
    for (int64_t g = 0; g < groups; g++) {
        const activations *a = &j->activations[m * groups + g];
        const uint8_t *bytes = o.bytes + g * o.steps * CHUNK;
        correct(j, g, tile, tiles, &by);
        if (o.unpacking)
            o.unpacking(bytes, tile_bytes, tiles, a->codes, j->stride, o.steps, sums,
                        o.unpacked + g * j->padded * TILE);
        else
            o.multiply(bytes, tile_bytes, tiles, a->codes, j->stride, tokens, o.steps, sums);
        j->path->rescale(sums, tokens, tiles, a, groups, &by, y);
    }
    store(j, m, tokens, tile, tiles, y);
}

static void multiply_range(const job *j, int64_t tile, int tiles, operand o, range token) {
    int64_t pass = up(pass_of(token.last - token.first, j->path->tokens), j->path->block);
    for (int64_t m = token.first; m < token.last; m += pass)
        multiply_tokens(j, tile, tiles, o, m, (int)least(pass, token.last - m));
}

/* What `operand`s of bytes read: the weights if they are bytes, else scratch, filled here or by the first pass. */
static void multiply_unpacked(const job *j, int64_t tile, int tiles, range token, uint8_t *scratch) {
    const path *p = j->path;
    int kernel = kernel_of(j->layer->bits);
    operand packed = packed_tiles(j, tile);
    if (j->layer->bits == 8) {
        multiply_range(j, tile, tiles, bytes_of_tiles(j, packed.bytes), token);
        return;
    }
    if (p->multiply_unpacking[kernel]) {
        packed.unpacking = p->multiply_unpacking[kernel];
        packed.unpacked = scratch;
        multiply_tokens(j, tile, tiles, packed, token.first, p->tokens);
        token.first += p->tokens;
    } else {
        p->unpack[kernel](packed.bytes, tiles * j->layer->groups * j->chunks, scratch);
    }
    multiply_range(j, tile, tiles, bytes_of_tiles(j, scratch), token);
}

static void multiply_one_by_one(const job *j, range tile, range token) {
    for (int64_t t = tile.first; t < tile.last; t++)
        for (int64_t m = token.first; m < token.last; m++) multiply_alone(j, t, m);
}

static void multiply_together(const job *j, range tile, range token, way way, uint8_t *scratch) {
    const path *p = j->path;
    char kept[64];
    if (way == UNPACKED && p->enter) p->enter(kept);
    for (int64_t t = tile.first; t < tile.last; t += 2) {
        int tiles = (int)least(2, tile.last - t);
        if (way == PACKED)
            multiply_range(j, t, tiles, packed_tiles(j, t), token);
        else
            multiply_unpacked(j, t, tiles, token, scratch);
    }
    if (way == UNPACKED && p->leave) p->leave(kept);
}

static void multiply_share(const job *j, int64_t share) {
    portion p = portion_of(j, share);
    way way = way_of(j->layer, j->path, p.token.last - p.token.first);
    if (way == ONE_BY_ONE)
        multiply_one_by_one(j, p.tile, p.token);
    else
        multiply_together(j, p.tile, p.token, way, (uint8_t *)scratch_of(j, share));
}

static void plan(job *j) {
    const layer *l = j->layer;
    int is_unpacked = way_of(l, j->path, j->tokens) == UNPACKED;
    int64_t unpacked = is_unpacked && l->bits < 8 ? 2 * TILE * l->groups * j->padded : 0;
    int64_t widened = needs_scratch((dtype)j->call->type, l->normalise) ? (int64_t)sizeof(double) * j->size : 0;
    j->scratch_bytes = most(unpacked, widened);
    j->spare = is_unpacked ? j->path->spare : 0;
}

const arithmetic of_codes = {sizeof(int8_t), plan, quantise_share, multiply_share};
