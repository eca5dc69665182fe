"""What an audit of a very long ledger takes: `python -m tests.bench.million [ENTRIES] [FOLDER]`, a million if not said.

`python -m tests.bench` has it with ENTRIES_OF_MANY entries: a million take more than twenty minutes, most of it writing
them. What it prints was measured at that length, and nothing is extrapolated.

Eight peers publish in turn, and each has seen all that was published before: the heaviest a ledger of that length can
be. It is written once, which takes four times as long as an audit of it, and stays if FOLDER is given. Each audit is a
process of its own, so that its memory is its own. Linux only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cli.bench import machine
from cli.bench.figures import Figure, Goal, Section
from ledger.bundle import BundleContents, BundleLog, write_bundle
from ledger.delta import Delta, encode
from ledger.replica import Replica
from ledger.vouched import final_witnesses
from tests.fold.toy import POLICY, Peer, Swarm

PEERS: Final = 8
ENTRIES: Final = 1_000_000
ENTRIES_OF_MANY: Final = 100_000  # in `make bench`, and a fifth of it with --quick
MOST_MB: Final = 150  # for a million, and so for fewer
AUDIT: Final = """
import json, sys, time
from pathlib import Path
from ledger.audit import Anchors, audit_path, structure_path
from ledger.fold import PlainArithmetic
path, anchors = Path(sys.argv[1]), Anchors(swarm=sys.argv[3])
def peak_kb():  # of this program alone: ru_maxrss remembers the one that started it
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
base = peak_kb()
begun = time.process_time()
report = structure_path(path, anchors) if sys.argv[2] == "structure" else audit_path(path, PlainArithmetic(), anchors)
taken = time.process_time() - begun
print(json.dumps({"verdict": report.verdict, "entries": report.entries, "seconds": taken, "peak_mb": peak_kb() / 1024,
                  "base_mb": base / 1024, "findings": [str(found) for found in report.findings[:3]]}))
"""


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES
    print("\n".join(machine.lines(machine.describe())))
    with tempfile.TemporaryDirectory() as room:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(room) / "bundle"
        if not path.exists():
            write_long_bundle(path, entries)
        for what in ("structure", "whole"):
            told = audited(path, what)
            rate = told["entries"] / told["seconds"]
            print(
                f"{what:10} {told['entries']:,} entries, {told['verdict']}, {told['seconds']:.0f} s of processor time,"
                f" {rate:,.0f} entries/s, peak {told['peak_mb']:.0f} MB ({told['base_mb']:.0f} before)"
            )


def measure(*, quick: bool) -> Section:
    entries = ENTRIES_OF_MANY // 5 if quick else ENTRIES_OF_MANY
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "bundle"
        write_long_bundle(path, entries)
        for what, named in (("structure", "structural pass"), ("whole", "whole audit")):
            told = audited(path, what)
            assert not told["findings"], told["findings"]
            assert told["entries"] >= entries, "the audit did not reach every entry"
            spent = f"{told['seconds']:.1f} s of a core"
            figures += [
                Figure(f"{named}, from files", told["entries"] / told["seconds"], "entries/s", None, 0, spent),
                Figure(
                    f"{named}, peak memory", told["peak_mb"], "MB", Goal(MOST_MB), 0, f"{told['base_mb']:.0f} before"
                ),
            ]
    return Section(f"long ledger: {entries:,} entries in {PEERS} logs, a bundle on disk", tuple(figures))


def audited(path: Path, what: str) -> dict[str, Any]:
    """One audit in a process of its own: its seconds of processor time and its peak of memory."""
    swarm = json.loads((path / "bundle.json").read_text())["swarm"]
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(path), what, swarm], capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def write_long_bundle(path: Path, entries: int) -> None:
    swarm = Swarm([f"peer{number}" for number in range(PEERS - 1)])
    one = swarm.founder
    # They share what they hold: it is all one process's anyway.
    peers = [Peer(name, peer.id, one.replica, one.blobs, one.fold) for name, peer in swarm.peers.items()]
    blob = encode(Delta(16, None, (-12,), tuple(range(-8, 8))))
    while sum(one.replica.heads().values()) < entries:
        for peer in peers:
            peer.publish_blob(blob)
    names = {peer.id: peer.name for peer in peers}
    logs = [
        BundleLog(log, size, one.note(log, size, names[log]), partial(_entries, one.replica, log, size))
        for log, size in sorted(one.replica.heads().items())
    ]
    digest = sha256(blob).hexdigest()
    contents = BundleContents(
        swarm=swarm.swarm, founder=swarm.founder_id, model_hash=one.model_hash(), policy=POLICY.encode(),
        logs=tuple(logs), blobs=lambda: [digest], blob=lambda name, limit=0: blob,
        witnesses=final_witnesses(one.replica),
    )  # fmt: skip
    write_bundle(path, contents)


def _entries(replica: Replica, log: str, size: int, start: int = 0) -> Iterator[bytes]:
    return (replica.data(log, seq) for seq in range(start, size))


if __name__ == "__main__":
    main()
