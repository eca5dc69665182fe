"""One spelling for everything that is hashed or signed: the RFC 8785 subset without floats and nulls.

    {"a":1,"b":[true,"text"],"c":{}}      keys sorted, no spaces, UTF-8, shortest escapes

Why it exists: two programs that disagree on one byte disagree on every later hash. So bytes from others are
accepted only if decoding and encoding them again gives the same bytes, and they are hashed as received.

Rules kept here: lengths before decoding; integers within +-(2^53 - 1), exact in a browser's double; ASCII
keys, for which sorting by UTF-16 (RFC 8785), by UTF-8 and by code point are the same. It refuses to know what fields
may hold (wellformed.py) and what entries mean together (chains, roles, weights): that is replica.py.

Whose fault: bytes raise RemoteError, values that we built raise LocalError.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from ledger.entry import MAX_ENTRY_BYTES, AnyEntry, Hash
from ledger.errors import GossipError, LocalError, RemoteError
from ledger.wellformed import MAX_INTEGER, check_entry, kind_of

T = TypeVar("T")

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final[msgspec.json.Decoder[AnyEntry]] = msgspec.json.Decoder(AnyEntry)


# ------------------------------------------------------------------ any value


def encode(value: object) -> bytes:
    """The canonical bytes of a value made of structs, dicts, lists, tuples, text, integers and booleans."""
    _check_value(value)
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise LocalError("cannot write text with half a character in it", why="a lone surrogate has no UTF-8") from None


def decode(data: bytes, kind: type[T], *, limit: int, what: str) -> T:
    """Read the canonical bytes of a `kind` (a struct, or a type such as dict[str, int]), at most `limit` bytes of them.

    `what` names the thing in the error: "the invite", "bundle.json".
    """
    if len(data) > limit:
        raise RemoteError(f"{what} is too long", why=f"{len(data)} bytes, the limit is {limit}")
    try:
        value = msgspec.json.decode(data, type=kind)
        _check_value(value)
        if _ENCODER.encode(value) == data:
            return value
    except GossipError as error:
        raise RemoteError(f"{what} is malformed", why=error.what) from None
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{what} is malformed", why=_reason(error)) from None
    raise RemoteError(f"{what} is not in canonical form", why="decoding and encoding it again gives other bytes")


def _check_value(value: object) -> None:
    match value:
        case bool() | str():
            pass
        case int():
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                # (Not the number itself: one of 400 digits is no float, and one of 4,300 cannot be printed.)
                raise LocalError(f"an integer of {value.bit_length()} bits is out of range", why="beyond +-(2^53 - 1)")
        case Mapping():
            for key, item in value.items():
                if not (isinstance(key, str) and key.isascii()):
                    raise LocalError("a key is not ASCII text", why=ascii(key)[:40])
                _check_value(item)
        case list() | tuple():
            for item in value:
                _check_value(item)
        case msgspec.Struct():
            for name in value.__struct_fields__:
                if (item := getattr(value, name)) is not msgspec.UNSET:  # what is left out has no bytes
                    _check_value(item)
        case _:
            raise LocalError(
                f"a {type(value).__name__} has no canonical form", why="only text, integers, lists, objects"
            )


def _reason(error: Exception) -> str:
    """One short line out of a foreign exception; its text may quote the sender's bytes."""
    return ascii(str(error).splitlines()[0] if str(error) else type(error).__name__)[1:-1][:120]


# ------------------------------------------------------------------ entries


def entry_hash(data: bytes) -> Hash:
    """SHA-256 of an entry's bytes as received: what `sha256sum` prints for the file."""
    return sha256(data).hexdigest()


def encode_entry(entry: AnyEntry) -> bytes:
    """The bytes of an entry of our own. LocalError if no peer would accept them."""
    data = encode(entry)
    try:
        _check_size(data)
        check_entry(entry)
    except RemoteError as error:
        raise LocalError(f"cannot write this {kind_of(entry)} entry", why=str(error)) from None
    return data


def decode_entry(data: bytes) -> AnyEntry:
    """Read one entry, as any peer or file may send it. RemoteError on anything but the canonical spelling."""
    _check_size(data)
    try:
        entry = _DECODER.decode(data)
    except (ValueError, RecursionError) as error:
        raise RemoteError("an entry is malformed", why=_reason(error)) from None
    check_entry(entry)
    if _ENCODER.encode(entry) != data:
        raise RemoteError("an entry is not in canonical form", why="decoding and encoding it again gives other bytes")
    return entry


def _check_size(data: bytes) -> None:
    if len(data) > MAX_ENTRY_BYTES:
        raise RemoteError("an entry is too long", why=f"{len(data)} bytes, the limit is {MAX_ENTRY_BYTES}")
