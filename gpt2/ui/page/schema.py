"""What server and page must agree on, said once here: map modes, roles, and the messages' types.

`python -m gpt2.ui.page.schema` writes `schema.js` and `messages.d.ts` of `assets/panel` anew; a
test holds both equal to what is here.
"""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Literal, TypedDict, Union, get_args, get_origin

from typing_extensions import is_typeddict

from gpt2.ui.page.assets import PANEL, panel_files
from gpt2.ui.session.maps import LAYER_MODES, MODES, MapView, Mode
from gpt2.ui.session.messages import ALIASES, MESSAGES, RoleName, ScoreName

_MADE = "// Made from {} by python -m gpt2.ui.page.schema; change it there.\n\n"


class ModeWords(TypedDict):
    """What a map is called, and one sentence on what it shows."""

    name: str
    help: str


class MeasureWords(TypedDict):
    """What a score is called, what it says, and how it is computed."""

    name: str
    help: str
    formula: str


class RoleWords(MeasureWords):
    """The same of one that a head can be named after, which the atlas marks."""

    mark: str


MODE_WORDS: dict[Mode, ModeWords] = {
    "head": {"name": "One head", "help": ""},
    "value": {
        "name": "One head, value-weighted",
        "help": "Each weight times the length of the vector it passes on, as a share of the row "
        "(Kobayashi et al. 2020).",
    },
    "mean": {"name": "Layer, mean", "help": "The mean over the heads of this layer."},
    "max": {
        "name": "Layer, maximum",
        "help": "The largest weight any head of this layer gives: such rows do not sum to 100 %.",
    },
    "all_mean": {
        "name": "All heads, mean",
        "help": "The mean over all heads of all layers.",
    },
    "all_max": {
        "name": "All heads, maximum",
        "help": "The largest weight any head of any layer gives: such rows do not sum to 100 %.",
    },
    "rollout": {
        "name": "Rollout",
        "help": "Attention rollout: what reaches the last layer when every layer passes on half of "
        "a token's own stream and half of what its heads read on average (Abnar & Zuidema 2020).",
    },
}

ROLE_WORDS: dict[RoleName, RoleWords] = {
    "previous": {
        "name": "Previous token",
        "mark": "P",
        "help": "how much of a row goes to the token just before, on average (HeadVis)",
        "formula": "mean of A[i, i−1]",  # noqa: RUF001  # a minus sign
    },
    "self": {
        "name": "Itself",
        "mark": "S",
        "help": "how much goes to the token itself (HeadVis)",
        "formula": "mean of A[i, i]",
    },
    "first": {
        "name": "First token",
        "mark": "F",
        "help": "how much goes to the first token, the attention sink (Gu et al. 2024, arXiv "
        "2410.10781)",
        "formula": "mean of A[i, 0]",
    },
    "duplicate": {
        "name": "Duplicate",
        "mark": "D",
        "help": "how much goes to earlier copies of the token, where it has any (TransformerLens)",
        "formula": "mean of Σ A[i, j] over the copies j, in the rows i that have one",
    },
    "induction": {
        "name": "Induction",
        "mark": "I",
        "help": "how much goes to what followed earlier copies: the head looks up how the text "
        "went on last time (Olsson et al. 2022, arXiv 2209.11895)",
        "formula": "mean of Σ A[i, j+1] over the same copies j and rows i",
    },
}

MEASURE_WORDS: dict[ScoreName, MeasureWords] = {
    "previous_of_rest": {
        "name": "Previous (without first and self)",
        "help": "the token before, as a share of what is neither first token nor self "
        "(TransformerLens)",
        "formula": "Σ A[i, i−1] / Σ A[i, j], both over 0 < j < i",  # noqa: RUF001  # a minus sign
    },
    "effective": {
        "name": "Effective tokens",
        "help": "over how many tokens a row is spread: e to the power of its mean entropy "
        "(HeadVis)",
        "formula": "e^H, H the mean of −Σ A[i, j] ln A[i, j]",  # noqa: RUF001  # a minus sign
    },
    "distance": {
        "name": "Mean distance",
        "help": "how many tokens back a row looks on average (after Vig & Belinkov 2019, arXiv "
        "1906.04284)",
        "formula": "mean of Σ A[i, j] (i − j)",  # noqa: RUF001  # a minus sign
    },
}


def script() -> str:
    """The text of `schema.js`."""
    plain = [mode for mode in MODES if MapView(mode=mode).plain]
    constants: dict[str, tuple[str, object]] = {
        "MODES": ("The maps there are.", MODE_WORDS),
        "HEAD_MODES": ("Maps of one head.", ["head", "value"]),
        "LAYER_MODES": ("Maps of one layer.", [m for m in LAYER_MODES if m != "head"]),
        "PLAIN_MODES": ("Maps whose rows are weights as such and need not sum to 1.", plain),
        "ROLES": ("Roles a head can be named after; the mark stands in the atlas.", ROLE_WORDS),
        "MEASURES": ("Scores that name nothing.", MEASURE_WORDS),
    }
    parts = [
        f"/** {words} */\nexport const {name} = "
        f"{json.dumps(value, ensure_ascii=False, indent=2)};\n"
        for name, (words, value) in constants.items()
    ]
    return _MADE.format("gpt2/ui/page/schema.py") + "\n".join(parts)


def declarations() -> str:
    """The text of `messages.d.ts`: every message as an interface that all modules see."""
    aliases = (f"type {name} = {_type(kind, alias=name)};" for name, kind in ALIASES.items())
    return (
        "\n".join(
            [
                _MADE.format("gpt2/ui/session/messages.py").rstrip("\n"),
                "",
                *aliases,
                *map(_interface, MESSAGES),
            ]
        )
        + "\n"
    )


def _interface(message: type) -> str:
    always: frozenset[str] = message.__required_keys__  # type: ignore[attr-defined]  # of TypedDict
    lines = [
        f"  {name}{'' if name in always else '?'}: {_type(kind)};"
        for name, kind in typing.get_type_hints(message).items()
    ]
    words = " ".join((message.__doc__ or "").replace("`", "").split())
    return f"\n/** {words} */\ninterface {message.__name__} {{\n" + "\n".join(lines) + "\n}"


def _type(kind: Any, alias: str = "") -> str:
    """A Python type in TypeScript's words. Raises TypeError for one that JSON does not carry."""
    for name, known in ALIASES.items():
        if kind == known and name != alias:
            return name
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " | ".join(json.dumps(part) for part in parts)
    if origin in (Union, types.UnionType):
        return _union(parts, alias)
    if origin is list:
        inner = _type(parts[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(map(_type, parts))}]"
    if origin is dict:
        key = _type(parts[0])
        return f"Record<{key}, {_type(parts[1])}>"
    if isinstance(kind, type) and is_typeddict(kind):
        return kind.__name__
    raise TypeError(f"{kind} does not travel as JSON")


def _union(parts: tuple[Any, ...], alias: str) -> str:
    """With an alias named where all of its parts are here, beside `None` say."""
    for name, known in ALIASES.items():
        rest = [part for part in parts if part not in get_args(known)]
        if name != alias and get_args(known) and len(rest) == len(parts) - len(get_args(known)):
            return " | ".join([name, *map(_type, rest)])
    return " | ".join(map(_type, parts))


_SIMPLE: dict[Any, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
MADE = {"schema.js": script, "messages.d.ts": declarations}


def main() -> None:
    """Write both files where they lie, or beside the others."""
    for name, make in MADE.items():
        path = panel_files().get(name, PANEL / name)
        path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
