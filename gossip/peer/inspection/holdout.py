"""Where a peer's updates pull the model: does it get worse on rows of our own if it goes further their way?

    4 to 16 updates of one peer --are we a receiver of the last?--> Judge(model and their mean once more, it, less it)
    Judged: counts of the first two --> harm = 1000 * (wrong with more - wrong as it is) / rows
            loss of the outer two   --> loss = further - back, on rows weighted as the author's labels are

Why not the model without them: everybody trains from the sum, and so against whatever somebody puts into it. Leaving
one side of that out makes any model worse, and most of all where the others had most to make up for: on real requests,
updates from turned labels looked like the best of all (16 of them out: 10% more wrong answers). One step further is
what nobody has answered yet. Figures: docs/benchmarks.md, "A poisoned peer".

Two measures: counts of all rows find what makes a model worse for us, and condemn honest peers that know what we do
not; the loss on rows like theirs does not (gossip/quality/leaning.py has the reasons, docs/byzantine.md the figures).

Why 16 together: one update moves a model by less than any holdout can measure, and three opinions on every update
would be half of the ledger. Batches are counted by the ledger (updates 1-16, 17-32, ... of a log, as far as the policy
let them in), so all know who judges which. Where the policy asks for the loss, which fewer show, the first are 1-4, 5-8
and 9-16: what takes 16 rounds to see has done 16 rounds of harm.

What a quorum then takes out would come back with the next updates, so who has condemned a batch that a quorum condemns
says the same of the data that any of it learned from: no update that cites them counts any more. Never before: one look
in a hundred finds harm in an honest batch, and what is said of data adds up for ever.

Rules kept here: at most one batch each `judge_s`, of each peer the newest; the models are the exact fold, and the
exact fold with their mean delta once more (or less), each by its weight as if its author had been alone (so the step
is the same in a swarm of three and of thirty, and of one guest of fifty: no house hides behind its number; and what
was clipped stays clipped), rounded once; what does not count any more is not judged; who has few rows measures, and
holds it against nobody. It refuses to know rows: the shell measures, and what it says is an opinion that others check
with rows of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gossip.events import Judge, Judged
from gossip.peer.inspection.office import Finding, Office, opinion
from ledger.chain import LogId, peer_of
from ledger.entry import GRID_ONE, AnyEntry, Hash, Judgement, Measured, PeerId, Scores, Update, Verdict
from ledger.standing import sharers

BATCH: Final = 16  # updates
FIRST: Final = (4, 4, 8)  # of a log, where the loss is asked for
LOSS: Final = "holdout.loss_milli"
MIN_ROWS: Final = 50  # to say that something is wrong: of 24 rows one is 42 permille
MAX_WAITING: Final = 256  # batches
SHELL_S: Final = 300.0  # a shell that has not measured by then will not

Batch = tuple[LogId, tuple[int, ...]]


class Holdout:
    """The batches of other peers' updates that this peer measures."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._growing: dict[LogId, list[int]] = {}
        self._batches: dict[LogId, int] = {}  # of each log, so far
        self._waiting: dict[tuple[LogId, bool], Batch] = {}  # by whose, and whether to concur: the newest
        self._judged: set[tuple[PeerId, int]] = set()  # peer and last seq of what we have said; asked, never iterated
        self._open: tuple[int, Batch, bool, float] | None = None  # number, batch, concurs, until when
        self._against: dict[Batch, Finding] = {}  # batches that we have condemned, and of their data not yet
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
                number = self._batches.get(log, 0)
                if len(growing) == (FIRST[number] if number < len(FIRST) and self._asks_loss() else BATCH):
                    del self._growing[log]
                    self._batches[log] = number + 1
                    self.want((log, tuple(growing)), concurs=False)
            case Verdict() if log == own:
                for judgement in entry.judgements:
                    if judgement.measured:
                        self._judged.add((judgement.peer, judgement.seqs[-1]))
                        self._keep(entry.basis, judgement)
            case _:
                pass

    def _asks_loss(self) -> bool:
        return any(rule.fact == LOSS for rule in self._office.policy.rules)

    def _keep(self, basis: Hash, judgement: Judgement) -> None:
        branch = self._office.branch(judgement) if judgement.decision == "condemned" else None
        if branch is None:
            return
        batch = (branch, tuple(judgement.seqs))
        if self._office.data_of(branch, batch[1][-1]) is None:
            readings, measured = tuple(judgement.readings), tuple(judgement.measured)
            self._against[batch] = Finding(branch, batch[1], "condemned", readings, measured, basis)

    def want(self, batch: Batch, *, concurs: bool) -> None:
        """Judge these updates, if it is for us to do: later, in turn. Who falls behind judges the newest."""
        if concurs or (batch[0], concurs) in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[batch[0], concurs] = batch

    def due(self) -> list[Finding]:
        """The data behind batches of which others have found what we have."""
        found: list[Finding] = []
        for (log, seqs), finding in tuple(self._against.items()):
            if all(self._office.replica.condemned(log, seq) for seq in seqs):
                del self._against[log, seqs]
                cited = {update.data for seq in seqs if (update := self._office.update_of(log, seq)) is not None}
                for data in sorted(cited):
                    if (peer_of(log), data) not in self._judged:
                        self._judged.add((peer_of(log), data))
                        found.append(replace(finding, seqs=(data,), concurs=True))
        return found

    # -------------------------------------------------------------- measuring

    def tick(self, now: float) -> None:
        if self._open is not None and now >= self._open[3]:
            self._open = None
        if self._open is not None:
            self._office.out.heed(self._open[3])
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
        terms = self._mean(log, seqs)
        further = office.book.theta_with(terms)
        back = office.book.theta_with([(delta, -weight) for delta, weight in terms])
        if not terms or further is None or back is None:
            return
        self._count += 1
        self._next_at = now + office.config.judge_s
        self._open = (self._count, batch, concurs, now + SHELL_S)
        office.out.put(Judge(self._count, further, office.book.theta(), back, self._labels(log, seqs[-1])))

    def _labels(self, log: LogId, seq: int) -> Mapping[str, int]:
        """How many rows of each label there are in the data that an update cites, as their author says."""
        update = self._office.update_of(log, seq)
        data = self._office.data_of(log, seq if update is None else update.data)
        return {} if data is None else data.labels

    def _mean(self, log: LogId, seqs: tuple[int, ...]) -> list[tuple[Hash, int]]:
        """(delta, weight) of the mean of those that are in the model; of a data entry, of the newest that learned from
        it. One delta in all: half a one is lost in the noise of some hundred rows, and two harm when they are honest.
        """
        of_data = self._office.data_of(log, seqs[-1]) is not None
        held, genesis = self._office.replica.branches.get(log), self._office.replica.genesis
        logs = self._office.replica.branches.logs.values()
        found: list[tuple[Hash, int]] = []
        for name, seq, delta, weight in self._office.replica.updates:
            if name == log and not self._office.replica.condemned(log, seq):
                update = self._office.update_of(log, seq) if of_data else None
                if seq in seqs or (update is not None and update.data == seqs[-1]):
                    mates = sharers(logs, held, seq) if genesis.guests else 1
                    alone = min(GRID_ONE, weight * held.active[held.folded[seq]] * mates * GRID_ONE // genesis.fold.eta)
                    found.append((delta, alone))
        found = found[-BATCH:]
        return [(delta, alone // len(found)) for delta, alone in found]

    def judged(self, event: Judged) -> Finding | None:
        """What the shell measured, as an opinion; None if there is none."""
        if self._open is None or self._open[0] != event.number:
            return None
        _, (log, seqs), concurs, _ = self._open
        self._open = None
        measured = tuple(one for one in event.measured if one.given.examples > 0)
        if not measured and event.loss_milli is None:
            return None
        self._judged.add((peer_of(log), seqs[-1]))
        policy = self._office.policy
        facts = {f"{one.on}.harm_permille": harm_permille(one) for one in measured if one.given.examples >= MIN_ROWS}
        if len(seqs) in FIRST:
            facts.clear()  # of so few, counts find harm in honest ones: it takes 16
        if event.loss_milli is not None:
            facts[LOSS] = max(0, event.loss_milli)
        finding = opinion(policy.judge(facts), policy, log, seqs, measured, concurs=concurs)
        if finding is None and not concurs and measured:
            finding = Finding(log, seqs, "scored", (), measured, policy.hash)
        return finding


def harm_permille(measured: Measured) -> int:
    """How many more of a thousand rows are wrong with more of the updates than without; never below 0."""
    more = _wrong(measured.given) - _wrong(measured.without)
    return max(0, 1000 * more // measured.given.examples)


def _wrong(scores: Scores) -> int:
    return scores.fp + scores.fn
