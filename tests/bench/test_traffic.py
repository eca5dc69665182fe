"""What the traffic rows count: bytes as they travel, by kind of frame."""

from __future__ import annotations

from gossip.wire.codec import encode
from gossip.wire.frames import PACKED_TAG, Entries
from tests.bench.traffic import plain_length, swarm


def test_what_was_deflated_counts_as_entries_and_as_it_travels() -> None:
    measured = swarm(3, warm_s=30, seconds=40)
    assert {"Entries", "Have"} <= set(measured.received) <= {"Digest", "Entries", "Have", "Tally", "Vouch", "Want"}
    assert 0 < measured.received["Entries"] < measured.plain
    assert 0 < measured.entries < measured.plain
    assert measured.longer > 0
    assert measured.updates >= 6


def test_how_long_a_message_was_before_it_was_deflated() -> None:
    entries = tuple(b'{"seq":%d}' % seq * 20 for seq in range(30))
    frame = Entries("11" * 32, 7, b"note", (b"p" * 32,), entries)
    alone = 1 + 32 + 4 + 2 + 4 + 1 + 32 + 2 + sum(2 + len(data) for data in entries)
    assert encode(frame)[:1] == PACKED_TAG
    assert plain_length(encode(frame)) == alone > 2 * len(encode(frame))
    small = encode(Entries("11" * 32, 7, b"note", (), (b"one",)))
    assert plain_length(small) == len(small)
