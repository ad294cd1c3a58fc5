"""The maps the page can show of a text, each made from all heads' rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from gpt2.interpret.row_codec import Levels, Weights, to_levels, to_plain_levels, to_weights
from gpt2.ui.session.attention_store import Capture

Mode = Literal["head", "value", "mean", "max", "all_mean", "all_max", "rollout"]
MODES: tuple[Mode, ...] = get_args(Mode)
# Those that take one layer's weights and nothing else.
LAYER_MODES = ("head", "mean", "max")


@dataclass(frozen=True, slots=True)
class MapView:
    """Which map: of one head (its weights, or weighted by values), a layer's heads, or all.

    A mode that needs no head or layer keeps them, so that the reader finds back.
    """

    layer: int = 0
    head: int = 0
    mode: Mode = "head"

    @classmethod
    def of(cls, asked: Any, layers: int, heads: int) -> MapView:
        """The view somebody asked for in JSON, clamped to what there is."""
        asked = asked if isinstance(asked, dict) else {}
        mode = asked.get("mode")
        return cls(
            layer=clamped(asked, "layer", layers - 1),
            head=clamped(asked, "head", heads - 1),
            mode=mode if isinstance(mode, str) and mode in MODES else "head",
        )

    @property
    def plain(self) -> bool:
        """Whether its bytes are weights as such: a maximum's rows do not sum to 1."""
        return self.mode in ("max", "all_max")

    def as_value(self) -> dict[str, Any]:
        """What travels to the browser."""
        return {"mode": self.mode, "layer": self.layer, "head": self.head, "plain": self.plain}


def parsed_view(text: str, usual: MapView, layers: int, heads: int) -> MapView:
    """The view somebody asks for as mode.layer.head; `usual` says what is not there."""
    mode, layer, head = [*text.split("."), "", "", ""][:3]
    return MapView(
        layer=_index(layer, layers, usual.layer),
        head=_index(head, heads, usual.head),
        mode=next((each for each in MODES if each == mode), usual.mode),
    )


def _index(text: str, count: int, usual: int) -> int:
    index = int(text) if text.isdecimal() and len(text) < 10 else count
    return index if index < count else usual


def clamped(asked: dict[str, Any], field: str, most: int) -> int:
    """A whole number from 0 to `most`, whatever the browser sent."""
    value = asked.get(field, 0)
    return int(min(max(value, 0), most)) if isinstance(value, int) else 0


def map_rows(capture: Capture, view: MapView, start: int, stop: int) -> list[Levels] | None:
    """Rows `start` to `stop` of the map, (i + 1) bytes each; None when they must be rebuilt."""
    rows = capture.rows(start, stop)
    if rows is None:
        return None
    if view.mode == "value":
        return _value_rows(capture, view, rows, stop)
    if view.mode == "rollout":
        return _rollout_rows(capture, start, stop)
    return [_MAKERS[view.mode](row, view) for row in rows]


def layer_rows(weights: Weights, view: MapView, start: int, stop: int) -> list[Levels]:
    """The same rows from the weights (H, T, T) of the view's layer, for a mode in LAYER_MODES."""
    levels, alone = to_levels(weights[:, start:stop])[None], replace(view, layer=0)
    make = _MAKERS[view.mode]
    return [make(levels[:, :, i - start, : i + 1], alone) for i in range(start, stop)]


def _value_rows(
    capture: Capture, view: MapView, rows: list[Levels], stop: int
) -> list[Levels] | None:
    """norm(A_ij W v_j), as a share of the row (Kobayashi et al. 2020, arXiv 2004.10102)."""
    lengths = capture.norms(stop, view.layer, view.head)
    if lengths is None:
        return None
    made = []
    for row in rows:
        weighted = to_weights(row[view.layer, view.head]) * lengths[: row.shape[-1]]
        made.append(to_levels(weighted / max(float(weighted.sum()), 1e-12)))
    return made


def _rollout_rows(capture: Capture, start: int, stop: int) -> list[Levels] | None:
    rows = capture.rollout.rows(start, stop, capture.rows)
    capture.touch()  # it may have grown
    return None if rows is None else [to_levels(row) for row in rows]


def _mean(rows: Levels) -> Levels:
    mean: Weights = to_weights(rows).mean(axis=tuple(range(rows.ndim - 1)))
    return to_levels(mean)


def _max(rows: Levels) -> Levels:
    return to_plain_levels(to_weights(rows).max(axis=tuple(range(rows.ndim - 1))))


_MAKERS: dict[Mode, Callable[[Levels, MapView], Levels]] = {
    "head": lambda row, view: row[view.layer, view.head],
    "mean": lambda row, view: _mean(row[view.layer]),
    "max": lambda row, view: _max(row[view.layer]),
    "all_mean": lambda row, view: _mean(row),
    "all_max": lambda row, view: _max(row),
}
