// env.h - the contract that every environment keeps.
//
// Gymnasium's meaning of terminated (the task is over) and truncated (somebody stopped watching),
// kept apart. Time is an argument: an environment never reads a clock. An environment keeps its
// state in `state`, plain bytes without pointers into itself, so that the default snapshot is a
// copy; what is shared and read-only (texts, rules) lies in `world`.
//
// E1  Same seed, same options, same actions: same observations, rewards and digest.
// E2  step allocates nothing and touches no global.
// E3  After an error the environment is closed, never stepped again.
#ifndef MG_ENV_ENV_H
#define MG_ENV_ENV_H
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"
#include "core/rng.h"
#include "env/evidence.h"
#include "env/reward.h"

typedef enum mg_space_kind { MG_SPACE_VECTOR, MG_SPACE_DISCRETE, MG_SPACE_TEXT } mg_space_kind;

typedef struct mg_space {
    mg_space_kind kind;
    int64_t       n;         // vector: numbers; discrete: choices 0..n-1; text: bytes at most
    double        low, high; // vector: range of each number
} mg_space;

// An observation or an action of a space's kind; borrowed memory. A vector has its space's numbers: policies are
// checked when they are loaded (algos/spaces.h), observations of processes when they are read (transport/wire.h).
typedef struct mg_value {
    mg_space_kind kind;
    const float  *vector; // [space.n]
    int64_t       index;
    const char   *text;   // [size] bytes, any bytes, no terminating 0 promised
    size_t        size;
    bool          open;   // action text: more of the same answer follows
} mg_value;

typedef struct mg_reset_options {
    int64_t     item;   // which of the world's tasks; -1: the seed decides
    const char *prefix; // text worlds with resets: the answer so far, or NULL
    size_t      prefix_size;
} mg_reset_options;

typedef struct mg_transition {
    mg_value    observation; // valid until the next reset or step
    mg_reward   reward;
    bool        terminated, truncated;
    mg_evidence evidence;    // what can be checked about this call; zeroed: nothing can
} mg_transition;

typedef struct mg_env mg_env;
struct mg_call; // env/episode.h

// A policy that a world brings along: its oracle, its floor, rungs between them. One decision from
// the state as it is; what `action` points to lives until the next call. Error: MG_UNSUPPORTED.
typedef struct mg_script {
    const char *name, *summary;
    mg_err (*act)(const mg_env *e, mg_rng *rng, mg_value *action);
} mg_script;

typedef struct mg_env_class {
    const char *name, *summary;
    mg_space    observation, action;
    size_t      state_size; // bytes of mg_env.state
    int64_t     steps_max;  // an episode's limit; the loop sets truncated there

    // Errors: MG_CONFIG (an item that does not exist, a prefix where resets are not offered).
    mg_err (*reset)(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *observation);
    mg_err (*step)(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out);

    bool    resets;                 // honours mg_reset_options.prefix (DR-PO needs it)
    int64_t (*items)(const mg_env *e); // number of tasks; NULL: the world has no list of tasks
    // Equal digests mean equal states. NULL: the state's bytes are hashed.
    void (*digest)(const mg_env *e, uint8_t out[32]);

    // Optional powers; each unlocks checks and algorithms. NULL: not offered.
    mg_err (*open)(mg_env *e);  // fills a zeroed state with what outlives an episode (a database)
    void   (*close)(mg_env *e); // gives that back; called once for every open that went well
    const char *(*manifest)(const mg_env *e); // JSON as in manifest.h, valid until the next call
    // The whole state as bytes on the arena, and back: observation and digest are then those of the
    // moment of the snapshot. Errors of restore: MG_CORRUPT.
    mg_err (*snapshot)(const mg_env *e, mg_arena *arena, void **bytes, size_t *n);
    mg_err (*restore)(mg_env *e, const void *bytes, size_t n, mg_value *observation);
    // The texts that may be said now; valid until the next call. Returns how many.
    int64_t (*admissible)(const mg_env *e, const char *const **actions);
    const mg_script *scripts; // ended by a NULL name
    // How the last reset, step or restore went over the wire, failed ones too; valid until the next.
    // NULL: there is no wire.
    const struct mg_call *(*call)(const mg_env *e);
} mg_env_class;

struct mg_env {
    const mg_env_class *class;
    const void         *world; // shared, read-only, outlives the environment
    void               *state; // [class->state_size], owned by mg_env_open and mg_env_close
    const char         *fault; // taxonomy code of the call that just failed (static), such as
                               // "E.timeout"; NULL: the caller's own default
};

// Allocates the state on the arena, zeroed, and opens it. A close belongs to every open that went
// well; after an error of reset, step or restore only close may follow (E3).
mg_err mg_env_open(mg_env *e, const mg_env_class *class, const void *world, mg_arena *arena) MG_MUST_USE;
void   mg_env_close(mg_env *e); // an env that was not opened: no effect
const mg_script *mg_env_script(const mg_env_class *class, const char *name); // or NULL

// SHA-256 of the class's digest or of the state's bytes.
void mg_env_digest(const mg_env *e, uint8_t out[32]);
#endif
