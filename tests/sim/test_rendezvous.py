"""Where members meet, in swarms with troubles: all end with the same secret, and who is put out never hears the new."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gossip.config import PeerConfig
from gossip.events import Event, NewRendezvous, Received, Revoking
from gossip.sim import Crash, Cut, Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.scenario import NewKeyAt
from gossip.sim.station import SimPeer, digest
from gossip.wire import codec
from gossip.wire.frames import RENDEZVOUS_TAG, Rendezvous
from ledger.entry import PeerId, Revoke
from ledger.keys import PrivateKey

CALM = Scenario(
    peers=6, seconds=16.0, round_s=4.0, seed=3, admins=3, settle_s=90.0, signatures="checked", observers=(0, 2, 3, 4)
)  # fmt: skip


class Wide(SimSwarm):
    """A swarm whose nodes go beyond their LAN, the admins among `makers` when they may."""

    def __init__(self, scenario: Scenario, makers: tuple[int, ...] = (0, 1, 2)) -> None:
        self.makers = makers
        self.made: list[Rendezvous] = []
        self.heard: dict[int, list[Rendezvous]] = {}  # by who heard it
        super().__init__(scenario, on_event=self._on)

    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: PeerId) -> SimPeer:
        return _Admin(self, index, key, config, self_id)

    def _on(self, at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received) and event.message[:1] == RENDEZVOUS_TAG:
            frame = codec.decode(event.message)
            assert isinstance(frame, Rendezvous)
            self.heard.setdefault(peer, []).append(frame)

    def ask(self, at: float, peer: int, event: Event) -> None:
        self.clock.at(EPOCH + at, partial(self.peers[peer].deliver, event))

    def put_out(self, at: float, by: int, peer: int) -> None:
        self.ask(at, by, Revoking(self.peers[peer].self_id, 0))
        if self.peers[peer] in self.honest:
            self.honest.remove(self.peers[peer])

    def held(self) -> dict[int, Rendezvous | None]:
        return {peer.index: peer.machine.rendezvous for peer in self.peers if peer.machine is not None}

    def words_on(self, peer: int) -> dict[PeerId, int]:
        """Where in their logs admins have put somebody out, as the first peer has it."""
        book = self.peers[0].book
        assert book is not None
        found: dict[PeerId, int] = {}
        for log in sorted(book.replica.heads()):
            for seq in range(book.replica.size(log)):
                entry = book.replica.entry(log, seq)
                if isinstance(entry, Revoke) and entry.peer == self.peers[peer].self_id:
                    found.setdefault(log, seq)
        return found


class _Admin(SimPeer):
    """Its shell brings a secret when one is wanted, as gossip/node/wide.py does."""

    def deliver(self, event: Event) -> None:
        super().deliver(event)
        swarm = self._swarm
        assert isinstance(swarm, Wide)
        if self.is_up and self.machine is not None and self.index in swarm.makers and self.machine.wants_rendezvous:
            before = self.machine.rendezvous
            super().deliver(NewRendezvous(digest(f"secret {len(swarm.made)}")))
            assert self.machine.rendezvous is not None
            assert self.machine.rendezvous != before
            swarm.made.append(self.machine.rendezvous)


def agreed(swarm: Wide) -> Rendezvous:
    """What all members hold; and what of it is on their disks."""
    held = swarm.held()
    found = {held[peer.index] for peer in swarm.honest}
    assert len(found) == 1
    (one,) = found
    assert one is not None
    for peer in swarm.honest:
        assert codec.decode(peer.memory.rendezvous) == one
    assert max(swarm.made, key=lambda made: made.epoch).epoch == one.epoch
    assert not [fields for _, _, kind, fields in swarm.notes if kind == "refused" and "log" not in fields]
    return one


def test_one_secret_goes_round_and_costs_a_frame_for_each_end_of_a_link() -> None:
    swarm = Wide(replace(CALM, late={5: 9.0}), makers=(1,))
    early: dict[int, Rendezvous | None] = {}
    swarm.clock.at(EPOCH + 8.5, lambda: early.update(swarm.held()))
    swarm.run()
    assert len(early) == 5  # somebody comes when all the others know, and is told over its first links
    assert None not in early.values()
    one = agreed(swarm)
    assert (one.epoch, one.author, len(swarm.made)) == (1, swarm.peers[1].self_id, 1)
    frames = sum(len(frames) for frames in swarm.heard.values())
    assert frames <= 6 * 5 * 2  # a link may be replaced by another one early on
    assert {frame for frames in swarm.heard.values() for frame in frames} == {one}


def test_a_swarm_without_a_secret_says_nothing_of_any() -> None:
    swarm = Wide(CALM, makers=())
    swarm.run()
    assert swarm.heard == {}
    assert set(swarm.held().values()) == {None}
    assert all(peer.memory.rendezvous == b"" for peer in swarm.peers)


def test_admins_who_choose_at_the_same_time_end_with_one() -> None:
    """Both sides of a partition, and everybody starts anew meanwhile: what was kept counts."""
    swarm = Wide(
        replace(CALM, seed=5, cuts=(Cut(0.0, 12.0, (1, 3, 4)),), crashes=(Crash(3, 9.0, 1.0), Crash(0, 9.5, 1.0)),
                )
    )  # fmt: skip
    early: dict[int, Rendezvous | None] = {}
    swarm.clock.at(EPOCH + 11.5, lambda: early.update(swarm.held()))
    swarm.run()
    assert early[0] is not None
    agreed(swarm)


@pytest.mark.parametrize(("seed", "threshold"), [(0, 1), (1, 2)])
def test_who_is_put_out_in_a_partition_never_hears_the_newest(seed: int, threshold: int) -> None:
    """Two admins put two members out, on both sides of a cut, with messages lost, doubled and out of order."""
    swarm = Wide(
        replace(
            CALM, peers=8, seed=100 + seed, loss=0.05, duplicate=0.1, reorder=0.1, threshold=threshold,
            cuts=(Cut(9.0, 14.0, (1, 4, 5)),), crashes=(Crash(2, 10.0, 2.0),), new_keys=(NewKeyAt(1, 7.0),),
        )
    )  # fmt: skip
    swarm.put_out(10.0, 0, 5)  # who is on the other side
    swarm.put_out(10.5, 1, 6)  # likewise
    if threshold == 2:
        swarm.put_out(12.0, 1, 5)
        swarm.put_out(12.5, 0, 6)
    swarm.run()
    newest = agreed(swarm)
    heads = dict(newest.heads)
    for out in (5, 6):
        words = swarm.words_on(out)
        assert len(words) >= threshold
        assert all(heads.get(log, 0) > seq for log, seq in words.items())  # it was made after
        for frame in swarm.heard.get(out, []):
            known = sum(dict(frame.heads).get(log, 0) > seq for log, seq in words.items())
            assert known < threshold, "somebody told it what was chosen because it is out"
        assert swarm.held()[out] != newest
    assert len(swarm.made) <= 12


def test_the_epochs_of_an_admin_who_is_put_out_are_worth_nothing() -> None:
    """It takes the last number there is; as soon as it is out, the others count on from where they were."""
    swarm = Wide(replace(CALM, seed=9), makers=(0, 2))
    bad = swarm.peers[1]

    def raise_it() -> None:
        assert bad.machine is not None
        chapter = bad.machine._rendezvous
        chapter._epochs["who"] = 0
        chapter._next_epoch = lambda now: (1 << 32) - 1  # type: ignore[method-assign]
        type(chapter).wants, wants = property(lambda self: True), type(chapter).wants  # type: ignore[method-assign, assignment]
        try:
            bad.deliver(NewRendezvous(bytes(32)))
        finally:
            type(chapter).wants = wants  # type: ignore[method-assign]

    swarm.clock.at(EPOCH + 8.0, raise_it)
    seen: dict[int, Rendezvous | None] = {}
    swarm.clock.at(EPOCH + 10.0, lambda: seen.update(swarm.held()))
    swarm.put_out(11.0, 0, 1)
    swarm.run()
    assert {frame.epoch for frame in seen.values() if frame is not None} == {(1 << 32) - 1}  # the positive control
    held = agreed(swarm)
    assert (held.epoch, held.author in (swarm.peers[0].self_id, swarm.peers[2].self_id)) == (2, True)
