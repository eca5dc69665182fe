"""The message that says where members meet beyond the LAN, as bytes; codec.py has all others, and the rules.

   20 Rendezvous epoch u32 | secret 32 | author 32 | count u8 | count x (log 32, size u32) | signature 64

signed over "gossip/rendezvous/1\\n" | swarm 32 | all of that before the signature. The first of a swarm, by its founder
5d5d...5d5d, who had written three entries, is

    14 01000000 (secret 32) 5d5d...5d5d 01 5d5d...5d5d 03000000 (signature 64)

Rules kept here: those of codec.py; logs strictly rise, and the author's is one of them. It refuses to know who is an
admin, which key is whose and what is done with the secret (gossip/peer/rendezvous.py).
"""

from __future__ import annotations

import struct
from typing import Final

from gossip.wire.frames import MAX_SPEAKERS, RENDEZVOUS_TAG, SECRET_BYTES, Rendezvous
from gossip.wire.reader import Reader, require
from ledger.entry import Hash, PeerId
from ledger.keys import SIGNATURE_BYTES
from ledger.merkle import HASH_BYTES

TAG: Final = RENDEZVOUS_TAG[0]
_DOMAIN: Final = b"gossip/rendezvous/1\n"


def spelled(frame: Rendezvous) -> bytes:
    """The bytes of a frame; codec.encode sees to it that they read back."""
    return RENDEZVOUS_TAG + _body(frame) + frame.signature


def signed_bytes(frame: Rendezvous, swarm: Hash) -> bytes:
    """What its author signs."""
    return _DOMAIN + bytes.fromhex(swarm) + _body(frame)


def _body(frame: Rendezvous) -> bytes:
    parts = [struct.pack("<I", frame.epoch), frame.secret, bytes.fromhex(frame.author)]
    parts.append(struct.pack("<B", len(frame.heads)))
    parts += [bytes.fromhex(log) + struct.pack("<I", size) for log, size in frame.heads]
    return b"".join(parts)


def read(reader: Reader) -> Rendezvous:
    """What stands behind TAG. RemoteError on anything but the one spelling."""
    epoch, secret, author = reader.number("<I"), reader.take(SECRET_BYTES), reader.hash()
    require(epoch >= 1, "a rendezvous comes before the first")
    count = reader.number("<B")
    row_bytes = HASH_BYTES + 4
    require(
        1 <= count <= MAX_SPEAKERS and reader.left == row_bytes * count + SIGNATURE_BYTES,
        "a rendezvous is not as long as it says",
    )
    heads: list[tuple[PeerId, int]] = []
    for _ in range(count):
        log, size = reader.hash(), reader.number("<I")
        require(size >= 1 and (not heads or log > heads[-1][0]), "heads are out of order, or of an empty log")
        heads.append((log, size))
    require(any(log == author for log, _ in heads), "a rendezvous does not say what its author had written")
    return Rendezvous(epoch, secret, author, tuple(heads), reader.take(SIGNATURE_BYTES))
