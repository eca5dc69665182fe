"""The parts of inspection by themselves: who looks, how alike deltas are, how much is said, and in which words."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from hashlib import sha256
from itertools import pairwise
from math import isqrt, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.events import Timer
from gossip.merging.arithmetic import ArrayDelta, NumpyArithmetic
from gossip.peer.author import chain
from gossip.peer.inspection.docket import (
    GATHER_S,
    MAX_ABOUT,
    MAX_ABOUT_IN_ONE,
    MAX_IN_ONE,
    MAX_SEQS,
    MAX_WAITING,
    Docket,
)
from gossip.peer.inspection.holdout import harm_permille
from gossip.peer.inspection.likeness import cosine_permille, spread
from gossip.peer.inspection.office import Finding
from gossip.peer.inspection.receivers import RECEIVERS, receivers
from gossip.peer.status import refusals_of
from gossip.sim import Scenario, SimSwarm
from ledger.canonical import encode_entry, entry_hash
from ledger.delta import BLOCK, blocks
from ledger.entry import (
    MAX_ENTRY_BYTES,
    Challenge,
    Judgement,
    Measured,
    Opening,
    Reading,
    Scores,
    Verdict,
)
from ledger.opening import challenge_text

PEERS = [sha256(b"peer %d" % number).hexdigest() for number in range(20)]
BASIS = "ab" * 32


# ------------------------------------------------------------------ who looks


def test_three_look_at_an_entry_and_its_author_is_none_of_them() -> None:
    seen: Counter[str] = Counter()
    for seq in range(400):
        chosen = receivers(PEERS[0], seq, PEERS)
        assert len(set(chosen)) == RECEIVERS
        assert PEERS[0] not in chosen
        assert chosen == receivers(PEERS[0], seq, reversed(PEERS))
        seen.update(chosen)
    assert set(seen) == set(PEERS[1:])
    assert max(seen.values()) < 2 * min(seen.values())  # 63 on average


def test_a_small_swarm_has_fewer_receivers_and_one_alone_has_none() -> None:
    assert receivers(PEERS[0], 5, PEERS[:3]) in [tuple(PEERS[1:3]), tuple(PEERS[2:0:-1])]
    assert receivers(PEERS[0], 5, PEERS[:1]) == ()


def test_of_a_house_one_looks_at_most_and_of_the_authors_own_nobody() -> None:
    guests = [sha256(b"guest %d" % number).hexdigest() for number in range(50)]
    everybody, houses = [*PEERS[:16], *guests], dict.fromkeys(guests, PEERS[3])
    slots: Counter[str] = Counter()
    for seq in range(200):
        chosen = receivers(PEERS[0], seq, everybody, houses)
        assert len(set(chosen)) == RECEIVERS
        assert len(set(chosen) & set(guests)) <= 1
        slots.update("guest" if peer in houses else "member" for peer in receivers(PEERS[0], seq, everybody))
        assert len(set(chosen) & {*guests, PEERS[3]}) <= 1  # nor with who let them in
        assert not set(receivers(guests[0], seq, everybody, houses)) & {*guests, PEERS[3]}
        assert not set(receivers(PEERS[3], seq, everybody, houses)) & set(guests)
    assert slots["guest"] > 2 * slots["member"]  # were they members, nobody else would look
    assert receivers(PEERS[0], 5, guests, houses) == receivers(PEERS[0], 5, guests)[:1]


# ------------------------------------------------------------------ how alike


def plain(delta: ArrayDelta) -> dict[int, int]:
    places = range(delta.parameters) if delta.indices is None else delta.indices.tolist()
    values = [int(q) << (int(delta.exponents[at // BLOCK]) + 24) for at, q in enumerate(delta.values)]
    return dict(zip(places, values, strict=True))


@st.composite
def deltas(draw: st.DrawFn, parameters: int = 700) -> ArrayDelta:
    seed = draw(st.integers(0, 2**32 - 1))
    luck = np.random.default_rng(seed)
    kept = draw(st.sampled_from([1, 3, 257, parameters]))
    indices = None if kept == parameters else np.sort(luck.choice(parameters, kept, replace=False)).astype(np.int64)
    most = draw(st.sampled_from([1, 127]))
    values = luck.integers(-most, most + 1, kept).astype(np.int8)
    exponents = luck.integers(-24, -3, blocks(kept)).astype(np.int8)
    return ArrayDelta(parameters, indices, exponents, values)


@settings(max_examples=60, deadline=None)
@given(deltas(), deltas())
def test_the_cosine_is_that_of_plain_integers(one: ArrayDelta, other: ArrayDelta) -> None:
    a, b = plain(one), plain(other)
    dot = sum(value * b.get(index, 0) for index, value in a.items())
    squares = sum(v * v for v in a.values()) * sum(v * v for v in b.values())
    expected = isqrt(int(Fraction(10**6 * dot * dot, squares))) if dot > 0 else 0
    assert cosine_permille(spread(one), spread(other)) == cosine_permille(spread(other), spread(one)) == expected
    if squares:
        assert expected == pytest.approx(max(0.0, 1000 * dot / sqrt(squares)), abs=1)


def test_values_of_the_largest_size_do_not_wrap() -> None:
    for count in (512, 1 << 14):  # one row, and many
        _check_largest(count)


def _check_largest(count: int) -> None:
    full = ArrayDelta(count, None, np.full(blocks(count), -4, np.int8), np.full(count, 127, np.int8))
    less = ArrayDelta(count, None, np.full(blocks(count), -4, np.int8), np.full(count, -127, np.int8))
    assert cosine_permille(spread(full), spread(full)) == 1000
    assert cosine_permille(spread(full), spread(less)) == 0
    assert NumpyArithmetic().norm(full) == isqrt(count * (127 << 20) ** 2)


# ------------------------------------------------------------------ how much is said


class Bench:
    """A docket of a swarm that has run: what it writes goes nowhere."""

    def __init__(self) -> None:
        self.swarm = SimSwarm(Scenario(peers=4, seconds=6.0, seed=3, policy="policy = 1\n"))
        self.swarm.run()
        peer, book = self.swarm.peers[1], self.swarm.peers[1].book
        assert peer.machine is not None
        assert book is not None
        self.machine, self.book = peer.machine, book
        self.own = peer.self_id
        self.office = self.machine._inspection._office
        self.docket = Docket(self.office)
        self.now = self.swarm.clock.now
        self.bad = self.swarm.peers[2].self_id

    def verdicts(self) -> list[Verdict]:
        replica = self.book.replica
        entries = (replica.entry(self.own, seq) for seq in range(replica.size(self.own)))
        return [entry for entry in entries if isinstance(entry, Verdict)]

    def until(self, seconds: float) -> None:
        """Let time pass, a second at a time, and read what was written as a restart would."""
        known = len(self.verdicts())
        for _ in range(int(seconds)):
            self.now += 1.0
            self.docket.tick(self.now)
            for verdict in self.verdicts()[known:]:
                self.docket.learn(verdict)
            known = len(self.verdicts())


def finding(log: str, seq: int, rule: str, value: int = 1) -> Finding:
    return Finding(log, (seq,), "condemned", (Reading(rule=rule, value=value, limit=0),), basis=BASIS)


def test_a_thousand_bad_updates_are_a_few_judgements_in_one_entry_and_stay_bounded_for_ever() -> None:
    bench = Bench()
    for number in range(1000):
        bench.docket.add(finding(bench.bad, number % 3, f"crossed.rule{number % 9}.max", number), bench.now)
    bench.until(GATHER_S + 1)
    (verdict,) = bench.verdicts()
    assert len(verdict.judgements) == MAX_ABOUT_IN_ONE
    assert max(one.readings[0].value for one in verdict.judgements) > 900  # the worst value of each
    assert len(encode_entry(verdict)) < 2000
    bench.docket.is_last = True  # from now on as fast as can be
    for _ in range(2 * MAX_ABOUT // MAX_ABOUT_IN_ONE):
        for rule in range(MAX_ABOUT_IN_ONE):
            bench.docket.add(finding(bench.bad, 0, f"r{rule}.max"), bench.now)
        bench.until(1)
    said = sum(len(one.judgements) for one in bench.verdicts())
    assert MAX_ABOUT <= said <= MAX_ABOUT + MAX_ABOUT_IN_ONE
    before = len(bench.verdicts())
    again = Docket(bench.office)  # after a restart
    for one in bench.verdicts():
        again.learn(one)
    again.add(finding(bench.bad, 0, "late.max"), bench.now)
    assert len(again) == 0
    other = bench.swarm.peers[3].self_id
    again.add(finding(other, 0, "late.max"), bench.now)  # of others it may still speak
    again.is_last = True
    again.tick(bench.now + 10)
    assert len(bench.verdicts()) == before + 1


def test_who_collects_refusals_wears_nobody_out_for_what_only_judges_can_say() -> None:
    """A refusal is what everybody decides alike, and costs its author nothing. Then it copies."""
    bench = Bench()
    bench.docket.is_last = True
    for number in range(2 * MAX_ABOUT // MAX_ABOUT_IN_ONE):
        for rule in range(MAX_ABOUT_IN_ONE):
            reading = Reading(rule=f"data.fact{number}_{rule}.min", value=0, limit=1)
            bench.docket.add(Finding(bench.bad, (0,), "refused", (reading,), basis=BASIS), bench.now)
        bench.until(1)
    refused = [one for verdict in bench.verdicts() for one in verdict.judgements]
    assert MAX_ABOUT <= len(refused) <= MAX_ABOUT + MAX_ABOUT_IN_ONE
    again = Docket(bench.office)  # and after a restart
    for verdict in bench.verdicts():
        again.learn(verdict)
    for docket in (bench.docket, again):
        docket.is_last = True
        docket.add(finding(bench.bad, 1, "crossed.copied.max"), bench.now)
        docket.tick(bench.now + 10)
        assert [one.decision for one in bench.verdicts()[-1].judgements] == ["condemned"]


def test_refusals_that_wait_stand_in_no_condemnations_way() -> None:
    bench = Bench()
    for number in range(2 * MAX_WAITING):
        reading = Reading(rule=f"data.fact{number}.min", value=0, limit=1)
        bench.docket.add(Finding(bench.bad, (0,), "refused", (reading,), basis=BASIS), bench.now)
    bench.docket.add(finding(bench.bad, 1, "crossed.copied.max"), bench.now)
    bench.until(GATHER_S + 1)
    decisions = [one.decision for one in bench.verdicts()[0].judgements]
    assert decisions == ["condemned", *["refused"] * (MAX_ABOUT_IN_ONE - 1)]


def test_verdicts_keep_their_pace_also_after_a_restart() -> None:
    bench = Bench()
    pace = bench.office.config.verdict_s
    for number in range(int(2.5 * pace)):
        bench.docket.add(finding(bench.bad, 0, f"r{number}.max"), bench.now)
        bench.until(1)
    times = [verdict.time for verdict in bench.verdicts()]
    assert len(times) == 3
    assert all(later - earlier >= pace for earlier, later in pairwise(times))
    again = Docket(bench.office)
    for verdict in bench.verdicts():
        again.learn(verdict)
    again.add(finding(bench.bad, 0, "new.max"), bench.now)
    again.tick(bench.now + 5.0)
    assert len(bench.verdicts()) == 3


def test_no_verdict_is_longer_than_an_entry_may_be() -> None:
    """Every peer of a large swarm breaks every rule there could be, with many entries each: it goes into several."""
    bench = Bench()
    every = tuple(
        Reading(rule=f"data.some_long_name_of_a_fact_{n}.min", value=2**53 - 1, limit=2**53 - 1) for n in range(60)
    )
    others = [bench.swarm.peers[index].self_id for index in (0, 2, 3)]
    for number in range(MAX_WAITING):
        rules = every[: 20 + number % 40]
        bench.docket.add(Finding(others[number % 3], (number % 3,), "condemned", rules, basis=BASIS), bench.now)
    bench.docket.is_last = True
    bench.until(5)
    assert bench.verdicts()
    for verdict in bench.verdicts():
        assert len(encode_entry(verdict)) < MAX_ENTRY_BYTES
        assert len(verdict.judgements) <= MAX_IN_ONE
        assert all(len(one.seqs) <= MAX_SEQS for one in verdict.judgements)


# ------------------------------------------------------------------ how much is shown


def test_a_member_that_asks_again_and_again_does_not_get_the_whole_data_set() -> None:
    """Everybody asks, one asks three times: all are answered, each once."""
    peers = 11
    swarm = SimSwarm(Scenario(peers=peers, seconds=4.5, round_s=5.0, seed=3, public=(2,), policy="policy = 1\n"))

    def ask(index: int) -> None:
        peer, book = swarm.peers[index], swarm.peers[index].book
        assert peer.machine is not None
        assert book is not None
        author, target = peer.machine._author, swarm.peers[2].self_id
        digest = entry_hash(book.replica.data(target, 1))
        signature = author.sign(challenge_text(swarm.swarm_id, author.own, digest, 8)).hex()
        fields = author.draft()
        body = Challenge(**chain(fields), peer=target, data=1, hash=digest, count=8, signature=signature)
        author.write(fields, body, peer.machine._now)
        peer.deliver(Timer("nothing"))

    for index in (0, 1, *range(3, peers)):
        swarm.clock.after(3.0 + 0.01 * index, lambda index=index: ask(index))  # type: ignore[misc]
    for again in (0.5, 1.0):
        swarm.clock.after(3.0 + again, lambda: ask(5))
    report = swarm.run()
    assert report.models_equal
    book = swarm.peers[0].book
    assert book is not None
    author = swarm.peers[2].self_id
    entries = [book.replica.entry(author, seq) for seq in range(book.replica.size(author))]
    answered = Counter(entry.peer for entry in entries if isinstance(entry, Opening))
    others = {peer.self_id for peer in swarm.peers} - {author}
    assert set(answered) == others  # who gets no answer holds it against the author
    assert set(answered.values()) == {1}


# ------------------------------------------------------------------ in which words


def judgement(decision: str, seqs: list[int], *readings: Reading) -> Judgement:
    return Judgement(
        peer=PEERS[0], seqs=seqs, hash=BASIS, decision=decision, readings=list(readings), measured=[]  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_refusal_names_who_what_value_and_limit() -> None:
    few = judgement("refused", [12], Reading(rule="data.records.min", value=64, limit=500))
    assert refusals_of(few, is_own=True, judges=3, name="") == (
        "3 peers refuse your update (entry 12): 64 rows in the data set (allowed: at least 500)"
    )
    copied = judgement("condemned", [3, 5, 9], Reading(rule="crossed.copied.max", value=1, limit=0))
    assert refusals_of(copied, is_own=False, judges=1, name="eve").startswith(
        "condemns eve's 3 updates (entries 3 to 9): "
    )
    false = judgement("condemned", [1], Reading(rule="opened.invalid", value=1, limit=0))
    assert refusals_of(false, is_own=True, judges=1, name="") == (
        "1 peer condemns your data set (entry 1): an opening that is false"
    )


def test_harm_is_what_is_more_wrong_with_than_without() -> None:
    def scores(fp: int, fn: int) -> Scores:
        return Scores(examples=400, tp=50, fp=fp, fn=fn)

    assert harm_permille(Measured(on="holdout", given=scores(12, 8), without=scores(5, 5))) == 25
    assert harm_permille(Measured(on="holdout", given=scores(5, 5), without=scores(12, 8))) == 0
