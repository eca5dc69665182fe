"""A port that somebody has: it is said, relays do meanwhile, and it is taken once it is free."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from tests.wide.conftest import NO_LIBP2P

pytest.importorskip("libp2p", reason=NO_LIBP2P)

import trio

import gossip.wide.listening as listening
from gossip.wide.config import WideConfig
from gossip.wide.listening import taken
from tests.wide.bare import until, wide

pytestmark = pytest.mark.usefixtures("no_thread_left")


async def listens(node: object) -> list[str]:
    return [str(each) for each in node._engine._host.get_transport_addrs()]  # type: ignore[attr-defined]


async def test_a_port_of_another_node_is_seen_told_once_and_taken_when_it_is_free(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "RETRY_FIRST_S", 0.01)
    port = free_port()
    config = WideConfig((), (), "127.0.0.1", port)
    at = f"/ip4/127.0.0.1/tcp/{port}"
    async with wide(config) as first:
        await until(lambda: first.report()["state"] != "starting", "it is up")
        await until(lambda: taken("127.0.0.1", port), "it listens")
        async with wide(config) as second:
            (text,) = await until(lambda: second.kept.said, "it is said")
            assert f"cannot listen on 127.0.0.1 port {port}: address already in use" in text
            assert "--wide-port" in text
            assert second.report()["state"] == "alone", "it goes on without"
            assert await second._bridge.call(listens, second) == []
            await first.close()
            async with asyncio.timeout(60):
                while not (found := await second._bridge.call(listens, second)):
                    await asyncio.sleep(0.02)
            assert found == [at]
            assert len(second.kept.said) == 1


def test_what_is_refused_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "RETRY_FIRST_S", 0.001)
    answers = [False, False, True]
    said: list[str] = []

    class Network:
        async def listen(self, where: str) -> bool:
            return answers.pop(0)

    trio.run(listening.listen, Network(), "there", "127.0.0.1", 0, said.append)
    assert answers == []
    assert len(said) == 1


def test_a_port_is_taken_by_a_socket_that_would_share_it_too() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "in use" in taken("127.0.0.1", other.getsockname()[1])
        port = other.getsockname()[1]
    assert taken("127.0.0.1", port) == ""
    assert taken("203.0.113.1", 1) != "", "an address that is not ours"
