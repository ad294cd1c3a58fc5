"""What a visitor asks for: every wish in range is taken, every other one gets a sentence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt2 import SIZES, Tokenizer
from gpt2.precision import weight_bytes
from gpt2.ui.session.requests import MOST_CHARACTERS, check_text, checked, count_tokens
from gpt2.ui.session.sizes import (
    check_offered,
    choices,
    config_of,
    precision_of,
    source_of,
    weights_bytes,
)
from tests.examples import examples
from tests.hub_standin import write_gpt2_folder
from tests.small import CONFIG

GOOD = {
    "prompt": "Once",
    "size": "tiny",
    "temperature": 0.8,
    "new_tokens": 20,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 7,
}
RANGES = {
    "temperature": "Temperature must be a number from 0 to 2",
    "new_tokens": "New tokens must be a whole number from 1 to 511",
    "top_k": "Top-k must be a whole number from 0",
    "top_p": "Top-p must be a number above 0 and at most 1",
    "seed": "Seed must be a whole number from 0 to 2^63 - 1",
}
NO_NUMBERS = [
    (field, value)
    for field in RANGES
    for value in (math.nan, math.inf, -math.inf, True, [], {}, [1], b"1", "one", "x" * 10**7)
] + [(field, value) for field in RANGES if field != "seed" for value in (None, "1", "")]
NO_NUMBERS += [("temperature", 10**400), ("top_p", 10**400)]
OUT_OF_RANGE = [
    ("temperature", -0.1, "Temperature must be from 0 to 2, not -0.1."),
    ("temperature", 2.1, "Temperature must be from 0 to 2, not 2.1."),
    ("new_tokens", 0, "New tokens must be from 1 to 511, not 0."),
    ("new_tokens", 512, "New tokens must be from 1 to 511, not 512."),
    ("new_tokens", 2.5, "New tokens must be a whole number from 1 to 511, not 2.5."),
    ("top_k", -1, "Top-k must be a whole number from 0 (off) up, not -1."),
    ("top_k", 1.5, "Top-k must be a whole number from 0 (off) up, not 1.5."),
    ("top_p", 0, "Top-p must be above 0 and at most 1, not 0.0."),
    ("top_p", 1.01, "Top-p must be above 0 and at most 1, not 1.01."),
    ("seed", -1, "Seed must be a whole number from 0 to 2^63 - 1, not -1."),
    ("seed", 2**63, f"Seed must be a whole number from 0 to 2^63 - 1, not {2**63}."),
    ("seed", "12x", "Seed must be a whole number from 0 to 2^63 - 1, not '12x'."),
]
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["tiny", "small", 0, 1, 0.5, 20]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def complaint(**fields: object) -> str:
    with pytest.raises(ValueError) as error:
        checked(**{**GOOD, **fields})
    return str(error.value)


def test_a_good_wish_is_taken_as_it_is() -> None:
    request = checked(**GOOD)
    assert (request.prompt, request.size, request.new_tokens) == ("Once", "tiny", 20)
    options = request.options
    assert (options.temperature, options.top_k, options.top_p, options.seed) == (0.8, 0, 1.0, 7)


def test_sliders_may_send_whole_floats_and_the_seed_may_be_text() -> None:
    request = checked(**{**GOOD, "new_tokens": 20.0, "top_k": 40.0, "seed": " 12 "})
    numbers = (request.new_tokens, request.options.top_k, request.options.seed)
    assert numbers == (20, 40, 12)
    assert all(type(number) is int for number in numbers)


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_seed_draws_a_new_one(empty: str | None) -> None:
    seeds = {checked(**{**GOOD, "seed": empty}).options.seed for _ in range(20)}
    assert len(seeds) > 10
    assert all(0 <= seed < 10_000 for seed in seeds)


@pytest.mark.parametrize(("field", "value"), NO_NUMBERS, ids=lambda value: repr(value)[:14])
def test_what_is_no_number_is_refused_with_the_field_and_its_range(
    field: str, value: object
) -> None:
    said = complaint(**{field: value})
    assert said.startswith(RANGES[field])
    assert len(said) < 150


@pytest.mark.parametrize(("field", "value", "sentence"), OUT_OF_RANGE)
def test_what_is_out_of_range_is_refused_with_the_range(
    field: str, value: object, sentence: str
) -> None:
    assert complaint(**{field: value}) == sentence


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Tiny",
        "huge",
        None,
        3,
        [],
        {},
        ".",
        "/",
        "../tiny",
        "assets/tiny",
        "gpt2/any",
        "x" * 10**7,
    ],
)
def test_a_model_that_is_not_offered_is_refused_with_the_list(name: object) -> None:
    said = complaint(size=name)
    assert said.startswith(f"Model size must be one of {', '.join(SIZES)}, not ")
    assert len(said) < 200


def test_a_text_of_ten_megabytes_is_refused_by_its_length() -> None:
    assert complaint(prompt="x" * 10**7) == (
        "Prompt has 10,000,000 characters; at most 100,000 can be read. Shorten it."
    )
    assert check_text("x" * MOST_CHARACTERS, "Text")


@pytest.mark.parametrize("prompt", [None, 3, True, ["x"], b"x"])
def test_a_prompt_that_is_no_text_is_refused(prompt: object) -> None:
    assert complaint(prompt=prompt) == "Prompt must be text."


@examples(300)
@given(fields=st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, junk)))
def test_any_junk_gives_a_request_in_range_or_one_short_sentence(fields: dict) -> None:
    try:
        request = checked(**{**GOOD, **fields})
    except ValueError as error:
        said = str(error)
        names = ("Prompt", "Model size", "Temperature", "New tokens", "Top-k", "Top-p", "Seed")
        assert said.startswith(names)
        assert said.endswith(".")
        assert len(said) < 300
    else:
        assert request.size in SIZES
        assert 1 <= request.new_tokens < config_of(request.size).max_seq_len
        assert type(request.options.seed) is int


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        ("", "0 of 512 tokens"),
        ("Once upon a time", "4 of 512 tokens"),
        ("a " * 255, "511 of 512 tokens"),
        ("x" * (MOST_CHARACTERS + 1), "more than 512 tokens: too long"),
    ],
)
def test_the_line_under_the_prompt(prompt: str, line: str) -> None:
    if prompt.startswith("a "):
        ids = len(Tokenizer(8192).encode(prompt))
        line = f"{ids} of 512 tokens"
    assert count_tokens(prompt, "tiny") == line


@given(count=st.integers(500, 600))
@examples(20)
def test_the_line_says_how_many_tokens_are_too_many(count: int) -> None:
    prompt = "\x01" * count  # a token each: nothing merges with it
    assert len(Tokenizer(8192).encode(prompt)) == count
    over = count - 511
    line = f"{count} of 512 tokens"
    if over > 0:
        line = f"{count} tokens; this model takes at most 511 with one new token: {over} too many"
    assert count_tokens(prompt, "tiny") == line


def test_the_owner_may_offer_one_more_model_without_saying_where_it_lies(
    monkeypatch, tmp_path
) -> None:
    folder = tmp_path / "mine"
    write_gpt2_folder(folder, CONFIG)
    monkeypatch.setenv("GPT2_MODEL", str(folder))
    assert source_of("mine").folder == folder
    assert choices()[-1] == ("mine · local", "mine")
    assert weights_bytes("mine") == weight_bytes(CONFIG, "float32")
    assert checked(**{**GOOD, "size": "mine"}).size == "mine"
    for other in (str(folder), str(tmp_path), "..", "owner/other"):
        with pytest.raises(ValueError, match="must be one of") as error:
            source_of(other)
        assert str(tmp_path) not in str(error.value).split(", not ")[0]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "GPT2_PRECISION",
            "bfloat16",
            "GPT2_PRECISION must be auto, float32, float16, int8 or int4, not 'bfloat16'",
        ),
        ("GPT2_DEVICE", "gpu", "GPT2_DEVICE must be cpu or cuda, not 'gpu'"),
    ],
)
def test_what_the_owner_wishes_and_is_not_here_is_told_at_the_start(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=words):
        check_offered()


def test_on_zero_gpu_the_precision_is_that_of_the_lent_gpu_which_nobody_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never() -> bool:
        raise AssertionError("a process that asks for a GPU cannot lend one to its children")

    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    monkeypatch.setattr("torch.cuda.is_available", never)
    assert precision_of("small") == "float32"
    assert weights_bytes("small") == weight_bytes(SIZES["small"].config, "float32")
    monkeypatch.setenv("GPT2_PRECISION", "int8")
    with pytest.raises(ValueError, match=r"one of float32, float16, auto \(on cuda\)"):
        check_offered()


def test_the_list_names_every_size_with_what_it_costs() -> None:
    labels = {name: label for label, name in choices()}
    assert list(labels) == list(SIZES)
    assert labels["tiny"] == "Tiny · 2.3 M · built in"
    assert labels["xl"].startswith("XL · 1558 M · ")


@pytest.mark.parametrize("text", ["half \ud83e", "\udd8a", "nul \x00"])
def test_what_cannot_be_encoded_is_replaced_on_every_field(text: str) -> None:
    """Half an emoji once ended the stream of answers, again after every reload."""
    wanted = checked(text, "tiny", 1, 5, 0, 1, 1)
    assert "\ufffd" in wanted.prompt
    wanted.prompt.encode()
    assert "\x00" not in wanted.prompt
    check_text(text, "Text").encode()
    assert "tokens" in count_tokens(text, "tiny")
    for field in range(1, 8):
        values: list[object] = ["x", "tiny", 1, 5, 0, 1, 1, "off"]
        values[field] = text
        with pytest.raises(ValueError) as refused:
            checked(*values)
        str(refused.value).encode()


DRAFTED = ("Once", "xl", 0.8, 10, 0, 1.0, 1)


@pytest.mark.parametrize("off", [None, "", "off"])
def test_drafting_is_off_unless_asked_for(off: str | None) -> None:
    assert checked(*DRAFTED, off).draft is None
    assert checked(*DRAFTED).draft is None


def test_every_smaller_size_of_the_vocabulary_may_draft() -> None:
    for size in ("distil", "small", "medium", "large"):
        assert checked(*DRAFTED, size).draft == size


@pytest.mark.parametrize("wrong", ["xl", "tiny", "gpt3", 7, ["small"]])
def test_another_draft_is_refused_with_those_there_are(wrong: object) -> None:
    with pytest.raises(ValueError, match="off, distil, small, medium, large for xl"):
        checked(*DRAFTED, wrong)
    with pytest.raises(ValueError, match="must be off for tiny: no smaller size"):
        checked("Once", "tiny", *DRAFTED[2:], wrong)
