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
_DIGITS: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CHARS: Final = 52  # of every PeerId of an Ed25519 key


def peer_id_of(key: bytes) -> str:
    """The PeerId of a public key of 32 bytes."""
    number = int.from_bytes(_PREFIX + key, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _DIGITS[digit] + text
    return "1" + text  # the one leading zero byte


def key_of(peer_id: str) -> bytes:
    """The public key in a PeerId. LocalError: it is none, or of another kind of key (RSA, secp256k1)."""
    number = 0
    for char in peer_id if len(peer_id) == _CHARS else "":
        digit = _DIGITS.find(char)
        if digit < 0:
            break
        number = number * 58 + digit
    try:
        whole = number.to_bytes(len(_PREFIX) + 32, "big")
        key = whole.removeprefix(_PREFIX)
        if len(key) != 32 or peer_id_of(key) != peer_id:
            raise OverflowError
        check_public(key)
    except (OverflowError, RemoteError):
        raise LocalError(
            f"{peer_id[:60]!r} is no PeerId of an Ed25519 key", next_step="a PeerId begins with 12D3KooW: copy it whole"
        ) from None
    return key
