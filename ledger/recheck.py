"""Verdicts looked at again: does what a judge says follow from what it had seen?

    "refused"      the policy in force in the past of each update named is run again: every rule that it breaks, no
                   other, with value and limit
    "quarantined"  each value is one that the judge can have seen (comparing.py, shown.py, its own counts), breaks a
    "condemned"    rule of the policy that it names, and that rule says so
    "scored"       counts of the judge's own rows: an opinion

What may be said of entries by whom, verdicts.py decides before; what condemnations do, condemned.py. Here a judge is
held to its word: what it states and is not so is false, for everybody, and a finding of the audit.

Rules kept here, so that nobody honest is convicted:
- What follows from the past of the entry judged alone (refusals, copies, likeness, overlap) is compared exactly; where
  a judge sees a part of it, any value of that part will do.
- What depends on when a judge looked is only bounded by its past at the verdict: a policy that may have been in force
  there, an opening that was in it, a request unanswered in it. How long it waited is its own word.
- Of several entries in one judgement it states the value furthest from the limit.
- What a verdict says many times is looked at once: repeating what is true leaves no less work for what is not.
- What is not here is "unchecked", and what nobody else can measure an "opinion": never true, never false.

It refuses to know bundles, and what findings look like.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ledger import in_force
from ledger.canonical import encode
from ledger.chain import Log, LogId
from ledger.comparing import Comparing, TooMuch
from ledger.condemned import branch_with
from ledger.entry import AnyEntry, Data, Hash, Judgement, Measured, Reading, Update, Verdict
from ledger.looked import Status
from ledger.policy import OPENED, Policy
from ledger.policy_facts import FACTS
from ledger.policy_text import Rule
from ledger.replica import Replica
from ledger.shown import INVALID, Shown, Values

COPIED: Final = "crossed.copied"
COSINE: Final = "crossed.cosine_permille"
OVERLAP: Final = "crossed.overlap_permille"
UNANSWERED: Final = "opened.unanswered"
OWN_ROWS: Final = "measured on rows of its judge"
TOO_MUCH: Final = "names more than an audit compares for one verdict"
NO_DELTA: Final = "a delta is not here, or the model too large"
NO_SKETCH: Final = "a sketch is not in the bundle"
MAX_LISTED: Final = 8  # values in words

_ENTRIES: Final = ("S", "R")  # what entries say

Outcome = tuple[Status, str]
Past = Mapping[LogId, int]


class Untrue(Exception):
    """What a judgement states is not so."""


class Recheck:
    """`comparing` and `shown` know what others can see."""

    def __init__(self, replica: Replica, comparing: Comparing[Any, Any], shown: Shown) -> None:
        self._replica = replica
        self._comparing = comparing
        self._shown = shown
        self._seen: dict[tuple[str, LogId, int], Values | str | None] = {}  # of one verdict: each is worked out once

    def look(self, log: LogId, seq: int, verdict: Verdict) -> list[tuple[LogId, Outcome]]:
        """Of each judgement of an admitted verdict: the branch that it is about, and what became of it."""
        past = self._replica.past(log, seq + 1)
        basis = self._basis(verdict.basis, past)
        self._comparing.begin()
        self._seen = {}
        found: list[tuple[LogId, Outcome]] = []
        known: dict[bytes, tuple[LogId, Outcome]] = {}
        for judgement in verdict.judgements:
            said = encode(judgement)
            if said in known:
                found.append(known[said])
                continue
            on = branch_with(self._strands(judgement), judgement.seqs[-1], bytes.fromhex(judgement.hash))
            try:
                outcome = self._judgement(on, past, basis, verdict.basis, judgement)
            except Untrue as error:
                outcome = "false", str(error)
            except TooMuch:
                outcome = "unchecked", TOO_MUCH
            known[said] = on.id, outcome
            found.append(known[said])
        return found

    def _strands(self, judgement: Judgement) -> list[Log]:
        return [self._replica.branches.get(log) for log in self._replica.strands(judgement.peer)]

    def _basis(self, basis: Hash, past: Past) -> Policy | None:
        """The policy that a judge names, if that was in force in its past, or may have been in a part of it."""
        genesis = self._replica.genesis
        said = in_force.said_in((self._replica.branches.get(log), size) for log, size in past.items())
        held = {genesis.policy, *(policy for (_, policy), by in said.items() if len(by) >= genesis.threshold)}
        return self._replica.policies.get(basis) if basis in held else None

    def policy_in(self, past: Past) -> Policy:
        """The policy in force in a past."""
        said = in_force.said_in((self._replica.branches.get(log), size) for log, size in past.items())
        wishes = {wish: tuple(by) for wish, by in said.items()}
        return self._replica.policy_of(in_force.in_force(self._replica.genesis, wishes)[1])

    # -------------------------------------------------------------- one judgement

    def _judgement(self, on: Log, past: Past, policy: Policy | None, basis: Hash, judgement: Judgement) -> Outcome:
        if policy is None:
            raise Untrue(f"judges by policy {basis[:12]}, which was not in force in its past")
        counts: dict[str, int] = {measured.on: _harm(measured) for measured in judgement.measured}
        named = {reading.rule: reading for reading in judgement.readings}
        if len(named) < len(judgement.readings):
            raise Untrue("names a rule twice")
        if judgement.decision == "scored":
            return "opinion", OWN_ROWS
        if judgement.decision == "refused":
            self._refusal(on, policy, judgement, named)
            return "true", ""
        rules = {rule.name: rule for rule in policy.rules}
        lacks: list[Outcome] = []
        for reading in judgement.readings:
            rule = _rule_of(rules, reading)
            lacks.append(self._reading(on, past, policy, judgement, reading, rule, counts))
        _require_consequence(judgement, rules)
        return min(lacks, key=lambda outcome: ("unchecked", "opinion", "true").index(outcome[0]))

    def _entry(self, on: Log, seq: int) -> AnyEntry:
        return self._replica.entry(on.id, seq)

    def _refusal(self, on: Log, policy: Policy, judgement: Judgement, named: Mapping[str, Reading]) -> None:
        """Run the policy again on every update named. Untrue unless just that came out."""
        worst: dict[str, int] = {}
        for seq in judgement.seqs:
            update = self._entry(on, seq)
            if not isinstance(update, Update):
                raise Untrue(f"refuses entry {seq}, which is no update")
            held = self.policy_in(self._replica.past(on.id, seq + 1))
            if held.hash != policy.hash:
                raise Untrue(f"refuses update {seq} by policy {policy.hash[:12]}, in its past {held.hash[:12]} holds")
            data = self._entry(on, update.data)
            assert isinstance(data, Data)
            broken = {breach.rule: breach for breach in policy.rule_on(update, data).refused}
            for rule in sorted(broken.keys() - named.keys()):
                raise Untrue(f"leaves out that update {seq} breaks {rule}")
            for rule, reading in named.items():
                breach = broken.get(rule)
                if breach is None:
                    raise Untrue(f"refuses update {seq} for {_short(rule)}, which it keeps")
                if reading.limit != breach.limit:
                    raise Untrue(f"says that the limit of {rule} is {reading.limit}, it is {breach.limit}")
                if rule not in worst or abs(breach.value - breach.limit) > abs(worst[rule] - breach.limit):
                    worst[rule] = breach.value
        for rule, reading in named.items():
            if reading.value != worst[rule]:
                raise Untrue(f"says {rule} {reading.value}, the updates give {worst[rule]}")

    def _reading(
        self, on: Log, past: Past, policy: Policy, judgement: Judgement, reading: Reading, rule: Rule,
        counts: Mapping[str, int],
    ) -> Outcome:  # fmt: skip
        """Whether a value is one that the judge can have seen, of each entry that it names."""
        if not rule.broken_by(reading.value):
            raise Untrue(
                f"says {_short(reading.rule)} {reading.value}, which breaks nothing: the limit is {rule.limit}"
            )
        if rule.fact == "holdout.loss_milli":  # no counts tell: of its rows only their judge knows the loss
            return "opinion", OWN_ROWS
        if rule.fact.partition(".")[0] in ("holdout", "canary"):
            own = counts.get(rule.fact.partition(".")[0])
            if own is None:
                raise Untrue(f"says {reading.rule} {reading.value} and shows no counts")
            if own != reading.value:
                raise Untrue(f"says {reading.rule} {reading.value}, its own counts give {own}")
            return "opinion", OWN_ROWS
        seen, certain, why = set[int](), True, ""
        for seq in judgement.seqs:
            values = self._values(rule.fact, on, seq, past, policy)
            if isinstance(values, str):
                return "opinion", values
            found, lacks = values
            breaking = {value for value in found if rule.broken_by(value)}
            why = why or lacks
            if not breaking and not lacks:
                raise Untrue(f"says {reading.rule} {reading.value}, entry {seq} gives {_listed(found)}")
            if breaking and not lacks and all(_further(rule, value, reading.value) for value in breaking):
                raise Untrue(f"says {reading.rule} {reading.value}, entry {seq} gives {_listed(found)}")
            seen |= breaking
            certain = certain and bool(breaking)
        if reading.value in seen and certain:
            return "true", ""
        if not why:
            raise Untrue(f"says {reading.rule} {reading.value}, the entries give {_listed(seen)}")
        return "unchecked", why

    # -------------------------------------------------------------- one fact of one entry

    def _values(self, fact: str, on: Log, seq: int, past: Past, policy: Policy) -> Values | str:
        """Those that its judge can have seen, and why there may be others; or why only it can know."""
        entry = self._entry(on, seq)
        if not isinstance(entry, Update | Data):
            raise Untrue(f"judges entry {seq}, which is neither an update nor a data entry")
        if fact != INVALID and FACTS[fact].strength in _ENTRIES:
            return self._ruled(fact, on, entry, policy), ""
        if fact in (COPIED, COSINE):
            if not isinstance(entry, Update):
                raise Untrue(f"says {fact} of entry {seq}, which is no update")
        elif isinstance(entry, Update):
            entry = self._entry(on, entry.data)
            assert isinstance(entry, Data)
        at = (fact, on.id, entry.seq)
        if at not in self._seen:  # a verdict may name it many times: that is no more work
            self._seen[at] = self._worked_out(fact, on, entry, past, policy)
        values = self._seen[at]
        if values is not None:
            return values
        if fact == UNANSWERED:
            raise Untrue(f"says that a request for records of entry {entry.seq} has no answer, and there is none")
        raise Untrue(f"says {fact} of entry {entry.seq}, of which nobody had opened records")

    def _worked_out(
        self, fact: str, on: Log, entry: Update | Data, past: Past, policy: Policy
    ) -> Values | str | None:  # fmt: skip
        """Of the update, or data entry, that a fact is about. None if there is nothing that it can be read off."""
        comparing = self._comparing
        if isinstance(entry, Update):
            if fact == COPIED:
                return {int(comparing.copied(on.id, entry.seq, entry))}, ""
            likenesses, whole = comparing.likenesses(on.id, entry.seq, entry)
            return likenesses, "" if whole else NO_DELTA
        if fact == OVERLAP:
            overlaps, whole = comparing.overlaps(on.id, entry.seq, entry)
            return overlaps, "" if whole else NO_SKETCH
        if fact == UNANSWERED:
            return self._shown.unanswered(on.id, entry, past, comparing.spend)
        return self._shown.values(fact, on.id, entry, past, policy, comparing.spend)

    def _ruled(self, fact: str, on: Log, entry: Update | Data, policy: Policy) -> set[int]:
        """What the entries themselves say."""
        if isinstance(entry, Data):
            ruling = policy.rule_on_data(entry)
        else:
            data = self._entry(on, entry.data)
            assert isinstance(data, Data)
            ruling = policy.rule_on(entry, data)
        return {ruled.value for ruled in ruling.readings if ruled.rule.fact == fact}


def _rule_of(rules: Mapping[str, Rule], reading: Reading) -> Rule:
    """The rule that a reading names. Of a false opening of restricted records, which is always forbidden, its name."""
    if reading.rule == INVALID:
        rule = Rule(INVALID, "max", 0, (), "reject", 1000, "O")
    elif reading.rule not in rules:
        raise Untrue(f"names {_short(reading.rule)}, a rule that its policy does not have")
    else:
        rule = rules[reading.rule]
    if rule.fact == OPENED:
        raise Untrue(f"judges by {OPENED}, which only says how many records are asked for")
    if reading.limit != rule.limit:
        raise Untrue(f"says that the limit of {_short(reading.rule)} is {reading.limit}, it is {rule.limit}")
    return rule


def _require_consequence(judgement: Judgement, rules: Mapping[str, Rule]) -> None:
    """Untrue unless its reasons lead to the decision, by its policy."""
    named = [rules[reading.rule] for reading in judgement.readings if reading.rule in rules]
    if judgement.decision == "condemned":
        for rule in named:
            if rule.strength in _ENTRIES:
                raise Untrue(f"condemns for {rule.name}, by which everybody decides alike")
        grave = any(rule.on_fail == "reject" for rule in named)
        if not grave and all(reading.rule != INVALID for reading in judgement.readings):
            raise Untrue("condemns what its policy only marks")
    elif any(rule.on_fail == "reject" for rule in named) or len(named) < len(judgement.readings):
        raise Untrue("only marks what its policy refuses")


def _harm(measured: Measured) -> int:
    """How many more of a thousand rows are wrong with more of the updates than without, by the judge's own counts."""
    given, without = measured.given, measured.without
    if given.examples != without.examples or not given.examples:
        raise Untrue("compares counts of different rows, or of none")
    return max(0, 1000 * (given.fp + given.fn - without.fp - without.fn) // given.examples)


def _further(rule: Rule, value: int, than: int) -> bool:
    return abs(value - rule.limit) > abs(than - rule.limit)


def _listed(values: Collection[int]) -> str:
    told = sorted(values, reverse=True)
    more = f" and {len(told) - MAX_LISTED} more" if len(told) > MAX_LISTED else ""
    return ", ".join(map(str, told[:MAX_LISTED])) + more if told else "nothing to compare with"


def _short(rule: str) -> str:
    """What a judge calls a rule may be anything."""
    return "".join(each for each in rule[:40] if each.isascii() and each.isprintable())
