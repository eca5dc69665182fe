"""The rules of the literature that merge two whole models: for comparison, and to teach with.

    own model, own age  +  a received model, its age  --rule-->  own model from now on

A swarm does not merge by these: it folds deltas (docs/fold.md), and its rule stands in its genesis. They are here so
that `gossip simulate --fast` can show side by side what each is worth (docs/comparison.md).

The age t of a model is how many rounds of local training are in it: a round adds one, a merge takes the higher of
both. (The papers count steps; with H steps in a round, t/H is what stands here, so H appears in no formula.)

Rules kept here: a rule is a function of four values and nothing else; it uses operators only, so that NumPy and JAX
arrays, one model or a stack of them with a column of ages, all go in. It refuses to know who sent what.

- `average`, `weighted`, `mimic_as_printed`: A. Goin, R. Cotton, WebNN, Washington State University Vancouver, 2018
  (github.com/aarongoin/WebNN, lib/Model.js: merge, weightedMerge, mimicMerge).
- `weighted` is also how gossip learning merges by age: I. Hegedus, G. Danner, M. Jelasity, Decentralized learning
  works, J. Parallel Distrib. Comput. 148, 2021.
- `polynomial`, `hinge`: C. Xie, S. Koyejo, I. Gupta, Asynchronous federated optimization, arXiv:1903.03934, 2019.
- `limited`: after G. Danner, I. Hegedus, M. Jelasity, Improving gossip learning via limited model merging, ICCCI 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

MIXING: Final = 0.6  # alpha: FedAsync's share of a model that is as old as one's own
DECAY: Final = 0.5  # a of the polynomial
HINGE_SLOPE: Final = 10.0  # a of the hinge
HINGE_FREE: Final = 4.0  # b of the hinge: rounds of age that cost nothing
LIMIT: Final = 8.0  # rounds of age that two models may differ by and still be merged

Rule = Callable[[Any, Any, Any, Any], Any]
"""rule(own weights, own age, other weights, other age) -> weights."""


def average(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """W = (W1 + W2) / 2."""
    return (own + other) / 2


def weighted(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """W = (W1 t1 + W2 t2) / (t1 + t2); two models that nobody has trained are averaged."""
    both = own_age + other_age
    untrained = both == 0
    share = (other_age + 0.5 * untrained) / (both + untrained)
    return own + (other - own) * share


def mimic_as_printed(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """W1 + (W2 - W1) / (1 + |t1 - t2|) if the other is the older one, else W1 - (W2 - W1) / (1 + max(1, |t1 - t2|)).

    A documented negative: as its authors have published it. Nothing is wrong where the other model has seen more; where
    it has seen no more, the sign is, and one's own model is pushed away from it. Two models of one age drive each other
    apart by half their distance at every meeting, until neither knows anything (tests/fast/test_pairwise.py).
    """
    older = other_age > own_age
    gap = abs(other_age - own_age)
    gap = gap + (gap == 0)
    return own + (other - own) * ((older * 2.0 - 1.0) / (1.0 + gap))


def mimic(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """Mimic repaired: W = W1 + (W2 - W1) / (1 + |t1 - t2|). Always towards the other, the further the closer in age."""
    return own + (other - own) / (1.0 + abs(own_age - other_age))


def polynomial(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """FedAsync: W = (1 - m) W1 + m W2 with m = alpha (1 + lag)^-a; the lag is how much older in news W2 is."""
    return own + (other - own) * (MIXING * (1.0 + _lag(own_age, other_age)) ** -DECAY)


def hinge(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """FedAsync: the same with m = alpha if lag <= b, else alpha / (a (lag - b) + 1)."""
    beyond = _lag(own_age, other_age) - HINGE_FREE
    beyond = beyond * (beyond > 0)
    return own + (other - own) * (MIXING / (HINGE_SLOPE * beyond + 1.0))


def limited(own: Any, own_age: Any, other: Any, other_age: Any) -> Any:
    """Merge by age only if the ages differ by no more than the limit; else keep the model that has seen more.

    How we read the paper; the limit is ours.
    """
    near = abs(own_age - other_age) <= LIMIT
    newer = (other_age > own_age) * 1.0
    merged = weighted(own, own_age, other, other_age)
    kept = own + (other - own) * newer
    return merged * near + kept * (1 - near * 1)


def _lag(own_age: Any, other_age: Any) -> Any:
    gap = own_age - other_age
    return gap * (gap > 0)


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "average": average,
        "weighted": weighted,
        "mimic": mimic,
        "mimic-as-printed": mimic_as_printed,
        "fedasync-polynomial": polynomial,
        "fedasync-hinge": hinge,
        "limited": limited,
    }
)
"""By the names that `gossip simulate --fast --rule` takes."""
