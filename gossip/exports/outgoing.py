"""What any format has to carry: the declaration, the weights, the calibration, and where it all is from.

    {"format": "gossip-outgoing/1", "name": "41c6f0a2/87", "declaration": {"model": 1, ..}, "features": "url-grams/1",
     "classes": ["benign", "ad", "tracker"], "weights_sha256": "9c1f..",
     "swarm": "b2f9..", "snapshot": "41c6../87", "model_hash": "5d1c..", "final": true, "updates": 212,
     "calibration": {"block": {..}, "kind": {..}, "threshold": 0.97, ..}, "suffixes": "2025-04-07_15-51-09_UTC"}

`swarm` to `updates` are those of a swarm's snapshot, and missing in a model that was trained alone; `calibration`
and `suffixes` are missing in one that does not score requests. `weights_sha256` is that
of the parameters as float32, little-endian, in storage order: the same in every format, so files can be held against
one another. Kept here: one spelling of those facts for all formats. It refuses to know how each writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec
import numpy as np

from gossip.filterlists.split import suffixes
from gossip.training.calibration import UNCALIBRATED, Calibration
from gossip.training.scoring import Theta, split
from gossip.training.spec import ModelSpec, UrlGrams
from ledger.errors import LocalError

FORMAT: Final = "gossip-outgoing/1"
KNOWN: Final = ("url-grams/1", "url-grams/2")  # that formats with code of their own have the code for
SCORED: Final = ("benign", "ad", "tracker")  # the order a calibration takes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A model that leaves."""

    spec: ModelSpec
    theta: Theta
    name: str
    calibration: Calibration = UNCALIBRATED
    origin: dict[str, Any] = field(default_factory=dict)  # swarm, snapshot, model_hash ...: of a swarm's

    @property
    def values(self) -> bytes:
        """float32, little-endian, in storage order."""
        return np.ascontiguousarray(self.theta, "<f4").tobytes()

    @property
    def tensors(self) -> dict[str, Theta]:
        """By the names of the layout."""
        names = (tensor.name for tensor in self.spec.layout())
        return {
            name: np.ascontiguousarray(part) for name, part in zip(names, split(self.theta, self.spec), strict=True)
        }

    @property
    def scores_requests(self) -> bool:
        """Whether it tells ads, trackers and the benign apart: a calibration is about those."""
        return isinstance(self.spec.features, UrlGrams) and sorted(self.spec.classes) == sorted(SCORED)

    @property
    def about(self) -> dict[str, Any]:
        """What is said of it, in every format."""
        facts: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "declaration": msgspec.to_builtins(self.spec),
            "features": self.spec.feature_spec,
            "classes": self.spec.classes,
            "weights_sha256": sha256(self.values).hexdigest(),
            **self.origin,
        }
        if self.scores_requests:
            facts |= {"calibration": msgspec.to_builtins(self.calibration), "suffixes": suffixes()}
        return facts

    def require_requests(self, what: str) -> None:
        """LocalError if a format that is for requests alone is asked for."""
        if not self.scores_requests or self.spec.feature_spec not in KNOWN:
            raise LocalError(
                f"{self.name} cannot be written as {what}",
                why=f"its features are {self.spec.feature_spec}, its classes {', '.join(self.spec.classes)[:80]}",
                next_step="--format safetensors writes any model",
            )
