"""Drafting may change how fast a text comes, and nothing else."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Engine, GPT2Config, GPT2Model, SamplingOptions, load
from gpt2.inference import draft_length as pace
from gpt2.inference.executor import Floats, Ints, Pass, Watch
from gpt2.inference.scheduler import Scheduler
from gpt2.inference.slots import Closed
from gpt2.inference.steps import Request, Step, StepSource
from gpt2.inference.torch_executor import TorchExecutor
from gpt2.sampling import GREEDY, filtered, softmax
from tests.examples import examples
from tests.small import CONFIG, SHORT_PIECE, small_engine, together

pytestmark = pytest.mark.usefixtures("short_pieces")

MODEL = small_engine().model
LONG = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(2 * SHORT_PIECE + 9)]
SHORT = LONG[:5]
WARM = SamplingOptions(temperature=1.2, top_k=50, top_p=0.95, seed=11)


def nudged(strength: float) -> GPT2Model:
    """MODEL with noise on its weights: the more, the more often it guesses wrong."""
    model = small_engine().model
    noise = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=noise) * strength)
    return model


def scheduled(model: GPT2Model, slots: int = 16) -> Scheduler:
    return Scheduler(TorchExecutor(model, slots), most_running=8)


SOURCE = scheduled(MODEL)
# From a draft that is always right to one that never is.
DRAFTS = {"itself": SOURCE, "near": scheduled(nudged(0.02)), "far": scheduled(nudged(0.3))}


def generate(
    source: StepSource, ids: list[int], new_tokens: int, options: SamplingOptions, **more: object
) -> Iterator[Step]:
    return source.steps(Request(ids, new_tokens, options, **more))  # type: ignore[arg-type]  # by name


@pytest.fixture(autouse=True)
def any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draft 0 to 8 tokens as it comes: the text must not depend on what the clock decides."""
    lengths = random.Random(5)
    monkeypatch.setattr(
        pace.DraftLength, "next", lambda self, room: min(room, lengths.randint(0, 8))
    )
    monkeypatch.setattr(pace.DraftLength, "note", lambda self, done: None)


def tokens(steps: Iterator[Step]) -> list[int]:
    return [step.token for step in steps if step.token is not None]


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS.keys())
@pytest.mark.parametrize("prompt", [SHORT, LONG[:SHORT_PIECE], LONG], ids=["5", "128", "265"])
@pytest.mark.parametrize("options", [GREEDY, WARM, SamplingOptions(seed=3)], ids=str)
def test_a_drafted_text_is_the_model_s_own(
    draft: Scheduler, prompt: list[int], options: SamplingOptions
) -> None:
    plain = tokens(generate(SOURCE, prompt, 50, options))
    assert tokens(generate(SOURCE, prompt, 50, options, draft=draft)) == plain


@pytest.fixture(scope="module")
def trained() -> tuple[StepSource, StepSource]:
    model, draft = (load(size, device="cpu").source for size in ("mini", "tiny"))
    return model, draft


@pytest.mark.parametrize("options", [GREEDY, SamplingOptions(0.8, seed=3)], ids=str)
def test_with_trained_weights_and_whoever_watches(
    trained: tuple[StepSource, StepSource], options: SamplingOptions
) -> None:
    """They are often near a tie."""
    model, draft = trained
    plain = tokens(generate(model, SHORT, 100, options))
    watched: Callable[[], tuple[int, ...]] = lambda: (0, 2)  # noqa: E731  # shared by two
    assert tokens(generate(model, SHORT, 100, options, watched=watched)) == plain
    assert tokens(generate(model, SHORT, 100, options, draft=draft)) == plain
    assert tokens(generate(model, SHORT, 100, options, draft=draft, watched=watched)) == plain


@examples(30)
@given(
    prompt=st.lists(st.integers(0, CONFIG.vocab_size - 1), min_size=1, max_size=40),
    new_tokens=st.integers(0, 30),
    temperature=st.floats(0, 2),
    seed=st.integers(0, 2**63 - 1),
)
def test_whatever_is_asked_for(
    prompt: list[int], new_tokens: int, temperature: float, seed: int
) -> None:
    options = SamplingOptions(temperature=temperature, seed=seed)
    plain = tokens(generate(SOURCE, prompt, new_tokens, options))
    assert tokens(generate(SOURCE, prompt, new_tokens, options, draft=DRAFTS["near"])) == plain


def test_the_context_can_be_filled_to_its_last_token() -> None:
    room = CONFIG.max_seq_len - len(LONG)
    plain = tokens(generate(SOURCE, LONG, room, WARM))
    assert tokens(generate(SOURCE, LONG, room, WARM, draft=DRAFTS["near"])) == plain


@pytest.mark.parametrize("context", [3, 20, 40])
def test_a_draft_with_a_shorter_context_stops_guessing_there(context: int) -> None:
    shape = GPT2Config(CONFIG.vocab_size, 24, 3, 8, 1, context)
    draft = GPT2Model.from_config(shape).eval().requires_grad_(False)
    steps = list(generate(SOURCE, SHORT, 60, WARM, draft=scheduled(draft)))
    assert tokens(iter(steps)) == tokens(generate(SOURCE, SHORT, 60, WARM))
    guessed = [len(SHORT) + i for i, step in enumerate(steps) if step.guess is not None]
    assert all(place < context for place in guessed)
    assert guessed or context == 3


def test_watched_rows_are_those_of_an_undrafted_run() -> None:
    plain = list(generate(SOURCE, LONG, 40, WARM, watched=lambda: (0, 1)))
    drafted = list(generate(SOURCE, LONG, 40, WARM, watched=lambda: (0, 1), draft=DRAFTS["near"]))
    assert any(step.guess is not None for step in drafted)
    for ours, theirs in zip(drafted, plain, strict=True):
        assert (ours.token, ours.fed) == (theirs.token, theirs.fed)
        for layer in (0, 1):
            assert np.array_equal(ours.attention[layer], theirs.attention[layer])
            assert np.array_equal(ours.values[layer], theirs.values[layer])


def test_guesses_are_told_right_or_wrong() -> None:
    sure = list(generate(SOURCE, SHORT, 60, WARM, draft=SOURCE))
    right = [step.guess == step.token for step in sure if step.guess is not None]
    assert len(right) > 30
    assert all(right)  # a model foresees itself: same luck at the same place
    far = list(generate(SOURCE, SHORT, 60, WARM, draft=DRAFTS["far"]))
    right = [step.guess == step.token for step in far if step.guess is not None]
    assert len(right) > 10
    assert sum(right) < len(right) / 2


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_stop_is_noticed_before_the_next_round(after: int) -> None:
    made: list[int] = []
    steps = generate(
        SOURCE,
        SHORT,
        60,
        WARM,
        draft=DRAFTS["near"],
        paced=True,
        stopped=lambda: len(made) >= after,
    )
    for step in steps:
        made.append(step.fed)
    assert after <= len(made) <= after + pace.MOST_DRAFTED


def test_another_vocabulary_is_refused_before_the_first_pass() -> None:
    other = GPT2Model.from_config(GPT2Config(300, 24, 3, 8, 1, 40))
    with pytest.raises(ValueError, match="same vocabulary: this model has 400 tokens, the draft 3"):
        generate(SOURCE, SHORT, 5, WARM, draft=scheduled(other))


def test_a_draft_elsewhere_is_refused() -> None:
    class Elsewhere:
        config = CONFIG

    with pytest.raises(ValueError, match="in the same process"):
        generate(SOURCE, SHORT, 5, WARM, draft=Elsewhere())


def test_drafted_runs_share_passes_with_others_and_write_the_same() -> None:
    """Eight at once, drafted by two models or not at all, watched or not."""

    def tasks() -> list[Callable[[], list[int]]]:
        return [
            lambda n=n, draft=draft: tokens(  # type: ignore[misc]  # defaults bind the loop
                generate(
                    SOURCE,
                    LONG[n : 3 * n + 5],
                    40,
                    SamplingOptions(seed=n),
                    draft=draft,
                    watched=(lambda: (1,)) if n % 2 else tuple,
                )
            )
            for n, draft in enumerate([None, *DRAFTS.values(), None, *DRAFTS.values()])
        ]

    alone = [
        tokens(generate(SOURCE, LONG[n : 3 * n + 5], 40, SamplingOptions(seed=n))) for n in range(8)
    ]
    assert together(*tasks()) == alone


def test_beside_a_piece_of_a_prompt_nothing_is_guessed() -> None:
    """It takes as long as many tokens anyway; and old guesses are no guesses."""
    source = scheduled(MODEL)
    rows: list[list[int]] = []
    run = source.slots.executor.run

    def counted(ids: Ints, positions: Ints, slots: Ints, wanted: Ints, watch: Watch) -> Pass:
        rows.append(np.unique(slots, return_counts=True)[1].tolist())
        return run(ids, positions, slots, wanted, watch)

    source.slots.executor.run = counted  # type: ignore[method-assign]  # of this one
    drafted = generate(source, SHORT, 300, WARM, draft=DRAFTS["near"])
    text = [next(drafted).token for _ in range(20)]
    list(generate(source, LONG, 1, WARM))
    text += tokens(drafted)
    assert text == tokens(generate(SOURCE, SHORT, 300, WARM))
    assert max(max(each) for each in rows if len(each) == 1) > 1
    beside = [min(each) for each in rows if len(each) == 2 and max(each) > 9]
    assert beside and all(count == 1 for count in beside)


def test_a_draft_without_a_free_slot_guesses_nothing() -> None:
    busy = scheduled(nudged(0.02), slots=1)
    other = busy.steps(Request(SHORT, 300, WARM, paced=True))
    next(other)
    steps = list(generate(SOURCE, SHORT, 40, WARM, draft=busy))
    assert tokens(iter(steps)) == tokens(generate(SOURCE, SHORT, 40, WARM))
    assert all(step.guess is None for step in steps)
    other.close()


def test_a_draft_that_fails_is_given_up_and_the_text_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = scheduled(nudged(0.02))
    broken.slots.executor._model.wte.register_forward_pre_hook(lambda *_: 1 / 0)  # type: ignore[attr-defined]  # a torch one
    text = tokens(generate(SOURCE, SHORT, 40, WARM, draft=broken))
    assert text == tokens(generate(SOURCE, SHORT, 40, WARM))
    assert "a draft failed" in caplog.text
    assert broken.slots.take() == 0  # its slot is free again


def test_a_draft_is_closed_after_its_pass_and_asked_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A compiled pass follows addresses: memory that is given back under it ends the process."""
    draft = scheduled(nudged(0.02))
    executor = draft.slots.executor
    run, close = executor.run, executor.close
    inside, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow(*arguments: object) -> Pass:
        seen.append("in")
        inside.set()
        go_on.wait(10)
        passed = run(*arguments)  # type: ignore[arg-type]  # passed on as they came
        seen.append("out")
        return passed

    def closed() -> None:
        seen.append("closed")
        close()

    monkeypatch.setattr(executor, "run", slow)
    monkeypatch.setattr(executor, "close", closed)

    def drop() -> None:
        assert inside.wait(10)
        closing = threading.Thread(target=draft.close)
        closing.start()
        closing.join(0.2)  # as long as the pass goes on, so does this
        go_on.set()
        closing.join(10)

    text, _ = together(lambda: tokens(generate(SOURCE, SHORT, 40, WARM, draft=draft)), drop)
    assert text == tokens(generate(SOURCE, SHORT, 40, WARM))
    assert seen.index("closed") == len(seen) - 1
    assert seen[-2] == "out"
    with pytest.raises(Closed):
        draft.slots.run(*(np.zeros(1, np.int64) for _ in range(4)))


def test_an_engine_drafts_with_another() -> None:
    engine = small_engine()
    draft = Engine.from_model(nudged(0.02), engine.tokenizer)
    assert engine.generate_ids(SHORT, 40, WARM, draft) == engine.generate_ids(SHORT, 40, WARM)
    events = list(engine.stream(SHORT, WARM, 40, draft=draft))
    plain = list(engine.stream(SHORT, WARM, 40))
    assert [(e.token, e.text, e.finish) for e in events] == [
        (e.token, e.text, e.finish) for e in plain
    ]
    assert any(event.guess is not None for event in events)
    assert all(event.guess is None for event in plain)


def forgetful(seed: int) -> GPT2Model:
    """A GPT-2 of eight tokens that sees nothing but the newest: a Markov chain."""
    model = GPT2Model.from_config(GPT2Config(8, 8, 1, 8, 1, 512))
    noise = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "c_proj" in name or "wpe" in name:
            parameter.data.zero_()
        elif "ln_" not in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=noise) * 0.25)
    return model.eval().requires_grad_(False)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("runs", "options"),
    [
        (8, SamplingOptions(0.7, top_k=6, top_p=0.95)),
        pytest.param(200, SamplingOptions(), marks=pytest.mark.nightly),
        pytest.param(200, SamplingOptions(0.7, top_k=6, top_p=0.95), marks=pytest.mark.nightly),
    ],
    ids=["4e3 narrowed", "1e5 plain", "1e5 narrowed"],
)
def test_drafted_tokens_follow_the_model_s_distribution(
    runs: int, options: SamplingOptions
) -> None:
    """Pearson's chi-square over all 64 transitions, p above 1e-3."""
    model, draft = forgetful(1), scheduled(forgetful(2))
    source = scheduled(model)
    seen, kinds = np.zeros((8, 8)), Counter[bool]()
    for seed in range(runs):
        chosen = replace(options, seed=seed)
        last = seed % 8
        for step in generate(source, [last], 500, chosen, draft=draft):
            assert step.token is not None
            seen[last, step.token] += 1
            last = step.token
            if step.guess is not None:
                kinds[step.guess == step.token] += 1
    expected = transitions(model, options) * seen.sum(1, keepdims=True)
    possible = expected > 0
    assert seen.sum() == 500 * runs
    assert min(kinds[True], kinds[False]) > 50 * runs, "both kinds of guesses must be at work"
    assert seen[~possible].sum() == 0
    square = ((seen - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = int(possible.sum()) - 8
    tail = chi_square_tail(float(square), freedom)
    print(f"chi-square {square:.1f}, {freedom} degrees of freedom, p = {tail:.3f}, {kinds}")
    assert tail > 1e-3


def transitions(model: GPT2Model, options: SamplingOptions) -> Floats:
    """Row i: the probabilities of the token after i, (V, V)."""
    with torch.no_grad():
        logits = model(torch.arange(8)[:, None])[:, 0].numpy()
    return np.stack([softmax(filtered(row, options)) for row in logits])


def chi_square_tail(square: float, freedom: int) -> float:
    """The probability of more than `square` by chance."""
    return float(torch.special.gammaincc(torch.tensor(freedom / 2), torch.tensor(square / 2)))
