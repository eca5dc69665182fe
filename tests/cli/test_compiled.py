"""The command keeps what it compiles where a peer of the next swarm finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import remembered, settings
from gossip.setup import create_swarm
from gossip.training.spec import FILTERLIST


def test_compiled_programs_lie_beside_the_swarms_and_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, place = tmp_path / "home", tmp_path / "elsewhere"
    monkeypatch.setenv("GOSSIP_HOME", str(home))
    create_swarm(place, name="field", task="filterlist", model_text=FILTERLIST, peer_name="ann", seed=1)
    assert remembered.config(place, remembered.Wishes(), None).cache == home / ".compiled"
    assert settings.swarms(home) == ()
    (home / ".compiled").chmod(0o777)
    assert remembered.config(place, remembered.Wishes(), None).cache is None
