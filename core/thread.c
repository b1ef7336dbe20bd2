// thread.c - a team that takes numbered pieces from a counter.
//
// A run publishes (fn, context, pieces), opens the door and counts a new generation; members that
// see it go in, take pieces with an atomic add until none is left, and go out. The caller works too.
// When it finds no piece left it closes the door and waits for those inside: one that still sleeps
// is not waited for, it finds the door closed.
//
// What a piece wrote is seen after the run: going out is a read-modify-write with release order, and
// the caller's last look acquires them all.
#include "core/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SPIN_NS 50000 // about what waking a sleeping thread costs
#define LOOKS   64    // between two looks at the clock

// The door: its run's generation above, then whether it is closed, then how many are inside.
#define CLOSED ((uint64_t)1 << 31)
#define INSIDE (CLOSED - 1)

typedef struct member {
    mg_team  *team;
    pthread_t thread;
    int       worker;
} member;

struct mg_team {
    int             threads;
    member          members[MG_THREADS_MAX]; // [1 .. threads-1] are running
    pthread_mutex_t lock;                    // guards sleeping and waking only
    pthread_cond_t  wake, idle;

    mg_piece_fn *fn; // of the current run; read inside only
    void        *context;
    int64_t      pieces;

    _Atomic bool     quit;
    _Atomic uint64_t generation; // counts runs
    _Atomic uint64_t door;
    _Atomic int64_t  next;       // the first piece not taken
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_pieces(mg_team *t, int worker) {
    for (;;) {
        const int64_t piece = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
        if (piece >= t->pieces) return;
        t->fn(t->context, piece, worker);
    }
}

// Waits for a generation after `seen`: spins, then sleeps.
static uint64_t wait_for_run(mg_team *t, uint64_t seen) {
    const int64_t until = now_ns() + SPIN_NS;
    uint64_t      generation;
    do {
        for (int i = 0; i < LOOKS; i++) {
            generation = atomic_load_explicit(&t->generation, memory_order_acquire);
            if (generation != seen) return generation;
            pause_briefly();
        }
    } while (now_ns() < until);
    pthread_mutex_lock(&t->lock);
    while ((generation = atomic_load_explicit(&t->generation, memory_order_acquire)) == seen)
        pthread_cond_wait(&t->wake, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return generation;
}

// False: that run is over.
static bool go_in(mg_team *t, uint64_t generation) {
    uint64_t door = atomic_load_explicit(&t->door, memory_order_relaxed);
    do {
        if (door >> 32 != (uint32_t)generation || door & CLOSED) return false;
    } while (!atomic_compare_exchange_weak_explicit(&t->door, &door, door + 1, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

static void go_out(mg_team *t) {
    const uint64_t door = atomic_fetch_sub_explicit(&t->door, 1, memory_order_acq_rel);
    if (!(door & CLOSED) || (door & INSIDE) > 1) return;
    pthread_mutex_lock(&t->lock); // the last one wakes the caller
    pthread_cond_signal(&t->idle);
    pthread_mutex_unlock(&t->lock);
}

static void *work(void *arg) {
    const member *m    = arg;
    mg_team      *t    = m->team;
    uint64_t      seen = 0;
    for (;;) {
        seen = wait_for_run(t, seen);
        if (atomic_load_explicit(&t->quit, memory_order_relaxed)) return NULL;
        if (!go_in(t, seen)) continue;
        take_pieces(t, m->worker);
        go_out(t);
    }
}

static bool empty(const mg_team *t) {
    return (atomic_load_explicit(&t->door, memory_order_acquire) & INSIDE) == 0;
}

// Returns when nobody is inside: spins, then sleeps.
static void wait_for_members(mg_team *t) {
    const int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (empty(t)) return;
            pause_briefly();
        }
    } while (now_ns() < until);
    pthread_mutex_lock(&t->lock);
    while (!empty(t)) pthread_cond_wait(&t->idle, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

// A new generation, seen by spinning workers at once and by sleeping ones when woken.
static void announce(mg_team *t) {
    const uint64_t generation = atomic_load_explicit(&t->generation, memory_order_relaxed) + 1;
    pthread_mutex_lock(&t->lock);
    atomic_store_explicit(&t->door, (generation & UINT32_MAX) << 32, memory_order_release);
    atomic_store_explicit(&t->generation, generation, memory_order_release);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

mg_err mg_team_open(mg_team **out, int threads) {
    if (threads == 0) {
        cpu_set_t mask;
        threads = sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1;
        if (threads > MG_THREADS_MAX) threads = MG_THREADS_MAX;
    }
    if (threads < 1 || threads > MG_THREADS_MAX)
        return mg_fail(MG_CONFIG, "threads: found %d, wanted 1..%d", threads, MG_THREADS_MAX);
    mg_team *t = calloc(1, sizeof *t);
    if (!t) return mg_fail(MG_NOMEM, "a team of %d threads", threads);
    t->door = CLOSED;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->idle, NULL);
    for (t->threads = 1; t->threads < threads; t->threads++) {
        member *m = &t->members[t->threads];
        *m        = (member){.team = t, .worker = t->threads};
        int code  = pthread_create(&m->thread, NULL, work, m);
        if (code != 0) {
            mg_err err = mg_fail(MG_NOMEM, "start thread %d: %s", t->threads, strerror(code));
            mg_team_close(t);
            return err;
        }
    }
    *out = t;
    return MG_OK;
}

void mg_team_close(mg_team *t) {
    if (!t) return;
    atomic_store_explicit(&t->quit, true, memory_order_relaxed);
    announce(t);
    for (int i = 1; i < t->threads; i++) pthread_join(t->members[i].thread, NULL);
    pthread_cond_destroy(&t->idle);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int mg_team_threads(const mg_team *t) { return t ? t->threads : 1; }

void mg_team_run(mg_team *t, mg_piece_fn *fn, void *context, int64_t pieces) {
    if (!t || t->threads == 1 || pieces <= 1) {
        for (int64_t i = 0; i < pieces; i++) fn(context, i, 0);
        return;
    }
    // No run within a run, whether the door is open or some are still behind it.
    MG_ASSERT((atomic_load_explicit(&t->door, memory_order_acquire) & (CLOSED | INSIDE)) == CLOSED);
    t->fn = fn, t->context = context, t->pieces = pieces;
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    announce(t);
    take_pieces(t, 0);
    if ((atomic_fetch_or_explicit(&t->door, CLOSED, memory_order_acq_rel) & INSIDE) > 0)
        wait_for_members(t);
}
