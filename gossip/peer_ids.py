"""The PeerId by which libp2p knows a peer: its Ed25519 public key, spelled as libp2p spells keys.

    base58(00 24 | 08 01 12 20 | key 32)  ->  12D3KooW...

An identity multihash of the key's protobuf (libp2p specs, peer-ids.md): the PeerId *is* the key, so each is read out of
the other and no table is kept. A peer that changes its key has another PeerId from then on; what stays is its peer
id, the digest of its enrol entry. Known without libp2p, since a base install shows it (`gossip key show`).
"""

from __future__ import annotations

from typing import Final

from ledger.errors import LocalError, RemoteError
from ledger.keys import check_public

_PREFIX: Final = bytes.fromhex("002408011220")
BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MAX_ID_BYTES: Final = 64  # a PeerId: 34 to 38 in use
_CHARS: Final = 52  # of every PeerId of an Ed25519 key


def base58(data: bytes) -> str:
    """Bytes as PeerIds are spelled."""
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def unbase58(text: str) -> bytes | None:
    """The bytes of a PeerId as it is spelled; None: it is none."""
    number = 0
    for char in text if 0 < len(text) <= 2 * MAX_ID_BYTES else "?":
        digit = BASE58.find(char)
        if digit < 0:
            return None
        number = number * 58 + digit
    return b"\0" * (len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def peer_id_of(key: bytes) -> str:
    """The PeerId of a public key of 32 bytes."""
    return base58(_PREFIX + key)


def key_of(peer_id: str) -> bytes:
    """The public key in a PeerId. LocalError: it is none, or of another kind of key (RSA, secp256k1)."""
    try:
        whole = (unbase58(peer_id) or b"") if len(peer_id) == _CHARS else b""
        key = whole.removeprefix(_PREFIX)
        if len(key) != 32 or base58(_PREFIX + key) != peer_id:
            raise ValueError
        check_public(key)
    except (ValueError, RemoteError):
        raise LocalError(
            f"{peer_id[:60]!r} is no PeerId of an Ed25519 key", next_step="a PeerId begins with 12D3KooW: copy it whole"
        ) from None
    return key
