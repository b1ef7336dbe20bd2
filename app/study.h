// study.h - DR-PO on the synopsis world, from raw pairs to judged policies: what demo and reproduce
// are made of.
//
// A study lives in a folder: preferences/ and one run per trained arm, the reward model's among them.
#ifndef MG_APP_STUDY_H
#define MG_APP_STUDY_H
#include "app/panel.h"
#include "rewards/preference.h"

typedef struct mg_study {
    const char *folder;
    const char *data;        // pairs
    const char *base;        // starting policy, already SFT
    const char *preferences; // made by mg_study_preferences
    const char *reward;      // run or folder of the reward model
    int64_t     threads;
    mg_arena   *arena;       // borrowed; names live here
} mg_study;

typedef struct mg_label_rule { // how pairs are made and labelled
    int64_t prompts;     // training prompts that are sampled
    int64_t held;        // further prompts, for held-out pairs
    int64_t answers;     // samples per prompt
    int64_t pairs;       // pairs per prompt
    mg_pairing  pairing;     // which two answers are asked about
    double  temperature;
    double  k;           // care of the Bradley-Terry labeller
    bool    human;       // human texts among the candidates
    uint64_t seed;
} mg_label_rule;

typedef struct mg_label_report {
    int64_t answers, pairs, held_pairs;
    double  gold_mean, seconds;
} mg_label_report;

// Samples answers of the base policy, scores them with gold, and writes labelled pairs to
// folder/preferences, train.jsonl last: where it is, both are whole. Errors: MG_INTERRUPTED, MG_EMPTY
// (no pairs, or none held out), and those of models and files.
mg_err mg_study_preferences(mg_study *s, const mg_label_rule *rule, mg_label_report *out) MG_MUST_USE;

// Trains `algo` into folder/name, or goes on where an earlier life stopped; the base policy, the data
// and what the algorithm needs of the rest are filled in. Errors: those of mg_train.
mg_err mg_study_train(mg_study *s, const char *algo, const char *name, const mg_override *overrides,
                      int n, mg_train_result *result) MG_MUST_USE;
#endif
