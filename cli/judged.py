"""What peers said of one another's work, whose records were opened, which policy held: in lines and as JSON.

    policy    number 1 (4f0e392bc775) since founder 11a64256/6: 40 updates let in, 2 left out (update.steps.max 2)
    opened    ann f35311e0/4: 20 of 40 records to 1 who asked, 0 malformed, 11 labelled unlike the pinned lists
    condemned bob 057a9130/4: 1 update, weight 0.31, by ann, founder and cyd (crossed.copied.max)
    verdicts  8 judgements: 6 recomputed and true, 2 opinions (measured on rows of its judge)
    out       1 update out of the model: 1 by a quorum recomputed and true

Rules kept here: the same facts in both; what could not be checked is said, and why; whatever peers wrote is cleaned. It
refuses to know how anything was checked (ledger/recheck.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cli import render
from cli.entries import label
from cli.inspecting import Lists
from cli.lineage import condemned
from cli.opened import Opened
from cli.plain import visible
from cli.said import spoken
from ledger.chain import peer_of
from ledger.entry import GRID_ONE
from ledger.looked import Checks, Looked, OpenedSet, PolicyUse

MAX_LINES: Final = 12  # of each kind on a terminal; --json and the page have more

Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What `verify` says of it."""

    checks: Checks = field(default_factory=Checks)
    names: Names = field(default_factory=dict)
    condemned: Sequence[Mapping[str, Any]] = ()  # as cli.lineage tells it
    lists: Sequence[Mapping[str, str]] = ()  # as cli.inspecting tells it

    @classmethod
    def of(cls, read: Opened, lists: Lists) -> Told:
        named = lists.told(tuple(read.replica.policies.values()))
        return cls(read.report.checks, read.names(), condemned(read), named)

    def as_json(self) -> dict[str, Any]:
        facts = as_json(self.checks, self.names)
        return {**facts, "condemned": list(self.condemned), "lists": list(self.lists)}

    def show(self) -> None:
        checks = self.checks
        if len(checks.policies) > 1 or any(one.left_out for one in checks.policies):
            _lines("policy", [policy_line(one, self.names) for one in checks.policies])
        _lines("opened", [opened_line(one, self.names) for one in checks.opened])
        _lines("condemned", [condemned_line(row) for row in self.condemned])
        for one in self.lists:
            use = f"is the list {one['list']}" if one["list"] else "is pinned by no policy of this ledger: not used"
            render.say(f"lists     {visible(one['file'], 80)} {use}")
        if checks.judgements:
            render.say(f"verdicts  {summed(checks)}")
        if checks.struck:
            render.say(f"out       {struck_line(checks)}")


# ------------------------------------------------------------------ JSON


def as_json(checks: Checks, names: Names) -> dict[str, Any]:
    return {
        "verdicts": {
            "judgements": checks.judgements,
            "true": checks.true,
            "false": checks.false,
            "opinions": checks.opinions,
            "unchecked": checks.unchecked,
            "reasons": dict(checks.reasons),
            "told": [_looked(one, names) for one in checks.looked],
        },
        "struck": {
            "updates": checks.struck,
            "by_opinion": checks.struck_by_opinion,
            "unchecked": checks.struck_unchecked,
        },
        "challenges": checks.challenges,
        "opened": [_opened(one, names) for one in checks.opened],
        "opened_left_out": checks.opened_left_out,
        "policies": [_policy(one, names) for one in checks.policies],
    }


def _looked(one: Looked, names: Names) -> dict[str, Any]:
    said = one.judgement
    return {
        "log": one.log, "seq": one.seq, "judge": names.get(peer_of(one.log), ""), "about": one.about,
        "name": names.get(said.peer, ""), "seqs": list(said.seqs), "decision": said.decision,
        "readings": [{"rule": visible(r.rule, 64), "value": r.value, "limit": r.limit} for r in said.readings],
        "says": spoken(said, names), "status": one.status, "why": visible(one.why, 200),
    }  # fmt: skip


def _opened(one: OpenedSet, names: Names) -> dict[str, Any]:
    return {
        "log": one.log, "seq": one.seq, "name": names.get(peer_of(one.log), ""), "records": one.records,
        "opens": list(one.opens), "asked": one.asked, "answered": one.answered, "here": one.here, "false": one.false,
        "shown": one.shown, "malformed": None if one.malformed < 0 else one.malformed,
        "wrong_labels": None if one.wrong < 0 else one.wrong,
    }  # fmt: skip


def _policy(one: PolicyUse, names: Names) -> dict[str, Any]:
    since = one.since
    return {
        "policy": one.policy, "number": one.number, "admins": one.admins, "state": one.state,
        "since": {"log": since[0], "seq": since[1], "name": names.get(peer_of(since[0]), "")} if since else None,
        "let_in": one.let_in, "left_out": one.left_out, "rules": dict(one.rules),
    }  # fmt: skip


# ------------------------------------------------------------------ lines


def _lines(word: str, lines: Sequence[str]) -> None:
    for line in lines[:MAX_LINES]:
        render.say(f"{word:9} {line}")
    if len(lines) > MAX_LINES:
        render.say(f"{word:9} and {len(lines) - MAX_LINES:,} more: --json lists them")


def summed(checks: Checks) -> str:
    """How many judgements there are, and what became of each."""
    why = [f"{visible(reason, 80)} {count:,}" for reason, count in checks.reasons]
    opinion = f"{render.many(checks.opinions, 'opinion')}, which nobody else can recompute"
    parts = [
        f"{checks.true:,} recomputed and true" if checks.true else "",
        f"{checks.false:,} false" if checks.false else "",
        opinion if checks.opinions else "",
        f"{checks.unchecked:,} not checkable here" if checks.unchecked else "",
    ]
    told = f"{render.many(checks.judgements, 'judgement')}: {', '.join(filter(None, parts))}"
    return told + (f" ({'; '.join(why)})" if why else "")


def struck_line(checks: Checks) -> str:
    """What holds the condemnations that shaped the model."""
    parts = [
        f"{count:,} {words}"
        for count, words in (
            (checks.struck - checks.struck_by_opinion - checks.struck_unchecked, "by a quorum recomputed and true"),
            (checks.struck_by_opinion, "only by opinions: rows of the judges' own"),
            (checks.struck_unchecked, "by a quorum that needs what cannot be checked here"),
        )
        if count
    ]
    return f"{render.many(checks.struck, 'update')} out of the model: {', '.join(parts)}"


def policy_line(one: PolicyUse, names: Names) -> str:
    since = "genesis" if one.since is None else f"{_name(one.since[0], names)} {label(*one.since)}"
    state = {
        "in force": f"in force since {since}",
        "was in force": f"was in force from {since} on",
        "asked for": f"asked for by {render.many(one.admins, 'admin')}, not in force",
    }[one.state]
    rules = ", ".join(f"{visible(rule, 64)} {count:,}" for rule, count in one.rules)
    left = f"{one.left_out:,} left out" + (f" ({rules})" if rules else "")
    return f"number {one.number} ({one.policy[:12]}) {state}: {render.many(one.let_in, 'update')} let in, {left}"


def opened_line(one: OpenedSet, names: Names) -> str:
    who = f"{_name(one.log, names)} {label(one.log, one.seq)}"
    if not one.answered:
        return f"{who}: asked {render.many(one.asked, 'time')}, nothing opened"
    told = f"{who}: {render.many(one.answered, 'answer')} to {render.many(one.asked, 'request')}"
    if one.false:
        told += f", {one.false:,} false"
    if not one.here:
        return told + ", whose records are not in the bundle"
    told += f", {one.shown:,} of {render.many(one.records, 'record')} here"
    if one.malformed >= 0:
        told += f", {one.malformed:,} malformed"
    labels = f"{one.wrong:,} labelled unlike the pinned lists" if one.wrong >= 0 else "labels not checked"
    return f"{told}, {labels}"


def condemned_line(row: Mapping[str, Any]) -> str:
    held, gone = row["held"], row["updates"] - row["held"]
    end = f"{gone:,} out of the model, {held:,} held by a final snapshot" if held else "out of the model"
    span = f"{label(row['log'], row['first'])}" + (f"-{row['last']}" if row["last"] != row["first"] else "")
    return (
        f"{row['name'] or row['peer'][:8]} {span}: {render.many(row['updates'], 'update')}, weight "
        f"{row['weight'] / GRID_ONE:,.2f}, {end}; by {', '.join(row['judges'])} "
        f"({', '.join(row['reasons'])})"
    )


def _name(log: str, names: Names) -> str:
    return names.get(log) or names.get(peer_of(log)) or "?"
