// report_guard.h - the guard's section of a report: what it measured, look by look, and what it did.
#ifndef MG_TRAIN_REPORT_GUARD_H
#define MG_TRAIN_REPORT_GUARD_H
#include "train/report.h"

#define MG_REPORT_LOOKS 100 // the first and the last that are shown

// Sets r->guard from the note "guard" (guard_account.h) and the metrics guard_*; a store without that note: no effect.
// Errors: those of reading a store; MG_CORRUPT for a note that is not one.
mg_err mg_report_add_guard(mg_report *r, mg_store *store, mg_arena *arena) MG_MUST_USE;
#endif
