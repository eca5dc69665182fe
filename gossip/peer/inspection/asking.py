"""Asking authors of public data to show records, and waiting for the answer.

    data entry admitted, we receive it --> Challenge --> Opening --> examining.py
                                               |
                                               `-- no answer, though its author goes on --> opened.unanswered = 1

Who has not answered: the author's log grew by 64 entries since, or it wrote something after our request, something
more 10 minutes later, and another minute passed. A peer that is away is not blamed for that: it writes nothing then,
and answers when it comes back. The same holds of an opening whose blob does not come. What was said stays said, so
patience comes first: a condemnation is never taken back.

Rules kept here: one request of a data entry; of one peer's data sets one each CHALLENGE_S, the newest MAX_NEW, and
MAX_ASKED in all, so nobody makes our log grow by announcing data sets. What was asked is read back from the own log.
It refuses to know what the records say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip.egress import Records, Released, ZoneSetting, release
from gossip.peer.author import chain
from gossip.peer.inspection.docket import Docket
from gossip.peer.inspection.examining import Examining, Place
from gossip.peer.inspection.office import Office, opinion
from ledger.canonical import entry_hash
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Challenge, Data, Opening, PeerId
from ledger.opening import challenge_text

CHALLENGE_S: Final = 30.0  # between two requests to one peer
MAX_NEW: Final = 8  # data entries of one peer that wait to be asked about; older ones are passed over
MAX_ASKED: Final = 64  # requests to one peer, as long as the own log lasts
MAX_WATCHED: Final = 64  # requests of others that are said to be unanswered

Asked = tuple[LogId, int]  # a challenge: the log of who asks, and its seq there


@dataclass(slots=True)
class Watch:
    """A request whose answer is awaited."""

    challenge: Challenge
    log: LogId  # whose data
    size: int  # of that log when it was asked
    concurs: bool
    place: Place | None = None  # of the answer, once it is admitted
    awake_at: float | None = None  # when its author first wrote after that
    size_late: int | None = None  # of the log when the time was over
    late_at: float | None = None  # when its author wrote after that, too


class Asking:
    """The requests of one peer, and those of others that it watches."""

    def __init__(self, office: Office, docket: Docket, examining: Examining) -> None:
        self._office = office
        self._docket = docket
        self._examining = examining
        self._new: dict[PeerId, dict[tuple[LogId, int], None]] = {}
        self._asked: dict[tuple[PeerId, int], int] = {}  # (peer, data entry): seq of our request
        self._count: dict[PeerId, int] = {}
        self._asked_at: dict[PeerId, float] = {}
        self._watched: dict[Asked, Watch] = {}
        self._challenges: dict[tuple[PeerId, int], dict[Asked, Challenge]] = {}  # all requests of one data entry
        self._answers: dict[tuple[PeerId, int], Place] = {}  # by (who asked, seq)

    # -------------------------------------------------------------- what is on record

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        own = self._office.own
        match entry:
            case Data() if peer_of(log) != own:
                self._note_data(log, seq, entry)
            case Challenge():
                self._challenges.setdefault((entry.peer, entry.data), {})[log, seq] = entry
                if log == own:
                    self._asked[entry.peer, entry.data] = seq
                    self._count[entry.peer] = self._count.get(entry.peer, 0) + 1
                    self._watch((log, seq), entry, concurs=False)
            case Opening():
                self._answers.setdefault((entry.peer, entry.challenge), (log, seq))
            case _:
                pass

    def _note_data(self, log: LogId, seq: int, data: Data) -> None:
        if data.zone == "public" and data.records:
            waiting = self._new.setdefault(peer_of(log), {})
            waiting[log, seq] = None
            while len(waiting) > MAX_NEW:
                del waiting[next(iter(waiting))]

    def openings(self, peer: PeerId, data: int) -> list[tuple[Place, Challenge]]:
        """Every answer on record to requests of one data entry."""
        found = []
        for (log, seq), challenge in self._challenges.get((peer, data), {}).items():
            place = self._answers.get((peer_of(log), seq))
            if place is not None and peer_of(place[0]) == peer:
                found.append((place, challenge))
        return found

    def unanswered(self, judge: PeerId, peer: PeerId, data: int) -> Asked | None:
        """A request by `judge` of that data entry that has no answer, if there is one."""
        for asked in self._challenges.get((peer, data), {}):
            if peer_of(asked[0]) == judge and (judge, asked[1]) not in self._answers:
                return asked
        return None

    def watch(self, asked: Asked) -> None:
        """Somebody says that this request of its has no answer: see for ourselves."""
        challenge = self._office.replica.entry(*asked)
        if isinstance(challenge, Challenge) and asked not in self._watched and len(self._watched) < MAX_WATCHED:
            self._watch(asked, challenge, concurs=True)

    def _watch(self, asked: Asked, challenge: Challenge, *, concurs: bool) -> None:
        replica = self._office.replica
        log, seq = asked
        size = replica.past(log, seq + 1).get(challenge.peer, challenge.data + 1)
        self._watched[asked] = Watch(challenge, challenge.peer, size, concurs)

    # -------------------------------------------------------------- asking

    def tick(self, now: float) -> None:
        if self._office.may_speak and self._new and self._office.policy.asks("opened"):
            for peer, waiting in tuple(self._new.items()):
                self._ask_one(peer, waiting, now)
                if not waiting:
                    del self._new[peer]
        for asked, watch in tuple(self._watched.items()):
            if self._is_settled(asked, watch, now):
                del self._watched[asked]

    def _ask_one(self, peer: PeerId, waiting: dict[tuple[LogId, int], None], now: float) -> None:
        for log, seq in tuple(reversed(waiting)):  # the newest first: that is what is trained on
            if not self._is_wanted(log, seq):
                del waiting[log, seq]
                continue
            due = self._asked_at.get(peer, 0.0) + CHALLENGE_S
            if now < due:
                self._office.later(due)
                return
            if not self._office.author.draft().complete:
                self._office.later(now + CHALLENGE_S)
                return
            del waiting[log, seq]
            self._asked_at[peer] = now
            self._challenge(log, seq, now)
            return

    def _is_wanted(self, log: LogId, seq: int) -> bool:
        office, peer = self._office, peer_of(log)
        data = office.data_of(log, seq)
        if data is None or (peer, seq) in self._asked or self._count.get(peer, 0) >= MAX_ASKED:
            return False
        leave = release(ZoneSetting.of_entry(data), Records, of=data.root, to=office.receiver(office.own))
        return isinstance(leave, Released) and office.is_alien(log) and office.receives(log, seq)

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

    def _is_settled(self, asked: Asked, watch: Watch, now: float) -> bool:
        office = self._office
        if not office.is_alien(watch.log):
            return True
        if watch.place is None:
            watch.place = self._answers.get((peer_of(asked[0]), asked[1]))
            if watch.place is not None:
                watch.size, watch.awake_at, watch.size_late, watch.late_at = watch.place[1] + 1, None, None, None
                if watch.concurs:
                    return True
                if not self._examining.begin(watch.place, watch.challenge, now, concurs=False):
                    watch.place = None
                return False
        elif not self._examining.awaits(watch.place):
            return True  # looked at
        if self._is_overdue(watch, now):
            self._blame(watch, now)
            return True
        return False

    def _is_overdue(self, watch: Watch, now: float) -> bool:
        """Whether its author was there all the time and did not answer; or says that it did, and the blob came not."""
        config, size = self._office.config, self._office.replica.size(watch.log)
        if watch.place is None and size - watch.size >= config.answer_entries:
            return True
        if watch.awake_at is None and size > watch.size:
            watch.awake_at = now
        if watch.awake_at is not None and watch.size_late is None:
            if now >= watch.awake_at + config.answer_s:
                watch.size_late = size
            else:
                self._office.later(watch.awake_at + config.answer_s)
        if watch.size_late is not None and watch.late_at is None and size > watch.size_late:
            watch.late_at = now
        if watch.late_at is None:
            return False
        due = watch.late_at + config.answer_s / 10
        if now < due:
            self._office.later(due)
        return now >= due

    def _blame(self, watch: Watch, now: float) -> None:
        policy = self._office.policy
        finding = opinion(
            policy.judge({"opened.unanswered": 1}), policy, watch.log, (watch.challenge.data,),
            concurs=watch.concurs,
        )  # fmt: skip
        if finding is not None:
            self._docket.add(finding, now)
