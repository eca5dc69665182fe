"""The race of `gossip bench time-to-accuracy`, small: two peers as processes, a table of three heaps of points."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from cli import exits
from cli.bench import mnist
from cli.bench.race import Race, Setting
from cli.bench.time_to_accuracy import facts, figures, raced
from cli.bench.told import read_events
from tests.e2e.machines import Machine, until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

KEYS = [
    "system", "peers", "acc", "t85_s", "t90_s", "wall_s", "cpu_s", "bytes_per_peer", "mb85", "mb90", "rss_mb",
    "first_merge_s",
]  # fmt: skip
MODEL = """{"model": 1, "features": {"kind": "numbers/1", "columns": 4}, "classes": ["0", "1", "2"],
  "layers": [{"kind": "dense", "units": 3}], "optimiser": {"kind": "sgd", "rate": 0.3}, "batch": 16, "local_steps": 8,
  "metrics": ["accuracy"], "density": 1.0}"""


def heaps() -> tuple[mnist.Inputs, mnist.Labels]:
    """Three heaps that a line parts."""
    luck = np.random.default_rng(1)
    labels = luck.integers(0, 3, 300)
    return (4 * np.eye(3, 4)[labels] + luck.normal(size=(300, 4))).astype(np.float32), labels.astype(np.int64)


def race(place: Path, **options: object) -> Race:
    shares = mnist.write_shares(place / "rows", *heaps(), peers=2, seed=1, test_rows=60)
    return raced(Setting(shares, MODEL, 1, 150.0, around_s=0.3, **options), place)  # type: ignore[arg-type]


def compiled_before(place: Path, done: Race) -> list[str]:
    """Programs that were there when the peers started."""
    programs = [file for file in (place / "home" / ".compiled").iterdir() if not file.name.endswith("-atime")]
    assert programs
    return [file.name for file in programs if file.stat().st_mtime < done.begun[0]]


def stopped(pids: dict[int, str]) -> list[int]:
    found = []
    for pid in pids:
        with suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            found += [pid] if state == "T" else []
    return found


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for what is temporary, whose name leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(prefix="g-") as folder:
        yield Path(folder)


def test_one_line_with_all_figures_and_nothing_left_while_one_peer_was_slowed(
    machine: Callable[..., Machine], short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = machine("anna")
    monkeypatch.setenv("TMPDIR", str(short))
    inputs, labels = heaps()
    np.savez(anna.home / "rows.npz", x=inputs, y=labels)
    (anna.home / "model.json").write_text(MODEL)
    files = ["--rows", anna.home / "rows.npz", "--model", anna.home / "model.json"]
    running = anna.start("bench", "time-to-accuracy", "--json", "--peers", 2, "--slow", 2, "--for", 150, *files)
    until(lambda: stopped(anna.processes()), "the processes of the slow peer are stopped", running=[running])
    assert running.end(within_s=200) == exits.OK, running.said()
    (line,) = running.out
    said = json.loads(line)
    assert list(said) == KEYS
    assert (said["system"], said["peers"]) == ("gossip", 2)
    assert said["acc"] >= 0.9
    assert 0 < said["t85_s"] <= said["t90_s"] <= said["wall_s"]
    assert 0 < said["first_merge_s"] <= said["wall_s"]
    assert 0 < said["mb85"] <= said["mb90"] <= said["bytes_per_peer"] / 1e6 + 0.001
    assert said["cpu_s"] > 0.5  # two imports of jax at the least
    assert said["rss_mb"] > 100
    assert anna.processes() == {}
    assert [*short.glob("gossip-bench-*"), *short.rglob("*.sock")] == []


def test_a_killed_peer_is_waited_for_by_nobody_and_what_it_had_started_ends(tmp_path: Path) -> None:
    done = race(tmp_path, kill=True, cold=True)
    assert list(done.gone) == [1]
    assert done.targets[1] is not None
    assert done.left == 0
    said = [
        {event["event"] for event in read_events((tmp_path / f"peer{number}.log").read_text())} for number in (1, 2)
    ]
    assert "stopped" in said[0]
    assert "stopped" not in said[1], "it was to be killed, and ended as if it had been asked to"
    (row,) = [row for row in figures(done) if row.name.startswith("one killed")]
    assert row.value is not None
    assert 0 < row.value <= 0.3 + 1, "no longer than was looked at"
    assert compiled_before(tmp_path, done) == []


def test_the_same_model_in_one_process_with_jax_alone_prints_the_same_line(tmp_path: Path) -> None:
    done = race(tmp_path, system="jax")
    said = facts(done)
    assert list(said) == KEYS
    assert (said["peers"], said["bytes_per_peer"], said["first_merge_s"]) == (1, 0, None)
    assert said["t90_s"] is not None
    assert said["cpu_s"] > 0
    assert compiled_before(tmp_path, done) != [], "the program was to be warm"
