// npg.c - DR-PO with the natural-policy-gradient oracle, tabular and exact.
//
// Chang et al. 2024, arXiv:2404.08495v3. Lines quoted in the code are those of Algorithm 3; letters
// and deviations are listed in npg.h.
#include "algos/drpo/npg.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

mg_err mg_mdp_lock(int A, int H, double p_right, double decoy, mg_mdp *out) {
    if (A < 2 || A > MG_MDP_ACTIONS_MAX)
        return mg_fail(MG_CONFIG, "lock: A = %d, wanted 2..%d tokens", A, MG_MDP_ACTIONS_MAX);
    if (H < 1 || H > MG_MDP_STATES_MAX)
        return mg_fail(MG_CONFIG, "lock: H = %d, wanted 1..%d steps", H, MG_MDP_STATES_MAX);
    if (!(p_right > 0 && p_right < 1))
        return mg_fail(MG_CONFIG, "lock: p_right = %g, wanted between 0 and 1", p_right);
    if (!(decoy >= 0 && decoy <= 1))
        return mg_fail(MG_CONFIG, "lock: decoy = %g, wanted 0..1", decoy);

    *out = (mg_mdp){.S = H, .A = A, .H = H, .r_max = 1}; // .reference: token 0 everywhere
    for (int h = 0; h < H; h++) {
        for (int a = 0; a < A; a++) {
            out->next[h][a] = a == 0 ? h + 1 : H;
            out->sft[h][a]  = a == 0 ? p_right : (1 - p_right) / (A - 1);
        }
    }
    for (int a = 1; a < A; a++) out->r[0][a] = decoy;
    out->r[H - 1][0] = 1;
    return MG_OK;
}

double mg_mdp_value(const mg_mdp *m, mg_table pi) {
    double V[MG_MDP_STATES_MAX + 1] = {0};
    for (int s = m->S - 1; s >= 0; s--)
        for (int a = 0; a < m->A; a++) V[s] += pi[s][a] * (m->r[s][a] + V[m->next[s][a]]);
    return V[0];
}

// The Lagrangian's zero: pi_{t+1} is proportional to
//     pi_SFT^(eta lambda / (eta lambda + 1)) pi_t^(1 / (eta lambda + 1))
//         exp(eta / (eta lambda + 1) Q_t)
void mg_npg_mirror_step(int A, const double *Q, const double *sft, const double *pi, double lambda,
                        double eta, double *out) {
    const double w   = 1 / (eta * lambda + 1);
    double       top = -INFINITY, sum = 0;
    for (int a = 0; a < A; a++) {
        out[a] = (1 - w) * log(sft[a]) + w * log(pi[a]) + eta * w * Q[a];
        top    = fmax(top, out[a]);
    }
    for (int a = 0; a < A; a++) sum += out[a] = exp(out[a] - top);
    for (int a = 0; a < A; a++) out[a] /= sum;
}

mg_err mg_npg_init(mg_npg *z, const mg_mdp *mdp, const mg_npg_config *config, uint64_t seed) {
    MG_ASSERT(mdp->S > 0 && mdp->S <= MG_MDP_STATES_MAX);
    MG_ASSERT(mdp->A > 0 && mdp->A <= MG_MDP_ACTIONS_MAX);
    for (int s = 0; s < mdp->S; s++)
        for (int a = 0; a < mdp->A; a++)
            MG_ASSERT(mdp->next[s][a] > s && mdp->next[s][a] <= mdp->S);

    // Unrolled, the closed form says |ln(pi_t / pi_SFT)| <= r_max / lambda; a double's exponent
    // ends at e^-745.
    const double lambda_min = mdp->r_max / 500;
    const struct {
        const char *name;
        double      value, min, max;
    } fields[] = {
        {"rollouts", config->rollouts, 1, MG_NPG_ROLLOUTS_MAX},
        {"lambda", config->lambda, lambda_min, MG_NPG_LAMBDA_MAX},
        {"eta", config->eta, MG_NPG_ETA_MIN, MG_NPG_ETA_MAX},
        {"reset_share", config->reset_share, 0, 1},
        {"reference_share", config->reference_share, 0, 1},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value >= fields[i].min && fields[i].value <= fields[i].max))
            return mg_fail(MG_CONFIG, "npg: %s = %g, wanted %g..%g", fields[i].name,
                           fields[i].value, fields[i].min, fields[i].max);

    *z = (mg_npg){.mdp = *mdp, .config = *config};
    z->rng = mg_rng_stream(seed, MG_PURPOSE_SAMPLE, 0);
    memcpy(z->pi, mdp->sft, sizeof z->pi); // pi_1 = pi_SFT
    return MG_OK;
}

static int draw(mg_rng *rng, const double *p, int A) {
    double u = mg_rng_uniform(rng);
    int    a = 0;
    while (a < A - 1 && (u -= p[a]) >= 0) a++;
    return a;
}

// tau ~ D_TR; h ~ Unif{1, ..., H}; the state of tau at step h, or S if tau was over before.
static int reset_state(mg_npg *z) {
    const mg_mdp *m         = &z->mdp;
    const bool    reference = mg_rng_uniform(&z->rng) < z->config.reference_share;
    const int     h         = 1 + (int)mg_rng_below(&z->rng, (uint64_t)m->H);
    int           s         = 0;
    for (int i = 1; i < h && s < m->S; i++)
        s = m->next[s][reference ? m->reference[s] : draw(&z->rng, m->sft[s], m->A)];
    return s;
}

// (s, a, y): over all tables f, sum (f(s, a) - y)^2 is least at the mean of the targets.
static void regress(mg_npg *z, int s, int a, double y) {
    z->n[s][a] += 1;
    z->Q[s][a] += (y - z->Q[s][a]) / z->n[s][a];
}

// a ~ first in s, then follow pi_t to the end; y of a pair is the reward from there on.
// Targets for the first pair alone, or for all.
static void roll_out(mg_npg *z, int s, const double *first, bool first_only) {
    const mg_mdp *m = &z->mdp;
    int           n = 0, path_s[MG_MDP_STATES_MAX], path_a[MG_MDP_STATES_MAX];
    for (const double *p = first; s < m->S; p = z->pi[s]) {
        const int a = draw(&z->rng, p, m->A);
        path_s[n] = s, path_a[n++] = a;
        s = m->next[s][a];
    }
    double y = 0;
    while (n-- > 0) {
        y += m->r[path_s[n]][path_a[n]];
        if (n == 0 || !first_only) regress(z, path_s[n], path_a[n], y);
    }
}

void mg_npg_iterate(mg_npg *z) {
    const mg_mdp        *m = &z->mdp;
    const mg_npg_config *c = &z->config;
    memset(z->Q, 0, sizeof z->Q);
    memset(z->n, 0, sizeof z->n);

    // for n = 1, ..., N_0
    for (int n = 0; n < c->rollouts; n++) {
        mg_rng_seek(&z->rng, (uint32_t)n, 0, (uint32_t)z->t);
        if (mg_rng_uniform(&z->rng) >= c->reset_share) {
            roll_out(z, 0, z->pi[0], false);
            continue;
        }
        // h ~ Unif{1, ..., H}; s is the state at step h of tau
        const int s = reset_state(z);
        if (s == m->S) continue; // nothing is left to decide, so nothing to learn

        // line 8: a ~ 1/2 pi_SFT(.|s) + 1/2 pi_t(.|s), then pi_t;  y = sum of r from h on
        double first[MG_MDP_ACTIONS_MAX];
        for (int a = 0; a < m->A; a++) first[a] = 0.5 * m->sft[s][a] + 0.5 * z->pi[s][a];
        roll_out(z, s, first, true);
    }

    // pi_{t+1}(.|s) = argmin_p  <-Q_t(s, .), p> + lambda KL(p || pi_SFT) + 1/eta KL(p || pi_t)
    for (int s = 0; s < m->S; s++)
        mg_npg_mirror_step(m->A, z->Q[s], m->sft[s], z->pi[s], c->lambda, c->eta, z->pi[s]);
    z->t++;
}

double mg_npg_run(mg_npg *z, int T) {
    MG_ASSERT(T > 0);
    double sum = 0;
    for (int t = 1; t <= T; t++) {
        sum += mg_mdp_value(&z->mdp, z->pi);
        mg_npg_iterate(z);
    }
    return sum / T;
}
