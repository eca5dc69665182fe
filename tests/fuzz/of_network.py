"""What comes over a wire before or beside the ledger: packets, pieces, frames, offers, mDNS, opened records."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any, Final

import numpy as np
from google_crc32c import value as crc32c
from zeroconf import DNSOutgoing, ServiceInfo
from zeroconf.asyncio import AsyncServiceInfo

from gossip.doctor import clock, talk
from gossip.events import Received
from gossip.filterlists.engine import Engine, engine_of, is_installed
from gossip.filterlists.features import TYPES, grams, marks
from gossip.filterlists.inspect import inspect, inspect_numbers
from gossip.filterlists.requests import parse_record
from gossip.merging import bundled_sum
from gossip.merging.arithmetic import NumpyArithmetic
from gossip.merging.codec import encode_update
from gossip.node import announced
from gossip.peer.offered import verify_offer
from gossip.sim import Scenario, SimSwarm
from gossip.transport.description import Description, checked, read_sdp, write_sdp
from gossip.transport.discovery import SERVICE, read_record, swarm_tag
from gossip.transport.flow import Flow
from gossip.transport.hearing import read_datagram
from gossip.transport.ice import IceServer
from gossip.transport.offers import (
    Answer,
    Offer,
    Session,
    StreamAnswer,
    StreamOffer,
    open_answer,
    open_offer,
    open_stream_answer,
    open_stream_offer,
    seal,
)  # fmt: skip
from gossip.transport.police import Police
from gossip.transport.streamed import Frames, cut_letter, letter
from gossip.wide import kad
from gossip.wide.addresses import NOWHERE, read_address, write_address
from gossip.wide.hints import read_hint
from gossip.wire import codec
from gossip.wire.frames import Entries, Latest
from ledger import canonical
from ledger.errors import RemoteError
from ledger.keys import PrivateKey
from tests.fuzz.target import Target, file

SWARM: Final = "5a" * 32
KEY: Final = PrivateKey.from_seed(bytes(31) + b"\7")
WHERE: Final = Description("abcd", "p" * 22, b"\x07" * 32, (("127.0.0.1", 4000), ("192.168.1.7", 4001)))
FRAMES_OF_EACH: Final = 4
FIRST_TSN: Final = 1000


# ------------------------------------------------------------------ frames and pieces


@cache
def traffic() -> tuple[bytes, ...]:
    """All that the peers of a small swarm said to each other, with losses, cosigning, a fork and opened data."""
    said: list[bytes] = []

    def heard(at: float, peer: int, event: object) -> None:
        if isinstance(event, Received):
            said.append(event.message)

    for facts in ({"loss": 0.05}, {"public": (2,), "witnesses": 2}):
        SimSwarm(Scenario(peers=4, seconds=6.0, seed=5, **facts), None, heard).run()  # type: ignore[arg-type]
    return tuple(said)


@cache
def frames() -> tuple[bytes, ...]:
    """A few of each type, short and long; and of packed ones what is inside."""
    luck, kept = Random(1), dict[int, list[bytes]]()
    said = sorted(set(traffic()))
    luck.shuffle(said)
    for message in said:
        few = kept.setdefault(message[0], [])
        if len(few) < FRAMES_OF_EACH:
            few.append(message)
    plain = [codec._encode(codec.decode(message)) for message in kept.get(codec.PACKED_TAG[0], ())]
    return (*(message for few in kept.values() for message in few), *plain, *_rare())


def _rare() -> list[bytes]:
    """Frames that no calm swarm sends."""
    from gossip.wire.frames import Bundled, Differs, Lacks, Lead, Lease, Parts, Rendezvous, Rows, Trace, WantParts

    a, b = "aa" * 32, "bb" * 32
    rows = tuple(sorted((f"{n:02x}" * 32, n + 1, bytes(32)) for n in range(5)))
    return [codec.encode(frame) for frame in (
        WantParts("00" * 32, 0), Parts(a, 0, (bytes(32),)),
        Lacks(a), Trace(a, 5, b, 0), Rows(a, 5, b, 0, 9, rows), Differs(a, 3, b"note\n", (bytes(32),), b"entry"),
        Lead(20, bundles=True), Bundled(a, 99, 9, (("aa" * 8, 3, 7), ("bb" * 8, 0, 9))),
        Lease(a, 7, (a, b), ((3, b, 99), (9, a, 5))), Lease(a, 8, (), ()),
        Rendezvous(1, bytes(32), a, ((a, 3),), bytes(64)), Rendezvous(9, bytes(32), b, ((a, 3), (b, 1)), bytes(64)),
    )]  # fmt: skip


def _frame(data: bytes) -> None:
    """A frame that is read means exactly what it spells: a second spelling would let two peers disagree."""
    frame = codec.decode(data)
    again = codec._encode(frame)
    if data[:1] == codec.PACKED_TAG:
        assert isinstance(frame, Entries)
        assert codec._unpack(data) == again
    else:
        assert again == data


def _flow(data: bytes) -> None:
    """A channel's pieces, each behind a length of two bytes, as a stack hands them over."""
    flow, at = Flow(), 0
    flow.offer(bytes(40_000))
    flow.outgoing()
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        flow.arrived(data[at + 2 : at + 2 + size])
        at += 2 + size
        while flow.take() is not None:
            flow.outgoing()


def _pieces() -> list[bytes]:
    sender = Flow()
    for size in (5, 20_000, 700):
        sender.offer(bytes(size))
    sent = [*sender.outgoing(), b"\x02" + (3).to_bytes(4, "little"), Flow.bye("enough")]
    return [b"".join(struct.pack("<H", len(piece)) + piece for piece in sent[upto:]) for upto in (0, 3, 4)]


def _packets(data: bytes) -> None:
    """SCTP packets of an association that both ends have begun: here the chunks, each packet's behind two bytes of
    length; header and checksum are put on, as whoever holds the connection would."""
    police = Police(crc32c, 0.0)
    police.sent(_packet(_init(7, 100), 0))
    police.allows(_packet(_init(8, FIRST_TSN), 0), 0.0)
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        police.allows(_packet(data[at + 2 : at + 2 + size], 7), 0.0)
        at += 2 + size


def _packet(body: bytes, tag: int) -> bytes:
    head = struct.pack("!HHL", 5000, 5000, tag)
    return head + struct.pack("<L", crc32c(head + bytes(4) + body)) + body


def _chunk(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


def _init(tag: int, first: int) -> bytes:
    return _chunk(1, 0, struct.pack("!LLHHL", tag, 1 << 20, 65_535, 65_535, first))


def _association() -> list[bytes]:
    """Two whole messages, one in two fragments, an acknowledgement with a gap, a heartbeat, a channel that closes."""
    parts = [_chunk(0, flags, struct.pack("!LHHL", FIRST_TSN + at, stream, seq, 53) + bytes(9))
             for at, (flags, stream, seq) in enumerate(((3, 0, 0), (2, 1, 0), (1, 1, 0)))]  # fmt: skip
    parts.append(_chunk(3, 0, struct.pack("!LLHH", 99, 1 << 20, 0, 0)))
    parts.append(_chunk(4, 0, struct.pack("!HH", 1, 12) + bytes(8)))
    parts.append(_chunk(130, 0, struct.pack("!HHLLLH", 13, 18, 1, 1, 1, 0) + bytes(2)))
    alone = [struct.pack("!H", len(part)) + part for part in parts]
    return [b"".join(alone), *alone, struct.pack("!H", sum(map(len, parts[:3]))) + b"".join(parts[:3])]


# ------------------------------------------------------------------ who is where


def _offer(**changes: Any) -> Offer:
    fields: dict[str, Any] = {"swarm": SWARM, "key": KEY.public.hex(), "nonce": "11" * 32, "session": Session.of(WHERE)}
    return Offer(**(fields | changes))


def _answer() -> Answer:
    return Answer(swarm=SWARM, key=KEY.public.hex(), nonce="22" * 32, session=Session.of(WHERE), offer="33" * 32)


def _offered(data: bytes) -> None:
    offer = open_offer(data)
    write_sdp(offer.description(), kind="answer")
    offer.unproven()


def _signed_offer(data: bytes) -> None:
    """Whatever is in it, its sender has signed it: else nearly all would end at the signature."""
    message = canonical.decode(data, Offer, limit=1 << 16, what="the offer")
    _offered(seal(message, KEY))


def _answered(data: bytes) -> None:
    write_sdp(open_answer(data).description(), kind="offer")


def _signed_answer(data: bytes) -> None:
    _answered(seal(canonical.decode(data, Answer, limit=1 << 16, what="the answer"), KEY))


def _stream_letter(data: bytes) -> None:
    """The beginning of a stream, by whoever opened it or answers on it: one of the two messages, and frames."""
    if (cut := cut_letter(data)) is None:
        raise RemoteError("more must come")
    said, rest = cut
    readers = (open_stream_offer, open_stream_answer)
    for read in readers if said.startswith(b"{") else readers[:1]:
        try:
            read(said)
            break
        except RemoteError:
            if read is readers[-1]:
                raise
    _stream_frames(rest)


def _stream_frames(data: bytes) -> None:
    """Frames in whatever pieces a stream comes; in one piece they are the same."""
    whole, parts, found = Frames(), Frames(), []
    frames = whole.feed(data)
    for at in range(0, len(data), 7):
        found += parts.feed(data[at : at + 7])
    assert found == frames
    flows = Flow(), Flow()
    for channel, frame in frames:
        if frame:  # else a beat
            flows[channel].arrived(frame)


def _signed_stream(data: bytes) -> None:
    """Whatever is in them, their sender has signed them."""
    for kind, read in ((StreamOffer, open_stream_offer), (StreamAnswer, open_stream_answer)):
        try:
            message = canonical.decode(data, kind, limit=1 << 16, what="what came by stream")
        except RemoteError:
            if kind is StreamAnswer:
                raise
        else:
            read(seal(message, KEY))
            return


def _streams() -> list[StreamOffer | StreamAnswer]:
    offer = StreamOffer(
        swarm=SWARM, key=KEY.public.hex(), nonce="11" * 32, to="44" * 32, ticket="55" * 32, proof="66" * 32
    )
    return [offer, StreamAnswer(swarm=SWARM, key=KEY.public.hex(), nonce="22" * 32, offer="33" * 32)]


def _hello(data: bytes) -> None:
    """What another doctor says the time is, as far as words about it."""
    clock.judge_other(talk.read_hello(data).time_ms / 1000 - 1_767_225_600.0, "there")


def _description(data: bytes) -> None:
    """An SDP as a library writes it; what is read out of it is checked as a peer's would be."""
    found = read_sdp(data.decode("utf-8", "replace"), WHERE.candidates)
    checked(found.ufrag, found.password, found.fingerprint, found.candidates)


def _ice_server(data: bytes) -> None:
    """What a user types. A password is in nothing that is shown."""
    server = IceServer.parse(data.decode("utf-8", "replace"))
    assert "password" not in repr(server)
    assert str(server) == f"{server.kind}:{server.host}:{server.port}"


def _record(data: bytes) -> None:
    """Port, address and the raw bytes of a TXT record. A false one is none: never an error."""
    port, address, text = int.from_bytes(data[:2], "big"), data[2:6], data[6:]
    info = AsyncServiceInfo(SERVICE, f"x.{SERVICE}", port=port, properties=text, addresses=[address.ljust(4, b"\1")])
    found = read_record(info, swarm_tag(SWARM), ("127.0.0.1",))
    if found is None:
        raise RemoteError("no record of ours")
    assert len(found.key) == 32
    assert 0 < found.port < 65_536


def _answer_of_dht(data: bytes) -> None:
    """What a DHT server answers, and who it says is there."""
    message = kad.read_providers(data, kad.key_of(bytes(32)))
    assert len(message.providers) <= kad.MAX_PROVIDERS
    assert kad.read_message(kad.write_message(message)) == message
    for said in (*message.providers, *message.closer):
        hint = read_hint(said, NOWHERE)
        assert hint is None or len(hint[0]) == 32


def _answers_of_dht() -> list[bytes]:
    peer = bytes.fromhex("002408011220") + KEY.public
    where = tuple(map(write_address, ("/ip4/203.0.113.7/tcp/4001", "/ip6/2001:db8:1::7/tcp/9")))
    said = kad.Said(peer, where)
    whole = kad.Message(kad.GET_PROVIDERS, kad.key_of(bytes(32)), (said,), (said, kad.Said(peer, ())))
    return [kad.write_message(whole), kad.write_message(kad.Message(kad.GET_PROVIDERS))]


def _address(data: bytes) -> None:
    """An address of a stranger's; none is none, never an error."""
    text = read_address(data)
    if text is None:
        raise RemoteError("of no shape that is dialled")
    assert read_address(write_address(text)) == text


def _addresses() -> list[bytes]:
    peer = "12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8"
    texts = (
        "/ip4/203.0.113.7/tcp/4001", f"/dns4/relay.example.org/tcp/4001/p2p/{peer}/p2p-circuit/p2p/{peer}",
        f"/ip6/2001:db8:1::7/tcp/9/p2p/{peer}",
    )  # fmt: skip
    return [write_address(text) for text in texts]


def _records() -> list[bytes]:
    words = (b"tag=" + swarm_tag(SWARM).encode(), b"id=" + b"ab" * 32, b"key=" + b"cd" * 32)
    text = b"".join(bytes([len(word)]) + word for word in words)
    return [(4100).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + text]


def _datagram(data: bytes) -> None:
    """What anybody on the network sends to port 5353."""
    infos = read_datagram(data)
    for info in infos:
        read_record(info, swarm_tag(SWARM), ("127.0.0.1",))
    if not infos:
        raise RemoteError("no record of ours")


def _datagrams() -> list[bytes]:
    """All that a peer says about itself; and only half of it behind a record of something else."""
    said = []
    for name in ("ab", "cd"):
        info = ServiceInfo(
            SERVICE, f"{name * 16}.{SERVICE}", port=4100, server=f"{name * 16}.local.",
            properties={"tag": swarm_tag(SWARM), "id": "ab" * 32, "key": "cd" * 32}, addresses=[bytes([127, 0, 0, 1])],
        )  # fmt: skip
        out = DNSOutgoing(0x8400)
        for record in (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()):
            out.add_answer_at_time(record, 0)
        said += out.packets()
    return said


# ------------------------------------------------------------------ sums that leaders offer

SUMMED: Final = 300  # parameters


def _sum(data: bytes) -> None:
    """What is inside has one spelling; deflate has many. What was taken can be lent, and is spelled the same again."""
    found = bundled_sum.decode(data, SUMMED)
    plain = bundled_sum._inflated(data, bundled_sum.most_bytes(SUMMED))
    assert bundled_sum._plain(found) == plain
    left = bundled_sum.Remainder(found)
    left.add_to(np.zeros(SUMMED, dtype=np.int64))
    assert len(left.left) == found.updates


def _plain_sum(data: bytes) -> None:
    """The same, packed as a sender would: else nearly all would end in the stream."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    _sum(bundled_sum.MAGIC + len(data).to_bytes(4, "little") + packer.compress(data) + packer.flush())


def _some_sums() -> list[bundled_sum.BundledSum]:
    luck, found = np.random.default_rng(5), []
    for density in (0.01, 0.2, 1.0):
        names = {(f"{n % 3:02x}" * 32, 3 + n): f"{n:02x}" * 32 for n in range(9)}
        deltas = [encode_update(luck.standard_normal(SUMMED).astype(np.float32), density)[0] for _ in names]
        terms = [(NumpyArithmetic().decode(delta, SUMMED), 65_536 // (n + 1)) for n, delta in enumerate(deltas)]
        found.append(bundled_sum.sum_up(SUMMED, terms, names))
    return found


# ------------------------------------------------------------------ records that others open


@cache
def _engine() -> Engine | None:
    if not is_installed():
        return None
    rules = file(b"||ads.example^\n@@||good.example^$script\n/banner/*$image,domain=news.example\n", "list.txt")
    return engine_of([("ad", rules), ("tracker", rules)])


def _opened(data: bytes) -> None:
    """Key and value of one record; looking into it never raises."""
    key, _, value = data.partition(b"\n")
    inspect([(key, value), (key, value)], _engine())
    inspect_numbers([(key, value)], 3, ("a", "b"))
    request = parse_record(key, value)
    if request is None:
        raise RemoteError("no record of ours")
    grams([request.url], 1 << 10)
    marks([request.url], [request.type], [request.party])
    assert (request.key, request.value) == (key, value)


def _opened_records() -> list[bytes]:
    rows = [("https://news.example/", f"https://ads.example/{kind}.js?q=ü", kind) for kind in sorted(TYPES)[:3]]
    return ["\0".join(row).encode() + b'\n["ad",true]' for row in rows] + [struct.pack("<3f", 1, 2, 3) + b"\na"][:0]


def _bare(message: Offer | Answer | StreamOffer | StreamAnswer) -> Sequence[bytes]:
    return [canonical.encode(message)]


@cache
def _latest() -> tuple[str, tuple[str, ...], tuple[bytes, ...]]:
    """A final snapshot as it is offered in a small swarm, the swarm, and its witnesses."""
    scenario = Scenario(peers=3, seconds=5.0, seed=5, round_s=0.5, witnesses=2, constants={"snapshot_every": 2})
    swarm = SimSwarm(scenario)
    swarm.run()
    found = [peer.machine._finals._latest for peer in swarm.peers if peer.machine is not None]
    (book, *_) = [peer.book for peer in swarm.peers if peer.book is not None]
    frames = tuple(codec._encode(latest) for latest in found if latest is not None)
    return swarm.swarm_id, tuple(book.replica.genesis.witnesses), frames


def _final_offered(data: bytes) -> None:
    """A final snapshot that somebody offers: it is only taken if it is the true one."""
    swarm, witnesses, _ = _latest()
    frame = codec.decode(data)
    if isinstance(frame, Latest):
        offer = verify_offer(frame, swarm, witnesses, lambda witness: [bytes.fromhex(witness)])
        assert 2 * len(set(offer.by)) > len(witnesses)


def _announced(data: bytes) -> None:
    """What is read has one spelling, and fits where announcements do."""
    said = announced.read(data)
    assert canonical.encode(said) == data
    assert len(data) <= announced.MAX_BYTES


TARGETS: Final = (
    Target("final-offered", _final_offered, lambda: _latest()[2], ("gossip.peer.offered.verify_offer",)),
    Target("frame", _frame, frames, ("gossip.wire.codec.decode",), words=(b"\x0d", b"\x04", b"\x02\x01\x00")),
    Target("sum", _sum, lambda: [bundled_sum.encode(one) for one in _some_sums()],
           ("gossip.merging.bundled_sum.decode",), words=(b"GSS1", b"\xff\xff\xff\x7f")),
    Target("sum-plain", _plain_sum, lambda: [bundled_sum._plain(one) for one in _some_sums()],
           ("gossip.merging.bundled_sum.decode",), words=(b"\x80\x00", b"\xff\xff\xff\xff\x0f")),
    Target("doctor-hello", _hello, lambda: [talk.hello(lambda: 1_767_225_600.25)], ("gossip.doctor.talk.read_hello",)),
    Target("sctp", _packets, _association, ("gossip.transport.police.Police.allows",), limit=4_096),
    Target("flow", _flow, _pieces, ("gossip.transport.flow.Flow.arrived",), words=(b"\x05\x00\x02", b"\x03")),
    Target(
        "offer", _offered, lambda: [seal(_offer(), KEY)],
        ("gossip.transport.offers.open_offer", "gossip.transport.offers.read_offer",
         "gossip.transport.description.checked"), slow=True,
    ),
    Target(
        "offer-signed", _signed_offer,
        lambda: _bare(_offer(to="44" * 32, ticket="55" * 32, proof="66" * 32)),
        ("gossip.transport.offers.open_offer",), slow=True,
    ),
    Target(
        "answer", _answered, lambda: [seal(_answer(), KEY)], ("gossip.transport.offers.open_answer",), slow=True
    ),
    Target(
        "answer-signed", _signed_answer, lambda: _bare(_answer()), ("gossip.transport.offers.open_answer",),
        slow=True,
    ),
    Target(
        "stream", _stream_letter,
        lambda: [letter(seal(one, KEY)) + b"\0\x0b\0\x01\x06\0\0\0gossip\x01\x01\0\x03" for one in _streams()],
        ("gossip.transport.offers.open_stream_offer", "gossip.transport.offers.open_stream_answer",
         "gossip.transport.offers.read_stream_offer", "gossip.transport.streamed.cut_letter"),
        words=(b"\xff\xff", b"\0\0"), slow=True,
    ),
    Target(
        "stream-signed", _signed_stream, lambda: [data for one in _streams() for data in _bare(one)],
        ("gossip.transport.offers.open_stream_offer", "gossip.transport.offers.open_stream_answer"), slow=True,
    ),
    Target(
        "stream-frames", _stream_frames,
        lambda: [b"\0\x0b\0\x01\x06\0\0\0gossip" * 2 + b"\x01\x01\0\x03" + b"\x01\x0b\0\x01\x07\0\0\0goss"[:4]],
        ("gossip.transport.streamed.Frames.feed",), words=(b"\x01\x05\x40", b"\0\x01\0\x03"),
    ),
    Target(
        "description", _description, lambda: [write_sdp(WHERE, kind=kind).encode() for kind in ("offer", "answer")],
        ("gossip.transport.description.read_sdp",), words=(b"\r\n", b"a=fingerprint:sha-256 ", b"a=ice-ufrag:"),
        own=True,
    ),
    Target(
        "ice-server", _ice_server, lambda: [b"stun:stun.example.org:3478", b"turn:anna:se%3Acret@192.0.2.1:3478"],
        ("gossip.transport.ice.IceServer.parse",), words=(b"%", b"%ff", b":", b"@", b"turn:", b"\n"), own=True,
    ),
    Target(
        "datagram", _datagram, _datagrams, ("gossip.transport.hearing.read_datagram",), limit=9_000,
        words=(b"\xc0\x0c", b"\xc0\x00", b"\x3f", b"\x00\x21\x00\x01", b"\x00\x10\x80\x01"),
    ),
    Target(
        "announcement", _announced,
        lambda: [announced.announcement(31, {"aa" * 32: 31, "bb" * 32: 4680}), announced.announcement(0, {})],
        ("gossip.node.announced.read",), words=(b"size", b"2147483648", b"-1", b"1e3"),
    ),
    Target(
        "dht-answer", _answer_of_dht, _answers_of_dht,
        ("gossip.wide.kad.read_message", "gossip.wide.kad.read_providers", "gossip.wide.hints.read_hint",
         "gossip.wide.protobuf.read_fields", "gossip.wide.protobuf.read_varint"),
        words=(b"\x08\x03", b"\x4a\x00", b"\x42", b"\x0a\x26", b"\xff\xff\xff\xff\x0f"),
    ),
    Target(
        "libp2p-address", _address, _addresses, ("gossip.wide.addresses.read_address",),
        words=(b"\xa5\x03", b"\xa2\x02", b"\x36", b"\x04", b"\x06\x0f\xa1"),
    ),
    Target("mdns", _record, _records, ("gossip.transport.discovery.read_record",), words=(b"tag=", b"key=", b"id=")),
    Target(
        "record", _opened, _opened_records,
        ("gossip.filterlists.requests.parse_record", "gossip.filterlists.inspect.inspect"),
        words=(b"\0", b"http://", b"[::1]", b"\xed\xa0\x80", "。".encode(), b"@", b":99999", b"xn--"), slow=True,
    ),
)  # fmt: skip
