"""What a comparison may ask for, and the memory it would take."""

from __future__ import annotations

import pytest

from gpt2.config import SIZES
from gpt2.precision import weight_bytes
from gpt2.residency import OutOfMemory, Residency, cache_bytes
from gpt2.runtime.units import format_bytes
from gpt2.ui.compare.requested import checked_sizes, compared, memory_line, needs

PROMPT = "Once upon a time"


def wanted(**fields: object) -> list:
    values = {
        "prompt": PROMPT,
        "sizes": ["small", "tiny"],
        "temperature": 0.8,
        "new_tokens": 40,
        "top_k": 0,
        "top_p": 1,
        "seed": "7",
        **fields,
    }
    return compared(**values)


def test_the_order_stays_and_the_noise_is_the_same() -> None:
    requests = wanted()
    assert [r.size for r in requests] == ["small", "tiny"]
    assert [r.options.seed for r in requests] == [7, 7]
    assert {r.prompt for r in requests} == {PROMPT}


def test_other_noise_is_a_seed_of_its_own_that_can_be_repeated() -> None:
    assert [r.options.seed for r in wanted(same_noise=False)] == [7, 8]
    last = wanted(seed=2**63 - 1, same_noise=False)
    assert [r.options.seed for r in last] == [2**63 - 1, 0]
    drawn = wanted(seed="")
    assert drawn[0].options.seed == drawn[1].options.seed


def test_new_tokens_stop_where_a_size_s_context_ends() -> None:
    assert [r.new_tokens for r in wanted(new_tokens=900)] == [900, 511]


@pytest.mark.parametrize("sizes", [[], ["tiny"], ["tiny"] * 2, list(SIZES)[:5], None, "tiny"])
def test_two_to_four_different_sizes(sizes: object) -> None:
    with pytest.raises(ValueError, match="Choose 2 to 4 different sizes under Sizes"):
        wanted(sizes=sizes)


def test_one_size_alone_can_be_scored() -> None:
    assert checked_sizes(["tiny"]) == ["tiny"]


def test_memory_counts_weights_and_caches_and_says_the_numbers_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "float32")
    requests = wanted(sizes=["tiny", "xl"], new_tokens=496)
    small, large = needs(requests).values()
    # The prompt is 4 tokens in both vocabularies.
    for name, found in (("tiny", small), ("xl", large)):
        config = SIZES[name].config
        assert found == weight_bytes(config, "float32") + cache_bytes(config, 500)
    both = format_bytes(small + large)
    roomy, tight = Residency(10 * 10**9), Residency(5 * 10**9)
    assert memory_line(requests, roomy) == (
        f"Memory: Tiny {format_bytes(small)} + XL {format_bytes(large)} = {both} of 10.0 GB "
        "for models"
    )
    assert memory_line(requests, tight).endswith("too much. Choose fewer or smaller sizes.")
    with pytest.raises(
        OutOfMemory, match=f"need {both} with their caches .Tiny {format_bytes(small)}"
    ):
        tight.check(needs(requests))
