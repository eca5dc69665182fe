"""Where links come in: who is there, what each says, and which part of the machine that is for.

    LinkUp, LinkDown --> links, and every part that keeps something by link
    Received --quota--> rights --> decode --> rumour | admission | strands | blobs | finals | arrival ...
                |          `-- by its first byte: passed over, or its link ends
                `-- RemoteError: whoever sent it is told off, and its link ends

Rules kept here: whatever a link sends ends at most that link, and is paid for before it is looked at. It refuses to
know what frames mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import assert_never

from gossip.events import LinkDown, LinkId, LinkUp
from gossip.peer.admission import Admission
from gossip.peer.arrival import Arrival
from gossip.peer.blobs import Blobs
from gossip.peer.borrowing import Borrowing
from gossip.peer.chronicle import Chronicle
from gossip.peer.departures import Departures
from gossip.peer.finals import Finals
from gossip.peer.following import Following
from gossip.peer.inspection import Inspection
from gossip.peer.leading import Leading
from gossip.peer.lending import Lending
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.profile import Profile
from gossip.peer.quota import Quota, Quotas
from gossip.peer.rendezvous import Rendezvousing
from gossip.peer.rights import UNKNOWN, Right, called, right
from gossip.peer.rumour import Rumour
from gossip.peer.serving import Serving
from gossip.peer.strands import Strands
from gossip.peer.witnessing import Witnessing
from gossip.wire import codec
from gossip.wire.frames import (
    MAX_MESSAGE_BYTES,
    Bundled,
    Differs,
    Digest,
    Entries,
    Frame,
    Have,
    Lacks,
    Latest,
    Lead,
    Lease,
    Parts,
    Piece,
    Rendezvous,
    Rows,
    Tally,
    Trace,
    Vouch,
    Want,
    WantBlob,
    WantParts,
)
from ledger.errors import RemoteError
from ledger.replica import InvalidEntry


@dataclass(slots=True)
class Reception:
    """The links of one peer, and the parts that speak through them."""

    links: Links
    pace: Pace
    rumour: Rumour
    admission: Admission
    strands: Strands
    blobs: Blobs
    finals: Finals
    arrival: Arrival
    serving: Serving
    witnessing: Witnessing
    inspection: Inspection
    chronicle: Chronicle
    departures: Departures
    leading: Leading
    following: Following
    lending: Lending
    borrowing: Borrowing
    rendezvous: Rendezvousing
    quotas: Quotas
    profile: Profile
    out: Outbox
    now: float = 0.0
    replan: bool = False  # whether links changed, so that others may be wanted

    def up(self, event: LinkUp) -> None:
        self.replan = True
        live = self.links.up(event, self.now)
        if live is not None:
            self.rumour.link_up(live, self.now)
            self.witnessing.link_up(live)
            self.leading.link_up(live)
            self.lending.known(live)
            self.rendezvous.link_up()
            name = self.chronicle.name(live.peer)
            self.out.note("link_up", peer=live.peer or "", name=name, dialled=live.dialled)

    def down(self, event: LinkDown) -> None:
        live = self.links.down(event.link, self.now)
        if live is not None:
            self.gone(live, event.reason)

    def gone(self, live: Live, reason: str) -> None:
        self.replan = True
        self.departures.link_down(live.link)
        self.pace.link_down(live.link)
        self.rumour.link_down(live.link)
        self.blobs.link_down(live.link)
        self.arrival.link_down(live.link)
        self.witnessing.link_down(live.link)
        self.leading.link_down(live.link)
        self.following.link_down(live.link)
        self.rendezvous.link_down(live.link)
        if live.peer is not None:
            self.profile.left(live.peer)
        self.out.note("link_down", peer=live.peer or "", name=self.chronicle.name(live.peer), reason=reason)

    def blame(self, link: LinkId, error: RemoteError) -> None:
        """A link brought what no honest peer sends."""
        about = {"log": error.log, "seq": error.seq, "rule": error.rule} if isinstance(error, InvalidEntry) else {}
        live = self.links.get(link)
        peer = live.peer if live is not None else None
        self.out.note("refused", peer=peer or "", name=self.chronicle.name(peer), text=str(error), **about)
        if live is not None:
            self.links.drop(link, str(error), self.now, shun=True)

    def received(self, link: LinkId, message: bytes) -> None:
        live = self.links.get(link)
        if live is None:
            return  # dropped; what was on its way does not matter
        live.heard_at = self.now
        try:
            quota = self.quota(live)
            quota.arrived(message, self.now)
            if self.departures.is_going(link):
                return
            standing = self.departures.standing(live, self.now)
            if standing == "out" and right("admin", message) is Right.HEARD:
                return  # it was on its way when we heard that its sender is out; departures.py ends the link
            match right(standing, message):
                case Right.PASSED_OVER:
                    return
                case Right.DENIED:
                    if called(message) == UNKNOWN:
                        codec.decode(message)  # says what is wrong with it
                    raise RemoteError(
                        "a peer sends what it has no right to", why=f"a message of kind {called(message)}"
                    )
                case Right.HEARD:
                    self._frame(live, quota, codec.decode(message), message)
        except RemoteError as error:
            self.blame(link, error)

    def quota(self, live: Live) -> Quota:
        """The account of the far end of a link."""
        return self.quotas.of(live.peer or live.key.hex(), self.now, is_guest=live.peer is None and bool(live.role))

    def _frame(self, live: Live, quota: Quota, frame: Frame, message: bytes) -> None:
        link, now = live.link, self.now
        match frame:
            case Digest():
                self.rumour.on_digest(link, frame, quota)
                if not frame.ask:  # behind it, all that it holds has been said
                    self.leading.heard(link)
            case Have():
                self.rumour.on_have(link, frame)
                self.arrival.on_have(live, frame)
                if live.peer is not None:
                    self.profile.announced(live.peer, frame.rows, now)
                self.leading.heard(link)
                self.following.told(live, now)
            case Want():
                if quota.serve(MAX_MESSAGE_BYTES):
                    self.rumour.on_want(link, frame)
            case Entries():
                quota.signatures(1)
                log = self.admission.take(live, frame, now)
                if log is not None:
                    self.rumour.answered(log, link, now)
                    quota.was_of_use(message, signatures=1)
            case Differs():
                quota.signatures(1)
                self.strands.on_differs(link, frame, now)
            case Trace():
                self.strands.on_trace(link, frame)
            case Rows():
                self.strands.on_rows(link, frame, now)
            case WantBlob():
                if not quota.serve(frame.length):
                    self.out.send(link, Lacks(frame.hash))
                    return
                if self.lending.on_want(link, frame, live.peer):
                    return
                leave = partial(self.serving.leave, frame.hash, to=live.peer)
                if self.finals.on_want(link, frame, leave):
                    return
                self.blobs.on_want(link, frame, leave)
                if live.peer is not None:
                    self.inspection.relay(frame.hash)
            case Piece():
                if self.blobs.on_piece(link, frame, now) or self.arrival.on_piece(link, frame, now):
                    quota.was_of_use(message)
            case Lacks():
                self.blobs.on_lacks(link, frame, now)
                self.following.on_lacks(link, frame)
                self.arrival.on_lacks(link, frame, now)
            case Vouch():
                self.witnessing.on_vouch(live, frame, quota, now)
            case Tally():
                self.witnessing.on_tally(live, frame, quota, now)
            case WantParts():
                if quota.serve(MAX_MESSAGE_BYTES):
                    self.finals.on_want_parts(link, frame)
                else:
                    self.out.send(link, Lacks(frame.model))
            case Latest():
                if self.arrival.on_latest(live, frame, quota, now):
                    quota.was_of_use(message, signatures=1)
            case Parts():
                if self.arrival.on_parts(link, frame):
                    quota.was_of_use(message)
            case Lead():
                self.following.on_lead(live, frame)
            case Bundled():
                self.following.on_bundled(live, frame)
            case Lease():
                self.borrowing.on_lease(live, frame)
            case Rendezvous():
                self.rendezvous.on_rendezvous(live, frame, quota)
            case _:
                assert_never(frame)
