"""A peer that writes one entry of its own while no node runs: the machine, without links, over the store.

    Started, a wish of the owner --> Peer.handle --Append--> store --Stored--> KeepCheckpoint --> signed, store

What the node does with sockets and tasks, in one go: the same machine decides and signs, so an entry that is written
here is the one that a running node would have written. What others must be asked for first is left to `gossip run`:
where there are other members, one of them may hold more of the own log than this directory, which may be an old copy as
a whole; writing on from there would sign a second history. Only a swarm of one, and an owner who says so (`offline`),
go without. It decides nothing.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from gossip import backup
from gossip import directory as places
from gossip import events as ev
from gossip.config import PeerConfig
from gossip.identity import KeyFiles, stored_promise
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.node.kept_model import StoreAlone
from gossip.node.ruling import wanted_policy
from gossip.node.seating import revocation_standing, wanted_renewal, wanted_revocation
from gossip.peer.book import Book, restore
from gossip.peer.peer import Peer
from ledger.chain import peer_of
from ledger.entry import Entry, Member, PolicyChange, Revoke
from ledger.errors import LocalError
from ledger.keys import PrivateKey
from ledger.private_files import Passphrase
from ledger.promise import Promise
from ledger.store import PutBlob, PutCheckpoint, PutEntry, SignedMark, Store, Write

_T = TypeVar("_T")

PATIENCE_S: Final = 60.0  # of the machine's time, which is not ours: it may wait a little before it trusts its store


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of keys that is done: written, stored, signed for, and followed by the key files."""

    old: bytes
    new: bytes
    seq: int


def change_key(
    directory: Path, passphrase: Passphrase | None = None, *, recover: bool = False, since: int | None = None,
    offline: bool = False,
) -> Changed:  # fmt: skip
    """Put the promised key in force. LocalError if that cannot be done here and now; then nothing has changed."""
    with _held(directory, passphrase, offline=offline) as alone:
        before = alone.promise
        following, promise = alone.keys.prepare(before)
        peer = alone.peer()

        def in_force() -> Promise | None:
            now = peer.promise()
            return now if now is not None and now.key == following.public else None

        after = alone.run(peer, ev.NewKey(following, promise, recover, since), in_force)
        if after is None:
            raise LocalError(
                "the change of keys was not written", why="this peer first has to hear from others",
                next_step="start it with gossip run, and change the key then",
            )  # fmt: skip
        alone.keys.settle(after)
        alone.store.close_tickets()  # they name the key before
        backup.recovered(alone.store)
        return Changed(before.key, after.key, after.since)


def add_anchor(
    directory: Path, passphrase: Passphrase | None, size: int, token: bytes, *, offline: bool = False
) -> int:
    """Write down a time stamp over the first `size` own entries; the index of its entry, which is signed for.

    LocalError if that cannot be done here and now; then nothing has changed.
    """
    with _held(directory, passphrase, offline=offline) as alone:
        peer, replica, own = alone.peer(), alone.book.replica, alone.own
        seq = replica.size(own)
        signed = alone.run(
            peer, ev.Anchored(size, token), lambda: True if alone.signed > seq and replica.size(own) > seq else None
        )
        if signed is None:
            raise LocalError(
                "the time stamp was not written", why="this peer first has to hear from others",
                next_step="start it with gossip run, and add it then",
            )  # fmt: skip
        return seq


def set_policy(directory: Path, passphrase: Passphrase | None, text: bytes, *, offline: bool = False) -> int:
    """As an admin, say that this policy shall be in force; the index of that entry, which is signed for.

    LocalError if that cannot be done here and now; then nothing has changed.
    """
    with _held(directory, passphrase, offline=offline) as alone:
        wanted_policy(alone.book.replica, alone.own, text.decode())
        peer, replica, own = alone.peer(), alone.book.replica, alone.own
        seq = replica.size(own)

        def written() -> int | None:
            for at in range(seq, replica.size(own)):
                entry = replica.entry(own, at)
                if isinstance(entry, PolicyChange) and entry.policy == sha256(text).hexdigest() and alone.signed > at:
                    return at
            return None

        found = alone.run(peer, ev.NewPolicy(text), written)
        if found is None:
            raise LocalError(
                "the policy was not written", why="this peer first has to hear from others",
                next_step="start it with gossip run, and set it then",
            )  # fmt: skip
        return found


def revoke(
    directory: Path, passphrase: Passphrase | None, request: Mapping[str, Any], *, offline: bool = False
) -> dict[str, Any]:
    """As an admin, say that a member is to be out; what gossip/node/seating.py answers.

    LocalError if that cannot be done here and now; then nothing has changed.
    """
    with _held(directory, passphrase, offline=offline) as alone:
        replica, own = alone.book.replica, alone.own
        seq = alone.write(wanted_revocation(replica, own, request), Revoke)
        return {"seq": seq, **revocation_standing(replica, own, seq)}


def renew(
    directory: Path, passphrase: Passphrase | None, request: Mapping[str, Any], *, offline: bool = False
) -> dict[str, Any]:
    """As an admin, say that a member stays longer, or in another role; likewise."""
    with _held(directory, passphrase, offline=offline) as alone:
        wish = wanted_renewal(alone.book.replica, alone.own, request)
        return {"seq": alone.write(wish, Member), "peer": wish.peer, "role": wish.role, "expires": wish.expires}


@contextmanager
def _held(directory: Path, passphrase: Passphrase | None, *, offline: bool) -> Iterator[_Alone]:
    with places.lock(directory), Store(places.store_path(directory)) as store:
        yield _Alone(directory, store, passphrase, offline=offline)


class _Alone:
    """A peer that no node runs, held by this process: what is on disk, and the machine over it."""

    def __init__(self, directory: Path, store: Store, passphrase: Passphrase | None, *, offline: bool) -> None:
        self.store = store
        self.keys = KeyFiles(directory, passphrase)
        self.own = store.meta("self").decode()
        self.signed = 0  # own entries that this run has signed for
        self._mark = SignedMark(places.mark_path(directory))
        self._last = self._mark.read()
        promise = stored_promise(store)
        if promise is None or (self._last is not None and self._last.size > store.logs().get(self.own, 0)):
            raise LocalError(
                "this peer lacks entries of its own log", why="others hold more of it than its store",
                next_step="start it with gossip run, and try again when it has fetched them",
            )  # fmt: skip
        self.promise = promise
        self.book: Book = restore(
            store.meta("swarm").decode(), store.meta("founder").decode(), store.history(), store.blob,
            NumpyArithmetic(), store.base(),
        )  # fmt: skip
        replica = self.book.replica
        if not offline and any(peer_of(log) != self.own and replica.role_of(peer_of(log)) for log in replica.heads()):
            raise LocalError(
                "others of this swarm may hold more of this peer's log, and were not asked",
                next_step="start the node with gossip run, then type this again; or --offline if nobody else is up",
            )
        self._key: PrivateKey = self.keys.settle(promise)
        if not self.book.replica.role_of(self.own):
            raise LocalError("this peer is no member yet", next_step="start it with gossip run until it is let in")

    def peer(self) -> Peer:
        """The machine, not started yet."""
        last = self._last
        return Peer(
            PeerConfig(restored=backup.is_restored(self.store)), key=self._key, self_id=self.own, book=self.book,
            shelf=StoreAlone(self.store), luck=random.Random(0),
            mark=(last.size, last.root) if last is not None else None,
        )  # fmt: skip

    def write(self, wanted: ev.Event, kind: type[Entry]) -> int:
        """Have the machine write an entry of that kind; its index, once it is signed for."""
        replica, own, first = self.book.replica, self.own, self.book.replica.size(self.own)

        def written() -> int | None:
            found = [seq for seq in range(first, replica.size(own)) if isinstance(replica.entry(own, seq), kind)]
            return found[0] if found and self.signed > found[0] else None

        seq = self.run(self.peer(), wanted, written)
        if seq is None:
            raise LocalError(
                "nothing was written", why="this peer first has to hear from others",
                next_step="start it with gossip run, and try again then",
            )  # fmt: skip
        return seq

    def run(self, peer: Peer, wanted: ev.Event, done: Callable[[], _T | None]) -> _T | None:
        """Feed the machine until `done` has an answer, and give that; None if it has nothing more to do before."""
        now = time.time()
        until = now + PATIENCE_S
        waiting: list[ev.Event] = [ev.Started(), wanted]
        timers: list[tuple[float, str]] = []
        while waiting or timers:
            if not waiting:
                at, name = heapq.heappop(timers)
                now = max(now, at)
                if now > until:
                    break
                waiting.append(ev.Timer(name))
            for effect in peer.handle(waiting.pop(0), now):
                match effect:
                    case ev.Append(seq, entry, blob):
                        self.store.commit(_with_blob(PutEntry(self.own, seq, entry), blob))
                        waiting.append(ev.Stored(seq))
                    case ev.KeepCheckpoint(log, size, note, held, proof):
                        if log == self.own and held is None:
                            self._mark.write(size, self.book.replica.root(self.own, size).hex())
                            self.signed = size
                        self.store.commit([PutCheckpoint(log, size, note, held, proof)])
                    case ev.SetTimer(name, at):
                        heapq.heappush(timers, (at, name))
                    case _:
                        pass  # nobody to send to, nobody to show a note to
            found = done()
            if found is not None:
                return found
        return None


def _with_blob(entry: PutEntry, blob: bytes | None) -> list[Write]:
    return [entry] if blob is None else [entry, PutBlob(sha256(blob).hexdigest(), blob)]
