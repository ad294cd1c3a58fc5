"""What the server tells the page, message by message, as types.

`assets/panel/messages.d.ts` is made from them (`python -m gpt2.ui.page.schema`), so that the page's
modules are checked against what is sent. Shares and weights are from 0 to 1, layers and heads count
from 0, and a list of numbers of all heads goes head after head of layer after layer.
"""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from gpt2.ui.session.maps import Mode


class BareToken(TypedDict, total=False):
    """A token that is no text by itself: a marker (`special`), or two digits a byte (`hex`)."""

    special: str
    hex: str


Token = str | BareToken
RoleName = Literal["previous", "self", "first", "duplicate", "induction"]
ScoreName = Literal[
    "previous",
    "self",
    "first",
    "duplicate",
    "induction",
    "previous_of_rest",
    "effective",
    "distance",
]


class MapMessage(TypedDict):
    """Which map; `plain` says that its rows are weights as such and need not sum to 1."""

    mode: Mode
    layer: int
    head: int
    plain: bool


class RolesMessage(TypedDict):
    """What every head does, on the text or on random tokens; null, or no name, without evidence."""

    run: str
    n: int
    probe: bool
    repeats: int
    scores: dict[ScoreName, list[float | None]]
    role: list[RoleName | Literal[""]]


class Sampling(TypedDict):
    """What made a choice out of probabilities, apart from the seed."""

    temperature: float
    top_k: int | None
    top_p: float


class Candidate(TypedDict):
    """A token that could have come: `shares` before and after sampling, `cut` why it could not."""

    token: Token
    id: int
    shares: list[float]
    rank: int
    cut: str | None
    chosen: bool


class ChoiceMessage(TypedDict):
    """How one token was chosen; surprise and entropy in bits, `rest` the shares of all others."""

    likeliest: list[Candidate]
    rest: list[float]
    bits: float
    entropy: float
    kept: int


class ChoicesMessage(TypedDict):
    """Choices from token `start` on; null where nothing stood before the token."""

    run: str
    want: Literal["choices"]
    start: int
    before: bool
    choices: list[ChoiceMessage | None]
    sampling: Sampling
    vocabulary: int
    starts: bool


class ShadeMessage(TypedDict):
    """Surprise in bits and rank of every token; null where nothing stood before it."""

    run: str
    want: Literal["shade"]
    bits: list[float | None]
    ranks: list[int | None]


class _Layers(TypedDict):
    run: str
    want: Literal["layers"]
    at: int
    stages: list[str]


class LayersMessage(_Layers, total=False):
    """What each layer would have put at token `at`; nothing but that for the first token."""

    guesses: list[Token]
    shares: list[float]
    ranks: list[int]
    settled: int
    early: str


class OffMessage(TypedDict):
    """How likely token `at` is with the heads that are on, and with those asked about off."""

    run: str
    want: Literal["off"]
    at: int
    shares: list[float]
    likeliest: list[Token]


class SizeFacts(TypedDict):
    """A row of Compare's table; bytes, seconds, tokens a second; null until it is measured."""

    size: str
    title: str
    parameters: int
    layers: int
    heads: int
    width: int
    file: int | None
    memory: int
    precision: str
    seed: str
    speed: float | None
    speed_error: float | None
    first: float | None
    bits_per_byte: float | None


class ColumnMessage(TypedDict):
    """What a column of Compare is headed with; `memory` in bytes."""

    size: str
    title: str
    memory: int


class _Size(TypedDict):
    size: str
    title: str


class ScoredSize(_Size, total=False):
    """How surprised one size is by a text; one that cannot say has `error` alone."""

    error: str
    parameters: int
    bits: float
    tokens: int
    bytes: int
    bits_per_byte: float


class NextOfSize(_Size, total=False):
    """What one size expects next: [token, before, after sampling] each; or `error` alone."""

    error: str
    likeliest: list[tuple[Token, float, float]]
    kept: int
    entropy: float
    vocabulary: int


MESSAGES: tuple[type, ...] = (
    BareToken,
    MapMessage,
    RolesMessage,
    Sampling,
    Candidate,
    ChoiceMessage,
    ChoicesMessage,
    ShadeMessage,
    LayersMessage,
    OffMessage,
    SizeFacts,
    ColumnMessage,
    ScoredSize,
    NextOfSize,
)
ALIASES: dict[str, object] = {
    "Token": Token,
    "MapMode": Mode,
    "RoleName": RoleName,
    "ScoreName": ScoreName,
}
