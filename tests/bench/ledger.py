"""What an auditor pays for an entry, and a peer for a weight.

The audit runs over a bundle in memory without its blobs: format, chains, pasts, heads, weights, norms, roots and
signed checkpoints of every entry, and no arithmetic on deltas. Its measure is what signing each entry would cost.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from time import perf_counter
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.audit import audit
from ledger.entry import PeerId
from ledger.fold import PlainArithmetic
from ledger.keys import PrivateKey
from ledger.report import Anchors
from ledger.weights import START, Row, Sight, row_hash, weigh
from tests.bench.busy import PEERS, busy_swarm
from tests.bench.figures import Figure, Section, median_s
from tests.fold.bundles import contents_of
from tests.fold.toy import constants

LOGS: Final = 100
WEIGHED: Final = 1_000


def measure() -> Section:
    swarm = busy_swarm()
    whole = contents_of(swarm)
    bundle = replace(whole, blobs=lambda: [], blob=lambda name: None)
    lengths = [len(data) for _, _, data in swarm.everything()]
    entries = len(lengths)

    def structural() -> None:
        report = audit(bundle, PlainArithmetic(), Anchors(swarm=swarm.swarm))
        assert report.entries == entries, "the audit did not reach every entry"
        assert not report.findings, report.findings[0]

    rate = entries / median_s(structural, 3)
    signed = _verifications_per_s(sum(lengths) // entries)
    per_update_s = _weigh_s()
    return Section(
        f"ledger: {entries:,} entries of {sum(lengths) // entries} bytes in {PEERS} logs",
        (
            Figure("structural audit", rate, "entries/s", digits=0),
            Figure("one Ed25519 verification per entry", signed, "entries/s", digits=0),
            Figure("audit / Ed25519 verifications", rate / signed, "x", digits=2),
            Figure(f"weights at {LOGS} logs, per update", 1e6 * per_update_s, "us", digits=0),
        ),
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
