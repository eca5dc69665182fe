"""The same swarm beyond one network, seen from the node: a road to peers by their keys, and who is out there.

    node (asyncio)  --allow, meet, announce, exchange, open-->  Wide  ==thread==>  py-libp2p (trio)
                    <--offered, streamed, found, heard, tell--

Rules kept: every call and every callback is on the event loop's own thread; what comes out of the thread is bytes,
keys and one-line texts, never a type of libp2p; nothing is awaited of the other side without a bound. A failure over
there is a line for people and another try, never the end of the node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from gossip.peer_ids import peer_id_of
from gossip.transport.road import MAX_ANNOUNCEMENT_BYTES, Stream
from gossip.wide.bridge import Bridge
from gossip.wide.config import Wanted, WideConfig
from gossip.wide.present import broken, require
from gossip.wide.put_off import put_off
from gossip.wide.quiet import keep_off_the_root, quieten
from gossip.wide.state import State, told_of
from gossip.wide.streams import LinkStream
from ledger.errors import LinkError, LocalError
from ledger.keys import PrivateKey


class Listener(Protocol):
    """What the node gives. Called on the event loop's thread."""

    async def offered(self, key: bytes, offer: bytes) -> bytes | None:
        """Signalling came in, by the proven holder of `key`. The answer; None: silence."""
        ...

    def streamed(self, stream: Stream) -> None:
        """Somebody opened a stream for a link; who may stay is the node's business."""
        ...

    def found(self, key: bytes) -> None:
        """Somebody of the namespace is said to be there: a hint, paced and bounded."""
        ...

    def heard(self, key: bytes, data: bytes) -> None:
        """An announcement by a member."""
        ...

    def tell(self, text: str) -> None:
        """Trouble, for people: what, why, what next in one line."""
        ...


class Wide:
    """A Road (gossip/transport/road.py) over libp2p, with its finding and announcements."""

    def __init__(self, key: PrivateKey, config: WideConfig, listener: Listener) -> None:
        self._key, self._config, self._listener = key, config, listener
        self._state = State(told_of(config))
        self._wanted = Wanted()
        self._engine: Any = None  # of the thread; None until libp2p is imported
        self._bridge: Bridge | None = None
        self._closed = False

    async def start(self) -> None:
        """Begin the thread and return at once. LocalError: libp2p is missing or too old."""
        require()
        self._bridge = Bridge(self._life, self._failed)
        self._bridge.start()

    async def close(self) -> None:
        """End everything, within a bounded time. Safe in any state, and twice."""
        self._closed = True
        if self._bridge is not None:
            await self._bridge.close()

    def allow(self, members: frozenset[bytes], strangers: bool) -> None:
        """Whose connections are kept. Strangers only while an invite is open here."""
        self._want(replace(self._wanted, members=members, strangers=strangers))

    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None:
        """Namespaces of 32 bytes to look up; the first `publish` of them (0 or 1) are published in as well."""
        self._want(replace(self._wanted, namespaces=namespaces, publish=publish))

    def announce(self, data: bytes) -> None:
        """To all members that are connected, at most MAX_ANNOUNCEMENT_BYTES; the newest wins."""
        if len(data) > MAX_ANNOUNCEMENT_BYTES:
            raise ValueError(f"an announcement has at most {MAX_ANNOUNCEMENT_BYTES} bytes")
        self._want(replace(self._wanted, announcement=data))

    async def exchange(self, key: bytes, offer: bytes) -> bytes:
        """See gossip/transport/road.py."""
        answer: bytes = await self._running().call(self._over_there("exchange"), key, offer)
        return answer

    async def open(self, key: bytes) -> Stream:
        """See gossip/transport/road.py."""
        bridge = self._running()
        link = LinkStream(bridge, key)
        await bridge.call(self._over_there("open"), key, link)
        return link

    def report(self) -> dict[str, Any]:
        """For the status: docs/status.md, `wide`. State `off`: it is over, and `text` says why."""
        mine = {"peer_id": peer_id_of(self._key.public), "text": self._state.refused}
        return mine | self._state.report(self._config)

    def _running(self) -> Bridge:
        if self._bridge is None or self._closed:
            raise LinkError("libp2p is not running", why="it was not started" if self._bridge is None else "it ended")
        return self._bridge

    def _over_there(self, name: str) -> Any:
        if self._engine is None:
            raise LinkError("no way to the peer over libp2p yet", why=self._state.refused or "it is starting")
        return getattr(self._engine, name)

    def _want(self, wanted: Wanted) -> None:
        if wanted != self._wanted:
            self._wanted = wanted
            if self._bridge is not None and self._engine is not None:
                self._bridge.wake(self._engine.apply)

    async def _life(self, ending: Any) -> None:
        """In the thread: import libp2p, the first time, and run the host."""
        if self._engine is None:
            quieten()
            put_off()
            try:
                from gossip.wide.engine import Engine
            except (ImportError, OSError, AttributeError) as error:  # AttributeError: parts that do not fit together
                raise broken(error) from error
            quieten()
            keep_off_the_root()
            engine = Engine(self._key.seed(), self._config, self._state, lambda: self._wanted, self._listener)
            assert self._bridge is not None
            engine.bridge = self._bridge
            self._engine = engine
        if not self._closed:  # libp2p takes its seconds to be imported
            await self._engine.life(ending)

    def _failed(self, error: BaseException, again_s: float) -> None:
        if isinstance(error, LocalError):  # the node reads it off the report, and ends this
            self._state.refused = str(error)
            return
        name = type(error).__name__
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
            name = type(error).__name__
        why = f"{name}: {error}"[:200].replace("\n", " ")
        next_ = f"it is started again in {again_s:.0f} s" if again_s != float("inf") else "start the node again"
        self._listener.tell(f"libp2p failed: {why}; {next_}, and the LAN goes on")
