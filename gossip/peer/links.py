"""Which links a peer has and which it still wants.

                    due, wanted                    LinkUp
    candidate  ------------------->  dialling  ------------->  link
       ^   ^                            | DialFailed             | LinkDown, or we Drop it
       |   `-------- backoff -----------+------------------------+
     Found

Rules kept here:
- Discovery is a hint: so many candidates as the limits say (candidates.py: who goes when all are taken), one dial per
  address at a time, then a backoff.
- Of two peers the one with the lower public key dials first; the other only if no link came of it within
  PATIENCE_S. Addresses that the user or an invite gave are dialled at once.
- Two links to one peer (to a key, or to the key that took its place): both ends keep the one that the lower key dialled
  if the dials crossed, else the newer.
- A machine that slept, or stands at another address, forgets every backoff and dials everybody at once; links that its
  sleep has outlived, or that lead over its old address, end. From the other side: who is heard of again is dialled
  again, and a linked peer that says nothing and is said to be at a new place is dialled there a few times, for it may
  have moved and the link be dead without a sign. A dial that succeeds replaces the link, any other changes nothing.
- Small swarms link everybody to everybody; in large ones the choice is random, and rotates.
- A guest may take the place of a member's link, but guests hold no more than a quarter of what the limits allow when
  it is wanted: then the oldest guest goes, for another guest as for a member.
- A link from a key that is no member ends, unless it came with a ticket, or we dialled where the user told us
  to, or we may have forgotten members (`seeks`: they know us, and we dial them); such a link waits, not for ever.

It refuses to know what travels on a link. Who is a member it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gossip.config import PeerConfig
from gossip.events import Dial, DialFailed, Drop, Found, LinkId, LinkUp
from gossip.peer.candidates import Candidate, Room, is_worth_more, room_among, room_of
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from ledger.entry import PeerId

PATIENCE_S: Final = 1.5  # how long the higher key leaves the first dial to the lower one
FIRST_RETRY_S: Final = 0.2
LAST_RETRY_S: Final = 30.0
LAST_JOIN_RETRY_S: Final = 5.0  # of a joiner, at the door it was invited to
LAST_GIVEN_RETRY_S: Final = 8.0  # at an address of the user's: a laptop that wakes there is found within ten seconds
OUTLIVED_S: Final = 25.0  # a far end gives up who is silent for 30 s (RFC 7675), a little less with its clock
MOVES: Final = 3  # dials at a place where a linked peer is said to be ...
MOVE_KEY_S: Final = 20.0  # ... one for each peer in so long ...
MOVE_S: Final = 1.0  # ... and one for all in so long: whoever invents places must not make us call them all ...
SILENT_S: Final = 4.0  # ... and none while its link speaks
CROSSED_S: Final = 10.0  # two links within so long are two dials that crossed
SETTLED_S: Final = 5.0  # a link so old has served its newcomer
DIAL_LIMIT_S: Final = 90.0  # a shell that never answers a Dial must not block the address for ever
PROVEN_S: Final = 10.0  # a link that lived so long forgives earlier failures
WAITING_S: Final = 60.0  # for a guest to become a member
GUESTS_SHARE: Final = 4  # one of so many links is guests', when members want it
SHUN_S: Final = 30.0  # after a peer misbehaved, its links are refused

TIMER: Final = "links"

MemberByKey = Callable[[bytes], PeerId | None]


@dataclass(slots=True)
class Live:
    """An open link."""

    link: LinkId
    key: bytes
    dialled: bool
    role: str  # that a guest may enter in; "": no guest
    up_at: float
    peer: PeerId | None  # None while we do not know a member with that key
    is_expected: bool = False  # its key, or the address that we dialled, is one that our user gave
    host: str = ""
    port: int = 0
    expires: int = 0  # when a guest's membership is to end; 0: never
    heard_at: float = 0.0  # when it last said anything

    @property
    def is_guest(self) -> bool:
        """Whether it was let in to become a member."""
        return self.peer is None and bool(self.role)


class Links:
    """The links of one peer. `member` finds a member by key, `swarm_size` counts them, us included, and `dropped`
    hears of every link that we ended, and why."""

    def __init__(
        self,
        config: PeerConfig,
        own_key: bytes,
        luck: Luck,
        out: Outbox,
        member: MemberByKey,
        swarm_size: Callable[[], int],
        dropped: Callable[[Live, str], None],
    ) -> None:
        self._config = config
        self.own_key = own_key
        self._luck = luck
        self._out = out
        self._member = member
        self._swarm_size = swarm_size
        self._dropped = dropped
        self._candidates: dict[tuple[str, int], Candidate] = {}
        self._live: dict[LinkId, Live] = {}
        self._shunned: dict[bytes, float] = {}
        self._moved: dict[bytes, float] = {}  # of a key, when it was last looked for at a new place; the newest last
        self.good_for = config.links  # how many links our line is good for (profile.py)
        self._rotate_at = 0.0
        self._rotating = False  # the next link that we dialled replaces an older one
        self.is_leader = False  # and takes twice the links
        self.seeks = False  # we may have forgotten who is a member: whoever says to be of this swarm is dialled

    def __iter__(self) -> Iterator[Live]:
        return iter(tuple(self._live.values()))

    def __len__(self) -> int:
        return len(self._live)

    def get(self, link: LinkId) -> Live | None:
        return self._live.get(link)

    # -------------------------------------------------------------- what happens

    def found(self, event: Found, now: float) -> None:
        if event.key == self.own_key:
            return
        place = (event.host, event.port)
        given = event.key is None or event.key == self._config.inviter or event.key in self._config.known
        at_once = given or (event.key is not None and self.own_key < event.key)
        known = self._candidates.get(place)
        if known is not None:
            if known.key == event.key and known.dialling_since is None:  # heard again: it is there now
                known.due = min(known.due, now + (0 if at_once else PATIENCE_S))
            if known.key == event.key or (known.given and not given):
                return
            if known.dialling_since is not None:
                return  # what it is will show
            if not given and is_worth_more(known, event.key, self._is_members):
                return
        elif not self._has_room_for(event.key, given):
            return
        is_new = known is None and event.key is not None
        moves = MOVES if is_new and self._is_linked(event.key, now) else 0
        self._candidates[place] = Candidate(
            event.host, event.port, event.key, given, now + (0 if at_once else PATIENCE_S), moves=moves
        )

    def _is_linked(self, key: bytes | None, now: float) -> bool:
        """Whether we have a link to that peer, and not since a moment ago: then a new place of its is news."""
        live = self._link_of(key)
        return live is not None and now - live.up_at >= PROVEN_S

    def woke(self, slept_s: float, moved: bool, now: float) -> None:
        """Try everybody anew, and let go of links that are over at their far ends or lead to where we no longer are."""
        if moved or slept_s >= OUTLIVED_S:
            for live in tuple(self._live.values()):
                self.drop(live.link, "our address changed" if moved else "this machine slept", now)
        for candidate in self._candidates.values():
            candidate.failures, candidate.due = 0, now

    def _has_room_for(self, key: bytes | None, given: bool) -> bool:
        """Whether one more may be kept; for that another may have to go."""
        room = Room(True) if given else room_of(self._candidates.values(), key)
        if room == Room(True) and len(self._candidates) >= self._config.limits.candidates:
            room = room_among(self._candidates.values(), key, given, self._is_members, self._luck)
        if room.goes is not None:
            del self._candidates[room.goes.host, room.goes.port]
        return room.is_there

    def _is_members(self, key: bytes | None) -> bool:
        return key is not None and self._member(key) is not None

    def up(self, event: LinkUp, now: float) -> Live | None:
        """A link opened. None if it was not kept."""
        candidate = self._answered(event) if event.dialled else None
        if event.key == self.own_key:
            self._out.put(Drop(event.link, "that is ourselves"))
            if candidate is not None:
                self._candidates.pop((candidate.host, candidate.port), None)
            return None
        live = Live(
            event.link,
            event.key,
            event.dialled,
            event.role,
            now,
            self._member(event.key),
            expires=event.expires,
            heard_at=now,
        )
        if candidate is not None:
            live.host, live.port = candidate.host, candidate.port
            candidate.led_to = event.key
        reason = self._refusal(live, candidate, now)
        if not reason:
            reason = self._settle_twins(live, now)
        if not reason and len(self._live) >= self._config.limits.links and not self._make_way(live, now):
            reason = "links enough"
        if reason:
            self._out.put(Drop(event.link, reason))
            if candidate is not None:
                self._retry_later(candidate, now)
            return None
        self._live[event.link] = live
        for known in self._candidates.values():
            if known.key == live.key:
                known.moves = 0
        if event.dialled and self._rotating:
            self._rotating = False
            self._retire_one(live, now)
        return live

    def _make_way(self, newcomer: Live, now: float) -> bool:
        """A guest has only us; members have others. Its place is that of our oldest link to a member, as long as guests
        have not had their share: an invite for many would otherwise part us from all members. Then the oldest guest's.

        Not of a member's young link: that may be a guest of a moment ago, who has not yet heard that it was let in.
        """
        guests = [live for live in self._live.values() if live.is_guest]
        share = max(1, self._config.limits.links // GUESTS_SHARE)
        places, reason = guests, "making room for a member"
        if newcomer.peer is not None:
            places = guests if len(guests) > share else []
        elif len(guests) < share or newcomer.is_expected:
            reason = "making room for a guest"
            places = [live for live in self._live.values() if live.peer is not None and now - live.up_at >= SETTLED_S]
        else:
            reason = "making room for another guest"
        if not places:
            return False
        self.drop(min(places, key=lambda live: (live.up_at, live.link)).link, reason, now)
        return True

    def _answered(self, event: LinkUp) -> Candidate | None:
        """The candidate whose dial this link answers: by address if the shell tells it, else by key."""
        dialling = [c for c in self._candidates.values() if c.dialling_since is not None]
        if event.address is not None:
            dialling = [c for c in dialling if (c.host, c.port) == event.address]
        else:
            dialling = [c for c in dialling if c.key == event.key] or [c for c in dialling if c.key is None]
        if not dialling:
            return None
        first = min(dialling, key=lambda c: (c.dialling_since or 0.0, c.host, c.port))
        first.dialling_since = None
        return first

    def _refusal(self, live: Live, candidate: Candidate | None, now: float) -> str:
        if self._shunned.get(live.key, now) > now:
            return "it misbehaved a moment ago"
        sought = live.dialled and candidate is not None and (candidate.given or self.seeks)
        live.is_expected = sought or live.key in self._config.known
        if live.peer is None and not live.role and not live.is_expected:
            return "no member we know"
        return ""

    def _settle_twins(self, new: Live, now: float) -> str:
        """Two links to one key: keep the one the lower key dialled. Returns why the new one goes, if it does.

        That settles two dials that crossed. Later, nobody dials who has a link: the far end has lost the old one
        (it was killed and came back), and the new one stays whoever dialled.
        """
        for old in tuple(self._live.values()):
            if old.key != new.key and (old.peer is None or old.peer != new.peer):
                continue
            crossed = old.dialled != new.dialled and now - old.up_at <= CROSSED_S
            if crossed and old.dialled == (self.own_key < old.key):
                return "a second link to the same peer"
            self.drop(old.link, "a second link to the same peer", now)
        return ""

    def down(self, link: LinkId, now: float) -> Live | None:
        """A link closed. None if we had dropped it already."""
        live = self._live.pop(link, None)
        if live is not None:
            self._schedule_redial(live, now)
        return live

    def drop(self, link: LinkId, reason: str, now: float, *, shun: bool = False) -> Live | None:
        """End a link; with `shun`, refuse that key for a while."""
        live = self._live.pop(link, None)
        if live is None:
            return None
        self._out.put(Drop(link, reason))
        if shun:
            self._shunned = {key: until for key, until in self._shunned.items() if until > now}
            self._shunned[live.key] = now + SHUN_S
        self._schedule_redial(live, now)
        self._dropped(live, reason)
        return live

    def _schedule_redial(self, live: Live, now: float) -> None:
        for candidate in self._candidates.values():
            if live.key in (candidate.key, candidate.led_to):
                if now - live.up_at >= PROVEN_S:
                    candidate.failures = 0
                self._retry_later(candidate, now)
                if not candidate.given and self.own_key > live.key:
                    candidate.due += PATIENCE_S

    def failed(self, event: DialFailed, now: float) -> None:
        candidate = self._candidates.get((event.host, event.port))
        if candidate is not None and candidate.dialling_since is not None:
            candidate.dialling_since = None
            self._retry_later(candidate, now)

    def _retry_later(self, candidate: Candidate, now: float) -> None:
        joining = candidate.given and self._member(self.own_key) is None  # somebody waits for this
        longest = LAST_JOIN_RETRY_S if joining else LAST_GIVEN_RETRY_S if candidate.given else LAST_RETRY_S
        pause = min(longest, FIRST_RETRY_S * 2.0 ** min(candidate.failures, 16))
        candidate.failures += 1
        candidate.due = now + pause * self._luck.uniform(0.5, 1.0)

    # -------------------------------------------------------------- what is wanted

    def recognise(self) -> tuple[Live, ...]:
        """Membership grew: the links that turn out to be a member's."""
        fresh = []
        for live in self._live.values():
            if live.peer is None and (peer := self._member(live.key)) is not None:
                live.peer = peer
                fresh.append(live)
        return tuple(fresh)

    def plan(self, now: float) -> None:
        """Dial what is wanted and due; ask to be called again when something else may be."""
        for live in tuple(self._live.values()):
            if live.peer is None and now - live.up_at >= WAITING_S:
                self.drop(live.link, "it never became a member", now)
        for candidate in self._candidates.values():
            if candidate.dialling_since is not None and now - candidate.dialling_since >= DIAL_LIMIT_S:
                candidate.dialling_since = None
                self._retry_later(candidate, now)
        open_to = [c for c in self._candidates.values() if c.dialling_since is None and self._is_wanted(c)]
        due = [c for c in open_to if c.due <= now]
        movers = {id(c): None for c in due if c.moves and self._link_of(c.key or c.led_to) is not None}
        for candidate in [c for c in due if id(c) in movers]:
            self._look_for(candidate, now)
        due = [c for c in due if id(c) not in movers and self._is_wanted(c)]
        given = [c for c in due if c.given]
        others = [c for c in due if not c.given]
        room = self._room()
        if self._member(self.own_key) is not None:
            given = given[:room]  # a member needs no particular door; a joiner has no other
        for candidate in given + self._luck.sample(others, min(len(others), max(0, room - len(given)))):
            self._dial(candidate, now)
        self._rotate(others, now)
        self._ask_again(open_to, now)

    def _look_for(self, candidate: Candidate, now: float) -> None:
        """Dial a linked peer where it is said to be now, or see later whether that is called for."""
        key, live = candidate.key or candidate.led_to, self._link_of(candidate.key or candidate.led_to)
        if key is None or live is None:
            return
        self._moved = {one: at for one, at in self._moved.items() if now - at < MOVE_KEY_S}
        since = next(reversed(self._moved.values()), now - MOVE_S)
        candidate.due = max(
            live.heard_at + SILENT_S, self._moved.get(key, now - MOVE_KEY_S) + MOVE_KEY_S, since + MOVE_S
        )
        if candidate.due <= now and self._dial(candidate, now):
            candidate.moves -= 1
            self._moved.pop(key, None)
            self._moved[key] = now

    def _link_of(self, key: bytes | None) -> Live | None:
        """The link to who has that key, or to whom it belonged."""
        peer = self._member(key) if key is not None else None
        mine = (live for live in self._live.values() if live.key == key or (peer is not None and live.peer == peer))
        return next(mine, None)

    def _dial(self, candidate: Candidate, now: float) -> bool:
        if not self._is_wanted(candidate):
            return False  # another address of the same peer was dialled just now
        candidate.dialling_since = now
        self._out.put(Dial(candidate.host, candidate.port, candidate.key))
        return True

    def _is_wanted(self, candidate: Candidate) -> bool:
        key = candidate.key or candidate.led_to
        if key is not None:
            if not candidate.moves and self._link_of(key) is not None:
                return False
            if any(c.dialling_since is not None and c.key == key for c in self._candidates.values()):
                return False
        if candidate.given or (self.seeks and candidate.key is not None):
            return True
        return candidate.key is not None and self._member(candidate.key) is not None

    def _room(self) -> int:
        """How many more dials are wanted now."""
        dialling = sum(1 for c in self._candidates.values() if c.dialling_since is not None)
        if self._is_small():
            return self._config.limits.links
        own = sum(1 for live in self._live.values() if live.dialled)
        return max(0, self._aim() - len(self._live) - dialling, self._config.own_links - own - dialling)

    def _aim(self) -> int:
        """Links aimed at in a large swarm."""
        return self.good_for * (2 if self.is_leader else 1)

    def _is_small(self) -> bool:
        return self._swarm_size() <= self._config.full_mesh

    def _rotate(self, due: list[Candidate], now: float) -> None:
        """In a large swarm, now and then try somebody else, so that two satisfied halves find each other again."""
        if self._is_small() or now < self._rotate_at:
            return
        first = self._rotate_at == 0.0
        self._rotate_at = now + self._config.rotate_s * self._luck.uniform(0.75, 1.25)
        idle = [c for c in due if c.dialling_since is None]
        if first or not idle:
            return
        self._rotating = self._dial(self._luck.choice(idle), now)

    def _retire_one(self, new: Live, now: float) -> None:
        """A random link came in by rotation: let the oldest of our own go, if there are more than enough."""
        own = [live for live in self._live.values() if live.dialled and live is not new]
        if len(self._live) > self._aim() and len(own) >= self._config.own_links:
            self.drop(min(own, key=lambda live: (live.up_at, live.link)).link, "making room for another", now)

    def _ask_again(self, open_to: list[Candidate], now: float) -> None:
        times = [c.due for c in open_to if c.due > now]
        times += [c.dialling_since + DIAL_LIMIT_S for c in self._candidates.values() if c.dialling_since is not None]
        times += [live.up_at + WAITING_S for live in self._live.values() if live.peer is None]
        if not self._is_small():
            times.append(self._rotate_at)
        if times:
            self._out.timer(TIMER, max(min(times), now))
