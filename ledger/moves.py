"""What an entry that comes in does to the sum of everything admitted: which terms leave it, and which join.

    calm      an update of an author that nobody ever questioned: one look, one term
    otherwise what counts of every log is worked out anew (standing.py) and held against what counted before

Rules kept here: whatever cannot be worked out from what is held says so (NeedsHistory) before anything is changed. It
refuses to know why entries may come in (rules.py), and where deltas are.
"""

from __future__ import annotations

from dataclasses import replace

from ledger import standing
from ledger.chain import Charge, Log, lineage
from ledger.checked import Change, Checked
from ledger.condemned import Ballot, cast, owner, uncast
from ledger.entry import Finality, PeerId, Recover, Revoke, Verdict
from ledger.known import Known
from ledger.membership import Word, revoked_from
from ledger.ranges import difference
from ledger.standing import Term
from ledger.state import mark


class Moves(Known):
    """A replica's sum, moved on."""

    def _word(self, admin: Log, since: int) -> Word:
        """What the author of a log says in an entry that wants somebody out from an index on."""
        return Word(admin.enrol_key.hex(), since, self.genesis.threshold)

    def _foresee(self, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> None:
        """NeedsHistory now, before anything is changed, if what an entry does to the sum lies in what is not held."""
        match checked.entry:
            case Recover(since=since):
                for name in lineage(self._logs[checked.log]):
                    standing.require_since(self._logs[name], since, self._cuts)
            case Finality(snapshot=snapshot):
                author = self._logs[checked.log]
                cut = standing.cuts(self._logs, self.past(checked.log, snapshot + 1))
                for name in self._cuts:
                    log = self._logs[name]
                    whole = ((log.fork, author.seen_at(snapshot, log)),)
                    standing.require_ranges(log, cut.get(name, whole), self._cuts)
                if self.is_revoked(author.peer):
                    self._require_without_finals(author.peer)
            case Verdict() if any(ballot.on.base is not None for ballot in ballots):
                judge = owner(self._logs[checked.log], checked.seq - 1)  # as if its last entry had said so
                votes = [replace(ballot, said=replace(ballot.said, seq=checked.seq - 1)) for ballot in ballots]
                new = [vote for ballot in votes for vote in cast(judge, ballot)]
                try:
                    cut = standing.cuts(self._logs, self.heads())
                    for log in self._logs.values():
                        standing.require_difference(log, self._cuts, cut)
                finally:
                    uncast(reversed(new))
            case Revoke(peer=peer, since=since):
                index = revoked_from({*self._words.get(peer, ()), self._word(self._logs[checked.log], since)})
                for log in self._strands[peer]:
                    if 0 < since < log.tip.size:
                        mark(log, since)  # snapshots will tell of it, whether enough admins agree or not
                    if index is not None:
                        standing.require_since(log, index, self._cuts)
                if index is not None:
                    self._require_without_finals(peer)
            case _ if charge is not None:
                for log in self._strands[charge.peer]:
                    if charge.index < log.tip.size:
                        log.tree.leaf(charge.index)
                        standing.require_since(log, charge.index, self._cuts)

    def _require_without_finals(self, peer: PeerId) -> None:
        """NeedsHistory if what only this peer's finals hold is not held: they may end to hold anything."""
        strands = [log for log in self._strands[peer] if log.finals]
        if not strands or all(log.base is None for log in self._logs.values()):
            return
        finals = [log.finals for log in strands]
        try:
            for log in strands:
                log.finals = []
            cut = standing.cuts(self._logs, self.heads())
        finally:
            for log, held in zip(strands, finals, strict=True):
                log.finals = held
        for log in self._logs.values():
            standing.require_difference(log, self._cuts, cut)

    def _reckon(self, held: Log, checked: Checked, charge: Charge | None, ballots: list[Ballot]) -> Change:
        """What the entry just admitted did to the sum."""
        before = {held.id: checked.seq}
        expelled = checked.entry.peer if isinstance(checked.entry, Revoke) else None
        if expelled is not None and self.is_revoked(expelled):
            self._troubled.add(expelled)
        else:
            expelled = None
        if charge in self._charged:
            charge = None
        if charge is not None:
            self._charged.add(charge)
            self._troubled.add(charge.peer)
        if isinstance(checked.entry, Recover) or held.fork:
            self._troubled.add(held.peer)
        judged = {ballot.said.peer for ballot in ballots}
        for peer in judged:
            judges = self._judges.setdefault(peer, set())
            judges.add(held.peer)
            if len(judges) > 1:
                self._troubled.add(peer)
        calm = charge is None and expelled is None and not isinstance(checked.entry, Finality)
        if calm and held.peer not in self._troubled and self._troubled.isdisjoint(judged):
            added = standing.terms_in(held, ((checked.seq, checked.seq + 1),)) if checked.weight is not None else []
            return Change((), tuple(added))
        old, self._cuts = self._cuts, standing.cuts(self._logs, self.heads())
        removed: list[Term] = []
        new: list[Term] = []
        for name in {held.id: None, **dict.fromkeys(old), **dict.fromkeys(self._cuts)}:
            log = self._logs[name]
            was = standing.ranges_of(log, before.get(name, log.tip.size), old)
            now = standing.ranges_of(log, log.tip.size, self._cuts)
            removed += standing.terms_in(log, difference(was, now))
            new += standing.terms_in(log, difference(now, was))
        return Change(tuple(removed), tuple(new))
