"""Values into HTML, section by section. What a peer chose goes through `text` (parts.py), which cleans and escapes it.

Rules kept here: no style attributes, no event attributes, no address outside the page. What stands around the sections
is shell.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from cli import render
from cli.page import drawing
from cli.page.checks import checks
from cli.page.facts import COLOURS, MAX_ROWS, Facts, Moment
from cli.page.parts import bar, chip, legend, percent, scroll, section, sources, table, text, who
from cli.page.shell import document, figures, verdict_box
from cli.verdict import anchors_named, listed, out_unchecked, state, what_does_not_hold
from ledger.entry import GRID_ONE
from ledger.report import LogReport, Report

_SHAPES: Final = (
    ("update, by weight", '<g class="s8"><circle class="dot" cx="7" cy="7" r="5"/></g>'),
    ("update that does not count", '<circle class="lost" cx="7" cy="7" r="3"/>'),
    ("snapshot", '<g class="s8"><rect class="snapshot" x="4" y="4" width="6" height="6"/></g>'),
    ("final snapshot", '<path class="final" d="M7 2l5 5-5 5-5-5z"/>'),
    ("accusation", '<path class="accuse" d="M7 2l6 10h-12z"/>'),
    ("verdict against others", '<path class="refusal" d="M3.5 3.5l7 7m0-7l-7 7"/>'),
    ("records asked for or opened", '<circle class="asked" cx="7" cy="7" r="3"/>'),
    ("another policy wanted", '<path class="policy" d="M3 3h8v5l-4 4-4-4z"/>'),
    ("change of key", '<path class="key" d="M7 3l4 4-4 4-4-4z"/>'),
)


def page(facts: Facts) -> str:
    title = f"Audit of {text(facts.title, 60) or 'a ledger'}"
    body = "".join(
        (
            f'<p class="lead">{_lead(facts)}</p>',
            _verdict(facts),
            _model(facts),
            _findings(facts),
            _graph(facts),
            _lineage(facts),
            checks(facts),
            _weights(facts),
            _scores(facts),
            _moments(facts),
            _logs(facts),
        )
    )
    footer = "Written by gossip ledger verify. All of it was recomputed from entries, but for what is called a claim."
    return document(title, body, footer, script=files("cli.page").joinpath("script.js").read_text(encoding="utf-8"))


def _lead(facts: Facts) -> str:
    what = f"Task {text(facts.task, 30)}. " if facts.task else ""
    logs = render.many(len(facts.report.logs), "log")
    return f"{what}{render.many(facts.report.entries, 'entry')} in {logs}, recomputed with {escape(facts.arithmetic)}."


# ------------------------------------------------------------------ sections


def _verdict(facts: Facts) -> str:
    report = facts.report
    verdict = report.verdict
    longer = sum(log.elsewhere > 0 for log in report.logs)
    held = anchors_named(facts.anchors)
    if verdict == "clean":
        says, why = "Clean", f"It holds, down to the last bit of the model, and agrees with {listed(held)}."
        if report.checks.struck_by_opinion:
            why += f" {render.many(report.checks.struck_by_opinion, 'update')} out of the model on opinions alone."
    elif verdict == "findings":
        says = f"{render.many(len(report.findings), 'finding')}: {what_does_not_hold(report)}"
        why = "Each is listed below with its log, its place and the file that shows it."
    elif report.too_large:
        says, why = "Inconclusive: the model was not replayed", f"{text(report.too_large)}."
    elif report.anchored:
        says, why = "Inconclusive", "What is here holds, but not all is here."
        if report.checks.struck_unchecked and report.model_hash and not report.missing:
            why = f"What is here holds, but {out_unchecked(report)}."
    else:
        says = "Inconclusive: consistent with itself, but you named nothing to hold it against"
        why = (
            "Anybody can make up a ledger that agrees with itself. Name what you know from elsewhere and verify again."
        )
    if longer:
        why += f" Of {render.many(longer, 'log')} more is signed than is here."
    return verdict_box(verdict, says, why)


def _model(facts: Facts) -> str:
    report = facts.report
    lineage = facts.lineage
    stamps = sum(not word.by for word in report.words)
    counts = (
        ("entries", f"{report.entries:,}"),
        ("updates in the model", f"{report.updates:,}"),
        ("weight in the sum", f"{lineage.weight / GRID_ONE:,.1f}" if lineage else render.NONE),
        ("snapshots recomputed", f"{report.snapshots:,}"),
        ("final snapshots", f"{len(report.finals):,}"),
        ("cosignatures", f"{sum(bool(word.by) for word in report.words):,}"),
        *([("time stamps from outside", f"{stamps:,}")] if stamps else []),
        ("blobs missing", f"{len(report.missing):,}"),
    )
    rows = (
        ("Model", f'<code class="hash">{text(report.model_hash) or "not replayable"}</code>'),
        ("Swarm", f'<code class="hash">{text(report.swarm) or "no genesis that holds"}</code>'),
        ("Held against", listed(anchors_named(facts.anchors))),
        *(
            (
                "Witness",
                f'<code class="hash">{coverage.key[:16]}</code> vouches for {coverage.entries:,} of '
                f"{render.many(report.entries, 'entry')}, the newest at {escape(render.moment(coverage.newest))}",
            )
            for coverage in report.coverage
        ),
    )
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return section("What was recomputed", "", f"{figures(counts)}<dl>{told}</dl>")


def _findings(facts: Facts) -> str:
    found = facts.report.findings
    if not found and not facts.report.missing:
        return ""
    rows = [
        (
            who(facts, finding.log) if finding.log else "the bundle",
            f"{finding.index:,}" if finding.index >= 0 else "",
            text(finding.rule, 40),
            text(finding.detail, 400),
            f'<code class="hash">{text(finding.file, 200)}</code>',
        )
        for finding in found[:MAX_ROWS]
    ]
    note = f"The first {MAX_ROWS} of {len(found):,}." if len(found) > MAX_ROWS else ""
    if facts.report.missing:
        note += (
            f" {render.many(len(facts.report.missing), 'blob')} missing: not replayable, so neither right nor wrong."
        )
    listed = table((("log", ""), ("entry", "n"), ("rule", ""), ("what is wrong", "w"), ("file", "w")), rows)
    return section("Findings", note.strip(), f'<div class="scroll tall">{listed}</div>')


def _graph(facts: Facts) -> str:
    if not facts.lanes:
        return ""
    left = []
    if facts.per_column > 1:
        left.append(f"Every {facts.per_column:,} entries share a place.")
    if facts.lanes_left_out:
        left.append(f"{render.many(facts.lanes_left_out, 'log')} of least weight not drawn.")
    if facts.links_left_out:
        left.append(f"{facts.links_left_out:,} more citations not drawn.")
    note = "Each log is a line, from its first entry to its last. A curve leads from what is cited to what cites it. "
    shapes = "".join(
        f'<span><svg viewBox="0 0 14 14" aria-hidden="true">{svg}</svg>{name}</span>' for name, svg in _SHAPES
    )
    key = f'<div class="legend"><span class="shapes">{shapes}</span></div>'
    return section(
        "Logs that cite one another", note + " ".join(left), f"{legend(facts)}{key}{scroll(drawing.graph(facts))}"
    )


def _lineage(facts: Facts) -> str:
    told: Any = facts.lineage_facts
    if not told:
        return ""
    peers = [
        (
            f"{chip(facts.colours.get(row['peer'], COLOURS))} {who(facts, row['peer'])}",
            f"{row['updates']:,}", f"{row['weight'] / GRID_ONE:,.2f}", percent(row["share"]),
            bar(row["share"], facts.colours.get(row["peer"], COLOURS)),
        )
        for row in told["peers"][:MAX_ROWS]
    ]  # fmt: skip
    sets = [
        (
            f"{who(facts, row['log'])} <span class=\"mono\">/{row['seq']}</span>", f"{row['updates']:,}",
            percent(row["share"]), bar(row["share"], facts.colours.get(row["peer"], COLOURS)),
            f"{row['records']:,}", _zone(facts, row), sources(row["sources"]),
        )
        for row in told["data"][:MAX_ROWS]
    ]  # fmt: skip
    licences = [
        (text(row["licence"], 60) or "(none named)", f"{row['data_sets']:,}", f"{row['updates']:,}",
         percent(row["share"]), bar(row["share"], 8))
        for row in told["licences"][:MAX_ROWS]
    ]  # fmt: skip
    share = ("share of weight", "n")
    return section(
        "What the model is made of",
        "Shares of the weight in the sum: counted, not estimated. A share is no measure of influence.",
        scroll(table((("peer", ""), ("updates", "n"), ("weight", "n"), share, ("", "")), peers)),
    ) + section(
        "Data and licences",
        "As their authors describe them. An update counts for every licence that its data name: these shares may add "
        "up to more than 100%.",
        scroll(
            table(
                (("data set", ""), ("updates", "n"), share, ("", ""), ("records", "n"), ("zone", ""), ("sources", "w")),
                sets,
            )
        )
        + scroll(table((("licence", "w"), ("data sets", "n"), ("updates", "n"), share, ("", "")), licences)),
    )


def _zone(facts: Facts, row: Any) -> str:
    opens = ", ".join(facts.names.get(name, name[:12]) for name in row["opens"])
    return text(f"{row['zone']}, opened to {opens} only" if opens else row["zone"], 80)


def _weights(facts: Facts) -> str:
    if not any(map(sum, facts.weight_over_time)):
        return ""
    note = "How much of the weight in the sum each peer held, as the ledger grew."
    return section("Weight over time", note, legend(facts) + scroll(drawing.weights(facts)))


def _scores(facts: Facts) -> str:
    if not facts.scores:
        return ""
    note = "What authors claim for the model they trained from, each on rows it held out. Opinions, not proofs."
    return section("Scores over time", note, legend(facts) + scroll(drawing.scores(facts)))


def _moments(facts: Facts) -> str:
    if not facts.moments:
        return ""
    times = [moment.claim for moment in facts.moments]
    times += [
        bound[0] for moment in facts.moments for bound in (moment.proven.after, moment.proven.before) if bound
    ]  # fmt: skip
    low, high = min(times), max(times)
    rows = [_moment(facts, moment, low, max(1, high - low)) for moment in facts.moments]
    note = (
        "The interval is proven by order: an entry was made after all that it cites and before all that cites it, by "
        "the clocks of the others, more than half of which support each end. The mark is the author's own claim, red "
        "where the others contradict it."
    )
    if any(not word.by for word in facts.report.words):
        note += " A time stamp from outside needs no majority."
    if facts.moments_left_out:
        note += f" {facts.moments_left_out:,} earlier ones are not listed."
    head = (
        ("entry", ""),
        ("kind", ""),
        ("says", "w"),
        ("claimed", "t"),
        ("not before", "t"),
        ("not after", "t"),
        ("", ""),
    )
    return section("Moments", note, f'<div class="scroll tall">{table(head, rows)}</div>')


def _moment(facts: Facts, moment: Moment, low: int, width: int) -> Sequence[str]:
    after, before = moment.proven.after, moment.proven.before
    agrees = moment.proven.holds(moment.claim)
    svg = drawing.span(
        (after[0] - low) / width if after else None, (before[0] - low) / width if before else None,
        (moment.claim - low) / width, agrees=agrees,
    )  # fmt: skip
    claim = escape(render.moment(moment.claim))
    return (
        f'{who(facts, moment.log)} <span class="mono">/{moment.seq}</span>',
        text(moment.kind, 20),
        text(moment.says, 200),
        claim if agrees else f'<span class="off">{claim}</span>',
        escape(render.moment(after[0])) if after else render.NONE,
        escape(render.moment(before[0])) if before else render.NONE,
        svg,
    )


def _logs(facts: Facts) -> str:
    rows = [
        (
            who(facts, log.peer), f"{log.admitted:,} of {log.size:,}", f"{log.signed:,}",
            f"{log.witnessed:,}" if log.witnessed else render.NONE, f"{log.updates:,}", _state(facts.report, log),
            f'<code class="hash">{text(log.peer, 200)}</code>',
        )
        for log in facts.report.logs[:MAX_ROWS]
    ]  # fmt: skip
    note = f"The first {MAX_ROWS} of {len(facts.report.logs):,}." if len(facts.report.logs) > MAX_ROWS else ""
    head = (
        ("peer", ""), ("entries that hold", "n"), ("signed", "n"), ("witnessed", "n"), ("updates", "n"), ("", ""),
        ("log", "w"),
    )  # fmt: skip
    return section("Logs", note, scroll(table(head, rows)))


def _state(report: Report, log: LogReport) -> str:
    if (word := state(report, log)) != "clean":
        return f'<span class="off">{word}</span>'
    return f"clean; its author signed {log.signed:,}, {log.size:,} are here" if log.elsewhere else "clean"
