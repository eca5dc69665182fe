"""Secrets stay in: whatever members, guests and strangers send to a machine, no byte of what it does holds a row or a
digest of one, unless the owner named the receiver. With the gate taken out the same look finds them."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from gossip import egress
from gossip.egress import ZoneSetting
from tests.egress.stage import AUDITOR, Stage, fuzz

FRAMES = 1_500
FEW = 300
AUDITORS = ZoneSetting("public", ("auditor",))


def private() -> Stage:
    """Private rows, which by some mistake lie on the victim's disk as if they had been opened."""
    stage = Stage(ZoneSetting())
    stage.opening = b"gossip-opening/1\n" + b"".join(key + value for key, value in stage.secrets.records)
    stage.victim.memory.blobs[sha256(stage.opening).hexdigest()] = stage.opening
    return stage


def for_auditors() -> Stage:
    return Stage(AUDITORS, opened=True)


def private_again() -> Stage:
    """Records were opened to an auditor; then their owner made the file private."""
    return Stage(AUDITORS, opened=True, private_again=True)


def others(stage: Stage) -> list[bytes]:
    """All keys but the auditor's, with b"" for what went to no link."""
    auditor = stage.swarm.peers[AUDITOR].public
    return [key for told in stage.told if (key := told.key) not in (auditor, b"")]


@pytest.fixture
def gate_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take the gate out."""
    return lambda: monkeypatch.setattr(egress, "_objection", lambda setting, kind, to: "")


def test_of_private_rows_nothing_leaves_to_anybody_and_no_effect_at_all_holds_them(
    gate_out: Callable[[], None],
) -> None:
    stage = private()
    assert fuzz(stage, FRAMES, seed=1) > FRAMES // 4
    assert len(stage.told) > FRAMES // 2  # it did answer
    assert stage.secrets.found_in(stage.heard()) == []
    gate_out()
    fuzz(stage, FEW, seed=4)
    assert stage.secrets.found_in(stage.heard())


def test_of_restricted_rows_the_named_get_what_they_asked_for_and_nobody_else_gets_a_byte(
    gate_out: Callable[[], None],
) -> None:
    stage = for_auditors()
    fuzz(stage, FRAMES, seed=2)
    assert stage.secrets.found_in(stage.heard(others(stage))) == []
    found = stage.secrets.found_in(stage.heard([stage.swarm.peers[AUDITOR].public]))
    hosts = {key[8:28] for key, _ in stage.secrets.records}
    opened = {host for host in hosts if host in stage.opening}
    assert hosts & set(found) == opened
    assert len(opened) >= 12  # as many as were asked for
    gate_out()
    fuzz(stage, FEW, seed=4)
    assert stage.secrets.found_in(stage.heard(others(stage)))


def test_what_was_opened_is_served_to_nobody_once_its_owner_says_private(gate_out: Callable[[], None]) -> None:
    stage = private_again()
    assert stage.opening
    stage.told.clear()  # what the auditor got before, it has
    fuzz(stage, FRAMES, seed=3)
    assert stage.secrets.found_in(stage.heard()) == []
    gate_out()
    fuzz(stage, FEW, seed=4)
    assert stage.secrets.found_in(stage.heard())
