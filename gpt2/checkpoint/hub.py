"""The only file that talks to the hub's client, which is imported when first needed.

HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE and the rest are the client's own business.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.progress import Meter, bar_class
from gpt2.checkpoint.source import CONFIG_FILE, WEIGHTS_FILE, Source

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRY_AGAIN = {408, 425, 429}


class Offer(NamedTuple):
    """What the hub says about the weights: bytes, and the name their blob will have."""

    size: int | None
    etag: str


class Failure(NamedTuple):
    """Why a request failed, as a sentence, and whether another try may end better."""

    sentence: str
    passing: bool


def endpoint() -> str:
    """The address of the hub in use."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def cache_folder() -> Path:
    """Where the client keeps what it downloads."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repository_folder(repo: str) -> Path:
    """Where the client keeps one repository: its `blobs` and `snapshots`."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def cached_folder(repo: str, revision: str) -> Path | None:
    """The folder with both files if the cache has them, right or not. Asks nobody."""
    from huggingface_hub import try_to_load_from_cache

    config, weights = (
        try_to_load_from_cache(repo, file, revision=revision)
        for file in (CONFIG_FILE, WEIGHTS_FILE)
    )
    return Path(weights).parent if isinstance(config, str) and isinstance(weights, str) else None


def ask(source: Source) -> Offer:
    """One short question to the hub: the client's own would try for 24 s when nobody answers."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    repo, revision = source.address
    reply = get_hf_file_metadata(hf_hub_url(repo, WEIGHTS_FILE, revision=revision))
    if reply.commit_hash is None or reply.etag is None:
        raise CheckpointError(
            f"What answers at {endpoint()} is not a hub. Check HF_ENDPOINT, and whether a proxy "
            "or a sign-in page stands between this computer and the network."
        )
    return Offer(reply.size, reply.etag)


def bring_config(source: Source) -> Path:
    """Download `config.json`; its folder is named by the commit that the revision stands for."""
    repo, revision = source.address
    return _bring(repo, CONFIG_FILE, revision, bar_class(Meter(0), lambda: None))


def bring_weights(repo: str, commit: str, meter: Meter, check: Callable[[], None]) -> Path:
    """Download `model.safetensors`, counting into `meter`; `check` may raise to stop."""
    return _bring(repo, WEIGHTS_FILE, commit, bar_class(meter, check))


def _bring(repo: str, file: str, revision: str, bar: type) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repo, file, revision=revision, tqdm_class=bar))


def remove_dead_partials(repo: str) -> None:
    """Delete what killed downloads left behind; the client never does and never resumes them.

    A download holds the blob's lock while it lives, so a partial whose lock is free is dead.
    """
    from filelock import FileLock, Timeout

    folder = repository_folder(repo)
    locks = folder.parent / ".locks" / folder.name
    for partial in folder.glob("blobs/*.incomplete"):
        try:
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / f"{partial.name.split('.')[0]}.lock", timeout=0, mode=0o664):
                partial.unlink(missing_ok=True)
        except (Timeout, OSError, NotImplementedError):
            continue  # alive, or on a disk without locks: leave it alone


def explain(error: BaseException, source: Source) -> Failure:
    """Turn what the client raised into a `Failure`.

    Its transport's exceptions moved between major versions, so what is not known to be lasting
    counts as passing.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return Failure(
            f"{source.title} is not in this computer's cache ({cache_folder()}), and "
            "HF_HUB_OFFLINE forbids downloading it. Unset HF_HUB_OFFLINE to download it once.",
            False,
        )
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return explain(error.__cause__, source)
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_reply(error, source)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Failure(
            f"The disk became full while {source.title} was downloaded into {cache_folder()}. "
            "Free some space, or let HF_HOME name a folder on a larger disk.",
            False,
        )
    if isinstance(error, OSError) and error.filename is not None:  # a file's, not a connection's
        return Failure(
            f"{source.title} cannot be kept in {cache_folder()}: {error.strerror}. "
            "Let HF_HOME name a folder that can be written.",
            False,
        )
    if "Consistency check failed" in str(error):
        return Failure("The file arrived with the wrong number of bytes.", True)
    if "Timeout" in type(error).__name__:
        return Failure(f"The hub ({endpoint()}) stopped answering.", True)
    if "ConnectError" in type(error).__name__:
        return Failure(f"The hub ({endpoint()}) cannot be reached.", True)
    return Failure(f"The connection broke ({type(error).__name__}).", True)


def _explain_reply(error: HfHubHTTPError, source: Source) -> Failure:
    from huggingface_hub import errors

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        why = f"{source.repo} asks its readers to be let in. Ask on its page, then set HF_TOKEN."
    elif isinstance(error, errors.RepositoryNotFoundError):
        why = (
            f"The hub shows no repository {source.repo}. Check the name (no folder is called "
            "that either); if it is private, set HF_TOKEN."
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        why = f"{source.repo} has no revision {source.revision}. Check what stands after the @."
    elif isinstance(error, errors.EntryNotFoundError):
        file = CONFIG_FILE if CONFIG_FILE in str(error) else WEIGHTS_FILE
        why = (
            f"{source.repo} has no {file} at revision {source.revision}. Only safetensors files "
            "are read, never pickled ones. Choose another repository or revision."
        )
    elif status in (401, 403):
        why = f"The hub refuses {source.repo} (error {status}). Check HF_TOKEN."
    elif status >= 500 or status in _TRY_AGAIN:
        return Failure(f"The hub ({endpoint()}) answered with error {status}.", True)
    else:
        why = f"The hub ({endpoint()}) answered {source.repo} with error {status}."
    return Failure(why, False)
