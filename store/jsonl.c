// jsonl.c - JSON lines with errors that name the line and the key.
#include "store/jsonl.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "core/file.h"

typedef struct reader {
    FILE       *file; // owned
    const char *path;
    char       *line; // owned by getline
    size_t      line_size;
    int64_t     number; // of the current line, from 1
    mg_arena   *arena;
} reader;

static mg_err reader_open(reader *r, const char *path, mg_arena *arena) {
    *r = (reader){.path = path, .arena = arena, .file = fopen(path, "r")};
    return r->file ? MG_OK : mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
}

static void reader_close(reader *r) {
    if (r->file) fclose(r->file);
    free(r->line);
}

static bool blank(const char *s) { return s[strspn(s, " \t\r\n")] == 0; }

// The next row that is not blank; *row is NULL at the end and owned by the caller otherwise.
static mg_err reader_next(reader *r, json_t **row) {
    json_error_t at;
    *row = NULL;
    for (;;) {
        errno           = 0;
        const ssize_t n = getline(&r->line, &r->line_size, r->file);
        if (n < 0)
            return errno ? mg_fail(MG_IO, "read %s: %s", r->path, strerror(errno)) : MG_OK;
        r->number++;
        if (n > MG_JSONL_LINE_MAX)
            return mg_fail(MG_LIMIT, "%s:%lld: the line is longer than %d bytes", r->path,
                           (long long)r->number, MG_JSONL_LINE_MAX);
        if (blank(r->line)) continue;
        *row = json_loadb(r->line, (size_t)n, JSON_REJECT_DUPLICATES, &at);
        if (!*row)
            return mg_fail(MG_CORRUPT, "%s:%lld:%d: %s", r->path, (long long)r->number, at.column,
                           at.text);
        if (json_is_object(*row)) return MG_OK;
        json_decref(*row);
        *row = NULL;
        return mg_fail(MG_CORRUPT, "%s:%lld: found no object, wanted {\"prompt\": ..., ...}", r->path,
                       (long long)r->number);
    }
}

static const char *kind_of(const json_t *v) {
    return !v                ? "nothing"
           : json_is_null(v) ? "null"
           : json_is_object(v) ? "an object"
           : json_is_array(v)  ? "a list"
           : json_is_number(v) ? "a number"
                               : "true or false";
}

// The contents of [{"role", "content"}, ...], joined by newlines; NULL when it is no such list.
static char *join_messages(const json_t *list, mg_arena *arena) {
    size_t  size = 0, i;
    json_t *message;
    if (!json_is_array(list) || json_array_size(list) == 0) return NULL;
    json_array_foreach(list, i, message) {
        const json_t *content = json_object_get(message, "content");
        if (!json_is_string(content) || !json_is_string(json_object_get(message, "role"))) return NULL;
        size += json_string_length(content) + 1;
    }
    char *out = mg_arena_alloc(arena, size), *end = out;
    json_array_foreach(list, i, message) {
        if (i > 0) *end++ = '\n';
        end = stpcpy(end, json_string_value(json_object_get(message, "content")));
    }
    return out;
}

// A text or a list of messages under `key`.
static mg_err text_of(const reader *r, const json_t *row, const char *key, const char **out) {
    const json_t *v = json_object_get(row, key);
    const char   *s = json_is_string(v) ? mg_arena_strdup(r->arena, json_string_value(v))
                                        : join_messages(v, r->arena);
    if (!s)
        return mg_fail(MG_CORRUPT, "%s:%lld: %s: found %s, wanted a text or a list of messages",
                       r->path, (long long)r->number, key, kind_of(v));
    *out = s;
    return MG_OK;
}

// Reads rows of `n_keys` texts into one array of pointers, row after row.
static mg_err read_rows(const char *path, const char *const *keys, int n_keys, mg_arena *arena,
                        const char ***texts, int64_t *n) {
    reader       r;
    const char **rows = NULL;
    int64_t      count = 0, room = 0;
    json_t      *row;
    mg_err       err = reader_open(&r, path, arena);
    while (!err && !(err = reader_next(&r, &row)) && row) {
        if (count == room) {
            room              = room ? 2 * room : 1024;
            const char **more = realloc(rows, sizeof *rows * (size_t)(room * n_keys));
            if (!more) err = mg_fail(MG_NOMEM, "%s: %lld rows", path, (long long)room);
            else rows = more;
        }
        for (int k = 0; k < n_keys && !err; k++)
            err = text_of(&r, row, keys[k], &rows[count * n_keys + k]);
        count++;
        json_decref(row);
    }
    reader_close(&r);
    if (!err && count == 0) err = mg_fail(MG_EMPTY, "%s: the data set is empty", path);
    if (!err) {
        *texts = memcpy(MG_NEW(arena, const char *, count * n_keys), rows,
                        sizeof *rows * (size_t)(count * n_keys));
        *n     = count;
    }
    free(rows);
    return err;
}

mg_err mg_pairs_read(const char *path, mg_arena *arena, mg_pair **pairs, int64_t *n) {
    static const char *const keys[] = {"prompt", "completion"};
    const char             **texts;
    int64_t                  count;
    mg_err                   err = read_rows(path, keys, 2, arena, &texts, &count);
    if (err) return err;
    mg_pair *out = MG_NEW(arena, mg_pair, count);
    for (int64_t i = 0; i < count; i++) out[i] = (mg_pair){texts[2 * i], texts[2 * i + 1]};
    *pairs = out, *n = count;
    return MG_OK;
}

mg_err mg_preferences_read(const char *path, mg_arena *arena, mg_preference **rows, int64_t *n) {
    static const char *const keys[] = {"prompt", "chosen", "rejected"};
    const char             **texts;
    int64_t                  count;
    mg_err                   err = read_rows(path, keys, 3, arena, &texts, &count);
    if (err) return err;
    mg_preference *out = MG_NEW(arena, mg_preference, count);
    for (int64_t i = 0; i < count; i++)
        out[i] = (mg_preference){texts[3 * i], texts[3 * i + 1], texts[3 * i + 2]};
    *rows = out, *n = count;
    return MG_OK;
}

// A growing text that mg_file_write takes at the end: a data set is small beside a model.
typedef struct lines {
    char  *text; // owned, malloc
    size_t size;
    FILE  *out;
} lines;

static mg_err lines_open(lines *l) {
    *l = (lines){0};
    l->out = open_memstream(&l->text, &l->size);
    return l->out ? MG_OK : mg_fail(MG_NOMEM, "a buffer for JSON lines");
}

static mg_err lines_add(lines *l, json_t *row) {
    if (!row) return mg_fail(MG_CORRUPT, "a row is not valid UTF-8");
    bool bad = json_dumpf(row, l->out, JSON_COMPACT) != 0 || fputc('\n', l->out) == EOF;
    json_decref(row);
    return bad ? mg_fail(MG_NOMEM, "a row of JSON lines") : MG_OK;
}

static mg_err lines_write(lines *l, const char *path, mg_err err) {
    if (fclose(l->out) != 0 && !err) err = mg_fail(MG_NOMEM, "a buffer for JSON lines");
    if (!err) err = mg_file_write(path, l->text, l->size);
    free(l->text);
    return err;
}

mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) {
    lines  l;
    mg_err err = lines_open(&l);
    if (err) return err;
    for (int64_t i = 0; i < n && !err; i++)
        err = lines_add(&l, json_pack("{s:s, s:s}", "prompt", pairs[i].prompt, "completion",
                                      pairs[i].completion));
    return lines_write(&l, path, err);
}

mg_err mg_preferences_write(const char *path, const mg_preference *rows, int64_t n) {
    lines  l;
    mg_err err = lines_open(&l);
    if (err) return err;
    for (int64_t i = 0; i < n && !err; i++)
        err = lines_add(&l, json_pack("{s:s, s:s, s:s}", "prompt", rows[i].prompt, "chosen",
                                      rows[i].chosen, "rejected", rows[i].rejected));
    return lines_write(&l, path, err);
}
