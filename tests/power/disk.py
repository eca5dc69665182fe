"""A disk that forgets: from what a program did to its files, every content that a power cut may leave.

    write a.db-wal 0..32 | write 32..56 | sync a.db-wal | ack 3 | write 56..90 | CUT
    surely there: 0..56                                         maybe there: any part of 56..90

Between two syncs of a file, a disk may carry out its writes in any order, in part, or not at all; between two syncs
of the directory, so it may the making and deleting of files. What was synced stays. That is harsher than most disks
and file systems are. Two things are granted: a write changes no bytes beside its own (SQLite's "powersafe
overwrite"), and the first sync of a new file syncs its name and every older change of names, which is what SQLite
does there (unixSync, UNIXFILE_DIRSYNC) and what ledger/database.py does for its own file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random
from typing import NamedTuple


class Write(NamedTuple):
    name: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    name: str
    size: int


class Sync(NamedTuple):
    name: str


class Delete(NamedTuple):
    name: str


class Acknowledged(NamedTuple):
    """Not an operation: from here on, somebody was told that so many entries are safe."""

    entries: int


Operation = Write | Truncate | Sync | Delete | Acknowledged


class Mood(Enum):
    """What a disk does with what was not synced."""

    LAZY = "none of it happened"
    EAGER = "all of it happened"
    TORN = "some happened, some in part"


@dataclass
class _File:
    """One content under one name, until that is deleted."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)
    is_new: bool = True

    def left(self, mood: Mood, luck: Random) -> bytes:
        chosen = [] if mood is Mood.LAZY else self.pending
        if mood is Mood.TORN:
            chosen = [_torn(step, luck) for step in self.pending if luck.random() < 0.5]
        return bytes(_applied(self.safe, chosen))


class Disk:
    """What is on it after some operations, as far as anybody can know."""

    def __init__(self) -> None:
        # What a name may stand for, from what is sure to what was done last. None: there is no such file.
        self._names: dict[str, list[_File | None]] = {}
        self.acknowledged = 0

    def do(self, step: Operation) -> None:
        match step:
            case Write(name) | Truncate(name):
                self._file(name).pending.append(step)
            case Delete(name):
                self._names.setdefault(name, [None]).append(None)
            case Sync(name):
                file = self._file(name)
                file.safe, file.pending = _applied(file.safe, file.pending), []
                if file.is_new:
                    file.is_new = False
                    self._names = {name: meanings[-1:] for name, meanings in self._names.items()}
            case Acknowledged(entries):
                self.acknowledged = entries

    def cut(self, mood: Mood, luck: Random, directory: Path) -> None:
        """Make `directory` what a power cut now leaves."""
        directory.mkdir()
        for name, meanings in self._names.items():
            match mood:
                case Mood.LAZY:
                    file = meanings[0]
                case Mood.EAGER:
                    file = meanings[-1]
                case Mood.TORN:
                    file = luck.choice(meanings)
            if file is not None:
                (directory / name).write_bytes(file.left(mood, luck))

    def _file(self, name: str) -> _File:
        meanings = self._names.setdefault(name, [None])
        file = meanings[-1]
        if file is None:
            file = _File()
            meanings.append(file)
        return file


def _torn(step: Write | Truncate, luck: Random) -> Write | Truncate:
    if isinstance(step, Write) and luck.random() < 0.3:
        begin, end = sorted(luck.randint(0, len(step.data)) for _ in range(2))
        return Write(step.name, step.offset + begin, step.data[begin:end])
    return step


def _applied(content: bytearray, steps: list[Write | Truncate]) -> bytearray:
    content = bytearray(content)
    for step in steps:
        match step:
            case Write(_, offset, data):
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset : offset + len(data)] = data
            case Truncate(_, size):
                del content[size:]
                content.extend(bytes(size - len(content)))
    return content
