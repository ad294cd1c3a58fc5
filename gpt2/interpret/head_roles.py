"""What a head does, in numbers: how much of its reading goes to the places that name a role.

A_ij is how much token i reads from token j <= i. Row 0 can only read itself and is left out
everywhere. Every score but `effective` and `distance` is a share from 0 to 1.

previous   mean over i of A_i,i-1                        (HeadVis `prev_token_score`)
self       mean over i of A_ii                           (HeadVis)
first      mean over i of A_i0, the attention sink       (Gu et al. 2024, arXiv 2410.10781)
duplicate  mean over i that have an earlier copy, of the weight on all copies  (TransformerLens)
induction  the same rows, the weight on what followed the copies   (Olsson et al. 2022,
           arXiv 2209.11895); when the copy is at i - 1, what followed is i itself and counts
previous_of_rest  `pattern_match` with the previous token, first token and self left out
effective  e^H, H the mean over i of -sum_j A_ij ln A_ij: how many tokens a row is spread over
distance   mean over i of sum_j A_ij (i - j), in tokens  (after Vig & Belinkov 2019, 1906.04284)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

# The roles a head can be named after, strongest wins, and from which score on it deserves the name.
NAMED = ("previous", "self", "first", "duplicate", "induction")
NAMED_FROM = 0.4


@dataclass(frozen=True, slots=True)
class Roles:
    """Scores of many heads, every array of one shape. NaN where a text gives no evidence.

    `repeats` counts the rows with an earlier copy of their token: with none, nobody can tell
    whether a head looks for copies.
    """

    repeats: int
    previous: Floats
    self: Floats
    first: Floats
    duplicate: Floats
    induction: Floats
    previous_of_rest: Floats
    effective: Floats
    distance: Floats


class RoleMeter:
    """Measures heads row by row, as a text grows. `shape` is that of the heads, (L, H) say."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._rows = self._repeats = 0
        self._sums = {field.name: np.zeros(shape) for field in fields(Roles)[1:]}
        self._rest = np.zeros(shape)

    def add(self, weights: Weights, ids: Sequence[int]) -> None:
        """The row (..., i + 1) of token i > 0, and the ids (i + 1) up to it. Row 0 is passed by."""
        i = weights.shape[-1] - 1
        if i == 0:
            return
        self._rows += 1
        sums = self._sums
        sums["previous"] += weights[..., i - 1]
        sums["self"] += weights[..., i]
        sums["first"] += weights[..., 0]
        sums["previous_of_rest"] += weights[..., i - 1] if i > 1 else 0
        self._rest += weights[..., 1:i].sum(axis=-1)
        logs = np.log(np.maximum(weights, np.float32(1e-30)))
        sums["effective"] -= np.einsum("...j,...j->...", weights, logs)
        sums["distance"] += weights @ np.arange(i, -1, -1, dtype=np.float32)
        copies = np.flatnonzero(np.asarray(ids[:i]) == ids[i])
        if copies.size:
            self._repeats += 1
            sums["duplicate"] += weights[..., copies].sum(axis=-1)
            sums["induction"] += weights[..., copies + 1].sum(axis=-1)

    def roles(self) -> Roles:
        """The means so far; all NaN before the first row that counts."""
        rows, repeats = self._rows or np.nan, self._repeats or np.nan
        means = {name: total / rows for name, total in self._sums.items()}
        for name in ("duplicate", "induction"):
            means[name] = self._sums[name] / repeats
        means["effective"] = np.exp(means["effective"])
        rest = np.where(self._rest > 0, self._rest, np.nan)
        means["previous_of_rest"] = self._sums["previous_of_rest"] / rest
        return Roles(repeats=self._repeats, **means)


def measure(maps: Weights, ids: Sequence[int]) -> Roles:
    """The roles of maps (..., T, T) on the text `ids` (T)."""
    meter = RoleMeter(maps.shape[:-2])
    for i in range(maps.shape[-1]):
        meter.add(maps[..., i, : i + 1], ids[: i + 1])
    return meter.roles()


def pattern_match(
    maps: Weights,
    pattern: npt.NDArray[np.bool_],
    exclude_first: bool = False,
    exclude_self: bool = False,
) -> Floats:
    """Which share of all weight in maps (..., T, T) lies on `pattern` (T, T): sum(A M) / sum(A).

    TransformerLens' head detector, error measure "mul": without the first column, which is where
    heads rest, or the diagonal, their weight counts on neither side of the fraction.
    """
    seen = np.tri(maps.shape[-1], dtype=bool)
    if exclude_first:
        seen[:, 0] = False
    if exclude_self:
        np.fill_diagonal(seen, False)
    share: Floats = (maps * (pattern & seen)).sum((-2, -1)) / (maps * seen).sum((-2, -1))
    return share


def strongest(roles: Roles) -> npt.NDArray[np.str_]:
    """The name of each head's strongest role, or "" where none reaches `NAMED_FROM`."""
    scores = np.nan_to_num(np.stack([getattr(roles, name) for name in NAMED]))
    names = np.array(NAMED)[scores.argmax(axis=0)]
    return np.where(scores.max(axis=0) >= NAMED_FROM, names, "")
