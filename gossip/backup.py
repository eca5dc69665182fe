"""A peer's identity in one file, locked with a passphrase: what `gossip key backup` writes and `recover` reads.

    gossip-backup/1
    c2NyeXB0IHNhbHQ...      base64, 64 characters a line: salt 16, nonce 12, then ChaCha20-Poly1305 of the JSON below

    {"addresses":["192.168.1.7:4711"],"current":"9d61...","entries":["eyJ..."],"founder":"pb2u...","known":["f381..."],
     "name":"anna","next":"4ccd...","own":"77ab...","policy":"","root":"5d1c...","salt":"...","size":14,"swarm":"b2f9..."}

`current` and `next` are the two private keys, `known` the public keys of the other members then; `entries` those with
which the log begins, up to its enrolment; `size` and `root` what was last signed, so that a peer made from this file
knows that others hold more of its log.

Why scrypt (2^17, 8, 1: 128 MB and half a second for each guess): this file is meant to lie where its owner does not
look. Rules kept here: a file that was changed anywhere is refused; nothing is overwritten; 0600. It holds the promised
key, so a backup from before the last change of keys can no longer recover the peer. It refuses to know the network.
"""

from __future__ import annotations

import base64
import binascii
import os
from hashlib import scrypt
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossip import directory as places
from gossip.identity import KeyFiles, stored_promise
from ledger.canonical import decode, decode_entry, encode, entry_hash
from ledger.entry import Enrol, Genesis, Hash, Member, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.keys import KEY_BYTES, PrivateKey, check_public, key_digest
from ledger.mark import SignedMark
from ledger.policy import MAX_POLICY_BYTES
from ledger.private_files import Passphrase, read_private, write_private
from ledger.promise import Promise, promise_of
from ledger.store import PutBlob, PutEntry, PutMeta, Store, Write

FORMAT: Final = b"gossip-backup/1\n"
MAX_FILE_BYTES: Final = 4 * (2 * 64 * 1024 + MAX_POLICY_BYTES)  # two entries and a policy, in base64 twice
MAX_ADDRESSES: Final = 64
MAX_KNOWN: Final = 256  # members whose keys are kept: one of them that still answers is enough
RECOVER: Final = "recover"  # meta: a recover entry is to be written as soon as the own log is here; since which entry
PROMISE: Final = "restored_promise"  # meta: the key in force when the backup was made, and the digest of the next
RESTORED: Final = "restored"  # meta: the store holds the beginning of the own log; by these keys others know the rest
_SALT: Final = 16
_NONCE: Final = 12
_COST: Final = {"n": 1 << 17, "r": 8, "p": 1, "maxmem": 1 << 28}


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All byte strings in hex, but entries and policy, which are base64."""

    addresses: list[str]
    current: str
    entries: list[str]
    founder: PeerId
    known: list[str]
    name: str
    next: str
    own: PeerId
    policy: str
    root: Hash
    salt: str  # of the peer's data commitments
    size: int
    swarm: Hash


class Backup:
    """An open backup."""

    def __init__(self, content: _Content) -> None:
        self._content = content
        self.swarm, self.founder, self.own = content.swarm, content.founder, content.own
        self.name, self.addresses = content.name, tuple(content.addresses)
        self.current = _private(content.current)
        self.next = _private(content.next)
        self.entries = tuple(base64.b64decode(text) for text in content.entries)
        first = promise_of(self.entries)
        last = self.entries[-1]
        if first is None or entry_hash(last) != self.own or not isinstance(decode_entry(last), Enrol):
            raise RemoteError("it does not begin with the peer's own enrolment")
        for key in content.known:
            check_public(bytes.fromhex(key))

    def restore(self, directory: Path, passphrase: Passphrase | None, since: int | None) -> None:
        """Set a peer up in an empty directory, which fetches its own log from others before it writes anything.

        The keys are there before the store is, and a directory without a store holds no peer: cut off, do it again.
        """
        content = self._content
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(
                f"cannot create {directory}", why=error.strerror or str(error), next_step="name another folder"
            ) from error
        keys = KeyFiles(directory, passphrase)
        for path, key in ((keys.current, self.current), (keys.next, self.next)):
            if not path.exists() or PrivateKey.load(path, passphrase).public != key.public:
                key.save(path, passphrase)
        if content.size:
            SignedMark(places.mark_path(directory)).write(content.size, content.root)
        writes: list[Write] = [
            *(PutEntry(self.own, seq, data) for seq, data in enumerate(self.entries)),
            PutMeta("swarm", self.swarm.encode()), PutMeta("founder", self.founder.encode()),
            PutMeta("self", self.own.encode()), PutMeta("swarm_name", b""), PutMeta("name", self.name.encode()),
            PutMeta("salt", bytes.fromhex(content.salt)), PutMeta(RECOVER, _since(since)),
            PutMeta(PROMISE, self.current.public + bytes.fromhex(key_digest(self.next.public))),
            PutMeta(RESTORED, bytes.fromhex("".join(content.known)) or b"-"),
        ]  # fmt: skip
        genesis = decode_entry(self.entries[0])
        if isinstance(genesis, Genesis):
            writes.append(PutBlob(genesis.policy, base64.b64decode(content.policy)))
        with Store(places.store_path(directory)) as store:
            store.commit(writes)

    def bring_next(self, directory: Path, passphrase: Passphrase | None, promise: Promise) -> None:
        """Put the promised key back where it is missing from an existing directory. LocalError if it is not here."""
        keys = KeyFiles(directory, passphrase)
        if keys.next.exists():
            return
        check_newest(promise, self.next.public)
        self.next.save(keys.next, passphrase)


def check_newest(promise: Promise, following: bytes, after: Hash = "") -> None:
    """LocalError if a log that is whole and says `promise` does not await the key `following` of a backup.

    `after` is what the recovery itself promised, if it was written meanwhile.
    """
    awaited = key_digest(following) == promise.next
    if not awaited and (promise.key, promise.next) != (following, after):
        raise LocalError(
            "this backup is older than the last change of keys",
            why=f"the log changed them at entry {promise.since}, and awaits a key that is not in the backup",
            next_step="use a backup that was made later, in an empty folder if the machine is new; nothing was written",
        )


def make(directory: Path, keys: Passphrase | None, addresses: tuple[str, ...]) -> bytes:
    """What is to be locked, from the directory of a peer whose keys open with `keys`."""
    with Store.open_readonly(places.store_path(directory)) as store:
        meta = {name: store.meta(name).decode() for name in ("swarm", "founder", "self", "name")}
        promise = stored_promise(store)
        own = meta["self"]
        entries = [store.entry(own, seq) for seq in range(2 if own == meta["founder"] else 1)]
        genesis = decode_entry(entries[0]) if entries[0] is not None else None
        policy = store.blob(genesis.policy) if isinstance(genesis, Genesis) else b""
        salt = store.meta("salt")
        known = _members(store, meta["founder"], own)
    files = KeyFiles(directory, keys)
    current, following = PrivateKey.load(files.current, keys), PrivateKey.load(files.next, keys)
    if promise is None or (current.public, key_digest(following.public)) != (promise.key, promise.next):
        raise LocalError(
            "a change of keys is not finished here", next_step="start the peer with gossip run, then make the backup"
        )
    mark = SignedMark(places.mark_path(directory)).read()
    return encode(
        _Content(
            addresses=list(addresses[:MAX_ADDRESSES]), current=current.seed().hex(), next=following.seed().hex(),
            entries=[base64.b64encode(data or b"").decode() for data in entries],
            founder=meta["founder"], known=known, name=meta["name"], own=own,
            policy=base64.b64encode(policy or b"").decode(),
            root=mark.root if mark else "", size=mark.size if mark else 0, salt=salt.hex(), swarm=meta["swarm"],
        )
    )  # fmt: skip


def write(path: Path, content: bytes, passphrase: Passphrase) -> None:
    """Lock `content` into a new file. LocalError if there is one already."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = ChaCha20Poly1305(_stretched(passphrase, salt)).encrypt(nonce, content, FORMAT + salt)
    text = base64.b64encode(salt + nonce + sealed).decode()
    lines = "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))
    write_private(path, FORMAT + lines.encode(), what="backup")


def read(path: Path, passphrase: Passphrase) -> Backup:
    """Open a backup. LocalError if the passphrase is wrong or the file is none, or was changed."""
    data = read_private(path, MAX_FILE_BYTES, what="backup")
    if not data.startswith(FORMAT):
        raise LocalError(f"{path} is not a backup of a peer", next_step="make one with: gossip key backup FILE")
    try:
        sealed = base64.b64decode(data[len(FORMAT) :].replace(b"\n", b""), validate=True)
        salt, nonce = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE]
        cipher = ChaCha20Poly1305(_stretched(passphrase, salt))
        content = cipher.decrypt(nonce, sealed[_SALT + _NONCE :], FORMAT + salt)
    except (binascii.Error, ValueError, InvalidTag):
        raise LocalError(
            f"{path} does not open", why="wrong passphrase, or a damaged file", next_step="try again"
        ) from None
    try:
        return opened(content)
    except RemoteError as error:
        raise LocalError(f"{path} is not a backup of a peer", why=str(error)) from None


def opened(content: bytes) -> Backup:
    """What was locked. RemoteError if it is not what `make` makes."""
    try:
        return Backup(decode(content, _Content, limit=MAX_FILE_BYTES, what="the backup"))
    except (ValueError, IndexError) as error:
        raise RemoteError("a field of it cannot be read", why=str(error)) from None


def recover_since(store: Store) -> tuple[bool, int | None]:
    """Whether a recover entry is still to be written, and from which entry on updates are taken back (None: none)."""
    text = store.find_meta(RECOVER) or b""
    return bool(text), int(text) if text not in (b"", b"none") else None


def ask_recover(store: Store, since: int | None) -> None:
    """Have the peer write a recover entry, now or when it next runs."""
    store.commit([PutMeta(RECOVER, _since(since))])


def recovered(store: Store) -> None:
    """It is written."""
    store.commit([PutMeta(RECOVER, b""), PutMeta(RESTORED, b"")])


def is_restored(store: Store) -> bool:
    """Whether this store was made from a backup, and what others hold of the own log has not come back yet."""
    return bool(store.find_meta(RESTORED))


def lacks_log(store: Store, directory: Path) -> bool:
    """Whether the own log in a store that was made from a backup is not even as long as when it was made."""
    signed = SignedMark(places.mark_path(directory)).read()
    return is_restored(store) and signed is not None and signed.size > store.logs().get(store.meta("self").decode(), 0)


def kept_promise(store: Store) -> Promise | None:
    """The keys of the backup that this store was made from, while its log cannot name them; since when is not known."""
    data = store.find_meta(PROMISE) or b""
    return Promise(data[:KEY_BYTES], data[KEY_BYTES:].hex(), 0) if data else None


def known_members(store: Store) -> tuple[bytes, ...]:
    """The keys of members when the backup was made that this store comes from: whom to hear until it is whole."""
    data = store.find_meta(RESTORED) or b""
    return tuple(data[at : at + KEY_BYTES] for at in range(0, len(data) - KEY_BYTES + 1, KEY_BYTES))


def _members(store: Store, founder: PeerId, own: PeerId) -> list[str]:
    """The keys in force of the other members."""
    told = (decode_entry(data) for data in store.entries(founder) if b'"kind":"member"' in data)
    peers = dict.fromkeys([founder, *(entry.peer for entry in told if isinstance(entry, Member))])
    promises = (promise_of(store.entries(peer)) for peer in peers if peer != own)
    return [promise.key.hex() for promise in promises if promise is not None][:MAX_KNOWN]


def _since(since: int | None) -> bytes:
    return b"none" if since is None else str(since).encode()


def _private(text: str) -> PrivateKey:
    seed = bytes.fromhex(text)
    if len(seed) != 32:
        raise RemoteError("a private key in it is not 32 bytes")
    return PrivateKey.from_seed(seed)


def _stretched(passphrase: Passphrase, salt: bytes) -> bytes:
    return scrypt(passphrase.reveal(), salt=salt, dklen=32, **_COST)
