"""What a project would send back, though engines read it: the customs of EasyList and of uAssets.

    easylist   options in the order of the alphabet, a ~ after its own, domain= last and its names sorted; long names
               ($third-party, $~third-party, $xmlhttprequest ...), lower case; no * at either end; no note after a rule;
               rules of a section (what stands between comments) sorted, capitals or not; five characters at least;
               rules that differ in domain= alone joined. What their tool FOP does when it tidies a file
    uassets    above each block of rules a comment with the address of the issue; short names ($3p, $xhr ...)

New rules go into the section they belong to in EasyList, and to the end of the file in uAssets: which rules are new, a
file does not say. Pure; only network rules are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, Literal

from gossip.filterlists.lint import Finding
from gossip.filterlists.rules import Comment, Cosmetic, HostRule, Line, NetworkRule, Option, Unknown, parse_lines

Style = Literal["easylist", "uassets"]
STYLES: Final[tuple[Style, ...]] = ("easylist", "uassets")
SHORT: Final = {
    "third-party": "3p", "first-party": "1p", "xmlhttprequest": "xhr", "subdocument": "frame", "stylesheet": "css",
    "generichide": "ghide", "elemhide": "ehide", "specifichide": "shide",
}  # fmt: skip
MIN_LINE: Final = 5
_URL: Final = re.compile(r"https?://\S+")
_KEEPS_CASE: Final = ("replace", "removeparam", "app", "csp", "header", "urlskip", "uritransform", "permissions")


def lint_style(text: str, style: Style) -> list[Finding]:
    """Findings of one style, in the order of lines."""
    lines = list(parse_lines(text))
    found = [*_options(lines, style), *(_easylist(lines) if style == "easylist" else _uassets(lines))]
    return sorted(found, key=lambda finding: finding.line)


def tidied(rule: NetworkRule, style: Style) -> NetworkRule:
    """The same rule, as the project would write it."""
    if style == "uassets":
        return _with(rule, rule.pattern, [_named(option, short=True) for option in rule.given])
    pattern = rule.pattern
    while not rule.start and len(pattern) > 1 and pattern[0] == "*":
        pattern = pattern[1:]
    while not rule.end and len(pattern) > 1 and pattern[-1] == "*":
        pattern = pattern[:-1]
    if pattern != rule.pattern and not rule.start and pattern[0] == pattern[-1] == "/":
        pattern += "*"  # else it would be a regular expression
    if pattern == "*" and rule.options and not rule.start:
        pattern = ""
    options = [_named(option, short=False) for option in rule.given]
    kept = [option for option in options if option.name != "domain"]
    names = sorted(
        {name for option in options if option.name == "domain" for name in option.values}, key=_bare
    ) if not any("/" in (option.value or "") for option in options if option.name == "domain") else []  # fmt: skip
    if not names:
        kept = options
    kept = sorted(dict.fromkeys(kept), key=lambda option: (option.name + "~") if option.negated else str(option))
    return _with(rule, pattern, [*kept, *([Option("domain", "|".join(names))] if names else [])])


def _with(rule: NetworkRule, pattern: str, options: list[Option]) -> NetworkRule:
    return NetworkRule(
        pattern, rule.exception, rule.start, rule.end, None if rule.options is None else tuple(options)
    )  # fmt: skip


def _bare(name: str) -> str:
    return name.strip("~")


def _named(option: Option, *, short: bool) -> Option:
    known = option.known
    if known is None or known.name == "_":
        return option
    if short:
        turned = {"third-party": "1p", "first-party": "3p"}.get(known.name) if option.negated else None
        return Option(turned or SHORT.get(known.name, option.name), option.value, option.negated and not turned)
    name, negated = known.name, option.negated
    if name == "first-party":
        name, negated = "third-party", not negated
    value = option.value if option.value is None or known.name in _KEEPS_CASE else option.value.lower()
    return Option("domain" if name == "from" else name, value, negated)


def _options(lines: Iterable[tuple[int, Line]], style: Style) -> Iterator[Finding]:
    for number, line in lines:
        if not isinstance(line, NetworkRule) or any(option.known is None for option in line.given):
            continue
        better = tidied(line, style).text
        if better != line.text:
            yield Finding(number, "style", "spelling", f"{style} would write {better}", line.text)


def _easylist(lines: Iterable[tuple[int, Line]]) -> Iterator[Finding]:
    section: list[tuple[int, NetworkRule]] = []
    for number, line in (*lines, (0, Comment("!"))):
        match line:
            case NetworkRule():
                section.append((number, line))
                if len(line.text) < MIN_LINE:
                    yield Finding(number, "style", "short", f"shorter than {MIN_LINE} characters", line.text)
                if line.after.strip():
                    yield Finding(number, "style", "note", "a note belongs on a line of its own", str(line))
            case HostRule():
                yield Finding(number, "style", "hosts", f"write ||{line.host}^", str(line))
            case Comment():
                if line.line.strip():
                    yield from _sorted(section)
                    section = []
            case Cosmetic() | Unknown():
                pass


def _sorted(section: list[tuple[int, NetworkRule]]) -> Iterator[Finding]:
    for (_, before), (number, rule) in pairwise(section):
        if rule.text.lower() < before.text.lower():
            yield Finding(number, "style", "order", f"it belongs before {before.text[:80]}", rule.text)
        elif rule.text != before.text and (joined := _joined(before, rule)):
            yield Finding(number, "style", "join", f"with the line before it makes {joined}", rule.text)


def _joined(one: NetworkRule, other: NetworkRule) -> str:
    """Two rules that differ in the pages they ask for, as one; "" if they cannot be."""
    domains = [option for rule in (one, other) for option in rule.given if option.name == "domain"]
    if len(domains) != 2 or not all(_only_wanted(option) for option in domains):
        return ""
    rest = [[option for option in rule.given if option.name != "domain"] for rule in (one, other)]
    if rest[0] != rest[1] or _with(one, one.pattern, []) != _with(other, other.pattern, []):
        return ""
    names = sorted({name for option in domains for name in option.values}, key=_bare)
    return _with(one, one.pattern, [*rest[0], Option("domain", "|".join(names))]).text


def _only_wanted(option: Option) -> bool:
    return bool(option.value) and "~" not in str(option.value) and "/" not in str(option.value)


def _uassets(lines: Iterable[tuple[int, Line]]) -> Iterator[Finding]:
    """One finding for each block: rules after the same comment."""
    explained = told = False
    for number, line in lines:
        match line:
            case Comment():
                text = line.line.strip()
                if text and not line.is_directive:
                    explained, told = _URL.search(text) is not None, False
            case NetworkRule() | HostRule():
                if not explained and not told:
                    told = True
                    why = "no comment above it has the address of the issue"
                    yield Finding(number, "style", "issue", why, str(line).strip())
            case Cosmetic() | Unknown():
                pass
