"""The auditor finds every lie that can be told in a bundle, names it, and never stumbles."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, Report, audit, audit_path
from ledger.bundle import BundleContents
from ledger.canonical import encode
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import AnyEntry, Snapshot
from ledger.errors import LocalError
from ledger.fold import PlainArithmetic
from ledger.merkle import leaf_hash
from tests.fold.bundles import contents_of, forged, written
from tests.fold.stories import busy_swarm
from tests.fold.toy import CHAIN, NOW, Swarm, key_of
from tests.thorough import times

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture(scope="module")
def swarm() -> Swarm:
    swarm = Swarm(["ann", "bob"])
    for name in ("ann", "bob", "founder", "ann"):
        swarm[name].publish(CHANGE, density=0.5)
        swarm.exchange()
    swarm["bob"].snapshot()
    swarm.exchange()
    return swarm


def anchored(swarm: Swarm, contents: BundleContents) -> Report:
    return audit(contents, PlainArithmetic(), Anchors(swarm=swarm.swarm))


def rules(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}


# ------------------------------------------------------------------ the honest case


def test_an_honest_bundle_is_clean_and_gives_the_model_that_peers_hold(swarm: Swarm):
    for arithmetic in (PlainArithmetic(), NumpyArithmetic()):
        report = audit(contents_of(swarm), arithmetic, Anchors(swarm=swarm.swarm))
        assert report.verdict == "clean"
        assert report.model_hash == swarm["ann"].model_hash()
        assert (report.entries, report.updates, report.snapshots) == (len(swarm.everything()), 4, 1)
        assert {log.name for log in report.logs} == {"founder", "ann", "bob"}


@pytest.mark.parametrize("seed", range(4))
def test_a_busy_swarm_with_many_snapshots_audits_clean(seed: int):
    busy = busy_swarm(40 + seed, events=120)
    report = audit(contents_of(busy), NumpyArithmetic(), Anchors(model=busy.founder.model_hash()))
    assert report.findings == ()
    assert report.verdict == "clean"
    assert report.snapshots >= 1


def test_a_bundle_that_is_held_against_nothing_is_inconclusive(swarm: Swarm):
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors())
    assert (report.verdict, report.findings) == ("inconclusive", ())


def test_a_bundle_of_another_swarm_is_a_finding(swarm: Swarm):
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm="ab" * 32))
    assert (report.verdict, rules(report)) == ("findings", {"anchor"})
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(model="ab" * 32))
    assert (report.verdict, rules(report)) == ("findings", {"anchor"})


def test_an_erased_delta_makes_the_model_unknown_never_valid(swarm: Swarm):
    whole = contents_of(swarm)
    erased = sorted(whole.blobs())[0]
    report = anchored(swarm, replace(whole, blob=lambda name, limit=0: None if name == erased else whole.blob(name)))
    assert (report.verdict, report.model_hash, report.missing) == ("inconclusive", "", (erased,))


# ------------------------------------------------------------------ lies


def test_a_claimed_model_is_only_compared(swarm: Swarm):
    report = anchored(swarm, contents_of(swarm, model_hash="ab" * 32))
    assert rules(report) == {"claim"}
    assert report.model_hash == swarm["ann"].model_hash()


def test_a_snapshot_of_another_model_convicts_its_author(swarm: Swarm):
    liar = Swarm(["ann", "bob"])
    ann = liar["ann"]
    ann.publish(CHANGE)
    fields = ann.replica.draft(ann.id)
    state, updates = ann.replica.snapshot_facts(ann.id, fields)
    told = ann.write(Snapshot(**CHAIN, model="ab" * 32, state=state, updates=updates))
    liar.exchange()
    report = anchored(liar, contents_of(liar))
    (finding,) = report.findings
    assert (finding.log, finding.index, finding.rule) == (ann.id, told.seq, "model")
    assert finding.file == f"logs/{ann.id}/tile/entries/000.p/{told.seq + 1}"


def test_a_delta_that_no_update_names_is_a_finding(swarm: Swarm):
    whole = contents_of(swarm)
    (finding,) = anchored(swarm, replace(whole, blobs=lambda: [*whole.blobs(), "ab" * 32])).findings
    assert (finding.rule, finding.file) == ("blob", f"blobs/{'ab' * 32}")


def test_a_checkpoint_that_the_author_signed_for_another_swarm_does_not_count(swarm: Swarm):
    ann, contents = swarm["ann"], contents_of(swarm)
    size = ann.replica.size(ann.id)
    elsewhere = sign(Checkpoint(origin("ab" * 32, ann.id), size, ann.replica.root(ann.id, size)), key_of("ann"))
    logs = tuple(replace(log, checkpoint=elsewhere) if log.peer == ann.id else log for log in contents.logs)
    (finding,) = anchored(swarm, replace(contents, logs=logs)).findings
    assert (finding.log, finding.rule, finding.file) == (ann.id, "checkpoint", f"logs/{ann.id}/checkpoint")


def lie(entry: AnyEntry, **changes: object) -> bytes:
    return encode(msgspec.structs.replace(entry, **changes))


@pytest.mark.parametrize("changes", [{"weight": 65536}, {"norm": 1}, {"heads": "ab" * 32}, {"bytes": 20}])
def test_a_lie_in_a_signed_update_is_found_at_its_index(changes: dict):
    swarm = Swarm(["ann", "bob"])
    honest = swarm["ann"].publish(CHANGE)
    swarm.exchange()
    entries = [swarm["ann"].replica.data(swarm["ann"].id, seq) for seq in range(honest.seq)]
    report = anchored(swarm, forged(swarm, contents_of(swarm), "ann", [*entries, lie(honest.entry, **changes)]))
    first = report.findings[0]
    assert (report.verdict, first.log, first.index) == ("findings", honest.log, honest.seq)


def test_what_comes_after_a_lie_and_whoever_cites_it_is_named_too():
    swarm = Swarm(["ann", "bob"])
    honest = swarm["ann"].publish(CHANGE)
    entries = [swarm["ann"].replica.data(swarm["ann"].id, seq) for seq in range(honest.seq)]
    swarm.exchange()
    contents = forged(swarm, contents_of(swarm), "ann", [*entries, lie(honest.entry, weight=1)])
    swarm["bob"].publish(CHANGE)
    swarm.exchange()
    bob = next(log for log in contents_of(swarm).logs if log.peer == swarm["bob"].id)
    report = anchored(swarm, replace(contents, logs=tuple(bob if b.peer == bob.peer else b for b in contents.logs)))
    assert {(finding.log, finding.rule) for finding in report.findings} >= {
        (honest.log, "weight"), (bob.peer, "heads"),
    }  # fmt: skip


def test_a_bundle_that_leaves_out_a_cited_log_is_a_finding(swarm: Swarm):
    whole = contents_of(swarm)
    report = anchored(swarm, replace(whole, logs=tuple(log for log in whole.logs if log.peer != swarm["ann"].id)))
    assert "past" in rules(report)


def test_entries_that_nobody_signed_are_a_finding(swarm: Swarm):
    whole = contents_of(swarm)
    short = [
        replace(log, checkpoint=sign(Checkpoint(origin(swarm.swarm, log.peer), 1, leaf_hash(next(log.entries()))),
                                     key_of("ann"))) if log.peer == swarm["ann"].id else log
        for log in whole.logs
    ]  # fmt: skip
    assert rules(anchored(swarm, replace(whole, logs=tuple(short)))) == {"checkpoint"}
    ann, bob = (next(log for log in whole.logs if log.peer == swarm[name].id) for name in ("ann", "bob"))
    swapped = tuple(replace(log, checkpoint=bob.checkpoint) if log is ann else log for log in whole.logs)
    assert rules(anchored(swarm, replace(whole, logs=swapped))) == {"checkpoint"}


def test_another_policy_than_the_founders_admits_nothing(swarm: Swarm):
    report = anchored(swarm, replace(contents_of(swarm), policy=b"policy = 1\n"))
    assert report.verdict == "findings"
    assert "policy" in rules(report)
    assert report.model_hash == ""


def test_updates_the_policy_leaves_out_need_no_delta():
    swarm = Swarm(["ann"])
    swarm["ann"].publish(CHANGE, steps=5000)
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    report = anchored(swarm, contents_of(swarm))
    assert (report.verdict, report.updates) == ("clean", 1)


# ------------------------------------------------------------------ files


def test_a_flipped_byte_anywhere_in_a_bundle_is_found_and_named(swarm: Swarm, tmp_path: Path):
    path = written(swarm, tmp_path / "bundle")
    anchors = Anchors(swarm=swarm.swarm, model=swarm.founder.model_hash())
    assert audit_path(path, PlainArithmetic(), anchors).verdict == "clean"
    files = sorted(file for file in path.rglob("*") if file.is_file())
    assert len(files) > 10
    tried = 0
    for file in files:
        honest = file.read_bytes()
        places = range(0, len(honest), max(1, len(honest) // times(12, thorough=40)))
        for place in places:
            bent = bytearray(honest)
            bent[place] ^= 1 << place % 8
            file.write_bytes(bent)
            report = audit_path(path, PlainArithmetic(), anchors)
            named = {finding.file for finding in report.findings}
            name = file.relative_to(path).as_posix()
            assert report.verdict == "findings", f"byte {place} of {name}"
            assert name in named, f"byte {place} of {name} was found in {named}"
            tried += 1
        file.write_bytes(honest)
    assert tried > times(100, thorough=300)
    assert audit_path(path, PlainArithmetic(), anchors).verdict == "clean"


def test_a_file_that_is_gone_or_strange_is_named(swarm: Swarm, tmp_path: Path):
    whole = written(swarm, tmp_path / "bundle")
    for number, file in enumerate(sorted(file for file in whole.rglob("*") if file.is_file())):
        if file.name == "bundle.json":
            continue
        copy = tmp_path / f"copy{number}"
        shutil.copytree(whole, copy)
        (copy / file.relative_to(whole)).unlink()
        report = audit_path(copy, PlainArithmetic(), Anchors(swarm=swarm.swarm))
        assert report.verdict != "clean", file
    (whole / "logs" / "notes.txt").write_text("hello")
    report = audit_path(whole, PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert [finding.file for finding in report.findings] == ["logs/notes.txt"]


def test_no_bundle_at_all_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(LocalError):
        audit_path(tmp_path, PlainArithmetic(), Anchors())


def test_time_is_a_claim_and_decides_nothing(swarm: Swarm):
    liar = Swarm(["ann"])
    fields = liar["ann"].replica.draft(liar["ann"].id)
    entry = fields.stamp(liar["ann"].replica.entry(liar["ann"].id, 1), NOW * 3)
    liar["ann"].take(liar["ann"].id, encode(entry))
    assert CHAIN["time"] == NOW
    assert liar["ann"].replica.size(liar["ann"].id) == 3
