// Goal:   each check gives the degree its rule says, and no cheap trick is worth what a person
//         writes.
// Method: degrees by hand over a training set whose document frequencies are powers of two; tricks
//         over invented packages that were held out.
#include "rewards/gold.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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
        {MG_GOLD_length, "twenty \xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC characters", 1},
        {MG_GOLD_length, "nineteen \xE2\x82\xAC character", 19.0 / 20 + 6.0 / 20 > 1 ? 1 : 0},
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
        {MG_GOLD_order, "red green red blue", 2.0 / 3},   // one of three
        {MG_GOLD_order, "green ochre", 0},                // not even across two training texts
        {MG_GOLD_order, "red", 0},
        {MG_GOLD_support, "red for pink", 1},             // one of two content words
        {MG_GOLD_support, "red pink grey", 2.0 / 3},
        {MG_GOLD_support, "pink", 0},
        {MG_GOLD_support, "of the", 0},
        // Base-2 IDF by log2(8 / (1 + n)): red 0, green 1, blue 2, zap 3, gun 3; the prompt's
        // mean is 9 / 5.
        {MG_GOLD_informative, "blue blue green", 1.5 / 1.8 / .75 >= 1 ? 1 : 0},
        {MG_GOLD_informative, "red green blue", 1.0 / 1.8 / .75},
        {MG_GOLD_informative, "red", 0},
        {MG_GOLD_informative, "mauve", 0},                // unknown: informs nobody
        {MG_GOLD_informative, "mauve for zap", 1.5 / 1.8 / .75 >= 1 ? 1 : 0},
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
