// Goal:   the real index makes the corpus that the documents promise: tens of thousands of pairs,
//         no straddling, and a gold score that knows people from tricks.
// Method: fetch it (needs a network; without one the test is skipped), then look at every pair.
#include "app/apt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rewards/gold.h"
#include "worlds/debian.h"

enum { VALIDATION = 1000, TEST = 2000, SKIPPED = 77 };

static mg_debian debian;

static void the_report_adds_up(void **state) {
    (void)state;
    const mg_debian_report *r    = &debian.report;
    int64_t                 left = r->stanzas;
    for (int i = 0; i < MG_DEBIAN_DROPS_N; i++) {
        printf("  %7lld dropped: %s\n", (long long)r->dropped[i], mg_debian_drop_text[i]);
        left -= r->dropped[i];
    }
    printf("  %lld stanzas, %lld pairs, %lld sources, %lld paragraphs (%lld in several sources), "
           "%lld components, the largest of %lld\n",
           (long long)r->stanzas, (long long)r->pairs, (long long)r->sources,
           (long long)r->paragraphs, (long long)r->paragraphs_shared, (long long)r->components,
           (long long)r->component_largest);
    assert_int_equal(left, r->pairs);
    assert_in_range(r->pairs, 35000, 80000);
    assert_in_range(r->paragraphs_shared, 300, 1500);
    assert_int_equal(debian.begin[1], r->pairs - VALIDATION - TEST);
    assert_int_equal(debian.begin[2], r->pairs - TEST);
    assert_int_equal(debian.begin[3], r->pairs);
}

typedef struct entry {
    const char *key;
    int         split;
} entry;

static int by_key(const void *a, const void *b) {
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static void nothing_straddles(void **state) {
    (void)state;
    entry *entries = calloc((size_t)debian.begin[3], sizeof *entries);
    for (int paragraph = 0; paragraph < 2; paragraph++) {
        for (int s = 0; s < MG_DEBIAN_SPLITS_N; s++)
            for (int64_t i = debian.begin[s]; i < debian.begin[s + 1]; i++)
                entries[i] = (entry){
                    paragraph ? strstr(debian.pairs[i].prompt, ": ") + 2 : debian.origin[i].source,
                    s};
        qsort(entries, (size_t)debian.begin[3], sizeof *entries, by_key);
        for (int64_t i = 1; i < debian.begin[3]; i++)
            if (strcmp(entries[i].key, entries[i - 1].key) == 0)
                assert_int_equal(entries[i].split, entries[i - 1].split);
    }
    free(entries);
}

typedef enum answer { PERSON, BEGINNING, NAME, OTHER, ANSWERS_N } answer;

static double mean_gold(const mg_gold *gold, answer a) {
    double sum = 0, passed[MG_GOLD_CHECKS_N] = {0};
    for (int64_t i = debian.begin[2]; i < debian.begin[3]; i++) {
        const mg_pair *p = &debian.pairs[i];
        const char    *text = a == PERSON      ? p->completion
                              : a == BEGINNING ? strstr(p->prompt, ": ") + 2
                              : a == NAME      ? debian.origin[i].package
                                               : debian.pairs[i - TEST].completion;
        const size_t   n = strlen(text);
        mg_gold_parts  parts;
        sum += mg_gold_score(gold, p->prompt, text, a == BEGINNING && n > 65 ? 65 : n, &parts);
        for (int k = 0; k < MG_GOLD_CHECKS_N; k++) passed[k] += parts.degree[k] == 1;
    }
    static const char *const names[] = {"person", "beginning", "name", "other"};
    printf("  %-10s %.3f:", names[a], sum / TEST);
    for (int k = 0; k < MG_GOLD_CHECKS_N; k++)
        printf(" %s %.2f", mg_gold_rules[k].name, passed[k] / TEST);
    printf("\n");
    return sum / TEST;
}

static void gold_knows_people_from_tricks(void **state) {
    (void)state;
    mg_gold *gold;
    assert_int_equal(mg_gold_new(&gold, debian.pairs, debian.begin[1]), MG_OK);
    const double people = mean_gold(gold, PERSON);
    assert_true(people > 0.65 && people < 0.80);
    for (answer a = BEGINNING; a < ANSWERS_N; a++)
        assert_true(mean_gold(gold, a) < people - 0.15);
    mg_gold_free(gold);
}

int main(void) {
    char     folder[] = "/tmp/martingale_index_XXXXXX", remove[64], *text;
    size_t   size;
    mg_arena arena;
    if (!mkdtemp(folder) || mg_arena_init(&arena, "test", (size_t)2 << 30)) return 1;
    mg_err err = mg_apt_fetch(folder, &arena, &text, &size);
    snprintf(remove, sizeof remove, "rm -r %s", folder);
    if (system(remove) != 0) return 1;
    if (err == MG_IO) {
        printf("skipped: %s\n", mg_err_detail());
        return SKIPPED;
    }
    if (!err) err = mg_debian_read(text, size, VALIDATION, TEST, &arena, &debian);
    if (err) {
        printf("%s\n", mg_err_detail());
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_adds_up),
        cmocka_unit_test(nothing_straddles),
        cmocka_unit_test(gold_knows_people_from_tricks),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mg_arena_release(&arena);
    return failed;
}
