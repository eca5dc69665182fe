"""What the lists' own texts say against a rule: people decided on this host before.

    ! ||count.example^$third-party            commented out, on purpose: it broke something, or was argued about
    @@||count.example/api/$domain=shop.test   an exception: blocking the host needs one, so it is a risk

Looked for among the lines as they stand, since an engine skips the first and asks the second only where a rule of its
list blocks. A line speaks of a proposal if one of their hosts is the other or lies below it, and their paths do not
part before the first "*"; of a host above, only comments for all of it count. Bound to sites by `domain=`, a commented
rule speaks only of a proposal that these show. A commented path without a host (`! /fingerprint.js`) speaks of what has
it in its own path. Exceptions that are for the looks of a page, for a page as a whole or for a change of a request are
none here. This file refuses to know scores and engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gossip.advisor.candidates import COMMON
from gossip.filterlists.engine import ListText
from gossip.filterlists.rules import Comment, HostRule, NetworkRule, parse_rule

MAX_LINES: Final = 200_000  # of all lists that are parsed; EasyPrivacy has 540 such comments, six lists 3,500 "@@||"
MAX_COMMENTED: Final = 3  # named for one proposal: one is enough to look it up
MIN_PATH: Final = 6  # characters: less says nothing
_LINE: Final = re.compile(r"^[ \t]*(?:(@@)(?=\|\|)|[!#][!# \t]*(?=\|\||/|[0:1]))([^\r\n]*)", re.MULTILINE)
_HOST: Final = re.compile(r"[a-z0-9._-]+")
_PAGES: Final = frozenset({"document", "popup", "popunder"})


@dataclass(frozen=True, slots=True)
class Commented:
    """A rule that a list has commented out."""

    list: str
    line: int  # from 1
    rule: str


@dataclass(frozen=True, slots=True)
class Excepted:
    """Exceptions of one list."""

    list: str
    rules: int
    sample: str  # the shortest


@dataclass(frozen=True, slots=True)
class Precedents:
    """What speaks against one proposal."""

    commented: tuple[Commented, ...] = ()
    excepted: tuple[Excepted, ...] = ()  # most first


NOTHING: Final = Precedents()


@dataclass(frozen=True, slots=True)
class _Said:
    list: str
    line: int
    text: str
    exception: bool
    host: str  # "" of a path alone
    path: str  # to the first "*"
    sites: frozenset[str]


def precedents(patterns: Sequence[tuple[str, Sequence[str]]], lists: Iterable[ListText]) -> list[Precedents]:
    """For each proposal, given as the pattern ("||host/path") and the sites that show it, what the lists say of it."""
    asked = [(*_split(pattern), frozenset(sites)) for pattern, sites in patterns]
    above = {name for host, _, _ in asked for name in _above(host)}
    hosts = {host for host, _, _ in asked}
    near: dict[str, list[_Said]] = {}  # by each name that it lies under, and by its own
    paths: list[_Said] = []
    for said in _lines(lists, hosts, above) if asked else ():
        if not said.host:
            paths.append(said)
        for name in {said.host, *(hosts & set(_above(said.host)))} if said.host else ():
            near.setdefault(name, []).append(said)
    return [_of(host, path, sites, near, paths) for host, path, sites in asked]


def _of(
    host: str, path: str, sites: frozenset[str], near: dict[str, list[_Said]], paths: Sequence[_Said]
) -> Precedents:
    about = [
        said
        for name in _above(host)
        for said in near.get(name, ())
        if name == host or (said.host == name and not said.path and not said.exception)
    ]
    about = [said for said in about if said.path.startswith(path) or path.startswith(said.path)]
    about += [said for said in paths if said.path in path]
    commented = [
        Commented(said.list, said.line, said.text)
        for said in about
        if not said.exception and (not said.sites or said.sites & sites)
    ]
    excepting: dict[str, list[_Said]] = {}
    for said in about:
        if said.exception:
            excepting.setdefault(said.list, []).append(said)
    found = [
        Excepted(name, len(rules), min((each.text for each in rules), key=lambda text: (len(text), text)))
        for name, rules in excepting.items()
    ]
    return Precedents(tuple(commented[:MAX_COMMENTED]), tuple(sorted(found, key=lambda each: (-each.rules, each.list))))


def _lines(lists: Iterable[ListText], hosts: set[str], above: set[str]) -> Iterator[_Said]:
    """Only lines that may be meant are parsed: all of a hundred thousand would take seconds."""
    parsed = 0
    for each in lists:
        number, at = 1, 0
        for found in _LINE.finditer(each.text):
            text = found[2].strip()
            if not found[1] and not text.startswith("/") and not _is_near(text, hosts, above):
                continue
            if found[1] and not _is_near(text, hosts, above):
                continue
            if (parsed := parsed + 1) > MAX_LINES:
                return
            number, at = number + each.text.count("\n", at, found.start()), found.start()
            said = _said(each.name, number, found[0].strip(), text, exception=bool(found[1]))
            if said is not None:
                yield said


def _is_near(text: str, hosts: set[str], above: set[str]) -> bool:
    """Whether its host is one of these, above one or below one."""
    host = text[2:] if text.startswith("||") else text.partition(" ")[2].strip()
    found = _HOST.match(host.lower())
    return found is not None and (found[0] in above or not hosts.isdisjoint(_above(found[0])))


def _said(name: str, line: int, whole: str, text: str, *, exception: bool) -> _Said | None:
    if not exception and not isinstance(parse_rule(whole), Comment):
        return None  # "##.banner" is no comment
    rule = parse_rule("@@" + text if exception else text)
    if isinstance(rule, HostRule):
        return _Said(name, line, rule.host, False, rule.host.lower(), "", frozenset())
    if (
        not isinstance(rule, NetworkRule)
        or rule.is_regex
        or rule.exception is not exception
        or rule.having("badfilter")
    ):
        return None
    types = {option.known.name for option in rule.given if option.known and option.known.what == "type"}
    whats = {option.known.what for option in rule.given if option.known}
    if exception and (whats & {"page", "change"} or (types and types <= _PAGES)):
        return None
    places = [*rule.having("domain"), *rule.having("from")]
    sites = frozenset(value.lower() for each in places for value in each.values if not value.startswith("~"))
    host, path = _split(rule.start + rule.pattern) if rule.start == "||" else ("", rule.pattern.strip("*^"))
    if not host and (rule.start or "*" in path or len(path) < MIN_PATH or {*path.lower().split("/")} - {""} <= COMMON):
        return None
    return _Said(name, line, rule.text, exception, host, path.lower(), sites)


def _split(pattern: str) -> tuple[str, str]:
    """Host, and the path to its first "*"."""
    body = pattern.removeprefix("||").lower()
    found = _HOST.match(body)
    host = found[0] if found else ""
    return host.rstrip("."), body[len(host) :].partition("*")[0].partition("^")[0]


def _above(host: str) -> Iterator[str]:
    """The host and all names that it lies under."""
    labels = host.split(".")
    return (".".join(labels[at:]) for at in range(len(labels)))
