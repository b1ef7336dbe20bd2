// replay.c - STAND-IN until the real one is merged.
#include "store/replay.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
struct mg_replay {
    int64_t capacity, observations, actions, stride, *written, spare;
    float  *rows;
    size_t  size;
    void   *base;
};
mg_err mg_replay_open(mg_replay **out, const char *path, int64_t capacity, int64_t observations, int64_t actions) {
    mg_replay *r = calloc(1, sizeof *r);
    r->spare = 100000, r->capacity = capacity, r->observations = observations, r->actions = actions;
    r->stride = 2 * observations + actions + 3;
    r->size = 64 + (size_t)((capacity + r->spare) * r->stride) * 4;
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0 || ftruncate(fd, (off_t)r->size)) return mg_fail(MG_IO, "%s", path);
    r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    r->written = r->base, r->rows = (float *)r->base + 16;
    *out = r;
    return MG_OK;
}
void mg_replay_close(mg_replay *r) {
    if (r) munmap(r->base, r->size);
    free(r);
}
static float *at(const mg_replay *r, int64_t i) { return r->rows + (i % (r->capacity + r->spare)) * r->stride; }
void mg_replay_append(mg_replay *r, const mg_transition_row *x) {
    float *to = at(r, *r->written);
    memcpy(to, x->observation, sizeof(float) * (size_t)r->observations), to += r->observations;
    memcpy(to, x->action, sizeof(float) * (size_t)r->actions), to += r->actions;
    memcpy(to, x->next, sizeof(float) * (size_t)r->observations), to += r->observations;
    to[0] = x->reward, to[1] = x->terminated, to[2] = x->truncated;
    ++*r->written;
}
int64_t mg_replay_rows(const mg_replay *r) { return *r->written < r->capacity ? *r->written : r->capacity; }
int64_t mg_replay_written(const mg_replay *r) { return *r->written; }
mg_transition_row mg_replay_row(const mg_replay *r, int64_t i) {
    mg_transitions t = {.observations = r->observations, .actions = r->actions,
                        .rows = at(r, *r->written - mg_replay_rows(r) + i)};
    return mg_transitions_row(&t, 0);
}
mg_err mg_replay_rewind(mg_replay *r, int64_t written) {
    *r->written = written;
    return MG_OK;
}
