"""A peer's directory with everything that its own scorer is made of, in two seconds and without training processes.

    three toy peers, each with invented sites --a few steps of gradient descent--> updates --> store
    the founder's own rows on disk, its own model in training.npz, what its last run was told

Hosts are invented: pages https://shopN.example/, ads at adsN.example and pixels at metricN.example, a few of each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cli.remembered import REMEMBERED, Remembered
from cli.settings import STORE
from gossip.filterlists.requests import read_requests
from gossip.training.blocks import Bags
from gossip.training.rows import bags_of
from gossip.training.scoring import MARK_SCALE, logits_of
from gossip.training.spec import FILTERLIST, ModelSpec
from ledger.canonical import decode_entry, encode_entry
from ledger.entry import Genesis
from ledger.store import PutMeta, Store
from tests.cli.test_ledger import stored
from tests.fold import toy

MODEL = ModelSpec.parse(FILTERLIST.replace("65536", "1024").replace('"norm0": 20.0', '"norm0": 2.0')).text
SPEC = ModelSpec.parse(MODEL)
STEPS = 12


@dataclass(frozen=True)
class OwnPeer:
    place: Path
    data: Path
    swarm: toy.Swarm
    alone: np.ndarray


def write_rows(path: Path, sites: range, *, kinds: int = 6) -> Path:
    """Rows of some sites: a page asks for things of its own, of ad hosts and of trackers, not all the same ones."""
    lines = []
    for site in sites:
        for n in range(6):
            of = (site * 7 + n * 3) % kinds
            for host, name, kind, label in (
                (f"shop{site}.example", f"img/{n}.png", "image", "benign"),
                (f"cdn{of}.example", f"lib/{n}/menu.js", "script", "benign"),
                (f"ads{of}.example", f"banner/{n}.js?slot={site}", "script", "ad"),
                (f"metric{of}.example", f"pixel.gif?uid=a{site}b{n}77", "image", "tracker"),
            ):
                url, page = f"https://{host}/{name}", f"https://shop{site}.example/"
                lines.append(json.dumps({"page": page, "url": url, "type": kind, "label": label}))
    path.write_text("\n".join(lines) + "\n")
    return path


def learn(path: Path, theta: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Some steps of plain gradient descent on all rows of a file."""
    rows = list(read_requests(path))
    bags = bags_of(SPEC, rows)
    theta = theta.astype(np.float32).copy()
    for _ in range(steps):
        logits = logits_of(SPEC, theta, bags)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        off = powers / powers.sum(1, keepdims=True)
        off[np.arange(len(rows)), bags.labels] -= 1
        theta -= 2.0 * gradient(bags, off / len(rows)).ravel()
    return theta


def gradient(bags: Bags, off: np.ndarray) -> np.ndarray:
    counts = np.diff(bags.offsets)
    table = np.zeros((SPEC.parameters // 3, 3), np.float32)
    np.add.at(table, bags.tokens, np.repeat(off / np.sqrt(np.maximum(counts, 1))[:, None], counts, axis=0))
    np.add.at(table, bags.marks, MARK_SCALE * off[:, None, :])
    return table


def own_peer(folder: Path, patch: pytest.MonkeyPatch) -> OwnPeer:
    """The founder's directory, `folder`/peer; and what it was made of."""
    patch.setattr(toy, "genesis", _genesis(toy.genesis))
    swarm = toy.Swarm(["birch", "cedar"])
    files = {
        "founder": write_rows(folder / "own.jsonl", range(24)),
        "birch": write_rows(folder / "birch.jsonl", range(100, 130), kinds=9),
        "cedar": write_rows(folder / "cedar.jsonl", range(200, 206)),
    }
    for _ in range(3):
        for name, file in files.items():
            peer = swarm[name]
            theta = peer.theta
            peer.publish(learn(file, theta) - theta)
            swarm.exchange()
    swarm.founder.snapshot()
    swarm.exchange()
    place = stored(folder / "peer", swarm)
    alone = learn(files["founder"], np.zeros(SPEC.parameters), 3 * STEPS)
    zero = np.zeros(SPEC.parameters, np.float32)
    np.savez(
        place / "training.npz", alone=alone, residual=zero, before=zero, delta=np.str_(""), rounds=np.int64(3),
        noisy=np.bool_(False),
    )  # fmt: skip
    with Store(place / STORE) as store:
        store.commit([PutMeta(REMEMBERED, msgspec.json.encode(Remembered(data=[str(files["founder"])])))])
    return OwnPeer(place, files["founder"], swarm, alone)


def _genesis(plain):  # type: ignore[no-untyped-def]
    def made(**wanted: object) -> bytes:
        first = decode_entry(plain(**wanted))
        assert isinstance(first, Genesis)
        return encode_entry(msgspec.structs.replace(first, model=MODEL, layout=SPEC.layout()))

    return made
