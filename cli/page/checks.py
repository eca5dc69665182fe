"""What peers did about the policy, for the page: which one held, who refused what and why, whose records were opened.

Every verdict stands beside what became of it when it was looked at again: recomputed and true, false, an opinion, or
not checkable here. Rules kept here: as everywhere on the page, what peers wrote goes through `text`; at most MAX_ROWS
of each, and what is left out is said. It refuses to know how anything was checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cli import render
from cli.judged import summed
from cli.page.facts import MAX_ROWS, Facts
from cli.page.parts import level, percent, scroll, section, table, text, who
from cli.said import spoken
from ledger.entry import GRID_ONE
from ledger.looked import Looked, OpenedSet, PolicyUse
from ledger.policy import Policy
from ledger.policy_words import say_fact, say_outcome, say_rule

_STATUS: Final = {
    "true": ("good", "recomputed, true"),
    "false": ("refused", "false"),
    "opinion": ("warning", "opinion"),
    "unchecked": ("warning", "not checkable here"),
}
_ASKED: Final = {"in force": "in force", "was in force": "replaced", "asked for": "asked for, not in force"}


def checks(facts: Facts) -> str:
    """All sections; "" where no peer did anything of the kind."""
    return _condemned(facts) + _verdicts(facts) + _opened(facts) + _policies(facts)


def _condemned(facts: Facts) -> str:
    rows: Any = facts.lineage_facts.get("condemned", [])
    if not rows:
        return ""
    body = [
        (
            who(facts, row["log"]),
            f"{row['first']:,}" + (f" to {row['last']:,}" if row["last"] > row["first"] else ""),
            f"{row['updates']:,}", f"{row['weight'] / GRID_ONE:,.2f}", f"{row['held']:,}",
            text(", ".join(row["judges"])), text("; ".join(map(say_fact, row["reasons"]))),
        )
        for row in rows[:MAX_ROWS]
    ]  # fmt: skip
    head = (
        ("whose", ""), ("entries", "t"), ("updates", "n"), ("weight", "n"), ("still in it", "n"), ("condemned by", "w"),
        ("because of", "w"),
    )  # fmt: skip
    note = (
        "As many peers as it takes condemned these updates, or the data that they learned from: they are out of the "
        "sum, on all peers alike. What a final snapshot holds stays in it."
    )
    return section("Condemned, and out of the model", note, scroll(table(head, body)))


def _verdicts(facts: Facts) -> str:
    found = facts.report.checks
    if not found.judgements:
        return ""
    rows = [_verdict(facts, one) for one in reversed(found.looked)][:MAX_ROWS]
    note = f"{text(summed(found), 400)}. The newest come first."
    if len(found.looked) > len(rows):
        note += f" {len(found.looked) - len(rows):,} earlier ones are not listed."
    head = (("judge", ""), ("entry", "n"), ("says", "w"), ("looked at again", "w"))
    listed = f'<div class="scroll tall">{table(head, rows)}</div>' if rows else ""
    return section("Verdicts, looked at again", note, listed)


def _verdict(facts: Facts, one: Looked) -> Sequence[str]:
    kind, word = _STATUS[one.status]
    why = f'<span class="advice">{text(one.why)}</span>' if one.why else ""
    return (who(facts, one.log), f"{one.seq:,}", text(spoken(one.judgement, facts.names), 400), level(kind, word) + why)


def _opened(facts: Facts) -> str:
    found = facts.report.checks
    if not found.opened:
        return ""
    rows = [_set(facts, one) for one in found.opened[:MAX_ROWS]]
    left = len(found.opened) - len(rows) + found.opened_left_out
    note = (
        "Records of public data that others asked to see; whose signature picked them. What is here is what was "
        "committed to, record by record."
    )
    note += f" {left:,} more data sets are not listed." if left else ""
    head = (
        ("data set", ""), ("opened to", "w"), ("requests", "n"), ("answers", "n"), ("records here", "n"), ("of", "n"),
        ("malformed", "n"), ("wrong labels", "n"),
    )  # fmt: skip
    return section("Opened records", note, scroll(table(head, rows)))


def _set(facts: Facts, one: OpenedSet) -> Sequence[str]:
    answers = f"{one.answered:,}" + (f', <span class="off">{one.false:,} false</span>' if one.false else "")
    wrong = render.NONE if one.wrong < 0 else f"{one.wrong:,} ({percent(one.wrong / max(1, one.shown))})"
    return (
        f'{who(facts, one.log)} <span class="mono">/{one.seq}</span>',
        text(", ".join(facts.names.get(name, name[:12]) for name in one.opens)) or "every member",
        f"{one.asked:,}",
        answers if one.answered else '<span class="off">none</span>',
        f"{one.shown:,}" if one.here else render.NONE,
        f"{one.records:,}",
        f"{one.malformed:,}" if one.malformed >= 0 else render.NONE,
        f'<span class="off">{wrong}</span>' if one.wrong > 0 else wrong,
    )


def _policies(facts: Facts) -> str:
    uses = facts.report.checks.policies
    if not uses:
        return ""
    rows = [_policy(facts, one) for one in uses[:MAX_ROWS]]
    note = "An update is ruled on by the policy in force in its own past; what that refuses is left out, on all peers."
    head = (
        ("number", "n"), ("policy", ""), ("", ""), ("since", ""), ("updates let in", "n"), ("left out", "n"),
        ("why", "w"),
    )  # fmt: skip
    body = scroll(table(head, rows))
    now = next((one for one in uses if one.state == "in force"), None)
    if now is not None and now.policy in facts.policies:
        body += _rules(facts.policies[now.policy])
    return section("The policy", note, body)


def _policy(facts: Facts, one: PolicyUse) -> Sequence[str]:
    since = f'{who(facts, one.since[0])} <span class="mono">/{one.since[1]}</span>' if one.since else "genesis"
    return (
        f"{one.number:,}", f'<code>{text(one.policy[:16])}</code>', _ASKED[one.state],
        since if one.state != "asked for" else f"by {render.many(one.admins, 'admin')}",
        f"{one.let_in:,}", f"{one.left_out:,}",
        text(", ".join(f"{rule} {count:,}" for rule, count in one.rules), 300) or render.NONE,
    )  # fmt: skip


def _rules(policy: Policy) -> str:
    rows = [(text(say_rule(rule), 300), text(say_outcome(rule)[0], 60)) for rule in policy.rules[:MAX_ROWS]]
    return scroll(table((("what the policy in force asks for", "w"), ("if not", "t")), rows)) if rows else ""
