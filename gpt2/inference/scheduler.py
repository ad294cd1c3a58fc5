"""The decode loop, and the only one: each pass advances every running request.

Iteration-level scheduling (Yu et al. 2022, "Orca"): requests join and leave between passes. In a
round one prompt is read on by a piece, or several short ones, in turn with the others that are
still reading, and every text that is past its prompt gets its next token. All of it is one call of
the executor, which gives a row the same bits in any batch.

Drafting is speculative sampling (Leviathan et al. 2023; Chen et al. 2023) with the coupling of
Daliri et al. (2024): draft and model share the same Gumbel noise at the same place, and a guess is
kept when it is the very token the model chooses there. So a text is the one the model writes alone,
token for token and seed by seed; the draft only decides how fast it comes. Here it means that a run
feeds its newest token and the guesses after it, as further rows of the same pass.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gpt2.config import GPT2Config
from gpt2.inference.draft_length import MOST_DRAFTED, DraftLength, Round
from gpt2.inference.executor import Executor, Floats, Pass, Watch
from gpt2.inference.layer_stack import LayerStack
from gpt2.inference.likelihoods import Choice, choice_of
from gpt2.inference.slots import Slots
from gpt2.inference.steps import (
    NotFinite,
    Request,
    Step,
    check_request,
    logits_at_once,
    piece_length,
)
from gpt2.runtime.watchdog import Watchdog
from gpt2.sampling import choose

_GRACE = 5.0  # seconds for the last pass when the program ends
_PATIENCE = 0.1  # seconds between two looks at `stopped` while no step is wanted
# Steps of a watched text are handed out several at a time: each wakes the threads that follow the
# run, and those take the CPU from the next pass.
_COALESCED_STEPS = 16  # at the most
_COALESCED_SECONDS = 0.04  # 25 pictures a second

_log = logging.getLogger(__name__)


class Scheduler:
    """Runs requests on `executor`, at most `most_running` at once; the others wait their turn.

    The thread lives as long as somebody is running.
    """

    def __init__(self, executor: Executor, most_running: int | None = None) -> None:
        self.slots = Slots(executor)
        self.most_running = most_running or executor.slots
        self._news = threading.Condition()
        self._waiting: deque[_Run] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._watchdog = Watchdog()

    @property
    def config(self) -> GPT2Config:
        return self.slots.executor.config

    @property
    def precision(self) -> str:
        return self.slots.executor.precision

    @property
    def value_grams(self) -> Floats:
        return self.slots.executor.value_grams

    def steps(self, request: Request) -> Iterator[Step]:
        """`StepSource.steps`. Raises ValueError also for a draft that is not in this process."""
        check_request(request, self.config)
        draft = None
        if request.draft is not None:
            if not isinstance(request.draft, Scheduler):
                raise ValueError("A draft must be in the same process as the model.")
            draft = request.draft.slots
        return self._follow(_Run(request, self.config, draft))

    def end_runs(self) -> None:
        """After the pass that is being made."""
        self._closing = True

    def close(self) -> None:
        """`StepSource.close`."""
        self.end_runs()
        thread = _last_threads.get(self)
        if thread is not None:
            thread.join(_GRACE)
        if thread is None or not thread.is_alive():
            self.slots.close()

    def _follow(self, run: _Run) -> Iterator[Step]:
        with self._news:
            self._waiting.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                _last_threads[self] = self._thread
                self._thread.start()
        try:
            while True:
                if run.request.paced and run.handed_out.empty():
                    with self._news:
                        run.wanted = True
                        self._news.notify()
                item = run.handed_out.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            with self._news:
                run.cancelled = True
                self._news.notify()

    def _work(self) -> None:
        running: list[_Run] = []
        try:
            while self._admit(running):
                with self._watchdog.watching():
                    self._round(running)
        except BaseException as error:  # nobody may wait for a thread that has died
            with self._news:
                try:
                    for run in (*running, *self._waiting):
                        self._end(run, error)
                finally:
                    self._waiting.clear()
                    self._thread = None

    def _admit(self, running: list[_Run]) -> bool:
        """Let those go who are done and those in who wait; False when nobody is left."""
        while True:
            for run in list(running):
                self._ask(run)
                if run.over:
                    running.remove(run)
                    self._leave(run)
            with self._news:
                for run in list(self._waiting):
                    self._ask(run)
                    if run.over:
                        self._waiting.remove(run)
                while self._waiting and len(running) < self.most_running:
                    slot = self.slots.take()
                    if slot is None:  # drafts of others have them all
                        break
                    running.append(self._waiting.popleft())
                    running[-1].slot = slot
                if not running and not self._waiting:
                    self._thread = None
                    return False
                if any(run.wanted for run in running):
                    return True
                self._news.wait(_PATIENCE)

    def _ask(self, run: _Run) -> None:
        """Whether it goes on: `stopped` may raise what it likes."""
        try:
            if not run.over and (self._closing or not run.goes_on()):
                run.finish()
        except Exception as error:
            run.finish(error)

    def _end(self, run: _Run, error: BaseException) -> None:
        if not run.over:
            run.finish(error)
        self._leave(run)

    def _leave(self, run: _Run) -> None:
        if run.slot is not None:
            slot, run.slot = run.slot, None
            self.slots.give_back(slot)
        if run.draft is not None:
            run.draft.leave()

    def _round(self, running: list[_Run]) -> None:
        """A token for every text, and a piece of a prompt, or several short prompts."""
        ready = [run for run in running if run.wanted]
        writing = [run for run in ready if not run.reading]
        readers = self._readers(ready)
        if not readers:
            self._guess(writing)
            self._advance(writing, costs_known=True)
            return
        # To the back of the queue: a long prompt takes turns with short ones.
        for reader in readers:
            running.remove(reader)
            running.append(reader)
        for run in writing:  # a piece takes as long as many tokens
            run.hand_out()
        self._advance([*writing, *readers], costs_known=False)

    def _readers(self, ready: list[_Run]) -> list[_Run]:
        """Whose prompts are read on in this round: those that together are no longer than a piece.

        Short ones share a reading of the weights, which is most of what they cost.
        """
        found: list[_Run] = []
        room = piece_length(self.config)
        for run in ready:
            if run.reading and (not found or run.next_piece <= room):
                found.append(run)
                room -= run.next_piece
        return found

    def _advance(self, runs: list[_Run], costs_known: bool) -> None:
        """One pass. An error ends the run it belongs to, no other."""
        feeds: list[_Feed] = []
        for run in runs:
            try:
                feeds.append(run.feed())
            except Exception as error:
                run.finish(error)
        self._pass(feeds, costs_known)

    def _pass(self, feeds: list[_Feed], costs_known: bool) -> None:
        if not feeds:
            return
        began = time.perf_counter()
        try:
            passed, logits, rows = _call(self.slots, feeds)
        except Exception as error:
            if len(feeds) == 1:
                feeds[0].run.finish(error)
                return
            # Whose fault it was is found by trying each alone; the others lose nothing, as a row
            # that is fed again overwrites itself.
            for feed in feeds:
                self._pass([feed], costs_known=False)
            return
        seconds = time.perf_counter() - began
        for feed, own, where in zip(feeds, logits, rows, strict=True):
            try:
                feed.run.take(feed, own, passed, where, seconds if costs_known else None)
            except Exception as error:
                feed.run.finish(error)

    def _guess(self, writing: list[_Run]) -> None:
        """Let the drafts of these runs guess ahead, those of one draft together."""
        by_draft: dict[Slots, list[_Run]] = {}
        for run in writing:
            if run.forces:
                continue
            if run.draft is not None and run.draft.begin_round(len(run.ids)):
                by_draft.setdefault(run.draft.slots, []).append(run)
        for slots, runs in by_draft.items():
            began = time.perf_counter()
            try:
                _guess_together(slots, runs)
            except Exception:
                # The text does not need it.
                _log.warning("a draft failed; its runs go on without", exc_info=True)
                for run in runs:
                    assert run.draft is not None
                    run.draft.leave()
                    run.draft = None
                continue
            for run in runs:
                assert run.draft is not None
                run.draft.spend(time.perf_counter() - began)


def _guess_together(slots: Slots, runs: list[_Run]) -> None:
    while runs:
        drafts = [run.draft for run in runs if run.draft is not None]
        feeds = [draft.feed(run) for draft, run in zip(drafts, runs, strict=True)]
        _, logits, _ = _call(slots, feeds)
        more = [
            draft.take(feed, own) for draft, feed, own in zip(drafts, feeds, logits, strict=True)
        ]
        runs = [run for run, again in zip(runs, more, strict=True) if again]


@dataclass(frozen=True, slots=True)
class _Feed:
    """Rows of one run in a pass: `ids` from position `first` of `slot` on, with logits of those
    from the `wanted_from`-th. `request` says what to change, and whether to hand out the stream."""

    run: _Run
    slot: int
    first: int
    ids: Sequence[int]
    wanted_from: int
    layers: tuple[int, ...]
    request: Request | None


def _call(slots: Slots, feeds: Sequence[_Feed]) -> tuple[Pass, list[Floats], list[slice]]:
    """One call of the executor; the logits of each feed, and where its rows are."""
    counts = [len(feed.ids) for feed in feeds]
    starts = np.cumsum([0, *counts])
    wanted = [
        np.arange(start + feed.wanted_from, start + count)
        for feed, start, count in zip(feeds, starts, counts, strict=False)
    ]
    asked = [(feed.slot, feed.request) for feed in feeds if feed.request]
    watch = Watch(
        {feed.slot: feed.layers for feed in feeds if feed.layers},
        any(request.wants_residual for _, request in asked),
        any(request.heads for _, request in asked),
        {
            feed.slot: feed.request.heads_off
            for feed in feeds
            if feed.request and feed.request.heads_off and feed.first >= feed.request.off_from
        },
        {slot: request.positions for slot, request in asked if request.positions},
        {slot: request.stream for slot, request in asked if request.stream},
    )
    passed = slots.run(
        np.concatenate([np.asarray(feed.ids, np.int64) for feed in feeds]),
        np.concatenate([np.arange(feed.first, feed.first + len(feed.ids)) for feed in feeds]),
        np.repeat([feed.slot for feed in feeds], counts),
        np.concatenate(wanted),
        watch,
    )
    ends = np.cumsum([len(each) for each in wanted])
    logits = np.split(passed.logits, ends[:-1])
    rows = [slice(start, start + count) for start, count in zip(starts, counts, strict=False)]
    return passed, logits, rows


class _Run:
    """One request: its ids so far, and the queue on which its steps are handed out.

    `ids` grows up to `end`; `read` of them are in slot `slot`. Only the scheduler's thread changes
    it, except that who follows it sets `cancelled`, and `wanted` when it is paced: then a pass is
    made only when its step is waited for.
    """

    def __init__(self, request: Request, config: GPT2Config, draft: Slots | None) -> None:
        self.request = request
        self.ids = list(request.ids)
        self.end = len(self.ids) + request.new_tokens
        self.slot: int | None = None
        self.read = 0
        self.draft = _Draft(draft, self.end) if draft else None
        self.wanted = not request.paced
        self.cancelled = self.over = False
        self.handed_out: queue.SimpleQueue[Step | BaseException | None] = queue.SimpleQueue()
        self._prompt = len(self.ids)
        self._num_blocks = config.num_blocks
        self._piece = piece_length(config)
        self._logits_at_once = logits_at_once(config)
        self._pending: list[Step] = []
        self._last_handed_out = 0.0

    @property
    def reading(self) -> bool:
        """The prompt is not read to its end."""
        return self.read < self._prompt

    @property
    def next_piece(self) -> int:
        """How much of a round its next piece takes up, in rows."""
        wanted_from = self.request.logits_from
        if wanted_from is not None and self._prompt - wanted_from > MOST_DRAFTED:
            return self._piece  # rows of logits are wide: nobody else's beside them
        return min(self._piece, self._prompt - self.read)

    @property
    def forces(self) -> bool:
        """The next token is given."""
        return len(self.ids) < self._prompt + len(self.request.forced)

    def goes_on(self) -> bool:
        """Whether there is a pass to do. Asks `stopped`."""
        if self.cancelled or not (self.reading or len(self.ids) < self.end):
            return False
        return not self.request.stopped()

    def feed(self) -> _Feed:
        """The rows of its next pass: a piece of the prompt, always cut at the same places, or the
        newest token and the guesses after it."""
        first, layers = self.read, tuple(self.request.watched())
        for layer in layers:
            if not 0 <= layer < self._num_blocks:
                raise ValueError(f"Layer must be from 0 to {self._num_blocks - 1}, not {layer}.")
        assert self.slot is not None
        if not self.reading:
            ids = [self.ids[-1], *self._guesses()]
            return _Feed(self, self.slot, first, ids, 0, layers, self.request)
        end = min(first + self._piece, self._prompt)
        if first < self.request.off_from:
            end = min(end, self.request.off_from)
        wanted_from = self.request.logits_from
        if wanted_from is not None:
            end = min(end, max(first, wanted_from) + self._logits_at_once)
        elif end == self._prompt < self.end:
            wanted_from = end - 1
        ids = self.ids[first:end]
        wanted = len(ids) if wanted_from is None else max(0, min(wanted_from - first, len(ids)))
        return _Feed(self, self.slot, first, ids, wanted, layers, self.request)

    def take(
        self, feed: _Feed, logits: Floats, passed: Pass, rows: slice, seconds: float | None
    ) -> None:
        """What a pass over `feed` brought: logits (K, V), and the rest in `rows` of `passed`.

        `seconds` is how long it took, None where that says nothing about the usual cost.
        """
        residual, heads = (
            None if each is None else each[rows] for each in (passed.residual, passed.heads)
        )
        step = Step(
            None,
            len(feed.ids),
            passed.attention.get(feed.slot, {}),
            values=passed.values.get(feed.slot, {}),
            logits=logits if self.reading and self.request.logits_from is not None else None,
            residual=residual if self.request.wants_residual else None,
            heads=heads if self.request.heads else None,
        )
        # Before anything is handed out: who follows may want the next step at once.
        self.wanted = not self.request.paced
        if self.reading:
            self._take_piece(step, logits)
        else:
            self._take_tokens(step, logits, seconds)

    def _take_piece(self, step: Step, logits: Floats) -> None:
        self.read += step.fed
        if self.read == self._prompt < self.end:
            token = self._choose(logits[-1], self._prompt)
            self.ids.append(token)
            step = replace(step, token=token, choice=self._numbers(logits[-1], token, self._prompt))
        self.hand_out()
        self.handed_out.put(step)

    def _take_tokens(self, step: Step, logits: Floats, seconds: float | None) -> None:
        """The model's own tokens, up to the first that was not guessed."""
        guesses = self._guesses()
        draft = None if self.forces else self.draft
        before = len(self.ids)
        tokens: list[int] = []
        for row, each in enumerate(logits):
            if row and not np.isfinite(each.max()):
                break  # what came before it is good; the next pass meets it first
            tokens.append(self._choose(each, before + row))
            if row == len(guesses) or tokens[row] != guesses[row]:
                break
        self.ids += tokens
        self.read += len(tokens)
        speed_up = draft.end_round(before, len(tokens), seconds) if draft else None
        for i, token in enumerate(tokens):
            own = _one_row(step, i, before + i) if len(logits) > 1 else step
            guess = guesses[i] if i < len(guesses) else None
            own = replace(own, token=token, choice=self._numbers(logits[i], token, before + i))
            if draft:
                own = replace(own, guess=guess, speed_up=speed_up)
            self._coalesce(own)

    def _guesses(self) -> Sequence[int]:
        """What is fed after the newest token: tokens to come that are forced, or what the draft
        expects."""
        length = len(self.ids)
        # The last row of a pass chooses one token more.
        ahead = self._forced(length, min(length + MOST_DRAFTED, self.end - 1))
        return ahead or (self.draft.guesses if self.draft else ())

    def _forced(self, first: int, end: int) -> Sequence[int]:
        """Those of the forced tokens that stand from place `first` on."""
        return self.request.forced[first - self._prompt : end - self._prompt]

    def _numbers(self, logits: Floats, token: int, position: int) -> Choice | None:
        count = self.request.numbers
        if not count:
            return None
        drawn = position >= self._prompt + len(self.request.forced)
        return choice_of(logits, token, self.request.options, count, drawn)

    def _choose(self, logits: Floats, position: int) -> int:
        for forced in self._forced(position, position + 1):
            return forced
        if not np.isfinite(logits.max()):
            raise NotFinite(
                "The model computed something that is no number, so the text ends here. "
                "What was written is kept."
            )
        return choose(logits, self.request.options, position)

    def _coalesce(self, step: Step) -> None:
        """Hand it out, if it is watched with the next ones."""
        self._pending.append(step)
        late = time.monotonic() - self._last_handed_out >= _COALESCED_SECONDS
        full = len(self._pending) >= _COALESCED_STEPS
        if late or full or not step.attention or self.request.paced:
            self.hand_out()

    def hand_out(self) -> None:
        """All that is pending."""
        pending, self._pending = self._pending, []
        if pending:
            self._last_handed_out = time.monotonic()
        for step in pending if not self.cancelled else ():
            self.handed_out.put(step)

    def finish(self, error: BaseException | None = None) -> None:
        """No more steps; `error`, if any, is raised where they are followed."""
        self.over = True
        self.hand_out()
        self.handed_out.put(error)


class _Draft:
    """How far the draft has read a run's text, and what it guesses after it.

    `slots` are those of the draft's executor; where none is free, the run goes on without.
    """

    def __init__(self, slots: Slots, end: int) -> None:
        self.slots = slots
        self.guesses: list[int] = []
        self._slot: int | None = None
        self._read = 0
        config = slots.executor.config
        self._end = min(end, config.max_seq_len)
        self._piece = piece_length(config)
        self._length = DraftLength()
        self._count = 0  # how many to guess in this round
        self._behind = False  # in this round it reads what it has missed, and guesses nothing
        self._guessing = self._catching_up = 0.0  # seconds: of this round, since the last guesses

    def begin_round(self, length: int) -> bool:
        """Whether there is something to do for a text of `length` tokens."""
        self.guesses, self._behind, self._guessing = [], False, 0.0
        # Every round settles one token more than it guesses right.
        self._count = self._length.next(max(0, self._end - length - 1))
        if self._count and self._slot is None:
            self._slot = self.slots.take()
        return self._count > 0 and self._slot is not None

    def feed(self, run: _Run) -> _Feed:
        """All it has not read, for the next guess; or a piece of that, where it is much."""
        assert self._slot is not None
        unread = [*run.ids, *self.guesses][self._read :]
        self._behind = len(unread) > MOST_DRAFTED + 1  # the prompt, or rounds without a draft
        ids = unread[: min(self._piece, len(unread) - 1)] if self._behind else unread
        wanted_from = len(ids) if self._behind else len(ids) - 1
        return _Feed(run, self._slot, self._read, ids, wanted_from, (), None)

    def take(self, feed: _Feed, logits: Floats) -> bool:
        """What a pass brought; whether to make another in this round."""
        self._read += len(feed.ids)
        if self._behind:
            return False  # others wait for their tokens
        self.guesses.append(choose(logits[0], feed.run.request.options, self._read))
        return len(self.guesses) < self._count

    def spend(self, seconds: float) -> None:
        """Count what this round's passes took."""
        if self._behind:
            self._catching_up += seconds
        else:
            self._guessing = seconds

    def end_round(self, before: int, settled: int, seconds: float | None) -> float | None:
        """Learn from a round that settled so many tokens after `before`; the speed-up so far."""
        # What it read beyond the text is overwritten.
        self._read = min(self._read, before + settled - 1)
        count = len(self.guesses)
        if seconds is not None and not self._behind:
            caught_up = self._catching_up if count else 0.0
            self._catching_up -= caught_up
            self._length.note(
                Round(
                    drafted=count,
                    judged=min(settled, count),
                    accepted=settled - 1,
                    guessing=self._guessing,
                    checking=seconds,
                    whole=caught_up + self._guessing + seconds,
                )
            )
        self.guesses = []  # the next round may be one without
        return self._length.speed_up

    def leave(self) -> None:
        """Give its slot back."""
        if self._slot is not None:
            self.slots.give_back(self._slot)
            self._slot = None


def _one_row(step: Step, i: int, seen: int) -> Step:
    """Row i alone of a step of several; it saw `seen` tokens."""
    return replace(
        step,
        fed=1,
        attention=_each_layer(step.attention, np.s_[..., i : i + 1, :seen]),
        values=_each_layer(step.values, np.s_[..., i : i + 1, :]),
        residual=None if step.residual is None else step.residual[i : i + 1],
        heads=None if step.heads is None else step.heads[i : i + 1],
    )


def _each_layer(arrays: Mapping[int, Floats], rows: Any) -> Mapping[int, Floats]:
    if isinstance(arrays, LayerStack):
        return LayerStack(list(arrays), arrays.block[rows])
    return {layer: array[rows] for layer, array in arrays.items()}


# Kept until the next one starts: a thread counts as ended only when Python is out of it.
_last_threads: WeakKeyDictionary[Scheduler, threading.Thread] = WeakKeyDictionary()


@atexit.register
def _close_all() -> None:
    """A thread that is inside PyTorch when Python ends aborts the process."""
    for scheduler, thread in list(_last_threads.items()):
        scheduler.end_runs()
        thread.join(_GRACE)
