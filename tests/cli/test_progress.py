"""How far a long audit is: told on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cli import progress, remembered
from cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_bar_grows_and_is_gone_at_the_end(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress() as told:
        told(0, 200, "entries")
        assert terminal.getvalue() == ""  # what is over soon needs no bar
        clock[0] += 1
        told(100, 200, "entries")
        assert " 50%  100 of 200 entries" in terminal.getvalue()
        shown = len(terminal.getvalue())
        told(101, 200, "entries")
        assert len(terminal.getvalue()) == shown  # not more often than an eye can follow
        clock[0] += 1
        told(500, 200, "\x1b[31mentries\n")
        assert "100%" in terminal.getvalue()
        assert "\x1b[31m" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_in_a_pipe_nothing_is_told(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with Progress() as told:
        clock[0] += 5
        told(1, 2, "entries")
    assert pipe.getvalue() == ""


def test_a_long_file_of_requests_is_read_with_a_bar(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal, file = Terminal(), tmp_path / "mine.jsonl"
    row = '{"page":"https://a.example/","url":"https://b.example/","type":"image","label":"ad"}\n'
    file.write_text(row * 3_000)  # more than one read
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "AFTER_S", 0.0)
    remembered.read_through(remembered.Wishes(data=[file]))
    assert f"of {file.stat().st_size:,} bytes of mine.jsonl" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
