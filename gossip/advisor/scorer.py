"""A model that says of requests what they are: plain numpy, whoever trained it, with nobody asked.

    sightings --features--> bags --weights--> logits --calibration--> p_ad, p_tracker, p_block

A scorer has weights and a declaration; a calibration that was measured on rows that its owner held out, or none (then
it says so, and `threshold` is a guess); a name for people; and `notes`, to be shown beside its figures. What finds one
is gossip/scorers.py: `load_scorer`.

Rules kept here: one row has the same figures in whatever company it is scored. It refuses to know files, rules and jax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from gossip.advisor.scored import Scored
from gossip.filterlists.engine import RuleEngine
from gossip.filterlists.sighting import Sighting
from gossip.training.calibration import Calibration
from gossip.training.rows import bags_of
from gossip.training.scoring import Theta, logits_of
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError

CLASSES: Final = ("benign", "ad", "tracker")  # in this order a calibration takes them
P_AD, P_TRACKER, P_BLOCK = range(3)  # and in this one it gives


class Scorer:
    """LocalError if the model does not tell ads, trackers and the benign apart, or does not read requests."""

    def __init__(
        self, spec: ModelSpec, theta: Theta, calibration: Calibration, name: str, *, notes: tuple[str, ...] = ()
    ) -> None:
        if not spec.feature_spec.startswith("url-grams/") or sorted(spec.classes) != sorted(CLASSES):
            raise LocalError(
                f"{name} does not score requests", why=f"its classes are {', '.join(spec.classes)[:80]}",
                next_step=f"name a model of requests, with the classes {', '.join(CLASSES)}",
            )  # fmt: skip
        if theta.shape != (spec.parameters,):
            raise LocalError(f"{name} has {theta.size:,} weights", why=f"its declaration has {spec.parameters:,}")
        self.spec, self.theta, self.calibration, self.name, self.notes = spec, theta, calibration, name, notes
        self._order = [spec.classes.index(each) for each in CLASSES]

    def mapped(self, change: Callable[[Theta], Theta]) -> Self:
        """The same with other weights."""
        other = copy(self)
        other.theta = change(self.theta)
        return other

    @property
    def threshold(self) -> float:
        """From this `p_block` on a request is one to block."""
        return self.calibration.threshold

    def score(self, rows: Sequence[Sighting]) -> NDArray[np.float32]:
        """(rows, 3): p_ad, p_tracker, p_block."""
        if not rows:
            return np.empty((0, 3), np.float32)
        return self.calibration.apply(self.logits(rows))

    def logits(self, rows: Sequence[Sighting]) -> NDArray[np.float32]:
        """(rows, 3) in the order of CLASSES: what a calibration is made of."""
        bags = bags_of(self.spec, rows)
        return logits_of(self.spec, self.theta, bags)[:, self._order]

    def judge(self, rows: Sequence[Sighting], lists: RuleEngine | None = None) -> list[Scored]:
        """Each row with what the model says of it, and what lists do, if there are any to ask."""
        threshold, found = self.threshold, list[Scored]()
        for row, (p_ad, p_tracker, p_block) in zip(rows, self.score(rows).tolist(), strict=True):
            hits = lists.hits(row.page, row.url, row.type) if lists is not None else ()
            listed = tuple(hit.list for hit in hits if hit.blocks) if hits else ()
            excepted = tuple(hit.list for hit in hits if hit.exception) if hits else ()
            found.append(Scored(row, p_ad, p_tracker, p_block, p_block >= threshold, listed, excepted))
        return found
