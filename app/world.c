// world.c - the worlds that a configuration may name, made over rows of a data set.
#include <string.h>

#include "app/app.h"
#include "rewards/gold.h"
#include "worlds/synopsis.h"

static mg_err synopsis_make(const mg_pair *train, int64_t n_train, const mg_pair *rows, int64_t n,
                            mg_arena *arena, mg_world *out) {
    mg_synopsis_world *w = MG_NEW(arena, mg_synopsis_world, 1);
    mg_gold           *gold;
    mg_err             err = mg_gold_new(&gold, train, n_train);
    if (err) return err;
    *w   = (mg_synopsis_world){.pairs = rows, .n = n, .reward = mg_gold_reward, .context = gold};
    *out = (mg_world){.class = &mg_synopsis_class, .world = w, .n_items = n};
    return MG_OK;
}

static void synopsis_free(const mg_world *w) {
    mg_gold_free(((const mg_synopsis_world *)w->world)->context);
}

static mg_reward synopsis_gold(const mg_world *w, const char *prompt, const char *answer) {
    return mg_gold_reward(((const mg_synopsis_world *)w->world)->context, prompt, answer,
                          strlen(answer));
}

typedef struct kind {
    const char *name; // its class has the same
    mg_err (*make)(const mg_pair *train, int64_t n_train, const mg_pair *rows, int64_t n,
                   mg_arena *arena, mg_world *out);
    void (*free)(const mg_world *w);
    mg_reward (*gold)(const mg_world *w, const char *prompt, const char *answer);
} kind;

static const kind kinds[] = {{"synopsis", synopsis_make, synopsis_free, synopsis_gold}};

enum { KINDS = sizeof kinds / sizeof *kinds };

static const kind *find(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

mg_err mg_app_world_over(const char *name, const mg_pair *train, int64_t n_train,
                         const mg_pair *rows, int64_t n, mg_arena *arena, mg_world *out) {
    const kind *k = find(name);
    if (k) return k->make(train, n_train, rows, n, arena, out);
    return mg_fail(MG_CONFIG, "world: found '%s', wanted one of those in app/world.c", name);
}

mg_reward mg_app_gold(const mg_world *w, const char *prompt, const char *answer) {
    return find(w->class->name)->gold(w, prompt, answer);
}

void mg_app_world_free(mg_world *w) {
    if (w->class) find(w->class->name)->free(w);
    *w = (mg_world){0};
}

mg_err mg_app_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    if (job->n_pairs == 0)
        return mg_fail(MG_CONFIG, "data: found nothing, wanted a folder: the world %s is made of its "
                                  "prompts", s->run.world);
    return mg_app_world_over(s->run.world, job->pairs, job->n_pairs, job->pairs, job->n_pairs,
                             job->run, out);
}
