"""Letting go of deltas while no node runs: what `gossip ledger prune` does.

    store --entries--> book --newest final--> base, deltas to go --one transaction--> store --VACUUM--> a smaller file

Rules kept here: the base is right by the hash that its snapshot says before anything goes; base and deltas change in
one transaction, so a kill leaves a peer that begins as before or as after; nothing is changed by a dry run. It decides
nothing: which deltas may go is gossip/peer/shedding.py's.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gossip import directory as places
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.book import Book, restore
from gossip.peer.shedding import Shedding, newest_ground, sums_of
from ledger.chain import peer_of
from ledger.entry import PeerId
from ledger.errors import LocalError
from ledger.store import DropBlobs, PutBase, Store

KEPT_UPDATES: Final = 1024
"""Updates whose deltas stay by default: leaders add up the newest 1,024 (docs/bundles.md), witnesses count back 512."""

WORTH_BYTES: Final = 16 << 20  # of free pages in a file, from which on it is written anew at a start


@dataclass(frozen=True, slots=True)
class Shed:
    """What went, or would go."""

    peer: PeerId
    """Whose final snapshot is the base."""
    seq: int
    updates: int
    """In the base."""
    deltas: int
    bytes: int
    """Of these deltas."""
    kept: int
    """Blobs that stay."""
    kept_bytes: int
    file_before: int
    file_after: int
    """Bytes of the store's file; the same as before in a dry run."""


def prune(directory: Path, keep: int = KEPT_UPDATES, *, dry_run: bool = False) -> Shed:
    """Let go of the deltas that the newest final snapshot holds, but for those of the newest `keep` updates.

    LocalError if nothing is final here, or the base cannot be made; then nothing has changed.
    """
    if keep < 0:
        raise LocalError("a peer cannot keep fewer updates than none", next_step="use 0 or more")
    with nullcontext() if dry_run else places.lock(directory), _open(directory, dry_run=dry_run) as store:
        book = restore(
            store.meta("swarm").decode(), store.meta("founder").decode(), store.history(), store.blob,
            NumpyArithmetic(), store.base(),
        )  # fmt: skip
        return _prune(store, book, keep, dry_run=dry_run)


def _open(directory: Path, *, dry_run: bool) -> Store:
    path = places.store_path(directory)
    return Store.open_readonly(path) if dry_run else Store(path)


def _prune(store: Store, book: Book, keep: int, *, dry_run: bool) -> Shed:
    ground = newest_ground(book.replica)
    if ground is None:
        raise LocalError(
            "nothing can be let go of yet", why="no snapshot here is final",
            next_step="a majority of the swarm's witnesses has to sign one: let the peer run beside them",
        )  # fmt: skip
    theta = sums_of(book, ground)
    if theta is None:
        raise LocalError(
            "nothing was let go of", why="the sums of the newest final snapshot cannot be made from what is here",
            next_step="let the peer run until nothing is missing (gossip status), then try again",
        )  # fmt: skip
    going = Shedding(book.replica, keep).next(ground)
    (count, size), (all_count, all_size) = store.sizes_of(going), store.blob_sizes()
    before = after = store.spare_bytes()[1]
    sums = book.arithmetic.sums(theta)
    if book.base is None and size <= len(sums):
        count = size = 0  # the base would take more than goes
    if count and not dry_run:
        store.commit([PutBase(ground.log, ground.seq, sums), DropBlobs(going)])
        store.compact()
        after = store.spare_bytes()[1]
    return Shed(
        peer_of(ground.log), ground.seq, ground.updates, count, size, all_count - count, all_size - size, before, after
    )


def compact(store: Store) -> None:
    """Write the store's file anew if most of it is free pages: for a node that starts."""
    free, size = store.spare_bytes()
    if free >= WORTH_BYTES and 2 * free > size:
        store.compact()
