"""Forks, accusations, changed keys and final snapshots in a bundle: the auditor comes to what the peers hold."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, Report, audit, audit_path
from ledger.bundle import BundleContents, BundleLog, place_of, write_bundle
from ledger.canonical import encode_entry
from ledger.chain import fork_of
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Accuse
from ledger.fold import PlainArithmetic
from ledger.fork import make_evidence
from ledger.seals import head_proof
from tests.fold.bundles import contents_of, cosigned, entries_of, forged, with_log, written
from tests.fold.stories import FORKED, troubled_swarm
from tests.fold.toy import CHAIN, NOW, Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


def anchored(contents: BundleContents, **more: object) -> Report:
    return audit(contents, PlainArithmetic(), Anchors(swarm=contents.swarm, **more))  # type: ignore[arg-type]


def forked() -> tuple[Swarm, Peer]:
    """Ann signs two histories; the founder and bob come to hold both."""
    swarm = Swarm(["ann", "bob"])
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    twin = swarm["ann"].twin()
    swarm["ann"].publish(CHANGE)
    twin.publish(-CHANGE)
    swarm["bob"].fetch(swarm["ann"])
    swarm.founder.fetch(twin)
    for name in ("bob", "founder"):
        swarm[name].publish(CHANGE)
    swarm.exchange("bob", "founder")
    return swarm, twin


# ------------------------------------------------------------------ forks


def test_both_branches_of_a_fork_are_audited_and_what_was_signed_twice_does_not_count():
    swarm, _ = forked()
    contents = contents_of(swarm)
    strands = [log.peer for log in contents.logs if "~" in log.peer]
    assert len(strands) == 1
    report = anchored(contents)
    assert (report.verdict, report.findings) == ("clean", ())
    assert report.model_hash == swarm.founder.model_hash() == swarm["bob"].model_hash()
    ann = swarm["ann"].id
    assert {log.void_from for log in report.logs if log.peer.startswith(ann)} == {int(strands[0].split("~")[1])}


def test_an_accusation_is_checked_and_what_it_voids_is_told():
    swarm, twin = forked()
    seq = swarm["ann"].replica.size(swarm["ann"].id) - 1
    told = swarm["bob"].accuse_twins(swarm["ann"], twin, seq)
    assert isinstance(told.entry, Accuse)
    swarm.exchange("bob", "founder")
    report = anchored(contents_of(swarm))
    assert (report.verdict, report.model_hash) == ("clean", swarm.founder.model_hash())


def test_an_accusation_whose_evidence_is_gone_cannot_be_judged():
    swarm, twin = forked()
    seq = swarm["ann"].replica.size(swarm["ann"].id) - 1
    told = swarm["bob"].accuse_twins(swarm["ann"], twin, seq)
    swarm["bob"].publish(CHANGE)
    swarm.exchange("bob", "founder")
    swarm.founder.publish(CHANGE)
    whole = contents_of(swarm)
    report = anchored(replace(whole, blob=lambda name, limit=0: None if name == told.blob else whole.blob(name)))
    assert (report.verdict, report.missing, report.findings) == ("inconclusive", (told.blob,), ())


@pytest.mark.parametrize("forged_root", [False, True], ids=["shortened", "another history"])
def test_who_withholds_a_blob_does_not_escape_a_checkpoint_kept_from_before(forged_root: bool):
    """Without the evidence nothing after the accusation is admitted; the entries are still there to be hashed."""
    swarm, twin = forked()
    bob = swarm["bob"]
    told = bob.accuse_twins(swarm["ann"], twin, swarm["ann"].replica.size(swarm["ann"].id) - 1)
    for _ in range(3):
        bob.publish(CHANGE)
    swarm.exchange("bob", "founder")
    whole, size = contents_of(swarm), bob.replica.size(bob.id)
    if forged_root:
        note, contents = sign(Checkpoint(origin(swarm.swarm, bob.id), size, bytes(32)), key_of("bob")), whole
    else:
        note = bob.note(bob.id, size, "bob")
        contents = forged(swarm, whole, "bob", entries_of(bob.replica, bob.id)[: size - 2])
    contents = replace(contents, blob=lambda name, limit=0: None if name == told.blob else whole.blob(name))
    report = audit(contents, PlainArithmetic(), Anchors(swarm=contents.swarm, checkpoints=(note,)))
    assert [(found.log, found.rule) for found in report.findings] == [(bob.id, "fork" if forged_root else "truncated")]
    true = Anchors(checkpoints=(bob.note(bob.id, size, "bob"),))
    assert audit(replace(whole, blob=contents.blob), PlainArithmetic(), true).findings == ()


def test_evidence_that_proves_nothing_ends_the_accusers_log():
    """An honest prefix never accuses: what bob shows are two entries of one history."""
    swarm = Swarm(["ann", "bob"])
    bob, ann = swarm["bob"], swarm["ann"]
    evidence = make_evidence(*(bob.proven(ann.id, seq, "ann") for seq in (0, 1)))
    digest = sha256(evidence).hexdigest()
    lie = Accuse(**CHAIN, peer=ann.id, charge="fork", index=1, evidence=digest, bytes=len(evidence))
    entries = [*entries_of(bob.replica, bob.id), encode_entry(bob.replica.draft(bob.id).stamp(lie, NOW))]
    whole = contents_of(swarm)
    contents = replace(
        forged(swarm, whole, "bob", entries),
        blobs=lambda: [*whole.blobs(), digest],
        blob=lambda name, limit=0: evidence if name == digest else whole.blob(name),
    )
    found = [(finding.log, finding.index, finding.rule) for finding in anchored(contents).findings]
    assert (bob.id, len(entries) - 1, "accuse") in found


def test_a_blob_under_another_name_is_a_finding_and_no_verdict_on_the_accuser():
    swarm, twin = forked()
    told = swarm["bob"].accuse_twins(swarm["ann"], twin, swarm["ann"].replica.size(swarm["ann"].id) - 1)
    swarm.exchange("bob", "founder")
    whole = contents_of(swarm)
    report = anchored(replace(whole, blob=lambda name, limit=0: b"x" if name == told.blob else whole.blob(name)))
    assert {finding.rule for finding in report.findings} <= {"file", "claim"}
    assert report.verdict == "findings"


@pytest.mark.parametrize("seed", [FORKED, FORKED + 1, FORKED + 2])
def test_a_swarm_of_forkers_thieves_and_finals_audits_to_the_model_its_honest_peers_hold(seed: int, tmp_path: Path):
    """Through files: branches, changed keys, evidence and final notes are all written, read and found to hold."""
    swarm = troubled_swarm(seed, events=40)
    path = written(swarm, tmp_path / "bundle")
    report = audit_path(path, NumpyArithmetic(), Anchors(swarm=swarm.swarm))
    assert report.findings == ()
    assert (report.verdict, report.model_hash) == ("clean", swarm.founder.model_hash())
    assert report.entries == sum(1 for _ in swarm.everything())


def test_a_bundle_from_another_peers_trunk_gives_the_same_model():
    swarm, _ = forked()
    one, other = contents_of(swarm), contents_of(swarm, swarm["bob"])
    assert {log.peer for log in one.logs} != {log.peer for log in other.logs}  # which branch is the trunk is local
    assert anchored(one).model_hash == anchored(other).model_hash


def test_a_branch_that_is_left_out_is_missed():
    swarm, _ = forked()
    whole = contents_of(swarm)
    report = anchored(replace(whole, logs=tuple(log for log in whole.logs if "~" not in log.peer)))
    assert report.verdict == "findings"
    assert {finding.rule for finding in report.findings} <= {"heads", "meets", "seen", "past", "closed", "claim"}


def test_a_branch_in_a_folder_of_another_name_is_named():
    swarm, _ = forked()
    whole = contents_of(swarm)
    strand = next(log.peer for log in whole.logs if "~" in log.peer)
    peer, fork, digest = strand.split("~")
    for wrong in (f"{peer}~{int(fork) - 1}~{digest}", f"{peer}~{fork}~{'ab' * 32}"):
        report = anchored(with_log(whole, strand, lambda log, wrong=wrong: replace(log, peer=wrong)))
        assert {(finding.log, finding.rule) for finding in report.findings} >= {(wrong, "place")}, wrong


# ------------------------------------------------------------------ keys and finality


def test_after_a_rotation_checkpoints_must_bear_the_new_key():
    swarm = Swarm(["ann"])
    swarm["ann"].rotate()
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    whole, ann = contents_of(swarm), swarm["ann"].id
    report = anchored(whole)
    assert report.verdict == "clean"
    assert {log.keys for log in report.logs if log.peer == ann} == {2}
    size = swarm["ann"].replica.size(ann)
    stolen = sign(Checkpoint(origin(swarm.swarm, ann), size, swarm["ann"].replica.root(ann, size)), key_of("ann"))
    (finding,) = anchored(with_log(whole, ann, lambda log: replace(log, checkpoint=stolen))).findings
    assert (finding.log, finding.rule, finding.file) == (ann, "checkpoint", f"logs/{ann}/checkpoint")


def test_final_snapshots_are_listed():
    swarm = Swarm(["ann", "bob"], witnesses=["founder", "ann", "bob"])
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    snapshot = swarm["ann"].snapshot().seq
    swarm["ann"].final(snapshot, [swarm.founder, swarm["bob"]])
    swarm.exchange()
    report = anchored(contents_of(swarm))
    assert report.verdict == "clean"
    assert [(final.log, final.seq) for final in report.finals] == [(swarm["ann"].id, snapshot)]


def test_the_policy_of_witnesses_is_the_ledgers_own(tmp_path: Path):
    swarm = Swarm(["ann"], witnesses=["founder", "ann"])
    path = written(swarm, tmp_path / "bundle")
    assert b"quorum majority" in (path / "policy.tlog").read_bytes()
    other = contents_of(Swarm(["ann", "bob"], witnesses=["founder", "bob"])).witnesses
    (finding,) = anchored(replace(contents_of(swarm), witnesses=other)).findings
    assert (finding.rule, finding.file) == ("policy", "policy.tlog")


# ------------------------------------------------------------------ cosigned notes


def test_cosignatures_are_checked_and_told():
    swarm = Swarm(["ann", "bob"])
    ann = swarm["ann"].id
    size = swarm.founder.replica.size(ann)
    note = cosigned(swarm, ann, size, ["founder", "bob"])
    report = anchored(with_log(contents_of(swarm), ann, lambda log: replace(log, cosigned=note)))
    assert report.verdict == "clean"
    assert {log.witnessed for log in report.logs if log.peer == ann} == {size}
    assert {word.by for word in report.words} == {swarm.founder_id, swarm["bob"].id}


def test_a_cosignature_that_nobody_made_is_a_finding():
    swarm = Swarm(["ann", "bob"])
    ann = swarm["ann"].id
    note = bytearray(cosigned(swarm, ann, 1, ["bob"]))
    note[-20] ^= 2
    report = anchored(with_log(contents_of(swarm), ann, lambda log: replace(log, cosigned=bytes(note))))
    assert {(finding.rule, finding.file) for finding in report.findings} == {("cosignature", f"logs/{ann}/cosigned")}
    plain = swarm["ann"].note(ann, 1, "ann")
    report = anchored(with_log(contents_of(swarm), ann, lambda log: replace(log, cosigned=plain)))
    assert [finding.detail for finding in report.findings] == ["nobody has cosigned it"]


def test_a_shortened_log_is_given_away_by_what_others_witnessed():
    swarm = Swarm(["ann", "bob", "cyd"])
    for _ in range(3):
        swarm["ann"].publish(CHANGE)
    ann, long = swarm["ann"].id, swarm["ann"].replica.size(swarm["ann"].id)
    note = cosigned(swarm, ann, long, ["bob", "cyd"], swarm["ann"])
    short = contents_of(swarm)  # of the founder, who has heard none of it
    report = anchored(with_log(short, ann, lambda log: replace(log, cosigned=note)))
    (finding,) = report.findings
    assert (finding.log, finding.index, finding.rule) == (ann, long - 3, "truncated")
    by = " and ".join(sorted(("bob", "cyd"), key=lambda name: swarm[name].id))
    assert (finding.detail, finding.file) == (
        f"presents {long - 3}, witnessed {long} by {by}",
        f"logs/{ann}/cosigned",
    )


def presenting_less(where: str) -> tuple[Swarm, BundleContents, int]:
    """Ann's log shortened by two; beside it, in one file or another, her note of all of it, which bob has cosigned."""
    swarm = Swarm(["ann", "bob"])
    for _ in range(2):
        swarm["ann"].publish(CHANGE)
    ann, here = swarm["ann"].id, swarm.founder.replica.size(swarm["ann"].id)
    size = swarm["ann"].replica.size(ann)
    witnesses = [] if where == "author" else ["bob"]
    note = cosigned(swarm, ann, size, witnesses, swarm["ann"])
    head = head_proof(swarm.founder.replica.tree(ann), note, swarm["ann"].replica.tree(ann).consistency(here))

    def change(log: BundleLog) -> BundleLog:
        return replace(log, cosigned=note) if where == "cosigned" else replace(log, checkpoint=note, head=head)

    return swarm, with_log(contents_of(swarm), ann, change), size


@pytest.mark.parametrize("where", ["checkpoint", "cosigned"])
def test_a_shortened_log_is_given_away_wherever_the_witnessed_note_lies(where: str):
    swarm, contents, size = presenting_less(where)
    for anchors in (Anchors(swarm=swarm.swarm), Anchors(witnesses=(key_of("bob").public,))):
        report = audit(contents, PlainArithmetic(), anchors)
        (finding,) = report.findings
        assert (finding.log, finding.index, finding.rule) == (swarm["ann"].id, size - 2, "truncated")
        assert finding.detail == f"presents {size - 2}, witnessed {size} by bob"
        assert finding.file == f"logs/{swarm['ann'].id}/{where}"
    assert report.coverage == ()  # of what is not all here, no part is vouched for


def test_what_the_author_alone_signed_beyond_is_told_and_is_no_finding():
    swarm, contents, size = presenting_less("author")
    report = anchored(contents)
    assert (report.verdict, report.findings) == ("clean", ())
    assert {log.peer: log.elsewhere for log in report.logs if log.elsewhere} == {swarm["ann"].id: 2}
    assert {log.signed for log in report.logs if log.elsewhere} == {size}


def test_a_witness_vouches_for_the_branch_that_it_signed_wherever_the_note_lies():
    swarm, twin = forked()
    for _ in range(2):
        twin.publish(CHANGE)  # so that one branch is longer
    swarm.founder.fetch(twin)
    replica, ann = swarm.founder.replica, swarm["ann"].id
    for signed in replica.strands(ann):
        size = replica.size(signed)
        note = cosigned(swarm, signed, size, ["bob"])
        past = sum(seen - fork_of(log) for log, seen in replica.past(signed, size).items() if seen)
        for beside in replica.strands(ann):
            contents = with_log(contents_of(swarm), beside, lambda log, note=note: replace(log, cosigned=note))
            report = audit(contents, PlainArithmetic(), Anchors(witnesses=(key_of("bob").public,)))
            assert [covered.entries for covered in report.coverage] == [past], (signed, beside, report.findings)


def test_a_witnessed_note_of_another_history_is_a_fork():
    swarm, twin = forked()
    ann = swarm["ann"].id
    size = min(twin.replica.size(ann), swarm["ann"].replica.size(ann))
    honest = Swarm(["ann", "bob"])  # of the same names and keys; here ann has signed one history
    while honest["ann"].replica.size(ann) < size:
        honest["ann"].publish(CHANGE / 2)
    honest.exchange()
    note = cosigned(swarm, ann, size, ["bob"], twin)
    report = anchored(with_log(contents_of(honest), ann, lambda log: replace(log, cosigned=note)))
    assert [(finding.log, finding.index, finding.rule) for finding in report.findings] == [(ann, size - 1, "fork")]


def test_more_signed_than_is_here_is_no_finding_if_a_proof_leads_there(tmp_path: Path):
    """A peer holds the beginning of a log under a checkpoint of more: it exports, and verifies."""
    swarm = Swarm(["ann", "bob"])
    for _ in range(5):
        swarm["ann"].publish(CHANGE)
    ann, here = swarm["ann"].id, swarm.founder.replica.size(swarm["ann"].id)
    size = swarm["ann"].replica.size(ann)
    note = swarm["ann"].note(ann, size, "ann")
    proof = swarm["ann"].replica.tree(ann).consistency(here)
    head = head_proof(swarm.founder.replica.tree(ann), note, proof)
    larger = with_log(contents_of(swarm), ann, lambda log: replace(log, checkpoint=note, head=head))
    write_bundle(tmp_path / "bundle", larger)
    report = audit_path(tmp_path / "bundle", PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert (report.verdict, report.findings) == ("clean", ())
    assert {(log.size, log.signed) for log in report.logs if log.peer == ann} == {(here, size)}
    other = head_proof(swarm.founder.replica.tree(ann).prefix(here), note, [b"\0" * 32 for _ in proof])
    report = anchored(with_log(larger, ann, lambda log: replace(log, head=other)))
    assert {finding.file for finding in report.findings} >= {f"{place_of(ann)}/head.tlog-proof"}
