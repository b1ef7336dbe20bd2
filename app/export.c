// export.c - martingale export: models in Hugging Face layout, episodes and metrics as plain files.
//
// Nothing is overwritten. Texts are UTF-8: bytes of an answer that are not become U+FFFD; its
// tokens are exact. Numbers have the digits that give their bits back; in a world of vectors, what was seen and done is
// arrays of them.
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "app/json.h"
#include "app/panel.h"
#include "app/vectors.h"
#include "core/file.h"
#include "rollout/demos.h"
#include "rollout/numbers.h"
#include "store/jsonl.h"
#include "store/store.h"

#define ARENA_MAX    ((size_t)16 << 30) // address space
#define EPISODES_MAX 10000000           // of one update
#define LINE         (JSON_COMPACT | JSON_REAL_PRECISION(17))

typedef struct request {
    const char *source, *out, *dtype, *episodes, *metrics, *demos;
    double      return_min; // of an episode that is a demonstration
} request;

// What was written, for people.
static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...) {
    va_list args;
    if (mg_json) return;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static mg_err refuse_existing(const char *path) {
    return mg_file_exists(path)
               ? mg_fail(MG_BUSY, "%s is there already; remove it or name another place", path)
               : MG_OK;
}

// ---- A file written line by line, beside its place until it is whole

typedef struct sheet {
    const char *path, *beside;
    FILE       *file;
    int64_t     rows;
} sheet;

static mg_err sheet_open(sheet *s, const char *path, mg_arena *arena) {
    mg_err err = refuse_existing(path);
    if (err) return err;
    *s = (sheet){.path = path, .beside = mg_path(arena, "%s.tmp", path)};
    s->file = fopen(s->beside, "w");
    return s->file ? MG_OK : mg_fail(MG_IO, "create %s: %s", s->beside, strerror(errno));
}

// Takes the object.
static mg_err sheet_line(sheet *s, json_t *row) {
    if (!row) return mg_fail(MG_CORRUPT, "%s: row %lld cannot be written: found a text that is no UTF-8, or no "
                                         "memory", s->path, (long long)s->rows + 1);
    json_dumpf(row, s->file, LINE); // a failed write is seen when the sheet is closed
    putc('\n', s->file);
    json_decref(row);
    s->rows++;
    return MG_OK;
}

static mg_err sheet_close(sheet *s, mg_err err) {
    bool failed = ferror(s->file) != 0;
    failed      = fclose(s->file) != 0 || failed;
    if (!err && (failed || rename(s->beside, s->path) != 0))
        err = mg_fail(MG_IO, "write %s: %s", s->path, strerror(errno));
    if (err) unlink(s->beside);
    if (!err) tell("%lld rows in %s", (long long)s->rows, s->path);
    return err;
}

// ---- A model

static mg_err export_model(const request *r, mg_arena *arena) {
    const char         *from  = mg_policy_folder(r->source, arena);
    const mg_file_dtype dtype = strcmp(r->dtype, "bf16") == 0 ? MG_FILE_BF16 : MG_FILE_F32;
    mg_err              err   = MG_OK;
    if (!mg_file_exists(mg_path(arena, "%s/config.json", from)))
        err = mg_fail(MG_IO, "%s: neither a finished run nor a model folder, which a run's "
                             "checkpoints/NNNNNN are too", r->source);
    if (!err) err = refuse_existing(mg_path(arena, "%s/config.json", r->out));
    if (!err) err = refuse_existing(mg_path(arena, "%s/model.safetensors", r->out));
    if (err) return err;
    if (mg_file_exists(mg_path(arena, "%s/reward_model.json", from))) {
        mg_reward_model reward;
        err = mg_reward_model_load(&reward, from);
        if (err) return err;
        err = mg_reward_model_save(&reward, r->out, dtype, from);
        mg_reward_model_release(&reward);
        return err;
    }
    mg_model *model;
    err = mg_model_load(&model, from, false);
    if (err) return err;
    err = mg_model_save(model, r->out, dtype, from);
    mg_model_free(model);
    return err;
}

// ---- Episodes

// A text of any bytes; NULL: null.
static json_t *text_json(const char *bytes, size_t size) {
    if (!bytes) return json_null();
    json_t *whole = json_stringn(bytes, size);
    if (whole) return whole;
    char  *text = malloc(3 * size + 1); // U+FFFD takes three bytes
    size_t n    = 0;
    MG_ASSERT(text);
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t    point;
        const utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)bytes + i,
                                                       (utf8proc_ssize_t)(size - i), &point);
        memcpy(text + n, used > 0 ? bytes + i : "\xEF\xBF\xBD", used > 0 ? (size_t)used : 3);
        n += used > 0 ? (size_t)used : 3;
        i += used > 0 ? (size_t)used : 1;
    }
    json_t *mended = json_stringn(text, n);
    free(text);
    return mended;
}

static json_t *reward_json(const mg_reward *r) {
    static const char *const kind[] = {[MG_REWARD_ABSENT] = "absent",
                                       [MG_REWARD_VALUE] = "value",
                                       [MG_REWARD_INVALID] = "invalid"};
    json_t *out = json_pack("{s:s}", "kind", kind[r->kind]);
    double  x;
    if (r->reason) json_object_set_new(out, "reason", text_json(r->reason, strlen(r->reason)));
    if (mg_reward_value(r, &x)) json_object_set_new(out, "value", json_real(x));
    return out;
}

static json_t *array_json(const float *x, int64_t n) {
    json_t *all = json_array();
    for (int64_t i = 0; i < n; i++) {
        json_t *number = json_real((double)x[i]); // NULL: not a finite number
        json_array_append_new(all, number ? number : json_null());
    }
    return all;
}

// What was seen before a turn, or in it done: numbers where the world has them. turn NULL: there was none.
static json_t *seen_json(const mg_numbers *n, const mg_turn *turn, mg_arena *arena) {
    float *x = MG_NEW(arena, float, n->seen);
    if (!turn || !turn->observation) return json_null();
    return mg_numbers_seen(n, turn, x) ? array_json(x, n->seen) : text_json(turn->observation, turn->observation_size);
}

static json_t *done_json(const mg_numbers *n, const mg_turn *turn, mg_arena *arena) {
    float *x = MG_NEW(arena, float, n->done);
    if (!turn || !turn->action) return json_null();
    if (mg_numbers_done(n, turn, x)) return array_json(x, n->done);
    return n->choices > 0 ? json_integer(strtoll(turn->action, NULL, 10)) : text_json(turn->action, turn->action_size);
}

// Turn by turn, where `prompt` and `answer` are not all.
static json_t *turns_json(const mg_episode *e, const mg_numbers *n, mg_arena *arena) {
    if (e->n_turns < 2 && n->seen == 0) return NULL;
    json_t *turns = json_array();
    for (int64_t i = 0; i < e->n_turns; i++) {
        const mg_turn *t = &e->turns[i];
        json_array_append_new(turns, json_pack("{s:o, s:o, s:o}", "observation", seen_json(n, t, arena), "action",
                                               done_json(n, t, arena), "reward", reward_json(&t->reward)));
    }
    return turns;
}

static json_t *episode_json(int64_t update, const mg_episode *e, const mg_numbers *numbers, mg_arena *arena) {
    static const char *const verdict[] = {
        [MG_CLEAN] = "clean", [MG_SUSPECT] = "suspect", [MG_QUARANTINED] = "quarantined"};
    static const char letter[] = {
        [MG_ROLE_ENVIRONMENT] = 'e', [MG_ROLE_FORCED] = 'f', [MG_ROLE_POLICY] = 'p'};
    const mg_turn *first = e->n_turns ? &e->turns[0] : NULL,
                  *last = first ? first + e->n_turns - 1 : NULL;
    const mg_reward reward = mg_episode_return(e);
    json_t         *tokens = json_array(), *logp = json_array();
    const int64_t   n      = e->tokens ? e->n_tokens : 0; // a replayable record has none
    char           *roles  = mg_arena_alloc(arena, (size_t)n + 1);
    for (int64_t k = 0; k < n; k++) {
        json_t *x = json_real((double)e->logp[k]); // NULL: not a finite number
        json_array_append_new(tokens, json_integer(e->tokens[k]));
        json_array_append_new(logp, x ? x : json_null());
        roles[k] = letter[e->role[k]];
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o*, s:o, s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:s, s:s*, "
        "s:i, s:o}",
        "update", (json_int_t)mg_update_number(update), "item", (json_int_t)e->start.item, "group",
        (json_int_t)e->start.group, "episode", (json_int_t)e->start.episode, "attempt",
        (json_int_t)e->start.attempt, "seed", (json_int_t)e->seed, "prefix",
        (json_int_t)e->start.n_prefix, "prompt",
        seen_json(numbers, first, arena), "answer", done_json(numbers, last, arena), "turns",
        turns_json(e, numbers, arena), "tokens", tokens,
        "roles", roles, "logp", logp, "reward", reward_json(&reward), "learned",
        reward_json(&e->learned), "stopped", e->stopped, "terminated", e->terminated, "truncated", e->truncated,
        "verdict", verdict[e->verdict], "code", e->code, "code_turn", e->code_turn, "detail",
        text_json(e->detail, strlen(e->detail)));
}

// What the record's observations and actions are. A run from before this was on record: as its world's, where that is
// a bundled one.
static mg_err numbers_of(mg_store *store, const char *run, mg_arena *arena, mg_numbers *out) {
    mg_settings s;
    mg_err      err = mg_numbers_read(store, arena, out);
    if (err || out->seen || out->done || out->choices) return err;
    const char *settings = mg_path(arena, "%s/run.yaml", run);
    if (!mg_file_exists(settings) || mg_settings_read(&s, settings, NULL, 0, arena)) return MG_OK;
    const mg_env_class *class = mg_app_world_class(&s);
    if (class) *out = mg_numbers_of(class);
    return MG_OK;
}

// Update by update, so that a long run need not fit into memory.
static mg_err export_episodes(mg_store *store, const char *run, const char *path, mg_arena *arena) {
    sheet      s;
    mg_numbers numbers;
    mg_err     err = numbers_of(store, run, arena, &numbers);
    if (!err) err = sheet_open(&s, path, arena);
    if (err) return err;
    const size_t mark = mg_arena_mark(arena);
    for (int64_t update = 0;; update++) {
        mg_episode *e;
        int64_t     n;
        mg_arena_reset(arena, mark);
        err = mg_store_episodes_read(store, update, INT64_MAX, 1, arena, &e, &n);
        if (err || n == 0) break; // nothing from here on
        err = mg_store_episodes_read(store, update, update + 1, EPISODES_MAX, arena, &e, &n);
        for (int64_t i = 0; i < n && !err; i++) err = sheet_line(&s, episode_json(update, &e[i], &numbers, arena));
        if (err) break;
    }
    return sheet_close(&s, err);
}

// ---- Demonstrations

// Is this one to be imitated? What was seen must be there, and the return reach the least that is asked.
static bool is_demo(const mg_episode *e, double return_min) {
    const mg_reward total = mg_episode_return(e);
    double          value;
    return e->verdict == MG_CLEAN && e->n_turns > 0 && e->turns[0].observation &&
           mg_reward_value(&total, &value) && value >= return_min;
}

// The clean episodes as conversations: nine of ten in train.jsonl, the last tenth in validation.jsonl.
static mg_err export_demos(mg_store *store, const request *r, mg_arena *arena) {
    mg_episode *e;
    mg_pair    *pairs;
    int64_t     n, kept = 0;
    mg_err      err = mg_store_episodes_read(store, 0, INT64_MAX, EPISODES_MAX, arena, &e, &n);
    for (int64_t i = 0; i < n && !err; i++)
        if (is_demo(&e[i], r->return_min)) e[kept++] = e[i];
    if (!err && kept < 2)
        err = mg_fail(MG_EMPTY, "%s: found %lld demonstrations among %lld episodes, wanted at least 2: clean, recorded "
                                "in full%s", r->source, (long long)kept, (long long)n,
                      isinf(r->return_min) ? ", with a return"
                                           : mg_path(arena, ", with a return of at least %g", r->return_min));
    if (!err) err = mg_demos_of(e, kept, arena, &pairs);
    if (!err && mg_file_exists(r->demos)) err = mg_fail(MG_BUSY, "%s is there already", r->demos);
    if (!err) err = mg_folder_make(r->demos);
    if (err) return err;
    const int64_t held = mg_pieces(kept, 10);
    err = mg_pairs_write(mg_path(arena, "%s/validation.jsonl", r->demos), pairs + kept - held, held);
    if (!err) err = mg_pairs_write(mg_path(arena, "%s/train.jsonl", r->demos), pairs, kept - held);
    if (!err)
        tell("%lld demonstrations in %s/train.jsonl, %lld in %s/validation.jsonl", (long long)(kept - held), r->demos,
             (long long)held, r->demos);
    return err;
}

// ---- Metrics

typedef struct column {
    const char *name;
    mg_point   *points; // [n] in order of update
    int64_t     n, at;
} column;

// The first update that some column has not given yet; INT64_MAX when all is told.
static int64_t next_update(const column *c, int64_t n) {
    int64_t update = INT64_MAX;
    for (int64_t k = 0; k < n; k++)
        if (c[k].at < c[k].n && c[k].points[c[k].at].update < update)
            update = c[k].points[c[k].at].update;
    return update;
}

static const double *take(column *c, int64_t update) {
    const bool there = c->at < c->n && c->points[c->at].update == update;
    return there ? &c->points[c->at++].value : NULL;
}

static mg_err write_csv(sheet *s, column *c, int64_t n) {
    fprintf(s->file, "update");
    for (int64_t k = 0; k < n; k++) fprintf(s->file, ",%s", c[k].name);
    for (int64_t u; (u = next_update(c, n)) != INT64_MAX;) {
        fprintf(s->file, "\n%lld", mg_update_number(u));
        s->rows++;
        for (int64_t k = 0; k < n; k++) {
            const double *x = take(&c[k], u);
            putc(',', s->file);
            if (x) fprintf(s->file, "%.17g", *x);
        }
    }
    putc('\n', s->file);
    return MG_OK;
}

static mg_err write_rows(sheet *s, column *c, int64_t n) {
    for (int64_t u; (u = next_update(c, n)) != INT64_MAX;) {
        json_t *row = json_pack("{s:I}", "update", (json_int_t)mg_update_number(u));
        for (int64_t k = 0; k < n; k++) {
            const double *x = take(&c[k], u);
            if (x) json_object_set_new(row, c[k].name, json_real(*x));
        }
        mg_err err = sheet_line(s, row);
        if (err) return err;
    }
    return MG_OK;
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static mg_err export_metrics(mg_store *store, const char *path, mg_arena *arena) {
    char  **names;
    int64_t n;
    sheet   s;
    mg_err  err = mg_store_metric_names(store, arena, &names, &n);
    if (err) return err;
    column *c = MG_NEW(arena, column, n);
    for (int64_t k = 0; k < n && !err; k++) {
        c[k].name = names[k];
        err       = mg_store_metric_read(store, names[k], arena, &c[k].points, &c[k].n);
    }
    if (!err) err = sheet_open(&s, path, arena);
    if (err) return err;
    err = (ends_with(path, ".csv") ? write_csv : write_rows)(&s, c, n);
    return sheet_close(&s, err);
}

// ---- The verb

static mg_err check(const request *r) {
    if (!r->out && !r->episodes && !r->metrics && !r->demos)
        return mg_fail(MG_CONFIG,
                       "export: found nothing to write, wanted --out, --episodes, --demos or --metrics");
    if (strcmp(r->dtype, "f32") && strcmp(r->dtype, "bf16"))
        return mg_fail(MG_CONFIG, "--dtype: found '%s', wanted f32 or bf16", r->dtype);
    if (r->metrics && !ends_with(r->metrics, ".csv") && !ends_with(r->metrics, ".jsonl"))
        return mg_fail(MG_CONFIG, "--metrics: found '%s', wanted a name ending in .csv or .jsonl",
                       r->metrics);
    return MG_OK;
}

static mg_err export_all(const request *r) {
    mg_arena  arena;
    mg_store *store = NULL;
    mg_err    err   = mg_arena_init(&arena, "export", ARENA_MAX);
    if (err) return err;
    const char *database = mg_path(&arena, "%s/run.db", r->source);
    if (r->out) err = export_model(r, &arena);
    if (r->out && !err) tell("the model in %s", r->out);
    if (!err && (r->episodes || r->metrics || r->demos)) {
        err = mg_file_exists(database)
                  ? mg_store_open(&store, database)
                  : mg_fail(MG_IO, "%s: not a run: it has no run.db", r->source);
        if (!err && r->episodes) err = export_episodes(store, r->source, r->episodes, &arena);
        if (!err && r->demos) err = export_demos(store, r, &arena);
        if (!err && r->metrics) err = export_metrics(store, r->metrics, &arena);
        mg_store_close(store);
    }
    mg_arena_release(&arena);
    return err;
}

static int run(int argc, char **argv) {
    request         r = {.dtype = "f32", .return_min = -INFINITY};
    const char     *least = NULL, *minari = NULL, *id = NULL;
    mg_args         args;
    const mg_option options[] = {
        {"out", &r.out, NULL, "FOLDER  the model, in Hugging Face layout"},
        {"dtype", &r.dtype, NULL, "f32|bf16  of its numbers (default f32)"},
        {"episodes", &r.episodes, NULL, "FILE.jsonl  the run's recorded episodes"},
        {"demos", &r.demos, NULL, "FOLDER  clean episodes as conversations to learn from (sft, drpo)"},
        {"return-min", &least, NULL, "R  of these only those that return R and more"},
        {"minari", &minari, NULL, "FOLDER  a logged data set of vectors, FILE.hdf5, in Minari's layout"},
        {"id", &id, NULL, "ID  Minari's name of it (default martingale/FILE-v0)"},
        {"metrics", &r.metrics, NULL, "FILE.csv|.jsonl  the run's metrics, a row per update"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, false);
    if (!err && args.help) {
        printf("usage: martingale export RUN|MODEL --out FOLDER [--dtype f32|bf16]\n"
               "       martingale export RUN [--episodes FILE.jsonl] [--metrics FILE.csv|.jsonl] [--demos FOLDER]\n"
               "       martingale export FILE.hdf5 --minari FOLDER [--id ID]\n\n"
               "In an episode's row, `roles` has a letter per token: e said by the environment,\n"
               "f forced (the prefix of a reset), p sampled from the policy; `turns` lists what was seen, said\n"
               "and earned where there is more than one turn, `code_turn` is the turn, from 0, that the code is\n"
               "about (-1: none). In a world of vectors what was seen and done is arrays of numbers, each with the\n"
               "digits that give its bits back, a choice is an integer, and `turns` is in every row. Nothing is\n"
               "overwritten.\n\n");
        mg_args_help(options, stdout);
        return MG_EXIT_DONE;
    }
    if (!err && args.n_words != 1)
        err = mg_fail(MG_CONFIG, "export: found %d folders, wanted one run or model", args.n_words);
    if (!err) r.source = args.words[0];
    if (!err && minari && (r.out || r.episodes || r.metrics || r.demos))
        err = mg_fail(MG_CONFIG, "export: found --minari and more, wanted --minari alone: its source is no run");
    if (!err && id && !minari) err = mg_fail(MG_CONFIG, "--id: found '%s' without --minari, wanted both", id);
    if (!err && minari) return mg_exit_status(mg_vectors_export(r.source, minari, id));
    if (!err && least) err = mg_args_real("return-min", least, -1e300, 1e300, &r.return_min);
    if (!err) err = check(&r);
    if (!err) err = export_all(&r);
    if (!err && mg_json)
        err = mg_json_print(json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "source", r.source, "model", r.out,
                                      "episodes", r.episodes, "demos", r.demos, "metrics", r.metrics));
    return mg_exit_status(err);
}

const mg_verb mg_verb_export = {"export", "RUN|MODEL [--out|--episodes|--metrics PLACE]",
                                "models, episodes and metrics as plain files", run};
