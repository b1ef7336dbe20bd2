// counting.h - for tests: a text world of several turns that can be photographed.
//
// It shows a sum; what is said is mixed into it; after COUNTING_TURNS turns it is over. The sum begins
// with the seed alone, so that a demonstration of one item is true of all. Some items misbehave. A turn
// is worth 1 where the new sum is even, and 0 where not.
#ifndef MG_ROLLOUT_COUNTING_H
#define MG_ROLLOUT_COUNTING_H
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env/env.h"

enum { COUNTING_TURNS = 4 };
enum { // items
    COUNTING_GOOD, COUNTING_OTHER, COUNTING_ENDS, COUNTING_STEP_FAILS, COUNTING_RESTORE_FAILS,
    COUNTING_RESTORE_LIES, COUNTING_RESTORES_ELSEWHERE, COUNTING_SNAPSHOT_FAILS, COUNTING_ITEMS
};

typedef struct counted { // what a snapshot holds
    int64_t  item, turn;
    uint32_t sum;
    uint32_t padding;
} counted;

typedef struct counting {
    counted  now;
    char     shown[32], key[32]; // the observation, and the key of the evidence
    mg_touch touch;
    int     *held;               // owned memory outside, as a database would be
} counting;

static int      counting_opened, counting_closed, counting_steps;
static uint64_t counting_seed; // of the last reset

static mg_err counting_open(mg_env *e) {
    counting *c = e->state;
    c->held     = malloc(sizeof *c->held);
    counting_opened++;
    return c->held ? MG_OK : mg_fail(MG_NOMEM, "an int");
}

static void counting_close(mg_env *e) {
    free(((counting *)e->state)->held);
    counting_closed++;
}

static mg_value counting_show(counting *c) {
    snprintf(c->shown, sizeof c->shown, "sum %u", c->now.sum);
    return (mg_value){.kind = MG_SPACE_TEXT, .text = c->shown, .size = strlen(c->shown)};
}

static mg_err counting_reset(mg_env *e, uint64_t seed, const mg_reset_options *o, int64_t now,
                             mg_value *seen) {
    (void)now;
    counting *c   = e->state;
    counting_seed = seed;
    if (o->item < 0 || o->item >= COUNTING_ITEMS || o->prefix)
        return mg_fail(MG_CONFIG, "counting: no such start");
    c->now = (counted){.item = o->item, .sum = (uint32_t)(seed % 1000)};
    *seen  = counting_show(c);
    return MG_OK;
}

static mg_err counting_step(mg_env *e, const mg_value *action, int64_t now, mg_transition *out) {
    (void)now;
    counting *c = e->state;
    counting_steps++;
    e->fault = NULL;
    if (c->now.item == COUNTING_STEP_FAILS && c->now.turn == 1) {
        e->fault = "E.capacity";
        return mg_fail(MG_LIMIT, "the abacus is full");
    }
    for (size_t i = 0; i < action->size; i++)
        c->now.sum = (c->now.sum * 31 + (uint8_t)action->text[i]) % 1000;
    c->now.turn++;
    snprintf(c->key, sizeof c->key, "sum/%u", c->now.sum);
    c->touch = (mg_touch){.key = c->key, .wrote = true, .after = c->now.sum + 1};
    *out     = (mg_transition){
            .observation = counting_show(c), .reward = mg_reward_of(c->now.sum % 2 == 0),
            .terminated  = c->now.turn == (c->now.item == COUNTING_ENDS ? 1 : COUNTING_TURNS),
            .evidence    = {.action = "add", .status = MG_STATUS_OK, .touched = &c->touch, .n_touched = 1}};
    return MG_OK;
}

static void counting_digest(const mg_env *e, uint8_t out[32]) {
    const counting *c = e->state;
    SHA256((const uint8_t *)&c->now, sizeof c->now, out);
}

static mg_err counting_snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    const counting *c = e->state;
    if (c->now.item == COUNTING_SNAPSHOT_FAILS) return mg_fail(MG_IO, "no film");
    *n     = sizeof c->now;
    *bytes = memcpy(mg_arena_alloc(arena, *n), &c->now, *n);
    return MG_OK;
}

static mg_err counting_restore(mg_env *e, const void *bytes, size_t n, mg_value *seen) {
    counting *c = e->state;
    if (n != sizeof c->now) return mg_fail(MG_CORRUPT, "%zu bytes", n);
    memcpy(&c->now, bytes, n);
    if (c->now.item == COUNTING_RESTORE_FAILS) return mg_fail(MG_CORRUPT, "a blurred picture");
    *seen = counting_show(c);
    if (c->now.item == COUNTING_RESTORE_LIES) seen->text = "sum none";
    if (c->now.item == COUNTING_RESTORES_ELSEWHERE) c->now.turn--;
    return MG_OK;
}

static mg_err counting_oracle(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)rng;
    static const char *const words[] = {"add 0", "add 1", "add 2", "add 3"};
    const char *word = words[((const counting *)e->state)->now.sum % 4];
    *action          = (mg_value){.kind = MG_SPACE_TEXT, .text = word, .size = strlen(word)};
    return MG_OK;
}

static mg_err counting_floor(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    *action = (mg_value){.kind = MG_SPACE_TEXT, .text = letters + mg_rng_below(rng, 26), .size = 1};
    return MG_OK;
}

static mg_err counting_lost(const mg_env *e, mg_rng *rng, mg_value *action) {
    (void)e, (void)rng, (void)action;
    return mg_fail(MG_UNSUPPORTED, "nobody knows what to do");
}

static const mg_script counting_scripts[] = {{"oracle", "adds", counting_oracle},
                                             {"floor", "says a letter", counting_floor},
                                             {"lost", "does not know", counting_lost},
                                             {0}};

static const mg_env_class counting_class = {
    .name = "counting", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(counting), .steps_max = 50, .reset = counting_reset, .step = counting_step,
    .digest = counting_digest, .open = counting_open, .close = counting_close,
    .snapshot = counting_snapshot, .restore = counting_restore, .scripts = counting_scripts};
#endif
