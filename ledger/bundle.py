"""A ledger as a plain directory that anybody can keep, copy and check: what `gossip ledger bundle` writes.

    bundle.json                 format, swarm, founder, the logs with their sizes, the model hash that is claimed
    README.txt                  how to check all this with sha256sum and openssl alone
    policy.toml                 the data-quality policy
    policy.tlog                 whose cosignatures make a snapshot final, if the swarm has witnesses (C2SP tlog-policy)
    logs/<peer>/checkpoint      the author's signed note, over this log or a longer one that it begins
    logs/<peer>/head.tlog-proof that the last entry is under that note (seals.py)
    logs/<peer>/cosigned        the newest note with cosignatures of witnesses, if there is one
    logs/<peer>/key.pem         the public key that signed the checkpoint, as openssl reads it
    logs/<peer>/tile/...        entries and hashes (tiles.py)
    logs/<peer>/fork-<index>-<16 digits>/...    another branch of that log, from entry 0 on, laid out alike
    blobs/<sha256>              the deltas, evidence of forks, time stamps

Rules kept here: writing refuses to make a bundle that would not verify; a log's folder follows from its id. How it is
read, with what limits: bundle_files.py; as .zip or .tar.gz: archive.py. It refuses to know what entries mean
(audit.py).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import msgspec

from ledger.archive import ARCHIVES, pack_archive
from ledger.bundle_readme import readme
from ledger.canonical import decode_entry, encode
from ledger.chain import LogId, fork_of, peer_of
from ledger.checkpoint import open_note, origin, parse_checkpoint
from ledger.entry import Enrol, Hash, PeerId, Recover, Rotate
from ledger.errors import LocalError, RemoteError
from ledger.kept import StoredBase
from ledger.keys import public_pem
from ledger.merkle import Tree, leaf_hash
from ledger.proof import make_proof, parse_proof, print_proof, verify_prefix
from ledger.tiles import encode_entries, entry_tiles, hash_tile_bytes, hash_tiles

FORMAT: Final = "gossip-bundle/2"
MAX_BLOB_BYTES: Final = 1 << 30  # above the largest delta of the largest model
KeyAt = Callable[[int], bytes]  # size of a checkpoint -> the public key that must sign it

is_log_id = re.compile(r"[0-9a-f]{64}(?:~[1-9][0-9]{0,9}~[0-9a-f]{64})?").fullmatch


class BundleError(RemoteError):
    """A bundle is not what it says; `file` is the file that proves it, from the bundle's root."""

    entry = -1  # of hashes that are not those of the entries: the first entry that they are not of

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} in the bundle is wrong", why=why)
        self.file = file


class Entries(Protocol):
    """Streams the entries of a log from entry `start` on. BundleError where a file is wrong."""

    def __call__(self, start: int = 0) -> Iterator[bytes]: ...


class Blob(Protocol):
    """Reads a blob of at most `limit` bytes by its hash. None if there is none; BundleError if it is wrong, LongBlob if
    it is what its name says, and longer."""

    def __call__(self, name: Hash, limit: int = MAX_BLOB_BYTES) -> bytes | None: ...


class LongBlob(BundleError):
    """A blob is longer than whoever named it says."""


def _no_problems(tree: Tree, key_at: KeyAt) -> Iterator[BundleError]:
    return iter(())


@dataclass(frozen=True, slots=True)
class BundleLog:
    """One log, or another branch of one: whole, from entry 0 on."""

    peer: LogId
    size: int
    checkpoint: bytes  # the author's signed note, of this size or a larger one; b"" if it cannot be read
    entries: Entries
    head: bytes = b""  # proof of the last entry; b"" if it cannot be read, or is to be made when written
    cosigned: bytes = b""  # the newest note with cosignatures; b"" if there is none
    inspect: Callable[[Tree, KeyAt], Iterator[BundleError]] = (
        _no_problems  # problems of files that repeat what entries say
    )

    @property
    def place(self) -> str:
        """Its folder, from the bundle's root."""
        return place_of(self.peer)

    def entry(self, seq: int) -> bytes:
        found = next(self.entries(seq), None)
        if found is None:
            raise LocalError(f"log {self.peer[:12]} has no entry {seq}")
        return found


def place_of(log: LogId) -> str:
    peer, fork, digest = peer_of(log), fork_of(log), log.rpartition("~")[2]
    return f"logs/{peer}/fork-{fork}-{digest[:16]}" if fork else f"logs/{peer}"


def _nothing() -> Iterator[BundleError]:
    return iter(())


@dataclass(frozen=True, slots=True)
class BundleContents:
    """What a bundle holds. `logs` are sorted by id, so a branch comes after its trunk."""

    swarm: Hash
    founder: PeerId
    model_hash: Hash  # claimed: the fold of all these logs
    policy: bytes  # b"" if it cannot be read
    logs: tuple[BundleLog, ...]
    blobs: Callable[[], Iterable[Hash]]  # the names of all blobs
    blob: Blob
    witnesses: bytes = b""  # policy.tlog; b"" if there is none
    inspect: Callable[[], Iterator[BundleError]] = _nothing  # problems of files that hold neither entries nor blobs
    base: Callable[[], StoredBase | None] = lambda: None  # of a peer that has let go of deltas: what it begins from


class ManifestLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    peer: LogId
    size: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    founder: PeerId
    logs: list[ManifestLog]
    model_hash: Hash
    readme: Hash
    swarm: Hash


# ------------------------------------------------------------------ writing


def write_bundle(path: Path, contents: BundleContents) -> None:
    """Write the bundle at `path`, whole or not at all: a folder, or an archive if it ends in .zip or .tar.gz.

    LocalError if something is there, or it would not verify.
    """
    if path.exists():
        raise LocalError(f"{path} exists already", next_step="choose another name for the bundle")
    partial = path.with_name(path.name + ".partial")
    packed = path.with_name(path.name + ".packing")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise LocalError(
            f"cannot make {partial}", why=error.strerror or "", next_step="remove it, or choose another folder"
        ) from None
    try:
        _write(partial, contents)
        if path.name.endswith(ARCHIVES):
            pack_archive(partial, packed, path.name)
            packed.rename(path)
        else:
            partial.rename(path)
    except OSError as error:
        raise LocalError(
            f"cannot write the bundle {path}",
            why=error.strerror or "",
            next_step="free some space, or choose another disk",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        packed.unlink(missing_ok=True)


def _write(root: Path, contents: BundleContents) -> None:
    logs = sorted(contents.logs, key=lambda log: log.peer)
    for log in logs:
        _write_log(root / log.place, log, origin(contents.swarm, peer_of(log.peer)))
    (root / "blobs").mkdir()
    for name in contents.blobs():
        data = contents.blob(name)
        if data is not None:  # erased: "not replayable", said by the auditor
            (root / "blobs" / name).write_bytes(data)
    (root / "policy.toml").write_bytes(contents.policy)
    if contents.witnesses:
        (root / "policy.tlog").write_bytes(contents.witnesses)
    text = readme(contents.swarm, contents.founder).encode()
    (root / "README.txt").write_bytes(text)
    manifest = Manifest(
        format=FORMAT,
        founder=contents.founder,
        logs=[ManifestLog(log.peer, log.size) for log in logs],
        model_hash=contents.model_hash,
        readme=sha256(text).hexdigest(),
        swarm=contents.swarm,
    )
    (root / "bundle.json").write_bytes(encode(manifest))


def _write_log(folder: Path, log: BundleLog, name: str) -> None:
    tree, entries = Tree(), log.entries()
    keys: list[tuple[int, bytes]] = []
    for tile in entry_tiles(log.size):
        batch = list(islice(entries, tile.width))
        if len(batch) < tile.width:
            raise LocalError(f"log {log.peer[:8]} ends early", why=f"{log.size} entries were promised")
        for entry in batch:
            _note_key(keys, entry, tree.size)
            tree.append(leaf_hash(entry))
        _put(folder / tile.path, encode_entries(batch))
    for tile in hash_tiles(log.size):
        _put(folder / tile.path, hash_tile_bytes(tile, tree))
    if not keys:
        raise LocalError(f"log {log.peer[:8]} has no enrolment")
    _, checkpoint = parse_checkpoint(log.checkpoint)
    key = next(key for least, key in reversed(keys) if least <= max(checkpoint.size, keys[0][0]))
    whole = checkpoint.size == log.size
    if open_note(log.checkpoint, key).origin != name or (whole and checkpoint.root != tree.root()):
        raise LocalError(f"the checkpoint of log {log.peer[:8]} is of another state", why=f"expected size {log.size}")
    head = print_proof(make_proof(tree, log.size - 1, log.checkpoint)) if whole else log.head
    verify_prefix(parse_proof(head), tree, name, key)
    _put(folder / "checkpoint", log.checkpoint)
    _put(folder / "head.tlog-proof", head)
    if log.cosigned:
        _put(folder / "cosigned", log.cosigned)
    _put(folder / "key.pem", public_pem(key))


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _note_key(keys: list[tuple[int, bytes]], entry: bytes, seq: int) -> None:
    """Remember a key that an entry brings, and from which size of the log on it signs."""
    if keys and not (b'"kind":"rotate"' in entry or b'"kind":"recover"' in entry):
        return  # decoding is slow, and this is a hint that no such entry lacks
    decoded = decode_entry(entry)
    if isinstance(decoded, Enrol | Rotate | Recover):
        keys.append((seq + 1 if keys else 0, bytes.fromhex(decoded.key)))
