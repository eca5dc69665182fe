"""Lives of a toy swarm whose members come, are let in again by others, bring guests, and are shown out.

Three admins of whom two must agree, so that one's word is nothing, the second one's lowers the index, and a third one's
may. Those who are shown out go on writing until they hear of it; one of them is copied, and the copy writes, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from ledger.entry import Data
from ledger.replica import InvalidEntry, Replica, fork_of, peer_of
from tests.fold.judging import of_kind
from tests.fold.stories import random_blob
from tests.fold.toy import NOW, Peer, Swarm

ADMINS: Final = ("founder", "ann", "bob")
SOON: Final = NOW + 3600
MOVED: Final = 21  # a seed of whose first 20 events somebody is shown out, and somebody copied


def membered_swarm(seed: int, *, events: int = 60, copies: bool = True) -> Swarm:
    """The admins hear everything in the end."""
    luck = Random(f"members {seed}")
    swarm = Swarm(["ann", "bob", "cyd", "dan"], admins=ADMINS[1:], threshold=2, guests=2, witnesses=ADMINS)
    swarm.join("eve", by="cyd")
    swarm.join("fay", role="observer", by="cyd", expires=SOON)
    swarm.join("gus", by="dan", expires=SOON)
    swarm.exchange()
    others: dict[str, list[Peer]] = {name: [peer] for name, peer in swarm.peers.items() if name not in ADMINS}
    for event in range(events):
        if copies and event == events // 3:
            name = luck.choice(["cyd", "eve"])
            others[name].append(others[name][0].twin())
        everybody = [*(swarm[name] for name in ADMINS), *(twin for twins in others.values() for twin in twins)]
        peer = luck.choice(everybody)
        if luck.random() < 0.3:
            peer.fetch(luck.choice([other for other in everybody if other.id != peer.id]))
        if peer.replica.is_revoked(peer.id):
            continue
        admin, what = peer.name in ADMINS, luck.randrange(10)
        if admin and what < 3:
            _try(partial(_show_out, luck, swarm, peer, late=event > events // 2))
        elif (admin or peer.name in ("cyd", "dan")) and what == 3:
            _try(partial(_let_in_again, luck, swarm, peer))
        elif what == 4:
            peer.snapshot()
        elif admin and what == 5:
            _finish(luck, swarm, peer)
        elif peer.replica.membership(peer.id).trains:
            if not of_kind(peer, peer.id, Data):
                peer.announce_data()
            view = peer.replica.heads() if luck.random() < 0.5 else peer.views
            peer.publish_blob(random_blob(luck, 16, exponent=luck.choice([-11, -10, -7])), view=view)
            peer.views = peer.replica.heads()
    for twins in others.values():
        for twin in twins:
            for name in ADMINS:
                swarm[name].fetch(twin)
    swarm.exchange(*ADMINS)
    return swarm


def _try(write: Callable[[], object]) -> None:
    try:
        write()
    except InvalidEntry as error:
        if error.rule not in ("member", "revoke"):  # it adds nothing, or would leave too few admins
            raise


def _show_out(luck: Random, swarm: Swarm, admin: Peer, *, late: bool) -> None:
    wanted = [peer for peer in swarm.peers.values() if peer.name in ("eve", "gus", "cyd")]
    if late and luck.random() < 0.2:
        wanted.append(swarm["bob"])
    peer = luck.choice([one for one in wanted if one is not admin and admin.replica.enrolled(one.id)])
    size = admin.replica.size(peer.id)
    admin.revoke(peer, since=luck.choice([size, size, size - 1, max(0, size - 4), size + 2]))


def _let_in_again(luck: Random, swarm: Swarm, by: Peer) -> None:
    peer = swarm[luck.choice(["dan", "eve", "fay", "gus"])]
    if peer is not by and by.replica.enrolled(peer.id):
        by.let_in(peer, luck.choice(["trainer", "relay", "observer"]), luck.choice([0, SOON, SOON + 60]))


def _finish(luck: Random, swarm: Swarm, admin: Peer) -> None:
    snapshot = admin.snapshot().seq
    others = [swarm[name] for name in ADMINS if name != admin.name]
    for other in others:
        if luck.random() < 0.5:
            other.fetch(admin)
    admin.final(snapshot, others)


def seats(replica: Replica) -> dict[str, tuple[object, ...]]:
    """Everything that is said of members: the same for all who hold the same entries."""
    peers = {peer_of(log) for log in replica.heads()}
    return {
        peer: (replica.membership(peer), replica.revoked_from(peer), replica.role_of(peer)) for peer in sorted(peers)
    } | {
        "trainers": replica.trainers(),
        "keys": tuple(replica.member_by_key(replica.key_of(peer)) for peer in sorted(peers)),
    }


def lost(replica: Replica) -> int:
    """Updates that were let in and do not count."""
    logs = replica.heads().items()
    held = sum(replica.weight_of(log, seq) is not None for log, size in logs for seq in range(fork_of(log), size))
    return held - sum(1 for _ in replica.updates)
