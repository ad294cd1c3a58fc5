"""Generate, Continue and Stop: from a click to the frames that the page shows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from gpt2.checkpoint import Cancelled, CheckpointError, Progress, is_cached
from gpt2.engine import Engine, Event
from gpt2.residency import OutOfMemory, Residency
from gpt2.ui.background import Background
from gpt2.ui.frames import Frames, Value, loading_sentence, note
from gpt2.ui.requests import Request
from gpt2.ui.runs import Run, RunStore
from gpt2.ui.sizes import offered, source_of, weights_bytes
from gpt2.ui.turns import Turns

_PATIENCE = 0.25  # seconds without news before the page is told so
_PAUSE = 0.02  # seconds between two frames: nobody sees more than 50 a second

# Errors whose message is a sentence for visitors.
TOLD = (ValueError, CheckpointError, OutOfMemory)
SORRY = "Something went wrong on the server. Nothing is lost; try again."

Frame = tuple[Value | None, Value | None, str]  # Output, Attention, status line

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visitor:
    """One open page: its newest run, and the signal that ends it.

    Whoever adds to a run holds `lock` and first looks whether `stop` is still his own.
    """

    run: Run | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> threading.Event:
        """End what still runs and return the signal of what begins now."""
        with self.lock:
            self.stop.set()
            self.stop = threading.Event()
            return self.stop


@dataclass(frozen=True, slots=True)
class _Started:
    engine: Engine
    run: Run


@dataclass(frozen=True, slots=True)
class _Waiting:
    ahead: int


_News = _Waiting | Progress | _Started | Event


class Playground:
    """What all visitors share: the models, the line to wait in, and the texts."""

    def __init__(self, residency: Residency, most_running: int) -> None:
        self.residency = residency
        self.runs = RunStore()
        self._turns = Turns(most_running)

    def generate(self, request: Request, visitor: Visitor) -> Iterator[Frame]:
        """A new text from the prompt."""
        return self._frames(request, visitor, self._new_run(request, visitor))

    def go_on(self, request: Request, visitor: Visitor, run: Run) -> Iterator[Frame]:
        """More of the same text, by the same model."""

        def start(engine: Engine) -> Run:
            run.options = request.options
            return run

        return self._frames(request, visitor, start)

    def _new_run(self, request: Request, visitor: Visitor) -> Callable[[Engine], Run]:
        def start(engine: Engine) -> Run:
            ids = engine.encode(request.prompt)
            layers, heads = engine.config.num_blocks, engine.config.num_heads
            before = visitor.run
            # Keep looking where the visitor looked last.
            layer = before.layer if before and before.layers == layers else layers // 2
            run = Run(request.size, request.options, ids, len(ids), layers, heads, layer)
            self.runs.add(run)
            return run

        return start

    def engine(
        self,
        size: str,
        progress: Callable[[Progress], None] = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[Engine]:
        """The engine of an offered size, for as long as the `with` block lasts."""
        return self.residency.engine(offered()[size], weights_bytes(size), progress, cancelled)

    def status(self, size: str) -> str:
        """The words at the top right of the page while nothing runs."""
        source = source_of(size)
        if self.residency.is_loaded(offered()[size]):
            state = "ready"
        elif is_cached(source):
            state = "built in · ready" if source.folder else "on this computer"
        else:
            state = "downloaded on first use"
        return f"{source.title} · float32 · {state}"

    def texts(self, request: Request) -> Iterator[str]:
        """The text so far, again and again, for a script. Raises what `TOLD` lists."""
        text = ""
        for batch in self._batches(request, self._new_run(request, Visitor()), threading.Event()):
            new = "".join(item.text for item in batch if isinstance(item, Event))
            if new:
                text += new
                yield text
        if not text:
            yield text  # the model may end the text before its first word

    def _frames(
        self, request: Request, visitor: Visitor, start: Callable[[Engine], Run]
    ) -> Iterator[Frame]:
        title = source_of(request.size).title
        stop = visitor.begin()
        frames: Frames | None = None
        last: Frame | None = None
        try:
            for batch in self._batches(request, start, stop):
                events = [item for item in batch if isinstance(item, Event)]
                frame: Frame | None = None
                with visitor.lock:
                    if visitor.stop is not stop:
                        return  # what began since goes on from what is shown: add no more to it
                    for item in batch:
                        if isinstance(item, _Started):
                            visitor.run = item.run
                            frames = _frames_for(item, title, request.new_tokens)
                    if frames is None:
                        frame = _before_start(title, batch)
                    elif events:
                        frame = *frames.frame(events), f"{title} · float32 · {_state(events)}"
                if frame:
                    yield frame
        except Cancelled:
            last = note("stopped", "Stopped before the first token."), None, f"{title} · stopped"
        except TOLD as error:
            last = _failure(frames, str(error)), None, f"{title} · not running"
        except Exception:
            _log.exception("a run failed")
            last = _failure(frames, SORRY), None, f"{title} · not running"
        if last and visitor.stop is stop:
            yield last

    def _batches(
        self, request: Request, start: Callable[[Engine], Run], stop: threading.Event
    ) -> Iterator[list[_News]]:
        """Wait, load, run. Closing this early, as Gradio does for a closed tab, stops the run."""
        place = self._turns.join()
        try:
            while ahead := self._turns.ahead(place):
                if stop.wait(_PATIENCE):
                    raise Cancelled
                yield [_Waiting(ahead)]
            work: Background[_News] = Background(
                lambda emit: self._work(request, start, stop, emit), _PATIENCE, _PAUSE
            )
            yield from work.batches()
        finally:
            stop.set()
            self._turns.leave(place)

    def _work(
        self,
        request: Request,
        start: Callable[[Engine], Run],
        stop: threading.Event,
        emit: Callable[[_News], None],
    ) -> None:
        with self.engine(request.size, emit, stop.is_set) as engine:
            run = start(engine)
            emit(_Started(engine, run))
            for event in engine.stream(
                list(run.ids),
                request.options,
                request.new_tokens,
                attention=lambda: (run.layer,),
                stopped=stop.is_set,
            ):
                emit(event)


def _frames_for(started: _Started, title: str, limit: int) -> Frames:
    engine = started.engine
    return Frames(started.run, engine.tokenizer, title, engine.config.max_seq_len, limit)


def _state(events: list[Event]) -> str:
    return "ready" if events[-1].finish else "writing"


def _before_start(title: str, batch: list[_News]) -> Frame:
    newest = batch[-1] if batch else None
    if isinstance(newest, _Waiting):
        runs = "one run is" if newest.ahead == 1 else f"{newest.ahead} runs are"
        waiting = note("waiting", f"Waiting in line: {runs} ahead of yours.")
        return waiting, None, f"{title} · waiting in line"
    sentence = f"Loading {title}."
    if isinstance(newest, Progress):
        sentence = loading_sentence(title, newest)
    return note("loading", sentence), None, f"{title} · loading"


def _failure(frames: Frames | None, sentence: str) -> Value:
    return frames.failed(sentence) if frames else note("error", sentence)
