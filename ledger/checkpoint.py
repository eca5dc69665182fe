"""Signed checkpoints: an author's word that its log had this size and this root. C2SP, byte for byte.

    gossip.invalid/mr5k...7q/pbu2...ka          origin: swarm id and peer id in base32
    14                                          size
    Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=   root

    — gossip.invalid/mr5k...7q/pbu2...ka mGqT...   key id (4 bytes) and Ed25519 signature (64), base64

(c2sp.org/signed-note, c2sp.org/tlog-checkpoint; with the bars of this drawing removed, any C2SP tool and
`openssl pkeyutl -verify -rawin` check it.) Why the author signs these and not each entry: one signature covers
a batch, and auditing a log runs about eleven times faster.

Rules kept here: one spelling per checkpoint, found by writing it again and comparing; one signature, the
author's own, under its origin as key name; no extension lines. It refuses to know whether the root is right.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.keys import KEY_BYTES, SIGNATURE_BYTES, PrivateKey, verify
from ledger.merkle import HASH_BYTES

MAX_NOTE_BYTES: Final = 1024  # ours take 411 to 426
MAX_SIZE: Final = (1 << 53) - 1
_DOMAIN: Final = "gossip.invalid"  # RFC 2606: belongs to nobody, so an origin can never be mistaken for an address
_ALGORITHM: Final = b"\x01"  # Ed25519, in signed-note's key ids
_ID_BYTES: Final = 4


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
    """The name of a peer's log, and of its key, in checkpoints."""
    parts = (base64.b32encode(bytes.fromhex(name)).decode().rstrip("=").lower() for name in (swarm, peer))
    return "/".join((_DOMAIN, *parts))


def sign(checkpoint: Checkpoint, key: PrivateKey) -> bytes:
    """The signed note. The caller has made its entries durable, and its SignedMark, before this leaves."""
    if not 0 <= checkpoint.size <= MAX_SIZE or len(checkpoint.root) != HASH_BYTES or not _is_name(checkpoint.origin):
        raise LocalError("this checkpoint cannot be signed", why=f"size {checkpoint.size} of {checkpoint.origin!r}")
    body = checkpoint.body()
    return _note(checkpoint, _key_id(checkpoint.origin, key.public) + key.sign(body))


def open_note(note: bytes, public: bytes) -> Checkpoint:
    """The checkpoint in `note`, if `public` signed it. RemoteError otherwise.

    The caller compares its origin with the log it asked about, and its root with its own.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise RemoteError("a checkpoint is too long", why=f"{len(note)} bytes, the limit is {MAX_NOTE_BYTES}")
    try:
        name, size, root, blank, signature, end = note.decode("utf-8").split("\n")
        dash, signer, signed = signature.split(" ")
        checkpoint = Checkpoint(name, _number(size), base64.b64decode(root, validate=True))
        sealed = base64.b64decode(signed, validate=True)
    except (ValueError, binascii.Error):  # ValueError covers UTF-8, wrong numbers of lines or words, and numbers
        raise RemoteError(
            "a checkpoint is malformed", why="expected three lines, an empty one and one signature"
        ) from None
    if (blank, end, dash, signer) != ("", "", "—", name) or not _is_name(name) or len(checkpoint.root) != HASH_BYTES:
        raise RemoteError(
            "a checkpoint is malformed", why="its lines are not those of a checkpoint by the log's author"
        )
    if len(sealed) != _ID_BYTES + SIGNATURE_BYTES or _note(checkpoint, sealed) != note:
        raise RemoteError("a checkpoint is not in canonical form", why="writing it again gives other bytes")
    if sealed[:_ID_BYTES] != _key_id(name, public) or not verify(public, sealed[_ID_BYTES:], checkpoint.body()):
        raise RemoteError("a checkpoint is not signed by the log's author", why=f"size {checkpoint.size} of {name}")
    return checkpoint


def _note(checkpoint: Checkpoint, sealed: bytes) -> bytes:
    return checkpoint.body() + f"\n— {checkpoint.origin} {base64.b64encode(sealed).decode()}\n".encode()


def _key_id(name: str, public: bytes) -> bytes:
    if len(public) != KEY_BYTES:
        raise LocalError("a public key is 32 bytes", why=f"got {len(public)}")
    return sha256(name.encode() + b"\n" + _ALGORITHM + public).digest()[:_ID_BYTES]


def _is_name(text: str) -> bool:
    """No spaces, plus signs or control characters (signed-note); ours are plain ASCII."""
    return text.isascii() and text.isprintable() and bool(text) and not set(text) & {" ", "+"}


def _number(text: str) -> int:
    """A decimal as people write it: no sign, no leading zero, no underscore, ASCII digits."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_SIZE)) or str(int(text)) != text:
        raise ValueError(text)
    number = int(text)
    if number > MAX_SIZE:
        raise ValueError(text)
    return number
