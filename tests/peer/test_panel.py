"""Who publishes where more would than there are places: the draw is fair, all can check it, and peers keep to it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from hashlib import sha256
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.config import PeerConfig
from gossip.peer.outbox import Outbox
from gossip.peer.panel import HERE_WINDOWS, Panel, among, is_drawn, is_out_of_turn, phase_s, turn_of, window_of
from gossip.sim import Scenario, SimReport
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.sim.swarm import SimSwarm
from ledger.errors import LocalError
from tests.fold.stories import random_blob
from tests.fold.toy import Swarm, constants

SWARM = "ab" * 32
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
windows = st.integers(0, 1 << 40)


def name(number: int) -> str:
    return f"{number:064x}"


@given(swarm=hashes, peer=hashes, window=windows, places=st.integers(4, 4096), trainers=st.integers(1, 10**6))
def test_more_places_draw_no_fewer_and_more_trainers_no_more(
    swarm: str, peer: str, window: int, places: int, trainers: int
) -> None:
    drawn = is_drawn(swarm, peer, window, places, trainers)
    assert drawn == is_drawn(swarm, peer, window, places, trainers)
    assert is_drawn(swarm, peer, window, places + 1, trainers) or not drawn
    assert drawn or not is_drawn(swarm, peer, window, places, trainers + 1)
    assert drawn or trainers > places


def test_about_as_many_are_drawn_as_there_are_places_and_each_as_often_as_another() -> None:
    turns = {peer: [is_drawn(SWARM, name(peer), window, 20, 200) for window in range(400)] for peer in range(200)}
    sizes = [sum(turns[peer][window] for peer in turns) for window in range(400)]
    assert abs(sum(sizes) / 400 - 20) < 1
    assert max(sizes) < 20 + 6 * 20**0.5
    assert all(10 <= sum(drawn) <= 75 for drawn in turns.values())  # 40 on average


def test_of_a_panel_a_little_changes_at_a_time() -> None:
    """Each peer's windows begin at a moment of its own: in a tenth of a window a tenth of them look anew."""
    before, after = ([window_of(SWARM, name(peer), at, 600) for peer in range(1000)] for at in (1e6, 1e6 + 60))
    assert 60 < sum(a != b for a, b in zip(before, after, strict=True)) < 140


@given(peer=hashes, at=st.floats(0, 4e9), window_s=st.floats(1, 86_400))
def test_a_turn_ends_with_its_window(peer: str, at: float, window_s: float) -> None:
    turn = turn_of(SWARM, peer, at, window_s, 4, 8)
    assert at <= turn.until <= at + window_s * 1.001 + 0.001
    assert turn.is_drawn == is_drawn(SWARM, peer, window_of(SWARM, peer, at, window_s), 4, 8)


def test_the_example_of_the_page() -> None:
    swarm, peer = "00" * 32, "11" * 32
    assert round(phase_s(swarm, peer, 600)) == 68
    assert window_of(swarm, peer, 750, 600) == 1


@given(swarm=hashes, peer=hashes, window=windows, places=st.integers(4, 99), trainers=st.integers(100, 5000))
def test_the_draw_is_what_the_page_says(swarm: str, peer: str, window: int, places: int, trainers: int) -> None:
    """In other words than the program's: everybody who checks has to find the same."""
    said = b"gossip/panel/1\n" + bytes.fromhex(swarm) + window.to_bytes(8, "big") + bytes.fromhex(peer)
    ticket = int(sha256(said).hexdigest(), 16)
    assert is_drawn(swarm, peer, window, places, trainers) == (Fraction(ticket, 2**256) < Fraction(places, trainers))


def test_a_round_of_the_window_before_may_end_in_this_one_and_no_later() -> None:
    drawn = [is_drawn(SWARM, name(1), window, 4, 8) for window in range(200)]
    begun = next(at for at in count() if drawn[at : at + 3] == [True, False, False])
    made = [(begun + at) * 600.0 - phase_s(SWARM, name(1), 600) for at in (0.5, 1.5, 2.5)]
    assert [is_out_of_turn(SWARM, name(1), at, 600, 4, 8) for at in made] == [False, False, True]
    assert not is_out_of_turn(SWARM, name(1), made[2], 600, 8, 8), "where all have places nobody is out of turn"


def test_silent_guests_keep_nobody_from_publishing_and_a_house_has_one_place() -> None:
    """One trainer of 120 brings a thousand guests: the others publish as often as with one guest more."""
    houses = [""] * 120 + [name(0)] * 1000
    assert among(100, houses, "") == 121
    assert among(100, houses, name(0)) == 121 * 1000
    assert among(100, houses[:99], "") == 99
    few = [""] * 50 + [name(0)] * 1000
    assert is_drawn(SWARM, name(1), 7, 100, among(100, few, "")), "fifty-one have places"
    drawn = [is_drawn(SWARM, name(peer), 7, 100, among(100, houses, name(0))) for peer in range(1000)]
    assert sum(drawn) < 10


def test_in_real_logs_a_members_guests_share_a_place_and_those_who_check_know_it() -> None:
    """Places for four; ann, bob, and nine guests of ann's: the two of them and the founder never rest."""
    swarm = Swarm(["ann", "bob"], guests=9, fold=constants(panel=4))
    guests = [swarm.join(f"guest{number}", by="ann") for number in range(9)]
    swarm.exchange("founder", "bob", "ann")
    at = [number * 600.0 for number in range(100)]
    published: dict[str, int] = {}
    for peer in (swarm["bob"], guests[-1]):
        panel = Panel(peer.id, swarm.founder.replica, 600, Outbox())
        for now in at:
            panel.look(now)
            published[peer.id] = published.get(peer.id, 0) + (not panel.rests)
    assert published[swarm["bob"].id] == 100
    assert 0 < published[guests[-1].id] < 40, "four of thirty-six"
    assert sum(panel.is_due(guests[0].id, now) for now in at) < 40
    watching = Panel(swarm.founder_id, swarm.founder.replica, 600, Outbox())
    for _ in range(3):
        watching.saw(swarm["bob"].publish_blob(random_blob(Random(1), 16, exponent=-10)))
    assert watching.undrawn == {}


def test_who_has_been_silent_for_a_day_is_not_drawn_among() -> None:
    """Six trainers and four places, by turns; a day later, when only two of them have written, these two publish."""
    swarm = Swarm(["ann", "bob", "cat", "dan", "eve"], fold=constants(panel=4))
    founder = swarm.founder
    panel = Panel(swarm.founder_id, founder.replica, 600, Outbox())
    start = max(founder.replica.entry(log, size - 1).time for log, size in founder.replica.heads().items())
    panel.look(start)
    assert panel.turn is not None
    assert (panel.turn.trainers, panel.turn.is_sampled) == (6, True)
    panel.look(start + HERE_WINDOWS * 600 + 1.0)
    assert (panel.turn.trainers, panel.turn.is_drawn) == (1, True), "all are away, but for itself"
    assert panel.is_due(swarm["bob"].id, start), "who comes back has a place"


def test_where_all_have_places_there_is_no_panel_to_speak_of() -> None:
    assert not turn_of(SWARM, name(1), 1e6, 600, 8, 8).is_sampled
    assert turn_of(SWARM, name(1), 1e6, 600, 8, 9).is_sampled


@pytest.mark.parametrize("window_s", [0.0, -5.0, 1e6])
def test_windows_of_no_length_are_refused(window_s: float) -> None:
    with pytest.raises(LocalError, match="turns"):
        PeerConfig(window_s=window_s)


CROWD = Scenario(
    peers=9, seconds=64, round_s=4, seed=4, signatures="checked", constants={"panel": 4},
    config=PeerConfig(window_s=32.0),
)  # fmt: skip


@cache
def ran() -> tuple[SimSwarm, SimReport, list[tuple[str, bool]]]:
    """A swarm, what came of it, and of each peer a moment before the end: its state, and whether it was drawn."""
    swarm = SimSwarm(CROWD)
    found: list[tuple[str, bool]] = []

    def look() -> None:
        for status in [peer.machine.status() for peer in swarm.peers if peer.machine is not None]:
            assert status.panel is not None
            found.append((status.state, status.panel.drawn))

    swarm.clock.after(60, look)
    return swarm, swarm.run(), found


def test_of_nine_trainers_four_publish_at_a_time_and_in_the_end_most_have() -> None:
    swarm, report, _ = ran()
    assert report.ok
    each = sorted(report.updates.values())
    assert sum(each) < 0.7 * 9 * 16  # of 16 rounds each: four ninths, and what was begun before all had come in
    assert sum(count > 0 for count in each) > 6
    turns = [fields for _, _, kind, fields in swarm.notes if kind == "panel"]
    assert {turn["drawn"] for turn in turns} == {True, False}
    first = {peer: fields["drawn"] for _, peer, kind, fields in reversed(swarm.notes) if kind == "panel"}
    assert not any(first.values()), "that one publishes is no news before one did not"
    assert {turn["places"] for turn in turns} == {4}
    assert report.accuracy_mean is not None
    assert report.accuracy_mean > 0.85
    seen = [peer.machine.status().panel for peer in swarm.peers if peer.machine is not None]
    assert all(panel is not None and panel.trainers == 9 for panel in seen)


def test_who_rests_says_so() -> None:
    found = ran()[2]
    assert {state for state, is_drawn in found if not is_drawn} == {"undrawn"}
    assert "undrawn" not in {state for state, is_drawn in found if is_drawn}


def test_who_publishes_out_of_turn_is_counted_by_everybody_else() -> None:
    """One has windows of a day, in which it is drawn: it publishes all the time."""
    swarm = SimSwarm(CROWD)
    cheat = next(
        peer
        for peer in swarm.peers
        if turn_of(swarm.swarm_id, peer.self_id, EPOCH, 86_400, 4, 9).is_drawn
        and not any(turn_of(swarm.swarm_id, peer.self_id, EPOCH + at, 32, 4, 9).is_drawn for at in (0, 32))
    )
    cheat._config = replace(cheat._config, window_s=86_400.0)
    assert swarm.run().ok
    honest, _, _ = ran()
    name = cheat.self_id
    assert max(counted(peer, name) for peer in honest.peers) < 2  # (it may have begun when there were fewer of them)
    assert min(counted(peer, name) for peer in swarm.peers if peer is not cheat) > 2


def counted(peer: SimPeer, author: str) -> int:
    assert peer.machine is not None
    panel = peer.machine.status().panel
    assert panel is not None
    return sum(one.updates for one in panel.undrawn if one.peer == author)
