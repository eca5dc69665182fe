"""Requests as arrays: what the model sees of rows.

    Sighting | Request  --features, declaration--> Bags

One door for training and scoring, so that both see the same. Of url-grams/1 the party is always known (no page: not
third); /2 tells it from unknown. It refuses to know files, weights and jax.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossip.filterlists import features, marks
from gossip.filterlists.requests import Request
from gossip.filterlists.sighting import Sighting
from gossip.training.blocks import Bags
from gossip.training.spec import ModelSpec, UrlGrams, UrlGramsInContext
from ledger.errors import LocalError


def bags_of(spec: ModelSpec, rows: Sequence[Sighting] | Sequence[Request]) -> Bags:
    """The rows as the model takes them; labels are 0 where rows have none.

    LocalError if the model takes no requests, or has no class for a label.
    """
    if not isinstance(spec.features, UrlGrams):
        raise LocalError(
            "this model does not take requests", why=f"its features are {spec.feature_spec}",
            next_step="take a model whose features are url-grams",
        )  # fmt: skip
    urls, types, buckets = [row.url for row in rows], [row.type for row in rows], spec.features.buckets
    if isinstance(spec.features, UrlGramsInContext):
        tokens, offsets = features.grams(urls, buckets, marks.RESERVED)
        few = marks.marks(urls, [row.page for row in rows], types, [row.third_party for row in rows], buckets)
    else:
        tokens, offsets = features.grams(urls, buckets)
        few = features.marks(urls, types, [row.party for row in rows])
    return Bags(tokens, offsets, few, np.array([_number(spec, row.label) for row in rows], np.uint8))


def _number(spec: ModelSpec, label: str | None) -> int:
    if label is None:
        return 0
    if label not in spec.classes:
        raise LocalError(
            f"there is a row with the label {label}", why=f"the model has the classes {', '.join(spec.classes)}",
            next_step="add the class to the model, or leave those rows out",
        )  # fmt: skip
    return spec.classes.index(label)
