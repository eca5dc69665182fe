"""STUN and TURN servers that the user names: what they add to an offer, and what a bad one costs."""

from __future__ import annotations

import asyncio

import pytest

from gossip.transport.description import MAX_CANDIDATES
from gossip.transport.ice import MAX_SERVERS, IceServer, ice_servers, offered, said_by_servers
from gossip.transport.webrtc import make_peer
from ledger.errors import LocalError
from tests.transport.joining import BACKENDS, LOOPBACK, opened
from tests.transport.stun_server import Place, stun_server

LIMIT_S = 30
SECRET = "p:ss@word%"


def test_a_stun_and_a_turn_server_are_read_as_they_are_written() -> None:
    assert IceServer.parse("stun:stun.example.org:3478") == IceServer("stun", "stun.example.org", 3478)
    turn = IceServer.parse("turn:anna%40home:p%3Ass%40word%25@192.0.2.1:5349")
    assert turn == IceServer("turn", "192.0.2.1", 5349, "anna@home", SECRET)


def test_a_password_is_in_no_text_that_people_or_logs_see() -> None:
    turn = IceServer.parse("turn:anna:p%3Ass%40word%25@192.0.2.1:5349")
    assert str(turn) == "turn:192.0.2.1:5349"
    for text in (repr(turn), str(turn), f"{turn}", repr([turn])):
        assert SECRET not in text
        assert "p%3Ass" not in text


@pytest.mark.parametrize(
    "text",
    [
        "", "stun:", "stun:host", "stun:host:0", "stun:host:65536", "stun:host:123456", "stun:-host:1", "stun:h st:1",
        "stun:host:1\n", "stun:hidden@host:1", "stuns:host:1", "turn:host:1", "turn:hidden@host:1",
        "turn::hidden@host:1", "turn:anna:@host:1", "turn:anna:hidden:x@host:1", "turn:anna:hid/den@host:1",
        "turn:anna:hidden%@host:1", "turn:anna:hidden%zz@host:1", "turn:anna:hidden%ff@host:1", "turn:a:hidden@[::1]:1",
        "turn:a:" + "hidden" * 200 + "@host:1",
    ],
)  # fmt: skip
def test_anything_else_is_the_users_error_in_one_line_that_quotes_nothing(text: str) -> None:
    with pytest.raises(LocalError) as caught:
        IceServer.parse(text)
    assert "\n" not in str(caught.value)
    assert "hid" not in str(caught.value)


def test_a_server_named_twice_is_asked_once_and_too_many_are_refused() -> None:
    assert len(ice_servers(["stun:a:1", "stun:a:1", "stun:b:1"])) == 2
    with pytest.raises(LocalError, match="ICE servers"):
        ice_servers([f"stun:a:{port}" for port in range(1, MAX_SERVERS + 2)])


def test_own_addresses_come_first_and_each_kind_has_a_place() -> None:
    hosts = [(f"10.0.0.{n}", 4000) for n in range(1, 11)]
    reflexive = [(f"198.51.100.{n}", 4000) for n in range(1, 11)]
    relayed = [(f"203.0.113.{n}", 4000) for n in range(1, 11)]
    assert offered(hosts) == hosts[:MAX_CANDIDATES]
    assert offered(hosts, reflexive, relayed) == [*hosts[:6], reflexive[0], relayed[0]]
    assert offered(hosts[:2], reflexive, relayed) == [*hosts[:2], *reflexive[:5], relayed[0]]
    assert offered(hosts[:1], [], relayed) == [hosts[0], *relayed[:7]]


def test_what_a_server_says_is_offered_only_if_a_peer_would_take_it() -> None:
    host = ("192.168.1.7", 4000)
    nonsense = [("0.0.0.0", 1), ("224.0.0.1", 1), ("::1", 1), ("198.51.100.1", 0), ("198.51.100.01", 1)]
    assert offered([host], [*nonsense, host, ("198.51.100.1", 7)], [("198.51.100.1", 7)]) == [host, ("198.51.100.1", 7)]


def test_a_library_s_candidate_lines_are_read() -> None:
    lines = [
        "a=candidate:1 1 UDP 2122317823 10.0.0.7 40000 typ host",
        "a=candidate:2 1 UDP 1686109951 198.51.100.7 40001 typ srflx raddr 0.0.0.0 rport 0",
        "candidate:3 1 udp 8331263 203.0.113.7 40002 typ relay raddr 0.0.0.0 rport 0",
    ]
    assert said_by_servers(lines) == ([("198.51.100.7", 40001)], [("203.0.113.7", 40002)])


@pytest.mark.e2e
@pytest.mark.parametrize("backend", BACKENDS)
class TestStun:
    async def test_how_a_server_sees_us_is_offered_behind_our_own_addresses(self, backend: str) -> None:
        def mapped(place: Place) -> Place:
            return "198.51.100.77", place[1]

        async with asyncio.timeout(LIMIT_S), stun_server(mapped) as server, stun_server(mapped) as second:
            servers = ice_servers([f"stun:127.0.0.1:{server.port}", f"stun:127.0.0.1:{second.port}"])
            peer = make_peer(backend, LOOPBACK, servers)
            offer = await peer.offer()
            assert server.asked or second.asked  # aiolibdatachannel asks one of them
            port = offer.candidates[0][1]
            assert offer.candidates == (("127.0.0.1", port), ("198.51.100.77", port))
            answering = make_peer(backend, LOOPBACK, servers)  # and so does who answers
            answer = await answering.answer(offer)
            assert answer.candidates[1] == ("198.51.100.77", answer.candidates[0][1])
            await asyncio.gather(peer.close(), answering.close())

    async def test_with_servers_two_still_meet(self, backend: str) -> None:
        async with asyncio.timeout(LIMIT_S), stun_server(lambda place: ("198.51.100.77", place[1])) as server:
            servers = ice_servers([f"stun:127.0.0.1:{server.port}"])
            one, two = make_peer(backend, LOOPBACK, servers), make_peer(backend, LOOPBACK, servers)
            await one.accept(await two.answer(await one.offer()))
            await opened(one, two)
            await asyncio.gather(one.close(), two.close())

    @pytest.mark.parametrize("said", [("0.0.0.0", 9), ("127.0.0.1", 0)], ids=["nowhere", "no port"])
    async def test_what_a_lying_server_says_is_not_offered(self, backend: str, said: Place) -> None:
        async with asyncio.timeout(LIMIT_S), stun_server(lambda place: said) as server:
            peer = make_peer(backend, LOOPBACK, ice_servers([f"stun:127.0.0.1:{server.port}"]))
            offer = await peer.offer()
            assert server.asked
            assert [host for host, _ in offer.candidates] == ["127.0.0.1"]
            await peer.close()

    async def test_dead_servers_cost_their_own_candidates_only(self, backend: str) -> None:
        """(A library left to itself waits for them for half a minute: LIMIT_S.)"""
        async with asyncio.timeout(LIMIT_S), stun_server(lambda place: None) as server:
            names = [f"stun:127.0.0.1:{server.port}", "turn:anna:secret@127.0.0.1:9"]
            if backend == "aiortc":
                names.append("stun:no-such-host.invalid:3478")
            peer = make_peer(backend, LOOPBACK, ice_servers(names))
            offer = await peer.offer()
            assert server.asked
            assert [host for host, _ in offer.candidates] == ["127.0.0.1"]
            await peer.close()

    async def test_no_server_is_asked_unless_named(self, backend: str) -> None:
        async with asyncio.timeout(LIMIT_S), stun_server(lambda place: place) as server:
            peer = make_peer(backend, LOOPBACK)
            assert len((await peer.offer()).candidates) == 1
            assert server.asked == []
            await peer.close()
