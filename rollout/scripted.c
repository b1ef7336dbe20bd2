// scripted.c - the episode loop for the policies that worlds bring along.
#include "rollout/scripted.h"

#include <string.h>

#include "rollout/record.h"
#include "rollout/stage.h"

static mg_err act_at_random(const mg_env *e, mg_rng *rng, mg_value *action) {
    const mg_space    *space = &e->class->action;
    const char *const *texts;
    if (space->kind == MG_SPACE_DISCRETE) {
        *action = (mg_value){.kind = space->kind, .index = (int64_t)mg_rng_below(rng, (uint64_t)space->n)};
        return MG_OK;
    }
    const int64_t n    = e->class->admissible(e, &texts);
    const char   *text = n > 0 ? texts[mg_rng_below(rng, (uint64_t)n)] : "";
    *action = (mg_value){.kind = MG_SPACE_TEXT, .text = text, .size = strlen(text)};
    return MG_OK;
}

const mg_script *mg_scripted_random(const mg_env_class *class) {
    static const mg_script random = {"random", "any action that may be taken now", act_at_random};
    const bool             texts  = class->action.kind == MG_SPACE_TEXT && class->admissible;
    return texts || class->action.kind == MG_SPACE_DISCRETE ? &random : NULL;
}

static mg_err play(mg_stage *s, mg_rng *rng) {
    mg_episode            *e       = s->episode;
    const mg_reset_options options = {.item = e->start.item};
    mg_value               seen;
    mg_err                 err  = MG_OK;
    bool                   goes = mg_stage_reset(s, &options, &seen);
    mg_stage_start(s);
    while (goes && !err) {
        mg_value action;
        mg_turn *turn = mg_stage_turn(s);
        mg_rng_seek(rng, e->start.episode, e->start.attempt, (uint32_t)e->n_turns);
        err = s->r->script->act(s->env, rng, &action);
        if (err) break;
        turn->action = mg_record_value(&action, &s->r->class->action, true, s->arena, &turn->action_size);
        goes         = mg_stage_step(s, &action, &seen);
    }
    return err;
}

mg_err mg_scripted_run(const mg_rollout *r, const mg_start *starts, int64_t n, int64_t policy_version,
                       uint64_t draws, mg_arena *arena, mg_episode *episodes) {
    mg_err err = MG_OK;
    for (int64_t i = 0; i < n && !err; i++) {
        mg_stage s;
        mg_rng   rng = mg_rng_stream(r->seed, MG_PURPOSE_SAMPLE, draws);
        MG_ASSERT(!starts[i].demo && starts[i].n_prefix == 0);
        mg_stage_open(&s, r, i, &starts[i], policy_version, mg_record_seed(r->seed, policy_version, &starts[i]),
                      MG_SCRIPTED_TURNS_MAX, arena, &episodes[i]);
        err = play(&s, &rng);
        mg_stage_close(&s);
    }
    return err;
}
