"""Announcements reach all members, and nobody else has a part in them."""

from __future__ import annotations

import itertools
import random
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.peer_ids import peer_id_of
from gossip.wide.announcing import AUTHORS, BURST, EVERY_S, FORGET_S, MAX_BYTES, REPEAT_S, Inbox, Outbox, topic_of
from ledger.keys import PrivateKey
from tests.wide.conftest import NO_LIBP2P

NAMESPACE: Final = bytes(range(32))
NEWER: Final = bytes(range(1, 33))
SEEDS: Final = [bytes([number]) * 32 for number in range(1, 9)]
KEYS: Final = [PrivateKey.from_seed(seed).public for seed in SEEDS]


# ------------------------------------------------------------------ the rules


def test_the_topic_tells_nothing_of_the_namespace_and_is_always_the_same() -> None:
    assert topic_of(NAMESPACE) == "946e745f16795be26ef10547ff1136f6d62675d1133238bce5989ae52fced869"
    assert topic_of(NEWER) != topic_of(NAMESPACE)


def test_of_members_only_and_short_and_at_a_pace() -> None:
    inbox = Inbox(lambda key: key in KEYS[:2])
    assert inbox.takes(KEYS[0], MAX_BYTES, 1, 0.0)
    assert not inbox.takes(KEYS[0], MAX_BYTES + 1, 2, 0.0)
    assert not inbox.takes(KEYS[2], 10, 1, 0.0)
    assert not inbox.takes(None, 10, 1, 0.0)
    taken = [inbox.takes(KEYS[0], 10, number, 0.0) for number in range(2, 22)]
    assert sum(taken) == BURST - 1
    assert not inbox.is_paced(KEYS[0], 0.0)
    assert inbox.takes(KEYS[1], 10, 1, 0.0), "one that floods silences itself"
    assert inbox.takes(KEYS[0], 10, 30, 1.5)


def test_what_was_said_before_is_not_heard_again_and_leaves_its_author_its_turn() -> None:
    inbox = Inbox(lambda key: True)
    assert inbox.takes(KEYS[0], 10, 1_000, 0.0)
    for number in range(900, 1_001):
        assert not inbox.is_news(KEYS[0], number, 1.0)
        assert not inbox.takes(KEYS[0], 10, number, 1.0)
    assert [inbox.takes(KEYS[0], 10, 1_001 + number, 1.0) for number in range(BURST)] == [True] * BURST
    assert not inbox.takes(KEYS[0], 10, 7, FORGET_S), "whose clock was set back waits a while"
    assert inbox.takes(KEYS[0], 10, 7, FORGET_S + 1.0)


def test_authors_are_forgotten_before_they_fill_the_memory() -> None:
    inbox = Inbox(lambda key: True)
    for number in range(3 * AUTHORS):
        inbox.takes(number.to_bytes(32, "big"), 1, 1, 0.0)
    assert len(inbox._paces) <= AUTHORS
    assert len(inbox._newest) <= AUTHORS


def test_the_newest_is_said_and_again_after_a_while() -> None:
    outbox = Outbox()
    assert outbox.take(0.0) is None
    outbox.put(b"one")
    assert outbox.take(0.0) == b"one"
    outbox.put(b"two")
    outbox.put(b"three")
    assert outbox.take(EVERY_S / 2) is None
    assert outbox.take(EVERY_S) == b"three"
    assert outbox.take(EVERY_S + REPEAT_S - 1) is None
    assert outbox.take(EVERY_S + REPEAT_S) == b"three"
    outbox.again()
    assert outbox.take(2 * EVERY_S + REPEAT_S) == b"three"
    with pytest.raises(ValueError, match="513 bytes"):
        outbox.put(bytes(513))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 400)), max_size=60))
def test_nothing_is_said_more_often_than_each_two_seconds(steps: list[tuple[bool, float]]) -> None:
    outbox, now, said = Outbox(), 0.0, []
    for number, (new, after) in enumerate(steps):
        now += after
        if new:
            outbox.put(str(number).encode())
        if outbox.take(now) is not None:
            said.append(now)
    assert all(later - earlier > EVERY_S - 1e-6 for earlier, later in itertools.pairwise(said))


# ------------------------------------------------------------------ for real, on loopback


class Party:
    """Hosts on loopback, each with a Telling."""

    def __init__(self) -> None:
        self.heard: list[list[tuple[bytes, bytes]]] = []
        self.members: set[bytes] = set(KEYS)
        self.tellings: list[Any] = []
        self.hosts: list[Any] = []

    def add(self, host: Any, **more: Any) -> Any:
        from gossip.wide.telling import Telling

        heard: list[tuple[bytes, bytes]] = []
        telling = Telling(
            host, lambda key, data: heard.append((key, data)), lambda key: key in self.members,
            luck=random.Random(len(self.hosts)), **more,
        )  # fmt: skip
        self.heard.append(heard)
        self.tellings.append(telling)
        self.hosts.append(host)
        return telling


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at who is connected without the pauses that spare a machine."""
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    monkeypatch.setattr("gossip.wide.telling.TEND_S", 0.1)
    monkeypatch.setattr("gossip.wide.telling.MEND_S", (0.2, 1.0))


def real() -> Any:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    from tests.wide import meeting

    return meeting


def topics(host: Any) -> dict[Any, Any]:
    """A plain GossipSub of a stranger's on a host: what it is told."""
    from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
    from libp2p.pubsub.pubsub import Pubsub

    router = GossipSub(
        protocols=[PROTOCOL_ID_V11], degree=4, degree_low=2, degree_high=8, heartbeat_interval=1,
        spam_protection_enabled=False,
    )  # fmt: skip
    return {"router": router, "pubsub": Pubsub(host, router, strict_signing=True)}


@pytest.mark.usefixtures("_quick")
def test_a_word_goes_through_members_to_members_that_are_not_connected_to_its_author() -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            hosts = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:4]]
            nursery = await room.enter_async_context(trio.open_nursery())
            for host in hosts:
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            for near, far in itertools.pairwise(hosts):  # a row
                await meeting.reach(near, str(far.get_addrs()[0]))
            party.tellings[0].announce(b"from the first")
            party.tellings[3].announce(b"from the last")
            for heard in party.heard[1:]:
                await meeting.until(lambda heard=heard: (KEYS[0], b"from the first") in heard)
            await meeting.until(lambda: (KEYS[3], b"from the last") in party.heard[0])
            assert [telling.connected() for telling in party.tellings] == [1, 2, 2, 1]
            assert not any(KEYS[number] in dict(heard) for number, heard in enumerate(party.heard)), (
                "nobody hears itself"
            )
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_a_stranger_is_told_no_topic_and_heard_by_nobody() -> None:
    meeting = real()
    import trio
    from libp2p.tools.anyio_service import background_trio_service

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            party.members = set(KEYS[:2])
            anna, berta, mallory = [
                await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]
            ]
            plain = topics(mallory)
            await room.enter_async_context(background_trio_service(plain["router"]))
            await room.enter_async_context(background_trio_service(plain["pubsub"]))
            await plain["pubsub"].subscribe(topic_of(NAMESPACE))
            nursery = await room.enter_async_context(trio.open_nursery())
            for host in (anna, berta):
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            await meeting.reach(anna, str(mallory.get_addrs()[0]))
            await meeting.reach(mallory, str(berta.get_addrs()[0]))
            await meeting.reach(anna, str(berta.get_addrs()[0]))
            await meeting.until(lambda: party.tellings[0].connected() and party.tellings[1].connected())
            await plain["pubsub"].publish(topic_of(NAMESPACE), b"from nobody")
            party.tellings[0].announce(b"from anna")
            await meeting.until(lambda: party.heard[1])
            assert party.heard == [[], [(KEYS[0], b"from anna")]]
            assert plain["pubsub"].peer_topics == {}
            assert [telling.connected() for telling in party.tellings] == [1, 1]
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_who_becomes_a_member_is_told_and_who_is_put_out_is_not() -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            party.members = set(KEYS[:1])
            hosts = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:2]]
            nursery = await room.enter_async_context(trio.open_nursery())
            for host in hosts:
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            await meeting.reach(hosts[0], str(hosts[1].get_addrs()[0]))
            party.tellings[0].announce(b"one")
            party.members.add(KEYS[1])
            await meeting.until(lambda: party.heard[1] == [(KEYS[0], b"one")])
            scorer = party.tellings[0]._pubsub.router.scorer
            assert scorer.allow_publish(hosts[1].get_id(), [topic_of(NAMESPACE)])
            party.members.remove(KEYS[1])
            assert scorer.is_graylisted(hosts[1].get_id(), [topic_of(NAMESPACE)])
            assert not scorer.allow_publish(hosts[1].get_id(), [topic_of(NAMESPACE)])
            await meeting.until(lambda: party.tellings[0].connected() == 0)
            party.tellings[1].announce(b"still here?")
            assert party.heard[0] == []
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_a_member_that_floods_and_lies_is_not_passed_on_and_comes_below_the_thresholds() -> None:
    meeting = real()
    import trio
    from libp2p.tools.anyio_service import background_trio_service

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            anna, berta, mallory = [
                await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]
            ]
            plain = topics(mallory)
            await room.enter_async_context(background_trio_service(plain["router"]))
            await room.enter_async_context(background_trio_service(plain["pubsub"]))
            topic = topic_of(NAMESPACE)
            await plain["pubsub"].subscribe(topic)
            nursery = await room.enter_async_context(trio.open_nursery())
            for host in (anna, berta):
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            await meeting.reach(anna, str(berta.get_addrs()[0]))
            await meeting.reach(mallory, str(anna.get_addrs()[0]))
            await meeting.until(lambda: anna.get_id() in plain["pubsub"].peer_topics.get(topic, ()))
            scorer = party.tellings[0]._pubsub.router.scorer
            await meeting.until(lambda: mallory.get_id() in party.tellings[0]._pubsub.peers)
            await plain["pubsub"].publish(topic, bytes(MAX_BYTES + 1))
            number = 0
            while scorer.allow_publish(mallory.get_id(), [topic]):
                number += 1
                await plain["pubsub"].publish(topic, b"%d" % number)
                await trio.sleep(0.01)
            party.tellings[0].announce(b"from anna")
            await meeting.until(lambda: (KEYS[0], b"from anna") in party.heard[1])
            assert len([said for said in party.heard[0] if said[0] == KEYS[2]]) < number
            assert all(len(data) <= MAX_BYTES for _, data in party.heard[0])
            assert scorer.allow_publish(berta.get_id(), [topic])
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_a_member_that_tells_each_something_else_parts_nobody_from_those_who_pass_it_on() -> None:
    """To two members it says as much as each lets through; a third hears both: too much, and the fault of neither."""
    meeting = real()
    from libp2p.tools.anyio_service import background_trio_service

    async def play() -> None:
        async with AsyncExitStack() as room:
            party, topic = Party(), topic_of(NAMESPACE)
            nursery = await room.enter_async_context(meeting.nursery())
            anna, berta, cleo = [
                await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]
            ]
            for host in (anna, berta, cleo):
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            await meeting.reach(anna, str(cleo.get_addrs()[0]))
            await meeting.reach(berta, str(cleo.get_addrs()[0]))
            await meeting.until(lambda: party.tellings[2].connected() == 2)
            tongues = []
            for number, near in enumerate((anna, berta)):
                mallory = await room.enter_async_context(meeting.peer(seed=SEEDS[3]))
                plain = topics(mallory)
                for service in plain.values():
                    await room.enter_async_context(background_trio_service(service))
                await plain["pubsub"].subscribe(topic)
                await meeting.reach(mallory, str(near.get_addrs()[0]))
                hears = plain["pubsub"].peer_topics
                await meeting.until(lambda near=near, hears=hears: near.get_id() in hears.get(topic, ()))
                plain["pubsub"].counter += 1_000 * number
                tongues.append(plain["pubsub"])
            await meeting.until(lambda: all(tongues[0].my_id in each._pubsub.peers for each in party.tellings[:2]))
            for word in range(BURST):
                for number, tongue in enumerate(tongues):
                    await tongue.publish(topic, b"%d:%d" % (number, word))
            for heard in party.heard[:2]:
                await meeting.until(lambda heard=heard: sum(key == KEYS[3] for key, _ in heard) >= BURST)
            for number in range(2):
                party.tellings[number].announce(b"my own")
                await meeting.until(lambda number=number: (KEYS[number], b"my own") in party.heard[2])
            scorer = party.tellings[2]._pubsub.router.scorer
            assert not any(scorer.invalid_messages[host.get_id()][topic] for host in (anna, berta))
            assert sum(key == KEYS[3] for key, _ in party.heard[2]) < 2 * BURST

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_no_packet_of_a_member_s_ends_the_service() -> None:
    meeting = real()
    import trio
    from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11
    from libp2p.pubsub.pb import rpc_pb2
    from libp2p.utils.varint import encode_varint_prefixed

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            anna, berta, mallory = [
                await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]
            ]
            nursery = await room.enter_async_context(trio.open_nursery())
            for host in (anna, berta):
                telling = party.add(host)
                telling.join(NAMESPACE)
                nursery.start_soon(telling.run)
            await meeting.reach(anna, str(berta.get_addrs()[0]))
            await meeting.until(lambda: party.tellings[0].connected())
            service = party.tellings[0]._pubsub
            at = await meeting.reach(mallory, str(anna.get_addrs()[0]))
            topic = topic_of(NAMESPACE)
            message = rpc_pb2.Message(data=b"x", topicIDs=[topic], from_id=b"\x12\x20" + bytes(32), seqno=b"1")
            broken = rpc_pb2.Message(signature=b"s", key=b"\xff\xff", **{
                each.name: value for each, value in message.ListFields()
            })  # fmt: skip
            control = rpc_pb2.RPC()
            control.control.ihave.add(topicID=topic, messageIDs=[b"zz", b"\xff"])
            control.control.iwant.add(messageIDs=[b"zz"])
            control.control.graft.add(topicID="nobody's")
            packets = [
                b"\xff\xff\xff", rpc_pb2.RPC(publish=[message]).SerializeToString(), bytes(200),
                rpc_pb2.RPC(publish=[broken]).SerializeToString(), control.SerializeToString(),
                rpc_pb2.RPC(publish=[rpc_pb2.Message(topicIDs=[topic, topic])]).SerializeToString(),
            ]  # fmt: skip
            for packet in packets:
                stream = await mallory.new_stream(at, [PROTOCOL_ID_V11])
                await stream.write(encode_varint_prefixed(packet))
                await stream.close()
            party.tellings[1].announce(b"still there")
            await meeting.until(lambda: (KEYS[1], b"still there") in party.heard[0])
            assert party.tellings[0]._pubsub is service
            assert party.heard[0] == [(KEYS[1], b"still there")]
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_a_new_namespace_is_another_topic_and_hears_the_last_word() -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            hosts = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:2]]
            nursery = await room.enter_async_context(trio.open_nursery())
            for host, namespace in zip(hosts, (NAMESPACE, NEWER), strict=True):
                telling = party.add(host)
                telling.join(namespace)
                nursery.start_soon(telling.run)
            await meeting.reach(hosts[0], str(hosts[1].get_addrs()[0]))
            party.tellings[0].announce(b"a word")
            await meeting.until(lambda: party.tellings[0].announced == 1)
            assert party.heard[1] == []
            party.tellings[0].join(NEWER)
            await meeting.until(lambda: party.heard[1] == [(KEYS[0], b"a word")])
            party.tellings[1].join(None)
            await meeting.until(lambda: topic_of(NEWER) not in party.tellings[1]._pubsub.topic_ids)
            nursery.cancel_scope.cancel()

    meeting.story(play)


@pytest.mark.usefixtures("_quick")
def test_so_many_members_are_connected_to_by_choice_and_who_is_away_rests() -> None:
    meeting = real()
    import trio

    from gossip.wide.telling import MESH

    async def play() -> None:
        async with AsyncExitStack() as room:
            party = Party()
            there = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[1:7]]
            where = {peer_id_of(KEYS[number]): str(host.get_addrs()[0]) for number, host in enumerate(there, 1)}
            anna = await room.enter_async_context(meeting.peer(seed=SEEDS[0]))
            asked: list[bytes] = []
            looks: list[int] = []

            def candidates() -> list[bytes]:
                looks.append(len(asked))
                return [KEYS[7], *KEYS]

            async def reach(key: bytes) -> None:
                asked.append(key)
                await meeting.until(lambda: len(looks) > 4)  # a dial that takes longer than she waits to look again
                await meeting.reach(anna, where[peer_id_of(key)])

            nursery = await room.enter_async_context(trio.open_nursery())
            telling = party.add(anna, candidates=candidates, reach=reach)
            telling.join(NAMESPACE)
            nursery.start_soon(telling.run)
            await meeting.until(lambda: len(anna.get_connected_peers()) == MESH)
            assert KEYS[0] not in asked
            assert len(asked) <= MESH + asked.count(KEYS[7])
            assert asked.count(KEYS[7]) <= 1
            nursery.cancel_scope.cancel()

    meeting.story(play)
