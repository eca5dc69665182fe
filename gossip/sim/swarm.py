"""A swarm in one process and virtual time: the same Peer machine as in a real node, its joys and its troubles.

    Scenario --> keys, genesis, enrol entries --> peers start, crash, are cut off, drain --> SimReport
                            after every event --> invariants.py

Rules kept here: all chance comes from the scenario's seed; signatures (unless the scenario says otherwise), hashes,
ledgers and folds are real; joiners come in by a ticket and an enrol entry like anybody; who watches changes nothing.
It refuses to know what the machine does inside.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any, Final

import msgspec

from gossip.config import PeerConfig
from gossip.events import (
    Drain,
    Event,
    Found,
    NewPolicy,
    Received,
)
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer import Book, restore
from gossip.setup import fold_constants
from gossip.sim.cheats import Cheat, cheats_of
from gossip.sim.clock import EPOCH, VirtualClock
from gossip.sim.invariants import Invariants
from gossip.sim.network import HOST, Network
from gossip.sim.report import Sample, SimReport
from gossip.sim.scenario import Crash, Scenario
from gossip.sim.signatures import Signing
from gossip.sim.station import DISK_S, SimPeer, Write, digest, next_key
from gossip.sim.toy import Keeper, ToyTrainer, Trainer
from ledger.canonical import encode_entry, entry_hash
from ledger.chain import peer_of
from ledger.entry import FORMAT_VERSION, Enrol, Genesis, Hash, PeerId
from ledger.fold import parameters
from ledger.keys import PrivateKey, key_digest
from ledger.policy import Policy

MAX_REFUSALS: Final = 100
SAMPLES: Final = 20  # of the curve, while there is training; one more at the end
LOOKS: Final = 4  # from the start to the end of training, at all that everybody holds
_CHECK_S: Final = 0.25  # between looks whether everybody agrees

OnEvent = Callable[[float, int, Event], None]  # seconds since the start, peer, event


class SimSwarm:
    """A scenario under way. `simulate` is the usual door; tests look inside."""

    def __init__(self, scenario: Scenario, trainer: Trainer | None = None, on_event: OnEvent | None = None) -> None:
        self.scenario = scenario
        self.trainer = trainer or ToyTrainer(scenario.peers, scenario.seed, scenario.flipped)
        self.luck = Random(f"{scenario.seed}/world")
        self.clock = VirtualClock()
        self.network = Network(
            self.clock, Random(f"{scenario.seed}/network"), loss=scenario.loss, delay_s=scenario.delay_s,
            jitter_s=scenario.jitter_s, is_cut=self._is_cut, duplicate=scenario.duplicate, reorder=scenario.reorder,
            held_s=scenario.held_s,
        )  # fmt: skip
        self.signing = Signing(scenario.signatures, scenario.seed)
        self.network.lines = scenario.lines
        self.notes: list[tuple[float, int, str, dict[str, Any]]] = []
        self._on_event = on_event
        self._trace = sha256()
        self.events = 0
        self._refusals: list[str] = []
        self._cuts: list[tuple[int, ...]] = []
        self.parameters = parameters(self.trainer.layout)
        self.peers = self._found()
        self.twins = [self._twin(number, twin.peer) for number, twin in enumerate(scenario.twins)]
        self.invariants = Invariants(
            self.swarm_id, self.peers[0].self_id, scenario.eta, NumpyArithmetic, lambda: self.clock.elapsed_s
        )
        self._curve: list[Sample] = []
        forkers = {twin.peer for twin in scenario.twins}
        self.honest = [peer for peer in self.peers if peer.index not in forkers]
        for peer in (*self.peers, *self.twins):
            self.network.attach(peer)

    def _found(self) -> list[SimPeer]:
        """Keys, genesis and enrol entries: what `gossip new` and `gossip join` write."""
        scenario = self.scenario
        keys = [self.signing.key(digest(f"key {scenario.seed}/{i}")) for i in range(scenario.peers)]
        policy = Policy.parse(scenario.policy)
        usual = fold_constants(eta=scenario.eta, norm0=scenario.norm0)
        fold = msgspec.structs.replace(usual, **scenario.constants)
        genesis = encode_entry(
            Genesis(
                v=FORMAT_VERSION, swarm="", seq=0, prev="", time=int(EPOCH), meets=[], seen=[], heads=digest("").hex(),
                name="simulated", task="table", model="{}", layout=list(self.trainer.layout),
                seed=digest(f"start {scenario.seed}").hex(), fold=fold,
                policy=policy.hash, threshold=scenario.threshold,
                admins=[key.public.hex() for key in keys[: scenario.admins]],
                witnesses=[key.public.hex() for key in keys[: scenario.witnesses]],
                guests=max(Counter(scenario.guests.values()).values(), default=0),
            )
        )  # fmt: skip
        self.swarm_id = entry_hash(genesis)
        peers: list[SimPeer] = []
        for index, key in enumerate(keys):
            sponsor = scenario.guests.get(index, 0)
            enrol = self._enrol(index, key, sponsor=peers[sponsor].self_id if peers else "")
            inviter = keys[sponsor].public if index else b""
            leads = "yes" if index in scenario.leaders else scenario.config.leads
            config = replace(
                scenario.config, enrol=enrol if index else b"", inviter=inviter, leads=leads,
                keep_updates=scenario.prunes.get(index, scenario.config.keep_updates),
            )  # fmt: skip
            peer = self.make_peer(index, key, config, entry_hash(enrol))
            if index == 0:
                peer.memory.put(peer.self_id, 0, genesis, scenario.policy.encode())
            peer.memory.put(peer.self_id, 1 if index == 0 else 0, enrol, None)
            peers.append(peer)
        ids = [peer.self_id for peer in peers]
        for peer in peers:
            lend_to = tuple(ids[borrower] for borrower in scenario.lends.get(peer.index, ()))
            borrow_from = tuple(ids[lender] for lender, to in sorted(scenario.lends.items()) if peer.index in to)
            if lend_to or borrow_from:
                peer._config = replace(peer._config, lend_to=lend_to, borrow_from=borrow_from)
        return peers

    def make_peer(self, index: int, key: PrivateKey, config: PeerConfig, self_id: PeerId) -> SimPeer:
        """A peer and its shell: who simulates hostile ones overrides this."""
        return SimPeer(self, index, key, config, self_id)

    def _twin(self, number: int, of: int) -> SimPeer:
        original = self.peers[of]
        index = self.scenario.peers + number
        return SimPeer(self, index, original._key, original._config, original.self_id, alike=of)

    def _wake(self, twin: SimPeer) -> None:
        """A copy of a disk begins to run."""
        twin.memory = self.peers[twin.alike].memory.copy()
        twin.start()

    def _enrol(self, index: int, key: PrivateKey, sponsor: PeerId) -> bytes:
        return encode_entry(
            Enrol(
                v=FORMAT_VERSION, swarm=self.swarm_id, seq=0 if sponsor else 1, prev="" if sponsor else self.swarm_id,
                time=int(EPOCH), meets=[], seen=[], heads=digest("").hex(), key=key.public.hex(),
                next=key_digest(next_key(self.scenario.seed, index, 1).public), sponsor=sponsor, name=f"peer-{index}",
            )
        )  # fmt: skip

    # -------------------------------------------------------------- for the peers

    def book_of(self, peer: SimPeer) -> Book:
        """What a starting peer finds in its store."""
        memory = peer.memory
        return restore(
            self.swarm_id, self.peers[0].self_id, memory.history, memory.blobs.get, NumpyArithmetic(), memory.base
        )  # fmt: skip

    def introduce(self, newcomer: SimPeer) -> None:
        """Discovery: everybody who is up hears of a newcomer, and it of them (and of the founder, by its ticket)."""
        for other in (*self.peers, *self.twins):
            if other.self_id != newcomer.self_id and (other.is_up or other.index == 0):
                for a, b in ((newcomer, other), (other, newcomer)):
                    event = Found(HOST, b.index, b.public)
                    self.clock.after(self.luck.uniform(0.05, 0.5), partial(a.deliver, event))

    def saw(self, peer: SimPeer, event: Event) -> None:
        self.events += 1
        spelled = repr((event.link, event.message)) if isinstance(event, Received) else repr(event)
        self._trace.update(f"{self.clock.now!r} {peer.index} {spelled}\n".encode())
        if self._on_event is not None:
            self._on_event(self.clock.elapsed_s, peer.index, event)

    def started(self, peer: SimPeer) -> None:
        self.invariants.started(peer)

    def handled(self, peer: SimPeer) -> None:
        self.invariants.after(peer)

    def stored(self, peer: SimPeer, write: Write) -> None:
        self.invariants.stored(peer, write)

    def signed(self, peer: SimPeer, size: int) -> None:
        self.invariants.signed(peer, size)

    def stopped(self, peer: SimPeer, why: str) -> None:
        """A program has ended by itself: nothing can be written."""
        self.notes.append((self.clock.elapsed_s, peer.index, "stopped", {"reason": why}))

    def noted(self, peer: SimPeer, kind: str, fields: dict[str, Any]) -> None:
        if kind == "refused" and len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(str(fields.get("text", "")))
        if kind != "entry":
            self.notes.append((self.clock.elapsed_s, peer.index, kind, fields))

    # -------------------------------------------------------------- the run

    def _is_cut(self, a: int, b: int) -> bool:
        return any((a in side) != (b in side) for side in self._cuts)

    def _plan(self) -> None:
        scenario, at = self.scenario, self.clock.at
        for peer in self.peers:
            at(EPOCH + scenario.late.get(peer.index, self.luck.uniform(0, 0.5) if peer.index else 0.0), peer.start)
        dying = self.luck.sample(range(1, scenario.peers), round(scenario.churn * (scenario.peers - 1)))
        crashes = [*scenario.crashes, *(
            Crash(peer, self.luck.uniform(0.2, 0.7) * scenario.seconds, self.luck.uniform(1.0, 6.0)) for peer in dying
        )]  # fmt: skip
        for crash in crashes:
            at(EPOCH + crash.at, self.peers[crash.peer].crash)
            at(EPOCH + crash.at + crash.down_s, self.peers[crash.peer].start)
        for change in scenario.new_keys:
            at(EPOCH + change.at, partial(self.peers[change.peer].change_key, change.recover, change.since))
        for wish in scenario.new_policies:
            at(EPOCH + wish.at, partial(self.peers[wish.peer].deliver, NewPolicy(wish.text.encode())))
        for cut in scenario.cuts:
            at(EPOCH + cut.at, partial(self._cut, cut.side))
            at(EPOCH + cut.until, partial(self._cuts.remove, cut.side))
        for twin, machine in zip(scenario.twins, self.twins, strict=True):
            at(EPOCH + twin.at, partial(self._wake, machine))
            if twin.until is not None:
                at(EPOCH + twin.until, machine.crash)
                at(EPOCH + twin.until, self.peers[twin.peer].crash)
        for peer in (*self.peers, *self.twins):
            at(EPOCH + scenario.seconds, partial(peer.deliver, Drain()))
        for number in range(1, SAMPLES):
            at(EPOCH + scenario.seconds * number / SAMPLES, self._sample)
        for number in range(1, LOOKS):
            at(EPOCH + scenario.seconds * number / LOOKS, partial(self._look_through, number))

    def _look_through(self, number: int) -> None:
        """All machines, and the model of one of them."""
        peers = [*self.peers, *self.twins]
        self.invariants.look_through(peers, recompute=[peers[number % len(peers)]])

    def _sample(self) -> None:
        """How good the models are, and what they have cost so far."""
        scores = self._accuracies()
        received = sum(self.network.bytes_received[peer.index] for peer in self.peers)
        self._curve.append(
            Sample(
                virtual_s=self.clock.elapsed_s,
                mean=sum(scores) / len(scores) if scores else None,
                worst=min(scores, default=None),
                kb_per_peer=received / len(self.peers) / 1000,
                updates=sum(peer.machine.status().updates for peer in self.peers if peer.machine is not None),
            )
        )

    def _accuracies(self) -> tuple[float, ...]:
        """Of each peer's model on its own rows, if the trainer has such; else on everybody's."""
        found: list[float] = []
        known: dict[tuple[Hash, int], float | None] = {}  # many hold the same model
        for peer in self.peers:
            if peer.book is None or peer.book.fold is None:
                continue
            own = peer.index if isinstance(self.trainer, Keeper) else -1
            place = (peer.book.model_hash(), own)
            if place not in known:
                known[place] = self._score(peer.book, own)
            if (score := known[place]) is not None:
                found.append(score)
        return tuple(found)

    def _score(self, book: Book, own: int) -> float | None:
        if own < 0 or not isinstance(self.trainer, Keeper):
            return self.trainer.accuracy(book.theta())
        scores = self.trainer.measure(book.theta(), own)
        return 1 - (scores.fp + scores.fn) / scores.examples if scores.examples else None

    def _cut(self, side: tuple[int, ...]) -> None:
        self._cuts.append(side)
        self.network.tear()

    def run(self) -> SimReport:
        """Let it happen, until everybody has drained and agrees, or time is up."""
        with self.signing.standing_in():
            return self._run()

    def _run(self) -> SimReport:
        began = time.perf_counter()
        self._plan()
        end = EPOCH + self.scenario.seconds
        while self.clock.step(end):
            pass
        limit = end + self.scenario.settle_s
        while True:
            while self.clock.step(end + DISK_S):  # what was written by then is on disk
                pass
            if end >= limit or self._all_agree():
                break
            end = min(limit, end + _CHECK_S)
            while self.clock.step(end):
                pass
        self.invariants.at_end([*self.peers, *self.twins], self.honest)
        self._sample()
        return self._report(time.perf_counter() - began)

    def _all_agree(self) -> bool:
        if not all(peer.is_up and peer.machine is not None and peer.machine.status().drained for peer in self.honest):
            return False
        return len({tips(peer.book) for peer in self.honest if peer.book is not None}) == 1

    def _report(self, wall_s: float) -> SimReport:
        status = {peer.self_id: peer.machine.status() for peer in self.peers if peer.machine is not None}
        first = self.peers[0].book
        return SimReport(
            seed=self.scenario.seed,
            trace=self._trace.hexdigest(),
            events=self.events,
            peers=tuple(peer.self_id for peer in self.peers),
            honest=tuple(peer.self_id for peer in self.honest),
            tips={peer.self_id: tips(peer.book) for peer in self.peers if peer.book is not None},
            heads={peer: dict(sorted(s.heads.items())) for peer, s in status.items()},
            model_hashes={peer: s.model_hash for peer, s in status.items()},
            updates={peer: s.updates for peer, s in status.items()},
            drained=all(peer.self_id in status and status[peer.self_id].drained for peer in self.honest),
            virtual_s=self.clock.elapsed_s,
            wall_s=wall_s,
            bytes_sent={peer.self_id: self.network.bytes_sent[peer.index] for peer in self.peers},
            bytes_received={peer.self_id: self.network.bytes_received[peer.index] for peer in self.peers},
            accuracy=self.trainer.accuracy(first.theta()) if first is not None and first.fold is not None else None,
            refusals=tuple(self._refusals),
            invariants_broken=tuple(self.invariants.broken),
            accuracies=self._accuracies(),
            curve=tuple(self._curve),
            cheats=self._cheats(),
        )

    def _cheats(self) -> tuple[Cheat, ...]:
        """As the first honest peer that is up has it."""
        known = next((peer.book.replica for peer in self.honest if peer.is_up and peer.book is not None), None)
        if known is None or not known.has_genesis:
            return ()
        return tuple(cheats_of(self.scenario, [peer.self_id for peer in self.peers], known))


def tips(book: Book) -> Hash:
    """One hash over all that is admitted, every branch of every log, whatever branches are called here."""
    replica = book.replica
    rows = sorted((peer_of(log), size, replica.root(log, size).hex()) for log, size in replica.heads().items())
    return sha256(repr(rows).encode()).hexdigest()
