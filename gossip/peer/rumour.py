"""Rumour: which entries exist, who has them, and getting them.

    a log grows here ----Have----> links that do not have it yet     (own entries at once, others' a moment later)
    now and then ------Digest----> each link;  different?  each tells the other what it lacks
    somebody has more --Want-----> one link at a time per log;  silence?  another link, then more patience

Rules kept here: announce and pull, so that nobody is sent what it did not ask for; entries are wanted only of
logs that concern us (members', or cited by what we hold back, or a guest's first); a claim to have more that is
never made good costs one request a minute. Nothing is lost for good: whatever was not heard is in the next digest.
Of a log that is known to be forked nothing is wanted here: strands.py fetches the branches that somebody cites.

It refuses to know what entries say and whether they are true: tape.py checks who signed, admission.py the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gossip.config import PeerConfig
from gossip.events import LinkId
from gossip.peer.disk import Disk
from gossip.peer.links import Links, Live
from gossip.peer.luck import Luck
from gossip.peer.outbox import Outbox
from gossip.peer.pace import Pace
from gossip.peer.quota import Quota
from gossip.peer.tape import Tape, Tapes
from gossip.wire.frames import HEAD_BYTES, MAX_BATCH, MAX_HAVE, NO_HASH, Differs, Digest, Have, Want
from ledger.canonical import entry_hash
from ledger.chain import MAX_LOG_SIZE, LogId, peer_of
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.replica import Replica

MAX_PUSHED: Final = 32  # messages of what a peer lacks that is told that it is out
MAX_WANTS_LINK: Final = 16  # requests open at one link
MAX_TRIES: Final = 3  # unanswered requests to one link before its claim counts for nothing with those who wait
FIRST_DIGEST_S: Final = 1.0  # on a new link; doubled each time until it is config.digest_s
ROW_BYTES: Final = 36 + HEAD_BYTES  # of a Have
VECTOR_DOMAIN: Final = b"gossip/vector/2\n"
DIGEST_TIMER: Final = "digest"
RELAY_TIMER: Final = "relay"
ASK_TIMER: Final = "asks"


@dataclass(slots=True)
class Ask:
    """A stretch of a log that was asked for."""

    link: LinkId
    start: int
    stop: int
    prev: Hash
    since: float
    deadline: float
    is_early: bool = False  # its author, to whom we have a link, has not announced it


class Rumour:
    """What this peer and its links say they have. `tapes` is shared with the rest of the machine."""

    def __init__(
        self, config: PeerConfig, own: PeerId, replica: Replica, tapes: Tapes, links: Links, luck: Luck,
        pace: Pace, disk: Disk, out: Outbox,
    ) -> None:  # fmt: skip
        self._config = config
        self._disk = disk
        self._own = own
        self._replica = replica
        self._tapes = tapes
        self._links = links
        self._luck = luck
        self._pace = pace
        self._out = out
        self.forked: dict[PeerId, None] = {}  # whose logs are known to have several branches
        self.wants_own = False  # the own log is asked for like any other: this peer may have lost a part of it
        self.odd: dict[PeerId, tuple[LinkId, int]] = {}  # another entry than ours is said to be last at that size
        self._claims: dict[LinkId, dict[LogId, int]] = {}
        self._beyond: dict[LinkId, dict[LogId, None]] = {}  # logs of which a claim was, when made, more than we hold
        self._spoken: dict[LinkId, dict[PeerId, None]] = {}  # of which peers' logs a link has said how much it holds
        self._behind: dict[LogId, None] = {}  # logs of which somebody may have more
        self._asks: dict[LogId, Ask] = {}
        self._overtaken: dict[tuple[LogId, LinkId], Ask] = {}  # not waited for, but what is said to them counts
        self._tries: dict[tuple[LogId, LinkId], int] = {}
        self._news: dict[LogId, None] = {}  # logs that grew since the last announcement
        self._heads: dict[LogId, tuple[int, Hash]] = {}  # the last hash asked for
        self._relay_at: float | None = None
        self._digests: dict[LinkId, tuple[float, float]] = {}  # when the next one goes out, and the pause after it
        self._vector: Hash = ""
        self._rows: dict[LogId, tuple[int, bytes]] = {}  # of that, for so many admitted entries

    # -------------------------------------------------------------- what we have

    def grew(self, log: LogId, now: float) -> None:
        """More of `log` can be given to others."""
        self._vector = ""
        self._news[log] = None
        due = now if log == self._own else now + self._config.relay_s
        if self._relay_at is None or due < self._relay_at:
            self._relay_at = due

    def vector(self) -> Hash:
        """One hash of everything we can give: equal hashes, equal logs."""
        if not self._vector:
            rows = [self._row(tape, size) for tape in self._tapes.values() if (size := tape.servable) > tape.fork]
            self._vector = sha256(VECTOR_DOMAIN + b"".join(sorted(rows))).hexdigest()
        return self._vector

    def _row(self, tape: Tape, size: int) -> bytes:
        """Of the vector. Of most logs it is that of the last time."""
        known = self._rows.get(tape.log)
        if known is not None and known[0] == size:
            return known[1]
        row = bytes.fromhex(peer_of(tape.log)) + size.to_bytes(4, "big") + bytes.fromhex(self._hash(tape, size - 1))
        if size <= tape.admitted:
            self._rows[tape.log] = (size, row)
        return row

    def entry(self, tape: Tape, seq: int) -> bytes | None:
        """An entry that is here, admitted or not."""
        if tape.parent is not None and seq < tape.fork:
            return self.entry(tape.parent, seq)
        return self._replica.data(tape.log, seq) if seq < tape.admitted else tape.held_at(seq)

    def _hash(self, tape: Tape, seq: int) -> Hash:
        """The hash of an entry that is here; NO_HASH if it is not (any more)."""
        known = self._heads.get(tape.log)
        if known is not None and known[0] == seq:
            return known[1]
        data = self.entry(tape, seq)
        if data is None:
            return NO_HASH
        if seq < tape.admitted:
            self._heads[tape.log] = (seq, entry_hash(data))
        return entry_hash(data)

    def _shown(self, tape: Tape, live: Live | None) -> int:
        """How much of a log a link hears of: what may be passed on; its author also of what waits here to be admitted,
        for it may have lost that, and must not write it anew."""
        is_author = live is not None and live.peer == peer_of(tape.log)
        return tape.signed if is_author else tape.servable

    def _tell(self, link: LinkId, logs: list[LogId]) -> None:
        """Send what `link` is not known to have, of these logs."""
        claims, live = self._claims[link], self._links.get(link)
        news = sorted(
            (peer_of(log), size, bytes.fromhex(self._hash(tape, size - 1))[:HEAD_BYTES])
            for log in logs
            if (tape := self._tapes.get(log)) is not None
            and (size := self._shown(tape, live)) > max(tape.fork, claims.get(log, 0))
        )
        for start in range(0, len(news), MAX_HAVE):
            self._out.send(link, Have(tuple(news[start : start + MAX_HAVE])))

    def push(self, link: LinkId) -> None:
        """Send what `link` is not known to have, as far as that is little: nobody will give it to it any more. Admins'
        logs first, for those are what it must hear."""
        claims, role_of = self._claims.get(link, {}), self._replica.role_of
        left = MAX_PUSHED
        for log in sorted(self._tapes, key=lambda log: (role_of(peer_of(log)) != "admin", log)):
            tape = self._tapes[log]
            start = max(tape.fork, claims.get(log, 0))
            while left and start < tape.servable:
                frame = tape.serve(start, tape.servable, lambda seq, tape=tape: self.entry(tape, seq))  # type: ignore[misc]
                if frame is None:
                    break
                self._out.send(link, frame)
                start, left = start + len(frame.entries), left - 1

    # -------------------------------------------------------------- links

    def link_up(self, live: Live, now: float) -> None:
        self._claims[live.link] = {}
        self._beyond[live.link] = {}
        self._spoken[live.link] = {}
        self._digests[live.link] = (now, FIRST_DIGEST_S)
        if live.peer is not None:  # it may have come back with less than we hold of its log, and waits for this word
            self._tell(live.link, [tape.log for tape in self._tapes.branches(live.peer)])

    def link_down(self, link: LinkId) -> None:
        self._claims.pop(link, None)
        self._beyond.pop(link, None)
        self._spoken.pop(link, None)
        self._digests.pop(link, None)
        for log in [log for log, ask in self._asks.items() if ask.link == link]:
            del self._asks[log]
            self._behind[log] = None
        self._tries = {key: tries for key, tries in self._tries.items() if key[1] != link}
        self._overtaken = {key: ask for key, ask in self._overtaken.items() if key[1] != link}

    def holds(self, link: LinkId, log: LogId, seq: int) -> None:
        """`link` sent entry `seq`, so it holds it, whatever it announced."""
        claims = self._claims.get(link)
        if claims is not None:
            claims[log] = max(seq + 1, claims.get(log, 0))
            self._beyond[link][log] = None

    def holders(self, log: LogId, seq: int) -> list[LinkId]:
        """Who says that it holds an entry. Guests are not asked: they may know of logs that are not theirs."""
        holds = (link for link, claims in self._claims.items() if claims.get(log, 0) > seq)
        return [link for link in holds if (live := self._links.get(link)) is not None and not live.is_guest]

    def claim(self, link: LinkId, log: LogId) -> int:
        """How much of a log a link is known to hold."""
        return self._claims.get(link, {}).get(log, 0)

    def vouched(self) -> dict[LogId, int]:
        """How much there is of each log: by the word of a link to its author, or of two links."""
        found: dict[LogId, list[int]] = {}
        for live in self._links:
            for log, size in self._claims[live.link].items() if not live.is_guest else ():
                found.setdefault(log, []).extend([size] * (2 if live.peer == peer_of(log) else 1))
        return {log: sorted(sizes)[-2] for log, sizes in found.items() if len(sizes) > 1}

    def is_up(self, link: LinkId) -> bool:
        return link in self._claims

    def has_spoken(self, link: LinkId, peer: PeerId) -> bool:
        """Whether a link has said how much of that peer's log it holds."""
        return peer in self._spoken.get(link, {})

    def claimed_more(self, log: LogId, link: LinkId) -> bool:
        """Whether a link says that it holds more of a log than we know, and has not failed to show it."""
        tries = self._tries.get((log, link), 0)
        return tries < MAX_TRIES and self._claims.get(link, {}).get(log, 0) > self._known(log)

    # -------------------------------------------------------------- frames

    def on_digest(self, link: LinkId, frame: Digest, quota: Quota) -> None:
        if frame.vector == self.vector():
            self._claims[link].update((log, tape.servable) for log, tape in self._tapes.items() if tape.servable)
            self._spoken[link][self._own] = None
            return
        if not quota.serve(ROW_BYTES * len(self._tapes)):
            return
        self._tell(link, sorted(self._tapes))
        if frame.ask:
            self._out.send(link, Digest(self.vector(), ask=False))

    def on_have(self, link: LinkId, frame: Have) -> None:
        claims, spoken = self._claims[link], self._spoken[link]
        most = self._config.limits.claims
        if max(len(claims), len(spoken)) + len(frame.rows) > most:  # (of those that it has spoken of, too)
            new = sum(peer not in spoken for peer, _, _ in frame.rows)
            if max(len(claims), len(spoken)) + new > most:
                raise RemoteError("a peer speaks of more logs than a swarm has", why=f"the limit is {most}")
        for peer, size, head in frame.rows:
            spoken[peer] = None
            for log in self._meant(peer, size, head, link):
                if size > claims.get(log, 0):
                    claims[log] = size
                    self._beyond[link][log] = None
                    self._behind[log] = None

    def _meant(self, peer: PeerId, size: int, head: bytes, link: LinkId) -> list[LogId]:
        """The branches that a row may be about: the one with that entry, else those that do not reach so far."""
        branches = self._tapes.branches(peer)
        for tape in branches:
            if size <= tape.known and bytes.fromhex(self._hash(tape, size - 1))[:HEAD_BYTES] == head:
                return [tape.log]
        shorter = [tape.log for tape in branches if tape.known < size]
        if branches and not shorter and peer not in self.forked and not branches[0].stopped:
            self.odd[peer] = (link, size)
        return shorter if branches else [peer]

    def on_want(self, link: LinkId, want: Want) -> None:
        """Serve a stretch. Who holds another branch than we do is shown our entry in place of its own."""
        live = self._links.get(link)
        branches = [tape for tape in self._tapes.branches(want.log) if want.start <= self._shown(tape, live)]
        after = [t for t in branches if not want.start or self._hash(t, want.start - 1) == want.prev]
        if want.root != NO_HASH:
            named = [t for t in branches if self._is_branch(t, want.stop, bytes.fromhex(want.root))]
            if after and not named:
                return  # not a branch of ours
            branches, after = named or branches, [tape for tape in named if tape in after]
        if not after:
            if branches and want.start:
                self._show(link, max(branches, key=lambda tape: tape.signed), want.start)
            return
        tape = max(after, key=lambda tape: tape.signed)
        stop = min(want.stop, self._shown(tape, live))
        frame = tape.serve(want.start, stop, lambda seq: self.entry(tape, seq))
        if frame is not None:
            self._out.send(link, frame)
            claims = self._claims[link]
            claims[tape.log] = max(claims.get(tape.log, 0), frame.start + len(frame.entries))
            self._beyond[link][tape.log] = None

    def _is_branch(self, tape: Tape, size: int, root: bytes) -> bool:
        return size <= tape.admitted and tape.tree.root(size) == root

    def _show(self, link: LinkId, tape: Tape, start: int) -> None:
        """Our entry start - 1, with what proves that its author signed it."""
        cover, data = tape.cover_of(start - 1), self.entry(tape, start - 1)
        if start <= cover.reach and data is not None:
            proof = cover.inclusion(tape.tree, start - 1)
            self._out.send(link, Differs(peer_of(tape.log), start, cover.note, proof, data))

    def answered(self, log: LogId, link: LinkId, now: float) -> None:
        """Entries of `log` that we lacked came from `link`."""
        self._tries.pop((log, link), None)
        ask = self._asks.get(log)
        if ask is not None and ask.link == link:
            self._pace.heard(link, now - ask.since)
        if ask is not None and (ask.link == link or self._known(log) >= ask.stop):
            del self._asks[log]
        self._behind[log] = None

    # -------------------------------------------------------------- wanting

    def asked(self, log: LogId, link: LinkId, start: int) -> Hash | None:
        """What a link was told comes before `start`, if it was asked for `log` from there on and has not answered."""
        asks = (self._asks.get(log), self._overtaken.get((log, link)))
        return next((ask.prev for ask in asks if ask is not None and (ask.link, ask.start) == (link, start)), None)

    def need(self, log: LogId, size: int, link: LinkId, by: LogId) -> None:
        """An entry of `by` that is held back cites `size` entries of `log`; who sent it holds them, if it is honest."""
        self._disk.cite(log, size, by)
        claims = self._claims.get(link)
        if claims is not None:
            claims[log] = max(size, claims.get(log, 0))
            self._beyond[link][log] = None
        self._behind[log] = None

    def disown(self, log: LogId, link: LinkId) -> None:
        """What `link` said about `log` is not to be used."""
        claims = self._claims.get(link)
        if claims is not None:
            claims.pop(log, None)

    def look_again(self) -> None:
        """Membership grew: logs that did not concern us may now."""
        for claims in self._claims.values():
            for log in claims:
                self._behind[log] = None

    def _known(self, log: LogId) -> int:
        tape = self._tapes.get(log)
        return tape.known if tape is not None else 0

    def wanted_size(self, log: LogId, live: Live) -> int:
        """Up to where entries of a log concern us, coming from this link."""
        replica = self._replica
        tape = self._tapes.get(log)
        if peer_of(log) in self.forked or (tape is not None and tape.stopped):
            return 0
        if log == self._own:
            return MAX_LOG_SIZE if self.wants_own else 0
        peer = peer_of(log)
        is_member = log == replica.founder or bool(replica.role_of(peer))
        if live.is_guest:  # its own first entry, so that it can be admitted, and nothing of others
            return 0 if is_member or tape is not None else 1
        if is_member and not replica.is_revoked(peer) and not self._disk.is_over(peer):
            return MAX_LOG_SIZE
        return self._disk.cited(log)

    def missing(self) -> int:
        """Entries that we know of and have not admitted, of logs that concern us."""
        total = 0
        for log in self._behind:
            total += self._claimed(log) - self._known(log)
        waiting = self._tapes.waiting()
        # (An update whose author went before anybody had its delta never comes: nobody we know has it.)
        return total + sum(len(tape.held) for tape in waiting if self.holders(tape.log, tape.admitted))

    def expected(self) -> int:
        """Of what is missing, what is worth waiting for: there is so much by the word of a link to its author, or of
        two links, or of the only one. Whoever else announces what nobody has written makes nobody wait."""
        ways = sum(not live.is_guest for live in self._links)
        waiting = self._tapes.waiting()
        total = sum(len(tape.held) for tape in waiting if self.holders(tape.log, tape.admitted))
        for log in self._behind:
            sizes = sorted(self._words(log))
            if sizes and (len(sizes) > 1 or ways == 1):
                total += max(0, sizes[-2 if len(sizes) > 1 else -1] - self._known(log))
        return total

    def _words(self, log: LogId) -> Iterator[int]:
        """How much there is of a log that concerns us, in the words of each link; its author's counts twice."""
        for live in self._links:
            claimed = self._claims[live.link].get(log, 0)
            if claimed > self._known(log) and self._tries.get((log, live.link), 0) < MAX_TRIES and not live.is_guest:
                size = min(claimed, self.wanted_size(log, live))
                yield from (size, size) if live.peer == peer_of(log) else (size,)

    def said(self) -> int:
        """How many entries that are not admitted here one link says to hold, at most: of any logs, whether they concern
        us or not. A hint: a joiner does not know yet whose logs concern it."""
        return max((self._ahead(live.link) for live in self._links if not live.is_guest), default=0)

    def announced(self) -> dict[LogId, int]:
        """How much there is of each log that we do not hold all of, by the largest word of any link."""
        found: dict[LogId, int] = {}
        for live in self._links:
            for log, size in self._claims[live.link].items() if not live.is_guest else ():
                if size > max(found.get(log, 0), self._replica.size(log)):
                    found[log] = size
        return found

    def lacks(self, log: LogId, size: int) -> bool:
        """Whether more of a log, up to that size, may still come: it concerns us, and somebody who has not failed to
        show it says that it is there."""
        here = self._replica.size(log)
        for live in self._links:
            if not live.is_guest and self._tries.get((log, live.link), 0) < MAX_TRIES:
                claimed = min(size, self._claims[live.link].get(log, 0))
                if claimed > here and self.wanted_size(log, live) > here:
                    return True
        return False

    def _ahead(self, link: LinkId) -> int:
        """How many entries a link says to hold beyond what is admitted here. (Asked four times a second: of a swarm
        that is up to date hardly a log is looked at for it.)"""
        claims, beyond, total = self._claims[link], self._beyond[link], 0
        for log in tuple(beyond):
            more = claims.get(log, 0) - self._replica.size(log)
            if more > 0:
                total += more
            else:
                del beyond[log]
        return total

    def _claimed(self, log: LogId) -> int:
        best = self._known(log)
        for live in self._links:
            claimed = self._claims[live.link].get(log, 0)
            if claimed > best and self._tries.get((log, live.link), 0) < MAX_TRIES:
                best = max(best, min(claimed, self.wanted_size(log, live)))
        return best

    def pull(self, now: float, patient: Collection[LinkId] = ()) -> None:
        """Ask for what is missing, but for now not for what the `patient` links say that they have as much of as
        anybody."""
        for log, ask in tuple(self._asks.items()):
            is_overtaken = self._is_overtaken(log, ask)
            if is_overtaken or now >= ask.deadline:
                del self._asks[log]
                self._tries[log, ask.link] = self._tries.get((log, ask.link), 0) + 1
            if is_overtaken:
                self._overtaken[log, ask.link] = ask
        if self._overtaken:
            self._overtaken = {key: ask for key, ask in self._overtaken.items() if now < ask.deadline}
        open_wants: dict[LinkId, int] = {}
        for ask in self._asks.values():
            open_wants[ask.link] = open_wants.get(ask.link, 0) + 1
        for log in tuple(self._behind):
            if not (patient and self._is_theirs(log, patient)):
                self._pull_log(log, open_wants, now)
        if self._asks:
            self._out.timer(ASK_TIMER, min(ask.deadline for ask in self._asks.values()))

    def _author_link(self, log: LogId) -> LinkId | None:
        return next((live.link for live in self._links if live.peer == peer_of(log)), None)

    def _is_overtaken(self, log: LogId, ask: Ask) -> bool:
        """Whether a link was asked for what its author had not announced, and has by now: so it did not exist yet, and
        whoever announced it first has nothing to send."""
        author = self._author_link(log) if ask.is_early else None
        return author is not None and self.claim(author, log) > ask.start

    def _is_theirs(self, log: LogId, links: Collection[LinkId]) -> bool:
        most = max((claims.get(log, 0) for claims in self._claims.values()), default=0)
        return any(self.claim(link, log) >= max(1, most) for link in links)

    def _pull_log(self, log: LogId, open_wants: dict[LinkId, int], now: float) -> None:
        if log in self._asks:
            return
        tape = self._tapes.get(log)
        known = self._known(log)
        best: tuple[int, int, int, LinkId] | None = None
        size = 0
        for live in self._links:
            claimed = self._claims[live.link].get(log, 0)
            if claimed > known:  # most say what we know: that much is asked first
                claimed = min(claimed, self.wanted_size(log, live))
            if claimed <= known:
                continue
            tries, busy = self._tries.get((log, live.link), 0), open_wants.get(live.link, 0)
            rank = (tries, self._pace.grade(live.link), busy, live.link)
            if best is None or rank < best:
                best, size = rank, claimed
        if best is None:
            self._behind.pop(log, None)
            return
        tries, _, busy, link = best
        if busy >= MAX_WANTS_LINK or (tape is not None and not tape.may_grow(self._config.limits.held_log_bytes)):
            return
        open_wants[link] = busy + 1
        stop = min(size, known + MAX_BATCH)
        prev = self.hash_before(tape, known) if tape is not None else NO_HASH
        author = self._author_link(log)
        is_early = author is not None and author != link and self.claim(author, log) <= known
        self._asks[log] = Ask(link, known, stop, prev, now, now + self._pace.wait_s(link, tries), is_early)
        self._out.send(link, Want(peer_of(log), known, stop, prev))

    def hash_before(self, tape: Tape, start: int) -> Hash:
        """What a Want from `start` on says about the entry before it."""
        return self._hash(tape, start - 1) if start else NO_HASH

    # -------------------------------------------------------------- time

    def tick(self, now: float) -> None:
        """Announce and compare what is due."""
        if self._relay_at is not None:
            if now >= self._relay_at:
                logs = sorted(self._news)
                self._news.clear()
                self._relay_at = None
                for live in self._links:
                    self._tell(live.link, logs)
            else:
                self._out.timer(RELAY_TIMER, self._relay_at)
        for link, (due, pause) in self._digests.items():
            if now >= due:
                self._out.send(link, Digest(self.vector(), ask=True))
                self._digests[link] = (
                    now + pause * self._luck.uniform(0.75, 1.25),
                    min(2 * pause, self._config.digest_s),
                )
        if self._digests:
            self._out.timer(DIGEST_TIMER, min(due for due, _ in self._digests.values()))
