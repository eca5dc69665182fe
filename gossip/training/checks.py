"""Looking at the work of others, in a process beside the node: records they opened, and models with their updates and
without.

    inspect   opened records --the engine of the lists that the policy pins--> facts by name
    judge     two models --own held-out rows, and the policy's canary set if it is here--> counts on each
              two models --own held-out rows, weighted as the author's labels are--> which of them loses less

It lives beside training because that is where rows and models are, and off the node's loop: an engine takes a second to
build and 60 MB. It needs no jax, so a peer without data can do it, too.

Rules kept here: what cannot be measured is left out of the answer, and why is said for a person; it is no fault of
whom is looked at. Engine and canary set are kept until the policy names others. At most JUDGED_ROWS rows of a set are
scored, so that judging costs less than a round. It refuses to know what follows from a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from gossip.filterlists.engine import Engine, engine_of
from gossip.filterlists.inspect import inspect, inspect_numbers
from gossip.pinned import held
from gossip.quality.leaning import loss_milli, losses
from gossip.training.blocks import Block, thinned
from gossip.training.dataset import read_judged
from gossip.training.protocol import Inspect, Inspected, Judge, Judged, Pin, Records, Result, counts
from gossip.training.scoring import probabilities, score
from gossip.training.spec import ModelSpec, UrlGrams
from ledger.entry import Hash, Measured
from ledger.errors import LocalError

Theta = NDArray[np.float32]
JUDGED_ROWS: Final = 2_048  # of a set


class Checks:
    """What was built for the files that a policy names, kept for the next question. What could not be built is tried
    again with each: its owner may have brought the file meanwhile."""

    def __init__(self) -> None:
        self._engine: tuple[list[Pin], Engine] | None = None
        self._canary: tuple[tuple[str, str, Hash], Block] | None = None

    def inspect(self, asked: Inspect, records: Records) -> Inspected:
        """Facts about opened records; what is wrong with them is never an error."""
        spec = ModelSpec.parse(asked.model)
        if not isinstance(spec.features, UrlGrams):
            return Inspected(measured=inspect_numbers(records, spec.features.columns, spec.classes), trouble="")
        try:
            engine, trouble = self._engine_for(asked), ""
        except LocalError as error:
            engine, trouble = None, f"labels of opened records are not checked here: {error}"
        return Inspected(measured=inspect(records, engine), trouble=trouble)

    def judge(self, asked: Judge, models: Theta, own: Block | None) -> Judged:
        """The models, one after the other in `models`, on own rows and on the canary set: of each what is here."""
        spec = ModelSpec.parse(asked.model)
        if models.shape != (3 * spec.parameters,):
            raise LocalError(f"{models.size} weights are not three models", why=f"of {spec.parameters} each")
        given, without, back = np.split(models, 3)
        try:
            canary, trouble = self._canary_for(asked, spec), ""
        except LocalError as error:
            canary, trouble = None, f"models are not measured on the policy's canary set here: {error}"
        measured = [_compared("holdout", spec, given, without, own)] if own is not None else []
        if canary is not None:
            measured.append(_compared("canary", spec, given, without, canary))
        loss = None if own is None else _leaning(spec, given, back, own, asked.labels)
        return Judged(measured=measured, trouble=trouble, loss_milli=loss)

    def _engine_for(self, asked: Inspect) -> Engine | None:
        if not asked.pins:
            return None
        if self._engine is None or self._engine[0] != asked.pins:
            folder = Path(asked.folder)
            lists = [(pin.label, _held(folder, pin.sha256, pin.name)) for pin in asked.pins]
            self._engine = (asked.pins, engine_of(lists))
        return self._engine[1]

    def _canary_for(self, asked: Judge, spec: ModelSpec) -> Block | None:
        if not asked.canary:
            return None
        named = (asked.model, asked.folder, asked.canary)
        if self._canary is None or self._canary[0] != named:
            rows = read_judged(spec, [_held(Path(asked.folder), asked.canary, "the canary set")])
            if rows is None:
                return None
            self._canary = (named, few(rows))
        return self._canary[1]


def few(rows: Block) -> Block:
    """At most JUDGED_ROWS of them, evenly spread."""
    while len(rows) > JUDGED_ROWS:
        rows = thinned(rows)
    return rows


def _held(folder: Path, digest: Hash, name: str) -> Path:
    path = held(folder, digest)
    if path is None:
        raise LocalError(
            f"{name} of the policy is not on this machine", why=f"no file with the SHA-256 {digest[:16]}...",
            next_step="bring it with: gossip policy pin FILE",
        )  # fmt: skip
    return path


def _leaning(spec: ModelSpec, given: Theta, back: Theta, rows: Block, claimed: Mapping[str, int]) -> int | None:
    names = [spec.classes[number] for number in rows.labels.tolist()]
    lost = [losses(probabilities(spec, theta, rows), rows.labels) for theta in (given, back)]
    return loss_milli(lost[0], lost[1], names, claimed)


def _compared(on: Literal["holdout", "canary"], spec: ModelSpec, given: Theta, without: Theta, rows: Block) -> Measured:
    scores = [counts(Result.of(score(spec, theta, rows))) for theta in (given, without)]
    return Measured(on=on, given=scores[0], without=scores[1])
