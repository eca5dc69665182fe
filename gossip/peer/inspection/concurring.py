"""Somebody condemns: each member that can looks for itself, once, and says the same or nothing.

    Verdict of another, "condemned" --a moment, by luck--> the same check --found, too--> our own condemnation
                                                              `--not found, or enough have said so--> silence

Why: a quorum is needed to take an update out, and only three look at an entry of their own accord. So a refusal that is
true gathers a majority in a minute or two, and one that is made up stays alone, on record, for ever.

The moment is longer in larger swarms, so that not all write what a majority suffices for. Rules kept here: nobody is
believed; what one judge gives us to check is bounded (MAX_OF_ONE at a time), and nothing is checked twice. It refuses
to know how things are checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gossip.peer.inspection.office import Office, group_of
from ledger.chain import LogId, peer_of
from ledger.entry import PeerId, Verdict

MAX_OF_ONE: Final = 16  # condemnations by one judge that wait for us to look
MAX_OF_DATA: Final = 4  # condemnations of one data entry that are remembered
MAX_DONE: Final = 1 << 16  # remembered: then all are forgotten, and may be looked at again
MOMENT_S: Final = 0.5  # for each member; at least FIRST_S
FIRST_S: Final = 3.0

Key = tuple[LogId, tuple[int, ...], str]  # whose, which entries, and on which group of facts


@dataclass(frozen=True, slots=True)
class Doubt:
    """A condemnation by somebody else, to be checked."""

    judge: PeerId
    log: LogId
    seqs: tuple[int, ...]
    group: str  # of facts: opened, unanswered, crossed, holdout, canary

    @property
    def key(self) -> Key:
        return self.log, self.seqs, self.group


class Concurring:
    """Condemnations by others that wait for a look of our own."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._waiting: dict[Key, tuple[float, Doubt]] = {}
        self._done: set[Key] = set()  # asked, never iterated
        self._of_data: dict[tuple[LogId, int], dict[Key, Doubt]] = {}  # of data entries, those that somebody raised

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, judge: LogId, verdict: Verdict) -> tuple[Doubt, ...]:
        """A verdict was admitted, or read back from the store: what others condemn in it."""
        if peer_of(judge) == self._office.own:
            return ()
        doubts: list[Doubt] = []
        for judgement in verdict.judgements:
            log = self._office.branch(judgement)
            if judgement.decision == "condemned" and log is not None and self._office.is_alien(log):
                for group in dict.fromkeys(group_of(reading.rule) for reading in judgement.readings):
                    doubt = Doubt(peer_of(judge), log, tuple(judgement.seqs), group)
                    doubts.append(doubt)
                    if self._office.data_of(log, doubt.seqs[-1]) is not None:
                        known = self._of_data.setdefault((log, doubt.seqs[-1]), {})
                        if len(known) < MAX_OF_DATA:
                            known[doubt.key] = doubt
        return tuple(doubts)

    def heard(self, judge: LogId, verdict: Verdict, now: float) -> None:
        """A verdict was admitted just now."""
        for doubt in self.learn(judge, verdict):
            self._put(doubt, now)

    def cited(self, log: LogId, data: int, now: float) -> None:
        """An update came that learned from those data, and counts: more may have to look than when it was condemned."""
        for doubt in tuple(self._of_data.get((log, data), {}).values()):
            self._put(doubt, now)

    def _put(self, doubt: Doubt, now: float) -> None:
        key = doubt.key
        if key in self._done or key in self._waiting or self.is_quorate(doubt):
            return
        if sum(1 for _, other in self._waiting.values() if other.judge == doubt.judge) >= MAX_OF_ONE:
            return
        moment = max(FIRST_S, MOMENT_S * len(self._office.members()))
        due = now + self._office.luck.uniform(0, moment)
        self._waiting[key] = (due, doubt)
        self._office.later(due)

    def is_quorate(self, doubt: Doubt) -> bool:
        """Whether enough have said so already."""
        return all(self._office.replica.condemned(doubt.log, seq) for seq in doubt.seqs)

    def due(self, now: float) -> list[Doubt]:
        """What is to be looked at now."""
        ready: list[Doubt] = []
        for key, (at, doubt) in tuple(self._waiting.items()):
            if now < at:
                self._office.later(at)
                continue
            del self._waiting[key]
            if not self.is_quorate(doubt) and self._office.may_speak:
                if len(self._done) >= MAX_DONE:
                    self._done.clear()
                self._done.add(key)
                ready.append(doubt)
        return ready
