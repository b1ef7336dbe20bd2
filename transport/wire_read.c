// wire_read.c - what answers carry.
#include <inttypes.h>
#include <math.h>
#include <openssl/sha.h>
#include <string.h>

#include "transport/wire.h"
#include "transport/wire_json.h"

static mg_err digest_of(const json_t *v, uint8_t out[32]) {
    const char *s = mg_wire_plain_string(v);
    uint64_t    byte;
    uint8_t     bytes[32];
    if (!s || strlen(s) != 64) return mg_wire_wanted("digest", v, "64 hex digits");
    for (int i = 0; i < 32; i++) {
        const char pair[3] = {s[2 * i], s[2 * i + 1], 0};
        if (!mg_wire_hex(pair, 2, &byte)) return mg_wire_wanted("digest", v, "64 hex digits");
        bytes[i] = (uint8_t)byte;
    }
    memcpy(out, bytes, 32);
    return MG_OK;
}

// "text", {"text":bytes_max}, {"discrete":n} or {"vector":n,"low":..,"high":..}.
static mg_err space_of(const json_t *o, const char *name, mg_space *out) {
    static const char *const keys[] = {"vector", "discrete", "text", "low", "high", NULL};
    const json_t *v = json_object_get(o, name);
    const char   *s = mg_wire_plain_string(v);
    mg_space space = {
        .kind = MG_SPACE_TEXT, .n = MG_WIRE_LINE_MAX, .low = -HUGE_VAL, .high = HUGE_VAL};
    if (s && strcmp(s, "text") == 0) {
        *out = space;
        return MG_OK;
    }
    const char *kind = json_object_get(v, "vector")     ? "vector"
                       : json_object_get(v, "discrete") ? "discrete"
                                                        : "text";
    if (!json_is_object(v) || !json_object_get(v, kind))
        return mg_wire_wanted(name, v,
                              "\"text\", {\"text\":n}, {\"discrete\":n} or {\"vector\":n}");
    mg_err err = mg_wire_known_keys(v, keys);
    if (!err) err = mg_wire_get_count(v, kind, true, 1, MG_WIRE_LINE_MAX, &space.n);
    const json_t *low = json_object_get(v, "low"), *high = json_object_get(v, "high");
    if (!err && ((low && !json_is_number(low)) || (high && !json_is_number(high))))
        err = mg_wire_wanted(name, v, "numbers as low and high");
    if (err) return err;
    if (low) space.low = json_number_value(low);
    if (high) space.high = json_number_value(high);
    if (!(space.low <= space.high)) return mg_wire_wanted(name, v, "a low that is not above high");
    space.kind = kind[0] == 'v'   ? MG_SPACE_VECTOR
                 : kind[0] == 'd' ? MG_SPACE_DISCRETE
                                  : MG_SPACE_TEXT;
    *out       = space;
    return MG_OK;
}

mg_err mg_wire_hello_read(const mg_wire_answer *a, mg_wire_hello *out) {
    static const char *const keys[] = {
        "id",    "nonce",  "manifest",  "manifest_hash", "observation", "action", "steps_max",
        "items", "resets", "snapshots", "digests",       "admissible",  "info",   NULL};
    mg_wire_hello h   = {0};
    const char   *hash = NULL;
    const json_t *m   = json_object_get(a->root, "manifest");
    mg_err        err = mg_wire_known_keys(a->root, keys);
    if (!err) err = space_of(a->root, "observation", &h.observation);
    if (!err) err = space_of(a->root, "action", &h.action);
    if (!err) err = mg_wire_get_count(a->root, "steps_max", true, 1, INT64_MAX, &h.steps_max);
    if (!err) err = mg_wire_get_count(a->root, "items", false, 1, MG_WIRE_ITEMS_MAX, &h.items);
    if (!err) err = mg_wire_get_bool(a->root, "resets", false, &h.resets);
    if (!err) err = mg_wire_get_bool(a->root, "snapshots", false, &h.snapshots);
    if (!err) err = mg_wire_get_bool(a->root, "digests", false, &h.digests);
    if (!err) err = mg_wire_get_bool(a->root, "admissible", false, &h.admissible);
    if (!err && m && !json_is_object(m) && !json_is_null(m))
        err = mg_wire_wanted("manifest", m, "an object");
    if (!err) err = mg_wire_get_string(a->root, "manifest_hash", &hash);
    if (!err && (h.resets || h.snapshots) && !h.digests)
        err = mg_fail(MG_CORRUPT,
                      "\"%s\": found true, wanted \"digests\" beside it: only equal digests "
                      "show that a state was restored",
                      h.resets ? "resets" : "snapshots");
    if (err) return err;
    if (json_is_object(m)) h.manifest = json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS);
    const char *name = mg_wire_plain_string(json_object_get(m, "name"));
    if (name) h.name = strdup(name);
    if (hash) h.manifest_hash = strdup(hash);
    if ((json_is_object(m) && !h.manifest) || (name && !h.name) || (hash && !h.manifest_hash)) {
        mg_wire_hello_release(&h);
        return mg_fail(MG_NOMEM, "no memory for a manifest");
    }
    *out = h;
    return MG_OK;
}

void mg_wire_hello_release(mg_wire_hello *h) {
    free(h->name);
    free(h->manifest);
    free(h->manifest_hash);
    *h = (mg_wire_hello){0};
}

static mg_err not_in_space(const json_t *v, const char *what) {
    char text[64];
    return mg_fail(MG_MISMATCH, "\"observation\": found %s, wanted %s", mg_wire_found(v, text),
                   what);
}

static mg_err observation_of(const json_t *v, const mg_space *space, float *vector, mg_value *out) {
    mg_value value = {.kind = space->kind};
    char     what[80];
    if (space->kind == MG_SPACE_TEXT) {
        snprintf(what, sizeof what, "a text of at most %" PRId64 " bytes", space->n);
        if (!json_is_string(v) || json_string_length(v) > (size_t)space->n)
            return not_in_space(v, what);
        value.text = json_string_value(v), value.size = json_string_length(v);
    } else if (space->kind == MG_SPACE_DISCRETE) {
        snprintf(what, sizeof what, "an integer in 0..%" PRId64, space->n - 1);
        value.index = json_integer_value(v);
        if (!json_is_integer(v) || value.index < 0 || value.index >= space->n)
            return not_in_space(v, what);
    } else {
        snprintf(what, sizeof what, "%" PRId64 " finite numbers in %g..%g", space->n, space->low, space->high);
        if (json_array_size(v) != (size_t)space->n) return not_in_space(v, what);
        for (size_t i = 0; i < (size_t)space->n; i++) {
            const json_t *x = json_array_get(v, i);
            vector[i]       = (float)json_number_value(x);
            const bool in = vector[i] >= (float)space->low && vector[i] <= (float)space->high;
            if (!json_is_number(x) || !isfinite(vector[i]) || !in) return not_in_space(v, what);
        }
        value.vector = vector;
    }
    *out = value;
    return MG_OK;
}

// NaN, Infinity and 1e999 arrive here as texts (mend), a text "0.5" as itself: neither is a reward.
static mg_reward reward_of(const json_t *v) {
    if (!v) return mg_reward_absent("none was sent");
    if (json_is_null(v)) return mg_reward_absent("null was sent");
    if (json_is_number(v)) return mg_reward_of(json_number_value(v));
    if (json_is_boolean(v)) return mg_reward_invalid("true or false, not a number");
    if (!json_is_string(v)) return mg_reward_invalid("a list or an object, not a number");
    char        *end;
    const double x = strtod(json_string_value(v), &end);
    if (end != json_string_value(v) && *end == 0 && !isfinite(x)) return mg_reward_of(x);
    return mg_reward_invalid("a text, not a number");
}

// The first 64 bits of the SHA-256 of the value's canonical text; 0, which stands for "not known",
// never.
static mg_err value_digest(const json_t *v, uint64_t *out) {
    uint8_t hash[32];
    *out = 0;
    if (!v || json_is_null(v)) return MG_OK;
    char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text) return mg_fail(MG_NOMEM, "no memory for a value of the evidence");
    SHA256((const uint8_t *)text, strlen(text), hash);
    free(text);
    memcpy(out, hash, sizeof *out);
    *out += *out == 0;
    return MG_OK;
}

static mg_err touched_of(const json_t *list, mg_wire_shown *s) {
    static const char *const keys[] = {"key", "wrote", "shown", "before", "after", NULL};
    const size_t n = json_array_size(list);
    if (!list) return MG_OK;
    if (!json_is_array(list) || n > MG_WIRE_TOUCHED_MAX)
        return mg_fail(MG_CORRUPT, "\"touched\": found %zu keys, wanted a list of at most %d", n,
                       MG_WIRE_TOUCHED_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *v   = json_array_get(list, i);
        mg_touch     *t   = &s->touched[i];
        mg_err err = json_is_object(v) ? mg_wire_known_keys(v, keys)
                                       : mg_wire_wanted("touched", v, "objects");
        if (!err) err = mg_wire_get_string(v, "key", &t->key);
        if (!err && (!t->key || !t->key[0]))
            err = mg_wire_wanted("key", json_object_get(v, "key"), "a key of the state");
        if (!err) err = mg_wire_get_bool(v, "wrote", true, &t->wrote);
        if (!err) err = value_digest(json_object_get(v, "shown"), &t->shown);
        if (!err) err = value_digest(json_object_get(v, "before"), &t->before);
        if (!err) err = value_digest(json_object_get(v, "after"), &t->after);
        if (err) return err;
    }
    s->transition.evidence.touched   = s->touched;
    s->transition.evidence.n_touched = (int64_t)n;
    return MG_OK;
}

static mg_err status_of(const json_t *o, mg_status *out) {
    static const char *const names[] = {"none", "ok", "refused", "error",
                                        "timeout"}; // as mg_status
    const char *s;
    mg_err      err = mg_wire_get_string(o, "status", &s);
    if (err || !s) return err;
    for (int i = 0; i < 5; i++)
        if (strcmp(s, names[i]) == 0) {
            *out = (mg_status)i;
            return MG_OK;
        }
    return mg_wire_wanted("status", json_object_get(o, "status"),
                          "none, ok, refused, error or timeout");
}

static mg_err evidence_of(const json_t *o, mg_wire_shown *s) {
    static const char *const keys[] = {"action",  "arguments",  "status", "error", "touched",
                                       "took_ns", "conditions", "held",   "owed",  NULL};
    mg_evidence  *e = &s->transition.evidence;
    int64_t       conditions = 0, held = 0;
    if (!o || json_is_null(o)) return MG_OK;
    const json_t *arguments = json_object_get(o, "arguments");
    mg_err err = json_is_object(o) ? mg_wire_known_keys(o, keys)
                                   : mg_wire_wanted("evidence", o, "an object");
    if (!err) err = mg_wire_get_string(o, "action", &e->action);
    if (!err) err = mg_wire_get_string(o, "error", &e->error);
    if (!err) err = status_of(o, &e->status);
    if (!err) err = mg_wire_get_count(o, "took_ns", false, 0, INT64_MAX, &e->took_ns);
    if (!err) err = mg_wire_get_count(o, "conditions", false, 0, INT32_MAX, &conditions);
    if (!err) err = mg_wire_get_count(o, "held", conditions > 0, 0, conditions, &held);
    if (!err && arguments && !json_is_null(arguments) && !json_is_object(arguments))
        err = mg_wire_wanted("arguments", arguments, "an object or null");
    if (!err) err = touched_of(json_object_get(o, "touched"), s);
    if (err) return err;
    e->conditions = (int32_t)conditions, e->held = (int32_t)held;
    e->owed       = reward_of(json_object_get(o, "owed"));
    if (!json_is_object(arguments)) return MG_OK;
    e->arguments = s->arguments = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);
    return e->arguments ? MG_OK : mg_fail(MG_NOMEM, "no memory for arguments of the evidence");
}

mg_err mg_wire_shown_read(const mg_wire_answer *a, mg_wire_call call, const mg_space *space,
                          float *vector, mg_wire_shown *out) {
    static const char *const state[] = {"id",   "nonce", "observation", "digest", "manifest_hash",
                                        "info", NULL};
    static const char *const step[] = {
        "id",     "nonce",    "observation",   "reward", "terminated", "truncated",
        "digest", "evidence", "manifest_hash", "info",   NULL};
    const bool     stepped = call == MG_WIRE_STEP;
    const json_t  *digest  = json_object_get(a->root, "digest");
    mg_transition *t       = &out->transition;
    *out                   = (mg_wire_shown){0};
    mg_err err = mg_wire_known_keys(a->root, stepped ? step : state);
    if (!err && stepped) err = mg_wire_get_bool(a->root, "terminated", true, &t->terminated);
    if (!err && stepped) err = mg_wire_get_bool(a->root, "truncated", true, &t->truncated);
    if (!err) err = mg_wire_get_string(a->root, "manifest_hash", &out->manifest_hash);
    if (!err && digest) err = digest_of(digest, out->digest);
    if (!err)
        err =
            observation_of(json_object_get(a->root, "observation"), space, vector, &t->observation);
    if (!err && stepped) err = evidence_of(json_object_get(a->root, "evidence"), out);
    if (stepped) t->reward = reward_of(json_object_get(a->root, "reward"));
    out->has_digest = digest != NULL;
    return err;
}

void mg_wire_shown_release(mg_wire_shown *s) {
    free(s->arguments);
    s->arguments = NULL;
}

mg_err mg_wire_digest_read(const mg_wire_answer *a, uint8_t out[32]) {
    static const char *const keys[] = {"id", "nonce", "digest", "info", NULL};
    mg_err err = mg_wire_known_keys(a->root, keys);
    return err ? err : digest_of(json_object_get(a->root, "digest"), out);
}

mg_err mg_wire_admissible_read(const mg_wire_answer *a, const char ***actions, int64_t *n) {
    static const char *const keys[] = {"id", "nonce", "actions", "info", NULL};
    const json_t *list  = json_object_get(a->root, "actions");
    const size_t  count = json_array_size(list);
    mg_err        err   = mg_wire_known_keys(a->root, keys);
    if (!err && !json_is_array(list)) err = mg_wire_wanted("actions", list, "a list of texts");
    if (err) return err;
    const char **texts = calloc(count + 1, sizeof *texts);
    if (!texts) return mg_fail(MG_NOMEM, "no memory for %zu actions", count);
    for (size_t i = 0; i < count; i++) {
        texts[i] = mg_wire_plain_string(json_array_get(list, i));
        if (texts[i]) continue;
        free(texts);
        return mg_wire_wanted("actions", json_array_get(list, i), "texts");
    }
    *actions = texts, *n = (int64_t)count;
    return MG_OK;
}

mg_err mg_wire_snapshot_read(const mg_wire_answer *a, char **bytes, size_t *n) {
    static const char *const keys[] = {"id", "nonce", "snapshot", "info", NULL};
    const json_t *v   = json_object_get(a->root, "snapshot");
    mg_err        err = mg_wire_known_keys(a->root, keys);
    if (!err && !v) err = mg_wire_wanted("snapshot", v, "any JSON value");
    if (err) return err;
    char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text) return mg_fail(MG_NOMEM, "no memory for a snapshot");
    *bytes = text, *n = strlen(text);
    return MG_OK;
}
