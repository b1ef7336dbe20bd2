// read.c - reading the run's file back.
#include <math.h>
#include <string.h>

#include "store/bytes.h"
#include "store/db.h"

mg_err mg_query(mg_store *s, const char *sql, sqlite3_stmt **out) {
    MG_ASSERT(!s->batch);
    const mg_err err = mg_store_wait(s);
    if (err) return err;
    const int code = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? MG_OK : mg_sqlite_fail(s->db, s->path, "read");
}

bool mg_query_next(mg_store *s, sqlite3_stmt *q, mg_err *err) {
    if (*err) return false;
    const int step = sqlite3_step(q);
    if (step != SQLITE_ROW && step != SQLITE_DONE) *err = mg_sqlite_fail(s->db, s->path, "read");
    return step == SQLITE_ROW;
}

void *mg_grow(mg_arena *arena, void *old, int64_t n, size_t size) {
    if (n & (n - 1)) return old;
    void *more = mg_arena_alloc(arena, size * (size_t)(n ? 2 * n : 1));
    return n ? memcpy(more, old, size * (size_t)n) : more;
}

// A copy of a text; NULL for null.
static char *read_text(sqlite3_stmt *q, int column, mg_arena *arena) {
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? mg_arena_strdup(arena, text) : NULL;
}

// A copy of a blob, with a 0 behind it; NULL for null.
static void *read_blob(sqlite3_stmt *q, int column, mg_arena *arena, size_t *size) {
    const void *blob = sqlite3_column_blob(q, column);
    *size            = (size_t)sqlite3_column_bytes(q, column);
    if (sqlite3_column_type(q, column) == SQLITE_NULL) return NULL;
    char *copy = mg_arena_alloc_raw(arena, *size + 1);
    if (*size > 0) memcpy(copy, blob, *size);
    copy[*size] = 0;
    return copy;
}

// A blob of 32 bytes; false where it is none.
static bool read_hash(sqlite3_stmt *q, int column, uint8_t out[32]) {
    const void *blob = sqlite3_column_blob(q, column);
    if (sqlite3_column_bytes(q, column) != 32) return false;
    memcpy(out, blob, 32);
    return true;
}

// ---- Notes, metrics ----

mg_err mg_store_note_read(mg_store *s, const char *name, mg_arena *arena, char **text) {
    sqlite3_stmt *q;
    char         *body = NULL;
    mg_err        err  = mg_query(s, "select body from note where name = ?", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    if (mg_query_next(s, q, &err)) body = read_text(q, 0, arena);
    sqlite3_finalize(q);
    if (err) return err;
    if (!body) return mg_fail(MG_EMPTY, "store %s: no note '%s'", s->path, name);
    *text = body;
    return MG_OK;
}

// Rows of the last life, and of those before it what it went on from.
#define HELD(table) \
    " from held cross join " table " t on t.life = held.life and t.step >= low and t.step < high "

mg_err mg_store_metric_names(mg_store *s, mg_arena *arena, char ***names, int64_t *n) {
    sqlite3_stmt *q;
    char        **out   = NULL;
    int64_t       count = 0;
    mg_err        err   = mg_query(s, "select distinct name" HELD("metric") "order by name", &q);
    if (err) return err;
    while (mg_query_next(s, q, &err)) {
        out          = mg_grow(arena, out, count, sizeof *out);
        out[count++] = read_text(q, 0, arena);
    }
    sqlite3_finalize(q);
    if (!err) *names = out, *n = count;
    return err;
}

mg_err mg_store_metric_read(mg_store *s, const char *name, mg_arena *arena, mg_point **points,
                            int64_t *n) {
    sqlite3_stmt *q;
    mg_point     *out   = NULL;
    int64_t       count = 0;
    mg_err err = mg_query(s, "select step, value" HELD("metric") "where name = ? order by step", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    while (mg_query_next(s, q, &err)) {
        out          = mg_grow(arena, out, count, sizeof *out);
        out[count++] = (mg_point){sqlite3_column_int64(q, 0), sqlite3_column_double(q, 1)};
    }
    sqlite3_finalize(q);
    if (!err) *points = out, *n = count;
    return err;
}

// ---- Episodes ----

// "update 12, group 3, episode 7", with the life where there is more than the first.
static const char *name_of(sqlite3_stmt *q, char out[160]) {
    const long long life = sqlite3_column_int64(q, MG_E_LIFE);
    char            of[40] = "";
    if (life != 1) snprintf(of, sizeof of, " of life %lld", life);
    snprintf(out, 160, "update %lld%s, group %lld, episode %lld",
             mg_update_number(sqlite3_column_int64(q, MG_E_STEP)), of,
             (long long)sqlite3_column_int64(q, MG_E_GROUP),
             (long long)sqlite3_column_int64(q, MG_E_EPISODE));
    return out;
}

// The blob that put_turns of store.c made.
static mg_err read_turns(mg_store *s, sqlite3_stmt *q, mg_arena *arena, mg_episode *e, mg_stored *stored) {
    size_t        size;
    char          name[160];
    const bool    full = sqlite3_column_type(q, MG_E_LEFT_OUT) == SQLITE_NULL;
    const uint8_t *bytes = read_blob(q, MG_E_TURNS, arena, &size);
    mg_source     from  = {.at = bytes, .end = bytes + size, .arena = arena};
    const int64_t n     = sqlite3_column_int64(q, MG_E_N_TURNS);
    if (n < 0 || (uint64_t)n > size / 8)
        return mg_fail(MG_CORRUPT, "store %s: %s: %lld turns in %zu bytes", s->path, name_of(q, name),
                       (long long)n, size);
    uint8_t (*left_out)[32] = mg_arena_alloc(arena, 32 * (size_t)(n + 1));
    uint64_t *links = MG_NEW(arena, uint64_t, n + 1);
    e->turns        = MG_NEW(arena, mg_turn, n);
    e->n_turns      = n;
    links[0]        = (uint64_t)sqlite3_column_int64(q, MG_E_LINK);
    for (int64_t i = 0; i < n; i++) {
        mg_turn *t   = &e->turns[i];
        links[i + 1] = mg_get_u64(&from);
        mg_get_kept(&from, t);
        if (full) {
            mg_get_seen(&from, t);
            mg_get_measured(&from, t);
        } else {
            mg_get(&from, left_out[i], 32);
        }
        if (from.bad || (i + 1 == n && from.at != from.end))
            return mg_fail(MG_CORRUPT, "store %s: %s, turn %lld: its bytes are no turn", s->path,
                           name_of(q, name), (long long)i);
        if (t->action_begin < 0 || t->action_begin > t->action_end || t->action_end > e->n_tokens)
            return mg_fail(MG_CORRUPT, "store %s: %s, turn %lld: an action outside its tokens", s->path,
                           name_of(q, name), (long long)i);
    }
    if (!full && !read_hash(q, MG_E_LEFT_OUT, left_out[n]))
        return mg_fail(MG_CORRUPT, "store %s: %s: no hash of its tokens", s->path, name_of(q, name));
    if (stored) stored->links = links, stored->left_out = full ? NULL : (const uint8_t(*)[32])left_out;
    return MG_OK;
}

static mg_err read_arrays(mg_store *s, sqlite3_stmt *q, mg_arena *arena, mg_episode *e) {
    size_t tokens, roles, logps, prefix;
    char   name[160];
    e->tokens       = read_blob(q, MG_E_TOKENS, arena, &tokens);
    e->role         = read_blob(q, MG_E_ROLE, arena, &roles);
    e->logp         = read_blob(q, MG_E_LOGP, arena, &logps);
    e->start.prefix = read_blob(q, MG_E_PREFIX, arena, &prefix);
    e->n_tokens     = (int64_t)roles;
    if (tokens != roles * sizeof *e->tokens || logps != roles * sizeof *e->logp)
        return mg_fail(MG_CORRUPT, "store %s: %s: %zu bytes of tokens, %zu of roles, "
                       "%zu of log-probabilities", s->path, name_of(q, name), tokens, roles, logps);
    if (e->start.prefix && prefix != (uint64_t)e->start.n_prefix * sizeof *e->start.prefix)
        return mg_fail(MG_CORRUPT, "store %s: %s: a prefix of %zu bytes and %lld tokens", s->path,
                       name_of(q, name), prefix, (long long)e->start.n_prefix);
    return MG_OK;
}

// What no hash is asked for, but would be learnt from: a number must have been one, and kinds, verdicts and
// roles be what they are called.
static mg_err check_values(mg_store *s, sqlite3_stmt *q, const mg_episode *e) {
    char          name[160];
    const int64_t kind = sqlite3_column_int64(q, MG_E_LEARNED_KIND), verdict = sqlite3_column_int64(q, MG_E_VERDICT);
    const int     type = sqlite3_column_type(q, MG_E_LEARNED);
    if (kind < 0 || kind > MG_REWARD_INVALID || (kind == MG_REWARD_VALUE) != (type == SQLITE_FLOAT) ||
        !isfinite(e->learned.value))
        return mg_fail(MG_CORRUPT, "store %s: %s: a learned reward of kind %lld, and what it holds is none",
                       s->path, name_of(q, name), (long long)kind);
    if (verdict < 0 || verdict > MG_QUARANTINED)
        return mg_fail(MG_CORRUPT, "store %s: %s: verdict %lld, wanted at most %d", s->path, name_of(q, name),
                       (long long)verdict, MG_QUARANTINED);
    for (int64_t i = 0; i < e->n_tokens; i++)
        if (e->role[i] > MG_ROLE_POLICY)
            return mg_fail(MG_CORRUPT, "store %s: %s: token %lld has role %d, wanted at most %d", s->path,
                           name_of(q, name), (long long)i, e->role[i], MG_ROLE_POLICY);
    return MG_OK;
}

mg_err mg_episode_read(mg_store *s, sqlite3_stmt *q, mg_arena *arena, mg_episode *e, mg_stored *stored) {
    const char *detail = (const char *)sqlite3_column_text(q, MG_E_DETAIL);
    char        name[160];
    *e = (mg_episode){
        .start = {.item = sqlite3_column_int64(q, MG_E_ITEM), .group = sqlite3_column_int(q, MG_E_GROUP),
                  .episode    = (uint32_t)sqlite3_column_int64(q, MG_E_EPISODE),
                  .attempt    = (uint32_t)sqlite3_column_int64(q, MG_E_ATTEMPT),
                  .n_prefix   = sqlite3_column_int64(q, MG_E_N_PREFIX),
                  .demo_turns = sqlite3_column_int64(q, MG_E_DEMO_TURNS)},
        .seed           = (uint64_t)sqlite3_column_int64(q, MG_E_SEED),
        .policy_version = sqlite3_column_int64(q, MG_E_POLICY),
        .terminated     = sqlite3_column_int(q, MG_E_TERMINATED),
        .truncated      = sqlite3_column_int(q, MG_E_TRUNCATED),
        .stopped        = sqlite3_column_int(q, MG_E_STOPPED),
        .learned        = {.kind   = (mg_reward_kind)sqlite3_column_int(q, MG_E_LEARNED_KIND),
                           .value  = sqlite3_column_double(q, MG_E_LEARNED),
                           .reason = read_text(q, MG_E_LEARNED_REASON, arena)},
        .verdict        = (mg_verdict)sqlite3_column_int(q, MG_E_VERDICT),
        .code           = read_text(q, MG_E_CODE, arena),
        .code_turn      = sqlite3_column_int(q, MG_E_CODE_TURN),
    };
    snprintf(e->detail, sizeof e->detail, "%s", detail ? detail : "");
    const bool head = !stored || read_hash(q, MG_E_HEAD, stored->head);
    if (!head || !read_hash(q, MG_E_RESET, e->reset_digest) || !read_hash(q, MG_E_END, e->end_digest))
        return mg_fail(MG_CORRUPT, "store %s: %s: a hash is not of 32 bytes", s->path, name_of(q, name));
    mg_err err = read_arrays(s, q, arena, e);
    if (!err) err = check_values(s, q, e);
    return err ? err : read_turns(s, q, arena, e, stored);
}

// Which ones, in order: the rows themselves are too large to be sorted.
static mg_err list_episodes(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                            int64_t **ids, int64_t *n) {
    sqlite3_stmt *q;
    mg_err err = mg_query(s, "select t.id" HELD("episode") "where t.step >= ? and t.step < ?"
                             " order by t.step, t.id limit ?", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, from);
    sqlite3_bind_int64(q, 2, to);
    sqlite3_bind_int64(q, 3, max);
    *ids = NULL, *n = 0;
    while (mg_query_next(s, q, &err)) {
        *ids           = mg_grow(arena, *ids, *n, sizeof **ids);
        (*ids)[(*n)++] = sqlite3_column_int64(q, 0);
    }
    sqlite3_finalize(q);
    return err;
}

mg_err mg_store_episodes_read(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                              mg_episode **episodes, int64_t *n) {
    sqlite3_stmt *q;
    int64_t      *ids, count;
    mg_err        err = list_episodes(s, from, to, max, arena, &ids, &count);
    if (!err) err = mg_query(s, "select * from episode where id = ?", &q);
    if (err) return err;
    mg_episode *out = MG_NEW(arena, mg_episode, count);
    for (int64_t i = 0; i < count && !err; i++) {
        sqlite3_bind_int64(q, 1, ids[i]);
        if (mg_query_next(s, q, &err))
            err = mg_episode_read(s, q, arena, &out[i], NULL);
        else if (!err)
            err = mg_fail(MG_CORRUPT, "store %s: episode %lld is in the index only", s->path,
                          (long long)ids[i]);
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    if (!err) *episodes = out, *n = count;
    return err;
}

mg_err mg_store_updates(mg_store *s, int64_t *n) {
    sqlite3_stmt *q;
    mg_err        err = mg_query(s, "select ifnull(max(t.step) + 1, 0)" HELD("done"), &q);
    if (err) return err;
    if (mg_query_next(s, q, &err)) *n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return err;
}

mg_err mg_store_unclean_read(mg_store *s, int64_t max, mg_arena *arena, mg_episode **episodes, int64_t *n) {
    sqlite3_stmt *q;
    mg_episode   *out   = NULL;
    int64_t       count = 0;
    mg_err        err   = mg_query(s, "select * from episode where id in (select id from (select t.id, row_number()"
                                      " over (partition by code order by t.step, t.id) as place" HELD("episode")
                                      "where t.verdict > 0) where place <= ?) order by id", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, max);
    while (mg_query_next(s, q, &err)) {
        out = mg_grow(arena, out, count, sizeof *out);
        err = mg_episode_read(s, q, arena, &out[count++], NULL);
    }
    sqlite3_finalize(q);
    if (!err) *episodes = out, *n = count;
    return err;
}

// ---- Ledger, heads ----

static mg_err read_fed(mg_store *s, int64_t update, mg_arena *arena, mg_ledger *out) {
    sqlite3_stmt *q;
    mg_err err = mg_query(s, "select grp, episode, attempt, verdict, head" HELD("fed")
                             "where t.step = ? order by n", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, update);
    while (mg_query_next(s, q, &err)) {
        out->fed  = mg_grow(arena, out->fed, out->n, sizeof *out->fed);
        mg_fed *f = &out->fed[out->n++];
        *f = (mg_fed){.group   = sqlite3_column_int(q, 0), .episode = (uint32_t)sqlite3_column_int64(q, 1),
                      .attempt = (uint32_t)sqlite3_column_int64(q, 2),
                      .verdict = (mg_verdict)sqlite3_column_int(q, 3)};
        if (!read_hash(q, 4, f->head))
            err = mg_fail(MG_CORRUPT, "store %s: update %lld: the ledger holds no hash", s->path,
                          mg_update_number(update));
    }
    sqlite3_finalize(q);
    return err;
}

mg_err mg_store_ledger_read(mg_store *s, int64_t update, mg_arena *arena, mg_ledger *out) {
    sqlite3_stmt *q;
    mg_ledger     l   = {0};
    mg_err        err = read_fed(s, update, arena, &l);
    if (!err) err = mg_query(s, "select t.low, t.high, hash, key from held cross join fed_replay t on"
                                " t.life = held.life and t.step >= held.low and t.step < held.high"
                                " where t.step = ?", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, update);
    if (mg_query_next(s, q, &err)) {
        l.replayed = true;
        l.replay   = (mg_fed_replay){.low = sqlite3_column_int64(q, 0), .high = sqlite3_column_int64(q, 1),
                                     .key = (uint64_t)sqlite3_column_int64(q, 3)};
        if (!read_hash(q, 2, l.replay.hash))
            err = mg_fail(MG_CORRUPT, "store %s: update %lld: the ledger holds no hash", s->path,
                          mg_update_number(update));
    }
    sqlite3_finalize(q);
    if (!err) *out = l;
    return err;
}

mg_err mg_head_before(mg_store *s, int64_t life, int64_t update, uint8_t head[32], int64_t *last,
                      bool *found) {
    sqlite3_stmt *q;
    mg_err err = mg_query(s, "select head, step from done d where life < ?1 and step < ?2 and not exists"
                             " (select 1 from life l where l.life > d.life and l.life < ?1 and l.low <= d.step)"
                             " order by step desc limit 1", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, life);
    sqlite3_bind_int64(q, 2, update);
    *found = mg_query_next(s, q, &err);
    if (*found && !read_hash(q, 0, head))
        err = mg_fail(MG_CORRUPT, "store %s: update %lld has no head", s->path,
                      mg_update_number(sqlite3_column_int64(q, 1)));
    if (*found) *last = sqlite3_column_int64(q, 1);
    sqlite3_finalize(q);
    return err;
}

mg_err mg_store_head(mg_store *s, uint8_t out[32]) {
    uint8_t head[32];
    int64_t last;
    bool    found;
    mg_err  err = mg_head_before(s, INT64_MAX, INT64_MAX, head, &last, &found);
    if (!err && !found) err = mg_fail(MG_EMPTY, "store %s: no update yet", s->path);
    if (!err) memcpy(out, head, 32);
    return err;
}
