// rng.c - Philox 4x32-10 and the distributions drawn from it.
#include "core/rng.h"

#include <math.h>

#include "core/err.h"

// Constants of Salmon et al. 2011, section 4: round multipliers, and Weyl increments of the key.
#define M0 0xD2511F53u
#define M1 0xCD9E8D57u
#define W0 0x9E3779B9u // golden ratio
#define W1 0xBB67AE85u // sqrt(3) - 1

void mg_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += W0, k1 += W1;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

mg_rng mg_rng_stream(uint64_t seed, mg_purpose purpose, uint64_t id) {
    const uint32_t key[2]     = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)purpose, (uint32_t)id, (uint32_t)(id >> 32), 0};
    uint32_t       word[4];
    mg_philox(counter, key, word);
    return (mg_rng){.key = {word[0], word[1]}};
}

void mg_rng_seek(mg_rng *r, uint32_t episode, uint32_t attempt, uint32_t position) {
    r->counter[0] = 0, r->counter[1] = position, r->counter[2] = attempt, r->counter[3] = episode;
    r->left = 0;
}

uint32_t mg_rng_u32(mg_rng *r) {
    if (r->left == 0) {
        mg_philox(r->counter, r->key, r->block);
        r->counter[0]++; // 2^34 words before a position repeats itself
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

double mg_rng_uniform(mg_rng *r) {
    uint64_t hi = mg_rng_u32(r) >> 5, lo = mg_rng_u32(r) >> 6; // 27 + 26 = 53 bits
    return (double)(hi << 26 | lo) * 0x1p-53;
}

double mg_rng_normal(mg_rng *r) {
    const double two_pi = 6.283185307179586;
    double       u = 1 - mg_rng_uniform(r), v = mg_rng_uniform(r); // u in (0, 1]
    return sqrt(-2 * log(u)) * cos(two_pi * v);
}

uint64_t mg_rng_below(mg_rng *r, uint64_t n) {
    MG_ASSERT(n > 0);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n; // reject the uneven tail
    uint64_t       x;
    do {
        const uint64_t hi = mg_rng_u32(r), lo = mg_rng_u32(r); // in this order, for every compiler
        x = hi << 32 | lo;
    } while (x >= limit);
    return x % n;
}

void mg_rng_shuffle(mg_rng *r, int64_t *a, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)mg_rng_below(r, (uint64_t)i + 1), swap = a[i];
        a[i] = a[j], a[j] = swap;
    }
}
