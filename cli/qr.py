"""A QR code in the terminal, as lines of half blocks: two rows of modules a line, black on white whatever the theme.

    "gossip join 7-crossover-clockwork --address 192.168.1.7:41007"  -->  37 columns by 19 lines

It says what a person would type on the other machine: a phone's camera reads it and can pass it on as a message. It is
left out where it could not be read: no colours (NO_COLOR, TERM=dumb), no half blocks (ASCII), too few columns, a pipe.
"""

from __future__ import annotations

from typing import Final

BORDER: Final = 2  # light modules around it; the standard asks for 4, cameras make do with 2 on black on white
STYLE: Final = "black on bright_white"
_HALVES: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def lines(text: str) -> list[str]:
    """The code of a text, dark modules drawn."""
    import segno

    code = segno.make(text, micro=False, error="l", boost_error=False)  # the smallest: a screen has no scratches
    rows = [list(row) for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    return [
        "".join(_HALVES[bool(upper), bool(lower)] for upper, lower in zip(above, below, strict=True))
        for above, below in zip(rows[::2], rows[1::2], strict=True)
    ]


def obstacle(width: int, room: int, *, coloured: bool, unicode: bool) -> str:
    """Why no code of `width` columns is drawn here; "" if it can be."""
    if not coloured:
        return "without colours it could not be read"
    if not unicode:
        return "this terminal has no half blocks"
    return f"it needs {width} columns, this terminal has {room}" if width > room else ""
