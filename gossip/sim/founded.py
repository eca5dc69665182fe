"""A swarm that was founded long ago: so many members in its ledger, of whom some are up, and a panel publishes.

    founder: genesis, enrol, and for each member: its enrol, a member entry --> the store of everybody --> they start

Why it exists: what a member costs is asked of swarms of a thousand, and to let a thousand machines join one another
takes two million admissions before anything is seen. Here they have all that already. Who is not up has drawn no place
while the run lasts, so what those who are up receive is what they would receive of all; only the ways that it takes are
those of the smaller number.

Rules kept here: every entry is made and admitted by the replica that everybody uses; nothing watches (invariants.py is
for runs in which everybody joins), so what is measured is the machines. It refuses to know what is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import restore
from gossip.peer.author import chain
from gossip.peer.panel import turn_of
from gossip.sim.clock import EPOCH
from gossip.sim.invariants import Invariants
from gossip.sim.scenario import Scenario
from gossip.sim.station import SimPeer, Write, digest
from gossip.sim.swarm import SimSwarm
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import Member, PeerId
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.replica import Replica, Waiting

AT_ONCE: Final = 200  # members whom one entry of the founder introduces
TRIES: Final = 100_000  # keys that may be tried for one member


class Unwatched(Invariants):
    """No rules are looked at."""

    def started(self, peer: SimPeer) -> None: ...

    def after(self, peer: SimPeer) -> None: ...

    def stored(self, peer: SimPeer, write: Write) -> None: ...

    def look_through(self, peers: Iterable[SimPeer], *, recompute: Iterable[SimPeer] = ()) -> None: ...

    def at_end(self, peers: list[SimPeer], honest: list[SimPeer]) -> None: ...


class FoundedSwarm(SimSwarm):
    """`scenario.peers` are up of `members`; as many of them as `panel` of genesis has places are drawn. LocalError if
    there are fewer up than places, unless all are drawn."""

    def __init__(self, scenario: Scenario, members: int) -> None:
        if members < scenario.peers or members > scenario.peers < scenario.constants["panel"]:
            raise LocalError("a panel cannot be up", next_step="let as many be up as the panel has places")
        self.members = members
        super().__init__(scenario)
        self.invariants = Unwatched(
            self.swarm_id, self.peers[0].self_id, scenario.eta, NumpyArithmetic, lambda: self.clock.elapsed_s
        )

    def _found(self) -> list[SimPeer]:
        peers = super()._found()
        founder, places = peers[0], self.scenario.constants["panel"]
        replica = restore(
            self.swarm_id, founder.self_id, founder.memory.history, founder.memory.blobs.get, NumpyArithmetic()
        ).replica
        drawn = int(self._is_drawn(founder.self_id))
        known = [(founder.self_id, b"")]
        for index in range(1, self.members):
            wanted = self.members <= places or (index < len(peers) and drawn < places)
            key, enrol, name = next(self._keys(index, founder.self_id, is_drawn=wanted))
            drawn += wanted
            known.append((name, enrol))
            if index < len(peers):
                config = replace(peers[index]._config, enrol=b"", inviter=b"")
                peers[index] = self.make_peer(index, key, config, name)
        _let_in(replica, founder, known)
        for peer in peers[1:]:
            peer.memory = founder.memory.copy()
        return peers

    def _keys(self, index: int, sponsor: PeerId, *, is_drawn: bool) -> Iterator[tuple[PrivateKey, bytes, PeerId]]:
        """Keys of a member that is drawn while the run lasts, or is not."""
        for number in range(TRIES):
            key = self.signing.key(digest(f"key {self.scenario.seed}/{index}/{number}/founded"))
            enrol = self._enrol(index, key, sponsor)
            name = entry_hash(enrol)
            if self._is_drawn(name) == is_drawn:
                yield key, enrol, name

    def _is_drawn(self, peer: PeerId) -> bool:
        scenario = self.scenario
        turn = turn_of(
            self.swarm_id, peer, EPOCH, scenario.config.window_s, scenario.constants["panel"], self.members
        )  # fmt: skip
        return turn.is_drawn


def _let_in(replica: Replica, founder: SimPeer, known: list[tuple[PeerId, bytes]]) -> None:
    """The founder hears of all of them, and writes that they are members."""

    def keep(log: PeerId, data: bytes) -> None:
        checked = replica.check(log, data)
        assert not isinstance(checked, Waiting)
        replica.admit(checked)
        founder.memory.put(log, checked.seq, data, None)

    own = founder.self_id
    for start in range(1, len(known), AT_ONCE):
        some = known[start : start + AT_ONCE]
        for peer, enrol in some:
            keep(peer, enrol)
        for peer, _ in some:
            fields = replica.draft(own)
            entry = Member(**chain(fields), peer=peer, role="trainer", expires=0)
            keep(own, encode_entry(fields.stamp(entry, int(EPOCH))))
