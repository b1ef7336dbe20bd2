// Goal:   ten thousand histories with every fault there is: no value comes late, no number from
// nothing,
//         nothing unclean is fed, nearly all that is broken is named, and a seed is one history.
#include "transport/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#ifndef SEEDS
#define SEEDS 10000 // sim_long_test.c has a million
#endif

// Every rate of faults, bare worlds and runs that stop among them, by the seed alone.
static mg_sim_options options_of(uint64_t seed) {
    static const double rates[] = {0, 0.02, 0.1, 0.3, 0.6};
    static const mg_sim_evidence evidence[] = {MG_SIM_BARE,  MG_SIM_PARTIAL, MG_SIM_WHOLE,
                                               MG_SIM_WHOLE, MG_SIM_WHOLE,   MG_SIM_WHOLE,
                                               MG_SIM_WHOLE};
    return (mg_sim_options){.seed = seed,
                            .episodes = 8,
                            .turns_max = 4 + (int32_t)(seed % 12),
                            .fault_rate = rates[seed % 5],
                            .evidence = evidence[seed % 7],
                            .stop = seed % 3 == 0};
}

static void add(mg_sim_result *sum, const mg_sim_result *r) {
    int64_t       *to   = (int64_t *)sum;
    const int64_t *from = (const int64_t *)r;
    for (size_t i = 0; i < offsetof(mg_sim_result, hash) / sizeof *to; i++) to[i] += from[i];
}

static mg_sim_result total;

static int run_all(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const mg_sim_options o = options_of(seed);
        mg_sim_result        r;
        mg_sim_run(&o, &r);
        add(&total, &r);
    }
    return 0;
}

static void no_session_hands_on_what_is_not_its_calls_own_answer_in_time(void **state) {
    (void)state;
    assert_int_equal(total.late_values, 0);
}

static void no_number_comes_from_nothing(void **state) {
    (void)state;
    assert_int_equal(total.numbers_from_nothing, 0);
}

static void nothing_unclean_is_fed(void **state) {
    (void)state;
    assert_true(total.admitted > SEEDS);
    assert_int_equal(total.unclean_in_gradient, 0);
}

// Macro-F1 over the codes of the faults: the mean of 2 tp / (2 tp + fp + fn), where a clean episode
// that is called broken counts as fp.
static void faults_get_their_names(void **state) {
    (void)state;
    bool   seeded[MG_CODES] = {false};
    double sum = 0;
    int    n   = 0;
    for (int f = 1; f < MG_SIM_FAULT_COUNT; f++) seeded[mg_sim_fault_code((mg_sim_fault)f)] = true;
    for (int c = 0; c < MG_CODES; c++) {
        int64_t tp = total.confusion[c][c], fn = -tp, fp = -tp;
        if (!seeded[c]) continue;
        for (int d = 0; d < MG_CODES; d++) fn += total.confusion[c][d], fp += total.confusion[d][c];
        assert_true(tp + fn > 10); // it was there to be found
        const double f1 = 2.0 * (double)tp / (double)(2 * tp + fp + fn);
        if (f1 < 0.9)
            fail_msg("%s: F1 %.3f, %d found, %d missed, %d wrongly", mg_code_name((mg_code)c), f1,
                     (int)tp, (int)fn, (int)fp);
        sum += f1, n++;
    }
    print_message("macro-F1 %.4f over %d codes, %d attempts\n", sum / n, n, (int)total.attempts);
    assert_true(n >= 15 && sum / n >= 0.95);
}

static void what_is_poisoned_does_not_pass(void **state) {
    (void)state;
    print_message("%d of %d poisoned passed as clean, %d of them fed; partial evidence %d of %d, "
                  "none %d of %d\n",
                  (int)total.poisoned_passed, (int)total.poisoned, (int)total.poisoned_admitted,
                  (int)total.doubtful_passed, (int)total.doubtful, (int)total.unseen_passed,
                  (int)total.unseen);
    assert_true(total.poisoned > SEEDS / 2);
    // Five in a hundred are allowed; where everything can be seen, one in a thousand is a defect.
    assert_true(1000 * total.poisoned_passed <= total.poisoned);
    assert_true(total.poisoned_admitted <= total.poisoned_passed);
    // The simulator does not flatter: without evidence they do pass.
    assert_true(total.unseen_passed > total.unseen / 2);
}

static void what_is_clean_is_left_alone_and_what_is_lost_is_counted(void **state) {
    (void)state;
    print_message("%d of %d clean suspected, %d clean lost with their group or run\n",
                  (int)total.clean_suspected, (int)total.clean, (int)total.clean_dropped);
    assert_true(total.clean > 4 * SEEDS);
    assert_int_equal(total.clean_suspected, 0);
    assert_true(total.clean_dropped > 0 && total.clean_dropped < total.clean / 4);
}

static void what_the_model_did_wrong_is_the_models(void **state) {
    (void)state;
    const mg_code codes[] = {MG_CODE_NONE, MG_M_PARSE, MG_M_ARGS, MG_M_WRONG, MG_M_LIMIT};
    for (int i = 0; i < 5; i++) {
        int64_t row = 0;
        for (int d = 0; d < MG_CODES; d++) row += total.confusion[codes[i]][d];
        assert_true(row > 10);
        assert_int_equal(total.confusion[codes[i]][codes[i]], row);
    }
}

static void what_is_clean_comes_out_the_same_when_played_again(void **state) {
    (void)state;
    assert_true(total.replayed > SEEDS / 10);
    assert_int_equal(total.clean_differ, 0);
}

static void a_seed_is_one_history(void **state) {
    (void)state;
    uint8_t before[32] = {0};
    for (uint64_t seed = 0; seed < 500; seed++) {
        const mg_sim_options o = options_of(seed);
        mg_sim_result        a, b;
        mg_sim_run(&o, &a);
        mg_sim_run(&o, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_not_equal(a.hash, before, 32);
        memcpy(before, a.hash, 32);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_session_hands_on_what_is_not_its_calls_own_answer_in_time),
        cmocka_unit_test(no_number_comes_from_nothing),
        cmocka_unit_test(nothing_unclean_is_fed),
        cmocka_unit_test(faults_get_their_names),
        cmocka_unit_test(what_is_poisoned_does_not_pass),
        cmocka_unit_test(what_is_clean_is_left_alone_and_what_is_lost_is_counted),
        cmocka_unit_test(what_the_model_did_wrong_is_the_models),
        cmocka_unit_test(what_is_clean_comes_out_the_same_when_played_again),
        cmocka_unit_test(a_seed_is_one_history),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
