"""Generation in PyTorch without a framework above it: a cache of fixed size, one token a step, sampled."""
import functools
import itertools
import time

import torch
import torch.nn.functional as F

from peer_model import D, HEADS, LAYERS, Model, WIDTH, choose

NEW = 128
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def job(shape, dtype, batch, compiled):
    torch.manual_seed(1)
    model = Model(shape).eval().to(DTYPES[dtype])
    keys, values = (torch.zeros(LAYERS, batch, HEADS, NEW, WIDTH, dtype=DTYPES[dtype]) for _ in range(2))
    places = torch.arange(NEW)

    def cached(at, i):
        """Only what is there, for a loop that is not compiled."""
        def attend(q, k, v):
            keys[i][:, :, at:at + 1], values[i][:, :, at:at + 1] = k, v
            return F.scaled_dot_product_attention(q, keys[i][:, :, :at + 1], values[i][:, :, :at + 1])
        return attend

    def masked(at, i):
        """Always everything, so that shapes never change and it is compiled once."""
        def attend(q, k, v):
            keys[i].index_copy_(2, at, k)
            values[i].index_copy_(2, at, v)
            return F.scaled_dot_product_attention(q, keys[i], values[i], attn_mask=(places <= at)[None])
        return attend

    def step(tokens, at, attend):
        logits = model(tokens, at, attend)[:, -1].float()
        # The largest of p / e, e exponential, is a draw from p: a pass less than multinomial.
        return (logits.softmax(-1) / torch.empty_like(logits).exponential_()).argmax(-1, keepdim=True)

    def step_masked(tokens, at):
        return step(tokens, at, lambda i: masked(at, i))

    run = torch.compile(step_masked, fullgraph=True) if compiled else None

    @torch.inference_mode()
    def once():
        begun = time.perf_counter()
        tokens = torch.ones(batch, 1, dtype=torch.long)
        for n in range(NEW):
            at = places[n:n + 1]
            tokens = run(tokens, at) if compiled else step(tokens, at, lambda i, n=n: cached(n, i))
        return batch * NEW / (time.perf_counter() - begun)

    return once


def prepare(serve, batch, threads):
    assert D == HEADS * WIDTH
    kinds = itertools.product(["llama", "gpt"], DTYPES)
    serve(*choose({f"{s} shape, {d}": functools.partial(job, s, d, batch) for s, d in kinds}, threads))
