"""The slow half of an audit: every entry admitted as a peer would admit it, and the model folded on the way.

    log streams --each entry after its past--> Replica.check --blob opened--> admit
                                                  `-- a snapshot: the sum moves to its past, and is hashed (refold.py)

Why in one pass: a snapshot's past is near everything admitted when it comes in, so the sum moves by a few terms, and
neither entries nor pasts need to be kept. Branches of a log (chain.py) come in after the log that they left; an entry
that contradicts what is held may mean a branch that comes later, and is tried again then.

Rules kept here: what breaks a rule ends its log, is a finding, and never raises; a blob is read no further than its
entry says; a missing one makes what needs it unknown, never right or wrong. It refuses to know anchors and signatures.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Final, Generic, Literal

from ledger.bundle import BundleContents, BundleError, BundleLog, LongBlob
from ledger.chain import LogId, fork_of, peer_of
from ledger.checks import Checking
from ledger.entry import (
    MAX_EVIDENCE_BYTES,
    MAX_OPENING_BYTES,
    MAX_SKETCH_BYTES,
    MAX_TOKEN_BYTES,
    Accuse,
    Anchor,
    Data,
    Enrol,
    Finality,
    Genesis,
    Hash,
    Opening,
    PeerId,
    PolicyChange,
    Snapshot,
    Update,
)
from ledger.errors import LocalError, RemoteError
from ledger.fold import Arithmetic, D, T, parameters
from ledger.inspection_rules import check_sketch
from ledger.looked import Checks
from ledger.names import HashSet
from ledger.policy import MAX_POLICY_BYTES
from ledger.refold import Refold
from ledger.replica import Checked, Disputed, InvalidEntry, Replica, Waiting
from ledger.report import Final as FinalSnapshot
from ledger.report import Findings
from ledger.rules import check_token
from ledger.shown import Inspectors
from ledger.spill import SpillFile
from ledger.structure import Progress

MAX_OPEN: Final = 64  # streams of logs that wait; beyond it they are opened again when they go on
READ_BLOCK: Final = 32  # entries
READ_BLOCKS: Final = 8  # of the entries that are looked up again
PROGRESS_EVERY: Final = 256  # entries
MAX_MISSING: Final = 10_000  # missing blobs that are named
_RULE_OF_BLOB: Final[dict[type, str]] = {Accuse: "accuse", Anchor: "token", PolicyChange: "policy", Data: "sketch"}

_Step = Literal["admitted", "ended", "waits", "disputed", "held up"]


class Entries:
    """Looks up entries of a bundle again, a block at a time."""

    def __init__(self, logs: Mapping[LogId, BundleLog]) -> None:
        self._logs = logs
        self._blocks: OrderedDict[tuple[LogId, int], list[bytes]] = OrderedDict()

    def __call__(self, log: LogId, seq: int) -> bytes:
        at = (log, seq // READ_BLOCK)
        block = self._blocks.get(at)
        if block is None:
            block = list(islice(self._logs[log].entries(at[1] * READ_BLOCK), READ_BLOCK))
            self._blocks[at] = block
            if len(self._blocks) > READ_BLOCKS:
                self._blocks.popitem(last=False)
        return block[seq % READ_BLOCK]


class Admission(Generic[D, T]):
    """Run it once; then the rest is there to be asked."""

    def __init__(
        self,
        bundle: BundleContents,
        arithmetic: Arithmetic[D, T],
        findings: Findings,
        most_parameters: int,
        declared: Callable[[Genesis], str] | None,
        on_progress: Progress | None,
        inspectors: Inspectors | None = None,
    ) -> None:
        self._bundle = bundle
        self._findings = findings
        self._most_parameters = most_parameters
        self._declared = declared
        self._on_progress = on_progress
        self._logs = {log.peer: log for log in bundle.logs}
        self.replica = Replica(bundle.swarm, bundle.founder, Entries(self._logs), SpillFile().column)
        self._refold = Refold(self.replica, arithmetic, bundle.blob, self._lose)
        self._checking = Checking(self.replica, arithmetic, bundle.blob, most_parameters, inspectors)
        self._missing: list[Hash] = []  # the first of them
        self._named = HashSet()  # blobs that some admitted entry names
        self._lost = HashSet()  # those of them that are missing
        self._held_up = False  # a log does not go on, for want of the evidence that it names
        self._finals: list[FinalSnapshot] = []
        self._streams: OrderedDict[LogId, Iterator[bytes]] = OrderedDict()
        self._held: dict[LogId, bytes] = {}  # the next entry of a log that waits
        self._parents: Mapping[LogId, LogId] = {}
        self._cut: Mapping[LogId, int] = {}
        self.people: dict[str, str] = {}  # names that peers chose, by log and by peer
        self._false: list[tuple[LogId, int]] = []  # openings that are
        self.openings = 0
        self.unopened = 0  # openings whose records are not here: nobody but the challenger need have them
        self.admitted = 0
        self.too_large = ""

    @property
    def missing(self) -> tuple[Hash, ...]:
        return tuple(self._missing)

    @property
    def finals(self) -> tuple[FinalSnapshot, ...]:
        return tuple(self._finals)

    def checks(self) -> Checks:
        """What peers did about the policy, and what became of it when it was looked at again."""
        return self._checking.told()

    def names(self, blob: Hash) -> bool:
        """Whether an admitted entry names that blob."""
        return blob in self._named

    @staticmethod
    def hash_of(data: bytes) -> Hash:
        return sha256(data).hexdigest()

    # -------------------------------------------------------------- entries

    def run(self, parents: Mapping[LogId, LogId], cut: Mapping[LogId, int] | None = None) -> None:
        """Admit what holds, log by log in turn, so that few wait; park what waits under what it waits for.

        `parents` tells of each branch which other one it left; `cut`, where files cannot be read, how much of each log
        is whole: nothing beyond is looked at, or said to be missing, for that has been said.
        """
        self._parents = parents
        self._cut = cut or {}
        parked: dict[PeerId, list[tuple[int, LogId]]] = {}
        disputed: list[tuple[int, LogId]] = []  # how many entries there were, and the log: more may make sense of it
        total = sum(log.size - fork_of(log.peer) for log in self._bundle.logs)
        ready = deque(self._logs)
        while ready:
            log = ready.popleft()
            step = self._step(log)
            if isinstance(step, Waiting):
                other, size = step.needs[0]
                parked.setdefault(peer_of(other), []).append((size, log))
            elif step == "admitted":
                ready.append(log)
                peer = peer_of(log)
                if peer in parked:
                    waiting = parked.pop(peer)
                    ready.extendleft(other for size, other in waiting if self.replica.holds(peer, size))
                    if still := [item for item in waiting if not self.replica.holds(peer, item[0])]:
                        parked[peer] = still
            elif step == "disputed":
                disputed.append((self.admitted, log))
            elif step == "held up":
                self._held_up = True
            elif peer_of(log) in parked:  # it ended: who cites what was to come is told so
                ready.extend(other for _, other in parked.pop(peer_of(log)))
            if not ready and (again := [log for count, log in disputed if count < self.admitted]):
                disputed = [item for item in disputed if item[1] not in again]
                ready.extend(again)
            if self._on_progress is not None and not self.admitted % PROGRESS_EVERY:
                self._on_progress(self.admitted, total, "rules")
        if self._on_progress is not None:
            self._on_progress(self.admitted, total, "rules")
        self._streams.clear()
        self._held.clear()
        for _, log in disputed:
            self._say_disputed(log)
        for log, seq in self._false:
            void = self.replica.void_from(log)
            if void is None or void > seq:
                why = "opens records that are not in the data set that it committed to, and nobody has accused it"
                self._findings.entry(self._logs[log], seq, "opening", why)
        if not self._held_up and not self._cut:  # otherwise they wait for what cannot be judged
            for peer, waiting in parked.items():
                for size, log in waiting:
                    seq = self.replica.size(log)
                    why = f"cites entry {size - 1} of log {peer[:12]}, which is not here"
                    self._findings.entry(self._logs[log], seq, "past", why)

    def _step(self, log: LogId) -> Waiting | _Step:
        """Admit the next entry of one log."""
        fork, peer = fork_of(log), peer_of(log)
        at = self.replica.size(log) or fork
        if at >= self._cut.get(log, at + 1):
            return "ended"
        if fork and not self.replica.size(log) and self.replica.size(self._parents.get(log, "")) <= fork:
            return Waiting(((peer, fork + 1),))
        try:
            data = self._next(log)
        except RemoteError as error:
            self._findings.file(log, error)
            return "ended"
        if data is None:
            return "ended"
        if fork and not self.replica.size(log):
            try:
                made = self.replica.strand_for(peer, data)
            except (LocalError, RemoteError):
                made = None
            if made != log:
                why = "is no branch of a log that is here"
                self._findings.entry(self._logs[log], fork, "place", why)
                return "ended"
        return self._take(log, data)

    def _next(self, log: LogId) -> bytes | None:
        if log in self._held:
            return self._held.pop(log)
        stream = self._streams.pop(log, None)
        if stream is None:
            stream = self._logs[log].entries(self.replica.size(log) or fork_of(log))
        data = next(stream, None)
        if data is not None:
            self._streams[log] = stream
            if len(self._streams) > MAX_OPEN:
                dropped, _ = self._streams.popitem(last=False)
                self._held.pop(dropped, None)
        return data

    def _take(self, log: LogId, data: bytes) -> Waiting | _Step:
        """Admit one entry, or say what it waits for, or what is wrong with it: then its log ends there."""
        replica, seq, evidence = self.replica, self.replica.size(log), b""
        try:
            checked = replica.check(log, data)
            if isinstance(checked, Waiting):
                if log in self._streams:
                    self._held[log] = data
                return checked
            entry = checked.entry
            if isinstance(entry, Genesis) and not self._genesis_holds(checked, entry):
                return "held up"  # by a file: none of those who cite it did wrong
            if isinstance(entry, Accuse | PolicyChange):
                found = self._evidence(checked, entry)
                if found is None:
                    return "held up"
                evidence = found
            elif isinstance(entry, Anchor):
                token = self._blob(entry.token, min(entry.bytes, MAX_TOKEN_BYTES), checked)
                if token is not None:
                    check_token(log, entry, token)
            elif isinstance(entry, Data) and checked.blob is not None:
                sketch = self._blob(entry.sketch, min(entry.sketch_bytes, MAX_SKETCH_BYTES), checked)
                if sketch is not None:
                    check_sketch(log, entry, sketch)
            elif isinstance(entry, Update):
                self._named.add(entry.delta)
                if checked.weight is None:
                    self._refold.leave_out(checked)
                elif self._refold.is_begun:
                    self._refold.open(checked, entry, self._blob(entry.delta, entry.bytes, checked))
            replica.admit(checked, evidence)
        except Disputed:
            self._held.pop(log, None)
            self._streams.pop(log, None)
            return "disputed"
        except InvalidEntry as error:
            self._findings.entry(self._logs[log], error.seq, error.rule, error.why)
            replica.end(log, seq)
            return "ended"
        except RemoteError as error:  # a blob that is not the one it is given out for
            self._findings.file(log, error)
            return "held up"
        self.admitted += 1
        self._after(checked)
        return "admitted"

    def _after(self, checked: Checked) -> None:
        untrue = self._checking.take(checked)
        if untrue:
            self._findings.entry(self._logs[checked.log], checked.seq, "verdict", untrue)
        match checked.entry:
            case Genesis() as genesis:
                count = parameters(genesis.layout)
                if count > self._most_parameters:
                    self.too_large = f"the model has {count} parameters, this audit allows {self._most_parameters}"
                else:
                    self._refold.begin(genesis)
            case Enrol(name=name):
                self.people[checked.log] = name
            case Snapshot(model=model):
                wrong = self._refold.judge(checked.log, checked.seq, model)
                if wrong is not None:
                    self._findings.entry(self._logs[checked.log], checked.seq, *wrong)
            case Opening() as opening:
                self._look_into(checked.log, opening)
            case Finality(snapshot=snapshot):
                self._finals.append(FinalSnapshot(checked.log, snapshot, checked.seq))
            case _:
                pass

    def _say_disputed(self, log: LogId) -> None:
        """No branch that is here makes sense of what the entry says that it has seen."""
        try:
            data = self._next(log)
            if data is not None:
                self.replica.check(log, data)
        except InvalidEntry as error:
            self._findings.entry(self._logs[log], error.seq, error.rule, error.why)
        except RemoteError as error:
            self._findings.file(log, error)

    def _genesis_holds(self, checked: Checked, genesis: Genesis) -> bool:
        policy = self._bundle.policy
        if self.hash_of(policy) != genesis.policy:
            if policy:  # otherwise it cannot be read, and is said to
                self._findings.add("", -1, "policy", "policy.toml", "is not the policy that genesis names")
            return False
        try:
            self.replica.install_policy(policy)
        except RemoteError as error:
            self._findings.add("", -1, "policy", "policy.toml", str(error))
            return False
        if self._declared is not None and (why := self._declared(genesis)):
            self._findings.entry(self._logs[checked.log], 0, "model", why)
        return True

    # -------------------------------------------------------------- blobs

    def _evidence(self, checked: Checked, entry: Accuse | PolicyChange) -> bytes | None:
        """What the entry cannot be judged without."""
        if isinstance(entry, PolicyChange):
            return self._blob(entry.policy, min(entry.policy_bytes, MAX_POLICY_BYTES), checked)
        most = MAX_OPENING_BYTES if entry.charge == "opening" else MAX_EVIDENCE_BYTES
        return self._blob(entry.evidence, min(entry.bytes, most), checked)

    def _look_into(self, log: LogId, entry: Opening) -> None:
        """Hold what was opened to its data entry, if it is here."""
        self.openings += 1
        self._named.add(entry.opened)
        try:
            blob = self._bundle.blob(entry.opened, MAX_OPENING_BYTES)
        except RemoteError as error:
            self._findings.add("", -1, "blob", f"blobs/{entry.opened}", str(error))
            blob = None
        self._checking.take_opening(log, entry.seq, blob)
        if blob is None:
            self.unopened += 1
        elif self.replica.opens_falsely(log, entry.seq, blob):
            self._false.append((log, entry.seq))

    def _blob(self, name: Hash, limit: int, checked: Checked | None = None) -> bytes | None:
        """A blob that an entry names with that many bytes. InvalidEntry if it is longer than the entry says."""
        self._named.add(name)
        try:
            blob = self._bundle.blob(name, limit)
        except LongBlob as error:
            if checked is None:
                raise
            rule = _RULE_OF_BLOB.get(type(checked.entry), "delta")
            raise InvalidEntry(checked.log, checked.seq, rule, f"says {limit} bytes: {error.why}") from None
        except RemoteError as error:
            self._findings.add("", -1, "blob", f"blobs/{name}", str(error))
            blob = None
        if blob is None:
            self._lose(name)
        return blob

    def _lose(self, name: Hash) -> None:
        if self._lost.add(name) and len(self._missing) < MAX_MISSING:
            self._missing.append(name)

    # -------------------------------------------------------------- the model

    @property
    def replayed(self) -> int:
        """Snapshots whose model was recomputed."""
        return self._refold.replayed

    def model_hash(self) -> Hash:
        """Of everything admitted; "" if it cannot be replayed."""
        return "" if self._held_up else self._refold.model_hash()

    def model_bytes(self, past: Mapping[LogId, int]) -> bytes | None:
        """The model of a past as it is hashed; None if it cannot be replayed."""
        return self._refold.model_bytes(past)


__all__ = ["Admission", "BundleError", "Entries"]
