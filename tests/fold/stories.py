"""Random but repeatable lives of a toy swarm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Final

from ledger.canonical import decode_entry, entry_hash
from ledger.delta import Delta, blocks, encode
from ledger.entry import FoldConstants, Hash
from ledger.replica import Checked, Disputed, LogId, Replica, Waiting, fork_of
from tests.fold.toy import POLICY, Peer, Swarm, constants
from tests.plain_fold import History

# Policies that admins of a toy swarm ask for, beside POLICY: steps are 3, 10 or 1,500.
SHORT = "policy = 1\n\n[update.steps]\nmax = 5\n"
LONG = "policy = 1\n\n[update.steps]\nmax = 2000\n"
HALF = 'policy = 1\n\n[update.steps]\nmax = 5\non_fail = "weight"\npermille = 500\n'
SEEN = 'policy = 1\n\n[update.steps]\nmax = 5\non_fail = "quarantine"\n'

FORKED: Final = 26  # a seed of whose troubles the first 24 events have some of every kind


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


def troubled_swarm(seed: int, *, events: int = 60) -> Swarm:
    """A busy swarm in which logs are signed twice, keys change, thieves write, and snapshots become final.

    Two of five are copied: the copies go on writing, to whoever hears them first. The founder and two more are honest
    and hear everything in the end.
    """
    luck = Random(seed)
    witnesses = ["founder", "ann", "bob"]
    swarm = Swarm(["ann", "bob", "cyd", "dan"], witnesses=witnesses)
    honest = [swarm[name] for name in witnesses]
    forkers: dict[str, list[Peer]] = {name: [swarm[name]] for name in ("cyd", "dan")}

    def publish(peer: Peer) -> None:
        view = peer.replica.heads() if luck.random() < 0.5 else peer.views
        peer.publish_blob(random_blob(luck, 16, exponent=luck.choice([-11, -10, -7])), view=view)
        peer.views = peer.replica.heads()

    for event in range(events):
        if event in (events // 5, events // 2):
            name = luck.choice(sorted(forkers))
            twin = luck.choice(forkers[name]).twin()
            forkers[name].append(twin)
            match luck.randrange(4):
                case 0:
                    twin.rotate()
                case 1:
                    twin.recover(since=luck.randrange(2, twin.replica.size(twin.id) + 1))
        if event in (2 * events // 5, 3 * events // 4):
            both = luck.choice(honest)  # hears all of them, and builds on that
            for other in [twin for twins in forkers.values() for twin in twins]:
                both.fetch(other)
            publish(both)
        everybody = [*honest, *(twin for twins in forkers.values() for twin in twins)]
        peer = luck.choice(everybody)
        match luck.randrange(12):
            case 0 | 1 | 2 | 3:
                peer.fetch(luck.choice([other for other in everybody if other.id != peer.id]))
            case 4:
                author = luck.choice(honest)
                snapshot = author.snapshot().seq
                for witness in honest:
                    if witness is not author and luck.random() < 0.7:
                        witness.fetch(author)
                others = [other for other in honest if other is not author]
                if all(author.replica.enrolled(other.id) for other in others):
                    author.write_final_if_met(snapshot, others)
            case 5:
                _accuse(luck, luck.choice(honest), forkers)
            case _:
                publish(peer)
    for other in [twin for twins in forkers.values() for twin in twins]:
        for peer in honest:
            peer.fetch(other)
    swarm.exchange(*witnesses)
    return swarm


def governed_swarm(seed: int, *, events: int = 60, threshold: int = 2) -> Swarm:
    """Three admins ask for one policy after the other, from different pasts, while everybody publishes."""
    luck = Random(seed)
    texts = [POLICY, SHORT, LONG, HALF, SEEN]
    swarm = Swarm(["ann", "bob", "cyd"], admins=["ann", "bob"], threshold=threshold, fold=constants())
    for _ in range(events):
        name = luck.choice(sorted(swarm.peers))
        peer = swarm[name]
        match luck.randrange(9):
            case 0 | 1 | 2:
                peer.fetch(swarm[luck.choice(sorted(swarm.peers))])
            case 3 | 4 if name != "cyd":
                said = [wish for wish in peer.replica.asked() if wish[0] == _next(peer)]
                if said and luck.random() < 0.7:
                    peer.ask_for(peer.replica.policy_of(luck.choice(said)[1]).text)
                else:
                    peer.ask_for(luck.choice(texts))
            case 5 if luck.random() < 0.4:
                peer.snapshot()
            case _:
                peer.publish_blob(random_blob(luck, 16, exponent=-10), steps=luck.choice([3, 10, 1500]))
    swarm.exchange()
    return swarm


def _next(peer: Peer) -> int:
    return peer.replica.next_policy(peer.id, peer.replica.draft(peer.id))


def _accuse(luck: Random, accuser: Peer, forkers: dict[str, list[Peer]]) -> None:
    """With what two copies have signed at one index, if they have, and if the accuser knows the keys."""
    twins = luck.choice(list(forkers.values()))
    if len(twins) < 2:
        return
    one, other = luck.sample(twins, 2)
    upto = min(one.replica.size(one.id), other.replica.size(one.id))
    differ = [seq for seq in range(2, upto) if one.replica.data(one.id, seq) != other.replica.data(one.id, seq)]
    if differ and accuser.replica.enrolled(one.id):
        accuser.try_accuse(one, other, luck.choice(differ))


def model_of(swarm: Swarm, *names: str) -> Hash:
    hashes = {swarm[name].model_hash() for name in names or swarm.peers}
    assert len(hashes) == 1
    return hashes.pop()


def checked_entries(swarm: Swarm) -> Iterator[tuple[Replica, Checked]]:
    """Every admitted entry again, in an order that works, with the replica as it was just before."""
    observer = swarm.observer()
    observer.blobs = dict(swarm.founder.blobs)
    waiting = swarm.everything()
    while waiting:
        rest = []
        for peer, seq, data in waiting:
            log = observer.replica.strand_for(peer, data)
            checked = _check(observer, log, seq, data)
            if log is not None and checked is not None:
                yield observer.replica, replace(checked)
                observer.take(log, data)
            else:
                rest.append((peer, seq, data))
        assert len(rest) < len(waiting)
        waiting = rest


def _check(observer: Peer, log: str | None, seq: int, data: bytes) -> Checked | None:
    if log is None or seq != observer.replica.size(log):
        return None
    try:
        checked = observer.replica.check(log, data)
    except Disputed:
        return None
    return None if isinstance(checked, Waiting) else checked


@lru_cache(maxsize=1024)
def _previous(data: bytes) -> Hash:
    """The entry before one: looked up a thousand times for the same ones."""
    return decode_entry(data).prev


def shuffled_delivery(swarm: Swarm, luck: Random) -> Peer:
    """A newcomer gets every entry, in any order and some twice; it keeps aside what it cannot use yet."""
    observer = swarm.observer()
    observer.blobs = dict(swarm.founder.blobs)
    entries = swarm.everything()
    arrivals = entries + luck.choices(entries, k=len(entries) // 3)
    luck.shuffle(arrivals)
    placed: dict[str, str] = {}  # entry hash -> the log on which it stands
    after: dict[str, dict[bytes, str]] = {}  # hash of the entry before -> entries aside -> author
    aside: dict[bytes, str] = {}  # entries of which the one before is held, but not all their past
    needs: dict[bytes, tuple[tuple[LogId, int], ...]] = {}  # of those that said what they wait for
    for peer, _, data in arrivals:
        before = _previous(data)
        if entry_hash(data) in placed or data in aside or data in after.get(before, {}):
            continue
        if before and before not in placed:
            after.setdefault(before, {})[data] = peer
            continue
        aside[data] = peer
        moved = True
        while moved:
            moved = False
            for waiting, author in list(aside.items()):
                if not all(observer.replica.holds(*need) for need in needs.get(waiting, ())):
                    continue
                taken = observer.deliver(author, waiting)
                if not isinstance(taken, Checked):
                    needs[waiting] = taken.needs if isinstance(taken, Waiting) else ()
                    continue
                del aside[waiting]
                name = entry_hash(waiting)
                placed[name] = author
                aside.update(after.pop(name, {}))
                moved = True
    assert not aside
    assert not after
    return observer


def history_of(swarm: Swarm) -> History:
    """The swarm as the second implementation reads it."""
    ruled = [checked for _, checked in checked_entries(swarm) if checked.ruling is not None]
    left_out = {checked.hash for checked in ruled if checked.refused}
    permille = {checked.hash: checked.ruling.permille for checked in ruled if checked.ruling is not None}
    entries = [data for _, _, data in swarm.everything()]
    return History(entries, swarm.founder_id, left_out, swarm.founder.blobs, permille)


def named_weights(replica: Replica) -> dict[Hash, int]:
    """The weight of every update that the policy let in, by the hash of its entry: so that trunks do not matter."""
    found: dict[Hash, int] = {}
    for log, size in replica.heads().items():
        for seq in range(fork_of(log), size):
            weight = replica.weight_of(log, seq)
            if weight is not None:
                found[entry_hash(replica.data(log, seq))] = weight
    return found


def named_terms(replica: Replica) -> set[Hash]:
    """The updates in the sum, by the hash of their entries."""
    return {entry_hash(replica.data(log, seq)) for log, seq, _, _ in replica.updates}
