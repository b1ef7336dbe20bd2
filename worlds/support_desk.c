// support_desk.c - the class: reset, one call after the other, evidence beside every answer.
#include "worlds/support_desk.h"

#include <openssl/sha.h>
#include <string.h>

#include "worlds/support_desk_parts.h"

// Views are hashed as bytes.
_Static_assert(sizeof(desk_order_view) == 5 * 8 + 16 + 16 + 2 * DESK_NAME_MAX + DESK_ADDRESS_MAX,
               "no padding");
_Static_assert(sizeof(desk_payments_view) == 5 * 8, "no padding");

static mg_value observation(const desk_state *s) {
    return (mg_value){.kind = MG_SPACE_TEXT, .text = s->now.text, .size = s->now.size};
}

static mg_err open(mg_env *e) {
    desk_state *s = desk_state_of(e);
    for (int k = 0; k < DESK_KINDS; k++) s->choice[k] = s->choices[k];
    return desk_books_open(&s->books);
}

static void close(mg_env *e) { desk_books_close(&desk_state_of(e)->books); }

// The utterances that are calls about the ticket's own order.
static void choices(const mg_env *e) {
    desk_state *s = desk_state_of(e);
    desk_call   c;
    for (int k = 0; k < DESK_KINDS; k++) {
        desk_call_own(&s->task, (desk_kind)k, &c);
        desk_call_write(desk_world(e)->form, &c, s->choices[k], sizeof s->choices[k]);
    }
}

static mg_err reset(mg_env *e, uint64_t seed, const mg_reset_options *options, int64_t now_ns,
                    mg_value *out) {
    (void)now_ns;
    desk_state *s    = desk_state_of(e);
    int64_t     item = options->item;
    if (item < -1 || item >= MG_SUPPORT_DESK_ITEMS)
        return mg_fail(MG_CONFIG, "support-desk: item %lld, wanted 0 to %d or -1", (long long)item,
                       MG_SUPPORT_DESK_ITEMS - 1);
    if (options->prefix)
        return mg_fail(MG_CONFIG, "support-desk: a prefix, and it begins no answer in the middle");
    if (item == -1) {
        mg_rng rng = mg_rng_stream(seed, MG_PURPOSE_WORLD, 2);
        item       = (int64_t)mg_rng_below(&rng, MG_SUPPORT_DESK_TRAIN);
    }
    s->begun++;
    desk_task_make(item, &s->task);
    mg_err err = desk_books_fill(&s->books, &s->task, desk_mutant_dirty(e, seed));
    if (err) return err;
    memset(&s->now, 0, offsetof(desk_episode, text)); // the text is as long as it says
    s->now.item   = item;
    s->now.seed   = seed;
    s->now.needed = 3;
    s->now.live   = true;
    desk_mutant_begin(e);
    err = desk_witness_conditions(&s->books, &s->task, &s->now.held);
    if (err) return err;
    choices(e);
    s->now.size = desk_show_ticket(desk_world(e)->form, &s->task, s->now.text, sizeof s->now.text);
    *out        = observation(s);
    return MG_OK;
}

// ---- a call

// How long this call takes, and whether it runs out of time though it may have been done.
static void luck(const desk_state *s, bool backend, int64_t *took_ns, bool *timeout, bool *done) {
    mg_rng rng = mg_rng_stream(s->now.seed, MG_PURPOSE_WORLD, 0);
    mg_rng_seek(&rng, 0, 0, (uint32_t)s->now.calls);
    const double fast = mg_rng_uniform(&rng), slow = mg_rng_uniform(&rng);
    *timeout = backend && s->now.timeouts == 0 && slow < MG_SUPPORT_DESK_TIMEOUT;
    *done    = mg_rng_uniform(&rng) < MG_SUPPORT_DESK_DONE;
    *took_ns = *timeout ? (MG_SUPPORT_DESK_TIMEOUT_MS + 1 + (int64_t)(50 * fast)) * 1000000
                        : (40 + (int64_t)(360 * fast)) * 1000000;
}

static mg_err look(mg_env *e, const desk_call *c, desk_answer *a) {
    desk_state *s     = desk_state_of(e);
    bool        found = false;
    mg_err      err   = c->kind == DESK_LOOK_ORDER
                            ? desk_books_order(&s->books, c->order, &a->order, &found)
                            : desk_books_payments(&s->books, c->order, &a->payments, &found);
    if (err) return err;
    a->seen   = found;
    a->status = found ? MG_STATUS_OK : MG_STATUS_REFUSED;
    if (found)
        desk_mutant_read(e, a);
    else
        a->error = "no_such_order";
    return MG_OK;
}

static mg_err take_effect(desk_state *s, const desk_call *c) {
    switch (c->kind) {
    case DESK_CALL_REFUND: return desk_books_refund(&s->books, c->order, c->cents);
    case DESK_CALL_REPLACE: return desk_books_replace(&s->books, c->order);
    default: return desk_books_readdress(&s->books, c->order, c->address);
    }
}

static mg_err fix_it(mg_env *e, const desk_call *c, desk_fix fix, desk_answer *a) {
    desk_state     *s = desk_state_of(e);
    desk_order_view order;
    bool            found, timeout, effect;
    mg_err          err = desk_books_order(&s->books, c->order, &order, &found);
    if (err) return err;
    if (!found || (fix == DESK_ADDRESS && strcmp(order.address, c->address) == 0)) {
        a->status = MG_STATUS_REFUSED;
        a->error  = found ? "no_change" : "no_such_order";
        return MG_OK;
    }
    luck(s, fix != DESK_ADDRESS, &a->took_ns, &timeout, &effect);
    if (timeout) {
        a->status = MG_STATUS_TIMEOUT;
        a->error  = fix == DESK_REFUND ? "payments_unreachable" : "warehouse_unreachable";
        s->now.timeouts++;
        s->now.needed += effect ? 1 : 2; // a look, and a repetition of what was not done
    } else {
        a->status = MG_STATUS_OK;
        effect    = true;
    }
    desk_mutant_cache(e, c->order);
    desk_mutant_fix(e, fix, &effect, a);
    return effect ? take_effect(s, c) : MG_OK;
}

static mg_err resolve(desk_state *s, const desk_call *c, desk_answer *a) {
    bool   found, is_open = false;
    mg_err err = desk_books_ticket(&s->books, c->ticket, &is_open, &found);
    if (err) return err;
    if (!found || !is_open) {
        a->status = MG_STATUS_REFUSED;
        a->error  = found ? "no_change" : "no_such_ticket";
        return MG_OK;
    }
    a->status = MG_STATUS_OK;
    return desk_books_resolve(&s->books, c->ticket);
}

static mg_err carry_out(mg_env *e, const desk_call *c, desk_answer *a) {
    desk_state *s = desk_state_of(e);
    desk_fix    fix;
    bool        timeout, done;
    luck(s, false, &a->took_ns, &timeout, &done);
    if (c->error) {
        a->status = MG_STATUS_REFUSED;
        a->error  = c->error;
        return MG_OK;
    }
    if (desk_call_is_fix(c->kind, &fix)) return fix_it(e, c, fix, a);
    return c->kind == DESK_RESOLVE ? resolve(s, c, a) : look(e, c, a);
}

// ---- what it is worth, and what can be proved about it

// In hundredths: whole numbers until the last division, so that both paths end in the same bits.
static double earned(const mg_env *e, const desk_conditions *c) {
    const int32_t calls = desk_state_of(e)->now.calls, needed = desk_state_of(e)->now.needed;
    if (desk_world(e)->outcome) return c->fixed && c->clean && c->closed;
    if (!c->fixed) return 0;
    const int32_t waste  = calls > needed ? calls - needed : 0;
    const int32_t points = 40 + (c->clean ? 40 : 0) + (c->closed ? 20 : 0) - waste;
    return (points > 1 ? points : 1) / 100.0;
}

static mg_err reward(const mg_env *e, mg_reward *out) {
    desk_state     *s = desk_state_of(e);
    desk_conditions c;
    mg_err          err = desk_books_verify(&s->books, &s->task, &c);
    if (err) return err;
    desk_mutant_verify(e, &c);
    *out = mg_reward_of(desk_mutant_reward(e, earned(e, &c)));
    return MG_OK;
}

static mg_err witness(desk_state *s, const desk_call *c, uint64_t *digest) {
    *digest = 0;
    switch (c->kind) {
    case DESK_LOOK_PAYMENTS:
    case DESK_CALL_REFUND: return desk_witness_payments(&s->books, c->order, digest);
    case DESK_RESOLVE: return desk_witness_ticket(&s->books, c->ticket, digest);
    case DESK_NO_CALL: return MG_OK;
    default: return desk_witness_order(&s->books, c->order, digest);
    }
}

static void name_key(desk_state *s, const desk_call *c) {
    const char *what = c->kind == DESK_LOOK_PAYMENTS || c->kind == DESK_CALL_REFUND ? "payments"
                       : c->kind == DESK_RESOLVE                                    ? "ticket"
                                                                                    : "order";
    snprintf(s->key, sizeof s->key, "%s/%lld", what,
             (long long)(c->kind == DESK_RESOLVE ? c->ticket : c->order));
}

static mg_evidence evidence(desk_state *s, const desk_call *c, const desk_answer *a, uint64_t before,
                            uint64_t after) {
    const desk_conditions *held = &s->now.held;
    mg_evidence            ev = {.action = desk_call_name(c->kind), .status = a->status, .error = a->error,
                                 .took_ns = a->took_ns, .conditions = 3,
                                 .held = held->fixed + held->clean + held->closed};
    if (c->error)
        snprintf(s->arguments, sizeof s->arguments, "%s", c->given);
    else
        desk_call_arguments(c, s->arguments, sizeof s->arguments);
    if (s->arguments[0]) ev.arguments = s->arguments;
    if (before || after) {
        const bool pure = c->kind == DESK_LOOK_ORDER || c->kind == DESK_LOOK_PAYMENTS;
        name_key(s, c);
        s->touched[0] = (mg_touch){.key = s->key, .wrote = !pure && a->status == MG_STATUS_OK,
                                   .before = before, .after = after};
        if (a->seen)
            s->touched[0].shown = c->kind == DESK_LOOK_ORDER
                                      ? desk_hash(&a->order, sizeof a->order)
                                      : desk_hash(&a->payments, sizeof a->payments);
        ev.touched   = s->touched;
        ev.n_touched = 1;
    }
    return ev;
}

static const char traceback[] =
    "Traceback (most recent call last):\n  File \"/srv/desk/backend.py\", line 218, in handle\n"
    "    row = cache[payload[\"order_id\"]]\nKeyError: 'order_id'";

// Makes the call and fills what was seen of it; the mutant may crash instead.
static mg_err make(mg_env *e, const desk_call *c, desk_answer *a, mg_transition *out) {
    desk_state *s = desk_state_of(e);
    uint64_t    before = 0, after;
    bool        crash;
    mg_err      err = desk_mutant_crash(e, &crash);
    if (err) return err;
    if (crash) {
        s->now.size = sizeof traceback - 1;
        memcpy(s->now.text, traceback, sizeof traceback);
        out->evidence = evidence(s, c, a, 0, 0);
        return MG_OK;
    }
    const int changes = desk_books_changes(&s->books);
    if (!c->error) err = witness(s, c, &before);
    if (!err) err = carry_out(e, c, a);
    after = before;
    if (!err && desk_books_changes(&s->books) != changes) { // what did not change is as it was
        err = witness(s, c, &after);
        if (!err) err = desk_witness_conditions(&s->books, &s->task, &s->now.held);
    }
    if (err) return err;
    s->now.size = desk_show_answer(desk_world(e)->form, &s->task, c, a, s->now.text, sizeof s->now.text);
    desk_scripts_heard(s, c, a);
    out->evidence = evidence(s, c, a, before, after);
    return MG_OK;
}

static mg_err step(mg_env *e, const mg_value *action, int64_t now_ns, mg_transition *out) {
    (void)now_ns;
    desk_state *s = desk_state_of(e);
    MG_ASSERT(action->kind == MG_SPACE_TEXT);
    if (!s->now.live) return mg_fail(MG_CONFIG, "support-desk: the episode is over, reset it first");
    if (action->open) return mg_fail(MG_UNSUPPORTED, "support-desk: an answer in pieces");

    desk_call     c;
    desk_answer   a    = {.status = MG_STATUS_NONE};
    mg_transition next = {.reward = mg_reward_of(0)};
    desk_call_read(desk_world(e)->form, &s->task, action, &c);
    mg_err err = make(e, &c, &a, &next);
    if (err) return err;
    s->now.calls++;
    next.terminated = (c.kind == DESK_RESOLVE && a.status == MG_STATUS_OK &&
                       c.ticket == s->task.ticket + 1) ||
                      s->now.calls == MG_SUPPORT_DESK_CALLS;
    s->now.live          = !next.terminated;
    next.evidence.owed   = mg_reward_of(0);
    if (next.terminated) {
        next.evidence.owed = mg_reward_of(earned(e, &s->now.held));
        err                = reward(e, &next.reward);
        if (err) return err;
    }
    next.observation = observation(s);
    *out             = next;
    return MG_OK;
}

// ---- optional powers

static void digest(const mg_env *e, uint8_t out[32]) {
    desk_state *s = desk_state_of(e);
    // What the desk holds, and nothing of draws to come.
    const int64_t now[] = {s->now.item, s->now.calls, s->now.timeouts, s->now.needed, s->now.live};
    size_t        size  = sizeof now;
    memcpy(s->bytes, now, size);
    // A desk that cannot be read has a digest of its own, equal to no other's.
    if (desk_witness_bytes(&s->books, s->bytes, sizeof s->bytes, &size)) size = 0;
    SHA256((const unsigned char *)s->bytes, size, out);
}

static int64_t items(const mg_env *e) {
    (void)e;
    return MG_SUPPORT_DESK_ITEMS;
}

static const char *manifest(const mg_env *e) {
    (void)e;
    return desk_manifest;
}

static int64_t admissible(const mg_env *e, const char *const **actions) {
    const desk_state *s = desk_state_of(e);
    *actions            = (const char *const *)s->choice;
    return s->now.live ? DESK_KINDS : 0;
}

// A snapshot: this, the episode, the image. The hash is over all that follows it.
typedef struct image_head {
    uint8_t hash[32];
    int64_t first_new_order, first_new_refund, episode_size, image_size;
} image_head;

static void image_hash(const void *bytes, size_t n, uint8_t out[32]) {
    SHA256((const unsigned char *)bytes + 32, n - 32, out);
}

static mg_err snapshot(const mg_env *e, mg_arena *arena, void **bytes, size_t *n) {
    desk_state    *s = desk_state_of(e);
    unsigned char *image;
    sqlite3_int64  image_size;
    mg_err         err = desk_books_image(&s->books, &image, &image_size);
    if (err) return err;
    const size_t size = sizeof(image_head) + sizeof s->now + (size_t)image_size;
    char        *out  = mg_arena_alloc(arena, size);
    image_head   head = {{0}, s->books.first_new_order, s->books.first_new_refund,
                         (int64_t)sizeof s->now, image_size};
    memcpy(out, &head, sizeof head);
    memcpy(out + sizeof head, &s->now, sizeof s->now);
    memcpy(out + sizeof head + sizeof s->now, image, (size_t)image_size);
    sqlite3_free(image);
    image_hash(out, size, (uint8_t *)out);
    *bytes = out;
    *n     = size;
    return MG_OK;
}

static mg_err restore(mg_env *e, const void *bytes, size_t n, mg_value *out) {
    desk_state *s = desk_state_of(e);
    image_head  head;
    uint8_t     hash[32];
    if (n <= sizeof head + sizeof s->now)
        return mg_fail(MG_CORRUPT, "support-desk: a snapshot of %zu bytes, wanted more than %zu", n,
                       sizeof head + sizeof s->now);
    memcpy(&head, bytes, sizeof head);
    image_hash(bytes, n, hash);
    if (memcmp(hash, head.hash, sizeof hash) != 0 || head.episode_size != (int64_t)sizeof s->now ||
        head.image_size != (int64_t)(n - sizeof head - sizeof s->now))
        return mg_fail(MG_CORRUPT, "support-desk: a snapshot of %zu bytes is damaged, or of another "
                                   "build", n);
    const char *episode = (const char *)bytes + sizeof head;
    mg_err err = desk_books_restore(&s->books, episode + sizeof s->now, (size_t)head.image_size);
    if (err) return err;
    memcpy(&s->now, episode, sizeof s->now);
    s->books.first_new_order  = head.first_new_order;
    s->books.first_new_refund = head.first_new_refund;
    desk_task_make(s->now.item, &s->task);
    choices(e);
    *out = observation(s);
    return MG_OK;
}

const mg_env_class mg_support_desk_class = {
    .name        = "support-desk",
    .summary     = "a customer-support desk over a real SQLite database: look, fix, then resolve",
    .observation = {.kind = MG_SPACE_TEXT, .n = DESK_TEXT_MAX},
    .action      = {.kind = MG_SPACE_TEXT, .n = DESK_ACTION_MAX},
    .state_size  = sizeof(desk_state),
    .steps_max   = MG_SUPPORT_DESK_CALLS,
    .reset       = reset,
    .step        = step,
    .items       = items,
    .digest      = digest,
    .open        = open,
    .close       = close,
    .manifest    = manifest,
    .snapshot    = snapshot,
    .restore     = restore,
    .admissible  = admissible,
    .scripts     = desk_scripts,
};
