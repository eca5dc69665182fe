"""Ed25519 keys: making and keeping one's own, refusing bad ones of others, and names that people can compare.

Why it exists: a peer is its log, and a log is whoever holds the key named in its first entry. Losing the file
loses the peer; showing it to others lets them be that peer.

Rules kept here: a private key file is PEM (PKCS #8, locked with a passphrase or not, so openssl reads it) and its
owner's alone (private_files.py), never overwritten. Public keys are 32 raw bytes; encodings that are not canonical or
not on the curve, and the points of small order, are refused: with the identity as key, one fixed signature verifies any
message in OpenSSL. It refuses to know what is signed.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.entry import Hash, PeerId
from ledger.errors import LocalError, RemoteError
from ledger.private_files import Passphrase, fsync_directory, is_locked, lock, read_private, write_private

__all__ = [
    "KEY_BYTES", "SIGNATURE_BYTES", "PrivateKey", "check_public", "fsync_directory", "key_digest", "public_pem",
    "verify", "words",
]  # fmt: skip

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = (1 << 255) - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


class PrivateKey:
    """An Ed25519 private key. Its repr shows the public half only."""

    __slots__ = ("_key", "public")

    public: bytes  # 32 bytes

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public.hex()})"

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> PrivateKey:
        """The key of a 32-byte seed: for simulations and test vectors, where the same seed must give the same trace."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path, passphrase: Passphrase | None = None) -> PrivateKey:
        """Read a key file. LocalError if it is missing, open to others, no Ed25519 key, or locked otherwise.

        A passphrase for a key that is not locked is not looked at.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        data = read_private(path)
        locked = is_locked(data)
        if locked and passphrase is None:
            raise LocalError(
                f"the key {path} is locked with a passphrase",
                next_step="type it when asked, or use --passphrase-file FILE",
            )
        secret = passphrase.reveal() if locked and passphrase is not None else None
        try:
            key = load_pem_private_key(data, password=secret)
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):  # (the last: of X448 with 32 bytes)
            if locked:
                raise LocalError(f"wrong passphrase for {path}", next_step="try again with the right one") from None
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise LocalError(
                f"{path} is not a private key of ours",
                why="expected an Ed25519 key in PEM",
                next_step="restore it from your backup",
            )
        return cls(key)

    def save(self, path: Path, passphrase: Passphrase | None = None) -> None:
        """Write the key durably, for its owner's eyes only; LocalError if something is there already."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        if passphrase is None:
            data = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        else:
            data = lock(self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), passphrase)
        write_private(path, data)

    def seed(self) -> bytes:
        """The 32 bytes that are the key: for a backup, which is locked itself."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`. Callers begin messages with a domain label of their own."""
        return self._key.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is by the holder of `public`. The key must have passed check_public once."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=4096)
def check_public(public: bytes) -> None:
    """Raise RemoteError unless `public` is the one encoding of a point on the curve, not of small order."""
    if len(public) != KEY_BYTES:
        raise RemoteError("a public key is not 32 bytes", why=f"{len(public)} bytes")
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    if y >= _P:
        raise RemoteError("a public key is not canonically encoded", why="y is not below 2^255 - 19")
    # x^2 = (y^2 - 1) / (d y^2 + 1); a square u/v is one where u*v is (RFC 8032, section 5.1.3).
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    if pow(u * v, (_P - 1) // 2, _P) == _P - 1:
        raise RemoteError("a public key is not on the curve")
    # Order 1 and 2: x = 0; order 4: y = 0; order 8: doubling gives y = 0, that is x^2 + y^2 = 0, or u + y^2 v = 0.
    if u == 0 or y == 0 or (u + y * y * v) % _P == 0:
        raise RemoteError("a public key is of small order", why="signatures by it would prove nothing")


_PEM_HEADER: Final = bytes.fromhex("302a300506032b6570032100")  # the DER of every Ed25519 public key begins so


def public_pem(public: bytes) -> bytes:
    """The public key as openssl reads it."""
    text = base64.b64encode(_PEM_HEADER + public).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()


def key_digest(public: bytes) -> Hash:
    """The commitment to a next key that an enrol entry carries: SHA-256 of the 32 bytes."""
    return sha256(public).hexdigest()


def words(peer: PeerId) -> str:
    """Four words for a peer id's first 32 bits: to tell peers apart at a glance and by voice, never as proof."""
    return "-".join(_WORDS[byte] for byte in bytes.fromhex(peer[:8]))


_WORDS: Final = tuple(  # 256 words: one per byte
    """
    acorn actor agent album alley amber anchor apple apron arch arrow aspen atlas attic autumn azure
    bacon badge bagel baker bamboo banjo barley basil basin beach beacon beaver bell birch bishop bison
    blanket blossom board boat bonus book boot bottle boulder branch brass bread breeze brick bridge bronze
    brook broom brush bucket buffalo bugle butter button cabin cable cactus camel candle canoe canvas canyon
    captain carbon cargo carpet carrot castle cattle cedar cello cement chalk chapel cherry chess chimney cider
    cinema circle citrus clay cliff clock cloud clover coast cobalt cocoa comet compass copper coral corner
    cotton cousin crane crater crayon cricket crystal curtain cushion cycle daisy dancer dawn delta denim desert
    diamond dinner doctor dolphin domino donkey dragon drawer drum eagle easel echo elbow elm ember engine
    fabric falcon farmer feather fender ferry fiddle field finch flame flute forest fossil fountain fox frost
    galaxy garden garlic gazelle ginger glacier globe goose granite grape gravel guitar hammer harbor harvest hazel
    helmet heron hickory honey horizon hotel igloo indigo island ivory jacket jasmine jelly jersey jigsaw jungle
    kayak kettle kitten ladder lagoon lantern laurel lemon letter lilac linen lizard lobster locket lotus lumber
    magnet mango maple marble meadow melon mirror mitten monsoon mosaic motor mountain nectar needle nickel
    noodle nutmeg oasis ocean olive onion opal orbit orchid otter oyster paddle palace panda paper parrot
    pebble pencil pepper piano pigeon pillow pilot planet plum pocket pony poplar prairie puffin pumpkin quartz
    quilt rabbit radio raven ribbon river robin rocket saddle saffron sailor salmon sandal sequoia silver spider sparrow
    """.split()  # noqa: SIM905  256 quoted words on a line each would hide the code
)
