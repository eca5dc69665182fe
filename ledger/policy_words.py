"""A rule and a breach in the words of people: for `gossip policy`, for notes, and for whoever was refused.

    data.duplicates_permille.max = 900   ->  "at most 90% of its rows are exact copies of another"
    the same, broken by 912              ->  "91.2% of its rows are exact copies of another (allowed: at most 90%)"

Why it exists: a refusal that its author does not understand is a contributor lost. It refuses to decide anything.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.entry import Judgement, Reading
from ledger.policy import OPENED, Breach
from ledger.policy_facts import FACTS, Fact, Strength, Unit
from ledger.policy_text import Rule

KNOWN: Final[dict[Strength, tuple[str, str]]] = {
    "S": ("claimed", "the author's word, on record: everybody rules alike"),
    "R": ("recomputed", "from published bytes, by anybody: everybody rules alike"),
    "O": ("shown", "seen by who asked for records, in those picked at random: an opinion"),
    "X": ("compared", "with what other peers published: an opinion"),
    "L": ("measured", "by receivers, on rows of their own or on the canary rows: an opinion"),
}
ANSWERS: Final = "opened.unanswered"
_OPENED: Final = {"opened.invalid": "an opening that is false"}  # no rule: what nobody may do
_PLURAL: Final = re.compile(r"\b(\w+)s\b")  # the first noun of what is counted
_ONE_VALUE: Final = 1 << 24


def amount(unit: Unit, value: int) -> str:
    """A value with its unit: 900 permille is 90%."""
    match unit:
        case "permille":
            return f"{value / 10:.12g}%"
        case "milli":
            return f"{value / 1000:.12g}"
        case "grid":
            return f"{value / _ONE_VALUE:.6g}"
        case _:
            return f"{value:,}"


def _about(fact: Fact, value: int) -> str:
    """What it counts: of one, in the singular ("1 row in the data set")."""
    return _PLURAL.sub(r"\1", fact.about, count=1) if fact.unit == "count" and value == 1 else fact.about


def say_rule(rule: Rule) -> str:
    """What must hold, as half a sentence."""
    fact = FACTS[rule.fact]
    match rule.word:
        case "all_in":
            listed = ", ".join(word or "(none named)" for word in rule.words)
            return f"{fact.about} is one of: {listed}"
        case "present":
            return fact.about
        case "unique":
            return f"no {fact.about}"
        case _ if fact.unit == "yes":
            match rule.broken_by(0), rule.broken_by(1):
                case False, False:
                    return f"no matter whether {fact.about}"
                case True, True:
                    return f"never met, whether {fact.about} or not"
                case _, wanted:
                    return f"not so: {fact.about}" if wanted else fact.about
        case "min" if rule.limit == 1:
            return f"one or more {fact.about}"
        case "min":
            return f"at least {amount(fact.unit, rule.limit)} {_about(fact, rule.limit)}"
        case _ if rule.limit == 0 and fact.unit == "count":
            return f"no {fact.about}"
        case _:
            return f"at most {amount(fact.unit, rule.limit)} {_about(fact, rule.limit)}"


def say_breach(breach: Breach | Reading) -> str:
    """What was found, beside what is allowed. Of what no policy rules on (a false opening): its name."""
    name, _, word = breach.rule.rpartition(".")
    fact = FACTS.get(name)
    if fact is None:
        return f"{breach.rule} is {breach.value}, the limit {breach.limit}"
    match word:
        case "all_in":
            return f"{breach.value:,} not on the list: {fact.about}"
        case "present":
            return f"missing: {fact.about}"
        case "unique":
            return f"{breach.value:,} {_about(fact, breach.value)} (allowed: none)"
        case _ if fact.unit == "yes":
            return f"not the case: {fact.about}" if word == "min" else f"not allowed: {fact.about}"
        case _:
            bound = "at least" if word == "min" else "at most"
            found = amount(fact.unit, breach.value)
            return f"{found} {_about(fact, breach.value)} (allowed: {bound} {amount(fact.unit, breach.limit)})"


def say_fact(rule: str) -> str:
    """What the rule of that name is about; its name, if no policy can have it."""
    fact = FACTS.get(rule.rpartition(".")[0])
    return fact.about if fact is not None else _OPENED.get(rule, rule)


def reasons_of(judgement: Judgement) -> str:
    """Why somebody judges as it does, with values and limits: "91.2% of its rows ... (allowed: at most 20%)"."""
    return "; ".join(_OPENED.get(reading.rule) or say_breach(reading) for reading in judgement.readings)


def say_judged(judgement: Judgement) -> tuple[str, str]:
    """What a judgement is about, and its reasons: ("update (entry 12)", "91.2% of its ...")."""
    readings, seqs = judgement.readings, judgement.seqs
    reasons = reasons_of(judgement)
    is_data = any(reading.rule.startswith(("opened.", "crossed.overlap")) for reading in readings)
    which = f"entry {seqs[0]}" if len(seqs) == 1 else f"{len(seqs)} updates (entries {seqs[0]} to {seqs[-1]})"
    return f"data set ({which})" if is_data else f"update ({which})" if len(seqs) == 1 else which, reasons


def say_outcome(rule: Rule) -> tuple[str, str]:
    """What follows if the rule is broken: in a word or two, and in a sentence."""
    if rule.fact == OPENED:
        return "asked", f"this is a request; who does not answer is judged by {ANSWERS}"
    if rule.on_fail == "weight":
        kept = amount("permille", rule.permille)
        return f"counts {kept}", f"the update counts {kept} of its weight"
    if rule.on_fail == "quarantine":
        return "marked", "it is shown to everybody, and counts in full"
    if rule.strength in ("S", "R"):
        return "left out", "the update does not become part of the model"
    return "condemned", "by whoever found it; a quorum of peers takes the update out of the model"
