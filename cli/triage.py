"""`gossip triage`: a user reported a page; which of its requests are to be looked at, and what might help.

    gossip triage https://news.example/ mon.har --list easylist.txt

Missed: not blocked, and scored as an ad or tracker. Broken: blocked, and scored as benign. Each with the nearest rule
that a list has, and a proposed rule or exception that the engine has tried. What is decided stands in
gossip/advisor/suspects.py. Exit code 1: some rows could not be used; 3: the capture has nothing of this page.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import exits, options, render
from cli.flag import OWN
from cli.plain import visible
from cli.quality import files_and_name
from cli.scoring import Calibrate, Lists, Model, Raw, Words
from cli.whole import Whole, require_engine, whole
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.suspects import Suspect, Triage

MAX_SUSPECTS: int = 20
SAID = {
    "page": "this page", "address": "this page, with another query", "site": "no such page; all pages of its site",
}  # fmt: skip


def triage(
    page: Annotated[str, typer.Argument(metavar="PAGE", help="The page that was reported, or its site.")],
    words: Words,
    model: Model = None,
    directory: options.Dir = None,
    lists: Lists = None,
    at_most: Annotated[int, typer.Option("--max", metavar="N", min=1, help="At most so many.")] = MAX_SUSPECTS,
    raw: Raw = False,
    calibrate: Calibrate = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Rank the suspects of a reported page, with the nearest rule and a proposal for each."""
    from gossip.advisor.suspects import triage as ranked
    from gossip.filterlists.trial import trial

    if "://" not in page and Path(page).is_file():
        raise LocalError(
            f"{visible(page, 60)} is a file here, and no page",
            next_step="the page comes first: gossip triage https://news.example/ CAPTURE",
        )
    paths, name = files_and_name(words)
    require_engine()
    capture = whole(paths, name, model, directory, lists or [], calibrate, raw=raw)
    found = ranked(page, capture.rows, capture.hits, trial, capture.known.texts, at_most=at_most)
    if json:
        render.document(
            {**capture.facts(), "page": capture.url(page), "found": found.found, "of_page": found.requests,
             "suspects": [facts(each, capture) for each in found.suspects]}
        )  # fmt: skip
    else:
        show(found, capture)
    if found.found == "none":
        raise typer.Exit(exits.INCONCLUSIVE)
    raise typer.Exit(exits.FINDINGS if capture.captures.bad else exits.OK)


def facts(each: Suspect, capture: Whole) -> dict[str, Any]:
    """One suspect, for programs."""
    near, rule, free = each.nearest, each.proposal, each.exception
    return {
        "kind": each.kind,
        **capture.sample(each.row),
        "requests": each.requests,
        "blocked_by": [{"list": visible(hit.list), "rule": visible(hit.rule)} for hit in each.blocked_by],
        "nearest": None
        if near is None
        else {"list": visible(near.list), "rule": visible(near.rule), "likeness": near.likeness},
        "proposal": None
        if rule is None
        else {
            "rule": rule.text, "requests": len(rule.evidence), "sites": list(rule.sites),
            "score": round(rule.sure, 6), "collateral": len(rule.collateral),
        },
        "exception": None if free is None else {"rule": free.text, "frees": free.frees},
    }  # fmt: skip


def show(found: Triage, capture: Whole) -> None:
    for line in capture.head():
        render.wrapped(line)
    if found.found == "none":
        render.wrapped(f"page       {capture.brief(found.page)}: the capture has no request of this page or its site")
        names = " ".join(visible(path.name, 80) for path in capture.captures.paths)
        render.say(f"           gossip score {names} shows what it has")
        return
    render.wrapped(
        f"page       {capture.brief(found.page)}: {render.many(found.requests, 'request')} ({SAID[found.found]})"
    )
    render.say()
    if found.suspects:
        rows = [
            (str(number), each.kind, render.score(each.row.p_block), f"{each.requests:,}", each.row.seen.type,
             capture.brief(each.row.seen.url))
            for number, each in enumerate(found.suspects, 1)
        ]  # fmt: skip
        render.table(("", "what", "P(block)", "requests", "type", "request"), rows, {0, 2, 3})
        render.say()
    said: dict[str, int] = {}  # rules that stand at a suspect before
    for number, each in enumerate(found.suspects, 1):
        render.say(f"{number:>3}  {each.kind}: {capture.brief(each.row.seen.url)}")
        for line in _lines(each):
            before = said.setdefault(line, number) if line.startswith("rule: ") else number
            render.say(f"     {visible(line) if before == number else f'rule: the one at {before}'}")
    if found.suspects:
        render.say()
    render.wrapped(f"{render.many(len(found.suspects), 'suspect')}; nothing was changed: a person decides")


def _lines(each: Suspect) -> list[str]:
    lines = [f"blocked by {hit.list}: {hit.rule}" for hit in each.blocked_by]
    if each.nearest is not None:
        lines.append(f"nearest rule ({each.nearest.likeness}), {each.nearest.list}: {each.nearest.rule}")
    if each.proposal is not None:
        rule = each.proposal
        also = f", also hits {rule_hits:,} scored benign" if (rule_hits := len(rule.collateral)) else ""
        lines.append(
            f"rule: {rule.text} ({render.many(len(rule.evidence), 'request')} of "
            f"{render.many(len(rule.sites), 'site')}{also})"
        )
    if each.exception is not None:
        lines.append(f"exception: {each.exception.text}")
    if each.kind == "below .5":
        lines.append("below .5: shown because few others of this page score higher; no rule is proposed")
    elif each.kind == "broken" and each.exception is None and each.is_own:
        lines.append(f"no exception: {OWN}")
    elif each.proposal is None and each.exception is None:
        lines.append("no rule that the engine has tried helps here without hitting others")
    return lines
