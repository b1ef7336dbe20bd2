// mlp.h - the forward pass of perceptrons: policies and values that read vectors.
//
//   h = x;  each hidden layer: h = act(W h + b);  out = W h + b       for each of the model's nets
//
// What a policy's numbers mean is its head (model.h); act.h takes actions by it.
#ifndef MG_NETS_MLP_H
#define MG_NETS_MLP_H
#include "nets/model.h"

// x [rows, in], normalised, to [rows, nets * out]: net j's numbers are columns [j * out, (j + 1) * out).
mg_tensor *mg_mlp_forward(mg_tape *t, mg_model *m, mg_tensor *x);

// (x - mean) * scale for n rows of in numbers; out may be x. A policy carries these constants along, so that
// whoever acts by it reads the world as it was trained to.
void mg_mlp_normalise(const mg_model *m, const float *x, int64_t n, float *out);
// From now on inputs are taken to have this mean and deviation (above 0), both [in].
void mg_mlp_set_input(mg_model *m, const double *mean, const double *deviation);
#endif
