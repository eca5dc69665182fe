"""The way out of this network, hop by hop: which of them are asked, in which order. Verdicts are in wide.py.

Only those are asked who were named: bootstraps, relays, STUN and TURN servers. Whoever is both a bootstrap and a relay
is asked once.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from gossip.doctor import servers, wide
from gossip.doctor.finding import Finding, Patience, skipped, warns
from gossip.transport.ice import IceServer
from gossip.transport.multiaddresses import Multiaddress
from gossip.wide import probe

ANYWHERE: Final = "0.0.0.0"  # noqa: S104  # the system chooses from where, and nothing is listened for


@dataclass(frozen=True, slots=True)
class Beyond:
    """What this peer was told, or the doctor."""

    bootstrap: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    ice: tuple[IceServer, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.bootstrap or self.relays or self.ice)


def own_addresses() -> tuple[str, ...]:
    """All of this machine's, IPv4 and IPv6."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = [
        each.address.partition("%")[0] for rows in psutil.net_if_addrs().values() for each in rows
        if each.family in families
    ]  # fmt: skip
    return tuple(dict.fromkeys(found))


async def look(
    beyond: Beyond, hosts: Sequence[str], patience: Patience, *, has_libp2p: bool
) -> AsyncIterator[Finding]:  # fmt: skip
    """`hosts`: our addresses on the interfaces that were named."""
    if beyond.is_empty:
        how = "name them: --bootstrap MULTIADDR, --relay MULTIADDR, --ice stun:HOST:PORT"
        yield skipped(
            "bootstrap", "neither a bootstrap nor a relay nor an ICE server was named, now or to the peer", how
        )
        return
    named = [Multiaddress.parse(each).node for each in beyond.bootstrap]
    relays = [Multiaddress.parse(each).node for each in beyond.relays]
    probed = probe.Probed((), ())
    if has_libp2p and (named or relays):
        probed = await probe.probe(tuple(dict.fromkeys([*named, *relays])), relays, patience.of("bootstrap"))
    seen = {each.address: each for each in probed.seen}
    held = {each.address: each for each in probed.held}
    for address in named:
        if address in seen:
            yield wide.judge_bootstrap(seen[address])
    if relays and not named:
        how = "name one (--bootstrap): a relay that serves the DHT, such as one of gossip relay, can be named as both"
        yield warns("bootstrap", "none is named: peers are found by invites and announcements alone", how)
    served = await servers.ask(beyond.ice, ANYWHERE, patience.of("ice")) if beyond.ice else []
    yield wide.judge_nat(own_addresses(), probed.seen, served, has_relay=bool(relays))
    for address in relays:
        if address in seen:
            for finding in wide.judge_relay(seen[address], held.get(address)):
                yield finding
    yield wide.judge_hosts(hosts)
    for each in served:
        yield wide.judge_served(each)
