#!/bin/sh
# Other implementations to compare with: a Python environment with pinned packages in build/peers (made
# once, needs a network), and what it computes in build/peer-data, which the slow tests read.
#   tools/peers.sh write    before the slow tests
#   tools/peers.sh check    after them: the other direction, on what the tests wrote
#   tools/peers.sh bench    what `martingale bench --peers` starts, too; build/peers/bench says that it is there
set -eu
cd "$(dirname "$0")/.."
python=build/peers/bin/python data=build/peer-data

install() { "$python" -m pip install -q --disable-pip-version-check "$@"; }

environment() {
    [ -x "$python" ] && return
    echo "== making a Python environment in build/peers"
    dpkg-query -W python3-venv >/dev/null 2>&1 || tools/deps.sh python
    python3 -m venv build/peers
    install -r tools/peers.txt
}

case "${1:-}" in
write)
    environment
    rm -rf "$data"
    mkdir -p "$data"
    "$python" tools/peer_models.py write "$data" --seed "${SEED:-1}"
    "$python" tools/peer_tokenizer.py "$data" --seed "${SEED:-1}"
    ;;
check)
    "$python" tools/peer_models.py check "$data"
    "$python" tools/peer_tokenizer.py "$data" --check
    ;;
bench)
    tools/deps.sh bench
    environment
    if [ ! -f build/peers/bench ]; then
        echo "== adding what only the benchmarks compare with"
        install -r tools/peers.txt -r tools/peers_bench.txt
        # Compiled here, for this processor: half an hour of two cores. Its row goes without where that fails.
        CMAKE_ARGS=-DGGML_NATIVE=ON install -r tools/peers_llama_cpp.txt ||
            echo "llama.cpp does not build here; its row will say so" >&2
        touch build/peers/bench
    fi
    ;;
*)
    echo "usage: tools/peers.sh write|check|bench" >&2
    exit 2
    ;;
esac
