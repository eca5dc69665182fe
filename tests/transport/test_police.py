"""The police below the frames: honest packets pass, every other kind ends its link, and nothing else."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from struct import pack

import pytest
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport import aiortc_backend
from gossip.transport.flow import MAX_FRAME_BYTES
from gossip.transport.police import BUDGET, BUDGET_PER_S, EARNED, MAX_AHEAD, SLACK_BYTES, WINDOW_BYTES, Police
from gossip.transport.webrtc import make_peer
from ledger.errors import RemoteError
from tests.transport.joining import LOOPBACK, joined, opened
from tests.transport.sctp_attacks import ATTACKS, FIRST, LAST, MIDDLE, WHOLE, Liar, attack, chunk, unpoliced

OURS, THEIRS = 7, 8  # verification tags
BEGINS = 2**32 - 5  # TSNs wrap soon


# ------------------------------------------------------------- against real connections


@pytest.mark.e2e
@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_ends_its_own_link_and_nothing_else(name: str) -> None:
    async with joined(("aiortc", "aiortc")) as (one, two), asyncio.timeout(60):
        outcome = await attack(name, "aiortc")
        assert outcome.withstood, outcome
        await one.send(b"unharmed")
        assert await two.receive() == b"unharmed"


@pytest.mark.e2e
@pytest.mark.parametrize("name", ATTACKS)
async def test_the_same_kit_catches_an_adapter_without_police(name: str) -> None:
    """The positive control: each attack succeeds against aiortc as it is."""
    async with asyncio.timeout(60):
        outcome = await attack(name, "aiortc", policed=False)
    assert not outcome.withstood, outcome


@pytest.mark.e2e
@pytest.mark.parametrize("policed", [True, False])
async def test_records_packed_into_one_datagram_are_all_read_or_they_pile_up(policed: bool) -> None:
    """aiortc reads one record of a datagram. Without our reading on, each datagram would leave the others behind."""
    with unpoliced():
        peer = make_peer("aiortc", LOOPBACK)
        victim = make_peer("aiortc", LOOPBACK) if not policed else None
    victim = victim or make_peer("aiortc", LOOPBACK)
    await peer.accept(await victim.answer(await peer.offer()))
    await opened(peer, victim)
    liar = Liar(peer)
    dtls = liar.sctp.transport
    for _ in range(10):
        for _ in range(20):
            head = pack("!HHL", 5000, 5000, liar.sctp._remote_verification_tag)
            body = chunk(4, 0, pack("!HH", 1, 8) + bytes(4))
            dtls._ssl.send(head + pack("<L", crc32c(head + bytes(4) + body)) + body)
        packed = dtls._ssl.bio_read(2_000)
        assert len(packed) < 2_000
        await dtls.transport._send(packed)
        await asyncio.sleep(0)
    await liar.wait(5 if policed else 1)
    assert (aiortc_backend._more(victim._pc.sctp.transport) == b"") == policed  # type: ignore[attr-defined]
    await asyncio.gather(peer.close(), victim.close())


def test_a_parameter_of_length_zero_would_hang_the_library() -> None:
    """Why parameters are read before aiortc reads them: it makes a list without end of this one."""
    program = (
        "import resource; from aiortc.rtcsctptransport import decode_params\n"
        "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**26,) * 2)\n"
        "try: decode_params(bytes(8))\n"
        "except MemoryError: print('without end')"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert told.stdout == "without end\n", told.stderr
    for kind in (4, 5, 6, 9, 130):
        with pytest.raises(RemoteError, match="false length"):
            begun().allows(packet(chunk(kind, 0, bytes(8))), 0.0)


# ------------------------------------------------------------- the books alone


def packet(*chunks: bytes, tag: int = OURS) -> bytes:
    head = pack("!HHL", 5000, 5000, tag)
    body = b"".join(chunks)
    return head + pack("<L", crc32c(head + bytes(4) + body)) + body


def init(tag: int, first: int, kind: int = 1) -> bytes:
    return chunk(kind, 0, pack("!LLHHL", tag, 2**20, 65_535, 65_535, first))


def data(tsn: int, flags: int = WHOLE, seq: int = 0, body: bytes = b"x", stream: int = 0) -> bytes:
    return chunk(0, flags, pack("!LHHL", tsn % 2**32, stream, seq % 2**16, 53) + body)


def sack(upto: int, *gaps: tuple[int, int]) -> bytes:
    return chunk(3, 0, pack("!LLHH", upto % 2**32, 0, len(gaps), 0) + b"".join(pack("!HH", *gap) for gap in gaps))


def begun() -> Police:
    """Books of an association that both ends have begun."""
    police = Police(crc32c, 0.0)
    police.sent(packet(init(OURS, 100), tag=0))
    assert police.allows(packet(init(THEIRS, BEGINS), tag=0), 0.0)
    return police


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, int, int, int, int]]:
    """DATA chunks of honest frames on two channels: (tsn, flags, stream, seq, size)."""
    chunks: list[tuple[int, int, int, int, int]] = []
    seq = [0, 0]
    for stream, size in draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, MAX_FRAME_BYTES)), max_size=20)):
        parts = -(-size // 1160)
        for part in range(parts):
            flags = (FIRST if part == 0 else MIDDLE) | (LAST if part == parts - 1 else 0)
            chunks.append((BEGINS + len(chunks), flags, stream, seq[stream], min(1160, size - part * 1160)))
        seq[stream] += 1
    return chunks


@settings(max_examples=60, deadline=None)
@given(conversations(), st.randoms(use_true_random=False))
def test_honest_frames_pass_in_any_order_and_as_often_as_they_come(
    chunks: list[tuple[int, int, int, int, int]], luck: random.Random
) -> None:
    police = begun()
    arrivals = [c for c in chunks for _ in range(luck.choice((1, 1, 1, 2, 3)))]
    luck.shuffle(arrivals)
    for tsn, flags, stream, seq, size in arrivals:
        assert police.allows(packet(data(tsn, flags, seq, bytes(size), stream)), 0.0)
    assert police.held_bytes == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.integers(0, 255), st.data())
def test_no_bytes_bring_anything_but_a_remote_error(bodies: list[bytes], kind: int, more: st.DataObject) -> None:
    police = begun()
    packets = [packet(*(chunk(kind, more.draw(st.integers(0, 7)), body) for body in bodies)), *bodies]
    for made in packets:
        try:
            police.allows(made, 0.0)
        except RemoteError:
            return


def test_beginnings_may_be_repeated_until_data_come_and_never_changed() -> None:
    police = begun()
    assert police.allows(packet(init(THEIRS, BEGINS), tag=0), 0.0)
    assert not police.allows(packet(init(9, 1, kind=2)), 0.0)  # an answer to a late copy of ours: dropped
    assert police.allows(packet(data(BEGINS)), 0.0)
    assert not police.allows(packet(init(THEIRS, BEGINS), tag=0), 0.0)  # late: aiortc would count from the start again
    with pytest.raises(RemoteError, match="begins again"):
        police.allows(packet(init(9, BEGINS), tag=0), 0.0)


def test_packets_for_others_and_damaged_ones_are_dropped() -> None:
    police = begun()
    good = packet(data(BEGINS))
    assert not police.allows(packet(data(BEGINS), tag=OURS + 1), 0.0)
    assert not police.allows(good[:-1] + b"\xff", 0.0)
    assert not police.allows(b"short", 0.0)
    assert police.allows(good, 0.0)


def test_the_window_is_counted_over_both_channels_and_frees_itself() -> None:
    police = begun()
    size = 1160
    fitting = (WINDOW_BYTES + SLACK_BYTES) // size
    for number in range(1, fitting + 1):
        police.allows(packet(data(BEGINS + number, WHOLE, number, bytes(size))), 0.0)
    with pytest.raises(RemoteError, match="window"):
        police.allows(packet(data(BEGINS + fitting + 1, WHOLE, fitting + 1, bytes(size))), 0.0)
    police = begun()
    for number in range(3 * fitting):  # the same amount in order is never held
        police.allows(packet(data(BEGINS + number, WHOLE, number, bytes(size))), 0.0)
        assert police.held_bytes == 0


def test_as_much_may_be_ahead_as_honest_senders_have_under_way() -> None:
    begun().allows(packet(data(BEGINS + MAX_AHEAD - 1)), 0.0)
    with pytest.raises(RemoteError, match="far ahead"):
        begun().allows(packet(data(BEGINS + MAX_AHEAD)), 0.0)


def test_acknowledged_is_what_was_sent() -> None:
    police = begun()
    for tsn in range(100, 110):
        police.sent(packet(data(tsn)))
    for honest in (sack(99), sack(109), sack(103, (2, 3), (5, 6)), sack(90)):
        assert police.allows(packet(honest), 0.0)
    for lie in (sack(110), sack(109, (1, 1)), sack(103, (2, 7)), sack(103, (3, 2)), sack(103, (2, 3), (3, 4))):
        with pytest.raises(RemoteError):
            police.allows(packet(lie), 0.0)


def test_packets_that_bring_nothing_are_paid_for_by_work_and_by_time() -> None:
    again = packet(data(BEGINS))

    def until_cut(police: Police, now: float) -> int:
        for times in range(2 * BUDGET):
            try:
                police.allows(again, now)
            except RemoteError:
                return times
        raise AssertionError("never cut")

    def spent() -> Police:
        police = begun()
        for _ in range(BUDGET + 1):  # the first of them is new
            assert police.allows(again, 0.0)
        return police

    assert until_cut(spent(), 0.0) == 0
    assert until_cut(spent(), 1.0) == BUDGET_PER_S
    police = spent()
    for _ in range(2):  # sent again, it earns nothing: else loss that is only claimed would pay for itself
        police.sent(packet(data(100)))
    assert until_cut(police, 0.0) == EARNED
    assert until_cut(spent(), 1e6) == BUDGET
