"""A member that is shown out, or whose time is over: within seconds nobody listens to it, and it says so itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gossip.config import PeerConfig
from gossip.events import Admit, Event, LinkUp, Revoking
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from ledger.entry import Member, PeerId, Revoke, Update
from ledger.keys import PrivateKey

PROMISE_S = 5.0  # from receipt of the entry that puts it in force


class Story(SimSwarm):
    """Peers come in until `until` seconds after the start, if that is given."""

    def __init__(self, scenario: Scenario, until: dict[int, float] | None = None) -> None:
        self.until = until or {}
        super().__init__(scenario)

    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: PeerId) -> SimPeer:
        return _Founder(self, index, key, config, self_id)

    def at(self, seconds: float, what: Any) -> None:
        self.clock.at(EPOCH + seconds, what)

    def ask(self, seconds: float, peer: int, event: Event) -> None:
        self.at(seconds, partial(self.peers[peer].deliver, event))

    def first_note(self, kind: str, peer: int, text: str = "") -> float:
        """When a peer first said something of that kind."""
        return next(at for at, who, k, f in self.notes if (who, k) == (peer, kind) and text in str(f.get("text", "")))

    def links_to(self, index: int) -> list[int]:
        """Who has a link with that peer, as they see it."""
        key = self.peers[index].public
        return [p.index for p in self.peers if p.machine is not None and any(x.key == key for x in p.machine._links)]


class _Founder(SimPeer):
    def deliver(self, event: Event) -> None:
        if isinstance(event, LinkUp) and event.role:
            caller = next(peer for peer in self._swarm.peers if peer.public == event.key)
            until = self._swarm.until.get(caller.index)  # type: ignore[attr-defined]
            event = replace(event, expires=int(EPOCH + until) if until is not None else 0)
        super().deliver(event)


@pytest.mark.parametrize("loss", [0.1])
def test_who_is_revoked_is_listened_to_by_nobody_five_seconds_later(loss: float) -> None:
    """Its links end, its key opens no door, what it said from `since` on is in no model, and it stops by itself."""
    config = PeerConfig(adapts=False, tempo="eager")  # a round a second
    luck = 4  # in two of ten it does not hear of it
    swarm = Story(Scenario(peers=5, seconds=24.0, round_s=1.0, seed=luck, loss=loss, config=config))
    bad = swarm.peers[3]
    swarm.ask(12.0, 0, Revoking(bad.self_id, 6))
    seen: dict[int, list[int]] = {}
    for tick in range(120, 240):
        swarm.at(tick / 10, lambda tick=tick: seen.update({tick: swarm.links_to(3)}))
    swarm.honest.remove(bad)
    report = swarm.run()

    heard = {index: swarm.first_note("revoked", index) for index in (0, 1, 2, 4)}
    assert all(12.0 <= at < 20.0 for at in heard.values())
    blamed = [f["text"] for _, who, kind, f in swarm.notes if (kind, who == 3) == ("refused", False) and "log" not in f]
    assert blamed == []  # what was on its way when they heard is no offence
    for tick, linked in seen.items():
        assert not [i for i, at in heard.items() if i in linked and tick / 10 >= at + PROMISE_S]
    for peer in swarm.honest:
        assert peer.book is not None
        replica = peer.book.replica
        assert replica.member_by_key(bad.public) is None
        assert not [term for term in replica.updates if term[0] == bad.self_id and term[1] >= 6]
        assert [term for term in replica.updates if term[0] == bad.self_id]  # what it said before stays said
    assert report.heads_equal
    assert len({report.model_hashes[peer.self_id] for peer in swarm.honest}) == 1
    late = [at for at, who, kind, _ in swarm.notes if kind == "published" and who == 4 and at > 18.0]
    assert len(late) >= 5  # the others go on

    assert bad.machine is not None
    assert bad.machine.status().state == "revoked"
    told = swarm.first_note("trouble", 3, "revoked it")
    assert told < 12.0 + PROMISE_S
    assert not [at for at, who, kind, _ in swarm.notes if (who, kind) == (3, "published") and at > told]


def test_one_admin_of_two_that_are_needed_shows_nobody_out() -> None:
    """The positive control of the test above: the same wish, one voice short; then the second voice."""
    scenario = Scenario(peers=4, seconds=25.0, round_s=1.0, seed=4, admins=2, threshold=2)
    swarm = Story(scenario)
    bad = swarm.peers[3]
    swarm.ask(10.0, 0, Revoking(bad.self_id, 6))
    linked: list[list[int]] = []
    swarm.at(16.0, lambda: linked.append(swarm.links_to(3)))
    swarm.ask(16.5, 1, Revoking(bad.self_id, 5))
    swarm.at(23.0, lambda: linked.append(swarm.links_to(3)))
    swarm.honest.remove(bad)
    swarm.run()
    assert linked == [[0, 1, 2], []]
    assert swarm.first_note("revoked", 0) > 16.5
    assert swarm.peers[0].book is not None
    assert swarm.peers[0].book.replica.revoked_from(bad.self_id) == 6


def test_an_admin_is_told_why_a_wish_comes_to_nothing() -> None:
    swarm = Story(Scenario(peers=3, seconds=14.0, seed=6))
    founder, other = swarm.peers[0], swarm.peers[2]
    swarm.ask(8.0, 1, Revoking(other.self_id, 0))
    swarm.ask(8.1, 0, Revoking(founder.self_id, 0))
    swarm.ask(8.2, 0, Revoking("ab" * 32, 0))
    swarm.ask(8.3, 0, Admit("ab" * 32, "trainer", 0))
    swarm.ask(8.4, 0, Admit(other.self_id, "observer", 0))
    swarm.run()
    for who, words in (
        (1, "only an admin"), (0, "this peer itself"), (0, "no member"), (0, "invite it"), (0, "as good, and lasts"),
    ):  # fmt: skip
        assert swarm.first_note("trouble", who, words) < 9.0
    book = founder.book
    assert book is not None
    entries = [book.replica.entry(founder.self_id, seq) for seq in range(book.replica.size(founder.self_id))]
    assert not [entry for entry in entries if isinstance(entry, Revoke)]
    assert len([entry for entry in entries if isinstance(entry, Member)]) == 2


def test_whose_time_is_over_stops_and_goes_on_when_it_is_renewed() -> None:
    """It is warned, writes nothing after, is listened to by nobody; renewed, it is back, in nobody's way meanwhile."""
    swarm = Story(Scenario(peers=4, seconds=36.0, round_s=1.2, seed=5), until={3: 12.0})
    guest = swarm.peers[3]
    states: dict[float, tuple[str, list[int]]] = {}

    def look(at: float) -> None:
        assert guest.machine is not None
        states[at] = (guest.machine.status().state, swarm.links_to(3))

    for at in (10.0, 14.0, 34.0):
        swarm.at(at, partial(look, at))
    swarm.ask(16.0, 0, Admit(guest.self_id, "trainer", int(EPOCH) + 100_000))
    report = swarm.run()
    assert swarm.first_note("trouble", 3, "expires in") < 5.0
    assert states[10.0] == (states[10.0][0], [0, 1, 2])
    assert states[10.0][0] in ("training", "resting")
    assert states[14.0] == ("expired", [])
    assert states[34.0][0] in ("training", "resting")
    assert states[34.0][1] == [0, 1, 2]
    assert swarm.first_note("trouble", 3, "has expired") == pytest.approx(12.0, abs=1.0)
    book = swarm.peers[0].book
    assert book is not None
    times = [
        entry.time - EPOCH for seq in range(book.replica.size(guest.self_id))
        if isinstance(entry := book.replica.entry(guest.self_id, seq), Update)
    ]  # fmt: skip
    assert [time for time in times if time < 12.0]
    assert [time for time in times if time > 16.0]
    assert not [time for time in times if 12.0 <= time <= 16.0]
    assert report.heads_equal
