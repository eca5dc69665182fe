"""Stretches of a log in which its updates cite one data entry and were weighed among as many active trainers.

    index    7 8 9 . . . 21 . . . . 40 . . .
    active   3 3 3 3 3 3 4  4 4 4 4 0  0 0 0      of the updates from there on; 0: they cite another data entry

Why it exists: whoever condemns a data entry condemns every update that cites it, and these may be a hundred thousand.
They come in few stretches, so what is struck is found in few steps, again for each past that is asked about.

Rules kept here: it only grows. It refuses to know who condemned what (condemned.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Runs:
    """Of one data entry, over a log's own entries."""

    numbers: int  # updates let in that were looked at
    begins: list[int] = field(default_factory=list)  # where each begins; it ends where the next begins
    active: list[int] = field(default_factory=list)

    def add(self, index: int, active: int) -> None:
        """From the update at `index` on."""
        if active != (self.active[-1] if self.active else 0):
            self.begins.append(index)
            self.active.append(active)

    def upto(self, size: int) -> Iterator[tuple[int, int, int]]:
        """(begin, end, active) of those that cite it, as of so many entries."""
        count = bisect_left(self.begins, size)
        for at in range(count):
            if self.active[at]:
                yield self.begins[at], self.begins[at + 1] if at + 1 < count else size, self.active[at]
