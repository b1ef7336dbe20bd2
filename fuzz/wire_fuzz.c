// wire_fuzz.c - strangers' bytes as an answer of an environment's process.
//
// Build and run with clang's libFuzzer:
//   clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. fuzz/wire_fuzz.c transport/wire.c
//       transport/wire_json.c transport/wire_read.c transport/wire_write.c harness/taxonomy.c
//       env/env.c core/arena.c core/err.c -ljansson -lcrypto -lm -o wire_fuzz
// What is accepted is whole: every string ends, every number is in its range, a reward that is a
// VALUE is finite, a snapshot is written and read again as the same bytes. The first byte chooses
// the call.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "transport/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void reward(const mg_reward *r) {
    double x = NAN;
    MG_ASSERT(mg_reward_value(r, &x) == (r->kind == MG_REWARD_VALUE));
    MG_ASSERT(r->kind != MG_REWARD_VALUE || isfinite(x));
    MG_ASSERT(r->kind == MG_REWARD_VALUE || r->kind == MG_REWARD_ABSENT || r->reason);
}

static void shown(const mg_wire_answer *a, mg_wire_call call, mg_space_kind kind) {
    static const int64_t n[] = {
        [MG_SPACE_VECTOR] = 3, [MG_SPACE_DISCRETE] = 7, [MG_SPACE_TEXT] = 50};
    const mg_space       space = {.kind = kind, .n = n[kind]};
    float                vector[3];
    static mg_wire_shown s;
    const mg_err         err = mg_wire_shown_read(a, call, &space, vector, &s);
    MG_ASSERT(!err || err == MG_CORRUPT || err == MG_MISMATCH);
    if (err) return;
    const mg_evidence *e = &s.transition.evidence;
    const mg_value    *v = &s.transition.observation;
    reward(&s.transition.reward);
    reward(&e->owed);
    MG_ASSERT(e->held >= 0 && e->held <= e->conditions && e->took_ns >= 0);
    MG_ASSERT(e->n_touched >= 0 && e->n_touched <= MG_WIRE_TOUCHED_MAX);
    for (int64_t i = 0; i < e->n_touched; i++) MG_ASSERT(strlen(e->touched[i].key) > 0);
    MG_ASSERT(!e->arguments || e->arguments[0] == '{');
    if (kind == MG_SPACE_TEXT) MG_ASSERT(v->size <= 50 && v->text[v->size] == 0);
    if (kind == MG_SPACE_DISCRETE) MG_ASSERT(v->index >= 0 && v->index < 7);
    for (int i = 0; kind == MG_SPACE_VECTOR && i < 3; i++) MG_ASSERT(isfinite(v->vector[i]));
    mg_wire_shown_release(&s);
}

static void snapshot(const mg_wire_answer *a) {
    char  *text, *line;
    size_t n, size;
    if (mg_wire_snapshot_read(a, &text, &n)) return;
    const mg_wire_request r = {
        .call = MG_WIRE_RESTORE, .id = 1, .nonce = 1, .bytes = text, .n_bytes = n};
    mg_err                err = mg_wire_write(&r, &line, &size);
    MG_ASSERT(!err || err == MG_LIMIT);
    if (!err) {
        // The request has the snapshot as an answer to "snapshot" would have, and two keys more.
        MG_ASSERT(line[size - 1] == '\n' && !memchr(line, '\n', size - 1));
        free(line);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    mg_wire_answer a;
    if (size == 0) return 0;
    const mg_wire_call  call = (mg_wire_call)(bytes[0] % MG_WIRE_CALLS);
    const mg_space_kind kind = (mg_space_kind)(bytes[0] / MG_WIRE_CALLS % 3);
    const mg_err        err  = mg_wire_read((const char *)bytes + 1, size - 1, call, &a);
    MG_ASSERT(!err || (err == MG_CORRUPT && mg_err_detail()[0]));
    if (err) return 0;
    MG_ASSERT((a.code != MG_CODE_NONE) == (a.error != NULL) && !mg_code_is_model(a.code));
    mg_wire_hello hello;
    const char  **actions;
    int64_t       n;
    uint8_t       digest[32];
    if (call == MG_WIRE_HELLO && !mg_wire_hello_read(&a, &hello)) {
        MG_ASSERT(hello.steps_max > 0 && hello.observation.n > 0 && hello.action.n > 0 &&
                  hello.items >= 0);
        mg_wire_hello_release(&hello);
    }
    if (call == MG_WIRE_RESET || call == MG_WIRE_STEP || call == MG_WIRE_RESTORE)
        shown(&a, call, kind);
    if (call == MG_WIRE_ADMISSIBLE && !mg_wire_admissible_read(&a, &actions, &n)) {
        for (int64_t i = 0; i < n; i++) MG_ASSERT(strlen(actions[i]) < size);
        free(actions);
    }
    if (call == MG_WIRE_SNAPSHOT) snapshot(&a);
    if (call == MG_WIRE_DIGEST && mg_wire_digest_read(&a, digest)) digest[0] = 0;
    mg_wire_release(&a);
    return 0;
}
