"""What an auditor pays for an entry, and a peer for a weight.

The structural pass runs over a long ledger in memory: canonical bytes, chains, roots, signed checkpoints, pasts and
heads of every entry. Its measure is what verifying a signature of each entry would cost. The whole audit adds rules,
weights, norms and states, here without blobs, so with no arithmetic on deltas. Of a million entries, and with files:
tests/bench/million.py.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from time import perf_counter
from typing import Final
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cli.bench.figures import Figure, Goal, Section, median_s
from ledger.audit import audit
from ledger.checks import Checking
from ledger.entry import PeerId
from ledger.fold import PlainArithmetic
from ledger.keys import PrivateKey
from ledger.report import Anchors
from ledger.structure import check_structure
from ledger.weights import START, Row, Sight, row_hash, weigh
from tests.bench.busy import PEERS, busy_swarm
from tests.bench.judged import judged_swarm
from tests.fold.bundles import contents_of
from tests.fold.toy import constants
from tests.ledger.skeleton import Skeleton

LOGS: Final = 100
STRUCTURAL: Final = 100_000
WEIGHED: Final = 1_000


def measure() -> Section:
    swarm = busy_swarm()
    whole = contents_of(swarm)
    bundle = replace(whole, blobs=lambda: [], blob=lambda name, limit=0: None)
    lengths = [len(data) for _, _, data in swarm.everything()]
    entries = len(lengths)

    def whole_audit() -> None:
        report = audit(bundle, PlainArithmetic(), Anchors(swarm=swarm.swarm))
        assert report.entries == entries, "the audit did not reach every entry"
        assert not report.findings, report.findings[0]

    rate = entries / median_s(whole_audit, 3)
    long = Skeleton(PEERS).bundle(STRUCTURAL)
    size = sum(len(data) for log in long.logs for data in log.entries()) // STRUCTURAL

    def structural() -> None:
        found = check_structure(long)
        assert found.entries == STRUCTURAL, "the pass did not reach every entry"
        assert not found.findings, next(iter(found.findings))

    fast = STRUCTURAL / median_s(structural, 5)
    signed = _verifications_per_s(size)
    per_update_s = _weigh_s()
    return Section(
        f"ledger: {entries:,} entries of {sum(lengths) // entries} bytes in {PEERS} logs",
        (
            Figure(
                f"structural pass, {STRUCTURAL:,} entries of {size} bytes",
                fast,
                "entries/s",
                Goal(60_000, at_most=False),
                digits=0,
            ),
            Figure("one Ed25519 verification per entry", signed, "entries/s", digits=0),
            Figure("structural pass / Ed25519 verifications", fast / signed, "x", Goal(5, at_most=False), digits=2),
            Figure("whole audit without deltas", rate, "entries/s", digits=0),
            *_verdicts(),
            Figure(f"weights at {LOGS} logs, per update", 1e6 * per_update_s, "us", digits=0),
        ),
    )


def _verdicts() -> tuple[Figure, ...]:
    """A whole audit that looks at verdicts again, and the same without that look."""
    swarm, judged = judged_swarm()
    bundle = contents_of(swarm)
    entries = len(swarm.everything())

    def rate() -> float:
        def whole_audit() -> None:
            report = audit(bundle, PlainArithmetic(), Anchors(swarm=swarm.swarm))
            assert (report.entries, report.findings) == (entries, ()), "the audit did not reach every entry"
            assert report.checks.true in (judged, 0)

        return entries / median_s(whole_audit, 3)

    looking = rate()
    with patch.object(Checking, "_take_verdict", lambda *_: ""):
        blind = rate()
    each = 1e3 * entries * (1 / looking - 1 / blind) / judged
    name = f"whole audit, deltas and {judged} judgements in {entries:,} entries"
    return (
        Figure(name, looking, "entries/s", digits=0),
        Figure("... without looking at verdicts again", blind, "entries/s", digits=0),
        Figure("looking at one judgement again (28 comparisons)", each, "ms", digits=2),
    )


def _verifications_per_s(size: int) -> float:
    key, message = PrivateKey.from_seed(b"b" * 32), b"e" * size
    signature, public = key.sign(message), Ed25519PublicKey.from_public_bytes(key.public)
    each = median_s(lambda: [public.verify(signature, message) for _ in range(200)], 7)
    return 200 / each


def _weigh_s() -> float:
    """Seconds to weigh one update where a tenth of the others published since its author's last."""
    luck = Random(2)
    rules = constants()
    peers: tuple[PeerId, ...] = tuple(sorted(luck.randbytes(32).hex() for _ in range(LOGS - 1)))
    counts, norms = [1] * len(peers), [1 << 22] * len(peers)
    row: Row = START
    spent = 0.0
    for _ in range(WEIGHED):
        for index in luck.sample(range(len(peers)), len(peers) // 10):
            counts[index] += 1
            norms[index] = luck.randint(1 << 21, 1 << 23)
        sight = Sight(peers, tuple(counts), tuple(norms), unviewed=luck.randint(0, 1 << 18))
        begun = perf_counter()
        row = weigh(rules, row, sight, luck.randint(1 << 21, 1 << 23)).row
        row_hash(row)
        spent += perf_counter() - begun
    return spent / WEIGHED
