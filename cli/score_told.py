"""What scoring came to: as tables for a terminal, and as JSON. The page (cli/page/score.py) shows the same.

Rule kept here: what a capture or a list says goes through `visible`, and every figure of the tables is in the JSON. It
refuses to know how things were found out (score.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from cli import render
from cli.plain import visible

if TYPE_CHECKING:
    from cli.scoring import Captures, Known
    from gossip.advisor.groups import Figures, Group, Pattern
    from gossip.advisor.scorer import Scorer
    from gossip.advisor.summary import Summary

PATTERNS: Final = 3  # of a domain, shown
NARROW: Final = 76  # columns: below, the two probabilities apart are left out
UNKNOWN: Final = "?"
TITLES: Final = {
    "open on several sites": "On several sites, to block, and no list has a word on it",
    "open": "On one site, to block, and no list has a word on it",
    "known": "To block, and known to lists",
    "quiet": "Nothing to block",
}
UNLISTED: Final = {  # where lists were not asked
    "open on several sites": "On several sites, to block",
    "open": "On one site, to block",
}


@dataclass(frozen=True, slots=True)
class Told:
    """All that is to be shown."""

    captures: Captures
    scorer: Scorer
    known: Known
    summary: Summary
    groups: Sequence[Group]  # the first comes first
    top: int
    shown: Callable[[str], str]  # what of a URL may be seen

    def bands(self) -> list[tuple[str, list[Group]]]:
        """What is shown, under what title."""
        found: dict[str, list[Group]] = {}
        for group in self.groups[: self.top]:
            found.setdefault(group.figures.band, []).append(group)
        titles = TITLES if self.known.engine is not None else {**TITLES, **UNLISTED}
        return [(titles[band], groups) for band, groups in found.items()]


def facts(told: Told) -> dict[str, Any]:
    """Everything but the rows, for programs."""
    calibration, known = told.scorer.calibration, told.known
    return {
        "captures": [
            {
                "file": visible(path.name), "format": tally.format, "requests": tally.rows, "bad": dict(tally.bad),
                "left_out": dict(tally.left_out), "pageless": tally.pageless, "notes": list(tally.notes),
            }
            for path, tally in zip(told.captures.paths, told.captures.tallies, strict=True)
        ],
        "model": visible(told.scorer.name),
        "notes": list(told.scorer.notes),
        "calibrated": calibration.measured,
        "threshold": calibration.threshold,
        "precision": calibration.precision,
        "precision_at_least": calibration.precision_at_least,
        "recall": calibration.recall,
        "calibrated_on": calibration.rows,
        "lists": None if known.engine is None else [
            {"name": visible(kept.name), "version": visible(kept.version), "date": kept.date} for kept in known.kept
        ],
        "lists_unknown": known.why_not,
        **{name: value for name, value in asdict(told.summary).items() if name != "by_list"},
        "by_list": {visible(name): count for name, count in told.summary.by_list.most_common()},
        "bad": told.captures.bad,
        "domains": len(told.groups),
        "groups": [
            {
                "domain": visible(group.domain), **_figures(group.figures, told),
                "patterns": [
                    {"path": visible(part.path), **_figures(part.figures, told)} for part in shown_patterns(group)
                ],
            }
            for group in told.groups[: told.top]
        ],
    }  # fmt: skip


def _figures(figures: Figures, told: Told) -> dict[str, Any]:
    best = figures.best
    return {
        "band": figures.band, "p_block": round(best.p_block, 6), "p_ad": round(best.p_ad, 6),
        "p_tracker": round(best.p_tracker, 6), "requests": figures.requests, "to_block": figures.to_block,
        "open": figures.open if told.known.engine is not None else None, "listed": figures.listed,
        "sites": figures.sites, "lists": [visible(name) for name in figures.lists],
        "sample": {"url": told.shown(best.seen.url), "page": told.shown(best.seen.page) if best.seen.page else ""},
    }  # fmt: skip


def shown_patterns(group: Group) -> list[Pattern]:
    """The first few of those that put the group where it stands."""
    return telling(group)[:PATTERNS]


def telling(group: Group) -> list[Pattern]:
    """Where some requests are open, the paths that have one; else where some are to be blocked, those."""
    if group.figures.open:
        return [part for part in group.patterns if part.figures.open]
    return [part for part in group.patterns if part.figures.to_block or not group.figures.to_block]


def lone(group: Group) -> Pattern | None:
    """The one path that a group is about: it is shown on the group's own line."""
    parts = telling(group) if group.figures.open else group.patterns
    return parts[0] if len(parts) == 1 else None


def heads(told: Told, groups: Sequence[Group]) -> tuple[str, str]:
    """Of the columns with counts and lists. Under the titles that promise open requests only these are counted, and
    the lists are those that block others of the same domain or path."""
    return ("open", "rest by") if _tells_open(told, groups[0].figures) else ("requests", "lists")


def counted(told: Told, figures: Figures) -> int:
    """What stands under that head."""
    return figures.open if _tells_open(told, figures) else figures.requests


def _tells_open(told: Told, figures: Figures) -> bool:
    return bool(figures.open) and told.known.engine is not None


# ------------------------------------------------------------------ for people


def show(told: Told) -> None:
    for line in head(told):
        render.wrapped(line)
    for title, groups in told.bands():
        render.say()
        render.say(title)
        _table(told, groups)
    render.say()
    for line in foot(told):
        render.wrapped(line)


def head(told: Told) -> list[str]:
    """What was scored, with what."""
    lines = []
    for path, tally in zip(told.captures.paths, told.captures.tallies, strict=True):
        pages = f", {tally.pageless:,} of them without a page" if tally.pageless else ""
        kind = f" ({tally.format})" if tally.format else ""
        lines.append(f"capture    {visible(path.name, 80)}: {render.many(tally.rows, 'request')}{pages}{kind}")
    lines.append(f"model      {visible(told.scorer.name, 60)}; {threshold(told)}")
    lines += [f"           {visible(note)}" for note in told.scorer.notes]
    return [*lines, f"lists      {lists(told)}"]


def threshold(told: Told) -> str:
    """The threshold, and what is known of it."""
    calibration = told.scorer.calibration
    at = f"to block from {render.score(calibration.threshold)} on"
    if not calibration.measured:
        return f"{at}, uncalibrated: what that is worth is not known (--calibrate DATA measures it)"
    return (
        f"{at}: precision {calibration.precision:.1%} (at least {calibration.precision_at_least:.1%}), recall "
        f"{calibration.recall:.1%}, on {render.many(calibration.rows, 'held-out row')}"
    )


def lists(told: Told) -> str:
    if told.known.engine is None:
        return f"not asked, so what they block already is not known: {told.known.why_not}"
    return ", ".join(f"{visible(kept.name, 40)} {visible(kept.version, 20)}".strip() for kept in told.known.kept)


def foot(told: Told) -> list[str]:
    """What it comes to."""
    summary = told.summary
    several = sum(group.figures.band == "open on several sites" for group in told.groups)
    only = sum(group.figures.band == "open" for group in told.groups)
    counts = f"{render.many(summary.requests, 'request')} to {render.many(len(told.groups), 'domain')}"
    lines = [f"{counts}: {summary.to_block:,} to block at this threshold"]
    if told.known.engine is not None:
        lines.append(
            f"open: {summary.open:,} of them, which no list blocks or excepts, to {several + only:,} domains, "
            f"{several:,} of these on several sites"
        )
        lines.append(
            f"lists block {summary.listed:,}, {summary.passed:,} of which the model would not; "
            f"{summary.excepted:,} have an exception"
        )
    if summary.pages:
        whose = "page itself reaches" if summary.pages == 1 else "pages themselves reach"
        lines.append(f"{summary.pages:,} {whose} the threshold: a page is never to block")
    if len(told.groups) > told.top:
        lines.append(f"{len(told.groups) - told.top:,} more domains: --top {len(told.groups)} shows them all")
    return [*lines, *bad_rows(told)]


def bad_rows(told: Told) -> list[str]:
    """What of the captures was not scored."""
    from gossip.filterlists.tally import told as tallied

    lines = []
    for path, tally in zip(told.captures.paths, told.captures.tallies, strict=True):
        lines += [f"{visible(path.name, 80)}: {visible(line)}" for line in tallied(tally)]
    return lines


def _table(told: Told, groups: Sequence[Group]) -> None:
    narrow = render.console().width < NARROW
    count, listed = heads(told, groups)
    head, right = ["P(block)", "ad", "tracker", count, "sites", listed, "domain and path"], {0, 1, 2, 3, 4}
    if narrow:
        head, right = ["P", count[:4], "sites", listed, "domain and path"], {0, 1, 2}
    rows = []
    for group in groups:
        only = lone(group)
        name = visible(group.domain, 60) or "(no host)"
        rows.append(_cells(told, group.figures, name + (visible(only.path) if only else ""), narrow))
        if only is None:
            parts = shown_patterns(group)
            rows += [_cells(told, part.figures, f"  {visible(part.path)}", narrow) for part in parts]
            if left := len(telling(group)) - len(parts):
                rows.append([*[""] * (len(head) - 1), f"  and {left:,} more"])
    render.table(head, rows, right)


def _cells(told: Told, figures: Figures, what: str, narrow: bool) -> list[str]:
    best = figures.best
    listed = listed_by(told, figures, 3 if narrow else 16)
    counts = [f"{counted(told, figures):,}", sites(figures), listed, what]
    apart = [] if narrow else [render.score(best.p_ad), render.score(best.p_tracker)]
    return [render.score(best.p_block), *apart, *counts]


def sites(figures: Figures) -> str:
    from gossip.advisor.groups import MAX_SITES

    if not figures.sites:
        return render.NONE
    return f"{figures.sites:,}{'+' if figures.sites >= MAX_SITES else ''}"


def listed_by(told: Told, figures: Figures, limit: int) -> str:
    """Which lists block some of it: the first, and how many more; in little room only how many."""
    if told.known.engine is None:
        return UNKNOWN
    names = figures.lists
    if not names:
        return render.NONE
    if limit < 8:
        return str(len(names))
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return visible(names[0], limit - len(more)) + more
