"""Planted faults in whole swarms: who finds them, what follows, and that all agree about it afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from gossip.config import PeerConfig
from gossip.events import Timer
from gossip.peer.author import chain
from gossip.peer.election import Election
from gossip.peer.inspection.receivers import receivers
from gossip.peer.vouches import Proposal
from gossip.sim import Crash, Scenario, SimReport, SimSwarm, ToyTrainer
from gossip.sim.station import SimPeer
from gossip.sim.toy import Record, Weights
from ledger.entry import (
    Accuse,
    AnyEntry,
    Challenge,
    Data,
    Judgement,
    Opening,
    PeerId,
    Reading,
    Scores,
    Snapshot,
    Update,
    Verdict,
)
from ledger.replica import Replica

BAD = 4  # the peer that the fault is planted in
QUICK = PeerConfig(verdict_s=4.0, judge_s=1.0, answer_s=8.0)
PIN = "ab" * 32

# Tests that look at one and the same swarm: it lives once, in one worker.
FLIPPED = pytest.mark.xdist_group("sim-flipped")
HARMED = pytest.mark.xdist_group("sim-harmed")

POLICY = f"""\
policy = 1
[opened.malformed]
max = 0
[opened.wrong_labels_permille]
max = 100
[opened.unanswered]
max = 0
[crossed.copied]
max = 0
[labels.ad]
toy = "{PIN}"
"""


def lived(**scenario: Any) -> tuple[SimSwarm, SimReport]:
    """A swarm that has run, and holds one history and one model."""
    facts = {"peers": 5, "seconds": 12.0, "round_s": 1.0, "seed": 3, "policy": POLICY, "config": QUICK, "witnesses": 0}
    swarm = SimSwarm(Scenario(**{**facts, **scenario}))
    report = swarm.run()
    assert report.drained, f"seed {report.seed}"
    assert len(set(report.tips.values())) == 1, f"seed {report.seed}"
    assert len(set(report.model_hashes.values())) == 1, f"seed {report.seed}"
    return swarm, report


def replica_of(swarm: SimSwarm, index: int = 0) -> Replica:
    book = swarm.peers[index].book
    assert book is not None
    return book.replica


def entries(swarm: SimSwarm) -> Iterator[tuple[PeerId, int, AnyEntry]]:
    replica = replica_of(swarm)
    for log, size in replica.heads().items():
        for seq in range(size):
            yield log, seq, replica.entry(log, seq)


def judgements(swarm: SimSwarm, about: int = BAD) -> list[tuple[PeerId, Judgement]]:
    """(judge, what it says) of one peer's entries, scores left out."""
    peer = swarm.peers[about].self_id
    said = [(log, one) for log, _, entry in entries(swarm) if isinstance(entry, Verdict) for one in entry.judgements]
    return [(log, one) for log, one in said if one.peer == peer and one.decision != "scored"]


def published(swarm: SimSwarm, index: int) -> list[int]:
    log = swarm.peers[index].self_id
    return [seq for one, seq, entry in entries(swarm) if one == log and isinstance(entry, Update)]


def counting(swarm: SimSwarm, index: int) -> list[int]:
    log = swarm.peers[index].self_id
    return sorted(seq for one, seq, _, _ in replica_of(swarm).updates if one == log)


def rules(swarm: SimSwarm, decision: str) -> set[str]:
    return {reading.rule for _, one in judgements(swarm) if one.decision == decision for reading in one.readings}


def only_the_bad_one_lost(swarm: SimSwarm) -> None:
    for index in range(len(swarm.peers)):
        if index == BAD:
            assert published(swarm, index)
            assert counting(swarm, index) == []
        else:
            assert counting(swarm, index) == published(swarm, index)
            assert [one for one in judgements(swarm, index) if one[1].decision == "condemned"] == []


# ------------------------------------------------------------------ opened records


@cache
def flipped() -> tuple[SimSwarm, SimReport]:
    """Half of one peer's labels are wrong."""
    return lived(public=tuple(range(5)), flipped={BAD: 0.5})


@FLIPPED
def test_wrong_labels_in_public_data_are_seen_and_taken_out_of_everybodys_model() -> None:
    swarm, report = flipped()
    only_the_bad_one_lost(swarm)
    assert rules(swarm, "condemned") == {"opened.wrong_labels_permille.max"}
    judges = {judge for judge, _ in judgements(swarm)}
    assert len(judges) >= 3
    assert swarm.peers[BAD].self_id not in judges
    for _, one in judgements(swarm):
        (reading,) = one.readings
        assert reading.limit == 100
        assert 300 < reading.value < 700
    assert report.accuracy is not None
    assert report.accuracy > 0.85


def test_who_joins_later_looks_for_itself_so_that_growth_lets_nothing_back_in() -> None:
    """Two condemn, which is enough for three. Eight more come, of whom three receive; six are needed by then. One of
    the first two dies meanwhile, and does not say again what it has said."""
    late = {index: 4.0 + 0.1 * index for index in (1, 2, 5, 6, 7, 8, 9, 10)}
    swarm, _ = lived(
        peers=11, seconds=13.0, round_s=2.0, public=(BAD,), flipped={BAD: 0.5}, late=late,
        crashes=(Crash(3, 4.5, 1.0),), config=PeerConfig(verdict_s=2.0), settle_s=120.0,
    )  # fmt: skip
    newest = published(swarm, BAD)[-1]
    held = replica_of(swarm).branches.get(swarm.peers[BAD].self_id)
    assert held.active[held.folded[newest]] >= 10
    only_the_bad_one_lost(swarm)
    judges = Counter(judge for judge, _ in judgements(swarm))
    assert len(judges) >= 6
    assert set(judges.values()) == {1}


def test_a_majority_gathers_where_only_three_receive() -> None:
    """The others look when one has found something, each for itself and once."""
    swarm, _ = lived(
        peers=9, seconds=10.0, round_s=2.0, public=(BAD,), flipped={BAD: 0.5}, late={BAD: 3.0},
        config=PeerConfig(verdict_s=1.0), settle_s=120.0,
    )  # fmt: skip
    asked = {log for log, _, entry in entries(swarm) if isinstance(entry, Challenge)}
    assert asked == set(receivers(swarm.peers[BAD].self_id, 1, [peer.self_id for peer in swarm.peers]))
    judges = Counter(judge for judge, _ in judgements(swarm))
    assert len(judges) >= 5 > len(asked)
    assert set(judges.values()) == {1}
    only_the_bad_one_lost(swarm)


@FLIPPED
def test_whoever_is_refused_is_told_by_how_many_and_why() -> None:
    swarm, _ = flipped()
    told = [f for _, index, kind, f in swarm.notes if (index, kind) == (BAD, "verdict") and f["own"]]
    assert told
    assert told[0]["text"].startswith("1 peer condemns your data set (entry 1): ")
    assert any(note["text"].startswith("3 peers condemn your data set") for note in told)
    assert "labelled unlike the pinned lists" in told[-1]["text"]
    assert told[0]["readings"][0]["limit"] == 100
    machine = swarm.peers[BAD].machine
    assert machine is not None
    assert told[-1]["text"] in machine.status().refusals
    others = [f for _, index, kind, f in swarm.notes if (index, kind) == (0, "verdict")]
    assert others
    assert others[0]["text"].startswith("condemns peer-4's data set")
    gone = [(index, f["own"]) for _, index, kind, f in swarm.notes if kind == "condemned"]
    assert (BAD, True) in gone
    assert (0, False) in gone


def test_three_members_ask_about_each_data_set_and_each_is_answered_once() -> None:
    swarm, _ = lived(public=(1, 2))
    asked = [(log, entry.peer, entry.data) for log, _, entry in entries(swarm) if isinstance(entry, Challenge)]
    assert len(asked) == len(set(asked))
    for index in range(5):
        peer = swarm.peers[index].self_id
        who = {log for log, target, _ in asked if target == peer}
        expected = set(receivers(peer, 1, [p.self_id for p in swarm.peers])) if index in (1, 2) else set()
        assert expected <= who
        assert len(who) <= len(expected) + 2  # who knew fewer members when it asked
    answers = [(entry.peer, entry.challenge) for _, _, entry in entries(swarm) if isinstance(entry, Opening)]
    assert len(answers) == len(asked) == len(set(answers))
    assert judgements(swarm, 1) == judgements(swarm, 2) == []  # nothing was wrong, and nothing is said


def test_an_opening_that_is_false_is_proof_and_ends_what_counts_of_that_peer() -> None:
    swarm, _ = lived(public=(3, BAD), faults={BAD: "lies"})
    bad = swarm.peers[BAD].self_id
    accused = [entry for _, _, entry in entries(swarm) if isinstance(entry, Accuse)]
    assert accused
    assert {(entry.peer, entry.charge) for entry in accused} == {(bad, "opening")}
    assert replica_of(swarm).void_from(bad) == 1  # from its data entry on
    assert counting(swarm, BAD) == []
    assert counting(swarm, 3) == published(swarm, 3)
    trouble = [f["text"] for _, index, kind, f in swarm.notes if (index, kind) == (BAD, "trouble")]
    assert any("another data set than it had committed to" in text for text in trouble)
    assert not any("two histories" in text for text in trouble)


def test_records_that_go_to_few_are_judged_by_them_and_prove_nothing_to_others() -> None:
    """Of restricted data a false opening is an opinion: the proof would be the records."""
    swarm, _ = lived(public=(BAD,), opens={BAD: ("admin", "trainer")}, faults={BAD: "lies"})
    assert not [entry for _, _, entry in entries(swarm) if isinstance(entry, Accuse)]
    assert rules(swarm, "condemned") == {"opened.invalid"}
    only_the_bad_one_lost(swarm)


def test_nobody_asks_for_records_that_are_not_for_it() -> None:
    swarm, _ = lived(public=(BAD,), opens={BAD: ("auditor",)})
    assert not [entry for _, _, entry in entries(swarm) if isinstance(entry, Challenge)]
    assert counting(swarm, BAD) == published(swarm, BAD)


def test_one_receiver_alone_condemns_nothing() -> None:
    """Only the founder may look, and what it says no other can check: it stays an opinion."""
    swarm, _ = lived(public=(BAD,), opens={BAD: ("admin",)}, flipped={BAD: 0.5})
    assert {judge for judge, _ in judgements(swarm)} == {swarm.peers[0].self_id}
    assert counting(swarm, BAD) == published(swarm, BAD)


def test_who_shows_nothing_is_condemned_in_time_and_told_before() -> None:
    swarm, _ = lived(public=(3, BAD), faults={BAD: "mute"}, seconds=20.0)
    assert rules(swarm, "condemned") == {"opened.unanswered.max"}
    only_the_bad_one_lost(swarm)
    first = min(at for at, _, kind, _ in swarm.notes if kind == "verdict")
    assert first > QUICK.answer_s
    trouble = [(at, f["text"]) for at, index, kind, f in swarm.notes if (index, kind) == (BAD, "trouble")]
    assert "were asked for and cannot be opened" in trouble[0][1]
    assert trouble[0][0] < first


def test_who_is_away_is_not_blamed_for_silence() -> None:
    """It dies right after its data entry, before anybody has asked, and comes back long after the time is over."""
    swarm, _ = lived(public=(BAD,), crashes=(Crash(BAD, 0.9, 14.0),), seconds=22.0)
    asked = [entry for _, _, entry in entries(swarm) if isinstance(entry, Challenge)]
    answers = [entry for _, _, entry in entries(swarm) if isinstance(entry, Opening)]
    assert len(asked) == len(answers) >= 3
    assert judgements(swarm) == []
    assert counting(swarm, BAD) == published(swarm, BAD) != []


def test_openings_come_through_members_that_are_linked_where_the_two_are_not() -> None:
    sparse = PeerConfig(verdict_s=4.0, full_mesh=2, links=2, own_links=1, rotate_s=1000.0)
    swarm, _ = lived(peers=9, seconds=7.0, round_s=3.0, public=(BAD,), config=sparse, seed=5)
    opened = [entry for log, _, entry in entries(swarm) if isinstance(entry, Opening)]
    assert len(opened) >= 3
    author = swarm.peers[BAD].machine
    assert author is not None
    linked = {link.peer for link in author.status().links}
    assert {entry.peer for entry in opened} - linked  # or there was nothing to pass on
    for entry in opened:
        asker = next(peer for peer in swarm.peers if peer.self_id == entry.peer)
        assert asker.memory.blobs.get(entry.opened)


# ------------------------------------------------------------------ beside others


def test_copied_deltas_leave_the_model_and_their_originals_stay() -> None:
    swarm, _ = lived(faults={BAD: "copies"})
    replica, bad = replica_of(swarm), swarm.peers[BAD].self_id
    originals = {delta for log, _, delta, _ in replica.updates if log != bad}
    for log, seq, delta, _ in replica.updates:
        if log == bad:  # the first one: there was nothing to copy yet
            assert delta not in originals
            assert seq == published(swarm, BAD)[0]
    assert len(published(swarm, BAD)) > 8
    assert rules(swarm, "condemned") == {"crossed.copied.max"}
    for index in range(4):
        assert counting(swarm, index) == published(swarm, index)


def test_likeness_that_the_policy_only_shows_takes_nothing_out() -> None:
    text = 'policy = 1\n[crossed.cosine_permille]\nmax = 990\non_fail = "quarantine"\n'
    swarm, _ = lived(faults={BAD: "copies"}, policy=text)
    assert rules(swarm, "quarantined") == {"crossed.cosine_permille.max"}
    assert rules(swarm, "condemned") == set()
    assert {reading.value for _, one in judgements(swarm) for reading in one.readings} == {1000}
    assert counting(swarm, BAD) == published(swarm, BAD)


@pytest.mark.parametrize("fault", [{}, {BAD: "copies"}])
def test_no_witness_votes_for_a_snapshot_that_holds_what_is_condemned_by_now(fault: dict[int, str]) -> None:
    """A final would keep it in the model for ever."""
    swarm, _ = lived(faults=fault, seconds=9.0)
    book, memory = swarm.peers[1].book, swarm.peers[1].memory
    assert book is not None
    replica = book.replica
    kept = {(log, seq) for log, seq, _, _ in replica.updates}
    condemned = 0
    for log, seq, entry in entries(swarm):
        if isinstance(entry, Snapshot):
            holds = any(term[:2] not in kept for term in replica.terms(replica.past(log, seq + 1)))
            proposal = Proposal(log, seq + 1, replica.root(log, seq + 1), bytes(64), True)
            assert (Election(book, memory.blob, None).vote(proposal) is None) is holds
            condemned += holds
    assert bool(condemned) is bool(fault)


class Borrower(ToyTrainer):
    """One peer commits to what is another's public data."""

    def records(self, peer: int) -> list[Record]:
        return super().records(3 if peer == BAD else peer)


def test_a_data_set_that_is_somebody_elses_is_seen_by_its_sketch() -> None:
    text = "policy = 1\n[crossed.overlap_permille]\nmax = 500\n"
    scenario = Scenario(
        peers=5, seconds=14.0, round_s=1.0, seed=3, policy=text, config=QUICK, witnesses=0, public=(3, BAD),
        late={BAD: 4.0},
    )  # fmt: skip
    swarm = SimSwarm(scenario, Borrower(5, 3))
    report = swarm.run()
    assert report.models_equal
    assert rules(swarm, "condemned") == {"crossed.overlap_permille.max"}
    assert {reading.value for _, one in judgements(swarm) for reading in one.readings} == {1000}
    only_the_bad_one_lost(swarm)


# ------------------------------------------------------------------ on rows of one's own


@cache
def harmed() -> tuple[SimSwarm, SimReport]:
    text = "policy = 1\n[holdout.harm_permille]\nmax = 10\n"
    return lived(faults={BAD: "harms"}, policy=text, seconds=40.0)


@HARMED
def test_harm_that_no_record_shows_is_measured_and_taken_out() -> None:
    """The data are private, the deltas point the wrong way: others' rows tell."""
    swarm, _ = harmed()
    assert rules(swarm, "condemned") == {"holdout.harm_permille.max"}
    only_the_bad_one_lost(swarm)


@HARMED
def test_what_a_quorum_has_found_harmful_does_not_come_back_with_the_next_updates() -> None:
    """First a batch is condemned by a quorum, then the data that it learned from, and so all that follows."""
    swarm, _ = harmed()
    said = [one for _, one in judgements(swarm) if one.decision == "condemned"]
    of_data = [one for one in said if one.seqs == [1]]
    batches = Counter(tuple(one.seqs) for one in said if one.seqs != [1])
    assert len(of_data) >= 3
    assert max(batches.values()) >= 3
    first = min(number for number, one in enumerate(said) if one.seqs == [1])
    assert first >= 1
    newest = published(swarm, BAD)[-1]
    assert all(newest not in batch for batch in batches)  # nobody had to measure that one


def test_turned_labels_in_private_data_are_seen_by_where_they_pull() -> None:
    """The others have made up for them long ago: without these updates the model would be worse, not better."""
    text = "policy = 1\n[holdout.harm_permille]\nmax = 15\n"
    swarm, report = lived(flipped={BAD: 1.0}, policy=text, seconds=40.0)
    only_the_bad_one_lost(swarm)
    assert report.accuracy is not None
    assert report.accuracy > 0.85


class FewRows(ToyTrainer):
    """Whose peers have a handful of rows to judge by, and find half of them wrong with more of anything."""

    def measure(self, theta: Weights, peer: int) -> Scores:
        self.turn = not getattr(self, "turn", False)
        return Scores(examples=40, tp=20, fp=10 if self.turn else 0, fn=10 if self.turn else 0)


def test_who_has_few_rows_measures_and_holds_it_against_nobody() -> None:
    text = "policy = 1\n[holdout.harm_permille]\nmax = 10\n"
    scenario = Scenario(peers=4, seconds=24.0, round_s=1.0, seed=3, policy=text, config=QUICK, witnesses=0)
    swarm = SimSwarm(scenario, FewRows(4, 3))
    assert swarm.run().models_equal
    said = [one for _, _, entry in entries(swarm) if isinstance(entry, Verdict) for one in entry.judgements]
    assert said
    assert {one.decision for one in said} == {"scored"}
    assert all(one.measured[0].given.fp == 10 and one.measured[0].without.fp == 0 for one in said)


@HARMED
def test_measurements_come_from_three_receivers_for_sixteen_updates() -> None:
    swarm, _ = harmed()
    peer = swarm.peers[1].self_id
    scored = [
        (log, one)
        for log, _, entry in entries(swarm)
        if isinstance(entry, Verdict)
        for one in entry.judgements
        if one.peer == peer
    ]
    batches = Counter(tuple(one.seqs) for _, one in scored)
    assert batches
    updates = published(swarm, 1)
    for seqs, count in batches.items():
        assert count <= 3
        at = updates.index(seqs[0])
        assert at % 16 == 0
        assert list(seqs) == updates[at : at + 16]
    for log, one in scored:
        assert log in receivers(peer, one.seqs[-1], [p.self_id for p in swarm.peers])
        assert one.decision in ("scored", "condemned")  # (one alone may find harm where there is none)
        (measured,) = one.measured
        assert measured.on == "holdout"
        assert measured.given.examples == 400


# ------------------------------------------------------------------ what entries say


def test_updates_that_the_policy_leaves_out_are_refused_by_three_once() -> None:
    swarm, _ = lived(policy="policy = 1\n[data.public]\nmin = 1\n[data.records]\nmin = 100\n", public=(0, 1, 2, 3))
    said = judgements(swarm)
    assert {one.decision for _, one in said} == {"refused"}
    judges = [judge for judge, _ in said]
    assert len(judges) == len(set(judges))  # each once, however many updates it leaves out
    assert 3 <= len(judges) <= 4
    for _, one in said:
        assert [(r.rule, r.value, r.limit) for r in one.readings] == [
            ("data.public.min", 0, 1), ("data.records.min", 64, 100),
        ]  # fmt: skip
    assert counting(swarm, BAD) == []
    told = [f["text"] for _, index, kind, f in swarm.notes if (index, kind) == (BAD, "verdict") and f["own"]]
    assert told[-1].startswith(f"{len(judges)} peers refuse your update")


# ------------------------------------------------------------------ those who judge


def says(peer: SimPeer, about: SimPeer, seq: int, rule: str) -> None:
    """A member condemns what it has made up."""
    machine, book = peer.machine, peer.book
    assert machine is not None
    assert book is not None
    author = machine._author
    fields = author.draft()
    judgement = Judgement(
        peer=about.self_id, seqs=[seq], hash=book.replica.tree(about.self_id).leaf(seq).hex(), decision="condemned",
        readings=[Reading(rule=rule, value=999, limit=0)], measured=[],
    )  # fmt: skip
    author.write(fields, Verdict(**chain(fields), basis=PIN, judgements=[judgement]), machine._now)
    peer.deliver(Timer("nothing"))


@pytest.mark.parametrize("rule", ["opened.wrong_labels_permille.max", "crossed.copied.max", "made.up.max"])
def test_whoever_makes_a_condemnation_up_stays_alone_with_it(rule: str) -> None:
    scenario = Scenario(
        peers=5, seconds=11.0, round_s=1.0, seed=3, policy=POLICY, config=QUICK, witnesses=0, public=(1,),
        faults={BAD: "copies"},
    )  # fmt: skip
    swarm = SimSwarm(scenario)
    accuser = swarm.peers[2]
    accused: list[int] = []

    def accuse() -> None:
        """Of its data; or of an original of which there are copies by now."""
        replica = replica_of(swarm, 2)
        bad = replica.branches.get(swarm.peers[BAD].self_id)
        copies = {bad.delta(number) for number in range(bad.folded[-1])}
        for index in (0, 1, 3):
            log = replica.branches.get(swarm.peers[index].self_id)
            seqs = [log.folded_at[number] for number in range(log.folded[-1]) if log.delta(number) in copies]
            if index == 1 if rule.startswith("opened") else seqs:
                accused.append(index)
                says(accuser, swarm.peers[index], 1 if rule.startswith("opened") else seqs[0], rule)
                return

    swarm.clock.after(7.0, accuse)
    report = swarm.run()
    assert report.models_equal
    (victim,) = accused
    assert {judge for judge, _ in judgements(swarm, victim)} == {accuser.self_id}
    assert counting(swarm, victim) == published(swarm, victim)


def test_after_a_restart_nothing_is_asked_or_said_twice() -> None:
    """Every judge dies once, at a moment of its own, and reads in the ledger what it has done."""
    crashes = tuple(Crash(index, 3.0 + 2.3 * index, 1.5) for index in range(4))
    swarm, _ = lived(public=tuple(range(5)), flipped={BAD: 0.5}, crashes=crashes, seconds=18.0)
    asked = Counter((log, entry.peer, entry.data) for log, _, entry in entries(swarm) if isinstance(entry, Challenge))
    assert set(asked.values()) == {1}
    said = Counter((judge, one.decision, tuple(one.seqs)) for judge, one in judgements(swarm))
    assert said
    assert set(said.values()) == {1}
    answers = Counter((entry.peer, entry.challenge) for _, _, entry in entries(swarm) if isinstance(entry, Opening))
    assert set(answers.values()) == {1}


# ------------------------------------------------------------------ what it costs


def written(swarm: SimSwarm) -> tuple[int, int]:
    """Bytes of verdicts, challenges and openings in the ledger; updates."""
    replica = replica_of(swarm)
    ours = (Verdict, Challenge, Opening)
    size = sum(len(replica.data(log, seq)) for log, seq, entry in entries(swarm) if isinstance(entry, ours))
    return size, sum(isinstance(entry, Update) for _, _, entry in entries(swarm))


def test_inspection_neither_delays_training_nor_grows_with_the_square_of_the_swarm() -> None:
    everything = POLICY + "[holdout.harm_permille]\nmax = 900\n[crossed.cosine_permille]\nmax = 1000\n"
    each = {}
    for peers in (4, 8):
        facts = {"peers": peers, "seconds": 9.0, "round_s": 1.0, "public": tuple(range(peers))}
        swarm, report = lived(**facts, policy=everything)
        idle = lived(**facts, policy="policy = 1\n")[1]
        # (a round lasts 0.9 to 1.1 s, and luck falls otherwise with more messages)
        assert sum(report.updates.values()) >= 0.95 * sum(idle.updates.values())
        size, _ = written(swarm)
        each[peers] = size / peers
    assert each[8] < 1.6 * each[4]  # three receivers either way


@pytest.mark.parametrize("seed", [1, 2])
def test_all_agree_in_rough_weather_whatever_is_found(seed: int) -> None:
    swarm, _ = lived(
        peers=6, seed=seed, loss=0.05, churn=0.3, seconds=12.0, public=tuple(range(6)), flipped={BAD: 0.5},
        faults={5: "copies"}, settle_s=120.0,
    )  # fmt: skip
    assert counting(swarm, BAD) == []
    for index in range(4):
        assert counting(swarm, index) == published(swarm, index)


@FLIPPED
def test_data_are_committed_to_as_they_are() -> None:
    """The simulator's data entries hold what its trainer learns from: a check of the stories above."""
    swarm, _ = flipped()
    for index, peer in enumerate(swarm.peers):
        (data,) = [entry for log, _, entry in entries(swarm) if log == peer.self_id and isinstance(entry, Data)]
        assert data.root == swarm.peers[index]._commitment.root  # type: ignore[union-attr]
        assert (data.records, data.zone, bool(data.sketch)) == (64, "public", True)
