"""`load`: a name in, an engine out; on the way download, precision, device and executor."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from gpt2.checkpoint import (
    CheckpointError,
    Progress,
    empty_model,
    fetch,
    find_source,
    open_weights,
    read_config,
    read_tokenizer,
    weights_stamp,
)
from gpt2.config import GPT2Config
from gpt2.engine import EXECUTOR_SLOTS, Engine, schedule, schedule_model
from gpt2.inference.executor import Executor
from gpt2.inference.torch_executor import halve
from gpt2.model import GPT2Model
from gpt2.precision import FLOAT32, choose_precision, wanted_precision, weight_bytes
from gpt2.runtime.device import CPU, GPU, wanted_device
from gpt2.runtime.fresh_thread import run_in_fresh_thread
from gpt2.runtime.malloc import large_blocks_via_mmap, reuse_freed
from gpt2.runtime.threads import thread_count

# Bytes of float32 weights: reading more of them than this takes longer than compiling does.
_READ_SOONER = 10**9
_GRACE = 10.0  # seconds for a compiler to come to an end when the program does
_PREPARING = (
    "PyTorch computes in float32 while the compiled pass is being prepared; the next text "
    "will be faster."
)

Stamp = tuple[tuple[str, int, int, int], ...]  # `weights_stamp`

_log = logging.getLogger(__name__)
_compiling: set[threading.Thread] = set()


class NotCompiled(Exception):
    """There is no compiled pass; the message is a sentence for people."""


def load(
    name: str,
    precision: str = FLOAT32,
    progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    device: str | None = None,
    wait: bool = True,
) -> Engine:
    """An engine for a name in `SIZES`, a local folder, or a hub repository with a GPT-2 in it.

    Downloads what is not here yet. `precision` is one that `device`, `cpu` or `cuda`, has
    (`gpt2.precision.PRECISIONS`), or `auto`; without `device` GPT2_DEVICE decides, and where that
    says nothing, whether there is a GPU. A CPU computes by a compiled pass; where that is missing,
    PyTorch does in float32, and `Engine.note` says so. Without `wait`, a small model starts with
    PyTorch at once and changes over, between runs, when the compiled pass is ready. Raises
    ValueError for an unknown name, precision or device and CheckpointError, with a sentence for
    people, when the files cannot be had or are wrong.
    """
    reuse_freed()
    where = device or wanted_device()
    # A wrong name is told before anything is fetched.
    choose_precision(precision, GPT2Config(), where)
    folder = fetch(find_source(name), progress, cancelled)
    stamp = _stamp_of(folder)
    tokenizer = read_tokenizer(folder)
    config = read_config(folder)
    chosen = choose_precision(precision, config, where)
    if where == GPU:
        return _by_torch(folder, GPU, chosen)
    if not wait and weight_bytes(config, FLOAT32) <= _READ_SOONER:
        engine = _by_torch(folder, note=_PREPARING)
        _change_over_later(engine, partial(_open_compiled, folder, chosen, stamp))
        return engine
    try:
        executor = _open_compiled(folder, chosen, stamp)
    except NotCompiled as reason:
        return _by_torch(folder, note=str(reason))
    return Engine(schedule(executor), tokenizer, partial(_read_again, folder, stamp))


def load_as_wanted(name: str, cancelled: Callable[[], bool]) -> Engine:
    """`load` in the precision and on the device that the environment asks for."""
    return load(name, wanted_precision(), cancelled=cancelled, wait=False)


@run_in_fresh_thread
def read_model(folder: Path, device: str = CPU, precision: str = FLOAT32) -> GPT2Model:
    """The readable model in `folder`, in `float32` or, for a GPU, `float16`.

    Raises CheckpointError. Read block by block: for a GPU, only one of them is ever in the memory
    of this machine itself.
    """
    with open_weights(folder) as weights, large_blocks_via_mmap():
        config = weights.config
        blocks = [f"h.{layer}." for layer in range(config.num_blocks)]
        state = {
            prefix + name: tensor.to(device)
            for prefix in ("wte.", "wpe.", *blocks, "ln_f.")
            for name, tensor in weights.state(prefix).items()
        }
        model = empty_model(config)
        model.load_state_dict(state, strict=True, assign=True)
    model.to(device)  # waves of positions are computed, not read
    model.eval().requires_grad_(False)
    return halve(model) if precision == "float16" else model


def _by_torch(folder: Path, device: str = CPU, precision: str = FLOAT32, note: str = "") -> Engine:
    stamp = _stamp_of(folder)
    model = read_model(folder, device, precision)
    # Weakly: an engine that has changed over keeps no second copy of the weights.
    kept = weakref.ref(model)
    return Engine(
        schedule_model(model),
        read_tokenizer(folder),
        lambda: kept() or _read_again(folder, stamp, device, precision),
        note,
        kept,
    )


def _read_again(
    folder: Path, stamp: Stamp, device: str = CPU, precision: str = FLOAT32
) -> GPT2Model:
    """`read_model` of files that an engine was made of.

    Raises CheckpointError also where they are no longer these: a training job may have written
    others meanwhile, and nothing that they say is true of the engine.
    """
    if not _is_same(folder, stamp):
        raise CheckpointError(
            "The files of this model have changed since it was loaded. Write a new text to load it "
            "anew."
        )
    return read_model(folder, device, precision)


def _stamp_of(folder: Path) -> Stamp:
    """Raises CheckpointError for a folder that has been moved away this moment."""
    try:
        return weights_stamp(folder)
    except OSError as error:
        raise CheckpointError(f"The weights cannot be read: {error.strerror}.") from error


def _is_same(folder: Path, stamp: Stamp) -> bool:
    try:
        return _stamp_of(folder) == stamp
    except CheckpointError:
        return False


def _open_compiled(folder: Path, precision: str, stamp: Stamp) -> Executor:
    """The compiled pass of the model in `folder`, whose files are those of `stamp`.

    Raises NotCompiled and CheckpointError.
    """
    try:
        cpu = import_module("gpt2.cpu")
        unavailable = cpu.Unavailable  # imports the compiler's library
    except ImportError:
        raise NotCompiled(
            "PyTorch computes in float32, since the compiled pass needs Numba, which cannot be "
            "imported here."
        ) from None
    try:
        executor: Executor = cpu.open_executor(folder, precision, thread_count(), EXECUTOR_SLOTS)
    except unavailable as reason:
        raise NotCompiled(f"PyTorch computes in float32: {reason}") from reason
    if not _is_same(folder, stamp):  # tokenizer and shape have been read already
        executor.close()
        raise NotCompiled(
            "PyTorch computes in float32, since the files of the model have changed meanwhile."
        )
    return executor


def _change_over_later(engine: Engine, open_compiled: Callable[[], Executor]) -> None:
    """In a thread of its own, so that the first text need not wait for it."""
    weakly = weakref.ref(engine)

    def work() -> None:
        try:
            executor = open_compiled()
        except Exception as error:
            if isinstance(error, NotCompiled):
                note = str(error)
            else:
                _log.exception("the compiled pass could not be prepared")
                note = "PyTorch computes in float32, since preparing the compiled pass failed."
            if (waiting := weakly()) is not None:
                waiting.note = note
        else:
            if (waiting := weakly()) is not None:
                waiting.change_to(executor)
            else:
                executor.close()
        finally:
            _compiling.discard(threading.current_thread())

    thread = threading.Thread(target=work, daemon=True)
    _compiling.add(thread)
    thread.start()


@atexit.register
def _wait_for_compilers() -> None:
    """A thread that is inside a compiler when Python ends aborts the process."""
    for thread in list(_compiling):
        thread.join(_GRACE)
