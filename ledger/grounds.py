"""What holds the condemnations by which updates are out of a model: facts, opinions, or words that none here can check.

    condemnation looked at again --> per entry named, per judge: "true" | an opinion of its nature | neither
    in the end, of every update that is struck:  enough judges with true grounds             --> "checked"
                                                 enough, with those whose grounds are opinions --> "opinion"
                                                 otherwise                                     --> "unchecked"

Why it exists: a quorum of condemnations decides what the model is. Whoever calls a model right while what shaped it
could not be looked at vouches for somebody else's word; whoever says so plainly does not.

Rules kept here: "enough" is the quorum by which it was struck (condemned.py), where all guests of one member have one
voice; of several judgements by one judge the best counts; silence that was broken after all is no fact and no
measurement of own rows: it counts as unchecked.
It refuses to know how a judgement was looked at (recheck.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from ledger import standing
from ledger.chain import Log, LogId, peer_of
from ledger.condemned import Judge, owner, quorum, voices
from ledger.entry import Judgement, PeerId
from ledger.looked import Status
from ledger.ranges import within
from ledger.replica import Replica
from ledger.shown import IN_TIME

Ground = Literal["checked", "opinion", "unchecked"]

TRUE: Final = 2
OPINION: Final = 1


class Grounds:
    """Of the condemnations of a ledger, as they come in."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._by: dict[tuple[LogId, int], dict[PeerId, int]] = {}  # by entry named, on the branch that has it

    def note(self, judge: LogId, about: LogId, judgement: Judgement, status: Status, why: str) -> None:
        """A judgement, about entries on that branch, and what became of it."""
        worth = TRUE if status == "true" else OPINION if status == "opinion" and why != IN_TIME else 0
        if judgement.decision != "condemned" or not worth:
            return
        branch = self._replica.branches.get(about)
        for seq in judgement.seqs:
            known = self._by.setdefault((owner(branch, seq).id, seq), {})
            known[peer_of(judge)] = max(worth, known.get(peer_of(judge), 0))

    def struck(self) -> Counter[Ground]:
        """How many updates are out of the model of everything admitted, by what holds that."""
        replica, found = self._replica, Counter[Ground]()
        logs, past = replica.branches.logs, replica.heads()
        gone = standing.condemned_in(logs, past, standing.counts(logs, past))
        for name, ranges in gone.items():
            log = logs[name]
            for number in range(log.folded[log.fork], log.folded[past[name]]):
                seq = log.folded_at[number]
                if within(seq, ranges):
                    at = (seq, log.cites[number])
                    grounds = self._of((owner(log, each), each) for each in at)
                    found[_ground(grounds, quorum(log.active[number]))] += 1
        return found

    def _of(self, places: Iterable[tuple[Log, int]]) -> dict[Judge, int]:
        """What each judge's grounds are worth, of those that have any."""
        best: dict[Judge, int] = {}
        for log, seq in places:
            worth = self._by.get((log.id, seq), {})
            for judge, _, house in log.votes.get(seq, ()):
                if judge.peer in worth:
                    one = (judge.peer, house)
                    best[one] = max(worth[judge.peer], best.get(one, 0))
        return best


def _ground(worth: dict[Judge, int], wanted: int) -> Ground:
    if voices([judge for judge, value in worth.items() if value >= TRUE]) >= wanted:
        return "checked"
    return "opinion" if voices(worth.keys()) >= wanted else "unchecked"
