"""Deltas go in several writes; what is named again in between stays."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from gossip.config import PeerConfig
from gossip.events import DropBlobs
from gossip.peer import pruning
from gossip.peer.blobs import Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.pruning import Pruning
from tests.fold.stories import random_blob
from tests.fold.test_pruned import Keeper
from tests.fold.toy import Swarm


class Shelf:
    def __init__(self, kept: dict[str, bytes]) -> None:
        self.kept = kept

    def blob(self, digest: str, /) -> bytes | None:
        return self.kept.get(digest)


def test_a_delta_that_is_named_again_before_it_went_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 1)
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    ann, bob, luck = swarm["ann"], swarm["bob"], Random(1)
    deltas = [random_blob(luck, 16, exponent=-10) for _ in range(3)]
    for delta in deltas:
        ann.publish_blob(delta)
    snapshot = ann.snapshot().seq
    swarm.exchange()
    final = ann.final(snapshot, [swarm.founder, bob])
    swarm.exchange()
    keeper = Keeper(swarm, 0)
    keeper.hear(None)
    out = Outbox()
    blobs = Blobs(Pace(1.0), out, Shelf(keeper.kept), lambda log, seq: [])
    peer = Pruning(PeerConfig(keep_updates=0, prune_step=1), keeper.book, blobs, out, lambda: 0)
    peer.learn(final.entry)
    peer.tick(10.0)
    again = bob.publish_blob(deltas[1])
    assert keeper._take(bob.id, again.data, None)
    peer.learn(again.entry)
    for second in range(11, 20):
        peer.tick(second)
    gone = [digest for effect in out.take() if isinstance(effect, DropBlobs) for digest in effect.hashes]
    assert set(gone) == {sha256(delta).hexdigest() for delta in (deltas[0], deltas[2])}
