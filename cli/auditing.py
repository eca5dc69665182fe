"""The auditor's side of the ledger commands: how to audit, and exporting a bundle.

Arithmetic is numpy's where numpy is installed and plain integers where it is not: the result is the same by
construction, and the report says which it was. jax is never imported here. What verifying means is
`ledger.audit`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from cli.plain import plain
from ledger.audit import DEFAULT_PARAMETERS, Anchors, AuditOptions, examine
from ledger.bundle import BundleContents, BundleLog, write_bundle
from ledger.canonical import decode_entry
from ledger.carried import blobs_of
from ledger.chain import LogId, fork_of
from ledger.checkpoint import author_only, parse_checkpoint
from ledger.delta import MAX_PARAMETERS
from ledger.entry import Genesis
from ledger.errors import LocalError
from ledger.fold import Arithmetic, PlainArithmetic
from ledger.seals import head_proof
from ledger.shown import Inspectors
from ledger.store import Store
from ledger.structure import Progress
from ledger.vouched import final_witnesses

NUMPY, PLAIN = "numpy", "plain integers"
MEMBERS_DOING: Final = ("verdict", "opening", "policy-breach")  # findings that an auditor is to see, and no bar to it


def arithmetic() -> tuple[Arithmetic[Any, Any], str]:
    """The fastest exact arithmetic installed here, and its name."""
    try:
        from gossip.merging.arithmetic import NumpyArithmetic
    except ModuleNotFoundError:
        return PlainArithmetic(), PLAIN
    return NumpyArithmetic(), NUMPY


def options_of(
    *, parameters: int | None = None, on_progress: Progress | None = None, inspectors: Inspectors | None = None
) -> AuditOptions:
    """How to audit. LocalError if the most parameters that a model may have are no positive number."""
    most = DEFAULT_PARAMETERS if parameters is None else parameters
    if most < 1:
        raise LocalError("--parameters is not a positive number", next_step="leave it out for the usual limit")
    return AuditOptions(most, not_as_declared, on_progress, inspectors)


def not_as_declared(genesis: Genesis) -> str:
    """Why a genesis's layout is not that of the model it declares. "" if it is, or if the declaration is in words that
    are not ours (those of a swarm's own task)."""
    from gossip.training.spec import ModelSpec

    try:
        layout = ModelSpec.parse(genesis.model).layout()
    except LocalError:
        return ""
    return "" if layout == genesis.layout else "its layout is not that of the model which it declares"


# ------------------------------------------------------------------ bundles


def export(store_file: Path, target: Path) -> dict[str, Any]:
    """Write everything that this peer holds under a signature as a bundle. It is audited before it is written."""
    with Store.open_readonly(store_file) as store:
        if (base := store.base_place()) is not None:
            raise LocalError(
                "this peer cannot make a bundle: nobody could replay it",
                why=f"it has let go of old deltas, and begins from final snapshot {base[0][:8]}/{base[1]}",
                next_step="ask a member that keeps everything for one: its gossip status says archive",
            )
        contents = contents_of(store)
        sums, _ = arithmetic()
        options = AuditOptions(parameters=MAX_PARAMETERS)  # it is this peer's own model
        report, replica = examine(contents, sums, Anchors(swarm=contents.swarm), options)
        not_yet = {("claim", "bundle.json"), ("policy", "policy.tlog")}  # they follow from the audit
        wrong = [
            f"{found.rule}: {found.detail}"
            for found in report.findings
            if (found.rule, found.file) not in not_yet and found.rule not in MEMBERS_DOING
        ]
        wrong += [f"blob {digest[:12]} is missing" for digest in report.missing]
        wrong += [report.too_large] if report.too_large else []
        if wrong:
            raise LocalError(
                "this ledger is not yet in a state to export",
                why=plain(wrong[0], 200),
                next_step="let the peer run until nothing is missing (gossip status), then export again",
            )
        write_bundle(target, replace(contents, model_hash=report.model_hash, witnesses=final_witnesses(replica)))
        return {
            "bundle": str(target.resolve()),
            "swarm": contents.swarm,
            "model_hash": report.model_hash,
            "entries": report.entries,
            "updates": report.updates,
            "blobs": sum(1 for _ in contents.blobs()),
        }


def contents_of(store: Store) -> BundleContents:
    """What a store holds, each log, and each branch of one, as far as its author has signed for it."""
    founder = store.meta("founder").decode()
    logs = [found for log in store.logs() if (found := _log(store, log)) is not None]
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
        blobs=lambda: blobs_of(((log.peer, log.entries) for log in logs), store.blob),
        blob=lambda name, limit=0: store.blob(name),
        base=store.base,
    )


def _log(store: Store, log: LogId) -> BundleLog | None:
    """One log under its checkpoint; with the newest cosigned note, unless that is of more, or of another branch.

    Of the checkpoint only the author's signature: another line under it is whatever the bringer wrote there.
    """
    signed, cosigned = store.checkpoint(log), store.cosigned(log)
    if signed is None or signed.held <= fork_of(log):
        return None
    tree = store.tree(log).prefix(signed.held)

    def entries(start: int = 0) -> Iterator[bytes]:
        return islice(store.entries(log, start), signed.held - start)

    checkpoint_note = author_only(signed.note)
    head = head_proof(tree, checkpoint_note, signed.proof)
    note = b""
    if cosigned is not None and cosigned[0] <= signed.held:
        _, checkpoint = parse_checkpoint(cosigned[1])
        note = cosigned[1] if tree.root(cosigned[0]) == checkpoint.root else b""
    return BundleLog(log, signed.held, checkpoint_note, entries, head=head, cosigned=note)
