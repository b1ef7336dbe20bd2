// path.h - one call of an operation: what it was given, and which of three paths computes it.
//
// A call is a struct on the tape's arena. Its forward function runs at once; its backward function
// goes on the tape with the same struct, so whatever backward needs lies there. Each operation has
// three pairs of such functions: the fast one in x.c, and the naive one of x_naive.c, compiled in
// float and in double.
#ifndef MG_OPS_PATH_H
#define MG_OPS_PATH_H
#include "ops/ops.h"

typedef struct mg_path {
    mg_backward_fn *forward, *backward;
} mg_path;

typedef struct mg_paths {
    mg_path fast, naive_f32, naive_f64;
} mg_paths;

// Computes the call, whose result is y, on the path that the tape asks for and records it.
void mg_path_run(mg_tape *tape, const mg_paths *paths, void *call, mg_tensor *y);

// The path that the tape asks for.
const mg_path *mg_path_of(const mg_tape *tape, const mg_paths *paths);

extern const mg_paths mg_linear_paths, mg_token_logp_paths; // of which linear_logp.c is made

// The paths of an operation whose fast pair is called `forward` and `backward` in its file.
#define MG_PATHS(op)                                                   \
    {                                                                  \
        {forward, backward}, {mg_##op##_forward_f32, mg_##op##_backward_f32}, \
        {mg_##op##_forward_f64, mg_##op##_backward_f64}                \
    }

#define MG_NAIVE_DECLARE(op)                                      \
    mg_backward_fn mg_##op##_forward_f32, mg_##op##_backward_f32; \
    mg_backward_fn mg_##op##_forward_f64, mg_##op##_backward_f64;
MG_NAIVE_DECLARE(linear)
MG_NAIVE_DECLARE(rows)
MG_NAIVE_DECLARE(add)
MG_NAIVE_DECLARE(rmsnorm)
MG_NAIVE_DECLARE(rope)
MG_NAIVE_DECLARE(swiglu)
MG_NAIVE_DECLARE(activation)
MG_NAIVE_DECLARE(token_logp)
MG_NAIVE_DECLARE(gaussian_logp)
MG_NAIVE_DECLARE(attention)
MG_NAIVE_DECLARE(concat)
MG_NAIVE_DECLARE(squash)
MG_NAIVE_DECLARE(mlp)
#undef MG_NAIVE_DECLARE

// The calls. Letters as in ops.h; members behind "fast" are that path's own notes for backward.
typedef struct mg_linear_call {
    mg_tensor *x, *W, *b, *y;
} mg_linear_call;

typedef struct mg_rows_call {
    mg_tensor     *x, *y;
    const int32_t *index;
} mg_rows_call;

typedef struct mg_add_call {
    mg_tensor *a, *b, *y;
} mg_add_call;

typedef struct mg_rmsnorm_call {
    mg_tensor *x, *g, *y;
    double     eps;
    float     *inverse; // fast: 1 / sqrt(mean_j x_ij^2 + eps), [rows]
    bool       store;   // fast: x's gradient begins here
} mg_rmsnorm_call;

typedef struct mg_rope_call {
    mg_tensor      *x, *y;
    const mg_turns *turns;
} mg_rope_call;

typedef struct mg_swiglu_call {
    mg_tensor *a, *b, *y;
    bool       store_a, store_b; // fast: their gradients begin here
} mg_swiglu_call;

typedef struct mg_activation_call {
    mg_tensor         *x, *y;
    mg_activation_kind kind;
} mg_activation_call;

typedef struct mg_mlp_call {
    mg_tensor          *x, *y;
    const mg_mlp_layer *layers;
    int64_t             n_layers, n_nets;
    mg_activation_kind  hidden;
    void              **kept;   // naive: what layers leave, [n_nets * n_layers]
    struct mg_level    *levels; // fast: what layers read, [n_nets * n_layers]
} mg_mlp_call;

typedef struct mg_concat_call {
    mg_tensor *a, *b, *y;
} mg_concat_call;

typedef struct mg_squash_call {
    mg_tensor   *z, *y;
    const float *noise;
    double       low, high;
} mg_squash_call;

typedef struct mg_token_logp_call {
    mg_tensor     *z, *logp;
    const int32_t *target;
    double         temperature;
    float         *entropy; // [n] or NULL
    float         *lse;     // fast: log sum_k exp(z_ik / temperature), [n]
    bool           store;   // fast: z's gradient begins here
} mg_token_logp_call;

typedef struct mg_gaussian_logp_call {
    mg_tensor   *m, *s, *logp;
    const float *x;
    float       *inverse;  // fast: exp(-s_j), [d]
    float        constant; // fast: what does not depend on x and m
    bool         store;    // fast: m's gradient begins here
} mg_gaussian_logp_call;

typedef struct mg_attention_call {
    mg_tensor               *q, *k, *v, *y;
    int64_t                  heads, kv_heads;
    const mg_attention_plan *plan;
    float                   *lse; // fast: log sum_j exp(s_j), [rows, heads]
} mg_attention_call;
#endif
