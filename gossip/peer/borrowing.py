"""Borrowing: rows of others' public data that this peer trains on beside its own, for as long as they are lent.

    Lease of a peer that our owner named --ours by lease.py?--> wanted
       --one shard of each lender at a time: WantBlob, Piece--> its proof holds? --KeepRows--> kept
       kept is what is wanted, or lease_s over; no round under way --Borrow--> other data --DataReady--> data entry -->
       train, publish, and no other data before lease_s is over --> ...

Lenders wait for nobody: one that says nothing, or ever new things, costs the others and us no rounds. What is kept, and
neither wanted nor in use, goes (DropRows). A round that diverges with borrowed rows is blamed on the newest lender.
Own rows that their owner has labelled otherwise (Relabelled) are read anew in the same way, with what is in use.

What is trained on is committed to before: own and borrowed rows are one data set, private, whose entry names the lender
and its root. A shard that is no part of what its lender committed to costs it its link, and it lends us nothing more in
this run. Whether its labels are right a proof does not tell: that is why an owner names lenders.

Rules kept here: nobody's rows are taken without our owner's word; none without a proof against the lender's newest data
entry, which is of one lender, root and number; who lends, is public or has promised an epsilon does not borrow, for its
entry would say something else then, and fetches nothing. At most MAX_KEPT_BYTES of one lender's are here at a time.
It refuses to know what rows mean, and where they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gossip.config import PeerConfig
from gossip.events import Borrow, Borrowed, DropRows, KeepRows, LinkId
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
from ledger.opening import MAX_SHARD_BYTES, SHARDS, verify_shard
from ledger.replica import Replica

MAX_LICENCE: Final = 256  # characters of an expression made of several
MAX_KEPT_BYTES: Final = SHARDS * MAX_SHARD_BYTES  # of one lender's: a whole data set
TIMER: Final = "borrowing"
MAX_FAILURES: Final = 4  # requests for a shard that led to nothing, one after the other

Key = tuple[PeerId, Hash, int, Hash]  # lender, root, number, SHA-256: what a proof is of


@dataclass(frozen=True, slots=True)
class Shard:
    """One that is lent to us."""

    key: Key
    size_bytes: int
    data: Data

    @property
    def lender(self) -> PeerId:
        return self.key[0]

    @property
    def hash(self) -> Hash:
        return self.key[3]


@dataclass(frozen=True, slots=True)
class Kept:
    """One that is here."""

    records: int
    size_bytes: int


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
        self._leases: dict[PeerId, tuple[LinkId, Lease]] = {}
        self._coming: dict[PeerId, tuple[Shard, LinkId]] = {}  # of each lender at most one
        self._given_up: set[Key] = set()  # asked, never iterated
        self._kept: dict[Key, Kept] = {}
        self._in_use: tuple[Shard, ...] = ()
        self._lenders: tuple[PeerId, ...] = ()  # whose is in use, the newest last
        self._other_since: float | None = None  # since when what is in use is not what could be
        self._rest_until = 0.0  # no other data before that ...
        self._published = -1  # ... and before more own updates than these
        self._every_s = config.lease_s
        self._told_why = False
        self._is_relabelled = False  # own data are to be read again, whatever is borrowed

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
        link, before = self._leases.get(lender, (None, frame))
        if link == live.link and frame.epoch < before.epoch:
            return  # its clock went back: what it said last by it stands. (On a new link it may have begun anew.)
        mine = shards_of(frame.root, self._own, frame.among)
        if any(number not in mine for number, *_ in frame.shards):
            raise RemoteError("a lease is of shards that fall to somebody else")
        if len({digest for _, digest, _ in frame.shards}) < len(frame.shards):
            raise RemoteError("a lease names one shard under two numbers")
        self._leases[lender] = (live.link, frame)
        self._given_up -= {key for key in self._given_up if key[0] == lender}

    def relabelled(self) -> None:
        """Own rows have other labels now."""
        self._is_relabelled = True

    def tick(self, now: float) -> None:
        if self._is_relabelled:
            self._out.heed(now)
            if self._rounds.may_exchange:
                self._is_relabelled = False
                self._read_again(self._in_use)
        if not (self._leases or self._in_use or self._coming or self._kept):
            return
        self._out.heed(now)
        self._arrive()
        if self._rounds.wasted and self._lenders and self._rounds.may_exchange:
            self._disown(self._lenders[-1])
        wanted = list(self._wanted()) if self._is_able() else []
        self._let_go(wanted)
        missing = [one for one in wanted if one.key not in self._kept and one.key not in self._given_up]
        self._fetch(missing)
        use = tuple(one for one in wanted if one.key in self._kept)
        if {one.key for one in use} == {one.key for one in self._in_use}:
            self._other_since = None
        else:
            self._other_since = now if self._other_since is None else self._other_since
            if self._may_exchange(now, is_all=not missing):
                self._exchange(use, now)

    def _wanted(self) -> Iterator[Shard]:
        """By lender and number: of leases that are of what their lender has. No file is of two lenders."""
        seen = set[Hash]()
        for lender, (_, lease) in sorted(self._leases.items()):
            data = self._data.get(lender)
            if data is None or data.root != lease.root or data.zone != "public" or not self._replica.role_of(lender):
                continue
            for number, digest, size_bytes in lease.shards:
                if digest not in seen:
                    seen.add(digest)
                    yield Shard((lender, lease.root, number, digest), size_bytes, data)

    def _is_able(self) -> bool:
        """Whether this peer may train on others' rows at all."""
        why = "it lends some itself" if self._lends else self._rounds.why_not_exchange
        if why and self._leases and not self._told_why and (self._lends or self._rounds.can_train):
            self._told_why = True
            self._out.note("trouble", text=f"this peer does not train on rows that others lend it: {why}")
        return not why and self._rounds.can_train

    # -------------------------------------------------------------- what is trained on

    def _may_exchange(self, now: float, *, is_all: bool) -> bool:
        """Between two exchanges there is an own update, and time: reading anew takes both from training."""
        if not self._rounds.may_exchange:
            return False
        if self._rounds.wasted and self._in_use:
            return True  # no update comes of these
        assert self._other_since is not None
        due = self._rest_until if is_all else max(self._rest_until, self._other_since + self._every_s)
        if now < due:
            self._out.timer(TIMER, due)
        return now >= due and self._rounds.published > self._published

    def _exchange(self, use: tuple[Shard, ...], now: float) -> None:
        self._in_use, self._other_since = use, None
        self._rest_until, self._published = now + self._every_s, self._rounds.published
        lenders = dict.fromkeys(one.lender for one in use)
        self._lenders = tuple(dict.fromkeys((*(peer for peer in self._lenders if peer in lenders), *lenders)))
        self._read_again(use)
        self._let_go(use)
        records = sum(self._kept[one.key].records for one in use)
        self._out.note("leased", shards=len(use), records=records, lenders=len(lenders))

    def _read_again(self, use: tuple[Shard, ...]) -> None:
        self._rounds.exchange()
        self._out.put(Borrow(tuple(Borrowed(one.lender, one.key[1], one.hash, _licence(one.data)) for one in use)))

    def _disown(self, lender: PeerId) -> None:
        """A round diverged: that lender's rows came last, and are not trained on any more in this run."""
        self._leases.pop(lender, None)
        self._from.discard(lender)
        self._lenders = tuple(peer for peer in self._lenders if peer != lender)
        self._out.note(
            "trouble", text=f"a round diverged: rows that {self._name(lender)} lends are not trained on in this run"
        )

    # -------------------------------------------------------------- shards

    def _let_go(self, wanted: Iterable[Shard]) -> None:
        """What is under way or here, and neither wanted nor in use, goes."""
        keys = {one.key for one in wanted}
        for lender, (one, _) in list(self._coming.items()):
            if one.key not in keys:
                self._drop_coming(lender)
        keys |= {one.key for one in self._in_use}
        gone = [key for key in self._kept if key not in keys]
        for key in gone:
            del self._kept[key]
        still = {digest for *_, digest in self._kept}
        if left := tuple(dict.fromkeys(digest for *_, digest in gone if digest not in still)):
            self._out.put(DropRows(left))

    def _fetch(self, missing: Iterable[Shard]) -> None:
        """Ask each lender for one, as far as there is room for what it lends."""
        links = {live.peer: live.link for live in self._links if live.peer is not None}
        for one in missing:
            here = sum(kept.size_bytes for key, kept in self._kept.items() if key[0] == one.lender)
            if one.lender in links and one.lender not in self._coming and here + one.size_bytes <= MAX_KEPT_BYTES:
                self._coming[one.lender] = (one, links[one.lender])
                self._blobs.want_offered(one.hash, one.size_bytes, links[one.lender])

    def _drop_coming(self, lender: PeerId) -> None:
        one, _ = self._coming.pop(lender)
        self._blobs.drop_offered(one.hash)

    def _arrive(self) -> None:
        for lender, (one, link) in list(self._coming.items()):
            blob = self._blobs.take(one.hash)
            if blob is not None:
                del self._coming[lender]
                self._prove(one, link, blob)
            elif not self._blobs.is_coming(one.hash):
                del self._coming[lender]  # its link is gone
            elif self._blobs.failures(one.hash) >= MAX_FAILURES:
                self._given_up.add(one.key)
                self._drop_coming(lender)

    def _prove(self, one: Shard, link: LinkId, blob: bytes) -> None:
        try:
            shown = verify_shard(blob, one.data, self._replica.swarm, one.key[2])
        except RemoteError as error:
            self._leases.pop(one.lender, None)
            self._from.discard(one.lender)
            self._blame(link, error)
            return
        self._kept[one.key] = Kept(len(shown.records), len(blob))
        self._out.put(KeepRows(one.hash, tuple((record.key, record.value) for record in shown.records)))

    # -------------------------------------------------------------- for people

    @property
    def held(self) -> tuple[Held, ...]:
        """What is trained on now, by lender."""
        found: dict[PeerId, list[Kept]] = {}
        for one in self._in_use:
            found.setdefault(one.lender, []).append(self._kept[one.key])
        return tuple(
            Held(peer, self._name(peer), len(kept), sum(one.records for one in kept)) for peer, kept in found.items()
        )


def _licence(data: Data) -> str:
    """Of a whole data set, by what its sources say; "" if one says nothing."""
    said = sorted({source.licence for source in data.sources})
    text = said[0] if len(said) == 1 else " AND ".join(f"({one})" for one in said)
    return text if said and said[0] and len(text) <= MAX_LICENCE else ""
