"""Whether the machine has come to rest, so that what happens now need not wake all of it.

    an event --may it change more than who holds what?--> yes: every chapter looks whether it has something to do
                  `-- no, and the machine rests ---------> rumour, fetching and arriving alone

Why it exists: two of three events are a link's word on what it holds, a question for entries, or a timer of rumour.py.
None of them is looked at by the chapters that admit, write, judge and cosign; to ask all of these what they have to do
took most of the time that an event took, and they had nothing to do.

The rule: a pass over all chapters that had no effect, admitted nothing and asked for no other look would do nothing if
it were repeated, until something happens to one of them or a time has come that one of them named. A chapter names
times as ever, with `Outbox.timer`; a time that nobody has to be woken for, or "at the next event", with `Outbox.heed`.
Beyond LONGEST_S nothing is taken to be at rest, whatever the chapters say.

Rules kept here: what a machine that never rests does, a resting one does at the same event
(tests/peer/test_calm.py holds one against the other). It refuses to know what the chapters do.
"""

from __future__ import annotations

from typing import Final

from gossip.events import Event, Received, Timer
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import ASK_TIMER, DIGEST_TIMER, RELAY_TIMER
from gossip.wire.frames import DIGEST_TAG, HAVE_TAG, TALLY_TAG, WANT_TAG
from ledger.replica import Replica

LONGEST_S: Final = 1.0
QUIET_TAGS: Final = frozenset((DIGEST_TAG, HAVE_TAG, WANT_TAG, TALLY_TAG))  # who holds what: of entries, of signatures
QUIET_TIMERS: Final = frozenset((ASK_TIMER, DIGEST_TIMER, RELAY_TIMER))


class Calm:
    """The rest of one machine. `is_off`: it never rests (tests compare)."""

    is_off = False

    def __init__(self, replica: Replica, out: Outbox) -> None:
        self._replica = replica
        self._out = out
        self._until = 0.0
        self._before = (0, 0)
        self.passes = 0  # over all chapters, since the start

    def lasts(self, event: Event, now: float) -> bool:
        """Whether the machine rests, and this event does not end that."""
        match event:
            case Received(_, message):
                is_quiet = message[:1] in QUIET_TAGS
            case Timer(name):
                is_quiet = name in QUIET_TIMERS
            case _:
                return False
        return is_quiet and now < self._until and not self.is_off

    def begin(self) -> None:
        """A pass over all chapters begins."""
        self.passes += 1
        self._out.due = float("inf")
        self._before = self._mark()

    def end(self, now: float) -> None:
        """It is over."""
        is_still = self._before == self._mark()
        self._until = min(self._out.due, now + LONGEST_S) if is_still else 0.0

    def over(self) -> None:
        """Something has happened that every chapter may look at."""
        self._until = 0.0

    def _mark(self) -> tuple[int, int]:
        return self._out.count, self._replica.admitted
