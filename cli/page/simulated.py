"""A simulated swarm as one page: what it comes to, how it learned, what it sent, what each peer was left with.

Charts have the peers' troubles in time behind their lines; a table below says the same in figures. Facts come as the
command prints them (cli/simulated.py). What a file says of itself goes through `text`. It needs no script.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cli import render
from cli.page.chart import Band, Line, bars, lines
from cli.page.parts import scroll, section, table, text
from cli.page.shell import document, figures, verdict_box, write
from cli.simulated import Simulated, became, spans_of, troubles

_FOOTER: Final = (
    "Written by gossip simulate: real peer machines, signatures, ledgers and folds, in virtual time over a simulated "
    "network. The page loads nothing. The same scenario with the same seed gives the same trace, on any machine."
)
_ROWS: Final = 12  # of the table over time


def write_page(outcome: Simulated, path: Path) -> None:
    """LocalError if that cannot be done."""
    write(render_page(outcome), path)


def render_page(outcome: Simulated) -> str:
    title = f"Simulated: {text(outcome.name, 80)}"
    body = "".join(
        (
            f'<p class="lead">{text(outcome.about)}</p>', _verdict(outcome), _figures(outcome), _learning(outcome),
            _traffic(outcome), _peers(outcome), _cheats(outcome), _broken(outcome), _asked(outcome),
        )
    )  # fmt: skip
    return document(title, body, _FOOTER)


def _verdict(outcome: Simulated) -> str:
    report = outcome.report
    if report.invariants_broken:
        said = f"{render.many(len(report.invariants_broken), 'time')} what must hold did not"
        return verdict_box("findings", said, text(outcome.headline))
    if not report.heads_equal:
        return verdict_box("findings", "The peers do not hold the same in the end", text(outcome.headline))
    if report.wrong:
        return verdict_box("findings", "Somebody never came to rest", text(outcome.headline))
    return verdict_box(
        "clean", "All peers hold the same in the end",
        f'and after every event all that must hold did. Model <code class="hash">'
        f"{text(next(iter(report.model_hashes.values()), ''))}</code>",
    )  # fmt: skip


def _figures(outcome: Simulated) -> str:
    report = outcome.report
    counts = [
        ("peers", f"{len(report.peers)}"),
        ("updates", f"{sum(report.updates.values()):,}"),
        ("received by each", render.size(report.bytes_per_peer)),
        ("of virtual time", render.span(report.virtual_s)),
        ("of this machine's", f"{report.wall_s:.1f} s"),
    ]
    if report.accuracy_mean is not None:
        counts[1:1] = [
            ("accuracy in the mean", render.score(report.accuracy_mean)),
            ("at worst", render.score(report.accuracy_worst)),
            ("variance between peers", f"{report.accuracy_spread or 0:.2g}"),
        ]
    return section("What came of it", "", figures(counts))


def _bands(outcome: Simulated) -> list[Band]:
    scenario = outcome.scenario
    spans = [Band(span.begin, span.end, span.name) for span in spans_of(scenario)]
    return [*spans, Band(scenario.seconds, outcome.report.virtual_s, "agreeing")]


def _learning(outcome: Simulated) -> str:
    curve = outcome.report.curve
    mean = [(one.virtual_s, one.mean) for one in curve if one.mean is not None]
    worst = [(one.virtual_s, one.worst) for one in curve if one.worst is not None]
    if not mean:
        return ""
    drawn = lines(
        "Accuracy over time", [Line("mean", 0, mean), Line("worst", 7, worst, dashed=True)],
        along="seconds of virtual time", bands=_bands(outcome), high=1.0, told=lambda value: f"{value:.2f}",
    )  # fmt: skip
    rows = [
        (f"{one.virtual_s:.0f}", render.score(one.mean), render.score(one.worst), f"{one.updates:,}",
         render.size(1000 * one.kb_per_peer))
        for one in curve[:: max(1, -(-len(curve) // _ROWS))]
    ]  # fmt: skip
    head = (("seconds", "n"), ("mean", "n"), ("worst", "n"), ("updates", "n"), ("received by each", "n"))
    return section(
        "How it learned", "Each peer's own model, on rows that only this peer holds and nobody has trained on.",
        scroll(drawn) + scroll(table(head, rows)),
    )  # fmt: skip


def _traffic(outcome: Simulated) -> str:
    curve = outcome.report.curve
    drawn = lines(
        "Received over time", [Line("KB for each", 1, [(one.virtual_s, one.kb_per_peer) for one in curve])],
        along="seconds of virtual time", bands=_bands(outcome), low=0.0, told=lambda value: f"{value:,.0f}",
    )  # fmt: skip
    published = lines(
        "Updates over time", [Line("updates", 4, [(one.virtual_s, float(one.updates)) for one in curve])],
        along="seconds of virtual time", bands=_bands(outcome), low=0.0, told=lambda value: f"{value:,.0f}",
    )  # fmt: skip
    if not drawn:
        return ""
    return section("What it received, and published", "Wire messages, in the mean.", scroll(drawn) + scroll(published))


def _peers(outcome: Simulated) -> str:
    report = outcome.report
    charts = []
    if report.accuracies:
        rows = [(str(number), value) for number, value in enumerate(report.accuracies)]
        charts.append(bars("Accuracy of each peer", rows, high=1.0, told=lambda value: f"{value:.2f}"))
    sizes = [(str(number), report.bytes_received[peer] / 1000) for number, peer in enumerate(report.peers)]
    high = max([1.0, *(size for _, size in sizes)])
    charts.append(bars("Received by each peer", sizes, high=high, told=lambda value: f"{value:,.0f} KB"))
    note = "By number, the founder first" + (": accuracy on its own rows, and what it received." if charts[1:] else ".")
    return section("Peer by peer", note, "".join(scroll(chart) for chart in charts))


def _cheats(outcome: Simulated) -> str:
    told = "".join(f"<li>{text(line)}</li>" for line in became(outcome.report))
    return section("What became of those who cheat", "", f"<ul>{told}</ul>") if told else ""


def _broken(outcome: Simulated) -> str:
    broken = outcome.report.invariants_broken
    if not broken:
        return ""
    rows = [
        (f"{one.at_s:.3f}", str(one.peer) if one.peer >= 0 else "all", text(one.rule, 40), text(one.text))
        for one in broken
    ]
    head = (("seconds", "n"), ("peer", "n"), ("rule", ""), ("what was found", "w"))
    return section("What did not hold", "", scroll(table(head, rows)))


def _asked(outcome: Simulated) -> str:
    rows = [("scenario", "<br>".join(text(line) for line in troubles(outcome.scenario)))]
    rows += [
        ("seed", str(outcome.report.seed)),
        ("trace", f'<code class="hash">{text(outcome.report.trace)}</code>'),
        ("the same again", f"<code>{text(outcome.again)}</code>"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return section("What was asked for", "", f"<dl>{listed}</dl>")
