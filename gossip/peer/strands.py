"""Strands: the other branches of logs that were signed twice, as far as entries cite them.

    an entry held back whose `heads` is not of the logs held here
        --Trace--> Rows: (peer, size, root) that hash to it
            --a row that no branch here has--> Want(root), further and further back --> Entries: a branch of its own

Rules kept here: nothing of a branch is admitted before it was seen to lead to what was cited; one branch of a peer's
log is fetched at a time, and little of it waits. Whoever passed on an entry holds what it cites: one that cannot say
so, or show it, loses its link, and the entry is not held back any longer if nobody else has it.

It refuses to know what a fork means (forks.py, ledger/standing.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gossip.events import LinkId
from gossip.limits import Limits
from gossip.peer.admission import Admission
from gossip.peer.book import Book
from gossip.peer.forks import TIMER, Forks
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.rumour import Rumour
from gossip.peer.tape import Tape, Tapes
from gossip.wire.frames import MAX_ROWS, NO_HASH, Differs, Entries, Rows, Trace, Want
from ledger.canonical import decode_entry, entry_hash
from ledger.chain import LogId, heads_hash, peer_of, strand_id
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError

MAX_TRIES: Final = 8  # unanswered questions to the one who must know
MAX_QUESTS: Final = 64  # branches fetched at once, one per peer

Row = tuple[PeerId, int, bytes]
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
    bringer: LinkId  # who sent the entry must know; of others who hold it we only hope so
    tries: dict[LinkId, int] = field(default_factory=dict)  # of all that were asked and did not answer in time
    rows: list[Row] = field(default_factory=list)
    total: int = -1  # rows, as its first answer has it
    is_whole: bool = False
    was_tried: bool = False  # with everything that it cites admitted

    def start_with(self, ask: Question) -> None:
        """Ask somebody else, from the first row on."""
        self.ask, self.rows, self.total = ask, [], -1


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
    asked: dict[tuple[int, Hash], None] = field(default_factory=dict)  # places where it was said to differ

    def restart(self) -> None:
        """What is here has changed: choose anew where to begin."""
        self.start, self.step = -1, 1
        self.asked.clear()
        self.ask.deadline, self.ask.tries = 0.0, 0


class Strands:
    """What one peer looks for. `tapes` is shared with the rest of the machine."""

    def __init__(
        self, book: Book, tapes: Tapes, rumour: Rumour, admission: Admission, forks: Forks, pace: Pace, out: Outbox,
        blame: Blame, limits: Limits,
    ) -> None:  # fmt: skip
        self._limits = limits
        self._replica = book.replica
        self._tapes = tapes
        self._rumour = rumour
        self._admission = admission
        self._forks = forks
        self._pace = pace
        self._out = out
        self._blame = blame
        self._tracing: dict[LogId, Tracing] = {}
        self._quests: dict[PeerId, Quest] = {}

    def missing(self) -> int:
        """Entries of branches that are cited and not here."""
        sizes = ((quest.size, quest.start) for quest in self._quests.values())
        return sum(max(1, size - max(0, start)) for size, start in sizes)

    def grew(self, log: LogId) -> None:
        """More of a log is admitted: if it has branches, what was in doubt may be clear now."""
        if peer_of(log) in self._rumour.forked:
            self._admission.retry()
        if peer_of(log) in self._rumour.forked or peer_of(log) != log:  # (a branch need not be a proof of anything)
            self._forks.grew(log)

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
            if (trace.entry, trace.seq) != (frame.entry, frame.seq) or trace.is_whole:
                continue
            if link != trace.ask.link:
                if link not in trace.tries or len(frame.rows) < frame.total:
                    continue
                trace.start_with(Question(link, now))  # late, and all of it
            if frame.first != len(trace.rows):
                continue  # an answer to a question asked twice
            if len(frame.rows) != min(MAX_ROWS, frame.total - frame.first) or trace.total not in (-1, frame.total):
                raise RemoteError("what an entry cites was told in crumbs", why=f"{len(frame.rows)} of {frame.total}")
            self._pace.heard(link, now - trace.ask.since)
            trace.rows += frame.rows
            trace.total = frame.total
            trace.ask.deadline, trace.ask.tries = 0.0, 0
            if len(trace.rows) < frame.total:
                continue
            trace.is_whole = True
            heads = [bytes.fromhex(peer) + size.to_bytes(8, "big") + root for peer, size, root in trace.rows]
            if heads_hash(heads) != trace.heads:
                trace.rows, trace.total, trace.is_whole = [], -1, False
                raise RemoteError("what an entry cites was told wrongly", why=f"entry {frame.seq} of {frame.log[:12]}")

    def tick(self, now: float) -> None:
        """Ask what is due."""
        self._look_at_what_waits(now)
        if self._tracing or self._quests:
            self._out.heed(now)
        for quest in tuple(self._quests.values()):
            self._pursue(quest, now)

    def _look_at_what_waits(self, now: float) -> None:
        stuck = self._admission.stuck()
        if stuck:
            self._out.heed(now)
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
                trace = Tracing(tape.admitted, entry_hash(held.data), heads, Question(held.link), held.link)
                self._tracing[log] = trace
            if not self._rumour.is_up(trace.ask.link) and not self._ask_another(log, trace):
                continue
            if trace.is_whole:
                self._chase(tape, trace)
            else:
                self._take_turns(log, trace, now)
                self._ask(trace.ask, Trace(peer_of(log), trace.seq, trace.entry, len(trace.rows)), now)

    def _ask_another(self, log: LogId, trace: Tracing) -> bool:
        """Who sent an entry is gone: another may know. If nobody holds it, it is not held back any longer."""
        self._forget(log)
        others = self._rumour.holders(log, trace.seq)
        if not others:
            self._admission.release(self._tapes[log])
            return False
        trace.bringer = min(others)
        trace.tries.clear()
        if trace.is_whole:
            trace.ask = Question(trace.bringer)
        else:
            trace.start_with(Question(trace.bringer))
        self._tracing[log] = trace
        return True

    def _take_turns(self, log: LogId, trace: Tracing, now: float) -> None:
        """An answer is late: before the same is asked again, whoever else holds that entry may say."""
        if not trace.ask.deadline or now < trace.ask.deadline:
            return
        tries = trace.tries
        tries[trace.ask.link] = trace.ask.tries + 1
        holders = {trace.bringer, *self._rumour.holders(log, trace.seq)}
        left = [link for link in holders if self._rumour.is_up(link) and tries.get(link, 0) < MAX_TRIES]
        link = min(left, key=lambda link: (tries.get(link, 0), link), default=trace.bringer)
        if link == trace.ask.link:
            return
        trace.start_with(Question(link, tries=tries.get(link, 0)))

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
            self._rumour.need(peer, size, trace.ask.link, citing)  # only behind, as far as we know
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

    def on_differs(self, link: LinkId, frame: Differs, now: float) -> None:
        """Somebody holds another entry than we do: evidence, and for what we look for a step back."""
        quest = self._quests.get(frame.log)
        is_sought = quest is not None and quest.ask.link == link
        same = self._forks.on_differs(link, frame, now, is_sought=is_sought)
        quest = self._quests.get(frame.log)
        if same is not None and quest is not None and quest.ask.link == link and quest.start == frame.start:
            self._step_back(quest, same, now)

    def _step_back(self, quest: Quest, same: list[Tape], now: float) -> None:
        """It is another branch at that place: go on from one of ours that is the same there, or look further back.

        What leads to where it was said to differ before is no answer: with its tries, so ends the link.
        """
        start, step = quest.start, quest.step
        if same:
            prev = self._rumour.hash_before(same[0], start)
        else:
            start, step = max(0, start - step), 2 * step
            trunk = self._tapes.get(quest.peer)
            prev = self._rumour.hash_before(trunk, start) if trunk is not None else NO_HASH
        quest.asked[quest.start, quest.prev] = None
        if (start, prev) in quest.asked:
            return
        self._pace.heard(quest.ask.link, now - quest.ask.since)
        quest.ask.deadline, quest.ask.tries = 0.0, 0
        quest.start, quest.step, quest.prev = start, step, prev

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
        self._forks.found(tape, branch, at, now)
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
            if self._unsure_bytes(link) > self._limits.branch_bytes:
                self._end_quest(quest)
                raise RemoteError("a branch is too long to be held back", why=f"{tape.known} of {quest.size} entries")
            return
        if tape.tree.root(quest.size) == quest.root:
            tape.sure, tape.is_cited = max(tape.sure, quest.size), True
            self._end_quest(quest)
            return
        self._end_quest(quest)
        raise RemoteError("entries are of another branch than was asked for")

    def _unsure_bytes(self, link: LinkId) -> int:
        """Of all branches that are being fetched from a link."""
        peers = [quest.peer for quest in self._quests.values() if quest.ask.link == link]
        return sum(tape.held_bytes for peer in peers for tape in self._tapes.branches(peer))

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


def _row(head: bytes) -> Row:
    """One item of the list that `heads` hashes, as it travels."""
    return head[:32].hex(), int.from_bytes(head[32:40], "big"), head[40:]


def _prev(data: bytes) -> Hash:
    """What an entry says about the one before it; "" if it cannot be read."""
    try:
        return decode_entry(data).prev
    except RemoteError:
        return ""
