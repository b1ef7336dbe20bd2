#!/bin/sh
# MuJoCo's C library with its headers, and Gymnasium's robots, into build/mujoco: from the two published
# wheels of tools/mujoco.txt, whose SHA-256 pip compares. Nothing is fetched when they are there. The wheels
# are only unpacked: nothing of them is installed or run but the library.
# Exit status 1, saying what is missing, where they cannot be had: everything else builds and runs without.
set -eu
cd "$(dirname "$0")/.."
to=build/mujoco
[ -f "$to/pins" ] && cmp -s "$to/pins" tools/mujoco.txt && exit 0

python3 -m pip --version >/dev/null 2>&1 || tools/deps.sh python || true
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
echo "fetching MuJoCo and its robots (10 MB)"
pip=python3
if ! python3 -m pip --version >/dev/null 2>&1; then # Debian gives pip to virtual environments alone
    python3 -m venv "$new/venv" && pip=$new/venv/bin/python
fi
# The pinned wheel is the one for this interpreter's version; pip is told so, whichever runs it.
if ! "$pip" -m pip download -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --retries 1 --timeout 20 --implementation cp --python-version 3.11 --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform any --dest "$new" -r tools/mujoco.txt; then
    echo "MuJoCo is missing: hopper, half-cheetah, walker2d and ant will not run, everything else will." >&2
    echo "With a network, and on an x86-64 processor, tools/mujoco.sh fetches it." >&2
    exit 1
fi
for wheel in "$new"/*.whl; do python3 -m zipfile -e "$wheel" "$new/wheels"; done
mkdir -p "$new/mujoco/assets"
cp "$new"/wheels/mujoco/libmujoco.so.4.0.0 "$new/mujoco/libmujoco.so"
cp -R "$new/wheels/mujoco/include" "$new/mujoco/include"
for robot in hopper half_cheetah walker2d walker2d_v5 ant; do
    cp "$new/wheels/gymnasium/envs/mujoco/assets/$robot.xml" "$new/mujoco/assets/"
done
cp tools/mujoco.txt "$new/mujoco/pins"
mkdir -p build
rm -rf "$to"
mv "$new/mujoco" "$to"
touch worlds/meson.build # every build folder looks again whether the headers are there
