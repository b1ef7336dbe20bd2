// conversation.c - driving one child process. The only file that knows GLib.
#include "transport/conversation.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/session.h"
#include "transport/child.h"

#define READ_SIZE 65536

struct mg_conversation {
    const char    *name;
    mg_session     session;
    mg_child       child;
    GMainContext  *loop;
    GSource       *readable, *writable, *ended, *deadline; // NULL: not watched
    char          *in;          // bytes that came, [in_size] of [in_room]
    size_t         in_size, in_room;
    char          *out;         // the request under way, [out_size], of which [out_sent] are gone
    size_t         out_size, out_sent;
    mg_wire_call   asked;       // what the open call is
    mg_wire_answer answer;      // to the call that was just delivered
    char          *raw;         // the last line that came, owned
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void unwatch(GSource **s) {
    if (!*s) return;
    g_source_destroy(*s);
    g_source_unref(*s);
    *s = NULL;
}

static void watch(mg_conversation *c, GSource **slot, GSource *source, GSourceFunc call) {
    *slot = source;
    g_source_set_callback(source, call, c, NULL);
    g_source_attach(source, c->loop);
}

static void end_process(mg_conversation *c, char *how, size_t size) {
    unwatch(&c->readable);
    unwatch(&c->writable);
    unwatch(&c->ended);
    mg_child_end(&c->child, how, size);
}

static mg_session_action event(mg_conversation *c, const mg_event *e) {
    char                    how[256];
    const mg_session_action action = mg_session_event(&c->session, now(), e);
    if (action == MG_DO_KILL) end_process(c, how, sizeof how);
    return action;
}

// The bytes before anything is read from them, for the record.
static void keep_raw(mg_conversation *c, const char *line, size_t size) {
    free(c->raw);
    c->raw                   = g_memdup2(line, size);
    c->session.call.raw      = c->raw;
    c->session.call.raw_size = size;
}

static void line_came(mg_conversation *c, const char *line, size_t size) {
    mg_wire_answer answer = {0};
    mg_event       e      = {.kind = MG_EVENT_MESSAGE};
    keep_raw(c, line, size);
    if (mg_wire_read(line, size, c->asked, &answer)) {
        e.kind   = MG_EVENT_GARBAGE;
        e.detail = mg_err_detail();
    }
    e.id = answer.id, e.nonce = answer.nonce;
    if (event(c, &e) == MG_DO_DELIVER)
        c->answer = answer;
    else
        mg_wire_release(&answer);
}

// Hands on every whole line that has come; the rest stays.
static void take_lines(mg_conversation *c, size_t looked_at) {
    size_t begin = 0;
    char  *end;
    while (c->session.state != MG_SESSION_DEAD &&
           (end = memchr(c->in + looked_at, '\n', c->in_size - looked_at))) {
        line_came(c, c->in + begin, (size_t)(end - c->in) - begin);
        begin = looked_at = (size_t)(end - c->in) + 1;
    }
    if (begin > 0) memmove(c->in, c->in + begin, c->in_size - begin);
    c->in_size -= begin;
    if (c->in_size <= MG_WIRE_LINE_MAX || c->session.state == MG_SESSION_DEAD) return;
    const mg_event e = {.kind = MG_EVENT_GARBAGE,
                        .detail = "found a line without an end after 16777216 bytes, "
                                  "wanted a message"};
    keep_raw(c, c->in, 256); // enough to see what it was
    event(c, &e);
}

static void process_ended(mg_conversation *c) {
    char           how[256], detail[320];
    const char    *middle = c->in_size > 0 ? " in the middle of a message" : "";
    end_process(c, how, sizeof how);
    snprintf(detail, sizeof detail, "its process %s%s%s",
             strncmp(how, "was killed", 10) == 0 ? "closed its output or " : "", how, middle);
    const mg_event e = {.kind = MG_EVENT_ENDED, .detail = detail};
    event(c, &e);
}

// Reads what is there, once. False: there is nothing more now, or ever.
static bool read_some(mg_conversation *c) {
    if (c->in_room - c->in_size < READ_SIZE) {
        c->in_room = 2 * (c->in_room + READ_SIZE);
        c->in      = g_realloc(c->in, c->in_room);
    }
    const size_t  before = c->in_size;
    const ssize_t n      = read(c->child.out, c->in + before, READ_SIZE);
    if (n < 0 && errno == EINTR) return true;
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) {
        process_ended(c);
        return false;
    }
    c->in_size += (size_t)n;
    take_lines(c, before);
    return c->session.state != MG_SESSION_DEAD;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data) {
    (void)fd, (void)condition;
    read_some(data);
    return G_SOURCE_CONTINUE;
}

// The process is gone, though a child that it left behind may hold its pipe open: what it wrote
// before still counts.
static gboolean on_ended(gint fd, GIOCondition condition, gpointer data) {
    mg_conversation *c = data;
    (void)fd, (void)condition;
    while (read_some(c)) {}
    if (c->session.state != MG_SESSION_DEAD) process_ended(c);
    return G_SOURCE_CONTINUE;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data) {
    mg_conversation *c = data;
    (void)fd, (void)condition;
    const ssize_t n = mg_child_write(&c->child, c->out + c->out_sent, c->out_size - c->out_sent);
    if (n > 0) c->out_sent += (size_t)n;
    // A pipe without a reader: nothing more to write; that the process ended is seen on the others.
    if (c->out_sent == c->out_size || (n < 0 && errno != EAGAIN)) unwatch(&c->writable);
    return G_SOURCE_CONTINUE;
}

static gboolean on_deadline(gpointer data) {
    mg_conversation *c = data;
    const mg_event e = {.kind = MG_EVENT_TIME};
    event(c, &e);
    const int64_t wake = mg_session_wake(&c->session);
    g_source_set_ready_time(c->deadline, wake == INT64_MAX ? -1 : wake / 1000 + 1);
    return G_SOURCE_CONTINUE;
}

static gboolean run_callback(GSource *s, GSourceFunc callback, gpointer data) {
    (void)s;
    return callback(data);
}
static GSourceFuncs deadline_source = {.dispatch = run_callback};

static void watch_fd(mg_conversation *c, GSource **slot, int fd, GIOCondition condition,
                     GUnixFDSourceFunc call) {
    watch(c, slot, g_unix_fd_source_new(fd, condition), G_SOURCE_FUNC(call));
}

// The sentence of a session's end, for a call that cannot be made or did not go well.
static mg_err dead(const mg_conversation *c) {
    return mg_fail(MG_CHILD, "%s: %s: %s", c->name, mg_code_name(c->session.code),
                   c->session.detail);
}

mg_err mg_conversation_end(mg_conversation *c, mg_code code, const char *detail) {
    char how[256];
    mg_session_end(&c->session, code, detail);
    end_process(c, how, sizeof how);
    return dead(c);
}

static mg_err send_request(mg_conversation *c, mg_wire_request *r) {
    r->id    = c->session.call.request;
    r->nonce = c->session.call.nonce;
    free(c->out);
    c->out = NULL, c->out_size = c->out_sent = 0;
    if (mg_wire_write(r, &c->out, &c->out_size))
        return mg_conversation_end(c, MG_H_UNKNOWN, mg_err_detail());
    watch_fd(c, &c->writable, c->child.in, G_IO_OUT | G_IO_ERR, on_writable);
    return MG_OK;
}

mg_err mg_conversation_ask(mg_conversation *c, mg_wire_request *r, int64_t timeout_ms,
                           mg_wire_answer *out) {
    const int64_t intended = now();
    // What came since the last call was asked by nobody: the session must hear of it first.
    while (c->session.state == MG_SESSION_OPEN && g_main_context_iteration(c->loop, FALSE)) {}
    if (c->session.state == MG_SESSION_DEAD) return dead(c);

    c->asked = r->call;
    mg_session_call(&c->session, now(), intended, timeout_ms * 1000000);
    keep_raw(c, "", 0);
    mg_err err = send_request(c, r);
    if (err) return err;
    g_source_set_ready_time(c->deadline, mg_session_wake(&c->session) / 1000 + 1);
    while (c->session.state == MG_SESSION_WAITING) g_main_context_iteration(c->loop, TRUE);
    g_source_set_ready_time(c->deadline, -1);
    unwatch(&c->writable); // an answer before the request was read to its end: the rest is not sent

    mg_wire_answer answer = c->answer;
    c->answer             = (mg_wire_answer){0};
    // A second message right behind the answer: the session died after it was delivered.
    if (c->session.state == MG_SESSION_DEAD)
        err = dead(c);
    else if (answer.code)
        err = mg_conversation_end(c, answer.code, answer.error);
    if (err)
        mg_wire_release(&answer);
    else
        *out = answer;
    return err;
}

mg_err mg_conversation_open(mg_conversation **out, const mg_conversation_options *o) {
    mg_conversation *c = calloc(1, sizeof *c);
    if (!c) return mg_fail(MG_NOMEM, "%s: no memory for a process", o->name);
    mg_err err = mg_child_start(&c->child, o->argv, o->log_path);
    if (err) {
        free(c);
        return err;
    }
    c->name = o->name;
    mg_session_init(&c->session, o->seed, o->id);
    c->loop     = g_main_context_new();
    watch(c, &c->deadline, g_source_new(&deadline_source, sizeof(GSource)), on_deadline);
    watch_fd(c, &c->readable, c->child.out, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable);
    if (c->child.ended >= 0) watch_fd(c, &c->ended, c->child.ended, G_IO_IN, on_ended);
    *out = c;
    return MG_OK;
}

void mg_conversation_close(mg_conversation *c) {
    char how[256];
    if (!c) return;
    end_process(c, how, sizeof how);
    unwatch(&c->deadline);
    g_main_context_unref(c->loop);
    free(c->in);
    free(c->out);
    free(c->raw);
    free(c);
}

mg_code mg_conversation_code(const mg_conversation *c) { return c->session.code; }

const mg_call *mg_conversation_call(const mg_conversation *c) { return &c->session.call; }
