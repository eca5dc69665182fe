"""The peer: one machine with one door, `handle(event, now) -> effects`.

    Received --> frames --> rumour (what exists) --> tapes (who signed) --> admission (is it valid)
                              |  blobs (deltas)  <--------'                     |
                              |  strands, forks (two histories)                 |
    Trained --> rounds --> author (own log) ------------------------------> book (replica + fold)
    Found, LinkUp, LinkDown --> links           Vouch, Tally --> witnessing (cosigning) --> author

This file composes the parts and decides nothing that one of them could. Rules kept here: whatever a link sends
ends at most that link; nothing is read from a clock, a disk or a global generator; the same events give the
same effects. The shell (gossip/node) and the simulator (gossip/sim) carry the effects out.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import Final, assert_never

from gossip.config import PeerConfig
from gossip.events import (
    Anchored,
    DataReady,
    DialFailed,
    Drain,
    Effect,
    Event,
    Found,
    Inspected,
    Judged,
    LinkDown,
    LinkId,
    LinkUp,
    NewKey,
    NewPolicy,
    Received,
    RecordsOpened,
    Started,
    Stored,
    Timer,
    Trained,
    TrainingFailed,
    WitnessedStored,
)
from gossip.peer.admission import Admission
from gossip.peer.author import Author
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book, Shelf
from gossip.peer.forks import Forks
from gossip.peer.homecoming import Homecoming
from gossip.peer.links import TIMER as LINKS_TIMER
from gossip.peer.links import Links, Live
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.quota import Allowance
from gossip.peer.rounds import Rounds
from gossip.peer.rumour import Rumour
from gossip.peer.serving import Serving
from gossip.peer.status import LinkStatus, PeerStatus, State, TailLine, told
from gossip.peer.strands import Strands
from gossip.peer.tape import Tape, Tapes
from gossip.peer.witnessing import Witnessing
from gossip.wire import codec
from gossip.wire.frames import (
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Piece,
    Rows,
    Tally,
    Trace,
    Vouch,
    Want,
    WantBlob,
)
from ledger.chain import peer_of
from ledger.entry import GRID_ONE, AnyEntry, Enrol, Hash, Member, PeerId, Recover, Role, Rotate, Update
from ledger.errors import RemoteError
from ledger.keys import PrivateKey
from ledger.promise import Promise
from ledger.replica import Checked, InvalidEntry

TAIL: Final = 8  # entries shown to people
_INVITED: Final[dict[str, Role]] = {
    "trainer": "trainer",
    "observer": "observer",
    "auditor": "auditor",
    "relay": "relay",
}


class Peer:
    """One member of one swarm, or somebody on the way to become one.

    `book` is what the store held (restore(), or Book.empty() for a joiner), `shelf` looks things up in the store,
    `luck` is a seeded generator of its own, `mark` the size and root of its own log that it last signed, if ever.
    """

    def __init__(
        self, config: PeerConfig, *, key: PrivateKey, self_id: PeerId, book: Book, shelf: Shelf, luck: Luck,
        mark: tuple[int, Hash] | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._book = book
        self._now = 0.0
        self._out = out = Outbox()
        replica = book.replica
        self._tapes = Tapes()
        for log, size in replica.heads().items():
            entries = (replica.data(log, seq) for seq in range(size))
            self._tapes[log] = Tape.restored(log, replica.tree(log), entries, shelf.checkpoint)
        self._names: dict[PeerId, str] = {}
        self._keys: dict[bytes, PeerId] = {}  # of everybody enrolled, members or not
        self._allowances: dict[LinkId, Allowance] = {}
        self._merged = 0
        self._first_merge_at: float | None = None
        self._tail: deque[TailLine] = deque(maxlen=TAIL)
        self._is_drained = False
        self._links = Links(
            config, key.public, luck, out, replica.member_by_key, lambda: len(self._members), self._gone
        )
        self._pace = Pace(config.request_s)
        self._rumour = Rumour(config, self_id, replica, self._tapes, self._links, luck, self._pace, out)
        self._blobs = Blobs(self._pace, out, shelf, self._rumour.holders)
        book.find = self._blobs.find
        self._serving = Serving(self_id, replica)
        self._admission = Admission(
            book, self._tapes, self._blobs, self._rumour, out, blame=self._blame, admitted=self._admitted
        )
        self._home = Homecoming(
            self_id, replica, self._tapes, self._rumour, self._links, out, mark, restored=config.restored
        )
        self._author = Author(self_id, key, book, self._tapes, self._rumour, self._home, out, self._wrote)
        self._forks = Forks(
            self_id, book, self._tapes, self._rumour, self._admission, self._author, self._blobs, self._home,
            self._pace, luck, out,
        )  # fmt: skip
        self._strands = Strands(
            book, self._tapes, self._rumour, self._admission, self._forks, self._pace, out, self._blame
        )
        self._admission.branches = self._strands
        self._rounds = Rounds(config, book, self._author, out, self._missing)
        self._members: set[PeerId] = set()  # counted and asked, never iterated
        self._witnessing = Witnessing(
            config, self._author, book, self._links, shelf, out, self._blobs.find, luck, lambda: self._members,
            self._suspect,
        )  # fmt: skip
        self._replan = False
        for log, tape in self._tapes.items():
            for seq in range(tape.fork, replica.size(log)):
                self._learn(log, replica.entry(log, seq))

    # -------------------------------------------------------------- the door

    def handle(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Let something happen. The effects are to be carried out in order."""
        self._now = now
        match event:
            case Started():
                if self._home.start(now):
                    self._author.resume(now)
                self._replan = True
            case Found():
                self._links.found(event, now)
                self._replan = True
            case LinkUp():
                self._link_up(event)
            case LinkDown(link, reason):
                live = self._links.down(link, now)
                if live is not None:
                    self._gone(live, reason)
            case DialFailed():
                self._links.failed(event, now)
                self._replan = True
            case Received(link, message):
                self._received(link, message)
            case DataReady():
                self._rounds.data_ready(event)
            case Trained():
                self._rounds.trained(event, now)
            case TrainingFailed(_, reason):
                self._rounds.failed(reason)
            case Stored(seq):
                self._author.on_stored(seq, now)
            case WitnessedStored(log, size):
                self._witnessing.stored(log, size, now)
            case NewKey():
                self._author.new_key(event)
            case Anchored():
                self._author.anchored(event)
            case RecordsOpened() | Inspected() | Judged() | NewPolicy():
                pass
            case Timer(name):
                self._out.rang(name)
                self._replan = self._replan or name == LINKS_TIMER
            case Drain():
                self._rounds.drain()
            case _:
                assert_never(event)
        self._settle()
        return self._out.take()

    def _settle(self) -> None:
        """Do everything that has become possible."""
        now = self._now
        self._admission.advance(now)
        self._come_home()
        self._enrol()
        self._author.change_key(now)
        self._author.write_stamps(now)
        self._let_in()
        self._rounds.tick(now)
        self._witnessing.tick(now)
        self._strands.tick(now)
        self._forks.tick(now)
        self._rumour.pull(now)
        self._blobs.pump(now)
        self._rumour.tick(now)
        self._links.own_key = self._author.public
        if self._replan:
            self._replan = False
            self._links.plan(now)
        if self._drained() and not self._is_drained:
            self._is_drained = True
            self._out.note("drained", model=self._book.model_hash(), updates=self._rounds.published)

    # -------------------------------------------------------------- links

    def _link_up(self, event: LinkUp) -> None:
        self._replan = True
        live = self._links.up(event, self._now)
        if live is not None:
            self._allowances[live.link] = Allowance(self._now)
            self._rumour.link_up(live, self._now)
            self._witnessing.link_up(live)
            self._out.note("link_up", peer=live.peer or "", name=self._name(live.peer), dialled=live.dialled)

    def _gone(self, live: Live, reason: str) -> None:
        self._replan = True
        self._allowances.pop(live.link, None)
        self._pace.link_down(live.link)
        self._rumour.link_down(live.link)
        self._blobs.link_down(live.link)
        self._witnessing.link_down(live.link)
        self._out.note("link_down", peer=live.peer or "", name=self._name(live.peer), reason=reason)

    def _blame(self, link: LinkId, error: RemoteError) -> None:
        """A link brought what no honest peer sends."""
        about = {"log": error.log, "seq": error.seq, "rule": error.rule} if isinstance(error, InvalidEntry) else {}
        live = self._links.get(link)
        peer = live.peer if live is not None else None
        self._out.note("refused", peer=peer or "", name=self._name(peer), text=str(error), **about)
        if live is not None:
            self._links.drop(link, str(error), self._now, shun=True)

    def _suspect(self, log: PeerId, size: int, link: LinkId) -> None:
        """The author of a log signed another history than we hold, as a link told us in good faith."""
        self._rumour.odd[log] = (link, size)

    def _received(self, link: LinkId, message: bytes) -> None:
        live = self._links.get(link)
        if live is None:
            return  # dropped; what was on its way does not matter
        try:
            self._allowances[link].charge(self._now, message)
            self._frame(live, codec.decode(message))
        except RemoteError as error:
            self._blame(link, error)

    def _frame(self, live: Live, frame: Frame) -> None:
        link = live.link
        match frame:
            case Digest():
                self._rumour.on_digest(link, frame)
            case Have():
                self._rumour.on_have(link, frame)
            case Want():
                self._rumour.on_want(link, frame)
            case Entries():
                log = self._admission.take(live, frame, self._now)
                if log is not None:
                    self._rumour.answered(log, link, self._now)
                    self._allowances[link].give_back()
            case Differs():
                self._strands.on_differs(link, frame, self._now)
            case Trace():
                self._strands.on_trace(link, frame)
            case Rows():
                self._strands.on_rows(link, frame, self._now)
            case WantBlob():
                self._blobs.on_want(link, frame, lambda blob: self._serving.leave(frame.hash, blob, live.peer))
            case Piece():
                if self._blobs.on_piece(link, frame, self._now):
                    self._allowances[link].give_back()
            case Lacks():
                self._blobs.on_lacks(link, frame, self._now)
            case Vouch():
                self._witnessing.on_vouch(live, frame, self._allowances[link], self._now)
            case Tally():
                self._witnessing.on_tally(live, frame, self._allowances[link], self._now)
            case _:
                assert_never(frame)

    # -------------------------------------------------------------- members

    def _come_home(self) -> None:
        """The own log is written and signed once it is known to be whole."""
        if not self._home.is_home and self._home.tick(self._now):
            self._author.resume(self._now)

    def _missing(self) -> int:
        return self._rumour.missing() + self._strands.missing()

    def _enrol(self) -> None:
        """A joiner's first entry goes in as soon as it knows what swarm it is in."""
        if self._config.enrol and not self._author.is_enrolled and self._book.replica.has_genesis:
            self._author.enrol(self._config.enrol, self._now)

    def _let_in(self) -> None:
        """As an admin, admit the guests that came with a ticket of ours and have enrolled."""
        if self._author.role != "admin" or not self._author.may_write:
            return
        for live in self._links:
            peer = self._keys.get(live.key)
            role = _INVITED.get(live.role)
            if live.peer is None and peer is not None and role is not None and not self._book.replica.role_of(peer):
                if not self._author.can_cite(peer):  # too much that is new for one entry
                    self._rounds.catch_up(self._now)
                if self._author.can_cite(peer):
                    self._author.admit_member(peer, role, self._now)

    # -------------------------------------------------------------- what was admitted

    def _wrote(self, checked: Checked, blob: bytes | None) -> None:
        if blob is not None:
            self._blobs.used(sha256(blob).hexdigest(), blob)
        self._heard(checked)

    def _admitted(self, checked: Checked) -> None:
        entry = checked.entry
        if checked.log == self._author.own:
            self._author.found_again(checked)
            self._rounds.found_again(checked)
        elif isinstance(entry, Update) and checked.weight is not None:
            self._merged += 1
            if self._first_merge_at is None:
                self._first_merge_at = self._now
            self._rounds.merged(checked)
            self._out.note(
                "merged",
                peer=checked.log,
                name=self._name(checked.log),
                seq=checked.seq,
                weight=checked.weight / GRID_ONE,
            )
        for breach in checked.refused:
            self._out.note(
                "refused", peer=checked.log, name=self._name(checked.log), seq=checked.seq, rule=breach.rule,
                text=f"left out by the policy: {breach.rule} is {breach.value}, the limit {breach.limit}",
            )  # fmt: skip
        self._heard(checked)

    def _heard(self, checked: Checked) -> None:
        entry, log = checked.entry, checked.log
        self._learn(log, entry)
        self._witnessing.grew(log, self._now)
        kind = str(entry.__struct_config__.tag)
        self._tail.append(TailLine(log, self._name(log), checked.seq, kind, told(checked, self._names)))
        self._out.note("entry", peer=log, name=self._name(log), seq=checked.seq, kind=kind, text=self._tail[-1].text)
        if isinstance(entry, Member):
            self._out.note("admitted", peer=entry.peer, name=self._name(entry.peer), role=entry.role, by=log)
            self._links.recognise()
            self._rumour.look_again()
            self._replan = True
        elif isinstance(entry, Enrol) and log == self._book.replica.founder:
            self._links.recognise()
            self._replan = True
        elif isinstance(entry, Rotate | Recover):
            since = {"since": entry.since} if isinstance(entry, Recover) else {}
            self._out.note("rotated", peer=log, name=self._name(log), seq=checked.seq, key=entry.key, **since)
            self._links.recognise()
            self._replan = True

    def _learn(self, log: PeerId, entry: AnyEntry) -> None:
        """Names, keys, the number of members, and what witnesses look for."""
        self._witnessing.learn(log, entry)
        self._forks.learn(entry)
        self._serving.learn(log, entry)
        match entry:
            case Enrol():
                self._names[log] = entry.name
                self._keys.setdefault(bytes.fromhex(entry.key), log)
                if log == self._book.replica.founder:
                    self._members.add(log)
            case Rotate() | Recover():
                self._keys[bytes.fromhex(entry.key)] = log
            case Member():
                self._members.add(entry.peer)
            case _:
                pass

    def _name(self, peer: PeerId | None) -> str:
        return self._names.get(peer_of(peer), "") if peer else ""

    # -------------------------------------------------------------- for the shell

    @property
    def is_seeking(self) -> bool:
        """Whether this peer may have forgotten who is a member, and dials whoever says to be of its swarm."""
        return self._links.seeks

    def promise(self) -> Promise | None:
        """What the own log says about its keys, as far as it is stored and signed for; None before it enrols."""
        tape = self._tapes.get(self._author.own)
        found = [promise for promise in tape.promises if promise.since < tape.servable] if tape is not None else []
        return found[-1] if found else None

    @property
    def is_home(self) -> bool:
        """Whether the own log is known to be whole."""
        return self._home.is_home

    @property
    def may_write(self) -> bool:
        """Whether the own log is known to be whole, and its key is here."""
        return self._author.may_write

    # -------------------------------------------------------------- for people

    def _drained(self) -> bool:
        is_stored = self._author.stored == self._author.size
        return self._rounds.settled and is_stored and self._missing() == 0 and self._forks.is_settled

    def _state(self) -> State:
        if self._rounds.draining:
            return "drained" if self._drained() else "draining"
        if not self._author.role:
            return "joining"
        if self._rounds.training:
            return "training"
        return "resting" if self._rounds.can_train else "observing"

    def status(self) -> PeerStatus:
        """What a person may want to know, now."""
        replica, rounds = self._book.replica, self._rounds
        heads = replica.heads()
        witnessed, witnesses = self._witnessing.witnessed
        return PeerStatus(
            state=self._state(),
            peer=self._author.own,
            role=self._author.role,
            swarm_name=replica.genesis.name if replica.has_genesis else "",
            rounds=rounds.done,
            updates=rounds.published,
            merged=self._merged,
            entries=sum(heads.values()),
            members=len(self._members),
            missing=self._missing(),
            staleness=rounds.staleness,
            weight=rounds.weight,
            scores=rounds.scores,
            model_hash=self._book.model_hash(),
            heads=heads,
            first_merge_at=self._first_merge_at,
            drained=self._drained(),
            witnessed=witnessed,
            witnesses=tuple(self._name(peer) or peer[:8] for peer in witnesses),
            final_at=self._witnessing.final_at,
            links=tuple(
                LinkStatus(live.link, live.peer or "", self._name(live.peer), live.key, live.dialled, live.up_at)
                for live in self._links
            ),
            tail=tuple(self._tail),
        )
