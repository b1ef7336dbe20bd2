#!/bin/sh
# Runs the tests and ends with one line, "N passed, N failed".
#   short   every quick test, built with gcc and with clang
#   asan    the quick tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan    the quick tests under ThreadSanitizer; none is left out: our threads are the only ones, as oneDNN
#           is called by each of them with one thread of its own (ops/matmul.c), so libgomp starts none
#   long    the slow tests, with what they compare against made first
# Each test is a process of its own with a time limit. The exit status is 0 only when none failed.
set -u
cd "$(dirname "$0")/.."
tools/deps.sh clang || exit 1
tools/mujoco.sh # what needs it says so where it cannot be had
passed=0 failed=0

# build FOLDER COMPILER [meson options]
build() {
    folder=$1 compiler=$2
    shift 2
    if [ ! -f "$folder/build.ninja" ]; then
        CC=$compiler meson setup "$folder" "$@" >"$folder.log" 2>&1 || { cat "$folder.log"; return 1; }
        rm -f "$folder.log"
    fi
    ninja -C "$folder" --quiet
}

# run FOLDER SUITE: adds to the counts; a build that fails is a failure of its own
run() {
    echo "== $1"
    if ! build "$@"; then
        failed=$((failed + 1))
        return
    fi
    suite=$SUITE
    meson test -C "$1" --no-rebuild --suite "$suite" --print-errorlogs --timeout-multiplier 4 --num-processes "$(nproc)" |
        grep -v '^ninja: ' | tee "$1/test.out"
    passed=$((passed + $(sed -n 's/^Ok: *//p' "$1/test.out" | grep . || echo 0)))
    for kind in Fail Timeout 'Unexpected Pass'; do
        failed=$((failed + $(sed -n "s/^$kind: *//p" "$1/test.out" | grep . || echo 0)))
    done
}

case "${1:-short}" in
short) SUITE=short; run build gcc; run build-clang clang ;;
asan)  SUITE=short; run build-asan gcc -Db_sanitize=address,undefined -Doptimization=1 ;;
tsan)  SUITE=short; run build-tsan gcc -Db_sanitize=thread -Doptimization=1 ;;
long)
    SUITE=long
    MG_PEER_DIR=$(pwd)/build/peer-data
    export MG_PEER_DIR
    build build gcc && tools/peers.sh write && run build gcc
    if tools/peers.sh check; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    ;;
*)     echo "usage: tools/test.sh short|asan|tsan|long" >&2; exit 2 ;;
esac

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
