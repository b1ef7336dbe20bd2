#!/bin/sh
# The harness and its drivers know no world: no action, table, field or key of a bundled world may be
# named there. Names are taken from the compiled worlds, where manifests and SQL stand as whole texts
# however the source puts them together.
#   compound names (look_up, a-b), tables, and beginnings of keys ("thing/")   nowhere in the code
#   plain words, which may be English                                          not as a text in quotes
# In harness/ the former may not occur in comments and README either. Words that are the contract's own
# (identifiers in env/*.h and core/*.h) do not count.
# Usage (by Meson's test of the same name): tools/neutral.sh OBJECTS_OF_WORLDS FOLDER ...
set -eu
objects=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! grep -q '\.manifest *=' worlds/*.c; then
    echo "no world has a manifest: there is no name to look for"
    exit 0
fi
cat "$objects"/*.o | tr -c '[:print:]' '\n' | tr -s '\n' > "$work/texts"
# What a pattern matches, brought down to the name in it.
names() { { grep -oE "$1" "$work/texts" || true; } | sed -E "$2" | sort -u; }

names '"name": ?"[^"]+"' 's/.*"([^"]*)"$/\1/' > "$work/words"
[ -s "$work/words" ] || { echo "$objects: no name was found there: the check looked in the wrong place"; exit 1; }
names '"[A-Za-z_]+": ?\{' 's/^"([^"]*)".*/\1/' >> "$work/words"
names '[a-z_]+ (integer|text|real|blob)[ ,)]' 's/ .*//' >> "$work/words"
names 'create table (if not exists )?[a-z_]+' 's/.* //' > "$work/sure"
names '"(reads|writes)": ?\[[^]]*\]' 's/^[^[]*//' | { grep -oE '"[^"]*[/*]' || true; } | tr -d '"*' >> "$work/sure"
sed 's|//.*||' env/*.h core/*.h | grep -oE '[A-Za-z]+' | sort -u > "$work/contract"
{ grep -xE '[A-Za-z][A-Za-z0-9_-]*' "$work/words" || true; } | grep -vxFf "$work/contract" | sort -u > "$work/ours"
grep '[_-]' "$work/ours" >> "$work/sure" || true
grep -v '[_-]' "$work/ours" > "$work/plain" || true

# Two copies of what is searched: with comments (harness/) or without, and code without comments.
mkdir "$work/all" "$work/code"
find "$@" -type f \( -name '*.[ch]' -o -name '*.md' -o -name meson.build \) | while read -r file; do
    flat=$(echo "$file" | tr / :)
    sed 's|//.*||' "$file" > "$work/code/$flat"
    case $file in harness/*) cp "$file" "$work/all/$flat" ;; *) cp "$work/code/$flat" "$work/all/$flat" ;; esac
done
sort -u "$work/sure" | while read -r name; do
    case $name in */) end='' ;; *) end='([^A-Za-z0-9_-]|$)' ;; esac
    (cd "$work/all" && grep -nE -e "(^|[^A-Za-z0-9_-])$name$end" -- * /dev/null) | sed "s|\$|    <- '$name'|" || true
done > "$work/found"
while read -r name; do
    (cd "$work/code" && grep -nF -e "\"$name\"" -- * /dev/null) | sed "s|\$|    <- '$name'|" || true
done < "$work/plain" >> "$work/found"

cat "$work/found"
echo "$(sort -u "$work/sure" "$work/plain" | wc -l) names of worlds, found in $(wc -l < "$work/found") lines"
[ ! -s "$work/found" ]
