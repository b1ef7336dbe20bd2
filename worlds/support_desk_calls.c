// support_desk_calls.c - what is said becomes a call, what came of it an observation.
#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "worlds/support_desk_parts.h"

static const struct action {
    const char *name, *words;
} actions[DESK_KINDS] = {
#define X(id, name, words, ...) [DESK_##id] = {name, words},
    DESK_CALL_LIST(X)
#undef X
};

#define PROMISE(id, name, words, effect, reads, writes, idempotent, schema)                         \
    "{\"name\":\"" name "\",\"schema\":" schema ",\"effect\":\"" effect "\",\"reads\":" reads       \
    ",\"writes\":" writes ",\"idempotent\":" idempotent ",\"visibility_ms\":0,\"timeout_ms\":2000}" \
    DESK_COMMA_##id
#define DESK_COMMA_LOOK_ORDER    ","
#define DESK_COMMA_LOOK_PAYMENTS ","
#define DESK_COMMA_CALL_REFUND   ","
#define DESK_COMMA_CALL_REPLACE  ","
#define DESK_COMMA_CALL_ADDRESS  ","
#define DESK_COMMA_RESOLVE       ""

_Static_assert(MG_SUPPORT_DESK_TIMEOUT_MS == 2000, "the manifest below says so");

const char desk_manifest[] =
    "{\"name\":\"support-desk\",\"version\":\"1\",\"determinism\":\"seeded\","
    "\"reward\":{\"min\":0,\"max\":1,\"resolution\":0.01},\"actions\":[" DESK_CALL_LIST(PROMISE) "]}";

const char *desk_call_name(desk_kind k) { return k < DESK_KINDS ? actions[k].name : NULL; }

bool desk_call_is_fix(desk_kind k, desk_fix *fix) {
    if (k != DESK_CALL_REFUND && k != DESK_CALL_REPLACE && k != DESK_CALL_ADDRESS) return false;
    *fix = k == DESK_CALL_REFUND ? DESK_REFUND : k == DESK_CALL_REPLACE ? DESK_REPLACE : DESK_ADDRESS;
    return true;
}

// ---- from what is said

void desk_call_own(const desk_task *t, desk_kind k, desk_call *out) {
    *out = (desk_call){.kind = k};
    if (k == DESK_RESOLVE)
        out->ticket = t->ticket + 1;
    else
        out->order = t->order + 1;
    if (k == DESK_CALL_REFUND) out->cents = t->orders[t->order].price;
    if (k == DESK_CALL_ADDRESS)
        snprintf(out->address, sizeof out->address, "%s", desk_task_target(t));
}

static void read_words(const desk_task *t, const char *text, size_t size, desk_call *out) {
    while (size > 0 && isspace((unsigned char)text[0])) text++, size--;
    while (size > 0 && isspace((unsigned char)text[size - 1])) size--;
    for (int k = 0; k < DESK_KINDS; k++)
        if (size == strlen(actions[k].words) && memcmp(text, actions[k].words, size) == 0)
            desk_call_own(t, (desk_kind)k, out);
}

// An integer member within [1, max]; counted when it is there and right.
static int64_t integer(const json_t *arguments, const char *key, int64_t max, size_t *right) {
    const json_t *v = json_object_get(arguments, key);
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > max) return 0;
    *right += 1;
    return json_integer_value(v);
}

static size_t characters(const char *utf8) {
    size_t n = 0;
    for (; *utf8; utf8++) n += ((unsigned char)*utf8 & 0xC0) != 0x80;
    return n;
}

// Exactly the arguments of the schema, each of its kind and in its range.
static bool read_arguments(const json_t *arguments, desk_call *c) {
    size_t right = 0, wanted = c->kind == DESK_CALL_REFUND || c->kind == DESK_CALL_ADDRESS ? 2 : 1;
    if (c->kind == DESK_RESOLVE)
        c->ticket = integer(arguments, "ticket", INT64_MAX, &right);
    else
        c->order = integer(arguments, "order", INT64_MAX, &right);
    if (c->kind == DESK_CALL_REFUND) c->cents = integer(arguments, "cents", 1000000, &right);
    if (c->kind == DESK_CALL_ADDRESS) {
        const char *a = json_string_value(json_object_get(arguments, "address"));
        if (a && a[0] && characters(a) <= 100 && strlen(a) < sizeof c->address) {
            snprintf(c->address, sizeof c->address, "%s", a);
            right++;
        }
    }
    return right == wanted && json_object_size(arguments) == wanted;
}

// What was given is kept as evidence of the mistake.
static void refuse_arguments(const json_t *arguments, desk_call *out) {
    const size_t n = json_dumpb(arguments, out->given, sizeof out->given - 1, JSON_COMPACT);
    out->given[n < sizeof out->given ? n : 0] = 0;
    out->error = "bad_arguments";
}

static void read_json(const char *text, size_t size, desk_call *out) {
    json_t       *said      = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const char   *name      = json_string_value(json_object_get(said, "name"));
    const json_t *arguments = json_object_get(said, "arguments");
    if (name && json_is_object(arguments) && json_object_size(said) == 2)
        for (int k = 0; k < DESK_KINDS; k++)
            if (strcmp(name, actions[k].name) == 0) {
                *out = (desk_call){.kind = (desk_kind)k};
                if (!read_arguments(arguments, out)) refuse_arguments(arguments, out);
            }
    json_decref(said); // NULL: no effect
}

void desk_call_read(mg_support_desk_form form, const desk_task *t, const mg_value *said,
                    desk_call *out) {
    *out = (desk_call){.kind = DESK_NO_CALL, .error = "not_an_action"};
    if (said->size > DESK_ACTION_MAX) return;
    if (form == MG_SUPPORT_DESK_WORDS)
        read_words(t, said->text, said->size, out);
    else
        read_json(said->text, said->size, out);
}

// ---- writing

// Appends, and stays within size; what does not fit is a broken program.
typedef struct page {
    char  *text;
    size_t size, used;
} page;

static void add(page *p, const char *form, ...) MG_PRINTF(2, 3);
static void add(page *p, const char *form, ...) {
    va_list args;
    va_start(args, form);
    const int n = vsnprintf(p->text + p->used, p->size - p->used, form, args);
    va_end(args);
    MG_ASSERT(n >= 0 && (size_t)n < p->size - p->used);
    p->used += (size_t)n;
}

static void add_json(page *p, const char *text) {
    add(p, "\"");
    for (const char *c = text; *c; c++)
        if (*c == '"' || *c == '\\')
            add(p, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            add(p, "\\u%04x", (unsigned)*c);
        else
            add(p, "%c", *c);
    add(p, "\"");
}

static void arguments(page *p, const desk_call *c) {
    if (c->kind == DESK_RESOLVE)
        add(p, "{\"ticket\":%lld}", (long long)c->ticket);
    else
        add(p, "{\"order\":%lld", (long long)c->order);
    if (c->kind == DESK_CALL_REFUND) add(p, ",\"cents\":%lld", (long long)c->cents);
    if (c->kind == DESK_CALL_ADDRESS) {
        add(p, ",\"address\":");
        add_json(p, c->address);
    }
    if (c->kind != DESK_RESOLVE) add(p, "}");
}

void desk_call_arguments(const desk_call *c, char *text, size_t size) {
    page p = {text, size, 0};
    arguments(&p, c);
}

void desk_call_write(mg_support_desk_form form, const desk_call *c, char *text, size_t size) {
    page p = {text, size, 0};
    if (form == MG_SUPPORT_DESK_WORDS) {
        add(&p, "%s", actions[c->kind].words);
        return;
    }
    add(&p, "{\"name\":\"%s\",\"arguments\":", actions[c->kind].name);
    arguments(&p, c);
    add(&p, "}");
}

// ---- observations

#define TOOL(id, name, words, effect, reads, writes, idempotent, schema)                            \
    "\n{\"name\":\"" name "\",\"parameters\":" schema "}"

static const char guide[] =
    "You work at a support desk. Solve the customer's problem, then resolve the ticket. Each answer is "
    "one JSON object {\"name\": ..., \"arguments\": {...}} and nothing else.\n"
    "Rules of the house: what never came or came broken is replaced while there is stock, else refunded "
    "at its price. Who paid twice for one piece gets the price of one back; who bought two and got one "
    "gets the other sent. A wrong address is corrected while the order is packed; once it is shipped, "
    "send a replacement, it goes to the new address. Look at the order before you decide. A call that "
    "times out may or may not have been done: look, and repeat only what was not.\n"
    "Tools:" DESK_CALL_LIST(TOOL) "\n";

size_t desk_show_ticket(mg_support_desk_form form, const desk_task *t, char *text, size_t size) {
    page p = {text, size, 0};
    if (form == MG_SUPPORT_DESK_WORDS) {
        add(&p, "ticket : %s", t->words);
        return p.used;
    }
    add(&p, "%sTicket: {\"ticket\":%d,\"order\":%d,\"customer\":", guide, t->ticket + 1, t->order + 1);
    add_json(&p, t->customers[t->orders[t->order].customer].name);
    add(&p, ",\"text\":");
    add_json(&p, t->words);
    if (t->wanted[0]) {
        add(&p, ",\"new_address\":");
        add_json(&p, t->wanted);
    }
    add(&p, "}");
    return p.used;
}

static void words_view(page *p, const desk_task *t, const desk_call *c, const desk_answer *a) {
    const desk_order_view *o = &a->order;
    if (c->kind == DESK_LOOK_PAYMENTS) {
        add(p, "payments : paid %lld , refunded %lld", (long long)a->payments.charges,
            (long long)a->payments.refunds);
        return;
    }
    add(p, "order : %s , stock %s , bought %lld , address %s , resent %lld", o->status,
        o->stock > 0 ? "some" : "none", (long long)o->bought,
        strcmp(o->address, desk_task_target(t)) == 0 ? "ok" : "old", (long long)o->resent);
}

static void json_view(page *p, const desk_call *c, const desk_answer *a) {
    const desk_order_view    *o = &a->order;
    const desk_payments_view *m = &a->payments;
    if (c->kind == DESK_LOOK_PAYMENTS) {
        add(p, "{\"order\":%lld,\"charges\":%lld,\"charged_cents\":%lld,\"refunds\":%lld,"
               "\"refunded_cents\":%lld}",
            (long long)m->id, (long long)m->charges, (long long)m->charged, (long long)m->refunds,
            (long long)m->refunded);
        return;
    }
    add(p, "{\"order\":%lld,\"customer\":", (long long)o->id);
    add_json(p, o->customer);
    if (o->email[0]) {
        add(p, ",\"email\":");
        add_json(p, o->email);
    }
    add(p, ",\"product\":\"%s\",\"price_cents\":%lld,\"bought\":%lld,\"stock\":%lld,\"status\":\"%s\","
           "\"address\":",
        o->product, (long long)o->price, (long long)o->bought, (long long)o->stock, o->status);
    add_json(p, o->address);
    add(p, ",\"replacements\":%lld}", (long long)o->resent);
}

#define SAY(id, name, words, ...) words DESK_OR_##id
#define DESK_OR_LOOK_ORDER    " , "
#define DESK_OR_LOOK_PAYMENTS " , "
#define DESK_OR_CALL_REFUND   " , "
#define DESK_OR_CALL_REPLACE  " , "
#define DESK_OR_CALL_ADDRESS  " or "
#define DESK_OR_RESOLVE       ""

// A fix or a resolve in few words: done or not, and whether it took long.
static const char *outcome(const desk_answer *a) {
    const bool slow = a->took_ns > MG_SUPPORT_DESK_TIMEOUT_MS * INT64_C(1000000);
    switch (a->status) {
    case MG_STATUS_OK: return slow ? "done slow" : "done fast";
    case MG_STATUS_TIMEOUT: return "unknown slow";
    case MG_STATUS_ERROR: return "failed fast";
    default: return a->error;
    }
}

static void words_answer(page *p, const desk_task *t, const desk_call *c, const desk_answer *a) {
    if (c->kind == DESK_NO_CALL)
        add(p, "say : " DESK_CALL_LIST(SAY));
    else if (a->seen)
        words_view(p, t, c, a);
    else
        add(p, "%s : %s", actions[c->kind].words, outcome(a));
}

static void json_answer(page *p, const desk_call *c, const desk_answer *a) {
    static const char *const status[] = {"none", "ok", "refused", "error", "timeout"};
    if (a->seen) {
        json_view(p, c, a);
        return;
    }
    add(p, "{\"status\":\"%s\"", status[a->status]);
    if (a->error) add(p, ",\"error\":\"%s\"", a->error);
    if (c->kind == DESK_NO_CALL)
        add(p, ",\"wanted\":\"{\\\"name\\\": one of the tools, \\\"arguments\\\": {...}}\"");
    if (a->status == MG_STATUS_TIMEOUT) add(p, ",\"done\":\"not known\"");
    add(p, ",\"took_ms\":%lld}", (long long)(a->took_ns / 1000000));
}

size_t desk_show_answer(mg_support_desk_form form, const desk_task *t, const desk_call *c,
                        const desk_answer *a, char *text, size_t size) {
    page p = {text, size, 0};
    if (form == MG_SUPPORT_DESK_WORDS)
        words_answer(&p, t, c, a);
    else
        json_answer(&p, c, a);
    return p.used;
}
