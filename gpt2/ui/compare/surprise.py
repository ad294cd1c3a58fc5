"""One text scored by several sizes, and what each expects next, as the page shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gpt2.checkpoint import Cancelled, Progress
from gpt2.engine import Engine
from gpt2.interpret.token_alignment import shared_pieces
from gpt2.sampling import SamplingOptions
from gpt2.scoring import NextTokens, Score, next_tokens, score
from gpt2.ui.compare.records import ScoreRecord, score_record
from gpt2.ui.session.frames import Value, loading_sentence
from gpt2.ui.session.runner import Runner, to_user_message
from gpt2.ui.session.sizes import config_of, source_of, tokenizer_of
from gpt2.ui.session.wire import wire_tokens

R = TypeVar("R")


class Scoring:
    """Scores and expectations of any offered size. One that fails says so for itself."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def scores(self, text: str, sizes: list[str], stop: threading.Event) -> Iterator[Value]:
        """Notes while models are loaded, then the surprise strip. Raises Cancelled."""
        done: dict[str, Score | Exception] = {}
        for said in self._each(sizes, lambda engine: score(engine, text), stop, done):
            yield {"note": said or "Scoring."}
        yield surprise_value(text, done)

    def records(self, text: str, sizes: list[str], stop: threading.Event) -> list[ScoreRecord]:
        """The same for a script, token by token as each size cuts the text."""
        done: dict[str, Score | Exception] = {}
        for _ in self._each(sizes, lambda engine: score(engine, text), stop, done):
            pass
        return [score_record(size, found) for size, found in done.items()]

    def expected(
        self, text: str, sizes: list[str], options: SamplingOptions, stop: threading.Event
    ) -> Iterator[Value]:
        """Notes while models are loaded, then the likeliest next tokens of every size.

        Raises Cancelled.
        """
        done: dict[str, NextTokens | Exception] = {}
        for said in self._each(sizes, lambda e: next_tokens(e, text, options), stop, done):
            yield {"next_note": said or "Asking every size."}
        yield {"next": [_next_value(size, result) for size, result in done.items()]}

    def _each(
        self,
        sizes: list[str],
        compute: Callable[[Engine], R],
        stop: threading.Event,
        done: dict[str, R | Exception],
    ) -> Iterator[str]:
        """Fill `done`, size by size; what comes out says how far a download is.

        Raises Cancelled once `stop` is set.
        """

        def work(emit: Callable[[str], None]) -> None:
            for size in sizes:
                try:
                    self._runner.download(size, _reporter(size, emit), stop)
                    with self._runner.engine(size, stop.is_set) as engine:
                        done[size] = compute(engine)
                except Exception as error:
                    if stop.is_set():
                        raise Cancelled from error
                    done[size] = error

        said = ""
        for notes in self._runner.background(work, stop):
            said = notes[-1] if notes else said
            yield said


def _reporter(size: str, emit: Callable[[str], None]) -> Callable[[Progress], None]:
    return lambda progress: emit(loading_sentence(source_of(size).title, progress))


def surprise_value(text: str, scores: dict[str, Score | Exception]) -> Value:
    """Rows with their sums, and the text in pieces that are whole tokens for every size scored."""
    good = {size: found for size, found in scores.items() if isinstance(found, Score)}
    pieces: list[Any] = []
    if good:
        lengths = [tokenizer_of(size).cuts(text) for size in good]
        for piece, ranges in shared_pieces(text, lengths):
            bits = [
                [round(float(found.bits[i]), 7) for i in tokens]  # 1,024 sum to 1e-4
                for found, tokens in zip(good.values(), ranges, strict=True)
            ]
            pieces.append([piece, bits])
    rows = [_row(size, found) for size, found in scores.items()]
    return {"text": text, "rows": rows, "pieces": pieces, "note": ""}


def _row(size: str, found: Score | Exception) -> Value:
    row: Value = {"size": size, "title": source_of(size).title}
    if isinstance(found, Exception):
        return row | {"error": to_user_message(found)}
    return row | {
        "parameters": config_of(size).num_parameters,
        "bits": found.total_bits,
        "tokens": len(found.ids),
        "bytes": found.text_bytes,
        "bits_per_byte": found.bits_per_byte,
    }


def _next_value(size: str, found: NextTokens | Exception) -> Value:
    value: Value = {"size": size, "title": source_of(size).title}
    if isinstance(found, Exception):
        return value | {"error": to_user_message(found)}
    tokens = wire_tokens(tokenizer_of(size), (c.token for c in found.likeliest))
    return value | {
        "likeliest": [
            [token, c.before, c.after] for token, c in zip(tokens, found.likeliest, strict=True)
        ],
        "kept": found.kept,
        "entropy": found.entropy,
        "vocabulary": config_of(size).vocab_size,
    }
