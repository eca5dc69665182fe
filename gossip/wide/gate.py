"""Whose libp2p connections are kept: those we were told of, members, and strangers while an invite is open here.

    inbound   told of, member          kept
              anyone else              a stranger while an invite is open, STRANGERS of them for STRANGER_S; or refused
    outbound  told of, member          kept
              a member before          refused: nothing of ours leads to who was put out
              anyone else              an errand (a DHT server, an inviter, somebody's relay): the same bounds

Asked once a PeerId is proven and before any stream of the connection is read, so a refused stranger learns that
something speaks libp2p here, and no more. A stranger of the longest standing makes room for the next. Whoever
becomes a member stays, and so does somebody's relay while it carries a circuit of ours; whoever may not stay any
longer is cut (`overdue`, `allow`). Pure: PeerIds, and `now`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gossip.wide.config import STRANGER_S, STRANGERS


class Gate:
    """Decides; whoever holds the connections acts. PeerIds in words."""

    def __init__(self, told_of: Iterable[str]) -> None:
        self._told_of = frozenset(told_of)
        self._members: frozenset[str] = frozenset()
        self._open = False
        self._strangers: dict[str, float] = {}  # since when, oldest first
        self._errands: dict[str, float] = {}
        self._carrying: Counter[str] = Counter()
        self._put_out: frozenset[str] = frozenset()  # who was a member here, and is none now

    def allow(self, members: frozenset[str], strangers: bool) -> list[str]:
        """From now on. Who has to go at once: whoever was a member, and strangers once no invite is open."""
        gone = [peer for peer in self._members if peer not in members]
        self._put_out = self._put_out.union(gone) - members
        self._members, self._open = members, strangers
        for peer in (*self._strangers, *self._errands):
            if peer in members:
                self.left(peer)
        if not strangers:
            gone.extend(self._strangers)
            self._strangers.clear()
        return [peer for peer in gone if peer not in self._told_of]

    def admits(self, peer: str, outbound: bool, now: float) -> bool:
        """Whether a connection with the proven holder of this PeerId is kept, for now."""
        if self.keeps(peer):
            return True
        if outbound and peer in self._put_out:  # a dial that was on its way when it was put out
            return False
        if outbound:
            self._errands[peer] = now
            return True
        if self._open:
            self._strangers[peer] = now
        return self._open

    def keeps(self, peer: str) -> bool:
        """Whether a connection with it may stay, as of now."""
        return any(peer in each for each in (self._told_of, self._members, self._errands, self._strangers))

    def would_admit(self, peer: str) -> bool:
        """Whether a connection would be kept whose far end proves this PeerId; nothing changes."""
        return self._open or self.keeps(peer)

    def is_member(self, peer: str) -> bool:
        return peer in self._members

    def serves(self, peer: str) -> bool:
        """Whether its offers and link streams are read: of members, and of strangers while an invite is open."""
        return peer in self._members or (self._open and (peer in self._strangers or peer in self._errands))

    def overdue(self, now: float) -> list[str]:
        """Who must go now: strangers and errands that have had their time, or are too many."""
        gone: list[str] = []
        for held in (self._strangers, self._errands):
            idle = [peer for peer in held if not self._carrying[peer]]
            late = [peer for peer in idle if now - held[peer] >= STRANGER_S]
            many = [peer for peer in idle if peer not in late][: max(0, len(idle) - len(late) - STRANGERS)]
            for peer in late + many:
                del held[peer]
                gone.append(peer)
        return gone

    def carries(self, relay: str) -> None:
        """A circuit of ours goes through it from now on."""
        self._carrying[relay] += 1

    def carried(self, relay: str) -> None:
        """A circuit of ours through it is over."""
        self._carrying[relay] -= 1
        if self._carrying[relay] <= 0:
            del self._carrying[relay]

    def left(self, peer: str) -> None:
        """It has no connection any longer."""
        self._strangers.pop(peer, None)
        self._errands.pop(peer, None)
