// ops.h - the operations: what each computes, forward and backward.
//
// Every operation takes the tape first and returns its result, a tensor on the tape. Next to each
// fast path stands a naive one (`x_naive.c`), compiled in float and in double: it is the
// documentation, the oracle of the tests and the path of gradient checks. A tape with `naive` set
// takes it.
//
// O1  Backward adds (dx += ...); tensors without grad are constants (tape.h T1, T2).
// O2  Row i of a result depends on row i of the inputs alone (attention: on the rows of its keys),
//     with the same bits in any batch.
// O3  A reduction runs in a fixed order: over columns in lanes of 16 folded by halves; over rows in
//     slices of at most 512, in slice order. Work is cut by shape, never by number of threads.
// O4  No identifier of oneDNN (dnnl_) occurs outside matmul.c.
// O5  One thread at a time calls operations: matmul.c and few.c keep tables for the whole process.
//     But where all its products share nothing (mg_linear_shares_nothing), a forward pass of a few
//     rows may run in many threads at once, each on a tape of its own without a team.
// O6  The fast path calls the C library for sqrtf, logf, tanhf, cos and sin, one number at a time, mg_squash
//     for expf and log1pf as well; every other exponential is fast.h's, with the same bits in every lane,
//     vector or tail.
// O7  A kind of product makes all that it will ever need when it is first seen; batches of other
//     lengths make nothing.
#ifndef MG_OPS_OPS_H
#define MG_OPS_OPS_H
#include "tensor/tape.h"

// y = x W^T + b.  x [rows, in], W [out, in] (the layout of nn.Linear), b [out, 1] or NULL,
// y [rows, out].   dx += dy W,  dW += dy^T x,  db_j += sum_i dy_ij
// W is a parameter: a packed copy of it is kept with it, and made again when W->version has grown.
// With W->bf16 both factors of all three products are rounded to bfloat16 (to nearest, ties to even)
// on their way in, whose products are exact in float, and summed in float; b, y and the gradients
// are floats. Only where mg_linear_has_bf16(); the path in double rounds nothing.
mg_tensor *mg_linear(mg_tape *t, mg_tensor *x, mg_tensor *W, mg_tensor *b);

// The library behind mg_linear and the instructions it chose here: "oneDNN 2.6.3, AVX-512". Static.
const char *mg_linear_engine(void);

// Has the processor products of bfloat16 (AVX-512 with BF16, or AMX)?
bool mg_linear_has_bf16(void);

// From now on products add up the time they take, by this clock (seconds, of any beginning), over
// all workers; NULL: off. What prepares a product (packing of weights) is not in it.
void mg_linear_meter(double (*seconds)(void));
// Seconds summed over workers since the meter was set.
double mg_linear_metered(void);

// Can mg_linear multiply up to MG_FEW_ROWS rows with W, without a gradient, in any thread while
// others do the same, each on a tape of its own without a team? True where our own loops have the
// library's bits (few.h), once W has had a product without a gradient and this version of it any.
enum { MG_FEW_ROWS = 16 };
bool mg_linear_shares_nothing(const mg_tensor *W);

// Frees the packed copy that mg_linear keeps with a parameter. NULL copy: no effect.
void mg_linear_unpack(mg_tensor *W);

// y_i = W[ids[i]].  W [vocab, d]; ids [n] are in range (checked where they enter the program) and
// outlive the tape.   dW[ids[i]] += dy_i
mg_tensor *mg_embedding(mg_tape *t, mg_tensor *W, const int32_t *ids, int64_t n);

// y_i = x[index[i]], for i < n.  index outlives the tape; a row may be named more than once.
mg_tensor *mg_rows(mg_tape *t, mg_tensor *x, const int32_t *index, int64_t n);

// y = a + b, same shapes.
mg_tensor *mg_add(mg_tape *t, mg_tensor *a, mg_tensor *b);

// y_ij = g_j x_ij / sqrt(mean_j x_ij^2 + eps).  g [d, 1].  Zhang & Sennrich 2019, arXiv:1910.07467.
mg_tensor *mg_rmsnorm(mg_tape *t, mg_tensor *x, mg_tensor *g, double eps);

// Rotary positions, Su et al. 2021, arXiv:2104.09864, in the half-split order of GPT-NeoX, Llama
// and Qwen2: in each head, (x_j, x_{j+h/2}) turns by the angle position * frequency[j], h = head
// width. x [rows, heads * h]; positions [rows], frequency [h/2] outlive the tape.
mg_tensor *mg_rope(mg_tape *t, mg_tensor *x, int64_t head_width, const int32_t *positions,
                   const double *frequency);

// The same in two steps, for layers that turn by the same angles: cosines and sines on the tape's
// arena, then any number of tensors of as many rows.
typedef struct mg_turns {
    int64_t        head_width, rows;
    const int32_t *positions;
    const double  *frequency;
    float         *table; // the fast path's, see rope.c
    int32_t       *row;   // of the table, for each position
} mg_turns;
const mg_turns *mg_rope_turns(mg_tape *t, int64_t head_width, const int32_t *positions,
                              int64_t rows, const double *frequency);
mg_tensor      *mg_rope_by(mg_tape *t, mg_tensor *x, const mg_turns *turns);

// SwiGLU's gate, Shazeer 2020, arXiv:2002.05202:  y = silu(a) * b,  silu(a) = a / (1 + exp(-a)).
mg_tensor *mg_swiglu(mg_tape *t, mg_tensor *a, mg_tensor *b);

typedef enum mg_activation_kind { MG_RELU, MG_TANH } mg_activation_kind;
mg_tensor *mg_activation(mg_tape *t, mg_tensor *x, mg_activation_kind kind);

// A whole perceptron: linear layers with `hidden` between them. n_nets of one shape stand side by side and read the
// same x [rows, in]; layers [n_nets * n_layers], net after net; y [rows, n_nets * out], net j's columns from j * out.
// W [out, in] and b [out, 1] of a layer are parameters, as mg_linear's, all with the same W->bf16. `layers` outlives
// the tape; a layer's gradients are those of mg_linear and mg_activation one after the other, but that in bfloat16
// db sums dy as the products read it, rounded.
// Products are loops of our own, which share nothing once the weights were packed (O5), and are not metered.
typedef struct mg_mlp_layer {
    mg_tensor *W, *b;
} mg_mlp_layer;
mg_tensor *mg_mlp(mg_tape *t, mg_tensor *x, const mg_mlp_layer *layers, int64_t n_layers, int64_t n_nets,
                  mg_activation_kind hidden);

// y_i = [a_i, the first n numbers of b_i].  a [rows, p], b [rows, q], n at most q; y [rows, p + n].
mg_tensor *mg_concat(mg_tape *t, mg_tensor *a, mg_tensor *b, int64_t n);

// A draw of a Gaussian squeezed by tanh, and its log-density (Haarnoja et al. 2018, arXiv:1812.05905, appendix C):
//   z_i = [mean, l],  u_j = mean_j + exp(clamp(l_j, low, high)) noise_ij,  a = tanh u
//   logp = sum_j log N(u_j; mean_j, exp l_j) - log(1 - a_j^2)
// z [rows, 2 A]; noise [rows, A], of N(0, 1), outlives the tape; y_i = [a, logp], [rows, A + 1]. No gradient
// goes through a clamped l.
mg_tensor *mg_squash(mg_tape *t, mg_tensor *z, const float *noise, double low, double high);

// logp_i = log softmax(z_i / temperature)[target[i]].  z [n, vocab]; target [n] outlives the tape;
// logp [n, 1]. entropy_out [n], or NULL: -sum_k p_k log p_k of the same distribution, in nats,
// for reports only (no gradient).   dz_ik += dlogp_i (1[k == target] - p_ik) / temperature
mg_tensor *mg_token_logp(mg_tape *t, mg_tensor *z, const int32_t *target, double temperature,
                         float *entropy_out);

// logp_i = sum_j log N(x_ij; m_ij, exp(s_j)^2): independent normal distributions, whose log deviations s
// [d, 1] are a parameter.  m [n, d]; x [n, d] outlives the tape; logp [n, 1].
// With z_ij = (x_ij - m_ij) exp(-s_j):  dm_ij += dlogp_i z_ij exp(-s_j),  ds_j += sum_i dlogp_i (z_ij^2 - 1)
mg_tensor *mg_gaussian_logp(mg_tape *t, mg_tensor *m, mg_tensor *s, const float *x);

// mg_token_logp of mg_linear(x, W, NULL), with the same bits, but without keeping more logits than a
// band's: a vocabulary may be wide. W is a parameter; the rest as above.
mg_tensor *mg_linear_logp(mg_tape *t, mg_tensor *x, mg_tensor *W, const int32_t *target,
                          double temperature, float *entropy_out);

// Which keys a query sees. Queries of one group are consecutive rows, and every query row is in
// exactly one group; the group's keys are its spans in order. Every query of the group sees all
// rows of all spans but the last; of the last, query i (of n) sees rows up to and including row
// (last.n - n + i): causal within the sequence.
//   training      one group per sequence: [spans of its ancestors, its own rows], last.n == n
//   decoding      one query per sequence; the spans lie in the cache
typedef struct mg_key_span {
    int64_t row, n;
} mg_key_span;

typedef struct mg_query_group {
    int64_t row, n;       // query rows
    int32_t span, spans;  // its spans: plan->spans[span .. span + spans)
    int32_t family;       // groups that share a key row have the same family
} mg_query_group;

typedef struct mg_attention_plan {
    const mg_query_group *groups;   // sorted by family
    const mg_key_span    *spans;
    int64_t               n_groups;
    int64_t               n_families; // families are 0 .. n_families-1
} mg_attention_plan;

// Scaled dot-product attention with grouped keys (Vaswani et al. 2017, arXiv:1706.03762;
// Ainslie et al. 2023, arXiv:2305.13245):
//   s_j = q . k_j / sqrt(h),  p = softmax(s),  y = sum_j p_j v_j
// q [rows, heads * h]; k, v [key rows, kv_heads * h]; head i reads key head i / (heads/kv_heads).
// Keys are visited in span order, so a row has the same bits from the cache as from training.
// The plan outlives the tape.
mg_tensor *mg_attention(mg_tape *t, mg_tensor *q, mg_tensor *k, mg_tensor *v, int64_t heads,
                        int64_t kv_heads, const mg_attention_plan *plan);
#endif
