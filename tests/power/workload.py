"""What a peer writes, small enough to be checked whole: batches of entries, and what was witnessed with each.

`check` opens what is left and says what is wrong with it; "" if every promise was kept. As a program, it writes into
the directory named until it is stopped, and tells of each promise on a line of its own:

    python -m tests.power.workload store|mark DIRECTORY FULL|OFF
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final

from ledger.errors import LocalError
from ledger.mark import SignedMark
from ledger.merkle import Tree, leaf_hash
from ledger.store import PutBlob, PutEntry, PutWitnessed, Store, Write

STORE: Final = "peer.db"
MARK: Final = "signed"
LOG: Final = "aa" * 32
BATCH: Final = 3
CARRY_OVER_BYTES: Final = 64 << 10  # the log is carried over into the file so often here that cuts meet that as well


def entry(seq: int) -> bytes:
    return b"%d " % seq * 60


def batch(seq: int) -> list[Write]:
    """Entries seq, seq + 1, seq + 2, a blob, and the root over all of them: they are there together or not at all."""
    blob = b"blob %d " % seq * 90
    root = Tree(leaf_hash(entry(at)) for at in range(seq + BATCH)).root()
    entries = [PutEntry(LOG, at, entry(at)) for at in range(seq, seq + BATCH)]
    return [*entries, PutBlob(sha256(blob).hexdigest(), blob), PutWitnessed(LOG, seq + BATCH, root)]


def written(store: Store, *, synchronous: str = "FULL") -> Iterator[int]:
    """Commit batch after batch; each time, how many entries are promised to be safe."""
    store._db.execute(f"PRAGMA synchronous = {synchronous}")
    store._carry_over_at = CARRY_OVER_BYTES
    size = store.size(LOG)
    while True:
        store.commit(batch(size))
        size += BATCH
        yield size


def check(path: Path, promised: int) -> str:
    """What is wrong with the store that a cut left, of which `promised` entries were acknowledged."""
    try:
        with Store(path) as store:
            size = store.size(LOG)
            tree = store.tree(LOG)
            if size < promised:
                return f"{promised - size} of {promised} acknowledged entries are lost"
            if list(store.entries(LOG)) != [entry(seq) for seq in range(size)]:
                return "an entry has changed"
            if size % BATCH:
                return "half a batch is there"
            if (size, tree.root()) != (store.witnessed(LOG) or (0, tree.root())):
                return "what was witnessed and the entries are of two different commits"
            store.commit(batch(size))
            if store.size(LOG) != size + BATCH:
                return "it cannot be written any more"
    except LocalError as error:
        return f"it does not open: {error}"
    return ""


def root_of_size(size: int) -> str:
    return sha256(b"%d" % size).hexdigest()


def check_mark(path: Path, promised: int) -> str:
    """What is wrong with the mark that a cut left, when `promised` was said to be written."""
    try:
        signed = SignedMark(path).read()
    except LocalError as error:
        return str(error)
    if signed is None or signed.size < promised:
        return f"the mark is of size {signed.size if signed else 0}, and {promised} was signed"
    return "" if signed.root == root_of_size(signed.size) else "the mark names another root"


def _marks(path: Path, synchronous: str) -> Iterator[int]:
    if synchronous == "OFF":
        os.fsync = lambda fd: None
    for size in count(1):
        SignedMark(path).write(size, root_of_size(size))
        yield size


def main() -> None:
    kind, directory, synchronous = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if kind == "mark":
        for size in _marks(directory / MARK, synchronous):
            print(size, flush=True)
    with Store(directory / STORE) as store:
        for size in written(store, synchronous=synchronous):
            print(size, flush=True)


if __name__ == "__main__":
    main()
