"""What a peer's store becomes: a bundle with every branch, cosigned notes, and logs that go on elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli import auditing
from cli.settings import STORE
from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, Report, audit_path
from ledger.chain import fork_of, peer_of
from ledger.errors import LocalError
from ledger.store import PutBlob, PutCheckpoint, PutCosigned, PutEntry, PutMeta, Store, Write
from tests.fold import toy
from tests.fold.bundles import cosigned

CHANGE = np.linspace(-0.1, 0.1, 16)


def stored(place: Path, swarm: toy.Swarm, more: list[Write]) -> Path:
    """Everything that the founder holds, as its node would have kept it."""
    founder = swarm.founder
    replica = founder.replica
    names = {peer.id: peer.name for peer in swarm.peers.values()}
    writes: list[Write] = []
    for log, size in replica.heads().items():
        writes += [PutEntry(log, seq, replica.data(log, seq)) for seq in range(fork_of(log), size)]
        writes.append(PutCheckpoint(log, size, founder.note(log, size, names[peer_of(log)])))
    writes += [PutBlob(digest, data) for digest, data in founder.blobs.items()]
    writes.append(PutBlob(replica.genesis.policy, toy.POLICY.encode()))
    facts = {"swarm": swarm.swarm, "founder": swarm.founder_id, "self": swarm.founder_id, "swarm_name": "toy"}
    writes += [PutMeta(key, value.encode()) for key, value in facts.items()]
    place.mkdir()
    with Store(place / STORE) as store:
        store.commit([*writes, *more])
    return place / STORE


def verified(path: Path, swarm: toy.Swarm) -> Report:
    return audit_path(path, NumpyArithmetic(), Anchors(swarm=swarm.swarm))


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar.gz"])
def test_a_store_with_a_forked_log_its_evidence_and_a_changed_key_is_exported_whole(
    tmp_path: Path, suffix: str
) -> None:
    swarm = toy.Swarm(["ann", "bob"], witnesses=["founder", "bob"])
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    twin = swarm["ann"].twin()
    swarm["ann"].publish(CHANGE)
    twin.publish(-CHANGE)
    swarm.founder.fetch(swarm["ann"])
    swarm.founder.fetch(twin)
    swarm["bob"].rotate()
    swarm.exchange("bob", "founder")
    swarm.founder.accuse_twins(swarm["ann"], twin, swarm["ann"].replica.size(swarm["ann"].id) - 1)
    bob = swarm["bob"].id
    note = cosigned(swarm, bob, swarm.founder.replica.size(bob), ["founder"])
    file = stored(tmp_path / "peer", swarm, [PutCosigned(bob, swarm.founder.replica.size(bob), note)])
    made = auditing.export(file, tmp_path / f"bundle{suffix}")
    report = verified(tmp_path / f"bundle{suffix}", swarm)
    assert (report.verdict, report.findings) == ("clean", ())
    assert report.model_hash == made["model_hash"] == swarm.founder.model_hash()
    assert sum("~" in log.peer for log in report.logs) == 1
    assert {log.witnessed for log in report.logs if log.peer == bob} == {swarm.founder.replica.size(bob)}


def test_a_log_under_a_checkpoint_of_more_is_exported_as_far_as_it_is_here(tmp_path: Path) -> None:
    swarm = toy.Swarm(["ann"])
    ann = swarm["ann"]
    here = swarm.founder.replica.size(ann.id)
    for _ in range(5):
        ann.publish(CHANGE)
    size = ann.replica.size(ann.id)
    proof = tuple(ann.replica.tree(ann.id).consistency(here))
    kept = PutCheckpoint(ann.id, size, ann.note(ann.id, size, "ann"), here, proof)
    newer = PutCosigned(ann.id, size, cosigned(swarm, ann.id, size, ["founder"], ann))  # of more than is here
    file = stored(tmp_path / "peer", swarm, [kept, newer])
    auditing.export(file, tmp_path / "bundle")
    report = verified(tmp_path / "bundle", swarm)
    assert (report.verdict, report.findings) == ("clean", ())
    assert {(log.size, log.signed, log.witnessed) for log in report.logs if log.peer == ann.id} == {(here, size, 0)}


def test_what_somebody_added_below_a_checkpoint_is_not_exported(tmp_path: Path) -> None:
    """Whoever brings entries may write more lines there: they must not stop the export, nor speak in it."""
    swarm = toy.Swarm(["ann", "bob"])
    ann = swarm["ann"]
    here = swarm.founder.replica.size(ann.id)
    ann.publish(CHANGE)
    size = ann.replica.size(ann.id)
    proof = tuple(ann.replica.tree(ann.id).consistency(here))
    kept = PutCheckpoint(ann.id, size, cosigned(swarm, ann.id, size, ["bob"], ann), here, proof)
    auditing.export(stored(tmp_path / "peer", swarm, [kept]), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "logs" / ann.id / "checkpoint").read_bytes() == ann.note(ann.id, size, "ann")
    report = verified(tmp_path / "bundle", swarm)
    assert (report.verdict, report.findings) == ("clean", ())


def test_a_cosigned_note_of_another_branch_is_left_out(tmp_path: Path) -> None:
    swarm = toy.Swarm(["ann"])
    twin = swarm["ann"].twin()
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    twin.publish(-CHANGE)
    ann, size = twin.id, twin.replica.size(twin.id)
    other = PutCosigned(ann, size, cosigned(swarm, ann, size, ["founder"], twin))
    auditing.export(stored(tmp_path / "peer", swarm, [other]), tmp_path / "bundle")
    assert verified(tmp_path / "bundle", swarm).verdict == "clean"


def test_what_could_not_be_verified_is_not_exported(tmp_path: Path) -> None:
    swarm = toy.Swarm(["ann"])
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    swarm.founder.blobs.clear()
    with pytest.raises(LocalError, match="missing"):
        auditing.export(stored(tmp_path / "peer", swarm, []), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
