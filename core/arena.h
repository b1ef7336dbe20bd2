// arena.h - memory by lifetime: one arena for a run, one for a step, one for a request.
//
// An arena reserves address space once and hands it out front to back; pages become real when
// first touched and stay, so a step that fits in what an earlier step touched allocates nothing.
// Threads: one owner at a time.
#ifndef MG_CORE_ARENA_H
#define MG_CORE_ARENA_H
#include <stddef.h>

#include "core/err.h"

typedef struct mg_arena {
    const char *name;     // for the message when it is full
    char       *base;     // owned mapping
    size_t      size_max; // bytes reserved
    size_t      used;     // bytes handed out
    size_t      peak;     // largest `used` so far
} mg_arena;

// Reserves size_max bytes of address space. Error: MG_NOMEM.
mg_err mg_arena_init(mg_arena *a, const char *name, size_t size_max) MG_MUST_USE;
void   mg_arena_release(mg_arena *a); // empty or zeroed arena: no effect

// Zeroed memory, 64-byte aligned (one cache line, one AVX-512 register); valid until the arena is
// reset below it. Never NULL: outgrowing size_max is a broken program, because every size that a
// user can ask for is limited before (tokens per batch, length of a text).
void *mg_arena_alloc(mg_arena *a, size_t size);

// The same without zeroing, for buffers that are wholly written before they are read.
void *mg_arena_alloc_raw(mg_arena *a, size_t size);

// An arena of `size` bytes inside another, such as a worker's own. Borrowed: it ends when the other
// is reset below it, and is never released.
mg_arena mg_arena_part(mg_arena *a, size_t size);

#define MG_NEW(arena, type, n) ((type *)mg_arena_alloc((arena), sizeof(type) * (size_t)(n)))

// A copy of the string, owned by the arena.
char *mg_arena_strdup(mg_arena *a, const char *s);

// `used` now, to hand back to mg_arena_reset: stack discipline inside one lifetime.
static inline size_t mg_arena_mark(const mg_arena *a) { return a->used; }
void                 mg_arena_reset(mg_arena *a, size_t mark); // mark 0: everything
#endif
