// arena.c - a bump allocator over one reserved mapping.
#include "core/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64 };

mg_err mg_arena_init(mg_arena *a, const char *name, size_t size_max) {
    MG_ASSERT(size_max > 0);
    void *base = mmap(NULL, size_max, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return mg_fail(MG_NOMEM, "arena %s: reserve %zu bytes: %s", name, size_max,
                       strerror(errno));
    madvise(base, size_max, MADV_HUGEPAGE); // a hint: fewer faults, and no harm where refused
    *a = (mg_arena){.name = name, .base = base, .size_max = size_max};
    return MG_OK;
}

void mg_arena_release(mg_arena *a) {
    if (a->base) munmap(a->base, a->size_max);
    *a = (mg_arena){0};
}

void *mg_arena_alloc_raw(mg_arena *a, size_t size) {
    MG_ASSERT(a->base);
    size_t take = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (take < size || take > a->size_max - a->used) {
        fprintf(stderr, "arena %s: %zu bytes wanted, %zu of %zu used\n", a->name, size, a->used,
                a->size_max);
        abort();
    }
    void *p = a->base + a->used;
    a->used += take;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

void *mg_arena_alloc(mg_arena *a, size_t size) {
    void *p = mg_arena_alloc_raw(a, size);
    memset(p, 0, size);
    return p;
}

mg_arena mg_arena_part(mg_arena *a, size_t size) {
    MG_ASSERT(size > 0);
    return (mg_arena){.name = a->name, .base = mg_arena_alloc_raw(a, size), .size_max = size};
}

char *mg_arena_strdup(mg_arena *a, const char *s) {
    size_t size = strlen(s) + 1;
    return memcpy(mg_arena_alloc_raw(a, size), s, size);
}

void mg_arena_reset(mg_arena *a, size_t mark) {
    MG_ASSERT(mark <= a->used);
    a->used = mark;
}
