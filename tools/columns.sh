#!/bin/sh
# No line of C is longer than 120 characters, as CONTRIBUTING.md says.
set -u
export LC_ALL=C.UTF-8
files=$(find . \( -path ./.git -o -path './build*' \) -prune -o -name '*.[ch]' -print)
if [ -z "$files" ]; then
    echo "no file of C was found: the check looked in the wrong place" >&2
    exit 1
fi
long=$(printf '%s\n' "$files" | xargs grep -nE '^.{121,}' /dev/null)
if [ -n "$long" ]; then
    printf '%s\nthese lines are longer than 120 characters\n' "$long" >&2
    exit 1
fi
