"""The auditor: a bundle in, findings out. Takes nobody's word, and never raises on bad data.

    structure.py                bytes, chains, trees, signatures, pasts                   or a finding
    admission.py                every entry through Replica.check                         or a finding
      and, on the way,          every delta opened, every snapshot's model computed,
      (recheck.py)              every verdict looked at again                             or a finding
    vouched.py, held.py         cosignatures; what the auditor knows from elsewhere       or a finding
    findings  >  inconclusive (no anchor of the auditor's own, or blobs missing)  >  clean

Why it exists: a bundle is written by somebody who may have an interest in what it shows. So the swarm id is the hash of
the genesis found, roots are rebuilt and held against signed checkpoints, weights, norms, states and models are
recomputed; what the bundle *claims* (sizes, model hash) is only compared at the end. Anything the auditor knows
from elsewhere is an anchor: a bundle that is consistent with itself alone is "inconclusive", for anyone can make one.

Every finding names the log, the index, the rule and the file that proves it. Memory is bounded: entries are streamed,
blobs come one at a time and no longer than the entry that names them says, a model larger than `parameters` is not
made. It refuses to know how findings are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic

from ledger.admission import Admission
from ledger.bundle import BundleContents, BundleError
from ledger.bundle_files import open_bundle
from ledger.chain import peer_of
from ledger.entry import Genesis
from ledger.errors import RemoteError
from ledger.first_look import first_look
from ledger.fold import Arithmetic, D, T
from ledger.held import Held
from ledger.replica import Replica
from ledger.report import Anchors, Finding, Findings, LogReport, Report, ShownOut, Verdict
from ledger.shown import Inspectors
from ledger.structure import Progress, Structure, check_structure
from ledger.vouched import final_witnesses, witnessed

__all__ = [
    "Anchors", "AuditOptions", "Finding", "LogReport", "Report", "Verdict", "audit", "audit_path", "examine",
    "structure_path", "unreadable",
]  # fmt: skip

DEFAULT_PARAMETERS: Final = (
    1 << 26
)  # 64 million: 512 MB of model in this machine's memory, and as much again on the way


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How to audit; what to hold it against are Anchors."""

    parameters: int = DEFAULT_PARAMETERS  # a larger model is not replayed
    declared: Callable[[Genesis], str] | None = None  # why the layout is not that of the declared model; "" if it is
    on_progress: Progress | None = None
    inspectors: Inspectors | None = None  # how opened records are read; None: they are not looked into


def audit_path(
    path: Path, arithmetic: Arithmetic[D, T], anchors: Anchors, options: AuditOptions | None = None
) -> Report:
    """Audit the bundle at `path`, a folder or an archive. LocalError only if there is none."""
    try:
        with open_bundle(path) as contents:
            return audit(contents, arithmetic, anchors, options)
    except RemoteError as error:
        return unreadable(error, anchors)


def structure_path(path: Path, anchors: Anchors, options: AuditOptions | None = None) -> Report:
    """Only whether the ledger at `path` is in one piece: fast, and never "clean"."""
    try:
        with open_bundle(path) as contents:
            return first_look(contents, anchors, on_progress=options.on_progress if options else None)
    except RemoteError as error:
        return unreadable(error, anchors)


def audit(
    bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors, options: AuditOptions | None = None
) -> Report:
    return examine(bundle, arithmetic, anchors, options)[0]


def examine(
    bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors, options: AuditOptions | None = None
) -> tuple[Report, Replica]:
    """The report, and all that was admitted on the way: what lineage, `without` and the page are made from."""
    auditor = _Audit(bundle, arithmetic, anchors, options or AuditOptions())
    return auditor.run(), auditor.replica


class _Audit(Generic[D, T]):
    def __init__(
        self, bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors, options: AuditOptions
    ) -> None:
        self._bundle = bundle
        self._anchors = anchors
        self._options = options
        self._findings = Findings()
        self._admission = Admission(
            bundle, arithmetic, self._findings, options.parameters, options.declared, options.on_progress,
            options.inspectors,
        )  # fmt: skip
        self.replica = self._admission.replica

    def run(self) -> Report:
        bundle, findings, admission, replica = self._bundle, self._findings, self._admission, self.replica
        structure = check_structure(bundle, findings, on_progress=self._options.on_progress)
        damaged = structure.damaged
        if bundle.founder not in damaged:
            self._find_founder()
        cut = {log.log: min(log.sound, damaged.get(log.log, log.sound)) for log in structure.logs} if damaged else {}
        admission.run(structure.parents, cut)
        self._read_strays()
        if replica.has_genesis and bundle.witnesses != final_witnesses(replica) and self._whole():
            findings.add("", -1, "policy", "policy.tlog", "does not follow from the ledger's witnesses and their keys")
        model = admission.model_hash()
        held = Held(bundle, replica, self._anchors, findings, self._names(), damaged)
        held.read_cosigned()
        held.compare("" if damaged else model, admission)  # of a part of the entries it tells nothing
        folded: dict[str, int] = {}
        for log, *_ in replica.updates:
            folded[log] = folded.get(log, 0) + 1
        return Report(
            swarm=bundle.swarm if replica.has_genesis else "",
            entries=admission.admitted,
            updates=sum(folded.values()),
            snapshots=admission.replayed,
            logs=tuple(self._log(found.log, found.size, structure, folded, held) for found in structure.logs),
            model_hash=model,
            missing=admission.missing,
            findings=findings.in_order(),
            anchored=self._anchors.any,
            finals=admission.finals,
            shown_out=tuple(
                [ShownOut(peer, since, replica.wanted_out_by(peer)) for peer, since in replica.shown_out()]
            ),
            words=witnessed(held.words),
            coverage=held.coverage,
            too_large=admission.too_large,
            openings=admission.openings,
            unopened=admission.unopened,
            checks=admission.checks(),
        )

    def _log(self, log: str, size: int, structure: Structure, folded: dict[str, int], held: Held) -> LogReport:
        replica = self.replica
        known = log in replica.heads()
        signed = next((found.seal.checkpoint.size for found in structure.logs if found.log == log and found.seal), 0)
        return LogReport(
            peer=log,
            name=self._names().get(log, ""),
            size=size,
            admitted=replica.size(log),
            updates=folded.get(log, 0),
            findings=sum(finding.log == log for finding in self._findings),
            signed=signed,
            witnessed=held.witnessed(log),
            keys=len(replica.keys_of(log)) if known else 0,
            void_from=replica.void_from(log) if known else None,
            revoked_from=replica.revoked_from(peer_of(log)),
        )

    # -------------------------------------------------------------- what is in no log

    def _find_founder(self) -> None:
        """Say it of bundle.json, and not of an innocent log, if it names a swarm or founder that is not in it."""
        founder = next((log for log in self._bundle.logs if log.peer == self._bundle.founder), None)
        if founder is None:
            self._findings.add("", -1, "claim", "bundle.json", "names a founder whose log is not here")
            return
        try:
            first = next(founder.entries(), b"")
        except RemoteError:
            return  # the structural pass names the file
        if self._admission.hash_of(first) != self._bundle.swarm:
            self._findings.add("", -1, "claim", "bundle.json", "names a swarm that its founder's log does not begin")

    def _read_strays(self) -> None:
        _inspect(self._bundle, self._findings)
        try:
            if self._whole():  # otherwise it may belong to what was not admitted
                for name in sorted(self._bundle.blobs()):
                    if not self._admission.names(name):
                        self._findings.add("", -1, "blob", f"blobs/{name}", "no entry names it")
        except RemoteError as error:
            self._findings.file("", error)

    def _whole(self) -> bool:
        return all(self.replica.size(log.peer) == log.size for log in self._bundle.logs)

    def _names(self) -> dict[str, str]:
        return self._admission.people


def _inspect(bundle: BundleContents, findings: Findings) -> None:
    for problem in bundle.inspect():
        findings.file("", problem)


def unreadable(error: RemoteError, anchors: Anchors) -> Report:
    """The report on a bundle of which nothing can be read."""
    file = error.file if isinstance(error, BundleError) else ""
    return Report("", 0, 0, 0, (), "", (), (Finding("", -1, "file", file, str(error)),), anchors.any)
