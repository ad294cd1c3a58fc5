"""`load`: a name in, an engine out; on the way download, precision and device."""

from __future__ import annotations

from collections.abc import Callable

from gpt2.checkpoint import Progress, fetch, find_source, read_config, read_tokenizer
from gpt2.config import GPT2Config
from gpt2.engine import Engine
from gpt2.precision import choose_precision, load_with_precision, wanted_precision
from gpt2.runtime.device import wanted_device


def load(
    name: str,
    precision: str = "float32",
    progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    device: str | None = None,
) -> Engine:
    """An engine for a name in `SIZES`, a local folder, or a hub repository with a GPT-2 in it.

    Downloads what is not here yet. `precision` is one that `device`, `cpu` or `cuda`, has
    (`gpt2.precision.PRECISIONS`), or `auto`; without `device` GPT2_DEVICE decides, and where that
    says nothing, whether there is a GPU. Raises ValueError for an unknown name, precision or device
    and CheckpointError, with a sentence for people, when the files cannot be had or are wrong.
    """
    where = device or wanted_device()
    # A wrong name is told before anything is fetched.
    choose_precision(precision, GPT2Config(), where)
    folder = fetch(find_source(name), progress, cancelled)
    tokenizer = read_tokenizer(folder)
    chosen = choose_precision(precision, read_config(folder), where)
    model = load_with_precision(folder, chosen, where)
    return Engine(model, tokenizer, chosen)


def load_as_wanted(name: str, cancelled: Callable[[], bool]) -> Engine:
    """`load` in the precision and on the device that the environment asks for."""
    return load(name, wanted_precision(), cancelled=cancelled)
