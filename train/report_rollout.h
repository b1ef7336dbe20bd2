// report_rollout.h - what a rollout found of its policy, in a sentence and a table.
#ifndef MG_TRAIN_REPORT_ROLLOUT_H
#define MG_TRAIN_REPORT_ROLLOUT_H
#include "train/report.h"

// Sets r->summary and r->tables from the note "rollout", whose keys are those of `rollout --json`; a store without that
// note: no effect. Errors: those of reading a store; MG_CORRUPT for a note that is not one.
mg_err mg_report_add_rollout(mg_report *r, mg_store *store, mg_arena *arena) MG_MUST_USE;
#endif
