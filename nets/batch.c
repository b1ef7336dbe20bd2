// batch.c - laying sequences out flat, and what each of them may look at.
#include "nets/batch.h"

#include <string.h>

void mg_batch_init(mg_batch *b, mg_arena *arena, int64_t tokens_max, int64_t sequences_max) {
    *b           = (mg_batch){.tokens_max = tokens_max, .sequences_max = sequences_max};
    b->tokens    = MG_NEW(arena, int32_t, tokens_max);
    b->positions = MG_NEW(arena, int32_t, tokens_max);
    b->sequences = MG_NEW(arena, mg_sequence, sequences_max);
}

int32_t mg_batch_add(mg_batch *b, const int32_t *tokens, int64_t n, int32_t parent) {
    MG_ASSERT(n >= 1 && n <= b->tokens_max - b->n_tokens);
    MG_ASSERT(b->n_sequences < b->sequences_max);
    MG_ASSERT(parent >= -1 && parent < b->n_sequences);
    mg_sequence *s = &b->sequences[b->n_sequences];
    *s = (mg_sequence){.row = b->n_tokens, .n = n, .parent = parent};
    if (parent >= 0) s->position = b->sequences[parent].position + (int32_t)b->sequences[parent].n;
    memcpy(b->tokens + s->row, tokens, sizeof *tokens * (size_t)n);
    for (int64_t i = 0; i < n; i++) b->positions[s->row + i] = s->position + (int32_t)i;
    b->n_tokens += n;
    return (int32_t)b->n_sequences++;
}

static int32_t depth(const mg_batch *b, int32_t s) {
    int32_t d = 1;
    while ((s = b->sequences[s].parent) >= 0) d++;
    return d;
}

// A family is a root and all that descend from it: they share its keys. Families are numbered in
// order of their roots; a parent comes before its children, so one pass finds them.
void mg_batch_plan(mg_batch *b, mg_arena *arena) {
    const int64_t   n      = b->n_sequences;
    int32_t        *family = MG_NEW(arena, int32_t, n);
    int64_t        *first  = MG_NEW(arena, int64_t, n + 1); // per family, into groups
    mg_query_group *groups = MG_NEW(arena, mg_query_group, n);
    int64_t         n_spans = 0, n_families = 0;
    for (int32_t s = 0; s < n; s++) {
        family[s] = b->sequences[s].parent < 0 ? (int32_t)n_families++
                                               : family[b->sequences[s].parent];
        first[family[s] + 1]++;
        n_spans += depth(b, s);
    }
    for (int64_t f = 0; f < n_families; f++) first[f + 1] += first[f];

    mg_key_span *spans = MG_NEW(arena, mg_key_span, n_spans);
    int32_t      at    = 0;
    for (int32_t s = 0; s < n; s++) {
        const int32_t d = depth(b, s);
        groups[first[family[s]]++] = (mg_query_group){b->sequences[s].row, b->sequences[s].n, at, d,
                                                      family[s]};
        at += d;
        for (int32_t up = s, i = at - 1; up >= 0; up = b->sequences[up].parent, i--)
            spans[i] = (mg_key_span){b->sequences[up].row, b->sequences[up].n};
    }
    b->plan = (mg_attention_plan){groups, spans, n, n_families};
}
