"""What a person may want to know about a peer, as one value. It decides nothing.

`state` is one word for a table:

    joining      no member yet, or without the swarm's genesis
    revoked      enough admins want this peer out: it writes nothing, and nobody listens
    expired      its membership is over, until an admin renews it
    observing    a member without data: folds, and publishes nothing
    training     a round is under way
    resting      between two rounds
    draining     no new round begins; what is in flight is finished
    drained      everything own is stored and nothing known of is missing
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from gossip.peer.holdings import Held, Holding
from gossip.peer.profile import Line
from ledger.entry import (
    GRID_ONE,
    Accuse,
    Anchor,
    Challenge,
    Enrol,
    Finality,
    Hash,
    Judgement,
    Member,
    Opening,
    PeerId,
    PolicyChange,
    Recover,
    Revoke,
    Rotate,
    Scores,
    Snapshot,
    Update,
    Verdict,
)
from ledger.policy_words import say_judged
from ledger.replica import Checked

State = Literal[
    "joining", "revoked", "expired", "observing", "training", "resting", "undrawn", "draining", "drained"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One open link."""

    link: int
    peer: PeerId  # "" while it is a guest's
    name: str
    key: bytes
    dialled: bool
    up_at: float


@dataclass(frozen=True, slots=True)
class TailLine:
    """One of the last entries admitted."""

    peer: PeerId
    name: str
    seq: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Who publishes nothing, for longer than it usually does."""

    peer: PeerId
    name: str
    since: float | None  # Unix time; None: it was let in to train, and never has


@dataclass(frozen=True, slots=True)
class TrainerPace:
    """What another trainer has shown. Times are 0 where they are not known."""

    peer: PeerId
    name: str
    step_s: float  # for each local step, by what it says of them
    interval_s: float  # from update to update
    lag_s: float  # until they are in the fold here
    is_present: bool


@dataclass(frozen=True, slots=True)
class PaceStatus:
    """How fast this peer goes, and why (gossip/peer/profile.py, tempo.py). Times are 0 where they are not known."""

    steps: int  # local, of the newest round; 0: as the trainer likes
    declared: int
    density_permille: int  # of the declared share of elements
    links: int  # aimed at in a large swarm, before a leader's are doubled
    tempo: str
    reason: str
    behind: float  # rounds
    step_s: float
    aim_s: float  # how long an update is to take
    line: Line
    lag_s: float
    trainers: tuple[TrainerPace, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a peer that lets go of deltas begins from, and which of them it lacks now."""

    peer: PeerId
    seq: int  # of the final snapshot
    updates: int  # in it
    owed: int  # terms that are to be moved and whose deltas are not here


@dataclass(frozen=True, slots=True)
class OutOfTurn:
    peer: PeerId
    name: str
    updates: int


@dataclass(frozen=True, slots=True)
class PanelStatus:
    """Who publishes now, in a swarm where not everybody does (panel.py)."""

    drawn: bool  # whether this peer does
    places: int
    trainers: int
    until: float  # the end of this peer's window, by its own clock
    undrawn: tuple[OutOfTurn, ...]  # who published though it was not drawn, since the start


@dataclass(slots=True)
class Looked:
    """How often this peer asked others to show records and judged their entries, and they its own."""

    asked: int = 0  # challenges of ours
    shown: int = 0  # of these, answered
    asked_of_us: int = 0
    shown_by_us: int = 0
    given: int = 0  # refusals, doubts and condemnations in our verdicts
    received: int = 0  # and of our entries, in those of others


@dataclass(frozen=True, slots=True)
class Sums:
    """What a peer has to do with leaders and their bundled sums."""

    leads: bool = False
    leaders: tuple[str, ...] = ()  # whom it listens to, by name
    made: int = 0
    used: int = 0
    false: int = 0  # of these
    lent: int = 0  # in use now: updates shown, and not folded yet


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer at one moment."""

    state: State
    peer: PeerId
    role: str
    swarm_name: str
    rounds: int  # trained since the start
    updates: int  # own, published
    merged: int  # others', folded
    entries: int  # held, of all logs
    members: int
    missing: int  # entries known of and not yet admitted
    staleness: float  # tau of the last own update
    weight: int  # of the last own update, 0..65536
    scores: Scores | None  # of the last own update
    model_hash: Hash  # of the fold
    heads: dict[PeerId, int]
    first_merge_at: float | None
    drained: bool
    witnessed: int  # size up to which others have cosigned the own log
    witnesses: tuple[str, ...]  # who did, by name
    final_at: int | None  # when the newest final snapshot became so, by its author's clock
    links: tuple[LinkStatus, ...]
    tail: tuple[TailLine, ...]
    model: str = ""  # what the model in use is: the fold's, or that of a snapshot, for now
    policy: Hash = ""  # in force now
    policy_number: int = 0  # 0: that of genesis
    looked: Looked = field(default_factory=Looked)
    pace: PaceStatus | None = None
    paused: str = ""  # why no round begins; "": they do
    absent: tuple[Absent, ...] = ()  # of those who are to publish
    panel: PanelStatus | None = None  # None: all of them do
    sums: Sums = field(default_factory=Sums)
    pruned: Pruned | None = None  # None: every delta is here
    lacking: int = 0  # blobs wanted that everybody linked with us says not to have
    lent: tuple[Holding, ...] = ()
    borrowed: tuple[Held, ...] = ()
    refusals: tuple[str, ...] = ()  # what others have against own entries, newest last, in plain words


_DECIDED: Final = {"refused": "refuses", "quarantined": "has doubts about", "condemned": "condemns"}


def refusals_of(judgement: Judgement, *, is_own: bool, judges: int, name: str) -> str:
    """What a judgement says, with values and limits: `2 peers condemn your update 12: 91.2% of its rows ...`"""
    what, reasons = say_judged(judgement)
    verb = _DECIDED[judgement.decision]
    if not is_own:
        return f"{verb} {name or judgement.peer[:8]}'s {what}: {reasons}"
    if judges == 1:
        return f"1 peer {verb} your {what}: {reasons}"
    plural = {"refuses": "refuse", "has doubts about": "have doubts about", "condemns": "condemn"}[verb]
    return f"{judges} peers {plural} your {what}: {reasons}"


def _judged(verdict: Verdict, names: dict[PeerId, str]) -> str:
    """A verdict in a line: its refusals first, of scores how many."""
    found = [
        refusals_of(judgement, is_own=False, judges=1, name=names.get(judgement.peer, ""))
        for judgement in verdict.judgements
        if judgement.decision != "scored"
    ]
    scored = [names.get(j.peer) or j.peer[:8] for j in verdict.judgements if j.decision == "scored"]
    if scored:
        found.append(f"measured updates of {', '.join(dict.fromkeys(scored))}: no harm found")
    return " | ".join(found)


def told(checked: Checked, names: dict[PeerId, str], *, is_out: bool = False) -> str:
    """One entry in a few plain words. `is_out`: it is an update that is condemned already."""

    def who(peer: PeerId) -> str:
        return names.get(peer) or peer[:8]

    match checked.entry:
        case Update() as update:
            share = "left out" if checked.refused else f"weight {(checked.weight or 0) / GRID_ONE:.2f}"
            return f"{update.bytes} bytes from {update.examples} examples, {'condemned' if is_out else share}"
        case Member() as member:
            return f"lets {who(member.peer)} in as {member.role}"
        case Revoke() as revoke:
            return f"wants {who(revoke.peer)} out: nothing of its log counts from entry {revoke.since} on"
        case Enrol() as enrol:
            return f"{enrol.name} asks to take part"
        case Snapshot() as snapshot:
            return f"model {snapshot.model[:8]} of {snapshot.updates} updates"
        case Finality() as final:
            return f"snapshot #{final.snapshot} is final: a majority of the witnesses signed it"
        case Accuse(charge="opening") as accuse:
            return f"proves that {who(accuse.peer)} opened data that it never committed to (entry {accuse.index})"
        case Accuse() as accuse:
            return f"proves that {who(accuse.peer)} signed two entries #{accuse.index}"
        case Anchor() as anchor:
            return f"holds a time stamp over its first {anchor.size} entries"
        case Rotate():
            return "changes its key to the one it had promised"
        case Recover() as recover:
            gone = f", takes back its updates from entry {recover.since} on" if recover.since < recover.seq else ""
            return f"changes its key because the old one was stolen or lost{gone}"
        case PolicyChange() as change:
            return f"wants policy {change.policy[:8]} in force, as number {change.number}"
        case Verdict() as verdict:
            return _judged(verdict, names)
        case Challenge() as challenge:
            return f"asks {who(challenge.peer)} to show {challenge.count} records of its data set"
        case Opening() as opening:
            return f"shows {who(opening.peer)} the records it asked for, {opening.opened_bytes} bytes"
        case entry if entry.seq == 0:
            return "founds the swarm"
        case _:
            return f"commits to {getattr(checked.entry, 'records', 0)} records"
