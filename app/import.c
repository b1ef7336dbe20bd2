// import.c - martingale import: other people's data as train, validation and test rows, or logged vectors.
#include <openssl/sha.h>
#include <string.h>

#include "app/app.h"
#include "app/apt.h"
#include "app/json.h"
#include "app/vectors.h"
#include "core/file.h"
#include "core/log.h"
#include "store/jsonl.h"
#include "worlds/debian.h"

#define ARENA_MAX  ((size_t)16 << 30) // address space
#define CORPUS_MAX ((size_t)1 << 30)  // bytes of an index
#define VALIDATION 1000               // rows held out where nothing else is said
#define TEST       2000

static const char *const splits[] = {"train", "validation", "test"};

typedef struct request {
    const char *out, *corpus;
    int64_t     validation, test; // rows held out; 0: the default of what is imported
} request;

static mg_err check_out(const request *r, mg_arena *arena) {
    if (!r->out) return mg_fail(MG_CONFIG, "--out: found nothing, wanted a folder to write to");
    const char *first = mg_path(arena, "%s/train.jsonl", r->out);
    if (mg_file_exists(first))
        return mg_fail(MG_BUSY, "%s is there already; remove it or name another folder", first);
    return mg_folder_make(r->out);
}

static mg_err report_debian(const request *r, const mg_debian *d) {
    const mg_debian_report *x = &d->report;
    if (mg_json) {
        json_t *dropped = json_object();
        for (int i = 0; i < MG_DEBIAN_DROPS_N; i++)
            json_object_set_new(dropped, mg_debian_drop_name[i], json_integer(x->dropped[i]));
        return mg_json_print(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "folder", r->out, "packages",
            (json_int_t)x->stanzas, "pairs", (json_int_t)x->pairs, "train",
            (json_int_t)(d->begin[1] - d->begin[0]), "validation",
            (json_int_t)(d->begin[2] - d->begin[1]), "test", (json_int_t)(d->begin[3] - d->begin[2]),
            "paragraphs_shared", (json_int_t)x->paragraphs_shared, "components",
            (json_int_t)x->components, "dropped", dropped));
    }
    printf("%lld packages, %lld pairs in %s\n", (long long)x->stanzas, (long long)x->pairs, r->out);
    for (int s = 0; s < MG_DEBIAN_SPLITS_N; s++)
        printf("  %-10s %lld\n", splits[s], (long long)(d->begin[s + 1] - d->begin[s]));
    printf("%lld source packages, %lld first paragraphs (%lld in several source packages), split by "
           "%lld components\ndropped:\n",
           (long long)x->sources, (long long)x->paragraphs, (long long)x->paragraphs_shared,
           (long long)x->components);
    for (int i = 0; i < MG_DEBIAN_DROPS_N; i++)
        if (x->dropped[i] > 0) printf("  %6lld  %s\n", (long long)x->dropped[i], mg_debian_drop_text[i]);
    return MG_OK;
}

mg_err mg_import_debian(const char *out, const char *corpus, int64_t validation, int64_t test,
                        mg_arena *arena, mg_debian *d) {
    char  *text;
    size_t size;
    mg_err err = MG_OK;
    if (corpus) {
        err = mg_file_read(corpus, CORPUS_MAX, arena, &text, &size);
    } else {
        mg_log(MG_LOG_INFO, "fetching the package index into %s/apt", out);
        err = mg_apt_fetch(mg_path(arena, "%s/apt", out), arena, &text, &size);
    }
    if (!err) {
        err = mg_debian_read(text, size, validation, test, arena, d);
        if (err) err = mg_fail(err, "%s: %s", corpus ? corpus : out, mg_err_detail());
    }
    for (int s = MG_DEBIAN_SPLITS_N - 1; s >= 0 && !err; s--) // train.jsonl last: it says "whole"
        err = mg_pairs_write(mg_path(arena, "%s/%s.jsonl", out, splits[s]), d->pairs + d->begin[s],
                             d->begin[s + 1] - d->begin[s]);
    return err;
}

static mg_err import_debian(const request *r, mg_arena *arena) {
    mg_debian d;
    mg_err    err = mg_import_debian(r->out, r->corpus, r->validation ? r->validation : VALIDATION,
                                  r->test ? r->test : TEST, arena, &d);
    return err ? err : report_debian(r, &d);
}

// Rows with one prompt stay together: a row's split follows from its prompt's hash alone.
static int split_of(const char *prompt, int64_t n, const request *r) {
    uint8_t hash[32];
    SHA256((const uint8_t *)prompt, strlen(prompt), hash);
    uint64_t x;
    memcpy(&x, hash, sizeof x);
    const double u = (double)(x >> 11) * 0x1p-53;
    if (u < (double)r->test / (double)n) return 2;
    return u < (double)(r->test + r->validation) / (double)n ? 1 : 0;
}

// Defaults are at most a tenth of the rows each.
static mg_err share_out(request *r, const char *path, int64_t n) {
    if (!r->validation) r->validation = n / 10 < VALIDATION ? n / 10 : VALIDATION;
    if (!r->test) r->test = n / 10 < TEST ? n / 10 : TEST;
    if (r->validation + r->test < n) return MG_OK;
    return mg_fail(MG_CONFIG, "%s: found %lld rows, wanted more than --validation %lld and --test "
                              "%lld hold out together",
                   path, (long long)n, (long long)r->validation, (long long)r->test);
}

static mg_err write_pairs(const request *r, const mg_pair *rows, int64_t n, mg_arena *arena,
                          int64_t counts[3]) {
    mg_err err = MG_OK;
    for (int s = 2; s >= 0 && !err; s--) {
        mg_pair *part = MG_NEW(arena, mg_pair, n);
        for (int64_t i = 0; i < n; i++)
            if (split_of(rows[i].prompt, n, r) == s) part[counts[s]++] = rows[i];
        if (counts[s] == 0) continue; // an empty file would be refused by who reads it
        err = mg_pairs_write(mg_path(arena, "%s/%s.jsonl", r->out, splits[s]), part, counts[s]);
    }
    return err;
}

static mg_err write_preferences(const request *r, const mg_preference *rows, int64_t n,
                                mg_arena *arena, int64_t counts[3]) {
    mg_err err = MG_OK;
    for (int s = 2; s >= 0 && !err; s--) {
        mg_preference *part = MG_NEW(arena, mg_preference, n);
        for (int64_t i = 0; i < n; i++)
            if (split_of(rows[i].prompt, n, r) == s) part[counts[s]++] = rows[i];
        if (counts[s] == 0) continue;
        err = mg_preferences_write(mg_path(arena, "%s/%s.jsonl", r->out, splits[s]), part, counts[s]);
    }
    return err;
}

static mg_err import_jsonl(request *r, const char *path, const char *kind, mg_arena *arena) {
    mg_pair       *pairs;
    mg_preference *rows;
    int64_t        n, counts[3] = {0};
    mg_err         err;
    if (strcmp(kind, "preferences") == 0) {
        err = mg_preferences_read(path, arena, &rows, &n);
        if (!err) err = share_out(r, path, n);
        if (!err) err = write_preferences(r, rows, n, arena, counts);
    } else {
        err = mg_pairs_read(path, arena, &pairs, &n);
        if (!err) err = share_out(r, path, n);
        if (!err) err = write_pairs(r, pairs, n, arena, counts);
    }
    if (!err && counts[0] == 0)
        err = mg_fail(MG_CONFIG, "%s: found too few prompts: none is left to train on, wanted less "
                                 "held out", path);
    if (err) return err;
    if (mg_json)
        return mg_json_print(json_pack("{s:s, s:I, s:I, s:I, s:I}", "folder", r->out, "rows", (json_int_t)n,
                                       "train", (json_int_t)counts[0], "validation", (json_int_t)counts[1],
                                       "test", (json_int_t)counts[2]));
    printf("%lld rows in %s: train %lld, validation %lld, test %lld\n", (long long)n, r->out,
           (long long)counts[0], (long long)counts[1], (long long)counts[2]);
    return MG_OK;
}

static const char *const usage =
    "usage: martingale import debian --out FOLDER [--corpus FILE]\n"
    "       martingale import jsonl FILE --out FOLDER [--kind pairs|preferences]\n"
    "       martingale import hdf5 FILE|FOLDER --out FILE.hdf5 [--world NAME]\n\n"
    "debian: the package index of this machine's Debian mirror becomes pairs (description, synopsis).\n"
    "It is fetched into FOLDER/apt; the system's own package lists are not touched.\n"
    "jsonl: rows {\"prompt\", \"completion\"} or {\"prompt\", \"chosen\", \"rejected\"}, each a text or a\n"
    "list of messages, are checked and split by prompt. A row of pairs may also be a conversation,\n"
    "{\"messages\"}: what stands before the first answer is its prompt.\n"
    "hdf5: logged vectors in D4RL's layout or Minari's (found out from the file) are checked and become a\n"
    "file of D4RL's layout, which runs read.\n\n";

static int run(int argc, char **argv) {
    const char     *kind = "pairs", *validation = NULL, *test = NULL, *world = NULL;
    request         r    = {0};
    mg_args         args;
    mg_arena        arena     = {0};
    const mg_option options[] = {
        {"out", &r.out, NULL, "FOLDER  where train.jsonl, validation.jsonl and test.jsonl go; hdf5: the file"},
        {"corpus", &r.corpus, NULL, "FILE  the apt/debian.txt of an import elsewhere: no network"},
        {"kind", &kind, NULL, "pairs|preferences  what the rows are (default pairs)"},
        {"validation", &validation, NULL, "N  rows for validation (default 1000; jsonl: at most a tenth)"},
        {"world", &world, NULL, "NAME  hdf5: whose data it is, where the file does not say"},
        {"test", &test, NULL, "N  rows for the last judgement (default 2000; jsonl: likewise)"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("%s", usage);
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    const char *what = !err && args.n_words ? args.words[0] : "nothing";
    const bool  debian = strcmp(what, "debian") == 0, jsonl = strcmp(what, "jsonl") == 0;
    const bool  hdf5   = strcmp(what, "hdf5") == 0;
    if (!err && ((!debian && !jsonl && !hdf5) || args.n_words != (debian ? 1 : 2)))
        err = mg_fail(MG_CONFIG, "import: found '%s', wanted `debian`, `jsonl FILE` or `hdf5 FILE`; see --help", what);
    if (!err && hdf5 && (r.corpus || validation || test))
        err = mg_fail(MG_CONFIG, "import hdf5: found %s, wanted --out and --world alone",
                      r.corpus ? "--corpus" : validation ? "--validation" : "--test");
    if (!err && hdf5) return mg_exit_status(mg_vectors_import(args.words[1], r.out, world));
    if (!err && strcmp(kind, "pairs") && strcmp(kind, "preferences"))
        err = mg_fail(MG_CONFIG, "--kind: found '%s', wanted pairs or preferences", kind);
    if (!err && validation) err = mg_args_int("validation", validation, 1, 1000000, &r.validation);
    if (!err && test) err = mg_args_int("test", test, 1, 1000000, &r.test);
    if (!err) err = mg_arena_init(&arena, "import", ARENA_MAX);
    if (!err) err = check_out(&r, &arena);
    if (!err) err = debian ? import_debian(&r, &arena) : import_jsonl(&r, args.words[1], kind, &arena);
    mg_arena_release(&arena);
    return mg_exit_status(err);
}

const mg_verb mg_verb_import = {"import", "debian | jsonl FILE | hdf5 FILE", "turn other people's data into rows",
                                run};
