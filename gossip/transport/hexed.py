"""Bytes in signed JSON: lower-case hex of exactly so many, so that each value has one spelling."""

from __future__ import annotations

from ledger.errors import RemoteError


def exactly(text: str, size: int) -> bytes:
    """The `size` bytes that `text` spells; RemoteError for anything else."""
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise RemoteError("a field that is not hex") from error
    if len(data) != size or data.hex() != text:
        raise RemoteError(f"a field that is not {size} bytes in lower-case hex")
    return data
