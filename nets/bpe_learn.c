// bpe_learn.c - learning merges: count all pairs once, then keep the counts up to date.
//
// Candidates wait in a heap, each with the words it occurs in. A count may have changed since its
// candidate was pushed; then the candidate is pushed back with the count of now. A pair becomes a
// candidate once, in the step that makes the later one of its two tokens: after that its places in
// the words only become fewer.
#include <stdbool.h>
#include <string.h>

#include "nets/bpe.h"

typedef struct candidate {
    int64_t      count; // of the pair when last looked at
    mg_bpe_merge pair;
    int32_t      number; // of the pair
    int64_t      n, room;
    int32_t     *words; // [n] where it occurs, ascending
} candidate;

typedef struct candidates {
    candidate *all;
    int64_t    n, room;
} candidates;

typedef struct pair_state {
    int64_t count;
    int64_t fresh; // index of the candidate being gathered for it, or -1
} pair_state;

typedef struct learner {
    const mg_bpe_words *words;
    int64_t            *sizes; // [words->n] symbols left in each word
    mg_pairs            pairs;
    pair_state         *states; // [n_states], by the pair's number
    int64_t             n_states, states_room;
    candidates          heap;   // the best one first
    candidates          fresh;  // pairs that the merge under way makes
    mg_bpe_merge       *merges; // in order of rank
    int64_t             n_merges, merges_room;
    char               *spelling; // of the token being made
    size_t              spelling_room;
} learner;

static mg_err no_memory(void) { return mg_fail(MG_NOMEM, "learning merges"); }

// The array with room for an element more than n; NULL, and the array as it was, without memory.
static void *grown(void *array, int64_t *room, int64_t n, size_t element) {
    if (n < *room) return array;
    const int64_t wanted = 2 * n + 4;
    void         *larger = realloc(array, (size_t)wanted * element);
    if (larger) *room = wanted;
    return larger;
}

static bool better(const candidate *a, const candidate *b) {
    if (a->count != b->count) return a->count > b->count;
    if (a->pair.left != b->pair.left) return a->pair.left < b->pair.left;
    return a->pair.right < b->pair.right;
}

static mg_err heap_push(candidates *h, candidate c) {
    candidate *all = grown(h->all, &h->room, h->n, sizeof *all);
    if (!all) return no_memory();
    int64_t i = h->n++;
    for (; i > 0 && better(&c, &all[(i - 1) / 2]); i = (i - 1) / 2) all[i] = all[(i - 1) / 2];
    all[i] = c;
    h->all = all;
    return MG_OK;
}

static candidate heap_pop(candidates *h) {
    const candidate top = h->all[0], last = h->all[--h->n];
    int64_t         i   = 0;
    for (int64_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && better(&h->all[child + 1], &h->all[child])) child++;
        if (!better(&h->all[child], &last)) break;
        h->all[i] = h->all[child];
    }
    h->all[i] = last;
    return top;
}

static void candidates_release(candidates *c) {
    for (int64_t i = 0; i < c->n; i++) free(c->all[i].words);
    free(c->all);
}

// The word is one of those where the pair is fresh. Words come in ascending order.
static mg_err note_word(learner *l, mg_bpe_merge pair, int32_t number, int32_t word) {
    pair_state *state = &l->states[number];
    if (state->fresh < 0) {
        candidate *all = grown(l->fresh.all, &l->fresh.room, l->fresh.n, sizeof *all);
        if (!all) return no_memory();
        l->fresh.all           = all;
        state->fresh           = l->fresh.n;
        all[l->fresh.n++] = (candidate){.pair = pair, .number = number};
    }
    candidate *c = &l->fresh.all[state->fresh];
    if (c->n > 0 && c->words[c->n - 1] == word) return MG_OK;
    int32_t *words = grown(c->words, &c->room, c->n, sizeof *words);
    if (!words) return no_memory();
    c->words         = words;
    c->words[c->n++] = word;
    return MG_OK;
}

// The pair occurs `by` times more (or less) because of this word.
static mg_err count_pair(learner *l, int32_t left, int32_t right, int64_t by, int32_t word) {
    int32_t number;
    mg_err  err = mg_pairs_add(&l->pairs, left, right, &number);
    if (err) return err;
    if (number == l->n_states) {
        pair_state *states = grown(l->states, &l->states_room, l->n_states, sizeof *states);
        if (!states) return no_memory();
        states[l->n_states++] = (pair_state){.fresh = -1};
        l->states             = states;
    }
    l->states[number].count += by;
    return by > 0 ? note_word(l, (mg_bpe_merge){left, right}, number, word) : MG_OK;
}

// What was gathered becomes candidates, with the counts as they are now.
static mg_err push_fresh(learner *l) {
    while (l->fresh.n > 0) {
        candidate  *c     = &l->fresh.all[l->fresh.n - 1];
        pair_state *state = &l->states[c->number];
        state->fresh      = -1;
        c->count          = state->count;
        mg_err err        = c->count > 0 ? heap_push(&l->heap, *c) : MG_OK;
        if (err) return err;
        if (c->count <= 0) free(c->words); // made and unmade by the same merge
        l->fresh.n--;
    }
    return MG_OK;
}

static mg_err count_all(learner *l) {
    mg_err err = MG_OK;
    for (int64_t w = 0; !err && w < l->words->n; w++) {
        const int32_t *s = l->words->symbols + l->words->starts[w];
        l->sizes[w]      = l->words->starts[w + 1] - l->words->starts[w];
        for (int64_t i = 0; !err && i + 1 < l->sizes[w]; i++)
            err = count_pair(l, s[i], s[i + 1], l->words->counts[w], (int32_t)w);
    }
    return err ? err : push_fresh(l);
}

static mg_err merge_word(learner *l, int32_t word, mg_bpe_merge pair, int32_t merged) {
    int32_t      *s     = l->words->symbols + l->words->starts[word];
    const int64_t count = l->words->counts[word], n = l->sizes[word];
    int64_t       out   = 0;
    mg_err        err   = MG_OK;
    for (int64_t i = 0; !err && i < n; i++) {
        if (s[i] != pair.left || i + 1 == n || s[i + 1] != pair.right) {
            s[out++] = s[i];
            continue;
        }
        if (out > 0) {
            err = count_pair(l, s[out - 1], pair.left, -count, word);
            if (!err) err = count_pair(l, s[out - 1], merged, count, word);
        }
        if (!err && i + 2 < n) {
            err = count_pair(l, pair.right, s[i + 2], -count, word);
            if (!err) err = count_pair(l, merged, s[i + 2], count, word);
        }
        s[out++] = merged;
        i++;
    }
    l->sizes[word] = out;
    return err;
}

// The id of the merged token: a new one, unless the spelling is known.
static mg_err merged_id(learner *l, mg_strings *vocab, mg_bpe_merge pair, int32_t *id) {
    size_t      n_left, n_right;
    const char *left = mg_strings_get(vocab, pair.left, &n_left);
    const char *right = mg_strings_get(vocab, pair.right, &n_right);
    if (n_left + n_right > l->spelling_room) {
        char *larger = realloc(l->spelling, 2 * (n_left + n_right));
        if (!larger) return no_memory();
        l->spelling      = larger;
        l->spelling_room = 2 * (n_left + n_right);
    }
    memcpy(l->spelling, left, n_left);
    memcpy(l->spelling + n_left, right, n_right);
    return mg_strings_add(vocab, l->spelling, n_left + n_right, id);
}

static mg_err record_merge(learner *l, mg_bpe_merge pair) {
    mg_bpe_merge *merges = grown(l->merges, &l->merges_room, l->n_merges, sizeof *merges);
    if (!merges) return no_memory();
    l->merges             = merges;
    merges[l->n_merges++] = pair;
    return MG_OK;
}

// Merges the candidate's pair in all its words.
static mg_err merge(learner *l, mg_strings *vocab, const candidate *c) {
    int32_t merged;
    mg_err  err = merged_id(l, vocab, c->pair, &merged);
    if (!err) err = record_merge(l, c->pair);
    for (int64_t i = 0; !err && i < c->n; i++) err = merge_word(l, c->words[i], c->pair, merged);
    return err ? err : push_fresh(l);
}

static mg_err learn(learner *l, mg_strings *vocab, int32_t vocab_size) {
    mg_err err  = count_all(l);
    bool   done = false;
    while (!err && !done && vocab->n < vocab_size && l->heap.n > 0) {
        candidate     c     = heap_pop(&l->heap);
        const int64_t count = l->states[c.number].count;
        if (c.count != count) {
            c.count = count;
            err     = heap_push(&l->heap, c); // into the room it left: cannot fail
            continue;
        }
        done = count < 1; // of all that are left
        if (!done) err = merge(l, vocab, &c);
        free(c.words);
    }
    return err;
}

mg_err mg_bpe_learn(mg_strings *vocab, const mg_bpe_words *words, int32_t vocab_size,
                    mg_bpe_merge **merges, int64_t *n) {
    learner l = {.words = words};
    l.sizes   = malloc((size_t)(words->n + 1) * sizeof *l.sizes);
    mg_err err = l.sizes ? learn(&l, vocab, vocab_size) : no_memory();
    if (!err) {
        *merges = l.merges;
        *n      = l.n_merges;
    } else free(l.merges);
    candidates_release(&l.heap);
    candidates_release(&l.fresh);
    mg_pairs_release(&l.pairs);
    free(l.states);
    free(l.sizes);
    free(l.spelling);
    return err;
}
