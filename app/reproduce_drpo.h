// reproduce_drpo.h - the questions of the grid drpo: in a world of its own, each asks where resets
// into reference answers help.
#ifndef MG_APP_REPRODUCE_DRPO_H
#define MG_APP_REPRODUCE_DRPO_H
#include "app/reproduce.h"
#include "app/reproduce_drpo_map.h"

extern const mg_question mg_drpo_synopsis, mg_drpo_desk, mg_drpo_lock;

// The squares of mg_drpo_lock's map, of which any may have no cell yet: gains and their intervals from rows,
// what each seed came to from the cells in `folder`. Errors: MG_CORRUPT, MG_IO.
mg_err mg_drpo_map_read(const char *folder, const json_t *rows, mg_arena *arena,
                        mg_map_square squares[MG_MAP_SQUARES]) MG_MUST_USE;
#endif
