// packed.c - copies of weights, made again when the weight was written.
#include "ops/packed.h"

#include <stdlib.h>

mg_packing mg_packing_begin(mg_tensor *W, bool input, mg_strips strips) {
    if (W->packed && W->packed->bf16 != W->bf16) mg_linear_unpack(W);
    if (!W->packed) {
        W->packed = calloc(1, sizeof *W->packed);
        MG_ASSERT(W->packed);
        W->packed->bf16 = W->bf16;
    }
    mg_packed_copy *copy = input ? &W->packed->input : &W->packed->forward;
    mg_packing      p    = {.strips = strips, .W = mg_f32(W), .input = input, .to = copy->data};
    if (copy->data && copy->version == W->version && copy->width == strips.width) return p;

    if (copy->width != strips.width) {
        free(copy->data);
        copy->data = aligned_alloc(64, (mg_strips_size(&strips) + 63) / 64 * 64);
        MG_ASSERT(copy->data);
    }
    copy->width   = strips.width;
    copy->version = W->version;
    p.to          = copy->data;
    p.pieces      = input ? mg_pieces(W->rows, mg_part_rows(W->bf16)) : mg_strips_count(&strips);
    return p;
}

void mg_packing_piece(const mg_packing *p, int64_t piece) {
    if (p->input)
        mg_pack_rows(&p->strips, p->W, p->strips.K, piece, p->to);
    else
        mg_pack_transposed(&p->strips, p->W, piece, p->to);
}

void mg_linear_unpack(mg_tensor *W) {
    if (!W->packed) return;
    free(W->packed->forward.data);
    free(W->packed->input.data);
    free(W->packed);
    W->packed = NULL;
}
