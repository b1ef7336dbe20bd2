// chain.h - the hashes that make a record's history checkable.
//
// Each episode has a chain of SHA-256: its header (who, where, from which start), then each turn, then
// its end (verdict, code, digests). Its head joins the run's chain in logical order (update, group,
// episode, attempt), so two runs that did the same have the same head, whatever happened in between.
//
//   h_0  = H("mg episode 1" | header)
//   h_i  = H(h_{i-1} | kept of turn i | H(seen of turn i))
//   head = H(h_n | end | H(tokens))
//   R_0  = H("mg run 1" | identity)
//   R_k  = H(R_{k-1} | update | heads of its episodes, in order | what fed it)
//   L_n  = H("mg life 1" | L_{n-1}, or 32 zeros | n | the update it goes on from | identity | R there)
//
//   header  item, group, episode, attempt, length of the prefix and its tokens, turns of the
//           demonstration, seed, policy version, digest of the state after reset
//   kept    action, reward
//   seen    observation, the action's tokens' place; of a call over a wire its request, nonce, raw
//           bytes and injected fault; all of the evidence
//   end     number of turns, terminated, truncated, stopped, learned reward, verdict, code, detail,
//           turn of the code, digest of the state at the end
//   tokens  ids, roles, log-probabilities
//   fed     heads of the episodes that fed it, in order; for replay the buffer's range, its hash, the
//           random stream's key
//
// "Seen" and "tokens" go in as hashes of their own, so that a record that leaves them out can still
// be checked (store.h, replayable). Every field goes in with its length or at its fixed size,
// little-endian, so that no two records have the same bytes. What a clock or a neighbour decides is
// kept but not hashed, for it differs between two equal runs: a call's times and the load.
#ifndef MG_STORE_CHAIN_H
#define MG_STORE_CHAIN_H
#include "env/episode.h"

// What fed an update from a replay buffer: its gradient steps drew from rows [low, high), each from the last `capacity`
// of those that were there by then (replay.h); the hash of all rows before `high`; the key of the first gradient step's
// random stream.
typedef struct mg_fed_replay {
    int64_t  low, high;
    uint8_t  hash[32];
    uint64_t key;
} mg_fed_replay;

typedef struct mg_chain_update {
    int64_t              update;
    const uint8_t      (*heads)[32], (*fed)[32]; // [n], [n_fed]
    int64_t              n, n_fed;
    const mg_fed_replay *replay;                 // NULL: none
} mg_chain_update;

void mg_episode_head(const mg_episode *e, uint8_t out[32]);
void mg_chain_start(const char *identity, uint8_t head[32]);
void mg_chain_join(uint8_t head[32], const mg_chain_update *u);
void mg_chain_life(uint8_t hash[32], int64_t life, int64_t from, const char *identity,
                   const uint8_t head[32]);

// For the store: the episode's head, and on the way the hash of each turn's `seen` and, last, of the
// tokens [n_turns + 1], and the first eight bytes of h_0 .. h_n, which tell where a record was
// changed. `given`: these hashes are taken instead of being computed; NULL: none are. seen, links: or NULL.
void mg_episode_links(const mg_episode *e, const uint8_t (*given)[32], uint8_t (*seen)[32],
                      uint64_t *links, uint8_t head[32]);
#endif
