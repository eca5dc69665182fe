"""A bundle's files, read with limits: nothing that lies in a bundle is trusted to be small, regular or there.

Rules kept here: lengths before reading; regular files only, no links on the way; names are hashes or come from a size;
every error names the file; every change to a file is found, if not here, then by whoever recomputes it (audit.py).
Logs are streamed, blobs come one at a time. `open_bundle` reads archives, too: unpacked where nobody else looks
(archive.py), and removed. It refuses to know what entries mean.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.archive import ARCHIVES, unpacked
from ledger.bundle import (
    FORMAT,
    MAX_BLOB_BYTES,
    BundleContents,
    BundleError,
    BundleLog,
    KeyAt,
    LongBlob,
    Manifest,
    ManifestLog,
    is_log_id,
    place_of,
)
from ledger.bundle_readme import readme
from ledger.canonical import decode
from ledger.chain import fork_of, peer_of
from ledger.checkpoint import MAX_COSIGNED_BYTES, MAX_NOTE_BYTES, parse_checkpoint
from ledger.entry import MAX_ENTRY_BYTES, Hash
from ledger.errors import LocalError, RemoteError
from ledger.keys import public_pem
from ledger.merkle import HASH_BYTES, Tree
from ledger.policy import MAX_POLICY_BYTES
from ledger.proof import MAX_PROOF_BYTES
from ledger.tiles import MAX_ENTRY_TILE_BYTES, TILE_WIDTH, Tile, entry_tiles, hash_tile_bytes, hash_tiles
from ledger.tlog_policy import MAX_POLICY_BYTES as MAX_WITNESSES_BYTES

MAX_LOGS: Final = 4096  # as many as may publish at once (weights.MAX_ACTIVE); an auditor's pasts are as wide as this
MAX_MANIFEST_BYTES: Final = 1 << 20  # 4,096 logs at about 95 bytes, their branches, and room
MAX_SMALL_BYTES: Final = 64 * 1024  # README and key files
MAX_TILE_DEPTH: Final = 8  # folders: tile/entries/x000/x000/x000/x000/000.p of 2^53 entries, and one
_PIECE_BYTES: Final = 1 << 20
READ_AHEAD_BYTES: Final = 128 * 1024  # of a stream of entries

# Never waits for a named pipe and never follows a link: neither belongs in a bundle. Windows lacks these flags.
_READ_FLAGS: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))

_is_hash = re.compile(r"[0-9a-f]{64}").fullmatch


@contextmanager
def open_bundle(path: Path) -> Iterator[BundleContents]:
    """A bundle in a folder or in an archive, for as long as the context lasts.

    LocalError if `path` is none; RemoteError if its bundle.json is wrong, or the archive is.
    """
    if path.is_file() and path.name.endswith(ARCHIVES):
        with unpacked(path) as folder:
            inside = folder if (folder / "bundle.json").exists() else _only_folder(folder)
            if not (inside / "bundle.json").exists():
                raise LocalError(
                    f"{path} is not a bundle",
                    why="there is no bundle.json in it",
                    next_step="name an archive that gossip ledger bundle wrote",
                )
            yield read_bundle(inside)
    else:
        yield read_bundle(path)


def _only_folder(folder: Path) -> Path:
    """Archives often hold one folder and everything in that."""
    inside = sorted(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def read_bundle(path: Path) -> BundleContents:
    """Open a bundle. LocalError if `path` is none; RemoteError if bundle.json is wrong; the rest is read when asked."""
    folder = _Folder(path)
    if not (path / "bundle.json").exists():
        raise LocalError(f"{path} is not a bundle", why="it has no bundle.json", next_step="name the bundle's folder")
    data = folder.read("bundle.json", MAX_MANIFEST_BYTES)
    try:
        manifest = decode(data, Manifest, limit=MAX_MANIFEST_BYTES, what="bundle.json")
    except RemoteError as error:
        raise BundleError("bundle.json", error.why) from None
    _check(manifest)
    return BundleContents(
        swarm=manifest.swarm,
        founder=manifest.founder,
        model_hash=manifest.model_hash,
        policy=folder.read_or_empty("policy.toml", MAX_POLICY_BYTES),
        logs=tuple(folder.log(log) for log in manifest.logs),
        blobs=folder.blobs,
        blob=folder.blob,
        witnesses=folder.read_or_empty("policy.tlog", MAX_WITNESSES_BYTES),
        inspect=lambda: folder.inspect(manifest),
    )


def _check(manifest: Manifest) -> None:
    logs = [log.peer for log in manifest.logs]
    if manifest.format != FORMAT:
        raise BundleError("bundle.json", f"its format is {manifest.format[:40]!r}, this program reads {FORMAT}")
    if not all(map(_is_hash, [manifest.swarm, manifest.founder, manifest.model_hash])) or not all(map(is_log_id, logs)):
        raise BundleError("bundle.json", "a hash is 64 lower-case hex digits")
    if sorted(set(logs)) != logs or len(logs) > MAX_LOGS or any(log.size < 1 for log in manifest.logs):
        raise BundleError("bundle.json", f"logs are sorted by peer, at most {MAX_LOGS}, and none is empty")
    for log in manifest.logs:
        if fork_of(log.peer) >= log.size or peer_of(log.peer) not in logs:
            raise BundleError("bundle.json", "a branch is longer than what it shares, and its log is here, too")
    if len({place_of(log) for log in logs}) != len(logs):
        raise BundleError("bundle.json", "two branches would lie in one folder")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A bundle's files, each read with a limit and named in errors."""

    root: Path

    def leads_out(self, file: str) -> bool:
        """Whether a folder on the way is a link: its files would be the auditor's own, not the bundle's."""
        return any((self.root / place).is_symlink() for place in Path(file).parents[:-1])

    def read(self, file: str, limit: int) -> bytes:
        return self.read_part(file, 0, limit, limit)[0]

    def read_part(self, file: str, at: int, most: int, limit: int) -> tuple[bytes, int]:
        """At most `most` bytes from `at` on, and how large the file is; an error if that is beyond `limit`."""
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
                opened.seek(at)
                return opened.read(min(most, max(0, found.st_size - at))), found.st_size
        except OSError as error:
            raise BundleError(file, error.strerror or "cannot be read") from None

    def read_or_empty(self, file: str, limit: int) -> bytes:
        try:
            return self.read(file, limit)
        except BundleError:
            return b""  # inspect() says why

    def log(self, log: ManifestLog) -> BundleLog:
        place = place_of(log.peer)
        return BundleLog(
            log.peer, log.size, self.read_or_empty(f"{place}/checkpoint", MAX_NOTE_BYTES),
            partial(self._entries, place, log.size),
            head=self.read_or_empty(f"{place}/head.tlog-proof", MAX_PROOF_BYTES),
            cosigned=self.read_or_empty(f"{place}/cosigned", MAX_COSIGNED_BYTES),
            inspect=partial(self._repeated, place, log.size),
        )  # fmt: skip

    def _entries(self, place: str, size: int, start: int = 0) -> Iterator[bytes]:
        for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            tile = Tile(-1, number, min(TILE_WIDTH, size - number * TILE_WIDTH))
            yield from self._tile(f"{place}/{tile.path}", tile.width, max(0, start - number * TILE_WIDTH))

    def _tile(self, file: str, width: int, skip: int) -> Iterator[bytes]:
        """The entries of one tile, of which no more than READ_AHEAD_BYTES is held at a time."""
        buffer, at, read, total = b"", 0, 0, -1
        for number in range(width):
            if len(buffer) - at < 2 or len(buffer) - at < 2 + int.from_bytes(buffer[at : at + 2], "big"):
                more, size = self.read_part(file, read, READ_AHEAD_BYTES, MAX_ENTRY_TILE_BYTES)
                if total not in (-1, size):
                    raise BundleError(file, "it changes while it is read")
                buffer, at, read, total = buffer[at:] + more, 0, read + len(more), size
            length = int.from_bytes(buffer[at : at + 2], "big")
            if length > MAX_ENTRY_BYTES or at + 2 + length > len(buffer):
                raise BundleError(file, f"{total} bytes do not hold {width} entries")
            if number >= skip:
                yield buffer[at + 2 : at + 2 + length]
            at += 2 + length
        if read - len(buffer) + at != total:
            raise BundleError(file, f"{total - (read - len(buffer) + at)} bytes follow its {width} entries")

    def _repeated(self, place: str, size: int, tree: Tree, key_at: KeyAt) -> Iterator[BundleError]:
        """What files say that follows from the entries: hashes, and the key."""
        for tile in hash_tiles(size):
            file = f"{place}/{tile.path}"
            try:
                read, made = self.read(file, HASH_BYTES * TILE_WIDTH), hash_tile_bytes(tile, tree)
                if read != made:
                    wrong = BundleError(file, "these are not the hashes of the entries")
                    if tile.level == 0:
                        parts = range(0, len(made), HASH_BYTES)
                        same = next(
                            (at for at in parts if read[at : at + HASH_BYTES] != made[at : at + HASH_BYTES]), None
                        )
                        if same is not None:
                            wrong.entry = tile.index * TILE_WIDTH + same // HASH_BYTES
                    yield wrong
            except BundleError as error:
                yield error
        file = f"{place}/key.pem"
        try:
            _, checkpoint = parse_checkpoint(self.read(f"{place}/checkpoint", MAX_NOTE_BYTES))
        except RemoteError:
            return  # said elsewhere
        try:
            if self.read(file, MAX_SMALL_BYTES) != public_pem(key_at(checkpoint.size)):
                yield BundleError(file, "not the key that signs this checkpoint")
        except BundleError as error:
            yield error

    def blobs(self) -> Iterator[Hash]:
        with self._listing("blobs") as found:
            for item in found:
                if _is_hash(item.name):
                    yield item.name

    def blob(self, name: Hash, limit: int = MAX_BLOB_BYTES) -> bytes | None:
        file = f"blobs/{name}"
        if not os.path.lexists(self.root / file):
            return None
        data, size = self.read_part(file, 0, limit, MAX_BLOB_BYTES)
        digest = sha256(data)
        for at in range(len(data), size, _PIECE_BYTES):
            digest.update(self.read_part(file, at, _PIECE_BYTES, MAX_BLOB_BYTES)[0])
        if digest.hexdigest() != name:
            raise BundleError(file, "its SHA-256 is not its name")
        if size > limit:
            raise LongBlob(file, f"it has {size} bytes, expected at most {limit}")
        return data

    def inspect(self, manifest: Manifest) -> Iterator[BundleError]:
        """README, and files that are missing, unreadable or have no business here."""
        limits = {"README.txt": MAX_SMALL_BYTES, "policy.toml": MAX_POLICY_BYTES}
        if os.path.lexists(self.root / "policy.tlog"):
            limits["policy.tlog"] = MAX_WITNESSES_BYTES
        for log in manifest.logs:
            place = place_of(log.peer)
            if not os.path.lexists(self.root / place):
                yield BundleError("bundle.json", f"names log {log.peer[:12]}, whose folder is not here")
                continue
            limits[f"{place}/checkpoint"] = MAX_NOTE_BYTES
            limits[f"{place}/head.tlog-proof"] = MAX_PROOF_BYTES
            if os.path.lexists(self.root / place / "cosigned"):
                limits[f"{place}/cosigned"] = MAX_COSIGNED_BYTES
        for file, limit in limits.items():
            try:
                data = self.read(file, limit)
                if file == "README.txt" and sha256(data).hexdigest() != manifest.readme:
                    intact = data == readme(manifest.swarm, manifest.founder).encode()
                    wrong = "bundle.json" if intact else file
                    yield BundleError(wrong, "README.txt is not the text that bundle.json names: type nothing it says")
                if not data and file.endswith(("cosigned", "head.tlog-proof")):
                    yield BundleError(file, "is empty")
            except BundleError as error:
                yield error
        yield from self._strays("", {"bundle.json", "README.txt", "policy.toml", "policy.tlog"}, {"logs", "blobs"})
        yield from self._strays("logs/", set(), {peer_of(log.peer) for log in manifest.logs})
        with self._listing("blobs") as found:
            for item in found:
                if not _is_hash(item.name):
                    yield BundleError(f"blobs/{ascii(item.name)[1:-1]}", "no blob has such a name")
        places = {place_of(log.peer) for log in manifest.logs}
        for log in manifest.logs:
            place = place_of(log.peer)
            branches = {Path(other).name for other in places if Path(other).parent == Path(place)}
            files = {"checkpoint", "head.tlog-proof", "cosigned", "key.pem"}
            yield from self._strays(f"{place}/", files, {"tile", *branches})
            yield from self._stray_tiles(place, log.size)

    def _strays(self, place: str, files: set[str], folders: set[str]) -> Iterator[BundleError]:
        with self._listing(place) as found:
            for item in found:
                known = item.name in (folders if item.is_dir(follow_symlinks=False) else files)
                if not known:
                    yield BundleError(place + ascii(item.name)[1:-1], "does not belong in a bundle")

    def _stray_tiles(self, place: str, size: int) -> Iterator[BundleError]:
        if self.leads_out(f"{place}/tile/x"):
            return  # a stray of its own
        present: set[str] = set()
        for file, deep in self._below(place, "tile", MAX_TILE_DEPTH):
            if deep:
                yield BundleError(f"{place}/{ascii(file)[1:-1]}", "no tile lies in so many folders")
            else:
                present.add(file)
        if size > len(present) * TILE_WIDTH:
            if present:  # tiles are missing, and entries() names the first: do not count up to a size that is a lie
                yield BundleError("bundle.json", f"says that {place} has {size} entries, which are not here")
            return
        known = {tile.path for tile in entry_tiles(size)} | {tile.path for tile in hash_tiles(size)}
        for file in sorted(present - known):
            yield BundleError(f"{place}/{ascii(file)[1:-1]}", "no log of this size has such a tile")
        if present - known and known - present:
            yield BundleError("bundle.json", f"says that {place} has {size} entries: tiles of another number are here")

    def _below(self, place: str, folder: str, depth: int) -> Iterator[tuple[str, bool]]:
        """Files below a folder, named from `place` on; and folders that are too deep, True, which are not opened."""
        with self._listing(f"{place}/{folder}") as found:
            for item in found:
                name = f"{folder}/{item.name}"
                if not item.is_dir(follow_symlinks=False):
                    yield name, False
                elif depth > 1:
                    yield from self._below(place, name, depth - 1)
                else:
                    yield name, True

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
