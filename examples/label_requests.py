"""Make a labelled request table out of a crawl of bare URLs and filter lists.

    python examples/label_requests.py sitelist.txt --ad easylist.txt --ad filters.min.txt \\
        --tracker easyprivacy.txt --tracker privacy.min.txt --out sitelist-2015.jsonl.gz

This made the table that ships in gossip/data (its NOTICE says from which files). Needs the extras
`peer` and `lists`. What it guesses, because the crawl is bare URLs: the *page* of a request from the
order of the crawl, and its *type* from the extension. What it does not guess: the label. An engine
decides: ad if an ad list blocks the request on that page, else tracker if a tracker list does, else
benign. "Benign" means that no list given blocks it, nothing more.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gossip.filterlists.engine import engine_of
from gossip.filterlists.headers import source_of
from gossip.filterlists.split import registrable

MAX_URL_CHARS = 400  # what comes later in a URL is almost always a session's own noise
BARE_ROOT = re.compile(r"(https?)://([^/?#:@]+)/?")
TYPE_OF_EXTENSION = {
    extension: kind
    for kind, extensions in {
        "script": "js jsonp mjs",
        "stylesheet": "css",
        "image": "gif jpg jpeg png svg ico webp bmp",
        "font": "woff woff2 ttf otf eot",
        "media": "mp4 webm mp3 ogg flv",
        "object": "swf",
        "subdocument": "html htm shtml xhtml",
        "xmlhttprequest": "json",
    }.items()
    for extension in extensions.split()
}


def pages_of(urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(page, url) of every request. A page starts at a bare site root: `http://` and a registrable domain
    (that is how the crawler asked); bare roots of the same site or name right after it are redirects, and
    the last of them is the page. Any other bare root is a request: iframes have roots, too.
    """
    page = site = ""
    redirecting = False
    for url in (line.strip() for line in urls):
        if bare := BARE_ROOT.fullmatch(url):
            host = bare.group(2).lower()
            domain = registrable(host)
            asked = bare.group(1) == "http" and host == domain
            redirected = redirecting and domain.split(".")[0] == site.split(".")[0]
            if asked or redirected:
                page, site, redirecting = url.rstrip("/") + "/", domain, True
                continue
        redirecting = False
        if page and url:
            yield page, url


def type_of(url: str) -> str:
    parts = urlsplit(url)
    file = parts.path.rsplit("/", 1)[-1].split(";")[0].lower()
    if "." in file:
        kind = TYPE_OF_EXTENSION.get(file.rsplit(".", 1)[-1], "")
    else:
        kind = TYPE_OF_EXTENSION.get(file, "") if file in ("js", "css") else ""
    if not kind and re.search(r"(^|[?&])(callback|jsonp|cb)=[A-Za-z_]", parts.query):
        kind = "script"
    return kind or "other"


def named(paths: list[Path]) -> list[Path]:
    for path in paths:
        source = source_of(path)
        print(f"list   {path.name}  {source.name} {source.version}  sha256 {source.sha256}")
    return paths


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("crawl", type=Path)
    arguments.add_argument("--ad", type=Path, action="append", required=True)
    arguments.add_argument("--tracker", type=Path, action="append", required=True)
    arguments.add_argument("--out", type=Path, required=True)
    given = arguments.parse_args()

    print(f"crawl  {given.crawl.name}  sha256 {hashlib.sha256(given.crawl.read_bytes()).hexdigest()}")
    lists = [("ad", path) for path in named(given.ad)] + [("tracker", path) for path in named(given.tracker)]
    engine = engine_of(lists)
    rows: dict[tuple[str, str], str] = {}
    counts = {"benign": 0, "ad": 0, "tracker": 0}
    for page, url in pages_of(given.crawl.read_text("utf-8").splitlines()):
        if not urlsplit(url).hostname or (page, url[:MAX_URL_CHARS]) in rows:
            continue
        kind = type_of(url)
        label = engine.label(page, url, kind)
        third_party = registrable(urlsplit(url).hostname or "") != registrable(urlsplit(page).hostname or "")
        row = {"page": page, "url": url[:MAX_URL_CHARS], "type": kind, "label": label, "third_party": third_party}
        rows[page, url[:MAX_URL_CHARS]] = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        counts[label] += 1

    lines = "".join(row + "\n" for row in rows.values()).encode()
    given.out.write_bytes(gzip.compress(lines, 9, mtime=0))  # no clock in the file: the same input, the same bytes
    print(f"table  {given.out.name}  {len(rows)} rows {counts}  {given.out.stat().st_size} bytes")
    print(f"       sha256 {hashlib.sha256(given.out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
