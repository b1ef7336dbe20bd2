#!/bin/sh
# Other implementations to compare with: a Python environment with pinned packages in build/peers (made
# once, needs a network), and what it computes in build/peer-data, which the slow tests read.
#   tools/peers.sh write    before the slow tests
#   tools/peers.sh check    after them: the other direction, on what the tests wrote
set -eu
cd "$(dirname "$0")/.."
python=build/peers/bin/python data=build/peer-data

case "${1:-}" in
write)
    if [ ! -x "$python" ]; then
        echo "== making a Python environment in build/peers"
        dpkg-query -W python3-venv >/dev/null 2>&1 || tools/deps.sh python
        python3 -m venv build/peers
        build/peers/bin/pip install -q --disable-pip-version-check -r tools/peers.txt
    fi
    rm -rf "$data"
    mkdir -p "$data"
    "$python" tools/peer_models.py write "$data" --seed "${SEED:-1}"
    "$python" tools/peer_tokenizer.py "$data" --seed "${SEED:-1}"
    ;;
check)
    "$python" tools/peer_models.py check "$data"
    "$python" tools/peer_tokenizer.py "$data" --check
    ;;
*)
    echo "usage: tools/peers.sh write|check" >&2
    exit 2
    ;;
esac
