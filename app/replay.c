// replay.c - martingale replay: recorded episodes played again, and the first thing that differs.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/json.h"
#include "app/rollout_world.h"
#include "core/file.h"
#include "core/log.h"
#include "harness/attribution.h"
#include "rollout/replay.h"

#define EPISODES_MAX 1000000 // of one update

typedef struct wanted { // -1: any; the update from 1, as people count
    int64_t update, episode, attempt;
} wanted;

typedef struct replay {
    mg_rollout_world where;
    mg_store        *store;
    wanted           which;
    int64_t          played, differ;
    json_t          *rows; // of those that differ
} replay;

// "UPDATE", "UPDATE:EPISODE" or "UPDATE:EPISODE:ATTEMPT".
static mg_err parse_wanted(const char *text, wanted *w) {
    int64_t *const part[] = {&w->update, &w->episode, &w->attempt};
    const char    *at     = text;
    int            n      = 0;
    *w = (wanted){-1, -1, -1};
    while (n < 3 && '0' <= *at && *at <= '9') {
        char *end;
        errno      = 0;
        *part[n++] = strtoll(at, &end, 10);
        if (errno || w->update == 0) break; // beyond all numbers, or before them
        if (!*end) return MG_OK;
        at = *end == ':' ? end + 1 : "";
    }
    return mg_fail(MG_CONFIG, "replay: found '%s', wanted UPDATE, UPDATE:EPISODE or UPDATE:EPISODE:ATTEMPT, of which "
                              "the first update is 1", text);
}

static bool is_wanted(const wanted *w, const mg_episode *e) {
    return (w->episode < 0 || w->episode == e->start.episode) &&
           (w->attempt < 0 || w->attempt == e->start.attempt);
}

enum { SHOWN = 120 }; // bytes

// The beginning of a text that somebody else wrote, on one line of a terminal and without a say in it.
static void tell_text(const char *text, size_t size) {
    for (size_t i = 0; i < size && i < SHOWN; i++) putchar(iscntrl((unsigned char)text[i]) ? ' ' : text[i]);
}

// What was shown: numbers as such, of texts the beginning.
static void tell_seen(const mg_space *space, const mg_turn *t) {
    const int64_t n = (int64_t)(t->observation_size / sizeof(float));
    if (!t->observation) return;
    if (space->kind == MG_SPACE_VECTOR)
        for (int64_t i = 0; i < n && i < SHOWN / 10; i++) {
            float x;
            memcpy(&x, t->observation + sizeof x * (size_t)i, sizeof x);
            printf("%s%.9g", i > 0 ? " " : "", (double)x);
        }
    else
        tell_text(t->observation, t->observation_size);
}

// What a turn showed and earned, for the sentence.
static void tell(const mg_space *space, const char *when, const mg_episode *e, int32_t turn) {
    char reward[64] = "no reward";
    if (turn < 0 || turn >= e->n_turns) {
        printf("    %-9s %lld turns, %s%s%s\n", when, (long long)e->n_turns,
               e->terminated ? "terminated" : e->truncated ? "truncated" : "unfinished",
               e->code ? ", " : "", e->code ? e->code : "");
        return;
    }
    const mg_turn *t = &e->turns[turn];
    double         value;
    if (mg_reward_value(&t->reward, &value)) snprintf(reward, sizeof reward, "reward %.17g", value);
    printf("    %-9s saw '", when);
    tell_seen(space, t);
    printf("', said '");
    tell_text(t->action, t->action_size);
    printf("', %s\n", reward);
}

static void play(replay *x, int64_t update, const mg_episode *e) {
    mg_episode again;
    char       what[64] = "";
    const mg_rollout_world *w = &x->where;
    mg_replay(&w->how, e, &x->where.step, &again);
    const int32_t at = mg_episode_differs(e, &again, what);
    x->played++;
    if (at == -1) return;
    x->differ++;
    json_array_append_new(x->rows, json_pack("{s:I, s:I, s:I, s:i, s:s}", "update",
                                             (json_int_t)mg_update_number(update), "episode",
                                             (json_int_t)e->start.episode, "attempt",
                                             (json_int_t)e->start.attempt, "turn", at, "what", what));
    if (mg_json) return;
    printf("%lld:%u:%u differs %s%.0d: %s\n", mg_update_number(update), e->start.episode, e->start.attempt,
           at == MG_DIFFERS_RESET ? "after the reset" : "in turn ", at == MG_DIFFERS_RESET ? 0 : at + 1, what);
    tell(&w->how.class->observation, "recorded", e, at);
    tell(&w->how.class->observation, "now", &again, at);
}

static mg_err play_update(replay *x, int64_t update) {
    mg_episode *e;
    int64_t     n;
    mg_arena_reset(&x->where.step, 0);
    mg_err err = mg_store_episodes_read(x->store, update, update + 1, EPISODES_MAX, &x->where.step, &e, &n);
    for (int64_t i = 0; i < n && !err; i++)
        if (is_wanted(&x->which, &e[i])) play(x, update, &e[i]);
    return err;
}

static mg_err play_all(replay *x) {
    int64_t updates;
    mg_err  err = mg_store_updates(x->store, &updates);
    if (x->which.update > 0) return err ? err : play_update(x, x->which.update - 1);
    for (int64_t u = 0; u < updates && !err; u++)
        err = mg_stop ? mg_fail(MG_INTERRUPTED, "stopped after %lld episodes, of which %lld differ",
                                (long long)x->played, (long long)x->differ)
                      : play_update(x, u);
    return err;
}

static mg_err print(const replay *x) {
    if (mg_json)
        return mg_json_print(json_pack("{s:I, s:I, s:O}", "played", (json_int_t)x->played, "differ",
                                       (json_int_t)x->differ, "differences", x->rows));
    printf("%lld played again, %lld differ\n", (long long)x->played, (long long)x->differ);
    return MG_OK;
}

static int run_all(const char *folder, const char *episode) {
    replay x   = {.which = {-1, -1, -1}, .rows = json_array()};
    mg_err err = episode ? parse_wanted(episode, &x.which) : MG_OK;
    if (!err) err = mg_rollout_world_of_run(&x.where, folder);
    if (!err) err = mg_store_open(&x.store, mg_path(&x.where.arena, "%s/run.db", folder));
    if (!err) err = mg_store_verify(x.store); // what was changed by hand is no record to compare with
    if (!err) err = play_all(&x);
    if (!err && x.played == 0) err = mg_fail(MG_EMPTY, "%s: holds no such episode", folder);
    if (!err) err = print(&x);
    const mg_err closed = mg_store_close(x.store);
    mg_rollout_world_close(&x.where);
    json_decref(x.rows);
    return err || closed ? mg_exit_status(err ? err : closed) : x.differ ? MG_EXIT_NO : MG_EXIT_DONE;
}

static int run(int argc, char **argv) {
    mg_args         args;
    const mg_option options[] = {{0}};
    mg_err          err       = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale replay RUN [UPDATE[:EPISODE[:ATTEMPT]]]\n\n"
               "Checks the record's hashes, then plays its episodes again, the same resets and actions on a\n"
               "fresh environment, and names the first turn in which observation, reward, status or state\n"
               "differ. The first update is 1. Exit status 1: some do.\n");
        return MG_EXIT_DONE;
    }
    if (!err && (args.n_words < 1 || args.n_words > 2))
        err = mg_fail(MG_CONFIG, "replay: found %d words, wanted a run, and perhaps an episode", args.n_words);
    return err ? mg_exit_status(err) : run_all(args.words[0], args.n_words > 1 ? args.words[1] : NULL);
}

const mg_verb mg_verb_replay = {"replay", "RUN [UPDATE[:EPISODE[:ATTEMPT]]]",
                                "play recorded episodes again; say where they differ", run};
