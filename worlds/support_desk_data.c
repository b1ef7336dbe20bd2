// support_desk_data.c - a task's customers, orders and words, as a function of its number.
#include <string.h>

#include "core/rng.h"
#include "worlds/support_desk_parts.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const products[] = {"lamp", "kettle", "radio", "clock",
                                       "tent", "scarf",  "bike",  "chair"};
static const char *const plain_names[] = {"Ann Lee",   "Bob Ray",  "Cara Diaz", "Dan Moss",
                                          "Eve Stone", "Finn Hart", "Gil Wood",  "Hana Kim"};
// A combining mark, right to left, full width, a zero-width space, an emoji, a dotless i, stacked marks.
static const char *const odd_names[] = {
    "Zoe\xcc\x88 Mu\xcc\x88ller",
    "\xd7\xa0\xd7\x95\xd7\xa2\xd7\x94 \xd7\x9b\xd7\x94\xd7\x9f",
    "\xef\xbc\xa1\xef\xbd\x8e\xef\xbd\x8e \xef\xbc\xac\xef\xbd\x85\xef\xbd\x85",
    "Bob\xe2\x80\x8bRay",
    "Ivy \xf0\x9f\x8c\xbf Green",
    "Ay\xc5\x9f" "e I\xc5\x9f\xc4\xb1k",
    "Jo\xcc\xa8\xcc\x81n O\xe2\x80\x99" "Dea",
};
static const char *const streets[] = {"Elm Road", "Mill Lane", "High Street", "Park Way",
                                      "Hill Close", "Quay Side"};

// %s stands for the product, or for "order" in a ticket that does not name it.
static const char *const complaints[][2] = {
    [DESK_MISSING]       = {"my %s never came", "where is my %s"},
    [DESK_BROKEN]        = {"my %s came broken", "the %s does not work"},
    [DESK_TWICE]         = {"paid 2 got 1 %s", "i paid two times for my %s"},
    [DESK_WRONG_ADDRESS] = {"wrong address for my %s", "send my %s to a new address"},
};

static bool chance(mg_rng *rng, double p) { return mg_rng_uniform(rng) < p; }

static int32_t pick(mg_rng *rng, size_t n) { return (int32_t)mg_rng_below(rng, n); }

static void address(mg_rng *rng, char *out) {
    snprintf(out, DESK_ADDRESS_MAX, "%d %s", 1 + pick(rng, 99), streets[pick(rng, COUNT(streets))]);
}

static void customers(mg_rng *rng, desk_task *t) {
    for (int i = 0; i < DESK_CUSTOMERS; i++) {
        desk_customer *c = &t->customers[i];
        const char    *name = chance(rng, MG_SUPPORT_DESK_ODD_NAME)
                                  ? odd_names[pick(rng, COUNT(odd_names))]
                                  : plain_names[pick(rng, COUNT(plain_names))];
        snprintf(c->name, sizeof c->name, "%s", name);
        address(rng, c->address);
        const int32_t box = pick(rng, 1000);
        if (!chance(rng, MG_SUPPORT_DESK_NO_EMAIL))
            snprintf(c->email, sizeof c->email, "box%d@post%d.example", box, box % 7);
        if (i > 0 && chance(rng, MG_SUPPORT_DESK_TWIN)) {
            const desk_customer *twin = &t->customers[pick(rng, (size_t)i)];
            memcpy(c->name, twin->name, sizeof c->name);
            memcpy(c->address, twin->address, sizeof c->address);
        }
    }
}

static void any_order(mg_rng *rng, desk_order *o) {
    static const char *const statuses[] = {"packed", "shipped", "delivered"};
    o->customer = pick(rng, DESK_CUSTOMERS);
    o->product  = products[pick(rng, COUNT(products))];
    o->status   = statuses[pick(rng, COUNT(statuses))];
    o->price    = 100 * (9 + pick(rng, 90));
    o->bought   = 1 + (chance(rng, 0.2) ? 1 : 0);
    o->stock    = pick(rng, 10);
    o->charges  = o->bought;
}

// The order that the ticket is about: what is seen there says which way is right.
static void troubled_order(mg_rng *rng, desk_task *t) {
    desk_order *o     = &t->orders[t->order];
    const bool  first = chance(rng, 0.5);
    o->bought = o->charges = 1;
    o->stock               = 1 + pick(rng, 9);
    switch (t->problem) {
    case DESK_MISSING:
    case DESK_BROKEN:
        o->status = t->problem == DESK_MISSING ? "lost" : "delivered";
        if (!first) o->stock = 0;
        t->fix = first ? DESK_REPLACE : DESK_REFUND;
        break;
    case DESK_TWICE:
        o->status  = "delivered";
        o->charges = 2;
        if (!first) o->bought = 2;
        t->fix = first ? DESK_REFUND : DESK_REPLACE;
        break;
    case DESK_WRONG_ADDRESS:
        o->status = first ? "packed" : "shipped";
        t->fix    = first ? DESK_ADDRESS : DESK_REPLACE;
        do
            address(rng, t->wanted);
        while (strcmp(t->wanted, desk_task_address(t)) == 0);
        break;
    }
}

static void words(mg_rng *rng, desk_task *t) {
    char       thing[16];
    const bool unnamed = chance(rng, MG_SUPPORT_DESK_UNNAMED);
    const bool typo    = chance(rng, MG_SUPPORT_DESK_TYPO);
    const int  n       = snprintf(thing, sizeof thing, "%s", t->orders[t->order].product);
    // Neighbours that differ: a swap that can be seen. Every product has such a pair at its front.
    const int at = pick(rng, 2);
    if (typo && !unnamed) {
        MG_ASSERT(n >= 4 && thing[at] != thing[at + 1]);
        const char c  = thing[at];
        thing[at]     = thing[at + 1];
        thing[at + 1] = c;
    }
    const char *form = complaints[t->problem][pick(rng, 2)];
    const char *hole = strstr(form, "%s");
    snprintf(t->words, sizeof t->words, "%.*s%s%s", (int)(hole - form), form,
             unnamed ? "order" : thing, hole + 2);
}

void desk_task_make(int64_t item, desk_task *out) {
    mg_rng rng = mg_rng_stream(0, MG_PURPOSE_WORLD, (uint64_t)item); // the number alone decides
    memset(out, 0, sizeof *out);
    customers(&rng, out);
    for (int i = 0; i < DESK_ORDERS; i++) any_order(&rng, &out->orders[i]);
    // Among the first four, so that what an episode leaves behind often concerns the next one.
    out->order   = pick(&rng, 4);
    out->problem = (desk_problem)pick(&rng, 4);
    troubled_order(&rng, out);
    words(&rng, out);
    out->ticket    = pick(&rng, DESK_TICKETS);
    out->bystander = (out->order + 1 + pick(&rng, DESK_ORDERS - 1)) % DESK_ORDERS;
    out->refunded  = (out->order + 1 + pick(&rng, DESK_ORDERS - 1)) % DESK_ORDERS;
}

const char *desk_task_address(const desk_task *t) {
    return t->customers[t->orders[t->order].customer].address;
}

const char *desk_task_target(const desk_task *t) {
    return t->wanted[0] ? t->wanted : desk_task_address(t);
}
