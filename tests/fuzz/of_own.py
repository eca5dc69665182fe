"""What a user wrote by hand or got from a friend: calibrations, examples of a category, heads."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from gossip.filterlists.sighting import Sighting
from gossip.training.calibration import Calibration, calibrate
from gossip.training.examples import parse_example
from gossip.training.head import NONE, head_bytes, parse_head, train_head
from gossip.training.spec import FILTERLIST, ModelSpec
from tests.fuzz.target import Target

SPEC: Final = ModelSpec.parse(FILTERLIST.replace("65536", "1024"))
ROW: Final = Sighting(url="https://chat.example/live.js", page="https://news.example/", type="script")
EXAMPLES: Final = (
    b'{"url":"https://chat.example/live.js","page":"https://news.example/","type":"script","category":"chat"}\n',
    b'{"url":"wss://\xc3\xbc.example/","type":"sub_frame","third_party":true,"category":"none"}',
)


@cache
def _heads() -> tuple[bytes, ...]:
    hosts = [(kind, n) for kind in ("a", "b") for n in range(4)]
    rows = [Sighting(url=f"https://{kind}{n}.example/{kind}.js", page=f"https://s{n}.example/") for kind, n in hosts]
    body = np.zeros(SPEC.parameters, np.float32)
    return (head_bytes(train_head(SPEC, body, rows, ["a"] * 4 + [NONE] * 4)),)


@cache
def _calibrations() -> tuple[bytes, ...]:
    logits = np.random.default_rng(0).normal(0, 3, (200, 3))
    return Calibration().json, calibrate(logits, logits.argmax(1)).json


def _head(data: bytes) -> None:
    head = parse_head(data)
    scores = head.score(SPEC, [ROW])
    assert ((scores >= 0) & (scores <= 1)).all()
    assert head.name(scores[0])


def _calibration(data: bytes) -> None:
    found = Calibration.parse(data).apply(np.array([[0.0, 1, -1], [9, -90, 900]]))
    assert ((found >= 0) & (found <= 1)).all()


def _example(data: bytes) -> None:
    row, category = parse_example(data)
    _ = row.domain, row.site, row.party
    assert category


TARGETS: Final = (
    Target("head", _head, _heads, ("gossip.training.head.parse_head", "cli.heads.load"), own=True, slow=True),
    Target("calibration", _calibration, _calibrations, ("gossip.training.calibration.Calibration.parse",), own=True),
    Target(
        "example", _example, lambda: list(EXAMPLES),
        ("gossip.training.examples.parse_example", "cli.heads.read_examples"), own=True,
    ),
)  # fmt: skip
