"""Engine: the same text however it is asked for, and attention that is the model's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import Engine, GPT2Model, SamplingOptions, Tokenizer, load
from gpt2.engine import Event
from gpt2.sampling import GREEDY
from tests.examples import examples
from tests.small import CONFIG, SHORT_PIECE, Passes, saying, small_engine, together
from tests.tokenizer.test_files import byte_level, train

pytestmark = pytest.mark.usefixtures("short_pieces")

ENGINE = small_engine()
PROMPT = "The fox saw the bear."
LONG = "It was late, and the fox was not at home. " * 10
WARM = SamplingOptions(temperature=1.0, seed=5)


def ids_of(events: Sequence[Event]) -> list[int]:
    return [event.token for event in events if event.token is not None]


def rows_of(events: Sequence[Event], layer: int) -> np.ndarray:
    """All rows that came, as one map (H, T, T)."""
    total = sum(event.fed for event in events)
    square = np.zeros((CONFIG.num_heads, total, total), np.float32)
    read = 0
    for event in events:
        for rows in [event.attention[layer]] if event.fed else []:
            assert rows.shape == (CONFIG.num_heads, event.fed, read + event.fed)
            square[:, read : read + event.fed, : read + event.fed] = rows
        read += event.fed
    return square


@pytest.mark.parametrize("prompt", [PROMPT, LONG, "", "naïve 🦊 日本"])
def test_the_streamed_pieces_are_the_whole_text(prompt: str) -> None:
    events = list(ENGINE.stream(prompt, WARM, 40))
    text = "".join(event.text for event in events)
    assert text == ENGINE.complete(prompt, WARM, 40)
    assert text == ENGINE.tokenizer.decode(t for t in ids_of(events) if t != CONFIG.vocab_size - 1)


@pytest.mark.parametrize("prompt", [PROMPT, LONG], ids=["short", "in pieces"])
@pytest.mark.parametrize("layer", range(CONFIG.num_blocks))
def test_rows_that_stream_are_the_rows_of_one_pass(prompt: str, layer: int) -> None:
    events = list(ENGINE.stream(prompt, GREEDY, 25, attention=[layer]))
    ids = ENGINE.encode(prompt) + ids_of(events)
    assert prompt != LONG or len(ENGINE.encode(prompt)) > SHORT_PIECE
    streamed = rows_of(events, layer)
    np.testing.assert_allclose(streamed, ENGINE.attention_rows(ids[:-1], layer), atol=1e-5)
    np.testing.assert_allclose(streamed.sum(-1), 1, atol=1e-5)
    assert not np.triu(streamed, 1).any()


def test_layers_nobody_watches_are_absent() -> None:
    assert all(not event.attention for event in ENGINE.stream(PROMPT, WARM, 5))
    events = list(ENGINE.stream(PROMPT, WARM, 5, attention=(1,)))
    assert [sorted(event.attention) for event in events] == [[1]] * 5 + [[]]


def test_the_watched_layer_may_change_in_the_middle() -> None:
    layers = iter([(0,), (1,), (0, 1)])
    events = list(ENGINE.stream(PROMPT, WARM, 3, attention=lambda: next(layers)))
    assert [sorted(event.attention) for event in events] == [[0], [1], [0, 1], []]


def test_no_tensor_leaves_the_engine() -> None:
    events = list(ENGINE.stream(PROMPT, WARM, 3, attention=[0]))
    for event in events:
        for field in dataclasses.fields(event):
            value = getattr(event, field.name)
            for part in [*value, *value.values()] if isinstance(value, Mapping) else [value]:
                assert isinstance(part, str | int | float | np.ndarray | None)
    seen = ENGINE.attention(PROMPT, 0, 0)
    assert type(seen.weights) is type(events[0].attention[0]) is np.ndarray
    assert seen.weights.dtype == events[0].attention[0].dtype == np.float32
    assert all(type(token) is int for token in ENGINE.generate_ids([1], 3))


def test_the_numbers_of_a_run() -> None:
    events = list(ENGINE.stream(LONG, WARM, 6))
    rest = len(ENGINE.encode(LONG)) - SHORT_PIECE
    assert [event.fed for event in events] == [SHORT_PIECE, rest, 1, 1, 1, 1, 1, 0]
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)
    # A speed needs two tokens: the first one is the prompt's.
    first = [event.token is not None for event in events].index(True)
    assert all(event.tokens_per_second is None for event in events[: first + 1])
    assert all(event.tokens_per_second > 0 for event in events[first + 1 :])
    decoding = seconds[-2] - seconds[first]
    assert events[-2].tokens_per_second == pytest.approx(5 / decoding)


def test_only_the_last_event_says_why_the_text_ends() -> None:
    events = list(ENGINE.stream(PROMPT, WARM, 5))
    assert [event.finish for event in events] == [None] * 5 + ["tokens"]


def test_a_text_ends_where_the_model_ends_it() -> None:
    end = ENGINE.tokenizer.end_of_text
    events = list(saying(end).stream(PROMPT, WARM, 5))
    assert [(event.token, event.text, event.finish) for event in events] == [
        (end, "", None),
        (None, "", "end of text"),
    ]


def test_ids_are_exactly_as_many_as_asked_for_whatever_they_are() -> None:
    end = ENGINE.tokenizer.end_of_text
    assert saying(end).generate_ids([1, 2], 7) == [end] * 7
    assert ENGINE.generate_ids([1, 2], 0) == []
    with pytest.raises(ValueError, match="2 tokens and 319 new ones are more than the 320"):
        ENGINE.generate_ids([1, 2], 319)


def test_a_full_context_ends_the_text_and_keeps_it() -> None:
    engine = saying(65)
    ids = engine.encode(LONG)
    room = CONFIG.max_seq_len - len(ids)
    events = list(engine.stream(ids, WARM, 1000))
    assert ids_of(events) == [65] * room
    assert events[-1].finish == "context"
    assert list(engine.stream(ids, WARM, room))[-1].finish == "tokens"


def test_going_on_in_a_full_context_says_so_again() -> None:
    ids = [1] * CONFIG.max_seq_len
    events = list(ENGINE.stream(ids, WARM, 5))
    assert ids_of(events) == []
    assert events[-1].finish == "context"


def test_an_empty_prompt_starts_from_end_of_text() -> None:
    end = ENGINE.tokenizer.end_of_text
    assert ENGINE.encode("") == [end]
    assert ids_of(list(ENGINE.stream("", WARM, 20))) == ids_of(list(ENGINE.stream([end], WARM, 20)))


def test_a_typed_marker_is_ordinary_text() -> None:
    assert ENGINE.tokenizer.end_of_text not in ENGINE.encode("<|endoftext|>")


def test_a_prompt_that_leaves_no_room_is_refused_with_both_numbers() -> None:
    words = " ".join("a" * 1000)
    for ask in (ENGINE.complete, ENGINE.stream, lambda text: ENGINE.attention(text, 0, 0)):
        with pytest.raises(
            ValueError, match=r"1,\d{3} tokens and this model reads at most (319|320)"
        ):
            ask(words)
    assert len(ENGINE.encode("é" * 159)) <= CONFIG.max_seq_len - 1


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_stop_ends_the_run_within_one_token(after: int) -> None:
    engine = small_engine()
    passes = Passes(engine)
    events = list(engine.stream(PROMPT, WARM, 40, stopped=lambda: passes.count >= after))
    assert events[-1].finish == "stopped"
    assert passes.count == len(ids_of(events)) == after


@examples(15)
@given(first=st.integers(0, 30), second=st.integers(1, 30), seed=st.integers(0, 2**63 - 1))
def test_going_on_gives_what_one_longer_run_gives(first: int, second: int, seed: int) -> None:
    options = SamplingOptions(seed=seed)
    start = ENGINE.encode(PROMPT)
    one = ENGINE.generate_ids(start, first + second, options)
    head = ENGINE.generate_ids(start, first, options)
    assert head + ENGINE.generate_ids(start + head, second, options) == one
    streamed = ids_of(list(ENGINE.stream(start + head, options, second)))
    assert streamed == one[first : first + len(streamed)]


def test_the_seed_decides_and_nothing_else() -> None:
    assert ENGINE.complete(PROMPT, WARM, 30) == ENGINE.complete(PROMPT, WARM, 30)
    torch.manual_seed(1)
    other = ENGINE.complete(PROMPT, SamplingOptions(seed=6), 30)
    assert other != ENGINE.complete(PROMPT, WARM, 30)


def test_users_at_the_same_time_get_what_each_gets_alone() -> None:
    def tasks(engine: Engine) -> list:
        return [
            lambda: engine.complete(PROMPT, SamplingOptions(seed=1), 60),
            lambda: engine.complete(LONG, SamplingOptions(1.3, top_k=40, seed=2), 60),
            lambda: engine.attention(PROMPT, 1, 2).weights.tolist(),
            lambda: rows_of(list(engine.stream(LONG, WARM, 20, attention=[1])), 1),
        ]

    *alone, rows = [task() for task in tasks(ENGINE)]
    found = together(*tasks(ENGINE), *tasks(ENGINE))
    for *exact, watched in (found[:4], found[4:]):
        assert exact == alone
        # The clock decides how many rows are worked out together, which may round otherwise.
        np.testing.assert_allclose(watched, rows, atol=1e-6)


def test_the_map_of_a_text() -> None:
    seen = ENGINE.attention("Hé!", layer=1, head=2)
    ids = ENGINE.encode("Hé!")
    assert "".join(seen.tokens) in ("Hé!", "H\\xc3\\xa9!")
    np.testing.assert_array_equal(seen.weights, ENGINE.attention_rows(ids, 1)[2])
    np.testing.assert_allclose(seen.weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (-1, 0), (0, 3), (0, -1)])
def test_a_map_that_is_not_there_is_refused_with_the_range(layer: int, head: int) -> None:
    with pytest.raises(ValueError, match=r"(Layer|Head) must be from 0 to [12], not"):
        ENGINE.attention(PROMPT, layer, head)


@pytest.mark.parametrize("prompt", [PROMPT, LONG], ids=["short", "in pieces"])
def test_logits_are_those_of_the_model(prompt: str) -> None:
    ids = ENGINE.encode(prompt)
    found = ENGINE.logits(ids)
    assert found.dtype == np.float32
    with torch.no_grad():
        np.testing.assert_allclose(found, ENGINE.model(torch.tensor([ids]))[0], atol=1e-5)
    *_, last = ENGINE.logits_by_piece(ids, start=len(ids) - 1)
    assert last.shape == (1, CONFIG.vocab_size)
    np.testing.assert_allclose(last[0], found[-1], atol=1e-5)
    with pytest.raises(ValueError, match="no token to start from"):
        ENGINE.logits([])


def test_the_model_is_loaded_once_and_only_when_asked_for() -> None:
    loads: list[int] = []

    def load_model() -> GPT2Model:
        loads.append(1)
        return small_engine().model

    engine = Engine(small_engine().source, ENGINE.tokenizer, load_model)
    assert engine.complete(PROMPT, WARM, 5) == ENGINE.complete(PROMPT, WARM, 5)
    assert loads == []
    assert all(model is engine.model for model in together(*[lambda: engine.model] * 4))
    assert loads == [1]


def test_a_closed_engine_ends_its_runs() -> None:
    engine = small_engine()
    events = engine.stream(PROMPT, WARM, 300, paced=True)
    next(events)
    engine.close()
    assert [event.finish for event in events] == ["stopped"]


def test_the_built_in_model_loads_by_name() -> None:
    engine = load("tiny")
    assert (engine.config.vocab_size, engine.tokenizer.vocab_size) == (8192, 8192)
    assert isinstance(engine.tokenizer, Tokenizer)
    assert isinstance(engine.complete("Once upon a time", WARM, 5), str)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huge",), "'huge' is no model: choose one of tiny, mini, distil, small"),
        (("tiny", "float8"), "precision must be one of float32.*, not 'float8'"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(*arguments)


def test_a_text_that_fills_the_context_still_has_maps() -> None:
    engine = small_engine()
    text = engine.tokenizer.decode([5] * engine.config.max_seq_len)
    ids = engine.tokenizer.encode(text)
    assert len(ids) == engine.config.max_seq_len
    seen = engine.attention(text, 1, 0)
    assert seen.weights.shape == (len(ids), len(ids))
    np.testing.assert_allclose(seen.weights.sum(-1), 1, atol=1e-5)


def test_a_draft_with_another_tokenizer_of_as_many_ids_is_refused(tmp_path: Path) -> None:
    """Some Spanish and German models have exactly GPT-2's 50,257."""
    engine, other = small_engine(), small_engine()
    train(tmp_path, byte_level())
    other.tokenizer = Tokenizer.for_folder(tmp_path, 2000)
    with pytest.raises(ValueError, match="another tokenizer"):
        engine.stream("a", draft=other)


@pytest.mark.parametrize("options", [WARM, GREEDY, SamplingOptions(0.7, 30, 0.9, 3)])
@pytest.mark.parametrize("prompt", [PROMPT, LONG])
def test_a_fork_with_the_original_token_is_the_original(
    prompt: str, options: SamplingOptions
) -> None:
    start = len(ENGINE.encode(prompt))
    ids = ENGINE.encode(prompt) + ENGINE.generate_ids(ENGINE.encode(prompt), 30, options)
    for at in (start, start + 1, start + 12, start + 29):
        left = len(ids) - at - 1
        events = list(ENGINE.fork(ids, at, ids[at], options, left, prompt_length=start))
        assert ids_of(events) == ids[start:]
        assert ids_of(list(ENGINE.fork(ids, at, ids[at], options, left))) == ids[at:]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "int4"])
def test_forks_heads_off_and_probabilities_hold_in_every_precision(precision: str) -> None:
    engine, options = load("tiny", precision), SamplingOptions(0.85, 0, 0.9, seed=4)
    prompt = engine.encode(PROMPT)
    off = [(5, 2), (0, 1)]
    text = prompt + engine.generate_ids(prompt, 30, options)
    without = prompt + ids_of(list(engine.stream(prompt, options, 30, off=off)))
    assert without == prompt + engine.generate_ids(prompt, 30, options, off=off)
    assert without != text
    for ids, heads in ((text, []), (without, off)):
        at = len(prompt) + 7
        left = len(ids) - at - 1
        for start in (len(prompt), None):  # as it was written, and read as a prompt
            again = engine.fork(ids, at, ids[at], options, left, prompt_length=start, off=heads)
            assert ids_of(list(again)) == ids[start or at :]
        found = engine.probabilities(ids, options, start_token=False, off=heads)
        assert found.precision == engine.precision
        for place, choice in enumerate(found.choices[1:], 1):
            assert choice is not None and choice.chosen is not None
            for name in ("before", "after"):
                total = sum(getattr(each, name) for each in choice.likeliest)
                assert total + getattr(choice, f"rest_{name}") == pytest.approx(1, abs=1e-4)
            if place >= len(prompt):  # what was drawn had been kept
                assert choice.chosen.cut is None
        assert engine.flips(ids, len(prompt), options, heads) == []
    engine.close()


def test_a_fork_keeps_what_was_before_and_goes_on_from_the_forced_token() -> None:
    ids = ENGINE.encode(PROMPT) + ENGINE.generate_ids(ENGINE.encode(PROMPT), 30, WARM)
    at = len(ids) - 20
    other = (ids[at] + 1) % CONFIG.vocab_size
    events = list(ENGINE.fork(ids, at, other, WARM, 10, numbers=5))
    assert ids_of(events)[0] == other
    assert ids_of(events)[1:] == ENGINE.generate_ids([*ids[:at], other], 10, WARM)
    # The noise is that of the place: what differs comes from the model.
    forced = next(event.choice for event in events if event.token is not None)
    assert forced is not None and forced.chosen is not None
    assert forced.chosen.token == other
    assert events[-1].finish == "tokens"


@pytest.mark.parametrize(
    ("at", "token", "prompt_length", "message"),
    [
        (0, 1, None, "places 1 to 5"),
        (6, 1, None, "places 1 to 5"),
        (3, CONFIG.vocab_size, None, "not in a vocabulary"),
        (3, 1, 4, "from 1 to 3 tokens"),
        (3, 1, 0, "from 1 to 3 tokens"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    at: int, token: int, prompt_length: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ENGINE.fork([1, 2, 3, 4, 5], at, token, prompt_length=prompt_length)


def test_a_fork_fills_the_context_and_no_more() -> None:
    ids = [5] * CONFIG.max_seq_len
    events = list(ENGINE.fork(ids, CONFIG.max_seq_len - 3, 7, WARM, 10))
    assert len(ids_of(events)) == 3
    assert events[-1].finish == "context"
    last = list(ENGINE.fork(ids, CONFIG.max_seq_len - 1, 7, WARM, 10))
    assert ids_of(last) == [7]


def test_heads_that_are_off_are_off_while_the_prompt_is_read() -> None:
    off = [(0, 1), (1, 2)]
    ids = ENGINE.encode(LONG)
    found = ids_of(list(ENGINE.stream(LONG, WARM, 12, off=off)))
    assert found == ENGINE.generate_ids(ids, 12, WARM, off=off)
    assert found != ENGINE.generate_ids(ids, 12, WARM)
    without = small_engine()
    width = CONFIG.hidden_dimension
    for layer, head in off:
        weight = without.model.h[layer].attn.c_proj.weight
        weight[:, head * width : (head + 1) * width] = 0
    assert found == without.generate_ids(ids, 12, WARM)


def test_heads_may_say_what_they_say_on_average() -> None:
    ids = ENGINE.encode(PROMPT)
    means = ENGINE.head_means(ids, [(0, 1), (1, 2)])
    assert all(mean.shape == (CONFIG.hidden_dimension,) for mean in means.values())
    found = ENGINE.generate_ids(ids, 12, WARM, off=means)
    assert found == ids_of(list(ENGINE.stream(PROMPT, WARM, 12, off=means)))
    assert found != ENGINE.generate_ids(ids, 12, WARM, off=list(means))


def test_swapped_positions_are_swapped_embeddings() -> None:
    ids = ENGINE.encode(PROMPT)
    found = ENGINE.generate_ids(ids, 12, WARM, swapped=(0, 4))
    assert found == ids_of(list(ENGINE.stream(PROMPT, WARM, 12, swapped=(0, 4))))
    swapped = small_engine()
    weight = swapped.model.wpe.weight
    weight[[0, 4]] = weight[[4, 0]]
    assert found == swapped.generate_ids(ids, 12, WARM)
    assert found != ENGINE.generate_ids(ids, 12, WARM)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"off": [(2, 0)]}, "no head 2.0"),
        ({"off": [(0, 3)]}, "no head 0.3"),
        ({"off": [(-1, 0)]}, "no head -1.0"),
        ({"swapped": (0, CONFIG.max_seq_len)}, "Position must be from 0"),
    ],
)
def test_what_is_not_there_cannot_be_changed(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ENGINE.stream(PROMPT, WARM, 5, **changed)


def test_every_token_has_its_numbers_where_they_are_asked_for() -> None:
    events = list(ENGINE.stream(PROMPT, WARM, 12, numbers=3))
    for event in events:
        assert (event.choice is None) == (event.token is None)
        if event.choice is not None:
            assert event.choice.chosen is not None
            assert event.choice.chosen.token == event.token
            assert 3 <= len(event.choice.likeliest) <= 4
    assert all(event.choice is None for event in ENGINE.stream(PROMPT, WARM, 3))


def test_measuring_reads_the_weights_once() -> None:
    engine = small_engine()
    assert engine.readout is engine.readout
    assert np.shares_memory(engine.readout.embedding, engine.model.wte.weight.numpy())
    assert engine.encode("a", start_token=True) == [
        engine.tokenizer.end_of_text,
        *engine.encode("a"),
    ]


@pytest.mark.parametrize("wrong", [np.zeros(1), np.zeros(0), np.full(8, np.nan), np.zeros((2, 8))])
def test_what_stands_in_for_a_head_must_have_its_shape(wrong: np.ndarray) -> None:
    """Compiled code would read what lies behind it in memory."""
    with pytest.raises(ValueError, match="What stands in must"):
        list(ENGINE.stream(PROMPT, WARM, 5, off={(0, 0): wrong.astype(np.float32)}))
