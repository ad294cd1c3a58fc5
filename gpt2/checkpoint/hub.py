"""The only file that talks to the hub's client, which is imported when first needed.

HF_ENDPOINT, HF_HOME, HF_TOKEN, HF_HUB_OFFLINE and the rest are the client's own business. What the
hub answers goes through `watch` first.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from gpt2.checkpoint.errors import CheckpointError
from gpt2.checkpoint.progress import Meter, bar_class
from gpt2.checkpoint.source import (
    CONFIG_FILE,
    INDEX_FILE,
    MOST_JSON,
    TOKENIZER_FILES,
    WEIGHTS_FILE,
    Source,
    has_weights,
)
from gpt2.checkpoint.verify import note_digest
from gpt2.checkpoint.watch import DIGEST, Unavailable, Watch, watched
from gpt2.runtime.units import format_bytes

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_NAMED = (CONFIG_FILE, INDEX_FILE)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Offer(NamedTuple):
    """What the hub says about the weights: their file, bytes, and the name its blob will have."""

    file: str
    size: int | None
    etag: str


class Failure(NamedTuple):
    """Why a request failed, as a sentence, and whether another try may end better.

    `seconds` is how long the hub asks to wait before it.
    """

    sentence: str
    passing: bool
    seconds: float = 0.0


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


def cached_file(repo: str, file: str, revision: str) -> Path | None:
    """The file if the cache has it, right or not. Asks nobody."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def is_known_missing(repo: str, file: str, revision: str) -> bool:
    """Whether the hub has once said that there is no such file."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, file, revision=revision)
    return found is not None and not isinstance(found, str)


def cached_facts(repo: str, revision: str) -> Path | None:
    """The folder with config and tokenizer if the cache has both. Asks nobody.

    A folder of which nobody knows whether the hub has a tokenizer for it is not enough.
    """
    config = cached_file(repo, CONFIG_FILE, revision)
    if config is None:
        return None
    for files in TOKENIZER_FILES:
        if all((config.parent / file).is_file() for file in files):
            return config.parent
    known = all(
        any(is_known_missing(repo, file, revision) for file in files) for files in TOKENIZER_FILES
    )
    return config.parent if known else None


def cached_folder(repo: str, revision: str) -> Path | None:
    """The folder with a whole model if the cache has it, right or not. Asks nobody."""
    folder = cached_facts(repo, revision)
    return folder if folder is not None and has_weights(folder) else None


def ask(source: Source, watch: Watch) -> Offer:
    """One short question to the hub: the client's own would try for 24 s when nobody answers."""
    from huggingface_hub import errors

    try:
        return _ask(source, WEIGHTS_FILE, watch)
    except errors.EntryNotFoundError:
        if source.sha256 is not None:
            raise
        try:
            return _ask(source, INDEX_FILE, watch)
        except errors.EntryNotFoundError:
            pass
        raise  # of the file that nearly every model has


def _ask(source: Source, file: str, watch: Watch) -> Offer:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    repo, revision = source.address
    with watched(watch):
        reply = get_hf_file_metadata(hf_hub_url(repo, file, revision=revision))
    if reply.commit_hash is None or reply.etag is None:
        raise CheckpointError(
            f"What answers at {endpoint()} is not a hub. Check HF_ENDPOINT, and whether a proxy "
            "or a sign-in page stands between this computer and the network."
        )
    return Offer(file, reply.size, reply.etag)


def bring(repo: str, file: str, revision: str, watch: Watch, meter: Meter) -> Path:
    """Download one file; its folder is named by the commit that the revision stands for.

    Counts into `meter`; `watch.check` may raise to stop.
    """
    from huggingface_hub import hf_hub_download

    def check() -> None:
        watch.check()
        # Packed, gigabytes are a few bytes on the line.
        if not file.endswith(".safetensors") and meter.read().done > MOST_JSON:
            raise CheckpointError(
                f"{file} of {repo} has more than {format_bytes(MOST_JSON)}. It was not kept."
            )

    with watched(watch):
        bar = bar_class(meter, check, watch.begin)
        path = Path(hf_hub_download(repo, file, revision=revision, tqdm_class=bar))
    if watch.digest is not None:
        note_digest(path, watch.digest)
    return path


def bring_optional(repo: str, file: str, revision: str, watch: Watch, meter: Meter) -> Path | None:
    """The same for a file that many repositories do not have."""
    from huggingface_hub import errors

    try:
        return bring(repo, file, revision, watch, meter)
    except errors.EntryNotFoundError:
        return None


def _lock_of(repo: str, digest: str) -> Path:
    """The client's lock on a blob; a download holds it while it lives."""
    folder = repository_folder(repo)
    return folder.parent / ".locks" / folder.name / f"{digest}.lock"


def is_locked(repo: str, digest: str) -> bool:
    """Whether somebody, here or in another process, is downloading the blob of this name."""
    from filelock import FileLock, Timeout

    lock = _lock_of(repo, digest)
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0, mode=0o664):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False  # a disk without locks: the client does not wait there either


def remove_partials(repo: str, digest: str) -> None:
    """Delete what this process was downloading: it ends before the client can."""
    if DIGEST.fullmatch(digest):
        for partial in repository_folder(repo).glob(f"blobs/{digest}.*incomplete"):
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def remove_dead_partials(repo: str) -> None:
    """Delete what killed downloads left behind; the client never does and never resumes them.

    A download holds the blob's lock while it lives, so a partial whose lock is free is dead.
    """
    from filelock import FileLock, Timeout

    for partial in repository_folder(repo).glob("blobs/*.incomplete"):
        try:
            lock = _lock_of(repo, partial.name.split(".")[0])
            lock.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(lock, timeout=0, mode=0o664):
                partial.unlink(missing_ok=True)
        except (Timeout, OSError, NotImplementedError):
            continue  # alive, or on a disk without locks: leave it alone


def explain(error: BaseException, source: Source) -> Failure:
    """Turn what the client raised into a `Failure`.

    Its transport's exceptions moved between major versions, so what is not known to be lasting
    counts as passing.
    """
    from huggingface_hub import errors

    if isinstance(error, Unavailable):
        return _explain_unavailable(error)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return Failure(
            f"{source.title} is not in this computer's cache, and "
            "HF_HUB_OFFLINE forbids downloading it. Unset HF_HUB_OFFLINE to download it once.",
            False,
        )
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return explain(error.__cause__, source)
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_reply(error, source)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Failure(
            f"The disk became full while {source.title} was downloaded. "
            "Free some space, or let HF_HOME name a folder on a larger disk.",
            False,
        )
    if isinstance(error, OSError) and error.filename is not None:  # a file's, not a connection's
        return Failure(
            f"{source.title} cannot be kept in this computer's cache: {error.strerror}. "
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


def _explain_unavailable(error: Unavailable) -> Failure:
    what = f"The hub ({endpoint()}) answered with error {error.status}"
    if not error.seconds:
        return Failure(f"{what}.", True)
    return Failure(f"{what} and asks to wait {duration(error.seconds)}.", True, error.seconds)


def duration(seconds: float) -> str:
    """Seconds for people: 20 s, 60 min, 3 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


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
        file = next((file for file in _NAMED if file in str(error)), WEIGHTS_FILE)
        why = (
            f"{source.repo} has no {file} at revision {source.revision}. Only safetensors files "
            "are read, never pickled ones. Choose another repository or revision."
        )
    elif status in (401, 403) and _of_another_host(error):
        # A signed address lives minutes; the hub gives a new one to whoever asks again.
        return Failure(f"The address of the file is no longer accepted (error {status}).", True)
    elif status in (401, 403):
        why = f"The hub refuses {source.repo} (error {status}). Check HF_TOKEN."
    else:
        why = f"The hub ({endpoint()}) answered {source.repo} with error {status}."
    return Failure(why, False)


def _of_another_host(error: HfHubHTTPError) -> bool:
    """Whether not the hub itself answered but the store that it sends large files from."""
    return urlsplit(str(error.response.request.url)).netloc != urlsplit(endpoint()).netloc
