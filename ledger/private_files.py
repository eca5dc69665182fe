"""Files that only their owner may read, and the passphrase that can lock what is in them.

    write_private   0600, in a folder of 0700, whole and fsynced before anybody hears of it, never over another
    read_private    refused if somebody else can read it, or if somebody else made it
    lock, unlock    DER of a private key <--> PEM of PKCS #8, encrypted (PBES2: PBKDF2-SHA256, AES-256-CBC), as openssl
                    reads and writes it

Why not the library's own encryption: it takes 2,048 rounds of PBKDF2, which lets one graphics card try some million
passphrases a second. The form is the same; only the number in it is larger. A passphrase is a value that prints as
nothing. It refuses to know where passphrases come from and what the keys are for.
"""

from __future__ import annotations

import base64
import os
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ledger.errors import LocalError

MAX_KEY_BYTES: Final = 4096  # a locked key has 302, one that is not has 119
ROUNDS: Final = 600_000  # of PBKDF2: a quarter of a second here, and for each guess
MIN_PASSPHRASE_CHARS: Final = 8  # shorter ones are found by trying all of them
MAX_PASSPHRASE_BYTES: Final = 1024
LOCKED_HEADER: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_BLOCK: Final = 16  # of AES, in bytes

# DER: object identifiers with their tags (RFC 8018, sections 5.2, 6.2 and appendix B)
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("06082a864886f70d0209")
_AES256_CBC: Final = bytes.fromhex("060960864801650304012a")
_NULL: Final = b"\x05\x00"
_INTEGER: Final = b"\x02"
_OCTETS: Final = b"\x04"
_SEQUENCE: Final = b"\x30"


class Passphrase:
    """What opens locked keys. It shows itself in no repr, message or dataclass; `reveal` is for the cipher alone."""

    __slots__ = ("_secret",)

    def __init__(self, text: str) -> None:
        secret = text.encode()
        if not text or len(secret) > MAX_PASSPHRASE_BYTES or not text.isprintable():
            raise LocalError(
                "this is no usable passphrase",
                why=f"it must be one line of 1 to {MAX_PASSPHRASE_BYTES} bytes, without control characters",
            )
        self._secret = secret

    def __repr__(self) -> str:
        return "Passphrase(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Passphrase) and other._secret == self._secret

    __hash__ = None  # type: ignore[assignment]  # a secret is nobody's dictionary key

    def __reduce__(self) -> tuple[str, ...]:
        raise TypeError("a passphrase stays in the process that was given it")

    def require_strength(self) -> None:
        """LocalError if it is too short to set. It may still open what was locked elsewhere."""
        if len(self._secret.decode()) < MIN_PASSPHRASE_CHARS:
            raise LocalError(
                f"a passphrase needs at least {MIN_PASSPHRASE_CHARS} characters", next_step="five random words are good"
            )

    def reveal(self) -> bytes:
        return self._secret


# ------------------------------------------------------------------ files


def read_private(path: Path, limit: int = MAX_KEY_BYTES, *, what: str = "key") -> bytes:
    """A secret file's bytes. LocalError if it is missing, longer than `limit`, another's, or open to others."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read(limit + 1)
    except OSError as error:
        raise LocalError(
            f"cannot read the {what} {path}",
            why=error.strerror or "",
            next_step="check the path" if what != "key" else "restore it from your backup",
        ) from None
    if os.name == "posix":
        if found.st_uid != os.getuid():
            raise LocalError(f"the {what} {path} belongs to another user", next_step="use one of your own")
        if found.st_mode & 0o077:
            raise LocalError(f"the {what} {path} can be read by others", next_step=f"type: chmod 600 {path}")
    if len(data) > limit:
        raise LocalError(f"{path} is no {what} of ours", why=f"it has more than {limit} bytes")
    return data


def write_private(path: Path, data: bytes, *, what: str = "key") -> None:
    """Make a secret file durably, for its owner's eyes only; LocalError if something is there already."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)  # half a secret is none, and would stand in the way of the next try
            raise
        fsync_directory(path.parent)
    except FileExistsError:
        raise LocalError(
            f"there is a file {path} already",
            why=f"a {what} is never overwritten, nor written over anything",
            next_step="choose another place, or move it away first",
        ) from None
    except OSError as error:
        raise LocalError(
            f"cannot write the {what} {path}", why=error.strerror or "", next_step="check that the directory is yours"
        ) from None


def move(source: Path, target: Path) -> None:
    """Give a file another name, durably. What has that name is gone: the caller knows that nobody needs it."""
    source.replace(target)
    fsync_directory(target.parent)


def check_folder(folder: Path) -> None:
    """LocalError if others can look into a folder of keys."""
    if os.name != "posix" or not folder.is_dir():
        return
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise LocalError(f"the keys in {folder} belong to another user", next_step="use keys of your own")
    if found.st_mode & 0o077:
        raise LocalError(f"others can look into {folder}", next_step=f"type: chmod 700 {folder}")


def fsync_directory(path: Path) -> None:
    """Make a new or renamed file's name durable (a file's own fsync does not). Windows has no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------ locking


def is_locked(pem: bytes) -> bool:
    return pem.startswith(LOCKED_HEADER)


def lock(der: bytes, passphrase: Passphrase) -> bytes:
    """The PEM of the private key `der` (PKCS #8), locked."""
    salt, start = os.urandom(_BLOCK), os.urandom(_BLOCK)
    pad = _BLOCK - len(der) % _BLOCK
    cipher = Cipher(algorithms.AES256(_stretched(passphrase, salt)), modes.CBC(start)).encryptor()
    sealed = cipher.update(der + bytes([pad]) * pad) + cipher.finalize()
    derivation = _der(
        _SEQUENCE, _der(_OCTETS, salt), _der(_INTEGER, ROUNDS.to_bytes(ROUNDS.bit_length() // 8 + 1, "big")),
        _der(_SEQUENCE, _HMAC_SHA256, _NULL),
    )  # fmt: skip
    scheme = _der(_SEQUENCE, _der(_SEQUENCE, _PBKDF2, derivation), _der(_SEQUENCE, _AES256_CBC, _der(_OCTETS, start)))
    text = base64.b64encode(_der(_SEQUENCE, _der(_SEQUENCE, _PBES2, scheme), _der(_OCTETS, sealed))).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return LOCKED_HEADER + f"\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def _stretched(passphrase: Passphrase, salt: bytes) -> bytes:
    return pbkdf2_hmac("sha256", passphrase.reveal(), salt, ROUNDS, 32)


def _der(tag: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else bytes([0x81, len(body)])
    return tag + size + body
