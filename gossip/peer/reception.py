"""Where links come in: who is there, what each says, and which part of the machine that is for.

    LinkUp, LinkDown --> links, and every part that keeps something by link
    Received --allowance--> decode --> rumour | admission | strands | blobs | witnessing
                    `-- RemoteError: whoever sent it is told off, and its link ends

Rules kept here: whatever a link sends ends at most that link, and is paid for before it is looked at. It refuses to
know what frames mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from gossip.events import LinkDown, LinkId, LinkUp
from gossip.peer.admission import Admission
from gossip.peer.blobs import Blobs
from gossip.peer.chronicle import Chronicle
from gossip.peer.inspection import Inspection
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.quota import Allowance
from gossip.peer.rumour import Rumour
from gossip.peer.serving import Serving
from gossip.peer.strands import Strands
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
    serving: Serving
    witnessing: Witnessing
    inspection: Inspection
    chronicle: Chronicle
    out: Outbox
    allowances: dict[LinkId, Allowance]
    now: float = 0.0
    replan: bool = False  # whether links changed, so that others may be wanted

    def up(self, event: LinkUp) -> None:
        self.replan = True
        live = self.links.up(event, self.now)
        if live is not None:
            self.allowances[live.link] = Allowance(self.now)
            self.rumour.link_up(live, self.now)
            self.witnessing.link_up(live)
            name = self.chronicle.name(live.peer)
            self.out.note("link_up", peer=live.peer or "", name=name, dialled=live.dialled)

    def down(self, event: LinkDown) -> None:
        live = self.links.down(event.link, self.now)
        if live is not None:
            self.gone(live, event.reason)

    def gone(self, live: Live, reason: str) -> None:
        self.replan = True
        self.allowances.pop(live.link, None)
        self.pace.link_down(live.link)
        self.rumour.link_down(live.link)
        self.blobs.link_down(live.link)
        self.witnessing.link_down(live.link)
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
        try:
            self.allowances[link].charge(self.now, message)
            self._frame(live, codec.decode(message))
        except RemoteError as error:
            self.blame(link, error)

    def _frame(self, live: Live, frame: Frame) -> None:
        link, now = live.link, self.now
        match frame:
            case Digest():
                self.rumour.on_digest(link, frame)
            case Have():
                self.rumour.on_have(link, frame)
            case Want():
                self.rumour.on_want(link, frame)
            case Entries():
                log = self.admission.take(live, frame, now)
                if log is not None:
                    self.rumour.answered(log, link, now)
                    self.allowances[link].give_back()
            case Differs():
                self.strands.on_differs(link, frame, now)
            case Trace():
                self.strands.on_trace(link, frame)
            case Rows():
                self.strands.on_rows(link, frame, now)
            case WantBlob():
                self.blobs.on_want(link, frame, lambda blob: self.serving.leave(frame.hash, blob, live.peer))
                if live.peer is not None:
                    self.inspection.relay(frame.hash)
            case Piece():
                if self.blobs.on_piece(link, frame, now):
                    self.allowances[link].give_back()
            case Lacks():
                self.blobs.on_lacks(link, frame, now)
            case Vouch():
                self.witnessing.on_vouch(live, frame, self.allowances[link], now)
            case Tally():
                self.witnessing.on_tally(live, frame, self.allowances[link], now)
            case _:
                assert_never(frame)
