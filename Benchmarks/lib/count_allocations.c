// SPDX-License-Identifier: Apache-2.0
// Preloaded by Benchmarks/parse.sh: adds up the bytes a process asks the allocator for.
#include <stddef.h>

extern void *__libc_malloc(size_t count);
extern void *__libc_calloc(size_t count, size_t width);
extern void *__libc_realloc(void *block, size_t count);
extern void *__libc_memalign(size_t alignment, size_t count);

static _Thread_local long allocated __attribute__((tls_model("initial-exec")));

long benchmark_allocated_bytes(void) { return allocated; }

void *malloc(size_t count) {
    allocated += count;
    return __libc_malloc(count);
}

void *calloc(size_t count, size_t width) {
    allocated += count * width;
    return __libc_calloc(count, width);
}

void *realloc(void *block, size_t count) {
    allocated += count;
    return __libc_realloc(block, count);
}

void *aligned_alloc(size_t alignment, size_t count) {
    allocated += count;
    return __libc_memalign(alignment, count);
}

int posix_memalign(void **block, size_t alignment, size_t count) {
    allocated += count;
    *block = __libc_memalign(alignment, count);
    return *block ? 0 : 12;
}
