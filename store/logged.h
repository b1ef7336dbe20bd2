// logged.h - logged vectors in files: D4RL's layout, which runs read, and Minari's.
//
// D4RL's layout (one HDF5 file; Fu et al. 2020 and its public code), all arrays with as many rows as
// `observations`:
//
//   observations [rows, obs]   actions [rows, act]   rewards [rows]   terminals [rows]   timeouts [rows]
//   may be there: next_observations [rows, obs], infos/qpos [rows, nq], infos/qvel [rows, nv],
//   infos/action_log_probs [rows], metadata/world (the world's name; ours), metadata/... (further texts,
//   which come along as words); of everything else the name alone is kept, in `left`
//
// Minari's (0.5; a folder data/ with metadata.json and main_data.hdf5), episode by episode:
//
//   episode_K/observations [T+1, obs], actions [T, act], rewards, terminations, truncations [T]
//
// Which one a file is follows from what is in it. Terminal and timeout are kept apart; both at one row
// is no fault. A row that ends one of Minari's episodes and is neither becomes a timeout: the next row
// is another episode's, and D4RL's layout has no other way of saying so.
// Arrays of other types than numbers, spaces of several parts and discrete actions are refused.
#ifndef MG_STORE_LOGGED_H
#define MG_STORE_LOGGED_H
#include "store/transitions.h"

// Keys of words (mg_logged_word) that are read, too: "v4" or "v5", the definition of a robot; and how its plant differs
// from that, all factors 1 and no delay where it does not.
#define MG_LOGGED_VERSION     "environment_version"
#define MG_LOGGED_PLANT       "plant"
#define MG_LOGGED_PLANT_WORDS "mass %g, friction %g, gravity %g, action delay %lld"

const char *mg_logged_says(const mg_logged *l, const char *key); // the text of a word; NULL: there is none

// Can a stranger's name of a world be shown and told on? 1 to 64 bytes of UTF-8 without control characters.
#define MG_LOGGED_NAME_MAX 64
bool mg_logged_name(const char *name);
// Other words of a stranger, for a terminal: control characters become blanks.
void mg_logged_blank(char *text);

// Reads a file of either layout, or a folder of Minari's. Belongs to the arena; a set is held once.
// Errors: MG_IO, MG_CORRUPT, MG_LIMIT (more than the arena has room for). They name file, key and row.
mg_err mg_logged_read(const char *path, mg_arena *arena, mg_logged *out) MG_MUST_USE;

// Of one layout, known to be it. `file` is a name for sentences and to open.
mg_err mg_d4rl_read(const char *file, mg_arena *arena, mg_logged *out) MG_MUST_USE;
mg_err mg_minari_read(const char *file, mg_arena *arena, mg_logged *out) MG_MUST_USE;

// Could the file be written? Asked before the work whose result it is to hold; leaves nothing, but the folders on the
// way to it. Errors: MG_BUSY (it is there already), MG_IO.
mg_err mg_d4rl_try(const char *file) MG_MUST_USE;

// Writes D4RL's layout. The file is whole or absent; nothing is overwritten, nor a FILE.tmp, as it is called
// until it is whole. Errors: MG_BUSY (one of the two is there already), MG_IO.
mg_err mg_d4rl_write(const char *file, const mg_logged *l) MG_MUST_USE;

// Writes Minari's layout, folder/data/..., which `minari.load_dataset(id)` finds where `folder` is its
// place, or `MinariDataset("folder/data")`. `id` as Minari wants it: "(namespace/)name-vN". Infos are not
// carried over. The last row of all ends its episode. Where the set says that it is of a world that Gymnasium has, in
// which version and on no shifted plant, `recover_environment` makes that one.
// While it is written it lies beside its place, as folder/data.tmp.
// Errors: MG_BUSY (one of the two is there already), MG_IO, MG_CONFIG (id), MG_UNSUPPORTED (no next
// observations: Minari wants the one behind each episode's last step), MG_MISMATCH (a next
// observation that is not the next row's observation: which row). The last two are about the set, whose name is the
// caller's to put before the sentence.
mg_err mg_minari_write(const char *folder, const char *id, const mg_logged *l, mg_arena *arena) MG_MUST_USE;
#endif
