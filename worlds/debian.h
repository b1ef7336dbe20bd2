// debian.h - pairs (description, synopsis) out of the text of a Debian package index.
//
// The text is what `apt-cache show` prints: stanzas of fields, as Debian Policy 5.1 describes them.
// A description's first line is the synopsis; paragraphs of the long description follow, divided
// by lines " ." (Policy 5.6.13). A pair asks for the synopsis, given the name and the first
// paragraph: prompt "name: paragraph", completion the synopsis.
//
// D1  The result depends on the set of stanzas, not on their order.
// D2  Every stanza becomes a pair or is counted under one reason.
// D3  Packages that share a source package or a first paragraph, directly or through others, lie
//     in the same split.
#ifndef MG_WORLDS_DEBIAN_H
#define MG_WORLDS_DEBIAN_H
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "env/pair.h"

#define MG_DEBIAN_STANZAS_MAX   (1 << 20)
#define MG_DEBIAN_PARAGRAPH_MIN 40 // bytes, after white space is made single
#define MG_DEBIAN_PARAGRAPH_MAX 800
#define MG_DEBIAN_SYNOPSIS_MIN  12
#define MG_DEBIAN_SYNOPSIS_MAX  80 // the limit of the Developer's Reference 6.2.1
// A component with more pairs than this is trained on: held-out data are not to be one project's.
#define MG_DEBIAN_HELD_OUT_COMPONENT_MAX 20

// Why a stanza becomes no pair; the first reason that holds is counted.
#define MG_DEBIAN_DROPS(X)                                                                     \
    X(malformed, "a line is neither a field nor its continuation, or a field occurs twice")    \
    X(package, "no package name, or one that is not allowed")                                  \
    X(area, "from contrib or non-free, not from main")                                         \
    X(synopsis, "no synopsis")                                                                 \
    X(paragraph, "no long description")                                                        \
    X(utf8, "not UTF-8")                                                                       \
    X(control, "a control character")                                                          \
    X(transitional, "a transitional or dummy package")                                         \
    X(paragraph_short, "the first paragraph is too short")                                     \
    X(paragraph_long, "the first paragraph is too long")                                       \
    X(synopsis_short, "the synopsis is too short")                                             \
    X(synopsis_long, "the synopsis is too long")                                               \
    X(same, "paragraph and synopsis are equal")                                                \
    X(duplicate, "paragraph and synopsis of an earlier package")

typedef enum mg_debian_drop {
#define X(name, text) MG_DEBIAN_DROP_##name,
    MG_DEBIAN_DROPS(X)
#undef X
    MG_DEBIAN_DROPS_N,
} mg_debian_drop;

extern const char *const mg_debian_drop_name[MG_DEBIAN_DROPS_N];
extern const char *const mg_debian_drop_text[MG_DEBIAN_DROPS_N];

typedef enum mg_debian_split {
    MG_DEBIAN_TRAIN,
    MG_DEBIAN_VALIDATION,
    MG_DEBIAN_TEST,
    MG_DEBIAN_SPLITS_N,
} mg_debian_split;

typedef struct mg_debian_report {
    int64_t stanzas;
    int64_t dropped[MG_DEBIAN_DROPS_N];
    int64_t pairs;
    int64_t sources;           // source packages among the pairs
    int64_t paragraphs;        // different first paragraphs among them
    int64_t paragraphs_shared; // of these, how many occur in several source packages
    int64_t components, component_largest; // what must not straddle, and the most pairs in one
} mg_debian_report;

typedef struct mg_debian_origin {
    const char *package, *source;
} mg_debian_origin;

typedef struct mg_debian {
    mg_pair          *pairs;  // [begin[MG_DEBIAN_SPLITS_N]] by split, then by package name
    mg_debian_origin *origin; // of the pair at the same place
    int64_t           begin[MG_DEBIAN_SPLITS_N + 1]; // split s is [begin[s], begin[s + 1])
    mg_debian_report  report;
} mg_debian;

// Reads text[0..size) and holds out that many pairs: components in the order of the SHA-256 of
// their first package name fill the test split, then the validation split, each only if it fits;
// the rest is for training. A split comes out smaller only when no component fits any more.
// Everything made belongs to the arena. Errors: MG_EMPTY (no pair is left), MG_LIMIT (stanzas, or
// the arena is too small: it takes about twice the text), MG_CONFIG (nothing would be left to
// train on).
mg_err mg_debian_read(const char *text, size_t size, int64_t validation, int64_t test,
                      mg_arena *arena, mg_debian *out) MG_MUST_USE;
#endif
