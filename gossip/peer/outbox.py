"""Where the parts of a peer put their effects, in order, until handle() returns them.

A part that wants something of the world says it here; nothing is carried out before the machine has come to
rest. Timers asked for twice in one go leave once, with the earlier time.
"""

from __future__ import annotations

from typing import Any

from gossip.events import Effect, LinkId, Note, Send, SetTimer
from gossip.wire.codec import encode
from gossip.wire.frames import Frame


class Outbox:
    """Effects in the order in which they were asked for."""

    __slots__ = ("_effects", "_set", "due")

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._set: dict[str, float] = {}  # timers under way in the shell
        self.due = 0.0  # the earliest time that was named since calm.py last looked

    def put(self, effect: Effect) -> None:
        self._effects.append(effect)

    def send(self, link: LinkId, frame: Frame, *, bulk: bool = False) -> None:
        self._effects.append(Send(link, encode(frame), bulk))

    def note(self, kind: str, /, **fields: Any) -> None:
        self._effects.append(Note(kind, fields))

    def timer(self, name: str, at: float) -> None:
        """Have Timer(name) delivered at `at`, unless it comes earlier already."""
        if at < self.due:
            self.due = at
        if self._set.get(name, at + 1) > at:
            self._set[name] = at
            self._effects.append(SetTimer(name, at))

    def heed(self, at: float) -> None:
        """Something changes at `at`, or at the next event after it, for which nobody has to be woken."""
        if at < self.due:
            self.due = at

    @property
    def count(self) -> int:
        """Effects asked for since the last take()."""
        return len(self._effects)

    def rang(self, name: str) -> None:
        """The shell delivered this timer: it is no longer under way."""
        self._set.pop(name, None)

    def take(self) -> tuple[Effect, ...]:
        effects, self._effects = tuple(self._effects), []
        return effects
