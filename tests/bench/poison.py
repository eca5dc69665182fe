"""One poisoned peer of eight: who sees it, what follows, and what is left of it in the model.

    demo table --by site--> 8 unequal peers --one lies about its ten most frequent ad domains--> SimSwarm, real training
                                                                            |
    opened records, the pinned lists' labels <--public--+-- private --> held-out rows of others

The real machine, ledger, fold and learner in virtual time; the labels of the packaged table stand for the lists that
made them. A peer holds back a quarter of its sites: it judges others by these, and PR-AUC is of sites that nobody has.

    loss      PR-AUC of the swarm in which nobody is poisoned, less that of the same swarm with one that is
    shown     under the default policy, where harm to others' rows is only shown
    refused   under the same with harm refused: a quorum takes updates out

It plants a fault and looks; what a peer does about one is gossip/peer/inspection's.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from cli.bench.figures import Figure, Goal, Section
from gossip.filterlists.engine import Label
from gossip.filterlists.requests import read_requests
from gossip.filterlists.split import Share, registrable, write_demo
from gossip.sim import Scenario, SimReport, SimSwarm
from gossip.sim.clock import EPOCH
from gossip.sim.tasks import TaskTrainer
from gossip.training.dataset import read_judged
from gossip.training.scoring import score
from gossip.training.spec import FILTERLIST, ModelSpec
from gossip.training.task import FileTask
from ledger.chain import peer_of
from ledger.entry import Data, Update, Verdict
from ledger.policies import shipped

PEERS: Final = 8
DOMAINS: Final = 10
ROUNDS: Final = 36
ROUND_S: Final = 6.0  # so that looking and concurring, half a minute each, take some rounds and not all
SEEDS: Final = 3
ORDER: Final = (4, 0, 1, 2, 3, 5, 6, 7)  # which share each peer has, 0 the largest; the founder is witness, and honest
SIZES: Final = {"largest": 1, "middle": 4, "smallest": 7}  # peers
LOSS: Final = Goal(0.01)
TITLE: Final = f"poison: one peer of {PEERS} calls its {DOMAINS} most frequent ad and tracker domains benign"

SHOWN: Final = shipped("filterlist")
_RULE: Final = "[holdout.harm_permille]\nmax = 50\non_fail = "
REFUSED: Final = SHOWN.replace(f'{_RULE}"quarantine"', f'{_RULE}"reject"')
PINNED: Final = f'{SHOWN}\n[labels.ad]\neasylist = "{"ab" * 32}"\n[opened.wrong_labels_permille]\nmax = 50\n'


@dataclass(frozen=True, slots=True)
class Run:
    report: SimReport
    pr_auc: float
    flipped: float  # share of the rows of the poisoned peer
    published: int  # updates by it, in all
    counting: int  # of them, in the model at the end
    innocent: int  # updates of others that do not count
    quorum_s: float | None  # virtual time, from the start until a quorum had condemned the data of the poisoned peer
    opinions: int  # condemning judgements of others than it


class Table:
    """The engine of these swarms: labels requests as the table does."""

    def __init__(self, share: Share) -> None:
        self._labels: dict[tuple[str, str, str], Label] = {}
        for path, _ in share.peers:
            self._labels.update(((row.page, row.url, row.type), row.label) for row in read_requests(path))

    def label(self, page: str, url: str, kind: str) -> Label:
        return self._labels.get((page, url, kind), "benign")


def poison(path: Path) -> float:
    """Call all positives of the most frequent domains benign. Returns the share of rows that was changed."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    domains = [registrable(urlsplit(row["url"]).hostname or "") for row in rows]
    counts = Counter(domain for domain, row in zip(domains, rows, strict=True) if row["label"] != "benign")
    chosen = {domain for domain, _ in counts.most_common(DOMAINS)}
    changed = 0
    for domain, row in zip(domains, rows, strict=True):
        if domain in chosen and row["label"] != "benign":
            row["label"] = "benign"
            changed += 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return changed / len(rows)


@contextmanager
def swarm(
    seed: int, bad: int | None, policy: str, *, public: bool, rounds: int = ROUNDS
) -> Iterator[tuple[SimSwarm, Share, float]]:
    spec = ModelSpec.parse(FILTERLIST)
    with tempfile.TemporaryDirectory(prefix="gossip-bench-") as folder:
        share = write_demo(Path(folder), peers=PEERS, seed=seed)
        lists = Table(share)
        flipped = poison(share.peers[ORDER[bad]][0]) if bad is not None else 0.0
        trainer = TaskTrainer(spec, [FileTask((share.peers[at][0],)) for at in ORDER], seed, lists)
        scenario = Scenario(
            peers=PEERS, seconds=1.1 * ROUND_S * rounds, round_s=ROUND_S, seed=seed, policy=policy, eta=spec.eta,
            density=spec.density, norm0=spec.norm0, public=tuple(range(PEERS)) if public else (),
        )  # fmt: skip
        try:
            yield SimSwarm(scenario, trainer), share, flipped
        finally:
            trainer.close()


@cache
def run(seed: int, bad: int | None, policy: str, *, public: bool = False) -> Run:
    with swarm(seed, bad, policy, public=public) as (world, share, flipped):
        report = world.run()
        book = world.peers[0].book
        assert book is not None
        rows = read_judged(ModelSpec.parse(FILTERLIST), [share.validation])
        assert rows is not None
        pr_auc = score(ModelSpec.parse(FILTERLIST), book.theta(), rows).pr_auc
    replica, culprit = book.replica, world.peers[bad].self_id if bad is not None else ""
    entries = [(log, seq, replica.entry(log, seq)) for log, size in replica.heads().items() for seq in range(size)]
    updates = {(log, seq) for log, seq, entry in entries if isinstance(entry, Update)}
    counting = {(log, seq) for log, seq, _, _ in replica.updates}
    left = updates - counting
    judged = [
        (log, one.peer) for log, _, entry in entries if isinstance(entry, Verdict) for one in entry.judgements
        if one.decision == "condemned"
    ]  # fmt: skip
    votes = sorted(entry.time - EPOCH for _, _, entry in entries if isinstance(entry, Verdict)
                   for one in entry.judgements if one.decision == "condemned" and one.peer == culprit
                   and isinstance(replica.entry(culprit, one.seqs[-1]), Data))  # fmt: skip
    return Run(
        report, pr_auc, flipped,
        published=sum(peer_of(log) == culprit for log, _ in updates),
        counting=sum(peer_of(log) == culprit for log, _ in counting),
        innocent=sum(peer_of(log) != culprit for log, _ in left),
        quorum_s=votes[PEERS // 2] if len(votes) > PEERS // 2 else None,
        opinions=sum(peer_of(log) != culprit for log, _ in judged),
    )  # fmt: skip


def measure(*, quick: bool = False) -> Section:
    return Section(TITLE, (*_public(), *_private(range(1 if quick else SEEDS), quick=quick)))


def _public() -> Iterator[Figure]:
    """Of one seed: detection rates over 200 are tests/ledger/test_opening.py's."""
    clean, caught = run(1, None, PINNED, public=True), run(1, SIZES["largest"], PINNED, public=True)
    share = f"turned: {100 * caught.flipped:.0f}% of the largest peer's rows"
    yield Figure("public: its updates that still count", caught.counting, goal=Goal(0), digits=0, note=share)
    yield Figure("public: condemned by a quorum after", caught.quorum_s, "s", digits=0, note="virtual, from the start")
    wrong = caught.innocent + clean.innocent + clean.opinions
    yield Figure("public: honest peers condemned, updates lost", wrong, goal=Goal(0), digits=0)
    yield _loss("public: PR-AUC lost with all that peer knows", [clean.pr_auc - caught.pr_auc], goal=None)
    yield _equal([clean, caught])


def _private(seeds: range, *, quick: bool) -> Iterator[Figure]:
    clean = [run(seed, None, REFUSED) for seed in seeds]
    note = " ".join(f"{each.pr_auc:.3f}" for each in clean)
    yield Figure("private, nobody poisoned: PR-AUC", median(each.pr_auc for each in clean), digits=3, note=note)
    wrong, said = sum(each.innocent for each in clean), sum(each.opinions for each in clean)
    yield Figure("private, nobody poisoned: updates lost", wrong, goal=Goal(0), digits=0, note=f"{said} lone opinions")
    for size, name in (("largest", "shown"), *((size, "refused") for size in list(SIZES)[: 1 if quick else None])):
        found = [run(seed, SIZES[size], SHOWN if name == "shown" else REFUSED) for seed in seeds]
        losses = [one.pr_auc - each.pr_auc for one, each in zip(clean, found, strict=True)]
        out = " ".join(f"{each.published - each.counting}/{each.published}" for each in found)
        yield _loss(f"private: PR-AUC lost, {size}, {name}", losses, f"; its updates out {out}")
        if name == "refused":
            lost = sum(each.innocent for each in found)
            yield Figure(f"private: updates of others lost, {size}", lost, goal=Goal(0), digits=0)


def _loss(name: str, losses: list[float], more: str = "", goal: Goal | None = LOSS) -> Figure:
    note = " ".join(f"{loss:.4f}" for loss in losses)
    return Figure(name, median(losses), goal=goal, digits=4, note=note + more)


def _equal(runs: list[Run]) -> Figure:
    same = sum(each.report.heads_equal and each.report.models_equal for each in runs)
    return Figure("public: swarms of one history and model", same, goal=Goal(len(runs), False), digits=0)
