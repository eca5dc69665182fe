"""Forks: an author that signed two histories is shown to have done so, and what is cited of them is fetched.

    Have, another head --> Want(prev ours) --> Differs: its entry, proof, note     + ours = evidence -> `accuse`
    an entry held back whose `heads` is not of the logs held here
        --Trace--> Rows: (peer, size, root) that hash to it
            --a row that no branch here has--> Want(root), further and further back --> Entries: a branch of its own

Rules kept here: evidence is the author's signature on two entries at one index, so who brings it need not be
believed; each peer that finds a fork on nobody's record puts it on record. From then on nothing of that log is wanted
but what entries cite, and nothing of a branch is admitted before it was seen to lead to what was cited. Whoever
passed on an entry holds what it cites: one that cannot say so, or show it, loses its link. What we hold of an accused
log and nobody cites we cite, so that all come to hold the same.

It refuses to know what follows for the model (ledger/standing.py), and what entries say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gossip.events import LinkId
from gossip.peer.admission import Admission
from gossip.peer.author import Author, chain
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book
from gossip.peer.homecoming import Homecoming
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Tape, Tapes
from gossip.wire.frames import MAX_ROWS, NO_HASH, Differs, Entries, Rows, Trace, Want
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import LogId, heads_hash, peer_of, strand_id
from ledger.checkpoint import open_note, origin
from ledger.entry import Accuse, AnyEntry, Hash, PeerId
from ledger.errors import RemoteError
from ledger.fork import check_evidence, make_evidence
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.proof import TlogProof

MAX_TRIES: Final = 8  # unanswered questions to the one who must know
MAX_QUESTS: Final = 64  # branches fetched at once, one per peer
MAX_UNSURE: Final = 8 * 1024 * 1024  # bytes of branches that are not yet seen to lead to what was cited
ACCUSE_S: Final = 0.3  # at most, before an accusation is written: another's may be on its way
CITE_S: Final = 5.0  # to 10: what we alone hold of an accused log is cited by then
LOOK_S: Final = 1.0
TIMER: Final = "forks"

Row = tuple[PeerId, int, bytes]
Half = tuple[bytes, TlogProof]  # an entry, and that its author signed it
Blame = Callable[[LinkId, RemoteError], None]


@dataclass(slots=True)
class Question:
    """Something that one link must be able to answer."""

    link: LinkId
    since: float = 0.0
    deadline: float = 0.0  # 0: to be asked
    tries: int = 0


@dataclass(slots=True)
class Tracing:
    """An entry held back, and what it cites as far as we were told."""

    seq: int
    entry: Hash
    heads: Hash
    ask: Question
    rows: list[Row] = field(default_factory=list)
    is_whole: bool = False
    was_tried: bool = False  # with everything that it cites admitted


@dataclass(slots=True)
class Quest:
    """A branch that is fetched because an entry of `citing` names it: that of `peer` with `root` at `size`."""

    peer: PeerId
    size: int
    root: bytes
    citing: LogId
    ask: Question
    start: int = -1  # -1: to be chosen
    prev: Hash = NO_HASH
    step: int = 1

    def restart(self) -> None:
        """What is here has changed: choose anew where to begin."""
        self.start, self.step = -1, 1
        self.ask.deadline, self.ask.tries = 0.0, 0


class Forks:
    """What one peer knows of forks. `tapes` is shared with the rest of the machine."""

    def __init__(
        self, own: PeerId, book: Book, tapes: Tapes, rumour: Rumour, admission: Admission, author: Author, blobs: Blobs,
        home: Homecoming, pace: Pace, luck: Luck, out: Outbox, blame: Blame,
    ) -> None:  # fmt: skip
        self._own = own
        self._book = book
        self._replica = book.replica
        self._tapes = tapes
        self._rumour = rumour
        self._admission = admission
        self._author = author
        self._blobs = blobs
        self._home = home
        self._pace = pace
        self._luck = luck
        self._out = out
        self._blame = blame
        self._evidence: dict[PeerId, tuple[int, bytes]] = {}  # the lowest index that we can prove
        self._write_at: dict[PeerId, float] = {}
        self._accused: dict[PeerId, Accuse] = {}  # the admitted one with the lowest index
        self._comparing: dict[PeerId, tuple[int, Question]] = {}
        self._tracing: dict[LogId, Tracing] = {}
        self._quests: dict[PeerId, Quest] = {}
        self._cited: dict[LogId, int] = {}  # how much of a branch of an accused log others cite
        self._cite_at: dict[LogId, float] = {}
        self._look_at = 0.0

    # -------------------------------------------------------------- what is known

    def learn(self, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        if isinstance(entry, Accuse):
            known = self._accused.get(entry.peer)
            if known is None or entry.index < known.index:
                self._accused[entry.peer] = entry
            if entry.index >= self._replica.size(entry.peer) or self._replica.void_from(entry.peer) is not None:
                self._mark(entry.peer)

    def grew(self, log: LogId) -> None:
        """More of a log is admitted: if it has branches, what was in doubt may be clear now."""
        peer = peer_of(log)
        if peer in self._rumour.forked:
            self._admission.retry()
            self._cited.pop(log, None)
        if log != peer == self._own:
            self._home.stop()

    def _mark(self, peer: PeerId) -> None:
        """From now on nothing of that log is wanted but what somebody cites."""
        if peer not in self._rumour.forked:
            self._rumour.forked[peer] = None
            for tape in self._tapes.branches(peer):
                tape.sure = tape.admitted
                if not tape.stopped:
                    self._admission.release(tape)
        if peer == self._own:
            self._home.stop()

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to put on record, and nothing that only we hold."""
        return not self._write_at and not self._cite_at and not self._quests

    def missing(self) -> int:
        """Entries of branches that are cited and not here."""
        sizes = ((quest.size, quest.start) for quest in self._quests.values())
        return sum(max(1, size - max(0, start)) for size, start in sizes)

    # -------------------------------------------------------------- evidence

    def on_differs(self, link: LinkId, frame: Differs, now: float) -> None:
        """Somebody holds another entry than we do. RemoteError if the log's author did not sign it."""
        peer, start = frame.log, frame.start
        branches = [tape for tape in self._tapes.branches(peer) if tape.known >= start]
        if not branches:
            return
        theirs = (frame.entry, TlogProof(start - 1, frame.proof, frame.note))
        self._verify(branches[0], theirs)  # a branch of ours has the same keys up to where it parts
        for tape in branches:
            self._rumour.settle(tape.log, link)
        self._comparing.pop(peer, None)
        same = [tape for tape in branches if self._rumour.entry(tape, start - 1) == frame.entry]
        for tape in branches:
            if tape not in same:
                self._prove(peer, start - 1, self._half(tape, start - 1), theirs, now)
        quest = self._quests.get(peer)
        if quest is not None and quest.ask.link == link and quest.start == start:
            self._step_back(quest, same, now)

    def _verify(self, tape: Tape, half: Half) -> None:
        """RemoteError unless the author signed for that entry at that place."""
        entry, proof = half
        keys = [promise.key for promise in tape.promises]
        for key in keys:
            try:
                checkpoint = open_note(proof.note, key)
            except RemoteError:
                continue
            if checkpoint.origin != origin(self._replica.swarm, peer_of(tape.log)):
                raise RemoteError("a checkpoint is of another log")
            verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
            return
        raise RemoteError("another entry came without its author's signature")

    def _half(self, tape: Tape, index: int) -> Half | None:
        """Our entry at that place with its author's signature, if we have both."""
        entry, cover = self._rumour.entry(tape, index), tape.cover_of(index)
        if entry is None or index >= cover.reach:
            return None
        return entry, TlogProof(index, cover.inclusion(tape.tree, index), cover.note)

    def _prove(self, peer: PeerId, index: int, one: Half | None, other: Half | None, now: float) -> None:
        """Two entries at one place: keep the evidence, and see to it that it is on record."""
        if one is None or other is None or one[0] == other[0]:
            return
        evidence = make_evidence(one, other)
        if not self._would_convince(peer, index, evidence):
            return
        self._mark(peer)
        known = self._evidence.get(peer)
        if known is not None and known[0] <= index:
            return
        self._evidence[peer] = (index, evidence)
        self._write_at.setdefault(peer, now + self._luck.uniform(0, ACCUSE_S))
        self._out.note("forked", peer=peer, seq=index)

    def _would_convince(self, peer: PeerId, index: int, evidence: bytes) -> bool:
        """Whether everybody would take it: not what somebody signed with a key that the log has left behind."""
        replica = self._replica
        if not replica.enrolled(peer):
            return False

        def keys(size: int) -> set[bytes]:
            return {replica.key_at(log, min(size, replica.size(log))) for log in replica.strands(peer)}

        try:
            check_evidence(evidence, origin(replica.swarm, peer), index, keys)
        except RemoteError:
            return False
        return True

    def _put_on_record(self, now: float) -> None:
        for peer, at in tuple(self._write_at.items()):
            index, blob = self._evidence[peer]
            known = self._accused.get(peer)
            if peer == self._own or (known is not None and known.index <= index):
                del self._write_at[peer]
            elif now < at:
                self._out.timer(TIMER, at)
            elif self._may_accuse(peer):
                del self._write_at[peer]
                self._accuse(peer, index, blob, now)

    def _may_accuse(self, peer: PeerId) -> bool:
        return self._author.may_write and bool(self._author.role) and self._author.can_cite(peer)

    def _accuse(self, peer: PeerId, index: int, blob: bytes, now: float) -> None:
        fields = self._author.draft()
        digest = sha256(blob).hexdigest()
        entry = Accuse(**chain(fields), peer=peer, charge="fork", index=index, evidence=digest, bytes=len(blob))
        self._author.write(fields, entry, now, blob)

    def _cite_what_only_we_hold(self, now: float) -> None:
        """Whoever admitted something of an accused log before it knew better names it, so that others can have it."""
        for peer, accusation in self._accused.items():
            for tape in self._tapes.branches(peer):
                log, held = tape.log, self._replica.size(tape.log)
                if held <= tape.fork or self._cited.get(log, 0) >= held or self._is_cited(tape, held):
                    self._cite_at.pop(log, None)
                    continue
                at = self._cite_at.setdefault(log, now + CITE_S * (1 + self._luck.uniform(0, 1)))
                if now < at or peer == self._own or not self._may_accuse(peer):
                    continue
                blob = self._blobs.find(accusation.evidence)
                if blob is not None:
                    del self._cite_at[log]
                    self._accuse(peer, accusation.index, blob, now)

    def _is_cited(self, tape: Tape, size: int) -> bool:
        peer = peer_of(tape.log)
        for log, held in self._replica.heads().items():
            if peer_of(log) != peer and self._replica.past(log, held).get(tape.log, 0) >= size:
                self._cited[tape.log] = size
                return True
        return False

    # -------------------------------------------------------------- what entries cite

    def on_trace(self, link: LinkId, frame: Trace) -> None:
        """Say which logs an entry cites that we passed on."""
        for tape in self._tapes.branches(frame.log):
            if (
                tape.fork <= frame.seq < tape.admitted
                and entry_hash(self._replica.data(tape.log, frame.seq)) == frame.entry
            ):
                rows = [_row(head) for head in self._replica.cited(tape.log, frame.seq)]
                part = tuple(rows[frame.first : frame.first + MAX_ROWS])
                if part or not rows:
                    first = frame.first if part else 0
                    self._out.send(link, Rows(frame.log, frame.seq, frame.entry, first, len(rows), part))
                return

    def on_rows(self, link: LinkId, frame: Rows, now: float) -> None:
        """What an entry held back cites. RemoteError if that is not what its author wrote."""
        for trace in self._tracing.values():
            if (trace.entry, trace.seq) != (frame.entry, frame.seq) or trace.ask.link != link or trace.is_whole:
                continue
            if frame.first != len(trace.rows):
                continue  # an answer to a question asked twice
            self._pace.heard(link, now - trace.ask.since)
            trace.rows += frame.rows
            trace.ask.deadline, trace.ask.tries = 0.0, 0
            if len(trace.rows) < frame.total:
                continue
            trace.is_whole = True
            heads = [bytes.fromhex(peer) + size.to_bytes(8, "big") + root for peer, size, root in trace.rows]
            if heads_hash(heads) != trace.heads:
                trace.rows, trace.is_whole = [], False
                raise RemoteError("what an entry cites was told wrongly", why=f"entry {frame.seq} of {frame.log[:12]}")

    def _look_at_what_waits(self, now: float) -> None:
        stuck = self._admission.stuck()
        for log in [log for log in self._tracing if log not in stuck]:
            self._forget(log)
        for log in sorted(stuck):
            tape = self._tapes.get(log)
            if tape is None or not tape.held:
                continue  # given up a moment ago, with what cited it
            trace = self._tracing.get(log)
            if trace is None or trace.seq != tape.admitted:
                self._forget(log)
                held = tape.held[0]
                heads = decode_entry(held.data).heads
                trace = Tracing(tape.admitted, entry_hash(held.data), heads, Question(held.link))
                self._tracing[log] = trace
            if not self._rumour.is_up(trace.ask.link) and not self._ask_another(log, trace):
                continue
            if trace.is_whole:
                self._chase(tape, trace)
            else:
                self._ask(trace.ask, Trace(peer_of(log), trace.seq, trace.entry, len(trace.rows)), now)

    def _forget(self, log: LogId) -> None:
        """An entry waits no more: what was fetched for it alone is not wanted."""
        self._tracing.pop(log, None)
        for quest in [quest for quest in self._quests.values() if quest.citing == log]:
            self._end_quest(quest)

    def _chase(self, tape: Tape, trace: Tracing) -> None:
        """See to it that every branch an entry cites is here."""
        is_here = True
        for peer, size, root in trace.rows:
            found = [t for t in self._tapes.branches(peer) if t.known >= size and t.tree.root(size) == root]
            if not found:
                is_here = False
                self._seek(peer, size, root, tape.log, trace)
            elif all(self._replica.size(t.log) < size for t in found):
                is_here = False
                for branch in found:
                    branch.sure = max(branch.sure, size)
        if not is_here:
            trace.was_tried = False
        elif not trace.was_tried:
            trace.was_tried = True
            self._admission.retry()
        elif self._admission.is_disputed(tape.log):
            self._admission.refuse(tape)

    def _seek(self, peer: PeerId, size: int, root: bytes, citing: LogId, trace: Tracing) -> None:
        branches = self._tapes.branches(peer)
        if peer not in self._rumour.forked and not any(t.known >= size or t.stopped for t in branches):
            self._rumour.need(peer, size, trace.ask.link)  # only behind, as far as we know
        elif peer not in self._quests and len(self._quests) < MAX_QUESTS:
            for branch in branches:
                if not branch.stopped:
                    branch.truncate()
            self._quests[peer] = Quest(peer, size, root, citing, Question(trace.ask.link))

    # -------------------------------------------------------------- fetching branches

    def expects(self, peer: PeerId, link: LinkId) -> bool:
        """Whether entries of that log were asked of that link here."""
        quest = self._quests.get(peer)
        return quest is not None and quest.ask.link == link

    def _pursue(self, quest: Quest, now: float) -> None:
        if quest.start < 0:
            branches = self._tapes.branches(quest.peer)
            usable = {tape.log: tape.admitted if tape.stopped else tape.known for tape in branches}
            at = max((min(size, quest.size - 1) for size in usable.values()), default=0)
            ahead = [tape for tape in branches if usable[tape.log] >= at]
            quest.start, quest.prev = at, self._rumour.hash_before(ahead[0], at) if ahead else NO_HASH
        want = Want(quest.peer, quest.start, quest.size, quest.prev, quest.root.hex())
        self._ask(quest.ask, want, now)

    def _step_back(self, quest: Quest, same: list[Tape], now: float) -> None:
        """It is another branch at that place: go on from one of ours that is the same there, or look further back."""
        self._pace.heard(quest.ask.link, now - quest.ask.since)
        quest.ask.deadline, quest.ask.tries = 0.0, 0
        if same:
            before = self._rumour.hash_before(same[0], quest.start)
            if before == quest.prev:
                raise RemoteError("a branch is said to differ where it does not")
            quest.prev = before
            return
        quest.start = max(0, quest.start - quest.step)
        quest.step *= 2
        trunk = self._tapes.get(quest.peer)
        quest.prev = self._rumour.hash_before(trunk, quest.start) if trunk is not None else NO_HASH

    def place(self, frame: Entries, link: LinkId, now: float) -> tuple[Tape, Entries] | None:
        """Which branch a stretch goes on with, and the part that is new there. None if it is not to be taken in.

        A stretch that shows another entry than one that is admitted makes a branch of its own if we are looking for
        one, and evidence in any case.
        """
        best: tuple[int, Tape] | None = None
        prev = _prev(frame.entries[0])
        for tape in self._tapes.branches(frame.log):
            if tape.known < frame.start or self._rumour.hash_before(tape, frame.start) != (prev or NO_HASH):
                continue
            at = frame.start
            for data in frame.entries:
                if at >= tape.known or self._rumour.entry(tape, at) != data:
                    break
                at += 1
            if best is None or at > best[0]:
                best = (at, tape)
        if best is None:
            tape = self._tapes.get(frame.log) or Tape(frame.log)
            return (tape, frame) if tape.known == frame.start else None
        at, tape = best
        rest = frame.entries[at - frame.start :]
        if not rest:
            return None
        part = Entries(frame.log, at, frame.note, frame.proof, rest)
        if at == tape.known:
            return (tape, part)
        return self._branch(tape, at, part, link, now)

    def _branch(self, tape: Tape, at: int, part: Entries, link: LinkId, now: float) -> tuple[Tape, Entries] | None:
        while tape.parent is not None and at <= tape.fork:
            tape = tape.parent
        name = strand_id(part.log, at, entry_hash(part.entries[0]))
        if at == 0 or (name in self._tapes and self._tapes[name].known > at):
            return None
        branch = tape.branch(name)
        if not self._admission.hold(branch, part, link):
            return None
        self._prove(part.log, at, self._half(tape, at), self._half(branch, at), now)
        if not self.expects(part.log, link):
            return None
        if at >= tape.admitted:
            if tape.is_cited and not tape.stopped and tape.admitted < tape.sure:
                # Entries of another branch will be admitted there: this one can leave it only after them.
                self._quests[part.log].ask.tries = 0
                return None
            tape.sure = min(tape.sure, at)  # nothing from there on was admitted: no need for two
            self._admission.reopen(tape, at)
            if tape.known == at:
                return (tape, part)
            self._quests[part.log].restart()
            return None
        return (tape.branch(name), part)

    def arrived(self, tape: Tape, link: LinkId, now: float) -> None:
        """Entries of a branch came in. RemoteError if they do not lead to what was asked for."""
        quest = self._quests.get(peer_of(tape.log))
        if quest is None or quest.ask.link != link:
            return
        self._pace.heard(link, now - quest.ask.since)
        quest.ask.deadline, quest.ask.tries = 0.0, 0
        if tape.known < quest.size:
            quest.start, quest.prev, quest.step = tape.known, self._rumour.hash_before(tape, tape.known), 1
            if tape.held_bytes > MAX_UNSURE:
                self._end_quest(quest)
                raise RemoteError("a branch is too long to be held back", why=f"{tape.known} of {quest.size} entries")
            return
        if tape.tree.root(quest.size) == quest.root:
            tape.sure, tape.is_cited = max(tape.sure, quest.size), True
            self._end_quest(quest)
            return
        self._end_quest(quest)
        raise RemoteError("entries are of another branch than was asked for")

    def _end_quest(self, quest: Quest) -> None:
        """Keep what is known to be cited, and no more."""
        self._quests.pop(quest.peer, None)
        for tape in self._tapes.branches(quest.peer):
            if not tape.stopped:
                tape.truncate()
            self._tapes.drop(tape)

    # -------------------------------------------------------------- asking

    def _ask(self, question: Question, frame: Trace | Want, now: float) -> None:
        """Send it, again if the answer is late. Who must know and never answers loses its link."""
        if question.deadline and now >= question.deadline:
            question.tries += 1
            question.deadline = 0.0
        if question.tries >= MAX_TRIES:
            question.tries = 0
            self._blame(question.link, RemoteError("an entry was passed on without what it cites"))
            return
        if not question.deadline:
            question.since = now
            question.deadline = now + self._pace.wait_s(question.link, question.tries)
            self._out.send(question.link, frame)
        self._out.timer(TIMER, question.deadline)

    def link_down(self, link: LinkId) -> None:
        """What is still to be known about an entry held back, somebody else is asked (_look_at_what_waits)."""
        for peer, (_, question) in tuple(self._comparing.items()):
            if question.link == link:
                del self._comparing[peer]

    def _ask_another(self, log: LogId, trace: Tracing) -> bool:
        """Who sent an entry is gone: another may know. If nobody holds it, it is not held back any longer."""
        self._forget(log)
        others = self._rumour.holders(log, trace.seq)
        if not others:
            self._admission.release(self._tapes[log])
            return False
        trace.ask = Question(min(others))
        if not trace.is_whole:
            trace.rows = []
        self._tracing[log] = trace
        return True

    def tick(self, now: float) -> None:
        """Ask what is due, and put on record what is not."""
        self._compare(now)
        self._look_at_what_waits(now)
        for quest in tuple(self._quests.values()):
            self._pursue(quest, now)
        self._put_on_record(now)
        if self._accused and now >= self._look_at:
            self._look_at = now + LOOK_S
            self._cite_what_only_we_hold(now)
        if self._cite_at:
            self._out.timer(TIMER, self._look_at)

    def _compare(self, now: float) -> None:
        """Where somebody says that another entry is the last at a size than ours, ask to be shown."""
        odd, self._rumour.odd = self._rumour.odd, {}
        for peer, (link, size) in odd.items():
            if peer not in self._comparing and peer not in self._rumour.forked:
                self._comparing[peer] = (size, Question(link))
        for peer, (size, question) in tuple(self._comparing.items()):
            tape = self._tapes.get(peer)
            if question.deadline and now >= question.deadline:
                question.tries, question.deadline = question.tries + 1, 0.0
            if tape is None or tape.known < size or question.tries >= MAX_TRIES or peer in self._rumour.forked:
                del self._comparing[peer]
                continue
            if not question.deadline:
                question.deadline = now + self._pace.wait_s(question.link, question.tries)
                self._out.send(question.link, Want(peer, size, size + 1, self._rumour.hash_before(tape, size)))
            self._out.timer(TIMER, question.deadline)


def _row(head: bytes) -> Row:
    """One item of the list that `heads` hashes, as it travels."""
    return head[:32].hex(), int.from_bytes(head[32:40], "big"), head[40:]


def _prev(data: bytes) -> Hash:
    """What an entry says about the one before it; "" if it cannot be read."""
    try:
        return decode_entry(data).prev
    except RemoteError:
        return ""
