"""The quality of a data set as one page: what it comes to, what to do, and plots of labels, domains and repeats.

Facts come as they are printed by the command (cli/quality_told.py); here they become markup. What a file says (names,
titles, addresses) goes through `text`, which cleans and escapes it. A plot is a row of parts beside a list that names
them with their figures: nothing is told by colour alone, and the page needs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli import render
from cli.page.parts import scroll, section, table, text
from cli.page.shell import document, figures, verdict_box, write
from cli.quality_told import counted, headline

if TYPE_CHECKING:
    from cli.quality_told import Checked

_COLOURS: Final = (0, 7, 4, 1, 2, 6, 5)  # of labels in order; further ones share the last
_REST: Final = 8
_FOOTER: Final = (
    "Written by gossip data check, on this machine and for its owner: the page loads nothing, and nothing of it was "
    "sent. Near duplicates are requests of one page site whose URLs differ only in digits, long tokens and values of "
    "the query."
)

Part = tuple[str, int, int]  # name, how many, colour


def write_page(checked: Checked, path: Path) -> None:
    """LocalError if that cannot be done."""
    write(render_page(checked), path)


def render_page(checked: Checked) -> str:
    names = [file.name for file in checked.quality.files]
    title = f"Quality of {text(', '.join(names[:3]), 90)}{' and more' if len(names) > 3 else ''}"
    body = "".join(
        (
            f'<p class="lead">Held against {text(checked.against, 80)}.</p>', _verdict(checked), _findings(checked),
            _counts(checked), _labels(checked), _repeats(checked), _domains(checked), _files(checked),
            _overlaps(checked), _rules(checked),
        )
    )  # fmt: skip
    return document(title, body, _FOOTER)


def _verdict(checked: Checked) -> str:
    said, why = headline(checked)
    warned = any(each.level == "warning" for each in checked.verdict.findings)
    return verdict_box("findings" if checked.verdict.refused else "warnings" if warned else "clean", said, text(why))


def _findings(checked: Checked) -> str:
    rows = [
        (
            f'<span class="level {each.level}">{each.level}</span>',
            f'{text(each.what)}<span class="advice">{text(each.advice)}</span>',
        )
        for each in checked.verdict.findings
    ]
    if not rows:
        return ""
    listed = table((("", ""), ("what was found, and what to do", "w")), rows)
    return section("Findings", "What is refused must change; the rest is advice.", scroll(listed))


def _counts(checked: Checked) -> str:
    quality = checked.quality
    if not (quality.rows or quality.malformed):
        return ""
    counts = [(f"{name}, {part}" if part else name, count) for name, count, part in counted(quality)]
    more = quality.malformed - len(quality.faults)
    faults = [f"<br>{text(fault)}" for fault in quality.faults] + ([f"<br>and {more:,} more"] if more else [])
    told = f'<p class="note">Rows that cannot be used:{"".join(faults)}</p>' if faults else ""
    return section("What was counted", "", figures(counts) + told)


def _labels(checked: Checked) -> str:
    labels = checked.quality.labels
    if not labels:
        return ""
    return section("Label balance", "", _stacked("Label balance", _parts(labels)))


def _repeats(checked: Checked) -> str:
    quality, repeats = checked.quality, checked.quality.repeats
    if not quality.rows:
        return ""
    copies = repeats.all.duplicates + repeats.all.conflicts + repeats.near
    parts = [
        ("unlike any other", quality.rows - copies, 1), ("nearly equal an earlier one", repeats.near, 2),
        ("equal an earlier one", repeats.all.duplicates, 7), ("contradict an equal one", repeats.all.conflicts, 5),
        ("cannot be used", quality.malformed, _REST),
    ]  # fmt: skip
    return section("Rows that repeat", "", _stacked("Rows that repeat", parts))


def _domains(checked: Checked) -> str:
    domains = checked.quality.domains
    if not domains:
        return ""
    most = max(sum(counts.values()) for _, counts in domains)
    names = list(domains[0][1])
    rows = [
        (
            text(name, 60), f"{sum(counts.values()):,}", _bar(_parts(counts), most, small=True),
            *(f"{counts[label]:,}" if counts[label] else "" for label in names),
        )
        for name, counts in domains
    ]  # fmt: skip
    head = (("domain", ""), ("requests", "n"), ("", ""), *((text(label, 30), "n") for label in names))
    key = _key(_parts(checked.quality.labels), figured=False)
    return section("Most requests go to", "", key + scroll(table(head, rows)))


def _files(checked: Checked) -> str:
    rows = [
        (
            text(file.name, 80), file.kind, f"{file.rows:,}", text(file.source.name, 60) if file.header else "",
            text(file.source.version, 40) or render.NONE, text(file.source.licence, 80) or render.NONE,
            f'<code class="hash">{text(file.source.sha256[:16])}</code>',
        )
        for file in checked.quality.files
    ]  # fmt: skip
    head = (
        ("file", ""), ("kind", ""), ("rows", "n"), ("title", ""), ("version", ""), ("licence", "w"), ("SHA-256", ""),
    )  # fmt: skip
    return section("Files", "Lists say their title, version and licence themselves.", scroll(table(head, rows)))


def _overlaps(checked: Checked) -> str:
    rows = [
        (text(each.name, 40), f"{each.records:,}", f"about {each.permille / 10:.0f}%",
         _bar([("", each.permille, 0), ("", 1000 - each.permille, _REST)], 1000, small=True))
        for each in checked.verdict.overlaps
    ]  # fmt: skip
    if not rows:
        return ""
    head = (("public data of", ""), ("records", "n"), ("of yours in it", "n"), ("", ""))
    return section("What the swarm has already", "Estimated from sketches, on this machine.", scroll(table(head, rows)))


def _rules(checked: Checked) -> str:
    from ledger.policy_words import say_rule

    rows = [
        (
            '<span class="level refused">broken</span>' if ruled.broken else "holds",
            text(say_rule(ruled.rule), 300), f"{ruled.value:,}", f"{ruled.rule.limit:,}",
            f'<span class="mono">{text(ruled.rule.name)}</span>',
        )
        for ruled in checked.verdict.ruling.readings
    ]  # fmt: skip
    if not rows:
        return ""
    head = (("", ""), ("rule", "w"), ("value", "n"), ("limit", "n"), ("name", ""))
    note = f'Policy <code class="hash">{text(checked.policy.hash)}</code>. Its rules on data entries.'
    return section("Rule by rule", note, scroll(table(head, rows)))


# ------------------------------------------------------------------ parts of a plot


def _parts(labels: dict[str, int]) -> list[Part]:
    colours = [*_COLOURS, *[_REST] * len(labels)]
    return [(name, count, colour) for (name, count), colour in zip(labels.items(), colours, strict=False)]


def _stacked(title: str, parts: Sequence[Part]) -> str:
    shown = [part for part in parts if part[1]]
    return _bar(shown, sum(count for _, count, _ in shown), title=title) + _key(shown)


def _bar(parts: Sequence[Part], whole: int, *, title: str = "", small: bool = False) -> str:
    """Rectangles side by side; 1000 is the whole width."""
    out, left = [], 0.0
    for name, count, colour in parts:
        width = 1000 * count / whole if whole else 0.0
        if count:
            told = f"<title>{text(name, 60)}: {count:,}</title>" if name else ""
            out.append(f'<rect class="b{colour}" x="{left:.2f}" width="{width:.2f}" height="10">{told}</rect>')
        left += width
    role = f'role="img" aria-label="{title}"' if title else 'aria-hidden="true"'
    kind = "stack small" if small else "stack"
    return f'<svg class="{kind}" viewBox="0 0 1000 10" preserveAspectRatio="none" {role}>{"".join(out)}</svg>'


def _key(parts: Sequence[Part], *, figured: bool = True) -> str:
    whole = sum(count for _, count, _ in parts)
    told = "".join(
        f'<span><span class="chip s{colour}"></span>{text(name, 60)}'
        f"{f'<em>{count:,} ({count / whole:.1%})</em>' if figured else ''}</span>"
        for name, count, colour in parts
    )
    return f'<div class="parts">{told}</div>'
