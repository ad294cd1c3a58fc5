"""Requests in one batch: the same to the last bit in any company, and gone within a pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.cpu import PRECISIONS
from gpt2.inference import scheduler as module
from gpt2.inference.executor import Floats, Ints, Pass
from gpt2.inference.likelihoods import choice_of
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.steps import NotFinite, Request, Step
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.sampling import GREEDY, choose
from tests.compiled import compiled_executor
from tests.examples import examples
from tests.small import CONFIG, SHORT_PIECE, Passes, small_engine, together, until

pytestmark = pytest.mark.usefixtures("short_pieces")

MODEL = small_engine().model
TEXT = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(CONFIG.max_seq_len)]
LONG = TEXT[: 2 * SHORT_PIECE + 9]
WARM = SamplingOptions(temperature=1.2, top_k=50, top_p=0.95, seed=11)
EVERY_LAYER = range(CONFIG.num_blocks)
# Each executor there is, and how many slots.
SCHEDULERS: dict[str, Callable[[int], Scheduler]] = {
    "torch": lambda slots: Scheduler(TorchExecutor(MODEL, slots)),
    **{
        f"compiled {precision}": lambda slots, precision=precision: Scheduler(
            compiled_executor(MODEL, precision, slots)
        )
        for precision in PRECISIONS
    },
}


def tokens(steps: Iterator[Step] | list[Step]) -> list[int]:
    return [step.token for step in steps if step.token is not None]


def write(slots: int, ids: Sequence[int], new_tokens: int, options: SamplingOptions) -> list[int]:
    """By a scheduler of its own."""
    scheduler = Scheduler(TorchExecutor(MODEL, slots))
    return tokens(scheduler.steps(Request(ids, new_tokens, options)))


def same(one: list[Step], other: list[Step]) -> bool:
    """To the last bit, attention included."""
    return len(one) == len(other) and all(
        (a.token, a.fed, list(a.attention)) == (b.token, b.fed, list(b.attention))
        and all(np.array_equal(a.attention[layer], b.attention[layer]) for layer in a.attention)
        for a, b in zip(one, other, strict=True)
    )


REQUESTS = st.lists(
    st.tuples(
        st.integers(1, CONFIG.max_seq_len - 30),  # prompt
        st.integers(0, 30),  # new tokens
        st.integers(0, 30),  # passes of the first request before this one joins
        st.sampled_from([None, 0, 3, 9]),  # passes after which it leaves
        st.booleans(),  # watched
    ),
    min_size=8,
    max_size=10,
)


@pytest.mark.parametrize("kind", SCHEDULERS)
@given(requests=REQUESTS)
@examples(8)
def test_in_any_company_a_request_gets_what_it_gets_alone(
    kind: str, requests: list[tuple[int, int, int, int | None, bool]]
) -> None:
    """Paced, so that hypothesis and not the machine decides who runs beside whom."""
    scheduler = SCHEDULERS[kind](9)

    def start(number: int) -> Iterator[Step]:
        prompt, new, _, _, watched = requests[number]
        layers = EVERY_LAYER if watched else ()
        options = SamplingOptions(temperature=1.3, seed=number)
        ids = TEXT[number : number + prompt]
        return scheduler.steps(Request(ids, new, options, lambda: layers, paced=True))

    alone = [list(start(number)) for number in range(len(requests))]
    running: dict[int, Iterator[Step]] = {}
    got: dict[int, list[Step]] = {number: [] for number in range(len(requests))}
    for moment in range(60):
        for number, (*_, joins, _, _) in enumerate(requests):
            if joins == moment:
                running[number] = start(number)
        takers = {n: (lambda n=n: next(running[n], None)) for n in running}
        for number, step in zip(takers, together(*takers.values()), strict=True):
            leaves = requests[number][3]
            if step is None or len(got[number]) == leaves:
                running.pop(number).close()
            else:
                got[number].append(step)
    for number, steps in got.items():
        assert same(steps, alone[number][: len(steps)])
        if number not in running and requests[number][3] is None:
            assert same(steps, alone[number])


@torch.inference_mode()
@pytest.mark.parametrize("prompt", [1, 5, SHORT_PIECE, 2 * SHORT_PIECE + 9])
@pytest.mark.parametrize("options", [GREEDY, WARM], ids=["greedy", "warm"])
def test_it_writes_what_reading_all_again_chooses(prompt: int, options: SamplingOptions) -> None:
    ids = TEXT[:prompt]
    for token in write(4, ids, 20, options):
        logits = MODEL(torch.tensor([ids]))[0, -1].numpy()
        assert token == choose(logits, options, len(ids))
        ids = [*ids, token]
    assert len(ids) == prompt + 20


def test_it_writes_what_the_blocking_form_writes() -> None:
    warm = SamplingOptions(temperature=0.8, seed=3)
    whole = MODEL.generate(torch.tensor([LONG]), max_new_tokens=20, temperature=0.8, seed=3)
    assert write(4, LONG, 20, warm) == whole[0, len(LONG) :].tolist()


def test_a_long_prompt_is_read_in_pieces_and_then_token_by_token() -> None:
    steps = list(SCHEDULERS["torch"](2).steps(Request(LONG, 3, WARM)))
    assert [step.fed for step in steps] == [SHORT_PIECE, SHORT_PIECE, 9, 1, 1]
    assert [step.token is None for step in steps] == [True, True, False, False, False]


def test_no_new_tokens_reads_the_prompt_and_says_nothing() -> None:
    steps = SCHEDULERS["torch"](2).steps(Request(TEXT[:5], 0, WARM))
    assert [(step.token, step.fed) for step in steps] == [(None, 5)]


def test_the_context_can_be_filled_to_its_last_token() -> None:
    room = CONFIG.max_seq_len - len(LONG)
    assert len(write(2, LONG, room, WARM)) == room


@pytest.mark.parametrize("after", [0, 1, 2, 4])
def test_a_stop_is_noticed_before_the_next_pass(after: int) -> None:
    engine = small_engine()
    passes = Passes(engine)
    request = Request(LONG, 40, WARM, stopped=lambda: passes.count >= after)
    assert len(list(engine.source.steps(request))) == after
    assert passes.count == after


def test_only_watched_layers_are_kept_and_they_may_change_at_every_pass() -> None:
    wanted = iter([(), (0,), (1,), (0, 1), ()])
    request = Request(LONG, 3, WARM, watched=lambda: next(wanted))
    steps = list(SCHEDULERS["torch"](2).steps(request))
    assert [sorted(step.attention) for step in steps] == [[], [0], [1], [0, 1], []]
    heads, end = CONFIG.num_heads, len(LONG)
    assert steps[1].attention[0].shape == (heads, SHORT_PIECE, 2 * SHORT_PIECE)
    assert steps[3].attention[1].shape == (heads, 1, end + 1)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="Layer must be from 0 to 1, not 2"):
        list(SCHEDULERS["torch"](2).steps(Request(TEXT[:5], 3, WARM, watched=lambda: (0, 2))))


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_whoever_watches_changes_no_token(kind: str) -> None:
    scheduler = SCHEDULERS[kind](4)
    request = Request(TEXT[:50], 60, WARM)
    plain = tokens(scheduler.steps(request))
    layers = iter([EVERY_LAYER] * 20 + [[1]] * 20 + [[]] * 60)
    changing = list(scheduler.steps(replace(request, watched=lambda: next(layers))))
    assert tokens(changing) == plain
    watched = [list(step.attention) for step in changing]
    assert watched == [[0, 1]] * 20 + [[1]] * 20 + [[]] * (len(watched) - 40)
    assert all(list(step.values) == list(step.attention) for step in changing)


@pytest.mark.parametrize("start", [0, 1, len(LONG) - 1])
def test_logits_are_handed_out_from_a_place_on(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt2.inference.steps._LOGITS", 64 * CONFIG.vocab_size)
    steps = list(SCHEDULERS["torch"](2).steps(Request(LONG, logits_from=start)))
    found = [step.logits for step in steps if step.logits is not None]
    assert max(map(len, found)) <= 64
    with torch.inference_mode():
        expected = MODEL(torch.tensor([LONG]))[0, start:].numpy()
    np.testing.assert_allclose(np.concatenate(found), expected, atol=2e-5)


@pytest.mark.parametrize("kept", [0, 1, 7, 25])
@pytest.mark.parametrize("prompt", [3, 40, len(LONG)])
def test_forced_tokens_have_the_bits_they_were_written_with(prompt: int, kept: int) -> None:
    """A text that is taken up again in the middle goes on as it did, and is watched as it was."""
    scheduler = SCHEDULERS["torch"](2)
    whole = Request(LONG[:prompt], 40, WARM, lambda: EVERY_LAYER)
    written = list(scheduler.steps(whole))
    forced = tokens(written)[:kept]
    again = list(scheduler.steps(replace(whole, forced=forced)))
    assert same(again, written)


def test_what_follows_a_forced_token_is_written_with_the_same_noise() -> None:
    scheduler = SCHEDULERS["torch"](1)
    written = tokens(scheduler.steps(Request(TEXT[:9], 20, WARM)))
    other = (written[4] + 1) % CONFIG.vocab_size
    forced = [*written[:4], other]
    found = tokens(scheduler.steps(Request(TEXT[:9], 20, WARM, forced=forced)))
    assert found[:5] == forced
    assert found[5:] == tokens(scheduler.steps(Request([*TEXT[:9], *forced], 15, WARM)))


@pytest.mark.parametrize("count", [0, 1, 13, 20])
def test_a_draft_begins_where_nothing_is_forced_any_more(count: int) -> None:
    scheduler, draft = SCHEDULERS["torch"](2), SCHEDULERS["torch"](2)
    request = Request(TEXT[:9], 20, WARM, forced=TEXT[50 : 50 + count])
    drafted = list(scheduler.steps(replace(request, draft=draft)))
    assert tokens(drafted) == tokens(scheduler.steps(request))
    assert all(step.guess is None for step in drafted[:count])


def test_more_forced_than_new_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="no room for 3 forced tokens"):
        SCHEDULERS["torch"](1).steps(Request([1], 2, forced=[1, 2, 3]))


def test_the_numbers_of_a_token_are_those_of_its_logits() -> None:
    scheduler = SCHEDULERS["torch"](1)
    forced = TEXT[90:93]
    steps = list(scheduler.steps(Request(LONG, 20, WARM, numbers=4, forced=forced)))
    ids = [*LONG, *tokens(steps)]
    rows = np.concatenate(
        [s.logits for s in scheduler.steps(Request(ids[:-1], logits_from=len(LONG) - 1)) if s.fed]
    )
    chosen = [step.choice for step in steps if step.token is not None]
    assert len(chosen) == len(rows) == 20
    for choice, row, token in zip(chosen, rows, tokens(steps), strict=True):
        assert choice is not None and choice.chosen is not None
        expected = choice_of(row, token, WARM, 4)
        assert choice.chosen.token == token
        assert choice.probability == pytest.approx(expected.probability, rel=1e-3)
        assert [e.token for e in choice.likeliest] == [e.token for e in expected.likeliest]
    # What was chosen was left by the options; what was forced need not be.
    assert all(each is not None and each.chosen.cut is None for each in chosen[3:])
    assert all(step.choice is None for step in scheduler.steps(Request(LONG, 5, WARM)))


def test_asking_for_numbers_changes_no_token_and_no_pass() -> None:
    scheduler = SCHEDULERS["torch"](1)
    plain = list(scheduler.steps(Request(LONG, 20, WARM, lambda: EVERY_LAYER)))
    asked = list(scheduler.steps(Request(LONG, 20, WARM, lambda: EVERY_LAYER, numbers=10)))
    assert same(asked, plain)


def test_heads_may_be_off_from_a_position_on() -> None:
    scheduler = SCHEDULERS["torch"](1)
    off: dict[tuple[int, int], Floats | None] = {(1, 2): None, (0, 0): None}

    def rows(**changed: object) -> np.ndarray:
        request = replace(Request(TEXT[:40], logits_from=0), **changed)
        return np.concatenate([s.logits for s in scheduler.steps(request) if s.logits is not None])

    plain, everywhere = rows(off_from=30), rows(heads_off=off)
    late = rows(heads_off=off, off_from=30)
    assert np.array_equal(late[:30], plain[:30])
    assert not np.allclose(late[30:], plain[30:], atol=1e-3)
    assert not np.allclose(late[30:], everywhere[30:], atol=1e-3)


def test_short_prompts_share_a_pass() -> None:
    """A sweep over a hundred heads is a hundred short prompts."""
    gate = threading.Event()
    engine = small_engine()
    scheduler = engine.source
    assert isinstance(scheduler, Scheduler)
    executor, together_in = scheduler.slots.executor, []
    run = executor.run

    def counted(ids: Ints, positions: Ints, slots: Ints, *rest: Any) -> Pass:
        if together_in:
            assert gate.wait(10)
        together_in.append(len(set(slots.tolist())))
        return run(ids, positions, slots, *rest)

    executor.run = counted  # type: ignore[method-assign]  # of this executor alone

    def read(number: int) -> np.ndarray:
        steps = list(scheduler.steps(Request(TEXT[number : number + 9], logits_from=8)))
        assert steps[-1].logits is not None
        return steps[-1].logits

    def release() -> None:
        assert until(lambda: len(scheduler._waiting) == 4)
        gate.set()

    with closing(scheduler.steps(Request(TEXT[:9], 40))) as under_way:  # type: ignore[type-var]  # a generator
        next(under_way)
        *found, _ = together(*(lambda n=n: read(n) for n in range(4)), release)
    assert max(together_in) == 5
    for number, logits in enumerate(found):
        assert isinstance(logits, np.ndarray)
        assert np.array_equal(logits, read(number))
    scheduler.close()


def test_prompts_are_read_together_only_up_to_a_piece() -> None:
    scheduler = SCHEDULERS["torch"](8)
    runs = [
        module._Run(Request(TEXT[:length]), CONFIG, None)
        for length in (9, 100, SHORT_PIECE, 10, 9, 1)
    ]
    wide = module._Run(Request(TEXT[:50], logits_from=0), CONFIG, None)
    assert scheduler._readers(runs) == [runs[0], runs[1], runs[3], runs[4]]
    assert scheduler._readers([runs[0], wide, runs[3]]) == [runs[0], runs[3]]
    assert scheduler._readers([wide, runs[0]]) == [wide]


def test_what_is_changed_in_one_run_is_changed_in_no_other() -> None:
    scheduler = SCHEDULERS["torch"](4)
    plain = Request(TEXT[:30], 30, GREEDY)
    off: dict[tuple[int, int], Floats | None] = {(0, head): None for head in range(3)}
    requests = [
        plain,
        replace(plain, heads_off=off),
        replace(plain, positions={0: 7}),
        replace(plain, residual=True),
    ]
    alone = [tokens(scheduler.steps(request)) for request in requests]
    assert alone == together(*(lambda r=r: tokens(scheduler.steps(r)) for r in requests))
    assert alone[0] == alone[3] == write(1, TEXT[:30], 30, GREEDY)
    assert alone[1] != alone[0] and alone[2] != alone[0]
    shape = (2 * CONFIG.num_blocks + 1, CONFIG.embedding_dimension)
    for step in scheduler.steps(requests[3]):
        assert step.residual is not None and step.residual.shape == (step.fed, *shape)
    assert all(step.residual is None for step in scheduler.steps(plain))


def test_more_than_there_are_slots_wait_and_get_their_text() -> None:
    scheduler = SCHEDULERS["torch"](2)
    tasks = [
        lambda n=n: tokens(scheduler.steps(Request(TEXT[:n], 20, SamplingOptions(seed=n))))
        for n in range(1, 8)
    ]
    assert [task() for task in tasks] == together(*tasks)


def test_no_more_run_at_once_than_may() -> None:
    """The other slots are for runs that this model drafts."""
    scheduler = Scheduler(TorchExecutor(MODEL, 8), most_running=2)
    running = [scheduler.steps(Request(TEXT[:5], 30, GREEDY, paced=True)) for _ in range(2)]
    for steps in running:
        next(steps)
    waiting = threading.Thread(
        target=lambda: texts.append(tokens(scheduler.steps(Request([1], 1))))
    )
    texts: list[list[int]] = []
    waiting.start()
    assert not until(lambda: bool(texts), 0.3)
    running[0].close()
    waiting.join(10)
    assert len(texts) == 1
    running[1].close()


def test_short_prompts_do_not_wait_for_a_long_one() -> None:
    engine = small_engine()
    passes = Passes(engine)
    long = engine.source.steps(Request(LONG, 30, WARM, paced=True))
    short = engine.source.steps(Request(TEXT[:5], 30, WARM, paced=True))
    seen: list[str] = []

    def take(name: str, steps: Iterator[Step]) -> None:
        step = next(steps)
        seen.append(name if step.token is None else name.upper())

    take("a", long)
    together(lambda: take("a", long), lambda: take("b", short))
    assert sorted(seen[:3]) == ["B", "a", "a"]
    writing = passes.count
    together(lambda: take("a", long), lambda: take("b", short))
    assert sorted(seen[3:]) == ["A", "B"]
    assert passes.count <= writing + 2


@pytest.mark.parametrize("how", ["stopped", "closed", "raised"])
def test_a_slot_is_free_within_a_pass(how: str) -> None:
    scheduler = SCHEDULERS["torch"](1)
    stop = threading.Event()
    broken: list[int] = []

    def stopped() -> bool:
        if broken:
            raise RuntimeError("asked too much")
        return stop.is_set()

    first = scheduler.steps(Request(TEXT[:9], 300, WARM, stopped=stopped, paced=True))
    for _ in range(3):
        next(first)
    waiting = threading.Thread(
        target=lambda: texts.append(tokens(scheduler.steps(Request(TEXT[:9], 5, GREEDY))))
    )
    texts: list[list[int]] = []
    waiting.start()
    assert not until(lambda: bool(texts), 0.3)  # the only slot is taken
    if how == "closed":
        first.close()
    elif how == "stopped":
        stop.set()
        assert list(first) == []
    else:
        broken.append(1)
        with pytest.raises(RuntimeError, match="asked too much"):
            list(first)
    waiting.join(10)
    assert texts == [write(1, TEXT[:9], 5, GREEDY)]


def test_a_stop_is_noticed_by_those_who_wait() -> None:
    scheduler = SCHEDULERS["torch"](1)
    first = scheduler.steps(Request(TEXT[:9], 300, WARM, paced=True))
    next(first)
    assert list(scheduler.steps(Request(TEXT[:9], 5, stopped=lambda: True))) == []
    first.close()


@pytest.mark.parametrize("harm", ["raise", "nan"])
@pytest.mark.parametrize("where", ["read", "written"])
def test_one_that_breaks_the_model_breaks_nobody_else(harm: str, where: str) -> None:
    """The model fails on one token, which one of three meets in its prompt or writes itself."""
    options = [SamplingOptions(seed=n) for n in range(3)]
    doomed, *others = (write(3, TEXT[:9], 20, option) for option in options)
    good = {*TEXT[:9], *others[0], *others[1]}
    place = next(n for n, token in enumerate(doomed) if token not in good and n >= 2)
    bad = doomed[place]
    engine = small_engine()

    def spoil(module: object, arguments: tuple[torch.Tensor], out: torch.Tensor) -> torch.Tensor:
        if harm == "raise" and (arguments[0] == bad).any():
            raise ValueError("a broken model")
        return out.masked_fill((arguments[0] == bad)[..., None], torch.nan)

    engine.model.wte.register_forward_hook(spoil)
    scheduler = Scheduler(TorchExecutor(engine.model, 3))
    got: list[int] = []

    def ruined() -> None:
        prompt = [*TEXT[:9], bad] if where == "read" else TEXT[:9]
        for step in scheduler.steps(Request(prompt, 20, options[0])):
            assert step.token is not None
            got.append(step.token)

    results = together(
        ruined,
        *(lambda o=o: tokens(scheduler.steps(Request(TEXT[:9], 20, o))) for o in options[1:]),
    )
    assert isinstance(results[0], ValueError if harm == "raise" else NotFinite)
    assert got == ([] if where == "read" else doomed[: place + 1])
    assert results[1:] == others
    # The slot that held the damage serves the next ones as if nothing had been.
    for option, text in zip(options[1:], others, strict=True):
        assert tokens(scheduler.steps(Request(TEXT[:9], 20, option))) == text


def test_the_cache_is_given_back_when_nobody_runs() -> None:
    scheduler = SCHEDULERS["torch"](2)
    forgotten: list[bool] = []
    scheduler.slots.executor.forget = lambda: forgotten.append(True)  # type: ignore[method-assign]  # of this one
    first = scheduler.steps(Request(TEXT[:9], 50, GREEDY, paced=True))
    next(first)
    thread = scheduler._thread
    assert thread is not None
    list(scheduler.steps(Request(TEXT[:9], 5, GREEDY)))
    assert not forgotten
    first.close()
    assert until(lambda: not thread.is_alive())
    assert forgotten == [True]


def test_closing_ends_every_run() -> None:
    scheduler = SCHEDULERS["torch"](2)
    running = [scheduler.steps(Request(TEXT[:9], 300, WARM, paced=True)) for _ in range(3)]
    for steps in running[:2]:
        next(steps)
    closed: list[bool] = []
    scheduler.slots.executor.close = lambda: closed.append(True)  # type: ignore[method-assign]  # of this one
    scheduler.close()
    assert closed == [True]
    assert [list(steps) for steps in running] == [[], [], []]


def test_a_step_that_is_wanted_while_the_last_one_is_handed_out_is_made() -> None:
    """Else a paced run stands still until it is stopped."""
    run = module._Run(Request(TEXT[:5], 9, paced=True), CONFIG, None)
    run.slot, run.wanted = 0, True

    class Quick:
        """Whoever follows is there before `put` returns."""

        def put(self, step: object) -> None:
            run.wanted = True

    run.handed_out = Quick()  # type: ignore[assignment]  # all it needs
    logits = np.zeros((1, CONFIG.vocab_size), np.float32)
    for _ in range(3):
        run.take(run.feed(), logits, module.Pass(logits), slice(0, 1), None)
        assert run.wanted


class TestCoalescing:
    """Steps of a watched text that are handed out together are those that came one by one."""

    @staticmethod
    def held(monkeypatch: pytest.MonkeyPatch, times: Iterator[float], count: int) -> list[bool]:
        """Which of so many watched steps had themselves and those before them handed out."""
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        now = [100.0]
        run = module._Run(Request([1], 50), CONFIG, None)
        due = []
        for number in range(count):
            run._coalesce(Step(number, 1, {0: np.zeros((1, 1, 1), np.float32)}))
            due.append(not run._pending)
            now[0] += next(times)
        run.finish()
        out = [run.handed_out.get() for _ in range(count + 1)]
        assert [step.token for step in out if isinstance(step, Step)] == list(range(count))
        assert out[-1] is None
        return due

    def test_many_times_a_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        due = self.held(monkeypatch, iter([0.006] * 14), 14)
        assert due == [True, *[False] * 6] * 2

    def test_at_once_where_tokens_are_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.held(monkeypatch, iter([0.05] * 5), 5) == [True] * 5

    def test_no_more_than_a_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        due = self.held(monkeypatch, iter([0.0] * 33), 33)
        assert due == [True, *([False] * 15 + [True]) * 2]
