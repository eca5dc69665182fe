"""The words of a meeting: slow for who would grind them, and nobody waits for them but the guest itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossip.node.calls import GUESTS_WAITING, Calls, words_of
from gossip.node.door import Door
from gossip.transport.channels import ChannelLink
from gossip.transport.memory import memory_pair
from ledger.errors import LinkError
from ledger.store import Store
from tests.node.test_door import Membership

HOST = b"f" * 32


async def nobody(_: object) -> None:
    """Whom nothing is posted to here."""


def coming(key: bytes, role: str) -> tuple[ChannelLink, ChannelLink]:
    return memory_pair(key, HOST, role=role)


async def test_while_words_are_made_the_loop_goes_on() -> None:
    link = coming(b"a" * 32, "trainer")[1]
    turns = 0
    making = asyncio.create_task(words_of(link))
    while not making.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10
    assert len((await making).split("-")) == 6


async def test_a_link_whose_words_are_given_up_ends() -> None:
    there, here = coming(b"a" * 32, "trainer")
    making = asyncio.create_task(words_of(here))
    await asyncio.sleep(0)  # it has begun
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    with pytest.raises(LinkError, match="closed the link"):
        await there.receive()


async def test_members_pass_a_crowd_of_guests_that_wait_for_their_words_and_too_many_are_turned_away(
    tmp_path: Path,
) -> None:
    members, told, added = Membership(), list[dict[str, Any]](), list[bytes]()
    anna = b"a" * 32
    members.keys.add(anna)
    incoming: asyncio.Queue[ChannelLink] = asyncio.Queue()
    guests = [coming(number.to_bytes(32, "big"), "trainer") for number in range(1, GUESTS_WAITING + 4)]
    for _, here in guests:
        incoming.put_nowait(here)
    incoming.put_nowait(coming(anna, "trainer")[1])  # a member that does not know it yet: it shows its ticket
    with Store(tmp_path / "peer.db") as store:
        door = Door(members, store)
        door.is_open = True
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            transport: Any = SimpleNamespace(incoming=incoming)
            pool: Any = SimpleNamespace(add=lambda link, *_, **__: added.append(link.key))
            calls = Calls(
                transport, pool, door, None, tasks=tasks, post=nobody, is_member=lambda: True,
                tell=lambda kind, **fields: told.append(fields), now=lambda: 0.0,
            )  # fmt: skip
            welcoming = tasks.create_task(calls.welcome())
            while not added:
                await asyncio.sleep(0)
            assert added == [anna]  # nobody has words yet
            making = tasks.create_task(calls.welcome_guests())
            for there, _ in guests[-3:]:
                with pytest.raises(LinkError, match="too many"):
                    await there.receive()
            while not told:
                await asyncio.sleep(0.001)
            assert added[1] == guests[0][1].key
            assert len(told[0]["words"].split("-")) == 6
            welcoming.cancel()
            making.cancel()
            for there, here in guests:
                await asyncio.gather(there.close(), here.close())
