"""What a check of data came to: as JSON, and as tables for a terminal. The page (cli/page/quality.py) shows the same.

Rule kept here: what a file says goes through `plain`, and every figure of the table is in the JSON. It refuses to know
how things were found out (quality.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli import labelling, render
from cli.plain import visible

if TYPE_CHECKING:
    from gossip.labelling import Card
    from gossip.quality.findings import Verdict
    from gossip.quality.measure import Quality
    from ledger.policy import Policy, Ruled


@dataclass(frozen=True, slots=True)
class Checked:
    """All that is to be shown."""

    against: str  # whose policy: "the default policy", "policy 2 of filters-eu"
    policy: Policy
    quality: Quality
    verdict: Verdict
    captures: tuple[Card, ...] = ()  # that were labelled for this


def facts(checked: Checked) -> dict[str, Any]:
    """Everything, for programs."""
    quality, verdict = checked.quality, checked.verdict
    repeats = quality.repeats
    return {
        "decision": "refused" if verdict.refused else "accepted",
        "policy": {"hash": checked.policy.hash, "of": checked.against},
        "records": quality.rows,
        "held_out": quality.held_out,
        "labels": quality.labels,
        "malformed": quality.malformed,
        "faults": [visible(fault) for fault in quality.faults],
        "duplicates": repeats.all.duplicates,
        "near_duplicates": repeats.near,
        "conflicts": repeats.all.conflicts,
        "near_conflicts": repeats.near_conflicts,
        "sites": quality.sites,
        "domains": [{"domain": visible(name), "labels": counts} for name, counts in quality.domains],
        "counts_exact": quality.domains_exact,
        "files": [
            {
                "name": visible(file.name), "kind": file.kind, "rows": file.rows, "malformed": file.malformed,
                "sha256": file.source.sha256, "title": visible(file.source.name),
                "version": visible(file.source.version), "licence": file.source.licence,
                "url": visible(file.source.url), "modified": file.header.modified if file.header else "",
            }
            for file in quality.files
        ],
        "captures": [labelling.facts(card) for card in checked.captures],
        "zone": verdict.entry.zone,
        "overlaps": [
            {"peer": each.peer, "name": each.name, "records": each.records, "permille": each.permille}
            for each in verdict.overlaps
        ],
        "rules": [_rule_facts(ruled) for ruled in verdict.ruling.readings],
        "findings": [
            {"level": each.level, "what": visible(each.what), "advice": each.advice, "rule": each.rule}
            for each in verdict.findings
        ],
    }  # fmt: skip


def _rule_facts(ruled: Ruled) -> dict[str, Any]:
    rule = ruled.rule
    return {
        "rule": rule.name, "value": ruled.value, "limit": rule.limit, "broken": ruled.broken, "on_fail": rule.on_fail,
    }  # fmt: skip


def counted(quality: Quality) -> list[tuple[str, str, str]]:
    """The figures for the table and the page: name, count, and its share of the rows where that says something."""
    rows, repeats = quality.rows, quality.repeats
    at_least = "" if quality.domains_exact else "at least "

    def row(name: str, count: int, part: bool = True) -> tuple[str, str, str]:
        return name, f"{count:,}", f"{count / rows:.1%}" if part and rows and count else ""

    said = [row("records", rows, False)]
    if quality.held_out:
        said.append(row("held out for judging", quality.held_out))
    said += [
        row("exact duplicates", repeats.all.duplicates), row("near duplicates", repeats.near),
        row("conflicting labels", repeats.all.conflicts), row("rows that cannot be used", quality.malformed, False),
    ]  # fmt: skip
    if quality.sites:
        said.append(("sites", f"{at_least}{quality.sites:,}", ""))
    return said


def headline(checked: Checked) -> tuple[str, str]:
    """What it comes to, and why."""
    found = checked.verdict.findings
    refused = sum(each.level == "refused" for each in found)
    if refused:
        return "Not like this", f"{render.many(refused, 'finding')} must be dealt with first."
    warned = sum(each.level == "warning" for each in found)
    if not checked.quality.rows:
        return "Good to use", f"Filter lists, held against {checked.against}; no data to train on were given."
    if warned:
        return "Good to train on", f"The swarm would take it, with {render.many(warned, 'warning')}."
    return "Good to train on", f"Nothing that {checked.against} asks for is missing."


def show(checked: Checked) -> None:
    quality, verdict = checked.quality, checked.verdict
    rows = [
        (visible(file.name, 40), file.kind, f"{file.rows:,}", visible(file.source.version, 24) or render.NONE,
         file.source.licence or render.NONE)
        for file in quality.files
    ]  # fmt: skip
    render.table(("file", "kind", "rows", "version", "licence"), rows, (2,))
    for card in checked.captures:
        labelling.show(card)
    render.say()
    if quality.rows or quality.malformed:
        labels = [(name, f"{count:,}", f"{count / quality.rows:.1%}") for name, count in quality.labels.items()]
        render.table(("measured", "", ""), [*counted(quality), *labels], (1, 2))
        for fault in quality.faults:
            render.say(f"  {visible(fault, 200)}")
        if quality.malformed > len(quality.faults):
            render.say(f"  and {quality.malformed - len(quality.faults):,} more")
        render.say()
    if quality.domains:
        top = [
            (visible(name, 40), *(f"{count:,}" if count else "" for count in counts.values()))
            for name, counts in quality.domains[:8]
        ]
        render.table(("most requests to", *quality.domains[0][1]), top, (1, 2, 3))
        render.say()
    if verdict.overlaps:
        shared = [(each.name, f"{each.records:,}", f"about {each.permille / 10:.0f}%") for each in verdict.overlaps]
        render.table(("public data of", "records", "of yours in it"), shared, (1, 2))
        render.say()
    if verdict.ruling.readings:
        render.table(("", "rule", checked.against), [_rule_row(ruled) for ruled in verdict.ruling.readings])
        render.say()
    for finding in verdict.findings:
        render.say(f"{finding.level:<8} {visible(finding.what)}")
        render.say(f"         {finding.advice}")
    if verdict.findings:
        render.say()
    said, why = headline(checked)
    render.say(f"{said}: {why[0].lower()}{why[1:]}")


def _rule_row(ruled: Ruled) -> tuple[str, str, str]:
    from ledger.policy_words import say_rule

    return ("broken" if ruled.broken else "holds", ruled.rule.name, say_rule(ruled.rule))
