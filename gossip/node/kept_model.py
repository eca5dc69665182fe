"""The model of a final snapshot on disk: one file, DIR/final.model, for those who come late.

    KeepModel --another file, fsync, rename--> DIR/final.model --parts of it--> whoever asks

Why a file of its own: it is as long as the model and replaced as a whole, which would make a database of small rows
grow and shrink for nothing. It can always be made again, so one that is damaged, or cannot be read, is as good as none.

Rules kept here: what is served has the hash that it is known by, checked at the start; a crash leaves the old file or
the new one. It refuses to know what a model means, and when to keep one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.store import Store

CHUNK_BYTES: Final = 1 << 20


class KeptModel:
    """The file, and what is on its way there. `write` is for the thread that writes the store, all else for the
    loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name, self._size = _look(path)
        self._fresh: bytes | None = None  # not on disk yet

    def put(self, name: Hash, data: bytes) -> None:
        """From now on this is the model kept; `write` brings it to the disk."""
        self._name, self._size, self._fresh = name, len(data), data

    def write(self, data: bytes) -> None:
        """LocalError if the disk does not take it."""
        draft = self._path.with_name(self._path.name + ".new")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise LocalError(
                f"cannot write {self._path}", why=str(error), next_step="make space there, or look at the disk"
            ) from error

    def written(self, data: bytes) -> None:
        """`write` is done."""
        if self._fresh is data:
            self._fresh = None

    def name(self) -> Hash:
        """Which model is kept; "" if none."""
        return self._name

    def part(self, begin: int, end: int) -> bytes:
        """Bytes of it; b"" if it has not so many, or cannot be read."""
        if not 0 <= begin < end <= self._size:
            return b""
        if self._fresh is not None:
            return self._fresh[begin:end]
        try:
            with self._path.open("rb") as file:
                file.seek(begin)
                data = file.read(end - begin)
        except OSError:
            return b""
        return data if len(data) == end - begin else b""


class StoreAlone:
    """A store as a shelf that has no model: for a machine that speaks with nobody."""

    def __init__(self, store: Store) -> None:
        self.blob = store.blob
        self.checkpoint = store.checkpoint
        self.witnessed = store.witnessed
        self.vote = store.vote
        self.cosigned = store.cosigned

    def model(self) -> Hash:
        return ""

    def model_part(self, begin: int, end: int, /) -> bytes:
        return b""


def _look(path: Path) -> tuple[Hash, int]:
    """What a file holds: its hash and size; "" and 0 if there is none."""
    digest, size = sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError:
        return "", 0
    return digest.hexdigest(), size
