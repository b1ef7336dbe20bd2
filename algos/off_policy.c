// off_policy.c - opening, acting, counting and reporting of learners from a replay buffer.
#include "algos/off_policy.h"

#include <math.h>
#include <string.h>

#include "algos/spaces.h"
#include "core/file.h"
#include "core/log.h"
#include "nets/act.h"
#include "store/replay.h"

#define CRITIC_SEED ((uint64_t)1 << 40) // added to the run's, so that critics' weights are no policy's

// ---- Opening

static mg_err check_job(const mg_off_policy *l) {
    const mg_job *job = l->job;
    if (job->world->action.kind != MG_SPACE_VECTOR)
        return mg_fail(MG_CONFIG, "world: %s takes one of %lld choices, wanted one that takes numbers: its policy is "
                                  "deterministic, and learnt through the critic", job->world->name,
                       (long long)job->world->action.n);
    if (strcmp(l->config.stage, "step") == 0 && job->world->call)
        return mg_fail(MG_CONFIG, "stage: found 'step', wanted 'episode': %s is another process, whose verdict of a "
                                  "step is not final", job->world->name);
    if (!job->transitions) {
        if (l->config.offline_updates > 0)
            return mg_fail(MG_CONFIG, "data: found none, wanted a file of transitions: offline_updates is %lld",
                           (long long)l->config.offline_updates);
        return MG_OK;
    }
    if (job->transitions->obs != l->observations || job->transitions->act != l->actions)
        return mg_fail(MG_CONFIG, "data: found %lld numbers of observations and %lld of actions, wanted %lld and "
                                    "%lld: those of %s", (long long)job->transitions->obs,
                       (long long)job->transitions->act, (long long)l->observations, (long long)l->actions,
                       job->world->name);
    return MG_OK;
}

static int64_t start_steps(const mg_off_policy *l) { return l->begun ? 0 : l->config.start_steps; }

static bool draws_from_data(const mg_off_policy *l) {
    const char *mode = l->config.replay_mode;
    return l->job->transitions && (strcmp(mode, "append") == 0 || strcmp(mode, "half") == 0);
}

// Steps behind which nothing is learnt, by the key that says so.
static mg_err check_wait(const mg_off_policy *l, const char *key, int64_t wait) {
    if (wait < l->config.steps) return MG_OK;
    return mg_fail(MG_CONFIG, "%s: found %lld, wanted fewer than steps, %lld: nothing would be learnt in the world",
                   key, (long long)wait, (long long)l->config.steps);
}

// A batch has to come together. Rows enter behind their episode: those of the last one are not drawn from.
static mg_err check_batch(const mg_off_policy *l) {
    const mg_off_policy_config *c = &l->config;
    if (draws_from_data(l)) return MG_OK;
    if (c->replay < c->batch)
        return mg_fail(MG_CONFIG, "replay: found %lld, wanted batch, %lld, or more: no batch would ever come together",
                       (long long)c->replay, (long long)c->batch);
    if (c->offline_updates == 0 && c->steps <= c->batch && strcmp(c->stage, "episode") == 0)
        return mg_fail(MG_CONFIG, "steps: found %lld, wanted more than batch, %lld: no batch would ever come together",
                       (long long)c->steps, (long long)c->batch);
    return MG_OK;
}

// What can be known beforehand to learn nothing.
static mg_err check_learning(const mg_off_policy *l) {
    const mg_off_policy_config *c = &l->config;
    if (strcmp(c->replay_mode, "half") == 0 && !l->job->transitions)
        return mg_fail(MG_CONFIG, "replay_mode: found 'half', wanted append, empty or warmup: there are no data that "
                                  "half of a batch could come from");
    if (c->offline_updates == 0 && c->steps == 0)
        return mg_fail(MG_CONFIG, "steps: found 0, wanted 1 or more, or offline_updates: nothing would be learnt");
    if (c->offline_updates == 0 && c->updates_per_step == 0)
        return mg_fail(MG_CONFIG, "updates_per_step: found 0, wanted 1 or more: nothing would be learnt");
    if (c->steps == 0 || c->updates_per_step == 0) return MG_OK; // data alone are learnt from
    mg_err err = check_wait(l, "start_steps", start_steps(l));
    if (!err && strcmp(c->replay_mode, "warmup") == 0) err = check_wait(l, "warmup_steps", c->warmup_steps);
    return err ? err : check_batch(l);
}

// From the data's observations; whoever starts from a policy goes on seeing as it did.
static void set_input(const mg_off_policy *l) {
    const int64_t n    = l->observations;
    float        *seen = MG_NEW(l->job->run, float, 2 * n);
    double       *wide = MG_NEW(l->job->run, double, 2 * n);
    mg_transitions_scale(l->job->transitions, seen, seen + n);
    for (int64_t j = 0; j < 2 * n; j++) wide[j] = (double)seen[j];
    mg_mlp_set_input(l->actor, wide, wide + n);
}

static mg_err new_critic(mg_off_policy *l) {
    mg_model_config config = {.family = MG_FAMILY_MLP, .mlp = l->job->mlp};
    config.mlp.in = l->observations + l->actions, config.mlp.out = 1, config.mlp.nets = 2, config.mlp.free = 0;
    config.mlp.head = MG_HEAD_NONE, config.mlp.action_scale = 1;
    mg_err err = mg_model_new(&l->critic, &config, true);
    if (!err) mg_model_init(l->critic, l->job->seed + CRITIC_SEED);
    return err;
}

// The critics that lie below a policy's folder.
static mg_err load_critic(mg_off_policy *l) {
    const char *folder = mg_path(l->job->run, "%s/critic", l->job->model_folder);
    if (!mg_file_exists(folder))
        return mg_fail(MG_CONFIG, "model: %s has no critics (critic/), wanted what td3, td3_bc, td3_c or sac leave: "
                                    "a policy of another algorithm cannot be gone on with", l->job->model_folder);
    mg_err err = mg_model_load(&l->critic, folder, true);
    if (err) return err;
    const mg_model_config *c = &l->critic->config;
    if (c->family != MG_FAMILY_MLP || c->mlp.in != l->observations + l->actions || c->mlp.out != 1 || c->mlp.nets != 2)
        return mg_fail(MG_CONFIG, "model: %s is no pair of critics that read %lld observations and %lld numbers of "
                                    "an action", folder, (long long)l->observations, (long long)l->actions);
    return MG_OK;
}

static mg_err load_moments(mg_off_policy *l) {
    const char *actor  = mg_path(l->job->run, "%s/optimiser.safetensors", l->job->model_folder);
    const char *critic = mg_path(l->job->run, "%s/critic/optimiser.safetensors", l->job->model_folder);
    const bool  keep   = strcmp(l->config.moments, "keep") == 0 && mg_file_exists(actor) && mg_file_exists(critic);
    mg_log(MG_LOG_INFO, "%s: policy%s", l->job->model_folder,
           keep ? ", critics and Adam's moments are carried on"
                : " and critics are carried on; Adam's moments begin at 0");
    mg_err err = keep ? mg_adamw_load(&l->actor_opt, actor) : MG_OK;
    return keep && !err ? mg_adamw_load(&l->critic_opt, critic) : err;
}

static mg_err open_copies(mg_off_policy *l, bool deterministic, bool anchored) {
    const mg_adamw_config adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    mg_err err = mg_model_copy(&l->critic_target, l->critic, false, false);
    if (!err && deterministic) err = mg_model_copy(&l->actor_target, l->actor, false, false);
    if (!err && anchored) err = mg_model_copy(&l->anchor, l->actor, false, false);
    if (!err) err = mg_adamw_init(&l->actor_opt, l->actor, &adam);
    if (!err) err = mg_adamw_init(&l->critic_opt, l->critic, &adam);
    return err;
}

mg_err mg_off_policy_open(mg_off_policy *l, const mg_job *job, const mg_off_policy_config *config,
                          mg_mlp_head head, bool deterministic, bool anchored) {
    const bool given = job->model_folder[0] != 0;
    l->job    = job;
    l->config = *config;
    l->observations = job->world->observation.n, l->actions = job->world->action.n;
    l->begun   = given || config->offline_updates > 0;
    mg_err err = check_job(l);
    if (!err) err = check_learning(l);
    if (!err) err = mg_spaces_policy(job, head, true, &l->actor);
    if (!err) err = given ? load_critic(l) : new_critic(l);
    if (!err) err = mg_model_compute(l->critic, job->compute);
    if (!err && !given && job->transitions) set_input(l);
    if (!err) err = open_copies(l, deterministic, anchored);
    if (!err && given) err = load_moments(l);
    if (!err) mg_off_policy_constant_open(l);
    return err;
}

void mg_off_policy_close(mg_learner *learner) {
    mg_off_policy *l = (mg_off_policy *)learner;
    mg_off_policy_constant_close(l);
    mg_model_free(l->actor);
    mg_model_free(l->critic);
    mg_model_free(l->critic_target);
    mg_model_free(l->actor_target);
    mg_model_free(l->anchor);
    mg_adamw_release(&l->actor_opt);
    mg_adamw_release(&l->critic_opt);
}

// ---- Blocks

static int64_t offline_blocks(const mg_off_policy *l) {
    return mg_pieces(l->config.offline_updates, l->config.block);
}

int64_t mg_off_policy_updates(const mg_learner *learner) {
    const mg_off_policy *l = (const mg_off_policy *)learner;
    return offline_blocks(l) + mg_pieces(l->config.steps, l->config.block);
}

int64_t mg_off_policy_steps_end(const mg_learner *learner, int64_t update) {
    const mg_off_policy *l = (const mg_off_policy *)learner;
    const int64_t online = update + 1 - offline_blocks(l), end = online * l->config.block;
    if (online <= 0) return 0;
    return end < l->config.steps ? end : l->config.steps;
}

int64_t mg_off_policy_steps(const mg_learner *l) { return ((const mg_off_policy *)l)->state.steps; }

mg_stepping mg_off_policy_stepping(mg_learner *learner) {
    mg_off_policy *l = (mg_off_policy *)learner;
    return (mg_stepping){.replay     = l->config.replay,
                         .at_once    = strcmp(l->config.stage, "step") == 0,
                         .looks      = l->config.evaluate_episodes,
                         .state      = &l->state,
                         .state_size = sizeof l->state,
                         .learnt      = &l->state.learnt,
                         .learnt_size = sizeof l->state.learnt,
                         .buffer     = &l->state.buffer,
                         .block      = l->config.block,
                         .gradient_steps = l->state.updates};
}

// The passage from data, or from another run's policy, to the world.
static void go_online(mg_off_policy *l) {
    if (l->state.learnt.online) return;
    l->state.learnt.online = 1;
    if (l->anchor) {
        memcpy(l->anchor->weights, l->actor->weights, sizeof(float) * (size_t)l->actor->n_weights);
        mg_model_touch(l->anchor);
    }
    if (l->config.offline_updates == 0) return;
    const bool reset = strcmp(l->config.moments, "reset") == 0;
    mg_log(MG_LOG_INFO, "from data to the world: Adam's moments %s", reset ? "begin at 0" : "are carried on");
    if (!reset) return;
    mg_adamw_reset(&l->actor_opt);
    mg_adamw_reset(&l->critic_opt);
}

// ---- Steps

mg_err mg_off_policy_act(mg_learner *learner, const float *observation, bool explore, float *action) {
    mg_off_policy *l = (mg_off_policy *)learner;
    const bool random = explore && l->state.steps < start_steps(l);
    const bool draws  = explore && l->actor->config.mlp.head == MG_HEAD_TANH_GAUSSIAN;
    mg_rng     rng    = mg_rng_stream(l->job->seed, MG_PURPOSE_SAMPLE, (uint64_t)l->state.steps);
    if (explore) go_online(l);
    if (random) {
        for (int64_t j = 0; j < l->actions; j++) action[j] = (float)(2 * mg_rng_uniform(&rng) - 1);
        return MG_OK;
    }
    mg_err err = mg_act(l->actor, NULL, observation, 1, draws ? &rng : NULL, l->job->step, &(mg_acts){.drawn = action});
    if (err || !explore || draws) return err;
    for (int64_t j = 0; j < l->actions; j++) {
        const double a = (double)action[j] + l->noise * mg_rng_normal(&rng);
        action[j]      = (float)fmax(-1, fmin(1, a));
    }
    return MG_OK;
}

static mg_err gradient_step(mg_off_policy *l) {
    const size_t mark = mg_arena_mark(l->job->step);
    mg_err       err  = l->step(l);
    l->state.updates++;
    mg_arena_reset(l->job->step, mark);
    return err;
}

// Is there a batch to learn from, and is it time?
static bool ready(const mg_off_policy *l) {
    const char   *mode = l->config.replay_mode;
    const int64_t wait = strcmp(mode, "warmup") == 0 ? l->config.warmup_steps : 0;
    if (l->state.steps <= start_steps(l) || l->state.steps <= wait) return false;
    return draws_from_data(l) || mg_replay_rows(l->job->replay) - mg_replay_low(l->job->replay) >= l->config.batch;
}

mg_err mg_off_policy_learn(mg_learner *learner) {
    mg_off_policy *l = (mg_off_policy *)learner;
    mg_err err = MG_OK;
    l->state.steps++;
    for (int64_t k = 0; k < l->config.updates_per_step && ready(l) && !err; k++) err = gradient_step(l);
    return err;
}

static mg_err learn_offline(mg_off_policy *l, int64_t update) {
    int64_t n   = l->config.offline_updates - update * l->config.block;
    mg_err  err = MG_OK;
    if (n > l->config.block) n = l->config.block;
    for (int64_t k = 0; k < n && !err; k++) err = gradient_step(l);
    return err;
}

// ---- Reports

static void report_episodes(mg_episode *episodes, int64_t n, mg_metrics *out) {
    double sum = 0, length = 0, x;
    for (int64_t i = 0; i < n; i++) {
        const mg_reward total = mg_episode_return(&episodes[i]);
        if (mg_reward_value(&total, &x)) sum += x;
        length += (double)episodes[i].n_turns;
    }
    if (n == 0) return;
    mg_metrics_add(out, "episode_return", sum / (double)n);
    mg_metrics_add(out, "episode_length", length / (double)n);
}

static void report_sums(const mg_off_policy *l, mg_metrics *out) {
    const mg_off_policy_sums *s = &l->sums;
    if (s->steps > 0) {
        mg_metrics_add(out, "critic_loss", s->critic_loss / s->steps);
        mg_metrics_add(out, "q_mean", s->q / s->steps);
    }
    if (s->actor_steps == 0) return;
    mg_metrics_add(out, "actor_loss", s->actor_loss / s->actor_steps);
    if (s->data_distance > 0) mg_metrics_add(out, "data_distance", s->data_distance / s->actor_steps);
    if (s->bound > 0) {
        mg_metrics_add(out, "action_distance", s->distance / s->actor_steps);
        mg_metrics_add(out, "lambda", s->multiplier / s->actor_steps);
        mg_metrics_add(out, "eps", s->bound / s->actor_steps);
    }
    if (s->temperature > 0) {
        mg_metrics_add(out, "alpha", s->temperature / s->actor_steps);
        mg_metrics_add(out, "entropy", s->entropy / s->actor_steps);
    }
}

mg_err mg_off_policy_update(mg_learner *learner, int64_t update, mg_episode *episodes, int64_t n,
                            mg_metrics *out) {
    mg_off_policy *l = (mg_off_policy *)learner;
    mg_err err = update < offline_blocks(l) ? learn_offline(l, update) : MG_OK;
    if (err) return err;
    report_episodes(episodes, n, out);
    report_sums(l, out);
    mg_metrics_add(out, "steps", (double)l->state.steps);
    mg_metrics_add(out, "gradient_steps", (double)l->state.updates);
    l->sums = (mg_off_policy_sums){0};
    return MG_OK;
}

// ---- What is kept

int mg_off_policy_parts(mg_learner *learner, mg_part parts[MG_PARTS_MAX]) {
    mg_off_policy *l = (mg_off_policy *)learner;
    int n      = 0;
    parts[n++] = (mg_part){"", l->actor, &l->actor_opt};
    parts[n++] = (mg_part){"critic", l->critic, &l->critic_opt};
    parts[n++] = (mg_part){"critic_target", l->critic_target, NULL};
    if (l->actor_target) parts[n++] = (mg_part){"actor_target", l->actor_target, NULL};
    if (l->anchor) parts[n++] = (mg_part){"anchor", l->anchor, NULL};
    return n;
}

// Policy, critics and their moments: what the next run may start from. Targets are copied from these, as the
// public code of TD3-BC does.
mg_err mg_off_policy_finish(mg_learner *learner, const char *folder) {
    mg_off_policy *l = (mg_off_policy *)learner;
    const char *critic = mg_path(l->job->step, "%s/critic", folder);
    if (l->state.updates == 0)
        mg_log(MG_LOG_WARN, "nothing was learnt in %lld steps: at none of them had the buffer a batch of %lld",
               (long long)l->state.steps, (long long)l->config.batch);
    mg_err err = mg_model_save(l->actor, folder, MG_FILE_F32, NULL);
    if (!err) err = mg_model_save(l->critic, critic, MG_FILE_F32, NULL);
    if (!err) err = mg_adamw_save(&l->actor_opt, mg_path(l->job->step, "%s/optimiser.safetensors", folder));
    if (!err) err = mg_adamw_save(&l->critic_opt, mg_path(l->job->step, "%s/optimiser.safetensors", critic));
    return err;
}
