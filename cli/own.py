"""What this machine's peer scores with: the swarm's model, its own, and its own held-out rows to calibrate them by.

The data are those that the last run was told of (cli/remembered.py); a node may run or not. Where they cannot be read
any more, one line says so, and the swarm's model alone scores, uncalibrated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli import remembered, render
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.advisor.scorer import Scorer
    from gossip.own_scorer import OwnData
    from gossip.training.personal import Personal


def personalised(swarm: Scorer, place: Path) -> Scorer:
    """The scorer of the peer at `place`, whose swarm's is `swarm`."""
    from gossip.own_scorer import own_scorer

    try:
        return own_scorer(swarm, place, own_data(place))[0]
    except LocalError as error:
        render.complain(f"{error}; so the swarm's model scores as it is, uncalibrated")
        return swarm


def judged_into(scorer: Scorer, place: Path) -> Scorer:
    """The same with what its owner has judged put in (gossip/training/corrections.py): at once, before any training."""
    from gossip.judgements import judgements_path, read_standing
    from gossip.training.corrections import corrected

    try:
        standing = read_standing(judgements_path(place))
    except LocalError as error:
        render.complain(f"{error}; so what you have judged is left out")
        return scorer
    return scorer.mapped(lambda theta: corrected(scorer.spec, theta, standing)) if standing else scorer


def own_data(place: Path) -> OwnData:
    from gossip.own_scorer import OwnData

    last = remembered.last_run(place)
    return OwnData(
        tuple(Path(path) for path in last.data),
        Path(last.validation) if last.validation else None,
        "own list" if last.unlabelled else "labels",
    )


def judged(swarm: Scorer, place: Path) -> tuple[Scorer, Personal]:
    """The same with what own rows say. LocalError if there are none."""
    from gossip.own_scorer import own_scorer

    scorer, found = own_scorer(swarm, place, own_data(place))
    if found is None:
        raise LocalError(
            "there is nothing to compare by", why="this peer holds no rows back, or has no data",
            next_step="give it data: gossip run --data FILE, or a held-out file: --validation FILE",
        )  # fmt: skip
    return scorer, found
