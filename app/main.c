// main.c - the program: finds the verb and turns its outcome into an exit status.
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "core/log.h"

const char  mg_version[] = MG_VERSION;
bool        mg_json;
const char *mg_program = "martingale";
atomic_int  mg_stop;

static const mg_verb *const verbs[] = {
    &mg_verb_demo,    &mg_verb_import,  &mg_verb_collect, &mg_verb_card,   &mg_verb_train,     &mg_verb_eval,
    &mg_verb_compare, &mg_verb_rollout, &mg_verb_replay,  &mg_verb_export, &mg_verb_reproduce, &mg_verb_doctor,
    &mg_verb_bench,
};

int mg_exit_status(mg_err err) {
    if (err == MG_OK) return MG_EXIT_DONE;
    mg_log(MG_LOG_ERROR, "%s", mg_err_detail());
    if (err == MG_UNFIT) return MG_EXIT_NO;
    return err == MG_CONFIG || err == MG_BUSY ? MG_EXIT_USAGE : MG_EXIT_BROKEN;
}

// Said at once, as it may take long until somebody looks at mg_stop. Of what a handler may call (POSIX, signal-safety)
// there is write alone, and not mg_log, which may be at work.
static void say_stopping(void) {
#define STOPPING "stopping behind what is under way; once more ends it at once"
    static const char text[] = STOPPING "\n", bar[] = "\r\033[K" STOPPING "\n", // where a bar stands, in its place
                      json[] = "{\"level\":\"info\",\"message\":\"" STOPPING "\"}\n";
    const bool    terminal = isatty(STDERR_FILENO);
    const char   *line     = mg_json ? json : terminal ? bar : text;
    const size_t  size     = (mg_json ? sizeof json : terminal ? sizeof bar : sizeof text) - 1;
    const ssize_t written  = write(STDERR_FILENO, line, size);
    (void)written; // nobody is there to be told
}

// Asked twice: at once. A terminal that is closed may hang up twice, by itself and by its shell, and means one.
// Counted in one step, as the second may come into the middle of the first, or to another thread.
static void on_signal(int number) {
    static atomic_int asked;
    const int         kept = errno, before = atomic_fetch_add(&asked, 1);
    if (before > 0 && number != SIGHUP) _exit(128 + number);
    if (before == 0) say_stopping();
    mg_stop = 1;
    errno   = kept;
}

void mg_catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    // Under nohup a hang-up means nothing.
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file at its limit is an error of its writer, like a full disk
}

static int help(FILE *out, int status) {
    fprintf(out, "martingale: reinforcement-learning post-training that can be trusted\n\n"
                 "usage: martingale VERB ... [--json]\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(out, "\nmartingale VERB --help says more of each. A first run:\n"
                 "  %s import debian --out data/debian\n"
                 "  %s train examples/drpo.yaml --data data/debian\n"
                 "  %s eval runs/drpo-1 --data data/debian\n"
                 "\nexit status: 0 done, 1 the answer is no, 2 used wrongly, 3 something broke\n",
            mg_program, mg_program, mg_program);
    return status;
}

// Takes --json, wherever it stands, out of the words.
static int take_json(int argc, char **argv) {
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            mg_json = true;
        else
            argv[kept++] = argv[i];
    }
    return kept;
}

int main(int argc, char **argv) {
    if (argc > 0) mg_program = argv[0];
    argc = take_json(argc, argv);
    mg_log_setup(MG_LOG_INFO, mg_json);
    mg_catch_signals();
    if (argc < 2) return help(stderr, MG_EXIT_USAGE);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(stdout, MG_EXIT_DONE);
    if (strcmp(argv[1], "--version") == 0) {
        printf("martingale %s\n", mg_version);
        return MG_EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i]->name) == 0) return verbs[i]->run(argc - 2, argv + 2);
    return mg_exit_status(mg_fail(MG_CONFIG, "no verb '%s'; %s --help lists them", argv[1], mg_program));
}
