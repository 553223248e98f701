/* Runs problems from stdin through one path, in buffers that nothing may be read or written beyond.
 *
 * usage: driver PATH heap|start|end; `heap` for a sanitizer, else a page without access before or behind each buffer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for MAP_ANONYMOUS */
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct {
    int64_t in_features, out_features, groups;
    int32_t bits, factor, offset, row_scales, normalise, top;
} layer;

typedef struct {
    layer layer;
    int64_t tokens;
    int32_t type, threads;
    int64_t bytes[5]; /* of weights, scale, bias, x, y */
} problem;

const void *bitlinear_path(const char *name);
int64_t bitlinear_forward(const layer *, const void *path, const void *team, const void *weights, const void *scale,
                          const void *bias, const void *x, void *y, void *workspace, int64_t tokens, int32_t type,
                          int32_t threads);

enum { PAGE = 65536 }; /* the largest page that any Linux uses */

static void *buffer(size_t bytes, const char *where) {
    if (strcmp(where, "heap") == 0) return malloc(bytes ? bytes : 1);
    size_t room = (bytes + PAGE - 1) / PAGE * PAGE + 2 * PAGE;
    char *all = mmap(0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all, PAGE, PROT_NONE) || mprotect(all + room - PAGE, PAGE, PROT_NONE)) exit(2);
    return strcmp(where, "start") == 0 ? all + PAGE : all + room - PAGE - bytes;
}

static int64_t forward(const problem *p, const void *path, char *parts[5], void *workspace) {
    return bitlinear_forward(&p->layer, path, 0, parts[0], parts[1], p->bytes[2] ? parts[2] : 0, parts[3], parts[4],
                             workspace, p->tokens, p->type, p->threads);
}

int main(int count, char **words) {
    const void *path = count == 3 ? bitlinear_path(words[1]) : 0;
    if (!path) {
        fprintf(stderr, "no such path on this processor\n");
        return 3;
    }
    problem p;
    while (fread(&p, sizeof p, 1, stdin) == 1) {
        char *parts[5];
        for (int i = 0; i < 5; i++) {
            parts[i] = buffer((size_t)p.bytes[i], words[2]);
            if (i < 4 && p.bytes[i] && fread(parts[i], (size_t)p.bytes[i], 1, stdin) != 1) return 2;
        }
        int64_t wanted = forward(&p, path, parts, 0);
        void *workspace = wanted ? buffer((size_t)wanted, words[2]) : 0;
        if (wanted) forward(&p, path, parts, workspace);
        fwrite(parts[4], (size_t)p.bytes[4], 1, stdout);
        if (strcmp(words[2], "heap") == 0) {
            for (int i = 0; i < 5; i++) free(parts[i]);
            free(workspace);
        }
    }
    return 0;
}
