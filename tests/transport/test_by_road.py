"""Peers that know each other's keys and no address: a data channel by road, or a stream where UDP goes nowhere."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gossip.limits import Limits
from gossip.transport import handshake, racing, webrtc
from gossip.transport.bind import Meeting, Party
from gossip.transport.channels import ChannelLink
from gossip.transport.description import Description
from gossip.transport.handshake import Opened
from gossip.transport.link import Link
from gossip.transport.memory import raw_pair
from gossip.transport.offers import Answer, Session, digest, open_offer, seal
from gossip.transport.racing import BLOCKED_S, KEYS_REMEMBERED, Blocked
from gossip.transport.rawpeer import WebRTCPeer
from gossip.transport.road import place_by_road
from gossip.transport.signalling import Unheard
from gossip.transport.tickets import Ticket
from gossip.transport.webrtc import OpenTicket, WebRTCTransport, make_peer
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BACKENDS, BERTA, LOOPBACK, MALLORY, SWARM, Members
from tests.transport.roads import Map, MemoryRoad
from tests.transport.test_signalling import signed

pytestmark = pytest.mark.e2e
LIMIT_S = 60
TO_BERTA = place_by_road(BERTA.public)


class NoUdp(WebRTCTransport):
    """A peer whose router lets no UDP through: its descriptions name a port at which nobody is."""

    def _peer(self) -> WebRTCPeer:
        peer = super()._peer()
        offer, answer = peer.offer, peer.answer

        def behind(own: Description) -> Description:
            return dataclasses.replace(own, candidates=(("127.0.0.1", 9),))

        async def offer_dead() -> Description:
            return behind(await offer())

        async def answer_dead(remote: Description) -> Description:
            return behind(await answer(remote))

        peer.offer, peer.answer = offer_dead, answer_dead  # type: ignore[method-assign]
        return peer


@asynccontextmanager
async def peer(
    where: Map, key: PrivateKey, gate: Members, kind: type[WebRTCTransport] = WebRTCTransport, backend: str = "auto",
    addresses: tuple[str, ...] = LOOPBACK,
) -> AsyncIterator[WebRTCTransport]:  # fmt: skip
    """A transport that is reached by its key only."""
    made = kind(key, SWARM, gate, addresses, backend)  # type: ignore[arg-type]
    where.join(key.public, made)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def two(
    kind: type[WebRTCTransport] = WebRTCTransport, backend: str = "auto"
) -> AsyncIterator[tuple[Map, WebRTCTransport, WebRTCTransport]]:
    """Anna and Berta, members both."""
    where = Map()
    async with (
        peer(where, ANNA, Members(BERTA.public), kind, backend) as anna,
        peer(where, BERTA, Members(ANNA.public), kind, backend) as berta,
        asyncio.timeout(LIMIT_S),
    ):
        yield where, anna, berta


async def both_ways(here: Link, there: Link) -> None:
    assert here.session == there.session
    await here.send(b"hello")
    assert await there.receive() == b"hello"
    await there.send(b"welcome" * 9_000, bulk=True)
    assert await here.receive() == b"welcome" * 9_000
    await asyncio.gather(here.close(), there.close())


async def nothing_under_way(*transports: WebRTCTransport) -> None:
    while any(one._admission._under_way or one._streams._tasks for one in transports):
        await asyncio.sleep(0.01)


# ------------------------------------------------------------------ the better link


@pytest.mark.parametrize("backend", BACKENDS)
async def test_two_members_meet_by_their_keys_and_a_data_channel_carries_the_link(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 10.0 * LIMIT_S)  # (a busy machine may need more than two seconds)
    async with two(backend=backend) as (where, anna, berta):
        here = await anna.dial(*TO_BERTA)
        there = await berta.incoming.get()
        assert (here.key, there.key, here.backend, there.backend) == (BERTA.public, ANNA.public, backend, backend)
        assert (here.dialled, there.dialled) == (True, False)
        assert where.offers == [(ANNA.public, BERTA.public)]
        assert where.streams == []
        await both_ways(here, there)


async def test_an_address_is_dialled_over_http_and_never_by_stream() -> None:
    async with two(NoUdp) as (where, anna, berta):
        port = await berta.start("127.0.0.1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handshake, "BIND_S", 0.3)
            patch.setattr(racing, "STREAM_AFTER_S", 0.0)
            with pytest.raises(LinkError, match="no connection"):
                await anna.dial("127.0.0.1", port)
        assert (where.offers, where.streams) == ([], [])
        here = await anna.dial(*TO_BERTA)  # by road it is known by now that no data channel leads there
        assert (here.backend, where.offers) == ("libp2p", [])
        await both_ways(here, await berta.incoming.get())


# ------------------------------------------------------------------ the other one


@pytest.mark.parametrize("backend", BACKENDS)
async def test_where_udp_goes_nowhere_a_stream_carries_the_link(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.2)
    async with two(NoUdp, backend) as (where, anna, berta):
        here = await anna.dial(*TO_BERTA)
        there = await berta.incoming.get()
        assert (here.backend, there.backend) == ("libp2p", "libp2p")
        assert (len(where.offers), len(where.streams)) == (1, 1)
        await both_ways(here, there)
        again = await anna.dial(*TO_BERTA)  # remembered: no data channel is tried
        assert (len(where.offers), len(where.streams)) == (1, 2)
        await both_ways(again, await berta.incoming.get())
        await anna.move(("127.0.0.1",), 0)  # but it may be open elsewhere
        third = await anna.dial(*TO_BERTA)
        assert (len(where.offers), len(where.streams)) == (2, 3)
        await both_ways(third, await berta.incoming.get())
        assert berta.incoming.empty()


@pytest.mark.parametrize("who", ["dialler", "answerer"])
async def test_who_cannot_even_open_a_port_is_reached_by_a_stream_at_once(who: str) -> None:
    """The same as where no address of one side means anything to the other. STREAM_AFTER_S is never waited for."""
    nowhere, where = ("192.0.2.1",), Map()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(racing, "STREAM_AFTER_S", 10.0 * LIMIT_S)
        async with (
            peer(where, ANNA, Members(BERTA.public), backend="aiortc",
                 addresses=nowhere if who == "dialler" else LOOPBACK) as anna,
            peer(where, BERTA, Members(ANNA.public), backend="aiortc",
                 addresses=nowhere if who == "answerer" else LOOPBACK) as berta,
            asyncio.timeout(LIMIT_S),
        ):  # fmt: skip
            here = await anna.dial(*TO_BERTA)
            assert here.backend == "libp2p"
            await both_ways(here, await berta.incoming.get())


async def test_however_the_race_ends_each_side_has_one_link_and_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are opened at once. Two links at the answerer would make its machine drop the one the dialler has kept."""
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.0)
    won = set()
    async with two() as (where, anna, berta):
        for _ in range(12):
            anna._blocked.clear()
            here = await anna.dial(*TO_BERTA)
            there = await berta.incoming.get()
            assert (here.session, here.backend) == (there.session, there.backend)
            won.add(here.backend)
            await nothing_under_way(berta)  # what lost has ended there, too: long before its 10 s
            assert berta.incoming.empty()
            await both_ways(here, there)
        assert all(end.is_closed for pair in where.streams for end in pair)
    assert won


async def test_a_new_channel_handshake_does_not_end_a_stream_s_and_the_reverse() -> None:
    """One of each kind per key; of the same kind the newer ends the older."""
    async with two(NoUdp) as (where, anna, berta):
        road = anna.road
        assert isinstance(road, MemoryRoad)
        for number in range(2):
            assert await berta.answer_offer(ANNA.public, signed(ANNA, nonce=f"{number:064x}")) is not None
            stream = await road.open(BERTA.public)
            stream.send(handshake_letter(ANNA))
            while not stream.other.sent:
                await asyncio.sleep(0)
            assert set(berta._admission._under_way) == {(ANNA.public, "channel"), (ANNA.public, "stream")}
        while not where.streams[0][1].is_closed:  # the older stream
            await asyncio.sleep(0.01)
        assert not where.streams[1][1].is_closed


def handshake_letter(key: PrivateKey) -> bytes:
    from gossip.transport.handshake import Caller
    from gossip.transport.streamed import letter

    return letter(Caller(SWARM, key, BERTA.public, None).offer(None))


async def test_a_guest_s_ticket_of_one_use_is_good_for_both_ways_of_one_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its channel's handshake is still under way when its stream asks."""
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.1)
    ticket = Ticket(SWARM, "f0" * 32, BERTA.public, (), secrets.token_bytes(16), "observer")
    gate = Members(tickets={ticket.ticket_id: OpenTicket(ticket.secret, ticket.role, 1)})
    where = Map()
    async with (
        peer(where, MALLORY, Members(), NoUdp) as mallory,
        peer(where, BERTA, gate, NoUdp) as berta,
        asyncio.timeout(LIMIT_S),
    ):
        here = await mallory.dial(*TO_BERTA, ticket=ticket)
        there = await berta.incoming.get()
        assert (there.key, there.role, there.backend) == (MALLORY.public, "observer", "libp2p")
        assert there.ticket == ticket.ticket_id
        await both_ways(here, there)


async def test_when_no_stream_leads_there_either_the_dial_says_so_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.0)
    monkeypatch.setattr(handshake, "BIND_S", 0.5)

    class NoStreams(MemoryRoad):
        async def open(self, key: bytes) -> None:  # type: ignore[override]
            raise LinkError("the relay carries nothing more")

    async with two(NoUdp) as (where, anna, berta):
        anna.road = NoStreams(where, ANNA.public)  # type: ignore[assignment]
        with pytest.raises(LinkError):
            await anna.dial(*TO_BERTA)
        await nothing_under_way(anna, berta)


async def test_a_dial_by_road_can_be_cancelled_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.0)
    async with two(NoUdp) as (where, anna, berta):
        for turns in (0, 1, 2, 3, 5, 7, 10, 13, 16, 20, 25, 30, 60):
            anna._blocked.clear()
            dial = asyncio.create_task(anna.dial(*TO_BERTA))
            for _ in range(turns):
                await asyncio.sleep(0)
            if dial.done():
                await dial.result().close()
                continue
            dial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dial
        here = await anna.dial(*TO_BERTA)
        while (there := await berta.incoming.get()).session != here.session:
            pass
        await both_ways(here, there)
        assert all(end.is_closed for end, _ in where.streams)


@pytest.mark.parametrize("fails", [False, True])
async def test_of_two_that_open_in_the_same_moment_one_is_bound_and_the_other_closed(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data channel; unless its far end does not prove itself in time, then the stream."""
    monkeypatch.setattr(racing, "STREAM_AFTER_S", 0.0)
    open_now, tried = asyncio.Event(), list[Opened]()
    answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    answered.set_result(0.0)
    carriers = [raw_pair()[0], raw_pair()[0]]
    meeting = Meeting(SWARM, Party(ANNA.public, b"", b""), Party(BERTA.public, b"", b""))

    async def opening(number: int) -> Opened:
        if number:
            open_now.set()
        await open_now.wait()
        raw = carriers[number]
        return Opened(raw, ChannelLink(raw, key=BERTA.public, dialled=True), meeting, 0.0)

    async def bind(opened: Opened) -> None:
        tried.append(opened)
        if fails and opened.raw is carriers[0]:
            raise LinkError("says nothing")

    async with asyncio.timeout(LIMIT_S):
        bound = await racing.race(opening(0), answered, lambda: opening(1), bind)
    assert bound.raw is carriers[int(fails)]
    assert len(tried) == 1 + fails
    assert [one._closed for one in carriers] == [fails, not fails]
    await bound.link.close()


# ------------------------------------------------------------------ whom, and by whom


async def test_without_a_road_or_a_way_a_dial_by_key_is_a_link_error() -> None:
    async with two() as (where, anna, _):
        del where.transports[BERTA.public]
        with pytest.raises(LinkError, match="nobody knows a way"):
            await anna.dial(*TO_BERTA)
        anna.road = None
        with pytest.raises(LinkError, match="--bootstrap"):
            await anna.dial(*TO_BERTA)
    assert where.streams == []


async def test_nobody_makes_us_offer_or_open_anything_to_a_key_we_do_not_trust() -> None:
    where = Map()
    async with peer(where, ANNA, Members(BERTA.public)) as anna, peer(where, MALLORY, Members()):
        for key in (MALLORY, ANNA):
            with pytest.raises(LinkError, match=r"no member|ourselves"):
                await anna.dial(*place_by_road(key.public))
        with pytest.raises(LinkError, match="another peer"):  # what is said to be Berta's place has Mallory's name
            await anna.dial(*place_by_road(MALLORY.public), key=BERTA.public)
    assert (where.offers, where.streams) == ([], [])


class Answers(MemoryRoad):
    """A road at whose end somebody answers with a key of their own."""

    signer = BERTA
    offer = ""

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        raw = make_peer("aiortc", LOOPBACK)
        mine = await raw.answer(open_offer(offer).description())
        await raw.close()
        answer = Answer(
            swarm=SWARM, key=self.signer.public.hex(), nonce="22" * 32, session=Session.of(mine),
            offer=self.offer or digest(offer),
        )  # fmt: skip
        return seal(answer, self.signer)


@pytest.mark.parametrize("lie", ["another's", "an older one", "noise", "too long"])
async def test_an_answer_that_is_not_that_key_s_to_that_offer_ends_the_dial(lie: str) -> None:
    async with two() as (where, anna, _):
        road = Answers(where, ANNA.public)
        anna.road = road
        if lie == "another's":
            road.signer = MALLORY
            anna._admission.gate.keys.add(MALLORY.public)  # type: ignore[attr-defined]  # a member, even
        elif lie == "an older one":
            road.offer = "00" * 32
        else:
            size = 5_000 if lie == "too long" else 100

            async def exchange(key: bytes, offer: bytes) -> bytes:
                return bytes(size)

            road.exchange = exchange  # type: ignore[method-assign]
        with pytest.raises(RemoteError):
            await anna.dial(*TO_BERTA)
        assert where.streams == []


async def test_an_offer_by_road_whose_key_the_road_has_not_proven_gets_silence() -> None:
    async with two() as (_, _, berta):
        offer = signed(ANNA)
        assert await berta.answer_offer(MALLORY.public, offer) is None
        assert not berta._admission._under_way
        assert await berta.answer_offer(ANNA.public, offer) is not None  # it was not used up
        assert await berta.answer_offer(ANNA.public, offer) is None  # now it is


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, bytes(5_000), signed(MALLORY)])
async def test_strangers_and_noise_by_road_get_silence(data: bytes) -> None:
    async with two() as (_, _, berta):
        assert await berta.answer_offer(MALLORY.public, data) is None
        assert not berta._admission._under_way


async def test_a_flood_of_strangers_by_road_keeps_no_member_out() -> None:
    few = Limits(offers_burst=16, offers_per_min=1)
    berta = WebRTCTransport(BERTA, SWARM, Members(ANNA.public), LOOPBACK, limits=few)
    try:
        for number in range(40):
            stranger = PrivateKey.from_seed(number.to_bytes(32, "big"))
            assert await berta.answer_offer(stranger.public, signed(stranger)) is None
        assert not berta._admission.may_ask(signed(MALLORY), "channel")  # no signature of theirs is looked at any more
        assert await berta.answer_offer(ANNA.public, signed(ANNA)) is not None
    finally:
        await berta.close()


async def test_a_road_at_whose_end_nothing_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "ROAD_S", 0.1)

    class Endless(MemoryRoad):
        async def exchange(self, key: bytes, offer: bytes) -> bytes:
            return await asyncio.Future[bytes]()

    async with two() as (where, anna, _):
        anna.road = Endless(where, ANNA.public)
        with pytest.raises(LinkError, match="libp2p"):
            await anna.dial(*TO_BERTA)
        assert where.streams == []


async def test_silence_by_road_is_told_from_a_peer_that_is_away() -> None:
    where = Map()
    async with peer(where, ANNA, Members(BERTA.public)) as anna, peer(where, BERTA, Members()):
        with pytest.raises(Unheard):
            await anna.dial(*TO_BERTA)


# ------------------------------------------------------------------ memory


def test_what_is_remembered_of_blocked_keys_ends_and_is_bounded() -> None:
    blocked = Blocked()
    blocked.note(b"a", 0.0)
    assert blocked.is_blocked(b"a", BLOCKED_S - 1)
    assert not blocked.is_blocked(b"a", BLOCKED_S)
    assert not blocked.is_blocked(b"b", 0.0)
    for number in range(KEYS_REMEMBERED):
        blocked.note(number.to_bytes(2, "big"), 1.0)
    assert len(blocked._until) == KEYS_REMEMBERED
    assert not blocked.is_blocked(b"a", 1.0)
    blocked.forget(b"\0\0")
    assert not blocked.is_blocked(b"\0\0", 1.0)


def test_a_channel_has_the_first_word_for_long_only_where_it_may_come_about() -> None:
    home, elsewhere = ["192.168.1.2"], ["10.77.2.3", "172.16.0.9"]
    assert racing.patience_s(elsewhere, home, has_servers=False) == racing.STREAM_SOON_S
    assert racing.patience_s(elsewhere, home, has_servers=True) == racing.STREAM_AFTER_S
    for near in ("192.168.1.77", "8.8.8.8"):  # in the same network; public: we may speak to it first
        assert racing.patience_s([*elsewhere, near], home, has_servers=False) == racing.STREAM_AFTER_S
