"""What every link must do, whatever carries it: the contract of gossip/transport/link.py as a test class.

A test module subclasses `LinkContract` and gives the fixture `links`, two fresh links to each other.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from gossip.transport.channels import ChannelLink
from gossip.transport.flow import PIECE_BYTES, WINDOW_PIECES
from gossip.transport.link import MAX_MESSAGE_BYTES, Link
from ledger.errors import LinkError, LocalError

Links = tuple[ChannelLink, ChannelLink]
MANY = 2_000  # messages: several times the credit window and twice aiolibdatachannel's queue
LIMIT_S = 30  # no test waits longer for anything


async def all_of(link: Link) -> tuple[list[bytes], LinkError]:
    """Everything that still arrives, and how it ended."""
    messages = []
    while True:
        try:
            messages.append(await link.receive())
        except LinkError as error:
            return messages, error


class LinkContract:
    def test_is_a_link(self, links: Links) -> None:
        dialler, answerer = links
        assert isinstance(dialler, Link)
        assert (dialler.dialled, answerer.dialled) == (True, False)
        assert dialler.key != answerer.key

    @pytest.mark.parametrize("bulk", [False, True])
    async def test_messages_of_every_size_arrive_whole_and_in_order_both_ways(self, links: Links, bulk: bool) -> None:
        luck = random.Random(7)
        sizes = [1, 2, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, MAX_MESSAGE_BYTES - 1]
        messages = [luck.randbytes(size) for size in [*sizes, MAX_MESSAGE_BYTES, 1]]

        async def one_way(sender: Link, receiver: Link) -> None:
            for message in messages:
                await sender.send(message, bulk=bulk)
            assert [await receiver.receive() for _ in messages] == messages

        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(one_way(*links), one_way(links[1], links[0]))

    @pytest.mark.parametrize("size", [0, MAX_MESSAGE_BYTES + 1])
    async def test_sizes_no_message_has_are_the_callers_fault_and_harm_nothing(self, links: Links, size: int) -> None:
        with pytest.raises(LocalError):
            await links[0].send(bytes(size))
        await links[0].send(b"still here")
        async with asyncio.timeout(LIMIT_S):
            assert await links[1].receive() == b"still here"

    async def test_a_receiver_that_reads_late_loses_nothing(self, links: Links) -> None:
        sender, receiver = links
        sent = 0
        window_used = asyncio.Event()

        async def send_all() -> None:
            nonlocal sent
            for number in range(MANY):
                await sender.send(number.to_bytes(4, "big"), bulk=True)
                sent += 1
                if sent == WINDOW_PIECES:
                    window_used.set()

        async with asyncio.timeout(LIMIT_S):
            sending = asyncio.create_task(send_all())
            await window_used.wait()
            # The other channel goes on, which also proves that bulk had every chance to go further and did not.
            for number in range(20):
                await sender.send(b"ctl %d" % number)
                assert await receiver.receive(ctl_only=True) == b"ctl %d" % number
            assert sent == WINDOW_PIECES
            assert [int.from_bytes(await receiver.receive(), "big") for _ in range(MANY)] == list(range(MANY))
            await sending

    async def test_several_tasks_send_large_messages_and_none_is_mixed(self, links: Links) -> None:
        async def send_own(letter: int) -> None:
            for _ in range(5):
                await links[0].send(bytes([letter]) * MAX_MESSAGE_BYTES, bulk=True)

        async with asyncio.timeout(LIMIT_S):
            sending = asyncio.gather(*(send_own(letter) for letter in range(4)))
            messages = [await links[1].receive() for _ in range(20)]
            await sending
        assert all(len(message) == MAX_MESSAGE_BYTES and len(set(message)) == 1 for message in messages)
        assert sorted(message[0] for message in messages) == [letter for letter in range(4) for _ in range(5)]

    async def test_a_cancelled_send_leaves_no_half_message(self, links: Links) -> None:
        sender, receiver = links
        async with asyncio.timeout(LIMIT_S):
            for _ in range(WINDOW_PIECES - 2):
                await sender.send(b"fills the window", bulk=True)
            halfway = asyncio.create_task(sender.send(b"h" * MAX_MESSAGE_BYTES, bulk=True))
            never = asyncio.create_task(sender.send(b"never", bulk=True))
            await asyncio.sleep(0)
            halfway.cancel()
            never.cancel()
            await asyncio.gather(halfway, never, return_exceptions=True)
            for _ in range(WINDOW_PIECES - 2):
                assert await receiver.receive() == b"fills the window"
            await sender.send(b"after", bulk=True)
            assert await receiver.receive() == b"h" * MAX_MESSAGE_BYTES
            assert await receiver.receive() == b"after"

    async def test_closing_delivers_what_was_sent_and_says_why(self, links: Links) -> None:
        sender, receiver = links
        async with asyncio.timeout(LIMIT_S):
            for number in range(100):
                await sender.send(bytes([number]) * 1000, bulk=number % 2 == 0)
            await asyncio.gather(sender.close("enough for today"), closing := asyncio.create_task(all_of(receiver)))
            messages, error = await closing
        assert sorted(message[0] for message in messages) == list(range(100))
        assert "enough for today" in str(error)
        with pytest.raises(LinkError):
            await receiver.send(b"too late")
        with pytest.raises(LinkError):
            await sender.send(b"too late")

    async def test_closing_wakes_everybody_who_waits(self, links: Links) -> None:
        sender, receiver = links
        async with asyncio.timeout(LIMIT_S):
            for _ in range(WINDOW_PIECES):
                await sender.send(b"x", bulk=True)
            stuck = asyncio.create_task(sender.send(b"no credit", bulk=True))
            reading = asyncio.create_task(sender.receive())
            await asyncio.sleep(0)
            await asyncio.gather(sender.close(), sender.close())
            for waiting in (stuck, reading):
                with pytest.raises(LinkError):
                    await waiting
            messages, _ = await all_of(receiver)
        assert messages == [b"x"] * WINDOW_PIECES

    async def test_a_peer_that_vanishes_is_a_link_error(self, links: Links) -> None:
        await links[0]._raw.close()  # as a killed process leaves it: no bye
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(LinkError):
                await links[1].receive()

    async def test_bytes_are_counted_with_their_framing(self, links: Links) -> None:
        async with asyncio.timeout(LIMIT_S):
            await links[0].send(b"x" * 20_000)
            await links[1].receive()
        assert links[0].bytes_sent == links[1].bytes_received == 20_000 + 2 * 5
