"""What is simulated, and what came of it: two plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gossip.config import PeerConfig
from ledger.chain import LogId
from ledger.entry import VALUE_ONE, Hash, PeerId
from ledger.errors import LocalError
from ledger.policy import DEFAULT_POLICY


@dataclass(frozen=True, slots=True)
class Cut:
    """From `at` to `until` the peers in `side` hear nobody outside it, and the other way round. Seconds."""

    at: float
    until: float
    side: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """Peer number `peer` dies at `at` and comes back after `down_s`, with what its store held. Seconds."""

    peer: int
    at: float
    down_s: float = 5.0


@dataclass(frozen=True, slots=True)
class NewKeyAt:
    """A peer changes to the key that it promised."""

    peer: int
    at: float
    recover: bool = False
    since: int | None = None  # with `recover`: own updates from that entry on are taken back


Fault = Literal["copies", "harms", "mute", "lies", "hides"]
"""What a cheating shell does: publishes another peer's newest delta as its own | publishes three times the opposite of
what it has learned | answers no request for records | shows records that it did not commit to | states an eighth of the
copies in its data."""


@dataclass(frozen=True, slots=True)
class NewPolicyAt:
    """The owner of a peer asks for another policy."""

    peer: int
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Twin:
    """At `at` a second machine starts from a copy of peer number `peer`'s disk: two histories with one signature. In
    cuts it is number `Scenario.peers` + its place in the list. At `until`, if given, both go for good. Seconds."""

    peer: int
    at: float
    until: float | None = None


@dataclass(frozen=True)
class Scenario:
    """A swarm and its troubles. Times in seconds of virtual time; peer 0 is the founder."""

    peers: int = 20
    seconds: float = 30.0
    """Of training; then all are asked to drain."""
    settle_s: float = 60.0
    """At most so long after that for everybody to agree."""
    seed: int = 0
    loss: float = 0.0
    """Share of messages lost, 0..1."""
    delay_s: float = 0.02
    jitter_s: float = 0.01
    churn: float = 0.0
    """Share of the peers that crash once, at a random moment, and come back."""
    crashes: tuple[Crash, ...] = ()
    cuts: tuple[Cut, ...] = ()
    twins: tuple[Twin, ...] = ()
    """Forkers. What is reported of agreement leaves them out."""
    new_keys: tuple[NewKeyAt, ...] = ()
    new_policies: tuple[NewPolicyAt, ...] = ()
    admins: int = 1
    """The first so many peers are admins."""
    threshold: int = 1
    """So many of them change the policy together."""
    late: Mapping[int, float] = field(default_factory=dict)
    """Peers that first start after so many seconds."""
    round_s: float = 2.0
    """Time of one training round."""
    slow: Mapping[int, float] = field(default_factory=dict)
    """Factors on it."""
    observers: tuple[int, ...] = ()
    guests: Mapping[int, int] = field(default_factory=dict)
    """Peers that come in through another one (of a smaller number, and no admin), and which: their house."""
    public: tuple[int, ...] = ()
    """Peers whose data are public: records of them may be asked for. All others' are private."""
    opens: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Of public data: roles and peer ids that may have records, where not all members may."""
    flipped: Mapping[int, float] = field(default_factory=dict)
    """Peers of whose labels this share is wrong, in what they commit to and in what they learn from."""
    epsilon: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Peers that promise privacy: the epsilon that they claim, and what a round of theirs spends, in thousandths."""
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """Peers whose shells cheat; their machines are as honest as any."""
    policy: str = DEFAULT_POLICY
    """The data-quality policy of genesis."""
    witnesses: int = 1
    """The first so many peers are those whose votes make snapshots final."""
    eta: float = 1.5
    norm0: int = VALUE_ONE
    """Norm assumed of a trainer not yet heard, grid 2^-24."""
    constants: Mapping[str, int] = field(default_factory=dict)
    """Of genesis (ledger.entry.FoldConstants), where they are not those of every swarm."""
    density: float | None = None
    """Share of elements in a delta; None: by the size of the model."""
    config: PeerConfig = field(default_factory=PeerConfig)
    """Of every peer; enrol and inviter are filled in."""

    def __post_init__(self) -> None:
        named = [
            *self.late,
            *self.slow,
            *self.observers,
            *self.guests,
            *self.public,
            *self.opens,
            *self.flipped,
            *self.epsilon,
            *self.faults,
            *(c.peer for c in self.crashes),
        ]
        named += [change.peer for change in self.new_keys]
        named += [wish.peer for wish in self.new_policies]
        named += [twin.peer for twin in self.twins]
        sides = [peer for cut in self.cuts for peer in cut.side]
        wrong = [peer for peer in named if not 0 <= peer < self.peers]
        wrong += [peer for peer in sides if not 0 <= peer < self.peers + len(self.twins)]
        if self.peers < 1 or wrong:
            raise LocalError("a scenario names a peer that does not exist", next_step="number peers from 0")
        if any(not self.admins <= sponsor < guest for guest, sponsor in self.guests.items()):
            raise LocalError("a scenario has an impossible guest", next_step="sponsors are no admins, and come first")
        if not (0 <= self.loss < 1 and 0 <= self.churn <= 1) or min(self.delay_s, self.jitter_s) < 0:
            raise LocalError("a scenario has an impossible loss, churn or delay", next_step="shares lie in 0..1")


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

    @property
    def heads_equal(self) -> bool:
        return len({self.tips[peer] for peer in self.honest}) == 1

    @property
    def models_equal(self) -> bool:
        return len({self.model_hashes[peer] for peer in self.honest}) == 1

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
        return "\n".join(lines)
