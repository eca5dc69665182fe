"""Whom a host belongs to: what a rule may name as a whole, and what it must not.

    d1.cdn.example.com     owner example.com               zone example.com
    d1abc.cloudfront.net   owner d1abc.cloudfront.net      zone cloudfront.net
    cdn.jsdelivr.net       owner jsdelivr.net, shared: what anybody puts there stands beside the rest

The owner is who rented the name: the public-suffix list with its private part, where customers of one platform are
strangers to one another. The zone is the name at the registry: a rule `||host` can hit nothing outside the zone of its
host, which is why collateral is looked for there. A name that no suffix covers has one label of suffix, as the list's
own last rule says. This file refuses to know scores and rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Final

from gossip.filterlists import split
from gossip.filterlists.mask import masked
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import registrable

# Hosts for anybody's files, with no suffix of their own in the list: a whole one is never proposed, whatever was seen.
SHARED: Final = frozenset({
    "ampproject.org", "aspnetcdn.com", "bootcdn.net", "bootstrapcdn.com", "cdnjs.cloudflare.com", "fbcdn.net",
    "github.com", "githubusercontent.com", "googleapis.com", "googleusercontent.com", "gstatic.com", "jquery.com",
    "jsdelivr.net", "polyfill.io", "statically.io", "twimg.com", "typekit.net", "unpkg.com", "wp.com",
    "youtube.com", "ytimg.com",
})  # fmt: skip


@cache
def _extract() -> Callable[[str], tuple[str, str]]:
    import tldextract  # a tenth of a second: only for who needs it

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)

    def parts(host: str) -> tuple[str, str]:
        found = extract.extract_str(host)
        return found.top_domain_under_public_suffix, found.suffix

    return parts


@lru_cache(maxsize=1 << 16)
def owner_of(host: str) -> str:
    """The registered name, or the customer's name under a platform's suffix; of a bare suffix, itself."""
    top, suffix = _extract()(host)
    return top or (host if suffix or is_address(host) else _last_two(host))


@lru_cache(maxsize=1 << 16)
def zone_of(host: str) -> str:
    """The name at the registry: platforms are one zone with all their customers."""
    found = registrable(host)
    return found if found != host or is_address(host) else _last_two(host) if not _extract()(host)[1] else host


def is_suffix(host: str) -> bool:
    """Whether strangers have names under it."""
    return _extract()(host)[1] == host or "." not in host


@lru_cache(maxsize=1 << 16)
def is_shared(host: str) -> bool:
    """Whether strangers have files on it."""
    labels = host.split(".")
    return is_suffix(host) or any(".".join(labels[at:]) in SHARED for at in range(len(labels)))


@lru_cache(maxsize=1 << 16)
def is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


_TOKEN: Final = re.compile(r"(?=.*\d)[0-9a-f-]{8,}|\d{4,}|.{33,}", re.IGNORECASE)
_MIXED: Final = re.compile(r"(?=(?:.*\d){3})(?=.*[a-z])(?=.*[A-Z])[\w-]{10,}", re.ASCII)  # an identifier
_HOST: Final = re.compile(
    r"(?=.*[a-z0-9])[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
)  # ||.net^ would be all of .net: no empty label


@lru_cache(maxsize=1 << 16)
def host_of(url: str) -> str:
    """In small letters, without port; "" if there is none that a rule could name."""
    host = split.host_of(url).rstrip(".")
    if not _HOST.fullmatch(host):  # names in other letters are sent as xn--
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return host if _HOST.fullmatch(host) else ""


def path_of(url: str) -> str:
    """From the first slash to the query: "/a/b.js"."""
    rest = url.partition("#")[0].partition("?")[0].partition("://")[2]
    return "/" + rest.partition("/")[2]


def named_host(host: str) -> str:
    """What of a host a rule may name: of `www.ads.example`, and of `8f31c2aa90de.ads.example`, what lies behind."""
    owner = owner_of(host)
    below = host.removesuffix(owner).rstrip(".").split(".") if host != owner else []
    tokens = [at for at, label in enumerate(below) if is_token(label)]
    kept = below[tokens[-1] + 1 :] if tokens else below
    return ".".join([*([] if kept == ["www"] else kept), owner])


@lru_cache(maxsize=1 << 14)
def is_token(word: str) -> bool:
    """Whether part of a path or host may stand for a person, a visit or a version rather than for what is there. What
    is masked where it is shown is one, too."""
    stem = word.partition(".")[0]
    return bool(_TOKEN.fullmatch(stem) or _MIXED.fullmatch(stem) or _TOKEN.fullmatch(word)) or masked(word) != word


def site_of(seen: Sighting) -> str:
    """The site whose page made a request; "" where the capture does not say."""
    return zone_of(host_of(seen.page)) if seen.page else ""


def page_owner(seen: Sighting) -> str:
    """Who rented the name of the page: what `domain=` names, so that a rule for one customer of a platform is not for
    all of them."""
    return owner_of(host_of(seen.page)) if seen.page else ""


def is_third_party(seen: Sighting) -> bool:
    """Whether it left its site, as engines see it: one without a page did."""
    if not seen.page:
        return True
    if seen.third_party is not None:
        return seen.third_party
    return zone_of(host_of(seen.url)) != site_of(seen)


def is_nameable(host: str) -> bool:
    """Whether a rule may name it at all: no bare word, and no address of a machine at home."""
    if is_address(host):
        return ip_address(host.strip("[]")).is_global
    return "." in host


def _last_two(host: str) -> str:
    return ".".join(host.split(".")[-2:])
