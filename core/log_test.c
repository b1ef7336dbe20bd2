// Goal:   a person sees lines or one bar, a program sees JSON objects, and nobody is flooded.
// Method: stderr goes to a pipe, or to a pseudo-terminal of 60 columns, and is read back. Rates and
//         times are not compared.
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"

static int  master, saved; // the end that is read, and what stderr was
static char output[8192];

static void begin(int from, int to) {
    assert_true(from >= 0 && to >= 0);
    master = from;
    saved  = dup(STDERR_FILENO);
    dup2(to, STDERR_FILENO);
    close(to);
}

static void begin_pipe(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    begin(ends[0], ends[1]);
}

// Gives stderr back; returns what went there.
static const char *end(void) {
    dup2(saved, STDERR_FILENO);
    close(saved);
    size_t  used = 0;
    ssize_t n; // a terminal without a writer ends with EIO
    while ((n = read(master, output + used, sizeof output - 1 - used)) > 0) used += (size_t)n;
    output[used] = 0;
    close(master);
    mg_log_setup(MG_LOG_INFO, false);
    return output;
}

static void lines_above_the_level_are_silent(void **state) {
    (void)state;
    begin_pipe();
    mg_log(MG_LOG_DEBUG, "debug");
    mg_log(MG_LOG_INFO, "seed %d", 7);
    mg_log(MG_LOG_WARN, "slow");
    mg_log_setup(MG_LOG_ERROR, false);
    mg_log(MG_LOG_WARN, "hidden");
    mg_log(MG_LOG_ERROR, "broken");
    assert_string_equal(end(), "seed 7\nwarning: slow\nerror: broken\n");
}

static void json_lines_survive_any_bytes(void **state) {
    (void)state;
    begin_pipe();
    mg_log_setup(MG_LOG_INFO, true);
    mg_log(MG_LOG_WARN, "a \"b\"\n\x1b caf\xc3\xa9");
    mg_log(MG_LOG_ERROR, "bad \xff byte");
    assert_string_equal(
        end(), "{\"level\":\"warning\",\"message\":\"a \\\"b\\\"\\n\\u001B caf\xc3\xa9\"}\n"
               "{\"level\":\"error\",\"message\":\"bad ? byte\"}\n");
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void plain_progress_is_a_line_at_first_and_at_last(void **state) {
    (void)state;
    mg_progress p;
    begin_pipe();
    mg_progress_start(&p, "train ppo", "updates", 1000);
    for (int i = 0; i <= 1000; i++) mg_progress_show(&p, i, "kl 2.1");
    mg_progress_end(&p);
    const char *text = end();
    assert_int_equal(lines(text), 2);
    assert_memory_equal(text, "train ppo 0/1000 updates  0/s  kl 2.1\n", 38);
    assert_non_null(strstr(text, "\ntrain ppo 1000/1000 updates  "));
    assert_null(strchr(text, '\r'));
    assert_null(strstr(text, "left"));
    assert_string_equal(text + strlen(text) - 9, "  kl 2.1\n");
}

static void the_last_count_is_shown_even_where_no_total_is_known(void **state) {
    (void)state;
    mg_progress p;
    begin_pipe();
    mg_progress_start(&p, "read", "rows", 0);
    mg_progress_show(&p, 1, NULL);
    mg_progress_show(&p, 2, NULL);
    mg_progress_end(&p);
    const char *text = end();
    assert_int_equal(lines(text), 2);
    assert_memory_equal(text, "read 1 rows  ", 13);
    assert_non_null(strstr(text, "\nread 2 rows  "));
}

// One in 200 seconds, so that seven take 1400: what another process did says nothing of this one's speed.
static void what_was_done_before_is_no_speed(void **state) {
    (void)state;
    mg_progress p;
    begin_pipe();
    mg_progress_start(&p, "train", "updates", 20);
    mg_progress_resume(&p, 12);
    p.started -= 200; // as if so many seconds had passed
    mg_progress_show(&p, 13, NULL);
    mg_progress_end(&p);
    const char *text = end(), *wanted = "train 13/20 updates  0.005/s  left 0:23:";
    assert_memory_equal(text, wanted, strlen(wanted));
    begin_pipe(); // nothing was left to do
    mg_progress_start(&p, "train", "updates", 20);
    mg_progress_resume(&p, 20);
    mg_progress_end(&p);
    assert_string_equal(end(), "");
}

static void progress_in_json_is_an_object(void **state) {
    (void)state;
    mg_progress p;
    begin_pipe();
    mg_log_setup(MG_LOG_INFO, true);
    mg_progress_start(&p, "train", "updates", 4);
    mg_progress_show(&p, 4, "kl 2.1");
    mg_progress_end(&p);
    json_t *object = json_loads(end(), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "progress")), "train");
    assert_string_equal(json_string_value(json_object_get(object, "unit")), "updates");
    assert_string_equal(json_string_value(json_object_get(object, "note")), "kl 2.1");
    assert_int_equal(json_integer_value(json_object_get(object, "done")), 4);
    assert_int_equal(json_integer_value(json_object_get(object, "total")), 4);
    assert_true(json_is_real(json_object_get(object, "seconds")));
    json_decref(object);
}

static void quiet_means_no_progress(void **state) {
    (void)state;
    mg_progress p;
    begin_pipe();
    mg_log_setup(MG_LOG_WARN, false);
    mg_progress_start(&p, "train", "updates", 4);
    mg_progress_show(&p, 2, NULL);
    mg_progress_end(&p);
    assert_string_equal(end(), "");
}

static void a_terminal_gets_one_bar_that_fits(void **state) {
    (void)state;
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &(struct winsize){.ws_col = 60}), 0);
    begin(terminal, open(ptsname(terminal), O_RDWR | O_NOCTTY));
    mg_progress p;
    mg_progress_start(&p, "train", "updates", 8);
    mg_progress_show(&p, 6, "a note far longer than sixty columns leave room for");
    mg_log(MG_LOG_INFO, "line");
    mg_progress_show(&p, 8, NULL);
    mg_progress_end(&p);
    const char *text = end();
    assert_memory_equal(text, "\r\033[Ktrain [##################......] 6/8 updates", 48);
    const char *line = strstr(text, "\r\033[Kline\r\n"); // the bar is wiped for a line
    assert_non_null(line);
    assert_int_equal(line - text, 4 + 59);
    assert_non_null(strstr(line, "\r\033[Ktrain [########################] 8/8 updates"));
    assert_int_equal(lines(text), 2);
    assert_string_equal(text + strlen(text) - 2, "\r\n");
}

static void the_clock_does_not_go_back(void **state) {
    (void)state;
    double last = mg_clock_seconds();
    for (int i = 0; i < 1000; i++) {
        const double now = mg_clock_seconds();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_above_the_level_are_silent),
        cmocka_unit_test(json_lines_survive_any_bytes),
        cmocka_unit_test(plain_progress_is_a_line_at_first_and_at_last),
        cmocka_unit_test(the_last_count_is_shown_even_where_no_total_is_known),
        cmocka_unit_test(what_was_done_before_is_no_speed),
        cmocka_unit_test(progress_in_json_is_an_object),
        cmocka_unit_test(quiet_means_no_progress),
        cmocka_unit_test(a_terminal_gets_one_bar_that_fits),
        cmocka_unit_test(the_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
