"""Real nodes that find nobody on their own network and meet beyond it; a dictionary stands for libp2p (roads.py).

What carries offers is the test's, all else is as it is run: doors, ledgers, invites, data channels on loopback.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossip import Node, NodeConfig
from gossip.node import wide
from gossip.node.carrier import Wide
from gossip.node.namespaces import namespace_of
from gossip.peer_ids import peer_id_of
from gossip.setup import create_swarm, enrol
from gossip.training.spec import FILTERLIST
from gossip.transport import discovery, webrtc
from gossip.transport.road import key_by_road, place_by_road
from gossip.transport.tickets import Ticket
from gossip.wide.config import WideConfig
from gossip.wide.wide import Listener
from ledger.errors import LinkError, LocalError
from ledger.keys import PrivateKey
from tests.node.test_inviting import Running, running
from tests.wide.roads import Roads

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-two")]

OUTSIDE = "/p2p/12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7"
BOOTSTRAP = "/ip4/203.0.113.7/tcp/4001" + OUTSIDE
RELAY = "/dns4/relay.example.org/tcp/4001" + OUTSIDE
SOON_S = 60.0


@pytest.fixture(autouse=True)
def nobody_on_this_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """mDNS finds nobody, and no address leads anywhere."""

    async def refused(host: str, port: int, offer: bytes, path: str = "") -> bytes:
        raise LinkError(f"cannot reach {host}:{port}", why="no route to host")

    monkeypatch.setattr(discovery, "read_record", lambda *record: None)
    monkeypatch.setattr(webrtc, "exchange", refused)
    monkeypatch.setattr(wide, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(wide, "LEAVE_S", 0.2)


class Far(Running):
    """A node whose road is the test's."""

    def __init__(self, config: NodeConfig, roads: Roads) -> None:
        super().__init__(config)

        class Roaded(Node):
            def _road(self, key: PrivateKey, config: WideConfig, listener: Listener) -> Wide:
                return roads.open(key, config, listener)

        self.node = Roaded(config, self._hear)

    @property
    def status(self) -> dict[str, Any]:
        return self.node.status()

    @property
    def key(self) -> bytes:
        return key_by_road(("/p2p/" + self.status["wide"]["peer_id"], 0)) or b""

    def links(self) -> set[str]:
        return {link["name"] for link in self.status["links"]}


async def until(fact: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(SOON_S):
            while not fact():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {SOON_S:.0f} s: {what}")


@pytest.fixture
def roads() -> Roads:
    return Roads()


@pytest.fixture
def anna(tmp_path: Path, roads: Roads) -> Far:
    """The founder, who alone was told of a bootstrap and a relay."""
    create_swarm(tmp_path / "anna", name="lists", task="filterlist", model_text=FILTERLIST, peer_name="anna", seed=1)
    return Far(NodeConfig(directory=tmp_path / "anna", bootstrap=(BOOTSTRAP,), relays=(RELAY,)), roads)


async def invited(anna: Far, **more: Any) -> Ticket:
    """An invite, once there is a secret to put into it."""
    await until(lambda: anna.status["wide"]["announced"], "anna is there")
    await until(lambda: anna.node.attendance(), "anna knows her swarm")
    while True:
        ticket = Ticket.parse((await anna.ask("invite", **more))["ticket"])
        if ticket.rendezvous:
            return ticket
        await asyncio.sleep(0.05)


def joined(place: Path, ticket: Ticket, roads: Roads) -> Far:
    enrol(place, ticket, place.name)
    return Far(NodeConfig(directory=place, ticket=ticket), roads)


def alike(*nodes: Far) -> bool:
    heads = [node.status["heads"] for node in nodes]
    return all(one == heads[0] for one in heads)


async def test_who_was_just_invited_is_awaited_at_once(
    tmp_path: Path, anna: Far, roads: Roads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "LOOK_EVERY_S", 3600.0)
    async with running(anna):
        await invited(anna)
        await until(lambda: roads.hosts[anna.key].strangers, "anna lets strangers in")


async def test_the_more_they_are_the_less_often_each_says_that_there_is_something_new(
    tmp_path: Path, anna: Far, roads: Roads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "ANNOUNCE_S", 3600.0)
    async with running(anna):
        ticket = await invited(anna, uses=2)
        host, berta = roads.hosts[anna.key], joined(tmp_path / "berta", ticket, roads)
        async with running(berta):
            await until(lambda: host.members == {berta.key}, "berta is one of two")
            said = len(host.said)
            assert said > 0
            async with running(cleo := joined(tmp_path / "cleo", ticket, roads)):
                await until(lambda: host.members == {berta.key, cleo.key}, "cleo is one of three")
                assert len(host.said) == said, "an hour has not passed"


async def test_three_meet_by_one_invite_and_one_that_is_put_out_finds_them_no_more(
    tmp_path: Path, anna: Far, roads: Roads
) -> None:
    async with running(anna):
        ticket = await invited(anna, uses=2)
        assert (ticket.bootstraps(), ticket.relays()) == ((BOOTSTRAP,), (RELAY,))
        berta, cleo = (joined(tmp_path / name, ticket, roads) for name in ("berta", "cleo"))
        async with running(berta, cleo):
            await until(lambda: len(berta.links()) == len(cleo.links()) == len(anna.links()) == 2, "all are linked")
            await until(lambda: alike(anna, berta, cleo), "all hold the same")
            assert {link["backend"] for link in berta.status["links"]} == {"aiortc"}
            assert all((to, by) in roads.offers or (by, to) in roads.offers
                       for by, to in [(anna.key, berta.key), (berta.key, cleo.key)])  # fmt: skip
            assert not [note for node in (berta, cleo) for note in node.notes if note.kind == "trouble"], "an address"
            assert (await berta.told("wide"))["peer_id"] == peer_id_of(berta.key)
            meeting = namespace_of(ticket.rendezvous)
            hosts = [roads.hosts[node.key] for node in (anna, berta, cleo)]
            await until(lambda: all(host.published == meeting for host in hosts), "all publish where the invite says")
            others = [{host.key for host in hosts} - {one.key} for one in hosts]
            await until(lambda: [host.members for host in hosts] == others, "each keeps the others")

            await anna.ask("revoke", peer=cleo.status["id"])
            await until(lambda: hosts[0].published not in (meeting, b""), "anna made another secret")
            await until(lambda: hosts[1].published == hosts[0].published, "berta was told of it")
            await until(lambda: all(cleo.key not in host.members for host in hosts[:2]), "cleo is kept by nobody")
            await until(lambda: not cleo.links(), "cleo has no link any more")
            assert hosts[0].published not in hosts[2].namespaces
            with pytest.raises(LinkError, match="the connection was closed"):
                await hosts[2].exchange(anna.key, b"an offer")
            assert berta.links() == {"anna"}


async def test_who_was_away_while_two_were_put_out_is_found_and_told_where_members_meet(
    tmp_path: Path, anna: Far, roads: Roads
) -> None:
    async with running(anna):
        ticket = await invited(anna, uses=3)
        berta, cleo, dora = (joined(tmp_path / name, ticket, roads) for name in ("berta", "cleo", "dora"))
        async with running(berta, cleo, dora):
            await until(lambda: len(anna.links()) == 3 and alike(anna, berta, cleo, dora), "all are in")
            await until(lambda: roads.hosts[berta.key].published, "berta knows where members meet")
        places = [roads.hosts[anna.key].published]
        for out in (cleo, dora):
            await anna.ask("revoke", peer=out.status["id"])
            await until(lambda: roads.hosts[anna.key].published not in places, "anna made another secret")
            places.append(roads.hosts[anna.key].published)
        assert set(places) <= set(roads.hosts[anna.key].namespaces), "she looks where berta stands"
        again = Far(NodeConfig(directory=tmp_path / "berta", bootstrap=(BOOTSTRAP,)), roads)
        async with running(again):
            await until(lambda: "anna" in again.links(), "berta is found where she stood")
            await until(lambda: roads.hosts[again.key].published == places[-1], "berta was told the newest")


async def test_who_changed_keys_is_reached_by_its_new_peer_id_and_not_by_the_old(
    tmp_path: Path, anna: Far, roads: Roads
) -> None:
    async with running(anna):
        berta = joined(tmp_path / "berta", await invited(anna), roads)
        async with running(berta):
            await until(lambda: berta.links() and alike(anna, berta), "berta is in")
            await until(lambda: berta.status["members"] == 2, "berta knows it")
            old = berta.key
            answer = await berta.ask("rotate")
            new = bytes.fromhex(answer["new"])
            await until(lambda: new in roads.hosts and old not in roads.hosts, "berta is there as another")
            await until(lambda: new in roads.hosts[anna.key].members, "anna keeps who holds the new key")
            await until(lambda: old not in roads.hosts[anna.key].members, "and nobody else in her name")
            assert berta.links() == {"anna"}, "the link is the one it was"
    again = Far(anna.node._config, roads)
    later = Far(NodeConfig(directory=tmp_path / "berta", bootstrap=(BOOTSTRAP,)), roads)
    del roads.offers[:]
    async with running(again, later):
        await until(lambda: "berta" in again.links(), "they are linked again")
        assert {frozenset(pair) for pair in roads.offers} == {frozenset((again.key, new))}
        with pytest.raises(LinkError, match="nobody is there"):
            await roads.hosts[again.key].exchange(old, b"an offer")


async def test_where_no_data_channel_can_be_made_the_link_is_a_stream_and_the_status_says_so(
    tmp_path: Path, anna: Far, roads: Roads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc, "reachable", lambda description, addresses: (_ for _ in ()).throw(LinkError("none")))
    async with running(anna):
        berta = joined(tmp_path / "berta", await invited(anna), roads)
        async with running(berta):
            await until(lambda: berta.links() and alike(anna, berta), "berta is in")
            assert roads.streams
            assert [link["backend"] for link in anna.status["links"]] == ["libp2p"]
            roads.cut = True
            for end in [end for host in roads.hosts.values() for end in host.ends]:
                end.end()
            await until(lambda: not berta.links(), "the road is broken")
            roads.cut = False
            await until(lambda: berta.links() == {"anna"}, "it is taken again")


async def test_a_dial_that_fails_is_told_as_what_it_was(tmp_path: Path, anna: Far, roads: Roads) -> None:
    roads.cut = True
    async with running(anna):
        berta = joined(tmp_path / "berta", await invited(anna), roads)
        async with running(berta):
            await until(lambda: [row for row in berta.status["dials"] if "libp2p" in row["text"]], "a dial failed")
            (row,) = [row for row in berta.status["dials"] if "libp2p" in row["text"]]
            name = "the inviting peer"
            assert row["address"] == place_by_road(anna.key)[0]
            assert row["text"] == f"{name} could not be reached over libp2p: nobody is there"
            told = await berta.told("trouble", lambda fields: "libp2p" in fields["text"])
            assert told["text"].startswith(f"{name} could not be reached")
            roads.cut = False
            await until(lambda: berta.links() == {"anna"}, "it is tried again")


async def test_who_moved_is_there_anew_and_who_stopped_is_gone(anna: Far, roads: Roads) -> None:
    async with running(anna):
        await until(lambda: anna.key in roads.hosts and roads.hosts[anna.key].published, "anna is there")
        before = roads.hosts[anna.key]
        await anna.node._woke(0.0, ("127.0.0.1",))
        await until(lambda: roads.hosts.get(anna.key) not in (None, before), "another host is in its place")
        await until(lambda: roads.hosts[anna.key].published == before.published, "and is told the same")
    assert roads.hosts == {}


async def test_an_ice_server_that_is_none_stops_the_node_before_it_listens(tmp_path: Path, anna: Far) -> None:
    with pytest.raises(LocalError, match="no ICE server"):
        await Node(NodeConfig(directory=tmp_path / "anna", ice=("stun:nowhere",))).run()


NOTHING_LOADED = """
import asyncio, sys
from pathlib import Path
from gossip import Node, NodeConfig
seen = asyncio.Event()
async def main():
    node = Node(NodeConfig(directory=Path(sys.argv[1])), lambda note: note.kind == "ready" and seen.set())
    task = asyncio.create_task(node.run())
    await seen.wait()
    assert node.status()["wide"] is None
    node.request_stop()
    await task
asyncio.run(main())
beyond = ("libp2p", "trio", "multiaddr", "gossip.wide")
print(sorted(name for name in sys.modules if name.startswith(beyond)))
"""


def test_a_node_that_is_told_of_nothing_beyond_its_network_loads_nothing_for_it(tmp_path: Path, anna: Far) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_LOADED, str(tmp_path / "anna")], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr
