// cli_program.h - for tests: the real program, run in a folder of its own, with what it said.
//
// MG_PROGRAM names the program. cli_open makes a temporary folder and goes there, so that command
// lines and files are written relative to it; cli_close removes it. Everything that is returned
// lies on one arena until then. What goes wrong here fails the test that asked.
#ifndef MG_APP_CLI_PROGRAM_H
#define MG_APP_CLI_PROGRAM_H
#include <jansson.h>
#include <sys/types.h>

#include "core/arena.h"

typedef struct cli_outcome {
    int         status; // exit status; 128 + the signal that ended it
    const char *out, *err;
    double      cpu_ms; // user and system time
} cli_outcome;

int cli_open(void **state); // cmocka's group setup: data and a small trained model, see below
int cli_close(void **state);

extern mg_arena cli_arena;
extern char    *cli_source; // the folder of the sources, where the test was started

// printf into the command line, which is cut at blanks. Runs it to its end.
cli_outcome cli(const char *format, ...) MG_PRINTF(1, 2);

// The same in two steps. One child at a time.
pid_t       cli_start(const char *format, ...) MG_PRINTF(1, 2);
cli_outcome cli_wait(pid_t pid);

// Starts a command that makes `name` in `folder` and returns when it is there.
pid_t cli_start_until(const char *folder, const char *name, const char *format, ...)
    MG_PRINTF(3, 4);

// The command is to succeed and print one JSON value, which is the caller's.
json_t *cli_json(const char *format, ...) MG_PRINTF(1, 2);

// The command is to end with this status and a sentence that holds all of the texts (up to a NULL).
#define cli_refused(status, command, ...)                                                      \
    cli_check_refused(__FILE__, __LINE__, status, command, (const char *const[]){__VA_ARGS__, NULL})
void cli_check_refused(const char *file, int line, int status, const char *command,
                       const char *const *texts);

// What was said is shown when the status is another.
#define cli_status(o, wanted) cli_check_status(__FILE__, __LINE__, o, wanted)
void cli_check_status(const char *file, int line, cli_outcome o, int wanted);

void  cli_write(const char *path, const char *format, ...) MG_PRINTF(2, 3);
char *cli_read(const char *path, size_t *size); // size may be NULL
void  cli_same_bytes(const char *path, const char *other);

// data/: CLI_TRAIN, CLI_HELD and CLI_HELD invented pairs; preferences/: as many. base/: a run of
// sft on them whose model writes much like its data.
enum { CLI_TRAIN = 24, CLI_HELD = 12 };

// What every training from base/ has in common.
#define CLI_FROM_BASE "--model base/model --threads 1 --prompt_max 40 --response_max 20"

// A network of a few thousand weights, from nothing.
#define CLI_NETWORK                                                                            \
    "--network.vocab 280 --network.d_model 16 --network.d_ff 32 --network.layers 1 "           \
    "--network.heads 2 --network.kv_heads 2 --network.context 64 --threads 1 "                 \
    "--prompt_max 40 --response_max 20"
#endif
