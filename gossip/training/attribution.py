"""Why a linear model says what it says of a request: exact sums, by characters of the URL and by whose updates.

    logit of a class  =  sum over n-grams of  weight / sqrt(their number)  +  sum over marks of  weight / 2
    weight            =  start  +  sum over updates of  W(u) * q_u            (ledger/fold.py; integers)

Both are sums, so each can be read by its parts: an n-gram's part is spread evenly over its characters and those are
added up in *runs* ("/banner", "=top"); an update's part belongs to its author. Whatever is left out of a list, all of
it together is the logit, to rounding; `check_sum` holds it to that.

What a part is not: a cause. Two n-grams that always come together share what either could have carried; and the other
peers would have taught something else, had one of them not been there.

Rules kept here: integers until the last product; values in, values out. Models with hidden layers are refused: their
parts would not add up. It refuses to know files, lists and terminals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gossip.filterlists import features, marks
from gossip.filterlists.sighting import Sighting
from gossip.merging.arithmetic import ArrayDelta, Model
from gossip.training.rows import bags_of
from gossip.training.scoring import MARK_SCALE, Theta
from gossip.training.spec import EmbeddingBag, ModelSpec, UrlGramsInContext
from ledger.entry import Hash
from ledger.errors import LocalError

FIELDS: Final = ("host", "path", "query")
GRID: Final = 2.0**-40
ROUNDING: Final = 1e-4  # of a logit, for each of its size: float32 weights against exact ones
_RUNS: Final = re.compile(rb"[^a-z0-9\x80-\xff]*[a-z0-9\x80-\xff]+|[^a-z0-9\x80-\xff]+")

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """A bucket of the model's table that a request asks for, and how much of it. `begin` to `end` are the bytes of that
    field as hashed that it is of; both 0 for a mark."""

    where: str  # one of FIELDS, or what kind of mark
    begin: int
    end: int
    bucket: int
    amount: float


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of a URL as the model sees them (lowered, cut), or a mark, and what they add to each logit."""

    where: str
    text: str  # "" for marks
    values: Values  # (classes,)


@dataclass(frozen=True, slots=True)
class Source:
    """What the updates that one log published on one data set add to each logit; of the start, `log` is ""."""

    log: str
    data: int
    updates: int
    values: Values


def require_linear(spec: ModelSpec) -> None:
    if len(spec.layers) != 1 or not isinstance(spec.layers[0], EmbeddingBag):
        raise LocalError(
            "what this model says has no parts that add up", why="it has hidden layers",
            next_step="gossip why explains models of one embedding_bag",
        )  # fmt: skip


def seen(spec: ModelSpec, row: Sighting) -> tuple[Seen, ...]:
    """All that the model looks up for a request. LocalError if the model is not linear."""
    require_linear(spec)
    bags = bags_of(spec, [row])
    places = [
        (field, begin, begin + n)
        for field, text in zip(FIELDS, features.fields_of(row.url), strict=True)
        for n in features.GRAM_BYTES
        for begin in range(len(text) - n + 1)
    ]
    share = 1 / float(np.sqrt(max(len(bags.tokens), 1)))
    grams = [Seen(*place, int(bucket), share) for place, bucket in zip(places, bags.tokens, strict=True)]
    names = marks.NAMES if isinstance(spec.features, UrlGramsInContext) else features.NAMES
    few = [Seen(_mark(names, int(bucket)), 0, 0, int(bucket), MARK_SCALE) for bucket in bags.marks[0]]
    return (*grams, *few)


def parts(spec: ModelSpec, theta: Theta, found: Sequence[Seen]) -> Values:
    """(seen, classes): what each adds to each logit."""
    table = theta.reshape(-1, len(spec.classes))
    buckets = np.array([one.bucket for one in found], np.int64)
    amounts = np.array([one.amount for one in found], np.float64)
    return table[buckets].astype(np.float64) * amounts[:, None]


def runs(row: Sighting, found: Sequence[Seen], values: Values) -> tuple[Run, ...]:
    """The same in runs of characters, in the order of the URL, and then the marks. What a fence around the host adds
    goes to the character beside it."""
    told: list[Run] = []
    for field, text in zip(FIELDS, features.fields_of(row.url), strict=True):
        each = np.zeros((len(text), values.shape[1]))
        for one, value in zip(found, values, strict=True):
            if one.where == field:
                each[one.begin : one.end] += value / (one.end - one.begin)
        if field == "host" and len(text) > 2:
            each[1] += each[0]
            each[-2] += each[-1]
            each, text = each[1:-1], text[1:-1]
        told += [
            Run(field, match[0].decode(errors="replace"), each[match.start() : match.end()].sum(0))
            for match in _RUNS.finditer(text)
        ]
    told += [Run(one.where, "", value) for one, value in zip(found, values, strict=True) if one.end == 0]
    return tuple(told)


def sources(
    spec: ModelSpec,
    found: Sequence[Seen],
    start: Model,
    terms: Iterable[tuple[tuple[str, int], Hash, int]],
    delta: Callable[[Hash], ArrayDelta],
) -> tuple[Source, ...]:
    """What the start and each data set's updates add. `terms` are ((log, seq of its data entry), delta, weight) of all
    that is in the sum; `delta` decodes one."""
    require_linear(spec)
    classes = len(spec.classes)
    buckets, at = np.unique([one.bucket for one in found], return_inverse=True)
    amounts = np.bincount(at, weights=[one.amount for one in found])
    wanted = (buckets[:, None] * classes + np.arange(classes)).ravel()
    place = np.full(spec.parameters, -1, np.int64)
    place[wanted] = np.arange(len(wanted))

    def values(exact: NDArray[np.int64]) -> Values:
        return np.asarray(amounts @ (exact.reshape(-1, classes).astype(np.float64) * GRID), np.float64)

    sums: dict[tuple[str, int], NDArray[np.int64]] = {}
    counts: dict[tuple[str, int], int] = {}
    for source, digest, weight in terms:
        decoded = delta(digest)
        fixed = decoded.fixed()
        total = sums.setdefault(source, np.zeros(len(wanted), np.int64))
        counts[source] = counts.get(source, 0) + 1
        if decoded.indices is None:
            total += fixed[wanted] * np.int64(weight)
        else:
            hit = place[decoded.indices]
            total[hit[hit >= 0]] += fixed[hit >= 0] * np.int64(weight)
    begun = Source("", 0, 0, values(np.asarray(start[wanted], np.int64)))
    return (begun, *(Source(*source, counts[source], values(total)) for source, total in sorted(sums.items())))


class DoesNotAddUp(AssertionError):
    """Parts are not those of this whole: a bug, or the model was another one when it was read again."""


def check_sum(whole: Values, parts_of_it: Values) -> None:
    """DoesNotAddUp unless the rows of `parts_of_it` add up to `whole`, to rounding."""
    total = parts_of_it.sum(0)
    slack = ROUNDING * (1 + np.abs(parts_of_it).sum(0))
    if not np.all(np.abs(total - whole) <= slack):
        raise DoesNotAddUp(f"the parts of a score add up to {total}, and it is {whole}")


def _mark(names: Sequence[tuple[int, str]], bucket: int) -> str:
    return next(name for begin, name in reversed(names) if bucket >= begin)
