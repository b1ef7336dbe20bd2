// model.h - the networks: decoder-only transformers of the Llama and Qwen2 families, and perceptrons.
//
// A perceptron (mlp.h) is what reads vectors instead of tokens; it shares everything here but the forward pass,
// so optimisers, checkpoints and folders need not know which of them a model is.
//
// Llama: Touvron et al. 2023, arXiv:2302.13971; Qwen2: arXiv:2407.10671. Names and layouts of the
// weights are those of Hugging Face's LlamaForCausalLM and Qwen2ForCausalLM, or with a scalar head
// of their ...ForSequenceClassification with num_labels 1 (the head is `score.weight`), for reward
// and value models.
//
//   h = embed(tokens)
//   each layer:  h += o(attention(rope(q(n)), rope(k(n)), v(n))),  n = rmsnorm(h)
//                h += down(swiglu(gate(m), up(m))),                m = rmsnorm(h)
//   hidden = rmsnorm(h);  logits = lm_head(hidden)  or  score = score(hidden)
#ifndef MG_NETS_MODEL_H
#define MG_NETS_MODEL_H
#include <stdbool.h>

#include "core/rng.h"
#include "nets/batch.h"

typedef enum mg_family { MG_FAMILY_LLAMA, MG_FAMILY_QWEN2, MG_FAMILY_MLP } mg_family;

// What a perceptron's numbers mean, where it is a policy. Actions are in [-1, 1] before action_scale.
typedef enum mg_mlp_head {
    MG_HEAD_NONE,          // numbers as they are: values
    MG_HEAD_TANH,          // tanh(out): one action, of a deterministic policy
    MG_HEAD_TANH_GAUSSIAN, // mean and log deviation of what tanh is taken of; out is twice the action
    MG_HEAD_GAUSSIAN,      // mean; the log deviations are `free`
    MG_HEAD_CATEGORICAL,   // logits of out choices
} mg_mlp_head;

typedef struct mg_mlp_shape {
    int64_t in, out;      // numbers read, numbers given by each net
    int64_t width, depth; // of its hidden layers; depth 0: linear
    int64_t nets;         // side by side on the same input, such as twin critics; 1 or more
    int64_t free;         // numbers learnt beside the nets
    bool    tanh;         // between layers; else ReLU
    mg_mlp_head head;
    double      action_scale; // of the world's action at 1
} mg_mlp_shape;

typedef struct mg_rope_scaling { // "llama3" of Hugging Face; factor 0: none
    double  factor, low_freq_factor, high_freq_factor;
    int64_t original_context;
} mg_rope_scaling;

typedef struct mg_model_config {
    mg_family family;
    int64_t   vocab;       // rows of the embedding
    int64_t   d_model;     // width of the residual stream
    int64_t   d_ff;        // width of the feed-forward part
    int64_t   n_layers, n_heads, n_kv_heads;
    int64_t   head_width;  // usually d_model / n_heads
    int64_t   context_max; // positions
    double    rope_theta;
    mg_rope_scaling rope_scaling;
    double    norm_eps;
    double    init_std;    // of random weights (initializer_range)
    bool      tied;        // lm_head is the embedding
    bool      qkv_bias, o_bias, mlp_bias;
    bool      scalar_head; // one number per token instead of logits
    int32_t   bos, eos, pad; // ids, -1: none
    mg_mlp_shape mlp;        // of MG_FAMILY_MLP, which uses nothing else of this
} mg_model_config;

// What products round their factors to. Sums, biases, norms, softmax, attention, weights at rest
// and gradients are floats in either case. MG_COMPUTE_BF16 is for processors that multiply
// bfloat16 themselves.
typedef enum mg_compute { MG_COMPUTE_F32, MG_COMPUTE_BF16 } mg_compute;

typedef struct mg_model_layer { // borrowed views into mg_model.params
    mg_tensor *attn_norm, *q, *q_bias, *k, *k_bias, *v, *v_bias, *o, *o_bias;
    mg_tensor *mlp_norm, *gate, *gate_bias, *up, *up_bias, *down, *down_bias;
} mg_model_layer; // absent biases are NULL

typedef struct mg_param {
    const char *name;   // Hugging Face name, such as "model.layers.0.self_attn.q_proj.weight"
    mg_tensor   tensor; // views into the flat arrays below
    bool        vector; // one-dimensional in the file: norms and biases; no weight decay
} mg_param;

// All numbers of a kind lie in one array, in the order of `params`, so that the optimiser, the
// norm of the gradient and a checkpoint are each one pass.
typedef struct mg_model {
    mg_model_config config;
    mg_compute      compute;
    mg_arena        arena;   // owns everything below
    mg_param       *params;  // [n_params]
    int64_t         n_params;
    float          *weights; // [n_weights]
    float          *grads;   // [n_weights], NULL when the model is not trained
    int64_t         n_weights;
    double         *frequency; // [head_width/2], rotary
    mg_tensor      *embed, *final_norm, *head; // head: lm_head or score; the embedding when tied
    mg_model_layer *layers;
    mg_mlp_layer   *nets;   // perceptron: [nets * (depth + 1)], net after net; else NULL
    mg_tensor *mean, *scale; // perceptron: [in, 1] what is taken from inputs, and what they are then multiplied with
    mg_tensor *free;         // perceptron: [free, 1], or NULL
} mg_model;

// Zero weights (norm gains 1). trained: with gradients. Owned by the caller, ended by
// mg_model_free. Errors: MG_CONFIG (a shape that cannot be, with its key), MG_NOMEM.
mg_err mg_model_new(mg_model **out, const mg_model_config *config, bool trained) MG_MUST_USE;
void   mg_model_free(mg_model *m);

// How it computes from now on; a new model in MG_COMPUTE_F32. m NULL: only the question whether this
// processor can. Error: MG_CONFIG, with what it has and what is needed.
mg_err mg_model_compute(mg_model *m, mg_compute compute) MG_MUST_USE;

// Random weights: N(0, init_std^2), biases 0, gains 1; a scalar head N(0, 1/(d+1)) as in the
// summarize-from-feedback code family. A parameter's stream is its place in `params`. A perceptron's weights and
// biases are even in +-1/sqrt(in of their layer), as PyTorch's nn.Linear makes them, the stream a layer's place in
// `nets`; its inputs stay as they are, and `free` is 0.
void mg_model_init(mg_model *m, uint64_t seed);

// The same network with the body's weights copied and the head asked for: reward and value models
// start from a language model, a critic from a reward model. A head that `from` has not got starts
// at zero. It computes as `from` does. Errors: as mg_model_new.
mg_err mg_model_copy(mg_model **out, const mg_model *from, bool scalar_head,
                     bool trained) MG_MUST_USE;

// Tells the products that the weights were written. Called by whoever writes them.
void mg_model_touch(mg_model *m);
void mg_model_zero_grads(mg_model *m);

// Keys and values of what has been read so far, for generation. Who reads decides where the rows of
// a batch are put, so that what a sequence sees stays in a few unbroken spans.
typedef struct mg_cache {
    mg_tensor     *k, *v;  // [n_layers], each [rows, kv_heads * head_width]
    const int32_t *place;  // [batch tokens] cache row of each row of the next batch; borrowed, set
                           // before each mg_model_hidden
} mg_cache;

void mg_cache_init(mg_cache *c, const mg_model *m, mg_arena *arena, int64_t rows);

// Hidden states after the final norm, [batch tokens, d_model]. With a cache, the keys and values
// of the batch's tokens are first put into their places and the plan's spans name cache rows;
// without, they name batch rows.
// The batch outlives the tape. On a tape that does not record, all layers share one layer's memory.
// Error: MG_LIMIT when a position reaches context_max (which sequence).
mg_err mg_model_hidden(mg_tape *t, mg_model *m, const mg_batch *b, mg_cache *cache,
                       mg_tensor **out) MG_MUST_USE;

// lm_head or score of the given rows of hidden: logits [n, vocab], or scores [n, 1].
mg_tensor *mg_model_head(mg_tape *t, mg_model *m, mg_tensor *hidden, const int32_t *rows,
                         int64_t n);

// log softmax(logits / temperature)[target] of the same rows, [n, 1], without keeping logits; target
// [n] and entropy [n] or NULL as in mg_token_logp.
mg_tensor *mg_model_logp(mg_tape *t, mg_model *m, mg_tensor *hidden, const int32_t *rows, int64_t n,
                         const int32_t *target, double temperature, float *entropy);
#endif
