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
