"""What the inspector asks of one text: choices, layers, shares, heads, tokens, sinks, patches."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from gpt2.config import SIZES
from gpt2.engine import Engine
from gpt2.inference.executor import Head
from gpt2.inference.likelihoods import REASONS, Choice
from gpt2.interpret.lens import EARLY, lens_of_stream, settled, stage_names
from gpt2.interpret.row_codec import to_weights
from gpt2.interpret.token_alignment import shared_pieces
from gpt2.interpret.token_facts import facts
from gpt2.sampling import SamplingOptions, softmax
from gpt2.tokenizer import GPT2_VOCAB_SIZE, Merge, Tokenizer
from gpt2.ui.session.attention_store import Capture
from gpt2.ui.session.flip_requests import FlipRequests
from gpt2.ui.session.frames import Value, sampling_value
from gpt2.ui.session.maps import MapView, clamped, map_rows
from gpt2.ui.session.measurements import Measure, Measurements
from gpt2.ui.session.requests import check_text
from gpt2.ui.session.run_log import Instead, RunLog
from gpt2.ui.session.runner import Runner
from gpt2.ui.session.wire import encode_bytes, pack_rows, wire_tokens

_MOST_PLACES = 64  # in one answer
_MOST_TEXTS = 16  # whose choices are kept, some megabytes for a long one
_MOST_MOVED = 4  # texts whose maps with swapped positions are kept
_NEIGHBOURS = 24  # tokens of the other vocabulary that are shown
_LIVE = 3.0  # seconds for which a question about the newest token keeps its stream coming

Stopped = Callable[[], bool]
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _Known:
    """The choices of a text so far: a later token changes none before it."""

    options: SamplingOptions
    choices: list[Choice | None] = field(default_factory=list)


class InspectRequests:
    """Whoever calls `answer` holds the engine; each call makes at most two passes over the text.

    What takes more is begun by the first call and told of by the next ones (`Measurements`).
    """

    def __init__(self, runner: Runner) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, bool], _Known] = OrderedDict()
        self._moved: OrderedDict[tuple[str, int, int], _Moved] = OrderedDict()
        self._sweeps = Measurements(runner)
        self._flips = FlipRequests()

    def answer(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """By what it `want`s. Raises ValueError."""
        wants = {
            "choices": self._choices,
            "shade": self._shade,
            "layers": _layers,
            "shares": _shares_of_lead,
            "off": _off,
            "effects": self._effects,
            "grid": self._grid,
            "token": _token,
            "sink": self._sink,
            "patch": self._patch,
            "flips": self._flips.flips,
            "stays": self._flips.stays,
        }
        want = request.get("want")
        if not isinstance(want, str) or want not in wants:
            raise ValueError("The page asks for what this server does not know. Reload it.")
        return {"run": run.id, "want": want} | wants[want](engine, run, request)

    def _choices(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """How likely the tokens from `start` on were, and what else could have come."""
        ids, before = list(run.ids), request.get("before") is True
        start = clamped(request, "start", len(ids) - 1)
        found = self._of(engine, run, ids, before)
        found_choices = [
            _wire_choice(engine.tokenizer, each) for each in found[start : start + _MOST_PLACES]
        ]
        return {
            "start": start,
            "before": before,
            "choices": found_choices,
            "sampling": sampling_value(run.options),
            "vocabulary": engine.config.vocab_size,
            "starts": ids[0] == engine.tokenizer.end_of_text,
        }

    def _shade(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """Surprisal in bits and rank of every token; null where nothing stood before it."""
        found = self._of(engine, run, list(run.ids), False)
        return {
            "bits": [None if each is None else round(each.surprisal, 2) for each in found],
            "ranks": [None if each is None else each.rank for each in found],
        }

    def _of(self, engine: Engine, run: RunLog, ids: list[int], before: bool) -> list[Choice | None]:
        """A `Choice` for each of `ids`, with `<|endoftext|>` before them or not."""
        key = (run.id, before)
        with self._lock:
            known = self._known.get(key)
            if (
                known is not None
                and known.options == run.options
                and len(known.choices) >= len(ids)
            ):
                self._known.move_to_end(key)
                return known.choices
        if before and len(ids) > engine.config.max_seq_len:
            raise ValueError("The text fills the context: nothing more fits before it.")
        options = run.options
        off = run.off_in(engine)
        found = engine.probabilities(ids, options, start_token=before, off=off).choices
        with self._lock:
            self._known[key] = _Known(options, list(found))
            self._known.move_to_end(key)
            while len(self._known) > _MOST_TEXTS:
                self._known.popitem(last=False)
        return list(found)

    # --- what takes several passes ---------------------------------------------------------------

    def _effects(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """What becomes of the token at `at` without each head, in bits of surprise."""
        at = _after_something(run, request)
        instead = instead_of(request.get("instead"))
        ids, token = run.ids[:at], run.ids[at]

        def measure(engine: Engine, stopped: Stopped, progress: Progress) -> Value:
            found = engine.effects(ids, token, None, instead, stopped=stopped, progress=progress)
            likely = found.probability
            shares = likely + found.probabilities
            bits = -np.log2(np.maximum(shares, 1e-30) / likely)
            joint = likely + found.joint_probability
            return {
                "share": likely,
                "shares": _known_only(shares, 6),
                "bits": _known_only(bits),
                "joint": _known_only(joint, 6),
                "joint_bits": _known_only(-np.log2(np.maximum(joint, 1e-30) / likely)),
                "sum_bits": _known_only(np.nansum(bits)),
                "control": _known_only(found.control),
                "measured": found.measured,
            }

        return {"at": at, "instead": instead} | self._sweep(run, request, (at, instead), measure)

    def _grid(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """The logit lens of the whole text: what each layer would have said stands at each place.

        `tokens` are the guesses, once each; `guess` and `shares` hold for each place from 1 on, and
        each stage, which of them (little-endian, two bytes) and how likely (one byte).
        """
        ids = list(run.ids)
        if len(ids) < 2:
            raise ValueError("There is nothing to guess from before a second token is written.")

        def measure(engine: Engine, stopped: Stopped, progress: Progress) -> Value:
            off = run.off_in(engine)
            lens = engine.lens(ids[:-1], halves=False, stopped=stopped, progress=progress, off=off)
            known, which = np.unique(lens.guess, return_inverse=True)
            return {
                "n": len(ids),
                "stages": list(lens.stages),
                "tokens": wire_tokens(engine.tokenizer, known.tolist()),
                "guess": encode_bytes(which.astype("<u2").tobytes()),
                "shares": encode_bytes(np.rint(255 * lens.probability).astype(np.uint8).tobytes()),
                "early": EARLY,
            }

        return self._sweep(run, request, (len(ids),), measure)

    def _patch(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """How much of the prompt's answer comes back when its stream is put into another prompt."""
        prompt = check_text(request.get("prompt"), "The second prompt")
        ids = run.ids[: run.prompt]
        others = engine.encode(prompt, new_tokens=0, start_token=_starts(engine, ids))
        if len(ids) != len(others):
            raise ValueError(
                f"The second prompt has {len(others)} tokens, this text's prompt {len(ids)}. "
                "They must be as long as each other."
            )

        def measure(engine: Engine, stopped: Stopped, progress: Progress) -> Value:
            found = engine.patching(ids, others, stopped=stopped, progress=progress)
            named = [found.answer, found.against]
            return {
                "clean": wire_tokens(engine.tokenizer, ids),
                "corrupted": wire_tokens(engine.tokenizer, others),
                "answers": wire_tokens(engine.tokenizer, named),
                "leads": [round(found.clean_lead, 3), round(found.corrupted_lead, 3)],
                "restored": _known_only(found.restored),
                "control": _known_only(found.control),
            }

        return self._sweep(run, request, (prompt,), measure)

    def _sweep(
        self, run: RunLog, request: dict[str, Any], about: tuple[Any, ...], measure: Measure
    ) -> Value:
        key = (run.id, request["want"], *about)
        return self._sweeps.answer(key, run.size, measure, request.get("cancel") is True)

    def _sink(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """The map looked at, had the first token and the one at `at` swapped their positions.

        `shares` are what later tokens give both, in the mean over all heads: as it is, and swapped.
        """
        at = _after_something(run, request)
        read = run.read
        if at >= read - 1:
            raise ValueError("No later token attends to it yet, so there is nothing to see.")
        key = (run.id, read, at)
        with self._lock:
            moved = self._moved.get(key)
        if moved is None:
            moved = _Moved.of(engine, run, read, at)
            with self._lock:
                self._moved[key] = moved
                while len(self._moved) > _MOST_MOVED:
                    self._moved.popitem(last=False)[1].capture.clear()
        view = MapView.of(request.get("view"), run.layers, run.heads)
        rows = map_rows(moved.capture, view, 0, read)
        if rows is None:  # other texts needed the room
            moved.capture.rebuild(engine, run.ids[:read], run.off_in(engine), (0, at))
            rows = map_rows(moved.capture, view, 0, read) or []
        return {
            "at": at,
            "view": view.as_value(),
            "n": read,
            "rows": encode_bytes(pack_rows(rows)),
            "shares": moved.shares,
        }


@dataclass(frozen=True, slots=True)
class _Moved:
    """All rows of a text with two positions swapped, and what that did to the sink."""

    capture: Capture
    shares: dict[str, list[float]]

    @classmethod
    def of(cls, engine: Engine, run: RunLog, read: int, at: int) -> _Moved:
        captures = [Capture(run.layers, run.heads), Capture(run.layers, run.heads)]
        means = []
        for capture, swapped in zip(captures, (None, (0, at)), strict=True):
            capture.rebuild(engine, run.ids[:read], run.off_in(engine), swapped)
            rows = capture.rows(at + 1, read) or []
            given = [to_weights(row)[..., [0, at]].mean(axis=(0, 1)) for row in rows]
            means.append(np.mean(given, axis=0))
        captures[0].clear()
        before, after = means
        return cls(
            captures[1],
            {
                "first": _shares([float(before[0]), float(after[0])]),
                "at": _shares([float(before[1]), float(after[1])]),
            },
        )


def _layers(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """What each layer would have said stands at `at`: the logit lens, half layers too.

    Of the `newest` token while a text is written: from the stream of the pass that wrote it.
    """
    halves = stage_names(engine.config.num_blocks, True)
    if request.get("newest") is True:
        run.live_until = time.monotonic() + _LIVE
        if run.stream is None:
            return {"at": None}
        at, stream = run.stream
        guess, probability, rank = lens_of_stream(engine.readout, stream[None])
        return {"at": at, "newest": True} | _lens_value(
            engine, halves, guess[0], probability[0], rank[0], int(settled(guess)[0])
        )
    at = clamped(request, "at", len(run.ids) - 1)
    if at == 0:
        return {"at": at, "stages": []}
    lens = engine.lens(run.ids[:at], [at - 1], off=run.off_in(engine))
    return {"at": at} | _lens_value(
        engine, halves, lens.guess[0], lens.probability[0], lens.rank[0], int(lens.settled[0])
    )


def _lens_value(
    engine: Engine, stages: tuple[str, ...], guess: Any, probability: Any, rank: Any, settled: int
) -> Value:
    return {
        "stages": list(stages),
        "guesses": wire_tokens(engine.tokenizer, guess.tolist()),
        "shares": _shares(probability.tolist()),
        "ranks": rank.tolist(),
        "settled": settled,
        "early": EARLY,
    }


def _shares_of_lead(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """What each part of the model adds to the lead of the token at `at` over `against`."""
    at = _after_something(run, request)
    against = request.get("against")
    if type(against) is not int or not 0 <= against < engine.config.vocab_size:
        against = None
    if against == run.ids[at]:
        raise ValueError("A token cannot be held against itself. Choose another one.")
    found = engine.attribution(
        run.ids[:at], token=run.ids[at], against=against, off=run.off_in(engine)
    )
    return {
        "at": at,
        "asked": against,
        "against": found.against,
        "names": wire_tokens(engine.tokenizer, [found.token, found.against]),
        "true": round(found.true, 5),
        "total": round(found.total, 5),
        "embedding": round(found.embedding, 5),
        "position": round(found.position_embedding, 5),
        "heads": _known_only(found.heads, 5),
        "biases": _known_only(found.attention_biases, 5),
        "mlps": _known_only(found.mlps, 5),
        "final_bias": round(found.final_bias, 5),
        "rounding": round(found.rounding, 5),
        "precision": found.precision,
    }


def _off(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """How likely the token at `at` is as the text was written, and without the heads in `off`."""
    at = _after_something(run, request)
    off = heads_of(request.get("off"), run)
    instead = instead_of(request.get("instead"))
    stand_ins = run.off_in(engine, off, instead)
    ids, token = run.ids[:at], run.ids[at]
    shares = []
    likeliest = []
    for heads in (run.off_in(engine), stand_ins):
        (logits,) = [row for part in engine.logits_by_piece(ids, at - 1, heads) for row in part]
        probabilities = softmax(logits.astype("float64"))
        shares.append(float(probabilities[token]))
        likeliest.append(int(probabilities.argmax()))
    return {
        "at": at,
        "shares": _shares(shares),
        "likeliest": wire_tokens(engine.tokenizer, likeliest),
    }


def _token(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """The token at `at` itself: id, bytes, merges, and the text around it in other tokens."""
    tokenizer, at = engine.tokenizer, clamped(request, "at", len(run.ids) - 1)
    (own,) = facts(tokenizer, [run.ids[at]])
    built_in = SIZES["tiny"].config.vocab_size
    other_size = GPT2_VOCAB_SIZE if tokenizer.vocab_size == built_in else built_in
    return {
        "at": at,
        "id": own.token,
        "bytes": list(own.data),
        "special": own.token in tokenizer.ends or own.token == tokenizer.end_of_text,
        "merges": _merge_value(tokenizer, own.merges),
        "vocabulary": tokenizer.vocab_size,
        "other": other_size,
        **_other_cut(tokenizer, run.ids, at, other_size),
    }


def _merge_value(tokenizer: Tokenizer, tree: Merge) -> Value:
    (token,) = wire_tokens(tokenizer, [tree.token])
    parts = [each for each in (tree.left, tree.right) if each is not None]
    return {
        "token": token,
        "id": tree.token,
        "number": tree.number,
        "parts": [_merge_value(tokenizer, each) for each in parts],
    }


def _other_cut(tokenizer: Tokenizer, ids: list[int], at: int, size: int) -> Value:
    """The text between two ends of text, as a vocabulary of `size` cuts it, around the token."""
    ends = tokenizer.ends | {tokenizer.end_of_text}
    if ids[at] in ends:
        return {"pieces": [], "counts": None}
    first = max((i + 1 for i in range(at) if ids[i] in ends), default=0)
    last = next((i for i in range(at, len(ids)) if ids[i] in ends), len(ids))
    own = [tokenizer.token_bytes(each) for each in ids[first:last]]
    try:
        text = b"".join(own).decode("utf-8")
    except UnicodeDecodeError:  # a character is not whole yet, or never will be
        return {"pieces": [], "counts": None}
    other = Tokenizer(size)
    cut = other.encode(text)
    pieces = shared_pieces(text, [list(map(len, own)), other.cuts(text)])
    (shown,) = [k for k, (_, (mine, _)) in enumerate(pieces) if at - first in mine]
    near = list(accumulate(len(theirs) for _, (_, theirs) in pieces))
    start = next(k for k, end in enumerate(near) if near[shown] - end <= _NEIGHBOURS // 2)
    until = 1 + max(k for k, end in enumerate(near) if end - near[start] <= _NEIGHBOURS)
    return {
        "pieces": [
            {
                "own": wire_tokens(tokenizer, [ids[first + i] for i in mine]),
                "other": wire_tokens(other, [cut[i] for i in theirs]),
                "here": k == shown,
            }
            for k, (_, (mine, theirs)) in enumerate(pieces)
            if start <= k < max(until, shown + 1)
        ],
        "counts": [len(own), len(cut)],
    }


def _after_something(run: RunLog, request: dict[str, Any]) -> int:
    at = clamped(request, "at", len(run.ids) - 1)
    if at == 0:
        raise ValueError("Nothing stands before the first token, so no head can change it.")
    return at


def _starts(engine: Engine, ids: list[int]) -> bool:
    return ids[0] == engine.tokenizer.end_of_text


def instead_of(value: object) -> Instead:
    """What stands in for a head that is off; zero unless something else is named."""
    return "mean" if value == "mean" else "zero"


def heads_of(value: object, run: RunLog) -> tuple[Head, ...]:
    """Heads as (layer, head), counted from 0, in order and once each. Raises ValueError."""
    found: set[Head] = set()
    for pair in value if isinstance(value, list) else []:
        numbers = pair if isinstance(pair, list) and len(pair) == 2 else [-1, -1]
        layer, head = (number if type(number) is int else -1 for number in numbers)
        if not (0 <= layer < run.layers and 0 <= head < run.heads):
            raise ValueError("The page names a head that this model does not have. Reload it.")
        found.add((layer, head))
    return tuple(sorted(found))


def _wire_choice(tokenizer: Tokenizer, choice: Choice | None) -> Value | None:
    if choice is None:
        return None
    tokens = wire_tokens(tokenizer, [each.token for each in choice.likeliest])
    return {
        "likeliest": [
            {
                "token": token,
                "id": each.token,
                "shares": _shares([each.before, each.after]),
                "rank": each.rank,
                "cut": REASONS[each.cut] if each.cut else None,
                "chosen": choice.chosen is not None and each.token == choice.chosen.token,
            }
            for token, each in zip(tokens, choice.likeliest, strict=True)
        ],
        "rest": _shares([choice.rest_before, choice.rest_after]),
        "bits": round(choice.surprisal, 3),
        "entropy": round(choice.entropy, 3),
        "kept": choice.kept,
    }


def _shares(values: list[float]) -> list[float]:
    """As many digits as anybody sees: an eighth of the bytes that all of them take."""
    return [float(f"{value:.4g}") for value in values]


def _known_only(array: Any, digits: int = 4) -> Any:
    """A number or nested lists; None where nothing was measured, which is not nothing."""
    found = np.asarray(array, np.float64)
    if found.ndim:
        return [_known_only(each, digits) for each in found]
    return round(float(found), digits) if np.isfinite(found) else None
