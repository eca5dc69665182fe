"""One flipped bit anywhere in a bundle is found, and the file that it is in is named.

    python -m tests.fold.sweep [STEP]     every STEP-th byte (each, if left out: some minutes)

The bundle has something of everything: deltas, a log signed twice with the evidence of it, a changed key, a snapshot
that witnesses made final, cosigned notes, and a log of which its author has signed more than is here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ledger.audit import Anchors, Report, audit_path
from ledger.bundle import BundleContents, write_bundle
from ledger.fold import PlainArithmetic
from ledger.seals import head_proof
from tests.fold.bundles import contents_of, cosigned, with_log
from tests.fold.toy import Swarm

CHANGE = np.linspace(-0.1, 0.1, 16)


def something_of_everything() -> tuple[Swarm, BundleContents]:
    swarm = Swarm(["ann", "bob", "cyd"], witnesses=["founder", "bob", "cyd"])
    for name in ("ann", "bob", "cyd", "founder"):
        swarm[name].publish(CHANGE, density=0.5)
        swarm.exchange()
    twin = swarm["ann"].twin()
    swarm["ann"].publish(CHANGE)
    twin.publish(-CHANGE)
    swarm["bob"].fetch(swarm["ann"])
    swarm.founder.fetch(twin)
    honest = ("founder", "bob", "cyd")
    swarm["cyd"].rotate()
    swarm["bob"].accuse_twins(swarm["ann"], twin, swarm["ann"].replica.size(swarm["ann"].id) - 1)
    swarm.exchange(*honest)
    snapshot = swarm["bob"].snapshot().seq
    swarm["bob"].final(snapshot, [swarm.founder, swarm["bob"]])
    swarm.exchange(*honest)
    while len(swarm.everything()) < 50:
        for name in honest:
            swarm[name].publish(CHANGE / 3, density=0.5)
            swarm.exchange(*honest)
    contents = contents_of(swarm)
    cyd, here = swarm["cyd"].id, swarm.founder.replica.size(swarm["cyd"].id)
    swarm["cyd"].publish(CHANGE)
    size = swarm["cyd"].replica.size(cyd)
    note = swarm["cyd"].note(cyd, size, "cyd")
    head = head_proof(swarm.founder.replica.tree(cyd), note, swarm["cyd"].replica.tree(cyd).consistency(here))
    contents = with_log(contents, cyd, lambda log: replace(log, checkpoint=note, head=head))
    for name, witnesses in (("bob", ["founder", "cyd"]), ("founder", ["bob"])):
        log = swarm[name].id
        lines = cosigned(swarm, log, swarm.founder.replica.size(log) - 1, witnesses)
        contents = with_log(contents, log, lambda log, lines=lines: replace(log, cosigned=lines))
    return swarm, contents


def places(size: int, step: int) -> Iterable[int]:
    return sorted({*range(0, size, step), size - 1})


def sweep(path: Path, swarm: str, step: int) -> Iterator[tuple[str, int, Report]]:
    """Audit the bundle with one bit flipped, place after place; (file, byte, report)."""
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        honest = file.read_bytes()
        for place in places(len(honest), step):
            bent = bytearray(honest)
            bent[place] ^= 1 << place % 8
            file.write_bytes(bent)
            yield file.relative_to(path).as_posix(), place, audit_path(path, PlainArithmetic(), Anchors(swarm=swarm))
        file.write_bytes(honest)


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    swarm, contents = something_of_everything()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        write_bundle(path, contents)
        tried = 0
        for file, place, report in sweep(path, swarm.swarm, step):
            tried += 1
            named = {finding.file for finding in report.findings}
            if report.verdict != "findings" or file not in named:
                print(f"byte {place} of {file}: {report.verdict}, named {sorted(named)}")
        files = sum(1 for file in path.rglob("*") if file.is_file())
        print(f"{tried:,} places in {files} files of {len(swarm.everything())} entries")


if __name__ == "__main__":
    main()
