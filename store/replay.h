// replay.h - STAND-IN until the real one is merged.
#ifndef MG_STORE_REPLAY_H
#define MG_STORE_REPLAY_H
#include "store/transitions.h"
typedef struct mg_replay mg_replay;
mg_err  mg_replay_open(mg_replay **out, const char *path, int64_t capacity, int64_t observations, int64_t actions) MG_MUST_USE;
void    mg_replay_close(mg_replay *r);
void    mg_replay_append(mg_replay *r, const mg_transition_row *row);
int64_t mg_replay_rows(const mg_replay *r);    // held now
int64_t mg_replay_written(const mg_replay *r); // ever
mg_transition_row mg_replay_row(const mg_replay *r, int64_t i); // of those held, oldest first
mg_err  mg_replay_rewind(mg_replay *r, int64_t written) MG_MUST_USE;
#endif
