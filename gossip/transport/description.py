"""What two peers must know of each other to open a WebRTC connection, in five fields.

An SDP is a page of text in which a stranger could write anything, and a parser of it in each library
would read it. So no SDP travels between peers: each side reads these fields out of the text its own
library made, sends them signed (signalling.py), checks the fields it got, and writes the remote's SDP itself.
A browser can do the same in a few lines.

Rules: one SHA-256 fingerprint, IPv4 literals only (a `.local` name cannot be spelled: aioice loses a second on
each), at most MAX_CANDIDATES, the sender's own addresses first (what the user's STUN and TURN servers said behind them,
ice.py). Where a candidate comes from is not said. Data channels only, `mid` 0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import LinkError, LocalError, RemoteError

MAX_CANDIDATES = 8  # interfaces of one machine, and servers; each costs the far end connectivity checks
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,32}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,64}", re.ASCII)
_SDP = """v=0
o=- {session} 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=ice-options:ice2
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=sendrecv
a=sctp-port:5000
a=max-message-size:65536
a=setup:{setup}
a=ice-ufrag:{ufrag}
a=ice-pwd:{password}
a=fingerprint:sha-256 {fingerprint}
{candidates}a=end-of-candidates
"""


@dataclass(frozen=True, slots=True)
class Description:
    """One side of a connection. Only `checked` makes one from what a peer sent."""

    ufrag: str
    password: str
    fingerprint: bytes  # SHA-256 of the DTLS certificate, 32 raw bytes
    candidates: tuple[tuple[str, int], ...]  # IPv4 address, UDP port


def checked(ufrag: str, password: str, fingerprint: bytes, candidates: Sequence[tuple[str, int]]) -> Description:
    """A peer's fields as a Description; RemoteError for anything but the one spelling."""
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise RemoteError("ICE credentials that are none")
    if len(fingerprint) != 32:
        raise RemoteError("a fingerprint that is not SHA-256")
    if not 1 <= len(candidates) <= MAX_CANDIDATES or len(set(candidates)) != len(candidates):
        raise RemoteError(f"{len(candidates)} candidates", why=f"1 to {MAX_CANDIDATES} different ones are allowed")
    for host, port in candidates:
        if not is_candidate(host, port):
            raise RemoteError("a candidate that is no IPv4 address and port")
    return Description(ufrag, password, fingerprint, tuple(candidates))


def reachable(remote: Description, addresses: Sequence[str]) -> Description:
    """`remote` without the candidates that our own addresses cannot reach.

    A peer on loopback only must send nothing elsewhere, whatever an offer names; and another machine's
    127.0.0.1 is not ours. LinkError: nothing is left.
    """
    loopback = {ipaddress.IPv4Address(address).is_loopback for address in addresses}
    kept = tuple(c for c in remote.candidates if ipaddress.IPv4Address(c[0]).is_loopback in loopback)
    if not kept:
        raise LinkError(
            "no address of the other peer can be reached from here",
            why="one side is on loopback only",
            next_step="give both peers an --interface on the same network",
        )
    return Description(remote.ufrag, remote.password, remote.fingerprint, kept)


def read_sdp(sdp: str, candidates: Sequence[tuple[str, int]]) -> Description:
    """The description in an SDP that our own library made; `candidates` are those we mean to offer. LocalError if it
    has no SHA-256 fingerprint, or no credentials."""
    fields: dict[str, str] = {}
    for line in sdp.splitlines():
        name, _, value = line.partition(":")
        if name == "a=fingerprint":
            algorithm, _, value = value.partition(" ")
            if algorithm.lower() != "sha-256":
                continue
        fields[name] = value.strip()
    try:
        digest = bytes.fromhex(fields["a=fingerprint"].replace(":", ""))
        return Description(fields["a=ice-ufrag"], fields["a=ice-pwd"], digest, tuple(candidates[:MAX_CANDIDATES]))
    except (KeyError, ValueError):
        raise LocalError(
            "the WebRTC library describes a connection as none that we know", next_step="install one that is supported"
        ) from None


def write_sdp(remote: Description, *, kind: str) -> str:
    """The far end's SDP, written by us. The dialler offers (`actpass`), the answerer is the DTLS client (`active`)."""
    lines = [
        # Type preference 126 of RFC 8445; the order of the list is the order of preference.
        f"a=candidate:{n + 1} 1 UDP {(126 << 24) + ((65_535 - n) << 8) + 255} {host} {port} typ host\n"
        for n, (host, port) in enumerate(remote.candidates)
    ]
    return _SDP.format(
        session=int.from_bytes(remote.fingerprint[:4], "big"),
        setup="actpass" if kind == "offer" else "active",
        ufrag=remote.ufrag,
        password=remote.password,
        fingerprint=remote.fingerprint.hex(":").upper(),
        candidates="".join(lines),
    ).replace("\n", "\r\n")


def is_candidate(host: str, port: int) -> bool:
    """Whether that can be a candidate: one spelling of a unicast IPv4 address, and a UDP port."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    is_unicast = not (address.is_multicast or address.is_unspecified or address.is_reserved)
    return str(address) == host and is_unicast and 1 <= port <= 65_535
