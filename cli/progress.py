"""How far a long audit is: one line on a terminal's stderr, drawn over itself, gone at the end; nothing anywhere else.

Rule kept here: stdout is for the answer alone, so a pipe or a file never sees any of this.
"""

from __future__ import annotations

import sys
import time
from typing import Final, Self

from cli.plain import plain

WIDTH: Final = 28  # characters of the bar
EVERY_S: Final = 0.1
AFTER_S: Final = 0.4  # what is over sooner needs no bar


class Progress:
    """Call it with what is done, of how much, of what. A context: leaving it clears the line."""

    def __init__(self) -> None:
        self._shown = False
        self._wanted = sys.stderr.isatty()
        self._next = time.monotonic() + AFTER_S

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if not self._wanted or now < self._next:
            return
        self._next = now + EVERY_S
        share = min(1.0, done / total) if total else 0.0
        filled = round(share * WIDTH)
        bar = "━" * filled + "─" * (WIDTH - filled)
        sys.stderr.write(f"\r{bar} {share:4.0%}  {done:,} of {total:,} {plain(what, 40)}\x1b[K")
        sys.stderr.flush()
        self._shown = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
