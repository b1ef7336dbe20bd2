#!/bin/sh
# Other implementations to compare with: a Python environment with pinned packages in build/peers (made
# once, needs a network), and what it computes in build/peer-data, which the slow tests read.
#   tools/peers.sh write    before the slow tests
#   tools/peers.sh check    after them: the other direction, on what the tests wrote
#   tools/peers.sh bench    what `martingale bench --peers` starts, too; build/peers/bench says that it is there
# Checksums of the pins lie beside what they led to (build/peers/base, build/peers/bench): others are installed anew.
set -eu
cd "$(dirname "$0")/.."
python=build/peers/bin/python data=build/peer-data

install() { "$python" -m pip install -q --disable-pip-version-check "$@"; }

# pinned MARKER FILE...: was MARKER written for these very pins?
pinned() {
    marker=$1
    shift
    [ -f "$marker" ] && cksum "$@" | cmp -s - "$marker"
}

environment() {
    [ -x "$python" ] && pinned build/peers/base tools/peers.txt && return
    echo "== making a Python environment in build/peers"
    dpkg-query -W python3-venv >/dev/null 2>&1 || tools/deps.sh python
    [ -x "$python" ] || python3 -m venv build/peers
    install -r tools/peers.txt
    cksum tools/peers.txt >build/peers/base
}

# Only the benchmarks compare with these.
bench() {
    set -- tools/peers.txt tools/peers_bench.txt
    pinned build/peers/bench "$@" tools/peers_llama_cpp.txt && return
    echo "== adding what only the benchmarks compare with"
    install -r tools/peers.txt -r tools/peers_bench.txt
    # Compiled here, for this processor: half an hour of two cores. Where that fails its row goes without, and it
    # is tried again the next time.
    if CMAKE_ARGS=-DGGML_NATIVE=ON install -r tools/peers_llama_cpp.txt; then
        set -- "$@" tools/peers_llama_cpp.txt
    else
        echo "llama.cpp does not build here; its row will say so" >&2
    fi
    cksum "$@" >build/peers/bench
}

case "${1:-}" in
write)
    environment
    rm -rf "$data"
    mkdir -p "$data"
    "$python" tools/peer_models.py write "$data" --seed "${SEED:-1}"
    "$python" tools/peer_tokenizer.py "$data" --seed "${SEED:-1}"
    "$python" tools/peer_hdf5.py write "$data" --seed "${SEED:-1}"
    # Seeds that no file names, four for each robot and version; SEED plays those of an earlier run again.
    robots=${SEED:-$(date +%s)}
    echo "== robots of seeds $robots to $((robots + 3))"
    "$python" tools/robots_peer.py "$data/robots" --seed "$robots" --seeds 4
    ;;
check)
    "$python" tools/peer_models.py check "$data"
    "$python" tools/peer_tokenizer.py "$data" --check
    "$python" tools/peer_hdf5.py check "$data"
    ;;
bench)
    tools/deps.sh bench
    environment
    bench
    ;;
*)
    echo "usage: tools/peers.sh write|check|bench" >&2
    exit 2
    ;;
esac
