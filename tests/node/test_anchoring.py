"""A time stamp that is brought twice while the first is still being written: one entry, and one answer."""

from __future__ import annotations

import asyncio
import base64

import pytest

from gossip import events as ev
from gossip.node.anchoring import anchor
from gossip.node.written import Written
from ledger.errors import LocalError

TOKEN = b"a token" * 100
REQUEST = {"command": "anchor", "size": 3, "token": base64.b64encode(TOKEN).decode()}


async def test_the_same_time_stamp_is_not_written_twice() -> None:
    posted: list[ev.Event] = []

    async def post(event: ev.Event) -> None:
        posted.append(event)

    written = Written(post)
    first = asyncio.create_task(anchor(written, REQUEST))
    await asyncio.sleep(0)
    with pytest.raises(LocalError, match="being added already"):
        await anchor(written, REQUEST)
    written.saw(ev.Append(7, b"entry", TOKEN))
    assert not first.done()
    written.saw(ev.KeepCheckpoint("ab" * 32, 8, b"note"))
    assert await first == {"seq": 7}  # it is there, and the one who came second took nothing from it
    assert posted == [ev.Anchored(3, TOKEN)]


@pytest.mark.parametrize("change", [{"size": "3"}, {"token": ""}, {"token": "?"}, {"token": None}])
async def test_what_is_no_time_stamp_reaches_no_machine(change: dict[str, object]) -> None:
    async def post(event: ev.Event) -> None:
        raise AssertionError

    with pytest.raises(LocalError, match="no time stamp"):
        await anchor(Written(post), {**REQUEST, **change})
