"""One file that proves that an entry is in a log, offline and for ever. C2SP tlog-proof, byte for byte.

    |c2sp.org/tlog-proof@v1
    |index 73894                                          the entry's place in its log, from 0
    |gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=         inclusion proof, from the leaf's sibling upwards
    |B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
    |
    |gossip.invalid/mr5k...7q/pbu2...ka                    the checkpoint, with cosignatures if there are any
    |109482
    |...

(c2sp.org/tlog-proof.) At a million entries and with three cosignatures it has 2,020 bytes.

Rules kept here: one spelling; exactly the hashes that index and size demand; `extra` is carried and never believed.
It refuses to know what the entry says, and where the author's key is from.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import MAX_COSIGNED_BYTES, MAX_SIZE, Checkpoint, open_note, parse_checkpoint
from ledger.errors import LocalError, RemoteError
from ledger.merkle import HASH_BYTES, Tree, inclusion_sides, leaf_hash, verify_inclusion
from ledger.note import decimal, unbase64

MAX_HASHES: Final = 53  # the height of a tree of 2^53 leaves
MAX_EXTRA_BYTES: Final = 1024
MAX_PROOF_BYTES: Final = MAX_COSIGNED_BYTES + 4096  # 53 hashes and all the extra that we take have 3,822
_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That entry `index` is under the checkpoint in `note`. Nothing is verified yet."""

    index: int
    hashes: tuple[bytes, ...]  # 32 bytes each
    note: bytes
    extra: bytes = b""


def make_proof(tree: Tree, index: int, note: bytes) -> TlogProof:
    """The proof of an entry under a checkpoint of this tree, at its present or a past size."""
    _, checkpoint = parse_checkpoint(note)
    if checkpoint.size > tree.size or tree.root(checkpoint.size) != checkpoint.root:
        raise LocalError("this checkpoint is not of this log", why=f"size {checkpoint.size} of {checkpoint.origin}")
    return TlogProof(index, tuple(tree.inclusion(index, checkpoint.size)), note)


def print_proof(proof: TlogProof) -> bytes:
    """The bytes of a .tlog-proof file."""
    lines = [_FIRST_LINE]
    if proof.extra:
        lines.append(f"extra {_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += map(_base64, proof.hashes)
    return "\n".join([*lines, "", ""]).encode() + proof.note


def parse_proof(data: bytes) -> TlogProof:
    """The parts of a proof; RemoteError unless it is spelled as print_proof would. Nothing is verified yet."""
    if len(data) > MAX_PROOF_BYTES:
        raise RemoteError("a proof is too long", why=f"{len(data)} bytes, the limit is {MAX_PROOF_BYTES}")
    head, blank, note = data.partition(b"\n\n")  # the first empty line: a checkpoint has one more
    try:
        lines = head.decode("ascii").split("\n")
    except ValueError:
        raise _malformed("it is not plain ASCII") from None
    if not blank or lines[0] != _FIRST_LINE:
        raise _malformed(f"it does not begin with {_FIRST_LINE}")
    at, extra = 1, b""
    if lines[at:] and lines[at].startswith("extra "):
        extra = unbase64(lines[at].removeprefix("extra "))
        if not 0 < len(extra) <= MAX_EXTRA_BYTES:
            raise _malformed(f"extra data has {len(extra)} bytes, expected 1 to {MAX_EXTRA_BYTES}")
        at += 1
    if not lines[at:] or not lines[at].startswith("index "):
        raise _malformed("it does not say the entry's index")
    index = decimal(lines[at].removeprefix("index "), MAX_SIZE - 1)
    hashes = tuple(map(unbase64, lines[at + 1 :]))
    if len(hashes) > MAX_HASHES or any(len(value) != HASH_BYTES for value in hashes):
        raise _malformed("its hashes are too many, or not of 32 bytes")
    parse_checkpoint(note)
    proof = TlogProof(index, hashes, note, extra)
    if print_proof(proof) != data:
        raise _malformed("writing it again gives other bytes")
    return proof


def verify_proof(proof: TlogProof, data: bytes, origin: str, public: bytes) -> Checkpoint:
    """The author's checkpoint that has the entry `data` at the proof's index; RemoteError if it has not.

    Says nothing about cosignatures: tlog_policy.satisfied does.
    """
    checkpoint = _open(proof, origin, public)
    verify_inclusion(leaf_hash(data), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint


def verify_prefix(proof: TlogProof, tree: Tree, origin: str, public: bytes) -> Checkpoint:
    """The author's checkpoint, at least as large as `tree`, that has all of the tree's leaves in their places.

    The proof is that of the tree's last leaf. Everything to the left of it enters the root as complete subtrees, and
    these must be ours: then the author signed the whole tree, with no proof of consistency besides.
    """
    checkpoint = _open(proof, origin, public)
    last = tree.size - 1
    if proof.index != last:
        raise RemoteError("a proof is not of the last entry", why=f"index {proof.index}, the last is {last}")
    verify_inclusion(tree.leaf(last), last, checkpoint.size, proof.hashes, checkpoint.root)
    sides = inclusion_sides(last, checkpoint.size)
    left = [value for value, is_left in zip(proof.hashes, sides, strict=True) if is_left]
    if left != tree.frontier(last)[::-1]:
        raise RemoteError("a checkpoint is of another history", why=f"size {checkpoint.size} of {origin}")
    return checkpoint


def _open(proof: TlogProof, origin: str, public: bytes) -> Checkpoint:
    checkpoint = open_note(proof.note, public)
    if checkpoint.origin != origin:
        raise RemoteError("a proof is of another log", why=f"{checkpoint.origin}, expected {origin}")
    return checkpoint


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _malformed(why: str) -> RemoteError:
    return RemoteError("a proof is malformed", why=why)
