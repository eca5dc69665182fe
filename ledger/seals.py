"""What an author signed of a log: its checkpoint, and the proof that the entries at hand are all under it.

    checkpoint         author's signed note over `size` entries and their root
    head.tlog-proof    that the last entry here is under that note; it also carries the note

A checkpoint may sign more entries than are at hand: its author went on, and sent the rest later. The proof of the
last entry then shows that what is here is the beginning of what was signed (proof.verify_prefix).

Rules kept here: the note is checked with the key in force at its size; both files say the same. It refuses to know
cosignatures, and whether the entries make sense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.bundle import BundleError, BundleLog
from ledger.checkpoint import Checkpoint, open_note, parse_checkpoint
from ledger.cover import cover
from ledger.errors import RemoteError
from ledger.merkle import Tree
from ledger.proof import TlogProof, make_proof, parse_proof, print_proof, verify_prefix

KeyAt = Callable[[int], bytes]  # size of a checkpoint -> the public key that must sign it


@dataclass(frozen=True, slots=True)
class Seal:
    """An authentic checkpoint over at least the entries at hand."""

    checkpoint: Checkpoint
    note: bytes


class OtherEntries(RemoteError):
    """The author's signature is good, and is over other entries than these; `by_proof` if a proof says so, which may
    itself be what is wrong."""

    by_proof = False


def open_seal(log: BundleLog, name: str, key_at: KeyAt, tree: Tree) -> Seal:
    """The seal of a log of which `tree` has every entry. BundleError names the file; OtherEntries if it is neither."""
    file = f"{log.place}/checkpoint"
    try:
        _, claimed = parse_checkpoint(log.checkpoint)
        checkpoint = open_note(log.checkpoint, key_at(claimed.size))
    except RemoteError as error:
        raise BundleError(file, str(error)) from None
    if checkpoint.origin != name:
        raise BundleError(file, f"is of another log: {checkpoint.origin}")
    if checkpoint.size < tree.size:
        raise BundleError(file, f"signs {checkpoint.size} entries, the bundle has {tree.size}")
    if checkpoint.size == tree.size:
        if checkpoint.root != tree.root():
            raise OtherEntries("the entries of a log are not those that its author signed")
        if log.head and log.head != print_proof(make_proof(tree, tree.size - 1, log.checkpoint)):
            raise BundleError(f"{log.place}/head.tlog-proof", "is not the proof of the log's last entry")
        return Seal(checkpoint, log.checkpoint)
    file = f"{log.place}/head.tlog-proof"
    try:
        proof = parse_proof(log.head)
    except RemoteError as error:
        raise BundleError(file, str(error)) from None
    if proof.note != log.checkpoint:
        raise BundleError(file, "carries another checkpoint than the one beside it")
    try:
        verify_prefix(proof, tree, name, key_at(checkpoint.size))
    except RemoteError as error:
        wrong = OtherEntries("what is here is not under the checkpoint", why=str(error))
        wrong.by_proof = True
        raise wrong from None
    return Seal(checkpoint, log.checkpoint)


def head_proof(tree: Tree, note: bytes, consistency: Sequence[bytes]) -> bytes:
    """head.tlog-proof of a log of which `tree` has every entry, under a note of that size or a larger one.

    `consistency` leads from the tree to the note's: what the last entry's path has to the right is in it.
    """
    _, checkpoint = parse_checkpoint(note)
    above = cover(checkpoint.size, checkpoint.root, note, tree.size, consistency)
    return print_proof(TlogProof(tree.size - 1, above.inclusion(tree, tree.size - 1), note))
