"""Files that a swarm's policy names by hash, kept in the peer's directory: DIR/pinned/<sha256>.

    [labels.ad]                                             DIR/pinned/318f849794a9...   EasyList of 13 August 2026
    easylist = "318f849794a9..."                            DIR/pinned/9c02d17be1f0...   the canary rows
    [canary]
    sha256 = "9c02d17be1f0..."

Why it exists: peers compare opened labels with the lists that the policy pins, and models on its canary rows. The
ledger carries no such file (licences differ, and so do sizes); whoever has one keeps it here, and its hash says that
all keep the same.

Rules kept here: only what the policy names is kept; a file is copied whole, synced, and renamed into place, so one
that is there is complete; it is hashed again whenever it is asked for, for disks change things. It refuses to know
what is in a file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.keys import fsync_directory
from ledger.policy import Policy

MAX_PINNED_BYTES: Final = 256 << 20  # a million canary rows, or 25 of the largest list known
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Pin:
    """What a policy says of one file."""

    name: str  # "easylist"; "canary" for the canary rows
    use: str  # canary, or the label that the list gives: ad or tracker
    sha256: Hash


def pins_of(policy: Policy) -> tuple[Pin, ...]:
    """Every file that a policy names: the canary rows first, then lists as they stand in the text."""
    canary = (Pin("canary", "canary", policy.canary),) if policy.canary else ()
    return (*canary, *(Pin(name, label, digest) for name, label, digest in policy.lists))


def pinned_path(directory: Path) -> Path:
    """The folder of a peer's pinned files."""
    return directory / "pinned"


def held(folder: Path, digest: Hash) -> Path | None:
    """Where the file with this hash lies, whole and unchanged; None if it does not."""
    path = folder / digest
    try:
        return path if _digest(path) == digest else None
    except OSError:
        return None


def keep(folder: Path, file: Path, policy: Policy) -> tuple[Pin, ...]:
    """Copy a file that the policy names. Returns all pins that it is; LocalError if it is none, or cannot be kept."""
    wanted = pins_of(policy)
    try:
        digest = _digest(file)
    except OSError as error:
        raise LocalError(
            f"{file}: cannot be read", why=error.strerror or str(error), next_step="check the path"
        ) from None
    pins = tuple(pin for pin in wanted if pin.sha256 == digest)
    if not digest:
        raise LocalError(f"{file}: too long to be pinned", why=f"the limit is {MAX_PINNED_BYTES >> 20} MiB")
    if not pins:
        names = ", ".join(f"{pin.name} ({pin.sha256[:16]}...)" for pin in wanted[:6])
        line = f'{_word(file)} = "{digest}"'
        raise LocalError(
            f"{file}: the policy does not name this file", why=f"it names {names or 'none'}",
            next_step=f"give the very file that it names, or, as an admin, pin this one in a section labels.ad: {line}",
        )  # fmt: skip
    if held(folder, digest) is None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _copy(file, folder / digest, digest)
        except OSError as error:
            raise LocalError(
                f"{file}: cannot be kept in {folder}", why=error.strerror or str(error), next_step="free some space"
            ) from None
    return pins


def _word(file: Path) -> str:
    """A name that a policy may give this file."""
    return re.sub("[^a-z0-9]+", "_", file.stem.lower()).strip("_")[:32] or "list"


def _digest(path: Path) -> Hash:
    """Of a file of at most MAX_PINNED_BYTES; a longer one has none that a pin could name ("")."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_PINNED_BYTES:
            return ""
        hashed = sha256()
        while piece := file.read(_PIECE):
            hashed.update(piece)
        return hashed.hexdigest()


def _copy(source: Path, target: Path, digest: Hash) -> None:
    new = target.with_suffix(".new")
    hashed = sha256()
    try:
        with source.open("rb") as file, new.open("wb") as copy:
            while piece := file.read(_PIECE):
                hashed.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        if hashed.hexdigest() != digest:
            raise LocalError(f"{source}: it changed while it was read", next_step="try again")
        new.replace(target)
        fsync_directory(target.parent)
    finally:
        new.unlink(missing_ok=True)
