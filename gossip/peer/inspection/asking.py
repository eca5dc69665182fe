"""Asking authors of public data to show records, and waiting for the answer.

    update admitted, we receive the data that it cites --> Challenge --> Opening --> examining.py
                                                              |
               no answer, though its author goes on learning  `--> opened.unanswered = 1
               from these data

Why when an update cites them: who changes its files announces them anew, and cannot show the old ones any more. What
nobody learns from is not asked for; what somebody learns from is, however many other data sets it has announced since.
Of the data that the newest RECENT updates of a log cite the most cited come first.

Who has not answered: after our request was in its past it published 64 updates that cite these very data; or one, one
more 10 minutes later, and another minute passed. A peer that is away, that has not heard of the request, or that learns
from something else by now is not blamed. The same holds of an opening whose blob does not come. What was said stays
said, so patience comes first: a condemnation is never taken back.

Rules kept here: one request of a data entry, ever: a second one would rightly stay without an answer. Of one peer's
data one each CHALLENGE_S, and after MANY each LATER_S, so nobody makes our log grow by announcing data sets. Who hears
that somebody else got no answer asks, too, and goes by what it gets. What was asked is read back from the own log. It
refuses to know what the records say.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gossip.egress import Records, Released, ZoneSetting, release
from gossip.peer.author import chain
from gossip.peer.inspection.examining import Examining, Place
from gossip.peer.inspection.office import Finding, Office, opinion
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Challenge, Opening, PeerId, Update
from ledger.opening import challenge_text

CHALLENGE_S: Final = 30.0  # between two requests to one peer
MANY: Final = 64  # requests to one peer; after that
LATER_S: Final = 600.0  # between two of them
RECENT: Final = 16  # updates of a log that tell what it learns from
MAX_DOUBTED: Final = 256  # data entries that others say are not opened; the oldest are forgotten

DataPlace = tuple[LogId, int]


@dataclass(slots=True)
class Watch:
    """Our request of one data entry, whose answer is awaited."""

    log: LogId  # whose data
    data: int
    seq: int  # of the request, in the own log
    number: int  # of the update that is looked at next
    cited: int = 0  # updates that cite these data, though the request (the opening, once there is one) was known
    place: Place | None = None  # of the answer, once it is admitted
    awake_at: float | None = None  # when the first of these came
    cited_late: int | None = None  # how many when the time was over
    late_at: float | None = None  # when one more came after that


class Asking:
    """What this peer asks others to show. `silent` takes a finding about data that are not shown."""

    def __init__(self, office: Office, examining: Examining, silent: Callable[[Finding, float], None]) -> None:
        self._office = office
        self._examining = examining
        self._silent = silent
        self._recent: dict[LogId, deque[int]] = {}  # data entries cited by a log's newest updates, oldest first
        self._to_ask: dict[LogId, None] = {}  # logs whose updates cite data that we have not asked for
        self._doubted: dict[DataPlace, None] = {}  # to be asked for, whoever receives them
        self._asked: dict[tuple[PeerId, int], int] = {}  # (peer, data entry): seq of our request
        self._count: dict[PeerId, int] = {}
        self._asked_at: dict[PeerId, float] = {}
        self._watched: dict[tuple[PeerId, int], Watch] = {}
        self._challenges: dict[tuple[PeerId, int], dict[tuple[PeerId, int], None]] = {}  # of a data entry: who, and seq
        self._answers: dict[tuple[PeerId, PeerId, int], Place] = {}  # by (who answers, who asked, seq)

    # -------------------------------------------------------------- what is on record

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        own = self._office.own
        match entry:
            case Update() if peer_of(log) != own and self._office.replica.weight_of(log, seq) is not None:
                self._recent.setdefault(log, deque(maxlen=RECENT)).append(entry.data)
                if (peer_of(log), entry.data) not in self._asked:
                    self._to_ask[log] = None
            case Challenge():
                self._challenges.setdefault((entry.peer, entry.data), {})[peer_of(log), seq] = None
                if log == own and (entry.peer, entry.data) not in self._asked:
                    self._asked[entry.peer, entry.data] = seq
                    self._count[entry.peer] = self._count.get(entry.peer, 0) + 1
                    self._watched[entry.peer, entry.data] = Watch(entry.peer, entry.data, seq, 0)
            case Opening():
                self._answers.setdefault((peer_of(log), entry.peer, entry.challenge), (log, seq))
            case _:
                pass

    def openings(self, peer: PeerId, data: int) -> list[Place]:
        """Every answer on record to requests of one data entry."""
        asked = self._challenges.get((peer, data), {})
        return [place for who, seq in asked if (place := self._answers.get((peer, who, seq))) is not None]

    def doubt(self, log: LogId, data: int) -> None:
        """Somebody says that these data are not shown: ask for ourselves, as soon as something learns from them."""
        if (peer_of(log), data) not in self._asked:
            self._doubted[log, data] = None
            self._to_ask[log] = None
            if len(self._doubted) > MAX_DOUBTED:
                del self._doubted[next(iter(self._doubted))]

    # -------------------------------------------------------------- asking

    def tick(self, now: float) -> None:
        if self._office.may_speak and self._to_ask and self._office.policy.asks("opened"):
            for log in tuple(self._to_ask):
                if self._ask_one(log, now):
                    del self._to_ask[log]
        for key, watch in tuple(self._watched.items()):
            if self._is_settled(watch, now):
                del self._watched[key]
                self._office.out.heed(now)

    def _ask_one(self, log: LogId, now: float) -> bool:
        """Whether there is nothing of this log to be asked for, until an update comes."""
        peer, recent = peer_of(log), self._recent.get(log, ())
        pause = CHALLENGE_S if self._count.get(peer, 0) < MANY else LATER_S
        due = self._asked_at[peer] + pause if peer in self._asked_at else now
        if now < due:
            self._office.later(due)
            return False
        newest = dict.fromkeys(reversed(recent))  # where two are cited alike, what is learned from now
        times = Counter(recent)
        wanted = [data for data in newest if self._is_wanted(log, data)]
        if not wanted:
            return True
        if not self._office.author.draft().complete:
            self._office.later(now + CHALLENGE_S)
        else:
            self._asked_at[peer] = now
            self._challenge(log, max(wanted, key=times.__getitem__), now)
        return False

    def _is_wanted(self, log: LogId, seq: int) -> bool:
        office = self._office
        data = office.data_of(log, seq)
        if data is None or data.zone != "public" or not data.records or (peer_of(log), seq) in self._asked:
            return False
        leave = release(ZoneSetting.of_entry(data), Records, of=data.root, to=office.receiver(office.own))
        if not isinstance(leave, Released) or not office.is_alien(log):
            return False
        return (log, seq) in self._doubted or office.receives(log, seq)

    def _challenge(self, log: LogId, seq: int, now: float) -> None:
        office = self._office
        digest, count = entry_hash(office.replica.data(log, seq)), office.policy.opened_records
        text = challenge_text(office.replica.swarm, office.own, digest, count)
        fields = office.author.draft()
        body = Challenge(
            **chain(fields), peer=peer_of(log), data=seq, hash=digest, count=count,
            signature=office.author.sign(text).hex(),
        )  # fmt: skip
        office.author.write(fields, body, now)

    # -------------------------------------------------------------- waiting

    def _is_settled(self, watch: Watch, now: float) -> bool:
        office = self._office
        if not office.is_alien(watch.log):
            return True
        if watch.place is None:
            watch.place = self._answers.get((peer_of(watch.log), office.own, watch.seq))
            if watch.place is not None:
                watch.cited, watch.awake_at, watch.cited_late, watch.late_at = 0, None, None, None
                concurs = (watch.log, watch.data) in self._doubted
                if not self._examining.begin(watch.place, now, concurs=concurs):
                    watch.place = None
                self._office.out.heed(now)
                return False
        elif not self._examining.awaits(watch.place):
            return True  # looked at
        self._count_cited(watch)
        if self._is_overdue(watch, now):
            self._blame(watch, now)
            return True
        return False

    def _count_cited(self, watch: Watch) -> None:
        """Updates that count, cite these data, and whose author knew of our request."""
        replica, own = self._office.replica, self._office.own
        if not replica.size(watch.log):
            return
        held = replica.branches.get(watch.log)
        while watch.number < len(held.folded_at):
            at, data = held.folded_at[watch.number], held.cites[watch.number]
            watch.number += 1
            if data == watch.data and (watch.place is None or at > watch.place[1]):
                watch.cited += replica.past(watch.log, at + 1).get(own, 0) > watch.seq

    def _is_overdue(self, watch: Watch, now: float) -> bool:
        """Whether its author knew, went on all the time and did not answer; or says that it did, and the blob came
        not."""
        config = self._office.config
        if watch.place is None and watch.cited >= config.answer_entries:
            return True
        if watch.awake_at is None and watch.cited:
            watch.awake_at = now
        if watch.awake_at is not None and watch.cited_late is None:
            if now >= watch.awake_at + config.answer_s:
                watch.cited_late = watch.cited
            else:
                self._office.later(watch.awake_at + config.answer_s)
        if watch.cited_late is not None and watch.late_at is None and watch.cited > watch.cited_late:
            watch.late_at = now
        if watch.late_at is None:
            return False
        due = watch.late_at + config.answer_s / 10
        if now < due:
            self._office.later(due)
        return now >= due

    def _blame(self, watch: Watch, now: float) -> None:
        policy = self._office.policy
        concurs = (watch.log, watch.data) in self._doubted
        finding = opinion(
            policy.judge({"opened.unanswered": 1}), policy, watch.log, (watch.data,), concurs=concurs
        )  # fmt: skip
        if finding is not None:
            self._silent(finding, now)
