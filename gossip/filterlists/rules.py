"""Lines of filter lists, as values, and back.

    @@||ads.example/free^$script,domain=news.test
    |  | |             |  |      '- Option("domain", "news.test")
    |  | '- pattern    |  '- Option("script")
    |  '- start        '- end is "" ("|" anchors it to the end of the address)
    '- exception

    NetworkRule   blocks requests, or excepts them        ||ads.example^      -ad-$image      /ad[0-9]/
    HostRule      a line of a hosts file                  0.0.0.0 ads.example
    Cosmetic      changes a page: told apart, not read    news.test##.ad      news.test#@#.ad
    Comment       and directives, headers, empty lines    ! since March       !#if ext_ublock      [Adblock Plus 2.0]
    Unknown       anything else, with why                 ads.example banner

Rules kept here: `str` of what was read is the line that was read, byte for byte; every line is one of these, and none
is an error. Options are told from a pattern that holds a "$" as the engines do it: by what follows. This file refuses
to know what rules mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from gossip.filterlists.hosts import as_host
from gossip.filterlists.options import Known, known

MAX_RULE_CHARS: Final = 16 * 1024  # the longest rule of all lists of uBlock has 9,000
_COSMETIC: Final = re.compile(r"#@?[$?%]{0,2}#|\$@?\$(?=[\w\[*])")
_OPTION: Final = re.compile(r"\s*~?[A-Za-z0-9_-]+\s*(?:=.*)?", re.DOTALL)
_NAMED: Final = re.compile(r"\s*~?[A-Za-z0-9_-]+\s*(?:[=,]|\Z)")
_NOTE: Final = re.compile(r"\s+#(?=\s|$).*", re.DOTALL)  # uBlock: " # seen in March"
_FAR: Final = ("replace=", "removeparam=", "uritransform=", "urltransform=", "urlskip=", "queryprune=", "header=")


class Option(msgspec.Struct, frozen=True):
    """One of a rule's options, as it is spelled there."""

    name: str
    value: str | None = None  # None: there is no "="
    negated: bool = False

    @property
    def known(self) -> Known | None:
        """What it is; None for a word that no engine knows."""
        return known(self.name)

    @property
    def values(self) -> tuple[str, ...]:
        """The parts of a value, as of domain=a|b."""
        return tuple((self.value or "").split("|"))

    def __str__(self) -> str:
        return f"{'~' if self.negated else ''}{self.name}{'' if self.value is None else '=' + self.value}"


class NetworkRule(msgspec.Struct, frozen=True):
    """A rule on requests."""

    pattern: str
    exception: bool = False
    start: Literal["", "|", "||"] = ""
    end: Literal["", "|"] = ""
    options: tuple[Option, ...] | None = None  # None: there is no "$"
    before: str = ""  # blanks
    after: str = ""  # blanks, and a note

    @property
    def is_regex(self) -> bool:
        return not self.start and not self.end and len(self.pattern) > 2 and self.pattern[0] == self.pattern[-1] == "/"

    @property
    def given(self) -> tuple[Option, ...]:
        return self.options or ()

    def having(self, name: str) -> tuple[Option, ...]:
        """The options of this name, or alias of it."""
        return tuple(option for option in self.given if option.known is not None and option.known.name == name)

    @property
    def text(self) -> str:
        """Without blanks and note: as an engine names it."""
        options = "" if self.options is None else "$" + ",".join(map(str, self.options))
        return f"{'@@' if self.exception else ''}{self.start}{self.pattern}{self.end}{options}"

    def __str__(self) -> str:
        return f"{self.before}{self.text}{self.after}"


class HostRule(msgspec.Struct, frozen=True):
    """A line of a hosts file that blocks a name."""

    line: str
    host: str

    def __str__(self) -> str:
        return self.line


class Cosmetic(msgspec.Struct, frozen=True):
    """A rule on what a page shows or runs."""

    domains: str
    mark: str  # "##", "#@#", "#$#" ...
    body: str

    def __str__(self) -> str:
        return f"{self.domains}{self.mark}{self.body}"


class Comment(msgspec.Struct, frozen=True):
    """What says nothing to an engine, or when to read what follows."""

    line: str

    @property
    def is_directive(self) -> bool:
        return self.line.startswith(("!#", "!+"))

    def __str__(self) -> str:
        return self.line


class Unknown(msgspec.Struct, frozen=True):
    """A line that no engine reads."""

    line: str
    why: str

    def __str__(self) -> str:
        return self.line


Line = NetworkRule | HostRule | Cosmetic | Comment | Unknown


def parse_lines(text: str) -> Iterator[tuple[int, Line]]:
    """Every line of a list with its number, from 1. Lines end at newlines alone: a rule may hold any other blank."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, parse_rule(line.removesuffix("\r"))


def parse_rule(line: str) -> Line:
    """One line, without its newline."""
    text = line.strip()
    if not text or text[0] == "!" or (text[0] == "[" and text[-1] == "]"):
        return Comment(line)
    if len(line) > MAX_RULE_CHARS:
        return Unknown(line, f"it is longer than {MAX_RULE_CHARS:,} characters")
    if text[0] in "0123456789:" and (host := as_host(text)) is not None:
        return HostRule(line, host) if host else Comment(line)
    if "#" in line or "$$" in line or "$@$" in line:
        if (mark := _COSMETIC.search(line)) and _is_place(line[: mark.start()]):
            return Cosmetic(line[: mark.start()], mark[0], line[mark.end() :])
        if text[0] == "#":
            return Comment(line)
    if text.startswith("%include"):
        return Comment(line)
    return _network(line, text)


def _is_place(text: str) -> bool:
    """Whether names of domains stand there, as before the mark of a cosmetic rule; a URL pattern does not."""
    return not re.search(r"[|@]|\s\S*\s", text) and (text.startswith(("/", "[")) or "/" not in text)


def _network(line: str, text: str) -> Line:
    start = line.index(text[0])
    before, rest = line[:start], line[start:]
    note = _NOTE.search(rest)
    after = rest[note.start() :] if note else rest[len(rest.rstrip()) :]
    body = rest[: len(rest) - len(after)]
    exception = body.startswith("@@")
    body = body[2:] if exception else body
    at = _options_at(body)
    pattern, options = (body, None) if at < 0 else (body[:at], split_options(body[at + 1 :]))
    if any(blank in pattern for blank in " \t") and not (pattern.startswith("/") and pattern.endswith("/")):
        return Unknown(line, "it holds a blank, and is no line of a hosts file")
    if not pattern and options is None:
        return Unknown(line, "nothing follows @@")
    anchor: Literal["", "|", "||"] = "||" if pattern.startswith("||") else "|" if pattern.startswith("|") else ""
    pattern = pattern[len(anchor) :]
    end: Literal["", "|"] = "|" if pattern.endswith("|") else ""
    return NetworkRule(
        pattern[:-1] if end else pattern, exception, anchor, end, options, before, after
    )  # fmt: skip


def _options_at(body: str) -> int:
    """Where the "$" stands that options follow; -1 if none do."""
    first = body.find("$")
    if first < 0 or (len(body) > 2 and body[0] == body[-1] == "/" and not any(word in body for word in _FAR)):
        return -1
    guessed = -1
    at = first
    while at >= 0:
        rest = body[at + 1 :]
        in_regex = body[0] == "/" and at > 1 and body[at - 1] != "/" and "/$" in body[at:]
        if not in_regex:
            options = split_options(rest)
            if all(not str(option) or _NAMED.match(str(option)) for option in options):
                if any(option.known is not None for option in options):
                    return at
                guessed = at if guessed < 0 else guessed
        at = body.find("$", at + 1)
    return guessed


def split_options(text: str) -> tuple[Option, ...]:
    """Options as they stand after the "$"; a comma within a value belongs to it."""
    pieces: list[str] = []
    for piece in text.split(","):
        if pieces and ((piece and not _OPTION.fullmatch(piece)) or pieces[-1].endswith("\\")):
            pieces[-1] += "," + piece
        else:
            pieces.append(piece)
    return tuple(map(_option, pieces))


def _option(piece: str) -> Option:
    name, mark, value = piece.partition("=")
    negated = name.startswith("~")
    return Option(name[1:] if negated else name, value if mark else None, negated)


def network_rules(text: str) -> Iterable[NetworkRule]:
    """Only these, in order; lines of a hosts file as the rules that they stand for."""
    for _, line in parse_lines(text):
        if isinstance(line, NetworkRule):
            yield line
        elif isinstance(line, HostRule):
            yield NetworkRule(line.host + "^", start="||")
