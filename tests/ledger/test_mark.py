"""The mark: what was signed is known after a kill and after a power cut, and the own log is never forked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.bench.machine import ROOT
from ledger.errors import LocalError
from ledger.kept import StoredVote
from ledger.keys import PrivateKey
from ledger.mark import Signed, SignedMark, WitnessMark
from tests.power.cuts import mounted_cut
from tests.power.mounted import why_not

ANN, BOB = "aa" * 32, "bb" * 32


@pytest.mark.parametrize(
    "write",
    [
        lambda path: SignedMark(path).write(1, "ab" * 32),
        lambda path: WitnessMark(path).write([(ANN, 1, b"\xab" * 32)]),
        PrivateKey.generate().save,
    ],
    ids=["mark", "witnessed", "key"],
)
def test_what_must_survive_a_power_cut_is_synced_with_its_name(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda opened: (synced.append(os.fstat(opened).st_ino), sync(opened)))
    write(tmp_path / "kept")
    assert synced == [(tmp_path / "kept").stat().st_ino, tmp_path.stat().st_ino]


def test_the_mark_never_goes_back_and_never_forks(tmp_path: Path) -> None:
    mark = SignedMark(tmp_path / "signed")
    assert mark.read() is None
    mark.write(3, ANN)
    mark.write(3, ANN)
    with pytest.raises(LocalError, match="restored backup"):
        mark.write(2, ANN)
    with pytest.raises(LocalError, match="will not sign size 3"):
        mark.write(3, BOB)
    mark.write(4, BOB)
    assert SignedMark(tmp_path / "signed").read() == Signed(root=BOB, size=4)
    assert list(tmp_path.iterdir()) == [tmp_path / "signed"]


def test_what_was_cosigned_never_goes_back_and_no_size_gets_two_roots(tmp_path: Path) -> None:
    path, one, two = tmp_path / "witnessed", b"\x01" * 32, b"\x02" * 32
    mark = WitnessMark(path)
    assert (mark.witnessed(ANN), mark.vote()) == (None, None)
    mark.write([(ANN, 3, one), (BOB, 7, two)], StoredVote(BOB, 8, "cd" * 32))
    mark.write([(ANN, 3, one)])
    for size, root in ((3, two), (2, one)):
        with pytest.raises(LocalError, match="will not witness"):
            mark.write([(BOB, 9, one), (ANN, size, root)])
    again = WitnessMark(path)
    assert (again.witnessed(ANN), again.witnessed(BOB)) == ((3, one), (7, two))
    assert again.vote() == StoredVote(BOB, 8, "cd" * 32)
    path.write_bytes(b'{"logs":{},"vote":["",0,""]')
    with pytest.raises(LocalError, match="is damaged"):
        WitnessMark(path)


def test_a_damaged_mark_stops_signing(tmp_path: Path) -> None:
    mark = SignedMark(tmp_path / "signed")
    for bad in (b"", b'{"root":"","size":', b'{"root":"","size":1,"x":1}', b'{"size":1,"root":""}', b"x" * 300):
        (tmp_path / "signed").write_bytes(bad)
        with pytest.raises(LocalError, match="is damaged"):
            mark.write(5, ANN)


def test_a_mark_half_written_when_killed_is_the_old_mark(tmp_path: Path) -> None:
    mark = SignedMark(tmp_path / "signed")
    mark.write(3, ANN)
    (tmp_path / "signed.new").write_bytes(b'{"root":"bb')
    assert mark.read() == Signed(root=ANN, size=3)
    mark.write(4, BOB)
    assert mark.read() == Signed(root=BOB, size=4)


# ------------------------------------------------------------------ killed, and cut off

MOUNTED_CUTS = 3


def killed_between_any_two_steps(place: Path, order: str) -> tuple[int, list[str]]:
    """How many steps there were, and what was wrong when the peer had been killed before one of them."""
    words = [sys.executable, "-m", "tests.power.steps", place, order]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    steps, *faults = done.stdout.splitlines()
    return int(steps.removesuffix(" steps")), faults


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: there is no fork here")
def test_killed_between_any_two_steps_of_append_sign_and_send_a_peer_goes_on(tmp_path: Path) -> None:
    steps, faults = killed_between_any_two_steps(tmp_path, "right")
    assert faults == []
    assert steps > 20  # two rounds of what is counted where SQLite cannot be watched; else about a hundred


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: there is no fork here")
@pytest.mark.parametrize(("order", "fault"), [("sign-first", "never go on alone"), ("no-mark", "2 roots for size")])
def test_a_peer_that_signs_before_it_stores_is_caught(tmp_path: Path, order: str, fault: str) -> None:
    _, faults = killed_between_any_two_steps(tmp_path, order)
    assert any(fault in found for found in faults)


@pytest.fixture(scope="module")
def mountable(tmp_path_factory: pytest.TempPathFactory) -> None:
    if reason := why_not(tmp_path_factory.mktemp("mountable")):
        pytest.skip(f"NOT RUN: power cuts on a mounted file system: {reason}")


@pytest.mark.usefixtures("mountable")
def test_a_mark_that_was_written_is_there_after_a_power_cut(tmp_path: Path) -> None:
    seen = mounted_cut(tmp_path, "mark", cuts=MOUNTED_CUTS, seed=1)
    assert seen.faults == []
    assert (seen.cuts, seen.promised > 0) == (MOUNTED_CUTS, True)


@pytest.mark.usefixtures("mountable")
def test_a_mark_without_sync_is_caught(tmp_path: Path) -> None:
    seen = mounted_cut(tmp_path, "mark", cuts=1, seed=2, synchronous="OFF")
    assert any("the mark is of size" in fault for fault in seen.faults)
