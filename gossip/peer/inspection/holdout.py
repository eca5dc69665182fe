"""A peer's updates judged by leaving them out: is the model better or worse on rows of our own without them?

    16 updates of one peer --are we a receiver of the last?--> Judge(model, model without them) --> Judged: counts
                                                                    harm = 1000 * (wrong with - wrong without) / rows

Why 16 together: one update moves a model by less than any holdout can measure, and three opinions on every update
would be half of the ledger. Batches are counted by the ledger (updates 1-16, 17-32, ... of a log, as far as the policy
let them in), so all know who judges which.

Rules kept here: at most one batch each `judge_s`, of each peer the newest; the two models are the exact fold and the
exact fold less these terms, rounded once; what does not count any more is not judged. It refuses to know rows: the
shell measures, and what it says is an opinion that others check with rows of theirs.
"""

from __future__ import annotations

from typing import Final

from gossip.events import Judge, Judged
from gossip.peer.inspection.office import Finding, Office, opinion
from ledger.chain import LogId, peer_of
from ledger.entry import AnyEntry, Measured, PeerId, Scores, Update, Verdict

BATCH: Final = 16  # updates
MAX_WAITING: Final = 256  # batches
SHELL_S: Final = 300.0  # a shell that has not measured by then will not

Batch = tuple[LogId, tuple[int, ...]]


class Holdout:
    """The batches of other peers' updates that this peer measures."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._growing: dict[LogId, list[int]] = {}
        self._waiting: dict[tuple[LogId, bool], Batch] = {}  # by whose, and whether to concur: the newest
        self._judged: set[tuple[PeerId, int]] = set()  # peer and last seq of what we have said; asked, never iterated
        self._open: tuple[int, Batch, bool, float] | None = None  # number, batch, concurs, until when
        self._next_at = 0.0
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def learn(self, log: LogId, seq: int, entry: AnyEntry) -> None:
        """An entry was admitted, or read back from the store."""
        own = self._office.own
        match entry:
            case Update() if peer_of(log) != own and self._office.replica.weight_of(log, seq) is not None:
                growing = self._growing.setdefault(log, [])
                growing.append(seq)
                if len(growing) == BATCH:
                    del self._growing[log]
                    self.want((log, tuple(growing)), concurs=False)
            case Verdict() if log == own:
                for judgement in entry.judgements:
                    if judgement.measured:
                        self._judged.add((judgement.peer, judgement.seqs[-1]))
            case _:
                pass

    def want(self, batch: Batch, *, concurs: bool) -> None:
        """Judge these updates, if it is for us to do: later, in turn. Who falls behind judges the newest."""
        if concurs or (batch[0], concurs) in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[batch[0], concurs] = batch

    # -------------------------------------------------------------- measuring

    def tick(self, now: float) -> None:
        if self._open is not None and now >= self._open[3]:
            self._open = None
        while self._waiting and self._open is None:
            if now < self._next_at:
                self._office.later(self._next_at)
                return
            if not self._office.may_speak:
                return
            log, concurs = next(iter(self._waiting))
            self._begin(self._waiting.pop((log, concurs)), concurs, now)

    def _begin(self, batch: Batch, concurs: bool, now: float) -> None:
        office, (log, seqs) = self._office, batch
        policy = office.policy
        if (peer_of(log), seqs[-1]) in self._judged or not office.is_alien(log):
            return
        if not (policy.asks("holdout") or policy.asks("canary")):
            return
        if not concurs and not office.receives(log, seqs[-1]):
            return
        replica = office.replica
        taken_back = replica.branches.get(log).recovers
        counting = [
            seq for seq in seqs
            if replica.weight_of(log, seq) and not replica.condemned(log, seq)
            and not any(since <= seq < at for at, since in taken_back)
        ]  # fmt: skip
        terms = [(office.update_of(log, seq), replica.weight_of(log, seq) or 0) for seq in counting]
        without = office.book.theta_without([(update.delta, weight) for update, weight in terms if update is not None])
        if not counting or without is None:
            return
        self._count += 1
        self._next_at = now + office.config.judge_s
        self._open = (self._count, batch, concurs, now + SHELL_S)
        office.out.put(Judge(self._count, office.book.theta(), without))

    def judged(self, event: Judged) -> Finding | None:
        """What the shell measured, as an opinion; None if there is none."""
        if self._open is None or self._open[0] != event.number:
            return None
        _, (log, seqs), concurs, _ = self._open
        self._open = None
        measured = tuple(one for one in event.measured if one.given.examples > 0)
        if not measured:
            return None
        self._judged.add((peer_of(log), seqs[-1]))
        policy = self._office.policy
        facts = {f"{one.on}.harm_permille": harm_permille(one) for one in measured}
        finding = opinion(policy.judge(facts), policy, log, seqs, measured, concurs=concurs)
        if finding is None and not concurs:
            finding = Finding(log, seqs, "scored", (), measured, policy.hash)
        return finding


def harm_permille(measured: Measured) -> int:
    """How many more of a thousand rows are wrong with the updates than without; never below 0."""
    more = _wrong(measured.given) - _wrong(measured.without)
    return max(0, 1000 * more // measured.given.examples)


def _wrong(scores: Scores) -> int:
    return scores.fp + scores.fn
