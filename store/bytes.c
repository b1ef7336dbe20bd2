// bytes.c - fields, one after the other; each mg_put_x beside the mg_get_x that undoes it.
#include "store/bytes.h"

#include <math.h>

enum { HAS_CALL = 1, HAS_EVIDENCE = 2 }; // of a turn

void mg_put_text(mg_sink *s, const char *text, size_t size) {
    MG_ASSERT(size < UINT32_MAX);
    const uint32_t length = text ? (uint32_t)size + 1 : 0;
    mg_put(s, &length, 4);
    if (!text) return;
    mg_put(s, text, size);
    mg_put_u8(s, 0);
}

void mg_put_string(mg_sink *s, const char *string) {
    mg_put_text(s, string, string ? strlen(string) : 0);
}

void mg_get(mg_source *s, void *out, size_t n) {
    s->bad = s->bad || (size_t)(s->end - s->at) < n;
    if (s->bad) {
        memset(out, 0, n);
        return;
    }
    memcpy(out, s->at, n);
    s->at += n;
}

uint64_t mg_get_u64(mg_source *s) {
    uint64_t x;
    mg_get(s, &x, sizeof x);
    return x;
}

static int64_t get_i64(mg_source *s) { return (int64_t)mg_get_u64(s); }

static int32_t get_i32(mg_source *s) {
    int32_t x;
    mg_get(s, &x, sizeof x);
    return x;
}

static uint8_t get_u8(mg_source *s) {
    uint8_t x;
    mg_get(s, &x, sizeof x);
    return x;
}

static const char *get_text(mg_source *s, size_t *size) {
    uint32_t length;
    mg_get(s, &length, 4);
    s->bad = s->bad || (size_t)(s->end - s->at) < length || (length && s->at[length - 1] != 0);
    *size  = s->bad || length == 0 ? 0 : length - 1;
    if (s->bad || length == 0) return NULL;
    s->at += length;
    return (const char *)s->at - length;
}

static const char *get_string(mg_source *s) {
    size_t      size;
    const char *text = get_text(s, &size);
    s->bad           = s->bad || (text && strlen(text) != size);
    return text;
}

// A text that is always there, though it may be empty.
static const char *get_present(mg_source *s, size_t *size) {
    const char *text = get_text(s, size);
    s->bad           = s->bad || !text;
    return text;
}

static bool get_bool(mg_source *s) {
    const uint8_t x = get_u8(s);
    s->bad          = s->bad || x > 1;
    return x == 1;
}

void mg_put_reward(mg_sink *s, const mg_reward *r) {
    mg_put_u8(s, (uint8_t)r->kind);
    if (r->kind == MG_REWARD_VALUE)
        mg_put(s, &r->value, sizeof r->value);
    else
        mg_put_string(s, r->reason);
}

static mg_reward get_reward(mg_source *s) {
    mg_reward r = {.kind = (mg_reward_kind)get_u8(s)};
    s->bad      = s->bad || r.kind > MG_REWARD_INVALID;
    if (r.kind == MG_REWARD_VALUE)
        mg_get(s, &r.value, sizeof r.value);
    else
        r.reason = get_string(s);
    s->bad = s->bad || !isfinite(r.value);
    return r;
}

void mg_put_kept(mg_sink *s, const mg_turn *t) {
    mg_put_text(s, t->action ? t->action : "", t->action_size);
    mg_put_reward(s, &t->reward);
}

void mg_get_kept(mg_source *s, mg_turn *t) {
    t->action = get_present(s, &t->action_size);
    t->reward = get_reward(s);
}

static void put_evidence(mg_sink *s, const mg_evidence *v) {
    mg_put_string(s, v->action);
    mg_put_string(s, v->arguments);
    mg_put_u8(s, (uint8_t)v->status);
    mg_put_string(s, v->error);
    mg_put_i64(s, v->took_ns);
    mg_put_i32(s, v->conditions);
    mg_put_i32(s, v->held);
    mg_put_reward(s, &v->owed);
    mg_put_i64(s, v->n_touched);
    for (int64_t i = 0; i < v->n_touched; i++) {
        const mg_touch *t = &v->touched[i];
        mg_put_string(s, t->key);
        mg_put_u8(s, t->wrote);
        mg_put_u64(s, t->shown);
        mg_put_u64(s, t->before);
        mg_put_u64(s, t->after);
    }
}

static void get_evidence(mg_source *s, mg_evidence *v) {
    v->action     = get_string(s);
    v->arguments  = get_string(s);
    v->status     = (mg_status)get_u8(s);
    s->bad        = s->bad || v->status > MG_STATUS_TIMEOUT;
    v->error      = get_string(s);
    v->took_ns    = get_i64(s);
    v->conditions = get_i32(s);
    v->held       = get_i32(s);
    v->owed       = get_reward(s);
    v->n_touched  = get_i64(s);
    s->bad        = s->bad || v->n_touched < 0 || v->n_touched > (s->end - s->at) / 4;
    if (s->bad) v->n_touched = 0;
    mg_touch *touched = v->n_touched ? MG_NEW(s->arena, mg_touch, v->n_touched) : NULL;
    for (int64_t i = 0; i < v->n_touched; i++) {
        touched[i].key    = get_string(s);
        touched[i].wrote  = get_bool(s);
        touched[i].shown  = mg_get_u64(s);
        touched[i].before = mg_get_u64(s);
        touched[i].after  = mg_get_u64(s);
    }
    v->touched = touched;
}

static bool has_call(const mg_call *c) { return c->request || c->nonce || c->raw || c->injected; }

static bool has_times(const mg_call *c) {
    return c->intended_ns || c->sent_ns || c->received_ns || c->load;
}

static bool has_evidence(const mg_evidence *v) {
    return v->action || v->arguments || v->status || v->error || v->n_touched || v->took_ns ||
           v->conditions || v->held || v->owed.kind || v->owed.reason;
}

void mg_put_seen(mg_sink *s, const mg_turn *t) {
    const mg_call *c = &t->call;
    const bool call = has_call(c), evidence = has_evidence(&t->evidence);
    mg_put_text(s, t->observation ? t->observation : "", t->observation_size);
    mg_put_i64(s, t->action_begin);
    mg_put_i64(s, t->action_end);
    mg_put_u8(s, (uint8_t)((call ? HAS_CALL : 0) | (evidence ? HAS_EVIDENCE : 0)));
    if (call) {
        mg_put_u64(s, c->request);
        mg_put_u64(s, c->nonce);
        mg_put_text(s, c->raw, c->raw_size);
        mg_put_string(s, c->injected);
    }
    if (evidence) put_evidence(s, &t->evidence);
}

void mg_get_seen(mg_source *s, mg_turn *t) {
    t->observation  = get_present(s, &t->observation_size);
    t->action_begin = get_i64(s);
    t->action_end   = get_i64(s);
    const uint8_t has = get_u8(s);
    if (has & HAS_CALL) {
        t->call.request  = mg_get_u64(s);
        t->call.nonce    = mg_get_u64(s);
        t->call.raw      = get_text(s, &t->call.raw_size);
        t->call.injected = get_string(s);
    }
    if (has & HAS_EVIDENCE) get_evidence(s, &t->evidence);
    // One way to write each turn: what is said to be there is.
    s->bad = s->bad || has > (HAS_CALL | HAS_EVIDENCE) || has_call(&t->call) != !!(has & HAS_CALL) ||
             has_evidence(&t->evidence) != !!(has & HAS_EVIDENCE);
}

void mg_put_measured(mg_sink *s, const mg_turn *t) {
    const mg_call *c = &t->call;
    mg_put_u8(s, has_times(c));
    if (!has_times(c)) return;
    mg_put_i64(s, c->intended_ns);
    mg_put_i64(s, c->sent_ns);
    mg_put_i64(s, c->received_ns);
    mg_put_i32(s, c->load);
}

void mg_get_measured(mg_source *s, mg_turn *t) {
    if (!get_bool(s)) return;
    t->call.intended_ns = get_i64(s);
    t->call.sent_ns     = get_i64(s);
    t->call.received_ns = get_i64(s);
    t->call.load        = get_i32(s);
    s->bad              = s->bad || !has_times(&t->call);
}
