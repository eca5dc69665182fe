"""Guests of one member are one member: in weights, in progress, in the middle norm, and when a quorum is counted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.condemned import quorum, voices
from ledger.entry import GRID_ONE, Data, FoldConstants, PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.grounds import Grounds
from ledger.looked import Status
from ledger.rebuild import row_at, tip_at
from ledger.standing import sharers
from ledger.state_document import state_document
from ledger.state_opening import open_state
from ledger.weights import MAX_ACTIVE, START, Row, Sight, Weighed, row_hash, weigh
from tests.fold.houses import share
from tests.fold.judging import condemn, condemn_by, housed_swarm, judgement, of_kind
from tests.fold.stories import checked_entries, history_of, named_terms, named_weights, shuffled_delivery
from tests.fold.test_state import after, go_on, opened, snapshots_of
from tests.fold.toy import POLICY, Peer, Swarm, constants

NORM = 1 << 20
CHANGE = np.linspace(-0.1, 0.1, 16)


def name(number: int) -> PeerId:
    return f"{number:064x}"


A, B, C, D, SPONSOR, OTHER = (name(number) for number in range(1, 7))


@dataclass
class Origin:
    """One origin's chain of updates, its house, and what it has seen of others and theirs."""

    house: PeerId = ""
    fold: FoldConstants = field(default_factory=constants)
    row: Row = START
    counts: dict[PeerId, int] = field(default_factory=dict)
    houses: dict[PeerId, PeerId] = field(default_factory=dict)
    norms: dict[PeerId, int] = field(default_factory=dict)

    def meet(self, *peers: PeerId, house: PeerId = "") -> None:
        self.counts.update(dict.fromkeys(peers, 1))
        self.houses.update(dict.fromkeys(peers, house))

    def hear(self, *peers: PeerId, times: int = 1) -> None:
        for peer in peers:
            self.counts[peer] += times

    def sight(self) -> Sight:
        peers = tuple(sorted(self.counts))
        return Sight(
            peers, tuple(self.counts[peer] for peer in peers), tuple(self.norms.get(peer, NORM) for peer in peers), 0,
            houses=tuple(self.houses[peer] for peer in peers), house=self.house,
        )  # fmt: skip

    def publish(self, norm: int = NORM) -> Weighed:
        weighed = weigh(self.fold, self.row, self.sight(), norm)
        self.row = weighed.row
        return weighed


# ------------------------------------------------------------------ the stories behind the formula


def test_guests_of_one_member_take_no_more_of_the_step_than_one_member():
    for guests in (1, 2, 50):
        origin = Origin()
        origin.meet(A, B)
        origin.meet(*(name(100 + number) for number in range(guests)), house=SPONSOR)
        weighed = origin.publish()
        assert (weighed.active, weighed.weight) == (4, GRID_ONE // 4)


def test_what_one_member_would_weigh_is_divided_among_the_guests_of_one():
    alone, guest = Origin(), Origin(house=SPONSOR)
    for origin in (alone, guest):
        origin.meet(A, B, C)
    guest.meet(*(name(100 + number) for number in range(49)), house=SPONSOR)
    one, each = alone.publish().weight, guest.publish().weight
    assert (one, each) == (GRID_ONE // 4, GRID_ONE // 4 // 50)


@pytest.mark.parametrize("eta", [GRID_ONE // 16, GRID_ONE, 5 * GRID_ONE, 64 * GRID_ONE])
def test_fifty_fiftieths_are_never_more_than_one_whatever_eta_is(eta: int):
    """The cap of one update is the cap of a house: divided is what is left of it."""
    alone, guest = (Origin(house=house, fold=constants(eta=eta)) for house in ("", SPONSOR))
    for origin in (alone, guest):
        origin.meet(A)
    guest.meet(*(name(100 + number) for number in range(49)), house=SPONSOR)
    assert 50 * guest.publish().weight <= alone.publish().weight <= GRID_ONE


def test_silent_guests_count_too_for_silence_can_be_staged():
    origin = Origin(house=SPONSOR)
    origin.meet(A, B)
    origin.meet(C, house=SPONSOR)
    for _ in range(30):
        origin.hear(A, B)
        last = origin.publish()
    assert last.row.progress > 20 * GRID_ONE  # C has been silent for all of it
    assert last.weight == GRID_ONE // 3 // 2


def test_what_its_own_house_does_is_no_progress_of_others():
    house, cut_off = Origin(house=SPONSOR), Origin(house=SPONSOR)
    for origin in (house, cut_off):
        origin.meet(A, B)
        origin.meet(C, D, house=SPONSOR)
        origin.publish()
    for _ in range(100):
        house.hear(C, D)
        assert house.publish().quota == cut_off.publish().quota
    assert house.row.progress == cut_off.row.progress
    assert house.row.spent == cut_off.row.spent > 2 * house.fold.burst


def test_another_house_has_grown_when_one_of_it_has_and_once():
    one, all_of_them = Origin(), Origin()
    for origin in (one, all_of_them):
        origin.meet(A)
        origin.meet(B, C, D, house=SPONSOR)
        origin.publish()
    one.hear(B)
    all_of_them.hear(B, C, D)
    assert one.publish().row.progress == all_of_them.publish().row.progress == GRID_ONE + GRID_ONE // 2


def test_a_guest_is_never_alone_in_the_world_so_its_quota_is_spent_from_the_first_update_on():
    alone, guest = Origin(), Origin(house=SPONSOR)
    for origin in (alone, guest):
        origin.meet(A)  # who has published nothing
        for _ in range(50):
            last = origin.publish()
    assert alone.row.spent == 0
    assert last.quota < GRID_ONE // 10


@pytest.mark.parametrize("bent", [0, 1, 10**6 * NORM])
def test_fifty_norms_of_one_house_are_one_voice(bent: int):
    def weight(**houses: PeerId) -> int:
        origin = Origin()
        origin.meet(A, B, C)
        many = [name(100 + number) for number in range(50)]
        origin.meet(*many, house=houses.get("house", ""))
        origin.norms = dict.fromkeys(many, bent)
        return origin.publish(20 * NORM).weight

    fair = GRID_ONE // 5 * 3 // 2 // 20
    assert abs(weight(house=SPONSOR) - fair) <= 1
    assert weight() != fair  # were they fifty members, they would decide


@pytest.mark.parametrize(
    ("norms", "voice"), [((1, 5000, 9000), 5000), ((3000, 9000), 3000), ((500, 9000), 1000), ((9000, 0, 0), 1000)]
)
def test_of_a_houses_norms_the_middle_counts_and_of_two_the_lower(norms: tuple[int, ...], voice: int):
    """The origin's own is above all others, so the limit goes by the larger of the house's voice and A's 1,000."""
    origin = Origin()
    origin.meet(A)
    many = [name(100 + number) for number in range(len(norms))]
    origin.meet(*many, house=SPONSOR)
    origin.norms = {A: 1000 * NORM} | {peer: norm * NORM for peer, norm in zip(many, norms, strict=True)}
    assert origin.publish(10**5 * NORM).weight == GRID_ONE * 3 * voice // (3 * 2 * 10**5)


def test_a_house_of_thousands_stops_nobody():
    origin = Origin()
    origin.meet(A)
    origin.meet(*(name(100 + number) for number in range(MAX_ACTIVE)), house=SPONSOR)
    assert origin.publish().active == 3
    many = [name(100_000 + number) for number in range(MAX_ACTIVE)]
    origin.meet(*many)
    assert origin.publish().active == origin.fold.panel  # (they were admitted; whether any of them publishes is open)
    origin.hear(*many)
    with pytest.raises(RemoteError, match="too many"):
        origin.publish()


# ------------------------------------------------------------------ properties

peers = st.integers(1, 9)
story = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=80)


@given(others=peers, story=story, norm=st.integers(1, 1 << 30))
@settings(max_examples=60)
def test_where_everybody_stands_alone_houses_change_nothing(
    others: int, story: list[tuple[int, int]], norm: int
):  # fmt: skip
    with_column, without = Origin(), Origin()
    for origin in (with_column, without):
        origin.meet(*map(name, range(others)))
    for first, heard in story:
        for origin in (with_column, without):
            origin.hear(*(name((first + at) % others) for at in range(min(heard, others))))
        sight = without.sight()
        bare = weigh(without.fold, without.row, Sight(sight.peers, sight.counts, sight.norms, 0), norm)
        without.row = bare.row
        assert with_column.publish(norm) == bare


@given(guests=st.integers(1, 12), others=peers, story=story)
@settings(max_examples=60)
def test_a_house_is_to_others_what_one_member_is(guests: int, others: int, story: list[tuple[int, int]]):
    """Whatever its guests do, one after the other: n, T and x of anybody else are as if one member had done it all."""
    many, one = Origin(), Origin()
    flock = [name(1000 + number) for number in range(guests)]
    many.meet(*map(name, range(others)))
    many.meet(*flock, house=SPONSOR)
    one.meet(*map(name, range(others)), flock[0])
    for first, heard in story:
        for at in range(min(heard, others)):
            for origin in (many, one):
                origin.hear(name((first + at) % others))
        if first % 2:
            many.hear(flock[(first + heard) % guests])
            one.hear(flock[0])
        theirs, mine = many.publish(), one.publish()
        assert (theirs.active, theirs.quota, theirs.weight) == (mine.active, mine.quota, mine.weight)
        assert (theirs.row.progress, theirs.row.spent) == (mine.row.progress, mine.row.spent)


@given(guests=st.integers(1, 8), others=peers, story=story, data=st.data())
@settings(max_examples=60)
def test_what_a_house_spends_as_a_whole_is_bounded_as_what_one_member_spends(
    guests: int, others: int, story: list[tuple[int, int]], data: st.DataObject
):
    """FOLD.md's third property: shares of q, summed over all guests and over any stretch, of k updates in all.

    Each guest's q counts as the share that its weight is of a member's. The bound is that of one member who publishes
    k / m updates, with the progress that the guest who saw the most of it did see.
    """
    flock = [name(1000 + number) for number in range(guests)]
    origins = [Origin(house=SPONSOR) for _ in flock]
    for at, origin in enumerate(origins):
        origin.meet(*map(name, range(others)))
        origin.meet(*(flock[:at] + flock[at + 1 :]), house=SPONSOR)
    begin = data.draw(st.integers(0, len(story) - 1))
    before: list[int] = []
    spent, updates = 0, 0
    for turn, (first, heard) in enumerate(story):
        if turn == begin:
            before = [origin.row.progress for origin in origins]
        for origin in origins:
            origin.hear(*(name((first + at) % others) for at in range(min(heard, others))))
        who = (first * 7 + heard) % guests
        weighed = origins[who].publish()
        for origin in origins:
            if origin is not origins[who]:
                origin.hear(flock[who])
        if turn >= begin:
            spent, updates = spent + weighed.quota, updates + 1
    fold = origins[0].fold
    burst = fold.burst / GRID_ONE
    progress = max(origin.row.progress - was for origin, was in zip(origins, before, strict=True)) / GRID_ONE
    allowed = fold.leak / GRID_ONE * progress + (3 * burst**2 * updates / guests) ** (1 / 3) + burst + 1
    assert spent / GRID_ONE / guests <= allowed + 1e-3


pairs = st.tuples(st.sampled_from([A, B, C, D]), st.sampled_from(["", "", SPONSOR, OTHER]))


@given(judges=st.sets(pairs), more=st.sets(pairs))
def test_more_votes_are_never_fewer_voices(judges: set[tuple[str, str]], more: set[tuple[str, str]]):
    both = judges | more
    assert voices(judges) <= voices(both)
    assert voices(both) <= len({peer for peer, _ in both})
    assert voices(both) <= len({peer for peer, house in both if not house}) + len({h for _, h in both if h})
    assert voices({(peer, "") for peer, _ in both}) == len({peer for peer, _ in both})
    assert voices({(peer, SPONSOR) for peer, _ in both}) == (1 if both else 0)
    assert voices({(SPONSOR, ""), *((peer, SPONSOR) for peer, _ in both)}) == 1


# ------------------------------------------------------------------ what fifty weigh


@pytest.mark.parametrize("rate", [0.1, 1, 5])
def test_fifty_guests_weigh_no_more_than_one_member_at_their_rate(rate: float):
    one = share(0, rate, rounds=40)
    assert share(50, rate, rounds=40) <= one + 0.01
    assert one <= 1.6


def test_fifty_guests_at_one_members_rate_weigh_a_fiftieth_of_it():
    assert share(50, 0.1, rounds=40) <= 0.11  # five updates a round in all; one member at five: above 1


def test_a_house_that_publishes_in_secret_gains_what_its_sponsors_log_cannot_hide():
    """Number i knows of i - 1 others, whatever it shows: 1 + 1/2 + ... + 1/g members at most, and not g."""
    harmonic = sum(1 / number for number in range(1, 13))
    assert share(12, 1, "withholds", rounds=40) == pytest.approx(harmonic, rel=0.1)
    assert share(12, 1, "open", rounds=40) <= 1.01


# ------------------------------------------------------------------ in logs


def with_guests(guests: int = 3) -> Swarm:
    swarm = Swarm(["ann", "bob", "cyd"], guests=9, witnesses=["founder", "ann", "bob"])
    for number in range(guests):
        swarm.join(f"guest{number}", by="ann")
    swarm.exchange()
    return swarm


def publish_all(swarm: Swarm) -> dict[str, int]:
    found = {peer.name: peer.publish(CHANGE).weight or 0 for peer in swarm.peers.values()}
    swarm.exchange()
    return found


def test_guests_in_real_logs_share_what_one_member_weighs():
    swarm = with_guests()
    for _ in range(3):
        weights = publish_all(swarm)
        members = {weights[each] for each in ("founder", "ann", "bob", "cyd")}
        guests = {weights[f"guest{number}"] for number in range(3)}
        assert members == {GRID_ONE // 5}
        assert guests == {GRID_ONE // 5 // 3}
    assert len({peer.model_hash() for peer in swarm.peers.values()}) == 1


def test_whom_an_admin_lets_in_as_well_stands_alone_from_then_on():
    swarm = with_guests()
    publish_all(swarm)
    swarm.founder.let_in(swarm["guest0"])
    swarm.exchange()
    weights = publish_all(swarm)
    assert weights["guest0"] == weights["bob"] == GRID_ONE // 6
    assert weights["guest1"] == GRID_ONE // 6 // 2


def test_a_row_made_again_from_columns_is_the_row_that_was():
    swarm = with_guests()
    for _ in range(4):
        publish_all(swarm)
    replica = swarm.founder.replica
    for peer in swarm.peers.values():
        log = replica.branches.get(peer.id)
        for number in range(log.folded[-1]):
            assert row_hash(row_at(replica.constants, log, number + 1)) == log.row_hash(number)


def test_among_how_many_a_weight_was_divided_can_be_told_later():
    seen = set()
    for seed in (5, 12):
        replica = housed_swarm(seed, events=64).founder.replica
        logs = replica.branches.logs
        for log in logs.values():
            for seq in log.folded_at:
                tip = tip_at(log, seq + 1, "")
                own = tip.admitted[log.peer].house
                told = sharers(logs.values(), log, seq)
                assert told == (1 + tip.houses.count(own) if own else 1)
                seen.add(told)
    assert seen >= {1, 2, 3}


# ------------------------------------------------------------------ quorums


def judged_update(swarm: Swarm, of: str = "cyd") -> tuple[Peer, int]:
    publish_all(swarm)
    author = swarm[of]
    bad = author.publish(CHANGE * 2).seq
    swarm.exchange()
    return author, bad


def test_a_house_is_one_vote_however_many_of_it_judge():
    swarm = with_guests(6)
    author, bad = judged_update(swarm)
    needed = quorum(swarm.founder.replica.branches.get(author.id).active[-1])
    assert needed == 3  # founder, ann, bob, cyd and a house
    condemn_by([swarm[f"guest{number}"] for number in range(6)], author, bad)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, bad)
    condemn(swarm["ann"], author, bad)  # who let them in, and is the same voice
    condemn(swarm["bob"], author, bad)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, bad)
    condemn(swarm.founder, author, bad)
    swarm.exchange()
    assert swarm.founder.replica.condemned(author.id, bad)
    assert len({peer.model_hash() for peer in swarm.peers.values()}) == 1


def test_one_member_and_a_guest_of_its_own_never_condemn_what_was_learned_while_the_swarm_was_small():
    swarm = Swarm(["bob"], guests=1)
    author, early = judged_update(swarm, "founder")
    assert quorum(swarm["bob"].replica.branches.get(author.id).active[-1]) == 2
    for name in ("ann", "cyd", "dan"):
        swarm.join(name)
    swarm.exchange()
    swarm.join("guest", by="ann")
    swarm.exchange()
    condemn_by([swarm["ann"], swarm["guest"]], author, early)
    swarm.exchange()
    assert not swarm["bob"].replica.condemned(author.id, early)
    condemn(swarm["cyd"], author, early)
    swarm.exchange()
    assert swarm["bob"].replica.condemned(author.id, early)


def test_guests_alone_never_condemn_not_even_in_the_smallest_swarm():
    swarm = Swarm([], guests=9)
    swarm.join("ann")
    for number in range(5):
        swarm.join(f"guest{number}", by="ann")
    swarm.exchange()
    author, bad = judged_update(swarm, "founder")
    condemn_by([swarm[f"guest{number}"] for number in range(5)], author, bad)
    swarm.exchange()
    assert not swarm["ann"].replica.condemned(author.id, bad)


def test_guests_may_judge_who_let_them_in_with_their_one_voice():
    swarm = with_guests(4)
    author, bad = judged_update(swarm, "ann")
    condemn_by([swarm[f"guest{number}"] for number in range(4)], author, bad)
    condemn(swarm["bob"], author, bad)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, bad)
    condemn(swarm["cyd"], author, bad)
    swarm.exchange()
    assert swarm.founder.replica.condemned(author.id, bad)


def test_data_are_condemned_by_a_majority_of_groups_not_of_trainers():
    swarm = with_guests(8)
    author, _ = judged_update(swarm)
    data = of_kind(author, author.id, Data)[0]
    condemn_by([swarm["guest0"], swarm["guest1"], swarm["ann"]], author, data)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, data)
    condemn(swarm["bob"], author, data)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, data)
    condemn(swarm.founder, author, data)  # three of founder, ann, bob, cyd and a house; twelve train
    swarm.exchange()
    assert swarm.founder.replica.condemned(author.id, data)
    assert not {seq for log, seq, _, _ in swarm.founder.replica.updates if log == author.id}


def test_whose_guest_a_judge_was_is_what_counts_and_judging_again_adds_no_voice():
    """guest0 judges as ann's guest, then an admin lets it in, and it judges again: still one peer, one voice."""
    swarm = with_guests(1)
    author, bad = judged_update(swarm)
    condemn(swarm["guest0"], author, bad)
    condemn(swarm["bob"], author, bad)
    swarm.exchange()
    swarm.founder.let_in(swarm["guest0"])
    swarm.exchange()
    condemn(swarm["guest0"], author, of_kind(swarm["guest0"], author.id, type(author.announce_data().entry))[0], bad)
    swarm.exchange()
    assert not swarm.founder.replica.condemned(author.id, bad)


@pytest.mark.parametrize(("word_of_bob", "ground"), [("opinion", "opinion"), ("true", "checked")])
def test_an_audit_counts_voices_too_when_it_says_what_holds_a_condemnation(word_of_bob: Status, ground: str):
    """Two guests' grounds are facts, and so are ann's, who is of one voice with them, and the founder's: two voices of
    the three that it takes."""
    swarm = with_guests(2)
    author, bad = judged_update(swarm)
    judges = [swarm[each] for each in ("guest0", "guest1", "ann", "founder", "bob")]
    condemn_by(judges, author, bad)
    swarm.exchange()
    replica = swarm.founder.replica
    assert bad not in {seq for log, seq, _, _ in replica.updates if log == author.id}
    grounds = Grounds(replica)
    for judge in judges:
        grounds.note(
            judge.id, author.id, judgement(judge, author.id, [bad]), word_of_bob if judge.name == "bob" else "true", ""
        )
    assert grounds.struck() == {ground: 1}


# ------------------------------------------------------------------ the same for everybody


@pytest.mark.parametrize("seed", range(2))
def test_swarms_with_houses_have_one_hash_in_any_order(seed: int):
    swarm = housed_swarm(seed)
    founder = swarm.founder
    for order in range(25):
        observer = shuffled_delivery(swarm, Random(order))
        assert observer.model_hash() == founder.model_hash(), f"order {order}"
    assert named_terms(observer.replica) == named_terms(founder.replica)


@pytest.mark.parametrize("seed", range(4))
def test_a_second_implementation_weighs_houses_alike(seed: int):
    swarm = housed_swarm(seed)
    history = history_of(swarm)
    assert history.weight == named_weights(swarm.founder.replica)
    everything = set(history.entry)
    assert sorted(history.summed(everything)) == sorted(named_terms(swarm.founder.replica))
    assert history.model(everything) == swarm.founder.model_hash()
    told = [entry for entry, said in history.entry.items() if said["kind"] == "snapshot"]
    for entry in told:
        assert history.state(entry) == (history.entry[entry]["state"], history.entry[entry]["updates"])
    assert told


@pytest.mark.parametrize("seed", range(2))
def test_who_was_opened_from_a_snapshot_weighs_houses_and_counts_their_voices_alike(seed: int):
    swarm = housed_swarm(seed, events=90)
    entries = list(checked_entries(swarm))
    full, order = entries[-1][0], [checked for _, checked in entries]
    housed = 0
    for log, seq, _ in snapshots_of(full)[-4:-1]:
        replica = opened(full, log, seq)
        rest, missed = go_on(replica, after(full, order, log, seq), swarm.founder.blobs)
        assert missed or not rest
        housed += sum(member is not None and bool(member.house) for member in map(replica.membership, full.heads()))
    assert housed


def test_every_changed_house_in_a_state_document_is_found():
    swarm = with_guests(2)
    author, bad = judged_update(swarm)
    condemn_by([swarm["guest0"], swarm["guest1"]], author, bad)
    swarm.exchange()
    snapshot = swarm.founder.snapshot()
    replica = swarm.founder.replica
    document = state_document(replica, snapshot.log, snapshot.seq)
    genesis, rules = replica.data(replica.founder, 0), POLICY.encode()
    assert isinstance(snapshot.entry, Snapshot)
    open_state(document, genesis, rules, snapshot.entry)
    house = f'"{swarm["ann"].id}"]'.encode()
    places = [at.start() for at in re.finditer(re.escape(house), document)]
    assert len(places) == 4  # two admissions, two condemnations
    for at in places:
        for other in (b'""]', f'"{swarm["bob"].id}"]'.encode()):
            with pytest.raises(RemoteError):
                open_state(document[:at] + other + document[at + len(house) :], genesis, rules, snapshot.entry)
