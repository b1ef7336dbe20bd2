// safetensors_test.c - literal files in and out, every refusal, and a write that runs out of room.
#include "nets/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/safetensors_test.XXXXXX";
static char path[64], beside[72];

static int enter(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    snprintf(beside, sizeof beside, "%s.tmp", path);
    return 0;
}

static int leave(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void put(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

// A file of this header, with its true length, and `data_size` bytes 0, 1, 2, ...
static void put_header(const char *header, size_t data_size) {
    char     bytes[4096];
    uint64_t length = strlen(header);
    size_t   size = 8 + length + data_size;
    assert_true(size <= sizeof bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < data_size; i++) bytes[8 + length + i] = (char)i;
    put(bytes, size);
}

static void refused(mg_err code, const char *words) {
    mg_safetensors *s = NULL;
    assert_string_equal(mg_err_name(mg_safetensors_open(&s, path)), mg_err_name(code));
    assert_null(s);
    if (!strstr(mg_err_detail(), words)) fail_msg("'%s' not in: %s", words, mg_err_detail());
    if (!strstr(mg_err_detail(), path)) fail_msg("no path in: %s", mg_err_detail());
}

static mg_safetensors *opened(void) {
    mg_safetensors *s = NULL;
    if (mg_safetensors_open(&s, path)) fail_msg("%s", mg_err_detail());
    return s;
}

// The header's length is odd, so no number in the data is aligned.
static void test_read(void **state) {
    (void)state;
    char header[] = "{\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[2,10]},"
                    "\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]}} ";
    enum { LENGTH = sizeof header - 1 };
    char bytes[8 + LENGTH + 10] = {LENGTH};
    assert_int_equal(LENGTH % 2, 1);
    memcpy(bytes + 8, header, LENGTH);
    memcpy(bytes + 8 + LENGTH, "\xc0\xbf" "\0\0\x80\x3f" "\0\0\x28\xc1", 10);
    put(bytes, sizeof bytes);

    mg_safetensors *s = opened();
    assert_int_equal(mg_safetensors_count(s), 2);
    assert_string_equal(mg_safetensors_path(s), path);
    assert_string_equal(mg_safetensors_at(s, 0)->name, "a");
    assert_null(mg_safetensors_find(s, "c"));
    const mg_file_tensor *a = mg_safetensors_find(s, "a"), *b = mg_safetensors_find(s, "b");
    assert_int_equal(a->dims, 0);
    assert_int_equal(a->count, 1);
    assert_int_equal(b->dims, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 1);
    float x[3] = {0, 0, 77};
    assert_int_equal(mg_file_tensor_to_f32(a, x), MG_OK);
    assert_float_equal(x[0], -1.5f, 0);
    assert_int_equal(mg_file_tensor_to_f32(b, x), MG_OK);
    assert_float_equal(x[0], 1, 0);
    assert_float_equal(x[1], -10.5f, 0);
    assert_float_equal(x[2], 77, 0);
    mg_safetensors_close(s);
}

static void test_empty(void **state) {
    (void)state;
    put_header("{}", 0);
    mg_safetensors *s = opened();
    assert_int_equal(mg_safetensors_count(s), 0);
    assert_null(mg_safetensors_find(s, "a"));
    mg_safetensors_close(s);

    put_header("{\"__metadata__\":{\"k\":\"v\"},"
               "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
               "\"z\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904],"
               "\"data_offsets\":[0,0]}}", 4);
    s = opened();
    assert_int_equal(mg_safetensors_count(s), 2);
    assert_int_equal(mg_safetensors_find(s, "z")->count, 0);
    mg_safetensors_close(s);
    mg_safetensors_close(NULL);
}

#define ONE(dtype, shape, offsets)                                                             \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(begin, end)                                                                        \
    "{\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"                         \
    "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" begin "," end "]}}"

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t      data_size;
        const char *words;
    } cases[] = {
        {"", 0, "header: JSON"},
        {"[]", 0, "not an object"},
        {"{\"w\":1}", 0, "tensor w: Expected object"},
        {"{\"w\":{}}", 0, "dtype"},
        {"{\"a\":{},\"a\":{}}", 0, "duplicate"},
        {"{} {}", 0, "JSON: end of file expected"},
        {"{\"\\u0000\":1}", 0, "JSON"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__.format is not a string"},
        {ONE("3", "[]", "[0,4]"), 4, "Expected string"},
        {ONE("\"I8\"", "[4]", "[0,4]"), 4, "tensor w: unknown dtype I8"},
        {ONE("\"F32\"", "4", "[0,4]"), 4, "shape is not a list"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "shape[0]"},
        {ONE("\"F32\"", "[1,1.0]", "[0,4]"), 4, "shape[1]"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "shape overflows"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "4611686018427387904 F32"},
        {ONE("\"F32\"", "[99999999999999999999]", "[0,4]"), 4, "too big integer"},
        {ONE("\"F32\"", "[1]", "4"), 4, "Expected array"},
        {ONE("\"F32\"", "[1]", "[0]"), 4, "Array index 1 out of range"},
        {ONE("\"F32\"", "[1]", "[0,4,4]"), 4, "1 array item"},
        {ONE("\"F32\"", "[1]", "[0,\"4\"]"), 4, "Expected integer"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "offsets [-4, 0] outside the 4 bytes"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, "offsets [4, 0] outside"},
        {ONE("\"F32\"", "[1]", "[0,5]"), 4, "offsets [0, 5] outside the 4 bytes"},
        {ONE("\"F32\"", "[1]", "[0,9223372036854775807]"), 4, "outside the 4 bytes"},
        {ONE("\"F32\"", "[1]", "[0,8]"), 8, "8 bytes for its shape of 1 F32"},
        {ONE("\"F64\"", "[1]", "[0,4]"), 4, "4 bytes for its shape of 1 F64"},
        {ONE("\"F32\"", "[1]", "[0,4],\"x\":1"), 4, "x"},
        {TWO("4", "12"), 12, "tensor w: overlap with tensor u"},
        {TWO("0", "8"), 8, "overlap"},
        {TWO("12", "20"), 20, "a hole of 4 bytes before tensor w"},
        {TWO("8", "16"), 17, "a hole of 1 bytes after the last tensor"},
        {"{}", 1, "a hole of 1 bytes after the last tensor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_header(cases[i].header, cases[i].data_size);
        refused(MG_CORRUPT, cases[i].words);
    }
    put_header(TWO("8", "16"), 16); // the pair itself is in order
    mg_safetensors_close(opened());
}

static void test_refused_sizes(void **state) {
    (void)state;
    put("\2\0\0\0\0\0\0", 7);
    refused(MG_CORRUPT, "truncated: 7 bytes");
    put("\3\0\0\0\0\0\0\0{}", 10);
    refused(MG_CORRUPT, "truncated: header size 3 in a file of 10 bytes");
    put("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    refused(MG_CORRUPT, "header size 18446744073709551615");
    put("\1\xe1\xf5\5\0\0\0\0{}", 10); // one more than allowed
    refused(MG_CORRUPT, "header size 100000001, wanted at most 100000000");
    unlink(path);
    refused(MG_IO, "No such file");
    assert_int_equal(mkdir(path, 0777), 0);
    refused(MG_IO, "not a file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0666), 0);
    refused(MG_IO, "not a file"); // and not waited for
    assert_int_equal(unlink(path), 0);
}

static void convert(mg_file_dtype dtype, const void *data, int64_t n, float *out) {
    mg_file_tensor t = {
        .name = "t", .dtype = dtype, .dims = 1, .shape = {n}, .count = n, .data = data};
    assert_int_equal(mg_file_tensor_to_f32(&t, out), MG_OK);
}

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

// Every binary16 against its definition in IEEE 754-2008, 3.4.
static void test_f16(void **state) {
    (void)state;
    static uint16_t h[65536];
    static float    x[65536];
    for (int i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    convert(MG_FILE_F16, h, 65536, x);
    for (int i = 0; i < 65536; i++) {
        int    sign = i >> 15, exponent = i >> 10 & 31, fraction = i & 1023;
        double wanted = exponent ? ldexp(1 + fraction / 1024., exponent - 15)
                                 : ldexp(fraction / 1024., -14);
        if (exponent == 31 && fraction) {
            assert_true(isnan(x[i]));
            continue;
        }
        if (exponent == 31) wanted = INFINITY;
        assert_true(x[i] == (float)(sign ? -wanted : wanted));
        assert_int_equal(!!signbit(x[i]), sign);
    }
    assert_true(x[0x3555] == 0.333251953125f && x[0x7bff] == 65504 && x[1] == 0x1p-24f);
}

static void test_bf16(void **state) {
    (void)state;
    static uint16_t h[65536];
    static float    x[65536];
    for (int i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    convert(MG_FILE_BF16, h, 65536, x);
    for (int i = 0; i < 65536; i++) {
        assert_int_equal(bits(x[i]), (uint32_t)i << 16);
        if (!isnan(x[i])) assert_int_equal(mg_bf16(x[i]), i);
    }
    assert_int_equal(mg_bf16(1 + 0x1p-8f), 0x3f80);  // half way: to even, down
    assert_int_equal(mg_bf16(1 + 0x3p-8f), 0x3f82);  // half way: to even, up
    assert_int_equal(mg_bf16(1 + 0x1p-8f + 0x1p-20f), 0x3f81);
    assert_int_equal(mg_bf16(-1 - 0x1p-8f + 0x1p-20f), 0xbf80);
    assert_int_equal(mg_bf16(0x1.fffffep127f), 0x7f80); // the largest float: infinity is nearer
    float nan;
    memcpy(&nan, &(uint32_t){0xff800001}, sizeof nan);  // its upper half alone would be -infinity
    assert_int_equal(mg_bf16(nan), 0xffc0);
}

static void test_wide(void **state) {
    (void)state;
    double  d[] = {1. / 3, 1e300, -0x1p-149};
    float   x[3];
    int64_t n[] = {1};
    convert(MG_FILE_F64, d, 3, x);
    assert_int_equal(bits(x[0]), 0x3eaaaaab);
    assert_true(isinf(x[1]));
    assert_int_equal(bits(x[2]), 0x80000001);
    mg_file_tensor t = {
        .name = "ids", .dtype = MG_FILE_I64, .dims = 1, .shape = {1}, .count = 1, .data = n};
    assert_int_equal(mg_file_tensor_to_f32(&t, x), MG_MISMATCH);
    assert_non_null(strstr(mg_err_detail(), "ids: dtype I64"));
}

// The whole file, byte for byte: given order, no holes, spaces up to a multiple of 8.
static void test_write(void **state) {
    (void)state;
    const float    f[2] = {1, -10.5f};
    const uint16_t h[1] = {0xbfc0};
    mg_file_tensor tensors[] = {
        {.name = "z", .dtype = MG_FILE_F32, .dims = 2, .shape = {1, 2}, .count = 2, .data = f},
        {.name = "a\"", .dtype = MG_FILE_BF16, .dims = 1, .shape = {1}, .count = 1, .data = h},
        {.name = "e", .dtype = MG_FILE_F32, .dims = 1, .shape = {0}, .count = 0},
    };
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"z\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                         "\"a\\\"\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[8,10]},"
                         "\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[10,10]}}";
    uint64_t length = (strlen(header) + 7) / 8 * 8;
    assert_true(length > strlen(header)); // there is padding to see
    char wanted[512], found[512];
    memset(wanted, ' ', sizeof wanted);
    memcpy(wanted, &length, 8);
    memcpy(wanted + 8, header, strlen(header));
    memcpy(wanted + 8 + length, "\0\0\x80\x3f" "\0\0\x28\xc1" "\xc0\xbf", 10);

    assert_int_equal(mg_safetensors_write(path, tensors, 3), MG_OK);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(found, 1, sizeof found, file), 8 + length + 10);
    fclose(file);
    assert_memory_equal(found, wanted, 8 + length + 10);
    assert_int_not_equal(access(beside, F_OK), 0);
    mg_safetensors *s = opened();
    assert_int_equal(mg_safetensors_find(s, "a\"")->dtype, MG_FILE_BF16);
    mg_safetensors_close(s);
}

// A file-size limit stands for a full disk: write(2) fails in the middle of the data.
static void test_write_no_room(void **state) {
    (void)state;
    static float   data[4096];
    mg_file_tensor t = {
        .name = "w", .dtype = MG_FILE_F32, .dims = 1, .shape = {4096}, .count = 4096, .data = data};
    for (int i = 0; i < 4096; i++) data[i] = 3;
    assert_int_equal(mg_safetensors_write(path, &t, 1), MG_OK);

    struct rlimit old, small = {.rlim_cur = 8000};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 4096; i++) data[i] = 4;
    mg_err err = mg_safetensors_write(path, &t, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);

    assert_int_equal(err, MG_IO);
    assert_non_null(strstr(mg_err_detail(), "a.safetensors: File too large"));
    assert_int_not_equal(access(beside, F_OK), 0);
    mg_safetensors *s = opened(); // the old one, whole
    assert_int_equal(mg_file_tensor_to_f32(mg_safetensors_find(s, "w"), data), MG_OK);
    for (int i = 0; i < 4096; i++) assert_true(data[i] == 3);
    mg_safetensors_close(s);
}

static void test_write_nowhere(void **state) {
    (void)state;
    mg_file_tensor t = {.name = "w", .dtype = MG_FILE_F32, .dims = 1, .shape = {0}};
    assert_int_equal(mg_safetensors_write("/tmp/no such folder/a", &t, 1), MG_IO);
    assert_non_null(strstr(mg_err_detail(), "/tmp/no such folder/a: No such file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),          cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_f16),           cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_wide),          cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_no_room), cmocka_unit_test(test_write_nowhere),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
