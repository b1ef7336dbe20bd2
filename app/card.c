// card.c - martingale card: what a logged data set is like, before anything is learnt from it.
#include "app/card.h"

#include <ctype.h>
#include <math.h>

#include "app/app.h"
#include "app/vectors.h"
#include "store/logged.h"

#define ARENA_MAX  ((size_t)64 << 30) // address space
#define TEXT_SHOWN 400                // bytes of a word, in what people read
#define KEY_WIDTH  19                 // "environment_version"

static json_t *spread_json(const mg_spread *s) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mean", mg_json_number(s->mean), "deviation",
                     mg_json_number(s->deviation), "low", mg_json_number(s->low), "q10", mg_json_number(s->q10),
                     "median", mg_json_number(s->median), "q90", mg_json_number(s->q90), "high",
                     mg_json_number(s->high));
}

static json_t *range_json(const float *low, const float *high, int64_t n) {
    json_t *out = json_array();
    for (int64_t k = 0; k < n; k++)
        json_array_append_new(out, json_pack("[f, f]", (double)low[k], (double)high[k]));
    return out;
}

// What is no UTF-8 is null.
static json_t *words_json(const mg_logged_word *words) {
    json_t *out = json_object();
    for (const mg_logged_word *w = words; w && w->key; w++) {
        json_t *text = json_string(w->text);
        json_object_set_new(out, w->key, text ? text : json_null());
    }
    return out;
}

json_t *mg_card_json(const char *path, const mg_data_card *c, const mg_logged_word *words, const char *const *says,
                     int n) {
    json_t *sentences = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(sentences, json_string(says[i]));
    return json_pack(
        "{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:s, s:o, s:o, "
        "s:o, s:o, s:o}",
        "file", path, "world", c->world, "rows", (json_int_t)c->rows, "transitions", (json_int_t)c->transitions, "obs",
        (json_int_t)c->obs, "act", (json_int_t)c->act, "episodes", (json_int_t)c->episodes, "finished",
        (json_int_t)c->finished, "terminals", (json_int_t)c->terminals, "timeouts", (json_int_t)c->timeouts, "return",
        spread_json(&c->returns), "length", spread_json(&c->lengths), "score",
        c->scored ? spread_json(&c->scores) : json_null(), "sample_size", mg_json_number(c->sample_size), "cells",
        (json_int_t)c->cells, "cell_rows", (json_int_t)c->cell_rows, "action_spread", mg_json_number(c->action_spread),
        "action_uniform", mg_json_number(c->action_uniform), "action_bounds", c->action_bounded ? "world" : "data",
        "observations", range_json(c->observation_low, c->observation_high, c->obs), "actions",
        range_json(c->action_low, c->action_high, c->act), "rewards", range_json(&c->reward_low, &c->reward_high, 1),
        "says", sentences, "made", words_json(words));
}

static void print_spread(const char *name, const mg_spread *s) {
    printf("  %-14s %.5g +- %.4g; 10 %% .. 90 %% of them %.5g .. %.5g; lowest %.5g, highest %.5g\n", name, s->mean,
           s->deviation, s->q10, s->q90, s->low, s->high);
}

// Over all numbers of a vector.
static void print_range(const char *name, const float *low, const float *high, int64_t n) {
    float a = low[0], b = high[0];
    for (int64_t k = 1; k < n; k++) a = fminf(a, low[k]), b = fmaxf(b, high[k]);
    printf("  %-14s %.5g .. %.5g\n", name, (double)a, (double)b);
}

// A stranger's words, for a terminal. Returns how many bytes they took.
static int print_clean(const char *text) {
    int n = 0;
    for (; text[n] && n < TEXT_SHOWN; n++) putchar(iscntrl((unsigned char)text[n]) ? ' ' : text[n]);
    if (text[n]) fputs(" ...", stdout);
    return n;
}

static void print_words(const mg_logged_word *words) {
    if (words && words->key) puts("\nmade, as the file says (metadata/):");
    for (const mg_logged_word *w = words; w && w->key; w++) {
        fputs("  ", stdout);
        for (int n = print_clean(w->key); n < KEY_WIDTH; n++) putchar(' ');
        putchar(' ');
        print_clean(w->text);
        putchar('\n');
    }
}

void mg_card_print(const char *path, const mg_data_card *c, const mg_logged_word *words, const char *const *says,
                   int n) {
    printf("%s%s%s: %lld rows, observations of %lld numbers, actions of %lld\n", path, c->world ? ", " : "",
           c->world ? c->world : "", (long long)c->rows, (long long)c->obs, (long long)c->act);
    printf("  %-14s %lld, of which %lld finished; %lld rows terminal, %lld at a timeout; %lld transitions to learn "
           "from\n", "episodes", (long long)c->episodes, (long long)c->finished, (long long)c->terminals,
           (long long)c->timeouts, (long long)c->transitions);
    print_spread("return", &c->returns);
    if (c->scored) print_spread("score", &c->scores);
    print_spread("length", &c->lengths);
    if (isfinite(c->sample_size))
        printf("  %-14s %.0f independent rows, by the autocorrelation of rewards\n", "sample size", c->sample_size);
    printf("  %-14s %lld occupied by %lld rows\n", "cells", (long long)c->cells, (long long)c->cell_rows);
    printf("  %-14s %.3f (drawn evenly in %.5g..%.5g, %s: %.3f)\n", "action spread", c->action_spread, c->action_min,
           c->action_max, c->action_bounded ? "the world's bounds" : "what the data have", c->action_uniform);
    print_range("observations", c->observation_low, c->observation_high, c->obs);
    print_range("actions", c->action_low, c->action_high, c->act);
    print_range("rewards", &c->reward_low, &c->reward_high, 1);
    print_words(words);
    putchar('\n');
    for (int i = 0; i < n; i++) printf("* %s\n", says[i]);
}

static mg_err card(const char *path, const char *world) {
    const mg_env_class *class;
    mg_arena            arena;
    mg_logged           l;
    mg_data_card        c;
    const char         *says[MG_CARD_WORDS];
    mg_err              err = mg_arena_init(&arena, "card", ARENA_MAX);
    if (err) return err;
    err = mg_logged_read(path, &arena, &l);
    if (!err) err = mg_vectors_world(path, &l, world, "--world", &class);
    if (!err) {
        mg_data_card_make(&l, world, class ? &class->action : NULL, &arena, &c);
        const int n = mg_data_card_says(&c, &arena, says);
        if (mg_json)
            err = mg_json_print(mg_card_json(path, &c, l.words, says, n));
        else
            mg_card_print(path, &c, l.words, says, n);
    }
    mg_arena_release(&arena);
    return err;
}

static int run(int argc, char **argv) {
    const char     *world = NULL;
    mg_args         args;
    const mg_option options[] = {
        {"world", &world, NULL, "NAME  whose data it is, where the file does not say: gives normalised scores"}, {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale card FILE.hdf5|FOLDER [--world NAME]\n\n"
               "How much there is in a logged data set of vectors (D4RL's layout or Minari's), how diverse it is,\n"
               "and what that says of fine-tuning from it. store/data_card.h defines each number.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words != 1)
        err = mg_fail(MG_CONFIG, "card: found %d data sets, wanted one; see --help", args.n_words);
    if (!err) err = card(args.words[0], world);
    return mg_exit_status(err);
}

const mg_verb mg_verb_card = {"card", "FILE.hdf5|FOLDER", "what a logged data set is like", run};
