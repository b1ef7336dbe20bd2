// store.c - the run's SQLite file.
#include "store/store.h"

#include <math.h>
#include <sqlite3.h>
#include <string.h>

#define APPLICATION_ID 0x6d74676c // "mtgl" in the file's header: whose file this is
#define SCHEMA_VERSION 1

// Blobs of an episode's arrays are in the machine's byte order (little-endian on every machine
// that this runs on): int32 tokens, uint8 roles, float32 log-probabilities. Columns of numbers that
// must keep their bits have no type: SQLite stores -0.0 as 0 in a column declared real. A reward of
// kind 1 (VALUE) has a number and no other kind does: the file itself refuses anything else.
static const char SCHEMA[] =
    "begin immediate;"
    "create table note(name text primary key, body text not null) without rowid;"
    "create table metric("
    "  step integer not null, name text not null, value not null,"
    "  primary key (step, name)) without rowid;"
    "create table episode("
    "  id integer primary key,"
    "  step integer not null," // the update that it was played for
    "  item integer not null, grp integer not null, episode integer not null,"
    "  attempt integer not null,"
    "  prefix integer not null," // forced tokens
    "  seed integer not null, policy integer not null,"
    "  tokens blob not null, role blob not null, logp blob not null,"
    "  terminated integer not null, truncated integer not null, stopped integer not null,"
    "  learned_kind integer not null, learned, learned_reason text,"
    "  verdict integer not null, code text, detail text not null,"
    "  check ((learned_kind = 1) = (learned is not null)));"
    "create index episode_step on episode(step);"
    "create table turn("
    "  episode integer not null references episode(id), turn integer not null,"
    "  observation blob not null, action blob not null,"
    "  action_begin integer not null, action_end integer not null,"
    "  reward_kind integer not null, reward, reward_reason text,"
    "  primary key (episode, turn),"
    "  check ((reward_kind = 1) = (reward is not null))) without rowid;";

enum { ADD_NOTE, ADD_METRIC, ADD_EPISODE, ADD_TURN, STATEMENTS };

static const char *const SQL[STATEMENTS] = {
    [ADD_NOTE]    = "insert or replace into note values (?, ?)",
    [ADD_METRIC]  = "insert or replace into metric values (?, ?, ?)",
    [ADD_EPISODE] = ("insert into episode values"
                     " (null, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [ADD_TURN]    = "insert into turn values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
};

struct mg_store {
    char         *path;            // owned
    sqlite3      *db;              // owned
    sqlite3_stmt *add[STATEMENTS]; // owned, prepared once
    bool          writing;         // between begin and commit
    int64_t       update;          // of that transaction
};

static mg_err fail_sqlite(const mg_store *s, const char *what) {
    const int    code = sqlite3_errcode(s->db);
    const mg_err err  = code == SQLITE_BUSY || code == SQLITE_LOCKED      ? MG_BUSY
                        : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? MG_CORRUPT
                        : code == SQLITE_NOMEM                            ? MG_NOMEM
                                                                          : MG_IO;
    return mg_fail(err, "store %s: %s: %s", s->path, what, sqlite3_errmsg(s->db));
}

static mg_err run(mg_store *s, const char *what, const char *sql) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? MG_OK : fail_sqlite(s, what);
}

// Prepares a query; finished by the caller.
static mg_err query(mg_store *s, const char *sql, sqlite3_stmt **out) {
    const int code = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? MG_OK : fail_sqlite(s, "read");
}

// True while the query has a further row; a fault ends it too and is written to *err.
static bool next(mg_store *s, sqlite3_stmt *q, mg_err *err) {
    if (*err) return false;
    const int step = sqlite3_step(q);
    if (step != SQLITE_ROW && step != SQLITE_DONE) *err = fail_sqlite(s, "read");
    return step == SQLITE_ROW;
}

static mg_err read_number(mg_store *s, const char *sql, int64_t *out) {
    sqlite3_stmt *q;
    mg_err        err = query(s, sql, &q);
    if (err) return err;
    if (next(s, q, &err)) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return err;
}

// *fresh: an empty file, to be filled. A file that is not ours is not touched.
static mg_err identify(mg_store *s, bool *fresh) {
    int64_t application = 0, version = 0, tables = 0;
    mg_err  err = read_number(s, "pragma application_id", &application);
    if (!err) err = read_number(s, "pragma user_version", &version);
    if (!err) err = read_number(s, "select count(*) from sqlite_schema", &tables);
    if (err) return err;
    *fresh = application == 0 && version == 0 && tables == 0;
    if (!*fresh && application != APPLICATION_ID)
        return mg_fail(MG_CORRUPT, "store %s: a database, but not one of a run", s->path);
    if (!*fresh && version != SCHEMA_VERSION)
        return mg_fail(MG_CORRUPT, "store %s: schema version %lld, wanted %d", s->path,
                       (long long)version, SCHEMA_VERSION);
    return MG_OK;
}

static mg_err fill(mg_store *s) {
    char   mark[128];
    mg_err err = run(s, "create", SCHEMA);
    snprintf(mark, sizeof mark, "pragma application_id = %d; pragma user_version = %d; commit",
             APPLICATION_ID, SCHEMA_VERSION);
    return err ? err : run(s, "create", mark);
}

mg_err mg_store_open(mg_store **out, const char *path) {
    bool      fresh = false;
    mg_err    err   = MG_OK;
    mg_store *s     = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        mg_store_close(s);
        return mg_fail(MG_NOMEM, "store %s", path);
    }
    if (sqlite3_open(path, &s->db) != SQLITE_OK) err = fail_sqlite(s, "open");
    if (!err) {
        sqlite3_busy_timeout(s->db, MG_STORE_BUSY_MS);
        err = identify(s, &fresh);
    }
    if (!err)
        err = run(s, "open", "pragma journal_mode = wal; pragma synchronous = normal");
    if (!err && fresh) err = fill(s);
    for (int i = 0; i < STATEMENTS && !err; i++)
        if (sqlite3_prepare_v2(s->db, SQL[i], -1, &s->add[i], NULL) != SQLITE_OK)
            err = fail_sqlite(s, "open");
    if (err)
        mg_store_close(s);
    else
        *out = s;
    return err;
}

void mg_store_close(mg_store *s) {
    if (!s) return;
    for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(s->add[i]);
    sqlite3_close(s->db);
    free(s->path);
    free(s);
}

// Runs a prepared statement whose values are bound, and leaves it ready for the next.
static mg_err add(mg_store *s, int which) {
    const int step = sqlite3_step(s->add[which]);
    mg_err    err  = step == SQLITE_DONE ? MG_OK : fail_sqlite(s, SQL[which]);
    sqlite3_reset(s->add[which]);
    sqlite3_clear_bindings(s->add[which]);
    return err;
}

mg_err mg_store_begin(mg_store *s, int64_t update) {
    char sql[256];
    MG_ASSERT(!s->writing);
    snprintf(sql, sizeof sql,
             "delete from turn where episode in (select id from episode where step >= %lld);"
             "delete from episode where step >= %lld; delete from metric where step >= %lld",
             (long long)update, (long long)update, (long long)update);
    mg_err err = run(s, "begin", "begin immediate");
    if (err) return err;
    s->writing = true;
    s->update  = update;
    return run(s, "begin", sql);
}

mg_err mg_store_commit(mg_store *s) {
    MG_ASSERT(s->writing);
    mg_err err = run(s, "commit", "commit");
    if (!err) s->writing = false;
    return err;
}

mg_err mg_store_metric(mg_store *s, const char *name, double value) {
    sqlite3_stmt *q = s->add[ADD_METRIC];
    MG_ASSERT(s->writing);
    if (!isfinite(value))
        return mg_fail(MG_NUMERIC, "store %s: update %lld: metric %s is %g", s->path,
                       (long long)s->update, name, value);
    sqlite3_bind_int64(q, 1, s->update);
    sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
    sqlite3_bind_double(q, 3, value);
    return add(s, ADD_METRIC);
}

mg_err mg_store_note(mg_store *s, const char *name, const char *text) {
    sqlite3_bind_text(s->add[ADD_NOTE], 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->add[ADD_NOTE], 2, text, -1, SQLITE_STATIC);
    return add(s, ADD_NOTE);
}

// NULL stands for no bytes as well as for no blob: only the first is meant here.
static void bind_blob(sqlite3_stmt *q, int column, const void *bytes, size_t size) {
    sqlite3_bind_blob64(q, column, size ? bytes : "", size, SQLITE_STATIC);
}

// Three columns: kind, the number of a VALUE or null, the reason of the others or null.
static void bind_reward(sqlite3_stmt *q, int column, const mg_reward *r) {
    sqlite3_bind_int(q, column, (int)r->kind);
    if (r->kind == MG_REWARD_VALUE)
        sqlite3_bind_double(q, column + 1, r->value);
    else if (r->reason)
        sqlite3_bind_text(q, column + 2, r->reason, -1, SQLITE_STATIC);
}

static mg_err check_reward(const mg_store *s, const mg_reward *r) {
    if (r->kind != MG_REWARD_VALUE || isfinite(r->value)) return MG_OK;
    return mg_fail(MG_NUMERIC, "store %s: update %lld: a reward of kind VALUE is %g", s->path,
                   (long long)s->update, r->value);
}

static mg_err add_turn(mg_store *s, const mg_turn *t, int64_t episode, int64_t turn) {
    sqlite3_stmt *q   = s->add[ADD_TURN];
    mg_err        err = check_reward(s, &t->reward);
    if (err) return err;
    sqlite3_bind_int64(q, 1, episode);
    sqlite3_bind_int64(q, 2, turn);
    bind_blob(q, 3, t->observation, t->observation_size);
    bind_blob(q, 4, t->action, t->action_size);
    sqlite3_bind_int64(q, 5, t->action_begin);
    sqlite3_bind_int64(q, 6, t->action_end);
    bind_reward(q, 7, &t->reward);
    return add(s, ADD_TURN);
}

mg_err mg_store_episode(mg_store *s, const mg_episode *e) {
    sqlite3_stmt *q = s->add[ADD_EPISODE];
    const size_t  n = (size_t)e->n_tokens;
    MG_ASSERT(s->writing);
    mg_err err = check_reward(s, &e->learned);
    if (err) return err;
    sqlite3_bind_int64(q, 1, s->update);
    sqlite3_bind_int64(q, 2, e->start.item);
    sqlite3_bind_int64(q, 3, e->start.group);
    sqlite3_bind_int64(q, 4, e->start.episode);
    sqlite3_bind_int64(q, 5, e->start.attempt);
    sqlite3_bind_int64(q, 6, e->start.n_prefix);
    sqlite3_bind_int64(q, 7, (int64_t)e->seed);
    sqlite3_bind_int64(q, 8, e->policy_version);
    bind_blob(q, 9, e->tokens, n * sizeof *e->tokens);
    bind_blob(q, 10, e->role, n);
    bind_blob(q, 11, e->logp, n * sizeof *e->logp);
    sqlite3_bind_int(q, 12, e->terminated);
    sqlite3_bind_int(q, 13, e->truncated);
    sqlite3_bind_int(q, 14, e->stopped);
    bind_reward(q, 15, &e->learned);
    sqlite3_bind_int(q, 18, (int)e->verdict);
    if (e->code) sqlite3_bind_text(q, 19, e->code, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 20, e->detail, -1, SQLITE_STATIC);
    err = add(s, ADD_EPISODE);
    const int64_t id = sqlite3_last_insert_rowid(s->db);
    for (int64_t i = 0; i < e->n_turns && !err; i++) err = add_turn(s, &e->turns[i], id, i);
    return err;
}

// An array of n elements with room for one more: it doubles whenever n is 0 or a power of two.
static void *grow(mg_arena *arena, void *old, int64_t n, size_t size) {
    if (n & (n - 1)) return old;
    void *more = mg_arena_alloc(arena, size * (size_t)(n ? 2 * n : 1));
    return n ? memcpy(more, old, size * (size_t)n) : more;
}

// A copy of a text; NULL for null.
static char *read_text(sqlite3_stmt *q, int column, mg_arena *arena) {
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? mg_arena_strdup(arena, text) : NULL;
}

// A copy of a blob, with a 0 behind it.
static void *read_blob(sqlite3_stmt *q, int column, mg_arena *arena, size_t *size) {
    const void *blob = sqlite3_column_blob(q, column);
    *size            = (size_t)sqlite3_column_bytes(q, column);
    char *copy       = mg_arena_alloc(arena, *size + 1);
    if (*size > 0) memcpy(copy, blob, *size);
    return copy;
}

mg_err mg_store_note_read(mg_store *s, const char *name, mg_arena *arena, char **text) {
    sqlite3_stmt *q;
    char         *body = NULL;
    mg_err        err  = query(s, "select body from note where name = ?", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    if (next(s, q, &err)) body = read_text(q, 0, arena);
    sqlite3_finalize(q);
    if (err) return err;
    if (!body) return mg_fail(MG_EMPTY, "store %s: no note '%s'", s->path, name);
    *text = body;
    return MG_OK;
}

mg_err mg_store_metric_names(mg_store *s, mg_arena *arena, char ***names, int64_t *n) {
    sqlite3_stmt *q;
    char        **out   = NULL;
    int64_t       count = 0;
    mg_err        err   = query(s, "select distinct name from metric order by name", &q);
    if (err) return err;
    while (next(s, q, &err)) {
        out          = grow(arena, out, count, sizeof *out);
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
    mg_err err = query(s, "select step, value from metric where name = ? order by step", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    while (next(s, q, &err)) {
        out          = grow(arena, out, count, sizeof *out);
        out[count++] = (mg_point){sqlite3_column_int64(q, 0), sqlite3_column_double(q, 1)};
    }
    sqlite3_finalize(q);
    if (!err) *points = out, *n = count;
    return err;
}

static mg_reward read_reward(sqlite3_stmt *q, int column, mg_arena *arena) {
    return (mg_reward){.kind   = (mg_reward_kind)sqlite3_column_int(q, column),
                       .value  = sqlite3_column_double(q, column + 1),
                       .reason = read_text(q, column + 2, arena)};
}

static mg_err read_turns(mg_store *s, int64_t id, mg_arena *arena, mg_episode *e) {
    sqlite3_stmt *q;
    mg_err        err = query(s, "select * from turn where episode = ? order by turn", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, id);
    while (next(s, q, &err)) {
        e->turns        = grow(arena, e->turns, e->n_turns, sizeof *e->turns);
        mg_turn *t      = &e->turns[e->n_turns++];
        t->observation  = read_blob(q, 2, arena, &t->observation_size);
        t->action       = read_blob(q, 3, arena, &t->action_size);
        t->action_begin = sqlite3_column_int64(q, 4);
        t->action_end   = sqlite3_column_int64(q, 5);
        t->reward       = read_reward(q, 6, arena);
        if (t->action_begin < 0 || t->action_begin > t->action_end || t->action_end > e->n_tokens)
            err = mg_fail(MG_CORRUPT, "store %s: episode %lld: an action outside its tokens",
                          s->path, (long long)id);
    }
    sqlite3_finalize(q);
    return err;
}

static mg_err read_episode(mg_store *s, sqlite3_stmt *q, mg_arena *arena, mg_episode *e) {
    size_t      tokens, roles, logps;
    const char *detail = (const char *)sqlite3_column_text(q, 20);
    *e = (mg_episode){
        .start = {.item = sqlite3_column_int64(q, 2), .group = sqlite3_column_int(q, 3),
                  .episode  = (uint32_t)sqlite3_column_int64(q, 4),
                  .attempt  = (uint32_t)sqlite3_column_int64(q, 5),
                  .n_prefix = sqlite3_column_int64(q, 6)},
        .seed           = (uint64_t)sqlite3_column_int64(q, 7),
        .policy_version = sqlite3_column_int64(q, 8),
        .terminated     = sqlite3_column_int(q, 12),
        .truncated      = sqlite3_column_int(q, 13),
        .stopped        = sqlite3_column_int(q, 14),
        .learned        = read_reward(q, 15, arena),
        .verdict        = (mg_verdict)sqlite3_column_int(q, 18),
        .code           = read_text(q, 19, arena),
    };
    e->tokens   = read_blob(q, 9, arena, &tokens);
    e->role     = read_blob(q, 10, arena, &roles);
    e->logp     = read_blob(q, 11, arena, &logps);
    e->n_tokens = (int64_t)roles;
    snprintf(e->detail, sizeof e->detail, "%s", detail ? detail : "");
    if (tokens != roles * sizeof *e->tokens || logps != roles * sizeof *e->logp)
        return mg_fail(MG_CORRUPT, "store %s: episode %lld: %zu bytes of tokens, %zu of roles, "
                       "%zu of log-probabilities", s->path,
                       (long long)sqlite3_column_int64(q, 0), tokens, roles, logps);
    return read_turns(s, sqlite3_column_int64(q, 0), arena, e);
}

mg_err mg_store_episodes_read(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                              mg_episode **episodes, int64_t *n) {
    sqlite3_stmt *q;
    mg_episode   *out   = NULL;
    int64_t       count = 0;
    mg_err        err   = query(s, "select * from episode where step >= ? and step < ?"
                                   " order by step, id limit ?", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, from);
    sqlite3_bind_int64(q, 2, to);
    sqlite3_bind_int64(q, 3, max);
    while (next(s, q, &err)) {
        out = grow(arena, out, count, sizeof *out);
        err = read_episode(s, q, arena, &out[count++]);
    }
    sqlite3_finalize(q);
    if (!err) *episodes = out, *n = count;
    return err;
}
