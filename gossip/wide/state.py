"""What the thread knows of those it was told of, for the status: written over there, read here, never waited for.

Every field is replaced whole, so what is read is at most a moment old, and nothing is locked. Known without libp2p.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from gossip.wide.config import WideConfig
from ledger.errors import LocalError

CIRCUIT: Final = "/p2p-circuit"


@dataclass(slots=True)
class Told:
    """A peer of libp2p that the user named, as bootstrap, relay or both."""

    peer: str  # its PeerId
    addresses: tuple[str, ...]  # each with the PeerId at its end
    bootstrap: bool
    relay: bool
    connected: bool = False
    reserved: bool = False
    until: float | None = None  # Unix seconds
    text: str = "starting"  # why it is not connected
    relay_text: str = ""  # why nothing is reserved


@dataclass(slots=True)
class State:
    """Of one Wide."""

    told: tuple[Told, ...]
    running: bool = False  # the host is up
    refused: str = ""  # why no host can be on this machine, whatever is tried
    found: int = 0
    members: int = 0  # connected
    announced: int = 0
    heard: int = 0
    streamed_sent: int = 0
    sent: int = 0  # by hosts that have ended
    received: int = 0
    counts: Any = field(default=None)  # of the host that runs: .sent, .received

    def stopped(self) -> None:
        """The host has ended."""
        if self.counts is not None:
            self.sent, self.received = self.sent + self.counts.sent, self.received + self.counts.received
        self.running, self.counts, self.members = False, None, 0
        for each in self.told:
            each.connected = each.reserved = False
            each.until = None
            each.text = "libp2p is starting again"

    def name(self) -> str:
        """starting, ready (somebody we were told of is connected), alone or off."""
        if self.refused:
            return "off"
        if any(each.connected for each in self.told):
            return "ready"
        return "alone" if self.running else "starting"

    def reserved(self) -> list[str]:
        """Addresses of the relays that keep a place for us."""
        return [each.addresses[0] for each in self.told if each.reserved]

    def report(self, config: WideConfig) -> dict[str, Any]:
        """As docs/status.md says, but for the PeerId."""
        by_address = {bare(address): each for each in self.told for address in each.addresses}
        implied = [each.addresses[0] for each in self.told if each.reserved and not each.relay]
        counts = self.counts
        return {
            "state": self.name(),
            "bootstrap": [
                {"address": address, "connected": each.connected, "text": each.text}
                for address in config.bootstrap
                for each in (by_address[bare(address)],)
            ],
            "relays": [
                {
                    "address": address,
                    "reserved": each.reserved,
                    "until": each.until,
                    "text": each.text or each.relay_text,
                }
                for address in (*config.relays, *implied)
                for each in (by_address[bare(address)],)
            ],
            "found": self.found,
            "connected": self.members,
            "announced": self.announced,
            "heard": self.heard,
            "bytes_sent": self.sent + (counts.sent if counts is not None else 0),
            "bytes_received": self.received + (counts.received if counts is not None else 0),
        }


def bare(address: str) -> str:
    """Without the "/p2p-circuit" that a relay's address may end in."""
    return address.removesuffix(CIRCUIT)


def told_of(config: WideConfig) -> tuple[Told, ...]:
    """Each peer once, whatever it was named for. LocalError: an address without a PeerId."""
    found: dict[str, Told] = {}
    for address, is_relay in [(each, False) for each in config.bootstrap] + [(each, True) for each in config.relays]:
        peer = bare(address).rpartition("/p2p/")[2]
        if not peer or "/" in peer:
            raise LocalError(
                f"{address[:200]!r} names nobody", why="its PeerId is missing", next_step="end it in /p2p/ and a PeerId"
            )
        each = found.setdefault(peer, Told(peer, (), bootstrap=False, relay=False))
        each.bootstrap, each.relay = each.bootstrap or not is_relay, each.relay or is_relay
        if bare(address) not in each.addresses:
            each.addresses = (*each.addresses, bare(address))
    return tuple(found.values())
