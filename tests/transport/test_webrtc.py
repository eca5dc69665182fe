"""From an address to a bound link, over real WebRTC on loopback, for every pair of libraries."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from gossip.transport import handshake
from gossip.transport.link import Link
from gossip.transport.offers import Answer, Offer, Session, digest, open_offer, seal
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.signalling import SignallingServer
from gossip.transport.tickets import Ticket
from gossip.transport.webrtc import OpenTicket, WebRTCTransport, choose_backend, make_peer
from ledger.errors import LinkError, LocalError, RemoteError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BACKENDS, BERTA, LOOPBACK, MALLORY, SWARM, Members, transport

pytestmark = pytest.mark.e2e
LIMIT_S = 30
PAIRS = [(one, two) for one in BACKENDS for two in BACKENDS]


async def both_ways(anna: Link, berta: Link) -> None:
    async with asyncio.timeout(LIMIT_S):
        await anna.send(b"hello")
        assert await berta.receive() == b"hello"
        await berta.send(b"welcome" * 9_000, bulk=True)
        assert await anna.receive() == b"welcome" * 9_000
        await asyncio.gather(anna.close(), berta.close())


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_two_members_meet_and_know_whom_they_met(pair: tuple[str, str]) -> None:
    async with (
        transport(ANNA, Members(BERTA.public), pair[0]) as (anna, _),
        transport(BERTA, Members(ANNA.public), pair[1]) as (berta, port),
        asyncio.timeout(LIMIT_S),
    ):
        here = await anna.dial("127.0.0.1", port)
        there = await berta.incoming.get()
        assert (here.key, there.key) == (BERTA.public, ANNA.public)
        assert (here.dialled, there.dialled, there.role) == (True, False, "")
        assert (here.backend, there.backend) == pair
        await both_ways(here, there)


async def test_who_moves_answers_at_the_new_address_and_no_longer_at_the_old_one() -> None:
    async with (
        transport(ANNA, Members(BERTA.public)) as (anna, _),
        transport(BERTA, Members(ANNA.public)) as (berta, port),
        asyncio.timeout(LIMIT_S),
    ):
        assert await berta.move(("127.0.0.2",), port) == port  # the same port, for who knows it by that
        with pytest.raises(LinkError, match="cannot reach"):
            await anna.dial("127.0.0.1", port)
        here = await anna.dial("127.0.0.2", port)
        await both_ways(here, await berta.incoming.get())
        taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.3", port)
        async with taken:
            elsewhere = await berta.move(("127.0.0.3",), port)
            assert elsewhere != port  # taken there: any free one
            again = await anna.dial("127.0.0.3", elsewhere)
            await both_ways(again, await berta.incoming.get())


async def test_a_ticket_lets_a_stranger_in_with_its_role() -> None:
    ticket = Ticket(SWARM, "f0" * 32, BERTA.public, (), secrets.token_bytes(16), "observer")
    gate = Members(tickets={ticket.ticket_id: OpenTicket(ticket.secret, ticket.role)})
    async with (
        transport(ANNA, Members()) as (anna, _),
        transport(BERTA, gate) as (berta, port),
        asyncio.timeout(LIMIT_S),
    ):
        here = await anna.dial("127.0.0.1", port, ticket=ticket)
        there = await berta.incoming.get()
        assert there.role == "observer"
        await both_ways(here, there)
        gate.tickets.clear()  # used up
        with pytest.raises(LinkError, match="does not answer"):
            await anna.dial("127.0.0.1", port, ticket=ticket)
        gate.keys.add(ANNA.public)  # but admitted meanwhile: the old ticket does no harm
        again = await anna.dial("127.0.0.1", port, ticket=ticket)
        there = await berta.incoming.get()
        assert there.role == ""
        await both_ways(again, there)


async def test_who_has_forgotten_the_members_may_dial_one_that_remembers() -> None:
    forgetful = Members()
    async with (
        transport(ANNA, forgetful) as (anna, port),
        transport(BERTA, Members(ANNA.public)) as (berta, there),
        asyncio.timeout(LIMIT_S),
    ):
        with pytest.raises(LinkError, match="no member"):
            await anna.dial("127.0.0.1", there, key=BERTA.public)
        forgetful.forgetful = True
        link = await anna.dial("127.0.0.1", there, key=BERTA.public)
        assert link.key == BERTA.public
        with pytest.raises(LinkError, match="does not answer us"):
            await berta.dial("127.0.0.1", port, key=ANNA.public)  # but lets nobody in
        await asyncio.gather(link.close(), (await berta.incoming.get()).close())


async def test_a_dialler_sends_nothing_to_a_key_it_does_not_trust() -> None:
    asked = 0

    async def answer(_: bytes) -> None:
        nonlocal asked
        asked += 1

    server = SignallingServer(answer)
    port = await server.start("127.0.0.1", 0)
    async with transport(ANNA, Members()) as (anna, _):
        with pytest.raises(LinkError, match="no member"):
            await anna.dial("127.0.0.1", port, key=MALLORY.public)
        with pytest.raises(LinkError, match="ourselves"):
            await anna.dial("127.0.0.1", port, key=ANNA.public)
        assert asked == 0
    await server.close()


class Impostor:
    """Answers offers like a peer would, but for one lie."""

    def __init__(self, signer: PrivateKey, *, swarm: str = SWARM, offer: str = "", binder: PrivateKey | None = None):
        self.signer, self.swarm, self.offer, self.binder = signer, swarm, offer, binder
        self.peers: list[WebRTCPeer] = []

    async def answer(self, data: bytes) -> bytes:
        offer: Offer = open_offer(data)
        peer = make_peer("aiortc", LOOPBACK)
        self.peers.append(peer)
        mine = await peer.answer(offer.description())
        if self.binder is not None:
            asyncio.get_running_loop().create_task(self._bind(peer))
        answer = Answer(
            swarm=self.swarm,
            key=self.signer.public.hex(),
            nonce="22" * 32,
            session=Session.of(mine),
            offer=self.offer or digest(data),
        )
        return seal(answer, self.signer)

    async def _bind(self, peer: WebRTCPeer) -> None:
        assert self.binder is not None
        await peer.opened()
        peer.send(0, b"\x01\x40\x00\x00\x00" + self.binder.sign(b"whatever"))


@pytest.mark.parametrize(
    ("impostor", "error"),
    [
        (Impostor(MALLORY), RemoteError),  # another key than the one we dialled
        (Impostor(BERTA, swarm="00" * 32), RemoteError),
        (Impostor(BERTA, offer="00" * 32), RemoteError),  # an old answer, replayed
        (Impostor(BERTA, binder=MALLORY), RemoteError),  # the right answer, but somebody else on the channel
    ],
    ids=["key", "swarm", "replay", "bind"],
)
async def test_an_impostor_can_stop_a_dial_and_nothing_more(impostor: Impostor, error: type[Exception]) -> None:
    server = SignallingServer(impostor.answer)
    port = await server.start("127.0.0.1", 0)
    async with transport(ANNA, Members(BERTA.public)) as (anna, _), asyncio.timeout(LIMIT_S):
        with pytest.raises(error):
            await anna.dial("127.0.0.1", port, key=BERTA.public)
    for peer in impostor.peers:
        await peer.close()
    await server.close()


async def test_whoever_answers_at_an_address_must_be_known() -> None:
    impostor = Impostor(MALLORY)
    server = SignallingServer(impostor.answer)
    port = await server.start("127.0.0.1", 0)
    async with transport(ANNA, Members(BERTA.public)) as (anna, _), asyncio.timeout(LIMIT_S):
        with pytest.raises(LinkError, match="no member"):
            await anna.dial("127.0.0.1", port)
    await impostor.peers[0].close()
    await server.close()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_an_answer_whose_udp_is_dead_is_a_link_error(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "BIND_S", 0.5)
    impostor = Impostor(BERTA)
    server = SignallingServer(impostor.answer)
    port = await server.start("127.0.0.1", 0)

    async def answer_and_die(data: bytes) -> bytes:
        answer = await impostor.answer(data)
        await impostor.peers[-1].close()
        return answer

    server._answer = answer_and_die
    async with transport(ANNA, Members(BERTA.public), backend) as (anna, _), asyncio.timeout(LIMIT_S):
        with pytest.raises(LinkError):
            await anna.dial("127.0.0.1", port)
    await server.close()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_dial_can_be_cancelled_at_any_moment(backend: str) -> None:
    async with (
        transport(ANNA, Members(BERTA.public), backend) as (anna, _),
        transport(BERTA, Members(ANNA.public), backend) as (berta, port),
        asyncio.timeout(LIMIT_S),
    ):
        for turns in (0, 1, 3, 10, 30):
            dial = asyncio.create_task(anna.dial("127.0.0.1", port))
            for _ in range(turns):
                await asyncio.sleep(0)
            if dial.done():  # a fast library may be through by now
                await dial.result().close()
                continue
            dial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dial
        here = await anna.dial("127.0.0.1", port)
        while (there := await berta.incoming.get()).key != ANNA.public:
            pass
        await both_ways(here, there)


async def test_two_that_dial_each_other_at_once_get_two_links() -> None:
    async with (
        transport(ANNA, Members(BERTA.public)) as (anna, anna_port),
        transport(BERTA, Members(ANNA.public)) as (berta, berta_port),
        asyncio.timeout(LIMIT_S),
    ):
        one, two = await asyncio.gather(anna.dial("127.0.0.1", berta_port), berta.dial("127.0.0.1", anna_port))
        await both_ways(one, await berta.incoming.get())
        await both_ways(await anna.incoming.get(), two)


async def test_a_port_in_use_is_said_so() -> None:
    async with transport(ANNA, Members()) as (_, port):
        second = WebRTCTransport(BERTA, SWARM, Members(), LOOPBACK)
        with pytest.raises(LinkError, match="cannot listen"):
            await second.start("127.0.0.1", port)
        await second.close()


def test_the_faster_library_is_taken_where_it_is_installed() -> None:
    assert choose_backend("auto") == BACKENDS[-1]
    assert choose_backend("aiortc") == "aiortc"
    if len(BACKENDS) == 1:
        with pytest.raises(LocalError, match=r"3\.12"):
            choose_backend("aiolibdatachannel")


def test_no_address_is_our_own_fault() -> None:
    with pytest.raises(LocalError):
        WebRTCTransport(ANNA, SWARM, Members(), ())


@pytest.mark.parametrize("backend", BACKENDS)
async def test_only_the_addresses_named_are_offered(backend: str) -> None:
    peer = make_peer(backend, LOOPBACK)
    offer = await peer.offer()
    assert [host for host, _ in offer.candidates] == ["127.0.0.1"]
    await peer.close()
