/* The whole operation: quantise the activations, multiply, rescale, add the bias. */
#include <string.h>

#include "kernels.h"

#define EXPORT __attribute__((visibility("default")))

/* A weight code is `factor * stored - offset`. */
typedef struct {
    int64_t in_features, out_features, groups;
    int32_t bits; /* of a stored code: 1, 2, 4 or 8 */
    int32_t factor, offset;
    int32_t row_scales; /* scale has the shape (groups, out_features), else (groups) */
    int32_t normalise;
    int32_t top; /* the largest activation code */
} layer;

/* The OpenMP runtime that torch uses: with threads of our own, two teams would spin for the same cores.
 * `parallel` is GOMP_parallel; without it everything runs on the caller's thread. */
typedef struct {
    void (*parallel)(void (*work)(void *), void *data, unsigned threads, unsigned flags);
    int (*thread)(void);
    int (*threads)(void);
} team;

typedef struct {
    const uint8_t *weights;
    const float *scale, *bias;
    const void *x;
    void *y;
    int64_t tokens;
    int32_t type, threads;
} call;

#ifndef FEW_TOKENS
#define FEW_TOKENS 6 /* so many are multiplied one by one rather than with tiles that are unpacked to memory first */
#endif
#ifndef BLOCK_BYTES
#define BLOCK_BYTES (1024 * 1024) /* activation codes worked on at a time: about a core's cache */
#endif
enum {
    WORTH_A_THREAD = 1 << 16, /* products */
    STACK_BYTES = 1 << 15
};

/* How tiles meet tokens: packed with one after the other, packed with some, unpacked to scratch memory with some. */
typedef enum { ONE_BY_ONE, PACKED, UNPACKED } way;

typedef struct job job;
struct job {
    const layer *layer;
    const path *path;
    const call *call;
    const team *team;
    int64_t size, padded, chunks; /* input features of a group; with padding; in chunks */
    int64_t tiles, tile_bytes;    /* a tile holds all groups */
    int64_t stride;               /* bytes from one token's codes to the next one's */
    int64_t first, tokens;        /* of the block in hand */
    activations *activations;     /* (tokens, groups) */
    char *scratch;                /* one part a share */
    int64_t scratch_bytes;
    int64_t shares;
    void (*work)(const job *, int64_t share);
};

typedef struct {
    int64_t first, last;
} range;

static int64_t up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t width(int32_t type) { return type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 2; }
static int kernel_of(int32_t bits) { return bits == 1 ? 0 : bits == 2 ? 1 : bits == 4 ? 2 : 3; }

static way way_of(const layer *l, const path *p, int64_t tokens) {
    int packed = p->multiply_packed[kernel_of(l->bits)] != 0, free = packed || l->bits == 8;
    if (tokens <= (free ? 1 : FEW_TOKENS)) return ONE_BY_ONE;
    return packed && tokens <= p->packed_tokens ? PACKED : UNPACKED;
}

static range share_of(int64_t count, int64_t share, int64_t shares) {
    return (range){count * share / shares, count * (share + 1) / shares};
}

/* A thread takes every share that is its own, and those of threads that there are not. */
static void take_shares(void *data) {
    const job *j = data;
    for (int64_t s = j->team->thread(); s < j->shares; s += j->team->threads()) j->work(j, s);
}

static void carry_out(job *j, void (*work)(const job *, int64_t), int64_t shares) {
    j->work = work;
    j->shares = shares;
    if (shares > 1 && j->team && j->team->parallel)
        j->team->parallel(take_shares, j, (unsigned)shares, 0);
    else
        for (int64_t s = 0; s < shares; s++) work(j, s);
}

static void quantise_share(const job *j, int64_t share) {
    const layer *l = j->layer;
    range tokens = share_of(j->tokens, share, j->shares);
    for (int64_t m = tokens.first; m < tokens.last; m++)
        for (int64_t g = 0; g < l->groups; g++) {
            int64_t at = (j->first + m) * l->in_features + g * j->size;
            j->path->quantise((const char *)j->call->x + at * width(j->call->type), j->call->type, j->size, j->padded,
                              l->normalise, l->top, j->scratch + share * j->scratch_bytes,
                              &j->activations[m * l->groups + g]);
        }
}

/* Nothing is copied but what is padded: a small product takes no longer than that. */
static void correct(const job *j, int64_t g, int64_t tile, int tiles, correction *by) {
    const layer *l = j->layer;
    int64_t room = TILE * tiles, count = least(room, l->out_features - TILE * tile);
    by->factor = l->factor;
    by->offset = l->bits == 8 ? j->path->byte_offset : l->offset;
    by->row_scales = l->row_scales;
    by->first = g == 0;
    by->scale = j->call->scale + (l->row_scales ? g * l->out_features + TILE * tile : g);
    if (!l->row_scales || count == room) return;
    memset(by->padded, 0, sizeof by->padded);
    memcpy(by->padded, by->scale, (size_t)count * sizeof(float));
    by->scale = by->padded[0];
}

static void store(const job *j, int64_t m, int tokens, int64_t tile, int tiles, const float y[][2][TILE]) {
    int64_t n = j->layer->out_features, bytes = width(j->call->type);
    const float *bias = j->call->bias ? j->call->bias + TILE * tile : 0;
    j->path->store(y, tokens, least(TILE * tiles, n - TILE * tile), bias, (dtype)j->call->type,
                   (char *)j->call->y + ((j->first + m) * n + TILE * tile) * bytes, n * bytes);
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

/* In passes of about as many tokens each: a last pass of one token would take longer than its part of them all. */
static void multiply_range(const job *j, int64_t tile, int tiles, operand o, range token) {
    const path *p = j->path;
    int64_t tokens = token.last - token.first, passes = up(tokens, p->tokens) / p->tokens;
    int64_t pass = passes ? up(up(tokens, passes) / passes, p->block) : 0;
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

/* A share is some tiles with all tokens or, where there are few tiles, all tiles with some tokens. */
static void multiply_share(const job *j, int64_t share) {
    int64_t pairs = up(j->tiles, 2) / 2;
    int by_tiles = pairs >= j->shares;
    range pair = by_tiles ? share_of(pairs, share, j->shares) : (range){0, pairs};
    range tile = {2 * pair.first, least(2 * pair.last, j->tiles)};
    range token = by_tiles ? (range){0, j->tokens} : share_of(j->tokens, share, j->shares);
    way way = way_of(j->layer, j->path, token.last - token.first);
    if (way == ONE_BY_ONE)
        multiply_one_by_one(j, tile, token);
    else
        multiply_together(j, tile, token, way, (uint8_t *)j->scratch + share * j->scratch_bytes);
}

static int64_t shares_of(const job *j, int64_t work, int64_t parts) {
    return most(1, least(least(j->call->threads, parts), work / WORTH_A_THREAD));
}

static job job_of(const layer *l, const call *c, const path *p, const team *t) {
    job j = {.layer = l, .path = p, .call = c, .team = t};
    j.size = l->in_features / l->groups;
    j.chunks = up(j.size, 4 * (8 / l->bits)) / (4 * (8 / l->bits));
    j.padded = j.chunks * 4 * (8 / l->bits);
    j.tiles = up(l->out_features, TILE) / TILE;
    j.tile_bytes = l->groups * j.chunks * CHUNK;
    j.stride = up(l->groups * j.padded, CHUNK) + CHUNK; /* not a power of two: the tokens would share cache sets */
    j.tokens = least(c->tokens, most(p->tokens, BLOCK_BYTES / j.stride / p->tokens * p->tokens));
    int64_t unpacked = way_of(l, p, j.tokens) == UNPACKED && l->bits < 8 ? 2 * TILE * l->groups * j.padded : 0;
    int64_t widened = needs_scratch((dtype)c->type, l->normalise) ? (int64_t)sizeof(double) * j.size : 0;
    j.scratch_bytes = up(most(unpacked, widened), CHUNK);
    return j;
}

static int64_t codes_bytes(const job *j) {
    return (j->tokens + (way_of(j->layer, j->path, j->tokens) == UNPACKED ? j->path->spare : 0)) * j->stride;
}
static int64_t activations_bytes(const job *j) {
    return up(j->tokens * j->layer->groups * (int64_t)sizeof(activations), CHUNK);
}

static void lay_out(job *j, char *workspace) {
    int64_t groups = j->layer->groups;
    char *codes = workspace + activations_bytes(j);
    j->activations = (activations *)workspace;
    for (int64_t m = 0; m < j->tokens; m++)
        for (int64_t g = 0; g < groups; g++)
            j->activations[m * groups + g].codes = (int8_t *)codes + m * j->stride + g * j->padded;
    j->scratch = codes + codes_bytes(j);
}

static void multiply_blocks(job *j) {
    int64_t block = j->tokens;
    for (; j->first < j->call->tokens; j->first += block) {
        const layer *l = j->layer;
        j->tokens = least(block, j->call->tokens - j->first);
        carry_out(j, quantise_share, shares_of(j, j->tokens * l->in_features, j->tokens));
        int64_t parts = most(up(j->tiles, 2) / 2, j->tokens);
        carry_out(j, multiply_share, shares_of(j, j->tokens * l->in_features * l->out_features, parts));
    }
}

/* `x` `(tokens, in_features)` to `y` `(tokens, out_features)`, both of one type; `bias` may be null.
 *
 * Returns 0. Where the stack is too small to work in and `workspace` null, nothing is done and the bytes that it wants
 * are returned. */
EXPORT int64_t bitlinear_forward(const layer *l, const path *p, const team *t, const uint8_t *weights,
                                 const float *scale, const float *bias, const void *x, void *y, void *workspace,
                                 int64_t tokens, int32_t type, int32_t threads) {
    _Alignas(CHUNK) char stack[STACK_BYTES];
    call c = {weights, scale, bias, x, y, tokens, type, threads};
    job j = job_of(l, &c, p, t);
    int64_t wanted = activations_bytes(&j) + codes_bytes(&j) + threads * j.scratch_bytes;
    if (!workspace && wanted > STACK_BYTES) return wanted;
    lay_out(&j, workspace ? workspace : stack);
    multiply_blocks(&j);
    return 0;
}
