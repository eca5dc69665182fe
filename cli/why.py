"""`gossip why URL`: which characters and features, and whose updates, pushed this score.

    gossip why https://ads.example/banner/9.js --page https://news.example/ --type script
    gossip why https://ads.example/banner/9.js BUNDLE          by a bundle's model, instead of a peer's own scorer

The sums are exact (gossip/training/attribution.py), and are held to the score before anything is printed. Of a peer the
model is its own scorer: the swarm's with its own mixed in. What lists say of the same request stands beside it. Parts
of the URL that gossip/filterlists/mask.py hides stay hidden unless `--raw`; nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import options, render
from cli.scoring import Lists, Model, Raw, known_lists, scorer_of
from cli.why_told import WORD, Author, Why, facts, show
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.opened import Opened
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.sighting import Sighting
    from gossip.training.attribution import Seen, Source, Values
    from gossip.training.scoring import Theta
    from ledger.entry import Hash

MAX_URL_CHARS: Final = 16_384
TRIES: Final = 5  # to see one model of a peer that trains meanwhile


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be explained: (1 - share) of what a ledger folds to, and `share` of a model of own data alone."""

    scorer: Scorer
    ledger: str | None = None  # None: a model in a file, of which nobody knows here who taught it what
    alone: Theta | None = None
    share: float = 0.0
    peer: Path | None = None  # whose ledger it is, if it is no bundle
    snapshot: str | None = None  # what was folded: of a release PEER/SEQ; None: everything


def why(
    url: Annotated[str, typer.Argument(metavar="URL", help="The request.")],
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="A swarm's name, a peer's directory, or a bundle.")
    ] = None,
    page: Annotated[str, typer.Option("--page", metavar="URL", help="The page that makes the request.")] = "",
    kind: Annotated[str, typer.Option("--type", metavar="T", help="Its type, such as script or image.")] = "other",
    model: Model = None,
    directory: options.Dir = None,
    lists: Lists = None,
    raw: Raw = False,
    json: options.Json = False,
) -> None:
    """Why a request has the score it has: which characters, which features, whose updates."""
    from cli import damaged

    row = sighting_of(url, page, kind)
    with damaged.reading(source, json=json):
        found = _settled(lambda: explain(row, subject_of(source, model, directory), lists or [], raw=raw))
    if json:
        render.document(facts(found))
    else:
        show(found)


def _settled(find: Callable[[], Why]) -> Why:
    """What is found of one and the same model: that of a peer that trains moves on between two looks at its ledger."""
    from gossip.training.attribution import DoesNotAddUp

    for _ in range(TRIES - 1):
        with suppress(DoesNotAddUp):
            return find()
    return find()


def sighting_of(url: str, page: str, kind: str) -> Sighting:
    """What was typed as a request. LocalError, in one line, if it cannot be one."""
    from gossip.filterlists.features import TYPES
    from gossip.filterlists.requests import KNOWN_AS, SCHEMES
    from gossip.filterlists.sighting import Sighting
    from gossip.filterlists.split import host_of

    for what, text in (("URL", url), ("page", page)):
        if text and (len(text) > MAX_URL_CHARS or not text.lower().startswith(SCHEMES) or not host_of(text)):
            raise LocalError(
                f"this {what} is no web address of at most {MAX_URL_CHARS:,} characters",
                next_step="spell it as https://ads.example/banner.js",
            )
    if not url:
        raise LocalError("there is no URL", next_step="gossip why https://ads.example/banner.js")
    spelt = KNOWN_AS.get(kind.lower().replace("-", "_"))
    if spelt is None:
        raise LocalError(f"{kind[:40]!r} is no type of a request", next_step=f"say one of {', '.join(TYPES)}")
    return Sighting(url=url, page=page, type=spelt)


def subject_of(source: str | None, model: Path | None, directory: Path | None) -> Subject:
    """LocalError if there is no model, or several are named."""
    from cli import settings
    from cli.sources import is_bundle

    path = None if source is None else Path(source)
    if path is not None and is_bundle(path):
        if model is not None or directory is not None:
            raise LocalError("a bundle and --model or --dir name two models", next_step="keep one of them")
        return Subject(_of_bundle(path), str(path))
    if path is not None and settings.holds_peer(path):
        source, directory = None, path
    swarm = scorer_of(model, directory, source, personal=False)
    if model is not None:
        return Subject(swarm)
    return _of_peer(swarm, settings.existing_directory(source, directory))


def _of_bundle(path: Path) -> Scorer:
    from cli.opened import opened, require
    from gossip.advisor.scorer import Scorer
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training.calibration import UNCALIBRATED
    from gossip.training.spec import ModelSpec

    with opened(path) as read:
        require(read)
        read.require_whole()
        genesis, arithmetic = read.replica.genesis, NumpyArithmetic()
        spec: ModelSpec = ModelSpec.parse(genesis.model)
        if spec.layout() != genesis.layout:
            raise LocalError("this swarm's model cannot be used", why="its layout is not that of its declaration")
        theta = arithmetic.start(genesis.layout, genesis.seed)
        for _, _, digest, weight in read.terms(read.past(None)):
            arithmetic.add(theta, _delta(read, spec, digest), weight)
        return Scorer(spec, arithmetic.to_float32(theta), UNCALIBRATED, path.name)


def _of_peer(swarm: Scorer, place: Path) -> Subject:
    from cli.own import own_data
    from gossip.own_scorer import is_linear, own_scorer
    from gossip.releases import in_use
    from gossip.training.session import kept_alone

    release = in_use(place)
    snapshot = None if release is None else f"{release.log}/{release.seq}"
    try:
        scorer, found = own_scorer(swarm, place, own_data(place))
    except LocalError as error:
        render.complain(f"{error}; so the swarm's model is explained as it is, uncalibrated")
        return Subject(swarm, str(place), peer=place, snapshot=snapshot)
    alone = kept_alone(place / "training.npz", swarm.spec)
    if found is None or alone is None or not is_linear(swarm.spec):
        return Subject(scorer, str(place), peer=place, snapshot=snapshot)
    return Subject(scorer, str(place), alone, found.share, place, snapshot)


def explain(row: Sighting, subject: Subject, lists: Sequence[Path], *, raw: bool) -> Why:
    """LocalError if the model cannot be explained."""
    from gossip.advisor.scorer import CLASSES
    from gossip.filterlists.mask import masked
    from gossip.training import attribution

    scorer = subject.scorer
    spec = scorer.spec
    places = attribution.seen(spec, row)
    order = [spec.classes.index(name) for name in CLASSES]
    values = attribution.parts(spec, scorer.theta, places)[:, order]
    logits = scorer.logits([row])[0].astype("f8")
    attribution.check_sum(logits, values)
    toward = 1 if logits[1] >= logits[2] else 2
    runs = attribution.runs(row, places, values)
    known = known_lists(lists)
    authors, licences = _authors(subject, places, order, logits, toward) if subject.ledger is not None else ((), ())
    p_ad, p_tracker, p_block = (float(one) for one in scorer.calibration.apply(logits[None])[0])
    return Why(
        row=row, scorer=scorer, p=(p_ad, p_tracker, p_block), toward=CLASSES[toward],
        push=float(logits[toward] - logits[0]), runs=runs,
        of=[float(run.values[toward] - run.values[0]) for run in runs],
        hits=known.engine.hits(row.page, row.url, row.type) if known.engine is not None else (),
        lists=known.why_not if known.engine is None else "", authors=authors, licences=licences,
        words=None if raw else frozenset(WORD.findall(masked(row.url).lower())),
    )  # fmt: skip


# ------------------------------------------------------------------ whose updates


def _authors(
    subject: Subject, places: Sequence[Seen], order: list[int], logits: Values, toward: int
) -> tuple[tuple[Author, ...], tuple[tuple[str, float], ...]]:
    """By peer, and by licence of the data that they trained on. Held to the score before it is returned."""
    import numpy as np

    from cli.opened import ruled
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.scorers import held
    from gossip.training import attribution
    from ledger.chain import peer_of

    spec, scorer = subject.scorer.spec, subject.scorer
    assert subject.ledger is not None

    def author(peer: str, name: str, updates: int, values: Values) -> Author:
        left = scorer.calibration.apply((logits - values)[None])[0, 2]
        return Author(peer, name, updates, float(values[toward] - values[0]), float(left) if peer else None)

    with ruled(subject.ledger) as read:
        if subject.peer is not None:  # its scorer's model has what it wrote last, which no checkpoint covers yet
            read = replace(read, replica=held(subject.peer).replica)
        past = read.past(subject.snapshot)
        if not read.terms(past):  # it scores with a model that it was given on arriving
            return (), ()
        genesis, names = read.replica.genesis, read.names()
        start = NumpyArithmetic().start(genesis.layout, genesis.seed)
        found = attribution.sources(spec, places, start, _terms(read, past), lambda digest: _delta(read, spec, digest))
        told = [(one, (1 - subject.share) * one.values[order]) for one in found]
        peers: dict[str, tuple[int, Values]] = {}
        for one, values in told:
            peer = peer_of(one.log) if one.log else ""
            updates, before = peers.get(peer, (0, np.zeros(len(order))))
            peers[peer] = (updates + one.updates, before + values)
        listed = [author(peer, names.get(peer, "") if peer else "the start", *rest) for peer, rest in peers.items()]
        if subject.alone is not None and subject.share:
            values = subject.share * attribution.parts(spec, subject.alone, places).sum(0)[order]
            listed.append(author("alone", "your data alone", 0, values))
            told.append((attribution.Source("", 0, 0, values), values))
        attribution.check_sum(logits, np.array([values for _, values in told]))
        return (
            tuple(sorted(listed, key=lambda one: (-abs(one.push), one.peer))),
            _licences(read, [(one, float(values[toward] - values[0])) for one, values in told if one.log]),
        )


def _terms(read: Opened, past: Mapping[str, int]) -> Iterable[tuple[tuple[str, int], Hash, int]]:
    from ledger.entry import Update

    for log, seq, digest, weight in read.terms(past):
        entry = read.replica.entry(log, seq)
        assert isinstance(entry, Update)
        yield (log, entry.data), digest, weight


def _delta(read: Opened, spec: Any, digest: Hash) -> Any:
    """A decoded delta. LocalError if it is missing, or is not the one that was logged."""
    from gossip.merging.arithmetic import NumpyArithmetic
    from ledger.bundle import MAX_BLOB_BYTES

    blob = read.contents.blob(digest, MAX_BLOB_BYTES)
    if blob is None or sha256(blob).hexdigest() != digest:
        raise LocalError(
            f"delta {digest[:12]} is {'missing' if blob is None else 'damaged'}", why="so the sum cannot be told apart",
            next_step="gossip ledger verify says what is wrong; --model explains a model without its authors",
        )  # fmt: skip
    return NumpyArithmetic().decode(blob, spec.parameters)


def _licences(read: Opened, pushes: Sequence[tuple[Source, float]]) -> tuple[tuple[str, float], ...]:
    from ledger.entry import Data
    from ledger.lineage import licences_of

    found: dict[str, float] = {}
    for one, push in pushes:
        data = read.replica.entry(one.log, one.data)
        assert isinstance(data, Data)
        for licence in licences_of(data):
            found[licence] = found.get(licence, 0.0) + push
    return tuple(sorted(found.items(), key=lambda item: (-abs(item[1]), item[0])))
