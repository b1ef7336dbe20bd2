"""Whole GRPO updates by TRL: 64 answers of 32 tokens to prompts of 96, eight to a prompt, four steps on each."""
import sys
import tempfile
import time

import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback

ANSWERS, GROUP, PROMPT, RESPONSE, STEPS, VOCAB = 64, 8, 96, 32, 4, 512


def tokenizer():
    """A word a token."""
    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i for i in range(2, VOCAB)}}
    t = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=t, pad_token="<pad>", eos_token="<eos>",
                                   padding_side="left")


def prompts():
    draw = torch.Generator().manual_seed(1)
    rows = torch.randint(2, VOCAB, (256, PROMPT), generator=draw).tolist()
    return Dataset.from_dict({"prompt": [" ".join(f"w{i}" for i in row) for row in rows]})


def reward(completions, **_):
    """The share of words that end in an even digit: cheap, and never the same for all of a group."""
    return [sum(w[-1] in "02468" for w in c.split()) / RESPONSE for c in completions]


class Turns(TrainerCallback):
    """Calls `turn` before each update of four steps, with the seconds that the last one took."""

    def __init__(self, turn):
        self.turn, self.begun = turn, None

    def on_step_begin(self, args, state, control, **_):
        if state.global_step % STEPS == 0:
            now = time.perf_counter()
            more = self.turn(None if self.begun is None else now - self.begun)
            control.should_training_stop = not more
            self.begun = time.perf_counter()


def train(bf16, folder, turn):
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCAB, hidden_size=256, intermediate_size=752, num_hidden_layers=6, num_attention_heads=8,
        num_key_value_heads=8, max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=1))
    config = trl.GRPOConfig(
        output_dir=folder, use_cpu=True, bf16=bf16, per_device_train_batch_size=ANSWERS,
        gradient_accumulation_steps=1, steps_per_generation=1, num_generations=GROUP, num_iterations=STEPS,
        max_completion_length=RESPONSE, generation_kwargs={"min_new_tokens": RESPONSE}, temperature=1.0,
        beta=0.0, learning_rate=1e-5, max_steps=STEPS * 100000, gradient_checkpointing=False,
        optim="adamw_torch_fused", report_to=[], logging_strategy="no", save_strategy="no",
        disable_tqdm=True, dataloader_num_workers=0)
    trl.GRPOTrainer(model=model, reward_funcs=reward, args=config, train_dataset=prompts(),
                    processing_class=tokenizer(), callbacks=[Turns(turn)]).train()


class Done(Exception):
    pass


def seconds_of(bf16, folder):
    """Of the second update: the first one warms up."""
    took = []

    def turn(last):
        if last is not None:
            took.append(last)
        if len(took) == 2:
            raise Done
        return True
    try:
        train(bf16, folder, turn)
    except Done:
        pass
    return took[-1]


def prepare(serve, threads):
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        bf16 = seconds_of(True, folder) < seconds_of(False, folder)
        name = f"TRL {trl.__version__}, {'bf16' if bf16 else 'f32'}, {threads} threads"
        train(bf16, folder, serving(serve, name))


def serving(serve, name):
    """The trainer calls us where others call it, so `serve` runs as a partner of its own: a generator of
    values on one side, of questions on the other."""
    import threading
    asked, answered = threading.Semaphore(0), threading.Semaphore(0)
    state = {"value": None, "over": False}

    def once():
        asked.release()
        answered.acquire()
        return state["value"]

    def questions():
        try:
            serve(name, once)
        finally:
            state["over"] = True  # whatever ends it, the trainer is not left waiting
            asked.release()

    started = []

    def turn(last):
        if not started:  # the first update is not counted; then the bench may ask
            started.append(True)
            return True
        if len(started) == 1:
            started.append(True)
            threading.Thread(target=questions, daemon=True).start()
        else:
            state["value"] = ANSWERS * RESPONSE / last
            answered.release()
        asked.acquire()
        return not state["over"]
    return turn
