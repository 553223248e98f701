/* The paths that this library was compiled with and this processor has. */
#include <string.h>

#include "kernels.h"

#if defined(__x86_64__)
extern const path avx512_path, avx2_path;
#if HAVE_AMX
extern const path amx_path;
extern int amx_present(void);
#endif
#elif defined(__aarch64__)
extern const path neon_path;
#if defined(__linux__)
#include <sys/auxv.h>
enum { ASIMDDP = 1 << 20 }; /* HWCAP_ASIMDDP */
#endif
#endif
extern const path plain_path;

#if HAVE_AMX
enum { FOURS = 19 }; /* input features of a problem that fills some registers and not the last */

static void fill(void *bytes, size_t count, uint32_t state) {
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        ((uint8_t *)bytes)[i] = (uint8_t)(state >> 24);
    }
}

/* Whether the sums are those of plain C: asked of instructions that this code has not met on hardware. */
static int agrees(const path *p) {
    static const int counts[][2] = {{7, 1}, {32, 2}};
    uint8_t weights[2][FOURS * CHUNK];
    int8_t codes[MOST_TOKENS][4 * FOURS];
    int32_t found[MOST_TOKENS][2][TILE], expected[MOST_TOKENS][2][TILE];
    char kept[64];
    fill(weights, sizeof weights, 1);
    fill(codes, sizeof codes, 2);
    memset(found, 0, sizeof found);
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < 2; i++) {
        int tokens = counts[i][0], tiles = counts[i][1];
        p->enter(kept);
        p->multiply[0](weights[0], sizeof weights[0], tiles, codes[0], sizeof codes[0], tokens, FOURS, found);
        p->leave(kept);
        plain_path.multiply[0](weights[0], sizeof weights[0], tiles, codes[0], sizeof codes[0], tokens, FOURS,
                               expected);
        for (int m = 0; m < tokens; m++)
            if (memcmp(found[m], expected[m], (size_t)tiles * sizeof found[m][0])) return 0;
    }
    return 1;
}
#endif

static int has(const path *p) {
#if HAVE_AMX
    if (p == &amx_path) return has(&avx512_path) && amx_present() && agrees(p);
#endif
#if defined(__x86_64__)
    if (p == &avx512_path) return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
    if (p == &avx2_path) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__) && defined(__linux__)
    if (p == &neon_path) return (getauxval(AT_HWCAP) & ASIMDDP) != 0;
#endif
    return p != 0; /* every Apple processor has the dot product */
}

/* The path called `name`, or null where it cannot run. */
__attribute__((visibility("default"))) const path *bitlinear_path(const char *name) {
    static const path *const all[] = {
#if HAVE_AMX
        &amx_path,
#endif
#if defined(__x86_64__)
        &avx512_path, &avx2_path,
#elif defined(__aarch64__)
        &neon_path,
#endif
        &plain_path,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0) return has(all[i]) ? all[i] : 0;
    return 0;
}
