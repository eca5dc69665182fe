"""A member that turned bad says anything at all: it loses its link, and nothing else happens to anybody."""

from __future__ import annotations

import pytest

from gossip.events import Event, Received
from gossip.peer.peer import Peer
from ledger.errors import RemoteError
from tests.fuzz.machine import Outcome, Victim, run

FRAMES = 5_000


@pytest.fixture(scope="module")
def victim() -> Victim:
    return Victim()


def test_wrong_frames_cost_their_link_and_nothing_else(victim: Victim) -> None:
    outcome = run(victim, FRAMES, "test")
    assert outcome.wrong == []
    assert FRAMES / 20 < outcome.refused < FRAMES  # both happen, or this tests nothing
    status = victim.machine.status()
    assert status.model_hash == victim.model


def test_a_machine_that_raises_is_noticed(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: one reader that lets a foreign exception through."""
    handle = Peer.handle

    def careless(peer: Peer, event: Event, now: float) -> object:
        if isinstance(event, Received) and event.message[:1] == b"\x0d" and len(event.message) < 200:
            raise ValueError("what is packed ends early")
        return handle(peer, event, now)

    monkeypatch.setattr(Peer, "handle", careless)
    outcome = run(victim, FRAMES, "control")
    assert "what is packed ends early" in outcome.wrong[0][1]


def test_ending_the_wrong_link_is_noticed(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    def rash(reception: object, link: int, error: RemoteError) -> None:
        victim.machine._reception.links.drop(victim.bystander, str(error), victim.now, shun=True)

    monkeypatch.setattr(type(victim.machine._reception), "blame", rash)
    outcome = Outcome()
    victim.feed(b"\xff", outcome)
    assert outcome.wrong == [(b"\xff", "another link was ended")]
