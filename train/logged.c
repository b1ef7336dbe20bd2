// logged.c - from a file of logged rows to what learners draw from.
//
// libcrypto's own functions for this one hash, as in store/replay.c.
#define OPENSSL_API_COMPAT 0x10100000L
#include "train/logged.h"

#include <openssl/sha.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "store/logged.h"

static mg_err check(const mg_logged *l, const mg_env_class *world, const char *path) {
    if (l->world && strcmp(l->world, world->name) != 0)
        return mg_fail(MG_CONFIG, "data: %s was logged in '%s', wanted '%s'", path, l->world, world->name);
    if (l->obs != world->observation.n || world->action.kind != MG_SPACE_VECTOR || l->act != world->action.n)
        return mg_fail(MG_CONFIG, "data: %s has %lld numbers of observations and %lld of actions, wanted %lld and "
                                  "%lld: those of %s", path, (long long)l->obs, (long long)l->act,
                       (long long)world->observation.n, (long long)world->action.n, world->name);
    return MG_OK;
}

static int64_t scale_actions(const mg_transitions *t, double high) {
    int64_t beyond = 0;
    for (int64_t i = 0; i < t->n * t->act; i++) {
        const double a = (double)t->action[i] / high;
        beyond += a < -1 || a > 1;
        t->action[i] = (float)(a < -1 ? -1 : a > 1 ? 1 : a);
    }
    return beyond;
}

// Learning from one plant for another is what shifts are for; whoever reads the run must know of it.
static void compare_plants(mg_job *job, const mg_logged *l, const mg_environment_config *e, const char *path) {
    const char *const words[][2] = {{MG_LOGGED_PLANT, mg_environment_plant(e, job->run)},
                                    {MG_LOGGED_VERSION, mg_environment_version(e, job->world->name)}};
    const char *differ = "";
    for (int i = 0; i < 2; i++) {
        const char *found = mg_logged_says(l, words[i][0]), *own = words[i][1];
        if (found && own && strcmp(found, own) != 0)
            differ = mg_path(job->run, "%s%smetadata/%s is '%s', the run's is '%s'", differ, differ[0] ? "; " : "",
                             words[i][0], found, own);
    }
    if (!differ[0] || e->command[0]) return; // nobody knows a process's plant
    job->plant = mg_path(job->run, "%s was logged on another plant than the run's: %s", path, differ);
    mg_log(MG_LOG_WARN, "data: %s", job->plant);
}

mg_err mg_job_logged(mg_job *job, const char *path, const mg_environment_config *e) {
    mg_transitions *t = MG_NEW(job->run, mg_transitions, 1);
    mg_logged       l;
    mg_err          err = mg_logged_read(path, job->run, &l);
    if (!err) err = check(&l, job->world, path);
    if (!err) compare_plants(job, &l, e, path);
    if (err) return err;
    const int64_t rows = l.rows, episodes = mg_logged_episodes(&l);
    err = mg_logged_transitions(&l, job->run, t);
    if (err) return mg_fail(err, "data: %s: %s", path, mg_err_detail());
    const int64_t beyond = scale_actions(t, job->world->action.high);
    mg_log(MG_LOG_INFO, "%s: %lld transitions of %lld rows in %lld episodes; %lld numbers of actions lay beyond +-%g",
           path, (long long)t->n, (long long)rows, (long long)episodes, (long long)beyond, job->world->action.high);
    job->transitions = t;
    return MG_OK;
}

// In words that two sets have in common only if they are the same to the bit.
static const char *words_of(const mg_transitions *t, mg_arena *arena) {
    const struct { const void *bytes; size_t size; } parts[] = {
        {&t->n, sizeof t->n}, {&t->obs, sizeof t->obs}, {&t->act, sizeof t->act},
        {t->observation, sizeof(float) * (size_t)(t->n * t->obs)}, {t->action, sizeof(float) * (size_t)(t->n * t->act)},
        {t->reward, sizeof(float) * (size_t)t->n}, {t->next, sizeof(float) * (size_t)(t->n * t->obs)},
        {t->terminal, (size_t)t->n}};
    uint8_t    hash[SHA256_DIGEST_LENGTH];
    SHA256_CTX c;
    SHA256_Init(&c);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) SHA256_Update(&c, parts[i].bytes, parts[i].size);
    SHA256_Final(hash, &c);
    return mg_path(arena, "%lld transitions with sha256 %s", (long long)t->n,
                   mg_hex(arena, hash, sizeof hash));
}

mg_err mg_job_logged_same(const mg_job *job, const char *path, mg_store *store) {
    char *begun;
    if (!job->transitions) return MG_OK;
    const char *found = words_of(job->transitions, job->run);
    mg_err      err   = mg_store_note_read(store, "data", job->run, &begun);
    if (err == MG_EMPTY) return mg_store_note(store, "data", found);
    if (err || strcmp(begun, found) == 0) return err;
    return mg_fail(MG_CONFIG, "data: %s is not the set that the run was begun with: found %s, wanted %s; --out names a "
                              "new run", path, found, begun);
}
