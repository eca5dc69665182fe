"""One model from several links, some of whom are slow, or lie: it comes whole, and only who lied pays."""

from __future__ import annotations

from hashlib import sha256

import pytest

from gossip.events import LinkId, Send, SetTimer
from gossip.peer.fetch import MAX_FAILURES, MAX_OPEN, TIMER, Fetch
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.wire.codec import decode
from gossip.wire.frames import PART_BYTES, PIECE_BYTES, Parts, Piece, WantBlob, WantParts
from ledger.errors import RemoteError

FIRST, SECOND, THIRD = 1, 2, 3  # links: where all else is equal, the lower one is asked first
MODEL = b"".join(bytes([number]) * PART_BYTES for number in range(6)) + b"and an end"
FALSE = b"\xff" * len(MODEL)


class Fetching:
    """A peer that fetches a model; what each link says comes from `bytes_of`, or it says nothing."""

    def __init__(self) -> None:
        self.now = 0.0
        self.out = Outbox()
        self.blamed: list[LinkId] = []
        self.pace = Pace(1.0)
        self.fetch = Fetch(
            sha256(MODEL).hexdigest(), len(MODEL), self.pace, self.out, lambda link: bytes([link]),
            lambda link, error: self.told_off(link),
        )  # fmt: skip
        self.bytes_of: dict[LinkId, bytes] = {}
        self.asked: list[tuple[LinkId, WantParts | WantBlob]] = []
        self.deadline = 0.0

    def told_off(self, link: LinkId) -> None:
        self.blamed.append(link)
        self.bytes_of.pop(link, None)
        self.fetch.drop(link)

    def holds(self, link: LinkId, data: bytes) -> None:
        self.bytes_of[link] = data
        self.fetch.add(link)

    def pump(self) -> list[tuple[LinkId, WantParts | WantBlob]]:
        """Ask what is to be asked; what was."""
        if self.now >= self.deadline:
            self.out.rang(TIMER)
        self.fetch.pump(self.now)
        fresh: list[tuple[LinkId, WantParts | WantBlob]] = []
        for effect in self.out.take():
            if isinstance(effect, Send):
                frame = decode(effect.message)
                assert isinstance(frame, WantParts | WantBlob)
                fresh.append((effect.link, frame))
            elif isinstance(effect, SetTimer):
                self.deadline = effect.at
        self.asked += fresh
        return fresh

    def manifest(self, link: LinkId, data: bytes) -> None:
        self.fetch.on_parts(link, manifest(data))

    def answer(self) -> None:
        """Whoever was asked and holds something answers; who contradicts itself is told off."""
        asked, self.asked = self.asked, []
        for link, frame in asked:
            data = self.bytes_of.get(link)
            if data is None:
                continue
            try:
                if isinstance(frame, WantParts):
                    self.fetch.on_parts(link, Parts(frame.model, frame.first, manifest(data).hashes[frame.first :]))
                    continue
                for piece in pieces(data, frame):
                    self.fetch.on_piece(link, piece, self.now)
            except RemoteError:
                self.told_off(link)

    def run(self) -> bytes | None:
        """Until it is whole, or nobody is left to ask."""
        for _ in range(400):
            if (whole := self.fetch.take()) is not None:
                return whole
            if not self.fetch.sources:
                return None
            if not self.pump() and not self.asked:
                self.now = max(self.now, self.deadline)
            self.answer()
        return None


def manifest(data: bytes) -> Parts:
    hashes = [sha256(data[begin : begin + PART_BYTES]).digest() for begin in range(0, len(data), PART_BYTES)]
    return Parts(sha256(MODEL).hexdigest(), 0, tuple(hashes))


def pieces(data: bytes, want: WantBlob) -> list[Piece]:
    end = min(len(data), want.offset + want.length)
    return [
        Piece(want.hash, len(data), at, data[at : min(end, at + PIECE_BYTES)])
        for at in range(want.offset, end, PIECE_BYTES)
    ]


def test_a_model_comes_from_several_links_at_once() -> None:
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.holds(SECOND, MODEL)
    story.pump()
    story.answer()
    asked = [link for link, _ in story.pump()]
    assert asked.count(FIRST) == MAX_OPEN
    assert asked.count(SECOND) == 7 - MAX_OPEN
    assert story.run() == MODEL
    assert not story.blamed


def test_a_link_that_lets_several_parts_run_out_at_its_last_failure_is_given_up_and_nothing_breaks() -> None:
    """It owes four parts at one deadline, and has no more failures than three of them."""
    story = Fetching()
    story.fetch.add(FIRST)
    story.pump()
    story.now = story.deadline
    story.pump()  # one failure, for the manifest: sixteen are no multiple of four parts after it
    story.manifest(FIRST, MODEL)
    failures = [story.fetch.sources[FIRST]]
    while FIRST in story.fetch.sources:
        story.now += 100.0
        story.pump()
        failures.append(story.fetch.sources.get(FIRST, MAX_FAILURES))
    assert failures == [1, 1, 5, 9, 13, MAX_FAILURES]
    story.holds(SECOND, MODEL)
    assert story.run() == MODEL  # all that the first one owed


def test_who_answers_has_no_failures_behind_it() -> None:
    story = Fetching()
    story.holds(FIRST, MODEL)
    for _ in range(MAX_FAILURES - 1):  # it is slow to begin
        story.asked.clear()
        story.pump()
        story.now = story.deadline
    assert story.fetch.sources == {FIRST: MAX_FAILURES - 2}
    assert story.run() == MODEL
    assert story.fetch.sources == {FIRST: 0}


def test_crumbs_bring_nothing_forward_and_keep_no_request_alive() -> None:
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.pump()
    story.answer()
    story.pump()
    deadline = story.deadline
    story.now = deadline - 0.01
    want = next(frame for _, frame in story.asked if isinstance(frame, WantBlob))
    crumb = Piece(want.hash, len(MODEL), want.offset, MODEL[want.offset : want.offset + PIECE_BYTES - 1])
    assert not story.fetch.on_piece(FIRST, crumb, story.now)
    askew = Piece(want.hash, len(MODEL), want.offset + 1, MODEL[want.offset + 1 : want.offset + 1 + PIECE_BYTES])
    assert not story.fetch.on_piece(FIRST, askew, story.now)
    story.pump()
    assert story.deadline == deadline
    whole = Piece(want.hash, len(MODEL), want.offset, MODEL[want.offset : want.offset + PIECE_BYTES])
    assert story.fetch.on_piece(FIRST, whole, story.now)
    assert not story.fetch.on_piece(FIRST, whole, story.now)  # twice says nothing


def test_pieces_count_only_from_whoever_was_asked() -> None:
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.pump()
    story.answer()
    story.pump()
    want = next(frame for _, frame in story.asked if isinstance(frame, WantBlob))
    assert not any(story.fetch.on_piece(SECOND, piece, story.now) for piece in pieces(FALSE, want))
    assert not story.fetch.on_parts(SECOND, manifest(FALSE))
    assert story.run() == MODEL
    assert not story.blamed


def test_whose_parts_are_not_as_its_own_manifest_says_ends_its_link_and_another_is_asked() -> None:
    story = Fetching()
    story.holds(FIRST, FALSE)
    story.holds(SECOND, MODEL)
    story.pump()
    story.manifest(FIRST, MODEL)  # the true one, and false parts
    story.asked.clear()
    assert story.run() == MODEL
    assert story.blamed == [FIRST]


def test_whose_manifest_leads_nowhere_is_blamed_and_not_asked_for_one_again() -> None:
    story = Fetching()
    story.holds(FIRST, FALSE)
    story.holds(SECOND, FALSE)
    story.holds(THIRD, MODEL)
    assert story.run() == MODEL
    assert FIRST in story.blamed
    assert THIRD not in story.blamed


def test_who_sends_another_part_than_an_honest_manifest_says_pays_when_the_whole_is_right() -> None:
    """Until then one of the two lies, and nothing tells which."""
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.pump()
    story.answer()
    story.holds(SECOND, FALSE)
    story.holds(THIRD, MODEL)
    assert story.run() == MODEL
    assert story.blamed == [SECOND]


def test_a_manifest_by_a_liar_that_all_others_contradict_is_thrown_away() -> None:
    """The liar gives it and says no more; who then sends true parts is not blamed for it."""
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.pump()
    story.manifest(FIRST, FALSE)
    story.asked.clear()
    story.fetch.drop(FIRST)
    story.holds(SECOND, MODEL)
    assert story.run() == MODEL
    assert not story.blamed
    assert story.fetch._false == {bytes([FIRST])}


def test_a_model_of_another_length_and_a_manifest_of_more_parts_are_refused() -> None:
    story = Fetching()
    story.holds(FIRST, MODEL)
    story.pump()
    with pytest.raises(RemoteError, match="more parts"):
        story.fetch.on_parts(FIRST, Parts(sha256(MODEL).hexdigest(), 0, (bytes(32),) * 8))
    story.answer()
    story.pump()
    with pytest.raises(RemoteError, match="another length"):
        story.fetch.on_piece(FIRST, Piece(story.fetch.model, len(MODEL) + 1, 0, MODEL[:PIECE_BYTES]), 0.0)
