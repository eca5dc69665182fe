"""`gossip flag`: rules of lists that block what the model holds for benign, with exceptions that would free it.

    gossip flag mon.har --list easylist.txt

An order to look in, no verdict: no model knows whether a page breaks, and a list is right until a person has looked.
What is decided stands in gossip/advisor/flags.py. Exit code 1: some rows could not be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import exits, options, render
from cli.plain import visible
from cli.quality import files_and_name
from cli.scoring import Calibrate, Lists, Model, Raw, Words
from cli.suggest import NAMED
from cli.whole import Whole, require_engine, require_lists, whole

if TYPE_CHECKING:
    from gossip.advisor.flags import Flag, Flagged

MAX: int = 15  # what a person looks through in one sitting
PER_SITE: int = 3
OWN: str = "it is the site's own, and no rule for less than a folder or the whole site frees it alone"


def flag(
    words: Words,
    model: Model = None,
    directory: options.Dir = None,
    lists: Lists = None,
    min_sites: Annotated[int, typer.Option("--min-sites", metavar="N", min=1, help="Sites that must show it.")] = 1,
    at_most: Annotated[int, typer.Option("--max", metavar="N", min=1, help="At most so many rules.")] = MAX,
    per_site: Annotated[
        int, typer.Option("--per-site", metavar="N", min=1, help="Rules for a site's own requests of one type.")
    ] = PER_SITE,
    raw: Raw = False,
    calibrate: Calibrate = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find rules that block what scores benign: likely false positives and breakage."""
    from gossip.advisor.flags import flag as flagged
    from gossip.filterlists.trial import trial

    paths, name = files_and_name(words)
    require_engine()
    capture = whole(paths, name, model, directory, lists or [], calibrate, raw=raw)
    require_lists(capture.known)
    found = flagged(capture.rows, capture.hits, trial, min_sites=min_sites, at_most=at_most, per_site=per_site)
    if json:
        render.document(
            {**capture.facts(), "more": found.more, "alike": found.alike,
             "flags": [facts(each, capture) for each in found.flags]}
        )  # fmt: skip
    else:
        show(found, capture)
    raise typer.Exit(exits.FINDINGS if capture.captures.bad else exits.OK)


def facts(each: Flag, capture: Whole) -> dict[str, Any]:
    """One rule, for programs."""
    return {
        "list": visible(each.list), "rule": visible(each.rule), "hits": each.hits, "benign": len(each.benign),
        "sites": list(each.sites), "score": round(each.sure, 6), "strength": round(each.strength, 4),
        "sample": capture.sample(each.sample),
        "exceptions": [{"rule": one.text, "frees": one.frees} for one in each.exceptions], "left": each.left,
        "left_own": each.left_own,
    }  # fmt: skip


def show(flagged: Flagged, capture: Whole) -> None:
    found = flagged.flags
    for line in capture.head():
        render.wrapped(line)
    render.say()
    if found:
        rows = [
            (str(number), f"{each.hits:,}", f"{len(each.benign):,}", f"{len(each.sites) or render.NONE}",
             render.score(each.sure), visible(each.list, 20), visible(each.rule, 80))
            for number, each in enumerate(found, 1)
        ]  # fmt: skip
        render.table(("", "hits", "benign", "sites", "score", "list", "rule"), rows, {0, 1, 2, 3, 4})
        render.say()
    for number, each in enumerate(found, 1):
        more = f" and {len(each.sites) - NAMED:,} more" if len(each.sites) > NAMED else ""
        render.say(f"{number:>3}  {visible(each.rule, 200)}")
        render.say(f"     sites: {', '.join(each.sites[:NAMED]) or 'unknown'}{more}")
        render.say(f"     page: {capture.brief(each.sample.seen.page) or 'unknown'}")
        render.say(f"     request: {capture.brief(each.sample.seen.url)} ({each.sample.seen.type})")
        for one in each.exceptions:
            render.say(f"     exception for {render.many(one.frees, 'request')}: {one.text}")
        if each.left_own:
            render.say(f"     no exception for {render.many(each.left_own, 'request')}: {OWN}")
        if left := each.left - each.left_own:
            render.say(f"     no exception frees {render.many(left, 'request')} and nothing that is to be blocked")
    if found:
        render.say()
    if flagged.alike:
        render.wrapped(
            f"not shown: {render.many(flagged.alike, 'rule')} for a site's own requests of one type (--per-site)"
        )
    if flagged.more:
        render.wrapped(f"{render.many(flagged.more, 'rule')} more, further down: --max {len(found) + flagged.more}")
    said = render.many(len(found), "rule")
    render.wrapped(f"{said} to look at that block what scores benign; a list is right until a person has looked")
