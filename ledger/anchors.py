"""What the time stamps in a bundle prove: that so much of a log existed before a time that its author does not choose.

    entry `anchor` (log, size, token)   the body of that log's checkpoint at that size, made again from the entries
    token in blobs/                     an authority's word for that body, under a root that the auditor trusts
    --> Proven: the first `size` entries of that log existed before `time`; or a Finding
    report --stamped--> the same with these, beside what members' clocks say

Rules kept here: the body is recomputed and never read; what holds of a trunk holds of each branch that shares it, and
is said once. It refuses to know whether entries keep their rules and who signed the log: that is audit.py's business,
and a time stamp holds or fails without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ledger.bundle import BundleContents, BundleError, BundleLog
from ledger.canonical import decode_entry
from ledger.chain import fork_of, peer_of
from ledger.checkpoint import Checkpoint, origin
from ledger.entry import MAX_TOKEN_BYTES, Anchor, Hash
from ledger.errors import RemoteError
from ledger.merkle import Tree, leaf_hash
from ledger.report import MAX_FINDINGS, Finding, Report, file_of
from ledger.timeline import Witnessed
from ledger.timestamp import Roots, verify_token

_HINT: Final = b'"kind":"anchor"'  # in every such entry; decoding all the others is slow


@dataclass(frozen=True, slots=True)
class Proven:
    """The first `size` entries of `log` existed before `time`."""

    log: str
    seq: int  # of the entry that says so
    size: int
    token: Hash
    time: int
    authority: str

    @property
    def word(self) -> Witnessed:
        """As a word from outside the swarm, for the intervals of entries (timeline.py)."""
        return Witnessed(self.log, self.size, self.time, "")


@dataclass(frozen=True, slots=True)
class Missing:
    """A time stamp whose token is not in the bundle: nothing is proven, and nothing wrong."""

    log: str
    seq: int
    token: Hash


def anchors_in(bundle: BundleContents, roots: Roots) -> Iterator[Proven | Missing | Finding]:
    """Every time stamp of a bundle, log by log. Never raises on a bad bundle."""
    for log in bundle.logs:
        try:
            yield from _of_log(bundle, log, roots)
        except BundleError as error:
            yield Finding(log.peer, -1, "file", error.file, str(error))
        except RemoteError as error:
            yield Finding(log.peer, -1, "file", "", str(error))


def stamped(report: Report, bundle: BundleContents, roots: Roots) -> Report:
    """The audit's report on a bundle, its intervals narrowed by the time stamps in it; what does not hold is a finding.

    Nothing here makes a report "anchored": an authority stamps whatever it is sent, an invented swarm, too. What the
    audit found wrong, and what was not admitted because of it, is not said again in other words.
    """
    found = list(anchors_in(bundle, roots))
    admitted = {log.peer: log.admitted for log in report.logs}
    known = {one.file for one in report.findings}
    wrong = [
        one
        for one in found
        if isinstance(one, Finding) and one.index < admitted.get(one.log, 0) and one.file not in known
    ]
    findings = (*report.findings, *wrong)[:MAX_FINDINGS]
    return replace(
        report,
        words=(*report.words, *(one.word for one in found if isinstance(one, Proven))),
        findings=findings,
        logs=tuple(replace(log, findings=sum(one.log == log.peer for one in findings)) for log in report.logs),
    )


def _of_log(bundle: BundleContents, log: BundleLog, roots: Roots) -> Iterator[Proven | Missing | Finding]:
    tree, name = Tree(), origin(bundle.swarm, peer_of(log.peer))
    for seq, data in enumerate(log.entries()):
        if _HINT in data and seq >= fork_of(log.peer):
            try:
                entry = decode_entry(data)
            except RemoteError as error:
                yield Finding(log.peer, seq, "format", file_of(log, seq), str(error))
                return
            if isinstance(entry, Anchor):
                if entry.size > seq:
                    yield Finding(log.peer, seq, "token", file_of(log, seq), f"is of {entry.size} entries: too many")
                    return
                body = Checkpoint(name, entry.size, tree.root(entry.size)).body()
                yield _of_entry(bundle, log, seq, entry, body, roots)
        tree.append(leaf_hash(data))


def _of_entry(
    bundle: BundleContents, log: BundleLog, seq: int, entry: Anchor, body: bytes, roots: Roots
) -> Proven | Missing | Finding:
    file = f"blobs/{entry.token}"
    try:
        token = bundle.blob(entry.token, MAX_TOKEN_BYTES)
        if token is None:
            return Missing(log.peer, seq, entry.token)
        stamp = verify_token(token, body, roots)
    except RemoteError as error:
        return Finding(log.peer, seq, "token", file, str(error))
    return Proven(log.peer, seq, entry.size, entry.token, stamp.time, stamp.authority)
