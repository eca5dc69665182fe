"""What a hostile link can do: cost itself its link, and nothing else."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256

import pytest

from gossip.events import Drop, Effect, Event, LinkUp, Received, Send
from gossip.limits import DEFAULT
from gossip.peer.peer import Peer
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.wire import frames
from gossip.wire.codec import decode, encode
from gossip.wire.frames import NO_HASH, Digest, Entries, Have, Piece, Want, WantBlob
from ledger import checkpoint
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import Data, PeerId
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from tests.peer.bench import notes, only

SEED = 17


class Victim:
    """A member of a swarm that has trained a while, cut off from it, and an attacker who holds a member's key."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        swarm = SimSwarm(Scenario(peers=4, seconds=6, seed=SEED, loss=0.05), None, self._record)
        swarm.run()
        self.swarm = swarm
        machine = swarm.peers[1].machine
        assert machine is not None
        self.machine: Peer = machine
        self.attacker = swarm.peers[3]
        self.now = EPOCH + 1000.0
        self.links = 10_000
        self.model = machine.status().model_hash

    def _record(self, at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received):
            self.messages.append(event.message)

    def feed(self, event: Event) -> tuple[Effect, ...]:
        return self.machine.handle(event, self.now)

    def link(self, guest: bytes = b"") -> int:
        """The attacker links again, after whatever shunning the last attempt earned; or somebody with a ticket does."""
        self.now += 31.0
        self.links += 1
        key, role = (guest, "trainer") if guest else (self.attacker.public, "")
        answer = self.feed(LinkUp(self.links, key, dialled=False, role=role))
        assert self.links not in [drop.link for drop in only(answer, Drop)]
        return self.links

    def say(self, link: int, frame: frames.Frame) -> tuple[Effect, ...]:
        return self.feed(Received(link, encode(frame)))


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    victim = Victim()
    yield victim
    status = victim.machine.status()
    assert status.model_hash == victim.model  # whatever the tests below did


def test_noise_and_mutated_frames_cost_a_link_and_raise_nothing(victim: Victim) -> None:
    luck = random.Random(SEED)
    dropped = 0
    link = victim.link()
    for _ in range(12_000):
        message = bytearray(luck.choice(victim.messages)) if luck.random() < 0.9 else bytearray(luck.randbytes(60))
        for _ in range(luck.randint(0, 3)):
            at = luck.randrange(len(message))
            if luck.random() < 0.7:
                message[at] ^= 1 << luck.randrange(8)
            else:
                message[at : at + luck.randint(0, 40)] = luck.randbytes(luck.randint(0, 40))
            message = message or bytearray(1)
        victim.now += 0.05
        answer = victim.feed(Received(link, bytes(message[: frames.MAX_MESSAGE_BYTES])))
        others = [drop for drop in only(answer, Drop) if drop.link != link]
        assert others == []
        if only(answer, Drop):
            dropped += 1
            link = victim.link()
    assert dropped > 1000  # most of them were refused


def test_memory_stays_bounded_under_mutated_frames(victim: Victim) -> None:
    luck = random.Random(SEED + 1)
    entries = [message for message in victim.messages if message[0] in (2, 4, 6)]

    def attack(count: int) -> None:
        link = victim.link()
        for _ in range(count):
            message = bytearray(luck.choice(entries))
            message[luck.randrange(len(message))] ^= 1 << luck.randrange(8)
            victim.now += 0.05
            if only(victim.feed(Received(link, bytes(message))), Drop):
                link = victim.link()

    attack(500)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    attack(3000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4_000_000


def test_a_flood_of_valid_frames_is_cut(victim: Victim) -> None:
    link = victim.link()
    sent = 0
    while not only(victim.say(link, Digest("00" * 32, ask=True)), Drop):
        sent += 1
        assert sent <= DEFAULT.frames_burst
    assert sent >= DEFAULT.frames_burst - 10


def test_long_lists_of_logs_count_for_what_they_cost(victim: Victim) -> None:
    """Looking at 1,820 logs takes some thirty milliseconds: two thousand such frames at once would stop a peer."""
    link = victim.link()
    logs = sorted(sha256(str(number).encode()).hexdigest() for number in range(frames.MAX_HAVE))
    sent = 0
    while not only(victim.say(link, Have(tuple((log, sent + 1, bytes(8)) for log in logs))), Drop):
        sent += 1
        assert sent < 100
    assert sent >= 10  # a large swarm says as much when it has news


def _signed(swarm: str, key: PrivateKey, log: PeerId, entries: list[bytes], size: int | None = None) -> Entries:
    tree = Tree(leaf_hash(data) for data in entries)
    name = checkpoint.origin(swarm, log)
    note = checkpoint.sign(checkpoint.Checkpoint(name, size or len(entries), tree.root()), key)
    return Entries(log, 0, note, (), tuple(entries))


def _enrol(victim: Victim, key: PrivateKey) -> bytes:
    template = victim.swarm.peers[1]._config.enrol
    return template.replace(template[template.index(b'"key":"') + 7 :][:64], key.public.hex().encode())


def test_entries_that_the_author_did_not_sign_are_refused(victim: Victim) -> None:
    key, other = PrivateKey.from_seed(b"a" * 32), PrivateKey.from_seed(b"b" * 32)
    enrol = _enrol(victim, key)
    log = entry_hash(enrol)
    for wrong in (
        _signed(victim.swarm.swarm_id, other, log, [enrol]),  # somebody else's signature
        _signed("00" * 32, key, log, [enrol]),  # of another swarm
        _signed(victim.swarm.swarm_id, key, entry_hash(b"x"), [enrol]),  # under a name that is not its own
        _signed(victim.swarm.swarm_id, key, log, [enrol], size=9),  # a root that is not that of nine entries
        Entries(log, 0, b"no note", (), (enrol,)),
    ):
        link = victim.link(guest=key.public)
        assert [drop.link for drop in only(victim.say(link, wrong), Drop)] == [link]


def test_a_stranger_whom_nobody_cites_gets_no_room(victim: Victim) -> None:
    """Signed and well-formed, but of a log that concerns nobody: neither wanted nor, once pushed, made a member."""
    key = PrivateKey.from_seed(b"c" * 32)
    enrol = _enrol(victim, key)
    link = victim.link()
    answer = victim.say(link, Have(((entry_hash(enrol), 1, bytes(8)),)))
    assert not [f for s in only(answer, Send) if isinstance(f := decode(s.message), Want)]
    before = victim.machine.status().heads
    victim.say(link, _signed(victim.swarm.swarm_id, key, entry_hash(enrol), [enrol]))
    assert victim.machine.status().heads == before


def test_a_broken_entry_ends_its_log_and_the_link_that_brought_it(victim: Victim) -> None:
    """The attacker signs, with its own key, an entry that has not seen what it says."""
    own = victim.attacker
    book = own.book
    assert book is not None
    size = book.replica.size(own.self_id)
    entries = [book.replica.data(own.self_id, seq) for seq in range(size)]
    last = book.replica.entry(own.self_id, size - 1)
    broken = Data(
        v=1, swarm=victim.swarm.swarm_id, seq=size, prev=entry_hash(entries[-1]), time=last.time, meets=[], seen=[],
        heads="11" * 32, root="22" * 32, records=1, labels={}, duplicates=0, features="toy/1", zone="private",
        sources=[],
    )  # fmt: skip
    signed = _signed(victim.swarm.swarm_id, own._key, own.self_id, [*entries, encode_entry(broken)])
    late = Entries(own.self_id, size, signed.note, (), signed.entries[size:])
    link = victim.link()
    answer = victim.say(link, late)
    assert [drop.link for drop in only(answer, Drop)] == [link]
    (refused,) = notes(list(answer), "refused")
    assert (refused["log"], refused["seq"], refused["rule"]) == (own.self_id, size, "heads")
    link = victim.link()  # remembered: whatever is offered of that log now, nothing is asked for
    answer = victim.say(link, Have(((own.self_id, size + 5, bytes(8)),)))
    assert not [f for s in only(answer, Send) if isinstance(f := decode(s.message), Want)]
    assert victim.machine.status().missing == 0


def test_a_blob_nobody_asked_for_is_ignored_and_a_window_beyond_one_is_refused(victim: Victim) -> None:
    link = victim.link()
    assert only(victim.say(link, Piece("12" * 32, 10, 0, b"0123456789")), Drop) == []
    policy = victim.swarm.peers[0].book.replica.genesis.policy  # type: ignore[union-attr]
    assert [d.link for d in only(victim.say(link, WantBlob(policy, 1 << 20, 10)), Drop)] == [link]


def test_asking_costs_no_more_than_one_message_of_answer(victim: Victim) -> None:
    link = victim.link()
    founder = victim.swarm.peers[0].self_id
    answer = victim.say(link, Want(founder, 0, 1 << 31, NO_HASH))
    assert len([send for send in only(answer, Send) if decode(send.message).__class__ is Entries]) == 1
