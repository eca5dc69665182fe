"""A long blob between peers: asked for ahead, read once, from several at once, never twice over a link that broke."""

from __future__ import annotations

from hashlib import sha256

from gossip.egress import Ledger, Receiver, Released, Withheld, ZoneSetting, release
from gossip.events import Send
from gossip.peer.blobs import Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.wire.codec import decode
from gossip.wire.frames import MAX_WINDOW_BYTES, PIECE_BYTES, Lacks, Piece, WantBlob

LOG = "bb" * 32
LIMIT = 8 << 20


class Store:
    """What is on disk, and how often it is read."""

    def __init__(self, *blobs: bytes) -> None:
        self.blobs = {sha256(blob).hexdigest(): blob for blob in blobs}
        self.reads = 0

    def blob(self, digest: str, /) -> bytes | None:
        self.reads += 1
        return self.blobs.get(digest)


class Holder:
    """A peer that serves one link."""

    def __init__(self, *blobs: bytes) -> None:
        self.store, self.out = Store(*blobs), Outbox()
        self.blobs = Blobs(Pace(1.0), self.out, self.store, lambda log, seq: [])

    def asked(self, want: WantBlob) -> list[Piece | Lacks]:
        self.blobs.on_want(1, want, lambda blob: _leave(want.hash))
        frames = [decode(effect.message) for effect in self.out.take() if isinstance(effect, Send)]
        return [frame for frame in frames if isinstance(frame, Piece | Lacks)]


def _leave(digest: str) -> Released[Ledger] | Withheld:
    return release(ZoneSetting(), Ledger, of=digest, to=Receiver("", ""))


class Fetcher:
    """A peer that fetches over the links `links`, each of which leads to a holder of all."""

    def __init__(self, *links: int) -> None:
        self.now, self.out, self.links = 0.0, Outbox(), list(links)
        self.blobs = Blobs(Pace(1.0), self.out, Store(), lambda log, seq: self.links)
        self.wants: list[tuple[int, WantBlob]] = []
        self.bytes = 0  # of pieces that came

    def want(self, blob: bytes, seq: int = 5) -> str:
        digest = sha256(blob).hexdigest()
        assert self.blobs.want(digest, limit=LIMIT, total=len(blob), log=LOG, seq=seq, urgent=True)
        self.pump()
        return digest

    def pump(self) -> None:
        self.blobs.pump(self.now)
        for effect in self.out.take():
            if isinstance(effect, Send) and isinstance(frame := decode(effect.message), WantBlob):
                self.wants.append((effect.link, frame))

    def came(self, link: int, piece: Piece | Lacks) -> None:
        assert isinstance(piece, Piece)
        self.bytes += len(piece.data)
        self.blobs.on_piece(link, piece, self.now)
        self.pump()


LONG = bytes(range(256)) * (3 << 12) + b"end"  # 3 MiB


def test_the_next_stretch_is_asked_for_while_half_of_the_last_is_on_its_way() -> None:
    holder, fetcher = Holder(LONG), Fetcher(1)
    digest = fetcher.want(LONG)
    waiting: list[Piece | Lacks] = []
    asked: list[WantBlob] = []
    too_late = 0
    while fetcher.blobs.find(digest) is None:
        too_late += not waiting  # whoever asks now has let the line stand still
        asked += [want for _, want in fetcher.wants]
        waiting += [piece for _, want in fetcher.wants for piece in holder.asked(want)]
        fetcher.wants.clear()
        fetcher.came(1, waiting.pop(0))
        assert sum(len(p.data) for p in waiting if isinstance(p, Piece)) <= 3 * MAX_WINDOW_BYTES // 2
    assert too_late == 1  # for the first stretch of all
    assert len(asked) > 8
    assert sum(want.length for want in asked) == fetcher.bytes == len(LONG), "nothing is asked for twice, or beyond"


def test_a_blob_that_goes_out_in_many_stretches_is_read_from_the_disk_once() -> None:
    """The store hashes what it reads: 64 stretches of 16 MB were a gigabyte of hashing."""
    holder = Holder(LONG)
    digest = sha256(LONG).hexdigest()
    for offset in range(0, len(LONG), MAX_WINDOW_BYTES):
        assert holder.asked(WantBlob(digest, offset, MAX_WINDOW_BYTES))
    assert holder.store.reads == 1
    holder.asked(WantBlob(digest, 0, MAX_WINDOW_BYTES))
    assert holder.store.reads == 2  # and it was let go of when its end had left


def test_what_is_kept_at_hand_of_blobs_that_go_out_is_bounded() -> None:
    blobs = [bytes([number]) * (2 << 20) for number in range(5)]
    holder = Holder(*blobs)
    for blob in blobs:
        holder.asked(WantBlob(sha256(blob).hexdigest(), 0, PIECE_BYTES))
    assert sum(map(len, holder.blobs._served.values())) <= 4 << 20


def test_of_small_blobs_that_are_asked_for_by_the_byte_none_is_kept_at_hand() -> None:
    """40,000 of them within the bytes allowed, all looked through at each request, took 0.7 ms each time."""
    small = bytes(60)
    holder = Holder(small)
    for _ in range(2):
        holder.asked(WantBlob(sha256(small).hexdigest(), 0, 1))
    assert holder.store.reads == 2


def test_over_a_link_that_breaks_nothing_that_came_is_sent_again() -> None:
    holder, fetcher = Holder(LONG), Fetcher(1)
    digest = fetcher.want(LONG)
    pieces = 0
    lost = 0
    links = 1
    while fetcher.blobs.find(digest) is None:
        link, want = fetcher.wants.pop(0)
        for piece in holder.asked(want):
            if link != links:
                lost += 1  # it was under way when the link broke
                continue
            fetcher.came(link, piece)
            pieces += 1
            if pieces % 20 == 0:  # the link is gone; another comes up
                fetcher.blobs.link_down(link)
                links += 1
                fetcher.links = [links]
                fetcher.pump()
    assert links > 3
    assert lost > 0
    assert fetcher.bytes == len(LONG)
    assert fetcher.blobs.take(digest) == LONG


def test_blobs_come_from_several_peers_at_once() -> None:
    blobs = [bytes([number]) * 300_000 for number in range(12)]
    holder, fetcher = Holder(*blobs), Fetcher(1, 2, 3)
    digests = [fetcher.want(blob, seq) for seq, blob in enumerate(blobs)]
    asked = [link for link, _ in fetcher.wants]
    assert sorted(asked) == [1] * 4 + [2] * 4 + [3] * 4  # all of them at once, before anything has come
    came = dict.fromkeys((1, 2, 3), 0)
    while fetcher.wants:
        link, want = fetcher.wants.pop(0)
        for piece in holder.asked(want):
            fetcher.came(link, piece)
            came[link] += 1
    assert all(fetcher.blobs.find(digest) == blob for digest, blob in zip(digests, blobs, strict=True))
    assert min(came.values()) > 20
