"""A peer that is killed between any two steps of append, sign and send, and started again.

    append: open, write and sync of the store's files, as SQLite does them     ... told "stored 3"
    sign:   open, sync, rename, sync of the mark
    send:   told "sent 3 <root>"
    keep:   write and sync of the store again, for the checkpoint

One life is a process of its own; it counts its steps and kills itself before the n-th with SIGKILL, from which nobody
can protect himself. What it told before is what the rest of the world knows. Then it lives again, unharmed, and goes
on. `python -m tests.power.steps PLACE ORDER` does that for every n, and prints what was wrong.

ORDER is `right`, or one of the ways to do it wrong that must be caught: `sign-first` (before the entries are stored)
and `no-mark` (that, and nothing keeps what was signed).
"""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from ledger.checkpoint import Checkpoint, origin, sign
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.merkle import Tree, leaf_hash
from ledger.store import PutCheckpoint, PutEntry, SignedMark, Store
from tests.power.vfs import is_possible, watching

LOG: Final = "aa" * 32
KEY: Final = PrivateKey.from_seed(b"s" * 32)
ROUNDS: Final = 2
MAX_STEPS: Final = 1000


class Life:
    """One process of the peer in `place`."""

    def __init__(self, place: Path, number: int, order: str, die_at: int) -> None:
        self._place, self._number, self._order, self._left = place, number, order, die_at
        self._told = os.open(place / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def live(self) -> None:
        with ExitStack() as stack:
            for name in ("open", "fsync", "replace"):
                setattr(os, name, self._stepping(getattr(os, name)))
            if is_possible():
                stack.enter_context(watching(lambda _: self._step()))
            store = stack.enter_context(Store(self._place / "peer.db"))
            mark = SignedMark(self._place / "signed")
            size, signed = store.size(LOG), mark.read()
            if signed is not None and signed.size > size:
                self._tell(f"ahead {signed.size} {size}")
                return
            if size and (signed is None or signed.size < size):
                self._sign(store, mark, store.tree(LOG))  # stored and not signed: so do this first
            for _ in range(ROUNDS):
                self._round(store, mark)

    def _round(self, store: Store, mark: SignedMark) -> None:
        tree = store.tree(LOG)
        entry = b"entry %d of life %d" % (tree.size, self._number)
        tree.append(leaf_hash(entry))
        if self._order != "right":
            self._sign(store, mark, tree)
        store.commit([PutEntry(LOG, tree.size - 1, entry)])
        self._tell(f"stored {tree.size} {self._number}")
        if self._order == "right":
            self._sign(store, mark, tree)

    def _sign(self, store: Store, mark: SignedMark, tree: Tree) -> None:
        if self._order != "no-mark":
            mark.write(tree.size, tree.root().hex())
        note = sign(Checkpoint(origin("cc" * 32, LOG), tree.size, tree.root()), KEY)
        self._tell(f"sent {tree.size} {tree.root().hex()}")
        if self._order == "right":
            store.commit([PutCheckpoint(LOG, tree.size, note)])

    def _stepping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **named: Any) -> Any:
            self._step()
            return call(*given, **named)

        return step

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self, line: str) -> None:
        self._step()
        os.write(self._told, line.encode() + b"\n")
        self._step()


def survives(place: Path, order: str, die_at: int) -> tuple[bool, list[str]]:
    """Whether the first life was killed at all, and what was wrong in the end."""
    place.mkdir()
    killed = _live(place, 1, order, die_at)
    if killed and _live(place, 2, order, 0):
        return killed, ["the second life was killed"]
    return killed, [f"killed at step {die_at}: {fault}" for fault in _faults(place)]


def _live(place: Path, number: int, order: str, die_at: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            Life(place, number, order, die_at).live()
        except LocalError as error:
            print(f"life {number}: {error}", flush=True)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _faults(place: Path) -> list[str]:
    faults: list[str] = []
    stored: dict[int, str] = {}  # size: the life that was told so
    roots: dict[int, set[str]] = defaultdict(set)
    for line in (place / "told").read_text().splitlines():
        match line.split():
            case "stored", size, life:
                stored[int(size)] = life
            case "sent", size, root:
                roots[int(size)].add(root)
            case "ahead", signed, size:
                faults.append(f"size {signed} was signed, and {size} are stored: it can never go on alone")
    faults += [f"{len(known)} roots for size {size}" for size, known in roots.items() if len(known) > 1]
    with Store.open_readonly(place / "peer.db") as store:
        entries, tree, kept = list(store.entries(LOG)), store.tree(LOG), store.checkpoint(LOG)
    for length, life in stored.items():
        if length > len(entries) or entries[length - 1] != f"entry {length - 1} of life {life}".encode():
            faults.append(f"entry {length - 1} was acknowledged and is lost")
    for length, known in roots.items():
        if length <= tree.size and tree.root(length).hex() not in known:
            faults.append(f"what was signed for size {length} is not what is stored")
    marked = SignedMark(place / "signed").read()
    if kept is not None and (marked is None or marked.size < kept.size):
        faults.append("a checkpoint is kept that the mark does not know")
    return faults


def main() -> None:
    place, order = Path(sys.argv[1]), sys.argv[2]
    faults: list[str] = []
    for die_at in range(1, MAX_STEPS):
        killed, found = survives(place / str(die_at), order, die_at)
        faults += found
        if not killed or (found and order != "right"):  # of a way to do it wrong, one fault is proof
            print(f"{die_at - 1} steps", *faults, sep="\n")
            return
    print("it never ended")


if __name__ == "__main__":
    main()
