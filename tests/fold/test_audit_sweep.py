"""Every flipped byte of a bundle is found and named: as a folder and through an archive."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ledger.archive import pack_archive
from ledger.audit import Anchors, audit_path
from ledger.bundle import write_bundle
from ledger.fold import PlainArithmetic
from tests.fold.sweep import something_of_everything, sweep

STEP = 499  # prime: other places in every file; python -m tests.fold.sweep tries them all


def test_a_flipped_bit_in_any_file_of_any_kind_is_found_and_named(tmp_path: Path):
    swarm, contents = something_of_everything()
    path = tmp_path / "bundle"
    write_bundle(path, contents)
    honest = audit_path(path, PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert (honest.verdict, honest.findings, len(swarm.everything()) >= 50) == ("clean", (), True)
    files = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    kinds = {"bundle.json", "README.txt", "policy.toml", "policy.tlog"}
    assert kinds < files
    assert {"checkpoint", "head.tlog-proof", "key.pem", "cosigned"} <= {Path(file).name for file in files}
    assert any("/fork-" in file for file in files)
    tried = set()
    for file, place, report in sweep(path, swarm.swarm, STEP):
        named = {finding.file for finding in report.findings}
        assert report.verdict == "findings", f"byte {place} of {file}"
        assert file in named, f"byte {place} of {file} was found in {named}"
        tried.add(file)
    assert tried == files


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_a_changed_file_is_named_through_an_archive(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch):
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    swarm, contents = something_of_everything()
    path = tmp_path / "bundle"
    write_bundle(path, contents)
    packed = tmp_path / f"bundle{suffix}"
    pack_archive(path, packed, packed.name)
    honest = audit_path(packed, PlainArithmetic(), Anchors(swarm=swarm.swarm))
    assert (honest.verdict, honest.findings) == ("clean", ())
    for number, file in enumerate(sorted(file for file in path.rglob("*") if file.is_file())):
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        bent = tmp_path / f"bent{number}{suffix}"
        pack_archive(path, bent, bent.name)
        report = audit_path(bent, PlainArithmetic(), Anchors(swarm=swarm.swarm))
        assert file.relative_to(path).as_posix() in {finding.file for finding in report.findings}
        file.write_bytes(good)
    assert list(room.iterdir()) == []


def test_a_damaged_or_missing_file_accuses_nobody(tmp_path: Path):
    """Who cites what cannot be read, whose key changed later, who witnessed it: none of it is their doing."""
    swarm, contents = something_of_everything()
    path = tmp_path / "bundle"
    write_bundle(path, contents)

    def found() -> list[tuple[str, str]]:
        report = audit_path(path, PlainArithmetic(), Anchors(swarm=swarm.swarm))
        rules = [finding.rule for finding in report.findings]
        assert rules == sorted(rules)  # "file" comes first
        return [(finding.log, finding.rule) for finding in report.findings]

    for log in [log for log in contents.logs if "~" not in log.peer]:
        others = {other.peer for other in contents.logs} - {log.peer}
        (tile,) = (path / log.place / "tile" / "entries").rglob("*.p/*")
        honest = tile.read_bytes()
        for place in range(1, len(honest), len(honest) // 5):
            tile.write_bytes(honest[:place] + bytes([honest[place] ^ 4]) + honest[place + 1 :])
            first, *rest = found()
            assert first == (log.peer, "file")
            assert {rule for _, rule in rest} <= {"past"}
            assert {other for other, _ in rest} <= others
        tile.write_bytes(honest)
        (path / log.place).rename(tmp_path / "away")
        lost = found()
        assert (log.peer, "file") in lost
        assert {rule for _, rule in lost} == {"file", "past"}
        assert all(other in others for other, rule in lost if rule == "past")
        (tmp_path / "away").rename(path / log.place)
    assert found() == []
