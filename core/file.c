// file.c - reading whole files, writing them atomically.
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

mg_err mg_file_read(const char *path, size_t size_max, mg_arena *arena, char **data,
                    size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) return mg_fail(MG_IO, "open %s: %s", path, strerror(errno));
    mg_err      err  = MG_OK;
    char       *text = NULL;
    struct stat st;
    if (fstat(fileno(f), &st) != 0)
        err = mg_fail(MG_IO, "stat %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err = mg_fail(MG_IO, "read %s: found %s, wanted a file", path,
                      S_ISDIR(st.st_mode) ? "a folder" : "a pipe or device");
    else if ((size_t)st.st_size > size_max)
        err = mg_fail(MG_LIMIT, "read %s: found %zu bytes, wanted at most %zu", path,
                      (size_t)st.st_size, size_max);
    const size_t mark = mg_arena_mark(arena);
    if (!err) {
        text = mg_arena_alloc_raw(arena, (size_t)st.st_size + 1);
        const size_t n = fread(text, 1, (size_t)st.st_size, f);
        if (ferror(f))
            err = mg_fail(MG_IO, "read %s: %s", path, strerror(errno));
        else if (n != (size_t)st.st_size)
            err = mg_fail(MG_IO, "read %s: found %zu of its %zu bytes", path, n,
                          (size_t)st.st_size);
    }
    fclose(f);
    if (err) {
        mg_arena_reset(arena, mark);
        return err;
    }
    text[st.st_size] = 0;
    *data            = text;
    *size            = (size_t)st.st_size;
    return MG_OK;
}

static mg_err write_all(int fd, const char *path, const char *data, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mg_fail(MG_IO, "write %s: %s", path, strerror(errno));
        data += n, size -= (size_t)n;
    }
    if (fsync(fd) != 0) return mg_fail(MG_IO, "flush %s: %s", path, strerror(errno));
    return MG_OK;
}

mg_err mg_file_write(const char *path, const void *data, size_t size) {
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return mg_fail(MG_IO, "create %s.tmp: %s", path, strerror(ENAMETOOLONG));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return mg_fail(MG_IO, "create %s: %s", temporary, strerror(errno));
    mg_err err = write_all(fd, temporary, data, size);
    if (close(fd) != 0 && !err) err = mg_fail(MG_IO, "close %s: %s", temporary, strerror(errno));
    if (!err && rename(temporary, path) != 0)
        err = mg_fail(MG_IO, "rename %s to %s: %s", temporary, path, strerror(errno));
    if (err) unlink(temporary);
    return err;
}

mg_err mg_folder_make(const char *path) {
    char part[PATH_MAX];
    if (!path[0] || strlen(path) >= sizeof part)
        return mg_fail(MG_IO, "make folder '%s': %s", path,
                       strerror(path[0] ? ENAMETOOLONG : ENOENT));
    for (size_t i = 1; path[i - 1]; i++) {
        if (path[i] && path[i] != '/') continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return mg_fail(MG_IO, "make folder %s: %s", part, strerror(errno));
    }
    struct stat st; // the last part may have been there as something else
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return mg_fail(MG_IO, "make folder %s: %s", path, strerror(ENOTDIR));
    return MG_OK;
}

mg_err mg_parent_make(const char *path) {
    char        parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return MG_OK;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    return mg_folder_make(parent);
}

mg_err mg_folder_sync(const char *path) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return mg_fail(MG_IO, "open folder %s: %s", path, strerror(errno));
    // A file system that cannot do this for a folder (EINVAL) does it by itself.
    const int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return failed ? mg_fail(MG_IO, "flush folder %s: %s", path, strerror(failed)) : MG_OK;
}

bool mg_file_exists(const char *path) { return access(path, F_OK) == 0; }

char *mg_path(mg_arena *arena, const char *fmt, ...) {
    MG_ASSERT(fmt); // without this gcc 12 with -fsanitize=undefined foresees a NULL
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    MG_ASSERT(n >= 0);
    char *out = mg_arena_alloc_raw(arena, (size_t)n + 1);
    vsnprintf(out, (size_t)n + 1, fmt, again);
    va_end(again);
    return out;
}

char *mg_hex(mg_arena *arena, const uint8_t *bytes, size_t n) {
    char *out = mg_arena_alloc(arena, 2 * n + 1);
    for (size_t i = 0; i < n; i++) sprintf(out + 2 * i, "%02x", bytes[i]);
    return out;
}
