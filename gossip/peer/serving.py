"""Who may have which blob: opened records go through the gate, by the zone that their data entry states.

    WantBlob --leave--> Released --> pieces            Withheld --> Lacks, as if we did not hold it

Rules kept here: opened records are known by how they begin, so no entry makes them anything else, nor anything else of
them. They are served only if every opening that names them says that this member may have them, and where its challenge
or data entry is not here, to nobody; of what we opened ourselves our own entries decide alone. So somebody else's
entry, which names the same blob, opens nothing, and keeps no author from answering. We serve openings of our own only
while our newest data entry is public, too: what others hold by then they hold. Records fetched as a receiver are passed
on under the rule that binds their author. No other blob is made of records. It refuses to know how blobs travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gossip.egress import Kind, Ledger, Receiver, Records, Released, Sketch, Withheld, ZoneSetting, release
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Challenge, Data, Hash, Opening, PeerId
from ledger.opening import is_opening
from ledger.replica import Replica

PRIVATE: Final = ZoneSetting()


class Serving:
    """What one peer gives to whom, as far as it is blobs. `learn` hears of every entry that was admitted."""

    def __init__(self, own: PeerId, replica: Replica) -> None:
        self._own = own
        self._replica = replica
        self._openings: dict[Hash, list[tuple[LogId, Opening]]] = {}  # by the blob that they name
        self._sketches: dict[Hash, ZoneSetting] = {}
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
            case _:
                pass

    def leave(self, digest: Hash, blob: bytes, to: PeerId | None) -> Released[Kind] | Withheld:
        """Whether the far end of a link may have a blob; `to` is None if it is no member that we know."""
        receiver = Receiver(to or "", self._replica.role_of(to) if to else "")
        if not is_opening(blob):
            if digest in self._sketches:
                return release(self._sketches[digest], Sketch, of=digest, to=receiver)
            return release(PRIVATE, Ledger, of=digest, to=receiver)
        named = self._openings.get(digest, [])
        openings = [pair for pair in named if peer_of(pair[0]) == self._own] or named
        settings = [setting for log, entry in openings for setting in self._settings(log, entry)]
        given = [release(setting, Records, of=digest, to=receiver) for setting in settings or [PRIVATE]]
        return next((one for one in given if isinstance(one, Withheld)), given[0])

    def _settings(self, log: LogId, opening: Opening) -> Iterator[ZoneSetting]:
        """The zones of the data that an opening is of; private if that cannot be told."""
        if peer_of(log) == self._own:
            yield self._own_zone
        found = False
        for strand in self._replica.strands(opening.peer):
            if self._replica.size(strand) > opening.challenge:
                challenge = self._replica.entry(strand, opening.challenge)
                if isinstance(challenge, Challenge) and challenge.peer == peer_of(log):
                    found = True
                    yield self._zone_at(log, challenge.data)
        if not found:
            yield PRIVATE

    def _zone_at(self, log: LogId, seq: int) -> ZoneSetting:
        data = self._replica.entry(log, seq) if seq < self._replica.size(log) else None
        return ZoneSetting.of_entry(data) if isinstance(data, Data) else PRIVATE
