// Goal:   an answer's reward is the pooled, centred and scaled score of its own tokens; what was
//         saved is read back; what is no reward model is refused by name.
// Method: pools by hand and as transposes of one another; scores of one answer at a time; one wrong
//         file after the other.
#include "rewards/reward_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "nets/tiny.h"

enum { ANSWERS = 5 };

static const int32_t   ASK[] = {9, 8, 7}, WORDS[] = {30, 40, 50, 60, 70, TINY_STOP};
static const mg_prompt PROMPTS[] = {{ASK, 3}, {ASK, 1}};
static const mg_answer LIST[ANSWERS] = {
    {0, WORDS, 6}, {0, WORDS + 5, 1}, {1, WORDS + 2, 4}, {0, WORDS, 2}, {1, WORDS, 3}};
static const mg_answers ALL = {PROMPTS, 2, LIST, ANSWERS};

static char          root[64], folder[128];
static mg_tokenizer *tokenizer;
static mg_arena      arena;

static void near(double found, double wanted, double tolerance) {
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("found %.9g, wanted %.9g within %g", found, wanted, tolerance);
}

static int enter(void **state) {
    (void)state;
    strcpy(root, "/tmp/mg-reward-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(folder, sizeof folder, "%s/model", root);
    tokenizer = tiny_tokenizer();
    return mg_arena_init(&arena, "test", (size_t)1 << 30) ? -1 : 0;
}

static int leave(void **state) {
    (void)state;
    char command[80];
    mg_tokenizer_free(tokenizer);
    mg_arena_release(&arena);
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static mg_reward_model made(mg_pool pool, double centre, double scale) {
    return (mg_reward_model){tiny_model(tokenizer, true, 3, false), pool, centre, scale};
}

static void pools_match_hand_computation(void **state) {
    (void)state;
    const mg_answer  two[]  = {{0, WORDS, 3}, {0, WORDS, 1}};
    const mg_answers a      = {PROMPTS, 2, two, 2};
    const float      x[]    = {1, 2, 6, -5};
    const double     back[] = {3, 7};
    double           score[2];
    float            dx[4] = {10, 10, 10, 10};
    mg_pool_forward(MG_POOL_MEAN, &a, x, score);
    near(score[0], 3, 0), near(score[1], -5, 0);
    mg_pool_forward(MG_POOL_LAST, &a, x, score);
    near(score[0], 6, 0), near(score[1], -5, 0);
    mg_pool_backward(MG_POOL_MEAN, &a, back, dx); // adds
    near((double)dx[0], 11, 0), near((double)dx[2], 11, 0), near((double)dx[3], 17, 0);
    mg_pool_backward(MG_POOL_LAST, &a, back, dx);
    near((double)dx[0], 11, 0), near((double)dx[1], 11, 0);
    near((double)dx[2], 14, 0), near((double)dx[3], 24, 0);
}

static void a_reward_is_the_pooled_score_of_the_answers_own_tokens(void **state) {
    (void)state;
    for (int pool = MG_POOL_LAST; pool <= MG_POOL_MEAN; pool++) {
        mg_reward_model r = made((mg_pool)pool, 0.5, 4);
        double          reward[ANSWERS], again[ANSWERS];
        assert_int_equal(mg_reward_model_score(&r, NULL, &ALL, 2, &arena, reward), MG_OK);
        for (int i = 0; i < ANSWERS; i++) {
            const mg_answers one = mg_answers_view(&ALL, i, i + 1);
            mg_tape          t   = mg_tape_make(&arena, NULL, false);
            mg_tensor       *x;
            double           raw = 0;
            assert_int_equal(mg_answers_scores(&t, r.model, &one, &x), MG_OK);
            assert_int_equal(x->rows, LIST[i].n);
            for (int64_t k = 0; k < x->rows; k++)
                if (pool == MG_POOL_MEAN) raw += (double)mg_f32(x)[k] / (double)x->rows;
            if (pool == MG_POOL_LAST) raw = (double)mg_f32(x)[x->rows - 1];
            near(reward[i], (raw - 0.5) / 4, 1e-6);
        }
        assert_true(fabs(reward[0] - reward[3]) > 1e-4);
        const size_t mark = mg_arena_mark(&arena);
        assert_int_equal(mg_reward_model_score(&r, NULL, &ALL, 99, &arena, again), MG_OK);
        assert_int_equal(mg_arena_mark(&arena), mark);
        for (int i = 0; i < ANSWERS; i++) near(again[i], reward[i], 1e-6);
        mg_reward_model_release(&r);
    }
}

static void what_is_saved_is_read_back(void **state) {
    (void)state;
    for (int pool = MG_POOL_LAST; pool <= MG_POOL_MEAN; pool++) {
        mg_reward_model r = made((mg_pool)pool, -1.0 / 3, 2e-5), back;
        double          reward[ANSWERS], again[ANSWERS];
        assert_int_equal(mg_reward_model_save(&r, folder, MG_FILE_F32, NULL), MG_OK);
        assert_int_equal(mg_reward_model_load(&back, folder), MG_OK);
        assert_int_equal(back.pool, pool);
        assert_true(back.centre == -1.0 / 3 && back.scale == 2e-5);
        assert_int_equal(mg_reward_model_score(&r, NULL, &ALL, 9, &arena, reward), MG_OK);
        assert_int_equal(mg_reward_model_score(&back, NULL, &ALL, 9, &arena, again), MG_OK);
        assert_memory_equal(reward, again, sizeof reward);
        mg_reward_model_release(&r), mg_reward_model_release(&back);
    }
}

static void what_is_no_reward_model_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *json, *said;
        mg_err      err;
    } cases[] = {
        {"{", "reward_model.json:1", MG_CORRUPT},
        {"[]", "pool", MG_CORRUPT},
        {"{\"pool\": 1, \"centre\": 0, \"scale\": 1}", "pool", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"scale\": 1}", "centre", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0}", "scale", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0, \"scale\": \"1\"}", "scale", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0, \"scale\": 1, \"more\": 1}", "4 keys", MG_CORRUPT},
        {"{\"pool\": \"max\", \"centre\": 0, \"scale\": 1}", "'max'", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0, \"scale\": 0}", "found 0", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0, \"scale\": -1}", "found -1", MG_CORRUPT},
        {"{\"pool\": \"mean\", \"pool\": \"last\", \"centre\": 0, \"scale\": 1}", "pool",
         MG_CORRUPT},
        {"{\"pool\": \"mean\", \"centre\": 0, \"scale\": 1}", "", MG_OK}, // integers will do
    };
    mg_reward_model r = made(MG_POOL_MEAN, 0, 1), back = {0};
    const char     *path = mg_path(&arena, "%s/reward_model.json", folder);
    assert_int_equal(mg_reward_model_save(&r, folder, MG_FILE_F32, NULL), MG_OK);
    mg_reward_model_release(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mg_file_write(path, cases[i].json, strlen(cases[i].json)), MG_OK);
        assert_int_equal(mg_reward_model_load(&back, folder), cases[i].err);
        if (cases[i].err && !strstr(mg_err_detail(), cases[i].said))
            fail_msg("%s: %s", cases[i].json, mg_err_detail());
        if (cases[i].err) assert_null(back.model);
    }
    mg_reward_model_release(&back);
    assert_int_equal(mg_reward_model_load(&back, root), MG_IO); // no such file

    mg_model *language = tiny_model(tokenizer, false, 1, false);
    assert_int_equal(mg_model_save(language, folder, MG_FILE_F32, NULL), MG_OK);
    mg_model_free(language);
    assert_int_equal(mg_reward_model_load(&back, folder), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "scalar head"));
}

static void a_score_that_is_no_number_is_no_reward(void **state) {
    (void)state;
    mg_reward_model r = made(MG_POOL_LAST, 0, 1);
    double          reward[ANSWERS];
    // Token 50 is poison: the fifth answer ends with it, the fourth has not got it.
    mg_f32(r.model->embed)[50 * r.model->config.d_model] = NAN;
    mg_model_touch(r.model);
    const mg_answers fine = {PROMPTS, 2, &LIST[3], 1};
    assert_int_equal(mg_reward_model_score(&r, NULL, &fine, 9, &arena, reward), MG_OK);
    const mg_answers last = mg_answers_view(&ALL, 3, 5);
    assert_int_equal(mg_reward_model_score(&r, NULL, &last, 1, &arena, reward), MG_NUMERIC);
    assert_non_null(strstr(mg_err_detail(), "answer 1 "));
    mg_reward_model_release(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_match_hand_computation),
        cmocka_unit_test(a_reward_is_the_pooled_score_of_the_answers_own_tokens),
        cmocka_unit_test(what_is_saved_is_read_back),
        cmocka_unit_test(what_is_no_reward_model_is_refused),
        cmocka_unit_test(a_score_that_is_no_number_is_no_reward),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
