// tensorboard_test.c - event files, byte by byte.
//
// The expected bytes were written by tensorboard 2.21.0 (its RecordWriter and Event messages).
#include "train/tensorboard.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"

static const char VERSION[] =
    "\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22\x09\x00\x00\x10\x40\xfc\x54\xd9\x41\x1a\x0d"
    "\x62\x72\x61\x69\x6e\x2e\x45\x76\x65\x6e\x74\x3a\x32\x33\x8d\x2f\xe9";
static const char REWARD[] = // step 128, "reward", -0.5
    "\x1d\x00\x00\x00\x00\x00\x00\x00\x60\x2f\xdf\x23\x09\x00\x00\x60\x40\xfc\x54\xd9\x41\x10\x80"
    "\x01\x2a\x0f\x0a\x0d\x0a\x06\x72\x65\x77\x61\x72\x64\x15\x00\x00\x00\xbf\x35\x55\xf2\x7c";
static const char KL[] = // step 300, "kl", 0.1
    "\x19\x00\x00\x00\x00\x00\x00\x00\x8b\xf1\x08\x28\x09\x00\x00\x80\x40\xfc\x54\xd9\x41\x10\xac"
    "\x02\x2a\x0b\x0a\x09\x0a\x02\x6b\x6c\x15\xcd\xcc\xcc\x3d\x61\xd2\xa1\xcd";

static char        folder[64];
static mg_arena    arena;
static const char *const names[] = {"events.out.tfevents.1700000000.martingale",
                                    "events.out.tfevents.1700000000.martingale.1"};

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/mg-events-XXXXXX");
    return !mkdtemp(folder) || mg_arena_init(&arena, "test", 1 << 20);
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) unlink(mg_path(&arena, "%s/%s", folder, names[i]));
    mg_arena_release(&arena);
    return rmdir(folder);
}

static mg_events *opened(void) {
    mg_events *e = NULL;
    if (mg_events_open(&e, folder, 1700000000.25)) fail_msg("%s", mg_err_detail());
    return e;
}

static char *content(int life, size_t *size) {
    char *data;
    if (mg_file_read(mg_path(&arena, "%s/%s", folder, names[life]), 65536, &arena, &data, size))
        fail_msg("%s", mg_err_detail());
    return data;
}

// The check value of the CRC catalogue, and RFC 3720 B.4: 32 bytes of zeros, of ones, ascending.
static void test_crc32c(void **state) {
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(mg_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(mg_crc32c("", 0), 0);
    assert_int_equal(mg_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(mg_crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(mg_crc32c(bytes, 32), 0x46dd794e);
}

static void test_bytes(void **state) {
    (void)state;
    enum { A = sizeof VERSION - 1, B = sizeof REWARD - 1, C = sizeof KL - 1 };
    size_t     size;
    mg_events *e = opened();
    assert_int_equal(mg_events_scalar(e, 128, 1700000001.5, "reward", -0.5), MG_OK);
    assert_int_equal(mg_events_flush(e), MG_OK);
    assert_memory_equal(content(0, &size), VERSION, A);
    assert_int_equal(size, A + B);
    assert_int_equal(mg_events_scalar(e, 300, 1700000002.0, "kl", 0.1), MG_OK);
    mg_events_close(e);
    const char *data = content(0, &size);
    assert_int_equal(size, A + B + C);
    assert_memory_equal(data + A, REWARD, B);
    assert_memory_equal(data + A + B, KL, C);
}

// A second life within the second leaves the first one's file as it is, whole or not.
static void test_second_life(void **state) {
    (void)state;
    size_t     size;
    mg_events *first = opened();
    assert_int_equal(mg_events_flush(first), MG_OK);
    mg_events *second = opened();
    assert_int_equal(mg_events_scalar(second, 128, 1700000001.5, "reward", -0.5), MG_OK);
    mg_events_close(second);
    mg_events_close(first);
    content(0, &size);
    assert_int_equal(size, sizeof VERSION - 1);
    assert_memory_equal(content(1, &size) + sizeof VERSION - 1, REWARD, sizeof REWARD - 1);
}

static void test_tags(void **state) {
    (void)state;
    char       tag[MG_EVENTS_TAG_MAX + 2];
    size_t     size;
    mg_events *e = opened();
    memset(tag, 't', sizeof tag);
    tag[MG_EVENTS_TAG_MAX + 1] = 0;
    assert_int_equal(mg_events_scalar(e, 300, 0, tag, 0.1), MG_LIMIT);
    tag[MG_EVENTS_TAG_MAX] = 0;
    assert_int_equal(mg_events_scalar(e, 300, 0, tag, NAN), MG_OK);
    // The longest message there is: every byte of a negative step is written.
    assert_int_equal(mg_events_scalar(e, -1, 0, tag, -INFINITY), MG_OK);
    mg_events_close(e);
    content(0, &size);
    assert_int_equal(size, sizeof VERSION - 1 + 242 + 250);
}

static void test_failures(void **state) {
    (void)state;
    mg_events *e = (mg_events *)folder;
    assert_int_equal(mg_events_open(&e, "/nowhere", 1), MG_IO);
    assert_string_equal(mg_err_detail(), "create /nowhere/events.out.tfevents.1.martingale: "
                                         "No such file or directory");
    assert_ptr_equal(e, folder);

    // A disk that is full after 50 bytes.
    struct rlimit before, full;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full          = before;
    full.rlim_cur = 50;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    e = opened();
    mg_err err = mg_events_scalar(e, 1, 1, "reward", 1);
    if (!err) err = mg_events_flush(e);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(err, MG_IO);
    assert_non_null(strstr(mg_err_detail(), "martingale: File too large"));
    mg_events_close(e);
    mg_events_close(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_crc32c), TEST(test_bytes),    TEST(test_second_life),
        TEST(test_tags),   TEST(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
