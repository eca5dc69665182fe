"""Where members meet, rule by rule: real machines around a table, and what goes between them held back or made up."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.config import PeerConfig
from gossip.events import (
    Append,
    Drop,
    Event,
    Keep,
    KeepCheckpoint,
    KeepRendezvous,
    LinkDown,
    LinkUp,
    NewKey,
    NewPolicy,
    NewRendezvous,
    Note,
    Received,
    Revoking,
    Send,
    SetTimer,
    Started,
    Stored,
    Timer,
)
from gossip.limits import DEFAULT
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Peer, restore
from gossip.peer.rendezvous import CALM_S, PACE_S, SLOWEST_S, WAIT_S
from gossip.recording.answers import START, next_trace
from gossip.recording.records import (
    SIZE_BYTES,
    Head,
    Step,
    decode_event,
    decode_record,
    encode_event,
    encode_record,
)
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.station import SimPeer, next_key
from gossip.wire import codec, meeting
from gossip.wire.frames import ENTRIES_TAG, PACKED_TAG, RENDEZVOUS_TAG, Rendezvous
from ledger.kept import StoredCheckpoint
from ledger.keys import PrivateKey, key_digest

SEED = 3
ANN, BERT, CLEO, DORA, EMIL = range(5)  # the first three are admins
SECRET = b"\x5e" * 32


OVER = EPOCH + 3000.0  # of Cleo's time


class _Founder(SimPeer):
    def deliver(self, event: Event) -> None:
        if isinstance(event, LinkUp) and event.role and event.key == self._swarm.peers[CLEO].public:
            event = replace(event, expires=int(OVER))
        super().deliver(event)


class _Swarm(SimSwarm):
    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: str) -> SimPeer:
        return _Founder(self, index, key, config, self_id)


@cache
def past() -> SimSwarm:
    """A swarm of five in which everybody has come in, and nobody writes any more. Of one admin the time will end."""
    swarm = _Swarm(Scenario(peers=5, admins=3, seconds=6.0, seed=SEED, observers=(0, 1, 2, 3, 4), witnesses=0))
    swarm.run()
    return swarm


class Table:
    """Copies of those machines, each on its own disk. `held_back`: messages that begin so wait, by receiver."""

    def __init__(self, *who: int) -> None:
        self.swarm = past()
        self.now = EPOCH + 1000.0
        self.disks = {i: self.swarm.peers[i].memory.copy() for i in who}
        self.books: dict[int, Any] = {}
        self.machines: dict[int, Peer] = {}
        self.keys = {i: self.swarm.peers[i]._key for i in who}
        self.ends: dict[int, tuple[int, int, int]] = {}  # link --> whose, whose at the far end, its link there
        self.waiting: list[tuple[int, Event]] = []
        self.timers: dict[tuple[int, str], float] = {}
        self.held_back: dict[int, tuple[bytes, ...]] = {}
        self.kept_back: list[tuple[int, Event]] = []
        self.said: list[tuple[float, int, int, Rendezvous]] = []  # when, by whom, to whom
        self.dropped: list[tuple[int, str]] = []
        self.wrote = dict.fromkeys(who, 0)
        for i in who:
            self.start(i)

    def start(self, who: int, **config: Any) -> None:
        """The machine, made anew of its disk."""
        peer, disk, swarm = self.swarm.peers[who], self.disks[who], self.swarm
        founder = swarm.peers[0].self_id
        self.books[who] = restore(swarm.swarm_id, founder, disk.history, disk.blob, NumpyArithmetic())
        settings = replace(peer._config, inviter=b"", rendezvous=disk.rendezvous, **config)
        self.machines[who] = Peer(
            settings, key=self.keys[who], self_id=peer.self_id, book=self.books[who], shelf=disk,
            luck=random.Random(who), mark=disk.mark,
        )  # fmt: skip
        for link in [link for link, (whose, _, _) in self.ends.items() if whose == who]:
            _, other, there = self.ends.pop(link)
            self.ends.pop(there)
            self.feed(other, LinkDown(there, "it went away"))
        self.timers = {(whose, name): at for (whose, name), at in self.timers.items() if whose != who}
        self.feed(who, Started())
        self.settle(12.0)

    def id(self, who: int) -> str:
        return self.swarm.peers[who].self_id

    def replica(self, who: int) -> Any:
        return self.books[who].replica

    def link(self, a: int, b: int) -> tuple[int, int]:
        one = 2 * len(self.ends) + 100
        self.ends[one], self.ends[one + 1] = (a, b, one + 1), (b, a, one)
        self.feed(a, LinkUp(one, self.keys[b].public, dialled=True))
        self.feed(b, LinkUp(one + 1, self.keys[a].public, dialled=False))
        return one, one + 1

    def feed(self, who: int, event: Event) -> None:
        disk = self.disks[who]
        for effect in self.machines[who].handle(event, self.now):
            match effect:
                case Append(seq, entry, blob):
                    disk.put(self.id(who), seq, entry, blob)
                    self.waiting.append((who, Stored(seq)))
                case Keep(log, seq, entry, blob):
                    disk.put(log, seq, entry, blob)
                case KeepCheckpoint(log, size, note, held, proof):
                    if log == self.id(who) and held is None:
                        disk.sign(size, self.replica(who).root(log, size).hex())
                    disk.checkpoints[log] = StoredCheckpoint(size, note, size if held is None else held, proof)
                case KeepRendezvous(data):
                    disk.rendezvous = data
                    self.wrote[who] += 1
                case Send(link, message) if link in self.ends:
                    _, other, there = self.ends[link]
                    if message[:1] == RENDEZVOUS_TAG:
                        frame = codec.decode(message)
                        assert isinstance(frame, Rendezvous)
                        self.said.append((self.now, who, other, frame))
                    self.waiting.append((other, Received(there, message)))
                case Drop(link, reason):
                    self.dropped.append((link, reason))
                    if link in self.ends:
                        _, other, there = self.ends.pop(link)
                        self.ends.pop(there)
                        self.waiting.append((other, LinkDown(there, reason)))
                case SetTimer(name, at):
                    self.timers[who, name] = at
                case Note(_, fields):
                    assert SECRET.hex() not in repr(fields)
                    assert repr(SECRET) not in repr(fields)
                case _:
                    pass

    def flow(self) -> None:
        while self.waiting:
            who, event = self.waiting.pop(0)
            if isinstance(event, Received) and event.message[:1] in self.held_back.get(who, ()):
                self.kept_back.append((who, event))
            else:
                self.feed(who, event)

    def settle(self, seconds: float) -> None:
        """So long of their time."""
        until = self.now + seconds
        self.flow()
        while due := [(at, key) for key, at in self.timers.items() if at <= until]:
            at, (who, name) = min(due)
            del self.timers[who, name]
            self.now = max(self.now, at)
            self.feed(who, Timer(name))
            self.flow()
        self.now = until

    def let_through(self) -> None:
        self.held_back.clear()
        self.waiting, self.kept_back = [*self.waiting, *self.kept_back], []
        self.flow()

    def held(self, who: int) -> Rendezvous | None:
        return self.machines[who].rendezvous

    def wants(self, who: int) -> bool:
        return self.machines[who].wants_rendezvous

    def choose(self, who: int, secret: bytes = SECRET) -> Rendezvous:
        self.feed(who, NewRendezvous(secret))
        self.flow()
        held = self.held(who)
        assert held is not None
        assert held.secret == secret
        return held

    def signed(
        self, by: int, epoch: int, secret: bytes = SECRET, *, key: PrivateKey | None = None, ahead: int = 0,
        author: str = "",
    ) -> Rendezvous:  # fmt: skip
        """As an admin's program might say it, that does not keep the rules."""
        name = author or self.id(by)
        size = max(1, self.swarm.peers[0].book.replica.size(self.id(by)) + ahead)  # type: ignore[union-attr]
        frame = Rendezvous(epoch, secret, name, ((name, size),), bytes(64))
        text = meeting.signed_bytes(frame, self.swarm.swarm_id)
        return replace(frame, signature=(key or self.swarm.peers[by]._key).sign(text))

    def tell(self, who: int, link: int, frame: Rendezvous) -> None:
        self.feed(who, Received(link, codec.encode(frame)))
        self.flow()

    def to(self, who: int) -> list[Rendezvous]:
        return [frame for _, _, other, frame in self.said if other == who]


# ------------------------------------------------------------------ who chooses


def test_an_admin_chooses_once_and_members_hold_and_keep_it() -> None:
    table = Table(ANN, DORA, EMIL)
    assert table.wants(ANN)
    assert not table.wants(DORA)  # no admin
    table.link(ANN, DORA)
    table.link(DORA, EMIL)
    table.settle(3.0)
    one = table.choose(ANN)
    assert (one.epoch, one.author) == (1, table.id(ANN))
    assert not table.wants(ANN)
    table.settle(1.0)
    assert table.held(DORA) == table.held(EMIL) == one
    assert all(codec.decode(disk.rendezvous) == one for disk in table.disks.values())
    table.feed(ANN, NewRendezvous(b"\x01" * 32))  # asked twice: the shell may not have seen that it is done
    table.feed(DORA, NewRendezvous(b"\x01" * 32))
    table.settle(200.0)
    assert {table.held(who) for who in (ANN, DORA, EMIL)} == {one}
    assert len(table.said) == 4  # each end of each link, once
    assert set(table.wrote.values()) == {1}
    assert table.dropped == []


def test_an_admin_that_hears_of_a_secret_lets_it_come_in_first() -> None:
    """Else each admin that joins would choose, and half of the time all would have to meet elsewhere; it does not wait
    for ever, for there may be nothing to it."""
    table = Table(ANN, EMIL)
    there, _ = table.link(ANN, EMIL)
    table.settle(3.0)
    assert table.wants(ANN)
    table.tell(ANN, there, table.signed(BERT, 3, ahead=1))
    assert not table.wants(ANN)
    table.settle(WAIT_S - 1.0)
    table.tell(ANN, there, table.signed(BERT, 4, ahead=1))
    assert not table.wants(ANN)
    table.settle(2.0)
    table.feed(ANN, Timer("links"))
    assert table.wants(ANN)


def test_what_is_no_secret_is_not_signed() -> None:
    table = Table(ANN)
    table.feed(ANN, NewRendezvous(b"short"))
    assert table.held(ANN) is None
    assert table.wants(ANN)


def test_an_admin_that_may_not_write_yet_chooses_nothing() -> None:
    """Its log may go on elsewhere: a signature now could say less than it wrote."""
    table = Table(ANN)
    disk = table.disks[ANN]
    machine = Peer(
        table.swarm.peers[ANN]._config, key=table.keys[ANN], self_id=table.id(ANN), book=table.books[ANN], shelf=disk,
        luck=random.Random(1), mark=disk.mark,
    )  # fmt: skip
    machine.handle(Started(), table.now)
    assert not machine.wants_rendezvous
    machine.handle(NewRendezvous(SECRET), table.now)
    assert machine.rendezvous is None


def test_who_put_somebody_out_chooses_anew_and_nobody_else_does() -> None:
    table = Table(ANN, BERT, DORA)
    table.link(ANN, BERT)
    table.link(ANN, DORA)
    table.settle(3.0)
    table.choose(ANN)
    table.settle(2.0)
    table.feed(BERT, Revoking(table.id(EMIL), 0))
    assert not table.wants(BERT)  # not on disk yet
    table.settle(3.0)
    assert table.replica(ANN).is_revoked(table.id(EMIL))
    assert (table.wants(ANN), table.wants(BERT), table.wants(DORA)) == (False, True, False)
    two = table.choose(BERT, b"\x02" * 32)
    assert two.epoch == 2
    assert dict(two.heads)[table.id(BERT)] == table.replica(BERT).size(table.id(BERT))
    table.settle(2.0)
    assert table.held(ANN) == table.held(DORA) == two
    assert not table.wants(BERT)
    table.start(BERT)  # and it remembers that it is done
    assert not table.wants(BERT)
    assert table.held(BERT) == two


# ------------------------------------------------------------------ who takes what


def test_nobody_takes_what_it_lacks_the_entries_for() -> None:
    """Else it would pass the new secret on to whom it is meant to leave behind."""
    table = Table(ANN, DORA, EMIL)
    table.link(ANN, DORA)
    table.link(DORA, EMIL)
    table.settle(3.0)
    one = table.choose(ANN)
    table.settle(2.0)
    table.held_back[DORA] = (ENTRIES_TAG, PACKED_TAG)
    table.feed(ANN, Revoking(table.id(EMIL), 0))
    table.settle(1.0)
    two = table.choose(ANN, b"\x02" * 32)
    table.settle(3.0)
    assert two in table.to(DORA)
    assert table.held(DORA) == one  # the positive control: it has no word of it
    table.let_through()
    table.settle(5.0)
    assert table.held(DORA) == two
    assert table.held(EMIL) == one
    assert two not in table.to(EMIL)
    assert [reason for _, reason in table.dropped if "signed" in reason] == []


def test_it_is_taken_as_soon_as_the_entries_are_here_whatever_they_say() -> None:
    table = Table(BERT, DORA)
    table.link(BERT, DORA)
    table.settle(3.0)
    table.held_back[DORA] = (ENTRIES_TAG, PACKED_TAG)
    table.feed(BERT, NewPolicy(b"policy = 1\n"))
    table.settle(1.0)
    one = table.choose(BERT)
    table.settle(1.0)
    assert table.held(DORA) is None
    table.let_through()
    table.settle(0.5)
    assert table.held(DORA) == one


def test_a_wrong_signature_ends_the_link_and_nothing_else() -> None:
    table = Table(DORA, BERT, EMIL)
    there, _ = table.link(DORA, EMIL)
    other, _ = table.link(DORA, BERT)
    table.settle(3.0)
    table.tell(DORA, there, table.signed(BERT, 1, key=table.keys[EMIL]))
    assert [link for link, _ in table.dropped] == [there]
    assert "not signed" in table.dropped[0][1]
    assert table.held(DORA) is None
    assert other in table.ends


def test_of_an_admin_that_signed_two_histories_we_may_hold_the_other_one() -> None:
    """So what looks wrongly signed here is not held against who brings it; it is not taken, either."""
    table = Table(DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    table.machines[DORA]._rumour.forked[table.id(BERT)] = None
    table.tell(DORA, there, table.signed(BERT, 1, key=table.keys[EMIL]))
    table.settle(3.0)
    assert (table.held(DORA), table.dropped) == (None, [])


def test_an_admin_whose_time_is_over_chooses_no_more() -> None:
    table = Table(ANN, DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.link(ANN, DORA)
    table.settle(3.0)
    table.tell(DORA, there, table.signed(CLEO, 4))
    table.settle(5.0)
    assert table.held(DORA) == table.held(ANN) == table.signed(CLEO, 4)  # the positive control
    table.now = OVER + 1.0
    table.settle(30.0)
    table.tell(DORA, there, table.signed(CLEO, 5))
    table.settle(5.0)
    assert table.held(DORA) == table.signed(CLEO, 4)
    assert table.wants(ANN)
    assert table.choose(ANN, b"\x02" * 32).epoch == 1
    table.settle(5.0)
    assert table.held(DORA) == table.held(ANN)
    assert table.dropped == []


@pytest.mark.parametrize("who", ["a member", "nobody", "later"])
def test_what_is_by_no_admin_we_know_is_nobodys_fault(who: str) -> None:
    table = Table(DORA, EMIL, BERT)
    there, _ = table.link(DORA, EMIL)
    table.link(DORA, BERT)
    table.settle(3.0)
    frame = {
        "a member": table.signed(EMIL, 1), "nobody": table.signed(BERT, 1, author="ab" * 32),
        "later": table.signed(BERT, 1, ahead=1, key=table.keys[EMIL]),  # with what may be a key of tomorrow's
    }[who]  # fmt: skip
    table.tell(DORA, there, frame)
    table.settle(30.0)
    assert (table.held(DORA), table.dropped, table.said) == (None, [], [])


def test_one_word_of_each_link_waits() -> None:
    table = Table(DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    for number in range(1, 50):
        table.tell(DORA, there, table.signed(BERT, number, ahead=1))
    chapter = table.machines[DORA]._rendezvous
    assert [frame.epoch for frame in chapter._told.values()] == [49]
    table.feed(DORA, LinkDown(there, "gone"))
    assert (chapter._told, chapter._said) == ({}, {})


def test_old_ones_said_again_change_nothing() -> None:
    table = Table(DORA, EMIL, BERT)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    table.tell(DORA, there, table.signed(BERT, 5))
    table.settle(2.0)
    five = table.held(DORA)
    wrote = table.wrote[DORA]
    for epoch in (4, 1):
        table.tell(DORA, there, table.signed(BERT, epoch, b"\x01" * 32))
        table.tell(DORA, there, table.signed(CLEO, epoch, b"\x01" * 32))
        table.settle(2.0)
    assert table.held(DORA) == five is not None
    assert (table.wrote[DORA], table.dropped) == (wrote, [])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_with_one_number_the_lower_hash_counts(order: tuple[int, int]) -> None:
    table = Table(DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    two = [table.signed(BERT, 1, b"\x01" * 32), table.signed(CLEO, 1, b"\x02" * 32)]
    for number in order:
        table.tell(DORA, there, two[number])
        table.settle(2 * PACE_S)
    assert table.held(DORA) == min(two, key=lambda frame: sha256(frame.secret).digest())


@given(
    st.lists(
        st.tuples(st.sampled_from([ANN, BERT, CLEO]), st.integers(1, 3), st.integers(0, 3)), min_size=4, max_size=4
    ),
    st.permutations(range(4)),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_in_whatever_order_it_is_told_all_end_with_the_same(
    chosen: list[tuple[int, int, int]], order: list[int], is_at_once: bool
) -> None:
    table = Table(ANN, BERT, CLEO, DORA, EMIL)
    ends = [table.link(DORA, who)[0] for who in (ANN, BERT, CLEO, EMIL)]
    table.settle(3.0)
    frames = [table.signed(by, epoch, bytes([secret]) * 32) for by, epoch, secret in chosen]
    for number in order:
        table.tell(DORA, ends[number], frames[number])
        table.settle(0.0 if is_at_once else 0.7)
    table.settle(16 * PACE_S)
    for number in order:  # who holds a record, and hears of another, says it again
        table.tell(DORA, ends[number], frames[number])
        table.settle(16 * PACE_S)
    best = max(frames, key=lambda frame: (frame.epoch, -int.from_bytes(sha256(frame.secret).digest())))
    for who in (ANN, BERT, CLEO, DORA, EMIL):
        held = table.held(who)
        assert held is not None
        assert (held.epoch, held.secret) == (best.epoch, best.secret)
    assert table.dropped == []


def test_so_many_changes_and_no_more_in_a_second() -> None:
    table = Table(DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    for epoch in range(1, 6):
        table.tell(DORA, there, table.signed(BERT, epoch))
    assert (table.held(DORA).epoch, table.wrote[DORA]) == (1, 1)  # type: ignore[union-attr]
    table.settle(PACE_S + 0.01)
    assert (table.held(DORA).epoch, table.wrote[DORA]) == (5, 2)  # type: ignore[union-attr]


def test_an_admin_that_chooses_each_second_is_followed_less_and_less_and_nobody_else() -> None:
    table = Table(DORA, EMIL)
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    for epoch in range(1, 601):
        table.tell(DORA, there, table.signed(BERT, epoch))
        table.settle(1.0)
    assert table.wrote[DORA] <= 11, "after 0, 1, 3, 7 ... seconds"
    table.tell(DORA, there, table.signed(CLEO, 1_000))
    assert (held := table.held(DORA)) is not None
    assert held.epoch == 1_000, "another admin is heard at once"
    table.tell(DORA, there, table.signed(BERT, 1_001))
    table.settle(SLOWEST_S + 1)
    assert (held := table.held(DORA)) is not None
    assert held.epoch == 1_001, "what stood above all is taken in the end"
    wrote = table.wrote[DORA]
    table.settle(CALM_S + 1)
    for epoch in (1_002, 1_003):
        table.tell(DORA, there, table.signed(BERT, epoch))
        table.settle(PACE_S + 0.01)
    assert table.wrote[DORA] == wrote + 2, "who was quiet for so long begins anew"


def test_who_says_too_many_pays_for_the_signatures() -> None:
    table = Table(DORA, EMIL)
    table.start(DORA, limits=replace(DEFAULT, signatures_burst=100, signatures_per_s=10))
    there, _ = table.link(DORA, EMIL)
    table.settle(30.0)
    frames = [table.signed(BERT, epoch, ahead=1) for epoch in range(1, 102)]
    for frame in frames[:100]:
        table.feed(DORA, Received(there, codec.encode(frame)))
    assert table.dropped == []
    table.feed(DORA, Received(there, codec.encode(frames[100])))
    assert [link for link, _ in table.dropped] == [there]
    assert "signatures" in table.dropped[0][1]


# ------------------------------------------------------------------ who is told


def test_guests_and_who_is_out_are_told_nothing() -> None:
    table = Table(ANN, EMIL)
    table.choose(ANN)
    guest = PrivateKey.from_seed(b"\x77" * 32)
    table.ends[900], table.ends[901] = (ANN, EMIL, 901), (EMIL, ANN, 900)  # only to see what is sent there
    table.feed(ANN, LinkUp(900, guest.public, dialled=False, role="trainer"))
    table.settle(30.0)
    assert table.said == []
    table.ends.clear()
    table.link(ANN, EMIL)
    table.settle(3.0)
    assert len(table.to(EMIL)) == 1  # the positive control: a member is told
    table.feed(ANN, Revoking(table.id(EMIL), 0))
    table.flow()
    two = table.choose(ANN, b"\x02" * 32)
    table.settle(10.0)
    assert two not in table.to(EMIL)


def test_what_may_be_lost_is_said_again_until_the_same_comes_back() -> None:
    table = Table(ANN, EMIL)
    table.link(ANN, EMIL)
    table.settle(3.0)
    table.held_back[EMIL] = (RENDEZVOUS_TAG,)
    begin = table.now
    table.choose(ANN)
    table.settle(3000.0)
    at = [round(when - begin) for when, _, _, _ in table.said]
    assert at == [0, 5, 15, 35, 75]
    table.kept_back = table.kept_back[:1]
    table.let_through()
    table.settle(3000.0)
    assert table.held(EMIL) == table.held(ANN)
    assert len(table.said) == 6  # and the answer
    for link, (whose, _, _) in tuple(table.ends.items()):
        table.feed(whose, LinkDown(link, "gone"))
        assert table.machines[whose]._rendezvous._said == {}


# ------------------------------------------------------------------ keys


def test_what_was_signed_with_an_earlier_key_stays_signed() -> None:
    table = Table(BERT, DORA, EMIL)
    table.link(BERT, DORA)
    table.settle(3.0)
    one = table.choose(BERT)
    table.settle(2.0)
    change(table, BERT)
    assert table.held(DORA) == one
    table.held_back[EMIL] = (RENDEZVOUS_TAG,)
    table.link(DORA, EMIL)
    table.settle(4.0)
    assert len(table.replica(EMIL).keys_of(table.id(BERT))) == 2
    table.let_through()  # who hears of the secret when the key that signed it is gone
    table.settle(4.0)
    assert table.held(EMIL) == one
    table.start(EMIL)
    assert table.held(EMIL) == one
    assert not table.wants(BERT)
    assert table.dropped == []


def test_whose_key_was_stolen_chooses_anew_and_the_thief_chooses_no_more() -> None:
    table = Table(BERT, DORA, EMIL)
    table.link(BERT, DORA)
    table.settle(3.0)
    one = table.choose(BERT)
    stolen = table.keys[BERT]
    table.settle(2.0)
    change(table, BERT, recover=True)
    assert table.wants(BERT)
    assert table.held(DORA) == one  # until there is another
    there, _ = table.link(DORA, EMIL)
    table.settle(3.0)
    table.tell(DORA, there, table.signed(BERT, 9, b"\x09" * 32, key=stolen))
    table.settle(2.0)
    assert table.held(DORA) == one
    two = table.choose(BERT, b"\x02" * 32)
    table.settle(8.0)
    assert table.held(DORA) == table.held(EMIL) == two


def change(table: Table, who: int, *, recover: bool = False) -> None:
    key, promise = next_key(SEED, who, 1), key_digest(next_key(SEED, who, 2).public)
    table.feed(who, NewKey(key, promise, recover))
    table.settle(8.0)
    table.keys[who] = key
    assert table.replica(who).key_of(table.id(who)) == key.public


# ------------------------------------------------------------------ after a start


def test_what_was_kept_counts_after_a_start_and_is_told() -> None:
    table = Table(BERT, DORA, EMIL)
    table.link(BERT, DORA)
    table.settle(3.0)
    one = table.choose(BERT)
    table.settle(2.0)
    table.start(DORA)
    assert table.held(DORA) == one
    table.link(DORA, EMIL)
    table.settle(3.0)
    assert table.held(EMIL) == one


@pytest.mark.parametrize("kept", ["garbage", "forged", "another frame"])
def test_what_is_kept_is_verified_again(kept: str) -> None:
    table = Table(ANN)
    table.disks[ANN].rendezvous = {
        "garbage": b"\x14nonsense", "forged": codec.encode(table.signed(BERT, 3, key=table.keys[ANN])),
        "another frame": b"\x07" + bytes(32),
    }[kept]  # fmt: skip
    table.start(ANN)
    assert table.held(ANN) is None
    assert table.wants(ANN)  # and it goes on as one that holds none


def test_what_an_admin_signed_that_is_out_by_now_stays_until_another_comes() -> None:
    table = Table(ANN, BERT, DORA)
    table.link(ANN, DORA)
    table.link(BERT, DORA)
    table.settle(3.0)
    one = table.choose(BERT)
    table.settle(2.0)
    table.feed(ANN, Revoking(table.id(BERT), 0))
    table.settle(5.0)
    assert table.replica(DORA).is_revoked(table.id(BERT))
    table.start(DORA)
    assert table.held(DORA) == one
    assert table.wants(ANN)
    assert not table.wants(BERT)
    table.said.clear()
    table.link(ANN, DORA)
    table.settle(3.0)
    assert table.said == []  # it is not passed on any more
    two = table.choose(ANN, b"\x02" * 32)
    table.settle(3.0)
    assert table.held(DORA) == two


def test_a_recording_carries_it() -> None:
    kind, spelled = encode_event(NewRendezvous(SECRET))
    step = partial(Step, looked_up=(), effects=(), trace=bytes(16), raised="")
    assert decode_event(step(1.0, kind, spelled)) == NewRendezvous(SECRET)
    config = PeerConfig(rendezvous=codec.encode(Rendezvous(1, SECRET, "ab" * 32, (("ab" * 32, 3),), bytes(64))))
    head = Head("5d" * 32, "77" * 32, "9f" * 32, bytes(32), 7, None, config, 0, "c0" * 32, ())
    assert decode_record(encode_record(head)[SIZE_BYTES:]) == head
    one, other = ((KeepRendezvous(secret),) for secret in (SECRET, bytes(32)))
    assert next_trace(START, one) != next_trace(START, other)
