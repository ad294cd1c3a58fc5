"""What a comparison may ask for, and the memory it would take."""

from __future__ import annotations

import pytest

from gpt2.config import SIZES
from gpt2.residency import OutOfMemory, Residency, cache_bytes
from gpt2.ui.compare.wish import checked_sizes, compared, memory_line, needs

PROMPT = "Once upon a time"


def wish(**fields: object) -> list:
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
    requests = wish()
    assert [r.size for r in requests] == ["small", "tiny"]
    assert [r.options.seed for r in requests] == [7, 7]
    assert {r.prompt for r in requests} == {PROMPT}


def test_other_noise_is_a_seed_of_its_own_that_can_be_repeated() -> None:
    assert [r.options.seed for r in wish(same_noise=False)] == [7, 8]
    last = wish(seed=2**63 - 1, same_noise=False)
    assert [r.options.seed for r in last] == [2**63 - 1, 0]
    drawn = wish(seed="")
    assert drawn[0].options.seed == drawn[1].options.seed


def test_new_tokens_stop_where_a_size_s_context_ends() -> None:
    assert [r.new_tokens for r in wish(new_tokens=900)] == [900, 511]


@pytest.mark.parametrize("sizes", [[], ["tiny"], ["tiny"] * 2, list(SIZES)[:5], None, "tiny"])
def test_two_to_four_different_sizes(sizes: object) -> None:
    with pytest.raises(ValueError, match="Choose 2 to 4 different sizes under Sizes"):
        wish(sizes=sizes)


def test_one_size_alone_can_be_scored() -> None:
    assert checked_sizes(["tiny"]) == ["tiny"]


def test_memory_counts_weights_and_caches_and_says_the_numbers_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPT2_PRECISION", "float32")
    requests = wish(sizes=["tiny", "xl"], new_tokens=496)
    small, large = needs(requests).values()
    # The prompt is 4 tokens in both vocabularies.
    assert small == SIZES["tiny"].config.num_parameters * 4 + cache_bytes(SIZES["tiny"].config, 500)
    assert large == 4 * 1_557_611_200 + 2 * 4 * 48 * 1600 * 500
    roomy, tight = Residency(10 * 10**9), Residency(5 * 10**9)
    assert memory_line(requests, roomy) == (
        "Memory: Tiny 12 MB + XL 6.5 GB = 6.5 GB of 10.0 GB for models"
    )
    assert memory_line(requests, tight).endswith("too much. Choose fewer or smaller sizes.")
    with pytest.raises(OutOfMemory, match=r"need 6\.5 GB with their caches \(Tiny 12 MB, XL 6\.5"):
        tight.check(needs(requests))
