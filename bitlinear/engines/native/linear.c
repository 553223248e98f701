/* The whole operation: prepare the activations, multiply, rescale, add the bias. */
#include "job.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef BLOCK_BYTES
#define BLOCK_BYTES (1024 * 1024) /* operands worked on at a time: about a core's cache */
#endif
enum {
    WORTH_A_THREAD = 1 << 16, /* products */
    STACK_BYTES = 1 << 15
};

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
    j.arithmetic = l->top ? &of_codes : &of_floats;
    int64_t operands = j.arithmetic->operand * l->groups * j.padded, pass = l->top ? p->tokens : p->float_tokens;
    j.stride = up(operands, CHUNK) + CHUNK; /* not a power of two: the tokens would share cache sets */
    j.tokens = least(c->tokens, most(pass, BLOCK_BYTES / j.stride / pass * pass));
    j.arithmetic->plan(&j);
    j.scratch_bytes = up(j.scratch_bytes, CHUNK);
    return j;
}

static int64_t operand_bytes(const job *j) { return (j->tokens + j->spare) * j->stride; }

static int64_t activations_bytes(const job *j) {
    return j->layer->top ? up(j->tokens * j->layer->groups * (int64_t)sizeof(activations), CHUNK) : 0;
}

static void lay_out(job *j, char *workspace) {
    j->activations = (activations *)workspace;
    j->operands = workspace + activations_bytes(j);
    j->scratch = j->operands + operand_bytes(j);
}

static void multiply_blocks(job *j) {
    int64_t block = j->tokens;
    for (; j->first < j->call->tokens; j->first += block) {
        const layer *l = j->layer;
        j->tokens = least(block, j->call->tokens - j->first);
        carry_out(j, j->arithmetic->prepare, shares_of(j, j->tokens * l->in_features, j->tokens));
        int64_t parts = most(up(j->tiles, 2) / 2, j->tokens);
        carry_out(j, j->arithmetic->multiply, shares_of(j, j->tokens * l->in_features * l->out_features, parts));
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
    int64_t wanted = activations_bytes(&j) + operand_bytes(&j) + threads * j.scratch_bytes;
    if (!workspace && wanted > STACK_BYTES) return wanted;
    lay_out(&j, workspace ? workspace : stack);
    multiply_blocks(&j);
    return 0;
}
