// json.h - what verbs print and keep for programs.
#ifndef MG_APP_JSON_H
#define MG_APP_JSON_H
#include <jansson.h>

#include "train/evaluate.h"

// Prints to stdout, indented, and takes the value. NULL is what json_pack makes of a text that is no UTF-8.
// Errors: MG_CORRUPT (NULL; nothing is printed), MG_IO.
mg_err mg_json_print(json_t *root) MG_MUST_USE;

// Writes atomically and takes the value. Errors: MG_CORRUPT as above, MG_NOMEM, MG_IO.
mg_err mg_json_write(const char *path, json_t *root) MG_MUST_USE;

// null for what is no finite number, which JSON does not have.
json_t *mg_json_number(double x);
// {estimate, low, high, n}; null where there is no number.
json_t *mg_json_mean(const mg_mean *m);
// {estimate, low, high, n, decided}; null where no row could be compared
json_t *mg_json_duel(const mg_duel *d);
#endif
