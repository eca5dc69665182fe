"""What a command that reads takes as SOURCE: a bundle, a peer's directory, or a swarm's name. One shape for all.

For reading only: nothing is checked here. A bundle is opened as `ledger.bundle` does it, with its limits; a store is
opened for reading and may be in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cli import settings
from cli.plain import name as plain_name
from ledger.canonical import decode_entry
from ledger.entry import Enrol, Hash, PeerId
from ledger.merkle import Tree, consistency_spans, node_hash, split

if TYPE_CHECKING:  # it loads sqlite3, which a bundle does without
    from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Cover:
    """A checkpoint over a log, of which less may be here: `proof` is then the consistency proof from `held` on."""

    note: bytes
    size: int
    held: int
    proof: tuple[bytes, ...] = ()

    def reaches(self, tree: Tree) -> bool:
        """Whether an entry of `tree` can be proved to be under it."""
        return self.size <= tree.size or bool(self.proof)

    def inclusion(self, tree: Tree, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of leaf `index`. What is not in `tree` is in the consistency proof, or follows."""
        spans = consistency_spans(self.held, self.size) if self.size > tree.size else []
        beyond = {span: node for span, node in zip(spans, self.proof, strict=False) if span[1] > self.held}

        def node(begin: int, end: int) -> bytes:
            if (begin, end) in beyond:
                return beyond[begin, end]
            if end <= tree.size:
                return tree.span_root(begin, end)
            middle = begin + split(end - begin)
            return node_hash(node(begin, middle), node(middle, end))

        path: list[bytes] = []
        begin, end = 0, self.size
        while end - begin > 1:
            middle = begin + split(end - begin)
            left = index < middle
            path.append(node(middle, end) if left else node(begin, middle))
            begin, end = (begin, middle) if left else (middle, end)
        return tuple(path[::-1])


@dataclass(frozen=True, slots=True)
class Source:
    """Logs and what is kept beside them. `logs` gives each log's entries from the first on, each call anew."""

    swarm: Hash
    founder: PeerId
    logs: Mapping[str, Callable[[], Iterator[bytes]]]
    covers: Callable[[str], tuple[Cover, ...]]  # checkpoints of a log by its author, some with cosignatures as well

    def enrolments(self) -> dict[str, Enrol]:
        """By log: its enrolment, entry 0 or (the founder's) 1."""
        found: dict[str, Enrol] = {}
        for log, entries in self.logs.items():
            for data in islice(entries(), 2):
                entry = decode_entry(data)
                if isinstance(entry, Enrol):
                    found[log] = entry
        return found

    def names(self) -> dict[str, str]:
        """What peers call themselves, cleaned, by log and by peer."""
        return {log: plain_name(entry.name, 16) for log, entry in self.enrolments().items()}


@contextmanager
def opened(source: str | None) -> Iterator[Source]:
    """LocalError if there is nothing of that name."""
    path = Path(source) if source is not None else None
    if path is not None and is_bundle(path):
        from ledger.bundle import read_bundle

        contents = read_bundle(path)
        covers = {log.peer: (Cover(log.checkpoint, log.size, log.size),) for log in contents.logs}
        yield Source(
            contents.swarm,
            contents.founder,
            {log.peer: log.entries for log in contents.logs},
            lambda log: covers[log],
        )
        return
    is_peer = path is not None and (path / settings.STORE).is_file()
    place = settings.existing_directory(None if is_peer else source, path if is_peer else None)
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        yield Source(
            store.meta("swarm").decode(),
            store.meta("founder").decode(),
            {log: partial(store.entries, log) for log in store.logs()},
            lambda log: _kept_covers(store, log),
        )


def is_bundle(path: Path) -> bool:
    return (path / "bundle.json").is_file() or (path.is_file() and path.name.endswith((".zip", ".tar.gz")))


def _kept_covers(store: Store, log: str) -> tuple[Cover, ...]:
    cosigned, signed = store.cosigned(log), store.checkpoint(log)
    found = [Cover(cosigned[1], cosigned[0], cosigned[0])] if cosigned else []
    if signed:
        found.append(Cover(signed.note, signed.size, signed.held, signed.proof))
    return tuple(found)
