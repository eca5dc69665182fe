"""The model less one peer's updates: what leaves with it, exactly.

    theta(without)  =  theta  -  sum over the peer's updates u of  W(u) * (q_u << (z_u + 24))

Why it exists: the sum is exact, so a term can be taken out again to the last bit, and a model is what it would be if
that peer's updates had never been admitted. What it is *not*: the model that the others would have learned alone. Their
updates were trained with this peer's work in view, and stay as they were published, weights included.

Rules kept here: the change is measured in integers on the model's grid (2^-40; squares 2^-80), no rounding. It refuses
to know which terms are in the sum (standing.py), files, and scores.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isqrt
from operator import mul, sub
from sys import byteorder

from ledger.chain import peer_of
from ledger.entry import Hash, PeerId
from ledger.fold import Arithmetic, D, Fold, T
from ledger.lineage import Part, Term


@dataclass(frozen=True, slots=True)
class Model:
    """A model as hashed: int64, little-endian, grid 2^-40."""

    hash: Hash
    values: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Without:
    """What leaves with a peer. Squares are exact sums over all parameters, grid 2^-80."""

    peer: PeerId
    whole: Part  # all terms
    leaves: Part  # of these, the peer's
    model: Model  # with it
    less: Model  # without it
    changed: int  # parameters that differ
    parameters: int
    distance: int  # squared distance between the two models
    travelled: int  # squared distance of the model with it from the starting weights

    @property
    def change_ppm(self) -> int:
        """The distance in millionths of the way that the model had come since its start, rounded down."""
        return isqrt(self.distance * 10**12 // self.travelled) if self.travelled else 0


def without(
    start: Callable[[], Fold[D, T]],
    terms: Iterable[Term],
    peer: PeerId,
    delta: Callable[[Hash], D],
) -> Without:
    """Fold `terms`, then take out those of `peer`, whichever branch of its log they are in.

    `start` gives a fold at the starting weights, `delta` a decoded delta by its hash.
    """
    fold = start()
    arithmetic: Arithmetic[D, T] = fold.arithmetic
    begun = _values(arithmetic.model_bytes(fold.theta))
    own: list[Term] = []
    updates = weight = 0
    for term in terms:
        fold.add(delta(term[2]), term[3])
        updates, weight = updates + 1, weight + term[3]
        if peer_of(term[0]) == peer:
            own.append(term)
    model = Model(fold.model_hash(), arithmetic.model_bytes(fold.theta))
    for _, _, digest, amount in own:
        fold.remove(delta(digest), amount)
    less = Model(fold.model_hash(), arithmetic.model_bytes(fold.theta))
    values, others = _values(model.values), _values(less.values)
    return Without(
        peer=peer,
        whole=Part(updates, weight),
        leaves=Part(len(own), sum(amount for *_, amount in own)),
        model=model,
        less=less,
        changed=sum(map(int.__ne__, values, others)),
        parameters=fold.parameters,
        distance=_squared(values, others),
        travelled=_squared(values, begun),
    )


def _values(data: bytes) -> array[int]:
    values = array("q", data)
    if byteorder == "big":
        values.byteswap()
    return values


def _squared(one: array[int], other: array[int]) -> int:
    differences = array("q", map(sub, one, other))  # both are within +-(2^53 - 1)
    return sum(map(mul, differences, differences))
