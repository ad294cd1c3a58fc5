"""Generate, Continue and Stop, from a wish to the frames: in line, loading, writing, broken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice, pairwise

import numpy as np
import pytest

from gpt2 import Engine, SamplingOptions
from gpt2.checkpoint import Cancelled, CheckpointError, Progress
from gpt2.interpret.row_codec import to_levels
from gpt2.residency import OutOfMemory, Residency
from gpt2.ui.session import run_log, runner
from gpt2.ui.session.attention_store import Capture
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import SORRY, Runner
from tests.small import CONFIG, Passes, at_rest, saying, slowly, small_engine, until
from tests.ui.writing import ended, outputs, until_writing

PROMPT = "It was late, and the fox was not at home."
WARM = SamplingOptions(seed=4)
BUDGET = 10**9


def playground_of(engine: Engine, most_running: int = 2) -> Playground:
    return Playground(Runner(Residency(BUDGET, lambda *_: engine), most_running))


def wanted(
    new_tokens: int = 12, prompt: str = PROMPT, size: str = "tiny", seed: int = 4
) -> Request:
    return Request(prompt, size, new_tokens, SamplingOptions(seed=seed))


def slow_engine(seconds: float = 0.01) -> tuple[Engine, Passes]:
    engine = small_engine()
    return engine, Passes(engine, slowly(seconds))


def test_a_run_from_the_prompt_to_its_last_token() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    frames = list(playground.generate(wanted(), visitor))
    log = ended(visitor.log)
    assert frames[-1] == (log.begun, "Tiny · float32 · ready")
    assert playground.logs.get(log.id) is log
    assert log.ids == engine.encode(PROMPT) + engine.generate_ids(engine.encode(PROMPT), 12, WARM)
    _, status = log.snapshot()
    assert (status["state"], status["n"], status["stats"]["seed"]) == ("done", len(log.ids), "4")
    assert log.read == status["n"] - 1
    assert log.rows(0, log.read) is not None


def test_going_on_is_one_longer_run() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wanted(7), visitor))
    log = ended(visitor.log)
    last = outputs(playground, playground.go_on(wanted(9, ""), visitor, log))[-1]
    assert log.ids[log.prompt :] == engine.generate_ids(engine.encode(PROMPT), 16, WARM)
    assert (last["stats"]["new"], last["stretch"]) == (9, 2)
    assert visitor.log is log


def test_going_on_while_the_text_is_written_doubles_nothing() -> None:
    engine, _ = slow_engine(0.002)
    visitor, playground = Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(200), visitor), playground)
    list(playground.go_on(wanted(30, ""), visitor, log))
    new = ended(log).ids[log.prompt :]
    assert new == engine.generate_ids(log.ids[: log.prompt], len(new), WARM)
    assert len(new) >= 30


def test_two_tabs_that_go_on_with_one_text_double_nothing() -> None:
    """A tab that is duplicated keeps the id of its text."""
    engine, _ = slow_engine(0.002)
    visitor, other, playground = Visitor(), Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(200), visitor), playground)
    list(playground.go_on(wanted(40, ""), other, log))
    new = ended(log).ids[log.prompt :]
    assert new == engine.generate_ids(log.ids[: log.prompt], len(new), WARM)


def test_a_text_that_nobody_reads_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, passes = slow_engine()
    visitor, playground = Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(250), visitor), playground)
    monkeypatch.setattr(run_log, "UNREAD", 0.0)
    assert ended(log).state == "stopped"
    assert passes.count < 200


def test_a_new_text_ends_the_one_before() -> None:
    engine, _ = slow_engine()
    visitor, playground = Visitor(), playground_of(engine)
    old = until_writing(playground.generate(wanted(200), visitor), playground)
    list(playground.generate(wanted(3, "Once"), visitor))
    assert ended(visitor.log) is not old
    assert ended(old).state == "stopped"
    assert until(lambda: at_rest(engine))


def test_who_waits_is_told_how_many_are_ahead() -> None:
    engine, _ = slow_engine()
    playground = playground_of(engine, most_running=1)
    visitors = [Visitor() for _ in range(3)]
    runs = [playground.generate(wanted(100), visitor) for visitor in visitors]
    visitors[0].log = until_writing(runs[0], playground)
    notes = [next(run) for run in runs[1:]]
    # An estimate follows as soon as the one who writes has shown its speed.
    assert [output["note"].split(" Your turn in about ")[0] for output, _ in notes] == [
        "Waiting in line: one run is ahead of yours.",
        "Waiting in line: 2 runs are ahead of yours.",
    ]
    assert {status for _, status in notes} == {"Tiny · waiting in line"}
    runs[1].close()
    waiting = "Waiting in line: one run is ahead of yours."
    assert any(output["note"].startswith(waiting) for output, _ in islice(runs[2], 40) if output)
    visitors[0].stop.set()
    assert outputs(playground, runs[2])[-1]["state"] == "done"


def test_a_stop_in_line_gives_the_place_up() -> None:
    engine, _ = slow_engine()
    playground = playground_of(engine, most_running=1)
    first, visitor = Visitor(), Visitor()
    until_writing(playground.generate(wanted(100), first), playground)
    waiting = playground.generate(wanted(), visitor)
    next(waiting)
    visitor.stop.set()
    assert list(waiting) == [
        (
            {"run": None, "state": "stopped", "note": "Stopped before the first token."},
            "Tiny · stopped",
        )
    ]
    first.stop.set()
    assert outputs(playground, playground.generate(wanted(), Visitor()))[-1]["state"] == "done"


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
    frames = playground.generate(wanted(size="tiny"), visitor)
    output, status = next(frames)
    assert output == {
        "run": None, "state": "loading", "note": "Tiny: 5 of 10 MB, 1.0 MB/s, 5 s left",
        "part": 0.5,
    }  # fmt: skip
    assert status == "Tiny · loading"
    visitor.stop.set()
    assert outputs(playground, frames)[-1]["note"] == "Stopped before the first token."
    hold.set()
    assert outputs(playground, playground.generate(wanted(), visitor))[-1]["state"] == "done"


def test_who_waits_for_somebody_else_s_download_sees_it_and_may_stop(hold: threading.Event) -> None:
    playground = playground_of(small_engine(), most_running=1)
    first = playground.generate(wanted(), Visitor())
    next(first)
    visitor = Visitor()
    second = playground.generate(wanted(), visitor)
    assert next(second)[0]["note"] == "Tiny: 5 of 10 MB, 1.0 MB/s, 5 s left"
    visitor.stop.set()
    assert outputs(playground, second)[-1]["state"] == "stopped"
    hold.set()
    assert outputs(playground, first)[-1]["state"] == "done"


def test_a_stop_takes_effect_within_one_token_and_keeps_the_text() -> None:
    engine, passes = slow_engine(0.03)
    visitor, playground = Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(250), visitor), playground)
    visitor.stop.set()
    count = passes.count
    assert (ended(log).state, log.note) == ("stopped", "")
    assert passes.count <= count + 1
    assert log.snapshot()[1]["n"] == len(log.ids) > log.prompt


def test_a_stop_while_a_long_prompt_is_read() -> None:
    engine, passes = slow_engine(0.05)
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wanted(prompt=PROMPT * 6), visitor))
    visitor.stop.set()
    assert ended(visitor.log).state == "stopped"
    assert passes.count <= 2


def test_closing_the_tab_before_the_text_begins_frees_the_place() -> None:
    engine, passes = slow_engine(0.02)
    playground, first = playground_of(engine, most_running=1), Visitor()
    until_writing(playground.generate(wanted(250), first), playground)
    waiting = playground.generate(wanted(250), Visitor())
    next(waiting)
    waiting.close()
    first.stop.set()
    count = passes.count
    assert outputs(playground, playground.generate(wanted(1), Visitor()))[-1]["state"] == "done"
    assert passes.count <= count + 3


def test_closing_a_script_s_stream_frees_the_place() -> None:
    engine, passes = slow_engine(0.02)
    playground = playground_of(engine, most_running=1)
    texts = playground.texts(wanted(250))
    next(texts)
    texts.close()
    count = passes.count
    assert list(playground.texts(wanted(1)))
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
    (frame,) = list(playground.generate(wanted(), visitor))
    assert frame == ({"run": None, "state": "error", "note": sentence}, "Tiny · not running")
    assert outputs(playground, playground.generate(wanted(), visitor))[-1]["state"] == "done"


def test_a_run_that_breaks_keeps_its_text_and_shows_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = small_engine()

    def breaking(number: int) -> None:
        if number == 5:
            raise RuntimeError("secret of the house")

    Passes(engine, breaking)
    visitor, playground = Visitor(), playground_of(engine, most_running=1)
    said = outputs(playground, playground.generate(wanted(), visitor))
    assert (said[-1]["state"], said[-1]["note"]) == ("error", SORRY)
    assert said[-1]["n"] == len(engine.encode(PROMPT)) + 4
    assert "secret" not in repr(said)
    assert "secret" in caplog.text
    assert visitor.log
    assert (
        outputs(playground, playground.go_on(wanted(2), visitor, visitor.log))[-1]["state"]
        == "done"
    )


def test_a_prompt_that_is_too_long_is_refused_with_the_numbers() -> None:
    playground = playground_of(small_engine(), most_running=1)
    (frame,) = list(playground.generate(wanted(prompt="\x00" * 400), Visitor()))
    assert frame[0] == {
        "run": None,
        "state": "error",
        "note": "The prompt has 400 tokens and this model reads at most 319. Shorten it by 81.",
        "field": "prompt",
    }


def test_a_full_context_says_so_and_keeps_the_text() -> None:
    engine = saying(65)
    visitor, playground = Visitor(), playground_of(engine)
    last = outputs(playground, playground.generate(wanted(500, "\x00" * 300), visitor))[-1]
    assert (last["state"], last["n"]) == ("done", CONFIG.max_seq_len)
    assert last["full"]
    assert last["note"].startswith("The context is full: Tiny reads 320 tokens at most.")
    assert visitor.log
    again = outputs(playground, playground.go_on(wanted(5), visitor, visitor.log))[-1]
    assert (again["n"], again["note"]) == (last["n"], last["note"])


def test_a_script_gets_the_text_so_far_again_and_again() -> None:
    engine, _ = slow_engine(0.02)
    texts = list(playground_of(engine).texts(wanted(40)))
    assert texts[-1] == engine.complete(PROMPT, WARM, 40)
    assert len(texts) > 3
    assert all(later.startswith(text) for text, later in pairwise(texts))


def test_a_script_gets_an_empty_text_too() -> None:
    engine = saying(CONFIG.vocab_size - 1)
    assert set(playground_of(engine).texts(wanted())) == {""}


def test_many_visitors_each_get_their_own_text() -> None:
    engine = small_engine()
    playground = playground_of(engine, most_running=2)
    visitors = [Visitor() for _ in range(6)]

    def run(number: int) -> None:
        list(playground.generate(wanted(30, seed=number), visitors[number]))
        ended(visitors[number].log)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number, visitor in enumerate(visitors):
        assert visitor.log
        alone = engine.generate_ids(engine.encode(PROMPT), 30, SamplingOptions(seed=number))
        written = visitor.log.ids[visitor.log.prompt :]
        assert written == alone[: len(written)]


def test_the_status_line_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "float32")
    playground = playground_of(small_engine())
    assert playground.status("tiny") == "Tiny · float32 · built in · ready"
    list(playground.generate(wanted(), Visitor()))
    assert playground.status("tiny") == "Tiny · float32 · ready"
    assert until(lambda: playground.status("xl").startswith("XL · float32 · "))


def test_the_words_at_the_top_say_what_really_computes() -> None:
    """Where the compiled pass is missing, in one sentence; its precision is the engine's own."""
    size, playground = "tiny", playground_of(small_engine())
    assert list(playground.texts(wanted(new_tokens=1)))
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
    list(playground.generate(wanted(20), visitor))
    original = ended(visitor.log)
    at = original.prompt + 5
    list(playground.rewrite(visitor, original, at, original.ids[at], ()))
    again = ended(visitor.log)
    assert again is not original
    assert (again.ids, again.prompt) == (original.ids, original.prompt)


def test_another_token_rewrites_what_follows_it_and_nothing_before() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wanted(20), visitor))
    original = ended(visitor.log)
    ids, at = list(original.ids), original.prompt + 5
    other = (ids[at] + 1) % (CONFIG.vocab_size - 1)
    said = outputs(playground, playground.rewrite(visitor, original, at, other, ()))
    made = ended(visitor.log)
    assert original.ids == ids  # kept as it was
    assert made.ids[: at + 1] == [*ids[:at], other]
    assert made.ids[at + 1 :] == engine.generate_ids([*ids[:at], other], len(ids) - at - 1, WARM)
    branch = said[-1]["branch"]
    assert (branch["of"], branch["at"]) == (original.id, at)
    shown, status = playground.show(visitor, original)
    assert shown == original.pointer
    assert status.startswith("Tiny")
    assert visitor.log is original


def test_a_text_is_rewritten_and_continued_with_its_heads_off() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wanted(12), visitor))
    original = ended(visitor.log)
    off = ((0, 1), (1, 2))
    said = outputs(playground, playground.rewrite(visitor, original, original.prompt, None, off))
    made = ended(visitor.log)
    prompt = original.ids[: original.prompt]
    assert made.ids == prompt + engine.generate_ids(prompt, 12, WARM, off=off)
    assert made.ids != original.ids
    assert said[-1]["off"] == [[0, 1], [1, 2]]
    list(playground.go_on(wanted(4), visitor, made))
    assert ended(made).ids == prompt + engine.generate_ids(prompt, 16, WARM, off=off)
    # What is shown of it is what it was written with.
    made.capture = Capture(made.layers, made.heads)
    made.capture.rebuild(engine, made.ids, made.off)
    rows = made.capture.rows(0, len(made.ids)) or pytest.fail("there are no rows")
    expected = to_levels(engine.attention_rows(made.ids, 1, off)[:, -1])
    np.testing.assert_array_equal(rows[-1][1], expected)


@pytest.mark.parametrize(
    ("at", "token", "words"),
    [(0, 5, "Nothing stands before"), (3, 10**6, "does not have"), (3, -1, "does not have")],
)
def test_what_cannot_be_put_there_is_refused(at: int, token: int, words: str) -> None:
    visitor, playground = Visitor(), playground_of(small_engine())
    list(playground.generate(wanted(5), visitor))
    original = ended(visitor.log)
    said = ""
    try:
        said = outputs(playground, playground.rewrite(visitor, original, at, token, ()))[-1]["note"]
    except ValueError as error:
        said = str(error)
    assert words in said
    assert visitor.log is original


def test_a_page_that_is_loaded_again_finds_its_text_being_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, _ = slow_engine(0.005)
    before, after, playground = Visitor(), Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(250), before), playground)
    monkeypatch.setattr(run_log, "LEFT", 60.0)
    before.leave()
    with log.reading():
        assert after.adopt(log)
        count = len(log.ids)
        assert until(lambda: len(log.ids) > count + 5)
        after.stop.set()
        assert ended(log).state == "stopped"
    assert not after.adopt(log), "there is one already"


def test_a_page_that_is_closed_ends_its_text_and_gives_up_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, passes = slow_engine(0.005)
    visitor, playground = Visitor(), playground_of(engine)
    log = until_writing(playground.generate(wanted(250), visitor), playground)
    monkeypatch.setattr(run_log, "LEFT", 0.0)
    visitor.leave()
    assert ended(log).state == "stopped"
    assert passes.count < 200
    visitor.leave()
    assert visitor.stop.is_set()


def test_a_text_is_rewritten_with_the_mean_of_its_heads_over_the_prompt() -> None:
    engine = small_engine()
    visitor, playground = Visitor(), playground_of(engine)
    list(playground.generate(wanted(12), visitor))
    original = ended(visitor.log)
    off, prompt = ((0, 1), (1, 2)), original.ids[: original.prompt]
    rewritten = playground.rewrite(visitor, original, original.prompt, None, off, "", "mean")
    said = outputs(playground, rewritten)[-1]
    made = ended(visitor.log)
    means = engine.head_means(prompt, off)
    assert made.ids == prompt + engine.generate_ids(prompt, 12, WARM, off=means)
    assert made.ids != prompt + engine.generate_ids(prompt, 12, WARM, off=off)
    assert (said["off"], said["instead"]) == ([[0, 1], [1, 2]], "mean")
