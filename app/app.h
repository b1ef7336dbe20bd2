// app.h - the command line: one file per verb, and what they share.
#ifndef MG_APP_APP_H
#define MG_APP_APP_H
#include <stdatomic.h>

#include "app/args.h"
#include "train/train.h"

// Exit status of the program.
enum {
    MG_EXIT_DONE   = 0,
    MG_EXIT_NO     = 1, // the answer is no
    MG_EXIT_USAGE  = 2, // used wrongly
    MG_EXIT_BROKEN = 3, // something broke, or was stopped before its end
};

typedef struct mg_verb {
    const char *name, *usage, *summary;
    int (*run)(int argc, char **argv); // words behind the verb; returns the exit status
} mg_verb;

extern const mg_verb mg_verb_import, mg_verb_collect, mg_verb_card, mg_verb_train, mg_verb_eval, mg_verb_compare,
    mg_verb_rollout, mg_verb_export, mg_verb_replay, mg_verb_reproduce, mg_verb_demo, mg_verb_doctor, mg_verb_bench;

// `import debian` into a folder; corpus NULL: fetched. For the demo as well.
struct mg_debian;
mg_err mg_import_debian(const char *out, const char *corpus, int64_t validation, int64_t test,
                        mg_arena *arena, struct mg_debian *d) MG_MUST_USE;

extern const char mg_version[]; // such as "0.1.0"

// Options that every verb takes.
extern bool mg_json; // --json: programs read
// As the program was called, for sentences that say what to type.
extern const char *mg_program;

// Prints the last error sentence and gives the status that belongs to it.
int mg_exit_status(mg_err err);

// Becomes 1 on the first SIGINT, SIGTERM or SIGHUP, which is said on stderr at once; a second SIGINT or SIGTERM ends
// the process.
extern atomic_int mg_stop;
void mg_catch_signals(void);

// Makes the world that settings name over the job's training rows (mg_world_maker).
mg_err mg_app_world(const mg_settings *s, const mg_job *job, mg_world *out) MG_MUST_USE;

// The class of a bundled world, known before it is made; NULL for a process (mg_world_class).
const mg_env_class *mg_app_world_class(const mg_settings *s);

// The class of a bundled world by its name, a robot's in version 4 or 5; NULL: there is no such world.
const mg_env_class *mg_app_world_named(const char *name, int version);

// A world by its name over `rows`, with the gold reward learnt from the training rows.
// Error: MG_CONFIG (no such world), and those of making it.
mg_err mg_app_world_over(const char *name, const mg_pair *train, int64_t n_train,
                         const mg_pair *rows, int64_t n, mg_arena *arena,
                         mg_world *out) MG_MUST_USE;
// The world that settings name, over rows of a data set where it is made of such.
mg_err mg_app_world_of(const mg_settings *s, const mg_pair *train, int64_t n_train, const mg_pair *rows,
                       int64_t n, mg_arena *arena, mg_world *out) MG_MUST_USE;
void   mg_app_world_free(mg_world *w);
// How many tasks its environments list, held-out ones too; one is opened to be asked. 0: the seed decides.
mg_err mg_app_world_items(const mg_world *w, mg_arena *arena, int64_t *n) MG_MUST_USE;

// What gold says of one answer.
mg_reward mg_app_gold(const mg_world *w, const char *prompt, const char *answer);
#endif
