// tensorboard.h - scalars as TensorBoard event files.
//
// The format: records as TFRecord frames them (tensorflow/core/lib/io/record_writer), each one an
// Event message (tensorflow/core/util/event.proto). TensorBoard shows all files of a folder as one
// run, so each life of a run writes a file of its own and none is ever changed. The caller gives
// the times: nothing here reads a clock. Threads: one at a time.
#ifndef MG_TRAIN_TENSORBOARD_H
#define MG_TRAIN_TENSORBOARD_H
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define MG_EVENTS_TAG_MAX   200  // bytes
#define MG_EVENTS_FILES_MAX 1000 // lives begun in the same second

typedef struct mg_events mg_events;

// Makes events.out.tfevents.SECONDS.martingale in the folder (.1, .2, ... behind it where that is
// taken). wall_time: seconds since 1970. On success owned by the caller, ended by mg_events_close.
// Errors: MG_IO, MG_NOMEM, MG_LIMIT.
mg_err mg_events_open(mg_events **out, const char *folder, double wall_time) MG_MUST_USE;

// One point of the curve `tag`. Kept as float32, which is what TensorBoard keeps; NaN is allowed.
// Errors: MG_IO, MG_LIMIT (the tag is too long).
mg_err mg_events_scalar(mg_events *e, int64_t step, double wall_time, const char *tag,
                        double value) MG_MUST_USE;

mg_err mg_events_flush(mg_events *e) MG_MUST_USE;
void   mg_events_close(mg_events *e); // NULL: no effect. To know that all is written, flush before.

// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4; what a record's checksums are made of.
uint32_t mg_crc32c(const void *bytes, size_t size);
#endif
