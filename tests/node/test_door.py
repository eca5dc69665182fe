"""Who is let in with an invite: as many as it says, however they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gossip.node.door import GUEST_S, Door
from gossip.peer.links import WAITING_S
from gossip.transport.channels import ChannelLink
from gossip.transport.memory import memory_pair
from ledger.replica import Replica
from ledger.store import Store

TICKET, SECRET = b"i" * 32, b"s" * 16
ANNA, BERTA, CLEO = b"a" * 32, b"b" * 32, b"c" * 32


class Membership(Replica):
    """A replica whose members a test names."""

    def __init__(self) -> None:
        super().__init__("5a" * 32, "f0" * 32)
        self.keys: set[bytes] = set()

    def member_by_key(self, key: bytes) -> str | None:
        return key.hex() if key in self.keys else None


@pytest.fixture
def members() -> Membership:
    return Membership()


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def door(tmp_path: Path, members: Membership, clock: list[float]) -> Iterator[Door]:
    with Store(tmp_path / "peer.db") as store:
        store.add_ticket(TICKET, SECRET, "trainer", 1)
        yield Door(members, store, lambda: clock[0])


async def link(key: bytes) -> ChannelLink:
    """A link whose far end has proven the ticket."""
    return memory_pair(key, b"f" * 32, role="trainer", ticket=TICKET)[1]


async def test_of_two_who_knock_at_once_with_an_invite_for_one_one_enters(door: Door, members: Membership) -> None:
    assert door.ticket(TICKET, ANNA) is not None
    assert door.ticket(TICKET, BERTA) is not None  # neither has a link yet, and either may fail to get one
    assert door.entered(await link(ANNA))
    assert not door.entered(await link(BERTA))
    members.keys.add(ANNA)
    door.settle()
    assert door.ticket(TICKET, BERTA) is None
    assert not door.entered(await link(BERTA))


async def test_who_came_in_and_did_not_stay_leaves_the_invite_to_others(door: Door, clock: list[float]) -> None:
    broken = await link(ANNA)
    assert door.entered(broken)
    assert door.ticket(TICKET, BERTA) is None
    door.left(broken)
    again = await link(ANNA)
    assert door.entered(again)
    door.left(again)
    clock[0] += GUEST_S + 1
    door.settle()
    assert door.entered(await link(BERTA))


async def test_a_guest_holds_its_place_as_long_as_its_link_and_while_its_last_words_may_be_on_their_way(
    door: Door, members: Membership, clock: list[float]
) -> None:
    """The machine counts the minute that it gives a guest from later on, and hears what was said before the end of a
    link after it: whoever it lets in then must find that a use is taken."""
    held = await link(ANNA)
    assert door.entered(held)
    clock[0] += 10 * GUEST_S
    door.settle()
    assert door.ticket(TICKET, BERTA) is None
    door.left(held)
    late = await link(ANNA)
    assert door.entered(late)
    clock[0] += WAITING_S + 5
    door.left(late)
    door.settle()
    assert door.ticket(TICKET, BERTA) is None
    members.keys.add(ANNA)
    door.settle()
    clock[0] += GUEST_S
    assert door.ticket(TICKET, BERTA) is None, "for good: it was for one"


async def test_a_member_that_shows_an_invite_takes_no_use_of_it(door: Door, members: Membership) -> None:
    members.keys.add(CLEO)
    assert door.entered(await link(CLEO))
    door.settle()
    assert door.entered(await link(ANNA))


def test_an_unknown_ticket_opens_nothing(door: Door) -> None:
    assert door.ticket(b"x" * 32, ANNA) is None


async def test_a_member_by_a_backups_word_is_let_in_before_any_log_names_it(
    tmp_path: Path, members: Membership
) -> None:
    """A peer set up from a backup holds no member's log: it hears those whose keys the backup names, as members."""
    with Store(tmp_path / "restored.db") as store:
        store.add_ticket(TICKET, SECRET, "trainer", 1)
        door = Door(members, store, known=(CLEO,))
        assert door.admits(CLEO)
        assert not door.admits(BERTA)
        assert door.entered(await link(CLEO))
        door.settle()
        assert door.ticket(TICKET, ANNA) is not None  # no use of an invite went on it
