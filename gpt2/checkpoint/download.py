"""From a `Source` to a folder with both files, complete and verified, or a `CheckpointError`.

Everyone who wants one source shares one download, which runs in its own thread; other processes
wait at the client's lock.
"""

from __future__ import annotations

import atexit
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from gpt2.checkpoint import hub
from gpt2.checkpoint.config_file import check_config, read_tokenizer
from gpt2.checkpoint.errors import Cancelled, CheckpointError
from gpt2.checkpoint.progress import ATTEMPTS, Meter, Progress
from gpt2.checkpoint.source import (
    CONFIG_FILE,
    INDEX_FILE,
    OTHER_FILES,
    TOKENIZER_FILES,
    WEIGHTS_FILE,
    Source,
    has_weights,
    read_object,
    shards_of,
)
from gpt2.checkpoint.verify import named_digest, remove_if_damaged
from gpt2.checkpoint.watch import Watch, other_weights
from gpt2.config import SIZES
from gpt2.runtime.units import format_bytes

T = TypeVar("T")

_POLL = 0.1  # seconds between two looks at `cancelled`
# Seconds before the second, third, ... try.
_WAITS = tuple(0.5 * 2**tried for tried in range(ATTEMPTS - 1))
_PATIENCE = 8.0  # seconds after which a hub that does not answer is not asked again
_SILENCE = 60.0  # seconds without one byte after which a download is given up
_LOOK = 0.5  # seconds between two looks at whether another process downloads
_GRACE = 1.0  # seconds at the end of the program in which the thread may remove what is half-made
_MOST_BYTES = 10**18  # a hub may say anything
_RESERVED_BYTES = 100_000_000  # left free on the disk, for everything else that writes there
_ELSEWHERE = "Another program on this computer is downloading it already; waiting for that."
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
            job.look()
            progress(job.meter.read())
    finally:
        job.leave()
    if job.folder is None:  # every caller gets an exception of its own
        raise CheckpointError(str(job.problem)) from job.problem
    if (last := job.meter.read()).done:
        progress(last)
    return job.folder


def learn(source: Source) -> None:
    """Fetch what says of a repository whether and how it runs, and nothing large.

    Asks the hub once, without patience. Raises CheckpointError, also for what cannot be run.
    """
    if source.folder is not None or hub.cached_facts(*source.address) is not None:
        return
    job = _Job(source)
    job.callers = 1
    with _jobs_lock:
        _running.append(job)
    try:
        _persist(job, lambda watch: hub.ask(source, watch), patience=0.0)
        _bring_facts(job)
    except OSError as error:
        raise CheckpointError(hub.explain(error, source).sentence) from error
    finally:
        with _jobs_lock:
            _running.remove(job)
        job.ended.set()


def cached_facts(source: Source) -> Path | None:
    """The folder whose config and tokenizer are here; the weights may be on their way."""
    folder = source.folder
    if folder is None:
        return hub.cached_facts(*source.address)
    return folder if (folder / CONFIG_FILE).is_file() else None


def cached_folder(source: Source) -> Path | None:
    """The folder in which both files are on this computer, right or not. Asks nobody."""
    folder = source.folder
    if folder is None:
        return _cached(source)
    return folder if (folder / CONFIG_FILE).is_file() and has_weights(folder) else None


def cached_config(source: Source) -> Path | None:
    """The folder whose `config.json` is here; the weights may still be on their way."""
    folder = source.folder
    if folder is not None:
        return folder if (folder / CONFIG_FILE).is_file() else None
    repo, revision = source.address
    config = hub.cached_file(repo, CONFIG_FILE, revision)
    return None if config is None else config.parent


def is_cached(source: Source) -> bool:
    """Whether `fetch` would find both files on this computer."""
    return cached_folder(source) is not None


def _complete(source: Source, folder: Path) -> Path:
    for file, here in (
        (CONFIG_FILE, (folder / CONFIG_FILE).is_file()),
        (WEIGHTS_FILE, has_weights(folder)),
    ):
        if not here:
            raise CheckpointError(
                f"{source.title} has no {file} in its folder. A model's folder holds "
                f"{CONFIG_FILE} and {WEIGHTS_FILE}; pickled weights are not read."
            )
    return folder


_jobs: dict[Source, _Job] = {}
_running: list[_Job] = []  # also those that nobody can join any more
_jobs_lock = threading.Lock()


def _join(source: Source) -> _Job:
    with _jobs_lock:
        job = _jobs.get(source)
        if job is None:
            job = _jobs[source] = _Job(source)
            # A daemon: a line that hangs must not keep the program from ending.
            threading.Thread(target=job.run, name=f"fetch {source.name}", daemon=True).start()
        job.wake.set()  # a newcomer does not join a sleeper
        job.callers += 1
        return job


@atexit.register
def _end() -> None:
    """Leave nothing half-made when the program ends: a thread dies before it can tidy up."""
    with _jobs_lock:
        jobs = list(_running)
        for job in jobs:
            job.callers = 0
    for job in jobs:
        if job.watch is not None:
            job.watch.close()
        if not job.ended.wait(_GRACE):
            job.remove_partials()


class _Job:
    """One download and those who wait for it. `callers` and `_jobs` change under one lock."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.callers = 0
        self.meter = Meter(SIZES[source.name].download_bytes if source.name in SIZES else 0)
        self.ended = threading.Event()
        self.wake = threading.Event()
        self.folder: Path | None = None
        self.problem: Exception | None = None
        self.watch: Watch | None = None
        self._heard = self._looked = time.monotonic()
        self._done = 0

    def leave(self) -> None:
        with _jobs_lock:
            self.callers -= 1

    def check(self) -> None:
        """Raise Cancelled when nobody waits any more; later callers then start a new job."""
        with _jobs_lock:
            if self.callers <= 0:
                self._forget()
                raise Cancelled
        if self.meter.read().done != self._done:
            self.heard()
        if self.silent() >= _SILENCE:
            raise CheckpointError(self._silence())

    def heard(self) -> None:
        """Something arrived: the patience begins anew."""
        self._heard, self._done = time.monotonic(), self.meter.read().done

    def silent(self) -> float:
        """Seconds since something arrived."""
        return time.monotonic() - self._heard

    def _silence(self) -> str:
        return (
            f"{self.source.title} could not be downloaded. {self.meter.read().note} The hub "
            f"({hub.endpoint()}) sent nothing for {_SILENCE:.0f} s. {_ADVICE}"
        ).replace("  ", " ")

    def look(self) -> None:
        """Look, from outside, whether it goes on. Raises CheckpointError for a silent line.

        A line on which a byte comes now and then never lets the job itself look.
        """
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        watch = self.watch
        if watch is not None and watch.waits_for_lock and watch.digest is not None:
            if hub.is_locked(self.source.address[0], watch.digest) and watch.waits_for_lock:
                self.meter.note = _ELSEWHERE
                self.heard()
            elif self.meter.note == _ELSEWHERE:
                self.meter.note = ""
        if self.meter.read().done != self._done:
            self.heard()
        if self.silent() < _SILENCE + _LOOK:
            return
        with _jobs_lock:
            self._forget()
            self.callers = 0
        if watch is not None:
            watch.close()
        raise CheckpointError(self._silence())

    @contextmanager
    def watching(self, pin: str | None = None) -> Iterator[Watch]:
        """The watch over one request; what it brought counts as heard."""
        self.watch = Watch(self.check, pin)
        yield self.watch
        self.watch = None
        self.heard()

    def remove_partials(self) -> None:
        """Delete what this job was downloading, not what another process is."""
        watch = self.watch
        if watch is not None and watch.digest is not None and not watch.waits_for_lock:
            hub.remove_partials(self.source.address[0], watch.digest)

    def sleep(self, seconds: float) -> None:
        """Wait before another try, unless nobody wants one, or somebody new wants one now."""
        self.wake.clear()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.wake.wait(min(_POLL, seconds)):
            self.check()

    def run(self) -> None:
        with _jobs_lock:
            _running.append(self)
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
                _running.remove(self)
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
        raise _damaged_twice(job.source, damaged)
    return folder


def _damaged_twice(source: Source, file: str) -> CheckpointError:
    return CheckpointError(
        f"{file} of {source.title} arrived damaged twice and is removed: its digest is not the "
        f"expected one. Something between this computer and {hub.endpoint()} changes the data. "
        f"{_ADVICE}"
    )


def _remove_damaged(source: Source, folder: Path) -> str | None:
    """The name of the first damaged file, after removing it; None when all is well."""
    names = [CONFIG_FILE, *(file for files in TOKENIZER_FILES for file in files), *OTHER_FILES]
    if not (folder / WEIGHTS_FILE).is_file() and (folder / INDEX_FILE).is_file():
        names.append(INDEX_FILE)  # before the files it lists
    else:
        names.append(WEIGHTS_FILE)
    for name in names:
        pin = source.sha256 if name == WEIGHTS_FILE else None
        if _is_damaged(folder / name, pin):
            return name
    if INDEX_FILE in names:
        for name in shards_of(folder):
            if _is_damaged(folder / name, None):
                return name
    return None


def _is_damaged(path: Path, pin: str | None) -> bool:
    digest = pin or named_digest(path)
    if digest is None or not (pin or path.is_file()):
        return False
    return remove_if_damaged(path, digest)


def _any_folder(job: _Job) -> Path:
    """The folder with both files, from the cache if it is there to stay, else from the hub."""
    source = job.source
    cached = _cached(source)
    if cached is not None and source.pinned:
        return cached
    try:
        # With a copy at hand the hub is asked once whether its branch has moved, and may be down.
        offer = _persist(
            job,
            lambda watch: hub.ask(source, watch),
            patience=_PATIENCE if cached is None else 0.0,
            pin=source.sha256,
        )
        return _download(job, offer)
    except CheckpointError as error:
        if cached is not None:
            return cached
        config = cached_config(source)
        if config is not None and has_weights(config) and source.sha256 is None:
            raise CheckpointError(
                f"The weights of {source.title} are here, but nobody knows what cuts its text: the "
                f"hub must be asked once. {error}"
            ) from error
        raise


def _cached(source: Source) -> Path | None:
    if source.sha256 is not None:  # of a size that is known, tokenizer and all
        repo, revision = source.address
        config = hub.cached_file(repo, CONFIG_FILE, revision)
        weights = hub.cached_file(repo, WEIGHTS_FILE, revision)
        return weights.parent if config is not None and weights is not None else None
    return hub.cached_folder(*source.address)


def _download(job: _Job, offer: hub.Offer) -> Path:
    """Config and tokenizer first: what cannot be run here is refused before the weights come."""
    source, repo = job.source, job.source.address[0]
    if source.sha256 is not None and offer.etag != source.sha256:
        raise other_weights(offer.etag, source.sha256)
    hub.remove_dead_partials(repo)
    repository = hub.repository_folder(repo)
    if offer.size is not None and offer.file == WEIGHTS_FILE:
        job.meter.total = min(max(0, offer.size), _MOST_BYTES)
    if not (repository / "blobs" / offer.etag).exists():
        _check_room(source, repository, job.meter.total)
    folder = _bring_facts(job)
    commit = folder.name
    if offer.file == INDEX_FILE:
        _bring_shards(job, commit)
        return folder
    return _persist(
        job,
        lambda watch: hub.bring(repo, WEIGHTS_FILE, commit, watch, job.meter),
        pin=source.sha256,
    ).parent


def _bring_facts(job: _Job) -> Path:
    """Config and tokenizer. Raises CheckpointError for what cannot be run here."""
    source = job.source
    config = _bring_small(job, CONFIG_FILE, source.address[1])
    if config is None:
        raise CheckpointError(f"{source.title} has no {CONFIG_FILE}.")
    folder = config.parent
    _usable(source, lambda: check_config(folder))
    if source.sha256 is None:
        _bring_tokenizer(job, folder.name)
        _usable(source, lambda: read_tokenizer(folder))
    return folder


def _usable(source: Source, check: Callable[[], object]) -> None:
    try:
        check()
    except CheckpointError as error:
        raise CheckpointError(
            f"{source.title} cannot be run here: {error} Its weights were not downloaded."
        ) from error


def _bring_small(
    job: _Job, file: str, revision: str, bring: Callable[..., Path | None] = hub.bring
) -> Path | None:
    """One of the small files, verified at once: the others are judged by what it says."""
    for _ in range(2):
        path = _persist(job, partial(bring, job.source.address[0], file, revision, meter=Meter(0)))
        if path is None or not _is_damaged(path, None):
            return path
    raise _damaged_twice(job.source, file)


def _bring_tokenizer(job: _Job, commit: str) -> None:
    """What says how its text is cut into tokens and where it ends."""
    repo = job.source.address[0]

    def optional(file: str) -> Path | None:
        if hub.is_known_missing(repo, file, commit):
            return None
        return _bring_small(job, file, commit, hub.bring_optional)

    for file in OTHER_FILES:
        optional(file)
    for files in TOKENIZER_FILES:
        if all(optional(file) is not None for file in files):
            break


def _bring_shards(job: _Job, commit: str) -> None:
    repo = job.source.address[0]
    index = _bring_small(job, INDEX_FILE, commit)
    if index is None:
        raise CheckpointError(f"{job.source.title} has no {INDEX_FILE}.")
    shards = shards_of(index.parent)
    about = read_object(index).get("metadata")
    total = about.get("total_size") if isinstance(about, dict) else None
    if isinstance(total, int) and total > 0:
        job.meter.total = total = min(total, _MOST_BYTES)
        _check_room(job.source, hub.repository_folder(repo), total)
    for file in sorted(shards):
        path = _persist(job, partial(hub.bring, repo, file, commit, meter=job.meter))
        job.meter.base += path.stat().st_size


def _check_room(source: Source, folder: Path, needed: int) -> None:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVED_BYTES:
        raise CheckpointError(
            f"{source.title} needs {format_bytes(needed, 2)} and the disk of this computer's cache "
            f"has {format_bytes(free, 2)} free. Free some space, or let HF_HOME name a folder on a "
            "larger disk. Nothing was downloaded."
        )


def _persist(
    job: _Job,
    action: Callable[[Watch], T],
    patience: float = float("inf"),
    pin: str | None = None,
) -> T:
    """Do `action`, again after a wait if what failed may pass. `patience` is in seconds.

    The hub may ask for a longer wait; one beyond `_SILENCE` is reported instead of waited for.
    """
    start = time.monotonic()
    tries = 0
    job.meter.attempt = 1
    while True:
        job.check()
        try:
            with job.watching(pin) as watch:
                return action(watch)
        except (Cancelled, CheckpointError):
            raise
        except Exception as error:
            failure = hub.explain(error, job.source)
            if not failure.passing:
                raise CheckpointError(failure.sentence) from error
            tries += 1
            waits = max(failure.seconds, _WAITS[min(tries, len(_WAITS)) - 1])
            tired = tries > len(_WAITS) or time.monotonic() - start >= patience
            if tired or job.silent() + waits >= _SILENCE:
                raise CheckpointError(
                    f"{job.source.title} could not be downloaded. {failure.sentence} "
                    f"Tried {tries} {'time' if tries == 1 else 'times'}. {_ADVICE}"
                ) from error
        job.meter.attempt = tries + 1
        job.meter.note = f"{failure.sentence} Trying again in {hub.duration(waits)}."
        job.sleep(waits)
