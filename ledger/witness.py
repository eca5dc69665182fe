"""Who witnesses whose log, and what a witness may sign: pure decisions.

    witnesses_of(log, members)      the 3 members with the smallest SHA-256(label || log || member): rendezvous hashing
    may_cosign(memory, checkpoint)  --> Witnessed: store this, then sign
                                    --> Fork:      the log's author has signed two histories, or we hold another one
                                    --> Refusal:   not now

Why rendezvous hashing: everybody who knows the same members names the same witnesses without a word, nobody chooses
its own, and a member that leaves moves only the logs that it witnessed.

Rules kept here: never two roots for one size, never back to a smaller size, and only what follows from what was
signed before, as the witness recomputes it from entries of its own (so it needs no proof). The caller stores a
Witnessed durably before the cosignature is made. It refuses to know keys, clocks and the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.checkpoint import Checkpoint
from ledger.entry import PeerId

WITNESSES: Final = 3
_LABEL: Final = b"gossip-witness/1\n"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness last cosigned of one log: all that it must never forget."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Fork:
    """At `size` the log had the root `ours`; the checkpoint needs `theirs` there. Ask for the entries behind it."""

    size: int
    ours: bytes
    theirs: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing is wrong with the checkpoint, but it is not to be signed."""

    why: str


def witnesses_of(log: PeerId, members: Iterable[PeerId], count: int = WITNESSES) -> tuple[PeerId, ...]:
    """The members that witness a log, first choice first; fewer where there are fewer. Never its own author."""
    others = set(members) - {log}
    return tuple(sorted(others, key=lambda member: _rank(log, member))[:count])


def may_cosign(
    memory: Witnessed | None, checkpoint: Checkpoint, root_at: Callable[[int], bytes | None]
) -> Witnessed | Fork | Refusal:
    """What to remember before cosigning `checkpoint`, or why not to.

    `root_at` tells the root of the log as the witness holds it, entries checked and stored, at a size; None where
    it holds less. The caller has verified the author's signature.
    """
    size, root = checkpoint.size, checkpoint.root
    if size < 1:
        return Refusal("an empty log says nothing")
    if memory is not None and size == memory.size and root != memory.root:
        return Fork(size, memory.root, root)
    held = root_at(size)
    if held is None:
        return Refusal(f"its {size} entries are not here yet")
    if held != root:
        return Fork(size, held, root)
    if memory is None:
        return Witnessed(size, root)
    if size < memory.size:
        return Refusal(f"it is older than the one of {memory.size} entries that was cosigned")
    before = root_at(memory.size)
    if before != memory.root:
        # What is held now is not what was signed for: another branch, or another store.
        return Fork(memory.size, memory.root, before or b"")
    return Witnessed(size, root)


def _rank(log: PeerId, member: PeerId) -> tuple[bytes, PeerId]:
    return sha256(_LABEL + bytes.fromhex(log) + bytes.fromhex(member)).digest(), member
