"""The proof that ties a connection to two keys: nothing else is read from a channel before it.

DTLS proves that both ends hold the certificates whose fingerprints the descriptions name, and nothing about
who they are. Signalling proves who sent a description, and nothing about who ends up on the
channel. So each end signs one transcript of both and sends the 64 bytes as its first message on ctl:

    "gossip/bind/1\\n" | side u8 | swarm 32 | keys 32+32 | nonces 32+32 | fingerprints 32+32

Dialler first in each pair; `side` is of the signer: "d" or "a", so that neither signature can be sent back as the
other. docs/wire.md is the specification, tests/vectors/bind.json holds one real transcript.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from gossip.transport.channels import ChannelLink
from ledger.entry import Hash
from ledger.errors import RemoteError
from ledger.keys import SIGNATURE_BYTES, PrivateKey, check_public, verify

DOMAIN = b"gossip/bind/1\n"
SESSION_DOMAIN = b"gossip/session/1\n"
NONCE_BYTES = 32
Side = Literal["d", "a"]  # dialler, answerer


@dataclass(frozen=True, slots=True)
class Party:
    """One end as both ends must see it. 32 bytes each."""

    key: bytes
    nonce: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Meeting:
    """What both ends agree on before the channel opens."""

    swarm: Hash
    dialler: Party
    answerer: Party

    def transcript(self, side: Side) -> bytes:
        """The bytes that `side` signs."""
        return DOMAIN + side.encode("ascii") + self._facts()

    def session(self) -> bytes:
        """32 bytes that name this very meeting (Link.session); no signed transcript begins with this label."""
        return hashlib.sha256(SESSION_DOMAIN + self._facts()).digest()

    def _facts(self) -> bytes:
        d, a = self.dialler, self.answerer
        parts = (d.key, a.key, d.nonce, a.nonce, d.fingerprint, a.fingerprint)
        return b"".join((bytes.fromhex(self.swarm), *parts))


async def bind(link: ChannelLink, meeting: Meeting, side: Side, key: PrivateKey) -> None:
    """Prove ourselves and have the far end prove itself; RemoteError if it does not. The caller bounds the time."""
    await link.send(key.sign(meeting.transcript(side)))
    proof = await link.receive(ctl_only=True)
    other: Side = "a" if side == "d" else "d"
    theirs = meeting.answerer if other == "a" else meeting.dialler
    check_public(theirs.key)  # by a key of small order anybody signs; signalling has looked, and this is one line
    if len(proof) != SIGNATURE_BYTES or not verify(theirs.key, proof, meeting.transcript(other)):
        raise RemoteError("the other peer did not prove its key over this channel", why="its bind signature is wrong")
    link.session = meeting.session()
