// bench_folder.c - a temporary folder, and its end.
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/bench.h"

mg_err mg_bench_folder_make(char folder[MG_BENCH_FOLDER_MAX]) {
    const char *in   = getenv("TMPDIR");
    const int   size = snprintf(folder, MG_BENCH_FOLDER_MAX, "%s/martingale-bench-XXXXXX", in && *in ? in : "/tmp");
    if (size < MG_BENCH_FOLDER_MAX && mkdtemp(folder)) return MG_OK;
    const mg_err err = size < MG_BENCH_FOLDER_MAX ? mg_fail(MG_IO, "bench: make %s: %m", folder)
                                                  : mg_fail(MG_LIMIT, "bench: TMPDIR has %d bytes", size);
    folder[0] = 0;
    return err;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void mg_bench_folder_remove(char folder[MG_BENCH_FOLDER_MAX]) {
    if (folder[0]) nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    folder[0] = 0;
}
