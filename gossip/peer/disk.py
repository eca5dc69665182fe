"""Who pays for what this peer keeps: the bytes of everybody's entries and blobs, and who has had its share.

    entry admitted --> its author pays; of a log that is no member's, or over its limit: who cites it, while it can;
                       of several who cited it first, so nobody pays for what another made it hold
    over the limit --> of that log only what others cite is wanted, and they pay for it

Why it exists: a member may publish without end, and cite logs of its own invention, which whoever holds its entries
must hold, too. So citing costs: what it makes others keep is counted as its own, and whoever cites a log that has had
its share (a colluder, say) has its own share used up by that, until nothing of either is wanted any more. What an
honest member cites it holds itself, within the same limit, so nobody honest waits for anything that others refuse.

Rules kept here: what is held is never thrown away, for a model is the sum of all of it; admins are counted and never
cut off, because what they revoke must be heard; the own log has no limit here. After a restart the count is made
again from what is held: of a log that is no member's who introduced it pays. It refuses to know how entries are
fetched (rumour.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ledger.chain import LogId, peer_of
from ledger.entry import Accuse, Anchor, AnyEntry, Data, Opening, PeerId, PolicyChange, Update

NEARLY: Final = 0.9  # of a share: then the owner of the log is told
PAGE_BYTES: Final = 64  # of a row of the store, beside what is in it


class Disk:
    """The shares of all peers. `role_of` is "" for those who are no members."""

    def __init__(self, own: PeerId, limit_bytes: int, role_of: Callable[[PeerId], str]) -> None:
        self._own = own
        self.limit_bytes = limit_bytes
        self._role_of = role_of
        self.used: dict[PeerId, int] = {}
        self._cited: dict[LogId, dict[PeerId, int]] = {}  # how much of a log entries held back cite, by whose log
        self._introduced: dict[PeerId, PeerId] = {}  # of logs that are no member's: who named them first
        self._adrift: dict[PeerId, int] = {}  # bytes of such logs whose sponsor is not known yet

    # -------------------------------------------------------------- who is over

    def is_over(self, peer: PeerId) -> bool:
        """Whether a peer has had its share."""
        if self.used.get(peer, 0) <= self.limit_bytes:
            return False
        return peer != self._own and self._role_of(peer) != "admin"

    def is_nearly_over(self, peer: PeerId) -> bool:
        return self.used.get(peer, 0) > NEARLY * self.limit_bytes

    # -------------------------------------------------------------- what is cited

    def cite(self, log: LogId, size: int, by: LogId) -> None:
        """An entry of `by` that is held back cites so much of `log`."""
        rows = self._cited.setdefault(log, {})
        citer = peer_of(by)
        rows[citer] = max(size, rows.get(citer, 0))

    def cited(self, log: LogId) -> int:
        """How much of a log is wanted because somebody cites it who can pay, or is cited itself by somebody who can."""
        cannot: set[PeerId] = set()
        rows = sorted(self._cited.get(log, {}).items(), key=lambda row: (-row[1], row[0]))
        return next((size for citer, size in rows if self._find_payer([citer], cannot) is not None), 0)

    def _find_payer(self, citers: Iterable[PeerId], seen: set[PeerId]) -> PeerId | None:
        """The nearest that has something left of its share: one of these, or of those who cite them, and so on. Nobody
        is looked at twice; if there is none, `seen` has all who cannot pay."""
        level = set(citers) - seen
        while level:
            for citer in self._in_order(level):
                if not self.is_over(citer):
                    return citer
            seen |= level
            level = {other for citer in level for other in self._cited.get(citer, {})} - seen
        return None

    # -------------------------------------------------------------- what is kept

    def learn(self, log: LogId, entry: AnyEntry, size_bytes: int, *, seq: int) -> PeerId:
        """An entry was admitted, now or in an earlier run: `size_bytes` with its blob. Who pays for it."""
        peer = peer_of(log)
        for met in entry.meets:
            self._introduced.setdefault(met, peer)
            if adrift := self._adrift.pop(met, 0):
                self._pay(met if self._role_of(met) else peer, adrift)
        payer = self._payer(log, seq)
        if payer is None:
            self._adrift[peer] = self._adrift.get(peer, 0) + PAGE_BYTES + size_bytes
        else:
            self._pay(payer, PAGE_BYTES + size_bytes)
        if rows := {citer: size for citer, size in self._cited.pop(log, {}).items() if size > seq + 1}:
            self._cited[log] = rows
        return payer or peer

    def _pay(self, peer: PeerId, size_bytes: int) -> None:
        self.used[peer] = self.used.get(peer, 0) + size_bytes

    def _payer(self, log: LogId, seq: int) -> PeerId | None:
        peer = peer_of(log)
        if self._role_of(peer) and not self.is_over(peer):
            return peer
        citers = [citer for citer, size in self._cited.get(log, {}).items() if size > seq]
        found = self._find_payer(citers, set())
        if found is not None:
            return found
        return peer if self._role_of(peer) else self._introduced.get(peer)

    def _in_order(self, citers: set[PeerId]) -> list[PeerId]:
        """Those that cite no other of them, then the others; each by how much of its share is left, most first.

        What is held back of a log is cited by what comes after it, and whoever sees an entry names all that it saw. So
        whoever is cited here was first: the others hold what it cites because of it. Of several who were first none can
        be told to be the cause: they pay by turns.
        """
        later = {citer for other in citers for citer in self._cited.get(other, {})}
        return sorted(citers, key=lambda citer: (citer in later, self.used.get(citer, 0), citer))


def blob_bytes(entry: AnyEntry) -> int:
    """Of the blob that an entry names and that is kept with it."""
    match entry:
        case Update() | Accuse() | Anchor():
            return entry.bytes
        case Data():
            return entry.sketch_bytes
        case PolicyChange():
            return entry.policy_bytes
        case Opening():
            return entry.opened_bytes
        case _:
            return 0
