// spaces.c - worlds, algorithms and policies that fit each other.
#include "algos/spaces.h"

#include <math.h>

#include "nets/act.h"

static const char *const HEADS[] = {[MG_HEAD_NONE] = "none", [MG_HEAD_TANH] = "tanh",
                                    [MG_HEAD_TANH_GAUSSIAN] = "tanh_gaussian", [MG_HEAD_GAUSSIAN] = "gaussian",
                                    [MG_HEAD_CATEGORICAL] = "categorical"};

const char *mg_spaces_head_name(mg_mlp_head head) { return HEADS[head]; }

bool mg_spaces_texts(const mg_env_class *world) {
    return world->observation.kind == MG_SPACE_TEXT && world->action.kind == MG_SPACE_TEXT;
}

bool mg_spaces_vectors(const mg_env_class *world) {
    const mg_space *a = &world->action;
    return world->observation.kind == MG_SPACE_VECTOR &&
           (a->kind == MG_SPACE_DISCRETE ||
            (a->kind == MG_SPACE_VECTOR && a->high > 0 && isfinite(a->high) && a->low == -a->high));
}

// The algorithms for a kind of world, "ppo td3", cut at the size.
static void names_for(unsigned kind, char *out, size_t size) {
    size_t used = 0;
    out[0]      = 0;
    for (const mg_algo *const *a = mg_algos; *a && used < size; a++)
        if ((*a)->acts_in & kind)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " " : "", (*a)->name);
}

mg_err mg_spaces_suit(const mg_algo *algo, const mg_env_class *world) {
    const bool     texts = mg_spaces_texts(world), vectors = mg_spaces_vectors(world);
    const unsigned kind = texts ? MG_IN_TEXTS : vectors ? MG_IN_VECTORS : 0;
    char           names[256];
    if (algo->acts_in & kind) return MG_OK;
    if (!texts && !vectors)
        return mg_fail(MG_CONFIG, "world: %s has no texts, nor numbers to see and choices or numbers within +-high to "
                                  "do: there is no policy for it", world->name);
    names_for(kind, names, sizeof names);
    if (texts)
        return mg_fail(MG_CONFIG, "world: %s has texts, and %s is for worlds of vectors; for texts are %s", world->name,
                       algo->name, names);
    return mg_fail(MG_CONFIG, "world: %s has no texts, which a language model reads and says, and %s trains no other; "
                              "for vectors are %s", world->name, algo->name, names);
}

mg_err mg_spaces_fit(const mg_model_config *policy, const mg_env_class *world, const char *name) {
    const mg_mlp_shape *s      = &policy->mlp;
    const mg_space     *action = &world->action;
    const bool          chosen = action->kind == MG_SPACE_DISCRETE;
    if (policy->family != MG_FAMILY_MLP)
        return mg_fail(MG_CONFIG, "model: %s is a language model, wanted a perceptron for %s, which has no texts", name,
                       world->name);
    if (s->head == MG_HEAD_NONE || s->nets != 1)
        return mg_fail(MG_CONFIG, "model: %s gives values, wanted a policy", name);
    if (s->in != world->observation.n)
        return mg_fail(MG_CONFIG, "model: %s reads %lld numbers, wanted %lld: those that %s shows", name,
                       (long long)s->in, (long long)world->observation.n, world->name);
    if (chosen != (s->head == MG_HEAD_CATEGORICAL))
        return mg_fail(MG_CONFIG, "model: %s has the head %s, wanted one that gives %s, which %s takes", name,
                       HEADS[s->head], chosen ? "choices" : "numbers", world->name);
    const int64_t gives = chosen ? s->out : mg_act_numbers(s);
    if (gives != action->n)
        return mg_fail(MG_CONFIG, "model: %s gives %lld %s, wanted %lld: those that %s takes", name, (long long)gives,
                       chosen ? "choices" : "numbers", (long long)action->n, world->name);
    if (!chosen && s->action_scale != action->high)
        return mg_fail(MG_CONFIG, "model: %s gives numbers within %g, wanted %g: the range of %s", name,
                       s->action_scale, action->high, world->name);
    return MG_OK;
}

static mg_model_config fresh_config(const mg_job *job, mg_mlp_head head) {
    const mg_space *action = &job->world->action;
    mg_mlp_shape    s      = job->mlp;
    s.in           = job->world->observation.n;
    s.out          = head == MG_HEAD_TANH_GAUSSIAN ? 2 * action->n : action->n;
    s.free         = head == MG_HEAD_GAUSSIAN ? action->n : 0;
    s.nets         = 1;
    s.head         = head;
    s.action_scale = action->kind == MG_SPACE_VECTOR ? action->high : 1;
    return (mg_model_config){.family = MG_FAMILY_MLP, .mlp = s};
}

mg_err mg_spaces_policy(const mg_job *job, mg_mlp_head head, bool trained, mg_model **out) {
    const bool            fresh  = job->model_folder[0] == 0;
    const mg_model_config config = fresh_config(job, head);
    mg_model             *m      = NULL;
    mg_err err = fresh ? mg_model_new(&m, &config, trained) : mg_model_load(&m, job->model_folder, trained);
    if (!err && fresh) mg_model_init(m, job->seed);
    if (!err) err = mg_spaces_fit(&m->config, job->world, fresh ? "network" : job->model_folder);
    if (!err && m->config.mlp.head != head)
        err = mg_fail(MG_CONFIG, "model: %s has the head %s, wanted %s", job->model_folder,
                      HEADS[m->config.mlp.head], HEADS[head]);
    if (!err) err = mg_model_compute(m, job->compute);
    if (err)
        mg_model_free(m);
    else
        *out = m;
    return err;
}
