"""What circuit relay v2 is called on the wire, and what its refusals mean (libp2p specs, relay/circuit-v2.md).

    /libp2p/circuit/relay/0.2.0/hop    asked of a relay: a place, or a circuit     status 100, or one of REFUSALS
    /libp2p/circuit/relay/0.2.0/stop   what it asks of whom a circuit leads to

Said in one place for who asks (relays.py, probe_host.py), who answers (hop.py), and who tells people. Pure; known
without libp2p.
"""

from __future__ import annotations

from typing import Final

HOP: Final = "/libp2p/circuit/relay/0.2.0/hop"
STOP: Final = "/libp2p/circuit/relay/0.2.0/stop"
OK, REFUSED, TOO_MUCH, DENIED, FAILED, NO_RESERVATION, MALFORMED = 100, 200, 201, 202, 203, 204, 400
REFUSALS: Final = {
    REFUSED: "it refuses the reservation",
    TOO_MUCH: "it is over its limits",
    DENIED: "it does not relay for us (permission denied)",
    FAILED: "it cannot reach the peer",
    NO_RESERVATION: "the peer has no place reserved there",
    MALFORMED: "it takes our message for malformed",
    401: "it did not expect our message",
}


def refusal(status: int) -> str:
    """Why a relay said no, for people; `status` is any number that it may have sent."""
    return REFUSALS.get(status, f"it refuses with status {status}")
