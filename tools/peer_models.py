#!/usr/bin/env python3
"""Model folders that transformers writes and reads, for nets/folder_peer_test.c.

  peer_models.py write DIR --seed S   random models of both families, with what transformers
                                      computes from them in DIR/NAME/expected.json
  peer_models.py check DIR            opens DIR/ours/NAME as the test wrote them, compares
  peer_models.py fixtures DIR         the two small folders of nets/testdata

Needs torch, transformers and safetensors. expected.json: token ids of several inputs, the logits
(or scores) of each of their tokens, greedy continuations, the loss of a small batch and, per
parameter, the norm of its gradient g and its projection sum_j g_j cos(j). Numbers are computed in
float32 from the weights as the file has them, in bf16 and f16 too, so that one tolerance serves
all.
"""
import argparse
import json
import logging
import random
import sys
from pathlib import Path

import torch
import transformers
from transformers import (AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig,
                          LlamaForCausalLM, LlamaForSequenceClassification, Qwen2Config,
                          Qwen2ForCausalLM, Qwen2ForSequenceClassification)

GREEDY_TOKENS = 20
MARGIN = 1e-3     # below it, the likeliest token is a matter of rounding
TOLERANCE = 1e-4  # of logits
CLASSES = {
    ("llama", False): (LlamaConfig, LlamaForCausalLM),
    ("llama", True): (LlamaConfig, LlamaForSequenceClassification),
    ("qwen2", False): (Qwen2Config, Qwen2ForCausalLM),
    ("qwen2", True): (Qwen2Config, Qwen2ForSequenceClassification),
}


def spec(family, heads, group, head_dim, vocab, layers=2, width=8, score=False, dtype="float32",
         theta=10000.0, llama3=None, shard="1GB", old=False, lengths=(1, 5, 37), **more):
    rope = {"rope_type": "default", "rope_theta": theta}
    if llama3:
        factor, original = llama3
        rope = {"rope_type": "llama3", "rope_theta": theta, "factor": factor,
                "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": original}
    config = dict(vocab_size=vocab, hidden_size=heads * width, intermediate_size=heads * width + 7,
                  num_hidden_layers=layers, num_attention_heads=heads,
                  num_key_value_heads=heads // group, head_dim=head_dim,
                  max_position_embeddings=128, rope_parameters=rope, pad_token_id=0,
                  bos_token_id=1, eos_token_id=2, **more)
    if score:
        config["num_labels"] = 1
    return dict(family=family, score=score, config=config, dtype=dtype, shard=shard, old=old,
                lengths=lengths)


def random_specs(seed):
    r = random.Random(seed)
    vocab = lambda: 2 * r.randrange(30, 120) + 1
    width = lambda: r.choice([6, 10, 12])
    return {
        "llama-plain": spec("llama", r.choice([2, 3, 5]), 1, 8, vocab(), width=8),
        "llama-scaled": spec("llama", 4, 4, r.choice([6, 14]), vocab(), width=width(), theta=100.0,
                             llama3=(8.0, 64), rms_norm_eps=1e-5),
        "llama-biased": spec("llama", 6, 2, r.choice([4, 10]), vocab(), layers=3,
                             attention_bias=True, mlp_bias=True, old=True, llama3=(4.0, 32),
                             theta=500.0),
        "llama-tied-bf16": spec("llama", 4, 2, 12, vocab(), width=width(), dtype="bfloat16",
                                tie_word_embeddings=True, shard="15KB"),
        "llama-score": spec("llama", 4, 2, 6, vocab(), width=width(), score=True,
                            tie_word_embeddings=True),
        "qwen2-tied": spec("qwen2", 4, 4, width(), vocab(), tie_word_embeddings=True,
                           theta=1e6, lengths=(1, 2, 90)),
        "qwen2-sharded-f16": spec("qwen2", 6, 2, 6, vocab(), layers=4, dtype="float16",
                                  shard="20KB", old=True),
        "qwen2-score-bf16": spec("qwen2", 2, 1, 16, vocab(), width=16, score=True,
                                 dtype="bfloat16"),
    }


FIXTURES = {
    "llama": spec("llama", 4, 2, 6, 37, width=4, theta=100.0, llama3=(8.0, 64), lengths=(2, 7),
                  attention_bias=True, mlp_bias=True),
    "qwen2": spec("qwen2", 4, 4, 4, 41, layers=1, width=4, lengths=(1, 6),
                  tie_word_embeddings=True),
}


def randomise(model, generator):
    """Weights, gains and biases that all matter, of a size that keeps activations near 1."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.3 * noise)
            else:
                wide = "embed" in name and not model.config.tie_word_embeddings
                p.copy_(noise * (1.0 if wide else p.shape[1] ** -0.5))


def outputs(model, score, ids):
    """[tokens, vocab] logits, or [tokens, 1] scores."""
    x = torch.tensor([ids])
    return (model.score(model.model(x)[0]) if score else model(x).logits)[0]


def greedy(model, prompt):
    ids = list(prompt)
    for _ in range(GREEDY_TOKENS):
        top = outputs(model, False, ids)[-1].topk(2)
        if top.values[0] - top.values[1] < MARGIN:
            break
        ids.append(int(top.indices[0]))
    return ids[len(prompt):]


def loss_of(model, score, batch):
    """Mean next-token cross entropy over the batch, or the Bradley-Terry loss of its first two."""
    if score:
        s = [outputs(model, True, ids)[-1, 0] for ids in batch]
        return -torch.nn.functional.logsigmoid(s[0] - s[1])
    losses = [torch.nn.functional.cross_entropy(outputs(model, False, ids)[:-1],
                                                torch.tensor(ids[1:]), reduction="sum")
              for ids in batch]
    return sum(losses) / sum(len(ids) - 1 for ids in batch)


def as_version_4(path):
    """The same config.json in the words of transformers 4."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    path.write_text(json.dumps(config, indent=2))


def digits(tensor):
    return [[float(f"{x:.6g}") for x in row] for row in tensor.tolist()]


def write_model(folder, what, seed):
    generator = torch.Generator().manual_seed(seed)
    config_class, model_class = CLASSES[what["family"], what["score"]]
    model = model_class(config_class(**what["config"]))
    randomise(model, generator)
    model.to(getattr(torch, what["dtype"])).save_pretrained(folder, max_shard_size=what["shard"])
    if what["old"]:
        as_version_4(folder / "config.json")

    model = model_class.from_pretrained(folder, dtype=torch.float32).eval()
    score, vocab = what["score"], what["config"]["vocab_size"]
    draw = lambda n: torch.randint(3, vocab, (n,), generator=generator).tolist()
    inputs = [draw(n) for n in what["lengths"]]
    batch = [draw(n) for n in (11, 4, 7)][:2 if score else 3]
    with torch.no_grad():
        logits = [digits(outputs(model, score, ids)) for ids in inputs]
        continuations = [] if score else [greedy(model, ids) for ids in inputs]
    loss = loss_of(model, score, batch)
    loss.backward()
    gradients = {name: p.grad.double().flatten() for name, p in model.named_parameters()}
    norms = {name: float(g.norm()) for name, g in gradients.items()}
    waves = {name: float(g @ torch.arange(len(g)).double().cos()) for name, g in gradients.items()}
    expected = dict(score=score, inputs=inputs, logits=logits, greedy=continuations, batch=batch,
                    loss=float(loss.detach()), gradient_norms=norms,
                    gradient_projections=waves)
    # One line per list of numbers: small, and a change of one input shows as such.
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}"
                       for k, v in expected.items())
    (folder / "expected.json").write_text("{\n" + lines + "\n}\n")


def write(folder, specs, seed):
    for i, (name, what) in enumerate(specs.items()):
        write_model(folder / name, what, seed + i)
        print(f"wrote {folder / name}")


class Remarks(logging.Handler):
    """What transformers says while it opens a folder; silence is wanted."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def check_folder(folder):
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    score = architecture.endswith("ForSequenceClassification")
    auto = AutoModelForSequenceClassification if score else AutoModelForCausalLM
    remarks = Remarks()
    transformers.logging.get_logger("transformers").addHandler(remarks)
    model, info = auto.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    transformers.logging.get_logger("transformers").removeHandler(remarks)
    faults = [f"{k}: {v}" for k, v in info.items() if v] + remarks.said
    if type(model).__name__ != architecture:
        faults.append(f"opened as {type(model).__name__}, wanted {architecture}")

    ours = json.loads((folder / "expected.json").read_text())
    worst = 0.0
    with torch.no_grad():
        for ids, logits in zip(ours["inputs"], ours["logits"], strict=True):
            error = (outputs(model.eval(), score, ids) - torch.tensor(logits)).abs().max()
            worst = max(worst, float(error.nan_to_num(nan=float("inf"))))
    if worst > TOLERANCE:
        faults.append(f"logits differ by {worst:.2e}, wanted at most {TOLERANCE:.0e}")
    print(f"{folder}: {architecture}, logits differ by {worst:.1e}", *faults, sep="\n  ")
    return not faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["write", "check", "fixtures"])
    parser.add_argument("dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    transformers.logging.disable_progress_bar()
    if args.mode == "check":
        folders = sorted(p.parent for p in args.dir.glob("ours/*/config.json"))
        if not folders:
            sys.exit(f"{args.dir}/ours holds no model folder: run nets/folder_peer_test first")
        sys.exit(not all([check_folder(folder) for folder in folders]))
    write(args.dir, FIXTURES if args.mode == "fixtures" else random_specs(args.seed), args.seed)


if __name__ == "__main__":
    main()
