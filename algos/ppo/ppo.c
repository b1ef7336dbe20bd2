// ppo.c - one PPO update, step by step as the listing has it.
//
// Source: DR-PO's PPO oracle (arXiv:2404.08495, sections 4 and 6, Table 5, and the public code), on
// Schulman et al. 2017 (arXiv:1707.06347).
// Not in the paper:
//  - policy and critic have one optimiser each, so value_coef only matters to Adam's epsilon and to
//    the gradient's norm limit;
//  - the default mask_mode "strict" leaves forced tokens and everything after the stop out of the
//    KL reward, whitening, GAE and both losses; "code" is what the published code does;
//  - sums are normalised over the whole minibatch;
//  - the gradient's norm is limited; minibatches of texts are blocks of the batch in its order;
//  - episodes of several turns: what the environment says is no step; each turn's reward counts at
//    its own end, a reward model's at the end of the last; a truncated episode is bootstrapped;
//  - in a world of vectors every action is a step; its minibatches are blocks of a new order of all steps for
//    each pass, as is usual there.
#include "algos/ppo/ppo.h"

#include <math.h>
#include <string.h>

#include "algos/gae.h"

bool mg_ppo_strict(const mg_ppo *l) { return strcmp(l->config.mask_mode, "strict") == 0; }
bool mg_ppo_vectors(const mg_ppo *l) { return l->policy->nets != NULL; }

// Where turn j ends, as an index into the episode's steps: at its first stop, else with its last step.
static int64_t turn_end(const mg_ppo *l, const mg_episode *e, int64_t j, bool *stopped) {
    int64_t first, behind, k;
    mg_steps_of_turn(e, j, &first, &behind);
    const int32_t *said = mg_ppo_vectors(l) ? NULL : e->tokens + e->turns[0].action_begin;
    for (k = first; k < behind && !(said && said[k] == l->job->rule.stop);) k++;
    *stopped = k < behind;
    return *stopped ? k : behind - 1;
}

// What the masks leave in. strict: the policy's own tokens up to the stop, everywhere; code: all
// tokens of a turn, but for the forced ones in the policy loss.
static void mask(const mg_ppo *l, const mg_episode *e, int64_t base, mg_ppo_batch *b) {
    bool    stopped;
    int64_t first, behind;
    for (int64_t j = 0; j < e->n_turns; j++) {
        mg_steps_of_turn(e, j, &first, &behind);
        const int64_t last = mg_ppo_strict(l) ? turn_end(l, e, j, &stopped) : behind - 1;
        for (int64_t at = base + first; at <= base + last; at++) {
            b->trained[at] = b->t.role[at] == MG_ROLE_POLICY;
            b->in_mdp[at]  = !mg_ppo_strict(l) || b->trained[at];
        }
    }
}

// S_i := RM(x, y') read at the stop; S_i := missing_eos where there is none. In mode "code" a stop
// in the very last slot counts as none, because that code looks for padding after it.
static mg_err score(mg_ppo *l, const mg_ppo_batch *b, mg_episode *episodes) {
    if (!l->reward.model) return MG_OK;
    mg_arena  *step = l->job->step;
    mg_answers cut  = b->t.answers;
    mg_answer *own  = MG_NEW(step, mg_answer, b->t.n);
    double    *S    = MG_NEW(step, double, b->t.n);
    bool      *ends = MG_NEW(step, bool, b->t.n);
    for (int64_t i = 0; i < b->t.n; i++) {
        const mg_episode *e    = &episodes[i];
        const int64_t     last = turn_end(l, e, e->n_turns - 1, &ends[i]);
        int64_t           first, behind;
        mg_steps_of_turn(e, e->n_turns - 1, &first, &behind);
        if (!mg_ppo_strict(l) && last + 1 == behind) ends[i] = false;
        own[i]   = cut.answers[i];
        own[i].n = last + 1;
    }
    cut.answers = own;
    mg_err err  = mg_reward_model_score(&l->reward, l->job->team, &cut, l->config.microbatch,
                                        step, S);
    for (int64_t i = 0; i < b->t.n && !err; i++)
        episodes[i].learned = mg_reward_of(ends[i] ? S[i] : l->config.missing_eos);
    return err;
}

// R_t = -kl_coef kl_t + the rewards at the ends of turns, or the learned one at the last's.
static void step_rewards(const mg_ppo *l, mg_ppo_batch *b, const mg_episode *episodes) {
    for (int64_t k = 0; k < b->t.count; k++) {
        b->kl[k]     = b->t.logp_old[k] - b->ref[k];
        b->reward[k] = b->in_mdp[k] ? -l->config.kl_coef * b->kl[k] : 0;
    }
    for (int64_t i = 0; i < b->t.n; i++) {
        const mg_episode *e       = &episodes[i];
        const bool        learned = e->learned.kind == MG_REWARD_VALUE;
        bool              stopped;
        b->score_mean += mg_episode_reward(e) / (double)b->t.n;
        for (int64_t j = learned ? e->n_turns - 1 : 0; j < e->n_turns; j++)
            b->reward[b->t.offset[i] + turn_end(l, e, j, &stopped)] +=
                learned ? e->learned.value : e->turns[j].reward.value;
    }
}

// V of the state in which somebody stopped watching; 0 where the task was over.
static mg_err bootstrap(mg_ppo *l, const mg_ppo_batch *b, const mg_episode *e, int64_t i,
                        double *out) {
    *out = 0;
    if (!e->truncated || e->terminated) return MG_OK;
    return mg_steps_value_after(l->critic, l->job->team, &b->t, i, l->job->step, out);
}

// GAE over each episode's own steps; those that are none of the decision process are passed over.
static mg_err advantages(mg_ppo *l, mg_ppo_batch *b, const mg_episode *episodes) {
    mg_arena *step = l->job->step;
    double   *r = MG_NEW(step, double, b->t.count), *v = MG_NEW(step, double, b->t.count);
    double   *A = MG_NEW(step, double, b->t.count), *target = MG_NEW(step, double, b->t.count);
    int64_t  *at = MG_NEW(step, int64_t, b->t.count);
    for (int64_t i = 0; i < b->t.n; i++) {
        int64_t n = 0;
        double  last;
        for (int64_t k = b->t.offset[i]; k < b->t.offset[i + 1]; k++)
            if (b->in_mdp[k]) at[n] = k, r[n] = b->reward[k], v[n++] = b->value[k];
        mg_err err = bootstrap(l, b, &episodes[i], i, &last);
        if (err) return err;
        mg_gae(n, r, v, last, l->config.gamma, l->config.lambda, A, target);
        for (int64_t j = 0; j < n; j++) b->A[at[j]] = A[j], b->target[at[j]] = target[j];
    }
    return MG_OK;
}

mg_err mg_ppo_prepare(mg_ppo *l, mg_episode *episodes, int64_t n, mg_ppo_batch *b) {
    mg_arena *step = l->job->step;
    *b             = (mg_ppo_batch){0};
    if (mg_ppo_vectors(l))
        mg_steps_of_vectors(episodes, n, l->policy, step, &b->t);
    else
        mg_steps_of_texts(episodes, n, step, &b->t);
    const int64_t count = b->t.count, slice = mg_steps_slice(&b->t, l->config.microbatch);
    b->in_mdp  = MG_NEW(step, uint8_t, count);
    b->trained = MG_NEW(step, uint8_t, count);
    b->ref     = MG_NEW(step, double, count);
    b->value   = MG_NEW(step, double, count);
    b->kl      = MG_NEW(step, double, count);
    b->reward  = MG_NEW(step, double, count);
    b->A       = MG_NEW(step, double, count);
    b->target  = MG_NEW(step, double, count);
    for (int64_t i = 0; i < n; i++) mask(l, &episodes[i], b->t.offset[i], b);

    mg_err err = score(l, b, episodes);
    if (!err)
        err = mg_steps_read_logp(l->reference, l->job->team, &b->t, l->config.temperature, slice, step, b->ref);
    if (!err) err = mg_steps_read_values(l->critic, l->job->team, &b->t, slice, step, b->value);
    if (err) return err;
    step_rewards(l, b, episodes);
    if (l->config.whiten_rewards) mg_whiten(count, b->reward, b->in_mdp, 1);
    err = advantages(l, b, episodes);
    if (!err) mg_whiten(count, b->A, b->in_mdp, 0);
    return err;
}

static double count_of(const uint8_t *mask, int64_t begin, int64_t end) {
    double n = 0;
    for (int64_t k = begin; k < end; k++) n += mask[k];
    return n;
}

// L_pg = sum_t m_t max(-A_t rho_t, -A_t clip(rho_t)) / sum_t m_t
mg_err mg_ppo_policy_gradient(mg_ppo *l, const mg_ppo_batch *b, int64_t begin, int64_t end,
                              mg_ppo_sums *sums) {
    mg_arena     *step  = l->job->step;
    const size_t  mark  = mg_arena_mark(step);
    const double  steps = count_of(b->trained, b->t.part[begin], b->t.part[end]);
    if (steps == 0) return MG_OK;
    for (int64_t i = begin, stop; i < end; i = stop) {
        stop = mg_steps_portion(&b->t, i, end);
        const int64_t at = b->t.part[i], n = b->t.part[stop] - at;
        mg_tape       tape = mg_tape_make(step, l->job->team, true);
        float        *H    = MG_NEW(step, float, n);
        mg_tensor    *logp;
        mg_err err = mg_steps_logp(&tape, l->policy, &b->t, i, stop, l->config.temperature, &logp, H);
        if (err) return err;
        sums->policy_loss += mg_loss_clip(n, mg_f32(logp), b->t.logp_old + at, b->A + at,
                                          b->trained + at, l->config.clip, 1 / steps,
                                          mg_grad_f32(logp), &sums->counts);
        for (int64_t k = 0; k < n; k++)
            if (b->trained[at + k]) sums->entropy += (double)H[k];
        mg_tape_backward(&tape);
        mg_arena_reset(step, mark);
    }
    return MG_OK;
}

// value_coef L_v,  L_v = 0.5 mean_t max((V - Ret)^2, (clip(V, Vold +- eps) - Ret)^2)
mg_err mg_ppo_value_gradient(mg_ppo *l, const mg_ppo_batch *b, int64_t begin, int64_t end,
                             mg_ppo_sums *sums) {
    mg_arena     *step  = l->job->step;
    const size_t  mark  = mg_arena_mark(step);
    const double  steps = count_of(b->in_mdp, b->t.part[begin], b->t.part[end]);
    if (steps == 0) return MG_OK;
    for (int64_t i = begin, stop; i < end; i = stop) {
        stop = mg_steps_portion(&b->t, i, end);
        const int64_t at = b->t.part[i], n = b->t.part[stop] - at;
        mg_tape       tape = mg_tape_make(step, l->job->team, true);
        mg_tensor    *V;
        mg_err        err = mg_steps_values(&tape, l->critic, &b->t, i, stop, &V);
        if (err) return err;
        sums->value_loss += mg_loss_value(n, mg_f32(V), b->value + at, b->target + at,
                                          b->in_mdp + at, l->config.value_clip,
                                          l->config.value_coef / steps, mg_grad_f32(V));
        mg_tape_backward(&tape);
        mg_arena_reset(step, mark);
    }
    return MG_OK;
}

// One gradient step of policy and critic on parts [begin, end).
static mg_err minibatch(mg_ppo *l, const mg_ppo_batch *b, int64_t begin, int64_t end, double lr,
                        double critic_lr, mg_ppo_sums *sums, double *norm) {
    mg_err err = mg_ppo_policy_gradient(l, b, begin, end, sums);
    if (!err) err = mg_ppo_value_gradient(l, b, begin, end, sums);
    // Before either network moves.
    if (!err && !isfinite(sums->policy_loss + sums->value_loss))
        err = mg_fail(MG_NUMERIC, "policy loss is %g, value loss is %g", sums->policy_loss,
                      sums->value_loss);
    if (!err) err = mg_adamw_step(&l->policy_opt, l->policy, lr, l->job->team, norm);
    if (!err) err = mg_adamw_step(&l->critic_opt, l->critic, critic_lr, l->job->team, NULL);
    return err;
}

static void report(const mg_ppo *l, const mg_ppo_batch *b, const mg_episode *episodes,
                   mg_metrics *out) {
    double kl = 0, steps = 0, length = 0, stops = 0, forced = 0, env = 0, env_n = 0, x;
    for (int64_t k = 0; k < b->t.count; k++)
        if (b->in_mdp[k]) kl += b->kl[k], steps++;
    for (int64_t k = 0; k < b->t.count; k++) forced += b->t.role[k] == MG_ROLE_FORCED;
    for (int64_t i = 0; i < b->t.n; i++) {
        const mg_episode *e    = &episodes[i];
        const mg_reward   from = mg_episode_return(e);
        bool              stopped = false;
        int64_t           first, behind;
        for (int64_t j = 0; j < e->n_turns; j++) {
            mg_steps_of_turn(e, j, &first, &behind);
            length += (double)(turn_end(l, e, j, &stopped) + 1 - first);
        }
        stops += stopped;
        if (mg_reward_value(&from, &x)) env += x, env_n++;
    }
    const double n = (double)b->t.n;
    mg_metrics_add(out, "reward", b->score_mean);
    if (env_n > 0) mg_metrics_add(out, "env_reward", env / env_n);
    mg_metrics_add(out, "kl", kl / n); // per episode, k1 under the sampling policy
    mg_metrics_add(out, "kl_per_token", steps > 0 ? kl / steps : 0);
    mg_metrics_add(out, "length", length / n);
    if (mg_ppo_vectors(l)) return;
    mg_metrics_add(out, "stopped", stops / n);
    mg_metrics_add(out, "forced_tokens", forced / n);
}

// A new order of the steps of vectors for each pass over them.
static void shuffle(const mg_ppo *l, int64_t update, int64_t epoch, mg_ppo_batch *b) {
    double *const columns[] = {b->value, b->A, b->target};
    mg_rng        rng       = mg_rng_stream(l->job->seed, MG_PURPOSE_SHUFFLE, (uint64_t)update + 1);
    mg_rng_seek(&rng, 0, 0, (uint32_t)epoch);
    mg_steps_shuffle(&b->t, &rng, columns, 3, l->job->step);
}

mg_err mg_ppo_update(mg_ppo *l, int64_t update, mg_episode *episodes, int64_t n, mg_metrics *out) {
    const mg_ppo_config *c     = &l->config;
    const mg_schedule    shape = mg_schedule_named(c->schedule);
    const double lr        = mg_job_step(l->job) * mg_schedule_lr(shape, c->lr, update, c->updates, c->warmup);
    const double critic_lr = mg_schedule_lr(shape, c->critic_lr, update, c->updates, c->warmup);
    mg_ppo_batch b;
    mg_err       err = mg_ppo_prepare(l, episodes, n, &b);
    if (err) return err;

    double      norm = 0, first_ratio = 0, steps = 0;
    mg_ppo_sums sums = {0};
    for (int64_t epoch = 0; epoch < c->epochs; epoch++) {
        shuffle(l, update, epoch, &b);
        for (int64_t k = 0; k < c->minibatches; k++) {
            const int64_t begin = b.t.parts * k / c->minibatches, end = b.t.parts * (k + 1) / c->minibatches;
            if (begin == end) continue;
            err = minibatch(l, &b, begin, end, lr, critic_lr, &sums, &norm);
            if (err) return err;
            if (steps++ == 0) first_ratio = sums.counts.ratio_off_max;
        }
    }

    const double tokens = sums.counts.tokens;
    report(l, &b, episodes, out);
    mg_metrics_add(out, "policy_loss", sums.policy_loss / steps);
    mg_metrics_add(out, "value_loss", sums.value_loss / steps);
    mg_metrics_add(out, "entropy", tokens > 0 ? sums.entropy / tokens : 0);
    mg_metrics_add(out, "clip_ratio", tokens > 0 ? sums.counts.clipped / tokens : 0);
    mg_metrics_add(out, "approx_kl", tokens > 0 ? sums.counts.kl / tokens : 0);
    // 0 but for rounding: the sampler's and the trainer's log-probabilities are of one model.
    mg_metrics_add(out, "first_ratio_error", first_ratio);
    mg_metrics_add(out, "grad_norm", norm);
    mg_metrics_add(out, "lr", lr);
    return MG_OK;
}
