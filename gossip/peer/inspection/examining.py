"""An opening looked at: is it true, and what do the records say?

    opening admitted --blob--> verify_opening --false--> accuse: a proof, for everybody and for ever
                                     |                   (records that go to few: an opinion, for others cannot check)
                                     `--true--> Inspect ... Inspected --> the policy's rules on opened.* --> Finding

Whoever asked looks first; the others when somebody has found something (concurring.py). Each opening is looked at once.
One that nothing is wrong with leaves no entry, but its blob in the store: after a restart it is not looked at again.

Rules kept here: an accusation is written only of what verify_opening calls false, which is the same for all; a blob
that does not come proves nothing. It refuses to know what records mean: the shell looks (Inspect).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gossip.egress import Records, Released, ZoneSetting, release
from gossip.events import Inspect, Inspected, Keep
from gossip.peer.author import chain
from gossip.peer.inspection.office import Finding, Office, opinion
from ledger.chain import LogId, peer_of
from ledger.entry import MAX_OPENING_BYTES, Accuse, AnyEntry, Challenge, Data, Opening, PeerId, Reading
from ledger.errors import RemoteError
from ledger.opening import VerifiedOpening, verify_opening
from ledger.tail import NeedsHistory

MAX_OPEN: Final = 32  # looked at side by side
LOOK_S: Final = 2.0  # between two looks whether a blob has come
INSPECTION_S: Final = 120.0  # a shell that has not looked at 256 records by then will not
FALSE: Final = Reading(rule="opened.invalid", value=1, limit=0)

Place = tuple[LogId, int]  # of an opening: the log of the data's author, and its seq there


@dataclass(slots=True)
class Examination:
    """One opening under way. `asked`: what it may answer; more than one if a challenger has signed two histories."""

    opening: Opening
    asked: list[tuple[Data, Challenge]]
    since: float
    concurs: bool
    number: int = 0  # of Inspect; 0 while the blob is awaited
    verified: VerifiedOpening | None = None

    @property
    def data(self) -> int:
        """The seq of the data entry that is looked at."""
        return min(data.seq for data, _ in self.asked)


class Examining:
    """The openings that this peer looks at. `found` takes what came of one: a Finding, or None if nothing is wrong."""

    def __init__(self, office: Office, found: Callable[[Place, Finding | None, float], None]) -> None:
        self._office = office
        self._found = found
        self._open: dict[Place, Examination] = {}
        self._done: set[Place] = set()  # asked, never iterated
        self._accused: set[tuple[PeerId, int]] = set()  # on record: (peer, seq of the opening); asked, never iterated
        self._count = 0

    def __len__(self) -> int:
        return len(self._open)

    def learn(self, entry: AnyEntry) -> None:
        if isinstance(entry, Accuse) and entry.charge == "opening":
            self._accused.add((entry.peer, entry.index))

    # -------------------------------------------------------------- beginning

    def may_look(self, data: Data) -> bool:
        """Whether the records of a data set may come to us."""
        leave = release(ZoneSetting.of_entry(data), Records, of=data.root, to=self._office.receiver(self._office.own))
        return isinstance(leave, Released)

    def begin(self, place: Place, now: float, *, concurs: bool) -> bool:
        """Look at an opening, once. False if there is no room now."""
        office = self._office
        if place in self._done or place in self._open:
            return True
        if len(self._open) >= MAX_OPEN:
            return False
        log, seq = place
        opening, asked = office.replica.entry(log, seq), self._asked(place)
        if not isinstance(opening, Opening) or not asked or not all(self.may_look(data) for data, _ in asked):
            self._done.add(place)
            return True
        found = Examination(opening, asked, now, concurs)
        if not concurs and self._was_looked_at(found):
            self._done.add(place)
            self._found(place, None, now)
            return True
        self._open[place] = found
        office.later(now)
        return True

    def _asked(self, place: Place) -> list[tuple[Data, Challenge]]:
        """What an opening may answer, as its own past tells: so whoever looks, and whoever is shown a proof, takes the
        same, whichever history of a challenger came to it first."""
        try:
            return self._office.replica.answers(*place)
        except NeedsHistory:
            return []

    def _was_looked_at(self, found: Examination) -> bool:
        """Whether an earlier run has found nothing wrong with it. What somebody else opened is kept, too, and deltas:
        naming one of these is no answer."""
        blobs, named = self._office.blobs, found.opening.opened
        blob = blobs.find(named) if blobs.is_kept(named) else None
        try:
            return blob is not None and bool(self._verify(found, blob))
        except RemoteError:
            return False

    def _verify(self, found: Examination, blob: bytes) -> VerifiedOpening:
        """RemoteError if the blob is no opening of anything that it may answer."""
        if len(blob) != found.opening.opened_bytes:
            raise RemoteError("an opening is not as long as its entry says", why=f"{len(blob)} bytes")
        wrong: RemoteError | None = None
        for data, challenge in found.asked:
            try:
                return verify_opening(blob, data, self._office.replica.swarm, challenge.signature, challenge.count)
            except RemoteError as error:
                wrong = wrong or error
        raise wrong or RemoteError("an opening answers nothing")

    def awaits(self, place: Place) -> bool:
        """Whether the blob of an opening has not come yet."""
        found = self._open.get(place)
        return found is not None and not found.number

    def give_up(self, place: Place) -> None:
        self._open.pop(place, None)
        self._done.add(place)

    # -------------------------------------------------------------- looking

    def tick(self, now: float) -> None:
        if self._open:
            self._office.out.heed(now)  # blobs may be here, and asking.py looks at what is still awaited
        for place, found in tuple(self._open.items()):
            if not self._office.is_alien(place[0]):
                self.give_up(place)
            elif not found.number:
                self._await(place, found, now)
            elif now >= found.since + INSPECTION_S:
                self.give_up(place)
        if self._open:
            self._office.later(now + LOOK_S)

    def _await(self, place: Place, found: Examination, now: float) -> None:
        office, (log, seq) = self._office, place
        blob = office.blobs.find(found.opening.opened)
        if blob is None:
            office.blobs.want(
                found.opening.opened, limit=MAX_OPENING_BYTES, total=found.opening.opened_bytes, log=log, seq=seq,
                urgent=False,
            )  # fmt: skip
            return
        office.blobs.used(found.opening.opened, blob)
        try:
            found.verified = self._verify(found, blob)
        except RemoteError as error:
            self._convict(place, found, blob, error, now)
            return
        self._count += 1
        found.number, found.since = self._count, now
        records = tuple((record.key, record.value) for record in found.verified.records)
        office.out.put(Inspect(found.number, records))

    def _convict(self, place: Place, found: Examination, blob: bytes, error: RemoteError, now: float) -> None:
        """The author opened what it had not committed to."""
        office, (log, seq) = self._office, place
        peer = peer_of(log)
        digest = sha256(blob).hexdigest()
        is_for_few = any(data.opens for data, _ in found.asked)
        if is_for_few or not office.is_for_all(digest, blob):  # the proof would be records, which are for few
            self.give_up(place)
            finding = Finding(
                log, (found.data,), "condemned", (FALSE,), basis=office.policy.hash, concurs=found.concurs
            )
            self._found(place, finding, now)
            return
        if (peer, seq) in self._accused:
            self.give_up(place)
            return
        if not office.may_speak or not office.author.can_cite(peer):
            return  # the next tick tries again
        self.give_up(place)
        fields = office.author.draft()
        office.out.note("refused", peer=peer, name="", log=log, seq=seq, rule="opening", text=str(error))
        body = Accuse(**chain(fields), peer=peer, charge="opening", index=seq, evidence=digest, bytes=len(blob))
        office.author.write(fields, body, now, blob)

    def inspected(self, event: Inspected, now: float) -> None:
        """The shell has looked at the records."""
        place = next((place for place, found in self._open.items() if found.number == event.number), None)
        if place is None or not event.number:
            return
        office, found, (log, seq) = self._office, self._open[place], place
        self.give_up(place)
        if event.measured is None or found.verified is None:
            return  # it could not be looked at: no opinion
        # Equal records within the sample are no fault of who announced copies; the proof counts those beyond that.
        beyond = found.verified.duplicates_permille
        measured = {"opened.unanswered": 0, **event.measured, "opened.duplicates_permille": beyond}
        policy = office.policy
        finding = opinion(policy.judge(measured), policy, log, (found.data,), concurs=found.concurs)
        blob = office.blobs.find(found.opening.opened)
        if blob is not None and finding is None:
            office.out.put(Keep(log, seq, office.replica.data(log, seq), blob))
        self._found(place, finding, now)
