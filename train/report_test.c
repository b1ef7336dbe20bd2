// report_test.c - report.html is well-formed, says what it was given, and hides nothing in markup.
#include "train/report.h"

#include <ctype.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/rng.h"
#include "nets/tokenizer.h"
#include "train/harness.h"
#include "train/report_guard.h"
#include "train/report_curve.h"
#include "train/report_html.h"
#include "train/report_rollout.h"
#include "train/report_steps.h"

static char     folder[64];
static mg_arena arena;

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/mg-report-XXXXXX");
    return !mkdtemp(folder) || mg_arena_init(&arena, "test", (size_t)1 << 30);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define OK(call)                                                                               \
    do {                                                                                       \
        if (call) fail_msg("%s: %s", #call, mg_err_detail());                                  \
    } while (0)

static int64_t count(const char *text, const char *part) {
    int64_t n = 0;
    while ((text = strstr(text, part))) n++, text += strlen(part);
    return n;
}

static void assert_has(const char *page, const char *part) {
    if (!strstr(page, part)) fail_msg("no '%s'", part);
}

// Every tag is closed in order; only meta stands alone.
static void assert_balanced(const char *page) {
    char open[64][16];
    int  depth = 0;
    for (const char *p = strchr(page, '<'); p; p = strchr(p, '<')) {
        const char *end  = strchr(p, '>');
        const bool  shut = p[1] == '/';
        char        name[16];
        size_t      n = 0;
        assert_non_null(end);
        for (const char *q = p + 1 + shut; isalnum((unsigned char)*q) && n < 15; q++)
            name[n++] = *q;
        name[n] = 0;
        if (shut) {
            if (depth == 0 || strcmp(open[--depth], name) != 0)
                fail_msg("</%s> closes nothing", name);
        } else if (p[1] != '!' && end[-1] != '/' && strcmp(name, "meta") != 0) {
            assert_true(n > 0 && depth < 64);
            strcpy(open[depth++], name);
        }
        p = end;
    }
    assert_int_equal(depth, 0);
}

// What is pointed to inside the page is there, once.
static void assert_references(const char *page, const char *attribute) {
    for (const char *p = strstr(page, attribute); p; p = strstr(p, attribute)) {
        p += strlen(attribute);
        while (*p != '"') {
            const size_t n = strcspn(p, " \"");
            char        *id = mg_path(&arena, "id=\"%.*s\"", (int)n, p);
            if (count(page, id) != 1) fail_msg("%s: %lld times", id, (long long)count(page, id));
            p += n + (p[n] == ' ');
        }
    }
}

static char *page_of(const mg_report *r) {
    const char *path = mg_path(&arena, "%s/page.html", folder);
    char       *page;
    size_t      size;
    OK(mg_report_write(path, r));
    OK(mg_file_read(path, 1 << 24, &arena, &page, &size));
    assert_int_equal(strlen(page), size);
    assert_balanced(page);
    assert_references(page, "aria-labelledby=\"");
    assert_references(page, "href=\"#");
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "url("));
    assert_null(strstr(page, "://"));
    return page;
}

// ---- texts and numbers ----

static const char *text_of(const char *bytes, size_t size) {
    char  *text;
    size_t n;
    FILE  *out = open_memstream(&text, &n);
    mg_html_text(out, bytes, size);
    fclose(out);
    char *copy = mg_arena_strdup(&arena, text);
    free(text);
    return copy;
}

#define R "&#xfffd;"

static void test_text(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *wanted;
    } cases[] = {
        {"a</script>&amp;\"'", "a&lt;/script&gt;&amp;amp;&quot;&#39;"},
        {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"tab\tline\n\x1b[0m\r\x7f", "tab\tline\n&#x241b;[0m&#x240d;&#x2421;"},
        {"\xc2\x85|\xc2\xa0", R "|\xc2\xa0"},
        // The Unicode standard's own examples, tables 3-8 to 3-11.
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A"},
        {"\xe2\x82", R},
        {"<\xf0\x9f\x98", "&lt;" R},
        {"\xc3<", R "&lt;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_of(cases[i].bytes, strlen(cases[i].bytes)), cases[i].wanted);
    assert_string_equal(text_of("a\0b", 3), "a&#x2400;b");
}

static void assert_number(double x, int decimals, int digits, const char *wanted) {
    char  *text;
    size_t n;
    FILE  *out = open_memstream(&text, &n);
    if (digits) mg_html_significant(out, x, digits);
    else mg_html_number(out, x, decimals);
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_numbers(void **state) {
    (void)state;
    assert_number(0.41251, 3, 0, "0.413");
    assert_number(-0.5, 1, 0, "&minus;0.5");
    assert_number(-0.04, 1, 0, "0.0");
    assert_number(-0.0, 0, 0, "0");
    assert_number(NAN, 2, 0, "&ndash;");
    assert_number(-INFINITY, 2, 0, "&minus;inf");
    assert_number(0.00001, 0, 4, "1e&minus;5");
    assert_number(-2.5e-7, 0, 4, "&minus;2.5e&minus;7");
    assert_number(129367, 0, 4, "129367");
    assert_number(1.5e6, 0, 4, "1.5e6");
    assert_number(1.0 / 3, 0, 4, "0.3333");
    assert_number(NAN, 0, 4, "&ndash;");
}

// ---- curves ----

static void test_axis(void **state) {
    (void)state;
    static const struct {
        double low, high;
        int    wanted;
        bool   loose;
        double from, to, step;
        int    first, last;
    } cases[] = {
        {0, 1, 4, true, 0, 1, 0.2, 0, 5},
        {0, 100, 4, true, 0, 100, 20, 0, 5},
        {-0.3, 8.1, 4, true, -2, 10, 2, -1, 5},
        {0, 399, 5, false, 0, 399, 100, 0, 3},
        {7, 7, 1, false, 6.3, 7.7, 1, 7, 7},
        {0, 0, 4, true, -1, 1, 0.5, -2, 2},
        {-4, -4, 4, true, -4.4, -3.6, 0.2, -22, -18},
        {1e-6, 1e-5, 4, true, 0, 1e-5, 2e-6, 0, 5},
        {0.3, 0.7, 4, true, 0.3, 0.7, 0.1, 3, 7}, // 0.3 / 0.1 is a hair below 3
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_axis a = mg_axis_over(cases[i].low, cases[i].high, cases[i].wanted, cases[i].loose);
        const double room = 1e-12 * (cases[i].to - cases[i].from);
        assert_true(fabs(a.low - cases[i].from) <= room && fabs(a.high - cases[i].to) <= room);
        assert_true(fabs(a.step - cases[i].step) <= room);
        assert_true(a.first == cases[i].first && a.last == cases[i].last);
    }
}

// Of any range: a handful of ticks, on the axis, and the axis around the range.
static void test_axis_of_any_range(void **state) {
    (void)state;
    mg_rng rng = mg_rng_stream(1, MG_PURPOSE_TEST, 0);
    for (int i = 0; i < 20000; i++) {
        const double size = pow(10, 600 * mg_rng_uniform(&rng) - 300);
        const double low  = size * mg_rng_normal(&rng);
        const double high = low + fabs(size * mg_rng_normal(&rng)) * (i % 10 ? 1 : 1e-14);
        const bool   loose = i % 2;
        const mg_axis a    = mg_axis_over(low, high, 4, loose);
        const double  room = 1e-5 * a.step;
        assert_true(a.low <= low + room && a.high >= high - room && a.low < a.high);
        assert_true(a.first <= a.last && a.last - a.first <= 8);
        assert_true((double)a.first * a.step >= a.low - room);
        assert_true((double)a.last * a.step <= a.high + room);
    }
    mg_axis_over(-1e300, 1e300, 4, true);
    mg_axis_over(5e-324, 5e-324, 4, true);
}

static char *page_of_series(const mg_report_series *series, int64_t n) {
    const mg_report_curve curve = {"curve", series, n};
    return page_of(&(mg_report){.title = "t", .curves = &curve, .n_curves = 1});
}

// By hand: the box is 46..306 by 152..10, the axes 0..2.
static void test_points(void **state) {
    (void)state;
    const mg_point         p[]   = {{0, 0}, {1, 1}, {2, 2}, {3, NAN}, {4, 0.5}};
    const mg_report_series whole = {"a", p, 3}, lone = {"b", p + 1, 1};
    char                  *page  = page_of_series(&whole, 1);
    assert_has(page, "class=\"line s0\" d=\"M46.0,152.0h0L176.0,81.0L306.0,10.0\"");
    assert_has(page, "0 at update 0, 2 at update 2; lowest 0, highest 2. </desc>");
    assert_has(page, "curve <span class=\"last\">2</span>");
    assert_has(page_of_series(&lone, 1), "d=\"M176.0,81.0h0\"");
    assert_null(strstr(page, "class=\"legend\""));
    assert_has(page, "y=\"120.0\">0.5</text>");
    assert_has(page, "y=\"13.5\">2.0</text>");
    assert_has(page, "y=\"169\">1</text>");

    const mg_report_series gap[] = {
        {"all", p, 5}, {"one", p, 1}, {"none", p + 3, 1}, {"empty", p, 0}};
    page = page_of_series(gap, 4);
    assert_has(page, "d=\"M46.0,152.0h0L111.0,81.0L176.0,10.0M306.0,116.5h0\"");
    assert_has(page, "class=\"line s1\" d=\"M46.0,152.0h0\"");
    assert_has(page, "class=\"line s2\" d=\"\"");
    assert_has(page, "none: no points. empty: no points. </desc>");
    assert_int_equal(count(page, "<li><svg"), 4);

    page = page_of_series(&gap[2], 1);
    assert_has(page, ">no points</text>");
}

// Ticks as they stand in the page: values go up as places go up (right, or towards the top).
static void test_ticks_are_monotone(void **state) {
    (void)state;
    mg_point p[50];
    for (int i = 0; i < 50; i++) p[i] = (mg_point){1000 + 37 * i, 1e-4 * sin(i) - 3e-4};
    const mg_report_series s    = {"s", p, 50};
    char                  *page = page_of_series(&s, 1);
    for (int axis = 0; axis < 2; axis++) {
        const char *mark = axis ? "class=\"y\" x=\"40\" y=\"" : "class=\"x\" x=\"";
        double      at_before = -1, before = -INFINITY;
        int         n = 0;
        for (const char *q = strstr(page, mark); q; q = strstr(q, mark), n++) {
            char        *end;
            double       at    = strtod(q += strlen(mark), &end);
            const char  *text  = strchr(end, '>') + 1;
            const double sign  = strncmp(text, "&minus;", 7) == 0 ? -1 : 1;
            const double value = sign * strtod(sign < 0 ? text + 7 : text, &end);
            assert_int_equal(*end, '<');
            if (axis) at = 1000 - at;
            assert_true(at > at_before && value > before);
            at_before = at, before = value;
        }
        assert_true(n >= 4 && n <= 8);
    }
    assert_has(page, ">&minus;0.0004</text>");
    assert_has(page, ">1500</text>");
}

static char *path_of(const char *page) {
    static const char before[] = "class=\"line s0\" d=\"";
    const char       *d        = strstr(page, before) + sizeof before - 1;
    return mg_path(&arena, "%.*s", (int)strcspn(d, "\""), d);
}

static void test_long_series_keep_their_extremes(void **state) {
    (void)state;
    enum { N = 10000 };
    mg_point *p = MG_NEW(&arena, mg_point, N);
    for (int i = 0; i < N; i++) p[i] = (mg_point){i, 0.5};
    p[4321].value = 1, p[4322].value = 0; // within a stretch of 33
    for (int i = 6000; i < 7000; i++) p[i].value = NAN;
    const mg_report_series s    = {"s", p, N};
    char                  *d    = path_of(page_of_series(&s, 1));
    assert_has(d, ",10.0L"); // the axis is 0..1
    assert_has(d, ",152.0L");
    assert_true(count(d, "L") + count(d, "M") <= MG_REPORT_POINTS_MAX);
    assert_true(count(d, "L") + count(d, "M") >= 200);
    assert_int_equal(count(d, "M"), 1 + 1);

    for (int i = 0; i < N; i++) p[i].value = i % 2; // a full stretch each: not one point more
    d = path_of(page_of_series(&s, 1));
    assert_int_equal(count(d, "L") + count(d, "M"), MG_REPORT_POINTS_MAX);
}

// ---- the document ----

#define HOSTILE "</script></title><b x=\"'&\xff"
#define TAMED   "&lt;/script&gt;&lt;/title&gt;&lt;b x=&quot;&#39;&amp;&#xfffd;"

static void test_hostile_texts_everywhere(void **state) {
    (void)state;
    const char *const       paragraphs[] = {HOSTILE, HOSTILE};
    const mg_report_column  columns[]    = {{HOSTILE, false, -1}};
    const mg_report_cell    cells[]      = {{.text = HOSTILE}};
    const mg_report_table   table        = {HOSTILE, columns, 1, cells, 1, HOSTILE};
    const mg_point          point        = {0, 1};
    const mg_report_series  series[]     = {{HOSTILE, &point, 1}, {HOSTILE, &point, 1}};
    const mg_report_curve   curve        = {HOSTILE, series, 2};
    const mg_report_answer  answer       = {HOSTILE, HOSTILE, HOSTILE};
    const mg_report_sample  sample       = {HOSTILE, HOSTILE, &answer, 1};
    const mg_report_section section      = {HOSTILE, paragraphs, 2};
    const size_t            size         = strlen(HOSTILE);
    mg_turn    turn = {HOSTILE, size, HOSTILE, size, 0, 0, mg_reward_invalid(HOSTILE)};
    mg_episode e    = {.turns = &turn, .n_turns = 1, .verdict = MG_SUSPECT, .code = HOSTILE,
                       .detail = HOSTILE, .learned = mg_reward_absent(HOSTILE)};
    const mg_report_episode episode = {&e, 0, HOSTILE};
    const char *page = page_of(&(mg_report){HOSTILE, HOSTILE, HOSTILE, &table, 1, &curve, 1,
                                            &sample, 1, &episode, 1, &section, 1});
    // Title twice, summary, config; table: caption twice, column, cell, note; figure: caption,
    // title, two names in words and two in the legend; sample: five; episode: two texts, two
    // rewards, code, detail, reference; section: heading twice, two paragraphs.
    assert_int_equal(count(page, TAMED), 4 + 5 + 6 + 5 + 7 + 4);
    assert_int_equal(count(page, "</script>"), 0);
    assert_int_equal(count(page, "<b"), count(page, "<body"));
    assert_int_equal(count(page, "\xff"), 0);
    assert_int_equal(count(page, "<h1>"), 1);
    assert_int_equal(count(page, "<h2 id="), 6);
    assert_has(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\"");
}

static void test_nothing_in_it(void **state) {
    (void)state;
    const char *page = page_of(&(mg_report){.title = "Empty"});
    assert_has(page, "<title>Empty</title>");
    assert_has(page, "<h1>Empty</h1>");
    assert_int_equal(count(page, "<h2"), 0);
    assert_int_equal(count(page, "<li>"), 0);
    // Parts without content.
    const mg_report_table   table   = {.caption = "none"};
    const mg_report_curve   curve   = {.title = "none"};
    const mg_report_sample  sample  = {.prompt = ""};
    const mg_report_section section = {.heading = "none"};
    mg_episode              e       = {0};
    const mg_report_episode episode = {.episode = &e};
    page = page_of(&(mg_report){"t", "", "", &table, 1, &curve, 1, &sample, 1, &episode, 1,
                                &section, 1});
    assert_null(strstr(page, "environment 0"));
    assert_has(page, "(empty)");
}

static void test_table(void **state) {
    (void)state;
    const mg_report_column columns[] = {{"policy", false, -1}, {"gold", true, 3}, {"n", true, 0}};
    const mg_report_cell   cells[]   = {
        {.text = "PPO"},   {.value = 0.39812, .low = -0.387, .high = 0.409}, {.value = 1000},
        {.text = "human"}, {.value = NAN},                                   {.text = "all"}};
    const mg_report_table table  = {"Outcome", columns, 3, cells, 2, "a note"};
    const mg_report       report = {.title = "t", .tables = &table, .n_tables = 1};
    const char           *page   = page_of(&report);
    assert_has(page, "<caption>Outcome</caption>\n<thead><tr><th scope=\"col\">policy</th>"
                     "<th scope=\"col\" class=\"n v\">gold</th><th scope=\"col\" class=\"n i\">interval</th>"
                     "<th scope=\"col\" class=\"n\">n</th></tr></thead>");
    assert_has(page, "<tr><th scope=\"row\">PPO</th><td class=\"n v\">0.398</td>"
                     "<td class=\"n i\">[&minus;0.387, 0.409]</td><td class=\"n\">1000</td></tr>");
    assert_has(page, "<tr><th scope=\"row\">human</th><td class=\"n v\">&ndash;</td>"
                     "<td class=\"n i\"></td><td class=\"n\">all</td></tr>");
    assert_has(page, "<p class=\"quiet\">a note</p>");
}

static void test_episode(void **state) {
    (void)state;
    uint8_t    role[] = {0, 0, 0, 1, 1, 2};
    mg_turn    turns[] = {
        {"ask", 3, "na\xc3\xafve answer", 13, 3, 6, mg_reward_of(-0.25)},
        {"again", 5, "", 0, 6, 6, mg_reward_absent("no reward function")}};
    mg_episode e = {.start = {.item = 77, .attempt = 2}, .policy_version = 9, .role = role,
                    .n_tokens = 6, .turns = turns, .n_turns = 1, .terminated = true,
                    .stopped = true, .learned = mg_reward_of(1.5)};
    mg_report_episode shown  = {&e, 3, "the reference"}; // between the two bytes of the i with dots
    mg_report         report = {.title = "t", .episodes = &shown, .n_episodes = 1};
    const char       *page   = page_of(&report);
    assert_has(page, "<mark title=\"forced prefix\">na\xc3\xaf</mark>ve answer</div>");
    assert_has(page, "<small>policy 9, task 77, attempt 2</small>");
    assert_has(page, "<dt>reward</dt><dd class=\"facts\">&minus;0.25</dd>");
    assert_has(page, "<dt>learned reward</dt><dd class=\"facts\">1.5</dd>");
    assert_has(page, "<dt>reference</dt><dd><div class=\"words\">the reference</div></dd>");
    assert_has(page, "<dt>verdict</dt><dd class=\"facts\">clean</dd>");
    assert_has(page, "environment 3, forced 2, policy 1</dd>");
    assert_has(page, "<dd class=\"facts\">terminated, the last answer ended with its stop</dd>");

    e.n_turns = 2, e.terminated = false, e.truncated = true, e.stopped = false;
    e.verdict = MG_QUARANTINED, e.code = "E.step", e.learned = mg_reward_absent(NULL);
    strcpy(e.detail, "it broke");
    e.code_turn = 1;
    shown.prefix_size = 1000; // more than there is
    page = page_of(&report);
    assert_has(page, "<mark title=\"forced prefix\">na\xc3\xafve answer</mark></div>");
    assert_has(page, "<dt>reward 2</dt><dd class=\"facts\">absent: no reward function</dd>");
    assert_has(page, "<dt>action 2</dt><dd><div class=\"words\"><span class=\"quiet\">(empty)<");
    assert_has(page, "<span class=\"bad\">quarantined</span> E.step: it broke, in turn 2</dd>");
    assert_has(page, "truncated, the last answer was cut at its limit");
    assert_null(strstr(page, "learned reward"));

    // Of the reset, or of the whole; by a script, which says no tokens and meets no limit.
    e.code_turn = -1, e.n_tokens = 0;
    page = page_of(&report);
    assert_has(page, "E.step: it broke</dd>");
    assert_has(page, "<dd class=\"facts\">truncated</dd>");
    assert_null(strstr(page, "the last answer"));
    assert_null(strstr(page, "<dt>tokens"));

    turns[0].reward = mg_reward_invalid("not a finite number");
    assert_has(page_of(&report), "<span class=\"bad\">invalid</span>: not a finite number</dd>");
}

// Three numbers seen, two done: rounded, in a row each, and nothing of them as bytes.
static void test_an_episode_of_numbers(void **state) {
    (void)state;
    enum { STEPS = 2 * MG_REPORT_STEPS + 50 };
    static float seen[STEPS][3];
    mg_turn     *turns = MG_NEW(&arena, mg_turn, STEPS);
    for (int i = 0; i < STEPS; i++) {
        seen[i][0] = 0.98765432f, seen[i][1] = -8, seen[i][2] = (float)i;
        turns[i] = (mg_turn){.observation = (const char *)seen[i], .observation_size = sizeof seen[i],
                             .action = "-0.123456791 2", .action_size = 14, .reward = mg_reward_of(-1),
                             .evidence = {.action = "tor<que"}};
    }
    mg_episode        e      = {.start = {.item = -1}, .policy_version = 9, .turns = turns, .n_turns = 2};
    mg_report_episode shown  = {.episode = &e};
    mg_report         report = {.title = "t", .episodes = &shown, .n_episodes = 1, .numbers = {.seen = 3, .done = 2}};
    turns[1].reward = mg_reward_absent("none here");
    const char *page = page_of(&report);
    assert_has(page, "<small>policy 9</small>"); // no task
    assert_has(page, "<th scope=\"colgroup\" colspan=\"3\">observation</th>"
                     "<th scope=\"colgroup\" colspan=\"2\">action: tor&lt;que</th>");
    assert_has(page, "<tr><th scope=\"row\">1</th><td class=\"n\">0.9877</td><td class=\"n\">&minus;8</td>"
                     "<td class=\"n\">0</td><td class=\"n\">&minus;0.1235</td><td class=\"n\">2</td>"
                     "<td class=\"n\">&minus;1</td></tr>");
    assert_has(page, "<td class=\"n\">absent: none here</td></tr>");
    assert_null(strstr(page, "return"));
    assert_null(strstr(page, "&#xfffd;"));
    assert_null(strstr(page, "<dt>call"));
    turns[1].reward = mg_reward_of(-1.5);
    assert_has(page_of(&report), "<dt>steps</dt><dd class=\"facts\">2, return &minus;2.5</dd>");

    e.n_turns = STEPS;
    page      = page_of(&report);
    assert_int_equal(count(page, "<th scope=\"row\">"), 2 * MG_REPORT_STEPS);
    assert_has(page, "<tr><td colspan=\"7\" class=\"quiet\">50 steps are left out</td></tr>\n"
                     "<tr><th scope=\"row\">151</th>");
    assert_has(page, "<th scope=\"row\">250</th>");
    assert_null(strstr(page, "<th scope=\"row\">101</th>"));
    e.n_turns = 2 * MG_REPORT_STEPS;
    assert_null(strstr(page_of(&report), "left out"));

    // A choice, and a record without observations.
    report.numbers = (mg_numbers){.seen = 3, .choices = 4};
    turns[0].observation = NULL, turns[0].action = "3", turns[0].action_size = 1, e.n_turns = 1;
    turns[0].evidence = (mg_evidence){.action = "push", .status = MG_STATUS_ERROR, .error = "broke"};
    page = page_of(&report);
    assert_has(page, "<th scope=\"row\">1</th><td class=\"n\">&ndash;</td><td class=\"n\">&ndash;</td>"
                     "<td class=\"n\">&ndash;</td><td colspan=\"1\">3</td>");
    assert_has(page, "<dt>call</dt><dd class=\"facts\">push: error (broke)");
    e.n_turns = 0;
    assert_null(strstr(page_of(&report), "trajectory"));
}

static void test_long_texts_are_folded(void **state) {
    (void)state;
    char text[2002];
    memset(text, 'x', sizeof text);
    text[2001] = 0;
    const mg_report_answer answers[] = {{"a", text, NULL}, {"b", text + 1, NULL}};
    const mg_report_sample sample    = {"p", NULL, answers, 2};
    const char *page = page_of(&(mg_report){.title = "t", .samples = &sample, .n_samples = 1});
    assert_int_equal(count(page, "<details><summary>2001 bytes</summary>"), 1);
    assert_int_equal(count(page, "<details>"), 1);
}

// ---- from stores ----

static mg_store *store_at(const char *name) {
    mg_store *s = NULL;
    OK(mg_store_open(&s, mg_path(&arena, "%s/%s", folder, name)));
    return s;
}

static void test_metrics_of_two_stores(void **state) {
    (void)state;
    mg_store         *s[]     = {store_at("a.db"), store_at("b.db")};
    const char *const names[] = {"PPO", "DR-PO"};
    mg_report         r       = {.title = "t"};
    for (int i = 0; i < 2; i++) {
        OK(mg_store_life(s[i], 0, ""));
        OK(mg_store_begin(s[i], 3));
        OK(mg_store_metric(s[i], "reward", 1 + i));
        OK(mg_store_metric(s[i], i ? "kl" : "zeal", 5));
        OK(mg_store_commit(s[i]));
    }
    OK(mg_report_add_metrics(&r, s, names, 2, &arena));
    assert_int_equal(r.n_curves, 3);
    assert_string_equal(r.curves[0].title, "kl");
    assert_string_equal(r.curves[1].title, "reward");
    assert_string_equal(r.curves[2].title, "zeal");
    assert_int_equal(r.curves[0].n_series, 1);
    assert_string_equal(r.curves[0].series[0].name, "DR-PO");
    assert_int_equal(r.curves[1].n_series, 2);
    assert_string_equal(r.curves[1].series[0].name, "PPO");
    const mg_report_series *second = &r.curves[1].series[1];
    assert_true(second->n == 1 && second->points[0].update == 4 && second->points[0].value == 2);
    page_of(&r);
    mg_store_close(s[0]);
    mg_store_close(s[1]);
}

static char *run_page(mg_store *s) {
    char  *page;
    size_t size;
    OK(mg_report_run(folder, s, &arena));
    OK(mg_file_read(mg_path(&arena, "%s/report.html", folder), 1 << 24, &arena, &page, &size));
    assert_balanced(page);
    return page;
}

// Twenty updates of four episodes, whose answers begin with a forced "reads".
static void test_run(void **state) {
    (void)state;
    mg_tokenizer *t;
    int32_t      *ids;
    int64_t       n, n_prefix;
    OK(mg_tokenizer_load(&t, "nets/testdata/tokenizer_gpt2.json"));
    OK(mg_tokenizer_encode(t, "reads", 5, false, &arena, &ids, &n_prefix));
    OK(mg_tokenizer_encode(t, "reads files", 11, false, &arena, &ids, &n));
    mg_store *s = store_at("run.db");
    uint8_t   role[16];
    float     logp[16] = {0};
    assert_true(n_prefix < n && n < 16);
    memset(role, MG_ROLE_POLICY, sizeof role);
    memset(role, MG_ROLE_FORCED, (size_t)n_prefix);

    assert_has(run_page(s), "The run made no update.");
    OK(mg_store_note(s, "config", "algo: drpo # <&>\n"));
    OK(mg_store_life(s, 0, ""));
    for (int u = 0; u < 20; u++) {
        OK(mg_store_begin(s, u));
        OK(mg_store_metric(s, "reward", u));
        OK(mg_store_metric(s, "kl", 0.5));
        for (int i = 0; i < 4; i++) {
            mg_turn    turn = {.observation = "task", .observation_size = 4,
                               .action = "reads files", .action_size = 11, .action_end = n,
                               .reward = mg_reward_of(i)};
            mg_episode e    = {.start = {.item = 10 * u + i, .n_prefix = n_prefix},
                               .policy_version = u, .tokens = ids, .role = role, .logp = logp,
                               .n_tokens = n, .turns = &turn, .n_turns = 1, .terminated = true};
            OK(mg_store_episode(s, &e));
        }
        OK(mg_store_commit(s));
    }
    const char *page = run_page(s);
    // Means of 0, 1 and of 18, 19.
    assert_has(page, "After 20 updates reward is 18.5, the mean over the last tenth of its points; "
                     "over the first tenth it was 0.5.");
    assert_has(page, "<th scope=\"row\">reward</th>"
                     "<td class=\"n\">0.5</td><td class=\"n\">18.5</td>"
                     "<td class=\"n\">0</td><td class=\"n\">19</td><td class=\"n\">20</td>");
    assert_has(page, "algo: drpo # &lt;&amp;&gt;");
    assert_int_equal(count(page, "<figure>"), 2);
    // Six of the oldest, four of the last; without a tokenizer nothing is marked.
    assert_int_equal(count(page, "<article>"), 10);
    assert_has(page, "policy 1, task 11<");
    assert_null(strstr(page, "policy 1, task 12<"));
    assert_has(page, "policy 19, task 193<");
    assert_int_equal(count(page, "forced prefix"), 0);

    OK(mg_folder_make(mg_path(&arena, "%s/model", folder)));
    OK(mg_tokenizer_save(t, mg_path(&arena, "%s/model/tokenizer.json", folder)));
    page = run_page(s);
    assert_int_equal(count(page, "<mark title=\"forced prefix\">reads</mark> files</div>"), 10);
    mg_store_close(s);
    mg_tokenizer_free(t);
}

static void test_an_exclusion_alarm_names_the_behaviour(void **state) {
    (void)state;
    const mg_manifest none = {0};
    for (int alarm = 0; alarm < 2; alarm++) {
        mg_store *s = store_at(alarm ? "alarm.db" : "quiet.db");
        mg_report r = {.title = "t"};
        mg_gate   g;
        mg_gate_init(&g, &(mg_gate_config){.rate_max = .05, .alpha = .05, .on_trip = "stop"});
        g.exclusion.alarm = alarm, g.exclusion.covariate = 7;
        strcpy(g.exclusion.actions[1], "pay_back");
        OK(mg_store_life(s, 0, ""));
        OK(mg_harness_note(&g, &none, s, &arena));
        OK(mg_report_add_harness(&r, s, &arena));
        assert_int_equal(count(r.harness->summary, "differs from what was kept in calls of pay_back."), alarm);
        assert_int_equal(count(r.harness->summary, "Exclusion is selecting behaviour"), alarm);
        mg_store_close(s);
    }
}

// A rollout's account, in words; and one of which nothing can be averaged.
static void test_the_account_of_a_rollout(void **state) {
    (void)state;
    mg_store *s = store_at("rollout.db");
    mg_report r = {.title = "t", .summary = "as it was"};
    OK(mg_report_add_rollout(&r, s, &arena));
    assert_string_equal(r.summary, "as it was");
    OK(mg_store_note(s, "rollout",
                     "{\"policy\": \"<oracle>\", \"world\": \"pendulum\", \"episodes\": 12, \"tasks\": 12, "
                     "\"verdicts\": {\"clean\": 10, \"suspect\": 1, \"quarantined\": 3}, \"length_unit\": \"steps\", "
                     "\"return\": {\"estimate\": -150.25, \"low\": -170, \"high\": -130.5, \"n\": 10}, "
                     "\"length\": {\"estimate\": 200, \"low\": 200, \"high\": 200, \"n\": 10}, "
                     "\"stopped\": {\"estimate\": 0, \"low\": 0, \"high\": 0, \"n\": 10}}"));
    const char *page = run_page(s);
    assert_has(page, "&lt;oracle&gt; in pendulum: the return is -150.25 [-170, -130.5], the mean over 10 episodes with "
                     "its 95 % interval. An episode has 200 [200, 200] steps. 10 of 14 attempts were clean; the others "
                     "are in no mean.");
    assert_null(strstr(page, "The run made"));
    assert_has(page, "<th scope=\"row\">return</th><td class=\"n v\">&minus;150.2</td>"
                     "<td class=\"n i\">[&minus;170, &minus;130.5]</td><td class=\"n\">10</td>");
    assert_has(page, "<th scope=\"row\">length of an episode, steps</th><td class=\"n v\">200</td>");
    assert_null(strstr(page, "its stop")); // of answers in tokens alone
    OK(mg_store_note(s, "rollout",
                     "{\"policy\": \"base\", \"world\": \"desk\", \"episodes\": 24, \"tasks\": 12, \"verdicts\": "
                     "{\"clean\": 24, \"suspect\": 0, \"quarantined\": 0}, \"length_unit\": \"tokens\", \"return\": "
                     "null, \"stopped\": {\"estimate\": 0.5, \"low\": 0.4, \"high\": 0.6, \"n\": 12}}"));
    page = run_page(s);
    assert_has(page, "base in desk: fewer than two clean episodes have a return, so there is no mean. 24 of 24");
    assert_has(page, "ended with its stop</th>");
    assert_has(page, "intervals over tasks.");
    OK(mg_store_note(s, "rollout", "["));
    assert_int_equal(mg_report_add_rollout(&r, s, &arena), MG_CORRUPT);
    mg_store_close(s);
}

// One after the other, the last of them the page's first that follows.
static void assert_order(const char *page, const char *const *texts) {
    for (; *texts; texts++) {
        const char *at = strstr(page, *texts);
        if (!at) fail_msg("'%s' does not follow", *texts);
        page = at;
    }
}

// Looks with and without a return; a rollback, and the one that ended the run.
static void test_the_guards_section(void **state) {
    (void)state;
    static const char note[] =
        "{\"start_return\": 8, \"random_return\": null, \"span\": 8, \"start_episodes\": 20, \"dip\": 0.75, "
        "\"worst_update\": 2, \"collapsed\": true, \"recovered\": null, \"mean_return\": 5, \"stopped\": true, "
        "\"rollbacks\": [{\"update\": 2, \"good\": 1}, {\"update\": 4, \"good\": 1}], "
        "\"evaluation\": {\"episodes\": 60, \"steps\": 480}, \"step_share\": 2.5, \"verdict_pairs\": 40, "
        "\"verdict_faults\": 1, \"gain\": -1.5, \"gain_low\": -2, \"gain_high\": -1, \"verdict\": \"no-go\"}";
    static const double looks[4][7] = {
        {7, 8, 10, 0, .1, 0, 1}, {2, 8, 10, 0, 1, 1, 1}, {NAN, NAN, 10, 10, .5, 0, 1}, {1, 8, 9, 0, 1, 1, 1}};
    static const char *const names[] = {"guard_return", "guard_start", "guard_pairs", "guard_faults",
                                        "guard_wealth", "guard_rollback", "guard_good"};
    mg_store *s = store_at("guard.db");
    mg_report r = {.title = "t"};
    OK(mg_report_add_guard(&r, s, &arena));
    assert_null(r.guard); // no note, no section
    OK(mg_store_life(s, 0, ""));
    for (int u = 0; u < 4; u++) {
        OK(mg_store_begin(s, u));
        for (int k = 0; k < 7; k++)
            if (!isnan(looks[u][k])) OK(mg_store_metric(s, names[k], looks[u][k]));
        OK(mg_store_commit(s));
    }
    OK(mg_store_note(s, "guard", note));
    const char *page = run_page(s);
    assert_has(page, "<a href=\"#guard\">Guard</a>");
    assert_has(page, "No-go: over 40 pairs of fresh episodes the policy returns -1.5 [-2, -1] more than the one that "
                     "it started from, and failed alone in 1. The policy that it started from lies beside this "
                     "page, in guard/start. 2 rollbacks: behind update 2 to what was behind "
                     "update 1, behind update 4 to what was behind update 1. The last one ended the run. Looking "
                     "cost 60 episodes, 480 steps of the world (2.5 times those that the run learnt from).");
    assert_order(page, (const char *const[]){"<h1>", "No-go: over", "The run made 4 updates.", "id=\"curves\"",
                                             "id=\"guard\"", "What the guard measured", "Metrics over the run", NULL});
    // A number's name stands over the number, its interval's beside it.
    assert_has(page, "<th scope=\"col\" class=\"n v\">value</th><th scope=\"col\" class=\"n i\">interval</th>"
                     "<th scope=\"col\">when</th>");
    assert_int_equal(count(page, "good: kept to go back to"), 1);
    assert_int_equal(count(page, "rolled back to what was behind update 1</td>"), 1);
    assert_int_equal(count(page, "rolled back to what was behind update 1, and ended</td>"), 1);
    assert_int_equal(count(page, "went on"), 1);
    // One numbering: a state that was kept behind update 1 is what update 1 left.
    assert_has(page, "<tr><th scope=\"row\" class=\"n\">1</th><td class=\"n\">7</td>");
    assert_has(page, "<tr><th scope=\"row\" class=\"n\">4</th><td class=\"n\">1</td>");
    assert_has(page, "<td>update 2</td>"); // the worst
    OK(mg_store_note(s, "guard", "{\"verdict\": null, \"rollbacks\": []}"));
    assert_has(run_page(s), "there is no verdict yet. 0 rollbacks.");
    OK(mg_store_note(s, "guard", "{\"verdict\": \"not decided\", \"gain\": null, \"rollbacks\": []}"));
    assert_has(run_page(s), "Not decided: fewer than six pairs of episodes went well. The policy that it started "
                           "from lies beside this page, in guard/start. 0 rollbacks.");
    // Which of the states is the model, once that is known.
    OK(mg_store_note(s, "guard", "{\"verdict\": \"go\", \"rollbacks\": [], \"keep_best\": true, \"begun\": 2, "
                                 "\"best\": 7}"));
    assert_has(run_page(s), " 0 rollbacks. The model is that behind update 7, whose look was the best.");
    OK(mg_store_note(s, "guard", "{\"verdict\": \"go\", \"rollbacks\": [], \"keep_best\": true, \"begun\": 2, "
                                 "\"best\": 2}"));
    assert_has(run_page(s), " 0 rollbacks. The model is the policy that it started from: no look gained.");
    OK(mg_store_note(s, "guard", "{\"verdict\": null, \"rollbacks\": [], \"keep_best\": true, \"begun\": 2, "
                                 "\"best\": 7}"));
    assert_null(strstr(run_page(s), "The model is"));
    OK(mg_store_note(s, "guard", "{"));
    assert_int_equal(mg_report_add_guard(&r, s, &arena), MG_CORRUPT);
    mg_store_close(s);
}

static void test_no_place_to_write(void **state) {
    (void)state;
    assert_int_equal(mg_report_write("/nowhere/report.html", &(mg_report){.title = "t"}), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "/nowhere/report.html"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_text),
        TEST(test_numbers),
        TEST(test_axis),
        TEST(test_axis_of_any_range),
        TEST(test_points),
        TEST(test_ticks_are_monotone),
        TEST(test_long_series_keep_their_extremes),
        TEST(test_hostile_texts_everywhere),
        TEST(test_nothing_in_it),
        TEST(test_table),
        TEST(test_episode),
        TEST(test_an_episode_of_numbers),
        TEST(test_long_texts_are_folded),
        TEST(test_metrics_of_two_stores),
        TEST(test_run),
        TEST(test_an_exclusion_alarm_names_the_behaviour),
        TEST(test_the_account_of_a_rollout),
        TEST(test_the_guards_section),
        TEST(test_no_place_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
