"""What an update weighs: the stories behind the formula, and the bound on what one origin can spend."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.canonical import encode
from ledger.delta import Delta
from ledger.delta import encode as encode_delta
from ledger.entry import GRID_ONE, FoldConstants
from ledger.errors import RemoteError
from ledger.weights import MAX_ACTIVE, START, Row, Sight, Weighed, row_hash, weigh
from tests.fold.stories import history_of, named_weights, random_blob
from tests.fold.toy import Swarm, constants

NORM = 1 << 20


@dataclass
class Origin:
    """One origin's chain of updates, and the counts that it has seen of others."""

    fold: FoldConstants = field(default_factory=constants)
    row: Row = START
    counts: dict[str, int] = field(default_factory=dict)

    def meet(self, *peers: str) -> None:
        self.counts.update(dict.fromkeys(peers, 1))

    def hear(self, *peers: str, times: int = 1) -> None:
        for peer in peers:
            self.counts[peer] += times

    def publish(self, *, norm: int = NORM, unviewed: int = 0, norms: dict[str, int] | None = None) -> Weighed:
        peers = tuple(sorted(self.counts))
        heard = tuple((norms or {}).get(peer, NORM) for peer in peers)
        sight = Sight(peers, tuple(self.counts[peer] for peer in peers), heard, unviewed)
        weighed = weigh(self.fold, self.row, sight, norm)
        self.row = weighed.row
        return weighed


def name(number: int) -> str:
    return f"{number:064x}"


A, B, C = name(1), name(2), name(3)


def test_alone_an_origin_has_the_whole_step_for_ever():
    origin = Origin()
    assert {origin.publish().weight for _ in range(300)} == {GRID_ONE}
    assert origin.row.spent == 0


def test_the_step_is_shared_among_those_who_are_active():
    origin = Origin()
    origin.meet(A, B, C)
    assert origin.publish().weight == GRID_ONE // 4


def test_a_stale_update_weighs_less_than_a_fresh_one():
    weights = []
    for received in (0, 2, 3, 8, 40, 10_000):
        origin = Origin()
        origin.meet(A)
        weights.append(origin.publish(unviewed=received * GRID_ONE).weight)
    assert weights[0] == weights[1] == GRID_ONE // 2
    assert weights == sorted(weights, reverse=True)
    assert weights[2] == int(GRID_ONE / 2**0.5) // 2  # tau 3: (1 + 3 - 2)^-1/2
    assert weights[-1] > 0


def test_a_delta_much_longer_than_the_others_is_cut_to_one_and_a_half_medians():
    origin = Origin()
    origin.meet(A, B)
    fair = origin.publish().weight
    origin.hear(A, B)
    assert origin.publish(norm=150 * NORM).weight == fair // 100
    origin.hear(A, B)
    assert origin.publish(norm=NORM * 3 // 2).weight == fair


def test_one_long_delta_among_the_others_does_not_raise_the_bar():
    origin = Origin(constants(norm0=NORM))
    origin.meet(A, B, C)
    assert origin.publish(norm=10 * NORM, norms={A: 1000 * NORM}).weight < GRID_ONE // 4 // 6


@pytest.mark.parametrize("other", [0, 1, NORM // 1000])
@pytest.mark.parametrize("times", [0.1, 1, 1.5, 2, 20])
def test_of_two_one_that_publishes_next_to_nothing_does_not_silence_the_other(other: int, times: float):
    origin = Origin()
    norm0, norm = origin.fold.norm0, int(times * origin.fold.norm0)
    origin.meet(A)
    origin.hear(A)
    kept = min(GRID_ONE // 2, origin.fold.kappa * norm0 // (2 * norm))  # eta / n * min(1, kappa * norm0 / norm)
    assert origin.publish(norm=norm, norms={A: other}).weight == kept > 2000


def test_of_two_a_huge_delta_does_not_set_its_own_limit():
    for other in (0, NORM, 1000 * NORM):
        origin = Origin()
        origin.meet(A)
        origin.hear(A)
        limit = origin.fold.kappa * max(other, origin.fold.norm0)
        assert origin.publish(norm=10**6 * NORM, norms={A: other}).weight == limit // (2 * 10**6 * NORM)


def test_a_zero_update_in_a_real_log_leaves_the_other_trainer_its_weight():
    swarm = Swarm(["ann"])
    swarm["ann"].publish_blob(encode_delta(Delta(16, (), (), ())))
    swarm.exchange()
    after = swarm.founder.publish(np.full(16, 0.5))
    fold = swarm.founder.replica.genesis.fold
    assert after.norm > fold.norm0 * 3 // 2  # it is clipped, but to norm0
    assert after.weight == fold.eta * fold.kappa * fold.norm0 // (2 * after.norm << 16) > 0


norms = st.integers(NORM // 50, 50 * NORM)


@given(norm=norms, others=st.lists(norms, min_size=1, max_size=9), norm0=norms, odd=st.data())
@settings(max_examples=200)
def test_up_to_half_of_all_may_publish_anything_and_the_limit_stays_among_the_others_norms(
    norm: int, others: list[int], norm0: int, odd: st.DataObject
):
    fold = constants(norm0=norm0)
    n = 1 + len(others)
    bent = odd.draw(st.integers(1, n // 2))

    def weight(own: int, heard: list[int]) -> int:
        peers = tuple(map(name, range(len(heard))))
        return weigh(fold, START, Sight(peers, (2,) * len(heard), tuple(heard), 0), own).weight

    least = fold.kappa * min(norm, norm0, *others)
    silenced = weight(norm, [0] * bent + others[bent:])
    assert silenced >= min(GRID_ONE // n, least // (n * norm)) > 0
    huge = 10**6 * NORM  # the origin's own, and those of its friends
    assert weight(huge, [huge] * (bent - 1) + others[bent - 1 :]) <= fold.kappa * max(norm0, *others) // (n * huge)


def test_who_falls_silent_stops_counting_after_eight_units_of_progress():
    origin = Origin()
    origin.meet(A, B, C)
    origin.hear(A, B)
    last_growth = origin.publish().row.progress  # C was met here, and never heard of again
    silent_for, counted = [], []
    for _ in range(20):
        silent_for.append(origin.row.progress - last_growth)
        origin.hear(A, B)
        counted.append(origin.publish().active == 4)
    assert counted == [progress <= 8 * GRID_ONE for progress in silent_for]
    assert counted.count(False) > 3
    origin.hear(C)
    assert origin.publish().active == 4


@pytest.mark.parametrize(("progress", "counted"), [(8 * GRID_ONE, 2), (8 * GRID_ONE + 1, 1)])
def test_the_window_itself_still_counts(progress: int, counted: int):
    row = Row((A,), (1,), (1,), (0,), progress)  # A was last seen to grow when T was 0
    assert weigh(constants(), row, Sight((A,), (1,), (NORM,), 0), NORM).active == counted


def test_who_publishes_as_fast_as_the_others_keeps_its_full_quota():
    origin = Origin()
    origin.meet(A, B, C)
    for _ in range(200):
        origin.hear(A, B, C)
        assert origin.publish().quota == GRID_ONE


def test_who_publishes_twenty_times_as_fast_gets_little_more_than_the_others():
    def spent(per_round: int) -> int:
        origin = Origin()
        origin.meet(A, B, C)
        total = 0
        for _ in range(100):
            origin.hear(A, B, C)
            total += sum(origin.publish().quota for _ in range(per_round))
        return total

    assert spent(20) < 1.5 * spent(1)


def test_cut_off_an_origin_goes_on_at_a_falling_rate():
    origin = Origin()
    origin.meet(A, B, C)
    origin.hear(A, B, C)
    weights = [origin.publish().weight for _ in range(500)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == GRID_ONE // 4
    assert 0 < weights[-1] < weights[0] // 20


def test_hiding_what_it_saw_gains_an_origin_nothing_over_being_cut_off():
    hiding, cut_off = Origin(), Origin()
    for origin in (hiding, cut_off):
        origin.meet(A, B)
        origin.hear(A, B)
    assert [hiding.publish() for _ in range(50)] == [cut_off.publish() for _ in range(50)]


@given(
    others=st.integers(1, 9),
    story=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=150),
    data=st.data(),
)
@settings(max_examples=60)
def test_quota_is_bounded_by_the_progress_of_others_and_a_cube_root(
    others: int, story: list[tuple[int, int]], data: st.DataObject
):
    origin = Origin()
    origin.meet(*map(name, range(others)))
    quota, progress = [0], [0]
    for first, heard in story:
        origin.hear(*(name((first + at) % others) for at in range(min(heard, others))))
        weighed = origin.publish()
        quota.append(quota[-1] + weighed.quota)
        progress.append(weighed.row.progress)
    begin = data.draw(st.integers(0, len(story) - 1))
    end = data.draw(st.integers(begin + 1, len(story)))
    burst = origin.fold.burst / GRID_ONE
    allowed = (
        origin.fold.leak / GRID_ONE * (progress[end] - progress[begin]) / GRID_ONE
        + (3 * burst**2 * (end - begin)) ** (1 / 3) + burst + 1
    )  # fmt: skip
    alone = next((at for at, (_, heard) in enumerate(story) if heard), len(story))  # until then no quota is spent
    spent = (quota[end] - quota[max(begin, min(alone, end))]) / GRID_ONE
    assert spent <= allowed + 1e-3


@given(story=st.lists(st.integers(0, 3), min_size=1, max_size=60))
@settings(max_examples=30)
def test_progress_is_never_more_than_the_others_published(story: list[int]):
    origin = Origin()
    origin.meet(A, B, C)
    for heard in story:
        origin.hear(*(A, B, C)[:heard])
        origin.publish()
    most = max(origin.counts.values())
    assert origin.row.progress <= most * GRID_ONE


def test_more_publishers_than_a_panel_can_have_places_are_refused():
    origin = Origin()
    origin.meet(*map(name, range(MAX_ACTIVE)))
    origin.hear(*map(name, range(MAX_ACTIVE)))
    with pytest.raises(RemoteError, match="too many"):
        origin.publish()


def test_extreme_constants_stay_inside_their_range():
    for changes in ({"eta": GRID_ONE // 16}, {"eta": 64 * GRID_ONE}, {"kappa": GRID_ONE // 16}, {"leak": 0},
                    {"burst": GRID_ONE}, {"window": 0}, {"norm0": 1}):  # fmt: skip
        origin = Origin(constants(**changes))
        origin.meet(A, B)
        for turn in range(60):
            origin.hear(*((A, B) if turn % 7 == 0 else ()))
            assert 0 <= origin.publish(norm=turn, unviewed=turn * GRID_ONE).weight <= GRID_ONE


def test_a_row_is_named_by_all_it_holds():
    row = Row((A, B), (1, 2), (1, 1), (0, 5), 7, 9)
    others = [
        Row((A, C), (1, 2), (1, 1), (0, 5), 7, 9), Row((A, B), (1, 3), (1, 1), (0, 5), 7, 9),
        Row((A, B), (1, 2), (1, 2), (0, 5), 7, 9), Row((A, B), (1, 2), (1, 1), (1, 5), 7, 9),
        Row((A, B), (1, 2), (1, 1), (0, 5), 8, 9), Row((A, B), (1, 2), (1, 1), (0, 5), 7, 8),
    ]  # fmt: skip
    assert len({row_hash(each) for each in [row, *others]}) == 7


# ------------------------------------------------------------------ crowds: a panel publishes, and the others do not


def crowd(panel: int = 10, members: int = 100) -> Origin:
    origin = Origin(constants(panel=panel))
    origin.meet(*map(name, range(members)))
    return origin


def test_in_a_crowd_of_whom_a_panel_publishes_n_is_the_panel_from_the_first_update_on():
    origin = crowd()
    for turn in range(40):
        assert origin.publish().active == 10
        origin.hear(*map(name, range(9)))
        assert origin.row.progress == turn * GRID_ONE  # a panel has moved, so everybody has
    assert origin.publish().quota == GRID_ONE


def test_without_panels_an_origin_that_meets_a_crowd_would_weigh_a_tenth_and_lose_its_quota():
    """Why there is a rule for crowds at all: the one for smaller swarms, by a panel as large as the crowd."""
    origin = crowd(panel=4096)
    for _ in range(40):
        origin.publish()
        origin.hear(*map(name, range(9)))
    last = origin.publish()
    assert last.active == 101
    assert origin.row.progress == GRID_ONE
    assert last.quota < GRID_ONE // 5


def test_who_comes_back_to_the_panel_weighs_as_much_as_the_others_after_a_window_of_progress():
    origin = crowd()
    origin.publish()
    origin.hear(*map(name, range(100)))  # while it rested each of them published
    found = []
    for turn in range(12):
        found.append(origin.publish().active)
        origin.hear(*map(name, range(9)))
        assert origin.row.progress == (turn + 1) * GRID_ONE
    assert found[0] == 101
    assert found[-1] == 10


def test_in_a_crowd_who_hides_all_others_weighs_as_a_publisher_and_spends_its_quota():
    hidden, honest = crowd(), crowd()
    for _ in range(200):
        honest.hear(*map(name, range(9)))
        fair, mine = honest.publish(), hidden.publish()
        assert mine.weight <= fair.weight
    one = crowd()
    one.hear(name(0))
    for _ in range(50):
        one.publish()
    assert one.publish().quota < GRID_ONE // 4


@given(
    panel=st.integers(4, 12), larger=st.integers(0, 50),
    story=st.lists(st.lists(st.integers(0, 8), max_size=5), max_size=40),
)  # fmt: skip
def test_a_panel_that_nobody_fills_changes_nothing(panel: int, larger: int, story: list[list[int]]):
    """Swarms of at most `panel` trainers: bit for bit the same, whatever their panel is."""
    members = min(panel - 1, 9)
    one, other = crowd(panel, members), crowd(panel + larger, members)
    for heard in story:
        for origin in (one, other):
            origin.hear(*(name(peer) for peer in heard if peer < members))
        assert one.publish() == other.publish()


def test_a_genesis_without_a_panel_is_spelt_as_it_always_was():
    fold = constants()
    assert fold.panel == 100
    assert b"panel" not in encode(fold)
    assert b'"panel":12' in encode(msgspec.structs.replace(fold, panel=12))


@pytest.mark.parametrize("seed", range(3))
def test_in_a_crowd_a_second_implementation_finds_the_same_weights(seed: int):
    luck = Random(seed)
    swarm = Swarm([f"peer-{number}" for number in range(9)], fold=constants(panel=4))
    panel: list[str] = []
    for turn in range(60):
        if turn % 15 == 0:
            panel = luck.sample(sorted(swarm.peers), 4)
        peer = swarm[luck.choice(panel)]
        peer.fetch(swarm[luck.choice(sorted(swarm.peers))])
        peer.publish_blob(random_blob(luck, 16, exponent=-10), view=peer.replica.heads())
    swarm.exchange()
    history = history_of(swarm)
    assert history.weight == named_weights(swarm.founder.replica)
    assert max(history.active.values()) > 4
