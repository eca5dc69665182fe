"""How far a long audit is: told on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from cli import progress
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
