// watch_reward.c - a reward is a claim like any other: against its range, its grid, and what the
// state earns.
#include <float.h>
#include <math.h>

#include "harness/note.h"

// Differences below this are arithmetic, not rounding: a thousandth of the declared step, or a
// millionth of the range, which leaves room for an environment that computes in single precision.
static double tolerance(const mg_manifest *m, double size) {
    if (m && m->has_resolution) return 1e-3 * m->resolution;
    const double range = m && m->has_range ? m->max - m->min : 0;
    return 1e-6 * fmax(fmax(1, range), fabs(size));
}

void mg_watch_pay(mg_watch *w, const mg_reward *paid, const mg_reward *owed) {
    double p, o;
    if (paid->kind == MG_REWARD_INVALID)
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_INVALID, w->turns,
                        "the reward is no reward: %s",
                        paid->reason ? paid->reason : "no reason given");
    // Evidence that is none must not turn the comparison off.
    if (owed->kind == MG_REWARD_INVALID)
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_INVALID, w->turns,
                        "what the state earns is no number: %s",
                        owed->reason ? owed->reason : "no reason given");
    if (!mg_reward_value(paid, &p)) return;
    if (!isfinite(p)) {
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_INVALID, w->turns,
                        "the reward is not a finite number");
        return;
    }
    if (fabs(p) > (double)FLT_MAX) {
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_INVALID, w->turns,
                        "the reward, %g, is none that single precision holds, in which all is learnt", p);
        return;
    }
    if (!mg_reward_value(owed, &o) || !isfinite(o)) return;
    w->paid += p, w->owed += o, w->weighed++;
    if (w->differs_at < 0 && fabs(w->paid - w->owed) > tolerance(w->manifest, w->owed))
        w->differs_at = w->turns;
}

// What one condition of the task is worth; 0: not known.
static double worth(const mg_watch *w) {
    const mg_manifest *m = w->manifest;
    return m && m->has_range && w->conditions > 0 ? (m->max - m->min) / w->conditions : 0;
}

// Less than a condition is a rounding. On a grid a condition's worth may be half a step less: of
// three conditions on a grid of hundredths, .33. So is the nearest whole number; unless the task
// pays its conditions by the count, and the number is what more of them would earn: a false
// resolution's mark.
static bool is_rounding(const mg_watch *w) {
    const mg_manifest *m     = w->manifest;
    const double half = m && m->has_resolution ? m->resolution / 2 : 0,
                 slack = tolerance(m, w->owed);
    const double       gap   = fabs(w->paid - w->owed), each = worth(w);
    const bool whole   = fabs(w->paid - nearbyint(w->paid)) <= slack && gap <= 0.5;
    const bool counted = each > 0 && fabs(w->owed - (m->min + each * w->held)) <= half + slack;
    return gap < each - half - slack || (whole && (w->paid < w->owed || (gap < 0.5 && !counted)));
}

static void against_state(mg_watch *w, double total) {
    const mg_manifest *m   = w->manifest;
    const double       gap = fabs(w->paid - w->owed), slack = tolerance(m, w->owed);
    if (w->weighed > 0 && gap > slack)
        mg_finding_note(&w->finding, MG_QUARANTINED, is_rounding(w) ? MG_V_ROUNDED : MG_V_WRONG,
                        w->differs_at,
                        "the reward pays %.9g, the state earns %.9g (%d of %d conditions hold)",
                        w->paid, w->owed, w->held, w->conditions);
    // Of some of it nobody says what is owed, but the highest return is for a task that is done.
    const bool vouched = w->weighed > 0 && fabs(total - w->paid) <= slack;
    if (!vouched && worth(w) > 0 && w->held < w->conditions && total >= m->max - slack)
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_WRONG, -1,
                        "the return is the highest, %.9g, but %d of %d conditions hold", total,
                        w->held, w->conditions);
}

static bool on_grid(double x, double from, double step, double slack) {
    const double k = nearbyint((x - from) / step);
    return fabs(x - (from + k * step)) <= slack;
}

static void against_range(mg_watch *w, double total) {
    const mg_manifest *m     = w->manifest;
    const double       slack = tolerance(m, total);
    if (m && m->has_range && (total < m->min - slack || total > m->max + slack))
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_RANGE, -1,
                        "the return is %.9g, the manifest promises %.9g to %.9g", total, m->min,
                        m->max);
}

static void against_grid(mg_watch *w, double total) {
    const mg_manifest *m = w->manifest;
    if (m && m->has_resolution &&
        !on_grid(total, m->has_range ? m->min : 0, m->resolution, tolerance(m, total)))
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_ROUNDED, -1,
                        "the return is %.9g, the manifest promises steps of %.9g", total,
                        m->resolution);
}

void mg_watch_settle(mg_watch *w, bool wants_reward, const mg_reward *total) {
    double x = NAN;
    if (mg_reward_value(total, &x) && isfinite(x)) {
        against_range(w, x);
        against_state(w, x);
        against_grid(w, x);
    } else if (total->kind != MG_REWARD_ABSENT)
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_INVALID, -1,
                        "the return is no reward: %s",
                        total->reason ? total->reason : "not a finite number");
    else if (wants_reward)
        mg_finding_note(&w->finding, MG_QUARANTINED, MG_V_ABSENT, -1, "no return: %s",
                        total->reason ? total->reason : "nobody has said");
    else
        against_state(w, NAN); // what was paid on the way is a claim all the same
}
