/* Activations that are not quantised by weight codes: sums of floats, scaled. */
#include "job.h"

static void widen_share(const job *j, int64_t share) {
    const layer *l = j->layer;
    range tokens = share_of(j->tokens, share, j->shares);
    for (int64_t m = tokens.first; m < tokens.last; m++)
        for (int64_t g = 0; g < l->groups; g++)
            j->path->widen(input_of(j, m, g), (dtype)j->call->type, j->size, j->padded, l->normalise,
                           scratch_of(j, share), (float *)(j->operands + m * j->stride) + g * j->padded);
}

static void weigh_tile(const job *j, int64_t tile, int64_t m, int tokens) {
    float y[MOST_TOKENS][2][TILE], sums[MOST_TOKENS][TILE];
    correction by;
    for (int64_t g = 0; g < j->layer->groups; g++) {
        const uint8_t *weights = j->call->weights + tile * j->tile_bytes + g * j->chunks * CHUNK;
        const float *x = (const float *)(j->operands + m * j->stride) + g * j->padded;
        memset(sums, 0, (size_t)tokens * sizeof sums[0]);
        j->path->weigh[kernel_of(j->layer->bits)](weights, x, j->stride, tokens, j->chunks, sums);
        correct(j, g, tile, 1, &by);
        j->path->scale(sums, tokens, &by, y);
    }
    store(j, m, tokens, tile, 1, y);
}

static void weigh_share(const job *j, int64_t share) {
    portion p = portion_of(j, share);
    int64_t pass = pass_of(p.token.last - p.token.first, j->path->float_tokens);
    for (int64_t t = p.tile.first; t < p.tile.last; t++)
        for (int64_t m = p.token.first; m < p.token.last; m += pass)
            weigh_tile(j, t, m, (int)least(pass, p.token.last - m));
}

static void plan(job *j) {
    int normalises_doubles = j->layer->normalise && j->call->type == FLOAT64;
    j->scratch_bytes = normalises_doubles ? (int64_t)sizeof(double) * j->size : 0;
}

const arithmetic of_floats = {sizeof(float), plan, widen_share, weigh_share};
