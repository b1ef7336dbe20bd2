// reproduce_drpo.c - where do resets into reference answers help? DR-PO (Chang et al. 2024,
// arXiv:2404.08495) against PPO, in several worlds.
#include "app/reproduce_drpo.h"

static const mg_question *const questions[] = {&mg_drpo_synopsis, &mg_drpo_desk, &mg_drpo_lock, NULL};

// The paper's claim where it was put to the test: contrasts that differ in resets alone, and what counts.
static const struct {
    const char *claim, *metric, *where;
} tests[] = {
    {"drpo-0.5 minus ppo", "gold", "synopses, half of the episodes reset"},
    {"drpo-1 minus ppo", "gold", "synopses, all of them"},
    {"drpo-1-sft minus ppo", "gold", "synopses, all reset into the starting policy's own texts"},
    {"drpo-0.5-human minus ppo-human", "gold", "synopses, half reset, people's texts in the reward model's pairs"},
    {"drpo-1-human minus ppo-human", "gold", "synopses, all reset, people's texts in the reward model's pairs"},
    {"drpo-0.5-long minus ppo-long", "gold", "synopses, half reset, many more episodes"},
    {"desk-drpo-0.5 minus desk-ppo", "success", "the desk, half of the episodes reset"},
    {"desk-drpo-1 minus desk-ppo", "success", "the desk, all of them"},
    {"desk-weak-drpo-0.5 minus desk-weak-ppo", "success", "the desk from the weaker policy, half reset"},
};

typedef enum outcome { HOLDS, FAILS, OPEN, OUTCOMES } outcome;

static outcome outcome_of(const json_t *row) {
    if (!json_is_true(json_object_get(row, "decided"))) return OPEN;
    return json_number_value(json_object_get(row, "estimate")) > 0 ? HOLDS : FAILS;
}

static void tell_tests(const json_t *rows, FILE *text) {
    static const char *const words[OUTCOMES] = {
        [HOLDS] = "It holds, the interval lies above zero:", [FAILS] = "It fails, the interval lies below zero:",
        [OPEN]  = "It is not decided:"};
    for (outcome o = 0; o < OUTCOMES; o++) {
        int n = 0;
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
            const json_t *row = mg_reproduce_row(rows, tests[i].claim, tests[i].metric);
            const json_t *low = json_object_get(row, "low");
            if (!row || outcome_of(row) != o) continue;
            if (n++ == 0) fprintf(text, "\n%s\n\n", words[o]);
            fprintf(text, "- %s: %s %+.3f", tests[i].where, tests[i].metric,
                    json_number_value(json_object_get(row, "estimate")));
            if (json_is_number(low))
                fprintf(text, " (%+.3f to %+.3f)", json_number_value(low),
                        json_number_value(json_object_get(row, "high")));
            fprintf(text, ", %lld seed%s\n", (long long)json_integer_value(json_object_get(row, "seeds")),
                    json_integer_value(json_object_get(row, "seeds")) == 1 ? "" : "s");
        }
    }
}

static mg_err tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) {
    mg_map_square squares[MG_MAP_SQUARES];
    bool          any = false;
    (void)folder;
    fprintf(text, "\n## Where the claim holds\n\nThe claim: with the same settings, episodes that start inside "
                  "references make a better policy than none\nthat do.\n");
    tell_tests(rows, text);
    mg_drpo_map_read(rows, arena, squares);
    for (int i = 0; i < MG_MAP_SQUARES; i++) any |= squares[i].seeds > 0;
    if (!any) return MG_OK;
    fprintf(text, "\n## What decides it\n\nOn the locks, where what could decide it is varied at will: the gain "
                  "in the chance to open one, split by what\n"
                  "explains most of how the squares of the map differ, up to three times, as long as it explains "
                  "something.\n\n");
    mg_map_explain(text, squares, MG_MAP_SQUARES, 3);
    return MG_OK;
}

const mg_grid mg_grid_drpo = {"drpo", "where do resets into reference answers help?", questions, tell};
