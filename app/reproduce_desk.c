// reproduce_desk.c - demonstrations, starting policy, runs and judge of the grids on support-desk.
#include "app/reproduce_desk.h"

#include <time.h>

#include "algos/episodes.h"
#include "core/file.h"
#include "rollout/demos.h"
#include "rollout/scripted.h"
#include "store/jsonl.h"
#include "worlds/support_desk.h"

#define DEMOS      600 // the last ones are held out
#define DEMOS_HELD 40
#define MICROBATCH 32  // episodes read at once

static const mg_override prior_settings[] = {
    {"algo", "sft"},         {"world", "support-desk"}, {"sft.batch", "32"},        {"sft.lr", "3e-3"},
    {"network.vocab", "384"}, {"network.d_model", "64"}, {"network.d_ff", "192"},    {"network.layers", "2"},
    {"network.heads", "2"},  {"network.kv_heads", "2"}, {"network.context", "320"}, {"response_max", "8"},
    {"prompt_max", "0"},
};

#define N(list) (int)(sizeof(list) / sizeof *(list))

mg_err mg_desk_world_open(mg_arena *arena, mg_world *clean) {
    mg_settings       s;
    const mg_override o[] = {{"algo", "grpo"}, {"world", "support-desk"}};
    mg_err            err = mg_settings_read(&s, NULL, o, N(o), arena);
    return err ? err : mg_app_world_of(&s, NULL, 0, NULL, 0, arena, clean);
}

mg_err mg_desk_demos(mg_cells *c, const mg_world *clean, const char **folder) {
    const char *to    = mg_path(&c->arena, "%s/demos", c->runs);
    const char *train = mg_path(&c->arena, "%s/train.jsonl", to);
    *folder           = to;
    if (mg_file_exists(train)) return MG_OK;
    const mg_rollout how = {.class = clean->class, .world = clean->world, .seed = 1,
                            .script = mg_env_script(clean->class, "noisy")};
    mg_start   *starts   = MG_NEW(&c->arena, mg_start, DEMOS);
    mg_episode *episodes = MG_NEW(&c->arena, mg_episode, DEMOS);
    mg_pair    *pairs;
    for (int i = 0; i < DEMOS; i++)
        starts[i] = (mg_start){.item = i, .group = i, .episode = (uint32_t)i};
    mg_err err = mg_scripted_run(&how, starts, DEMOS, 0, 0, &c->arena, episodes);
    if (!err) err = mg_demos_of(episodes, DEMOS, &c->arena, &pairs);
    if (!err) err = mg_folder_make(to);
    if (!err)
        err = mg_pairs_write(mg_path(&c->arena, "%s/validation.jsonl", to), pairs + DEMOS - DEMOS_HELD,
                             DEMOS_HELD);
    return err ? err : mg_pairs_write(train, pairs, DEMOS - DEMOS_HELD);
}

mg_err mg_desk_train(mg_cells *c, const mg_desk_run *r, mg_train_result *result) {
    mg_override all[64];
    int         k   = 0;
    const char *out = mg_path(&c->arena, "%s/%s", c->runs, r->name);
    MG_ASSERT(r->n_settings + r->n_more + 3 <= N(all));
    for (int i = 0; i < r->n_settings; i++) all[k++] = r->settings[i];
    for (int i = 0; i < r->n_more; i++) all[k++] = r->more[i];
    all[k++] = (mg_override){"out", out};
    all[k++] = (mg_override){"seed", mg_path(&c->arena, "%d", r->seed)};
    all[k++] = (mg_override){"threads", mg_path(&c->arena, "%lld", (long long)c->threads)};
    const bool             resume = mg_file_exists(mg_path(&c->arena, "%s/run.db", out));
    const mg_train_options o = {.overrides = all, .n_overrides = k, .resume = resume, .make_world = mg_app_world,
                                .end_world = mg_app_world_free, .admit = r->admit,
                                .admit_context = r->admit_context, .stop = &mg_stop,
                                .wall_time = (double)time(NULL)};
    return mg_train(&o, result);
}

mg_err mg_desk_prior(mg_cells *c, const mg_world *clean, int seed, const char *epochs, const char **model) {
    mg_train_result   result;
    const char       *name = mg_path(&c->arena, "prior-%s-%d", epochs, seed), *demos;
    mg_err            err  = mg_desk_demos(c, clean, &demos);
    const mg_override more[] = {{"data", demos}, {"sft.epochs", epochs}};
    *model = mg_path(&c->arena, "%s/%s/model", c->runs, name);
    if (err || mg_file_exists(mg_path(&c->arena, "%s/config.json", *model))) return err;
    const mg_desk_run r = {.name = name, .seed = seed, .settings = prior_settings, .more = more,
                           .n_settings = N(prior_settings), .n_more = N(more)};
    return mg_desk_train(c, &r, &result);
}

// ---- the judge

// What the episodes' tokens are worth to another model, against what they were to their own.
static mg_err divergence(const mg_job *job, const char *reference, const mg_episode *episodes, double *kl) {
    mg_model *other = NULL;
    mg_err    err   = mg_model_load(&other, reference, false);
    for (int i = 0; i < MG_DESK_JUDGED && !err; i++) {
        const size_t      mark = mg_arena_mark(job->step);
        mg_episode_tokens t;
        mg_episode_tokens_make(&episodes[i], 1, job->step, &t);
        float *logp = MG_NEW(job->step, float, t.count);
        err         = mg_answers_read_logp(other, job->team, &t.answers, 1, MICROBATCH, job->step, logp);
        kl[i]       = 0;
        for (int64_t k = 0; k < t.count && !err; k++)
            if (t.role[k] == MG_ROLE_POLICY) kl[i] += t.logp_old[k] - logp[k];
        mg_arena_reset(job->step, mark);
    }
    mg_model_free(other);
    return err;
}

mg_err mg_desk_play(mg_cells *c, const mg_world *clean, const char *policy, const char *reference, int seed,
                    mg_episode **episodes, double *kl) {
    mg_settings   s;
    mg_job        job = {.run = &c->arena, .step = &c->arena};
    mg_tokenizer *tokenizer = NULL;
    mg_model     *model     = NULL;
    const mg_override o[] = {{"algo", "grpo"}, {"world", "support-desk"}, {"model", policy},
                             {"response_max", "8"}, {"prompt_max", "0"}};
    mg_start *starts = MG_NEW(&c->arena, mg_start, MG_DESK_JUDGED);
    *episodes        = MG_NEW(&c->arena, mg_episode, MG_DESK_JUDGED);
    mg_err err = mg_settings_read(&s, NULL, o, N(o), &c->arena);
    if (!err) err = mg_team_open(&job.team, (int)c->threads);
    if (!err) err = mg_job_open(&job, &s, &tokenizer);
    if (!err) err = mg_model_load(&model, s.run.model, false);
    const mg_rollout how = {.model = model, .tokenizer = tokenizer, .rule = job.rule, .team = job.team,
                            .class = clean->class, .world = clean->world, .seed = 1000 + (uint64_t)seed,
                            .sampling = {.temperature = 1, .top_p = 1, .new_max = job.response_max,
                                         .stop = job.rule.stop}};
    for (int i = 0; i < MG_DESK_JUDGED; i++)
        starts[i] = (mg_start){.item = MG_SUPPORT_DESK_TRAIN + i, .group = i, .episode = (uint32_t)i};
    if (!err)
        err = mg_rollout_run(&how, starts, MG_DESK_JUDGED, 0, 0, &c->arena, &c->arena, *episodes, NULL);
    if (!err && reference) err = divergence(&job, reference, *episodes, kl);
    mg_model_free(model);
    mg_tokenizer_free(tokenizer);
    mg_team_close(job.team);
    return err;
}

bool mg_desk_solved(const mg_episode *e) {
    const mg_evidence *v = e->n_turns ? &e->turns[e->n_turns - 1].evidence : NULL;
    return v && v->conditions > 0 && v->held == v->conditions;
}
