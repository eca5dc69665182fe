"""A swarm with one peer whose rows are secrets, and everything that its machine ever said, by whom it said it to.

    founder (admin), victim (trainer), auditor, trainer, relay, observer          one guest with an invite, one stranger

The swarm is simulated: machines, ledgers and signatures are the real ones. The victim publishes its data entry two
seconds in; what follows is up to a test. `Watched` keeps every effect, `Secrets` knows what must not be among them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from hashlib import sha256
from hmac import digest
from typing import Any, Final

from gossip.egress import ZoneSetting
from gossip.events import DataReady, Effect, Event, LinkUp, OpenRecords, Received, RecordsOpened, Send, Stored
from gossip.peer.author import chain
from gossip.sim import Scenario, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.network import Station
from gossip.sim.station import SimPeer
from gossip.wire import codec
from gossip.wire.frames import MAX_WINDOW_BYTES, NO_HASH, Digest, Entries, Lacks, Trace, Want, WantBlob
from ledger import checkpoint
from ledger.canonical import encode_entry, entry_hash
from ledger.entry import AnyEntry, Challenge, Data, Opening
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.opening import challenge_text, make_opening, make_sketch, public_salt
from ledger.provenance import commit_records, leaf_of, record_digest

FOUNDER, VICTIM, AUDITOR, TRAINER, RELAY, OBSERVER = range(6)
ROLES: Final = ("admin", "trainer", "auditor", "trainer", "relay", "observer")
OWN_SALT: Final = sha256(b"the victim's own salt").digest()
ROWS: Final = 40


class Secrets:
    """Rows with words that occur nowhere else, and what can be computed of them under a salt."""

    def __init__(self, salt: bytes) -> None:
        words = [sha256(b"row %d" % number).hexdigest()[:20].encode() for number in range(ROWS)]
        self.records = [
            (
                b"https://" + word + b".example/ https://" + word[::-1] + b".example/pixel image",
                b'["ad",' + word[:12] + b"]",
            )
            for word in words
        ]
        self.salt, self.leaves = salt, bytearray()
        self.commitment = commit_records(self.records, salt, keep=self.leaves.extend)

    def needles(self) -> Iterator[bytes]:
        """In clear: hosts, and labels with a mark. Then hashes and leaves, as bytes and in hex."""
        hashes = [self.salt]
        for key, value in self.records:
            yield from (key[8:28], key[37:57], value[6:18])
            leaf = leaf_of(self.salt, key, value)
            hashes += [sha256(key).digest(), record_digest(key, value), digest(self.salt, key, "sha256")]
            hashes += [leaf[:32], leaf[32:], leaf_hash(leaf), sha256(value).digest()]
        for each in hashes:
            yield from (each, each.hex().encode())

    def found_in(self, said: Iterable[bytes]) -> list[bytes]:
        """What of them can be read in all that."""
        everything = b"\n".join(said)
        return [needle for needle in self.needles() if needle in everything]


@dataclass(frozen=True, slots=True)
class Told:
    """One effect of the victim's machine; `key` is whose link it went to, b"" if it went to none."""

    effect: Effect
    key: bytes

    def said(self) -> Iterator[bytes]:
        """Every byte of it; of a message also what it unpacks to. Lacks repeats the name that was asked for."""
        if isinstance(self.effect, Send):
            if not isinstance(frame := codec.decode(self.effect.message), Lacks):
                yield self.effect.message
                yield from _spelled(frame)
        else:
            yield from _spelled(self.effect)


def _spelled(value: object) -> Iterator[bytes]:
    if isinstance(value, bytes | bytearray):
        yield bytes(value)
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, dict):
        yield from _spelled(list(value.items()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _spelled(item)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _spelled([getattr(value, field.name) for field in fields(value)])  # type: ignore[arg-type]


class Stage:
    """The swarm after some seconds. `setting` is what the victim's data entry says.

    `opened`: the auditor asks for records, and the victim's shell opens them. `private_again`: a second data entry says
    that the same data are private."""

    def __init__(self, setting: ZoneSetting, *, opened: bool = False, private_again: bool = False) -> None:
        self.setting = setting
        self.told: list[Told] = []
        self.messages: list[bytes] = []  # a corpus: what all peers received
        self.swarm = swarm = SimSwarm(
            Scenario(peers=6, seconds=8, seed=9, observers=(RELAY, OBSERVER, AUDITOR)), None, self._record
        )
        swarm.peers[FOUNDER].admits = self._admits  # type: ignore[method-assign]
        if opened:
            self._carry_out, self.victim._carry_out = self.victim._carry_out, self._open  # type: ignore[method-assign]
        salt = public_salt(swarm.swarm_id) if setting.zone == "public" else OWN_SALT
        self.secrets = Secrets(salt)
        self.now = EPOCH + 1000.0
        self.links = 10_000
        self.opening = b""
        at = swarm.clock.after
        at(0.5, self._watch)
        at(2.0, lambda: self.victim.deliver(DataReady(self._commitment(), 1.0, self._sketch())))
        if opened:
            at(4.0, self._ask)
        if private_again:
            at(6.0, lambda: self.victim.deliver(DataReady(self._commitment(private=True), 1.0)))
        swarm.run()

    def _admits(self, caller: Station) -> str:
        assert isinstance(caller, SimPeer)
        book = self.swarm.peers[FOUNDER].book
        assert book is not None
        return "" if book.replica.member_by_key(caller.public) is not None else ROLES[caller.index]

    def _record(self, at: float, peer: int, event: Event) -> None:
        if isinstance(event, Received):
            self.messages.append(event.message)

    @property
    def victim(self) -> SimPeer:
        return self.swarm.peers[VICTIM]

    def _watch(self) -> None:
        """From now on keep what the victim's machine says."""
        machine = self.victim.machine
        assert machine is not None
        handle, links = machine.handle, {}

        def watched(event: Event, now: float) -> tuple[Effect, ...]:
            if isinstance(event, LinkUp):
                links[event.link] = event.key
            effects = handle(event, now)
            for live in machine._links:
                links[live.link] = live.key
            self.told += [Told(e, links.get(e.link, b"") if isinstance(e, Send) else b"") for e in effects]
            return effects

        machine.handle = watched  # type: ignore[method-assign]

    def _commitment(self, private: bool = False) -> Data:
        made, sketch = self.secrets.commitment, self._sketch(private)
        zone = "private" if private else self.setting.zone
        return Data(
            v=1, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=made.root, records=made.records,
            labels={"ad": made.records}, duplicates=0, features="url-grams/1", zone=zone, sources=[],
            opens=[] if private else list(self.setting.opens),
            sketch=sha256(sketch).hexdigest() if sketch else "", sketch_bytes=len(sketch),
        )  # fmt: skip

    def _sketch(self, private: bool = False) -> bytes:
        """What an entry about rows that everybody may see has."""
        everybodys = self.setting.zone == "public" and not self.setting.opens and not private
        return make_sketch(self.secrets.leaves) if everybodys else b""

    # -------------------------------------------------------------- asking for records

    def data_entry(self) -> tuple[int, bytes, Data]:
        """(seq, bytes, entry) of the victim's first entry about these data."""
        replica = self.replica
        for seq in range(replica.size(self.victim.self_id)):
            entry = replica.entry(self.victim.self_id, seq)
            if isinstance(entry, Data) and entry.root == self.secrets.commitment.root:
                return seq, replica.data(self.victim.self_id, seq), entry
        raise AssertionError("the victim has published no data entry")

    @property
    def replica(self) -> Any:
        assert self.victim.book is not None
        return self.victim.book.replica

    def challenge(self, by: SimPeer, count: int = 12, of: tuple[str, int, bytes] | None = None) -> Challenge:
        """Of the victim's data, or `of` another (log, seq, bytes of the data entry)."""
        log, seq, data = of or (self.victim.self_id, *self.data_entry()[:2])
        assert by.machine is not None
        digest_ = entry_hash(data)
        signature = by._key.sign(challenge_text(self.swarm.swarm_id, by.self_id, digest_, count)).hex()
        return Challenge(
            **chain(by.machine._author.draft()), peer=log, data=seq, hash=digest_, count=count,
            signature=signature,
        )  # fmt: skip

    def _ask(self) -> None:
        """The auditor asks the victim to open records, as its machine would: the entry goes its usual way."""
        auditor, seq = self.swarm.peers[AUDITOR], self.data_entry()[0]
        replica = self.replica
        entries = [replica.entry(auditor.self_id, at) for at in range(replica.size(auditor.self_id))]
        asked = [entry for entry in entries if isinstance(entry, Challenge)]
        if (self.victim.self_id, seq) not in [(entry.peer, entry.data) for entry in asked]:  # as a receiver
            self.write(auditor, self.challenge(auditor))

    def write(self, peer: SimPeer, body: AnyEntry, blob: bytes | None = None) -> None:
        """Have a peer publish an entry. What was just written waits in its outbox for the next event."""
        assert peer.machine is not None
        author = peer.machine._author
        author.write(author.draft(), body, self.swarm.clock.now, blob)
        peer.deliver(Stored(author.stored - 1))

    def _open(self, effect: Effect) -> None:
        """The victim's shell: it reads the secret rows again, as for any challenge that the machine lets through."""
        if not isinstance(effect, OpenRecords) or effect.root != self.secrets.commitment.root:
            self._carry_out(effect)
            return
        leaves, swarm = bytes(self.secrets.leaves), self.swarm.swarm_id
        blob = make_opening(leaves, self.secrets.records, swarm, effect.signature.hex(), effect.count)
        self.opening = self.opening or blob
        answer = RecordsOpened(effect.challenger, effect.seq, blob)
        self.swarm.clock.after(0.05, lambda: self.victim.deliver(answer))

    def opening_of(self, by: SimPeer, challenger: str, seq: int, blob: bytes) -> Opening:
        assert by.machine is not None
        return Opening(
            **chain(by.machine._author.draft()), peer=challenger, challenge=seq, opened=sha256(blob).hexdigest(),
            opened_bytes=len(blob),
        )  # fmt: skip

    # -------------------------------------------------------------- talking to the victim by hand

    def feed(self, event: Event) -> tuple[Effect, ...]:
        assert self.victim.machine is not None
        return self.victim.machine.handle(event, self.now)

    def link(self, key: bytes, role: str = "") -> int:
        """A link anew, after whatever shunning the last one earned."""
        self.now += 31.0
        self.links += 1
        self.feed(LinkUp(self.links, key, dialled=False, role=role))
        return self.links

    def entries(self, by: SimPeer, body: AnyEntry) -> Entries:
        """One more entry of a member's log, signed as its author signs, whatever it says."""
        assert by.book is not None
        replica, data = by.book.replica, encode_entry(body)
        start = replica.size(by.self_id)
        tree = Tree(leaf_hash(replica.data(by.self_id, seq)) for seq in range(start))
        tree.append(leaf_hash(data))
        name = checkpoint.origin(self.swarm.swarm_id, by.self_id)
        note = checkpoint.sign(checkpoint.Checkpoint(name, tree.size, tree.root()), by._key)
        return Entries(by.self_id, start, note, (), (data,))

    def heard(self, keys: Iterable[bytes] | None = None) -> Iterator[bytes]:
        """Every byte of every effect; with `keys` only of what went to links of these."""
        wanted = None if keys is None else set(keys)
        for told in self.told:
            if wanted is None or told.key in wanted:
                yield from told.said()


@cache
def opened_stage(setting: ZoneSetting) -> Stage:
    """A stage on which the victim has answered the auditor, for tests that only look."""
    return Stage(setting, opened=True)


GUEST: Final = PrivateKey.from_seed(sha256(b"guest").digest())
STRANGER: Final = PrivateKey.from_seed(sha256(b"stranger").digest())


def fuzz(stage: Stage, count: int, seed: int) -> int:
    """Feed the victim `count` frames from links of random roles. How many of them asked for a blob by its name."""
    luck = random.Random(seed)
    senders = [peer for peer in stage.swarm.peers if peer is not stage.victim]
    keys = [*(peer.public for peer in senders), GUEST.public, STRANGER.public]
    guesses = list(map(bytes.hex, _hashes(stage)))
    names = [*stage.victim.memory.blobs, *luck.sample(guesses, 20), *[sha256(stage.opening).hexdigest()] * 20]
    logs = [peer.self_id for peer in stage.swarm.peers]
    links = {key: stage.link(key, "trainer" if key == GUEST.public else "") for key in keys}
    wants = 0
    for _ in range(count):
        key = luck.choice(keys)
        message, is_want = _message(stage, luck, senders, names, logs)
        wants += is_want
        stage.now += luck.choice([0.0, 0.05, 3.0])
        assert stage.victim.machine is not None
        if stage.victim.machine._links.get(links[key]) is None:
            links[key] = stage.link(key, "trainer" if key == GUEST.public else "")
        stage.feed(Received(links[key], message))
    return wants


def _hashes(stage: Stage) -> list[bytes]:
    """What somebody might guess is the name of a blob."""
    return [bytes.fromhex(stage.secrets.commitment.root), *(n for n in stage.secrets.needles() if len(n) == 32)]


def _message(
    stage: Stage, luck: random.Random, senders: list[SimPeer], names: list[str], logs: list[str]
) -> tuple[bytes, bool]:

    match luck.randrange(10):
        case 0 | 1 | 2 | 3:
            window = luck.choice([1, 4096, MAX_WINDOW_BYTES])
            return codec.encode(WantBlob(luck.choice(names), luck.choice([0, 0, 0, 64, 1000]), window)), True
        case 4:
            log = luck.choice(logs)
            start = luck.randrange(stage.replica.size(log))
            before = entry_hash(stage.replica.data(log, start - 1)) if start else NO_HASH
            return codec.encode(Want(log, start, start + luck.randrange(1, 60), before)), False
        case 5:
            asks = luck.choice(senders)
            return codec.encode(stage.entries(asks, stage.challenge(asks, luck.randint(1, 256)))), False
        case 6:
            return codec.encode(Digest("00" * 32, ask=True)), False
        case 7:
            seq, data, _ = stage.data_entry()
            return codec.encode(Trace(stage.victim.self_id, seq, entry_hash(data), 0)), False
        case 8:
            message = bytearray(luck.choice(stage.messages))
            message[luck.randrange(len(message))] ^= 1 << luck.randrange(8)
            return bytes(message), False
        case _:
            return luck.choice(stage.messages), False
