// Goal:   what a process says of itself is judged like any world's word: lies are named, honest
// play is CLEAN.
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "env/episode.h"
#include "harness/watch.h"
#include "transport/process.h"

static char     bad_env[PATH_MAX];
static mg_arena arena;

static int set_up(void **state) {
    (void)state;
    const ssize_t n = readlink("/proc/self/exe", bad_env, sizeof bad_env - 1);
    if (n < 0) return 1;
    bad_env[n] = 0;
    strcpy(strrchr(bad_env, '/'), "/transport/bad_env");
    return mg_arena_init(&arena, "test", (size_t)64 << 20);
}

static int tear_down(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

// Opens the program; NULL where it cannot be started at all.
static mg_process_kind *kind_of(const char *const *argv) {
    const mg_process_options o = {
        .argv = argv, .start_timeout_ms = 30000, .call_timeout_ms = 30000, .seed = 3};
    mg_process_kind         *k = NULL;
    if (mg_process_kind_open(&k, &o) && !strstr(mg_err_detail(), "No such file"))
        fail_msg("%s", mg_err_detail());
    return k;
}

static void digest_after_reset(const mg_process_kind *k, uint64_t seed, int64_t item,
                               uint8_t out[32]) {
    const mg_reset_options o = {.item = item};
    mg_env                 fresh;
    mg_value               seen;
    assert_int_equal(mg_env_open(&fresh, mg_process_class(k), k, &arena), MG_OK);
    assert_int_equal(fresh.class->reset(&fresh, seed, &o, 0, &seen), MG_OK);
    mg_env_digest(&fresh, out);
    mg_env_close(&fresh);
}

// Two episodes on one process, "+1" until it is over; the verdict of the second, with its code.
static mg_verdict play(const mg_process_kind *k, const mg_manifest *m, int64_t n_actions,
                       const char **code) {
    const mg_reset_options o = {.item = 0};
    mg_env                 e;
    mg_episode             episode = {0};
    assert_int_equal(mg_env_open(&e, mg_process_class(k), k, &arena), MG_OK);
    for (int round = 0; round < 2; round++) {
        mg_watch      w;
        mg_value      seen;
        mg_transition t = {0};
        mg_turn       turns[40];
        uint8_t       digest[32], fresh[32], hash[32];
        episode = (mg_episode){.turns = turns};
        digest_after_reset(k, 1, 0, fresh);
        mg_watch_begin(&w, m);
        assert_int_equal(e.class->reset(&e, 1, &o, 0, &seen), MG_OK);
        mg_env_digest(&e, digest);
        mg_watch_reset(&w, digest, fresh);
        const char *manifest = e.class->manifest(&e);
        assert_int_equal(mg_manifest_hash(manifest, strlen(manifest), hash), MG_OK);
        mg_watch_manifest(&w, hash);
        const mg_value say = {.kind = MG_SPACE_TEXT, .text = "+1", .size = 2};
        for (int64_t i = 0; i < n_actions && !t.terminated; i++) {
            if (e.class->step(&e, &say, 0, &t)) {
                mg_watch_fault(&w, mg_code_find(e.fault), mg_err_detail());
                break;
            }
            mg_watch_step(&w, &t, 0);
            turns[episode.n_turns++] = (mg_turn){.reward = t.reward};
        }
        const mg_reward total = mg_episode_return(&episode);
        mg_watch_end(&w, t.terminated, true, &total);
        mg_watch_verdict(&w, &episode);
        if (episode.verdict != MG_CLEAN) break;
    }
    mg_env_close(&e);
    *code = episode.code;
    return episode.verdict;
}

static mg_manifest manifest_of(const mg_process_kind *k) {
    mg_env      e;
    mg_manifest m;
    assert_int_equal(mg_env_open(&e, mg_process_class(k), k, &arena), MG_OK);
    const char *json = e.class->manifest(&e);
    if (mg_manifest_read(json, strlen(json), &arena, &m)) fail_msg("%s", mg_err_detail());
    mg_env_close(&e);
    return m;
}

static void lies_are_named_and_honest_play_is_clean(void **state) {
    (void)state;
    const struct {
        const char *fault;
        int64_t     actions;
        const char *code; // NULL: none
    } rows[] = {{"none", 9, NULL},
                {"none", 1, "M.limit"}, // cut off unsolved: the model's own, and CLEAN
                {"stale read", 9, "E.stale"},
                {"false resolution", 9, "E.state"},
                {"dirty reset", 9, "E.dirty"},
                {"NaN reward", 9, "V.invalid"},
                {"text reward", 9, "V.invalid"},
                {"missing reward", 9, "V.absent"},
                {"null reward", 9, "V.absent"},
                {"typed failure", 9, "E.capacity"},
                {"dies", 9, "E.died"},
                {"twice", 9, "H.desync"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const argv[] = {bad_env, rows[i].fault, NULL};
        mg_process_kind  *k      = kind_of(argv);
        mg_manifest       m      = manifest_of(k);
        const char       *code;
        const mg_verdict  v = play(k, &m, rows[i].actions, &code);
        const bool        model = !rows[i].code || rows[i].code[0] == 'M';
        if (v != (model ? MG_CLEAN : MG_QUARANTINED) || !code != !rows[i].code ||
            (code && strcmp(code, rows[i].code)))
            fail_msg("%s: found verdict %d, code %s", rows[i].fault, (int)v, code ? code : "none");
        mg_manifest_release(&m);
        mg_process_kind_close(k);
    }
}

static void tools_that_change_during_a_run_are_named(void **state) {
    (void)state;
    const char *const honest[] = {bad_env, "none", NULL}, *const changed[] = {
                                                              bad_env,
                                                              "other tools when asked again", NULL};
    mg_process_kind  *k = kind_of(honest);
    mg_manifest       m = manifest_of(k);
    const char       *code;
    mg_process_kind_close(k);
    k = kind_of(changed);
    assert_int_equal(play(k, &m, 9, &code), MG_QUARANTINED);
    assert_string_equal(code, "E.manifest");
    mg_manifest_release(&m);
    mg_process_kind_close(k);
}

static void the_documented_example_is_the_file_and_plays(void **state) {
    (void)state;
    const char *const argv[] = {"python3", "examples/environment/counter.py", NULL};
    char             *doc, *code_text;
    const char       *code;
    size_t            size;
    assert_int_equal(mg_file_read("docs/ENVIRONMENTS.md", 1 << 20, &arena, &doc, &size), MG_OK);
    assert_int_equal(mg_file_read(argv[1], 1 << 20, &arena, &code_text, &size), MG_OK);
    assert_non_null(strstr(doc, code_text));
    mg_process_kind *k = kind_of(argv);
    if (!k) return; // Python is needed by nobody
    mg_manifest m = manifest_of(k);
    assert_int_equal(play(k, &m, 9, &code), MG_CLEAN);
    assert_null(code); // solved, twice
    assert_int_equal(play(k, &m, 2, &code), MG_CLEAN);
    assert_string_equal(code, "M.limit");
    mg_manifest_release(&m);
    mg_process_kind_close(k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_are_named_and_honest_play_is_clean),
        cmocka_unit_test(tools_that_change_during_a_run_are_named),
        cmocka_unit_test(the_documented_example_is_the_file_and_plays),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
