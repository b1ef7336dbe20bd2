// spaces.h - which worlds an algorithm is for, and perceptron policies that fit a world's spaces.
//
// A world of texts shows and takes texts. A world of vectors shows numbers, and takes a choice or numbers that
// each lie within +-high. Others there are none for.
#ifndef MG_ALGOS_SPACES_H
#define MG_ALGOS_SPACES_H
#include "algos/algo.h"

bool mg_spaces_texts(const mg_env_class *world);
bool mg_spaces_vectors(const mg_env_class *world);

// Is the algorithm for this world? Error: MG_CONFIG, with what the world has and the algorithm is for.
mg_err mg_spaces_suit(const mg_algo *algo, const mg_env_class *world) MG_MUST_USE;

// Does a policy fit a world of vectors? `name` (its folder) begins the sentence. Error: MG_CONFIG, with the
// numbers found and wanted.
mg_err mg_spaces_fit(const mg_model_config *policy, const mg_env_class *world, const char *name) MG_MUST_USE;

// The policy that the job starts from: its folder's, which must have that head, or a new one of the job's network
// drawn from its seed, which computes as the job says. Owned by the caller.
// Errors: MG_CONFIG (another head, and as above; a network that cannot be), those of loading it.
mg_err mg_spaces_policy(const mg_job *job, mg_mlp_head head, bool trained, mg_model **out) MG_MUST_USE;

// The word of a head, such as "gaussian".
const char *mg_spaces_head_name(mg_mlp_head head);
#endif
