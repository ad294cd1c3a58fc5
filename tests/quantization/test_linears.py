"""Twins of a linear: close to it, and a row has the same bits alone and in any company."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gpt2.quantization import (
    FEW_ROWS,
    Float16Linear,
    Float16TokenEmbedding,
    Float32Linear,
    Float32TokenEmbedding,
    Int8Linear,
    Int8TokenEmbedding,
    kernels,
    quantize,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def int8(weight: Tensor, bias: Tensor | None, largest: Tensor | None = None) -> Int8Linear:
    largest = torch.ones(weight.size(1)) if largest is None else largest
    return Int8Linear(quantize(weight, largest[None], centred=bias is None), bias)


def one_sided(weight: Tensor, bias: Tensor | None, largest: Tensor | None = None) -> Int8Linear:
    """Told of a value that no input is below."""
    largest = torch.ones(weight.size(1)) if largest is None else largest
    return Int8Linear(quantize(weight, largest[None]), bias, least=-8.0)


TWINS = {
    "float32": (Float32Linear, 1e-6),
    "float16": (Float16Linear, 1e-3),
    "int8": (int8, 0.02),
    "int8 of one side": (one_sided, 0.03),
}
EMBEDDINGS: dict[str, Callable[[Tensor], nn.Module]] = {
    "int8": lambda weight: Int8TokenEmbedding(quantize(weight, torch.ones(1, 64), True)),
    "float16": Float16TokenEmbedding,
    "float32": Float32TokenEmbedding,
}


@pytest.fixture(params=[True, False], ids=["kernel", "plain operators"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Each test with torch's kernels and without them."""
    if not request.param:
        monkeypatch.setattr(kernels, "has_int8_kernel", lambda: False)
        monkeypatch.setattr(kernels, "has_float16_kernel", lambda: False)
        monkeypatch.setattr(kernels, "has_float32_kernel", lambda: False)
    yield request.param


@pytest.mark.parametrize("shape", [(96, 64), (1024, 512)], ids=str)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.usefixtures("kernel")
def test_a_twin_gives_what_the_linear_gives(name: str, shape: tuple[int, int]) -> None:
    make, tolerance = TWINS[name]
    weight, bias = random(*shape), random(shape[0], seed=1)
    x = random(3, 5, shape[1], seed=2)
    expected = nn.functional.linear(x, weight, bias)
    twin = make(weight, bias)
    assert (twin(x) - expected).norm() < tolerance * expected.norm()
    torch.testing.assert_close(twin.weight, weight, rtol=1e-3, atol=0.03)


@pytest.mark.parametrize("shape", [(96, 64), (1024, 512)], ids=str)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.usefixtures("kernel")
def test_a_row_may_come_without_a_batch(name: str, shape: tuple[int, int]) -> None:
    make, _ = TWINS[name]
    twin, x = make(random(*shape), random(shape[0], seed=1)), random(3, shape[1], seed=2)
    for row, expected in zip(x, twin(x), strict=True):
        assert twin(row).shape == (shape[0],)
        torch.testing.assert_close(twin(row), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(192, 128), (768, 768), (3072, 768), (130, 50), (17, 3072), (5003, 64)]),
    st.integers(2, FEW_ROWS),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_in_int8_a_row_has_the_same_bits_alone_and_in_any_company(
    shape: tuple[int, int], rows: int, seed: int, outliers: bool, biased: bool
) -> None:
    """Of its own text, where a draft is checked, and of others, in a batch.

    The others' kernels may sum in another order for a lone row, float16's on CPUs with AVX2 and
    no more; `gpt2.batching.padding` finds that out. Whole numbers have no order."""
    weight, x = random(*shape, seed=seed), random(rows, shape[1], seed=seed + 2)
    x *= 10.0 ** torch.arange(rows)[:, None].remainder(5).sub(2)  # some are massive
    largest = torch.ones(shape[1])
    if outliers:
        largest[3:12] = 100
    twin = int8(weight, random(shape[0], seed=seed + 1) if biased else None, largest)
    alone = torch.cat([twin(row[None]) for row in x])
    assert torch.equal(twin(x), alone)
    assert torch.equal(twin(x[None])[0], alone)
    assert torch.equal(twin(x[:, None])[:, 0], alone)


def test_in_int8_a_long_text_has_the_same_bits_in_any_company() -> None:
    """A matrix product of all its rows sums them in an order of its own, but always the same."""
    weight, x = random(192, 128), random(3, FEW_ROWS + 5, 128, seed=1)
    largest = torch.ones(128)
    largest[3:12] = 100
    twin = int8(weight, None, largest)
    assert torch.equal(twin(x), torch.cat([twin(text[None]) for text in x]))


def test_a_massive_row_does_not_coarsen_its_neighbours() -> None:
    weight, x = random(64, 64), random(9, 64, seed=1)
    x[0] *= 1000
    twin = int8(weight, torch.zeros(64))
    errors = (twin(x) - x @ weight.t()).norm(dim=1) / (x @ weight.t()).norm(dim=1)
    assert errors.max() < 0.03


@pytest.mark.parametrize("rows", [64, 50])
def test_outlier_channels_are_in_the_weight_again(rows: int) -> None:
    """Also where there is no whole number of vectors of outputs, as in the head."""
    weight, largest = random(rows, 64), torch.ones(64)
    largest[[5, 40]] = 100
    found = int8(weight, torch.zeros(rows), largest).weight
    torch.testing.assert_close(found, weight, rtol=1e-3, atol=0.03)
    assert torch.equal(found[:, [5, 40]], weight[:, [5, 40]])


def test_outlier_channels_cost_the_others_nothing() -> None:
    weight, x = random(64, 64), random(50, 64, seed=1)
    x[:, [5, 40]] *= 100
    expected = x @ weight.t()
    error = {}
    for known, largest in (("no", torch.ones(64)), ("yes", x.abs().amax(0))):
        rest = x.clone()
        rest[:, [5, 40]] = 0
        alone = rest @ weight.t()
        error[known] = ((int8(weight, torch.zeros(64), largest)(x) - expected) / alone.std()).std()
    assert error["yes"] < 0.04
    assert error["no"] > 5 * error["yes"]


@pytest.mark.parametrize("make", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_a_common_direction_of_all_tokens_costs_no_digits(
    make: Callable[[Tensor], nn.Module],
) -> None:
    """Real GPT-2's logits sit near -100; what decides is the few units between them."""
    weight, x = random(500, 64) * 0.1, random(20, 64, seed=1)
    direction = nn.functional.normalize(random(64, seed=3), dim=0)
    x = x - (x @ direction)[:, None] * direction + direction
    weight = weight - (weight @ direction)[:, None] * direction - 100 * direction
    logits = x @ weight.t()
    assert -101 < logits.mean() < -99
    found = make(weight).logits(x)
    assert found.dtype == torch.float32
    p, q = logits.double().log_softmax(-1), found.double().log_softmax(-1)
    assert (p.exp() * (p - q)).sum(-1).mean() < 1e-3


def test_tokens_look_their_rows_up() -> None:
    weight, ids = random(300, 64), torch.tensor([[0, 299, 7], [7, 7, 1]])
    for make in EMBEDDINGS.values():
        twin = make(weight)
        torch.testing.assert_close(twin(ids), weight[ids], rtol=1e-3, atol=0.02)


@pytest.mark.filterwarnings("ignore:TypedStorage")  # torch's own, as it pickles packed int8
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize("make", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_a_copy_gives_the_same_bits(
    make: Callable[[Tensor], nn.Module], copied: Callable[[nn.Module], nn.Module]
) -> None:
    """Large enough to be packed in every precision."""
    twin, x = make(random(4096, 64)), random(3, 64, seed=1)
    other = copied(twin)
    assert torch.equal(other.logits(x), twin.logits(x))
    assert torch.equal(other(torch.tensor([7])), twin(torch.tensor([7])))


def test_rows_of_equal_values_are_numbers() -> None:
    twin = int8(random(8, 64), torch.zeros(8))
    for value in (0.0, 3.0):
        expected = torch.full((2, 64), value) @ twin.weight.t()
        torch.testing.assert_close(twin(torch.full((2, 64), value)), expected, rtol=1e-3, atol=1e-3)
