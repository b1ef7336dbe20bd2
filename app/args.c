// args.c - reading a command line.
#include "app/args.h"

#include <errno.h>
#include <string.h>

// Options are written with dashes, configuration keys with underscores; either is taken for either.
static bool is_option(const char *option, const char *name, size_t size) {
    if (strlen(option) != size) return false;
    for (size_t i = 0; i < size; i++)
        if (option[i] != (name[i] == '_' ? '-' : name[i])) return false;
    return true;
}

static const mg_option *find(const mg_option *options, const char *name, size_t size) {
    for (const mg_option *o = options; o->name; o++)
        if (is_option(o->name, name, size)) return o;
    return NULL;
}

// The key of "--key" or "--key=value", which stands in the caller's words, there without its end.
static const char *key_of(char *key, size_t size) {
    key[size] = 0;
    for (char *c = key; *c; c++)
        if (*c == '-') *c = '_';
    return key;
}

#define NAME_MAX_BYTES 64

// As it is compared, in a buffer of NAME_MAX_BYTES: dashes are underscores, and a longer one is cut.
static const char *plain(const char *name, size_t size, char out[NAME_MAX_BYTES]) {
    snprintf(out, NAME_MAX_BYTES, "%.*s", (int)size, name);
    for (char *c = out; *c; c++)
        if (*c == '-') *c = '_';
    return out;
}

static bool is_key(const char *key) {
    for (const mg_field *f = mg_run_fields; f->name; f++)
        if (strcmp(f->name, key) == 0) return true;
    return false;
}

// May a configuration have that key? Those of sections have a dot; which there are depends on the algorithm.
static bool may_be_key(const char *name, size_t size) {
    char key[NAME_MAX_BYTES];
    return memchr(name, '.', size) || is_key(plain(name, size, key));
}

// What was meant by it: the nearer of `best` and name.
static const char *nearer(const char *found, const char *best, const char *name) {
    char      a[NAME_MAX_BYTES], b[NAME_MAX_BYTES];
    const int edits = mg_config_edits(found, plain(name, strlen(name), a));
    if (edits > MG_CONFIG_EDITS_MAX || edits >= (int)strlen(name)) return best;
    return best && mg_config_edits(found, plain(best, strlen(best), b)) <= edits ? best : name;
}

static mg_err refuse_unknown(const char *name, size_t size, const mg_option *options, bool overrides) {
    char        found[NAME_MAX_BYTES];
    const char *meant = NULL;
    plain(name, size, found);
    for (const mg_option *o = options; o->name; o++) meant = nearer(found, meant, o->name);
    for (const mg_field *f = mg_run_fields; f->name && overrides; f++) meant = nearer(found, meant, f->name);
    return mg_fail(MG_CONFIG, "--%.*s: no such option%s%s%s%s; --help lists them", (int)size, name,
                   overrides ? " or key" : "", meant ? " (did you mean --" : "", meant ? meant : "", meant ? "?)" : "");
}

mg_err mg_args_parse(mg_args *out, int argc, char **argv, const mg_option *options, bool overrides) {
    *out = (mg_args){0};
    if (argc > MG_ARGS_MAX) return mg_fail(MG_LIMIT, "more than %d words", MG_ARGS_MAX);
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            out->help = true;
            continue;
        }
        if (strncmp(word, "--", 2) != 0) {
            out->words[out->n_words++] = word;
            continue;
        }
        char            *equals = strchr(word, '=');
        const size_t     size   = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
        const mg_option *o      = find(options, word + 2, size);
        if (o && !o->value) {
            if (equals) return mg_fail(MG_CONFIG, "--%s: found a value, wanted none", o->name);
            *o->on = true;
            continue;
        }
        if (!o && !(overrides && may_be_key(word + 2, size)))
            return refuse_unknown(word + 2, size, options, overrides);
        if (!equals && i + 1 == argc)
            return mg_fail(MG_CONFIG, "%s: found nothing behind it, wanted a value", word);
        const char *value = equals ? equals + 1 : argv[++i];
        if (o)
            *o->value = value;
        else
            out->overrides[out->n_overrides++] =
                (mg_override){key_of(word + 2, size), value};
    }
    return MG_OK;
}

void mg_args_help(const mg_option *options, FILE *out) {
    for (const mg_option *o = options; o->name; o++)
        fprintf(out, "  --%-16s %s\n", o->name, o->meaning);
}

mg_err mg_args_int(const char *name, const char *value, int64_t min, int64_t max, int64_t *out) {
    char *end;
    errno           = 0;
    const int64_t x = strtoll(value, &end, 10);
    if (errno || *end || end == value || x < min || x > max)
        return mg_fail(MG_CONFIG, "--%s: found '%s', wanted an integer in %lld..%lld", name, value,
                       (long long)min, (long long)max);
    *out = x;
    return MG_OK;
}

mg_err mg_args_real(const char *name, const char *value, double min, double max, double *out) {
    char        *end;
    const double x = strtod(value, &end);
    if (*end || end == value || !(x >= min && x <= max))
        return mg_fail(MG_CONFIG, "--%s: found '%s', wanted a number in %g..%g", name, value, min, max);
    *out = x;
    return MG_OK;
}
