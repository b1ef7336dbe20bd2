"""Training steps in PyTorch: forward, cross-entropy, backward, clipping to norm 1, fused AdamW."""
import functools
import time

import torch
import torch.nn.functional as F

from peer_model import CONTEXT, VOCAB, Model, choose

T, B, STEPS = 128, 16, 4


def causal(_):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)


def job(shape, bf16, compiled):
    torch.manual_seed(1)
    model = Model(shape)
    run = torch.compile(model, fullgraph=True) if compiled else model
    weights = list(model.parameters())
    optimiser = torch.optim.AdamW(weights, 1e-4, weight_decay=0.01, fused=True)
    tokens, targets = (torch.randint(0, VOCAB, (B, T)) for _ in range(2))
    at = torch.arange(T)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = run(tokens, at, causal)
        loss = F.cross_entropy(logits.float().view(-1, VOCAB), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()

    def once():
        begun = time.perf_counter()
        for _ in range(STEPS):
            step()
        return STEPS * B * T / (time.perf_counter() - begun)

    return once


def prepare(serve, compute, threads):
    assert T <= CONTEXT
    bf16 = compute == "bf16"
    words = " with bf16 autocast" if bf16 else ""
    serve(*choose({f"{s} shape{words}": functools.partial(job, s, bf16) for s in ("llama", "gpt")}, threads))
