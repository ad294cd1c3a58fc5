"""What the inspector asks of one text: how likely its tokens were, layers, heads switched off."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from gpt2.engine import Engine
from gpt2.inference.choice import REASONS, Choice
from gpt2.inference.executor import Head
from gpt2.interpret.lens import EARLY
from gpt2.sampling import SamplingOptions, softmax
from gpt2.tokenizer import Tokenizer
from gpt2.ui.flip_requests import FlipRequests
from gpt2.ui.frames import Value, sampling_value
from gpt2.ui.maps import clamped
from gpt2.ui.run_log import RunLog
from gpt2.ui.wire import wire_tokens

_MOST_PLACES = 64  # in one answer
_MOST_TEXTS = 16  # whose choices are kept, some megabytes for a long one


@dataclass(slots=True)
class _Known:
    """The choices of a text so far: a later token changes none before it."""

    options: SamplingOptions
    choices: list[Choice | None] = field(default_factory=list)


class InspectRequests:
    """Whoever calls `answer` holds the engine; each call makes at most two passes over the text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, bool], _Known] = OrderedDict()
        self._flips = FlipRequests()

    def answer(self, engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
        """By what it `want`s: `choices`, `shade`, `layers`, `off`, `flips` or `stays`.

        Raises ValueError.
        """
        wants = {
            "choices": self._choices,
            "shade": self._shade,
            "layers": _layers,
            "off": _off,
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
        told = [
            _wire_choice(engine.tokenizer, each) for each in found[start : start + _MOST_PLACES]
        ]
        return {
            "start": start,
            "before": before,
            "choices": told,
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
        found = engine.probabilities(ids, options, start_token=before, off=run.off).choices
        with self._lock:
            self._known[key] = _Known(options, list(found))
            self._known.move_to_end(key)
            while len(self._known) > _MOST_TEXTS:
                self._known.popitem(last=False)
        return list(found)


def _layers(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """What each layer would have said stands at `at`: the logit lens."""
    at = clamped(request, "at", len(run.ids) - 1)
    if at == 0:
        return {"at": at, "stages": []}
    lens = engine.lens(run.ids[:at], [at - 1], halves=False, off=run.off)
    return {
        "at": at,
        "stages": list(lens.stages),
        "guesses": wire_tokens(engine.tokenizer, lens.guess[0].tolist()),
        "shares": _shares(lens.probability[0].tolist()),
        "ranks": lens.rank[0].tolist(),
        "settled": int(lens.settled[0]),
        "early": EARLY,
    }


def _off(engine: Engine, run: RunLog, request: dict[str, Any]) -> Value:
    """How likely the token at `at` is with the heads in `off`, and without them."""
    at = clamped(request, "at", len(run.ids) - 1)
    if at == 0:
        raise ValueError("Nothing stands before the first token, so no head can change it.")
    off = heads_of(request.get("off"), run)
    ids, token = run.ids[:at], run.ids[at]
    shares = []
    likeliest = []
    for heads in (run.off, off):
        (logits,) = [row for part in engine.logits_by_piece(ids, at - 1, heads) for row in part]
        probabilities = softmax(logits.astype("float64"))
        shares.append(float(probabilities[token]))
        likeliest.append(int(probabilities.argmax()))
    return {
        "at": at,
        "shares": _shares(shares),
        "likeliest": wire_tokens(engine.tokenizer, likeliest),
    }


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
