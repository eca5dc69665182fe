"""Who enters no more, by each way alone: a good ticket, a list that still names it, a door that is open."""

from __future__ import annotations

import pytest

from gossip.node.door import Door, Visit
from ledger.store import StoredAllowed
from tests.node.test_door_guests import SECRET, TICKET, TODAY, Setting, Settings, allowed, key, link, setting

__all__ = ["setting"]


def opened(made: Setting, way: str, *names: StoredAllowed) -> Door:
    """The founder's door, with one way in."""
    door = made.door_of(made.swarm.founder)
    if way == "ticket":
        made.store.add_ticket(TICKET, SECRET, "trainer", 5)
    door.is_open = way == "open"
    door.allow(names if way == "allowed" else ())
    return door


def enters(door: Door, name: str, way: str) -> Visit | None:
    return door.entered(link(name, "trainer", TICKET if way == "ticket" else b""))


@pytest.mark.parametrize("way", ["ticket", "allowed", "open"])
@pytest.mark.parametrize("fate", ["revoked", "key left behind", "time over"])
async def test_none_of_the_ways_brings_back_who_is_out(setting: Settings, way: str, fate: str) -> None:
    made = setting()
    emil = made.swarm.join("emil", expires=TODAY + 100)
    door = opened(made, way, allowed("emil"), allowed("dora"))
    assert door.admits(key("emil"))
    match fate:
        case "revoked":
            made.swarm.founder.revoke(emil)
        case "key left behind":
            emil.rotate()
            made.swarm.exchange()
        case _:
            made.today[0] += 100
    assert not door.admits(key("emil"))
    assert door.guest(key("emil")) == ""
    assert enters(door, "emil", way) is None
    assert (visit := enters(door, "dora", way)) is not None, "the way is open, for others"
    assert visit.how == way


def test_a_key_of_a_backup_is_a_members_until_the_ledger_says_otherwise(setting: Settings) -> None:
    made = setting()
    founder, bert = made.swarm.founder, made.swarm["bert"]
    door = Door(founder.replica, made.store, known=(key("bert"), key("zoe")), own=founder.id, today=lambda: TODAY)
    assert door.admits(key("bert"))
    assert door.admits(key("zoe")), "whom no log names yet"
    founder.revoke(bert)
    assert not door.admits(key("bert"))
    assert door.admits(key("zoe"))


def test_whose_word_on_the_list_is_over_is_a_stranger_to_the_budget_of_offers(setting: Settings) -> None:
    made = setting()
    door = opened(made, "allowed", allowed("dora", expires=TODAY + 10), allowed("emil"))
    assert (door.expects(key("dora")), door.expects(key("emil"))) == (True, True)
    made.today[0] = TODAY + 10
    assert (door.expects(key("dora")), door.expects(key("emil"))) == (False, True)
