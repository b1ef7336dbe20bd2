// Goal:   each check gives the degree its rule says, and no cheap trick is worth what a person
//         writes.
// Method: degrees by hand over a training set whose document frequencies are powers of two; tricks
//         over invented packages that were held out.
#include "rewards/gold.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double found, double wanted) {
    if (!(fabs(found - wanted) <= 1e-12)) fail_msg("found %.17g, wanted %.17g", found, wanted);
}

// ---- degrees ------------------------------------------------------------------------------

// Seven pairs: red in 7, green in 3, ochre in 3, yellow in 2, blue in 1; "red green" side by side.
static const mg_pair colours[] = {
    {"red green", "red ochre"}, {"green", "red"}, {"ochre yellow", "red"}, {"red", "green"},
    {"blue yellow", "red"},     {"ochre", "red"}, {"red red", "red"},
};
#define PROMPT "zap-gun: red, green; BLUE"

static mg_gold *new_gold(const mg_pair *pairs, int64_t n) {
    mg_gold *g = NULL;
    assert_int_equal(mg_gold_new(&g, pairs, n), MG_OK);
    return g;
}

static mg_gold_parts parts_of(const mg_gold *g, const char *prompt, const char *answer) {
    mg_gold_parts parts;
    mg_gold_score(g, prompt, answer, strlen(answer), &parts);
    return parts;
}

static void each_check_gives_the_degree_of_its_rule(void **state) {
    (void)state;
#define X65 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm"
    static const struct {
        mg_gold_check check;
        const char   *answer;
        double        degree;
    } cases[] = {
        {MG_GOLD_length, "twenty characters it", 1},
        {MG_GOLD_length, "nineteen characters", 19.0 / 20},
        {MG_GOLD_length, "eighteen \xE2\x82\xAC charact", 18.0 / 20}, // in 20 bytes
        {MG_GOLD_length, X65, 1},
        {MG_GOLD_length, X65 "n", 65.0 / 66},
        {MG_GOLD_plain, "red (green)", 1}, // 8 of 10
        {MG_GOLD_plain, "red +++", .5 / .7},
        {MG_GOLD_plain, "red \xC3\xBC", 1},
        {MG_GOLD_plain, "red  green", 0},
        {MG_GOLD_plain, " red", 0},
        {MG_GOLD_plain, "red ", 0},
        {MG_GOLD_plain, "red\tgreen", 0},
        {MG_GOLD_plain, "red\x7F", 0},
        {MG_GOLD_article, "The red", 0},
        {MG_GOLD_article, "theory", 1},
        {MG_GOLD_article, "red the", 1},
        {MG_GOLD_name, "Zap Gun red", 0},
        {MG_GOLD_name, "zap-gun", 0},
        {MG_GOLD_name, "zap red", 1},
        {MG_GOLD_name, "zap", 1},
        {MG_GOLD_name, "red zap-gun", 1},
        {MG_GOLD_ending, "red.", 0},
        {MG_GOLD_ending, "red for", 0},
        {MG_GOLD_ending, "for red", 1},
        {MG_GOLD_ending, "red (green)", 1},
        {MG_GOLD_phrase, "red provides green", 0},
        {MG_GOLD_phrase, "red This", 0},
        {MG_GOLD_phrase, "red provider", 1},
        {MG_GOLD_once, "red and green and blue", 1},
        {MG_GOLD_once, "red green Red", 0},
        {MG_GOLD_once, "of the and", 0},
        {MG_GOLD_known, "blue ochre", 1},             // in the prompt; in three pairs
        {MG_GOLD_known, "blue ochre yellow", 2.0 / 3}, // yellow is in two
        {MG_GOLD_known, "mauve", 0},
        {MG_GOLD_order, "blue red green", 1},             // one of two
        {MG_GOLD_order, "green blue", 1},                 // in the prompt
        {MG_GOLD_order, "ochre yellow", 1},               // in a training pair
        {MG_GOLD_order, "red green red blue", 2.0 / 3},   // one of three
        {MG_GOLD_order, "green red", 0},                  // across two texts does not count
        {MG_GOLD_order, "red", 0},
        {MG_GOLD_support, "red for pink", 1},             // one of two content words
        {MG_GOLD_support, "red pink grey", 2.0 / 3},
        {MG_GOLD_support, "pink", 0},
        {MG_GOLD_support, "of the", 0},
        // Base-2 IDF by log2(8 / (1 + n)): red 0, green 1, blue 2, zap 3, gun 3; the prompt's
        // mean is 9 / 5.
        {MG_GOLD_informative, "blue green green", 1}, // 3/2; with green twice it would be 4/3
        {MG_GOLD_informative, "red green blue", 1.0 / 1.8 / .75},
        {MG_GOLD_informative, "green for it", 1.0 / 1.8 / .75},
        {MG_GOLD_informative, "red", 0},
        {MG_GOLD_informative, "mauve", 0}, // unknown: informs nobody
        {MG_GOLD_informative, "mauve blue", 1.0 / 1.8 / .75},
    };
    mg_gold *g = new_gold(colours, 7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double found = parts_of(g, PROMPT, cases[i].answer).degree[cases[i].check];
        if (!(fabs(found - cases[i].degree) <= 1e-12))
            fail_msg("%s of \"%s\": %.17g, wanted %.17g", mg_gold_rules[cases[i].check].name,
                     cases[i].answer, found, cases[i].degree);
    }
    mg_gold_free(g);
}

static void a_name_is_what_stands_before_the_first_colon(void **state) {
    (void)state;
    mg_gold *g = new_gold(colours, 7);
    near(parts_of(g, "red: green", "red blue").degree[MG_GOLD_name], 0);
    near(parts_of(g, "red green", "red blue").degree[MG_GOLD_name], 1);
    near(parts_of(g, "red:green", "red green").degree[MG_GOLD_name], 1);
    near(parts_of(g, "", "red green").degree[MG_GOLD_informative], 0);

    char long_name[2 * (MG_GOLD_WORDS_MAX + 1) + 8] = "";
    for (int i = 0; i <= MG_GOLD_WORDS_MAX; i++) strcat(long_name, "x ");
    strcat(long_name, ": red"); // longer than any answer
    near(parts_of(g, long_name, long_name).degree[MG_GOLD_name], 1);
    mg_gold_free(g);
}

static void the_score_is_half_graded_and_half_for_passing_all(void **state) {
    (void)state;
    double sum = 0;
    for (int i = 0; i < MG_GOLD_CHECKS_N; i++) sum += mg_gold_rules[i].weight;
    near(sum, 1);

    mg_gold      *g = new_gold(colours, 7);
    mg_gold_parts p;
    const char   *good = "zap gun green blue ochre"; // begins with the name: fails only there
    near(mg_gold_score(g, "zip-gun: zap gun green blue ochre", good, strlen(good), &p), 1);
    assert_true(p.passed);
    near(p.graded, 1);
    near(mg_gold_score(g, "zap-gun: zap gun green blue ochre", good, strlen(good), &p), .95 / 2);
    assert_false(p.passed);
    near(p.graded, .95);

    const mg_reward r = mg_gold_reward(g, "zip-gun: zap gun green blue ochre", good, strlen(good));
    assert_int_equal(r.kind, MG_REWARD_VALUE);
    near(r.value, 1);
    mg_gold_free(g);
}

static void without_words_there_is_no_score(void **state) {
    (void)state;
    mg_gold          *g         = new_gold(colours, 7);
    const char *const nothing[] = {"", " ", "....................", "\n\n"};
    for (int i = 0; i < 4; i++) {
        mg_gold_parts p;
        near(mg_gold_score(g, PROMPT, nothing[i], strlen(nothing[i]), &p), 0);
        for (int k = 0; k < MG_GOLD_CHECKS_N; k++) near(p.degree[k], 0);
    }
    mg_gold_free(g);
    assert_int_equal(mg_gold_new(&g, colours, 0), MG_EMPTY);
}

// ---- tricks -------------------------------------------------------------------------------

static const mg_pair trained[] = {
    {"tidelib: Tidelib computes the height of the tide. It is a library for reading and writing "
     "tide tables.", "library for reading and writing tide tables"},
    {"fogview: A viewer for weather maps of the coast, with layers for fog and wind.",
     "viewer for weather maps of the coast"},
    {"knotbook: This program teaches sailors to tie knots, with animated pictures.",
     "animated teacher of sailing knots"},
    {"harbour-db: Harbour-db keeps a database of harbours, berths and prices for small boats.",
     "database of harbours for small boats"},
    {"buoyd: Buoyd is a daemon that records messages from weather buoys and writes them to a "
     "database.", "daemon that records messages from weather buoys"},
    {"chartconv: Converts nautical charts between raster and vector formats on the command line.",
     "command line converter for nautical charts"},
    {"libgull: The Gull library draws charts and maps of the sea in windows of any size.",
     "library that draws charts of the sea"},
    {"wavegame: Wavegame is a puzzle game about boats in a storm, with a hundred levels.",
     "puzzle game about boats in a storm"},
    {"saltlog: Saltlog reads the log of a boat and makes tables of the distance and wind.",
     "tables of distance and wind from boat logs"},
    {"reefplan: A tool for planning dives: depth, time and gas for a group of divers.",
     "tool for planning dives of a group"},
    {"python3-knot: This package provides bindings to the knot database for the Python language.",
     "Python bindings to the knot database"},
    {"lampsim: Simulates the lights of ships and buoys at night, for the training of sailors.",
     "simulator for lights of ships at night"},
};

static const mg_pair held_out[] = {
    {"squall: Squall is a daemon that reads wind sensors and warns small boats of a storm. It "
     "writes to the system log.", "daemon that warns small boats of a storm"},
    {"tidemap: Tidemap is a viewer that draws the height of the tide on nautical charts, in any "
     "window.", "viewer that draws the tide on nautical charts"},
    {"berth-tool: A command line tool for planning berths in harbours: prices, time and depth.",
     "command line tool for planning berths"},
    {"libbuoy: This library decodes messages from buoys, among them distance and gas readings.",
     "library for reading messages from buoys"},
    {"shipquiz: Shipquiz teaches the lights and pictures of ships with a hundred questions.",
     "quiz game about the lights of ships"},
    {"python3-tide: This package provides bindings to the tide table library for Python.",
     "Python bindings to the tide table library"},
};
enum {
    TRAINED_N  = sizeof trained / sizeof *trained,
    HELD_OUT_N = sizeof held_out / sizeof *held_out,
};

typedef void trick(const mg_pair *pair, int64_t i, char answer[256]);

static void person(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    snprintf(answer, 256, "%s", pair->completion);
}
static void says_nothing(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)pair, (void)i;
    answer[0] = 0;
}
static void says_one_word(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    snprintf(answer, 256, "%.*s", (int)strcspn(pair->completion, " "), pair->completion);
}
static void says_the_name(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    snprintf(answer, 256, "%.*s", (int)strcspn(pair->prompt, ":"), pair->prompt);
}
static void copies_the_beginning(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    snprintf(answer, 66, "%s", strstr(pair->prompt, ": ") + 2);
}
static void copies_everything(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    snprintf(answer, 256, "%s", strstr(pair->prompt, ": ") + 2);
}
static void says_what_fits_another(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)pair;
    snprintf(answer, 256, "%s", held_out[(i + 1) % HELD_OUT_N].completion);
}
static void repeats_one_word(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    const char *word = strrchr(pair->completion, ' ');
    snprintf(answer, 256, "%s%s%s%s%s", word + 1, word, word, word, word);
}
// Every second long word of the description, from the last to the first: no two were neighbours.
static void says_a_salad(const mg_pair *pair, int64_t i, char answer[256]) {
    (void)i;
    char        text[256], *words[64];
    int         n = 0;
    size_t      at = 0;
    snprintf(text, sizeof text, "%s", strstr(pair->prompt, ": ") + 2);
    for (char *w = strtok(text, " .,:"); w; w = strtok(NULL, " .,:"))
        if (strlen(w) > 3) words[n++] = w;
    answer[0] = 0;
    for (int k = n - 1; k >= 0 && at < 40; k -= 2)
        at += (size_t)snprintf(answer + at, 256 - at, "%s%s", at ? " " : "", words[k]);
}

static double mean_score(const mg_gold *g, trick *t) {
    double sum = 0;
    for (int64_t i = 0; i < HELD_OUT_N; i++) {
        char answer[256];
        t(&held_out[i], i, answer);
        sum += mg_gold_score(g, held_out[i].prompt, answer, strlen(answer), NULL);
    }
    return sum / HELD_OUT_N;
}

static void no_trick_is_worth_what_a_person_writes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        trick      *play;
    } tricks[] = {
        {"nothing", says_nothing},
        {"one word", says_one_word},
        {"the name", says_the_name},
        {"the description's first words", copies_the_beginning},
        {"the description", copies_everything},
        {"another's synopsis", says_what_fits_another},
        {"one word again and again", repeats_one_word},
        {"word salad", says_a_salad},
    };
    mg_gold     *g      = new_gold(trained, TRAINED_N);
    const double people = mean_score(g, person);
    if (people < .6) fail_msg("people score %.3f", people);
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        const double score = mean_score(g, tricks[i].play);
        if (!(score < people - .1))
            fail_msg("%s scores %.3f, people %.3f", tricks[i].name, score, people);
    }
    mg_gold_free(g);
}

static void long_texts_are_read_to_their_named_limits(void **state) {
    (void)state;
    char          answer[4 * MG_GOLD_WORDS_MAX + 8] = "", *prompt = calloc(3, 1 << 16);
    mg_gold_parts p;
    for (int i = 0; i < MG_GOLD_WORDS_MAX; i++) strcat(answer, "red ");
    strcat(answer, "mauve");
    for (int i = 0; i < MG_GOLD_PROMPT_WORDS_MAX; i++) memcpy(prompt + 2 * i, "x ", 2);
    strcat(prompt, "mauve");
    mg_gold *g = new_gold(colours, 7);
    p          = parts_of(g, prompt, answer);
    near(p.degree[MG_GOLD_known], 1);     // the 65th word is not looked at
    near(p.degree[MG_GOLD_support], 0);   // nor is the prompt's 1,025th
    near(parts_of(g, prompt, "mauve").degree[MG_GOLD_support], 0);
    near(parts_of(g, prompt, "x").degree[MG_GOLD_support], 1);
    const mg_pair huge = {prompt, answer};
    mg_gold      *h    = new_gold(&huge, 1);
    mg_gold_free(h);
    mg_gold_free(g);
    free(prompt);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_check_gives_the_degree_of_its_rule),
        cmocka_unit_test(a_name_is_what_stands_before_the_first_colon),
        cmocka_unit_test(the_score_is_half_graded_and_half_for_passing_all),
        cmocka_unit_test(without_words_there_is_no_score),
        cmocka_unit_test(no_trick_is_worth_what_a_person_writes),
        cmocka_unit_test(long_texts_are_read_to_their_named_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
