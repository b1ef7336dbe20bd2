// verify.c - is the record what was recorded?
//
// Everything is computed again from what lies in the file: each episode's chain from its row, each
// update's head from its episodes, each life's hash from the head that it went on from.
#include <string.h>

#include "store/db.h"

#define VERIFY_ARENA_MAX ((size_t)64 << 30) // address space: one update's episodes
#define VERIFY_FED_MAX   ((int64_t)1 << 26)

typedef struct walk {
    mg_store    *s;
    mg_arena     arena;  // emptied for each update
    sqlite3_stmt *episodes, *fed, *replay;
    int64_t      life, low, update;
    uint8_t      head[32]; // of the run, so far
    uint8_t      hash[32]; // of the lives
    int64_t      seen[3];  // rows of episode, fed, fed_replay that belong to an update
} walk;

// "update 12" or "update 12 of life 2".
static mg_err differs(const walk *w, const char *what) {
    char of[40] = "";
    if (w->life != 1) snprintf(of, sizeof of, " of life %lld", (long long)w->life);
    return mg_fail(MG_CORRUPT, "store %s: update %lld%s%s", w->s->path, mg_update_number(w->update), of, what);
}

static mg_err differs_in(const walk *w, const mg_episode *e, const char *what) {
    char text[256];
    snprintf(text, sizeof text, ", group %d, episode %u%s", e->start.group, e->start.episode, what);
    return differs(w, text);
}

static bool same(sqlite3_stmt *q, int column, const uint8_t hash[32]) {
    const void *blob = sqlite3_column_blob(q, column);
    return sqlite3_column_bytes(q, column) == 32 && memcmp(blob, hash, 32) == 0;
}

static mg_err check_episode(walk *w, const mg_episode *e, const mg_stored *stored) {
    uint8_t   head[32];
    char      where[80];
    uint64_t *links = MG_NEW(&w->arena, uint64_t, e->n_turns + 1);
    mg_episode_links(e, stored->left_out, NULL, links, head);
    if (links[0] != stored->links[0])
        return differs_in(w, e, ": its header (where it started, seed, policy, reset) was changed");
    for (int64_t i = 0; i < e->n_turns; i++)
        if (links[i + 1] != stored->links[i + 1]) {
            snprintf(where, sizeof where, ", turn %lld: it was changed", (long long)i);
            return differs_in(w, e, where);
        }
    if (memcmp(head, stored->head, 32) != 0)
        return differs_in(w, e, ": its end (verdict, code, learned reward, digests) or its tokens were changed");
    return MG_OK;
}

static bool in_order(const mg_start *a, const mg_start *b) {
    if (a->group != b->group) return a->group < b->group;
    if (a->episode != b->episode) return a->episode < b->episode;
    return a->attempt <= b->attempt;
}

static mg_err check_episodes(walk *w, int64_t wanted, uint8_t (**heads)[32]) {
    mg_err     err    = MG_OK;
    mg_start   before = {0};
    int64_t    n      = 0;
    char       text[80];
    uint8_t  (*out)[32] = NULL;
    sqlite3_reset(w->episodes);
    sqlite3_bind_int64(w->episodes, 1, w->life);
    sqlite3_bind_int64(w->episodes, 2, w->update);
    while (mg_query_next(w->s, w->episodes, &err)) {
        mg_episode e;
        mg_stored  stored;
        err = mg_episode_read(w->s, w->episodes, &w->arena, &e, &stored);
        if (!err && n > 0 && !in_order(&before, &e.start))
            err = differs_in(w, &e, ": out of order: it lies behind one that comes later");
        if (!err) err = check_episode(w, &e, &stored);
        if (err) break;
        before = (mg_start){.group = e.start.group, .episode = e.start.episode, .attempt = e.start.attempt};
        out    = mg_grow(&w->arena, out, n, sizeof *out);
        memcpy(out[n++], stored.head, 32);
    }
    sqlite3_reset(w->episodes);
    w->seen[0] += n;
    if (err || n == wanted) {
        *heads = out;
        return err;
    }
    snprintf(text, sizeof text, ": cut off: holds %lld of %lld episodes", (long long)n, (long long)wanted);
    return differs(w, n < wanted ? text : ": holds episodes that were not recorded with it");
}

// What the ledger says, and that it is CLEAN; which episodes these were, their heads say.
static mg_err check_fed(walk *w, int64_t wanted, uint8_t (**heads)[32], mg_fed_replay *replay, bool *replayed) {
    mg_err    err = MG_OK;
    int64_t   n   = 0;
    uint8_t (*out)[32] = mg_arena_alloc(&w->arena, 32 * (size_t)wanted);
    sqlite3_stmt *q[] = {w->fed, w->replay};
    for (int i = 0; i < 2; i++) {
        sqlite3_reset(q[i]);
        sqlite3_bind_int64(q[i], 1, w->life);
        sqlite3_bind_int64(q[i], 2, w->update);
    }
    for (; mg_query_next(w->s, w->fed, &err) && n < wanted; n++) {
        if (sqlite3_column_int64(w->fed, 0) != n || sqlite3_column_int(w->fed, 1) != MG_CLEAN)
            err = differs(w, ": its ledger was changed");
        if (sqlite3_column_bytes(w->fed, 2) == 32) memcpy(out[n], sqlite3_column_blob(w->fed, 2), 32);
    }
    *replayed = mg_query_next(w->s, w->replay, &err);
    if (*replayed) {
        *replay = (mg_fed_replay){.low = sqlite3_column_int64(w->replay, 0),
                                  .high = sqlite3_column_int64(w->replay, 1),
                                  .key  = (uint64_t)sqlite3_column_int64(w->replay, 3)};
        if (sqlite3_column_bytes(w->replay, 2) == 32)
            memcpy(replay->hash, sqlite3_column_blob(w->replay, 2), 32);
    }
    sqlite3_reset(w->fed);
    sqlite3_reset(w->replay);
    w->seen[1] += n, w->seen[2] += *replayed;
    if (!err && n != wanted) err = differs(w, ": its ledger was cut off");
    if (!err) *heads = out;
    return err;
}

static mg_err check_update(walk *w, sqlite3_stmt *done) {
    uint8_t     (*heads)[32] = NULL, (*fed)[32] = NULL;
    mg_fed_replay replay     = {0};
    bool          replayed   = false;
    const int64_t n = sqlite3_column_int64(done, 1), n_fed = sqlite3_column_int64(done, 2);
    w->update = sqlite3_column_int64(done, 0);
    mg_arena_reset(&w->arena, 0);
    if (w->update < w->low || n_fed < 0 || n_fed > VERIFY_FED_MAX)
        return differs(w, ": it does not belong there");
    mg_err err = check_episodes(w, n, &heads);
    if (!err) err = check_fed(w, n_fed, &fed, &replay, &replayed);
    if (err) return err;
    mg_chain_join(w->head, &(mg_chain_update){.update = w->update, .heads = (const uint8_t(*)[32])heads,
                                              .n = n, .fed = (const uint8_t(*)[32])fed, .n_fed = n_fed,
                                              .replay = replayed ? &replay : NULL});
    if (same(done, 3, w->head)) return MG_OK;
    return differs(w, ": its episodes, its ledger and the updates before it do not make its head");
}

static mg_err check_updates(walk *w) {
    sqlite3_stmt *done;
    mg_err err = mg_query(w->s, "select step, episodes, fed, head from done where life = ? order by step", &done);
    if (err) return err;
    sqlite3_bind_int64(done, 1, w->life);
    bool any = false;
    while (mg_query_next(w->s, done, &err)) {
        err = check_update(w, done);
        any = true;
    }
    sqlite3_finalize(done);
    if (!err && !any)
        err = mg_fail(MG_CORRUPT, "store %s: life %lld: cut off: it holds no update", w->s->path,
                      (long long)w->life);
    return err;
}

// Where a life goes on from, and that no life was taken out or changed.
static mg_err check_life(walk *w, sqlite3_stmt *life) {
    const char *identity = (const char *)sqlite3_column_text(life, 2);
    int64_t     last;
    bool        found;
    w->life++;
    w->low     = sqlite3_column_int64(life, 1);
    mg_err err = mg_head_before(w->s, w->life, w->low, w->head, &last, &found);
    if (err) return err;
    if (!found) mg_chain_start(identity, w->head);
    mg_chain_life(w->hash, w->life, w->low, identity, w->head);
    if (sqlite3_column_int64(life, 0) != w->life || (w->low > 0 && (!found || last != w->low - 1)) ||
        !same(life, 3, w->head) || !same(life, 4, w->hash))
        return mg_fail(MG_CORRUPT, "store %s: life %lld: what it goes on from, behind %lld updates, is not "
                       "there or was changed", w->s->path, (long long)w->life, (long long)w->low);
    return check_updates(w);
}

static mg_err count(mg_store *s, const char *sql, int64_t *out) {
    sqlite3_stmt *q;
    mg_err        err = mg_query(s, sql, &q);
    if (err) return err;
    if (mg_query_next(s, q, &err)) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return err;
}

// No row without an update that it belongs to, and the end is where the file says it is.
static mg_err check_rest(walk *w) {
    static const char *const tables[] = {"episode", "fed", "fed_replay"};
    sqlite3_stmt *tip;
    mg_err        err = MG_OK;
    for (int i = 0; i < 3 && !err; i++) {
        char    sql[64];
        int64_t n = 0;
        snprintf(sql, sizeof sql, "select count(*) from %s", tables[i]);
        err = count(w->s, sql, &n);
        if (!err && n != w->seen[i])
            err = mg_fail(MG_CORRUPT, "store %s: %lld rows of %s belong to no update", w->s->path,
                          (long long)(n - w->seen[i]), tables[i]);
    }
    if (!err) err = mg_query(w->s, "select life, step, head from tip", &tip);
    if (err) return err;
    const bool there = mg_query_next(w->s, tip, &err);
    if (!err && (there != (w->life > 0) ||
                 (there && (sqlite3_column_int64(tip, 0) != w->life ||
                            sqlite3_column_int64(tip, 1) != w->update || !same(tip, 2, w->head)))))
        err = differs(w, ": cut off: the record ends here, and did not end here when it was written");
    sqlite3_finalize(tip);
    return err;
}

static mg_err walk_rows(walk *w) {
    sqlite3_stmt *life = NULL;
    mg_err err = mg_query(w->s, "select * from episode where life = ? and step = ? order by id", &w->episodes);
    if (!err)
        err = mg_query(w->s, "select n, verdict, head from fed where life = ? and step = ? order by n", &w->fed);
    if (!err)
        err = mg_query(w->s, "select low, high, hash, key from fed_replay where life = ? and step = ?", &w->replay);
    if (!err) err = mg_query(w->s, "select life, low, identity, start, hash from life order by life", &life);
    while (!err && mg_query_next(w->s, life, &err)) err = check_life(w, life);
    sqlite3_finalize(life);
    return err ? err : check_rest(w);
}

// In one read transaction: a run that is alive may commit meanwhile, and rows that came behind the walk
// belong to no update that it saw.
static mg_err walk_all(walk *w) {
    mg_err err = mg_store_wait(w->s); // it is the writer's connection too
    if (err) return err;
    if (sqlite3_exec(w->s->db, "begin", NULL, NULL, NULL) != SQLITE_OK)
        return mg_sqlite_fail(w->s->db, w->s->path, "read");
    err = walk_rows(w);
    sqlite3_finalize(w->episodes);
    sqlite3_finalize(w->fed);
    sqlite3_finalize(w->replay);
    sqlite3_exec(w->s->db, "rollback", NULL, NULL, NULL); // nothing was written, so nothing can be lost
    return err;
}

mg_err mg_store_verify(mg_store *s) {
    walk   w   = {.s = s, .update = -1};
    mg_err err = mg_arena_init(&w.arena, "verify", VERIFY_ARENA_MAX);
    MG_ASSERT(!s->batch);
    if (!err) err = walk_all(&w);
    mg_arena_release(&w.arena);
    return err;
}
