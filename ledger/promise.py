"""What a log says about its author's keys: which one is in force, and the digest of the one after it.

    enrol    key K0, next = SHA-256(K1)
    rotate   key K1, next = SHA-256(K2)      only the holder of K1 can have chosen these bytes to be true

So a key that was stolen cannot name its heir: the heir's digest was in the log before. Rule kept here: a change to a
key that was not promised, or that is no good point of the curve, is refused. Pure; it refuses to know who signed what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.canonical import decode_entry
from ledger.entry import Enrol, Hash, Recover, Rotate
from ledger.errors import RemoteError
from ledger.keys import check_public, key_digest

# Entries have one spelling, and a quote inside a string is escaped, so these bytes stand in no other kind of entry.
_MARKS: Final = (b'"kind":"enrol"', b'"kind":"rotate"', b'"kind":"recover"')


@dataclass(frozen=True, slots=True)
class Promise:
    """The newest word of a log on its author's keys."""

    key: bytes  # in force
    next: Hash  # SHA-256 of the key after it
    since: int  # the entry that put `key` in force: checkpoints of more entries than that are signed by it


def names_key(data: bytes) -> bool:
    """Whether an entry's bytes put a key in force. Much faster than decoding it."""
    return any(mark in data for mark in _MARKS)


def follow_keys(before: Promise | None, seq: int, data: bytes) -> Promise | None:
    """What holds after entry `seq`, given what held before it. RemoteError if it takes a key that was not promised."""
    if not names_key(data):
        return before
    entry = decode_entry(data)
    match entry:
        case Enrol():
            if before is not None:
                raise RemoteError("a log enrols a second time", why=f"entry {seq}")
        case Rotate() | Recover():
            if before is None or key_digest(bytes.fromhex(entry.key)) != before.next:
                raise RemoteError("a log goes on with a key that it did not promise", why=f"entry {seq}")
        case _:
            return before
    key = bytes.fromhex(entry.key)
    check_public(key)
    return Promise(key, entry.next, seq)


def promise_of(entries: Iterable[bytes]) -> Promise | None:
    """The newest word of a log's entries, from its first, on its author's keys; None before it enrols."""
    found: Promise | None = None
    for seq, data in enumerate(entries):
        found = follow_keys(found, seq, data)
    return found
