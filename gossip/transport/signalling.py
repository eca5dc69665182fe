"""The one HTTP exchange behind every link: a signed offer in, a signed answer out.

    POST /gossip/1/offer   one canonical JSON object, at most MAX_BODY_BYTES
    200                    one canonical JSON object
    404, empty             everything else, whatever was sent and whyever

On the same port, with the same silence and sizes, are the exchanges by which a joiner comes to a ticket (`hatches`:
code.py, card.py).

A stranger (a key that the gate does not admit, without a valid ticket) learns nothing: no SDP, no version, no
peer list, not even whether a swarm is here. So all checks end in the same answer, cheapest
first: size before reading, spelling before signature, signature before the gate.

`Offer` and `Answer` are pure (bytes to value and back, RemoteError); the server and the client below them move
bytes and know nothing of WebRTC. Field by field: docs/wire.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from gossip.bucket import Buckets
from gossip.limits import DEFAULT, Limits
from gossip.transport.description import Description, checked
from ledger import canonical
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey, check_public, verify

PATH = "/gossip/1/offer"
MAX_BODY_BYTES = 4_096  # an offer with eight candidates and a ticket has about 1,300
ADDRESSES_REMEMBERED = 4_096  # with how many offers each has sent lately
SIGNALLING_S = 10.0
OFFER_DOMAIN = b"gossip/offer/1\n"
ANSWER_DOMAIN = b"gossip/answer/1\n"

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


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What offers and answers share. All byte strings are lower-case hex."""

    swarm: str
    key: str  # the sender's
    nonce: str  # 32 fresh bytes, part of the bind transcript
    session: Session
    signature: str = ""  # over the domain and the canonical bytes with this field ""

    def bare(self) -> bytes:
        return canonical.encode(msgspec.structs.replace(self, signature=""))

    def description(self) -> Description:
        return checked(
            self.session.ufrag, self.session.password, _bytes(self.session.fingerprint, 32), self.session.candidates
        )


class Offer(_Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    to: str = ""  # the key the dialler means to reach; "" if it only knows an address
    ticket: str = ""  # ticket_id, or ""
    proof: str = ""  # HMAC over the canonical bytes with `proof` and `signature` "" (tickets.py)

    def unproven(self) -> bytes:
        return canonical.encode(msgspec.structs.replace(self, proof="", signature=""))


class Answer(_Signed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    offer: str  # SHA-256 of the offer's bytes: an answer belongs to one offer


def seal(message: Offer | Answer, key: PrivateKey) -> bytes:
    """The bytes to send: `message`, signed."""
    signature = key.sign(_domain(type(message)) + message.bare())
    return canonical.encode(msgspec.structs.replace(message, signature=signature.hex()))


def open_offer(data: bytes) -> Offer:
    return _open(data, Offer, "the offer")


def read_offer(data: bytes) -> Offer:
    """An offer as it is spelled, whose signature nobody has looked at. RemoteError."""
    return canonical.decode(data, Offer, limit=MAX_BODY_BYTES, what="the offer")


def open_answer(data: bytes) -> Answer:
    return _open(data, Answer, "the answer")


def _open(data: bytes, kind: type[_M], what: str) -> _M:
    message = canonical.decode(data, kind, limit=MAX_BODY_BYTES, what=what)
    _bytes(message.swarm, 32)
    _bytes(message.nonce, 32)
    key, signature = _bytes(message.key, 32), _bytes(message.signature, 64)
    match message:
        case Offer(to=to, ticket=ticket, proof=proof):
            for field in (to, ticket, proof):
                _bytes(field, 32 if field else 0)
            if bool(ticket) != bool(proof):
                raise RemoteError("a ticket without proof")
        case Answer(offer=offer):
            _bytes(offer, 32)
    message.description()
    check_public(key)
    if not verify(key, signature, _domain(kind) + message.bare()):
        raise RemoteError(f"{what} has a wrong signature")
    return message


def _domain(kind: type[_Signed]) -> bytes:
    return OFFER_DOMAIN if kind is Offer else ANSWER_DOMAIN


def _bytes(text: str, size: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise RemoteError("a field that is not hex") from error
    if len(data) != size or data.hex() != text:
        raise RemoteError(f"a field that is not {size} bytes in lower-case hex")
    return data


# ------------------------------------------------------------------ server

Answerer = Callable[[bytes], Awaitable[bytes | None]]  # offer bytes -> answer bytes, or None for silence
Hatch = Callable[[bytes, str], bytes | None]  # body, address of who asks -> answer, or None for silence

# aiohttp reports strangers' malformed requests as errors with tracebacks; they are nobody's news.
_unheard = logging.getLogger("gossip.signalling.unheard")
_unheard.propagate = False
_unheard.addHandler(logging.NullHandler())


def _silence() -> web.Response:
    response = web.Response(status=404, headers={"Server": "", "Date": ""})
    response.force_close()
    return response


class _Connection(web.RequestHandler):
    """aiohttp's, except that requests it cannot even parse get the same silence, and connections are counted.

    When there are too many, the oldest of the address with the most goes, not the newest: whoever holds places costs
    others nothing, and whoever fills them anew must be faster than an honest offer is read, which takes milliseconds.
    """

    limits = DEFAULT
    is_served = False  # its offer was let in; it waits for our answer, and nobody takes its place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._manager is not None
        open_now = self._manager.connections
        hosts, host = Counter(_host(c.transport) for c in open_now), _host(transport)
        if hosts[host] <= self.limits.connections_host:
            if len(open_now) <= self.limits.connections:
                return
            ((host, _),) = hosts.most_common(1)
        for other in open_now:  # in the order they came
            if _host(other.transport) == host and other is not self and not getattr(other, "is_served", False):
                other.force_close()
                return
        self.force_close()

    def handle_error(self, *_: Any, **__: Any) -> web.StreamResponse:
        return _silence()


def _host(transport: asyncio.BaseTransport | None) -> object:
    return (transport.get_extra_info("peername") or ("",))[0] if transport is not None else None


class SignallingServer:
    """Listens for offers, and for what `hatches` (by path) answer. Decides nothing: they do."""

    def __init__(
        self, answer: Answerer, hatches: Mapping[str, Hatch] | None = None, *, limits: Limits = DEFAULT,
        is_known: Callable[[bytes], bool] = lambda offer: False,
    ) -> None:  # fmt: skip
        self._answer = answer
        self._limits = limits
        self._is_known = is_known  # whether an offer says to be by somebody who may enter; nothing of it is checked
        self._offers = Buckets(limits.offers_burst, limits.offers_per_min / 60, ADDRESSES_REMEMBERED)
        self._hatches = hatches or {}
        self._server: asyncio.Server | None = None
        self._http: web.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port taken. LinkError if it cannot be had."""
        loop = asyncio.get_running_loop()
        http = self._http = web.Server(self._handle)

        def connection() -> _Connection:
            made = _Connection(
                http,
                loop=loop,
                keepalive_timeout=SIGNALLING_S,  # also ends connections that never finish a request
                lingering_time=0,
                auto_decompress=False,
                access_log=None,  # type: ignore[arg-type]
                logger=_unheard,
                max_headers=32,
            )
            made.limits = self._limits
            return made

        try:
            self._server = await loop.create_server(connection, host, port)
        except OSError as error:
            raise LinkError(
                f"cannot listen on {host}:{port}", why=error.strerror or str(error), next_step="choose another --port"
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None and self._http is not None:
            self._server.close()
            await self._http.shutdown(timeout=0.1)
            self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        size = request.content_length
        hatch = self._hatches.get(request.raw_path)
        if request.method != "POST" or (request.raw_path != PATH and hatch is None):
            return _silence()
        if size is None or not 0 < size <= MAX_BODY_BYTES:
            return _silence()
        try:
            async with asyncio.timeout(SIGNALLING_S):
                body = await request.content.readexactly(size)
                if hatch is None and not self._may_offer(request, body):
                    return _silence()
                assert isinstance(request.protocol, _Connection)
                request.protocol.is_served = True  # strangers' offers are refused before anything is waited for
                answer = await self._answer(body) if hatch is None else hatch(body, str(_host(request.transport)))
        except (TimeoutError, asyncio.IncompleteReadError, RemoteError, LinkError, aiohttp.ClientPayloadError):
            return _silence()
        if answer is None:
            return _silence()
        response = web.Response(body=answer, content_type="application/json", headers={"Server": "", "Date": ""})
        response.force_close()
        return response

    def _may_offer(self, request: web.BaseRequest, body: bytes) -> bool:
        """Whether an offer is looked at. From an address that has sent too many only those that name who may enter."""
        now = asyncio.get_running_loop().time()
        return self._offers.take(_host(request.transport), now) or self._is_known(body)


# ------------------------------------------------------------------ client


class Unheard(LinkError):
    """Somebody is there, and says nothing to us."""


class NoPeer(Unheard):
    """What is there refuses as no peer does, which would send nothing, not even its program's name."""


async def exchange(host: str, port: int, offer: bytes, path: str = PATH) -> bytes:
    """Send an offer and return the answer's bytes, unread.

    LinkError: nobody there; Unheard: nobody who knows us; NoPeer: nobody who could.
    """
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SIGNALLING_S), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.post(f"http://{host}:{port}{path}", data=offer, allow_redirects=False) as response,
        ):
            if response.status != 200:
                if response.status != 404 or response.headers.get("Server") or response.content_length:
                    raise NoPeer(
                        f"what answers at {host}:{port} is no peer",
                        next_step="name the port that gossip status shows on the other machine",
                    )
                raise Unheard(
                    f"the peer at {host}:{port} does not answer us",
                    why="it does not know our key, or our invite was used up, or it is busy",
                    next_step="ask its owner for a new invite if this goes on",
                )
            size = response.content_length
            if size is None or size > MAX_BODY_BYTES:
                raise RemoteError(f"an answer of {size} bytes")
            return await response.content.readexactly(size)
    except TimeoutError as error:
        raise LinkError(
            f"no answer from {host}:{port} within {SIGNALLING_S:.0f} s",
            next_step="check that the other peer runs, and that both are on the same network",
        ) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as error:
        raise LinkError(
            f"cannot reach {host}:{port}",
            why=_in_words(error),
            next_step="check that the other peer runs, and that both are on the same network",
        ) from error


def _in_words(error: Exception) -> str:
    """asyncio's own text of a refused connection has the address again, as Python writes it."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:  # (of a name that is not known it is negative, and the text is good)
        return os.strerror(number)
    return getattr(error, "strerror", None) or type(error).__name__


def digest(offer: bytes) -> str:
    return hashlib.sha256(offer).hexdigest()
