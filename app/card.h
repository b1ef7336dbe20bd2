// card.h - a data card, for people and for programs.
#ifndef MG_APP_CARD_H
#define MG_APP_CARD_H
#include "app/json.h"
#include "store/data_card.h"

// path: of the set. words: what it says of itself, NULL: nothing. says [n]: what mg_data_card_says.
json_t *mg_card_json(const char *path, const mg_data_card *c, const mg_logged_word *words, const char *const *says,
                     int n);
void    mg_card_print(const char *path, const mg_data_card *c, const mg_logged_word *words, const char *const *says,
                      int n);
#endif
