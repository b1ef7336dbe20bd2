"""The model of the bench in plain PyTorch, in two shapes of 5.3 M parameters each.

llama  what app/bench_model.c has: RMSNorm, rotary positions, SwiGLU of width 752
gpt    LayerNorm, learned positions, GELU of width 1088: fewer and larger operations
"""
import itertools
import time
from operator import itemgetter

import torch
import torch._dynamo
import torch.nn as nn
import torch.nn.functional as F

from peer_speed import TooLong, at_most, speed

VOCAB, D, LAYERS, HEADS, CONTEXT = 512, 256, 6, 8, 256
WIDTH = D // HEADS
LIMIT = 120  # seconds for all compilations of a row


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.llama = shape == "llama"
        norm, bias = (nn.RMSNorm, False) if self.llama else (nn.LayerNorm, True)
        ff = 752 if self.llama else 1088
        self.norm1, self.norm2 = norm(D, eps=1e-5), norm(D, eps=1e-5)
        self.qkv, self.o = nn.Linear(D, 3 * D, bias=bias), nn.Linear(D, D, bias=bias)
        self.up = nn.Linear(D, 2 * ff if self.llama else ff, bias=bias)
        self.down = nn.Linear(ff, D, bias=bias)

    def feed(self, x):
        if self.llama:
            gate, up = self.up(x).chunk(2, -1)
            return self.down(F.silu(gate) * up)
        return self.down(F.gelu(self.up(x), approximate="tanh"))

    def forward(self, x, turn, attend):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH).permute(2, 0, 3, 1, 4)
        if self.llama:
            q, k = rotate(q, *turn), rotate(k, *turn)
        x = x + self.o(attend(q, k, v).transpose(1, 2).reshape(b, t, D))
        return x + self.feed(self.norm2(x))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.llama = shape == "llama"
        self.embed = nn.Embedding(VOCAB, D)
        self.positions = None if self.llama else nn.Embedding(CONTEXT, D)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(LAYERS))
        self.norm = (nn.RMSNorm if self.llama else nn.LayerNorm)(D, eps=1e-5)
        self.head = nn.Linear(D, VOCAB, bias=False)
        angle = torch.outer(torch.arange(CONTEXT), 1e4 ** -(torch.arange(0, WIDTH, 2) / WIDTH))
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, tokens, at, attend):
        """at: positions; attend(layer) gives a function of q, k, v."""
        h = self.embed(tokens)
        if not self.llama:
            h = h + self.positions(at)
        turn = (self.cos[at], self.sin[at])
        for i, block in enumerate(self.blocks):
            h = block(h, turn, attend(i))
        return self.head(self.norm(h))


def choose(jobs, threads):
    """jobs: {words: job}; job(compiled) makes the function that does the work once and gives its rate. All are
    tried with one and with all threads, then all of them compiled, those first that are fast without, until
    LIMIT is over. Returns (name, function) of the fastest, and leaves its number of threads set."""
    torch._dynamo.config.recompile_limit = 64  # every number of threads is one; above it nothing is compiled
    rates, best, given_up = {}, (0.0, "", 1, None), 0
    for words, n in itertools.product(jobs, sorted({1, threads})):
        torch.set_num_threads(n)
        once = jobs[words](False)
        rates[words, n] = speed(once)
        best = max(best, (rates[words, n], words, n, once), key=itemgetter(0))
    end = time.monotonic() + LIMIT
    for words, n in sorted(rates, key=rates.get, reverse=True):
        torch.set_num_threads(n)
        try:
            with at_most(end - time.monotonic()):
                once = jobs[words](True)
                rate = speed(once)
            best = max(best, (rate, f"{words}, compiled", n, once), key=itemgetter(0))
        except (Exception, TooLong) as e:  # no compiler, one that gives up, one that takes too long
            print(f"given up: {words} compiled, {n} threads: {type(e).__name__}: {str(e)[:200]}", flush=True)
            given_up += 1
    _, words, n, once = best
    torch.set_num_threads(n)
    name = f"PyTorch {torch.__version__.split('+')[0]}, {words}, {n} threads"
    return name + (f" ({given_up} of {len(rates)} compilations given up)" if given_up else ""), once
