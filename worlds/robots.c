// robots.c - four robots as rows of one table, and what they share: start, step, reward, end.
//
// Numbers and their order of Gymnasium's gymnasium/envs/mujoco/{hopper,half_cheetah,walker2d,ant}_v{4,5}.py
// and mujoco_env.py. Sums of squares follow NumPy. Compiled without fusing multiply and add: a fused one
// rounds once where NumPy rounds twice.
#include "worlds/robots.h"

#include <math.h>
#include <openssl/sha.h>
#include <string.h>
#ifdef MG_MUJOCO_HEADERS
#include <mujoco/mujoco.h>

#include "worlds/clip.h"

#define PHYSICS_MAX 512 // numbers of mjSTATE_INTEGRATION, of any of them

static mg_err      open(mg_env *e);
static void        close_data(mg_env *e);
static mg_err      reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                         mg_value *observation);
static mg_err      step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out);
static void        digest(const mg_env *e, uint8_t out[32]);
static const char *manifest(const mg_env *e);
static mg_err      snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n);
static mg_err      restore(mg_env *e, const void *bytes, size_t n, mg_value *observation);
static const mg_script scripts[];

#define MG_ROBOT_CALLS                                                                                          \
    .open = open, .close = close_data, .reset = reset, .step = step, .digest = digest, .manifest = manifest,    \
    .snapshot = snapshot, .restore = restore, .scripts = scripts
#include "worlds/robots_table.h"

static const double contact_cost = 5e-4; // of the contact forces' sum of squares
enum { TORSO = 1, BODIES = 14 };         // of ant, the world included

// ---- what is seen

static double where(const mg_robot_kind *k, const mjData *d) { return k->torso ? d->xpos[3 * TORSO] : d->qpos[0]; }

static mg_value show(const mg_robot_kind *k, mg_robot_state *s) {
    for (int i = 0; i < k->shown; i++) s->seen[i] = (float)s->observation[i];
    return (mg_value){.kind = MG_SPACE_VECTOR, .vector = s->seen};
}

static void look(const mg_robot_kind *k, mg_robot_state *s) {
    const mjData *d  = s->data;
    double       *to = s->observation;
    for (int i = k->hidden; i < k->nq; i++) *to++ = d->qpos[i];
    for (int i = 0; i < k->nv; i++) *to++ = k->clips ? mg_clip(d->qvel[i], 10) : d->qvel[i];
    if (k->contacts)
        for (int i = 6 * TORSO; i < 6 * BODIES; i++) *to++ = mg_clip(d->cfrc_ext[i], 1); // the world's are left out
    s->x = where(k, d);
}

// ---- a start

static mg_err begin_try(mg_env *e, const double *qpos, const double *qvel);

static mg_err begin(mg_env *e, const double *qpos, const double *qvel, mg_value *observation) {
    const mg_robot_world *w = e->world;
    mg_robot_state       *s = e->state;
    mjData               *d = s->data;
    memset(s, 0, sizeof *s); // the padding too: equal states are equal bytes
    s->data = d;
    mg_err err = begin_try(e, qpos, qvel);
    if (err) return err;
    look(w->kind, s);
    *observation = show(w->kind, s);
    return MG_OK;
}

typedef struct start {
    const mg_robot_world *world;
    mjData               *data;
    const double         *qpos, *qvel;
} start;

static void start_in(void *context) {
    const start          *c = context;
    const mg_robot_world *w = c->world;
    w->mujoco.mj_resetData(w->model, c->data);
    memcpy(c->data->qpos, c->qpos, (size_t)w->kind->nq * sizeof *c->qpos);
    memcpy(c->data->qvel, c->qvel, (size_t)w->kind->nv * sizeof *c->qvel);
    w->mujoco.mj_forward(w->model, c->data);
}

static mg_err begin_try(mg_env *e, const double *qpos, const double *qvel) {
    start c = {e->world, ((mg_robot_state *)e->state)->data, qpos, qvel};
    return mg_mujoco_try(start_in, &c);
}

mg_err mg_robot_place(mg_env *e, const double *qpos, int64_t n_qpos, const double *qvel, int64_t n_qvel,
                      mg_value *observation) {
    const mg_robot_kind *k = ((const mg_robot_world *)e->world)->kind;
    if (n_qpos != k->nq || n_qvel != k->nv)
        return mg_fail(MG_CONFIG, "%s: found %lld positions and %lld speeds, wanted %d and %d", k->class.name,
                       (long long)n_qpos, (long long)n_qvel, k->nq, k->nv);
    return begin(e, qpos, qvel, observation);
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation) {
    (void)now_ns;
    const mg_robot_world *w   = e->world;
    const mg_robot_kind  *k   = w->kind;
    mg_rng                rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 0);
    double                qpos[MG_ROBOT_STATE_MAX], qvel[MG_ROBOT_STATE_MAX];
    e->fault = NULL;
    if (options->prefix) return mg_fail(MG_CONFIG, "%s: a prefix, and there is no text", k->class.name);
    for (int i = 0; i < k->nq; i++) qpos[i] = w->model->qpos0[i] + k->noise * (2 * mg_rng_uniform(&rng) - 1);
    for (int i = 0; i < k->nv; i++)
        qvel[i] = k->noise * (k->normal ? mg_rng_normal(&rng) : 2 * mg_rng_uniform(&rng) - 1);
    return begin(e, qpos, qvel, observation);
}

// ---- a step

// numpy.sum of x[i]^2: fewer than eight one by one, else eight running sums that meet in pairs and a rest
// one by one (NumPy's pairwise_sum, for the at most 128 numbers of one of its blocks). Not inlined: gcc 12
// would warn of bounds that n keeps.
static __attribute__((noinline)) double sum_of_squares(const double *x, int n) {
    double part[8], sum;
    int    i = 8;
    if (n < 8) {
        sum = 0;
        for (i = 0; i < n; i++) sum += x[i] * x[i];
        return sum;
    }
    for (int j = 0; j < 8; j++) part[j] = x[j] * x[j];
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) part[j] += x[i + j] * x[i + j];
    sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < n; i++) sum += x[i] * x[i];
    return sum;
}

static bool stands(const mg_robot_kind *k, const mjData *d) {
    const double z = d->qpos[k->z], lean = d->qpos[k->z + 1];
    if (!k->falls) return true;
    if (k->closed ? !(z >= k->z_low && z <= k->z_high) : !(z > k->z_low && z < k->z_high)) return false;
    if (k->angle > 0 && !(lean > -k->angle && lean < k->angle)) return false;
    if (k->bound == 0) return true;
    for (int i = 2; i < k->nq; i++)
        if (!(d->qpos[i] > -k->bound && d->qpos[i] < k->bound)) return false;
    for (int i = 0; i < k->nv; i++)
        if (!(d->qvel[i] > -k->bound && d->qvel[i] < k->bound)) return false;
    return true;
}

static double earned(const mg_robot_kind *k, const mjData *d, double speed, const double *action, bool up) {
    double costs = k->cost * sum_of_squares(action, k->nu);
    if (k->contacts) {
        double forces[6 * BODIES];
        for (int i = 0; i < 6 * BODIES; i++) forces[i] = mg_clip(d->cfrc_ext[i], 1);
        costs = costs + contact_cost * sum_of_squares(forces, 6 * BODIES);
    }
    if (!k->falls) return speed - costs;
    return speed + (up || k->bonus_at_end ? 1.0 : 0.0) - costs;
}

static mg_err check_action(const mg_robot_kind *k, const mg_value *action) {
    for (int i = 0; i < k->nu; i++)
        if (!(fabs((double)action->vector[i]) <= MG_ROBOT_ACTION_MAX))
            return mg_fail(MG_CONFIG, "%s: action[%d]: found %g, wanted a number in [-%g, %g]", k->class.name, i,
                           (double)action->vector[i], MG_ROBOT_ACTION_MAX, MG_ROBOT_ACTION_MAX);
    return MG_OK;
}

// Whether these physics are still some: a sentence about the first thing that is not, or NULL.
static const char *blown_up(const mg_robot_kind *k, const mg_robot_state *s, double speed) {
    static const char *const warnings[mjNWARNING] = {
        "an inertia matrix is singular", "too many contacts", "too many constraints", "a bad position",
        "a bad speed", "a bad acceleration", "a bad control"};
    for (int i = 0; i < mjNWARNING; i++)
        if (s->data->warning[i].number > 0) return warnings[i] ? warnings[i] : "MuJoCo warned";
    for (int i = 0; i < k->shown; i++)
        if (!isfinite(s->observation[i])) return "a position, speed or force that is not finite";
    if (!(fabs(speed) <= MG_ROBOT_SPEED_MAX)) return "it moves faster than anything that walks";
    return NULL;
}

typedef struct motion {
    const mg_robot_world *world;
    mjData               *data;
} motion;

static void move(void *context) {
    const motion         *c = context;
    const mg_robot_world *w = c->world;
    for (int i = 0; i < w->kind->frame_skip; i++) w->mujoco.mj_step(w->model, c->data);
    if (w->kind->contacts) w->mujoco.mj_rnePostConstraint(w->model, c->data); // no step depends on it
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    const mg_robot_world *w = e->world;
    const mg_robot_kind  *k = w->kind;
    mg_robot_state       *s = e->state;
    motion                c = {w, s->data};
    float                 acts[MG_ROBOT_ACTION_N_MAX];
    double                torques[MG_ROBOT_ACTION_N_MAX];
    MG_ASSERT(action->kind == MG_SPACE_VECTOR);
    e->fault = NULL;
    if (s->over) return mg_fail(MG_CONFIG, "%s: the episode is over, reset it first", k->class.name);
    mg_err err = check_action(k, action);
    if (err) return err;
    memmove(s->chosen, action->vector, (size_t)k->nu * sizeof *s->chosen); // a script's lie there already
    mg_shift_delay(s->queue, w->shift.action_delay, k->nu, s->chosen, acts);
    for (int i = 0; i < k->nu; i++) s->data->ctrl[i] = torques[i] = (double)acts[i];
    const double from = s->x;
    s->over           = 1; // whatever fails below: these physics are none to go on from
    err               = mg_mujoco_try(move, &c);
    if (err) return e->fault = "E.step", err;
    look(k, s);
    const double speed = (s->x - from) / (w->model->opt.timestep * k->frame_skip);
    const char  *why   = blown_up(k, s, speed);
    if (why) {
        e->fault = "E.step";
        return mg_fail(MG_NUMERIC, "%s: the physics blew up in step %lld: %s", k->class.name, (long long)s->steps, why);
    }
    const bool up = stands(k, s->data);
    s->reward     = earned(k, s->data, speed, torques, up);
    s->over       = !up;
    s->steps++;
    *out = (mg_transition){.observation = show(k, s),
                           .reward      = mg_reward_of(s->reward),
                           .terminated  = s->over,
                           .evidence    = {.action = "torques", .arguments = "{}"}};
    return MG_OK;
}

// ---- the state as bytes: MuJoCo's, warm start included, then ours without the pointer

static size_t plain_size(void) { return sizeof(mg_robot_state) - offsetof(mg_robot_state, observation); }

static size_t write_state(const mg_env *e, char *to) {
    const mg_robot_world *w = e->world;
    const mg_robot_state *s = e->state;
    const size_t          n = (size_t)w->mujoco.mj_stateSize(w->model, mjSTATE_INTEGRATION) * sizeof(double);
    double                physics[PHYSICS_MAX];
    w->mujoco.mj_getState(w->model, s->data, physics, mjSTATE_INTEGRATION);
    memcpy(to, physics, n);
    memcpy(to + n, s->observation, plain_size());
    return n + plain_size();
}

static void digest(const mg_env *e, uint8_t out[32]) {
    char bytes[PHYSICS_MAX * sizeof(double) + sizeof(mg_robot_state)];
    SHA256((const unsigned char *)bytes, write_state(e, bytes), out);
}

static mg_err snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    *bytes = mg_arena_alloc(arena, PHYSICS_MAX * sizeof(double) + sizeof(mg_robot_state));
    *n     = write_state(e, *bytes);
    return MG_OK;
}

static mg_err restore(mg_env *e, const void *bytes, size_t n, mg_value *observation) {
    const mg_robot_world *w = e->world;
    mg_robot_state       *s = e->state;
    const size_t physics_n = (size_t)w->mujoco.mj_stateSize(w->model, mjSTATE_INTEGRATION) * sizeof(double);
    double       physics[PHYSICS_MAX];
    e->fault = NULL;
    if (n != physics_n + plain_size())
        return mg_fail(MG_CORRUPT, "%s: a snapshot of %zu bytes, wanted %zu", w->kind->class.name, n,
                       physics_n + plain_size());
    memcpy(physics, bytes, physics_n);
    w->mujoco.mj_resetData(w->model, s->data);
    w->mujoco.mj_setState(w->model, s->data, physics, mjSTATE_INTEGRATION);
    memcpy(s->observation, (const char *)bytes + physics_n, plain_size());
    *observation = show(w->kind, s);
    return MG_OK;
}

// ---- an environment

typedef struct made {
    const mg_robot_world *world;
    mjData               *data;
} made;

static void make_data(void *context) {
    made *c = context;
    c->data = c->world->mujoco.mj_makeData(c->world->model);
}

static mg_err open(mg_env *e) {
    mg_robot_state *s   = e->state;
    made            c   = {.world = e->world};
    mg_err          err = mg_mujoco_try(make_data, &c);
    if (!err && !c.data) err = mg_fail(MG_NOMEM, "%s: no memory for its state", c.world->kind->class.name);
    if (err) return err;
    s->data = c.data;
    s->over = 1; // until a reset
    return MG_OK;
}

static void close_data(mg_env *e) {
    mg_robot_state *s = e->state;
    ((const mg_robot_world *)e->world)->mujoco.mj_deleteData(s->data);
    s->data = NULL;
}

void mg_robot_where(const mg_env *e, double *qpos, double *qvel) {
    const mg_robot_kind *k = ((const mg_robot_world *)e->world)->kind;
    const mjData        *d = ((const mg_robot_state *)e->state)->data;
    memcpy(qpos, d->qpos, (size_t)k->nq * sizeof *qpos);
    memcpy(qvel, d->qvel, (size_t)k->nv * sizeof *qvel);
}

static const char *manifest(const mg_env *e) { return ((const mg_robot_world *)e->world)->manifest; }

static mg_err random_torques(const mg_env *e, mg_rng *rng, mg_value *action) {
    mg_robot_state *s = e->state;
    const int       n = ((const mg_robot_world *)e->world)->kind->nu;
    for (int i = 0; i < n; i++) s->chosen[i] = (float)(2 * mg_rng_uniform(rng) - 1);
    *action = (mg_value){.kind = MG_SPACE_VECTOR, .vector = s->chosen};
    return MG_OK;
}

static mg_err zero(const mg_env *e, mg_rng *rng, mg_value *action) {
    mg_robot_state *s = e->state;
    (void)rng;
    memset(s->chosen, 0, sizeof s->chosen);
    *action = (mg_value){.kind = MG_SPACE_VECTOR, .vector = s->chosen};
    return MG_OK;
}

static const mg_script scripts[] = {
    {"random", "evenly in [-1, 1]", random_torques},
    {"zero", "lets it fall", zero},
    {0},
};

// ---- a world

// Bounds of a return: the speeds' and the costs' of MG_ROBOT_STEPS steps. `up` is the bonus, and every
// clipped contact force costs at most contact_cost.
static void describe(mg_robot_world *w) {
    const mg_robot_kind *k     = w->kind;
    const double         costs = k->cost * k->nu * (MG_ROBOT_ACTION_MAX * MG_ROBOT_ACTION_MAX) +
                         (k->contacts ? contact_cost * 6 * BODIES : 0);
    const double least = -MG_ROBOT_STEPS * (MG_ROBOT_SPEED_MAX + costs);
    const double most  = MG_ROBOT_STEPS * (MG_ROBOT_SPEED_MAX + k->falls);
    snprintf(w->manifest, sizeof w->manifest,
             "{\"name\":\"%s\",\"version\":\"%d\",\"determinism\":\"seeded\",\"reward\":{\"min\":%.17g,\"max\":%.17g},"
             "\"actions\":[{\"name\":\"torques\",\"schema\":{\"type\":\"object\",\"additionalProperties\":false},"
             "\"effect\":\"mutating\"}]}",
             k->class.name, k->version, least, most);
}

typedef struct loaded {
    mg_robot_world *world;
    const char     *path;
    char            error[512];
} loaded;

// Factors of 1 leave every bit as it was read.
static void load(void *context) {
    loaded         *c = context;
    mg_robot_world *w = c->world;
    mjModel        *m = w->model = w->mujoco.mj_loadXML(c->path, NULL, c->error, sizeof c->error);
    if (!m) return;
    for (int i = 0; i < m->ngeom; i++) m->geom_friction[3 * i] *= w->shift.friction;
    for (int i = 0; i < 3; i++) m->opt.gravity[i] *= w->shift.gravity;
    if (w->shift.mass == 1) return;
    for (int i = 0; i < m->nbody; i++) m->body_mass[i] *= w->shift.mass;
    for (int i = 0; i < 3 * m->nbody; i++) m->body_inertia[i] *= w->shift.mass;
    mjData *d = w->mujoco.mj_makeData(m); // for what MuJoCo derives from masses
    w->mujoco.mj_setConst(m, d);
    w->mujoco.mj_deleteData(d);
}

static mg_err load_model(mg_robot_world *w, const char *folder) {
    const mg_robot_kind *k = w->kind;
    char                 path[4096];
    loaded               c = {.world = w, .path = path};
    snprintf(path, sizeof path, "%s/assets/%s", mg_mujoco_folder(folder), k->file);
    FILE *f = fopen(path, "rb");
    if (!f) return mg_fail(MG_IO, "%s: found no such file, wanted Gymnasium's %s: " MG_MUJOCO_GET, path, k->class.name);
    fclose(f);
    mg_err err = mg_mujoco_try(load, &c);
    if (err) return err;
    if (!w->model) return mg_fail(MG_CORRUPT, "%s: %s", path, c.error);
    const mjModel *m = w->model;
    if (m->nq != k->nq || m->nv != k->nv || m->nu != k->nu || (k->contacts && m->nbody != BODIES) ||
        w->mujoco.mj_stateSize(m, mjSTATE_INTEGRATION) > PHYSICS_MAX)
        return mg_fail(MG_MISMATCH, "%s: found %lld positions, %lld speeds, %lld motors and %lld bodies, wanted %d, "
                                    "%d, %d of %s", path, (long long)m->nq, (long long)m->nv, (long long)m->nu,
                       (long long)m->nbody, k->nq, k->nv, k->nu, k->class.name);
    return MG_OK;
}

static mg_err check_shift(const char *name, const mg_shift *s) {
    const struct {
        const char *name;
        double      factor;
    } factors[] = {{"mass", s->mass}, {"friction", s->friction}, {"gravity", s->gravity}};
    for (int i = 0; i < 3; i++)
        if (!(factors[i].factor > 0 && isfinite(factors[i].factor)))
            return mg_fail(MG_CONFIG, "%s: shift of %s: found %g, wanted a factor above 0", name, factors[i].name,
                           factors[i].factor);
    if (s->action_delay < 0 || s->action_delay > MG_ACTION_DELAY_MAX)
        return mg_fail(MG_CONFIG, "%s: action_delay: found %lld, wanted 0 to %d steps", name,
                       (long long)s->action_delay, MG_ACTION_DELAY_MAX);
    return MG_OK;
}

mg_err mg_robot_open(mg_robot_world *out, const char *name, int version, const mg_shift *shift,
                     const char *folder) {
    *out       = (mg_robot_world){.kind = find(name, version), .shift = shift ? *shift : MG_SHIFT_NONE};
    mg_err err = check_shift(name, &out->shift);
    if (!out->kind)
        err = mg_fail(MG_CONFIG, "found robot '%s' version %d, wanted hopper, half-cheetah, walker2d or ant, version "
                                 "4 or 5", name, version);
    if (!err) err = mg_mujoco_open(&out->mujoco, folder);
    if (!err) err = load_model(out, folder);
    if (!err) describe(out);
    if (err) mg_robot_close(out);
    return err;
}

void mg_robot_close(mg_robot_world *w) {
    if (w->model) w->mujoco.mj_deleteModel(w->model);
    mg_mujoco_close(&w->mujoco);
    *w = (mg_robot_world){0};
}
#else
#include <string.h>

#define MG_ROBOT_CALLS .reset = NULL // no world of them can be opened
#include "worlds/robots_table.h"

mg_err mg_robot_open(mg_robot_world *out, const char *name, int version, const mg_shift *shift,
                     const char *folder) {
    (void)shift;
    *out = (mg_robot_world){.kind = find(name, version)};
    return mg_mujoco_open(&out->mujoco, folder); // which says what is missing
}

void mg_robot_close(mg_robot_world *w) { *w = (mg_robot_world){0}; }

mg_err mg_robot_place(mg_env *e, const double *qpos, int64_t n_qpos, const double *qvel, int64_t n_qvel,
                      mg_value *observation) {
    (void)e, (void)qpos, (void)n_qpos, (void)qvel, (void)n_qvel, (void)observation;
    return mg_fail(MG_UNSUPPORTED, "built without MuJoCo: " MG_MUJOCO_GET);
}

void mg_robot_where(const mg_env *e, double *qpos, double *qvel) {
    (void)e, (void)qpos, (void)qvel;
    MG_ASSERT(!"there are no robots");
}
#endif
