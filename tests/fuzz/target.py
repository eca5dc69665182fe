"""One door that bytes from others come in by, and what may come out of it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from ledger.errors import GossipError, RemoteError
from tests.fuzz.mutator import LIMIT

CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """`run` reads the bytes as the program does, and uses what it was given. `make` are real messages, all taken.

    From the network nothing but RemoteError may come; of a file of the user's own (`own`) any GossipError, which says
    what to do. A reader that never raises still is a target: it must not raise anything else, either.
    """

    name: str
    run: Callable[[bytes], object]
    make: Callable[[], Sequence[bytes]]
    covers: tuple[str, ...]  # the readers that this tries, as module.function
    words: tuple[bytes, ...] = ()
    own: bool = False
    limit: int = LIMIT
    slow: bool = False  # more than a millisecond for one: a file to write, a signature to make

    @property
    def allowed(self) -> type[GossipError]:
        return GossipError if self.own else RemoteError

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """What mutations begin with: real messages, and what was kept because it went further or failed once."""
        return (*self.make(), *(data for _, data in self.kept()))

    def kept(self) -> list[tuple[str, bytes]]:
        """The inputs in the tree, by name. `regression-*` made something fail once."""
        folder = CORPUS / self.name
        return [(file.name, file.read_bytes()) for file in sorted(folder.iterdir())] if folder.is_dir() else []

    def takes(self, data: bytes) -> bool:
        """Whether the reader took it. Whatever else it raised passes through: that is a defect."""
        try:
            self.run(data)
        except self.allowed:
            return False
        return True


@cache
def folder() -> Path:
    """A folder of this process alone, in memory where there is such a place; gone when the process ends."""
    memory = Path("/dev/shm")
    made = tempfile.mkdtemp(prefix="gossip-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def file(data: bytes, name: str) -> Path:
    """A file with these bytes, for its owner alone."""
    path = folder() / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
    return path
