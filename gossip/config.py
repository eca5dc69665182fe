"""How one peer behaves: plain values, each with its unit, its bound and the reason for its default.

Nothing here changes what is true in the swarm (that is genesis); two peers with different settings agree all
the same. The shell builds one PeerConfig and never changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from gossip.limits import DEFAULT, Limits
from gossip.wire.frames import MAX_BORROWERS
from ledger.entry import PeerId
from ledger.errors import LocalError

MAX_WINDOW_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """The settings of one peer."""

    enrol: bytes = b""
    """The own first entry, already stored, for a peer whose replica does not hold it yet: a joiner. Else empty."""

    inviter: bytes = b""
    """The public key in the invite we came with (32 bytes), or empty. Its address is dialled at once, and its word
    is trusted for nothing: it only may speak to us before we know any member."""

    restored: bool = False
    """The store was made anew from a backup of the identity: it holds the beginning of the own log, and only others
    know how it went on. Nothing is written before one of them has told."""

    known: tuple[bytes, ...] = ()
    """Public keys of members as that backup names them. They may speak to us before we know any member."""

    rendezvous: bytes = field(default=b"", repr=False)
    """Where members meet beyond the LAN, as KeepRendezvous kept it in an earlier run, or empty."""

    duty_percent: int = 100
    """Share of time spent training, 1..100. Below 100 each round is followed by a rest; for laptops."""

    min_round_s: float = 0.0
    """Seconds from the start of one round to the start of the next, at least. 0: as fast as training goes."""

    window_s: float = 600.0
    """Seconds for which a trainer publishes, or does not, where more would than the swarm has places for
    (docs/adr/0004): everybody's alike, or others count us as not drawn. Of some hundred rounds, for the first eight or
    so after a rest weigh little."""

    adapts: bool = True
    """Local steps, the share of the model published and the number of links follow what machines and lines can do
    (docs/pace.md). Without, all is as declared."""

    tempo: Literal["adaptive", "eager", "paced"] = "adaptive"
    """Whether a round waits until most have published: by measured staleness, never, or always. Always with a bound."""

    lend_to: tuple[PeerId, ...] = ()
    """Members who may train on shards of our data, if these are public (docs/lending.md)."""

    borrow_from: tuple[PeerId, ...] = ()
    """Members whose shards we train on, if they lend us any. What others label is no fact: this is our own choice."""

    lease_s: float = 30.0
    """Seconds between two leases of our data, at least. Each costs a borrower a reading of all its rows."""

    limits: Limits = DEFAULT
    """What each other peer may cost this one (gossip/limits.py)."""

    links: int = 6
    """Links aimed at in a large swarm. Six keep a random graph of thousands in one piece with four to spare."""

    own_links: int = 2
    """Of those, dialled by our own random choice, at least: others cannot surround us by dialling us."""

    full_mesh: int = 8
    """Swarms of at most so many peers link everybody to everybody: one hop is the shortest way."""

    rotate_s: float = 30.0
    """Seconds between own random links tried in a large swarm. Without rotation two halves that a partition made,
    each with links enough, would never look for one another again."""

    keep_updates: int | None = None
    """Let go of the deltas that a final snapshot holds (docs/adr/0005-pruning.md), but for those of the newest so many
    updates. None: of none, which is what audits and newcomers live on."""

    prune_step: int = 256
    """Updates that can go, at least, before any do: each time a base is written, 8 bytes for each parameter."""

    leads: Literal["auto", "yes", "no"] = "auto"
    """Whether this peer bundles for others (docs/bundles.md). "auto": once blobs have come to it at a MiB a second."""

    follows: bool = True
    """Whether it shows what leaders lend where it is behind (docs/bundles.md); nothing is trained from that."""

    digest_s: float = 5.0
    """Seconds between digests to each link (varied by a quarter, more often on a new link): they heal lost news."""

    relay_s: float = 0.03
    """Seconds before others' news are passed on. The author told most of us itself; waiting saves the echo."""

    request_s: float = 1.0
    """Seconds until a request is first thought lost; more at each try, to at most a minute."""

    far_entries: int = 256
    """Entries known of and not here, from which on a peer asks for the newest final snapshot's model, to use until it
    has folded them: fewer are fetched and folded within a second."""

    vouch_entries: int = 16
    """Entries by which the own log grows from one checkpoint that witnesses are asked to cosign to the next ..."""

    vouch_s: float = 60.0
    """... and the seconds after which one is proposed if it grew by less. A log that rests is not proposed again."""

    vote_s: float = 60.0
    """Seconds between two own snapshots proposed as final, and between two that we vote for: a vote recomputes a
    model."""

    gather_s: float = 15.0
    """Seconds that cosignatures may take to come together at the author before others are told of what there is. The
    whole set usually goes round within ten; what is told earlier is told twice."""

    verdict_s: float = 15.0
    """Seconds between two own verdicts, at least: what is found meanwhile is said together. An entry costs all members
    some 500 bytes, whatever it says. Two such pauses, in which a majority gathers, are less than the minute from one
    final snapshot to the next (vote_s): what is final holds what it holds, whoever condemns it later."""

    judge_s: float = 10.0
    """Seconds between two judgements of others' updates on rows of our own, at least: each is two passes over them. A
    peer is asked for three judgements in the time in which everybody publishes 16 updates."""

    answer_s: float = 600.0
    """Seconds that the author of public data has to show the records that we asked for, if it writes at all ..."""

    answer_entries: int = 64
    """... and by how much its log may grow meanwhile. An honest peer answers within seconds."""

    def __post_init__(self) -> None:
        if not 1 <= self.duty_percent <= 100:
            raise LocalError(
                f"a duty of {self.duty_percent}% makes no sense", next_step="choose a whole number from 1 to 100"
            )
        if self.inviter and len(self.inviter) != 32:
            raise LocalError("the inviter's public key is not 32 bytes")
        if min(self.min_round_s, self.relay_s) < 0 or min(self.rotate_s, self.digest_s, self.request_s) <= 0:
            raise LocalError("a peer cannot wait a negative time", next_step="use seconds above 0")
        if not 1 <= self.window_s <= MAX_WINDOW_S:
            raise LocalError("nobody can publish by turns like that", next_step="use windows of 1 s to a day")
        if self.lease_s <= 0 or max(len(self.lend_to), len(self.borrow_from)) > MAX_BORROWERS:
            raise LocalError("these leases make no sense", next_step=f"lend to at most {MAX_BORROWERS} peers")
        if (self.keep_updates or 0) < 0 or self.prune_step < 1:
            raise LocalError("a peer cannot keep fewer updates than none", next_step="use 0 or more")
        if self.vouch_entries < 1 or min(self.vouch_s, self.vote_s, self.gather_s) <= 0:
            raise LocalError("a peer cannot ask witnesses all the time", next_step="use numbers above 0")
        if min(self.verdict_s, self.judge_s, self.answer_s) <= 0 or self.answer_entries < 1:
            raise LocalError("a peer cannot judge all the time", next_step="use numbers above 0")
        if not 0 <= self.own_links <= self.links or self.links < 1:
            raise LocalError("a peer's own links are some of its links", next_step="own_links <= links, links >= 1")
