"""The disk under a peer's directory: can it be written to, how fast is it sure of what it wrote, how much is left.

A peer acknowledges an entry only when the disk is sure of it (fsync), so that time is under every round. Tried with a
file of our own beside the store, which is removed; what is there already is not opened.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from gossip.doctor.finding import Finding, fails, ok, warns

TRIES: Final = 7
PAGE: Final = bytes(4096)
SLOW_MS: Final = 100.0  # a card in a hurry; rounds are seconds apart
NEEDED_BYTES: Final = 100_000_000  # a peer of many rounds writes some 40 MB a day
LITTLE_BYTES: Final = 1_000_000_000


def look(folder: Path) -> list[Finding]:
    """Both findings, of a folder that is there, or of the nearest one above it that is."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
    where, left = str(place), shutil.disk_usage(place).free
    trial = place / f".doctor-{secrets.token_hex(8)}"
    try:
        took_ms = _write(trial)
    except OSError as error:
        return [_refused(error, where, left), _judge_space(left, where)]
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)
    typical = statistics.median(took_ms)
    facts = {"fsync_ms": round(typical, 2), "worst_ms": round(max(took_ms), 2)}
    text = f"written and sure after {typical:.1f} ms (the slowest of {TRIES}: {max(took_ms):.1f} ms)"
    if typical > SLOW_MS:
        how = "rounds wait for it: keep the peer on a faster disk with --dir, not on a card or a network share"
        return [warns("disk", text, how, where, **facts), _judge_space(left, where)]
    return [ok("disk", text, where, **facts), _judge_space(left, where)]


def _write(trial: Path) -> list[float]:
    took = []
    file = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(TRIES):
            begun = time.perf_counter()
            os.write(file, PAGE)
            os.fsync(file)
            took.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(file)
    return took


def _refused(error: OSError, where: str, left: int) -> Finding:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            what, how = "the disk is full", "make room, or keep the peer elsewhere with --dir"
        case errno.EROFS:
            what = "it can only be read"
            how = "mount it for writing (a system that found errors on it may have changed that), or use another --dir"
        case errno.EACCES | errno.EPERM:
            what, how = "it may not be written to by you", "make it yours, or name another folder with --dir"
        case errno.EIO:
            what, how = "the disk fails", "copy what is on it to another one, then look at the system's log"
        case _:
            what, how = "it cannot be written to", "name another folder with --dir"
    facts = {"errno": errno.errorcode.get(error.errno or 0, ""), "free_bytes": left}
    return fails("disk", f"{what}: {error.strerror or error}", how, where, **facts)


def _judge_space(left: int, where: str) -> Finding:
    text = f"{left / 1e9:.1f} GB left" if left >= LITTLE_BYTES else f"{left / 1e6:.0f} MB left"
    if left < NEEDED_BYTES:
        return fails("space", text, "make room: a peer of many rounds writes 40 MB a day", where, free_bytes=left)
    if left < LITTLE_BYTES:
        return warns("space", text, "make room soon: a peer of many rounds writes 40 MB a day", where, free_bytes=left)
    return ok("space", text, where, free_bytes=left)
