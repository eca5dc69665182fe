"""How long to wait for an answer before asking again: learnt for each link, longer after each failure.

    wait = max(request_s, 3 x the slowest answer lately) x 1.4 ^ failures, at most a minute

A short wait heals a lost message soon; on a slow line it would ask for the same bytes over and over, so what a
link has shown sets the pace. Failures count per link: the next link gets its chance as fast as the first did.
"""

from __future__ import annotations

import math
from typing import Final

from gossip.events import LinkId

MARGIN: Final = 3.0
GROWTH: Final = 1.4
FAST_S: Final = 0.25
FADE: Final = 0.8  # of the slowest answer, with each faster one
LAST_WAIT_S: Final = 60.0
MOST_FAILURES: Final = 16  # beyond, the wait has long been LAST_WAIT_S


class Pace:
    """What each link has shown."""

    def __init__(self, request_s: float) -> None:
        self._request_s = request_s
        self._slowest: dict[LinkId, float] = {}

    def heard(self, link: LinkId, seconds: float) -> None:
        """An answer came after so long."""
        self._slowest[link] = max(seconds, FADE * self._slowest.get(link, 0.0))

    def wait_s(self, link: LinkId, failures: int) -> float:
        usual = max(self._request_s, MARGIN * self._slowest.get(link, 0.0))
        return min(LAST_WAIT_S, usual * GROWTH ** min(failures, MOST_FAILURES))

    def grade(self, link: LinkId) -> int:
        """How slow a link has been lately: 0 up to FAST_S, and one more for each doubling. To ask fast ones first."""
        return max(0, math.ceil(math.log2(max(self._slowest.get(link, 0.0), FAST_S) / FAST_S)))

    def link_down(self, link: LinkId) -> None:
        self._slowest.pop(link, None)
