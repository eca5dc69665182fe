"""Offers and answers: what two peers say, signed, before there is a link. Bytes to value and back, no IO.

                     for a data channel     for a stream that the carrier has opened already (by_stream.py)
    the dialler      Offer                  StreamOffer
    the answerer     Answer                 StreamAnswer

Each is one canonical JSON object. Those for a stream are the same without a session, under labels of their own: neither
can be taken for the other. Field by field: docs/wire.md. Whatever is malformed is a RemoteError, spelling before
signature. It refuses to know who may enter (admission.py).
"""

from __future__ import annotations

import hashlib
from typing import Self, TypeVar

import msgspec

from gossip.transport.description import Description, checked
from gossip.transport.hexed import exactly
from ledger import canonical
from ledger.errors import RemoteError
from ledger.keys import PrivateKey, check_public, verify

MAX_BODY_BYTES = 4_096  # an offer with eight candidates and a ticket has about 1,300
_M = TypeVar("_M", bound="_Signed")


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Description as JSON."""

    ufrag: str
    password: str
    fingerprint: str  # hex
    candidates: list[tuple[str, int]]

    @classmethod
    def of(cls, description: Description) -> Self:
        return cls(description.ufrag, description.password, description.fingerprint.hex(), list(description.candidates))

    def description(self) -> Description:
        return checked(self.ufrag, self.password, exactly(self.fingerprint, 32), self.candidates)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all four share. All byte strings are lower-case hex."""

    swarm: str
    key: str  # the sender's
    nonce: str  # 32 fresh bytes, part of the bind transcript
    signature: str = ""  # over the domain and the canonical bytes with this field ""

    def bare(self) -> bytes:
        return canonical.encode(msgspec.structs.replace(self, signature=""))


class _Asking(_Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both kinds of offers share."""

    to: str = ""  # the key the dialler means to reach; "" if it only knows an address
    ticket: str = ""  # ticket_id, or ""
    proof: str = ""  # HMAC over the canonical bytes with `proof` and `signature` "" (tickets.py)

    def unproven(self) -> bytes:
        return canonical.encode(msgspec.structs.replace(self, proof="", signature=""))


class _Answering(_Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    offer: str  # SHA-256 of the offer's bytes: an answer belongs to one offer


class Offer(_Asking, frozen=True, forbid_unknown_fields=True, kw_only=True):
    session: Session

    def description(self) -> Description:
        return self.session.description()


class Answer(_Answering, frozen=True, forbid_unknown_fields=True, kw_only=True):
    session: Session

    def description(self) -> Description:
        return self.session.description()


class StreamOffer(_Asking, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For a stream, on which the carrier has proven the same key."""


class StreamAnswer(_Answering, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same, the other way."""


AnyOffer = Offer | StreamOffer

DOMAINS: dict[type[_Signed], bytes] = {
    Offer: b"gossip/offer/1\n",
    Answer: b"gossip/answer/1\n",
    StreamOffer: b"gossip/stream-offer/1\n",
    StreamAnswer: b"gossip/stream-answer/1\n",
}


def seal(message: Offer | Answer | StreamOffer | StreamAnswer, key: PrivateKey) -> bytes:
    """The bytes to send: `message`, signed."""
    signature = key.sign(DOMAINS[type(message)] + message.bare())
    return canonical.encode(msgspec.structs.replace(message, signature=signature.hex()))


def digest(offer: bytes) -> str:
    return hashlib.sha256(offer).hexdigest()


def read_offer(data: bytes) -> Offer:
    """An offer as it is spelled, whose signature nobody has looked at. RemoteError."""
    return canonical.decode(data, Offer, limit=MAX_BODY_BYTES, what="the offer")


def read_stream_offer(data: bytes) -> StreamOffer:
    """The same of the other kind."""
    return canonical.decode(data, StreamOffer, limit=MAX_BODY_BYTES, what="the offer")


def open_offer(data: bytes) -> Offer:
    return _open(data, Offer, "the offer")


def open_answer(data: bytes) -> Answer:
    return _open(data, Answer, "the answer")


def open_stream_offer(data: bytes) -> StreamOffer:
    return _open(data, StreamOffer, "the offer")


def open_stream_answer(data: bytes) -> StreamAnswer:
    return _open(data, StreamAnswer, "the answer")


def _open(data: bytes, kind: type[_M], what: str) -> _M:
    message = canonical.decode(data, kind, limit=MAX_BODY_BYTES, what=what)
    exactly(message.swarm, 32)
    exactly(message.nonce, 32)
    key, signature = exactly(message.key, 32), exactly(message.signature, 64)
    if isinstance(message, _Asking):
        for field in (message.to, message.ticket, message.proof):
            exactly(field, 32 if field else 0)
        if bool(message.ticket) != bool(message.proof):
            raise RemoteError("a ticket without proof")
    elif isinstance(message, _Answering):
        exactly(message.offer, 32)
    if isinstance(message, Offer | Answer):
        message.description()
    check_public(key)
    if not verify(key, signature, DOMAINS[kind] + message.bare()):
        raise RemoteError(f"{what} has a wrong signature")
    return message
