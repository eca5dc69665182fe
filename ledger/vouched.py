"""Who else has seen a log: cosignatures in a bundle, whose they are, and how much of it lies in their past.

    note with cosignatures --author's key, members' keys--> words: log, size, time, by whom; or what is wrong with it
    words of one witness   --pasts--> how many entries of the bundle it vouches for

Why it exists: an author alone can show every auditor another history. A witness that the auditor trusts has signed one.

Rules kept here: a line counts only if a key that the named member has had, or one of the auditor's own list, verifies
it; what nobody can be found for is a finding, for honest bundles do not carry it. It refuses to know files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.chain import LogId, fork_of, peer_of
from ledger.checkpoint import Checkpoint, open_note, origin, parse_checkpoint
from ledger.cosignature import cosignatures, verify_cosignature
from ledger.entry import Hash, PeerId
from ledger.errors import RemoteError
from ledger.note import Signature
from ledger.replica import Replica
from ledger.report import Coverage
from ledger.timeline import Witnessed
from ledger.tlog_policy import final_policy, print_policy


@dataclass(frozen=True, slots=True)
class Word:
    """One good cosignature."""

    checkpoint: Checkpoint
    name: str  # the witness's, as it signs
    key: bytes
    time: int
    by: PeerId  # "" if it is no member


class Book:
    """Everybody whose signature can be told."""

    def __init__(self, replica: Replica, trusted: Iterable[bytes]) -> None:
        self._replica = replica
        self._trusted = tuple(trusted)
        self._members: dict[str, tuple[PeerId, tuple[bytes, ...]]] = {}
        for log in replica.heads():
            peer = peer_of(log)
            if replica.enrolled(log):
                name = origin(replica.swarm, peer)
                known = self._members.get(name, (peer, ()))[1]
                self._members[name] = (peer, tuple(dict.fromkeys((*known, *replica.keys_of(log)))))

    def words(self, note: bytes, log: LogId) -> tuple[Checkpoint, list[Word], list[str]]:
        """The checkpoint of `log` in a note, the good cosignatures on it, and names of the others.

        RemoteError if it is not a checkpoint of that log by its author.
        """
        _, claimed = parse_checkpoint(note)
        checkpoint = open_note(note, self._replica.key_at(log, claimed.size))
        if checkpoint.origin != origin(self._replica.swarm, peer_of(log)):
            raise RemoteError("a cosigned checkpoint is of another log", why=checkpoint.origin)
        good: list[Word] = []
        bad: list[str] = []
        signed, _ = parse_checkpoint(note)
        lines = cosignatures(note)
        for line in lines:
            word = self._word(checkpoint, line)
            if word is None:
                bad.append(line.name)
            else:
                good.append(word)
        bad += [line.name for line in signed.signatures[1:] if line not in lines]
        return checkpoint, good, bad

    def _word(self, checkpoint: Checkpoint, line: Signature) -> Word | None:
        peer, keys = self._members.get(line.name, ("", ()))
        for key in (*keys, *self._trusted):
            try:
                time = verify_cosignature(checkpoint, line, line.name, key)
            except RemoteError:
                continue
            return Word(checkpoint, line.name, key, time, peer if key in keys else "")
        return None


def coverage(replica: Replica, words: Iterable[tuple[LogId, Word]], witness: bytes) -> Coverage | None:
    """What one witness vouches for: all in the past of what it cosigned. None if it cosigned nothing here."""
    past: dict[LogId, int] = {}
    name, newest = "", 0
    for log, word in words:
        if word.key != witness:
            continue
        name, newest = word.name, max(newest, word.time)
        branch = _branch_under(replica, log, word.checkpoint)
        if branch is None:
            continue  # what was signed is not all here: no part of it is taken for the whole
        for other, seen in replica.past(branch, word.checkpoint.size).items():
            past[other] = max(past.get(other, 0), seen)
    entries = sum(max(0, size - fork_of(log)) for log, size in past.items())
    return Coverage(witness.hex(), name, entries, newest) if name else None


def _branch_under(replica: Replica, log: LogId, checkpoint: Checkpoint) -> LogId | None:
    """The branch that is, or begins with, what was signed: not always the one beside which the note lies."""
    for branch in replica.strands(peer_of(log)):
        if replica.size(branch) >= checkpoint.size > 0 and replica.root(branch, checkpoint.size) == checkpoint.root:
            return branch
    return None


def witnessed(words: Iterable[tuple[LogId, Word]]) -> tuple[Witnessed, ...]:
    """The words, as bounds on when entries were made."""
    return tuple(Witnessed(log, word.checkpoint.size, word.time, word.by) for log, word in words if word.by)


def final_witnesses(replica: Replica) -> bytes:
    """policy.tlog: whose cosignatures make a snapshot of this swarm final; b"" if it has no witnesses."""
    seats: dict[Hash, PeerId] = {}
    for log in replica.heads():
        peer = peer_of(log)
        if replica.enrolled(log):
            key = replica.enrol_key_of(peer).hex()
            seats[key] = min(peer, seats.get(key, peer))
    witnesses = [
        (seats.get(key, key), replica.keys_of(seats[key]) if key in seats else (bytes.fromhex(key),))
        for key in replica.genesis.witnesses
    ]
    authors = sorted({peer_of(log) for log in replica.heads() if replica.enrolled(peer_of(log))})
    policy = final_policy(replica.swarm, witnesses, [(peer, replica.key_of(peer)) for peer in authors])
    return print_policy(policy) if policy is not None else b""


def of_names(names: Mapping[PeerId, str], peers: Iterable[PeerId]) -> str:
    """Peers for people: "B and C"."""
    known = [names.get(peer) or peer[:12] for peer in sorted(set(peers))]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)
