"""Ways in, with real nodes on loopback: each ends in a member entry, and what strangers try ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cli import control
from gossip import Node, NodeConfig
from gossip import directory as places
from gossip.events import Note
from gossip.node import calls
from gossip.setup import create_swarm, enrol
from gossip.training.spec import FILTERLIST
from gossip.transport import card, knocking
from gossip.transport.code import ASK_PATH, CONFIRM_PATH, Asking, Code
from gossip.transport.link import Link
from gossip.transport.signalling import PATH, exchange
from gossip.transport.tickets import Ticket
from gossip.transport.webrtc import WebRTCTransport
from ledger.canonical import decode_entry
from ledger.entry import Member, PeerId
from ledger.errors import LinkError, LocalError
from ledger.keys import PrivateKey
from ledger.store import Store
from tests.transport.joining import Members

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

WITHIN_S = 60.0
LO = ("127.0.0.1",)


class Running:
    """A node in this process, and what it has told so far."""

    def __init__(self, config: NodeConfig) -> None:
        self.place = config.directory
        self.notes: list[Note] = []
        self._heard = asyncio.Event()
        self.node = Node(config, self._hear)

    def _hear(self, note: Note) -> None:
        self.notes.append(note)
        self._heard.set()

    async def told(self, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda fields: True) -> dict[str, Any]:
        """The first note of that kind, as soon as there is one."""
        while True:
            for note in self.notes:
                if note.kind == kind and fits(note.fields):
                    return note.fields
            self._heard.clear()
            await self._heard.wait()

    async def ask(self, command: str, **request: Any) -> dict[str, Any]:
        answer = await asyncio.to_thread(control.ask, self.place, command, **request)
        assert answer is not None
        return answer

    @property
    def at(self) -> tuple[str, int]:
        host, _, port = self.node.status()["address"].rpartition(":")
        return host, int(port)

    def order(self, *kinds: str) -> list[str]:
        return [note.kind for note in self.notes if note.kind in kinds]


@asynccontextmanager
async def running(*nodes: Running) -> AsyncIterator[None]:
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        for one in nodes:
            group.create_task(one.node.run())
            await one.told("ready")
        yield
        for one in nodes:
            one.node.request_stop()


@pytest.fixture
def anna(tmp_path: Path) -> Running:
    """The founder of a swarm."""
    found(tmp_path / "anna")
    return Running(NodeConfig(directory=tmp_path / "anna"))


def found(place: Path, **more: Any) -> None:
    create_swarm(place, name="lists", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1, **more)


def joiner(place: Path, ticket: Ticket, key: PrivateKey | None = None) -> tuple[PeerId, Running]:
    peer = enrol(place, ticket, place.name, key=key)
    return peer, Running(NodeConfig(directory=place, ticket=ticket))


def admissions(place: Path) -> dict[PeerId, tuple[str, int]]:
    """What the log of the peer in `place` says of members."""
    with Store.open_readonly(places.store_path(place)) as store:
        own = [decode_entry(data) for data in store.entries(store.meta("self").decode())]
    return {entry.peer: (entry.role, entry.expires) for entry in own if isinstance(entry, Member)}


async def test_a_code_lets_one_in_and_both_ends_are_told_the_same_words_before_it_is_written(
    tmp_path: Path, anna: Running
) -> None:
    async with running(anna):
        made = await anna.ask("invite", code=True, role="observer")
        (shown,) = (await anna.ask("members"))["codes"]
        assert (shown["number"], shown["given"], shown["tries"]) == (made["number"], 0, 3)
        ticket = await knocking.by_code(Code.parse(made["code"]), LO)  # found by mDNS, by its number alone
        assert (ticket.text, ticket.role, ticket.uses) == (made["ticket"], "observer", 1)
        assert await anna.told("code") == {"number": made["number"], "why": "used", "given": 1}
        peer, bert = joiner(tmp_path / "bert", ticket)
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            guest, knocked = await anna.told("guest"), await bert.told("knocked")
            assert guest["words"] == knocked["words"]
            assert len(guest["words"].split("-")) == 6
            assert (guest["role"], guest["how"]) == ("observer", "code")
            assert guest["key"] == next(row["key"] for row in (await anna.ask("members"))["members"] if not row["own"])
            assert anna.order("guest", "admitted") == ["guest", "admitted"]
            assert bert.order("knocked", "admitted")[0] == "knocked"
        with pytest.raises(LocalError, match="does not take this code"):
            await knocking.by_code(Code.parse(made["code"]), LO, [anna.at])
    assert admissions(anna.place) == {peer: ("observer", 0)}


async def test_after_three_wrong_tries_not_even_the_right_words_open_and_the_number_is_called_out_no_more(
    anna: Running,
) -> None:
    async with running(anna):
        code = Code.parse((await anna.ask("invite", code=True))["code"])
        wrong = Code(code.number, bytes(byte ^ 1 for byte in code.secret))
        for left in (2, 1, 0):
            with pytest.raises(LocalError, match="does not take this code"):
                await knocking.by_code(wrong, LO, [anna.at])
            told = await anna.told("trouble", lambda fields, left=left: fields["text"].endswith(f"tries left: {left}"))
            assert "from" not in told["text"]
            assert "127.0.0.1" in told["text"]
        assert (await anna.told("code"))["why"] == "burnt"
        assert anna.node.status()["spoiled"] == {"number": code.number, "left": 0}
        again = (await anna.ask("invite", code=True))["number"]
        assert anna.node.status()["spoiled"] is None
        assert [one["number"] for one in anna.node.status()["codes"]] == [again]
        with pytest.raises(LocalError, match="does not take this code"):
            await knocking.by_code(code, LO, [anna.at])
        assert [one["number"] for one in (await anna.ask("members"))["codes"]] == [again]
        async with asyncio.timeout(20):  # an answer that was on its way when the code burnt may still be heard once
            while not await is_called_out_no_more(code):
                pass


async def is_called_out_no_more(code: Code) -> bool:
    with pytest.raises(LocalError, match="nobody") as caught:
        await knocking.by_code(code, LO, search_s=1.5)
    return "nobody here has code number" in str(caught.value)


async def test_a_code_has_its_time_and_then_nobody_asks_for_its_number(anna: Running) -> None:
    async with running(anna):
        made = await anna.ask("invite", code=True, ttl_s=1)
        assert await anna.told("code") == {"number": made["number"], "why": "expired", "given": 0}
        with pytest.raises(LocalError, match="does not take this code"):
            await knocking.by_code(Code.parse(made["code"]), LO, [anna.at])
        with Store.open_readonly(places.store_path(anna.place)) as store:
            assert store.ticket(Ticket.parse(made["ticket"]).ticket_id) is None, "and nobody has its ticket"
        with pytest.raises(LocalError, match="open to guesses meanwhile"):
            await anna.ask("invite", code=True, ttl_s=100_000)


async def test_a_code_is_gone_with_the_node_that_made_it_and_a_ticket_is_not(tmp_path: Path, anna: Running) -> None:
    async with running(anna):
        code = Code.parse((await anna.ask("invite", code=True, ttl_s=600))["code"])
        ticket = Ticket.parse((await anna.ask("invite", role="relay"))["ticket"])
    again = Running(NodeConfig(directory=anna.place))
    async with running(again):
        with pytest.raises(LocalError, match="does not take this code"):
            await knocking.by_code(code, LO, [again.at])
        peer, bert = joiner(tmp_path / "bert", ticket)
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            assert (await again.told("guest"))["how"] == "ticket"
    assert admissions(anna.place) == {peer: ("relay", 0)}


async def test_an_allowed_key_enters_with_a_card_and_a_key_that_was_not_named_meets_silence(
    tmp_path: Path, anna: Running
) -> None:
    bert_key, until = PrivateKey.generate(), 4_000_000_000
    async with running(anna):
        made = await anna.ask("allow", key=bert_key.public.hex(), role="auditor", expires=until)
        card_of = Ticket.parse(made["card"])
        assert card_of.is_card
        _, mallory = joiner(tmp_path / "mallory", card_of)
        async with running(mallory):
            assert "does not answer us" in (await mallory.told("trouble"))["text"]
        peer, bert = joiner(tmp_path / "bert", card_of, bert_key)
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            assert (await anna.told("guest"))["how"] == "allowed"
            rows = (await anna.ask("members"))["members"]
            assert [(row["role"], row["expires"], row["online"]) for row in rows if row["peer"] == peer] == [
                ("auditor", until, True)
            ]
    assert admissions(anna.place) == {peer: ("auditor", until)}


async def test_a_list_of_keys_counts_as_soon_as_it_changes_and_a_slip_in_it_changes_nothing(tmp_path: Path) -> None:
    found(tmp_path / "anna")
    keys, key = tmp_path / "keys.txt", PrivateKey.generate()
    keys.write_text("# nobody yet\n")
    anna = Running(NodeConfig(directory=tmp_path / "anna", allowlist=keys))
    async with running(anna):
        card_of = Ticket.parse((await anna.ask("allow", key=PrivateKey.generate().public.hex()))["card"])
        keys.write_text(f"{key.public.hex()} boss\n")
        told = (await anna.told("trouble"))["text"]
        assert "line 1" in told
        assert "boss" in told
        keys.write_text(f"{key.public.hex()} observer until 2099-01-01\n")
        peer, bert = joiner(tmp_path / "bert", card_of, key)
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
        assert {row["source"] for row in (await anna.ask("members"))["allowed"]} == {"store", "file"}
    assert admissions(anna.place) == {peer: ("observer", 4_070_908_800)}


async def test_an_open_swarm_lets_in_who_knows_its_name_and_a_closed_one_has_no_name(tmp_path: Path) -> None:
    found(tmp_path / "anna", is_open=True)
    anna = Running(NodeConfig(directory=tmp_path / "anna"))
    async with running(anna):
        with pytest.raises(LocalError, match="no open swarm called 'Lists'"):
            await knocking.by_name("Lists", LO, [anna.at])
        peer, bert = joiner(tmp_path / "bert", await knocking.by_name("lists", LO))
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            assert (await anna.told("guest"))["how"] == "open"
        assert await anna.ask("open", open=False) | {"address": ""} == {
            "ok": True, "open": False, "name": "lists", "address": ""
        }  # fmt: skip
        with pytest.raises(LocalError, match="no open swarm"):
            await knocking.by_name("lists", LO, [anna.at])
    assert admissions(anna.place) == {peer: ("trainer", 0)}


async def test_a_stranger_hears_nothing_from_any_door(anna: Running) -> None:
    """An open code, an open ticket and an allowed key are there, and who has none of them gets 404 and no byte."""
    async with running(anna), aiohttp.ClientSession() as session:
        made = await anna.ask("invite", code=True)
        await anna.ask("invite")
        await anna.ask("allow", key=PrivateKey.generate().public.hex())
        other = Code(made["number"] % 999 + 1, b"ab")
        bodies = {
            ASK_PATH: [b"", b"{}", Asking(other).ask(), b"x" * 5_000, Asking(other).ask() + b" "],
            CONFIRM_PATH: [b"", b'{"proof":"' + b"00" * 32 + b'","session":"' + b"11" * 16 + b'"}', b"x" * 5_000],
            card.PATH: [b"", card.ask("lists"), b"x" * 5_000],
            PATH: [b"", b"{}", b"x" * 5_000],
            "/": [b""], "/gossip/1/": [b""],
        }  # fmt: skip
        host, port = anna.at
        for path, tries in bodies.items():
            for body in tries:
                for method in ("POST", "GET", "PUT"):
                    async with session.request(method, f"http://{host}:{port}{path}", data=body) as answer:
                        told = (answer.status, await answer.read(), answer.headers.get("Server"))
                        assert told == (404, b"", ""), (method, path, body[:40])
        control_ = await exchange(host, port, Asking(Code.parse(made["code"])).ask(), ASK_PATH)
        assert b"element" in control_, (
            "somebody who asks for the open number is answered: the silence above is no fault"
        )


async def test_who_may_let_nobody_in_opens_nothing(tmp_path: Path, anna: Running) -> None:
    async with running(anna):
        peer, bert = joiner(tmp_path / "bert", Ticket.parse((await anna.ask("invite"))["ticket"]))
        async with running(bert):
            with pytest.raises(LocalError, match=r"no member yet|let nobody in"):
                await bert.ask("invite", code=True)
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            for command in (
                {"command": "invite", "code": True},
                {"command": "invite"},
                {"command": "open", "open": True},
            ):
                with pytest.raises(LocalError, match="let nobody in"):
                    await bert.ask(**command)
            with pytest.raises(LocalError, match="let nobody in"):
                await bert.ask("allow", key=PrivateKey.generate().public.hex())


async def test_where_genesis_allows_guests_a_trainer_lets_in_as_many_and_no_auditor(tmp_path: Path) -> None:
    found(tmp_path / "anna", guests=1)
    anna = Running(NodeConfig(directory=tmp_path / "anna"))
    async with running(anna):
        bert_id, bert = joiner(tmp_path / "bert", Ticket.parse((await anna.ask("invite"))["ticket"]))
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == bert_id)
            with pytest.raises(LocalError, match="lets nobody in as 'auditor'"):
                await bert.ask("invite", role="auditor")
            made = await bert.ask("invite", uses=2, role="observer")
            assert made["uses"] == Ticket.parse(made["ticket"]).uses == 1, "more than it may let in nobody is promised"
            other = Ticket.parse((await bert.ask("invite", role="observer"))["ticket"])
            cleo_id, cleo = joiner(tmp_path / "cleo", Ticket.parse(made["ticket"]))
            dora_id, dora = joiner(tmp_path / "dora", other)
            async with running(cleo):
                await anna.told("admitted", lambda fields: fields["peer"] == cleo_id)
                async with running(dora):
                    assert "guests of that house already" in (await bert.told("trouble"))["text"]
                    full = "guests of that house already"
                    await dora.told("link_down", lambda fields: full in fields["reason"])
                    assert full in dora.node.status()["turned_away"], "both ends say why"
                    for command in ({"command": "invite"}, {"command": "invite", "code": True}):
                        with pytest.raises(LocalError, match="cleo came in by it"):
                            await bert.ask(**command)
            rows = {row["peer"]: row for row in (await anna.ask("members"))["members"]}
    assert (rows[cleo_id]["house"], rows[bert_id]["house"]) == (bert_id, "")
    assert dora_id not in rows
    assert admissions(bert.place) == {cleo_id: ("observer", 0)}


async def test_who_was_taken_off_the_list_while_at_the_door_is_shown_out(anna: Running) -> None:
    key = PrivateKey.generate()
    async with running(anna):
        made = await anna.ask("allow", key=key.public.hex())
        link, transport = await knock(anna, Ticket.parse(made["card"]), key)
        await anna.told("guest")
        await anna.ask("allow", key=key.public.hex(), remove=True)
        with pytest.raises(LinkError, match="closed the link"):
            await hear_all(link)
        await transport.close()


async def hear_all(link: Link) -> None:
    """What the other end says, until it ends the link: then LinkError."""
    while True:
        await link.receive()


async def test_who_leaves_an_open_door_makes_room_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So strangers who come and hang up keep nobody else out."""
    monkeypatch.setattr("gossip.node.door.MAX_CROWD", 1)
    found(tmp_path / "anna", is_open=True)
    anna = Running(NodeConfig(directory=tmp_path / "anna"))
    async with running(anna):
        card_of = await knocking.by_name("lists", LO, [anna.at])
        link, transport = await knock(anna, card_of, PrivateKey.generate())
        await anna.told("guest")
        peer, bert = joiner(tmp_path / "bert", card_of)
        async with running(bert):
            assert "does not answer us" in (await bert.told("trouble"))["text"]
            await link.close()
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
        await transport.close()


async def knock(at: Running, ticket: Ticket, key: PrivateKey) -> tuple[Link, WebRTCTransport]:
    """A link of somebody who comes in and then says nothing."""
    transport = WebRTCTransport(key, ticket.swarm, Members(ticket.key), LO)
    return await transport.dial(*at.at, key=ticket.key, ticket=ticket), transport


async def test_a_change_of_keys_ends_codes_and_tickets_that_name_the_old_one(anna: Running) -> None:
    async with running(anna):
        code = Code.parse((await anna.ask("invite", code=True))["code"])
        await anna.ask("invite", ttl_s=1000)
        assert not (await anna.ask("rotate"))["pending"]
        assert (await anna.told("code"))["why"] == "expired"
        with pytest.raises(LocalError, match="does not take this code"):
            await knocking.by_code(code, LO, [anna.at])
        with Store.open_readonly(places.store_path(anna.place)) as store:
            assert store.open_tickets(0.0) == 0


async def test_who_waits_long_with_an_invite_that_another_used_hears_the_likely_cause(
    tmp_path: Path, anna: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LONG_S", 0.0)
    async with running(anna):
        ticket = Ticket.parse((await anna.ask("invite"))["ticket"])
        peer, bert = joiner(tmp_path / "bert", ticket)
        async with running(bert):
            await bert.told("admitted", lambda fields: fields["peer"] == peer)
            _, cleo = joiner(tmp_path / "cleo", ticket)
            async with running(cleo):
                told = (await cleo.told("trouble"))["text"]
    assert "probably used by another" in told
    assert "gossip leave" in told


async def test_an_id_is_no_key_to_let_in(anna: Running) -> None:
    async with running(anna):
        with pytest.raises(LocalError, match="is the id of a peer, and a public key is wanted"):
            await anna.ask("allow", key=anna.node.status()["id"])
