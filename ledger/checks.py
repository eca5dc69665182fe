"""Everything that peers did about the data-quality policy, followed by an auditor as entries come in.

    Update      --> what was ruled on by which policy
    Opening     --> shown.py: whose records were opened, and what they show
    Verdict     --> recheck.py: what follows from what is here, judgement by judgement
    condemned    -> grounds.py: what holds that which is out of the model
    PolicyChange -> which policy is in force from where on
    in the end  --> Checks (looked.py)

It counts, and decides nothing. Rules kept here: what is remembered of each thing is bounded, what is counted is not.
It refuses to know how a finding is made of a judgement that is false.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, Generic

from ledger.bundle import Blob
from ledger.chain import LogId, Wish
from ledger.comparing import Comparing
from ledger.entry import Challenge, Hash, PolicyChange, Update, Verdict
from ledger.fold import Arithmetic, D, T
from ledger.grounds import Ground, Grounds
from ledger.looked import Checks, Looked, PolicyUse, Status
from ledger.recheck import Recheck
from ledger.replica import Checked, Replica
from ledger.shown import Inspectors, Shown

MAX_LOOKED: Final = 300  # judgements told one by one, the newest: of 64 KB at most each


@dataclass(slots=True)
class _Use:
    let_in: int = 0
    left_out: int = 0
    rules: Counter[str] = field(default_factory=Counter)


class Checking(Generic[D, T]):
    """`inspectors`: how records are read, by whoever audits."""

    def __init__(
        self, replica: Replica, arithmetic: Arithmetic[D, T], blob: Blob, most_parameters: int,
        inspectors: Inspectors | None,
    ) -> None:  # fmt: skip
        self._replica = replica
        self._shown = Shown(replica, blob, inspectors)
        self._recheck = Recheck(replica, Comparing(replica, arithmetic, blob, most_parameters), self._shown)
        self._grounds = Grounds(replica)
        self._counts: Counter[Status] = Counter()
        self._reasons: Counter[str] = Counter()
        self._looked: deque[Looked] = deque(maxlen=MAX_LOOKED)
        self._uses: dict[Hash, _Use] = {}
        self._since: dict[Wish, tuple[LogId, int]] = {}
        self._challenges = 0

    def take(self, checked: Checked) -> str:
        """Follow an entry just admitted. What is false in it, if it is a verdict; "" otherwise."""
        match checked.entry:
            case Update():
                use = self._uses.setdefault(checked.basis, _Use())
                if checked.refused:
                    use.left_out += 1
                    use.rules.update(breach.rule for breach in checked.refused)
                else:
                    use.let_in += 1
            case PolicyChange():
                standing = self._replica.policy_standing()
                if standing[0]:
                    self._since.setdefault(standing, (checked.log, checked.seq))
            case Challenge():
                self._challenges += 1
            case Verdict() as verdict:
                return self._take_verdict(checked, verdict)
            case _:
                pass
        return ""

    def take_opening(self, log: LogId, seq: int, blob: bytes | None) -> None:
        """An opening was admitted, whose records these are."""
        self._shown.note(log, seq, blob, self._recheck.policy_in(self._replica.past(log, seq + 1)))

    def _take_verdict(self, checked: Checked, verdict: Verdict) -> str:
        untrue = []
        looked = self._recheck.look(checked.log, checked.seq, verdict)
        for judgement, (about, (status, why)) in zip(verdict.judgements, looked, strict=True):
            self._counts[status] += 1
            self._grounds.note(checked.log, about, judgement, status, why)
            if status == "false":
                untrue.append(f"of log {judgement.peer[:12]}: {why}")
            elif why:
                self._reasons[why] += 1
            if judgement.decision != "scored" or status == "false":
                self._looked.append(Looked(checked.log, checked.seq, judgement, about, status, why))
        more = f" (and {len(untrue) - 1} more judgements in it are false)" if len(untrue) > 1 else ""
        return untrue[0] + more if untrue else ""

    def told(self) -> Checks:
        opened, left_out = self._shown.told()
        struck = self._grounds.struck() if self._replica.has_genesis else Counter[Ground]()
        return Checks(
            judgements=sum(self._counts.values()),
            true=self._counts["true"],
            false=self._counts["false"],
            opinions=self._counts["opinion"],
            unchecked=self._counts["unchecked"],
            reasons=tuple(self._reasons.most_common()),
            looked=tuple(self._looked),
            challenges=self._challenges,
            opened=opened,
            opened_left_out=left_out,
            policies=self._policies() if self._replica.has_genesis else (),
            struck=struck.total(),
            struck_by_opinion=struck["opinion"],
            struck_unchecked=struck["unchecked"],
        )

    def _policies(self) -> tuple[PolicyUse, ...]:
        """By number; genesis' first."""
        replica = self._replica
        standing = replica.policy_standing()
        uses = []
        for wish in ((0, replica.genesis.policy), *replica.asked()):
            number, policy = wish
            use = self._uses.get(policy, _Use())
            held = not number or wish in self._since
            uses.append(
                PolicyUse(
                    policy, number, replica.admins_for(wish) if number else 0,
                    "in force" if wish == standing else "was in force" if held else "asked for",
                    self._since.get(wish), use.let_in, use.left_out, tuple(sorted(use.rules.items())),
                )
            )  # fmt: skip
        return tuple(uses)
