"""Tokens per second against size, both axes logarithmic, as an SVG without any library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from gpt2.bench.measure import Result

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 120, 24, 56
# A shape and a colour for each precision: colour is never alone.
_LOOKS = {
    "float32": ("#5c5d66", "M-5,-5h10v10h-10z"),
    "float16": ("#7a5a9e", "M0,-6L6,0L0,6L-6,0z"),
    "int8": ("#0a6490", "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0"),
}

Scale = Callable[[float], float]


def as_svg(results: Sequence[Result], title: str) -> str:
    """Measured points joined by lines; dashed, the speed at which memory hands over the weights."""
    x = _scale([r.parameters for r in results], _LEFT, _WIDTH - _RIGHT)
    speeds = [v for r in results for v in (_speed(r), r.floor)]
    y = _scale(speeds, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#1d1e22" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_grid(speeds, y),
        *_sizes(results, x),
    ]
    for precision in dict.fromkeys(r.precision for r in results):
        own = sorted((r for r in results if r.precision == precision), key=lambda r: r.parameters)
        parts += _series(precision, own, x, y)
    dashes = '<path d="M0,0h24" stroke="#5c5d66" stroke-dasharray="4 4"/>'
    words = '<text x="30" y="4" fill="#5c5d66">all weights read once a token</text>'
    parts.append(f'<g transform="translate({_LEFT},{_HEIGHT - 10})">{dashes}{words}</g></svg>')
    return "\n".join(parts) + "\n"


def _series(precision: str, own: Sequence[Result], x: Scale, y: Scale) -> Iterable[str]:
    color, shape = _LOOKS.get(precision, _LOOKS["float32"])
    for speed_of, extra in ((_speed, ""), (lambda r: r.floor, ' stroke-dasharray="4 4"')):
        line = " ".join(f"{x(r.parameters):.1f},{y(speed_of(r)):.1f}" for r in own)
        yield f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"{extra}/>'
    for r in own:
        place = f"translate({x(r.parameters):.1f},{y(_speed(r)):.1f})"
        words = f"{r.size} {precision}: {_speed(r):.1f} tokens/s"
        yield f'<path d="{shape}" transform="{place}" fill="{color}"><title>{words}</title></path>'
    end = own[-1]
    at = f'x="{x(end.parameters) + 12:.1f}" y="{y(_speed(end)) + 4:.1f}"'
    yield f'<text {at} fill="{color}">{precision} {_speed(end):.0f}</text>'


def _grid(speeds: Sequence[float], y: Scale) -> Iterable[str]:
    yield '<text x="12" y="16" fill="#5c5d66">tokens/s</text>'
    for tick in _ticks(min(speeds), max(speeds)):
        line = f'<path d="M{_LEFT},{y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#e3e3dc"/>'
        yield f'{line}<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'


def _sizes(results: Sequence[Result], x: Scale) -> Iterable[str]:
    for size, parameters in dict.fromkeys((r.size, r.parameters) for r in results):
        at = f'x="{x(parameters):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle"'
        yield f"<text {at}>{size} {parameters / 1e6:.3g} M</text>"


def _speed(result: Result) -> float:
    return result.decode[min(result.decode)]


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Logarithms of `values` spread from `start` to `end`, with a little room."""
    low, high = math.log(min(values)), math.log(max(values))
    room = 0.06 * (high - low) or 1.0
    low, high = low - room, high + room
    return lambda value: start + (math.log(value) - low) / (high - low) * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]
