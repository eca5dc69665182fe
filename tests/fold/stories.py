"""Random but repeatable lives of a toy swarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from ledger.delta import Delta, blocks, encode
from ledger.entry import FoldConstants, Hash, PeerId
from ledger.replica import Checked, Replica
from tests.fold.toy import Swarm


def random_blob(luck: Random, parameters: int, *, exponent: int) -> bytes:
    """A delta made of integers alone, so that it is the same on every machine."""
    indices = tuple(sorted(luck.sample(range(parameters), parameters // 4))) if luck.random() < 0.5 else None
    kept = parameters if indices is None else len(indices)
    values = tuple(luck.randint(-127, 127) for _ in range(kept))
    return encode(Delta(parameters, indices, (exponent,) * blocks(kept), values))


def busy_swarm(seed: int, *, peers: int = 4, events: int = 60, fold: FoldConstants | None = None) -> Swarm:
    """Peers publish at different rates, from old views, hear of one another late, join late, break the policy."""
    luck = Random(seed)
    names = [f"peer{number}" for number in range(peers - 1)]
    late = names.pop() if peers > 2 else None
    swarm = Swarm(names, fold=fold)
    keen = {name: luck.choice([1, 1, 3]) for name in [*swarm.peers, late]}
    views = {name: peer.replica.heads() for name, peer in swarm.peers.items()}
    for event in range(events):
        if late and event == events // 3:
            swarm.join(late)
            views[late] = swarm[late].replica.heads()
        name = luck.choices(list(swarm.peers), [keen[name] for name in swarm.peers])[0]
        peer = swarm[name]
        match luck.randrange(10):
            case 0 | 1 | 2 | 3:
                other = luck.choice([other for other in swarm.peers if other != name])
                peer.fetch(swarm[other])
            case 4:
                views[name] = peer.replica.heads()
            case 5 if luck.random() < 0.3:
                peer.snapshot()
            case _:
                blob = random_blob(luck, 16, exponent=luck.choice([-11, -10, -7]))
                if luck.random() < 0.1:
                    peer.publish_blob(blob, view=views[name], steps=5000)  # beyond the policy of the toy swarm
                else:
                    peer.publish_blob(blob, view=views[name])
                    if luck.random() < 0.7:
                        views[name] = peer.replica.heads()
    swarm.exchange()
    return swarm


def model_of(swarm: Swarm) -> Hash:
    hashes = {peer.model_hash() for peer in swarm.peers.values()}
    assert len(hashes) == 1
    return hashes.pop()


def checked_entries(swarm: Swarm) -> Iterator[tuple[Replica, Checked]]:
    """Every admitted entry again, in an order that works, with the replica as it was just before."""
    observer = swarm.observer()
    observer.blobs = dict(swarm.founder.blobs)
    waiting = swarm.everything()
    while waiting:
        rest = []
        for log, seq, data in waiting:
            if seq != observer.replica.size(log):
                rest.append((log, seq, data))
                continue
            checked = observer.replica.check(log, data)
            if isinstance(checked, Checked):
                yield observer.replica, replace(checked)
                observer.take(log, data)
            else:
                rest.append((log, seq, data))
        assert len(rest) < len(waiting)
        waiting = rest


def shuffled_delivery(swarm: Swarm, luck: Random) -> tuple[dict[PeerId, int], Hash]:
    """A newcomer gets every entry, in any order and some twice; it keeps aside what it cannot use yet."""
    observer = swarm.observer()
    observer.blobs = dict(swarm.founder.blobs)
    entries = swarm.everything()
    arrivals = entries + luck.choices(entries, k=len(entries) // 3)
    luck.shuffle(arrivals)
    aside: dict[tuple[PeerId, int], bytes] = {}
    parked: dict[PeerId, list[PeerId]] = {}
    for log, seq, data in arrivals:
        if seq < observer.replica.size(log):
            continue
        aside[log, seq] = data
        ready = [log]
        while ready:
            log = ready.pop()
            seq = observer.replica.size(log)
            while (log, seq) in aside:
                taken = observer.take(log, aside[log, seq])
                if not isinstance(taken, Checked):
                    for other, _ in taken.needs:
                        parked.setdefault(other, []).append(log)
                    break
                del aside[log, seq]
                seq += 1
                ready.extend(parked.pop(log, ()))
    assert not aside
    return observer.replica.heads(), observer.model_hash()
