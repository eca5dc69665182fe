"""Answering those who ask for records of our public data: through the gate, and not more than they need.

    Challenge of our data entry --gate: may they?--> OpenRecords --> shell, files --> RecordsOpened --gate--> Opening

Rules kept here: each request is answered once; of one data entry only the three receivers as we know them and
MAX_OTHERS more are answered, so that a member that asks again and again does not get the whole data set, 59 records at
a time; what the gate withholds is not asked of the shell. If nothing can be opened, our person is told why that
matters. After a restart what is unanswered is found in the ledger again. It refuses to know files.
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

MAX_OTHERS: Final = 5  # beside the receivers: who knew of other members when it asked
MAX_WAITING: Final = 64  # requests
OPEN_S: Final = 120.0  # until the shell is asked again

Asked = tuple[PeerId, int]  # who asks, and the seq of the request in its log


class Answering:
    """The requests for records of this peer's data."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._waiting: dict[Asked, Challenge] = {}
        self._opening: tuple[Asked, float] | None = None  # what the shell was asked, and until when it may take
        self._answered: set[Asked] = set()  # asked, never iterated
        self._given: dict[int, dict[PeerId, None]] = {}  # data entry: to whom records of it were shown

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        own, asked = self._office.own, (peer_of(log), seq)
        match entry:
            case Challenge() if entry.peer == own and asked not in self._answered:
                if len(self._waiting) < MAX_WAITING:
                    self._waiting[asked] = entry
            case Opening() if log == own:
                self._answered.add((entry.peer, entry.challenge))
                done = self._waiting.pop((entry.peer, entry.challenge), None)
                if done is not None:
                    self._given.setdefault(done.data, {})[entry.peer] = None
            case _:
                pass

    def tick(self, now: float) -> None:
        office = self._office
        if self._opening is not None and now >= self._opening[1]:
            self._opening = None
        if self._opening is not None or not office.author.may_write or not office.author.role:
            return
        for asked, challenge in tuple(self._waiting.items()):
            data = office.data_of(office.own, challenge.data)
            if data is None or not self._may_have(asked[0], data, challenge.data):
                del self._waiting[asked]
                continue
            self._opening = (asked, now + OPEN_S)
            office.later(now + OPEN_S)
            signature = bytes.fromhex(challenge.signature)
            office.out.put(OpenRecords(*asked, data.root, signature, challenge.count))
            return

    def _may_have(self, peer: PeerId, data: Data, seq: int) -> bool:
        """The gate's word, and that it is not one too many."""
        leave = release(ZoneSetting.of_entry(data), Records, of=data.root, to=self._office.receiver(peer))
        if not isinstance(leave, Released):
            return False
        given = self._given.get(seq, {})
        if peer in given:
            return False
        receives = self._office.is_receiver
        others = sum(1 for one in given if not receives(one, self._office.own, seq))
        return receives(peer, self._office.own, seq) or others < MAX_OTHERS

    def opened(self, event: RecordsOpened, now: float) -> None:
        """The shell's answer. b"": the files are not what they were, or not here any more."""
        asked, office = (event.challenger, event.seq), self._office
        challenge = self._waiting.get(asked)
        if self._opening is None or self._opening[0] != asked or challenge is None:
            return  # answered in an earlier run, or too late
        self._opening = None
        data = office.data_of(office.own, challenge.data)
        if data is None or not self._may_have(event.challenger, data, challenge.data):
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
