// config.c - sections of fields over libyaml's document API: files, command line, help.
//
// libyaml parses the syntax and says where everything stands. It takes repeated keys and further
// documents without a word: both are looked for here.
#include "core/config.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

enum {
    KEY_SIZE_MAX  = 63,   // longer ones are not compared for likeness
    SHOWN_MAX     = 60,   // bytes of what was found that a sentence repeats
    WANTED_SIZE   = 640,  // of what a field takes
    SENTENCE_SIZE = 1024, // as long as an error's sentence can be
};

// Levenshtein 1966, row by row.
int mg_config_edits(const char *a, const char *b) {
    const size_t m = strlen(a), n = strlen(b);
    if (m > KEY_SIZE_MAX || n > KEY_SIZE_MAX) return MG_CONFIG_EDITS_MAX + 1;
    int row[KEY_SIZE_MAX + 1];
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0]       = (int)i;
        for (size_t j = 1; j <= n; j++) {
            const int replace = diagonal + (a[i - 1] != b[j - 1]);
            const int shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal          = row[j];
            row[j]            = replace < shorter + 1 ? replace : shorter + 1;
        }
    }
    return row[n];
}

static const mg_section *find_section(const mg_section *sections, int n, const char *name,
                                      size_t size) {
    for (int i = 0; i < n; i++)
        if (strlen(sections[i].name) == size && memcmp(sections[i].name, name, size) == 0)
            return &sections[i];
    return NULL;
}

static const mg_field *find_field(const mg_section *s, const char *name) {
    for (const mg_field *f = s ? s->fields : NULL; f && f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

// The keys that exist and, where one is like the unknown key, that one.
typedef struct hint {
    const char *key;
    const char *nearest; // NULL: none is like it
    int         edits;
    char       *out;
    size_t      used;
} hint;

static void hint_add(hint *h, const char *name) {
    h->used += (size_t)snprintf(h->out + h->used, SENTENCE_SIZE - h->used, " %s", name);
    if (h->used >= SENTENCE_SIZE) h->used = SENTENCE_SIZE - 1;
    const int edits = mg_config_edits(h->key, name);
    if (edits > 0 && edits < h->edits && edits < (int)strlen(name))
        h->edits = edits, h->nearest = name;
}

// What to write instead of an unknown key of the section: at the top, sections count as keys.
static void keys_wanted(const mg_section *sections, int n, const mg_section *in, bool at_top,
                        const char *key, char *out) {
    hint h = {.key = key, .edits = MG_CONFIG_EDITS_MAX + 1, .out = out};
    h.used = (size_t)snprintf(out, SENTENCE_SIZE, "one of");
    for (const mg_field *f = in ? in->fields : NULL; f && f->name; f++) hint_add(&h, f->name);
    for (int i = 0; i < n && at_top; i++)
        if (sections[i].name[0]) hint_add(&h, sections[i].name);
    if (h.nearest)
        snprintf(out + h.used, SENTENCE_SIZE - h.used, " (did you mean %s?)", h.nearest);
}

// What was found, fit for one line on a terminal.
static const char *shown(const char *text, char out[SHOWN_MAX + 4]) {
    size_t     n   = strlen(text);
    const bool cut = n > SHOWN_MAX;
    if (cut)
        for (n = SHOWN_MAX; n > 0 && (text[n] & 0xC0) == 0x80;) n--; // between characters
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    strcpy(out + n, cut ? "..." : "");
    return out;
}

void mg_config_defaults(const mg_section *sections, int n, mg_arena *arena) {
    for (int i = 0; i < n; i++)
        for (const mg_field *f = sections[i].fields; f->name; f++)
            mg_field_reset(f, sections[i].values, arena);
}

mg_err mg_config_set(const mg_section *sections, int n, const char *key, const char *value,
                     mg_arena *arena) {
    char              wanted[SENTENCE_SIZE], found[SHOWN_MAX + 4];
    const char       *dot  = strchr(key, '.');
    const char       *name = dot ? dot + 1 : key;
    const size_t      size = dot ? (size_t)(dot - key) : 0; // of the section's name
    const mg_section *s    = dot == key ? NULL : find_section(sections, n, key, size);
    const mg_field   *f    = find_field(s, name);
    if (f && mg_field_set(f, value, s->values, arena)) return MG_OK;
    if (f) {
        mg_field_wanted(f, wanted, sizeof wanted);
        return mg_fail(MG_CONFIG, "--%s: found '%s', wanted %s", key, shown(value, found), wanted);
    }
    const bool in_section = dot && s;
    char       top[KEY_SIZE_MAX + 1];
    snprintf(top, sizeof top, "%.*s", (int)strcspn(key, "."), key);
    keys_wanted(sections, n, in_section ? s : find_section(sections, n, "", 0), !in_section,
                in_section ? name : top, wanted);
    return mg_fail(MG_CONFIG, "--%s: found no such key, wanted %s", shown(key, found), wanted);
}

// A file under way.
typedef struct reader {
    const char       *path;
    yaml_document_t  *doc;
    const mg_section *sections;
    int               n;
    mg_arena         *arena;
} reader;

// The node's text; NULL where it is none: a list, a mapping, or a scalar with a zero byte.
static const char *text_of(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

// "key:" with nothing behind it.
static bool is_nothing(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static mg_err fail_at(const char *path, const yaml_node_t *at, const char *section, const char *key,
                      const char *wanted) {
    char        name[SHOWN_MAX + 4], text[SHOWN_MAX + 4], found[SHOWN_MAX + 8];
    const char *scalar = text_of(at);
    if (is_nothing(at))
        snprintf(found, sizeof found, "nothing");
    else if (scalar)
        snprintf(found, sizeof found, "'%s'", shown(scalar, text));
    else
        snprintf(found, sizeof found, "%s",
                 at->type == YAML_SEQUENCE_NODE  ? "a list"
                 : at->type == YAML_MAPPING_NODE ? "a mapping"
                                                 : "a text with a zero byte");
    return mg_fail(MG_CONFIG, "%s:%zu:%zu: %s%s%s%sfound %s, wanted %s", path,
                   at->start_mark.line + 1, at->start_mark.column + 1, section,
                   section[0] && key[0] ? "." : "", shown(key, name),
                   section[0] || key[0] ? ": " : "", found, wanted);
}

static mg_err read_value(const reader *r, const mg_section *s, const mg_field *f,
                         const yaml_node_t *value) {
    const char *text = is_nothing(value) ? NULL : text_of(value);
    if (text && mg_field_set(f, text, s->values, r->arena)) return MG_OK;
    char wanted[WANTED_SIZE];
    mg_field_wanted(f, wanted, sizeof wanted);
    return fail_at(r->path, value, s->name, f->name, wanted);
}

static bool is_repeated(const reader *r, const yaml_node_t *map, const yaml_node_pair_t *pair) {
    const char *name = text_of(yaml_document_get_node(r->doc, pair->key));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++)
        if (strcmp(text_of(yaml_document_get_node(r->doc, p->key)), name) == 0) return true;
    return false;
}

// The keys of a section, or of the file for section "". A mapping holds only known keys, each once,
// before `pair`: so looking back over them costs little, whatever the file.
static mg_err read_mapping(const reader *r, const yaml_node_t *map, const char *section) {
    const mg_section *s = find_section(r->sections, r->n, section, strlen(section));
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key   = yaml_document_get_node(r->doc, pair->key);
        const yaml_node_t *value = yaml_document_get_node(r->doc, pair->value);
        const char        *name  = text_of(key);
        if (!name) return fail_at(r->path, key, section, "", "the name of a key");
        if (is_repeated(r, map, pair))
            return fail_at(r->path, key, section, name, "each key once");

        const mg_field   *f = find_field(s, name);
        const mg_section *nested =
            section[0] || !name[0] ? NULL : find_section(r->sections, r->n, name, strlen(name));
        mg_err err = MG_OK;
        if (f) {
            err = read_value(r, s, f, value);
        } else if (nested && value->type == YAML_MAPPING_NODE) {
            err = read_mapping(r, value, nested->name);
        } else if (nested && !is_nothing(value)) {
            err = fail_at(r->path, value, nested->name, "", "a mapping of keys");
        } else if (!nested) {
            char wanted[SENTENCE_SIZE];
            keys_wanted(r->sections, r->n, s, !section[0], name, wanted);
            err = fail_at(r->path, key, section, name, wanted);
        }
        if (err) return err;
    }
    return MG_OK;
}

static mg_err read_bytes(const char *path, char text[MG_CONFIG_FILE_SIZE_MAX + 1], size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    const size_t n   = fread(text, 1, MG_CONFIG_FILE_SIZE_MAX + 1, f);
    mg_err       err = MG_OK;
    if (ferror(f))
        err = mg_fail(MG_IO, "read %s: %s", path, strerror(errno));
    else if (n > MG_CONFIG_FILE_SIZE_MAX)
        err = mg_fail(MG_LIMIT, "%s: more than %d bytes", path, MG_CONFIG_FILE_SIZE_MAX);
    fclose(f);
    if (!err) *size = n;
    return err;
}

// The next document; one without a root where there is none.
static mg_err parse(const char *path, yaml_parser_t *p, yaml_document_t *doc) {
    if (yaml_parser_load(p, doc)) return MG_OK;
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR) return mg_fail(MG_NOMEM, "%s: YAML parser", path);
    if (p->error == YAML_READER_ERROR) // bytes that are no text have an offset, but no line
        return mg_fail(MG_CONFIG, "%s: byte %zu: %s", path, p->problem_offset + 1, problem);
    return mg_fail(MG_CONFIG, "%s:%zu:%zu: %s%s%s", path, p->problem_mark.line + 1,
                   p->problem_mark.column + 1, p->context ? p->context : "", p->context ? " " : "",
                   problem);
}

// The file's one document, the caller's to delete.
static mg_err load(const char *path, yaml_document_t *out) {
    char            text[MG_CONFIG_FILE_SIZE_MAX + 1];
    size_t          size = 0;
    yaml_parser_t   parser;
    yaml_document_t doc, second;
    mg_err          err = read_bytes(path, text, &size);
    if (err) return err;
    if (!yaml_parser_initialize(&parser)) return mg_fail(MG_NOMEM, "%s: YAML parser", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    err = parse(path, &parser, &doc);
    if (!err && yaml_document_get_root_node(&doc)) {
        err = parse(path, &parser, &second);
        if (!err) {
            const yaml_node_t *root = yaml_document_get_root_node(&second);
            if (root) err = fail_at(path, root, "", "", "one document");
            yaml_document_delete(&second);
        }
        if (err) yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    if (!err) *out = doc;
    return err;
}

mg_err mg_config_read(const mg_section *sections, int n, const char *path, mg_arena *arena) {
    yaml_document_t doc;
    mg_err          err = load(path, &doc);
    if (err) return err;
    const reader       r    = {path, &doc, sections, n, arena};
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root && root->type == YAML_MAPPING_NODE)
        err = read_mapping(&r, root, "");
    else if (root && !is_nothing(root))
        err = fail_at(path, root, "", "", "a mapping of keys");
    yaml_document_delete(&doc);
    return err;
}

// The pair of a top-level key; NULL where there is none.
static const yaml_node_pair_t *top_pair(yaml_document_t *doc, const char *key) {
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    if (!root || root->type != YAML_MAPPING_NODE) return NULL;
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const char *name = text_of(yaml_document_get_node(doc, pair->key));
        if (name && strcmp(name, key) == 0) return pair;
    }
    return NULL;
}

mg_err mg_config_peek(const char *path, const char *key, mg_arena *arena, const char **value) {
    yaml_document_t doc;
    mg_err          err = load(path, &doc);
    if (err) return err;
    const yaml_node_pair_t *pair = top_pair(&doc, key);
    const char *text = pair ? text_of(yaml_document_get_node(&doc, pair->value)) : NULL;
    if (text) *value = mg_arena_strdup(arena, text);
    yaml_document_delete(&doc);
    return MG_OK;
}

mg_err mg_config_place(const char *path, const char *key, mg_arena *arena, const char **place) {
    yaml_document_t doc;
    mg_err          err = load(path, &doc);
    if (err) return err;
    const yaml_node_pair_t *pair = top_pair(&doc, key);
    if (pair) {
        const yaml_mark_t at = yaml_document_get_node(&doc, pair->key)->start_mark;
        char              text[4096];
        snprintf(text, sizeof text, "%s:%zu:%zu", path, at.line + 1, at.column + 1);
        *place = mg_arena_strdup(arena, text);
    }
    yaml_document_delete(&doc);
    return MG_OK;
}

void mg_config_write(const mg_section *sections, int n, FILE *out) {
    for (int i = 0; i < n; i++) {
        const char *name = sections[i].name;
        if (name[0]) fprintf(out, "%s:\n", name);
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            fprintf(out, "%s%s: ", name[0] ? "  " : "", f->name);
            mg_field_print(f, sections[i].values, out);
            fputc('\n', out);
        }
    }
}

// "--section.key" into out; returns its length.
static int flag_of(const mg_section *s, const mg_field *f, char *out, size_t size) {
    return snprintf(out, size, "--%s%s%s", s->name, s->name[0] ? "." : "", f->name);
}

void mg_config_help(const mg_section *sections, int n, FILE *out) {
    char flag[2 * KEY_SIZE_MAX], wanted[WANTED_SIZE];
    int  flag_width = 0, default_width = 0;
    for (int i = 0; i < n; i++)
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            const int a = flag_of(&sections[i], f, flag, sizeof flag), b = (int)strlen(f->fallback);
            if (a > flag_width) flag_width = a;
            if (b > default_width) default_width = b;
        }
    for (int i = 0; i < n; i++)
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            flag_of(&sections[i], f, flag, sizeof flag);
            mg_field_wanted(f, wanted, sizeof wanted);
            fprintf(out, "  %-*s  %-*s  %s", flag_width, flag, default_width, f->fallback,
                    mg_field_meaning(f));
            if (f->kind != MG_FIELD_text && f->kind != MG_FIELD_flag) fprintf(out, " (%s)", wanted);
            fputc('\n', out);
        }
}

void mg_config_markdown(const mg_section *section, FILE *out) {
    fprintf(out, "| key | default | takes | meaning |\n| --- | --- | --- | --- |\n");
    for (const mg_field *f = section->fields; f->name; f++) {
        char wanted[WANTED_SIZE];
        mg_field_wanted(f, wanted, sizeof wanted);
        fprintf(out, "| `%s` | `%s` | %s | %s |\n", f->name, f->fallback, wanted,
                mg_field_meaning(f));
    }
}
