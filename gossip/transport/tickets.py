"""Tickets: the text that lets another machine in, and the proof that somebody holds one.

    gossip2-AlpaWl...   base64url, no padding, of   02 | swarm 32 | founder 32 | key 32 | inviter 32
                                                  | secret (length u8: 16, or 0) | role (length u8, ASCII)
                                                  | uses u16 | expires u64 | count u8, addresses (as the role)
                                                  | signature 64, by `key`
    gossip3-A1paWl...   the same with 03, and between secret and role the swarm's *rendezvous secret* (length u8: 32,
                        or 0); addresses may be multiaddresses, of bootstraps and (/p2p-circuit) of relays

Whoever has the text may join, so it is a secret between two people. The secret itself never crosses
the network: the offer carries `ticket_id` = SHA-256(secret), by which the inviter finds it, and an
HMAC over the offer. What is signed has that id in place of the secret, so a ticket can be shown to be genuine without
being given away; of the rendezvous secret it has the SHA-256, too. `inviter` is the inviter's peer id: a newcomer
enrols as its guest, and as nobody else's for ever (ledger/rules.py). A *card* is a ticket without a secret: it names
where to knock, and opens the door to keys that the inviter allows, or to anybody where the swarm is open. Version 3 is
for those who find the swarm from another network (docs/wide.md): a ticket that says nothing of that is spelled in
version 2. A card has no rendezvous secret, for anybody may be shown one.

Rules: one spelling; addresses are hints; how often and how long it is good the inviter's store decides, what the text
says of that is for people. A malformed text is the reader's own problem: LocalError.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

from gossip.transport.multiaddresses import Multiaddress
from ledger.entry import Hash, PeerId, Role
from ledger.errors import LocalError, RemoteError
from ledger.keys import SIGNATURE_BYTES, PrivateKey, check_public, verify

PREFIX = "gossip2-"
WIDE_PREFIX = "gossip3-"
SECRET_BYTES = 16
RENDEZVOUS_BYTES = 32
MAX_ADDRESSES = 8  # "host:port"
MAX_MULTIADDRESSES = 8
MAX_TEXT_CHARS = 3_072  # of the longest that a node makes: one address and 8 multiaddresses of 200 letters are 2,534
MAX_USES = 1_000  # of one invite
MAX_TIME = (1 << 53) - 1  # Unix seconds, exact in a double
PROOF_DOMAIN = b"gossip/ticket-proof/1\n"
_DOMAINS = {2: b"gossip/ticket/2\n", 3: b"gossip/ticket/3\n"}
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,200}):(?P<port>[1-9][0-9]{0,4})", re.ASCII)
_LETTERS = re.compile("[A-Za-z0-9_-]*")
_MAIMED = "it was cut off, or a part was changed"
_ADVICE = "copy the whole invite again, in one line, or ask for a new one"


@dataclass(frozen=True)
class Ticket:
    """An invitation. `key` is the inviter's: a joiner talks to nobody else until it knows more members."""

    swarm: Hash
    founder: PeerId
    key: bytes
    addresses: tuple[str, ...]  # "host:port", where the inviter may be found; and multiaddresses
    secret: bytes  # empty: a card
    role: str
    uses: int = 1  # as it was made
    expires: int = 0  # Unix seconds; 0: never
    inviter: PeerId = ""  # whose `key` that is; "": the founder
    rendezvous: bytes = b""  # under which members of other networks find one another; empty: is not told
    signature: bytes = b""  # by `key`; without it there is no text

    def __post_init__(self) -> None:
        if not self.inviter:
            object.__setattr__(self, "inviter", self.founder)
        if (len(self.swarm), len(self.founder), len(self.inviter), len(self.key)) != (64, 64, 64, 32) or (
            len(self.secret) not in (0, SECRET_BYTES) or len(self.signature) not in (0, SIGNATURE_BYTES)
            or len(self.rendezvous) not in (0, RENDEZVOUS_BYTES)
        ):  # fmt: skip
            raise LocalError("a ticket with a field of the wrong size")
        if self.rendezvous and self.is_card:
            raise LocalError("a card tells no rendezvous secret", why="anybody may be shown one")
        if self.role not in get_args(Role):
            raise LocalError(
                f"there is no role {self.role[:20]!r}", next_step=f"use one of {', '.join(get_args(Role))}"
            )
        if not 1 <= self.uses <= MAX_USES:
            raise LocalError(f"an invite for {self.uses} peers", next_step=f"choose 1 to {MAX_USES}")
        if not 0 <= self.expires <= MAX_TIME:
            raise LocalError("an invite that ends at no time")
        wide = [address for address in self.addresses if is_wide(address)]
        near = len(self.addresses) - len(wide)
        if near > MAX_ADDRESSES:
            raise LocalError(f"a ticket with {near} addresses", why=f"{MAX_ADDRESSES} fit")
        if len(wide) > MAX_MULTIADDRESSES:
            raise LocalError(f"a ticket with {len(wide)} multiaddresses", why=f"{MAX_MULTIADDRESSES} fit")
        for address in self.addresses:
            if is_wide(address):
                Multiaddress.parse(address)
            else:
                split_address(address)

    def __repr__(self) -> str:
        return f"Ticket(swarm={self.swarm[:8]}..., role={self.role!r})"  # never the secret

    @property
    def is_card(self) -> bool:
        """Whether it has no secret: then the key that knocks with it, or an open swarm, opens the door."""
        return not self.secret

    @property
    def version(self) -> int:
        return 3 if self.rendezvous or any(map(is_wide, self.addresses)) else 2

    @cached_property
    def ticket_id(self) -> bytes:
        return hashlib.sha256(self.secret).digest()

    def signed(self, key: PrivateKey) -> Ticket:
        """The same, as its holder may show it. LocalError if `key` is another than it names."""
        if key.public != self.key:
            raise LocalError("a ticket is signed by the key that it names")
        return replace(self, signature=key.sign(self._transcript()))

    @cached_property
    def text(self) -> str:
        if not self.signature:
            raise LocalError("a ticket that nobody has signed has no text")
        text = self._spelled
        if len(text) > MAX_TEXT_CHARS:
            raise LocalError(
                f"an invite of {len(text)} letters", why=f"{MAX_TEXT_CHARS} are the most",
                next_step="name fewer addresses",
            )  # fmt: skip
        return text

    def is_within(self, chars: int) -> bool:
        """Whether its text is no longer than that."""
        return len(self._spelled) <= chars

    @cached_property
    def _spelled(self) -> str:
        whole = self._payload(_sized(self.secret), _sized(self.rendezvous)) + self.signature
        return f"gossip{self.version}-" + base64.urlsafe_b64encode(whole).decode().rstrip("=")

    def endpoints(self) -> tuple[tuple[str, int], ...]:
        """Where to knock on one's own network."""
        return tuple(split_address(address) for address in self.addresses if not is_wide(address))

    def bootstraps(self) -> tuple[str, ...]:
        """Multiaddresses of nodes through which to find the swarm."""
        return tuple(one.text for one in self._multiaddresses() if not one.is_circuit)

    def relays(self) -> tuple[str, ...]:
        """Multiaddresses of relays behind which the inviter answers, without /p2p-circuit: of the relay itself."""
        return tuple(one.node for one in self._multiaddresses() if one.is_circuit)

    def near(self) -> Ticket:
        """The same for whoever has taken note of its multiaddresses: without them, and without a text."""
        near = tuple(address for address in self.addresses if not is_wide(address))
        return self if near == self.addresses else replace(self, addresses=near, signature=b"")

    def _multiaddresses(self) -> list[Multiaddress]:
        return [Multiaddress.parse(address) for address in self.addresses if is_wide(address)]

    @classmethod
    def parse(cls, text: str, now: float | None = None) -> Ticket:
        """The ticket in a text that a person pasted; LocalError with advice. One that has ended by `now` (Unix
        seconds; None: whenever that was) is refused."""
        text = text.strip()
        if text.startswith("gossip1-"):
            raise LocalError(
                "this invite is of an older version", next_step="ask for a new one: gossip invite makes it"
            )
        if not text.startswith((PREFIX, WIDE_PREFIX)):
            begins = f"it does not begin with {WIDE_PREFIX} or {PREFIX}"
            raise LocalError("this is not an invite", why=begins, next_step=_ADVICE)
        if len(text) > MAX_TEXT_CHARS:
            raise LocalError("this invite is too long", next_step=_ADVICE)
        body = text[len(PREFIX) :]
        try:
            whole = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise LocalError(
                "this invite is damaged", next_step=_ADVICE,
                why=_MAIMED if _LETTERS.fullmatch(body) else "it has characters that no invite has",
            ) from error  # fmt: skip
        try:
            if whole[0] != int(text[len("gossip")]):
                raise LocalError("another version")
            ticket = cls._from_bytes(whole)
            check_public(ticket.key)
            is_genuine = verify(ticket.key, ticket.signature, ticket._transcript())
        except (IndexError, UnicodeDecodeError, LocalError, RemoteError) as error:
            raise LocalError("this invite is damaged", why=_MAIMED, next_step=_ADVICE) from error
        if not is_genuine:
            raise LocalError("this invite is damaged", why=f"{_MAIMED}: its signature does not fit", next_step=_ADVICE)
        if ticket.text != text:
            raise LocalError("this invite is not in the one spelling", next_step="ask for a new one")
        if now is not None and ticket.expires and now >= ticket.expires:
            raise LocalError(
                "this invite has ended", why=f"{_ago(now - ticket.expires)} ago", next_step="ask for a new one"
            )
        return ticket

    def _transcript(self) -> bytes:
        return _DOMAINS[self.version] + self._payload(self.ticket_id, hashlib.sha256(self.rendezvous).digest())

    def _payload(self, secret: bytes, rendezvous: bytes) -> bytes:
        parts = [bytes([self.version]), bytes.fromhex(self.swarm), bytes.fromhex(self.founder), self.key]
        parts += [bytes.fromhex(self.inviter), secret, rendezvous if self.version == 3 else b"", _short(self.role)]
        parts += [self.uses.to_bytes(2, "little"), self.expires.to_bytes(8, "little")]
        parts += [bytes([len(self.addresses)]), *(_short(address) for address in self.addresses)]
        return b"".join(parts)

    @classmethod
    def _from_bytes(cls, whole: bytes) -> Ticket:
        data = whole[:-SIGNATURE_BYTES]
        secret, at = _read_sized(data, 129)
        rendezvous, at = _read_sized(data, at) if data[0] == 3 else (b"", at)
        role, at = _read_short(data, at)
        uses, expires = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 2 : at + 10], "little")
        count = data[at + 10]
        at += 11
        addresses = []
        for _ in range(count):
            address, at = _read_short(data, at)
            addresses.append(address)
        if at != len(data):
            raise IndexError(at)
        return cls(
            swarm=data[1:33].hex(), founder=data[33:65].hex(), key=data[65:97], inviter=data[97:129].hex(),
            secret=secret, role=role, uses=uses, expires=expires, addresses=tuple(addresses),
            rendezvous=rendezvous, signature=whole[-SIGNATURE_BYTES:],
        )  # fmt: skip


def kept(text: bytes | None) -> Ticket | None:
    """The ticket that a peer keeps, if it is still one: one of an older version has long been used, or never will."""
    if not text or not text.startswith((PREFIX.encode(), WIDE_PREFIX.encode())):
        return None
    return Ticket.parse(text.decode("ascii", "replace"))


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


def is_wide(address: str) -> bool:
    """Whether an address of a ticket is a multiaddress."""
    return address.startswith("/")


def _sized(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _short(text: str) -> bytes:
    return _sized(text.encode("ascii"))


def _read_sized(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + data[at]
    if end > len(data):
        raise IndexError(end)
    return data[at + 1 : end], end


def _read_short(data: bytes, at: int) -> tuple[str, int]:
    found, end = _read_sized(data, at)
    return found.decode("ascii"), end


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            many = int(seconds // size)
            return f"{many} {unit}" + ("s" if many > 1 else "")
    return "less than a minute"
