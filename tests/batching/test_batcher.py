"""Requests in one batch: the same to the last bit in any company, and gone within a pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2 import SamplingOptions
from gpt2.batching import Batcher, NotFinite
from gpt2.generation import Step, generate
from gpt2.precision import float16_model, int8_model
from gpt2.sampling import GREEDY
from tests.small import CONFIG, SHORT_PIECE, Passes, small_engine, together, until

pytestmark = pytest.mark.usefixtures("short_pieces")

MODEL = small_engine().model
TEXT = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(CONFIG.max_seq_len)]
WARM = SamplingOptions(temperature=1.2, top_k=50, top_p=0.95, seed=11)
# Each precision that is offered.
TWINS = {"float32": MODEL, "float16": float16_model(MODEL), "int8": int8_model(MODEL)}
EVERY_LAYER = range(CONFIG.num_blocks)


def tokens(steps: list[Step]) -> list[int]:
    return [step.token for step in steps if step.token is not None]


def same(one: list[Step], other: list[Step]) -> bool:
    """To the last bit, attention included."""
    return len(one) == len(other) and all(
        (a.token, a.fed, list(a.attention)) == (b.token, b.fed, list(b.attention))
        and all(torch.equal(a.attention[layer], b.attention[layer]) for layer in a.attention)
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


@given(requests=REQUESTS, precision=st.sampled_from(sorted(TWINS)))
@settings(deadline=None, max_examples=15)
def test_in_any_company_a_request_gets_what_it_gets_alone(
    requests: list[tuple[int, int, int, int | None, bool]], precision: str
) -> None:
    """Paced, so that hypothesis and not the machine decides who runs beside whom."""
    batcher = Batcher(TWINS[precision], slots=9)

    def start(number: int) -> Iterator[Step]:
        prompt, new, _, _, watched = requests[number]
        layers = EVERY_LAYER if watched else ()
        options = SamplingOptions(temperature=1.3, seed=number)
        ids = TEXT[number : number + prompt]
        return batcher.generate(ids, new, options, lambda: layers, paced=True)

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


@pytest.mark.parametrize("prompt", [1, 5, SHORT_PIECE, 2 * SHORT_PIECE + 9])
@pytest.mark.parametrize("options", [GREEDY, WARM], ids=["greedy", "warm"])
def test_it_writes_what_the_plain_loop_writes(prompt: int, options: SamplingOptions) -> None:
    plain = list(generate(MODEL, TEXT[:prompt], 40, options, lambda: EVERY_LAYER))
    batched = list(Batcher(MODEL, 4).generate(TEXT[:prompt], 40, options, lambda: EVERY_LAYER))
    assert tokens(batched) == tokens(plain)
    for one, other in zip(batched, plain, strict=True):
        assert one.fed == other.fed
        for layer in EVERY_LAYER:
            torch.testing.assert_close(one.attention[layer], other.attention[layer])


@pytest.mark.parametrize("precision", sorted(TWINS))
def test_whoever_watches_changes_no_token(precision: str) -> None:
    batcher = Batcher(TWINS[precision], 4)
    plain = tokens(list(batcher.generate(TEXT[:50], 60, WARM)))
    layers = iter([EVERY_LAYER] * 20 + [[1]] * 20 + [[]] * 60)
    changing = list(batcher.generate(TEXT[:50], 60, WARM, lambda: next(layers)))
    assert tokens(changing) == plain
    watched = [list(step.attention) for step in changing]
    assert watched == [[0, 1]] * 20 + [[1]] * 20 + [[]] * (len(watched) - 40)
    assert all(list(step.values) == list(step.attention) for step in changing)


def test_more_than_there_are_slots_wait_and_get_their_text() -> None:
    batcher = Batcher(MODEL, 2)
    alone = [
        tokens(list(batcher.generate(TEXT[:n], 20, SamplingOptions(seed=n)))) for n in range(1, 8)
    ]
    assert alone == together(
        *(
            lambda n=n: tokens(list(batcher.generate(TEXT[:n], 20, SamplingOptions(seed=n))))
            for n in range(1, 8)
        )
    )


def test_short_prompts_do_not_wait_for_a_long_one() -> None:
    engine = small_engine()
    passes = Passes(engine)
    batcher = Batcher(engine.model, 4)
    long = batcher.generate(TEXT[: 2 * SHORT_PIECE + 9], 30, WARM, paced=True)
    short = batcher.generate(TEXT[:5], 30, WARM, paced=True)
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
    batcher = Batcher(MODEL, 1)
    stop = threading.Event()
    broken: list[int] = []

    def stopped() -> bool:
        if broken:
            raise RuntimeError("asked too much")
        return stop.is_set()

    first = batcher.generate(TEXT[:9], 300, WARM, stopped=stopped, paced=True)
    for _ in range(3):
        next(first)
    waiting = threading.Thread(
        target=lambda: texts.append(tokens(list(batcher.generate(TEXT[:9], 5, GREEDY))))
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
    assert texts == [tokens(list(generate(MODEL, TEXT[:9], 5, GREEDY)))]


@pytest.mark.parametrize("harm", ["raise", "nan"])
@pytest.mark.parametrize("where", ["read", "written"])
def test_one_that_breaks_the_model_breaks_nobody_else(harm: str, where: str) -> None:
    """The model fails on one token, which one of three meets in its prompt or writes itself."""
    options = [SamplingOptions(seed=n) for n in range(3)]
    doomed, *others = (
        tokens(list(Batcher(MODEL, 3).generate(TEXT[:9], 20, option))) for option in options
    )
    good = {*TEXT[:9], *others[0], *others[1]}
    place = next(n for n, token in enumerate(doomed) if token not in good and n >= 2)
    bad = doomed[place]
    engine = small_engine()

    def spoil(module: object, arguments: tuple[torch.Tensor], out: torch.Tensor) -> torch.Tensor:
        if harm == "raise" and (arguments[0] == bad).any():
            raise ValueError("a broken model")
        return out.masked_fill((arguments[0] == bad)[..., None], torch.nan)

    engine.model.wte.register_forward_hook(spoil)
    batcher = Batcher(engine.model, 3)
    got: list[int] = []

    def ruined() -> None:
        prompt = [*TEXT[:9], bad] if where == "read" else TEXT[:9]
        for step in batcher.generate(prompt, 20, options[0]):
            assert step.token is not None
            got.append(step.token)

    results = together(
        ruined, *(lambda o=o: tokens(list(batcher.generate(TEXT[:9], 20, o))) for o in options[1:])
    )
    assert isinstance(results[0], ValueError if harm == "raise" else NotFinite)
    assert got == ([] if where == "read" else doomed[: place + 1])
    assert results[1:] == others
    # The slot that held the damage serves the next ones as if nothing had been.
    for option, text in zip(options[1:], others, strict=True):
        assert tokens(list(batcher.generate(TEXT[:9], 20, option))) == text


def test_the_cache_is_given_back_when_nobody_runs() -> None:
    batcher = Batcher(MODEL, 2)
    before = threading.active_count()
    list(batcher.generate(TEXT[:9], 5, GREEDY))
    assert until(lambda: threading.active_count() <= before)
