// thread.h - one team of threads for everything.
//
// Work is cut into pieces by its shape alone, never into as many pieces as there are threads;
// workers take pieces in any order and each piece writes its own output, so a result has the same
// bits with any number of threads. Sums over pieces are made afterwards, in piece order.
// Between runs workers spin for 50 us, then sleep: a sleeping thread takes 50-60 us to wake.
#ifndef MG_CORE_THREAD_H
#define MG_CORE_THREAD_H
#include <stdint.h>

#include "core/err.h"

#define MG_THREADS_MAX 256

typedef struct mg_team mg_team;

// Called once per piece. `worker` is 0 (the caller's thread) .. threads-1: an index for scratch
// memory, never for cutting work.
typedef void mg_piece_fn(void *context, int64_t piece, int worker);

// A team of `threads` workers, the calling thread among them; 0: as many as the process may run
// on (its affinity mask). Owned by the caller, ended by mg_team_close.
mg_err mg_team_open(mg_team **out, int threads) MG_MUST_USE;
void   mg_team_close(mg_team *team); // NULL: no effect
int    mg_team_threads(const mg_team *team); // NULL: 1

// Runs fn for every piece in [0, pieces) and returns when all are done. team NULL: in the calling
// thread, in order. Not reentrant: a piece must not run the team.
void mg_team_run(mg_team *team, mg_piece_fn *fn, void *context, int64_t pieces);

// How many pieces of `size` cover n, and where a piece starts and ends.
static inline int64_t mg_pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }
static inline int64_t mg_piece_end(int64_t n, int64_t size, int64_t piece) {
    return (piece + 1) * size < n ? (piece + 1) * size : n;
}
#endif
