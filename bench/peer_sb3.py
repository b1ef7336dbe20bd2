"""Stable-Baselines3 on Hopper: whole steps, one update behind each, the environment included."""
import time

import gymnasium
import stable_baselines3
import torch

from peer_speed import speed

STEPS = 200  # a repetition


def job(algorithm, threads):
    torch.set_num_threads(threads)
    learner = getattr(stable_baselines3, algorithm)(
        "MlpPolicy", gymnasium.make("Hopper-v5"), learning_rate=3e-4, buffer_size=100_000, learning_starts=1000,
        batch_size=256, train_freq=1, gradient_steps=1, seed=1, device="cpu",
        policy_kwargs={"net_arch": [256, 256]})
    learner.learn(1100)  # the first thousand learn nothing

    def once():
        begun = time.perf_counter()
        learner.learn(STEPS, reset_num_timesteps=False)
        return STEPS / (time.perf_counter() - begun)

    return once


def prepare(serve, algorithm, threads):
    tried = {n: job(algorithm, n) for n in sorted({1, threads})}
    best = {}
    for n, once in tried.items():
        torch.set_num_threads(n)
        best[n] = speed(once, 3.0)
    n = max(best, key=best.get)
    torch.set_num_threads(n)
    version = stable_baselines3.__version__
    serve(f"Stable-Baselines3 {version} {algorithm}, {n} thread{'s' if n > 1 else ''}", tried[n])
