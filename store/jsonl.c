// jsonl.c - JSON lines with errors that name the line and the key.
#include "store/jsonl.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"

typedef struct reader {
    const char *path;
    FILE       *file;   // owned
    char       *line;   // owned, [room]
    size_t      room;   // at most MG_JSONL_LINE_MAX
    size_t      size;   // of the current line
    int64_t     number; // of the current line, from 1
    mg_arena   *arena;
} reader;

static mg_err reader_open(reader *r, const char *path, mg_arena *arena) {
    struct stat st;
    *r = (reader){.path = path, .arena = arena, .file = fopen(path, "r")};
    if (!r->file) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    if (fstat(fileno(r->file), &st) == 0 && st.st_size > MG_JSONL_FILE_MAX)
        return mg_fail(MG_LIMIT, "%s: %lld bytes, at most %lld are read", path,
                       (long long)st.st_size, (long long)MG_JSONL_FILE_MAX);
    return MG_OK;
}

static void reader_close(reader *r) {
    if (r->file) fclose(r->file);
    free(r->line);
}

// Room for one more byte of the line.
static mg_err widen(reader *r) {
    if (r->size < r->room) return MG_OK;
    if (r->size == MG_JSONL_LINE_MAX)
        return mg_fail(MG_LIMIT, "%s:%lld: the line is longer than %d bytes", r->path,
                       (long long)r->number, MG_JSONL_LINE_MAX);
    const size_t room = r->room ? 2 * r->room : 4096;
    char        *line = realloc(r->line, room);
    if (!line)
        return mg_fail(MG_NOMEM, "%s:%lld: a line of %zu bytes", r->path, (long long)r->number, room);
    r->line = line, r->room = room;
    return MG_OK;
}

// *more is false behind the last line.
static mg_err next_line(reader *r, bool *more) {
    int c;
    r->size = 0;
    r->number++;
    while ((c = getc_unlocked(r->file)) != EOF && c != '\n') {
        mg_err err = widen(r);
        if (err) return err;
        r->line[r->size++] = (char)c;
    }
    if (ferror(r->file)) return mg_fail(MG_IO, "read %s: %s", r->path, strerror(errno));
    *more = c != EOF || r->size > 0;
    return MG_OK;
}

static bool blank(const char *s, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}

// The next row; *row is NULL at the end and owned by the caller otherwise.
static mg_err next_row(reader *r, json_t **row) {
    json_error_t at;
    bool         more = true;
    *row = NULL;
    do {
        mg_err err = next_line(r, &more);
        if (err || !more) return err;
    } while (blank(r->line, r->size));
    // Numbers of keys that nobody reads may be of any size.
    *row = json_loadb(r->line, r->size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &at);
    if (!*row)
        return mg_fail(MG_CORRUPT, "%s:%lld:%d: %s", r->path, (long long)r->number, at.column,
                       at.text);
    if (json_is_object(*row)) return MG_OK;
    json_decref(*row);
    *row = NULL;
    return mg_fail(MG_CORRUPT, "%s:%lld: found a list, wanted an object {\"prompt\": ..., ...}",
                   r->path, (long long)r->number);
}

static const char *kind_of(const json_t *v) {
    if (!v) return "nothing";
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return json_array_size(v) > 0 ? "a list" : "an empty list";
    case JSON_STRING: return "a text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_NULL: return "null";
    default: return "true or false";
    }
}

// The contents of [{"role", "content"}, ...], joined by newlines.
static mg_err join_messages(const reader *r, const json_t *list, const char *key,
                            const char **out) {
    static const char *const wanted[] = {"role", "content"};
    size_t                   size     = 0, i;
    json_t                  *message;
    json_array_foreach(list, i, message) {
        for (int k = 0; k < 2; k++) {
            const json_t *v = json_object_get(message, wanted[k]);
            if (!json_is_string(v))
                return mg_fail(MG_CORRUPT, "%s:%lld: %s[%zu].%s: found %s, wanted a text", r->path,
                               (long long)r->number, key, i, wanted[k], kind_of(v));
        }
        size += json_string_length(json_object_get(message, "content")) + 1;
    }
    char *text = mg_arena_alloc_raw(r->arena, size), *end = text;
    json_array_foreach(list, i, message) {
        if (i > 0) *end++ = '\n';
        end = stpcpy(end, json_string_value(json_object_get(message, "content")));
    }
    *out = text;
    return MG_OK;
}

// A text or a list of messages under `key`.
static mg_err text_of(const reader *r, const json_t *row, const char *key, const char **out) {
    const json_t *v = json_object_get(row, key);
    if (json_is_array(v) && json_array_size(v) > 0) return join_messages(r, v, key, out);
    if (!json_is_string(v))
        return mg_fail(MG_CORRUPT, "%s:%lld: %s: found %s, wanted a text or a list of messages",
                       r->path, (long long)r->number, key, kind_of(v));
    *out = mg_arena_strdup(r->arena, json_string_value(v));
    return MG_OK;
}

// Reads rows of `n_keys` texts into one array of pointers, row after row.
static mg_err read_rows(const char *path, const char *const *keys, int n_keys, mg_arena *arena,
                        const char ***texts, int64_t *n) {
    reader       r;
    const char **rows  = NULL;
    int64_t      count = 0, room = 0;
    json_t      *row   = NULL;
    mg_err       err   = reader_open(&r, path, arena);
    while (!err && !(err = next_row(&r, &row)) && row) {
        if (count == room) {
            room              = room ? 2 * room : 1024;
            const char **more = realloc(rows, sizeof *rows * (size_t)(room * n_keys));
            if (more)
                rows = more;
            else
                err = mg_fail(MG_NOMEM, "%s: %lld rows", path, (long long)room);
        }
        for (int k = 0; k < n_keys && !err; k++)
            err = text_of(&r, row, keys[k], &rows[count * n_keys + k]);
        count++;
        json_decref(row);
    }
    reader_close(&r);
    if (!err && count == 0) err = mg_fail(MG_EMPTY, "%s: the data set is empty", path);
    if (!err) {
        const size_t size = sizeof *rows * (size_t)(count * n_keys);
        *texts            = memcpy(mg_arena_alloc_raw(arena, size), rows, size);
        *n                = count;
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
    const char *path;
    char       *text; // owned, malloc
    size_t      size;
    FILE       *out;
    int64_t     n;
} lines;

static mg_err lines_open(lines *l, const char *path) {
    *l     = (lines){.path = path};
    l->out = open_memstream(&l->text, &l->size);
    return l->out ? MG_OK : mg_fail(MG_NOMEM, "%s: a buffer for its lines", path);
}

// Takes the row, which is NULL when jansson found a text of it not to be UTF-8.
static mg_err lines_add(lines *l, json_t *row) {
    l->n++;
    if (!row)
        return mg_fail(MG_CORRUPT, "%s: row %lld: found bytes that are not UTF-8, wanted text",
                       l->path, (long long)l->n);
    bool bad = json_dumpf(row, l->out, JSON_COMPACT) != 0 || fputc('\n', l->out) == EOF;
    json_decref(row);
    return bad ? mg_fail(MG_NOMEM, "%s: row %lld", l->path, (long long)l->n) : MG_OK;
}

static mg_err lines_write(lines *l, mg_err err) {
    if (fclose(l->out) != 0 && !err) err = mg_fail(MG_NOMEM, "%s: a buffer for its lines", l->path);
    if (!err) err = mg_file_write(l->path, l->text, l->size);
    free(l->text);
    return err;
}

mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) {
    lines  l;
    mg_err err = lines_open(&l, path);
    if (err) return err;
    for (int64_t i = 0; i < n && !err; i++)
        err = lines_add(&l, json_pack("{s:s, s:s}", "prompt", pairs[i].prompt, "completion",
                                      pairs[i].completion));
    return lines_write(&l, err);
}

mg_err mg_preferences_write(const char *path, const mg_preference *rows, int64_t n) {
    lines  l;
    mg_err err = lines_open(&l, path);
    if (err) return err;
    for (int64_t i = 0; i < n && !err; i++)
        err = lines_add(&l, json_pack("{s:s, s:s, s:s}", "prompt", rows[i].prompt, "chosen",
                                      rows[i].chosen, "rejected", rows[i].rejected));
    return lines_write(&l, err);
}
