"""`gossip lists lint FILE`: what is wrong with the rules of a list, by line and with the reason.

    mine.txt:12: error: ||ads.example^$thrid-party: no engine knows the option 'thrid-party'
    mine.txt:40: style: ||ads.example^$3p: easylist would write ||ads.example^$third-party

One finding a line, in the form that editors follow. Nothing is changed. Exit code 1: something was found.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import exits, render
from cli.plain import visible
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.filterlists.lint import Counted, Finding

SHOWN_CHARS = 160


def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A filter list.")],
    style: Annotated[
        str | None,
        typer.Option("--style", metavar="easylist|uassets", help="Hold it against a project's customs, too."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what is wrong with the rules of a list."""
    from gossip.filterlists.engine import text_of
    from gossip.filterlists.lint import lint as lint_rules
    from gossip.filterlists.lint_style import lint_style
    from gossip.filterlists.shelf import require_rules

    if style not in (None, "easylist", "uassets"):
        raise LocalError(f"--style {visible(style, 40)} is not known", next_step="use easylist or uassets")
    require_rules(file)
    text = text_of(file)
    found, counted = lint_rules(text)
    if style is not None:
        found = sorted([*found, *lint_style(text, "easylist" if style == "easylist" else "uassets")], key=_line)
    if json:
        render.document({"file": str(file), "counts": _counts(found, counted), "findings": [facts(f) for f in found]})
    else:
        for each in found:
            rule = visible(each.rule, SHOWN_CHARS)
            render.say(f"{visible(file)}:{each.line}: {each.level}: {rule}: {visible(each.why, 2 * SHOWN_CHARS)}")
        _show(found, counted)
    raise typer.Exit(exits.FINDINGS if found else exits.OK)


def _line(found: Finding) -> int:
    return found.line


def facts(found: Finding) -> dict[str, Any]:
    return {
        "line": found.line, "level": found.level, "what": found.what, "why": visible(found.why),
        "rule": visible(found.rule),
    }  # fmt: skip


def _counts(found: list[Finding], counted: Counted) -> dict[str, Any]:
    return {
        "network": counted.network, "exceptions": counted.exceptions, "hosts": counted.hosts,
        "cosmetic": counted.cosmetic, "comments": counted.comments, "unreadable": counted.unknown,
        "found": dict(sorted(Counter(each.what for each in found).items())), "dropped_by_adblock": counted.dropped,
    }  # fmt: skip


def _show(found: list[Finding], counted: Counted) -> None:
    levels = Counter(each.level for each in found)
    kinds = [f"{render.many(counted.network + counted.hosts, 'rule')} on requests ({counted.exceptions:,} exceptions)",
             f"{counted.cosmetic:,} on pages (not looked at)"]  # fmt: skip
    if counted.unknown:
        kinds.append(f"{render.many(counted.unknown, 'line')} that cannot be read")
    render.say(", ".join(kinds))
    if counted.dropped:
        said = ", ".join(f"{name} {count:,}" for name, count in counted.dropped.items())
        render.say(f"left out by the engine adblock, for an option that it does not know: {said}")
    words = [f"{levels[level]:,} {level}{'s' if level != 'style' and levels[level] != 1 else ''}"
             for level in ("error", "warning", "style") if levels[level]]  # fmt: skip
    render.say(", ".join(words) if words else "Nothing was found.")
