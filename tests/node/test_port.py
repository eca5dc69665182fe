"""A node answers where it answered last, if it can: others were told that address."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gossip.node.port import listen
from gossip.transport.signalling import SignallingServer
from ledger.errors import LinkError
from ledger.store import Store


async def _silent(offer: bytes) -> None:
    return None


async def _run(store: Store, asked: int = 0) -> tuple[SignallingServer, int]:
    server = SignallingServer(_silent)
    return server, await listen(server, "127.0.0.1", asked, store)


def test_the_last_port_is_tried_first_and_a_free_one_is_taken_if_another_has_it(tmp_path: Path) -> None:
    async def story() -> None:
        with Store(tmp_path / "peer.db") as store:
            first, port = await _run(store)
            second, other = await _run(store)  # while the first one has it
            assert other != port
            with pytest.raises(LinkError):
                await _run(store, asked=port)  # who asks for a port gets that one or none
            await first.close()
            await second.close()
            third, again = await _run(store)
            assert again == other
            await third.close()
            fourth, asked = await _run(store, asked=port)
            assert asked == port
            await fourth.close()

    asyncio.run(story())
