"""What `from gpt2 import ...` promises."""

from __future__ import annotations

import inspect
import typing

import torch

import gpt2

NAMES = {"GPT2Model", "GPT2Config", "SIZES", "Tokenizer", "SamplingOptions", "Engine", "load"}


def test_the_public_names_are_these() -> None:
    assert set(gpt2.__all__) == NAMES
    assert all(hasattr(gpt2, name) for name in NAMES)


def test_every_public_function_is_typed_and_explained() -> None:
    for name in NAMES - {"SIZES"}:
        thing = getattr(gpt2, name)
        assert inspect.getdoc(thing), name
        members = [thing] if inspect.isfunction(thing) else []
        if inspect.isclass(thing):
            own = [m for n, m in vars(thing).items() if not n.startswith("_") or n == "__init__"]
            members += [m.__func__ if isinstance(m, classmethod) else m for m in own]
        for member in filter(inspect.isfunction, members):
            signature = inspect.signature(member)
            hints = typing.get_type_hints(member)
            named = {p for p in signature.parameters if p not in ("self", "cls")}
            assert named | {"return"} <= set(hints), f"{name}.{member.__name__}"


def test_the_first_readme_s_call_works_word_for_word() -> None:
    from gpt2 import GPT2Model

    model = GPT2Model(
        vocab_size=50257,
        embedding_dimension=100,
        num_heads=25,
        hidden_dimension=4,
        num_blocks=2,
        max_seq_len=1024,
        hidden_dimension_factor=4,
        dropout_rate=0.1,
    )
    input_ids = torch.tensor([[464, 3290]])
    assert model(input_ids).shape == (1, 2, 50257)
    ids = model.generate(input_ids=input_ids, max_new_tokens=100, temperature=0.8)
    assert ids.shape == (1, 102)
