#!/usr/bin/env python3
"""Logged data sets that h5py and Minari write and read, for store/logged_peer_test.c.

  peer_hdf5.py write DIR --seed S   sets of both layouts in DIR/hdf5, with what is in them beside each
  peer_hdf5.py check DIR            opens what the test wrote of them in DIR/ours_hdf5, compares

Needs h5py, minari and what these need; mujoco to make the robots' environments, which are not made without it. NAME.expected: rows, obs, act as int64, then observations,
actions, rewards, next observations (float32), terminals, timeouts (uint8), row by row: what a reader
of the set is to have.
"""
import argparse
import os
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np


class Set:
    """Rows of whole episodes, as D4RL's layout has them."""

    def __init__(self, rng, episodes, obs, act, steps_max):
        steps = rng.integers(1, steps_max + 1, size=episodes)
        parts = [rng.normal(size=(n + 1, obs)).astype(np.float32) for n in steps]
        self.steps = steps
        self.observations = np.concatenate([x[:-1] for x in parts])
        self.next = np.concatenate([x[1:] for x in parts])
        rows = len(self.observations)
        self.actions = rng.uniform(-1, 1, size=(rows, act)).astype(np.float32)
        self.rewards = (rng.normal(size=rows) * 10).astype(np.float32)
        self.terminals = np.zeros(rows, bool)
        self.timeouts = np.zeros(rows, bool)
        ends = np.cumsum(steps) - 1
        over = rng.random(episodes) < 0.5
        self.terminals[ends[over]] = True
        self.timeouts[ends[~over]] = True

    def expected(self):
        head = np.array([len(self.observations), self.observations.shape[1], self.actions.shape[1]], np.int64)
        parts = [head, self.observations, self.actions, self.rewards, self.next,
                 self.terminals.astype(np.uint8), self.timeouts.astype(np.uint8)]
        return b"".join(p.tobytes() for p in parts)

    def episodes(self):
        at = 0
        for n in self.steps:
            yield slice(at, at + n)
            at += n


def write_d4rl(path, s, style):
    """The same numbers in the types and layouts that are met in the field."""
    wide = np.float64 if style == "wide" else np.float32
    more = dict(compression="gzip", shuffle=True) if style == "gzip" else {}
    column = (lambda x: x.reshape(-1, 1)) if style == "wide" else (lambda x: x)
    flag = np.uint8 if style == "gzip" else bool
    with h5py.File(path, "w") as f:
        f.create_dataset("observations", data=s.observations.astype(wide), **more)
        f.create_dataset("actions", data=s.actions, **more)
        f.create_dataset("rewards", data=column(s.rewards.astype(wide)), **more)
        f.create_dataset("terminals", data=column(s.terminals.astype(flag)), **more)
        f.create_dataset("timeouts", data=column(s.timeouts.astype(flag)), **more)
        f.create_dataset("next_observations", data=s.next.astype(wide), **more)
        f.create_dataset("metadata/algorithm", data="SAC")


def write_minari(folder, name, s):
    import gymnasium
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer
    box = gymnasium.spaces.Box
    buffers = []
    for at in s.episodes():
        buffers.append(EpisodeBuffer(
            id=None, seed=None, options=None, infos={},
            observations=np.concatenate([s.observations[at], s.next[at][-1:]]), actions=s.actions[at],
            rewards=list(s.rewards[at].astype(np.float64)), terminations=list(s.terminals[at]),
            truncations=list(s.timeouts[at])))
    minari.create_dataset_from_buffers(
        f"peer/{name}-v0", buffers, algorithm_name="none", author="peer", author_email="peer@example.org",
        code_permalink="none", description="for a test",
        observation_space=box(-np.inf, np.inf, (s.observations.shape[1],), np.float32),
        action_space=box(-1, 1, (s.actions.shape[1],), np.float32))
    os.symlink(folder / "minari" / "peer" / f"{name}-v0", folder / name)


def write(root, seed):
    rng = np.random.default_rng(seed)
    folder = root / "hdf5"
    folder.mkdir()
    (folder / "minari").mkdir()
    os.environ["MINARI_DATASETS_PATH"] = str(folder / "minari")
    for name, episodes, obs, act, steps in [("plain", 40, 11, 3, 60), ("wide", 9, 1, 1, 5), ("gzip", 120, 27, 8, 100),
                                            ("minari_small", 1, 2, 1, 1), ("minari_large", 70, 17, 6, 90)]:
        s = Set(rng, episodes, obs, act, steps)
        if name.startswith("minari"):
            write_minari(folder, name, s)
        else:
            write_d4rl(folder / f"{name}.hdf5", s, name)
        (folder / f"{name}.expected").write_bytes(s.expected())


def read_d4rl(path):
    with h5py.File(path, "r") as f:
        assert f["terminals"].dtype == bool and f["timeouts"].dtype == bool
        assert f["rewards"].ndim == 1
        head = np.array([*f["observations"].shape, f["actions"].shape[1]], np.int64)
        return b"".join([head.tobytes(), *(f[k][()].tobytes() for k in (
            "observations", "actions", "rewards", "next_observations", "terminals", "timeouts"))])


def read_minari(name):
    import minari
    s = minari.load_dataset(f"ours/{name}-v0")
    e = list(s.iterate_episodes())
    assert s.total_episodes == len(e) and s.total_steps == sum(len(x.rewards) for x in e)
    assert s.observation_space.contains(e[0].observations[0]) and s.action_space.contains(e[0].actions[0])
    head = np.array([s.total_steps, *s.observation_space.shape, *s.action_space.shape], np.int64)
    join = lambda part: np.concatenate([part(x) for x in e]).tobytes()
    return b"".join([head.tobytes(), join(lambda x: x.observations[:-1]), join(lambda x: x.actions),
                     join(lambda x: x.rewards), join(lambda x: x.observations[1:]),
                     join(lambda x: x.terminations), join(lambda x: x.truncations)])


def check_worlds(folder):
    """Environments of sets of ours: what Gymnasium itself says of them, and made where MuJoCo is there."""
    import gymnasium
    import minari
    try:
        import mujoco  # noqa: F401
        makes = True
    except ImportError:
        makes = False
    os.chdir(folder)  # MuJoCo writes its warnings to where it is started
    wrong, made, names = [], 0, sorted(p.name for p in (folder / "worlds").iterdir())
    for name in names:
        s = minari.load_dataset(f"worlds/{name}")
        known = gymnasium.spec(s.env_spec.id)
        if any(getattr(s.env_spec, k) != getattr(known, k) for k in ("entry_point", "max_episode_steps", "kwargs")):
            wrong.append(f"{name}: {s.env_spec} is not {known}")
        if not makes and "mujoco" in s.env_spec.entry_point:
            continue
        env = s.recover_environment()
        made += 1
        if (env.observation_space.shape, env.action_space.shape) != (s.observation_space.shape, s.action_space.shape):
            wrong.append(f"{name}: the environment has other spaces than the set")
        env.close()
    print(f"{len(names)} sets of Gymnasium's worlds, {made} environments recovered"
          f"{'' if makes else ' (no mujoco here)'}")
    return wrong if names else ["no set of a world of Gymnasium's"]


def check(root):
    wrong, n = [], 0
    os.environ["MINARI_DATASETS_PATH"] = str(root / "ours_hdf5" / "minari")
    for path in sorted((root / "hdf5").glob("*.expected")):
        expected = path.read_bytes()
        for reader, found in (("h5py", read_d4rl(root / "ours_hdf5" / f"{path.stem}.hdf5")),
                              ("Minari", read_minari(path.stem))):
            n += 1
            if found != expected:
                wrong.append(f"{path.stem}: {reader} reads other numbers than went in")
    wrong += check_worlds(root / "ours_hdf5" / "minari")
    print(f"{n} data sets of ours read by h5py and Minari, {len(wrong)} wrong")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong or n == 0 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["write", "check"])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    root = args.dir.resolve()
    return write(root, args.seed) if args.what == "write" else check(root)


if __name__ == "__main__":
    sys.exit(main())
