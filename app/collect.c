// collect.c - martingale collect: logged data sets of a world of vectors, by D4RL's recipe.
//
// Levels as in Fu et al. 2020, "D4RL: datasets for deep data-driven reinforcement learning" (arXiv:2004.07219), and in
// its public scripts/generation/mujoco.
#include <openssl/sha.h>
#include <string.h>

#include "app/card.h"
#include "app/collect_play.h"
#include "app/vectors.h"
#include "core/file.h"
#include "core/log.h"
#include "store/logged.h"
#include "store/sets.h"
#include "worlds/robots.h"

#define ARENA_MAX    ((size_t)64 << 30) // address space
#define ROWS_DEFAULT "200000"
#define ROWS_MAX     10000000
#define MODEL_MAX    ((size_t)1 << 30) // bytes of a policy's file
#define WORDS_MAX    12

typedef struct collect {
    const char       *world, *level, *model, *run, *medium, *expert, *out, *seed, *n, *command;
    int64_t           rows;      // 0: all that there are
    const mg_override *overrides;
    int               n_overrides;
    mg_rollout_world  where;     // of levels that are played
    bool              open;      // `where` is
    mg_collect_counts counts;
    mg_arena          arena;
    mg_logged         set;
    mg_logged_word    own[WORDS_MAX + 1];
    int               n_own;
} collect;

static void say(collect *x, const char *key, const char *text) {
    MG_ASSERT(x->n_own < WORDS_MAX);
    x->own[x->n_own++] = (mg_logged_word){key, text};
}

static void say_plant(collect *x, const mg_environment_config *e) {
    const char *version = mg_environment_version(e, x->world);
    if (version) say(x, MG_LOGGED_VERSION, version);
    say(x, MG_LOGGED_PLANT, mg_environment_plant(e, &x->arena));
}

// ---- random, medium, expert: a policy is played

static mg_err open_world(collect *x) {
    mg_override all[MG_ARGS_MAX + 4];
    int         n = 0;
    all[n++] = (mg_override){"threads", "1"}; // one observation at a time
    for (int i = 0; i < x->n_overrides; i++) all[n++] = x->overrides[i];
    all[n++] = (mg_override){"seed", x->seed};
    all[n++] = (mg_override){"world", x->world};
    const mg_rollout_asked asked = {.model = x->model, .script = x->model ? NULL : "random", .out = x->out,
                                    .split = "test", .overrides = all, .n_overrides = n, .temperature = 1,
                                    .bundled = true};
    x->open    = true;
    mg_err err = mg_rollout_world_open(&x->where, &asked);
    if (err) return err;
    const mg_env_class *c = x->where.how.class;
    if (c->observation.kind != MG_SPACE_VECTOR || c->action.kind != MG_SPACE_VECTOR)
        return mg_fail(MG_CONFIG, "collect: %s has other observations or actions than numbers, wanted a world of both: "
                                  MG_VECTORS_WORLDS, c->name);
    if (x->model && x->where.model->config.mlp.head != MG_HEAD_TANH_GAUSSIAN)
        return mg_fail(MG_CONFIG, "--model: %s draws no action from a squashed Gaussian, wanted the policy of a run of "
                                  "sac", x->model);
    return MG_OK;
}

// The hash of the policy's weights, in hexadecimal.
static mg_err say_policy(collect *x) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char   *data;
    size_t  size;
    mg_err  err = mg_file_read(mg_path(&x->arena, "%s/model.safetensors", x->where.settings.run.model), MODEL_MAX,
                               &x->where.arena, &data, &size);
    if (err) return err;
    SHA256((const uint8_t *)data, size, hash);
    say(x, "algorithm", "SAC");
    say(x, "policy", x->model);
    say(x, "policy_sha256", mg_hex(&x->arena, hash, sizeof hash));
    return MG_OK;
}

static mg_err play(collect *x) {
    mg_err err = open_world(x);
    if (!err && x->model) err = say_policy(x);
    if (err) return err;
    say_plant(x, &x->where.settings.environment);
    say(x, "seed", x->seed);
    err = mg_d4rl_try(x->out); // before minutes of play
    return err ? err : mg_collect_play(&x->where, x->rows, &x->arena, &x->set, &x->counts);
}

// ---- medium-replay: what a run has learnt from

static mg_err read_replay(collect *x, const char *path, const mg_env_class *class) {
    mg_replay_shape shape;
    mg_replay      *replay = NULL;
    mg_err          err    = mg_replay_shape_read(path, &shape);
    if (!err && (shape.obs != class->observation.n || shape.act != class->action.n))
        err = mg_fail(MG_CONFIG, "%s: found %lld numbers of observations and %lld of actions, wanted %lld and %lld: "
                                 "those of %s", path, (long long)shape.obs, (long long)shape.act,
                      (long long)class->observation.n, (long long)class->action.n, class->name);
    if (!err) err = mg_replay_open(&replay, path, &shape);
    if (!err) err = mg_replay_verify(replay);
    if (!err)
        err = mg_logged_of_replay(replay, &shape, x->rows > 0 ? x->rows : mg_replay_rows(replay), class->action.high,
                                  class->steps_max, &x->arena, &x->set);
    mg_replay_close(replay);
    return err;
}

static mg_err replay(collect *x) {
    mg_settings s;
    mg_err      err = mg_settings_read(&s, mg_path(&x->arena, "%s/run.yaml", x->run), NULL, 0, &x->arena);
    if (err) return err;
    if (s.environment.command[0])
        return mg_fail(MG_CONFIG, "environment.command of %s: found '%s', wanted none: sets are made of bundled worlds "
                                  "alone", x->run, s.environment.command);
    if (strcmp(s.run.world, x->world) != 0)
        return mg_fail(MG_CONFIG, "--run: %s is of '%s', wanted one of '%s'", x->run, s.run.world, x->world);
    const mg_env_class *class = mg_app_world_class(&s);
    const char         *path  = mg_path(&x->arena, "%s/replay.bin", x->run);
    if (!class || class->action.kind != MG_SPACE_VECTOR || !mg_file_exists(path))
        return mg_fail(MG_CONFIG, "--run: %s has no replay buffer, wanted a run of sac", x->run);
    say(x, "algorithm", s.run.algo);
    say(x, "run", x->run);
    say_plant(x, &s.environment);
    say(x, "seed", mg_path(&x->arena, "%lld", (long long)s.run.seed));
    return read_replay(x, path, class);
}

// ---- medium-expert: one set behind another

static mg_err read_one(collect *x, const char *option, const char *path, mg_logged *out) {
    if (!mg_file_exists(path)) return mg_fail(MG_CONFIG, "--%s: found nothing at %s, wanted a data set", option, path);
    const mg_env_class *class;
    mg_err              err = mg_logged_read(path, &x->arena, out);
    return err ? err : mg_vectors_world(path, out, x->world, "collect", &class);
}

static mg_err join(collect *x) {
    mg_logged a, b;
    mg_err    err = read_one(x, "medium", x->medium, &a);
    if (!err) err = read_one(x, "expert", x->expert, &b);
    if (err) return err;
    say(x, "medium", x->medium);
    say(x, "expert", x->expert);
    err = mg_logged_join(&a, &b, x->rows > 0 ? x->rows : ROWS_MAX, &x->arena, &x->set);
    if (err == MG_MISMATCH) err = mg_fail(MG_CONFIG, "%s: %s", x->expert, mg_err_detail());
    return err == MG_EMPTY ? mg_fail(err, "%s: %s", x->medium, mg_err_detail()) : err;
}

// What the level says of the set, and behind it what the sets that it was made of say alike.
static const mg_logged_word *words_of(collect *x) {
    const mg_logged own = {.words = x->own};
    int             n   = x->n_own;
    for (const mg_logged_word *w = x->set.words; w && w->key; w++) n++;
    mg_logged_word *all = MG_NEW(&x->arena, mg_logged_word, n + 1), *end = all + x->n_own; // the last is zero
    memcpy(all, x->own, sizeof *all * (size_t)x->n_own);
    for (const mg_logged_word *w = x->set.words; w && w->key; w++)
        if (!mg_logged_says(&own, w->key)) *end++ = *w;
    return all;
}

// ---- The verb

// What a level is made from: its options, of which each is wanted.
static const struct level {
    const char *name, *from, *and;
    mg_err (*make)(collect *x);
} levels[] = {{"random", NULL, NULL, play},       {"medium", "model", NULL, play},
              {"expert", "model", NULL, play},    {"medium-replay", "run", NULL, replay},
              {"medium-expert", "medium", "expert", join}};

static bool wants(const struct level *l, const char *option) {
    return (l->from && strcmp(l->from, option) == 0) || (l->and && strcmp(l->and, option) == 0);
}

// Keys of a training would do nothing: what is played, and by whom, is said by the world's name and the options.
static mg_err check_keys(const collect *x) {
    for (int i = 0; i < x->n_overrides; i++) {
        const char *key = x->overrides[i].key;
        if (strcmp(key, "world") == 0 || strcmp(key, "algo") == 0)
            return mg_fail(MG_CONFIG, "--%s: found '%s', wanted none: collect plays %s as its options say", key,
                           x->overrides[i].value, x->world);
    }
    return MG_OK;
}

static mg_err find_level(const collect *x, const struct level **out) {
    const struct { const char *name, *value; } given[] = {{"model", x->model}, {"run", x->run}, {"medium", x->medium},
                                                          {"expert", x->expert}};
    *out = NULL;
    for (size_t i = 0; i < sizeof levels / sizeof *levels && x->level; i++)
        if (strcmp(levels[i].name, x->level) == 0) *out = &levels[i];
    if (!*out)
        return mg_fail(MG_CONFIG, "--level: found %s, wanted random, medium, medium-replay, medium-expert or expert",
                       x->level ? x->level : "nothing");
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (wants(*out, given[i].name) == !!given[i].value) continue;
        return mg_fail(MG_CONFIG, "--%s: %s; the level %s is%s made from it", given[i].name,
                       given[i].value ? "found one" : "found nothing", x->level, given[i].value ? " not" : "");
    }
    if ((*out)->make != play && x->n_overrides > 0)
        return mg_fail(MG_CONFIG, "--%s: found '%s', wanted none: nothing is played for the level %s",
                       x->overrides[0].key, x->overrides[0].value, x->level);
    return check_keys(x);
}

static mg_err report(collect *x, const mg_data_card *card, const char *const *says, int n) {
    if (!mg_json) {
        mg_card_print(x->out, card, x->set.words, says, n);
        if (x->open)
            printf("\n%lld episodes of %lld attempts, %lld of which the harness's side failed\n",
                   (long long)x->counts.kept, (long long)x->counts.attempts, (long long)x->counts.failures);
        return MG_OK;
    }
    json_t *root = mg_card_json(x->out, card, x->set.words, says, n);
    const mg_collect_counts *c = &x->counts;
    if (x->open)
        json_object_set_new(root, "attempts",
                            json_pack("{s:I, s:I, s:I}", "all", (json_int_t)c->attempts, "kept", (json_int_t)c->kept,
                                      "failed", (json_int_t)c->failures));
    return mg_json_print(root);
}

static mg_err make(collect *x) {
    const struct level *level;
    mg_data_card        card;
    const char         *says[MG_CARD_WORDS];
    mg_err              err = find_level(x, &level);
    if (err) return err;
    if (!x->out) return mg_fail(MG_CONFIG, "--out: found nothing, wanted a file to write, such as data/x.hdf5");
    if (mg_file_exists(x->out)) return mg_fail(MG_BUSY, "%s is there already; remove it or name another file", x->out);
    if (level->make == play && !x->n) x->n = ROWS_DEFAULT;
    if (x->n) err = mg_args_int("n", x->n, 1, ROWS_MAX, &x->rows);
    if (err) return err;
    say(x, "level", level->name);
    say(x, "program", mg_path(&x->arena, "martingale %s", mg_version));
    say(x, "command", x->command);
    err = level->make(x);
    if (err) return err;
    if (x->set.rows < x->rows)
        mg_log(MG_LOG_WARN, "--n: found %lld, but %s has %lld rows to give", (long long)x->rows, level->name,
               (long long)x->set.rows);
    x->set.world = x->world, x->set.words = words_of(x);
    const mg_env_class *class = x->open ? x->where.how.class : mg_app_world_named(x->world, 5);
    mg_data_card_make(&x->set, NULL, &class->action, &x->arena, &card);
    const int n = mg_data_card_says(&card, &x->arena, says);
    err = mg_parent_make(x->out);
    if (!err) err = mg_d4rl_write(x->out, &x->set);
    return err ? err : report(x, &card, says, n);
}

static int help(const mg_option *options) {
    printf("usage: martingale collect WORLD --level random --out FILE.hdf5 [--n ROWS] [--key value ...]\n"
           "       martingale collect WORLD --level medium|expert --model RUN|MODEL --out FILE.hdf5\n"
           "       martingale collect WORLD --level medium-replay --run RUN --out FILE.hdf5\n"
           "       martingale collect WORLD --level medium-expert --medium FILE --expert FILE --out FILE.hdf5\n\n"
           "Makes a logged data set in D4RL's layout by D4RL's recipe, and shows its card. The levels:\n\n"
           "  random         actions drawn evenly\n"
           "  medium         a policy of sac that is a third of the way from random to expert, acting as it\n"
           "                 explored: each action is drawn\n"
           "  expert         the same of a policy that has learnt all that it will\n"
           "  medium-replay  the first ROWS (all) that a run learnt from: of one that has come as far as medium\n"
           "  medium-expert  a medium set up to its last finished episode, an expert one behind it\n\n"
           "Whole episodes are played until there are ROWS rows, then the last is cut. Only clean ones are kept;\n"
           "there is no record of them beside the set (`rollout` makes one). --seed decides every draw. Keys are\n"
           "those of `train` (environment.*, gate.*); those of a run that is given as the model are its own.\n"
           "What a set was made of stands in it, under metadata/. Whatever ends the command early (Ctrl-C, the gate\n"
           "that trips with exit status 1) leaves nothing: what was played by then is lost.\n\n"
           "  %s collect pendulum --level random --n 20000 --out data/pendulum-random.hdf5\n"
           "  %s collect pendulum --level medium --model models/pendulum-medium --out data/pendulum-medium.hdf5\n"
           "  %s card data/pendulum-medium.hdf5\n\n", mg_program, mg_program, mg_program);
    mg_args_help(options, stdout);
    return MG_EXIT_DONE;
}

// As it was typed.
static const char *command_line(mg_arena *arena, int argc, char **argv) {
    const char *text = "martingale collect";
    for (int i = 0; i < argc; i++) text = mg_path(arena, "%s %s", text, argv[i]);
    return text;
}

static int run_all(collect *x, int argc, char **argv) {
    mg_err err = mg_arena_init(&x->arena, "collect", ARENA_MAX);
    if (err) return mg_exit_status(err);
    x->command = command_line(&x->arena, argc, argv);
    err        = make(x);
    if (x->open) mg_rollout_world_close(&x->where);
    mg_arena_release(&x->arena);
    return mg_exit_status(err);
}

static int run(int argc, char **argv) {
    collect         x = {.seed = "1"};
    mg_args         args;
    const mg_option options[] = {
        {"level", &x.level, NULL, "NAME  random, medium, medium-replay, medium-expert or expert"},
        {"model", &x.model, NULL, "RUN|MODEL  whose policy acts: of a run of sac"},
        {"run", &x.run, NULL, "RUN  whose replay buffer it is; it must not be under way"},
        {"medium", &x.medium, NULL, "FILE  the set that comes first"},
        {"expert", &x.expert, NULL, "FILE  the set behind it"},
        {"n", &x.n, NULL, "ROWS  how many (default " ROWS_DEFAULT " where a policy acts, else all; D4RL has 1000000)"},
        {"seed", &x.seed, NULL, "N  of worlds and actions (default 1)"},
        {"out", &x.out, NULL, "FILE.hdf5  to write; nothing is overwritten"},
        {0}};
    mg_err err = mg_args_parse(&args, argc, argv, options, true);
    if (!err && args.help) return help(options);
    if (!err && args.n_words != 1)
        err = mg_fail(MG_CONFIG, "collect: found %d worlds, wanted one; see --help", args.n_words);
    if (err) return mg_exit_status(err);
    x.world = args.words[0], x.overrides = args.overrides, x.n_overrides = args.n_overrides;
    return run_all(&x, argc, argv);
}

const mg_verb mg_verb_collect = {"collect", "WORLD --level NAME --out FILE.hdf5", "make a logged data set of a world",
                                 run};
