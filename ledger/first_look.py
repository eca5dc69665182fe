"""A first look at a bundle: whether it hangs together, and whether it is that of the swarm and checkpoints one knows.

    structure.py                          bytes, chains, trees, signatures, pasts       or a finding
    --swarm: the genesis hash             the founder's log begins with it              or a finding
    --checkpoint: the author's note       the log here is, or begins with, what it signs or a finding

Why it exists: it is fast, and needs neither rules nor deltas, so whoever only reads a bundle can say what is wrong
with its files. It is never "clean". It refuses to know cosignatures: whose keys they are is in entries that only the
whole audit admits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from ledger.bundle import BundleContents, BundleLog
from ledger.chain import peer_of
from ledger.checkpoint import Checkpoint, open_note, origin, parse_checkpoint
from ledger.errors import RemoteError
from ledger.merkle import Tree, leaf_hash
from ledger.promise import follow_keys
from ledger.report import Anchors, Findings, LogReport, Report
from ledger.structure import Progress, check_structure


def first_look(bundle: BundleContents, anchors: Anchors, *, on_progress: Progress | None = None) -> Report:
    """Of the anchors only swarm and checkpoints are held: naming others with this is the caller's mistake."""
    findings = Findings()
    found = check_structure(bundle, findings, on_progress=on_progress)
    for problem in bundle.inspect():
        findings.file("", problem)
    if not any(log.peer == bundle.founder for log in bundle.logs):  # nothing then begins with the swarm's genesis
        findings.add("", -1, "claim", "bundle.json", "names a founder whose log is not here")
    if anchors.swarm and anchors.swarm != bundle.swarm:
        findings.add("", -1, "anchor", "bundle.json", f"is of swarm {bundle.swarm}, not {anchors.swarm}")
    sound = {log.log: log.sound for log in found.logs}
    for note in anchors.checkpoints:
        _hold(bundle, note, sound, findings)
    told = findings.in_order()
    logs = tuple(
        LogReport(
            log.log, "", log.size, log.sound, 0, sum(finding.log == log.log for finding in told),
            signed=log.seal.checkpoint.size if log.seal else 0,
        )
        for log in found.logs
    )  # fmt: skip
    return Report(bundle.swarm, found.entries, 0, 0, logs, "", (), told, anchors.any, structure_only=True)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one log, or branch of one, has to say to a note."""

    log: BundleLog
    checkpoint: Checkpoint | None  # what its author has signed in that note; None if none of its keys has
    root: bytes | None  # over as many entries; None if there are not so many here


def _hold(bundle: BundleContents, note: bytes, sound: dict[str, int], findings: Findings) -> None:
    """Hold the log that a note is of against it."""
    _, claimed = parse_checkpoint(note)  # (the caller has read it before)
    named = [log for log in bundle.logs if origin(bundle.swarm, peer_of(log.peer)) == claimed.origin]
    if not named:
        findings.add("", -1, "anchor", "bundle.json", f"has no log {claimed.origin}, of which you have a checkpoint")
        return
    trunk, file = named[0], f"{named[0].place}/checkpoint"
    try:
        read = [_read(log, note, claimed.size, sound[log.peer]) for log in named]
    except RemoteError:
        return  # entries that cannot be read have a finding of their own
    shown = max(log.size for log in named)
    if all(one.checkpoint is None for one in read):
        findings.add("", -1, "anchor", file, "its key did not sign the checkpoint that you named")
    elif claimed.size > shown:
        why = f"presents {shown}, you hold a checkpoint of {claimed.size}"
        findings.add(trunk.peer, shown, "truncated", file, why)
    elif claimed.root not in [one.root for one in read]:
        why = f"you hold a checkpoint of {claimed.size}: the author signed another history of so many entries"
        findings.add(trunk.peer, claimed.size - 1, "fork", file, why)


def _read(log: BundleLog, note: bytes, size: int, sound: int) -> _Read:
    """One pass over a log: its keys, from entries that are sound, and the root over its first `size` entries."""
    tree, promise, root = Tree(), None, None
    for seq, data in enumerate(islice(log.entries(), min(max(size, 2), log.size))):  # (the founder enrols second)
        if seq < sound and (seq < size or promise is None):
            promise = follow_keys(promise, seq, data)
        tree.append(leaf_hash(data))
        if tree.size == size:
            root = tree.root()
    try:
        checkpoint = open_note(note, promise.key) if promise is not None else None
    except RemoteError:
        checkpoint = None
    return _Read(log, checkpoint, root)
