// reproduce_drpo.c - where do resets into reference answers help? DR-PO (Chang et al. 2024,
// arXiv:2404.08495) against PPO, in several worlds.
#include "app/reproduce_drpo.h"

static const mg_question *const questions[] = {&mg_drpo_synopsis, &mg_drpo_desk, &mg_drpo_lock, NULL};

// A contrast that differs in resets alone, and what counts.
typedef struct test {
    const char *claim, *metric, *where;
} test;

// The paper's claim where it was put to the test.
static const test tests[] = {
    {"drpo-0.5 minus ppo", "gold", "synopses, half of the episodes reset"},
    {"drpo-1 minus ppo", "gold", "synopses, all of them"},
    {"drpo-0.5-human minus ppo-human", "gold", "synopses, half reset, people's texts in the reward model's pairs"},
    {"drpo-1-human minus ppo-human", "gold", "synopses, all reset, people's texts in the reward model's pairs"},
    {"drpo-0.5-long minus ppo-long", "gold", "synopses, half reset, many more episodes"},
    {"desk-drpo-0.5 minus desk-ppo", "success", "the desk, half of the episodes reset"},
    {"desk-drpo-1 minus desk-ppo", "success", "the desk, all of them"},
    {"desk-weak-drpo-0.5 minus desk-weak-ppo", "success", "the desk from the weaker policy, half reset"},
};
static const test control = {"drpo-1-sft minus ppo", "gold", "synopses, all of the episodes reset"};

#define TESTS (int)(sizeof tests / sizeof *tests)

typedef enum outcome { HOLDS, FAILS, OPEN, ONE_SEED, OUTCOMES } outcome;

static outcome outcome_of(const json_t *row) {
    if (json_is_null(json_object_get(row, "low"))) return ONE_SEED;
    if (!json_is_true(json_object_get(row, "decided"))) return OPEN;
    return json_number_value(json_object_get(row, "estimate")) > 0 ? HOLDS : FAILS;
}

static const json_t *row_of(const json_t *rows, const test *t) { return mg_reproduce_row(rows, t->claim, t->metric); }

static void tell_test(const json_t *row, const test *t, FILE *text) {
    const json_t   *low   = json_object_get(row, "low");
    const long long seeds = json_integer_value(json_object_get(row, "seeds"));
    fprintf(text, "- %s: %s %+.3f", t->where, t->metric, json_number_value(json_object_get(row, "estimate")));
    if (json_is_number(low))
        fprintf(text, " (%+.3f to %+.3f)", json_number_value(low), json_number_value(json_object_get(row, "high")));
    fprintf(text, ", %lld seed%s\n", seeds, seeds == 1 ? "" : "s");
}

static void tell_tests(const json_t *rows, FILE *text) {
    static const char *const words[OUTCOMES] = {
        [HOLDS] = "It holds, the interval lies above zero:", [FAILS] = "It fails, the interval lies below zero:",
        [OPEN]  = "It is not decided, the interval holds zero:", [ONE_SEED] = "One seed, which decides nothing:"};
    int n[OUTCOMES] = {0};
    for (int i = 0; i < TESTS; i++)
        if (row_of(rows, &tests[i])) n[outcome_of(row_of(rows, &tests[i]))]++;
    const int decidable = n[HOLDS] + n[FAILS] + n[OPEN];
    if (decidable)
        fprintf(text, "Tested %d time%s at 5 %% each; about %.2g would be decided by chance alone.\n", decidable,
                decidable == 1 ? "" : "s", 0.05 * decidable);
    for (outcome o = 0; o < OUTCOMES; o++) {
        if (n[o]) fprintf(text, "\n%s\n\n", words[o]);
        for (int i = 0; i < TESTS; i++) {
            const json_t *row = row_of(rows, &tests[i]);
            if (row && outcome_of(row) == o) tell_test(row, &tests[i], text);
        }
    }
    if (row_of(rows, &control)) {
        fprintf(text, "\nA control, and no test of the claim: resets into the starting policy's own texts instead of "
                      "references.\n\n");
        tell_test(row_of(rows, &control), &control, text);
    }
}

static mg_err tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) {
    mg_map_square squares[MG_MAP_SQUARES];
    mg_err        err = mg_drpo_map_read(folder, rows, arena, squares);
    if (err) return err;
    fprintf(text, "\n## Where the claim holds\n\nThe claim: with the same settings, episodes that start inside "
                  "references make a better policy than none\nthat do. ");
    tell_tests(rows, text);
    if (mg_map_seeds(squares, MG_MAP_SQUARES) < 2) return MG_OK;
    fprintf(text, "\n## What it goes with\n\n");
    mg_map_tell(text, squares, MG_MAP_SQUARES);
    return MG_OK;
}

const mg_grid mg_grid_drpo = {"drpo", "where do resets into reference answers help?", questions, tell};
