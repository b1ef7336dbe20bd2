// clip.h - a number cut to a range, as numpy.clip does it for Gymnasium's control worlds.
#ifndef MG_WORLDS_CLIP_H
#define MG_WORLDS_CLIP_H

// Into [-limit, limit]; what is no number stays none.
static inline double mg_clip(double x, double limit) { return x < -limit ? -limit : x > limit ? limit : x; }
#endif
