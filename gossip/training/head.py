"""A head: personal categories ("social-widget", "cookie-banner") from a few dozen own examples, over a frozen body.

    own examples, own rows as background --n-grams--> bags --what own rows and the shared body say of n-grams--> weights
    weights --ridge, one against all--> a table of one column for each category     never sent anywhere

Two things weigh n-grams. Own rows: those in few of them tell more (log(rows / rows with it)). The shared body: what its
table gives weight tells ads and trackers, which is everybody's business and not this one's, so it counts less:
1 / sqrt(.3 + its weight over the mean weight). Measured on five categories of real requests told by hosts and paths, on
unseen sites, mean PR-AUC of 3 draws with 3, 10 and 20 examples of each: with neither .423, .520, .596; with the shared
body .451, .537, .611; with own rows .459, .535, .610; with both .468, .536, .618. So the body is worth something where
examples are few and little where own rows are at hand. To weigh n-grams *up* by the shared table, as one might expect
of a body, made it worse (.331 to .295 with 3).

    one line of JSON, then the table as float32, little-endian: buckets rows, one number for each category
    {"format":"gossip-head/1","features":"url-grams/2","buckets":16384,"body":"5d1c..","categories":["chat"],
     "examples":[14],"left_out":[11],"false":[1],"none":60,"lines":[{"scale":2.1,"offset":-0.4}]}

`left_out` says of how many examples the head knows the category when it is trained without their site, `false` how many
others it then takes for it; `lines` make probabilities of scores, from the same. What the body says is in the table, so
the head stays as it is when the swarm's model moves on.

Rules kept here: numpy only, no luck, the same examples give the same head. It refuses to know where files lie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gossip.filterlists.sighting import Sighting
from gossip.training.blocks import Bags
from gossip.training.calibration import Line, fit_line, weights_of
from gossip.training.rows import bags_of
from gossip.training.scoring import MARK_SCALE, Theta, logits_of, split
from gossip.training.spec import EmbeddingBag, ModelSpec, UrlGrams
from ledger.errors import LocalError

FORMAT: Final = "gossip-head/1"
NONE: Final = "none"
MIN_EXAMPLES: Final = 3  # of a category
MAX_EXAMPLES: Final = 1_000  # in all; beyond, train a model
MAX_CATEGORIES: Final = 32
MAX_HEADER_BYTES: Final = 16 * 1024
BACKGROUND: Final = 3  # own rows for each example, taken for none
RIDGE: Final = 0.1
SHARED: Final = 0.3
PRIOR: Final = 4.0  # rows that "leave it as it is" weighs
_FLOAT: Final = 4

_Name = Annotated[str, Meta(min_length=1, max_length=40)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 31)]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: str
    features: str
    buckets: Annotated[int, Meta(ge=1 << 10, le=1 << 16)]
    body: str  # hash of the shared weights that it was trained over
    categories: Annotated[list[_Name], Meta(min_length=1, max_length=MAX_CATEGORIES)]
    examples: list[_Count]
    left_out: list[_Count]
    false: list[_Count]
    none: _Count  # rows that stood for none
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Head:
    header: Header
    table: NDArray[np.float32]  # (buckets, categories)

    def score(self, spec: ModelSpec, rows: Sequence[Sighting]) -> NDArray[np.float32]:
        """(rows, categories): probabilities, each against all others. LocalError if rows of this declaration have
        other features."""
        if (spec.feature_spec, _buckets(spec)) != (self.header.features, self.header.buckets):
            raise LocalError(
                "this head goes with other features", why=f"{self.header.features}, {self.header.buckets:,} buckets",
                next_step="train it again: gossip head train",
            )  # fmt: skip
        raw = _sums(spec, self.table, bags_of(spec, rows)).astype(np.float64)
        columns = [line.of(raw[:, at]) for at, line in enumerate(self.header.lines)]
        return np.stack(columns, axis=1).astype(np.float32)

    def name(self, row: NDArray[np.float32]) -> str:
        """The category of a row of `score`; NONE where nothing is likelier than not."""
        best = int(row.argmax())
        return self.header.categories[best] if row[best] >= 0.5 else NONE


def train_head(
    spec: ModelSpec, theta: Theta, rows: Sequence[Sighting], categories: Sequence[str], own: Sequence[Sighting] = ()
) -> Head:
    """A head over the body `theta`. `categories` are those of `rows`, NONE for none; `own` are rows of the same owner
    that stand for what is usual: some of them for NONE as well. LocalError about too few examples, or too many."""
    counts = Counter(category for category in categories if category != NONE)
    names = sorted(counts)
    _check(names, counts, len(rows))
    taken = _spread(own, max(0, BACKGROUND * sum(counts.values()) - categories.count(NONE)))
    if len(rows) + len(taken) == sum(counts.values()):
        raise LocalError(
            "there is nothing to tell the examples from", why="no row stands for none",
            next_step='add rows with "category": "none", or train where a peer has data of its own',
        )  # fmt: skip
    shown = [*rows, *taken]
    bags = bags_of(spec, shown)
    scale = _shared(spec, theta) * _rare(bags_of(spec, own) if own else bags, _buckets(spec))
    labels = np.array([names.index(one) if one != NONE else -1 for one in categories] + [-1] * len(taken))
    sites = np.unique(np.array([row.site or row.domain for row in shown]), return_inverse=True)[1]
    wanted = np.where(labels[:, None] == np.arange(len(names)), 1.0, -1.0)
    for at in range(len(names)):  # all of one site: without that, nobody would know the category at all
        if len(np.unique(sites[labels == at])) == 1:
            sites[labels == at] = sites.max() + 1 + np.arange((labels == at).sum())
    table, without = _ridge(bags, scale, wanted, sites)
    weights = weights_of(sites, len(shown))
    lines = [fit_line(without[:, at], labels == at, weights, prior=PRIOR) for at in range(len(names))]
    told = np.stack([line.of(without[:, at]) for at, line in enumerate(lines)], axis=1)
    guess = np.where(told.max(1) >= 0.5, told.argmax(1), -1)
    header = Header(
        format=FORMAT, features=spec.feature_spec, buckets=_buckets(spec), body=sha256(theta.tobytes()).hexdigest(),
        categories=names, examples=[counts[name] for name in names],
        left_out=[int(((guess == at) & (labels == at)).sum()) for at in range(len(names))],
        false=[int(((guess == at) & (labels != at)).sum()) for at in range(len(names))],
        none=int((labels == -1).sum()), lines=lines,
    )  # fmt: skip
    return Head(header, table)


def head_bytes(head: Head) -> bytes:
    """The file."""
    return msgspec.json.encode(head.header) + b"\n" + head.table.astype("<f4").tobytes()


def parse_head(data: bytes) -> Head:
    """Raises LocalError unless this program could have written it."""
    line, end, body = data[: MAX_HEADER_BYTES + 1].partition(b"\n")
    body = data[len(line) + 1 :]
    try:
        header = msgspec.json.decode(line, type=Header)
    except (ValueError, RecursionError) as error:
        raise _odd(str(error)) from None
    many = len(header.categories)
    columns = (header.examples, header.left_out, header.false, header.lines)
    if not end or header.format != FORMAT or any(len(column) != many for column in columns):
        raise _odd(f"its first line is not that of a {FORMAT}")
    if len(body) != _FLOAT * many * header.buckets:
        raise _odd(f"its table should have {_FLOAT * many * header.buckets:,} bytes")
    table = np.frombuffer(body, "<f4").reshape(header.buckets, many)
    if not np.isfinite(table).all() or np.abs(table).max() > 1e6:
        raise _odd("a weight of its table is no number that training gives")
    return Head(header, table.astype(np.float32))


def _check(names: Sequence[str], counts: Counter[str], rows: int) -> None:
    few = [name for name in names if counts[name] < MIN_EXAMPLES]
    if not names or few:
        raise LocalError(
            f"too few examples of {', '.join(few)[:80]}" if few else "there is no example of any category",
            why=f"a category needs {MIN_EXAMPLES}", next_step="add some; twenty are better",
        )  # fmt: skip
    if len(names) > MAX_CATEGORIES or rows > MAX_EXAMPLES:
        raise LocalError(
            f"{rows:,} examples of {len(names)} categories are too many for a head",
            why=f"the most are {MAX_EXAMPLES:,} of {MAX_CATEGORIES}", next_step="leave some out, or train a model",
        )  # fmt: skip


def _spread(rows: Sequence[Sighting], count: int) -> list[Sighting]:
    """So many of them, evenly."""
    count = min(count, len(rows), MAX_EXAMPLES)
    return [rows[at * len(rows) // count] for at in range(count)]


def _shared(spec: ModelSpec, theta: Theta) -> NDArray[np.float64]:
    """What the shared table leaves to others: less of the buckets that it gives weight."""
    table = split(theta, spec)[0].astype(np.float64)
    if len(spec.layers) == 1:
        table = table - table.mean(1, keepdims=True)  # what all classes have alike says nothing
    weight = np.sqrt((table**2).sum(1))
    mean = weight.mean()
    return np.asarray((SHARED + (weight / mean if mean else weight)) ** -0.5, np.float64)


def _rare(bags: Bags, buckets: int) -> NDArray[np.float64]:
    """How rare each bucket is among the rows."""
    rows = np.repeat(np.arange(len(bags)), np.diff(bags.offsets))
    pairs = np.unique(rows * buckets + bags.tokens)
    held = np.bincount(pairs % buckets, minlength=buckets) + np.bincount(bags.marks.ravel(), minlength=buckets)
    return np.asarray(np.log((len(bags) + 1) / (np.minimum(held, len(bags)) + 1)), np.float64)


def _ridge(
    bags: Bags, scale: NDArray[np.float64], wanted: NDArray[np.float64], sites: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Weights by bucket, and what is said of each row when all rows of its site are left out (exactly: the block of
    the inverse that belongs to the site)."""
    used, column = np.unique(np.concatenate([bags.tokens, bags.marks.ravel()]), return_inverse=True)
    counts = np.diff(bags.offsets)
    seen = np.zeros((len(bags), len(used)))
    grams = column[: len(bags.tokens)]
    every, marks = np.arange(len(bags)), column[len(bags.tokens) :].reshape(bags.marks.shape)
    np.add.at(seen, (np.repeat(every, counts), grams), np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts))
    np.add.at(seen, (every[:, None], marks), MARK_SCALE)
    seen *= scale[used]
    size = float(np.sqrt((seen**2).sum(1).mean())) or 1.0
    seen /= size
    middle = wanted.mean(0)
    inverse = np.linalg.inv(seen @ seen.T + RIDGE * np.eye(len(bags)))
    dual = inverse @ (wanted - middle)
    without = np.empty_like(wanted)
    for site in np.unique(sites):
        here = np.flatnonzero(sites == site)
        without[here] = wanted[here] - np.linalg.solve(inverse[np.ix_(here, here)], dual[here])
    table = np.zeros((len(scale), wanted.shape[1]))
    table[used] = (seen.T @ dual) * (scale[used] / size)[:, None]
    return table.astype(np.float32), without - middle  # lines put the middle back


def _sums(spec: ModelSpec, table: NDArray[np.float32], bags: Bags) -> NDArray[np.float32]:
    """What a table of any width says of rows: a model of one layer."""
    plain = msgspec.structs.replace(spec, layers=[EmbeddingBag(units=table.shape[1], buckets=table.shape[0])])
    return logits_of(plain, table.ravel(), bags)


def _buckets(spec: ModelSpec) -> int:
    if not isinstance(spec.features, UrlGrams):
        raise LocalError("a head is for requests", why=f"this model's features are {spec.feature_spec}")
    return spec.features.buckets


def _odd(why: str) -> LocalError:
    return LocalError("this head cannot be used", why=why[:200], next_step="train it again: gossip head train")
