// squash.c - a tanh-Gaussian's draw and its log-density.
//
// A row has few numbers, so exp, log1p and tanh are the C library's, in float, one at a time; the calling
// thread does it alone.
#include <math.h>

#include "ops/fast.h"

#define LOG_2       0.69314718055994531f
#define HALF_LOG_2PI 0.91893853320467274f

static float between(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

static void forward(mg_tape *tape, void *call) {
    (void)tape;
    const mg_squash_call *c   = call;
    const int64_t         A   = c->z->cols / 2;
    const float           low = (float)c->low, high = (float)c->high;

    for (int64_t i = 0; i < c->z->rows; i++) {
        const float *z = mg_f32(c->z) + i * 2 * A, *noise = c->noise + i * A;
        float       *y = mg_f32(c->y) + i * (A + 1), logp = 0;
        for (int64_t j = 0; j < A; j++) {
            const float l = between(z[A + j], low, high), n = noise[j];
            const float u = z[j] + expf(l) * n, size = fabsf(u);
            // log(1 - tanh^2 u) is even in u, and finite for every u.
            logp += -0.5f * n * n - l - HALF_LOG_2PI - 2 * (LOG_2 - size - log1pf(expf(-2 * size)));
            y[j] = tanhf(u);
        }
        y[A] = logp;
    }
}

static void backward(mg_tape *tape, void *call) {
    (void)tape;
    const mg_squash_call *c   = call;
    const int64_t         A   = c->z->cols / 2;
    const float           low = (float)c->low, high = (float)c->high, *dy = mg_grad_f32(c->y);
    float                *dz  = mg_grad(c->z);

    if (!dz) return;
    for (int64_t i = 0; i < c->z->rows; i++) {
        const float *z = mg_f32(c->z) + i * 2 * A, *y = mg_f32(c->y) + i * (A + 1);
        const float *dya = dy + i * (A + 1), dlogp = dya[A];
        for (int64_t j = 0; j < A; j++) {
            const float l = z[A + j], du = dya[j] * (1 - y[j] * y[j]) + dlogp * 2 * y[j];
            dz[i * 2 * A + j] += du;
            if (l > low && l < high) dz[i * 2 * A + A + j] += du * expf(l) * c->noise[i * A + j] - dlogp;
        }
    }
}

mg_tensor *mg_squash(mg_tape *t, mg_tensor *z, const float *noise, double low, double high) {
    static const mg_paths paths = MG_PATHS(squash);
    mg_squash_call       *c     = MG_NEW(t->arena, mg_squash_call, 1);

    MG_ASSERT(z->cols % 2 == 0 && low < high);
    *c = (mg_squash_call){.z = z, .y = mg_tape_tensor(t, z->rows, z->cols / 2 + 1), .noise = noise,
                          .low = low, .high = high};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}
