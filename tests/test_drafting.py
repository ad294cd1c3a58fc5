"""Drafting may change how fast a text comes, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gpt2 import Engine, GPT2Config, GPT2Model, SamplingOptions, load
from gpt2 import draft_length as pace
from gpt2.drafting import generate_drafted
from gpt2.generation import Step, generate
from gpt2.model import KVCache, RowByRow
from gpt2.precision import float16_model, float32_model, int8_model
from gpt2.sampling import GREEDY, filtered
from tests.small import CONFIG, SHORT_PIECE, small_engine

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


# From a draft that is always right to one that never is.
DRAFTS = {"itself": MODEL, "near": nudged(0.02), "far": nudged(0.3)}


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
    draft: GPT2Model, prompt: list[int], options: SamplingOptions
) -> None:
    plain = tokens(generate(MODEL, prompt, 50, options))
    assert tokens(generate_drafted(MODEL, draft, prompt, 50, options)) == plain


@pytest.mark.parametrize("twin", [float32_model, float16_model, int8_model])
def test_in_every_precision(twin: Callable[[GPT2Model], GPT2Model]) -> None:
    model, draft = twin(MODEL), twin(DRAFTS["near"])
    plain = tokens(generate(model, SHORT, 60, GREEDY))
    assert tokens(generate_drafted(model, draft, SHORT, 60, GREEDY)) == plain


@pytest.fixture(scope="module", params=["float16", "int8"])
def trained(request: pytest.FixtureRequest) -> tuple[GPT2Model, GPT2Model]:
    model, draft = (load(size, request.param, device="cpu").model for size in ("mini", "tiny"))
    return model, draft


@pytest.mark.parametrize("options", [GREEDY, SamplingOptions(0.8, seed=3)], ids=str)
def test_with_trained_weights_and_whoever_watches(
    trained: tuple[GPT2Model, GPT2Model], options: SamplingOptions
) -> None:
    """They are often near a tie, and int8 makes a whole level of an input out of its last bit."""
    model, draft = trained
    plain = tokens(generate(model, SHORT, 100, options))
    assert tokens(generate(model, SHORT, 100, options, lambda: (0, 2))) == plain
    assert tokens(generate_drafted(model, draft, SHORT, 100, options)) == plain
    assert tokens(generate_drafted(model, draft, SHORT, 100, options, lambda: (0, 2))) == plain


@torch.inference_mode()
def test_in_int8_a_check_gives_the_bits_of_single_passes() -> None:
    """So no tie can fall the other way. The others' kernels sum several rows in another order."""
    model = load("mini", "int8", device="cpu").model
    alone, together = (KVCache(model.config, len(LONG)) for _ in range(2))
    at = 0
    for rows in (9, 1, 2, 5, 8, 9, 9):
        fed = torch.tensor([LONG[at : at + rows]])
        hidden = model.hidden(fed, together, RowByRow())[0]
        singles = torch.cat([model.hidden(fed[:, i : i + 1], alone)[0] for i in range(rows)])
        assert torch.equal(hidden, singles)
        assert torch.equal(model.wte.logits(hidden), model.wte.logits(singles[:, None])[:, 0])
        at += rows


@settings(deadline=None, max_examples=30)
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
    plain = tokens(generate(MODEL, prompt, new_tokens, options))
    assert tokens(generate_drafted(MODEL, DRAFTS["near"], prompt, new_tokens, options)) == plain


def test_the_context_can_be_filled_to_its_last_token() -> None:
    room = CONFIG.max_seq_len - len(LONG)
    plain = tokens(generate(MODEL, LONG, room, WARM))
    assert tokens(generate_drafted(MODEL, DRAFTS["near"], LONG, room, WARM)) == plain


@pytest.mark.parametrize("context", [3, 20, 40])
def test_a_draft_with_a_shorter_context_stops_guessing_there(context: int) -> None:
    shape = GPT2Config(CONFIG.vocab_size, 24, 3, 8, 1, context)
    draft = GPT2Model.from_config(shape).eval().requires_grad_(False)
    steps = list(generate_drafted(MODEL, draft, SHORT, 60, WARM))
    assert tokens(iter(steps)) == tokens(generate(MODEL, SHORT, 60, WARM))
    guessed = [len(SHORT) + i for i, step in enumerate(steps) if step.guess is not None]
    assert all(place < context for place in guessed)
    assert guessed or context == 3


def test_watched_rows_are_those_of_an_undrafted_run() -> None:
    plain = list(generate(MODEL, LONG, 40, WARM, watched=lambda: (0, 1)))
    drafted = list(generate_drafted(MODEL, DRAFTS["near"], LONG, 40, WARM, watched=lambda: (0, 1)))
    assert any(step.guess is not None for step in drafted)
    for ours, theirs in zip(drafted, plain, strict=True):
        assert (ours.token, ours.fed) == (theirs.token, theirs.fed)
        for layer in (0, 1):
            torch.testing.assert_close(
                ours.attention[layer], theirs.attention[layer], atol=1e-5, rtol=0
            )


def test_guesses_are_told_right_or_wrong() -> None:
    sure = list(generate_drafted(MODEL, MODEL, SHORT, 60, WARM))
    right = [step.guess == step.token for step in sure if step.guess is not None]
    assert len(right) > 30
    assert all(right)  # a model foresees itself: same luck at the same place
    far = list(generate_drafted(MODEL, DRAFTS["far"], SHORT, 60, WARM))
    right = [step.guess == step.token for step in far if step.guess is not None]
    assert len(right) > 10
    assert sum(right) < len(right) / 2


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_stop_is_noticed_before_the_next_round(after: int) -> None:
    made: list[int] = []
    steps = generate_drafted(
        MODEL, DRAFTS["near"], SHORT, 60, WARM, stopped=lambda: len(made) >= after
    )
    for step in steps:
        made.append(step.fed)
    assert after <= len(made) <= after + pace.MOST_DRAFTED


def test_another_vocabulary_is_refused_before_the_first_pass() -> None:
    other = GPT2Model.from_config(GPT2Config(300, 24, 3, 8, 1, 40))
    with pytest.raises(ValueError, match="same vocabulary: this model has 400 tokens, the draft 3"):
        generate_drafted(MODEL, other, SHORT, 5, WARM)


def test_an_engine_drafts_with_another() -> None:
    engine, draft = small_engine(), Engine(DRAFTS["near"], small_engine().tokenizer)
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
        pytest.param(200, SamplingOptions(), marks=pytest.mark.slow),
        pytest.param(200, SamplingOptions(0.7, top_k=6, top_p=0.95), marks=pytest.mark.slow),
    ],
    ids=["4e3 narrowed", "1e5 plain", "1e5 narrowed"],
)
def test_drafted_tokens_follow_the_model_s_distribution(
    runs: int, options: SamplingOptions
) -> None:
    """Pearson's chi-square over all 64 transitions, p above 1e-3."""
    model, draft = forgetful(1), forgetful(2)
    seen, kinds = torch.zeros(8, 8), Counter[bool]()
    for seed in range(runs):
        chosen = replace(options, seed=seed)
        last = seed % 8
        for step in generate_drafted(model, draft, [last], 500, chosen):
            assert step.token is not None
            seen[last, step.token] += 1
            last = step.token
            if step.guess is not None:
                kinds[step.guess == step.token] += 1
    expected = transitions(model, options) * seen.sum(1, keepdim=True)
    possible = expected > 0
    assert seen.sum() == 500 * runs
    assert min(kinds[True], kinds[False]) > 50 * runs, "both kinds of guesses must be at work"
    assert seen[~possible].sum() == 0
    square = ((seen - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = int(possible.sum()) - 8
    tail = chi_square_tail(float(square), freedom)
    print(f"chi-square {square:.1f}, {freedom} degrees of freedom, p = {tail:.3f}, {kinds}")
    assert tail > 1e-3


def transitions(model: GPT2Model, options: SamplingOptions) -> Tensor:
    """Row i: the probabilities of the token after i, (V, V)."""
    logits = model(torch.arange(8)[:, None])[:, 0]
    return torch.stack([filtered(row, options).softmax(-1) for row in logits])


def chi_square_tail(square: float, freedom: int) -> float:
    """The probability of more than `square` by chance."""
    return float(torch.special.gammaincc(torch.tensor(freedom / 2), torch.tensor(square / 2)))
