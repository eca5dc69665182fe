"""A relay for a community: it serves what the specification says, to py-libp2p's own client, and its limits hold."""

from __future__ import annotations

import contextlib
import secrets
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
from libp2p.host.exceptions import StreamFailure
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2 import CircuitV2Protocol, CircuitV2Transport
from libp2p.relay.circuit_v2.config import RelayConfig, RelayRole
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Status, StopMessage
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from libp2p.tools.anyio_service import background_trio_service
from libp2p.utils.varint import encode_varint_prefixed
from multiaddr import Multiaddr

from gossip.wide import dht_server, entrance, hop, kad
from gossip.wide.entrance import Places
from gossip.wide.hop import HOP, STOP, Limits
from gossip.wide.kad import PROTOCOL as DHT
from gossip.wide.protobuf import field
from gossip.wide.relay_node import RelayNode
from tests.wide.meeting import peer, reach, relay, story, until


async def reserve(host: Any, at: Any) -> Any:
    """Ask for a reservation, in the library's own words."""
    stream = await host.new_stream(at, [HOP])
    await write_delimited_msg(stream, HopMessage(type=HopMessage.RESERVE))
    answer = await read_delimited_msg(stream, HopMessage)
    await stream.close()
    return answer


async def connect(host: Any, at: Any, target: Any) -> tuple[Any, Any]:
    """Ask for a circuit to a peer: the answer, and the stream that it is on."""
    stream = await host.new_stream(at, [HOP])
    asked = HopMessage(type=HopMessage.CONNECT)
    asked.peer.id = target.to_bytes()
    await write_delimited_msg(stream, asked)
    return await read_delimited_msg(stream, HopMessage), stream


class Target:
    """A peer that takes every circuit, and says back what it hears."""

    def __init__(self, host: Any) -> None:
        self.heard = 0
        self.ended = 0
        host.set_stream_handler(STOP, self._stop)

    async def _stop(self, stream: Any) -> None:
        asked = await read_delimited_msg(stream, StopMessage)
        assert asked.limit.duration
        assert asked.limit.data
        await write_delimited_msg(stream, StopMessage(type=StopMessage.STATUS, status=Status.OK))
        try:
            while data := await stream.read(4096):
                self.heard += len(data)
                await stream.write(data)
            await stream.close()
        except Exception:
            pass
        finally:
            self.ended += 1


async def gone(stream: Any) -> bool:
    """Whether a stream has ended, by its end or a reset."""
    try:
        return not await stream.read(1)
    except Exception:
        return True


def test_the_library_s_own_client_reserves_and_is_dialled_through_it() -> None:
    async def play() -> None:
        async with relay() as (node, address), peer() as anna, peer() as berta, trio.open_nursery() as nursery:
            ways = []
            for host in (anna, berta):
                protocol = CircuitV2Protocol(host, allow_hop=False)
                await nursery.start(_serving, protocol)
                ways.append(CircuitV2Transport(host, protocol, RelayConfig(roles=RelayRole.STOP | RelayRole.CLIENT)))
            at = await reach(anna, address)
            await reach(berta, address)
            stream = await anna.new_stream(at, [HOP])
            assert await ways[0].reserve(stream, at, nursery)

            async def echo(stream: Any) -> None:
                await stream.write(await stream.read(100))
                await stream.close()

            anna.set_stream_handler("/echo/1", echo)
            await ways[1].dial(Multiaddr(f"{address}/p2p-circuit/p2p/{anna.get_id()}"))
            said = await berta.new_stream(anna.get_id(), ["/echo/1"])
            await said.write(b"through the relay")
            assert await said.read(100) == b"through the relay"
            counts = node.counts()
            assert (counts.circuits, counts.served, counts.connections) == (1, 1, 2)
            assert counts.reservations == 2, "the library reserves before it dials, too"
            assert counts.carried_bytes > len("through the relay")
            nursery.cancel_scope.cancel()

    async def _serving(protocol: Any, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        async with background_trio_service(protocol):
            await protocol.event_started.wait()
            task_status.started()
            await trio.sleep_forever()

    story(play)


def test_a_reservation_says_until_when_where_and_how_much() -> None:
    async def play() -> None:
        async with relay(Limits(seconds=90, each_way=5_000)) as (_, address), peer() as anna:
            answer = await reserve(anna, await reach(anna, address))
            assert answer.status == hop.OK
            assert (answer.limit.duration, answer.limit.data) == (90, 5_000)
            assert [str(Multiaddr(each)) for each in answer.reservation.addrs] == [address]
            assert answer.reservation.expire > 0
            assert answer.reservation.voucher

    story(play)


def test_one_reservation_above_the_limit_is_refused_until_somebody_goes() -> None:
    async def play() -> None:
        async with relay(Limits(reservations=2)) as (node, address), AsyncExitStack() as room:
            anna, berta, cleo = [await room.enter_async_context(peer()) for _ in range(3)]
            for host in (anna, berta, cleo):
                at = await reach(host, address)
            assert [(await reserve(host, at)).status for host in (anna, berta)] == [hop.OK] * 2
            refused = await reserve(cleo, at)
            assert refused.status == hop.TOO_MUCH
            assert not refused.HasField("reservation")
            assert (await reserve(anna, at)).status == hop.OK, "who has one may renew it"
            await berta.disconnect(at)
            await until(lambda: node.counts().reservations == 1)
            assert (await reserve(cleo, at)).status == hop.OK

    story(play)


def test_one_network_address_cannot_take_all_reservations() -> None:
    async def play() -> None:
        async with relay(Limits(reservations=9, of_address=1)) as (_, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            assert (await reserve(anna, at)).status == hop.OK
            assert (await reserve(berta, at)).status == hop.TOO_MUCH

    story(play)


def test_circuits_go_to_who_holds_a_reservation_and_no_further_than_the_limit() -> None:
    async def play() -> None:
        async with relay(Limits(circuits=2)) as (node, address), peer() as anna, peer() as berta, peer() as cleo:
            at = await reach(anna, address)
            await reach(berta, address)
            await reach(cleo, address)
            target = Target(anna)
            answer, stream = await connect(berta, at, anna.get_id())
            assert answer.status == hop.NO_RESERVATION
            assert await gone(stream)
            await reserve(anna, at)
            nobody = ID.from_string("12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8")
            assert (await connect(berta, at, nobody))[0].status == hop.NO_RESERVATION
            stand = [await connect(host, at, anna.get_id()) for host in (berta, cleo)]
            assert [answer.status for answer, _ in stand] == [hop.OK] * 2
            answer, stream = await connect(cleo, at, anna.get_id())
            assert answer.status == hop.TOO_MUCH
            assert await gone(stream)
            for _, stream in stand:  # and those that stand go on
                await stream.write(b"still here")
                assert await stream.read(100) == b"still here"
            await stand[0][1].close()
            await until(lambda: node.counts().circuits == 1)
            await stand[1][1].write(b"and now?")  # the end of one is not the other's
            assert await stand[1][1].read(100) == b"and now?"
            assert (await connect(berta, at, anna.get_id()))[0].status == hop.OK
            await until(lambda: target.ended == 1)

    story(play)


def test_a_circuit_beyond_its_bytes_ends_and_its_neighbour_stays() -> None:
    async def play() -> None:
        async with relay(Limits(each_way=10_000)) as (node, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            target = Target(anna)
            await reserve(anna, at)
            (_, greedy), (_, modest) = [await connect(berta, at, anna.get_id()) for _ in range(2)]
            await greedy.write(bytes(9_000))
            await until(lambda: target.heard == 9_000)
            await modest.write(b"a word")
            assert await modest.read(100) == b"a word"
            await greedy.write(bytes(2_000))
            await until(lambda: node.counts().circuits == 1)
            assert target.heard <= 10_006
            await modest.write(b"another")
            assert await modest.read(100) == b"another"

    story(play)


def test_a_circuit_ends_when_its_time_is_over_even_if_nobody_says_anything() -> None:
    async def play() -> None:
        async with relay(Limits(seconds=1)) as (node, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            target = Target(anna)
            await reserve(anna, at)
            answer, stream = await connect(berta, at, anna.get_id())
            assert answer.status == hop.OK
            assert await gone(stream)
            await until(lambda: target.ended == 1 and node.counts().circuits == 0)
            assert node.counts().reservations == 1

    story(play)


def test_a_target_that_says_no_is_told_to_the_source_and_counts_nothing() -> None:
    async def play() -> None:
        async with relay(Limits(circuits=1)) as (node, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            await reserve(anna, at)
            for _ in range(3):  # it speaks no STOP at all
                assert (await connect(berta, at, anna.get_id()))[0].status == hop.FAILED
            await until(lambda: node.counts().circuits == 0)
            Target(anna)
            assert (await connect(berta, at, anna.get_id()))[0].status == hop.OK

    story(play)


@pytest.mark.parametrize("sent", [b"\x02\x08\x09", b"\x03\xff\xff\xff", b"\x02\x08\x01", b"\xff" * 12, b"\xff\xff\x7f"])
def test_nonsense_ends_its_stream_and_nothing_else(sent: bytes) -> None:
    async def play() -> None:
        async with relay() as (_, address), peer() as anna:
            at = await reach(anna, address)
            stream = await anna.new_stream(at, [HOP])
            await stream.write(sent)
            try:
                answer = await read_delimited_msg(stream, HopMessage)
                assert answer.status == hop.MALFORMED
            except Exception:  # a reset will do
                assert await gone(stream)
            assert (await reserve(anna, at)).status == hop.OK

    story(play)


def test_connections_of_one_address_and_in_all_are_bounded_and_who_is_of_use_stays() -> None:
    async def play(places: Places) -> None:
        async with relay(places=places) as (node, address), AsyncExitStack() as room:
            hosts = [await room.enter_async_context(peer()) for _ in range(4)]
            at = await reach(hosts[0], address)
            assert (await reserve(hosts[0], at)).status == hop.OK
            await reach(hosts[1], address)
            await reach(hosts[2], address)  # hosts[1] has asked for nothing, and makes room
            await until(lambda: not hosts[1].get_network().get_connections(at))
            assert (node.counts().connections, node.counts().refused) == (2, 1)
            assert (await reserve(hosts[2], at)).status == hop.OK
            with pytest.raises(Exception):  # noqa: B017  # the library's, of a dial that failed
                await reach(hosts[3], address)
            await until(lambda: node.counts().refused == 2)
            assert (await reserve(hosts[0], at)).status == hop.OK
            await hosts[0].disconnect(at)
            await until(lambda: node.counts().connections == 1)
            async with peer() as next_one:  # py-libp2p rests after a dial that failed, so another than the refused
                await reach(next_one, address)

    story(lambda: play(Places(in_all=9, of_address=2)))
    story(lambda: play(Places(in_all=2, of_address=9)))


async def silent(address: str) -> trio.SocketStream:
    """A connection on which nothing is said."""
    return await trio.open_tcp_stream("127.0.0.1", int(address.split("/")[4]))


def test_who_says_nothing_fills_no_relay() -> None:
    async def play() -> None:
        async with relay(places=Places(in_all=3, of_address=3)) as (node, address), peer() as anna:
            for each in (kept := [await silent(address) for _ in range(3)]):
                assert each
            await until(lambda: node.counts().connections == 3)
            at = await reach(anna, address)
            assert (await reserve(anna, at)).status == hop.OK
            kept += [await silent(address) for _ in range(3)]
            await until(lambda: node.counts().refused == 4)
            assert (await reserve(anna, at)).status == hop.OK, "nor does who has said something leave for it"
            for each in kept:
                await each.aclose()

    story(play)


def test_who_asks_for_nothing_leaves_after_a_while_and_who_holds_a_place_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        async with relay() as (node, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            assert (await reserve(anna, at)).status == hop.OK
            monkeypatch.setattr(entrance, "IDLE_S", 0.5)  # for who comes from now on
            await reach(berta, address)
            await until(lambda: not berta.get_network().get_connections(at))
            await until(lambda: node.counts().connections == 1)  # the relay may let go of it a moment later
            assert (await reserve(anna, at)).status == hop.OK

    story(play)


def test_a_handshake_has_its_time_and_a_machine_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "HANDSHAKE_S", 0.1)

    async def play() -> None:
        async with relay() as (node, address):
            nobody = await silent(address)
            while await nobody.receive_some(1000):
                pass
            await until(lambda: node.counts().connections == 0)
        made = trio.socket.socket()
        stream = trio.SocketStream(made)
        entrance._keep_alive(stream)
        said = [stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        said += [stream.getsockopt(socket.IPPROTO_TCP, each) for each in (socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]
        assert said[0]
        assert said[1:] == [15, 3]
        await stream.aclose()

    story(play)


def test_handshakes_of_one_address_have_a_pace() -> None:
    async def play() -> None:
        places = Places(handshakes=2, handshakes_per_s=0.0)
        async with relay(places=places) as (node, address), peer() as anna, peer() as berta, peer() as cleo:
            await reach(anna, address)
            await reach(berta, address)
            with pytest.raises(Exception):  # noqa: B017  # the library's, of a dial that failed
                await reach(cleo, address)
            assert (node.counts().connections, node.counts().refused) == (2, 1)

    story(play)


def test_nobody_is_asked_who_it_is_and_whoever_has_gone_is_forgotten() -> None:
    """py-libp2p's own host asks everybody, and keeps up to 1 MiB of each answer for good."""

    def entries(node: RelayNode) -> int:
        host = node._of_library
        network = host.get_network()
        noise = list(network.upgrader.security_multistream.transports.values())
        parts = [host, network, network.peerstore, network.tag_store, network.auto_connector, *noise]
        kept = [each for part in parts for each in vars(part).values()]
        return sum(len(each) for each in kept if isinstance(each, (dict, set, list)))

    async def play() -> None:
        asked: list[Any] = []

        async def identify(stream: Any) -> None:
            asked.append(stream)

        async with relay(places=Places(handshakes=1000)) as (node, address):
            before = entries(node)
            for _ in range(4):
                async with peer() as anna:
                    anna.set_stream_handler(IDENTIFY, identify)
                    at = await reach(anna, address)
                    assert (await reserve(anna, at)).status == hop.OK
                    node._of_library.get_peerstore().add_protocols(anna.get_id(), ["/noted/by/something"])
                    await anna.disconnect(at)
            await until(lambda: node.counts().connections == 0 and entries(node) <= before)
            assert not asked

    story(play)


def test_a_target_s_places_are_not_one_peer_s_nor_one_network_s() -> None:
    async def play() -> None:
        async with relay(Limits(of_source=1)) as (_, address), peer() as anna, peer() as berta, peer() as cleo:
            at = await reach(anna, address)
            await reach(berta, address)
            await reach(cleo, address)
            Target(anna)
            await reserve(anna, at)
            assert (await connect(berta, at, anna.get_id()))[0].status == hop.OK
            assert (await connect(berta, at, anna.get_id()))[0].status == hop.TOO_MUCH
            assert (await connect(cleo, at, anna.get_id()))[0].status == hop.OK
        async with relay(Limits(of_network=1)) as (_, address), peer() as anna, peer() as berta, peer() as cleo:
            at = await reach(anna, address)
            await reach(berta, address)
            await reach(cleo, address)
            Target(anna)
            await reserve(anna, at)
            assert (await connect(berta, at, anna.get_id()))[0].status == hop.OK
            assert (await connect(cleo, at, anna.get_id()))[0].status == hop.TOO_MUCH

    story(play)


def test_a_circuit_on_which_nothing_is_said_at_first_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop, "FIRST_S", 0.2)

    async def play() -> None:
        async with relay() as (node, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            target = Target(anna)
            await reserve(anna, at)
            answer, stream = await connect(berta, at, anna.get_id())
            assert answer.status == hop.OK
            assert await gone(stream)
            await until(lambda: target.ended == 1 and node.counts().circuits == 0)
            assert node.counts().reservations == 1

    story(play)


def test_questions_to_the_dht_have_so_many_streams_and_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(of_one: int, of_two: int) -> None:
        async with relay() as (_, address), peer() as anna, peer() as berta:
            at = await reach(anna, address)
            await reach(berta, address)
            asking = [await anna.new_stream(at, [DHT]) for _ in range(of_one)]
            asking += [await berta.new_stream(at, [DHT]) for _ in range(of_two)]
            with contextlib.suppress(StreamFailure):  # or it is reset just before its protocol is settled
                assert await gone(await (berta if of_two else anna).new_stream(at, [DHT]))
            question = field(1, kad.PING)
            await asking[0].write(encode_varint_prefixed(question))
            assert await asking[0].read(100) == encode_varint_prefixed(question), "those before it are answered"
            with monkeypatch.context() as quick:
                quick.setattr(dht_server, "SILENT_S", 0.1)
                await asking[0].write(encode_varint_prefixed(question))
                assert await asking[0].read(100)
                assert await gone(asking[0])

    story(lambda: play(dht_server.STREAMS_OF_PEER, 0))
    monkeypatch.setattr(dht_server, "STREAMS", 3)
    story(lambda: play(2, 1))


def test_who_came_and_went_leaves_no_place_taken() -> None:
    """py-libp2p's own listener has let in 250 connections for its lifetime, and nobody after."""

    async def play() -> None:
        async with relay(places=Places(in_all=3, of_address=3)) as (node, address):
            for _ in range(5):
                async with peer() as anna:
                    await anna.disconnect(await reach(anna, address))
                await until(lambda: node.counts().connections == 0)
            assert node.counts().refused == 0

    story(play)


def test_the_counts_are_told_every_minute() -> None:
    async def play() -> None:
        told: list[Any] = []
        async with relay(minute=told.append) as (_, address), peer() as anna:
            await reserve(anna, await reach(anna, address))
            await until(lambda: told and told[-1].reservations == 1)

    story(play)


def test_a_taken_port_is_one_line() -> None:
    import socket

    from gossip.wide.relay_node import RelayNode
    from ledger.errors import LocalError

    async def play(port: int) -> None:
        node = RelayNode(secrets.token_bytes(32), "127.0.0.1", port, [], Limits(), Places())
        with pytest.raises(LocalError, match="in use"):
            await node.open()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        story(lambda: play(taken.getsockname()[1]))
