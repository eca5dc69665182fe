"""A person's own judgements of URLs and domains, and what follows from them for a request: pure.

    "https://Ads.Example/x.js?a=1#top" --target_of--> url     ads.example/x.js?a=1     that very request
    "bücher.example"                   --target_of--> domain  xn--bcher-kva.example    and all below it

How a URL is normalised: its scheme, fragment and the scheme's own port are left out, the host is in lower case and in
ASCII (IDN as browsers spell it), an empty path is "/"; path and query stay byte for byte.

Which judgement holds for a request: the newest of those of its URL; else the newest of those of its domain or of one
above it. Undoing takes the newest judgement that still stands back, whatever it was of.

Rules kept here: what is judged is somebody's own: public suffixes are refused, and so is what one address or one word
names. It refuses to know files, models and whether anybody trains.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

import idna
import msgspec

from gossip.filterlists.engine import Label
from gossip.filterlists.features import TYPES
from gossip.filterlists.requests import KNOWN_AS, SCHEMES, Request
from ledger.errors import LocalError

LABELS: Final = ("ad", "tracker", "benign")
PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
MAX_URL_CHARS: Final = 16_384
MAX_NOTE_CHARS: Final = 500
DOMAIN_TYPES: Final = ("script", "image", "xmlhttprequest")  # of the rows that stand for a domain nobody has seen

Covers = Literal["url", "domain"]


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do", tag="label"):
    """One word of this peer's owner."""

    covers: Covers
    target: str  # as `target_of` spells it
    label: Label
    url: str  # of a row that stands for it: as it was typed, or the root of the domain
    page: str = ""  # that makes the request; "" if its owner named none
    type: str = "other"
    note: str = ""
    time: int  # Unix seconds


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do", tag="skip"):
    """Not to be asked about again: in a review, its owner had no answer."""

    covers: Covers
    target: str
    time: int


class Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do", tag="undo"):
    """Takes back the newest judgement, or skip, that stands."""

    time: int


Said = Judgement | Skip | Undo


@dataclass(frozen=True, slots=True)
class Target:
    covers: Covers
    text: str
    url: str


def standing(said: Iterable[Said]) -> tuple[Judgement | Skip, ...]:
    """What stands, oldest first. An undo with nothing to take back takes nothing."""
    kept: list[Judgement | Skip] = []
    for one in said:
        if not isinstance(one, Undo):
            kept.append(one)
        elif kept:
            kept.pop()
    return tuple(kept)


class Standing:
    """What stands, to be asked about many requests: two look-ups for most."""

    def __init__(self, said: Sequence[Judgement | Skip]) -> None:
        self.judgements = tuple(one for one in said if isinstance(one, Judgement))
        self._skipped = frozenset((one.covers, one.target) for one in said if isinstance(one, Skip))
        self._urls = {one.target: at for at, one in enumerate(self.judgements) if one.covers == "url"}
        self._domains = {one.target: at for at, one in enumerate(self.judgements) if one.covers == "domain"}

    def __len__(self) -> int:
        return len(self.judgements)

    def find(self, url: str) -> int | None:
        """Which judgement holds for a request to `url`, as its index; None if none does."""
        parts = _split(url)
        host = _host(parts) if parts is not None else ""
        if parts is None or not host:
            return None
        if self._urls and (at := self._urls.get(_key(parts, host))) is not None:
            return at
        found = -1
        while host and self._domains:
            found = max(found, self._domains.get(host, -1))
            host = host.partition(".")[2]
        return None if found < 0 else found

    def is_skipped(self, target: Target) -> bool:
        return (target.covers, target.text) in self._skipped

    def label(self, url: str) -> Label | None:
        at = self.find(url)
        return None if at is None else self.judgements[at].label

    def in_force(self) -> tuple[int, ...]:
        """Those that no newer one of the same target has replaced, by age."""
        return tuple(sorted((*self._urls.values(), *self._domains.values())))


def rows_for(judgement: Judgement) -> tuple[Request, ...]:
    """Requests that stand for what no data at hand hold. Without a page, the page is the host's own: of a domain both
    as it asks itself and, for others are who include it, as a third party."""
    page = judgement.page or f"https://{_host_of(judgement.url)}/"
    if judgement.covers == "url":
        party = None if judgement.page else judgement.label != "benign"
        return (Request(page=page, url=judgement.url, type=judgement.type, label=judgement.label, third_party=party),)
    parties: tuple[bool | None, ...] = (None,) if judgement.page else (False, True)
    return tuple(
        Request(page=page, url=judgement.url, type=kind, label=judgement.label, third_party=party)
        for kind in (DOMAIN_TYPES if judgement.type == "other" else (judgement.type,))
        for party in parties
    )


def judgement_of(
    text: str, label: str, *, page: str = "", kind: str = "", note: str = "", time: int, owned: bool = True
) -> Judgement:
    """What was typed as a judgement. LocalError, in one line, about whatever in it cannot be one. `owned` as in
    `target_of`."""
    if label not in LABELS:
        raise LocalError(f"{label[:40]!r} is no label", next_step=f"say {', '.join(LABELS[:-1])} or {LABELS[-1]}")
    target = target_of(text, owned=owned)
    if page and (len(page) > MAX_URL_CHARS or not _host_of(page) or not page.lower().startswith(SCHEMES)):
        raise LocalError(
            f"{page[:60]!r} is no page", next_step="name a web address with --page, as https://news.example/"
        )
    spelt = KNOWN_AS.get(kind.lower().replace("-", "_")) if kind else "other"
    if spelt is None:
        raise LocalError(f"{kind[:40]!r} is no type of a request", next_step=f"say one of {', '.join(TYPES)}")
    if len(note) > MAX_NOTE_CHARS or not _is_text(note):
        raise LocalError("this note is too long, or is no text", why=f"the limit is {MAX_NOTE_CHARS} characters")
    return Judgement(
        covers=target.covers, target=target.text, label=cast(Label, label), url=target.url, page=page, type=spelt,
        note=note, time=time,
    )  # fmt: skip


def target_of(text: str, *, owned: bool = True) -> Target:
    """A URL or a domain as it was typed. LocalError if it is neither, or (unless not `owned`: for what was judged when
    the public-suffix list was another) is nobody's own."""
    text = text.strip()
    if not text or not _is_text(text) or any(char.isspace() for char in text) or len(text) > MAX_URL_CHARS:
        raise _wrong(text, "it is no URL and no domain")
    if "://" in text:
        return _url(text)
    if text.startswith(("||", "@@", "|", "/")) or text.endswith("^") or "$" in text:
        raise _wrong(text, "it is a rule, or a part of one", "name the domain or the URL that it is about")
    if "*" in text:
        raise _wrong(text, "a domain covers all below it, and nothing else has wildcards", "leave the * out")
    if "/" in text or "?" in text:
        raise _wrong(text, "a URL begins with its scheme", f"say https://{text[:60]}")
    domain = _domain(text)
    if owned and _is_suffix(domain):
        raise _wrong(text, "it is a public suffix: what lies below belongs to many", "name a domain below it")
    if "." not in domain:
        raise _wrong(text, "one word is this network's own", "name a domain, as ads.example")
    return Target("domain", domain, f"https://{domain}/")


def _url(text: str) -> Target:
    parts = _split(text)
    if parts is None or not text.lower().startswith(SCHEMES):
        raise _wrong(text, "it is no web address", "http, https, ws and wss can be judged")
    if "@" in parts.netloc:
        raise _wrong(text, "it carries a user name", "leave that out")
    if "*" in parts.netloc:
        raise _wrong(text, "a host has no wildcard", "name the domain alone: it covers all below it")
    host = _host(parts)
    try:
        parts.port  # noqa: B018 - asked for what it raises
    except ValueError:
        raise _wrong(text, "its port is no number up to 65535") from None
    if not host:
        raise _wrong(text, "it has no host, or one that cannot be")
    return Target("url", _key(parts, host), text)


def _domain(text: str) -> str:
    if _is_address(text):
        raise _wrong(text, "an address is no domain: tomorrow it may be somebody else's", "judge a URL at it")
    if ":" in text:
        raise _wrong(text, "a domain has no port", "leave the port out, or judge a URL with it")
    host = _ascii(text)
    if not host:
        raise _wrong(text, "it is no name that a host could have")
    return host


@cache
def _is_suffix(host: str) -> bool:
    """Whether anybody may register below it: by both parts of the public-suffix list."""
    import tldextract

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    return bool((found := extract.extract_str(host, include_psl_private_domains=True)).suffix) and not found.domain


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # "http://[bad": urlsplit checks brackets
        return None


def _key(parts: SplitResult, host: str) -> str:
    try:
        port = parts.port
    except ValueError:
        port = None
    at = f":{port}" if port is not None and port != PORTS.get(parts.scheme.lower()) else ""
    query = f"?{parts.query}" if parts.query else ""
    named = f"[{host}]" if ":" in host else host  # an address of IPv6
    return f"{named}{at}{parts.path or '/'}{query}"


def _host_of(url: str) -> str:
    parts = _split(url)
    return _host(parts) if parts is not None else ""


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    return host.lower() if host.isascii() else _ascii(host)


def _ascii(host: str) -> str:
    """As browsers spell it; "" if no browser would."""
    host = host.lower().rstrip(".")
    try:
        spelt = idna.encode(host, uts46=True).decode() if not host.isascii() else host
    except (idna.IDNAError, UnicodeError):
        return ""
    labels = spelt.split(".")
    sound = all(label and len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    return spelt if sound and len(spelt) <= 253 else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        host, _, port = text.rpartition(":")
        return port.isdigit() and bool(host) and _is_address(host)
    return True


def _is_text(text: str) -> bool:
    return text.isprintable() and not any("\ud800" <= char <= "\udfff" for char in text)


def _wrong(text: str, why: str, next_step: str = "") -> LocalError:
    return LocalError(
        f"cannot judge {text[:60]!r}", why=why, next_step=next_step or "name a URL, or a domain as ads.example"
    )
