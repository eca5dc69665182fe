"""Signed notes: a text, and under it who signed it. C2SP signed-note, byte for byte.

    |If you think cryptography is the answer to your problem,
    |then you don't know what your problem is.
    |
    |— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=

      key name     base64 of key id (4 bytes) and signature; key id = SHA-256(name, newline, algorithm, key)[:4]

(without the bars; c2sp.org/signed-note.) A key that others are to trust is written as one word, a verifier key:
PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW, that is name, key id, algorithm and key.

Rules kept here: one spelling of a number and of bytes, found by writing them again and comparing; nobody signs a note
twice; names are ASCII (the format allows more, nobody here has such a name). It refuses to know what a text means
(checkpoint.py), and believes no signature: `verify_text` is asked for each.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.errors import LocalError, RemoteError
from ledger.keys import KEY_BYTES, PrivateKey, check_public, verify

ED25519: Final = 1  # algorithm byte: a plain signature over the text
COSIGNATURE: Final = 4  # algorithm byte: a timestamped one over a checkpoint (cosignature.py)
KEY_ID_BYTES: Final = 4
MAX_SIGNATURES: Final = 65  # an author and the 64 witnesses that a genesis may name; the format wants 16 at least
MAX_SIGNED_BYTES: Final = 16 * 1024  # a checkpoint with all of them has 15,146 at most
MAX_NAME_BYTES: Final = 255  # ours have 120
_MARK: Final = "— "
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]").search


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note. Nobody has checked it yet."""

    name: str
    key_id: bytes  # 4
    value: bytes  # the signature itself, as its algorithm lays it out

    def line(self) -> str:
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """`text` ends in a newline; the signatures keep the order in which they stood."""

    text: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whom to believe: a name, and a key of one algorithm."""

    name: str
    public: bytes  # 32
    algorithm: int = ED25519

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        """name+c74f20a3+base64, as sumdb/note and every C2SP tool reads it."""
        key = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


def parse_note(data: bytes) -> SignedNote:
    """The parts of a note; RemoteError unless it is spelled as print_note would."""
    if len(data) > MAX_SIGNED_BYTES:
        raise RemoteError("a signed note is too long", why=f"{len(data)} bytes, the limit is {MAX_SIGNED_BYTES}")
    try:
        note = data.decode("utf-8")
    except ValueError:
        raise _malformed("it is not UTF-8") from None
    if _CONTROL(note):
        raise _malformed("it has a control character")
    text, blank, lines = note.rpartition("\n\n")  # a text may have empty lines of its own; the last one ends it
    if not blank or not text or not lines.endswith("\n"):
        raise _malformed("expected a text, an empty line and lines of signatures")
    words = lines[:-1].split("\n")
    if len(words) > MAX_SIGNATURES:
        raise _malformed(f"{len(words)} signatures, the limit is {MAX_SIGNATURES}")
    signatures = tuple(_signature(line) for line in words)
    if len({(signature.name, signature.key_id) for signature in signatures}) != len(signatures):
        raise _malformed("one key signed it twice")
    return SignedNote(f"{text}\n".encode(), signatures)


def print_note(note: SignedNote) -> bytes:
    """The bytes of a note."""
    return note.text + b"\n" + "".join(signature.line() for signature in note.signatures).encode()


def key_id(name: str, algorithm: int, public: bytes) -> bytes:
    """The four bytes by which a signature says whose it is: a hint, and no proof."""
    if len(public) != KEY_BYTES:
        raise LocalError("a public key is 32 bytes", why=f"got {len(public)}")
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:KEY_ID_BYTES]


def verifier_key(name: str, public: bytes, algorithm: int = ED25519) -> str:
    """The one word that says whom to believe."""
    return str(VerifierKey(name, public, algorithm))


def parse_verifier_key(text: str) -> VerifierKey:
    """A verifier key from its word; RemoteError unless its parts fit together and its key is a good one."""
    name, plus, rest = text.partition("+")
    hint, second, key = rest.partition("+")
    if not plus or not second or not is_name(name):
        raise RemoteError("a verifier key is malformed", why="expected name+key id+key")
    raw = unbase64(key)
    if len(raw) != 1 + KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE):
        raise RemoteError("a verifier key is of an unknown kind", why="expected Ed25519, plain or for cosignatures")
    check_public(raw[1:])
    found = VerifierKey(name, raw[1:], raw[0])
    if found.key_id.hex() != hint:
        raise RemoteError(
            "a verifier key does not fit its key id", why=f"it says {hint[:16]!r}, not {found.key_id.hex()}"
        )
    return found


def sign_text(text: bytes, name: str, key: PrivateKey) -> Signature:
    """The plain Ed25519 signature of a text."""
    return Signature(name, key_id(name, ED25519, key.public), key.sign(text))


def verify_text(text: bytes, signature: Signature, name: str, public: bytes) -> bool:
    """Whether `signature` is the plain one of that name and key over `text`."""
    known = (signature.name, signature.key_id) == (name, key_id(name, ED25519, public))
    return known and verify(public, signature.value, text)


def is_name(text: str) -> bool:
    """No spaces, plus signs or control characters, not empty; ours are plain ASCII."""
    return text.isascii() and text.isprintable() and 0 < len(text) <= MAX_NAME_BYTES and not set(text) & {" ", "+"}


def unbase64(text: str) -> bytes:
    """Bytes from their one spelling in standard base64: padded, no stray bits. RemoteError otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise RemoteError("base64 is malformed", why=repr(text[:16])) from None
    if base64.b64encode(data).decode() != text:
        raise RemoteError("base64 is not in canonical form", why=repr(text[-4:]))
    return data


def decimal(text: str, maximum: int) -> int:
    """A number as people write it: no sign, no leading zero, no underscore, ASCII digits. RemoteError otherwise."""
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(maximum))
    if not plain or str(int(text)) != text or int(text) > maximum:
        raise RemoteError("a number is malformed", why=f"{text[:24]!r}, expected 0 to {maximum}")
    return int(text)


def sorted_signatures(signatures: Iterable[Signature]) -> tuple[Signature, ...]:
    """By name, then key id: the order in which cosignatures stand."""
    return tuple(sorted(signatures, key=lambda signature: (signature.name, signature.key_id, signature.value)))


def _signature(line: str) -> Signature:
    if not line.startswith(_MARK):
        raise _malformed("a signature line does not begin with an em dash and a space")
    name, space, sealed = line[len(_MARK) :].partition(" ")
    if not space or not is_name(name):
        raise _malformed("a signature line is not a name and a signature")
    raw = unbase64(sealed)
    if len(raw) <= KEY_ID_BYTES:
        raise _malformed("a signature is empty")
    return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _malformed(why: str) -> RemoteError:
    return RemoteError("a signed note is malformed", why=why)
