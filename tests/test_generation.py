"""The decode loop: what a cache, a stop and a watcher may and may not change."""

from __future__ import annotations

import pytest
import torch

from gpt2 import SamplingOptions
from gpt2.config import SIZES
from gpt2.generation import PIECE_WORK, Step, generate, piece_length
from gpt2.sampling import GREEDY, choose
from tests.small import CONFIG, SHORT_PIECE, Passes, small_engine

pytestmark = pytest.mark.usefixtures("short_pieces")

MODEL = small_engine().model
LONG = [(7 * i * i + 3) % CONFIG.vocab_size for i in range(2 * SHORT_PIECE + 9)]
SHORT = LONG[:5]
WARM = SamplingOptions(temperature=1.2, top_k=50, top_p=0.95, seed=11)


def tokens(steps: list[Step]) -> list[int]:
    return [step.token for step in steps if step.token is not None]


@torch.inference_mode()
@pytest.mark.parametrize("prompt", [SHORT, LONG[:SHORT_PIECE], LONG], ids=["5", "128", "265"])
@pytest.mark.parametrize("options", [GREEDY, WARM], ids=["greedy", "warm"])
def test_the_cache_chooses_what_reading_all_again_chooses(
    prompt: list[int], options: SamplingOptions
) -> None:
    ids = list(prompt)
    for token in tokens(list(generate(MODEL, prompt, 20, options))):
        assert token == choose(MODEL(torch.tensor([ids]))[0, -1], options, len(ids))
        ids.append(token)
    assert len(ids) == len(prompt) + 20


def test_the_blocking_form_writes_the_same() -> None:
    warm = SamplingOptions(temperature=0.8, seed=3)
    whole = MODEL.generate(torch.tensor([LONG]), max_new_tokens=20, temperature=0.8, seed=3)
    assert tokens(list(generate(MODEL, LONG, 20, warm))) == whole[0, len(LONG) :].tolist()


def test_a_long_prompt_is_read_in_pieces_and_then_token_by_token() -> None:
    steps = list(generate(MODEL, LONG, 3, WARM))
    assert [step.fed for step in steps] == [SHORT_PIECE, SHORT_PIECE, 9, 1, 1]
    assert [step.token is None for step in steps] == [True, True, False, False, False]


def test_a_piece_is_as_long_as_a_model_can_afford(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt2.generation.PIECE_WORK", PIECE_WORK)
    pieces = {name: piece_length(SIZES[name].config) for name in SIZES}
    assert pieces["tiny"] == pieces["mini"] == pieces["distil"] == pieces["small"] == 512
    assert pieces["medium"] == 192
    assert pieces["large"] == pieces["xl"] == 128


def test_no_new_tokens_reads_the_prompt_and_says_nothing() -> None:
    assert [(step.token, step.fed) for step in generate(MODEL, SHORT, 0, WARM)] == [(None, 5)]


def test_the_context_can_be_filled_to_its_last_token() -> None:
    room = CONFIG.max_seq_len - len(LONG)
    assert len(tokens(list(generate(MODEL, LONG, room, WARM)))) == room


def test_greedy_ignores_every_other_option() -> None:
    plain = generate(MODEL, SHORT, 20, GREEDY)
    other = generate(MODEL, SHORT, 20, SamplingOptions(0, top_k=3, top_p=0.2, seed=99))
    assert tokens(list(plain)) == tokens(list(other))


def test_the_seed_decides() -> None:
    def text(seed: int) -> list[int]:
        return tokens(list(generate(MODEL, SHORT, 20, SamplingOptions(seed=seed))))

    assert text(1) == text(1)
    assert len({tuple(text(seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize("after", [0, 1, 2, 4])
def test_a_stop_is_noticed_before_the_next_pass(after: int) -> None:
    engine = small_engine()
    passes = Passes(engine)
    steps = generate(engine.model, LONG, 40, WARM, stopped=lambda: passes.count >= after)
    assert len(list(steps)) == after
    assert passes.count == after


def test_watching_changes_no_token() -> None:
    watched = generate(MODEL, LONG, 20, WARM, watched=lambda: (0, 1))
    assert tokens(list(watched)) == tokens(list(generate(MODEL, LONG, 20, WARM)))


def test_only_watched_layers_are_kept_and_they_may_change_at_every_pass() -> None:
    wanted = iter([(), (0,), (1,), (0, 1), ()])
    steps = list(generate(MODEL, LONG, 3, WARM, watched=lambda: next(wanted)))
    assert [sorted(step.attention) for step in steps] == [[], [0], [1], [0, 1], []]
    heads, end = CONFIG.num_heads, len(LONG)
    assert steps[1].attention[0].shape == (heads, SHORT_PIECE, 2 * SHORT_PIECE)
    assert steps[3].attention[1].shape == (heads, 1, end + 1)


@pytest.mark.parametrize(
    ("ids", "new_tokens", "message"),
    [
        ([], 5, "no token to start from"),
        (SHORT, -1, "0 or more, not -1"),
        (SHORT, 316, "5 tokens and 316 new ones are more than the 320"),
        (LONG * 2, 0, "530 tokens and 0 new ones are more than the 320"),
    ],
)
def test_what_cannot_fit_is_refused_before_the_first_pass(
    ids: list[int], new_tokens: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate(MODEL, ids, new_tokens, WARM)
