// watch.c - claims against evidence, call by call.
#include "harness/watch.h"

#include <stdarg.h>
#include <string.h>

#include "harness/note.h"
#include "harness/traceback.h"

void mg_note_cut(char *s) {
    size_t n = strlen(s), start = n;
    while (start > 0 && n - start < 4 && ((unsigned char)s[start - 1] & 0xC0) == 0x80) start--;
    if (start == 0) return;
    const unsigned char lead = (unsigned char)s[start - 1];
    const size_t        size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (size > 1 && n - (start - 1) < size) s[start - 1] = 0;
}

void mg_note_action(char out[64], const char *action) {
    snprintf(out, 64, "%s", action);
    mg_note_cut(out);
}

void mg_finding_note(mg_finding *f, mg_verdict verdict, mg_code code, int32_t turn, const char *fmt,
                     ...) {
    va_list args;
    if (f->code != MG_CODE_NONE && verdict <= f->verdict) return;
    f->verdict = verdict, f->code = code, f->turn = turn;
    va_start(args, fmt);
    vsnprintf(f->detail, sizeof f->detail, fmt, args);
    va_end(args);
    mg_note_cut(f->detail);
}

void mg_watch_begin(mg_watch *w, const mg_manifest *manifest) {
    memset(w, 0, sizeof *w);
    w->manifest   = manifest;
    w->finding    = (mg_finding){.verdict = MG_CLEAN, .turn = -1};
    w->differs_at = -1;
}

void mg_watch_reset(mg_watch *w, const uint8_t digest[32], const uint8_t *fresh) {
    w->reset = true;
    if (fresh && memcmp(digest, fresh, 32) != 0)
        mg_finding_note(
            &w->finding, MG_QUARANTINED, MG_E_DIRTY, -1,
            "the state after reset has digest %02x%02x%02x%02x.., a fresh environment's "
            "%02x%02x%02x%02x..",
            digest[0], digest[1], digest[2], digest[3], fresh[0], fresh[1], fresh[2], fresh[3]);
}

void mg_watch_manifest(mg_watch *w, const uint8_t hash[32]) {
    const uint8_t *pinned = w->manifest ? w->manifest->hash : NULL;
    if (pinned && memcmp(hash, pinned, 32) != 0)
        mg_finding_note(
            &w->finding, MG_QUARANTINED, MG_E_MANIFEST, w->reset ? w->turns : -1,
            "the manifest has hash %02x%02x%02x%02x.., the pinned one %02x%02x%02x%02x..", hash[0],
            hash[1], hash[2], hash[3], pinned[0], pinned[1], pinned[2], pinned[3]);
}

// ---- one call --------------------------------------------------------------------------------

typedef struct call { // what the checks of one call share
    mg_watch                *w;
    const mg_evidence       *e;
    const mg_action_promise *promise; // NULL: none
    int64_t                  now_ns, took_ns;
    bool                     says_done; // OK, or a world without such a notion
    bool                     late;      // at or after its promised time-out
    // Over the keys touched:
    bool confirmed; // some value in the state is new, or is what the answer shows
    bool unchanged; // some key is known not to have changed
    int claims; // keys that the answer says it changed
    int hollow; // of these, the ones known not to have
} call;

static void found(const call *c, mg_verdict verdict, mg_code code, const char *key,
                  const char *what) {
    mg_finding_note(&c->w->finding, verdict, code, c->w->turns, "%s%s%s%s%s",
                    c->e->action ? c->e->action : "", c->e->action ? ": " : "", key ? key : "",
                    key ? ": " : "", what);
}

static void check_action(const call *c) {
    const mg_manifest *m       = c->w->manifest;
    const bool         refused = c->e->status == MG_STATUS_REFUSED;
    if (!m || m->n_actions == 0) return;
    if (!c->promise) {
        if (refused)
            found(c, MG_CLEAN, MG_M_PARSE, NULL, "refused, and none of the manifest's actions");
        else if (c->e->action && c->says_done)
            found(c, MG_QUARANTINED, MG_E_MANIFEST, NULL,
                  "done, but none of the manifest's actions");
        return;
    }
    if (!c->promise->schema || !c->e->arguments ||
        !mg_schema_check_text(c->promise->schema, c->e->arguments, strlen(c->e->arguments)))
        return;
    if (refused)
        found(c, MG_CLEAN, MG_M_ARGS, NULL, mg_err_detail());
    else
        found(c, MG_QUARANTINED, MG_E_MANIFEST, "not refused, against its schema", mg_err_detail());
}

// FNV-1a, 64 bits (Fowler, Noll & Vo; draft-eastlake-fnv); 0 is kept for "empty".
static uint64_t hash_of(const char *key) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    return h ? h : 1;
}

// The key's place in the table, which is the first empty one for a new key; -1: the table is full.
static int place_of(mg_watch *w, uint64_t key) {
    for (uint64_t i = 0; i < MG_WATCH_KEYS; i++) {
        const int at = (int)((key + i) % MG_WATCH_KEYS);
        if (w->seen[at].key == key) return at;
        if (w->seen[at].key) continue;
        w->seen[at].key = key, w->seen[at].written_ns = INT64_MIN;
        w->n_seen++;
        return at;
    }
    w->untestable = true;
    return -1;
}

static bool declared(const mg_action_promise *p, const char *key) {
    if (!p || p->n_writes == 0) return true; // nothing is promised about what it writes
    for (int64_t i = 0; i < p->n_writes; i++)
        if (mg_key_matches(p->writes[i], key)) return true;
    return false;
}

// A value older than the last write may be shown for as long as the action has said.
static bool may_be_old(const call *c, int at) {
    const int64_t allowed = c->promise ? c->promise->visibility_ms * 1000000 : 0;
    if (allowed <= 0) return false;
    if (at >= 0 && c->w->seen[at].written_ns != INT64_MIN) {
        int64_t age;
        return !__builtin_sub_overflow(c->now_ns, c->w->seen[at].written_ns, &age) &&
               age <= allowed;
    }
    c->w->untestable = true; // nobody knows when it was written
    return true;
}

// A value that is shown and was not written: against the state, and against what was acknowledged.
static void check_read(const call *c, const mg_touch *t, int at) {
    const mg_code code = c->late && c->says_done ? MG_E_TIMEOUT : MG_E_STALE;
    if (!t->shown) return;
    if (t->after && t->shown != t->after) {
        if (!may_be_old(c, at))
            found(c, MG_QUARANTINED, code, t->key, "what is shown is not what the state holds");
    } else if (at >= 0 && c->w->seen[at].written_ns != INT64_MIN && c->w->seen[at].value &&
               t->shown != c->w->seen[at].value && t->shown == c->w->seen[at].older &&
               !may_be_old(c, at)) {
        // Where the state agrees with what is shown, the write was lost, or the world undid it.
        found(c, t->after ? MG_SUSPECT : MG_QUARANTINED, MG_E_STALE, t->key,
              "the value from before the last acknowledged write is shown");
    }
}

// The state itself, before a call touches it: a write that was acknowledged has been taken back.
static void check_kept(const call *c, const mg_touch *t, int at) {
    if (at < 0 || c->w->seen[at].written_ns == INT64_MIN || !c->w->seen[at].value || !t->before) return;
    if (t->before != c->w->seen[at].value && t->before == c->w->seen[at].older && !may_be_old(c, at))
        found(c, MG_SUSPECT, MG_E_STATE, t->key, "the last acknowledged write is gone from the state");
}

// A key that the answer says it changed, by a call that says it is done.
static void check_claim(call *c, const mg_touch *t) {
    const mg_action_promise *p     = c->promise;
    const bool               known = t->before && t->after, same = known && t->before == t->after;
    const bool               must  = p && p->effect == MG_EFFECT_MUTATING && !p->idempotent;
    c->claims++;
    if (same && (must || t->shown != t->after)) {
        c->hollow++;
        if (t->shown &&
            t->shown != t->after) // it shows a change that is none: no other key makes up for it
            found(c, MG_QUARANTINED, c->late ? MG_E_TIMEOUT : MG_E_STATE, t->key,
                  "the answer shows a change, the state has none");
    } else if (known && !same && t->shown && t->shown != t->after)
        found(c, MG_QUARANTINED, t->shown == t->before ? MG_E_STALE : MG_E_STATE, t->key,
              "it was changed, but the answer shows another value");
}

// What is known of the key after this call.
static void remember(const call *c, const mg_touch *t, int at) {
    if (at < 0) return;
    const uint64_t before = t->before ? t->before : c->w->seen[at].value;
    if (t->before && t->after && t->before != t->after) {
        c->w->seen[at].value = t->after;
    } else if (t->wrote) {
        c->w->seen[at].value = c->says_done ? (t->after ? t->after : t->shown) : 0;
    } else {
        if (!c->w->seen[at].value && t->shown) c->w->seen[at].value = t->shown;
        return;
    }
    c->w->seen[at].older      = before;
    c->w->seen[at].written_ns =
        c->now_ns > INT64_MAX - c->took_ns ? INT64_MAX : c->now_ns + c->took_ns;
}

static void check_touch(call *c, const mg_touch *t) {
    const mg_status s       = c->e->status;
    const bool      known   = t->before && t->after, changed = known && t->before != t->after;
    const int       at      = place_of(c->w, hash_of(t->key));
    const bool      pure    = c->promise && c->promise->effect == MG_EFFECT_PURE;
    const bool      not_done = s == MG_STATUS_REFUSED || s == MG_STATUS_ERROR;
    c->confirmed |= changed || (t->shown && t->shown == t->after);
    c->unchanged |= known && !changed;
    if (changed && pure)
        found(c, MG_QUARANTINED, MG_E_STATE, t->key, "changed by an action that is pure");
    else if (changed && not_done)
        found(c, MG_QUARANTINED, MG_E_STATE, t->key, "changed by a call that says it was not done");
    else if ((changed || (t->wrote && c->says_done)) && !declared(c->promise, t->key))
        found(c, MG_QUARANTINED, MG_E_STATE, t->key,
              "changed, but none of the action's declared writes");
    if (t->wrote && c->says_done) check_claim(c, t);
    else if (!t->wrote) check_read(c, t, at);
    check_kept(c, t, at);
    remember(c, t, at);
}

static void check_effect(const call *c) {
    const mg_action_promise *p = c->promise;
    if (c->claims > 0 && c->hollow == c->claims && !(p && p->idempotent)) {
        const bool sure = p && p->effect == MG_EFFECT_MUTATING;
        found(c, sure ? MG_QUARANTINED : MG_SUSPECT, c->late ? MG_E_TIMEOUT : MG_E_STATE, NULL,
              "the answer says that it changed something, the state has not changed");
    }
    if (c->says_done && c->late && !c->confirmed)
        found(c, c->unchanged ? MG_QUARANTINED : MG_SUSPECT, MG_E_TIMEOUT, NULL,
              c->unchanged ? "done, it says, after its time-out, and the state has not changed"
                           : "done, it says, after its time-out, and nothing shows it");
    if (c->e->status == MG_STATUS_TIMEOUT && p && p->timeout_ms == 0)
        found(c, MG_SUSPECT, MG_E_TIMEOUT, NULL,
              "ran out of time, and its manifest declares no time-out");
}

static void check_text(const call *c, const mg_value *seen) {
    const mg_status s = c->e->status;
    if (seen->kind != MG_SPACE_TEXT || !seen->text || s == MG_STATUS_REFUSED ||
        s == MG_STATUS_ERROR || s == MG_STATUS_TIMEOUT)
        return;
    const char *phrase = mg_traceback_find(seen->text, seen->size, c->confirmed);
    if (phrase)
        mg_finding_note(&c->w->finding, MG_SUSPECT, MG_E_TRACEBACK, c->w->turns,
                        "what is shown has '%s', and no error is declared", phrase);
}

// A call of which nobody knows whether it was done may have written anything: what was known before it
// is not known any more, but for what its own evidence says.
static void forget(const call *c) {
    const bool pure = c->promise && c->promise->effect == MG_EFFECT_PURE;
    for (int i = 0; i < MG_WATCH_KEYS && c->e->status == MG_STATUS_TIMEOUT && !pure; i++)
        c->w->seen[i].value = 0;
}

static void check_call(mg_watch *w, const mg_transition *t, int64_t now_ns) {
    const mg_evidence *e = &t->evidence;
    call c = {.w = w, .e = e, .now_ns = now_ns, .took_ns = e->took_ns > 0 ? e->took_ns : 0};
    if (w->manifest && e->action) c.promise = mg_manifest_action(w->manifest, e->action);
    c.says_done = e->status == MG_STATUS_OK || e->status == MG_STATUS_NONE;
    c.late = c.promise && c.promise->timeout_ms > 0 && c.took_ns >= c.promise->timeout_ms * 1000000;
    check_action(&c);
    forget(&c);
    for (int64_t i = 0; i < e->n_touched && e->touched; i++)
        if (e->touched[i].key) check_touch(&c, &e->touched[i]);
    check_effect(&c);
    check_text(&c, &t->observation);
}

void mg_watch_step(mg_watch *w, const mg_transition *t, int64_t now_ns) {
    const mg_evidence *e = &t->evidence;
    if (w->finding.verdict != MG_QUARANTINED) { // nothing graver, and nothing earlier, can be found
        check_call(w, t, now_ns);
        mg_watch_pay(w, &t->reward, &e->owed);
        if (e->conditions > 0 && 0 <= e->held && e->held <= e->conditions)
            w->conditions = e->conditions, w->held = e->held;
    }
    w->turns++;
}

// ---- the end ---------------------------------------------------------------------------------

void mg_watch_fault(mg_watch *w, mg_code code, const char *detail) {
    if (code <= MG_CODE_NONE || code >= MG_CODES) code = MG_H_UNKNOWN;
    mg_finding_note(&w->finding, mg_code_is_model(code) ? MG_CLEAN : MG_QUARANTINED, code,
                    w->reset ? w->turns : -1, "%s",
                    detail && *detail ? detail : mg_code_meaning(code));
}

void mg_watch_end(mg_watch *w, bool terminated, bool wants_reward, const mg_reward *total) {
    mg_watch_settle(w, wants_reward, total);
    if (w->finding.verdict != MG_CLEAN || w->conditions == 0) return;
    if (w->held == w->conditions) // a task that is solved has no failure to be named
        w->finding = (mg_finding){.verdict = MG_CLEAN, .turn = -1};
    else
        mg_finding_note(&w->finding, MG_CLEAN, terminated ? MG_M_WRONG : MG_M_LIMIT, -1,
                        "%s with %d of %d conditions held",
                        terminated ? "the task ended" : "it was cut off", w->held, w->conditions);
}

void mg_watch_verdict(const mg_watch *w, mg_episode *e) {
    const mg_finding *f = &w->finding;
    e->verdict   = f->verdict;
    e->code      = mg_code_name(f->code);
    e->code_turn = f->turn < e->n_turns ? f->turn : (int32_t)e->n_turns - 1;
    memcpy(e->detail, f->detail, sizeof e->detail);
}
