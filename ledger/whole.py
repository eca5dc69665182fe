"""What an author's signature says of a log that was read to its end: that it covers just these entries, or not.

Every entry in the bundle counts here, followed or not, for that is what was signed. It refuses to know what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from ledger.bundle import BundleError
from ledger.checkpoint import origin
from ledger.entry import Hash
from ledger.errors import RemoteError
from ledger.followed import BATCH, Branch
from ledger.report import Findings
from ledger.seals import OtherEntries, Seal, open_seal


@dataclass(frozen=True, slots=True)
class LogStructure:
    """One log after the pass."""

    log: str
    size: int  # entries in the bundle, as it says
    sound: int  # entries from the first on with which nothing is wrong
    root: bytes | None  # over all of its entries; None if they cannot be read
    seal: Seal | None  # what its author signed; None if that is in doubt
    parent: str  # the branch that this one left; "" for a trunk


def finish(branch: Branch, swarm: Hash, findings: Findings) -> LogStructure:
    """Hold all that was read of a log against its checkpoint and its other files."""
    root = _whole(branch, findings)
    seal: Seal | None = None
    file = f"{branch.source.place}/checkpoint"
    if not branch.keys:
        findings.add(branch.id, -1, "checkpoint", file, "nothing tells whose signature it should bear")
    elif root is not None:
        name = origin(swarm, branch.peer)
        try:
            seal = open_seal(branch.source, name, branch.key_at, branch.tree)
        except OtherEntries as error:
            # The note is authentic, so the entries are not; each one's `prev` vouches for all but the last.
            last, why = min(branch.size, branch.total - 1), "is not among the entries that the log's author signed"
            findings.entry(branch.source, last, "checkpoint", why)
            if error.by_proof:
                findings.add(branch.id, -1, "checkpoint", f"{branch.source.place}/head.tlog-proof", str(error))
        except BundleError as error:
            findings.add(branch.id, -1, "checkpoint", error.file, str(error))
        for problem in branch.source.inspect(branch.tree, branch.key_at):
            findings.file(branch.id, problem)
    parent = branch.parent.id if branch.parent is not None else ""
    return LogStructure(branch.id, branch.total, branch.size, root, seal, parent)


def _whole(branch: Branch, findings: Findings) -> bytes | None:
    """The root of all entries in the bundle, followed or not; None if they cannot be read."""
    if branch.unread:
        return None
    try:
        if branch.tree.size < branch.total:
            rest = islice(branch.source.entries(branch.tree.size), branch.total - branch.tree.size)
            while batch := list(islice(rest, BATCH)):
                branch.tree.append_all([sha256(b"\x00" + data).digest() for data in batch])
    except RemoteError as error:
        findings.file(branch.id, error)
        return None
    return branch.tree.root()
