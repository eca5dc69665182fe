"""Which final snapshot's model a peer keeps for those who come late, and how it gives it away.

    a `final` is admitted --newer enough?--> wanted --little missing--> recomputed by difference --KeepModel--> disk
                                                                                                        |
    WantParts (zero) --> Latest     WantParts --> Parts     WantBlob --> pieces  <----------------------'

One model is kept, the newest final's but for a margin: only one with an eighth more updates (at most MARGIN) takes its
place. So all members come to keep the same one, whoever is under way with it has time to finish, and a swarm of a year
does not write a model each minute.

Rules kept here: what is kept was recomputed here, from what is held, and has the hash that the snapshot says; bounded
work for it, and never while we are catching up ourselves. It refuses to know who asks: rights.py and the gate do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final

from gossip.egress import Kind, Released, Withheld, require
from gossip.events import KeepModel, LinkId
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book, Shelf
from gossip.peer.offered import Offer
from gossip.peer.outbox import Outbox
from gossip.peer.shifted import bytes_of, hash_of, shifted
from gossip.wire.frames import (
    MAX_MESSAGE_BYTES,
    MAX_PARTS,
    NO_HASH,
    PART_BYTES,
    PIECE_BYTES,
    Lacks,
    Latest,
    Parts,
    Piece,
    WantBlob,
    WantParts,
)
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Enrol, Finality, Hash, PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.fold import model_header

MARGIN: Final = 512  # updates that a newer final has more, at most, before it takes the place of the one kept
MAX_TERMS: Final = 4096  # moved to recompute one: a second or so
MAX_BYTES: Final = 64 * 1024 * 1024  # of deltas read for it
FEW: Final = 64  # entries missing: who lacks more is catching up, and has other things to do
LOOK_S: Final = 1.0  # between two looks whether it can be done
PARTS_AT_ONCE: Final = 16  # of a kept model looked at in one event: a megabyte, below a millisecond
TIMER: Final = "finals"


def takes_over(kept: int, newer: int) -> bool:
    """Whether a final with so many updates is worth keeping in place of one with `kept`."""
    return newer >= kept + min(MARGIN, max(1, kept // 8))


class Finals:
    """The final snapshots that one peer knows of, and the model of one of them."""

    def __init__(self, book: Book, shelf: Shelf, out: Outbox, blobs: Blobs, missing: Callable[[], int]) -> None:
        self._book = book
        self._shelf = shelf
        self._out = out
        self._blobs = blobs
        self._missing = missing
        self._enrolled: dict[str, PeerId] = {}  # by first key
        self._old: list[tuple[int, LogId, Finality]] = []  # of before the start: (updates, log, entry)
        self._is_restored = False
        self._wanted: tuple[int, LogId, Finality] | None = None
        self._made: Hash = ""  # the model of the one wanted, once it is kept; or it cannot be made
        self._kept: Hash = ""
        self._size = 0  # bytes
        self._latest: Latest | None = None
        self._hashes: list[bytes] = []  # of the parts, as many as were looked at
        self._hashed: Hash = ""  # whose they are
        self._look_at = 0.0

    # -------------------------------------------------------------- what was admitted

    def learn(self, log: LogId, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        match entry:
            case Enrol():
                self._enrolled.setdefault(entry.key, log)
            case Finality():
                snapshot = self._book.replica.entry(log, entry.snapshot)
                if isinstance(snapshot, Snapshot):
                    self._old.append((snapshot.updates, log, entry))
            case _:
                pass

    def keys(self, witness: str) -> Iterator[bytes]:
        """The keys that a witness of genesis is known to have had: that one, and the one in force."""
        first = bytes.fromhex(witness)
        yield first
        peer = self._enrolled.get(witness)
        if peer is not None and (now := self._book.replica.key_of(peer)) != first:
            yield now

    def _choose(self) -> None:
        """Look through the finals that came since the last time."""
        fresh, self._old = sorted(self._old, key=lambda final: (final[0], final[1], final[2].seq)), []
        for final in fresh:
            if self._wanted is None or takes_over(self._wanted[0], final[0]):
                self._wanted, self._made = final, ""

    # -------------------------------------------------------------- keeping

    def tick(self, now: float) -> None:
        """Keep the model that is wanted, if it is not kept and nothing more urgent is to be done."""
        if self._old:
            self._choose()
        self._look_at_parts(now)
        if self._wanted is None or self._made:
            return
        if now < self._look_at:
            self._out.heed(self._look_at)
            return
        self._look_at = now + LOOK_S
        _, log, final = self._wanted
        snapshot = self._book.replica.entry(log, final.snapshot)
        assert isinstance(snapshot, Snapshot)
        if snapshot.model == (self._kept or self._shelf.model()):  # it was kept in an earlier run
            self._serve(snapshot.model, log, final)
            self._out.timer(TIMER, now)  # its parts are looked at from here on
        elif self._missing() > FEW:
            self._out.timer(TIMER, self._look_at)
        else:
            self._make(snapshot, log, final)

    def _make(self, snapshot: Snapshot, log: LogId, final: Finality) -> None:
        book, replica = self._book, self._book.replica
        self._made = snapshot.model
        change = replica.change(replica.heads(), replica.past(log, final.snapshot + 1))
        theta = shifted(book, change, self._blobs.find, terms=MAX_TERMS, size=MAX_BYTES)
        if theta is None or hash_of(book, theta) != snapshot.model:
            return  # too far back, or its author folds wrongly: the next one
        self._keep(snapshot.model, bytes_of(book, theta))
        self._serve(snapshot.model, log, final)

    def verified(self, offer: Offer, data: bytes) -> None:
        """What we came with is right: keep that, and give it on as soon as its `final` is here."""
        self._keep(offer.model, data)
        self._kept, self._latest = offer.model, None

    def _keep(self, model: Hash, data: bytes) -> None:
        self._out.put(KeepModel(model, data))
        parts = range(0, len(data), PART_BYTES)
        self._hashed, self._hashes = model, [sha256(data[begin : begin + PART_BYTES]).digest() for begin in parts]

    def _serve(self, model: Hash, log: LogId, final: Finality) -> None:
        fold, replica = self._book.require_fold(), self._book.replica
        self._made = self._kept = model
        self._size = len(model_header(fold.layout)) + 8 * fold.parameters
        if self._hashed != model:  # kept in an earlier run
            self._hashed, self._hashes = model, []
        entry, note = replica.data(log, final.snapshot), final.note.encode()
        proof = tuple(replica.tree(log).inclusion(final.snapshot, final.snapshot + 1))
        if 40 + len(entry) + len(note) + 32 * len(proof) <= MAX_MESSAGE_BYTES:  # else it cannot travel: the next one
            self._latest = Latest(peer_of(log), note, proof, entry)

    # -------------------------------------------------------------- giving

    def on_want_parts(self, link: LinkId, frame: WantParts) -> None:
        """What is our Latest, or what are the hashes of a model's parts?"""
        if frame.model == NO_HASH and self._latest is not None and self._serves(self._kept):
            self._out.send(link, self._latest)
        elif self._serves(frame.model):
            if frame.first >= len(self._hashes):
                raise RemoteError("parts beyond a model's end are asked for")
            self._out.send(link, Parts(frame.model, frame.first, tuple(self._hashes[frame.first :][:MAX_PARTS])))
        else:
            self._out.send(link, Lacks(frame.model))

    def _serves(self, model: Hash) -> bool:
        """Whether it is ours, on the shelf by now, and its parts are known."""
        is_ours = model == self._kept and self._latest is not None and self._shelf.model() == model
        return is_ours and self._hashed == model and len(self._hashes) * PART_BYTES >= self._size

    def _look_at_parts(self, now: float) -> None:
        """Of a model that was kept in an earlier run, hash a few parts more: all of them at once would hold up
        everything else, at a moment that whoever asks chooses."""
        if self._latest is None or self._hashed != self._kept or self._shelf.model() != self._kept:
            return
        first = len(self._hashes) * PART_BYTES
        for begin in range(first, self._size, PART_BYTES)[:PARTS_AT_ONCE]:
            part = self._shelf.model_part(begin, min(self._size, begin + PART_BYTES))
            if not part:
                return  # damaged: it is served to nobody
            self._hashes.append(sha256(part).digest())
        if len(self._hashes) * PART_BYTES < self._size:
            self._out.timer(TIMER, now)

    def on_want(self, link: LinkId, want: WantBlob, gate: Callable[[bytes], Released[Kind] | Withheld]) -> bool:
        """Serve a stretch of the model, if it is that which is asked for, and the gate gives leave."""
        if not self._serves(want.hash):
            return False
        if want.offset >= self._size:
            raise RemoteError("a stretch beyond a model's end is asked for")
        end = min(self._size, want.offset + want.length)
        data = self._shelf.model_part(want.offset, end)
        if not data or isinstance(leave := gate(model_header(self._book.require_fold().layout)), Withheld):
            self._out.send(link, Lacks(want.hash))
            return True
        require(leave, leave.kind, of=want.hash, to=leave.to)
        for begin in range(0, len(data), PIECE_BYTES):
            piece = Piece(want.hash, self._size, want.offset + begin, data[begin : begin + PIECE_BYTES])
            self._out.send(link, piece, bulk=True)
        return True
