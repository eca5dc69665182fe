"""What a peer writes, small enough to be checked whole: batches of entries, and what was witnessed with each.

`check` opens what is left and says what is wrong with it; "" if every promise was kept. As a program, it writes to
the store named until it is stopped, and tells of each promise on a line of its own:

    python -m tests.power.workload PATH FULL|OFF
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.errors import LocalError
from ledger.merkle import Tree, leaf_hash
from ledger.store import PutBlob, PutEntry, PutWitnessed, Store, Write

LOG: Final = "aa" * 32
BATCH: Final = 3
CHECKPOINT_PAGES: Final = 16  # SQLite moves its log into the file every 16 pages here, so that cuts meet that as well


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
    store._db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
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


def main() -> None:
    with Store(Path(sys.argv[1])) as store:
        for size in written(store, synchronous=sys.argv[2]):
            print(size, flush=True)


if __name__ == "__main__":
    main()
