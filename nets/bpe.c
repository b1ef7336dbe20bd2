// bpe.c - applying merges: a scan for short words, a heap for long ones.
//
// A word of natural text has some five symbols, where scanning is faster: 1 MB of mixed scripts is
// encoded at 26 MB/s, with the heap alone at 18. A run of a million letters is one word too, and
// must not take n^2 steps.
#include "nets/bpe.h"

#include <string.h>

enum {
    SHORT_MAX = 32, // words of up to so many symbols are scanned (16 to 128: the same speed)
    NONE      = -1,
};

void mg_bpe_release(mg_bpe *b) {
    mg_pairs_release(&b->ranks);
    free(b->merged);
    b->merged = NULL;
}

static int64_t apply_short(const mg_bpe *b, int32_t *ids, int64_t n) {
    uint32_t rank[SHORT_MAX]; // of the pair (i, i + 1); without a merge UINT32_MAX
    for (int64_t i = 0; i + 1 < n; i++)
        rank[i] = (uint32_t)mg_pairs_find(&b->ranks, ids[i], ids[i + 1]);
    while (n > 1) {
        int64_t best = 0;
        for (int64_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == (uint32_t)NONE) break;
        ids[best] = b->merged[rank[best]];
        n--;
        for (int64_t i = best + 1; i < n; i++) ids[i] = ids[i + 1];
        for (int64_t i = best + 1; i + 1 < n; i++) rank[i] = rank[i + 1];
        if (best > 0) rank[best - 1] = (uint32_t)mg_pairs_find(&b->ranks, ids[best - 1], ids[best]);
        if (best + 1 < n) rank[best] = (uint32_t)mg_pairs_find(&b->ranks, ids[best], ids[best + 1]);
    }
    return n;
}

// A min-heap of (rank, position) in one number, and the word as a doubly linked list.
typedef struct long_word {
    const mg_bpe *bpe;
    int32_t      *ids, *next, *prev; // NONE at the ends
    int32_t      *rank;              // of the pair that starts here; NONE: no merge, or gone
    uint64_t     *heap;              // rank << 32 | position; stale when rank[position] differs
    int64_t       n_heap;
} long_word;

// n - 1 pairs at first, and each of at most n - 1 merges makes two.
size_t mg_bpe_scratch(int64_t n) {
    return n <= SHORT_MAX ? 0 : (size_t)n * (3 * sizeof(int32_t) + 3 * sizeof(uint64_t));
}

static void heap_push(long_word *w, uint64_t x) {
    int64_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2] > x; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = x;
}

static uint64_t heap_pop(long_word *w) {
    const uint64_t top = w->heap[0], x = w->heap[--w->n_heap];
    int64_t        i   = 0;
    for (int64_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= x) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = x;
    return top;
}

static void rank_pair(long_word *w, int32_t at) {
    const int32_t next = w->next[at];
    w->rank[at] = next == NONE ? NONE : mg_pairs_find(&w->bpe->ranks, w->ids[at], w->ids[next]);
    if (w->rank[at] != NONE) heap_push(w, (uint64_t)w->rank[at] << 32 | (uint32_t)at);
}

static int64_t apply_long(const mg_bpe *b, int32_t *ids, int64_t n, void *scratch) {
    uint64_t *heap  = scratch;
    int32_t  *lists = (int32_t *)(heap + 3 * n);
    long_word w = {.bpe = b, .ids = ids, .heap = heap,
                   .next = lists, .prev = lists + n, .rank = lists + 2 * n};
    for (int32_t i = 0; i < n; i++) w.prev[i] = i - 1, w.next[i] = i + 1 < n ? i + 1 : NONE;
    for (int32_t i = 0; i < n; i++) rank_pair(&w, i);

    while (w.n_heap > 0) {
        const uint64_t top  = heap_pop(&w);
        const int32_t  rank = (int32_t)(top >> 32), at = (int32_t)(uint32_t)top;
        if (w.rank[at] != rank) continue;
        const int32_t gone = w.next[at];
        ids[at]            = b->merged[rank];
        w.rank[gone]       = NONE;
        w.next[at]         = w.next[gone];
        if (w.next[at] != NONE) w.prev[w.next[at]] = at;
        if (w.prev[at] != NONE) rank_pair(&w, w.prev[at]);
        rank_pair(&w, at);
    }
    int64_t left = 0;
    for (int32_t i = 0; i != NONE; i = w.next[i]) ids[left++] = ids[i];
    return left;
}

int64_t mg_bpe_apply(const mg_bpe *b, int32_t *ids, int64_t n, void *scratch) {
    MG_ASSERT(n <= INT32_MAX);
    return n <= SHORT_MAX ? apply_short(b, ids, n) : apply_long(b, ids, n, scratch);
}
