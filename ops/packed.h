// packed.h - the packed copies that stay with a weight, and how one is made anew.
//
// W [out, in] is a factor of x W^T, and of dy W for the gradient of its input; each has its layout.
#ifndef MG_OPS_PACKED_H
#define MG_OPS_PACKED_H
#include "ops/pack.h"

typedef struct mg_packed_copy {
    void    *data;  // owned; NULL: not made yet
    int64_t  width; // of its strips
    uint64_t version;
} mg_packed_copy;

struct mg_packed {
    bool           bf16;
    bool           asked, few;     // whether few.h may multiply with `forward`
    mg_packed_copy forward, input; // for x W^T and for dy W
};

typedef struct mg_packing {
    mg_strips    strips;
    const float *W;
    bool         input;
    void        *to;     // the copy; W's
    int64_t      pieces; // that must run before `to` is read; 0 where it is there already
} mg_packing;

// The copy of W in these strips. What is to be done for it is up to the caller: whoever has begun a
// packing runs all its pieces, in any order and any thread.
mg_packing mg_packing_begin(mg_tensor *W, bool input, mg_strips strips);
void       mg_packing_piece(const mg_packing *p, int64_t piece);
#endif
