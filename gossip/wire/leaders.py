"""The messages of leaders, as bytes: who bundles, and which sums it has; codec.py has all others, and the rules.

   17 Lead       pace u8 | bundles u8                                          how fast I am, and whether I bundle
   18 Bundled    sum 32 | bytes u32 | updates u16 | count u16 | count x (log 8, first u32, last u32)

"I bundle, and blobs came to me at a megabyte a second" is

    11 14 01

Rules kept here: those of codec.py; rows strictly rise and no two are of one log. It refuses to know what a sum is worth
(gossip/merging/bundled_sum.py), and who is believed (gossip/peer/following.py).
"""

from __future__ import annotations

import struct
from typing import Final, assert_never

from gossip.wire.frames import MAX_BUNDLED, MAX_BUNDLED_BYTES, MAX_PACE, SHORT_BYTES, Bundled, Lead
from gossip.wire.reader import Reader, require

TAGS: Final = (17, 18)


def spelled(frame: Lead | Bundled) -> bytes:
    """The bytes of a frame; codec.encode sees to it that they read back."""
    match frame:
        case Lead(pace, bundles):
            return struct.pack("<BBB", 17, pace, bundles)
        case Bundled(digest, size_bytes, updates, rows):
            parts = [b"\x12", bytes.fromhex(digest), struct.pack("<IHH", size_bytes, updates, len(rows))]
            parts += [bytes.fromhex(log) + struct.pack("<II", first, last) for log, first, last in rows]
            return b"".join(parts)
        case _:
            assert_never(frame)


def read(tag: int, reader: Reader) -> Lead | Bundled:
    """What stands behind one of TAGS. RemoteError on anything but the one spelling."""
    if tag == 17:
        pace, bundles = reader.number("<B"), reader.number("<B")
        require(pace <= MAX_PACE, "a pace is beyond any line's")
        require(bundles <= 1, "a flag is neither 0 nor 1")
        return Lead(pace, bundles == 1)
    digest, size_bytes, updates = reader.hash(), reader.number("<I"), reader.number("<H")
    require(1 <= size_bytes <= MAX_BUNDLED_BYTES, "a sum is empty or too long")
    count = reader.number("<H")
    row_bytes = SHORT_BYTES + 8
    require(1 <= count <= updates <= MAX_BUNDLED, "a sum is of no updates, of too many, or of fewer than it has logs")
    require(reader.left == row_bytes * count, "a list of stretches is not as long as it says")
    rows: list[tuple[str, int, int]] = []
    for _ in range(count):
        row = (reader.take(SHORT_BYTES).hex(), reader.number("<I"), reader.number("<I"))
        require(row[1] <= row[2], "a stretch ends before it begins")
        require(not rows or row[0] > rows[-1][0], "a list of stretches is out of order")
        rows.append(row)
    return Bundled(digest, size_bytes, updates, tuple(rows))
