// demo_report.h - what the demo found: the table, the checks and report.html.
#ifndef MG_APP_DEMO_REPORT_H
#define MG_APP_DEMO_REPORT_H
#include "app/study.h"

enum { MG_DEMO_SFT, MG_DEMO_DPO, MG_DEMO_PPO, MG_DEMO_DRPO, MG_DEMO_POLICIES,
       MG_DEMO_HUMAN = MG_DEMO_POLICIES, MG_DEMO_ROWS };

typedef struct mg_demo_result {
    const char     *folder;
    int64_t         updates;          // of PPO and of DR-PO
    double          budget, seconds;
    mg_label_report labels;
    double          rm_accuracy;
    mg_judged      *judged[MG_DEMO_ROWS]; // [panel rows]; the people's answers last
    int64_t         unclean[MG_DEMO_POLICIES];
    double          rate[MG_DEMO_POLICIES]; // answer tokens per second while judged
} mg_demo_result;

// Prints the table, writes folder/results.json and folder/report.html. *kept: PPO and DR-PO raised
// the reward model's score over SFT, each with a 99 % interval of the paired difference.
mg_err mg_demo_publish(mg_panel *p, const mg_demo_result *r, bool *kept) MG_MUST_USE;
#endif
