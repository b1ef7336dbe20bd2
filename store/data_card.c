// data_card.c - a pass over the rows per number of the card.
#include "store/data_card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

// d4rl/infos.py: REF_MIN_SCORE, REF_MAX_SCORE.
static const struct { const char *world; double low, high; } references[] = {
    {"hopper", -20.272305, 3234.3},       {"half-cheetah", -280.178953, 12135.0},
    {"walker2d", 1.629008, 4592.3},       {"ant", -325.6, 3879.7},
};

bool mg_normalised_score(const char *world, double value, double *score) {
    for (size_t i = 0; world && i < sizeof references / sizeof *references; i++)
        if (strcmp(world, references[i].world) == 0) {
            *score = 100 * (value - references[i].low) / (references[i].high - references[i].low);
            return true;
        }
    return false;
}

// ---- Episodes

static int by_value(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, int64_t n, double q) {
    const double  at = (double)(n - 1) * q;
    const int64_t k  = (int64_t)at;
    return k + 1 < n ? sorted[k] + (at - (double)k) * (sorted[k + 1] - sorted[k]) : sorted[n - 1];
}

// Sorts x.
static mg_spread spread(double *x, int64_t n) {
    double sum = 0, square = 0;
    qsort(x, (size_t)n, sizeof *x, by_value);
    for (int64_t i = 0; i < n; i++) sum += x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    return (mg_spread){.mean = mean, .deviation = sqrt(square / (double)n), .low = x[0], .q10 = quantile(x, n, .1),
                       .median = quantile(x, n, .5), .q90 = quantile(x, n, .9), .high = x[n - 1]};
}

static void episodes(const mg_logged *l, mg_arena *arena, mg_data_card *c) {
    c->episodes        = mg_logged_episodes(l);
    const size_t mark  = mg_arena_mark(arena);
    double      *total = MG_NEW(arena, double, c->episodes), *length = MG_NEW(arena, double, c->episodes);
    int64_t      k     = 0;
    for (int64_t i = 0; i < l->rows; i++) {
        total[k] += (double)l->reward[i];
        length[k] += 1;
        c->terminals += l->terminal[i];
        c->timeouts += l->timeout[i];
        c->transitions += !l->timeout[i] && i < l->rows - 1;
        k += mg_logged_ends(l, i);
    }
    c->finished     = c->episodes - !(l->terminal[l->rows - 1] || l->timeout[l->rows - 1]);
    const int64_t n = c->finished > 0 ? c->finished : 1; // an unfinished one is the last
    c->returns      = spread(total, n);
    c->lengths      = spread(length, n);
    double score;
    c->scored = mg_normalised_score(c->world, 0, &score);
    for (int64_t i = 0; i < n && c->scored; i++) mg_normalised_score(c->world, total[i], &total[i]);
    if (c->scored) c->scores = spread(total, n);
    mg_arena_reset(arena, mark);
}

// ---- Effective sample size

// c_k: the sum over pairs of rows, k apart in one episode, of their distances from the mean.
static double autocovariance(const float *reward, const int64_t *left, int64_t rows, double mean, int64_t k) {
    double sum = 0;
    for (int64_t i = 0; i + k < rows; i++)
        if (left[i] > k) sum += ((double)reward[i] - mean) * ((double)reward[i + k] - mean);
    return sum;
}

static double sample_size(const mg_logged *l, mg_arena *arena) {
    const size_t mark = mg_arena_mark(arena);
    int64_t     *left = mg_arena_alloc_raw(arena, sizeof *left * (size_t)l->rows); // rows to its episode's end
    double       mean = 0, sum = 0;
    for (int64_t i = l->rows - 1; i >= 0; i--) left[i] = mg_logged_ends(l, i) ? 1 : left[i + 1] + 1;
    for (int64_t i = 0; i < l->rows; i++) mean += (double)l->reward[i] / (double)l->rows;
    const double all  = autocovariance(l->reward, left, l->rows, mean, 0);
    bool         same = true;
    for (int64_t i = 1; i < l->rows; i++) same = same && l->reward[i] == l->reward[0];
    for (int64_t k = 0; k < MG_CARD_LAGS && !same; k += 2) {
        const double pair = (autocovariance(l->reward, left, l->rows, mean, k) +
                             autocovariance(l->reward, left, l->rows, mean, k + 1)) / all;
        if (pair <= 0) break;
        sum += pair;
    }
    mg_arena_reset(arena, mark);
    if (same) return NAN;
    const double tau = 2 * sum - 1;
    return tau > 1 ? (double)l->rows / tau : (double)l->rows;
}

// ---- Coverage

#define DIRECTIONS 3

static int by_key(const void *x, const void *y) {
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

// Adds a vector's part of the projection.
static void project(const float *x, int64_t n, const double *direction, double at[DIRECTIONS]) {
    for (int64_t k = 0; k < n; k++)
        for (int d = 0; d < DIRECTIONS; d++) at[d] += asinh((double)x[k]) * direction[DIRECTIONS * k + d];
}

static int64_t cells(const mg_logged *l, int64_t rows, mg_arena *arena) {
    const int64_t width     = l->obs + l->act;
    const size_t  mark      = mg_arena_mark(arena);
    double       *direction = MG_NEW(arena, double, DIRECTIONS * width);
    uint64_t     *key       = MG_NEW(arena, uint64_t, rows);
    mg_rng        rng       = mg_rng_stream(1, MG_PURPOSE_INIT, 0x64617461); // fixed: cards are compared
    for (int64_t k = 0; k < DIRECTIONS * width; k++) direction[k] = mg_rng_normal(&rng) / sqrt((double)width);
    for (int64_t j = 0; j < rows; j++) {
        const int64_t i              = (int64_t)((__int128)j * l->rows / rows);
        double        at[DIRECTIONS] = {0};
        project(l->observation + i * l->obs, l->obs, direction, at);
        project(l->action + i * l->act, l->act, direction + DIRECTIONS * l->obs, at);
        for (int d = 0; d < DIRECTIONS; d++) // asinh of a float is below 90: 21 bits are enough
            key[j] = key[j] << 21 | ((uint64_t)(int64_t)floor(at[d] / MG_CARD_CELL) & 0x1fffff);
    }
    qsort(key, (size_t)rows, sizeof *key, by_key);
    int64_t n = 1;
    for (int64_t j = 1; j < rows; j++) n += key[j] != key[j - 1];
    mg_arena_reset(arena, mark);
    return n;
}

// ---- Ranges

static void ranges(const float *x, int64_t rows, int64_t width, float *low, float *high) {
    for (int64_t k = 0; k < width; k++) low[k] = high[k] = x[k];
    for (int64_t i = 1; i < rows; i++)
        for (int64_t k = 0; k < width; k++) {
            const float v = x[i * width + k];
            if (v < low[k]) low[k] = v;
            if (v > high[k]) high[k] = v;
        }
}

static double action_spread(const mg_logged *l) {
    double deviations = 0;
    for (int64_t k = 0; k < l->act; k++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < l->rows; i++) sum += (double)l->action[i * l->act + k];
        const double mean = sum / (double)l->rows;
        for (int64_t i = 0; i < l->rows; i++) {
            const double d = (double)l->action[i * l->act + k] - mean;
            square += d * d;
        }
        deviations += sqrt(square / (double)l->rows);
    }
    return deviations / (double)l->act;
}

// Behind the ranges.
static void uniform(const mg_space *action, mg_data_card *c) {
    double width  = 0;
    c->action_min = (double)c->action_low[0], c->action_max = (double)c->action_high[0];
    for (int64_t k = 0; k < c->act; k++) {
        width += ((double)c->action_high[k] - (double)c->action_low[k]) / (double)c->act;
        c->action_min = fmin(c->action_min, (double)c->action_low[k]);
        c->action_max = fmax(c->action_max, (double)c->action_high[k]);
    }
    c->action_bounded = action != NULL;
    if (action) c->action_min = action->low, c->action_max = action->high, width = action->high - action->low;
    c->action_uniform = width / sqrt(12);
}

void mg_data_card_make(const mg_logged *l, const char *world, const mg_space *action, mg_arena *arena,
                       mg_data_card *out) {
    MG_ASSERT(l->rows > 0);
    mg_data_card c = {.world = world ? world : l->world, .rows = l->rows, .obs = l->obs, .act = l->act,
                      .cell_rows = l->rows < MG_CARD_ROWS ? l->rows : MG_CARD_ROWS,
                      .observation_low = MG_NEW(arena, float, l->obs),
                      .observation_high = MG_NEW(arena, float, l->obs),
                      .action_low = MG_NEW(arena, float, l->act), .action_high = MG_NEW(arena, float, l->act)};
    episodes(l, arena, &c);
    c.sample_size   = sample_size(l, arena);
    c.cells         = cells(l, c.cell_rows, arena);
    c.action_spread = action_spread(l);
    ranges(l->observation, l->rows, l->obs, c.observation_low, c.observation_high);
    ranges(l->action, l->rows, l->act, c.action_low, c.action_high);
    uniform(action, &c);
    ranges(l->reward, l->rows, 1, &c.reward_low, &c.reward_high);
    *out = c;
}

// ---- Words

#define FEW    20  // episodes, below which a spread says little; ours
#define NARROW .15 // of the reference range, or of the larger return; ours

// How far apart most returns are, as a share of what there is to gain or, without a reference, of themselves.
static double relative_spread(const mg_data_card *c) {
    if (c->scored) return (c->scores.q90 - c->scores.q10) / 100;
    const double size = fmax(fabs(c->returns.q10), fabs(c->returns.q90));
    return size > 0 ? (c->returns.q90 - c->returns.q10) / size : 0;
}

int mg_data_card_says(const mg_data_card *c, mg_arena *arena, const char *says[MG_CARD_WORDS]) {
    int n = 0;
    if (c->finished < FEW)
        says[n++] = mg_path(arena, "%lld finished episodes are too few to judge the spread of returns by.",
                            (long long)c->finished);
    else if (relative_spread(c) < NARROW)
        says[n++] = "Most episodes return much the same: a narrow set, like one policy's. What it never did is "
                    "valued by guessing, and online exploration goes there first: watch the early steps.";
    else
        says[n++] = "Returns are spread, as in a replay buffer or a mixture of policies: more kinds of behaviour to "
                    "tell good from bad by than one policy's data would have.";
    if (c->terminals == 0)
        says[n++] = "No row is terminal: nothing in the set shows where the task ends, if it ever does.";
    if (isfinite(c->sample_size) && c->sample_size < (double)c->rows / 100)
        says[n++] = mg_path(arena, "By their rewards, %lld rows say as much as %.0f independent ones: intervals "
                                   "that count rows are far too narrow.", (long long)c->rows, c->sample_size);
    if (c->scored)
        says[n++] = mg_path(arena, "The data's mean return is %.1f %% of the way from a random policy's to an "
                                   "expert's: what offline training is to be measured against.", c->scores.mean);
    says[n++] = "Whether fine-tuning from this set collapses is not known from its card: data diversity is one of "
                "the causes that Luo et al. studied (2023, arXiv 2303.17396); we know of no threshold. Let the guard "
                "watch.";
    return n;
}
