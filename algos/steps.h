// steps.h - an update's episodes as flat arrays of steps, and how networks read them.
//
// A step is a decision: in a text a token of an answer, which a transformer reads behind all before it; in a world
// of vectors an action, which perceptrons read with what was seen alone. An algorithm on flat arrays need not know
// which: it asks for log-probabilities and values of parts. A part is what can be computed apart from the others: an
// episode of text, a single step of vectors.
#ifndef MG_ALGOS_STEPS_H
#define MG_ALGOS_STEPS_H
#include "algos/episodes.h"
#include "core/rng.h"

// Arrays with one entry per step, episode after episode.
typedef struct mg_steps {
    int64_t  n, count;  // episodes, steps
    int64_t *offset;    // [n + 1] steps of episode i are [offset[i], offset[i + 1])
    uint8_t *role;      // [count] mg_role
    double  *logp_old;  // [count] as sampled
    int64_t  parts;
    int64_t *part;      // [parts + 1] steps of part k are [part[k], part[k + 1])

    mg_answers answers; // texts: answer i is episode i's

    int64_t  in, numbers; // vectors (in > 0): numbers seen, and of an action; numbers 0: a choice
    float   *seen;        // [count, in] normalised
    float   *drawn;       // [count, numbers]
    int32_t *choice;      // [count]
    float  **after;       // [n][in] normalised, seen behind an episode's last step; NULL: the task was over
} mg_steps;

// Borrow the episodes' tokens; everything else lies on the arena. `policy`: by whose constants what was seen is
// normalised.
void mg_steps_of_texts(const mg_episode *episodes, int64_t n, mg_arena *arena, mg_steps *out);
void mg_steps_of_vectors(const mg_episode *episodes, int64_t n, const mg_model *policy, mg_arena *arena, mg_steps *out);

// Steps of turn j, [*first, *behind) among the episode's own.
void mg_steps_of_turn(const mg_episode *e, int64_t j, int64_t *first, int64_t *behind);

// log pi of the steps of parts [begin, end), flat [steps, 1]; entropy [steps] of the policy there, or NULL. Texts at
// `temperature`, vectors as their head is. Errors here and below: MG_LIMIT (context).
mg_err mg_steps_logp(mg_tape *t, mg_model *policy, const mg_steps *s, int64_t begin, int64_t end, double temperature,
                     mg_tensor **logp, float *entropy) MG_MUST_USE;
// V before each of the steps, likewise.
mg_err mg_steps_values(mg_tape *t, mg_model *critic, const mg_steps *s, int64_t begin, int64_t end,
                       mg_tensor **values) MG_MUST_USE;
// V of what was seen behind the last step of episode i, which did not end its task. scratch is reset to its mark.
mg_err mg_steps_value_after(mg_model *critic, mg_team *team, const mg_steps *s, int64_t i, mg_arena *scratch,
                            double *out) MG_MUST_USE;

// Where a portion that begins with part `begin` ends: through which parts one pass with a gradient goes, as
// mg_answers_portion has it for texts.
int64_t mg_steps_portion(const mg_steps *s, int64_t begin, int64_t end);
// How many parts are read at once without a gradient, where an algorithm's setting says `texts` for texts.
int64_t mg_steps_slice(const mg_steps *s, int64_t texts);

// The two above without gradients, of all steps: [count], in slices of parts. scratch is reset to its mark.
mg_err mg_steps_read_logp(mg_model *policy, mg_team *team, const mg_steps *s, double temperature, int64_t slice,
                          mg_arena *scratch, double *out) MG_MUST_USE;
mg_err mg_steps_read_values(mg_model *critic, mg_team *team, const mg_steps *s, int64_t slice, mg_arena *scratch,
                            double *out) MG_MUST_USE;

// Puts steps of vectors into an order drawn from rng, and with them the columns [count] of the caller's; role,
// offset and after stay. Texts stay as they are: their parts share prompts with their neighbours.
void mg_steps_shuffle(mg_steps *s, mg_rng *rng, double *const *columns, int n_columns, mg_arena *scratch);
#endif
