"""`gossip suggest`: rules for what no list blocks, narrow, tried by an engine, each with its evidence.

    gossip suggest mon.har --list easylist.txt                       as a table with the evidence of each
    gossip suggest mon.har --style uassets                           as a text to take filters from
    gossip suggest mon.har --style easylist --out proposed.txt       the same in a file

It is an advisor: nothing is blocked, no list is written, and a person must confirm each rule. Values of queries, user
names and tokens are masked in what is shown, and stand in no rule. What is decided stands in gossip/advisor/propose.py
and covering.py. Exit code 1: some rows could not be used; the rules are of the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import exits, options, render, settings
from cli.plain import visible
from cli.quality import files_and_name
from cli.scoring import Calibrate, Lists, Model, Raw, Words
from cli.whole import NO_LISTS, Whole, require_engine, whole
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.propose import Proposal, Suggested
    from gossip.filterlists.lint_style import Style

MAX: int = 50
NAMED: int = 5  # sites
BEGIN_BYTES: int = 200  # of a file that may be written over


def suggest(
    words: Words,
    model: Model = None,
    directory: options.Dir = None,
    lists: Lists = None,
    style: Annotated[
        str | None, typer.Option("--style", metavar="STYLE", help="Text for easylist, or uassets.")
    ] = None,
    min_sites: Annotated[int, typer.Option("--min-sites", metavar="N", min=1, help="Sites that must show it.")] = 1,
    at_most: Annotated[int, typer.Option("--max", metavar="N", min=1, help="At most so many rules.")] = MAX,
    mine: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="LIST", help="What this list misses, though others may block it."),
    ] = None,
    collateral: Annotated[
        bool, typer.Option("--allow-collateral", help="Rules as well that hit what is scored benign; they come last.")
    ] = False,
    raw: Raw = False,
    calibrate: Calibrate = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the text to a file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Propose filter rules for what no list blocks, each with its evidence."""
    from gossip.advisor.propose import suggest as proposed
    from gossip.filterlists.trial import trial

    written = _style(style, out)
    paths, name = files_and_name(words)
    if out is not None:
        settings.check_output("--out", out, [*paths, *(lists or []), model, calibrate, directory])
        _check_target(out)
    require_engine()
    capture = whole(paths, name, model, directory, lists or [], calibrate, raw=raw)
    found = proposed(
        capture.rows, trial, mine=_mine(mine, capture), min_sites=min_sites, collateral=collateral, at_most=at_most,
        lists=capture.known.texts,
    )  # fmt: skip
    text = _text(found, written, capture) if written is not None else ""
    if out is not None:
        _write(out, text)
    if json:
        render.document(facts(found, capture, written))
    elif written is not None and out is None:
        for line in text.splitlines():
            render.say(line)
    else:
        show(found, capture)
        if out is not None:
            render.say(f"wrote      {out}")
    raise typer.Exit(exits.FINDINGS if capture.captures.bad else exits.OK)


def _style(style: str | None, out: Path | None) -> Style | None:
    from gossip.filterlists.lint_style import STYLES

    for known in STYLES:
        if style == known or (style is None and out is not None):
            return known
    if style is not None:
        raise LocalError(f"no style {visible(style, 40)}", next_step=f"name one of {', '.join(STYLES)}")
    return None


def _mine(names: list[str] | None, capture: Whole) -> frozenset[str] | None:
    """The lists that are meant. LocalError if one of them was not asked."""
    if not names:
        return None
    there = {kept.name for kept in capture.known.kept}
    for name in names:
        if name not in there:
            said = ", ".join(capture.lists) or "none"
            raise LocalError(f"no list {visible(name, 60)} was asked", why=f"there are: {said}",
                             next_step="name one of them after --for")  # fmt: skip
    return frozenset(names)


def _text(found: Suggested, style: Style, capture: Whole) -> str:
    from gossip.advisor.styles import Origin, written

    text = written(found, style, Origin(capture.scorer.name, capture.lists), capture.brief)
    return "".join(f"{visible(line)}\n" for line in text.splitlines())


def _check_target(out: Path) -> None:
    """LocalError if something is there that no earlier `--out` wrote: it would be lost."""
    from gossip.advisor.styles import is_ours

    why = "there is something else, which would be lost"
    try:
        if not out.exists():
            return
        if out.is_file():
            with out.open("rb") as file:
                if is_ours(file.read(BEGIN_BYTES).decode("utf-8", "replace")):
                    return
    except OSError as error:
        why = error.strerror or str(error)
    raise LocalError(f"cannot write {out}", why=why, next_step="name another file with --out, or remove this one")


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise LocalError(
            f"cannot write {out}", why=error.strerror or "", next_step="name another file with --out"
        ) from None


def facts(found: Suggested, capture: Whole, style: Style | None = None) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        **capture.facts(),
        "sites": len(found.capture.sites),
        "first": found.capture.first,
        "last": found.capture.last,
        "standing": {name: found.capture.counts.get(name, 0) for name in ("sure", "unsure", "spared", "listed")},
        "more": found.more,
        "weak": found.weak,
        "left": found.left,
        "proposals": [_facts(each, capture, style or "easylist") for each in found.proposals],
    }


def _facts(each: Proposal, capture: Whole, style: Style) -> dict[str, Any]:
    from gossip.advisor.styles import file_of, prefix_of, spelt

    return {
        "rule": spelt(each.rule, style),
        "kind": each.rule.kind,
        "label": each.label,
        "requests": len(each.evidence),
        "unsure": each.unsure,
        "sites": list(each.sites),
        "score": round(each.sure, 6),
        "strength": round(each.strength, 4),
        "sample": capture.sample(each.sample),
        "coverage": {visible(name): count for name, count in each.coverage},
        "near": [
            {"list": visible(near.list), "requests": near.requests, "sample": capture.sample(near.sample)}
            for near in each.near
        ],
        "collateral": {
            "requests": len(each.collateral),
            "sample": capture.sample(each.collateral[0]) if each.collateral else None,
        },
        "commented_out": [
            {"list": visible(one.list), "line": one.line, "rule": visible(one.rule)} for one in each.against.commented
        ],
        "exceptions": [
            {"list": visible(one.list), "rules": one.rules, "sample": visible(one.sample)}
            for one in each.against.excepted
        ],
        "file": file_of(each),
        "commit": prefix_of(each),
    }


def show(found: Suggested, capture: Whole) -> None:
    from gossip.advisor.styles import told

    for line in capture.head():
        render.wrapped(line)
    if capture.known.engine is None:
        render.wrapped(f"           {NO_LISTS}")
    render.say()
    if found.proposals:
        rows = [
            (str(number), f"{len(each.evidence):,}", f"{len(each.sites):,}" if each.sites else render.NONE,
             render.score(each.sure), f"{len(each.collateral):,}" if each.collateral else "", each.label, each.text)
            for number, each in enumerate(found.proposals, 1)
        ]  # fmt: skip
        render.table(("", "requests", "sites", "score", "collateral", "what", "rule"), rows, {0, 1, 2, 3, 4})
        render.say()
        for number, each in enumerate(found.proposals, 1):
            render.say(f"{number:>3}  {each.text}")
            for line in told(each, capture.brief):
                render.say(f"     {visible(line)}")
        render.say()
    for line in foot(found):
        render.wrapped(line)


def foot(found: Suggested) -> list[str]:
    """What it comes to."""
    counts = found.capture.counts
    lines = [
        f"{render.many(len(found.proposals), 'rule')} for {counts.get('sure', 0):,} requests to block that no list "
        f"blocks; a person must confirm each one"
    ]
    if found.more:
        lines.append(f"{render.many(found.more, 'rule')} more, less sure: --max {len(found.proposals) + found.more}")
    if found.weak:
        lines.append(f"too weak: {render.many(found.weak, 'request')}, on too few sites or not surely enough on one")
    if found.left:
        lines.append(
            f"no rule fits {render.many(found.left, 'request')} without hitting others that are scored benign "
            "(--allow-collateral)"
        )
    return lines
