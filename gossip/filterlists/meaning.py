"""What a rule asks of a request, whatever way it is spelled; and which rules another one makes needless.

    ||Ads.example^*$3p,xhr,css      means the same as      ||ads.example^$stylesheet,third-party,xmlhttprequest

    ||ads.example^      covers   ||x.ads.example^          whatever the second blocks, the first does
                                 ||ads.example/banner$image
                                 |https://ads.example/
    /banner.js          covers   ||ads.example/banner.js?
    ||ads.example^      does not cover  ||ads.example^$popup, nor ||ads.example^$important, nor an exception

Rules kept here: `covers` errs to one side. Where it says True, each request that the second rule matches the first
matches as well, by the syntax as it is documented; where it says False, nothing is said. Rules that change requests, or
take other rules out, cover nothing and are not covered. This file refuses to know lists and requests.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from gossip.filterlists.options import TABLE
from gossip.filterlists.rules import NetworkRule, Option

SPECIAL: Final = frozenset({"document", "popup", "popunder", "inline-script", "inline-font", "webrtc"})
TYPES: Final = frozenset(known.name for known in TABLE if known.what == "type") - SPECIAL - {"all"}
_HOST: Final = re.compile(r"[a-z0-9_\-.%\u0080-\U0010ffff]+")
_LITERAL: Final = re.compile(r"[a-z0-9_.%\-]")  # what ^ does not stand for


class Meaning(msgspec.Struct, frozen=True):
    """Equal ones ask the same."""

    exception: bool
    start: Literal["", "|", "||"]
    pattern: str
    end: Literal["", "|"]
    types: frozenset[str]
    party: Literal["", "third", "first", "none"]  # none: it asks for both at once
    domains: frozenset[str]  # pages that it asks for, those that it does not want with ~
    important: bool
    rest: tuple[str, ...]  # all else that it asks, sorted

    @property
    def is_regex(self) -> bool:
        return not self.start and not self.end and len(self.pattern) > 2 and self.pattern[0] == self.pattern[-1] == "/"

    @property
    def host(self) -> str:
        """The host that the request goes to, or the end of its name; "" if the rule does not say all of it."""
        text = self.pattern
        if self.start == "|":
            text = text.partition("://")[2]
        elif not self.start:
            return ""
        found = _HOST.match(text)
        if found is None or found[0].startswith("."):
            return ""
        return (
            found[0] if text[found.end() : found.end() + 1] in ("^", "/", ":", "?") and found.end() < len(text) else ""
        )

    @property
    def wanted(self) -> frozenset[str]:
        """The domains of pages that it asks for."""
        return frozenset(name for name in self.domains if not name.startswith("~"))


def meaning_of(rule: NetworkRule) -> Meaning:
    """What a rule asks; of words that nobody knows, that they stand there."""
    match_case = bool(rule.having("match-case"))
    text, end = rule.pattern, rule.end
    if not rule.is_regex:
        text = text if match_case else text.lower()
        while not rule.start and len(text) > 1 and text[0] == "*" and not _turns_regex(text[1:]):
            text = text[1:]
        while not end and len(text) > 1 and text[-1] == "*" and not (not rule.start and _turns_regex(text[:-1])):
            text = text[:-1]
        text = "" if text == "*" and not rule.start and not end else text
    domains: frozenset[str] = frozenset(
        value.strip().lower() for option in (*rule.having("domain"), *rule.having("from")) for value in option.values
    )
    rest = sorted(
        f"{'~' if option.negated else ''}{option.known.name if option.known else option.name.lower()}={_tidy(option)}"
        for option in rule.given
        if option.known is None
        or (
            option.known.what not in ("type", "party") and option.known.name not in ("domain", "from", "important", "_")
        )
    )
    return Meaning(
        rule.exception, rule.start, text, end, types_of(rule), party_of(rule), domains,
        bool(rule.having("important")), tuple(rest),
    )  # fmt: skip


def _turns_regex(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] == "/"


def _tidy(option: Option) -> str:
    """A value; names in it in one order."""
    if option.value is None:
        return ""
    if option.known is not None and option.known.name in ("to", "denyallow", "method"):
        return "|".join(sorted(value.strip().lower() for value in option.values))
    return option.value


def types_of(rule: NetworkRule) -> frozenset[str]:
    """The types of requests that it holds for. Documents and pop-ups must be named: without that, no rule holds for
    them."""
    named = [option for option in rule.given if option.known is not None and option.known.what == "type"]
    if not named:
        return TYPES  # one set for all: there are 100,000 such rules
    wanted = {option.known.name for option in named if option.known is not None and not option.negated}
    unwanted = {option.known.name for option in named if option.known is not None and option.negated}
    if "all" in wanted:
        wanted |= TYPES | SPECIAL
    return frozenset((wanted or TYPES) - unwanted - {"all"})


def party_of(rule: NetworkRule) -> Literal["", "third", "first", "none"]:
    """Of whose requests it holds."""
    third = {not option.negated for option in rule.having("third-party")}
    third |= {option.negated for option in rule.having("first-party")}
    if len(third) == 2:
        return "none"
    return "" if not third else "third" if third.pop() else "first"


def covers(wide: Meaning, narrow: Meaning) -> bool:
    """Whether each request that the second matches certainly is one that the first matches, to the same effect. Rules
    that ask the same cover one another."""
    if wide.exception is not narrow.exception or narrow.important > wide.important:
        return False
    if any(ask.startswith(_CHANGES) for ask in (*wide.rest, *narrow.rest)):
        return False
    return (
        narrow.types <= wide.types
        and (not wide.party or wide.party == narrow.party)
        and set(wide.rest) <= set(narrow.rest)
        and _holds_on(wide, narrow)
        and _pattern_covers(wide, narrow)
    )


_CHANGES: Final = tuple(
    f"{known.name}=" for known in TABLE if known.what in ("change", "page") or known.name in ("badfilter", "tag")
)


def _holds_on(wide: Meaning, narrow: Meaning) -> bool:
    """Whether the first holds on each page that the second holds on."""
    if not wide.domains or wide.domains == narrow.domains:
        return True
    if not wide.wanted or wide.wanted != wide.domains or not narrow.wanted:
        return False  # what only one of them does not want is not looked into
    return all(any(name == more or name.endswith("." + more) for more in wide.wanted) for name in narrow.wanted)


def _pattern_covers(wide: Meaning, narrow: Meaning) -> bool:
    same_case = "match-case=" not in wide.rest
    if (wide.start, wide.pattern, wide.end) == (narrow.start, narrow.pattern, narrow.end):
        return True
    if not same_case or wide.is_regex or narrow.is_regex or "*" in wide.pattern:
        return False
    text = narrow.pattern.lower()
    if not wide.start and not wide.end:
        return wide.pattern in text
    if wide.end:
        return False
    if wide.start == "|":
        return narrow.start == "|" and _begins(wide.pattern, text)
    own, host = wide.host, narrow.host
    if narrow.start == "|":
        text = text.partition("://")[2]
    if not own or not host or not (host == own or host.endswith("." + own)):
        return False
    if wide.pattern[len(own) :].startswith(":"):  # adblock takes a port for a part of the name: it matches nothing
        return False
    return _begins(wide.pattern, text[len(host) - len(own) :])


def _begins(pattern: str, text: str) -> bool:
    """Whether whatever matches `text` begins with what matches `pattern`; neither wildcards nor guesses."""
    if len(pattern) > len(text):
        return False
    return all(
        mine == its or (mine == "^" and its != "*" and not _LITERAL.match(its))
        for mine, its in zip(pattern, text, strict=False)
    )
