"""Who may ask and who is served: the ledger's rule and the gate's agree, and no third party's word opens anything."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from gossip.egress import Receiver, Records, Released, Withheld, ZoneSetting, release
from gossip.events import Append, OpenRecords, Received, RecordsOpened, Timer
from gossip.peer.author import chain
from gossip.peer.serving import Serving
from gossip.wire.codec import encode
from ledger.canonical import encode_entry
from ledger.entry import Accuse, Challenge, Data, Opening, Update, Verdict
from ledger.opening import make_sketch, public_salt
from ledger.provenance import commit_records
from ledger.replica import InvalidEntry
from tests.egress.stage import AUDITOR, FOUNDER, OBSERVER, TRAINER, VICTIM, Stage, opened_stage
from tests.peer.bench import only

AUDITORS = ZoneSetting("public", ("auditor",))


@pytest.mark.parametrize("opens", [(), ("admin", "relay"), ("auditor", "peer")])
def test_the_ledger_admits_the_challenges_that_the_gate_would_let_be_answered(opens: tuple[str, ...]) -> None:
    """A challenge that is admitted and never answered would look like a fault of its author's."""
    ids = {"peer": opened_stage(AUDITORS).swarm.peers[OBSERVER].self_id}  # the same in all these swarms
    setting = ZoneSetting("public", tuple(sorted(ids.get(word, word) for word in opens)))
    stage = Stage(setting)
    said = []
    for peer in stage.swarm.peers:
        if peer is stage.victim:
            continue
        assert peer.book is not None
        role = stage.replica.role_of(peer.self_id)
        leave = release(setting, Records, of=stage.secrets.commitment.root, to=Receiver(peer.self_id, role))
        try:
            peer.book.replica.check(peer.self_id, encode_entry(stage.challenge(peer)))
            admitted = True
        except InvalidEntry:
            admitted = False
        assert admitted is isinstance(leave, Released), f"{role}, {setting.opens}"
        said.append(admitted)
    assert any(said)
    assert all(said) is not bool(opens)


def test_a_private_peer_is_challenged_by_everybody_and_nothing_leaves() -> None:
    stage = Stage(ZoneSetting())
    for peer in stage.swarm.peers:
        if peer is not stage.victim:
            stage.feed(Received(stage.link(peer.public), encode(stage.entries(peer, stage.challenge(peer)))))
    asked = [told.effect for told in stage.told if isinstance(told.effect, OpenRecords)]
    assert [effect for effect in asked if effect.root == stage.secrets.commitment.root] == []
    assert stage.secrets.found_in(stage.heard()) == []


# ------------------------------------------------------------------ what others hold, and what others say


def shown(stage: Stage, holder: int) -> dict[int, bool]:
    """Whom the machine of `holder`, which has the opening, would serve it to."""
    machine = stage.swarm.peers[holder].machine
    assert machine is not None
    digest = sha256(stage.opening).hexdigest()
    return {
        number: isinstance(machine._serving.leave(digest, stage.opening, peer.self_id), Released)
        for number, peer in enumerate(stage.swarm.peers)
    }


@pytest.mark.parametrize("holder", [VICTIM, AUDITOR, TRAINER])
def test_whoever_holds_opened_records_serves_them_by_the_rule_that_binds_their_author(holder: int) -> None:
    assert shown(opened_stage(AUDITORS), holder) == {number: number == AUDITOR for number in range(6)}


def test_records_whose_challenge_is_not_here_are_served_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = opened_stage(AUDITORS)
    machine = stage.swarm.peers[FOUNDER].machine
    assert machine is not None
    monkeypatch.setattr(machine._serving, "_openings", {})  # a store that lost the entries and kept the blob
    assert not any(shown(stage, FOUNDER).values())


@pytest.fixture(scope="module")
def stolen() -> Stage:
    """The trainer, who is not to have the records, publishes data for all, is asked for them by the auditor, and
    answers with the name of the victim's opening."""
    stage = Stage(AUDITORS, opened=True)
    thief, auditor = stage.swarm.peers[TRAINER], stage.swarm.peers[AUDITOR]
    after = stage.swarm.clock.after
    assert thief.book is not None

    def publish() -> None:
        leaves = bytearray()
        salt = public_salt(stage.swarm.swarm_id)
        made = commit_records([(b"own %d" % number, b"ad") for number in range(77)], salt, keep=leaves.extend)
        sketch = make_sketch(leaves)
        rest = {"records": made.records, "labels": {}, "duplicates": 0, "features": "toy/1", "sources": []}
        rest |= {"sketch": sha256(sketch).hexdigest(), "sketch_bytes": len(sketch), "root": made.root}
        assert thief.machine is not None
        fields = chain(thief.machine._author.draft())
        stage.write(thief, Data(**fields, **rest, zone="public"), sketch)

    def ask() -> None:
        assert thief.book is not None
        replica = thief.book.replica
        seq = max(s for s in range(replica.size(thief.self_id)) if isinstance(replica.entry(thief.self_id, s), Data))
        stage.write(auditor, stage.challenge(auditor, of=(thief.self_id, seq, replica.data(thief.self_id, seq))))

    def answer() -> None:
        assert auditor.book is not None
        seq = auditor.book.replica.size(auditor.self_id) - 1
        stage.write(thief, stage.opening_of(thief, auditor.self_id, seq, stage.opening))

    after(0.1, publish)
    after(2.0, ask)
    after(4.0, answer)
    end = stage.swarm.clock.now + 50.0  # the machine says what it finds every thirty seconds
    while stage.swarm.clock.step(end):
        pass
    return stage


def test_naming_somebody_elses_opening_opens_it_to_nobody_and_keeps_its_author_from_nothing(stolen: Stage) -> None:
    digest = sha256(stolen.opening).hexdigest()
    for number in (VICTIM, AUDITOR):
        machine = stolen.swarm.peers[number].machine
        assert machine is not None
        assert len(machine._serving._openings[digest]) == 2  # both entries arrived
        for_thief = machine._serving.leave(digest, stolen.opening, stolen.swarm.peers[TRAINER].self_id)
        assert isinstance(for_thief, Withheld)
    assert shown(stolen, VICTIM)[AUDITOR]


def test_whichever_entry_came_first_the_stricter_one_counts(stolen: Stage) -> None:
    digest = sha256(stolen.opening).hexdigest()
    auditor, thief = stolen.swarm.peers[AUDITOR], stolen.swarm.peers[TRAINER]
    assert auditor.machine is not None
    named = auditor.machine._serving._openings[digest]
    for order in (named, named[::-1]):
        serving = Serving(auditor.self_id, stolen.replica)
        for log, opening in order:
            serving.learn(log, opening)
        assert isinstance(serving.leave(digest, stolen.opening, thief.self_id), Withheld)
        assert isinstance(serving.leave(digest, stolen.opening, auditor.self_id), Released)


def test_a_theft_is_condemned_and_never_accused_for_the_proof_would_be_the_records(stolen: Stage) -> None:
    """What the thief named is no opening of its own data. An accusation would hand it to everybody."""
    digest, auditor = sha256(stolen.opening).hexdigest(), stolen.swarm.peers[AUDITOR]
    assert auditor.machine is not None
    assert not auditor.machine._serving.is_for_all(digest, stolen.opening)
    written = [stolen.replica.entry(auditor.self_id, seq) for seq in range(stolen.replica.size(auditor.self_id))]
    assert [entry for entry in written if isinstance(entry, Accuse)] == []
    said = [judgement for entry in written if isinstance(entry, Verdict) for judgement in entry.judgements]
    thief = stolen.swarm.peers[TRAINER].self_id
    assert ("condemned", "opened.invalid") in [(j.decision, j.readings[0].rule) for j in said if j.peer == thief]


def served(
    stage: Stage, holder: int, blob: bytes, *named: tuple[str, Opening], proof: Accuse | None = None
) -> list[int]:
    """Whom a holder that knows of these entries would serve a blob to."""
    serving, own = Serving(stage.swarm.peers[holder].self_id, stage.replica), stage.swarm.peers[holder].self_id
    serving.learn(stage.victim.self_id, stage.data_entry()[2])
    digest = sha256(blob).hexdigest()
    for log, opening in named:
        serving.learn(log, msgspec.structs.replace(opening, opened=digest))
        serving.leave(digest, blob, None)  # what was found out so far must not stick
    if proof is not None:
        serving.learn(own, msgspec.structs.replace(proof, evidence=digest))
    given = [serving.leave(digest, blob, peer.self_id) for peer in stage.swarm.peers]
    return [number for number, leave in enumerate(given) if isinstance(leave, Released)]


def test_an_entry_that_answers_nothing_keeps_nobody_from_serving_what_all_may_have() -> None:
    stage = opened_stage(ZoneSetting("public"))
    (true,) = named_by(stage, stage.victim.self_id)[:1]
    nothing = (stage.swarm.peers[TRAINER].self_id, msgspec.structs.replace(true[1], peer=stage.victim.self_id))
    for holder in (VICTIM, FOUNDER):
        for order in ((true, nothing), (nothing, true)):
            assert served(stage, holder, stage.opening, *order) == list(range(6))


def named_by(stage: Stage, log: str) -> list[tuple[str, Opening]]:
    entries = [stage.replica.entry(log, seq) for seq in range(stage.replica.size(log))]
    return [(log, entry) for entry in entries if isinstance(entry, Opening)]


def test_a_false_opening_goes_to_whom_any_entry_allows_and_a_friend_cannot_hide_it(stolen: Stage) -> None:
    """The thief of `stolen` now lies about data for all, and has the victim name the lie in data for few."""
    lie = stolen.opening[:-1] + bytes([stolen.opening[-1] ^ 1])
    (few,), (for_all,) = (named_by(stolen, stolen.swarm.peers[number].self_id) for number in (VICTIM, TRAINER))
    assert served(stolen, FOUNDER, lie, few) == [AUDITOR]
    assert served(stolen, FOUNDER, lie, few, for_all) == list(range(6))
    assert served(stolen, FOUNDER, lie) == []


def test_what_a_peer_put_on_record_as_a_proof_it_gives_to_everybody(stolen: Stage) -> None:
    """Else its own log would stop: nobody takes an accusation in without its evidence."""
    (few,) = named_by(stolen, stolen.victim.self_id)
    assert stolen.victim.machine is not None
    fields = chain(stolen.victim.machine._author.draft())
    proof = Accuse(**fields, peer=few[0], charge="opening", index=1, evidence="", bytes=1)
    assert served(stolen, FOUNDER, stolen.opening, few) == [AUDITOR]
    assert served(stolen, FOUNDER, stolen.opening, few, proof=proof) == list(range(6))


def serving_of(stage: Stage, blob: bytes, *named: tuple[str, Opening]) -> tuple[Serving, str]:
    """What the founder would serve that knows of these entries, and the name of the blob."""
    serving, digest = Serving(stage.swarm.peers[FOUNDER].self_id, stage.replica), sha256(blob).hexdigest()
    for log, opening in named:
        serving.learn(log, msgspec.structs.replace(opening, opened=digest))
    return serving, digest


def test_a_proof_is_for_all_if_any_entry_is_and_true_records_only_if_every_entry_is(stolen: Stage) -> None:
    lie = stolen.opening[:-1] + bytes([stolen.opening[-1] ^ 1])
    (few,), (for_all,) = (named_by(stolen, stolen.swarm.peers[number].self_id) for number in (VICTIM, TRAINER))
    for blob, named, is_for_all in (
        (lie, (few,), False), (lie, (for_all,), True), (lie, (few, for_all), True), (lie, (), False),
        (stolen.opening, (few,), False), (stolen.opening, (few, for_all), False),
    ):  # fmt: skip
        serving, digest = serving_of(stolen, blob, *named)
        assert serving.is_for_all(digest, blob) is is_for_all


def test_own_records_that_are_private_by_now_are_for_nobody_whatever_was_said_before() -> None:
    stage = Stage(ZoneSetting("public"), opened=True, private_again=True)
    digest = sha256(stage.opening).hexdigest()
    for number, is_for_all in ((VICTIM, False), (FOUNDER, True)):
        machine = stage.swarm.peers[number].machine
        assert machine is not None
        assert machine._serving.is_for_all(digest, stage.opening) is is_for_all


def test_an_entry_that_states_another_length_is_as_false_to_the_server_as_to_the_ledger(stolen: Stage) -> None:
    """Else its author hides the proof of one lie behind another: such an opening can be accused, and so it is shown."""
    (few,), (for_all,) = (named_by(stolen, stolen.swarm.peers[number].self_id) for number in (VICTIM, TRAINER))
    short = few[0], msgspec.structs.replace(few[1], opened_bytes=few[1].opened_bytes - 1)
    for named, is_for_all in (((few, for_all), False), ((short, for_all), True)):
        serving, digest = serving_of(stolen, stolen.opening, *named)
        assert serving.is_for_all(digest, stolen.opening) is is_for_all


# ------------------------------------------------------------------ the machine asks the gate, too


@pytest.fixture(scope="module")
def asked() -> tuple[Stage, Challenge]:
    """A machine that was told of a challenge by the trainer, which no ledger would admit."""
    stage = Stage(AUDITORS)
    challenge = stage.challenge(stage.swarm.peers[TRAINER])
    assert stage.victim.machine is not None
    stage.victim.machine._inspection._answering.learn(stage.swarm.peers[TRAINER].self_id, 99, challenge)
    return stage, challenge


def test_the_machine_asks_for_no_records_that_the_gate_would_withhold(asked: tuple[Stage, Challenge]) -> None:
    stage, _ = asked
    assert only(stage.feed(Timer("nothing")), OpenRecords) == []


def test_what_a_shell_opened_by_mistake_is_not_written_down(asked: tuple[Stage, Challenge]) -> None:
    stage, challenge = asked
    thief = stage.swarm.peers[TRAINER].self_id
    assert stage.victim.machine is not None
    answering = stage.victim.machine._inspection._answering
    answering._waiting[thief, 99], answering._opening = challenge, ((thief, 99), 1e12)
    assert only(stage.feed(RecordsOpened(thief, 99, b"gossip-opening/1\nrecords")), Append) == []


def test_calling_a_delta_records_for_some_keeps_nobody_from_passing_it_on() -> None:
    stage = opened_stage(AUDITORS)
    replica, log = stage.replica, stage.victim.self_id
    deltas = [e.delta for seq in range(replica.size(log)) if isinstance(e := replica.entry(log, seq), Update)]
    (opening,) = [e for seq in range(replica.size(log)) if isinstance(e := replica.entry(log, seq), Opening)]
    for peer in stage.swarm.peers:
        assert peer.machine is not None
        serving = peer.machine._serving
        serving.learn(log, msgspec.structs.replace(opening, opened=deltas[0]))
        blob = peer.memory.blob(deltas[0])
        assert blob is not None
        assert isinstance(serving.leave(deltas[0], blob, stage.swarm.peers[TRAINER].self_id), Released)
        del serving._openings[deltas[0]]
