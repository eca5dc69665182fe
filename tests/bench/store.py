"""What the store costs: an entry, an fsync, opening a log of a million entries, and starting a node again.

The measure for durable writes is a bare file: append as many bytes, fsync, in the same directory. The log that is
opened has entries of 64 bytes; opening reads none of them but those after the last full tile.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Final

from cli.bench.figures import Figure, Goal, Section, median_s
from cli.causal import in_causal_order
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.book import restore
from ledger.checkpoint import Checkpoint, origin, sign
from ledger.cosignature import add_cosignatures, cosign
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.proof import make_proof, print_proof
from ledger.store import PutCheckpoint, PutEntry, Store
from tests.bench.busy import busy_swarm
from tests.fold.toy import POLICY

ENTRIES: Final = 1_000_000
BATCH: Final = 1_000
ENTRY: Final = bytes(900)
COMMITS: Final = 30
WITNESSES: Final = 3
SWARM, LOG = "5a" * 32, "aa" * 32


def measure() -> Section:
    with tempfile.TemporaryDirectory() as place:
        return Section(
            f"store, and a log of {ENTRIES:,} entries", (*_writing(Path(place)), *_opening(Path(place)), *_restart())
        )


def _writing(place: Path) -> Iterable[Figure]:
    bare_one, bare_many = (_bare_s(place / f"bare-{count}", count) for count in (1, BATCH))
    with Store(place / "written.db") as store:
        one, many = (_commit_s(store, count) for count in (1, BATCH))
    per_entry = 1e6 * (many - one) / (BATCH - 1)
    return (
        Figure("commit of one entry of 900 bytes", 1e3 * one, "ms", digits=2,
               note=f"{one / bare_one:.1f} x append and fsync of a bare file"),
        Figure(f"commit of {BATCH:,}", 1e3 * many, "ms",
               note=f"{many / bare_many:.1f} x append and fsync of a bare file"),
        Figure("each entry more in a batch", per_entry, "us"),
    )  # fmt: skip


def _commit_s(store: Store, count: int) -> float:
    def commit() -> None:
        size = store.size(LOG)
        store.commit([PutEntry(LOG, size + index, ENTRY) for index in range(count)])

    return median_s(commit, COMMITS)


def _bare_s(path: Path, count: int) -> float:
    with path.open("wb") as file:

        def append() -> None:
            file.write(ENTRY * count)
            file.flush()
            os.fsync(file.fileno())

        return median_s(append, COMMITS)


def _opening(place: Path) -> Iterable[Figure]:
    """As a node finds it: the tree, the head, and the checkpoint that both are held against."""
    path, key = place / "large.db", PrivateKey.from_seed(b"b" * 32)
    entries = [b"%064d" % seq for seq in range(ENTRIES)]
    begun = perf_counter()
    whole = Tree(map(leaf_hash, entries))
    rehashed = perf_counter() - begun
    checkpoint = Checkpoint(origin(SWARM, LOG), ENTRIES, whole.root())
    note = sign(checkpoint, key)
    with Store(path) as store:
        for start in range(0, ENTRIES, 4096):
            store.commit([PutEntry(LOG, seq, entries[seq]) for seq in range(start, min(start + 4096, ENTRIES))])
        store.commit([PutCheckpoint(LOG, ENTRIES, note)])

    def open_log() -> Tree:
        with Store.open_readonly(path) as store:
            tree = store.tree(LOG)
            assert (tree.size, len(store.head(LOG))) == (ENTRIES, 64)
            return tree

    opened = median_s(open_log, 5)
    witnesses = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(WITNESSES)]
    names = [origin(SWARM, f"{number:064x}") for number in range(WITNESSES)]
    cosigned = [cosign(checkpoint, *witness, 1_800_000_000) for witness in zip(names, witnesses, strict=True)]
    proof = print_proof(make_proof(open_log(), ENTRIES // 3, add_cosignatures(note, cosigned)))
    return (
        Figure(f"opening a log of {ENTRIES:,}", opened, "s", Goal(1), digits=2,
               note=f"hashing its entries again: {rehashed:.2f} s, without reading them"),
        Figure(f"proof of one entry, {WITNESSES} cosignatures", len(proof), "bytes", Goal(2048), digits=0),
    )  # fmt: skip


def _restart() -> Iterable[Figure]:
    """A whole node replays what it holds: it needs every entry's past, weight and term, and no tree gives it those."""
    swarm = busy_swarm()
    policy = POLICY.encode()
    blobs = {**swarm.founder.blobs, sha256(policy).hexdigest(): policy}
    logs: dict[str, list[bytes]] = {}
    for log, _, data in swarm.everything():
        logs.setdefault(log, []).append(data)
    lines = in_causal_order({log: partial(iter, entries) for log, entries in logs.items()})
    history = [(line.log, line.seq, line.data) for line in lines]  # as the store keeps them: in order of admission

    def restart() -> None:
        book = restore(swarm.swarm, swarm.founder_id, history, blobs.get, NumpyArithmetic())
        assert sum(book.replica.heads().values()) == len(history)

    taken = median_s(restart, 3)
    return (
        Figure("restart of a node, per entry it holds", 1e6 * taken / len(history), "us", digits=0,
               note=f"{len(history) / taken:,.0f} entries/s"),
    )  # fmt: skip
