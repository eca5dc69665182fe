"""Protocol buffers, as little of them as libp2p's control messages need.

    field := varint(number << 3 | kind) value        kind 0: varint, 2: varint(length) bytes
    08 03 12 03 61 62 63  =  field 1 is the number 3, field 2 the bytes "abc"

Read here and not by the library's classes: these bytes come from bootstraps and strangers, and what is made of them is
counted (MAX_FIELDS) where the library builds whatever is sent; it can be tried without libp2p, too. Groups are refused,
fixed numbers passed over: nobody sends them. Fields may come in any order, more than once, and unknown: that is how the
format grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.errors import RemoteError

MAX_FIELDS: Final = 2_048  # in one message; of an honest answer 60
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Value = int | bytes


def varint(number: int) -> bytes:
    """An unsigned number below 2^64, seven bits a byte, low ones first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it. RemoteError: it is cut off, or above 2^64."""
    number = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if number >> 64:
                break
            return number, at
    raise RemoteError("a libp2p message has a broken number")


def field(number: int, value: Value) -> bytes:
    """One field: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value)
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def read_fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in the order in which they came. RemoteError: it is none, or has more than MAX_FIELDS."""
    at = count = 0
    while at < len(data):
        count += 1
        if count > MAX_FIELDS:
            raise RemoteError("a libp2p message has too many parts")
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = read_varint(data, at)
            yield tag >> 3, number
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
            if at > len(data):
                raise RemoteError("a libp2p message is cut off")
        elif kind == _BYTES:
            length, at = read_varint(data, at)
            if length > len(data) - at:
                raise RemoteError("a libp2p message is cut off")
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            raise RemoteError("a libp2p message has a part of an unknown kind")
