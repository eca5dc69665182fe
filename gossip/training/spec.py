"""A model as its user declares it: JSON in, a checked value out. Never code, so anybody's is safe to read.

    {"model": 1,
     "features": {"kind": "url-grams/2", "buckets": 65536, "grams_per_row": 256},
     "classes": ["benign", "ad", "tracker"], "negative": "benign",
     "layers": [{"kind": "embedding_bag", "buckets": 65536, "units": 3}],
     "loss": "softmax",
     "optimiser": {"kind": "adam", "rate": 0.05, "epsilon": 0.0003, "decay": 0.002},
     "batch": 128, "local_steps": 64, "validation_share": 0.25, "metrics": ["pr_auc", "f1"],
     "density": 0.01, "eta": 2.0, "norm0": 20.0}

The text goes into genesis, so all peers train the same thing. The last three are for the fold: which part of a
change is sent (null: by size), how much of a full round is applied, and the norm assumed of a peer not heard yet.

Rules kept here: unknown fields refused (a misspelt "lerning_rate" must not be ignored), every number bounded,
every complaint names the field and what it may be. This file loads neither numpy nor jax: `gossip new` and
`gossip model check` are instant. It refuses to know data and how layers are computed (learner.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.entry import VALUE_ONE, Tensor
from ledger.errors import LocalError

MAX_TEXT_BYTES: Final = 16 * 1024  # it must fit an entry beside the layout
MAX_PARAMETERS: Final = 1 << 26  # 256 MB as float32: beyond that this trainer is the wrong tool

Metric = Literal["pr_auc", "f1", "accuracy"]
_Count = Annotated[int, Meta(ge=1, le=1 << 16)]
_Positive = Annotated[float, Meta(gt=0, le=1e6)]
_Share = Annotated[float, Meta(ge=0, lt=1)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """A part of a declaration."""


class UrlGrams(_Part, frozen=True, tag="url-grams/1"):
    """Labelled requests, as gossip/filterlists/features.py hashes them."""

    buckets: Annotated[int, Meta(ge=1 << 10, le=1 << 16)] = 1 << 14
    grams_per_row: Annotated[int, Meta(ge=8, le=1024)] = 256
    """Rows with more n-grams are trained on an even sample of that many, a new one each time. Judged on all."""


class UrlGramsInContext(UrlGrams, frozen=True, tag="url-grams/2"):
    """The same with what the page and the whole capture say of a request (gossip/filterlists/marks.py)."""


class Numbers(_Part, frozen=True, tag="numbers/1"):
    """Rows of `columns` numbers; what the model sees of each is (number - shift) * scale."""

    columns: _Count
    label: str = "label"
    scale: float = 1.0
    shift: float = 0.0


class EmbeddingBag(_Part, frozen=True, tag="embedding_bag"):
    """Sum of the rows of a table: those of the n-grams over the root of their number, and half of each mark's."""

    units: Annotated[int, Meta(ge=1, le=1024)]
    buckets: Annotated[int, Meta(ge=1 << 10, le=1 << 16)] = 1 << 14


class Dense(_Part, frozen=True, tag="dense"):
    units: _Count


class Relu(_Part, frozen=True, tag="relu"):
    pass


class Tanh(_Part, frozen=True, tag="tanh"):
    pass


Layer = EmbeddingBag | Dense | Relu | Tanh


class Sgd(_Part, frozen=True, tag="sgd"):
    rate: _Positive
    momentum: _Share = 0.0
    decay: _Share = 0.0


class Adam(_Part, frozen=True, tag="adam"):
    """Adam with decoupled weight decay; its moments begin anew in each round."""

    rate: _Positive
    epsilon: _Positive = 1e-8
    decay: _Share = 0.0
    first: _Share = 0.9
    second: _Share = 0.99  # rounds are short: a longer memory than the round would only be bias


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A checked declaration. Made by `parse` only."""

    model: Literal[1]
    features: UrlGrams | UrlGramsInContext | Numbers
    classes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=2, max_length=256)]
    negative: str = ""
    """The class that is not what is looked for; scores are then about all others together. "" scores each class."""
    layers: Annotated[list[Layer], Meta(min_length=1, max_length=32)]
    loss: Literal["softmax"] = "softmax"
    optimiser: Sgd | Adam
    batch: Annotated[int, Meta(ge=1, le=1 << 14)]
    local_steps: Annotated[int, Meta(ge=1, le=10_000)]
    validation_share: Annotated[float, Meta(ge=0, le=0.9)] = 0.25
    metrics: Annotated[list[Metric], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["pr_auc", "f1"])
    """What a peer shows of its held-out rows; the first is the one in tables."""
    density: Annotated[float, Meta(gt=0, le=1)] | None = None
    eta: Annotated[float, Meta(ge=1 / 16, le=64)] = 1.5  # a genesis allows no other (ledger/genesis.py), nor norm0
    """By default what was never worse than 1, of sparse and of dense deltas (docs/adr/0006-defaults-of-the-fold.md)."""
    norm0_units: Annotated[float, Meta(ge=1 / VALUE_ONE, le=1 << 17)] = msgspec.field(default=1.0, name="norm0")

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """The declaration in `text`. Raises LocalError naming the field that is wrong and what it may be."""
        if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
            raise _wrong(f"it is longer than {MAX_TEXT_BYTES // 1024} KiB")
        try:
            spec = msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=cls)
        except (ValueError, RecursionError) as error:  # the second: brackets within brackets, from a genesis
            raise _wrong(_plain(str(error))) from error
        spec._check_fit()
        return spec

    @property
    def text(self) -> str:
        """The declaration in its one spelling: what genesis holds. `parse(text).text == text`."""
        return msgspec.json.encode(self, order="sorted").decode()

    @property
    def norm0(self) -> int:
        """On the grid of 2^-24."""
        return round(self.norm0_units * VALUE_ONE)

    @property
    def negative_class(self) -> int | None:
        return self.classes.index(self.negative) if self.negative else None

    @property
    def feature_spec(self) -> str:
        return str(type(self.features).__struct_config__.tag)

    @property
    def parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.layout())

    def layout(self) -> list[Tensor]:
        """The tensors in storage order, with the bounds of their starting weights.

        A model of one layer starts at zero; deeper ones cannot (all units would stay equal), so tables start
        within 0.1 and dense weights within sqrt(6 / (in + out)).
        """
        weighted = [layer for layer in self.layers if isinstance(layer, EmbeddingBag | Dense)]
        flat = len(weighted) == 1
        tensors: list[Tensor] = []
        width = self.features.columns if isinstance(self.features, Numbers) else 0
        for number, layer in enumerate(self.layers):
            if isinstance(layer, EmbeddingBag):
                bound = 0 if flat else VALUE_ONE // 10
                tensors.append(Tensor(name=f"{number}.table", shape=[layer.buckets, layer.units], bound=bound))
                width = layer.units
            elif isinstance(layer, Dense):
                bound = 0 if flat else math.isqrt(6 * VALUE_ONE**2 // (width + layer.units))
                tensors.append(Tensor(name=f"{number}.weight", shape=[width, layer.units], bound=bound))
                tensors.append(Tensor(name=f"{number}.bias", shape=[layer.units], bound=0))
                width = layer.units
        return tensors

    def check(self) -> Report:
        """What `gossip model check` shows."""
        rows = [Row("features", self.feature_spec, 0)]
        tensors = {tensor.name: math.prod(tensor.shape) for tensor in self.layout()}
        for number, layer in enumerate(self.layers):
            name = str(type(layer).__struct_config__.tag)
            weights = sum(size for tensor, size in tensors.items() if tensor.startswith(f"{number}."))
            shape = f"{name} {layer.units}" if isinstance(layer, EmbeddingBag | Dense) else name
            rows.append(Row(f"layer {number}", shape, weights))
        share = self.density
        if share is None:
            from gossip.merging.codec import default_density  # the one reason to load numpy here

            share = default_density(self.parameters)
        kept = max(1, round(self.parameters * share))
        return Report(tuple(rows), self.parameters, self.parameters * 4, share, _blob_bytes(self.parameters, kept))

    def _check_fit(self) -> None:
        """Everything that no single field can be blamed for."""
        if len(set(self.classes)) != len(self.classes):
            raise _wrong("a class is listed twice in `classes`")
        if self.negative and self.negative not in self.classes:
            raise _wrong(f"`negative` is {self.negative!r}, which is not one of the classes")
        bags = [index for index, layer in enumerate(self.layers) if isinstance(layer, EmbeddingBag)]
        if isinstance(self.features, UrlGrams):
            if bags != [0]:
                raise _wrong("with url-grams the first layer, and no other, is an `embedding_bag`")
            first = self.layers[0]
            if isinstance(first, EmbeddingBag) and first.buckets != self.features.buckets:
                raise _wrong(f"the features have {self.features.buckets} buckets, the embedding_bag {first.buckets}")
        elif bags:
            raise _wrong("an `embedding_bag` needs url-grams as features; numbers go into `dense` layers")
        last = self.layers[-1]
        if not isinstance(last, EmbeddingBag | Dense) or last.units != len(self.classes):
            raise _wrong(f"the last layer must have one unit for each of the {len(self.classes)} classes")
        if self.parameters > MAX_PARAMETERS:
            raise _wrong(f"it has {self.parameters:,} parameters, and {MAX_PARAMETERS:,} is the most")


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    shape: str
    parameters: int


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]
    parameters: int
    float32_bytes: int
    density: float
    update_bytes: int  # of one delta, about: gaps are coded in one byte each where changes lie close


def _blob_bytes(parameters: int, kept: int) -> int:
    gap_bytes = 0.0 if kept == parameters else 1 + math.exp(-128 * kept / parameters)  # gaps are about geometric
    return round(13 + kept * (1 + gap_bytes) + math.ceil(kept / 256))


def _plain(error: str) -> str:
    """msgspec's complaint with its path put first: "`layers[0].units`: expected int, got str"."""
    text, _, path = error.partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    return f"`{where}`: {text[:1].lower()}{text[1:]}" if where else f"{text[:1].lower()}{text[1:]}"


def _wrong(why: str) -> LocalError:
    return LocalError(
        "this model declaration cannot be used",
        why=why,
        next_step="compare it with examples/own_model.json, then run `gossip model check`",
    )


FILTERLIST: Final = """{
  "model": 1,
  "features": {"kind": "url-grams/2", "buckets": 65536, "grams_per_row": 256},
  "classes": ["benign", "ad", "tracker"],
  "negative": "benign",
  "layers": [{"kind": "embedding_bag", "buckets": 65536, "units": 3}],
  "loss": "softmax",
  "optimiser": {"kind": "adam", "rate": 0.05, "epsilon": 0.0003, "decay": 0.002},
  "batch": 128,
  "local_steps": 64,
  "validation_share": 0.25,
  "metrics": ["pr_auc", "f1"],
  "density": 0.01,
  "eta": 2.0,
  "norm0": 20.0
}"""
BUILTIN: Final = {"filterlist": FILTERLIST}
