"""An auditor's way through the commands: export, verify, replay, read; and what a doctored bundle earns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cli import auditing, exits
from cli.app import app
from cli.children import own_environment, own_program
from cli.settings import STORE
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.entry import Accuse
from ledger.store import PutBlob, PutCheckpoint, PutEntry, PutMeta, Store, Write
from tests.fold import toy
from tests.fold.bundles import written


def a_swarm() -> toy.Swarm:
    swarm = toy.Swarm(["birch", "cedar"])
    for number in range(6):
        for name in ("founder", "birch", "cedar"):
            swarm[name].publish(np.linspace(-1, 1, 16) * (number + 1) / 100)
        swarm.exchange()
    for name in ("founder", "birch", "cedar"):
        swarm[name].snapshot()
    swarm.exchange()
    return swarm


def stored(place: Path, swarm: toy.Swarm, *, unsigned: dict[str, int] | None = None) -> Path:
    """The founder's directory: all entries, blobs and checkpoints, but for the last entries said to be unsigned."""
    place.mkdir()
    founder = swarm.founder
    writes: list[Write] = [PutEntry(log, seq, data) for log, seq, data in swarm.everything()]
    for log, size in founder.replica.heads().items():
        name = next(peer.name for peer in swarm.peers.values() if peer.id == log)
        signed = size - (unsigned or {}).get(name, 0)
        note = Checkpoint(origin(swarm.swarm, log), signed, founder.replica.root(log, signed))
        writes.append(PutCheckpoint(log, signed, sign(note, toy.key_of(name))))
    policy = toy.POLICY.encode()
    writes += [PutBlob(digest, data) for digest, data in founder.blobs.items()]
    writes += [PutBlob(founder.replica.genesis.policy, policy)]
    facts = {"swarm": swarm.swarm, "founder": swarm.founder_id, "self": swarm.founder_id, "swarm_name": "toy"}
    writes += [PutMeta(key, value.encode()) for key, value in facts.items()]
    with Store(place / STORE) as store:
        store.commit(writes)
    return place


@pytest.fixture(scope="module")
def swarm() -> toy.Swarm:
    return a_swarm()


@pytest.fixture
def bundle(tmp_path: Path, swarm: toy.Swarm) -> Path:
    place = stored(tmp_path / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    return tmp_path / "bundle"


def gossip(*words: str, code: int = exits.OK) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.stdout or done.stderr


def facts(*words: str, code: int = exits.OK) -> dict[str, Any]:
    value = json.loads(gossip(*words, "--json", code=code))
    assert isinstance(value, dict)
    return value


def test_a_bundle_verifies_against_what_the_auditor_knows(bundle: Path, swarm: toy.Swarm) -> None:
    model = swarm.founder.model_hash()
    report = facts("ledger", "verify", str(bundle), "--swarm", swarm.swarm, "--model-hash", model)
    assert (report["verdict"], report["findings"], report["model_hash"]) == ("clean", [], model)
    assert report["entries"] == sum(swarm.founder.replica.heads().values())
    told = gossip("ledger", "verify", str(bundle), "--swarm", swarm.swarm).splitlines()
    assert told[-1] == f"CLEAN  {report['entries']} entries, 3 snapshots recomputed"
    assert told[-2] == "held against the swarm's id"
    assert sum("clean" in line for line in told[:-1]) == 3  # a line for each log


def test_named_by_nobody_it_is_inconclusive(bundle: Path) -> None:
    told = gossip("ledger", "verify", str(bundle), code=exits.INCONCLUSIVE)
    assert "INCONCLUSIVE: consistent with itself, but you named nothing to hold it against\n" in told
    assert "--swarm ID" in told


@pytest.mark.parametrize("option", ["--swarm", "--model-hash"])
def test_another_swarm_or_model_than_known_is_a_finding(bundle: Path, option: str) -> None:
    report = facts("ledger", "verify", str(bundle), option, "e" * 64, code=exits.FINDINGS)
    assert [finding["rule"] for finding in report["findings"]] == ["anchor"]
    assert "is no hash" in gossip("ledger", "verify", str(bundle), option, "xyz", code=exits.USAGE)


def test_one_flipped_byte_is_named_with_its_file(bundle: Path, swarm: toy.Swarm) -> None:
    file = next(iter(sorted((bundle / "blobs").iterdir())))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    told = gossip("ledger", "verify", str(bundle), "--swarm", swarm.swarm, code=exits.FINDINGS)
    assert f"blobs/{file.name}" in told
    assert "FINDINGS  " in told


def test_a_missing_delta_is_not_replayable_never_valid(bundle: Path, swarm: toy.Swarm) -> None:
    next(iter(sorted((bundle / "blobs").iterdir()))).unlink()
    told = gossip("ledger", "verify", str(bundle), "--swarm", swarm.swarm, code=exits.INCONCLUSIVE)
    assert "1 blob missing: not replayable" in told
    assert "(not replayable)" in gossip("ledger", "replay", str(bundle), code=exits.INCONCLUSIVE)


def test_clean_is_said_of_no_log_that_was_not_judged_whole(bundle: Path, swarm: toy.Swarm) -> None:
    """Where a delta is missing no model was judged; --structure holds no entry to any rule."""
    words = ("ledger", "verify", str(bundle), "--swarm", swarm.swarm)
    assert {log["state"] for log in facts(*words)["logs"]} == {"clean"}
    quick = facts(*words, "--structure", code=exits.INCONCLUSIVE)
    assert {(log["state"], log["judged"]) for log in quick["logs"]} == {("not judged", 0)}
    told = gossip(*words, "--structure", code=exits.INCONCLUSIVE)
    assert (told.count("not judged"), told.count("clean")) == (3, 0)
    for blob in (bundle / "blobs").iterdir():
        blob.unlink()
    report = facts(*words, "--html", str(bundle.parent / "page.html"), code=exits.INCONCLUSIVE)
    assert {log["state"] for log in report["logs"]} == {"not replayed"}
    assert gossip(*words, code=exits.INCONCLUSIVE).count("not replayed") == 3
    page = (bundle.parent / "page.html").read_text(encoding="utf-8")
    assert ("not replayed" in page, ">clean<" in page) == (True, False)


def test_a_log_that_waits_for_evidence_is_judged_as_far_as_it_was(tmp_path: Path) -> None:
    """Without the evidence an accusation is neither right nor wrong, and so is all that comes after it."""
    swarm = toy.Swarm(["ann", "bob"])
    swarm["ann"].publish(np.ones(16) / 100)
    swarm.exchange()
    twin = swarm["ann"].twin()
    swarm["ann"].publish(np.ones(16) / 100)
    twin.publish(-np.ones(16) / 100)
    swarm.founder.fetch(swarm["ann"])
    swarm.founder.fetch(twin)
    accused = swarm.founder.accuse_twins(swarm["ann"], twin, swarm["ann"].replica.size(swarm["ann"].id) - 1)
    assert isinstance(accused.entry, Accuse)
    path = written(swarm, tmp_path / "bundle")
    (path / "blobs" / accused.entry.evidence).unlink()
    words = ("ledger", "verify", str(path), "--swarm", swarm.swarm)
    log = next(log for log in facts(*words, code=exits.INCONCLUSIVE)["logs"] if log["peer"] == swarm.founder_id)
    assert 0 < log["judged"] < log["size"]
    assert log["state"] == f"{log['judged']} of {log['size']} judged"
    assert log["state"] in gossip(*words, code=exits.INCONCLUSIVE)


def test_replay_says_whether_it_replayed_and_judges_nothing_else(bundle: Path) -> None:
    """It holds the bundle against nothing, so it has no verdict: text, JSON and exit code say the same."""
    report = facts("ledger", "replay", str(bundle))
    assert report["replayed"] is True
    assert not {"verdict", "anchored"} & set(report)
    assert "\nreplayed 18 updates and 3 snapshots with " in gossip("ledger", "replay", str(bundle))
    delta = next(iter(sorted((bundle / "blobs").iterdir())))
    kept = delta.read_bytes()
    delta.unlink()
    assert facts("ledger", "replay", str(bundle), code=exits.INCONCLUSIVE)["replayed"] is False
    assert "\nnot all replayed: " in gossip("ledger", "replay", str(bundle), code=exits.INCONCLUSIVE)
    delta.write_bytes(kept[:-1])
    assert facts("ledger", "replay", str(bundle), code=exits.FINDINGS)["replayed"] is False
    assert "\nnot all replayed: " in gossip("ledger", "replay", str(bundle), code=exits.FINDINGS)


def test_the_list_of_entries_has_the_same_facts_as_json(bundle: Path) -> None:
    rows = gossip("ledger", "log", str(bundle), "-n", "0").splitlines()[1:]
    entries = facts("ledger", "log", str(bundle), "-n", "0")["entries"]
    assert len(rows) == len(entries)
    for row, entry in zip(rows, entries, strict=True):
        assert row.split()[1] == entry["name"]
        assert row.endswith(entry["says"])
        assert entry["entry"]["kind"] in row


def test_replay_gives_the_peers_model_without_jax(bundle: Path, swarm: toy.Swarm) -> None:
    """In a process of its own: what this test run has imported proves nothing."""
    command = [sys.executable, "-m", "cli", "ledger", "replay", str(bundle), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=True)
    report = json.loads(done.stdout)
    assert report["model_hash"] == swarm.founder.model_hash()
    assert (report["jax"], report["arithmetic"], report["findings"]) == (False, "numpy", [])


def test_replay_needs_no_numpy(bundle: Path, swarm: toy.Swarm) -> None:
    """The base install: numpy cannot be imported, and the plain integers give the same hash."""
    code = "import sys; sys.modules['numpy'] = None; from cli.app import main; sys.argv[0] = 'gossip'; main()"
    command = [sys.executable, "-c", code, "ledger", "replay", str(bundle), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    assert done.returncode == exits.OK, done.stderr
    report = json.loads(done.stdout)
    assert (report["arithmetic"], report["model_hash"]) == ("plain integers", swarm.founder.model_hash())


def test_plain_is_a_second_opinion_that_imports_no_numpy(bundle: Path, swarm: toy.Swarm) -> None:
    """In a process of its own, where numpy could be imported."""
    command = own_program("ledger", "replay", str(bundle), "--plain", "--json")
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=True)
    report = json.loads(done.stdout)
    assert (report["arithmetic"], report["numpy"], report["jax"]) == ("plain integers", False, False)
    assert report["model_hash"] == swarm.founder.model_hash()
    assert report["snapshots"] == 3
    numpy = subprocess.run([*command[:-2], "--json"], capture_output=True, text=True, env=own_environment(), check=True)
    assert json.loads(numpy.stdout)["numpy"] is True  # the check sees what was loaded


def test_a_bundle_is_read_like_a_store(bundle: Path, swarm: toy.Swarm) -> None:
    listed = facts("ledger", "log", str(bundle), "-n", "0")
    kept = facts("ledger", "log", str(bundle.parent / "peer"), "-n", "0")
    assert {e["hash"] for e in listed["entries"]} == {e["hash"] for e in kept["entries"]}
    assert "snapshot" in gossip("ledger", "log", str(bundle), "--peer", "birch", "-n", "1")
    archive = str(bundle.parent / "peer.zip")
    gossip("ledger", "bundle", "--dir", str(bundle.parent / "peer"), "--out", archive)
    for source in (str(bundle), str(bundle.parent / "peer"), archive):
        assert facts("ledger", "show", "birch/0", source)["hash"] == swarm["birch"].id
        assert "\nsays  birch enters" in gossip("ledger", "show", "birch/0", source)


def test_each_log_is_exported_as_far_as_it_is_signed(tmp_path: Path, swarm: toy.Swarm) -> None:
    place = stored(tmp_path / "peer", swarm, unsigned={"founder": 1, "cedar": 1})
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    report = facts("ledger", "verify", str(tmp_path / "bundle"), "--swarm", swarm.swarm)
    assert report["entries"] == sum(swarm.founder.replica.heads().values()) - 2


def test_a_bundle_is_made_of_a_directory_named_as_source(bundle: Path, tmp_path: Path) -> None:
    place = str(bundle.parent / "peer")
    gossip("ledger", "bundle", place, "--out", str(tmp_path / "again"))
    assert (tmp_path / "again" / "bundle.json").read_bytes() == (bundle / "bundle.json").read_bytes()
    told = gossip("ledger", "bundle", str(bundle), "--out", str(tmp_path / "third"), code=exits.USAGE)
    assert "is a bundle already" in told
    told = gossip("ledger", "bundle", "x", "--dir", place, "--out", str(tmp_path / "third"), code=exits.USAGE)
    assert "'x' and --dir name two peers" in told
    assert not (tmp_path / "third").exists()


def test_nothing_is_written_over_what_is_read(bundle: Path, swarm: toy.Swarm) -> None:
    """Neither a page, nor a state, nor a model: not over the archive that is read, nor into the folder."""
    archive, snapshot = (
        bundle.parent / "a.zip",
        f"{swarm['birch'].id}/{swarm['birch'].replica.size(swarm['birch'].id) - 1}",
    )
    gossip("ledger", "bundle", "--dir", str(bundle.parent / "peer"), "--out", str(archive))
    note = bundle.parent / "note"
    note.write_bytes(b"of mine")
    for out, read in ((archive, archive), (bundle / "bundle.json", bundle)):
        before = out.read_bytes()
        for words in (
            ("ledger", "verify", str(read), "--html", str(out)),
            ("ledger", "state", str(read), snapshot, "--out", str(out)),
            ("ledger", "without", str(read), "birch", "--out", str(out)),
            ("model", "export", str(read), "--out", str(out)),
        ):
            assert "would overwrite what is read" in gossip(*words, code=exits.USAGE)
        assert out.read_bytes() == before
    gossip("ledger", "verify", str(archive), "--lists", str(note), "--html", str(note), code=exits.USAGE)
    assert note.read_bytes() == b"of mine"


def test_an_export_never_overwrites(bundle: Path) -> None:
    place = bundle.parent / "peer"
    assert "exists already" in gossip("ledger", "bundle", "--dir", str(place), "--out", str(bundle), code=exits.USAGE)


def test_a_store_that_would_not_verify_is_not_exported(tmp_path: Path, swarm: toy.Swarm) -> None:
    place = stored(tmp_path / "peer", swarm, unsigned={"birch": 4})  # the others cite more of it
    with pytest.raises(auditing.LocalError, match="not yet in a state to export"):
        auditing.export(place / STORE, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_the_callers_mistake(tmp_path: Path) -> None:
    assert "is not a bundle" in gossip("ledger", "verify", str(tmp_path), code=exits.USAGE)
