"""What is kept with those we were told of, on a clock of its own: what people hear, when a place is renewed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio
from trio.testing import MockClock

import gossip.wide.keeping as module
from gossip.peer_ids import peer_id_of
from gossip.wide import relays
from gossip.wide.config import WideConfig
from gossip.wide.keeping import Keeping
from gossip.wide.state import State, told_of
from ledger.keys import PrivateKey

GONE, HERE = (peer_id_of(PrivateKey.from_seed(letter * 32).public) for letter in (b"g", b"h"))
HOUR_S = 3_600.0


class Conn:
    is_closed = False

    def get_transport_addresses(self) -> list[str]:
        return []


class World:
    """A host and its network: GONE is never there, HERE answers, and each connection with it ends after `lasts_s`."""

    def __init__(self, lasts_s: float) -> None:
        self.lasts_s = lasts_s
        self.conns: list[Conn] = []
        self.dialled: list[str] = []
        self.reserved: list[float] = []
        self.said: list[str] = []
        self.nursery: Any = None
        self.keeping: Any = None

    def get_network(self) -> World:
        return self

    def get_id(self) -> str:
        return "us"

    def get_connections(self, peer: Any) -> list[Conn]:
        return [each for each in self.conns if str(peer) == HERE and not each.is_closed]

    async def dial_addr(self, address: Any, peer: Any) -> None:
        self.dialled.append(str(peer))
        if str(peer) == GONE:
            raise OSError("connection refused")
        conn = Conn()
        self.conns.append(conn)
        self.nursery.start_soon(self._end, conn)

    async def _end(self, conn: Conn) -> None:
        await trio.sleep(self.lasts_s)
        conn.is_closed = True
        self.keeping.left(HERE)

    async def reserve(self, host: Any, peer: Any) -> float:
        self.reserved.append(trio.current_time())
        return time.time() + 24 * HOUR_S  # as a relay says whose clock is ahead

    def run(self, config: WideConfig, for_s: float) -> World:
        async def main() -> None:
            async with trio.open_nursery() as self.nursery:
                self.keeping = Keeping(self, State(told_of(config)), self.said.append, lambda: None)
                with trio.move_on_after(for_s):
                    await self.keeping.run()
                self.nursery.cancel_scope.cancel()

        trio.run(main, clock=MockClock(autojump_threshold=0))
        return self


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], World]:
    async def answers(*_: Any) -> bool:
        return True

    def make(lasts_s: float) -> World:
        made = World(lasts_s)
        reserve: Callable[..., Awaitable[float]] = made.reserve
        monkeypatch.setattr(relays, "reserve", reserve)
        monkeypatch.setattr(module, "ping", answers)
        return made

    return make


def at(peer: str) -> str:
    return f"/ip4/127.0.0.1/tcp/4001/p2p/{peer}"


def test_one_that_comes_and_goes_does_not_have_people_told_again_of_another(world: Callable[[float], World]) -> None:
    seen = world(90.0).run(WideConfig((at(GONE), at(HERE)), (), "127.0.0.1"), for_s=HOUR_S)
    assert seen.dialled.count(HERE) > 20
    assert seen.dialled.count(GONE) > 20
    assert len([text for text in seen.said if GONE in text]) == 1


def test_who_is_gone_is_dialled_each_minute_at_last_and_no_more_often(world: Callable[[float], World]) -> None:
    seen = world(1.0).run(WideConfig((at(GONE),), (), "127.0.0.1"), for_s=HOUR_S)
    assert 45 <= seen.dialled.count(GONE) <= 90


def test_a_place_is_renewed_within_half_an_hour_whatever_the_relay_says_of_its_end(
    world: Callable[[float], World],
) -> None:
    seen = world(10 * HOUR_S).run(WideConfig((), (at(HERE),), "127.0.0.1"), for_s=4 * HOUR_S)
    waits = [later - earlier for earlier, later in zip(seen.reserved, seen.reserved[1:], strict=False)]
    assert len(waits) >= 6
    assert max(waits) <= HOUR_S / 2 + 1.0
