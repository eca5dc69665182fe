"""Who publishes now, where more would than a swarm has use for: each trainer draws for itself, and anybody can check.

    trainers: of all that are enrolled those who wrote anything in the last HERE_WINDOWS windows
    trainers <= places: everybody publishes
    else, in window w of a peer:  SHA-256("gossip/panel/1\\n" | swarm | u64be w | peer) / 2^256 < places / trainers
                                  --> it is drawn

    of a house with k guests each draws as one of groups * k: a house has one place, as it has one weight

    swarm 00..00, peer 11..11: its windows of 600 s begin 68 s before the clock's; w = 1 at 750 s (a test reads this)

Bytes received grow with the number of publishers, and accuracy does not (docs/scale.md), so at most about `places` of
genesis publish at a time. A panel stays for a window of many rounds: a weight is eta / n with n those who were heard of
lately, so drawing anew for each round would leave n near all trainers, and learning as much slower. Each peer's windows
begin at a moment of its own, so that of a panel a little changes at a time. Who has not been heard of for a day is not
drawn among: of a hundred enrolled, thirty there and twenty places six would publish, and the model hardly moved.

Rules kept here: values in, values out; a ticket depends on nothing that anybody can choose after it enrolled (before
that it can be chosen: docs/adr/0004). More trainers never draw who was not drawn with fewer, nor more places fewer.
Nobody is kept from publishing by force: who does so undrawn is one more among n, and is counted (Panel.saw). It refuses
to know rounds, and what is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gossip.peer.outbox import Outbox
from ledger.chain import peer_of
from ledger.entry import Hash, Member, PeerId, Revoke, Update
from ledger.replica import Checked, Replica

DOMAIN: Final = b"gossip/panel/1\n"
PHASE_DOMAIN: Final = b"gossip/panel/phase/1\n"
LOOK_S: Final = 10.0  # between looks how many trainers there are, unless somebody was let in or put out
HERE_WINDOWS: Final = 144  # a day of the usual ones: fourteen turns of each of a thousand
LEAST_S: Final = 0.01  # until the next look, whatever rounding makes of the end of a window


@dataclass(frozen=True, slots=True)
class Turn:
    """What a peer has drawn."""

    is_drawn: bool
    places: int
    trainers: int
    until: float  # the end of the window, by the clock that was asked with

    @property
    def is_sampled(self) -> bool:
        """Whether not everybody publishes."""
        return self.trainers > self.places


def phase_s(swarm: Hash, peer: PeerId, window_s: float) -> float:
    """How much sooner than the clock's a peer's windows begin, 0 to `window_s`."""
    drawn = sha256(PHASE_DOMAIN + bytes.fromhex(swarm) + bytes.fromhex(peer)).digest()
    return int.from_bytes(drawn[:4], "big") / (1 << 32) * window_s


def window_of(swarm: Hash, peer: PeerId, at: float, window_s: float) -> int:
    """The number of a peer's window at a time."""
    return int((at + phase_s(swarm, peer, window_s)) // window_s)


def among(places: int, houses: Sequence[PeerId], house: PeerId) -> int:
    """Among how many one of a house draws ("": who stands alone), if these are the houses of all trainers. A house
    counts as one, and its guests share that place: else one trainer's silent guests would keep others from publishing.
    """
    trainers = len(houses)
    if trainers <= places or not any(houses):
        return trainers
    sizes = Counter(houses)
    return (sizes.pop("", 0) + len(sizes)) * (sizes[house] if house else 1)


def is_drawn(swarm: Hash, peer: PeerId, window: int, places: int, trainers: int) -> bool:
    """Whether a peer publishes in a window of its own, where `trainers` could."""
    if trainers <= places:
        return True
    ticket = sha256(DOMAIN + bytes.fromhex(swarm) + (window % (1 << 64)).to_bytes(8, "big") + bytes.fromhex(peer))
    return int.from_bytes(ticket.digest(), "big") * trainers < places << 256


def is_out_of_turn(swarm: Hash, peer: PeerId, made: float, window_s: float, places: int, trainers: int) -> bool:
    """Whether an update is of somebody who was not drawn, made at `made` by its author's clock. A round that was begun
    in the window before may end in this one."""
    window = window_of(swarm, peer, made, window_s)
    return not any(is_drawn(swarm, peer, one, places, trainers) for one in (window, window - 1))


def turn_of(swarm: Hash, peer: PeerId, at: float, window_s: float, places: int, trainers: int) -> Turn:
    """What a peer has drawn for now, and until when."""
    window = window_of(swarm, peer, at, window_s)
    until = (window + 1) * window_s - phase_s(swarm, peer, window_s)
    return Turn(is_drawn(swarm, peer, window, places, trainers), places, trainers, max(until, at))


class Panel:
    """The draws of one peer, and what it saw of the others'."""

    def __init__(self, own: PeerId, replica: Replica, window_s: float, out: Outbox) -> None:
        self._own, self._replica, self._window_s, self._out = own, replica, window_s, out
        self._look_at = 0.0
        self._has_told = True  # that this peer is drawn, as everybody is at first
        self._houses: list[PeerId] = []  # of all trainers, at the last look
        self.turn: Turn | None = None  # None: before genesis is here
        self.undrawn: dict[PeerId, int] = {}  # updates that others published out of turn, since the start

    def look(self, now: float) -> None:
        """See what was drawn for now, and among how many."""
        replica, turn = self._replica, self.turn
        if replica.has_genesis and (turn is None or now >= min(self._look_at, turn.until)):
            places = replica.constants.panel
            able = self._here(replica.trainers(), now) if len(replica.trainers()) > places else replica.trainers()
            self._houses = [self._house_of(peer) for peer in able] if replica.genesis.guests else [""] * len(able)
            trainers = among(places, self._houses, self._house_of(self._own))
            self.turn = turn_of(replica.swarm, self._own, now, self._window_s, places, trainers)
            self._look_at = now + LOOK_S

    def _here(self, trainers: Sequence[PeerId], now: float) -> list[PeerId]:
        """Those of whom there is an entry of the last day, by their own clocks; and this peer."""
        replica, since = self._replica, now - HERE_WINDOWS * self._window_s
        here = {
            peer_of(log) for log, size in replica.heads().items() if size and replica.entry(log, size - 1).time >= since
        }
        return [peer for peer in trainers if peer == self._own or peer in here]

    @property
    def rests(self) -> bool:
        """Whether others publish now, and this peer does not."""
        return self.turn is not None and not self.turn.is_drawn

    def rests_until(self, now: float) -> float | None:
        """When a trainer that is not drawn looks again; None: it publishes. What changed is told."""
        turn = self.turn
        if turn is not None and turn.is_drawn is not self._has_told:
            self._has_told = turn.is_drawn
            self._out.note("panel", drawn=turn.is_drawn, places=turn.places, trainers=turn.trainers, until=turn.until)
        return max(min(turn.until, self._look_at), now + LEAST_S) if turn is not None and self.rests else None

    def is_due(self, peer: PeerId, now: float) -> bool:
        """Whether that peer is to publish now, as far as we know."""
        turn, swarm = self.turn, self._replica.swarm
        if turn is None:
            return True
        window = window_of(swarm, peer, now, self._window_s)
        return is_drawn(swarm, peer, window, turn.places, self._among_here(peer))

    def _among_here(self, peer: PeerId) -> int:
        """Among how many that peer draws, as far as we know."""
        return among(self._replica.constants.panel, self._houses, self._house_of(peer))

    def _house_of(self, peer: PeerId) -> PeerId:
        seat = self._replica.membership(peer)
        return seat.house if seat is not None else ""

    def saw(self, checked: Checked) -> None:
        """An entry was admitted. Of an update its author says when it was made, and its past how many trainers there
        were."""
        if isinstance(checked.entry, Member | Revoke):
            self._look_at = 0.0
        if not isinstance(checked.entry, Update) or checked.log == self._own:
            return  # (an enrolment may come before genesis, which says how many places there are)
        tip, places, peer = checked.outcome.tip, self._replica.constants.panel, peer_of(checked.log)
        seat = tip.admitted.get(peer)
        trainers = among(places, tip.houses or [""] * len(tip.trainers), seat.house if seat is not None else "")
        if self._houses and self.turn is not None:  # who was away for it, too, was not drawn among
            trainers = min(trainers, self._among_here(peer))
        if is_out_of_turn(self._replica.swarm, peer, checked.entry.time, self._window_s, places, trainers):
            self.undrawn[peer] = self.undrawn.get(peer, 0) + 1
