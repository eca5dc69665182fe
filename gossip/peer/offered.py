"""What a final snapshot that somebody offers must prove before its model is fetched.

    Latest --origin, entry, inclusion proof, a majority of genesis' witnesses--> Offer

Why it exists: a late joiner has no logs to check anything against. All it trusts is genesis, whose hash is the swarm's
id, and genesis names witnesses. A majority of them has recomputed the model (election.py), or lies together; the joiner
finds out which when its own fold gets there (arrival.py).

Rules kept here: the entry is the last of the log that the checkpoint names, in this swarm, and a snapshot; each witness
counts once, under the key in genesis or one that we know to have taken its place. The author's signature is not looked
at: its key may be of an entry that is not here, and the witnesses signed the same text. It refuses to know links.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gossip.wire.frames import Latest
from ledger.canonical import decode_entry, entry_hash
from ledger.checkpoint import Checkpoint, origin, parse_checkpoint
from ledger.cosignature import cosignatures, verify_cosignature
from ledger.entry import Hash, PeerId, Snapshot
from ledger.errors import RemoteError
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.note import COSIGNATURE, Signature, key_id


@dataclass(frozen=True, slots=True)
class Offer:
    """A final snapshot, as a majority of the witnesses has signed it."""

    log: PeerId
    seq: int
    entry: Hash  # of the snapshot entry
    model: Hash
    updates: int
    by: tuple[PeerId, ...]  # who signed, as they call themselves


def verify_offer(frame: Latest, swarm: Hash, witnesses: Iterable[str], keys: Callable[[str], Iterable[bytes]]) -> Offer:
    """What a Latest says, if it is true as far as can be told now. RemoteError if its sender made it up.

    `witnesses` are the keys in genesis, hex; `keys(witness)` all that it is known to have had.
    """
    _, checkpoint = parse_checkpoint(frame.note)
    if checkpoint.origin != origin(swarm, frame.log):
        raise _wrong("its checkpoint is of another log")
    entry = decode_entry(frame.entry)
    if not isinstance(entry, Snapshot) or entry.swarm != swarm or entry.seq + 1 != checkpoint.size:
        raise _wrong("its entry is no snapshot of this swarm, or not the last under its checkpoint")
    verify_inclusion(leaf_hash(frame.entry), entry.seq, checkpoint.size, frame.proof, checkpoint.root)
    lines, named = _Lines(cosignatures(frame.note), swarm), list(witnesses)
    found = [_signer(checkpoint, lines, keys(witness)) for witness in named]
    by = tuple(peer for peer in found if peer is not None)
    if 2 * len(set(by)) <= len(named):
        raise _wrong(f"{len(set(by))} of {len(named)} witnesses have signed it")
    return Offer(frame.log, entry.seq, entry_hash(frame.entry), entry.model, entry.updates, by)


class _Lines:
    """The signatures under a note. A sender chooses all of them, so what each costs is paid once, not for each witness:
    whose log a name is, and which lines bear a key's id."""

    def __init__(self, lines: Iterable[Signature], swarm: Hash) -> None:
        self._by: dict[tuple[str, bytes], list[Signature]] = {}
        for line in lines:
            self._by.setdefault((line.name, line.key_id), []).append(line)
        peers = {name: _peer_of(name, swarm) for name in dict.fromkeys(name for name, _ in self._by)}
        self._peers = {name: peer for name, peer in peers.items() if peer is not None}

    def of(self, key: bytes) -> Iterator[tuple[PeerId, Signature]]:
        """Those that say to be by this key, and under whose name."""
        for name, peer in self._peers.items():
            for line in self._by.get((name, key_id(name, COSIGNATURE, key)), ()):
                yield peer, line


def _signer(checkpoint: Checkpoint, lines: _Lines, keys: Iterable[bytes]) -> PeerId | None:
    """Under which name a witness has signed; None if it has not."""
    for key in dict.fromkeys(keys):
        for peer, line in lines.of(key):
            try:
                verify_cosignature(checkpoint, line, line.name, key)
            except RemoteError:
                continue
            return peer
    return None


def _peer_of(name: str, swarm: Hash) -> PeerId | None:
    """Whose log has that origin; None if it is no log of this swarm."""
    tail = name.rsplit("/", 1)[-1].upper()
    try:
        peer = base64.b32decode(tail + "=" * (-len(tail) % 8)).hex()
    except ValueError:
        return None
    return peer if len(peer) == 64 and origin(swarm, peer) == name else None


def _wrong(why: str) -> RemoteError:
    return RemoteError("a final snapshot is offered that is none", why=why)
