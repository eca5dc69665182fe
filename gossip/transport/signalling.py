"""The one HTTP exchange behind every link: a signed offer in, a signed answer out.

    POST /gossip/1/offer   one canonical JSON object, at most MAX_BODY_BYTES
    200                    one canonical JSON object
    404, empty             everything else, whatever was sent and whyever

On the same port, with the same silence and sizes, are the exchanges by which a joiner comes to a ticket (`hatches`:
code.py, card.py).

A stranger (a key that the gate does not admit, without a valid ticket) learns nothing: no SDP, no version, no
peer list, not even whether a swarm is here. So all checks end in the same answer, cheapest
first: size before reading, spelling before signature, signature before the gate.

The server and the client move bytes and know nothing of WebRTC; what the bytes say is in offers.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from aiohttp import web

from gossip.bucket import Buckets
from gossip.limits import DEFAULT, Limits
from gossip.transport.offers import MAX_BODY_BYTES
from ledger.errors import LinkError, RemoteError

PATH = "/gossip/1/offer"
ADDRESSES_REMEMBERED = 4_096  # with how many offers each has sent lately
SIGNALLING_S = 10.0

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


__all__ = ["MAX_BODY_BYTES", "NoPeer", "SignallingServer", "Unheard", "exchange"]
