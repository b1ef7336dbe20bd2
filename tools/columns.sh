#!/bin/sh
# No line of C is longer than 120 characters, as CONTRIBUTING.md says.
set -u
export LC_ALL=C.UTF-8
if git ls-files '*.c' '*.h' | xargs -r grep -nE '^.{121,}'; then
    echo "these lines are longer than 120 characters" >&2
    exit 1
fi
