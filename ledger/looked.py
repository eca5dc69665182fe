"""What an audit says of verdicts, openings and policies, as values: for lines, for JSON, for a page.

Of each judgement (a verdict entry holds several) one of

    true        every value in it follows from entries and blobs that are here
    false       one does not: a finding (rule "verdict") names the log that holds it
    opinion     it rests on what only its judge could measure: rows of its own
    unchecked   what it rests on is not here: records that were not exported, lists that the auditor did not name

Rules kept here: every judgement is counted once, and what is not told in words is counted, too. It refuses to know how
anything was found (recheck.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.chain import LogId
from ledger.entry import Hash, Judgement

Status = Literal["true", "false", "opinion", "unchecked"]


@dataclass(frozen=True, slots=True)
class Looked:
    """One judgement looked at again."""

    log: LogId  # in which it stands: its author is the judge
    seq: int
    judgement: Judgement
    about: LogId  # the branch whose entries it names
    status: Status
    why: str  # what is false, or why it cannot be told; "" if true


@dataclass(frozen=True, slots=True)
class OpenedSet:
    """A data set of which records were asked for."""

    log: LogId
    seq: int
    records: int  # in all, as its entry claims
    opens: tuple[str, ...]  # whom it is opened to; (): every member
    asked: int  # challenges
    answered: int  # openings
    here: int  # openings whose records are here, and are what was committed to
    false: int  # openings whose records are here, and are not
    shown: int  # different records in those that are here
    malformed: int  # of these; -1: not looked at
    wrong: int  # of these, how many are labelled unlike the lists that the policy pins; -1: not looked at


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A policy, and what was ruled on by it."""

    policy: Hash
    number: int  # 0 is that of genesis
    admins: int  # who asked for it; 0 of genesis'
    state: Literal["in force", "was in force", "asked for"]
    since: tuple[LogId, int] | None  # the first entry in whose past it is in force, as the entries came in
    let_in: int  # updates
    left_out: int
    rules: tuple[tuple[str, int], ...]  # that left some out, and how many


@dataclass(frozen=True, slots=True)
class Checks:
    """All of it."""

    judgements: int = 0
    true: int = 0
    false: int = 0
    opinions: int = 0
    unchecked: int = 0
    reasons: tuple[tuple[str, int], ...] = ()  # why not checked, or an opinion: how many judgements
    looked: tuple[Looked, ...] = ()  # the newest; what scores alone say is not among them
    challenges: int = 0
    opened: tuple[OpenedSet, ...] = ()  # the first so many
    opened_left_out: int = 0
    policies: tuple[PolicyUse, ...] = ()
    struck: int = 0  # updates that a quorum's condemnations take out of the model
    struck_by_opinion: int = 0  # of these the ones that only opinions make so: rows of the judges' own
    struck_unchecked: int = 0  # and the ones for whose quorum grounds are needed that nobody could look at here
