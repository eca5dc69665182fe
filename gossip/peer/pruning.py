"""Letting go of old deltas while a peer runs, and fetching one back where it moves after all.

    a `final` is admitted --enough more than before?--> sums of its past, right by its hash --KeepBase--> disk
                                                                                             `DropBlobs, behind it
    a term in the base moves --owed--> its delta is asked for --here--> moved, kept again --> the sum is a model again
    a delta is wanted that all others have let go of --for SAY_S--> its owner is told

Rules kept here: the base is on its way to the disk before the first delta is let go of, in the order of effects;
bounded work, and never while we are catching up ourselves. Which deltas may go is shedding.py's business; entries never
go. It refuses to know links.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from gossip.config import PeerConfig
from gossip.events import DropBlobs, Keep, KeepBase
from gossip.peer.blobs import Blobs
from gossip.peer.book import Base, Book
from gossip.peer.outbox import Outbox
from gossip.peer.shedding import Shedding, blob_named, newest_ground, sums_of
from gossip.peer.status import Pruned
from ledger.chain import peer_of
from ledger.delta import max_blob_bytes
from ledger.entry import AnyEntry, Finality, Hash, Update

AT_ONCE: Final = 1024  # deltas let go of in one write, so that no entry waits long for the disk
FEW: Final = 64  # entries missing: who lacks more is catching up
LOOK_S: Final = 1.0
SAY_S: Final = 10.0  # that nobody linked has what is wanted: somebody who does may be on the way
MAX_TERMS: Final = 4096  # moved to get from the fold to the base: a second or so
MAX_BYTES: Final = 64 * 1024 * 1024  # of deltas read for it
TIMER: Final = "pruning"


class Pruning:
    """What one peer lets go of. `missing`: how many entries it knows of and does not hold."""

    def __init__(self, config: PeerConfig, book: Book, blobs: Blobs, out: Outbox, missing: Callable[[], int]) -> None:
        self._keep, self._step = config.keep_updates, config.prune_step
        self._book = book
        self._blobs = blobs
        self._out = out
        self._missing = missing
        self._shedding = Shedding(book.replica, self._keep or 0)
        self._gone = max(0, book.base.updates - (self._keep or 0)) if book.base is not None else 0
        self._is_new = False  # a final came
        self._going: dict[Hash, None] = {}
        self._look_at = 0.0
        self._is_told = False
        self._lacking_since: float | None = None
        self._is_said = False

    def learn(self, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        self._is_new = self._is_new or (self._keep is not None and isinstance(entry, Finality))
        self._going.pop(blob_named(entry), None)  # the same bytes are wanted again

    @property
    def status(self) -> Pruned | None:
        base = self._book.base
        return Pruned(peer_of(base.log), base.seq, base.updates, len(self._book.owed)) if base is not None else None

    def tick(self, now: float) -> None:
        """Move what is owed and here, ask for the rest, and let go of what may go."""
        self._pay()
        self._say(now)
        if not self._is_new and not self._going:
            return
        if now < self._look_at or self._missing() > FEW:
            self._out.timer(TIMER, max(self._look_at, now + LOOK_S))
            return
        self._look_at = now + LOOK_S
        if self._is_new:
            self._is_new = False
            self._begin()
        if self._going:
            going = tuple(islice(self._going, AT_ONCE))
            for digest in going:
                del self._going[digest]
            self._out.put(DropBlobs(going))
            self._out.timer(TIMER, self._look_at)

    def _say(self, now: float) -> None:
        """Tell that nobody has what is wanted, instead of waiting without a word."""
        lacking = self._blobs.lacking()
        if not lacking:
            self._lacking_since, self._is_said = None, False
        elif self._lacking_since is None:
            self._lacking_since = now
            self._out.timer(TIMER, now + SAY_S)
        elif not self._is_said and now >= self._lacking_since + SAY_S:
            self._is_said = True
            self._out.note(
                "trouble",
                text=f"{lacking} deltas are wanted that nobody linked with this peer has any more: it cannot fold what "
                "comes after them, and publishes nothing, until a member that keeps everything is online",
            )  # fmt: skip

    def _begin(self) -> None:
        """Move the base up to the newest final, if that is worth it."""
        book, keep = self._book, self._keep or 0
        ground = newest_ground(book.replica)
        if ground is None or book.owed or ground.updates - keep < self._gone + self._step:
            return
        theta = sums_of(book, ground, terms=MAX_TERMS, size=MAX_BYTES)
        if theta is None:
            return  # too far back, or its author folds wrongly: the next one
        going = self._shedding.next(ground)
        self._gone = ground.updates - keep
        book.base = Base(ground.log, ground.seq, ground.updates)
        self._out.put(KeepBase(ground.log, ground.seq, book.arithmetic.sums(theta)))
        self._going |= dict.fromkeys(going)
        self._out.note(
            "pruned", peer=peer_of(ground.log), seq=ground.seq, updates=ground.updates, deltas=len(going), keeps=keep
        )  # fmt: skip

    # -------------------------------------------------------------- what moves after all

    def _pay(self) -> None:
        book, replica = self._book, self._book.replica
        for (log, seq), owed in tuple(book.owed.items()):
            blob = self._blobs.find(owed.delta)
            if blob is None:
                entry = replica.entry(log, seq)
                size = entry.bytes if isinstance(entry, Update) else 0
                limit = max_blob_bytes(book.require_fold().parameters)
                self._blobs.want(owed.delta, limit=limit, total=size, log=log, seq=seq, urgent=True)
                continue
            book.pay(log, seq, blob)
            self._blobs.used(owed.delta, blob)
            self._out.put(Keep(log, seq, replica.data(log, seq), blob))
        if book.owed and not self._is_told:
            self._out.note(
                "trouble",
                text=f"a revocation moves {len(book.owed)} updates whose deltas this peer has let go of: it asks "
                "others for them, and writes nothing until they are here; who keeps everything has to be online",
            )  # fmt: skip
        self._is_told = bool(book.owed)
