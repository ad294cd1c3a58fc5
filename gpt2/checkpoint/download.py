"""From a `Source` to a folder with both files, complete and verified, or a `CheckpointError`.

Everyone who wants one source shares one download, which runs in its own thread; other processes
wait at the client's lock.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gpt2.checkpoint import hub
from gpt2.checkpoint.errors import Cancelled, CheckpointError
from gpt2.checkpoint.progress import Meter, Progress
from gpt2.checkpoint.source import CONFIG_FILE, WEIGHTS_FILE, Source
from gpt2.checkpoint.verify import named_digest, remove_if_damaged
from gpt2.config import SIZES

T = TypeVar("T")

_POLL = 0.1  # seconds between two looks at `cancelled`
_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before the second, third, ... try
ATTEMPTS = len(_WAITS) + 1
_PATIENCE = 8.0  # seconds after which a hub that does not answer is not asked again
_GRACE = 3.0  # seconds after Ctrl-C in which the thread may remove what is half-made
_SPARE_BYTES = 100_000_000  # left free on the disk, for everything else that writes there
_ADVICE = "No partial file was kept. Try again; Tiny works without a download."


def fetch(
    source: Source,
    progress: Callable[[Progress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder that holds `config.json` and `model.safetensors`, downloaded if need be.

    Safe from any thread. `progress` and `cancelled` are called here, about ten times a second.
    A download goes on until every caller has cancelled. A pinned or named sha256 is verified once.
    Raises CheckpointError with a message for the user, Cancelled when `cancelled()` is true.
    """
    if source.folder is not None:
        return _complete(source, source.folder)
    job = _join(source)
    try:
        while not job.ended.wait(_POLL):
            if cancelled():
                raise Cancelled
            progress(job.meter.read())
    except BaseException as why:
        job.leave()
        if isinstance(why, KeyboardInterrupt):  # the program is about to end, and the thread too
            job.ended.wait(_GRACE)
        raise
    if job.folder is None:  # every caller gets an exception of its own
        raise CheckpointError(str(job.problem)) from job.problem
    if (last := job.meter.read()).done:
        progress(last)
    return job.folder


def cached_folder(source: Source) -> Path | None:
    """The folder in which both files are on this computer, right or not. Asks nobody."""
    folder = source.folder
    if folder is None:
        return hub.cached_folder(*source.address)
    here = all((folder / file).is_file() for file in (CONFIG_FILE, WEIGHTS_FILE))
    return folder if here else None


def is_cached(source: Source) -> bool:
    """Whether `fetch` would find both files on this computer."""
    return cached_folder(source) is not None


def _complete(source: Source, folder: Path) -> Path:
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{source.title} has no {file} in {folder}. A model's folder holds {CONFIG_FILE} "
                f"and {WEIGHTS_FILE}; pickled weights are not read."
            )
    return folder


_jobs: dict[Source, _Job] = {}
_jobs_lock = threading.Lock()


def _join(source: Source) -> _Job:
    with _jobs_lock:
        job = _jobs.get(source)
        if job is None:
            job = _jobs[source] = _Job(source)
            # A daemon: a line that hangs must not keep the program from ending.
            threading.Thread(target=job.run, name=f"fetch {source.name}", daemon=True).start()
        job.callers += 1
        return job


class _Job:
    """One download and those who wait for it. `callers` and `_jobs` change under one lock."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.callers = 0
        self.meter = Meter(SIZES[source.name].download_bytes if source.name in SIZES else 0)
        self.ended = threading.Event()
        self.folder: Path | None = None
        self.problem: Exception | None = None

    def leave(self) -> None:
        with _jobs_lock:
            self.callers -= 1

    def check(self) -> None:
        """Raise Cancelled when nobody waits any more; later callers then start a new job."""
        with _jobs_lock:
            if self.callers == 0:
                self._forget()
                raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Wait before another try, unless nobody wants one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            time.sleep(min(_POLL, seconds))

    def run(self) -> None:
        try:
            self.folder = _right_folder(self)
        except Cancelled:
            return
        except OSError as error:
            self.problem = CheckpointError(hub.explain(error, self.source).sentence)
        except Exception as error:
            self.problem = error
        finally:
            with _jobs_lock:
                self._forget()
            self.ended.set()

    def _forget(self) -> None:
        if _jobs.get(self.source) is self:
            del _jobs[self.source]


def _right_folder(job: _Job) -> Path:
    """The verified folder; a damaged file is removed and fetched once more."""
    folder = _any_folder(job)
    if not _remove_damaged(job.source, folder):
        return folder
    try:
        folder = _any_folder(job)
    except CheckpointError as error:
        raise CheckpointError(
            f"The copy of {job.source.title} on this computer was damaged and is removed. {error}"
        ) from error
    if damaged := _remove_damaged(job.source, folder):
        raise CheckpointError(
            f"{damaged} of {job.source.title} arrived damaged twice and is removed: its digest is "
            f"not the expected one. Something between this computer and {hub.endpoint()} changes "
            f"the data. {_ADVICE}"
        )
    return folder


def _remove_damaged(source: Source, folder: Path) -> str | None:
    """The name of the first damaged file, after removing it; None when all is well."""
    for file, pin in ((CONFIG_FILE, None), (WEIGHTS_FILE, source.sha256)):
        digest = pin or named_digest(folder / file)
        if digest is not None and remove_if_damaged(folder / file, digest):
            return file
    return None


def _any_folder(job: _Job) -> Path:
    """The folder with both files, from the cache if it is there to stay, else from the hub."""
    source = job.source
    cached = hub.cached_folder(*source.address)
    if cached is not None and source.pinned:
        return cached
    try:
        # With a copy at hand the hub is asked once whether its branch has moved, and may be down.
        offer = _persist(job, lambda: hub.ask(source), _PATIENCE if cached is None else 0.0)
        return _download(job, offer)
    except CheckpointError:
        if cached is None:
            raise
        return cached


def _download(job: _Job, offer: hub.Offer) -> Path:
    source, repo = job.source, job.source.address[0]
    if source.sha256 is not None and len(offer.etag) == 64 and offer.etag != source.sha256:
        raise CheckpointError(
            f"{hub.endpoint()} offers other weights for {source.title} than the ones this program "
            f"knows (sha256 {offer.etag[:12]}… instead of {source.sha256[:12]}…). Check "
            "HF_ENDPOINT. Nothing was downloaded."
        )
    hub.remove_dead_partials(repo)
    repository = hub.repository_folder(repo)
    if offer.size is not None:
        job.meter.total = offer.size
    if not (repository / "blobs" / offer.etag).exists():
        _check_room(source, repository, job.meter.total)
    commit = _persist(job, lambda: hub.bring_config(source)).parent.name
    return _persist(job, lambda: hub.bring_weights(repo, commit, job.meter, job.check)).parent


def _check_room(source: Source, folder: Path, needed: int) -> None:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise CheckpointError(
            f"{source.title} needs {needed / 1e9:.2f} GB and {folder} has {free / 1e9:.2f} GB "
            "free. Free some space, or let HF_HOME name a folder on a larger disk. Nothing was "
            "downloaded."
        )


def _persist(job: _Job, action: Callable[[], T], patience: float = float("inf")) -> T:
    """Do `action`, again after a wait if what failed may pass. `patience` is in seconds."""
    start = time.monotonic()
    tries = 0
    job.meter.attempt = 1
    while True:
        job.check()
        try:
            return action()
        except (Cancelled, CheckpointError):
            raise
        except Exception as error:
            failure = hub.explain(error, job.source)
            if not failure.passing:
                raise CheckpointError(failure.sentence) from error
            tries += 1
            if tries > len(_WAITS) or time.monotonic() - start >= patience:
                raise CheckpointError(
                    f"{job.source.title} could not be downloaded. {failure.sentence} "
                    f"Tried {tries} {'time' if tries == 1 else 'times'}. {_ADVICE}"
                ) from error
        job.meter.attempt = tries + 1
        job.sleep(_WAITS[tries - 1])
