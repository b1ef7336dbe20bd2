// world.c - the worlds that a configuration may name, made over the run's data.
#include <string.h>

#include "app/app.h"
#include "rewards/gold.h"
#include "worlds/synopsis.h"

mg_err mg_app_synopsis(const mg_pair *train, int64_t n_train, const mg_pair *rows, int64_t n,
                       mg_arena *arena, mg_world *out) {
    mg_synopsis_world *w = MG_NEW(arena, mg_synopsis_world, 1);
    mg_gold           *gold;
    mg_err             err = mg_gold_new(&gold, train, n_train);
    if (err) return err;
    *w   = (mg_synopsis_world){.pairs = rows, .n = n, .reward = mg_gold_reward, .context = gold};
    *out = (mg_world){.class = &mg_synopsis_class, .world = w, .n_items = n};
    return MG_OK;
}

mg_reward mg_app_gold(const mg_world *w, const char *prompt, const char *answer) {
    return mg_gold_reward(((const mg_synopsis_world *)w->world)->context, prompt, answer,
                          strlen(answer));
}

void mg_app_world_free(mg_world *w) {
    if (w->world) mg_gold_free(((const mg_synopsis_world *)w->world)->context);
    *w = (mg_world){0};
}

mg_err mg_app_world(const mg_settings *s, const mg_job *job, mg_world *out) {
    if (job->n_pairs == 0)
        return mg_fail(MG_CONFIG, "data: found nothing, wanted a folder: the world %s is made of its "
                                  "prompts", s->run.world);
    return mg_app_synopsis(job->pairs, job->n_pairs, job->pairs, job->n_pairs, job->run, out);
}
