/* Activations that are not quantised by weight codes: sums of floats, scaled. */
#include "job.h"

#ifndef DECODED_TOKENS
#define DECODED_TOKENS 64 /* that a block of such floats meets */
#endif

static const uint8_t *chunks_of(const job *j, int64_t tile, int64_t g) {
    return j->call->weights + tile * j->tile_bytes + g * j->chunks * CHUNK;
}

static float *floats_of(const job *j, int64_t m, int64_t g) {
    return (float *)(j->operands + m * j->stride) + g * j->padded;
}

static void widen_share(const job *j, int64_t share) {
    const layer *l = j->layer;
    range tokens = share_of(j->tokens, share, j->shares);
    for (int64_t m = tokens.first; m < tokens.last; m++)
        for (int64_t g = 0; g < l->groups; g++)
            j->path->widen(input_of(j, m, g), (dtype)j->call->type, j->size, j->padded, l->normalise,
                           scratch_of(j, share), floats_of(j, m, g));
}

/* Scales the sums of a group. */
static void add_group(const job *j, int64_t g, int64_t tile, int tokens, const float sums[][TILE],
                      float y[][2][TILE]) {
    correction by;
    correct(j, g, tile, 1, &by);
    j->path->scale(sums, tokens, &by, y);
}

/* A packed tile with as many tokens as a path takes: codes become floats in registers. */
static void weigh_packed(const job *j, int64_t tile, int64_t m, int tokens) {
    float y[MOST_TOKENS][2][TILE], sums[MOST_TOKENS][TILE];
    for (int64_t g = 0; g < j->layer->groups; g++) {
        memset(sums, 0, (size_t)tokens * sizeof sums[0]);
        j->path->weigh[kernel_of(j->layer->bits)](chunks_of(j, tile, g), floats_of(j, m, g), j->stride, tokens,
                                                  j->chunks, sums);
        add_group(j, g, tile, tokens, sums, y);
    }
    store(j, m, tokens, tile, 1, y);
}

/* Adds what the chunks of a block contribute to some tokens. */
static void weigh_block(const job *j, const uint8_t *packed, const float *x, int64_t chunks, int tokens,
                        float sums[][TILE]) {
    const path *p = j->path;
    float values[FLOAT_BLOCK][TILE];
    int64_t pass = pass_of(tokens, p->float_tokens);
    p->decode[kernel_of(j->layer->bits)](packed, chunks, values[0]);
    for (int64_t m = 0; m < tokens; m += pass)
        p->weigh_decoded(values[0], (const float *)((const char *)x + m * j->stride), j->stride,
                         (int)least(pass, tokens - m), chunks, j->padded / j->chunks, sums + m);
}

/* A tile with many tokens: codes become floats once for all of them, a block at a time. */
static void weigh_in_blocks(const job *j, int64_t tile, int64_t m, int tokens) {
    float y[DECODED_TOKENS][2][TILE], sums[DECODED_TOKENS][TILE];
    int64_t features = j->padded / j->chunks, block = FLOAT_BLOCK / features;
    for (int64_t g = 0; g < j->layer->groups; g++) {
        const uint8_t *packed = chunks_of(j, tile, g);
        const float *x = floats_of(j, m, g);
        memset(sums, 0, (size_t)tokens * sizeof sums[0]);
        for (int64_t c = 0; c < j->chunks; c += block)
            weigh_block(j, packed + CHUNK * c, x + features * c, least(block, j->chunks - c), tokens, sums);
        add_group(j, g, tile, tokens, sums, y);
    }
    store(j, m, tokens, tile, 1, y);
}

static void weigh_share(const job *j, int64_t share) {
    portion p = portion_of(j, share);
    int64_t tokens = p.token.last - p.token.first;
    int few = tokens <= j->path->float_tokens;
    int64_t pass = pass_of(tokens, few ? j->path->float_tokens : DECODED_TOKENS);
    for (int64_t t = p.tile.first; t < p.tile.last; t++)
        for (int64_t m = p.token.first; m < p.token.last; m += pass)
            (few ? weigh_packed : weigh_in_blocks)(j, t, m, (int)least(pass, p.token.last - m));
}

static void plan(job *j) {
    int normalises_doubles = j->layer->normalise && j->call->type == FLOAT64;
    j->scratch_bytes = normalises_doubles ? (int64_t)sizeof(double) * j->size : 0;
}

const arithmetic of_floats = {sizeof(float), plan, widen_share, weigh_share};
