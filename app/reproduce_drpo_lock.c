// reproduce_drpo_lock.c - a map of where resets help: a combination lock for a small transformer.
//
// What could decide it is varied at will: how long the lock is, how often the starting policy is right at
// each step, which share of the references is right (the others are texts like those that the policy
// learnt from), and whether the reward grades an answer or only pays for an open lock, with a decoy beside
// it or without. A cell is one lock, policy and reward: PPO once, and DR-PO once for each share of right references,
// at the same seed and with the same settings but reset_share. What is compared is the chance that the
// policy opens the lock from the beginning, which is computed, not sampled.
//
// Tried before this grid's first cell: no KL penalty (on seed 1), at which the first symbol goes over to the decoy for
// good before resets have taught the rest; the paper's .05 (on seed 101), which keeps it alive, on three locks with 60
// updates of step size 3e-3 and on two with 100 of 2e-3, at which the same arms were ahead. One penalty serves all.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "algos/tokens.h"
#include "app/app.h"
#include "app/json.h"
#include "app/reproduce_drpo.h"
#include "app/reproduce_drpo_map.h"
#include "core/file.h"
#include "store/jsonl.h"
#include "worlds/lock.h"

#define TEXTS      2000 // that a starting policy learns from
#define TEXTS_HELD 64
#define REFERENCES 200

#define COVERAGES 3
static const struct {
    double      share; // of references that are right
    const char *name, *metric, *gain;
} coverages[COVERAGES] = {{0, "0", "open_0", "gain_0"}, {0.5, "0.5", "open_0.5", "gain_0.5"},
                          {1, "1", "open_1", "gain_1"}};

// ---- the map's squares

#define ARM(reward, words, p, n) {"lock-" reward "-" p "-" n, \
                                  words " reward, " n " symbols, right with chance " p " each at the start", 5}
#define LENGTHS(reward, words, p) ARM(reward, words, p, "4"), ARM(reward, words, p, "8"), \
                                  ARM(reward, words, p, "12"), ARM(reward, words, p, "16")
#define PRIORS(reward, words) \
    LENGTHS(reward, words, "0.5"), LENGTHS(reward, words, "0.7"), LENGTHS(reward, words, "0.9")
static const mg_arm arms[] = { // in the order of mg_map_scale[MG_MAP_REWARD]
    PRIORS("sparse", "sparse with a decoy"), PRIORS("plain", "plain sparse"), PRIORS("dense", "dense"), {0}};

typedef struct square {
    const char *reward; // as environment.reward has it
    const char *prior;  // chance of the right symbol, as text
    int         steps;
} square;

static square square_of(int arm) {
    static const char *const rewards[] = {"outcome", "plain", "graded"}, *const priors[] = {"0.5", "0.7", "0.9"};
    return (square){rewards[arm / 12], priors[arm / 4 % 3], 4 * (arm % 4 + 1)};
}

// ---- settings

static const mg_override common[] = {{"world", "lock"}, {"prompt_max", "0"}, {"checkpoint_every", "1000"},
                                     {"evaluate_every", "1000"}, {"record", "replayable"}};
static const mg_override prior_settings[] = {
    {"algo", "sft"},           {"sft.epochs", "8"},     {"sft.batch", "64"},     {"sft.lr", "5e-3"},
    {"network.vocab", "257"},  {"network.d_model", "32"}, {"network.d_ff", "64"}, {"network.layers", "1"},
    {"network.heads", "2"},    {"network.kv_heads", "2"}, {"network.context", "32"}};
static const mg_override drpo_settings[] = {
    {"algo", "drpo"},        {"drpo.updates", "80"},        {"drpo.episodes", "64"}, {"drpo.epochs", "2"},
    {"drpo.lr", "3e-3"},     {"drpo.critic_lr", "5e-3"},    {"drpo.critic_init", "policy"},
    {"drpo.lambda", "1"},    {"drpo.whiten_rewards", "false"}, {"drpo.kl_coef", "0.05"},
    {"drpo.temperature", "1"}};

#define N(list) (int)(sizeof(list) / sizeof *(list))

typedef struct bench { // a cell at work
    mg_cells *c;
    square    at;
    int       seed;
} bench;

static const char *runs(const bench *b, const char *name) {
    return mg_path(&b->c->arena, "%s/lock-%s-%d-%d-%s", b->c->runs, b->at.prior, b->at.steps, b->seed, name);
}

// ---- data

// Rows of this lock, `right` of them its combination, the others like those that the prior learns from.
static mg_err write_texts(const bench *b, const char *path, int n, int right, uint64_t stream) {
    mg_arena    *arena = &b->c->arena;
    mg_pair     *rows  = MG_NEW(arena, mg_pair, n);
    mg_rng       rng   = mg_rng_stream((uint64_t)b->seed, MG_PURPOSE_LABEL, stream);
    const double p     = strtod(b->at.prior, NULL);
    const char  *asked = mg_path(arena, "open %d", b->at.steps);
    for (int i = 0; i < n; i++) {
        char text[MG_LOCK_STEPS + 1];
        mg_lock_text(b->at.steps - 1, i < right ? 1 : p, &rng, text);
        rows[i] = (mg_pair){.prompt = asked, .completion = mg_arena_strdup(arena, text), .placed = true,
                            .item = b->at.steps - 1};
    }
    return mg_pairs_write(path, rows, n);
}

// train.jsonl last: where it is, both are whole.
static mg_err make_data(const bench *b, const char *folder, int n, int right, uint64_t stream) {
    const char *train = mg_path(&b->c->arena, "%s/train.jsonl", folder);
    if (mg_file_exists(train)) return MG_OK;
    mg_err err = mg_folder_make(folder);
    if (!err)
        err = write_texts(b, mg_path(&b->c->arena, "%s/validation.jsonl", folder), TEXTS_HELD, 0, stream + 100);
    return err ? err : write_texts(b, train, n, right, stream);
}

// ---- runs

static mg_err train(const bench *b, const char *out, const mg_override *settings, int n,
                    const mg_override *more, int n_more) {
    mg_arena       *arena = &b->c->arena;
    mg_override     all[48];
    int             k = 0;
    mg_train_result result;
    MG_ASSERT(N(common) + n + n_more + 4 <= N(all));
    for (int i = 0; i < N(common); i++) all[k++] = common[i];
    for (int i = 0; i < n; i++) all[k++] = settings[i];
    for (int i = 0; i < n_more; i++) all[k++] = more[i];
    all[k++] = (mg_override){"out", out};
    all[k++] = (mg_override){"seed", mg_path(arena, "%d", b->seed)};
    all[k++] = (mg_override){"threads", mg_path(arena, "%lld", (long long)b->c->threads)};
    all[k++] = (mg_override){"response_max", mg_path(arena, "%d", b->at.steps + 1)}; // its stop too
    const bool             resume = mg_file_exists(mg_path(arena, "%s/run.db", out));
    const mg_train_options o = {.overrides = all, .n_overrides = k, .resume = resume, .make_world = mg_app_world,
                                .end_world = mg_app_world_free, .stop = &mg_stop, .wall_time = (double)time(NULL)};
    return mg_train(&o, &result);
}

static mg_err make_prior(const bench *b, const char **model) {
    const char       *texts = runs(b, "texts"), *out = runs(b, "prior");
    const mg_override data  = {"data", texts};
    *model     = mg_path(&b->c->arena, "%s/model", out);
    mg_err err = make_data(b, texts, TEXTS, 0, 0);
    if (err || mg_file_exists(mg_path(&b->c->arena, "%s/config.json", *model))) return err;
    return train(b, out, prior_settings, N(prior_settings), &data, 1);
}

// *sum: log of the chance that the model says the combination. The lock does not hear whether it stops then.
static mg_err log_open(const bench *b, const char *run, double *sum) {
    mg_arena      *arena = &b->c->arena;
    mg_settings    s;
    mg_job         job       = {.run = arena, .step = arena};
    mg_tokenizer  *tokenizer = NULL;
    mg_model      *model     = NULL;
    mg_pair_tokens t;
    float          logp[MG_LOCK_STEPS + 1];
    const mg_override o[] = {{"algo", "sft"}, {"model", run}, {"data", runs(b, "references-1")},
                             {"prompt_max", "0"}};
    mg_err err = mg_settings_read(&s, NULL, o, N(o), arena);
    if (!err) err = mg_team_open(&job.team, 1);
    if (!err) err = mg_job_open(&job, &s, &tokenizer);
    if (!err) err = mg_model_load(&model, s.run.model, false);
    if (!err) err = mg_pair_tokens_make(&job, job.pairs, 1, &t); // all of these references are right
    if (!err) {
        MG_ASSERT(t.answers[0].n == b->at.steps + 1); // a byte a token
        const mg_answers one = {t.prompts, 1, t.answers, 1};
        err                  = mg_answers_read_logp(model, job.team, &one, 1, 1, arena, logp);
    }
    *sum = 0;
    for (int h = 0; h < b->at.steps && !err; h++) *sum += logp[h];
    mg_model_free(model);
    mg_tokenizer_free(tokenizer);
    mg_team_close(job.team);
    return err;
}

// Trains from the prior with resets into `references` and says how likely the outcome opens the lock.
static mg_err arm_of(const bench *b, const char *name, const char *share, const char *references,
                     const char *prior, double *open) {
    const char *out = runs(b, mg_path(&b->c->arena, "%s-%s", b->at.reward, name));
    double      sum;
    const mg_override more[] = {{"model", prior}, {"data", references}, {"environment.reward", b->at.reward},
                                {"drpo.reset_share", share}};
    mg_err err = train(b, out, drpo_settings, N(drpo_settings), more, N(more));
    if (!err) err = log_open(b, out, &sum);
    if (!err) *open = exp(sum);
    return err;
}

// ---- cells

static void put(json_t *cell, const char *metric, double x) {
    json_object_set_new(cell, metric, json_pack("{s:f, s:i}", "estimate", x, "n", 1));
}

static mg_err run(mg_cells *c, int arm, int seed, json_t **result) {
    const bench  b = {c, square_of(arm), seed};
    const char  *references[COVERAGES], *prior;
    double       sum, ppo, open[COVERAGES];
    mg_err       err = MG_OK;
    for (int q = 0; q < COVERAGES && !err; q++) {
        references[q] = runs(&b, mg_path(&c->arena, "references-%s", coverages[q].name));
        err = make_data(&b, references[q], REFERENCES, (int)(coverages[q].share * REFERENCES), 1);
    }
    if (!err) err = make_prior(&b, &prior);
    if (!err) err = log_open(&b, prior, &sum);
    if (!err) err = arm_of(&b, "ppo", "0", references[0], prior, &ppo);
    for (int q = 0; q < COVERAGES && !err; q++)
        err = arm_of(&b, coverages[q].name, "0.5", references[q], prior, &open[q]);
    if (err) return err;
    json_t *cell = json_object();
    put(cell, "prior_step", exp(sum / b.at.steps)); // the geometric mean of its chances
    put(cell, "open_prior", exp(sum));
    put(cell, "open_ppo", ppo);
    for (int q = 0; q < COVERAGES; q++) put(cell, coverages[q].metric, open[q]);
    for (int q = 0; q < COVERAGES; q++) put(cell, coverages[q].gain, open[q] - ppo);
    *result = cell;
    return MG_OK;
}

static const struct mg_level levels[] = {{"prior_step", NAN}, {"open_prior", NAN}, {"open_ppo", NAN},
                                         {"open_0", NAN},     {"open_0.5", NAN},   {"open_1", NAN},
                                         {"gain_0", 0},       {"gain_0.5", 0},     {"gain_1", 0}};

#define LEVEL_WORDS "from the beginning"

// ---- the map

// A bound on a difference of chances, which Student's interval may go beyond; NAN where there is none.
static double bound(const json_t *x) {
    return json_is_number(x) ? fmin(fmax(json_number_value(x), -1), 1) : NAN;
}

// In which range of mg_map_scale[MG_MAP_CHANCE] a policy that is right with chance p per step is.
static int chance_of(square at) {
    const double open = pow(strtod(at.prior, NULL), at.steps);
    return open > 0.1 ? 0 : open > 0.01 ? 1 : open > 0.001 ? 2 : 3;
}

static mg_map_square empty_square(const json_t *rows, mg_arena *arena, int arm, int q) {
    const json_t *row = mg_reproduce_row(rows, mg_path(arena, "%s " LEVEL_WORDS, arms[arm].name), coverages[q].gain);
    return (mg_map_square){
        .at    = {[MG_MAP_REWARD] = arm / 12, [MG_MAP_PRIOR] = arm / 4 % 3, [MG_MAP_STEPS] = arm % 4,
                  [MG_MAP_COVERAGE] = q, [MG_MAP_CHANCE] = chance_of(square_of(arm))},
        .seeds = (int)json_integer_value(json_object_get(row, "seeds")),
        .gain  = json_number_value(json_object_get(row, "estimate")),
        .low   = bound(json_object_get(row, "low")),
        .high  = bound(json_object_get(row, "high"))};
}

static void add_seed(mg_map_square *s, const json_t *cell, int q) {
    const double start = mg_reproduce_number(cell, "open_prior"), ppo = mg_reproduce_number(cell, "open_ppo");
    if (isnan(mg_reproduce_number(cell, coverages[q].gain))) return;
    s->start += start / s->seeds, s->ppo += ppo / s->seeds;
    s->opened += mg_reproduce_number(cell, coverages[q].metric) >= MG_MAP_OPENED;
    s->ppo_opened += ppo >= MG_MAP_OPENED;
    s->ppo_fell += ppo < start;
}

mg_err mg_drpo_map_read(const char *folder, const json_t *rows, mg_arena *arena,
                        mg_map_square squares[MG_MAP_SQUARES]) {
    for (int arm = 0; arms[arm].name; arm++) {
        mg_map_square *three = squares + arm * COVERAGES;
        for (int q = 0; q < COVERAGES; q++) three[q] = empty_square(rows, arena, arm, q);
        for (int seed = 1; seed <= arms[arm].seeds; seed++) {
            json_t *cell;
            mg_err  err = mg_reproduce_cell(folder, arms[arm].name, seed, arena, &cell);
            if (err) return err;
            for (int q = 0; q < COVERAGES; q++) add_seed(&three[q], cell, q);
            json_decref(cell);
        }
    }
    return MG_OK;
}

static mg_err tell(const char *folder, const json_t *rows, FILE *text, mg_arena *arena) {
    mg_map_square squares[MG_MAP_SQUARES];
    mg_err        err = mg_drpo_map_read(folder, rows, arena, squares);
    if (err) return err;
    fprintf(text, "The chance that a policy opens the lock from the beginning, with resets minus without, at the same "
                  "seed\nand settings. Half of the episodes start inside a reference; those of the references that are "
                  "not right are\ntexts like those that the starting policy learnt from. Rewards: sparse with a decoy, "
                  "1 for an open lock and\n%g for a wrong first symbol; plain sparse, 1 for an open lock; dense, the "
                  "share of symbols before the first\nwrong one. The KL penalty serves all squares: none was tried "
                  "first, on seed 1, which is a seed of this grid,\nand 0.05 on another. All rows, also what each arm "
                  "reached, are in `results.json`.\n\n"
                  "![DR-PO minus PPO on combination locks](map.svg)\n", MG_LOCK_DECOY);
    return mg_map_draw(mg_path(arena, "%s/map.svg", folder), squares, MG_MAP_SQUARES);
}

const mg_question mg_drpo_lock = {
    .title = "A combination lock, with a decoy and without",
    .shared = "Seeds change the texts and references, the starting policy's training\nand RL. A lock of some length "
              "has one combination, the same for all, and the three shares of right references\nare held against one "
              "run of PPO for each seed.",
    .arms = arms, .run = run, .tell = tell,
    .claims = {.level_words = LEVEL_WORDS, .levels = levels, .n_levels = N(levels)}};
