"""Who is blamed for showing nothing, and who is not: whoever learns from data must show them, nobody else."""

from __future__ import annotations

from hashlib import sha256

from msgspec.structs import replace

from gossip.events import Timer
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.author import chain
from gossip.sim import Crash, Cut, Scenario, SimSwarm, ToyTrainer, Twin
from gossip.sim.station import SimPeer
from gossip.sim.toy import Record
from ledger.audit import Anchors, audit
from ledger.canonical import entry_hash
from ledger.entry import Accuse, Challenge, Data, Opening, Update
from ledger.opening import challenge_text, make_sketch, public_salt
from ledger.provenance import commit_records
from ledger.sketch import count_of, span_root
from tests.sim.bundles import contents_of
from tests.sim.test_inspection import (
    BAD,
    POLICY,
    QUICK,
    counting,
    entries,
    judgements,
    published,
    says,
)

OWNER = 1  # the honest one, whose data are public
SILENCE = "policy = 1\n[opened.malformed]\nmax = 0\n[opened.unanswered]\nmax = 0\n"


def swarm_of(trainer: ToyTrainer | None = None, **scenario: object) -> SimSwarm:
    facts = {"peers": 6, "seconds": 26.0, "round_s": 1.0, "seed": 3, "policy": SILENCE, "config": QUICK, "witnesses": 0}
    return SimSwarm(Scenario(**{**facts, "public": (OWNER,), **scenario}), trainer)  # type: ignore[arg-type]


def ask(swarm: SimSwarm, peer: SimPeer, count: int) -> None:
    """A member asks for records of the owner's first data set, whether or not it has before."""
    machine, book = peer.machine, peer.book
    assert machine is not None
    assert book is not None
    author, target = machine._author, swarm.peers[OWNER].self_id
    digest = entry_hash(book.replica.data(target, 1))
    signature = author.sign(challenge_text(swarm.swarm_id, author.own, digest, count)).hex()
    fields = author.draft()
    body = Challenge(**chain(fields), peer=target, data=1, hash=digest, count=count, signature=signature)
    author.write(fields, body, machine._now)
    peer.deliver(Timer("nothing"))


def judges(swarm: SimSwarm, about: int = OWNER) -> set[int]:
    index = {peer.self_id: peer.index for peer in swarm.peers}
    return {index[log] for log, one in judgements(swarm, about) if one.decision == "condemned"}


def asked(swarm: SimSwarm, about: int) -> set[int]:
    """Data entries of one peer that somebody asked about."""
    peer = swarm.peers[about].self_id
    return {entry.data for _, _, entry in entries(swarm) if isinstance(entry, Challenge) and entry.peer == peer}


def test_whoever_asks_twice_and_complains_stays_alone() -> None:
    """The second request has no answer, and that is right. The others have one each, or ask."""
    swarm = swarm_of()
    liar, owner = swarm.peers[2], swarm.peers[OWNER]
    swarm.clock.after(4.0, lambda: ask(swarm, liar, 59))
    swarm.clock.after(6.0, lambda: ask(swarm, liar, 58))
    swarm.clock.after(8.0, lambda: says(liar, owner, 1, "opened.unanswered.max"))
    report = swarm.run()
    assert report.models_equal
    requests = [log for log, _, entry in entries(swarm) if isinstance(entry, Challenge)]
    assert requests.count(liar.self_id) >= 2
    answered = [entry.peer for _, _, entry in entries(swarm) if isinstance(entry, Opening)]
    assert sorted(answered) == sorted(set(requests)) == sorted(p.self_id for p in swarm.peers if p is not owner)
    assert judges(swarm) == {liar.index}
    assert counting(swarm, OWNER) == published(swarm, OWNER)


class Changing(ToyTrainer):
    """The owner's files change."""

    changed = False

    def records(self, peer: int) -> list[Record]:
        found = list(super().records(peer))
        return found[:50] if peer == OWNER and self.changed else found


def changing(**scenario: object) -> SimSwarm:
    """The owner is away for two seconds, and comes back with other files."""
    trainer = Changing(9, 3)
    swarm = swarm_of(trainer, peers=9, crashes=(Crash(OWNER, 10.0, 2.0),), **scenario)
    swarm.clock.after(10.5, lambda: setattr(trainer, "changed", True))
    return swarm


def test_nobody_has_to_show_what_it_does_not_learn_from_any_more() -> None:
    """Members that join later receive the old data set, too; and one that does not like the owner asks at once."""
    swarm = changing(seconds=34.0, late=dict.fromkeys(range(3, 9), 16.0))
    swarm.clock.after(15.0, lambda: ask(swarm, swarm.peers[2], 58))
    swarm.clock.after(18.0, lambda: says(swarm.peers[2], swarm.peers[OWNER], 1, "opened.unanswered.max"))
    report = swarm.run()
    assert report.models_equal
    owner = swarm.peers[OWNER].self_id
    cited = {entry.data for log, _, entry in entries(swarm) if log == owner and isinstance(entry, Update)}
    assert asked(swarm, OWNER) == cited
    assert len(cited) == 2
    assert judges(swarm) == {2}
    assert counting(swarm, OWNER) == published(swarm, OWNER)


class Hiding:
    """The bad peer announces good data sets after its bad one, as many as it likes, and goes on citing the bad one."""

    def __init__(self, swarm: SimSwarm, spare: int) -> None:
        self.swarm, self.spare, self.peer = swarm, spare, swarm.peers[BAD]
        self.holds = False  # what it writes, until all of it is written

    def announce(self) -> None:
        machine = self.peer.machine
        if machine is not None and not self.holds:
            self.holds, plain = True, machine._author._sign
            author = machine._author
            author._sign = lambda now: None if 1 < author.stored < 2 + self.spare else plain(now)  # type: ignore[method-assign]
        if machine is None or machine._rounds._data_seq is None:  # it has not announced the bad one yet
            self.swarm.clock.after(0.001, self.announce)
            return
        author, records = machine._author, list(self.swarm.trainer.records(0))  # type: ignore[attr-defined]
        bad = self.peer._commitment
        assert bad is not None
        for number in range(self.spare):
            leaves = bytearray()
            made = commit_records(records[number + 1 :], public_salt(self.swarm.swarm_id), keep=leaves.extend)
            sketch = make_sketch(leaves)
            good = replace(
                bad, root=made.root, records=made.records, duplicates=made.duplicates, conflicts=made.conflicts,
                labels={}, sketch=sha256(sketch).hexdigest(), sketch_bytes=len(sketch),
            )  # fmt: skip
            fields = author.draft()
            author.write(fields, fields.stamp(good, int(machine._now)), machine._now, sketch)
        self.peer.deliver(Timer("nothing"))


def test_bad_data_are_asked_for_as_long_as_updates_cite_them_whatever_is_announced_since() -> None:
    """And what nobody learns from is not asked for, then or half a minute later."""
    swarm = swarm_of(peers=5, seconds=33.0, round_s=2.0, policy=POLICY, public=tuple(range(5)), flipped={BAD: 0.5})
    swarm.clock.after(0.0, Hiding(swarm, 12).announce)
    report = swarm.run()
    assert report.models_equal
    bad = swarm.peers[BAD].self_id
    sets = [seq for log, seq, entry in entries(swarm) if log == bad and isinstance(entry, Data)]
    assert len(sets) == 13
    assert asked(swarm, BAD) == {sets[0]}
    assert counting(swarm, BAD) == []
    assert published(swarm, BAD)
    for index in range(4):
        assert counting(swarm, index) == published(swarm, index)


def test_an_answer_to_one_of_two_histories_is_no_lie_to_the_other() -> None:
    """A member asks with two histories, each its own request at one index. The owner answers what it has seen, and who
    has seen the other first looks at the answer by what the owner had seen."""
    swarm = swarm_of(
        peers=7, seconds=36.0, observers=(3,), twins=(Twin(3, 6.0),), cuts=(Cut(6.0, 24.0, (7, 2, 4, 5, 6)),),
        settle_s=60.0,
    )  # fmt: skip

    def both() -> None:
        ask(swarm, swarm.peers[3], 59)
        ask(swarm, swarm.twins[0], 58)

    swarm.clock.after(20.0, both)
    swarm.clock.after(28.0, lambda: says(swarm.peers[4], swarm.peers[OWNER], 1, "opened.malformed.max"))
    assert swarm.run().models_equal
    accused = [(entry.peer, entry.charge) for _, _, entry in entries(swarm) if isinstance(entry, Accuse)]
    assert accused
    assert set(accused) == {(swarm.peers[3].self_id, "fork")}
    book = swarm.peers[4].book
    assert book is not None
    assert len(book.replica.strands(swarm.peers[3].self_id)) == 2
    assert judges(swarm) == {4}
    assert counting(swarm, OWNER) == published(swarm, OWNER)


# ------------------------------------------------------------------ beside others


class Growing(ToyTrainer):
    """The owner's data grow."""

    grown = False

    def records(self, peer: int) -> list[Record]:
        found = list(super().records(peer))
        return found if peer != OWNER or self.grown else found[:60]


def test_leaves_that_are_taken_from_a_sketch_make_no_copier_of_their_owner() -> None:
    """Somebody announces them as data of its own; then the owner announces its data anew, a few records larger. Who
    came later is told by what the log shows."""
    trainer = Growing(6, 3)
    policy = "policy = 1\n[crossed.overlap_permille]\nmax = 500\n"
    swarm = swarm_of(trainer, seconds=24.0, policy=policy, crashes=(Crash(OWNER, 11.0, 2.0),))
    thief, owner = swarm.peers[2], swarm.peers[OWNER]

    def steal() -> None:
        machine, book = thief.machine, thief.book
        assert machine is not None
        assert book is not None
        theirs = book.replica.entry(owner.self_id, 1)
        assert isinstance(theirs, Data)
        sketch = thief.memory.blob(theirs.sketch)
        assert sketch is not None
        leaves = bytearray(sketch[-64 * theirs.records :])
        copied = make_sketch(leaves)
        own = replace(
            theirs, root=span_root(leaves, 0, count_of(leaves)).hex(), records=count_of(leaves),
            sketch=sha256(copied).hexdigest(), sketch_bytes=len(copied),
        )  # fmt: skip
        fields = machine._author.draft()
        machine._author.write(fields, fields.stamp(own, int(machine._now)), machine._now, copied)
        thief.deliver(Timer("nothing"))

    swarm.clock.after(8.0, steal)
    swarm.clock.after(11.5, lambda: setattr(trainer, "grown", True))
    assert swarm.run().models_equal
    sets = [entry.records for log, _, entry in entries(swarm) if log == owner.self_id and isinstance(entry, Data)]
    assert sets == [60, 64]
    assert judges(swarm) == set()
    assert len(judges(swarm, thief.index)) >= 4
    contents = contents_of(swarm)  # and an auditor finds the same
    checks = audit(contents, NumpyArithmetic(), Anchors(swarm=contents.swarm)).checks
    assert checks.judgements == checks.true >= 4
    assert counting(swarm, OWNER) == published(swarm, OWNER)


def test_data_that_are_opened_to_nobody_are_not_public() -> None:
    """Nobody could ask for a record of them, and no sketch shows whose they are."""
    policy = POLICY + "[data.public]\nmin = 1\n"
    swarm = swarm_of(
        peers=5, seconds=8.0, policy=policy, public=tuple(range(5)), flipped={BAD: 0.5}, opens={BAD: ("00" * 32,)}
    )
    assert swarm.run().models_equal
    assert published(swarm, BAD)
    assert counting(swarm, BAD) == []
    assert {one.decision for _, one in judgements(swarm)} == {"refused"}
    for index in range(4):
        assert counting(swarm, index) == published(swarm, index)
