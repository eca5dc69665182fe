"""The peer: one machine with one door, `handle(event, now) -> effects`.

    Received --> frames --> rumour (what exists) --> tapes (who signed) --> admission (is it valid)
                              |  blobs (deltas)  <--------'                     |
                              |  strands, forks (two histories)                 |
    Trained --> rounds --> author (own log) ------------------------------> book (replica + fold)
    Found, LinkUp, LinkDown --> links           Vouch, Tally --> witnessing (cosigning) --> author
    what was admitted --> inspection (is it any good) --> author      --> chronicle (names, words for people)

This file composes the parts (reception.py has the frames) and decides nothing that one could. Rules kept here:
whatever a link sends ends at most that link; nothing is read from a clock, a disk or a global generator; the same
events give the same effects. The shell (gossip/node) and the simulator (gossip/sim) carry the effects out.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from gossip.config import PeerConfig
from gossip.events import (
    Admit,
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
    NewRendezvous,
    Pause,
    Received,
    RecordsOpened,
    Relabelled,
    Revoking,
    ShardsCut,
    Started,
    Stored,
    Timer,
    Trained,
    TrainingFailed,
    WitnessedStored,
    Woke,
)
from gossip.peer.admission import Admission
from gossip.peer.arrival import Arrival
from gossip.peer.author import Author
from gossip.peer.blobs import Blobs
from gossip.peer.book import Book, Shelf
from gossip.peer.borrowing import Borrowing
from gossip.peer.calm import Calm
from gossip.peer.chronicle import Chronicle
from gossip.peer.departures import Departures
from gossip.peer.disk import Disk, blob_bytes
from gossip.peer.finals import Finals
from gossip.peer.following import Following
from gossip.peer.forks import Forks
from gossip.peer.homecoming import Homecoming
from gossip.peer.inspection import Inspection
from gossip.peer.lawmaking import Lawmaking
from gossip.peer.leading import Leading
from gossip.peer.lending import Lending
from gossip.peer.links import TIMER as LINKS_TIMER
from gossip.peer.links import Links
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.panel import Panel
from gossip.peer.presence import Presence
from gossip.peer.profile import Line, Profile, links_for
from gossip.peer.pruning import Pruning
from gossip.peer.quota import Quotas
from gossip.peer.reception import Reception
from gossip.peer.rendezvous import Rendezvousing
from gossip.peer.rounds import Rounds
from gossip.peer.rumour import Rumour
from gossip.peer.serving import Serving
from gossip.peer.status import Absent, LinkStatus, OutOfTurn, PaceStatus, PanelStatus, PeerStatus, State, TrainerPace
from gossip.peer.strands import Strands
from gossip.peer.tape import Tape, Tapes
from gossip.peer.welcome import Welcome
from gossip.peer.witnessing import Witnessing
from gossip.wire.frames import Rendezvous
from ledger.canonical import decode_entry
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Enrol, Hash, Member, PeerId, Recover, Revoke, Rotate, Verdict
from ledger.keys import PrivateKey
from ledger.promise import Promise
from ledger.replica import Checked


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
        self._calm = Calm(book.replica, out)
        replica = book.replica
        self._tapes = Tapes()
        for log, size in replica.heads().items():
            entries = (replica.data(log, seq) for seq in range(size))
            self._tapes[log] = Tape.restored(log, replica.tree(log), entries, shelf.checkpoint)
        self._chronicle = Chronicle(self_id, replica, out)
        self._members = self._chronicle.members
        self._is_drained = False
        self._links = Links(
            config, key.public, luck, out, lambda key: self._departures.member_by_key(key, self._now),
            lambda: len(self._members),
            lambda live, reason: self._reception.gone(live, reason),
        )  # fmt: skip
        self._pace = Pace(config.request_s)
        self._disk = Disk(self_id, config.limits.disk_bytes, replica.role_of)
        self._quotas = Quotas(config.limits)
        self._rumour = Rumour(config, self_id, replica, self._tapes, self._links, luck, self._pace, self._disk, out)
        self._blobs = Blobs(self._pace, out, shelf, self._rumour.holders, config.limits)
        self._blobs.links = lambda: [live.link for live in self._links]
        book.find = self._blobs.find
        self._finals = Finals(book, shelf, out, self._blobs, self._missing)
        self._pruning = Pruning(config, book, self._blobs, out, self._missing)
        self._arrival = Arrival(
            config, book, self._links, self._pace, out, self._finals, self._blobs, self._rumour,
            lambda link, error: self._reception.blame(link, error), self._chronicle.name,
        )  # fmt: skip
        self._serving = Serving(self_id, replica)
        self._admission = Admission(
            book, self._tapes, self._blobs, self._rumour, out, limits=config.limits,
            blame=lambda link, error: self._reception.blame(link, error), admitted=self._admitted,
        )  # fmt: skip
        self._home = Homecoming(
            self_id, replica, self._tapes, self._rumour, self._links, out, mark, restored=config.restored
        )
        self._author = Author(self_id, key, book, self._tapes, self._rumour, self._home, out, self._wrote)
        self._forks = Forks(
            self_id, book, self._tapes, self._rumour, self._admission, self._author, self._blobs, self._home,
            self._pace, luck, out,
        )  # fmt: skip
        self._strands = Strands(
            book, self._tapes, self._rumour, self._admission, self._forks, self._pace, out,
            lambda link, error: self._reception.blame(link, error), config.limits,
        )  # fmt: skip
        self._admission.branches = self._strands
        self._profile = Profile()
        self._presence = Presence(self_id, replica)
        self._panel = Panel(self_id, replica, config.window_s, out)
        self._rounds = Rounds(
            config, book, self._author, out, self._expected, self._profile, self._line, self._panel
        )  # fmt: skip
        self._witnessing = Witnessing(
            config, self._author, book, self._links, shelf, out, self._blobs.find, luck, lambda: self._members,
            self._suspect,
        )  # fmt: skip
        self._inspection = Inspection(
            config, self._author, book, self._blobs, out, luck, lambda: self._members,
            lambda peer: peer in self._rumour.forked, self._serving.is_for_all,
        )  # fmt: skip
        self._leading = Leading(
            config, book, self._links, self._rumour, self._blobs, out, lambda: self._pace.bytes_s
        )  # fmt: skip
        self._following = Following(
            config, book, self._links, self._rumour, self._blobs, out,
            lambda link, error: self._reception.blame(link, error), self._chronicle.name,
        )  # fmt: skip
        self._blobs.is_leader = self._following.is_leader
        self._lending = Lending(
            config, self_id, replica, self._links, self._rounds, self._profile, out, self._chronicle.name
        )
        self._borrowing = Borrowing(
            config, self_id, replica, self._links, self._blobs, self._rounds, out,
            lambda link, error: self._reception.blame(link, error), self._chronicle.name,
        )  # fmt: skip
        self._rounds.arrival = self._arrival
        self._lawmaking = Lawmaking(book, self._author, out, self._rounds.catch_up)
        self._welcome = Welcome(self._author, book, self._links, self._chronicle, out, self._rounds.catch_up)
        self._departures = Departures(
            book, self._tapes, self._links, self._rumour, self._admission, self._author, self._chronicle, self._disk,
            out,
        )  # fmt: skip
        self._rendezvous = Rendezvousing(
            config, replica, self._links, self._author, self._departures, out,
            lambda link, error: self._reception.blame(link, error), lambda peer: peer in self._rumour.forked,
        )  # fmt: skip
        self._reception = Reception(
            self._links, self._pace, self._rumour, self._admission, self._strands, self._blobs, self._finals,
            self._arrival, self._serving, self._witnessing, self._inspection, self._chronicle, self._departures,
            self._leading, self._following, self._lending, self._borrowing, self._rendezvous, self._quotas,
            self._profile, out,
        )  # fmt: skip
        for log, tape in self._tapes.items():
            for seq in range(tape.fork, replica.size(log)):
                data = replica.data(log, seq)
                self._learn(log, seq, decode_entry(data), len(data))

    # -------------------------------------------------------------- the door

    def handle(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Let something happen. The effects are to be carried out in order."""
        self._now = self._reception.now = self._author.now = now
        match event:
            case Started():
                if self._home.start(now):
                    self._author.resume(now)
                self._reception.replan = True
            case Found():
                self._links.found(event, now)
                self._reception.replan = True
            case LinkUp():
                self._reception.up(event)
            case LinkDown():
                self._reception.down(event)
            case DialFailed():
                self._links.failed(event, now)
                self._reception.replan = True
            case Received(link, message):
                self._reception.received(link, message)
            case DataReady():
                self._rounds.data_ready(event)
            case Relabelled():
                self._borrowing.relabelled()
            case Trained():
                self._rounds.trained(event, now)
            case TrainingFailed(_, reason, is_over):
                if is_over:
                    self._rounds.failed(reason)
                else:
                    self._rounds.diverged(event, now)
            case Stored(seq):
                self._author.on_stored(seq, now)
            case WitnessedStored(log, size):
                self._witnessing.stored(log, size, now)
            case NewKey():
                self._author.new_key(event)
            case Anchored():
                self._author.anchored(event)
            case RecordsOpened():
                self._author.attempt(lambda: self._inspection.opened(event, now))
            case ShardsCut():
                self._lending.cut(event, now)
            case Inspected():
                self._author.attempt(lambda: self._inspection.inspected(event, now))
            case Judged():
                self._author.attempt(lambda: self._inspection.judged(event, now))
            case NewPolicy() | Admit() | Revoking():
                self._lawmaking.asked(event)
            case NewRendezvous():
                self._rendezvous.asked(event, now)
            case Timer(name):
                self._out.rang(name)
                self._reception.replan = self._reception.replan or name == LINKS_TIMER
            case Pause(reason):
                self._rounds.pause(reason)
            case Woke(slept_s, moved):
                self._links.woke(slept_s, moved, now)
                self._reception.replan = True
            case Drain():
                self._rounds.drain()
            case _:
                assert_never(event)
        is_news = self._reception.replan or self._rumour.odd or self._following.has_news
        self._settle(is_calm=self._calm.lasts(event, now) and not is_news)
        return self._out.take()

    def _settle(self, *, is_calm: bool) -> None:
        """Do everything that has become possible. Of a machine at rest only these few can have something to do."""
        now = self._now
        if not is_calm:
            self._calm.begin()
            self._look_around(now)
        elif self._leading.leads:
            self._leading.tick(now)
        asked = self._out.count
        self._arrival.tick(now)
        if not is_calm:
            self._finals.tick(now)
            self._pruning.tick(now)
            self._lending.tick(now)
            self._calm.end(now)
        elif asked != self._out.count:
            self._calm.over()
        self._rumour.pull(now, self._following.patient(now))
        if len(self._blobs):
            self._blobs.pump(now)
        self._rumour.tick(now)
        if not is_calm:
            self._links.own_key = self._author.public
            if self._config.adapts:
                self._links.good_for = links_for(self._line(), self._config.links, self._config.own_links + 1)
        if self._reception.replan:
            self._reception.replan = False
            self._links.plan(now)
        if not self._is_drained and self._drained():
            self._is_drained = True
            self._out.note("drained", model=self._book.model_hash(), updates=self._rounds.published)

    def _look_around(self, now: float) -> None:
        """Every chapter that admits, writes, judges or cosigns does what it can."""
        self._admission.advance(now)
        self._departures.tick(now)
        self._come_home()
        self._enrol()
        self._following.tick(now)
        self._leading.tick(now)
        self._borrowing.tick(now)
        self._panel.look(now)
        self._author.attempt(
            lambda: self._author.change_key(now),
            lambda: self._rounds.come_in(now),
            lambda: self._author.write_stamps(now),
            lambda: self._welcome.tick(now),
            lambda: self._lawmaking.tick(now),
            lambda: self._rounds.tick(now),
            lambda: self._inspection.tick(now, is_last=self._rounds.draining and not self._rounds.training),
            lambda: self._witnessing.tick(now),
        )
        self._strands.tick(now)
        self._author.attempt(lambda: self._forks.tick(now))
        self._rendezvous.tick(now)

    def _line(self) -> Line:
        """What our way to all others has shown."""
        return Line(self._pace.bytes_s, self._pace.is_full, self._pace.usual_trip_s, len(self._links))

    def _suspect(self, log: PeerId, size: int, link: LinkId) -> None:
        """The author of a log signed another history than we hold, as a link told us in good faith."""
        self._rumour.odd[log] = (link, size)

    # -------------------------------------------------------------- members

    def _come_home(self) -> None:
        """The own log is written and signed once it is known to be whole."""
        if not self._home.is_home:
            self._out.heed(self._now)  # what links say of our log counts
            if self._home.tick(self._now):
                self._author.resume(self._now)

    def _missing(self) -> int:
        return self._rumour.missing() + self._strands.missing()

    def _expected(self) -> int:
        return self._rumour.expected() + self._strands.missing()

    def _enrol(self) -> None:
        """A joiner's first entry goes in as soon as it knows what swarm it is in."""
        if self._config.enrol and not self._author.is_enrolled and self._book.replica.has_genesis:
            self._author.enrol(self._config.enrol, self._now)

    # -------------------------------------------------------------- what was admitted

    def _wrote(self, checked: Checked, blob: bytes | None) -> None:
        if blob is not None:
            self._blobs.used(sha256(blob).hexdigest(), blob)
        self._heard(checked)

    def _admitted(self, checked: Checked) -> None:
        if checked.log == self._author.own:
            self._author.found_again(checked)
            self._rounds.found_again(checked)
        elif checked.weight is not None and not self._book.replica.condemned(checked.log, checked.seq):
            self._rounds.merged(checked, self._now)
            self._chronicle.merge(checked, self._now)
        if checked.log != self._author.own:
            self._profile.held(peer_of(checked.log), checked.seq, self._now)
        self._chronicle.refuse(checked)
        self._panel.saw(checked)
        self._heard(checked)

    def _heard(self, checked: Checked) -> None:
        entry, log = checked.entry, checked.log
        self._learn(log, checked.seq, entry, len(checked.data))
        self._following.admitted(checked)
        self._leading.admitted(checked)
        self._witnessing.grew(log, self._now)
        self._chronicle.tell(checked)
        self._inspection.admitted(checked, self._now)
        if isinstance(entry, Verdict):
            self._chronicle.left(self._inspection.left(entry))
        self._arrival.admitted(checked)
        if isinstance(entry, Member):
            self._rumour.look_again()
        is_founder = isinstance(entry, Enrol) and log == self._book.replica.founder
        if is_founder or isinstance(entry, Member | Rotate | Recover):
            for live in self._links.recognise():
                self._quotas.admit(live.key.hex(), live.peer or "", self._now)
                self._leading.recognised(live)
                self._lending.known(live)
            self._rendezvous.link_up()
            self._reception.replan = True
        if isinstance(entry, Member | Revoke):
            self._departures.has_news = True

    def _learn(self, log: LogId, seq: int, entry: AnyEntry, size_bytes: int) -> None:
        """What each part keeps of the entries that were admitted, now or in an earlier run."""
        self._departures.paid(self._disk.learn(log, entry, size_bytes + blob_bytes(entry), seq=seq))
        self._chronicle.learn(log, entry)
        self._witnessing.learn(log, entry)
        self._finals.learn(log, entry)
        self._pruning.learn(entry)
        self._forks.learn(entry)
        self._serving.learn(log, entry)
        self._presence.learn(log, seq, entry, self._now)
        self._borrowing.learn(log, entry)
        self._inspection.learn(log, seq, entry)
        self._rendezvous.learn(log, seq, entry)

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

    @property
    def rendezvous(self) -> Rendezvous | None:
        """Where members meet beyond the LAN, as far as we know."""
        return self._rendezvous.held

    @property
    def wants_rendezvous(self) -> bool:
        """Whether a NewRendezvous would be signed now. For a node that goes beyond its LAN; others need none."""
        return self._rendezvous.wants

    def theta(self) -> NDArray[np.float32]:
        """The best model here, to be shown and served, rounded once: the fold's and what leaders lend beside it, or a
        final snapshot's while more updates are in that. (They cannot be added: a sum may name what is in it.)"""
        borrowed = self._arrival.borrowed
        if borrowed is None or (self._following.lent and self._following.shown >= borrowed.offer.updates):
            return self._following.theta()
        return borrowed.theta

    # -------------------------------------------------------------- for people

    def _drained(self) -> bool:
        is_stored = self._author.stored == self._author.size
        is_settled = self._rounds.settled and self._forks.is_settled and self._inspection.is_settled
        return is_settled and is_stored and self._missing() == 0

    def _state(self) -> State:
        if why := self._departures.why_out(self._now):
            return why
        if self._rounds.draining:
            return "drained" if self._drained() else "draining"
        if not self._author.role:
            return "joining"
        if self._rounds.training:
            return "training"
        if self._rounds.can_train and self._panel.rests:
            return "undrawn"
        return "resting" if self._rounds.can_train else "observing"

    def _pace_status(self) -> PaceStatus:
        profile, rounds, line, now = self._profile, self._rounds, self._line(), self._now
        return PaceStatus(
            steps=profile.steps,
            declared=profile.declared,
            density_permille=rounds.density or 1000,
            links=self._links.good_for,
            tempo=rounds.tempo.mode,
            reason=rounds.tempo.reason,
            behind=rounds.tempo.behind,
            step_s=profile.step_s,
            aim_s=profile.aim_s(now),
            line=line,
            lag_s=profile.lag_s(now, line.round_trip_s),
            trainers=tuple(
                TrainerPace(
                    peer, self._chronicle.name(peer), trainer.step_s, trainer.interval_s, trainer.lag_s,
                    trainer.is_present(now),
                )
                for peer, trainer in profile.trainers()
            ),
        )  # fmt: skip

    def _panel_status(self) -> PanelStatus | None:
        turn = self._panel.turn
        if turn is None or not turn.is_sampled:
            return None
        undrawn = sorted(self._panel.undrawn.items())
        return PanelStatus(
            turn.is_drawn, turn.places, turn.trainers, turn.until,
            tuple(OutOfTurn(peer, self._chronicle.name(peer), updates) for peer, updates in undrawn),
        )  # fmt: skip

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
            merged=self._chronicle.merged,
            entries=sum(heads.values()),
            members=len(self._members),
            missing=self._missing(),
            staleness=rounds.staleness,
            weight=rounds.weight,
            scores=rounds.scores,
            model_hash=self._book.model_hash(),
            model=self._arrival.state,
            heads=heads,
            first_merge_at=self._chronicle.first_merge_at,
            drained=self._drained(),
            witnessed=witnessed,
            witnesses=tuple(self._chronicle.name(peer) or peer[:8] for peer in witnesses),
            final_at=self._witnessing.final_at,
            links=tuple(
                LinkStatus(
                    live.link, live.peer or "", self._chronicle.name(live.peer), live.key, live.dialled, live.up_at
                )
                for live in self._links
            ),
            tail=tuple(self._chronicle.tail),
            policy=replica.policy_standing()[1] if replica.has_genesis else "",
            policy_number=replica.policy_standing()[0] if replica.has_genesis else 0,
            looked=replace(self._chronicle.looked),
            paused=rounds.paused,
            absent=tuple(
                Absent(peer, self._chronicle.name(peer), since)
                for peer, since in self._presence.absent(self._now)
                if self._panel.is_due(peer, self._now)
            ),
            panel=self._panel_status(),
            pace=self._pace_status(),
            refusals=tuple(self._chronicle.refusals),
            pruned=self._pruning.status,
            lacking=self._blobs.lacking(),
            lent=self._lending.holdings,
            borrowed=self._borrowing.held,
            sums=replace(self._following.status, leads=self._leading.leads, made=self._leading.made),
        )
