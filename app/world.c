// world.c - the environments that a configuration may name: bundled worlds, and processes.
#include <string.h>

#include "app/app.h"
#include "rewards/gold.h"
#include "train/settings.h"
#include "transport/process.h"
#include "worlds/cartpole.h"
#include "worlds/lock.h"
#include "worlds/pendulum.h"
#include "worlds/robots.h"
#include "worlds/support_desk.h"
#include "worlds/synopsis.h"

// What a world may be made of. A world without data has no rows.
typedef struct material {
    const mg_environment_config *how; // NULL: the defaults
    const mg_pair               *train, *rows;
    int64_t                      n_train, n;
} material;

// ---- synopsis

static void synopsis_end(mg_world *w) {
    mg_gold_free(((const mg_synopsis_world *)w->world)->context);
}

static mg_err synopsis_make(const material *m, mg_arena *arena, mg_world *out) {
    mg_synopsis_world *w = MG_NEW(arena, mg_synopsis_world, 1);
    mg_gold           *gold;
    if (m->n == 0)
        return mg_fail(MG_CONFIG, "data: found nothing, wanted a folder: the world synopsis is made of its "
                                  "prompts");
    mg_err err = mg_gold_new(&gold, m->train, m->n_train);
    if (err) return err;
    *w   = (mg_synopsis_world){.pairs = m->rows, .n = m->n, .reward = mg_gold_reward, .context = gold};
    *out = (mg_world){.class = &mg_synopsis_class, .world = w, .n_items = m->n, .end = synopsis_end};
    return MG_OK;
}

mg_reward mg_app_gold(const mg_world *w, const char *prompt, const char *answer) {
    return mg_gold_reward(((const mg_synopsis_world *)w->world)->context, prompt, answer,
                          strlen(answer));
}

// ---- support-desk, cartpole, pendulum, robots, lock

static bool pays(const material *m, const char *reward) { return m->how && strcmp(m->how->reward, reward) == 0; }

static mg_err support_desk_make(const material *m, mg_arena *arena, mg_world *out) {
    mg_support_desk_world *w   = MG_NEW(arena, mg_support_desk_world, 1);
    mg_err                 err = MG_OK;
    if (pays(m, "plain"))
        return mg_fail(MG_CONFIG, "environment.reward: found 'plain', wanted graded or outcome: support-desk has no "
                                  "decoy to do without");
    if (m->how) {
        w->form = strcmp(m->how->form, "tools") == 0 ? MG_SUPPORT_DESK_TOOLS : MG_SUPPORT_DESK_WORDS;
        err     = mg_support_desk_mutant_named(m->how->mutant, m->how->mutant_rate, m->how->mutant_when,
                                               &w->mutant);
        w->load    = (int32_t)m->how->load;
        w->outcome = pays(m, "outcome");
    }
    *out = (mg_world){.class = &mg_support_desk_class, .world = w, .n_items = MG_SUPPORT_DESK_TRAIN};
    return err;
}

static mg_err cartpole_make(const material *m, mg_arena *arena, mg_world *out) {
    (void)m, (void)arena;
    *out = (mg_world){.class = &mg_cartpole_class};
    return MG_OK;
}

static const mg_shift *shift_of(const material *m, mg_arena *arena) {
    mg_shift *shift = MG_NEW(arena, mg_shift, 1);
    *shift          = MG_SHIFT_NONE;
    if (m->how)
        *shift = (mg_shift){m->how->shift_mass, m->how->shift_friction, m->how->shift_gravity, m->how->action_delay};
    return shift;
}

static mg_err pendulum_make(const material *m, mg_arena *arena, mg_world *out) {
    *out = (mg_world){.class = &mg_pendulum_class, .world = shift_of(m, arena)};
    return MG_OK;
}

static void robot_end(mg_world *w) { mg_robot_close(w->owner); }

static int version_of(const mg_environment_config *how) { return how && strcmp(how->version, "v4") == 0 ? 4 : 5; }

static mg_err robot_make(const char *name, const material *m, mg_arena *arena, mg_world *out) {
    mg_robot_world *w       = MG_NEW(arena, mg_robot_world, 1);
    const int       version = version_of(m->how);
    mg_err          err     = mg_robot_open(w, name, version, shift_of(m, arena), NULL);
    if (err) return err;
    *out = (mg_world){.class = mg_robot_class(name, version), .world = w, .owner = w, .end = robot_end};
    return MG_OK;
}

static mg_err lock_make(const material *m, mg_arena *arena, mg_world *out) {
    mg_lock_world *w = MG_NEW(arena, mg_lock_world, 1);
    w->outcome       = pays(m, "outcome") || pays(m, "plain");
    w->decoy         = pays(m, "outcome") ? MG_LOCK_DECOY : 0;
    *out             = (mg_world){.class = &mg_lock_class, .world = w, .n_items = MG_LOCK_STEPS};
    return MG_OK;
}

// ---- tasks

mg_err mg_app_world_items(const mg_world *w, mg_arena *arena, int64_t *n) {
    mg_env e;
    *n = 0;
    if (!w->class->items) return MG_OK;
    mg_err err = mg_env_open(&e, w->class, w->world, arena);
    if (err) return err;
    *n = w->class->items(&e);
    mg_env_close(&e);
    return MG_OK;
}

// ---- a process

#define ARGUMENTS_MAX 64

static void process_end(mg_world *w) { mg_process_kind_close(w->owner); }

// The words of a command, which white space separates.
static mg_err words_of(const char *command, mg_arena *arena, const char ***out) {
    const char **argv = MG_NEW(arena, const char *, ARGUMENTS_MAX + 1);
    char        *rest = mg_arena_strdup(arena, command), *word;
    int          n    = 0;
    while ((word = strsep(&rest, " \t")))
        if (*word && n < ARGUMENTS_MAX) argv[n++] = word;
    if (n == 0 || n == ARGUMENTS_MAX)
        return mg_fail(MG_CONFIG, "environment.command: found %d words, wanted 1 to %d", n, ARGUMENTS_MAX - 1);
    *out = argv;
    return MG_OK;
}

static mg_err process_make(const mg_settings *s, mg_arena *arena, mg_world *out) {
    mg_process_options o = {.start_timeout_ms = s->environment.start_timeout_ms,
                            .call_timeout_ms  = s->environment.timeout_ms,
                            .seed             = (uint64_t)s->run.seed};
    const char **argv = NULL;
    mg_err       err = words_of(s->environment.command, arena, &argv);
    mg_process_kind *kind;
    o.argv = argv;
    if (!err) err = mg_process_kind_open(&kind, &o);
    if (err) return err;
    *out = (mg_world){.class = mg_process_class(kind), .world = kind, .owner = kind, .end = process_end};
    return mg_app_world_items(out, arena, &out->n_items);
}

// ---- by name

static const struct {
    const mg_env_class *class; // by whose name it is found
    mg_err (*make)(const material *m, mg_arena *arena, mg_world *out);
} kinds[] = {{&mg_synopsis_class, synopsis_make},
             {&mg_support_desk_class, support_desk_make},
             {&mg_cartpole_class, cartpole_make},
             {&mg_pendulum_class, pendulum_make},
             {&mg_lock_class, lock_make}};

static mg_err make(const char *name, const material *m, mg_arena *arena, mg_world *out) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].class->name, name) == 0) return kinds[i].make(m, arena, out);
    if (mg_robot_class(name, version_of(m->how))) return robot_make(name, m, arena, out);
    return mg_fail(MG_CONFIG, "world: found '%s', wanted one of those in app/world.c", name);
}

const mg_env_class *mg_app_world_named(const char *name, int version) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].class->name, name) == 0) return kinds[i].class;
    return mg_robot_class(name, version);
}

const mg_env_class *mg_app_world_class(const mg_settings *s) {
    return s->environment.command[0] ? NULL : mg_app_world_named(s->run.world, version_of(&s->environment));
}

mg_err mg_app_world_over(const char *name, const mg_pair *train, int64_t n_train,
                         const mg_pair *rows, int64_t n, mg_arena *arena, mg_world *out) {
    return make(name, &(material){.train = train, .n_train = n_train, .rows = rows, .n = n}, arena, out);
}

// A key that does nothing here is a mistake about where the run acts.
static mg_err refuse_idle_keys(const mg_settings *s, mg_arena *arena) {
    const mg_section *keys    = &s->sections[MG_SECTION_ENVIRONMENT];
    const char       *command = s->environment.command, *world = command[0] ? "" : s->run.world;
    if (command[0] && strcmp(s->run.world, "synopsis"))
        return mg_fail(MG_CONFIG, "world: found '%s' beside environment.command, wanted one of them: the process "
                                  "is the world", s->run.world);
    for (const mg_field *f = keys->fields; f->name; f++) {
        const char *worlds = mg_environment_key_worlds(f->name), *found, *idle;
        if (!worlds || mg_world_listed(worlds, world) || mg_key_untouched(keys, f, arena, &found, &idle)) continue;
        return mg_fail(MG_CONFIG, "environment.%s: found '%s', wanted %s: it is of %s, and does nothing in %s", f->name,
                       found, idle, worlds, command[0] ? command : world);
    }
    return MG_OK;
}

mg_err mg_app_world_of(const mg_settings *s, const mg_pair *train, int64_t n_train, const mg_pair *rows,
                       int64_t n, mg_arena *arena, mg_world *out) {
    const material m = {&s->environment, train, rows, n_train, n};
    mg_err         err = refuse_idle_keys(s, arena);
    if (err) return err;
    if (s->environment.command[0]) return process_make(s, arena, out);
    return make(s->run.world, &m, arena, out);
}

mg_err mg_app_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    return mg_app_world_of(s, job->pairs, job->n_pairs, job->pairs, job->n_pairs, job->run, out);
}

void mg_app_world_free(mg_world *w) {
    if (w->end) w->end(w);
    *w = (mg_world){0};
}
