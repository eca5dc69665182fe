"""Pieces and credits as a machine: what an honest pair does in any order, and every way to be dishonest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.transport.flow import (
    MAX_FRAME_BYTES,
    MAX_REASON_BYTES,
    PIECE_BYTES,
    RETURN_PIECES,
    WINDOW_PIECES,
    Flow,
)
from gossip.transport.link import MAX_MESSAGE_BYTES
from ledger.errors import LocalError, RemoteError


def piece(left: int, data: bytes) -> bytes:
    return b"\x01" + left.to_bytes(4, "little") + data


def credit(count: int) -> bytes:
    return b"\x02" + count.to_bytes(4, "little")


def test_the_example_in_the_docs() -> None:
    flow = Flow()
    flow.offer(b"gossip")
    assert [frame.hex() for frame in flow.outgoing()] == ["0106000000676f73736970"]


sizes = st.one_of(st.integers(1, 40), st.integers(1, 4).map(lambda n: n * PIECE_BYTES), st.just(MAX_MESSAGE_BYTES))


@settings(max_examples=40)
@given(st.lists(sizes, max_size=400), st.randoms(use_true_random=False))
def test_whatever_the_order_of_reading_all_messages_arrive_and_the_window_holds(sizes: list[int], luck: object) -> None:
    sender, receiver = Flow(), Flow()
    messages = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    wire: list[bytes] = []
    back: list[bytes] = []
    read: list[bytes] = []
    waiting = list(messages)
    in_flight = 0
    while len(read) < len(messages):
        action = luck.randrange(4)  # type: ignore[attr-defined]
        if action == 0 and waiting:
            sender.offer(waiting.pop(0))
        elif action == 1 and wire:
            receiver.arrived(wire.pop(0))
        elif action == 2 and (message := receiver.take()) is not None:
            read.append(message)
            in_flight -= -(-len(message) // PIECE_BYTES)
        elif action == 3 and back:
            sender.arrived(back.pop(0))
        new = sender.outgoing()
        in_flight += len(new)
        assert in_flight <= WINDOW_PIECES
        wire += new
        back += receiver.outgoing()
    assert read == messages
    assert sender.out == len(messages)


def test_a_sender_stops_at_the_window_and_goes_on_when_credits_come() -> None:
    sender, receiver = Flow(), Flow()
    for _ in range(WINDOW_PIECES + 1):
        sender.offer(b"m")
    frames = sender.outgoing()
    assert len(frames) == WINDOW_PIECES
    for frame in frames:
        receiver.arrived(frame)
    for _ in range(RETURN_PIECES - 1):
        receiver.take()
        assert receiver.outgoing() == []
    receiver.take()
    (returned,) = receiver.outgoing()
    sender.arrived(returned)
    assert len(sender.outgoing()) == 1


def test_a_sender_with_enough_to_say_has_between_one_and_four_mebibytes_under_way() -> None:
    """In pieces of 16 KiB, each in a frame of its own. Beyond, a browser's buffer fills up; below, the line idles."""
    sender, receiver = Flow(), Flow()
    for _ in range(400):
        sender.offer(b"m" * MAX_MESSAGE_BYTES)
    wire = sender.outgoing()
    under_way = []
    while wire:
        assert len(wire[0]) <= 16 * 1024 + 5
        receiver.arrived(wire.pop(0))
        while receiver.take() is not None:
            pass
        for credit_frame in receiver.outgoing():
            sender.arrived(credit_frame)
        wire += sender.outgoing()
        if sender.out < 400:
            under_way.append(len(wire) * PIECE_BYTES)
    assert 1 << 20 <= min(under_way) <= max(under_way) <= 4 << 20
    assert sender.out == 400


def test_a_withdrawn_message_is_never_sent_and_one_begun_is_finished() -> None:
    flow = Flow()
    for _ in range(WINDOW_PIECES - 1):
        flow.offer(b"m")
    begun = flow.offer(b"b" * (2 * PIECE_BYTES))
    never = flow.offer(b"never")
    flow.outgoing()
    flow.withdraw(begun)
    flow.withdraw(never)
    flow.arrived(credit(10))
    assert flow.outgoing() == [piece(PIECE_BYTES, b"b" * PIECE_BYTES)]
    assert flow.out == never


@pytest.mark.parametrize("message", [b"", bytes(MAX_MESSAGE_BYTES + 1)], ids=["empty", "too long"])
def test_a_message_of_no_possible_size_is_our_own_fault(message: bytes) -> None:
    with pytest.raises(LocalError):
        Flow().offer(message)


full = b"f" * PIECE_BYTES
DISHONEST: dict[str, list[bytes]] = {
    "nothing": [b""],
    "unknown kind": [b"\x00"],
    "kind of the future": [b"\x04\x00"],
    "longer than a frame": [b"\x01" + bytes(MAX_FRAME_BYTES)],
    "header cut off": [b"\x01\x05\x00"],
    "no data": [piece(1, b"")],
    "empty message": [piece(0, b"")],
    "message too long": [piece(MAX_MESSAGE_BYTES + 1, full)],
    "message of 4 GiB": [piece(2**32 - 1, full)],
    "short piece": [piece(PIECE_BYTES, full[:-1])],
    "long piece": [piece(3, b"four")],
    "total that changes": [piece(2 * PIECE_BYTES, full), piece(PIECE_BYTES - 1, full[:-1])],
    "second message inside the first": [piece(2 * PIECE_BYTES, full), piece(1, b"x")],
    "credit for nothing": [credit(1)],
    "credit of nothing": [credit(0)],
    "credit cut off": [b"\x02\x01"],
    "credit with a tail": [credit(1) + b"\x00"],
    "over the window": [piece(1, b"x")] * (WINDOW_PIECES + 1),
    "after bye": [b"\x03", piece(1, b"x")],
    "bye twice": [b"\x03", b"\x03"],
    "bye that is a novel": [b"\x03" + b"n" * (MAX_REASON_BYTES + 1)],
    "bye that is not text": [b"\x03\xff"],
}


@pytest.mark.parametrize("frames", DISHONEST.values(), ids=DISHONEST.keys())
def test_every_departure_is_a_remote_error(frames: list[bytes]) -> None:
    flow = Flow()
    for frame in frames[:-1]:
        flow.arrived(frame)
    with pytest.raises(RemoteError):
        flow.arrived(frames[-1])


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=40), st.binary(max_size=9).map(lambda tail: b"\x01" + tail)), max_size=8))
def test_any_bytes_raise_remote_error_or_nothing(frames: list[bytes]) -> None:
    flow = Flow()
    try:
        for frame in frames:
            flow.arrived(frame)
    except RemoteError:
        pass


@settings(max_examples=60)
@given(st.text(max_size=400))
def test_any_reason_makes_a_bye_that_the_other_end_reads(reason: str) -> None:
    flow = Flow()
    flow.arrived(Flow.bye(reason))
    assert flow.ended
    assert len(flow.reason.encode()) <= MAX_REASON_BYTES
