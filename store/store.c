// store.c - the run's SQLite file.
#include "store/store.h"

#include <sqlite3.h>
#include <string.h>

#include "core/file.h"

#define SCHEMA_VERSION 1
#define BUSY_MS        5000

// Blobs of an episode's arrays are in the machine's byte order (little-endian on every machine
// that this runs on): int32 tokens, uint8 roles, float32 log-probabilities.
static const char SCHEMA[] =
    "create table if not exists note(name text primary key, body text not null) without rowid;"
    "create table if not exists metric("
    "  name text not null, step integer not null, value real not null,"
    "  primary key (name, step)) without rowid;"
    "create table if not exists episode("
    "  id integer primary key,"
    "  step integer not null,"           // the update that it was played for
    "  item integer not null, grp integer not null, episode integer not null, attempt integer not null,"
    "  prefix integer not null,"         // forced tokens
    "  seed integer not null, policy integer not null,"
    "  tokens blob not null, role blob not null, logp blob not null,"
    "  terminated integer not null, truncated integer not null, stopped integer not null,"
    "  learned_kind integer not null, learned real, learned_reason text,"
    "  verdict integer not null, code text, detail text not null);"
    "create index if not exists episode_step on episode(step);"
    "create table if not exists turn("
    "  episode integer not null references episode(id), turn integer not null,"
    "  observation blob not null, action blob not null,"
    "  action_begin integer not null, action_end integer not null,"
    "  reward_kind integer not null, reward real, reward_reason text,"
    "  primary key (episode, turn)) without rowid;";

enum { ADD_NOTE, ADD_METRIC, ADD_EPISODE, ADD_TURN, STATEMENTS };

static const char *const SQL[STATEMENTS] = {
    [ADD_NOTE]    = "insert or replace into note values (?, ?)",
    [ADD_METRIC]  = "insert or replace into metric values (?, ?, ?)",
    [ADD_EPISODE] = "insert into episode values"
                    " (null, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [ADD_TURN]    = "insert into turn values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
};

struct mg_store {
    sqlite3      *db;                // owned
    sqlite3_stmt *add[STATEMENTS];   // owned, prepared once
    int64_t       update;            // of the open transaction
};

static mg_err fail_sqlite(const mg_store *s, const char *what) {
    const int code = sqlite3_errcode(s->db);
    return mg_fail(code == SQLITE_BUSY || code == SQLITE_LOCKED       ? MG_BUSY
                   : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? MG_CORRUPT
                                                                      : MG_IO,
                   "store %s: %s: %s", sqlite3_db_filename(s->db, "main"), what,
                   sqlite3_errmsg(s->db));
}

static mg_err run(mg_store *s, const char *sql) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? MG_OK : fail_sqlite(s, sql);
}

static mg_err check_version(mg_store *s) {
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(s->db, "pragma user_version", -1, &q, NULL) != SQLITE_OK)
        return fail_sqlite(s, "open");
    const int step = sqlite3_step(q), version = step == SQLITE_ROW ? sqlite3_column_int(q, 0) : -1;
    sqlite3_finalize(q);
    if (step != SQLITE_ROW) return fail_sqlite(s, "open");
    if (version != 0 && version != SCHEMA_VERSION)
        return mg_fail(MG_CORRUPT, "store %s: schema version %d, wanted %d",
                       sqlite3_db_filename(s->db, "main"), version, SCHEMA_VERSION);
    char set[64];
    snprintf(set, sizeof set, "pragma user_version = %d", SCHEMA_VERSION);
    return run(s, set);
}

mg_err mg_store_open(mg_store **out, const char *path) {
    mg_store *s = calloc(1, sizeof *s);
    if (!s) return mg_fail(MG_NOMEM, "store: %zu bytes", sizeof *s);
    mg_err err = MG_OK;
    if (sqlite3_open(path, &s->db) != SQLITE_OK) err = fail_sqlite(s, "open");
    if (!err) {
        sqlite3_busy_timeout(s->db, BUSY_MS);
        err = check_version(s);
    }
    if (!err) err = run(s, "pragma journal_mode = wal; pragma synchronous = normal");
    if (!err) err = run(s, SCHEMA);
    for (int i = 0; i < STATEMENTS && !err; i++)
        if (sqlite3_prepare_v2(s->db, SQL[i], -1, &s->add[i], NULL) != SQLITE_OK)
            err = fail_sqlite(s, SQL[i]);
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
    char   sql[256];
    mg_err err = run(s, "begin immediate");
    snprintf(sql, sizeof sql,
             "delete from turn where episode in (select id from episode where step >= %lld);"
             "delete from episode where step >= %lld; delete from metric where step >= %lld",
             (long long)update, (long long)update, (long long)update);
    if (!err) err = run(s, sql);
    if (!err) s->update = update;
    return err;
}

mg_err mg_store_commit(mg_store *s) { return run(s, "commit"); }

mg_err mg_store_metric(mg_store *s, const char *name, double value) {
    sqlite3_stmt *q = s->add[ADD_METRIC];
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, s->update);
    sqlite3_bind_double(q, 3, value);
    return add(s, ADD_METRIC);
}

mg_err mg_store_note(mg_store *s, const char *name, const char *text) {
    sqlite3_bind_text(s->add[ADD_NOTE], 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s->add[ADD_NOTE], 2, text, -1, SQLITE_STATIC);
    return add(s, ADD_NOTE);
}

// Three columns: kind, the number of a VALUE or null, the reason of the others or null.
static void bind_reward(sqlite3_stmt *q, int column, const mg_reward *r) {
    sqlite3_bind_int(q, column, (int)r->kind);
    if (r->kind == MG_REWARD_VALUE)
        sqlite3_bind_double(q, column + 1, r->value);
    else if (r->reason)
        sqlite3_bind_text(q, column + 2, r->reason, -1, SQLITE_STATIC);
}

static mg_err add_turns(mg_store *s, const mg_episode *e, int64_t id) {
    for (int64_t i = 0; i < e->n_turns; i++) {
        const mg_turn *t = &e->turns[i];
        sqlite3_stmt  *q = s->add[ADD_TURN];
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_int64(q, 2, i);
        sqlite3_bind_blob64(q, 3, t->observation, t->observation_size, SQLITE_STATIC);
        sqlite3_bind_blob64(q, 4, t->action, t->action_size, SQLITE_STATIC);
        sqlite3_bind_int64(q, 5, t->action_begin);
        sqlite3_bind_int64(q, 6, t->action_end);
        bind_reward(q, 7, &t->reward);
        mg_err err = add(s, ADD_TURN);
        if (err) return err;
    }
    return MG_OK;
}

mg_err mg_store_episode(mg_store *s, const mg_episode *e) {
    sqlite3_stmt *q = s->add[ADD_EPISODE];
    const size_t  n = (size_t)e->n_tokens;
    sqlite3_bind_int64(q, 1, s->update);
    sqlite3_bind_int64(q, 2, e->start.item);
    sqlite3_bind_int64(q, 3, e->start.group);
    sqlite3_bind_int64(q, 4, e->start.episode);
    sqlite3_bind_int64(q, 5, e->start.attempt);
    sqlite3_bind_int64(q, 6, e->start.n_prefix);
    sqlite3_bind_int64(q, 7, (int64_t)e->seed);
    sqlite3_bind_int64(q, 8, e->policy_version);
    sqlite3_bind_blob64(q, 9, n ? (const void *)e->tokens : "", n * sizeof *e->tokens, SQLITE_STATIC);
    sqlite3_bind_blob64(q, 10, n ? (const void *)e->role : "", n, SQLITE_STATIC);
    sqlite3_bind_blob64(q, 11, n ? (const void *)e->logp : "", n * sizeof *e->logp, SQLITE_STATIC);
    sqlite3_bind_int(q, 12, e->terminated);
    sqlite3_bind_int(q, 13, e->truncated);
    sqlite3_bind_int(q, 14, e->stopped);
    bind_reward(q, 15, &e->learned);
    sqlite3_bind_int(q, 18, (int)e->verdict);
    if (e->code) sqlite3_bind_text(q, 19, e->code, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 20, e->detail, -1, SQLITE_STATIC);
    mg_err err = add(s, ADD_EPISODE);
    return err ? err : add_turns(s, e, sqlite3_last_insert_rowid(s->db));
}

// Prepares a query; finished by the caller.
static mg_err query(mg_store *s, const char *sql, sqlite3_stmt **out) {
    return sqlite3_prepare_v2(s->db, sql, -1, out, NULL) == SQLITE_OK ? MG_OK : fail_sqlite(s, sql);
}

static int64_t count_rows(mg_store *s, const char *sql, const char *name) {
    sqlite3_stmt *q;
    int64_t       n = 0;
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK) return 0;
    if (name) sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    if (sqlite3_step(q) == SQLITE_ROW) n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

mg_err mg_store_note_read(mg_store *s, const char *name, mg_arena *arena, char **text) {
    sqlite3_stmt *q;
    mg_err        err = query(s, "select body from note where name = ?", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    const int step = sqlite3_step(q);
    if (step == SQLITE_ROW)
        *text = mg_arena_strdup(arena, (const char *)sqlite3_column_text(q, 0));
    else
        err = step == SQLITE_DONE ? mg_fail(MG_EMPTY, "store: no note '%s'", name)
                                  : fail_sqlite(s, "note");
    sqlite3_finalize(q);
    return err;
}

mg_err mg_store_metric_names(mg_store *s, mg_arena *arena, char ***names, int64_t *n) {
    const int64_t count = count_rows(s, "select count(distinct name) from metric", NULL);
    char        **out   = MG_NEW(arena, char *, count);
    sqlite3_stmt *q;
    mg_err        err = query(s, "select distinct name from metric order by name", &q);
    if (err) return err;
    int64_t i = 0;
    while (i < count && sqlite3_step(q) == SQLITE_ROW)
        out[i++] = mg_arena_strdup(arena, (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    *names = out, *n = i;
    return MG_OK;
}

mg_err mg_store_metric_read(mg_store *s, const char *name, mg_arena *arena, mg_point **points,
                            int64_t *n) {
    const int64_t count = count_rows(s, "select count(*) from metric where name = ?", name);
    mg_point     *out   = MG_NEW(arena, mg_point, count);
    sqlite3_stmt *q;
    mg_err err = query(s, "select step, value from metric where name = ? order by step", &q);
    if (err) return err;
    sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    int64_t i = 0;
    for (; i < count && sqlite3_step(q) == SQLITE_ROW; i++)
        out[i] = (mg_point){sqlite3_column_int64(q, 0), sqlite3_column_double(q, 1)};
    sqlite3_finalize(q);
    *points = out, *n = i;
    return MG_OK;
}

static mg_reward read_reward(sqlite3_stmt *q, int column, mg_arena *arena) {
    const mg_reward_kind kind   = (mg_reward_kind)sqlite3_column_int(q, column);
    const char          *reason = (const char *)sqlite3_column_text(q, column + 2);
    return (mg_reward){.kind = kind, .value = sqlite3_column_double(q, column + 1),
                       .reason = reason ? mg_arena_strdup(arena, reason) : NULL};
}

// A copy of a blob, with a 0 behind it.
static void *read_blob(sqlite3_stmt *q, int column, mg_arena *arena, size_t *size) {
    const void *blob = sqlite3_column_blob(q, column);
    *size            = (size_t)sqlite3_column_bytes(q, column);
    char *copy       = mg_arena_alloc(arena, *size + 1);
    if (*size > 0) memcpy(copy, blob, *size);
    return copy;
}

static mg_err read_turns(mg_store *s, int64_t id, mg_arena *arena, mg_episode *e) {
    sqlite3_stmt  *q;
    mg_err         err = query(s, "select * from turn where episode = ? order by turn", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, id);
    int64_t room = 0;
    while (sqlite3_step(q) == SQLITE_ROW) {
        if (e->n_turns == room) {
            mg_turn *more = MG_NEW(arena, mg_turn, room = room ? 2 * room : 1);
            if (e->n_turns > 0) memcpy(more, e->turns, sizeof *more * (size_t)e->n_turns);
            e->turns = more;
        }
        mg_turn *t      = &e->turns[e->n_turns++];
        t->observation  = read_blob(q, 2, arena, &t->observation_size);
        t->action       = read_blob(q, 3, arena, &t->action_size);
        t->action_begin = sqlite3_column_int64(q, 4);
        t->action_end   = sqlite3_column_int64(q, 5);
        t->reward       = read_reward(q, 6, arena);
    }
    sqlite3_finalize(q);
    return MG_OK;
}

static void read_episode(sqlite3_stmt *q, mg_arena *arena, mg_episode *e) {
    size_t      size, roles, logps;
    const char *code   = (const char *)sqlite3_column_text(q, 19);
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
        .code           = code ? mg_arena_strdup(arena, code) : NULL,
    };
    e->tokens   = read_blob(q, 9, arena, &size);
    e->role     = read_blob(q, 10, arena, &roles);
    e->logp     = read_blob(q, 11, arena, &logps);
    e->n_tokens = (int64_t)roles;
    snprintf(e->detail, sizeof e->detail, "%s", detail);
}

mg_err mg_store_episodes_read(mg_store *s, int64_t from, int64_t to, int64_t max, mg_arena *arena,
                              mg_episode **episodes, int64_t *n) {
    mg_episode   *out = MG_NEW(arena, mg_episode, max);
    sqlite3_stmt *q;
    mg_err err = query(s, "select * from episode where step >= ? and step < ? order by id limit ?", &q);
    if (err) return err;
    sqlite3_bind_int64(q, 1, from);
    sqlite3_bind_int64(q, 2, to);
    sqlite3_bind_int64(q, 3, max);
    int64_t i = 0;
    while (!err && i < max && sqlite3_step(q) == SQLITE_ROW) {
        read_episode(q, arena, &out[i]);
        err = read_turns(s, sqlite3_column_int64(q, 0), arena, &out[i++]);
    }
    sqlite3_finalize(q);
    if (!err) *episodes = out, *n = i;
    return err;
}
