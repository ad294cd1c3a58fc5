"""The entries of **Model size**: the known sizes, and the model a Space's owner names."""

from __future__ import annotations

from dataclasses import replace
from reprlib import repr as shortened

from gpt2.checkpoint import Source, cached_folder, fetch, find_source, is_cached, read_config
from gpt2.config import SIZES, GPT2Config
from gpt2.precision import choose_precision, wanted_precision, weight_bytes
from gpt2.runtime import settings
from gpt2.serving.engines import writing_device


def offered() -> dict[str, str]:
    """Names as the page shows them, in the order of the list, to names as `load` takes them.

    A folder shows its last part alone: where it lies is nobody's business.
    """
    known = {name: name for name in SIZES}
    own = settings.MODEL.get()
    if not own or own in known:
        return known
    try:
        folder = find_source(own).folder
    except (ValueError, OSError):  # told at the start (`check_offered`)
        folder = None
    shown = folder.name if folder else own
    return known | {f"own {shown}" if shown in known else shown: own}


def check_offered() -> None:
    """Raises ValueError or CheckpointError when the owner's model cannot be had or run.

    Nor may the precision or the device he wishes be one that is not here.
    """
    for name in offered():
        source = source_of(name)
        if source.folder is not None:
            read_config(fetch(source))
            precision_of(name)


def source_of(name: object) -> Source:
    """Where an offered model's files are. Raises ValueError for a model that is not offered.

    A visitor must not make the server read folders or fetch repositories of his choice.
    """
    if not isinstance(name, str) or name not in offered():
        raise ValueError(
            f"Model size must be one of {', '.join(offered())}, not {shortened(name)}."
        )
    return replace(find_source(offered()[name]), name=name)


def config_of(name: str) -> GPT2Config:
    """The shape; for a repository not downloaded yet, GPT-2's usual one stands in."""
    if name in SIZES:
        return SIZES[name].config
    folder = cached_folder(source_of(name))
    return read_config(folder) if folder else GPT2Config()


def drafts_for(name: str) -> list[str]:
    """The offered sizes that can guess ahead for this one: smaller, of the same vocabulary."""
    own = config_of(name)
    return [
        other
        for other in offered()
        if config_of(other).vocab_size == own.vocab_size
        and config_of(other).num_parameters < own.num_parameters
    ]


def precision_of(name: str) -> str:
    """The precision it writes in here: `int8`."""
    return choose_precision(wanted_precision(), config_of(name), writing_device())


def weights_bytes(name: str) -> int:
    """Memory the model needs in the precision it will be loaded in."""
    return weight_bytes(config_of(name), precision_of(name))


def label(name: str) -> str:
    """One line of the list: name, parameters, and what it costs to use it."""
    if name not in SIZES:
        return f"{name} · {'local' if is_cached(source_of(name)) else 'to download'}"
    size = SIZES[name]
    if size.built_in:
        cost = "built in"
    elif is_cached(find_source(name)):
        cost = "downloaded"
    else:
        cost = f"{_bytes(size.download_bytes)} to download"
    return f"{size.label} · {_parameters(size.config)} · {cost}"


def size_hint(name: str) -> str:
    """One line on what this size is: a toy, GPT-2, or somebody's own."""
    parameters = f"{_parameters(config_of(name))} parameters"
    if name not in SIZES:
        return f"{parameters}, offered by whoever runs this page"
    if SIZES[name].built_in:
        return f"{parameters}, trained here on children's stories; for real GPT-2 choose Small"
    if name == "distil":
        return f"{parameters}, a smaller copy of GPT-2 by Hugging Face (2019)"
    return f"{parameters}, GPT-2 as OpenAI released it in 2019"


def choices() -> list[tuple[str, str]]:
    """(label, name) pairs for the page's list."""
    return [(label(name), name) for name in offered()]


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _parameters(config: GPT2Config) -> str:
    millions = config.num_parameters / 1e6
    return f"{millions:.1f} M" if millions < 10 else f"{millions:.0f} M"
