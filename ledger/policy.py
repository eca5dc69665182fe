"""The data-quality policy of a swarm: which updates are folded, as bounds on facts.

    policy = 1

    [data.duplicates_permille]
    max = 900                       # a data set of which nine in ten rows are copies teaches little

Why it exists: a peer's admission says who may contribute, the policy says what. It is a text that people
discuss, a blob in the ledger, and its SHA-256 stands in genesis, or in the `policy` entries of admins.

Rules kept here: all rules are evaluated and every breach is reported with value and limit; the worst outcome wins
(reject before weight before quarantine). Facts of strength S and R come from the update and the data entry that it
cites, both in the update's past, so every peer and every auditor rules alike whatever else they hold. What O, X and L
come to is the opinion of whoever measured it: `judge` says what to call it, and no more.

It refuses to know how a text is read (policy_text.py), who is admitted, and what a ruling leads to: an update that is
refused is *left out* of the fold and its log goes on (rules.py); opinions need a quorum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from ledger.entry import Data, Hash, Update
from ledger.errors import LocalError, RemoteError
from ledger.policies import DEFAULT_POLICY as DEFAULT_POLICY
from ledger.policy_facts import DEFAULT_OPENED, OF_DATA, OF_UPDATE, Strength, Value
from ledger.policy_text import OnFail as OnFail
from ledger.policy_text import Pins, Rule, read_policy

MAX_POLICY_BYTES: Final = 32 * 1024  # a page of rules with generous comments; it travels as one small blob
OPENED: Final = "opened.records"  # says how many records to ask for: a request, not a bound


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule that an update breaks: `rule` is "data.records.min", `value` what the entries say."""

    rule: str
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class Ruled:
    """How one rule came out."""

    rule: Rule
    value: int
    broken: bool

    @property
    def breach(self) -> Breach:
        return Breach(self.rule.name, self.value, self.rule.limit)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a policy says of one update, data set or measurement: every rule, in the order of the text."""

    readings: tuple[Ruled, ...]

    @property
    def refused(self) -> tuple[Breach, ...]:
        """Broken rules that reject: S and R leave the update out of the fold, O, X and L are grounds to condemn."""
        return self._broken("reject")

    @property
    def quarantined(self) -> tuple[Breach, ...]:
        """Broken rules that only show."""
        return self._broken("quarantine")

    @property
    def permille(self) -> int:
        """Of its weight that an update keeps that is not refused: the least that a broken rule leaves it."""
        return min((ruled.rule.permille for ruled in self.readings if ruled.broken), default=1000)

    @property
    def outcome(self) -> Literal["reject", "weight", "quarantine", "pass"]:
        """The worst of all rules."""
        if self.refused:
            return "reject"
        if self.permille < 1000:
            return "weight"
        return "quarantine" if self.quarantined else "pass"

    def _broken(self, on_fail: OnFail) -> tuple[Breach, ...]:
        return tuple(ruled.breach for ruled in self.readings if ruled.broken and ruled.rule.on_fail == on_fail)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that has been read: `rules` in the order of the text. Only `parse` and `from_blob` make one."""

    text: str
    hash: Hash  # SHA-256 of the text as UTF-8: what genesis carries, and what `sha256sum policy.toml` prints
    rules: tuple[Rule, ...]
    pins: Pins

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy that a person wrote. LocalError names the line and what to do."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise LocalError("the policy is not UTF-8 text", next_step="save it as UTF-8") from None
        if len(data) > MAX_POLICY_BYTES:
            raise LocalError(
                "the policy is too long",
                why=f"{len(data)} bytes, the limit is {MAX_POLICY_BYTES}",
                next_step="shorten its remarks",
            )
        rules, pins = read_policy(text)
        return cls(text, sha256(data).hexdigest(), rules, pins)

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

    # ------------------------------------------------------------------ what it names

    @property
    def opened_records(self) -> int:
        """How many records a receiver asks the author of a public data set to show."""
        return next((rule.limit for rule in self.rules if rule.fact == OPENED), DEFAULT_OPENED)

    @property
    def canary(self) -> Hash:
        """Of the public rows that all receivers measure on; "" if there are none."""
        return self.pins.canary

    @property
    def lists(self) -> tuple[tuple[str, str, Hash], ...]:
        """The filter lists that say what a label should be: (name, label, SHA-256)."""
        return self.pins.lists

    def asks(self, group: str) -> bool:
        """Whether it has a rule on facts of this group ("opened", "crossed", "holdout", "canary")."""
        return any(rule.fact.startswith(f"{group}.") for rule in self.rules)

    # ------------------------------------------------------------------ what it says

    def rule_on(self, update: Update, data: Data) -> Ruling:
        """Every rule that entries can answer, on `update` trained on `data`: the same for all who hold them."""
        return Ruling(
            tuple(
                _ruled(rule, OF_DATA[rule.fact](data) if rule.fact in OF_DATA else OF_UPDATE[rule.fact](update, data))
                for rule in self.rules
                if rule.strength in _ENTRIES
            )
        )

    def rule_on_data(self, data: Data) -> Ruling:
        """The same, of a data set that no update cites yet."""
        return Ruling(tuple(_ruled(rule, OF_DATA[rule.fact](data)) for rule in self.rules if rule.fact in OF_DATA))

    def judge(self, measured: Mapping[str, int]) -> Ruling:
        """What was measured (facts of strength O, X and L), held against the rules on it. Other facts are ignored."""
        return Ruling(
            tuple(
                _ruled(rule, measured[rule.fact])
                for rule in self.rules
                if rule.strength not in _ENTRIES and rule.fact in measured and rule.fact != OPENED
            )
        )

    def evaluate(self, update: Update, data: Data) -> tuple[Breach, ...]:
        """Every rule for which `update`, trained on `data`, is left out; () means it is folded."""
        return self.rule_on(update, data).refused


_ENTRIES: Final[tuple[Strength, ...]] = ("S", "R")


def _ruled(rule: Rule, found: Value) -> Ruled:
    value = found if isinstance(found, int) else sum(1 for word in found if word not in rule.words)
    return Ruled(rule, value, rule.broken_by(value))
