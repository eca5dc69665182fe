"""Proposals as the people who keep a list want to have them: a text to read, to check and to take rules from.

    easylist    sorted, under the file that each rule belongs to, with a line for the commit message:
                    ! easyprivacy/easyprivacy_trackingservers.txt
                    ! A: news.example, shop.example
                    ||count.ads.example^
    uassets     at the end of a file, one by one, each below the issue that it answers:
                    ! https://github.com/uBlockOrigin/uAssets/issues/NUMBER
                    ||ads.example/unit.js$script,3p,from=news.example

By their CONTRIBUTING files of 2026: prefixes A: (added), M: (modified), P: (problem), ASCII order; new ones last, an
issue for each. `NUMBER` stays to be filled in: nobody has opened that issue. Every text begins by saying what the rules
were made of and that a person must confirm each of them. This file refuses to know URLs' secrets: what is shown of a
request passes through `shown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, Literal

from gossip.advisor.candidates import Candidate
from gossip.advisor.evidence import is_own
from gossip.advisor.propose import Proposal, Suggested
from gossip.filterlists.lint_style import SHORT, Style

ISSUE: Final = "https://github.com/uBlockOrigin/uAssets/issues/NUMBER"
MAX_SITES_NAMED: Final = 5
MAX_RULE_CHARS: Final = 120  # of another list's rule; some name a hundred sites

_BEGINS: Final = re.compile(r"! [\d,]+ rules? proposed from [\d,]+ requests? of ", re.A)

Shown = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Origin:
    """What is said of a whole text."""

    model: str
    lists: tuple[str, ...]  # that were asked


def written(found: Suggested, style: Style, origin: Origin, shown: Shown) -> str:
    """The whole text, with a newline at its end."""
    lines = [*header(found, origin), ""]
    undecided = [each for each in found.proposals if not each.collateral]
    clean = [each for each in undecided if not each.against.commented]
    refused = [each for each in undecided if each.against.commented]
    spoiled = [each for each in found.proposals if each.collateral]
    lines += _easylist(clean, shown) if style == "easylist" else _uassets(clean, shown)
    for why, several in (
        ("These a list has commented out on purpose: find out why first. Each is commented out here, too.", refused),
        ("These hit requests that were scored benign or that a list excepts. Each is commented out.", spoiled),
    ):
        lines += [f"! {why}", ""] if several else []
        for each in several:
            lines += [*_comments(each, shown), f"! {spelt(each.rule, style)}", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def is_ours(begin: str) -> bool:
    """Whether a text begins as those of `written` do."""
    return _BEGINS.match(begin) is not None


def header(found: Suggested, origin: Origin) -> list[str]:
    """From how many requests, sites and days, and by which model."""
    capture = found.capture
    days = ""
    if capture.first is not None and capture.last is not None:
        first, last = _day(capture.first), _day(capture.last)
        days = f", seen on {first}" if first == last else f", seen from {first} to {last}"
    asked = ", ".join(origin.lists) or "none: what lists block already is not known"
    lines = [
        f"{_many(len(found.proposals), 'rule')} proposed from {_many(capture.requests, 'request')} of "
        f"{_many(len(capture.sites), 'site')}{days}",
        f"by the model {origin.model}; lists asked: {asked}",
        "Proposals, not facts: a person must confirm each one on the page named before it goes into a list.",
    ]
    return [f"! {' '.join(line.split())}" for line in lines]


def told(each: Proposal, shown: Shown) -> list[str]:
    """The evidence of a rule in lines, the first the most important."""
    sites = ", ".join(each.sites[:MAX_SITES_NAMED]) or "unknown"
    more = f" and {len(each.sites) - MAX_SITES_NAMED:,} more" if len(each.sites) > MAX_SITES_NAMED else ""
    unsure = f" and {each.unsure:,} less sure" if each.unsure else ""
    lines = [
        f"{each.label}: {_many(len(each.evidence), 'request')}{unsure} of {_many(len(each.sites), 'site')}, "
        f"score {each.sure:.3f}",
        f"sites: {sites}{more}",
        f"page: {shown(each.sample.seen.page) or 'unknown'}",
        f"request: {shown(each.sample.seen.url)} ({each.sample.seen.type})",
    ]
    if each.coverage:
        lines.append("other lists block it: " + ", ".join(f"{name} ({count:,})" for name, count in each.coverage))
    lines += [
        f"near: {one.list} blocks {_many(one.requests, 'other')} there, as {shown(one.sample.seen.url)}"
        for one in each.near
    ]
    lines += [
        f"{one.list} has this commented out, line {one.line:,}: {_cut(one.rule)}" for one in each.against.commented
    ]
    lines += [
        f"risk: {one.list} has {_many(one.rules, 'exception')} for this host, as {_cut(one.sample)}"
        for one in each.against.excepted
    ]
    if each.collateral:
        sample = shown(each.collateral[0].seen.url)
        lines.append(f"also hits {_many(len(each.collateral), 'request')} scored benign or excepted: {sample}")
    return lines


def file_of(each: Proposal) -> str:
    """Where EasyList keeps rules like this one."""
    rule, own = each.rule, all(map(is_own, each.evidence))
    folder, stem = ("easylist", "easylist") if each.label == "ad" else ("easyprivacy", "easyprivacy")
    if rule.sites or own:
        block = "_block" if each.label == "ad" else ""
        return f"{folder}/{stem}_specific{block}.txt"
    if rule.kind in {"host", "domain"} and not rule.types:
        return f"{folder}/{stem}_{'adservers' if each.label == 'ad' else 'trackingservers'}.txt"
    return f"{folder}/{stem}_thirdparty.txt"


def prefix_of(each: Proposal) -> Literal["A", "M"]:
    """Modified, where a list has rules for the same owner: look there first."""
    return "M" if each.near else "A"


def spelt(rule: Candidate, style: Style) -> str:
    """A rule in the words of a style; both mean the same."""
    if style == "easylist":
        return rule.text
    options = [*rule.types, *(["third-party"] if rule.third_party else [])]
    words = [SHORT.get(option, option) for option in options]
    if rule.sites:
        words.append("from=" + "|".join(rule.sites))
    return rule.pattern + ("$" + ",".join(words) if words else "")


def _easylist(proposals: Sequence[Proposal], shown: Shown) -> Iterator[str]:
    placed = sorted(proposals, key=lambda each: (file_of(each), each.text))
    for file, group in groupby(placed, key=file_of):
        yield f"! *** {file} ***"
        for each in group:
            yield from _comments(each, shown)
            yield f"! {prefix_of(each)}: {', '.join(each.sites[:MAX_SITES_NAMED]) or each.rule.pattern}"
            yield each.text
        yield ""


def _uassets(proposals: Sequence[Proposal], shown: Shown) -> Iterator[str]:
    for each in proposals:
        yield from _comments(each, shown)
        yield f"! {ISSUE}"
        yield spelt(each.rule, "uassets")
        yield ""


def _comments(each: Proposal, shown: Shown) -> Iterator[str]:
    """One line each, whatever a capture calls its pages: what follows a newline would be a rule."""
    return (f"! {' '.join(line.split())}" for line in told(each, shown))


def _day(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):  # a capture may claim any number
        return "an unknown day"


def _cut(rule: str) -> str:
    return rule if len(rule) <= MAX_RULE_CHARS else rule[: MAX_RULE_CHARS - 1] + "…"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
