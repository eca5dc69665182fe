"""What this peer last signed, in a small file of its own: {"root":"5d1c...","size":12}.

Why it exists: a store restored from a backup lacks entries that others have seen, and signing on from there
would fork the log, which is proof of misbehaviour for ever. The mark tells: if it is ahead of the store, the
peer must first ask others for its own newest checkpoint.

Rules kept here: written and fsynced before each signature leaves; replaced whole, so that it is always either
the old mark or the new; it never goes back and never names two roots for one size. It refuses to know keys.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from ledger.canonical import decode, encode
from ledger.entry import Hash
from ledger.errors import LocalError, RemoteError
from ledger.keys import fsync_directory

_MAX_BYTES: Final = 256  # one takes 94


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest checkpoint this peer has put its name to."""

    root: Hash
    size: int


class SignedMark:
    """The mark at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Signed | None:
        """What was last signed; None if nothing ever was."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalError(
                f"cannot read {self._path}", why=error.strerror or "", next_step="check that the directory is yours"
            ) from None
        try:
            return decode(data, Signed, limit=_MAX_BYTES, what="the mark")
        except RemoteError as error:
            raise LocalError(
                f"{self._path} is damaged",
                why=error.why,
                next_step="restore the whole directory of the peer from a backup",
            ) from None

    def write(self, size: int, root: Hash) -> None:
        """Durably record what is about to be signed. LocalError if that would fork this peer's own log."""
        before = self.read()
        if before is not None and (size < before.size or (size == before.size and root != before.root)):
            raise LocalError(
                f"will not sign size {size} of this peer's log",
                why=f"size {before.size} was signed before, and this does not continue it",
                next_step="if this is a restored backup, let it fetch its newer entries from other peers first",
            )
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(Signed(root=root, size=size)))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            fsync_directory(self._path.parent)
        except OSError as error:
            raise LocalError(
                f"cannot write {self._path}",
                why=error.strerror or "",
                next_step="free some space, or check that the directory is yours",
            ) from None
