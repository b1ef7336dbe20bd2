#!/usr/bin/env python3
"""One peer at one row of `martingale bench`: peer.py ROW THREADS

Says {"peer": how} on a line of its own when it is ready, then {"value": x} for each line that it reads,
and ends when there are no more; or {"absent": sentence}, {"error": sentence}. Whatever libraries print goes to standard error.
"""
import importlib
import json
import os
import sys

ROWS = {  # row: module, what its prepare() is given before the number of threads
    "train_f32": ("peer_train", ["f32"]),
    "train_bf16": ("peer_train", ["bf16"]),
    "generate_1": ("peer_generate", [1]),
    "generate_64": ("peer_generate", [64]),
    "generate_llama_cpp": ("peer_llama_cpp", []),
    "grpo": ("peer_grpo", []),
    "td3": ("peer_td3", []),
    "sb3_td3": ("peer_sb3", ["TD3"]),
    "sb3_sac": ("peer_sb3", ["SAC"]),
}

# glibc hands large blocks back to the system and asks for them again; PyTorch is faster when it does not.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1", "PYTHONWARNINGS": "ignore",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes that goes on when we measure
}
if sys.prefix != sys.base_prefix:  # an environment of its own: what was compiled stays in it for the next run
    ENVIRONMENT["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(sys.prefix, "compiled")


def main():
    if os.environ.get("MALLOC_TOP_PAD_") is None:  # glibc reads them when a program starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**what):
        answers.write(json.dumps(what) + "\n")

    def serve(name, once):
        """The module calls it when it is ready; once() returns a value."""
        say(peer=name)
        for _ in sys.stdin:
            say(value=once())

    try:
        module, words = ROWS[sys.argv[1]]
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as e:  # later ones are errors: a library that is there, and broken
            say(absent=f"{e} in this environment")
            return
        found.prepare(serve, *words, int(sys.argv[2]))
    except Exception as e:  # whatever it is, our side prints it
        say(error=f"{type(e).__name__}: {' '.join(str(e).split())[:400]}")
        sys.exit(1)


if __name__ == "__main__":
    main()
