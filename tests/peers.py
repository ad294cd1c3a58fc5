"""python -m tests.peers FOLDER --gguf FILE ... --onnx FILE ...: beside llama.cpp and ONNX Runtime.

FOLDER is a checkpoint; the other files are the same weights in the peers' own formats, made by
`gguf` and `llama_cpp.llama_model_quantize`, and by `torch.onnx.export` (inputs ids, pos, p0, p1 and
so on; outputs logits, o0, o1 and so on: keys and values of the layers). Needs llama-cpp-python and
onnxruntime. All are loaded first and then asked in turns: a machine that slows down slows all.
`--beside 2` runs that many busy loops beside them.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from gpt2.checkpoint import read_config
from gpt2.config import GPT2Config
from gpt2.cpu import open_executor

# What a contender can: read ids after what it has read (logits of the last), or forget all.
Contender = tuple[Callable[[Sequence[int]], object], Callable[[], None]]
CONTEXT, PROMPT = 1024, 512
SHORT, LONG, TOKENS = 32, 900, 30


def ours(folder: Path, precision: str, threads: int) -> Contender:
    executor = open_executor(folder, precision, threads, 1)
    read = 0

    def evaluate(ids: Sequence[int]) -> object:
        nonlocal read
        places = np.arange(read, read + len(ids))
        read += len(ids)
        return executor.run(np.array(ids), places, 0 * places, np.array([len(ids) - 1]))

    def forget() -> None:
        nonlocal read
        read = 0

    return evaluate, forget


def llama(file: Path, threads: int) -> Contender:
    library: Any = importlib.import_module("llama_cpp")
    silent = library.llama_log_callback(lambda *_: None)
    library.llama_log_set(silent, ctypes.c_void_p(0))
    library.llama_backend_init()
    model = library.llama_model_load_from_file(
        str(file).encode(), library.llama_model_default_params()
    )
    settings = library.llama_context_default_params()
    settings.n_ctx = settings.n_batch = CONTEXT
    settings.n_ubatch = PROMPT
    settings.n_threads = settings.n_threads_batch = threads
    context = library.llama_init_from_model(model, settings)

    def evaluate(ids: Sequence[int]) -> object:
        tokens = (library.llama_token * len(ids))(*ids)
        batch = library.llama_batch_get_one(tokens, len(ids))
        assert library.llama_decode(context, batch) == 0
        return silent  # kept alive

    def forget() -> None:
        library.llama_memory_clear(library.llama_get_memory(context), True)

    return evaluate, forget


def onnx(file: Path, config: GPT2Config, threads: int) -> Contender:
    library: Any = importlib.import_module("onnxruntime")
    options = library.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = library.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    value = library.OrtValue.ortvalue_from_numpy
    empty = np.zeros((1, config.num_heads, 0, config.hidden_dimension), np.float32)
    names = [each.name for each in session.get_inputs()][2:]
    past: list[Any] = []
    read = 0

    def evaluate(ids: Sequence[int]) -> object:
        nonlocal past, read
        binding = session.io_binding()
        binding.bind_ortvalue_input("ids", value(np.array([ids], np.int64)))
        places = np.arange(read, read + len(ids), dtype=np.int64)
        binding.bind_ortvalue_input("pos", value(places))
        for name, kept in zip(names, past, strict=True):
            binding.bind_ortvalue_input(name, kept)
        for output in session.get_outputs():
            binding.bind_output(output.name)
        session.run_with_iobinding(binding)
        logits, *past = binding.get_outputs()
        read += len(ids)
        return logits

    def forget() -> None:
        nonlocal past, read
        past, read = [value(empty) for _ in names], 0

    return evaluate, forget


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precisions", nargs="+", default=["int8", "int4"])
    parser.add_argument("--gguf", nargs="*", type=Path, default=[])
    parser.add_argument("--onnx", nargs="*", type=Path, default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=int, default=0)
    options = parser.parse_args()
    config = read_config(options.folder)
    contenders = {p: ours(options.folder, p, options.threads) for p in options.precisions}
    contenders |= {file.stem: llama(file, options.threads) for file in options.gguf}
    contenders |= {
        f"{file.parent.name}": onnx(file, config, options.threads) for file in options.onnx
    }
    ids = np.random.default_rng(1).integers(0, config.vocab_size, CONTEXT).tolist()
    milliseconds: dict[tuple[str, str], list[float]] = {}

    def timed(name: str, what: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        milliseconds.setdefault((name, what), []).append((time.perf_counter() - began) * 1e3)

    loop = [sys.executable, "-c", "while True: pass"]
    neighbours = [subprocess.Popen(loop) for _ in range(options.beside)]
    for _ in range(options.rounds):
        for name, (evaluate, forget) in contenders.items():
            forget()
            evaluate(ids[:SHORT])
            for i in range(TOKENS):
                timed(name, f"a token after {SHORT}", lambda e=evaluate, i=i: e([ids[i]]))
            forget()
            timed(name, f"first token of {PROMPT}", lambda e=evaluate: e(ids[:PROMPT]))
            evaluate(ids[PROMPT:LONG])
            for i in range(TOKENS):
                timed(name, f"a token after {LONG}", lambda e=evaluate, i=i: e([ids[i]]))
    for neighbour in neighbours:
        neighbour.kill()
    for (name, what), found in milliseconds.items():
        print(f"{name:12} {what:20} median {median(found):8.2f} ms, least {min(found):8.2f} ms")


if __name__ == "__main__":
    main()
