"""The data-quality policy of a swarm: which updates are folded, as bounds on facts that everybody can read.

    policy = 1

    [data.duplicates_permille]
    max = 900                       # a data set of which nine in ten rows are copies teaches little

Why it exists: a peer's admission says who may contribute, the policy says what. It is a text that people
discuss, a blob in the ledger, and its SHA-256 stands in genesis.

Rules kept here: every fact comes from the update and the data entry that it cites, both in the update's past,
so every peer and every auditor decides alike whatever else they hold. An update that breaks a rule is *left
out* of the fold; its log goes on. All rules are evaluated and every breach is reported with value and limit.
Integers only, a closed vocabulary, unknown words refused.

The text is a subset of TOML, read here line by line: TOML readers differ between versions of the language,
and peers that read one policy differently would fold different models. It refuses to know who is admitted,
and what a breach leads to (replica.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from ledger.entry import Data, Hash, Update
from ledger.errors import LocalError, RemoteError

POLICY_VERSION: Final = 1
MAX_POLICY_BYTES: Final = 32 * 1024  # a page of rules with generous comments; it travels as one small blob
_MAX_LIMIT: Final = (1 << 53) - 1

Bound = Literal["min", "max"]

DEFAULT_POLICY: Final = """\
# The data-quality policy of this swarm.
#
# It says which contributions ("updates") become part of the shared model. Every peer, and everybody who
# audits the ledger later, checks the same rules against the same published facts. An update that breaks a
# rule is left out; its author sees which rule, with the value and the limit, and can go on contributing.
#
# The rules are fixed when the swarm is founded. Facts are whole numbers; "permille" is tenths of a percent.
# A line that begins with # is a remark. Take the # away to switch a suggested rule on.

policy = 1

# ---- what stands behind an update: the labelled requests a peer announced before its first update

# A peer must have something to learn from. One row is enough to take part in a small test; for a real
# filter-list swarm 500 is a better floor.
[data.records]
min = 1

# Exact copies of one row, in permille of all rows. Crawls repeat requests, so some are normal; a table in
# which more than nine rows in ten are copies is a handful of requests shouted loudly.
[data.duplicates_permille]
max = 900

# At least two different labels (say "ad" and "benign"). Off, because a maintainer who only collects
# breakage reports has nothing but benign requests, and is welcome.
# [data.labels]
# min = 2

# The commonest label, in permille of all rows. Off: 990 would refuse a peer with one ad in 200 requests.
# [data.commonest_label_permille]
# max = 990

# Where the rows come from: number of files named, and how many of them name no licence. Off.
# [data.sources]
# min = 1
# [data.unlicensed_sources]
# max = 0

# ---- the update itself

# Optimiser steps taken and rows looked at, counted with repetition. Nobody contributes without training,
# and nobody in good faith trains a million steps between two updates.
[update.steps]
min = 1
max = 1000000

[update.examples]
min = 1
max = 1000000000

# Size of the compressed change. Every peer downloads every update; 16 MiB is ten seconds on a home line.
[update.bytes]
max = 16777216

# Held-out rows on which the author measured itself before publishing. Off: a small peer has none to spare.
# [update.scored]
# min = 20
"""


def _permille(part: int, whole: int) -> int:
    """Rounded down; of nothing, nothing."""
    return 1000 * part // whole if whole else 0


_FACTS: Final[dict[str, Callable[[Update, Data], int]]] = {
    "data.records": lambda update, data: data.records,
    "data.duplicates_permille": lambda update, data: _permille(data.duplicates, data.records),
    "data.labels": lambda update, data: sum(1 for count in data.labels.values() if count),
    "data.commonest_label_permille": lambda update, data: _permille(max(data.labels.values(), default=0), data.records),
    "data.labelled_permille": lambda update, data: _permille(sum(data.labels.values()), data.records),
    "data.sources": lambda update, data: len(data.sources),
    "data.unlicensed_sources": lambda update, data: sum(1 for source in data.sources if not source.licence),
    "data.public": lambda update, data: int(data.zone == "public"),
    "update.bytes": lambda update, data: update.bytes,
    "update.steps": lambda update, data: update.steps,
    "update.examples": lambda update, data: update.examples,
    "update.examples_per_record": lambda update, data: update.examples // max(1, data.records),
    "update.norm": lambda update, data: update.norm,
    "update.scored": lambda update, data: update.scores.examples,
}


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule that an update breaks: `rule` is "data.records.min", `value` what the entries say."""

    rule: str
    value: int
    limit: int

    def __str__(self) -> str:
        return f"{self.rule} is {self.limit}, this update has {self.value}"


@dataclass(frozen=True, slots=True)
class Rule:
    fact: str  # a key of _FACTS
    bound: Bound
    limit: int

    def broken_by(self, value: int) -> bool:
        return value < self.limit if self.bound == "min" else value > self.limit


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that has been read: `rules` in the order of the text."""

    text: str
    rules: tuple[Rule, ...]

    @property
    def hash(self) -> Hash:
        """SHA-256 of the text as UTF-8: what genesis carries, and what `sha256sum policy.toml` prints."""
        return sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy that a person wrote. LocalError names the line and what to do."""
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise LocalError("the policy is not UTF-8 text", next_step="save it as UTF-8") from None
        if size > MAX_POLICY_BYTES:
            raise LocalError("the policy is too long", why=f"{size} bytes, the limit is {MAX_POLICY_BYTES}")
        return cls(text, tuple(_read(text)))

    @classmethod
    def from_blob(cls, data: bytes) -> Policy:
        """Read a policy that came with a ledger. RemoteError if no peer would accept it."""
        if len(data) > MAX_POLICY_BYTES:
            raise RemoteError("the policy is too long", why=f"{len(data)} bytes, the limit is {MAX_POLICY_BYTES}")
        try:
            return cls.parse(data.decode("utf-8"))
        except UnicodeDecodeError:
            raise RemoteError("the policy is not UTF-8 text") from None
        except LocalError as error:
            raise RemoteError(error.what, why=error.why) from None

    def evaluate(self, update: Update, data: Data) -> tuple[Breach, ...]:
        """Every rule that `update`, trained on `data`, breaks; () means it is folded."""
        return tuple(
            Breach(f"{rule.fact}.{rule.bound}", value, rule.limit)
            for rule in self.rules
            if rule.broken_by(value := _FACTS[rule.fact](update, data))
        )


# ------------------------------------------------------------------ reading the text

# (Possessive where spaces may follow spaces: a line of nothing else must not take its length squared.)
# One line is: nothing | [section.fact] | word = integer, and may end in a remark. All of it is also TOML.
_LINE = re.compile(
    r"[ \t]*+(?:\[(?P<fact>[a-z_.]{1,64})\]|(?P<word>[a-z_]{1,64})[ \t]*=[ \t]*(?P<number>0|[1-9][0-9]{0,15}))?"
    r"[ \t]*(?:#.*)?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def _read(text: str) -> list[Rule]:
    rules: list[Rule] = []
    facts: set[str] = set()
    fact, versioned = "", False
    for row, line in enumerate(text.split("\n"), start=1):
        match = None if _CONTROL.search(line) else _LINE.fullmatch(line)
        if match is None:
            raise _bad(
                row, "cannot be read", "write [section.fact], or min = 1, or a remark after #; numbers are whole"
            )
        if match["fact"] is not None:
            _close(row, fact, rules)
            fact = match["fact"]
            if not versioned:
                raise _bad(row, "comes before the version", "begin with: policy = 1")
            if fact not in _FACTS:
                raise _bad(row, f"[{fact}] is no known fact", "use one of: " + ", ".join(_FACTS))
            if fact in facts:
                raise _bad(row, f"[{fact}] appears twice", "merge the two sections")
            facts.add(fact)
        elif match["word"] is not None:
            word, number = match["word"], int(match["number"])
            if number > _MAX_LIMIT:
                raise _bad(row, "the number is too large", f"the limit is {_MAX_LIMIT}")
            if not fact:
                if versioned or word != "policy" or number != POLICY_VERSION:
                    raise _bad(row, "only the version may stand here", f"write: policy = {POLICY_VERSION}")
                versioned = True
            else:
                rules.append(_rule(row, fact, word, number, rules))
    _close(row, fact, rules)
    if not versioned:
        raise _bad(1, "the policy names no version", f"begin with: policy = {POLICY_VERSION}")
    return rules


def _rule(row: int, fact: str, word: str, number: int, rules: list[Rule]) -> Rule:
    if word not in ("min", "max"):
        raise _bad(row, f"{word!r} is no known bound", "use min or max")
    bound: Bound = "min" if word == "min" else "max"
    for other in rules:
        if other.fact != fact:
            continue
        if other.bound == bound:
            raise _bad(row, f"{word} appears twice in [{fact}]", "keep one")
        if other.limit > number if bound == "max" else other.limit < number:
            raise _bad(row, f"[{fact}] can never hold", "min must not be above max")
    return Rule(fact, bound, number)


def _close(row: int, fact: str, rules: list[Rule]) -> None:
    if fact and not any(rule.fact == fact for rule in rules):
        raise _bad(row, f"[{fact}] above this line has no rule", "add min or max, or take the section out")


def _bad(row: int, why: str, next_step: str) -> LocalError:
    return LocalError(f"line {row} of the policy", why=why, next_step=next_step)
