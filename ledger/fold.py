"""The fold: admitted deltas, weighted and summed in exact integers, become the model.

    theta40  =  start40  +  sum over admitted u of  W(u) * (q_u << (z_u + 24))          (grid 2^-40, int64)

Every term is exact, so the sum is the same in any order and a term can be taken out again: `add` and `remove`
commute and undo one another. Sums are taken modulo 2^64 (two's complement), so no input can raise; how many
updates fit before that could matter is said in docs/fold.md ("Room in int64"). Only on reading are values
clamped, to what a double holds exactly.

Vectors come through a small protocol: `PlainArithmetic` below needs nothing but Python, for auditors; the peers use
NumPy (gossip/merging/arithmetic.py). Both give the same bits (tests/fold). This file refuses to know where weights come
from (weights.py) and which updates are admitted (replica.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from hashlib import sha256
from math import prod
from sys import byteorder
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from ledger import delta as delta_format
from ledger.delta import Delta
from ledger.entry import Hash, Tensor

D = TypeVar("D")  # a decoded delta, as an arithmetic likes it
T = TypeVar("T")  # the model on the 2^-40 grid, as an arithmetic likes it

CLAMP: Final = (1 << 53) - 1  # 2^13 on the 2^-40 grid, and the last integer before doubles skip some
START_DOMAIN: Final = b"gossip/start/1\n"
MODEL_DOMAIN: Final = b"gossip/model/1\n"
DRAWS_PER_BLOCK: Final = 8  # 32-bit numbers in one SHA-256
_WRAP: Final = 1 << 64
_HALF: Final = 1 << 63


class Arithmetic(Protocol[D, T]):
    """The vector half of the fold. Implementations must agree bit for bit."""

    def decode(self, blob: bytes, parameters: int) -> D:
        """The delta a blob spells. RemoteError if it breaks the format."""

    def norm(self, delta: D) -> int:
        """Floor of the Euclidean norm, grid 2^-24."""

    def product(self, one: D, other: D) -> int:
        """The inner product of two deltas, grid 2^-48."""

    def start(self, layout: Sequence[Tensor], seed: Hash) -> T:
        """The starting weights, grid 2^-40."""

    def add(self, theta: T, delta: D, weight: int) -> None:
        """theta += weight * delta, in place, modulo 2^64. `weight` is 0..65536."""

    def subtract(self, theta: T, delta: D, weight: int) -> None:
        """theta -= weight * delta, in place, modulo 2^64."""

    def model_bytes(self, theta: T) -> bytes:
        """The model clamped to +-(2^53 - 1), int64 little-endian."""

    def model_parts(self, theta: T) -> Iterable[bytes | memoryview]:
        """The same, piece by piece, for hashing without a second copy. A piece is good until the next is asked for."""


class PlainArithmetic:
    """The fold in nothing but Python."""

    def decode(self, blob: bytes, parameters: int) -> Delta:
        return delta_format.decode(blob, parameters)

    def norm(self, delta: Delta) -> int:
        return delta_format.norm(delta)

    def product(self, one: Delta, other: Delta) -> int:
        values = dict(one.terms())
        return sum(value * values.get(index, 0) for index, value in other.terms())

    def start(self, layout: Sequence[Tensor], seed: Hash) -> array[int]:
        theta = array("q")
        for number, tensor in enumerate(layout):
            size = prod(tensor.shape)
            if tensor.bound == 0:
                theta.frombytes(bytes(8 * size))
                continue
            width = 2 * tensor.bound + 1
            drawn = start_draws(seed, number, size)
            theta.extend((((u * width) >> 32) - tensor.bound) << 16 for u in memoryview(drawn).cast("I")[:size])
        return theta

    def add(self, theta: array[int], delta: Delta, weight: int) -> None:
        for index, value in delta.terms():
            theta[index] = (theta[index] + weight * value + _HALF) % _WRAP - _HALF

    def subtract(self, theta: array[int], delta: Delta, weight: int) -> None:
        self.add(theta, delta, -weight)

    def model_bytes(self, theta: array[int]) -> bytes:
        clamped = theta[:]
        if theta and (max(theta) > CLAMP or min(theta) < -CLAMP):
            clamped = array("q", (min(max(value, -CLAMP), CLAMP) for value in theta))
        if byteorder == "big":
            clamped.byteswap()
        return clamped.tobytes()

    def model_parts(self, theta: array[int]) -> Iterable[bytes]:
        return (self.model_bytes(theta),)


class Fold(Generic[D, T]):
    """A model and the terms in it. The caller remembers which; add each update once."""

    def __init__(self, layout: Sequence[Tensor], seed: Hash, arithmetic: Arithmetic[D, T]) -> None:
        self.layout = tuple(layout)
        self.parameters = parameters(layout)
        self.arithmetic = arithmetic
        self.theta: T = arithmetic.start(layout, seed)

    def add(self, decoded: D, weight: int) -> None:
        self.arithmetic.add(self.theta, decoded, weight)

    def remove(self, decoded: D, weight: int) -> None:
        self.arithmetic.subtract(self.theta, decoded, weight)

    def model_hash(self) -> Hash:
        return model_hash(self.layout, self.arithmetic.model_parts(self.theta))


def parameters(layout: Sequence[Tensor]) -> int:
    return sum(prod(tensor.shape) for tensor in layout)


def model_hash(layout: Sequence[Tensor], model: bytes | Iterable[bytes | memoryview]) -> Hash:
    """The name of a model: of what Arithmetic.model_bytes or model_parts give."""
    digest = sha256(model_header(layout))
    for part in (model,) if isinstance(model, bytes) else model:
        digest.update(part)
    return digest.hexdigest()


def model_header(layout: Sequence[Tensor]) -> bytes:
    """What stands before a model's bytes where it is hashed, or travels."""
    return MODEL_DOMAIN + msgspec.json.encode([[tensor.name, tensor.shape] for tensor in layout]) + b"\n"


def start_draws(seed: Hash, tensor: int, size: int) -> bytes:
    """At least `size` 32-bit numbers for tensor number `tensor`, in this machine's byte order."""
    prefix = sha256(START_DOMAIN + bytes.fromhex(seed) + tensor.to_bytes(4, "little"))
    drawn = bytearray()
    for block in range(-(-size // DRAWS_PER_BLOCK)):
        digest = prefix.copy()
        digest.update(block.to_bytes(4, "little"))
        drawn += digest.digest()
    if byteorder == "big":
        words = array("I", bytes(drawn))
        words.byteswap()
        return words.tobytes()
    return bytes(drawn)
