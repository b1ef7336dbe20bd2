// apt.h - the package index of the Debian archive, fetched with this machine's own apt.
//
// Everything apt writes lies in the given folder: apt.conf, apt.log, state/, cache/ and debian.txt,
// the index. The system's sources, keys and proxy settings are read; its package lists, caches and
// locks are not touched, and its hooks after an update do not run. Works as root and as an ordinary
// user. Two fetches into one folder exclude each other by apt's own lock.
#ifndef MG_APP_APT_H
#define MG_APP_APT_H
#include <stddef.h>

#include "core/arena.h"

#define MG_APT_TEXT_MAX ((size_t)512 << 20) // bytes of an index; Debian 12's main has 74 million

// Runs `apt-get update`, then `apt-cache show` over what comes from Debian, and reads the text:
// stanzas with the long descriptions in English. The text belongs to the arena, which needs room
// for it. A signal that the program catches ends the child too. Errors: MG_IO (the sentence says
// how to go on without a network), MG_LIMIT, MG_INTERRUPTED.
mg_err mg_apt_fetch(const char *folder, mg_arena *arena, char **text, size_t *size) MG_MUST_USE;
#endif
