"""What the calls for scripts answer with, typed, and how it is made of what happens."""

from __future__ import annotations

from typing import TypedDict

from gpt2.checkpoint import Cancelled
from gpt2.scoring import Score
from gpt2.ui.compare.worker import Failed
from gpt2.ui.session.run_log import Entry
from gpt2.ui.session.runner import to_user_message
from gpt2.ui.session.sizes import tokenizer_of


class SizeNews(TypedDict, total=False):
    """What one step brought one size; a size that failed has `error` alone.

    `written`, in the last record, is all of its text.
    """

    token: int | None
    text: str
    seconds: float
    tokens_per_second: float | None
    finish: str | None
    error: str
    bits_per_byte: float
    written: str


class CompareStep(TypedDict):
    """One step of a comparison, by the names of the sizes."""

    step: int
    sizes: dict[str, SizeNews]


class ScoreRecord(TypedDict, total=False):
    """How surprised one size is by a text; one that cannot say has `size` and `error` alone."""

    size: str
    tokens: list[str]
    bits: list[float]
    total_bits: float
    bytes: int
    bits_per_byte: float
    error: str


def size_news(news: object) -> SizeNews | None:
    """None where a script need not know."""
    if isinstance(news, Entry):
        return {
            "token": news.token,
            "text": news.text,
            "seconds": news.seconds,
            "tokens_per_second": news.tokens_per_second,
            "finish": news.finish,
        }
    if isinstance(news, Failed):
        return {
            "error": "Stopped."
            if isinstance(news.error, Cancelled)
            else to_user_message(news.error)
        }
    if isinstance(news, Score):
        return {"bits_per_byte": news.bits_per_byte}
    return None


def summed_up(so_far: SizeNews, news: SizeNews) -> SizeNews:
    """What the last record says of a size: `written` and `bits_per_byte`, or `error`."""
    if "error" in news or "error" in so_far:
        return {"error": news.get("error", so_far.get("error", ""))}
    found: SizeNews = {**so_far, "written": so_far["written"] + news.get("text", "")}
    if "bits_per_byte" in news:
        found["bits_per_byte"] = news["bits_per_byte"]
    return found


def score_record(size: str, found: Score | Exception) -> ScoreRecord:
    """A score, token by token as `size` cuts the text."""
    if isinstance(found, Exception):
        return {"size": size, "error": to_user_message(found)}
    tokenizer = tokenizer_of(size)
    tokens = (tokenizer.token_bytes(token) for token in found.ids)
    return {
        "size": size,
        "tokens": [token.decode("utf-8", "backslashreplace") for token in tokens],
        "bits": found.bits.tolist(),
        "total_bits": found.total_bits,
        "bytes": found.text_bytes,
        "bits_per_byte": found.bits_per_byte,
    }
