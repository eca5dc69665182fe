"""The auditor: a bundle in, findings out. Takes nobody's word, and never raises on bad data.

    bundle --every entry through Replica.check--> admitted, or a finding that names log, index, rule and file
           --every delta opened, every snapshot and the whole refolded--> model hash, or a finding
    findings  >  inconclusive (no anchor of the auditor's own, or blobs missing)  >  clean

Why it exists: a bundle is written by somebody who may have an interest in what it shows. So the swarm id is the hash of
the genesis found, roots are rebuilt and held against signed checkpoints, weights, norms, states and models are
recomputed; what the bundle *claims* (sizes, model hash) is only compared at the end. Anything the auditor knows
from elsewhere (a swarm id, a model hash) is an anchor: a bundle that is consistent with itself alone is
"inconclusive", for anyone can make one.

It refuses to know files (bundle.py reads them) and how findings are shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final, Generic

from ledger.bundle import BundleContents, BundleError, BundleLog, read_bundle
from ledger.chain import MAX_LOG_SIZE
from ledger.checkpoint import open_note, origin
from ledger.entry import Enrol, Genesis, Hash, PeerId, Snapshot, Update
from ledger.errors import RemoteError
from ledger.fold import Arithmetic, D, Fold, T
from ledger.merkle import Tree, leaf_hash
from ledger.replica import Checked, InvalidEntry, Replica, Waiting, open_delta
from ledger.report import Anchors, Finding, LogReport, Report, Verdict
from ledger.tiles import TILE_WIDTH, entry_tiles

__all__ = ["Anchors", "Finding", "LogReport", "Report", "Verdict", "audit", "audit_path", "examine"]

MAX_FINDINGS: Final = 1000  # a bundle of rubbish need not fill the auditor's memory; the count goes on


def audit_path(path: Path, arithmetic: Arithmetic[D, T], anchors: Anchors) -> Report:
    """Audit the bundle at `path`. LocalError only if there is none."""
    try:
        contents = read_bundle(path)
    except RemoteError as error:
        file = error.file if isinstance(error, BundleError) else "bundle.json"
        found = Finding("", -1, "file", file, str(error))
        return Report("", 0, 0, 0, (), "", (), (found,), anchors.any)
    return audit(contents, arithmetic, anchors)


def audit(bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors) -> Report:
    return examine(bundle, arithmetic, anchors)[0]


def examine(bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors) -> tuple[Report, Replica]:
    """The report, and all that was admitted on the way: what lineage, `without` and the page are made from."""
    auditor = _Audit(bundle, arithmetic, anchors)
    return auditor.run(), auditor.replica


class _Audit(Generic[D, T]):
    def __init__(self, bundle: BundleContents, arithmetic: Arithmetic[D, T], anchors: Anchors) -> None:
        self._bundle = bundle
        self._arithmetic = arithmetic
        self._anchors = anchors
        self._replica = Replica(bundle.swarm, bundle.founder)
        self._logs = {log.peer: log for log in bundle.logs}
        self._fold: Fold[D, T] | None = None
        self._findings: dict[Finding, None] = {}  # in order, each once
        self._missing: dict[Hash, None] = {}
        self._named: set[Hash] = set()  # deltas that some admitted update names
        self._snapshots: list[tuple[PeerId, int, Hash]] = []
        self._replayed = 0

    @property
    def replica(self) -> Replica:
        return self._replica

    def run(self) -> Report:
        self._find_founder()
        self._read_entries()
        for log in self._bundle.logs:
            self._hold_against_checkpoint(log)
        self._read_strays()
        model = self._replay()
        self._hold_against_anchors(model)
        replica, findings = self._replica, tuple(self._findings)
        folded: dict[PeerId, int] = {}
        for log_id, _, _, _ in replica.updates:
            folded[log_id] = folded.get(log_id, 0) + 1
        logs = tuple(
            LogReport(
                log.peer, self._name(log.peer), log.size, replica.size(log.peer), folded.get(log.peer, 0),
                sum(finding.log == log.peer for finding in findings),
            )
            for log in self._bundle.logs
        )  # fmt: skip
        return Report(
            self._bundle.swarm if replica.has_genesis else "", sum(replica.heads().values()), sum(folded.values()),
            self._replayed, logs, model, tuple(self._missing), findings, self._anchors.any,
        )  # fmt: skip

    # -------------------------------------------------------------- entries

    def _find_founder(self) -> None:
        """Say it of bundle.json, and not of an innocent log, if it names a swarm or founder that is not in it."""
        founder = self._logs.get(self._bundle.founder)
        if founder is None:
            self._find("", -1, "claim", "bundle.json", "names a founder whose log is not here")
            return
        first = self._next(founder.peer, founder.entries())
        if first is not None and sha256(first).hexdigest() != self._bundle.swarm:
            self._find("", -1, "claim", "bundle.json", "names a swarm that its founder's log does not begin")

    def _read_entries(self) -> None:
        """Admit what holds, log by log in turn, so that few wait; park what waits under what it waits for."""
        streams = {log.peer: log.entries() for log in self._bundle.logs}
        held: dict[PeerId, bytes] = {}
        parked: dict[PeerId, list[tuple[int, PeerId]]] = {}
        ready = deque(streams)
        while ready:
            log = ready.popleft()
            data = held.pop(log) if log in held else self._next(log, streams[log])
            if data is None:
                continue
            answer = self._take(log, data)
            if isinstance(answer, Waiting):
                held[log] = data
                other, size = answer.needs[0]
                parked.setdefault(other, []).append((size, log))
                continue
            if answer is not None:
                ready.append(log)
            reached = self._replica.size(log) if answer is not None else MAX_LOG_SIZE  # nothing more will come
            waiting = parked.pop(log, [])
            ready.extend(other for size, other in waiting if size <= reached)
            if still := [(size, other) for size, other in waiting if size > reached]:
                parked[log] = still
        for other, waiting in parked.items():
            for size, log in waiting:
                seq = self._replica.size(log)
                self._find_entry(log, seq, "past", f"cites entry {size - 1} of log {other[:12]}, which is not here")

    def _next(self, log: PeerId, stream: Iterator[bytes]) -> bytes | None:
        try:
            return next(stream, None)
        except RemoteError as error:
            self._find_file(log, error)
            return None

    def _take(self, log: PeerId, data: bytes) -> Checked | Waiting | None:
        """Admit one entry. None, and a finding, if it breaks a rule: its log ends there."""
        replica, seq = self._replica, self._replica.size(log)
        try:
            checked = replica.check(log, data)
            if isinstance(checked, Waiting):
                return checked
            if isinstance(checked.entry, Genesis) and not self._policy_holds(checked.entry):
                return None
            if isinstance(checked.entry, Update):
                self._named.add(checked.entry.delta)
                if checked.weight is not None:
                    self._open(checked)
        except InvalidEntry as error:
            self._find_entry(log, error.seq, error.rule, error.why)
            replica.end(log, seq)
            return None
        replica.admit(checked)
        if isinstance(checked.entry, Genesis):
            self._fold = Fold(checked.entry.layout, checked.entry.seed, self._arithmetic)
        elif isinstance(checked.entry, Snapshot):
            self._snapshots.append((log, seq, checked.entry.model))
        return checked

    def _policy_holds(self, genesis: Genesis) -> bool:
        policy = self._bundle.policy
        if sha256(policy).hexdigest() != genesis.policy:
            self._find("", -1, "policy", "policy.toml", "is not the policy that genesis names")
            return False
        try:
            self._replica.install_policy(policy)
        except RemoteError as error:
            self._find("", -1, "policy", "policy.toml", str(error))
            return False
        return True

    def _open(self, checked: Checked) -> None:
        blob = self._blob(checked.blob or "")
        if blob is not None and self._fold is not None:
            open_delta(checked, blob, self._fold)

    def _blob(self, name: Hash) -> bytes | None:
        try:
            blob = self._bundle.blob(name)
        except RemoteError as error:
            self._find("", -1, "blob", f"blobs/{name}", str(error))
            blob = None
        if blob is None:
            self._missing[name] = None
        return blob

    # -------------------------------------------------------------- what signatures, files and claims say

    def _hold_against_checkpoint(self, log: BundleLog) -> None:
        file = f"logs/{log.peer}/checkpoint"
        replica = self._replica
        if not (log.peer in replica.heads() and replica.enrolled(log.peer)):
            self._find(log.peer, -1, "checkpoint", file, "nothing tells whose signature it should bear")
            return
        try:
            note = open_note(log.checkpoint, replica.key_of(log.peer))
        except RemoteError as error:
            self._find(log.peer, -1, "checkpoint", file, str(error))
            return
        if note.origin != origin(self._bundle.swarm, log.peer):
            self._find(log.peer, -1, "checkpoint", file, f"is of another log: {note.origin}")
        if note.size != log.size:
            self._find(log.peer, -1, "checkpoint", file, f"signs {note.size} entries, the bundle has {log.size}")
        elif self._root(log) not in (None, note.root):
            # The note is authentic, so the entries are not; each one's `prev` vouches for all but the last admitted.
            last = min(replica.size(log.peer), log.size - 1)
            self._find_entry(log.peer, last, "checkpoint", "is not among the entries that the log's author signed")

    def _root(self, log: BundleLog) -> bytes | None:
        """The root of all entries in the bundle, admitted or not; None if they cannot be read."""
        if self._replica.size(log.peer) == log.size:
            return self._replica.root(log.peer, log.size)
        tree = Tree()
        try:
            for data in log.entries():
                tree.append(leaf_hash(data))
        except RemoteError as error:
            self._find_file(log.peer, error)
            return None
        return tree.root()

    def _read_strays(self) -> None:
        for problem in self._bundle.inspect():
            self._find_file("", problem)
        whole = all(self._replica.size(log.peer) == log.size for log in self._bundle.logs)
        try:
            for name in sorted(self._bundle.blobs()):
                if whole and name not in self._named:  # otherwise it may belong to what was not admitted
                    self._find("", -1, "blob", f"blobs/{name}", "no update names it")
        except RemoteError as error:
            self._find_file("", error)

    def _hold_against_anchors(self, model: Hash) -> None:
        anchors, bundle = self._anchors, self._bundle
        if anchors.swarm and anchors.swarm != bundle.swarm:
            self._find("", -1, "anchor", "bundle.json", f"is of swarm {bundle.swarm}, not {anchors.swarm}")
        if not model:
            return
        if model != bundle.model_hash:
            self._find("", -1, "claim", "bundle.json", f"claims model {bundle.model_hash}, its entries give {model}")
        if anchors.model and anchors.model != model:
            self._find("", -1, "anchor", "bundle.json", f"its entries give model {model}, not {anchors.model}")

    # -------------------------------------------------------------- the model

    def _replay(self) -> Hash:
        """Refold every snapshot's past, then everything. Pasts are visited from small to large, by differences."""
        fold = self._fold
        if fold is None:
            return ""
        weights: dict[PeerId, list[tuple[int, Hash, int]]] = {}
        for log, seq, delta, weight in self._replica.updates:
            weights.setdefault(log, []).append((seq, delta, weight))
        pasts = [(self._replica.past(log, seq + 1), log, seq, claimed) for log, seq, claimed in self._snapshots]
        pasts.sort(key=lambda snapshot: (sum(snapshot[0].values()), snapshot[1]))
        at: dict[PeerId, int] = {}
        for past, log, seq, claimed in pasts:
            if any(delta in self._missing for other, terms in weights.items() for at_seq, delta, _ in terms
                   if at_seq < past.get(other, 0)):  # fmt: skip
                continue  # not replayable, so neither right nor wrong
            self._move(fold, weights, at, past)
            at = past
            self._replayed += 1
            model = fold.model_hash()
            if model != claimed:
                self._find_entry(log, seq, "model", f"says model {claimed}, its past gives {model}")
        if self._missing:
            return ""
        self._move(fold, weights, at, self._replica.heads())
        return "" if self._missing else fold.model_hash()

    def _move(
        self,
        fold: Fold[D, T],
        weights: Mapping[PeerId, list[tuple[int, Hash, int]]],
        at: Mapping[PeerId, int],
        to: Mapping[PeerId, int],
    ) -> None:
        """Add and remove terms until the fold of `at` is the fold of `to`."""
        for log, terms in weights.items():
            before, after = at.get(log, 0), to.get(log, 0)
            for seq, delta, weight in terms:
                if before <= seq < after or after <= seq < before:
                    blob = self._blob(delta)
                    if blob is None:  # it was there a moment ago
                        continue
                    decoded = self._arithmetic.decode(blob, fold.parameters)
                    (fold.add if seq >= before else fold.remove)(decoded, weight)

    # -------------------------------------------------------------- findings

    def _name(self, log: PeerId) -> str:
        if log not in self._replica.heads() or not self._replica.enrolled(log):
            return ""
        entry = self._replica.entry(log, 1 if log == self._replica.founder else 0)
        return entry.name if isinstance(entry, Enrol) else ""

    def _find_entry(self, log: PeerId, index: int, rule: str, detail: str) -> None:
        tiles = islice(entry_tiles(self._logs[log].size), index // TILE_WIDTH, None)
        tile = next(tiles, None)
        self._find(log, index, rule, f"logs/{log}/{tile.path}" if tile else "bundle.json", detail)

    def _find_file(self, log: PeerId, error: RemoteError) -> None:
        file = error.file if isinstance(error, BundleError) else ""
        self._find(log, -1, "file", file, str(error))

    def _find(self, log: PeerId, index: int, rule: str, file: str, detail: str) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings[Finding(log, index, rule, file, detail)] = None
