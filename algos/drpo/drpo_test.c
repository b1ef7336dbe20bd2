// Goal:   resets put an episode behind 1 .. L-1 tokens of its reference, each length as often as
//         any other, never behind all of it or its stop.
// Method: chi-square over many draws at a fixed seed; bounds at every length; plans read token by
//         token against the references.
#include "algos/drpo/drpo.h"

#include "algos/tiny_job.h"

enum { LENGTH = 12, DRAWS = 22000 };

static mg_rng prefix_stream(void) { return mg_rng_stream(11, MG_PURPOSE_TEST, 0); }

// n draws; counts [LENGTH + 1] by length.
static void draw(const mg_drpo_config *c, int64_t reference, int64_t response_max,
                 int64_t *counts) {
    mg_rng rng = prefix_stream();
    memset(counts, 0, sizeof *counts * (LENGTH + 1));
    for (uint32_t i = 0; i < DRAWS; i++) {
        mg_rng_seek(&rng, 0, 0, i);
        const int64_t n = mg_drpo_prefix(c, reference, response_max, &rng);
        assert_in_range(n, 0, LENGTH);
        counts[n]++;
    }
}

// Sum over [lo, hi] of (count - expected)^2 / expected.
static double chi_square(const int64_t *counts, int64_t lo, int64_t hi) {
    const double expected = (double)DRAWS / (double)(hi - lo + 1);
    double       sum = 0;
    for (int64_t n = lo; n <= hi; n++)
        sum += ((double)counts[n] - expected) * ((double)counts[n] - expected) / expected;
    return sum;
}

// Quantiles of chi-square at .999: 9, 10 and 11 degrees of freedom.
static const double MOST_9 = 27.88, MOST_10 = 29.59, MOST_11 = 31.26;

static void lengths_are_uniform_from_one_to_the_last_but_one(void **state) {
    (void)state;
    int64_t              counts[LENGTH + 1];
    const mg_drpo_config always = {.reset_share = 1, .prefix_share_max = 1};
    draw(&always, LENGTH, 100, counts);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[LENGTH], 0);
    assert_true(chi_square(counts, 1, LENGTH - 1) < MOST_10);

    const mg_drpo_config zero = {.reset_share = 1, .prefix_share_max = 1, .prefix_zero = true};
    draw(&zero, LENGTH, 100, counts);
    assert_int_equal(counts[LENGTH], 0);
    assert_true(chi_square(counts, 0, LENGTH - 1) < MOST_11);

    draw(&always, 100, LENGTH - 1, counts); // what does not fit into the answer is not drawn
    assert_int_equal(counts[0] + counts[LENGTH] + counts[LENGTH - 1], 0);
    assert_true(chi_square(counts, 1, LENGTH - 2) < MOST_9);
}

static void the_share_says_how_often_and_how_far(void **state) {
    (void)state;
    int64_t              counts[LENGTH + 1];
    const mg_drpo_config never = {.reset_share = 0, .prefix_share_max = 1};
    draw(&never, LENGTH, 100, counts);
    assert_int_equal(counts[0], DRAWS);

    const mg_drpo_config some = {.reset_share = 0.3, .prefix_share_max = 1};
    draw(&some, LENGTH, 100, counts);
    // 3.3 standard deviations of a binomial share
    near((double)counts[0] / DRAWS, 0.7, 3.3 * sqrt(0.3 * 0.7 / DRAWS));

    const mg_drpo_config half = {.reset_share = 1, .prefix_share_max = 0.5};
    draw(&half, LENGTH, 100, counts);
    for (int64_t n = 0; n <= LENGTH; n++)
        assert_int_equal(counts[n] > 0, n >= 1 && n <= LENGTH / 2);
}

static void short_references_give_no_reset(void **state) {
    (void)state;
    mg_rng               rng    = prefix_stream();
    const mg_drpo_config always = {.reset_share = 1, .prefix_share_max = 1};
    const mg_drpo_config none   = {.reset_share = 1, .prefix_share_max = 0};
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mg_drpo_prefix(&always, 1, 100, &rng), 0); // the stop alone
        assert_int_equal(mg_drpo_prefix(&always, 2, 100, &rng), 1);
        assert_int_equal(mg_drpo_prefix(&always, 100, 1, &rng), 0);
        assert_int_equal(mg_drpo_prefix(&none, 100, 100, &rng), 0);
    }
}

typedef struct planned {
    mg_start   *starts;
    int64_t     n;
    mg_sampling how;
} planned;

static planned plan_of(tiny *t, int64_t update) {
    planned p;
    ok(t->algo->plan(t->learner, update, &p.starts, &p.n, &p.how));
    return p;
}

// An episode's coin and length depend on its update and its number, not on how many there are.
static void each_update_draws_anew(void **state) {
    (void)state;
    tiny *t = tiny_start("drpo", 1, "", "episodes=10 reset_share=0.5");
    tiny *u = tiny_start("drpo", 1, "", "episodes=7 reset_share=0.5");
    int   differ = 0, mixed = 0;
    for (int64_t update = 0; update < 8; update++) {
        const planned a = plan_of(t, update), b = plan_of(t, update + 1);
        for (int64_t i = 0; i < a.n; i++)
            differ += (a.starts[i].n_prefix > 0) != (b.starts[i].n_prefix > 0);
        for (int64_t i = 1; i < a.n; i++)
            mixed += (a.starts[i].n_prefix > 0) != (a.starts[i - 1].n_prefix > 0);
    }
    assert_in_range(differ, 20, 60); // of 80, half
    assert_in_range(mixed, 18, 54);  // of 72, half
    const planned many = plan_of(t, 0), few = plan_of(u, 0);
    for (int64_t i = 0; i < few.n; i++) {
        assert_int_equal(few.starts[i].item, many.starts[i].item);
        assert_int_equal(few.starts[i].n_prefix, many.starts[i].n_prefix);
    }
    tiny_stop(t), tiny_stop(u);
}

static void prefixes_are_of_the_items_own_reference(void **state) {
    (void)state;
    tiny *t = tiny_start("drpo", 1, "", "episodes=24 reset_share=1");
    for (int64_t update = 0; update < 4; update++) {
        const planned p = plan_of(t, update);
        assert_int_equal(p.n, 24);
        for (int64_t i = 0; i < p.n; i++) {
            const mg_start *s    = &p.starts[i];
            const char     *text = tiny_pairs[s->item].completion;
            int32_t        *ids;
            int64_t         n;
            ok(mg_answer_encode(tiny_words, &t->job.rule, text, strlen(text), &t->step, &ids, &n));
            assert_in_range(s->n_prefix, n > 1 ? 1 : 0, n - 1);
            if (s->n_prefix > 0)
                assert_memory_equal(s->prefix, ids, sizeof *ids * (size_t)s->n_prefix);
        }
        const planned again = plan_of(t, update);
        for (int64_t i = 0; i < p.n; i++) {
            assert_int_equal(again.starts[i].item, p.starts[i].item);
            assert_int_equal(again.starts[i].n_prefix, p.starts[i].n_prefix);
        }
    }
    tiny_stop(t);
}

// The starting policy's own samples; again and again the same, whatever the policy has become.
static void roll_ins_are_samples_of_the_starting_policy(void **state) {
    (void)state;
    tiny *t = tiny_start("drpo", 1, "", "episodes=16 reset_share=1 reset_source=sft lr=0.05");
    const planned before = plan_of(t, 1);
    int64_t       own = 0, longest = 0;
    for (int64_t i = 0; i < before.n; i++) {
        const mg_start *s    = &before.starts[i];
        const char     *text = tiny_pairs[s->item].completion;
        int32_t        *ids;
        int64_t         n;
        ok(mg_answer_encode(tiny_words, &t->job.rule, text, strlen(text), &t->step, &ids, &n));
        own += s->n_prefix > 0 && s->prefix[0] != ids[0];
        if (s->n_prefix > longest) longest = s->n_prefix;
        for (int64_t k = 0; k < s->n_prefix; k++) assert_int_not_equal(s->prefix[k], TINY_STOP);
        assert_in_range(s->n_prefix, 0, TINY_RESPONSE - 1);
    }
    assert_true(own > 4);
    assert_true(longest > 2);
    mg_start *kept = malloc(sizeof *kept * (size_t)before.n);
    int32_t   first[16];
    memcpy(kept, before.starts, sizeof *kept * (size_t)before.n);
    for (int64_t i = 0; i < before.n; i++) first[i] = kept[i].n_prefix ? kept[i].prefix[0] : -1;
    ok(tiny_update(t, 0));
    const planned after = plan_of(t, 1);
    for (int64_t i = 0; i < after.n; i++) {
        assert_int_equal(after.starts[i].n_prefix, kept[i].n_prefix);
        assert_int_equal(after.starts[i].n_prefix ? after.starts[i].prefix[0] : -1, first[i]);
    }
    free(kept);
    tiny_stop(t);
}

static void references_are_needed(void **state) {
    (void)state;
    tiny *t = tiny_job("drpo", 1);
    t->job.n_pairs = 0;
    assert_int_equal(tiny_learner(t, ""), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "reference"));
    assert_null(t->learner);
    const mg_pair empty[] = {{tiny_texts[0], ""}, {tiny_texts[1], ""}}; // their stops alone
    t->job.pairs   = empty;
    t->job.n_pairs = 2;
    assert_int_equal(tiny_learner(t, ""), MG_CONFIG);
    assert_null(t->learner);
    ok(tiny_learner(t, "reset_source=sft"));
    tiny_stop(t);
}

// Four demonstrations of four turns, made elsewhere in the world, and one of a single turn.
enum { CHATS = 5, TURNS = 4 };
static const mg_exchange chat[TURNS - 1] = {{"rain", "red"}, {"kite", "far"}, {"snow", "old"}};

static tiny *chatting(mg_pair pairs[CHATS], const char *settings, mg_err wanted) {
    tiny *t = tiny_job("drpo", 1);
    for (int i = 0; i < CHATS; i++)
        pairs[i] = (mg_pair){.prompt = "a boat", .completion = "boat", .later = i < 4 ? chat : NULL,
                             .n_later = i < 4 ? TURNS - 1 : 0, .placed = true, .item = 100 + i,
                             .seed = 7 + (uint64_t)i};
    t->job.pairs = pairs, t->job.n_pairs = CHATS, t->job.n_items = 200;
    assert_int_equal(tiny_learner(t, settings), wanted);
    return t;
}

static void resets_go_between_the_turns_of_a_demonstration(void **state) {
    (void)state;
    enum { UPDATES = 30, EPISODES = 100 };
    mg_pair pairs[CHATS];
    int64_t turns[2][TURNS + 1] = {{0}};
    for (int zero = 0; zero < 2; zero++) {
        tiny *t = chatting(pairs, zero ? "episodes=100 prefix_zero=true" : "episodes=100", MG_OK);
        for (int64_t update = 0; update < UPDATES; update++) {
            const planned p = plan_of(t, update);
            for (int64_t i = 0; i < p.n; i++) {
                const mg_start *s = &p.starts[i];
                const int64_t   k = s->item - 100;
                assert_in_range(k, 0, CHATS - 1);
                assert_true(!s->prefix && s->n_prefix == 0);
                assert_ptr_equal(s->demo, s->demo_turns > 0 ? &pairs[k] : NULL);
                if (k == 4) assert_int_equal(s->demo_turns, 0); // a single turn
                if (k < 4) turns[zero][s->demo_turns]++;
            }
            mg_arena_reset(&t->step, 0);
        }
        tiny_stop(t);
    }
    assert_int_equal(turns[0][0] + turns[0][TURNS] + turns[1][TURNS], 0);
    for (int64_t k = 0; k < TURNS; k++) {
        const double n = UPDATES * EPISODES * 4 / 5.0, share = 1.0 / 3; // four standard deviations:
        if (k > 0) near((double)turns[0][k] / n, share, 4 * sqrt(share * (1 - share) / n));
        near((double)turns[1][k] / n, 0.25, 4 * sqrt(0.25 * 0.75 / n));
    }
}

static void what_turns_cannot_do_is_refused(void **state) {
    (void)state;
    mg_pair pairs[CHATS];
    tiny_stop(chatting(pairs, "reset_source=sft", MG_CONFIG));
    assert_non_null(strstr(mg_err_detail(), "drpo.reset_source: found sft, wanted reference"));
    tiny_stop(chatting(pairs, "mask_mode=code", MG_CONFIG));
    assert_non_null(strstr(mg_err_detail(), "drpo.mask_mode: found code, wanted strict"));
    // Where every row of several turns is too long, none is left to go into.
    tiny *t = tiny_job("drpo", 1);
    t->job.pairs = pairs, t->job.n_pairs = CHATS, t->job.context_max = 20;
    assert_int_equal(tiny_learner(t, ""), MG_CONFIG);
    assert_non_null(strstr(mg_err_detail(), "none of the 1 conversations that fit has one"));
    assert_null(t->learner);
    tiny_stop(t);
}

// References of 5, 3 and 4 tokens, the stop among them: digits are not of the tokenizer's texts.
static void a_share_that_leaves_nothing_to_begin_behind(void **state) {
    (void)state;
    static const mg_pair pairs[] = {{.prompt = "a boat", .completion = "0123"}, {.prompt = "a", .completion = "01"},
                                    {.prompt = "a b", .completion = "012"}};
    static const struct { const char *settings; mg_err wanted; } tries[] = {
        {"prefix_share_max=0.19", MG_CONFIG}, {"prefix_share_max=0.2", MG_OK}, {"prefix_share_max=0", MG_CONFIG},
        {"prefix_share_max=0 prefix_zero=true", MG_CONFIG}, {"prefix_share_max=0 reset_share=0", MG_OK},
        {"prefix_share_max=0 reset_source=sft", MG_CONFIG}, {"prefix_share_max=0.19 reset_source=sft", MG_OK}};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        tiny *t = tiny_job("drpo", 1);
        t->job.pairs = pairs, t->job.n_pairs = 3;
        assert_int_equal(tiny_learner(t, tries[i].settings), tries[i].wanted);
        if (tries[i].wanted) assert_non_null(strstr(mg_err_detail(), "none of the 3 references that fit has one"));
        tiny_stop(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_uniform_from_one_to_the_last_but_one),
        cmocka_unit_test(the_share_says_how_often_and_how_far),
        cmocka_unit_test(short_references_give_no_reset),
        cmocka_unit_test(each_update_draws_anew),
        cmocka_unit_test(prefixes_are_of_the_items_own_reference),
        cmocka_unit_test(roll_ins_are_samples_of_the_starting_policy),
        cmocka_unit_test(references_are_needed),
        cmocka_unit_test(resets_go_between_the_turns_of_a_demonstration),
        cmocka_unit_test(what_turns_cannot_do_is_refused),
        cmocka_unit_test(a_share_that_leaves_nothing_to_begin_behind),
    };
    return cmocka_run_group_tests(tests, tiny_open, tiny_close);
}
