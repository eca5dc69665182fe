"""What it costs a judge to look at a batch: the filter-list model, and as many own rows as are ever looked at.

It runs what a training process runs when it is asked (gossip/training/checks.py), on rows of the packaged table.
"""

from __future__ import annotations

from time import process_time
from typing import Final

import numpy as np

from cli.bench.figures import Figure, Section, median_s
from gossip.filterlists.split import DEMO_TABLE
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training.checks import JUDGED_ROWS, Checks
from gossip.training.dataset import read_judged
from gossip.training.protocol import Judge
from gossip.training.spec import FILTERLIST, ModelSpec

LOOKS: Final = 5


def measure(*, quick: bool) -> Section:
    """Seconds of one look, with the loss and without anything else asked."""
    spec, arithmetic = ModelSpec.parse(FILTERLIST), NumpyArithmetic()
    rows = read_judged(spec, [DEMO_TABLE])
    assert rows is not None
    some = np.zeros(len(rows), np.bool_)
    some[np.linspace(0, len(rows) - 1, JUDGED_ROWS).astype(int)] = True
    own = rows.only(some)
    assert len(own) == JUDGED_ROWS
    models = np.tile(arithmetic.to_float32(arithmetic.start(list(spec.layout()), "0" * 64)), 3)
    asked = Judge(model=spec.text, folder="", canary="", labels=dict.fromkeys(spec.classes, 100))

    def look() -> None:
        judged = Checks().judge(asked, models, own)
        assert judged.loss_milli is not None

    before = process_time()
    look()
    busy = process_time() - before
    figures = (
        Figure("a look", median_s(look, 1 if quick else LOOKS), "s", digits=2),
        Figure("processor time of the first", busy, "s", digits=2),
    )
    return Section(f"a look at one batch: filter-list model, {JUDGED_ROWS:,} own rows", figures)
