// logged.c - which of the layouts a file has.
#include "store/logged.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "store/hdf5.h"

bool mg_logged_name(const char *name) {
    const size_t n = strlen(name);
    if (n == 0 || n > MG_LOGGED_NAME_MAX) return false;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0)) return false; // U+0080 to U+009F are controls, too
    json_t    *text = json_string(name); // only of UTF-8
    const bool good = text != NULL;
    json_decref(text);
    return good;
}

void mg_logged_blank(char *text) {
    for (; *text; text++)
        if (iscntrl((unsigned char)*text)) *text = ' ';
}

const char *mg_logged_says(const mg_logged *l, const char *key) {
    for (const mg_logged_word *w = l->words; w && w->key; w++)
        if (strcmp(w->key, key) == 0) return w->text;
    return NULL;
}

// The file in a folder of Minari's: the data set's own, or its data/.
static mg_err main_file(const char *folder, mg_arena *arena, const char **file) {
    static const char *const places[] = {"data/main_data.hdf5", "main_data.hdf5"};
    for (int i = 0; i < 2; i++) {
        *file = mg_path(arena, "%s/%s", folder, places[i]);
        if (mg_file_exists(*file)) return MG_OK;
    }
    return mg_fail(MG_CORRUPT, "%s: found neither %s nor %s, wanted a data set of Minari's in its HDF5 format", folder,
                   places[0], places[1]);
}

mg_err mg_logged_read(const char *path, mg_arena *arena, mg_logged *out) {
    struct stat st;
    mg_hdf5     h;
    mg_err      err = MG_OK;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) err = main_file(path, arena, &path);
    if (!err) err = mg_hdf5_open(&h, path);
    if (err) return err;
    const bool d4rl = mg_hdf5_has(&h, "observations"), minari = mg_hdf5_has(&h, "episode_0");
    mg_hdf5_close(&h);
    if (d4rl) return mg_d4rl_read(path, arena, out);
    if (minari) return mg_minari_read(path, arena, out);
    return mg_fail(MG_CORRUPT, "%s: found neither observations (D4RL) nor episode_0 (Minari)", path);
}
