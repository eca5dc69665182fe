"""`gossip ledger attendance`: whoever reads what a swarm came to is told who it was, and who was missing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cli import attendance
from ledger.attendance import Absence, Attended
from ledger.entry import GRID_ONE
from ledger.roll import Roll, call
from tests.cli.test_ledger import facts, gossip, stored
from tests.fold import toy

NAMES = {"a" * 64: "alder", "b" * 64: "birch", "c" * 64: "cedar", "d" * 64: "dora"}
START = 1_767_225_600


def row(letter: str, updates: int = 3, role: str = "trainer", *absences: Absence, last: int = START + 900) -> Attended:
    return Attended(letter * 64, role, START, last, updates + 2, updates, 100 * updates, absences, len(absences))


def roll(*rows: Attended) -> Roll:
    return Roll(rows, NAMES, None, None)


def test_everybody_is_named_who_was_absent_and_when_and_who_never_came() -> None:
    said = list(
        attendance.summary(
            roll(
                row("a"),
                row("b", 2, "trainer", Absence(START + 60, START + 300, 240)),
                row("c", 1, "trainer", Absence(START + 90, None, 700)),
                row("d", 0),
            )
        )
    )
    assert said == [
        "3 of 4 trainers took part.",
        "Absent at the end: cedar since 2026-01-01 00:01:30Z.",
        "Absent for a while: birch.",
        "Let in to train, and published nothing: dora.",
    ]


def test_only_where_nobody_was_absent_it_says_so() -> None:
    assert list(attendance.summary(roll(row("a"), row("b")))) == ["2 of 2 trainers took part.", "Nobody was absent."]
    assert list(attendance.summary(roll(row("a", 0, "observer")))) == ["0 of 0 trainers took part."]
    assert "Nobody was absent." not in attendance.summary(roll(row("a"), row("d", 0)))


def test_who_was_put_out_is_neither_missed_nor_hidden() -> None:
    said = list(attendance.summary(roll(row("a"), row("b", 2, "revoked"), row("c", 0, "revoked"))))
    assert said == ["2 of 2 trainers took part.", "Nobody was absent."]


def test_the_table_shows_the_longest_absences_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    gaps = [Absence(START + 1000 * n, START + 1000 * n + 100 + n, 90) for n in range(5)]
    attendance.show(roll(row("b", 9, "trainer", *gaps)))
    out = capsys.readouterr().out
    assert "00:33:20 to 00:35:02 (1:42)" in out
    assert "(times of 2026-01-01, UTC, are claims" in " ".join(out.split())
    assert "00:16:40 to" not in out
    assert "and 2 times more" in out
    assert "1 of 1 trainer took part." in out


def test_nothing_of_an_absence_is_cut_off_where_a_terminal_is_110_columns_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("FORCE_COLOR", "1")
    names = {**NAMES, "b" * 64: "sixteen-letters-"}
    for until, shown in (
        (START + 72_000, ["00:16:40 to 20:00:00 (19:43:20)"]),
        (START + 172_000, ["01-01 00:16:40 to", "01-02 23:46:40", "(47:30:00)"]),
    ):
        gone = row("b", 9, "trainer", Absence(START + 1000, until, 0))
        attendance.table(Roll((gone,), names, None, None))
        lines = [re.sub(r"\x1b[^m]*m", "", line) for line in capsys.readouterr().out.splitlines()]
        assert max(map(len, lines)) <= 110
        assert all(any(line.endswith(end) for line in lines) for end in shown), lines


@pytest.fixture
def swarm() -> toy.Swarm:
    swarm = toy.Swarm(["birch", "cedar"])
    for name in ("founder", "birch", "birch"):
        swarm[name].publish(np.linspace(-1, 1, 16) / 100)
        swarm.exchange()
    return swarm


def test_a_directory_and_a_bundle_tell_the_same(tmp_path: Path, swarm: toy.Swarm) -> None:
    place = stored(tmp_path / "peer", swarm)
    gossip("ledger", "bundle", "--dir", str(place), "--out", str(tmp_path / "bundle"))
    from_store = facts("ledger", "attendance", str(place), "--json")
    from_bundle = facts("ledger", "attendance", str(tmp_path / "bundle"), "--json")
    assert from_store == from_bundle
    found = {one["name"]: one for one in from_store["peers"]}
    assert {name: one["updates"] for name, one in found.items()} == {"founder": 1, "birch": 2, "cedar": 0}
    assert found["cedar"]["word"] == "never"
    assert sum(one["share"] for one in from_store["peers"]) == pytest.approx(1)
    assert "Let in to train, and published nothing: cedar." in from_store["summary"]
    shown = gossip("ledger", "attendance", str(place))
    assert "2 of 3 trainers took part." in shown
    assert "published nothing" in next(line for line in shown.splitlines() if line.startswith("cedar"))


def test_what_counts_nothing_weighs_nothing(swarm: toy.Swarm) -> None:
    replica = swarm.founder.replica
    before = call(replica, lambda log: (replica.data(log, seq) for seq in range(replica.size(log))), now=START)
    swarm.founder.revoke(swarm["birch"], 0)
    swarm.exchange()
    after = call(replica, lambda log: (replica.data(log, seq) for seq in range(replica.size(log))), now=START)
    weights = [{after.names[one.peer]: one.weight for one in found.rows} for found in (before, after)]
    assert weights[0]["birch"] > 0
    assert weights[1]["birch"] == 0
    assert weights[1]["founder"] == weights[0]["founder"] <= GRID_ONE
    assert {one.peer: one.word for one in after.rows}[swarm["birch"].id] == "out"
