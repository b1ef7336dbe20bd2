// tensorboard.c - TFRecord frames around hand-written Event messages.
#include "train/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

// Fields of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto, as the
// byte that a field starts with: its number << 3 | its kind on the wire.
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum {
    EVENT_WALL_TIME    = 1 << 3 | WIRE_64,     // double, seconds
    EVENT_STEP         = 2 << 3 | WIRE_VARINT, // int64
    EVENT_FILE_VERSION = 3 << 3 | WIRE_BYTES,
    EVENT_SUMMARY      = 5 << 3 | WIRE_BYTES,
    SUMMARY_VALUE      = 1 << 3 | WIRE_BYTES,
    VALUE_TAG          = 1 << 3 | WIRE_BYTES,
    VALUE_SIMPLE       = 2 << 3 | WIRE_32,     // float
};

#define MESSAGE_MAX (MG_EVENTS_TAG_MAX + 64)

// Bytes of a message under construction. Numbers are little-endian, as on this machine.
typedef struct message {
    uint8_t bytes[MESSAGE_MAX];
    size_t  size;
} message;

struct mg_events {
    FILE *file; // owned
    char  path[4096];
};

// Reflected polynomial of CRC-32C. Bit by bit: a record has some 60 bytes.
uint32_t mg_crc32c(const void *bytes, size_t size) {
    const uint8_t *p   = bytes;
    uint32_t       crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

// The rotation and the constant are TFRecord's (tensorflow/core/lib/hash/crc32c.h): the checksum of
// bytes that hold a checksum would else be weak.
static uint32_t masked(const void *bytes, size_t size) {
    const uint32_t crc = mg_crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void put(message *m, const void *bytes, size_t size) {
    MG_ASSERT(size <= sizeof m->bytes - m->size);
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void put_byte(message *m, uint8_t byte) { put(m, &byte, 1); }

static void put_varint(message *m, uint64_t x) {
    for (; x >= 0x80; x >>= 7) put_byte(m, (uint8_t)(x | 0x80));
    put_byte(m, (uint8_t)x);
}

static void put_bytes_field(message *m, uint8_t start, const void *bytes, size_t size) {
    put_byte(m, start);
    put_varint(m, size);
    put(m, bytes, size);
}

static message event_at(double wall_time) {
    message m = {.size = 0};
    put_byte(&m, EVENT_WALL_TIME);
    put(&m, &wall_time, sizeof wall_time);
    return m;
}

static mg_err fail_write(const mg_events *e) {
    return mg_fail(MG_IO, "write %s: %s", e->path, strerror(errno));
}

// A record: length, its checksum, the message, its checksum.
static mg_err write_record(mg_events *e, const message *m) {
    uint8_t        record[MESSAGE_MAX + 16];
    const uint64_t length       = m->size;
    const uint32_t length_check = masked(&length, sizeof length);
    const uint32_t check        = masked(m->bytes, m->size);
    memcpy(record, &length, 8);
    memcpy(record + 8, &length_check, 4);
    memcpy(record + 12, m->bytes, m->size);
    memcpy(record + 12 + m->size, &check, 4);
    return fwrite(record, 16 + m->size, 1, e->file) == 1 ? MG_OK : fail_write(e);
}

// A file that nobody has: the first free name of the second.
static mg_err make_file(mg_events *e, const char *folder, long long seconds) {
    int fd = -1;
    for (int i = 0; i < MG_EVENTS_FILES_MAX && fd < 0; i++) {
        char ordinal[16] = "";
        if (i > 0) snprintf(ordinal, sizeof ordinal, ".%d", i);
        int n = snprintf(e->path, sizeof e->path, "%s/events.out.tfevents.%lld.martingale%s",
                         folder, seconds, ordinal);
        if (n >= (int)sizeof e->path) return mg_fail(MG_LIMIT, "%s: the path is too long", folder);
        fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    if (fd < 0) return mg_fail(MG_IO, "create %s: %s", e->path, strerror(errno));
    e->file = fdopen(fd, "wb");
    if (e->file) return MG_OK;
    close(fd);
    return mg_fail(MG_NOMEM, "%s: a stream", e->path);
}

mg_err mg_events_open(mg_events **out, const char *folder, double wall_time) {
    static const char version[] = "brain.Event:2";
    mg_events        *e         = calloc(1, sizeof *e);
    if (!e) return mg_fail(MG_NOMEM, "events: %zu bytes", sizeof *e);
    mg_err err = make_file(e, folder, (long long)wall_time);
    if (!err) {
        message m = event_at(wall_time);
        put_bytes_field(&m, EVENT_FILE_VERSION, version, sizeof version - 1);
        err = write_record(e, &m);
    }
    if (err)
        mg_events_close(e);
    else
        *out = e;
    return err;
}

mg_err mg_events_scalar(mg_events *e, int64_t step, double wall_time, const char *tag,
                        double value) {
    message     point = {.size = 0}, summary = {.size = 0}, m = event_at(wall_time);
    const float simple = (float)value;
    if (strlen(tag) > MG_EVENTS_TAG_MAX)
        return mg_fail(MG_LIMIT, "%s: the tag '%.40s...' is longer than %d bytes", e->path, tag,
                       MG_EVENTS_TAG_MAX);
    put_bytes_field(&point, VALUE_TAG, tag, strlen(tag));
    put_byte(&point, VALUE_SIMPLE);
    put(&point, &simple, sizeof simple);
    put_bytes_field(&summary, SUMMARY_VALUE, point.bytes, point.size);
    put_byte(&m, EVENT_STEP);
    put_varint(&m, (uint64_t)step);
    put_bytes_field(&m, EVENT_SUMMARY, summary.bytes, summary.size);
    return write_record(e, &m);
}

mg_err mg_events_flush(mg_events *e) { return fflush(e->file) == 0 ? MG_OK : fail_write(e); }

void mg_events_close(mg_events *e) {
    if (!e) return;
    if (e->file) fclose(e->file);
    free(e);
}
