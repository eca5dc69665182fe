"""Who is absent now, as one peer's copy of the ledger shows it while it runs: for status and view.

    an entry of birch is admitted  --learn-->  its claim, when it got here, what of our own log it cites
    now, and nothing since          --absent--> birch, since 12:05

Rules kept here: a peer that publishes is absent after ten of its usual intervals of silence, and a minute
(ledger/attendance.py, which tells a whole run, and looks at everybody's clocks; here it must be quick). An entry was
not made after it got here, nor before what it cites of our own log, both by our own clock; between these its author's
claim holds. So a peer that publishes itself is told the truth of clocks that are an hour off; one that only observes
believes clocks that are slow. Who was let in to train a minute ago or more and has published nothing is absent, too,
since ever. It refuses to know links: who is linked and silent is absent all the same.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ledger.attendance import LEAST_S, RECENT, longest_silence_s
from ledger.chain import LogId, fork_of
from ledger.entry import AnyEntry, Member, PeerId, Update
from ledger.replica import Replica

TRAINS: Final = "trainer"


@dataclass(slots=True)
class _Sign:
    """The newest sign of life of one peer."""

    size: int = 0  # of its log
    claimed: float = 0.0
    heard: float = 0.0  # when that entry got here; 0: before this start
    updates: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))  # claimed times of its newest


class Presence:
    """The newest sign of life of everybody. `own` is never absent: it is here."""

    def __init__(self, own: PeerId, replica: Replica) -> None:
        self._own, self._replica = own, replica
        self._signs: dict[PeerId, _Sign] = {}
        self._let_in: dict[PeerId, int] = {}  # claimed: when somebody first did
        self._own_times = array("q")  # of the own entries

    def learn(self, log: LogId, seq: int, entry: AnyEntry, now: float) -> None:
        """An entry was admitted at `now`; 0: in an earlier run."""
        if isinstance(entry, Member):
            self._let_in.setdefault(entry.peer, entry.time)
        if fork_of(log):
            return
        if log == self._own:
            self._own_times.append(entry.time)
            return
        sign = self._signs.setdefault(log, _Sign())
        sign.size, sign.claimed, sign.heard = seq + 1, entry.time, now
        if isinstance(entry, Update):
            sign.updates.append(entry.time)

    def absent(self, now: float) -> Iterator[tuple[PeerId, float | None]]:
        """Who, and since when; None: it was let in to train, and has published nothing yet."""
        for peer, sign in sorted(self._signs.items()):
            if not sign.updates:
                is_late = now - self._let_in.get(peer, now) > LEAST_S
                if is_late and self._replica.role_of(peer) == TRAINS:
                    yield peer, None
                continue
            last = min(sign.claimed, sign.heard or now)
            if now - last <= LEAST_S:
                continue  # (nearly always: what follows costs more)
            patience = longest_silence_s(sign.updates)
            last = max(last, self._own_cited(peer, sign.size))
            if now - last > patience and self._replica.role_of(peer):
                yield peer, last

    def _own_cited(self, log: PeerId, size: int) -> float:
        """By our own clock: when the newest own entry was written that these entries of a log cite."""
        cited = min(self._replica.past(log, size).get(self._own, 0), len(self._own_times))
        return float(self._own_times[cited - 1]) if cited else 0.0
