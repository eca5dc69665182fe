"""How often somebody may knock: a key's share is its own, and a flood from an address keeps no member of it out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from gossip.limits import Limits
from gossip.transport.offers import open_answer, open_offer, seal
from gossip.transport.signalling import exchange
from gossip.transport.tickets import prove
from gossip.transport.webrtc import OpenTicket, WebRTCTransport
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


class OpenDoor(Members):
    """Whoever comes is a guest."""

    def guest(self, key: bytes) -> str:
        return "trainer"


SECRET = b"s" * 16
TICKET = hashlib.sha256(SECRET).digest()
WIDE = Limits(handshakes_open=8)


def stranger(number: int) -> PrivateKey:
    return PrivateKey.from_seed(number.to_bytes(32, "big"))


async def knock_with(port: int, key: PrivateKey, secret: bytes = SECRET) -> bool:
    """The same with a ticket."""
    offer = msgspec.structs.replace(open_offer(signed(key)), ticket=TICKET.hex(), signature="")
    proven = msgspec.structs.replace(offer, proof=prove(secret, offer.unproven()).hex())
    try:
        open_answer(await exchange("127.0.0.1", port, seal(proven, key)))
    except LinkError:
        return False
    return True


async def test_guests_under_ever_new_keys_hold_a_part_of_the_places_and_members_find_the_rest_free() -> None:
    """None of these handshakes ends by itself within the test: their dialler never comes."""
    async with door(OpenDoor(ANNA.public, MALLORY.public), WIDE) as (_, port):
        assert sum([await knock(port, stranger(number), number) for number in range(1, 13)]) == 2  # a quarter of 8
        assert await knock(port, ANNA, 98)
        assert await knock(port, MALLORY, 99)
        assert not await knock(port, stranger(13), 13)


async def test_members_may_take_all_places_and_the_smallest_table_has_one_for_a_guest() -> None:
    crowd = [stranger(number) for number in range(1, 11)]
    async with door(Members(*(key.public for key in crowd)), WIDE) as (_, port):
        assert sum([await knock(port, key, number) for number, key in enumerate(crowd)]) == WIDE.handshakes_open
    async with door(OpenDoor(ANNA.public), Limits(handshakes_open=2, guest_percent=100)) as (_, port):
        assert [await knock(port, stranger(number), number) for number in range(1, 4)] == [True, False, False]
        assert await knock(port, ANNA, 9)


async def test_with_one_ticket_as_many_knock_side_by_side_as_it_lets_in() -> None:
    many = Limits(handshakes_open=32)
    for places in (1, 3):
        gate = Members(ANNA.public, tickets={TICKET: OpenTicket(SECRET, "trainer", places)})
        async with door(gate, many) as (_, port):
            assert sum([await knock_with(port, stranger(number)) for number in range(1, 7)]) == places
            assert not await knock_with(port, stranger(1), b"x" * 16)
            for number in range(1, 10):  # a member that shows the ticket, too, is no guest
                gate.keys.add(stranger(100 + number).public)
                assert await knock_with(port, stranger(100 + number))


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
