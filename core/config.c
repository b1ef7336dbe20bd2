// config.c - configuration tables over libyaml's document API.
//
// libyaml parses the syntax; every scalar is judged here by its field's kind, because a YAML
// library's own idea of numbers takes 3e-4x, 010 and 1e999 without a word.
#include "core/config.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <yaml.h>

#define DISTANCE_MAX 2 // edits between a key and the one that was meant

static bool is_text(const mg_field *f) {
    return f->kind == MG_FIELD_text || f->kind == MG_FIELD_name;
}

static void *slot(const mg_section *s, const mg_field *f) { return (char *)s->values + f->offset; }

// The words that a name field takes: the doc up to its colon, separated by bars.
static size_t words_size(const mg_field *f) { return strcspn(f->doc, ":"); }

static bool has_word(const mg_field *f, const char *value) {
    const size_t size = strlen(value);
    const char  *at   = f->doc, *end = f->doc + words_size(f);
    while (size > 0 && at < end) {
        const size_t n = strcspn(at, "|:");
        if (n == size && memcmp(at, value, n) == 0) return true;
        at += n + 1;
    }
    return false;
}

// What a field takes, for sentences and help.
static void wanted(const mg_field *f, char *out, size_t size) {
    switch (f->kind) {
    case MG_FIELD_int: snprintf(out, size, "an integer in %.15g..%.15g", f->min, f->max); break;
    case MG_FIELD_real: snprintf(out, size, "a number in %g..%g", f->min, f->max); break;
    case MG_FIELD_flag: snprintf(out, size, "true or false"); break;
    case MG_FIELD_text: snprintf(out, size, "a text"); break;
    case MG_FIELD_name: {
        snprintf(out, size, "one of %.*s", (int)words_size(f), f->doc);
        for (char *c = out; *c; c++)
            if (*c == '|') *c = ' ';
        break;
    }
    }
}

// The range is closed; NaN is in no range.
static bool in_range(const mg_field *f, double x) { return x >= f->min && x <= f->max; }

static bool parse_int(const mg_field *f, const char *value, int64_t *out) {
    const char *digits = value + (*value == '-');
    // Decimal only: a leading zero would be octal elsewhere, so it is refused.
    if (strspn(digits, "0123456789") != strlen(digits) || !*digits) return false;
    if (digits[0] == '0' && digits[1]) return false;
    errno           = 0;
    const int64_t x = strtoll(value, NULL, 10);
    if (errno || !in_range(f, (double)x)) return false;
    *out = x;
    return true;
}

static bool parse_real(const mg_field *f, const char *value, double *out) {
    char *end;
    // strtod also takes hexadecimal, "inf" and "nan": none of them is a number in YAML's core schema.
    if (strspn(value, "0123456789+-.eE") != strlen(value) || !*value) return false;
    const double x = strtod(value, &end);
    if (*end || !isfinite(x) || !in_range(f, x)) return false;
    *out = x;
    return true;
}

// Writes the value; false when it is not one that the field takes.
static bool assign(const mg_section *s, const mg_field *f, const char *value, mg_arena *arena) {
    switch (f->kind) {
    case MG_FIELD_int: return parse_int(f, value, slot(s, f));
    case MG_FIELD_real: return parse_real(f, value, slot(s, f));
    case MG_FIELD_flag:
        if (strcmp(value, "true") && strcmp(value, "false")) return false;
        *(bool *)slot(s, f) = value[0] == 't';
        return true;
    case MG_FIELD_name:
        if (!has_word(f, value)) return false;
        break;
    case MG_FIELD_text: break;
    }
    *(const char **)slot(s, f) = mg_arena_strdup(arena, value);
    return true;
}

// A default as the list writes it: text in the quotes and escapes of C, all else bare.
static const char *unquote(const char *fallback, mg_arena *arena) {
    const size_t n = strlen(fallback);
    if (n < 2 || fallback[0] != '"') return fallback;
    char *out = mg_arena_alloc(arena, n), *end = out;
    for (size_t i = 1; i + 1 < n; i++) {
        if (fallback[i] == '\\') {
            i++;
            *end++ = fallback[i] == 'n' ? '\n' : fallback[i] == 't' ? '\t' : fallback[i];
        } else {
            *end++ = fallback[i];
        }
    }
    return out;
}

void mg_config_defaults(const mg_section *sections, int n, mg_arena *arena) {
    for (int i = 0; i < n; i++)
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            const bool taken = assign(&sections[i], f, unquote(f->fallback, arena), arena);
            if (!taken) fprintf(stderr, "%s.%s = %s\n", sections[i].name, f->name, f->fallback);
            MG_ASSERT(taken); // a default outside its own range
        }
}

// Edits (insert, remove, replace) that turn a into b, at most DISTANCE_MAX + 1. Levenshtein 1966.
static int distance(const char *a, const char *b) {
    enum { LENGTH_MAX = 63 };
    const size_t m = strlen(a), n = strlen(b);
    if (m > LENGTH_MAX || n > LENGTH_MAX) return DISTANCE_MAX + 1;
    int row[LENGTH_MAX + 1];
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
    return row[n] <= DISTANCE_MAX ? row[n] : DISTANCE_MAX + 1;
}

static const mg_section *find_section(const mg_section *sections, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(sections[i].name, name) == 0) return &sections[i];
    return NULL;
}

static const mg_field *find_field(const mg_section *s, const char *name) {
    for (const mg_field *f = s ? s->fields : NULL; f && f->name; f++)
        if (strcmp(f->name, name) == 0) return f;
    return NULL;
}

// "did you mean X?" or the keys that exist: what to write instead of an unknown key of the section.
static void keys_wanted(const mg_section *sections, int n, const mg_section *in, const char *key,
                        char *out, size_t size) {
    const char *nearest = NULL;
    int         best    = DISTANCE_MAX + 1;
    size_t      used    = (size_t)snprintf(out, size, "wanted one of");
    for (const mg_field *f = in ? in->fields : NULL; f && f->name; f++) {
        if (distance(key, f->name) < best) best = distance(key, f->name), nearest = f->name;
        if (used < size) used += (size_t)snprintf(out + used, size - used, " %s", f->name);
    }
    for (int i = 0; i < n && in && !in->name[0]; i++) {
        if (!sections[i].name[0]) continue;
        if (distance(key, sections[i].name) < best)
            best = distance(key, sections[i].name), nearest = sections[i].name;
        if (used < size) used += (size_t)snprintf(out + used, size - used, " %s", sections[i].name);
    }
    if (nearest) snprintf(out, size, "did you mean %s?", nearest);
}

// Where something stands in the file, for sentences.
typedef struct place {
    const char *path, *section, *key;
} place;

static mg_err fail_at(const place *p, const yaml_node_t *node, const char *found,
                      const char *sentence) {
    return mg_fail(MG_CONFIG, "%s:%zu:%zu: %s%s%s: found '%s', %s", p->path,
                   node->start_mark.line + 1, node->start_mark.column + 1, p->section,
                   p->section[0] ? "." : "", p->key, found, sentence);
}

static const char *scalar(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE     ? (const char *)node->data.scalar.value
           : node->type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a mapping";
}

static bool has_zero_byte(const yaml_node_t *node) {
    return strlen((const char *)node->data.scalar.value) != node->data.scalar.length;
}

static mg_err read_value(const place *p, const mg_section *s, const mg_field *f,
                         const yaml_node_t *node, mg_arena *arena) {
    char       text[512], sentence[576];
    const bool is_scalar = node->type == YAML_SCALAR_NODE;
    // A plain empty value is YAML's null: nobody has written a text there.
    const bool null = is_scalar && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                      node->data.scalar.length == 0;
    if (is_scalar && !null && !has_zero_byte(node) && assign(s, f, scalar(node), arena)) return MG_OK;
    wanted(f, text, sizeof text);
    snprintf(sentence, sizeof sentence, "wanted %s", text);
    return fail_at(p, node, null ? "nothing" : scalar(node), sentence);
}

static mg_err read_mapping(yaml_document_t *doc, const yaml_node_t *map, const mg_section *sections,
                           int n, const char *section, const char *path, mg_arena *arena) {
    const mg_section *in = find_section(sections, n, section);
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key   = yaml_document_get_node(doc, pair->key);
        const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
        const place        p     = {path, section, scalar(key)};
        for (yaml_node_pair_t *other = map->data.mapping.pairs.start; other < pair; other++)
            if (strcmp(scalar(yaml_document_get_node(doc, other->key)), p.key) == 0)
                return fail_at(&p, key, p.key, "wanted each key once");

        mg_err            err;
        const mg_field   *f      = find_field(in, p.key);
        const mg_section *nested = section[0] ? NULL : find_section(sections, n, p.key);
        if (f && key->type == YAML_SCALAR_NODE) {
            err = read_value(&p, in, f, value, arena);
        } else if (nested && nested->name[0]) {
            err = value->type == YAML_MAPPING_NODE
                      ? read_mapping(doc, value, sections, n, nested->name, path, arena)
                      : fail_at(&p, value, scalar(value), "wanted a mapping of keys");
        } else {
            char sentence[2048];
            keys_wanted(sections, n, in, p.key, sentence, sizeof sentence);
            err = fail_at(&p, key, p.key, sentence);
        }
        if (err) return err;
    }
    return MG_OK;
}

// Parses the file; *doc is the caller's to delete on success. A file without content has no root.
static mg_err load(const char *path, yaml_document_t *doc) {
    yaml_parser_t parser;
    FILE         *file = fopen(path, "rb");
    if (!file) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    mg_err err = MG_OK;
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return mg_fail(MG_NOMEM, "%s: YAML parser", path);
    }
    yaml_parser_set_input_file(&parser, file);
    if (!yaml_parser_load(&parser, doc))
        err = mg_fail(MG_CONFIG, "%s:%zu:%zu: %s%s%s", path, parser.problem_mark.line + 1,
                      parser.problem_mark.column + 1, parser.context ? parser.context : "",
                      parser.context ? " " : "", parser.problem ? parser.problem : "not YAML");
    yaml_parser_delete(&parser);
    fclose(file);
    return err;
}

mg_err mg_config_read(const mg_section *sections, int n, const char *path, mg_arena *arena) {
    yaml_document_t doc;
    mg_err          err = load(path, &doc);
    if (err) return err;
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root && root->type == YAML_MAPPING_NODE)
        err = read_mapping(&doc, root, sections, n, "", path, arena);
    else if (root)
        err = mg_fail(MG_CONFIG, "%s:1:1: found %s, wanted a mapping of keys", path, scalar(root));
    yaml_document_delete(&doc);
    return err;
}

mg_err mg_config_peek(const char *path, const char *key, mg_arena *arena, const char **value) {
    yaml_document_t doc;
    mg_err          err = load(path, &doc);
    if (err) return err;
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root && root->type == YAML_MAPPING_NODE)
        for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
             pair < root->data.mapping.pairs.top; pair++) {
            const yaml_node_t *v = yaml_document_get_node(&doc, pair->value);
            if (strcmp(scalar(yaml_document_get_node(&doc, pair->key)), key) == 0 &&
                v->type == YAML_SCALAR_NODE)
                *value = mg_arena_strdup(arena, scalar(v));
        }
    yaml_document_delete(&doc);
    return MG_OK;
}

mg_err mg_config_set(const mg_section *sections, int n, const char *key, const char *value,
                     mg_arena *arena) {
    char              section[64] = "", text[512], sentence[2048];
    const char       *dot         = strchr(key, '.'), *name = dot ? dot + 1 : key;
    if (dot && (size_t)(dot - key) < sizeof section) memcpy(section, key, (size_t)(dot - key));
    const mg_section *s = find_section(sections, n, section);
    const mg_field   *f = find_field(s, name);
    if (!f) {
        keys_wanted(sections, n, s ? s : find_section(sections, n, ""), s ? name : section, sentence,
                    sizeof sentence);
        return mg_fail(MG_CONFIG, "--%s: no such key, %s", key, sentence);
    }
    if (assign(s, f, value, arena)) return MG_OK;
    wanted(f, text, sizeof text);
    return mg_fail(MG_CONFIG, "--%s: found '%s', wanted %s", key, value, text);
}

// Double-quoted YAML: every text survives it.
static void write_text(const char *s, FILE *out) {
    fputc('"', out);
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void write_value(const mg_section *s, const mg_field *f, FILE *out) {
    const void *at = slot(s, f);
    switch (f->kind) {
    case MG_FIELD_int: fprintf(out, "%lld", (long long)*(const int64_t *)at); break;
    case MG_FIELD_real: {
        char text[32]; // the shortest form that reads back as the same number
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, *(const double *)at);
            if (strtod(text, NULL) == *(const double *)at) break;
        }
        fputs(text, out);
        break;
    }
    case MG_FIELD_flag: fputs(*(const bool *)at ? "true" : "false", out); break;
    case MG_FIELD_name: fputs(*(const char *const *)at, out); break;
    case MG_FIELD_text: write_text(*(const char *const *)at, out); break;
    }
}

void mg_config_write(const mg_section *sections, int n, FILE *out) {
    for (int i = 0; i < n; i++) {
        const char *indent = sections[i].name[0] ? "  " : "";
        if (sections[i].name[0]) fprintf(out, "%s:\n", sections[i].name);
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            fprintf(out, "%s%s: ", indent, f->name);
            write_value(&sections[i], f, out);
            fputc('\n', out);
        }
    }
}

void mg_config_help(const mg_section *sections, int n, FILE *out) {
    for (int i = 0; i < n; i++)
        for (const mg_field *f = sections[i].fields; f->name; f++) {
            char key[96], range[512];
            snprintf(key, sizeof key, "--%s%s%s", sections[i].name, sections[i].name[0] ? "." : "",
                     f->name);
            wanted(f, range, sizeof range);
            fprintf(out, "  %-30s %-12s %s%s%s%s\n", key, f->fallback, f->doc,
                    is_text(f) || f->kind == MG_FIELD_flag ? "" : " (",
                    is_text(f) || f->kind == MG_FIELD_flag ? "" : range,
                    is_text(f) || f->kind == MG_FIELD_flag ? "" : ")");
        }
}

void mg_config_markdown(const mg_section *section, FILE *out) {
    fprintf(out, "| key | default | takes | meaning |\n| --- | --- | --- | --- |\n");
    for (const mg_field *f = section->fields; f->name; f++) {
        char        range[512];
        const char *doc = f->doc;
        if (f->kind == MG_FIELD_name) doc += words_size(f) + 1 + (doc[words_size(f)] && doc[words_size(f) + 1] == ' ');
        wanted(f, range, sizeof range);
        fprintf(out, "| `%s` | `%s` | %s | %s |\n", f->name, f->fallback, range, doc);
    }
}
