"""The signalling port: members get an answer, everybody else the same silence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.limits import DEFAULT
from gossip.transport.description import Description
from gossip.transport.offers import Answer, Offer, Session, open_answer, open_offer, seal
from gossip.transport.signalling import MAX_BODY_BYTES, PATH, SignallingServer, exchange
from gossip.transport.tickets import Ticket, prove
from gossip.transport.webrtc import OpenTicket
from ledger import canonical
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BERTA, MALLORY, SWARM, Members, transport

DESCRIPTION = Description("abcd", "p" * 22, b"\x07" * 32, (("127.0.0.1", 9),))


def make_offer(**changes: Any) -> Offer:
    fields = {"swarm": SWARM, "key": ANNA.public.hex(), "nonce": "11" * 32, "session": Session.of(DESCRIPTION)}
    return Offer(**(fields | changes))


def test_an_offer_is_read_as_it_was_meant() -> None:
    offer = open_offer(seal(make_offer(to=BERTA.public.hex()), ANNA))
    assert (offer.to, offer.description()) == (BERTA.public.hex(), DESCRIPTION)


def test_an_answer_is_no_offer_and_the_other_way_round() -> None:
    answer = Answer(
        swarm=SWARM, key=BERTA.public.hex(), nonce="22" * 32, session=Session.of(DESCRIPTION), offer="33" * 32
    )
    data = seal(answer, BERTA)
    assert open_answer(data).offer == "33" * 32
    with pytest.raises(RemoteError):
        open_offer(data)
    with pytest.raises(RemoteError):
        open_answer(seal(make_offer(), ANNA))


def test_every_flipped_bit_of_an_offer_is_noticed() -> None:
    data = seal(make_offer(), ANNA)
    for at in range(0, len(data) * 8, 5):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << (at % 8)
        with pytest.raises(RemoteError):
            open_offer(bytes(flipped))


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr)))
def test_any_bytes_are_a_remote_error(data: bytes | str) -> None:
    with pytest.raises(RemoteError):
        open_offer(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    "changes",
    [
        {"swarm": "5A" * 32},
        {"nonce": "11" * 31},
        {"ticket": "44" * 32},
        {"proof": "44" * 32},
        {"to": "zz"},
        {"key": "00" * 32},
        {"session": Session("abcd", "p" * 22, "07" * 32, [("example.org", 9)])},
    ],
)
def test_one_wrong_field_is_a_remote_error_even_if_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(RemoteError):
        open_offer(seal(make_offer(**changes), ANNA))


# ------------------------------------------------------------------- on the wire


async def ask(port: int, request: bytes) -> bytes:
    """Everything the port says to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(20):
        said = await reader.read()
    writer.close()
    return said


def post(body: bytes, path: str = PATH, headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def signed(key: PrivateKey, **changes: Any) -> bytes:
    return seal(make_offer(key=key.public.hex(), **changes), key)


TICKET = Ticket(SWARM, "f0" * 32, BERTA.public, (), b"s" * 16, "trainer")
GATE = Members(ANNA.public, tickets={TICKET.ticket_id: OpenTicket(TICKET.secret, TICKET.role)})


def with_ticket(secret: bytes, ticket_id: bytes) -> bytes:
    offer = make_offer(key=MALLORY.public.hex(), ticket=ticket_id.hex())
    return seal(msgspec.structs.replace(offer, proof=prove(secret, offer.unproven()).hex()), MALLORY)


STRANGERS: dict[str, bytes] = {
    "an unknown key": post(signed(MALLORY)),
    "an unknown ticket": post(with_ticket(b"t" * 16, b"t" * 32)),
    "a known ticket without its secret": post(with_ticket(b"t" * 16, TICKET.ticket_id)),
    "a member, of another swarm": post(signed(ANNA, swarm="00" * 32)),
    "a member, to somebody else": post(signed(ANNA, to=MALLORY.public.hex())),
    "a member's key with a stranger's signature": post(seal(make_offer(), MALLORY)),
    "ourselves": post(signed(BERTA)),
    "a browser": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an old browser": b"GET / HTTP/1.0\r\n\r\n",
    "HEAD": b"HEAD /gossip/1/offer HTTP/1.1\r\nHost: x\r\n\r\n",
    "another path": post(signed(ANNA), "/gossip/2/offer"),
    "a query": post(signed(ANNA), PATH + "?x=1"),
    "no body": post(b""),
    "not JSON": post(b"hello"),
    "an endless array": post(b"[" * MAX_BODY_BYTES),
    "another spelling": post(json.dumps(json.loads(signed(ANNA)), indent=1).encode()),
    "a body too long, not even sent": (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    ),
    "a body of 10 EB": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**19}\r\n\r\n".encode(),
    "chunks": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode(),
    "gzip": post(b"\x1f\x8b\x08" + bytes(20), headers="Content-Encoding: gzip\r\n"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a broken length": b"POST /gossip/1/offer HTTP/1.1\r\nHost: x\r\nContent-Length: minus one\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", STRANGERS.values(), ids=STRANGERS.keys())
async def test_strangers_all_hear_the_same_nothing(request_bytes: bytes) -> None:
    async with transport(BERTA, GATE) as (_, port):
        said = await ask(port, request_bytes)
    head, _, body = said.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    assert status.split(" ", 1)[1] == "404 Not Found"
    assert body == b""
    said_headers = {line.partition(":")[0]: line.partition(":")[2].strip() for line in headers}
    assert said_headers.pop("Content-Length", "0") == "0"  # left out for HEAD
    assert said_headers.pop("Connection", "close") == "close"  # HTTP/1.0 has no need to say it
    assert {name for name, value in said_headers.items() if value} <= {"Content-Type"}


async def test_the_same_port_answers_a_member_and_a_ticket() -> None:
    """The positive control of the test above."""
    for offer in (signed(ANNA), with_ticket(TICKET.secret, TICKET.ticket_id)):
        async with transport(BERTA, GATE) as (_, port):
            answer = open_answer(await exchange("127.0.0.1", port, offer))
            assert answer.key == BERTA.public.hex()


async def test_an_offer_is_good_once() -> None:
    async with transport(BERTA, GATE) as (_, port):
        offer = signed(ANNA)
        await exchange("127.0.0.1", port, offer)
        with pytest.raises(LinkError, match="does not answer"):
            await exchange("127.0.0.1", port, offer)


async def test_a_newer_offer_of_a_key_ends_the_older_handshake() -> None:
    async with transport(BERTA, GATE) as (berta, port):
        for number in range(3):
            await exchange("127.0.0.1", port, signed(ANNA, nonce=f"{number:064x}"))
        assert len(berta._admission._under_way) == 1


async def test_connections_beyond_the_bound_make_way_the_oldest_of_the_largest_crowd_first() -> None:
    async with transport(BERTA, GATE) as (_, port):
        hosts = DEFAULT.connections // DEFAULT.connections_host
        idle = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{2 + number % hosts}", 0))
            for number in range(DEFAULT.connections)
        ]
        with pytest.raises(LinkError, match="does not answer us"):  # heard, and refused for what it says
            await exchange("127.0.0.1", port, b"{}")
        async with asyncio.timeout(20):
            assert await idle[0][0].read() == b""
        still_open = [reader for reader, _ in idle if not reader.at_eof()]
        assert len(still_open) == DEFAULT.connections - 1
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.1"])  # another address, and the joiner's own
async def test_one_host_with_slow_connections_keeps_nobody_out(host: str) -> None:
    async with transport(BERTA, GATE) as (_, port):
        slow = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)) for _ in range(DEFAULT.connections)
        ]
        for _, writer in slow:
            writer.write(b"POST /gossip/1/offer HTTP/1.1\r\n")
        assert open_answer(await exchange("127.0.0.1", port, signed(ANNA))).key == BERTA.public.hex()
        for _, writer in slow:
            writer.close()


async def test_an_offer_that_was_let_in_keeps_its_place_whoever_comes_after() -> None:
    """The answer takes a while to make; a crowd from the same address comes meanwhile."""
    let_in, crowd_is_there = asyncio.Event(), asyncio.Event()

    async def answer(_: bytes) -> bytes:
        let_in.set()
        await crowd_is_there.wait()
        return b"{}"

    server = SignallingServer(answer)
    port = await server.start("127.0.0.1", 0)
    async with asyncio.timeout(20):
        asking = asyncio.create_task(exchange("127.0.0.1", port, signed(ANNA)))
        await let_in.wait()
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * DEFAULT.connections_host)]
        assert await crowd[0][0].read() == b""
        crowd_is_there.set()
        assert await asking == b"{}"
    for _, writer in crowd:
        writer.close()
    await server.close()


async def serve_once(said: bytes) -> tuple[asyncio.Server, int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut",
        b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"",
    ],
)
async def test_a_server_that_is_none_is_a_remote_or_link_error(said: bytes) -> None:
    server, port = await serve_once(said)
    async with server:
        with pytest.raises((RemoteError, LinkError)):
            await exchange("127.0.0.1", port, signed(ANNA))


async def test_nobody_there_is_a_link_error_with_advice() -> None:
    server, port = await serve_once(b"")
    server.close()
    await server.wait_closed()
    with pytest.raises(LinkError) as caught:
        await exchange("127.0.0.1", port, signed(ANNA))
    assert caught.value.next_step


def test_an_offer_with_everything_in_it_fits_the_limit() -> None:
    many = Description("a" * 32, "p" * 64, b"\x07" * 32, tuple((f"192.168.100.{n}", 60_000) for n in range(8)))
    offer = make_offer(session=Session.of(many), ticket="44" * 32, proof="55" * 32, to="66" * 32)
    assert len(seal(offer, ANNA)) < MAX_BODY_BYTES // 2
    assert canonical.encode(offer)
