// Goal:   on the command line an environment is played through the gate: a good one to its end, a bad one to a
//         status, a code, a sentence and a page that shows why; what was recorded is played again and is the
//         same, unless somebody changed it.
// Method: the real program on support-desk and its mutants, on cartpole, and on a stranger's environments
//         (transport/bad_env.c, in a shell script), good and bad.
#include "app/cli_program.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/file.h"
#include "worlds/robots.h"

static json_t *at(const json_t *o, const char *a, const char *b) {
    json_t *v = json_object_get(o, a);
    if (v && b) v = json_object_get(v, b);
    if (!v) fail_msg("there is no %s%s%s", a, b ? "." : "", b ? b : "");
    return v;
}

static double number(const json_t *o, const char *a, const char *b) {
    const json_t *v = at(o, a, b);
    if (!json_is_number(v)) fail_msg("%s.%s is not a number", a, b ? b : "");
    return json_number_value(v);
}

static json_t *parse(const cli_outcome o, int status) {
    json_t *root = json_loads(o.out, JSON_REJECT_DUPLICATES, NULL);
    cli_status(o, status);
    if (!root) fail_msg("not JSON: %s", o.out);
    return root;
}

static void assert_page(const char *run, const char *const *texts) {
    const char *page = cli_read(mg_path(&cli_arena, "%s/report.html", run), NULL);
    assert_non_null(strstr(page, "<h2 id=\"harness\">Harness</h2>"));
    for (; *texts; texts++)
        if (!strstr(page, *texts)) fail_msg("'%s' is not in %s/report.html", *texts, run);
}
#define PAGE(run, ...) assert_page(run, (const char *const[]){__VA_ARGS__, NULL})

static void assert_replays(const char *run, int episodes) {
    const cli_outcome o = cli("replay %s", run);
    cli_status(o, 0);
    assert_string_equal(o.out, mg_path(&cli_arena, "%d played again, 0 differ\n", episodes));
}

// ---- support-desk ---------------------------------------------------------------------------------

static void the_oracle_returns_one(void **state) {
    (void)state;
    static const char *const forms[] = {"words", "tools"};
    for (int i = 0; i < 2; i++) {
        json_t *r = cli_json("rollout --world support-desk --environment.form %s --policy oracle --episodes 60 "
                             "--out oracle-%s --json", forms[i], forms[i]);
        assert_string_equal(json_string_value(at(r, "world", NULL)), "support-desk");
        assert_string_equal(json_string_value(at(r, "policy", NULL)), "oracle");
        assert_string_equal(json_string_value(at(r, "run", NULL)), mg_path(&cli_arena, "oracle-%s", forms[i]));
        assert_true(number(r, "return", "estimate") == 1 && number(r, "return", "low") == 1);
        assert_true(number(r, "return", "n") == 60);
        assert_true(number(r, "terminated", "estimate") == 1);
        assert_true(number(r, "episodes", NULL) == 60 && number(r, "tasks", NULL) == 60);
        assert_true(number(r, "verdicts", "clean") == 60 && number(r, "verdicts", "suspect") == 0);
        assert_true(number(r, "verdicts", "quarantined") == 0);
        const json_t *h = at(r, "harness", NULL);
        assert_true(number(h, "attempts", NULL) == 60 && number(h, "failures", NULL) == 0);
        assert_true(number(h, "admitted", NULL) == 60);
        assert_true(number(h, "tripped_at", NULL) == -1 && number(h, "rate_max", NULL) == 0.05);
        assert_true(json_is_false(at(h, "stopped", NULL)) && json_object_size(at(h, "codes", NULL)) == 0);
        assert_string_equal(json_string_value(at(h, "environment", NULL)), "support-desk");
        assert_true(number(json_array_get(at(h, "tests", NULL), 0), "attempts", NULL) == 60);
        json_decref(r);
        const char *run = mg_path(&cli_arena, "oracle-%s", forms[i]);
        PAGE(run, "0 of 60 attempts failed", "60 episodes admitted", "within the limit");
        assert_replays(run, 60);
    }
    const cli_outcome busy = cli("rollout --world support-desk --policy oracle --out oracle-words");
    cli_status(busy, 2);
    assert_non_null(strstr(busy.err, "oracle-words: holds a run already; --out names another"));
    assert_null(strstr(busy.err, "--resume")); // a rollout has none
    cli_refused(2, "rollout --world support-desk --policy nobody --out nobody", "'nobody'", "support-desk",
                "oracle good partial floor trusting repeating guessing random noisy");
    assert_false(mg_file_exists("nobody"));
    cli_refused(2, "rollout --world support-desk --policy oracle --from 2000 --out late", "--from", "2000");
    cli_refused(2, "rollout --world support-desk --policy oracle --from 5 --to 5 --out late", "--to: found 5", "2000");
    cli_refused(2, "rollout --world support-desk --policy oracle --to 2001 --out late", "--to: found 2001", "2000");
    cli_refused(2, "rollout --world cartpole --policy left --to 1 --out late", "--to: found 1");
    json_t *two = cli_json("rollout --world support-desk --policy oracle --from 1 --to 3 --out two --json");
    assert_true(number(two, "tasks", NULL) == 2 && number(two, "verdicts", "clean") == 2);
    json_decref(two);
    cli_status(cli("export two --episodes two.jsonl"), 0);
    const char *rows = cli_read("two.jsonl", NULL);
    assert_true(strstr(rows, "\"item\":1,") && strstr(rows, "\"item\":2,"));
    cli_refused(2, "rollout --world support-desk --policy oracle --environment.mutant gremlin --out x", "gremlin",
                "stale_read");
    static const char *const idle[][2] = {{"form tools", "form: found 'tools', wanted words"},
                                          {"mutant stale_read", "mutant: found 'stale_read', wanted none"},
                                          {"mutant_rate 0.5", "mutant_rate: found '0.5', wanted 1"},
                                          {"load 9", "load: found '9', wanted 0"},
                                          {"version v4", "version: found 'v4', wanted v5"},
                                          {"shift_mass 2", "shift_mass: found '2', wanted 1"},
                                          {"shift_friction 0.5", "shift_friction: found '0.5', wanted 1"},
                                          {"shift_gravity 0.25", "shift_gravity: found '0.25', wanted 1"},
                                          {"action_delay 3", "action_delay: found '3', wanted 0"}};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
        cli_refused(2, mg_path(&cli_arena, "rollout --world cartpole --policy left --out x --environment.%s",
                               idle[i][0]), idle[i][1], "cartpole");
        cli_refused(2, mg_path(&cli_arena, "rollout --environment.command ./env.sh --policy random --out x "
                               "--environment.%s", idle[i][0]), idle[i][1], "./env.sh");
    }
    cli_refused(2, "rollout --world pendulum --policy zero --environment.shift_friction 2 --out x",
                "it is of hopper, half-cheetah, walker2d, ant, and does nothing in pendulum");
    cli_refused(2, "rollout --world support-desk --policy oracle --environment.reward plain --out x",
                "environment.reward: found 'plain', wanted graded or outcome");
    cli_refused(2, "rollout --environment.command ./env.sh --world cartpole --policy random --out x",
                "world: found 'cartpole' beside environment.command");
    // A language model cannot act where there are no texts, and says so before it makes a run.
    cli_refused(2, "rollout --world cartpole --model base --out x", "cartpole", "no texts");
    cli_refused(2, "train --algo ppo --world cartpole --threads 1 --model base --out x", "cartpole", "no texts");
    cli_refused(2, "train --algo sft --world cartpole --out x", "world: cartpole has no texts", "sft trains no other");
    cli_refused(2, "train --algo drpo --world cartpole --out x", "for vectors are ppo");
    cli_refused(2, "train --algo ppo --world cartpole --prompt_max 3 --out x", "prompt_max: found '3', wanted '72'",
                "does nothing in cartpole");
    cli_refused(2, "train --algo ppo --world cartpole --network.heads 4 --out x", "network.heads: found '4'");
    cli_refused(2, "train --algo ppo --world cartpole --data base --out x", "data: found 'base'", "worlds of texts");
    cli_refused(2, "train --algo ppo --world support-desk --model base --network.width 32 --out x",
                "network.width: found '32', wanted '64'", "does nothing in support-desk");
    assert_false(mg_file_exists("x"));
}

// A bug in every second episode: the run ends at status 1, and its page names the class and shows one.
static void each_mutant_trips_the_gate_by_its_own_name(void **state) {
    (void)state;
    static const struct {
        const char *mutant, *policy, *code, *witness;
    } mutants[] = {
        {"stale_read", "oracle", "E.stale", "what is shown is not what the state holds"},
        {"false_resolution", "floor", "V.wrong", "the state earns 0 ("},
        {"timeout_default", "oracle", "E.timeout", ": the answer says that it changed something, the state has not"},
        {"dirty_reset", "oracle", "E.dirty", "the state after reset has digest"},
        {"reward_rounding", "partial", "V.rounded", "the reward pays 1, the state earns 0.7"},
        {"lying_status", "oracle", "E.state", "by a call that says it was not done"},
        {"traceback", "oracle", "E.traceback", "Traceback (most recent call last)"}};
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        const char *name = mutants[i].mutant;
        json_t     *r = parse(cli("rollout --world support-desk --policy %s --environment.mutant %s "
                                  "--environment.mutant_rate 0.5 --episodes 256 --out %s --json",
                                  mutants[i].policy, name, name), 1);
        const json_t *h = at(r, "harness", NULL), *codes = at(h, "codes", NULL), *n;
        const char   *code;
        double        others = 0;
        json_object_foreach((json_t *)codes, code, n)
            if (code[0] != 'M' && strcmp(code, mutants[i].code)) others += json_number_value(n);
        if (number(codes, mutants[i].code, NULL) <= 1.5 * others)
            fail_msg("%s: %s does not dominate", name, mutants[i].code);
        assert_true(json_is_true(at(h, "stopped", NULL)) && number(h, "tripped_at", NULL) > 0);
        assert_true(number(h, "failures", NULL) == number(codes, mutants[i].code, NULL) + others);
        assert_true(number(r, "verdicts", "suspect") == 0); // played again and decided
        assert_true(number(r, "tasks", NULL) <= number(h, "attempts", NULL)); // those begun
        json_decref(r);
        PAGE(name, "It was stopped: ", "<h3>Witnesses</h3>", mutants[i].code, mutants[i].witness);
    }
    const cli_outcome o = cli("rollout --world support-desk --policy oracle --environment.mutant lying_status "
                              "--out said");
    cli_status(o, 1);
    assert_non_null(strstr(o.out, "E.state"));
    assert_non_null(strstr(o.out, "the answer says one thing, the state another")); // the class in words
    assert_non_null(strstr(o.out, " at 128 tasks in said: "));
    assert_non_null(strstr(o.out, "the first witness of it: E.state: "));
    assert_non_null(strstr(o.err, "failed on the harness's side"));
    assert_non_null(strstr(o.err, "; the first witness of it: E.state: "));
}

// ---- replay ---------------------------------------------------------------------------------------

// One statement on a run's database, by hand.
static void edit(const char *run, const char *sql) {
    sqlite3 *db;
    char    *said = NULL;
    assert_int_equal(sqlite3_open(mg_path(&cli_arena, "%s/run.db", run), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &said)) fail_msg("%s", said);
    assert_in_range(sqlite3_changes(db), 1, 1000);
    sqlite3_close(db);
}

static void robots_play_and_replay_on_their_plant_alone(void **state) {
    (void)state;
    mg_robot_world w;
    if (mg_robot_open(&w, "hopper", 5, NULL, NULL)) { // a machine without MuJoCo
        cli_refused(3, "rollout --world hopper --policy random --episodes 6 --out hops", "tools/mujoco.sh");
        return;
    }
    mg_robot_close(&w);
    cli_status(cli("rollout --world hopper --policy random --environment.shift_mass 1.5 --environment.action_delay 2 "
                   "--episodes 6 --out hops"), 0);
    cli_status(cli("rollout --world ant --policy zero --environment.version v4 --record replayable --episodes 3 "
                   "--out ants"), 0);
    assert_replays("hops", 6);
    assert_replays("ants", 3);
    char       *yaml = cli_read("hops/run.yaml", NULL);
    const char *mass = strstr(yaml, "shift_mass: 1.5");
    assert_non_null(mass);
    cli_write("hops/run.yaml", "%.*sshift_mass: 1.6%s", (int)(mass - yaml), yaml, mass + strlen("shift_mass: 1.5"));
    cli_status(cli("replay hops"), 1);
}

static void recorded_episodes_are_the_same_again(void **state) {
    (void)state;
    cli_status(cli("rollout --world cartpole --policy random --episodes 20 --out cart"), 0);
    cli_status(cli("rollout --world cartpole --policy left --record replayable --episodes 20 --out cart2"), 0);
    cli_status(cli("rollout --world support-desk --policy noisy --record replayable --episodes 40 --out desk2"), 0);
    cli_status(cli("rollout --data data --model base --episodes 12 --out texts"), 0);
    cli_status(cli("rollout --world pendulum --policy oracle --environment.action_delay 1 --episodes 8 --out pole"), 0);
    assert_replays("pole", 8);
    assert_replays("cart", 20);
    assert_replays("cart2", 20);
    assert_replays("desk2", 40);
    assert_replays("texts", 12);
    // Mutants draw their bugs from the seed: they have them again, retries and witnesses too.
    json_t *r = cli_json("replay traceback --json");
    assert_true(number(r, "differ", NULL) == 0 && number(r, "played", NULL) > 100);
    assert_int_equal(json_array_size(at(r, "differences", NULL)), 0);
    json_decref(r);
    // But for what an episode before left behind: there is none before.
    r = parse(cli("replay dirty_reset --json"), 1);
    const json_t *first = json_array_get(at(r, "differences", NULL), 0);
    assert_true(number(r, "differ", NULL) > 0 && number(first, "turn", NULL) == -2);
    assert_string_equal(json_string_value(at(first, "what", NULL)), "digest");
    json_decref(r);
    const cli_outcome o = cli("replay dirty_reset");
    cli_status(o, 1);
    assert_non_null(strstr(o.out, " differs after the reset: digest\n    recorded "));
    // A world with another bug than the one it was recorded in answers otherwise.
    cli_status(cli("rollout --world support-desk --policy floor --episodes 20 --out honest"), 0);
    char       *yaml = cli_read("honest/run.yaml", NULL);
    const char *none = strstr(yaml, "mutant: none");
    assert_non_null(none);
    cli_write("honest/run.yaml", "%.*smutant: false_resolution%s", (int)(none - yaml), yaml,
              none + strlen("mutant: none"));
    const cli_outcome lied = cli("replay honest 1:3");
    cli_status(lied, 1);
    assert_non_null(strstr(lied.out, "1:3:0 differs in turn 1: reward\n"));
    assert_non_null(strstr(lied.out, "reward 0\n"));
    assert_non_null(strstr(lied.out, "1 played again, 1 differ\n"));
}

static void paint(const char *folder, const char *colour) {
    static const char *const splits[] = {"train", "validation", "test"};
    char  *text;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    for (int i = 0; i < 24; i++)
        fprintf(f, "{\"prompt\": \"paint %d boats\", \"completion\": \"%s\"}\n", i, colour);
    fclose(f);
    for (int i = 0; i < 3; i++) cli_write(mg_path(&cli_arena, "%s/%s.jsonl", folder, splits[i]), "%s", text);
    free(text);
}

// A policy's words have no say in the terminal that they are shown on.
static void what_was_said_is_shown_as_text(void **state) {
    (void)state;
    paint("paint", "\\u001b[31m boats");
    cli_status(cli("train --algo sft --data paint --out painter --sft.epochs 20 --sft.batch 8 --sft.lr 0.02 "
                   "--sft.warmup 2 " CLI_NETWORK), 0);
    cli_status(cli("rollout --model painter --data paint --temperature 0 --episodes 4 --out painted"), 0);
    cli_status(cli("export painted --episodes painted.jsonl"), 0);
    assert_non_null(strstr(cli_read("painted.jsonl", NULL), "\"answer\":\"\\u001B[31m"));
    paint("paint", "a tool to paint boats and lamps"); // whose gold is another
    const cli_outcome o = cli("replay painted");
    cli_status(o, 1);
    assert_non_null(strstr(o.out, "', said ' [31m"));
    assert_null(strchr(o.out, '\x1b'));
}

static void one_episode_is_asked_for_by_its_number(void **state) {
    (void)state;
    const cli_outcome one = cli("replay oracle-words 1:3"), same = cli("replay oracle-words 1:3:0");
    cli_status(one, 0), cli_status(same, 0);
    assert_string_equal(one.out, "1 played again, 0 differ\n");
    assert_string_equal(same.out, one.out);
    assert_string_equal(cli("replay oracle-words 1").out, "60 played again, 0 differ\n");
    static const char *const bad[] = {"1:", ":3", "1:-1", "-1", "abc", "1:3:0:1", "0x1", "3.5", "1:3x", "+1",
                                      "99999999999999999999", "1:99999999999999999999", "0", "0:3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cli_refused(2, mg_path(&cli_arena, "replay oracle-words %s", bad[i]), bad[i], "UPDATE:EPISODE:ATTEMPT");
    cli_refused(3, "replay oracle-words 1:999", "holds no such episode");
    cli_refused(3, "replay oracle-words 7", "holds no such episode");
    cli_refused(3, "replay oracle-words 1:3:1", "holds no such episode");
    cli_refused(3, "replay nowhere", "nowhere: not a run");
    cli_write("emptied/run.yaml", "%s", cli_read("oracle-words/run.yaml", NULL));
    cli_refused(3, "replay emptied", "emptied: not a run: it has no run.db");
    assert_false(mg_file_exists("emptied/run.db"));
    cli_refused(2, "replay", "found 0 words");
}

static void a_record_that_was_edited_is_refused_with_the_place(void **state) {
    (void)state;
    cli_status(cli("rollout --world support-desk --policy partial --episodes 8 --out edited"), 0);
    assert_replays("edited", 8);
    // A row that cannot be written ends the export, and leaves no half of a file.
    edit("honest", "update episode set code = cast(x'ff' as text) where episode = 5");
    cli_refused(3, "export honest --episodes honest.jsonl", "honest.jsonl: row 6 cannot be written", "no UTF-8");
    assert_false(mg_file_exists("honest.jsonl") || mg_file_exists("honest.jsonl.tmp"));
    edit("edited", "update episode set seed = seed + 1 where episode = 5");
    cli_refused(3, "replay edited", "update 1, group 5, episode 5: its header", "changed");
    cli_refused(3, "replay edited 1:1", "episode 5"); // one rotten is one too many
    edit("edited", "update episode set seed = seed - 1 where episode = 5");
    assert_replays("edited", 8); // as it was
    edit("edited", "update episode set turns = cast(substr(turns, 1, length(turns) - 30) || "
                   "substr(turns, length(turns) - 30, 1) || substr(turns, length(turns) - 28) as blob) "
                   "where episode = 3");
    cli_refused(3, "replay edited", "update 1, group 3, episode 3, turn ", "changed");
    edit("edited", "delete from episode where episode = 3");
    cli_refused(3, "replay edited", "update 1: cut off: holds 7 of 8 episodes");
    // A witness that is washed white.
    edit("lying_status", "update episode set verdict = 0, code = null, detail = '', code_turn = -1 where id = "
                         "(select min(id) from episode where verdict = 2)");
    cli_refused(3, "replay lying_status", "update 1, ", "its end (verdict, code", "changed");
}

// ---- training -------------------------------------------------------------------------------------

#define QUICK "--threads 1 --evaluate_every 1000"

static void demonstrations_become_policies(void **state) {
    (void)state;
    char *const example = mg_path(&cli_arena, "%s/examples", cli_source);
    cli_status(cli("rollout --world support-desk --policy noisy --episodes 60 --out runs/desk-demos"), 0);
    const cli_outcome told = cli("export runs/desk-demos --demos data/told --episodes told.jsonl");
    cli_status(told, 0);
    assert_string_equal(told.out, "60 rows in told.jsonl\n54 demonstrations in data/told/train.jsonl, 6 in "
                                  "data/told/validation.jsonl\n");
    // A world of turns is told turn by turn; the return is the sum of what they earn.
    json_t       *row   = json_loads(strtok(cli_read("told.jsonl", NULL), "\n"), 0, NULL);
    const json_t *turns = at(row, "turns", NULL), *first = json_array_get(turns, 0),
                 *last  = json_array_get(turns, json_array_size(turns) - 1);
    double        sum   = 0;
    assert_in_range(json_array_size(turns), 2, 64);
    assert_true(json_equal(at(first, "observation", NULL), at(row, "prompt", NULL)));
    assert_true(json_equal(at(last, "action", NULL), at(row, "answer", NULL)));
    for (size_t i = 0; i < json_array_size(turns); i++)
        sum += number(json_array_get(turns, i), "reward", "value");
    assert_true(sum == number(row, "reward", "value"));
    assert_true(number(row, "attempt", NULL) == 0 && number(row, "code_turn", NULL) == -1);
    assert_true(number(row, "seed", NULL) > 0);
    assert_true(json_is_true(at(row, "terminated", NULL)) != json_is_true(at(row, "truncated", NULL)));
    json_decref(row);
    json_t *r = cli_json("export runs/desk-demos --demos data/desk --json");
    assert_string_equal(json_string_value(at(r, "demos", NULL)), "data/desk");
    json_decref(r);
    cli_refused(2, "export runs/desk-demos --demos data/desk", "data/desk is there already");
    cli_refused(3, "export cart2 --demos data/cart",
                "cart2: found 0 demonstrations among 20 episodes, wanted at least 2",
                "recorded in full, with a return");
    cli_refused(3, "export runs/desk-demos --return-min 2 --demos data/none",
                "found 0 demonstrations among 60 episodes",
                "with a return of at least 2");
    cli_status(cli("train %s/desk_sft.yaml " QUICK " --sft.epochs 1 --network.d_model 16 --network.d_ff 32 "
                   "--network.layers 1", example), 0);
    cli_refused(2, "eval runs/desk-sft-1 --data data", "runs/desk-sft-1 acts in support-desk; eval and "
                "compare know synopsis alone");
    cli_refused(2, "compare runs/desk-sft-1 base --data data", "acts in support-desk");
    cli_status(cli("train %s/desk_grpo.yaml " QUICK " --grpo.updates 2 --grpo.prompts 4 --grpo.group 4", example), 0);
    cli_status(cli("train %s/desk_drpo.yaml " QUICK " --drpo.updates 1 --drpo.episodes 16", example), 0);
    PAGE("runs/desk-grpo-1", "0 of 32 attempts failed on the harness", "32 episodes admitted");
    PAGE("runs/desk-drpo-1", "0 of 16 attempts failed on the harness", "16 episodes admitted");
    assert_replays("runs/desk-grpo-1", 32);
    assert_replays("runs/desk-drpo-1", 16); // half of them behind a demonstration's turns
    const cli_outcome o = cli("train %s/desk_grpo.yaml " QUICK " --grpo.updates 2 --grpo.prompts 8 --grpo.group 4 "
                              "--environment.mutant traceback --out runs/broken", example);
    cli_status(o, 1);
    assert_non_null(strstr(o.err, "update 1: the environment: "));
    assert_non_null(strstr(o.err, "failed on the harness's side, more than 5 %"));
    assert_non_null(strstr(o.err, "E.traceback: "));
    assert_non_null(strstr(o.err, "runs/broken/report.html"));
    PAGE("runs/broken", "It was stopped: ", "E.traceback", "0 episodes admitted", "<h3>Witnesses</h3>");
    assert_false(mg_file_exists("runs/broken/model"));
}

// ---- a stranger's environment ---------------------------------------------------------------------

// A script that starts the counter world with one fault, from its n-th start on.
static void stranger(const char *fault, int from) {
    const char *env = getenv("MG_BAD_ENV");
    remove("starts");
    cli_write("env.sh", "#!/bin/sh\necho x >>starts\nn=$(wc -l <starts)\n[ $n -lt %d ] && exec %s none\n"
                        "exec %s '%s' mark\n", from, env, env, fault);
    assert_int_equal(chmod("env.sh", 0755), 0);
}

#define STRANGE "--environment.command ./env.sh --threads 1 --response_max 8 "

// Says "+1" to everything, mostly.
static void teach_to_count(void) {
    char  *text;
    size_t size;
    FILE  *f = open_memstream(&text, &size);
    for (int i = 0; i < 60; i++) fprintf(f, "{\"prompt\": \"%d of %d\", \"completion\": \"+1\"}\n", i % 10, 3 + i % 5);
    fclose(f);
    cli_write("counts/train.jsonl", "%s", text);
    cli_write("counts/validation.jsonl", "%s", text);
    free(text);
    cli_status(cli("train --algo sft --data counts --out counter --sft.epochs 10 --sft.batch 12 --sft.lr 0.02 "
                   "--sft.warmup 2 --network.vocab 280 --network.d_model 16 --network.d_ff 32 --network.layers 1 "
                   "--network.heads 2 --network.kv_heads 2 --network.context 256 --threads 1 --prompt_max 24 "
                   "--response_max 8"), 0);
}

static void a_strangers_good_environment_is_played(void **state) {
    (void)state;
    teach_to_count();
    stranger("none", 1);
    json_t *r = cli_json("rollout " STRANGE "--model counter --temperature 0 --episodes 10 --per-prompt 2 "
                         "--out good --json");
    assert_string_equal(json_string_value(at(r, "world", NULL)), "counter");
    assert_true(number(r, "tasks", NULL) == 5 && number(r, "episodes", NULL) == 10); // it has five tasks
    assert_true(number(r, "verdicts", "clean") == 10 && number(r, "return", "n") == 5);
    assert_true(number(at(r, "harness", NULL), "failures", NULL) == 0);
    json_decref(r);
    PAGE("good", "counter: 0 of 10 attempts failed", "within the limit");
    assert_replays("good", 10);
    // Groups over its list of tasks are learnt from.
    cli_status(cli("train --algo grpo " STRANGE "--model counter --out runs/counted --prompt_max 0 --grpo.updates 1 "
                   "--grpo.prompts 3 --grpo.group 2"), 0);
    PAGE("runs/counted", "counter: 0 of 6 attempts failed");
}

static void a_strangers_bad_environment_is_named(void **state) {
    (void)state;
    static const struct {
        const char *fault;
        int         from, timeout_ms;
        const char *code, *sentence;
    } bad[] = {
        {"silent", 1, 250, "E.timeout", "no answer after"},
        {"NaN reward", 1, 10000, "V.invalid", "not a finite number"},
        {"text reward", 1, 10000, "V.invalid", "no reward"},
        {"missing reward", 1, 10000, "V.absent", "no return"},
        {"dies", 1, 10000, "E.died", "its process ended with status 3"},
        {"twice", 1, 10000, "H.desync", ""},
        {"another request", 1, 10000, "H.desync", ""},
        {"garbage", 1, 10000, "H.protocol", ""},
        {"typed failure", 1, 10000, "E.capacity", "no room"},
        {"dirty reset", 1, 10000, "E.dirty", "the state after reset"},
        {"false resolution", 1, 10000, "E.state", ""},
        {"stale read", 1, 10000, "E.stale", ""},
        {"other tools at reset", 1, 10000, "E.manifest", "no longer the one of its hello"},
        {"other tools on the second start", 6, 10000, "E.manifest", "something else of itself"}};
    cli_write("mark", "%s", "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *run = mg_path(&cli_arena, "bad-%zu", i);
        stranger(bad[i].fault, bad[i].from);
        json_t *r = parse(cli("rollout " STRANGE "--environment.timeout_ms %d --model counter --temperature 0 "
                              "--episodes 5 --gate.retries 0 --out %s --json", bad[i].timeout_ms, run), 1);
        const json_t *h = at(r, "harness", NULL), *codes = at(h, "codes", NULL);
        if (!json_object_get(codes, bad[i].code)) fail_msg("%s: %s", bad[i].fault, json_dumps(codes, 0));
        if (number(codes, bad[i].code, NULL) != number(h, "failures", NULL)) // that, and nothing else
            fail_msg("%s: %s", bad[i].fault, json_dumps(codes, 0));
        assert_true(json_is_true(at(h, "stopped", NULL)));
        json_decref(r);
        PAGE(run, "It was stopped: ", "<h3>Witnesses</h3>", bad[i].code, bad[i].sentence);
    }
    stranger("dies", 1);
    const cli_outcome o = cli("train --algo grpo " STRANGE "--model counter --out runs/dead --prompt_max 0 "
                              "--grpo.updates 1 --grpo.prompts 3 --grpo.group 2");
    cli_status(o, 1);
    assert_non_null(strstr(o.err, "failed on the harness's side"));
    assert_non_null(strstr(o.err, "E.died: its process ended with status 3"));
    PAGE("runs/dead", "counter: ", "It was stopped: ", "E.died", "0 episodes admitted");
}

static void what_is_no_environment_is_refused_before_a_run_is_made(void **state) {
    (void)state;
    stranger("silent hello", 1);
    cli_refused(3, "rollout " STRANGE "--environment.start_timeout_ms 50 --model counter --out none", "./env.sh",
                "E.timeout");
    cli_write("env.sh", "#!/bin/sh\nexit 7\n");
    assert_int_equal(chmod("env.sh", 0755), 0);
    cli_refused(3, "rollout " STRANGE "--model counter --out none", "./env.sh", "status 7");
    cli_refused(3, "rollout --environment.command ./nothing --model counter --out none", "./nothing");
    cli_refused(3, "train --algo grpo --environment.command ./nothing --model counter --out none", "./nothing");
    stranger("none", 1);
    cli_refused(2, "rollout " STRANGE "--policy oracle --out none", "'oracle'", "counter", "it has none");
    assert_false(mg_file_exists("none"));
}

int main(void) {
    const struct CMUnitTest tests[] = { // in this order: later ones use what earlier ones made
        cmocka_unit_test(the_oracle_returns_one),
        cmocka_unit_test(each_mutant_trips_the_gate_by_its_own_name),
        cmocka_unit_test(recorded_episodes_are_the_same_again),
        cmocka_unit_test(robots_play_and_replay_on_their_plant_alone),
        cmocka_unit_test(what_was_said_is_shown_as_text),
        cmocka_unit_test(one_episode_is_asked_for_by_its_number),
        cmocka_unit_test(a_record_that_was_edited_is_refused_with_the_place),
        cmocka_unit_test(demonstrations_become_policies),
        cmocka_unit_test(a_strangers_good_environment_is_played),
        cmocka_unit_test(a_strangers_bad_environment_is_named),
        cmocka_unit_test(what_is_no_environment_is_refused_before_a_run_is_made),
    };
    return cmocka_run_group_tests(tests, cli_open, cli_close);
}
