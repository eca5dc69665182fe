"""The power goes at any moment: what was acknowledged is there, whole, when it comes back.

A check that cannot fail is none: a store that does not sync is cut off in the same way, and must be caught.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.power.cuts import CUT_NOTHING, forgetting, mounted_cut
from tests.power.disk import Acknowledged, Delete, Disk, Mood, Sync, Truncate, Write
from tests.power.mounted import why_not
from tests.power.vfs import is_possible

FORGETTING_CUTS = 150
MOUNTED_CUTS = 4

watched = pytest.mark.skipif(not is_possible(), reason=f"NOT RUN: {CUT_NOTHING}")


# ------------------------------------------------------------------ a disk that forgets


@watched
def test_no_power_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    seen = forgetting(tmp_path, cuts=FORGETTING_CUTS, seed=1)
    assert seen.faults == []
    assert (seen.cuts, seen.promised > 0) == (FORGETTING_CUTS, True)


@watched
@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_a_store_that_does_not_sync_each_commit_is_caught(tmp_path: Path, synchronous: str) -> None:
    seen = forgetting(tmp_path, cuts=30, seed=2, synchronous=synchronous)
    assert any("acknowledged entries are lost" in fault for fault in seen.faults)


@watched
def test_a_store_that_syncs_in_the_wrong_order_is_caught(tmp_path: Path) -> None:
    """The file before the log: syncs are told of, and mean nothing."""
    seen = forgetting(tmp_path, cuts=30, seed=3, syncs_lie=True)
    assert seen.faults


def test_the_disk_forgets_just_what_was_not_synced(tmp_path: Path) -> None:
    disk = Disk()
    for step in (
        Write("a", 0, b"safe"), Sync("a"), Acknowledged(1), Write("a", 2, b"XYZ"), Write("new", 0, b"n"), Delete("old"),
    ):  # fmt: skip
        disk.do(step)
    left = {}
    for mood in (Mood.LAZY, Mood.EAGER):
        disk.cut(mood, Random(1), tmp_path / mood.name)
        left[mood] = {file.name: file.read_bytes() for file in (tmp_path / mood.name).iterdir()}
    assert left == {Mood.LAZY: {"a": b"safe"}, Mood.EAGER: {"a": b"saXYZ", "new": b"n"}}
    torn = set()
    for seed in range(60):
        disk.cut(Mood.TORN, Random(seed), tmp_path / str(seed))
        torn.add((tmp_path / str(seed) / "a").read_bytes())
    assert {b"safe", b"saXYZ"} < torn
    assert all(content[:2] == b"sa" for content in torn)


def test_a_deleted_file_is_surely_gone_once_the_directory_was_synced(tmp_path: Path) -> None:
    disk = Disk()
    for step in (Write("journal", 0, b"j"), Sync("journal"), Delete("journal"), Truncate("log", 1)):
        disk.do(step)
    disk.cut(Mood.LAZY, Random(1), tmp_path / "before")
    assert {file.name for file in (tmp_path / "before").iterdir()} == {"journal"}
    disk.do(Sync("log"))
    disk.cut(Mood.LAZY, Random(1), tmp_path / "after")
    assert {file.name: file.read_bytes() for file in (tmp_path / "after").iterdir()} == {"log": b"\0"}


# ------------------------------------------------------------------ a real file system


@pytest.fixture(scope="module")
def mountable(tmp_path_factory: pytest.TempPathFactory) -> None:
    if reason := why_not(tmp_path_factory.mktemp("mountable")):
        pytest.skip(f"NOT RUN: power cuts on a mounted file system: {reason}")


@pytest.mark.usefixtures("mountable")
def test_a_mounted_file_system_cut_off_loses_nothing_acknowledged(tmp_path: Path) -> None:
    seen = mounted_cut(tmp_path, "store", cuts=MOUNTED_CUTS, seed=1)
    assert seen.faults == []
    assert (seen.cuts, seen.promised > 0) == (MOUNTED_CUTS, True)


@pytest.mark.usefixtures("mountable")
def test_on_a_mounted_file_system_a_store_without_sync_is_caught(tmp_path: Path) -> None:
    seen = mounted_cut(tmp_path, "store", cuts=2, seed=2, synchronous="OFF")
    assert any("acknowledged entries are lost" in fault for fault in seen.faults)
