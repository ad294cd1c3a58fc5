"""The entries of **Model size**: the known sizes, and the model a Space's owner names.

The owner's may be moved, half written or of a kind that cannot be run, at the start and at any
later moment. Then it is listed with the reason, and nobody who uses another size notices.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from reprlib import repr as shortened

from gpt2.checkpoint import (
    CheckpointError,
    Source,
    cached_config,
    cached_facts,
    fetch,
    find_source,
    is_cached,
    learn,
    read_config,
    read_tokenizer,
    weights_digest,
    weights_stamp,
)
from gpt2.config import SIZES, GPT2Config
from gpt2.precision import choose_precision, wanted_precision, weight_bytes
from gpt2.runtime import settings
from gpt2.runtime.units import format_bytes
from gpt2.serving.engines import writing_device
from gpt2.tokenizer import Tokenizer

# A folder or a hub repository, offered below the known sizes.
OWN_MODEL_VARIABLE = "GPT2_MODEL"

_NOT_USABLE = "%s=%s cannot be used now: %s"
_log = logging.getLogger(__name__)


def offered() -> dict[str, str]:
    """Names as the page shows them, in the order of the list, to names as `load` takes them.

    A folder shows its last part alone: where it lies is nobody's business.
    """
    known = {name: name for name in SIZES}
    own = settings.MODEL.get()
    if not own or own in known:
        return known
    source = _own(own)
    shown = own if source.folder is None else source.folder.name
    to_load = own if source.folder is None else str(source.folder)
    return known | {f"own {shown}" if shown in known else shown: to_load}


@cache
def _own(name: str) -> Source:
    """The owner's model, settled once: a folder that is moved away does not become a repository.

    Where a link leads to is looked up every time: training jobs let one name their newest. Raises
    ValueError for a name that is neither.
    """
    try:
        source = find_source(name)
        if source.folder is None:
            return source
    except ValueError:
        if not name.startswith(("/", ".", "~")) or os.path.expanduser(name).startswith("~"):
            raise
    folder = Path(os.path.abspath(os.path.expanduser(name)))
    return Source(str(folder), folder, None, None, None)


def check_offered() -> None:
    """Raises ValueError when the precision or the device that the owner wishes is not here.

    Nor may his model be neither folder nor repository; one that cannot be read is told in the log.
    Of a repository the hub is asked meanwhile what it is, so that the page knows.
    """
    for name in offered():
        if name in SIZES:
            precision_of(name)
        elif problem := problem_of(name):
            _log.warning(_NOT_USABLE, OWN_MODEL_VARIABLE, offered()[name], problem)
        else:
            # A daemon: a hub that does not answer must not keep the program from ending.
            threading.Thread(target=_learn, args=(source_of(name),), daemon=True).start()


def _learn(source: Source) -> None:
    try:
        learn(source)
    except CheckpointError as error:
        _log.warning(_NOT_USABLE, OWN_MODEL_VARIABLE, source.title, error)


def source_of(name: object) -> Source:
    """Where an offered model's files are. Raises ValueError for a model that is not offered.

    A visitor must not make the server read folders or fetch repositories of his choice.
    """
    names = offered()
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"Model size must be one of {', '.join(names)}, not {shortened(name)}.")
    own = settings.MODEL.get()
    return replace(find_source(name) if name in SIZES else _own(own), name=name)


def problem_of(name: str) -> str | None:
    """Why this size cannot be used now, as a sentence; None when nothing is known against it."""
    if name in SIZES:
        return None
    try:
        source = source_of(name)
        if source.folder is not None:
            fetch(source)
        folder = cached_facts(source)
        if folder is not None:
            read_tokenizer(folder)
        precision_of(name)
    except (CheckpointError, ValueError) as error:
        return str(error)
    except OSError as error:
        return f"Its files cannot be read: {error.strerror}."
    return None


def config_of(name: str) -> GPT2Config:
    """The shape; of a repository it is known as soon as its config is here, until then GPT-2's.

    Raises CheckpointError, for the owner's model alone, while it cannot be read.
    """
    if name in SIZES:
        return SIZES[name].config
    folder = _known_folder(name)
    return read_config(folder) if folder else GPT2Config()


def tokenizer_of(name: str) -> Tokenizer:
    """What cuts text for this size. Raises CheckpointError like `config_of`."""
    if name in SIZES:
        return _known_tokenizer(SIZES[name].config.vocab_size)
    folder = _known_folder(name)
    return read_tokenizer(folder) if folder else _known_tokenizer(GPT2Config().vocab_size)


_known_tokenizer = cache(Tokenizer)


def _known_folder(name: str) -> Path | None:
    """The folder with the config; None for a repository of which nothing is here yet."""
    source = source_of(name)
    try:
        folder = cached_config(source)
        if folder is None and source.folder is not None:
            raise CheckpointError(f"{source.title} has no config.json in its folder.")
    except OSError as error:
        raise CheckpointError(f"{source.title} cannot be read: {error.strerror}.") from error
    return folder


def stamp_of(name: str) -> object:
    """Changes when the files of a folder do; None where they never change.

    Raises CheckpointError like `config_of`.
    """
    source = source_of(name)
    if name in SIZES or source.folder is None:
        return None
    try:
        return weights_stamp(source.folder)
    except OSError as error:
        raise CheckpointError(f"{source.title} cannot be read: {error.strerror}.") from error


def weights_of(name: str) -> str:
    """The sha256 of its weights, which are here. Raises CheckpointError."""
    source = source_of(name)
    try:
        return _digest_of(fetch(source), stamp_of(name))
    except OSError as error:
        raise CheckpointError(f"{source.title} cannot be read: {error.strerror}.") from error


@cache
def _digest_of(folder: Path, stamp: object) -> str:
    return weights_digest(folder)


def drafts_for(name: str) -> list[str]:
    """The offered sizes that can guess ahead for this one: smaller, of the same vocabulary.

    Those that cannot be read cannot.
    """
    try:
        vocabulary, parameters = tokenizer_of(name).name, config_of(name).num_parameters
    except CheckpointError:
        return []
    return [other for other in offered() if _can_draft(other, vocabulary, parameters)]


def _can_draft(name: str, vocabulary: str, parameters: int) -> bool:
    try:
        smaller = config_of(name).num_parameters < parameters
        return smaller and tokenizer_of(name).name == vocabulary
    except CheckpointError:
        return False


def precision_of(name: str) -> str:
    """The precision it writes in here: `int8`. Raises CheckpointError like `config_of`."""
    return choose_precision(wanted_precision(), config_of(name), writing_device())


def weights_bytes(name: str) -> int:
    """Memory the model needs in the precision it will be loaded in."""
    return weight_bytes(config_of(name), precision_of(name))


def label(name: str) -> str:
    """One line of the list: name, parameters, and what it costs to use it."""
    if name not in SIZES:
        problem = problem_of(name)
        if problem is not None:
            return f"{name} · cannot be used: {problem}"
        return f"{name} · {'local' if is_cached(source_of(name)) else 'to download'}"
    size = SIZES[name]
    if size.built_in:
        cost = "built in"
    elif is_cached(find_source(name)):
        cost = "downloaded"
    else:
        cost = f"{format_bytes(size.download_bytes)} to download"
    return f"{size.label} · {_parameters(size.config)} · {cost}"


def size_hint(name: str) -> str:
    """One line on what this size is: a toy, GPT-2, or somebody's own."""
    try:
        parameters = f"{_parameters(config_of(name))} parameters"
    except CheckpointError as error:  # an own model that is moved away or half written
        return str(error)
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


def _parameters(config: GPT2Config) -> str:
    millions = config.num_parameters / 1e6
    return f"{millions:.1f} M" if millions < 10 else f"{millions:.0f} M"
