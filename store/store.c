// store.c - the run's SQLite file: its schema, and what is written to it. Reading: read.c.
#include "store/store.h"

#include <math.h>
#include <string.h>

#include "store/bytes.h"
#include "store/db.h"

#define APPLICATION_ID 0x6d74676c // "mtgl" in the file's header: whose file this is
#define SCHEMA_VERSION 2

// Blobs of an episode's arrays are in the machine's byte order (little-endian on every machine
// that this runs on): int32 tokens, uint8 roles, float32 log-probabilities. Its turns are one blob,
// laid out in put_turns. Columns of numbers that must keep their bits have no type: SQLite stores -0.0
// as 0 in a column declared real. A reward of kind 1 (VALUE) has a number and no other kind does.
static const char SCHEMA[] =
    "begin immediate;"
    "create table note(name text primary key, body text not null) without rowid;"
    "create table life("
    "  life integer primary key," // from 1
    "  low integer not null,"     // goes on from behind so many updates
    "  identity text not null,"
    "  start blob not null,"      // the run's head there
    "  hash blob not null);"      // chain.h, L_n
    "create table done("          // an update that is whole
    "  life integer not null references life(life), step integer not null,"
    "  episodes integer not null, fed integer not null,"
    "  head blob not null,"       // chain.h, R_k
    "  primary key (life, step)) without rowid;"
    "create table tip(one integer primary key check (one = 1),"
    "  life integer not null, step integer not null, head blob not null);" // the last update's
    "create table metric("
    "  life integer not null, step integer not null, name text not null, value not null,"
    "  primary key (life, step, name)) without rowid;"
    "create table episode("
    "  id integer primary key," // within an update in logical order
    "  life integer not null,"
    "  step integer not null,"  // the update that it was played for
    "  item integer not null, grp integer not null, episode integer not null,"
    "  attempt integer not null,"
    "  n_prefix integer not null, prefix blob," // forced tokens
    "  demo_turns integer not null,"
    "  seed integer not null, policy integer not null,"
    "  terminated integer not null, truncated integer not null, stopped integer not null,"
    "  learned_kind integer not null, learned, learned_reason text,"
    "  verdict integer not null, code text, detail text not null, code_turn integer not null,"
    "  reset_digest blob not null, end_digest blob not null,"
    "  tokens blob, role blob, logp blob,"
    "  left_out blob," // the hash of these three where they are not there: a replayable record
    "  n_turns integer not null, turns blob not null,"
    "  link integer not null, head blob not null,"
    "  check ((learned_kind = 1) = (learned is not null)),"
    "  check ((left_out is null) = (tokens is not null)));"
    "create index episode_step on episode(life, step);"
    "create table fed("
    "  life integer not null, step integer not null, n integer not null,"
    "  grp integer not null, episode integer not null, attempt integer not null,"
    "  verdict integer not null check (verdict = 0), head blob not null,"
    "  primary key (life, step, n)) without rowid;"
    "create table fed_replay("
    "  life integer not null, step integer not null,"
    "  low integer not null, high integer not null, hash blob not null, key integer not null,"
    "  primary key (life, step)) without rowid;"
    // Life n holds the updates from low until a later life goes on from before.
    "create view held(life, low, high) as select life, low, (select"
    "  ifnull(min(low), 9223372036854775807) from life later where later.life > life.life) from life;";

static const char *const SQL[MG_STATEMENTS] = {
    [MG_ADD_NOTE]       = "insert or replace into note values (?, ?)",
    [MG_ADD_LIFE]       = "insert into life values (?, ?, ?, ?, ?)",
    [MG_ADD_METRIC]     = "insert or replace into metric values (?, ?, ?, ?)",
    [MG_ADD_EPISODE]    = ("insert into episode values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                           " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [MG_ADD_FED]        = "insert into fed values (?, ?, ?, ?, ?, ?, ?, ?)",
    [MG_ADD_FED_REPLAY] = "insert into fed_replay values (?, ?, ?, ?, ?, ?)",
    [MG_ADD_DONE]       = "insert into done values (?, ?, ?, ?, ?)",
    [MG_SET_TIP]        = "insert or replace into tip values (1, ?, ?, ?)",
};

// ---- Opening ----

static mg_err run(mg_store *s, const char *what, const char *sql) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? MG_OK
                                                                   : mg_sqlite_fail(s->db, s->path, what);
}

static mg_err read_number(mg_store *s, const char *sql, int64_t *out) {
    sqlite3_stmt *q;
    mg_err        err = mg_query(s, sql, &q);
    if (err) return err;
    if (mg_query_next(s, q, &err)) *out = sqlite3_column_int64(q, 0);
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
        return mg_fail(MG_CORRUPT, "store %s: schema version %lld, wanted %d: %s", s->path,
                       (long long)version, SCHEMA_VERSION,
                       version < SCHEMA_VERSION ? "written by an older martingale, which can read it"
                                                : "written by a newer martingale");
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
    if (sqlite3_open(path, &s->db) != SQLITE_OK) err = mg_sqlite_fail(s->db, s->path, "open");
    if (!err) {
        sqlite3_busy_timeout(s->db, MG_STORE_BUSY_MS);
        err = identify(s, &fresh);
    }
    // Large pages: episodes are blobs, and a write-ahead log is two calls a page. Records a second on one
    // core (martingale bench), pages of 4 KiB: 0.29 million, 16 KiB: 0.55, 32 KiB: 0.70, 64 KiB: 0.73.
    if (!err)
        err = run(s, "open", "pragma page_size = 32768; pragma journal_mode = wal; pragma synchronous = normal");
    if (!err && fresh) err = fill(s);
    for (int i = 0; i < MG_STATEMENTS && !err; i++)
        if (sqlite3_prepare_v2(s->db, SQL[i], -1, &s->add[i], NULL) != SQLITE_OK)
            err = mg_sqlite_fail(s->db, s->path, "open");
    if (err)
        mg_store_close(s);
    else
        *out = s;
    return err;
}

mg_err mg_store_close(mg_store *s) {
    if (!s) return MG_OK;
    if (s->batch) mg_writer_drop(&s->writer, s->batch);
    const mg_err err = mg_writer_stop(&s->writer);
    for (int i = 0; i < MG_STATEMENTS; i++) sqlite3_finalize(s->add[i]);
    sqlite3_close(s->db);
    free((char *)s->identity);
    free(s->path);
    free(s);
    return err;
}

void mg_store_record(mg_store *s, mg_record how) { s->record = how; }

mg_err mg_store_durable(mg_store *s, bool against_power_loss) {
    mg_err err = mg_store_wait(s);
    return err ? err : run(s, "open", against_power_loss ? "pragma synchronous = full"
                                                         : "pragma synchronous = normal");
}

mg_err mg_store_wait(mg_store *s) { return mg_writer_wait(&s->writer); }

static mg_err begin_batch(mg_store *s, mg_batch **out) {
    mg_err err = s->writer.started ? MG_OK : mg_writer_start(&s->writer, s->path, s->db, s->add);
    return err ? err : mg_writer_begin(&s->writer, out);
}

mg_err mg_store_note(mg_store *s, const char *name, const char *text) {
    mg_batch *b;
    MG_ASSERT(!s->batch);
    mg_err err = begin_batch(s, &b);
    if (err) return err;
    snprintf(b->name, sizeof b->name, "note %s", name);
    mg_row *r = mg_batch_row(b, MG_ADD_NOTE, 2, false);
    mg_row_text(b, r, 0, name);
    mg_row_text(b, r, 1, text);
    mg_writer_hand(&s->writer, b);
    return mg_store_wait(s);
}

// ---- Lives and updates ----

// Updates of another environment are no past of this one.
static mg_err same_identity(const mg_store *s, int64_t from, const char *found, const char *wanted) {
    if (strcmp(found, wanted) == 0) return MG_OK;
    return mg_fail(MG_MISMATCH, "store %s: '%s' is to go on from %lld updates of '%s', wanted the same identity",
                   s->path, found, (long long)from, wanted);
}

mg_err mg_store_life(mg_store *s, int64_t from, const char *identity) {
    int64_t life = 0, last = -1;
    bool    found = false;
    char   *kept;
    uint8_t start[32], hash[32] = {0};
    MG_ASSERT(!s->batch && from >= 0);
    sqlite3_stmt *q;
    mg_err        err = mg_query(s, "select life, hash, identity from life order by life desc limit 1", &q);
    if (err) return err;
    if (mg_query_next(s, q, &err)) {
        life = sqlite3_column_int64(q, 0);
        if (sqlite3_column_bytes(q, 1) == 32) memcpy(hash, sqlite3_column_blob(q, 1), 32);
        if (from > 0) err = same_identity(s, from, identity, (const char *)sqlite3_column_text(q, 2));
    }
    sqlite3_finalize(q);
    if (!err) err = mg_head_before(s, INT64_MAX, from, start, &last, &found);
    if (err) return err;
    if (from > 0 && last < from - 1)
        return mg_fail(MG_MISMATCH, "store %s: holds %lld updates, wanted %lld to go on from", s->path,
                       (long long)last + 1, (long long)from);
    if (!(kept = strdup(identity))) return mg_fail(MG_NOMEM, "store %s: a life", s->path);
    free((char *)s->identity);
    if (!found) mg_chain_start(identity, start);
    mg_chain_life(hash, life + 1, from, identity, start);
    s->identity = kept;
    s->life = life + 1, s->low = from, s->life_new = true, s->update = from - 1;
    memcpy(s->start, start, 32);
    memcpy(s->head, start, 32);
    memcpy(s->life_hash, hash, 32);
    return MG_OK;
}

static void add_life(mg_store *s) {
    mg_row *r = mg_batch_row(s->batch, MG_ADD_LIFE, 5, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->low);
    mg_row_text(s->batch, r, 2, s->identity);
    mg_row_blob(s->batch, r, 3, s->start, 32);
    mg_row_blob(s->batch, r, 4, s->life_hash, 32);
}

mg_err mg_store_begin(mg_store *s, int64_t update) {
    MG_ASSERT(!s->batch && s->life > 0 && update > s->update);
    mg_err err = begin_batch(s, &s->batch);
    if (err) return err;
    snprintf(s->batch->name, sizeof s->batch->name, "update %lld", mg_update_number(update));
    s->update   = update;
    s->episodes = NULL, s->fed = NULL, s->replay = NULL;
    s->n_episodes = s->n_fed = 0;
    if (s->life_new) add_life(s);
    return MG_OK;
}

mg_err mg_store_metric(mg_store *s, const char *name, double value) {
    MG_ASSERT(s->batch);
    if (!isfinite(value))
        return mg_fail(MG_NUMERIC, "store %s: update %lld: metric %s is %g", s->path,
                       mg_update_number(s->update), name, value);
    mg_row *r = mg_batch_row(s->batch, MG_ADD_METRIC, 4, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->update);
    mg_row_text(s->batch, r, 2, name);
    mg_row_real(r, 3, value);
    return MG_OK;
}

// ---- Episodes ----

// An episode of the update that is being made: rows are written in logical order.
struct waiting {
    mg_row  *row;
    int64_t  at;    // order of arrival, for equals
    int32_t  group;
    uint32_t episode, attempt;
    uint8_t  head[32];
};

static int in_logical_order(const void *x, const void *y) {
    const struct waiting *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->episode != b->episode) return a->episode < b->episode ? -1 : 1;
    if (a->attempt != b->attempt) return a->attempt < b->attempt ? -1 : 1;
    return a->at < b->at ? -1 : 1;
}

typedef struct counter {
    mg_sink sink; // first: a counter is a sink without room
    size_t  n;
} counter;

static void count_bytes(mg_sink *s, const void *bytes, size_t n) {
    (void)bytes;
    ((counter *)s)->n += n;
}

// Of each turn the first eight bytes of its link, its kept part, and either all the rest or its hash.
static void put_turns(mg_sink *s, const mg_episode *e, const uint8_t (*seen)[32],
                      const uint64_t *links, mg_record how) {
    for (int64_t i = 0; i < e->n_turns; i++) {
        mg_put_u64(s, links[i + 1]);
        mg_put_kept(s, &e->turns[i]);
        if (how == MG_RECORD_FULL) {
            mg_put_seen(s, &e->turns[i]);
            mg_put_measured(s, &e->turns[i]);
        } else {
            mg_put(s, seen[i], 32);
        }
    }
}

static mg_err check_reward(const mg_store *s, const mg_reward *r) {
    if (r->kind != MG_REWARD_VALUE || isfinite(r->value)) return MG_OK;
    return mg_fail(MG_NUMERIC, "store %s: update %lld: a reward of kind VALUE is %g", s->path,
                   mg_update_number(s->update), r->value);
}

// *size: of its turns' bytes.
static mg_err check_episode(const mg_store *s, const mg_episode *e, const uint8_t (*seen)[32],
                            const uint64_t *links, size_t *size) {
    counter c   = {.sink = {.full = count_bytes}};
    mg_err  err = check_reward(s, &e->learned);
    for (int64_t i = 0; i < e->n_turns && !err; i++) {
        err = check_reward(s, &e->turns[i].reward);
        if (!err) err = check_reward(s, &e->turns[i].evidence.owed);
    }
    if (err) return err;
    put_turns(&c.sink, e, seen, links, s->record);
    const mg_arena *a    = &s->batch->arena;
    const size_t    all  = c.n + 16 * (size_t)e->n_tokens + (64 << 10);
    if (all > a->size_max - a->used)
        return mg_fail(MG_LIMIT, "store %s: update %lld: more than %zu bytes", s->path,
                       mg_update_number(s->update), MG_STORE_UPDATE_MAX);
    *size = c.n;
    return MG_OK;
}

// Three columns: kind, the number of a VALUE or null, the reason of the others or null.
static void put_reward(mg_batch *b, mg_row *row, int column, const mg_reward *r) {
    mg_row_integer(row, column, (int)r->kind);
    if (r->kind == MG_REWARD_VALUE)
        mg_row_real(row, column + 1, r->value);
    else
        mg_row_text(b, row, column + 2, r->reason);
}

static void put_start(mg_batch *b, mg_row *r, const mg_episode *e) {
    const mg_start *a = &e->start;
    mg_row_integer(r, MG_E_ITEM, a->item);
    mg_row_integer(r, MG_E_GROUP, a->group);
    mg_row_integer(r, MG_E_EPISODE, a->episode);
    mg_row_integer(r, MG_E_ATTEMPT, a->attempt);
    mg_row_integer(r, MG_E_N_PREFIX, a->n_prefix);
    if (a->prefix) mg_row_blob(b, r, MG_E_PREFIX, a->prefix, sizeof *a->prefix * (size_t)a->n_prefix);
    mg_row_integer(r, MG_E_DEMO_TURNS, a->demo_turns);
    mg_row_integer(r, MG_E_SEED, (int64_t)e->seed);
    mg_row_integer(r, MG_E_POLICY, e->policy_version);
    mg_row_blob(b, r, MG_E_RESET, e->reset_digest, 32);
}

static void put_end(mg_batch *b, mg_row *r, const mg_episode *e) {
    mg_row_integer(r, MG_E_TERMINATED, e->terminated);
    mg_row_integer(r, MG_E_TRUNCATED, e->truncated);
    mg_row_integer(r, MG_E_STOPPED, e->stopped);
    put_reward(b, r, MG_E_LEARNED_KIND, &e->learned);
    mg_row_integer(r, MG_E_VERDICT, (int)e->verdict);
    mg_row_text(b, r, MG_E_CODE, e->code);
    mg_row_text(b, r, MG_E_DETAIL, e->detail);
    mg_row_integer(r, MG_E_CODE_TURN, e->code_turn);
    mg_row_blob(b, r, MG_E_END, e->end_digest, 32);
    mg_row_integer(r, MG_E_N_TURNS, e->n_turns);
}

static void put_tokens(mg_batch *b, mg_row *r, const mg_episode *e, mg_record how,
                       const uint8_t left_out[32]) {
    const size_t n = (size_t)e->n_tokens;
    if (how == MG_RECORD_REPLAYABLE) {
        mg_row_blob(b, r, MG_E_LEFT_OUT, left_out, 32);
        return;
    }
    mg_row_blob(b, r, MG_E_TOKENS, n ? (void *)e->tokens : "", n * sizeof *e->tokens);
    mg_row_blob(b, r, MG_E_ROLE, n ? (void *)e->role : "", n);
    mg_row_blob(b, r, MG_E_LOGP, n ? (void *)e->logp : "", n * sizeof *e->logp);
}

mg_err mg_store_episode(mg_store *s, const mg_episode *e) {
    MG_ASSERT(s->batch);
    mg_arena *a     = &s->batch->arena;
    size_t    size  = 0;
    uint8_t (*seen)[32]  = mg_arena_alloc_raw(a, sizeof *seen * (size_t)(e->n_turns + 1));
    uint64_t *links = mg_arena_alloc_raw(a, sizeof *links * (size_t)(e->n_turns + 1));
    struct waiting w = {.at = s->n_episodes, .group = e->start.group, .episode = e->start.episode,
                        .attempt = e->start.attempt};
    mg_episode_links(e, NULL, seen, links, w.head);
    mg_err err = check_episode(s, e, (const uint8_t(*)[32])seen, links, &size);
    if (err) return err;
    mg_row *r = w.row = mg_batch_row(s->batch, MG_ADD_EPISODE, MG_E_COLUMNS, true);
    mg_row_integer(r, MG_E_LIFE, s->life);
    mg_row_integer(r, MG_E_STEP, s->update);
    put_start(s->batch, r, e);
    put_end(s->batch, r, e);
    put_tokens(s->batch, r, e, s->record, seen[e->n_turns]);
    uint8_t *turns = mg_row_blob(s->batch, r, MG_E_TURNS, NULL, size);
    mg_sink  sink  = {turns, turns + size, NULL};
    put_turns(&sink, e, (const uint8_t(*)[32])seen, links, s->record);
    mg_row_integer(r, MG_E_LINK, (int64_t)links[0]);
    mg_row_blob(s->batch, r, MG_E_HEAD, w.head, 32);
    s->episodes = mg_grow(a, s->episodes, s->n_episodes, sizeof *s->episodes);
    s->episodes[s->n_episodes++] = w;
    return MG_OK;
}

// ---- The ledger ----

mg_err mg_store_fed(mg_store *s, const mg_episode *e) {
    const mg_start *a = &e->start;
    MG_ASSERT(s->batch);
    if (e->verdict != MG_CLEAN)
        return mg_fail(MG_MISMATCH, "store %s: update %lld, group %d, episode %u: feeds the update with "
                       "verdict %d (%s), wanted CLEAN", s->path, mg_update_number(s->update), a->group,
                       a->episode, (int)e->verdict, e->code ? e->code : "no code");
    s->fed = mg_grow(&s->batch->arena, s->fed, s->n_fed, sizeof *s->fed);
    mg_episode_head(e, s->fed[s->n_fed]);
    mg_row *r = mg_batch_row(s->batch, MG_ADD_FED, 8, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->update);
    mg_row_integer(r, 2, s->n_fed);
    mg_row_integer(r, 3, a->group);
    mg_row_integer(r, 4, a->episode);
    mg_row_integer(r, 5, a->attempt);
    mg_row_integer(r, 6, (int)e->verdict);
    mg_row_blob(s->batch, r, 7, s->fed[s->n_fed], 32);
    s->n_fed++;
    return MG_OK;
}

mg_err mg_store_fed_replay(mg_store *s, const mg_fed_replay *f) {
    MG_ASSERT(s->batch && !s->replay && f->low <= f->high);
    mg_fed_replay *kept = mg_arena_alloc(&s->batch->arena, sizeof *kept);
    *kept     = *f;
    s->replay = kept;
    mg_row *r = mg_batch_row(s->batch, MG_ADD_FED_REPLAY, 6, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->update);
    mg_row_integer(r, 2, f->low);
    mg_row_integer(r, 3, f->high);
    mg_row_blob(s->batch, r, 4, f->hash, 32);
    mg_row_integer(r, 5, (int64_t)f->key);
    return MG_OK;
}

mg_err mg_store_commit(mg_store *s) {
    MG_ASSERT(s->batch);
    mg_batch *b = s->batch;
    uint8_t (*heads)[32] = mg_arena_alloc_raw(&b->arena, sizeof *heads * (size_t)(s->n_episodes + 1));
    if (s->n_episodes > 1)
        qsort(s->episodes, (size_t)s->n_episodes, sizeof *s->episodes, in_logical_order);
    for (int64_t i = 0; i < s->n_episodes; i++) {
        memcpy(heads[i], s->episodes[i].head, 32);
        mg_batch_append(b, s->episodes[i].row);
    }
    mg_chain_join(s->head, &(mg_chain_update){.update = s->update, .heads = (const uint8_t(*)[32])heads,
                                              .n = s->n_episodes, .fed = (const uint8_t(*)[32])s->fed,
                                              .n_fed = s->n_fed, .replay = s->replay});
    mg_row *r = mg_batch_row(b, MG_ADD_DONE, 5, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->update);
    mg_row_integer(r, 2, s->n_episodes);
    mg_row_integer(r, 3, s->n_fed);
    mg_row_blob(b, r, 4, s->head, 32);
    r = mg_batch_row(b, MG_SET_TIP, 3, false);
    mg_row_integer(r, 0, s->life);
    mg_row_integer(r, 1, s->update);
    mg_row_blob(b, r, 2, s->head, 32);
    s->batch    = NULL;
    s->life_new = false;
    mg_writer_hand(&s->writer, b);
    return mg_writer_error(&s->writer);
}
