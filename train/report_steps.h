// report_steps.h - an episode of numbers as a table: a row per step, rounded.
#ifndef MG_TRAIN_REPORT_STEPS_H
#define MG_TRAIN_REPORT_STEPS_H
#include <stdio.h>

#include "env/episode.h"
#include "rollout/numbers.h"

#define MG_REPORT_STEPS 100 // shown of an episode's beginning, and as many of its end

// The return, and the steps with what was seen, done and paid, four digits of each number. Where the record holds no
// observation there is a dash.
void mg_report_steps(FILE *out, const mg_episode *e, const mg_numbers *n);
#endif
