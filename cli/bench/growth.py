"""What a member costs against how many there are, drawn from what `gossip bench --only scale --out FILE` has measured.

    python -m cli.bench.growth FILE docs/scale.svg

Both axes are logarithmic: a straight line is a power, a level one is a cost that does not grow.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from math import log10
from pathlib import Path
from typing import Final

from ledger.errors import LocalError

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 70, 34, 24, 48
ROW: Final = re.compile(r"([\d,]+) members: a peer that is up, a minute")
INK: Final = "#5b6472"  # reads on light and on dark

Point = tuple[float, float]  # members; milliseconds a minute


def points_of(text: str) -> list[Point]:
    """What the section printed, by members. LocalError if it is no such file, or holds fewer than two sizes."""
    try:
        rows = json.loads(text)["figures"]
        found = [
            (float(match[1].replace(",", "")), float(row["value"]))
            for row in rows
            if (match := ROW.fullmatch(row["name"]))
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError("this is no file of gossip bench", next_step="gossip bench --only scale --out FILE") from error
    if len(found) < 2:
        raise LocalError("this file has no growth", next_step="gossip bench --only scale --out FILE")
    return sorted(found)


def fitted(points: Sequence[Point]) -> tuple[float, float]:
    """(a, b) of a + b x members, by least squares."""
    x = sum(members for members, _ in points) / len(points)
    y = sum(cost for _, cost in points) / len(points)
    slope = sum((m - x) * (c - y) for m, c in points) / sum((m - x) ** 2 for m, _ in points)
    return y - slope * x, slope


def drawn(points: Sequence[Point]) -> str:
    """The picture, as SVG."""
    low, high = min(cost for _, cost in points) / 2, max(cost for _, cost in points) * 2
    first, last = points[0][0], points[-1][0]

    def at(members: float, cost: float) -> tuple[float, float]:
        across = (log10(members) - log10(first)) / (log10(last) - log10(first))
        up = (log10(cost) - log10(low)) / (log10(high) - log10(low))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    base, each = fitted(points)
    steps = [first * (last / first) ** (k / 40) for k in range(41)]
    fit = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(m, max(low, base + each * m)) for m in steps))
    parts = [_text(LEFT, 20, f"ms of a core a minute, each peer that is up  =  {base:.0f} + {each:.2f} x members")]
    parts += [f'<polyline points="{fit}" fill="none" stroke="{INK}" stroke-dasharray="4 4"/>']
    for members, cost in points:
        x, y = at(members, cost)
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2f7d6d"/>',
            _text(x, y - 10, f"{cost:.0f}", "middle"),
        ]
        parts += [_text(x, HEIGHT - BOTTOM + 20, f"{members:,.0f}", "middle")]
    x, y = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts += [f'<path d="M{LEFT} {TOP}V{y}H{x}" fill="none" stroke="{INK}"/>', _text(x, HEIGHT - 8, "members", "end")]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, "<title>What a member costs</title>", *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}">{text}</text>'


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(drawn(points_of(source.read_text(encoding="utf-8"))), encoding="utf-8")
