"""Between a node and its machine: every event with its time, and what the machine answered, goes into a file.

    node --event--> Recorder.handle --event--> Peer.handle --effects--> node
                        `--> FILE, 0600

Rules kept here: a recording never stands in its node's way (what cannot be written ends the recording, and the node
is told once); no private key reaches the file: it ends where the owner changes keys; a file that exists is not
overwritten. Written without fsync, and up to 64 KiB late: kill -9 costs the last moments, which a reader can tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, Protocol

from gossip.events import Effect, Event, NewKey
from gossip.peer.book import Shelf
from gossip.recording.answers import START, kinds, next_trace
from gossip.recording.records import MAGIC, End, Head, Step, encode_event, encode_record
from gossip.recording.shelf import Noting
from gossip.recording.start import Start
from ledger.entry import Hash, PeerId
from ledger.errors import LocalError

BUFFER_BYTES: Final = 64 * 1024
KEYS_CHANGED: Final = "the owner changed keys, and no private key is recorded"

Row = tuple[PeerId, int, bytes]  # log, seq, entry


class Machine(Protocol):
    def handle(self, event: Event, now: float) -> tuple[Effect, ...]: ...


class Recorder:
    """One recording of one run. Use it with `with`; `tell` hears, once, why it ended before the node did."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        """LocalError if the file is there already, or cannot be made."""
        self._path = path
        self._tell = tell
        self._trace = START
        self._file: IO[bytes] | None = _create(path)
        self._noting: Noting | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *args: object) -> None:
        self._end("the node stopped")

    def shelf(self, shelf: Shelf) -> Shelf:
        """The same shelf, noting what the machine looks up in it."""
        self._noting = Noting(shelf)
        return self._noting

    def begin(
        self, start: Start, swarm: Hash, founder: PeerId, own: PeerId, key: bytes, history: Iterable[Row]
    ) -> None:
        """The machine was made, of `start` and of a store that holds `history`. `key` is its public one."""
        assert self._noting is not None
        rows, digest = 0, sha256()
        for row in history:
            rows += 1
            add_row(digest, row)
        head = Head(
            swarm, founder, own, key, start.luck, start.mark, start.config, rows, digest.hexdigest(),
            self._noting.take(),
        )  # fmt: skip
        self._write(MAGIC + encode_record(head))

    def handle(self, machine: Machine, event: Event, now: float) -> tuple[Effect, ...]:
        """What the machine answers; what it raises passes through."""
        if self._file is None or self._noting is None:
            return machine.handle(event, now)
        if isinstance(event, NewKey):
            self._give_up(KEYS_CHANGED)
            return machine.handle(event, now)
        self._noting.take()
        try:
            effects = machine.handle(event, now)
        except Exception as error:
            self._note(event, now, (), type(error).__name__)
            raise
        self._note(event, now, effects)
        return effects

    def _note(self, event: Event, now: float, effects: tuple[Effect, ...], raised: str = "") -> None:
        assert self._noting is not None
        try:
            kind, spelled = encode_event(event)
            self._trace = next_trace(self._trace, effects)
            step = Step(now, kind, spelled, self._noting.take(), kinds(effects), self._trace, raised)
            data = encode_record(step)
        except (LocalError, TypeError, ValueError, OverflowError) as error:
            self._give_up(str(error))
            return
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _give_up(self, why: str) -> None:
        self._end(why)
        self._tell(f"the recording {self._path} ended: {why}")

    def _end(self, reason: str) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        if self._noting is not None:
            self._noting.stop()
        try:
            with file:
                file.write(encode_record(End(reason)))
        except OSError:  # a full disk: what was written stays, and a reader sees that it breaks off
            pass


def add_row(digest: Any, row: Row) -> None:
    """One more entry, and its place, into the hash over a store's history."""
    log, seq, entry = row
    digest.update(f"{log} {seq} {sha256(entry).hexdigest()}\n".encode())


def _create(path: Path) -> IO[bytes]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise LocalError(
            f"{path} is there already", why="a recording overwrites nothing",
            next_step="name another file with --record, or remove this one",
        ) from None  # fmt: skip
    except OSError as error:
        raise LocalError(
            f"cannot write {path}", why=error.strerror or "", next_step="name another file with --record"
        ) from None
    return os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES)
