// bad_env.c - the counter world as a process, with one fault on a switch, for tests.
//
// Usage: bad_env FAULT [FILE]. The fault is shown at the first step, or where its name says.
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "transport/counter.h"

static const char *fault, *file;
static counter     world;
static int         resets, steps, hellos;

static bool is(const char *name) { return strcmp(fault, name) == 0; }

static bool ignores_ends(void) {
    return is("ignores close and SIGTERM") || is("joins its parent's group");
}

static void say(const char *text, size_t size) {
    while (size > 0) {
        const ssize_t n = write(1, text, size);
        if (n <= 0) exit(9);
        text += n, size -= (size_t)n;
    }
}

static void wait_ms(long ms) {
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

// The answer's line; the caller frees it. `raw_reward` is put in the reward's place as it is.
static char *line_of(json_t *answer, const char *raw_reward) {
    char *text = json_dumps(answer, JSON_COMPACT);
    char *line = malloc(strlen(text) + 64);
    char *at   = raw_reward ? strstr(text, "\"REWARD\"") : NULL;
    if (at)
        sprintf(line, "%.*s%s%s\n", (int)(at - text), text, raw_reward, at + strlen("\"REWARD\""));
    else
        sprintf(line, "%s\n", text);
    free(text);
    return line;
}

static json_t *manifest(bool other) {
    return json_pack("{s:s s:s s:s s:{s:f s:f} s:[{s:s s:s s:[s] s:[s]}]}", "name", "counter",
                     "version", other ? "2" : "1", "determinism", "deterministic", "reward", "min",
                     -1.0, "max", 1.0, "actions", "name", "add", "effect", "mutating", "reads",
                     "counter", "writes", "counter");
}

static void set_digest(json_t *answer) {
    uint8_t digest[32];
    char    hex[65];
    counter_digest(&world, digest);
    for (int i = 0; i < 32; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
    json_object_set_new(answer, "digest", json_string(hex));
}

static void hello(json_t *a) {
    const bool other = (is("other tools on the second start") && file && access(file, F_OK) == 0) ||
                       (is("other tools when asked again") && hellos > 0);
    FILE *mark = file && is("other tools on the second start") ? fopen(file, "w") : NULL;
    if (mark) fclose(mark);
    hellos++;
    json_object_set_new(a, "manifest", manifest(other));
    json_object_set_new(a, "manifest_hash", json_string("a"));
    json_object_set_new(a, "observation", json_string("text"));
    json_object_set_new(a, "action", json_string("text"));
    json_object_set_new(a, "steps_max", json_integer(COUNTER_STEPS));
    json_object_set_new(a, "items", json_integer(COUNTER_ITEMS));
    if (is("no digests")) return;
    json_object_set_new(a, "digests", json_true());
    json_object_set_new(a, "snapshots", json_true());
    json_object_set_new(a, "admissible", json_true());
}

static void reset(json_t *a, json_t *q) {
    const bool dirty = is("dirty reset") && resets++ > 0;
    counter_reset(&world, (uint64_t)json_integer_value(json_object_get(q, "seed")) + dirty,
                  json_integer_value(json_object_get(q, "item")));
    json_object_set_new(a, "observation", json_string(world.text));
    json_object_set_new(a, "manifest_hash", json_string(is("other tools at reset") ? "b" : "a"));
}

static json_t *evidence(bool ok, int64_t before, double reward) {
    const bool lies  = is("false resolution");
    json_t *touch =
        json_pack("{s:s s:b s:o s:I s:I}", "key", "counter", "wrote", ok, "shown",
                  is("stale read") ? json_integer(before) : json_integer(world.count), "before",
                  (json_int_t)before, "after", (json_int_t)(lies ? before : world.count));
    return json_pack("{s:s s:s s:o s:i s:i s:f s:[o]}", "action", "add", "status",
                     ok ? "ok" : "refused", "error",
                     ok ? json_null() : json_string("no_such_action"), "conditions", 1, "held",
                     world.count == world.target, "owed", reward, "touched", touch);
}

static const char *raw_reward(void) {
    static const char *const raw[][2] = {{"NaN reward", "NaN"},
                                         {"infinite reward", "Infinity"},
                                         {"minus infinite reward", "-Infinity"},
                                         {"overflowing reward", "1e999"},
                                         {"text reward", "\"0.5\""},
                                         {"boolean reward", "true"},
                                         {"list reward", "[1]"},
                                         {"null reward", "null"},
                                         {"huge integer reward", "100000000000000000000"}};
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
        if (is(raw[i][0])) return raw[i][1];
    return NULL;
}

static void step(json_t *a, json_t *q) {
    const json_t *action = json_object_get(q, "action");
    const int64_t before = world.count;
    double        reward;
    const bool ok =
        counter_step(&world, json_string_value(action), json_string_length(action), &reward);
    json_object_set_new(a, "observation",
                        is("number observation") ? json_integer(3)
                        : is("echo")             ? json_incref((json_t *)(uintptr_t)action)
                                                 : json_string(world.text));
    if (!is("missing reward"))
        json_object_set_new(a, "reward",
                            raw_reward() && steps == 0 ? json_string("REWARD") : json_real(reward));
    if (!is("missing terminated"))
        json_object_set_new(a, "terminated", json_boolean(world.count == world.target));
    json_object_set_new(a, "truncated", json_false());
    json_object_set_new(a, "evidence", evidence(ok, before, reward));
    if (is("unknown key")) json_object_set_new(a, "rewrad", json_real(1));
    if (!is("typed failure") && !is("blames the model")) return;
    json_object_del(a, "observation");
    const char *const instead[] = {"reward", "terminated", "truncated", "evidence"};
    for (int i = 0; i < 4; i++) json_object_del(a, instead[i]);
    json_object_set_new(a, "error", json_string("no room"));
    json_object_set_new(a, "code", json_string(is("typed failure") ? "E.capacity" : "M.wrong"));
}

// What a fault does with the answer to a step instead of sending it. True: it was dealt with.
static bool misbehave(json_t *a, const char *line) {
    const size_t size = strlen(line);
    if (is("silent")) return true;
    if (is("late")) wait_ms(200);
    if (is("half a line then dies")) say(line, size / 2), exit(0);
    if (is("dies")) exit(3);
    if (is("dies with last words"))
        fputs("Traceback (most recent call last):\nValueError: boom\n", stderr), exit(1);
    if (is("dies of a signal")) raise(SIGUSR1);
    if (is("closes its output")) {
        close(1);
        for (;;) pause();
    }
    if (is("garbage")) say("Loading model...\n", 17);
    if (is("bytes")) say("\xff\xfe\x00{}\n", 6);
    if (is("deep")) {
        for (int i = 0; i < 100000; i++) say("[", 1);
        say("\n", 1);
    }
    if (is("no object")) say("[1,2]\n", 6);
    if (is("endless line")) { // just too much, and then silence
        static char block[1 << 20];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 17; i++) say(block, sizeof block);
        for (;;) pause();
    }
    if (is("twice")) {
        char *both = malloc(2 * size + 1);
        sprintf(both, "%s%s", line, line);
        say(both, 2 * size);
        free(both);
        return true;
    }
    if (is("another request")) json_object_set_new(a, "id", json_integer(99));
    if (is("wrong nonce")) json_object_set_new(a, "nonce", json_string("00000000deadbeef"));
    if (is("no nonce")) json_object_del(a, "nonce");
    if (is("another request") || is("wrong nonce") || is("no nonce")) {
        char *other = line_of(a, NULL);
        say(other, strlen(other));
        free(other);
        return true;
    }
    if (is("noisy"))
        for (int i = 0; i < 100000; i++)
            fprintf(stderr, "line %d of very many lines that nobody reads\n", i);
    return false;
}

// A child of the process that holds its pipes open and writes its own number down.
static void leave_grandchild(void) {
    const pid_t pid = fork();
    if (pid == 0)
        for (;;) pause();
    fprintf(stderr, "%d\n", (int)pid);
    if (is("leaves a grandchild and dies")) exit(4);
}

static void restore(json_t *a, json_t *q) {
    const json_t *s = json_object_get(q, "snapshot");
    world = (counter){.count  = json_integer_value(json_object_get(s, "count")),
                      .target = json_integer_value(json_object_get(s, "target"))};
    counter_show(&world);
    json_object_set_new(a, "observation", json_string(world.text));
    set_digest(a);
}

static void serve(json_t *q) {
    const char *call = json_string_value(json_object_get(q, "call"));
    json_t *a = json_pack("{s:O s:O}", "id", json_object_get(q, "id"), "nonce",
                          json_object_get(q, "nonce"));
    bool        done = false;
    if (strcmp(call, "hello") == 0) hello(a);
    if (strcmp(call, "reset") == 0) reset(a, q);
    if (strcmp(call, "step") == 0) step(a, q);
    if (strcmp(call, "digest") == 0) set_digest(a);
    if (strcmp(call, "admissible") == 0)
        json_object_set_new(a, "actions", json_pack("[ss]", "+1", "-1"));
    if (strcmp(call, "snapshot") == 0)
        json_object_set_new(a, "snapshot",
                            json_pack("{s:I s:I}", "count", (json_int_t)world.count, "target",
                                      (json_int_t)world.target));
    if (strcmp(call, "restore") == 0) restore(a, q);
    char *line = line_of(a, raw_reward());
    if (strcmp(call, "step") == 0) {
        if (strncmp(fault, "leaves", 6) == 0 && steps == 0) leave_grandchild();
        done = misbehave(a, line);
        steps++;
    }
    if (is("silent hello")) done = true;
    if (ignores_ends() && strcmp(call, "close") == 0) done = true;
    if (!done) say(line, strlen(line));
    free(line);
    json_decref(a);
}

int main(int argc, char **argv) {
    char  *line = NULL;
    size_t room = 0;
    fault       = argc > 1 ? argv[1] : "none";
    file        = argc > 2 ? argv[2] : NULL;
    if (ignores_ends()) signal(SIGTERM, SIG_IGN);
    if (is("joins its parent's group")) setpgid(0, getpgid(getppid()));
    while (getline(&line, &room, stdin) > 0) {
        json_t *q = json_loads(line, JSON_ALLOW_NUL, NULL);
        if (!q) return 2;
        serve(q);
        json_decref(q);
    }
    while (ignores_ends()) pause();
    free(line);
    return 0;
}
