"""Training without a swarm: one owner's data in, a model that scores out (gossip/model_file.py).

    files --Session--> rows, held-out rows --rounds of the same local step as a peer's--> weights
    held-out rows, weights --calibrate--> probabilities, threshold --> ModelFile, Judged

The declaration, the split by site, the start and the step are those of a peer, so what `gossip train` gives is what a
peer would have alone. The score is that of the last round, not the best of all: nobody would know which that was.
Held-out rows calibrate the model and judge it. Ranking (PR-AUC, AUC) is not touched by that. F1 is that of thresholds
chosen on one half of the held-out sites and tried on the other (personal.py); precision and recall at the threshold
that the file keeps are measured on the very rows it was chosen on.

On one machine and for one seed the weights are the same bit for bit. This is the door to jax: importing this file loads
none. It refuses to know captures, lists and where the model is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gossip.model_file import ModelFile, Trained
from gossip.training.calibration import UNCALIBRATED, Against, Calibration
from gossip.training.metrics import area_under_roc
from gossip.training.own_rows import OwnRows, read_own_rows
from gossip.training.personal import Judges, personal
from gossip.training.protocol import OwnData, Progress
from gossip.training.scoring import Theta, logits_of
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

ROUNDS: Final = 60  # 3,840 steps of the filter-list model; its scores stop moving after a third of them
CLASSES: Final = ("benign", "ad", "tracker")
Told = Callable[[int, int, str], None]  # done, of how much, what


@dataclass(frozen=True, slots=True)
class Judged:
    """How a model does on rows it was not trained on. What the figures are worth: see above."""

    rows: int
    positives: int  # to be blocked
    sites: int
    pr_auc: float
    low: float | None  # 95% of bootstraps over sites; None with too few sites
    high: float | None
    auc: float
    f1: float
    precision: float
    recall: float
    new_rows: int  # to third parties that no row trained on goes to
    new_pr_auc: float | None


@dataclass(frozen=True, slots=True)
class Alone:
    model: ModelFile
    judged: Judged | None  # None: no row was held out
    duplicates: int
    conflicts: int


def train_alone(
    model: str,
    files: Sequence[Path],
    validation: Path | None = None,
    *,
    lists: Sequence[Path] = (),
    licence: str = "",
    against: Against = "labels",
    rounds: int = ROUNDS,
    seed: int = 0,
    cache: Path | None = None,
    told: Told = lambda done, of, what: None,
) -> Alone:
    """Train the declared model on labelled files. `against`: whether their labels are those of the owner's list alone
    (calibration.py). LocalError about the declaration, the data or the lists; Diverged if
    training leads nowhere."""
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training.divergence import check_change
    from gossip.training.session import Session
    from gossip.training.worker import XLA_FLAGS

    os.environ.update(XLA_FLAGS=XLA_FLAGS, JAX_PLATFORMS="cpu")  # read by jax when it is imported
    spec = ModelSpec.parse(model)
    require_requests(spec)
    arithmetic = NumpyArithmetic()
    start = arithmetic.to_float32(arithmetic.start(spec.layout(), f"{seed:064x}"))
    own = OwnData.private(model, files, validation, seed.to_bytes(32, "big"))
    session, loaded, _ = Session.load(own, start, cache=cache, licence=licence, lists=lists, progress=_reading(told))
    try:
        theta = session.fitted(start, rounds, lambda done: told(done, rounds, "rounds"))
        check_change(theta - start)
    finally:
        session.data.rows.close()
    rows = read_own_rows(spec, files, validation)
    calibration, judged = calibrated(spec, theta, rows, against)
    sources = len(loaded.sources) - len(lists)
    trained = Trained(
        sources=loaded.sources[:sources], lists=loaded.sources[sources:], labels=loaded.labels,
        held_out=judged.rows if judged else 0, rounds=rounds, seed=seed, generator=loaded.generator,
        suffixes=loaded.suffixes,
    )  # fmt: skip
    found = ModelFile(spec, np.asarray(theta, np.float32), calibration, trained)
    return Alone(found, judged, loaded.duplicates, loaded.conflicts)


def require_requests(spec: ModelSpec) -> None:
    """LocalError if the model does not tell ads, trackers and the benign apart."""
    if sorted(spec.classes) != sorted(CLASSES) or spec.feature_spec.startswith("numbers"):
        raise LocalError(
            "this model does not score requests", why=f"its classes are {', '.join(spec.classes)[:80]}",
            next_step=f"declare one of requests, with the classes {', '.join(CLASSES)}",
        )  # fmt: skip


def calibrated(
    spec: ModelSpec, theta: Theta, rows: OwnRows | None, against: Against = "labels"
) -> tuple[Calibration, Judged | None]:
    """What rows that a model was not trained on say of it."""
    if rows is None:
        return UNCALIBRATED, None
    order = [spec.classes.index(name) for name in CLASSES]
    logits, labels = logits_of(spec, theta, rows.bags)[:, order], np.argsort(order)[rows.bags.labels]
    found = personal(logits, None, Judges(labels, rows.sites, rows.new), against)
    calibration, gains = found.calibration, found.gains
    return calibration, Judged(
        rows=gains.rows, positives=gains.positives, sites=gains.sites, pr_auc=gains.swarm.pr_auc, low=gains.swarm.low,
        high=gains.swarm.high, auc=area_under_roc(calibration.apply(logits)[:, 2], labels != 0), f1=gains.swarm.f1,
        precision=calibration.precision, recall=calibration.recall, new_rows=gains.new_rows,
        new_pr_auc=gains.swarm.new_pr_auc,
    )  # fmt: skip


def _reading(told: Told) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.state == "reading data":
            told(progress.bytes, progress.of, "bytes read")

    return tell
