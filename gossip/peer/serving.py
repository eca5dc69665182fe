"""Who may have which blob: opened records go through the gate, by the zone that their data entry states.

    WantBlob --leave--> Released --> pieces            Withheld --> Lacks, as if we did not hold it

Rules kept here: opened records are known by how they begin, so no entry makes them anything else, nor anything else of
them. Which zone binds them is found out, not believed, for anybody may name anybody's blob in an entry of its own:

    opened by us         our own entries decide, and our newest data entry must be public, too
    true of some data    only whom all these data entries allow: a thief's entry opens nothing
    true of none         whom any entry allows that names it: so a liar's friend cannot hide the proof by naming it, too
    named by none        nobody, nor where a challenge or a data entry is not here

What we have put on record as proof of a false opening we give to everybody: that was looked at then (`is_for_all`).
Records fetched as a receiver are passed on under the rules that bind their author; what others hold, they hold. No
other blob is made of records. It refuses to know how blobs travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gossip.egress import Kind, Ledger, Receiver, Records, Released, Sketch, Withheld, ZoneSetting, release
from ledger.chain import LogId, peer_of
from ledger.entry import Accuse, AnyEntry, Challenge, Data, Hash, Opening, PeerId
from ledger.errors import RemoteError
from ledger.opening import is_opening, verify_answer
from ledger.replica import Replica

PRIVATE: Final = ZoneSetting()


Named = tuple[LogId, Opening]  # an entry that names a blob, and whose log it is in


@dataclass(frozen=True, slots=True)
class Bound:
    """The zones that bind an opening."""

    settings: tuple[ZoneSetting, ...]  # one at least
    all_must_allow: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What an opening may answer: a challenge, and the data entry that it is of; None where they are not here."""

    opening: Opening
    challenge: Challenge | None
    data: Data | None

    @property
    def setting(self) -> ZoneSetting:
        return PRIVATE if self.data is None else ZoneSetting.of_entry(self.data)

    def is_shown_by(self, blob: bytes, swarm: Hash) -> bool:
        """Whether the blob opens records of these data, as the challenge picks them."""
        if self.challenge is None or self.data is None:
            return False
        try:
            verify_answer(blob, self.opening, self.data, swarm, self.challenge)
        except RemoteError:
            return False
        return True


class Serving:
    """What one peer gives to whom, as far as it is blobs. `learn` hears of every entry that was admitted."""

    def __init__(self, own: PeerId, replica: Replica) -> None:
        self._own = own
        self._replica = replica
        self._openings: dict[Hash, list[Named]] = {}  # by the blob that they name
        self._sketches: dict[Hash, ZoneSetting] = {}
        self._proofs: set[Hash] = set()  # of false openings, by us; asked, never iterated
        self._bound: dict[Hash, tuple[int, Bound]] = {}  # as found when so many entries named a blob
        self._own_zone = PRIVATE

    def learn(self, log: LogId, entry: AnyEntry) -> None:
        match entry:
            case Opening():
                self._openings.setdefault(entry.opened, []).append((log, entry))
            case Data():
                if entry.sketch:
                    self._sketches[entry.sketch] = ZoneSetting.of_entry(entry)
                if log == self._own:
                    self._own_zone = ZoneSetting.of_entry(entry)
            case Accuse(charge="opening") if log == self._own:
                self._proofs.add(entry.evidence)
            case _:
                pass

    def leave(self, digest: Hash, blob: bytes, to: PeerId | None) -> Released[Kind] | Withheld:
        """Whether the far end of a link may have a blob; `to` is None if it is no member that we know."""
        receiver = Receiver(to or "", self._replica.role_of(to) if to else "")
        if not is_opening(blob) or digest in self._proofs:
            if digest in self._sketches:
                return release(self._sketches[digest], Sketch, of=digest, to=receiver)
            return release(PRIVATE, Ledger, of=digest, to=receiver)
        bound = self._bound_by(digest, blob)
        given = [release(setting, Records, of=digest, to=receiver) for setting in bound.settings]
        wanted = Withheld if bound.all_must_allow else Released
        return next((one for one in given if isinstance(one, wanted)), given[0])

    def is_for_all(self, digest: Hash, blob: bytes) -> bool:
        """Whether every member may have this opening, so that it can be put on record as a proof."""
        bound = self._bound_by(digest, blob)
        free = [setting.zone == "public" and not setting.opens for setting in bound.settings]
        return all(free) if bound.all_must_allow else any(free)

    def _bound_by(self, digest: Hash, blob: bytes) -> Bound:
        named = self._openings.get(digest, [])
        own = [name for name in named if peer_of(name[0]) == self._own]
        if own:
            return Bound((self._own_zone, *(data.setting for name in own for data in self._data_of(*name))), True)
        known = self._bound.get(digest)
        if known is None or known[0] != len(named):
            found = [data for name in named for data in self._data_of(*name)]
            true = tuple(data.setting for data in found if data.is_shown_by(blob, self._replica.swarm))
            bound = Bound(true or tuple(data.setting for data in found) or (PRIVATE,), bool(true))
            known = self._bound[digest] = len(named), bound
        return known[1]

    def _data_of(self, log: LogId, opening: Opening) -> Iterator[Asked]:
        """What an opening may be of: the data entry of each challenge that it may answer."""
        found = False
        for strand in self._replica.strands(opening.peer):
            if self._replica.size(strand) > opening.challenge:
                challenge = self._replica.entry(strand, opening.challenge)
                if isinstance(challenge, Challenge) and challenge.peer == peer_of(log):
                    found = True
                    yield Asked(opening, challenge, self._data_at(log, challenge.data))
        if not found:
            yield Asked(opening, None, None)

    def _data_at(self, log: LogId, seq: int) -> Data | None:
        data = self._replica.entry(log, seq) if seq < self._replica.size(log) else None
        return data if isinstance(data, Data) else None
