"""The keys of a running node: read at the start, changed when the owner says so, followed when the own log has.

    start     what the log on disk says --> the key to go by, and what is to be written first after a loss
    change    prepare the files --> NewKey --> the machine writes, stores, signs
    follow    the log has changed keys, durably --> the files, then whoever meets us from now on

It refuses to know what the machine makes of NewKey, and what links and discovery do with a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from gossip import backup
from gossip import directory as places
from gossip.events import NewKey
from gossip.identity import KeyFiles, stored_promise
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from ledger.promise import Promise
from ledger.store import SignedMark, Store

KEY_CHANGE_S: Final = 5.0  # an entry and its checkpoint on disk; whoever asked hears of more patience than that

Post = Callable[[NewKey], Awaitable[None]]


class Rekeying:
    """The key of one node. `key` is the one that it proves on links and signs with, if it is in force."""

    def __init__(self, directory: Path, passphrase: Passphrase | None, store: Store, mark: SignedMark) -> None:
        """Read the keys. LocalError if the one in force is not here, or does not open."""
        self._directory = directory
        self._files = KeyFiles(directory, passphrase)
        self._promise: Promise | None = None  # what the own log says about keys, as far as the files follow it
        self._restored = False  # whether that key is a backup's
        self._recovering = b""  # the key that a recover entry is to put in force
        self._changed: asyncio.Future[None] | None = None  # a change of keys that somebody waits for
        self.first: NewKey | None = None
        """What is to be written first, if this peer was set up again from a backup."""
        self.trouble = ""

        promise, (recovering, since) = stored_promise(store), backup.recover_since(store)
        signed = mark.read()
        lacks = signed is not None and signed.size > store.logs().get(store.meta("self").decode(), 0)
        self.key: PrivateKey = self._files.settle(promise, stale=recovering or lacks)
        if not recovering or promise is None:
            self._promise = promise
            return
        self._restored = restored = backup.is_restored(store)
        try:
            key, following = self._files.prepare(None if restored else promise)
        except LocalError as error:
            if self.key.public != promise.key or restored:
                raise
            backup.recovered(store)  # what was to be put in force is in force already
            self.trouble = str(error)
            return
        # Others know the promised key, too; the one that was lost may be in a thief's hands by now.
        self.key, self._recovering = key, key.public
        self.first = NewKey(key, following, recover=True, since=since)

    def follow(self, promise: Promise | None, *, is_home: bool, may_write: bool) -> bool:
        """Look at what the own log says, as far as it is durable. True if `key` is another one now.

        LocalError if it has all come back, and says that the backup which this peer was set up from is too old.
        """
        if promise is None:
            return False
        if is_home and self._restored and self._recovering and self.first is not None:
            backup.check_newest(promise, self.first.key.public, self.first.promise)
        changed = promise != self._promise and self._follow(promise)
        if may_write and self._recovering == promise.key:
            self._recovering = b""
            with self._store() as store:
                backup.recovered(store)
        return changed

    def _follow(self, promise: Promise) -> bool:
        self._promise = promise
        key = self._files.settle(promise, stale=True)
        if key.public != promise.key or self._recovering not in (b"", promise.key):
            return False  # the log on its way back to us: more of it comes
        changed, self.key = key.public != self.key.public, key
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        return changed

    async def change(
        self, promise: Promise | None, post: Post, *, recover: bool = False, since: int | None = None
    ) -> dict[str, Any]:
        """The owner wants another key. Answers when it is in force, or says that it waits for other peers."""
        if promise is None:
            raise LocalError("this peer is no member yet", next_step="wait until it was let in")
        if since is not None and (type(since) is not int or since < 0):
            raise LocalError(f"there is no entry {str(since)[:40]!r}", next_step="name one by its number, from 0")
        if self._changed is not None and not self._changed.done():
            raise LocalError("a change of keys is under way", next_step="see it with: gossip key show")
        self._changed = changed = asyncio.get_running_loop().create_future()
        try:
            key, following = await asyncio.to_thread(self._files.prepare, promise)
            if recover:
                self._recovering = key.public
                with self._store() as store:
                    backup.ask_recover(store, since)
            await post(NewKey(key, following, recover, since))
        except BaseException:
            self._changed = None
            raise
        await asyncio.wait([changed], timeout=KEY_CHANGE_S)
        return {"old": promise.key.hex(), "new": key.public.hex(), "pending": not changed.done()}

    def _store(self) -> Store:
        return Store(places.store_path(self._directory))
