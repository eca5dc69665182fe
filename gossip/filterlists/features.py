"""What the model sees of a request: hashed character n-grams and a few marks, byte-exact.

`url-grams/1`, the spec that goes into the ledger (golden vectors: tests/vectors/url-grams.json):

    https://ads.example.com:8080/Banner/300x250.js?cb=17&zone=top#x
            host |ads.example.com:8080|     at most  64 bytes, the last ones
            path /banner/300x250.js         at most 128 bytes, the first ones
            query ?cb=17&zone=top           at most  64 bytes, the first ones

Text is UTF-8 with A-Z lowered, nothing unescaped; the scheme and the fragment are not looked at. Of each
field all n-grams of 3, 4 and 5 *bytes* are hashed: 32-bit FNV-1a over the field's letter (h, p, q) and the
n bytes, then murmur3's finaliser. An n-gram's bucket is 256 + (hash * (buckets - 256) >> 32). Every n-gram
counts as often as it occurs. The first 256 buckets are for *marks*, five per request, see `marks`.

`url-grams/2` has the same n-grams, over 512 + (hash * (buckets - 512) >> 32), and other marks: marks.py.

Kept here: whole columns at a time (a Python loop over n-grams would be fifty times slower), no state, and
no hash that changes from one process to the next. This file refuses to know labels, models and jax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FIELD_BYTES: Final = {"h": 64, "p": 128, "q": 64}
GRAM_BYTES: Final = (3, 4, 5)
MARK_BUCKETS: Final = 256
MARKS: Final = 5
NAMES: Final = (
    (0, "type and party"), (32, "type"), (64, "length of the host"), (96, "length of the path"),
    (128, "length of the query"),
)  # fmt: skip
"""What a mark is about, by the first of its buckets."""
TYPES: Final = (
    "other", "script", "image", "stylesheet", "subdocument", "xmlhttprequest", "font", "media", "object", "ping",
    "websocket", "document",
)  # fmt: skip

_FNV_OFFSET: Final = np.uint32(0x811C9DC5)
_FNV_PRIME: Final = np.uint32(0x01000193)

Tokens = npt.NDArray[np.uint16]
_LOWER: Final = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))


def parts_of(url: str) -> tuple[bytes, bytes, bytes]:
    """Host (with its port), path and query of a URL, lowered and whole; the "?" belongs to the query."""
    rest = url.partition("#")[0].encode("utf-8", "surrogatepass").translate(_LOWER)
    start = rest.find(b"://")
    rest, mark, query = rest[start + 3 if start >= 0 else 0 :].partition(b"?")
    host, slash, path = rest.partition(b"/")
    return host, slash + path, mark + query


def fields_of(url: str) -> tuple[bytes, bytes, bytes]:
    """Host, path and query as the spec cuts and fences them: what is hashed."""
    host, path, query = parts_of(url)
    return b"|" + host[-FIELD_BYTES["h"] :] + b"|", path[: FIELD_BYTES["p"]], query[: FIELD_BYTES["q"]]


def grams(urls: Sequence[str], buckets: int, reserved: int = MARK_BUCKETS) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """The n-gram buckets of all URLs, one after the other, and where each URL's begin (len(urls) + 1 offsets).

    The first `reserved` buckets are left to marks."""
    columns = list(zip(*map(fields_of, urls), strict=True)) if urls else [(), (), ()]
    parts: list[tuple[Tokens, npt.NDArray[np.int64]]] = []
    counts = np.zeros(len(urls), np.int64)
    for name, column in zip(FIELD_BYTES, columns, strict=True):
        text = np.frombuffer(b"".join(column), np.uint8).astype(np.uint32)
        lengths = np.fromiter(map(len, column), np.int64, len(column))
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(text))  # bytes to the end of the field
        hashes = np.full(len(text), _FNV_OFFSET ^ np.uint32(ord(name)), np.uint32) * _FNV_PRIME
        for n in range(1, max(GRAM_BYTES) + 1):
            reach = max(len(text) - n + 1, 0)
            hashes = (hashes[:reach] ^ text[n - 1 :]) * _FNV_PRIME
            if n in GRAM_BYTES:
                kept = left[:reach] >= n
                per_url = np.maximum(lengths - n + 1, 0)
                parts.append((_bucket(hashes[kept], buckets, reserved), per_url))
                counts += per_url
    offsets = np.concatenate(([0], np.cumsum(counts)))
    tokens = np.empty(int(offsets[-1]), np.uint16)
    begin = offsets[:-1].copy()
    for found, per_url in parts:  # interleave: of each URL first host 3-grams, then host 4-grams ...
        first = np.cumsum(per_url) - per_url
        tokens[np.arange(len(found)) + np.repeat(begin - first, per_url)] = found
        begin += per_url
    return tokens, offsets


def _bucket(hashes: npt.NDArray[np.uint32], buckets: int, reserved: int) -> Tokens:
    mixed = hashes ^ (hashes >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    wide = mixed.astype(np.uint64) * np.uint64(buckets - reserved)
    return (reserved + (wide >> np.uint64(32))).astype(np.uint16)


def bucket_of(text: bytes, buckets: int, reserved: int) -> int:
    """The bucket of one text, its letter first: that of an n-gram, for a text of any length."""
    value = int(_FNV_OFFSET)
    for byte in text:
        value = (value ^ byte) * int(_FNV_PRIME) & 0xFFFFFFFF
    return int(_bucket(np.array([value], np.uint32), buckets, reserved)[0])


def marks(urls: Sequence[str], types: Sequence[str], third_party: Sequence[bool]) -> Tokens:
    """Five marks per request, one bucket each: uint16 of shape (rows, 5).

    0..31 type and party together; 32..63 type; 64..95 length of the host, 96..127 of the path, 128..159 of
    the query (how many bits its length in bytes has, uncut, the query's with its "?", at most 31). Types that
    are not in TYPES are "other".
    """
    number = {name: index for index, name in enumerate(TYPES)}
    kind = np.fromiter((number.get(name, 0) for name in types), np.int64, len(types))
    party = np.fromiter(third_party, np.int64, len(types))
    bits = [[min(len(part).bit_length(), 31) for part in parts_of(url)] for url in urls]
    out = np.empty((len(urls), MARKS), np.uint16)
    out[:, 0] = kind * 2 + party
    out[:, 1] = 32 + kind
    out[:, 2:] = np.array(bits, np.int64).reshape(-1, 3) + np.array([64, 96, 128])
    return out
