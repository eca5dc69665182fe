"""Forks: an author that signed two histories is shown to have done so, and that is put on record.

    Have, another head --> Want(prev ours) --> Differs: its entry, proof, note     + ours = evidence -> `accuse`

Rules kept here: evidence is the author's signature on two entries at one index, so who brings it need not be
believed, and what others would not accept as proof is none; each peer that finds a fork on nobody's record puts it
on record. From then on nothing of that log is wanted but what entries cite (strands.py). What we hold of an accused
log and nobody cites we cite, so that all come to hold the same.

It refuses to know how branches are fetched, what follows for the model (ledger/standing.py), and what entries say.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

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
from gossip.wire.frames import NO_HASH, Differs, Want
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.checkpoint import open_note, origin
from ledger.entry import Accuse, AnyEntry, Hash, PeerId
from ledger.errors import RemoteError
from ledger.fork import check_evidence, make_evidence
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.proof import TlogProof

MAX_TRIES: Final = 8  # unanswered questions about an entry that is said to differ
ACCUSE_S: Final = 0.3  # at most, before an accusation is written: another's may be on its way
CITE_S: Final = 5.0  # to 10: what we alone hold of an accused log is cited by then
LOOK_S: Final = 1.0
TIMER: Final = "forks"

Charge = Literal["fork", "opening"]
Half = tuple[bytes, TlogProof]  # an entry, and that its author signed it


@dataclass(slots=True)
class Comparison:
    """A link says that another entry than ours is the last of `size`: it is asked to show it."""

    link: LinkId
    size: int
    prev: Hash = NO_HASH  # as it was asked
    deadline: float = 0.0  # 0: to be asked
    tries: int = 0


class Forks:
    """What one peer can prove of forks, and what is on record. `tapes` is shared with the rest of the machine."""

    def __init__(
        self, own: PeerId, book: Book, tapes: Tapes, rumour: Rumour, admission: Admission, author: Author, blobs: Blobs,
        home: Homecoming, pace: Pace, luck: Luck, out: Outbox,
    ) -> None:  # fmt: skip
        self._own = own
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
        self._evidence: dict[PeerId, tuple[int, bytes]] = {}  # the lowest index that we can prove
        self._write_at: dict[PeerId, float] = {}
        self._accused: dict[PeerId, Accuse] = {}  # the admitted one with the lowest index
        self._comparing: dict[PeerId, Comparison] = {}
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
            self._mark_if_void(entry.peer)

    def grew(self, log: LogId) -> None:
        """More of a log with branches is admitted."""
        self._cited.pop(log, None)
        if log != peer_of(log) == self._own:
            self._home.stop()

    def _mark_if_void(self, peer: PeerId) -> None:
        """An accusation with a key that a log has left behind, or of an entry that it does not have, ends nothing."""
        if peer not in self._rumour.forked and self._replica.void_from(peer) is not None:
            self._mark(peer)

    def _mark(self, peer: PeerId) -> None:
        """From now on nothing of that log is wanted but what somebody cites."""
        if peer not in self._rumour.forked:
            self._rumour.forked[peer] = None
            for tape in self._tapes.branches(peer):
                tape.sure = tape.admitted
                if not tape.stopped:
                    self._admission.release(tape)
        if peer == self._own:
            known = self._accused.get(peer)
            self._home.stop(is_fork=known is None or known.charge == "fork")

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to put on record, and nothing that only we hold."""
        return not self._write_at and not self._cite_at

    def tick(self, now: float) -> None:
        """Ask what is due, and put on record what is not."""
        self._compare(now)
        self._put_on_record(now)
        if self._accused and now >= self._look_at:
            self._look_at = now + LOOK_S
            for peer in self._accused:  # a log may have grown to where it is accused
                self._mark_if_void(peer)
            self._cite_what_only_we_hold(now)
        if self._accused:
            self._out.heed(self._look_at)
        if self._cite_at:
            self._out.timer(TIMER, self._look_at)

    # -------------------------------------------------------------- evidence

    def on_differs(self, link: LinkId, frame: Differs, now: float, *, is_sought: bool = False) -> list[Tape] | None:
        """Somebody holds another entry than we do. The branches that have it, too; None if we hold none that far.

        RemoteError if the log's author did not sign it, or if it is just the entry that we asked with, unless the
        answer may be to a question of strands.py (`is_sought`). A question that is answered so stays open until its
        time is over, and counts as one without an answer: or it would be asked again at once, for ever.
        """
        peer, start = frame.log, frame.start
        branches = [tape for tape in self._tapes.branches(peer) if tape.known >= start]
        if not branches:
            return None
        theirs = (frame.entry, TlogProof(start - 1, frame.proof, frame.note))
        self._verify(branches[0], theirs)  # a branch of ours has the same keys up to where it parts
        asked = {prev for tape in branches if (prev := self._rumour.asked(tape.log, link, start)) is not None}
        compared = self._comparing.get(peer)
        if compared is not None and (compared.link, compared.size) == (link, start):
            asked.add(compared.prev)
            del self._comparing[peer]
        if asked == {entry_hash(frame.entry)} and not is_sought:
            raise RemoteError("a log is said to differ where it does not", why=f"entry {start - 1} of {peer[:12]}")
        same = [tape for tape in branches if self._rumour.entry(tape, start - 1) == frame.entry]
        for tape in branches:
            if tape not in same:
                self._prove(peer, start - 1, self._half(tape, start - 1), theirs, now)
        return same

    def found(self, tape: Tape, branch: Tape, index: int, now: float) -> None:
        """Another branch than `tape` came, which parts from it at `index`."""
        self._prove(peer_of(tape.log), index, self._half(tape, index), self._half(branch, index), now)

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

    def _compare(self, now: float) -> None:
        """Where somebody says that another entry is the last at a size than ours, ask to be shown."""
        odd, self._rumour.odd = self._rumour.odd, {}
        for peer, (link, size) in odd.items():
            if peer not in self._comparing and peer not in self._rumour.forked:
                self._comparing[peer] = Comparison(link, size)
        for peer, asked in tuple(self._comparing.items()):
            tape = self._tapes.get(peer)
            if asked.deadline and now >= asked.deadline:
                asked.tries, asked.deadline = asked.tries + 1, 0.0
            is_due = tape is not None and tape.known >= asked.size and self._rumour.is_up(asked.link)
            if tape is None or not is_due or asked.tries >= MAX_TRIES or peer in self._rumour.forked:
                del self._comparing[peer]
                continue
            if not asked.deadline:
                asked.deadline = now + self._pace.wait_s(asked.link, asked.tries)
                asked.prev = self._rumour.hash_before(tape, asked.size)
                self._out.send(asked.link, Want(peer, asked.size, asked.size + 1, asked.prev))
            self._out.timer(TIMER, asked.deadline)

    # -------------------------------------------------------------- on record

    def _put_on_record(self, now: float) -> None:
        for peer, at in tuple(self._write_at.items()):
            index, blob = self._evidence[peer]
            if peer == self._own or self._is_on_record(peer, index):
                del self._write_at[peer]
            elif now < at:
                self._out.timer(TIMER, at)
            elif self._may_accuse(peer):
                del self._write_at[peer]
                self._accuse(peer, "fork", index, blob, now)

    def _is_on_record(self, peer: PeerId, index: int) -> bool:
        """Whether an accusation says as much. One with a key that the log has left behind says nothing of it."""
        known = self._accused.get(peer)
        if known is None or known.index > index:
            return False
        convicted = self._replica.convicted_at(peer)
        return known.index >= self._replica.size(peer) or (convicted is not None and convicted <= index)

    def _may_accuse(self, peer: PeerId) -> bool:
        return self._author.may_write and bool(self._author.role) and self._author.can_cite(peer)

    def _accuse(self, peer: PeerId, charge: Charge, index: int, blob: bytes, now: float) -> None:
        fields = self._author.draft()
        digest = sha256(blob).hexdigest()
        entry = Accuse(**chain(fields), peer=peer, charge=charge, index=index, evidence=digest, bytes=len(blob))
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
                    self._accuse(peer, accusation.charge, accusation.index, blob, now)

    def _is_cited(self, tape: Tape, size: int) -> bool:
        peer = peer_of(tape.log)
        for log, held in self._replica.heads().items():
            if peer_of(log) != peer and self._replica.past(log, held).get(tape.log, 0) >= size:
                self._cited[tape.log] = size
                return True
        return False
