// support_desk_parts.h - what the files of the support desk share; nobody else includes it.
#ifndef MG_WORLDS_SUPPORT_DESK_PARTS_H
#define MG_WORLDS_SUPPORT_DESK_PARTS_H
#include <sqlite3.h>

#include "worlds/support_desk.h"

#define DESK_CUSTOMERS   6
#define DESK_ORDERS      8
#define DESK_TICKETS     2
#define DESK_NAME_MAX    64   // bytes with the 0
#define DESK_ADDRESS_MAX 128
#define DESK_WORDS_MAX   128
#define DESK_TEXT_MAX    8192 // an observation
#define DESK_ACTION_MAX  4096 // an utterance
#define DESK_CALL_MAX    (6 * DESK_ADDRESS_MAX + 128) // one that we write: "\u0001" is one byte of an address

// ---- the task: a function of its number (support_desk_data.c)

typedef enum desk_problem { DESK_MISSING, DESK_BROKEN, DESK_TWICE, DESK_WRONG_ADDRESS } desk_problem;
typedef enum desk_fix { DESK_REFUND, DESK_REPLACE, DESK_ADDRESS, DESK_FIXES } desk_fix;

typedef struct desk_customer {
    char name[DESK_NAME_MAX], email[DESK_NAME_MAX], address[DESK_ADDRESS_MAX]; // email "": none
} desk_customer;

typedef struct desk_order {
    int32_t     customer;                // index; ids are index + 1 everywhere
    const char *product, *status;        // static
    int32_t     price, bought, stock;    // cents, pieces, pieces
    int32_t     charges;                 // times that `price` was charged
} desk_order; // its address is the customer's

typedef struct desk_task {
    desk_problem  problem;
    desk_fix      fix;      // the right one
    int32_t       order;    // index
    int32_t       ticket;   // index; the other ticket is somebody else's
    int32_t       bystander; // index of the order of the other ticket
    int32_t       refunded; // index of an order with a refund of long ago
    char          words[DESK_WORDS_MAX];   // what the customer writes
    char          wanted[DESK_ADDRESS_MAX]; // the address asked for; "": none
    desk_customer customers[DESK_CUSTOMERS];
    desk_order    orders[DESK_ORDERS];
} desk_task;

void        desk_task_make(int64_t item, desk_task *out);
const char *desk_task_target(const desk_task *t); // where a replacement has to go
const char *desk_task_address(const desk_task *t); // the order's, at the start

// ---- the books: the database (support_desk_books.c)

// An order and its payments as a call shows them. Zeroed before they are filled, so equal views are
// equal bytes.
typedef struct desk_order_view {
    int64_t id, price, bought, stock, resent; // resent: replacements
    char    product[16], status[16], customer[DESK_NAME_MAX], email[DESK_NAME_MAX];
    char    address[DESK_ADDRESS_MAX];
} desk_order_view;

typedef struct desk_payments_view {
    int64_t id, charges, charged, refunds, refunded; // times and cents
} desk_payments_view;

typedef struct desk_books {
    sqlite3       *db;
    sqlite3_stmt **prepared; // one per row of the list of statements
    int64_t        first_new_order, first_new_refund; // rows from here on came after the last fill
} desk_books;

mg_err desk_books_open(desk_books *b);
void   desk_books_close(desk_books *b);
// keep_new: the fault of the dirty reset, rows made since the last fill stay.
mg_err desk_books_fill(desk_books *b, const desk_task *t, bool keep_new);
mg_err desk_books_image(const desk_books *b, unsigned char **image, sqlite3_int64 *size);
mg_err desk_books_restore(desk_books *b, const void *image, size_t size);
int    desk_books_changes(const desk_books *b);

// found false: no such row, nothing written.
mg_err desk_books_order(desk_books *b, int64_t order, desk_order_view *out, bool *found);
mg_err desk_books_payments(desk_books *b, int64_t order, desk_payments_view *out, bool *found);
mg_err desk_books_ticket(desk_books *b, int64_t ticket, bool *open, bool *found);
mg_err desk_books_refund(desk_books *b, int64_t order, int64_t cents);
mg_err desk_books_replace(desk_books *b, int64_t order);
mg_err desk_books_readdress(desk_books *b, int64_t order, const char *address);
mg_err desk_books_resolve(desk_books *b, int64_t ticket);

typedef struct desk_conditions {
    bool fixed, clean, closed;
} desk_conditions;

// The reward's own look at the conditions, by aggregates in SQL.
mg_err desk_books_verify(desk_books *b, const desk_task *t, desk_conditions *out);

// ---- the witness: evidence, by a path of its own (support_desk_witness.c)

// Digests of the views above, read back row by row; 0: there is no such row.
mg_err   desk_witness_order(desk_books *b, int64_t order, uint64_t *digest);
mg_err   desk_witness_payments(desk_books *b, int64_t order, uint64_t *digest);
mg_err   desk_witness_ticket(desk_books *b, int64_t ticket, uint64_t *digest);
mg_err   desk_witness_conditions(desk_books *b, const desk_task *t, desk_conditions *out);
// All tables in canonical order, after `size` bytes that are already there. A broken program where
// there is no room.
mg_err   desk_witness_bytes(desk_books *b, char *bytes, size_t room, size_t *size);
uint64_t desk_hash(const void *bytes, size_t size); // FNV-1a, never 0

// The statements, for books and witness.
typedef enum desk_statement {
    DESK_SQL_ORDER, DESK_SQL_PAYMENTS, DESK_SQL_TICKET, DESK_SQL_REFUND, DESK_SQL_REPLACE,
    DESK_SQL_READDRESS, DESK_SQL_RESOLVE, DESK_SQL_VERIFY,
    DESK_SQL_BEGIN, DESK_SQL_COMMIT, DESK_SQL_ROLLBACK,
    DESK_SQL_DROP_CUSTOMERS, DESK_SQL_DROP_CHARGES, DESK_SQL_DROP_TICKETS, DESK_SQL_DROP_ORDERS,
    DESK_SQL_DROP_REFUNDS, DESK_SQL_ALL_ORDERS_GONE, DESK_SQL_ALL_REFUNDS_GONE,
    DESK_SQL_NEW_CUSTOMER, DESK_SQL_NEW_ORDER, DESK_SQL_NEW_CHARGE, DESK_SQL_NEW_TICKET,
    DESK_SQL_LAST_ORDER, DESK_SQL_LAST_REFUND,
    DESK_SQL_ROW_ORDER, DESK_SQL_ROW_CUSTOMER, DESK_SQL_ROWS_RESENT, DESK_SQL_ROWS_CHARGE,
    DESK_SQL_ROWS_REFUND, DESK_SQL_ROW_TICKET,
    DESK_SQL_SCAN_CUSTOMERS, DESK_SQL_SCAN_ORDERS, DESK_SQL_SCAN_CHARGES, DESK_SQL_SCAN_REFUNDS,
    DESK_SQL_SCAN_TICKETS, DESK_STATEMENTS
} desk_statement;

sqlite3_stmt *desk_books_bind(desk_books *b, desk_statement s, int64_t first);
mg_err        desk_books_done(desk_books *b, sqlite3_stmt *s, int code); // resets; DONE or ROW is well
mg_err        desk_books_fail(const desk_books *b, const char *what);

// ---- calls: what is said, what is answered (support_desk_calls.c)

#define DESK_ORDER_SCHEMA(more, names)                                                              \
    "{\"type\":\"object\",\"properties\":{\"order\":{\"type\":\"integer\",\"minimum\":1}" more      \
    "},\"required\":[\"order\"" names "],\"additionalProperties\":false}"

//    id, name, words, effect, reads, writes, idempotent, schema
#define DESK_CALL_LIST(X)                                                                           \
    X(LOOK_ORDER, "look_order", "look order", "pure", "[\"order/*\"]", "[]", "true",                \
      DESK_ORDER_SCHEMA("", ""))                                                                    \
    X(LOOK_PAYMENTS, "look_payments", "look payments", "pure", "[\"payments/*\"]", "[]", "true",    \
      DESK_ORDER_SCHEMA("", ""))                                                                    \
    X(CALL_REFUND, "refund", "refund", "mutating", "[]", "[\"payments/*\"]", "false",               \
      DESK_ORDER_SCHEMA(",\"cents\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000}",      \
                        ",\"cents\""))                                                              \
    X(CALL_REPLACE, "replace", "replace", "mutating", "[]", "[\"order/*\"]", "false",               \
      DESK_ORDER_SCHEMA("", ""))                                                                    \
    X(CALL_ADDRESS, "fix_address", "fix address", "mutating", "[]", "[\"order/*\"]", "true",        \
      DESK_ORDER_SCHEMA(",\"address\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100}",     \
                        ",\"address\""))                                                            \
    X(RESOLVE, "resolve", "resolve", "mutating", "[]", "[\"ticket/*\"]", "true",                    \
      "{\"type\":\"object\",\"properties\":{\"ticket\":{\"type\":\"integer\",\"minimum\":1}},"      \
      "\"required\":[\"ticket\"],\"additionalProperties\":false}")

typedef enum desk_kind {
#define X(id, ...) DESK_##id,
    DESK_CALL_LIST(X)
#undef X
    DESK_KINDS,
    DESK_NO_CALL = DESK_KINDS // what was said is no call
} desk_kind;

typedef struct desk_call {
    desk_kind   kind;
    int64_t     order, cents, ticket; // 0: not among its arguments
    char        address[DESK_ADDRESS_MAX];
    const char *error; // typed, of what cannot be carried out: "not_an_action"; or NULL
    char        given[512]; // bad_arguments: the JSON object as it was said; "": too long to keep
} desk_call;

// What a call came to.
typedef struct desk_answer {
    mg_status          status;
    const char        *error;
    int64_t            took_ns;
    bool               seen; // one of the views is shown
    desk_order_view    order;
    desk_payments_view payments;
} desk_answer;

const char *desk_call_name(desk_kind k);
bool        desk_call_is_fix(desk_kind k, desk_fix *fix);
void desk_call_read(mg_support_desk_form form, const desk_task *t, const mg_value *said, desk_call *out);
void desk_call_own(const desk_task *t, desk_kind k, desk_call *out); // about the ticket's own order
// Arguments as a JSON object; and as an utterance of the form.
void desk_call_arguments(const desk_call *c, char *text, size_t size);
void desk_call_write(mg_support_desk_form form, const desk_call *c, char *text, size_t size);
// Observations.
size_t desk_show_ticket(mg_support_desk_form form, const desk_task *t, char *text, size_t size);
size_t desk_show_answer(mg_support_desk_form form, const desk_task *t, const desk_call *c,
                        const desk_answer *a, char *text, size_t size);
extern const char desk_manifest[];

// ---- the state

// Everything of an episode but the books; plain bytes, whole in a snapshot.
typedef struct desk_episode {
    int64_t         item;
    uint64_t        seed;
    int32_t         calls, timeouts, needed; // made; had; that the task needed
    bool            live;
    desk_conditions held;                    // by the witness, after the last call

    // What scripts remember: what was shown, and nothing more.
    bool            looked;
    desk_order_view shown;                   // at the last look at the order
    bool            told[DESK_FIXES];        // an answer said that it was done
    bool            doubt[DESK_FIXES];       // it ran out of time and was not looked after

    // What mutants remember.
    bool               mutant;               // this episode was drawn
    bool               cached;
    desk_order_view    old_order;            // as before the last call that was to change them
    desk_payments_view old_payments;
    bool               defaulted[DESK_FIXES];
    int32_t            trace_call;           // which call ends in a traceback
    bool               trace_shown;          // as text; else as an error

    size_t size;
    char   text[DESK_TEXT_MAX];              // the last observation
} desk_episode;

typedef struct desk_state {
    desk_books   books;
    desk_task    task;
    desk_episode now;
    int64_t      begun; // episodes of this environment
    // Memory of answers, valid until the next call.
    char       key[32], arguments[DESK_CALL_MAX], choices[DESK_KINDS][DESK_CALL_MAX];
    const char *choice[DESK_KINDS];
    mg_touch   touched[1];
    char       bytes[32768]; // tables in canonical order, for the digest
} desk_state;

static inline const mg_support_desk_world *desk_world(const mg_env *e) { return e->world; }
static inline desk_state *desk_state_of(const mg_env *e) { return e->state; }

// ---- mutants (support_desk_mutants.c): the only places where the world is not what it says

void desk_mutant_begin(const mg_env *e);                  // draws whether this episode is one
bool desk_mutant_dirty(const mg_env *e, uint64_t seed);   // before the reset
mg_err desk_mutant_crash(mg_env *e, bool *shown);         // before a call
void desk_mutant_cache(const mg_env *e, int64_t order);   // before a fix
void desk_mutant_read(const mg_env *e, desk_answer *a);   // a view on its way to the agent
// A fix that is about to be made: whether it takes effect and what is answered.
void desk_mutant_fix(const mg_env *e, desk_fix fix, bool *effect, desk_answer *a);
void desk_mutant_verify(const mg_env *e, desk_conditions *c);
double desk_mutant_reward(const mg_env *e, double reward);

// ---- scripts (support_desk_scripts.c)
extern const mg_script desk_scripts[];
// What an answer tells its reader, for the scripts to remember.
void desk_scripts_heard(desk_state *s, const desk_call *c, const desk_answer *a);
#endif
