"""ZeroGPU, with a stand-in for `spaces` that really runs the call in another process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpt2 import Engine, SamplingOptions, load
from gpt2.config import SIZES
from gpt2.inference.steps import Request
from gpt2.serving import zero_gpu
from gpt2.serving.remote import FarRequest
from gpt2.serving.zero_gpu import NoGpu, lent_engine

STANDIN = Path(__file__).parent / "standin"
PROMPT = "Once upon a time"
WARM = SamplingOptions(0.8, seed=3)


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(STANDIN))
    import spaces

    spaces.calls.clear()
    return spaces


@pytest.fixture
def engine(spaces: Any) -> Engine:
    return zero_gpu.loader()("tiny", lambda: False)


def test_a_lent_gpu_writes_what_this_process_would(engine: Engine, spaces: Any) -> None:
    here = list(load("tiny").stream(PROMPT, WARM, 30, attention=[2]))
    there = list(engine.stream(PROMPT, WARM, 30, attention=[2]))
    assert [(e.token, e.fed, e.text, e.finish) for e in there] == [
        (e.token, e.fed, e.text, e.finish) for e in here
    ]
    for ours, theirs in zip(here, there, strict=True):
        for layer, rows in ours.attention.items():
            np.testing.assert_allclose(theirs.attention[layer], rows, atol=1e-5)
    assert spaces.calls == [6], "seconds"
    assert not zero_gpu._engine.cache_info().currsize, "the model was loaded in this process"


def asked(name: str, prompt: int = 32, new_tokens: int = 120, draft: str | None = None) -> int:
    options = SamplingOptions()
    request = FarRequest(Request([1] * prompt, new_tokens, options), (), draft)
    return zero_gpu.seconds(name, request)


def test_a_gpu_is_asked_for_as_long_as_this_run_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {name: size.config for name, size in SIZES.items()}
    monkeypatch.setattr(zero_gpu, "_shapes", shapes)
    by_size = [asked(name) for name in ("tiny", "small", "medium", "large", "xl")]
    assert by_size == sorted(by_size) and by_size[0] < by_size[2] < by_size[4]
    assert asked("xl", new_tokens=20) < asked("xl", new_tokens=120) < asked("xl", new_tokens=900)
    assert asked("xl", prompt=32) < asked("xl", prompt=1000, new_tokens=120) <= 60
    assert asked("xl", draft="small") > asked("xl")
    assert 120 // asked("small") >= 10, "texts a day for somebody without an account"
    assert asked("somebody/unknown") == asked("xl")
    assert asked("xl", new_tokens=10_000) == 120, "the platform's most"


def test_a_model_s_shape_is_known_once_it_is_loaded(engine: Engine) -> None:
    assert asked("tiny") < asked("somebody/unknown")


def process_of(spaces: Any) -> Iterator[int]:
    def who(*_: Any) -> Iterator[int]:
        yield os.getpid()

    return spaces.GPU(who, duration=lambda: 1)()


def test_the_stand_in_runs_in_another_process(spaces: Any) -> None:
    assert list(process_of(spaces)) != [os.getpid()]


def test_a_stop_ends_the_far_run_within_a_token(engine: Engine) -> None:
    seen: list[int] = []
    events = []
    for event in engine.stream(PROMPT, WARM, 300, stopped=lambda: len(seen) >= 5):
        events.append(event)
        if event.token is not None:
            seen.append(event.token)
    assert len(seen) == 5
    assert events[-1].finish == "stopped"


def test_what_writes_nothing_is_done_here(engine: Engine, spaces: Any) -> None:
    ids = engine.encode(PROMPT)
    np.testing.assert_allclose(
        engine.attention_rows(ids, 1), load("tiny").attention_rows(ids, 1), atol=1e-6
    )
    assert len(engine.logits(ids)) == len(ids)
    assert spaces.calls == [], "no GPU is asked for"


def test_a_lent_gpu_drafts_with_a_model_it_loads_itself(engine: Engine, spaces: Any) -> None:
    draft = zero_gpu.loader()("tiny", lambda: False)
    events = list(engine.stream(PROMPT, WARM, 30, draft=draft))
    assert "".join(event.text for event in events) == load("tiny").complete(PROMPT, WARM, 30)
    assert any(event.guess is not None for event in events)


def test_what_the_platform_says_is_told_as_text(spaces: Any) -> None:
    import gradio as gr

    def refuse(*_: Any) -> Iterator[Any]:
        raise gr.Error("You have used up <a href='x'>your quota</a>", title="ZeroGPU quota")
        yield

    engine = lent_engine("tiny", load("tiny"), refuse)  # type: ignore[arg-type]  # a plain iterator
    with pytest.raises(NoGpu, match=r"^ZeroGPU quota: You have used up your quota$"):
        list(engine.stream(PROMPT, WARM, 5))


def test_a_far_error_and_a_far_death_are_told(spaces: Any) -> None:
    def breaks(*_: Any) -> Iterator[Any]:
        raise RuntimeError("far away")
        yield

    def dies(*_: Any) -> Iterator[Any]:
        os._exit(1)
        yield

    for task, words in ((breaks, "RuntimeError"), (dies, "GPU task aborted")):
        engine = lent_engine("tiny", load("tiny"), spaces.GPU(task, duration=lambda *_: 1))
        with pytest.raises(NoGpu, match=words):
            list(engine.stream(PROMPT, WARM, 5))
