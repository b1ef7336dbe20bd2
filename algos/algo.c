// algo.c - the list of algorithms.
#include "algos/algo.h"

#include <stdio.h>
#include <string.h>

#include "algos/dpo/dpo.h"
#include "algos/drpo/drpo.h"
#include "algos/grpo/grpo.h"
#include "algos/ppo/ppo.h"
#include "algos/reward_model/reward_model.h"
#include "algos/sac/sac.h"
#include "algos/sft/sft.h"
#include "algos/td3/td3.h"
#include "algos/td3_bc/td3_bc.h"
#include "algos/td3_c/td3_c.h"

const mg_algo *const mg_algos[] = {&mg_algo_sft, &mg_algo_reward_model, &mg_algo_dpo, &mg_algo_ppo,
                                   &mg_algo_grpo, &mg_algo_drpo, &mg_algo_td3, &mg_algo_td3_bc,
                                   &mg_algo_td3_c, &mg_algo_sac, NULL};

const mg_algo *mg_algo_find(const char *name) {
    for (const mg_algo *const *a = mg_algos; *a; a++)
        if (strcmp((*a)->name, name) == 0) return *a;
    return NULL;
}

void mg_algo_names(bool fresh, char *out, size_t size) {
    size_t used = 0;
    out[0]      = 0;
    for (const mg_algo *const *a = mg_algos; *a && used < size; a++)
        if (!fresh || (*a)->starts_fresh)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " " : "", (*a)->name);
}

void mg_metrics_add(mg_metrics *m, const char *name, double value) {
    MG_ASSERT(m->n < MG_METRICS_MAX);
    m->rows[m->n].name    = name;
    m->rows[m->n++].value = value;
}

mg_schedule mg_schedule_named(const char *word) {
    if (strcmp(word, "linear") == 0) return MG_SCHEDULE_LINEAR;
    if (strcmp(word, "cosine") == 0) return MG_SCHEDULE_COSINE;
    MG_ASSERT(strcmp(word, "constant") == 0);
    return MG_SCHEDULE_CONSTANT;
}
