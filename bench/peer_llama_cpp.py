"""Generation by llama.cpp, one sequence: the same Llama shape with random weights, written as GGUF."""
import ctypes
import os
import tempfile
import time

import gguf
import llama_cpp
import numpy as np

from peer_speed import speed

VOCAB, D, FF, LAYERS, HEADS, CONTEXT, NEW = 512, 256, 752, 6, 8, 256, 128


def write(path, dtype):
    draw = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(D)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FF)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(D // HEADS)
    w.add_rope_freq_base(10000.0)
    w.add_vocab_size(VOCAB)
    w.add_tokenizer_model("no_vocab")

    def matrix(name, rows, cols):
        w.add_tensor(name, (0.02 * draw.standard_normal((rows, cols))).astype(dtype))

    def gain(name):
        w.add_tensor(name, np.ones(D, np.float32))

    matrix("token_embd.weight", VOCAB, D)
    matrix("output.weight", VOCAB, D)
    gain("output_norm.weight")
    for i in range(LAYERS):
        gain(f"blk.{i}.attn_norm.weight")
        gain(f"blk.{i}.ffn_norm.weight")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"blk.{i}.{name}.weight", D, D)
        matrix(f"blk.{i}.ffn_gate.weight", FF, D)
        matrix(f"blk.{i}.ffn_up.weight", FF, D)
        matrix(f"blk.{i}.ffn_down.weight", D, FF)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def job(path, threads):
    L = llama_cpp
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    params = L.llama_context_default_params()
    params.n_ctx, params.n_threads, params.n_threads_batch = CONTEXT, threads, threads
    context = L.llama_init_from_model(model, params)
    if not model or not context:
        raise RuntimeError("llama.cpp does not take the model")
    memory = L.llama_get_memory(context)
    sampler = L.llama_sampler_chain_init(L.llama_sampler_chain_default_params())
    L.llama_sampler_chain_add(sampler, L.llama_sampler_init_dist(1))
    token = (L.llama_token * 1)(1)

    def once():
        begun = time.perf_counter()
        L.llama_memory_clear(memory, False)
        token[0] = 1
        for _ in range(NEW):
            if L.llama_decode(context, L.llama_batch_get_one(token, 1)):
                raise RuntimeError("llama_decode fails")
            token[0] = L.llama_sampler_sample(sampler, context, -1)
        return NEW / (time.perf_counter() - begun)

    return once


def quiet():
    @llama_cpp.llama_log_callback
    def say(*_):
        pass
    llama_cpp.llama_log_set(say, ctypes.c_void_p(0))
    return say  # lives as long as whoever holds it


def prepare(serve, threads):
    log = quiet()
    assert log
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        tried = []
        for words, dtype in (("f32", np.float32), ("f16", np.float16)):
            path = os.path.join(folder, words)
            write(path, dtype)
            for n in sorted({1, threads}):
                once = job(path, n)
                tried.append((speed(once), words, n, once))
    best = max(tried, key=lambda t: t[0])
    serve(f"llama.cpp (llama-cpp-python {llama_cpp.__version__}), {best[1]}, {best[2]} threads", best[3])
