// Goal: D4RL's layout comes back with the bits that went in, other programs' types are taken, and of a
// broken file it is said which key and which row is wrong, by us and by nobody else.
#define H5_USE_110_API
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/file.h"
#include "store/logged_fixture.h"

static void test_what_was_written_comes_back(void **state) {
    fixture  *f = *state;
    mg_logged l = whole();
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_OK);
    l = read_back(f, f->path);
    assert_true(l.rows == N && l.obs == 2 && l.act == 1 && l.nq == 1 && l.nv == 2);
    assert_memory_equal(l.observation, s, sizeof s);
    assert_memory_equal(l.next, s2, sizeof s2);
    assert_memory_equal(l.action, a, sizeof a);
    assert_memory_equal(l.reward, r, sizeof r);
    assert_memory_equal(l.terminal, over, N);
    assert_memory_equal(l.timeout, cut, N);
    assert_memory_equal(l.qpos, qpos, sizeof qpos);
    assert_memory_equal(l.qvel, qvel, sizeof qvel);
    assert_memory_equal(l.logp, logp, sizeof logp);
    assert_string_equal(l.world, "hopper");
}

static void test_what_may_be_missing_may(void **state) {
    fixture  *f = *state;
    mg_logged l = whole();
    l.next = l.qpos = l.qvel = l.logp = NULL, l.world = NULL;
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_OK);
    l = read_back(f, f->path);
    assert_true(!l.next && !l.qpos && !l.qvel && !l.logp && !l.world);
    assert_memory_equal(l.timeout, cut, N);
}

// The library would note when a set was made, and the same data would be another file a second later.
static void test_the_time_of_writing_is_not_in_the_file(void **state) {
    fixture   *f = *state;
    mg_logged  l = whole();
    H5O_info_t info;
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_OK);
    const hid_t file = H5Fopen(f->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    for (const char *const *key = (const char *const[]){"observations", "timeouts", "infos", "infos/qpos", NULL}; *key;
         key++) {
        assert_true(H5Oget_info_by_name(file, *key, &info, H5P_DEFAULT) >= 0);
        assert_true(info.atime == 0 && info.mtime == 0 && info.ctime == 0 && info.btime == 0);
    }
    H5Fclose(file);
}

static void test_nothing_is_overwritten(void **state) {
    fixture  *f = *state;
    mg_logged l = whole();
    assert_int_equal(mg_file_write(f->path, "x", 1), MG_OK);
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_BUSY);
    assert_non_null(strstr(mg_err_detail(), "is there already"));
    struct stat st;
    assert_true(stat(f->path, &st) == 0 && st.st_size == 1);
}

// Nor what somebody has called as a file is called until it is whole.
static void test_what_lies_where_it_would_be_written_stays(void **state) {
    fixture    *f = *state;
    mg_logged   l = whole();
    struct stat st;
    char        part[96];
    snprintf(part, sizeof part, "%s.tmp", f->path);
    assert_int_equal(mg_file_write(part, "mine", 4), MG_OK);
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_BUSY);
    if (!strstr(mg_err_detail(), "run.db.tmp is there already: remove it")) fail_msg("%s", mg_err_detail());
    assert_true(stat(part, &st) == 0 && st.st_size == 4);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(unlink(part), 0);
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_OK);
    assert_int_equal(access(part, F_OK), -1);
}

static void test_asking_whether_it_could_be_written_leaves_nothing(void **state) {
    fixture  *f = *state;
    char      deep[96], below[96];
    mg_logged l = whole();
    snprintf(deep, sizeof deep, "%s/a/b.hdf5", f->folder);
    assert_int_equal(mg_d4rl_try(deep), MG_OK);
    assert_int_equal(access(deep, F_OK), -1);
    snprintf(below, sizeof below, "%s/a", f->folder);
    assert_int_equal(rmdir(below), 0); // there is nothing in it
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_OK);
    assert_int_equal(mg_d4rl_try(f->path), MG_BUSY);
    read_back(f, f->path);
    snprintf(below, sizeof below, "%s/x.hdf5", f->path);
    assert_int_equal(mg_d4rl_try(below), MG_IO);
    assert_int_equal(mg_d4rl_write(below, &l), MG_IO);
    if (!strstr(mg_err_detail(), "x.hdf5.tmp: Not a directory")) fail_msg("%s", mg_err_detail());
}

// A limit on the size of files stands for a full disk.
static void test_no_room_is_an_error_that_leaves_nothing(void **state) {
    fixture      *f = *state;
    mg_logged     l = whole();
    char          temporary[96];
    struct rlimit limit, small;
    float        *many = calloc(2 * 100000, sizeof *many);
    snprintf(temporary, sizeof temporary, "%s.tmp", f->path);
    l = (mg_logged){.rows = 100000, .obs = 2, .act = 2, .observation = many, .action = many, .reward = many,
                    .terminal = (uint8_t *)many, .timeout = (uint8_t *)many};
    getrlimit(RLIMIT_FSIZE, &limit);
    small          = limit;
    small.rlim_cur = 200000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(mg_d4rl_write(f->path, &l), MG_IO);
    setrlimit(RLIMIT_FSIZE, &limit);
    free(many);
    if (!strstr(mg_err_detail(), "File too large")) fail_msg("%s", mg_err_detail());
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(access(temporary, F_OK), -1);
}

// ---- Files that others have made

static const double  wide[N * 2] = {0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 20, 21};
static const int64_t ints[N]     = {1, -2, 3, 0, 0, 1};

// Five good keys in other types than ours, but for the one that a test makes itself.
static hid_t good_but(const fixture *f, const char *key) {
    const hid_t file = made(f);
    if (strcmp(key, "observations")) put(file, "observations", H5T_NATIVE_DOUBLE, 2, N, 2, wide);
    if (strcmp(key, "actions")) put(file, "actions", H5T_NATIVE_FLOAT, 2, N, 1, a);
    if (strcmp(key, "rewards")) put(file, "rewards", H5T_NATIVE_INT64, 2, N, 1, ints);
    if (strcmp(key, "terminals")) put(file, "terminals", H5T_NATIVE_UINT8, 1, N, 0, over);
    if (strcmp(key, "timeouts")) put(file, "timeouts", H5T_NATIVE_UINT8, 2, N, 1, cut);
    return file;
}

static void test_other_types_of_numbers_are_taken(void **state) {
    fixture *f = *state;
    H5Fclose(good_but(f, ""));
    const mg_logged l = read_back(f, f->path);
    assert_memory_equal(l.observation, s, sizeof s);
    assert_memory_equal(l.reward, ((float[]){1, -2, 3, 0, 0, 1}), sizeof(float) * N);
    assert_memory_equal(l.terminal, over, N);
    assert_memory_equal(l.timeout, cut, N);
}

static void put_text(hid_t file, const char *key, const char *text, bool of_any_size) {
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Tset_size(type, of_any_size ? H5T_VARIABLE : strlen(text) + 1);
    const hid_t set = H5Dcreate2(file, key, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, of_any_size ? (const void *)&text : text) >= 0);
    H5Dclose(set), H5Pclose(links), H5Sclose(space), H5Tclose(type);
}

// As D4RL's files have it, with weights among the metadata.
static void test_texts_come_along_and_the_rest_is_named(void **state) {
    fixture    *f    = *state;
    const hid_t file = good_but(f, "");
    char        name[201], text[5001], again[96], much[70000];
    memset(much, 'm', sizeof much), much[sizeof much - 1] = 0;
    memset(name, 'k', sizeof name), name[200] = 0;
    memset(text, 't', sizeof text), text[5000] = 0;
    put_text(file, "metadata/world", "hopper", false);
    put_text(file, "metadata/algorithm", "SAC", true);
    put_text(file, "metadata/policy/nonlinearity", "relu", false);
    put_text(file, "metadata/empty", "", false);
    put_text(file, mg_path(&f->arena, "metadata/%s", name), text, false);
    put(file, "metadata/policy/fc0/bias", H5T_NATIVE_FLOAT, 1, N, 0, a);
    put(file, "infos/goal\x1b", H5T_NATIVE_FLOAT, 1, N, 0, a);
    put_text(file, "metadata/much", much, true);
    put_text(file, "note", "not metadata", false);
    H5Fclose(file);
    snprintf(again, sizeof again, "%s/again.hdf5", f->folder);
    mg_logged l = read_back(f, f->path);
    assert_string_equal(l.left, "4: infos/goal , metadata/much, metadata/policy/fc0/bias, note");
    for (int round = 0; round < 2; round++) {
        assert_string_equal(l.world, "hopper");
        assert_string_equal(l.world_key, "metadata/world");
        assert_null(mg_logged_says(&l, "world"));
        assert_string_equal(mg_logged_says(&l, "algorithm"), "SAC");
        assert_string_equal(mg_logged_says(&l, "policy/nonlinearity"), "relu");
        assert_string_equal(mg_logged_says(&l, "empty"), "");
        assert_string_equal(mg_logged_says(&l, name), text);
        if (round) break;
        assert_int_equal(mg_d4rl_write(again, &l), MG_OK);
        l = read_back(f, again);
        assert_null(l.left);
    }
}

// It is shown in sentences and in JSON, and may be a stranger's.
static void test_a_worlds_name_is_short_and_printable(void **state) {
    fixture *f = *state;
    char     long_name[70000];
    memset(long_name, 'w', sizeof long_name), long_name[sizeof long_name - 1] = 0;
    const struct { const char *name; bool good; } cases[] = {
        {"hopper", true}, {"Stra\xc3\x9f" "e-1 ", true}, {long_name + sizeof long_name - 65, true},
        {long_name + sizeof long_name - 66, false}, {long_name, false}, {"hop\xff", false}, {"hop\xc3", false},
        {"\xed\xa0\x80", false}, {"hop\x1b[2J", false}, {"hop\n", false}, {"\x7f", false}, {"\xc2\x9b", false},
        {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int any_size = 0; any_size < 2; any_size++) {
            if (!any_size && strlen(cases[i].name) > 60000) continue; // more than the library puts in an object's head
            const hid_t file = good_but(f, "");
            put_text(file, "metadata/world", cases[i].name, any_size);
            H5Fclose(file);
            const mg_logged l = read_back(f, f->path);
            if (cases[i].good) assert_string_equal(l.world, cases[i].name);
            if (cases[i].good != !l.left || cases[i].good != !!l.world) fail_msg("case %zu", i);
            if (l.left) assert_string_equal(l.left, "1: metadata/world");
            assert_true(!l.words && !l.world == !l.world_key);
        }
}

static void test_a_missing_key_is_named(void **state) {
    fixture                 *f      = *state;
    static const char *const keys[] = {"actions", "rewards", "terminals", "timeouts"};
    for (int i = 0; i < 4; i++) {
        char words[64];
        H5Fclose(good_but(f, keys[i]));
        snprintf(words, sizeof words, "hdf5: %s: is not there", keys[i]);
        refused(f, f->path, MG_CORRUPT, strchr(words, ' ') + 1);
    }
    H5Fclose(good_but(f, "observations"));
    refused(f, f->path, MG_CORRUPT, "found neither observations (D4RL) nor episode_0 (Minari)");
}

typedef struct broken {
    const char *key;
    hid_t       type;
    int         rank;
    hsize_t     rows, width;
    const void *x;
    const char *words;
} broken;

static void test_broken_arrays_are_refused_with_key_and_row(void **state) {
    fixture      *f = *state;
    const double  nan_at_3[N] = {0, 0, 0, NAN, 0, 0}, large_at_5[N] = {0, 0, 0, 0, 0, 1e300};
    float         inf_at_4[N * 2] = {0};
    const uint8_t large_at_4[N] = {0, 0, 0, 0, 255, 0};
    const int64_t small_at_3[N] = {0, 0, 0, -1000000000000, 0, 0};
    const int     two_at_2[N] = {0, 0, 2, 0, 0, 0}, minus_at_1[N] = {0, -1, 0, 0, 0, 0}, much_at_0[N] = {256};
    const char    texts[N]    = "abcde";
    const uint64_t max_at_5[N] = {0, 0, 0, 0, 0, UINT64_MAX};
    inf_at_4[9]               = -INFINITY;
    const broken  cases[] = {
        {"observations", H5T_NATIVE_FLOAT, 1, N, 0, s, "observations: found rank 1, wanted 2"},
        {"observations", H5T_NATIVE_FLOAT, 2, N, 2, inf_at_4, "observations: row 4: found -inf"},
        {"observations", H5T_NATIVE_INT64, 2, N, 1, ints, "observations: found integers, wanted floating point"},
        {"observations", H5T_NATIVE_FLOAT, 2, 0, 2, s, "observations: found 0 rows of 2"},
        {"observations", H5T_NATIVE_FLOAT, 2, N - 1, 2, s, "actions: found 6 rows, wanted 5, as many as observations"},
        {"actions", H5T_NATIVE_INT64, 1, N, 0, ints, "actions: found integers, wanted floating point"},
        {"actions", H5T_NATIVE_DOUBLE, 2, N, 1, nan_at_3, "actions: row 3: found nan"},
        {"actions", H5T_NATIVE_FLOAT, 2, 2, 1, a, "actions: found 2 rows, wanted 6"},
        {"rewards", H5T_NATIVE_DOUBLE, 1, N, 0, large_at_5, "rewards: row 5: found inf"},
        {"rewards", H5T_NATIVE_FLOAT, 2, 3, 2, s, "rewards: found rank 2, wanted 1"},
        {"rewards", H5T_C_S1, 1, N, 0, texts, "rewards: found texts, wanted numbers"},
        {"rewards", H5T_NATIVE_FLOAT, 1, N - 1, 0, r, "rewards: found 5 rows, wanted 6, as many as observations has"},
        {"terminals", H5T_NATIVE_INT, 1, N, 0, two_at_2, "terminals: row 2: found 2, wanted 0 or 1"},
        {"terminals", H5T_NATIVE_FLOAT, 1, N, 0, r, "terminals: found floating point numbers, wanted booleans"},
        {"timeouts", H5T_NATIVE_INT, 1, N, 0, minus_at_1, "timeouts: row 1: found -1, wanted 0 or 1"},
        {"timeouts", H5T_NATIVE_INT, 1, N, 0, much_at_0, "timeouts: row 0: found 256, wanted 0 or 1"},
        {"timeouts", H5T_NATIVE_UINT8, 1, N, 0, large_at_4, "timeouts: row 4: found 255, wanted 0 or 1"},
        {"timeouts", H5T_NATIVE_INT64, 2, N, 1, small_at_3, "timeouts: row 3: found -1000000000000, wanted 0 or 1"},
        {"timeouts", H5T_NATIVE_UINT64, 1, N, 0, max_at_5, "timeouts: row 5: found 18446744073709551615, wanted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const broken *b    = &cases[i];
        const hid_t   file = good_but(f, b->key);
        put(file, b->key, b->type, b->rank, b->rows, b->width, b->x);
        H5Fclose(file);
        refused(f, f->path, MG_CORRUPT, b->words);
    }
}

static void test_further_arrays_are_checked_where_they_are(void **state) {
    fixture     *f       = *state;
    const float  bad[N]  = {0, NAN};
    const broken cases[] = {
        {"next_observations", H5T_NATIVE_FLOAT, 2, N, 1, a, "next_observations: found rows of 1, wanted 2"},
        {"infos/qpos", H5T_NATIVE_FLOAT, 2, N - 1, 1, qpos, "infos/qpos: found 5 rows, wanted 6"},
        {"infos/qvel", H5T_NATIVE_FLOAT, 1, N, 0, qpos, "infos/qvel: found rank 1, wanted 2"},
        {"infos/action_log_probs", H5T_NATIVE_FLOAT, 1, N, 0, bad, "infos/action_log_probs: row 1: found nan"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hid_t file = good_but(f, "");
        put(file, cases[i].key, cases[i].type, cases[i].rank, cases[i].rows, cases[i].width, cases[i].x);
        H5Fclose(file);
        refused(f, f->path, MG_CORRUPT, cases[i].words);
    }
}

static void test_a_group_is_no_array(void **state) {
    fixture    *f    = *state;
    const hid_t file = good_but(f, "rewards");
    put(file, "rewards/forward", H5T_NATIVE_FLOAT, 1, N, 0, r);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "rewards: found a group, wanted an array");
}

// An array of rewards in pieces of two rows (0: in one piece), of which `written` rows are written, packed or not.
static void put_pieces(hid_t file, hsize_t piece, hsize_t written, bool packed) {
    const hsize_t all = N;
    const hid_t   space = H5Screate_simple(1, &all, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    if (piece) H5Pset_chunk(how, 1, &piece);
    if (packed) H5Pset_shuffle(how), H5Pset_deflate(how, 9), H5Pset_fletcher32(how);
    const hid_t set = H5Dcreate2(file, "rewards", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, how, H5P_DEFAULT);
    const hid_t memory = H5Screate_simple(1, &(hsize_t){written ? written : 1}, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &(hsize_t){0}, NULL, &written, NULL);
    if (written) assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, r) >= 0);
    H5Sclose(memory), H5Dclose(set), H5Pclose(how), H5Sclose(space);
}

// The library would read zeros for what was never written.
static void test_what_was_not_written_is_not_read(void **state) {
    fixture *f = *state;
    const struct { hsize_t piece, written; bool packed, good; } cases[] = {
        {0, 0, false, false}, {0, N, false, true}, {2, 0, false, false}, {2, 2, false, false}, {2, N, false, true},
        {2, 4, true, false}, {2, N, true, true}, {4, 4, true, false}, {4, N, true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hid_t file = good_but(f, "rewards");
        put_pieces(file, cases[i].piece, cases[i].written, cases[i].packed);
        H5Fclose(file);
        if (cases[i].good)
            assert_memory_equal(read_back(f, f->path).reward, r, sizeof r);
        else
            refused(f, f->path, MG_CORRUPT, "rewards: found an array that was not written, or not all of it");
        unlink(f->path);
    }
}

// Nor another file's numbers, or zeros in their place where it is not there.
static void test_an_array_is_in_its_file(void **state) {
    fixture      *f    = *state;
    const hsize_t all  = N;
    hid_t         file = good_but(f, "rewards");
    H5Lcreate_external("other.hdf5", "/rewards", file, "rewards", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "rewards: found a link into another file, wanted an array");
    unlink(f->path);
    char other[96];
    snprintf(other, sizeof other, "%s/other.hdf5", f->folder);
    H5Fclose(good_but(f, ""));
    assert_int_equal(rename(f->path, other), 0);
    file = good_but(f, "rewards"); // by way of a link within the file
    H5Lcreate_external("other.hdf5", "/rewards", file, "there", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/there", file, "rewards", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "rewards: found a link into another file, wanted an array");
    unlink(f->path);
    file = good_but(f, "rewards");
    const hid_t space = H5Screate_simple(1, &all, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(how, space, "other.hdf5", "/rewards", space);
    H5Dclose(H5Dcreate2(file, "rewards", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, how, H5P_DEFAULT));
    H5Pclose(how), H5Sclose(space);
    H5Fclose(file);
    refused(f, f->path, MG_CORRUPT, "rewards: found an array that is kept in other files, wanted it in this one");
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0); // which would be waited for
    refused(f, f->path, MG_IO, "found no file, wanted a file");
}

// A world that another file names is not this one's.
static void test_a_text_is_in_its_file(void **state) {
    fixture *f = *state;
    char     other[96];
    hid_t    file = good_but(f, "");
    put_text(file, "metadata/world", "hopper", false);
    H5Fclose(file);
    snprintf(other, sizeof other, "%s/other.hdf5", f->folder);
    assert_int_equal(rename(f->path, other), 0);
    file = good_but(f, "");
    H5Lcreate_external("other.hdf5", "/metadata", file, "metadata", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_null(read_back(f, f->path).world);
}

// The byte behind the signature is the version of what all else hangs on.
static void test_a_newer_format_is_called_one(void **state) {
    fixture *f = *state;
    H5Fclose(good_but(f, ""));
    const int fd = open(f->path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\x09", 1, 8), 1);
    close(fd);
    refused(f, f->path, MG_CORRUPT, "bad superblock version number: the file may be for a newer HDF5 than ");
}

// The library's words go into the sentence and not to the terminal.
static void test_what_is_no_file_of_the_librarys_is_refused_quietly(void **state) {
    fixture *f = *state;
    char     said[96], folder[80];
    snprintf(said, sizeof said, "%s/stderr", f->folder);
    const int before = dup(2), quiet = open(said, O_RDWR | O_CREAT, 0600);
    H5Fclose(good_but(f, ""));
    struct stat st;
    stat(f->path, &st);
    H5Eset_auto2(H5E_DEFAULT, (H5E_auto2_t)H5Eprint2, stderr); // as it is in a new process
    fflush(stderr), dup2(quiet, 2);
    mg_err   err[4];
    char     words[4][300];
    mg_logged l;
    for (int i = 0; i < 4; i++) {
        if (i == 0) assert_int_equal(truncate(f->path, st.st_size * 2 / 3), 0);
        if (i == 1) assert_int_equal(mg_file_write(f->path, "observations", 12), MG_OK);
        if (i == 2) assert_int_equal(truncate(f->path, 0), 0);
        if (i == 3) unlink(f->path);
        err[i] = mg_logged_read(f->path, &f->arena, &l);
        snprintf(words[i], sizeof words[i], "%s", mg_err_detail());
    }
    fflush(stderr), dup2(before, 2), close(before);
    assert_true(fstat(quiet, &st) == 0 && close(quiet) == 0);
    assert_int_equal(st.st_size, 0);
    assert_true(err[0] == MG_CORRUPT && strstr(words[0], "no HDF5 file that can be read: truncated file"));
    assert_true(err[1] == MG_CORRUPT && strstr(words[1], "no HDF5 file that can be read: "));
    assert_true(err[2] == MG_CORRUPT && err[3] == MG_IO && strstr(words[3], "No such file"));
    snprintf(folder, sizeof folder, "%s", f->folder);
    refused(f, folder, MG_CORRUPT, "found neither data/main_data.hdf5 nor main_data.hdf5");
}

static void test_a_claimed_size_is_checked_before_it_is_believed(void **state) {
    fixture *f = *state;
    const struct { hsize_t rows, width; const char *words; } cases[] = {
        {(hsize_t)1 << 31, 60000, "observations: found 515396075520000 bytes, wanted at most"},
        {(hsize_t)1 << 32, 1, "observations: found 17179869184 bytes, wanted at most"},
        {((hsize_t)1 << 32) + 1, 1, "observations: found 4294967297 rows of 1, wanted at most 4294967296 of 65536"},
        {100, 65537, "observations: found 100 rows of 65537, wanted at most 4294967296 of 65536"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const hid_t file = good_but(f, "observations");
        claim(file, "observations", H5T_NATIVE_FLOAT, cases[i].rows, cases[i].width);
        H5Fclose(file);
        refused(f, f->path, MG_LIMIT, cases[i].words);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_comes_back),
        TEST(test_what_may_be_missing_may),
        TEST(test_what_lies_where_it_would_be_written_stays),
        TEST(test_asking_whether_it_could_be_written_leaves_nothing),
        TEST(test_the_time_of_writing_is_not_in_the_file),
        TEST(test_nothing_is_overwritten),
        TEST(test_no_room_is_an_error_that_leaves_nothing),
        TEST(test_other_types_of_numbers_are_taken),
        TEST(test_texts_come_along_and_the_rest_is_named),
        TEST(test_a_worlds_name_is_short_and_printable),
        TEST(test_a_missing_key_is_named),
        TEST(test_broken_arrays_are_refused_with_key_and_row),
        TEST(test_further_arrays_are_checked_where_they_are),
        TEST(test_a_group_is_no_array),
        TEST(test_what_was_not_written_is_not_read),
        TEST(test_an_array_is_in_its_file),
        TEST(test_a_text_is_in_its_file),
        TEST(test_a_newer_format_is_called_one),
        TEST(test_what_is_no_file_of_the_librarys_is_refused_quietly),
        TEST(test_a_claimed_size_is_checked_before_it_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
