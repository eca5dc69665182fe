"""A peer's own data as its training process is told of them, and as its data entry states them.

    NodeConfig, salt, zones --data--> OwnData --worker--> Loaded --commitment--> Data

What the owner has judged is taken as it is when training reads the data anew (`reread`), and stays so until it does
again: what is opened of a data set is what was committed to. The zone of the files is looked up each time, as their
owner has set it and as the files are then: one that was changed since it was made public is private again
(gossip/zones.py), and the owner is told. It refuses to know what leaves this machine (gossip/egress.py).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from gossip import directory as places
from gossip import zones
from gossip.judgements import judgements_path, read_standing, whole_bytes
from gossip.labelling import FOLDER, prepared
from gossip.node.borrowed import BorrowedFiles
from gossip.node.config import NodeConfig
from gossip.training.protocol import Loaded, OwnData
from ledger.entry import Data, Hash

Stamp = tuple[tuple[int, int, int] | None, ...]  # of each file: when it was changed, its length and its inode


class Own:
    """The data of one node. `trouble` is for people."""

    def __init__(self, config: NodeConfig, swarm: Hash, salt: bytes, trouble: Callable[[str], None]) -> None:
        self._config, self._swarm, self._salt, self._trouble = config, swarm, salt, trouble
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: tuple[list[Path], Path | None] | None = None
        self._told: set[str] = set()
        self._judged_bytes = 0
        self.borrowed = BorrowedFiles(config.directory)

    def judged(self) -> int:
        """How many judgements stand now. LocalError if they cannot be read."""
        return len(read_standing(judgements_path(self._config.directory)))

    def reread(self) -> None:
        """From now on with what the owner has judged by now. LocalError if that cannot be read: then as before."""
        size = whole_bytes(self._config.directory)
        read_standing(judgements_path(self._config.directory), size)
        self._judged_bytes = size

    async def data(self, model: str) -> OwnData:
        """As they are now. Reads all public files once, on a thread."""
        found = self._files
        if found is None:  # captures are labelled: some seconds
            found = await asyncio.to_thread(self._found)
        files, validation = found
        directory = self._config.directory
        setting = await asyncio.to_thread(zones.setting, directory, files)
        for note in setting.notes:
            if note not in self._told:
                self._told.add(note)
                self._trouble(note)
        return OwnData(
            model=model, files=[str(file) for file in files], validation=str(validation) if validation else "",
            salt=self._salt.hex(), swarm=self._swarm, zone=setting.zone, opens=list(setting.opens),
            pins=list(setting.pins), leaves=str(places.leaves_path(directory)) if setting.zone == "public" else "",
            unlabelled=self._config.unlabelled, lends=list(self._config.lend_to) if setting.zone == "public" else [],
            borrowed=self.borrowed.rows() if setting.zone == "private" else [],
            judgements=str(judgements_path(directory)) if self._judged_bytes else "", judged_bytes=self._judged_bytes,
        )  # fmt: skip

    def stamp(self) -> Stamp:
        """What differs once data() may say something else. Reads no file."""
        files, _ = self._files or self._found()
        return tuple(map(_stamp, (zones.zones_path(self._config.directory), *files)))

    def close(self) -> None:
        """Remove the rows of a task, and those of others."""
        self.borrowed.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def _found(self) -> tuple[list[Path], Path | None]:
        config = self._config
        if config.task is None:
            named = [*config.data, *([config.validation] if config.validation else [])]
            ready = prepared(named, config.lists, config.directory / FOLDER).files
            self._files = ready[: len(config.data)], ready[-1] if config.validation else None
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="gossip-task-", dir=config.directory)
            train, validation = config.task.save(Path(self._folder.name))
            self._files = [train], validation
        return self._files


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def commitment(own: OwnData, loaded: Loaded, sketch: bytes) -> Data:
    """What was loaded, as a data entry; the machine fills in its place in the chain."""
    return Data(
        v=0, swarm="", seq=0, prev="", time=0, meets=[], seen=[], heads="", root=loaded.root, records=loaded.records,
        labels=loaded.labels, duplicates=loaded.duplicates, features=loaded.features, zone=own.zone,
        sources=loaded.sources, conflicts=loaded.conflicts, generator=loaded.generator, suffixes=loaded.suffixes,
        opens=own.opens, sketch=sha256(sketch).hexdigest() if sketch else "", sketch_bytes=len(sketch),
        privacy=loaded.privacy, judged=loaded.judged or msgspec.UNSET,
    )  # fmt: skip
