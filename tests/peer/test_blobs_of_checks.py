"""Entries that name a sketch wait for it; a false one, or one too long to be any, costs its author alone."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from gossip.events import Effect
from gossip.wire.frames import PIECE_BYTES, Piece, WantBlob
from ledger.entry import MAX_SKETCH_BYTES, Data
from ledger.opening import make_sketch, public_salt
from ledger.provenance import commit_records
from tests.peer.bench import Bench, frames_to
from tests.peer.test_bad_member import Author, _Seen, dropped, guest

ROWS = [(f"https://{number}.example/".encode(), b"ad") for number in range(400)]


def announced(bench: Bench, member: Author, **lies: Any) -> tuple[Data, bytes, list[Effect]]:
    """A member's public data set, as the bench hears of it."""
    leaves = bytearray()
    made = commit_records(ROWS, public_salt(member.swarm), keep=leaves.extend)
    sketch = make_sketch(leaves)
    fields = {
        "root": made.root, "records": made.records, "labels": {}, "duplicates": 0, "features": "numbers/1",
        "zone": "public", "sources": [], "sketch": sha256(sketch).hexdigest(), "sketch_bytes": len(sketch),
    }  # fmt: skip
    chain = member.chain([_Seen(bench, bench.book.replica.founder)])
    entry = Data(**{**chain, **fields, **lies})
    member.add(entry)
    return entry, sketch, bench.say(1, member.frame(1))


def pieces(name: str, blob: bytes) -> list[Piece]:
    return [Piece(name, len(blob), at, blob[at : at + PIECE_BYTES]) for at in range(0, len(blob), PIECE_BYTES)]


def test_a_public_data_set_is_admitted_with_its_sketch() -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    entry, sketch, answer = announced(bench, member)
    (asked,) = [frame for frame in frames_to(answer, 1) if isinstance(frame, WantBlob)]
    assert (asked.hash, bench.book.replica.size(member.log)) == (entry.sketch, 1)
    for piece in pieces(entry.sketch, sketch):
        answer = bench.say(1, piece)
    assert dropped(answer) == []
    assert bench.book.replica.size(member.log) == 2


@pytest.mark.parametrize("lie", [{"root": "22" * 32}, {"records": 2000}])
def test_a_sketch_of_other_data_ends_its_authors_log(lie: dict[str, Any]) -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    entry, sketch, answer = announced(bench, member, **lie)
    assert dropped(answer) == []
    ended: list[int] = []
    for piece in pieces(entry.sketch, sketch):
        ended += dropped(bench.say(1, piece))
    assert ended == [1]
    assert bench.book.replica.ended_at(member.log) == 1
    assert bench.book.replica.role_of(guest(bench, 2, 2).log) == "trainer"  # the node goes on


def test_no_sketch_is_longer_than_any() -> None:
    bench = Bench()
    member = guest(bench, 1, 1)
    entry, _, _ = announced(bench, member)
    long = b"\0" * (MAX_SKETCH_BYTES + 1)
    assert dropped(bench.say(1, Piece(entry.sketch, len(long), 0, long[:PIECE_BYTES]))) == [1]
