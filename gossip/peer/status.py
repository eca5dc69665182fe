"""What a person may want to know about a peer, as one value. It decides nothing.

`state` is one word for a table:

    joining      no member yet, or without the swarm's genesis
    observing    a member without data: folds, and publishes nothing
    training     a round is under way
    resting      between two rounds
    draining     no new round begins; what is in flight is finished
    drained      everything own is stored and nothing known of is missing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.entry import (
    GRID_ONE,
    Accuse,
    Anchor,
    Enrol,
    Finality,
    Hash,
    Member,
    PeerId,
    Recover,
    Rotate,
    Scores,
    Snapshot,
    Update,
)
from ledger.replica import Checked

State = Literal["joining", "observing", "training", "resting", "draining", "drained"]


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
    model_hash: Hash
    heads: dict[PeerId, int]
    first_merge_at: float | None
    drained: bool
    witnessed: int  # size up to which others have cosigned the own log
    witnesses: tuple[str, ...]  # who did, by name
    final_at: int | None  # when the newest final snapshot became so, by its author's clock
    links: tuple[LinkStatus, ...]
    tail: tuple[TailLine, ...]


def told(checked: Checked, names: dict[PeerId, str]) -> str:
    """One entry in a few plain words."""
    match checked.entry:
        case Update() as update:
            share = f"{(checked.weight or 0) / GRID_ONE:.2f}" if not checked.refused else "left out by the policy"
            return f"{update.bytes} bytes from {update.examples} examples, weight {share}"
        case Member() as member:
            return f"lets {names.get(member.peer) or member.peer[:8]} in as {member.role}"
        case Enrol() as enrol:
            return f"{enrol.name} asks to take part"
        case Snapshot() as snapshot:
            return f"model {snapshot.model[:8]} of {snapshot.updates} updates"
        case Finality() as final:
            return f"snapshot #{final.snapshot} is final: a majority of the witnesses signed it"
        case Accuse() as accuse:
            return f"proves that {names.get(accuse.peer) or accuse.peer[:8]} signed two entries #{accuse.index}"
        case Anchor() as anchor:
            return f"holds a time stamp over its first {anchor.size} entries"
        case Rotate():
            return "changes its key to the one it had promised"
        case Recover() as recover:
            gone = f", takes back its updates from entry {recover.since} on" if recover.since < recover.seq else ""
            return f"changes its key because the old one was stolen or lost{gone}"
        case entry if entry.seq == 0:
            return "founds the swarm"
        case _:
            return f"commits to {getattr(checked.entry, 'records', 0)} records"
