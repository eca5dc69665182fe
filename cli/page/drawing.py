"""Values into SVG: the logs and who cites whom, whose weight the model was made of, and scores over time.

Rules kept here: colours are classes, for light and dark; nothing is told by colour alone (lanes and lines are named,
marks differ in shape, every mark has a title); attributes are numbers of ours, text is escaped. No style attributes:
the page's policy forbids them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import sqrt
from typing import Final

from cli.page.facts import COLOURS, Cell, Facts, Lane
from cli.render import many
from ledger.entry import GRID_ONE

WIDTH: Final = 1120
LEFT, RIGHT, TOP, BOTTOM = 128, 26, 16, 26
LANE: Final = 38
_WORDS: Final = {
    "final": "final snapshot", "rotate": "new key", "recover": "recovery", "accuse": "accusation",
    "refusal": "verdict against others", "verdict": "scores", "challenge": "request for records",
    "opening": "records opened", "policy": "another policy wanted",
}  # fmt: skip


def graph(facts: Facts) -> str:
    """Each log a line; updates are dots sized by weight; a curve leads from what is cited to what cites it."""
    height = TOP + LANE * len(facts.lanes) + BOTTOM
    middle = [TOP + LANE * number + LANE / 2 for number in range(len(facts.lanes))]
    heaviest = max((cell.weight for lane in facts.lanes for cell in lane.cells.values()), default=0)
    out: list[str] = ['<g class="links">']
    for cited, column, citing, at in facts.links:
        x, y, to_x, to_y = _x(facts, column), middle[cited], _x(facts, at), middle[citing]
        bend = (to_x - x) / 2
        out.append(
            f'<path d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"/>'
        )
    out.append("</g>")
    for lane, y in zip(facts.lanes, middle, strict=True):
        out.append(_lane(facts, lane, y, heaviest, middle))
    out += _axis(facts, height, f"{many(facts.total, 'entry')}, in an order in which what is cited comes first")
    return _svg(height, "Logs that cite one another", out)


def _lane(facts: Facts, lane: Lane, y: float, heaviest: int, middle: Sequence[float]) -> str:
    columns = sorted(lane.cells)
    if not columns:
        return ""
    label = lane.name or lane.log[:8]
    branch = " (branch)" if "~" in lane.log else ""
    parts = [
        f'<g class="s s{lane.colour}" data-peer="{lane.colour}">',
        f'<text class="name" x="{LEFT - 14}" y="{y + 4:.1f}" text-anchor="end">{escape(label + branch)}</text>',
        f'<path class="line" d="M{_x(facts, columns[0]):.1f} {y:.1f}H{_x(facts, columns[-1]):.1f}"/>',
    ]
    if lane.left is not None:
        from_x, from_y = _x(facts, lane.left[1]), middle[lane.left[0]]
        parts.append(f'<path class="branch" d="M{from_x:.1f} {from_y:.1f}L{_x(facts, columns[0]):.1f} {y:.1f}"/>')
    for column in columns:
        cell, x = lane.cells[column], _x(facts, column)
        parts.append(f"<g><title>{escape(_told(label, cell))}</title>{_marks(cell, x, y, heaviest)}</g>")
    parts.append("</g>")
    return "".join(parts)


def _marks(cell: Cell, x: float, y: float, heaviest: int) -> str:
    parts = []
    if cell.updates:
        radius = 1.5 + 4.5 * sqrt(cell.weight / heaviest) if cell.weight else 2.5
        kind = "dot" if cell.weight else "lost"
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
    if cell.marks & {"genesis", "enrol", "member", "data", "anchor", "verdict"}:
        parts.append(f'<path class="tick" d="M{x:.1f} {y - 6:.1f}V{y + 6:.1f}"/>')
    if "snapshot" in cell.marks:
        parts.append(f'<rect class="snapshot" x="{x - 3:.1f}" y="{y - 14:.1f}" width="6" height="6"/>')
    if cell.marks & {"rotate", "recover"}:
        parts.append(f'<path class="key" d="M{x:.1f} {y + 7:.1f}l4 4-4 4-4-4z"/>')
    if cell.marks & {"challenge", "opening"}:
        parts.append(f'<circle class="asked" cx="{x:.1f}" cy="{y + 11:.1f}" r="3"/>')
    if "refusal" in cell.marks:
        parts.append(f'<path class="refusal" d="M{x - 3.5:.1f} {y + 7.5:.1f}l7 7m0-7l-7 7"/>')
    if "policy" in cell.marks:
        parts.append(f'<path class="policy" d="M{x - 4:.1f} {y - 17:.1f}h8v5l-4 4-4-4z"/>')
    if "final" in cell.marks:
        parts.append(f'<path class="final" d="M{x:.1f} {y - 18:.1f}l5 5-5 5-5-5z"/>')
    if "accuse" in cell.marks:
        parts.append(f'<path class="accuse" d="M{x:.1f} {y - 18:.1f}l6 10h-12z"/>')
    return "".join(parts)


def _told(label: str, cell: Cell) -> str:
    where = f"{cell.first}" if cell.first == cell.last else f"{cell.first} to {cell.last}"
    says = [f"{label}, entry {where}"]
    if cell.updates:
        counted = f"weight {cell.weight / GRID_ONE:.2f}" if cell.weight else "not in the model"
        says.append(f"{many(cell.updates, 'update')}, {counted}")
    says += sorted(_WORDS.get(mark, mark) for mark in cell.marks)
    return "; ".join(says)


# ------------------------------------------------------------------ charts


def weights(facts: Facts) -> str:
    """Bands of shares: how much of the weight in the sum each peer holds, as the ledger grew."""
    height, floor = 240, 240 - BOTTOM
    rows = facts.weight_over_time
    first = next((number for number, row in enumerate(rows) if sum(row)), len(rows))
    out = _grid(floor, [(0.0, "0%"), (0.5, "50%"), (1.0, "100%")])
    under = [0.0] * len(rows)
    for colour in range(COLOURS + 1):
        over = [
            low + (row[colour] / sum(row) if sum(row) else 0.0) for low, row in zip(under, rows, strict=True)
        ]  # fmt: skip
        if any(high > low for low, high in zip(under, over, strict=True)):
            along = [f"{_x(facts, at):.1f} {_y(over[at], floor):.1f}" for at in range(first, len(rows))]
            back = [f"{_x(facts, at):.1f} {_y(under[at], floor):.1f}" for at in range(len(rows) - 1, first - 1, -1)]
            title = f"{_name(facts, colour)}: {100 * (over[-1] - under[-1]):.1f}% at the end"
            out.append(
                f'<path class="band s{colour}" data-peer="{colour}" d="M{"L".join(along + back)}z">'
                f"<title>{escape(title)}</title></path>"
            )
        under = over
    out += _axis(facts, height, "share of the weight in the sum")
    return _svg(height, "Whose weight the model is made of, as the ledger grew", out)


def scores(facts: Facts) -> str:
    """Lines: F1 as each author measured it on rows of its own."""
    height, floor = 240, 240 - BOTTOM
    points = [value for series in facts.scores.values() for _, value in series]
    low = min(0.9, int(10 * min(points)) / 10) if points else 0.0
    out = _grid(floor, [(0.0, f"{low:.1f}"), (0.5, f"{(1 + low) / 2:.2f}"), (1.0, "1.0")])
    for peer, series in sorted(facts.scores.items(), key=lambda item: -facts.colours.get(item[0], COLOURS)):
        colour = facts.colours.get(peer, COLOURS)
        spots = [
            f"{_x(facts, column):.1f} {_y((value - low) / (1 - low), floor):.1f}" for column, value in _means(series)
        ]
        name = facts.names.get(peer, "") or peer[:8]
        title = f"{name}: F1 {series[-1][1]:.3f} with its last update"
        drawn = f'd="M{"L".join(spots)}"' if len(spots) > 1 else f'd="M{spots[0]}h.01"'
        out.append(f'<path class="score s{colour}" data-peer="{colour}" {drawn}><title>{escape(title)}</title></path>')
    out += _axis(facts, height, "F1 that authors claim for the model they trained from, each on rows of its own")
    return _svg(height, "Scores over time", out)


def span(after: float | None, before: float | None, claim: float, *, agrees: bool) -> str:
    """An interval and a claim on a line from 0 to 1; None is open."""
    width, low, high = 140, 4.0, 136.0

    def place(value: float) -> float:
        return low + (high - low) * min(1.0, max(0.0, value))

    begin, end = place(after if after is not None else 0.0), place(before if before is not None else 1.0)
    begin, end = min(begin, end), max(begin, end)
    kind = "between" + (" open-left" if after is None else "") + (" open-right" if before is None else "")
    mark = "claim" if agrees else "claim off"
    return (
        f'<svg class="span" viewBox="0 0 {width} 16" width="{width}" height="16" aria-hidden="true">'
        f'<rect class="{kind}" x="{begin:.1f}" y="5" width="{max(2.0, end - begin):.1f}" height="6" rx="2"/>'
        f'<path class="{mark}" d="M{place(claim):.1f} 1v14"/></svg>'
    )


# ------------------------------------------------------------------ parts


def _means(series: Sequence[tuple[int, float]]) -> Iterable[tuple[int, float]]:
    """One point for each column."""
    columns: dict[int, list[float]] = {}
    for column, value in series:
        columns.setdefault(column, []).append(value)
    return [(column, sum(values) / len(values)) for column, values in sorted(columns.items())]


def _name(facts: Facts, colour: int) -> str:
    peers = [peer for peer, number in facts.colours.items() if number == colour]
    return facts.names.get(peers[0], "") or peers[0][:8] if len(peers) == 1 else f"{len(peers):,} others"


def _x(facts: Facts, column: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (column / max(1, facts.columns - 1))


def _y(share: float, floor: int) -> float:
    return floor - share * (floor - TOP)


def _grid(floor: int, ticks: Iterable[tuple[float, str]]) -> list[str]:
    return [
        f'<path class="grid" d="M{LEFT} {_y(at, floor):.1f}H{WIDTH - RIGHT}"/>'
        f'<text class="tick-text" x="{LEFT - 8}" y="{_y(at, floor) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for at, text in ticks
    ]


def _axis(facts: Facts, height: int, caption: str) -> list[str]:
    places = (
        (_x(facts, 0), "start", "1"),
        ((LEFT + WIDTH - RIGHT) / 2, "middle", caption),
        (_x(facts, facts.columns - 1), "end", f"{facts.total:,}"),
    )
    return [
        f'<text class="tick-text" x="{x:.1f}" y="{height - 6}" text-anchor="{anchor}">{escape(told)}</text>'
        for x, anchor, told in places
    ]


def _svg(height: float, title: str, parts: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def legend_peers(facts: Facts) -> list[tuple[int, str]]:
    """(colour, name) of what the legend names: peers with a colour of their own, then the rest."""
    return [(colour, _name(facts, colour)) for colour in sorted(set(facts.colours.values()))]
