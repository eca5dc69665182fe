"""A peer that writes one entry of its own while no node runs: the machine, without links, over the store.

    Started, NewKey --> Peer.handle --Append--> store --Stored--> KeepCheckpoint --> signed, store --> key files

What the node does with sockets and tasks, in one go: the same machine decides and signs, so a change of keys made here
is the one that a running node would have made. What others must be asked for first (a store older than what was signed)
is left to `gossip run`. It decides nothing.
"""

from __future__ import annotations

import heapq
import random
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from gossip import backup
from gossip import directory as places
from gossip import events as ev
from gossip.config import PeerConfig
from gossip.identity import KeyFiles, stored_promise
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.peer.book import Book, restore
from gossip.peer.peer import Peer
from ledger.errors import LocalError
from ledger.private_files import Passphrase
from ledger.promise import Promise
from ledger.store import PutBlob, PutCheckpoint, PutEntry, SignedMark, Store, Write

PATIENCE_S: Final = 60.0  # of the machine's time, which is not ours: it may wait a little before it trusts its store


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of keys that is done: written, stored, signed for, and followed by the key files."""

    old: bytes
    new: bytes
    seq: int


def change_key(
    directory: Path, passphrase: Passphrase | None = None, *, recover: bool = False, since: int | None = None
) -> Changed:
    """Put the promised key in force. LocalError if that cannot be done here and now; then nothing has changed."""
    with places.lock(directory), Store(places.store_path(directory)) as store:
        keys, before = KeyFiles(directory, passphrase), stored_promise(store)
        mark = SignedMark(places.mark_path(directory))
        own = store.meta("self").decode()
        signed = mark.read()
        if before is None or (signed is not None and signed.size > store.logs().get(own, 0)):
            raise LocalError(
                "this peer lacks entries of its own log", why="others hold more of it than its store",
                next_step="start it with gossip run, and change the key when it has fetched them",
            )  # fmt: skip
        current = keys.settle(before)
        following, promise = keys.prepare(before)
        book = restore(
            store.meta("swarm").decode(), store.meta("founder").decode(), store.history(), store.blob, NumpyArithmetic()
        )
        if not book.replica.role_of(own):
            raise LocalError("this peer is no member yet", next_step="start it with gossip run until it is let in")
        peer = Peer(
            PeerConfig(), key=current, self_id=own, book=book, shelf=store, luck=random.Random(0),
            mark=(signed.size, signed.root) if signed is not None else None,
        )  # fmt: skip
        after = _run(peer, ev.NewKey(following, promise, recover, since), store, mark, book, own)
        keys.settle(after)
        backup.recovered(store)
        return Changed(before.key, after.key, after.since)


def _run(peer: Peer, wanted: ev.NewKey, store: Store, mark: SignedMark, book: Book, own: str) -> Promise:
    """Feed the machine until the wanted key is in force on disk."""
    now = time.time()
    until = now + PATIENCE_S
    waiting: list[ev.Event] = [ev.Started(), wanted]
    timers: list[tuple[float, str]] = []
    while waiting or timers:
        if not waiting:
            at, name = heapq.heappop(timers)
            now = max(now, at)
            if now > until:
                break
            waiting.append(ev.Timer(name))
        for effect in peer.handle(waiting.pop(0), now):
            match effect:
                case ev.Append(seq, entry, blob):
                    store.commit(_with_blob(PutEntry(own, seq, entry), blob))
                    waiting.append(ev.Stored(seq))
                case ev.KeepCheckpoint(log, size, note, held, proof):
                    if log == own:
                        mark.write(size, book.replica.root(own, size).hex())
                    store.commit([PutCheckpoint(log, size, note, held, proof)])
                case ev.SetTimer(name, at):
                    heapq.heappush(timers, (at, name))
                case _:
                    pass  # nobody to send to, nobody to show a note to
        promise = peer.promise()
        if promise is not None and promise.key == wanted.key.public:
            return promise
    raise LocalError(
        "the change of keys was not written", why="this peer first has to hear from others",
        next_step="start it with gossip run, and change the key then",
    )  # fmt: skip


def _with_blob(entry: PutEntry, blob: bytes | None) -> list[Write]:
    return [entry] if blob is None else [entry, PutBlob(sha256(blob).hexdigest(), blob)]
