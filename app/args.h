// args.h - the words of a command line, against a list of what a verb takes.
#ifndef MG_APP_ARGS_H
#define MG_APP_ARGS_H
#include <stdbool.h>

#include "train/job.h"

#define MG_ARGS_MAX 256 // words on a command line

// One option of a verb. value NULL: a switch that sets *on.
typedef struct mg_option {
    const char  *name;    // without the dashes; NULL ends the list
    const char **value;
    bool        *on;
    const char  *meaning; // for --help: "N  what it does", the value's name first
} mg_option;

typedef struct mg_args {
    const char *words[MG_ARGS_MAX]; // positional
    int         n_words;
    mg_override overrides[MG_ARGS_MAX]; // --key value that no option of the verb claims
    int         n_overrides;
    bool        help;
} mg_args;

// "--name value", "--name=value", switches, and words; in names, - and _ are the same. overrides: unclaimed
// options that may be keys of a configuration are kept for it; others are refused, before what is wrong with a value.
// Error: MG_CONFIG.
mg_err mg_args_parse(mg_args *out, int argc, char **argv, const mg_option *options,
                     bool overrides) MG_MUST_USE;

void mg_args_help(const mg_option *options, FILE *out);

// A whole number from an option's value. Error: MG_CONFIG, naming the option.
mg_err mg_args_int(const char *name, const char *value, int64_t min, int64_t max,
                   int64_t *out) MG_MUST_USE;

// The same for a decimal number.
mg_err mg_args_real(const char *name, const char *value, double min, double max,
                    double *out) MG_MUST_USE;
#endif
