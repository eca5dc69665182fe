"""Bundles of toy swarms, signed as their authors would sign them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ledger.bundle import BundleContents, BundleLog, Entries, write_bundle
from ledger.carried import blobs_of
from ledger.chain import peer_of
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.entry import Hash
from ledger.merkle import Tree, leaf_hash
from ledger.replica import Replica
from ledger.vouched import final_witnesses
from tests.fold.toy import POLICY, Peer, Swarm, key_of

SIGNED_AT = 1_767_229_200


def stream_of(entries: Sequence[bytes]) -> Entries:
    """Entries in memory, as a bundle gives them."""

    def stream(start: int = 0) -> Iterator[bytes]:
        return islice(entries, start, None)

    return stream


def entries_of(replica: Replica, log: str) -> list[bytes]:
    return [replica.data(log, seq) for seq in range(replica.size(log))]


def contents_of(swarm: Swarm, peer: Peer | None = None, *, model_hash: Hash | None = None) -> BundleContents:
    """What `peer` (the founder, if not said) would export."""
    holder = peer or swarm.founder
    replica = holder.replica
    names = {peer.id: name for name, peer in swarm.peers.items()}
    logs = []
    for log, size in sorted(replica.heads().items()):
        entries = entries_of(replica, log)
        logs.append(BundleLog(log, size, holder.note(log, size, names[peer_of(log)]), stream_of(entries)))
    used = set(blobs_of([(log.peer, log.entries) for log in logs], holder.blobs.get))
    blobs = {name: data for name, data in holder.blobs.items() if name in used}
    return BundleContents(
        swarm=swarm.swarm, founder=swarm.founder_id, model_hash=model_hash or holder.model_hash(),
        policy=POLICY.encode(), logs=tuple(logs), blobs=lambda: sorted(blobs),
        blob=lambda name, limit=0: blobs.get(name), witnesses=final_witnesses(replica),
    )  # fmt: skip


def forged(swarm: Swarm, contents: BundleContents, log: str, entries: list[bytes]) -> BundleContents:
    """The bundle with other entries in one log, rightly signed by its author."""
    peer = swarm[log]
    root = Tree(leaf_hash(data) for data in entries).root()
    note = sign(Checkpoint(origin(swarm.swarm, peer.id), len(entries), root), key_of(log))
    other = BundleLog(peer.id, len(entries), note, stream_of(entries))
    return replace(contents, logs=tuple(other if held.peer == peer.id else held for held in contents.logs))


def with_log(contents: BundleContents, log: str, change: Callable[[BundleLog], BundleLog]) -> BundleContents:
    """The bundle with one log changed."""
    return replace(contents, logs=tuple(change(held) if held.peer == log else held for held in contents.logs))


def cosigned(swarm: Swarm, log: str, size: int, witnesses: Sequence[str], holder: Peer | None = None) -> bytes:
    """The note over a log's first `size` entries, cosigned by these members."""
    peer = holder or swarm.founder
    names = {peer.id: name for name, peer in swarm.peers.items()}
    checkpoint = Checkpoint(origin(swarm.swarm, peer_of(log)), size, peer.replica.root(log, size))
    note = peer.note(log, size, names[peer_of(log)])
    lines = [
        cosign(checkpoint, origin(swarm.swarm, swarm[name].id), key_of(name, swarm[name].keys), SIGNED_AT)
        for name in witnesses
    ]
    return add_cosignatures(note, lines)


def written(swarm: Swarm, path: Path) -> Path:
    write_bundle(path, contents_of(swarm))
    return path
