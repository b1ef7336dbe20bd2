// reproduce_drpo.h - the questions of the grid drpo: in a world of its own, each asks where resets
// into reference answers help.
#ifndef MG_APP_REPRODUCE_DRPO_H
#define MG_APP_REPRODUCE_DRPO_H
#include "app/reproduce.h"

extern const mg_question mg_drpo_synopsis, mg_drpo_desk;
#endif
