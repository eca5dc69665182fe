"""One end of a WebRTC connection of ours in a process of its own, so that it can be in any network.

    python -m tests.wide.meet dial 60 10.77.1.2 stun:198.18.0.4:3478

A line out, its own description; a line in, the other's; then "open", "heard" what the far end said, or "failed" when
it has not come about within so many seconds.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from gossip.transport.description import Description, checked
from gossip.transport.ice import ice_servers
from gossip.transport.webrtc import make_peer
from ledger.errors import GossipError, RemoteError


class Ear:
    """What a connection tells: the first message, or that there will be none."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def arrived(self, channel: int, data: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(data)

    def broke(self, error: RemoteError) -> None:
        self.gone(error.what)

    def gone(self, reason: str) -> None:
        if not self.heard.done():
            self.heard.set_exception(ConnectionError(reason))
            self.heard.exception()


def _written(own: Description) -> str:
    return msgspec.json.encode([own.ufrag, own.password, own.fingerprint.hex(), own.candidates]).decode()


async def _other() -> Description:
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    ufrag, password, fingerprint, candidates = msgspec.json.decode(line)
    return checked(ufrag, password, bytes.fromhex(fingerprint), [(host, port) for host, port in candidates])


async def meet(role: str, within_s: float, address: str, servers: list[str]) -> None:
    peer: Any = make_peer("aiortc", (address,), ice_servers(servers))
    ear = Ear()
    peer.attach(ear)
    try:
        async with asyncio.timeout(within_s):
            if role == "dial":
                print(_written(await peer.offer()), flush=True)
                await peer.accept(await _other())
            else:
                print(_written(await peer.answer(await _other())), flush=True)
            await peer.opened()
            print("open", flush=True)
            peer.send(0, f"from {address}".encode())
            print("heard", (await ear.heard).decode(), flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)  # the other may still listen
    except (GossipError, TimeoutError, ConnectionError) as error:
        print("failed", repr(error), flush=True)
    finally:
        await peer.close()


if __name__ == "__main__":
    asyncio.run(meet(sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
