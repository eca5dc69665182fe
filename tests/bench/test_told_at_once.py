"""A bench that is ended keeps what it has measured."""

from __future__ import annotations

import pytest

from cli.bench.figures import Figure, Section
from cli.bench.sections import measured


def ended(quick: bool) -> Section:
    raise KeyboardInterrupt


def test_each_section_is_told_before_the_next_begins() -> None:
    told: list[str] = []
    parts = {"one": lambda quick: Section("first", (Figure("a row", 1.0, "s"),)), "two": ended}
    with pytest.raises(KeyboardInterrupt):
        measured(parts, (), quick=True, command="gossip bench", tell=told.append)
    assert told[0].startswith("command   gossip bench")
    assert "a row" in told[1]
