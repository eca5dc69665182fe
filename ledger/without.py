"""The model less one peer's updates: what leaves with it, exactly.

    theta(without)  =  theta  -  sum over the peer's updates u of  W(u) * (q_u << (z_u + 24))

Why it exists: the sum is exact, so a term can be taken out again to the last bit, and a model is what it would be if
that peer's updates had never been admitted. What it is *not*: the model that the others would have learned alone. Their
updates were trained with this peer's work in view, and stay as they were published, weights included.

As a file ("gossip-model-without/1") it is laid out as an exported model (export.py), under a name of its own so that
nobody takes it for one: no snapshot ever had this model.

    {"format":"gossip-model-without/1","heads":[["41c6...",88],...],"layout":[...],"model":"{...}",
     "model_hash":"77ab...","swarm":"b2f9...","updates":190,"without":"0d3e..."}
    ^ one line of canonical JSON, a newline, then the parameters: float32, little-endian, in storage order

Rules kept here: the change is measured in integers on the model's grid (2^-40; squares 2^-80), no rounding. It refuses
to know which terms are in the sum (standing.py), and scores.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isqrt
from operator import mul, sub
from sys import byteorder
from typing import Final

import msgspec

from ledger.canonical import encode
from ledger.chain import peer_of
from ledger.entry import Genesis, Hash, PeerId, Tensor
from ledger.export import float32_bytes
from ledger.fold import Arithmetic, D, Fold, T
from ledger.lineage import Part, Term

FORMAT: Final = "gossip-model-without/1"


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


class WithoutHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of such a file: everything that is needed to make it again from the ledger."""

    format: str
    swarm: Hash
    heads: list[tuple[str, int]]  # what the sum was of, sorted by log
    without: PeerId
    model_hash: Hash
    layout: list[Tensor]
    model: str  # the declaration, as the founder wrote it
    updates: int  # in the sum, the peer's not counted


def model_file(found: Without, genesis: Genesis, swarm: Hash, heads: Mapping[str, int]) -> bytes:
    """The bytes of the model without the peer, as a file."""
    header = WithoutHeader(
        FORMAT, swarm, sorted(heads.items()), found.peer, found.less.hash, genesis.layout, genesis.model,
        found.whole.updates - found.leaves.updates,
    )  # fmt: skip
    return encode(header) + b"\n" + float32_bytes(found.less.values)


def _values(data: bytes) -> array[int]:
    values = array("q", data)
    if byteorder == "big":
        values.byteswap()
    return values


def _squared(one: array[int], other: array[int]) -> int:
    differences = array("q", map(sub, one, other))  # both are within +-(2^53 - 1)
    return sum(map(mul, differences, differences))
