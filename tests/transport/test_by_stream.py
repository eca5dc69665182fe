"""Links on streams: what may be said on one, by whom, and what a liar at its other end gets."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.limits import Limits
from gossip.transport import by_stream, handshake, streamed
from gossip.transport.bind import Meeting, Party
from gossip.transport.by_stream import fingerprint_of, open_stream
from gossip.transport.channels import ChannelLink
from gossip.transport.flow import MAX_FRAME_BYTES
from gossip.transport.handshake import Caller
from gossip.transport.link import Link
from gossip.transport.offers import (
    MAX_BODY_BYTES,
    Answer,
    Offer,
    StreamAnswer,
    StreamOffer,
    digest,
    open_answer,
    open_offer,
    open_stream_answer,
    open_stream_offer,
    seal,
)
from gossip.transport.road import Road, Stream
from gossip.transport.signalling import Unheard
from gossip.transport.streamed import BEAT, Frames, StreamPeer, cut_letter, hear, letter
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import LinkError, RemoteError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BERTA, LOOPBACK, MALLORY, SWARM, Members
from tests.transport.roads import MemoryStream, stream_pair
from tests.transport.test_signalling import signed

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "stream.json"
LIMIT_S = 60
PIECE = b"\x01\x06\x00\x00\x00gossip"


@asynccontextmanager
async def door(gate: Members, limits: Limits | None = None) -> AsyncIterator[WebRTCTransport]:
    """Berta, as one who is dialled."""
    made = WebRTCTransport(BERTA, SWARM, gate, LOOPBACK, limits=limits or Limits())
    try:
        async with asyncio.timeout(LIMIT_S):
            yield made
    finally:
        await made.close()


def knock(berta: WebRTCTransport, key: PrivateKey) -> MemoryStream:
    """A stream to Berta by the holder of that key: the dialler's end."""
    here, there = stream_pair(key.public, BERTA.public)
    berta.answer_stream(there)
    return here


def offer_of(key: PrivateKey, *, to: bytes = BERTA.public) -> bytes:
    return Caller(SWARM, key, to, None).offer(None)


async def is_silence(stream: MemoryStream) -> bool:
    """Whether it ends without a byte."""
    return await stream.receive() == b"" and not stream.other.sent


def far_end(says: Callable[[MemoryStream], Awaitable[None]], key: bytes = BERTA.public) -> Road:
    """A road to somebody who is no transport of ours."""

    class To:
        async def exchange(self, key: bytes, offer: bytes) -> bytes:
            raise LinkError("nobody there")

        async def open(self, to: bytes) -> Stream:
            here, there = stream_pair(ANNA.public, key)
            self.saying = asyncio.get_running_loop().create_task(says(there))
            return here

    return To()


async def dial(says: Callable[[MemoryStream], Awaitable[None]], key: bytes = BERTA.public) -> Link:
    """Anna dials Berta by stream, who is that far end."""
    caller = Caller(SWARM, ANNA, BERTA.public, None)
    async with asyncio.timeout(LIMIT_S):
        opened = await open_stream(far_end(says, key), caller)
        try:
            await opened.bind("d", ANNA)
        except BaseException:
            await opened.raw.close()
            raise
    return opened.link


def answer_to(data: bytes, by: PrivateKey = BERTA, /, **changes: str) -> bytes:
    fields = {"swarm": SWARM, "key": by.public.hex(), "nonce": "22" * 32, "offer": digest(data)}
    return letter(seal(StreamAnswer(**(fields | changes)), by))


# ------------------------------------------------------------------ bytes


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(min_size=1, max_size=300)), max_size=8), st.integers())
def test_however_a_stream_is_cut_the_same_frames_come_out(frames: list[tuple[int, bytes]], seed: int) -> None:
    luck, reader, found = random.Random(seed), Frames(), []
    data = b"".join(bytes([channel]) + len(frame).to_bytes(2, "little") + frame for channel, frame in frames)
    while data:
        size = luck.randint(1, 40)
        found += reader.feed(data[:size])
        data = data[size:]
    assert found == frames


@pytest.mark.parametrize(
    "head", [b"\x02\x01\x00", b"\xff\x01\x00", b"\x01\x00\x00", b"\x01" + (MAX_FRAME_BYTES + 1).to_bytes(2, "little")]
)
def test_a_malformed_head_of_a_frame_is_refused_before_anything_follows(head: bytes) -> None:
    reader = Frames()
    assert reader.feed(head[:2]) == []
    with pytest.raises(RemoteError):
        reader.feed(head[2:])


def test_the_longest_frame_is_none_too_long_and_half_a_frame_is_kept() -> None:
    whole = b"\x01" + MAX_FRAME_BYTES.to_bytes(2, "little") + bytes(MAX_FRAME_BYTES)
    reader = Frames()
    assert reader.feed(whole[:-1]) == []
    assert reader.feed(whole[-1:] + b"\x00") == [(1, bytes(MAX_FRAME_BYTES))]
    assert len(reader._held) == 1


def test_a_letter_is_cut_off_and_one_without_end_is_refused_at_its_head() -> None:
    assert cut_letter(letter(b"hello") + b"rest") == (b"hello", b"rest")
    for short in (b"", b"\x05", b"\x05\x00hell"):
        assert cut_letter(short) is None
    for size in (0, MAX_BODY_BYTES + 1, 65_535):
        with pytest.raises(RemoteError):
            cut_letter(size.to_bytes(2, "little"))


def test_what_is_signed_for_a_stream_is_nothing_for_a_data_channel_and_the_reverse() -> None:
    stream, channel = offer_of(ANNA), signed(ANNA)
    assert isinstance(open_stream_offer(stream), StreamOffer)
    assert isinstance(open_offer(channel), Offer)
    answer = StreamAnswer(swarm=SWARM, key=ANNA.public.hex(), nonce="22" * 32, offer="33" * 32)
    for read, data in (
        (open_offer, stream),
        (open_stream_offer, channel),
        (open_answer, seal(answer, ANNA)),
        (open_stream_answer, stream),
        (open_stream_offer, seal(answer, ANNA)),
    ):
        with pytest.raises(RemoteError):
            read(data)
    # And not because of the fields only: the same fields, signed for the other, are not taken.
    short = open_stream_offer(stream)
    fields = {name: getattr(short, name) for name in ("swarm", "key", "nonce", "to")}
    relabelled = seal(Offer(**fields, session=open_offer(channel).session), ANNA)
    again = resigned(open_offer(relabelled).signature, fields)
    with pytest.raises(RemoteError, match="signature"):
        open_stream_offer(again)
    assert Answer is not StreamAnswer


def resigned(signature: str, fields: dict[str, str]) -> bytes:
    """A StreamOffer that carries somebody else's signature."""
    from ledger import canonical

    return canonical.encode(StreamOffer(**fields, signature=signature))


# ------------------------------------------------------------------ who is let in


async def test_a_member_s_stream_becomes_a_link() -> None:
    async with door(Members(ANNA.public)) as berta:

        async def to_berta(stream: MemoryStream) -> None:
            berta.answer_stream(stream)

        here = await dial(to_berta)
        there = await berta.incoming.get()
        assert (here.backend, there.backend, there.key, there.role) == ("libp2p", "libp2p", ANNA.public, "")
        assert here.session == there.session
        await here.send(b"hello")
        assert await there.receive() == b"hello"
        await asyncio.gather(here.close(), there.close())


async def test_a_stranger_s_stream_gets_silence_and_takes_no_place() -> None:
    async with door(Members(ANNA.public)) as berta:
        stream = knock(berta, MALLORY)
        stream.send(letter(offer_of(MALLORY)))
        assert await is_silence(stream)
        assert not berta._admission._under_way
        assert berta.incoming.empty()
        assert not berta._streams._silent


async def test_an_offer_by_another_key_than_the_stream_s_gets_silence_and_uses_nothing_up() -> None:
    """Mallory has overheard, or made Anna sign, an offer to Berta."""
    async with door(Members(ANNA.public, MALLORY.public)) as berta:
        offer = letter(offer_of(ANNA))
        stolen = knock(berta, MALLORY)
        stolen.send(offer)
        assert await is_silence(stolen)
        own = knock(berta, ANNA)
        own.send(offer)
        data, _ = await hear(own)
        assert open_stream_answer(data).key == BERTA.public.hex()


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x00", b"\xff\xff", b"\x01\x10", letter(b"x"), letter(b"{}"), letter(signed(ANNA)), b"GET / HTTP/1.1\r\n",
        letter(offer_of(ANNA)) + b"\x00\x01\x00x", letter(offer_of(ANNA)) + b"\0",
        letter(offer_of(ANNA, to=MALLORY.public)),
    ],
    ids=[
        "nothing", "too long", "longer than comes", "a letter", "an object", "a channel's offer", "http",
        "an offer and a frame", "an offer and a byte", "an offer to another",
    ],
)  # fmt: skip
async def test_noise_and_whatever_an_honest_dialler_does_not_say_get_silence(said: bytes) -> None:
    async with door(Members(ANNA.public)) as berta:
        for _ in range(2):  # in one piece, or not: the memory stream cuts it
            stream = knock(berta, ANNA)
            stream.send(said)
            assert await is_silence(stream)
        assert not berta._admission._under_way


async def test_an_offer_is_good_once() -> None:
    async with door(Members(ANNA.public)) as berta:
        offer = letter(offer_of(ANNA))
        first, second = knock(berta, ANNA), None
        first.send(offer)
        assert (await hear(first))[0]
        second = knock(berta, ANNA)
        second.send(offer)
        assert await is_silence(second)


async def test_who_says_nothing_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_stream, "FIRST_S", 0.05)
    async with door(Members(ANNA.public)) as berta:
        for said in (b"", letter(offer_of(ANNA))[:-1]):
            stream = knock(berta, ANNA)
            if said:
                stream.send(said)
            assert await is_silence(stream)


async def test_who_does_not_bind_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "BIND_S", 0.05)
    async with door(Members(ANNA.public)) as berta:
        stream = knock(berta, ANNA)
        stream.send(letter(offer_of(ANNA)))
        while await stream.receive():
            pass
        assert berta.incoming.empty()


async def test_silent_strangers_hold_a_share_of_the_places_and_a_member_finds_one() -> None:
    async with door(Members(ANNA.public), Limits(handshakes_open=8)) as berta:
        crowd = [knock(berta, PrivateKey.from_seed(number.to_bytes(32, "big"))) for number in range(1, 41)]
        assert len(berta._streams._silent) == 2  # a quarter of 8: the newest
        assert [await is_silence(stream) for stream in crowd[:-2]] == [True] * 38
        stream = knock(berta, ANNA)
        stream.send(letter(offer_of(ANNA)))
        assert (await hear(stream))[0]


async def test_a_newer_silent_stream_of_a_key_ends_the_older() -> None:
    async with door(Members(ANNA.public)) as berta:
        older, newer = knock(berta, ANNA), knock(berta, ANNA)
        assert await is_silence(older)
        newer.send(letter(offer_of(ANNA)))
        assert (await hear(newer))[0]


async def test_a_transport_that_closes_ends_them_all() -> None:
    async with door(Members(ANNA.public)) as berta:
        streams = [knock(berta, ANNA), knock(berta, MALLORY)]
        streams[0].send(letter(offer_of(ANNA)))
        await hear(streams[0])
        await berta.close()
        late = knock(berta, ANNA)
        assert [await stream.receive() for stream in (*streams, late)][1:] == [b"", b""]
        assert all(stream.other.is_closed for stream in (*streams, late))


async def test_both_kinds_use_up_what_a_key_may_and_only_that_key_s() -> None:
    async with door(Members(ANNA.public, MALLORY.public), Limits(handshakes_burst=2, handshakes_per_min=1)) as berta:
        for key, answered in ((MALLORY, True), (MALLORY, True), (MALLORY, False), (ANNA, True)):
            stream = knock(berta, key)
            stream.send(letter(offer_of(key)))
            if answered:
                await hear(stream)
            else:
                assert await is_silence(stream)
        assert await berta.answer_offer(MALLORY.public, signed(MALLORY)) is None  # and both kinds use it up
        assert await berta.answer_offer(ANNA.public, signed(ANNA)) is not None


# ------------------------------------------------------------------ what a liar who answers gets


async def test_a_stream_to_another_key_is_not_even_offered_anything() -> None:
    said = []

    async def mallory(stream: MemoryStream) -> None:
        said.append(await stream.receive())

    with pytest.raises(RemoteError, match="another peer"):
        await dial(mallory, MALLORY.public)
    assert said in ([], [b""])


async def test_silence_is_told_as_silence() -> None:
    async def silent(stream: MemoryStream) -> None:
        await hear(stream)
        await stream.close()

    with pytest.raises(Unheard):
        await dial(silent)


@pytest.mark.parametrize("noise", [b"\x00\x00", b"\xff\xff", letter(b"{}"), letter(b"\xff" * 30), b"HTTP/1.1 404\r\n"])
async def test_garbage_in_place_of_an_answer_ends_the_dial(noise: bytes) -> None:
    async def far(stream: MemoryStream) -> None:
        stream.send(noise)
        await hear(stream)

    with pytest.raises(RemoteError):
        await dial(far)


@pytest.mark.parametrize("lie", [{"swarm": "00" * 32}, {"offer": "00" * 32}, {"key": MALLORY.public.hex()}])
async def test_an_answer_to_another_offer_or_by_another_key_ends_the_dial(lie: dict[str, str]) -> None:
    async def far(stream: MemoryStream) -> None:
        offer, _ = await hear(stream)
        stream.send(answer_to(offer, MALLORY if "key" in lie else BERTA, **lie))

    with pytest.raises(RemoteError):
        await dial(far)


async def test_an_answer_of_an_earlier_meeting_ends_the_dial() -> None:
    kept: list[bytes] = []

    async def honest_then_replayed(stream: MemoryStream) -> None:
        offer, _ = await hear(stream)
        kept.append(answer_to(offer))
        stream.send(kept[0])
        if len(kept) == 1:
            await stream.close()

    with pytest.raises(LinkError, match="lost"):
        await dial(honest_then_replayed)
    with pytest.raises(RemoteError, match="another offer"):
        await dial(honest_then_replayed)


@pytest.mark.parametrize(
    "frames",
    [
        b"\x07\x01\x00x",
        BEAT * 1_000,
        b"\x01\x00\x00",
        b"\x01\xff\xff",
        b"\x00\x02\x00\x09x",
        b"\x00\x05\x00\x02\x09\x00\x00\x00",
    ],
)
async def test_garbage_behind_the_answer_ends_the_link_for_the_liar_s_fault(frames: bytes) -> None:
    async def far(stream: MemoryStream) -> None:
        offer, _ = await hear(stream)
        stream.send(answer_to(offer) + frames)

    with pytest.raises(RemoteError):
        await dial(far)


async def test_our_own_bind_sent_back_proves_nothing() -> None:
    """Whoever holds the stream without Berta's key has only what Anna says to go by."""

    async def mirror(stream: MemoryStream) -> None:
        offer, rest = await hear(stream)
        stream.send(answer_to(offer))  # (from somebody who could make Berta sign this much)
        while data := rest or await stream.receive():
            stream.send(data)
            rest = b""

    with pytest.raises(RemoteError, match="prove"):
        await dial(mirror)


async def test_a_bind_of_a_data_channel_is_none_for_a_stream() -> None:
    """The same keys and nonces, and certificates in place of what stands for them."""

    async def far(stream: MemoryStream) -> None:
        data, _ = await hear(stream)
        offer = open_stream_offer(data)
        parties = (
            Party(ANNA.public, bytes.fromhex(offer.nonce), b"\3" * 32),
            Party(BERTA.public, b"\x22" * 32, b"\4" * 32),
        )
        proof = BERTA.sign(Meeting(SWARM, *parties).transcript("a"))
        stream.send(answer_to(data) + b"\x00\x45\x00\x01\x40\x00\x00\x00" + proof)

    with pytest.raises(RemoteError, match="prove"):
        await dial(far)


async def test_somebody_in_the_middle_who_passes_everything_on_reaches_nobody() -> None:
    """Mallory joins a stream of Anna's to one of her own to Berta. The carrier proves that both lead to Mallory; here
    it fails to at one side, and the other notices."""
    async with door(Members(ANNA.public)) as berta:

        async def middle(stream: MemoryStream) -> None:
            onward = knock(berta, MALLORY)
            offer, _ = await hear(stream)
            onward.send(letter(offer))
            data = await onward.receive()
            assert data == b""  # Berta: silence
            await stream.close()

        with pytest.raises(Unheard):
            await dial(middle)
        assert berta.incoming.empty()


# ------------------------------------------------------------------ still there


async def test_who_has_nothing_to_say_says_that_it_is_there_and_a_link_takes_no_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streamed, "BEAT_S", 0.01)
    ends = stream_pair(ANNA.public, BERTA.public)
    here = ChannelLink(StreamPeer(ends[0]), key=BERTA.public, dialled=True)
    async with asyncio.timeout(LIMIT_S):
        beats = b""
        while len(beats) < 5 * len(BEAT):
            beats += await ends[1].receive()
        assert beats.replace(BEAT, b"") == b""
        ends[1].send(BEAT * 5 + b"\x00" + len(PIECE).to_bytes(2, "little") + PIECE + BEAT)
        assert await here.receive() == b"gossip"
        await ends[1].close()
        await here.close()


async def test_a_far_end_that_was_not_heard_of_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a router leaves it that has forgotten a connection: nothing ends, and nothing comes."""
    monkeypatch.setattr(streamed, "BEAT_S", 0.01)
    monkeypatch.setattr(streamed, "SILENT_S", 0.05)
    ends = stream_pair(ANNA.public, BERTA.public)
    here = ChannelLink(StreamPeer(ends[0]), key=BERTA.public, dialled=True)
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(LinkError, match="lost"):
            await here.receive()
        await here.close()
    assert ends[0].is_closed


# ------------------------------------------------------------------ the vector


def vectors() -> dict[str, object]:
    """The content of tests/vectors/stream.json, made from code."""
    offer = seal(StreamOffer(swarm=SWARM, key=ANNA.public.hex(), nonce="01" * 32, to=BERTA.public.hex()), ANNA)
    answer = seal(StreamAnswer(swarm=SWARM, key=BERTA.public.hex(), nonce="02" * 32, offer=digest(offer)), BERTA)
    meeting = Meeting(
        SWARM,
        Party(ANNA.public, b"\x01" * 32, fingerprint_of(ANNA.public)),
        Party(BERTA.public, b"\x02" * 32, fingerprint_of(BERTA.public)),
    )
    return {
        "format": "gossip stream handshake, version 1",
        "dialler_seed": (b"a" * 32).hex(),
        "answerer_seed": (b"b" * 32).hex(),
        "offer": offer.decode(),
        "answer": answer.decode(),
        "dialler_fingerprint": meeting.dialler.fingerprint.hex(),
        "answerer_fingerprint": meeting.answerer.fingerprint.hex(),
        "dialler_transcript": meeting.transcript("d").hex(),
        "answerer_transcript": meeting.transcript("a").hex(),
        "dialler_sends": (letter(offer) + b"\0\x45\0\1\x40\0\0\0" + ANNA.sign(meeting.transcript("d"))).hex(),
        "answerer_sends": (letter(answer) + b"\0\x45\0\1\x40\0\0\0" + BERTA.sign(meeting.transcript("a"))).hex(),
        "session": meeting.session().hex(),
    }


def test_the_vector_file_is_what_the_code_makes() -> None:
    assert VECTORS.read_text() == json.dumps(vectors(), indent=2) + "\n"


async def test_the_code_says_and_takes_what_the_vector_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anna, with the nonce of the vector, against recorded bytes of Berta's."""
    vector = json.loads(VECTORS.read_text())
    heard = bytearray()

    async def recorded(stream: MemoryStream) -> None:
        stream.send(bytes.fromhex(vector["answerer_sends"]))
        while data := await stream.receive():
            heard.extend(data)

    caller = dataclasses.replace(Caller(SWARM, ANNA, BERTA.public, None), nonce=b"\x01" * 32)
    async with asyncio.timeout(LIMIT_S):
        opened = await open_stream(far_end(recorded), caller)
        await opened.bind("d", ANNA)
        assert opened.link.session.hex() == vector["session"]
        while len(heard) < len(vector["dialler_sends"]) // 2:
            await asyncio.sleep(0)
        assert heard.hex() == vector["dialler_sends"]
        await opened.raw.close()


if __name__ == "__main__":  # python -m tests.transport.test_by_stream writes the vector file
    VECTORS.write_text(json.dumps(vectors(), indent=2) + "\n")
