"""Makes the vectors of docs/fold.md in tests/vectors/: `python -m tests.fold.vectors` writes them anew.

Everything in them comes from integers and seeds, so every machine writes the same bytes; test_vectors.py compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from ledger.delta import MAX_EXPONENT, MIN_EXPONENT, Delta, encode, norm
from ledger.entry import Accuse, Hash, Tensor, Update
from ledger.fold import Fold, PlainArithmetic
from ledger.replica import LogId, Replica
from tests.fold.judging import housed_swarm, judged_swarm
from tests.fold.members import membered_swarm
from tests.fold.stories import busy_swarm, checked_entries, named_terms, named_weights, troubled_swarm
from tests.fold.toy import Swarm

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def all_vectors() -> dict[str, Any]:
    return {
        "fold-delta.json": {"accept": accepted(), "reject": rejected()},
        "fold-start.json": starts(),
        "fold-swarm.json": swarm(busy_swarm(4, events=75)),
        "fold-forks.json": swarm(troubled_swarm(43, events=40)),
        "fold-verdicts.json": swarm(judged_swarm(47, events=70)),
        "fold-members.json": swarm(membered_swarm(10, events=34)),
        "fold-houses.json": swarm(housed_swarm(5, events=64)),
    }


def spelled(vectors: Any) -> str:
    return json.dumps(vectors, indent=1, sort_keys=True) + "\n"


def accepted() -> list[dict[str, Any]]:
    luck = Random("deltas")
    every = tuple(range(-127, 128))
    cases = {
        "dense, one block": Delta(3, None, (-24,), (1, -2, 127)),
        "dense, every value, two blocks": Delta(510, None, (-24, -4), every + every),
        "sparse, nothing kept": Delta(5, (), (), ()),
        "sparse, first and last": Delta(1000, (0, 999), (-4,), (127, -127)),
        "sparse, gaps of one to three bytes": Delta(70_000, (127, 255, 384, 17_000, 69_999), (-10,), (1, 2, 3, 0, -5)),
        "sparse, zeros are allowed": Delta(9, (2, 3), (-12,), (0, 0)),
        "sparse, 257 kept values": Delta(
            5000, tuple(sorted(luck.sample(range(5000), 257))), (MIN_EXPONENT, MAX_EXPONENT), (127,) * 257
        ),
    }
    return [
        {
            "name": name, "parameters": delta.parameters, "blob": encode(delta).hex(), "norm": norm(delta),
            "worths": [[index, worth] for index, worth in delta.terms()],
        }
        for name, delta in cases.items()
    ]  # fmt: skip


def rejected() -> list[dict[str, Any]]:
    good = encode(Delta(1000, (5, 300), (-10,), (3, -4)))
    dense = encode(Delta(3, None, (-24,), (1, -2, 127)))
    head, gaps = good[:13], 13

    def case(name: str, blob: bytes, parameters: int = 1000) -> dict[str, Any]:
        return {"name": name, "parameters": parameters, "blob": blob.hex()}

    return [
        case("empty", b""),
        case("cut within the header", good[:12]),
        case("another magic", b"GSD2" + good[4:]),
        case("form 2", good[:4] + b"\x02" + good[5:]),
        case("for another number of parameters", good, 999),
        case("dense that keeps less than all", dense[:9] + (2).to_bytes(4, "little") + dense[13:-1], 3),
        case("sparse that keeps all", encode(Delta(2, (0, 1), (-10,), (1, 1))), 2),
        case("one byte too many", good + b"\x00"),
        case("one byte too few", good[:-1]),
        case("trailing byte after dense", dense + b"\x00", 3),
        case("a gap not minimal", head + b"\x85\x00" + good[gaps + 1 :]),
        case("a gap that never ends", head + b"\x85\xa6" + good[gaps + 3 :]),
        case("a gap of five bytes", head + b"\x05\x80\x80\x80\x80\x01" + good[gaps + 3 :]),
        case("an index beyond the model", encode(Delta(1000, (5, 1000), (-10,), (3, -4)))),
        case("exponent -25", good[:-3] + b"\xe7" + good[-2:]),
        case("exponent -3", good[:-3] + b"\xfd" + good[-2:]),
        case("value -128", good[:-1] + b"\x80"),
        case("more kept values than bytes", good[:9] + b"\xff\xff\xff\x0f" + good[13:], 1 << 28),
    ]


def starts() -> list[dict[str, Any]]:
    cases = [
        ("11" * 32, [Tensor(name="w", shape=[3, 3], bound=1 << 20), Tensor(name="b", shape=[3], bound=0)]),
        ("ab" * 32, [Tensor(name="a", shape=[1], bound=1), Tensor(name="z", shape=[2, 1, 9], bound=(1 << 31) - 1)]),
    ]
    vectors = []
    for seed, layout in cases:
        fold = Fold(layout, seed, PlainArithmetic())
        vectors.append({
            "seed": seed, "layout": [{"name": t.name, "shape": t.shape, "bound": t.bound} for t in layout],
            "theta40": fold.theta.tolist(), "model_hash": fold.model_hash(),
        })  # fmt: skip
    return vectors


def swarm(story: Swarm) -> dict[str, Any]:
    """A whole small swarm, and what follows from its entries. `terms` are what is in the sum, by entry hash."""
    replica = story.founder.replica
    blobs = {delta: story.founder.blobs[delta].hex() for log in replica.heads() for delta in named_blobs(replica, log)}
    return {
        "swarm": story.swarm, "founder": story.founder_id,
        "entries": [checked.data.decode() for _, checked in checked_entries(story)],
        "blobs": blobs, "left_out": sorted(checked.hash for _, checked in checked_entries(story) if checked.refused),
        "weights": named_weights(replica), "terms": sorted(named_terms(replica)),
        "model_hash": story.founder.model_hash(),
    }  # fmt: skip


def named_blobs(replica: Replica, log: LogId) -> Iterator[Hash]:
    """The deltas of updates that the policy let in, and the evidence of accusations."""
    for seq in range(replica.size(log)):
        match replica.entry(log, seq):
            case Update(delta=delta) if replica.weight_of(log, seq) is not None:
                yield delta
            case Accuse(evidence=evidence):
                yield evidence


def main() -> None:
    VECTORS.mkdir(exist_ok=True)
    for name, vectors in all_vectors().items():
        (VECTORS / name).write_text(spelled(vectors), encoding="ascii")


if __name__ == "__main__":
    main()
