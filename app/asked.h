// asked.h - how policies are to be asked: what the command line says, and else what their runs say.
//
// A policy is judged as it was trained. Its run.yaml, where it has one, gives the template, the limits
// of prompt and answer and, of the algorithms that sample, the temperature; an option on the command
// line wins. Policies that are judged together are asked alike, so runs that say different things need
// such an option.
#ifndef MG_APP_ASKED_H
#define MG_APP_ASKED_H
#include "app/panel.h"

// A policy's run.yaml: RUN, RUN/model and RUN/checkpoints/000123 are all of RUN. NULL: of no run.
const char *mg_asked_run(const char *policy, mg_arena *arena);
// At which temperature settings sample; -1: their algorithm does not.
double mg_asked_temperature(const mg_settings *s);

typedef struct mg_asked { // as on the command line; NULL: not said
    const char *template, *prompt_max, *response_max, *temperature;
    mg_arena    arena; // of what the runs say
} mg_asked;

#define MG_ASKED_OPTIONS(a)                                                                      \
    {"template", &(a).template, NULL, "TEXT  how a prompt is put to the model (default: the run's)"}, \
    {"prompt-max", &(a).prompt_max, NULL, "N  tokens of a prompt (default: the run's, else 72)"},   \
    {"response-max", &(a).response_max, NULL, "N  tokens of an answer (default: the run's, else 24)"}, \
    {"temperature", &(a).temperature, NULL,                                                       \
     "T  of sampling, 0: greedy (default: the run's, else 0.7)"}

// Fills the four in *o, whose strings live as long as *a. policies [n]: runs, models in them, or
// models of no run. Errors: MG_CONFIG (an option's value; runs that differ, naming both), and those of
// reading a run.yaml.
mg_err mg_asked_resolve(mg_asked *a, const char *const *policies, int n,
                        mg_panel_options *o) MG_MUST_USE;
void   mg_asked_release(mg_asked *a);
#endif
