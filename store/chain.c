// chain.c - SHA-256 over the fields that chain.h lists.
//
// libcrypto's own functions for this one hash: they neither allocate nor fail, which its general
// interface (EVP) may, and a turn costs two of them.
#define OPENSSL_API_COMPAT 0x10100000L
#include "store/chain.h"

#include <openssl/sha.h>

#include "store/bytes.h"

// Small fields are gathered and hashed together.
typedef struct hasher {
    mg_sink    sink; // first: a hasher is a sink
    SHA256_CTX sha;
    uint8_t    gathered[1024];
} hasher;

static void hash_gathered(hasher *h) {
    SHA256_Update(&h->sha, h->gathered, (size_t)(h->sink.at - h->gathered));
    h->sink.at = h->gathered;
}

static void hash_full(mg_sink *s, const void *bytes, size_t n) {
    hasher *h = (hasher *)s;
    hash_gathered(h);
    SHA256_Update(&h->sha, bytes, n);
}

static mg_sink *hash_begin(hasher *h) {
    h->sink = (mg_sink){h->gathered, h->gathered + sizeof h->gathered, hash_full};
    SHA256_Init(&h->sha);
    return &h->sink;
}

static void hash_end(hasher *h, uint8_t out[32]) {
    hash_gathered(h);
    SHA256_Final(out, &h->sha);
}

static void put_header(mg_sink *s, const mg_episode *e) {
    const mg_start *a = &e->start;
    mg_put_i64(s, a->item);
    mg_put_i32(s, a->group);
    mg_put(s, &a->episode, 4);
    mg_put(s, &a->attempt, 4);
    mg_put_i64(s, a->n_prefix);
    mg_put_u8(s, a->prefix != NULL);
    if (a->prefix) mg_put(s, a->prefix, sizeof *a->prefix * (size_t)a->n_prefix);
    mg_put_i64(s, a->demo_turns);
    mg_put_u64(s, e->seed);
    mg_put_i64(s, e->policy_version);
    mg_put(s, e->reset_digest, 32);
}

static void put_end(mg_sink *s, const mg_episode *e) {
    mg_put_i64(s, e->n_turns);
    mg_put_u8(s, e->terminated);
    mg_put_u8(s, e->truncated);
    mg_put_u8(s, e->stopped);
    mg_put_reward(s, &e->learned);
    mg_put_u8(s, (uint8_t)e->verdict);
    mg_put_string(s, e->code);
    mg_put_string(s, e->detail);
    mg_put_i32(s, e->code_turn);
    mg_put(s, e->end_digest, 32);
}

static void hash_tokens(hasher *h, const mg_episode *e, uint8_t out[32]) {
    mg_sink     *s = hash_begin(h);
    const size_t n = (size_t)e->n_tokens;
    mg_put_i64(s, e->n_tokens);
    mg_put(s, e->tokens, n * sizeof *e->tokens);
    mg_put(s, e->role, n);
    mg_put(s, e->logp, n * sizeof *e->logp);
    hash_end(h, out);
}

static void hash_seen(hasher *h, const mg_turn *t, uint8_t out[32]) {
    mg_put_seen(hash_begin(h), t);
    hash_end(h, out);
}

void mg_episode_links(const mg_episode *e, const uint8_t (*given)[32], uint8_t (*seen)[32],
                      uint64_t *links, uint8_t head[32]) {
    hasher   h;
    uint8_t  at[32], part[32]; // h_i; what is to be known of the next part
    mg_sink *s = hash_begin(&h);
    mg_put_string(s, "mg episode 1");
    put_header(s, e);
    hash_end(&h, at);
    for (int64_t i = 0; i <= e->n_turns; i++) {
        const bool last = i == e->n_turns;
        if (links) memcpy(&links[i], at, sizeof *links);
        if (given)
            memcpy(part, given[i], 32);
        else if (last)
            hash_tokens(&h, e, part);
        else
            hash_seen(&h, &e->turns[i], part);
        if (seen) memcpy(seen[i], part, 32);
        s = hash_begin(&h);
        mg_put(s, at, 32);
        if (last)
            put_end(s, e);
        else
            mg_put_kept(s, &e->turns[i]);
        mg_put(s, part, 32);
        hash_end(&h, at);
    }
    memcpy(head, at, 32);
}

void mg_episode_head(const mg_episode *e, uint8_t out[32]) {
    mg_episode_links(e, NULL, NULL, NULL, out);
}

void mg_chain_start(const char *identity, uint8_t head[32]) {
    hasher   h;
    mg_sink *s = hash_begin(&h);
    mg_put_string(s, "mg run 1");
    mg_put_string(s, identity);
    hash_end(&h, head);
}

void mg_chain_join(uint8_t head[32], const mg_chain_update *u) {
    hasher   h;
    mg_sink *s = hash_begin(&h);
    mg_put(s, head, 32);
    mg_put_i64(s, u->update);
    mg_put_i64(s, u->n);
    mg_put(s, u->heads, 32 * (size_t)u->n);
    mg_put_i64(s, u->n_fed);
    mg_put(s, u->fed, 32 * (size_t)u->n_fed);
    mg_put_u8(s, u->replay != NULL);
    if (u->replay) {
        mg_put_i64(s, u->replay->low);
        mg_put_i64(s, u->replay->high);
        mg_put(s, u->replay->hash, 32);
        mg_put_u64(s, u->replay->key);
    }
    hash_end(&h, head);
}

void mg_chain_life(uint8_t hash[32], int64_t life, int64_t from, const char *identity,
                   const uint8_t head[32]) {
    hasher   h;
    mg_sink *s = hash_begin(&h);
    mg_put_string(s, "mg life 1");
    mg_put(s, hash, 32);
    mg_put_i64(s, life);
    mg_put_i64(s, from);
    mg_put_string(s, identity);
    mg_put(s, head, 32);
    hash_end(&h, hash);
}
