"""Requests as arrays: what the model sees of rows and of the capture that they are part of.

    Sighting | Request  --features, census, declaration--> Bags

One door for training and scoring, so that both see the same. It refuses to know files, weights and jax.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossip.filterlists import features
from gossip.filterlists.context import Census
from gossip.filterlists.requests import Request
from gossip.filterlists.sighting import Sighting
from gossip.training.blocks import Bags
from gossip.training.spec import ModelSpec, UrlGrams
from ledger.errors import LocalError


def bags_of(spec: ModelSpec, rows: Sequence[Sighting] | Sequence[Request], census: Census) -> Bags:
    """The rows as the model takes them; labels are 0 where rows have none.

    LocalError if the model takes no requests, or has no class for a label.
    """
    if not isinstance(spec.features, UrlGrams):
        raise LocalError(
            "this model does not take requests", why=f"its features are {spec.feature_spec}",
            next_step="take a model whose features are url-grams",
        )  # fmt: skip
    urls = [row.url for row in rows]
    tokens, offsets = features.grams(urls, spec.features.buckets)
    marks = features.marks(urls, [row.type for row in rows], [row.party for row in rows])
    return Bags(tokens, offsets, marks, np.array([_number(spec, row.label) for row in rows], np.uint8))


def _number(spec: ModelSpec, label: str | None) -> int:
    if label is None:
        return 0
    if label not in spec.classes:
        raise LocalError(
            f"there is a row with the label {label}", why=f"the model has the classes {', '.join(spec.classes)}",
            next_step="add the class to the model, or leave those rows out",
        )  # fmt: skip
    return spec.classes.index(label)
