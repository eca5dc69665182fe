"""The start-up section measures what it says: a bundle that really verifies, and processes in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bench import startup


@pytest.mark.e2e
def test_the_bundle_that_is_verified_is_clean(tmp_path: Path) -> None:
    words = startup._verify(tmp_path)
    assert words[:4] == ("-m", "cli", "ledger", "verify")
    wall, cpu = startup._run(words)  # raises unless the exit code says clean
    assert wall > 0 < cpu


def test_processes_take_turns_and_the_first_round_does_not_count(tmp_path: Path) -> None:
    tally = tmp_path / "tally"
    words = {name: ("-c", f"open({str(tally)!r}, 'a').write({name!r})") for name in "ab"}
    taken = startup._medians(words, 2)
    assert tally.read_text() == "ababab"
    assert set(taken) == {"a", "b"}
