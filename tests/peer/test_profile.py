"""What a peer makes of its own pace and of others': steps, density, links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.peer.profile import (
    DEAD_BAND,
    FIRST_S,
    LEAST_DENSITY,
    MOST_STEPS,
    Line,
    Profile,
    links_for,
)
from ledger.delta import CODEC
from ledger.entry import FORMAT_VERSION, Scores, Update

DECLARED = 64
NOW = 1000.0


def update(seq: int, steps: int, time: float) -> Update:
    scores = Scores(examples=0, tp=0, fp=0, fn=0)
    return Update(
        v=FORMAT_VERSION, swarm="", seq=seq, prev="", time=int(time), meets=[], seen=[], heads="", delta="", bytes=1,
        codec=CODEC, view=[], data=0, steps=steps, examples=steps, scores=scores, norm=1, weight=0, epsilon=0,
    )  # fmt: skip


def swarm(own_s: float, *others: tuple[float, int], declared: int = DECLARED) -> Profile:
    """A peer whose declared round takes `own_s`, among others: seconds from update to update, steps of each."""
    profile = Profile()
    profile.ready(declared, own_s)
    for number, (interval_s, steps) in enumerate(others):
        for seq in range(8):
            at = NOW - (7 - seq) * interval_s
            profile.merged(f"{number:064x}", update(seq, steps, at), at)
    return profile


def test_among_machines_alike_rounds_are_as_declared() -> None:
    assert swarm(1.0, *[(1.05, DECLARED)] * 7).next_steps(NOW) == DECLARED


def test_who_is_ten_times_slower_takes_a_tenth_of_the_steps_and_so_as_long_as_the_others() -> None:
    assert swarm(10.0, *[(1.0, DECLARED)] * 7).next_steps(NOW) == pytest.approx(DECLARED / 10, abs=1)


def test_one_slow_machine_moves_nobody_elses_steps() -> None:
    assert swarm(1.0, *[(1.0, DECLARED)] * 6, (1.0, 6)).next_steps(NOW) == DECLARED
    assert swarm(1.0, *[(1.0, DECLARED)] * 6, (600.0, DECLARED)).next_steps(NOW) == DECLARED


def test_two_meet_halfway() -> None:
    """And stay there: a round's time counts by its steps, so neither follows what the other makes of its pace."""
    fast, slow = swarm(1.0, (4.0, DECLARED)), swarm(4.0, (1.0, DECLARED))
    assert (fast.next_steps(NOW), slow.next_steps(NOW)) == (2 * DECLARED, DECLARED // 2)
    assert swarm(1.0, (2.0, DECLARED // 2)).next_steps(NOW) == 2 * DECLARED


@given(
    own=st.floats(0.01, 1000), others=st.lists(st.tuples(st.floats(0.05, 1000), st.integers(1, 1000)), max_size=8),
    declared=st.integers(1, 1000),
)  # fmt: skip
def test_a_round_has_at_least_a_step_and_at_most_four_times_the_declared_ones(
    own: float, others: list[tuple[float, int]], declared: int
) -> None:
    assert 1 <= swarm(own, *others, declared=declared).next_steps(NOW) <= MOST_STEPS * declared


def test_small_differences_change_nothing() -> None:
    for factor, changes in ((0.97, False), (1.03, True)):
        for band in (1 / DEAD_BAND, DEAD_BAND):
            steps = swarm(1.0, *[(band**factor, DECLARED)] * 7).next_steps(NOW)
            assert (steps != DECLARED) is changes


def test_before_anybody_is_heard_a_long_round_is_cut_short_three_times_and_then_taken_whole() -> None:
    """A slow machine would find out by its first round that it is one, ten rounds of the others later."""
    profile, now = swarm(20.0), NOW
    for _ in range(3):
        steps = profile.next_steps(now)
        seconds = steps * 20.0 / DECLARED
        assert seconds == pytest.approx(FIRST_S, abs=20.0 / DECLARED)
        now += seconds
        profile.published(steps, seconds, now)
    assert profile.next_steps(now) == DECLARED
    assert swarm(1.0).next_steps(NOW) == DECLARED


def test_who_is_away_sets_no_pace() -> None:
    profile = swarm(1.0, *[(10.0, DECLARED)] * 3)
    assert profile.next_steps(NOW) == MOST_STEPS * DECLARED
    assert [peer for peer, _ in profile.active(NOW)]
    assert not [peer for peer, _ in profile.active(NOW + 41.0)]
    assert profile.next_steps(NOW + 41.0) == DECLARED


def test_updates_that_are_caught_up_with_all_at_once_count_by_their_authors_clock() -> None:
    profile = Profile()
    profile.ready(DECLARED, 10.0)
    for seq in range(8):
        profile.merged("ab" * 32, update(seq, DECLARED, NOW - 10.0 * (8 - seq)), NOW)
    assert profile.next_steps(NOW) == DECLARED


def test_a_trainer_that_declares_no_steps_is_asked_for_none() -> None:
    assert swarm(10.0, *[(1.0, 8)] * 7, declared=0).next_steps(NOW) == 0


def test_lag_is_from_the_first_word_of_an_update_to_the_fold() -> None:
    profile = swarm(1.0, (1.0, DECLARED), (1.0, DECLARED))
    for number in range(2):
        peer = f"{number:064x}"
        profile.announced(peer, [(peer, 8, b"")], NOW)  # no news: eight are held
        profile.announced(peer, [(peer, 9, b"")], NOW)
        profile.announced(peer, [(peer, 9, b"")], NOW + 2.0)
        profile.merged(peer, update(8, DECLARED, NOW), NOW + 3.0)
    assert profile.lag_s(NOW + 3.0, 0.0) == pytest.approx(3.0)
    assert profile.lag_s(NOW + 3.0, 2.0) == pytest.approx(5.0)  # two round trips and a half: it cannot be less


def test_an_entry_that_is_no_update_is_no_lag() -> None:
    profile = swarm(1.0, (1.0, DECLARED))
    peer = f"{0:064x}"
    profile.announced(peer, [(peer, 9, b"")], NOW)
    profile.held(peer, 8, NOW + 7.0)
    profile.merged(peer, update(9, DECLARED, NOW), NOW + 8.0)
    assert profile.lag_s(NOW + 8.0, 0.0) == 0.0


AUTHOR, LIAR, HONEST, OTHER = (f"{number:064x}" for number in range(4))


def lag(*said: tuple[str, int, float], held_at: float = 2.0) -> float:
    """Of the author's ninth update: who said when how many of its entries exist, and when it was folded."""
    profile = swarm(1.0, (1.0, DECLARED))
    for by, size, at in said:
        profile.announced(by, [(AUTHOR, size, b"")], NOW + at)
    profile.merged(AUTHOR, update(8, DECLARED, NOW), NOW + held_at)
    return profile.lag_s(NOW + held_at, 0.0)


def test_who_announces_what_does_not_exist_yet_makes_nothing_late() -> None:
    assert lag((LIAR, 9, -0.9), (AUTHOR, 9, 1.5)) == pytest.approx(0.5)  # the author's word is the one that counts
    assert lag((LIAR, 9, -0.9), (HONEST, 9, 1.5), (OTHER, 9, 1.8)) == pytest.approx(0.5)  # else that of two
    assert lag((LIAR, 17, -0.9), (HONEST, 9, 1.5)) == pytest.approx(0.5)  # what is far ahead has not come true


def test_who_has_one_link_believes_it_but_only_of_what_comes_next() -> None:
    assert lag((HONEST, 9, 0.0)) == pytest.approx(2.0)
    profile = swarm(1.0, (1.0, DECLARED))
    profile.announced(LIAR, [(AUTHOR, 11, b"")], NOW)
    for seq in (8, 9, 10):
        profile.merged(AUTHOR, update(seq, DECLARED, NOW), NOW + seq)
    assert profile.lag_s(NOW + 10.0, 0.0) == 0.0


def test_what_a_link_announced_before_it_ended_is_forgotten() -> None:
    profile = swarm(1.0, (1.0, DECLARED))
    profile.announced(AUTHOR, [(AUTHOR, 9, b"")], NOW)
    profile.left(AUTHOR)
    profile.merged(AUTHOR, update(8, DECLARED, NOW), NOW + 30.0)
    assert profile.lag_s(NOW + 30.0, 0.0) == 0.0


@pytest.mark.parametrize(("liars", "honest"), [(1, 0), (2, 1), (1, 3)])
def test_whoever_claims_a_million_steps_for_each_update_takes_no_more_than_three_quarters_of_anybodys(
    liars: int, honest: int
) -> None:
    others = [(1.0, DECLARED)] * honest + [(1.0, 2**32 - 1)] * liars
    assert swarm(1.0, *others).next_steps(NOW) >= DECLARED // MOST_STEPS


def test_whoever_claims_years_between_its_updates_is_not_here_for_years() -> None:
    profile = swarm(1.0)
    for seq in range(8):
        profile.merged(LIAR, update(seq, DECLARED, seq * 10**9), NOW + seq)
    assert [peer for peer, _ in profile.active(NOW + 16.0)] == [LIAR]
    assert not list(profile.active(NOW + 18.0))
    assert profile.next_steps(NOW + 8.0) == MOST_STEPS * DECLARED


# -------------------------------------------------------------- lines


def test_density_follows_the_line() -> None:
    """An update of 10 kB for seven links a second is 70 kB/s; a quarter of the time is for that."""
    profile = swarm(1.0, *[(1.0, DECLARED)] * 7)

    def on(bandwidth: float, density: int = 0, size: int = 10_000) -> int:
        return profile.density_permille(NOW, size, density, bandwidth, 7)

    assert on(0.0) == 0  # not known
    assert on(300_000) == 0
    assert on(140_000) == 500
    assert on(140_000, density=500, size=5_000) == 500  # and stays there
    assert on(1_000) == LEAST_DENSITY
    assert on(300_000, density=500, size=5_000) == 1000  # in the band: as declared, but watched
    assert on(400_000, density=500, size=5_000) == 0


def test_a_slow_line_that_is_full_is_good_for_fewer_links() -> None:
    assert links_for(Line(10_000, True, 0.1, 6), 6, 3) == 3
    assert links_for(Line(10_000, False, 0.1, 6), 6, 3) == 6
    assert links_for(Line(1e6, True, 0.1, 6), 6, 3) == 6
    assert links_for(Line(10_000, True, 0.1, 6), 2, 3) == 2
