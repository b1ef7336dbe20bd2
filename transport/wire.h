// wire.h - the JSON lines of process.h: requests written, answers read.
//
// Everything that comes in is a stranger's word: each key is known and of its type, or the message
// is refused with what was found and what was wanted. Two things are told apart from a broken
// message, because real environments send them and they concern one value alone:
//
//   a reward that is no number  ABSENT or INVALID. Python's json.dumps writes NaN, Infinity and
//                               -Infinity, which are no JSON, and 1e999 fits no double: such a
//                               token is read as a text, so in the reward's place it is INVALID.
//   an observation that is not of its declared space: MG_MISMATCH, where all else is MG_CORRUPT.
//
// No I/O, no clock. Strings of an answer live as long as the answer.
#ifndef MG_TRANSPORT_WIRE_H
#define MG_TRANSPORT_WIRE_H
#include "env/env.h"
#include "harness/taxonomy.h"

#define MG_WIRE_LINE_MAX    (16 << 20) // bytes of a message
#define MG_WIRE_TOUCHED_MAX 256        // keys that one call may say it touched
#define MG_WIRE_ITEMS_MAX   (1 << 24)  // tasks that may be listed; runs hold their numbers in memory

struct json_t;

typedef enum mg_wire_call {
    MG_WIRE_HELLO, MG_WIRE_RESET, MG_WIRE_STEP, MG_WIRE_DIGEST, MG_WIRE_ADMISSIBLE,
    MG_WIRE_SNAPSHOT, MG_WIRE_RESTORE, MG_WIRE_CLOSE, MG_WIRE_CALLS
} mg_wire_call;

const char *mg_wire_call_name(mg_wire_call c); // static: "hello"

typedef struct mg_wire_request {
    mg_wire_call            call;
    uint64_t                id, nonce;
    uint64_t                seed;    // RESET; its lower 63 bits are sent: an int64 everywhere
    const mg_reset_options *options; // RESET
    const mg_value         *action;  // STEP, of this space
    const mg_space         *space;
    int64_t                 now_ns;  // RESET, STEP
    const void             *bytes;   // RESTORE: as a snapshot's answer gave them
    size_t                  n_bytes;
} mg_wire_request;

// One line with its line end, pure ASCII, owned by the caller (free). Each byte of an action's text
// that belongs to no UTF-8 character is sent as U+FFFD. Errors: MG_NUMERIC (an action
// that is not finite), MG_LIMIT, MG_CORRUPT (bytes that are no snapshot).
mg_err mg_wire_write(const mg_wire_request *r, char **line, size_t *size) MG_MUST_USE;

typedef struct mg_wire_answer {
    struct json_t *root;  // owned
    uint64_t id, nonce;   // 0: it says none, or nothing that is one
    mg_code     code;     // of a typed failure; MG_CODE_NONE: the call went well
    const char *error;    // its sentence
} mg_wire_answer;

// Reads a line without its line end. A failure without a code of its own has the call's usual one
// (reset: E.reset, others: E.step); M and H codes are not an environment's to give.
mg_err mg_wire_read(const char *line, size_t size, mg_wire_call call,
                    mg_wire_answer *out) MG_MUST_USE;
void   mg_wire_release(mg_wire_answer *a); // leaves it empty; twice is fine

// What an environment says of itself.
typedef struct mg_wire_hello {
    char    *name;        // the manifest's; NULL: none. This and the next two are owned
    char    *manifest;    // canonical JSON text, NULL: none
    char    *manifest_hash; // as it says itself, any text; NULL: not given
    mg_space observation, action;
    int64_t  steps_max, items; // items 0: no list of tasks
    bool     resets, snapshots, digests, admissible;
} mg_wire_hello;
mg_err mg_wire_hello_read(const mg_wire_answer *a, mg_wire_hello *out) MG_MUST_USE;
void   mg_wire_hello_release(mg_wire_hello *h);

// What reset, step and restore show.
typedef struct mg_wire_shown {
    mg_transition transition; // reset and restore: the observation alone
    bool          has_digest;
    uint8_t       digest[32];
    const char   *manifest_hash; // NULL: not given
    char         *arguments;     // owned, of the evidence
    mg_touch      touched[MG_WIRE_TOUCHED_MAX];
} mg_wire_shown;
// `vector` has room for space->n numbers, where the space is a vector. Release what went well.
mg_err mg_wire_shown_read(const mg_wire_answer *a, mg_wire_call call, const mg_space *space,
                          float *vector, mg_wire_shown *out) MG_MUST_USE;
void   mg_wire_shown_release(mg_wire_shown *s);

mg_err mg_wire_digest_read(const mg_wire_answer *a, uint8_t out[32]) MG_MUST_USE;
// The texts, owned array of borrowed strings (free the array).
mg_err mg_wire_admissible_read(const mg_wire_answer *a, const char ***actions,
                               int64_t *n) MG_MUST_USE;
// Owned bytes (free).
mg_err mg_wire_snapshot_read(const mg_wire_answer *a, char **bytes, size_t *n) MG_MUST_USE;
#endif
