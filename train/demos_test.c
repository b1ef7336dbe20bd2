// Goal:   demonstrations of several turns are learnt from as the rollout would play them, and DR-PO goes
//         into them by snapshots, with settings alone.
// Method: the counting world's oracle (rollout/counting.h), written as messages and read back; the data's
//         tokens against the rollout's own record; whole runs of sft and drpo on them.
#include "algos/tokens.h"
#include "algos/tiny_job.h"
#include "core/log.h"
#include "rollout/counting.h"
#include "rollout/demos.h"
#include "rollout/rollout.h"
#include "rollout/scripted.h"
#include "store/jsonl.h"
#include "store/store.h"
#include "train/train.h"

enum { DEMOS = 6 };

static mg_arena arena;
static char    *data;
static mg_pair *demos; // as read from the file
static mg_env_class world;

static int open_group(void **state) {
    mg_episode played[DEMOS];
    mg_start   starts[DEMOS];
    mg_pair   *made;
    int64_t    n;
    const mg_rollout oracle = {.class = &counting_class, .seed = 9,
                               .script = mg_env_script(&counting_class, "oracle")};
    if (tiny_open(state) || mg_arena_init(&arena, "test", (size_t)1 << 32)) return -1;
    mg_log_setup(MG_LOG_ERROR, false);
    data = mg_path(&arena, "%s/data", tiny_root);
    for (uint32_t i = 0; i < DEMOS; i++) starts[i] = (mg_start){.item = i % 2, .episode = i};
    const char *file = mg_path(&arena, "%s/train.jsonl", data);
    return mg_tokenizer_save(tiny_words, mg_path(&arena, "%s/tokenizer.json", tiny_policy)) ||
           mg_folder_make(data) ||
           mg_scripted_run(&oracle, starts, DEMOS, 0, 0, &arena, played) ||
           mg_demos_of(played, DEMOS, &arena, &made) || mg_pairs_write(file, made, DEMOS) ||
           mg_pairs_read(file, &arena, &demos, &n) || n != DEMOS;
}

static int close_group(void **state) {
    mg_arena_release(&arena);
    return tiny_close(state);
}

// All but the last answer are forced on the rollout: up to there the two sequences are one.
static void the_datas_tokens_are_the_rollouts(void **state) {
    (void)state;
    tiny          *t = tiny_job("sft", 1);
    mg_pair_tokens x;
    mg_model      *model;
    mg_start       starts[DEMOS];
    mg_episode     e[DEMOS];
    t->job.context_max = TINY_CONTEXT;
    ok(mg_pair_tokens_make(&t->job, demos, DEMOS, &x));
    assert_int_equal(x.n_rows, DEMOS);
    ok(mg_model_load(&model, tiny_policy, false));
    for (int i = 0; i < DEMOS; i++)
        starts[i] = (mg_start){.item = mg_pair_item(demos, i), .group = i, .episode = (uint32_t)i,
                               .demo = &demos[i], .demo_turns = demos[i].n_later};
    const mg_rollout r = {
        .model = model, .tokenizer = tiny_words, .rule = t->job.rule, .class = &counting_class,
        .sampling = {.temperature = 1, .top_p = 1, .new_max = TINY_RESPONSE, .stop = TINY_STOP}};
    ok(mg_rollout_run(&r, starts, DEMOS, 0, 0, &t->run, &t->step, e, NULL));
    for (int i = 0; i < DEMOS; i++) {
        const int64_t    prompt = x.prompts[i].n, last = e[i].turns[demos[i].n_later].action_begin;
        const mg_answer *answer = &x.answers[i];
        assert_int_equal(e[i].verdict, MG_CLEAN);
        assert_int_equal(e[i].n_turns, COUNTING_TURNS);
        assert_int_equal(e[i].turns[0].action_begin, prompt);
        assert_int_equal(e[i].turns[0].action_end, prompt + x.first[i]);
        assert_memory_equal(e[i].tokens, x.prompts[i].tokens, sizeof(int32_t) * (size_t)prompt);
        assert_in_range(last - prompt, 20, answer->n - 2);
        assert_memory_equal(e[i].tokens + prompt, answer->tokens, sizeof(int32_t) * (size_t)(last - prompt));
        for (int64_t k = 0; k < answer->n; k++) {
            const bool said = x.role[i][k] == MG_ROLE_POLICY;
            if (k < last - prompt)
                assert_int_equal(e[i].role[prompt + k], said ? MG_ROLE_FORCED : MG_ROLE_ENVIRONMENT);
            else // behind it is the last answer alone
                assert_true(said);
        }
        assert_int_equal(answer->tokens[answer->n - 1], TINY_STOP);
    }
    mg_model_free(model);
    tiny_stop(t);
}

static mg_err make_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    (void)s, (void)job;
    *out = (mg_world){.class = &world, .n_items = COUNTING_ITEMS};
    return MG_OK;
}

static void end_world(mg_world *w) { assert_ptr_equal(w->class, &world); }

// settings: "key=value key=value ...".
static mg_err train(const char *name, const char *settings, mg_train_result *result) {
    mg_override overrides[32] = {
        {"out", mg_path(&arena, "%s/%s", tiny_root, name)}, {"data", data}, {"model", tiny_policy},
        {"response_max", "12"}, {"prompt_max", "40"}};
    int   n    = 5;
    char *rest = mg_arena_strdup(&arena, settings), *word;
    while ((word = strsep(&rest, " "))) {
        char *key      = strsep(&word, "=");
        overrides[n++] = (mg_override){key, word};
    }
    return mg_train(&(mg_train_options){.overrides = overrides, .n_overrides = n, .make_world = make_world,
                                        .end_world = end_world}, result);
}

#define DRPO                                                                                    \
    "algo=drpo drpo.updates=3 drpo.episodes=12 drpo.per_prompt=3 drpo.critic_init=policy "      \
    "drpo.temperature=1 drpo.lr=0.01"

static mg_point *points_of(const char *run, const char *name, int64_t wanted) {
    mg_store *s;
    mg_point *points;
    int64_t   n;
    ok(mg_store_open(&s, mg_path(&arena, "%s/%s/run.db", tiny_root, run)));
    ok(mg_store_metric_read(s, name, &arena, &points, &n));
    mg_store_close(s);
    assert_int_equal(n, wanted);
    return points;
}

static void drpo_goes_into_them_by_snapshots(void **state) {
    (void)state;
    mg_train_result result;
    world           = counting_class;
    counting_opened = counting_closed = 0;
    ok(train("drpo", DRPO " threads=1", &result));
    assert_int_equal(counting_opened, counting_closed);
    const mg_point *forced = points_of("drpo", "forced_tokens", 3), *out = points_of("drpo", "excluded", 3);
    const mg_point *ratio = points_of("drpo", "first_ratio_error", 3);
    for (int u = 0; u < 3; u++) {
        assert_true(out[u].value == 0);
        // One to three answers of six tokens or so, stops included.
        assert_true(forced[u].value > 4 && forced[u].value < 24);
        near(ratio[u].value, 0, 1e-4); // what was said before does not count
    }
    // Two threads do the same.
    char  *model[2];
    size_t size[2];
    ok(train("drpo2", DRPO " threads=2", &result));
    for (int i = 0; i < 2; i++)
        ok(mg_file_read(mg_path(&arena, "%s/drpo%s/model/model.safetensors", tiny_root, i ? "2" : ""),
                        1 << 28, &arena, &model[i], &size[i]));
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(model[0], model[1], size[0]);
}

// Every episode but those that the coin left at the beginning starts behind turns of its own item.
static void recorded_episodes_say_where_they_began(void **state) {
    (void)state;
    mg_train_result result;
    mg_store       *s;
    mg_episode     *e;
    int64_t         n, behind = 0;
    world = counting_class;
    ok(train("record", DRPO " drpo.reset_share=0.5", &result));
    ok(mg_store_open(&s, mg_path(&arena, "%s/record/run.db", tiny_root)));
    ok(mg_store_episodes_read(s, 2, 3, 100, &arena, &e, &n));
    mg_store_close(s);
    assert_int_equal(n, 12);
    for (int64_t i = 0; i < n; i++) {
        int64_t turns = 0;
        while (e[i].role[e[i].turns[turns].action_begin] == MG_ROLE_FORCED) turns++;
        behind += turns > 0;
        assert_in_range(turns, 0, COUNTING_TURNS - 1);
        assert_in_range(e[i].start.item, 0, 1);
        bool known = turns == 0;
        for (int k = 0; k < DEMOS; k++)
            known |= demos[k].seed == e[i].seed && demos[k].item == e[i].start.item &&
                     strcmp(e[i].turns[0].action, demos[k].completion) == 0;
        assert_true(known);
    }
    assert_in_range(behind, 1, 11);
}

static void worlds_that_cannot_are_refused(void **state) {
    (void)state;
    mg_train_result result;
    world          = counting_class;
    world.snapshot = NULL;
    world.resets   = true; // into prefixes: no help with turns
    assert_int_equal(train("none", DRPO, &result), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "counting cannot be reset into a recorded state"));
    world = counting_class;
    mg_pair moved[2] = {demos[0], demos[1]};
    moved[1].item    = COUNTING_RESTORES_ELSEWHERE;
    const char *kept = data;
    data             = mg_path(&arena, "%s/elsewhere", tiny_root);
    ok(mg_folder_make(data));
    ok(mg_pairs_write(mg_path(&arena, "%s/train.jsonl", data), moved, 2));
    assert_int_equal(train("none", DRPO, &result), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "item 6"));
    data = mg_arena_strdup(&arena, kept);
}

static void sft_starts_a_policy_on_them(void **state) {
    (void)state;
    mg_train_result result;
    world = counting_class;
    ok(train("sft", "algo=sft sft.epochs=120 sft.batch=6 sft.lr=0.02 sft.warmup=5 evaluate_every=1000",
             &result));
    const mg_point *loss = points_of("sft", "loss", 120);
    assert_true(loss[0].value > 2);
    assert_true(loss[119].value < loss[0].value / 4);
    // From nothing: the tokenizer is learnt from all turns.
    ok(train("fresh", "algo=sft model= sft.epochs=2 sft.batch=6 network.vocab=262 network.d_model=16 "
                      "network.heads=2 network.kv_heads=1 network.layers=1 network.d_ff=16 "
                      "network.context=128", &result));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_datas_tokens_are_the_rollouts),
        cmocka_unit_test(drpo_goes_into_them_by_snapshots),
        cmocka_unit_test(recorded_episodes_say_where_they_began),
        cmocka_unit_test(worlds_that_cannot_are_refused),
        cmocka_unit_test(sft_starts_a_policy_on_them),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
