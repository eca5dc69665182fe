"""The proof that an author signed two histories: two entries of one log at one index, each under its author's name.

    {"a":{"entry":"eyJib...","proof":"YzJzc..."},"b":{"entry":"eyJjb...","proof":"YzJzc..."},"format":"gossip-fork/1"}

`entry` is an entry's bytes and `proof` a C2SP tlog-proof of it (proof.py), both in base64; a.entry < b.entry. The two
checkpoints may be of different sizes: what matters is that one key's owner has said of two different leaves that each
is number `index` of the log. This verifies offline and for ever, with nothing but the author's key.

Rules kept here: one spelling; bounds before decoding; an honest prefix never makes one, for there every checkpoint has
the same leaf at the same index. What was signed need not be a valid entry: nobody honest signs two of anything.
It refuses to know whose keys count (rules.py), and what follows from it (standing.py).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from ledger.canonical import decode, encode
from ledger.checkpoint import parse_checkpoint
from ledger.entry import MAX_ENTRY_BYTES, MAX_EVIDENCE_BYTES
from ledger.errors import LocalError, RemoteError
from ledger.merkle import leaf_hash
from ledger.note import unbase64
from ledger.proof import MAX_PROOF_BYTES, TlogProof, parse_proof, print_proof, verify_proof

FORMAT: Final = "gossip-fork/1"

Half = tuple[bytes, bytes]  # leaf hash of an entry, and the key that signed a checkpoint over it
Keys = Callable[[int], Collection[bytes]]  # checkpoint size -> keys that may have signed it


class _Half(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    entry: str
    proof: str


class _Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: _Half
    b: _Half
    format: str


def make_evidence(one: tuple[bytes, TlogProof], other: tuple[bytes, TlogProof]) -> bytes:
    """The blob of an `accuse` entry, from two entries with their proofs, in either order. It is not checked here."""
    first, second = sorted((one, other), key=lambda half: half[0])
    if first[0] == second[0]:
        raise LocalError("one entry is no evidence of a fork", next_step="compare the entries before their proofs")
    halves = [_Half(_text(entry), _text(print_proof(proof))) for entry, proof in (first, second)]
    return encode(_Evidence(halves[0], halves[1], FORMAT))


def check_evidence(blob: bytes, origin: str, index: int, keys: Keys) -> tuple[Half, Half]:
    """What the evidence shows; RemoteError unless keys of this log have signed two different leaves at `index`."""
    evidence = decode(blob, _Evidence, limit=MAX_EVIDENCE_BYTES, what="the evidence of a fork")
    if evidence.format != FORMAT:
        raise _unfit(f"its format is {ascii(evidence.format)[:40]}")
    first, second = unbase64(evidence.a.entry), unbase64(evidence.b.entry)
    if not first < second:
        raise _unfit("its entries are one, or not in order")
    return (
        _check_half(first, unbase64(evidence.a.proof), origin, index, keys),
        _check_half(second, unbase64(evidence.b.proof), origin, index, keys),
    )


def _check_half(entry: bytes, text: bytes, origin: str, index: int, keys: Keys) -> Half:
    if len(entry) > MAX_ENTRY_BYTES or len(text) > MAX_PROOF_BYTES:
        raise _unfit("an entry or a proof in it is too long")
    proof = parse_proof(text)
    if proof.index != index:
        raise _unfit(f"it is about index {proof.index}, not {index}")
    if proof.extra:
        raise _unfit("a proof in it carries something extra")
    _, checkpoint = parse_checkpoint(proof.note)
    last: RemoteError | None = None
    for key in sorted(keys(checkpoint.size)):
        try:
            verify_proof(proof, entry, origin, key)
        except RemoteError as error:
            last = error
        else:
            return leaf_hash(entry), key
    raise last or _unfit("no key of that log is known")


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _unfit(why: str) -> RemoteError:
    return RemoteError("this is no evidence of a fork", why=why)
