// mujoco.c - dlopen, the symbols, and errors that come back.
#include "worlds/mujoco.h"

const char *mg_mujoco_folder(const char *folder) { return folder ? folder : MG_MUJOCO_FOLDER; }

#ifdef MG_MUJOCO_HEADERS
#include <dlfcn.h>
#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <string.h>

// MuJoCo's handler is not told whose error it is, and must not return: so where to go back to is kept per
// thread, as the sentence of mg_fail is.
static _Thread_local jmp_buf *back;
static _Thread_local char     said[256];

static void log_handler(const mjLogMessage *m) {
    if (m->level < mjLOG_ERROR || !back) return; // warnings are counted in mjData
    snprintf(said, sizeof said, "%.255s", m->subject);
    longjmp(*back, 1);
}

mg_err mg_mujoco_try(void (*f)(void *context), void *context) {
    jmp_buf here;
    back = &here;
    if (_setjmp(here)) {
        back = NULL;
        return mg_fail(MG_NUMERIC, "MuJoCo: %s", said);
    }
    f(context);
    back = NULL;
    return MG_OK;
}

// ISO C knows no cast between object and function pointers: their bytes are copied.
static mg_err find_calls(mg_mujoco *m, const char *path) {
    const struct {
        const char *name;
        void       *to;
    } calls[] = {
#define CALL(name) {#name, &m->name}
        CALL(mj_version),   CALL(mj_loadXML),  CALL(mj_deleteModel), CALL(mj_makeData), CALL(mj_deleteData),
        CALL(mj_resetData), CALL(mj_setConst), CALL(mj_forward),     CALL(mj_step),     CALL(mj_rnePostConstraint),
        CALL(mj_stateSize), CALL(mj_getState), CALL(mj_setState),    CALL(mju_setLogHandler),
#undef CALL
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        void *symbol = dlsym(m->library, calls[i].name);
        if (!symbol)
            return mg_fail(MG_MISMATCH, "%s: found no %s, wanted MuJoCo %d: " MG_MUJOCO_GET, path, calls[i].name,
                           mjVERSION_HEADER);
        memcpy(calls[i].to, &symbol, sizeof symbol);
    }
    if (m->mj_version() != mjVERSION_HEADER)
        return mg_fail(MG_MISMATCH, "%s: found version %d, wanted %d, as when this was built: " MG_MUJOCO_GET, path,
                       m->mj_version(), mjVERSION_HEADER);
    return MG_OK;
}

mg_err mg_mujoco_open(mg_mujoco *out, const char *folder) {
    const mjfLogHandler handler = log_handler;
    mg_mujoco           m       = {0};
    void               *as_object;
    char                path[4096];
    snprintf(path, sizeof path, "%s/libmujoco.so", mg_mujoco_folder(folder));
    // Once in, it stays: unloading would drop the parser's tables without giving them back.
    m.library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!m.library) return mg_fail(MG_UNSUPPORTED, "%s; wanted MuJoCo's library: " MG_MUJOCO_GET, dlerror());
    mg_err err = find_calls(&m, path);
    if (err) {
        mg_mujoco_close(&m);
        return err;
    }
    memcpy(&as_object, &handler, sizeof handler);
    m.mju_setLogHandler(as_object);
    *out = m;
    return MG_OK;
}

void mg_mujoco_close(mg_mujoco *m) {
    if (m->library) dlclose(m->library);
    *m = (mg_mujoco){0};
}
#else
mg_err mg_mujoco_try(void (*f)(void *context), void *context) { return f(context), MG_OK; }

mg_err mg_mujoco_open(mg_mujoco *out, const char *folder) {
    (void)out, (void)folder;
    return mg_fail(MG_UNSUPPORTED, "built without MuJoCo's headers, wanted those in %s/include: " MG_MUJOCO_GET,
                   mg_mujoco_folder(NULL));
}

void mg_mujoco_close(mg_mujoco *m) { *m = (mg_mujoco){0}; }
#endif
