// tiny.h - for tests: a tokenizer learnt from a few invented lines, and random models that fit it.
#ifndef MG_NETS_TINY_H
#define MG_NETS_TINY_H
#include <string.h>

#include "nets/model.h"
#include "nets/tokenizer.h"

enum { TINY_STOP = 0, TINY_VOCAB = 300, TINY_CONTEXT = 96, TINY_TEXTS = 24 };

// The first half are prompts, the second their answers.
static const char *const tiny_texts[TINY_TEXTS] = {
    "a red kite over the hill", "two grey seals on a rock",     "the old mill by the river",
    "rain on a tin roof",       "a boat that leaks",            "seven sheep in the snow",
    "the clock has no hands",   "bread and salt on the table",  "a letter without a stamp",
    "the fox sleeps at noon",   "smoke from a far chimney",     "a ladder against the wall",
    "red kite",                 "grey seals, two of them",      "old river mill",
    "rain",                     "leaking boat",                 "sheep in snow, seven",
    "handless clock",           "salt and bread",               "no stamp",
    "a sleeping fox",           "far smoke",                    "ladder",
};

// Owned by the caller. Bytes, TINY_STOP and some forty merges. Aborts where that fails.
static inline mg_tokenizer *tiny_tokenizer(void) {
    static const char *const special[] = {"<|endoftext|>"};
    mg_text                  texts[TINY_TEXTS];
    mg_tokenizer            *t = NULL;
    for (int i = 0; i < TINY_TEXTS; i++)
        texts[i] = (mg_text){tiny_texts[i], strlen(tiny_texts[i])};
    const mg_err err = mg_tokenizer_train(
        &t, &(mg_tokenizer_training){.family = MG_TOKENIZER_GPT2, .texts = texts,
                                     .n_texts = TINY_TEXTS, .vocab_size = TINY_VOCAB,
                                     .special = special, .n_special = 1});
    MG_ASSERT(!err && mg_tokenizer_id(t, special[0]) == TINY_STOP);
    return t;
}

static inline mg_model_config tiny_config(const mg_tokenizer *t, bool scalar_head) {
    return (mg_model_config){
        .family = MG_FAMILY_LLAMA, .vocab = mg_tokenizer_vocab_size(t), .d_model = 16, .d_ff = 24,
        .n_layers = 2, .n_heads = 2, .n_kv_heads = 1, .head_width = 8, .context_max = TINY_CONTEXT,
        .rope_theta = 10000, .norm_eps = 1e-5, .init_std = 0.2, .scalar_head = scalar_head,
        .bos = -1, .eos = TINY_STOP, .pad = -1};
}

// Random weights. The first coordinate of every token is large, and speaks for TINY_STOP: a
// language model stops after six tokens or so.
static inline mg_model *tiny_model(const mg_tokenizer *t, bool scalar_head, uint64_t seed,
                                   bool trained) {
    const mg_model_config c = tiny_config(t, scalar_head);
    mg_model             *m = NULL;
    const mg_err          err = mg_model_new(&m, &c, trained);
    MG_ASSERT(!err);
    mg_model_init(m, seed);
    for (int64_t i = 0; i < c.vocab; i++) mg_f32(m->embed)[i * c.d_model] += 0.8f;
    if (!scalar_head) mg_f32(m->head)[TINY_STOP * c.d_model] += 1.5f;
    mg_model_touch(m);
    return m;
}
#endif
