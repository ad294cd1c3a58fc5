"""Generate, Continue and Stop, from a wish to the frames: in line, loading, writing, broken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import numpy as np
import pytest

from gpt2 import Engine, SamplingOptions
from gpt2.checkpoint import Cancelled, CheckpointError, Progress
from gpt2.levels import to_levels
from gpt2.residency import OutOfMemory, Residency
from gpt2.ui import runner
from gpt2.ui.capture import Capture
from gpt2.ui.playground import SORRY, Frame, Playground, Visitor
from gpt2.ui.requests import Request
from gpt2.ui.runner import Runner
from tests.small import CONFIG, Passes, at_rest, saying, slowly, small_engine, until

PROMPT = "It was late, and the fox was not at home."
WARM = SamplingOptions(seed=4)
BUDGET = 10**9


def playground_of(engine: Engine, most_running: int = 2) -> Playground:
    return Playground(Runner(Residency(BUDGET, lambda *_: engine), most_running))


def wish(new_tokens: int = 12, prompt: str = PROMPT, size: str = "tiny", seed: int = 4) -> Request:
    return Request(prompt, size, new_tokens, SamplingOptions(seed=seed))


def slow_engine(seconds: float = 0.01) -> tuple[Engine, Passes]:
    engine = small_engine()
    return engine, Passes(engine, slowly(seconds))


def outputs(frames: list[Frame]) -> list[dict]:
    return [output for output, _, _ in frames if output]


def tokens_of(frames: list[Frame]) -> list[object]:
    tokens: dict[int, object] = {}
    for output in outputs(frames):
        tokens |= dict(enumerate(output.get("tokens", []), output.get("start", 0)))
    return [tokens[place] for place in sorted(tokens)]


def until_writing(frames: Iterator[Frame]) -> list[Frame]:
    """Frames up to the first with a new token."""
    seen = []
    for frame in frames:
        seen.append(frame)
        if frame[0] and frame[0].get("stats", {}).get("new"):
            return seen
    pytest.fail("no token came")


def test_a_run_from_the_prompt_to_its_last_token() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    frames = list(playground.generate(wish(), visitor))
    expected = engine.generate_ids(engine.encode(PROMPT), 12, WARM)
    assert visitor.run
    assert visitor.run.ids == engine.encode(PROMPT) + expected
    assert playground.runs.get(visitor.run.id) is visitor.run
    last = outputs(frames)[-1]
    assert (last["state"], last["n"], last["stats"]["seed"]) == ("done", len(visitor.run.ids), "4")
    assert len(tokens_of(frames)) == last["n"]
    assert frames[-1][2] == "Tiny · float32 · ready"
    assert visitor.run.read == last["n"] - 1


def test_the_layer_looked_at_last_is_looked_at_again() -> None:
    visitor, playground = Visitor(), playground_of(small_engine())
    list(playground.generate(wish(), visitor))
    assert visitor.run
    assert visitor.run.layer == CONFIG.num_blocks // 2
    visitor.run.layer = 0
    frames = list(playground.generate(wish(), visitor))
    assert {attention["view"]["layer"] for _, attention, _ in frames if attention} == {0}


def test_going_on_is_one_longer_run() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wish(7), visitor))
    run = visitor.run
    assert run
    frames = list(playground.go_on(wish(9, ""), visitor, run))
    assert run.ids[run.prompt :] == engine.generate_ids(engine.encode(PROMPT), 16, WARM)
    assert outputs(frames)[-1]["stats"]["new"] == 9
    assert visitor.run is run


def test_going_on_while_the_text_is_written_doubles_nothing() -> None:
    engine, passes = slow_engine(0.002)
    visitor, playground = Visitor(), playground_of(engine)
    first = playground.generate(wish(200), visitor)
    until_writing(first)
    run = visitor.run
    assert run
    shown = passes.count
    assert until(lambda: passes.count > shown + 20)  # tokens that the first run has not shown yet
    second = playground.go_on(wish(30, ""), visitor, run)
    started = [next(second)]
    list(first)
    list(second)
    assert started
    new = run.ids[run.prompt :]
    assert new == engine.generate_ids(run.ids[: run.prompt], len(new), WARM)
    assert len(new) >= 30


def test_a_new_text_ends_the_one_before() -> None:
    engine, _ = slow_engine()
    visitor, playground = Visitor(), playground_of(engine)
    first = playground.generate(wish(200), visitor)
    until_writing(first)
    old = visitor.run
    list(playground.generate(wish(3, "Once"), visitor))
    assert visitor.run is not old
    assert list(first) == []
    assert until(lambda: at_rest(engine))


def test_who_waits_is_told_how_many_are_ahead() -> None:
    engine, _ = slow_engine()
    playground = playground_of(engine, most_running=1)
    runs = [playground.generate(wish(100), Visitor()) for _ in range(3)]
    until_writing(runs[0])
    notes = [next(run) for run in runs[1:]]
    # An estimate follows as soon as the one who writes has shown its speed.
    assert [output["note"].split(" Your turn in about ")[0] for output, _, _ in notes] == [
        "Waiting in line: one run is ahead of yours.",
        "Waiting in line: 2 runs are ahead of yours.",
    ]
    assert {status for _, _, status in notes} == {"Tiny · waiting in line"}
    runs[1].close()
    waiting = "Waiting in line: one run is ahead of yours."
    assert any(output["note"].startswith(waiting) for output, _, _ in islice(runs[2], 40))
    runs[0].close()
    assert outputs(list(runs[2]))[-1]["state"] == "done"


def test_a_stop_in_line_gives_the_place_up() -> None:
    engine, _ = slow_engine()
    playground = playground_of(engine, most_running=1)
    first = playground.generate(wish(100), Visitor())
    until_writing(first)
    visitor = Visitor()
    waiting = playground.generate(wish(), visitor)
    next(waiting)
    visitor.stop.set()
    assert list(waiting) == [
        (
            {"run": None, "state": "stopped", "note": "Stopped before the first token."},
            None,
            "Tiny · stopped",
        )
    ]
    first.close()
    assert outputs(list(playground.generate(wish(), Visitor())))[-1]["state"] == "done"


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Downloads last until this is set."""
    hold = threading.Event()

    def fetch(
        source: object, progress: Callable[[Progress], None], cancelled: Callable[[], bool]
    ) -> None:
        while not hold.wait(0.01):
            if cancelled():
                raise Cancelled
            progress(Progress(5_000_000, 10_000_000, 1e6, 5.0))

    monkeypatch.setattr(runner, "fetch", fetch)
    return hold


def test_a_download_shows_how_far_it_is_and_a_stop_ends_it(hold: threading.Event) -> None:
    visitor, playground = Visitor(), playground_of(small_engine(), most_running=1)
    frames = playground.generate(wish(size="tiny"), visitor)
    output, attention, status = next(frames)
    assert output == {
        "run": None, "state": "loading", "note": "Tiny: 5 of 10 MB, 1.0 MB/s, 5 s left",
        "part": 0.5,
    }  # fmt: skip
    assert (attention, status) == (None, "Tiny · loading")
    visitor.stop.set()
    assert outputs(list(frames))[-1]["note"] == "Stopped before the first token."
    hold.set()
    assert outputs(list(playground.generate(wish(), visitor)))[-1]["state"] == "done"


def test_who_waits_for_somebody_else_s_download_sees_it_and_may_stop(hold: threading.Event) -> None:
    playground = playground_of(small_engine(), most_running=1)
    first = playground.generate(wish(), Visitor())
    next(first)
    visitor = Visitor()
    second = playground.generate(wish(), visitor)
    assert next(second)[0]["note"] == "Tiny: 5 of 10 MB, 1.0 MB/s, 5 s left"
    visitor.stop.set()
    assert outputs(list(second))[-1]["state"] == "stopped"
    hold.set()
    assert outputs(list(first))[-1]["state"] == "done"


def test_a_stop_takes_effect_within_one_token_and_keeps_the_text() -> None:
    engine, passes = slow_engine(0.03)
    visitor, playground = Visitor(), playground_of(engine)
    frames = playground.generate(wish(250), visitor)
    seen = until_writing(frames)
    visitor.stop.set()
    count = passes.count
    seen += list(frames)
    assert passes.count <= count + 1
    last = outputs(seen)[-1]
    assert (last["state"], last["note"]) == ("stopped", "")
    assert visitor.run
    assert last["n"] == len(visitor.run.ids) == len(tokens_of(seen)) > visitor.run.prompt


def test_a_stop_while_a_long_prompt_is_read() -> None:
    engine, passes = slow_engine(0.05)
    visitor, playground = Visitor(), playground_of(engine)
    frames = playground.generate(wish(prompt=PROMPT * 6), visitor)
    while visitor.run is None:
        next(frames)
    visitor.stop.set()
    assert outputs(list(frames))[-1]["state"] == "stopped"
    assert passes.count <= 2


def test_closing_the_tab_stops_the_run_and_frees_the_place() -> None:
    engine, passes = slow_engine(0.02)
    playground = playground_of(engine, most_running=1)
    frames = playground.generate(wish(250), Visitor())
    until_writing(frames)
    frames.close()
    count = passes.count
    assert outputs(list(playground.generate(wish(1), Visitor())))[-1]["state"] == "done"
    assert passes.count <= count + 3


def test_closing_a_script_s_stream_frees_the_place() -> None:
    engine, passes = slow_engine(0.02)
    playground = playground_of(engine, most_running=1)
    texts = playground.texts(wish(250))
    next(texts)
    texts.close()
    count = passes.count
    assert list(playground.texts(wish(1)))
    assert passes.count <= count + 4


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (CheckpointError("The hub cannot be reached."), "The hub cannot be reached."),
        (OutOfMemory("XL needs 6.4 GB."), "XL needs 6.4 GB."),
        (RuntimeError("secret of the house"), SORRY),
    ],
)
def test_a_load_that_fails_says_so_and_the_next_try_works(
    trouble: Exception, sentence: str
) -> None:
    troubles = [trouble]

    def load(*_: object) -> Engine:
        if troubles:
            raise troubles.pop()
        return small_engine()

    visitor, playground = Visitor(), Playground(Runner(Residency(BUDGET, load), 1))
    (frame,) = list(playground.generate(wish(), visitor))
    assert frame == (
        {"run": None, "state": "error", "note": sentence}, None, "Tiny · not running",
    )  # fmt: skip
    assert outputs(list(playground.generate(wish(), visitor)))[-1]["state"] == "done"


def test_a_run_that_breaks_keeps_its_text_and_shows_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = small_engine()

    def breaking(number: int) -> None:
        if number == 5:
            raise RuntimeError("secret of the house")

    Passes(engine, breaking)
    visitor, playground = Visitor(), playground_of(engine, most_running=1)
    frames = list(playground.generate(wish(), visitor))
    last = outputs(frames)[-1]
    assert (last["state"], last["note"]) == ("error", SORRY)
    assert last["n"] == len(engine.encode(PROMPT)) + 4 == len(tokens_of(frames))
    assert "secret" not in repr(frames)
    assert "secret" in caplog.text
    assert visitor.run
    assert outputs(list(playground.go_on(wish(2), visitor, visitor.run)))[-1]["state"] == "done"


def test_a_prompt_that_is_too_long_is_refused_with_the_numbers() -> None:
    playground = playground_of(small_engine(), most_running=1)
    (frame,) = list(playground.generate(wish(prompt="\x00" * 400), Visitor()))
    assert frame[0] == {
        "run": None,
        "state": "error",
        "note": "The prompt has 400 tokens and this model reads at most 319. Shorten it by 81.",
        "field": "prompt",
    }


def test_a_full_context_says_so_and_keeps_the_text() -> None:
    engine = saying(65)
    seen = threading.Event()

    def wait_for_the_reader(number: int) -> None:
        if number == 10:
            assert seen.wait(30)

    Passes(engine, wait_for_the_reader)
    visitor, playground = Visitor(), playground_of(engine)
    frames = playground.generate(wish(500, "\x00" * 300), visitor)
    begun = until_writing(frames)
    seen.set()
    (first, *_), last = outputs(begun), outputs(list(frames))[-1]
    assert (last["state"], last["n"]) == ("done", CONFIG.max_seq_len)
    assert (first["full"], last["full"]) == (False, True)
    assert last["note"].startswith("The context is full: Tiny reads 320 tokens at most.")
    assert visitor.run
    again = outputs(list(playground.go_on(wish(5), visitor, visitor.run)))[-1]
    assert (again["n"], again["note"]) == (last["n"], last["note"])


def test_a_script_gets_the_text_so_far_again_and_again() -> None:
    engine, _ = slow_engine(0.02)
    texts = list(playground_of(engine).texts(wish(40)))
    assert texts[-1] == engine.complete(PROMPT, WARM, 40)
    assert len(texts) > 3
    assert all(later.startswith(text) for text, later in pairwise(texts))


def test_a_script_gets_an_empty_text_too() -> None:
    engine = saying(CONFIG.vocab_size - 1)
    assert set(playground_of(engine).texts(wish())) == {""}


def test_many_visitors_each_get_their_own_text() -> None:
    engine = small_engine()
    playground = playground_of(engine, most_running=2)
    visitors = [Visitor() for _ in range(6)]

    def run(number: int) -> None:
        list(playground.generate(wish(30, seed=number), visitors[number]))

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number, visitor in enumerate(visitors):
        assert visitor.run
        alone = engine.generate_ids(engine.encode(PROMPT), 30, SamplingOptions(seed=number))
        written = visitor.run.ids[visitor.run.prompt :]
        assert written == alone[: len(written)]


def test_the_status_line_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "float32")
    playground = playground_of(small_engine())
    assert playground.status("tiny") == "Tiny · float32 · built in · ready"
    list(playground.generate(wish(), Visitor()))
    assert playground.status("tiny") == "Tiny · float32 · ready"
    assert until(lambda: playground.status("xl").startswith("XL · float32 · "))


def test_the_words_at_the_top_say_what_really_computes() -> None:
    """Where the compiled pass is missing, in one sentence; its precision is the engine's own."""
    size, playground = "tiny", playground_of(small_engine())
    assert list(playground.texts(wish(new_tokens=1)))
    engine = playground.runner.in_memory(size)
    assert engine is not None
    engine.note = "PyTorch computes in float32: Numba cannot be used here."
    title = f"Tiny · {engine.precision} · ready"
    assert playground.status(size) == f"{title}. {engine.note}"
    engine.note = ""
    assert playground.status(size) == title


def test_the_original_token_gives_the_original_text_again() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wish(20), visitor))
    original = visitor.run or pytest.fail("there is no run")
    at = original.prompt + 5
    list(playground.rewrite(visitor, original, at, original.ids[at], ()))
    again = visitor.run or pytest.fail("there is no run")
    assert again is not original
    assert (again.ids, again.prompt) == (original.ids, original.prompt)


def test_another_token_rewrites_what_follows_it_and_nothing_before() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wish(20), visitor))
    original = visitor.run or pytest.fail("there is no run")
    ids, at = list(original.ids), original.prompt + 5
    other = (ids[at] + 1) % (CONFIG.vocab_size - 1)
    frames = list(playground.rewrite(visitor, original, at, other, ()))
    made = visitor.run or pytest.fail("there is no run")
    assert original.ids == ids  # kept as it was
    assert made.ids[: at + 1] == [*ids[:at], other]
    assert made.ids[at + 1 :] == engine.generate_ids([*ids[:at], other], len(ids) - at - 1, WARM)
    branch = outputs(frames)[-1]["branch"]
    assert (branch["of"], branch["at"]) == (original.id, at)
    [(*_, status)] = [playground.show(visitor, original)]
    assert status.startswith("Tiny")
    assert visitor.run is original


def test_a_text_is_rewritten_and_continued_with_its_heads_off() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wish(12), visitor))
    original = visitor.run or pytest.fail("there is no run")
    off = ((0, 1), (1, 2))
    frames = list(playground.rewrite(visitor, original, original.prompt, None, off))
    made = visitor.run or pytest.fail("there is no run")
    prompt = original.ids[: original.prompt]
    assert made.ids == prompt + engine.generate_ids(prompt, 12, WARM, off=off)
    assert made.ids != original.ids
    assert outputs(frames)[-1]["off"] == [[0, 1], [1, 2]]
    list(playground.go_on(wish(4), visitor, made))
    assert made.ids == prompt + engine.generate_ids(prompt, 16, WARM, off=off)
    # What is shown of it is what it was written with.
    made.capture = Capture(made.layers, made.heads)
    made.capture.rebuild(engine, made.ids, made.off)
    rows = made.capture.rows(0, len(made.ids)) or pytest.fail("there are no rows")
    expected = to_levels(engine.attention_rows(made.ids, 1, off)[:, -1])
    np.testing.assert_array_equal(rows[-1][1], expected)


def test_a_text_is_rewritten_with_the_mean_of_its_heads_over_the_prompt() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wish(12), visitor))
    original = visitor.run or pytest.fail("there is no run")
    off, prompt = ((0, 1), (1, 2)), original.ids[: original.prompt]
    rewritten = playground.rewrite(visitor, original, original.prompt, None, off, "", "mean")
    said = outputs(list(rewritten))[-1]
    made = visitor.run or pytest.fail("there is no run")
    means = engine.head_means(prompt, off)
    assert made.ids == prompt + engine.generate_ids(prompt, 12, WARM, off=means)
    assert made.ids != prompt + engine.generate_ids(prompt, 12, WARM, off=off)
    assert (said["off"], said["instead"]) == ([[0, 1], [1, 2]], "mean")


@pytest.mark.parametrize(
    ("at", "token", "words"),
    [(0, 5, "Nothing stands before"), (3, 10**6, "does not have"), (3, -1, "does not have")],
)
def test_what_cannot_be_put_there_is_refused(at: int, token: int, words: str) -> None:
    visitor, playground = Visitor(), playground_of(small_engine())
    list(playground.generate(wish(5), visitor))
    original = visitor.run or pytest.fail("there is no run")
    said = ""
    try:
        said = outputs(list(playground.rewrite(visitor, original, at, token, ())))[-1]["note"]
    except ValueError as error:
        said = str(error)
    assert words in said
    assert visitor.run is original
