"""The marks of `url-grams/2`: what is seen of a request beside its n-grams, and of the page that makes it.

    page https://www.example.com/        url https://ads.shop-example.co.uk/x.js         script, third

      0..63   type and party       4 * type + party        party: 0 unknown, 1 first, 2 third      4 * 1 + 2
     64..95   type                                                                                 64 + 1
     96..127  length of the host, 128..159 of the path, 160..191 of the query: bits, as in /1
    192..223  party and likeness   10 * party + letters    the longest run of bytes that both names
                                                           share, at most 9: "example" has 7       192 + 20 + 7
    224..239  party and likeness   5 * party + quarters    4 * letters // bytes of the shorter     224 + 10 + 4
    240..247  party and ending     2 * party + alike       1 if the same follows both names        240 + 4 + 0
    512..     the whole domain     hashed as n-grams are, under the letter d                       "shop-example.co.uk"

A *name* is the first label of a registrable domain, of it the first 32 bytes. Hosts are as `host_of` reads them. Where
the capture has no page nothing is known of likeness, and party is what the capture says, or unknown.

Chosen by measurement (docs/features.md): the whole domain helps what was seen before, likeness what was not, for it
tells a site's own hosts from strangers. Reach over the sites of the capture, companions on the page, whether the
URL names its page, numbers of parameters and long tokens were tried: they made it worse, or no better.

Kept here: no state but caches. It refuses to know labels, models and files.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from gossip.filterlists.features import TYPES, Tokens, bucket_of, parts_of
from gossip.filterlists.split import host_of, registrable

RESERVED: Final = 512  # buckets that n-grams and domains keep out of
MARKS: Final = 9
UNKNOWN, FIRST, THIRD = 0, 1, 2
NAME_BYTES: Final = 32
MOST_LETTERS: Final = 9
NAMES: Final = (
    (0, "type and party"), (64, "type"), (96, "length of the host"), (128, "length of the path"),
    (160, "length of the query"), (192, "likeness to the site"), (240, "ending like the site's"),
    (RESERVED, "whole domain"),
)  # fmt: skip
"""What a mark is about, by the first of its buckets."""
_NUMBER: Final = {name: index for index, name in enumerate(TYPES)}


def marks(
    urls: Sequence[str], pages: Sequence[str], types: Sequence[str], third_party: Sequence[bool | None], buckets: int
) -> Tokens:
    """uint16 of shape (rows, 9). `third_party` is what the capture says; None is worked out from page and url."""
    out = np.empty((len(urls), MARKS), np.uint16)
    rows = zip(urls, pages, types, third_party, strict=True)
    for row, (url, page, kind, third) in zip(out, rows, strict=True):
        row[:] = _marks(url, page, _NUMBER.get(kind, 0), third, buckets)
    return out


def _marks(url: str, page: str, kind: int, third: bool | None, buckets: int) -> tuple[int, ...]:
    domain, site = registrable(host_of(url)), registrable(host_of(page))
    if third is None:
        party = UNKNOWN if not site else THIRD if domain != site else FIRST
    else:
        party = THIRD if third else FIRST
    letters, quarters, alike = likeness(domain, site) if site else (0, 0, 0)
    host, path, query = (min(len(part).bit_length(), 31) for part in parts_of(url))
    return (
        4 * kind + party,
        64 + kind,
        96 + host,
        128 + path,
        160 + query,
        192 + 10 * party + letters,
        224 + 5 * party + quarters,
        240 + 2 * party + alike,
        _whole(domain, buckets),
    )


@lru_cache(maxsize=1 << 16)  # a page asks the same domain for many things
def likeness(domain: str, site: str) -> tuple[int, int, int]:
    """Letters, quarters and ending, as above."""
    (one, _, ending), (other, _, its) = domain.partition("."), site.partition(".")
    a, b = (name.encode("utf-8", "surrogatepass")[:NAME_BYTES] for name in (one, other))
    longest = 0
    for at in range(len(a)):
        while at + longest < len(a) and a[at : at + longest + 1] in b:
            longest += 1
    return min(longest, MOST_LETTERS), 4 * longest // max(1, min(len(a), len(b))), int(ending == its)


@lru_cache(maxsize=1 << 16)
def _whole(domain: str, buckets: int) -> int:
    return bucket_of(b"d" + domain.encode("utf-8", "surrogatepass"), buckets, RESERVED)
