"""Captures: files that a user was sent, or that a browser was stopped in the middle of writing."""

from __future__ import annotations

import gzip
from typing import Final

from gossip.filterlists.captures import read_capture
from gossip.filterlists.features import TYPES
from gossip.filterlists.mask import masked
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.tally import Tally, told
from gossip.labelling import card_of
from ledger.errors import LocalError
from tests.fuzz.target import Target, file

HAR: Final = b"""{"log":{"version":"1.2","pages":[{"id":"page_1","title":"https://news.example/"},{"id":"p2","title":"Two"}],
"entries":[{"pageref":"page_1","_resourceType":"script","startedDateTime":"2026-01-01T00:00:01.250Z",
"request":{"url":"https://ads.example/x.js?a=1","headers":[{"name":"Cookie","value":"a=\\"b"}]},
"response":{"content":{"mimeType":"text/javascript","text":"[{\\u0000\\\\"}}},
{"pageref":"p2","request":{"url":"https://b.example/"},"response":{"content":{"mimeType":"text/html"}}},
{"request":{"url":"data:image/png;base64,AAAA"}}]}}"""
TABLE: Final = b"""+12\t||ads.example^\t--\tnews.example\t3\tGET\tscript\thttps://ads.example/x.js
+9\t\t\tnews.example\t1\tGET\txhr\thttps://c.example/\taliasURL=https://m.news.example/
"""
LIST: Final = b"""<details><summary>Logger output</summary>

```
+12
||ads.example^
--
news.example
3
GET
script
https://ads.example/x.js
```
</details>
| |
|:--- |
| +1 | `||a^\\|b` | -- | news.example | 3 | GET | css | `https://a.example/` |
"""
LINES: Final = b"""{"url":"https://ads.example/x.js","page":"https://news.example/","type":"script","label":"ad","time":1767225600.5}
{"url":"wss://\xc3\xbc.example/","frameUrl":"https://a.example/","cpt":"xhr","timeStamp":1767225600500}
"""
URLS: Final = b"# Monday\nhttps://ads.example/x.js\r\nhttps://news.example/\thttps://b.example/f.woff2\n"


def _capture(data: bytes) -> None:
    """It raises only for what cannot be opened: what is wrong comes as rows, and the last may end it."""
    tally = Tally()
    found = list(read_capture(file(data, "capture"), tally=tally))
    seen = [row for row in found if isinstance(row, Sighting)]
    assert len(seen) == tally.rows
    for row in seen:
        _ = row.domain, row.site, row.party
        assert row.type in TYPES
        (row.url + row.page).encode()
        assert masked(masked(row.url)) == masked(row.url)
    for error in found:
        assert isinstance(error, Sighting) or (error.why and "\n" not in str(error))
    "".join(told(tally)).encode()
    if not seen and found:
        assert isinstance(found[0], LocalError)
        raise found[0]


def _packed(data: bytes) -> None:
    """What is inside the gzip."""
    _capture(gzip.compress(data, 1, mtime=0))


CARD: Final = b"""{"format":"gossip-labelled/1","capture":"mon.har","sha256":"a2","day":"2026-01-01","lists":[
{"name":"Ads","path":"/a.txt","kind":"ad","version":"7","licence":"","date":"","sha256":"39"}],"kind":"HAR",
"labels":{"ad":3},"bad":{"its URL is missing":1},"left_out":{"data":1},"repeated":0,"notes":[]}"""


def _card(data: bytes) -> None:
    """What lies beside a labelled table, as whoever trains on that meets it."""
    table = file(data, "labelled/5d.json").with_suffix(".jsonl")
    card = card_of(table)
    assert card is not None
    assert card.rows == sum(card.labels.values())


TARGETS: Final = (
    Target("labelled-card", _card, lambda: [CARD], ("gossip.labelling.read_card",), own=True, slow=True),
    Target(
        "capture", _capture, lambda: [HAR, TABLE, LIST, LINES, URLS, gzip.compress(HAR, mtime=0)],
        ("gossip.filterlists.captures.read_capture", "gossip.filterlists.har.rows", "gossip.filterlists.url_list.rows",
         "gossip.filterlists.skim.Skimmer.text", "gossip.filterlists.request_lines.rows",
         "gossip.filterlists.ublock_log.rows"),
        words=(b'{"log":', b'"entries":[', b'"pages":[', b"[" * 300, b"https://[", b"data:", b"\xff\xfe", b"\\ud800",
               b"\xef\xbb\xbf", b"\t", b"```", b"| ", b"+1\n", b"aliasURL="),
        own=True, slow=True,
    ),
    Target("capture-packed", _packed, lambda: [HAR, TABLE], ("gossip.filterlists.captures.read_capture",),
           own=True, slow=True),
)  # fmt: skip
