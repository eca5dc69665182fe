"""What one node tells of itself beyond its network, and what it makes of what it hears there. No network, no libp2p."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gossip import NodeConfig
from gossip.events import Event, Found, NewRendezvous
from gossip.node import hearsay, wide
from gossip.node.announced import announcement
from gossip.node.carrier import in_words
from gossip.node.door import Door
from gossip.node.namespaces import KEPT_S, namespace_of
from gossip.node.wide import Abroad
from gossip.transport.hints import MAX_STRANGERS
from gossip.transport.road import Stream, place_by_road
from gossip.transport.signalling import Unheard
from gossip.transport.tickets import Ticket
from gossip.wide import bridge
from gossip.wide.config import WideConfig
from gossip.wide.wide import Listener
from gossip.wire.frames import Rendezvous
from ledger.entry import PeerId
from ledger.errors import LinkError, LocalError, RemoteError
from ledger.keys import PrivateKey
from ledger.membership import Membership
from ledger.replica import Replica
from ledger.store import Store
from tests.wide.roads import Carried, Roads, stream_pair

BOOTSTRAP = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7"
OWN, SWARM = "0a" * 32, "5a" * 32
ANNA, BERTA, CLEO = (PrivateKey.from_seed(letter * 32) for letter in (b"a", b"b", b"c"))
OLD, NEW = b"o" * 32, b"n" * 32
WITHIN_S = 60.0


class People(Replica):
    """A replica whose members a test names."""

    def __init__(self) -> None:
        super().__init__(SWARM, OWN)
        self.keys: dict[PeerId, bytes] = {}
        self.promises: set[bytes] = set()
        self.ends: dict[PeerId, int] = {}

    def say(self, peer: PeerId, key: bytes | None) -> None:
        """An entry is admitted that makes somebody a member, changes its key, or takes it out."""
        if key is None:
            del self.keys[peer]
        else:
            self.keys[peer] = key
        self._admitted += 1

    def heads(self) -> dict[str, int]:
        return dict.fromkeys(self.keys, 1 + self._admitted)

    def enrolled(self, log: str) -> bool:
        return log in self.keys

    def key_of(self, log: str) -> bytes:
        return self.keys[log]

    def keys_of(self, log: str) -> tuple[bytes, ...]:
        return (self.keys[log],)

    def membership(self, peer: PeerId) -> Membership | None:
        return Membership("trainer", self.ends.get(peer, 0)) if peer in self.keys else None

    def member_by_key(self, key: bytes) -> PeerId | None:
        found = next((peer for peer, held in self.keys.items() if held == key), None)
        return found or (min(self.keys) if key in self.promises else None)


@dataclass
class Machine:
    """What a peer says of the rendezvous."""

    rendezvous: Rendezvous | None = None
    wants_rendezvous: bool = False

    def choose(self, secret: bytes, epoch: int = 1) -> None:
        self.rendezvous, self.wants_rendezvous = Rendezvous(epoch, secret, OWN, (), bytes(64)), False


@dataclass
class Links:
    """What answers."""

    answer: Callable[[bytes, bytes], bytes | None] = lambda key, offer: b"to " + offer
    streams: list[Stream] = field(default_factory=list)
    online: set[str] = field(default_factory=set)

    async def answer_offer(self, key: bytes, offer: bytes) -> bytes | None:
        return self.answer(key, offer)

    def answer_stream(self, stream: Stream) -> None:
        self.streams.append(stream)


class Anna:
    """One node's way beyond its network, and all around it that it knows."""

    def __init__(self, folder: Path, roads: Roads, **told: Any) -> None:
        self.roads, self.folder = roads, folder
        self.key = ANNA
        self.people, self.machine, self.links = People(), Machine(), Links()
        self.people.keys[OWN] = ANNA.public
        self.posted: list[Event] = []
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.opened: list[WideConfig] = []
        self.today = 1_800_000_000.0
        self.store = Store(folder / "peer.db")
        self.door = Door(self.people, self.store, own="", today=lambda: self.today)
        self.config = NodeConfig(directory=folder, **{"bootstrap": (BOOTSTRAP,), **told})
        self._news = asyncio.Event()
        self.abroad = self.make()

    def make(self) -> Abroad:
        return Abroad(
            self.config, OWN, self.people, self.door, self.store, host="127.0.0.1", key=lambda: self.key,
            linked=lambda: self.links.online, transport=self.links, machine=self.machine, post=self.post,
            post_soon=self.posted.append, tell=self.tell, today=lambda: self.today, open_=self.open,
        )  # fmt: skip

    async def post(self, event: Event) -> None:
        self.posted.append(event)
        if isinstance(event, NewRendezvous):
            self.machine.choose(event.secret)

    def tell(self, kind: str, **fields: Any) -> None:
        self.notes.append((kind, fields))

    def open(self, key: PrivateKey, config: WideConfig, listener: Listener) -> Carried:
        self.opened.append(config)
        return self.roads.open(key, config, listener)

    @property
    def host(self) -> Carried:
        return self.roads.hosts[self.key.public]

    @property
    def is_there(self) -> bool:
        return self.key.public in self.roads.hosts

    def found(self) -> list[bytes | None]:
        return [event.key for event in self.posted if isinstance(event, Found)]

    def troubles(self) -> list[str]:
        return [fields["text"] for kind, fields in self.notes if kind == "trouble"]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(wide, "PACE_S", 0.01)


@pytest.fixture
def anna(tmp_path: Path) -> Iterator[Anna]:
    made = Anna(tmp_path, Roads())
    yield made
    made.store.close()


@asynccontextmanager
async def running(anna: Anna) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(anna.abroad.run())
    async with asyncio.timeout(WITHIN_S):
        await soon(lambda: task.done() or anna.is_there)
        yield task
    task.cancel()
    await asyncio.wait([task])
    await anna.abroad.close()


async def soon(fact: Callable[[], object]) -> None:
    """Let time pass until it is one."""
    async with asyncio.timeout(WITHIN_S):
        while not fact():
            await asyncio.sleep(0.01)


def ticket(key: PrivateKey = BERTA, rendezvous: bytes = OLD) -> Ticket:
    return Ticket(
        swarm=SWARM, founder="bb" * 32, key=key.public, addresses=(BOOTSTRAP, BOOTSTRAP + "/p2p-circuit"),
        secret=b"s" * 16, role="trainer", rendezvous=rendezvous,
    )  # fmt: skip


# ------------------------------------------------------------------ what it tells


async def test_members_are_kept_as_the_ledger_names_them_and_strangers_while_somebody_may_come_in(anna: Anna) -> None:
    async with running(anna):
        await soon(lambda: anna.host.members == frozenset() and not anna.host.strangers)
        anna.people.say("bb" * 32, BERTA.public)
        anna.abroad.changed()
        await soon(lambda: anna.host.members == {BERTA.public})
        anna.store.add_ticket(b"i" * 32, b"s" * 16, "trainer", 1, int(anna.today) + 60)
        await soon(lambda: anna.host.strangers)
        anna.today += 61
        await soon(lambda: not anna.host.strangers)
        anna.door.is_open = True
        await soon(lambda: anna.host.strangers)
        assert anna.host.members == {BERTA.public}, "awaited is not let in"


async def test_who_is_out_is_cut_as_soon_as_the_machine_has_told_it_so(anna: Anna) -> None:
    anna.people.say("bb" * 32, BERTA.public)
    async with running(anna):
        await soon(lambda: BERTA.public in anna.host.members)
        anna.links.online = {BERTA.public.hex()}
        anna.people.say("bb" * 32, None)
        anna.people.say("cc" * 32, CLEO.public)
        anna.abroad.changed()
        await soon(lambda: CLEO.public in anna.host.members)
        assert BERTA.public in anna.host.members
        anna.links.online = set()
        anna.people.say("cc" * 32, CLEO.public)
        anna.abroad.changed()
        await soon(lambda: anna.host.members == {CLEO.public})


async def test_who_has_come_to_the_end_of_its_time_goes_without_an_entry(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "AGAIN_S", 0.1)
    anna.people.say("bb" * 32, BERTA.public)
    anna.people.ends["bb" * 32] = int(anna.today) + 60
    async with running(anna):
        await soon(lambda: anna.host.members == {BERTA.public})
        anna.today += 61
        await soon(lambda: anna.host.members == frozenset())


async def test_an_admin_without_a_secret_gets_one_and_publishes_there_and_looks_where_it_was_before(anna: Anna) -> None:
    anna.machine.wants_rendezvous = True
    async with running(anna):
        await soon(lambda: anna.host.published)
        (asked,) = [event for event in anna.posted if isinstance(event, NewRendezvous)]
        assert anna.host.namespaces == (namespace_of(asked.secret),)
        assert anna.abroad.beyond.rendezvous == asked.secret
        anna.machine.choose(NEW, epoch=2)
        anna.abroad.changed()
        await soon(lambda: anna.host.published == namespace_of(NEW))
        assert anna.host.namespaces == (namespace_of(NEW), namespace_of(asked.secret))
    again = anna.abroad = anna.make()  # the next run of the node
    async with running(anna):
        await soon(lambda: len(anna.host.namespaces) == 2)
        assert anna.host.published == namespace_of(NEW)
        assert again.beyond.bootstrap == (BOOTSTRAP,)


async def test_a_joiner_is_told_by_its_invite_where_to_go_and_dials_who_invited_it(tmp_path: Path) -> None:
    anna = Anna(tmp_path, Roads(), bootstrap=(), ticket=ticket())
    del anna.people.keys[OWN]
    async with running(anna):
        (config,) = anna.opened
        assert (config.bootstrap, config.relays, config.host) == ((BOOTSTRAP,), (BOOTSTRAP,), "127.0.0.1")
        await soon(anna.found)
        assert anna.posted == [Found(*place_by_road(BERTA.public), BERTA.public)]
        assert (anna.host.namespaces, anna.host.published) == ((namespace_of(OLD),), b"")
        assert anna.host.members == {BERTA.public}
        anna.people.say("cc" * 32, CLEO.public)
        anna.people.say(OWN, ANNA.public)
        anna.abroad.changed()
        await soon(lambda: anna.host.members == {CLEO.public})  # the invite gives no right any more
    anna.store.close()


async def test_a_member_that_was_away_looks_where_its_new_invite_says_until_that_is_old(tmp_path: Path) -> None:
    invite = replace(ticket(rendezvous=NEW), expires=1_800_000_060)
    anna = Anna(tmp_path, Roads(), bootstrap=(), ticket=invite)
    anna.machine.choose(OLD)
    async with running(anna):
        await soon(lambda: anna.host.namespaces == (namespace_of(OLD), namespace_of(NEW)))
        assert anna.host.published == namespace_of(OLD), "an invite says where to look, and an admin where to be"
        anna.today = invite.expires + KEPT_S
        anna.abroad.changed()
        await soon(lambda: anna.host.namespaces == (namespace_of(OLD),))
    anna.store.close()


async def test_what_is_held_is_announced_when_it_grows_and_not_again(anna: Anna) -> None:
    async with running(anna):
        await soon(lambda: anna.host.said)
        anna.people.say("bb" * 32, BERTA.public)
        anna.abroad.changed()
        await soon(lambda: len(anna.host.said) == 2)
        heads = anna.people.heads()
        assert anna.host.said[1] == announcement(heads[OWN], heads)
        anna.abroad.changed()
        await soon(lambda: anna.host.members)
        assert len(anna.host.said) == 2


# ------------------------------------------------------------------ what it hears


async def test_of_those_found_members_are_dialled_once_in_a_while_and_strangers_when_they_become_one(
    anna: Anna,
) -> None:
    anna.people.say("bb" * 32, BERTA.public)
    async with running(anna):
        for _ in range(5):
            anna.abroad.found(BERTA.public)
            anna.abroad.found(CLEO.public)
            anna.abroad.found(ANNA.public)
        assert anna.posted == [Found(*place_by_road(BERTA.public), BERTA.public)]
        for _ in range(2 * MAX_STRANGERS):
            anna.abroad.found(secrets.token_bytes(32))
        assert anna.found() == [BERTA.public]
        anna.abroad.found(CLEO.public)
        anna.people.say("cc" * 32, CLEO.public)
        anna.abroad.changed()
        await soon(lambda: anna.found() == [BERTA.public, CLEO.public])


async def test_who_may_have_forgotten_its_swarm_hears_of_everybody_at_a_pace(anna: Anna) -> None:
    anna.door.is_seeking = True
    async with running(anna):
        for _ in range(1000):
            anna.abroad.found(secrets.token_bytes(32))
        assert 0 < len(anna.found()) < 200


async def test_a_key_that_a_member_has_promised_is_kept_before_the_ledger_names_it(anna: Anna) -> None:
    anna.people.say("bb" * 32, BERTA.public)
    anna.people.promises.add(CLEO.public)
    async with running(anna):
        await soon(lambda: anna.host.members == {BERTA.public})
        anna.abroad.found(CLEO.public)
        assert anna.found() == [CLEO.public]
        await soon(lambda: anna.host.members == {BERTA.public, CLEO.public})
        anna.people.promises.clear()
        anna.people.say("bb" * 32, CLEO.public)
        anna.abroad.changed()
        await soon(lambda: anna.host.members == {CLEO.public})


async def test_a_member_that_holds_something_else_is_dialled_unless_it_is_linked(anna: Anna) -> None:
    anna.people.say("bb" * 32, BERTA.public)
    async with running(anna):
        await soon(lambda: anna.host.said)
        same, other = anna.host.said[0], announcement(7, {"bb" * 32: 7})
        anna.abroad.heard(BERTA.public, same)
        anna.abroad.heard(CLEO.public, other)  # no member
        anna.links.online = {BERTA.public.hex()}
        anna.abroad.heard(BERTA.public, other)
        assert anna.found() == []
        anna.links.online = set()
        for _ in range(5):
            anna.abroad.heard(BERTA.public, other)
        assert anna.found() == [BERTA.public]


async def test_who_is_found_while_it_is_linked_is_dialled_when_the_link_is_gone(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "AGAIN_S", 0.1)
    anna.people.say("bb" * 32, BERTA.public)
    anna.links.online = {BERTA.public.hex()}
    async with running(anna):
        await soon(lambda: anna.host.members)
        anna.abroad.found(BERTA.public)
        anna.abroad.heard(BERTA.public, announcement(7, {"bb" * 32: 7}))
        await soon(lambda: anna.host.said)
        assert anna.found() == []
        anna.links.online = set()
        await soon(lambda: anna.found() == [BERTA.public])


async def test_a_person_is_told_when_somebody_is_there_and_when_nobody_is_for_a_while(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "ALONE_S", 0.1)

    def states() -> list[str]:
        return [fields["state"] for kind, fields in anna.notes if kind == "wide"]

    async with running(anna):
        await soon(states)
        anna.host.state = "alone"
        await soon(lambda: len(states()) > 1)
        anna.host.state = "ready"
        await soon(lambda: len(states()) > 2)
    assert states() == ["ready", "alone", "ready"]


class Stuck(Carried):
    """What does not end."""

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_what_does_not_end_holds_the_node_up_for_a_moment_only(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wide.CLOSE_S <= 2.0
    monkeypatch.setattr(wide, "CLOSE_S", 0.05)
    anna.open = lambda key, config, listener: Stuck(anna.roads, key, config, listener)  # type: ignore[method-assign]
    anna.abroad = anna.make()
    async with running(anna):
        await soon(lambda: anna.host.said)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 512, b"x" * 100_000])
async def test_what_is_no_announcement_is_counted_and_that_is_all(anna: Anna, data: bytes) -> None:
    anna.people.say("bb" * 32, BERTA.public)
    async with running(anna):
        anna.abroad.heard(BERTA.public, data)
        anna.abroad.heard(CLEO.public, data)
        report = anna.abroad.report()
        assert report is not None
        assert report["unread"] == 1
        assert anna.posted == []


async def test_an_offer_is_answered_by_the_transport_and_what_is_refused_is_silence(anna: Anna) -> None:
    assert await anna.abroad.offered(BERTA.public, b"offer") == b"to offer"

    def refuse(key: bytes, offer: bytes) -> bytes:
        raise RemoteError("an offer by somebody else")

    anna.links.answer = refuse
    assert await anna.abroad.offered(BERTA.public, b"offer") is None
    stream, _ = stream_pair(ANNA.public, BERTA.public)
    anna.abroad.streamed(stream)
    assert anna.links.streams == [stream]


async def test_the_same_trouble_is_told_once_and_not_a_hundred_times(anna: Anna) -> None:
    for number in range(100):
        anna.abroad.tell("relay 12D3 is over its limits; it is asked again in 60 s")
        anna.abroad.tell(f"something {number % 2}")
    assert len(anna.troubles()) == 3


# ------------------------------------------------------------------ its life


async def test_a_dial_waits_for_the_host_and_says_in_words_why_it_failed(anna: Anna) -> None:
    early = asyncio.create_task(anna.abroad.exchange(BERTA.public, b"offer"))
    async with running(anna):
        with pytest.raises(LinkError, match=r"12D3KooW.* could not be reached over libp2p: nobody is there"):
            await early
        anna.people.say("bb" * 32, BERTA.public)
        berta = anna.roads.open(BERTA, anna.opened[0], Silent())
        await berta.start()
        berta.allow(frozenset({ANNA.public}), strangers=False)
        with pytest.raises(Unheard, match="over libp2p: it does not answer us"):
            await anna.abroad.exchange(BERTA.public, b"offer")
        stream = await anna.abroad.open(BERTA.public)
        assert stream.key == BERTA.public


def test_who_cannot_reach_the_inviting_peer_reads_of_the_relay_that_is_gone() -> None:
    row = {"address": BOOTSTRAP, "reserved": False, "until": None, "text": "connection refused; trying again"}
    none = LinkError("no way to 12D3", why="no address of it is known, and no relay is connected", next_step="wait")
    told = in_words(BERTA.public, none, invited=True, relays=[row, {**row, "reserved": True}])
    assert str(told) == (
        "the inviting peer could not be reached over libp2p: relay 203.0.113.7:4001: connection refused; trying again; "
        "wait"
    )
    other = in_words(BERTA.public, LinkError("no way", why="at X: no answer"), invited=True, relays=[row])
    assert "trying again; no way (at X: no answer)" in str(other), "what else was tried is told, too"
    silent = in_words(BERTA.public, Unheard("it does not answer us"), invited=True, relays=[row])
    assert "relay" not in str(silent), "it was reached"


class Silent:
    """Somebody else's node, which answers nothing."""

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        return None

    def streamed(self, stream: Stream) -> None: ...
    def found(self, key: bytes) -> None: ...
    def heard(self, key: bytes, data: bytes) -> None: ...
    def tell(self, text: str) -> None: ...


class Missing(Carried):
    """What starts where libp2p is not installed."""

    async def start(self) -> None:
        raise LocalError("libp2p is not installed", next_step="install gossip with its extra: pip install gossip[wide]")


async def test_without_libp2p_the_rest_goes_on_and_the_person_is_told_what_to_do(anna: Anna) -> None:
    anna.open = lambda key, config, listener: Missing(anna.roads, key, config, listener)  # type: ignore[method-assign]
    anna.abroad = anna.make()
    async with running(anna) as task:
        await asyncio.wait([task])
        assert task.exception() is None
        (text,) = anna.troubles()
        assert "pip install gossip[wide]" in text
        report = anna.abroad.report()
        assert report is not None
        assert (report["state"], report["text"][:23]) == ("off", "libp2p is not installed")
        with pytest.raises(LinkError, match="libp2p is not installed"):
            await anna.abroad.exchange(BERTA.public, b"offer")


class Unloadable(Carried):
    """As gossip/wide is where libp2p is installed and does not load."""

    def report(self) -> dict[str, Any]:
        return super().report() | {"state": "off", "text": "libp2p does not load: its C parts are missing"}


async def test_a_libp2p_that_does_not_load_is_told_once_and_no_dial_waits_for_it(anna: Anna) -> None:
    anna.open = lambda key, config, listener: Unloadable(anna.roads, key, config, listener)  # type: ignore[method-assign]
    anna.abroad = anna.make()
    async with running(anna) as task:
        await asyncio.wait([task])
        assert task.exception() is None
        (text,) = anna.troubles()
        assert text.startswith("libp2p does not load: its C parts are missing; meanwhile")
        report = anna.abroad.report()
        assert report is not None
        assert (report["state"], report["text"][:20]) == ("off", "libp2p does not load")
        with pytest.raises(LinkError, match="does not load"):
            await anna.abroad.exchange(BERTA.public, b"offer")


class Broken(Carried):
    """What fails in a way that nobody thought of, as often as is said."""

    left = 0

    def report(self) -> dict[str, Any]:
        if Broken.left > 0:
            Broken.left -= 1
            raise ZeroDivisionError("inside")
        return super().report()


async def test_a_defect_out_there_is_trouble_for_a_while_and_not_the_end_of_it(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "RETRY_S", (0.01, 0.02))
    monkeypatch.setattr(Broken, "left", 3)
    made: list[Broken] = []

    def open_(key: Any, config: Any, listener: Any) -> Broken:
        made.append(Broken(anna.roads, key, config, listener))
        return made[-1]

    anna.open = open_  # type: ignore[method-assign]
    anna.abroad = anna.make()
    async with running(anna) as task:
        await soon(lambda: ("wide", "ready") in [(kind, fields.get("state")) for kind, fields in anna.notes])
        assert len(made) == 4
        (text,) = anna.troubles()
        assert text.startswith("libp2p has failed: ZeroDivisionError: inside; it is begun anew")
        assert not task.done()
        report = anna.abroad.report()
        assert report is not None
        assert report["state"] == "ready"


async def test_the_waits_after_defects_grow_up_to_a_minute(anna: Anna, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Fails(Carried):
        async def start(self) -> None:
            raise RuntimeError(f"number {len(waits)}")

    async def keep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            raise asyncio.CancelledError

    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    monkeypatch.setattr(asyncio, "sleep", keep)
    anna.open = lambda key, config, listener: Fails(anna.roads, key, config, listener)  # type: ignore[method-assign]
    anna.abroad = anna.make()
    with pytest.raises(asyncio.CancelledError):
        await anna.abroad.run()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_secret_that_cannot_be_kept_is_not_met_under_until_it_can(
    anna: Anna, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []
    commit = anna.store.commit

    def full(changes: Any) -> Any:
        if len(refused) < 2:
            refused.append(1)
            raise LocalError("the disk is full")
        return commit(changes)

    monkeypatch.setattr(anna.store, "commit", full)
    anna.machine.choose(b"s" * 32)
    async with running(anna):
        await soon(lambda: anna.store.find_meta(wide.SECRETS))
        await soon(lambda: anna.host.namespaces)
    assert len(refused) == 2
    assert anna.troubles() == ["the disk is full"]


async def test_the_port_is_free_before_another_host_wants_it(anna: Anna, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that ends slowly is waited for where another follows: longer than its own bridge takes to give up."""
    assert wide.OVER_S > bridge.CLOSE_S
    order: list[str] = []

    class Slow(Carried):
        async def start(self) -> None:
            order.append("start")
            await super().start()

        async def close(self) -> None:
            await asyncio.sleep(0.3)
            order.append("ended")
            await super().close()

    monkeypatch.setattr(wide, "CLOSE_S", 0.01)
    anna.open = lambda key, config, listener: Slow(anna.roads, key, config, listener)  # type: ignore[method-assign]
    anna.abroad = anna.make()
    async with running(anna):
        await soon(lambda: order == ["start"])
        anna.abroad.woke(0.0, "127.0.0.1", moved=True)
        await soon(lambda: order.count("start") == 2)
        assert order == ["start", "ended", "start"]


async def test_nobody_who_names_no_bootstrap_and_no_relay_goes_anywhere(tmp_path: Path) -> None:
    anna = Anna(tmp_path, Roads(), bootstrap=())
    await anna.abroad.run()
    assert anna.opened == []
    assert anna.abroad.report() is None
    assert anna.abroad.beyond.addresses() == ()
    with pytest.raises(LinkError, match="no bootstrap or relay"):
        await anna.abroad.exchange(BERTA.public, b"offer")
    anna.store.close()


async def restarted(anna: Anna, act: Callable[[], None]) -> None:
    await soon(lambda: anna.is_there and anna.host.said)
    before = anna.host
    act()
    await soon(lambda: anna.is_there and anna.host is not before and anna.host.said)
    assert anna.roads.hosts == {anna.key.public: anna.host}, "the host of before is gone"


async def test_a_new_key_is_a_new_peer_id_and_all_is_told_again(anna: Anna, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "LEAVE_S", 0.0)
    anna.people.say("bb" * 32, BERTA.public)
    anna.machine.choose(NEW)

    def rotate() -> None:
        anna.key = CLEO
        anna.people.say(OWN, CLEO.public)
        anna.abroad.key_changed()

    async with running(anna):
        await restarted(anna, rotate)
        await soon(lambda: anna.host.members == {BERTA.public})
        assert anna.host.published == namespace_of(NEW)
        report = anna.abroad.report()
        assert report is not None
        assert report["peer_id"] == place_by_road(CLEO.public)[0].removeprefix("/p2p/")


async def test_another_network_is_another_host_and_a_nap_is_not(anna: Anna) -> None:
    async with running(anna):
        first = anna.host
        anna.abroad.woke(6.0, "127.0.0.1", moved=False)
        await restarted(anna, lambda: anna.abroad.woke(0.0, "127.0.0.2", moved=True))
        assert [config.host for config in anna.opened] == ["127.0.0.1", "127.0.0.2"]
        await restarted(anna, lambda: anna.abroad.woke(3600.0, "127.0.0.2", moved=False))
        assert first.key == anna.host.key


def test_hints_and_promises_are_bounded() -> None:
    assert hearsay.MAX_PROMISED <= 64
    assert MAX_STRANGERS <= 256
