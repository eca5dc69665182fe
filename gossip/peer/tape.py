"""One log as it arrives: what is admitted, what is held back, what is signed for, where it stops.

    0 ......... admitted ......... known                     cover.size
    | in the replica |  held back   |   signed, not yet here   |

    0 ....... closed (older key) ....... r | r+1 ....... cover (key in force)      entry r is the change of keys

Rules kept here: leaves enter only under a checkpoint that the log's author signed and that agrees with every leaf
before them, so nobody but the author can make us hold anything; what is held back is counted against the link
that brought it; a log that broke a rule stops for ever. Nobody can check a key before the entry that names it, so
what stands before a change of keys is served under the last checkpoint by the older key, and what comes in one
message stands under one key. Of a log that was signed twice each branch is a tape, and nothing beyond `sure` is
admitted: that much is cited by somebody. It refuses to know what the entries say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gossip.events import LinkId
from gossip.wire.frames import MAX_BATCH, MAX_PROOF, Entries, entries_room
from ledger.chain import MAX_LOG_SIZE, LogId, fork_of, peer_of
from ledger.checkpoint import open_note
from ledger.cover import Cover, cover, grown_root, kept
from ledger.entry import PeerId
from ledger.errors import RemoteError
from ledger.kept import StoredCheckpoint
from ledger.merkle import Tree, leaf_hash, verify_consistency
from ledger.promise import Promise, follow_keys


def closed_name(log: LogId, change: int) -> str:
    """The name under which the store keeps a log's last checkpoint before entry `change`, which changed the key."""
    return f"{log}@{change}"


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that is signed for, but not yet admitted, and the link that brought it."""

    data: bytes
    link: LinkId


class Tapes(dict[LogId, "Tape"]):
    """Every log that we know of, each branch of it under an id of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.holding: dict[LogId, None] = {}  # logs of which something was held back, those long done included
        self._strands: dict[PeerId, list[LogId]] = {}

    def __setitem__(self, log: LogId, tape: Tape) -> None:
        if log not in self and peer_of(log) != log:
            self._strands.setdefault(peer_of(log), []).append(log)
        tape.holding = self.holding
        if tape.held:
            self.holding[log] = None
        super().__setitem__(log, tape)

    def waiting(self) -> list[Tape]:
        """Of which something is held back."""
        return [tape for log in self.holding if (tape := self.get(log)) is not None and tape.held]

    def ready(self) -> list[LogId]:
        """Whose first held entry may be admitted, if its past is here; in a fixed order."""
        found = []
        for log in sorted(self.holding):
            tape = self.get(log)
            if tape is None or not tape.held:
                del self.holding[log]
            elif tape.is_ready:
                found.append(log)
        return found

    def drop(self, tape: Tape) -> None:
        """Forget a strand of which nothing is here but what its parent has."""
        if tape.parent is not None and tape.known == tape.fork and self.get(tape.log) is tape:
            del self[tape.log]
            self._strands[peer_of(tape.log)].remove(tape.log)

    def branches(self, peer: PeerId) -> list[Tape]:
        """What we know of one peer's log, the trunk first."""
        trunk = self.get(peer)
        return [] if trunk is None else [trunk, *(self[log] for log in self._strands.get(peer, ()))]


class Tape:
    """The log `log`, of which the first `admitted` entries are in the replica."""

    __slots__ = (
        "admitted", "bad", "closed", "cover", "fork", "held", "held_bytes", "holding", "is_cited", "log", "parent",
        "promises", "stopped", "sure", "tree",
    )  # fmt: skip

    def __init__(self, log: LogId, leaves: Iterable[bytes] = ()) -> None:
        self.log = log
        self.parent: Tape | None = None  # of a strand: the branch that it left at `fork`
        self.fork = fork_of(log)
        self.sure = MAX_LOG_SIZE
        self.is_cited = False  # that far, by an entry that we hold
        self.bad: bytes | None = None  # the entry at `admitted` that stopped this log
        self.tree = Tree(leaves)  # every leaf we know: admitted, held, and behind a stop
        self.admitted = self.tree.size
        self.held: deque[Held] = deque()
        self.held_bytes = 0
        self.holding: dict[LogId, None] = {}  # of all tapes (Tapes)
        self.cover = Cover()
        self.promises: list[Promise] = []  # whose keys, as of every entry we know; the last is in force
        self.closed: list[tuple[int, Cover]] = []  # (r, the last cover by the key before entry r), rising
        self.stopped = False

    @classmethod
    def restored(
        cls, log: LogId, tree: Tree, entries: Iterable[bytes],
        find: Callable[[str], StoredCheckpoint | None],
    ) -> Tape:  # fmt: skip
        """A log as the store held it, under the checkpoint stored with it, if the log reaches as far as that says."""
        tape = cls(log, (tree.leaf(index) for index in range(tree.size)))
        for seq, data in enumerate(entries):
            tape._follow_keys(seq, data)
        for promise in tape.promises[1:]:
            older = find(closed_name(log, promise.since))
            if older is not None:
                cover = kept(older.size, older.note, older.held, older.proof, tree)
                tape.closed.append((promise.since, cover))
        stored = find(log)
        if stored is not None and 0 < stored.held <= tree.size:
            tape.cover = kept(stored.size, stored.note, stored.held, stored.proof, tree)
        return tape

    def branch(self, log: LogId) -> Tape:
        """Another branch of this log, called `log`: its entries up to the fork are known, for they are ours."""
        tape = Tape(log)
        tape.parent, tape.admitted, tape.sure = self, tape.fork, tape.fork
        tape.tree = self.tree.prefix(tape.fork)
        tape.promises = [promise for promise in self.promises if promise.since < tape.fork]
        tape.closed = [(change, older) for change, older in self.closed if change < tape.fork]
        tape.cover = self._cover_up_to(tape.fork)
        return tape

    def _cover_up_to(self, size: int) -> Cover:
        """The checkpoint over the first `size` entries (at least 1), for whoever will know no more than those."""
        older = self.cover_of(size - 1)
        if size >= older.reach:
            return older
        return cover(older.size, older.root, older.note, size, older.proof(self.tree, size))

    def truncate(self, size: int | None = None) -> None:
        """Give up what is held back beyond `size` (if not given: what is not sure to be cited), and a stop."""
        size = (
            self.admitted if self.stopped else max(self.admitted, min(self.sure if size is None else size, self.known))
        )
        self.stopped, self.bad = False, None
        if size == self.known:
            return
        if size:
            self.cover = self._cover_up_to(size)
        self.tree = self.tree.prefix(size)
        self.promises = [promise for promise in self.promises if promise.since < size]
        self.closed = [(change, older) for change, older in self.closed if change < size]
        while len(self.held) > size - self.admitted:
            self.held_bytes -= len(self.held.pop().data)

    @property
    def is_ready(self) -> bool:
        """Whether the next entry is here, and may be admitted once its past is."""
        return bool(self.held) and self.admitted < self.sure

    def held_at(self, seq: int) -> bytes | None:
        """An entry that is here and not yet admitted."""
        at = seq - self.admitted
        if self.stopped:
            return self.bad if at == 0 else None
        return self.held[at].data if 0 <= at < len(self.held) else None

    @property
    def promise(self) -> Promise | None:
        """The key in force after every entry we know, and the digest of the next; None before the log enrols."""
        return self.promises[-1] if self.promises else None

    def _follow_keys(self, seq: int, data: bytes) -> None:
        before = self.promise
        after = follow_keys(before, seq, data)
        if after is not None and after is not before:
            self.promises.append(after)

    @property
    def known(self) -> int:
        return self.tree.size

    @property
    def servable(self) -> int:
        """How much can be given to others: admitted, and under a checkpoint."""
        return min(self.admitted, self.cover.reach)

    @property
    def signed(self) -> int:
        """How much is here, admitted or held back, and under a checkpoint."""
        return self.admitted if self.stopped else min(self.known, self.cover.reach)

    def may_grow(self, limit_bytes: int) -> bool:
        """Whether more of it is to be asked for, if so much of it may wait."""
        return not self.stopped and self.held_bytes < limit_bytes

    def cover_of(self, index: int) -> Cover:
        """The checkpoint by the key that was in force at entry `index`."""
        return next((older for change, older in self.closed if index < change), self.cover)

    def change_key(self) -> None:
        """The next entry changes the author's key: what stands before it keeps the checkpoint that it has."""
        self.closed.append((self.known, self.cover))

    def take(self, frame: Entries, origin: str, public: bytes, link: LinkId, *, changes_key: bool = False) -> int:
        """Hold what is new in a stretch. Returns how many entries were. RemoteError if it is not the author's.

        `public` is the key in force after these entries; `changes_key` if the first that is new puts it in force.
        """
        skip = self.known - frame.start
        if skip < 0 or skip >= len(frame.entries) or self.stopped:
            return 0  # a late answer; nothing wrong with it
        fresh = frame.entries[skip:]
        leaves = [leaf_hash(data) for data in fresh]
        end = frame.start + len(frame.entries)
        checkpoint = open_note(frame.note, public)
        if checkpoint.origin != origin:
            raise RemoteError("a checkpoint is of another log")
        root = grown_root(self.tree, leaves)
        verify_consistency(end, checkpoint.size, root, checkpoint.root, frame.proof)  # nor beyond their checkpoint
        if changes_key:
            self.change_key()
        for data, leaf in zip(fresh, leaves, strict=True):
            self._follow_keys(self.known, data)
            self.tree.append(leaf)
            self.held.append(Held(data, link))
            self.held_bytes += len(data)
            self.holding[self.log] = None
        # Even if it signs less than the last one: this one agrees with every leaf we hold now.
        self.cover = cover(checkpoint.size, checkpoint.root, frame.note, end, frame.proof)
        return len(fresh)

    def admit(self) -> Held:
        """The first held entry went into the replica."""
        held = self.held.popleft()
        self.held_bytes -= len(held.data)
        self.admitted += 1
        return held

    def stop(self) -> None:
        """The first held entry can never be admitted: nothing more of this log is wanted."""
        self.stopped = True
        self.bad = self.held[0].data if self.held else None
        self.held.clear()
        self.held_bytes = 0

    def extend(self, data: bytes) -> None:
        """An own entry, admitted as it is written."""
        self._follow_keys(self.known, data)
        self.tree.append(leaf_hash(data))
        self.admitted += 1

    def serve(self, start: int, stop: int, read: Callable[[int], bytes | None]) -> Entries | None:
        """What fits one message of start..stop (at most `signed`), with its proof; None if there is nothing to give."""
        cover = self.cover_of(start)
        stop = min([stop, self.signed, start + MAX_BATCH, *(change for change, _ in self.closed if start < change)])
        room = entries_room(cover.note, ())
        batch: list[bytes] = []
        for seq in range(start, stop):
            data = read(seq)
            if data is None or (room := room - 2 - len(data)) < 0:
                break
            batch.append(data)
        while batch:  # a proof may need the room of the last entries
            proof = cover.proof(self.tree, start + len(batch))
            frame = Entries(peer_of(self.log), start, cover.note, proof, tuple(batch))
            if len(proof) <= MAX_PROOF and sum(2 + len(data) for data in batch) <= entries_room(frame.note, proof):
                return frame
            batch.pop()
        return None
