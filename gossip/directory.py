"""The directory of one peer: what lies where, and who may use it.

    DIR/keys/        0700; private keys, 0600: current, next, and after while a change of keys is under way
    DIR/peer.db      the ledger, blobs, tickets and what `run` remembers (SQLite)
    DIR/signed       what this peer last signed, against restored backups
    DIR/witnessed    and what it has cosigned of others' logs
    DIR/lock         held by the running node; holds its pid
    DIR/final.model  the model of a final snapshot, for those who come late; safe to delete while no node runs
    DIR/compiled/    XLA's cache, safe to delete; where the command runs the node, HOME/.compiled for all its swarms
    DIR/privacy.json what was promised and spent of it (epsilon): without it nothing more is published
    DIR/personal.json  how its own scorer is made of two models, and how good that is; safe to delete
    DIR/labelled/    tables made of captures (gossip/labelling.py); safe to delete while no node runs
    DIR/judgements.jsonl  what its owner says of URLs and domains (docs/label.md)
    DIR/releases/    final snapshots that were given a name
    DIR/leaves       of the commitment to a public data set; safe to delete while no node runs

The control socket lives in DIR too, unless the path is too long for a socket address.
This file opens nothing but the lock and refuses to know what the files mean.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger.errors import LocalError

MAX_SOCKET_PATH_BYTES: Final = 100  # sun_path holds 108 on Linux, 104 on macOS
MAX_PID_DIGITS: Final = 10  # a lock that says more was not written by a node


def keys_path(directory: Path) -> Path:
    return directory / "keys"


def current_key_path(directory: Path) -> Path:
    return keys_path(directory) / "current"


def next_key_path(directory: Path) -> Path:
    return keys_path(directory) / "next"


def after_key_path(directory: Path) -> Path:
    return keys_path(directory) / "after"


def store_path(directory: Path) -> Path:
    return directory / "peer.db"


def mark_path(directory: Path) -> Path:
    return directory / "signed"


def witness_path(directory: Path) -> Path:
    return directory / "witnessed"


def model_path(directory: Path) -> Path:
    return directory / "final.model"


def cache_path(directory: Path) -> Path:
    return directory / "compiled"


def leaves_path(directory: Path) -> Path:
    return directory / "leaves"


def account_path(directory: Path) -> Path:
    return directory / "privacy.json"


def control_path(directory: Path) -> Path:
    """Where the running node listens for its owner."""
    near = directory.resolve() / "control.sock"
    if len(os.fsencode(near)) <= MAX_SOCKET_PATH_BYTES:
        return near
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:24]
    return private_runtime_directory() / f"{name}.sock"


def private_runtime_directory() -> Path:
    """A short directory of this user's own. Raises LocalError if somebody else owns it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(os.path.realpath(tempfile.gettempdir())) / f"gossip-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not _is_ours_alone(folder):  # somebody else may have been faster, with a link, a file or a folder of their own
        raise LocalError(f"{folder} is not yours alone", next_step="remove it, or set TMPDIR to a private directory")
    return folder


def shared_cache(home: Path) -> Path | None:
    """HOME/.compiled: what was compiled for any swarm of this user's, so that entering another one compiles nothing.

    It is run as it is: None, and every peer keeps its own, if others could have written there or it cannot be made.
    """
    folder = home / ".compiled"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder if _is_ours_alone(folder) else None


def _is_ours_alone(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_ours = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return stat.S_ISDIR(found.st_mode) and is_ours


def make(directory: Path) -> None:
    """Create the directory for its owner only. Raises LocalError if it already holds a peer."""
    if store_path(directory).exists():
        raise LocalError(
            f"{directory} already holds a peer", next_step="run it with `gossip run`, or name another --dir"
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(
            f"cannot create {directory}", why=error.strerror or str(error), next_step="name another folder with --dir"
        ) from error


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold the directory for this process. Raises LocalError with the pid of whoever holds it.

    An advisory lock of the operating system, so that nothing has to be cleaned up after kill -9.
    """
    path = directory / "lock"
    with path.open("a+") as file:
        if not _try_lock(file.fileno()):
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise LocalError(f"a node already runs on {directory}", why=f"pid {pid}", next_step="`gossip stop` ends it")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


def running_pid(directory: Path) -> int | None:
    """The pid of the node that holds this directory, or None."""
    path = directory / "lock"
    text = path.read_bytes().strip() if path.exists() else b""
    if not text.isdigit() or len(text) > MAX_PID_DIGITS:
        return None
    # The lock decides: a pid left by kill -9 may name nobody, or a stranger.
    with path.open("a+") as file:
        return None if _try_lock(file.fileno()) else int(text)


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: no fcntl, and the node is untested there
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
