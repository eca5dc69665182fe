"""How good the model of filter lists is on real requests: pooled, against a table of block rates, and in a swarm.

    ../shared/data --a quarter of the sites, by a hash of seed and site--> judged
                   --the rest------------------------------------------> trained on, together or by 14 regions

Never a random split: *unseen* rows are of sites that nobody trained on, *third parties* those of them that leave their
site, *seen* a tenth of the rows of sites whose other rows were trained on. *Unseen domains* are third parties of
unseen sites that no row trained on goes to, trained on what any list blocks and judged by it. The table knows, of every
domain, which share of its requests was blocked. The swarm is the fold with the weights of the ledger (gossip/fast),
no peer away; `mine` mixes each peer's model with what it has alone, as `gossip gains` does.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cli.bench.figures import Figure, Goal, Section
from gossip.fast.folding import Folding
from gossip.fast.setting import Setting
from gossip.filterlists.sighting import Sighting
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.training.blocks import Bags, Sampler
from gossip.training.learner import Learner, padding_of, width_of
from gossip.training.metrics import area_under_roc, average_precision
from gossip.training.personal import Judges, personal
from gossip.training.rows import bags_of
from gossip.training.scoring import Theta, logits_of
from gossip.training.spec import FILTERLIST, ModelSpec
from tests.bench.rules import REQUESTS, requests

TITLE: Final = "the model of filter lists on real requests, split by site"
SEEDS: Final = 3
POOLED_ROUNDS: Final = 60
PEER_ROUNDS: Final = 24
PEER_ROWS: Final = 1_500
REGION_ROWS: Final = 200  # a region with fewer is no peer
JUDGED: Final = 20  # ads and trackers among what a peer is judged by: of fewer its figure is noise
OF_TRACKERS: Final = ("privacy", "tracking", "peterlowe")  # in names of lists
SPEC: Final = ModelSpec.parse(FILTERLIST)

Rows = NDArray[np.bool_]


def measure(*, quick: bool) -> Section:
    if not REQUESTS.exists():
        return Section(TITLE, (Figure("requests", None, note="../shared/data is not beside this checkout"),))
    seeds = range(1 if quick else SEEDS)
    return Section(TITLE, (*_pooled(seeds), *_unseen_domains(seeds), *_regions(seeds)))


@cache
def _table() -> dict[str, Any]:
    """Columns: what the figures are made of."""
    rows = requests()
    seen = [Sighting(row["url"], row["page"], row["type"], third_party=bool(row["third_party"])) for row in rows]
    label = np.array([SPEC.classes.index(row["label"]) for row in rows])
    known = np.array([bool(row["lists"]) for row in rows])
    tracker = np.array([all(any(word in name for word in OF_TRACKERS) for name in row["lists"]) for row in rows])
    sites, numbers = np.unique([each.site for each in seen], return_inverse=True)
    return {
        "bags": bags_of(SPEC, seen), "label": label, "sites": sites, "site": numbers, "known": known | (label > 0),
        "tracker": tracker,
        "domain": np.array([each.domain for each in seen]), "third": np.array([each.party for each in seen]),
        "region": np.array([row["region"] for row in rows]),
    }  # fmt: skip


def _drawn(what: str) -> float:
    return int.from_bytes(hashlib.sha256(f"filterlists\n{what}".encode()).digest()[:4], "big") / 2**32


def _held_out(seed: int) -> Rows:
    out = np.array([_drawn(f"{seed}\n{site}") < 0.25 for site in _table()["sites"]])
    return np.asarray(out[_table()["site"]])


def _labelled(label: NDArray[np.integer], rows: Rows) -> Bags:
    bags: Bags = _table()["bags"]
    return Bags(bags.tokens, bags.offsets, bags.marks, label.astype(np.uint8)).only(rows)


class _InMemory:
    """A spool of rows that are here already."""

    def __init__(self, rows: Bags) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, block: Any) -> None:
        raise NotImplementedError

    def read(self, begin: int, end: int) -> Bags:
        return self._rows

    def close(self) -> None:
        pass


@cache
def _learner() -> Learner:
    return Learner(SPEC)


def _sampler(rows: Bags, seed: int) -> Sampler:
    return Sampler(_InMemory(rows), width=width_of(SPEC), padding=padding_of(SPEC), seed=seed)


def _start(seed: int) -> Theta:
    arithmetic = NumpyArithmetic()
    return np.asarray(arithmetic.to_float32(arithmetic.start(SPEC.layout(), f"{seed:064x}")))


def _trained(rows: Bags, seed: int, rounds: int) -> Theta:
    theta, sampler = _start(seed), _sampler(rows, seed)
    for _ in range(rounds):
        theta = _learner().round(theta, _learner().sample(sampler))
    return theta


def _p_block(theta: Theta, rows: Rows) -> NDArray[np.float64]:
    logits = logits_of(SPEC, theta, _labelled(_table()["label"], rows)).astype(np.float64)
    return 1 / (1 + np.exp(logits[:, 0] - np.logaddexp(logits[:, 1], logits[:, 2])))


def _rates(train: Rows, positive: Rows, asked: Rows) -> NDArray[np.float64]:
    """The table: the share of a domain's requests that was blocked; of an unknown domain that of all."""
    domain = _table()["domain"]
    seen, blocked = Counter(domain[train].tolist()), Counter(domain[train & positive].tolist())
    usual = positive[train].mean()
    return np.array([(blocked[name] + usual) / (seen[name] + 1) for name in domain[asked].tolist()])


def _f1(score: NDArray[np.float64], positive: Rows) -> float:
    found = score >= 0.5
    return float(2 * (found & positive).sum() / max(1, found.sum() + positive.sum()))


def _pooled(seeds: Sequence[int]) -> list[Figure]:
    table = _table()
    positive = table["label"] > 0
    slices: dict[str, Callable[[Rows, Rows], Rows]] = {
        "unseen sites": lambda out, some: out,
        "unseen sites, third parties": lambda out, some: out & table["third"],
        "seen sites": lambda out, some: some,
    }
    goals = {"AUC": 0.990, "PR-AUC": 0.982, "F1": 0.94}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in seeds:
        out = _held_out(seed)
        some = ~out & (np.random.default_rng(seed).random(len(out)) < 0.1)
        train = ~out & ~some
        theta = _trained(_labelled(table["label"], train), seed, POOLED_ROUNDS)
        for name, chosen in slices.items():
            rows = chosen(out, some)
            ours, floor, right = _p_block(theta, rows), _rates(train, positive, rows), positive[rows]
            for metric, of in (("AUC", area_under_roc), ("PR-AUC", average_precision), ("F1", _f1)):
                found.setdefault((name, metric), []).append((float(of(ours, right)), float(of(floor, right))))
    return [
        _figure(
            f"pooled, {name}: {metric}", [ours for ours, _ in pairs],
            Goal(goals[metric], at_most=False) if name == "unseen sites" else None,
            f"; table of domains {mean(floor for _, floor in pairs):.3f}",
        )
        for (name, metric), pairs in found.items()
    ]  # fmt: skip


def _unseen_domains(seeds: Sequence[int]) -> list[Figure]:
    table = _table()
    known = table["known"]
    by_name = np.where(table["tracker"], SPEC.classes.index("tracker"), SPEC.classes.index("ad"))
    broad = np.where((table["label"] == 0) & known, by_name, table["label"])
    areas, first = [], []
    for seed in seeds:
        out = _held_out(seed)
        asked = out & table["third"] & ~np.isin(table["domain"], np.unique(table["domain"][~out]))
        score = _p_block(_trained(_labelled(broad, ~out), seed, POOLED_ROUNDS), asked)
        areas.append(average_precision(score, known[asked]))
        first.append(_first_domains(score, known[asked], table["domain"][asked]))
    return [
        _figure("unseen domains, any list: PR-AUC", areas, Goal(0.83, at_most=False)),
        _figure("unseen domains: first 50 that any list blocks", first, Goal(0.95, at_most=False)),
    ]


def _first_domains(score: NDArray[np.float64], known: Rows, domain: NDArray[np.str_]) -> float:
    """Of the fifty domains with the highest mean score, the share of which any list blocks something."""
    of = np.unique(domain, return_inverse=True)[1]
    means = np.bincount(of, score) / np.bincount(of)
    blocked = np.bincount(of, known) > 0
    return float(blocked[np.argsort(-means, kind="stable")[:50]].mean())


class _Regions:
    """The 14 regions as the peers of gossip/fast."""

    def __init__(self, seed: int) -> None:
        table, out, luck = _table(), _held_out(seed), np.random.default_rng(seed)
        names = sorted(name for name, count in Counter(table["region"].tolist()).items() if count >= REGION_ROWS)
        self.layout, self.sizes = SPEC.layout(), list[int]()
        self.own, self.judged = list[Rows](), list[Rows]()
        for name in names:
            mine = np.flatnonzero((table["region"] == name) & ~out)
            kept = np.zeros(len(out), np.bool_)
            kept[luck.permutation(mine)[:PEER_ROWS]] = True
            self.own.append(kept)
            self.judged.append((table["region"] == name) & out)
            self.sizes.append(int(kept.sum()))
        self._samplers = [
            _sampler(_labelled(table["label"], rows), seed * 100 + peer) for peer, rows in enumerate(self.own)
        ]

    def train(self, jobs: Sequence[tuple[int, float, Theta]]) -> list[Theta]:
        return [_learner().round(theta, _learner().sample(self._samplers[peer])) for peer, _, theta in jobs]

    def accuracies(self, models: Any) -> NDArray[np.float64]:
        return np.zeros(len(models))


def _regions(seeds: Sequence[int]) -> list[Figure]:
    table = _table()
    closed, worst, worst_mine, sizes, judges = [], [], [], [], []
    for seed in seeds:
        work = _Regions(seed)
        swarm = Folding("fold", _setting(len(work.own), seed), work)
        swarm.run()
        together = np.logical_or.reduce(work.own)
        pooled = _trained(_labelled(table["label"], together), seed, POOLED_ROUNDS)
        rows: list[tuple[float, float, float, float]] = []
        for peer, model in enumerate(swarm.models()):
            judged, right = work.judged[peer], table["label"][work.judged[peer]]
            if (right > 0).sum() < JUDGED:
                continue
            alone = _trained(_labelled(table["label"], work.own[peer]), seed * 100 + peer, PEER_ROUNDS)
            ours, own = (logits_of(SPEC, theta, _labelled(table["label"], judged)) for theta in (model, alone))
            unknown = ~np.isin(table["domain"][judged], np.unique(table["domain"][work.own[peer]]))
            mixed = personal(ours, own, Judges(right, table["site"][judged], unknown)).gains
            scores = (_p_block(theta, judged) for theta in (alone, model, pooled))
            rows.append((*(average_precision(score, right > 0) for score in scores), mixed.mine.pr_auc))  # type: ignore[arg-type]
        of_alone, of_swarm, of_pooled, of_mine = np.array(rows).T
        closed.append(float((of_swarm - of_alone).mean() / (of_pooled - of_alone).mean()))
        worst.append(float((of_swarm - of_alone).min()))
        worst_mine.append(float((of_mine - of_alone).min()))
        judges.append(len(rows))
        sizes.append(mean(len(update.blob) for log in swarm.logs for update in log))
    return [
        Figure("14 regions: peers judged", mean(judges), "", None, 1, f"at least {JUDGED} ads or trackers held out"),
        _figure("14 regions: gap to pooled PR-AUC closed", closed, Goal(0.85, at_most=False)),
        _figure("14 regions: worst peer, swarm - alone", worst),
        _figure("14 regions: worst peer, its mix - alone", worst_mine, Goal(-0.01, at_most=False)),
        Figure("an update", mean(sizes), "B", None, 0),
    ]


def _setting(peers: int, seed: int) -> Setting:
    return Setting(
        peers=peers, rounds=PEER_ROUNDS, seed=seed, away=0, spread=0, eta=SPEC.eta, density=SPEC.density,
        norm0=SPEC.norm0_units,
    )  # fmt: skip


def _figure(name: str, values: Sequence[float], goal: Goal | None = None, note: str = "") -> Figure:
    spread = f"{min(values):.3f} to {max(values):.3f}, {len(values)} seeds"
    return Figure(name, mean(values), "", goal, 3, spread + note)
