"""Training without a swarm: one owner's data in, a model that scores out (gossip/model_file.py).

    files --Session--> rows, held-out rows --rounds of the same local step as a peer's--> weights
    held-out rows, weights --calibrate--> probabilities, threshold --> ModelFile, Judged

The declaration, the split by site, the start and the step are those of a peer, so what `gossip train` gives is what a
peer would have alone. The score is that of the last round, not the best of all: nobody would know which that was.
Held-out rows calibrate the model and judge it; ranking (PR-AUC, AUC) is not touched by that, but F1, precision and
recall at the threshold are measured on the very rows that the threshold was chosen on.

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
from numpy.typing import NDArray

from gossip.model_file import ModelFile, Trained
from gossip.training.blocks import Block
from gossip.training.calibration import UNCALIBRATED, Calibration, calibrate
from gossip.training.metrics import area_under_roc, average_precision
from gossip.training.protocol import OwnData, Progress
from gossip.training.scoring import Theta, logits_of
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

ROUNDS: Final = 60  # 3,840 steps of the filter-list model; its scores stop moving after a third of them
CLASSES: Final = ("benign", "ad", "tracker")
Told = Callable[[int, int, str], None]  # done, of how much, what


@dataclass(frozen=True, slots=True)
class Judged:
    """How a model does on the rows it was not trained on. Of `precision` and the others see above."""

    rows: int
    positives: int
    pr_auc: float
    auc: float
    f1: float
    precision: float
    recall: float


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
    rounds: int = ROUNDS,
    seed: int = 0,
    cache: Path | None = None,
    told: Told = lambda done, of, what: None,
) -> Alone:
    """Train the declared model on labelled files. LocalError about the declaration, the data or the lists; Diverged if
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
        held_out = session.data.held_out
        calibration, judged = calibrated(spec, theta, held_out)
    finally:
        session.data.rows.close()
    sources = len(loaded.sources) - len(lists)
    trained = Trained(
        sources=loaded.sources[:sources], lists=loaded.sources[sources:], labels=loaded.labels,
        held_out=loaded.held_out, rounds=rounds, seed=seed, generator=loaded.generator, suffixes=loaded.suffixes,
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


def calibrated(spec: ModelSpec, theta: Theta, held_out: Block | None) -> tuple[Calibration, Judged | None]:
    """What rows that a model was not trained on say of it."""
    if held_out is None or not len(held_out):
        return UNCALIBRATED, None
    order = [spec.classes.index(name) for name in CLASSES]
    logits = logits_of(spec, theta, held_out)[:, order]
    labels = np.argsort(order)[held_out.labels]
    calibration = calibrate(logits, labels)
    return calibration, judged(calibration, logits, labels)


def judged(calibration: Calibration, logits: NDArray[np.float32], labels: NDArray[np.integer]) -> Judged:
    """Figures of rows with these logits and labels (0 benign, 1 ad, 2 tracker) under a calibration."""
    p_block, positive = calibration.apply(logits)[:, 2], labels != 0
    blocked = p_block >= calibration.threshold
    right = int((blocked & positive).sum())
    precision, recall = right / max(1, int(blocked.sum())), right / max(1, int(positive.sum()))
    return Judged(
        rows=len(labels), positives=int(positive.sum()), pr_auc=average_precision(p_block, positive),
        auc=area_under_roc(p_block, positive), f1=2 * right / max(1, int(blocked.sum()) + int(positive.sum())),
        precision=precision, recall=recall,
    )  # fmt: skip


def _reading(told: Told) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        if progress.state == "reading data":
            told(progress.bytes, progress.of, "bytes read")

    return tell
