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

// Are these [{"role", "content"}, ...], all of them texts?
static mg_err check_messages(const reader *r, const json_t *list, const char *key) {
    static const char *const wanted[] = {"role", "content"};
    size_t                   i;
    json_t                  *message;
    json_array_foreach(list, i, message) {
        for (int k = 0; k < 2; k++) {
            const json_t *v = json_object_get(message, wanted[k]);
            if (!json_is_string(v))
                return mg_fail(MG_CORRUPT, "%s:%lld: %s[%zu].%s: found %s, wanted a text", r->path,
                               (long long)r->number, key, i, wanted[k], kind_of(v));
        }
    }
    return MG_OK;
}

static const char *message_text(const json_t *list, size_t i, const char *key) {
    return json_string_value(json_object_get(json_array_get(list, i), key));
}

// The contents of messages [begin, end), joined by newlines.
static const char *join(const reader *r, const json_t *list, size_t begin, size_t end) {
    size_t size = 1;
    for (size_t i = begin; i < end; i++) size += strlen(message_text(list, i, "content")) + 1;
    char *text = mg_arena_alloc_raw(r->arena, size), *at = text;
    *at        = 0;
    for (size_t i = begin; i < end; i++) {
        if (i > begin) *at++ = '\n';
        at = stpcpy(at, message_text(list, i, "content"));
    }
    return text;
}

// A text or a list of messages under `key`.
static mg_err text_of(const reader *r, const json_t *row, const char *key, const char **out) {
    const json_t *v = json_object_get(row, key);
    if (json_is_array(v) && json_array_size(v) > 0) {
        mg_err err = check_messages(r, v, key);
        if (!err) *out = join(r, v, 0, json_array_size(v));
        return err;
    }
    if (!json_is_string(v))
        return mg_fail(MG_CORRUPT, "%s:%lld: %s: found %s, wanted a text or a list of messages",
                       r->path, (long long)r->number, key, kind_of(v));
    *out = mg_arena_strdup(r->arena, json_string_value(v));
    return MG_OK;
}

static bool is_answer(const json_t *list, size_t i) {
    return strcmp(message_text(list, i, "role"), "assistant") == 0;
}

// Does every answer have something to answer, and does an answer end it? Counts them.
static mg_err check_conversation(const reader *r, const json_t *list, int64_t *answers) {
    static const char *const seen[] = {"system", "developer", "user", "tool"};
    const size_t             n      = json_array_size(list);
    *answers                        = 0;
    for (size_t i = 0; i < n; i++) {
        const char *role  = message_text(list, i, "role");
        const bool  after = i > 0 && !is_answer(list, i - 1);
        bool        known = false;
        for (int k = 0; k < 4; k++) known |= strcmp(role, seen[k]) == 0;
        if (is_answer(list, i) ? after : known && i + 1 < n) {
            *answers += is_answer(list, i);
            continue;
        }
        return mg_fail(MG_CORRUPT, "%s:%lld: messages[%zu].role: found '%.40s', wanted %s", r->path,
                       (long long)r->number, i, role,
                       is_answer(list, i) ? "something to answer before it: system, user or tool"
                       : known            ? "assistant: the last word is an answer"
                                          : "system, user, tool or assistant");
    }
    return MG_OK;
}

// A whole number under `key`; *given is set where there is one, and *out untouched where not.
static mg_err whole_number(const reader *r, const json_t *row, const char *key, int64_t min,
                           bool *given, int64_t *out) {
    const json_t *v = json_object_get(row, key);
    if (!v) return MG_OK;
    const double x = json_number_value(v); // integers come as reals: see next_row
    if (!json_is_number(v) || !(x >= (double)min && x <= (double)MG_SEED_MAX) || x != (double)(int64_t)x)
        return mg_fail(MG_CORRUPT, "%s:%lld: %s: found %s, wanted a whole number from %lld to %lld",
                       r->path, (long long)r->number, key,
                       json_is_number(v) ? "another number" : kind_of(v), (long long)min,
                       (long long)MG_SEED_MAX);
    *given = true;
    *out   = (int64_t)x;
    return MG_OK;
}

static mg_err conversation_of(const reader *r, const json_t *row, const json_t *list, mg_pair *out) {
    mg_pair p    = {0};
    int64_t item = -1, seed = 0, answers;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return mg_fail(MG_CORRUPT, "%s:%lld: messages: found %s, wanted a list of messages", r->path,
                       (long long)r->number, kind_of(list));
    mg_err err = check_messages(r, list, "messages");
    if (!err) err = check_conversation(r, list, &answers);
    if (!err) err = whole_number(r, row, "item", -1, &p.placed, &item);
    if (!err) err = whole_number(r, row, "seed", 0, &p.placed, &seed);
    if (err) return err;
    if (p.placed) p.item = item, p.seed = (uint64_t)seed;

    mg_exchange *later = answers > 1 ? MG_NEW(r->arena, mg_exchange, answers - 1) : NULL;
    size_t       begin = 0;
    int64_t      turn  = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!is_answer(list, i)) continue;
        const mg_exchange x = {join(r, list, begin, i), join(r, list, i, i + 1)};
        if (turn == 0)
            p.prompt = x.observation, p.completion = x.action;
        else
            later[turn - 1] = x;
        turn++, begin = i + 1;
    }
    p.later = later, p.n_later = answers - 1;
    *out = p;
    return MG_OK;
}

// What a line holds, written to `out`.
typedef mg_err row_reader(const reader *r, const json_t *row, void *out);

static mg_err read_pair(const reader *r, const json_t *row, void *out) {
    const json_t *messages = json_object_get(row, "messages");
    mg_pair       p        = {0};
    if (messages && !json_object_get(row, "completion"))
        return conversation_of(r, row, messages, out);
    mg_err err = text_of(r, row, "prompt", &p.prompt);
    if (!err) err = text_of(r, row, "completion", &p.completion);
    if (!err) *(mg_pair *)out = p;
    return err;
}

static mg_err read_preference(const reader *r, const json_t *row, void *out) {
    mg_preference p;
    mg_err        err = text_of(r, row, "prompt", &p.prompt);
    if (!err) err = text_of(r, row, "chosen", &p.chosen);
    if (!err) err = text_of(r, row, "rejected", &p.rejected);
    if (!err) *(mg_preference *)out = p;
    return err;
}

// Reads all rows, `size` bytes each, into one array.
static mg_err read_rows(const char *path, row_reader *read, size_t size, mg_arena *arena, void **out,
                        int64_t *n) {
    reader  r;
    char   *rows  = NULL;
    int64_t count = 0, room = 0;
    json_t *row   = NULL;
    mg_err  err   = reader_open(&r, path, arena);
    while (!err && !(err = next_row(&r, &row)) && row) {
        if (count == room) {
            room       = room ? 2 * room : 1024;
            char *more = realloc(rows, size * (size_t)room);
            if (more)
                rows = more;
            else
                err = mg_fail(MG_NOMEM, "%s: %lld rows", path, (long long)room);
        }
        if (!err) err = read(&r, row, rows + size * (size_t)count);
        count++;
        json_decref(row);
    }
    reader_close(&r);
    if (!err && count == 0) err = mg_fail(MG_EMPTY, "%s: the data set is empty", path);
    if (!err) {
        *out = memcpy(mg_arena_alloc_raw(arena, size * (size_t)count), rows, size * (size_t)count);
        *n   = count;
    }
    free(rows);
    return err;
}

mg_err mg_pairs_read(const char *path, mg_arena *arena, mg_pair **pairs, int64_t *n) {
    void  *rows;
    mg_err err = read_rows(path, read_pair, sizeof(mg_pair), arena, &rows, n);
    if (!err) *pairs = rows;
    return err;
}

mg_err mg_preferences_read(const char *path, mg_arena *arena, mg_preference **rows, int64_t *n) {
    void  *all;
    mg_err err = read_rows(path, read_preference, sizeof(mg_preference), arena, &all, n);
    if (!err) *rows = all;
    return err;
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

// False: no memory, or a text that is not UTF-8.
static bool add_message(json_t *list, const char *role, const char *content) {
    return json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", content)) == 0;
}

// NULL when jansson found a text of it not to be UTF-8.
static json_t *conversation(const mg_pair *p) {
    json_t *list = json_array();
    bool    good = add_message(list, "user", p->prompt) && add_message(list, "assistant", p->completion);
    for (int64_t i = 0; i < p->n_later && good; i++)
        good = add_message(list, "user", p->later[i].observation) &&
               add_message(list, "assistant", p->later[i].action);
    if (!good) {
        json_decref(list);
        return NULL;
    }
    if (!p->placed) return json_pack("{s:o}", "messages", list);
    return json_pack("{s:I, s:I, s:o}", "item", (json_int_t)p->item, "seed", (json_int_t)p->seed,
                     "messages", list);
}

static mg_err add_pair(lines *l, const mg_pair *p) {
    if (p->placed && (p->item < -1 || p->item > MG_SEED_MAX || p->seed > (uint64_t)MG_SEED_MAX))
        return mg_fail(MG_LIMIT, "%s: row %lld: found item %lld and seed %llu, wanted at most %lld",
                       l->path, (long long)l->n + 1, (long long)p->item, (unsigned long long)p->seed,
                       (long long)MG_SEED_MAX);
    return lines_add(l, p->placed || p->n_later > 0
                            ? conversation(p)
                            : json_pack("{s:s, s:s}", "prompt", p->prompt, "completion", p->completion));
}

mg_err mg_pairs_write(const char *path, const mg_pair *pairs, int64_t n) {
    lines  l;
    mg_err err = lines_open(&l, path);
    if (err) return err;
    for (int64_t i = 0; i < n && !err; i++) err = add_pair(&l, &pairs[i]);
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
