// manifest.h - what an environment promises of itself, read from JSON.
//
//   {"name": "support-desk", "version": "1",
//    "determinism": "deterministic|seeded|stochastic",
//    "reward": {"min": 0, "max": 1, "resolution": 0.01},
//    "actions": [{"name": "refund", "schema": {JSON Schema of its arguments},
//                 "effect": "pure|mutating|unknown", "reads": ["order/*"], "writes": ["order/*"],
//                 "idempotent": false, "visibility_ms": 0, "timeout_ms": 2000}]}
//
// Everything but the names may be missing; what is missing makes its checks NOT TESTABLE. Keys
// that are not known are refused: a promise that nobody reads is none. Key patterns end in "*" or
// name one key. Returns are min plus whole multiples of the resolution. The hash is over the
// canonical form (keys sorted, actions sorted by name, 0 and 0.0 the same, no white space), so
// two manifests that say the same are the same, also where a server lists its actions in another
// order each time.
#ifndef MG_ENV_MANIFEST_H
#define MG_ENV_MANIFEST_H
#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "env/schema.h"

#define MG_MANIFEST_SIZE_MAX    (1 << 20) // bytes of JSON
#define MG_MANIFEST_ACTIONS_MAX 256
#define MG_MANIFEST_KEYS_MAX    64        // patterns of one list of reads or writes

typedef enum mg_effect { MG_EFFECT_UNKNOWN, MG_EFFECT_PURE, MG_EFFECT_MUTATING } mg_effect;
typedef enum mg_determinism {
    MG_DETERMINISM_UNKNOWN, MG_DETERMINISTIC, MG_SEEDED, MG_STOCHASTIC
} mg_determinism;

typedef struct mg_action_promise {
    const char        *name;
    mg_schema         *schema;   // of its arguments; NULL: not given
    mg_effect          effect;
    const char *const *reads, *const *writes; // key patterns
    int64_t            n_reads, n_writes;
    bool               idempotent;
    int64_t            visibility_ms; // how old a read may be; 0: none
    int64_t            timeout_ms;    // 0: not given
} mg_action_promise;

typedef struct mg_manifest {
    const char               *name, *version;
    mg_determinism            determinism;
    bool                      has_range, has_resolution;
    double                    min, max, resolution; // of an episode's return
    const mg_action_promise  *actions;              // [n_actions], sorted by name
    int64_t                   n_actions;
    uint8_t                   hash[32];
} mg_manifest;

// Everything lies on the arena but the schemas, which mg_manifest_release gives back. Errors,
// naming key, what was found and what was wanted: MG_CORRUPT, MG_LIMIT.
mg_err mg_manifest_read(const char *json, size_t size, mg_arena *arena,
                        mg_manifest *out) MG_MUST_USE;
void   mg_manifest_release(mg_manifest *m);

// The SHA-256 of the canonical form alone, without reading what it says: whether it has changed.
mg_err mg_manifest_hash(const char *json, size_t size, uint8_t out[32]) MG_MUST_USE;

const mg_action_promise *mg_manifest_action(const mg_manifest *m, const char *name); // or NULL
bool mg_key_matches(const char *pattern, const char *key); // "order/*" matches "order/17"
#endif
