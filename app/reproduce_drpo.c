// reproduce_drpo.c - where do resets into reference answers help? DR-PO (Chang et al. 2024,
// arXiv:2404.08495) against PPO, in several worlds.
#include "app/reproduce_drpo.h"

static const mg_question *const questions[] = {&mg_drpo_synopsis, &mg_drpo_desk, NULL};

const mg_grid mg_grid_drpo = {"drpo", "where do resets into reference answers help?", questions};
