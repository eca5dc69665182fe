"""Blobs on their way: which are wanted, from whom, how far they have come.

    want() -> idle --a link that has it, with room--> asked --pieces in order--> whole, hash right --> ready
                ^                                      |
                `---- deadline, Lacks, link down ------'      what has come so far is kept: the next link resumes

Rules kept here: a blob is asked for only because a signed entry names it; its size is bounded before its first
byte is kept; pieces count only in order, from whoever was asked; a wrong hash costs the sender its link if it
alone sent the bytes. Entries may name a blob that is not theirs, with a length that is a lie: whoever holds any of
them is asked, and a length is only believed of a blob that has its hash, and in advance
if nobody gives another. A link that lets a request run out, answers slowly or in crumbs is asked after the others. None
is given without the gate's leave (gossip/egress.py). It refuses to know what blobs mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from gossip.egress import Kind, Released, Withheld, require
from gossip.events import LinkId
from gossip.limits import DEFAULT, Limits
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.transfer import FIRST_WINDOW_BYTES, Transfer
from gossip.wire.frames import MAX_WINDOW_BYTES, PIECE_BYTES, Lacks, Piece, WantBlob
from ledger.chain import peer_of
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError

MAX_RECENT_BYTES: Final = 4 * 1024 * 1024  # of blobs just used, so that passing them on reads no disk
MAX_SERVED_BYTES: Final = 4 * 1024 * 1024  # of blobs that go out in several stretches; the newest, however long it is
BESIDE_BYTES: Final = 256  # that a blob kept takes beside itself: a small model's deltas are smaller than that
MAX_FAILURES: Final = 64  # remembered for each transfer
MAX_NAMED: Final = 64  # entries remembered that name one blob
MISSED: Final = 4  # marks for a request that ran out; a blob that came whole takes one away
MAX_MISSED: Final = 8
TIMER: Final = "blobs"

Holders = Callable[[PeerId, int], list[LinkId]]  # links that say they hold entry `seq` of a log


class Shelf(Protocol):
    """Of what is kept, all that is asked here."""

    def blob(self, digest: Hash, /) -> bytes | None: ...


class Blobs:
    """All transfers of one peer."""

    def __init__(self, pace: Pace, out: Outbox, shelf: Shelf, holders: Holders, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._pace = pace
        self._out = out
        self._shelf = shelf
        self._holders = holders
        self._open: dict[Hash, Transfer] = {}
        self._ready: dict[Hash, Transfer] = {}  # whole
        self._ready_bytes = 0
        self._recent: dict[Hash, bytes] = {}
        self._recent_bytes = 0
        self._served: dict[Hash, bytes] = {}  # of which somebody has had a part
        self._missed: dict[LinkId, int] = {}  # marks
        self.lent: dict[Hash, bytes] = {}  # sums of our own making (leading.py)
        self.is_leader: Callable[[LinkId], bool] = lambda link: False  # asked first (following.py)
        self.links: Callable[[], list[LinkId]] | None = None  # all that holders() may name, if it is known

    def __len__(self) -> int:
        return len(self._open)

    # -------------------------------------------------------------- wanting

    def find(self, digest: Hash) -> bytes | None:
        """The blob, if it is here in any way."""
        if (whole := self._ready.get(digest)) is not None:
            return whole.whole
        return self._recent.get(digest) or self.lent.get(digest) or self._shelf.blob(digest)

    def is_kept(self, digest: Hash) -> bool:
        """Whether the store has it."""
        return self._shelf.blob(digest) is not None

    def want(self, digest: Hash, *, limit: int, total: int, log: PeerId, seq: int, urgent: bool) -> bool:
        """Fetch a blob that entry `seq` of `log` names. `urgent`: that entry waits for nothing else. False if there is
        no room for it now."""
        transfer = self._open.get(digest) or self._ready.get(digest)
        if transfer is None:
            if not urgent and not self._has_room(peer_of(log), total or limit):
                return False
            transfer = self._open[digest] = Transfer(digest, limit, {})
        elif (log, seq) in transfer.named or (not urgent and len(transfer.named) >= MAX_NAMED):
            return True
        transfer.limit = max(transfer.limit, limit)  # of what a link offered, the limit is that link's own word
        transfer.named[log, seq] = total
        transfer.agree()
        return True

    @property
    def room(self) -> int:
        """How many more may be fetched before their entry's turn, as far as their number goes."""
        if self._ready_bytes >= self._limits.blobs_waiting_bytes:
            return 0
        return max(0, self._limits.transfers - len(self._open))

    def want_offered(self, digest: Hash, total: int, link: LinkId) -> None:
        """Fetch a blob that a link has offered. An entry that names it with another length cannot hold that up."""
        transfer = self._open.setdefault(digest, Transfer(digest, total, {}))
        if link not in transfer.offered:
            transfer.limit = max(transfer.limit, total)
            transfer.offered[link] = total
            transfer.agree()

    def take(self, digest: Hash) -> bytes | None:
        """An offered blob, once it is whole; it is not kept here any longer."""
        transfer = self._ready.pop(digest, None)
        if transfer is None:
            return None
        self._ready_bytes -= transfer.got
        return transfer.whole

    def drop_offered(self, digest: Hash) -> None:
        """An offered blob is of no use any more, whatever has come of it."""
        transfer = self._open.get(digest) or self._ready.get(digest)
        if transfer is not None and not transfer.named:
            self._open.pop(digest, None)
            self.take(digest)

    def is_coming(self, digest: Hash) -> bool:
        return digest in self._open or digest in self._ready

    def lacking(self) -> int:
        """How many blobs are wanted that all who hold an entry naming them say not to have: they let go of them."""
        return sum(bool(t.lacked_by) and self._holders_of(t) <= t.lacked_by for t in self._open.values())

    def _holders_of(self, transfer: Transfer) -> set[LinkId]:
        return {link for log, seq in transfer.named for link in self._holders(log, seq)} | {*transfer.offered}

    def failures(self, digest: Hash) -> int:
        """How often a blob that is coming was asked for since it last came forward, in vain."""
        transfer = self._open.get(digest)
        return len(transfer.failed_on) if transfer is not None else 0

    def _has_room(self, peer: PeerId, size_bytes: int) -> bool:
        """Whether a blob may come before its entry's turn: what entries of one peer name takes only so much."""
        if len(self._open) >= self._limits.transfers or self._ready_bytes >= self._limits.blobs_waiting_bytes:
            return False
        under_way = sum(transfer.total or transfer.limit for transfer in self._open.values())
        if size_bytes + under_way + self._ready_bytes <= self._limits.blobs_waiting_peer_bytes:
            return True  # whoever names what (said first: it is so nearly always)
        ahead = size_bytes
        for transfer in (*self._open.values(), *self._ready.values()):
            if any(peer_of(log) == peer for log, _ in transfer.named):
                ahead += transfer.total or transfer.limit
        return ahead <= self._limits.blobs_waiting_peer_bytes

    def used(self, digest: Hash, data: bytes) -> None:
        """The entry that names this blob was admitted (or written by us): it moves to the store."""
        if self._ready.pop(digest, None) is not None:
            self._ready_bytes -= len(data)
        self._open.pop(digest, None)
        if digest not in self._recent:
            self._recent[digest] = data
            self._recent_bytes += len(data) + BESIDE_BYTES
        while self._recent_bytes > MAX_RECENT_BYTES and len(self._recent) > 1:
            oldest = next(iter(self._recent))
            self._recent_bytes -= len(self._recent.pop(oldest)) + BESIDE_BYTES

    def forget_log(self, log: PeerId) -> None:
        """That log has ended: nothing that only it names is wanted."""
        for transfer in (*self._open.values(), *self._ready.values()):
            for name in [name for name in transfer.named if name[0] == log]:
                del transfer.named[name]
            transfer.agree()
            if not transfer.named and not transfer.offered:
                self._open.pop(transfer.hash, None)
                if self._ready.pop(transfer.hash, None) is not None:
                    self._ready_bytes -= transfer.got

    # -------------------------------------------------------------- asking

    def pump(self, now: float) -> None:
        """Give every idle transfer to a link that has room; ask to be called again at the first deadline."""
        for transfer in self._open.values():
            if transfer.link is not None and now >= transfer.deadline:
                self._missed[transfer.link] = min(MAX_MISSED, self._missed.get(transfer.link, 0) + MISSED)
                self._release(transfer)
        busy: dict[LinkId, int] = {}
        for transfer in self._open.values():
            if transfer.link is not None:
                busy[transfer.link] = busy.get(transfer.link, 0) + 1
        free = self._free(busy)
        for transfer in sorted(self._open.values(), key=lambda t: not t.offered):  # sums first
            if free is not None and not free:
                break  # (looking for holders of each one that waits cost a tenth of catching up)
            if transfer.link is not None or now < transfer.not_before:
                continue
            holders = self._holders_of(transfer)
            links = sorted(link for link in holders if busy.get(link, 0) < self._limits.transfers_link)
            if links:
                link = min(links, key=lambda n: (transfer.failed_on.count(n), self._rank(n), busy.get(n, 0), n))
                busy[link] = busy.get(link, 0) + 1
                if free is not None and busy[link] >= self._limits.transfers_link:
                    free.pop(link, None)
                self._ask(transfer, link, now)
        times = [t.deadline if t.link is not None else t.not_before for t in self._open.values()]
        times = [time for time in times if time > now]
        if times:
            self._out.timer(TIMER, min(times))

    def _free(self, busy: Mapping[LinkId, int]) -> dict[LinkId, None] | None:
        """Links that have room for one more; None if it is not known which there are."""
        if self.links is None:
            return None
        return {link: None for link in self.links() if busy.get(link, 0) < self._limits.transfers_link}

    def _rank(self, link: LinkId) -> int:
        """Asked first are links that kept their word, and of these the fast ones."""
        behind = 0 if self.is_leader(link) else 1
        return 16 * (self._missed.get(link, 0) // MISSED) + self._pace.grade(link) + behind

    def _ask(self, transfer: Transfer, link: LinkId, now: float) -> None:
        transfer.link = link
        offset = transfer.got
        end = min(transfer.total or transfer.limit, offset + transfer.window)
        transfer.asked_from, transfer.until = offset, end
        transfer.heard_at = now
        transfer.deadline = now + self._pace.wait_s(link, transfer.failed_on.count(link))
        self._out.send(link, WantBlob(transfer.hash, offset, end - offset))

    def _ask_on(self, transfer: Transfer, link: LinkId) -> None:
        """The next stretch, while half of the last one is still on its way: so the line never waits for us."""
        begin = transfer.until
        transfer.window = min(2 * transfer.window, MAX_WINDOW_BYTES)
        transfer.until = min(transfer.total, begin + transfer.window)
        if transfer.until > begin:
            self._out.send(link, WantBlob(transfer.hash, begin, transfer.until - begin))

    def _release(self, transfer: Transfer) -> None:
        """Whoever was asked did not answer: the next one may."""
        if transfer.link is not None:
            transfer.failed_on = [*transfer.failed_on[-MAX_FAILURES:], transfer.link]
        transfer.link = None
        transfer.window = FIRST_WINDOW_BYTES
        if transfer.alone:
            transfer.forget()

    def link_down(self, link: LinkId) -> None:
        self._missed.pop(link, None)
        for transfer in tuple(self._open.values()):
            if transfer.link == link:
                self._release(transfer)
            transfer.lacked_by.discard(link)
            if link in transfer.offered:
                del transfer.offered[link]
                transfer.agree()
                if not transfer.offered and not transfer.named:
                    del self._open[transfer.hash]

    # -------------------------------------------------------------- frames

    def on_piece(self, link: LinkId, piece: Piece, now: float) -> bool:
        """A piece came. True if it brought a blob forward. RemoteError if its sender made it up."""
        transfer = self._open.get(piece.hash)
        if transfer is None or (link != transfer.link and link not in transfer.sources):
            return False  # asked for once, whole by now
        if piece.total > transfer.limit:
            raise RemoteError("a blob is longer than any of its kind", why=f"{piece.total} bytes")
        if transfer.total and piece.total != transfer.total:
            if not transfer.stated:
                transfer.forget()  # one of two senders lies, and nothing tells which
                transfer.alone = True
            return False
        if piece.offset != transfer.got:
            return False  # behind a lost piece: asked for again at the deadline
        end = piece.offset + len(piece.data)
        if len(piece.data) < PIECE_BYTES and end not in (piece.total, transfer.until):
            return False  # a crumb: whoever sends those cannot keep us waiting for more
        transfer.total = piece.total
        transfer.add(piece.data)
        if link not in transfer.sources:
            transfer.sources.append(link)
        transfer.failed_on.clear()
        is_answer = piece.offset == transfer.asked_from
        self._pace.came(link, transfer.heard_at, now, len(piece.data), is_answer=is_answer)
        self._pace.heard(link, now - transfer.heard_at)
        transfer.heard_at = now
        transfer.deadline = max(transfer.deadline, now + self._pace.wait_s(link, 0))
        if transfer.got == transfer.total:
            self._finish(transfer)
        elif transfer.got >= transfer.until:
            transfer.window = min(2 * transfer.window, MAX_WINDOW_BYTES)
            self._ask(transfer, link, now)
        elif link == transfer.link and transfer.until - transfer.got <= transfer.window // 2:
            self._ask_on(transfer, link)
        return True

    def _finish(self, transfer: Transfer) -> None:
        if transfer.digest.hexdigest() == transfer.hash:
            del self._open[transfer.hash]
            self._ready[transfer.hash] = transfer
            transfer.whole = b"".join(transfer.parts)
            transfer.parts.clear()
            self._ready_bytes += transfer.got
            if transfer.link is not None:
                self._missed[transfer.link] = max(0, self._missed.get(transfer.link, 0) - 1)
            return
        by_one = len(transfer.sources) == 1
        transfer.alone = True
        self._release(transfer)
        if by_one:
            raise RemoteError("a blob is not what its hash says")

    def on_lacks(self, link: LinkId, frame: Lacks, now: float) -> None:
        transfer = self._open.get(frame.hash)
        if transfer is not None and transfer.link == link:
            # It may have let go of what is old. One that did is asked after the others for a while.
            transfer.lacked_by.add(link)
            self._missed[link] = min(MAX_MISSED, self._missed.get(link, 0) + 1)
            # Somebody else is asked soon, and ever less soon: two that lack it must not be asked in a tight circle.
            transfer.not_before = now + self._pace.wait_s(link, transfer.failed_on.count(link)) / 16
            self._release(transfer)

    def on_want(self, link: LinkId, want: WantBlob, gate: Callable[[bytes], Released[Kind] | Withheld]) -> None:
        """Serve a stretch, if the gate gives leave; what may not leave is not here, as far as anybody can tell."""
        data = self._served.pop(want.hash, None) or self.find(want.hash)
        if data is None or isinstance(leave := gate(data), Withheld):
            self._out.send(link, Lacks(want.hash))
            return
        if want.offset >= len(data):
            raise RemoteError("a stretch beyond a blob's end is asked for")
        require(leave, leave.kind, of=want.hash, to=leave.to)
        end = min(len(data), want.offset + want.length)
        for offset in range(want.offset, end, PIECE_BYTES):
            part = data[offset : min(end, offset + PIECE_BYTES)]
            self._out.send(link, Piece(want.hash, len(data), offset, part), bulk=True)
        # The next stretch is asked for in a moment, and the store reads and hashes all of it each time. Not small ones:
        # thousands would be looked through each time.
        if end < len(data) and len(data) > PIECE_BYTES:
            self._served[want.hash] = data
            while len(self._served) > 1 and sum(map(len, self._served.values())) > MAX_SERVED_BYTES:
                del self._served[next(iter(self._served))]
