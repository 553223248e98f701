/* AMX: one instruction multiplies 16 tokens with 16 output features over 64 input features.
 *
 * A tile of weights is what `unpack` writes: 16 rows of 64 bytes, four input features of 16 output features a row. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for syscall */
#endif
#include "kernels.h"

#if HAVE_AMX
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX __attribute__((target("amx-tile,amx-int8")))

enum { ROWS = 16, BYTES = 64, REGISTERS = 8 };
enum { PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM and the state that it asks for */
enum { LEAF = 7, TILES = 1 << 24, INT8 = 1 << 25 };

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} configuration;

/* Linux lets a process use these registers once it has asked. */
static int permitted(void) {
    unsigned a, b, c, features = 0;
    if (!__get_cpuid_count(LEAF, 0, &a, &b, &c, &features)) return 0;
    return features & TILES && features & INT8 && syscall(SYS_arch_prctl, PERMISSION, TILE_DATA) == 0;
}

int amx_present(void) {
#ifdef AMX_EMULATED /* by the tests, whose machines do not have it */
    return 1;
#else
    return permitted();
#endif
}

AMX void amx_enter(void *kept) {
    configuration all = {.palette = 1};
    for (int i = 0; i < REGISTERS; i++) {
        all.bytes[i] = BYTES;
        all.rows[i] = ROWS;
    }
    _tile_storeconfig(kept);
    __asm__ volatile("" ::"r"(&all) : "memory"); /* the intrinsic does not say that it reads 64 bytes */
    _tile_loadconfig(&all);
}

AMX void amx_leave(const void *kept) { _tile_loadconfig(kept); }

/* Adds 64 input features to the sums in registers 0 to 3: tokens 0-15 and 16-31, with the first and the second tile. */
AMX ALWAYS void step(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                     int tokens) {
    _tile_loadd(4, codes, stride);
    _tile_loadd(6, bytes, BYTES);
    _tile_dpbsud(0, 4, 6);
    if (tiles == 2) {
        _tile_loadd(7, bytes + tile_bytes, BYTES);
        _tile_dpbsud(1, 4, 7);
    }
    if (tokens > ROWS) {
        _tile_loadd(5, codes + ROWS * stride, stride);
        _tile_dpbsud(2, 5, 6);
        if (tiles == 2) _tile_dpbsud(3, 5, 7);
    }
}

/* The last `fours` of a group, fewer than a step, beside zeros. */
AMX static void last_step(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                          int tokens, int64_t fours) {
    uint8_t weights[2][ROWS][BYTES] = {{{0}}};
    int8_t rows[2 * ROWS][BYTES] = {{0}};
    for (int t = 0; t < tiles; t++) memcpy(weights[t], bytes + t * tile_bytes, (size_t)(BYTES * fours));
    for (int m = 0; m < tokens; m++) memcpy(rows[m], codes + m * stride, (size_t)(4 * fours));
    __asm__ volatile("" ::"r"(weights), "r"(rows) : "memory"); /* the intrinsics do not say that they read */
    step(weights[0][0], sizeof weights[0], tiles, rows[0], BYTES, tokens);
}

AMX void amx_multiply(const uint8_t *bytes, int64_t tile_bytes, int tiles, const int8_t *codes, int64_t stride,
                      int tokens, int64_t fours, int32_t sums[][2][TILE]) {
    const int64_t row = sizeof sums[0];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; fours >= ROWS; fours -= ROWS, bytes += ROWS * BYTES, codes += BYTES)
        step(bytes, tile_bytes, tiles, codes, stride, tokens);
    if (fours) last_step(bytes, tile_bytes, tiles, codes, stride, tokens, fours);
    _tile_stored(0, sums[0][0], row);
    if (tiles == 2) _tile_stored(1, sums[0][1], row);
    if (tokens <= ROWS) return;
    _tile_stored(2, sums[ROWS][0], row);
    if (tiles == 2) _tile_stored(3, sums[ROWS][1], row);
}
#endif
