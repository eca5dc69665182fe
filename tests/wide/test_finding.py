"""Finding by provider records: true members are found among lies, and what strangers say stays small."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.peer_ids import base58, peer_id_of, unbase58
from gossip.wide import hints
from gossip.wide.addresses import (
    MAX_ADDRESSES,
    NOWHERE,
    Near,
    is_dialled,
    read_address,
    worth_dialling,
    write_address,
)
from gossip.wide.kad import (
    ADD_PROVIDER,
    FIND_NODE,
    GET_PROVIDERS,
    MAX_ANSWER,
    MAX_CLOSER,
    MAX_PROVIDERS,
    PING,
    Message,
    Said,
    closest,
    distance,
    key_of,
    read_message,
    read_providers,
    write_message,
)
from gossip.wide.protobuf import MAX_FIELDS, field, read_fields, varint
from gossip.wide.records import AT_ONCE, MAX_RECORDS, PER_ADDRESS, PER_PROVIDER, TTL_S, Records
from ledger.errors import RemoteError
from ledger.keys import PrivateKey
from tests.wide.conftest import NO_LIBP2P

NAMESPACE: Final = bytes(range(32))
SEEDS: Final = [bytes([number]) * 32 for number in range(1, 40)]
KEYS: Final = [PrivateKey.from_seed(seed).public for seed in SEEDS]


def id_of(key: bytes) -> bytes:
    raw = unbase58(peer_id_of(key))
    assert raw is not None
    return raw


WHERE: Final = write_address("/ip4/198.51.100.7/tcp/4001")
said_peers = st.builds(
    Said, st.binary(min_size=2, max_size=64), st.lists(st.binary(max_size=60), max_size=8).map(tuple)
)


# ------------------------------------------------------------------ bytes


@given(st.integers(0, 20), st.binary(max_size=80), st.lists(said_peers, max_size=5), st.lists(said_peers, max_size=5))
def test_what_is_written_is_read(kind: int, key: bytes, closer: list[Said], providers: list[Said]) -> None:
    message = Message(kind, key, tuple(closer), tuple(providers))
    assert read_message(write_message(message)) == message


@given(st.binary(max_size=300))
def test_bytes_of_strangers_are_a_message_or_their_fault(data: bytes) -> None:
    try:
        message = read_message(data)
    except RemoteError:
        return
    assert len(message.providers) <= MAX_PROVIDERS


def test_the_question_is_what_the_specification_says() -> None:
    written = write_message(Message(GET_PROVIDERS, key_of(NAMESPACE)))
    assert written.hex() == "0803" + "1222" + "1220" + NAMESPACE.hex()


def test_of_an_answer_without_an_end_so_much_is_made() -> None:
    one = field(9, field(1, b"ab" * 8) + field(2, WHERE))
    assert len(read_message(field(1, GET_PROVIDERS) + one * 1000).providers) == MAX_PROVIDERS
    other = field(8, field(1, b"ab" * 8))
    assert len(read_message(field(1, GET_PROVIDERS) + other * 1000).closer) == MAX_CLOSER
    with pytest.raises(RemoteError):
        read_message(field(7, 1) * (MAX_FIELDS + 1))


@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\x12\x05abc", b"\x0b", b"\xff" * 11, b"\x4a\x02\x0a\x00", b"\x4a\x00", b"\x09abc", varint(8) + b"\x80"],
)
def test_broken_messages_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteError):
        read_message(data)


def test_numbers_of_fixed_width_are_passed_over() -> None:
    assert list(read_fields(b"\x09abcdefgh\x0dabcd\x08\x05")) == [(1, 5)]


def test_an_answer_to_another_question_is_none() -> None:
    with pytest.raises(RemoteError):
        read_providers(write_message(Message(PING)), key_of(NAMESPACE))
    with pytest.raises(RemoteError):
        read_providers(write_message(Message(GET_PROVIDERS, b"another")), key_of(NAMESPACE))


# ------------------------------------------------------------------ addresses

ME: Final = peer_id_of(KEYS[0])
OTHER: Final = peer_id_of(KEYS[1])
DIALLED: Final = (
    "/ip4/198.51.100.7/tcp/4001",
    f"/ip4/203.0.113.7/tcp/4001/p2p/{ME}",
    f"/ip4/203.0.113.7/tcp/4001/p2p/{OTHER}/p2p-circuit",
    f"/ip6/2001:db8:1::7/tcp/9/p2p/{OTHER}/p2p-circuit/p2p/{ME}",
)
NOT_DIALLED: Final = (
    "/ip4/127.0.0.1/tcp/4001",
    "/ip4/0.0.0.0/tcp/4001",
    "/ip4/224.0.0.1/tcp/4001",
    "/ip4/169.254.1.1/tcp/4001",
    "/dns4/victim.example.org/tcp/443",
    f"/dns4/victim.example.org/tcp/443/p2p/{OTHER}/p2p-circuit/p2p/{ME}",
    "/ip4/192.168.1.1/tcp/80",
    "/ip4/10.0.0.1/tcp/80",
    "/ip4/100.64.0.1/tcp/80",
    f"/ip4/172.31.0.1/tcp/80/p2p/{OTHER}/p2p-circuit/p2p/{ME}",
    "/ip6/::1/tcp/80",
    "/ip6/fd00::1/tcp/80",
    "/ip6/fe80::1/tcp/80",
    "/ip6/::ffff:7f00:1/tcp/80",
    f"/ip4/203.0.113.7/tcp/4001/p2p/{OTHER}",
    f"/ip4/127.0.0.1/tcp/4001/p2p/{OTHER}/p2p-circuit/p2p/{ME}",
    f"/ip4/203.0.113.7/tcp/4001/p2p/{OTHER}/p2p-circuit/p2p/{OTHER}",
)


@pytest.mark.parametrize("text", [*DIALLED, *NOT_DIALLED])
def test_addresses_have_one_spelling(text: str) -> None:
    assert read_address(write_address(text)) == text


def test_only_shapes_that_lead_to_the_peer_are_dialled() -> None:
    assert [text for text in DIALLED if not is_dialled(text, ME, NOWHERE)] == []
    assert [text for text in NOT_DIALLED if is_dialled(text, ME, NOWHERE)] == []


def test_a_stranger_has_us_knock_in_our_own_ranges_only() -> None:
    """What means another machine in each network is dialled by who stands in that range; loopback by who is there."""
    at_home = Near.of(["192.168.1.7", "fd12::7"])
    assert is_dialled("/ip4/192.168.178.20/tcp/4001", ME, at_home)
    assert is_dialled("/ip6/fd00::1/tcp/4001", ME, at_home)
    for text in ("/ip4/10.0.0.1/tcp/80", "/ip4/127.0.0.1/tcp/80", "/ip4/169.254.1.1/tcp/80", "/ip6/::1/tcp/80"):
        assert not is_dialled(text, ME, at_home)
    assert is_dialled("/ip4/127.0.0.1/tcp/4001", ME, Near.of(["127.0.0.1"]))
    assert not is_dialled("/ip4/192.168.1.7/tcp/4001", ME, Near.of(["127.0.0.1"]))
    assert not is_dialled("/ip4/100.64.0.1/tcp/80", ME, Near.of(["203.0.113.7"]))


def test_a_name_is_looked_up_for_nobody_but_relays_that_we_were_told_of() -> None:
    circuit = f"/dns4/relay.example.org/tcp/4001/p2p/{OTHER}/p2p-circuit/p2p/{ME}"
    assert not is_dialled(circuit, ME, NOWHERE)
    assert is_dialled(circuit, ME, Near.of([], [OTHER]))
    assert not is_dialled(circuit, ME, Near.of([], [ME]))
    assert not is_dialled(f"/dns4/relay.example.org/tcp/4001/p2p/{OTHER}", OTHER, Near.of([], [OTHER]))


@given(st.binary(max_size=120))
def test_bytes_of_strangers_are_an_address_or_nothing(data: bytes) -> None:
    text = read_address(data)
    assert text is None or read_address(write_address(text)) == text


@given(st.binary(min_size=1, max_size=64))
def test_peer_ids_have_one_spelling(data: bytes) -> None:
    assert unbase58(base58(data)) == data


def test_so_many_addresses_of_a_peer_are_kept() -> None:
    many = [write_address(f"/ip4/198.51.100.{number}/tcp/4001") for number in range(1, 60)]
    assert len(worth_dialling([*many[:3], *many], ME, NOWHERE)) == MAX_ADDRESSES


def test_multiaddr_reads_and_writes_the_same() -> None:
    multiaddr = pytest.importorskip("multiaddr", reason="comes with libp2p")
    for text in (*DIALLED, *NOT_DIALLED):
        assert multiaddr.Multiaddr(text).to_bytes() == write_address(text)


# ------------------------------------------------------------------ what is passed on


def test_one_server_that_names_thousands_hides_nobody() -> None:
    lies = [Said(secrets.token_bytes(38), (WHERE,)) for _ in range(MAX_PROVIDERS)]
    truth = [Said(id_of(key), (WHERE,)) for key in KEYS[:5]]
    for seed in range(20):
        order = list(hints.mixed([lies, lies[::-1], lies[::2], lies[1::2], truth], random.Random(seed)))
        places = [order.index(each) for each in truth]
        assert max(places) < 5 * len(truth), "each of the true server's five stands in one of the first five turns"
        assert len(order) <= 5 * hints.SHARE


def test_nobody_is_named_twice() -> None:
    answer = [Said(id_of(key), (WHERE,)) for key in KEYS]
    assert len(list(hints.mixed([answer, answer], random.Random(1)))) == len(KEYS)


def test_who_names_a_member_at_false_places_hides_none_of_the_true() -> None:
    """Of each answer an address in turn, whoever answered first, and however many a liar names."""
    lies = tuple(write_address(f"/ip4/203.0.113.{number}/tcp/4001") for number in range(1, 17))
    liar = [Said(id_of(key), lies) for key in KEYS[:5]]
    for answers in (
        [liar, [Said(id_of(key), (WHERE,)) for key in KEYS[:5]]],
        [liar * 3, [Said(id_of(KEYS[0]), (WHERE,))]],
    ):
        for order in (answers, answers[::-1]):
            said = {each.id: each for each in hints.mixed(order, random.Random(1))}[id_of(KEYS[0])]
            hint = hints.read_hint(said, NOWHERE)
            assert hint is not None
            assert "/ip4/198.51.100.7/tcp/4001" in hint[1][:2]


def test_what_was_learned_of_a_member_outlives_an_answer_that_is_all_lies() -> None:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    from gossip.wide.dialling import Learned

    learned, true = Learned(), "/ip4/198.51.100.7/tcp/4001"
    lies = [f"/ip4/203.0.113.{number}/tcp/4001" for number in range(1, 9)]
    learned.learn(KEYS[0], [true])
    learned.learn(KEYS[0], lies)
    assert learned.of(KEYS[0])[:2] == (lies[0], true), "shares are equal"
    assert len(learned.of(KEYS[0])) == MAX_ADDRESSES
    learned.worked(KEYS[0], true)
    for _ in range(50):
        learned.learn(KEYS[0], lies)
        assert learned.of(KEYS[0])[0] == true, "where it was reached is tried first"
    learned.worked(KEYS[0], lies[3])
    assert learned.of(KEYS[0])[:2] == (lies[3], true)


def test_only_keys_that_somebody_can_hold_are_passed_on() -> None:
    assert hints.read_hint(Said(id_of(KEYS[0]), (WHERE,)), NOWHERE) == (KEYS[0], ["/ip4/198.51.100.7/tcp/4001"])
    assert hints.read_hint(Said(b"\x12\x20" + bytes(32), (WHERE,)), NOWHERE) is None  # an RSA key's, which we cannot be
    assert hints.read_hint(Said(b"ab", (WHERE,)), NOWHERE) is None


@given(st.integers(0, 50), st.booleans(), st.integers(0, 10_000_000), st.integers(0, 100))
def test_pauses_grow_to_a_minute_and_pay_for_what_was_asked(tries: int, found: bool, cost: int, seed: int) -> None:
    wait = hints.pause(tries, found, cost, random.Random(seed))
    assert 0.7 < wait <= hints.LATEST_S * (1 + hints.JITTER)
    if found or tries >= len(hints.SOON_S):
        assert wait >= hints.LATER_S * (1 - hints.JITTER)
        assert cost / wait <= hints.BYTES_PER_S / (1 - hints.JITTER) or wait >= hints.LATEST_S * (1 - hints.JITTER)


def test_the_closest_are_asked_first() -> None:
    peers = [Said(id_of(key), ()) for key in KEYS]
    order = closest(key_of(NAMESPACE), peers, [peers[0].id])
    assert peers[0] not in order
    far = [distance(key_of(NAMESPACE), each.id) for each in order]
    assert far == sorted(far)


# ------------------------------------------------------------------ a relay's records


def test_an_inventor_of_peers_pushes_out_his_own_records() -> None:
    records = Records(random.Random(1))
    for key in KEYS[:5]:
        records.add(key_of(NAMESPACE), Said(id_of(key), (WHERE,)), "192.0.2.1", 0.0)
    for number in range(2 * PER_ADDRESS):
        address = ("192.0.2.66", "::ffff:192.0.2.66")[number % 2]  # the same, where a relay listens on IPv6 as well
        records.add(key_of(NAMESPACE), Said(number.to_bytes(38, "big"), (WHERE,)), address, 1.0 + number)
    assert len(records) == PER_ADDRESS + 5
    seen = {said.id for _ in range(200) for said in records.get(key_of(NAMESPACE), 2.0)}
    assert {id_of(key) for key in KEYS[:5]} <= seen, "all have their turn"


def test_an_inventor_with_many_addresses_drowns_nobody() -> None:
    """Those who are told are drawn from each network address in turn; one machine's IPv6 addresses are one."""
    records = Records(random.Random(1))
    for number, key in enumerate(KEYS[:5]):
        records.add(key_of(NAMESPACE), Said(id_of(key), (WHERE,)), f"192.0.2.{number}", 0.0)
    for number in range(15 * PER_ADDRESS):
        address = f"203.0.113.{number % 14}" if number % 15 else f"2001:db8::{number:x}"
        records.add(key_of(NAMESPACE), Said(number.to_bytes(38, "big"), (WHERE,)), address, 1.0)
    for _ in range(20):
        told = {said.id for said in records.get(key_of(NAMESPACE), 2.0)}
        assert {id_of(key) for key in KEYS[:5]} <= told
        assert len(told) == AT_ONCE
    assert len(records) <= 15 * PER_ADDRESS + 5


def test_records_are_bounded_in_all_and_of_one_peer_and_end() -> None:
    records = Records(random.Random(1))
    for number in range(PER_PROVIDER + 5):
        records.add(number.to_bytes(34, "big"), Said(b"one", (WHERE,)), "192.0.2.1", float(number))
    assert len(records) == PER_PROVIDER
    assert records.get((0).to_bytes(34, "big"), 20.0) == []
    assert len(records.get((PER_PROVIDER + 4).to_bytes(34, "big"), 20.0)) == 1
    for number in range(MAX_RECORDS + 50):
        records.add(key_of(NAMESPACE), Said(number.to_bytes(38, "big"), (WHERE,)), f"10.0.{number % 99}.1", 30.0)
    assert len(records) == MAX_RECORDS
    assert records.get(key_of(NAMESPACE), 31.0 + TTL_S) == []
    assert len(records) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 3), st.floats(0, 4000)), max_size=60))
def test_records_count_what_they_hold(words: list[tuple[int, int, int, float]]) -> None:
    records = Records(random.Random(1))
    now = 0.0
    held: dict[tuple[int, int], float] = {}
    for key, who, address, after in words:
        now += after
        records.add(bytes([key]), Said(bytes([who]) * 2, (WHERE,)), str(address), now)
        held[key, who] = now
        records.expire(now)
        held = {place: at for place, at in held.items() if now - at <= TTL_S}
        assert len(records) == len(held)
    for key in range(6):
        there = {said.id[0] for said in records.get(bytes([key]), now)}
        assert there == {who for held_key, who in held if held_key == key}


# ------------------------------------------------------------------ for real, on loopback


class Notes:
    """What a finding passes on."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
        self.addresses: dict[bytes, list[str]] = {}

    def learn(self, key: bytes, addresses: list[str]) -> None:
        self.addresses[key] = addresses


def real() -> Any:
    pytest.importorskip("libp2p", reason=NO_LIBP2P)
    from tests.wide import meeting

    return meeting


HERE: Final = Near.of(["127.0.0.1"])


def finder(host: Any, notes: Notes, knows: frozenset[bytes] = frozenset(), own: list[str] | None = None) -> Any:
    from gossip.wide.finding import Finding

    return Finding(
        host, notes.learn, notes.found.append, near=HERE, luck=random.Random(7), knows=knows.__contains__,
        own=(lambda: own) if own is not None else None,
    )  # fmt: skip


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookups without the pauses that spare a network."""
    monkeypatch.setattr(hints, "LATER_S", 0.2)
    monkeypatch.setattr(hints, "SOON_S", (0.1,))
    monkeypatch.setattr(hints, "BYTES_PER_S", 1e9)


def server_of(host: Any, answers: Any) -> None:
    """Make a host answer GET_PROVIDERS with what `answers` gives, written raw; None: with nothing, ever."""
    import trio
    from libp2p.utils.varint import read_varint_prefixed_bytes_limited

    from gossip.wide.kad import PROTOCOL

    async def serve(stream: Any) -> None:
        try:
            asked = read_message(await read_varint_prefixed_bytes_limited(stream, 10_000))
            if asked.kind == GET_PROVIDERS:
                answer = answers(asked.key)
                if answer is None:
                    await trio.sleep_forever()
                await stream.write(answer)
            await stream.close()
        except Exception:
            await stream.reset()

    host.set_stream_handler(PROTOCOL, serve)


def invented(count: int) -> bytes:
    peers = [Said(id_of(PrivateKey.generate().public), (WHERE,)) for _ in range(count)]
    body = write_message(Message(GET_PROVIDERS, b"", (), tuple(peers)))
    return varint(len(body)) + body


def test_two_of_a_namespace_find_each_other_and_a_third_of_another_does_not(soon: None) -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with meeting.relay() as (node, address), AsyncExitStack() as room:
            notes = [Notes() for _ in range(3)]
            hosts = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]]
            async with trio.open_nursery() as nursery:
                for host, note, namespace in zip(hosts, notes, (NAMESPACE, NAMESPACE, bytes(32)), strict=True):
                    finding = finder(host, note)
                    nursery.start_soon(finding.run)
                    finding.servers([await meeting.reach(host, address)])
                    finding.meet((namespace,), 1)
                await meeting.until(lambda: finding.lookups > 2)
                await meeting.until(lambda: KEYS[1] in notes[0].found and KEYS[0] in notes[1].found)
                assert notes[2].found == []
                assert set(notes[0].found) == {KEYS[1]}, "nobody finds itself"
                (where,) = notes[0].addresses[KEYS[1]]
                assert where == f"{hosts[1].get_transport_addrs()[0]}/p2p/{peer_id_of(KEYS[1])}"
                await meeting.until(lambda: node.counts().records == 3)
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_an_address_that_comes_later_is_published_and_who_looks_up_alone_is_not_seen(soon: None) -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with meeting.relay() as (node, address), meeting.peer(seed=SEEDS[0]) as anna, meeting.peer() as berta:
            told: list[str] = []
            there, looking = Notes(), Notes()
            async with trio.open_nursery() as nursery:
                finding, other = finder(anna, there, own=told), finder(berta, looking, own=["/ip4/127.0.0.1/tcp/9"])
                for each, host in ((finding, anna), (other, berta)):
                    nursery.start_soon(each.run)
                    each.servers([await meeting.reach(host, address)])
                finding.meet((NAMESPACE,), 1)
                other.meet((NAMESPACE,), 0)
                await meeting.until(lambda: other.lookups > 2)
                assert looking.found == [], "a record without an address is none"
                told.append(f"{address}/p2p-circuit/p2p/{peer_id_of(KEYS[0])}")
                finding.moved()
                await meeting.until(lambda: looking.found)
                assert looking.addresses[KEYS[0]] == told
                assert there.found == []
                assert node.counts().records == 1
                finding.servers([])  # the relay went away, and comes back without its records
                node.records.expire(1e9)
                assert node.counts().records == 0
                finding.servers([await meeting.reach(anna, address)])
                await meeting.until(lambda: node.counts().records == 1)
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_four_servers_of_five_lie_and_the_true_members_are_found(soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They invent peers, send no protobuf, too much, and nothing at all, for which nobody waits; a fifth is honest."""
    meeting = real()
    monkeypatch.setattr("gossip.wide.finding.ASK_S", 10_000.0)
    import trio

    from gossip.wide.finding import Finding

    async def play() -> None:
        async with meeting.relay() as (_, honest), AsyncExitStack() as room:
            liars = [await room.enter_async_context(meeting.peer(listens=True)) for _ in range(4)]
            sent = [
                lambda key: invented(MAX_PROVIDERS),
                lambda key: b"\x05\xff\xff\xff\xff\xff",
                lambda key: varint(MAX_ANSWER + 1) + bytes(1000),
                lambda key: None,
            ]
            for host, answers in zip(liars, sent, strict=True):
                server_of(host, answers)
            members = [await room.enter_async_context(meeting.peer(listens=True, seed=seed)) for seed in SEEDS[:3]]
            seeker = await room.enter_async_context(meeting.peer())
            notes = Notes()
            async with trio.open_nursery() as nursery:
                for host in members:
                    finding = finder(host, Notes())
                    nursery.start_soon(finding.run)
                    finding.servers([await meeting.reach(host, honest)])
                    finding.meet((NAMESPACE,), 1)
                seeking: Finding = finder(seeker, notes, frozenset(KEYS[:1]))
                servers = [await meeting.reach(seeker, str(host.get_addrs()[0])) for host in liars]
                seeking.servers([*servers, await meeting.reach(seeker, honest)])
                seeking.meet((NAMESPACE,), 0)
                nursery.start_soon(seeking.run)
                await meeting.until(lambda: set(KEYS[:3]) <= set(notes.found))
                assert len(notes.found) - 3 <= 64 + 8 * 90, "lies at a pace"
                assert len(seeking._hints) <= 257
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_a_server_that_answers_four_lies_to_each_truth_hides_nobody(soon: None) -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with meeting.peer(listens=True) as server, meeting.peer() as seeker:
            truth = [Said(id_of(key), (WHERE,)) for key in KEYS[:4]]

            def answers(key: bytes) -> bytes:
                lies = [Said(id_of(PrivateKey.generate().public), (WHERE,)) for _ in range(16)]
                body = write_message(Message(GET_PROVIDERS, b"", (), (*lies, *truth)))
                return varint(len(body)) + body

            server_of(server, answers)
            notes = Notes()
            async with trio.open_nursery() as nursery:
                finding = finder(seeker, notes, frozenset(KEYS[:2]))
                nursery.start_soon(finding.run)
                finding.servers([await meeting.reach(seeker, str(server.get_addrs()[0]))])
                finding.meet((NAMESPACE,), 0)
                await meeting.until(lambda: set(KEYS[:4]) <= set(notes.found))
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_servers_that_a_server_names_are_asked_too_and_left_again(soon: None) -> None:
    meeting = real()
    import trio

    async def play() -> None:
        async with meeting.peer(listens=True) as near, meeting.relay() as (node, far), meeting.peer() as seeker:
            target = far.rpartition("/")[2]
            raw = unbase58(target)
            assert raw is not None
            closer = (Said(raw, (write_address(far.partition("/p2p/")[0]),)),)
            body = write_message(Message(GET_PROVIDERS, b"", closer))
            server_of(near, lambda key: varint(len(body)) + body)
            node.records.add(key_of(NAMESPACE), Said(id_of(KEYS[5]), (write_address("/ip4/127.0.0.1/tcp/9"),)), "", 0.0)
            node.records._of[key_of(NAMESPACE)][id_of(KEYS[5])].at = trio.current_time()
            notes = Notes()
            async with trio.open_nursery() as nursery:
                finding = finder(seeker, notes)
                nursery.start_soon(finding.run)
                finding.servers([await meeting.reach(seeker, str(near.get_addrs()[0]))])
                finding.meet((NAMESPACE,), 0)
                await meeting.until(lambda: KEYS[5] in notes.found)
                await meeting.until(lambda: finding.lookups > 1)
                assert finding.found_now == 0, "a stranger found is no reason to look less often"
                await meeting.until(lambda: node.counts().connections == 0)
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_older_namespaces_are_looked_up_in_turn_and_so_many_changes_at_once(soon: None) -> None:
    """A server counts what it is asked. An admin that makes a meeting place each moment has us ask no more for it."""
    meeting = real()
    from gossip.wide.finding import CHANGES, OFTEN

    async def play() -> None:
        async with meeting.peer(listens=True) as server, meeting.peer() as seeker, meeting.nursery() as nursery:
            asked: list[int] = []
            body = write_message(Message(GET_PROVIDERS))

            def answers(key: bytes) -> bytes:
                asked.append(key[-1])
                return varint(len(body)) + body

            server_of(server, answers)
            finding = finder(seeker, Notes())
            finding.servers([await meeting.reach(seeker, str(server.get_addrs()[0]))])
            finding.meet(tuple(bytes(31) + bytes([number]) for number in range(5)), 0)
            nursery.start_soon(finding.run)
            await meeting.until(lambda: finding.lookups > 6)
            counts = Counter(asked[: 6 * (OFTEN + 1)])
            assert [counts[number] for number in range(5)] == [6, 6, 2, 2, 2]
            for number in range(100, 105):
                finding.meet((bytes(31) + bytes([number]),), 0)
                lookups = finding.lookups
                await meeting.until(lambda lookups=lookups: finding.lookups > lookups + 1)
            assert len({number for number in asked if number >= 100}) == CHANGES - 1

    meeting.story(play)


def test_a_member_that_a_liar_names_is_not_reached_yet_and_one_that_it_calls_a_server_keeps_its_connection(
    soon: None,
) -> None:
    meeting = real()

    async def play() -> None:
        async with AsyncExitStack() as room:
            liar, seeker = [await room.enter_async_context(meeting.peer(listens=True)) for _ in range(2)]
            there = await room.enter_async_context(meeting.peer(listens=True, seed=SEEDS[0]))
            nursery = await room.enter_async_context(meeting.nursery())
            here = write_address(str(there.get_transport_addrs()[0]))
            visited: list[Any] = []
            closer = tuple(Said(id_of(key), (here,)) for key in KEYS[:2])
            body = write_message(Message(GET_PROVIDERS, b"", closer, (Said(id_of(KEYS[2]), (WHERE,)),)))
            server_of(liar, lambda key: varint(len(body)) + body)
            server_of(there, lambda key: visited.append(key))
            notes = Notes()
            finding = finder(seeker, notes, frozenset(KEYS[:3]))
            finding.servers([await meeting.reach(seeker, str(liar.get_addrs()[0]))])
            finding.meet((NAMESPACE,), 0)
            nursery.start_soon(finding.run)
            await meeting.until(lambda: finding.lookups > 1 and notes.found == [KEYS[2]])
            assert finding.found_now == 0, "whoever is not reached is no reason to look less often"
            await meeting.reach(seeker, str(there.get_addrs()[0]))
            lookups = finding.lookups
            await meeting.until(lambda: finding.lookups > lookups + 1)
            assert seeker.get_network().get_connections(there.get_id())
            assert not visited

    meeting.story(play)


def test_py_libp2p_s_own_dht_server_keeps_our_records_and_its_client_reads_ours(soon: None) -> None:
    meeting = real()
    import trio
    from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
    from libp2p.tools.anyio_service import background_trio_service

    async def play() -> None:
        async with AsyncExitStack() as room:
            server = await room.enter_async_context(meeting.peer(listens=True))
            await room.enter_async_context(background_trio_service(KadDHT(server, DHTMode.SERVER)))
            node, address = await room.enter_async_context(meeting.relay())
            member = await room.enter_async_context(meeting.peer(listens=True, seed=SEEDS[0]))
            seeker, client = [await room.enter_async_context(meeting.peer()) for _ in range(2)]
            notes = Notes()
            async with trio.open_nursery() as nursery:
                publishing, looking = finder(member, Notes()), finder(seeker, notes)
                nursery.start_soon(publishing.run)
                nursery.start_soon(looking.run)
                at = await meeting.reach(member, str(server.get_addrs()[0]))
                publishing.servers([at, await meeting.reach(member, address)])
                publishing.meet((NAMESPACE,), 1)
                looking.servers([await meeting.reach(seeker, str(server.get_addrs()[0]))])
                looking.meet((NAMESPACE,), 0)
                await meeting.until(lambda: KEYS[0] in notes.found)
                await meeting.until(lambda: node.counts().records == 1)
                dht = KadDHT(client, DHTMode.CLIENT)
                relay = await meeting.reach(client, address)
                await dht.add_peer(relay, skip_server_mode_check=True)
                found = await dht.find_providers(key_of(NAMESPACE).hex())
                assert [str(each.peer_id) for each in found] == [peer_id_of(KEYS[0])]
                nursery.cancel_scope.cancel()

    meeting.story(play)


def test_records_of_others_and_long_keys_are_not_kept() -> None:
    meeting = real()
    from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes_limited

    from gossip.wide.kad import PROTOCOL

    async def play() -> None:
        async with meeting.relay() as (node, address), meeting.peer(seed=SEEDS[0]) as anna:
            at = await meeting.reach(anna, address)

            async def ask(message: Message) -> Message | None:
                stream = await anna.new_stream(at, [PROTOCOL])
                await stream.write(encode_varint_prefixed(write_message(message)))
                try:
                    return read_message(await read_varint_prefixed_bytes_limited(stream, MAX_ANSWER))
                except Exception:
                    return None

            mine, another = Said(id_of(KEYS[0]), (WHERE,)), Said(id_of(KEYS[1]), (WHERE,))
            await ask(Message(ADD_PROVIDER, key_of(NAMESPACE), providers=(another,)))
            assert node.counts().records == 0
            assert await ask(Message(ADD_PROVIDER, bytes(200), providers=(mine,))) is None
            assert await ask(Message(0, b"a value")) is None
            assert await ask(Message(ADD_PROVIDER, key_of(NAMESPACE), providers=(mine,))) is not None
            answer = await ask(Message(GET_PROVIDERS, key_of(NAMESPACE)))
            assert answer is not None
            assert answer.providers == (mine,)
            assert await ask(Message(FIND_NODE, mine.id)) == Message(FIND_NODE), "it names nobody else"

    meeting.story(play)
