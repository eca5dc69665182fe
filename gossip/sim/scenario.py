"""What is simulated: a swarm and its troubles, as one plain value.

    Scenario(peers=20, loss=0.1, churn=0.5, cuts=(Cut(10, 20, (0, 1, 2)),), seed=7)

Times are seconds of virtual time. Files of it are read by scenario_file.py. It refuses to know how anything of it is
brought about (swarm.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

from gossip.config import PeerConfig
from ledger.entry import VALUE_ONE
from ledger.errors import LocalError
from ledger.policy import DEFAULT_POLICY

MAX_SKEW_S: Final = 86_400.0
MAX_PEERS: Final = 100_000  # machines of their own: far fewer fit into most memories


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
class BadDisk:
    """From `at` to `until` no write of peer number `peer` succeeds: its program stops, and is started again then."""

    peer: int
    at: float
    until: float


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


Signatures = Literal["real", "checked"]
"""Ed25519 | a stand-in that is as long, checked wherever a signature is, and made with a secret of the simulation's: it
costs a few percent. Not for anything that is said about signatures."""


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
    """Each message takes the delay and up to so much more: messages sent within it may overtake one another."""
    duplicate: float = 0.0
    """Share of messages that arrive twice, 0..1: the second copy takes a way of its own."""
    reorder: float = 0.0
    """Share of messages held back by up to `held_s`, 0..1: what was sent later arrives before them."""
    held_s: float = 0.5
    churn: float = 0.0
    """Share of the peers that crash once, at a random moment, and come back."""
    crashes: tuple[Crash, ...] = ()
    torn: bool = False
    """A crash leaves some of the writes that were under way, in their order, and half of the next one. Otherwise it
    leaves none."""
    disk_full: tuple[BadDisk, ...] = ()
    """Nothing of a write that fails is left."""
    disk_error: tuple[BadDisk, ...] = ()
    """Half of the first write that fails is left (EIO)."""
    skew_s: Mapping[int, float] = field(default_factory=dict)
    """Peers whose clocks are wrong, and by how much: seconds ahead, or behind if negative."""
    signatures: Signatures = "real"
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
    lines: Mapping[int, float] = field(default_factory=dict)
    """Peers on slow lines: bytes a second, each way. All others have room for everything."""
    leaders: tuple[int, ...] = ()
    """Peers that bundle for others, whatever their lines (docs/bundles.md)."""
    prunes: Mapping[int, int] = field(default_factory=dict)
    """Peers that let go of the deltas which a final snapshot holds, and how many of the newest they keep."""
    observers: tuple[int, ...] = ()
    guests: Mapping[int, int] = field(default_factory=dict)
    """Peers that come in through another one (of a smaller number, and no admin), and which: their house."""
    public: tuple[int, ...] = ()
    """Peers whose data are public: records of them may be asked for. All others' are private."""
    opens: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Of public data: roles and peer ids that may have records, where not all members may."""
    lends: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Peers that lend their data, if these are public, and to whom: all of these borrow (docs/lending.md)."""
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
            *self.late, *self.slow, *self.lines, *self.skew_s, *self.observers, *self.leaders,
            *self.prunes, *self.guests, *self.public, *self.opens, *self.lends,
            *self.flipped, *self.epsilon, *self.faults,
        ]  # fmt: skip
        named += [borrower for borrowers in self.lends.values() for borrower in borrowers]
        named += [crash.peer for crash in self.crashes]
        named += [bad.peer for bad in (*self.disk_full, *self.disk_error)]
        named += [change.peer for change in self.new_keys]
        named += [wish.peer for wish in self.new_policies]
        named += [twin.peer for twin in self.twins]
        sides = [peer for cut in self.cuts for peer in cut.side]
        wrong = [peer for peer in named if not 0 <= peer < self.peers]
        wrong += [peer for peer in sides if not 0 <= peer < self.peers + len(self.twins)]
        if not 1 <= self.peers <= MAX_PEERS:
            raise LocalError(f"a scenario of {self.peers} peers", next_step=f"choose 1 to {MAX_PEERS:,}")
        if wrong:
            raise LocalError(
                f"a scenario names peer {wrong[0]}, who does not exist",
                next_step=f"number its {self.peers} peers from 0 to {self.peers - 1}",
            )
        self._check_numbers()
        self._check_times()
        if any(not self.admins <= sponsor < guest for guest, sponsor in self.guests.items()):
            raise LocalError("a scenario has an impossible guest", next_step="sponsors are no admins, and come first")
        shares = (self.churn, self.duplicate, self.reorder)
        waits = (self.delay_s, self.jitter_s, self.held_s)
        if not (0 <= self.loss < 1 and 0 <= min(shares) <= max(shares) <= 1) or not 0 <= min(waits) <= max(waits) < inf:
            raise LocalError("a scenario has an impossible loss, churn or delay", next_step="shares lie in 0..1")
        if any(not 0 < speed < inf for speed in (*self.slow.values(), *self.lines.values())):
            raise LocalError("a machine or a line has an impossible speed", next_step="give numbers above 0")
        if any(not abs(skew) <= MAX_SKEW_S for skew in self.skew_s.values()):
            raise LocalError("a clock of a scenario is impossibly wrong", next_step="by a day, at most")

    def _check_numbers(self) -> None:
        if not 1 <= self.admins <= self.peers:
            raise LocalError(f"{self.admins} admins of {self.peers} peers", next_step="name as many as there are peers")
        if not 1 <= self.threshold <= self.admins:
            raise LocalError(
                f"{self.threshold} admins change the policy together, and there are {self.admins}",
                next_step="give a threshold from 1 to the number of admins",
            )
        if not 0 <= self.witnesses <= self.peers:
            raise LocalError(
                f"{self.witnesses} witnesses of {self.peers} peers", next_step="name as many as there are peers"
            )

    def _check_times(self) -> None:
        lengths = (self.seconds, self.settle_s, self.round_s)
        if not (0 <= min(lengths) <= max(lengths) < inf and self.seconds and self.round_s):
            raise LocalError("a scenario has an impossible length", next_step="give seconds above 0")
        spans = [(f"[[{what}]]", one.at, one.until) for what, ones in (
            ("cut", self.cuts), ("disk_full", self.disk_full), ("disk_error", self.disk_error), ("twin", self.twins),
        ) for one in ones]  # fmt: skip
        for what, at, until in spans:
            if not 0 <= at < (inf if until is None else until):
                raise LocalError(
                    f"a {what} ends at {until:g} s and begins at {at:g} s", next_step="give `until` after `at`"
                )
        ends = [*spans, *(("[[crash]]", crash.at, None) for crash in self.crashes)]
        ends += [("[[late]]", at, None) for at in self.late.values()]
        for what, at, _ in ends:
            if not 0 <= at < self.seconds + self.settle_s:
                raise LocalError(
                    f"a {what} begins at {at:g} s, when all is over",
                    next_step=f"begin it before {self.seconds + self.settle_s:g} s (seconds + settle_s)",
                )
