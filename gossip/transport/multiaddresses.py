"""The addresses by which libp2p nodes are named, as far as we take them: read, checked, and told what is wrong.

    /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...                 a node: a bootstrap, or a relay
    /dns4/relay.example.org/tcp/4001/p2p/12D3KooW.../p2p-circuit   the same, said to be a relay

People copy these from a chat, so each slip they make has words of its own. Rules: one spelling, a bounded length, a
host that is an IPv4 or IPv6 literal or a name, TCP only, and always a PeerId: whoever answers there must prove that
key. (A PeerId has no check digits: most changed letters still name some key, that nobody holds.) One of another kind of
key than ours, RSA or secp256k1, is a stranger's, so of that only the shape is looked at. It refuses to know what
answers there, and needs no libp2p: tickets carry these to machines that have none.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from gossip.peer_ids import BASE58, key_of, unbase58
from ledger.errors import LocalError

MAX_CHARS: Final = 200
MAX_NAME_CHARS: Final = 114  # of a host's name: with all the rest it stays below MAX_CHARS
CIRCUIT: Final = "/p2p-circuit"
EXAMPLE: Final = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW..."
_HOSTS: Final = ("ip4", "ip6", "dns", "dns4", "dns6")
_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_PORT: Final = re.compile("[1-9][0-9]{0,4}", re.ASCII)
_SHOWABLE: Final = re.compile("[!-~]*", re.ASCII)
_BARE: Final = re.compile(r"(\w+://)?\[?[A-Za-z0-9.:-]+\]?:[0-9]+/?", re.ASCII)
_UNSUPPORTED: Final = {
    "udp": "QUIC and WebRTC over UDP are", "quic": "QUIC is", "quic-v1": "QUIC is", "ws": "WebSocket is",
    "wss": "WebSocket is", "tls": "WebSocket over TLS is", "http": "HTTP is", "https": "HTTP is",
    "webtransport": "WebTransport is", "webrtc-direct": "libp2p's WebRTC is", "webrtc": "libp2p's WebRTC is",
    "dnsaddr": "a name that stands for several addresses is", "onion3": "Tor is", "unix": "a socket in a file is",
}  # fmt: skip
# first bytes of the multihash | how many follow | letters, of the PeerIds that are about
_KINDS: Final = {"Qm": ("1220", 32, 46), "16Uiu2HA": ("002508021221", 33, 53)}


@dataclass(frozen=True, slots=True)
class Multiaddress:
    """Where a libp2p node answers, and as whom. `text` is all of it, in the one spelling."""

    text: str
    host: str
    port: int
    peer_id: str
    is_circuit: bool = False  # said to be a relay

    @property
    def node(self) -> str:
        """The node itself, without the word that it is a relay."""
        return self.text.removesuffix(CIRCUIT)

    @property
    def circuit(self) -> str:
        """The node as a relay."""
        return self.node + CIRCUIT

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address in a text that a person typed, or that stood in a ticket; LocalError in one line with advice."""
        shown = text[:MAX_CHARS] if _SHOWABLE.fullmatch(text) else repr(text[:80])
        if len(text) > MAX_CHARS:
            raise LocalError("a multiaddress that is too long", why=f"{MAX_CHARS} characters are the most")
        if not text.startswith("/"):
            like = "only a host and a port" if _BARE.fullmatch(text) else ""
            raise LocalError(f"{shown} is no multiaddress", why=like, next_step=f"write it like {EXAMPLE}")
        kind, host, protocol, port, rest = _parts(text, shown)
        if protocol != "tcp":
            raise _unsupported(shown, protocol)
        if not _PORT.fullmatch(port) or int(port) > 65_535:
            raise LocalError(f"{shown}: {port[:20]!r} is no port", next_step="name one from 1 to 65535 after /tcp/")
        for word in rest[::2]:
            if word in _UNSUPPORTED:
                raise _unsupported(shown, word)
        if rest and rest[0] == "ipfs":
            raise LocalError(f"{shown}: /ipfs/ is the old word", next_step="write /p2p/ in its place")
        if len(rest) < 2 or rest[0] != "p2p":
            raise LocalError(
                f"{shown} does not say who answers there", why="/p2p/PEERID is missing",
                next_step="add it: whoever runs that node can read it off",
            )  # fmt: skip
        _check_peer_id(rest[1], shown)
        if rest[2:3] == ["p2p-circuit"] and len(rest) > 3:
            raise LocalError(
                f"{shown} leads to one peer behind a relay", next_step="name the relay: end it with /p2p-circuit"
            )
        if rest[2:] not in ([], ["p2p-circuit"]):
            raise LocalError(
                f"{shown}: what follows the PeerId is not understood", next_step="end it there, or with /p2p-circuit"
            )  # fmt: skip
        _check_host(kind, host, shown)
        return cls(text, host, int(port), rest[1], len(rest) == 3)


def bootstrap(text: str) -> Multiaddress:
    """A node to find others through. LocalError: it is none, or is said to be a relay."""
    found = Multiaddress.parse(text)
    if found.is_circuit:
        raise LocalError(
            f"{text} names a relay as a bootstrap", why="it ends in /p2p-circuit",
            next_step=f"name it with --relay, or as a bootstrap without {CIRCUIT}",
        )  # fmt: skip
    return found


def relay(text: str) -> Multiaddress:
    """A node to be reached through, said to be a relay or not. LocalError: it is none."""
    return Multiaddress.parse(text)


def _parts(text: str, shown: str) -> tuple[str, str, str, str, list[str]]:
    """Kind of host, host, protocol, port, and what follows."""
    parts = text.split("/")[1:]
    if parts[-1:] == [""]:
        raise LocalError(f"{shown} ends in a slash", next_step="leave the last / out")
    if parts[0] not in _HOSTS:
        if parts[0] in _UNSUPPORTED:
            raise _unsupported(shown, parts[0])
        raise LocalError(f"{shown} is no multiaddress", next_step=f"write it like {EXAMPLE}; /dns/NAME for a name")
    if len(parts) < 4:
        raise LocalError(f"{shown} is cut off", next_step=f"write it like {EXAMPLE}")
    return parts[0], parts[1], parts[2], parts[3], parts[4:]


def _unsupported(shown: str, protocol: str) -> LocalError:
    said = f"{_UNSUPPORTED[protocol]} not supported, TCP is" if protocol in _UNSUPPORTED else "only TCP is supported"
    return LocalError(f"{shown}: {said}", next_step="use that node's address with /tcp/PORT/p2p/PEERID and no more")


def _check_host(kind: str, host: str, shown: str) -> None:
    """One spelling: what another would be is told, and not taken."""
    if kind.startswith("dns"):
        if len(host) <= MAX_NAME_CHARS and _NAME.fullmatch(host):
            return
        small = host.lower().rstrip(".")
        advice = f"write it {small}" if _NAME.fullmatch(small) and small != host else "check the name after /dns/"
        raise LocalError(f"{shown}: {host[:80]!r} is no name of a host", next_step=advice)
    family = ipaddress.IPv4Address if kind == "ip4" else ipaddress.IPv6Address
    try:
        found = family(host)
        spelled = str(found)
    except ValueError:
        called = "an IPv4" if kind == "ip4" else "an IPv6"
        raise LocalError(
            f"{shown}: {host[:80]!r} is not {called} address", next_step="/ip4/, /ip6/ or /dns/ goes before a host"
        ) from None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:  # Python 3.13 spells it anew
        raise LocalError(f"{shown}: that is an IPv4 address", next_step=f"write /ip4/{found.ipv4_mapped}")
    if spelled != host or "%" in host:
        raise LocalError(f"{shown}: {host[:80]!r} has another spelling", next_step=f"write it {spelled.split('%')[0]}")


def _check_peer_id(peer_id: str, shown: str) -> None:
    """LocalError if no key has that PeerId, as far as can be told without the key."""
    wrong = next((letter for letter in peer_id if letter not in BASE58), "")
    if wrong:
        raise LocalError(
            f"{shown}: the PeerId has {wrong!r}, which none has", why="0, O, I and l are left out of them",
            next_step="copy it again",
        )  # fmt: skip
    if peer_id.startswith("12D3KooW"):
        if len(peer_id) != 52:
            raise _maimed(shown, len(peer_id), 52)
        try:
            key_of(peer_id)
        except LocalError:
            raise _changed(shown) from None
        return
    for start, (first, size, letters) in _KINDS.items():
        if peer_id.startswith(start):
            if len(peer_id) != letters:
                raise _maimed(shown, len(peer_id), letters)
            if not _is_shaped(peer_id, bytes.fromhex(first), size):
                raise _changed(shown)
            return
    raise LocalError(f"{shown}: {peer_id[:60]!r} is no PeerId", why="they begin with 12D3KooW, 16Uiu2HA or Qm")


def _changed(shown: str) -> LocalError:
    return LocalError(f"{shown}: no key has that PeerId", next_step="a letter was changed: copy it again")


def _maimed(shown: str, found: int, due: int) -> LocalError:
    how = "cut off" if found < due else "too long"
    return LocalError(f"{shown}: the PeerId is {how}", why=f"{found} letters of {due}", next_step="copy it whole")


def _is_shaped(peer_id: str, first: bytes, size: int) -> bool:
    whole = unbase58(peer_id) or b""
    return len(whole) == len(first) + size and whole.startswith(first)
