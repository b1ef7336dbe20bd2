#!/bin/sh
# The arrows between folders, checked over the includes. Each argument is "folder:uses,uses"; a
# folder may include itself, what its row names, and what those use.
# Usage (by Meson's test of the same name): tools/layers.sh core: stats:core ...
set -u
for row in "$@"; do printf '%s\n' "$row"; done > "${TMPDIR:-/tmp}/layers.$$"
trap 'rm -f "${TMPDIR:-/tmp}/layers.$$"' EXIT

grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.c' --include='*.h' . |
grep -v '^\./build' |
awk -v rules="${TMPDIR:-/tmp}/layers.$$" '
    # may(a, b): folder a may include folder b. Rows name lower folders only, so this ends.
    function may(a, b,    i, n, parts) {
        if (a == b) return 1
        n = split(uses[a], parts, ",")
        for (i = 1; i <= n; i++) if (may(parts[i], b)) return 1
        return 0
    }
    BEGIN {
        while ((getline line < rules) > 0) {
            split(line, kv, ":"); uses[kv[1]] = kv[2]; known[kv[1]] = 1
        }
    }
    {
        split($0, at, ":"); file = at[1]; sub(/^\.\//, "", file)
        split(file, dirs, "/"); from = dirs[1]
        target = $0; sub(/^[^"]*"/, "", target); sub(/".*$/, "", target)
        split(target, to, "/")
        if (!(from in known)) next
        if (target ~ /\.\./ || index(target, "/") == 0) {
            printf "%s:%s: \"%s\": name it from the root, as \"folder/file.h\"\n", file, at[2], target; bad++
        } else if (!may(from, to[1])) {
            printf "%s:%s: %s may not use %s\n", file, at[2], from, to[1]; bad++
        }
        seen++
    }
    END {
        if (!seen) { print "no include was found: the check looked in the wrong place"; exit 1 }
        printf "%d includes, %d against the arrows\n", seen, bad
        exit bad > 0
    }'
