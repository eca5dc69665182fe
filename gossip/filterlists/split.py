"""Who gets which requests: a split by site, the same every time for the same seed.

A *site* is the registrable domain of the page. Requests of one page look alike, so a split by row would
leave every held-out row a twin in training and prove little; here no site is on both sides, and held-out
sites are seen by nobody. Peers are unequal on purpose, as people's browsing is.

The public-suffix list is the one bundled with tldextract, never fetched: it changes features and splits.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DEMO_TABLE: Final = Path(__file__).resolve().parent.parent / "data" / "sitelist-2015.jsonl.gz"
DEMO_LICENCE: Final = "MPL-2.0"  # of that table: data/NOTICE
HELD_OUT: Final = 0.25  # of all rows: sites that no peer trains on

_PLAIN: Final = re.compile(r"(?:https?|wss?)://([A-Za-z0-9._-]+)(?::[0-9]{1,5})?(?=[/?#]|\Z)")

DEFAULT_SHARES: Final = (45.0, 30.0, 17.0, 8.0)  # percent of the training rows, for the four peers of the demo


@cache
def _extract() -> Callable[[str], str]:
    import tldextract  # a tenth of a second: only for who needs it

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    return lambda host: extract.extract_str(host).top_domain_under_public_suffix


@lru_cache(maxsize=1 << 16)  # hosts repeat; a bound, because files can have millions of rows
def registrable(host: str) -> str:
    """The part of a host name that somebody registered (`a.b.co.uk` -> `b.co.uk`), or the host itself."""
    return _extract()(host) or host


def host_of(url: str) -> str:
    """The host as urllib sees it, in small letters; "" if there is none, or none that can be read."""
    if plain := _PLAIN.match(url):  # nearly all; three times as fast
        return plain[1].lower()
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:  # "http://[bad": urlsplit checks brackets
        return ""


def is_suffix(host: str) -> bool:
    """Whether anybody may register names right under this one (`co.uk`)."""
    return _extract()("any." + host) == "any." + host


def suffix_rules() -> tuple[str, ...]:
    """The rules of the public-suffix list that `registrable` goes by, sorted: `com`, `co.uk`, `*.ck`, `!www.ck`."""
    import tldextract

    return tuple(sorted(tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None).tlds))


@cache
def suffixes() -> str:
    """The version of the public-suffix list that `registrable` goes by, as the list itself states it:
    "2025-04-07_15-51-09_UTC"; "" if it states none."""
    bundled = files("tldextract").joinpath(".tld_set_snapshot")
    with bundled.open(encoding="utf-8") as lines:
        for line in islice(lines, 40):
            if line.startswith("// VERSION: "):
                return line.removeprefix("// VERSION: ").strip()
    return ""


def site_of(page: str) -> str:
    """The site a page belongs to; "" if the page has no host."""
    return registrable(host_of(page))


@dataclass(frozen=True, slots=True)
class Share:
    """What `write_demo` wrote: each peer's file with its number of rows, and the held-out one."""

    peers: tuple[tuple[Path, int], ...]  # largest first
    validation: Path
    held_out: int


def deal(sizes: Mapping[str, int], shares: Sequence[float], seed: int) -> dict[str, int]:
    """Give each site to one holder, so that holder i ends with about shares[i] of all rows. Returns site -> holder.

    Sites are taken in an order drawn from the seed, each by the holder that lacks the largest part of its share.
    """
    order = sorted(sizes, key=lambda site: hashlib.sha256(f"gossip/split/1\n{seed}\n{site}".encode()).digest())
    total = sum(sizes.values()) or 1
    want = [share / sum(shares) * total for share in shares]
    got = [0] * len(shares)
    holder: dict[str, int] = {}
    for site in order:
        neediest = max(range(len(shares)), key=lambda i: (1 - got[i] / want[i], -i))
        holder[site] = neediest
        got[neediest] += sizes[site]
    return holder


def shares_of(peers: int) -> tuple[float, ...]:
    """Unequal shares for any number of peers: the demo's own for four, else each two thirds of the one before."""
    return DEFAULT_SHARES if peers == len(DEFAULT_SHARES) else tuple((2 / 3) ** i for i in range(peers))


def is_held_out(site: str, share: float) -> bool:
    """Whether a peer keeps this site for judging its own model. Depends on the name alone, so it never changes."""
    return int.from_bytes(hashlib.sha256(b"gossip/held-out/1\n" + site.encode()).digest()[:4], "big") < share * 2**32


def write_demo(place: Path, *, peers: int, seed: int, table: Path = DEMO_TABLE) -> Share:
    """Write one file per peer and one of held-out sites into `place`.

    Held-out requests to a third party that no training row of any peer knows get `"group": "domains"`: unseen
    sites are the headline, unseen domains the harder question beside it.
    """
    with gzip.open(table, "rb") if table.suffix == ".gz" else table.open("rb") as lines:
        rows: list[dict[str, object]] = [json.loads(line) for line in lines]
    sites = [site_of(str(row["page"])) for row in rows]
    domains = [registrable(urlsplit(str(row["url"])).hostname or "") for row in rows]
    training = [share * (1 - HELD_OUT) for share in _normalised(shares_of(peers))]
    holder = deal(Counter(sites), (*training, HELD_OUT), seed)

    known = {domain for domain, site in zip(domains, sites, strict=True) if holder[site] < peers}
    files: list[list[str]] = [[] for _ in range(peers + 1)]
    for row, site, domain in zip(rows, sites, domains, strict=True):
        if holder[site] == peers and domain not in known and row["third_party"]:
            row = {**row, "group": "domains"}
        files[holder[site]].append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"peer{i + 1}.jsonl" for i in range(peers)] + [place / "held-out.jsonl"]
    for path, lines_of in zip(paths, files, strict=True):
        path.write_text("".join(line + "\n" for line in lines_of), "utf-8")
    sized = sorted(zip(paths[:-1], map(len, files[:-1]), strict=True), key=lambda pair: -pair[1])
    return Share(tuple(sized), paths[-1], len(files[-1]))


def _normalised(shares: Sequence[float]) -> list[float]:
    return [share / sum(shares) for share in shares]
