"""The options of network rules: what each is called, takes and does, and which engine reads it.

    ||ads.example^$3p,xhr,domain=news.example|~live.news.example
                   |  |   a value: names that pages may, or (after ~) may not have
                   |  a type, also spelled xmlhttprequest
                   a party, also spelled third-party

The words are those of Adblock Plus, uBlock Origin and AdGuard, as their lists use them. `adblock` and `ghostery` say
whether these two engines make anything of a rule with this option (tests hold both columns against the engines); one
that does not drops the whole rule, without a word. This file refuses to know patterns.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

What = Literal["type", "party", "place", "request", "change", "page", "way"]


class Known(msgspec.Struct, frozen=True):
    """One option."""

    name: str  # as EasyList spells it
    what: What  # it says: of which types, whose, on which pages, of which requests; what is changed; see TABLE
    aliases: tuple[str, ...] = ()
    value: Literal["none", "may", "must"] = "none"
    negated: bool = False  # may stand after ~
    only: Literal["", "exception", "block"] = ""  # makes sense in exceptions only, or only in rules that block
    adblock: bool = True
    ghostery: bool = True


def _type(name: str, *aliases: str, adblock: bool = True, ghostery: bool = True) -> Known:
    return Known(name, "type", aliases, negated=True, adblock=adblock, ghostery=ghostery)


def _page(name: str, *aliases: str, adblock: bool = False, ghostery: bool = False) -> Known:
    return Known(name, "page", aliases, only="exception", adblock=adblock, ghostery=ghostery)


def _list(name: str, what: What, *aliases: str, adblock: bool = False, ghostery: bool = False) -> Known:
    return Known(name, what, aliases, value="must", adblock=adblock, ghostery=ghostery)


TABLE: Final[tuple[Known, ...]] = (
    _type("script"),
    _type("image"),
    _type("stylesheet", "css"),
    _type("subdocument", "frame"),
    _type("xmlhttprequest", "xhr"),
    _type("font"),
    _type("media"),
    _type("object", "object-subrequest"),
    _type("ping", "beacon"),
    _type("websocket"),
    _type("other"),
    _type("webrtc", adblock=False, ghostery=False),
    _type("document", "doc"),
    _type("popup", adblock=False, ghostery=False),
    _type("popunder", adblock=False, ghostery=False),
    Known("inline-script", "type", adblock=False),
    Known("inline-font", "type", adblock=False),
    Known("all", "type", adblock=False),
    Known("third-party", "party", ("3p",), negated=True),
    Known("first-party", "party", ("1p",), negated=True),
    Known("strict3p", "party", negated=True, adblock=False, ghostery=False),
    Known("strict1p", "party", negated=True, adblock=False, ghostery=False),
    Known("domain", "place", value="must"),
    Known("from", "place", value="must", adblock=False),
    _list("to", "request", ghostery=True),
    _list("denyallow", "request"),
    _list("method", "request"),
    _list("header", "request"),
    _list("requestheader", "request"),
    _list("ipaddress", "request"),
    Known("cname", "request", only="exception", adblock=False, ghostery=False),
    Known("sitekey", "place", value="must", adblock=False, ghostery=False),
    Known("app", "place", value="must", adblock=False, ghostery=False),
    Known("match-case", "request", ghostery=False),  # by ghostery for regular expressions only
    Known("redirect", "change", value="may"),
    Known("rewrite", "change", value="must", adblock=False, ghostery=False),
    Known("redirect-rule", "change", value="may"),
    Known("empty", "change", adblock=False, ghostery=False),
    Known("mp4", "change", adblock=False, ghostery=False),
    Known("csp", "change", value="may"),
    Known("permissions", "change", value="may", adblock=False, ghostery=False),
    Known("removeparam", "change", value="may", adblock=False),
    Known("queryprune", "change", value="may", adblock=False, ghostery=False),
    Known("replace", "change", value="may", adblock=False),
    Known("uritransform", "change", ("urltransform",), value="may", adblock=False, ghostery=False),
    Known("urlskip", "change", value="may", adblock=False, ghostery=False),
    Known("removeheader", "change", value="may", adblock=False, ghostery=False),
    Known("cookie", "change", value="may", adblock=False, ghostery=False),
    Known("reason", "way", value="must", adblock=False, ghostery=False),
    _page("generichide", "ghide", adblock=True, ghostery=True),
    _page("elemhide", "ehide", ghostery=True),
    _page("specifichide", "shide", ghostery=True),
    _page("genericblock"),
    _page("urlblock"),
    _page("jsinject"),
    _page("content", ghostery=True),
    _page("stealth"),
    _page("extension"),
    Known("important", "way", only="block"),
    Known("badfilter", "way", adblock=True),
    Known("tag", "way", value="must", ghostery=False),
    Known("_", "way", adblock=False, ghostery=False),  # fills a place, in any number; says nothing
)  # fmt: skip
KNOWN: Final[dict[str, Known]] = {name: known for known in TABLE for name in (known.name, *known.aliases)}


def known(name: str) -> Known | None:
    """What an option is, by its name or an alias of it; None for a word that no engine knows."""
    return KNOWN.get(name) or KNOWN.get(name.strip().lower()) or (KNOWN["_"] if name and not name.strip("_") else None)
