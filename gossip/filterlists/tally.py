"""What reading one capture has come to, beside its rows: how many, what was left out and why, and what to know of it.

    Tally(format="HAR", rows=412, left_out={"data": 31, "chrome-extension": 2}, bad={"its URL is longer ...": 1})

And the one door that what a file says of a request comes through on its way to a Sighting (`Tally.sighted`), so that
all formats have the same limits. User names, passwords and fragments of URLs go here. Reasons never quote a URL.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gossip.filterlists.engine import Label
from gossip.filterlists.requests import KNOWN_AS, MAX_ROW_BYTES, SCHEMES
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import host_of
from ledger.errors import LocalError

MAX_URL_BYTES: Final = MAX_ROW_BYTES // 2  # URLs of 32 KiB exist; a page as long fits into a row beside it
MAX_HOST_CHARS: Final = 255  # of a name in DNS; hosts are kept by the thousand while others come
MAX_REASONS: Final = 64  # different ones that are counted each
NOT_OF_THE_WEB: Final = frozenset({
    "about", "blob", "chrome", "chrome-extension", "data", "devtools", "edge", "file", "filesystem", "ftp",
    "javascript", "mailto", "moz-extension", "ms-browser-extension", "resource", "safari-extension",
    "safari-web-extension", "view-source",
})  # fmt: skip
EXTENSIONS: Final = {
    ending: kind
    for kind, endings in {
        "script": "js mjs", "stylesheet": "css", "image": "avif bmp gif ico jpeg jpg png svg webp",
        "font": "eot otf ttf woff woff2", "media": "aac m3u8 m4a m4s mp3 mp4 mpd oga ogg ogv ts wav webm",
        "xmlhttprequest": "json", "subdocument": "htm html",
    }.items()
    for ending in endings.split()
}  # fmt: skip
_UNSOUND: Final = re.compile(r"[\s\0-\x1f\ud800-\udfff]")
_AUTHORITY: Final = re.compile(r"[^/?#\\]*")
FIX: Final = "correct or remove that row if you need it; the others are used"


@dataclass(slots=True)
class Tally:
    """Filled while the rows are read; whole when they end."""

    format: str = ""  # "HAR", "uBlock Origin's logger", "JSON lines" or "list of URLs"; "" if none of these
    rows: int = 0
    bad: Counter[str] = field(default_factory=Counter)  # rows that cannot be used, by reason
    left_out: Counter[str] = field(default_factory=Counter)  # requests that are none of the web, by scheme or kind
    pageless: int = 0  # of `rows`: those of which nothing says what page made them
    notes: list[str] = field(default_factory=list)  # plain words about the whole file

    def sighted(
        self, url: str, page: str, kind: str = "", *, mime: str = "", time: float | None = None,
        label: Label | None = None, third_party: bool | None = None,
    ) -> Sighting | str | None:  # fmt: skip
        """The request; what is wrong with it; or None, if it is none of the web, which is counted here."""
        scheme = scheme_of(url)
        if scheme in NOT_OF_THE_WEB:
            self.left_out[scheme] += 1
            return None
        if fault := fault_of(url):
            return f"its URL {fault}"
        if page and scheme_of(page) in NOT_OF_THE_WEB:
            page = ""  # a request of an extension's page, or of one opened from a disk
        if page and (fault := fault_of(page)):
            return f"its page {fault}"
        self.rows += 1
        self.pageless += not page
        url = bare(url)
        return Sighting(url, bare(page), type_of(url, kind, mime), time, label, third_party)

    def fault(self, path: Path, row: str, why: str) -> LocalError:
        """A row that cannot be used, counted. `row` says which, as people would: "row 5"."""
        reason = why if why in self.bad or len(self.bad) < MAX_REASONS else "other reasons"
        self.bad[reason] += 1
        return LocalError(f"{path}: {row} cannot be used", why=why, next_step=FIX)


def scheme_of(url: str) -> str:
    """The scheme, in small letters; "" if there is none."""
    return url[:24].partition(":")[0].lower() if ":" in url[:24] else ""


def fault_of(url: str) -> str:
    """What is wrong with a web address; "" if nothing is."""
    if len(url) > MAX_URL_BYTES or len(url.encode("utf-8", "surrogatepass")) > MAX_URL_BYTES:
        return f"is longer than {MAX_URL_BYTES // 1024} KiB"
    if not url[:8].lower().startswith(SCHEMES):
        return "is no web address"
    if _UNSOUND.search(url):
        return "holds a space, a control character or half a character"
    try:
        host = host_of(url)
        if not host:
            urlsplit(url)
            return "has no host"
        if len(host) > MAX_HOST_CHARS:
            return f"has a host of more than {MAX_HOST_CHARS} characters"
        if ":" in url[6:]:
            _ = urlsplit(url).port
        return ""
    except ValueError:  # "http://[bad", "http://good:99999"
        return "has no host that can be read"


def bare(url: str) -> str:
    """A web address without the user name and password before its host, and without its fragment: what no rule looks
    at, and nobody should keep."""
    if "@" not in url and "#" not in url:
        return url
    scheme, mark, rest = url.partition("#")[0].partition("://")
    begin = _AUTHORITY.match(rest)
    authority = begin[0] if begin else ""
    return scheme + mark + authority.rpartition("@")[2] + rest[len(authority) :]


def type_of(url: str, kind: str, mime: str = "") -> str:
    """One of features.TYPES: what the browser called it, else as its MIME type says, else as its URL ends."""
    known = KNOWN_AS.get(kind) or KNOWN_AS.get(kind.lower().replace("-", "_"))
    if known and known != "other":
        return known
    if url[:3].lower().startswith("ws"):
        return "websocket"
    if known and kind:
        return known
    return _of_mime(mime) or EXTENSIONS.get(_ending(url), "other")


def _of_mime(mime: str) -> str:
    word = mime.partition(";")[0].strip().lower()
    family, _, rest = word.partition("/")
    if family == "image":
        return "image"
    if family in ("audio", "video") or rest in ("vnd.apple.mpegurl", "x-mpegurl", "dash+xml"):
        return "media"
    if family == "font" or rest.startswith(("font-", "x-font-")) or rest == "vnd.ms-fontobject":
        return "font"
    if rest == "css":
        return "stylesheet"
    if rest in ("javascript", "x-javascript", "ecmascript"):
        return "script"
    if rest in ("html", "xhtml+xml"):
        return "subdocument"  # har.py knows which of them is a page
    return "xmlhttprequest" if rest in ("json", "xml") or rest.endswith(("+json", "+xml")) else ""


def _ending(url: str) -> str:
    path = url.partition("#")[0].partition("?")[0].partition("://")[2].partition("/")[2]
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def told(tally: Tally) -> Iterable[str]:
    """The counts in plain words, a line each: for a terminal."""
    if tally.left_out:
        yield "left out: " + ", ".join(_addresses(name, count) for name, count in tally.left_out.most_common())
    for reason, count in tally.bad.most_common():
        yield f"cannot be used: {count:,}: {reason}"
    yield from tally.notes


def _addresses(name: str, count: int) -> str:
    """12 data: addresses"""
    kind = f"{name}: address{'' if count == 1 else 'es'}" if name in NOT_OF_THE_WEB else name
    return f"{count:,} {kind}"
