"""What must hold in every swarm after every event, looked at from outside, by who sees all machines at once.

    written     whatever a peer holds of another's log, that one's disk held first, byte for byte; every blob is the one
                that its entry names; a peer signs for no entry of its own that is not on its disk
    append      a log that a peer holds only grows, each entry names the one before it, and none ever changes
    lost        after a restart everything is there that was on the disk
    promise     what a witness said of a log it says again, or it says more; never another root of one size
    weight      of every update 0..1 on the grid, and never more than eta
    model       changes only by an admission; recomputed from the entries it is the same; one past, one model
    heads       at the end all who are up hold the same entries and the same model

Why it exists: a machine that deceives itself passes all its own checks. This is told of every event, write and restart,
and keeps books of its own; it shares nothing with a machine but the bytes. After an event it looks at what that event
changed, which costs a few microseconds; at a few moments, and at the end, at all of it.

Rules kept here: it changes nothing, so a swarm that is watched has the same trace; what it finds is a value with the
time and the peer (Broken), and the simulation goes on. Each rule has a test in which somebody breaks it. Machines whose
author is in `but` may write what they like: the rules hold for what the others make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from gossip.events import Append, Keep, KeepVote, KeepWitnessed
from gossip.peer import Book, restore
from gossip.sim.disk import Memory
from gossip.sim.report import Broken
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import LogId, fork_of, peer_of
from ledger.entry import GRID_ONE, Accuse, Anchor, AnyEntry, Data, Genesis, Hash, Opening, PeerId, PolicyChange, Update

if TYPE_CHECKING:
    from gossip.sim.station import SimPeer, Write

MAX_BROKEN: Final = 100
_PROBED: Final = 64  # places of a model that are looked at after every event

Arithmetic = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class _Facts:
    """Of an entry, the same for everybody who holds it."""

    hash: Hash
    prev: Hash
    blob: Hash  # that it names; "" if none
    weight: int | None  # of an update


@dataclass(slots=True)
class _Seen:
    """One machine, as it was after its last event."""

    memory: Memory
    admitted: int = 0
    chains: dict[LogId, list[Hash]] = field(default_factory=dict)
    order: list[tuple[LogId, int, bytes]] = field(default_factory=list)
    probe: bytes = b""


class Invariants:
    """The books of who sees everything. `arithmetic` makes what models are recomputed with."""

    def __init__(
        self, swarm: Hash, founder: PeerId, eta: float, arithmetic: Arithmetic, elapsed_s: Callable[[], float],
        but: Iterable[PeerId] = (),
    ) -> None:  # fmt: skip
        self.broken: list[Broken] = []
        self._swarm = swarm
        self._founder = founder
        self._most = min(GRID_ONE, int(eta * GRID_ONE) + 1)
        self._arithmetic = arithmetic
        self._elapsed_s = elapsed_s
        self._but = frozenset(but)
        self._facts: dict[bytes, _Facts] = {}
        self._on_disk: dict[PeerId, set[Hash]] = {}  # own entries, by author, on any disk of that author's
        self._rows: dict[int, dict[tuple[LogId, int], Hash]] = {}  # by machine: what is on its disk
        self._promises: dict[int, dict[tuple[str, LogId], tuple[int, Any]]] = {}
        self._seen: dict[int, _Seen] = {}

    def _break(self, peer: int, rule: str, text: str) -> None:
        if len(self.broken) < MAX_BROKEN:
            self.broken.append(Broken(self._elapsed_s(), peer, rule, text))

    def _look(self, data: bytes) -> _Facts:
        found = self._facts.get(data)
        if found is None:
            entry = decode_entry(data)
            weight = entry.weight if isinstance(entry, Update) else None
            found = self._facts[data] = _Facts(entry_hash(data), entry.prev, _blob(entry), weight)
        return found

    # -------------------------------------------------------------- what machines tell

    def started(self, peer: SimPeer) -> None:
        """A machine has read its disk, and nothing has happened to it yet."""
        assert peer.book is not None
        replica, rows = peer.book.replica, self._rows.setdefault(peer.index, {})
        seen = self._seen.get(peer.index)
        if seen is None or seen.memory is not peer.memory:  # the first start, or from another disk: a backup, a copy
            rows.clear()
            self._promises.pop(peer.index, None)
            for log, seq, data in peer.memory.history:
                rows[log, seq] = self._look(data).hash
                if peer_of(log) == peer.self_id:
                    self._on_disk.setdefault(peer.self_id, set()).add(rows[log, seq])
        for (log, seq), digest in rows.items():
            is_there = seq < replica.size(log) and self._look(replica.data(log, seq)).hash == digest
            if not is_there and not self._waits(peer, log, seq):
                self._break(peer.index, "lost", f"entry {seq} of log {log[:12]} was on its disk")
        self._seen[peer.index] = _Seen(peer.memory)
        self.after(peer)

    def _waits(self, peer: SimPeer, log: LogId, seq: int) -> bool:
        """A joiner's own enrol entry waits for genesis; a branch may come back under another parent's name."""
        assert peer.book is not None
        rows = self._rows[peer.index]
        has_genesis = peer.book.replica.has_genesis
        if (seq == 0 and log == peer.self_id) or (not has_genesis and (self._founder, 0) not in rows):
            return True
        digest = rows[log, seq]
        logs = [other for other in peer.book.replica.heads() if peer_of(other) == peer_of(log) and other != log]
        replica = peer.book.replica
        return any(seq < replica.size(other) and self._look(replica.data(other, seq)).hash == digest for other in logs)

    def stored(self, peer: SimPeer, write: Write) -> None:
        """A write is on the disk of a machine."""
        match write:
            case Append(seq, entry, blob):
                self._row(peer, peer.self_id, seq, entry, blob)
                self._on_disk.setdefault(peer.self_id, set()).add(self._look(entry).hash)
            case Keep(log, seq, entry, blob):
                self._row(peer, log, seq, entry, blob)
                if peer_of(log) == peer.self_id:  # an own entry that came back from others
                    self._on_disk.setdefault(peer.self_id, set()).add(self._look(entry).hash)
            case KeepWitnessed(log, size, root):
                self._promised(peer, "witness", log, size, root)
            case KeepVote(log, size, digest):
                self._promised(peer, "vote", log, size, digest)

    def _row(self, peer: SimPeer, log: LogId, seq: int, entry: bytes, blob: bytes | None) -> None:
        facts, rows = self._look(entry), self._rows.setdefault(peer.index, {})
        if rows.setdefault((log, seq), facts.hash) != facts.hash:
            self._break(peer.index, "append", f"entry {seq} of log {log[:12]} is on its disk twice, and differs")
        if blob is not None and sha256(blob).hexdigest() != facts.blob:
            self._break(peer.index, "written", f"entry {seq} of log {log[:12]} is kept with another blob than it names")

    def _promised(self, peer: SimPeer, kind: str, log: LogId, size: int, what: object) -> None:
        promises = self._promises.setdefault(peer.index, {})
        before = promises.get((kind, log), (0, what))
        if size < before[0] or (size == before[0] and what != before[1]):
            self._break(peer.index, "promise", f"as {kind} it said {before[0]} of log {log[:12]}, and now {size}")
        promises[kind, log] = (size, what)

    def signed(self, peer: SimPeer, size: int) -> None:
        """A machine lets others have the first `size` entries of its own log."""
        rows = self._rows.get(peer.index, {})
        if (peer.self_id, size - 1) not in rows:
            self._break(peer.index, "written", f"it signs for {size} own entries, which its disk does not hold")

    def after(self, peer: SimPeer) -> None:
        """An event was handled. Called after every one of them."""
        book, seen = peer.book, self._seen.get(peer.index)
        if book is None or seen is None:
            return
        replica = book.replica
        if replica.admitted != seen.admitted:
            seen.admitted = replica.admitted
            for log, size in replica.heads().items():
                chain = seen.chains.setdefault(log, [])
                if size != len(chain):
                    self._grew(peer, seen, log, size, chain)
            for log in [log for log in seen.chains if not replica.size(log)]:
                self._break(peer.index, "append", f"log {log[:12]} is gone")
                del seen.chains[log]
            seen.probe = _probe(book)
        elif not seen.probe:
            seen.probe = _probe(book)  # what was owed is here
        elif _probe(book) != seen.probe:
            self._break(peer.index, "model", "it changed, and nothing was admitted")
            seen.probe = _probe(book)

    def _grew(self, peer: SimPeer, seen: _Seen, log: LogId, size: int, chain: list[Hash]) -> None:
        assert peer.book is not None
        author, own = peer_of(log), peer.self_id
        if size < len(chain):
            self._break(peer.index, "append", f"log {log[:12]} had {len(chain)} entries, and now has {size}")
            del chain[size:]
        written = self._on_disk.get(author, set())
        for seq in range(len(chain), size):
            data = peer.book.replica.data(log, seq)
            facts = self._look(data)
            if seq and facts.prev != chain[-1]:
                self._break(peer.index, "append", f"entry {seq} of log {log[:12]} does not follow the one before it")
            if author != own and author not in self._but and facts.hash not in written:
                self._break(peer.index, "written", f"it holds entry {seq} of log {log[:12]}, which its author does not")
            if facts.weight is not None and not 0 <= facts.weight <= self._most:
                self._break(peer.index, "weight", f"entry {seq} of log {log[:12]} weighs {facts.weight}")
            chain.append(facts.hash)
            if seq >= fork_of(log):
                seen.order.append((log, seq, data))

    # -------------------------------------------------------------- at a few moments

    def look_through(self, peers: Iterable[SimPeer], *, recompute: Iterable[SimPeer] = ()) -> None:
        """Look at all that these machines hold. Equal pasts have equal models; some models are recomputed."""
        models: dict[object, tuple[Hash, int]] = {}
        for peer in peers:
            seen, book = self._seen.get(peer.index), peer.book
            if seen is None or book is None or not (peer.is_up and book.replica.has_genesis):
                continue  # (what a dead machine held in memory is nobody's)
            if book.owed:
                continue  # it has no model, and says so
            for log, chain in seen.chains.items():
                held = [self._look(book.replica.data(log, seq)).hash for seq in range(book.replica.size(log))]
                if held != chain:
                    self._break(peer.index, "append", f"log {log[:12]} is not what it was")
            past = frozenset(chain[-1] for chain in seen.chains.values() if chain)
            model, other = models.setdefault(past, (book.model_hash(), peer.index))
            if model != book.model_hash():
                self._break(peer.index, "model", f"peer {other} holds the same entries, and another model")
        for peer in recompute:
            self._recompute(peer)

    def _recompute(self, peer: SimPeer) -> None:
        seen, book = self._seen.get(peer.index), peer.book
        if seen is None or book is None or not (peer.is_up and book.replica.has_genesis) or book.owed:
            return
        try:
            again = restore(self._swarm, self._founder, seen.order, peer.memory.ever, self._arithmetic())
        except Exception as error:  # whatever it is, these entries should not have been admitted
            self._break(peer.index, "model", f"what it holds cannot be admitted: {error}")
            return
        if again.model_hash() != book.model_hash() or again.replica.heads() != book.replica.heads():
            self._break(peer.index, "model", "recomputed from the entries it holds it is another one")

    def at_end(self, peers: list[SimPeer], honest: list[SimPeer]) -> None:
        """The swarm has had its time."""
        up = [peer for peer in honest if peer.is_up and peer.book is not None]
        groups: dict[object, SimPeer] = {}
        for peer in up:
            chains = self._seen[peer.index].chains.values()
            groups.setdefault(frozenset(chain[-1] for chain in chains if chain), peer)
        self.look_through(peers, recompute=groups.values())
        if len(groups) > 1:
            others = ", ".join(str(peer.index) for peer in list(groups.values())[1:])
            self._break(-1, "heads", f"peers {up[0].index} and {others} hold different entries")


def _blob(entry: AnyEntry) -> Hash:
    """The blob that an entry names and that is kept with it; "" if none."""
    match entry:
        case Update():
            return entry.delta
        case Accuse():
            return entry.evidence
        case Anchor():
            return entry.token
        case Data():
            return entry.sketch
        case Genesis() | PolicyChange():
            return entry.policy
        case Opening():
            return entry.opened
        case _:
            return ""


def _probe(book: Book) -> bytes:
    """A few places of the model; of a small one all. Nothing while it has none."""
    if book.fold is None or book.owed:
        return b""
    theta = book.fold.theta
    return bytes(theta[:: 1 + len(theta) // _PROBED].tobytes())
