"""What this peer last signed, in small files of their own, which no backup of the store takes back.

    signed      {"root":"5d1c...","size":12}                                       of its own log
    witnessed   {"logs":{"77ab...":[30,"c04e..."]},"vote":["77ab...",33,"9f2d..."]}   of others' logs, cosigned

Why they exist: a store restored from a backup lacks entries that others have seen, and signing on from there
would fork the log, which is proof of misbehaviour for ever. The mark tells: if it is ahead of the store, the
peer must first ask others for its own newest checkpoint. What a witness must never forget is all here, so that it
needs no store to remember: it signs no second root for a size, whatever the store has lost.

Rules kept here: written and fsynced before each signature leaves; replaced whole, so that it is always either
the old file or the new; nothing goes back and no size gets two roots. It refuses to know keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

from ledger.canonical import decode, encode
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.kept import StoredVote
from ledger.keys import fsync_directory

_MAX_BYTES: Final = 256  # one takes 94
_MAX_WITNESSED_BYTES: Final = 4 * 1024 * 1024  # a log takes some 140; of a swarm a peer witnesses three on average

_Root = Annotated[Hash, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Size = Annotated[int, msgspec.Meta(ge=0)]

T = TypeVar("T")


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest checkpoint this peer has put its name to."""

    root: _Root
    size: _Size


class SignedMark:
    """The mark at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Signed | None:
        """What was last signed; None if nothing ever was."""
        return _read(self._path, Signed, _MAX_BYTES)

    def write(self, size: int, root: Hash) -> None:
        """Durably record what is about to be signed. LocalError if that would fork this peer's own log."""
        before = self.read()
        if before is not None and (size < before.size or (size == before.size and root != before.root)):
            raise LocalError(
                f"will not sign size {size} of this peer's log",
                why=f"size {before.size} was signed before, and this does not continue it",
                next_step="if this is a restored backup, let it fetch its newer entries from other peers first",
            )
        _replace(self._path, encode(Signed(root=root, size=size)))


class _Vouched(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    logs: dict[PeerId, tuple[_Size, _Root]] = {}
    vote: tuple[PeerId, int, Hash] = ("", 0, "")


class WitnessMark:
    """What this peer has cosigned, at `path`; read once, for nobody else writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _read(path, _Vouched, _MAX_WITNESSED_BYTES) or _Vouched()

    def witnessed(self, log: PeerId) -> tuple[int, bytes] | None:
        """(size, root) of a log that was last cosigned."""
        kept = self._kept.logs.get(log)
        return (kept[0], bytes.fromhex(kept[1])) if kept is not None else None

    def vote(self) -> StoredVote | None:
        """The snapshot last voted for."""
        return StoredVote(*self._kept.vote) if self._kept.vote[0] else None

    def write(self, roots: Iterable[tuple[PeerId, int, bytes]], vote: StoredVote | None = None) -> None:
        """Durably record what is about to be cosigned. LocalError, and nothing is, if that contradicts what was."""
        logs = dict(self._kept.logs)
        for log, size, root in roots:
            before = logs.get(log)
            if before is not None and (size < before[0] or (size == before[0] and root.hex() != before[1])):
                raise LocalError(
                    f"will not witness size {size} of log {log[:8]}",
                    why=f"size {before[0]} was witnessed before, and this does not continue it",
                )
            logs[log] = (size, root.hex())
        kept = _Vouched(logs, (vote.log, vote.size, vote.hash) if vote is not None else self._kept.vote)
        if kept != self._kept:
            _replace(self._path, encode(kept))
            self._kept = kept


# ------------------------------------------------------------------ files


def _read(path: Path, kind: type[T], limit: int) -> T | None:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalError(
            f"cannot read {path}", why=error.strerror or "", next_step="check that the directory is yours"
        ) from None
    try:
        return decode(data, kind, limit=limit, what="the file")
    except RemoteError as error:
        raise LocalError(
            f"{path} is damaged",
            why=error.why,
            next_step="restore the whole directory of the peer from a backup",
        ) from None


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        fsync_directory(path.parent)
    except OSError as error:
        raise LocalError(
            f"cannot write {path}",
            why=error.strerror or "",
            next_step="free some space, or check that the directory is yours",
        ) from None
