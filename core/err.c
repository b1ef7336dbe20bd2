// err.c - the thread's last error sentence.
#include "core/err.h"

#include <stdarg.h>

static _Thread_local char detail[1024];

mg_err mg_fail(mg_err code, const char *fmt, ...) {
    MG_ASSERT(code != MG_OK);
    char    text[sizeof detail]; // an argument may be the old sentence itself
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(detail, sizeof detail, "%s", text);
    return code;
}

const char *mg_err_name(mg_err code) {
    static const char *const names[] = {
#define X(name, text) "MG_" #name,
        MG_ERR_LIST(X)
#undef X
    };
    MG_ASSERT((size_t)code < sizeof names / sizeof *names);
    return names[code];
}

const char *mg_err_detail(void) { return detail; }
