"""Lending: who of those whom the owner named trains on which part of its public data, while they are there.

    own data entry, public --CutShards--> ShardsCut --> shards
    named, a trainer, publishing still --every lease_s at most, if that changed--> an epoch: Lease to each of them
    WantBlob of a shard --its holder in this epoch, and the gate's leave?--> pieces          else Lacks

Who is there is the lender's sight and no shared fact: it says among whom it divides, and what each gets follows from
that (lease.py). One that has not published for a while is gone, and its shards go to the others; so do those of one
whose membership ends, and the gate refuses it at once.

Rules kept here: a shard leaves under the gate's word for just this receiver, asked for each stretch, and never while
another one holds it. It refuses to know the rows, and what borrowers do with them (borrowing.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from gossip.config import PeerConfig
from gossip.egress import Receiver, Released, Shard, Withheld, ZoneSetting, release, require
from gossip.events import CutShards, LinkId, ShardsCut
from gossip.peer.holdings import Holding
from gossip.peer.lease import holder, shards_of
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.profile import Profile, Trainer
from gossip.peer.rounds import Rounds
from gossip.wire.frames import PIECE_BYTES, Lacks, Lease, Piece, WantBlob
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.replica import Replica

ABSENT_S: Final = 60.0  # without an update, and ...
ABSENT_AFTER: Final = 10  # ... so many of its usual intervals: it is gone
TIMER: Final = "lending"
PRIVATE: Final = ZoneSetting()


@dataclass(frozen=True, slots=True)
class Cut:
    """One shard."""

    number: int
    data: bytes


class Lending:
    """What one peer lends."""

    def __init__(
        self, config: PeerConfig, own: PeerId, replica: Replica, links: Links, rounds: Rounds, profile: Profile,
        out: Outbox, name: Callable[[PeerId | None], str],
    ) -> None:  # fmt: skip
        self._named = tuple(sorted({*config.lend_to} - {own}))
        self._every_s = config.lease_s
        self._replica = replica
        self._links = links
        self._rounds = rounds
        self._profile = profile
        self._out = out
        self._name = name
        self._asked: Hash = ""  # for the shards of that data set
        self._cut: dict[Hash, Cut] = {}
        self._root: Hash = ""  # of what is lent in this epoch
        self._among: tuple[PeerId, ...] = ()
        self._epoch = 0
        self._look_at = 0.0
        self._told_private = False

    # -------------------------------------------------------------- what happens

    def cut(self, event: ShardsCut, now: float) -> None:
        """Shards are here. The first epoch waits, until whoever is there has had time to show it."""
        if event.root == self._asked:
            shards = [(number, data) for number, data in enumerate(event.shards) if data]
            self._cut = {sha256(data).hexdigest(): Cut(number, data) for number, data in shards}
            self._look_at = now + self._every_s

    def known(self, live: Live) -> None:
        """A link to a member: what is its share, if it has one, or had one."""
        if self._epoch and live.peer in self._named:
            self._say(live)

    # -------------------------------------------------------------- epochs

    def tick(self, now: float) -> None:
        if not self._named:
            return
        data = self._rounds.on_record
        if self._asked and (data is None or self._asked != data.root):  # other data by now, or none
            self._asked, self._cut = "", {}
        if self._among and not self._cut:
            self._begin((), now)
        if data is not None and data.zone != "public" and not self._told_private:
            self._told_private = True
            self._out.note(
                "trouble",
                text="nothing of this peer's data is lent: they are private; gossip data zone FILE public changes that",
            )
        if data is not None and not self._asked and any(self._may_have(peer) for peer in self._named):
            self._asked = data.root
            self._out.put(CutShards(self._asked))
        if not self._cut:
            return
        if now >= self._look_at:
            self._look_at = now + self._every_s
            among = tuple(peer for peer in self._named if self._may_have(peer) and self._is_there(peer, now))
            if among != self._among or self._root != self._asked:
                self._begin(among, now)
        self._out.timer(TIMER, self._look_at)

    def _begin(self, among: tuple[PeerId, ...], now: float) -> None:
        self._among, self._root = among, self._asked or self._root
        self._epoch = max(self._epoch + 1, int(now))
        shares = {self._name(peer) or peer[:8]: len(shards_of(self._root, peer, among)) for peer in among}
        self._out.note("lent", epoch=self._epoch, shards=shares)
        for live in self._links:
            if live.peer in self._named:
                self._say(live)

    def _say(self, live: Live) -> None:
        mine = [
            (cut.number, digest, len(cut.data))
            for digest, cut in self._cut.items()
            if live.peer and holder(self._root, cut.number, self._among) == live.peer
        ]
        self._out.send(live.link, Lease(self._root, self._epoch, self._among, tuple(sorted(mine))))

    def _is_there(self, peer: PeerId, now: float) -> bool:
        """Whether it has published lately, as far as we saw."""
        trainer = next((one for name, one in self._profile.trainers() if name == peer), Trainer())
        return bool(trainer.heard) and now - trainer.last_at <= max(ABSENT_S, ABSENT_AFTER * trainer.interval_s)

    # -------------------------------------------------------------- giving

    def _leave(self, peer: PeerId) -> Released[Shard] | Withheld:
        """The gate's word, by what the own data entry says and whom the owner named on this machine."""
        data, to = self._rounds.on_record, Receiver(peer, self._replica.role_of(peer) if peer else "")
        setting = PRIVATE if data is None else replace(ZoneSetting.of_entry(data), lends=self._named)
        return release(setting, Shard, of="" if data is None else data.root, to=to)

    def _may_have(self, peer: PeerId) -> bool:
        return isinstance(self._leave(peer), Released)

    def on_want(self, link: LinkId, want: WantBlob, to: PeerId | None) -> bool:
        """Serve a stretch of a shard, if it is that which is asked for, and is the asker's."""
        cut = self._cut.get(want.hash)
        if cut is None:
            return False
        leave = self._leave(to or "")
        if isinstance(leave, Withheld) or holder(self._root, cut.number, self._among) != leave.to.peer:
            self._out.send(link, Lacks(want.hash))
            return True
        if want.offset >= len(cut.data):
            raise RemoteError("a stretch beyond a shard's end is asked for")
        require(leave, Shard, of=self._root, to=leave.to)
        end = min(len(cut.data), want.offset + want.length)
        for offset in range(want.offset, end, PIECE_BYTES):
            part = cut.data[offset : min(end, offset + PIECE_BYTES)]
            self._out.send(link, Piece(want.hash, len(cut.data), offset, part), bulk=True)
        return True

    # -------------------------------------------------------------- for people

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """All whom the owner named, and how many shards each has now."""
        return tuple(
            Holding(peer, self._name(peer), len(shards_of(self._root, peer, self._among)) if peer in self._among else 0)
            for peer in self._named
        )
