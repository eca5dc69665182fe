"""What came of a scenario: one plain value, for people (`str`) and for programs (`as_json`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gossip.sim.cheats import Cheat
from ledger.chain import LogId
from ledger.entry import Hash, PeerId


@dataclass(frozen=True, slots=True)
class Broken:
    """What must never happen, and did (invariants.py). `peer` is a number; -1: the swarm as a whole."""

    at_s: float
    peer: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How far the swarm was. `mean` and `worst` of the peers' own held-out accuracy; None: there is no telling."""

    virtual_s: float
    mean: float | None
    worst: float | None
    kb_per_peer: float  # received so far
    updates: int  # published so far


@dataclass(frozen=True, slots=True)
class SimReport:
    """What came of a scenario."""

    seed: int
    trace: Hash  # over every event of every peer, in order: equal traces, equal histories
    events: int
    peers: tuple[PeerId, ...]
    honest: tuple[PeerId, ...]  # of these, who signed one history
    heads: dict[PeerId, dict[LogId, int]]  # what each peer holds, by its own names for branches
    tips: dict[PeerId, Hash]  # the same as one hash, whatever branches are called
    model_hashes: dict[PeerId, Hash]
    updates: dict[PeerId, int]  # published by each
    drained: bool  # everybody honest said so
    virtual_s: float
    wall_s: float
    bytes_sent: dict[PeerId, int]  # wire messages, without the transport's framing
    bytes_received: dict[PeerId, int]
    accuracy: float | None  # of the founder's model, if the trainer can tell
    refusals: tuple[str, ...]  # what peers refused, in their words; the first hundred
    invariants_broken: tuple[Broken, ...] = ()  # the first hundred
    accuracies: tuple[float, ...] = ()  # of each peer's model on its own held-out rows; (): there is no telling
    curve: tuple[Sample, ...] = ()
    cheats: tuple[Cheat, ...] = ()  # what became of those who cheat

    @property
    def heads_equal(self) -> bool:
        return len({self.tips.get(peer) for peer in self.honest}) <= 1

    @property
    def models_equal(self) -> bool:
        return len({self.model_hashes.get(peer) for peer in self.honest}) <= 1

    @property
    def ok(self) -> bool:
        """Whether nothing was broken: everybody honest holds the same, too (a rule of invariants.py)."""
        return not self.invariants_broken

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is wrong with how it went, each in a line; () if nothing is: something that must hold did not, peers
        hold different things in the end, or somebody never came to rest (who stalls breaks no rule)."""
        said = [f"{one.rule}: {_named(one.peer)} at {one.at_s:.3f} s: {one.text}" for one in self.invariants_broken]
        if not self.heads_equal and not said:
            said.append("the peers do not hold the same in the end")
        if not self.drained and not said:
            said.append("somebody never came to rest: it trains, waits or misses something still")
        return tuple(said)

    @property
    def accuracy_mean(self) -> float | None:
        return sum(self.accuracies) / len(self.accuracies) if self.accuracies else None

    @property
    def accuracy_worst(self) -> float | None:
        return min(self.accuracies, default=None)

    @property
    def accuracy_spread(self) -> float | None:
        """The variance between peers."""
        mean = self.accuracy_mean
        return None if mean is None else sum((one - mean) ** 2 for one in self.accuracies) / len(self.accuracies)

    @property
    def bytes_per_peer(self) -> int:
        """Received, the mean."""
        return sum(self.bytes_received.values()) // max(1, len(self.bytes_received))

    def as_json(self) -> dict[str, Any]:
        """What a program wants to know. All of it but `wall_s` follows from the scenario and its seed."""
        return {
            "seed": self.seed,
            "trace": self.trace,
            "events": self.events,
            "peers": len(self.peers),
            "updates": sum(self.updates.values()),
            "heads_equal": self.heads_equal,
            "models_equal": self.models_equal,
            "drained": self.drained,
            "invariants_broken": [asdict(broken) for broken in self.invariants_broken],
            "accuracy_mean": self.accuracy_mean,
            "accuracy_worst": self.accuracy_worst,
            "accuracy_spread": self.accuracy_spread,
            "accuracies": list(self.accuracies),
            "bytes_per_peer": self.bytes_per_peer,
            "virtual_s": self.virtual_s,
            "wall_s": self.wall_s,
            "refusals": list(self.refusals),
            "cheats": [asdict(cheat) for cheat in self.cheats],
            "curve": [asdict(sample) for sample in self.curve],
        }

    def __str__(self) -> str:
        """A few lines for people."""
        peers, published = len(self.peers), sum(self.updates.values())
        kilobytes = sum(self.bytes_received.values()) / max(1, peers) / 1000
        same = self.heads_equal and self.models_equal
        lines = [
            f"{peers} peers, {published} updates, {self.virtual_s:.0f} s of virtual time in {self.wall_s:.1f} s",
            f"received {kilobytes:.0f} kB per peer",
            f"all hold the same model: {self.model_hashes[self.peers[0]]}" if same else "they DISAGREE",
        ]
        if self.accuracy is not None:
            lines.insert(1, f"score {self.accuracy:.3f} on held-out rows")
        if (mean := self.accuracy_mean) is not None and (worst := self.accuracy_worst) is not None:
            lines.insert(2, f"each on its own: {mean:.3f} in the mean, {worst:.3f} at worst")
        for broken in self.invariants_broken:
            who = f"peer {broken.peer}" if broken.peer >= 0 else "swarm"
            lines.append(f"BROKEN at {broken.at_s:.3f} s, {who}, {broken.rule}: {broken.text}")
        if self.invariants_broken:
            lines.append(f"the same again: seed {self.seed}")
        return "\n".join(lines)


def _named(peer: int) -> str:
    return f"peer {peer}" if peer >= 0 else "the swarm"
