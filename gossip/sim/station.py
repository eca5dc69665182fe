"""One simulated peer: the machine, and a shell without a world around it.

    Dial, Send, Drop --> Network      SetTimer --> VirtualClock      Train --> Trainer, after its virtual time
    Append, Keep ------> Memory (disk.py: survives a crash, except what was not yet on disk)

Its clock may be wrong (`skew_s`): the machine is told its own time, and what that is in the world's is known only here.
A write that fails ends the program, as in gossip/node: nothing is acknowledged; its owner makes the disk good and
starts it again. A fuse (`burn`) ends a life after so many steps of a publish, a step being one effect or one write
reaching the disk.

What gossip/node does with sockets, processes and SQLite, in a page. It decides nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec
import numpy as np

from gossip.config import PeerConfig
from gossip.egress import ANYBODY, Receiver, Records, Released, Shard, Sketch, ZoneSetting, release
from gossip.events import (
    Append,
    Borrow,
    Borrowed,
    CutShards,
    DataReady,
    Dial,
    Drain,
    Drop,
    DropBlobs,
    DropRows,
    Effect,
    Event,
    Inspect,
    Inspected,
    Judge,
    Judged,
    Keep,
    KeepBase,
    KeepCheckpoint,
    KeepCosigned,
    KeepModel,
    KeepRendezvous,
    KeepRows,
    KeepVote,
    KeepWitnessed,
    NewKey,
    Note,
    OpenRecords,
    RecordsOpened,
    Send,
    SetTimer,
    ShardsCut,
    Started,
    Stored,
    Timer,
    Train,
    Trained,
    TrainingFailed,
    WitnessedStored,
)
from gossip.merging.codec import ErrorFeedback
from gossip.openings import cut_shards, open_records, sketch_of
from gossip.peer import Book, Peer
from gossip.quality.leaning import loss_milli
from gossip.sim.disk import Memory
from gossip.sim.network import Station
from gossip.sim.toy import Keeper, Referee, Stepper, Weigher
from ledger.chain import peer_of
from ledger.entry import FORMAT_VERSION, Claim, Data, Hash, Measured, PeerId
from ledger.kept import StoredBase, StoredCheckpoint, StoredVote
from ledger.keys import PrivateKey, key_digest
from ledger.opening import public_salt
from ledger.provenance import commit_records
from ledger.sketch import count_of, span_root

if TYPE_CHECKING:
    from gossip.sim.swarm import SimSwarm

DISK_S: Final = 0.003  # until an own entry is durable
LOOK_S: Final = 0.05  # until records are opened, or looked at, or models are compared


Write = (
    Append | Keep | KeepCheckpoint | KeepWitnessed | KeepVote | KeepCosigned | KeepModel | KeepBase | KeepRendezvous
    | DropBlobs
)  # fmt: skip


class SimPeer:
    """One peer and its shell. `alike`: the number of the peer that it learns like, if it is another's twin."""

    def __init__(
        self,
        swarm: SimSwarm,
        index: int,
        key: PrivateKey,
        config: PeerConfig,
        self_id: PeerId,
        alike: int | None = None,
    ) -> None:
        self.index = index
        self.alike = index if alike is None else alike
        self.self_id = self_id
        self.is_up = False
        self.restored = False  # its store was made anew from a backup of the keys
        self.memory = Memory()
        self.machine: Peer | None = None
        self.book: Book | None = None
        self._swarm = swarm
        self._key = key
        self._changes = 0  # of keys, asked for
        self._new: PrivateKey | None = None
        self._config = config
        self._skew_s = (
            round(1024 * swarm.scenario.skew_s.get(self.alike, 0.0)) / 1024
        )  # there and back without rounding
        self._writes: list[Write] = []  # under way, in order
        self._life = 0  # what was under way in an earlier one is void
        self._timers: dict[str, float] = {}
        self._feedback: ErrorFeedback | None = None
        self._fuse: int | None = None
        self._is_lit = False
        self._leaves = bytearray()  # of the tree over its data
        self._commitment: Data | None = None
        self._rows: dict[Hash, tuple[tuple[bytes, bytes], ...]] = {}  # of others, by shard
        self.borrowed: tuple[Borrowed, ...] = ()  # of these, what it commits to with its own
        self.acknowledged = 0  # own entries that the disk answered for
        self._density = 0  # of the delta that is made now, as Train asks for it
        self._spent = 0  # of its privacy: on its disk, too

    # -------------------------------------------------------------- life

    def start(self) -> None:
        """Come up with what the store holds."""
        if self.is_up:  # its disk was mended while it was down for another reason
            return
        swarm = self._swarm
        self._life += 1
        self._timers.clear()
        self._writes.clear()
        self._rows, self.borrowed = {}, ()
        self.memory.recover()
        self._feedback = ErrorFeedback(swarm.parameters, swarm.scenario.density)
        self.book = swarm.book_of(self)
        luck = Random(f"{swarm.scenario.seed}/{self.index}/{self._life}")
        config = replace(self._config, restored=self.restored, rendezvous=self.memory.rendezvous)
        if config.inviter:  # an invite of today: older ones name a key that the founder may have left behind
            config = replace(config, inviter=swarm.peers[swarm.scenario.guests.get(self.alike, 0)].public)
        self.machine = Peer(
            config, key=self._key, self_id=self.self_id, book=self.book, shelf=self.memory, luck=luck,
            mark=self.memory.mark,
        )  # fmt: skip
        self.is_up = True
        swarm.started(self)
        self.deliver(Started())
        if self.alike not in swarm.scenario.observers:
            self.deliver(self._data_ready())
        if swarm.clock.elapsed_s >= swarm.scenario.seconds:
            self.deliver(Drain())
        swarm.introduce(self)

    def crash(self) -> None:
        """Die without a word. What was not on disk is lost; or some of it is there, if disks are torn."""
        if self.is_up and self._swarm.scenario.torn:
            self._tear()
        self.is_up = False
        self._life += 1
        self._fuse, self._is_lit = None, False
        self.memory.crash()
        self._swarm.network.crash(self)

    def _tear(self) -> None:
        """The power goes: of the writes under way the first few are on the disk, and half of the next one."""
        landed = Random(f"{self._swarm.scenario.seed}/{self.index}/{self._life}/torn").randint(0, len(self._writes))
        for write in self._writes[:landed]:
            self._put(write)
        for write in self._writes[landed : landed + 1]:
            self._put_half(write)

    def _put_half(self, write: Write) -> None:
        if isinstance(write, Append | Keep):  # of anything else half is nothing
            self.memory.tear(self.self_id if isinstance(write, Append) else write.log, write.seq, write.entry)

    def _is_stopped_by_disk(self, write: Write) -> bool:
        """Whether a write fails now. Then the program has ended, and is started again when its disk is good."""
        scenario, elapsed_s = self._swarm.scenario, self._swarm.clock.elapsed_s
        for faulty, leaves_half in ((scenario.disk_full, False), (scenario.disk_error, True)):
            for bad in faulty:
                if bad.peer == self.index and bad.at <= elapsed_s < bad.until:
                    if leaves_half:
                        self._put_half(write)
                    self._writes.clear()
                    self.crash()
                    self._swarm.stopped(self, "input/output error" if leaves_half else "no space left")
                    self._swarm.clock.after(bad.until - elapsed_s, self.start)
                    return True
        return False

    def burn(self, steps: int) -> None:
        """Die `steps` steps into the next own entry."""
        self._fuse, self._is_lit = steps, False

    def _step(self) -> bool:
        """One step was made. False if it was the last of this life."""
        if self._is_lit and self._fuse is not None:
            self._fuse -= 1
            if self._fuse < 0:
                self.crash()
        return self.is_up

    @property
    def public(self) -> bytes:
        """The key that it proves on links."""
        return self._key.public

    def change_key(self, recover: bool = False, since: int | None = None) -> None:
        """What `gossip key rotate` and `recover` do."""
        seed, signing = self._swarm.scenario.seed, self._swarm.signing
        if self._new is None:
            self._changes += 1
            self._new = signing.key(key_seed(seed, self.index, self._changes))
        after = next_key(seed, self.index, self._changes + 1)
        self.deliver(NewKey(self._new, key_digest(after.public), recover, since))

    def _follow_keys(self) -> None:
        promise = self.machine.promise() if self.machine is not None else None
        if self._new is not None and promise is not None and promise.key == self._new.public:
            self._key, self._new = self._new, None

    def admits(self, caller: Station) -> str | None:
        assert self.book is not None
        if self.book.replica.member_by_key(caller.public) is not None:
            return ""
        sponsor = self._swarm.scenario.guests.get(caller.index, 0)  # everybody else holds a ticket of the founder's
        return "trainer" if self.index == sponsor else None

    # -------------------------------------------------------------- the shell

    def deliver(self, event: Event) -> None:
        """One event in, its effects carried out."""
        if not self.is_up or self.machine is None:
            return
        self._swarm.saw(self, event)
        life = self._life
        effects = self.machine.handle(event, self._swarm.clock.now + self._skew_s)
        self._swarm.handled(self)
        for effect in effects:
            self._is_lit = self._is_lit or (self._fuse is not None and isinstance(effect, Append))
            if life != self._life or not self._step():
                return
            self._carry_out(effect)
        self._follow_keys()

    def _later(self, seconds: float, event: Event) -> None:
        self._swarm.clock.after(seconds, partial(self._deliver_in, self._life, event))

    def _deliver_in(self, life: int, event: Event) -> None:
        if life == self._life:
            self.deliver(event)

    def _carry_out(self, effect: Effect) -> None:
        swarm = self._swarm
        match effect:
            case Send(link, message):
                swarm.network.send(link, message)
            case Dial(host, port, key):
                swarm.network.dial(self, host, port, key)
            case Drop(link, reason):
                swarm.network.close(link, reason)
            case SetTimer(name, at):
                self._timers[name] = at
                swarm.clock.at(at - self._skew_s, partial(self._ring, self._life, name, at))
            case Append(_, _, blob) | Keep(_, _, _, blob):
                self.memory.begin(blob)
                self._write(effect)
            case KeepCheckpoint(log, size):
                if log == self.self_id and effect.held is None and self.book is not None:
                    if self._is_stopped_by_disk(effect):
                        return
                    self.memory.sign(size, self.book.replica.root(log, size).hex())
                    swarm.signed(self, size)
                self._write(effect)
            case KeepWitnessed() | KeepVote() | KeepCosigned() | KeepModel() | KeepBase() | DropBlobs():
                self._write(effect)
            case KeepRendezvous():
                self._write(effect)
            case Train():
                self._train(effect)
            case OpenRecords(challenger, seq):
                self._later(LOOK_S, RecordsOpened(challenger, seq, self._open(effect)))
            case CutShards(root):
                self._later(LOOK_S, ShardsCut(root, self._cut(root)))
            case KeepRows(shard, rows):
                self._rows[shard] = rows
            case Borrow(shards):
                self.borrowed = shards
                self._later(LOOK_S, self._data_ready())
            case DropRows(shards):
                for shard in shards:
                    del self._rows[shard]
            case Inspect(number, records):
                found = swarm.trainer.inspect(records) if isinstance(swarm.trainer, Keeper) else None
                self._later(LOOK_S, Inspected(number, found))
            case Judge(number):
                self._later(LOOK_S, Judged(number, self._judge(effect), self._leaning(effect)))
            case Note(kind, fields):
                swarm.noted(self, kind, fields)
            case _:
                assert_never(effect)

    def _ring(self, life: int, name: str, at: float) -> None:
        if life == self._life and self._timers.get(name) == at:
            del self._timers[name]
            self.deliver(Timer(name))

    def _write(self, write: Write) -> None:
        self._writes.append(write)
        self._swarm.clock.after(DISK_S, partial(self._written, self._life, write))

    def _written(self, life: int, write: Write) -> None:
        """A write has reached the disk; they do so in order."""
        if life != self._life or not self._step() or self._is_stopped_by_disk(write):
            return
        self._writes.pop(0)
        self._put(write)
        match write:
            case Append(seq):
                self.acknowledged = seq + 1
                self.deliver(Stored(seq))
            case KeepWitnessed(log, size) | KeepVote(log, size):
                self.deliver(WitnessedStored(log, size))

    def _put(self, write: Write) -> None:
        """It is on the disk."""
        match write:
            case Append(seq, entry, blob):
                self.memory.put(self.self_id, seq, entry, blob)
            case Keep(log, seq, entry, blob):
                self.memory.put(log, seq, entry, blob)
            case KeepCheckpoint(log, size, note, held, proof):
                whole = size if held is None else held
                self.memory.checkpoints[log] = StoredCheckpoint(size, note, whole, proof)
            case KeepWitnessed(log, size, root):
                self.memory.promises[log] = (size, root)
            case KeepVote(log, size, digest):
                self.memory.last_vote = StoredVote(log, size, digest)
            case KeepModel(model, data):
                self.memory.kept_model = (model, data)
            case KeepBase(log, seq, sums):
                self.memory.base = StoredBase(log, seq, sums)
            case KeepRendezvous(data):
                self.memory.rendezvous = data
            case DropBlobs(hashes):
                self.memory.drop(hashes)
            case KeepCosigned(log, size, note):
                self.memory.notes[log] = (size, note)
        self._swarm.stored(self, write)

    def _data_ready(self) -> DataReady:
        """Commit to what this peer trains on, as the training process does."""
        scenario, trainer = self._swarm.scenario, self._swarm.trainer
        claimed, _ = scenario.epsilon.get(self.alike, (0, 0))
        claim = Claim(epsilon=claimed, delta=100_000) if claimed else Claim()
        if not isinstance(trainer, Keeper):
            made_up = msgspec.structs.replace(commitment(self.alike), privacy=claim)
            return DataReady(made_up, self._round_s, steps=self._steps)
        is_public = self.alike in scenario.public
        setting = ZoneSetting("public" if is_public else "private", tuple(sorted(scenario.opens.get(self.alike, ()))))
        records = [*trainer.records(self.alike), *(row for one in self.borrowed for row in self._rows[one.shard])]
        salt = public_salt(self._swarm.swarm_id) if is_public else digest(f"salt {scenario.seed}/{self.alike}")
        self._leaves = bytearray()
        made = commit_records(records, salt, keep=self._leaves.extend)
        leave = release(setting, Sketch, of=made.root, to=ANYBODY)
        sketch = sketch_of(leave, self._leaves) if isinstance(leave, Released) else b""
        data = msgspec.structs.replace(
            commitment(self.alike), root=made.root, records=made.records,
            duplicates=made.duplicates // 8 if self._fault == "hides" else made.duplicates,
            conflicts=made.conflicts, labels=dict(trainer.labels(self.alike)), features=trainer.features,
            zone=setting.zone, opens=list(setting.opens), sketch=sha256(sketch).hexdigest() if sketch else "",
            sketch_bytes=len(sketch), privacy=claim,
        )  # fmt: skip
        self._commitment = data
        return DataReady(data, self._round_s, sketch, self._steps)

    @property
    def _round_s(self) -> float:
        return self._swarm.scenario.round_s * self._swarm.scenario.slow.get(self.alike, 1.0)

    @property
    def _steps(self) -> int:
        trainer = self._swarm.trainer
        return trainer.steps if isinstance(trainer, Stepper) else 0

    def _open(self, asked: OpenRecords) -> bytes:
        """Show what a challenge has picked, or what a cheat would like to show."""
        trainer, data, fault = self._swarm.trainer, self._commitment, self._fault
        if fault == "mute" or not isinstance(trainer, Keeper) or data is None or data.root != asked.root:
            return b""
        leaves, records = self._leaves, list(trainer.records(self.alike))
        if fault == "lies":  # one label made better than it was when it was committed to
            key, value = records[0]
            records = [
                (one, b"yes" if value == b"no" else b"no") if one == key else (one, what) for one, what in records
            ]
            leaves = bytearray()
            commit_records(records, public_salt(self._swarm.swarm_id), keep=leaves.extend)
        root = span_root(leaves, 0, count_of(leaves)).hex()
        to = Receiver(asked.challenger, self.book.replica.role_of(asked.challenger) if self.book is not None else "")
        leave = release(ZoneSetting.of_entry(data), Records, of=root, to=to)
        if not isinstance(leave, Released):
            return b""
        return open_records(
            leave, to, leaves, records, swarm=self._swarm.swarm_id, signature=asked.signature.hex(), count=asked.count
        )

    def _cut(self, root: Hash) -> tuple[bytes, ...]:
        """All records in shards, for those whom its owner named."""
        trainer, data = self._swarm.trainer, self._commitment
        if not isinstance(trainer, Keeper) or data is None or data.root != root or self.book is None:
            return ()
        setting = replace(ZoneSetting.of_entry(data), lends=self._config.lend_to)
        for peer in self._config.lend_to:
            leave = release(setting, Shard, of=root, to=Receiver(peer, self.book.replica.role_of(peer)))
            if isinstance(leave, Released):
                return cut_shards(leave, self._leaves, trainer.records(self.alike), swarm=self._swarm.swarm_id)
        return ()

    def _judge(self, asked: Judge) -> tuple[Measured, ...]:
        """Own rows, for who has any; and the canary set, if the policy pins one: everybody holds it."""
        trainer, found = self._swarm.trainer, list[Measured]()
        if isinstance(trainer, Keeper) and self.alike not in self._swarm.scenario.observers:
            given, without = (trainer.measure(theta, self.alike) for theta in (asked.given, asked.without))
            found.append(Measured(on="holdout", given=given, without=without))
        if isinstance(trainer, Referee) and self.book is not None and self.book.replica.policy_now().canary:
            given, without = (trainer.measure_canary(theta) for theta in (asked.given, asked.without))
            found.append(Measured(on="canary", given=given, without=without))
        return tuple(found)

    def _leaning(self, asked: Judge) -> int | None:
        """On rows of its own that are labelled as the author's; None for who has none."""
        trainer = self._swarm.trainer
        if not isinstance(trainer, Weigher) or self.alike in self._swarm.scenario.observers:
            return None
        (further, labels), (back, _) = (trainer.losses(theta, self.alike) for theta in (asked.given, asked.back))
        return loss_milli(further, back, labels, asked.labels)

    @property
    def _fault(self) -> str:
        return self._swarm.scenario.faults.get(self.alike, "")

    def _copied(self) -> bytes | None:
        """The newest delta of somebody else."""
        assert self.book is not None
        terms = [term for term in self.book.replica.updates if peer_of(term[0]) != self.self_id]
        newest = max(terms, key=lambda term: (term[1], term[0]), default=None)
        return self.memory.blob(newest[2]) if newest is not None else None

    def _train(self, asked: Train) -> None:
        """One round. It takes as long as its steps do; a trainer that knows no steps makes every round as long."""
        swarm, number, theta = self._swarm, asked.round, asked.theta
        assert self._feedback is not None
        claimed, cost = swarm.scenario.epsilon.get(self.alike, (0, 0))
        if self._spent + cost > claimed:
            self.deliver(TrainingFailed(number, "the privacy budget is spent"))
            return
        self._spent += cost
        trainer, share = swarm.trainer, 1.0
        if asked.steps and isinstance(trainer, Stepper):
            share = asked.steps / trainer.steps
            new, steps, examples, scores = trainer.train_for(theta, self.alike, number, asked.steps)
        else:
            new, steps, examples, scores = trainer.train(theta, self.alike, number)
        self._density = asked.density_permille
        blob = self._publishes(self._feedback, theta, np.asarray(new, dtype=np.float32) - theta)
        seconds = share * self._round_s * swarm.luck.uniform(0.9, 1.1)
        self._later(seconds, Trained(number, blob, steps, examples, scores, seconds, self._spent))

    def _publishes(
        self, feedback: ErrorFeedback, theta: np.ndarray[Any, np.dtype[np.float32]],
        step: np.ndarray[Any, np.dtype[np.float32]],
    ) -> bytes:  # fmt: skip
        """The delta of a round that began at `theta`. Hostile programs say something else here (tests/attack)."""
        blob = feedback.compress(-3 * step if self._fault == "harms" else step, self._density)
        return (self._copied() or blob) if self._fault == "copies" else blob


def commitment(index: int) -> Data:
    """A Data entry for the toy data of one peer; the machine fills in the chain fields."""
    return Data(
        v=FORMAT_VERSION, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="",
        root=digest(f"data {index}").hex(), records=64, labels={"no": 32, "yes": 32}, duplicates=0, features="toy/1",
        zone="private", sources=[],
    )  # fmt: skip


def next_key(seed: int, index: int, change: int) -> PrivateKey:
    """The key of a peer after so many changes."""
    return PrivateKey.from_seed(key_seed(seed, index, change))


def key_seed(seed: int, index: int, change: int) -> bytes:
    return digest(f"key {seed}/{index}/{change}")


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()
