"""Releases: final snapshots that this peer's owner has given a name, and which of them is in use. DIR/releases/.

    index.json     {"format":"gossip-releases/1","in_use":"2026-q1","releases":[{"log":"41c6..","model_hash":"5d1c..",
                   "name":"2026-q1","seq":87,"sha256":"9f0e..","time":1767225600,"updates":212}]}
    2026-q1.gossip-model     the model as it leaves the swarm (ledger/export.py)

One line of canonical JSON, replaced whole, for its owner alone. What is in use is what this peer scores with, and puts
judgements into; what the swarm trains on is not touched by it.

Rules kept here: a name is given once; a file is used only with the very bytes that were named, looked at each time. It
refuses to know what final means (ledger/audit.py) and who folds (cli/exporting.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gossip.filterlists.requests import file_digest
from ledger.canonical import decode, encode
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.private_files import fsync_directory, move

FORMAT: Final = "gossip-releases/1"
NEWEST: Final = "newest"  # no release: whatever the swarm has now
MAX_RELEASES: Final = 1024
MAX_BYTES: Final = 1 << 20
SUFFIX: Final = ".gossip-model"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One named snapshot."""

    name: str
    log: PeerId  # whose snapshot
    seq: int
    model_hash: Hash
    sha256: Hash  # of the file
    updates: int
    time: int  # Unix seconds: when it was named


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str = FORMAT
    in_use: str = ""  # "": the newest
    releases: list[Release] = []  # oldest first


def releases_path(directory: Path) -> Path:
    return directory / "releases"


def model_path(directory: Path, name: str) -> Path:
    return releases_path(directory) / f"{name}{SUFFIX}"


def check_name(name: str) -> str:
    """LocalError unless a release may be called that; it names a file, too."""
    if not _NAME.fullmatch(name) or name == NEWEST or not name.strip("."):
        why = "it means no release" if name == NEWEST else "it also names a file"
        raise LocalError(
            f"cannot call a release {name[:80]!r}", why=why,
            next_step="use letters, digits, dots, dashes and underscores, at most 64",
        )  # fmt: skip
    return name


def index(directory: Path) -> Index:
    """What was named. LocalError if the list is damaged."""
    path = releases_path(directory) / "index.json"
    try:
        with path.open("rb") as file:
            found = read_index(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return Index()
    except OSError as error:
        raise LocalError(f"cannot read {path}", why=error.strerror or "", next_step="check that it is yours") from None
    except RemoteError as error:
        raise LocalError(
            f"{path} is damaged", why=error.why, next_step="restore it from a backup, or remove the folder"
        ) from None
    return found


def read_index(data: bytes) -> Index:
    """RemoteError unless this program could have written it."""
    found = decode(data.removesuffix(b"\n"), Index, limit=MAX_BYTES, what="the list of releases")
    names = [each.name for each in found.releases]
    if found.format != FORMAT or len(set(names)) < len(names) or len(names) > MAX_RELEASES:
        raise RemoteError("the list of releases is malformed", why="another format, or a name twice")
    if found.in_use and found.in_use not in names:
        raise RemoteError("the list of releases is malformed", why="what is in use is not in it")
    for each in found.releases:
        try:
            check_name(each.name)
        except LocalError:
            raise RemoteError("the list of releases is malformed", why="a name that cannot be one") from None
    return found


def find(directory: Path, name: str) -> Release:
    """LocalError if nothing is called that."""
    kept = index(directory).releases
    for each in kept:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in kept[-5:])
    raise LocalError(
        f"no release is called {name[:64]!r}", why=f"there are {known}" if known else "there are none",
        next_step="see them with: gossip model releases",
    )  # fmt: skip


def refuse_taken(directory: Path, name: str) -> None:
    """LocalError if the name cannot be given, before anything is computed for it."""
    check_name(name)
    kept = index(directory).releases
    if any(each.name == name for each in kept):
        raise LocalError(
            f"there is a release {name} already", why="a name is given once", next_step="choose another name"
        )
    if len(kept) >= MAX_RELEASES:
        raise LocalError(
            f"{MAX_RELEASES:,} releases are kept here already", next_step="remove DIR/releases to begin anew"
        )


def add(directory: Path, release: Callable[[Hash], Release], name: str, write: Callable[[Path], None]) -> Release:
    """Keep what `write` writes as the model of `name`; `release` is told its hash. LocalError if the disk, or the name,
    does not allow it."""
    refuse_taken(directory, name)
    folder, path = releases_path(directory), model_path(directory, name)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        write(draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        found = release(file_digest(draft))
        move(draft, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    kept = index(directory)
    _write(directory, msgspec.structs.replace(kept, releases=[*kept.releases, found]))
    return found


def use(directory: Path, name: str) -> Release | None:
    """From now on that one; None: the newest. LocalError if nothing is called that, or its file has changed."""
    found = None if name == NEWEST else find(directory, name)
    if found is not None:
        checked(directory, found)
    kept = index(directory)
    if kept.releases:
        _write(directory, msgspec.structs.replace(kept, in_use="" if found is None else found.name))
    return found


def in_use(directory: Path) -> Release | None:
    """The release that this peer scores with; None: the newest model. LocalError if the list is damaged."""
    kept = index(directory)
    return find(directory, kept.in_use) if kept.in_use else None


def checked(directory: Path, release: Release) -> Path:
    """Its file, if it still has the bytes that were named. LocalError if not."""
    path = model_path(directory, release.name)
    try:
        digest = file_digest(path)
    except OSError as error:
        raise LocalError(
            f"the model of release {release.name} cannot be read", why=error.strerror or "",
            next_step="go on with: gossip model use newest",
        ) from None  # fmt: skip
    if digest != release.sha256:
        raise LocalError(
            f"the model of release {release.name} is not the one that was named", why=f"{path} has changed",
            next_step="restore it from a backup, or go on with: gossip model use newest",
        )  # fmt: skip
    return path


def _write(directory: Path, kept: Index) -> None:
    path = releases_path(directory) / "index.json"
    new = path.with_suffix(".new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encode(kept) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        fsync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> LocalError:
    return LocalError(f"cannot write {path}", why=error.strerror or str(error), next_step="look at folder and disk")
