"""What an author's signature says of a log that was read to its end: that it covers just these entries, or not.

Every entry in the bundle counts here, followed or not, for that is what was signed. It refuses to know what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from ledger.bundle import BundleError
from ledger.canonical import decode_entry
from ledger.chain import peer_of
from ledger.checkpoint import origin
from ledger.entry import Hash, PeerId, Recover, Rotate
from ledger.errors import LocalError, RemoteError
from ledger.followed import BATCH, Branch
from ledger.keys import check_public
from ledger.report import Findings, file_of
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
    damaged: int | None = None  # the first entry that cannot be read, or is not the one that its author signed


def finish(branch: Branch, swarm: Hash, findings: Findings) -> LogStructure:
    """Hold all that was read of a log against its checkpoint and its other files."""
    root = _whole(branch, findings)
    seal: Seal | None = None
    damaged = branch.size if root is None else None
    file = f"{branch.source.place}/checkpoint"
    if root is None:
        pass  # what cannot be read whole is held against no signature
    elif not branch.keys:
        damaged = _damaged(branch)
        if damaged is not None:
            _altered(branch, damaged, "has not the hash that lies beside it", findings)
        elif branch.parent is not None or not branch.fork:  # (that a branch has no beginning is said of its entries)
            findings.add(branch.id, -1, "checkpoint", file, "nothing tells whose signature it should bear")
    else:
        name = origin(swarm, branch.peer)
        try:
            seal = open_seal(branch.source, name, branch.key_at, branch.tree)
        except OtherEntries as error:
            # The note is authentic, so the entries are not; each one's `prev` vouches for all but the last, unless the
            # hashes beside them say which one it is.
            damaged = _damaged(branch)
            last, why = min(branch.size, branch.total - 1), "is not among the entries that the log's author signed"
            if damaged is not None:
                _altered(branch, damaged, why, findings)
            else:
                findings.entry(branch.source, last, "checkpoint", why)
            if error.by_proof and damaged is None:
                findings.add(branch.id, -1, "checkpoint", f"{branch.source.place}/head.tlog-proof", str(error))
        except BundleError as error:
            findings.add(branch.id, -1, "checkpoint", error.file, str(error))
        for problem in branch.source.inspect(branch.tree, branch.key_at):
            if damaged is None or problem.entry < 0:
                findings.file(branch.id, problem)
    parent = branch.parent.id if branch.parent is not None else ""
    return LogStructure(branch.id, branch.total, branch.size, root, seal, parent, damaged)


def excuse(branches: Sequence[Branch], damaged: Mapping[str, int], findings: Findings) -> None:
    """Entries that cite what cannot be read here, or was altered, break no rule by it; nor who cites them."""
    cut: dict[PeerId, int] = {}
    for log, index in damaged.items():
        cut[peer_of(log)] = min(index, cut.get(peer_of(log), index))
    left: dict[Branch, list[tuple[PeerId, int]]] = {}
    for branch in branches if cut else ():
        if branch.id not in damaged and branch.broken is not None:
            left[branch] = _cited(branch)
        elif branch.id in damaged and branch.fork and branch.parent is None:
            findings.unfollowed(branch.source)
    more = True
    while more:
        more = False
        for branch, cited in list(left.items()):
            lost = next((peer for peer, size in cited if size > cut.get(peer, size)), "")
            if lost:
                why = f"cites entries of log {lost[:12]} that cannot be read here"
                findings.excuse(branch.source, branch.size, why)
                cut[branch.peer] = min(branch.size, cut.get(branch.peer, branch.size))
                del left[branch]
                more = True


def _cited(branch: Branch) -> list[tuple[PeerId, int]]:
    """What the entry cites at which a log ended; of a branch without a beginning, what it shares with its log."""
    if branch.fork and branch.parent is None:
        return [(branch.peer, branch.fork)]
    try:
        entry = decode_entry(branch.source.entry(branch.size))
    except (LocalError, RemoteError):
        return []
    peers = [other.peer for other in branch.roster] + ([] if branch.met == branch.size else entry.meets)
    return [(peers[slot], size) for slot, size in entry.seen if slot < len(peers)]


def _altered(branch: Branch, index: int, why: str, findings: Findings) -> None:
    """An entry is not its author's: what it and those after it say is not, either."""
    findings.drop(branch.id, index)
    findings.add(branch.id, index, "file", file_of(branch.source, index), why)


def _damaged(branch: Branch) -> int | None:
    problems = branch.source.inspect(branch.tree, branch.key_at)
    return next((problem.entry for problem in problems if problem.entry >= 0), None)


def _whole(branch: Branch, findings: Findings) -> bytes | None:
    """The root of all entries in the bundle, followed or not; None if they cannot be read."""
    if branch.unread:
        return None
    try:
        if branch.broken is not None and branch.keys:
            _find_keys(branch)
        if branch.tree.size < branch.total:
            rest = islice(branch.source.entries(branch.tree.size), branch.total - branch.tree.size)
            while batch := list(islice(rest, BATCH)):
                branch.tree.append_all([sha256(b"\x00" + data).digest() for data in batch])
    except RemoteError as error:
        findings.file(branch.id, error)
        return None
    return branch.tree.root()


def _find_keys(branch: Branch) -> None:
    """Keys that promised to follow, in entries that were not followed: whoever reads no further knows its signature."""
    for seq, data in enumerate(branch.source.entries(branch.size), branch.size):
        if not (b'"kind":"rotate"' in data or b'"kind":"recover"' in data):
            continue
        try:
            entry = decode_entry(data)
        except RemoteError:
            continue
        if isinstance(entry, Rotate | Recover) and sha256(bytes.fromhex(entry.key)).hexdigest() == branch.promise:
            try:
                check_public(bytes.fromhex(entry.key))
            except RemoteError:
                return
            branch.promise = entry.next
            branch.keys.append((seq + 1, bytes.fromhex(entry.key)))
