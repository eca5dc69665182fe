"""One blob, an honest holder and a liar: whatever the liar says or withholds, the blob arrives, and soon."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

import pytest

from gossip.events import Send
from gossip.peer.blobs import Blobs
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.wire.codec import decode
from gossip.wire.frames import PIECE_BYTES, Lacks, Piece, WantBlob
from ledger.errors import RemoteError

LIAR, HONEST = 1, 2  # where all else is equal, the lower link is asked first
THEIRS, OURS = "aa" * 32, "bb" * 32  # logs: the liar's, and the honest one's
LIMIT = 1 << 20


class Empty:
    """A shelf with nothing on it."""

    def blob(self, digest: str, /) -> bytes | None:
        return None

    def checkpoint(self, log: str, /) -> tuple[int, bytes] | None:
        return None


class Fetching:
    """A peer that fetches blobs; both links say that they hold everything, as a liar would."""

    def __init__(self) -> None:
        self.now = 0.0
        self.out = Outbox()
        self.claims = {(OURS, 5): [LIAR, HONEST], (THEIRS, 3): [LIAR]}
        self.blobs = Blobs(Pace(1.0), self.out, Empty(), lambda log, seq: self.claims.get((log, seq), [LIAR, HONEST]))
        self.asked: dict[int, list[WantBlob]] = {LIAR: [], HONEST: []}
        self.held: dict[str, bytes] = {}

    def want(self, blob: bytes, log: str = OURS, seq: int = 5, total: int | None = None) -> str:
        digest = sha256(blob).hexdigest()
        self.held[digest] = blob
        self.blobs.want(digest, limit=LIMIT, total=len(blob) if total is None else total, log=log, seq=seq, urgent=True)
        return digest

    def pump(self) -> None:
        self.blobs.pump(self.now)
        for effect in self.out.take():
            if isinstance(effect, Send) and isinstance(frame := decode(effect.message), WantBlob):
                self.asked[effect.link].append(frame)

    def serve(self) -> None:
        """The honest link answers everything that it was asked."""
        while self.asked[HONEST]:
            want = self.asked[HONEST].pop(0)
            blob = self.held[want.hash]
            end = min(len(blob), want.offset + want.length)
            for offset in range(want.offset, end, PIECE_BYTES):
                part = blob[offset : min(end, offset + PIECE_BYTES)]
                self.blobs.on_piece(HONEST, Piece(want.hash, len(blob), offset, part), self.now)
            self.pump()

    def seconds_until_whole(self, digest: str, limit: float = 60.0) -> float:
        """Let time pass; only the honest link does anything."""
        began = self.now
        while self.blobs.find(digest) is None:
            self.now += 0.05
            assert self.now - began < limit, "stalled"
            self.pump()
            self.serve()
        return self.now - began


BLOB = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"end"


@pytest.fixture
def fetching() -> Fetching:
    return Fetching()


def test_an_entry_that_names_anothers_blob_with_a_false_length_stops_nothing(fetching: Fetching) -> None:
    """The liar heard of the blob first, and it alone holds the entry by which we hear of it."""
    digest = fetching.want(BLOB, THEIRS, 3, total=7)
    fetching.pump()
    assert len(fetching.asked[LIAR]) == 1
    fetching.want(BLOB)
    assert fetching.seconds_until_whole(digest) < 3
    fetching.blobs.forget_log(THEIRS)  # its entry turns out to be wrong
    assert fetching.blobs.find(digest) == BLOB


def test_a_log_that_ends_takes_only_its_own_blobs_along(fetching: Fetching) -> None:
    digest = fetching.want(BLOB, THEIRS, 3)
    only_theirs = fetching.want(b"rubbish", THEIRS, 3)
    fetching.want(BLOB)
    fetching.blobs.forget_log(THEIRS)
    assert len(fetching.blobs) == 1
    assert fetching.blobs.find(only_theirs) is None
    fetching.seconds_until_whole(digest)


def test_a_false_beginning_from_one_link_does_not_spoil_what_another_sends_for_ever(fetching: Fetching) -> None:
    """Two links send parts that do not add up. From then on the blob comes from one of them, or not at all."""
    digest = fetching.want(BLOB)
    while fetching.blobs.find(digest) is None:
        fetching.now += 0.25
        assert fetching.now < 20, "stalled"
        fetching.pump()
        for want in fetching.asked[LIAR][:1]:  # one wrong piece, and then silence until it is asked again
            with suppress(RemoteError):
                fetching.blobs.on_piece(
                    LIAR, Piece(want.hash, len(BLOB), want.offset, b"x" * PIECE_BYTES), fetching.now
                )
        fetching.asked[LIAR].clear()
        fetching.serve()
    assert fetching.blobs.find(digest) == BLOB


def test_crumbs_do_not_keep_a_request_alive(fetching: Fetching) -> None:
    digest = fetching.want(BLOB)
    fetching.pump()
    (want,) = fetching.asked[LIAR]
    for at in range(100):
        fetching.now += 0.5
        fetching.blobs.on_piece(LIAR, Piece(digest, len(BLOB), want.offset + at, BLOB[at : at + 1]), fetching.now)
        fetching.pump()
        fetching.serve()
        if fetching.blobs.find(digest):
            break
    assert fetching.now < 5


def test_who_let_us_wait_once_is_asked_last(fetching: Fetching) -> None:
    """A link that claims to hold everything and answers nothing costs one wait, not one for each blob."""
    first = fetching.want(b"first")
    assert fetching.seconds_until_whole(first) < 3
    fetching.asked[LIAR].clear()
    for number in range(20):
        digest = fetching.want(f"blob {number}".encode())
        assert fetching.seconds_until_whole(digest) < 0.2
    assert fetching.asked[LIAR] == []


def test_while_every_link_is_full_nobody_looks_for_holders(fetching: Fetching) -> None:
    """A peer that misses thousands of updates has many that wait: each event would look for holders of all of them."""
    looked: list[tuple[str, int]] = []
    blobs, holders = fetching.blobs, fetching.blobs._holders
    blobs._holders = lambda log, seq: looked.append((log, seq)) or holders(log, seq)  # type: ignore[func-returns-value]
    blobs.links = lambda: [LIAR, HONEST]
    wanted = [fetching.want(f"blob {number}".encode()) for number in range(30)]
    fetching.pump()
    full = 2 * fetching.blobs._limits.transfers_link
    assert len(fetching.asked[LIAR]) + len(fetching.asked[HONEST]) == full == len(looked)
    fetching.pump()
    assert len(looked) == full
    fetching.asked[LIAR].clear()
    for digest in wanted:  # as there is room, the others are asked for
        assert fetching.seconds_until_whole(digest) < 10


def test_a_wrong_blob_from_one_link_costs_it_that_link(fetching: Fetching) -> None:
    digest = fetching.want(b"right")
    fetching.pump()
    with pytest.raises(RemoteError, match="not what its hash says"):
        fetching.blobs.on_piece(LIAR, Piece(digest, 5, 0, b"wrong"), fetching.now)
    assert fetching.seconds_until_whole(digest) < 3


def test_a_strangers_offer_of_a_blob_sets_no_length_for_who_holds_it_by_an_entry(fetching: Fetching) -> None:
    """The liar offers a blob as one byte long; then an entry turns out to name it, and its holder sends all of it."""
    digest = sha256(BLOB).hexdigest()
    fetching.blobs.want_offered(digest, 1, LIAR)
    fetching.pump()
    assert fetching.want(BLOB, OURS, 5) == digest
    assert fetching.seconds_until_whole(digest) < 10
    assert fetching.blobs.find(digest) == BLOB


@pytest.mark.parametrize("comes_first", ["offer", "entry"])
def test_a_strangers_entry_sets_no_length_for_who_offers_it(fetching: Fetching, comes_first: str) -> None:
    """A lender offers rows; a third peer, that has none of them, names their hash in an entry, as longer."""
    digest = sha256(BLOB).hexdigest()
    fetching.claims[THEIRS, 3] = []
    if comes_first == "offer":
        fetching.blobs.want_offered(digest, len(BLOB), HONEST)
    fetching.want(BLOB, THEIRS, 3, total=len(BLOB) + 7)
    if comes_first == "entry":
        fetching.blobs.want_offered(digest, len(BLOB), HONEST)
    assert fetching.seconds_until_whole(digest) < 10
    assert fetching.blobs.take(digest) == BLOB


def test_an_entry_that_allows_less_takes_no_room_from_one_that_allows_more(fetching: Fetching) -> None:
    digest = fetching.want(BLOB)
    fetching.blobs.want(digest, limit=1, total=1, log=THEIRS, seq=3, urgent=True)
    fetching.claims[OURS, 5] = [HONEST]
    assert fetching.seconds_until_whole(digest) < 10


def test_who_has_let_go_of_old_deltas_is_asked_after_the_others_and_wanted_in_vain_is_counted(
    fetching: Fetching,
) -> None:
    """The first link holds every entry, and has pruned; it is told apart after a few requests, not at each of them."""
    blobs = [bytes([number]) * 900 for number in range(12)]
    wasted = 0
    for number, blob in enumerate(blobs):
        digest = fetching.want(blob, OURS, number)
        while fetching.blobs.find(digest) is None:
            fetching.pump()
            for want in fetching.asked[LIAR]:
                wasted += 1
                fetching.blobs.on_lacks(LIAR, Lacks(want.hash), fetching.now)
            fetching.asked[LIAR].clear()
            assert fetching.blobs.lacking() == 0, "the other one may have it"
            fetching.serve()
            fetching.now += 0.5
    assert 1 <= wasted <= 4

    digest = fetching.want(b"nobody has this", OURS, 13)
    for _ in range(40):
        fetching.pump()
        for link in (LIAR, HONEST):
            for want in fetching.asked[link]:
                fetching.blobs.on_lacks(link, Lacks(want.hash), fetching.now)
            fetching.asked[link].clear()
        fetching.now += 0.5
    assert fetching.blobs.lacking() == 1
    fetching.claims[OURS, 13] = [LIAR, HONEST, 3]  # somebody comes who holds that entry, too
    assert fetching.blobs.lacking() == 0
