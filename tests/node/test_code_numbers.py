"""A number may come again: a code that ends takes its own ticket with it, never that of the next of its number."""

from __future__ import annotations

from pathlib import Path

from gossip.node.door import Door
from gossip.node.inviting import CODE_TTL_S, Inviting
from gossip.transport.open_codes import OpenCodes
from gossip.transport.tickets import Ticket
from ledger.store import Store
from tests.fold.toy import Swarm, key_of

NUMBER = 7


async def test_a_code_that_ends_closes_no_ticket_but_its_own(tmp_path: Path) -> None:
    drawn = iter(range(100))
    clock = [1_800_000_000.0]
    founder = Swarm(["bert"]).founder
    with Store(tmp_path / "peer.db") as store:
        door = Door(founder.replica, store, lambda: clock[0], own=founder.id, today=lambda: clock[0])
        inviting = Inviting(
            store, founder.replica, founder.id, door, allowlist=None, key=lambda: key_of("founder"),
            now=lambda: clock[0], tell=lambda kind, **fields: None, online=set,
        )  # fmt: skip
        inviting._address = "127.0.0.1:1"
        inviting._codes = OpenCodes(
            lambda count: (NUMBER - 1).to_bytes(8, "little") if count == 8 else next(drawn).to_bytes(count, "big")
        )
        first = await inviting.command("invite", {"code": True})
        clock[0] += CODE_TTL_S + 2
        second = await inviting.command("invite", {"code": True})  # before anybody has looked at what ended
        assert first["number"] == second["number"] == NUMBER
        inviting._tell_news()
        is_open = [store.ticket(Ticket.parse(made["ticket"]).ticket_id) is not None for made in (first, second)]
        assert is_open == [False, True]
        clock[0] += CODE_TTL_S + 2
        inviting._codes.expire(clock[0])
        inviting._tell_news()
        assert store.ticket(Ticket.parse(second["ticket"]).ticket_id) is None
        assert not door.coded
