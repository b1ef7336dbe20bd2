// choose.h - one token out of its logits: the distribution, what is cut off it, and the draw.
#ifndef MG_NETS_CHOOSE_H
#define MG_NETS_CHOOSE_H
#include "nets/generate.h"

enum { MG_UNCHOSEN = -1 };

// The token that `how` and the next number of `draws` choose by logits z [vocab]; MG_UNCHOSEN when
// a logit is not finite. scratch has room for mg_choose_memory(vocab) and is reset to its mark on
// return.
int32_t mg_choose(const mg_sampling *how, const float *z, int64_t vocab, mg_rng draws,
                  mg_arena *scratch);
size_t  mg_choose_memory(int64_t vocab);
#endif
