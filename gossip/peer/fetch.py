"""One model on its way, in parts, from several links at once.

    manifest --from one link--> hash of each part --parts from all that offer it, each part checked--> whole, hash right
                                                       ^-- deadline, Lacks, link down: the part goes to another link

A model is many times longer than a delta, and everybody who holds it holds the same bytes. Its name is the hash of all
of it, so a manifest cannot be checked before the end, but parts can be checked against the manifest. Who is to blame:

    a part by whoever gave the manifest is not what that says    it contradicts itself: its link ends
    all parts are as the manifest says, the whole is not         whoever gave the manifest
    a part by somebody else is not what the manifest says        one of the two lies: another link is asked for the
                                                                 part, and whoever sent the odd one pays if the whole is
                                                                 right

Rules kept here: the length is known from genesis before the first byte is asked for; pieces count whole and from
whoever was asked; what has come stays when a link goes. It refuses to know what a model is, and whether it is true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gossip.events import LinkId
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.wire.frames import PART_BYTES, PIECE_BYTES, Parts, Piece, WantBlob, WantParts
from ledger.entry import Hash
from ledger.errors import RemoteError

MAX_OPEN: Final = 4  # parts asked of one link side by side: 256 KiB in flight
MAX_FAILURES: Final = 16  # of one link: then it is a source no more
TIMER: Final = "arrival"

Blame = Callable[[LinkId, RemoteError], None]


@dataclass(slots=True)
class Ask:
    """A part, or a stretch of the manifest, that a link was asked for."""

    link: LinkId
    heard_at: float
    deadline: float
    got: dict[int, bytes] = field(default_factory=dict)  # pieces by offset


class Fetch:
    """The transfer of one model. `key_of` names the far end of a link for as long as we run."""

    def __init__(
        self, model: Hash, size_bytes: int, pace: Pace, out: Outbox, key_of: Callable[[LinkId], bytes], blame: Blame
    ) -> None:
        self.model = model
        self.size_bytes = size_bytes
        self._count = -(-size_bytes // PART_BYTES)
        self._pace = pace
        self._out = out
        self._key_of = key_of
        self._blame = blame
        self.sources: dict[LinkId, int] = {}  # failures
        self._false: set[bytes] = set()  # who gave manifests that led nowhere; asked, never iterated
        self._manifest: list[bytes] = []
        self._giver: tuple[LinkId, bytes] | None = None  # of the manifest
        self._listing: Ask | None = None
        self._parts: dict[int, bytes] = {}
        self._todo: list[int] = []  # parts, the next one last
        self._asks: dict[int, Ask] = {}
        self._odd: dict[int, dict[LinkId, None]] = {}  # of a part, who sent something else than the manifest says

    # -------------------------------------------------------------- sources

    def add(self, link: LinkId) -> None:
        """That link says that it holds the model."""
        self.sources.setdefault(link, 0)

    def drop(self, link: LinkId) -> None:
        """It does not, or not any more."""
        self.sources.pop(link, None)
        for part in [part for part, ask in self._asks.items() if ask.link == link]:
            del self._asks[part]
            self._todo.append(part)
        if self._listing is not None and self._listing.link == link:
            self._listing = None

    def _failed(self, link: LinkId) -> None:
        if link in self.sources:
            self.sources[link] += 1
            if self.sources[link] >= MAX_FAILURES:
                self.drop(link)

    # -------------------------------------------------------------- asking

    def pump(self, now: float) -> None:
        """Give what is to be asked for to links that have room; ask to be called again at the first deadline."""
        late = [part for part, ask in self._asks.items() if now >= ask.deadline]
        for part in late:
            ask = self._asks.pop(part, None)
            if ask is None:
                continue  # its link was given up a moment ago, and all that it was asked for with it
            self._todo.append(part)
            self._failed(ask.link)
        if self._listing is not None and now >= self._listing.deadline:
            link = self._listing.link
            self._begin_again()  # somebody else may be asked, and must say all of it
            self._failed(link)
        if len(self._manifest) < self._count:
            self._ask_manifest(now)
        else:
            self._ask_parts(now)
        times = [ask.deadline for ask in self._asks.values()]
        if self._listing is not None:
            times.append(self._listing.deadline)
        if times:
            self._out.timer(TIMER, min(times))

    def _ask_manifest(self, now: float) -> None:
        if self._listing is not None:
            return
        if self._giver is not None and self._giver[0] not in self.sources:
            self._begin_again()  # half a manifest: the rest of it by somebody else might be of another
        if self._giver is None:
            fit = [link for link in self.sources if self._key_of(link) not in self._false]
            if not fit:
                return
            link = min(fit, key=lambda link: (self.sources[link], self._pace.grade(link), link))
            self._giver = (link, self._key_of(link))
        link = self._giver[0]
        self._listing = Ask(link, now, now + self._pace.wait_s(link, self.sources[link]))
        self._out.send(link, WantParts(self.model, len(self._manifest)))

    def _ask_parts(self, now: float) -> None:
        busy: dict[LinkId, int] = {}
        for ask in self._asks.values():
            busy[ask.link] = busy.get(ask.link, 0) + 1
        again: list[int] = []
        while self._todo and any(busy.get(link, 0) < MAX_OPEN for link in self.sources):
            part = self._todo.pop()
            odd = self._odd.get(part, {})
            able = [link for link in self.sources if link not in odd]
            if not able:  # everybody contradicts the manifest, and who gave it is gone: begin with another
                self._begin_again(is_false=True)
                self._ask_manifest(now)
                return
            free = [link for link in able if busy.get(link, 0) < MAX_OPEN]
            if not free:
                again.append(part)
                continue
            link = min(free, key=lambda link: (self.sources[link] + busy.get(link, 0), self._pace.grade(link), link))
            busy[link] = busy.get(link, 0) + 1
            self._asks[part] = Ask(link, now, now + self._pace.wait_s(link, self.sources[link]))
            begin = part * PART_BYTES
            self._out.send(link, WantBlob(self.model, begin, min(PART_BYTES, self.size_bytes - begin)))
        self._todo += reversed(again)

    def _begin_again(self, *, is_false: bool = False) -> None:
        """Without this manifest, and without what it let in."""
        if self._giver is not None and is_false:
            self._false.add(self._giver[1])
        self._giver = self._listing = None
        self._manifest.clear()
        self._parts.clear()
        self._todo.clear()
        self._asks.clear()
        self._odd.clear()

    # -------------------------------------------------------------- what comes

    def on_parts(self, link: LinkId, frame: Parts) -> bool:
        """A stretch of the manifest. True if it was asked for."""
        if self._listing is None or self._listing.link != link or frame.first != len(self._manifest):
            return False
        if frame.first + len(frame.hashes) > self._count:
            raise RemoteError("a model is said to have more parts than it can have", why=f"{self._count} are enough")
        self._listing = None
        self._manifest += frame.hashes
        if len(self._manifest) == self._count:
            self._todo = list(range(self._count - 1, -1, -1))
        return True

    def on_piece(self, link: LinkId, piece: Piece, now: float) -> bool:
        """A piece of a part. True if it brought it forward. RemoteError if its sender contradicts itself."""
        part = piece.offset // PART_BYTES
        ask = self._asks.get(part)
        if ask is None or ask.link != link or piece.offset % PIECE_BYTES or piece.offset in ask.got:
            return False
        if piece.total != self.size_bytes:
            raise RemoteError("a model has another length than genesis says", why=f"{piece.total} bytes")
        begin, end = part * PART_BYTES, min((part + 1) * PART_BYTES, self.size_bytes)
        if len(piece.data) != min(PIECE_BYTES, end - piece.offset):
            return False  # a crumb
        ask.got[piece.offset] = piece.data
        self._pace.heard(link, now - ask.heard_at)
        ask.heard_at = now
        ask.deadline = max(ask.deadline, now + self._pace.wait_s(link, 0))
        if len(ask.got) == -(-(end - begin) // PIECE_BYTES):
            del self._asks[part]
            self._came(part, link, b"".join(data for _, data in sorted(ask.got.items())))
        return True

    def _came(self, part: int, link: LinkId, data: bytes) -> None:
        if sha256(data).digest() == self._manifest[part]:
            self._parts[part] = data
            if link in self.sources:
                self.sources[link] = 0
            return
        self._todo.append(part)
        if self._giver is not None and link == self._giver[0]:
            self._begin_again(is_false=True)
            raise RemoteError("a part of a model is not what its sender said it would be", why=f"part {part}")
        self._odd.setdefault(part, {})[link] = None

    def take(self) -> bytes | None:
        """The whole model, if it is here and has the hash. If it is here and has not, everything begins again."""
        if self._count == 0 or len(self._parts) < self._count:
            return None
        whole = b"".join(self._parts[part] for part in range(self._count))
        if sha256(whole).hexdigest() == self.model:
            liars = {link: None for odd in self._odd.values() for link in odd}
            for link in liars:
                self._blame(link, RemoteError("a part of a model is not what its hash says"))
            return whole
        giver = self._giver
        self._begin_again(is_false=True)
        if giver is not None:
            self._blame(giver[0], RemoteError("the parts that a model is said to have do not make it"))
        return None
