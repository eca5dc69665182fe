"""How often somebody may knock: a key's share is its own, and a flood from an address keeps no member of it out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gossip.limits import Limits
from gossip.transport.signalling import exchange, open_answer
from gossip.transport.webrtc import WebRTCTransport
from ledger.errors import LinkError
from ledger.keys import PrivateKey
from tests.transport.joining import ANNA, BERTA, LOOPBACK, MALLORY, SWARM, Members
from tests.transport.test_signalling import signed

FEW = Limits(handshakes_burst=2, handshakes_per_min=1, offers_burst=16, offers_per_min=1)


@asynccontextmanager
async def door(gate: Members, limits: Limits = FEW) -> AsyncIterator[tuple[WebRTCTransport, int]]:
    made = WebRTCTransport(BERTA, SWARM, gate, LOOPBACK, limits=limits)
    port = await made.start("127.0.0.1")
    try:
        yield made, port
    finally:
        await made.close()


async def knock(port: int, key: PrivateKey, number: int) -> bool:
    """Whether an offer by that key is answered."""
    try:
        open_answer(await exchange("127.0.0.1", port, signed(key, nonce=f"{number:064x}")))
    except LinkError:
        return False
    return True


async def test_a_key_has_so_many_handshakes_and_others_have_theirs() -> None:
    async with door(Members(ANNA.public, MALLORY.public)) as (_, port):
        assert [await knock(port, MALLORY, number) for number in range(4)] == [True, True, False, False]
        assert await knock(port, ANNA, 9)


async def test_nobody_uses_up_the_share_of_a_key_that_is_not_its_own() -> None:
    """Offers that name Anna's key and are signed by Mallory: turned away before they are counted."""
    async with door(Members(ANNA.public), Limits(handshakes_burst=2, handshakes_per_min=1)) as (_, port):
        for number in range(6):
            false = signed(MALLORY, nonce=f"{number:064x}").replace(
                MALLORY.public.hex().encode(), ANNA.public.hex().encode()
            )
            with pytest.raises(LinkError):
                await exchange("127.0.0.1", port, false)
        assert await knock(port, ANNA, 99)


async def test_from_an_address_that_floods_only_offers_that_name_a_member_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[bytes] = []
    async with door(Members(ANNA.public)) as (berta, port):
        answer = berta._answer

        async def counted(data: bytes) -> bytes | None:
            read.append(data)
            return await answer(data)

        monkeypatch.setattr(berta._server, "_answer", counted)
        for number in range(40):
            assert not await knock(port, MALLORY, number)
        assert len(read) == FEW.offers_burst
        assert await knock(port, ANNA, 99)  # from the same address
