"""The auditor's side of the ledger commands: run the audit, show its report, export a bundle.

Arithmetic is numpy's where numpy is installed and plain integers where it is not: the result is the same by
construction, and the report says which it was. jax is never imported here. What verifying means is
`ledger.audit`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from cli import render
from cli.plain import name as plain_name
from cli.plain import plain
from ledger.audit import Anchors, Report, audit, audit_path
from ledger.bundle import BundleContents, BundleLog, read_bundle, write_bundle
from ledger.canonical import decode_entry
from ledger.entry import Genesis, Hash, PeerId, Update
from ledger.errors import LocalError
from ledger.fold import Arithmetic, PlainArithmetic
from ledger.store import Store

NUMPY, PLAIN = "numpy", "plain integers"


def arithmetic() -> tuple[Arithmetic[Any, Any], str]:
    """The fastest exact arithmetic installed here, and its name."""
    try:
        from gossip.merging.arithmetic import NumpyArithmetic
    except ModuleNotFoundError:
        return PlainArithmetic(), PLAIN
    return NumpyArithmetic(), NUMPY


def run(bundle: Path, *, swarm: str | None, model_hash: str | None) -> tuple[Report, str]:
    """Audit a bundle against what the auditor knows; the name of the arithmetic used beside it."""
    anchors = anchors_of(swarm=swarm, model_hash=model_hash)
    sums, called = arithmetic()
    return audit_path(bundle, sums, anchors), called


def anchors_of(*, swarm: str | None = None, model_hash: str | None = None) -> Anchors:
    """What the options of a command name. LocalError if they are misspelled."""
    return Anchors(swarm=_hash("--swarm", swarm), model=_hash("--model-hash", model_hash))


def _hash(option: str, text: str | None) -> Hash:
    if text is None:
        return ""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise LocalError(f"{option} is no hash", why="64 lower-case hex digits are", next_step="copy it whole")
    return text


# ------------------------------------------------------------------ reports


def as_json(report: Report, arithmetic_used: str) -> dict[str, Any]:
    return {
        "verdict": report.verdict,
        "swarm": report.swarm,
        "entries": report.entries,
        "updates": report.updates,
        "snapshots": report.snapshots,
        "model_hash": report.model_hash,
        "logs": [asdict(log) for log in report.logs],
        "missing": list(report.missing),
        "findings": [asdict(finding) for finding in report.findings],
        "anchored": report.anchored,
        "arithmetic": arithmetic_used,
    }


def print_report(report: Report) -> None:
    rows = [
        (log.peer[:12], plain_name(log.name), f"{log.admitted:,} of {log.size:,}", f"{log.updates:,}",
         render.many(log.findings, "finding") if log.findings else "clean")
        for log in report.logs
    ]  # fmt: skip
    render.table(("log", "peer", "entries", "updates", ""), rows, right=(2, 3))
    print_findings(report)
    if report.missing:
        render.say(f"{render.many(len(report.missing), 'delta')} missing: not replayable, so neither right nor wrong")
    render.say(f"model   {report.model_hash or '(not replayable)'}")
    render.say(f"swarm   {report.swarm or '(no genesis)'}")
    counts = f"{render.many(report.entries, 'entry')}, {render.many(report.snapshots, 'snapshot')} recomputed"
    words = {
        "clean": f"CLEAN  {counts}",
        "findings": f"FINDINGS  {len(report.findings):,}: this ledger does not hold",
        "inconclusive": "INCONCLUSIVE: consistent with itself, but you named nothing to hold it against"
        if not report.anchored
        else "INCONCLUSIVE: what is here holds, but not all is here",
    }
    render.say(words[report.verdict])
    if report.verdict == "inconclusive" and not report.anchored:
        render.say("Next    name what you know from elsewhere: --swarm ID or --model-hash HASH")


def print_findings(report: Report) -> None:
    for finding in report.findings:
        where = f"log {finding.log[:12]} entry {finding.index}" if finding.index >= 0 else finding.log[:12] or "bundle"
        render.say(f"FINDING {where}: {finding.rule}: {plain(finding.detail, 300)}  [{plain(finding.file)}]")


# ------------------------------------------------------------------ bundles


def bundle_rows(path: Path) -> Iterator[tuple[PeerId, int, bytes]]:
    """Every entry of a bundle, log by log, unchecked: for reading only."""
    for log in read_bundle(path).logs:
        for seq, data in enumerate(log.entries()):
            yield log.peer, seq, data


def export(store_file: Path, target: Path) -> dict[str, Any]:
    """Write everything that this peer holds under a signature as a bundle. It is audited before it is written."""
    with Store.open_readonly(store_file) as store:
        contents = _contents(store)
        sums, _ = arithmetic()
        report = audit(contents, sums, Anchors(swarm=contents.swarm))
        wrong = [
            f"{found.rule}: {found.detail}" for found in report.findings if found.rule != "claim"
        ]  # none is made yet
        wrong += [f"delta {digest[:12]} is missing" for digest in report.missing]
        if wrong:
            raise LocalError(
                "this ledger is not yet in a state to export",
                why=plain(wrong[0], 200),
                next_step="let the peer run until nothing is missing (gossip status), then export again",
            )
        write_bundle(target, replace(contents, model_hash=report.model_hash))
        return {
            "bundle": str(target.resolve()),
            "swarm": contents.swarm,
            "model_hash": report.model_hash,
            "entries": report.entries,
            "updates": report.updates,
            "blobs": sum(1 for _ in contents.blobs()),
        }


def _contents(store: Store) -> BundleContents:
    """What a store holds, each log as far as its author has signed for it."""
    founder = store.meta("founder").decode()
    logs = []
    for peer in store.logs():
        signed = store.checkpoint(peer)
        if signed is not None:
            logs.append(BundleLog(peer, signed.size, signed.note, partial(_entries, store, peer, signed.size)))
    genesis = next(store.entries(founder), None) if any(log.peer == founder for log in logs) else None
    opened = decode_entry(genesis) if genesis is not None else None
    if not isinstance(opened, Genesis):
        raise LocalError(
            "there is nothing to export yet",
            why="this peer holds no signed log of the swarm's founder",
            next_step="start it with: gossip run",
        )
    return BundleContents(
        swarm=store.meta("swarm").decode(),
        founder=founder,
        model_hash="0" * 64,
        policy=store.blob(opened.policy) or b"",
        logs=tuple(sorted(logs, key=lambda log: log.peer)),
        blobs=lambda: _deltas(logs),
        blob=store.blob,
    )


def _entries(store: Store, peer: PeerId, size: int) -> Iterator[bytes]:
    for seq, data in enumerate(store.entries(peer)):
        if seq >= size:
            return
        yield data


def _deltas(logs: list[BundleLog]) -> Iterator[Hash]:
    """The deltas that the exported updates name, each once."""
    seen: set[Hash] = set()
    for log in logs:
        for data in log.entries():
            entry = decode_entry(data)
            if isinstance(entry, Update) and entry.delta not in seen:
                seen.add(entry.delta)
                yield entry.delta
