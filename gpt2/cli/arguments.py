"""What stands behind `python -m gpt2`, as people write it and as click can parse it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_NUMBER = re.compile(r"-\d*\.?\d+")


def expand(
    arguments: Sequence[str], one_value: Collection[str], many_values: Collection[str]
) -> list[str]:
    """`--sizes a b` as `--sizes a --sizes b`, and a text that begins with a dash behind `--`.

    `one_value` and `many_values` are the options that take one value and one or more. click knows
    no option with any number of values, and takes a prompt such as "- a list" for an option: here
    what holds a space, or is a number, is a text.
    """
    expanded: list[str] = []
    texts: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            texts += rest
            break
        if argument in many_values and rest and not _is_option(rest[0]):
            while rest and not _is_option(rest[0]):
                expanded += [argument, rest.pop(0)]
        elif argument in one_value and rest:
            expanded += [argument, rest.pop(0)]
        elif argument.startswith("-") and not _is_option(argument):
            texts.append(argument)
        else:
            expanded.append(argument)
    return [*expanded, "--", *texts] if texts else expanded


def _is_option(argument: str) -> bool:
    if not argument.startswith("-") or argument == "-" or " " in argument:
        return False
    return not _NUMBER.fullmatch(argument)
