"""`gossip why URL`: which characters and features, and whose updates, pushed this score.

    gossip why https://ads.example/banner/9.js --page https://news.example/ --type script
    gossip why https://ads.example/banner/9.js BUNDLE          by a bundle's model, instead of a peer's own scorer

The sums are exact (gossip/training/attribution.py), and are held to the score before anything is printed. Of a peer the
model is its own scorer: the swarm's with its own mixed in. What lists say of the same request stands beside it. Parts
of the URL that gossip/filterlists/mask.py hides stay hidden unless `--raw`; nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import options, render
from cli.plain import plain, visible
from cli.scoring import Lists, Model, Raw, known_lists, scorer_of
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.opened import Opened
    from gossip.advisor.scorer import Scorer
    from gossip.filterlists.engine import Hit
    from gossip.filterlists.sighting import Sighting
    from gossip.training.attribution import Run, Seen, Source, Values
    from gossip.training.scoring import Theta
    from ledger.entry import Hash

TOP: Final = 12  # runs that are told one by one
MAX_URL_CHARS: Final = 16_384
HIDDEN: Final = "…"
FENCES: Final = "/.?&=:_-"  # between words; other signs may be part of a secret
_WORD: Final = re.compile(r"[a-z0-9\x80-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Author:
    """What a peer's updates add to the push, and what the score would be without them."""

    peer: str  # "" for the start, "alone" for own data alone
    name: str
    updates: int
    push: float
    p_block: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be explained: (1 - share) of what a ledger folds to, and `share` of a model of own data alone."""

    scorer: Scorer
    ledger: str | None = None  # None: a model in a file, of which nobody knows here who taught it what
    alone: Theta | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Why:
    """What the command found. Pushes are of logit(`toward`) - logit(benign)."""

    row: Sighting
    scorer: Scorer
    p: tuple[float, float, float]
    toward: str
    push: float
    runs: Sequence[Run]
    of: Sequence[float]  # the push of each run
    hits: Sequence[Hit]
    lists: str  # why none was asked; "" if some were
    authors: Sequence[Author] = ()
    licences: Sequence[tuple[str, float]] = ()
    words: frozenset[str] | None = field(default=None)  # that may be shown; None: all


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
        found = explain(row, subject_of(source, model, directory), lists or [], raw=raw)
    if json:
        render.document(facts(found))
    else:
        show(found)


def sighting_of(url: str, page: str, kind: str) -> Sighting:
    """What was typed as a request. LocalError, in one line, if it cannot be one."""
    from gossip.filterlists.context import host_of
    from gossip.filterlists.features import TYPES
    from gossip.filterlists.requests import KNOWN_AS, SCHEMES
    from gossip.filterlists.sighting import Sighting

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
    from gossip.training.session import kept_alone

    try:
        scorer, found = own_scorer(swarm, place, own_data(place))
    except LocalError as error:
        render.complain(f"{error}; so the swarm's model is explained as it is, uncalibrated")
        return Subject(swarm, str(place))
    alone = kept_alone(place / "training.npz", swarm.spec)
    if found is None or alone is None or not is_linear(swarm.spec):
        return Subject(scorer, str(place))
    return Subject(scorer, str(place), alone, found.share)


def explain(row: Sighting, subject: Subject, lists: Sequence[Path], *, raw: bool) -> Why:
    """LocalError if the model cannot be explained."""
    from gossip.advisor.scorer import CLASSES
    from gossip.filterlists.context import census_of
    from gossip.filterlists.mask import masked
    from gossip.training import attribution

    scorer, census = subject.scorer, census_of([row])
    spec = scorer.spec
    places = attribution.seen(spec, row, census)
    order = [spec.classes.index(name) for name in CLASSES]
    values = attribution.parts(spec, scorer.theta, places)[:, order]
    logits = scorer.logits([row], census)[0].astype("f8")
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
        words=None if raw else frozenset(_WORD.findall(masked(row.url).lower())),
    )  # fmt: skip


# ------------------------------------------------------------------ whose updates


def _authors(
    subject: Subject, places: Sequence[Seen], order: list[int], logits: Values, toward: int
) -> tuple[tuple[Author, ...], tuple[tuple[str, float], ...]]:
    """By peer, and by licence of the data that they trained on. Held to the score before it is returned."""
    import numpy as np

    from cli.opened import ruled
    from gossip.merging.arithmetic import NumpyArithmetic
    from gossip.training import attribution
    from ledger.chain import peer_of

    spec, scorer = subject.scorer.spec, subject.scorer
    assert subject.ledger is not None

    def author(peer: str, name: str, updates: int, values: Values) -> Author:
        left = scorer.calibration.apply((logits - values)[None])[0, 2]
        return Author(peer, name, updates, float(values[toward] - values[0]), float(left) if peer else None)

    with ruled(subject.ledger) as read:
        if (
            next(iter(read.terms(read.past(None))), None) is None
        ):  # it scores with a model that it was given on arriving
            return (), ()
        genesis, names = read.replica.genesis, read.names()
        start = NumpyArithmetic().start(genesis.layout, genesis.seed)
        found = attribution.sources(spec, places, start, _terms(read), lambda digest: _delta(read, spec, digest))
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


def _terms(read: Opened) -> Iterable[tuple[tuple[str, int], Hash, int]]:
    from ledger.entry import Update

    for log, seq, digest, weight in read.terms(read.past(None)):
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


# ------------------------------------------------------------------ saying it


def shown(found: Why, run: Run) -> str:
    """A run as it may be printed: words that the masked URL does not show are hidden."""
    if not run.text:
        kinds = {"type and party": _kind(found.row), "type": found.row.type}
        return kinds.get(run.where, run.where)
    words = _WORD.findall(run.text)
    if found.words is None or all(word in found.words for word in words):
        return visible(run.text, 80)
    return run.text[: len(run.text) - len(run.text.lstrip(FENCES))] + HIDDEN


def _kind(row: Sighting) -> str:
    if not row.page:
        return f"{row.type}, party not known"
    return f"{row.type}, {'third' if row.party else 'first'} party"


def url_of(found: Why) -> str:
    from gossip.filterlists.mask import masked

    return found.row.url if found.words is None else masked(found.row.url)


def facts(found: Why) -> dict[str, Any]:
    p_ad, p_tracker, p_block = found.p
    runs = zip(found.runs, found.of, strict=True)
    return {
        "url": url_of(found), "type": found.row.type, "third_party": found.row.party, "model": found.scorer.name,
        "p_ad": p_ad, "p_tracker": p_tracker, "p_block": p_block, "threshold": found.scorer.threshold,
        "measured": found.scorer.calibration.measured, "block": p_block >= found.scorer.threshold,
        "toward": found.toward, "push": found.push,
        "runs": [{"where": run.where, "text": shown(found, run), "push": push} for run, push in runs],
        "peers": [
            {"peer": one.peer, "name": one.name, "updates": one.updates, "push": one.push,
             "p_block_without": one.p_block}
            for one in found.authors
        ],
        "licences": [{"licence": licence, "push": push} for licence, push in found.licences],
        "lists": [
            {"list": hit.list, "rule": hit.rule, "exception": hit.exception, "blocks": hit.blocks} for hit in found.hits
        ],
        "lists_not_asked": found.lists,
    }  # fmt: skip


def show(found: Why) -> None:
    p_ad, p_tracker, p_block = found.p
    scorer = found.scorer
    render.say(f"{visible(url_of(found), 200)}   {_kind(found.row)}")
    if not found.row.page:
        render.say("(--page is missing: whether it leaves its site is not known, and is part of the score)")
    measured = "" if scorer.calibration.measured else ", which is not measured"
    verdict = "to be blocked" if p_block >= scorer.threshold else "not to be blocked"
    render.say(f"P(ad) {p_ad:.3f}   P(tracker) {p_tracker:.3f}   P(block) {p_block:.3f}")
    render.say(f"{verdict}: the threshold is {scorer.threshold:.3f}{measured} ({visible(scorer.name, 60)})")
    for line in _said_by_lists(found):
        render.say(line)
    render.say()
    _show_runs(found)
    if found.authors:
        render.say()
        _show_authors(found)


def _said_by_lists(found: Why) -> Iterable[str]:
    if found.lists:
        yield f"lists: {found.lists}"
        return
    if not found.hits:
        yield "lists: none of yours has a rule for it"
    for hit in found.hits:
        how = f"blocked by {plain(hit.rule, 100)}" if hit.blocks else f"excepted by {plain(hit.exception, 100)}"
        yield f"{plain(hit.list, 40)}: {how}"


def _show_runs(found: Why) -> None:
    from cli.lineage import bar

    told = sorted(zip(found.runs, found.of, strict=True), key=lambda pair: -abs(pair[1]))
    first, rest = told[:TOP], told[TOP:]
    high = max([abs(push) for _, push in told], default=1.0) or 1.0
    rows = [(shown(found, run), run.where, _signed(push), bar(abs(push) / high)) for run, push in first]
    if rest:
        left = sum(push for _, push in rest)
        rows.append((f"{render.many(len(rest), 'other')}", "", _signed(left), bar(min(1.0, abs(left) / high))))
    rows.append(("together", "", _signed(found.push), ""))
    render.table((f"towards {found.toward}, against benign", "", "log-odds", ""), rows, right=(2,))


def _show_authors(found: Why) -> None:
    from cli.lineage import ADDS_UP, NOT_NAMED

    rows = [
        (one.name or NOT_NAMED, one.peer[:8] if one.peer != "alone" else "", f"{one.updates:,}" if one.updates else "",
         _signed(one.push), render.NONE if one.p_block is None else f"{one.p_block:.3f}")
        for one in found.authors
    ]  # fmt: skip
    rows.append(("together", "", "", _signed(found.push), f"{found.p[2]:.3f}"))
    render.table(("whose work", "", "updates", "log-odds", "P(block) without it"), rows, right=(2, 3, 4))
    render.say("Without it: less what was published, not what the others would have learned alone.")
    if found.licences:
        render.say()
        render.table(
            ("licence, as claimed", "log-odds"),
            [(plain(licence, 40) or NOT_NAMED, _signed(push)) for licence, push in found.licences], right=(1,),
        )  # fmt: skip
        render.say(f"({ADDS_UP.replace('100%', 'the whole')})")


def _signed(push: float) -> str:
    return f"{push:+.2f}"
