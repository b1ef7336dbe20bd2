// replay.c - the ring: one page of header, the rows, the chain's heads.
//
// Heads lie apart from the rows, so that a sample touches rows only; a row starts at a cache line. There
// is one slot more than the window and its margin: the head before the oldest row is there as well.
//
// libcrypto's own functions for this one hash, as in chain.c.
#define OPENSSL_API_COMPAT 0x10100000L
#include "store/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC       "mgreplay"
#define VERSION     1
#define ORDER       0x01020304 // as this build writes it
#define HEADER_SIZE 4096
#define LINE        64 // bytes of a cache line

typedef struct header {
    char            magic[8];
    uint32_t        order, version;
    mg_replay_shape shape;
    // A slot holds row k until row k + slots is begun: rows [highest - slots, highest) are there or, from
    // `rows` on, left over from before a rewind.
    int64_t rows, highest; // added; the most there ever were
} header;

struct mg_replay {
    const char *path; // owned
    int         fd;   // owned
    char       *map;  // owned, [size]
    size_t      size;
    header     *head;
    char       *row;         // [slots * stride] bytes
    uint8_t   (*chain)[32];  // [slots]: row k's is h_{k+1}
    int64_t     slots, width, stride; // width: numbers of a row; stride: bytes from row to row
    uint8_t     start[32];   // h_0
};

static void layout(mg_replay *r, const mg_replay_shape *s) {
    r->slots  = s->capacity + s->margin + 1;
    r->width  = 2 * s->obs + s->act + 2;
    r->stride = (r->width * (int64_t)sizeof(float) + LINE - 1) / LINE * LINE;
    r->size   = HEADER_SIZE + (size_t)r->slots * (size_t)(r->stride + 32);
    SHA256_CTX c;
    SHA256_Init(&c);
    SHA256_Update(&c, "mg replay 1", 11);
    SHA256_Update(&c, &s->obs, sizeof s->obs);
    SHA256_Update(&c, &s->act, sizeof s->act);
    SHA256_Final(r->start, &c);
}

static float *row_at(const mg_replay *r, int64_t k) { return (float *)(r->row + k % r->slots * r->stride); }

// h_k, over rows 0 .. k-1.
static const uint8_t *head_at(const mg_replay *r, int64_t k) {
    return k == 0 ? r->start : r->chain[(k - 1) % r->slots];
}

static void join(const mg_replay *r, const uint8_t before[32], const float *row, uint8_t after[32]) {
    SHA256_CTX c;
    SHA256_Init(&c);
    SHA256_Update(&c, before, 32);
    SHA256_Update(&c, row, sizeof *row * (size_t)r->width);
    SHA256_Final(after, &c);
}

// ---- The file

static mg_err lock(const mg_replay *r) {
    if (flock(r->fd, LOCK_EX | LOCK_NB) == 0) return MG_OK;
    return errno == EWOULDBLOCK ? mg_fail(MG_BUSY, "%s: another process has it open", r->path)
                                : mg_fail(MG_IO, "lock %s: %s", r->path, strerror(errno));
}

// posix_fallocate takes a signal for an answer.
static mg_err reserve(const mg_replay *r, const char *path) {
    int failed;
    do failed = posix_fallocate(r->fd, 0, (off_t)r->size);
    while (failed == EINTR);
    return failed ? mg_fail(MG_IO, "reserve %zu bytes for %s: %s", r->size, path, strerror(failed)) : MG_OK;
}

// Made beside its place and moved there when it is whole.
static mg_err create(mg_replay *r, const mg_replay_shape *shape) {
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", r->path) >= (int)sizeof temporary)
        return mg_fail(MG_IO, "create %s.tmp: %s", r->path, strerror(ENAMETOOLONG));
    r->fd = open(temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->fd < 0) return mg_fail(MG_IO, "create %s: %s", temporary, strerror(errno));
    const header h   = {.magic = MAGIC, .order = ORDER, .version = VERSION, .shape = *shape};
    mg_err       err = lock(r);
    if (err) return err;
    if (ftruncate(r->fd, 0) != 0) err = mg_fail(MG_IO, "empty %s: %s", temporary, strerror(errno));
    if (!err) err = reserve(r, temporary);
    if (!err && pwrite(r->fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        err = mg_fail(MG_IO, "write %s: %s", temporary, strerror(errno));
    if (!err && fsync(r->fd) != 0) err = mg_fail(MG_IO, "flush %s: %s", temporary, strerror(errno));
    if (!err && rename(temporary, r->path) != 0)
        err = mg_fail(MG_IO, "rename %s to %s: %s", temporary, r->path, strerror(errno));
    if (err) unlink(temporary);
    return err;
}

// The header, if it is this build's.
static mg_err read_header(int fd, const char *path, header *h) {
    struct stat st;
    *h = (header){0};
    if (fstat(fd, &st) != 0) return mg_fail(MG_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return mg_fail(MG_IO, "open %s: wanted a file", path);
    if (pread(fd, h, sizeof *h, 0) < 0) return mg_fail(MG_IO, "read %s: %s", path, strerror(errno));
    if (memcmp(h->magic, MAGIC, sizeof h->magic) != 0)
        return mg_fail(MG_CORRUPT, "%s: not the file of a replay buffer", path);
    if (h->order != ORDER)
        return mg_fail(MG_CORRUPT, "%s: found byte order %08x, wanted this machine's, %08x", path, h->order, ORDER);
    if (h->version != VERSION)
        return mg_fail(MG_CORRUPT, "%s: found version %u, wanted %d", path, h->version, VERSION);
    return MG_OK;
}

mg_err mg_replay_shape_read(const char *path, mg_replay_shape *out) {
    header    h;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    mg_err err = read_header(fd, path, &h);
    close(fd);
    if (!err) *out = h.shape;
    return err;
}

// Is the file this build's, of this shape, and whole?
static mg_err check(const mg_replay *r, const mg_replay_shape *want) {
    header      h;
    struct stat st;
    mg_err      err = read_header(r->fd, r->path, &h);
    if (err) return err;
    if (fstat(r->fd, &st) != 0) return mg_fail(MG_IO, "stat %s: %s", r->path, strerror(errno));
    if (memcmp(&h.shape, want, sizeof *want) != 0)
        return mg_fail(MG_MISMATCH, "%s: found obs %lld, act %lld, capacity %lld, margin %lld, wanted obs %lld, "
                                    "act %lld, capacity %lld, margin %lld", r->path, (long long)h.shape.obs,
                       (long long)h.shape.act, (long long)h.shape.capacity, (long long)h.shape.margin,
                       (long long)want->obs, (long long)want->act, (long long)want->capacity,
                       (long long)want->margin);
    if (st.st_size != (off_t)r->size)
        return mg_fail(MG_CORRUPT, "%s: found %lld bytes, wanted %zu", r->path, (long long)st.st_size, r->size);
    if (h.rows < 0 || h.rows > h.highest)
        return mg_fail(MG_CORRUPT, "%s: found %lld rows, wanted 0..%lld", r->path, (long long)h.rows,
                       (long long)h.highest);
    return MG_OK;
}

static mg_err open_file(mg_replay *r, const mg_replay_shape *shape) {
    r->fd = open(r->path, O_RDWR | O_CLOEXEC);
    if (r->fd < 0 && errno == ENOENT) return create(r, shape);
    if (r->fd < 0) return mg_fail(MG_IO, "open %s: %s", r->path, strerror(errno));
    mg_err err = lock(r);
    if (!err) err = check(r, shape);
    return err ? err : reserve(r, r->path); // a copy may have lost its reserved blocks
}

static mg_err check_shape(const char *path, const mg_replay_shape *s) {
    if (s->obs < 1 || s->obs > MG_REPLAY_WIDTH_MAX || s->act < 1 || s->act > MG_REPLAY_WIDTH_MAX)
        return mg_fail(MG_LIMIT, "%s: found obs %lld, act %lld, wanted 1..%d each", path, (long long)s->obs,
                       (long long)s->act, MG_REPLAY_WIDTH_MAX);
    if (s->capacity < 1 || s->margin < 0 || s->capacity > MG_REPLAY_ROWS_MAX ||
        s->margin > MG_REPLAY_ROWS_MAX - s->capacity)
        return mg_fail(MG_LIMIT, "%s: found capacity %lld and margin %lld, wanted 1 or more and 0 or more, "
                                 "together at most %lld", path, (long long)s->capacity, (long long)s->margin,
                       (long long)MG_REPLAY_ROWS_MAX);
    return MG_OK;
}

mg_err mg_replay_open(mg_replay **out, const char *path, const mg_replay_shape *shape) {
    mg_err err = check_shape(path, shape);
    if (err) return err;
    mg_replay *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return mg_fail(MG_NOMEM, "%s: a replay buffer", path);
    }
    layout(r, shape);
    err = open_file(r, shape);
    if (!err) {
        r->map = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
        if (r->map == MAP_FAILED) {
            r->map = NULL;
            err    = mg_fail(MG_NOMEM, "map %zu bytes of %s: %s", r->size, path, strerror(errno));
        }
    }
    if (err) {
        mg_replay_close(r);
        return err;
    }
    r->head  = (header *)r->map;
    r->row   = r->map + HEADER_SIZE;
    r->chain = (uint8_t(*)[32])(r->row + r->slots * r->stride);
    *out     = r;
    return MG_OK;
}

void mg_replay_close(mg_replay *r) {
    if (!r) return;
    if (r->map) munmap(r->map, r->size);
    if (r->fd >= 0) close(r->fd);
    free((char *)r->path);
    free(r);
}

mg_err mg_replay_sync(mg_replay *r) {
    if (msync(r->map, r->size, MS_SYNC) == 0) return MG_OK;
    return mg_fail(MG_IO, "flush %s: %s", r->path, strerror(errno));
}

// ---- What is in it

static int64_t low_of(const mg_replay *r, int64_t rows) {
    return rows > r->head->shape.capacity ? rows - r->head->shape.capacity : 0;
}

int64_t mg_replay_rows(const mg_replay *r) { return r->head->rows; }
int64_t mg_replay_low(const mg_replay *r) { return low_of(r, r->head->rows); }
void    mg_replay_head(const mg_replay *r, uint8_t head[32]) { memcpy(head, head_at(r, r->head->rows), 32); }

mg_fed_replay mg_replay_fed(const mg_replay *r, uint64_t key) {
    mg_fed_replay fed = {.low = mg_replay_low(r), .high = r->head->rows, .key = key};
    mg_replay_head(r, fed.hash);
    return fed;
}

static mg_err verify(const mg_replay *r, int64_t rows) {
    for (int64_t k = low_of(r, rows); k < rows; k++) {
        uint8_t after[32];
        join(r, head_at(r, k), row_at(r, k), after);
        if (memcmp(after, head_at(r, k + 1), 32) != 0)
            return mg_fail(MG_CORRUPT, "%s: row %lld is not the one that was added", r->path, (long long)k);
    }
    return MG_OK;
}

mg_err mg_replay_verify(const mg_replay *r) { return verify(r, r->head->rows); }

mg_err mg_replay_rewind(mg_replay *r, int64_t rows, const uint8_t *head) {
    const header *h = r->head;
    if (rows < 0 || rows > h->rows)
        return mg_fail(MG_MISMATCH, "%s: found %lld rows, wanted at least the %lld to go back to", r->path,
                       (long long)h->rows, (long long)rows);
    if (rows < h->highest - h->shape.margin && h->highest > r->slots - 1)
        return mg_fail(MG_LIMIT, "%s: found %lld rows behind the %lld to go back to, wanted at most %lld: its margin",
                       r->path, (long long)(h->highest - rows), (long long)rows, (long long)h->shape.margin);
    if (head && memcmp(head, head_at(r, rows), 32) != 0)
        return mg_fail(MG_MISMATCH, "%s: found other rows before row %lld than those of the run that goes on",
                       r->path, (long long)rows);
    mg_err err = verify(r, rows);
    if (!err) __atomic_store_n(&r->head->rows, rows, __ATOMIC_RELEASE);
    return err;
}

// ---- Adding

// The place of the first of n numbers that is not finite; n: none.
static int64_t not_finite(const float *x, int64_t n) {
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(x[k])) return k;
    return n;
}

static mg_err check_rows(const mg_replay *r, const mg_transitions *t) {
    const mg_replay_shape *s = &r->head->shape;
    if (t->obs != s->obs || t->act != s->act)
        return mg_fail(MG_MISMATCH, "%s: found rows of obs %lld, act %lld, wanted %lld, %lld", r->path,
                       (long long)t->obs, (long long)t->act, (long long)s->obs, (long long)s->act);
    const struct { const char *name; const float *x; int64_t width; } fields[] = {
        {"observation", t->observation, t->obs}, {"action", t->action, t->act}, {"reward", t->reward, 1},
        {"next", t->next, t->obs}};
    for (int f = 0; f < 4; f++) {
        const int64_t k = not_finite(fields[f].x, t->n * fields[f].width);
        if (k < t->n * fields[f].width)
            return mg_fail(MG_NUMERIC, "%s: row %lld to be added: %s: found %g, wanted finite numbers", r->path,
                           (long long)(k / fields[f].width), fields[f].name, (double)fields[f].x[k]);
    }
    for (int64_t k = 0; k < t->n; k++)
        if (t->terminal[k] > 1)
            return mg_fail(MG_NUMERIC, "%s: row %lld to be added: terminal: found %d, wanted 0 or 1", r->path,
                           (long long)k, t->terminal[k]);
    return MG_OK;
}

mg_err mg_replay_add(mg_replay *r, const mg_transitions *t) {
    mg_err err = check_rows(r, t);
    if (err) return err;
    const int64_t obs = t->obs, act = t->act;
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t k = r->head->rows;
        // In this order: wherever the process dies, no row counts that is not whole.
        if (r->head->highest <= k) __atomic_store_n(&r->head->highest, k + 1, __ATOMIC_RELEASE);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        float *row = row_at(r, k);
        memcpy(row, t->observation + i * obs, sizeof *row * (size_t)obs);
        memcpy(row + obs, t->action + i * act, sizeof *row * (size_t)act);
        row[obs + act] = t->reward[i];
        memcpy(row + obs + act + 1, t->next + i * obs, sizeof *row * (size_t)obs);
        row[2 * obs + act + 1] = t->terminal[i];
        join(r, head_at(r, k), row, r->chain[k % r->slots]);
        __atomic_store_n(&r->head->rows, k + 1, __ATOMIC_RELEASE);
    }
    return MG_OK;
}

// ---- Sampling

#define AHEAD     32 // rows whose memory is asked for before they are copied
#define LINES_MAX 16 // of a row that are asked for; the processor fetches on

static void copy(const float *row, mg_transitions *to, int64_t j) {
    const int64_t obs = to->obs, act = to->act;
    memcpy(to->observation + j * obs, row, sizeof *row * (size_t)obs);
    memcpy(to->action + j * act, row + obs, sizeof *row * (size_t)act);
    to->reward[j] = row[obs + act];
    memcpy(to->next + j * obs, row + obs + act + 1, sizeof *row * (size_t)obs);
    to->terminal[j] = row[2 * obs + act + 1] != 0;
}

void mg_replay_sample(const mg_replay *r, mg_rng *rng, mg_transitions *batch) {
    const int64_t low = mg_replay_low(r), n = r->head->rows - low;
    MG_ASSERT(n > 0 && batch->obs == r->head->shape.obs && batch->act == r->head->shape.act);
    const int64_t lines = r->stride / LINE < LINES_MAX ? r->stride / LINE : LINES_MAX;
    const float  *at[AHEAD];
    for (int64_t from = 0; from < batch->n; from += AHEAD) {
        const int64_t some = batch->n - from < AHEAD ? batch->n - from : AHEAD;
        for (int64_t j = 0; j < some; j++) {
            at[j] = row_at(r, low + (int64_t)mg_rng_below(rng, (uint64_t)n));
            for (int64_t k = 0; k < lines; k++) __builtin_prefetch((const char *)at[j] + k * LINE);
        }
        for (int64_t j = 0; j < some; j++) copy(at[j], batch, from + j);
    }
}

void mg_replay_read(const mg_replay *r, int64_t from, mg_transitions *out) {
    MG_ASSERT(from >= mg_replay_low(r) && out->n >= 0 && from <= r->head->rows - out->n);
    MG_ASSERT(out->obs == r->head->shape.obs && out->act == r->head->shape.act);
    for (int64_t j = 0; j < out->n; j++) copy(row_at(r, from + j), out, j);
}
