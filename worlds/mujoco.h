// mujoco.h - MuJoCo's C library, loaded on first use, so that who needs no robot needs no MuJoCo.
//
// Todorov, Erez & Tassa 2012, "MuJoCo: a physics engine for model-based control". Version 4.0.0 out of its
// published wheel, the very binary that Gymnasium runs on; tools/mujoco.sh fetches it. Structs are read
// through the wheel's own headers (mujoco.c, robots.c): without them at build time nothing is loaded.
//
// MuJoCo's default is to end the process on an error and to write MUJOCO_LOG.TXT on a warning. Here an error
// inside mg_mujoco_try is an mg_err, and warnings are silent: mjData counts them, and robots.c looks. The
// log handler, one in a process, is ours from the first open on.
#ifndef MG_WORLDS_MUJOCO_H
#define MG_WORLDS_MUJOCO_H
#include <stdint.h>

#include "core/err.h"

#define MG_MUJOCO_GET "tools/mujoco.sh fetches it, and the next build finds it"

struct mjModel_;
struct mjData_;

// The calls that robots need, by their own names.
typedef struct mg_mujoco {
    void *library; // of dlopen; owned
    int (*mj_version)(void);
    struct mjModel_ *(*mj_loadXML)(const char *path, const void *vfs, char *error, int error_size);
    void (*mj_deleteModel)(struct mjModel_ *);
    struct mjData_ *(*mj_makeData)(const struct mjModel_ *);
    void (*mj_deleteData)(struct mjData_ *);
    void (*mj_resetData)(const struct mjModel_ *, struct mjData_ *);
    void (*mj_setConst)(struct mjModel_ *, struct mjData_ *);
    void (*mj_forward)(const struct mjModel_ *, struct mjData_ *);
    void (*mj_step)(const struct mjModel_ *, struct mjData_ *);
    void (*mj_rnePostConstraint)(const struct mjModel_ *, struct mjData_ *);
    int (*mj_stateSize)(const struct mjModel_ *, int signature);
    void (*mj_getState)(const struct mjModel_ *, const struct mjData_ *, double *state, int signature);
    void (*mj_setState)(const struct mjModel_ *, struct mjData_ *, const double *state, int signature);
    void *(*mju_setLogHandler)(void *handler);
} mg_mujoco;

// folder: where libmujoco.so and assets/ lie; NULL: where tools/mujoco.sh puts them.
const char *mg_mujoco_folder(const char *folder);

// Errors, each with the way to get it: MG_UNSUPPORTED (no library there, or built without its headers),
// MG_MISMATCH (another version than the headers').
mg_err mg_mujoco_open(mg_mujoco *out, const char *folder) MG_MUST_USE;
void   mg_mujoco_close(mg_mujoco *m); // zeroed: no effect

// Runs f, which may call MuJoCo. Where MuJoCo gives up, f ends there and its sentence is recorded:
// MG_NUMERIC. What f was working on must then only be deleted. One at a time in a thread.
mg_err mg_mujoco_try(void (*f)(void *context), void *context) MG_MUST_USE;
#endif
