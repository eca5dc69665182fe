"""What an audit says, as values: for lines on a terminal, for JSON, for a page.

Rules kept here: facts that the auditor recomputed and none that the bundle claims; a verdict follows from them
alone. It refuses to know how they were found (audit.py) and how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ledger.bundle import BundleError, BundleLog
from ledger.chain import LogId
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.looked import Checks
from ledger.tiles import TILE_WIDTH, Tile
from ledger.timeline import Witnessed

MAX_FINDINGS = 1000  # a bundle of rubbish need not fill the auditor's memory

Verdict = Literal["clean", "findings", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the auditor knows from elsewhere. Empty for what it does not."""

    swarm: Hash = ""
    model: Hash = ""
    witnesses: tuple[bytes, ...] = ()  # public keys, 32 bytes each, whose cosignatures the auditor trusts
    checkpoints: tuple[bytes, ...] = ()  # notes kept from before
    model_file: Path | None = None  # an exported model (export.py)

    @property
    def any(self) -> bool:
        return bool(self.swarm or self.model or self.witnesses or self.checkpoints or self.model_file)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. `log` and `index` are "" and -1 where it concerns the bundle as a whole.

    `rule` is one word, for tables: those of rules.py; of whoever made the bundle file, checkpoint, cosignature, blob,
    model, claim, policy, past, truncated, fork, opening, verdict; and anchor, for what the auditor knows from
    elsewhere.
    """

    log: LogId
    index: int
    rule: str
    file: str  # the file that proves it, from the bundle's root
    detail: str

    @property
    def against_anchor(self) -> bool:
        """Whether it differs from what the auditor knows from elsewhere, and not from another part of the bundle."""
        return self.rule == "anchor" or (self.rule == "truncated" and "you hold a checkpoint" in self.detail)

    @property
    def of_a_word(self) -> bool:
        """Whether a member said of others, or showed, what is not so: the entries stand, and all that follows from
        them is as it would be."""
        return self.rule in ("verdict", "opening")


@dataclass(frozen=True, slots=True)
class LogReport:
    peer: LogId  # whose log, or which branch of it
    name: str  # chosen by the peer itself
    size: int  # entries in the bundle, as it says
    admitted: int  # entries that hold
    updates: int  # of these, in the fold
    findings: int
    signed: int = 0  # entries that its author's checkpoint covers: more than `size` if the rest came later; 0 if none
    witnessed: int = 0  # the largest size of it that a member has cosigned
    keys: int = 0  # that it has had: one more than rotations
    void_from: int | None = None  # the first entry that counts no more, because its author signed two histories
    revoked_from: int | None = None  # ... because admins want its author out

    @property
    def elsewhere(self) -> int:
        """Entries that its author has signed and that are not here. No finding: they may never have been published."""
        return max(0, self.signed - self.size)


@dataclass(frozen=True, slots=True)
class Final:
    """A snapshot that a majority of the swarm's witnesses has signed."""

    log: LogId
    seq: int  # of the snapshot
    named_by: int  # seq of the `final` entry in that log


@dataclass(frozen=True, slots=True)
class ShownOut:
    """A member who is out, because as many admins want it as the swarm asks for."""

    peer: PeerId
    since: int  # nothing of its log from there on counts, but what a final snapshot holds
    admins: tuple[PeerId, ...]  # who said so, sorted


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a bundle lies in the past of checkpoints that one witness of the auditor's has cosigned."""

    key: str  # hex
    name: str  # under which it signs: the origin of its own log, if it is a member
    entries: int
    newest: int  # Unix time of its newest cosignature, as it says


@dataclass(frozen=True, slots=True)
class Report:
    swarm: Hash
    entries: int  # admitted
    updates: int  # in the fold
    snapshots: int  # whose model was recomputed
    logs: tuple[LogReport, ...]
    model_hash: Hash  # recomputed from everything admitted; "" if it cannot be replayed
    missing: tuple[Hash, ...]  # blobs that are not in the bundle
    findings: tuple[Finding, ...]  # at most MAX_FINDINGS
    anchored: bool
    finals: tuple[Final, ...] = ()
    shown_out: tuple[ShownOut, ...] = ()  # by peer
    words: tuple[Witnessed, ...] = ()  # good cosignatures, for the intervals of entries (timeline.py)
    coverage: tuple[Coverage, ...] = ()  # one for each witness that the auditor named
    too_large: str = ""  # why the model was not replayed on this machine
    structure_only: bool = False
    openings: int = 0  # answers to challenges
    unopened: int = 0  # of these the ones whose records are not here: nobody but the challenger need have them
    checks: Checks = field(default_factory=Checks)  # what peers did about the policy, looked at again

    @property
    def verdict(self) -> Verdict:
        if self.findings:
            return "findings"
        whole = self.model_hash and not self.missing and not self.structure_only
        whole = whole and not self.checks.struck_unchecked  # these shaped the model, and may be made up
        return "clean" if self.anchored and whole else "inconclusive"


class Findings:
    """A growing list of findings: each once, in order, and of one entry only the first."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}
        self._entries: set[tuple[str, int]] = set()

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, log: str, index: int, rule: str, file: str, detail: str) -> None:
        if len(self._found) < MAX_FINDINGS:
            self._found[Finding(log, index, rule, file, detail)] = None

    def entry(self, log: BundleLog, index: int, rule: str, detail: str) -> None:
        """Of an entry. What a later pass finds at the same place is the same thing in other words."""
        if (log.peer, index) not in self._entries:
            self._entries.add((log.peer, index))
            self.add(log.peer, index, rule, file_of(log, index), detail)

    def excuse(self, log: BundleLog, index: int, detail: str) -> None:
        """What was found at an entry only follows from files that cannot be read: it is nobody's doing."""
        known = dict.fromkeys(found for found in self._found if (found.log, found.index) == (log.peer, index))
        for found in known:
            del self._found[found]
        self.add(log.peer, index, "past", file_of(log, index), detail)

    def drop(self, log: str, index: int) -> None:
        """Forget what entries from that one on say of themselves: they are not their author's."""
        for found in [found for found in self._found if found.log == log and found.index >= index]:
            del self._found[found]

    def unfollowed(self, log: BundleLog) -> None:
        """A branch whose files cannot be read is not said to lack a beginning as well."""
        for found in [found for found in self._found if (found.log, found.rule) == (log.peer, "place")]:
            del self._found[found]

    def in_order(self) -> tuple[Finding, ...]:
        """Files that cannot be read first: the rest may follow from them."""
        return tuple(sorted(self, key=lambda found: found.rule != "file"))

    def file(self, log: str, error: RemoteError) -> None:
        """Of a file that cannot be read, or is not what it should be."""
        self.add(log, -1, "file", error.file if isinstance(error, BundleError) else "", str(error))


def file_of(log: BundleLog, index: int) -> str:
    """The file in which an entry of a log lies."""
    number = index // TILE_WIDTH
    if not 0 <= index < log.size:
        return "bundle.json"
    return f"{log.place}/{Tile(-1, number, min(TILE_WIDTH, log.size - number * TILE_WIDTH)).path}"
