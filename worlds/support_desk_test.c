// Goal:   the desk is a fair game: every task can be solved by looking and only by fixing, quality is
//         paid in order, and what is said of the state is what the state holds.
// Method: all tasks with the scripts; single games with their rewards worked out by hand; the database
//         asked by statements of the test's own.
#include "worlds/support_desk.h"

#include <math.h>

#include "env/manifest.h"
#include "worlds/support_desk_play.h"

static mg_arena arena;
static desk     one, two;

static int setup(void **state) {
    (void)state;
    assert_int_equal(mg_arena_init(&arena, "test", 64 << 20), MG_OK);
    one = two = (desk){0};
    desk_open(&one, &arena);
    desk_open(&two, &arena);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    mg_env_close(&one.env);
    mg_env_close(&two.env);
    mg_arena_release(&arena);
    return 0;
}

static mg_rng draws(uint64_t id) { return mg_rng_stream(11, MG_PURPOSE_TEST, id); }

static played play(desk *d, const char *script, uint64_t seed, int64_t item) {
    mg_rng rng = draws((uint64_t)item);
    played p;
    desk_begin(d, seed, item);
    desk_play(d, script, &rng, NULL, &p);
    return p;
}

// ---- a fair game

static void the_oracle_earns_everything_on_every_task(void **state) {
    (void)state;
    assert_int_equal(one.env.class->items(&one.env), 2000);
    for (int64_t item = 0; item < 2000; item++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            const played p = play(&one, "oracle", 3 * (uint64_t)item + seed, item);
            assert_true(p.paid == 1.0);
            assert_int_equal(p.held, 3);
        }
}

static void quality_is_paid_in_order_on_every_task(void **state) {
    (void)state;
    static const char *const rungs[] = {"floor", "partial", "good", "oracle"};
    for (int64_t item = 0; item < 2000; item++) {
        double below = -1;
        for (int i = 0; i < 4; i++) {
            const double paid = play(&one, rungs[i], (uint64_t)item, item).paid;
            assert_true(paid >= below + 0.01 - 1e-12);
            assert_true(i > 0 || paid == 0);
            below = paid;
        }
    }
}

// Evidence and reward look at the books on ways of their own.
static void an_outcome_world_pays_one_where_all_holds_and_else_nothing(void **state) {
    (void)state;
    static const char *const scripts[] = {"floor", "partial", "good", "oracle", "guessing", "random"};
    int done[6] = {0};
    one.world.outcome = true;
    for (int64_t item = 0; item < 2000; item++)
        for (int i = 0; i < 6; i++) {
            const played p = play(&one, scripts[i], (uint64_t)item, item);
            assert_true(p.paid == (p.held == 3 ? 1.0 : 0.0));
            done[i] += p.paid > 0;
        }
    one.world.outcome = false;
    assert_int_equal(done[0] + done[1], 0);
    assert_int_equal(done[2] + done[3], 4000);
    assert_true(done[4] > 0 && done[4] < 1000 && done[5] > 0 && done[5] < 1000);
}

static void what_the_customer_writes_leaves_two_ways_open(void **state) {
    (void)state;
    int       n[4][DESK_FIXES] = {0};
    desk_task t;
    for (int64_t item = 0; item < 2000; item++) {
        desk_task_make(item, &t);
        n[t.problem][t.fix]++;
    }
    for (int p = 0; p < 4; p++) {
        const int *k = n[p], all = k[0] + k[1] + k[2];
        assert_true(all > 400); // of 500; four deviations are 77
        for (int f = 0; f < DESK_FIXES; f++) // two ways about evenly, the third never
            assert_true(k[f] == 0 || (k[f] > 0.4 * all && k[f] < 0.6 * all));
    }
    // So no policy that does not look does better than its best guess.
    double guessed = 0;
    for (int64_t item = 0; item < 2000; item++)
        guessed += play(&one, "guessing", (uint64_t)item, item).held == 3;
    assert_true(guessed / 2000 < 0.5);
}

// A game in words: its calls, then what it must have paid.
typedef struct game {
    desk_fix    fix;
    fate        fate;
    const char *calls[9];
    double      paid;
    int32_t     held;
} game;

static const game games[] = {
    {DESK_REFUND, IN_TIME, {"look order", "refund", "resolve"}, 1.0, 3},
    {DESK_REFUND, IN_TIME, {"refund", "resolve"}, 1.0, 3},
    {DESK_REFUND, IN_TIME, {"resolve"}, 0, 2},
    {DESK_REFUND, IN_TIME, {"look order", "refund", "refund", "resolve"}, 0, 2},
    {DESK_REFUND, IN_TIME, {"look order", "refund", "replace", "resolve"}, 0.59, 2},
    {DESK_REFUND, IN_TIME, {"look order", "look payments", "refund", "resolve"}, 0.99, 3},
    {DESK_REFUND, LATE_DONE, {"look order", "refund", "look payments", "resolve"}, 1.0, 3},
    {DESK_REFUND, LATE_DONE, {"look order", "refund", "refund", "resolve"}, 0, 2},
    {DESK_REFUND, LATE_DONE, {"look order", "refund", "resolve"}, 1.0, 3},
    {DESK_REFUND, LATE_DONE,
     {"look order", "refund", "look payments", "look order", "resolve"}, 0.99, 3},
    {DESK_REFUND, LATE_UNDONE, {"look order", "refund", "resolve"}, 0, 2},
    {DESK_REFUND, LATE_UNDONE,
     {"look order", "refund", "look payments", "refund", "resolve"}, 1.0, 3},
    {DESK_REPLACE, IN_TIME, {"look order", "replace", "resolve"}, 1.0, 3},
    {DESK_REPLACE, IN_TIME, {"look order", "refund", "resolve"}, 0, 1},
    {DESK_REPLACE, LATE_DONE, {"look order", "replace", "replace", "resolve"}, 0, 2},
    {DESK_REPLACE, LATE_UNDONE,
     {"look order", "replace", "look order", "replace", "resolve"}, 1.0, 3},
    {DESK_ADDRESS, IN_TIME, {"look order", "fix address", "resolve"}, 1.0, 3},
    {DESK_ADDRESS, IN_TIME, {"look order", "replace", "resolve"}, 0, 1},
    // Refused, it was right already: a call for nothing.
    {DESK_ADDRESS, IN_TIME, {"look order", "fix address", "fix address", "resolve"}, 0.99, 3},
    // Never closed, five calls too many; and thought over for eight.
    {DESK_REFUND, IN_TIME,
     {"look order", "refund", "hm", "hm", "hm", "hm", "hm", "hm"}, 0.75, 2},
    {DESK_REFUND, IN_TIME, {"hm", "hm", "hm", "hm", "hm", "hm", "hm", "hm"}, 0, 1},
};

static void games_are_paid_as_worked_out_by_hand(void **state) {
    (void)state;
    for (size_t g = 0; g < sizeof games / sizeof *games; g++)
        for (int64_t from = 0; from < 100; from += 50) {
            uint64_t seed;
            int64_t  item;
            double   paid = 0;
            desk_find(&one, from, games[g].fix, games[g].fate, &seed, &item);
            desk_begin(&one, seed, item);
            for (int i = 0; games[g].calls[i] && i < 9; i++) {
                assert_true(i == 0 || !one.t.terminated);
                desk_say(&one, games[g].calls[i]);
                paid += one.t.reward.value;
                assert_true(one.t.evidence.owed.value == one.t.reward.value);
            }
            assert_true(one.t.terminated && !one.t.truncated);
            if (fabs(paid - games[g].paid) > 1e-12 || one.t.evidence.held != games[g].held)
                fail_msg("game %zu, item %lld: paid %g, held %d", g, (long long)item, paid,
                         one.t.evidence.held);
        }
}

static void a_replacement_of_what_is_out_of_stock_waits(void **state) {
    (void)state;
    bool seen[2] = {false, false};
    for (int64_t item = 0; item < 50; item++) {
        desk_begin(&one, (uint64_t)item, item);
        const desk_order *o = &inside(&one)->task.orders[inside(&one)->task.order];
        desk_say(&one, "replace");
        if (one.t.evidence.status != MG_STATUS_OK) continue;
        assert_int_equal(ask(&one, "select status = '%s' from orders where replaces is not null",
                             o->stock > 0 ? "packed" : "waiting"), 1);
        seen[o->stock > 0] = true;
    }
    assert_true(seen[0] && seen[1]);
}

static void the_desk_runs_out_of_time_honestly(void **state) {
    (void)state;
    int first = 0, late = 0, done = 0, more = 0;
    for (uint64_t seed = 0; seed < 4000; seed++) {
        desk_begin(&one, seed, 2);
        desk_say(&one, "refund");
        const mg_evidence *ev = &one.t.evidence;
        const bool         effect = ev->touched[0].before != ev->touched[0].after;
        first++;
        if (ev->status == MG_STATUS_TIMEOUT) {
            late++;
            done += effect;
            assert_true(ev->took_ns > 2000000000 && !ev->touched[0].wrote);
            assert_string_equal(ev->error, "payments_unreachable");
            assert_string_equal(one.seen.text, "refund : unknown slow");
            for (int i = 0; i < 5; i++) { // not twice in an episode
                desk_say(&one, i % 2 ? "refund" : "replace");
                more += one.t.evidence.status == MG_STATUS_TIMEOUT;
            }
        } else {
            assert_true(ev->status == MG_STATUS_OK && effect && ev->touched[0].wrote);
            assert_true(ev->took_ns >= 40000000 && ev->took_ns < 400000000);
            assert_string_equal(one.seen.text, "refund : done fast");
        }
    }
    assert_int_equal(more, 0);
    assert_true(fabs(late - 0.5 * first) < 4 * sqrt(0.25 * first));
    assert_true(fabs(done - 0.6 * late) < 4 * sqrt(0.24 * late));
}

// ---- what is said

static void what_is_no_action_costs_a_call_and_nothing_else(void **state) {
    (void)state;
    static char long_text[DESK_ACTION_MAX + 10];
    memset(long_text, 'a', sizeof long_text);
    static const struct {
        const char *text;
        size_t      size;
    } said[] = {{"", 0}, {" \n\t", 3}, {"Refund", 6}, {"refund now", 10}, {"look  order", 11},
                {"refund\0", 7}, {"\xff\xfe\x80", 3}, {"{}", 2}};
    uint8_t  before[32], after[32];
    uint64_t seed;
    int64_t  item;
    desk_find(&one, 0, DESK_REFUND, IN_TIME, &seed, &item);
    for (size_t i = 0; i < sizeof said / sizeof *said + 1; i++) {
        const bool last = i == sizeof said / sizeof *said;
        desk_begin(&one, seed, item);
        const int64_t rows = ask(&one, "select count(*) from refunds");
        assert_int_equal(desk_say_bytes(&one, last ? long_text : said[i].text,
                                        last ? sizeof long_text : said[i].size), MG_OK);
        assert_null(one.t.evidence.action);
        assert_null(one.t.evidence.arguments);
        assert_int_equal(one.t.evidence.status, MG_STATUS_REFUSED);
        assert_string_equal(one.t.evidence.error, "not_an_action");
        assert_int_equal(one.t.evidence.n_touched, 0);
        assert_string_equal(one.seen.text, "say : look order , look payments , refund , replace , "
                                           "fix address or resolve");
        assert_int_equal(ask(&one, "select count(*) from refunds"), rows);
        desk_say(&one, "look order");
        desk_say(&one, " refund\n"); // white space around a call is nothing
        desk_say(&one, "resolve");
        assert_true(one.t.reward.value == 0.99);
    }
    desk_begin(&one, seed, item);
    mg_env_digest(&one.env, before);
    desk_say(&one, "hm");
    mg_env_digest(&one.env, after);
    assert_memory_not_equal(before, after, 32); // a call was made, and the reward will know
}

static mg_manifest promises;

// Arguments that are refused as bad break their schema, and no others do.
static void check_schema(const mg_evidence *ev) {
    const mg_action_promise *p = ev->action ? mg_manifest_action(&promises, ev->action) : NULL;
    assert_int_equal(p != NULL, ev->action != NULL);
    assert_int_equal(p != NULL, ev->arguments != NULL);
    if (!p) return;
    const bool bad = ev->error && strcmp(ev->error, "bad_arguments") == 0;
    assert_int_equal(mg_schema_check_text(p->schema, ev->arguments, strlen(ev->arguments)),
                     bad ? MG_MISMATCH : MG_OK);
}

static void read_promises(void) {
    const char *text = one.env.class->manifest(&one.env);
    assert_int_equal(mg_manifest_read(text, strlen(text), &arena, &promises), MG_OK);
}

static void the_manifest_is_one_and_says_what_is_done(void **state) {
    (void)state;
    read_promises();
    assert_string_equal(promises.name, one.env.class->name);
    assert_int_equal(promises.n_actions, 6);
    assert_int_equal(promises.determinism, MG_SEEDED);
    assert_true(promises.min == 0 && promises.max == 1 && promises.resolution == 0.01);
    for (int form = 0; form < 2; form++) {
        one.world.form = (mg_support_desk_form)form;
        for (int64_t item = 0; item < 100; item++) {
            mg_rng   rng = draws((uint64_t)item);
            mg_value said;
            desk_begin(&one, (uint64_t)item, item);
            do {
                mg_env_script(&mg_support_desk_class, "random")->act(&one.env, &rng, &said);
                assert_int_equal(desk_say_bytes(&one, said.text, said.size), MG_OK);
                const mg_evidence       *ev = &one.t.evidence;
                const mg_action_promise *p  = mg_manifest_action(&promises, ev->action);
                check_schema(ev);
                assert_int_equal(p->effect == MG_EFFECT_PURE, p->n_reads == 1 && p->n_writes == 0);
                if (!ev->n_touched) continue;
                assert_true(mg_key_matches(p->n_reads ? p->reads[0] : p->writes[0], ev->touched->key));
                assert_int_equal(ev->took_ns >= p->timeout_ms * 1000000,
                                 ev->status == MG_STATUS_TIMEOUT);
            } while (!one.t.terminated);
        }
    }
    mg_manifest_release(&promises);
}

// Arguments are judged by the schema; REFUSED names the tool and leaves everything as it was.
static void tool_calls_that_break_the_schema_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *action, *error;
    } said[] = {
        {"refund", NULL, "not_an_action"},
        {"{\"name\":\"refund\"}", NULL, "not_an_action"},
        {"{\"name\":\"refund\",\"arguments\":\"{}\"}", NULL, "not_an_action"},
        {"{\"name\":\"pay\",\"arguments\":{}}", NULL, "not_an_action"},
        {"{\"name\":\"refund\",\"arguments\":{},\"id\":1}", NULL, "not_an_action"},
        {"{\"name\":\"refund\",\"name\":\"refund\",\"arguments\":{}}", NULL, "not_an_action"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":1,\"cents\":5}} and more", NULL,
         "not_an_action"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":1}}", "refund", "bad_arguments"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":1,\"cents\":0}}", "refund", "bad_arguments"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":1,\"cents\":1000001}}", "refund",
         "bad_arguments"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":1,\"cents\":5.5}}", "refund", "bad_arguments"},
        {"{\"name\":\"refund\",\"arguments\":{\"order\":\"1\",\"cents\":5}}", "refund",
         "bad_arguments"},
        {"{\"name\":\"look_order\",\"arguments\":{\"order\":1,\"all\":true}}", "look_order",
         "bad_arguments"},
        {"{\"name\":\"look_order\",\"arguments\":{\"order\":-1}}", "look_order", "bad_arguments"},
        {"{\"name\":\"fix_address\",\"arguments\":{\"order\":1,\"address\":\"\"}}", "fix_address",
         "bad_arguments"},
        {"{\"name\":\"resolve\",\"arguments\":{\"order\":1}}", "resolve", "bad_arguments"},
        {"{\"name\":\"look_order\",\"arguments\":{\"order\":99}}", "look_order", "no_such_order"},
        {"{\"name\":\"replace\",\"arguments\":{\"order\":99}}", "replace", "no_such_order"},
        {"{\"name\":\"resolve\",\"arguments\":{\"ticket\":9}}", "resolve", "no_such_ticket"},
    };
    read_promises();
    one.world.form = MG_SUPPORT_DESK_TOOLS;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        desk_begin(&one, 1, 2);
        const int changes = sqlite3_total_changes(inside(&one)->books.db);
        desk_say(&one, said[i].text);
        assert_int_equal(one.t.evidence.status, MG_STATUS_REFUSED);
        assert_string_equal(one.t.evidence.error, said[i].error);
        if (said[i].action)
            assert_string_equal(one.t.evidence.action, said[i].action);
        else
            assert_null(one.t.evidence.action);
        check_schema(&one.t.evidence);
        assert_int_equal(sqlite3_total_changes(inside(&one)->books.db), changes);
        assert_false(one.t.terminated);
        assert_non_null(strstr(one.seen.text, said[i].error));
    }
    mg_manifest_release(&promises);
}

// The most that JSON makes of an address that the schema allows: six bytes of each character.
static void an_address_of_control_characters_is_an_address(void **state) {
    (void)state;
    char text[1024], address[601] = "";
    for (int i = 0; i < 100; i++) strcat(address, "\\u0001");
    one.world.form = MG_SUPPORT_DESK_TOOLS;
    read_promises();
    desk_begin(&one, 1, 2);
    snprintf(text, sizeof text, "{\"name\":\"fix_address\",\"arguments\":{\"order\":1,\"address\":\"%s\"}}",
             address);
    desk_say(&one, text);
    assert_string_equal(one.t.evidence.action, "fix_address");
    assert_non_null(strstr(one.t.evidence.arguments, address));
    check_schema(&one.t.evidence);
    desk_say(&one, "{\"name\":\"look_order\",\"arguments\":{\"order\":1}}");
    assert_string_equal(one.t.evidence.action, "look_order");
    mg_manifest_release(&promises);
}

static void what_happens_to_others_is_not_clean(void **state) {
    (void)state;
    char     text[256];
    uint64_t seed;
    int64_t  item;
    desk_find(&one, 0, DESK_REFUND, IN_TIME, &seed, &item);
    one.world.form = MG_SUPPORT_DESK_TOOLS;
    desk_begin(&one, seed, item);
    const desk_task *t     = &inside(&one)->task;
    const int        other = t->order == 0 ? 2 : 1, others_ticket = t->ticket == 0 ? 2 : 1;
    const char *const forms[] = {
        "{\"name\":\"refund\",\"arguments\":{\"order\":%d,\"cents\":100}}",
        "{\"name\":\"replace\",\"arguments\":{\"order\":%d}}",
        "{\"name\":\"fix_address\",\"arguments\":{\"order\":%d,\"address\":\"1 \\\"Elm\\\" \\u00e9\"}}",
        "{\"name\":\"resolve\",\"arguments\":{\"ticket\":%d}}"};
    for (int i = 0; i < 4; i++) {
        desk_begin(&one, seed, item);
        desk_say(&one, inside(&one)->choices[DESK_LOOK_ORDER]);
        desk_say(&one, inside(&one)->choices[DESK_CALL_REFUND]);
        assert_int_equal(one.t.evidence.held, 2);
        snprintf(text, sizeof text, forms[i], i == 3 ? others_ticket : other);
        desk_say(&one, text);
        assert_int_equal(one.t.evidence.status, MG_STATUS_OK);
        assert_int_equal(one.t.evidence.held, 1);
        assert_false(one.t.terminated);
        desk_say(&one, inside(&one)->choices[DESK_RESOLVE]);
        assert_true(one.t.reward.value == 0.59 && one.t.evidence.owed.value == 0.59);
    }
    // The wrong amount is not the fix.
    desk_begin(&one, seed, item);
    snprintf(text, sizeof text, "{\"name\":\"refund\",\"arguments\":{\"order\":%d,\"cents\":1}}",
             t->order + 1);
    desk_say(&one, text);
    desk_say(&one, inside(&one)->choices[DESK_RESOLVE]);
    assert_true(one.t.reward.value == 0 && one.t.evidence.owed.value == 0);
}

static void both_forms_are_the_same_world(void **state) {
    (void)state;
    two.world.form = MG_SUPPORT_DESK_TOOLS;
    for (int64_t item = 0; item < 300; item++) {
        mg_rng   a = draws((uint64_t)item), b = a;
        uint8_t  x[32], y[32];
        mg_value said;
        desk_begin(&one, (uint64_t)item, item);
        desk_begin(&two, (uint64_t)item, item);
        do {
            const mg_script *s = mg_env_script(&mg_support_desk_class, "noisy");
            assert_int_equal(s->act(&one.env, &a, &said), MG_OK);
            assert_int_equal(desk_say_bytes(&one, said.text, said.size), MG_OK);
            assert_int_equal(s->act(&two.env, &b, &said), MG_OK);
            assert_int_equal(desk_say_bytes(&two, said.text, said.size), MG_OK);
            mg_env_digest(&one.env, x);
            mg_env_digest(&two.env, y);
            assert_memory_equal(x, y, 32);
            assert_true(one.t.reward.value == two.t.reward.value);
            assert_int_equal(one.t.terminated, two.t.terminated);
            assert_string_equal(one.t.evidence.action, two.t.evidence.action);
            assert_string_equal(one.t.evidence.arguments, two.t.evidence.arguments);
            assert_int_equal(one.t.evidence.status, two.t.evidence.status);
        } while (!one.t.terminated);
    }
}

// ---- evidence

static int64_t effects_before, target_before;

static int64_t effects(const desk *d) {
    return ask(d, "select (select count(*) from refunds) + (select count(*) from orders)");
}

static int64_t at_target(const desk *d) { // in words an address is only ever changed to this
    return ask(d, "select count(*) from orders where id = %d and address = '%s'",
               inside(d)->task.order + 1, desk_task_target(&inside(d)->task));
}

static void compare_with_the_database(desk *d) {
    const mg_evidence *ev    = &d->t.evidence;
    const desk_task   *t     = &inside(d)->task;
    const int          id    = t->order + 1;
    const int refunds = (int)ask(d, "select count(*) from refunds where order_id=%d and cents=%d", id,
                                 t->orders[t->order].price);
    const int resent  = (int)ask(d, "select count(*) from orders where replaces=%d and address='%s'",
                                 id, desk_task_target(t));
    const int moved   = (int)ask(d, "select address='%s' from orders where id=%d",
                                 desk_task_target(t), id);
    const int fixed = t->fix == DESK_REFUND ? refunds == 1 : t->fix == DESK_REPLACE ? resent == 1 : moved;
    const int clean = (t->fix == DESK_REFUND || !refunds) && (t->fix == DESK_REPLACE || !resent);
    const int closed =
        (int)ask(d, "select status='closed' from tickets where id=%d", t->ticket + 1);
    assert_int_equal(ev->conditions, 3);
    assert_int_equal(ev->held, fixed + clean + closed);
    assert_true(d->t.terminated || ev->owed.value == 0);
    assert_true((ev->owed.value > 0) == (d->t.terminated && fixed));
    // Effects, and only effects, change what was touched.
    const bool changed = effects(d) != effects_before || at_target(d) != target_before;
    if (ev->n_touched == 1) {
        const mg_touch *x = &ev->touched[0];
        assert_true(x->before && x->after);
        assert_int_equal(x->before != x->after, changed || (ev->status == MG_STATUS_OK &&
                                                            strcmp(ev->action, "resolve") == 0));
        assert_true(!x->shown || x->shown == x->after);
        assert_int_equal(x->shown != 0, strncmp(ev->action, "look", 4) == 0);
        assert_int_equal(x->wrote, ev->status == MG_STATUS_OK && strncmp(ev->action, "look", 4) != 0);
    } else {
        assert_false(changed);
    }
    effects_before = effects(d);
    target_before  = at_target(d);
}

static void evidence_is_what_the_database_holds(void **state) {
    (void)state;
    for (int64_t item = 0; item < 400; item++) {
        mg_rng rng = draws((uint64_t)item);
        played p;
        desk_begin(&one, (uint64_t)item, item);
        effects_before = effects(&one);
        target_before  = at_target(&one);
        desk_play(&one, item % 2 ? "random" : "noisy", &rng, compare_with_the_database, &p);
        assert_true(p.paid == p.owed);
    }
}

// Changes that no call can make, behind the desk's back.
static void the_witness_sees_what_nobody_was_to_touch(void **state) {
    (void)state;
    static const char *const damage[] = {
        "update customers set name = name || '.' where id = 6",
        "update customers set email = 'x' where id = (select min(id) from customers where email is null)",
        "delete from customers where id = 1",
        "update orders set price = price + 1 where id = 8",
        "update orders set stock = stock + 1 where id = 7",
        "delete from orders where id = 8",
        "delete from charges where id = 1",
        "update charges set cents = cents + 1 where id = 2",
        "insert into charges(order_id, cents) select order_id, cents from charges where id = 3",
        "delete from refunds",
        "update refunds set cents = cents - 1",
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        desk_conditions held;
        uint8_t         before[32], after[32];
        desk_begin(&one, 1, 2);
        assert_true(ask(&one, "select count(*) from customers where email is null") > 0);
        assert_int_equal(desk_witness_conditions(&inside(&one)->books, &inside(&one)->task, &held), MG_OK);
        assert_true(held.clean);
        mg_env_digest(&one.env, before);
        assert_int_equal(sqlite3_exec(inside(&one)->books.db, damage[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(desk_witness_conditions(&inside(&one)->books, &inside(&one)->task, &held), MG_OK);
        assert_false(held.clean);
        mg_env_digest(&one.env, after);
        assert_memory_not_equal(before, after, 32);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        TEST(the_oracle_earns_everything_on_every_task),
        TEST(an_outcome_world_pays_one_where_all_holds_and_else_nothing),
        TEST(quality_is_paid_in_order_on_every_task),
        TEST(what_the_customer_writes_leaves_two_ways_open),
        TEST(games_are_paid_as_worked_out_by_hand),
        TEST(a_replacement_of_what_is_out_of_stock_waits),
        TEST(the_desk_runs_out_of_time_honestly),
        TEST(what_is_no_action_costs_a_call_and_nothing_else),
        TEST(the_manifest_is_one_and_says_what_is_done),
        TEST(tool_calls_that_break_the_schema_are_refused),
        TEST(an_address_of_control_characters_is_an_address),
        TEST(what_happens_to_others_is_not_clean),
        TEST(both_forms_are_the_same_world),
        TEST(evidence_is_what_the_database_holds),
        TEST(the_witness_sees_what_nobody_was_to_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
