"""The key files of one peer, and the order in which they change, so that no crash leaves it without its key.

    keys/current    the key in force: signs checkpoints, proves links
    keys/next       the key after it: its digest stands in the log already (enrol, rotate, recover)
    keys/after      only while a change is under way: the key whose digest the change promises

    prepare   after is made                 a crash: it lies there, and the next change uses it
              the entry is written, stored, and signed for with the key from next
    settle    next --rename--> current      a crash before: the log names the key in next, so it is renamed at the start
              after --rename--> next        a crash between: there is no next, and after is the key that was promised

Rules kept here: which key is in force is what the own log on disk says, never what a file is called; the old key goes
only when the log names the new one; a rename never covers a key that is still needed; nothing but `settle` renames
and nothing deletes. No passphrase is needed to say which key is in force. It refuses to know why a key changes.
"""

from __future__ import annotations

from pathlib import Path

from gossip import directory as places
from ledger.entry import Hash
from ledger.errors import LocalError
from ledger.keys import PrivateKey, key_digest
from ledger.private_files import Passphrase, check_folder, is_locked, move, read_private
from ledger.promise import Promise, promise_of
from ledger.store import Store


def stored_promise(store: Store) -> Promise | None:
    """What the own log, as it is on disk, says about this peer's keys."""
    return promise_of(store.entries(store.meta("self").decode()))


class KeyFiles:
    """The keys of the peer in `directory`. Whoever calls holds the directory's lock, except to read."""

    def __init__(self, directory: Path, passphrase: Passphrase | None = None) -> None:
        folder = places.keys_path(directory)
        self.current = places.current_key_path(directory)
        self.next = places.next_key_path(directory)
        self.after = places.after_key_path(directory)
        self._passphrase = passphrase
        check_folder(folder)

    @property
    def is_locked(self) -> bool:
        """Whether a passphrase is needed. LocalError if there is no key at all."""
        there = [path for path in (self.current, self.next, self.after) if path.exists()]
        return any(is_locked(read_private(path)) for path in there or [self.current])

    def create(self, key: PrivateKey | None = None) -> tuple[PrivateKey, PrivateKey]:
        """The first two keys of a new peer; `key` is one that was made beforehand."""
        current, following = key or PrivateKey.generate(), PrivateKey.generate()
        current.save(self.current, self._passphrase)
        following.save(self.next, self._passphrase)
        return current, following

    def settle(self, promise: Promise | None, *, stale: bool = False) -> PrivateKey:
        """Finish a change that the log on disk has been through, if one was begun; the key to sign with.

        `stale`: the store is known to lack own entries, which may name other keys; then what is in `current` must do.
        LocalError if the key in force is not among the files.
        """
        current = self._load(self.current) if self.current.exists() else None
        if promise is not None and (current is None or current.public != promise.key) and self.next.exists():
            following = self._load(self.next)
            if following.public == promise.key:
                move(self.next, self.current)
                current = following
        if current is None:
            current = self._load(self.current)  # says what is wrong
        if promise is not None and current.public == promise.key:
            if not self.next.exists() and self._digest(self.after) == promise.next:
                move(self.after, self.next)
            return current
        if promise is None or stale or key_digest(current.public) == promise.next:
            return current  # the store is older than the keys: its newest own entries come back from others
        raise LocalError(
            f"{self.current} is not the key of this peer",
            why=f"its log names {promise.key.hex()[:16]}...",
            next_step="put the right key back from a backup",
        )

    def in_force(self, promise: Promise) -> PrivateKey:
        """The key that the log names, wherever a change that was cut off has left it; nothing is moved. LocalError if
        it is not here."""
        for path in (self.current, self.next):
            if path.exists() and (key := self._load(path)).public == promise.key:
                return key
        raise LocalError(
            f"{self.current} is not the key of this peer",
            why=f"its log names {promise.key.hex()[:16]}...",
            next_step="put the right key back from a backup",
        )

    def find(self, public: bytes) -> PrivateKey:
        """The private key of a public one, whatever its file is called. LocalError if it is not here any more."""
        for path in (self.current, self.next, self.after):
            if path.exists() and (key := self._load(path)).public == public:
                return key
        raise LocalError(
            f"the key {public.hex()[:16]}... is not here", why="this peer has changed keys since, or is another one",
            next_step="use a copy of the directory from before the change",
        )  # fmt: skip

    def prepare(self, promise: Promise | None) -> tuple[PrivateKey, Hash]:
        """The promised key and the digest that a change to it will promise. Nothing is in force yet.

        `promise` is None while the newest of the own log is still with others; then `next` is taken at its word.
        LocalError if the promised key is not here: only a backup can help then.
        """
        if not self.next.exists() or (promise is not None and self._digest(self.next) != promise.next):
            missing = "is not here" if not self.next.exists() else "is not the key that the log promises"
            raise LocalError(
                f"{self.next} {missing}", next_step="with a backup: gossip key recover FILE brings it back"
            )
        following = self._load(self.next)
        if not self.after.exists():
            PrivateKey.generate().save(self.after, self._passphrase)
        return following, key_digest(self._load(self.after).public)

    def relock(self, fresh: Passphrase | None) -> tuple[Path, ...]:
        """Lock every key with another passphrase, or with none. Cut off between two files, do it again."""
        changed = []
        for path in (self.current, self.next, self.after):
            if not path.exists():
                continue
            new = path.with_name(f"{path.name}.new")
            new.unlink(missing_ok=True)  # of a change that was cut off; the key itself is still in `path`
            key = self._load_either(path, fresh)
            key.save(new, fresh)
            if PrivateKey.load(new, fresh).public != key.public:
                raise LocalError(f"{new} does not read back", next_step="check the disk; the keys are as they were")
            move(new, path)
            changed.append(path)
        return tuple(changed)

    def _load(self, path: Path) -> PrivateKey:
        return PrivateKey.load(path, self._passphrase)

    def _load_either(self, path: Path, fresh: Passphrase | None) -> PrivateKey:
        try:
            return self._load(path)
        except LocalError:
            if fresh is None:
                raise
            return PrivateKey.load(path, fresh)

    def _digest(self, path: Path) -> Hash | None:
        return key_digest(self._load(path).public) if path.exists() else None
