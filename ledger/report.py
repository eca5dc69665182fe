"""What an audit says, as values: for lines on a terminal, for JSON, for a page.

Rules kept here: facts that the auditor recomputed and none that the bundle claims; a verdict follows from them
alone. It refuses to know how they were found (audit.py) and how they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ledger.entry import Hash, PeerId

Verdict = Literal["clean", "findings", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the auditor knows from elsewhere. Empty strings for what it does not."""

    swarm: Hash = ""
    model: Hash = ""

    @property
    def any(self) -> bool:
        return bool(self.swarm or self.model)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. `log` and `index` are "" and -1 where it concerns the bundle as a whole."""

    log: PeerId
    index: int
    rule: str  # one word, for tables: those of rules.py, and file, checkpoint, blob, model, claim, anchor, policy, past
    file: str  # the file that proves it, from the bundle's root
    detail: str


@dataclass(frozen=True, slots=True)
class LogReport:
    peer: PeerId
    name: str  # chosen by the peer itself
    size: int  # entries in the bundle, as it says
    admitted: int  # entries that hold
    updates: int  # of these, in the fold
    findings: int


@dataclass(frozen=True, slots=True)
class Report:
    swarm: Hash
    entries: int  # admitted
    updates: int  # in the fold
    snapshots: int  # whose model was recomputed
    logs: tuple[LogReport, ...]
    model_hash: Hash  # recomputed from everything admitted; "" if it cannot be replayed
    missing: tuple[Hash, ...]  # deltas that are not in the bundle
    findings: tuple[Finding, ...]  # at most audit.MAX_FINDINGS
    anchored: bool

    @property
    def verdict(self) -> Verdict:
        if self.findings:
            return "findings"
        return "clean" if self.anchored and self.model_hash and not self.missing else "inconclusive"
