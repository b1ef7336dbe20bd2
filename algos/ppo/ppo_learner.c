// ppo_learner.c - what PPO is to the loop that drives it: its models, where its episodes start, what a checkpoint
// keeps.
#include <string.h>

#include "algos/ppo/ppo.h"
#include "algos/spaces.h"
#include "nets/mlp.h"

#define MG_CONFIG_OF mg_ppo_config
static const mg_field fields[] = {MG_CONFIG_TABLE(MG_PPO_FIELDS) MG_CONFIG_END};
#undef MG_CONFIG_OF

// Which tasks: a fresh shuffle of the usable rows per pass over them.
mg_err mg_ppo_plan(mg_ppo *l, int64_t update, mg_start **starts, int64_t *n, mg_sampling *how,
                   int64_t **rows) {
    const mg_ppo_config *c       = &l->config;
    const bool           data    = l->references.n > 0;
    const int64_t        tasks   = data ? l->references.n_rows : l->job->n_items;
    const int64_t        prompts = mg_pieces(c->episodes, c->per_prompt);
    mg_start            *s       = MG_NEW(l->job->step, mg_start, c->episodes);
    int64_t             *row     = MG_NEW(l->job->step, int64_t, c->episodes);
    int64_t             *take    = MG_NEW(l->job->step, int64_t, prompts);
    if (tasks > 0) mg_shuffled_rows(l->job->seed, tasks, update, prompts, l->job->step, take);
    for (int64_t i = 0; i < c->episodes; i++) {
        const int64_t p = i / c->per_prompt;
        row[i] = tasks == 0 ? -1 : data ? l->references.rows[take[p]] : take[p];
        s[i]   = (mg_start){.item  = data ? mg_pair_item(l->job->pairs, row[i]) : row[i],
                            .group = (int32_t)p, .episode = (uint32_t)i};
    }
    *starts = s, *n = c->episodes;
    if (rows) *rows = row;
    *how = (mg_sampling){.temperature = c->temperature, .top_p = 1, .new_max = l->job->response_max,
                         .stop = mg_ppo_strict(l) ? l->job->rule.stop : -1};
    if (mg_ppo_vectors(l)) *how = (mg_sampling){.temperature = 1};
    return MG_OK;
}

// Every attempt at an update's episodes is kept until it is on record, each at most three times.
#define RECORD_MAX      ((double)(INT64_C(1) << 36)) // bytes
#define STEP_SIZE       2048.0 // bytes of a recorded step beside what was seen, and the copies that growing leaves
#define STEPS_UNLIMITED 65536  // of an episode in a world that has no limit: there the rollout stops

static mg_err check_memory(const mg_ppo *l) {
    const mg_env_class *world = l->job->world;
    const int64_t       steps = world->steps_max > 0 && world->steps_max < STEPS_UNLIMITED ? world->steps_max
                                                                                           : STEPS_UNLIMITED;
    const double        each  = (double)steps * (STEP_SIZE + 16 * (double)world->observation.n);
    if ((double)l->config.episodes * each <= RECORD_MAX) return MG_OK;
    return mg_fail(MG_CONFIG,
                   "ppo.episodes: found %lld, wanted at most %lld in %s: an episode has up to %lld steps, and "
                              "an update's record must fit into memory", (long long)l->config.episodes,
                   (long long)(RECORD_MAX / each), world->name, (long long)steps);
}

// Perceptrons: the policy by the world's actions, its own beginning as the reference, and a critic of its shape with
// weights of its own, which reads what the policy reads.
static mg_err open_vectors(mg_ppo *l) {
    const mg_job     *job  = l->job;
    const mg_mlp_head head = job->world->action.kind == MG_SPACE_DISCRETE ? MG_HEAD_CATEGORICAL : MG_HEAD_GAUSSIAN;
    mg_err            err  = check_memory(l);
    if (!err) err = mg_spaces_policy(job, head, true, &l->policy);
    if (!err) err = mg_spaces_policy(job, head, false, &l->reference);
    if (err) return err;
    mg_model_config c = l->policy->config;
    c.mlp.out = 1, c.mlp.free = 0, c.mlp.head = MG_HEAD_NONE, c.mlp.action_scale = 1;
    err = mg_model_new(&l->critic, &c, true);
    if (err) return err;
    mg_model_init(l->critic, ~job->seed);
    memcpy(l->critic->mean->data, l->policy->mean->data, sizeof(float) * (size_t)c.mlp.in);
    memcpy(l->critic->scale->data, l->policy->scale->data, sizeof(float) * (size_t)c.mlp.in);
    return mg_model_compute(l->critic, job->compute);
}

static mg_err open_texts(mg_ppo *l) {
    const mg_job *job         = l->job;
    const bool    from_reward = strcmp(l->config.critic_init, "reward") == 0 && job->reward_folder[0];
    mg_err        err         = mg_model_load(&l->policy, job->model_folder, true);
    if (!err) err = mg_model_load(&l->reference, job->model_folder, false);
    if (!err && job->reward_folder[0]) err = mg_reward_model_load(&l->reward, job->reward_folder);
    if (!err) err = mg_model_compute(l->policy, job->compute);
    if (!err) err = mg_model_compute(l->reference, job->compute);
    if (!err) err = mg_model_compute(l->reward.model, job->compute);
    if (!err)
        err = mg_model_copy(&l->critic, from_reward ? l->reward.model : l->policy, true, true);
    if (!err && job->n_pairs > 0)
        err = mg_pair_tokens_make(job, job->pairs, job->n_pairs, &l->references);
    if (!err && l->reward.model && l->reward.model->config.vocab != l->policy->config.vocab)
        err = mg_fail(MG_MISMATCH, "reward model %s has %lld tokens, the policy %s has %lld",
                      job->reward_folder, (long long)l->reward.model->config.vocab,
                      job->model_folder, (long long)l->policy->config.vocab);
    return err;
}

mg_err mg_ppo_open(mg_ppo *l, const mg_job *job, const mg_ppo_config *config) {
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = config->adam_eps,
                                  .clip = config->clip_norm};
    l->job     = job;
    l->config  = *config;
    mg_err err = job->world && mg_spaces_vectors(job->world) ? open_vectors(l) : open_texts(l);
    if (!err) err = mg_adamw_init(&l->policy_opt, l->policy, &adam);
    if (!err) err = mg_adamw_init(&l->critic_opt, l->critic, &adam);
    return err;
}

void mg_ppo_close(mg_ppo *l) {
    mg_model_free(l->policy);
    mg_model_free(l->reference);
    mg_model_free(l->critic);
    mg_reward_model_release(&l->reward);
    mg_adamw_release(&l->policy_opt);
    mg_adamw_release(&l->critic_opt);
}

int mg_ppo_parts(mg_ppo *l, mg_part parts[MG_PARTS_MAX]) {
    parts[0] = (mg_part){"", l->policy, &l->policy_opt};
    parts[1] = (mg_part){"critic", l->critic, &l->critic_opt};
    return 2;
}

static mg_err open_learner(mg_learner **out, const mg_job *job, const void *config) {
    mg_ppo *l   = MG_NEW(job->run, mg_ppo, 1);
    mg_err  err = mg_ppo_open(l, job, config);
    if (err)
        mg_ppo_close(l);
    else
        *out = (mg_learner *)l;
    return err;
}

static void    close_learner(mg_learner *l) { mg_ppo_close((mg_ppo *)l); }
static int64_t updates(const mg_learner *l) { return ((const mg_ppo *)l)->config.updates; }
static int     parts(mg_learner *l, mg_part out[MG_PARTS_MAX]) {
    return mg_ppo_parts((mg_ppo *)l, out);
}
static mg_err plan(mg_learner *l, int64_t update, mg_start **starts, int64_t *n, mg_sampling *how) {
    return mg_ppo_plan((mg_ppo *)l, update, starts, n, how, NULL);
}
static mg_err update(mg_learner *l, int64_t u, mg_episode *episodes, int64_t n, mg_metrics *out) {
    return mg_ppo_update((mg_ppo *)l, u, episodes, n, out);
}

const mg_algo mg_algo_ppo = {
    .name        = "ppo",
    .summary     = "proximal policy optimisation against a reward, with a critic",
    .citation    = "Schulman et al. 2017, arXiv:1707.06347",
    .fields      = fields,
    .config_size = sizeof(mg_ppo_config),
    .acts_in     = MG_IN_TEXTS | MG_IN_VECTORS,
    .needs_world = true,
    .open        = open_learner,
    .updates     = updates,
    .plan        = plan,
    .update      = update,
    .parts       = parts,
    .close       = close_learner,
};
