"""What a round may lead to: a change that a model can make. Anything else gives nothing, and is no peer's end.

A learning rate that is too high makes numbers that are not finite; so does a model that others have driven to the edge
of what it can hold, where one's own declaration is not to blame, and the next round, from a model that the swarm has
mended by then, may well be good. So it is a word of its own, beside what the user must change.

It refuses to know how a round is trained, and how often this may happen (gossip/peer/rounds.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.errors import LocalError
from ledger.fold import CLAMP

FARTHEST: Final = 2 * CLAMP / 2**40  # from one end of what an element can be to the other: 16,384


class Diverged(LocalError):
    """A round gave nothing that could be published, and nothing of it is kept."""


def check_change(change: NDArray[np.float32]) -> None:
    """Diverged if it holds what is not finite, or a step that no element of a model can make: what waits of such a
    step would fill every later update."""
    if not bool((np.abs(change) <= FARTHEST).all()):
        raise Diverged(
            "a round of training diverged", why="it gave numbers that are not finite, or beyond what a model can hold",
            next_step="if that goes on, lower the learning rate of the model declaration",
        )  # fmt: skip
