"""One's own log: writing an entry, and putting one's name to it once it is on disk.

    draft -> entry -> Book.admit -> Append ... fsync ... Stored -> sign a checkpoint -> KeepCheckpoint -> announce

Rules kept here: an entry goes through the same check as anybody's, so what we publish nobody honest refuses; it
is given to others only under a checkpoint, and a checkpoint is signed only over what is stored. A crash between
loses an entry that nobody has seen; a crash after it is healed by signing again (`resume`). A change of keys is
written when the key in force has signed for everything before it, and the new key signs for the change itself.
It refuses to know when to write what: peer.py and rounds.py say so.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from gossip.events import Anchored, Append, KeepCheckpoint, NewKey
from gossip.peer.book import Book
from gossip.peer.homecoming import Homecoming
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Tape, Tapes, closed_name
from gossip.wire.frames import Voucher
from ledger import checkpoint
from ledger.canonical import encode_entry
from ledger.cosignature import cosign, raw
from ledger.cover import Cover
from ledger.entry import (
    MAX_ENTRY_BYTES,
    MAX_TOKEN_BYTES,
    Anchor,
    AnyEntry,
    Enrol,
    Member,
    PeerId,
    Recover,
    Role,
    Rotate,
)
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey, key_digest
from ledger.replica import ChainFields, Checked, Waiting

MAX_OWN_ENTRY: Final = MAX_ENTRY_BYTES - 2048  # a note and a proof must fit the same message


def chain(fields: ChainFields) -> dict[str, Any]:
    """The chain half of an entry under construction; write() sets its time."""
    return {
        "v": fields.v, "swarm": fields.swarm, "seq": fields.seq, "prev": fields.prev, "time": 0,
        "meets": fields.meets, "seen": fields.seen, "heads": fields.heads,
    }  # fmt: skip


class Unwritable(LocalError):
    """What we were about to write everybody would refuse. Nothing was written, and the peer goes on."""


class Author:
    """The writer of the log `own`. `tape` is that log's; `wrote` hears of every entry written."""

    def __init__(
        self, own: PeerId, key: PrivateKey, book: Book, tapes: Tapes, rumour: Rumour, home: Homecoming, out: Outbox,
        wrote: Callable[[Checked, bytes | None], None],
    ) -> None:  # fmt: skip
        self.own = own
        self._given = key
        self._keys = {key.public: key}  # those of this run: what stood before a change may still have to be signed
        self._new_key: NewKey | None = None  # asked for and not yet written
        self._stamps: list[Anchored] = []  # likewise
        self._is_changing = False  # the one entry that the key in force need not be here for
        self._book = book
        self._tapes = tapes
        self._rumour = rumour
        self._home = home
        self._out = out
        self._wrote = wrote
        self.stored = book.replica.size(own)
        self.now = 0.0  # of the event that is being handled
        self._refused: dict[type, int] = {}  # kinds that were refused, and how many entries there were then
        self._told: set[str] = set()  # why, as the owner was told; asked, never iterated

    @property
    def size(self) -> int:
        return self._book.replica.size(self.own)

    @property
    def is_enrolled(self) -> bool:
        return self._book.replica.enrolled(self.own)

    @property
    def may_write(self) -> bool:
        """Whether the own log is known to be whole, and the only one of its name, we hold its key, are not out, and
        have folded all that we would cite."""
        return self._home.is_home and self.holds_key and not self.is_out and not self._book.owed

    @property
    def is_out(self) -> bool:
        """Whether our membership was taken away, or is over by our clock: what we would write nobody may believe."""
        replica = self._book.replica
        if replica.is_revoked(self.own):
            return True
        seat = replica.membership(self.own)
        return seat is not None and seat.has_expired(int(self.now))

    @property
    def is_lost(self) -> bool:
        """Whether two histories carry our signature: nothing is written any more."""
        return self._home.is_lost

    @property
    def role(self) -> str:
        return self._book.replica.role_of(self.own)

    def draft(self) -> ChainFields:
        return self._book.replica.draft(self.own)

    def write(self, fields: ChainFields, body: AnyEntry, now: float, blob: bytes | None = None) -> Checked:
        """Write the next entry: `body` with the chain fields of `fields`, this moment's draft."""
        data = encode_entry(fields.stamp(body, int(now)))
        if len(data) > MAX_OWN_ENTRY:
            raise LocalError("this entry is too long to travel", why=f"{len(data)} bytes, the limit is {MAX_OWN_ENTRY}")
        try:
            return self._take(data, blob)
        except Unwritable:
            self._refused[type(body)] = self._book.replica.admitted
            raise

    def may_try(self, kind: type) -> bool:
        """Whether anything has changed since our last entry of that kind was refused."""
        return self._refused.get(kind) != self._book.replica.admitted

    def attempt(self, *steps: Callable[[], object]) -> None:
        """Take steps that may write. What everybody would refuse is told once, and none of the others is kept from it:
        each is taken again at the next event, as it is anyway."""
        for step in steps:
            try:
                step()
            except Unwritable as error:
                self._out.heed(self.now)
                if error.why not in self._told:
                    self._told.add(error.why)
                    self._out.note("trouble", text=f"{error.what}, so it was not written: {error.why}")

    def _take(self, data: bytes, blob: bytes | None) -> Checked:
        if not self.may_write and not self._is_changing:
            raise LocalError("this peer may not write now", why="its own log may have entries that are not here")
        try:
            checked = self._book.replica.check(self.own, data)
            if isinstance(checked, Waiting):
                raise Unwritable("an own entry cites what is not held", why=str(checked.needs))
            self._book.admit(checked, blob)
        except RemoteError as error:
            raise Unwritable("an own entry would be refused by everybody", why=str(error)) from error
        self._tapes.setdefault(self.own, Tape(self.own)).extend(data)
        self._out.put(Append(checked.seq, data, blob))
        self._wrote(checked, blob)
        return checked

    def enrol(self, data: bytes, now: float) -> None:
        """Begin the own log with the entry that setup wrote; it is stored already."""
        checked = self._book.replica.check(self.own, data)
        if isinstance(checked, Waiting) or not isinstance(checked.entry, Enrol):
            raise LocalError("the own enrol entry is none", next_step="join again")
        if bytes.fromhex(checked.entry.key) != self._key.public:
            raise LocalError("the own enrol entry names another key", next_step="restore keys/current from a backup")
        self._book.admit(checked, None)
        self._tapes.setdefault(self.own, Tape(self.own)).extend(data)
        self._wrote(checked, None)
        self.on_stored(checked.seq, now)

    def can_cite(self, peer: PeerId) -> bool:
        """Whether our next entry has seen that peer's log begin: one entry can introduce only so many peers."""
        return peer in self.draft().meets or peer in self._book.replica.past(self.own, self.size)

    def admit_member(self, peer: PeerId, role: Role, now: float, expires: int = 0) -> None:
        """Let an enrolled peer in that we can cite, until `expires` (Unix s; 0: for ever). LocalError: we may not."""
        fields = self.draft()
        self.write(fields, Member(**chain(fields), peer=peer, role=role, expires=expires), now)

    # -------------------------------------------------------------- keys

    @property
    def public(self) -> bytes:
        """The key that proves who we are on links: the one in force, if we hold it."""
        return self._key.public

    @property
    def _key(self) -> PrivateKey:
        tape = self._tapes.get(self.own)
        promise = tape.promise if tape is not None else None
        return self._keys.get(promise.key, self._given) if promise is not None else self._given

    @property
    def holds_key(self) -> bool:
        """Whether we hold the key in force; not after a recovery from a backup, until the promised one is."""
        tape = self._tapes.get(self.own)
        return tape is None or tape.promise is None or tape.promise.key in self._keys

    def can_sign(self, size: int) -> bool:
        """Whether we hold the key that must sign for the first `size` entries."""
        return self._key_at(size) is not None

    def _key_at(self, size: int) -> PrivateKey | None:
        promises = [promise for promise in self._tapes[self.own].promises if promise.since < size]
        return self._keys.get(promises[-1].key) if promises else None

    def _require_key(self, size: int) -> PrivateKey:
        key = self._key_at(size)
        if key is None:
            raise LocalError(
                "the key that must sign this peer's log is not here", why=f"{size} entries",
                next_step="restore keys/ from a backup",
            )  # fmt: skip
        return key

    def new_key(self, event: NewKey) -> None:
        """Change keys as soon as everything before the change is stored and signed for."""
        self._new_key = event

    def change_key(self, now: float) -> None:
        """Write the change that was asked for, if it is time."""
        event, tape = self._new_key, self._tapes.get(self.own)
        promise = tape.promise if tape is not None else None
        if event is None or tape is None or promise is None or not self.is_enrolled or tape.admitted < tape.known:
            return
        if not self._home.is_home or self.is_out:
            return
        if key_digest(event.key.public) != promise.next:
            self._new_key = None
            if event.key.public == promise.key:  # written before a crash, or before a backup was used
                self._keys[event.key.public] = event.key
                self.resume(now)
            else:
                self._out.note(
                    "trouble", text="the new key is not the one that this peer's log promises: nothing changed"
                )
            return
        cover = tape.cover
        if not self.stored == self.size <= cover.reach:
            return
        self._new_key = None
        self._keys[event.key.public] = event.key
        proof = cover.proof(tape.tree, self.size)
        self._out.put(KeepCheckpoint(closed_name(self.own, self.size), cover.size, cover.note, self.size, proof))
        tape.change_key()
        fields, key = self.draft(), event.key.public.hex()
        body: AnyEntry = Rotate(**chain(fields), key=key, next=event.promise)
        if event.recover:
            since = fields.seq if event.since is None else min(event.since, fields.seq)
            body = Recover(**chain(fields), key=key, next=event.promise, since=since)
        self._is_changing = True
        try:
            self.write(fields, body, now)
        finally:
            self._is_changing = False

    # -------------------------------------------------------------- time stamps

    def anchored(self, event: Anchored) -> None:
        """Write a time stamp down as soon as the own log may be written."""
        if 1 <= event.size <= self.stored and 1 <= len(event.token) <= MAX_TOKEN_BYTES:
            self._stamps.append(event)
        else:
            self._out.note("trouble", text="this time stamp is over no checkpoint of this peer: nothing is written")

    def write_stamps(self, now: float) -> None:
        """Write the time stamps that were asked for, if it is time."""
        if not self._stamps or not self.may_write or not self.role:
            return
        for event in self._stamps:
            fields, digest = self.draft(), sha256(event.token).hexdigest()
            entry = Anchor(**chain(fields), size=event.size, token=digest, bytes=len(event.token))
            self.write(fields, entry, now, event.token)
        self._stamps.clear()

    # -------------------------------------------------------------- signing

    def on_stored(self, seq: int, now: float) -> None:
        """Own entries up to `seq` are on disk: sign for them, and let others have them."""
        size = seq + 1
        if not self.stored <= size <= self.size:
            raise LocalError("the store answers for entries that were not written", why=f"{size} of {self.size}")
        self.stored = size
        if self._home.may_sign:
            self._sign(now)

    def found_again(self, checked: Checked) -> None:
        """An own entry came from others: it was stored here once, and is now being stored again."""
        self.stored = checked.seq + 1

    def resume(self, now: float) -> None:
        """After a restart: sign for what was stored and not yet signed."""
        tape = self._tapes.get(self.own)
        if tape is not None and tape.cover.size < self.stored and self.is_enrolled and self.can_sign(self.stored):
            self._sign(now)

    def sign_at(self, size: int) -> tuple[bytes, bytes]:
        """The root of the first `size` entries, all of them stored, and our signature over that checkpoint."""
        if not 0 < size <= self.stored:
            raise LocalError("only what is stored may be signed for", why=f"{size} of {self.stored} entries")
        replica = self._book.replica
        root = replica.root(self.own, size)
        signed = checkpoint.Checkpoint(checkpoint.origin(replica.swarm, self.own), size, root)
        return root, self._require_key(size).sign(signed.body())

    def sign(self, text: bytes) -> bytes:
        """Our signature, under the key in force, over a text that is no checkpoint."""
        return self._require_key(self.size).sign(text)

    def cosign(self, seen: checkpoint.Checkpoint, now: float) -> Voucher:
        """Our word, as a witness, for another log's checkpoint. The caller has made the promise durable."""
        name = checkpoint.origin(self._book.replica.swarm, self.own)
        return Voucher(self.own, *raw(cosign(seen, name, self._key, int(now))))

    def _sign(self, now: float) -> None:
        replica = self._book.replica
        root = replica.root(self.own, self.stored)
        name = checkpoint.origin(replica.swarm, self.own)
        note = checkpoint.sign(checkpoint.Checkpoint(name, self.stored, root), self._require_key(self.stored))
        self._tapes[self.own].cover = Cover(self.stored, root, note, reach=self.stored)
        self._out.put(KeepCheckpoint(self.own, self.stored, note))
        self._rumour.grew(self.own, now)
