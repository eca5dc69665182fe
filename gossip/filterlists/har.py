"""HAR files, as browsers and proxies write them, of any length: what was asked for, and nothing that was said.

    {"log":{"pages":[{"id":"page_1","title":"https://news.example/","startedDateTime":"2026-01-01T00:00:00.000Z"}],
            "entries":[{"pageref":"page_1","startedDateTime":"2026-01-01T00:00:01.250Z","_resourceType":"script",
                        "request":{"url":"https://ads.example/x.js", ...},
                        "response":{"content":{"mimeType":"text/javascript", ...}, ...}}]}}

Read are those fields, and `_url` of a page (chrome-har). Headers, cookies, posted data and bodies are passed over where
they lie (skim.py): none of them is ever a value in memory.

    written by               title of a page    _resourceType           pages
    Chrome, Edge             its URL            yes                     before the entries
    Firefox                  URL or title       no                      before
    Safari (WebKit)          its URL            no                      before
    Playwright               title              no                      before, or none
    mitmproxy                                   of web sockets only     none
    others                   anything           some                    before or after

The page of an entry is that of its `pageref`: a URL that the page names, else the first document that was asked for
under that `pageref`, else none. So two passes are made where one cannot know: the first ends as soon as `pages` were
read and name a URL each. Where browsers do not tell a page from a frame, the document with the page's own URL is the
page, and those of its site before that (they redirect); others are frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

import msgspec

from gossip.filterlists.requests import opened
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.skim import Broken, Skimmer, Unusable
from gossip.filterlists.tally import MAX_URL_BYTES, Tally, fault_of
from ledger.errors import LocalError

FORMAT: Final = "HAR"
MAX_WORD_BYTES: Final = 1024  # an id, a type, a time
MAX_PAGES_BYTES: Final = 16 << 20  # of URLs of pages, kept while the file is read
HTML: Final = ("text/html", "application/xhtml+xml")


class Entry(msgspec.Struct):
    """What is read of one."""

    url: str | Unusable = Unusable("is missing")
    page: str = ""  # its pageref
    kind: str = ""
    mime: str = ""
    time: str = ""

    @property
    def is_document(self) -> bool:
        """Of a page or of a frame."""
        if self.kind:
            return self.kind.lower() == "document"
        return self.mime.partition(";")[0].strip().lower() in HTML


class Page(msgspec.Struct):
    id: str = ""
    urls: tuple[str, ...] = ()  # what may be its URL, the likeliest first


def rows(path: Path, at: Callable[[int], None] | None, tally: Tally) -> Iterator[Sighting | LocalError]:
    """All of a file."""
    tally.format = FORMAT
    halfway = 0

    def first(behind: int) -> None:
        nonlocal halfway
        halfway = behind // 2
        if at is not None:
            at(halfway)

    pages = _pages_of(path, first)
    number = 0
    with opened(path, None if at is None else lambda behind: at(max(behind, halfway))) as file:
        skim: Skimmer | None = None
        try:
            skim = Skimmer(cast(BufferedIOBase, file))
            for part in parts(skim):
                if isinstance(part, Entry):
                    number += 1
                    found = _sighted(part, pages, tally)
                    if isinstance(found, str):
                        yield tally.fault(path, f"entry {number}", found)
                    elif found is not None:
                        yield found
        except (Broken, OSError, EOFError, zlib.error) as error:
            byte = f" (byte {skim.position:,})" if skim else ""
            yield LocalError(
                f"{path}: cannot be read after entry {number}{byte}", why=str(error),
                next_step="what stands before it is used; export or fetch the file again for the rest",
            )  # fmt: skip
    if pages.full:
        tally.notes.append("it names more pages than are remembered: requests of the last ones have none")


def parts(skim: Skimmer) -> Iterator[Entry | Page | None]:
    """Entries and pages as they come; None where the array of pages ends. Broken where the file is."""
    is_har = False
    for key in skim.members():
        if key != "log":
            skim.skip()
            continue
        for name in skim.members():
            if name == "entries":
                is_har = True
                for _ in skim.items():
                    yield _entry(skim)
            elif name == "pages":
                for _ in skim.items():
                    yield _page(skim)
                yield None
            else:
                skim.skip()
    skim.finish()
    if not is_har:
        raise Broken("it has no log.entries")


def _entry(skim: Skimmer) -> Entry:
    entry = Entry()
    for key in skim.members():
        match key:
            case "pageref":
                entry.page = _word(skim)
            case "startedDateTime":
                entry.time = _word(skim)
            case "_resourceType":
                entry.kind = _word(skim)
            case "request":
                for name in skim.members():
                    if name == "url":
                        entry.url = skim.text(MAX_URL_BYTES)
                    else:
                        skim.skip()
            case "response":
                entry.mime = _mime(skim)
            case _:
                skim.skip()
    return entry


def _mime(skim: Skimmer) -> str:
    mime = ""
    for name in skim.members():
        if name != "content":
            skim.skip()
            continue
        for inner in skim.members():
            if inner == "mimeType":
                mime = _word(skim)
            else:
                skim.skip()
    return mime


def _page(skim: Skimmer) -> Page:
    found: dict[str, str] = {}
    for key in skim.members():
        if key in ("id", "title", "_url"):
            text = skim.text(MAX_URL_BYTES)
            found[key] = text if isinstance(text, str) else ""
        else:
            skim.skip()
    named = (found.get(key, "") for key in ("_url", "title", "id"))
    return Page(found.get("id", ""), tuple(url for url in named if url and not fault_of(url)))


def _word(skim: Skimmer) -> str:
    text = skim.text(MAX_WORD_BYTES)
    return text if isinstance(text, str) else ""


class _Pages:
    """The URLs of pages by id. Bounded: see `full`."""

    def __init__(self) -> None:
        self.full = False
        self._named: dict[str, str] = {}
        self._first: dict[str, str] = {}  # documents
        self._begun: set[str] = set()  # whose own document has come
        self._left = MAX_PAGES_BYTES

    def name(self, page: Page) -> None:
        if page.urls and page.id not in self._named and self._has_room(page.id, page.urls[0]):
            self._named[page.id] = page.urls[0]

    def see(self, entry: Entry) -> None:
        if entry.page and entry.page not in self._first and entry.is_document and isinstance(entry.url, str):
            url = entry.url
            if not fault_of(url) and self._has_room(entry.page, url):
                self._first[entry.page] = url

    def of(self, entry: Entry) -> str:
        return (self._named.get(entry.page) or self._first.get(entry.page, "")) if entry.page else ""

    def is_page(self, entry: Entry, seen: Sighting) -> bool:
        """Whether a document is the page itself, and no frame in it."""
        if entry.page in self._begun:
            return False
        if seen.url.partition("#")[0] == seen.page.partition("#")[0]:
            self._begun.add(entry.page)
            return True
        return seen.domain == seen.site

    def _has_room(self, *texts: str) -> bool:
        self._left -= sum(map(len, texts))
        self.full = self.full or self._left < 0
        return not self.full


def _pages_of(path: Path, at: Callable[[int], None]) -> _Pages:
    """The first pass. A file that is broken is read as far as it goes."""
    pages, named, unnamed = _Pages(), 0, 0
    with opened(path, at) as file:
        try:
            for part in parts(Skimmer(cast(BufferedIOBase, file))):
                if isinstance(part, Page):
                    pages.name(part)
                    named += bool(part.urls)
                    unnamed += not part.urls
                elif part is not None:
                    pages.see(part)
                elif named and not unnamed:
                    break
        except (Broken, OSError, EOFError, zlib.error):
            pass  # the second pass comes upon it, too, and says so
    return pages


def _sighted(entry: Entry, pages: _Pages, tally: Tally) -> Sighting | str | None:
    if isinstance(entry.url, Unusable):
        return f"its URL {entry.url.why}"
    pages.see(entry)
    found = tally.sighted(entry.url, pages.of(entry), entry.kind, mime=entry.mime, time=_seconds(entry.time))
    if isinstance(found, Sighting) and entry.is_document and found.page:
        kind = "document" if pages.is_page(entry, found) else "subdocument"
        return msgspec.structs.replace(found, type=kind)
    return found


def _seconds(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
