// reproduce_bf16.c - does rounding the factors of products to bfloat16 change how learning goes?
//
// sft from random weights and ppo from the base policy, on the pairs of examples/data, td3 and sac on the pendulum
// and sac on the hopper, once with compute: f32 and once with compute: bf16, the same in all else. A curve is cut
// into five stretches of equal length; a cell holds the mean of each.
#include <math.h>
#include <string.h>
#include <time.h>

#include "app/app.h"
#include "app/reproduce.h"
#include "core/file.h"

#define N(list) (int)(sizeof(list) / sizeof *(list))
#define STRETCHES 5

static const mg_override sft_settings[] = {
    {"algo", "sft"},           {"data", "examples/data"}, {"sft.epochs", "15"},    {"sft.batch", "30"},
    {"sft.lr", "2e-3"},        {"sft.warmup", "10"},      {"network.vocab", "512"}, {"network.d_model", "128"},
    {"network.d_ff", "352"},   {"network.layers", "3"},   {"network.heads", "4"},  {"network.kv_heads", "4"},
    {"checkpoint_every", "1000"}};

// Those of examples/ppo.yaml, with the demo's KL penalty.
static const mg_override ppo_settings[] = {
    {"algo", "ppo"},       {"data", "examples/data"}, {"ppo.updates", "40"},      {"ppo.episodes", "64"},
    {"ppo.epochs", "2"},   {"ppo.per_prompt", "2"},   {"ppo.lr", "2e-4"},         {"ppo.critic_lr", "3e-4"},
    {"ppo.kl_coef", "0.2"}, {"ppo.temperature", "0.7"}, {"checkpoint_every", "1000"}};

// Networks and batches of the rows of `bench`, 256 x 256 by 256; rates of examples/td3.yaml and sac.yaml. On the
// hopper the learner's defaults, but for steps that learn from the thousandth on.
#define PENDULUM(algo)                                                                                              \
    {{"algo", algo}, {"world", "pendulum"}, {algo ".steps", "10000"}, {algo ".start_steps", "1000"},                \
     {algo ".lr", "1e-3"}, {algo ".critic_lr", "1e-3"}, {"network.width", "256"}, {"network.activation", "relu"},   \
     {"checkpoint_every", "1000"}}
static const mg_override td3_settings[] = PENDULUM("td3");
static const mg_override sac_settings[] = PENDULUM("sac");
static const mg_override hopper_settings[] = {
    {"algo", "sac"}, {"world", "hopper"}, {"sac.steps", "30000"}, {"sac.start_steps", "1000"}, {"network.width", "256"},
    {"network.activation", "relu"}, {"checkpoint_every", "1000"}};

static const mg_arm sft_arms[] = {{"sft-f32", "products of floats", 5}, {"sft-bf16", "factors rounded", 5}, {0}};
static const mg_arm ppo_arms[] = {{"ppo-f32", "products of floats", 5}, {"ppo-bf16", "factors rounded", 5}, {0}};
static const mg_arm td3_arms[] = {{"td3-f32", "products of floats", 5}, {"td3-bf16", "factors rounded", 5}, {0}};
static const mg_arm sac_arms[] = {{"sac-f32", "products of floats", 5}, {"sac-bf16", "factors rounded", 5}, {0}};
static const mg_arm hopper_arms[] = {
    {"hopper-f32", "products of floats", 5}, {"hopper-bf16", "factors rounded", 5}, {0}};

// The means of a metric's stretches, as NAME_1 to NAME_5.
static mg_err add_curve(mg_cells *c, mg_store *store, const char *name, json_t *cell) {
    mg_point *points;
    int64_t   n;
    mg_err    err = mg_store_metric_read(store, name, &c->arena, &points, &n);
    if (!err && n < STRETCHES) err = mg_fail(MG_EMPTY, "%s: %lld points, wanted %d", name, (long long)n, STRETCHES);
    for (int64_t k = 0; k < STRETCHES && !err; k++) {
        const int64_t from = n * k / STRETCHES, to = n * (k + 1) / STRETCHES;
        double        sum  = 0;
        for (int64_t i = from; i < to; i++) sum += points[i].value;
        json_object_set_new(cell, mg_path(&c->arena, "%s_%lld", name, (long long)k + 1),
                            json_pack("{s:f, s:I}", "estimate", sum / (double)(to - from), "n",
                                      (json_int_t)(to - from)));
    }
    return err;
}

// Arm 0 is f32, arm 1 bf16.
static mg_err train(mg_cells *c, const char *arm_name, int arm, int seed, const mg_override *settings, int n,
                    const char *const *curves, json_t **result) {
    mg_override all[32];
    int         k   = 0;
    const char *out = mg_path(&c->arena, "%s/%s-%d", c->runs, arm_name, seed);
    MG_ASSERT(n + 5 <= N(all));
    for (int i = 0; i < n; i++) all[k++] = settings[i];
    all[k++] = (mg_override){"compute", arm ? "bf16" : "f32"};
    all[k++] = (mg_override){"out", out};
    all[k++] = (mg_override){"seed", mg_path(&c->arena, "%d", seed)};
    all[k++] = (mg_override){"threads", mg_path(&c->arena, "%lld", (long long)c->threads)};
    if (strcmp(settings[0].value, "ppo") == 0) all[k++] = (mg_override){"model", c->base};
    const char            *db = mg_path(&c->arena, "%s/run.db", out);
    const mg_train_options o  = {.overrides = all, .n_overrides = k, .resume = mg_file_exists(db),
                                 .make_world = mg_app_world, .world_class = mg_app_world_class,
                                 .end_world = mg_app_world_free, .stop = &mg_stop,
                                 .wall_time = (double)time(NULL)};
    mg_train_result trained;
    mg_store       *store = NULL;
    mg_err          err   = mg_train(&o, &trained);
    if (!err) err = mg_store_open(&store, db);
    if (err) return err;
    json_t *cell = json_object();
    for (; *curves && !err; curves++) err = add_curve(c, store, *curves, cell);
    mg_store_close(store);
    if (err)
        json_decref(cell);
    else
        *result = cell;
    return err;
}

static mg_err run_sft(mg_cells *c, int arm, int seed, json_t **result) {
    static const char *const curves[] = {"loss", NULL};
    return train(c, sft_arms[arm].name, arm, seed, sft_settings, N(sft_settings), curves, result);
}

static mg_err run_ppo(mg_cells *c, int arm, int seed, json_t **result) {
    static const char *const curves[] = {"reward", "kl", "first_ratio_error", NULL};
    return train(c, ppo_arms[arm].name, arm, seed, ppo_settings, N(ppo_settings), curves, result);
}

static const char *const returns[] = {"episode_return", NULL};

static mg_err run_td3(mg_cells *c, int arm, int seed, json_t **result) {
    return train(c, td3_arms[arm].name, arm, seed, td3_settings, N(td3_settings), returns, result);
}

static mg_err run_sac(mg_cells *c, int arm, int seed, json_t **result) {
    return train(c, sac_arms[arm].name, arm, seed, sac_settings, N(sac_settings), returns, result);
}

static mg_err run_hopper(mg_cells *c, int arm, int seed, json_t **result) {
    return train(c, hopper_arms[arm].name, arm, seed, hopper_settings, N(hopper_settings), returns, result);
}

#define CURVE(name) name "_1", name "_2", name "_3", name "_4", name "_5"
static const char *const       sft_metrics[] = {CURVE("loss")};
static const char *const       ppo_metrics[] = {CURVE("reward"), CURVE("kl")};
static const char *const       return_metrics[] = {CURVE("episode_return")};
static const struct mg_level   sft_levels[]  = {{"loss_1", NAN}, {"loss_3", NAN}, {"loss_5", NAN}};
static const struct mg_level   ppo_levels[]  = {{"reward_1", NAN}, {"reward_3", NAN}, {"reward_5", NAN},
                                                {"kl_5", NAN}, {"first_ratio_error_5", NAN}};
static const struct mg_level   return_levels[] = {{"episode_return_1", NAN}, {"episode_return_3", NAN},
                                                  {"episode_return_5", NAN}};
static const struct mg_contrast sft_contrast[] = {{"sft-bf16", "sft-f32"}};
static const struct mg_contrast ppo_contrast[] = {{"ppo-bf16", "ppo-f32"}};

static const struct mg_contrast td3_contrast[] = {{"td3-bf16", "td3-f32"}};
static const struct mg_contrast sac_contrast[] = {{"sac-bf16", "sac-f32"}};
static const struct mg_contrast hopper_contrast[] = {{"hopper-bf16", "hopper-f32"}};

#define SHARED "Seeds change training alone: the data, and for ppo the starting policy, are the same for all."

static const mg_question sft = {
    .title = "sft from random weights", .shared = SHARED, .arms = sft_arms, .run = run_sft,
    .claims = {.level_words = "in stretches of the curve", .levels = sft_levels, .n_levels = N(sft_levels),
               .contrasts = sft_contrast, .n_contrasts = 1, .metrics = sft_metrics, .n_metrics = N(sft_metrics)}};
static const mg_question ppo = {
    .title = "ppo from the base policy", .shared = SHARED, .arms = ppo_arms, .run = run_ppo,
    .claims = {.level_words = "in stretches of the curve", .levels = ppo_levels, .n_levels = N(ppo_levels),
               .contrasts = ppo_contrast, .n_contrasts = 1, .metrics = ppo_metrics, .n_metrics = N(ppo_metrics)}};
#define RETURNS(name_arms, contrast)                                                                                 \
    .shared = "Networks of 256 x 256, batches of 256; a stretch is a fifth of the steps.", .arms = name_arms,        \
    .claims = {.level_words = "in stretches of the curve", .levels = return_levels, .n_levels = N(return_levels),    \
               .contrasts = contrast, .n_contrasts = 1, .metrics = return_metrics, .n_metrics = N(return_metrics)}
static const mg_question td3    = {.title = "td3 on the pendulum", .run = run_td3, RETURNS(td3_arms, td3_contrast)};
static const mg_question sac    = {.title = "sac on the pendulum", .run = run_sac, RETURNS(sac_arms, sac_contrast)};
static const mg_question hopper = {
    .title = "sac on the hopper, 30,000 steps", .run = run_hopper, RETURNS(hopper_arms, hopper_contrast)};
static const mg_question *const questions[] = {&sft, &ppo, &td3, &sac, &hopper, NULL};

// ---- what it comes to

typedef struct stretch { // at the seeds that both have
    int    seeds;
    double f32, bf16; // means
    double spread;    // of f32: largest minus smallest
} stretch;

static mg_err read_stretch(const char *folder, const mg_question *q, const char *metric, mg_arena *arena, stretch *s) {
    double sums[2] = {0}, low = INFINITY, high = -INFINITY;
    mg_err err = MG_OK;
    *s = (stretch){0};
    for (int seed = 1; seed <= q->arms->seeds && !err; seed++) {
        double x[2] = {NAN, NAN}; // f32, bf16
        for (int arm = 0; arm < 2 && !err; arm++) {
            json_t *cell;
            err = mg_reproduce_cell(folder, q->arms[arm].name, seed, arena, &cell);
            if (err) break;
            x[arm] = mg_reproduce_number(cell, metric);
            json_decref(cell);
        }
        if (isnan(x[0]) || isnan(x[1])) continue;
        s->seeds++, sums[0] += x[0], sums[1] += x[1];
        low = fmin(low, x[0]), high = fmax(high, x[0]);
    }
    s->f32 = sums[0] / s->seeds, s->bf16 = sums[1] / s->seeds, s->spread = high - low;
    return err;
}

// Of one seed there is no spread.
static mg_err tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) {
    int n = 0, within = 0;
    (void)rows;
    fprintf(text, "\n## Is the difference within the seeds' spread of f32?\n\nbf16 minus f32, means over the seeds "
                  "that both have, against the largest minus the smallest value of f32 over\nthese seeds. Stretches "
                  "are fifths of the curve.\n\n| stretch | f32 | bf16 | difference | spread of f32 | seeds | within |\n"
                  "|---|---|---|---|---|---|---|\n");
    for (const mg_question *const *q = questions; *q; q++)
        for (int m = 0; m < (*q)->claims.n_metrics; m++) {
            const char *metric = (*q)->claims.metrics[m];
            stretch     s;
            mg_err      err = read_stretch(folder, *q, metric, arena, &s);
            if (err) return err;
            if (s.seeds < 2) continue;
            const double difference = s.bf16 - s.f32;
            const bool   is_within  = fabs(difference) <= s.spread;
            n++, within += is_within;
            fprintf(text, "| %.*s %s | %.4g | %.4g | %+.4g | %.4g | %d | %s |\n",
                    (int)strcspn((*q)->arms->name, "-"), (*q)->arms->name, metric, s.f32, s.bf16,
                    difference, s.spread, s.seeds, is_within ? "yes" : "no");
        }
    fprintf(text, "\nWithin in %d of %d stretches.\n", within, n);
    return MG_OK;
}

const mg_grid mg_grid_bf16 = {"bf16", "do products of bfloat16 change how learning goes?", questions, tell};
