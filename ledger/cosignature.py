"""Cosignatures: a witness's word that, at a time, this was the checkpoint of the log as it saw it. C2SP, byte for byte.

    |cosignature/v1                              what is signed:
    |time 1679315147                             seconds since 1970
    |gossip.invalid/mr5k...7q/pbu2...ka          the checkpoint's three lines
    |14
    |Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=

    |— gossip.invalid/mr5k...7q/x3ba...4q jWbP...   below the author's signature: key id (4), time (8), Ed25519 (64)

(c2sp.org/tlog-cosignature, the Ed25519 form, algorithm byte 4.) A witness's name is the origin of its own log, and
its key the one of that log: no two texts that a peer signs can be equal, for this one begins with its own label.

Rules kept here: a key signs a note once, and of two cosignatures by one key the earlier one stays, so that notes
grow to the same bytes in whatever order cosignatures come. It refuses to know who should witness what (witness.py),
and how many are enough (tlog_policy.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.errors import LocalError, RemoteError
from ledger.keys import SIGNATURE_BYTES, PrivateKey, verify
from ledger.note import COSIGNATURE, MAX_SIGNATURES, Signature, SignedNote, key_id, print_note, sorted_signatures

MAX_TIME: Final = (1 << 63) - 1
_TIME_BYTES: Final = 8


def cosign(checkpoint: Checkpoint, name: str, key: PrivateKey, time: int) -> Signature:
    """The cosignature of a witness that has verified the checkpoint, and has stored that, before."""
    return cosignature(name, key.public, time, key.sign(_message(checkpoint, time)))


def cosignature(name: str, public: bytes, time: int, signature: bytes) -> Signature:
    """The line of a note from what travels between peers: (time, 64 bytes)."""
    if not 0 <= time <= MAX_TIME or len(signature) != SIGNATURE_BYTES:
        raise LocalError("this is no cosignature", why=f"time {time}, {len(signature)} bytes")
    return Signature(name, key_id(name, COSIGNATURE, public), time.to_bytes(_TIME_BYTES, "big") + signature)


def raw(signature: Signature) -> tuple[int, bytes]:
    """(time, 64 bytes) of a cosignature; RemoteError if it is not laid out as one."""
    if not _is_cosignature(signature):
        raise RemoteError("a cosignature is malformed", why=f"by {signature.name}")
    return int.from_bytes(signature.value[:_TIME_BYTES], "big"), signature.value[_TIME_BYTES:]


def verify_cosignature(checkpoint: Checkpoint, signature: Signature, name: str, public: bytes) -> int:
    """The time at which the witness of that name and key signed; RemoteError if it did not."""
    if signature.name != name or signature.key_id != key_id(name, COSIGNATURE, public):
        raise RemoteError("a cosignature is by another key", why=f"by {signature.name}, expected {name}")
    time, signed = raw(signature)
    if not verify(public, signed, _message(checkpoint, time)):
        raise RemoteError("a cosignature is wrong", why=f"by {name}, of size {checkpoint.size} of {checkpoint.origin}")
    return time


def cosignatures(note: bytes) -> tuple[Signature, ...]:
    """What looks like cosignatures below the author's signature, unverified; other algorithms are left out."""
    signed, _ = parse_checkpoint(note)
    return tuple(signature for signature in signed.signatures[1:] if _is_cosignature(signature))


def add_cosignatures(note: bytes, added: Iterable[Signature]) -> bytes:
    """The note with these too: the author first, then by name and key, each key once, its earliest.

    RemoteError if that makes more than a note may carry.
    """
    signed, _ = parse_checkpoint(note)
    author, *others = signed.signatures
    union: dict[tuple[str, bytes], Signature] = {}
    for signature in (*others, *added):
        at = (signature.name, signature.key_id)
        # A cosignature begins with its time, so the smaller value is the earlier one.
        if at not in union or signature.value < union[at].value:
            union[at] = signature
    union.pop((author.name, author.key_id), None)
    if len(union) >= MAX_SIGNATURES:
        raise RemoteError("a note has too many signatures", why=f"{len(union) + 1}, the limit is {MAX_SIGNATURES}")
    return print_note(SignedNote(signed.text, (author, *sorted_signatures(union.values()))))


def _message(checkpoint: Checkpoint, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n".encode() + checkpoint.body()


def _is_cosignature(signature: Signature) -> bool:
    return len(signature.value) == _TIME_BYTES + SIGNATURE_BYTES and signature.value[0] < 0x80
