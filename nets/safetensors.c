// safetensors.c - reading by mmap, everything checked; writing to one side, then renamed.
//
// The format is Hugging Face's (github.com/huggingface/safetensors, README "Format"). Its numbers
// are little endian, as is every machine this builds for. Names are borrowed from the parsed
// header. A file that somebody cuts short while it is open ends the process (SIGBUS): our own
// writer never does, it renames.
#include "nets/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file's numbers are little endian");

enum { LENGTH_SIZE = 8, ALIGN = 8 }; // bytes

#define METADATA "__metadata__"

struct mg_safetensors {
    char           *path;    // owned
    const char     *map;     // owned mapping of the whole file
    size_t          size;    // bytes
    json_t         *header;  // owned
    mg_file_tensor *tensors; // owned, [count], by name
    int64_t         count;
};

static const struct {
    const char *name;
    int64_t     size; // bytes per number
} DTYPES[] = {
    [MG_FILE_F32] = {"F32", 4}, [MG_FILE_F16] = {"F16", 2}, [MG_FILE_BF16] = {"BF16", 2},
    [MG_FILE_F64] = {"F64", 8}, [MG_FILE_I64] = {"I64", 8},
};
enum { N_DTYPES = sizeof DTYPES / sizeof *DTYPES };

int64_t mg_file_tensor_size(const mg_file_tensor *t) {
    return t->count * DTYPES[t->dtype].size;
}

// --- reading ---------------------------------------------------------------------------------

static mg_err map_file(mg_safetensors *s) {
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe is refused, not waited for
    if (fd < 0) return mg_fail(MG_IO, "open %s: %s", s->path, strerror(errno));
    mg_err      err = MG_OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err = mg_fail(MG_IO, "%s: %s", s->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err = mg_fail(MG_IO, "%s: not a file", s->path);
    } else if (st.st_size < LENGTH_SIZE) {
        err = mg_fail(MG_CORRUPT, "%s: truncated: %lld bytes, wanted at least %d", s->path,
                      (long long)st.st_size, LENGTH_SIZE);
    } else {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            err = mg_fail(MG_IO, "map %s: %s", s->path, strerror(errno));
        } else {
            s->map = map;
            s->size = (size_t)st.st_size;
        }
    }
    close(fd);
    return err;
}

static mg_err parse_header(mg_safetensors *s, size_t *data_at) {
    uint64_t length;
    memcpy(&length, s->map, sizeof length);
    if (length > MG_SAFETENSORS_HEADER_MAX)
        return mg_fail(MG_CORRUPT, "%s: header size %llu, wanted at most %u", s->path,
                       (unsigned long long)length, MG_SAFETENSORS_HEADER_MAX);
    if (length > s->size - LENGTH_SIZE)
        return mg_fail(MG_CORRUPT, "%s: truncated: header size %llu in a file of %zu bytes",
                       s->path, (unsigned long long)length, s->size);
    json_error_t e;
    s->header = json_loadb(s->map + LENGTH_SIZE, length, JSON_REJECT_DUPLICATES, &e);
    if (!s->header) return mg_fail(MG_CORRUPT, "%s: header: JSON: %s", s->path, e.text);
    if (!json_is_object(s->header))
        return mg_fail(MG_CORRUPT, "%s: header: JSON: not an object", s->path);
    *data_at = LENGTH_SIZE + length;
    return MG_OK;
}

static mg_err check_metadata(const mg_safetensors *s, json_t *metadata) {
    const char *key;
    json_t     *value;
    if (!json_is_object(metadata))
        return mg_fail(MG_CORRUPT, "%s: %s is not an object", s->path, METADATA);
    json_object_foreach(metadata, key, value) {
        if (!json_is_string(value))
            return mg_fail(MG_CORRUPT, "%s: %s.%s is not a string", s->path, METADATA, key);
    }
    return MG_OK;
}

static mg_err parse_shape(const mg_safetensors *s, const json_t *shape, mg_file_tensor *t) {
    if (!json_is_array(shape))
        return mg_fail(MG_CORRUPT, "%s: tensor %s: shape is not a list", s->path, t->name);
    if (json_array_size(shape) > MG_SAFETENSORS_DIMS_MAX)
        return mg_fail(MG_CORRUPT, "%s: tensor %s: shape of %zu dimensions, wanted at most %d",
                       s->path, t->name, json_array_size(shape), MG_SAFETENSORS_DIMS_MAX);
    t->dims = (int32_t)json_array_size(shape);
    t->count = 1;
    for (int32_t i = 0; i < t->dims; i++) {
        const json_t *n = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(n);
        if (!json_is_integer(n) || t->shape[i] < 0)
            return mg_fail(MG_CORRUPT, "%s: tensor %s: shape[%d] is not a whole number >= 0",
                           s->path, t->name, i);
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return mg_fail(MG_CORRUPT, "%s: tensor %s: shape overflows", s->path, t->name);
    }
    return MG_OK;
}

static mg_err parse_tensor(const mg_safetensors *s, const char *name, json_t *entry,
                           size_t data_at, mg_file_tensor *t) {
    const char  *dtype;
    json_t      *shape;
    json_int_t   begin, end;
    json_error_t e;
    if (json_unpack_ex(entry, &e, 0, "{s:s, s:o, s:[II!]!}", "dtype", &dtype, "shape", &shape,
                       "data_offsets", &begin, &end) != 0)
        return mg_fail(MG_CORRUPT, "%s: tensor %s: %s", s->path, name, e.text);

    t->name = name;
    int d = 0;
    while (d < N_DTYPES && strcmp(dtype, DTYPES[d].name) != 0) d++;
    if (d == N_DTYPES)
        return mg_fail(MG_CORRUPT, "%s: tensor %s: unknown dtype %s", s->path, name, dtype);
    t->dtype = (mg_file_dtype)d;

    mg_err err = parse_shape(s, shape, t);
    if (err) return err;
    int64_t data_size = (int64_t)(s->size - data_at), wanted;
    if (begin < 0 || end < begin || end > data_size)
        return mg_fail(MG_CORRUPT,
                       "%s: tensor %s: offsets [%lld, %lld] outside the %lld bytes of data",
                       s->path, name, (long long)begin, (long long)end, (long long)data_size);
    if (__builtin_mul_overflow(t->count, DTYPES[d].size, &wanted) || wanted != end - begin)
        return mg_fail(MG_CORRUPT, "%s: tensor %s: %lld bytes for its shape of %lld %s", s->path,
                       name, (long long)(end - begin), (long long)t->count, dtype);
    t->data = s->map + data_at + begin;
    return MG_OK;
}

static int by_place(const void *a, const void *b) {
    const mg_file_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    int64_t m = mg_file_tensor_size(x), n = mg_file_tensor_size(y); // the empty ones come first
    return (m > n) - (m < n);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const mg_file_tensor *)a)->name, ((const mg_file_tensor *)b)->name);
}

// The data are covered exactly: no byte is read twice, none hides.
static mg_err check_cover(mg_safetensors *s, size_t data_at) {
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_place);
    const char *at = s->map + data_at;
    for (int64_t i = 0; i < s->count; i++) {
        const mg_file_tensor *t = &s->tensors[i];
        const char           *begin = t->data;
        if (begin < at)
            return mg_fail(MG_CORRUPT, "%s: tensor %s: overlap with tensor %s", s->path, t->name,
                           s->tensors[i - 1].name);
        if (begin > at)
            return mg_fail(MG_CORRUPT, "%s: a hole of %td bytes before tensor %s", s->path,
                           begin - at, t->name);
        at = begin + mg_file_tensor_size(t);
    }
    if (at != s->map + s->size)
        return mg_fail(MG_CORRUPT, "%s: a hole of %td bytes after the last tensor", s->path,
                       s->map + s->size - at);
    return MG_OK;
}

static mg_err parse(mg_safetensors *s) {
    size_t data_at = 0;
    mg_err err = parse_header(s, &data_at);
    if (err) return err;
    s->tensors = calloc(json_object_size(s->header) + 1, sizeof *s->tensors);
    if (!s->tensors) return mg_fail(MG_NOMEM, "%s: header", s->path);

    const char *name;
    json_t     *entry;
    json_object_foreach(s->header, name, entry) {
        if (strcmp(name, METADATA) == 0) {
            err = check_metadata(s, entry);
        } else {
            err = parse_tensor(s, name, entry, data_at, &s->tensors[s->count]);
            if (!err) s->count++;
        }
        if (err) return err;
    }
    err = check_cover(s, data_at);
    if (!err) qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_name);
    return err;
}

mg_err mg_safetensors_open(mg_safetensors **out, const char *path) {
    mg_safetensors *s = calloc(1, sizeof *s);
    if (!s) return mg_fail(MG_NOMEM, "open %s", path);
    s->path = strdup(path);
    mg_err err = s->path ? map_file(s) : mg_fail(MG_NOMEM, "open %s", path);
    if (!err) err = parse(s);
    if (err) {
        mg_safetensors_close(s);
        return err;
    }
    *out = s;
    return MG_OK;
}

void mg_safetensors_close(mg_safetensors *s) {
    if (!s) return;
    if (s->map) munmap((void *)s->map, s->size);
    json_decref(s->header);
    free(s->tensors);
    free(s->path);
    free(s);
}

int64_t mg_safetensors_count(const mg_safetensors *s) { return s->count; }

const mg_file_tensor *mg_safetensors_at(const mg_safetensors *s, int64_t i) {
    MG_ASSERT(i >= 0 && i < s->count);
    return &s->tensors[i];
}

const mg_file_tensor *mg_safetensors_find(const mg_safetensors *s, const char *name) {
    mg_file_tensor key = {.name = name};
    return bsearch(&key, s->tensors, (size_t)s->count, sizeof key, by_name);
}

const char *mg_safetensors_path(const mg_safetensors *s) { return s->path; }

// --- numbers ---------------------------------------------------------------------------------

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// IEEE 754 binary16. Exponent and fraction are moved to their places in binary32; the product with
// 2^(127-15) corrects the bias and makes subnormals normal. All exact; 31 stays Inf or NaN.
static float float_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13;
    uint32_t bits = rest >= 0x7c00u << 13 ? rest | 0x7f800000u
                                          : bits_of_float(float_of_bits(rest) * 0x1p112f);
    return float_of_bits(sign | bits);
}

uint16_t mg_bf16(float x) {
    uint32_t bits = bits_of_float(x);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40u); // quiet: the payload's upper bits may be 0
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

mg_err mg_file_tensor_to_f32(const mg_file_tensor *t, float *out) {
    const char *data = t->data;
    switch (t->dtype) {
    case MG_FILE_F32:
        if (t->count) memcpy(out, data, (size_t)t->count * sizeof *out);
        return MG_OK;
    case MG_FILE_F16:
        for (int64_t i = 0; i < t->count; i++) {
            uint16_t h;
            memcpy(&h, data + 2 * i, sizeof h);
            out[i] = float_of_f16(h);
        }
        return MG_OK;
    case MG_FILE_BF16:
        for (int64_t i = 0; i < t->count; i++) {
            uint16_t h;
            memcpy(&h, data + 2 * i, sizeof h);
            out[i] = float_of_bits((uint32_t)h << 16);
        }
        return MG_OK;
    case MG_FILE_F64:
        for (int64_t i = 0; i < t->count; i++) {
            double x;
            memcpy(&x, data + 8 * i, sizeof x);
            out[i] = (float)x;
        }
        return MG_OK;
    case MG_FILE_I64: break;
    }
    return mg_fail(MG_MISMATCH, "tensor %s: dtype %s, wanted a floating one", t->name,
                   DTYPES[t->dtype].name);
}

// --- writing ---------------------------------------------------------------------------------

static json_t *describe(const mg_file_tensor *t, int64_t begin) {
    json_t *shape = json_array();
    int64_t count = 1;
    for (int32_t i = 0; i < t->dims; i++) {
        json_array_append_new(shape, json_integer(t->shape[i]));
        count *= t->shape[i];
    }
    MG_ASSERT(count == t->count);
    int64_t end = begin + mg_file_tensor_size(t);
    return json_pack("{s:s, s:o, s:[II]}", "dtype", DTYPES[t->dtype].name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

// Length and header, padded with spaces so that the data start at a multiple of 8. Older versions
// of transformers refuse a file without "format". NULL: no memory.
static char *header_make(const mg_file_tensor *tensors, int64_t n, size_t *size) {
    json_t *header = json_pack("{s:{s:s}}", METADATA, "format", "pt");
    int64_t begin = 0;
    for (int64_t i = 0; i < n; i++) {
        MG_ASSERT(!json_object_get(header, tensors[i].name));
        json_object_set_new(header, tensors[i].name, describe(&tensors[i], begin));
        begin += mg_file_tensor_size(&tensors[i]);
    }
    bool   whole = json_object_size(header) == (size_t)n + 1;
    char  *text = whole ? json_dumps(header, JSON_COMPACT) : NULL, *bytes = NULL;
    json_decref(header);
    if (text) {
        uint64_t length = (strlen(text) + ALIGN - 1) / ALIGN * ALIGN;
        *size = LENGTH_SIZE + length;
        bytes = malloc(*size);
        if (bytes) {
            memset(bytes, ' ', *size);
            memcpy(bytes, &length, LENGTH_SIZE);
            memcpy(bytes + LENGTH_SIZE, text, strlen(text));
        }
        free(text);
    }
    return bytes;
}

static bool write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static bool write_beside(const char *path, const char *beside, const char *header, size_t size,
                         const mg_file_tensor *tensors, int64_t n) {
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool done = write_all(fd, header, size);
    for (int64_t i = 0; i < n && done; i++)
        done = write_all(fd, tensors[i].data, (size_t)mg_file_tensor_size(&tensors[i]));
    done = done && fsync(fd) == 0;
    int cause = errno;
    if (close(fd) != 0 && done) {
        done = false;
        cause = errno;
    }
    if (done && rename(beside, path) != 0) {
        done = false;
        cause = errno;
    }
    if (!done) unlink(beside);
    errno = cause;
    return done;
}

mg_err mg_safetensors_write(const char *path, const mg_file_tensor *tensors, int64_t n) {
    size_t size = 0;
    char  *header = header_make(tensors, n, &size), *beside = NULL;
    if (!header || asprintf(&beside, "%s.tmp", path) < 0) {
        free(header);
        return mg_fail(MG_NOMEM, "write %s: header", path);
    }
    mg_err err = MG_OK;
    if (!write_beside(path, beside, header, size, tensors, n))
        err = mg_fail(MG_IO, "write %s: %s", path, strerror(errno));
    free(header);
    free(beside);
    return err;
}
