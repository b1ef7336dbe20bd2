// harness.h - what a run says of its environment: the pinned manifest, and the gate's account of it.
#ifndef MG_TRAIN_HARNESS_H
#define MG_TRAIN_HARNESS_H
#include "env/env.h"
#include "env/manifest.h"
#include "harness/gate.h"
#include "store/store.h"

// What the environment promises, read from an instance that is opened for it; zeroed where it promises
// nothing. Released by mg_manifest_release. Errors: those of opening it and of mg_manifest_read.
mg_err mg_harness_pin(const mg_env_class *class, const void *world, mg_arena *arena,
                      mg_manifest *out) MG_MUST_USE;

// The environment's name and the hash of what it promises: what two runs must share to be compared.
const char *mg_harness_identity(const mg_env_class *class, const mg_manifest *m, mg_arena *arena);

// The gate's account as JSON: attempts, failures, rate and the bound that holds at all times; of each
// test its counts, wealth, share of alpha and whether it tripped; verdicts by code; exclusion, and
// what it selects by.
// `mg_harness_note` keeps it in the store as the note "harness", from which the report is written.
mg_err mg_harness_text(const mg_gate *g, const mg_manifest *m, mg_arena *arena, const char **json) MG_MUST_USE;
mg_err mg_harness_note(const mg_gate *g, const mg_manifest *m, mg_store *store, mg_arena *arena) MG_MUST_USE;
#endif
