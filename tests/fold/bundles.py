"""Bundles of toy swarms, signed as their authors would sign them."""

from __future__ import annotations

from pathlib import Path

from ledger.bundle import BundleContents, BundleLog, write_bundle
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Hash
from tests.fold.toy import POLICY, Peer, Swarm, key_of


def contents_of(swarm: Swarm, peer: Peer | None = None, *, model_hash: Hash | None = None) -> BundleContents:
    """What `peer` (the founder, if not said) would export."""
    holder = peer or swarm.founder
    replica = holder.replica
    names = {peer.id: name for name, peer in swarm.peers.items()}
    logs = []
    for log, size in sorted(replica.heads().items()):
        entries = [replica.data(log, seq) for seq in range(size)]
        note = sign(Checkpoint(origin(swarm.swarm, log), size, replica.root(log, size)), key_of(names[log]))
        logs.append(BundleLog(log, size, note, lambda entries=entries: iter(entries)))
    used = {delta for _, _, delta, _ in replica.updates}
    blobs = {name: data for name, data in holder.blobs.items() if name in used}
    return BundleContents(
        swarm=swarm.swarm, founder=swarm.founder_id, model_hash=model_hash or holder.model_hash(),
        policy=POLICY.encode(), logs=tuple(logs), blobs=lambda: sorted(blobs), blob=blobs.get,
    )  # fmt: skip


def written(swarm: Swarm, path: Path) -> Path:
    write_bundle(path, contents_of(swarm))
    return path
