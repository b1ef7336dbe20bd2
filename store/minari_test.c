// Goal: Minari's layout comes back with the bits that went in, Minari is told what it needs to know, and of a broken
// file or one with more in it it is said what and where.
#define H5_USE_110_API
#include <jansson.h>
#include <sys/stat.h>

#include "core/file.h"
#include "store/logged_fixture.h"

// What Minari itself would see of an array, as bytes.
static void assert_raw(const char *path, const char *key, hid_t type, const void *wanted, size_t size) {
    uint8_t     got[64] = {0};
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, key, H5P_DEFAULT);
    assert_true(set >= 0 && (size_t)H5Dget_storage_size(set) == size && size <= sizeof got);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, got) >= 0);
    assert_memory_equal(got, wanted, size);
    H5Dclose(set), H5Fclose(file);
}

static void test_what_minari_sees(void **state) {
    fixture  *f = *state;
    mg_logged l = whole();
    char      out[80], path[120];
    snprintf(out, sizeof out, "%s/set", f->folder);
    if (mg_minari_write(out, "hopper-v0", &l, &f->arena)) fail_msg("%s", mg_err_detail());
    snprintf(path, sizeof path, "%s/data/main_data.hdf5", out);
    const float first[6] = {0, 1, 2, 3, 4, 5}, second[8] = {10, 11, 12, 13, 14, 15, 16, 17};
    assert_raw(path, "episode_0/observations", H5T_NATIVE_FLOAT, first, sizeof first);
    assert_raw(path, "episode_1/observations", H5T_NATIVE_FLOAT, second, sizeof second);
    assert_raw(path, "episode_1/rewards", H5T_NATIVE_FLOAT, r + 2, 3 * sizeof *r);
    assert_raw(path, "episode_0/terminations", H5T_NATIVE_INT8, ((uint8_t[]){0, 1}), 2);
    assert_raw(path, "episode_0/truncations", H5T_NATIVE_INT8, ((uint8_t[]){0, 0}), 2);
    assert_raw(path, "episode_1/truncations", H5T_NATIVE_INT8, ((uint8_t[]){0, 0, 1}), 3);
    assert_raw(path, "episode_2/terminations", H5T_NATIVE_INT8, ((uint8_t[]){0}), 1);
    assert_raw(path, "episode_2/truncations", H5T_NATIVE_INT8, ((uint8_t[]){1}), 1); // it went on: cut off
}

static void test_minari_comes_back(void **state) {
    fixture  *f = *state;
    mg_logged l = whole();
    char      out[80];
    snprintf(out, sizeof out, "%s/set", f->folder);
    if (mg_minari_write(out, "ours/hopper-v0", &l, &f->arena)) fail_msg("%s", mg_err_detail());
    l = read_back(f, out);
    assert_true(l.rows == N && l.obs == 2 && l.act == 1 && !l.qpos && !l.world);
    assert_memory_equal(l.observation, s, sizeof s);
    assert_memory_equal(l.next, s2, sizeof s2);
    assert_memory_equal(l.action, a, sizeof a);
    assert_memory_equal(l.reward, r, sizeof r);
    assert_memory_equal(l.terminal, over, N);
    assert_memory_equal(l.timeout, ((uint8_t[]){0, 0, 0, 0, 1, 1}), N); // the last row ends its episode
}

// Episode k of `steps` rows, the last of them terminal.
static void put_episode(hid_t file, int k, int steps, hsize_t obs, const void *truncations) {
    const float   zero[40] = {0};
    const uint8_t no[8] = {0};
    uint8_t       end[8] = {0};
    char          key[64];
    end[steps - 1] = !truncations;
    const struct { const char *name; hid_t type; int rank; hsize_t rows, width; const void *x; } parts[] = {
        {"observations", H5T_NATIVE_FLOAT, 2, (hsize_t)steps + 1, obs, zero},
        {"actions", H5T_NATIVE_FLOAT, 2, (hsize_t)steps, 1, zero},
        {"rewards", H5T_NATIVE_FLOAT, 1, (hsize_t)steps, 0, zero},
        {"terminations", H5T_NATIVE_UINT8, 1, (hsize_t)steps, 0, end},
        {"truncations", H5T_NATIVE_UINT8, 1, (hsize_t)steps, 0, truncations ? truncations : no}};
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "episode_%d/%s", k, parts[i].name);
        put(file, key, parts[i].type, parts[i].rank, parts[i].rows, parts[i].width, parts[i].x);
    }
}

static void test_minaris_faults_are_named(void **state) {
    fixture *f    = *state;
    hid_t    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    put_episode(file, 1, 3, 3, NULL);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "episode_1/observations: found rows of 3, wanted 2, as episode_0 has");

    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    put_episode(file, 1, 3, 2, NULL);
    H5Ldelete(file, "episode_1/actions", H5P_DEFAULT);
    put(file, "episode_1/actions", H5T_NATIVE_FLOAT, 2, 3, 2, s);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "episode_1/actions: found rows of 2, wanted 1, as episode_0 has");

    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    put_episode(file, 2, 2, 2, NULL);
    put(file, "notes", H5T_NATIVE_FLOAT, 1, N, 0, a);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "episode_1: is not there, wanted episode_0 to episode_1");

    file = made(f);
    put_episode(file, 0, 3, 2, (uint8_t[]){0, 1, 1});
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "episode_0/truncations: row 1: found the end of 3 rows, wanted it at the last");

    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    H5Ldelete(file, "episode_0/observations", H5P_DEFAULT);
    put(file, "episode_0/observations", H5T_NATIVE_FLOAT, 2, 2, 2, s);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "episode_0/observations: found 2 rows, wanted 3");
}

// Two episodes, each of which is small enough.
static void test_all_steps_together_are_limited(void **state) {
    fixture      *f     = *state;
    const hid_t   file  = made(f);
    const hsize_t steps = ((hsize_t)1 << 31) + 1;
    for (int k = 0; k < 2; k++) {
        claim(file, mg_path(&f->arena, "episode_%d/observations", k), H5T_NATIVE_FLOAT, steps + 1, 1);
        claim(file, mg_path(&f->arena, "episode_%d/actions", k), H5T_NATIVE_FLOAT, steps, 1);
        claim(file, mg_path(&f->arena, "episode_%d/rewards", k), H5T_NATIVE_FLOAT, steps, 0);
        claim(file, mg_path(&f->arena, "episode_%d/terminations", k), H5T_NATIVE_UINT8, steps, 0);
        claim(file, mg_path(&f->arena, "episode_%d/truncations", k), H5T_NATIVE_UINT8, steps, 0);
    }
    H5Fclose(file);
    refused(f, f->path, MG_LIMIT, "found more than 4294967296 steps in all");
}

static void test_an_episode_of_minaris_that_ends_as_neither_is_cut_off(void **state) {
    fixture    *f    = *state;
    const hid_t file = made(f);
    put_episode(file, 0, 2, 2, (uint8_t[]){0, 0});
    put_episode(file, 1, 3, 2, NULL);
    H5Fclose(file);
    const mg_logged l = read_back(f, f->path);
    assert_int_equal(l.rows, 5);
    assert_memory_equal(l.timeout, ((uint8_t[]){0, 1, 0, 0, 0}), 5);
    assert_memory_equal(l.terminal, ((uint8_t[]){0, 0, 0, 0, 1}), 5);
}

static void test_what_lies_beside_minaris_episodes_is_named(void **state) {
    fixture    *f    = *state;
    const hid_t file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    put_episode(file, 1, 3, 2, NULL);
    put(file, "episode_0/infos/x", H5T_NATIVE_FLOAT, 1, N, 0, a);
    put(file, "notes\x1b/x", H5T_NATIVE_FLOAT, 1, N, 0, a);
    put(file, "scale", H5T_NATIVE_FLOAT, 1, N, 0, a);
    H5Fclose(file);
    const mg_logged l = read_back(f, f->path);
    assert_int_equal(l.rows, 5);
    assert_string_equal(l.left, "episode_K/infos, notes , scale");
}

static void test_the_worlds_name_is_in_minaris_metadata(void **state) {
    fixture *f = *state;
    char     path[96];
    hid_t    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    H5Fclose(file);
    snprintf(path, sizeof path, "%s/metadata.json", f->folder);
    const char *text = "{\"env_spec\": \"{\\\"id\\\": \\\"HalfCheetah-v5\\\"}\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_string_equal(read_back(f, f->path).world, "half-cheetah");
    text = "{\"env_spec\": \"{\\\"id\\\": \\\"Walker2d-v4\\\"}\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_string_equal(read_back(f, f->path).world, "walker2d");
    const mg_logged l = read_back(f, f->path);
    assert_string_equal(mg_logged_says(&l, "environment_version"), "v4");
    text = "{\"env_spec\": \"{\\\"id\\\": \\\"mujoco/HalfCheetah-v4\\\"}\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_string_equal(read_back(f, f->path).world, "half-cheetah");
    text = "{\"env_spec\": \"{\\\"id\\\": \\\"a\\\\u001bb-v4\\\"}\"}"; // an escape
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_null(read_back(f, f->path).world);
    text = "{\"env_spec\": \"{\\\"id\\\": \\\"-v4\\\"}\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_null(read_back(f, f->path).world);
    text = "{\"env_spec\": \"{\\\"id\\\": \\\"Walker2d-v4\\\"}\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_null(read_back(f, f->path).left);
    char id[130] = ""; // 64 bytes, which dashes between the words make 95
    for (int i = 0; i < 32; i++) strcat(id, "aB");
    text = mg_path(&f->arena, "{\"env_spec\": \"{\\\"id\\\": \\\"%s\\\"}\", \"dataset_id\": \"x-v0\"}", id);
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_null(read_back(f, f->path).world);
    assert_string_equal(read_back(f, f->path).left, "env_spec"); // and no word of the set's own name
    text = "{\"author\": \"me\", \"total_steps\": 2, \"code_permalink\": null, \"description\": \"x\"}";
    assert_int_equal(mg_file_write(path, text, strlen(text)), MG_OK);
    assert_string_equal(read_back(f, f->path).left, "author, description");
}

// A file that lost its end would pass for a smaller one.
static void test_what_minaris_metadata_say_of_the_file_holds(void **state) {
    fixture *f = *state;
    char     path[96];
    hid_t    file = made(f);
    put_episode(file, 0, 2, 2, NULL);
    put_episode(file, 1, 3, 2, NULL);
    H5Fclose(file);
    snprintf(path, sizeof path, "%s/metadata.json", f->folder);
    const struct { const char *text, *words; } cases[] = {
        {"{\"total_episodes\": 2, \"total_steps\": 5, \"data_format\": \"hdf5\"}", NULL},
        {"{\"total_episodes\": 3}", "metadata.json: total_episodes: found 3, wanted 2, as many as the file holds"},
        {"{\"total_steps\": 6}", "metadata.json: total_steps: found 6, wanted 5"},
        {"{\"total_steps\": \"5\"}", "metadata.json: total_steps: found no integer"},
        {"{\"data_format\": \"arrow\"}", "metadata.json: data_format: found 'arrow', wanted 'hdf5'"},
        {"{\"total_steps\": 5", "metadata.json:1: '}' expected near end of file"},
        {"", "metadata.json:1: "}, {"[]", "metadata.json: found no object"},
        {"{\"env_spec\": \"{\\\"x\\\": Infinity}\"}", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mg_file_write(path, cases[i].text, strlen(cases[i].text)), MG_OK);
        mg_logged l;
        assert_int_equal(mg_logged_read(f->path, &f->arena, &l), cases[i].words ? MG_CORRUPT : MG_OK);
        if (cases[i].words && !strstr(mg_err_detail(), cases[i].words)) fail_msg("found %s", mg_err_detail());
        if (!cases[i].words) assert_true(l.rows == 5 && !l.left && !l.world);
    }
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); // which would be waited for
    mg_logged l;
    assert_int_equal(mg_logged_read(f->path, &f->arena, &l), MG_IO);
    if (!strstr(mg_err_detail(), "metadata.json: found no file, wanted a file")) fail_msg("%s", mg_err_detail());
    unlink(path);
    for (int64_t said = 2; said <= 4; said++) { // of an episode of three
        const hid_t again = H5Fopen(f->path, H5F_ACC_RDWR, H5P_DEFAULT), one = H5Screate(H5S_SCALAR);
        const hid_t at = H5Acreate_by_name(again, "episode_1", "total_steps", H5T_STD_I64LE, one, H5P_DEFAULT,
                                           H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(at, H5T_NATIVE_INT64, &said);
        H5Aclose(at), H5Sclose(one), H5Fclose(again);
        if (said == 3)
            assert_int_equal(read_back(f, f->path).rows, 5);
        else
            refused(f, f->path, MG_CORRUPT, mg_path(&f->arena, "episode_1: total_steps: found %lld, wanted 3, as many "
                                                               "rows as there are", (long long)said));
        const hid_t over_again = H5Fopen(f->path, H5F_ACC_RDWR, H5P_DEFAULT);
        H5Adelete_by_name(over_again, "episode_1", "total_steps", H5P_DEFAULT);
        H5Fclose(over_again);
    }
}

// A text of the metadata that is written of l, or NULL.
static const char *written(fixture *f, const mg_logged *l, const char *key) {
    char        out[80], name[120];
    char       *text;
    size_t      size;
    snprintf(out, sizeof out, "%s/set", f->folder);
    snprintf(name, sizeof name, "%s/data/metadata.json", out);
    if (mg_minari_write(out, "x-v0", l, &f->arena)) fail_msg("%s", mg_err_detail());
    if (mg_file_read(name, 1 << 20, &f->arena, &text, &size)) fail_msg("%s", mg_err_detail());
    json_t     *root  = json_loads(text, 0, NULL);
    const char *value = json_string_value(json_object_get(root, key));
    const char *copy  = value ? mg_arena_strdup(&f->arena, value) : NULL;
    json_decref(root);
    nftw(out, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return copy;
}

static void test_minaris_bounds_of_actions_are_ones_or_none(void **state) {
    fixture    *f        = *state;
    mg_logged   l        = whole();
    float       other[N] = {-1, .5f, 0, .25f, -.125f, 1};
#define BOX "{\"type\": \"Box\", \"dtype\": \"float32\", \"shape\": "
    const char *one      = BOX "[1], \"low\": [-1.0], \"high\": [1.0]}";
    const char *none     = BOX "[1], \"low\": [-Infinity], \"high\": [Infinity]}";
    l.action = other;
    assert_string_equal(written(f, &l, "action_space"), one);
    other[3] = 1.5f;
    assert_string_equal(written(f, &l, "action_space"), none);
    other[3] = 0, other[5] = -1.5f;
    assert_string_equal(written(f, &l, "action_space"), none);
    assert_string_equal(written(f, &l, "observation_space"),
                        BOX "[2], \"low\": [-Infinity, -Infinity], \"high\": [Infinity, Infinity]}");
}

// gymnasium.spec(ID).to_json() of Gymnasium 1.4.0 has these; tools/peer_hdf5.py makes the environments.
static void test_minari_is_told_of_gymnasiums_worlds(void **state) {
    fixture *f = *state;
    static const struct { const char *world, *version, *plant, *id, *entry; double steps; } cases[] = {
        {"hopper", "v5", NULL, "Hopper-v5", "gymnasium.envs.mujoco.hopper_v5:HopperEnv", 1000},
        {"half-cheetah", "v4", "mass 1, friction 1, gravity 1, action delay 0", "HalfCheetah-v4",
         "gymnasium.envs.mujoco.half_cheetah_v4:HalfCheetahEnv", 1000},
        {"walker2d", "v5", NULL, "Walker2d-v5", "gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv", 1000},
        {"ant", "v4", NULL, "Ant-v4", "gymnasium.envs.mujoco.ant_v4:AntEnv", 1000},
        {"pendulum", NULL, NULL, "Pendulum-v1", "gymnasium.envs.classic_control.pendulum:PendulumEnv", 200},
        {"hopper", NULL, NULL, NULL, NULL, 0}, {"hopper", "v3", NULL, NULL, NULL, 0}, {NULL, "v5", NULL, NULL, NULL, 0},
        {"desk", "v5", NULL, NULL, NULL, 0},
        {"hopper", "v5", "mass 1.5, friction 1, gravity 1, action delay 0", NULL, NULL, 0},
        {"pendulum", NULL, "mass 1, friction 1, gravity 1, action delay 3", NULL, NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_logged_word words[3] = {{"environment_version", cases[i].version}, {"plant", cases[i].plant}};
        mg_logged      l        = whole();
        if (!cases[i].version) words[0] = (mg_logged_word){"algorithm", "SAC"};
        if (!cases[i].plant) words[1] = (mg_logged_word){0};
        l.world = cases[i].world, l.words = words;
        const char *text = written(f, &l, "env_spec");
        if (!cases[i].id) assert_null(text);
        if (!cases[i].id) continue;
        json_t *spec = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(spec, "id")), cases[i].id);
        assert_string_equal(json_string_value(json_object_get(spec, "entry_point")), cases[i].entry);
        assert_true(json_number_value(json_object_get(spec, "max_episode_steps")) == cases[i].steps);
        assert_true(json_is_array(json_object_get(spec, "additional_wrappers"))); // which Gymnasium insists on
        json_decref(spec);
    }
}

// What somebody has called as the folder is called until it is whole.
static void test_a_folder_where_it_would_be_written_stays(void **state) {
    fixture    *f = *state;
    mg_logged   l = whole();
    struct stat st;
    char        set[80], part[96], file[128];
    snprintf(set, sizeof set, "%s/set", f->folder);
    snprintf(part, sizeof part, "%s/data.tmp", set);
    snprintf(file, sizeof file, "%s/main_data.hdf5", part);
    assert_int_equal(mg_folder_make(part), MG_OK);
    assert_int_equal(mg_file_write(file, "mine", 4), MG_OK);
    assert_int_equal(mg_minari_write(set, "x-v0", &l, &f->arena), MG_BUSY);
    if (!strstr(mg_err_detail(), "set/data.tmp is there already: remove it")) fail_msg("%s", mg_err_detail());
    assert_true(stat(file, &st) == 0 && st.st_size == 4);
    assert_true(unlink(file) == 0 && rmdir(part) == 0);
    assert_int_equal(mg_minari_write(set, "x-v0", &l, &f->arena), MG_OK);
    assert_int_equal(access(part, F_OK), -1);
}

static void not_written(fixture *f, const char *id, const mg_logged *l, mg_err wanted, const char *words) {
    char out[80];
    snprintf(out, sizeof out, "%s/set", f->folder);
    assert_int_equal(mg_minari_write(out, id, l, &f->arena), wanted);
    if (!strstr(mg_err_detail(), words)) fail_msg("'%s' lacks '%s'", mg_err_detail(), words);
}

static void test_minari_is_not_written_from_what_it_cannot_hold(void **state) {
    fixture                 *f     = *state;
    static const char *const ids[] = {"", "hopper", "-v0", "hopper-v", "hopper-v1x", "a b-v0", "/hopper-v0",
                                      "a/hopper-v0", "ns/-v0", "ns//x-v0"};
    mg_logged l = whole();
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) not_written(f, ids[i], &l, MG_CONFIG, "found the id");
    l.next = NULL;
    not_written(f, "x-v0", &l, MG_UNSUPPORTED, "next_observations: is not there");
    float other[N * 2];
    memcpy(other, s2, sizeof s2);
    other[5] = 99, l.next = other;
    not_written(f, "x-v0", &l, MG_MISMATCH, "next_observations: row 2: found 99 at 1, wanted 13");
    float seen[N * 2];
    memcpy(seen, s, sizeof s);
    seen[2] = 0, other[0] = -0.f, other[5] = s2[5], l.observation = seen; // which would lose its sign
    not_written(f, "x-v0", &l, MG_MISMATCH, "next_observations: row 0: found -0 at 0, wanted 0");
    other[0] = 0, other[3] = other[9] = 99; // behind an end: there is no next row to equal
    char out[80];
    snprintf(out, sizeof out, "%s/set", f->folder);
    assert_int_equal(mg_minari_write(out, "x-v0", &l, &f->arena), MG_OK);
    not_written(f, "x-v0", &l, MG_BUSY, "set/data is there already");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_minari_sees),
        TEST(test_minari_comes_back),
        TEST(test_minaris_faults_are_named),
        TEST(test_all_steps_together_are_limited),
        TEST(test_an_episode_of_minaris_that_ends_as_neither_is_cut_off),
        TEST(test_what_lies_beside_minaris_episodes_is_named),
        TEST(test_the_worlds_name_is_in_minaris_metadata),
        TEST(test_what_minaris_metadata_say_of_the_file_holds),
        TEST(test_minaris_bounds_of_actions_are_ones_or_none),
        TEST(test_minari_is_told_of_gymnasiums_worlds),
        TEST(test_a_folder_where_it_would_be_written_stays),
        TEST(test_minari_is_not_written_from_what_it_cannot_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
