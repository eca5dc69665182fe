"""From what arrived to what is admitted: the order of things, and what becomes of entries that break a rule.

    Entries --Tape.take--> held back --past admitted?--> checked --blob here?--> Book.admit --> Keep, grew
                             ^  no: want that past          |   no: want that blob
                             `------------------------------'   broken: the log ends, its bringer is dropped

Rules kept here: entries of a log go in one after another; what waits for its past costs no work until that past
has come; a log that broke a rule is remembered and never asked for again. Whoever passed on a broken entry had
not checked it, which no honest peer does, so its link ends too. An entry that contradicts what we hold of a third
log waits: that third log may have been signed twice, and strands.py finds out. It refuses to know who is linked how.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Protocol

from gossip.events import Keep, KeepCheckpoint, LinkId
from gossip.limits import Limits
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.links import Live
from gossip.peer.outbox import Outbox
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Held, Tape, Tapes, closed_name
from gossip.wire.frames import Entries
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import LogId, peer_of
from ledger.checkpoint import origin
from ledger.delta import max_blob_bytes
from ledger.entry import (
    MAX_EVIDENCE_BYTES,
    MAX_OPENING_BYTES,
    MAX_SKETCH_BYTES,
    MAX_TOKEN_BYTES,
    Accuse,
    Anchor,
    Data,
    Genesis,
    Hash,
    PeerId,
    PolicyChange,
    Update,
)
from ledger.errors import RemoteError
from ledger.policy import MAX_POLICY_BYTES
from ledger.promise import Promise, follow_keys
from ledger.replica import Checked, Disputed, InvalidEntry, Waiting

FEW: Final = 8  # deltas are asked for in eighths of what may be fetched side by side, not one at a time

Blame = Callable[[LinkId, RemoteError], None]
Admitted = Callable[[Checked], None]


class Branches(Protocol):
    """What admission asks about logs that were signed twice (strands.py)."""

    def expects(self, peer: str, link: LinkId) -> bool: ...

    def place(self, frame: Entries, link: LinkId, now: float) -> tuple[Tape, Entries] | None: ...

    def arrived(self, tape: Tape, link: LinkId, now: float) -> None: ...

    def grew(self, log: LogId) -> None: ...


class Admission:
    """The way of others' entries into the book."""

    def __init__(
        self, book: Book, tapes: Tapes, blobs: Blobs, rumour: Rumour, out: Outbox,
        *, limits: Limits, blame: Blame, admitted: Admitted,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._book = book
        self._tapes = tapes
        self._blobs = blobs
        self._rumour = rumour
        self._out = out
        self._blame = blame
        self._admitted = admitted
        self.branches: Branches | None = None
        self._waiting: dict[LogId, tuple[tuple[LogId, int], ...]] = {}  # what a log's next entry cites
        self._disputed: dict[LogId, Disputed] = {}  # next entries that contradict what is held of other logs
        self._tried: dict[LogId, None] = {}  # and of those the ones that are not to be tried again yet
        self._checked: dict[LogId, Checked] = {}  # next entries that wait for nothing but their blob
        self._deltas: list[tuple[int, LogId, Hash, int]] = []  # heap: of entries held back, and not asked for yet
        self._grown: dict[LogId, None] = {}  # logs whose cover is to be kept once this round is over

    # -------------------------------------------------------------- arrival

    def take(self, live: Live, frame: Entries, now: float) -> LogId | None:
        """Hold entries back. The log that they are of, if they were new. RemoteError if they are not the author's.

        What was pushed at us counts as what was pulled: only logs that concern us, only as far as there is room.
        """
        log, link = frame.log, live.link
        tape = self._tapes.get(log) or Tape(log)
        is_sought = self.branches is not None and self.branches.expects(log, link)
        wanted, end = self._rumour.wanted_size(log, live), frame.start + len(frame.entries)
        if not is_sought and (tape.known >= wanted or end > wanted or not self._has_room(tape, link)):
            return None  # if it is wanted, it is asked for again when there is room; nobody is asked for more than that
        if self.branches is not None and (is_sought or frame.start < tape.known):
            placed = self.branches.place(frame, link, now)
            if placed is None:
                return None
            tape, frame = placed
        before = tape.known
        if not self.hold(tape, frame, link, guest=live.key if live.peer is None and live.role else None):
            return None
        self._tapes[tape.log] = tape
        for seq, data in enumerate(frame.entries[before - frame.start :], start=before):
            self._note_delta(tape.log, seq, data)
        if is_sought and self.branches is not None:
            self.branches.arrived(tape, link, now)
        return tape.log

    def hold(self, tape: Tape, frame: Entries, link: LinkId, guest: bytes | None = None) -> bool:
        """Hold a stretch back on a tape, if its author signed it. `guest`: the key of somebody who is no member yet."""
        promise, changes_key = self._promise_after(tape, frame)
        if promise is None:
            return False
        if guest is not None and guest != promise.key and not self._book.replica.enrolled(tape.log):
            self._rumour.disown(tape.log, link)  # a guest speaks for itself before it may speak of others
            return False
        name = origin(self._book.replica.swarm, frame.log)
        return tape.take(frame, name, promise.key, link, changes_key=changes_key) > 0

    def _has_room(self, tape: Tape, link: LinkId) -> bool:
        """Bounds per log and for all non-members outlive the link; the one per link keeps links from one another."""
        limits = self._limits
        if not tape.may_grow(limits.held_log_bytes):
            return False
        brought = sum(len(held.data) for t in self._tapes.values() for held in t.held if held.link == link)
        if brought > limits.held_bytes:
            return False
        if self._is_member(tape.log):
            return True
        return sum(t.held_bytes for t in self._tapes.values() if not self._is_member(t.log)) <= limits.held_others_bytes

    def _is_member(self, log: LogId) -> bool:
        replica = self._book.replica
        return log == replica.founder or bool(replica.role_of(peer_of(log)))

    def _promise_after(self, tape: Tape, frame: Entries) -> tuple[Promise | None, bool]:
        """Whose key must have signed for these entries, and whether the first new one puts it in force.

        A log's first key stands in its enrol entry, which the log is named after, so nobody else can choose it; each
        key after that was promised by the one before. None if that entry is not here yet. RemoteError if what was sent
        does not keep to it: then it cannot be the author's, whoever has signed it, and the author's log is not touched.
        """
        log, promise = frame.log, tape.promise
        first, changes_key = 1 if log == self._book.replica.founder else 0, False
        for seq, data in enumerate(frame.entries, start=frame.start):
            before = promise
            if seq >= tape.known:
                promise = follow_keys(before, seq, data)
            if before is None and seq == first and (promise is None or entry_hash(data) != log):
                raise RemoteError("a log does not begin with the enrol entry that it is named after")
            if before is not None and promise is not before:
                if seq != tape.known:
                    raise RemoteError("entries by two keys came under one checkpoint")
                changes_key = True
        return promise, changes_key

    def _note_delta(self, log: LogId, seq: int, data: bytes) -> None:
        """Remember a delta of an entry that is held back."""
        try:
            entry = decode_entry(data)
        except RemoteError:
            return  # its turn comes in _step
        if isinstance(entry, Update):
            heappush(self._deltas, (seq, log, entry.delta, entry.bytes))

    def _fetch_early(self) -> None:
        """Ask for deltas as soon as their signed entries are here: they travel while the entries wait for their past.

        Those of low indices first, of all logs alike, for that is about the order in which entries are admitted; and
        what there is no room for as soon as there is. (A peer that missed a thousand updates would else fetch all but
        the first 64 one by one, each when it is its turn.)
        """
        fold = self._book.fold
        if not self._deltas or fold is None or FEW * self._blobs.room < self._limits.transfers:
            return
        limit, full, left = max_blob_bytes(fold.parameters), set[PeerId](), list[tuple[int, LogId, Hash, int]]()
        while self._deltas and self._blobs.room:
            seq, log, delta, size = wanted = heappop(self._deltas)
            tape = self._tapes.get(log)
            if tape is None or not tape.admitted <= seq < tape.known or size > limit:
                continue
            if peer_of(log) in full:
                left.append(wanted)
            elif self._blobs.find(delta) is None and not self._blobs.want(
                delta, limit=limit, total=size, log=log, seq=seq, urgent=False
            ):
                full.add(peer_of(log))
                left.append(wanted)
        for wanted in left:
            heappush(self._deltas, wanted)

    # -------------------------------------------------------------- admission

    def advance(self, now: float) -> None:
        """Admit whatever can be, until nothing moves."""
        moved = True
        while moved:
            moved = False
            for log in self._tapes.ready():
                tape = self._tapes.get(log)
                while tape is not None and tape.is_ready and self._step(tape, now):
                    moved = True
        self._fetch_early()
        for log in self._grown:
            self._keep_cover(self._tapes[log])
        self._grown.clear()

    def _keep_cover(self, tape: Tape) -> None:
        """What an author signed may be more than it ever shows: what we hold of it can be passed on all the same."""
        held = tape.admitted
        if held:
            cover = tape.cover_of(held - 1)
            self._out.put(KeepCheckpoint(tape.log, cover.size, cover.note, held, cover.proof(tape.tree, held)))

    def _step(self, tape: Tape, now: float) -> bool:
        """Try the next entry of one log. True if it went in."""
        replica = self._book.replica
        lacking = any(not replica.holds(log, size) for log, size in self._waiting.get(tape.log, ()))
        if (lacking and not self._is_hopeless(tape)) or tape.log in self._tried or not self._has_begun(tape):
            return False
        held = tape.held[0]
        try:
            checked = self._checked.get(tape.log) or self._check(tape, held)
            if checked is None:
                return False
            blob = self._blob_of(checked, held)
            if checked.blob is not None and blob is None:
                self._checked[tape.log] = checked
                return False
            self._book.admit(checked, blob)
        except Disputed as error:
            self._disputed[tape.log] = error
            self._tried[tape.log] = None
            return False
        except InvalidEntry as error:
            self._end(tape)
            self._blame(held.link, error)
            return False
        self._forget_next(tape.log)
        self._go_on(tape, checked, blob, now)
        return True

    def _has_begun(self, tape: Tape) -> bool:
        """Whether a branch may go on: it leaves another one after an entry that must be admitted there first."""
        replica = self._book.replica
        if tape.parent is None or tape.log in replica.strands(peer_of(tape.log)):
            return True
        if replica.size(tape.parent.log) <= tape.fork:
            return False
        return replica.branch(tape.parent.log, tape.fork, tape.held[0].data) == tape.log

    def _forget_next(self, log: LogId) -> None:
        """What was found out about the next entry of a log is about another one now."""
        for known in (self._waiting, self._disputed, self._tried, self._checked):
            known.pop(log, None)

    def _check(self, tape: Tape, held: Held) -> Checked | None:
        verdict = self._book.replica.check(tape.log, held.data)
        self._disputed.pop(tape.log, None)
        if isinstance(verdict, Waiting):
            self._waiting[tape.log] = verdict.needs
            for log, size in verdict.needs:
                self._rumour.need(log, size, held.link, tape.log)
            return None
        self._waiting.pop(tape.log, None)
        return verdict

    def _is_hopeless(self, tape: Tape) -> bool:
        """Whether what the next entry cites has ended since: then check() says so."""
        replica = self._book.replica
        needs = self._waiting[tape.log]
        return any((end := replica.ended_at(log)) is not None and size > end for log, size in needs)

    def _blob_of(self, checked: Checked, held: Held) -> bytes | None:
        if checked.blob is None:
            return None
        found = self._blobs.find(checked.blob)
        if found is None:
            limit = total = 0
            match checked.entry:
                case Genesis():
                    limit = MAX_POLICY_BYTES
                case Update():
                    limit, total = max_blob_bytes(self._book.require_fold().parameters), checked.entry.bytes
                case Accuse():
                    limit = MAX_OPENING_BYTES if checked.entry.charge == "opening" else MAX_EVIDENCE_BYTES
                    total = min(checked.entry.bytes, limit)
                case Data():
                    limit, total = MAX_SKETCH_BYTES, checked.entry.sketch_bytes
                case PolicyChange():
                    limit, total = MAX_POLICY_BYTES, checked.entry.policy_bytes
                case Anchor():
                    limit, total = MAX_TOKEN_BYTES, checked.entry.bytes
            self._rumour.holds(held.link, checked.log, checked.seq)
            self._blobs.want(
                checked.blob, limit=limit, total=total, log=checked.log, seq=checked.seq, urgent=True
            )  # fmt: skip
        return found

    def _go_on(self, tape: Tape, checked: Checked, blob: bytes | None, now: float) -> None:
        tape.admit()
        if checked.blob is not None and blob is not None:
            self._blobs.used(checked.blob, blob)
        for change, older in tape.closed:
            if change == checked.seq:
                name, proof = closed_name(tape.log, change), older.proof(tape.tree, change)
                self._out.put(KeepCheckpoint(name, older.size, older.note, change, proof))
        self._out.put(Keep(checked.log, checked.seq, checked.data, blob))
        self._grown[tape.log] = None
        self._rumour.grew(tape.log, now)
        self._admitted(checked)
        if self.branches is not None:
            self.branches.grew(tape.log)

    def _end(self, tape: Tape) -> None:
        """The author signed an entry that breaks a rule: its log ends before it, here and with everybody."""
        if self._book.replica.ended_at(tape.log) is None:
            self._book.replica.end(tape.log, tape.admitted)
        self._stop(tape)

    def _stop(self, tape: Tape) -> None:
        """Nothing more of this log can be admitted while this peer runs."""
        tape.stop()
        self.forget(tape)

    # -------------------------------------------------------------- entries in dispute

    def stuck(self) -> dict[LogId, None]:
        """Logs whose next entry cites what is not held, or not so, of logs that may have been signed twice."""
        forked = self._rumour.forked
        waiting = {
            log: None for log, needs in self._waiting.items() if any(peer_of(other) in forked for other, _ in needs)
        }
        tapes = self._tapes
        return {log: None for log in (*self._disputed, *waiting) if log in tapes and tapes[log].held}

    def is_disputed(self, log: LogId) -> bool:
        return log in self._disputed

    def retry(self) -> None:
        """More is known of logs that were signed twice: what was in dispute may be clear now."""
        self._tried.clear()

    def refuse(self, tape: Tape) -> None:
        """All that the next entry cites is here, and it contradicts it: its log stops, and nobody else is to blame."""
        error = self._disputed[tape.log]
        self._stop(tape)
        self._out.note("refused", peer=tape.log, log=tape.log, seq=error.seq, rule=error.rule, text=str(error))

    def reopen(self, tape: Tape, size: int) -> None:
        """What is held back of a log beyond `size`, or stopped it, is another branch than the one that is wanted."""
        tape.truncate(size)
        self._book.replica.reopen(tape.log)
        self.forget(tape)

    def release(self, tape: Tape) -> None:
        """Hold nothing of a log back: nobody who is linked with us has what it cites."""
        tape.truncate(tape.admitted)
        self.forget(tape)
        self._tapes.drop(tape)

    def forget(self, tape: Tape) -> None:
        """The entries that were next on this tape are so no more."""
        self._forget_next(tape.log)
        self._blobs.forget_log(tape.log)
