"""A model that was kept in an earlier run: its parts are looked at a few at a time, and served once all are known."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from gossip.events import Send, SetTimer
from gossip.peer.finals import PARTS_AT_ONCE, Finals
from gossip.peer.outbox import Outbox
from gossip.wire.codec import decode
from gossip.wire.frames import PART_BYTES, Lacks, Parts, WantParts

MODEL = b"".join(number.to_bytes(2, "big") * (PART_BYTES // 2) for number in range(2 * PARTS_AT_ONCE)) + b"end"
NAME = sha256(MODEL).hexdigest()


class Shelf:
    """A disk with that model on it, which counts what is read."""

    read = 0

    def model(self) -> str:
        return NAME

    def model_part(self, begin: int, end: int, /) -> bytes:
        self.read += 1
        return MODEL[begin:end]


def test_no_event_reads_more_than_a_few_parts_and_whoever_asks_early_is_told_that_it_is_not_here() -> None:
    out, shelf = Outbox(), Shelf()
    nothing: Any = None
    finals = Finals(nothing, shelf, out, nothing, lambda: 0)  # type: ignore[arg-type]
    finals._kept = finals._made = finals._hashed = NAME  # as after _serve, of what the last run left
    finals._size, finals._latest = len(MODEL), nothing or object()  # type: ignore[assignment]
    said: list[object] = []
    for event in range(4):
        before = shelf.read
        finals.on_want_parts(1, WantParts(NAME, 0))
        assert shelf.read == before  # a question costs nothing
        finals.tick(float(event))
        assert shelf.read - before <= PARTS_AT_ONCE
        out.rang("finals")
        effects = out.take()
        said += [decode(effect.message) for effect in effects if isinstance(effect, Send)]
        assert any(isinstance(effect, SetTimer) for effect in effects) == (event < 2)
    assert [type(frame) for frame in said] == [Lacks, Lacks, Lacks, Parts]
    last = said[-1]
    assert isinstance(last, Parts)
    assert last.hashes == tuple(sha256(MODEL[at : at + PART_BYTES]).digest() for at in range(0, len(MODEL), PART_BYTES))
