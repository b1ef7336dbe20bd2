// choose.c - softmax in double, top-k and top-p by a heap, the draw by the inverse of the
// distribution function.
#include "nets/choose.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 16 };

typedef struct candidate {
    double  p; // times a constant
    int32_t id;
} candidate;

static bool likelier(candidate a, candidate b) {
    return a.p != b.p ? a.p > b.p : a.id < b.id;
}

// Moves c[at] to its place in the heap c[0..n), whose top is the likeliest.
static void sink(candidate *c, int64_t n, int64_t at) {
    const candidate moved = c[at];
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && likelier(c[child + 1], c[child])) child++;
        if (!likelier(c[child], moved)) break;
        c[at] = c[child];
        at    = child;
    }
    c[at] = moved;
}

// Brings the likeliest of c[0..n) to its end, until there are n_max of them or their mass reaches
// `mass`. Returns how many. A heap: a vocabulary is large, and few are kept.
static int64_t select_likeliest(candidate *c, int64_t n, int64_t n_max, double mass) {
    int64_t kept = 0;
    double  sum  = 0;
    for (int64_t at = n / 2; at-- > 0;) sink(c, n, at);
    while (kept < n_max && (kept == 0 || sum < mass)) {
        const candidate top = c[0];
        sum += top.p;
        kept++;
        c[0]        = c[n - kept];
        c[n - kept] = top;
        sink(c, n - kept, 0);
    }
    return kept;
}

// The largest logit. *finite: they all are; a number that is not makes 0 times itself a NaN.
static float largest(const float *z, int64_t n, bool *finite) {
    float max[AT_ONCE], nothing[AT_ONCE] = {0};
    for (int l = 0; l < AT_ONCE; l++) max[l] = z[0];
    int64_t k = 0;
    for (; k + AT_ONCE <= n; k += AT_ONCE)
        for (int l = 0; l < AT_ONCE; l++) {
            max[l] = z[k + l] > max[l] ? z[k + l] : max[l];
            nothing[l] += z[k + l] * 0;
        }
    for (; k < n; k++) {
        max[0] = z[k] > max[0] ? z[k] : max[0];
        nothing[0] += z[k] * 0;
    }
    for (int l = 1; l < AT_ONCE; l++) {
        max[0] = max[l] > max[0] ? max[l] : max[0];
        nothing[0] += nothing[l];
    }
    *finite = nothing[0] == 0;
    return max[0];
}

// exp(x) for x <= 0, within one unit in the last place: plain arithmetic, so that the compiler
// takes eight at once. x = n log 2 + r; the Taylor series of exp(r), |r| <= log(2) / 2, ends where
// its next term is below half a unit. What would be denormal is 0.
static inline double exponential(double x) {
    const double to_integer = 0x1.8p52; // adding it leaves the integer in the low bits
    const double least      = -708;
    const double y = x < least ? least : x;
    const double shifted = y * 1.4426950408889634 + to_integer, n = shifted - to_integer;
    const double r = (y - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    double       p = 1.0 / 6227020800;
    p              = p * r + 1.0 / 479001600;
    p              = p * r + 1.0 / 39916800;
    p              = p * r + 1.0 / 3628800;
    p              = p * r + 1.0 / 362880;
    p              = p * r + 1.0 / 40320;
    p              = p * r + 1.0 / 5040;
    p              = p * r + 1.0 / 720;
    p              = p * r + 1.0 / 120;
    p              = p * r + 1.0 / 24;
    p              = p * r + 1.0 / 6;
    p              = p * r + 0.5;
    p              = p * r + 1;
    p              = p * r + 1;
    uint64_t bits, power;
    memcpy(&bits, &shifted, sizeof bits);
    power = (bits + 1023) << 52;
    double factor;
    memcpy(&factor, &power, sizeof factor);
    return x < least ? 0 : p * factor;
}

// In order of id.
static int32_t draw(const double *p, int64_t n, double u) {
    double total = 0, sum = 0;
    for (int64_t k = 0; k < n; k++) total += p[k];
    for (int64_t k = 0; k + 1 < n; k++)
        if ((sum += p[k]) > u * total) return (int32_t)k;
    return (int32_t)n - 1;
}

static double mass(const candidate *c, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += c[i].p;
    return sum;
}

// In the order in which select_likeliest leaves them.
static int32_t draw_of_likeliest(const mg_sampling *how, const double *p, int64_t n, double u,
                                 mg_arena *scratch) {
    candidate *c = mg_arena_alloc_raw(scratch, sizeof *c * (size_t)n);
    for (int64_t k = 0; k < n; k++) c[k] = (candidate){p[k], (int32_t)k};
    if (how->top_k > 0 && how->top_k < n) {
        const int64_t kept = select_likeliest(c, n, how->top_k, INFINITY);
        c += n - kept, n = kept;
    }
    if (how->top_p < 1) {
        const int64_t kept = select_likeliest(c, n, n, how->top_p * mass(c, n));
        c += n - kept, n = kept;
    }
    const double total = mass(c, n);
    double       sum   = 0;
    for (int64_t i = 0; i + 1 < n; i++)
        if ((sum += c[i].p) > u * total) return c[i].id;
    return c[n - 1].id;
}

int32_t mg_choose(const mg_sampling *how, const float *z, int64_t vocab, mg_rng draws,
                  mg_arena *scratch) {
    bool        finite;
    const float max = largest(z, vocab, &finite);
    if (!finite) return MG_UNCHOSEN;
    if (how->temperature == 0) {
        int32_t first = 0;
        while (z[first] != max) first++;
        return first;
    }

    const size_t mark = mg_arena_mark(scratch);
    const double u    = mg_rng_uniform(&draws);
    double      *p    = mg_arena_alloc_raw(scratch, sizeof *p * (size_t)vocab);
    for (int64_t k = 0; k < vocab; k++)
        p[k] = exponential(((double)z[k] - (double)max) / how->temperature);
    const bool    cut = (how->top_k > 0 && how->top_k < vocab) || how->top_p < 1;
    const int32_t id  = cut ? draw_of_likeliest(how, p, vocab, u, scratch) : draw(p, vocab, u);
    mg_arena_reset(scratch, mark);
    return id;
}

size_t mg_choose_memory(int64_t vocab) {
    return 2 * 64 + (sizeof(double) + sizeof(candidate)) * (size_t)vocab; // each in whole lines
}
