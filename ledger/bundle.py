"""A ledger as a plain directory that anybody can keep, copy and check: what `gossip ledger bundle` writes.

    bundle.json                 format, swarm, founder, the logs with their sizes, the model hash that is claimed
    README.txt                  how to check all this with sha256sum and openssl alone
    policy.toml                 the data-quality policy
    logs/<peer>/checkpoint      the author's signed note over the log's size and root
    logs/<peer>/key.pem         the author's public key, as openssl reads it
    logs/<peer>/tile/...        entries and hashes (tiles.py)
    blobs/<sha256>              the deltas

Rules kept here: lengths before reading; regular files only; names are hashes or come from a size; writing refuses
to make a bundle that would not verify; reading names the file in every error, and finds any change to a file that
the auditor's own recomputation would not (tiles of hashes, keys, README, strays). Logs are streamed, blobs come one
at a time. It refuses to know what entries mean (audit.py).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from ledger.bundle_readme import readme
from ledger.canonical import decode, decode_entry, encode
from ledger.checkpoint import MAX_NOTE_BYTES, Checkpoint, open_note, origin
from ledger.entry import Enrol, Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.keys import public_pem
from ledger.merkle import HASH_BYTES, Tree, leaf_hash
from ledger.policy import MAX_POLICY_BYTES
from ledger.tiles import (
    MAX_ENTRY_TILE_BYTES,
    TILE_WIDTH,
    decode_entries,
    encode_entries,
    entry_tiles,
    hash_tile_bytes,
    hash_tiles,
)

FORMAT: Final = "gossip-bundle/1"
MAX_LOGS: Final = 65_536  # sixteen times the publishers a swarm may have at once
MAX_MANIFEST_BYTES: Final = 8 << 20  # 65,536 logs at about 95 bytes, and room
MAX_BLOB_BYTES: Final = 1 << 30  # above the largest delta of the largest model
MAX_SMALL_BYTES: Final = 64 * 1024  # README and key files

# Never waits for a named pipe and never follows a link: neither belongs in a bundle. Windows lacks these flags.
_READ_FLAGS: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))

_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch


class BundleError(RemoteError):
    """A bundle is not what it says; `file` is the file that proves it, from the bundle's root."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} in the bundle is wrong", why=why)
        self.file = file


@dataclass(frozen=True, slots=True)
class BundleLog:
    """One log. Of a bundle that is read, `entries()` raises BundleError where a file is wrong: at once for tiles
    of entries, after the last entry for tiles of hashes and the key, which an auditor recomputes anyway."""

    peer: PeerId
    size: int
    checkpoint: bytes  # the signed note; b"" if it cannot be read
    entries: Callable[[], Iterator[bytes]]  # each call streams from entry 0


def _no_problems() -> Iterator[BundleError]:
    return iter(())


@dataclass(frozen=True, slots=True)
class BundleContents:
    """What a bundle holds. `logs` are sorted by peer."""

    swarm: Hash
    founder: PeerId
    model_hash: Hash  # claimed: the fold of all these logs
    policy: bytes  # b"" if it cannot be read
    logs: tuple[BundleLog, ...]
    blobs: Callable[[], Iterable[Hash]]  # the names of all blobs
    blob: Callable[[Hash], bytes | None]  # None if there is none; BundleError if it is not what its name says
    inspect: Callable[[], Iterator[BundleError]] = _no_problems  # problems of files that hold neither entries nor blobs


class _ManifestLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    peer: PeerId
    size: int


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    founder: PeerId
    logs: list[_ManifestLog]
    model_hash: Hash
    readme: Hash
    swarm: Hash


# ------------------------------------------------------------------ writing


def write_bundle(path: Path, contents: BundleContents) -> None:
    """Write the bundle at `path`, whole or not at all. LocalError if something is there, or it would not verify."""
    if path.exists():
        raise LocalError(f"{path} exists already", next_step="choose another folder for the bundle")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise LocalError(
            f"cannot make {partial}", why=error.strerror or "", next_step="remove it, or choose another folder"
        ) from None
    try:
        _write(partial, contents)
        partial.rename(path)
    except OSError as error:
        raise LocalError(
            f"cannot write the bundle {path}",
            why=error.strerror or "",
            next_step="free some space, or choose another disk",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(root: Path, contents: BundleContents) -> None:
    logs = sorted(contents.logs, key=lambda log: log.peer)
    for log in logs:
        _write_log(root / "logs" / log.peer, log, origin(contents.swarm, log.peer))
    (root / "blobs").mkdir()
    for name in contents.blobs():
        data = contents.blob(name)
        if data is not None:  # erased: "not replayable", said by the auditor
            (root / "blobs" / name).write_bytes(data)
    (root / "policy.toml").write_bytes(contents.policy)
    text = readme(contents.swarm, contents.founder).encode()
    (root / "README.txt").write_bytes(text)
    manifest = _Manifest(
        format=FORMAT,
        founder=contents.founder,
        logs=[_ManifestLog(log.peer, log.size) for log in logs],
        model_hash=contents.model_hash,
        readme=sha256(text).hexdigest(),
        swarm=contents.swarm,
    )
    (root / "bundle.json").write_bytes(encode(manifest))


def _write_log(folder: Path, log: BundleLog, name: str) -> None:
    tree, key, entries = Tree(), b"", log.entries()
    for tile in entry_tiles(log.size):
        batch = list(islice(entries, tile.width))
        if len(batch) < tile.width:
            raise LocalError(f"log {log.peer[:8]} ends early", why=f"{log.size} entries were promised")
        for entry in batch:
            key = key or _key(entry, tree.size)
            tree.append(leaf_hash(entry))
        _put(folder / tile.path, encode_entries(batch))
    for tile in hash_tiles(log.size):
        _put(folder / tile.path, hash_tile_bytes(tile, tree))
    if open_note(log.checkpoint, key) != Checkpoint(name, log.size, tree.root()):
        raise LocalError(f"the checkpoint of log {log.peer[:8]} is of another state", why=f"expected size {log.size}")
    _put(folder / "checkpoint", log.checkpoint)
    _put(folder / "key.pem", public_pem(key))


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _key(entry: bytes, seq: int) -> bytes:
    """The public key, if this is the log's enrolment: entry 0, or entry 1 of the founder's."""
    if seq > 1:
        raise LocalError("a log has no enrolment among its first two entries")
    decoded = decode_entry(entry)
    return bytes.fromhex(decoded.key) if isinstance(decoded, Enrol) else b""


# ------------------------------------------------------------------ reading


def read_bundle(path: Path) -> BundleContents:
    """Open a bundle. LocalError if `path` is none; RemoteError if bundle.json is wrong; the rest is read when asked."""
    folder = _Folder(path)
    if not (path / "bundle.json").exists():
        raise LocalError(f"{path} is not a bundle", why="it has no bundle.json", next_step="name the bundle's folder")
    data = folder.read("bundle.json", MAX_MANIFEST_BYTES)
    try:
        manifest = decode(data, _Manifest, limit=MAX_MANIFEST_BYTES, what="bundle.json")
    except RemoteError as error:
        raise BundleError("bundle.json", error.why) from None
    peers = [log.peer for log in manifest.logs]
    if manifest.format != FORMAT:
        raise BundleError("bundle.json", f"its format is {manifest.format[:40]!r}, this program reads {FORMAT}")
    if not all(map(_is_hash, [manifest.swarm, manifest.founder, manifest.model_hash, *peers])):
        raise BundleError("bundle.json", "a hash is 64 lower-case hex digits")
    if sorted(set(peers)) != peers or len(peers) > MAX_LOGS or any(log.size < 1 for log in manifest.logs):
        raise BundleError("bundle.json", f"logs are sorted by peer, at most {MAX_LOGS}, and none is empty")
    return BundleContents(
        swarm=manifest.swarm,
        founder=manifest.founder,
        model_hash=manifest.model_hash,
        policy=folder.read_or_empty("policy.toml", MAX_POLICY_BYTES),
        logs=tuple(folder.log(log) for log in manifest.logs),
        blobs=folder.blobs,
        blob=folder.blob,
        inspect=lambda: folder.inspect(manifest),
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """A bundle's files, each read with a limit and named in errors."""

    root: Path

    def leads_out(self, file: str) -> bool:
        """Whether a folder on the way is a link: its files would be the auditor's own, not the bundle's."""
        return any((self.root / place).is_symlink() for place in Path(file).parents[:-1])

    def read(self, file: str, limit: int) -> bytes:
        if self.leads_out(file):
            raise BundleError(file, "its folder is a link")
        try:
            descriptor = os.open(self.root / file, _READ_FLAGS)
            with os.fdopen(descriptor, "rb") as opened:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise BundleError(file, "not a regular file")
                if found.st_size > limit:
                    raise BundleError(file, f"{found.st_size} bytes, the limit is {limit}")
                return opened.read(found.st_size)
        except OSError as error:
            raise BundleError(file, error.strerror or "cannot be read") from None

    def read_or_empty(self, file: str, limit: int) -> bytes:
        try:
            return self.read(file, limit)
        except BundleError:
            return b""  # inspect() says why

    def log(self, log: _ManifestLog) -> BundleLog:
        place = f"logs/{log.peer}"
        checkpoint = self.read_or_empty(f"{place}/checkpoint", MAX_NOTE_BYTES)
        return BundleLog(log.peer, log.size, checkpoint, lambda: self._entries(place, log.size))

    def _entries(self, place: str, size: int) -> Iterator[bytes]:
        tree, key = Tree(), b""
        for tile in entry_tiles(size):
            file = f"{place}/{tile.path}"
            data = self.read(file, MAX_ENTRY_TILE_BYTES)
            try:
                entries = decode_entries(data, tile.width)
                for index, entry in enumerate(entries[:2] if tree.size == 0 else ()):
                    key = key or _key(entry, index)
            except RemoteError as error:
                raise BundleError(file, f"{error.what}: {error.why}") from None
            for entry in entries:
                tree.append(leaf_hash(entry))
            yield from entries
        for tile in hash_tiles(size):
            file = f"{place}/{tile.path}"
            if self.read(file, HASH_BYTES * TILE_WIDTH) != hash_tile_bytes(tile, tree):
                raise BundleError(file, "these are not the hashes of the entries")
        if self.read(f"{place}/key.pem", MAX_SMALL_BYTES) != public_pem(key):
            raise BundleError(f"{place}/key.pem", "not the key that the log's enrolment names")

    def blobs(self) -> Iterator[Hash]:
        with self._listing("blobs") as found:
            for item in found:
                if _is_hash(item.name):
                    yield item.name

    def blob(self, name: Hash) -> bytes | None:
        file = f"blobs/{name}"
        if not os.path.lexists(self.root / file):
            return None
        data = self.read(file, MAX_BLOB_BYTES)
        if sha256(data).hexdigest() != name:
            raise BundleError(file, "its SHA-256 is not its name")
        return data

    def inspect(self, manifest: _Manifest) -> Iterator[BundleError]:
        """README, and files that are missing, unreadable or have no business here."""
        limits = {"README.txt": MAX_SMALL_BYTES, "policy.toml": MAX_POLICY_BYTES}
        for log in manifest.logs:
            limits[f"logs/{log.peer}/checkpoint"] = MAX_NOTE_BYTES
        for file, limit in limits.items():
            try:
                data = self.read(file, limit)
                if file == "README.txt" and sha256(data).hexdigest() != manifest.readme:
                    intact = data == readme(manifest.swarm, manifest.founder).encode()
                    wrong = "bundle.json" if intact else file
                    yield BundleError(wrong, "README.txt is not the text that bundle.json names: type nothing it says")
            except BundleError as error:
                yield error
        yield from self._strays("", {"bundle.json", "README.txt", "policy.toml"}, {"logs", "blobs"})
        yield from self._strays("logs/", set(), {log.peer for log in manifest.logs})
        with self._listing("blobs") as found:
            for item in found:
                if not _is_hash(item.name):
                    yield BundleError(f"blobs/{ascii(item.name)[1:-1]}", "no blob has such a name")
        for log in manifest.logs:
            yield from self._strays(f"logs/{log.peer}/", {"checkpoint", "key.pem"}, {"tile"})
            yield from self._stray_tiles(log)

    def _strays(self, place: str, files: set[str], folders: set[str]) -> Iterator[BundleError]:
        with self._listing(place) as found:
            for item in found:
                known = item.name in (folders if item.is_dir(follow_symlinks=False) else files)
                if not known:
                    yield BundleError(place + ascii(item.name)[1:-1], "does not belong in a bundle")

    def _stray_tiles(self, log: _ManifestLog) -> Iterator[BundleError]:
        root = self.root / "logs" / log.peer
        if self.leads_out(f"logs/{log.peer}/tile/x"):
            return  # a stray of its own
        present = {
            (Path(place) / name).relative_to(root).as_posix()
            for place, _, names in os.walk(root / "tile")
            for name in names
        }
        if log.size > len(present) * TILE_WIDTH:
            return  # tiles are missing, and entries() names the first: do not count up to a size that is a lie
        known = {tile.path for tile in entry_tiles(log.size)} | {tile.path for tile in hash_tiles(log.size)}
        for file in sorted(present - known):
            yield BundleError(f"logs/{log.peer}/{ascii(file)[1:-1]}", "no log of this size has such a tile")

    @contextmanager
    def _listing(self, place: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        """os.scandir; an empty listing where there is no such directory."""
        try:
            found = os.scandir(self.root / place) if not self.leads_out(f"{place}/x") else None
        except OSError:
            found = None
        if found is None:
            yield iter(())
            return
        with found:
            yield found
