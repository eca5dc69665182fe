"""Rules proposed for real requests: do they parse, what else do they hit, and does any list agree?

    ../shared/data --half the sites--> gossip train --> model
                   --other half------> capture --> gossip suggest, against the lists of May 2025
                                                       |-> confirmed: lists of 2026 block most of its evidence
                                                       '-> collateral: requests that none of them blocks, and it would

The user's lists are EasyList, EasyPrivacy and uBlock's three as of May 2025; confirmed is by any of the forty lists of
2026 that the data name. `broad`: the model was trained on what any list blocks, as in a swarm whose members keep
different lists; `own`: on nothing but the user's own lists, where every hole of theirs is taught as benign. A hole
that all lists share counts against a rule here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final

from cli.bench.figures import Figure, Goal, Section
from gossip.advisor.propose import Proposal, suggest
from gossip.advisor.scored import Scored
from gossip.advisor.scorer import Scorer
from gossip.filterlists.engine import Lists, ListText
from gossip.filterlists.sighting import Sighting
from gossip.filterlists.split import site_of
from gossip.filterlists.trial import trial
from gossip.training.alone import train_alone
from gossip.training.spec import FILTERLIST

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
REQUESTS: Final = DATA / "requests-dev.jsonl.gz"
LISTS: Final = DATA / "lists-2025-05-30_2026-08-14.tgz"
SEEDS: Final = 3
FIRST: Final = 50
TITLE: Final = f"rules: proposed on unseen sites, the first {FIRST} held against the lists of 2026"


@dataclass(frozen=True, slots=True)
class Run:
    proposals: tuple[Proposal, ...]
    read: int
    confirmed: int  # of the first FIRST
    collateral: float  # share of the benign requests that the first FIRST hit
    collateral_all: float  # and all
    confirmed_all: float
    weak: int
    left: int
    threshold: float


@cache
def requests() -> list[dict[str, Any]]:
    with gzip.open(REQUESTS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@cache
def listed() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Of each request the user's lists that block it, and those that have an exception for it."""
    with tarfile.open(LISTS) as archive:
        texts = [
            ListText(member.name, file.read().decode("utf-8", "replace"))
            for member in sorted(archive.getmembers(), key=lambda member: member.name)
            if "2025-05" in member.name and "peter" not in member.name and (file := archive.extractfile(member))
        ]
    lists = Lists(texts)
    hits = [lists.hits(row["page"], row["url"], row["type"]) for row in requests()]
    return [
        (tuple(hit.list for hit in each if hit.blocks), tuple(hit.list for hit in each if hit.exception))
        for each in hits
    ]


def is_known(row: dict[str, Any]) -> bool:
    """Whether any list of 2026 blocks it."""
    return any("@2026" in name for name in row["lists"])


def is_tested(row: dict[str, Any], seed: int) -> bool:
    return bool(hashlib.sha256(f"rules\n{seed}\n{site_of(row['page'])}".encode()).digest()[0] & 1)


def label_of(row: dict[str, Any], labels: str) -> str:
    if labels == "own":
        return str(row["label_2025"])
    if row["label"] != "benign":
        return str(row["label"])
    return "tracker" if is_known(row) else "benign"


@cache
def scorer(seed: int, labels: str) -> Scorer:
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        path = Path(folder) / "train.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for row in requests():
                if not is_tested(row, seed):
                    kept = {name: row[name] for name in ("page", "url", "type", "third_party")}
                    file.write(json.dumps({**kept, "label": label_of(row, labels)}) + "\n")
        found = train_alone(FILTERLIST, [path], seed=seed).model
    return Scorer(found.spec, found.theta, found.calibration, "bench")


@cache
def run(seed: int, labels: str) -> Run:
    model = scorer(seed, labels)
    tested = [index for index, row in enumerate(requests()) if is_tested(row, seed)]
    rows = [requests()[index] for index in tested]
    seen = [Sighting(row["url"], row["page"], row["type"], third_party=row["third_party"]) for row in rows]
    judged = [
        Scored(each.seen, each.p_ad, each.p_tracker, each.p_block, each.block, *listed()[index])
        for each, index in zip(model.judge(seen), tested, strict=True)
    ]
    known = {id(each): is_known(row) for each, row in zip(judged, rows, strict=True)}
    found = suggest(judged, trial)
    right = [2 * sum(known[id(row)] for row in each.evidence) >= len(each.evidence) for each in found.proposals]
    benign = [each for each in judged if not known[id(each)] and not each.listed_by]
    return Run(
        found.proposals,
        sum(trial([each.text]).read[0] for each in found.proposals),
        sum(right[:FIRST]),
        _hit(found.proposals[:FIRST], benign),
        _hit(found.proposals, benign),
        sum(right) / max(1, len(right)),
        found.weak,
        found.left,
        model.threshold,
    )


def _hit(proposals: Iterable[Proposal], benign: list[Scored]) -> float:
    """Share of these requests that rules block, evidence that no list confirms included."""
    tried = trial([each.text for each in proposals])
    hit = sum(bool(tried.matching(row.seen.page, row.seen.url, row.seen.type)) for row in benign)
    return hit / max(1, len(benign))


def measure(*, quick: bool = False) -> Section:
    if not REQUESTS.exists():
        return Section(TITLE, (Figure("rules", None, note=f"no development data at {DATA}"),))
    return Section(TITLE, tuple(_figures(range(1 if quick else SEEDS))))


def _figures(seeds: range) -> Iterator[Figure]:
    for labels in ("broad", "own"):
        runs = [run(seed, labels) for seed in seeds]
        goal = labels == "broad"
        counts = " ".join(f"{len(each.proposals)}" for each in runs)
        at = " ".join(f"{each.threshold:.3f}" for each in runs)
        yield Figure(
            f"{labels}: rules that do not parse", sum(len(each.proposals) - each.read for each in runs), goal=Goal(0),
            digits=0, note=f"of {counts}; thresholds {at}",
        )  # fmt: skip
        firsts = [each.confirmed / max(1, min(FIRST, len(each.proposals))) for each in runs]
        yield Figure(
            f"{labels}: of the first {FIRST} confirmed", median(firsts), "%",
            goal=Goal(0.9, False) if goal else None, digits=0, note=_spread(firsts),
        )  # fmt: skip
        yield Figure(
            f"{labels}: of all confirmed", median(each.confirmed_all for each in runs), "%", digits=0,
            note=_spread([each.confirmed_all for each in runs]),
        )  # fmt: skip
        shares = [each.collateral for each in runs]
        yield Figure(
            f"{labels}: benign requests the first {FIRST} hit", median(shares), "%", goal=Goal(0.001), digits=3,
            note=" ".join(f"{100 * share:.3f}" for share in shares),
        )  # fmt: skip
        shares = [each.collateral_all for each in runs]
        yield Figure(
            f"{labels}: benign requests that all hit", median(shares), "%", goal=Goal(0.001) if goal else None,
            digits=3, note=" ".join(f"{100 * share:.3f}" for share in shares),
        )  # fmt: skip


def _spread(shares: list[float]) -> str:
    return " ".join(f"{100 * share:.0f}" for share in shares)


if __name__ == "__main__":
    print("\n".join(measure().lines()))
