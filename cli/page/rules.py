"""Rules side by side as one page: accuracy, the worst peer, how far peers are apart, and what it took.

Facts come as the command prints them in JSON (cli/fast.py). What a file or a rule calls itself goes through `text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cli import render
from cli.page.chart import Line, lines
from cli.page.parts import scroll, section, table, text
from cli.page.shell import document, figures, write

COLOURS: Final = 9
_FOOTER: Final = (
    "Written by gossip simulate --fast: the algorithm alone, no protocol. The page loads nothing. The same command "
    "gives the same comparison; accuracies may differ in the last digit between machines."
)


def write_page(facts: Mapping[str, Any], path: Path) -> None:
    """LocalError if that cannot be done."""
    write(render_page(facts), path)


def render_page(facts: Mapping[str, Any]) -> str:
    rows = facts["rules"]
    split = f"Dirichlet {facts['alpha']:g}" if facts["alpha"] else "dealt evenly"
    counts = [
        ("peers", f"{facts['peers']:,}"), ("data", text(facts["data"], 40)), ("split", split),
        ("rounds", f"{facts['rounds']:g}"), ("seed", str(facts["seed"])),
    ]  # fmt: skip
    body = "".join(
        (
            f'<p class="lead">{text(facts["about"])}</p>',
            section(
                "What was compared", f"<code>{text(facts['again'])}</code>", figures(counts) + scroll(_table(rows))
            ),
            section(
                "Accuracy", "In the mean of all peers, on rows that nobody has trained on.",
                scroll(_chart("Accuracy over rounds", rows, "rounds", "mean", _round, high=1.0)),
            ),
            section(
                "The worst peer", "Whether it is there or away.",
                scroll(_chart("Worst peer over rounds", rows, "rounds", "worst", _round, high=1.0)),
            ),
            section(
                "How far peers are apart", "The variance of their accuracies.",
                scroll(_chart("Variance between peers over rounds", rows, "rounds", "spread", _round, digits=4)),
            ),
            section(
                "What it took", "Accuracy over what each peer has received: deltas, or whole models, nothing else.",
                scroll(_chart("Accuracy over bytes", _sent(rows), "MB received by each", "mean", _megabytes, high=1.0)),
            ),
        )
    )  # fmt: skip
    return document(f"Rules compared: {text(facts['scenario'], 80)}", body, _FOOTER)


def _table(rows: list[dict[str, Any]]) -> str:
    head = (("rule", ""), ("accuracy", "n"), ("worst peer", "n"), ("variance", "n"), ("received by each", "n"))
    return table(
        head,
        [
            (text(row["rule"], 40), render.score(row["accuracy_mean"]), render.score(row["accuracy_worst"]),
             f"{row['accuracy_spread']:.5f}",
             render.size(row["bytes_per_peer"]) if row["bytes_per_peer"] else render.NONE)
            for row in rows
        ],
    )  # fmt: skip


def _sent(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Colours stay those of the other charts."""
    return [row if row["bytes_per_peer"] else {**row, "curve": []} for row in rows]


def _round(point: Mapping[str, Any]) -> float:
    return float(point["time"])


def _megabytes(point: Mapping[str, Any]) -> float:
    return float(point["bytes_per_peer"]) / 1e6


def _chart(
    title: str,
    rows: list[dict[str, Any]],
    along: str,
    key: str,
    place: Callable[[Mapping[str, Any]], float],
    *,
    high: float | None = None,
    digits: int = 3,
) -> str:
    series = [
        Line(row["rule"], number % COLOURS, [(place(point), point[key]) for point in row["curve"]], number >= COLOURS)
        for number, row in enumerate(rows)
        if row["curve"]
    ]
    return lines(title, series, along=along, low=0.0, high=high, told=lambda value: f"{value:.{digits}g}")
