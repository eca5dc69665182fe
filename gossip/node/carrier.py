"""What stands on either side of a node's way beyond its network, as far as node/wide.py needs to know it.

    peer (Machine), transport (Links)  <-->  node/wide.py  <-->  gossip/wide (Wide), or a dictionary in a test

Types, the one import of what brings libp2p, and what is said where it is not there. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gossip.peer_ids import peer_id_of
from gossip.transport.multiaddresses import Multiaddress
from gossip.transport.road import Road, Stream
from gossip.transport.signalling import Unheard
from ledger.errors import LinkError, LocalError
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


def in_words(
    key: bytes, error: LinkError, *, invited: bool = False, relays: Sequence[Mapping[str, Any]] = ()
) -> LinkError:
    """The same for a person, who reads it without knowing that a road was taken. `invited`: that key is of whoever let
    us come, which no name tells; `relays`: as in a report, for one that is gone is mostly why."""
    kind = Unheard if isinstance(error, Unheard) else LinkError
    who = "the inviting peer" if invited else peer_id_of(key)
    whys = [f"{error.what} ({error.why})" if error.why else error.what]
    if kind is LinkError:
        gone = [
            f"relay {_place(row['address'])}: {row['text']}" for row in relays if row["text"] and not row["reserved"]
        ]
        whys = gone[:2] + ([] if gone and "no relay is connected" in whys[0] else whys)
    return kind(f"{who} could not be reached over libp2p", why="; ".join(whys), next_step=error.next_step)


def _place(address: str) -> str:
    """The HOST:PORT of a relay that the user named, or the invite."""
    try:
        found = Multiaddress.parse(address)
    except LocalError:
        return address
    return f"{found.host}:{found.port}"


def not_there(key: bytes, bootstrap: tuple[str, ...], relays: tuple[str, ...], refused: str) -> dict[str, Any]:
    """The report of a host that is not there yet, or, where `refused` says why, never will be."""
    return {
        "peer_id": peer_id_of(key), "state": "off" if refused else "starting",
        "bootstrap": [{"address": one, "connected": False, "text": ""} for one in bootstrap],
        "relays": [{"address": one, "reserved": False, "until": None, "text": ""} for one in relays],
        "found": 0, "connected": 0, "announced": 0, "heard": 0, "bytes_sent": 0, "bytes_received": 0,
    }  # fmt: skip
