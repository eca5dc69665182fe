"""A cursor over one message that never cuts beyond its end, and the one error that malformed bytes are.

Rules kept here: a length is compared with what is left before anything is cut; whoever breaks a rule of the format is
to blame (RemoteError). It refuses to know the messages (codec.py, models.py).
"""

from __future__ import annotations

import struct
from typing import Final

from gossip.wire.frames import MAX_PROOF
from ledger.entry import Hash
from ledger.errors import RemoteError
from ledger.merkle import HASH_BYTES

_SHAPES: Final = {form: struct.Struct(form) for form in ("<B", "<H", "<I", "<Q")}


class Reader:
    """A cursor that never cuts beyond the end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        begin = self._at
        self._at = end = begin + length
        if end > len(self._data):  # (no call of require: this is done for each field of each message)
            raise malformed("it ends inside a field")
        return self._data[begin:end]

    def number(self, form: str) -> int:
        shape = _SHAPES[form]
        value: int = shape.unpack(self.take(shape.size))[0]
        return value

    def hash(self) -> Hash:
        return self.take(HASH_BYTES).hex()


def signed(reader: Reader, note_bytes: int) -> tuple[bytes, tuple[bytes, ...]]:
    """A signed note of at most so many bytes, and a proof that leads to it."""
    length = reader.number("<H")
    require(length <= note_bytes, "a checkpoint is too long")
    note = reader.take(length)
    length = reader.number("<B")
    require(length <= MAX_PROOF, "a proof is too long")
    return note, tuple(reader.take(HASH_BYTES) for _ in range(length))


def require(condition: bool, why: str) -> None:
    if not condition:
        raise malformed(why)


def malformed(why: str) -> RemoteError:
    return RemoteError("a message is malformed", why=why)
