// settings.c - settings as text, without the keys that mean nothing where the run acts, and held against a run's own.
#include "train/settings.h"

#include <string.h>

#include "algos/spaces.h"
#include "core/file.h"
#include "store/logged.h"

// ---- Keys of texts

const char *mg_keys_of_texts(const mg_algo *algo, const char *section) {
    // Learners that step by step fill a buffer can have logged data beside it.
    if (strcmp(section, "") == 0)
        return algo->act ? " reward_model preferences template prompt_max cut_prompts response_max "
                         : " reward_model data preferences template prompt_max cut_prompts response_max ";
    if (strcmp(section, "network") == 0)
        return " family tokenizer vocab d_model d_ff layers heads kv_heads context rope_theta tied init_std ";
    return "";
}

bool mg_key_listed(const char *names, const char *key) {
    const size_t n = strlen(key);
    for (const char *at = names; (at = strstr(at, key)); at += n)
        if (at > names && at[-1] == ' ' && at[n] == ' ') return true;
    return false;
}

typedef union value { // of a field that lies at offset 0
    int64_t     whole;
    double      real;
    bool        flag;
    const char *text;
} value;

static bool same(mg_field_kind kind, const value *a, const value *b) {
    switch (kind) {
    case MG_FIELD_int: return a->whole == b->whole;
    case MG_FIELD_real: return a->real == b->real;
    case MG_FIELD_flag: return a->flag == b->flag;
    case MG_FIELD_text:
    case MG_FIELD_name: break;
    }
    return strcmp(a->text, b->text) == 0;
}

static const char *spelt(mg_field_kind kind, const value *x, mg_arena *arena) {
    switch (kind) {
    case MG_FIELD_int: return mg_path(arena, "%lld", (long long)x->whole);
    case MG_FIELD_real: return mg_path(arena, "%.9g", x->real);
    case MG_FIELD_flag: return x->flag ? "true" : "false";
    case MG_FIELD_text:
    case MG_FIELD_name: break;
    }
    return x->text;
}

bool mg_key_untouched(const mg_section *section, const mg_field *f, mg_arena *arena, const char **found,
                      const char **wanted) {
    const value *now      = (const value *)(const void *)((const char *)section->values + f->offset);
    mg_field     alone[2] = {*f, MG_CONFIG_END};
    value        fallback = {0};
    alone[0].offset = 0;
    mg_config_defaults(&(mg_section){"", alone, &fallback}, 1, arena);
    *found = spelt(f->kind, now, arena), *wanted = spelt(f->kind, &fallback, arena);
    return same(f->kind, now, &fallback);
}

// ---- What is shown

const char *mg_environment_key_worlds(const char *key) {
    static const struct {
        const char *key, *worlds;
    } keys[] = {{"form", "support-desk"},          {"reward", "support-desk, lock"},
                {"mutant", "support-desk"},        {"mutant_rate", "support-desk"},
                {"mutant_when", "support-desk"},   {"load", "support-desk"},
                {"version", MG_ROBOT_WORLDS},               {"shift_mass", "pendulum, " MG_ROBOT_WORLDS},
                {"shift_friction", MG_ROBOT_WORLDS},        {"shift_gravity", "pendulum, " MG_ROBOT_WORLDS},
                {"action_delay", "pendulum, " MG_ROBOT_WORLDS}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].key, key) == 0) return keys[i].worlds;
    return NULL;
}

bool mg_world_listed(const char *worlds, const char *world) {
    const size_t n = strlen(world);
    for (const char *at = worlds; n > 0 && (at = strstr(at, world)); at += n)
        if ((at == worlds || at[-1] == ' ') && (at[n] == ',' || at[n] == 0)) return true;
    return false;
}

const char *mg_environment_plant(const mg_environment_config *e, mg_arena *arena) {
    return mg_path(arena, MG_LOGGED_PLANT_WORDS, e->shift_mass, e->shift_friction, e->shift_gravity,
                   (long long)e->action_delay);
}

const char *mg_environment_version(const mg_environment_config *e, const char *world) {
    return mg_world_listed(mg_environment_key_worlds("version"), world) ? e->version : NULL;
}

// In a bundled world of vectors, what a process, texts or another world would have.
static bool idle(const mg_settings *s, const mg_section *section, const char *key, const mg_env_class *world) {
    if (section != &s->sections[MG_SECTION_ENVIRONMENT])
        return mg_key_listed(mg_keys_of_texts(s->algo, section->name), key);
    const char *worlds = mg_environment_key_worlds(key);
    return worlds ? !mg_world_listed(worlds, world->name) : !s->environment.command[0];
}

void mg_settings_shown(const mg_settings *s, const mg_env_class *world, mg_arena *arena, mg_section out[MG_SECTIONS]) {
    const bool vectors = world && s->algo->needs_world && mg_spaces_vectors(world);
    for (int i = 0; i < MG_SECTIONS; i++) {
        const mg_section *from  = &s->sections[i];
        const char       *found, *wanted;
        int64_t           n     = 0;
        while (from->fields[n].name) n++;
        mg_field *keys = MG_NEW(arena, mg_field, n + 1), *k = keys; // the rest is zero: MG_CONFIG_END
        for (const mg_field *f = from->fields; f->name; f++)
            if (!vectors || !idle(s, from, f->name, world) || !mg_key_untouched(from, f, arena, &found, &wanted))
                *k++ = *f;
        out[i] = (mg_section){from->name, keys, from->values};
    }
}

mg_err mg_settings_text(const mg_settings *s, const mg_env_class *world, mg_arena *arena, const char **text) {
    mg_section shown[MG_SECTIONS];
    char      *all = NULL;
    size_t     size;
    FILE      *out = open_memstream(&all, &size);
    if (!out) return mg_fail(MG_NOMEM, "settings as text");
    mg_settings_shown(s, world, arena, shown);
    mg_config_write(shown, MG_SECTIONS, out);
    const bool whole = fclose(out) == 0;
    if (whole) *text = mg_arena_strdup(arena, all);
    free(all);
    return whole ? MG_OK : mg_fail(MG_NOMEM, "settings as text");
}

// ---- A run's own

static bool may_differ(const char *line) {
    static const char *const keys[] = {"out:", "threads:", "checkpoint_every:", "checkpoints_kept:",
                                       "evaluate_every:", "record:", "save_dtype:"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strncmp(line, keys[i], strlen(keys[i])) == 0) return true;
    return false;
}

typedef struct difference {
    int         line; // from 1; 0: there is none
    const char *then, *now;
} difference;

static difference compare(const char *begun, const char *now, mg_arena *arena) {
    char *a = mg_arena_strdup(arena, begun), *b = mg_arena_strdup(arena, now);
    for (int line = 1; a || b; line++) {
        const char *then = strsep(&a, "\n"), *found = strsep(&b, "\n");
        if (then && found && (strcmp(then, found) == 0 || (may_differ(then) && may_differ(found)))) continue;
        return (difference){line, then ? then : "", found ? found : ""};
    }
    return (difference){0};
}

mg_err mg_settings_same(const mg_settings *s, const mg_env_class *world, const char *path, mg_arena *arena) {
    const mg_env_class *const kinds[] = {world, NULL}; // older runs have all keys, whatever their world
    difference                d       = {0};
    char                     *begun;
    size_t                    size;
    mg_err err = mg_file_read(path, MG_CONFIG_FILE_SIZE_MAX, arena, &begun, &size);
    for (int i = 0; i < 2 && !err; i++) {
        const char *text;
        err = mg_settings_text(s, kinds[i], arena, &text);
        if (err) return err;
        const difference x = compare(begun, text, arena);
        if (x.line == 0) return MG_OK;
        if (x.line > d.line) d = x; // the kind that the file is of agrees with it for longer
    }
    return err ? err : mg_fail(MG_CONFIG, "%s:%d: the run was begun with '%s', found '%s'; its own settings are "
                                          "`train %s --resume`, --out names a new run", path, d.line, d.then, d.now,
                               path);
}
