"""Answering those who ask for records of our public data: through the gate, and each of them once.

    Challenge of our data entry --gate: may they?--> OpenRecords --> shell, files --> RecordsOpened --gate--> Opening

Rules kept here: of each data entry every member that may have records is answered once, its first request, whoever it
is: who gets no answer holds it against us. So a member that asks again and again does not get the whole data set, 59
records at a time. What we learn from now comes first; what the gate withholds is not asked of the shell. If nothing can
be opened, our person is told why that matters. After a restart what is unanswered is found in the ledger again. It
refuses to know files.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from gossip.egress import Records, Released, ZoneSetting, release
from gossip.events import OpenRecords, RecordsOpened
from gossip.peer.author import chain
from gossip.peer.inspection.office import Office
from ledger.chain import LogId, peer_of
from ledger.entry import MAX_OPENING_BYTES, AnyEntry, Challenge, Data, Opening, PeerId
from ledger.opening import is_opening

MAX_OLD: Final = 64  # requests that wait, of data sets before our newest
OPEN_S: Final = 120.0  # until the shell is asked again

Asked = tuple[PeerId, int]  # who asks, and the seq of the request in its log


class Answering:
    """The requests for records of this peer's data."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._waiting: dict[Asked, Challenge] = {}
        self._opening: tuple[Asked, float] | None = None  # what the shell was asked, and until when it may take
        self._answered: set[Asked] = set()  # asked, never iterated
        self._first: dict[tuple[PeerId, int], int] = {}  # who asks, of which data entry: seq of its first request
        self._newest = -1  # own data entry

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        own, asked = self._office.own, (peer_of(log), seq)
        match entry:
            case Challenge() if entry.peer == own:
                is_first = self._first.setdefault((asked[0], entry.data), seq) == seq
                if is_first and asked not in self._answered and asked not in self._waiting and self._has_room(entry):
                    self._waiting[asked] = entry
            case Opening() if log == own:
                self._answered.add((entry.peer, entry.challenge))
                self._waiting.pop((entry.peer, entry.challenge), None)
            case Data() if log == own:
                self._newest = max(self._newest, seq)
            case _:
                pass

    def _has_room(self, challenge: Challenge) -> bool:
        """Of the newest data there are as many requests as members."""
        if challenge.data >= self._newest:
            return True
        return sum(1 for waiting in self._waiting.values() if waiting.data < self._newest) < MAX_OLD

    def tick(self, now: float) -> None:
        office = self._office
        if self._opening is not None and now >= self._opening[1]:
            self._opening = None
        if self._opening is not None or not office.author.may_write or not office.author.role:
            return
        for asked, challenge in sorted(self._waiting.items(), key=lambda item: -item[1].data):
            data = office.data_of(office.own, challenge.data)
            if data is None or not self._may_have(asked[0], data):
                del self._waiting[asked]
                continue
            self._opening = (asked, now + OPEN_S)
            office.later(now + OPEN_S)
            signature = bytes.fromhex(challenge.signature)
            office.out.put(OpenRecords(*asked, data.root, signature, challenge.count))
            return

    def _may_have(self, peer: PeerId, data: Data) -> bool:
        """The gate's word."""
        leave = release(ZoneSetting.of_entry(data), Records, of=data.root, to=self._office.receiver(peer))
        return isinstance(leave, Released)

    def opened(self, event: RecordsOpened, now: float) -> None:
        """The shell's answer. b"": the files are not what they were, or not here any more."""
        asked, office = (event.challenger, event.seq), self._office
        challenge = self._waiting.get(asked)
        if self._opening is None or self._opening[0] != asked or challenge is None:
            return  # answered in an earlier run, or too late
        self._opening = None
        data = office.data_of(office.own, challenge.data)
        if data is None or not self._may_have(event.challenger, data):
            del self._waiting[asked]
            return
        if len(event.blob) > MAX_OPENING_BYTES or not is_opening(event.blob):  # the gate knows records by that
            del self._waiting[asked]
            office.out.note(
                "trouble",
                text=f"records of this peer's data (entry {challenge.data}) were asked for and cannot be opened: "
                "others may stop counting what was learned from them; keep the files as they were when training began",
            )
            return
        fields = office.author.draft()
        if not fields.complete and not office.author.can_cite(event.challenger):
            return  # the next tick asks the shell again
        body = Opening(
            **chain(fields), peer=event.challenger, challenge=event.seq, opened=sha256(event.blob).hexdigest(),
            opened_bytes=len(event.blob),
        )  # fmt: skip
        office.author.write(fields, body, now, event.blob)
