"""What people write behind a command, as click can parse it."""

from __future__ import annotations

import pytest

from gpt2.cli.arguments import expand


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("x --sizes a b --seed 1", "x --sizes a --sizes b --seed 1"),
        ("--sizes a --sizes b", "--sizes a --sizes b"),
        ("--sizes=a x", "--sizes=a x"),
        ("--sizes", "--sizes"),  # click says that a value is missing
        ("--sizes --all", "--sizes --all"),
        ("--sizes -1 -.5", "--sizes -1 --sizes -.5"),  # numbers, whatever they are for
        ("--seed -1 x", "--seed -1 x"),
        ("-1 --all", "--all -- -1"),
        ("- --all", "--all -- -"),
        ("--all -- --sizes a", "--all -- --sizes a"),
        ("--all -x", "--all -x"),
    ],
)
def test_values_and_texts_are_found(written: str, parsed: str) -> None:
    assert expand(written.split(), {"--seed"}, {"--sizes"}) == parsed.split()


def test_a_text_may_begin_with_a_dash() -> None:
    assert expand(["- a list", "--all"], (), ()) == ["--all", "--", "- a list"]
    assert expand(["--seed", "- a list"], {"--seed"}, ()) == ["--seed", "- a list"]
