"""Who comes late uses the model of a final snapshot at once, and finds out whether it was told the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import Effect, Event, KeepModel, Received, Send, Timer
from gossip.limits import Limits
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.arrival import DOUBT_S
from gossip.peer.finals import MARGIN, takes_over
from gossip.peer.offered import Offer
from gossip.peer.shifted import bytes_of, hash_of
from gossip.sim import Crash, Scenario, SimReport, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer
from gossip.sim.toy import ToyTrainer, Weights
from gossip.wire.codec import decode, encode
from gossip.wire.frames import NO_HASH, PART_BYTES, Entries, Frame, Have, Latest, Parts, Piece, WantParts
from ledger.canonical import decode_entry
from ledger.entry import Finality, Scores, Snapshot, Tensor, Update
from ledger.fold import model_header

LATE = 14.0  # when the last peer comes
JOINER = 3
PAD = 20_000  # elements that nobody learns: a model of 160 KB, three parts
LINE = Limits(transfers=8, transfers_link=1)  # so that deltas come one at a time over each link
SLOW = Scenario(
    peers=4, seconds=19, round_s=0.5, seed=3, late={JOINER: LATE}, delay_s=0.15,
    constants={"snapshot_every": 4}, config=PeerConfig(far_entries=30, vote_s=2.0, limits=LINE),
)  # fmt: skip
BACK = replace(SLOW, late={}, crashes=(Crash(JOINER, 3.0, LATE - 3.0),))
"""The last peer was a member already, and has links to all the others at once."""


SHARED = pytest.mark.xdist_group("sim-arrival")  # what looks at one and the same swarm: it lives once, in one worker


class Wide(ToyTrainer):
    """The toy problem with a long tail of parameters that do nothing."""

    def __init__(self, peers: int, seed: int) -> None:
        super().__init__(peers, seed)
        self.learned = sum(tensor.shape[0] for tensor in self.layout)
        self.layout = [*self.layout, Tensor(name="pad", shape=[PAD], bound=0)]

    def train_for(self, theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        new, done, examples, scores = super().train_for(theta[: self.learned], peer, round_number, steps)
        return np.concatenate((new, theta[self.learned :])), done, examples, scores

    def accuracy(self, theta: Weights) -> float:
        return super().accuracy(theta[: self.learned])

    def measure(self, theta: Weights, peer: int) -> Scores:
        return super().measure(theta[: self.learned], peer)

    def losses(self, theta: Weights, peer: int) -> tuple[NDArray[np.floating], list[str]]:
        return super().losses(theta[: self.learned], peer)


class Told(SimPeer):
    """A peer whose words may be altered on their way out."""

    alter: Callable[[Frame], Frame] | None = None
    models: tuple[str, ...] = ()  # written for those who come late
    asked: tuple[float, ...] = ()  # when it wanted to know which model others keep

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, KeepModel):
            self.models = (*self.models, effect.model)
        if isinstance(effect, Send) and effect.message == encode(WantParts(NO_HASH, 0)):
            self.asked = (*self.asked, self._swarm.clock.now - EPOCH)
        if isinstance(effect, Send) and self.alter is not None:
            frame = decode(effect.message)
            other = self.alter(frame)
            if other is not frame:
                effect = replace(effect, message=encode(other))
        super()._carry_out(effect)


class Swarm(SimSwarm):
    """Whose peers can lie, and whose joiner's training is watched."""

    def __init__(self, scenario: Scenario, on_event: Callable[[float, int, Event], None] | None = None) -> None:
        self.trained_from: list[bytes] = []  # by the joiner: SHA-256 of the weights
        self.told: list[tuple[float, int]] = []  # when, and of how many entries in one word
        self.states: list[str] = []  # what its model was said to be, whenever it was told something
        super().__init__(scenario, Wide(scenario.peers, scenario.seed), on_event)

    def make_peer(self, index: int, key: Any, config: PeerConfig, self_id: str) -> SimPeer:
        return Told(self, index, key, config, self_id)

    def noted(self, peer: SimPeer, kind: str, fields: dict[str, Any]) -> None:
        super().noted(peer, kind, fields)
        if peer.index == JOINER and peer.machine is not None:
            self.states.append(peer.machine.status().model)
            if kind == "arrived":
                self.borrowed = sha256(peer.machine.theta().tobytes()).digest()
                self.missing = peer.machine.status().missing

    def at(self, kind: str, peer: int = JOINER) -> list[tuple[float, dict[str, Any]]]:
        return [(at, fields) for at, who, what, fields in self.notes if (who, what) == (peer, kind)]


@cache
def calm() -> tuple[Swarm, SimReport]:
    told: list[tuple[float, int]] = []

    def hear(at: float, peer: int, event: Event) -> None:
        if peer == JOINER and isinstance(event, Received) and isinstance(frame := decode(event.message), Have):
            told.append((at, sum(size for _, size, _ in frame.rows)))

    swarm = Swarm(replace(SLOW, seconds=24), hear)
    swarm.told = told
    assert isinstance(swarm.trainer, Wide)
    train = swarm.trainer.train_for

    def watch(theta: Weights, peer: int, round_number: int, steps: int) -> tuple[Weights, int, int, Scores]:
        if peer == JOINER:
            swarm.trained_from.append(sha256(theta.tobytes()).digest())
        return train(theta, peer, round_number, steps)

    swarm.trainer.train_for = watch  # type: ignore[method-assign]
    return swarm, swarm.run()


@SHARED
def test_a_late_joiner_has_the_finals_model_in_use_before_its_history_is_whole() -> None:
    swarm, report = calm()
    ((arrived_at, arrived),) = swarm.at("arrived")
    ((verified_at, verified),) = swarm.at("verified")
    assert LATE < arrived_at < verified_at
    assert swarm.missing > 10  # of what it knew of then
    assert arrived["model"] == verified["model"]
    assert arrived["bytes"] > 2 * PART_BYTES
    assert "from a snapshot, being verified" in swarm.states
    assert swarm.states[-1] == "folded"
    assert report.heads_equal
    assert report.models_equal
    assert report.refusals == ()
    assert swarm.at("trouble") == []


@SHARED
def test_who_is_told_of_much_asks_in_the_same_moment_and_not_at_its_next_look() -> None:
    """A line so fast that a hundred entries are folded between two looks leaves no other chance."""
    swarm, _ = calm()
    joiner = swarm.peers[JOINER]
    assert isinstance(joiner, Told)
    assert joiner.asked[0] == next(at for at, entries in swarm.told if entries >= SLOW.config.far_entries)


@SHARED
def test_its_first_round_is_of_that_model_and_is_published_once_its_own_fold_has_got_there() -> None:
    swarm, _ = calm()
    joiner = swarm.peers[JOINER]
    assert swarm.trained_from[0] == swarm.borrowed
    assert swarm.trained_from[1] != swarm.borrowed
    ((verified_at, verified),) = swarm.at("verified")
    published_at, published = swarm.at("published")[0]
    assert verified_at <= published_at
    book = joiner.book
    assert book is not None
    replica = book.replica
    update = replica.entry(joiner.self_id, published["seq"])
    assert isinstance(update, Update)
    past = replica.past(joiner.self_id, published["seq"])
    seen = replica.past(verified["peer"], verified["seq"] + 1)
    assert any(seen.get(log, 0) < size for log, size in past.items() if log != joiner.self_id)
    assert update.view  # so what came after the snapshot counts as not seen by that round
    assert published["staleness"] > 0


@SHARED
def test_a_model_is_written_for_an_eighth_more_updates_and_not_for_each_final() -> None:
    swarm, _ = calm()
    book = swarm.peers[0].book
    assert book is not None
    replica, updates, finals = book.replica, {}, 0
    for log, size in replica.heads().items():
        for entry in (replica.entry(log, seq) for seq in range(size)):
            finals += isinstance(entry, Finality)
            if isinstance(entry, Snapshot):
                updates[entry.model] = entry.updates
    for peer in swarm.peers[:JOINER]:
        assert isinstance(peer, Told)
        kept = [updates[model] for model in peer.models]
        assert len(kept) > 1
        assert all(newer >= older + max(1, older // 8) for older, newer in pairwise(kept))
        assert len(kept) < finals


def test_of_a_large_past_half_a_thousand_more_are_enough() -> None:
    assert [takes_over(kept, kept + more) for kept, more in ((0, 0), (0, 1), (7, 1), (800, 99), (800, 100))] == [
        False, True, True, False, True,
    ]  # fmt: skip
    assert not takes_over(1_000_000, 1_000_000 + MARGIN - 1)
    assert takes_over(1_000_000, 1_000_000 + MARGIN)


@SHARED
def test_who_has_verified_a_model_keeps_it_for_the_next() -> None:
    swarm, _ = calm()
    for peer in swarm.peers:
        model, data = peer.memory.kept_model
        assert model
        assert sha256(data).hexdigest() == model


def test_a_server_that_dies_in_the_middle_costs_nothing_but_what_it_had_under_way() -> None:
    got: list[int] = []

    def on(at: float, peer: int, event: Event) -> None:
        if peer == JOINER and isinstance(event, Received) and not swarm.at("arrived"):
            frame = decode(event.message)
            if isinstance(frame, Piece) and frame.total > PAD:
                got.append(frame.offset)
                if len(got) == 1:
                    sender = swarm.network._ends[event.link].other
                    swarm.clock.after(0.0, swarm.peers[sender].crash)
                    swarm.clock.after(6.0, swarm.peers[sender].start)

    swarm = Swarm(BACK, on)
    swarm.run()
    assert len(swarm.at("arrived")) == len(swarm.at("verified")) == 1
    whole = len(bytes_of(swarm.peers[0].book, swarm.peers[0].book.fold.theta))  # type: ignore[union-attr,arg-type]
    assert len(set(got)) == -(-whole // (PART_BYTES // 2))
    assert len(got) <= len(set(got)) + 4  # what was asked of it again


def wrong_piece(frame: Frame) -> Frame:
    if isinstance(frame, Piece) and frame.total > PAD:
        return replace(frame, data=bytes([frame.data[0] ^ 1]) + frame.data[1:])
    return frame


def wrong_length(frame: Frame) -> Frame:
    return replace(frame, total=frame.total + 1) if isinstance(frame, Piece) and frame.total > PAD else frame


def wrong_manifest(frame: Frame) -> Frame:
    """Parts that fit one another and make another model."""
    if isinstance(frame, Piece) and frame.total > PAD and frame.offset < PART_BYTES:
        return replace(frame, data=bytes(len(frame.data)))
    if isinstance(frame, Parts):
        return replace(frame, hashes=(sha256(bytes(PART_BYTES)).digest(), *frame.hashes[1:]))
    return frame


def long_manifest(frame: Frame) -> Frame:
    return replace(frame, hashes=frame.hashes * 2) if isinstance(frame, Parts) else frame


def unsigned_note(frame: Frame) -> Frame:
    """Without the witness's line."""
    if isinstance(frame, Latest):
        return replace(frame, note=b"\n".join(frame.note.split(b"\n")[:-2]) + b"\n")
    return frame


def forged_entry(frame: Frame) -> Frame:
    """Another model in the entry: the proof does not lead there."""
    if isinstance(frame, Latest):
        model = decode_entry(frame.entry).model.encode()  # type: ignore[union-attr]
        return replace(frame, entry=frame.entry.replace(model, b"ab" * 32))
    return frame


def other_swarm(frame: Frame) -> Frame:
    return replace(frame, log="ab" * 32) if isinstance(frame, Latest) else frame


LIES: dict[str, tuple[Callable[[Frame], Frame], str]] = {
    "wrong pieces": (wrong_piece, "a part of a model is not what"),
    "another length": (wrong_length, "another length than genesis says"),
    "a wrong manifest": (wrong_manifest, "the parts that a model is said to have do not make it"),
    "a long manifest": (long_manifest, "more parts than it can have"),
    "a note without witnesses": (unsigned_note, "0 of 1 witnesses"),
    "a forged entry": (forged_entry, "does not lead to the root"),
    "another log": (other_swarm, "its checkpoint is of another log"),
}


@pytest.mark.parametrize(
    "lies",
    [
        ("wrong pieces", "a note without witnesses"),
        ("a forged entry", "another length"),
        ("a wrong manifest", "another log"),
        ("a long manifest", "a long manifest"),
    ],
    ids=" and ".join,
)
def test_a_liar_loses_its_link_and_the_model_comes_from_others(lies: tuple[str, str]) -> None:
    """Two at a time, one lie each: about what they offer, or then send. With this seed both are asked."""
    swarm = Swarm(replace(BACK, seed=6))
    for liar, lie in enumerate(lies):
        peer = swarm.peers[liar]
        assert isinstance(peer, Told)
        peer.alter = LIES[lie][0]
    report = swarm.run()
    refused = [(fields["peer"], fields["text"]) for _, fields in swarm.at("refused")]
    for liar, lie in enumerate(dict.fromkeys(lies)):
        texts = [text for peer, text in refused if peer == swarm.peers[liar].self_id]
        assert any(LIES[lie][1] in text for text in texts), (lie, refused)
    assert len(swarm.at("arrived")) == len(swarm.at("verified")) == 1
    assert report.heads_equal
    assert report.models_equal


class Forger(Told):
    """An author whose snapshots name a model of its own making, which it has for who asks."""

    def start(self) -> None:
        super().start()
        book, machine = self.book, self.machine
        assert book is not None
        assert machine is not None
        finals, made = machine._finals, dict[str, bytes]()
        true_hash = book.model_hash

        def false_hash() -> str:
            if book.fold is None:
                return true_hash()
            data = bytes_of(book, book.fold.theta + (1 << 34))
            made[sha256(data).hexdigest()] = data
            return sha256(data).hexdigest()

        def make(snapshot: Snapshot, log: str, final: Any) -> None:
            finals._made = snapshot.model
            if snapshot.model in made:
                finals._out.put(KeepModel(snapshot.model, made[snapshot.model]))
                finals._serve(snapshot.model, log, final)

        book.model_hash = false_hash  # type: ignore[method-assign]
        finals._make = make  # type: ignore[method-assign]


class Accomplice(Told):
    """The only witness: it votes for whatever the forger says, and for nothing else."""

    def start(self) -> None:
        super().start()
        assert self.machine is not None
        election = self.machine._witnessing._election
        forger = self._swarm.peers[1].self_id
        election._model = lambda proposal: election._snapshot(proposal).model  # type: ignore[method-assign]
        may = election._may
        election._may = lambda proposal: proposal.log == forger and may(proposal)  # type: ignore[method-assign]


class Plot(Swarm):
    def make_peer(self, index: int, key: Any, config: PeerConfig, self_id: str) -> SimPeer:
        kinds = {0: Accomplice, 1: Forger}
        return kinds.get(index, Told)(self, index, key, config, self_id)


def test_a_model_that_does_not_follow_from_the_logs_is_thrown_away_and_its_witnesses_are_named() -> None:
    swarm = Plot(BACK)
    report = swarm.run()
    assert len(swarm.at("arrived")) == 1
    assert swarm.at("verified") == []
    troubles = [fields for _, fields in swarm.at("trouble") if "does not follow from the logs" in fields["text"]]
    ((troubled_at, _),) = [(at, f) for at, f in swarm.at("trouble") if f in troubles]
    assert [fields["by"] for fields in troubles] == [[swarm.peers[0].self_id]]
    assert "peer-0 signed as final" in troubles[0]["text"]
    ((arrived_at, _),) = swarm.at("arrived")
    trained = {fields["round"]: at - fields["seconds"] for at, fields in swarm.at("trained") if at > LATE}
    early = [fields["round"] for at, fields in swarm.at("published") if LATE < at < troubled_at]
    assert all(trained[number] < arrived_at for number in early)  # from what it had folded before it was away
    assert report.heads_equal
    joiner = swarm.peers[JOINER].book
    honest = swarm.peers[2].book
    assert joiner is not None
    assert honest is not None
    assert joiner.model_hash() == honest.model_hash()  # the fold was never touched
    assert swarm.states[-1] == "folded"


MADE_UP_AT = 6.0


def borrowing(seq: int, round_s: float = 0.5, seconds: float = 45.0) -> Swarm:
    """A swarm that trains on, one of which is given a false model at some time, of an entry that nobody has written."""
    given: list[float] = []

    def on(at: float, peer: int, event: Event) -> None:
        machine, book = swarm.peers[JOINER].machine, swarm.peers[JOINER].book
        if at < MADE_UP_AT or given or machine is None or book is None or book.fold is None:
            return
        given.append(at)
        data = bytes_of(book, book.fold.theta + (1 << 34))
        witness, log = swarm.peers[0].self_id, swarm.peers[1].self_id
        machine._arrival._use(Offer(log, seq, "ee" * 32, sha256(data).hexdigest(), 10**7, (witness,)), data)
        swarm.clock.after(0.01, lambda: swarm.peers[JOINER].deliver(Timer("arrival")))

    swarm = Swarm(replace(BACK, crashes=(), round_s=round_s, delay_s=0.05, seconds=seconds), on)
    return swarm


def test_a_model_that_is_in_nobodys_history_is_thrown_away_in_a_swarm_that_trains_on() -> None:
    """Something is nearly always on its way: what came up later does not put off the doubt."""
    swarm = borrowing(seq=10**6)
    report = swarm.run()
    ((arrived_at, _),) = swarm.at("arrived")
    ((refused_at, trouble),) = [one for one in swarm.at("trouble") if "in no history" in one[1]["text"]]
    assert DOUBT_S <= refused_at - arrived_at < DOUBT_S + 4
    assert trouble["by"] == [swarm.peers[0].self_id]
    published = [at for at, _ in swarm.at("published")]
    assert not [at for at in published if arrived_at + 1 < at < refused_at]
    assert [at for at in published if at > refused_at]
    assert any("it began from a model that was not true" in fields["text"] for _, fields in swarm.at("trouble"))
    assert swarm.states[-1] == "folded"
    assert report.heads_equal
    assert report.models_equal


def test_who_is_still_fetching_what_was_announced_doubts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.peer.arrival.DOUBT_S", 0.3)
    swarm = Swarm(SLOW)
    swarm.run()
    ((arrived_at, _),), ((verified_at, _),) = swarm.at("arrived"), swarm.at("verified")
    assert verified_at - arrived_at > 1
    assert swarm.at("trouble") == []


def test_no_model_is_held_for_ever_without_having_been_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossip.peer.arrival.LONGEST_S", 5.0)
    swarm = borrowing(seq=10**6, seconds=15.0)
    swarm.run()
    ((arrived_at, _),) = swarm.at("arrived")
    assert [5 <= at - arrived_at < 6 for at, one in swarm.at("trouble") if "half an hour" in one["text"]] == [True]


def test_a_model_of_an_entry_in_whose_place_there_is_another_is_thrown_away_at_once() -> None:
    now, soon = borrowing(seq=2, seconds=9.0), borrowing(seq=30, seconds=20.0)
    for swarm in (now, soon):
        swarm.run()
        ((arrived_at, _),) = swarm.at("arrived")
        ((refused_at, _),) = [one for one in swarm.at("trouble") if "another entry in its place" in one[1]["text"]]
        book = swarm.peers[JOINER].book
        assert book is not None
        log = swarm.peers[1].self_id
        if swarm is now:
            assert refused_at == arrived_at
        else:
            assert arrived_at < refused_at < arrived_at + DOUBT_S
            assert book.replica.size(log) > 30
            assert [at for at, _ in swarm.at("published") if at > refused_at]


@SHARED
def test_a_model_of_the_joiners_own_fold_is_what_the_witnesses_signed() -> None:
    """The bytes that travel are the fold's own: what a fold of the snapshot's past gives."""
    swarm, _ = calm()
    book = swarm.peers[0].book
    assert book is not None
    fold = book.require_fold()
    data = bytes_of(book, fold.theta)
    assert sha256(data).hexdigest() == book.model_hash() == hash_of(book, fold.theta)
    body = data[len(model_header(fold.layout)) :]
    again = NumpyArithmetic().to_float32(NumpyArithmetic().read_model(body))
    assert again.tobytes() == book.theta().tobytes()


def test_who_was_away_for_a_week_pulls_only_what_is_missing_and_goes_on_in_its_own_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossip.peer.links.LAST_RETRY_S", 3600.0)  # twice a minute for a week is all that would run
    day = 86_400.0
    back_at = 8.5 * day
    came: list[tuple[str, int]] = []

    def on(at: float, peer: int, event: Event) -> None:
        if peer == 2 and at > back_at and isinstance(event, Received):
            frame = decode(event.message)
            if isinstance(frame, Entries):
                came.extend((frame.log, frame.start + n) for n in range(len(frame.entries)))

    quiet = PeerConfig(digest_s=7_200.0, vote_s=day, vouch_s=day, verdict_s=day, judge_s=day, rotate_s=day)
    scenario = Scenario(
        peers=3, seconds=9 * day, round_s=21_600.0, seed=5, crashes=(Crash(2, 1.5 * day, 7 * day),), config=quiet
    )
    swarm = SimSwarm(scenario, None, on)
    held: dict[str, int] = {}
    own = swarm.peers[2].self_id

    def remember() -> None:
        book = swarm.peers[2].book
        assert book is not None
        held.update(book.replica.heads())

    swarm.clock.at(swarm.clock.now + back_at - 1.0, remember)
    report = swarm.run()
    assert report.heads_equal
    assert report.models_equal
    heads = report.heads[own]
    assert sorted(came) == sorted((log, seq) for log in heads if log != own for seq in range(held[log], heads[log]))
    assert sum(1 for log, _ in came) > 40
    assert heads[own] > held[own]  # it went on where its chain ended
    assert report.refusals == ()
