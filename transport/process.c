// process.c - environments that are processes, as a class of the contract.
#include "transport/process.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <string.h>

#include "transport/conversation.h"

#define CLOSE_TIMEOUT_MS 1000 // for the last word of a process that is going to be killed anyhow

_Static_assert(MG_PROCESS_LINE_MAX == MG_WIRE_LINE_MAX, "one limit under two names");

struct mg_process_kind {
    mg_process_options options;
    mg_env_class       class;
    mg_wire_hello      hello;
    char              *name;    // owned
    uint64_t           started; // processes so far: each has nonces of its own
};

// mg_env.state of this class.
typedef struct process {
    mg_process_kind *kind;
    mg_conversation *talk;
    mg_wire_hello    hello;    // what this process said last
    mg_wire_answer   shown_answer, listed_answer; // what `shown` and `actions` borrow from
    mg_wire_shown    shown;    // by the last reset, step or restore
    float           *vector;   // the numbers of its observation
    uint8_t          seen[32]; // hash of all that was told and shown since the reset
    mg_call          call;     // of the last reset, step or restore
    char            *call_raw; // its bytes
    const char     **actions;
} process;

static process *of(const mg_env *e) { return e->state; }

static mg_err ask(process *p, mg_wire_request *r, mg_wire_answer *out) {
    int64_t timeout_ms = p->kind->options.call_timeout_ms;
    if (r->call == MG_WIRE_CLOSE && timeout_ms > CLOSE_TIMEOUT_MS) timeout_ms = CLOSE_TIMEOUT_MS;
    return mg_conversation_ask(p->talk, r, timeout_ms, out);
}

// What came was the answer to the call, but not what an answer has to be.
static mg_err malformed(process *p, mg_err err) {
    const mg_code code = err == MG_MISMATCH ? MG_E_OBSERVATION : MG_H_PROTOCOL;
    return mg_conversation_end(p->talk, code, mg_err_detail());
}

static mg_err hello(process *p, int64_t timeout_ms) {
    mg_wire_request r = {.call = MG_WIRE_HELLO};
    mg_wire_answer  answer;
    mg_wire_hello   said;
    mg_err          err = mg_conversation_ask(p->talk, &r, timeout_ms, &answer);
    if (err) return err;
    err = mg_wire_hello_read(&answer, &said);
    mg_wire_release(&answer);
    if (err) return malformed(p, err);
    mg_wire_hello_release(&p->hello);
    p->hello = said;
    return MG_OK;
}

static void release(process *p) {
    mg_conversation_close(p->talk);
    mg_wire_hello_release(&p->hello);
    mg_wire_release(&p->shown_answer);
    mg_wire_release(&p->listed_answer);
    mg_wire_shown_release(&p->shown);
    free(p->vector);
    free(p->call_raw);
    free(p->actions);
    *p = (process){0};
}

static mg_err start(process *p, mg_process_kind *k) {
    const mg_process_options     *o = &k->options;
    const mg_conversation_options c = {.name = k->name, .argv = o->argv, .log_path = o->stderr_path,
                                       .seed = o->seed, .id = k->started++};
    *p         = (process){.kind = k};
    mg_err err = mg_conversation_open(&p->talk, &c);
    if (!err) err = hello(p, o->start_timeout_ms);
    if (err) release(p);
    return err;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_space(const mg_space *a, const mg_space *b) {
    return a->kind == b->kind && a->n == b->n && a->low == b->low && a->high == b->high;
}

static bool same_hello(const mg_wire_hello *a, const mg_wire_hello *b) {
    return same_text(a->manifest, b->manifest) && same_text(a->manifest_hash, b->manifest_hash) &&
           same_space(&a->observation, &b->observation) && same_space(&a->action, &b->action) &&
           a->steps_max == b->steps_max && a->items == b->items && a->resets == b->resets &&
           a->snapshots == b->snapshots && a->digests == b->digests &&
           a->admissible == b->admissible;
}

static mg_err process_open(mg_env *e) {
    // The kind is the world, which is read-only to everybody but its own class: it counts
    // processes.
    mg_process_kind *k   = (mg_process_kind *)(uintptr_t)e->world;
    process         *p   = of(e);
    mg_err           err = start(p, k);
    if (err) return err;
    const mg_space *seen = &k->hello.observation;
    if (seen->kind == MG_SPACE_VECTOR && !(p->vector = calloc((size_t)seen->n, sizeof *p->vector))) {
        release(p);
        return mg_fail(MG_NOMEM, "%s: no memory for an observation of %lld numbers", k->name, (long long)seen->n);
    }
    // The first call says so: whoever opened it learns the code from there.
    if (!same_hello(&p->hello, &k->hello))
        mg_conversation_end(p->talk, MG_E_MANIFEST,
                            "this process says something else of itself than the "
                            "first one of its kind did");
    return MG_OK;
}

static void process_close(mg_env *e) {
    process        *p = of(e);
    mg_wire_request r = {.call = MG_WIRE_CLOSE};
    mg_wire_answer  answer;
    // It may flush what it has; whether it answers changes nothing.
    if (ask(p, &r, &answer) == MG_OK) mg_wire_release(&answer);
    release(p);
}

// seen = H(seen | H(bytes)). Equal where an environment was told and has shown the same since its
// reset: the stand-in for a digest of the state.
static void see(process *p, const void *bytes, size_t n) {
    uint8_t both[64];
    memcpy(both, p->seen, 32);
    SHA256(bytes, n, both + 32);
    SHA256(both, sizeof both, p->seen);
}

static void see_value(process *p, const mg_value *v, const mg_space *space) {
    if (space->kind == MG_SPACE_TEXT)
        see(p, v->text, v->size);
    else if (space->kind == MG_SPACE_DISCRETE)
        see(p, &v->index, sizeof v->index);
    else
        see(p, v->vector, sizeof *v->vector * (size_t)space->n);
}

static void see_all(process *p, const mg_wire_request *r, const mg_transition *t) {
    const uint64_t words[] = {t->reward.kind, t->terminated, t->truncated};
    if (r->call == MG_WIRE_STEP)
        see_value(p, r->action, r->space);
    else
        memset(p->seen, 0, sizeof p->seen);
    see_value(p, &t->observation, &p->kind->hello.observation);
    see(p, words, sizeof words);
    if (t->reward.kind == MG_REWARD_VALUE) see(p, &t->reward.value, sizeof t->reward.value);
}

static void keep_call(process *p) {
    p->call        = *mg_conversation_call(p->talk);
    free(p->call_raw);
    p->call_raw = malloc(p->call.raw_size + 1);
    if (p->call_raw && p->call.raw_size) memcpy(p->call_raw, p->call.raw, p->call.raw_size);
    p->call.raw = p->call_raw;
}

// reset, step or restore: what it shows, or the code in e->fault.
static mg_err show(mg_env *e, mg_wire_request *r, mg_transition *out) {
    process        *p     = of(e);
    const mg_space *space = &p->kind->hello.observation;
    mg_wire_answer  answer;
    mg_err          err = ask(p, r, &answer);
    keep_call(p);
    if (!err) {
        mg_wire_release(&p->shown_answer);
        mg_wire_shown_release(&p->shown);
        p->shown_answer = answer;
        err             = mg_wire_shown_read(&answer, r->call, space, p->vector, &p->shown);
        if (err) err = malformed(p, err);
    }
    const char *hash = p->shown.manifest_hash;
    if (!err && hash && !same_text(hash, p->hello.manifest_hash))
        err = mg_conversation_end(p->talk, MG_E_MANIFEST, p->hello.manifest_hash
                                      ? "its manifest's hash is no longer the one of its hello"
                                      : "it gives a hash of its manifest, and its hello gave none");
    if (err) {
        e->fault = mg_code_name(mg_conversation_code(p->talk));
        return err;
    }
    see_all(p, r, &p->shown.transition);
    *out = p->shown.transition;
    return MG_OK;
}

static mg_err process_reset(mg_env *e, uint64_t seed, const mg_reset_options *options,
                            int64_t now_ns, mg_value *observation) {
    mg_wire_request r = {.call = MG_WIRE_RESET, .seed = seed, .options = options, .now_ns = now_ns};
    mg_transition   t;
    mg_err          err = show(e, &r, &t);
    if (!err) *observation = t.observation;
    return err;
}

static mg_err process_step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    const mg_space *space = &e->class->action;
    MG_ASSERT(action->kind == space->kind);
    mg_wire_request r = {.call = MG_WIRE_STEP, .action = action, .space = space, .now_ns = now_ns};
    return show(e, &r, out);
}

static mg_err process_restore(mg_env *e, const void *bytes, size_t n, mg_value *observation) {
    mg_wire_request r = {.call = MG_WIRE_RESTORE, .bytes = bytes, .n_bytes = n};
    mg_transition   t;
    mg_err          err = show(e, &r, &t);
    if (!err) *observation = t.observation;
    return err;
}

static mg_err process_snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    process        *p = of(e);
    mg_wire_request r = {.call = MG_WIRE_SNAPSHOT};
    mg_wire_answer  answer;
    char           *text = NULL;
    size_t          size = 0;
    mg_err          err  = ask(p, &r, &answer);
    if (err) return err;
    err = mg_wire_snapshot_read(&answer, &text, &size);
    mg_wire_release(&answer);
    if (err) return malformed(p, err);
    *bytes = mg_arena_alloc_raw(arena, size);
    *n     = size;
    memcpy(*bytes, text, size);
    free(text);
    return MG_OK;
}

// A digest that could not be had equals no other: it is of a nonce that was used once.
static void no_digest(const process *p, uint8_t out[32]) {
    const mg_call *c       = mg_conversation_call(p->talk);
    const uint64_t words[] = {p->kind->options.seed, c->request, c->nonce};
    SHA256((const uint8_t *)words, sizeof words, out);
}

static void process_digest(const mg_env *e, uint8_t out[32]) {
    process        *p = of(e);
    mg_wire_request r = {.call = MG_WIRE_DIGEST};
    mg_wire_answer  answer;
    if (p->shown.has_digest)
        memcpy(out, p->shown.digest, 32);
    else if (!p->kind->hello.digests)
        memcpy(out, p->seen, 32);
    else if (ask(p, &r, &answer))
        no_digest(p, out);
    else {
        mg_err err = mg_wire_digest_read(&answer, out);
        mg_wire_release(&answer);
        if (err) {
            malformed(p, err);
            no_digest(p, out);
        }
    }
}

// As said at the start: how many tasks there are is asked of worlds that are not open.
static int64_t process_items(const mg_env *e) {
    return ((const mg_process_kind *)e->world)->hello.items;
}

static int64_t process_admissible(const mg_env *e, const char *const **actions) {
    process        *p = of(e);
    mg_wire_request r = {.call = MG_WIRE_ADMISSIBLE};
    mg_wire_answer  answer;
    int64_t         n = 0;
    free(p->actions);
    p->actions = NULL;
    if (ask(p, &r, &answer) == MG_OK) {
        mg_wire_release(&p->listed_answer);
        p->listed_answer = answer;
        mg_err err       = mg_wire_admissible_read(&answer, &p->actions, &n);
        if (err) malformed(p, err);
    }
    *actions = p->actions;
    return n;
}

static const char *process_manifest(const mg_env *e) {
    process *p = of(e);
    if (hello(p, p->kind->options.call_timeout_ms) || !p->hello.manifest) return "null";
    return p->hello.manifest;
}

static const mg_call *process_call(const mg_env *e) { return &of(e)->call; }

static mg_env_class class_of(const mg_process_kind *k) {
    const mg_wire_hello *h = &k->hello;
    return (mg_env_class){
        .name = k->name, .summary = "an environment in a process of its own",
        .observation = h->observation, .action = h->action,
        .state_size = sizeof(process), .steps_max = h->steps_max,
        .reset = process_reset, .step = process_step, .resets = h->resets,
        .items = h->items > 0 ? process_items : NULL,
        .digest = process_digest, .open = process_open, .close = process_close,
        .manifest = h->manifest ? process_manifest : NULL,
        .snapshot = h->snapshots ? process_snapshot : NULL,
        .restore = h->snapshots ? process_restore : NULL,
        .admissible = h->admissible ? process_admissible : NULL,
        .call = process_call,
    };
}

mg_err mg_process_kind_open(mg_process_kind **out, const mg_process_options *o) {
    MG_ASSERT(o->argv && o->argv[0] && o->start_timeout_ms > 0 && o->call_timeout_ms > 0);
    mg_process_kind *k = calloc(1, sizeof *k);
    process          p;
    if (!k) return mg_fail(MG_NOMEM, "%s: no memory", o->argv[0]);
    k->options = *o;
    k->name    = strdup(o->argv[0]);
    mg_err err = start(&p, k);
    if (!err) {
        k->hello = p.hello; // taken over: the process is released without it
        p.hello  = (mg_wire_hello){0};
        release(&p);
        if (k->hello.name) {
            free(k->name);
            k->name = strdup(k->hello.name);
        }
        k->class = class_of(k);
        *out = k;
    } else
        mg_process_kind_close(k);
    return err;
}

void mg_process_kind_close(mg_process_kind *k) {
    if (!k) return;
    mg_wire_hello_release(&k->hello);
    free(k->name);
    free(k);
}

const mg_env_class *mg_process_class(const mg_process_kind *k) { return &k->class; }
