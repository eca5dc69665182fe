"""url-grams/2 a second time, from the words of its spec: one request at a time, no arrays, no caches.

python -m tests.filterlists.plain_marks      writes tests/vectors/url-grams-2.json anew
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.filterlists.plain_grams import MASK, TYPES, parts

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "url-grams-2.json"
SUFFIXES = ("co.uk", "com", "example", "org", "net")  # of the cases below
PAGE = "https://www.example.com/"
CASES: tuple[tuple[str, str, str, bool | None], ...] = (
    ("https://ads.shop-example.co.uk/x.js", PAGE, "script", None),
    ("https://ads.shop-example.co.uk/x.js", PAGE, "script", False),  # what the capture says goes
    ("https://ads.shop-example.co.uk/x.js", "", "script", None),  # party unknown
    ("https://ads.shop-example.co.uk/x.js", "", "script", True),
    ("https://static.example.com/a.css?v=2", PAGE, "stylesheet", None),
    ("https://examplecdn.net:8443/Img/A.PNG#top", PAGE, "image", None),
    ("https://ads.test-no-suffix/", "https://news.test-no-suffix/", "no such type", None),
    ("https://user:word@bücher.example/Straße?q=ÄÖ", "https://buch.example/", "ping", None),
    ("https://" + "n" * 40 + ".com/", "https://" + "n" * 36 + ".net/", "font", None),  # names are cut
    ("wss://192.0.2.7/socket", "http://192.0.2.7/", "websocket", None),
    ("no-scheme/x", PAGE, "other", None),
)


def host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def domain(name: str) -> str:
    for suffix in SUFFIXES:
        if name.endswith("." + suffix):
            return name.removesuffix("." + suffix).split(".")[-1] + "." + suffix
    return name


def bucket(letter: str, text: bytes, buckets: int) -> int:
    value = 0x811C9DC5
    for byte in letter.encode() + text:
        value = (value ^ byte) * 0x01000193 & MASK
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK
    value ^= value >> 16
    return 512 + (value * (buckets - 512) >> 32)


def grams(url: str, buckets: int) -> list[int]:
    name, path, query = parts(url)
    found = []
    for letter, field in (("h", b"|" + name[-64:] + b"|"), ("p", path[:128]), ("q", query[:64])):
        for n in (3, 4, 5):
            found += [bucket(letter, field[i : i + n], buckets) for i in range(len(field) - n + 1)]
    return found


def marks(url: str, page: str, kind: str, third_party: bool | None, buckets: int) -> list[int]:
    number = TYPES.index(kind) if kind in TYPES else 0
    goes, site = domain(host(url)), domain(host(page))
    known = goes != site if third_party is None else third_party
    party = 0 if third_party is None and site == "" else 1 + known
    a, b = goes.split(".")[0].encode()[:32], site.split(".")[0].encode()[:32]
    runs = [len(a[i:j]) for i in range(len(a)) for j in range(i + 1, len(a) + 1) if a[i:j] in b]
    shared, shorter = max(runs, default=0), max(1, min(len(a), len(b)))
    alike = goes.partition(".")[2] == site.partition(".")[2]
    if site == "":
        shared, alike = 0, False
    bits = [min(31, len(part).bit_length()) for part in parts(url)]
    return [
        4 * number + party, 64 + number, 96 + bits[0], 128 + bits[1], 160 + bits[2],
        192 + 10 * party + min(shared, 9), 224 + 5 * party + 4 * shared // shorter, 240 + 2 * party + alike,
        bucket("d", goes.encode(), buckets),
    ]  # fmt: skip


def vectors() -> list[dict[str, Any]]:
    return [
        {
            "url": url, "page": page, "type": kind, "third_party": third, "buckets": buckets,
            "grams": grams(url, buckets), "marks": marks(url, page, kind, third, buckets),
        }
        for url, page, kind, third in CASES
        for buckets in ((1 << 14, 1 << 16) if (url, page, third) == CASES[0][:2] + CASES[0][3:] else (1 << 14,))
    ]  # fmt: skip


def text() -> str:
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in vectors())
    return f'{{"spec": "url-grams/2", "vectors": [\n{rows}\n]}}\n'


if __name__ == "__main__":
    VECTORS.write_text(text(), "utf-8")
