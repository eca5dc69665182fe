"""What a peer's own judgements do to its data set while it is read: labels, rows of their own, and how much they weigh.

    chunks with the judgement of each row --saw--> counts of what is judged, by class
    at the end --own_rows--> requests for judgements that no row to train on has shown
               --again-----> blocks to be shown again, until each judgement has FELT rows in a pass

Why again: one row of five thousand is nothing to a model. A judgement on which the data hold fewer than FELT rows is
trained on as if there were FELT. Nothing of that is committed to or counted: a record shown often is one record. Under
an epsilon nothing is shown again, for each record is promised to weigh as little as any other.

Right after one round, of twenty judged requests that the data did not hold: .33 shown once, .98 eight times, 1.00 as
often as FELT says; docs/label.md has the setting.

Rules kept here: memory is bounded by judgements times FELT rows. It refuses to know files and commitments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gossip.filterlists.judging import Standing, rows_for
from gossip.filterlists.requests import Request
from gossip.training.blocks import Block, join

FELT: Final = 32  # rows in a pass over the data that a judgement stands behind, at least


class Felt:
    """One reading of a data set under `standing`, and under a promise of `epsilon` (0: none)."""

    def __init__(self, standing: Standing, epsilon: float = 0.0) -> None:
        self.standing = standing
        self._rows = 1 if epsilon else FELT  # how often in a pass each judgement is to be shown
        self.counts: Counter[int] = Counter()  # of rows that are committed to, by class
        self._seen: Counter[int] = Counter()  # by judgement
        self._kept: dict[int, list[Block]] = {}  # of those with fewer rows than FELT

    def saw(self, block: Block, judged: Sequence[int]) -> None:
        """Rows to train on, and of each the index of the judgement that holds for it; -1: none."""
        if not judged or max(judged) < 0:
            return
        which = np.array(judged)
        self.counts.update(block.labels[which >= 0].tolist())
        for at in np.unique(which[which >= 0]).tolist():
            rows = which == at
            self._seen[at] += int(rows.sum())
            if self._seen[at] < self._rows:
                self._kept.setdefault(at, []).append(block.only(rows))
            else:
                self._kept.pop(at, None)

    def own_rows(self) -> tuple[tuple[int, Request], ...]:
        """Of judgements in force that no row has shown: their index, and a request that stands for them."""
        unseen = (at for at in self.standing.in_force() if not self._seen[at])
        return tuple((at, row) for at in unseen for row in rows_for(self.standing.judgements[at]))

    def again(self) -> Iterator[Block]:
        """What is to be trained on besides, so that every judgement is felt."""
        for _, blocks in sorted(self._kept.items()):
            block = join(blocks)
            for _ in range(self._rows // len(block) - 1):
                yield block
