"""The code that a camera reads, and where it is left out."""

from __future__ import annotations

import pytest
import segno

from cli import qr

LINE = "gossip join 7-crossover-clockwork --address 192.168.1.7:41007"


def test_what_is_drawn_is_the_code_of_the_line() -> None:
    """Read back module by module: each half block is two of them."""
    drawn = qr.lines(LINE)
    assert (len(drawn[0]), len(drawn)) == (37, 19)  # fits beside text on 80 by 24
    upper_lower = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [[upper_lower[half][side] for half in line] for line in drawn for side in (0, 1)]
    quiet = qr.BORDER
    inner = [row[quiet:-quiet] for row in rows[quiet : quiet + 33]]
    assert inner == [
        [int(bool(module)) for module in row]
        for row in segno.make(LINE, micro=False, error="l", boost_error=False).matrix
    ]
    assert not any(any(row) for row in [*rows[:quiet], *rows[quiet + 33 :]])


@pytest.mark.parametrize(
    ("room", "coloured", "unicode", "said"),
    [
        (80, True, True, ""),
        (37, True, True, ""),
        (36, True, True, "it needs 37 columns, this terminal has 36"),
        (80, False, True, "without colours"),
        (80, True, False, "this terminal has no half blocks"),
    ],
)
def test_it_is_left_out_where_it_could_not_be_read(room: int, coloured: bool, unicode: bool, said: str) -> None:
    assert qr.obstacle(37, room, coloured=coloured, unicode=unicode).startswith(said)
    assert bool(qr.obstacle(37, room, coloured=coloured, unicode=unicode)) is bool(said)
