"""What a command that reads takes as SOURCE: a bundle, a peer's directory, or a swarm's name. One shape for all.

For reading: of a bundle it is told whether it hangs together (`ledger.first_look`), and no more; a store is opened for
reading and may be in use. A bundle is opened as `ledger.bundle` does it, with its limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cli import settings
from cli.plain import name as plain_name
from ledger.canonical import decode_entry
from ledger.checkpoint import parse_checkpoint
from ledger.cover import Cover, cover, from_last
from ledger.entry import Enrol, Hash, PeerId
from ledger.errors import RemoteError
from ledger.policy import MAX_POLICY_BYTES
from ledger.proof import parse_proof
from ledger.report import Anchors, Finding

if TYPE_CHECKING:  # the store loads sqlite3, which a bundle does without
    from ledger.bundle import BundleContents, BundleLog
    from ledger.store import Store


@dataclass(frozen=True, slots=True)
class Source:
    """Logs and what is kept beside them. `logs` gives each log's entries from the first on, each call anew."""

    swarm: Hash
    founder: PeerId
    logs: Mapping[str, Callable[[], Iterator[bytes]]]
    covers: Callable[[str], tuple[Cover, ...]]  # checkpoints of a log by its author, some with cosignatures as well
    findings: tuple[Finding, ...] = ()  # what is wrong with a bundle; then `logs` end where that is
    files: Mapping[str, Callable[[], Iterator[bytes]]] = field(default_factory=dict)  # of a bundle: as they lie there
    blob: Callable[[Hash], bytes | None] = lambda digest: None  # policies that entries name

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
        from ledger.bundle_files import open_bundle
        from ledger.first_look import first_look

        with open_bundle(path) as contents:
            look = first_look(contents, Anchors())
            covers = {log.peer: _bundled_covers(log) for log in contents.logs}
            files = {log.peer: log.entries for log in contents.logs}
            logs = {log.peer: partial(_first, files[log.peer], log.admitted) for log in look.logs}
            yield Source(
                contents.swarm, contents.founder, logs, lambda log: covers[log], look.findings, files,
                lambda digest: _bundled_policy(contents, digest),
            )  # fmt: skip
        return
    place = peer_of(source)
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        yield Source(
            store.meta("swarm").decode(),
            store.meta("founder").decode(),
            {log: partial(store.entries, log) for log in store.logs()},
            lambda log: _kept_covers(store, log),
            blob=store.blob,
        )


def peer_of(source: str | None) -> Path:
    """The peer's directory that is meant, if that is no bundle: by its path, or by a swarm's name."""
    path = Path(source) if source is not None else None
    is_peer = path is not None and (path / settings.STORE).is_file()
    return settings.existing_directory(None if is_peer else source, path if is_peer else None)


def place_of(source: str | None) -> Path | None:
    """The same, or None if it is a bundle."""
    return None if source is not None and is_bundle(Path(source)) else peer_of(source)


def _bundled_policy(contents: BundleContents, digest: Hash) -> bytes | None:
    if sha256(contents.policy).hexdigest() == digest:
        return contents.policy
    return contents.blob(digest, MAX_POLICY_BYTES)


def _first(entries: Callable[[], Iterator[bytes]], count: int) -> Iterator[bytes]:
    return islice(entries(), count)


def is_bundle(path: Path) -> bool:
    return (path / "bundle.json").is_file() or (path.is_file() and path.name.endswith((".zip", ".tar.gz")))


def _bundled_covers(log: BundleLog) -> tuple[Cover, ...]:
    """The author's note, of which the proof of the last entry tells what is beyond; and the cosigned one."""
    try:
        _, signed = parse_checkpoint(log.checkpoint)
        own = Cover(signed.size, signed.root, log.checkpoint, reach=signed.size)
        if signed.size > log.size:
            own = from_last(signed.size, signed.root, log.checkpoint, log.size, parse_proof(log.head).hashes)
        return (own, *_cosigned(own, log.cosigned, log.size))
    except (RemoteError, ValueError):  # an audit says what is wrong with these files; nothing is proved with them
        return ()


def _kept_covers(store: Store, log: str) -> tuple[Cover, ...]:
    signed, cosigned = store.checkpoint(log), store.cosigned(log)
    if signed is None:
        return ()
    own = cover(signed.size, b"", signed.note, signed.held, signed.proof)
    return (own, *_cosigned(own, cosigned[1] if cosigned else b"", store.size(log)))


def _cosigned(own: Cover, note: bytes, here: int) -> tuple[Cover, ...]:
    """A cosigned note proves what is here whole, or what the author's proof for the same size reaches."""
    if not note:
        return ()
    _, checkpoint = parse_checkpoint(note)
    if checkpoint.size == own.size:
        return (replace(own, note=note),)
    return (Cover(checkpoint.size, checkpoint.root, note, reach=checkpoint.size),) if checkpoint.size <= here else ()
