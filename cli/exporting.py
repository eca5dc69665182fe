"""`gossip model export`: a snapshot's model, folded again from the ledger, as a file that can be held against it.

A model is taken from a bundle or from a peer's own store, which is audited first, as a bundle would be. What the file
says of itself is `ledger.export`'s business.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import byteorder
from typing import TYPE_CHECKING, Any

from cli import auditing
from cli.opened import Opened, opened, require, stored
from cli.plain import plain
from cli.sources import is_bundle
from ledger.audit import Anchors, examine
from ledger.chain import LogId, peer_of
from ledger.entry import Hash, Snapshot
from ledger.errors import LocalError
from ledger.export import float32_bytes, make_header, write_model
from ledger.fold import Fold, parameters
from ledger.kept import StoredBase

if TYPE_CHECKING:
    from gossip.exports.outgoing import Outgoing
    from gossip.releases import Release


class NotFinal(LocalError):
    """Only a final snapshot will do, and there is none, or the one that is named is not."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The model of a snapshot, folded again and found to be what it says."""

    log: str
    seq: int
    model_hash: Hash
    updates: int
    values: bytes  # float32, little-endian
    model: str  # the declaration


def newest(source: str | None) -> Folded:
    """The model of the newest snapshot. LocalError if there is none, or it cannot be folded."""
    with _read(source) as read:
        require(read)
        return _folded(read, *_newest(read))


def export(source: str | None, out: Path, snapshot: str | None, *, final: bool = False) -> dict[str, Any]:
    """Write the model and say what it is. LocalError if there is no such snapshot, or it cannot be folded.

    `final`: NotFinal, and nothing is written, unless a majority of the swarm's witnesses has signed it.
    """
    with _read(source) as read:
        log, seq = _chosen(read, snapshot, final=final)
        found = _folded(read, log, seq)
        write_model(out, make_header(read.replica, log, seq, found.model_hash), found.values)
        return {
            "file": str(out.resolve()),
            "bytes": out.stat().st_size,
            "swarm": read.replica.swarm,
            "log": log,
            "seq": seq,
            "final": (log, seq) in _finals(read),
            "model_hash": found.model_hash,
            "updates": found.updates,
            "parameters": parameters(read.replica.genesis.layout),
        }


def outgoing(source: str | None, snapshot: str | None, *, final: bool = False) -> Outgoing:
    """The same model for another format than this project's. Errors as `export`'s."""
    import numpy as np

    from gossip.exports.outgoing import Outgoing
    from gossip.training.spec import ModelSpec

    with _read(source) as read:
        log, seq = _chosen(read, snapshot, final=final)
        found = _folded(read, log, seq)
        origin = {
            "swarm": read.replica.swarm,
            "snapshot": f"{peer_of(log)}/{seq}",
            "model_hash": found.model_hash,
            "final": (log, seq) in _finals(read),
            "updates": found.updates,
        }
    theta = np.frombuffer(found.values, "<f4").astype(np.float32)
    return Outgoing(ModelSpec.parse(found.model), theta, f"{log[:8]}/{seq}", origin=origin)


def _chosen(
    read: Opened, snapshot: str | None, *, final: bool, otherwise: str = "leave --final out to export one that is not"
) -> tuple[str, int]:
    """The snapshot that is meant. LocalError if it is none; NotFinal if it has to be final, and is not."""
    require(read)
    log, seq = read.find(snapshot) if snapshot is not None else _newest(read)
    if not isinstance(read.replica.entry(log, seq), Snapshot):
        raise LocalError(
            f"{plain(snapshot, 60)} is no snapshot", next_step="gossip ledger log lists them: name one as PEER/SEQ"
        )
    if final and (log, seq) not in _finals(read):
        raise NotFinal(
            f"snapshot {log[:8]}/{seq} is not final" if snapshot is not None else "no snapshot here is final",
            why="a majority of the swarm's witnesses has to have signed it",
            next_step=f"wait for the witnesses (gossip status shows them), or {otherwise}",
        )
    return log, seq


def release(place: Path, name: str, snapshot: str | None, now: int) -> Release:
    """Keep a final snapshot's model under a name, in the peer's own folder. NotFinal, and nothing is kept, unless a
    majority of the swarm's witnesses has signed it; LocalError as `export`, or if the name cannot be given."""
    from gossip import releases

    releases.refuse_taken(place, name)
    with _read(str(place)) as read:
        log, seq = _chosen(read, snapshot, final=True, otherwise="keep it as a file: gossip model export --out FILE")
        found = _folded(read, log, seq)
        header = make_header(read.replica, log, seq, found.model_hash)
        return releases.add(
            place,
            lambda digest: releases.Release(
                name=name, log=peer_of(log), seq=seq, model_hash=found.model_hash, sha256=digest,
                updates=found.updates, time=now,
            ),
            name,
            lambda path: write_model(path, header, found.values),
        )  # fmt: skip


def _folded(read: Opened, log: str, seq: int) -> Folded:
    fold, entry = read.fold(), read.replica.entry(log, seq)
    assert isinstance(entry, Snapshot)
    past = read.replica.past(log, seq + 1)
    terms = read.terms(past)
    base = read.contents.base()
    if base is None:
        for _, _, delta, weight in terms:
            fold.add(read.delta(delta), weight)
    else:
        _fold_from(read, fold, base, past)
    found = fold.model_hash()
    if found != entry.model:
        raise LocalError(
            f"snapshot {log[:8]}/{seq} is not the model of its own past",
            why=f"it says {entry.model[:12]}, its entries give {found[:12]}",
            next_step="name another snapshot; gossip ledger verify says what is wrong with this one",
        )
    values = float32_bytes(fold.arithmetic.model_bytes(fold.theta))
    return Folded(log, seq, found, len(terms), values, read.replica.genesis.model)


def _fold_from(read: Opened, fold: Fold[Any, Any], base: StoredBase, past: Mapping[LogId, int]) -> None:
    """The sums of a past, of a peer that has let go of deltas: from its base on. LocalError if that is too far back."""
    sums = array("q")
    sums.frombytes(base.sums)
    if byteorder == "big":
        sums.byteswap()
    fold.theta[:] = sums
    change = read.replica.change(read.replica.past(base.log, base.seq + 1), past)
    if any(read.contents.blob(delta, 0) is None for _, _, delta, _ in (*change.removed, *change.added)):
        raise LocalError(
            "the model of that snapshot cannot be made here",
            why=f"this peer has let go of deltas, and begins from final snapshot {base.log[:8]}/{base.seq}",
            next_step="name that one or a later one, or ask a member that keeps everything",
        )
    for _, _, delta, weight in change.removed:
        fold.remove(read.delta(delta), weight)
    for _, _, delta, weight in change.added:
        fold.add(read.delta(delta), weight)


def _newest(read: Opened) -> tuple[str, int]:
    """The final snapshot that holds most, else any that holds most; ties by log."""
    replica = read.replica
    known = [
        (log, seq)
        for log, size in replica.heads().items()
        for seq in range(size)
        if b'"kind":"snapshot"' in replica.data(log, seq)
    ]
    finals = _finals(read)
    choice = [place for place in known if place in finals] or known
    if not choice:
        raise LocalError("there is no snapshot yet", next_step="wait for one: every peer makes one within 16 updates")
    return max(choice, key=lambda place: (sum(replica.past(place[0], place[1] + 1).values()), place))


def _finals(read: Opened) -> set[tuple[str, int]]:
    return {(final.log, final.seq) for final in read.report.finals}


@contextmanager
def _read(source: str | None) -> Iterator[Opened]:
    path = Path(source) if source is not None else None
    if path is not None and is_bundle(path):
        with opened(path) as read:
            yield read
        return
    with stored(source) as contents:
        sums, called = auditing.arithmetic()
        report, replica = examine(contents, sums, Anchors(swarm=contents.swarm), auditing.options_of())
        yield Opened(contents, report, replica, sums, called)
