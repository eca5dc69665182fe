"""What a running node puts into its invites for those of other networks, and into which of them no secret goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gossip.invites import Beyond
from gossip.node.door import Door
from gossip.node.inviting import Inviting
from gossip.transport import card
from gossip.transport.code import MAX_SEALED_CHARS, Answering, Ask, Asking, Code, read
from gossip.transport.tickets import MAX_MULTIADDRESSES, Ticket
from ledger.keys import PrivateKey
from ledger.store import Store
from tests.fold.toy import Swarm, key_of
from tests.transport.test_tickets import NODE, RELAY

SECRET = bytes(range(32))
LONG = "/dns4/{}/tcp/65535/p2p/16Uiu2HAm1fhUHVvN1bgmoMk8tKcwvvookmM6CB5syhMWWJZAb7dV"  # with a name of 114 letters


class Host:
    """As much of a node as lets others in."""

    def __init__(self, store: Store) -> None:
        self.founder = Swarm(["bert"]).founder
        self.beyond = Beyond()
        door = Door(self.founder.replica, store, lambda: 1_800_000_000.0, own=self.founder.id, today=lambda: 1.0)
        self.inviting = Inviting(
            store, self.founder.replica, self.founder.id, door, allowlist=None, key=lambda: key_of("founder"),
            now=lambda: 1_800_000_000.0, tell=lambda kind, **fields: None, online=set, beyond=lambda: self.beyond,
        )  # fmt: skip
        self.inviting.moved("192.0.2.7:4100")

    async def invite(self, **request: Any) -> tuple[dict[str, Any], Ticket]:
        told = await self.inviting.command("invite", request)
        return told, Ticket.parse(told["ticket"])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Store(tmp_path / "peer.db") as store:
        yield Host(store)


async def test_a_ticket_says_how_to_find_the_swarm_as_of_now(host: Host) -> None:
    told, ticket = await host.invite()
    assert ticket.text.startswith("gossip2-")
    assert (told["bootstrap"], told["relays"]) == ([], [])
    host.beyond = Beyond((NODE,), (RELAY,), SECRET)
    told, ticket = await host.invite()
    assert ticket.addresses == ("192.0.2.7:4100", f"{RELAY}/p2p-circuit", NODE)
    assert ticket.rendezvous == SECRET
    assert (told["bootstrap"], told["relays"]) == ([NODE], [RELAY])


async def test_of_more_ways_than_fit_both_kinds_are_named(host: Host) -> None:
    nodes, relays = (tuple(one.replace("4001", str(port)) for port in range(1, 8)) for one in (NODE, RELAY))
    host.beyond = Beyond(nodes, relays, SECRET)
    _, ticket = await host.invite()
    assert (ticket.bootstraps(), ticket.relays()) == (nodes[:4], relays[:4])
    assert len(ticket.bootstraps()) + len(ticket.relays()) == MAX_MULTIADDRESSES


async def test_a_code_hands_out_as_much_of_it_as_its_box_holds(host: Host) -> None:
    far = tuple(LONG.format(f"{number}{'a' * 113}") for number in range(8))
    host.beyond = Beyond(far, (RELAY,), SECRET)
    told, ticket = await host.invite(code=True)
    assert len(ticket.text) <= MAX_SEALED_CHARS
    assert ticket.relays() == (RELAY,)
    assert 0 < len(ticket.bootstraps()) < 7
    assert ticket.rendezvous == SECRET
    code = Code.parse(told["code"])
    asking = Asking(code)
    answering = Answering(code, read(asking.ask(), Ask))
    asking.confirm(answering.answer)
    assert asking.open(answering.box(told["ticket"])) == ticket.text
    _, whole = await host.invite()
    assert len(whole.bootstraps()) == 7


async def test_a_card_that_anybody_may_be_given_tells_no_secret(host: Host) -> None:
    host.beyond = Beyond((NODE,), (RELAY,), SECRET)
    await host.inviting.command("open", {"open": True})
    name = host.founder.replica.genesis.name
    given = Ticket.parse(card.read(host.inviting.hatches[card.PATH](card.ask(name), "192.0.2.8") or b""))
    key = PrivateKey.from_seed(b"g" * 32).public.hex()
    allowed = await host.inviting.command("allow", {"key": key})
    for one in (given, Ticket.parse(allowed["card"])):
        assert one.is_card
        assert one.relays() == (RELAY,)
        assert one.rendezvous == b""


async def test_the_longest_card_fits_its_answer(host: Host) -> None:
    host.beyond = Beyond(tuple(LONG.format(f"{number}{'a' * 113}") for number in range(8)), (), SECRET)
    await host.inviting.command("open", {"open": True})
    name = host.founder.replica.genesis.name
    said = host.inviting.hatches[card.PATH](card.ask(name), "192.0.2.8") or b""
    assert len(said) <= card.MAX_BODY_BYTES
    assert len(Ticket.parse(card.read(said)).bootstraps()) == 8
