"""What others have against this peer's own entries, for its owner: one line a subject, newest last.

    verdict: 1 peer refuses your update (entry 13): 66.6% of its rows ...
    verdict: 2 peers refuse your update (entry 14): 66.6% of its rows ...      takes the place of the line before
    left:    your 31 updates (entries 9 to 40) were taken out of the model: 2 of 2 others say: 91.2% of ...
             your 67 updates (entries 9 to 81) ...                             the same line, as more of them go

A subject is a data set of this peer, what was decided about it or about updates that learned from it, and by which
rules. So whoever says the same again, of whichever update, adds to a count and to no list.

Lines are about the data that this peer announced last: what was said of others is the past. They are read back from
the ledger after a restart. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gossip.peer.status import refusals_of
from ledger.chain import LogId, peer_of
from ledger.entry import Judgement, PeerId, Update
from ledger.policy_words import reasons_of
from ledger.replica import Replica

TOLD: Final = 4  # lines

Subject = tuple[str, int, tuple[str, ...]]  # decision, data entry, rules


class Against:
    """The lines about one peer, `own`."""

    def __init__(self, own: PeerId, replica: Replica) -> None:
        self._own = own
        self._replica = replica
        self._lines: dict[Subject, str] = {}
        self._data = 0  # the data entry of now
        self._judges: dict[tuple[Subject, int], dict[PeerId, None]] = {}  # who said so; by entry, of a refusal by data

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines.values())

    def announced(self, data: int) -> None:
        """This peer learns from other data from here on."""
        self._data = max(self._data, data)
        for subject in [subject for subject in self._lines if subject[1] < self._data]:
            del self._lines[subject]

    def count(self, judge: PeerId, judgement: Judgement) -> None:
        """Somebody has said this, now or in an earlier run."""
        subject = self._subject(judgement)
        for seq in judgement.seqs:
            self._judges.setdefault(_counted(subject, seq), {})[judge] = None
        self._put(subject, self.say(judgement))

    def say(self, judgement: Judgement) -> str:
        """The line for what was said, and is counted already."""
        judges = self._judges.get(_counted(self._subject(judgement), judgement.seqs[-1]), {})
        return refusals_of(judgement, is_own=True, judges=len(judges), name="")

    def gone(self, text: str) -> None:
        """Own updates that are out of the model by now."""
        self._put(("gone", self._data, ()), text)

    def _put(self, subject: Subject, text: str) -> None:
        self._lines.pop(subject, None)
        if subject[1] >= self._data:
            self._lines[subject] = text
        while len(self._lines) > TOLD:
            del self._lines[next(iter(self._lines))]

    def _subject(self, judgement: Judgement) -> Subject:
        seq = judgement.seqs[-1]
        is_held = seq < self._replica.size(self._own)
        entry = self._replica.entry(self._own, seq) if is_held else None
        data = entry.data if isinstance(entry, Update) else seq
        return judgement.decision, data, tuple(reading.rule for reading in judgement.readings)


def _counted(subject: Subject, seq: int) -> tuple[Subject, int]:
    """What entries say is the same of every update that cites a data set; what was measured is of one entry."""
    return subject, subject[1] if subject[0] == "refused" else seq


def gone_of(replica: Replica, log: LogId) -> set[int]:
    """The updates of a log that a majority keeps out of the model."""
    held = {seq for one, seq, _, _ in replica.updates if one == log}
    return {seq for one, seq, _, _ in replica.condemnations(replica.heads()) if one == log and seq not in held}


def say_gone(replica: Replica, log: LogId, name: str, seqs: Iterable[int], others: int) -> str:
    """These updates of a log are out of the model: whose, which, by how many and why. "" for a name: this peer's own.

    cat's 29 updates (entries 12 to 40) were taken out of the model: 2 of 2 others say: 91.2% of its rows ...
    """
    gone = sorted(seqs)
    newest = replica.entry(log, gone[-1])
    about = {*gone, newest.data} if isinstance(newest, Update) else set(gone)
    judges: dict[PeerId, None] = {}
    why = ""
    for judge, _, judgement in replica.judgements(peer_of(log)):
        if judgement.decision == "condemned" and about.intersection(judgement.seqs):
            judges[peer_of(judge)] = None
            why = reasons_of(judgement)
    whose = f"{name}'s" if name else "your"
    what = f"update (entry {gone[0]})" if len(gone) == 1 else f"{len(gone)} updates (entries {gone[0]} to {gone[-1]})"
    verb = "was" if len(gone) == 1 else "were"
    return f"{whose} {what} {verb} taken out of the model: {len(judges)} of {others} others say: {why}"
