"""A ticket for somebody who has a code, or the name of an open swarm: asked for before there is a node, or a peer.

Plain functions over gossip/transport/knocking.py, for a program that has no event loop running. It refuses to know
what is done with the ticket (gossip/setup.py: enrol).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gossip.transport import knocking
from gossip.transport.code import Code
from gossip.transport.discovery import addresses_of
from gossip.transport.tickets import Ticket


def ticket_for_code(code: Code, *, interface: str = "lo", places: Sequence[tuple[str, int]] = ()) -> Ticket:
    """The ticket that a code stands for: asked for at `places` (host, port), or else of whoever shouts its number on
    `interface`. LocalError says what was tried; LinkError: mDNS cannot be had."""
    return asyncio.run(knocking.by_code(code, addresses_of(interface), places))


def card_of_open(name: str, *, interface: str = "lo", places: Sequence[tuple[str, int]] = ()) -> Ticket:
    """The card of the open swarm of that name, found in the same way."""
    return asyncio.run(knocking.by_name(name, addresses_of(interface), places))
