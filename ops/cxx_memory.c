// cxx_memory.c - C++'s operator new, for the library behind products: small blocks are kept.
//
// Every execution of a oneDNN 2.6 primitive builds a std::unordered_map of its arguments
// (src/common/primitive_exec_types.cpp): half a dozen small blocks per product, taken from the C
// library's malloc and given back. No call of its C interface goes another way, so a step that is to
// allocate nothing has to hand these blocks out itself. C++ lets a program replace its operator new
// and operator delete ([replacement.functions]), also from C: all other forms, for arrays, with a
// size, without exceptions, call these two.
//
// A thread keeps what it gives back, by size, and takes from there first. Large blocks, and the
// first of a kind, are malloc's. What a thread keeps when it ends, a few blocks, is lost. Where there
// is no memory the program ends, also in the form without exceptions, which oneDNN uses too and which
// else gives NULL: C cannot throw what that form would catch. With a sanitizer there is none of this:
// it has an operator new that looks for mistakes.
#include "ops/cxx_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void mg_cxx_memory_use(void) {}

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                             \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer) &&                           \
    !HAS_FEATURE(memory_sanitizer)

enum {
    STEP  = 16, // bytes between sizes, and of the head before a block: operator new aligns to it
    SIZES = 32, // blocks of up to 511 bytes are kept,
    KEPT  = 64, // so many of each
};

typedef union block {
    struct {
        size_t       size; // in steps
        union block *next; // among those kept
    };
    char head[STEP];
} block;

static _Thread_local struct {
    block *first;
    int    n;
} kept[SIZES + 1];

void *operator_new(size_t size) __asm__("_Znwm");
void  operator_delete(void *p) __asm__("_ZdlPv");

void *operator_new(size_t size) {
    const size_t steps = size / STEP + 1;
    if (steps <= SIZES && kept[steps].first) {
        block *b          = kept[steps].first;
        kept[steps].first = b->next;
        kept[steps].n--;
        return b + 1;
    }
    block *b = size <= PTRDIFF_MAX ? malloc(STEP * (steps + 1)) : NULL;
    if (!b) {
        fprintf(stderr, "cxx_memory.c: %zu bytes wanted\n", size);
        abort();
    }
    b->size = steps;
    return b + 1;
}

void operator_delete(void *p) {
    if (!p) return;
    block *b = (block *)p - 1;
    if (b->size > SIZES || kept[b->size].n == KEPT) {
        free(b);
        return;
    }
    b->next             = kept[b->size].first;
    kept[b->size].first = b;
    kept[b->size].n++;
}
#endif
