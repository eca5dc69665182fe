"""Tickets: the text that lets another machine in, and the proof that somebody holds one.

    gossip1-AV3k...   base64url, no padding, of   01 | swarm 32 | founder 32 | key 32 | secret 16
                                                  | role (length u8, ASCII) | count u8, addresses (each the same)
                                                  | first 4 bytes of the SHA-256 of all that

Whoever has the text may join, so it is a secret between two people. The secret itself never crosses
the network: the offer carries `ticket_id` = SHA-256(secret), by which the inviter finds it, and an
HMAC over the offer. The checksum is for people (a text cut off by a chat program), not for safety.

Rules: one spelling; addresses are hints. A malformed text is the reader's own problem: LocalError.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from ledger.entry import Hash, PeerId, Role
from ledger.errors import LocalError, RemoteError
from ledger.keys import check_public

PREFIX = "gossip1-"
SECRET_BYTES = 16
MAX_ADDRESSES = 8
MAX_TEXT_CHARS = 2_048
PROOF_DOMAIN = b"gossip/ticket-proof/1\n"
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,200}):(?P<port>[1-9][0-9]{0,4})", re.ASCII)
_ADVICE = "copy the whole invite again, in one line, or ask for a new one"


@dataclass(frozen=True)
class Ticket:
    """An invitation. `key` is the inviter's: a joiner talks to nobody else until it knows more members."""

    swarm: Hash
    founder: PeerId
    key: bytes
    addresses: tuple[str, ...]  # "host:port", where the inviter may be found
    secret: bytes
    role: str

    def __post_init__(self) -> None:
        sizes = (len(self.swarm), len(self.founder), len(self.key), len(self.secret))
        if sizes != (64, 64, 32, SECRET_BYTES):
            raise LocalError("a ticket with a field of the wrong size")
        if self.role not in get_args(Role):
            raise LocalError(
                f"there is no role {self.role[:20]!r}", next_step=f"use one of {', '.join(get_args(Role))}"
            )
        if len(self.addresses) > MAX_ADDRESSES:
            raise LocalError(f"a ticket with {len(self.addresses)} addresses", why=f"{MAX_ADDRESSES} fit")
        for address in self.addresses:
            split_address(address)

    def __repr__(self) -> str:
        return f"Ticket(swarm={self.swarm[:8]}..., role={self.role!r})"  # never the secret

    @cached_property
    def ticket_id(self) -> bytes:
        return hashlib.sha256(self.secret).digest()

    @cached_property
    def text(self) -> str:
        payload = b"".join(
            [b"\x01", bytes.fromhex(self.swarm), bytes.fromhex(self.founder), self.key, self.secret]
            + [_short(self.role), bytes([len(self.addresses)])]
            + [_short(address) for address in self.addresses]
        )
        whole = payload + hashlib.sha256(payload).digest()[:4]
        return PREFIX + base64.urlsafe_b64encode(whole).decode().rstrip("=")

    def endpoints(self) -> tuple[tuple[str, int], ...]:
        return tuple(split_address(address) for address in self.addresses)

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """The ticket in a text that a person pasted; LocalError with advice."""
        text = text.strip()
        if not text.startswith(PREFIX):
            raise LocalError("this is not an invite", why=f"it does not begin with {PREFIX}", next_step=_ADVICE)
        if len(text) > MAX_TEXT_CHARS:
            raise LocalError("this invite is too long", next_step=_ADVICE)
        body = text.removeprefix(PREFIX)
        try:
            whole = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise LocalError(
                "this invite is damaged", why="it has characters that no invite has", next_step=_ADVICE
            ) from error
        payload, check = whole[:-4], whole[-4:]
        if hashlib.sha256(payload).digest()[:4] != check:
            raise LocalError("this invite is damaged", why="a part is missing or was changed", next_step=_ADVICE)
        if payload[:1] != b"\x01":
            raise LocalError(
                "this invite is of another version", next_step="install the inviter's version of the program"
            )
        try:
            ticket = cls._from_payload(payload)
            check_public(ticket.key)
        except (IndexError, UnicodeDecodeError, LocalError, RemoteError) as error:
            raise LocalError("this invite makes no sense", next_step="ask for a new one") from error
        if ticket.text != text:
            raise LocalError("this invite is not in the one spelling", next_step="ask for a new one")
        return ticket

    @classmethod
    def _from_payload(cls, payload: bytes) -> Ticket:
        role, at = _read_short(payload, 113)
        addresses = []
        count = payload[at]
        at += 1
        for _ in range(count):
            address, at = _read_short(payload, at)
            addresses.append(address)
        return cls(
            swarm=payload[1:33].hex(),
            founder=payload[33:65].hex(),
            key=payload[65:97],
            secret=payload[97:113],
            role=role,
            addresses=tuple(addresses),
        )


def prove(secret: bytes, offer: bytes) -> bytes:
    """That whoever made these offer bytes (docs/wire.md: without proof and signature) holds the secret."""
    return hmac.digest(secret, PROOF_DOMAIN + offer, "sha256")


def is_proof(secret: bytes, offer: bytes, proof: bytes) -> bool:
    return hmac.compare_digest(prove(secret, offer), proof)


def split_address(address: str) -> tuple[str, int]:
    """("host", port) of "host:port"; LocalError if it is not one."""
    match = _ADDRESS.fullmatch(address)
    if not match or int(match["port"]) > 65_535:
        raise LocalError(f"{address[:80]!r} is no address", next_step="write HOST:PORT, for example 192.168.1.7:4100")
    return match["host"], int(match["port"])


def _short(text: str) -> bytes:
    data = text.encode("ascii")
    return bytes([len(data)]) + data


def _read_short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    if end > len(data):
        raise IndexError(end)
    return data[at + 1 : end].decode("ascii"), end
