"""The messages between two peers as bytes, in one spelling.

    tag u8 | fields, integers little-endian, hashes raw

    1 Digest     ask u8 | vector 32                                     what I hold, as one hash
    2 Have       count u16 | count x (log 32, size u32, head 8)         what I hold, log by log; rows strictly rise
    3 Want       log 32 | start u32 | stop u32 | prev 32 | root 32      entries start..stop of a log, after `prev`
    4 Entries    log 32 | start u32 | note u16+bytes | proof u8 x 32 | count u16 | count x (u16+bytes)
    5 WantBlob   hash 32 | offset u32 | length u32                      a stretch of a blob
    6 Piece      hash 32 | total u32 | offset u32 | bytes               a part of that stretch
    7 Lacks      hash 32                                                I do not hold that blob
    8 Vouch      log 32 | size u32 | root 32 | signature 64 | count u8 | count x (witness 32, time u64, signature 64)
    9 Differs    log 32 | start u32 | note u16+bytes | proof u8 x 32 | entry     my entry start - 1 is another one
   10 Trace      log 32 | seq u32 | entry 32 | first u32                which logs does that entry cite?
   11 Rows       log 32 | seq u32 | entry 32 | first u32 | total u32 | count u16 | count x (peer 32, size u32, root 32)
   12 Tally      count u16 | count x (log 8, size u32, signatures u8)   checkpoints that I hold, and how well signed
   13 Packed     length u16 | an Entries message, deflated              where that is shorter
   14 to 16      Latest, WantParts, Parts: a late joiner's (models.py)
   17, 18        Lead, Bundled: leaders' (leaders.py)
   19 Lease      a lender's (leases.py)
   20 Rendezvous an admin's (meeting.py)

A real Digest, that of a peer that holds nothing and wants to hear what the other holds:

    01 01 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

Rules kept here: one spelling (what decodes encodes to the same bytes; what is packed, once it is inflated), every
length checked before anything is cut or allocated, nothing behind the last field. Any breach is one kind of error,
RemoteError, and costs the sender its link. It refuses to know what the messages mean (frames.py, gossip/peer).
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, assert_never

from gossip.wire import leaders, leases, meeting, models
from gossip.wire.frames import (
    ENTRIES_TAG,
    HEAD_BYTES,
    MAX_BATCH,
    MAX_CITED,
    MAX_HAVE,
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    MAX_SIZE,
    MAX_TALLY,
    MAX_TIME,
    MAX_VOUCHERS,
    MAX_WINDOW_BYTES,
    MIN_PACKED_BYTES,
    NO_HASH,
    PACKED_TAG,
    PIECE_BYTES,
    SHORT_BYTES,
    Bundled,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Latest,
    Lead,
    Lease,
    Parts,
    Piece,
    Rendezvous,
    Rows,
    Tally,
    Trace,
    Vouch,
    Voucher,
    Want,
    WantBlob,
    WantParts,
)
from gossip.wire.reader import Reader, malformed, require, signed
from ledger.checkpoint import MAX_NOTE_BYTES
from ledger.entry import MAX_ENTRY_BYTES, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.keys import SIGNATURE_BYTES
from ledger.merkle import HASH_BYTES

_HAVE_ROW: Final = struct.Struct(f"<{HASH_BYTES}sI{HEAD_BYTES}s")
VOUCHER_BYTES: Final = HASH_BYTES + 8 + SIGNATURE_BYTES


# ------------------------------------------------------------------ to bytes


def encode(frame: Frame) -> bytes:
    """The bytes of a frame of our own. LocalError if no peer would accept them."""
    try:
        message = _encode(frame)
        if isinstance(frame, Entries):
            message = _pack(message)
        if decode(message) == frame:
            return message
    except (struct.error, ValueError, RemoteError) as error:
        raise LocalError(f"cannot write a {type(frame).__name__} frame", why=str(error)) from None
    raise LocalError(f"cannot write a {type(frame).__name__} frame", why="it would read as another one")


def _encode(frame: Frame) -> bytes:
    match frame:
        case Digest(vector, ask):
            return struct.pack("<BB", 1, ask) + bytes.fromhex(vector)
        case Have(rows):
            parts = [struct.pack("<BH", 2, len(rows))]
            parts += [bytes.fromhex(log) + struct.pack("<I", size) + head for log, size, head in rows]
            return b"".join(parts)
        case Want(log, start, stop, prev, root):
            return b"\x03" + bytes.fromhex(log) + struct.pack("<II", start, stop) + bytes.fromhex(prev + root)
        case Entries(log, start, note, proof, entries):
            parts = [b"\x04", bytes.fromhex(log), struct.pack("<IH", start, len(note)), note]
            parts += [struct.pack("<B", len(proof)), *proof, struct.pack("<H", len(entries))]
            for entry in entries:
                parts += [struct.pack("<H", len(entry)), entry]
            return b"".join(parts)
        case WantBlob(digest, offset, length):
            return b"\x05" + bytes.fromhex(digest) + struct.pack("<II", offset, length)
        case Piece(digest, total, offset, data):
            return b"\x06" + bytes.fromhex(digest) + struct.pack("<II", total, offset) + data
        case Lacks(digest):
            return b"\x07" + bytes.fromhex(digest)
        case Differs(log, start, note, proof, entry):
            parts = [b"\x09", bytes.fromhex(log), struct.pack("<IH", start, len(note)), note]
            return b"".join([*parts, struct.pack("<B", len(proof)), *proof, entry])
        case Trace(log, seq, entry, first):
            return (
                b"\x0a" + bytes.fromhex(log) + struct.pack("<I", seq) + bytes.fromhex(entry) + struct.pack("<I", first)
            )
        case Rows(log, seq, entry, first, total, rows):
            parts = [b"\x0b", bytes.fromhex(log), struct.pack("<I", seq), bytes.fromhex(entry)]
            parts.append(struct.pack("<IIH", first, total, len(rows)))
            parts += [bytes.fromhex(peer) + struct.pack("<I", size) + root for peer, size, root in rows]
            return b"".join(parts)
        case Vouch(log, size, root, signature, vouchers):
            parts = [b"\x08", bytes.fromhex(log), struct.pack("<I", size), root, signature]
            parts.append(struct.pack("<B", len(vouchers)))
            parts += [bytes.fromhex(v.witness) + struct.pack("<Q", v.time) + v.signature for v in vouchers]
            return b"".join(parts)
        case Tally(rows):
            parts = [struct.pack("<BH", 12, len(rows))]
            parts += [bytes.fromhex(log) + struct.pack("<IB", size, signatures) for log, size, signatures in rows]
            return b"".join(parts)
        case Latest() | WantParts() | Parts():
            return models.spelled(frame)
        case Lead() | Bundled():
            return leaders.spelled(frame)
        case Lease():
            return leases.spelled(frame)
        case Rendezvous():
            return meeting.spelled(frame)
        case _:
            assert_never(frame)


def _pack(message: bytes) -> bytes:
    """Entries are JSON and much alike: at 20 peers they deflate to two thirds, at 100 to half."""
    if not MIN_PACKED_BYTES <= len(message) < MAX_MESSAGE_BYTES:
        return message
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = PACKED_TAG + struct.pack("<H", len(message)) + packer.compress(message) + packer.flush()
    return min(message, packed, key=len)


# ------------------------------------------------------------------ from bytes


def decode(message: bytes) -> Frame:
    """Read one message, as any peer may send it. RemoteError on anything but the one spelling."""
    if not 1 <= len(message) <= MAX_MESSAGE_BYTES:
        raise malformed(f"{len(message)} bytes, allowed are 1 to {MAX_MESSAGE_BYTES}")
    if message[:1] == PACKED_TAG:
        message = _unpack(message)
        require(message[:1] == ENTRIES_TAG, "something other than entries is packed")
    reader = Reader(message)
    tag = reader.number("<B")
    frame: Frame
    if tag == 1:
        ask = reader.number("<B")
        require(ask <= 1, "a flag is neither 0 nor 1")
        frame = Digest(reader.hash(), ask == 1)
    elif tag == 2:
        frame = _have(reader)
    elif tag == 3:
        frame = _want(reader)
    elif tag == 4:
        frame = _entries(reader)
    elif tag == 5:
        frame = WantBlob(reader.hash(), reader.number("<I"), reader.number("<I"))
        require(1 <= frame.length <= MAX_WINDOW_BYTES, "a blob window is empty or too long")
        require(frame.offset + frame.length <= MAX_SIZE, "a blob window ends beyond any blob")
    elif tag == 6:
        digest, total, offset = reader.hash(), reader.number("<I"), reader.number("<I")
        data = reader.take(reader.left)
        require(1 <= len(data) <= PIECE_BYTES, "a blob piece is empty or too long")
        require(offset + len(data) <= total, "a blob piece ends beyond its blob")
        frame = Piece(digest, total, offset, data)
    elif tag == 7:
        frame = Lacks(reader.hash())
    elif tag == 8:
        frame = _vouch(reader)
    elif tag == 9:
        frame = _differs(reader)
    elif tag == 10:
        frame = Trace(reader.hash(), reader.number("<I"), reader.hash(), reader.number("<I"))
        require(frame.first < MAX_CITED, "rows are asked for that no entry has")
    elif tag == 11:
        frame = _rows(reader)
    elif tag == 12:
        frame = _tally(reader)
    elif tag in models.TAGS:
        frame = models.read(tag, reader)
    elif tag in leaders.TAGS:
        frame = leaders.read(tag, reader)
    elif tag == leases.TAG:
        frame = leases.read(reader)
    elif tag == meeting.TAG:
        frame = meeting.read(reader)
    else:
        raise malformed(f"message type {tag} does not exist")
    require(reader.left == 0, f"{reader.left} bytes behind the last field")
    return frame


def _unpack(message: bytes) -> bytes:
    """What was packed: not a byte more is inflated than it says, and it says no more than a message holds."""
    reader = Reader(message[1:])
    length = reader.number("<H")
    require(length >= MIN_PACKED_BYTES, "too little is packed")
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(reader.take(reader.left), length)
        rest = inflater.decompress(inflater.unconsumed_tail, 1)  # nothing, but for the mark of the end
    except zlib.error:
        raise malformed("what is packed cannot be inflated") from None
    require(len(plain) == length and not rest, "what is packed is not as long as it says")
    require(inflater.eof and not inflater.unused_data, "what is packed ends early, or not at all")
    return plain


def _have(reader: Reader) -> Have:
    count = reader.number("<H")
    row_bytes = HASH_BYTES + 4 + HEAD_BYTES
    require(1 <= count <= MAX_HAVE and reader.left == row_bytes * count, "a list of logs is not as long as it says")
    rows: list[tuple[PeerId, int, bytes]] = []
    for log, size, head in _HAVE_ROW.iter_unpack(reader.take(row_bytes * count)):
        row = (log.hex(), size, head)
        require(size >= 1 and (not rows or row > rows[-1]), "a list of logs is out of order, or names an empty one")
        rows.append(row)
    return Have(tuple(rows))


def _want(reader: Reader) -> Want:
    want = Want(reader.hash(), reader.number("<I"), reader.number("<I"), reader.hash(), reader.hash())
    require(want.start < want.stop, "an empty stretch of a log is asked for")
    require((want.prev == NO_HASH) == (want.start == 0), "the hash before the first entry, and only that, is zero")
    return want


def _entries(reader: Reader) -> Entries:
    log, start = reader.hash(), reader.number("<I")
    note, proof = signed(reader, MAX_NOTE_BYTES)
    count = reader.number("<H")
    require(1 <= count <= MAX_BATCH, "a batch is empty or too long")
    require(start + count <= MAX_SIZE, "a batch ends beyond any log")
    entries: list[bytes] = []
    for _ in range(count):
        length = reader.number("<H")
        require(1 <= length <= MAX_ENTRY_BYTES, "an entry is empty or too long")
        entries.append(reader.take(length))
    return Entries(log, start, note, proof, tuple(entries))


def _differs(reader: Reader) -> Differs:
    log, start = reader.hash(), reader.number("<I")
    note, proof = signed(reader, MAX_NOTE_BYTES)
    require(start >= 1 and 1 <= reader.left <= MAX_ENTRY_BYTES, "an entry is empty or too long, or before the first")
    return Differs(log, start, note, proof, reader.take(reader.left))


def _rows(reader: Reader) -> Rows:
    log, seq, entry = reader.hash(), reader.number("<I"), reader.hash()
    first, total = reader.number("<I"), reader.number("<I")
    count = reader.number("<H")
    require(count <= MAX_ROWS and reader.left == 68 * count, "a list of rows is not as long as it says")
    require(first + count <= total <= MAX_CITED, "rows are beyond what an entry can cite")
    require(count >= 1 or first == total == 0, "no rows of some that there are")
    rows: list[tuple[PeerId, int, bytes]] = []
    for _ in range(count):
        row = (reader.hash(), reader.number("<I"), reader.take(HASH_BYTES))
        require(row[1] >= 1 and (not rows or row > rows[-1]), "rows are out of order, or name an empty log")
        rows.append(row)
    return Rows(log, seq, entry, first, total, tuple(rows))


def _vouch(reader: Reader) -> Vouch:
    log, size, root, signature = (
        reader.hash(),
        reader.number("<I"),
        reader.take(HASH_BYTES),
        reader.take(SIGNATURE_BYTES),
    )
    require(size >= 1, "a checkpoint of an empty log")
    count = reader.number("<B")
    require(count <= MAX_VOUCHERS and reader.left == VOUCHER_BYTES * count, "a list of cosignatures has another length")
    vouchers: list[Voucher] = []
    for _ in range(count):
        voucher = Voucher(reader.hash(), reader.number("<Q"), reader.take(SIGNATURE_BYTES))
        require(voucher.time <= MAX_TIME, "a cosignature is from beyond all time")
        require(not vouchers or voucher.witness > vouchers[-1].witness, "a list of cosignatures is out of order")
        vouchers.append(voucher)
    return Vouch(log, size, root, signature, tuple(vouchers))


def _tally(reader: Reader) -> Tally:
    count = reader.number("<H")
    require(1 <= count <= MAX_TALLY and reader.left == 13 * count, "a tally is not as long as it says")
    rows: list[tuple[str, int, int]] = []
    for _ in range(count):
        row = (reader.take(SHORT_BYTES).hex(), reader.number("<I"), reader.number("<B"))
        require(row[1] >= 1 and row[2] <= MAX_VOUCHERS + 1, "a row of a tally is impossible")
        require(not rows or row[:2] > rows[-1][:2], "a tally is out of order")
        rows.append(row)
    return Tally(tuple(rows))
