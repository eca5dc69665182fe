"""The messages by which a late joiner comes by a model, as bytes; codec.py has all others, and the rules.

   14 Latest     log 32 | note u16+bytes | proof u8 x 32 | entry              the newest final snapshot that I serve
   15 WantParts  model 32 | first u32                                         hashes of its parts; zero: your Latest?
   16 Parts      model 32 | first u32 | count u16 | count x 32

"Which final snapshot can you give me?" is

    0f 0000000000000000000000000000000000000000000000000000000000000000 00000000

Rules kept here: those of codec.py. It refuses to know what a snapshot is, and who must have signed (gossip/peer).
"""

from __future__ import annotations

import struct
from typing import Final, assert_never

from gossip.wire.frames import MAX_PARTS, MAX_SIZE, NO_HASH, Latest, Parts, WantParts
from gossip.wire.reader import Reader, require, signed
from ledger.checkpoint import MAX_COSIGNED_BYTES
from ledger.entry import MAX_ENTRY_BYTES
from ledger.merkle import HASH_BYTES

TAGS: Final = (14, 15, 16)


def spelled(frame: Latest | WantParts | Parts) -> bytes:
    """The bytes of a frame; codec.encode sees to it that they read back."""
    match frame:
        case Latest(log, note, proof, entry):
            parts = [b"\x0e", bytes.fromhex(log), struct.pack("<H", len(note)), note]
            return b"".join([*parts, struct.pack("<B", len(proof)), *proof, entry])
        case WantParts(model, first):
            return b"\x0f" + bytes.fromhex(model) + struct.pack("<I", first)
        case Parts(model, first, hashes):
            return b"".join([b"\x10", bytes.fromhex(model), struct.pack("<IH", first, len(hashes)), *hashes])
        case _:
            assert_never(frame)


def read(tag: int, reader: Reader) -> Latest | WantParts | Parts:
    """What stands behind one of TAGS. RemoteError on anything but the one spelling."""
    if tag == 14:
        log = reader.hash()
        note, proof = signed(reader, MAX_COSIGNED_BYTES)
        require(1 <= reader.left <= MAX_ENTRY_BYTES, "an entry is empty or too long")
        return Latest(log, note, proof, reader.take(reader.left))
    if tag == 15:
        want = WantParts(reader.hash(), reader.number("<I"))
        require(want.model != NO_HASH or want.first == 0, "a part of no model is asked for")
        return want
    model, first, count = reader.hash(), reader.number("<I"), reader.number("<H")
    require(model != NO_HASH, "parts of no model")
    require(1 <= count <= MAX_PARTS and reader.left == HASH_BYTES * count, "a list of parts has another length")
    require(first + count <= MAX_SIZE, "a part is beyond any model")
    return Parts(model, first, tuple(reader.take(HASH_BYTES) for _ in range(count)))
