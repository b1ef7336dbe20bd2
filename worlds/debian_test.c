// Goal:   every stanza becomes the right pair or is counted under the right reason, and nothing
//         that shares a source or a first paragraph straddles the splits.
// Method: invented packages. The order in which components are held out was computed beside this
//         program, with Python's hashlib.
#include "worlds/debian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define P40 "forty bytes of text that say very little" // the shortest paragraph that is kept

static mg_arena arena;

static int setup(void **state) {
    (void)state;
    return mg_arena_init(&arena, "test", 64 << 20) != MG_OK;
}

static int teardown(void **state) {
    (void)state;
    mg_arena_release(&arena);
    return 0;
}

static mg_debian read_text(const char *text) {
    mg_debian d;
    assert_int_equal(mg_debian_read(text, strlen(text), 0, 0, &arena, &d), MG_OK);
    int64_t dropped = 0;
    for (int i = 0; i < MG_DEBIAN_DROPS_N; i++) dropped += d.report.dropped[i];
    assert_int_equal(d.report.stanzas, d.report.pairs + dropped); // D2
    return d;
}

// ---- one stanza ---------------------------------------------------------------------------

static void a_stanza_becomes_a_pair(void **state) {
    (void)state;
    const mg_debian d = read_text(
        "\n\nPackage: tidepool-utils\n"
        "source:   tidepool (2.1-3)\n"
        "Section: science\n"
        "Depends: libsea1,\n"
        " libshore2\n"
        "Description: ignored where there is an English one, as here\n"
        "Description-en:  tide  tables\tfor harbours \r\n"
        " .\n"
        " Tidepool computes  the height of the tide\n"
        "   * for any harbour;   \r\n"
        "\t* on any day.\n"
        " .\n"
        " A second paragraph is not part of the prompt.\n"
        "Description-md5: 00\n"
        "Tag: a::b,\n"
        " c::d\n");
    assert_int_equal(d.report.pairs, 1);
    assert_string_equal(d.origin[0].package, "tidepool-utils");
    assert_string_equal(d.origin[0].source, "tidepool");
    assert_string_equal(d.pairs[0].prompt, "tidepool-utils: Tidepool computes the height of the "
                                           "tide * for any harbour; * on any day.");
    assert_string_equal(d.pairs[0].completion, "tide tables for harbours");
}

static void the_source_is_the_package_where_none_is_named(void **state) {
    (void)state;
    const mg_debian d = read_text("Package: gull\nDescription: watches sea birds\n " P40);
    assert_string_equal(d.origin[0].source, "gull");
    assert_string_equal(d.pairs[0].prompt, "gull: " P40);
}

// Each stanza is dropped for one reason, or kept: MG_DEBIAN_DROPS_N.
static void every_stanza_is_counted_under_its_reason(void **state) {
    (void)state;
#define KEPT "Description: counts the waves of a day\n " P40 "\n"
    static const struct {
        mg_debian_drop drop;
        const char    *stanza;
    } cases[] = {
        {MG_DEBIAN_DROPS_N, "Package: a0\n" KEPT},
        {MG_DEBIAN_DROPS_N, "Package: 0+.-\nSection: libs\n" KEPT},
        {MG_DEBIAN_DROP_malformed, "Package: aa\nno colon here\n" KEPT},
        {MG_DEBIAN_DROP_malformed, "Package: aa\nPackage: ab\n" KEPT},
        {MG_DEBIAN_DROP_malformed, " begins in the middle\nPackage: aa\n" KEPT},
        {MG_DEBIAN_DROP_malformed, "Package: aa\n: no name\n" KEPT},
        {MG_DEBIAN_DROP_malformed, "Package: aa\ntwo words: x\n" KEPT},
        {MG_DEBIAN_DROP_package, KEPT},
        {MG_DEBIAN_DROP_package, "Package:\n" KEPT},
        {MG_DEBIAN_DROP_package, "Package: a\n" KEPT},
        {MG_DEBIAN_DROP_package, "Package: Aa\n" KEPT},
        {MG_DEBIAN_DROP_package, "Package: -a\n" KEPT},
        {MG_DEBIAN_DROP_package, "Package: a_b\n" KEPT},
        {MG_DEBIAN_DROP_package, "Package: aa\nSource: (1.0)\n" KEPT},
        {MG_DEBIAN_DROP_area, "Package: aa\nSection: non-free/libs\n" KEPT},
        {MG_DEBIAN_DROP_synopsis, "Package: aa\n"},
        {MG_DEBIAN_DROP_synopsis, "Package: aa\nDescription:  \n " P40 "\n"},
        {MG_DEBIAN_DROP_paragraph, "Package: aa\nDescription: counts the waves\n"},
        {MG_DEBIAN_DROP_paragraph, "Package: aa\nDescription: counts the waves\n .\n .\n"},
        {MG_DEBIAN_DROP_utf8, "Package: aa\nDescription: counts \xFFwaves\n " P40 "\n"},
        {MG_DEBIAN_DROP_utf8, "Package: aa\nDescription: counts the waves\n " P40 "\xC3\n"},
        {MG_DEBIAN_DROP_control, "Package: aa\nDescription: counts \x1Bwaves\n " P40 "\n"},
        {MG_DEBIAN_DROP_control, "Package: aa\nDescription: counts the waves\n " P40 "\x7F\n"},
        {MG_DEBIAN_DROP_transitional,
         "Package: aa\nDescription: waves (Transitional package)\n " P40 "\n"},
        {MG_DEBIAN_DROP_transitional,
         "Package: aa\nDescription: counts the waves\n this is a dummy package " P40 "\n"},
        {MG_DEBIAN_DROPS_N, "Package: a1\nDescription: transitional epoch maps\n " P40 "\n"},
        {MG_DEBIAN_DROP_paragraph_short,
         "Package: aa\nDescription: counts the waves\n thirty-nine bytes that say next to none\n"},
        {MG_DEBIAN_DROP_synopsis_short, "Package: aa\nDescription: eleven byte\n " P40 "\n"},
        {MG_DEBIAN_DROPS_N, "Package: a2\nDescription: twelve bytes\n " P40 "\n"},
        {MG_DEBIAN_DROP_synopsis_long, "Package: aa\nDescription: " P40 P40 "!\n " P40 "\n"},
        {MG_DEBIAN_DROPS_N, "Package: a3\nDescription: " P40 P40 "\n " P40 "\n"},
        {MG_DEBIAN_DROP_same, "Package: aa\nDescription: " P40 "\n " P40 "\n"},
        {MG_DEBIAN_DROP_duplicate, "Package: zz\n" KEPT}, // of 0+.-, as a0 is
    };
    static char text[sizeof cases / sizeof *cases * 400];
    int64_t     expected[MG_DEBIAN_DROPS_N + 1] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcat(strcat(text, cases[i].stanza), i % 2 ? "\n" : " \t\r\n\n");
        expected[cases[i].drop]++;
    }
    expected[MG_DEBIAN_DROPS_N]--; // a0 and 0+.- say the same: one is the other's duplicate
    expected[MG_DEBIAN_DROP_duplicate]++;

    const mg_debian d = read_text(text);
    for (int i = 0; i < MG_DEBIAN_DROPS_N; i++) {
        if (d.report.dropped[i] != expected[i])
            fail_msg("%s: %lld dropped, %lld expected", mg_debian_drop_name[i],
                     (long long)d.report.dropped[i], (long long)expected[i]);
    }
    assert_int_equal(d.report.pairs, expected[MG_DEBIAN_DROPS_N]);
    assert_string_equal(d.origin[0].package, "0+.-"); // the first by name stands for its texts
}

static void long_lines_are_dropped_at_the_named_length(void **state) {
    (void)state;
    static const char head[] = "Package: aa\nDescription: counts the waves\n ";
    const size_t      huge   = 4 << 20;
    char             *text   = malloc(sizeof head + huge);
    const size_t      sizes[] = {MG_DEBIAN_PARAGRAPH_MAX, MG_DEBIAN_PARAGRAPH_MAX + 1, huge};
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', huge);
    for (int i = 0; i < 3; i++) {
        mg_debian    d;
        const mg_err err =
            mg_debian_read(text, sizeof head - 1 + sizes[i], 0, 0, &arena, &d);
        assert_int_equal(err, i == 0 ? MG_OK : MG_EMPTY);
    }
    free(text);
}

static void only_utf8_is_let_through(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool        good;
    } cases[] = {
        {"\xC2\x80", true},          {"\xC1\xBF", false},         {"\xC2", false},
        {"\x80", false},             {"\xE0\xA0\x80", true},      {"\xE0\x9F\xBF", false},
        {"\xED\x9F\xBF", true},      {"\xED\xA0\x80", false},     {"\xE2\x82", false},
        {"\xE2\x82z", false},        {"\xF0\x90\x80\x80", true},  {"\xF0\x8F\xBF\xBF", false},
        {"\xF4\x8F\xBF\xBF", true},  {"\xF4\x90\x80\x80", false}, {"\xF5\x80\x80\x80", false},
        {"\xF0\x9F\x90\xA2", true},  {"\xFF", false},             {"\xC1z", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "Package: aa\nDescription: counts the waves %s\n %s\n",
                 cases[i].bytes, P40);
        mg_debian    d;
        const mg_err err = mg_debian_read(text, strlen(text), 0, 0, &arena, &d);
        if ((err == MG_OK) != cases[i].good) fail_msg("case %zu: %s", i, mg_err_name(err));
    }
}

// ---- many stanzas -------------------------------------------------------------------------

// A small coast of packages. `paragraph` numbers a text; equal numbers are equal texts.
typedef struct invented {
    const char *package, *source;
    int         paragraph;
    const char *synopsis;
} invented;

static const invented coast[] = {
    // One component: anchor, bollard and fender share text 1, bollard and capstan a source, capstan
    // and davit text 2.
    {"anchor", "anchor", 1, "anchor depth finder"},
    {"bollard", "quay", 1, "bollard load meter"},
    {"capstan", "quay", 2, "capstan speed control"},
    {"davit", "davit", 2, "lifeboat davit simulator"},
    {"fender", "fender", 1, "fender size chooser"},
    // Two packages of one source with one text and one synopsis: the second is a duplicate.
    {"eddy", "current", 3, "map of coastal currents"},
    {"eddy-copy", "current", 3, "map of coastal currents"},
    {"eddy-doc", "current", 3, "map of coastal currents - manual"},
    // Components of one.
    {"fathom", "fathom", 4, "depth unit converter"},
    {"gimbal", "gimbal", 5, "compass gimbal tester"},
    {"halyard", "halyard", 6, "flag hoist planner"},
    {"isobath", "isobath", 7, "contour lines of the sea floor"},
    {"jetty", "jetty", 8, "berth reservation desk"},
    {"keel", "keel", 9, "keel weight calculator"},
    {"leeward", "leeward", 10, "wind shadow viewer"},
    {"mooring", "mooring", 11, "rope wear diary for moorings"},
    {"neap", "neap", 12, "calendar of neap tides"},
    {"oakum", "oakum", 13, "seam filler estimator"},
    {"pennant", "pennant", 14, "signal flag alphabet trainer"},
    {"quarterdeck", "quarterdeck", 15, "watch list for small crews"},
    {"rudder", "rudder", 16, "steering log reader"},
    {"sextant", "sextant", 17, "noon sight computation"},
    {"thwart", "thwart", 18, "rowing bench layout"},
    {"undertow", "undertow", 19, "bathing safety forecast"},
    {"vang", "vang", 20, "sail tension advisor"},
    {"windlass", "windlass", 21, "chain counter display"},
};
enum { COAST_N = sizeof coast / sizeof *coast };

static void print_stanza(FILE *out, const invented *p) {
    fprintf(out, "Package: %s\nSource: %s (1.0)\nDescription-en: %s\n Text number %d of the coast,"
                 " of which nothing else is known.\n\n", p->package, p->source, p->synopsis,
            p->paragraph);
}

static char *print_coast(bool backwards, size_t *size) {
    char *text = NULL;
    FILE *out  = open_memstream(&text, size);
    for (int i = 0; i < COAST_N; i++) print_stanza(out, &coast[backwards ? COAST_N - 1 - i : i]);
    fclose(out);
    return text;
}

static mg_debian_split split_of(const mg_debian *d, const char *package) {
    for (int s = 0; s < MG_DEBIAN_SPLITS_N; s++)
        for (int64_t i = d->begin[s]; i < d->begin[s + 1]; i++)
            if (strcmp(d->origin[i].package, package) == 0) return (mg_debian_split)s;
    fail_msg("%s is in no split", package);
    return MG_DEBIAN_SPLITS_N;
}

static void components_are_held_out_in_the_order_of_their_hashes(void **state) {
    (void)state;
    size_t    size;
    mg_debian d;
    char     *text = print_coast(false, &size);
    assert_int_equal(mg_debian_read(text, size, 3, 6, &arena, &d), MG_OK);
    free(text);
    assert_int_equal(d.report.stanzas, 26);
    assert_int_equal(d.report.pairs, 25);
    assert_int_equal(d.report.dropped[MG_DEBIAN_DROP_duplicate], 1);
    assert_int_equal(d.report.sources, 23);
    assert_int_equal(d.report.paragraphs, 21);
    assert_int_equal(d.report.paragraphs_shared, 2);
    assert_int_equal(d.report.components, 20);
    assert_int_equal(d.report.component_largest, 5);

    assert_int_equal(d.begin[0], 0);
    assert_int_equal(d.begin[1], 16);
    assert_int_equal(d.begin[2], 19);
    assert_int_equal(d.begin[3], 25);
    static const char *const held_out[] = {
        "gimbal", "oakum", "thwart",                                    // validation
        "eddy", "eddy-doc", "leeward", "rudder", "vang", "windlass"};   // test
    for (int i = 0; i < 9; i++) assert_string_equal(d.origin[16 + i].package, held_out[i]);
}

static void nothing_straddles_whatever_the_sizes(void **state) {
    (void)state;
    size_t size;
    char  *text = print_coast(false, &size);
    for (int held_out = 0; held_out <= 12; held_out++) {
        mg_debian d;
        assert_int_equal(mg_debian_read(text, size, held_out / 2, held_out, &arena, &d), MG_OK);
        const mg_debian_split quay = split_of(&d, "anchor");
        assert_int_equal(split_of(&d, "bollard"), quay);
        assert_int_equal(split_of(&d, "capstan"), quay);
        assert_int_equal(split_of(&d, "davit"), quay);
        assert_int_equal(split_of(&d, "fender"), quay);
        assert_int_equal(split_of(&d, "eddy"), split_of(&d, "eddy-doc"));
        assert_int_equal(d.begin[3] - d.begin[2], held_out);     // there are enough of one
        assert_int_equal(d.begin[2] - d.begin[1], held_out / 2);
    }
    free(text);
}

static void the_order_of_stanzas_changes_nothing(void **state) {
    (void)state;
    size_t    size;
    mg_debian d[2];
    for (int i = 0; i < 2; i++) {
        char *text = print_coast(i == 1, &size);
        assert_int_equal(mg_debian_read(text, size, 4, 7, &arena, &d[i]), MG_OK);
        free(text);
    }
    assert_memory_equal(d[0].begin, d[1].begin, sizeof d[0].begin);
    assert_memory_equal(&d[0].report, &d[1].report, sizeof d[0].report);
    for (int64_t i = 0; i < d[0].report.pairs; i++) {
        assert_string_equal(d[0].pairs[i].prompt, d[1].pairs[i].prompt);
        assert_string_equal(d[0].pairs[i].completion, d[1].pairs[i].completion);
        assert_string_equal(d[0].origin[i].source, d[1].origin[i].source);
    }
}

static void a_large_component_is_trained_on(void **state) {
    (void)state;
    enum { LARGE = MG_DEBIAN_HELD_OUT_COMPONENT_MAX + 1 };
    for (int n_shoals = LARGE - 1; n_shoals <= LARGE; n_shoals++) {
        size_t    size;
        char     *text = NULL, package[16];
        FILE     *out  = open_memstream(&text, &size);
        mg_debian d;
        for (int i = 0; i < n_shoals + LARGE; i++) {
            const char *source = i < n_shoals ? "shoal" : "reef";
            snprintf(package, sizeof package, "%s%d", source, i);
            print_stanza(out, &(invented){package, source, i, "catalogue of shallow waters"});
        }
        fclose(out);
        assert_int_equal(mg_debian_read(text, size, 0, LARGE, &arena, &d), MG_OK);
        if (n_shoals < LARGE) assert_int_equal(split_of(&d, "shoal0"), MG_DEBIAN_TEST);
        assert_int_equal(d.begin[3] - d.begin[2], n_shoals < LARGE ? n_shoals : 0);
        free(text);
    }
}

static void what_cannot_be_read_is_refused_with_a_reason(void **state) {
    (void)state;
    mg_debian d;
    size_t    size;
    char     *text = print_coast(false, &size);
    assert_int_equal(mg_debian_read("", 0, 0, 0, &arena, &d), MG_EMPTY);
    assert_int_equal(mg_debian_read("\n \n", 3, 0, 0, &arena, &d), MG_EMPTY);
    assert_int_equal(mg_debian_read("\0\0", 2, 0, 0, &arena, &d), MG_EMPTY);
    assert_non_null(strstr(mg_err_detail(), "none of its 1 stanzas"));
    assert_int_equal(mg_debian_read(text, size, 12, 13, &arena, &d), MG_CONFIG);
    assert_int_equal(arena.used, 0); // whatever failed gave back what it took

    mg_arena small;
    assert_int_equal(mg_arena_init(&small, "small", 2 * size), MG_OK);
    assert_int_equal(mg_debian_read(text, size, 0, 0, &small, &d), MG_LIMIT);
    mg_arena_release(&small);
    free(text);
}

static void more_stanzas_than_the_limit_are_refused(void **state) {
    (void)state;
    const size_t size = 3 * ((size_t)MG_DEBIAN_STANZAS_MAX + 1);
    char        *text = malloc(size);
    mg_debian    d;
    for (size_t i = 0; i < size; i++) text[i] = i % 3 ? '\n' : 'x';
    assert_int_equal(mg_debian_read(text, size, 0, 0, &arena, &d), MG_LIMIT);
    assert_non_null(strstr(mg_err_detail(), "1048577 stanzas"));
    free(text);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_stanza_becomes_a_pair),
        TEST(the_source_is_the_package_where_none_is_named),
        TEST(every_stanza_is_counted_under_its_reason),
        TEST(long_lines_are_dropped_at_the_named_length),
        TEST(only_utf8_is_let_through),
        TEST(components_are_held_out_in_the_order_of_their_hashes),
        TEST(nothing_straddles_whatever_the_sizes),
        TEST(the_order_of_stanzas_changes_nothing),
        TEST(a_large_component_is_trained_on),
        TEST(what_cannot_be_read_is_refused_with_a_reason),
        TEST(more_stanzas_than_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
