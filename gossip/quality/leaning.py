"""Do updates help on rows like those that their author says it learned from? The question that own rows can answer.

    author's data entry: {"3": 40, "8": 2}  --+--> own rows, each label weighing what the author has of it
    loss further their way - loss back      --+--> how much worse, in nats

Why so: a peer that knows only threes and eights pulls everybody's model towards these, and who has other digits sees it
get worse, though nobody did anything wrong. Asked of all its rows alike, a majority condemns the honest peer and lets
the liar go (docs/byzantine.md). Where only the shares of labels differ between peers (label shift), the mean loss over
own rows weighted to the author's shares is the loss that the author lowered; so honest updates lower it, whatever their
author knows, and updates that push a model away from what others have learned do not.

Why further against back, and not against the model as it is: whatever is overdone makes a model worse. What both sides
lose by that cancels, and which way is better is left.

Why the loss: three dozen rows change their answers too seldom, and in a model that an attack has ruined, hardly ever.

It refuses to know models and peers: it gets the loss of each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_ROWS: Final = 2.0  # that the weighted ones are worth: what one row says is luck
MAX_LOSS: Final = 16.0  # nats, of one row: what is further off says no more
MAX_MILLI: Final = 1000 * int(MAX_LOSS)


def loss_milli(
    further: NDArray[np.floating], back: NDArray[np.floating], labels: Sequence[str], claimed: Mapping[str, int]
) -> int | None:
    """By how many thousandths of a nat own rows, weighted as the author's labels are, fare worse; below 0: better.

    `further` and `back` are the losses of each row under the two models, `labels` the labels of the rows. None if
    there are too few rows with labels that the author claims to have, or losses that are no numbers.
    """
    own: dict[str, int] = {}
    for label in labels:
        own[label] = own.get(label, 0) + 1
    weights = np.array([max(0, claimed.get(label, 0)) / own[label] for label in labels], dtype=np.float64)
    total = float(weights.sum())
    if not total or total * total / float((weights**2).sum()) < LEAST_ROWS:
        return None
    gap = np.minimum(further, MAX_LOSS) - np.minimum(back, MAX_LOSS)
    found = float((weights * gap).sum()) / total
    return round(1000 * found) if np.isfinite(found) else None


def losses(probabilities: NDArray[np.floating], classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Cross-entropy of each row, from its probabilities and the number of its class."""
    right = probabilities[np.arange(len(classes)), classes].astype(np.float64)
    return np.asarray(-np.log(np.maximum(right, np.exp(-MAX_LOSS))))
