"""What the swarm gave me as one page: the models side by side with their intervals, and the swarm's way there.

Facts come as the command prints them (cli/gains.py). It needs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli import render
from cli.gains import MEANING, Told, interval, mix, rows_of, threshold
from cli.page.chart import Line, Span, lines, spans
from cli.page.parts import scroll, section, table, text
from cli.page.shell import document, figures, write

if TYPE_CHECKING:
    from gossip.training.personal import Figures

_FOOTER: Final = (
    "Written by gossip gains on the machine whose rows these are: nothing was sent for it, and the page loads nothing."
)


def write_page(told: Told, path: Path) -> None:
    """LocalError if that cannot be done."""
    write(render_page(told), path)


def render_page(told: Told) -> str:
    gains = told.found.gains
    counts = [
        ("rows held out", f"{gains.rows:,}"), ("to be blocked", f"{gains.positives:,}"), ("sites", f"{gains.sites:,}"),
        ("to new third parties", f"{gains.new_rows:,}"),
    ]  # fmt: skip
    body = "".join(
        (
            f'<p class="lead">{text(mix(told.found))} {text(threshold(told.found))}</p>', figures(counts),
            _compared(rows_of(told.found)), _history(told),
        )
    )  # fmt: skip
    return document(f"What {text(told.name, 40)} gave you", body, _FOOTER)


def _compared(rows: Sequence[tuple[str, Figures]]) -> str:
    drawn = spans(
        "PR-AUC of each model, with its interval",
        [Span(called, colour, one.pr_auc, one.low, one.high) for colour, (called, one) in enumerate(rows)],
        low=min(one.pr_auc if one.low is None else one.low for _, one in rows), high=1.0,
        told=lambda value: render.score(value, 3),
    )  # fmt: skip
    head = (("model", ""), ("PR-AUC", "n"), ("95%", "n"), ("F1", "n"), ("found at 99%", "n"), ("PR-AUC, new", "n"))
    cells = [
        (text(called), render.score(one.pr_auc), interval(one), render.score(one.f1), f"{one.recall:.0%}",
         render.score(one.new_pr_auc))
        for called, one in rows
    ]  # fmt: skip
    return section("On your own held-out sites", " ".join(MEANING), scroll(drawn) + scroll(table(head, cells)))


def _history(told: Told) -> str:
    if len(told.history) < 2:
        return ""
    gains, last = told.found.gains, told.history[-1][0]
    series = [Line("swarm", 1, [(float(updates), area) for updates, area in told.history])]
    if gains.alone is not None:
        series.append(
            Line("alone, now", 0, [(0.0, gains.alone.pr_auc), (float(last), gains.alone.pr_auc)], dashed=True)
        )
    drawn = lines("PR-AUC over updates", series, along="updates folded", high=1.0, told=render.score)
    head = (("updates", "n"), ("PR-AUC", "n"))
    rows = [(f"{updates:,}", render.score(area)) for updates, area in told.history]
    return section(
        "The swarm's way there", "Its model at snapshots that the ledger holds, folded again and scored on your rows.",
        scroll(drawn) + scroll(table(head, rows)),
    )  # fmt: skip
