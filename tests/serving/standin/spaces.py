"""A stand-in for ZeroGPU's `spaces` package: every call runs in a forked process of its own.

It keeps what its generator wrapper does (spaces 0.51, zero/wrappers.py): arguments and results are
pickled, closing the generator sets a signal that is looked at after every result, an exception
comes back as Gradio's Error with the name of its class, and a death as "GPU task aborted".
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

_fork = multiprocessing.get_context("fork")
calls: list[int] = []  # the seconds asked for, call by call


def GPU(task: Callable[..., Iterator[Any]], *, duration: Callable[..., int]) -> Any:
    """The task, run elsewhere."""

    def lent(*args: Any, **kwargs: Any) -> Iterator[Any]:
        calls.append(duration(*args, **kwargs))
        here, there = _fork.Pipe(duplex=False)
        stop = _fork.Event()
        sent = pickle.dumps((args, kwargs))
        worker = _fork.Process(target=_work, args=(task, sent, there, stop), daemon=True)
        worker.start()
        there.close()
        try:
            while True:
                try:
                    kind, value = pickle.loads(here.recv_bytes())
                except EOFError:
                    raise gr.Error("GPU task aborted", title="ZeroGPU worker error") from None
                if kind == "end":
                    return
                if kind == "error":
                    raise gr.Error(value, title="ZeroGPU worker error")
                yield value
        finally:
            stop.set()
            here.close()
            worker.join(10)

    return lent


def _work(task: Callable[..., Iterator[Any]], sent: bytes, there: Any, stop: Any) -> None:
    args, kwargs = pickle.loads(sent)
    try:
        for value in task(*args, **kwargs):
            if stop.is_set():
                return
            there.send_bytes(pickle.dumps(("value", value)))
        there.send_bytes(pickle.dumps(("end", None)))
    except BrokenPipeError:
        pass
    except Exception as error:
        there.send_bytes(pickle.dumps(("error", type(error).__name__)))
