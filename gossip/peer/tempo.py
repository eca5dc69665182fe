"""Eager or paced: whether a round begins as soon as it may, or when most of what others found meanwhile is here.

    eager --behind HIGH rounds--> paced --below LOW--> eager          each switch is a note, with its reason

Eager, a round waits for what was announced already, half a round of one's own at most. Paced, it begins when as much
time has passed since our last update as others' updates take to get here: what was published when we published is in
then. That is no barrier: nobody in particular is waited for, the time is that of most (three quarters), and bounded.

*Behind* is that time in rounds of our own: how many updates each of us writes that the others' next ones know nothing
of. With lines so slow or so long that it is four, eager peers push the model four times where once was meant, and it
swings ever further (docs/pace.md has the measurement). It refuses to know why updates take so long.
"""

from __future__ import annotations

from typing import Final, Literal

from gossip.peer.outbox import Outbox

Mode = Literal["eager", "paced"]

HIGH: Final = 1.0  # rounds
LOW: Final = 0.5
MOST_ROUNDS: Final = 8.0  # of pause, in own rounds ...
MOST_S: Final = 60.0  # ... and in seconds


class Tempo:
    """The tempo of one peer. `wanted` is what its owner fixed, "adaptive" for nothing."""

    def __init__(self, wanted: str, out: Outbox) -> None:
        self._is_fixed = wanted != "adaptive"
        self._out = out
        self.mode: Mode = "paced" if wanted == "paced" else "eager"
        self.reason = "its owner wants that" if self._is_fixed else "others' updates come in time, as far as is known"
        self.behind = 0.0

    def measured(self, lag_s: float, round_s: float) -> None:
        """How long most updates take to get here, beside a round of our own."""
        self.behind = lag_s / round_s if round_s > 0 else 0.0
        if self._is_fixed:
            return
        if self.mode == "eager" and self.behind > HIGH:
            self._switch("paced", f"others' updates come {self.behind:.1f} rounds late")
        elif self.mode == "paced" and self.behind < LOW:
            self._switch("eager", f"others' updates come {self.behind:.1f} rounds late")

    def _switch(self, mode: Mode, reason: str) -> None:
        self.mode, self.reason = mode, reason
        self._out.note("tempo", mode=mode, reason=reason)

    def pause_s(self, lag_s: float, round_s: float) -> float:
        """From an own update to the next round, at least."""
        return min(lag_s, MOST_ROUNDS * round_s, MOST_S) if self.mode == "paced" else 0.0
