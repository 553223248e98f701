/* The paths that this library was compiled with and this processor has. */
#include <string.h>

#include "kernels.h"

#if defined(__x86_64__)
extern const path avx512_path, avx2_path;
#elif defined(__aarch64__)
extern const path neon_path;
#if defined(__linux__)
#include <sys/auxv.h>
enum { ASIMDDP = 1 << 20 }; /* HWCAP_ASIMDDP */
#endif
#endif
extern const path plain_path;

static int has(const path *p) {
#if defined(__x86_64__)
    if (p == &avx512_path) return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
    if (p == &avx2_path) return __builtin_cpu_supports("avx2");
#elif defined(__aarch64__) && defined(__linux__)
    if (p == &neon_path) return (getauxval(AT_HWCAP) & ASIMDDP) != 0;
#endif
    return p != 0; /* every Apple processor has the dot product */
}

/* The path called `name`, or null where it cannot run. */
__attribute__((visibility("default"))) const path *bitlinear_path(const char *name) {
    static const path *const all[] = {
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
