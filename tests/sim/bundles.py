"""What a peer of a simulated swarm would export: its ledger under the checkpoints that it was given, and its blobs."""

from __future__ import annotations

from gossip.sim import SimSwarm
from ledger.bundle import BundleContents, BundleLog
from ledger.carried import blobs_of
from ledger.checkpoint import author_only
from ledger.seals import head_proof
from ledger.vouched import final_witnesses
from tests.fold.bundles import entries_of, stream_of


def contents_of(swarm: SimSwarm, index: int = 0) -> BundleContents:
    peer = swarm.peers[index]
    assert peer.book is not None
    replica, memory = peer.book.replica, peer.memory
    logs = []
    for log, signed in sorted(memory.checkpoints.items()):
        tree, note = replica.tree(log).prefix(signed.held), author_only(signed.note)
        entries = stream_of(entries_of(replica, log)[: signed.held])
        logs.append(BundleLog(log, signed.held, note, entries, head=head_proof(tree, note, signed.proof)))
    used = set(blobs_of([(log.peer, log.entries) for log in logs], memory.blob))
    blobs = {name: blob for name in used if (blob := memory.blob(name)) is not None}
    return BundleContents(
        swarm=replica.swarm, founder=replica.founder, model_hash=peer.book.model_hash(),
        policy=swarm.scenario.policy.encode(), logs=tuple(logs), blobs=lambda: sorted(blobs),
        blob=lambda name, limit=0: blobs.get(name), witnesses=final_witnesses(replica),
    )  # fmt: skip
