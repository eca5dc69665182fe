"""What an auditor knows from elsewhere: a swarm, a witness, a note kept, a model in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gossip.merging.arithmetic import NumpyArithmetic
from ledger.audit import Anchors, AuditOptions, Report, audit
from ledger.bundle import BundleContents
from ledger.checkpoint import Checkpoint, origin
from ledger.cosignature import add_cosignatures, cosign
from ledger.export import Header, float32_bytes, make_header, write_model
from ledger.fold import PlainArithmetic
from ledger.keys import PrivateKey
from tests.fold.bundles import SIGNED_AT, contents_of, cosigned, with_log
from tests.fold.toy import Peer, Swarm, key_of

CHANGE = np.linspace(-0.1, 0.1, 16)


@pytest.fixture(scope="module")
def swarm() -> Swarm:
    swarm = Swarm(["ann", "bob", "cyd"])
    for name in ("ann", "bob", "cyd", "ann"):
        swarm[name].publish(CHANGE, density=0.5)
        swarm.exchange()
    swarm["bob"].snapshot()
    swarm.exchange()
    swarm["cyd"].publish(CHANGE)
    swarm.exchange()
    return swarm


def against(contents: BundleContents, **anchors: object) -> Report:
    return audit(contents, PlainArithmetic(), Anchors(**anchors))  # type: ignore[arg-type]


def test_a_wholly_invented_swarm_is_never_clean():
    """Four logs made by one hand agree with one another to the last bit. Nothing of the auditor's own is in them."""
    invented = contents_of(Swarm(["ann", "bob", "cyd"]))
    report = against(invented)
    assert (report.verdict, report.findings, report.anchored) == ("inconclusive", (), False)
    for known in (
        {"swarm": "ab" * 32},
        {"witnesses": (PrivateKey.from_seed(b"w" * 32).public,)},
        {"model": "ab" * 32},
        {"checkpoints": (cosigned(Swarm(["dan", "eve"]), Swarm(["dan", "eve"])["dan"].id, 1, ["eve"]),)},
    ):
        assert against(invented, **known).verdict == "findings", known


# ------------------------------------------------------------------ notes kept


def test_a_note_kept_from_before_holds_against_a_longer_log(swarm: Swarm):
    ann = swarm["ann"].id
    for size in (1, 2, swarm["ann"].replica.size(ann)):
        report = against(contents_of(swarm), checkpoints=(swarm["ann"].note(ann, size, "ann"),))
        assert (report.verdict, report.findings) == ("clean", ())


def test_a_note_kept_from_before_exposes_a_shortened_log(swarm: Swarm):
    later = Swarm(["ann", "bob", "cyd"])
    for _ in range(3):
        later["ann"].publish(CHANGE)
    ann, size = later["ann"].id, later["ann"].replica.size(later["ann"].id)
    witnesses = " and ".join(sorted(("bob", "cyd"), key=lambda name: later[name].id))
    for note, said in (
        (later["ann"].note(ann, size, "ann"), f"presents {size - 3}, you hold a checkpoint of {size}"),
        (
            cosigned(later, ann, size, ["bob", "cyd"], later["ann"]),
            f"presents {size - 3}, you hold a checkpoint of {size}, witnessed by {witnesses}",
        ),
    ):
        (finding,) = against(contents_of(later), checkpoints=(note,)).findings
        assert (finding.log, finding.index, finding.rule, finding.detail) == (ann, size - 3, "truncated", said)


def test_a_note_of_another_history_is_a_fork(swarm: Swarm):
    other = Swarm(["ann", "bob", "cyd"])
    other["ann"].publish(-CHANGE)
    ann, size = other["ann"].id, other["ann"].replica.size(other["ann"].id)
    (finding,) = against(contents_of(swarm), checkpoints=(other["ann"].note(ann, size, "ann"),)).findings
    assert (finding.log, finding.index, finding.rule) == (ann, size - 1, "fork")


def test_a_note_that_is_not_the_authors_holds_nothing(swarm: Swarm):
    ann = swarm["ann"].id
    forged = bytearray(swarm["ann"].note(ann, 2, "ann"))
    forged[-10] ^= 2
    for note in (bytes(forged), b"", b"rubbish\n\n"):
        (finding,) = against(contents_of(swarm), checkpoints=(note,)).findings
        assert finding.rule == "anchor"


# ------------------------------------------------------------------ witnesses


def test_a_witness_that_the_auditor_knows_covers_the_past_of_what_it_signed(swarm: Swarm):
    bob, founder = swarm["bob"].id, swarm.founder_id
    whole = contents_of(swarm)
    size = swarm.founder.replica.size(bob)
    held = with_log(whole, bob, lambda log: replace(log, cosigned=cosigned(swarm, bob, size, ["founder"])))
    report = against(held, witnesses=(key_of("founder").public,))
    assert report.verdict == "clean"
    (covered,) = report.coverage
    past = swarm.founder.replica.past(bob, size)
    assert (covered.entries, covered.newest) == (sum(past.values()), SIGNED_AT)
    assert covered.name == origin(swarm.swarm, founder)
    assert 0 < covered.entries < report.entries


def test_a_witness_who_has_signed_nothing_here_is_missed(swarm: Swarm):
    report = against(contents_of(swarm), witnesses=(key_of("bob").public,))
    assert [(finding.rule, finding.file) for finding in report.findings] == [("anchor", "bundle.json")]


def test_a_witness_from_outside_counts_if_the_auditor_names_its_key(swarm: Swarm):
    outside, ann = PrivateKey.from_seed(b"o" * 32), swarm["ann"].id
    checkpoint = Checkpoint(origin(swarm.swarm, ann), 2, swarm.founder.replica.root(ann, 2))
    line = cosign(checkpoint, "witness.example/w1", outside, SIGNED_AT)
    note = add_cosignatures(swarm["ann"].note(ann, 2, "ann"), [line])
    held = with_log(contents_of(swarm), ann, lambda log: replace(log, cosigned=note))
    assert {finding.rule for finding in against(held, swarm=swarm.swarm).findings} == {"cosignature"}
    report = against(held, witnesses=(outside.public,))
    assert (report.verdict, [covered.name for covered in report.coverage]) == ("clean", ["witness.example/w1"])


# ------------------------------------------------------------------ models


def exported(peer: Peer, path: Path, log: str, seq: int) -> Path:
    """The model of a snapshot, as a peer that holds just its past exports it."""
    assert peer.fold is not None
    model = peer.fold.arithmetic.model_bytes(peer.fold.theta)
    write_model(path, make_header(peer.replica, log, seq, peer.model_hash()), float32_bytes(model))
    return path


@pytest.fixture
def model(swarm: Swarm, tmp_path: Path) -> tuple[Swarm, Path]:
    swarm = Swarm(["ann", "bob"])
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    taken = swarm["bob"].snapshot()
    path = exported(swarm["bob"], tmp_path / "model", taken.log, taken.seq)
    swarm.exchange()
    swarm["ann"].publish(CHANGE)
    swarm.exchange()
    return swarm, path


def test_an_exported_model_is_rebuilt_from_the_entries_byte_for_byte(model: tuple[Swarm, Path]):
    swarm, path = model
    for arithmetic in (PlainArithmetic(), NumpyArithmetic()):
        report = audit(contents_of(swarm), arithmetic, Anchors(model_file=path))
        assert (report.verdict, report.findings) == ("clean", ())


def test_an_exported_model_with_any_byte_changed_is_a_finding(model: tuple[Swarm, Path]):
    swarm, path = model
    honest = path.read_bytes()
    contents = contents_of(swarm)
    for place in range(0, len(honest), 9):
        bent = bytearray(honest)
        bent[place] ^= 1
        path.write_bytes(bent)
        report = against(contents, model_file=path)
        assert report.verdict == "findings", place
        assert {(finding.rule, finding.log) for finding in report.findings} == {("anchor", "")}
        assert {finding.file for finding in report.findings} <= {str(path), "bundle.json"}
        assert all(finding.against_anchor for finding in report.findings)
    path.write_bytes(honest + b"\0")
    assert against(contents, model_file=path).verdict == "findings"


def test_a_model_of_another_swarm_or_snapshot_is_a_finding(model: tuple[Swarm, Path], swarm: Swarm, tmp_path: Path):
    _, path = model
    (finding,) = against(contents_of(swarm), model_file=path).findings
    assert (finding.rule, finding.file) == ("anchor", "bundle.json")
    toy = Swarm(["ann", "bob"])
    taken = toy["bob"].snapshot()
    unknown = exported(toy["bob"], tmp_path / "unknown", taken.log, taken.seq)
    (finding,) = against(contents_of(Swarm(["ann", "bob"])), model_file=unknown).findings
    assert "does not have the snapshot" in finding.detail


def test_numpy_and_plain_python_round_alike():
    luck = np.random.default_rng(5)
    theta = luck.integers(-(1 << 53) + 1, 1 << 53, 5000) >> luck.integers(0, 53, 5000)
    rounded = NumpyArithmetic().to_float32(theta.astype(np.int64))
    assert float32_bytes(theta.astype("<i8").tobytes()) == rounded.astype("<f4").tobytes()


def test_heads_of_an_exported_model_do_not_depend_on_whose_trunk_it_is():
    from tests.fold.test_audit_forks import forked

    swarm, _ = forked()
    taken = swarm["bob"].snapshot()
    swarm.exchange("bob", "founder")
    headers: list[Header] = [
        make_header(swarm[name].replica, taken.log, taken.seq, "ab" * 32) for name in ("bob", "founder")
    ]
    assert headers[0] == headers[1]
    assert len({peer for peer, _, _ in headers[0].heads}) < len(headers[0].heads)  # both branches are in it


# ------------------------------------------------------------------ limits


def test_a_model_that_is_too_large_is_not_made(swarm: Swarm):
    report = audit(
        contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm), AuditOptions(parameters=15)
    )  # the toy has 16
    assert (report.verdict, report.model_hash, report.findings) == ("inconclusive", "", ())
    assert report.too_large == "the model has 16 parameters, this audit allows 15"


def test_a_layout_that_is_not_of_the_declared_model_is_a_finding(swarm: Swarm):
    options = AuditOptions(declared=lambda genesis: "is not as declared" if genesis.layout else "")
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm), options)
    assert [(finding.log, finding.index, finding.rule) for finding in report.findings] == [
        (swarm.founder_id, 0, "model")
    ]


def test_progress_is_told_to_whoever_asks(swarm: Swarm):
    told: list[tuple[int, int, str]] = []
    options = AuditOptions(on_progress=lambda done, total, what: told.append((done, total, what)))
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm), options)
    assert {what for _, _, what in told} == {"structure", "rules"}
    assert max(done for done, _, _ in told) == report.entries


def test_a_checkpoint_of_more_than_is_shown_under_a_key_that_is_not_shown_either_is_a_truncation(swarm: Swarm):
    """The entry that changed the key is among those that were left out: nobody's signature is wrong."""
    contents = contents_of(swarm)
    ann = swarm["ann"]
    shown = swarm.founder.replica.size(ann.id)
    ann.rotate()
    ann.publish(CHANGE)
    size = ann.replica.size(ann.id)
    (found,) = against(contents, checkpoints=(ann.note(ann.id, size, "ann"),)).findings
    assert (found.log, found.rule) == (ann.id, "truncated")
    assert f"presents {shown}, you hold a checkpoint of {size} (signed with a key" in found.detail


def test_a_model_without_a_peer_is_told_from_an_exported_one(swarm: Swarm, tmp_path: Path):
    path = tmp_path / "less"
    path.write_bytes(b'{"format":"gossip-model-without/1"}\n')
    (found,) = against(contents_of(swarm), model_file=path).findings
    assert "made by `without --out`: no snapshot ever had it" in found.detail
    assert (found.file, found.against_anchor) == (str(path), True)


def test_the_last_line_tells_what_is_wrong_from_what_is_another(swarm: Swarm, capsys: pytest.CaptureFixture[str]):
    from cli.verdict import show

    show(against(contents_of(swarm), swarm="ab" * 32), Anchors(swarm="ab" * 32))
    assert capsys.readouterr().out.endswith("this bundle does not match what you named\n")
    show(against(contents_of(swarm, model_hash="ab" * 32), swarm=swarm.swarm), Anchors(swarm=swarm.swarm))
    assert capsys.readouterr().out.endswith("this ledger does not hold\n")
