"""What is wrong with the rules of a list, line by line, with the reason.

    error    one that no engine reads, or that no request can match:      ||ads.example^$thrid-party
    warning  one that is too broad, or needless:                          ||com^, ||x.ads.example^ beside ||ads.example^
    style    one that a project would send back (lint_style.py):          ||ads.example^$3p in EasyList

Why it exists: engines drop what they cannot read without a word, and a list of 80,000 lines has no reader. Nothing is
changed; a finding names its line and says why. Pure: text in, findings out. It refuses to know files, engines and
whether a rule is of use: `gossip lists report` looks at that.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from gossip.filterlists.covering import Covering
from gossip.filterlists.meaning import Meaning, meaning_of
from gossip.filterlists.rules import Comment, Cosmetic, HostRule, Line, NetworkRule, Option, Unknown, parse_lines
from gossip.filterlists.split import is_suffix, registrable

Level = Literal["error", "warning", "style"]

MIN_CHARS: Final = 4  # of a pattern: shorter ones stand in too many addresses
_SCHEMES: Final = ("http", "https", "ws", "wss", "ftp", "data", "blob", "about", "file", "javascript")
_NAME: Final = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(\.\*)?"
)
_LIMITS: Final = ("domain", "from", "to", "denyallow", "header", "ipaddress", "method", "app", "requestheader")


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong with one line."""

    line: int
    level: Level
    what: str  # one word for programs
    why: str
    rule: str


class Counted(msgspec.Struct, frozen=True):
    """What a list holds."""

    network: int = 0
    exceptions: int = 0  # of these
    hosts: int = 0
    cosmetic: int = 0
    comments: int = 0
    unknown: int = 0
    dropped: dict[str, int] = {}  # by option: network rules that adblock drops for it


def lint(text: str) -> tuple[list[Finding], Counted]:
    """All findings in the order of lines, and what was read."""
    lines = list(parse_lines(text))
    findings = [finding for number, line in lines for finding in _of_line(number, line)]
    findings += _needless(lines)
    return sorted(findings, key=lambda finding: finding.line), count(line for _, line in lines)


def count(lines: Iterable[Line]) -> Counted:
    kinds: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for line in lines:
        kinds[type(line).__name__] += 1
        if isinstance(line, NetworkRule):
            kinds["@@"] += line.exception
            unread = {option.known.name for option in line.given if option.known and not option.known.adblock}
            dropped.update(unread)
    return Counted(
        kinds["NetworkRule"], kinds["@@"], kinds["HostRule"], kinds["Cosmetic"], kinds["Comment"], kinds["Unknown"],
        dict(sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0]))),
    )  # fmt: skip


def _of_line(number: int, line: Line) -> Iterator[Finding]:
    def found(level: Level, what: str, why: str) -> Finding:
        return Finding(number, level, what, why, line.text if isinstance(line, NetworkRule) else str(line).strip())

    match line:
        case Unknown():
            yield found("error", "unreadable", line.why)
        case HostRule():
            if why := bad_name(line.host):
                yield found("error", "bad-domain", why)
        case NetworkRule():
            yield from (found("error", what, why) for what, why in _bad_options(line))
            yield from (found("error", what, why) for what, why in _never(line, meaning_of(line)))
            yield from (found("warning", what, why) for what, why in _too_broad(line))
        case Comment() | Cosmetic():
            pass


# ------------------------------------------------------------------ options


def _bad_options(rule: NetworkRule) -> Iterator[tuple[str, str]]:
    for option in rule.given:
        known = option.known
        if known is None:
            named = option.name.strip()
            yield "unknown-option", f"no engine knows the option {named!r}" if named else "an option is empty"
            continue
        if known.value == "must" and not option.value:
            yield "bad-option", f"{option.name} needs a value: {option.name}=..."
        if known.value == "none" and option.value is not None:
            yield "bad-option", f"{option.name} takes no value"
        if option.negated and not known.negated:
            yield "bad-option", f"{option.name} cannot be negated"
        if known.only == "exception" and not rule.exception:
            yield "bad-option", f"{option.name} belongs to exceptions (@@)"
        if known.only == "block" and rule.exception:
            yield "bad-option", f"{option.name} has no place in an exception"
        if known.name in ("domain", "from", "to", "denyallow") and option.value:
            yield from _bad_values(option)
    if rule.having("denyallow") and not (rule.having("domain") or rule.having("from")):
        yield "bad-option", "denyallow needs domain=: uBlock Origin drops it without"


def _bad_values(option: Option) -> Iterator[tuple[str, str]]:
    values = [value.strip() for value in (option.value or "").split("|")]
    if option.value is not None and "/" in option.value:  # /a|b/ is one name, as a regular expression
        values = re.findall(r"~?/(?:[^/\\]|\\.)+/|[^|]+", option.value)
    for value in values:
        name = value.removeprefix("~")
        if not (len(name) > 2 and name[0] == name[-1] == "/") and (why := bad_name(name)):
            yield "bad-domain", f"{option.name}=: {why}"
    both = {value for value in values if "~" + value in values}
    if both:
        yield "contradiction", f"{option.name}= has {sorted(both)[0]} with and without ~"


def bad_name(name: str) -> str:
    """Why this is no domain, or "". `news.*` is one; names that are not ASCII are none here: see `_never`."""
    lowered = name.lower()
    if not name:
        return "a name is empty"
    if _NAME.fullmatch(lowered) or not name.isascii() or lowered == "*" or _is_address(name):
        return ""
    for mark, said in (
        ("://", "is an address: give the host alone"), ("/", "has a path: give the host alone"),
        (",", "holds a comma: names stand with | between them"), (":", "has a port: give the host alone"),
        ("*", "holds a wildcard: only .* at the end is one"), (" ", "holds a blank"),
    ):  # fmt: skip
        if mark in name:
            return f"{name[:60]!r} {said}"
    return f"{name[:60]!r} is no name of a host"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------ what can never match


def _never(rule: NetworkRule, meaning: Meaning) -> Iterator[tuple[str, str]]:
    both = {option.name for option in rule.given if option.negated} & {o.name for o in rule.given if not o.negated}
    for name in sorted(both):
        yield "contradiction", f"it has {name} and ~{name}"
    if not meaning.types and not both:
        yield "contradiction", "it asks for no type of request that is left"
    if meaning.party == "none":
        yield "contradiction", "it asks for first and third parties at once"
    if rule.is_regex:
        if why := _bad_regex(rule.pattern[1:-1]):
            yield "never", f"its regular expression cannot be read: {why}"
        return
    if rule.start == "||":
        if re.match(r"(?:https?|wss?):", rule.pattern, re.IGNORECASE):
            yield "never", "|| stands before the name of a host: write |https:// for an address"
        elif rule.pattern.startswith("/"):
            yield "never", "|| stands before the name of a host, and none begins with /"
        elif ".." in meaning.host or meaning.host.startswith("-"):
            yield "never", f"no host is called {meaning.host[:60]!r}"
        elif not meaning.host.isascii():
            yield "never", f"requests carry such a host as {_punycode(meaning.host)}"
    scheme = re.match(r"[a-z]+", rule.pattern, re.IGNORECASE)
    if (
        rule.start == "|"
        and (rule.pattern[:1].isalnum())
        and not (scheme and any(known.startswith(scheme[0].lower()) for known in _SCHEMES))
    ):
        yield "never", "| stands before an address, which begins with https://: write || for a host"
    names = [name for name in meaning.wanted if not name.endswith(".*") and not name.startswith("/")]
    if meaning.party and meaning.start and meaning.host and names and len(names) == len(meaning.wanted):
        whose = _site(meaning.host)
        own = {_site(name) == whose for name in names}
        if meaning.party == "third" and own == {True}:
            yield "never", f"on pages of {whose} itself it is no third party"
        if meaning.party == "first" and own == {False}:
            yield "never", f"it asks for first parties, and for no page of {whose}"


def _site(host: str) -> str:
    return registrable(host.removeprefix("www."))


def _punycode(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return "punycode (xn--...)"


def _bad_regex(pattern: str) -> str:
    """Why no engine can read it, or "". JavaScript's expressions, which are Rust's for the most part, tried with
    Python's: what only Python lacks is passed over."""
    text = re.sub(r"\(\?<(?![=!])", "(?P<", pattern).replace("[^]", "[\\s\\S]").replace("[]", "[^\\s\\S]")
    text = re.sub(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Z]|[pP]\{\w+\})", "x", text)
    text = re.sub(r"\\(?![0-9AbBdDsSwWZnrtfv.^$*+?()\[\]{}|\\\-/])", "", text)
    try:
        re.compile(text)
    except re.error as error:
        return "" if "look-behind" in error.msg or "global flags" in error.msg else error.msg
    except (OverflowError, RecursionError):
        return "it is too deep"
    return ""


# ------------------------------------------------------------------ what matches too much


def _too_broad(rule: NetworkRule) -> Iterator[tuple[str, str]]:
    limited = any(
        option.known is not None and option.known.name in _LIMITS and not (option.value or "~").startswith("~")
        for option in rule.given
    )
    changes = any(option.known is not None and option.known.what in ("change", "page") for option in rule.given)
    if limited or changes or rule.having("badfilter"):
        return
    if rule.start == "||":
        host = rule.pattern.rstrip("^*|/").lower()
        if _NAME.fullmatch(host) and not _is_address(host) and ("." not in host or is_suffix(host)):
            yield "too-broad", f"{host} is no site, but a suffix under which anybody registers names"
            return
    if not rule.is_regex and len(re.sub(r"[\^*|]", "", rule.pattern)) < MIN_CHARS:
        yield "too-broad", f"its pattern is shorter than {MIN_CHARS} characters, and no domain= limits it"


# ------------------------------------------------------------------ what is there already


def _needless(lines: Sequence[tuple[int, Line]]) -> Iterator[Finding]:
    """Within one list. Conditions (!#if) may keep two lines apart: what stands under one is passed over."""
    rules: list[tuple[int, NetworkRule]] = []
    depth = 0
    for number, line in lines:
        if isinstance(line, Comment) and line.line.startswith("!#if"):
            depth += 1
        elif isinstance(line, Comment) and line.line.startswith("!#endif"):
            depth = max(depth - 1, 0)
        elif not depth and isinstance(line, NetworkRule):
            rules.append((number, line))
        elif not depth and isinstance(line, HostRule):
            rules.append((number, NetworkRule(line.host + "^", start="||")))
    meanings = [meaning_of(rule) for _, rule in rules]
    covering = Covering(meanings)
    first: dict[Meaning, int] = {}
    for index, (number, rule) in enumerate(rules):
        earlier = first.setdefault(meanings[index], index)
        if earlier != index:
            at, before = rules[earlier]
            same = before.text == rule.text
            why = f"line {at} is the same" if same else f"line {at} asks the same: {before.text}"
            yield Finding(number, "warning", "duplicate", why, rule.text)
        elif (wider := covering.wider(index)) is not None:
            at, before = rules[wider]
            yield Finding(number, "warning", "covered", f"line {at} covers it: {before.text}", rule.text)
