"""A network that loses, delays, repeats, reorders and falls apart, between peers that do not know it.

    dial --two delays--> both ends LinkUp, or DialFailed
    send --delay + jitter, lost with probability `loss`--> Received, twice with probability `duplicate`,
                                                           up to held_s later with probability `reorder`
    a crash or a cut --DETECT_S later--> LinkDown at the far end

A slow line carries one message after another: what does not fit waits, without end. Otherwise there is room for all.

Harsher than real data channels, which repeat what is lost and keep the order: a machine that lives with this
lives with those. Who may open a link is asked of the far end, as the signalling gate does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final, Protocol

from gossip.events import DialFailed, Event, LinkDown, LinkId, LinkUp, Received
from gossip.sim.clock import VirtualClock

HOST: Final = "sim"  # every peer's address; the port is its index
DETECT_S: Final = 3.0  # until an end notices that the other has gone without a word
DIAL_TIMEOUT_S: Final = 5.0


class Station(Protocol):
    """What the network knows of a peer."""

    index: int
    is_up: bool

    @property
    def public(self) -> bytes: ...

    def admits(self, caller: Station) -> str | None:
        """None: silence. Else the role of the ticket the caller proves to know, "" for a member."""
        ...

    def deliver(self, event: Event) -> None: ...


@dataclass(slots=True)
class End:
    """One end of an open link."""

    owner: int
    other: int
    far: LinkId


class Network:
    """Links between stations."""

    def __init__(
        self, clock: VirtualClock, luck: Random, *, loss: float, delay_s: float, jitter_s: float,
        is_cut: Callable[[int, int], bool], duplicate: float = 0.0, reorder: float = 0.0, held_s: float = 0.0,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._luck = luck
        self._loss = loss
        self._delay_s = delay_s
        self._jitter_s = jitter_s
        self._duplicate = duplicate
        self._reorder = reorder
        self._held_s = held_s
        self._is_cut = is_cut
        self._stations: dict[int, Station] = {}
        self._ends: dict[LinkId, End] = {}
        self._ids = count(1)
        self.lines: Mapping[int, float] = {}  # bytes a second of stations on slow lines, each way
        self._busy_until: dict[tuple[int, str], float] = {}  # of those lines
        self.bytes_sent: dict[int, int] = {}
        self.bytes_received: dict[int, int] = {}

    def attach(self, station: Station) -> None:
        self._stations[station.index] = station
        self.bytes_sent.setdefault(station.index, 0)
        self.bytes_received.setdefault(station.index, 0)

    def _trip_s(self) -> float:
        return self._delay_s + self._luck.uniform(0, self._jitter_s)

    def _queued_s(self, end: End, size_bytes: int) -> float:
        """How long a message waits for slow lines and takes through them: one after another, out of the one house and
        into the other."""
        at = now = self._clock.now
        for station, way in ((end.owner, "out"), (end.other, "in")):
            if (line := self.lines.get(station)) is not None:
                at = max(at, self._busy_until.get((station, way), 0.0)) + size_bytes / line
                self._busy_until[station, way] = at
        return at - now

    # -------------------------------------------------------------- opening

    def dial(self, caller: Station, host: str, port: int, key: bytes | None) -> None:
        callee = self._stations.get(port)

        def fail(reason: str) -> None:
            if caller.is_up:
                caller.deliver(DialFailed(host, port, key, reason))

        def arrive() -> None:
            if callee is None or host != HOST or not callee.is_up or self._is_cut(caller.index, port):
                self._clock.after(DIAL_TIMEOUT_S, lambda: fail("no answer"))
                return
            role = callee.admits(caller)
            if role is None or (key is not None and key != callee.public):
                self._clock.after(self._trip_s(), lambda: fail("turned away"))
                return
            self._clock.after(self._trip_s(), lambda: self._open(caller, callee, role))

        self._clock.after(self._trip_s(), arrive)

    def _open(self, caller: Station, callee: Station, role: str) -> None:
        if not (caller.is_up and callee.is_up):
            return
        near, far = next(self._ids), next(self._ids)
        self._ends[near] = End(caller.index, callee.index, far)
        self._ends[far] = End(callee.index, caller.index, near)
        callee.deliver(LinkUp(far, caller.public, dialled=False, role=role))
        caller.deliver(LinkUp(near, callee.public, dialled=True, address=(HOST, callee.index)))

    # -------------------------------------------------------------- carrying

    def send(self, link: LinkId, message: bytes) -> None:
        end = self._ends.get(link)
        if end is None:
            return
        self.bytes_sent[end.owner] += len(message)
        if self._luck.random() < self._loss or self._is_cut(end.owner, end.other):
            return

        def arrive() -> None:
            station = self._stations[end.other]
            if end.far in self._ends and station.is_up:
                self.bytes_received[end.other] += len(message)
                station.deliver(Received(end.far, message))

        queued_s = self._queued_s(end, len(message))
        copies = 2 if self._duplicate and self._luck.random() < self._duplicate else 1
        for _ in range(copies):
            held_s = 0.0
            if self._reorder and self._luck.random() < self._reorder:
                held_s = self._luck.uniform(0, self._held_s)
            self._clock.after(self._trip_s() + queued_s + held_s, arrive)

    # -------------------------------------------------------------- ending

    def close(self, link: LinkId, reason: str) -> None:
        """An end says goodbye: the far end hears of it a moment later."""
        end = self._ends.pop(link, None)
        if end is not None:
            self._clock.after(self._trip_s(), lambda: self._end(end.far, reason))

    def crash(self, station: Station) -> None:
        """A station goes without a word."""
        for link in [link for link, end in self._ends.items() if end.owner == station.index]:
            end = self._ends.pop(link)
            self._clock.after(DETECT_S, lambda far=end.far: self._end(far, "lost"))  # type: ignore[misc]

    def tear(self) -> None:
        """Whatever crosses a cut that exists now is lost, and noticed after a while if it still is."""
        for link, end in self._ends.items():
            if self._is_cut(end.owner, end.other):
                self._clock.after(DETECT_S, lambda link=link, end=end: self._notice(link, end))  # type: ignore[misc]

    def _notice(self, link: LinkId, end: End) -> None:
        if self._is_cut(end.owner, end.other):
            self._end(link, "lost")

    def _end(self, link: LinkId, reason: str) -> None:
        end = self._ends.pop(link, None)
        if end is not None and self._stations[end.owner].is_up:
            self._stations[end.owner].deliver(LinkDown(link, reason))
