"""A bundle read for what it says, not only for whether it holds: audited, and then at hand.

`lineage`, `without`, the page and exports count and fold what an audit admitted, and nothing else. What breaks a rule
is told beside whatever they print, for what they print is then of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli import auditing
from cli.damaged import Damaged, damaging
from cli.plain import name as plain_name
from cli.plain import plain
from ledger.anchors import stamped
from ledger.audit import Anchors, AuditOptions, Report, examine, unreadable
from ledger.bundle import MAX_BLOB_BYTES, BundleContents
from ledger.bundle_files import open_bundle
from ledger.chain import peer_of
from ledger.entry import Enrol, Hash, PeerId, Snapshot
from ledger.errors import LocalError, RemoteError
from ledger.fold import Arithmetic, Fold, PlainArithmetic, parameters
from ledger.lineage import Term
from ledger.replica import Replica
from ledger.shown import Inspectors
from ledger.structure import Progress
from ledger.timestamp import Roots


@dataclass(frozen=True, slots=True)
class Opened:
    """What an audit of one bundle left."""

    contents: BundleContents
    report: Report
    replica: Replica
    arithmetic: Arithmetic[Any, Any]
    arithmetic_name: str

    def names(self) -> dict[str, str]:
        """What peers call themselves, cleaned, by log and by peer."""
        found: dict[str, str] = {}
        for log in self.replica.heads():
            for seq in (0, 1):
                entry = self.replica.entry(log, seq) if self.replica.size(log) > seq else None
                if isinstance(entry, Enrol):
                    found[log] = found[peer_of(log)] = plain_name(entry.name, 16)
        return found

    def past(self, snapshot: str | None) -> Mapping[str, int]:
        """What the named snapshot folded; everything admitted if none is named. LocalError if it is no snapshot."""
        if snapshot is None:
            return self.replica.heads()
        log, seq = self.find(snapshot)
        if not isinstance(self.replica.entry(log, seq), Snapshot):
            raise LocalError(
                f"{plain(snapshot, 60)} is no snapshot",
                next_step="gossip ledger log lists them: name one as PEER/SEQ",
            )
        return self.replica.past(log, seq + 1)

    def terms(self, past: Mapping[str, int]) -> list[Term]:
        """The updates in the sum of a past, by log."""
        return list(self.replica.terms(past))

    def find(self, wanted: str) -> tuple[str, int]:
        """(log, seq) of an admitted entry that is named PEER/SEQ."""
        peer, slash, seq = wanted.rpartition("/")
        if slash and seq.isascii() and seq.isdigit() and len(seq) < 16:
            logs = [log for log in self.matching(peer) if int(seq) < self.replica.size(log)]
            if len(logs) == 1:
                return logs[0], int(seq)
        self.require_whole()
        raise LocalError(
            f"no one entry {plain(wanted, 60)!r} here", next_step="name it PEER/SEQ, as gossip ledger log prints it"
        )

    def require_whole(self) -> None:
        """Damaged if anything is wrong here: what is asked for may be lost by that."""
        if damaging(self.report.findings):
            raise Damaged(self.report.findings)

    def matching(self, peer: str) -> list[str]:
        """Logs whose id begins with `peer`, or whose owner chose that name."""
        names = self.names()
        return sorted(
            log
            for log in self.replica.heads()
            if names.get(log) == plain_name(peer, 16) or (len(peer) >= 4 and log.startswith(peer))
        )

    def peer(self, wanted: str) -> PeerId:
        """The one peer that `wanted` names. LocalError if none does, or several do."""
        peers = sorted({peer_of(log) for log in self.matching(wanted)})
        if len(peers) == 1:
            return peers[0]
        if not peers:
            self.require_whole()
        raise LocalError(
            f"{'no peer' if not peers else 'several peers'} {plain(wanted, 40)!r} here",
            why="there are " + ", ".join(sorted(set(self.names().values()))),
            next_step="name one of them, or the first digits of its id",
        )

    def fold(self) -> Fold[Any, Any]:
        """The starting weights. LocalError without a genesis."""
        genesis = self.replica.genesis
        return Fold(genesis.layout, genesis.seed, self.arithmetic)

    def delta(self, digest: Hash) -> Any:
        """A decoded delta that the audit admitted. LocalError if it is missing."""
        blob = self.contents.blob(digest, MAX_BLOB_BYTES)
        if blob is None:
            self.require_whole()
            raise LocalError(
                f"delta {digest[:12]} is missing", why="so this cannot be computed",
                next_step="get the bundle from somebody who still has it",
            )  # fmt: skip
        return self.arithmetic.decode(blob, parameters(self.replica.genesis.layout))


@contextmanager
def opened(
    path: Path,
    anchors: Anchors | None = None,
    *,
    plain_integers: bool = False,
    parameters: int | None = None,
    on_progress: Progress | None = None,
    roots: Roots | None = None,
    inspectors: Inspectors | None = None,
) -> Iterator[Opened]:
    """Audit the bundle at `path`, and keep what was admitted: nothing, of one that cannot be read at all.

    With `roots`, the time stamps in it are held against them; with `inspectors`, opened records are read.

    `plain_integers` is the second opinion: the fold in nothing but Python, whatever is installed.
    """
    sums, called = (PlainArithmetic(), auditing.PLAIN) if plain_integers else auditing.arithmetic()
    options = auditing.options_of(parameters=parameters, on_progress=on_progress, inspectors=inspectors)
    with ExitStack() as stack:
        try:
            contents = stack.enter_context(open_bundle(path))
        except RemoteError as error:
            report = unreadable(error, anchors or Anchors())
            yield Opened(_NOTHING, report, Replica("", ""), sums, called)
            return
        report, replica = examine(contents, sums, anchors or Anchors(), options)
        yield Opened(contents, stamped(report, contents, roots) if roots else report, replica, sums, called)


@contextmanager
def ruled(source: str | None) -> Iterator[Opened]:
    """What the rules make of a bundle, a peer's directory or a swarm: all that holds, and no model."""
    from cli import sources

    path = Path(source) if source is not None else None
    no_model, sums = AuditOptions(parameters=0), PlainArithmetic()
    if path is not None and sources.is_bundle(path):
        with open_bundle(path) as contents:
            report, replica = examine(contents, sums, Anchors(), no_model)
            read = Opened(contents, report, replica, sums, auditing.PLAIN)
            require(read)
            yield read
        return
    with stored(source) as contents:
        report, replica = examine(contents, sums, Anchors(), no_model)
        findings = tuple(one for one in report.findings if one.log)  # (what lies beside the logs, only a bundle has)
        yield Opened(contents, replace(report, findings=findings), replica, sums, auditing.PLAIN)


@contextmanager
def stored(source: str | None) -> Iterator[BundleContents]:
    """What a peer's directory, or that of a swarm of this name, would export; a node may run on it."""
    from cli.sources import peer_of
    from gossip.directory import store_path
    from ledger.store import Store

    with Store.open_readonly(store_path(peer_of(source))) as store:
        yield auditing.contents_of(store)


_NOTHING = BundleContents("", "", "", b"", (), blobs=tuple, blob=lambda name, limit=0: None)


def require(opened: Opened) -> None:
    """LocalError if there is no model to speak of; Damaged if that is the bundle's fault."""
    if not opened.replica.has_genesis:
        opened.require_whole()
        raise LocalError(
            "this bundle has no genesis that holds", next_step="gossip ledger verify says what is wrong with it"
        )
