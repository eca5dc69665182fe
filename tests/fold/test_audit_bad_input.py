"""An auditor's tool never stumbles over a bad bundle: it names log, index, rule and file, in bounded memory."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cli.auditing import options_of
from ledger.audit import Anchors, Report, audit, audit_path
from ledger.bundle import BundleContents, write_bundle
from ledger.canonical import decode_entry, encode, encode_entry
from ledger.entry import Data, Update
from ledger.fold import PlainArithmetic
from ledger.tiles import decode_entries, encode_entries
from tests.fold import toy
from tests.fold.bundles import contents_of, entries_of, forged
from tests.fold.toy import CHAIN, NOW, Swarm
from tests.ledger.skeleton import Skeleton

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


@pytest.fixture
def bundle(swarm: Swarm, tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", contents_of(swarm))
    return tmp_path / "bundle"


def verify(path: Path, swarm: Swarm) -> Report:
    return audit_path(path, PlainArithmetic(), Anchors(swarm=swarm.swarm))


def tile_of(bundle: Path, log: str) -> Path:
    return next((bundle / "logs" / log / "tile" / "entries").rglob("000.p/*"))


def rewritten(bundle: Path, log: str, change: Callable[[list[bytes]], list[bytes]]) -> str:
    """Change the entries in a log's one tile, and the size in bundle.json with them. The name of the tile."""
    tile = tile_of(bundle, log)
    entries = change(decode_entries(tile.read_bytes(), int(tile.name)))
    tile.unlink()
    tile = tile.with_name(str(len(entries)))
    tile.write_bytes(encode_entries(entries))
    manifest = json.loads((bundle / "bundle.json").read_text())
    for known in manifest["logs"]:
        if known["peer"] == log:
            known["size"] = len(entries)
    (bundle / "bundle.json").write_bytes(encode(manifest))
    return tile.relative_to(bundle).as_posix()


def test_a_dropped_middle_is_named(bundle: Path, swarm: Swarm):
    ann = swarm["ann"].id
    file = rewritten(bundle, ann, lambda entries: [*entries[:2], *entries[3:]])
    found = {(finding.log, finding.index, finding.rule, finding.file) for finding in verify(bundle, swarm).findings}
    assert (ann, 2, "place", file) in found


def test_swapped_entries_are_named(bundle: Path, swarm: Swarm):
    ann = swarm["ann"].id
    file = rewritten(bundle, ann, lambda entries: [entries[0], entries[2], entries[1], *entries[3:]])
    found = {(finding.log, finding.index, finding.rule, finding.file) for finding in verify(bundle, swarm).findings}
    assert (ann, 1, "file", file) in found


def test_a_cut_tail_is_missed_by_those_who_cite_it(bundle: Path, swarm: Swarm):
    ann = swarm["ann"].id
    rewritten(bundle, ann, lambda entries: entries[:2])
    report = verify(bundle, swarm)
    assert {"past"} <= {finding.rule for finding in report.findings}
    assert any(f"of log {ann[:12]}, which is not here" in finding.detail for finding in report.findings)
    # ... and the author's checkpoint signs more than there is: without a proof that leads there, that is one more.
    assert f"logs/{ann}/head.tlog-proof" in {finding.file for finding in report.findings}


def test_a_log_replayed_into_another_swarm_is_named(bundle: Path, swarm: Swarm, tmp_path: Path):
    other = Swarm(["dan"], witnesses=["founder"])
    assert other.swarm != swarm.swarm
    write_bundle(tmp_path / "other", contents_of(other))
    foreign, size = other["dan"].id, other["dan"].replica.size(other["dan"].id)
    shutil.copytree(tmp_path / "other" / "logs" / foreign, bundle / "logs" / foreign)
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["logs"] = sorted([*manifest["logs"], {"peer": foreign, "size": size}], key=lambda log: log["peer"])
    (bundle / "bundle.json").write_bytes(encode(manifest))
    found = {(finding.log, finding.index, finding.rule) for finding in verify(bundle, swarm).findings}
    assert (foreign, 0, "place") in found


def test_missing_blobs_are_not_replayable_never_valid(bundle: Path, swarm: Swarm):
    gone = sorted(path.name for path in (bundle / "blobs").iterdir())
    for name in gone:
        (bundle / "blobs" / name).unlink()
    report = verify(bundle, swarm)
    assert (report.verdict, report.findings, report.model_hash, report.snapshots) == ("inconclusive", (), "", 0)
    assert sorted(report.missing) == gone


def test_an_entry_header_that_says_ten_gigabytes_costs_nothing(bundle: Path, swarm: Swarm):
    for blob in (bundle / "blobs").iterdir():
        with blob.open("r+b") as file:
            file.truncate(10 << 30)  # sparse
    files = {finding.file for finding in verify(bundle, swarm).findings}
    assert files >= {f"blobs/{path.name}" for path in (bundle / "blobs").iterdir()}
    ann = swarm["ann"].id
    tile = tile_of(bundle, ann)
    with tile.open("r+b") as file:
        file.truncate(10 << 30)
    report = verify(bundle, swarm)
    assert (ann, tile.relative_to(bundle).as_posix()) in {(finding.log, finding.file) for finding in report.findings}


def test_a_blob_longer_than_its_entry_says_is_read_no_further_than_a_hash_needs(swarm: Swarm, tmp_path: Path):
    """The entry lies about its length: that is its author's doing. A file that grew is the bundle maker's."""
    ann = swarm["ann"]
    at = next(seq for seq in range(ann.replica.size(ann.id)) if isinstance(ann.replica.entry(ann.id, seq), Update))
    update = ann.replica.entry(ann.id, at)
    entries = entries_of(ann.replica, ann.id)[:at]
    lie = encode(msgspec.structs.replace(update, bytes=14))
    write_bundle(tmp_path / "a", forged(swarm, contents_of(swarm), "ann", [*entries, lie]))
    report = audit_path(tmp_path / "a", PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert (ann.id, at, "delta") in {(finding.log, finding.index, finding.rule) for finding in report.findings}
    assert not [finding for finding in report.findings if finding.file.startswith("blobs/")]
    write_bundle(tmp_path / "b", contents_of(swarm))
    blob = tmp_path / "b" / "blobs" / update.delta  # type: ignore[union-attr]
    blob.write_bytes(blob.read_bytes() + b"\0")
    report = audit_path(tmp_path / "b", PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert [finding.file for finding in report.findings] == [f"blobs/{blob.name}"]


def test_a_claim_of_a_billion_rows_is_only_a_claim():
    """Nothing is made of the size that an entry states."""
    swarm = Swarm(["ann"])
    ann = swarm["ann"]
    rows = Data(
        **CHAIN, root=sha256(b"rows").hexdigest(), records=10**9, labels={"ad": 10**9}, duplicates=0, features="toy-1",
        zone="private", sources=[],
    )  # fmt: skip
    ann.take(ann.id, encode_entry(ann.replica.draft(ann.id).stamp(rows, NOW)))
    swarm.exchange()
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert (report.verdict, report.findings) == ("clean", ())


@pytest.mark.parametrize("size", [10**9, (1 << 31), (1 << 53) - 1])
def test_a_manifest_that_claims_a_billion_entries_costs_nothing(bundle: Path, swarm: Swarm, size: int):
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["logs"][0]["size"] = size
    (bundle / "bundle.json").write_bytes(encode(manifest))
    log = manifest["logs"][0]["peer"]
    report = verify(bundle, swarm)
    assert report.verdict == "findings"
    assert f"logs/{log}/tile/entries/000" in {finding.file for finding in report.findings}


def test_a_thousand_logs_of_strangers_fit():
    """A past is as wide as the swarm, and is not kept so."""
    many = Skeleton(1200).bundle(1201)
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = audit(many, PlainArithmetic(), Anchors(swarm=many.swarm))
    assert report.verdict == "findings"  # (its policy is not the one that its genesis names)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun < 150 * 1024


def test_a_model_declared_in_a_thousand_brackets_is_no_model_of_ours(monkeypatch: pytest.MonkeyPatch):
    deep = '{"model":1,"layers":[{"kind":' + "[" * 14_000
    honest = toy.genesis

    def genesis(**changes: object) -> bytes:
        entry = decode_entry(honest(**changes))  # type: ignore[arg-type]
        return encode_entry(msgspec.structs.replace(entry, model=deep))

    monkeypatch.setattr(toy, "genesis", genesis)
    swarm = Swarm(["ann"])
    report = audit(contents_of(swarm), PlainArithmetic(), Anchors(swarm=swarm.swarm), options_of())
    assert (report.verdict, report.findings) == ("clean", ())  # as any declaration in words that are not ours


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"null", b'{"format":"gossip-bundle/1"}', b"\xff" * 100])
def test_rubbish_for_a_manifest_is_a_finding(bundle: Path, swarm: Swarm, broken: bytes):
    (bundle / "bundle.json").write_bytes(broken)
    report = verify(bundle, swarm)
    assert [finding.file for finding in report.findings] == ["bundle.json"]


def test_no_rubbish_in_any_file_raises(bundle: Path, swarm: Swarm):
    luck = np.random.default_rng(3)
    for file in sorted(file for file in bundle.rglob("*") if file.is_file() and file.name != "bundle.json"):
        good = file.read_bytes()
        for bad in (b"", luck.bytes(50), good[: len(good) // 2], good * 2, b"\n" * 1000):
            file.write_bytes(bad)
            assert verify(bundle, swarm).verdict != "clean" or bad == good, file
        file.write_bytes(good)
    assert verify(bundle, swarm).verdict == "clean"


def test_contents_made_by_hand_may_lie_about_anything(swarm: Swarm):
    whole = contents_of(swarm)

    def short(log_size: int) -> BundleContents:
        return replace(whole, logs=tuple(replace(log, size=log_size) for log in whole.logs))

    for lie in (short(1), short(10_000), replace(whole, logs=()), replace(whole, swarm="ab" * 32)):
        assert audit(lie, PlainArithmetic(), Anchors(swarm=swarm.swarm)).verdict == "findings"


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: limits of memory are set as Linux has it")
def test_the_audit_of_a_bundle_of_giants_needs_little_memory(bundle: Path, swarm: Swarm):
    """Every file a gigabyte, in a process that may have 400 MB: it reports."""
    for file in bundle.rglob("*"):
        if file.is_file() and file.name != "bundle.json":
            with file.open("r+b") as opened:
                opened.truncate(1 << 30)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "from pathlib import Path; from ledger.audit import *; from ledger.fold import PlainArithmetic\n"
        "print(audit_path(Path(sys.argv[1]), PlainArithmetic(), Anchors()).verdict)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False, timeout=240
    )
    assert (done.stdout.strip(), done.stderr) == ("findings", "")


def test_a_missing_policy_is_named_and_nobody_is_blamed(bundle: Path, swarm: Swarm):
    (bundle / "policy.toml").unlink()
    assert [(found.log, found.rule, found.file) for found in verify(bundle, swarm).findings] == [
        ("", "file", "policy.toml")
    ]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08\x00", b"PK\x03\x04"])
def test_what_is_no_archive_is_one_finding(tmp_path: Path, name: str, data: bytes):
    (tmp_path / name).write_bytes(data)
    report = audit_path(tmp_path / name, PlainArithmetic(), Anchors())
    (found,) = report.findings
    assert found.detail == "cannot be read as an archive: it is cut short or no archive; get it again"
