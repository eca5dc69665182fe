"""What the JavaScript scorer has to say, request by request, worked out in Python in double precision.

python -m tests.exports.js_vectors      writes tests/vectors/js-scorer.json anew

A URL is given in pieces, each so many times, so that one of a megabyte takes a line. Buckets are given as their number
and the SHA-256 of all of them (uint16, little-endian): equal hashes, equal buckets. `p` is of the two models below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from gossip.exports.outgoing import Outgoing
from gossip.filterlists import features
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import host_of, registrable
from gossip.training.calibration import Calibration, Line
from gossip.training.rows import bags_of
from gossip.training.scoring import split
from gossip.training.spec import FILTERLIST, Dense, EmbeddingBag, ModelSpec, Relu
from tests.training.test_spec import changed

VECTORS: Final = Path(__file__).resolve().parent.parent / "vectors" / "js-scorer.json"
Pieces = list[tuple[str, int]]
FLAT: Final = changed(
    FILTERLIST,
    features={"kind": "url-grams/1", "buckets": 16384, "grams_per_row": 256},
    layers=[{"kind": "embedding_bag", "buckets": 16384, "units": 3}],
)
DEEP: Final = changed(
    FILTERLIST,
    classes=["tracker", "benign", "ad"],
    features={"kind": "url-grams/1", "buckets": 1024, "grams_per_row": 64},
    layers=[
        {"kind": "embedding_bag", "buckets": 1024, "units": 4}, {"kind": "tanh"}, {"kind": "dense", "units": 6},
        {"kind": "relu"}, {"kind": "dense", "units": 3},
    ],
)  # fmt: skip
CONTEXT: Final = changed(
    FILTERLIST,
    features={"kind": "url-grams/2", "buckets": 4096, "grams_per_row": 64},
    layers=[{"kind": "embedding_bag", "buckets": 4096, "units": 3}],
)
CALIBRATION: Final = Calibration(
    block=Line(scale=1.08, offset=-0.31), kind=Line(scale=0.9, offset=0.2), threshold=0.5, precision=0.99,
    precision_at_least=0.97, recall=0.8, rows=402, positives=155, measured=True,
)  # fmt: skip


def model(name: str, text: str) -> Outgoing:
    """Weights that need no file: multiples of 2^-10, exact as float32."""
    spec = ModelSpec.parse(text)
    theta = [((number * 2654435761 % (1 << 32)) >> 22) / 1024 - 0.5 for number in range(spec.parameters)]
    return Outgoing(spec, np.array(theta, np.float32), name, CALIBRATION)


MODELS: Final = {"flat": model("flat", FLAT), "deep": model("deep", DEEP), "context": model("context", CONTEXT)}
PAGE: Final = "https://www.news.example.co.uk/today?id=1"
ODD: Final[tuple[Pieces, ...]] = (
    [("", 1)], [("#", 1)], [("?", 1)], [("/", 1)], [("://", 1)], [("http://", 1)], [("https://?", 1)],
    [("https://a.test", 1)], [("https://a.test/", 1)], [("https://a.test?", 1)], [("https://a.test/?", 1)],
    [("https://a.test#frag://x", 1)], [("https://a.test/#", 1)], [("HTTPS://ADS.Example.CO.UK/BANNER/X.JS?CB=1", 1)],
    [("https://user:pw@a.test:8443/x", 1)], [("https://a@b@c.test/x", 1)], [("http://10.0.0.1:8080/p.gif", 1)],
    [("http://[2001:db8::1]:80/x", 1)], [("http://[bad/x", 1)], [("http://bad]/x", 1)], [("//cdn.test/x.js", 1)],
    [("cdn.test/x.js", 1)], [("data:text/plain,hello", 1)], [("blob:https://a.test/1-2-3", 1)],
    [("about:blank", 1)], [("chrome-extension://abcdef/x.js", 1)], [("wss://s.test/socket", 1)],
    [(" https://a.test/led by a blank", 1)], [("\thttps://a.te\nst/cut\r", 1)], [("https://a.test/%2F%3f%23%", 1)],
    [("https://a.test/%E2%82%AC?%zz", 1)], [("https://bücher.test/Straße?q=ÄÖÜ", 1)], [("https://a.test/😀?😀=1", 1)],
    [("https://xn--bcher-kva.test/x", 1)], [("https://почта.рф/ящик", 1)], [("https://a.b.xn--p1ai/x", 1)],
    [("https://a.test/\ud83d", 1)], [("https://a.test/\udc00\ud800?x", 1)], [("https://a.test/\x00\x01\x7f", 1)],
    [("https://a.test./dot", 1)], [("https://.test/x", 1)], [("https://a..test/x", 1)], [("https://co.uk/x", 1)],
    [("https://www.ck/x", 1)], [("https://a.b.ck/x", 1)], [("https://ck/x", 1)], [("https://x.city.kobe.jp/x", 1)],
    [("https://a.b.kobe.jp/x", 1)], [("https://a.github.io/x", 1)], [("https://localhost:3000/x", 1)],
    [("https://a。test/x", 1)], [("https://a.co。uk/x", 1)], [("https://ℂ.test/x", 1)], [("https://a℀b.test/x", 1)],
    [("https://px.test/www.NEWS.example.co.uk/%77ww.news.example.co.uk?x=%2e", 1)], [("https://examples-cdn.com/x", 1)],
    [("https://my-example.co.uk/x", 1)], [("https://exam.co.uk/x", 1)], [("https://bücherexample.de/x", 1)],
    [("https://px.test/?", 1), ("%65xample.co.uk", 60_000)], [("https://", 1), ("example", 9), (".org/x", 1)],
    [("https://news.example.co.uk/own.js", 1)], [("https://cdn.example.co.uk:444/own.js", 1)],
    [("https://a.test/", 1), ("a", 1_000_000)], [("https://", 1), ("h", 1_000_000)],
    [("https://a.test/x?", 1), ("k=v&", 250_000)], [("https://a.test/", 1), ("é/", 200)],
    [("https://", 1), ("very-long-label.", 9), ("test/", 1), ("p", 127)], [("https://", 1), ("h", 63), ("/", 1)],
    [("https://", 1), ("h", 64), ("/", 1)], [("https://a.test/", 1), ("p", 128), ("?", 1), ("q", 64)],
)  # fmt: skip
HOSTS: Final = (
    "ads.test",
    "a.b.c.ads.test",
    "cdn.media.example.com",
    "px.example.org:8080",
    "Track.Example.NET",
    "192.0.2.7",
)
WORDS: Final = (
    "banner",
    "pixel.gif",
    "collect",
    "js",
    "api/v1",
    "Sync",
    "static",
    "300x250",
    "%20",
    "é",
    "~",
    "a=b;c",
    "..",
)


PAIRED: Final = (  # a page, and what it asks for
    ("https://www.longnewspaper.test/", "https://cdn.longnewspaper.example.com/x.js"),
    ("https://www.longnewspaper.test/", "https://longnewspaper.test/x.js"),
    ("https://www.longnewspaper.com/", "https://longnewspaper-static.com/x.js"),
    ("https://localhost/", "https://localhost:3000/x.js"),
    (f"https://{'n' * 40}.com/", f"https://{'m' * 30}nnnn.com/x"),
    ("no page", "https://ads.test/x.js"),
    (PAGE, "https://px.test/?u=https%3A%2F%2Fwww.news.example.co.uk%2Ftoday"),
    (PAGE, "https://px.test/?r=example.co.uk&%zz"),
    (PAGE, "https://px.test/www.NEWS.example.co.uk/%77ww.news.example.co.uk?x=%2e"),
    (PAGE, "https://px.test/%65xample.co.uk?%65xample.co.u%6B"),
    (PAGE, "https://examples-cdn.com/x"),
    (PAGE, "https://exam.co.uk/x"),
    ("https://www.bücherladen.test/", "https://bücherexample.test/bücherladen.test"),
)


def drawn(count: int) -> Iterator[Pieces]:
    luck = Random(7)

    def one(of: tuple[str, ...]) -> str:
        return of[int(luck.random() * len(of))]

    for _ in range(count):
        path = "".join("/" + one(WORDS) for _ in range(int(luck.random() * 6)))
        query = "&".join(f"{one(WORDS)}={int(luck.random() * 1e6)}" for _ in range(int(luck.random() * 4)))
        yield [(f"{one(('http', 'https', 'wss'))}://{one(HOSTS)}{path}{'?' + query if query else ''}", 1)]


def joined(pieces: Pieces) -> str:
    return "".join(text * times for text, times in pieces)


def sightings() -> list[tuple[Pieces, Sighting]]:
    paired: list[tuple[Pieces, Sighting]]
    pages = (PAGE, "", "https://ads.test/", "http://192.0.2.7/", "https://www.example.com/")
    types = (*features.TYPES, "no such type")
    paired = [([(url, 1)], Sighting(url=url, page=page, type="script")) for page, url in PAIRED]
    return paired + [
        (
            pieces,
            Sighting(
                url=joined(pieces), page=pages[number % len(pages)], type=types[number % len(types)],
                third_party=(None, None, True, False)[number % 4],
            ),
        )
        for number, pieces in enumerate([*ODD, *drawn(240)])
    ]  # fmt: skip


@cache
def plain(name: str) -> tuple[Any, ...]:
    """The tensors of a model as lists of numbers."""
    model = MODELS[name]
    return tuple(tensor.astype(np.float64).tolist() for tensor in split(model.theta, model.spec))


def probabilities(model: Outgoing, grams: list[int], marks: list[int]) -> list[float]:
    """In double precision, one number after the other."""
    tensors = list(plain(model.name))
    hidden: list[float] = []
    for layer in model.spec.layers:
        if isinstance(layer, EmbeddingBag):
            table = tensors.pop(0)
            root = math.sqrt(max(1, len(grams)))
            hidden = [
                math.fsum(table[at][unit] for at in grams) / root + 0.5 * math.fsum(table[at][unit] for at in marks)
                for unit in range(layer.units)
            ]
        elif isinstance(layer, Dense):
            weight, bias = tensors.pop(0), tensors.pop(0)
            hidden = [
                math.fsum(x * row[unit] for x, row in zip(hidden, weight, strict=True)) + bias[unit]
                for unit in range(layer.units)
            ]
        else:
            hidden = [max(x, 0.0) if isinstance(layer, Relu) else math.tanh(x) for x in hidden]
    benign, ad, tracker = (hidden[model.spec.classes.index(name)] for name in ("benign", "ad", "tracker"))
    top = max(ad, tracker)
    block = top + math.log(math.exp(ad - top) + math.exp(tracker - top)) - benign
    fitted = model.calibration
    p_block = 1 / (1 + math.exp(-(fitted.block.scale * block + fitted.block.offset)))
    p_ad = p_block / (1 + math.exp(-(fitted.kind.scale * (ad - tracker) + fitted.kind.offset)))
    return [p_ad, p_block - p_ad, p_block]


def request(pieces: Pieces, row: Sighting) -> dict[str, Any]:
    found: dict[str, Any] = {"url": pieces, "page": row.page, "type": row.type}
    if row.third_party is not None:
        found["third_party"] = row.third_party
    found["party"], found["host"] = row.party, host_of(row.url) if len(row.url) < 2_000 else None
    for name, each in MODELS.items():
        bags = bags_of(each.spec, [row])
        found[name] = {
            "grams": [len(bags.tokens), sha256(bags.tokens.astype("<u2").tobytes()).hexdigest()],
            "marks": bags.marks[0].tolist(),
            "p": [round(value, 8) for value in probabilities(each, bags.tokens.tolist(), bags.marks[0].tolist())],
        }
    return found


def vectors(longest: int = 1 << 21) -> dict[str, list[Any]]:
    """Of the requests whose URLs are not longer."""
    rows = [(pieces, row) for pieces, row in sightings() if len(row.url) <= longest]
    short = [row for _, row in rows if len(row.url) < 2_000]
    hosts = sorted({host_of(row.url) for row in short} | {host_of(row.page) for row in short})
    return {
        "requests": [request(pieces, row) for pieces, row in rows],
        "domains": [[host, registrable(host)] for host in hosts],
    }


def text(longest: int = 1 << 21) -> str:
    parts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row, sort_keys=True) for row in rows) + "\n]"
        for name, rows in vectors(longest).items()
    ]
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    VECTORS.write_text(text(), "utf-8")
