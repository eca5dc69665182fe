"""Where members meet beyond the LAN: a secret that admins choose, and that reaches members over their links alone.

    NewRendezvous (an admin's shell, when `wants`) --signed--> held --KeepRendezvous--> disk
    link: Rendezvous --> told, one for each link --its heads are here? by an admin in force? newer?--> held --> members
    held changed, a link to a member came up, a guest became one --> each such member, and again until it says the same

Why it exists: a swarm's namespace is made of a secret, so that nobody else can ask a DHT who is in it. A member that is
put out knows the secret; so the admin that put it out makes another. That one must not reach it through a member who
has not heard yet that it is out: a record says which entries of the admins its author held, and nobody takes it, or
passes it on, before holding as much.

Rules kept here:
- The order of records: one by an admin in force stands above one whose author is out, or has changed keys since because
  its key was stolen; then the higher epoch counts, then the lower SHA-256 of the secret. So all who are told the same
  and know the same entries choose the same one, and an epoch that cannot be beaten is worth no more than its author.
- Only records that stand are taken. What is held stays, even if it stands no more, until one that stands is told.
- The key that must have signed is the one in force after so many entries of its author's log as the record says: all
  who hold these find the same, whatever keys came later.
- A record that is old, or of nobody whom we know to be an admin, is nobody's fault; a wrong signature is. What a link
  said last waits, with what every other link said, and is looked at again when members or admins' logs changed.
- Of one author a record is taken PACE_S after the last, then after twice as long, up to SLOWEST_S, until it has chosen
  nothing for CALM_S: each is written, goes to every link, and sends members to another place.
- Both ends of a link say what they hold, once for each link and change; who has not heard the same back says it again,
  REPEATS times, each twice as long after the last. Links lose nothing as a rule: then nothing is said twice.
- Never to guests, nor to who is out. The secret is in no note.
It refuses to know what is made of the secret, and whether anybody looks for anybody there (gossip/wide).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from gossip.config import PeerConfig
from gossip.events import KeepRendezvous, LinkId, NewRendezvous
from gossip.peer.author import Author
from gossip.peer.departures import Departures
from gossip.peer.links import Links, Live
from gossip.peer.outbox import Outbox
from gossip.peer.quota import Quota
from gossip.wire import codec, meeting
from gossip.wire.frames import MAX_SIZE, MAX_SPEAKERS, SECRET_BYTES, Rendezvous
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Enrol, Member, PeerId, Recover, Revoke, Rotate
from ledger.errors import RemoteError
from ledger.keys import SIGNATURE_BYTES, verify
from ledger.replica import Replica

PACE_S: Final = 1.0  # between two records of one author that others tell of; doubling
SLOWEST_S: Final = 600.0
CALM_S: Final = 3_600.0  # after which an author is taken at its word at once again
AGAIN_S: Final = 5.0  # until it is said again for the first time
REPEATS: Final = 4
WAIT_S: Final = 60.0  # for the entries that a first record waits for, before an admin chooses another
TIMER: Final = "rendezvous"

Blame = Callable[[LinkId, RemoteError], object]


@dataclass(slots=True)
class _Said:
    """What we said last over a link."""

    frame: Rendezvous
    times: int
    again_at: float


class Rendezvousing:
    """What one peer holds, and was told. `is_forked`: whether a peer's log is known to have several branches."""

    def __init__(
        self, config: PeerConfig, replica: Replica, links: Links, author: Author, departures: Departures, out: Outbox,
        blame: Blame, is_forked: Callable[[PeerId], bool],
    ) -> None:  # fmt: skip
        self._replica = replica
        self._links = links
        self._author = author
        self._departures = departures
        self._out = out
        self._blame = blame
        self._is_forked = is_forked
        self.held: Rendezvous | None = None
        self._kept = _kept(config.rendezvous)  # of an earlier run, not looked at yet
        self._epochs: dict[PeerId, int] = {}  # the highest by each author of what we held
        self._told: dict[LinkId, Rendezvous] = {}  # what each said last
        self._said: dict[LinkId, _Said] = {}
        self._words: dict[PeerId, dict[PeerId, int]] = {}  # who is to be out: where in whose log that was said first
        self._recovered: dict[PeerId, int] = {}  # where in its log a peer last said that its key was stolen
        self._paces: dict[PeerId, tuple[float, float]] = {}  # when the last was taken, and how long until the next
        self._wait_until = 0.0  # somebody has told us something already: let that come in first
        self._again_at = float("inf")  # when something is said again, or a record may be taken
        self._has_news = True

    # -------------------------------------------------------------- what happens

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, now or in an earlier run."""
        if isinstance(entry, Revoke) and peer_of(log) == log:
            self._words.setdefault(entry.peer, {}).setdefault(log, seq)
        elif isinstance(entry, Recover):
            self._recovered[peer_of(log)] = max(seq, self._recovered.get(peer_of(log), 0))
        if isinstance(entry, Enrol | Member | Revoke | Rotate | Recover) or self._is_awaited(log):
            self._has_news = True

    def link_up(self) -> None:
        """A link came up, or a far end turned out to be a member."""
        self._has_news = True

    def link_down(self, link: LinkId) -> None:
        self._told.pop(link, None)
        self._said.pop(link, None)

    def on_rendezvous(self, live: Live, frame: Rendezvous, quota: Quota) -> None:
        """A member says where members meet."""
        if frame != self.held:
            quota.signatures(1)
            self._has_news = True
        if self.held is None and not self._wait_until:
            self._wait_until = self._author.now + WAIT_S
        self._told[live.link] = frame

    # -------------------------------------------------------------- making one

    @property
    def wants(self) -> bool:
        """Whether this peer is an admin that should choose another secret: there is none, or somebody knows it who is
        out, by this peer's own word, or it was signed by nobody who is an admin in force."""
        author, held = self._author, self.held
        if not author.may_write or author.role != "admin" or author.stored != author.size:
            return False
        if held is None and author.now < self._wait_until:
            return False
        if held is None or not self._stands(held, author.now):
            return self._next_epoch(author.now) <= MAX_SIZE
        heads = dict(held.heads)
        speakers = dict(self._heads())
        mine = (words for peer, words in self._words.items() if author.own in words and self._replica.is_revoked(peer))
        is_old = any(seq >= heads.get(log, 0) for words in mine for log, seq in words.items() if log in speakers)
        return is_old and self._next_epoch(author.now) <= MAX_SIZE

    def asked(self, event: NewRendezvous, now: float) -> None:
        """The shell brings a secret: sign it and tell, if one is wanted."""
        if not self.wants or len(event.secret) != SECRET_BYTES:
            return
        unsigned = Rendezvous(
            self._next_epoch(now), event.secret, self._author.own, self._heads(), bytes(SIGNATURE_BYTES)
        )
        self._hold(
            replace(unsigned, signature=self._author.sign(meeting.signed_bytes(unsigned, self._replica.swarm))), now
        )

    def _next_epoch(self, now: float) -> int:
        """One more than the highest that an admin in force has signed, as far as we saw."""
        known = (epoch for author, epoch in self._epochs.items() if self._is_admin(author, now))
        return 1 + max(known, default=0)

    def _heads(self) -> tuple[tuple[PeerId, int], ...]:
        """How much we hold of our own log, and of those in which others put members out."""
        own, replica = self._author.own, self._replica
        others = sorted({log for words in self._words.values() for log in words} - {own})
        named = [own, *others[: MAX_SPEAKERS - 1]]  # (a swarm has no more admins)
        return tuple(sorted((log, replica.size(log)) for log in named))

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """Take the best that was told, and tell members what we hold."""
        if not self._has_news and now < self._again_at:
            return
        self._has_news, self._again_at = False, float("inf")
        self._look_at_kept(now)
        self._take(now)
        self._tell(now)
        if self._again_at < float("inf"):
            self._out.timer(TIMER, self._again_at)

    def _look_at_kept(self, now: float) -> None:
        """What an earlier run had taken stays taken, once the replica can tell that it was signed as it says."""
        kept = self._kept
        if kept is None or not self._is_here(kept):
            return
        self._kept = None
        if self._is_signed(kept):
            self.held = kept
            self._epochs[kept.author] = kept.epoch

    def _take(self, now: float) -> None:
        told = ((link, frame) for link, frame in self._told.items() if frame != self.held)
        waiting = {link: frame for link, frame in told if self._is_here(frame) and self._is_newer(frame, now)}
        for link, frame in sorted(waiting.items(), key=lambda item: _rank(item[1]), reverse=True):
            if not self._is_newer(frame, now):
                return
            if now < (at := self._next_of(frame.author)):
                self._again_at = min(self._again_at, at)
                continue
            if self._is_signed(frame):
                self._count(frame.author, now)
                self._hold(frame, now)
                return
            if not self._is_forked(frame.author):  # else what we hold may be another branch than its author signed on
                del self._told[link]
                self._blame(link, _forged())

    def _next_of(self, author: PeerId) -> float:
        """When a record by it is taken again."""
        at, wait = self._paces.get(author, (float("-inf"), 0.0))
        return at + wait

    def _count(self, author: PeerId, now: float) -> None:
        at, wait = self._paces.get(author, (float("-inf"), 0.0))
        self._paces[author] = (now, min(2 * wait, SLOWEST_S) if now - at < CALM_S else PACE_S)

    def _hold(self, frame: Rendezvous, now: float) -> None:
        self.held, self._kept = frame, None
        self._epochs[frame.author] = max(frame.epoch, self._epochs.get(frame.author, 0))
        self._has_news = True
        self._out.put(KeepRendezvous(codec.encode(frame)))

    def _tell(self, now: float) -> None:
        """Members who have not heard it over their link, and those who may not have."""
        held = self.held
        if held is None or not self._stands(held, now):
            return
        for live in self._links:
            if live.peer is None or self._departures.is_going(live.link) or self._departures.is_out(live.peer, now):
                continue
            said = self._said.get(live.link)
            if said is None or said.frame != held:
                said = self._said[live.link] = _Said(held, 0, now)
            elif self._told.get(live.link) == held or said.times > REPEATS:
                continue
            if now >= said.again_at:
                self._out.send(live.link, held)
                said.again_at = now + AGAIN_S * 2**said.times
                said.times += 1
            if said.times <= REPEATS:
                self._again_at = min(self._again_at, said.again_at)

    # -------------------------------------------------------------- judging

    def _is_awaited(self, log: LogId) -> bool:
        return any(log == one for frame in self._told.values() for one, _ in frame.heads)

    def _is_here(self, frame: Rendezvous) -> bool:
        """Whether we hold as much of the logs as its author did."""
        return all(self._replica.size(log) >= size for log, size in frame.heads)

    def _stands(self, frame: Rendezvous, now: float) -> bool:
        """Whether its author is an admin in force, and its key was not said to be stolen since."""
        author = frame.author
        return self._is_admin(author, now) and self._recovered.get(author, -1) < dict(frame.heads)[author]

    def _is_admin(self, peer: PeerId, now: float) -> bool:
        return self._replica.role_of(peer) == "admin" and not self._departures.is_out(peer, now)

    def _is_newer(self, frame: Rendezvous, now: float) -> bool:
        """Whether it stands above what we hold. Only records that stand do."""
        if not self._stands(frame, now):
            return False
        return self.held is None or not self._stands(self.held, now) or _rank(frame) > _rank(self.held)

    def _is_signed(self, frame: Rendezvous) -> bool:
        key = self._replica.key_at(frame.author, dict(frame.heads)[frame.author])
        return verify(key, frame.signature, meeting.signed_bytes(frame, self._replica.swarm))


def _rank(frame: Rendezvous) -> tuple[int, int]:
    """Higher is newer, among records that stand."""
    return frame.epoch, -int.from_bytes(sha256(frame.secret).digest())


def _forged() -> RemoteError:
    return RemoteError("where members meet is not signed by who is said to have chosen it")


def _kept(message: bytes) -> Rendezvous | None:
    """What KeepRendezvous kept; None of anything else: then others tell it again."""
    try:
        frame = codec.decode(message)
    except RemoteError:
        return None
    return frame if isinstance(frame, Rendezvous) else None
