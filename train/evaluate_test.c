// evaluate_test.c - every policy meets the same draws, and a row that says nothing counts nowhere.
#include "train/evaluate.h"

#include "algos/tiny_job.h"

// Gold is the share of letters e in an answer. Three items are broken, each in its own way.
enum { ITEM_STEP_FAILS = 2, ITEM_ABSENT = 5, ITEM_INVALID = 7, UNCLEAN = 2 };

static double given[TINY_PAIRS]; // the world's last word on each item

static double share_of_e(const char *text, size_t size) {
    double e = 0;
    for (size_t i = 0; i < size; i++) e += text[i] == 'e';
    return size ? e / (double)size : 0;
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)seed, (void)now_ns;
    const char *prompt = tiny_pairs[options->item].prompt;
    *(int64_t *)e->state = options->item;
    *observation = (mg_value){.kind = MG_SPACE_TEXT, .text = prompt, .size = strlen(prompt)};
    return MG_OK;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    const int64_t item = *(int64_t *)e->state;
    if (item == ITEM_STEP_FAILS) return mg_fail(MG_IO, "item %lld is broken", (long long)item);
    *out = (mg_transition){.terminated = true};
    out->reward = item == ITEM_ABSENT    ? mg_reward_absent("nobody looked")
                  : item == ITEM_INVALID ? mg_reward_of(NAN)
                                         : mg_reward_of(share_of_e(action->text, action->size));
    given[item] = out->reward.value;
    return MG_OK;
}

static const mg_env_class letters = {
    .name = "letters", .observation = {.kind = MG_SPACE_TEXT}, .action = {.kind = MG_SPACE_TEXT},
    .state_size = sizeof(int64_t), .steps_max = 1, .reset = reset, .step = step};

typedef struct fixture {
    mg_arena        arena, scratch;
    mg_team        *team;
    mg_model       *policy, *other;
    mg_reward_model reward;
    mg_judge        judge;
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    *state     = f;
    if (mg_arena_init(&f->arena, "test", (size_t)1 << 30)) return -1;
    if (mg_arena_init(&f->scratch, "scratch", (size_t)1 << 32)) return -1;
    if (mg_team_open(&f->team, 1) || mg_reward_model_load(&f->reward, tiny_reward)) return -1;
    f->policy = tiny_model(tiny_words, false, 1, false);
    f->other  = tiny_model(tiny_words, false, 9, false);
    f->judge  = (mg_judge){
        .class = &letters, .rows = tiny_pairs, .n = TINY_PAIRS, .tokenizer = tiny_words,
        .rule = {.template = "{prompt}\n", .prompt_max = 40, .cut = true, .stop = TINY_STOP},
        .response_max = TINY_RESPONSE, .temperature = 1, .reward = &f->reward,
        .reference = f->other, .team = f->team, .seed = 3, .batch = 5};
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    mg_model_free(f->policy);
    mg_model_free(f->other);
    mg_reward_model_release(&f->reward);
    mg_team_close(f->team);
    mg_arena_release(&f->scratch);
    mg_arena_release(&f->arena);
    free(f);
    return 0;
}

static mg_judged *judge(fixture *f, mg_model *policy, int64_t *unclean, double *tokens) {
    mg_judged   *judged = MG_NEW(&f->arena, mg_judged, f->judge.n);
    const size_t mark   = mg_arena_mark(&f->scratch);
    ok(mg_judge_policy(&f->judge, policy, &f->arena, &f->scratch, judged, unclean, tokens));
    assert_int_equal(mg_arena_mark(&f->scratch), mark);
    return judged;
}

static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

// ---- Policies

static void test_what_the_judges_say(void **state) {
    fixture   *f = *state;
    int64_t    unclean;
    double     tokens = 0, length = 0;
    int        with_kl = 0;
    mg_judged *x = judge(f, f->policy, &unclean, &tokens);
    assert_int_equal(unclean, UNCLEAN);
    for (int64_t i = 0; i < TINY_PAIRS; i++) {
        const bool broken = i == ITEM_STEP_FAILS || i == ITEM_INVALID;
        assert_int_equal(x[i].clean, !broken);
        assert_int_equal(isnan(x[i].reward), broken);
        assert_int_equal(isnan(x[i].kl), broken);
        assert_int_equal(isnan(x[i].rouge_l), broken);
        assert_int_equal(isnan(x[i].gold), broken || i == ITEM_ABSENT);
        if (broken) continue;
        if (i != ITEM_ABSENT) near(x[i].gold, given[i], 0);
        assert_true(x[i].length >= 1 && x[i].length <= TINY_RESPONSE);
        assert_true(x[i].stopped || x[i].length == TINY_RESPONSE);
        length += (double)x[i].length;
        with_kl += x[i].kl != 0;
    }
    near(tokens, length, 0);
    assert_int_equal(with_kl, TINY_PAIRS - UNCLEAN);
}

// Against itself a policy has no divergence; a judge that is not there says nothing.
static void test_absent_judges(void **state) {
    fixture *f = *state;
    int64_t  unclean;
    f->judge.reference = f->policy;
    mg_judged *x = judge(f, f->policy, &unclean, NULL);
    for (int64_t i = 0; i < TINY_PAIRS; i++)
        if (x[i].clean) near(x[i].kl, 0, 0);
    f->judge.reference = NULL, f->judge.reward = NULL;
    x = judge(f, f->policy, &unclean, NULL);
    assert_true(x[0].clean && isnan(x[0].kl) && isnan(x[0].reward) && !isnan(x[0].gold));
}

// The reward model's score of a row's human answer.
static double score_of(fixture *f, const char *prompt, const char *answer) {
    int32_t *p, *y;
    int64_t  n_p, n_y;
    double   score;
    ok(mg_prompt_encode(tiny_words, &f->judge.rule, prompt, strlen(prompt), &f->arena, &p, &n_p, NULL));
    ok(mg_answer_encode(tiny_words, &f->judge.rule, answer, strlen(answer), &f->arena, &y, &n_y));
    const mg_prompt  read = {p, n_p};
    const mg_answer  said = {0, y, n_y};
    const mg_answers one  = {&read, 1, &said, 1};
    ok(mg_reward_model_score(&f->reward, f->team, &one, 1, &f->scratch, &score));
    return score;
}

static void test_the_same_draws_whatever_the_batch(void **state) {
    fixture   *f = *state;
    int64_t    unclean;
    mg_judged *x       = judge(f, f->policy, &unclean, NULL);
    int        differ  = 0;
    for (int64_t batch = 1; batch <= 2 * TINY_PAIRS; batch *= 4) {
        f->judge.batch = batch;
        mg_judged *y = judge(f, f->policy, &unclean, NULL);
        assert_int_equal(unclean, UNCLEAN);
        for (int64_t i = 0; i < TINY_PAIRS; i++) {
            assert_string_equal(x[i].text, y[i].text);
            assert_int_equal(x[i].length, y[i].length);
            assert_true(same(x[i].gold, y[i].gold) && same(x[i].rouge_l, y[i].rouge_l));
            if (x[i].clean) near(x[i].reward, y[i].reward, 1e-5); // f32; rows keep their bits or nearly
        }
    }
    // Other seeds are other draws.
    f->judge.seed = 4;
    mg_judged *z  = judge(f, f->policy, &unclean, NULL);
    for (int64_t i = 0; i < TINY_PAIRS; i++) differ += strcmp(x[i].text, z[i].text) != 0;
    assert_true(differ > TINY_PAIRS / 2);
}

static void test_somebody_asks_to_stop(void **state) {
    fixture     *f    = *state;
    atomic_int stop = 1;
    mg_judged    x[TINY_PAIRS];
    int64_t      unclean;
    f->judge.stop = &stop;
    assert_int_equal(mg_judge_policy(&f->judge, f->policy, &f->arena, &f->scratch, x, &unclean, NULL),
                     MG_INTERRUPTED);
}

// ---- People

static void test_the_human_answers(void **state) {
    fixture  *f = *state;
    mg_judged x[TINY_PAIRS];
    mg_pair   rows[TINY_PAIRS];
    char      endless[4 * TINY_CONTEXT + 1];
    memset(endless, 'e', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    memcpy(rows, tiny_pairs, sizeof rows);
    rows[3].completion = endless; // beyond what the reward model can read
    f->judge.rows      = rows;
    ok(mg_judge_humans(&f->judge, &f->arena, &f->scratch, x));
    for (int64_t i = 0; i < TINY_PAIRS; i++) {
        assert_int_equal(x[i].clean, i != ITEM_STEP_FAILS);
        assert_true(isnan(x[i].kl));
        if (!x[i].clean) {
            assert_true(isnan(x[i].gold) && isnan(x[i].reward) && isnan(x[i].rouge_l));
            continue;
        }
        assert_string_equal(x[i].text, rows[i].completion);
        near(x[i].rouge_l, 1, 0);
        assert_true(x[i].stopped);
        if (i == 3) assert_true(isnan(x[i].reward));
        else near(x[i].reward, score_of(f, rows[i].prompt, rows[i].completion), 0);
        if (i != ITEM_ABSENT && i != ITEM_INVALID)
            near(x[i].gold, share_of_e(rows[i].completion, strlen(rows[i].completion)), 0);
        else
            assert_true(isnan(x[i].gold));
    }
    near(x[3].gold, 1, 0);
}

// ---- Means and duels

static void test_means_leave_out_what_is_no_number(void **state) {
    fixture     *f   = *state;
    const double x[] = {1, NAN, 3, NAN, 5}, one[] = {NAN, 4};
    mg_mean      m;
    ok(mg_judged_mean(x, 5, 0.05, 1, &f->scratch, &m));
    near(m.mean, 3, 1e-15);
    assert_int_equal(m.n, 3);
    assert_true(m.low >= 1 && m.low < 3 && m.high > 3 && m.high <= 5);
    ok(mg_judged_mean(one, 2, 0.05, 1, &f->scratch, &m));
    assert_true(isnan(m.mean) && isnan(m.low) && isnan(m.high));
    assert_int_equal(m.n, 1);
}

static void test_a_duel_by_hand(void **state) {
    (void)state;
    const double golds[2][6] = {{1, 2, NAN, 3, 5, 7}, {0, 2, 1, 4, NAN, 6}};
    mg_judged    a[6], b[6];
    for (int i = 0; i < 6; i++)
        a[i] = (mg_judged){.gold = golds[0][i]}, b[i] = (mg_judged){.gold = golds[1][i]};
    // win, tie, -, loss, -, win
    mg_duel d = mg_judged_duel(a, b, 6, 0.05);
    assert_int_equal(d.n, 4);
    assert_int_equal(d.ties, 1);
    near(d.rate, 2.5 / 4, 0);
    assert_true(d.low < 0.5 && d.high > 0.5 && !d.decided);
    d = mg_judged_duel(b, a, 6, 0.05);
    near(d.rate, 1.5 / 4, 0);
    d = mg_judged_duel(a + 2, b + 2, 1, 0.05); // no row at all
    assert_true(d.n == 0 && isnan(d.rate) && d.low == 0 && d.high == 1 && !d.decided);
}

// The bet is settled when the wealth is reached, and by the side that it was on: what comes later
// changes the rate and not the verdict.
static void test_a_duel_is_decided_once(void **state) {
    (void)state;
    enum { WINS = 60, LOSSES = 140, N = WINS + LOSSES };
    mg_judged a[N], b[N];
    for (int i = 0; i < N; i++)
        a[i] = (mg_judged){.gold = i < WINS}, b[i] = (mg_judged){.gold = 0.5};
    const mg_duel d = mg_judged_duel(a, b, N, 0.05), e = mg_judged_duel(b, a, N, 0.05);
    near(d.rate, 0.3, 1e-12);
    assert_true(d.decided && d.a_wins && d.at > 4 && d.at <= WINS);
    assert_true(e.decided && !e.a_wins && e.at == d.at);
    // Before that row there is no verdict, at it there is.
    assert_false(mg_judged_duel(a, b, d.at - 1, 0.05).decided);
    assert_true(mg_judged_duel(a, b, d.at, 0.05).decided);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_the_judges_say),
        TEST(test_absent_judges),
        TEST(test_the_same_draws_whatever_the_batch),
        TEST(test_somebody_asks_to_stop),
        TEST(test_the_human_answers),
        TEST(test_means_leave_out_what_is_no_number),
        TEST(test_a_duel_by_hand),
        TEST(test_a_duel_is_decided_once),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
