"""Traces of Gymnasium's robots, which worlds/robots_test.c and worlds/robots_peer_test.c play again.

    tools/robots_peer.py FOLDER --seed S [--seeds N]

One file per robot, version and seed; every third seed is of another plant than the published one. Actions and
starts come from SplitMix64, which the tests compute too, so a trace holds what came of them alone: for each step a
digest of observation, reward and end, to the bit. Steps after an end go on from a new start. Behind them stand
single steps in full, each from a start of its own, taken from the trace: what is compared where library, libc or
processor are others, on which trajectories drift apart.
"""
import argparse
import collections
import hashlib
import os
import pathlib
import platform
import struct

import gymnasium
import mujoco
import numpy as np

ROBOTS = {"hopper": "Hopper", "half-cheetah": "HalfCheetah", "walker2d": "Walker2d", "ant": "Ant"}
STEPS, SINGLES = 1000, 8
MASK = (1 << 64) - 1


class Draws:
    """SplitMix64 (Steele, Lea & Flood 2014): uniform() in [0, 1)."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def fnv(data):
    """FNV-1a, 64 bits folded into 32."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return (h ^ h >> 32) & 0xFFFFFFFF


def fingerprint():
    library = next(pathlib.Path(mujoco.__file__).parent.glob("libmujoco.so*"))
    flags = next((l for l in open("/proc/cpuinfo") if l.startswith("flags")), "").split()
    # libm picks its sine and exponential by these.
    kinds = [f for f in ("fma", "avx2", "avx512f") if f in flags]
    return (hashlib.sha256(library.read_bytes()).hexdigest(), platform.libc_ver()[1], "+".join(kinds) or "none")


def hexes(values):
    return " ".join(float(x).hex() for x in values)


class Trace:
    def __init__(self, robot, version, seed):
        self.env = gymnasium.make(f"{ROBOTS[robot]}-v{version}", disable_env_checker=True).unwrapped
        self.name, self.version, self.seed = robot, version, seed
        self.scale = (1.0, 2.0, 0.3)[seed % 3]  # within what the motors take, and beyond
        self.noise = self.env._reset_noise_scale
        self.draws = Draws(seed)
        self.shift = (2.5, 0.4, 0.7, 3) if seed % 3 == 0 else (1.0, 1.0, 1.0, 0)
        self.waiting = collections.deque()
        mass, friction, gravity, _ = self.shift
        if seed % 3 == 0:
            model = self.env.model
            model.body_mass[:] = model.body_mass * mass
            model.body_inertia[:] = model.body_inertia * mass
            model.geom_friction[:, 0] = model.geom_friction[:, 0] * friction
            model.opt.gravity[:] = model.opt.gravity * gravity
            mujoco.mj_setConst(model, mujoco.MjData(model))

    def action(self):
        # float32, as a policy's, handed over as float64: NumPy would add float32 squares in float32.
        a = [np.float32(self.scale * (2 * self.draws.uniform() - 1)) for _ in range(self.env.model.nu)]
        return np.array(a, dtype=np.float64)

    def drawn_start(self):
        qpos = [x + self.noise * (2 * self.draws.uniform() - 1) for x in self.env.init_qpos]
        return np.array(qpos), np.array([self.noise * (2 * self.draws.uniform() - 1) for _ in self.env.init_qvel])

    def place(self, qpos, qvel):
        self.env.reset(seed=0)
        self.waiting = collections.deque([np.zeros(self.env.model.nu)] * self.shift[3])
        mujoco.mj_resetData(self.env.model, self.env.data)
        self.env.set_state(np.array(qpos), np.array(qvel))
        return self.env._get_obs()

    def step(self, action):
        self.waiting.append(action)
        seen, reward, terminated, _, _ = self.env.step(self.waiting.popleft())
        return seen, float(reward), terminated

    def lines(self):
        yield "robot %s %d seed %d scale %s noise %s steps %d singles %d" % (
            self.name, self.version, self.seed, self.scale.hex(), float(self.noise).hex(), STEPS, SINGLES)
        yield "mass %s friction %s gravity %s delay %d" % (*(float(x).hex() for x in self.shift[:3]), self.shift[3])
        yield "library %s libc %s processor %s" % fingerprint()
        yield "qpos0 " + hexes(self.env.init_qpos)
        places, first = [], self.place(*self.drawn_start())
        yield "start %08x" % fnv(first.tobytes())
        for t in range(STEPS):
            if t % (STEPS // SINGLES) == 5:
                places.append((self.env.data.qpos.copy(), self.env.data.qvel.copy()))
            seen, reward, terminated = self.step(self.action())
            yield "%08x%s" % (fnv(seen.tobytes() + struct.pack("<d", reward)), " end" if terminated else "")
            if terminated:
                self.place(*self.drawn_start())
        for qpos, qvel in places:
            self.place(qpos, qvel)
            action = self.action()
            seen, reward, terminated = self.step(action)
            yield "single " + hexes([*qpos, *qvel, *action, *seen, reward, float(terminated)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # that version 4 is old is known here
    os.makedirs(args.folder, exist_ok=True)
    os.chdir(args.folder)  # where MuJoCo leaves its log
    for robot in ROBOTS:
        for version in (4, 5):
            for seed in range(args.seed, args.seed + args.seeds):
                path = pathlib.Path(f"{robot}-v{version}-{seed}.trace")
                path.write_text("\n".join(Trace(robot, version, seed).lines()) + "\n")


if __name__ == "__main__":
    main()
