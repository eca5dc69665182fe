"""Values over values, as SVG: lines that are named at their ends, bars in a row, spans of time behind them.

Rules kept here, as in drawing.py: colours are classes, for light and dark; nothing is told by colour alone (a line
ends at its name, or has a dash of its own); attributes are numbers of ours, text is escaped; no style attributes. It
refuses to know what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Final

WIDTH: Final = 1120
FIELD: Final = 218  # pixels that values span
LEFT, RIGHT, TOP, BOTTOM = 78, 178, 18, 44
NAME_PX: Final = 17  # from one name at a line's end to the next, at least
BAND_PX: Final = 13  # a line of names above the field
CHAR_PX: Final = 6.2  # of a name there
SPAN_PX: Final = 40  # from one row of `spans` to the next
MAX_POINTS: Final = 400  # of a line: more than there are pixels to tell apart


@dataclass(frozen=True, slots=True)
class Line:
    """`points` in order of x. `colour`: 0 to 8."""

    name: str
    colour: int
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A span of x that something is said of."""

    begin: float
    end: float
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """A value, and between which two it probably lies; None where nobody knows."""

    name: str
    colour: int
    value: float
    low: float | None
    high: float | None


def lines(
    title: str, series: Sequence[Line], *, along: str, bands: Sequence[Band] = (), low: float | None = None,
    high: float | None = None, told: Callable[[float], str] = lambda value: f"{value:g}",
) -> str:  # fmt: skip
    """`along` is what the x axis counts; `told` spells a value of y."""
    series = [Line(one.name, one.colour, _finite(one.points), one.dashed) for one in series]
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    edges = [*(x for x, _ in points), *(e for band in bands for e in (band.begin, band.end) if isfinite(e))]
    first, last = min(edges), max(edges)
    ticks = _ticks(
        low if low is not None else min(y for _, y in points), high if high is not None else max(y for _, y in points)
    )
    rows = _rows(_Scale(first, last, 0.0, 1.0, TOP), bands)
    scale = _Scale(first, last, ticks[0], ticks[-1], TOP + BAND_PX * (max(rows, default=-1) + 1))
    out = [_band(scale, band, row) for band, row in zip(bands, rows, strict=True)]
    out += [_row(scale.y(value), told(value)) for value in ticks]
    out += [
        _text(scale.x(value), scale.floor + 16, f"{value:g}")
        for value in _ticks(first, last, 7)
        if first <= value <= last
    ]
    out.append(_text((LEFT + WIDTH - RIGHT) / 2, scale.floor + 36, along))
    ends = [scale.y(one.points[-1][1]) if one.points else 0.0 for one in series]
    for one, y in zip(series, _spread(ends, scale.floor), strict=True):
        out.append(_line(scale, one, y, told))
    return _svg(scale.floor + BOTTOM, title, out)


def bars(title: str, rows: Sequence[tuple[str, float]], *, high: float, told: Callable[[float], str]) -> str:
    """One bar for each, from 0 to `high`, in the order given; beside 60 of them names find no room."""
    if not rows:
        return ""
    height, base = 200, 200 - BOTTOM + 14
    step = (WIDTH - LEFT - 26) / len(rows)
    out = [
        f'<path class="grid" d="M{LEFT} {base - share * (base - TOP):.1f}H{WIDTH - 26}"/>'
        f'<text class="tick-text" x="{LEFT - 8}" y="{base - share * (base - TOP) + 4:.1f}" text-anchor="end">'
        f"{escape(told(high * share))}</text>"
        for share in (0.0, 0.5, 1.0)
    ]
    for number, (name, value) in enumerate(rows):
        x, size = LEFT + number * step, min(1.0, max(0.0, value / high)) * (base - TOP)
        out.append(
            f'<rect class="b0" x="{x + 0.15 * step:.1f}" y="{base - size:.1f}" width="{0.7 * step:.1f}" '
            f'height="{size:.1f}" rx="1.5"><title>{escape(f"{name}: {told(value)}")}</title></rect>'
        )
        if len(rows) <= 60:
            out.append(
                f'<text class="tick-text" x="{x + step / 2:.1f}" y="{base + 15}" text-anchor="middle">'
                f"{escape(name)}</text>"
            )
    return _svg(height, title, out)


def spans(title: str, rows: Sequence[Span], *, low: float, high: float, told: Callable[[float], str]) -> str:
    """A dot for each value on one scale, and a bar through it for what it probably lies between."""
    ticks = _ticks(low, high)
    scale = _Scale(ticks[0], ticks[-1], 0.0, 1.0, TOP)
    height = TOP + SPAN_PX * len(rows)
    out = [
        f'<path class="grid" d="M{scale.x(value):.1f} {TOP}V{height}"/>'
        + _text(scale.x(value), height + 16, told(value))
        for value in ticks
    ]
    for number, one in enumerate(rows):
        y, x = TOP + SPAN_PX * (number + 0.5), scale.x(one.value)
        if one.low is not None and one.high is not None:
            between = f"{told(one.low)} to {told(one.high)}"
            out.append(
                f'<path class="score s{one.colour}" d="M{scale.x(one.low):.1f} {y:.1f}H{scale.x(one.high):.1f}">'
                f"<title>{escape(f'{one.name}: {between}')}</title></path>"
            )
        out.append(
            f'<rect class="b{one.colour}" x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12" rx="6"/>'
            f'<text class="name s{one.colour}" x="{WIDTH - RIGHT + 14}" y="{y + 4:.1f}">'
            f"{escape(f'{one.name} {told(one.value)}')}</text>"
        )
    return _svg(height + 26, title, out)


# ------------------------------------------------------------------ parts


def _svg(height: float, title: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


@dataclass(frozen=True, slots=True)
class _Scale:
    first: float
    last: float
    low: float
    high: float
    top: int

    @property
    def floor(self) -> int:
        return self.top + FIELD

    def x(self, value: float) -> float:
        share = (min(max(value, self.first), self.last) - self.first) / ((self.last - self.first) or 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return self.floor - share * FIELD


def _finite(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Thinned out where there are more than can be seen; the last stays."""
    kept = [(x, y) for x, y in points if isfinite(x) and isfinite(y)]
    step = -(-len(kept) // MAX_POINTS) or 1
    return kept[::step] + (kept[-1:] if (len(kept) - 1) % step else [])


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values, at most two more than `about`, that hold both."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * by for by in (1, 2, 2.5, 5, 10) if power * by >= rough * 0.999)
    begin, end = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(begin, end + 1)]


def _row(y: float, text: str) -> str:
    return (
        f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        f'<text class="tick-text" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text class="tick-text" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _rows(scale: _Scale, bands: Sequence[Band]) -> list[int]:
    """In which line above the field each name stands, so that none covers another."""
    free: list[float] = []  # by line: from where on
    rows = []
    for band in bands:
        x = _name_x(scale, band)
        row = next((number for number, end in enumerate(free) if end <= x), len(free))
        free[row : row + 1] = [x + CHAR_PX * (len(band.name) + 2)]
        rows.append(row)
    return rows


def _name_x(scale: _Scale, band: Band) -> float:
    """Where a band's name begins: where the band does, or as far before as it takes to stay off the lines' names."""
    return max(LEFT, min(scale.x(band.begin), WIDTH - RIGHT - CHAR_PX * (len(band.name) + 1)))


def _band(scale: _Scale, band: Band, row: int) -> str:
    x, to_x = scale.x(band.begin), scale.x(band.end)
    y = scale.top - 4 - BAND_PX * row
    return (
        f'<rect class="while" x="{x:.1f}" y="{scale.top}" width="{max(1.5, to_x - x):.1f}" height="{FIELD}">'
        f"<title>{escape(band.name)}</title></rect>"
        f'<path class="grid" d="M{x:.1f} {scale.top}V{y - 8}"/>'
        f'<text class="tick-text" x="{_name_x(scale, band) + 4:.1f}" y="{y}">{escape(band.name)}</text>'
    )


def _line(scale: _Scale, one: Line, name_y: float, told: Callable[[float], str]) -> str:
    if not one.points:
        return ""
    spots = [f"{scale.x(x):.1f} {scale.y(y):.1f}" for x, y in one.points]
    drawn = f"M{'L'.join(spots)}" if len(spots) > 1 else f"M{spots[0]}h.01"
    dashed = " dashed" if one.dashed else ""
    (x, y), label = one.points[-1], f"{one.name} {told(one.points[-1][1])}"
    end = scale.x(x)
    return (
        f'<path class="score s{one.colour}{dashed}" d="{drawn}"><title>{escape(label)}</title></path>'
        f'<path class="grid" d="M{end + 3:.1f} {scale.y(y):.1f}L{WIDTH - RIGHT + 10:.1f} {name_y:.1f}"/>'
        f'<text class="name s{one.colour}" x="{WIDTH - RIGHT + 14}" y="{name_y + 4:.1f}">{escape(label)}</text>'
    )


def _spread(wanted: Sequence[float], floor: float) -> list[float]:
    """The same places, moved apart where names would cover one another."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    places = list(wanted)
    for before, number in pairwise(order):
        places[number] = max(places[number], places[before] + NAME_PX)
    over = places[order[-1]] - floor if order else 0.0
    if over > 0:
        places[order[-1]] -= over
        for after, number in pairwise(order[::-1]):
            places[number] = min(places[number], places[after] - NAME_PX)
    return places
