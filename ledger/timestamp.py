"""Time stamps from outside the swarm (RFC 3161): asked for, read, and held against an authority that somebody trusts.

    checkpoint body --make_query--> FILE.tsq ~~> an authority ~~> FILE.tsr --open_response--> token, kept as a blob
    token, checkpoint body, root certificates --verify_token--> Stamp: these bytes existed before that time

A query and the token that answers it, as `openssl ts -text` shows them:

    Hash Algorithm: sha256                      Hash Algorithm: sha256
    Message data: 58 91 b5 b5 22 d5 df 08 ...   Message data: 58 91 b5 b5 22 d5 df 08 ...
    Nonce: 0x7E544F4DB9C9AA1D                   Nonce: 0x7E544F4DB9C9AA1D
    Certificate required: yes                   Time stamp: Nov 21 14:50:58 2026 GMT   Accuracy: 0x01 seconds

What is kept is the TimeStampToken alone, byte for byte:
`openssl ts -verify -token_in -in TOKEN -data BODY -CAfile ROOT` checks it, too.

Rules kept here: the imprint is the SHA-256 of the checkpoint's three lines and of nothing else; the time is the latest
that the authority's own accuracy allows; lengths before parsing. Whether certificates were revoked is not asked.
ASN.1, CMS and X.509 are the business of `rfc3161-client`, which is an extra: nothing else of the ledger needs it, and
without it this file imports all the same. It refuses to know the network: people send queries themselves.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ledger.entry import MAX_TOKEN_BYTES
from ledger.errors import GossipError, LocalError, RemoteError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

MAX_RESPONSE_BYTES: Final = MAX_TOKEN_BYTES + 1024  # a token, the status and what an authority has to say to it
MAX_ROOT_BYTES: Final = 256 * 1024  # a file of root certificates
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_GRANTED: Final = (0, 1)  # PKIStatus: granted, granted with changes (which the checks below would find)
_STATUS_GRANTED: Final = bytes.fromhex("3003020100")  # PKIStatusInfo { granted }


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a token says. Only one from `verify_token` is more than somebody's word."""

    imprint: bytes  # SHA-256
    nonce: int | None  # of the query that it answers
    time: int  # Unix time, whole seconds: what is stamped existed before
    authority: str  # whose certificate signs, as it names itself


@dataclass(frozen=True, slots=True)
class Roots:
    """The certificates that somebody trusts to vouch for time-stamp authorities. `load_roots` makes them."""

    certificates: tuple[Certificate, ...]


def require_library() -> None:
    """LocalError, with what to install, if this Python cannot read time stamps."""
    try:
        import rfc3161_client  # noqa: F401
    except ImportError:
        raise LocalError("this needs: pipx inject gossip-swarm rfc3161-client") from None


def make_query(body: bytes) -> tuple[bytes, int]:
    """A query for a time stamp over `body`, with the authority's certificates in the answer; and its nonce."""
    require_library()
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    query = TimestampRequestBuilder(body, HashAlgorithm.SHA256, nonce=True, cert_req=True).build()
    assert query.nonce is not None
    return query.as_bytes(), query.nonce


def open_response(data: bytes) -> bytes:
    """The token in an authority's answer. RemoteError if it is no answer, or a refusal."""
    require_library()
    from rfc3161_client import decode_timestamp_response

    if len(data) > MAX_RESPONSE_BYTES:
        raise RemoteError("this is no time stamp", why=f"more than {MAX_RESPONSE_BYTES} bytes")
    with _reading("this is no answer of a time-stamp authority"):
        response = decode_timestamp_response(data)
        if response.status not in _GRANTED:
            raise RemoteError(
                "the authority granted no time stamp", why=f"status {response.status}, {response.status_string}"
            )
        token = response.time_stamp_token()
    # The library encodes the token anew, and reads nothing but DER, so these are the bytes that were sent; should it
    # ever read more, no others are kept.
    if not 0 < len(token) <= MAX_TOKEN_BYTES or not data.endswith(token):
        raise RemoteError("this is no answer of a time-stamp authority", why="it does not end with a token")
    return token


def read_token(token: bytes) -> Stamp:
    """What a token says, with nobody's signature checked. RemoteError if it is none over a SHA-256."""
    return _stamp(_opened(token))


def verify_token(token: bytes, body: bytes, roots: Roots) -> Stamp:
    """What a token proves about `body`: signed by an authority for time stamps whose certificates lead to `roots`, and
    were valid then. RemoteError if it does not."""
    response = _opened(token)
    from rfc3161_client import VerifierBuilder

    stamp = _stamp(response)
    if stamp.imprint != sha256(body).digest():
        raise RemoteError("a time stamp is over something else", why=f"its imprint is {stamp.imprint.hex()}")
    with _reading("a time stamp is not vouched for by the given root"):
        VerifierBuilder(roots=list(roots.certificates)).build().verify(response, stamp.imprint)
    return stamp


def load_roots(pem: bytes) -> Roots:
    """One or more certificates in PEM. LocalError if there are none."""
    require_library()
    from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

    if len(pem) > MAX_ROOT_BYTES:
        raise LocalError("this is no file of root certificates", why=f"more than {MAX_ROOT_BYTES} bytes")
    try:
        with _unwarned():
            return Roots(tuple(load_pem_x509_certificates(pem)))
    except (ValueError, InvalidVersion):
        raise LocalError(
            "this is no certificate in PEM", why="it would begin with -----BEGIN CERTIFICATE-----",
            next_step="openssl x509 -inform DER -in FILE -out FILE.pem makes one of a .der or .cer file",
        ) from None  # fmt: skip


def _opened(token: bytes) -> TimeStampResponse:
    """A token as the library takes it: in an answer that grants it."""
    require_library()
    from rfc3161_client import decode_timestamp_response

    if not 0 < len(token) <= MAX_TOKEN_BYTES:
        raise RemoteError("this is no time stamp", why=f"{len(token)} bytes")
    content = _STATUS_GRANTED + token
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x80 | (size.bit_length() + 7) // 8]) + _big_endian(size)
    with _reading("this is no time stamp"):
        return decode_timestamp_response(b"\x30" + length + content)


def _stamp(response: TimeStampResponse) -> Stamp:
    with _reading("this is no time stamp"):
        info = response.tst_info
        imprint = info.message_imprint
        if imprint.hash_algorithm.dotted_string != _SHA256:
            raise RemoteError("this time stamp is not over a SHA-256")
        late = info.accuracy
        slack = (late.seconds or 0) + (late.millis or 0) / 1e3 + (late.micros or 0) / 1e6 if late is not None else 0
        time = math.ceil(info.gen_time.timestamp() + max(0, slack))
        return Stamp(bytes(imprint.message), info.nonce, time, _signer(response))


def _signer(response: TimeStampResponse) -> str:
    from cryptography.x509 import load_der_x509_certificate

    signers = [(signer.issuer, signer.serial_number) for signer in response.signed_data.signer_infos]
    found = map(load_der_x509_certificate, response.signed_data.certificates)
    return next((one.subject.rfc4514_string() for one in found if (one.issuer, one.serial_number) in signers), "")


def _big_endian(size: int) -> bytes:
    return size.to_bytes((size.bit_length() + 7) // 8, "big")


@contextmanager
def _reading(wrong: str) -> Iterator[None]:
    """Strangers made these bytes: whatever the library makes of them is their fault, and one line."""
    try:
        with _unwarned():
            yield
    except GossipError:
        raise
    except Exception as error:
        raise RemoteError(wrong, why=" ".join(str(error).split())[:120]) from None


@contextmanager
def _unwarned() -> Iterator[None]:
    """The libraries warn of odd certificates on stderr, in words of their own; what counts is whether they verify."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
