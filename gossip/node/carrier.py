"""What stands on either side of a node's way beyond its network, as far as node/wide.py needs to know it.

    peer (Machine), transport (Links)  <-->  node/wide.py  <-->  gossip/wide (Wide), or a dictionary in a test

Types, the one import of what brings libp2p, and what is said where it is not there. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from gossip.peer_ids import peer_id_of
from gossip.transport.road import Road, Stream
from gossip.transport.signalling import Unheard
from ledger.errors import LinkError
from ledger.keys import PrivateKey

if TYPE_CHECKING:
    from gossip.wide.config import WideConfig
    from gossip.wide.wide import Listener
    from gossip.wire.frames import Rendezvous


class Wide(Road, Protocol):
    """What carries it: gossip/wide/wide.py says what each of these does."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def allow(self, members: frozenset[bytes], strangers: bool) -> None: ...
    def meet(self, namespaces: tuple[bytes, ...], publish: int) -> None: ...
    def announce(self, data: bytes) -> None: ...
    def report(self) -> dict[str, Any]: ...


class Machine(Protocol):
    """What is asked of the peer."""

    @property
    def rendezvous(self) -> Rendezvous | None: ...
    @property
    def wants_rendezvous(self) -> bool: ...


class Links(Protocol):
    """What is asked of the transport."""

    async def answer_offer(self, key: bytes, offer: bytes) -> bytes | None: ...
    def answer_stream(self, stream: Stream) -> None: ...


Open = Callable[[PrivateKey, "WideConfig", "Listener"], Wide]


def over_libp2p(key: PrivateKey, config: WideConfig, listener: Listener) -> Wide:
    """The real one. Imported here, so that who does not go beyond its network does not even read its files."""
    from gossip.wide.wide import Wide as Libp2p

    return Libp2p(key, config, listener)


def in_words(key: bytes, error: LinkError) -> LinkError:
    """The same for a person, who reads it without knowing that a road was taken."""
    kind = Unheard if isinstance(error, Unheard) else LinkError
    why = f"{error.what} ({error.why})" if error.why else error.what
    return kind(f"{peer_id_of(key)} could not be reached over libp2p", why=why, next_step=error.next_step)


def not_there(key: bytes, bootstrap: tuple[str, ...], relays: tuple[str, ...], refused: str) -> dict[str, Any]:
    """The report of a host that is not there yet, or, where `refused` says why, never will be."""
    return {
        "peer_id": peer_id_of(key), "state": "off" if refused else "starting",
        "bootstrap": [{"address": one, "connected": False, "text": ""} for one in bootstrap],
        "relays": [{"address": one, "reserved": False, "until": None, "text": ""} for one in relays],
        "found": 0, "connected": 0, "announced": 0, "heard": 0, "bytes_sent": 0, "bytes_received": 0,
    }  # fmt: skip
