/* The AMX instructions that `amx.c` uses, in C, by Intel's description of them: for machines without AMX.
 *
 * Included before the sources, it takes the place of the intrinsics. It shows that the kernel addresses and multiplies what
 * it should, not that a processor takes its configuration. */
#if defined(__x86_64__) && !defined(AMX_EMULATED)
#define AMX_EMULATED 1
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* which the sources would ask for too late */
#endif
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef EMULATED_SIGN /* the test of a processor that multiplies wrongly gives another type */
#define EMULATED_SIGN (int8_t)
#endif

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} emulated_configuration;

typedef struct {
    uint8_t row[16][64];
} emulated_tile;

static _Thread_local emulated_configuration emulated_now;
static _Thread_local emulated_tile emulated_tiles[8];

/* A processor answers a tile that is not configured, or a wrong configuration, with a signal. */
static inline void emulated_need(int held) {
    if (!held) abort();
}

static inline void emulated_load_configuration(const void *from) {
    memcpy(&emulated_now, from, sizeof emulated_now);
    memset(emulated_tiles, 0, sizeof emulated_tiles);
    emulated_need(emulated_now.palette <= 1 && emulated_now.start_row == 0);
    for (int i = 0; i < 16; i++)
        emulated_need(emulated_now.bytes[i] <= (i < 8 ? 64 : 0) && emulated_now.rows[i] <= (i < 8 ? 16 : 0));
}

static inline void emulated_load(int tile, const void *from, int64_t stride) {
    emulated_need(emulated_now.palette == 1 && emulated_now.rows[tile] > 0);
    memset(&emulated_tiles[tile], 0, sizeof emulated_tiles[tile]);
    for (int r = 0; r < emulated_now.rows[tile]; r++)
        memcpy(emulated_tiles[tile].row[r], (const char *)from + r * stride, emulated_now.bytes[tile]);
}

static inline void emulated_store(int tile, void *to, int64_t stride) {
    emulated_need(emulated_now.palette == 1 && emulated_now.rows[tile] > 0);
    for (int r = 0; r < emulated_now.rows[tile]; r++)
        memcpy((char *)to + r * stride, emulated_tiles[tile].row[r], emulated_now.bytes[tile]);
}

/* TDPBSUD: 32-bit sums += signed bytes of `a` times unsigned bytes of `b`, four at a time. */
static inline void emulated_multiply(int sums, int a, int b) {
    emulated_need(emulated_now.bytes[a] / 4 == emulated_now.rows[b] && emulated_now.rows[sums] == emulated_now.rows[a]);
    for (int m = 0; m < emulated_now.rows[sums]; m++)
        for (int n = 0; n < emulated_now.bytes[sums] / 4; n++) {
            int32_t sum;
            memcpy(&sum, emulated_tiles[sums].row[m] + 4 * n, sizeof sum);
            for (int k = 0; k < emulated_now.bytes[a]; k++)
                sum += EMULATED_SIGN emulated_tiles[a].row[m][k] * (int32_t)emulated_tiles[b].row[k / 4][4 * n + k % 4];
            memcpy(emulated_tiles[sums].row[m] + 4 * n, &sum, sizeof sum);
        }
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbsud
#define _tile_loadconfig emulated_load_configuration
#define _tile_storeconfig(to) memcpy(to, &emulated_now, sizeof emulated_now)
#define _tile_loadd emulated_load
#define _tile_stored emulated_store
#define _tile_zero(tile) memset(&emulated_tiles[tile], 0, sizeof emulated_tiles[tile])
#define _tile_dpbsud emulated_multiply
#endif
