"""Borrowing: rows of others' public data that this peer trains on beside its own, for as long as they are lent.

    Lease of a peer that our owner named --ours by lease.py?--> wanted
       --one shard at a time: WantBlob, Piece--> its proof holds? --KeepRows--> kept
       all that is wanted is kept, no round under way --Borrow--> other data --DataReady--> data entry --> train

What is trained on is committed to before: own and borrowed rows are one data set, private, whose entry names the lender
and its root. A shard that is no part of what its lender committed to costs it its link, and it lends us nothing more in
this run. Whether its labels are right a proof does not tell: that is why an owner names lenders.

Rules kept here: nobody's rows are taken without our owner's word; none without a proof against the lender's newest data
entry; who lends, is public or has promised an epsilon does not borrow, for its entry would say something else then.
It refuses to know what rows mean, and where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gossip.config import PeerConfig
from gossip.events import Borrow, Borrowed, KeepRows, LinkId
from gossip.peer.blobs import Blobs
from gossip.peer.holdings import Held
from gossip.peer.lease import shards_of
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.rounds import Rounds
from gossip.wire.frames import Lease
from ledger.chain import LogId
from ledger.entry import AnyEntry, Data, Hash, PeerId
from ledger.errors import RemoteError
from ledger.opening import verify_shard
from ledger.replica import Replica

MAX_LICENCE: Final = 256  # characters of an expression made of several


@dataclass(slots=True)
class Coming:
    """A shard on its way."""

    lender: PeerId
    link: LinkId
    number: int
    hash: Hash
    data: Data


class Borrowing:
    """What one peer borrows. `blame` ends a link for what it sent."""

    def __init__(
        self, config: PeerConfig, own: PeerId, replica: Replica, links: Links, blobs: Blobs, rounds: Rounds,
        out: Outbox, blame: Callable[[LinkId, RemoteError], None], name: Callable[[PeerId | None], str],
    ) -> None:  # fmt: skip
        self._from = {*config.borrow_from} - {own}  # asked, never iterated
        self._lends = bool(config.lend_to)
        self._own = own
        self._replica = replica
        self._links = links
        self._blobs = blobs
        self._rounds = rounds
        self._out = out
        self._blame = blame
        self._name = name
        self._data: dict[PeerId, Data] = {}  # the newest of each lender
        self._leases: dict[PeerId, Lease] = {}
        self._coming: Coming | None = None
        self._kept: dict[Hash, int] = {}  # shards that are here, and their records
        self._in_use: tuple[Borrowed, ...] = ()
        self._told_why = False

    # -------------------------------------------------------------- what happens

    def learn(self, log: LogId, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        if log in self._from and isinstance(entry, Data):
            self._data[log] = entry

    def on_lease(self, live: Live, frame: Lease) -> None:
        """A lender says what is ours. RemoteError if that is not what follows from what it says."""
        lender = live.peer
        if lender is None or lender not in self._from:
            return
        before = self._leases.get(lender)
        if before is not None and frame.epoch < before.epoch:
            return  # its clock went back: what it said last by it stands
        mine = shards_of(frame.root, self._own, frame.among)
        if any(number not in mine for number, *_ in frame.shards):
            raise RemoteError("a lease is of shards that fall to somebody else")
        self._leases[lender] = frame

    def tick(self, now: float) -> None:
        if not self._leases and not self._in_use and self._coming is None:
            return
        self._out.heed(now)
        self._arrive()
        wanted = list(self._wanted())
        if self._coming is not None and self._coming.hash not in [one.shard for one, *_ in wanted]:
            self._blobs.drop_offered(self._coming.hash)
            self._coming = None
        missing = [row for row in wanted if row[0].shard not in self._kept]
        if missing:
            self._fetch(missing)
        use = tuple(one for one, *_ in wanted if one.shard in self._kept)
        if use != self._in_use and (not missing or len(use) < len(self._in_use)) and self._may_borrow(use):
            self._in_use = use
            self._kept = {one.shard: self._kept[one.shard] for one in use}
            self._rounds.exchange()
            self._out.put(Borrow(use))
            self._out.note("leased", shards=len(use), records=sum(self._kept.values()), lenders=len(self.held))

    def _wanted(self) -> Iterator[tuple[Borrowed, int, int, Data]]:
        """(what, number, bytes, of which data) by lender and number: of leases that are of what their lender has."""
        for lender, lease in sorted(self._leases.items()):
            data = self._data.get(lender)
            if data is None or data.root != lease.root or data.zone != "public" or not self._replica.role_of(lender):
                continue
            for number, digest, size_bytes in lease.shards:
                yield Borrowed(lender, lease.root, digest, _licence(data)), number, size_bytes, data

    def _may_borrow(self, use: tuple[Borrowed, ...]) -> bool:
        """Whether training may go on with other rows now."""
        why = "it lends some itself" if self._lends else self._rounds.why_not_exchange
        if why and use and not self._told_why:
            self._told_why = True
            self._out.note("trouble", text=f"this peer does not train on rows that others lend it: {why}")
        return not why and self._rounds.may_exchange

    # -------------------------------------------------------------- shards

    def _fetch(self, missing: list[tuple[Borrowed, int, int, Data]]) -> None:
        """Ask for one, of whoever lends it."""
        if self._coming is not None:
            return
        links = {live.peer: live.link for live in self._links if live.peer is not None}
        for one, number, size_bytes, data in missing:
            if one.lender in links:
                self._coming = Coming(one.lender, links[one.lender], number, one.shard, data)
                self._blobs.want_offered(one.shard, size_bytes, links[one.lender])
                return

    def _arrive(self) -> None:
        coming = self._coming
        if coming is None:
            return
        blob = self._blobs.take(coming.hash)
        if blob is None:
            if not self._blobs.is_coming(coming.hash):
                self._coming = None  # its link is gone
            return
        self._coming = None
        try:
            shown = verify_shard(blob, coming.data, self._replica.swarm, coming.number)
        except RemoteError as error:
            self._leases.pop(coming.lender, None)
            self._from.discard(coming.lender)
            self._blame(coming.link, error)
            return
        self._kept[coming.hash] = len(shown.records)
        self._out.put(KeepRows(coming.hash, tuple((record.key, record.value) for record in shown.records)))

    # -------------------------------------------------------------- for people

    @property
    def held(self) -> tuple[Held, ...]:
        """What is trained on now, by lender."""
        lenders = dict.fromkeys(one.lender for one in self._in_use)
        shards = {peer: [one.shard for one in self._in_use if one.lender == peer] for peer in lenders}
        return tuple(
            Held(peer, self._name(peer), len(found), sum(self._kept.get(shard, 0) for shard in found))
            for peer, found in shards.items()
        )


def _licence(data: Data) -> str:
    """Of a whole data set, by what its sources say; "" if one says nothing."""
    said = sorted({source.licence for source in data.sources})
    text = said[0] if len(said) == 1 else " AND ".join(f"({one})" for one in said)
    return text if said and said[0] and len(text) <= MAX_LICENCE else ""
