"""Chance, as a peer sees it: something passed in, never a global.

`random.Random(seed)` is one. Cores import no module `random`, so that no call can reach the global generator;
the same seed then gives the same trace, in the simulator as in a replayed failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Luck(Protocol):
    """The few draws a peer makes."""

    def uniform(self, a: float, b: float, /) -> float: ...

    def choice(self, seq: Sequence[T], /) -> T: ...

    def sample(self, population: Sequence[T], k: int, /) -> list[T]: ...
