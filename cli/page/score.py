"""The scores of a capture as one page: what no list knows first, each domain with its paths and a sample.

Facts come as they are printed by the command (cli/score_told.py); here they become markup. What a capture or a list
says goes through `text`, which cleans and escapes it; URLs are masked as they are in the table. The page needs no
script, and no URL in it is a link: who opens the page asks nobody for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli import render
from cli.page.parts import level, scroll, section, table, text
from cli.page.shell import document, figures, verdict_box, write
from cli.score_told import bad_rows, counted, heads, lists, lone, shown_patterns, sites, telling, threshold

if TYPE_CHECKING:
    from cli.score_told import Told
    from gossip.advisor.groups import Figures, Group, Pattern

_FOOTER: Final = (
    "Written by gossip score, on this machine: the page loads nothing, and nothing of it was sent. A probability is "
    "that of a request like those the model was calibrated on; look at each before you write a rule."
)
_NOTES: Final = {
    "On several sites, to block, and no list has a word on it": "Look at these first.",
    "To block, and known to lists": "A list blocks some of it, or has an exception for it.",
}


def write_page(told: Told, path: Path) -> None:
    """LocalError if that cannot be done."""
    write(render_page(told), path)


def render_page(told: Told) -> str:
    names = [path.name for path in told.captures.paths]
    title = f"Scores of {text(', '.join(names[:3]), 90)}{' and more' if len(names) > 3 else ''}"
    bands = (_band(told, band, groups) for band, groups in told.bands())
    lead = f'<p class="lead">Model {text(told.scorer.name, 80)}; {text(threshold(told))}.</p>'
    body = "".join((lead, _verdict(told), _counts(told), *bands, _with(told), _bad(told)))
    return document(title, body, _FOOTER)


def _verdict(told: Told) -> str:
    several = sum(group.figures.band == "open on several sites" for group in told.groups)
    if told.known.engine is None:
        says, kind = "Lists were not asked", "inconclusive"
        why = f"What they block already is not known: {text(told.known.why_not)}."
    elif several:
        says, kind = f"{render.many(several, 'domain')} to look at", "warnings"
        why = "Several sites show them, the model would block them, and no list has a word on them."
    else:
        says, kind = "Nothing new on several sites", "clean"
        why = "What the model would block on several sites is known to a list."
    return verdict_box(kind, says, why)


def _counts(told: Told) -> str:
    summary = told.summary
    counts = [
        ("requests", f"{summary.requests:,}"), ("domains", f"{len(told.groups):,}"),
        ("to block", f"{summary.to_block:,}"),
    ]  # fmt: skip
    if told.known.engine is not None:
        counts += [
            ("of them open", f"{summary.open:,}"), ("blocked by a list", f"{summary.listed:,}"),
            ("of them the model would not", f"{summary.passed:,}"), ("with an exception", f"{summary.excepted:,}"),
        ]  # fmt: skip
    left = len(told.groups) - told.top
    more = f'<p class="note">{left:,} more domains are not listed: --top shows more.</p>' if left > 0 else ""
    return section("What was scored", "", figures(counts) + more)


def _band(told: Told, title: str, groups: Sequence[Group]) -> str:
    count, listed = heads(told, groups)
    head = (
        ("P(block)", "n"), ("domain, path and sample", "w"), ("ad", "n"), ("tracker", "n"), (count, "n"),
        ("sites", "n"), (listed, ""),
    )  # fmt: skip
    rows = [row for group in groups for row in _rows(told, group)]
    return section(title, _NOTES.get(title, ""), scroll(table(head, rows)))


def _rows(told: Told, group: Group) -> list[list[str]]:
    name = f"<strong>{text(group.domain, 80) or '(no host)'}</strong>"
    if (only := lone(group)) is not None:
        return [_cells(told, group.figures, f"{name} {_path(told, only)}")]
    parts = shown_patterns(group)
    rows = [_cells(told, part.figures, _path(told, part)) for part in parts]
    if left := len(telling(group)) - len(parts):
        rows.append(["", f"and {render.many(left, 'path')} more", "", "", "", "", ""])
    return [_cells(told, group.figures, name), *rows]


def _path(told: Told, part: Pattern) -> str:
    seen = part.figures.best.seen
    page = f", on {text(told.shown(seen.page), 120)}" if seen.page else ""
    sample = f'<span class="advice">{text(told.shown(seen.url), 160)}{page}</span>'
    return f'<span class="mono">{text(part.path, 120)}</span>{sample}'


def _cells(told: Told, of: Figures, what: str) -> list[str]:
    best = of.best
    return [
        render.score(best.p_block), what, render.score(best.p_ad), render.score(best.p_tracker),
        f"{counted(told, of):,}", sites(of), _lists(told, of),
    ]  # fmt: skip


def _lists(told: Told, of: Figures) -> str:
    if told.known.engine is None:
        return level("note", "not asked")
    if not of.lists:
        return level("warning", "none") if of.open else render.NONE
    more = [f"and {len(of.lists) - 4} more"] if len(of.lists) > 4 else []
    return "<br>".join([*(text(name, 40) for name in of.lists[:4]), *more])


def _with(told: Told) -> str:
    rows = [
        ("Model", f"{text(told.scorer.name, 80)}; {text(threshold(told))}"),
        *(("", text(note)) for note in told.scorer.notes),
        ("Lists", text(lists(told), 1000)),
    ]
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return section("Scored with", "", f"<dl>{facts}</dl>")


def _bad(told: Told) -> str:
    lines = bad_rows(told)
    if not lines:
        return ""
    return section("Not scored", "", "".join(f"<p>{text(line)}</p>" for line in lines))
