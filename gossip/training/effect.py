"""What own judgements do to held-out scores: a model with them put in, on rows labelled as they say.

    (model, own held-out rows, judgements) --> pr_auc, f1, counts

A pure function of the three, so the same judgements give the same digits, whatever was said and taken back between. A
judged row counts for both: its label is what its owner says, and the model has been told. So these figures say how far
model and owner agree, and are no proof that the model is better for it; rows beyond those judged show that.

It refuses to know files and terminals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gossip.filterlists.judging import Standing
from gossip.training.corrections import corrected
from gossip.training.metrics import Scored
from gossip.training.own_rows import OwnRows
from gossip.training.scoring import Theta, score
from gossip.training.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Effect:
    """Of judgements on one model: `rows` as the files say, not as anybody judged."""

    spec: ModelSpec
    theta: Theta
    rows: OwnRows

    def scores(self, standing: Standing) -> Scored:
        """Of the model with `standing` in it."""
        labels = self.rows.bags.labels.copy()
        for at, row in enumerate(self.rows.requests):
            said = standing.label(row.url)
            if said is not None and said in self.spec.classes:
                labels[at] = self.spec.classes.index(said)
        rows = replace(self.rows.bags, labels=labels.astype(np.uint8))
        return score(self.spec, corrected(self.spec, self.theta, standing), rows)

    def about(self, standing: Standing) -> int:
        """How many of the rows are judged."""
        return sum(standing.find(row.url) is not None for row in self.rows.requests)
