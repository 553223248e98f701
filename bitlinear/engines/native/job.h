/* One call in hand: what is to be done, in which parts, and with which memory. */
#ifndef BITLINEAR_JOB_H
#define BITLINEAR_JOB_H

#include <string.h>

#include "kernels.h"

/* A weight code is `factor * stored - offset`. */
typedef struct {
    int64_t in_features, out_features, groups;
    int32_t bits; /* of a stored code: 1, 2, 4 or 8 */
    int32_t factor, offset;
    int32_t row_scales; /* scale has the shape (groups, out_features), else (groups) */
    int32_t normalise;
    int32_t top; /* the largest activation code; 0 where activations are not quantised */
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

typedef struct job job;

/* How codes of weights meet activations: with codes of them in integers.c, with floats in weight_only.c. */
typedef struct {
    int64_t operand;                              /* bytes of an activation */
    void (*plan)(job *);                          /* sets `spare` and `scratch_bytes` */
    void (*prepare)(const job *, int64_t share);  /* the operands of some tokens */
    void (*multiply)(const job *, int64_t share); /* some tiles with all tokens, or all tiles with some */
} arithmetic;

extern const arithmetic of_codes, of_floats;

struct job {
    const arithmetic *arithmetic;
    const layer *layer;
    const path *path;
    const call *call;
    const team *team;
    int64_t size, padded, chunks; /* input features of a group; with padding; in chunks */
    int64_t tiles, tile_bytes;    /* a tile holds all groups */
    int64_t stride;               /* bytes from one token's operands to the next one's */
    int64_t first, tokens;        /* of the block in hand */
    int64_t spare;                /* tokens that may be read, and not used, behind the last */
    activations *activations;     /* (tokens, groups), of codes */
    char *operands;               /* (tokens, groups, padded): codes, or floats where they are not quantised */
    char *scratch;                /* one part a share */
    int64_t scratch_bytes;
    int64_t shares;
    void (*work)(const job *, int64_t share);
};

typedef struct {
    int64_t first, last;
} range;

static inline int64_t up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t width(int32_t type) { return type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 2; }
static inline int kernel_of(int32_t bits) { return bits == 1 ? 0 : bits == 2 ? 1 : bits == 4 ? 2 : 3; }

static inline range share_of(int64_t count, int64_t share, int64_t shares) {
    return (range){count * share / shares, count * (share + 1) / shares};
}

/* The first input feature of a group of a token. */
static inline const void *input_of(const job *j, int64_t m, int64_t g) {
    int64_t at = (j->first + m) * j->layer->in_features + g * j->size;
    return (const char *)j->call->x + at * width(j->call->type);
}

/* Nothing is copied but what is padded: a small product takes no longer than that. */
static inline void correct(const job *j, int64_t g, int64_t tile, int tiles, correction *by) {
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

static inline void store(const job *j, int64_t m, int tokens, int64_t tile, int tiles, const float y[][2][TILE]) {
    int64_t n = j->layer->out_features, bytes = width(j->call->type);
    const float *bias = j->call->bias ? j->call->bias + TILE * tile : 0;
    j->path->store(y, tokens, least(TILE * tiles, n - TILE * tile), bias, (dtype)j->call->type,
                   (char *)j->call->y + ((j->first + m) * n + TILE * tile) * bytes, n * bytes);
}

/* A share is some tiles, in pairs, with all tokens or, where there are few tiles, all tiles with some tokens. */
typedef struct {
    range tile, token;
} portion;

static inline portion portion_of(const job *j, int64_t share) {
    int64_t pairs = up(j->tiles, 2) / 2;
    int by_tiles = pairs >= j->shares;
    range pair = by_tiles ? share_of(pairs, share, j->shares) : (range){0, pairs};
    range token = by_tiles ? (range){0, j->tokens} : share_of(j->tokens, share, j->shares);
    return (portion){{2 * pair.first, least(2 * pair.last, j->tiles)}, token};
}

static inline char *scratch_of(const job *j, int64_t share) { return j->scratch + share * j->scratch_bytes; }

/* Passes of about as many tokens each: a last pass of one token would take longer than its part of them all. */
static inline int64_t pass_of(int64_t tokens, int64_t most_tokens) {
    int64_t passes = up(tokens, most_tokens) / most_tokens;
    return passes ? up(tokens, passes) / passes : 0;
}

#endif
