"""The one hand that writes the store of a running node: what piles up during one fsync goes into the next.

    Append, Keep, KeepCheckpoint --put--> pending --one transaction--> disk --on_stored(seq)--> the machine
    KeepWitnessed, KeepVote, ... --'             `-- and what is cosigned     `--on_witnessed(log, size)--'
                                                     in a file of its own (ledger/mark.py)
    KeepModel ---put--> in a file of its own (kept_model.py)

What is pending can be read here already, so that the machine never has to know what is on disk yet.

A disk that fails once is not written to again in this run: a kernel that could not write a page may say of the same
page a moment later that all is well, and what comes after a lost batch has no place in the store without it. So the
first failure is the last word (LocalError, which ends the node), and whatever was queued behind it is dropped. Nothing
of it was acknowledged, so nobody was told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Final

from gossip.events import (
    Append,
    DropBlobs,
    Keep,
    KeepBase,
    KeepCheckpoint,
    KeepCosigned,
    KeepModel,
    KeepRendezvous,
    KeepVote,
    KeepWitnessed,
)
from gossip.node.kept_model import KeptModel
from ledger import kept as words
from ledger.entry import Hash, PeerId
from ledger.mark import WitnessMark
from ledger.store import (
    PutBase,
    PutBlob,
    PutCheckpoint,
    PutCosigned,
    PutEntry,
    PutMeta,
    PutVote,
    PutWitnessed,
    Store,
    StoredCheckpoint,
    StoredVote,
    Write,
)

Kept = (
    Append | Keep | KeepCheckpoint | KeepWitnessed | KeepVote | KeepCosigned | KeepModel | KeepBase | KeepRendezvous
    | DropBlobs
)  # fmt: skip

RENDEZVOUS: Final = "rendezvous"  # the key in the store: where members meet, as the machine kept it
MAX_PENDING: Final = 4096  # writes; beyond, the node waits for the disk


class Writer:
    """Commits batches on a thread of its own. `own` is the log whose appends are acknowledged; what was witnessed is
    acknowledged for every log."""

    def __init__(
        self, store: Store, reader: Store, mark: WitnessMark, own: PeerId, on_stored: Callable[[int], Awaitable[None]],
        on_witnessed: Callable[[PeerId, int], Awaitable[None]], kept: KeptModel,
    ) -> None:  # fmt: skip
        self._store = store  # used on the thread below only
        self._reader = reader  # a second, read-only connection, for this thread
        self._mark = mark
        self._own = own
        self._kept = kept
        self._model: bytes | None = None  # of a final snapshot, to be written; a newer one takes its place
        self._on_stored = on_stored
        self._on_witnessed = on_witnessed
        self._pending: list[Write] = []
        self._acknowledge = -1
        self._witnessed: list[tuple[PeerId, int]] = []  # to be acknowledged with the batch under way
        self._cosigned: dict[PeerId, tuple[int, bytes]] = {}
        self._checkpoints: dict[PeerId, StoredCheckpoint] = {}
        self._blobs: dict[Hash, bytes] = {}
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._failure: BaseException | None = None  # set on the thread below: from then on nothing is written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    def put(self, effect: Kept) -> None:
        """Queue a write. Order is kept."""
        match effect:
            case KeepCheckpoint(log, size, note, held, proof):
                self._pending.append(PutCheckpoint(log, size, note, held, proof))
                self._checkpoints[log] = StoredCheckpoint(size, note, size if held is None else held, proof)
            case KeepWitnessed(log, size, root):
                self._pending.append(PutWitnessed(log, size, root))
                self._witnessed.append((log, size))
            case KeepVote(log, size, digest):
                self._pending.append(PutVote(log, size, digest))
                self._witnessed.append((log, size))
            case KeepCosigned(log, size, note):
                self._pending.append(PutCosigned(log, size, note))
                self._cosigned[log] = (size, note)
            case KeepModel(model, data):
                self._kept.put(model, data)
                self._model = data
            case KeepBase(log, seq, sums):
                self._pending.append(PutBase(log, seq, sums))
            case KeepRendezvous(data):
                self._pending.append(PutMeta(RENDEZVOUS, data))
            case DropBlobs(hashes):
                self._pending.append(words.DropBlobs(hashes))
                for digest in hashes:  # (it may be on its way there)
                    self._blobs.pop(digest, None)
            case Append(seq, entry, blob):
                self._entry(self._own, seq, entry, blob)
                self._acknowledge = seq
            case Keep(log, seq, entry, blob):
                self._entry(log, seq, entry, blob)
        self._due.set()
        if len(self._pending) >= MAX_PENDING:
            self._room.clear()

    async def room(self) -> None:
        """Wait while the disk is too far behind."""
        await self._room.wait()

    def blob(self, digest: Hash) -> bytes | None:
        """A blob that was put or is on disk."""
        return self._blobs.get(digest) or self._reader.blob(digest)

    def checkpoint(self, log: PeerId) -> StoredCheckpoint | None:
        """The newest checkpoint that was put or is on disk."""
        return self._checkpoints.get(log) or self._reader.checkpoint(log)

    def witnessed(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, root) that was last cosigned of a log, as it is on disk; the store may come from a backup."""
        kept, stored = self._mark.witnessed(log), self._reader.witnessed(log)
        return stored if kept is None or (stored is not None and stored[0] > kept[0]) else kept

    def vote(self) -> StoredVote | None:
        """The snapshot last voted for, as it is on disk."""
        return self._mark.vote() or self._reader.vote()

    def cosigned(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, note) of the newest checkpoint with cosignatures that was put or is on disk."""
        return self._cosigned.get(log) or self._reader.cosigned(log)

    def model(self) -> Hash:
        """Which final snapshot's model was put or is on disk."""
        return self._kept.name()

    def model_part(self, begin: int, end: int) -> bytes:
        """Bytes of it."""
        return self._kept.part(begin, end)

    async def run(self) -> None:
        """Commit until cancelled. LocalError if the disk fails: nothing of that batch was acknowledged."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self._flush()

    async def close(self) -> None:
        """Write what is left, unless the disk has failed: that was said already, by run()."""
        try:
            await self._flush()
        finally:
            self._thread.shutdown()

    async def _flush(self) -> None:
        batch, self._pending = self._pending, []
        acknowledge, self._acknowledge = self._acknowledge, -1
        witnessed, self._witnessed = self._witnessed, []
        blobs, model = list(self._blobs), self._model
        self._model = None
        if (not batch and model is None) or self._failure is not None:
            return
        # Shielded: who is cancelled before the thread has begun would take the batch away, and leave a gap.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch, model))
        if model is not None:
            self._kept.written(model)
        for digest in blobs:
            self._blobs.pop(digest, None)
        self._room.set()
        if acknowledge >= 0:
            await self._on_stored(acknowledge)
        for log, size in witnessed:
            await self._on_witnessed(log, size)

    def _commit(self, batch: list[Write], model: bytes | None) -> None:
        if self._failure is not None:  # the batch before this one failed, and its flush was cancelled meanwhile
            raise self._failure
        try:
            if batch:
                self._store.commit(batch)
            roots = [(write.log, write.size, write.root) for write in batch if isinstance(write, PutWitnessed)]
            votes = [StoredVote(write.log, write.size, write.hash) for write in batch if isinstance(write, PutVote)]
            if roots or votes:
                self._mark.write(roots, votes[-1] if votes else None)
            if model is not None:
                self._kept.write(model)
        except BaseException as error:
            self._failure = error
            raise

    def _entry(self, log: PeerId, seq: int, entry: bytes, blob: bytes | None) -> None:
        self._pending.append(PutEntry(log, seq, entry))
        if blob is not None:
            digest = sha256(blob).hexdigest()
            self._pending.append(PutBlob(digest, blob))
            self._blobs[digest] = blob
