"""url-grams/1 a second time, written from the words of the spec: one n-gram at a time, no arrays.

python -m tests.filterlists.plain_grams      writes tests/vectors/url-grams.json anew
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "url-grams.json"
MASK = 0xFFFFFFFF
TYPES = [
    "other", "script", "image", "stylesheet", "subdocument", "xmlhttprequest", "font", "media", "object", "ping",
    "websocket", "document",
]  # fmt: skip
CASES = (
    ("https://ads.example.com:8080/Banner/300x250.js?cb=17&zone=top#x", "script", True),
    ("http://example.org/", "document", False),
    ("http://example.org", "other", False),
    ("https://bücher.example/Straße?q=ÄÖ", "image", False),
    ("https://" + "very-long-host-label." * 5 + "example/", "xmlhttprequest", True),
    ("https://a.example/" + "path/" * 60 + "?" + "k=v&" * 40, "image", True),
    ("wss://s.example/?", "websocket", True),
    ("data-without-scheme/x", "no such type", False),
    ("http://e.example/a#b?c", "font", True),
)


def parts(url: str) -> tuple[bytes, bytes, bytes]:
    text = url.split("#")[0].encode()
    text = bytes(b + 32 if 65 <= b <= 90 else b for b in text)
    if b"://" in text:
        text = text[text.index(b"://") + 3 :]
    before, found, after = text.partition(b"?")
    query = found + after
    slash = before.find(b"/")
    return (before, b"", query) if slash < 0 else (before[:slash], before[slash:], query)


def bucket(letter: str, gram: bytes, buckets: int) -> int:
    value = 0x811C9DC5
    for byte in letter.encode() + gram:
        value = (value ^ byte) * 0x01000193 & MASK
    value ^= value >> 16
    value = value * 0x85EBCA6B & MASK
    value ^= value >> 13
    value = value * 0xC2B2AE35 & MASK
    value ^= value >> 16
    return 256 + (value * (buckets - 256) >> 32)


def grams(url: str, buckets: int) -> list[int]:
    host, path, query = parts(url)
    found = []
    for letter, field in (("h", b"|" + host[-64:] + b"|"), ("p", path[:128]), ("q", query[:64])):
        for n in (3, 4, 5):
            found += [bucket(letter, field[i : i + n], buckets) for i in range(len(field) - n + 1)]
    return found


def marks(url: str, kind: str, third_party: bool) -> list[int]:
    number = TYPES.index(kind) if kind in TYPES else 0
    host, path, query = (min(31, len(part).bit_length()) for part in parts(url))
    return [2 * number + third_party, 32 + number, 64 + host, 96 + path, 128 + query]


def vectors() -> list[dict[str, Any]]:
    return [
        {
            "url": url, "type": kind, "third_party": third, "buckets": buckets,
            "grams": grams(url, buckets), "marks": marks(url, kind, third),
        }
        for url, kind, third in CASES
        for buckets in ((1 << 14, 1 << 16) if url == CASES[0][0] else (1 << 14,))
    ]  # fmt: skip


def text() -> str:
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in vectors())
    return f'{{"spec": "url-grams/1", "vectors": [\n{rows}\n]}}\n'


if __name__ == "__main__":
    VECTORS.write_text(text(), "utf-8")
