"""Signed checkpoints: an author's word that its log had this size and this root. C2SP, byte for byte.

    gossip.invalid/mr5k...7q/pbu2...ka          origin: swarm id and peer id in base32
    14                                          size
    Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=   root

    — gossip.invalid/mr5k...7q/pbu2...ka mGqT...   key id (4 bytes) and Ed25519 signature (64), base64

(c2sp.org/signed-note, c2sp.org/tlog-checkpoint; with the notes at the right removed, any C2SP tool and
`openssl pkeyutl -verify -rawin` check it.) Why the author signs these and not each entry: one signature covers
a batch, and auditing a log runs about eleven times faster.

Rules kept here: one spelling per checkpoint; the first signature is the author's, under its origin as key name; what
stands below it is for cosignature.py, and nothing here depends on it; no extension lines. It refuses to know whether
the root is right.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.merkle import HASH_BYTES
from ledger.note import (
    MAX_SIGNED_BYTES,
    SignedNote,
    decimal,
    is_name,
    parse_note,
    print_note,
    sign_text,
    unbase64,
    verify_text,
)

MAX_NOTE_BYTES: Final = 1024  # by its author alone; ours take 411 to 426
MAX_COSIGNED_BYTES: Final = MAX_SIGNED_BYTES  # with cosignatures
MAX_SIZE: Final = (1 << 53) - 1
_DOMAIN: Final = "gossip.invalid"  # RFC 2606: belongs to nobody, so an origin can never be mistaken for an address


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`root` is the RFC 6962 root (32 bytes) of the first `size` entries of the log that `origin` names."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


def origin(swarm: Hash, peer: PeerId) -> str:
    """The name of a peer's log, of its key in checkpoints, and of it as a witness of others."""
    parts = (base64.b32encode(bytes.fromhex(name)).decode().rstrip("=").lower() for name in (swarm, peer))
    return "/".join((_DOMAIN, *parts))


def sign(checkpoint: Checkpoint, key: PrivateKey) -> bytes:
    """The signed note. The caller has made its entries durable, and its SignedMark, before this leaves."""
    if not 0 <= checkpoint.size <= MAX_SIZE or len(checkpoint.root) != HASH_BYTES or not is_name(checkpoint.origin):
        raise LocalError("this checkpoint cannot be signed", why=f"size {checkpoint.size} of {checkpoint.origin!r}")
    body = checkpoint.body()
    return print_note(SignedNote(body, (sign_text(body, checkpoint.origin, key),)))


def open_note(note: bytes, public: bytes) -> Checkpoint:
    """The checkpoint in `note`, if its first signature is by `public`. RemoteError otherwise.

    Further signatures may follow; they prove nothing here. The caller compares the checkpoint's origin with the log
    it asked about, and its root with its own.
    """
    signed, checkpoint = parse_checkpoint(note)
    if not verify_text(signed.text, signed.signatures[0], checkpoint.origin, public):
        raise RemoteError(
            "a checkpoint is not signed by the log's author", why=f"size {checkpoint.size} of {checkpoint.origin}"
        )
    return checkpoint


def parse_checkpoint(note: bytes) -> tuple[SignedNote, Checkpoint]:
    """A note and what it says, with nobody's signature checked: for finding out whose key to check it with."""
    signed = parse_note(note)
    checkpoint = _parse_body(signed.text)
    if signed.signatures[0].name != checkpoint.origin:
        raise RemoteError("a checkpoint is malformed", why="its first signature is not by the log's author")
    return signed, checkpoint


def author_only(note: bytes) -> bytes:
    """The note without the signatures that others added."""
    signed, _ = parse_checkpoint(note)
    return print_note(SignedNote(signed.text, signed.signatures[:1]))


def _parse_body(text: bytes) -> Checkpoint:
    lines = text.decode("utf-8").split("\n")
    if len(lines) != 4 or not is_name(lines[0]):
        raise RemoteError("a checkpoint is malformed", why="expected three lines: origin, size and root")
    checkpoint = Checkpoint(lines[0], decimal(lines[1], MAX_SIZE), unbase64(lines[2]))
    if len(checkpoint.root) != HASH_BYTES or checkpoint.body() != text:
        raise RemoteError("a checkpoint is malformed", why="its root is not 32 bytes")
    return checkpoint
