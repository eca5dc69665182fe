"""The auditor rules on every update again, and names who folds against the policy; and holds what data show to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from ledger.audit import Anchors, Report, audit
from ledger.bundle import BundleContents, LongBlob
from ledger.canonical import decode_entry, encode_entry
from ledger.entry import Accuse, Data, Hash, Opening, PolicyChange, Snapshot
from ledger.fold import PlainArithmetic
from ledger.replica import Checked, InvalidEntry
from tests.fold.bundles import contents_of, entries_of, forged
from tests.fold.public import accuse, announce, answer, challenge, inspected_swarm, records
from tests.fold.stories import SHORT, governed_swarm
from tests.fold.toy import NOW, Peer, Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)
ROWS = records(40)


def anchored(swarm: Swarm, contents: BundleContents) -> Report:
    return audit(contents, PlainArithmetic(), Anchors(swarm=swarm.swarm))


def found(report: Report) -> list[tuple[str, str, int]]:
    return [(finding.rule, finding.log, finding.index) for finding in report.findings]


def without(contents: BundleContents, name: Hash) -> BundleContents:
    """The bundle with one blob less."""
    keep: Callable[..., bytes | None] = lambda digest, limit=0: None if digest == name else contents.blob(digest)  # noqa: E731
    return replace(contents, blob=keep, blobs=lambda: [digest for digest in contents.blobs() if digest != name])


# ------------------------------------------------------------------ the policy


@pytest.mark.parametrize("seed", range(3))
def test_a_swarm_that_changes_its_policy_audits_to_its_model(seed: int):
    swarm = governed_swarm(seed, threshold=1 + seed % 2)
    swarm.founder.snapshot()
    swarm.exchange()
    report = anchored(swarm, contents_of(swarm))
    assert (report.verdict, report.findings) == ("clean", ())
    assert report.model_hash == swarm.founder.model_hash()


def test_without_the_text_of_a_policy_nothing_after_it_is_judged():
    swarm = Swarm(["ann"])
    asked = swarm.founder.ask_for(SHORT)
    swarm.exchange()
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    contents = contents_of(swarm)
    assert isinstance(asked.entry, PolicyChange)
    report = anchored(swarm, without(contents, asked.entry.policy))
    assert (report.verdict, report.findings) == ("inconclusive", ())
    assert report.missing == (asked.entry.policy,)
    assert report.entries < anchored(swarm, contents).entries


@pytest.mark.parametrize("text", ["no policy at all", "policy = 1\n[data.colour]\nmin = 1\n"])
def test_a_policy_that_nobody_can_read_is_a_finding(text: str):
    swarm = Swarm(["ann"])
    founder = swarm.founder
    entry = founder.ask_for(SHORT)
    blob = text.encode()
    assert isinstance(entry.entry, PolicyChange)
    contents = contents_of(swarm)
    name = sha256(blob).hexdigest()
    lie = msgspec.structs.replace(entry.entry, policy=name, policy_bytes=len(blob))
    entries = entries_of(founder.replica, founder.id)
    other = forged(swarm, contents, "founder", [*entries[: entry.seq], encode_entry(lie)])
    held = {name: blob}
    other = replace(
        other, blobs=lambda: [*contents.blobs(), name],
        blob=lambda digest, limit=0: held.get(digest) or contents.blob(digest),
    )  # fmt: skip
    assert ("policy", founder.id, entry.seq) in found(anchored(swarm, other))


def breached() -> tuple[Swarm, Peer, Checked]:
    """Ann's update is left out; bob is about to say what he makes of it."""
    swarm = Swarm(["ann", "bob"])
    swarm["bob"].publish(CHANGE)
    swarm.exchange()
    left = swarm["ann"].publish(2 * CHANGE, steps=5000)
    assert left.refused
    swarm.exchange()
    return swarm, swarm["bob"], left


def folded_against_the_policy(bob: Peer, *updates: Checked) -> Hash:
    """The model with these updates in it."""
    assert bob.fold is not None
    for checked in updates:
        decoded = bob.fold.arithmetic.decode(bob.blobs[checked.entry.delta], bob.fold.parameters)
        bob.fold.add(decoded, checked.entry.weight)
    model = bob.model_hash()
    for checked in updates:
        decoded = bob.fold.arithmetic.decode(bob.blobs[checked.entry.delta], bob.fold.parameters)
        bob.fold.remove(decoded, checked.entry.weight)
    return model


def snapshot(bob: Peer, **lies: object) -> bytes:
    fields = bob.replica.draft(bob.id)
    state, updates = bob.replica.snapshot_facts(bob.id, fields)
    told = {"model": bob.model_hash(), "state": state, "updates": updates} | lies
    entry = Snapshot(v=1, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", **told)
    return encode_entry(fields.stamp(entry, NOW))


def test_a_count_that_follows_only_against_the_policy_is_called_a_breach():
    swarm, bob, _ = breached()
    true = decode_entry(snapshot(bob))
    assert isinstance(true, Snapshot)
    for updates, rule in ((2, "policy-breach"), (3, "snapshot"), (0, "snapshot")):
        with pytest.raises(InvalidEntry) as caught:
            swarm.founder.replica.check(bob.id, snapshot(bob, updates=updates))
        assert caught.value.rule == rule, updates
    assert true.updates == 1
    contents = forged(swarm, contents_of(swarm), "bob", [*entries_of(bob.replica, bob.id), snapshot(bob, updates=2)])
    report = anchored(swarm, contents)
    assert found(report) == [("policy-breach", bob.id, bob.replica.size(bob.id))]
    assert "counts 2 updates: 1, and 1 of 1 that the policy leaves out" in report.findings[0].detail


def test_a_model_that_follows_only_against_the_policy_is_called_a_breach_and_names_the_rule():
    swarm, bob, left = breached()
    lie = snapshot(bob, model=folded_against_the_policy(bob, left))
    contents = forged(swarm, contents_of(swarm), "bob", [*entries_of(bob.replica, bob.id), lie])
    report = anchored(swarm, contents)
    assert found(report) == [("policy-breach", bob.id, bob.replica.size(bob.id))]
    assert "1 updates that the policy leaves out (update.steps.max)" in report.findings[0].detail
    assert report.verdict == "findings"


def test_where_the_delta_is_not_here_it_cannot_be_shown_and_is_a_wrong_model():
    swarm, bob, left = breached()
    lie = snapshot(bob, model=folded_against_the_policy(bob, left))
    contents = forged(swarm, contents_of(swarm), "bob", [*entries_of(bob.replica, bob.id), lie])
    for other in (without(contents, left.entry.delta), forged(swarm, contents, "bob", [
        *entries_of(bob.replica, bob.id), snapshot(bob, model="ab" * 32)
    ])):  # fmt: skip
        assert found(anchored(swarm, other)) == [("model", bob.id, bob.replica.size(bob.id))]


def test_what_is_shown_is_shown_of_all_that_broke_the_rule_or_not_at_all():
    """Of two that one rule leaves out one was folded, and the delta of the other is not here."""
    swarm, bob, left = breached()
    other = swarm["ann"].publish(CHANGE**2, steps=5000)
    swarm.exchange()
    lie = snapshot(bob, model=folded_against_the_policy(bob, left))
    contents = forged(swarm, contents_of(swarm), "bob", [*entries_of(bob.replica, bob.id), lie])
    for held in (contents, without(contents, other.entry.delta)):
        assert found(anchored(swarm, held)) == [("model", bob.id, bob.replica.size(bob.id))]


def test_who_lets_one_rule_go_is_told_from_who_lets_all_go():
    """Two are left out, for other reasons: the model is that of who enforces all rules but one, or none."""
    swarm = Swarm(["ann", "bob"])
    swarm.founder.ask_for("policy = 1\n\n[update.steps]\nmax = 100\n")
    swarm.exchange()
    ann, bob = swarm["ann"], swarm["bob"]
    one = ann.publish(CHANGE, steps=500)
    swarm.founder.ask_for("policy = 1\n\n[update.scored]\nmin = 50\n")
    swarm.exchange()
    two = ann.publish(CHANGE**2)
    swarm.exchange()
    assert [breach.rule for breach in (*one.refused, *two.refused)] == ["update.steps.max", "update.scored.min"]
    end = [*entries_of(bob.replica, bob.id)]
    for updates, said in (
        ((one,), "1 updates that the policy leaves out (update.steps.max)"),
        ((two,), "1 updates that the policy leaves out (update.scored.min)"),
        ((one, two), "2 updates that the policy leaves out (update.scored.min, update.steps.max)"),
    ):
        lie = snapshot(bob, model=folded_against_the_policy(bob, *updates))
        report = anchored(swarm, forged(swarm, contents_of(swarm), "bob", [*end, lie]))
        assert [finding.rule for finding in report.findings] == ["policy-breach"]
        assert said in report.findings[0].detail


# ------------------------------------------------------------------ what data show


@pytest.mark.parametrize("seed", range(3))
def test_a_swarm_that_looks_into_public_data_audits_to_its_model(seed: int):
    swarm = inspected_swarm(seed)
    report = anchored(swarm, contents_of(swarm))
    assert report.model_hash == swarm.founder.model_hash()
    assert report.openings > 0
    assert {finding.rule for finding in report.findings} <= {"opening"}  # those that nobody has accused
    assert not report.missing


def asked() -> tuple[Swarm, Peer, Peer, int, Checked]:
    swarm = Swarm(["ann", "bob"])
    shown = announce(swarm["ann"], ROWS)
    swarm.exchange()
    wanted = challenge(swarm["bob"], swarm["ann"], shown.seq)
    swarm.exchange()
    return swarm, swarm["ann"], swarm["bob"], shown.seq, wanted


def test_records_that_are_not_in_a_bundle_are_counted_and_are_no_gap():
    swarm, ann, _, seq, wanted = asked()
    shown = announce(ann, ROWS)
    assert shown.seq > seq
    given = answer(ann, shown, wanted)
    swarm.exchange()
    contents = contents_of(swarm)
    assert isinstance(given.entry, Opening)
    assert given.entry.opened in set(contents.blobs())
    whole, part = anchored(swarm, contents), anchored(swarm, without(contents, given.entry.opened))
    assert (whole.verdict, whole.openings, whole.unopened) == ("clean", 1, 0)
    assert (part.verdict, part.openings, part.unopened) == ("clean", 1, 1)


def test_an_opening_that_is_false_is_a_finding_until_somebody_has_accused_its_author():
    swarm, ann, bob, seq, wanted = asked()
    shown = announce(ann, ROWS)
    given = answer(ann, shown, wanted, rows=records(40, "eve"))
    swarm.exchange()
    report = anchored(swarm, contents_of(swarm))
    assert found(report) == [("opening", ann.id, given.seq)]
    accuse(bob, ann, given)
    swarm.exchange()
    report = anchored(swarm, contents_of(swarm))
    assert (report.verdict, report.findings) == ("clean", ())
    assert {log.void_from for log in report.logs if log.peer == ann.id} == {seq}


def test_an_accusation_of_an_opening_that_is_true_is_a_finding_of_its_author():
    swarm, ann, bob, _, wanted = asked()
    given = answer(ann, announce(ann, ROWS), wanted)
    swarm.exchange()
    eve = swarm.join("eve")
    eve.fetch(ann)
    end = entries_of(bob.replica, bob.id)
    fields = bob.replica.draft(bob.id)
    assert isinstance(given.entry, Opening)
    entry = Accuse(
        v=1, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", peer=ann.id, charge="opening",
        index=given.seq, evidence=given.entry.opened, bytes=given.entry.opened_bytes,
    )  # fmt: skip
    lie = encode_entry(fields.stamp(entry, NOW))
    report = anchored(swarm, forged(swarm, contents_of(swarm), "bob", [*end, lie]))
    assert found(report) == [("accuse", bob.id, len(end))]


def test_a_sketch_that_is_missing_makes_it_inconclusive_and_a_wrong_one_ends_the_log():
    swarm, ann, *_ = asked()
    entries = entries_of(ann.replica, ann.id)
    seq = len(entries) - 1
    entry = decode_entry(entries[seq])
    assert isinstance(entry, Data)
    contents = contents_of(swarm)
    report = anchored(swarm, without(contents, entry.sketch))
    assert (report.verdict, report.findings, report.missing) == ("inconclusive", (), (entry.sketch,))
    for lie in ({"records": 41}, {"root": "ab" * 32}, {"sketch_bytes": entry.sketch_bytes + 1}):
        changed = [*entries[:seq], encode_entry(msgspec.structs.replace(entry, **lie))]
        report = anchored(swarm, forged(swarm, contents, "ann", changed))
        assert ("sketch", ann.id, seq) in found(report)


def test_a_blob_that_is_longer_than_its_entry_says_is_its_authors_lie():
    swarm, ann, *_ = asked()
    seq = ann.replica.size(ann.id) - 1
    entry = ann.replica.entry(ann.id, seq)
    assert isinstance(entry, Data)
    contents = contents_of(swarm)

    def blob(name: Hash, limit: int = 1 << 30) -> bytes | None:
        data = contents.blob(name)
        if name == entry.sketch and limit == entry.sketch_bytes:
            raise LongBlob(f"blobs/{name}", f"expected at most {limit}")
        return data

    report = anchored(swarm, replace(contents, blob=blob))
    assert ("sketch", ann.id, seq) in found(report)
