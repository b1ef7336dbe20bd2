"""TD3 updates in PyTorch (Fujimoto et al. 2018): networks of 256 x 256, batches of 256 out of a buffer of a million."""
import functools
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from peer_model import choose

OBS, ACT, WIDTH, BATCH, ROWS = 11, 3, 256, 256, 1_000_000
UPDATES = 100  # a repetition


class Nets(nn.Module):
    """n perceptrons side by side on one input; more than one as batched products, or one after the other."""

    def __init__(self, n, inputs, outputs, stacked):
        super().__init__()
        self.stacked = stacked
        self.nets = nn.ModuleList(nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs))
            for _ in range(n))
        if stacked:
            layers = [[net[i] for net in self.nets] for i in (0, 2, 4)]
            self.W = nn.ParameterList(torch.stack([m.weight.detach().T for m in row]) for row in layers)
            self.b = nn.ParameterList(torch.stack([m.bias.detach()[None] for m in row]) for row in layers)
            self.nets = nn.ModuleList()

    def forward(self, x):
        """[nets, batch, outputs]"""
        if not self.stacked:
            return torch.stack([net(x) for net in self.nets])
        x = x.expand(self.W[0].shape[0], -1, -1)
        for i in range(3):
            x = torch.baddbmm(self.b[i], x, self.W[i])
            x = F.relu(x) if i < 2 else x
        return x

    def first(self, x):
        if not self.stacked:
            return self.nets[0](x)
        for i in range(3):
            x = torch.addmm(self.b[i][0], x, self.W[i][0])
            x = F.relu(x) if i < 2 else x
        return x


def job(bf16, stacked, compiled):
    torch.manual_seed(1)
    actor, critic = Nets(1, OBS, ACT, False), Nets(2, OBS + ACT, 1, stacked)
    actor_target, critic_target = Nets(1, OBS, ACT, False), Nets(2, OBS + ACT, 1, stacked)
    pairs = []
    for net, target in ((actor, actor_target), (critic, critic_target)):
        target.load_state_dict(net.state_dict())
        pairs.append((list(target.parameters()), list(net.parameters())))
    adam = functools.partial(torch.optim.Adam, lr=3e-4, fused=True)
    actor_adam, critic_adam = adam(actor.parameters()), adam(critic.parameters())
    # One row a transition, so that sampling gathers once: s, a, r, s', not done.
    rows = torch.randn(ROWS, 2 * OBS + ACT + 2)
    rows[:, -1] = 1

    def critic_loss(batch):
        s, a, r, after, going = batch.split([OBS, ACT, 1, OBS, 1], 1)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            noise = (torch.randn_like(a) * 0.2).clamp(-0.5, 0.5)
            next_a = (torch.tanh(actor_target.first(after)).float() + noise).clamp(-1, 1)
            y = r + 0.99 * going * critic_target(torch.cat([after, next_a], 1)).float().amin(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            q = critic(torch.cat([s, a], 1)).float()
        return ((q - y) ** 2).mean((1, 2)).sum()

    def actor_loss(batch):
        s = batch[:, :OBS]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return -critic.first(torch.cat([s, torch.tanh(actor.first(s)).float()], 1)).float().mean()

    if compiled:
        critic_loss, actor_loss = (torch.compile(f, fullgraph=True) for f in (critic_loss, actor_loss))

    def update(i):
        batch = rows[torch.randint(ROWS, (BATCH,))]
        critic_adam.zero_grad(set_to_none=True)
        critic_loss(batch).backward()
        critic_adam.step()
        if i % 2:
            return
        actor_adam.zero_grad(set_to_none=True)
        for p in pairs[1][1]:
            p.requires_grad_(False)
        actor_loss(batch).backward()
        for p in pairs[1][1]:
            p.requires_grad_(True)
        actor_adam.step()
        with torch.no_grad():
            for target, net in pairs:
                torch._foreach_lerp_(target, net, 0.005)

    def once():
        begun = time.perf_counter()
        for i in range(UPDATES):
            update(i)
        return UPDATES / (time.perf_counter() - begun)

    return once


def prepare(serve, threads):
    kinds = {f"{c}, {d}": functools.partial(job, d == "bf16 autocast", c == "critics stacked")
             for c in ("critics apart", "critics stacked") for d in ("f32", "bf16 autocast")}
    serve(*choose(kinds, threads))
