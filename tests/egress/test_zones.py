"""Files are private unless their owner says otherwise, of just these bytes; whatever goes wrong, it goes private."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip import zones
from gossip.egress import ZoneSetting
from ledger.errors import LocalError

PEER = "ab" * 32
PRIVATE = ZoneSetting()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text("a row\n")
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.jsonl"
    path.write_text("another row\n")
    return path


def test_everything_is_private_until_its_owner_says_otherwise(tmp_path: Path, file: Path) -> None:
    assert zones.setting(tmp_path, [file]) == PRIVATE
    assert zones.setting(tmp_path, []) == PRIVATE
    assert not zones.zones_path(tmp_path).exists()


def test_a_public_file_and_those_who_may_have_records_of_it(tmp_path: Path, file: Path) -> None:
    zones.make_public(tmp_path, file, ["trainer", PEER, "trainer"])
    found = zones.setting(tmp_path, [file])
    assert found == ZoneSetting("public", (PEER, "trainer"))
    assert found.pins == (zones.pin(file),)
    assert found.notes == ()
    assert stat.S_IMODE(zones.zones_path(tmp_path).stat().st_mode) == 0o600
    assert zones.make_private(tmp_path, file)
    assert not zones.make_private(tmp_path, file)
    assert zones.setting(tmp_path, [file]) == PRIVATE


def test_a_file_that_was_changed_is_private_again_and_its_owner_hears_of_it(tmp_path: Path, file: Path) -> None:
    zones.make_public(tmp_path, file)
    before = file.read_bytes()
    file.write_bytes(before + b"a row that is nobody's business\n")
    found = zones.setting(tmp_path, [file])
    assert found == PRIVATE
    assert found.notes == (f"{file} was changed since it was made public: it is private again",)
    assert [entry.state for entry in zones.public_files(tmp_path)] == ["changed"]
    file.write_bytes(before)
    assert zones.setting(tmp_path, [file]).zone == "public"


def test_another_file_at_the_path_or_the_same_bytes_elsewhere_are_not_what_was_made_public(
    tmp_path: Path, file: Path, other: Path
) -> None:
    zones.make_public(tmp_path, file)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(file.read_bytes())
    assert zones.setting(tmp_path, [copy]) == PRIVATE
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    assert zones.setting(tmp_path, [link]).zone == "public"  # the very file
    link.unlink()
    link.symlink_to(other)
    assert zones.setting(tmp_path, [link]) == PRIVATE
    file.unlink()
    assert zones.setting(tmp_path, [file]) == PRIVATE
    assert [entry.state for entry in zones.public_files(tmp_path)] == ["missing"]


def test_files_of_different_zones_in_one_run_are_all_private_and_that_is_said(
    tmp_path: Path, file: Path, other: Path
) -> None:
    zones.make_public(tmp_path, file)
    found = zones.setting(tmp_path, [file, other])
    assert found == PRIVATE
    assert "all are private" in found.notes[0]
    zones.make_public(tmp_path, other, ["auditor"])  # public, and to others than the first
    found = zones.setting(tmp_path, [file, other])
    assert found == PRIVATE
    assert "public to different members" in found.notes[0]
    zones.make_public(tmp_path, file, ["auditor"])
    assert zones.setting(tmp_path, [file, other]) == ZoneSetting("public", ("auditor",))


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"\xff\xfe", b'{"files":[]}', b'{"files":[],"format":"gossip-zones/2"}',
        b'{"files":[],"format":"gossip-zones/1"} ', b'{"files":[],"format":"gossip-zones/1","more":1}',
        b'{"files":[{"opens":["everybody"],"path":"/a","sha256":"' + b"0" * 64 + b'"}],"format":"gossip-zones/1"}',
        b'{"files":[{"opens":[],"path":"/a","sha256":"00"}],"format":"gossip-zones/1"}', b"[" * 100_000,
        b" " * (zones.MAX_BYTES + 1),
    ],
)  # fmt: skip
def test_a_damaged_list_makes_everything_private_in_one_line(tmp_path: Path, file: Path, damage: bytes) -> None:
    zones.make_public(tmp_path, file)
    zones.zones_path(tmp_path).write_bytes(damage)
    found = zones.setting(tmp_path, [file])
    assert found == PRIVATE
    assert len(found.notes) == 1
    assert "\n" not in found.notes[0]
    for change in (zones.make_public, zones.make_private):
        with pytest.raises(LocalError, match="zones"):
            change(tmp_path, file)
    assert zones.zones_path(tmp_path).read_bytes() == damage  # whatever it was, its owner may want it


def test_a_list_that_others_can_read_is_not_believed(tmp_path: Path, file: Path) -> None:
    zones.make_public(tmp_path, file)
    zones.zones_path(tmp_path).chmod(0o644)
    found = zones.setting(tmp_path, [file])
    assert found == PRIVATE
    assert "chmod 600" in found.notes[0]


@pytest.mark.parametrize("opens", [["everybody"], ["AUDITOR"], [""], [PEER[:8]], [f"{n:064x}" for n in range(17)]])
def test_records_are_opened_to_roles_and_whole_peer_ids_only(tmp_path: Path, file: Path, opens: list[str]) -> None:
    with pytest.raises(LocalError, match="roles and peers only"):
        zones.make_public(tmp_path, file, opens)
    assert zones.setting(tmp_path, [file]) == PRIVATE


def test_a_change_that_was_cut_off_leaves_the_old_list_and_does_not_stand_in_the_way(
    tmp_path: Path, file: Path, other: Path
) -> None:
    zones.make_public(tmp_path, file)
    (tmp_path / "zones.new").write_bytes(b'{"files":[')
    assert zones.setting(tmp_path, [file]).zone == "public"
    zones.make_public(tmp_path, other)
    assert {Path(entry.path).name for entry in zones.public_files(tmp_path)} == {file.name, other.name}


@given(st.binary(max_size=200))
def test_no_bytes_in_place_of_the_list_make_anything_public(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("peer")
    file = folder / "rows.jsonl"
    file.write_text("a row\n")
    path = zones.zones_path(folder)
    path.write_bytes(data)
    path.chmod(0o600)
    assert zones.setting(folder, [file]) == PRIVATE


def test_the_list_is_one_line_of_canonical_json(tmp_path: Path, file: Path) -> None:
    zones.make_public(tmp_path, file, ["auditor"])
    text = zones.zones_path(tmp_path).read_text()
    entry = {"opens": ["auditor"], "path": str(file), "sha256": zones.pin(file)}
    assert text == json.dumps({"files": [entry], "format": "gossip-zones/1"}, separators=(",", ":"))


def test_a_file_that_is_made_public_again_stands_in_the_list_once_as_it_is_now(tmp_path: Path, file: Path) -> None:
    zones.make_public(tmp_path, file)
    zones.make_public(tmp_path, file, ["auditor"])
    assert [entry.opens for entry in zones.public_files(tmp_path)] == [["auditor"]]
    file.write_text("another row\n")
    zones.make_public(tmp_path, file, ["auditor"])
    assert [entry.state for entry in zones.public_files(tmp_path)] == ["public"]
    assert zones.make_private(tmp_path, file)
    assert zones.setting(tmp_path, [file]) == PRIVATE  # none was left behind


@pytest.mark.parametrize(
    "change",
    [
        lambda files: [files[0], files[0]],  # one path twice: which of the two is meant?
        lambda files: files[::-1],
        lambda files: [{**files[0], "sha256": "00"}, files[1]],
        lambda files: [{**files[0], "opens": ["trainer", "auditor"]}, files[1]],
        lambda files: [{**files[0], "opens": ["auditor", "auditor"]}, files[1]],
        lambda files: [{**files[0], "opens": ["everybody"]}, files[1]],
    ],
)
def test_a_list_that_nobody_here_would_write_makes_everything_private(
    tmp_path: Path, file: Path, other: Path, change: Any
) -> None:
    for path in (file, other):
        zones.make_public(tmp_path, path)
    place = zones.zones_path(tmp_path)
    kept = json.loads(place.read_text())
    place.write_text(json.dumps({**kept, "files": change(kept["files"])}, separators=(",", ":")))
    for path in (file, other):
        assert zones.setting(tmp_path, [path]) == PRIVATE
    with pytest.raises(LocalError, match="is damaged: all data are private"):
        zones.public_files(tmp_path)
