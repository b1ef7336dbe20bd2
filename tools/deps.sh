#!/bin/sh
# Installs the Debian packages that are missing, and says which. Nothing is asked for or fetched when
# all are there. docs/DEPENDENCIES.md says what each is for.
set -eu

needed="gcc libc6-dev pkg-config meson ninja-build libdnnl-dev libcmocka-dev libjansson-dev libyaml-dev
libpcre2-dev libutf8proc-dev libsqlite3-dev libhdf5-dev libssl-dev libglib2.0-dev"
case "${1:-}" in
clang)  needed="$needed clang libclang-rt-14-dev" ;;
python) needed="$needed python3 python3-venv" ;;
bench)  needed="$needed python3 python3-venv python3-dev g++" ;; # what torch.compile calls
esac

missing=""
for package in $needed; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
        missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "These are missing, and there is no apt-get to install them:$missing" >&2
    exit 1
fi
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of words
$as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
