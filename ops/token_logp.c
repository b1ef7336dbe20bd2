// token_logp.c - log softmax(z / temperature)[target], and that distribution's entropy.
//
// Two passes over a row, one for its maximum and one for the sums; backward makes the
// probabilities again from the saved log-sum-exp instead of keeping [n, vocab] numbers.
// With u_k = z_k / temperature - max, S = sum_k exp(u_k):
//   log p_k = u_k - log S,  entropy = log S - sum_k exp(u_k) u_k / S
#include <math.h>

#include "ops/fast.h"

static float largest(const float *z, int64_t n) {
    lanes max = lanes_of(-INFINITY);
    for (int64_t k = 0; k < n; k += LANES) {
        lanes v = k + LANES <= n ? lanes_load(z + k, LANES) : lanes_of(z[k]);
        max     = lanes_max(v, max);
    }
    float result = lanes_largest(max);
    for (int64_t k = n / LANES * LANES; k < n; k++) result = z[k] > result ? z[k] : result;
    return result;
}

static void forward_row(const mg_token_logp_call *c, int64_t i) {
    const int64_t n = c->z->cols;
    const float  *z = mg_f32(c->z) + i * n, scale = (float)(1 / c->temperature);
    const float   max = largest(z, n);
    lanes         sums = {0}, products = {0};

    MG_ASSERT(c->target[i] >= 0 && c->target[i] < n);
    for (int64_t k = 0; k < n; k += LANES) {
        lanes u = (lanes_load(z + k, n - k) - max) * scale;
        lanes e = lanes_exp(u);
        for (int64_t l = n - k; l < LANES; l++) e[l] = 0; // behind the row's end
        sums += e;
        products += e * u;
    }
    const float sum = lanes_sum(sums), log_sum = logf(sum);
    mg_f32(c->logp)[i] = (z[c->target[i]] - max) * scale - log_sum;
    c->lse[i]          = max * scale + log_sum;
    if (c->entropy) c->entropy[i] = log_sum - lanes_sum(products) / sum;
}

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_token_logp_call *c    = context;
    const int64_t             size = rows_per_piece(c->z->cols);
    const int64_t             last = mg_piece_end(c->z->rows, size, piece);
    for (int64_t i = piece * size; i < last; i++) forward_row(c, i);
}

static void forward(mg_tape *tape, void *call) {
    const mg_token_logp_call *c = call;
    mg_team_run(tape->team, forward_piece, call, mg_pieces(c->z->rows, rows_per_piece(c->z->cols)));
}

// dz_k += dlogp (1[k == target] - p_k) / temperature
static void backward_row(const mg_token_logp_call *c, int64_t i) {
    const int64_t n = c->z->cols;
    const float  *z = mg_f32(c->z) + i * n, scale = (float)(1 / c->temperature);
    const float   g = mg_grad_f32(c->logp)[i] * scale;
    float        *dz = mg_grad_f32(c->z) + i * n;

    if (g == 0) { // a token outside the loss
        if (c->store) memset(dz, 0, sizeof(float) * (size_t)n);
        return;
    }
    for (int64_t k = 0; k < n; k += LANES) {
        lanes p = lanes_exp(lanes_load(z + k, n - k) * scale - c->lse[i]);
        lanes_put(dz + k, n - k, c->store, -g * p);
    }
    dz[c->target[i]] += g;
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_token_logp_call *c    = context;
    const int64_t             size = rows_per_piece(c->z->cols);
    const int64_t             last = mg_piece_end(c->z->rows, size, piece);
    for (int64_t i = piece * size; i < last; i++) backward_row(c, i);
}

static void backward(mg_tape *tape, void *call) {
    mg_token_logp_call *c = call;
    if (!mg_grad_wanted(c->z)) return;
    c->store = mg_grad_begin(c->z);
    mg_team_run(tape->team, backward_piece, call,
                mg_pieces(c->z->rows, rows_per_piece(c->z->cols)));
}

const mg_paths mg_token_logp_paths = MG_PATHS(token_logp);

mg_tensor *mg_token_logp(mg_tape *t, mg_tensor *z, const int32_t *target, double temperature,
                         float *entropy_out) {
    mg_token_logp_call *c = MG_NEW(t->arena, mg_token_logp_call, 1);

    MG_ASSERT(temperature > 0);
    *c = (mg_token_logp_call){.z = z, .logp = mg_tape_tensor(t, z->rows, 1), .target = target,
                              .temperature = temperature, .entropy = entropy_out,
                              .lse = MG_NEW(t->arena, float, z->rows)};
    mg_path_run(t, &mg_token_logp_paths, c, c->logp);
    return c->logp;
}
