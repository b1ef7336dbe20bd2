// Goal:   a row says what its repetitions say: median, range, share, ratio, and whether that is what was
//         wanted; a peer that misbehaves is told apart from one that answers.
// Method: literals; peers that are shell scripts.
#include "app/bench.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

static const mg_bench_case WORK = {.name = "plough", .unit = "furrows/s", .flops = 2e9, .wanted = 1.5,
                                   .peer = "ox"};

static void the_median_is_the_middle(void **state) {
    (void)state;
    assert_true(mg_bench_median((double[]){7}, 1) == 7);
    assert_true(mg_bench_median((double[]){9, 1, 5}, 3) == 5);
    assert_true(mg_bench_median((double[]){9, 1, 5, 6}, 4) == 5.5);
    assert_true(mg_bench_median((double[]){2, 100, 3, 1, 4}, 5) == 3);
}

static void a_row_has_its_share_and_its_ratio(void **state) {
    (void)state;
    double       ours[] = {30, 20, 40}, theirs[] = {10, 16, 13};
    mg_bench_row r;
    mg_bench_row_make(&WORK, ours, theirs, 3, 240e9, "an ox", &r);
    assert_true(r.value == 30 && r.low == 20 && r.high == 40 && r.n == 3);
    assert_true(r.peak_share == 0.25); // 30 furrows of 2 GFLOP of 240 GFLOP/s
    assert_true(r.peer_value == 13 && r.peer_low == 10 && r.peer_high == 16);
    assert_true(fabs(r.ratio - 30.0 / 13) < 1e-12);
    assert_string_equal(r.peer, "an ox");
    assert_int_equal(r.met, MG_BENCH_MET);
}

static void half_as_much_again_is_not_met_by_a_third_more(void **state) {
    (void)state;
    double       ours[] = {40}, theirs[] = {30};
    mg_bench_row r;
    mg_bench_row_make(&WORK, ours, theirs, 1, NAN, "an ox", &r);
    assert_int_equal(r.met, MG_BENCH_MISSED);
    assert_true(isnan(r.peak_share));
}

static void of_a_time_less_is_better(void **state) {
    (void)state;
    const mg_bench_case c = {.name = "walk", .unit = "ms", .time = true, .wanted = 2, .peer = "ox"};
    double              ours[] = {5}, theirs[] = {20};
    mg_bench_row        r;
    mg_bench_row_make(&c, ours, theirs, 1, NAN, "an ox", &r);
    assert_true(r.ratio == 4);
    assert_int_equal(r.met, MG_BENCH_MET);

    const mg_bench_case alone = {.name = "walk", .unit = "ms", .time = true, .wanted = 4};
    mg_bench_row_make(&alone, ours, NULL, 1, NAN, NULL, &r);
    assert_int_equal(r.met, MG_BENCH_MISSED); // 5 ms, at most 4 wanted
}

// What is wanted is a ratio, and nobody was there to be measured against.
static void without_a_peer_nothing_is_met(void **state) {
    (void)state;
    double       ours[] = {1000};
    mg_bench_row r;
    mg_bench_row_make(&WORK, ours, NULL, 1, 240e9, NULL, &r);
    assert_int_equal(r.met, MG_BENCH_UNKNOWN);
    assert_true(isnan(r.ratio) && isnan(r.peer_value) && isnan(r.peer_low) && isnan(r.peer_high));
}

static void a_value_itself_may_be_wanted(void **state) {
    (void)state;
    const mg_bench_case c = {.name = "share", .unit = "of 1", .wanted = 0.6};
    mg_bench_row        r;
    mg_bench_row_make(&c, (double[]){0.6}, NULL, 1, NAN, NULL, &r);
    assert_int_equal(r.met, MG_BENCH_MET);
    mg_bench_row_make(&c, (double[]){0.59}, NULL, 1, NAN, NULL, &r);
    assert_int_equal(r.met, MG_BENCH_MISSED);
}

static void expect_json(const mg_bench_row *r, const char *text) {
    json_t *got = mg_bench_row_json(r), *wanted = json_loads(text, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(got, wanted)) fail_msg("%s", json_dumps(got, 0));
    json_decref(got);
    json_decref(wanted);
}

static void json_has_every_key_and_null_for_what_is_none(void **state) {
    (void)state;
    double       ours[] = {30, 20, 40}, theirs[] = {16, 15, 14};
    mg_bench_row r;
    mg_bench_row_make(&WORK, ours, theirs, 3, 240e9, "an ox", &r);
    expect_json(&r, "{\"name\": \"plough\", \"value\": 30.0, \"unit\": \"furrows/s\", \"n\": 3, \"low\": 20.0, "
                    "\"high\": 40.0, \"peak_share\": 0.25, \"peer\": \"an ox\", \"peer_value\": 15.0, "
                    "\"peer_low\": 14.0, \"peer_high\": 16.0, \"ratio\": 2.0, \"wanted\": 1.5, \"met\": true}");
    const mg_bench_case plain = {.name = "rest", .unit = "s", .time = true};
    mg_bench_row_make(&plain, (double[]){2}, NULL, 1, NAN, NULL, &r);
    expect_json(&r, "{\"name\": \"rest\", \"value\": 2.0, \"unit\": \"s\", \"n\": 1, \"low\": 2.0, \"high\": 2.0, "
                    "\"peak_share\": null, \"peer\": null, \"peer_value\": null, \"peer_low\": null, "
                    "\"peer_high\": null, \"ratio\": null, \"wanted\": null, \"met\": null}");
}

// What a row is as text.
static const char *printed(const mg_bench_row *r) {
    static char text[512];
    FILE       *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    mg_bench_row_print(r, out);
    fclose(out);
    return text;
}

static void text_names_both_ranges_or_says_that_there_was_no_peer(void **state) {
    (void)state;
    double       ours[] = {30, 20, 40}, theirs[] = {16, 15, 14};
    mg_bench_row r;
    mg_bench_row_make(&WORK, ours, theirs, 3, 240e9, "an ox", &r);
    assert_non_null(strstr(printed(&r), "20.00 .. 40.00"));
    assert_non_null(strstr(printed(&r), "  2.00 times 15.00 (14.00 .. 16.00) of an ox  (wanted 1.5: met)\n"));
    mg_bench_row_make(&WORK, ours, NULL, 3, 240e9, NULL, &r);
    assert_non_null(strstr(printed(&r), "25.0 % of peak  (wanted 1.5, no peer)\n"));
}

static void rows_are_chosen_by_name(void **state) {
    (void)state;
    bool chosen[MG_BENCH_CASES_MAX] = {0};
    int  n = 0, start = -1;
    assert_int_equal(mg_bench_choose(NULL, chosen), MG_OK);
    for (int i = 0; mg_bench_cases[i].name; i++) {
        n += chosen[i];
        if (strcmp(mg_bench_cases[i].name, "start") == 0) start = i;
        assert_int_equal(chosen[i], true);
    }
    assert_true(n > 10 && start > 0);

    assert_int_equal(mg_bench_choose("start,peak_f32", chosen), MG_OK);
    int named = 0;
    for (int i = 0; i < n; i++) named += chosen[i];
    assert_int_equal(named, 2);
    assert_true(chosen[start]);

    static const char *const wrong[] = {"peak", "start,plough", "start,", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(mg_bench_choose(wrong[i], chosen), MG_CONFIG);
        assert_non_null(strstr(mg_err_detail(), "wanted some of peak_f32_1"));
    }
}

// ---- Peers

static char     folder[64];
static mg_arena arena;

static int enter(void **state) {
    (void)state;
    strcpy(folder, "/tmp/mg-bench-test-XXXXXX");
    return !mkdtemp(folder) || mg_arena_init(&arena, "test", 1 << 20);
}

static int leave(void **state) {
    (void)state;
    const int status = system(mg_path(&arena, "rm -r %s", folder));
    mg_arena_release(&arena);
    return status;
}

// A program in the place of the interpreter; it is given script, row and threads.
static char *peer_that(const char *body) {
    char *path = mg_path(&arena, "%s/peer", folder), *text = mg_path(&arena, "#!/bin/sh\n%s\n", body);
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static void a_peer_answers_as_often_as_it_is_asked(void **state) {
    (void)state;
    mg_bench_peer p;
    double        value = 0;
    assert_int_equal(mg_bench_peer_open(&p, peer_that("echo \"{\\\"peer\\\": \\\"$2 on $3\\\"}\"; n=5; while read "
                                                      "word; do n=$((n + 1)); echo \"{\\\"value\\\": $n}\"; done"),
                                        "ox", 2), MG_OK);
    assert_string_equal(p.name, "ox on 2");
    for (int i = 6; i < 9; i++) {
        assert_int_equal(mg_bench_peer_once(&p, &value), MG_OK);
        assert_true(value == i);
    }
    mg_bench_peer_close(&p);
    assert_int_equal(p.pid, 0);
    mg_bench_peer_close(&p); // twice is fine
}

static bool there(const char *path) { return access(path, F_OK) == 0; }

// It is killed, not asked to tidy up.
static void what_a_peer_leaves_goes_with_it(void **state) {
    (void)state;
    mg_bench_peer p, q;
    char         *leaves = peer_that("mkdir $TMPDIR/a; echo x > $TMPDIR/a/b\n"
                                     "echo \"{\\\"peer\\\": \\\"$TMPDIR\\\"}\"; read word");
    assert_int_equal(mg_bench_peer_open(&p, leaves, "ox", 1), MG_OK);
    assert_int_equal(mg_bench_peer_open(&q, leaves, "ox", 1), MG_OK);
    const char *of_p = mg_path(&arena, "%s", p.name), *of_q = mg_path(&arena, "%s", q.name);
    assert_string_not_equal(of_p, of_q);
    assert_true(there(mg_path(&arena, "%s/a/b", of_p)));
    mg_bench_peer_close(&p);
    assert_false(there(of_p));
    assert_true(there(mg_path(&arena, "%s/a/b", of_q)));
    mg_bench_peer_close(&q);
    assert_false(there(of_q));

    // One that does not come either.
    char  *told = mg_path(&arena, "%s/told", folder), *text;
    char  *ends = mg_path(&arena, "echo x > $TMPDIR/b; printf %%s $TMPDIR > %s; exit 1", told);
    size_t size;
    assert_int_equal(mg_bench_peer_open(&p, peer_that(ends), "ox", 1), MG_CHILD);
    assert_int_equal(mg_file_read(told, 4096, &arena, &text, &size), MG_OK);
    assert_true(size > 5);
    assert_false(there(text));
}

static void refused(const char *body, mg_err err, const char *text) {
    mg_bench_peer p;
    assert_int_equal(mg_bench_peer_open(&p, body ? peer_that(body) : "/nowhere/python", "ox", 1), err);
    if (!strstr(mg_err_detail(), text)) fail_msg("%s", mg_err_detail());
    assert_int_equal(p.pid, 0);
}

static void a_peer_that_says_something_else_is_refused(void **state) {
    (void)state;
    refused("exit 1", MG_CHILD, "ended without an answer");
    refused("echo hello", MG_CHILD, "'hello");
    refused("echo '{\"error\": \"no module named ox\"}'", MG_CHILD, "no module named ox");
    refused("echo '{\"absent\": \"no ox in this stable\"}'", MG_UNSUPPORTED, "no ox in this stable");
    refused("echo '{\"value\": 3}'", MG_CHILD, "found no \"peer\"");
    refused(NULL, MG_IO, "/nowhere/python");
}

static void a_value_that_is_none_is_refused(void **state) {
    (void)state;
    static const char *const said[] = {"{\"value\": 0}", "{\"value\": \"much\"}", "{}"};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        mg_bench_peer p;
        double        value = 7;
        char         *body  = mg_path(&arena, "echo '{\"peer\": \"an ox\"}'; read word; echo '%s'; read word",
                                      said[i]);
        assert_int_equal(mg_bench_peer_open(&p, peer_that(body), "ox", 1), MG_OK);
        assert_int_equal(mg_bench_peer_once(&p, &value), MG_CHILD);
        assert_true(value == 7);
        mg_bench_peer_close(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle),
        cmocka_unit_test(a_row_has_its_share_and_its_ratio),
        cmocka_unit_test(half_as_much_again_is_not_met_by_a_third_more),
        cmocka_unit_test(of_a_time_less_is_better),
        cmocka_unit_test(without_a_peer_nothing_is_met),
        cmocka_unit_test(a_value_itself_may_be_wanted),
        cmocka_unit_test(json_has_every_key_and_null_for_what_is_none),
        cmocka_unit_test(text_names_both_ranges_or_says_that_there_was_no_peer),
        cmocka_unit_test(rows_are_chosen_by_name),
        cmocka_unit_test(a_peer_answers_as_often_as_it_is_asked),
        cmocka_unit_test(what_a_peer_leaves_goes_with_it),
        cmocka_unit_test(a_peer_that_says_something_else_is_refused),
        cmocka_unit_test(a_value_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
