// chain.h - the hashes that make a record's history checkable.
//
// Each episode has a chain of SHA-256: its header (who, where, from which start), then each turn, then
// its end (verdict, code, digests). Its head joins the run's chain in logical order (update, group,
// episode, attempt), so two runs that did the same have the same head, whatever happened in between.
//
//   h_0 = H("mg episode 1" | header)      h_i = H(h_{i-1} | turn i)      head = H(h_n | end)
//   R_0 = H("mg run 1" | identity)        R_k = H(R_{k-1} | update | heads of its episodes, in order)
//
// Every field goes in with its length or at its fixed size, little-endian, so that no two records
// have the same bytes. Clock times of a call are kept but not hashed: they differ between two equal runs.
#ifndef MG_STORE_CHAIN_H
#define MG_STORE_CHAIN_H
#include "env/episode.h"

void mg_episode_head(const mg_episode *e, uint8_t out[32]);
void mg_chain_start(const char *identity, uint8_t head[32]);
void mg_chain_join(uint8_t head[32], int64_t update, const uint8_t (*heads)[32], int64_t n);
#endif
