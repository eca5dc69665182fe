"""The comparison: one model trained on everybody's data in one place, which is what a swarm gives up.

    python -m gossip.training.pooled model.json --data a.jsonl b.jsonl --validation held-out.jsonl

Same declaration, same local step, same start as a peer; only the data are together. Prints one JSON object:
`sites` for all held-out rows, and one for each group marked in them. The score is that of the last round, not
the best of all: nobody would know which that was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gossip.training.protocol import OwnData, Result
from gossip.training.worker import XLA_FLAGS

ROUNDS: Final = 60  # 3,840 steps of the filter-list model; its scores stop moving after a third of them


def pooled(
    model: str,
    files: Sequence[Path],
    validation: Path,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    cache: Path | None = None,
) -> dict[str, Result]:
    """Train on the union of `files`. Returns results for "sites" (all held-out rows) and for each group."""
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training.session import Session
    from gossip.training.spec import ModelSpec

    layout = ModelSpec.parse(model).layout()
    arithmetic = NumpyArithmetic()
    start = arithmetic.to_float32(arithmetic.start(layout, f"{seed:064x}"))
    own = OwnData.private(model, files, validation, seed.to_bytes(32, "big"))
    session, _, _ = Session.load(own, start, cache=cache)
    scored = session.fit(start, rounds)
    session.close()
    return {"sites": scored.swarm, **scored.groups} if scored.swarm else {}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m gossip.training.pooled")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=None)
    given = parser.parse_args(arguments)

    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")
    begun = time.monotonic()
    results = pooled(
        given.model.read_text("utf-8"),
        given.data,
        given.validation,
        rounds=given.rounds,
        seed=given.seed,
        cache=given.cache,
    )
    said: dict[str, object] = {name: {"pr_auc": each.pr_auc, "f1": each.f1} for name, each in results.items()}
    print(json.dumps({**said, "rounds": given.rounds, "seconds": round(time.monotonic() - begun, 2)}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
