"""STUN and TURN servers that the user names, and what of their answers goes into an offer.

    stun:stun.example.org:3478                 says from where our packets come: a reflexive candidate
    turn:anna:se%3Acret@192.0.2.1:3478         passes packets on for us (UDP): a relayed candidate

Rules: there is none unless the user names it, for each learns that this machine speaks to somebody. A server is asked
at every handshake and has SERVERS_S to answer; one that does not costs that second and its own candidates, nothing
else. What it says is a stranger's word: it is offered only if any peer would take it for a candidate. The password is
in no repr, error or status.

It refuses to know which library asks (aiortc_servers.py, libdatachannel_backend.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import unquote_to_bytes

from gossip.transport.description import MAX_CANDIDATES, is_candidate
from ledger.errors import LocalError

SERVERS_S: Final = 1.0  # for all of them together; a dial waits for it
MAX_SERVERS: Final = 8  # each is one more answer to wait for, and one more that knows of every handshake
MAX_CHARS: Final = 512
_HOST = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
_WORD = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
_STUN = re.compile(rf"stun:{_HOST}:(?P<port>[0-9]{{1,5}})", re.ASCII)
_TURN = re.compile(rf"turn:(?P<user>{_WORD}):(?P<password>{_WORD})@{_HOST}:(?P<port>[0-9]{{1,5}})", re.ASCII)
_FORMS: Final = (
    "write stun:HOST:PORT, or turn:USER@HOST:PORT with the password in a file (--turn-password FILE); "
    "turn:USER:PASSWORD@HOST:PORT shows it to everybody on this machine"
)
_CANDIDATE = re.compile(r"candidate:\S+ 1 UDP \d+ (\S+) (\d{1,5}) typ (srflx|relay)\b", re.ASCII | re.IGNORECASE)

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server, as the user named it. Only `parse` makes one from text."""

    kind: Literal["stun", "turn"]
    host: str  # an IPv4 address or a name
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A server of "stun:HOST:PORT" or "turn:USER:PASSWORD@HOST:PORT". LocalError, which quotes no password."""
        found = _STUN.fullmatch(text) or _TURN.fullmatch(text) if len(text) <= MAX_CHARS else None
        if found is None:
            raise LocalError(f"{_shown(text)} is no ICE server", why=_lacking(text), next_step=_FORMS)
        named = found.groupdict()
        port = int(named["port"])
        if not 1 <= port <= 65_535:
            raise LocalError(f"an ICE server has no port {port}", next_step="name one from 1 to 65535; 3478 is usual")
        try:
            user, password = (unquote_to_bytes(named.get(part) or "").decode() for part in ("user", "password"))
        except UnicodeDecodeError:
            raise LocalError("user or password of an ICE server is not UTF-8") from None
        return cls("turn" if user else "stun", named["host"], port, user, password)

    def __str__(self) -> str:
        """For people: without the password, and without what only its owner need know."""
        return f"{self.kind}:{self.host}:{self.port}"


def _shown(text: str) -> str:
    """What was typed, without all that may be a password, or acts on a terminal: also where a part is missing."""
    if len(text) > MAX_CHARS or not text.isprintable():
        return "what was typed"
    kind, colon, rest = text.partition(":")
    _, at, place = rest.rpartition("@")
    if at:
        return f"{kind}:...@{place}"
    host, has_more, _ = rest.partition(":")  # of TURN without a host, what looks like a port may be the password
    return text if kind == "stun" or not has_more else f"{kind}{colon}{host}:..."


def _lacking(text: str) -> str:
    """What is missing, where that can be told."""
    kind, _, rest = text.partition(":")
    if kind not in ("stun", "turn") or not rest:
        return "it begins with neither stun: nor turn:" if kind not in ("stun", "turn") else "no host follows"
    user, at, place = rest.rpartition("@")
    if kind == "turn" and not at:
        return "it names no user before an @"
    if kind == "stun" and at:
        return "a STUN server takes no user"
    if not re.search(":[0-9]+$", place):
        return "it ends in no port, such as :3478"
    if kind == "turn" and not user.partition(":")[0]:
        return "it names no user before the @"
    if kind == "turn" and not user.partition(":")[2]:
        return "it holds no password"
    return (
        "host, user or password hold what may not stand there; write that as % and two hex digits, as %3A for a colon"
    )


def ice_servers(texts: Iterable[str]) -> tuple[IceServer, ...]:
    """All that were named, each once. LocalError."""
    servers = tuple(dict.fromkeys(IceServer.parse(text) for text in texts))
    if len(servers) > MAX_SERVERS:
        raise LocalError(f"{len(servers)} ICE servers", why=f"at most {MAX_SERVERS} are asked at every handshake")
    return servers


def offered(hosts: Sequence[Place], reflexive: Sequence[Place] = (), relayed: Sequence[Place] = ()) -> list[Place]:
    """What goes into an offer, in order of preference: each place once, and of what servers said only what a peer takes
    for a candidate. Of the MAX_CANDIDATES one is kept for each kind, for where the others do not reach."""
    hosts = list(dict.fromkeys(hosts))
    reflexive = [place for place in dict.fromkeys(reflexive) if is_candidate(*place) and place not in hosts]
    relayed = [place for place in dict.fromkeys(relayed) if is_candidate(*place) and place not in (*hosts, *reflexive)]
    hosts = hosts[: MAX_CANDIDATES - bool(reflexive) - bool(relayed)]
    reflexive = reflexive[: MAX_CANDIDATES - len(hosts) - bool(relayed)]
    return [*hosts, *reflexive, *relayed][:MAX_CANDIDATES]


def said_by_servers(lines: Iterable[str]) -> tuple[list[Place], list[Place]]:
    """Reflexive and relayed places in lines of an SDP that our own library wrote."""
    found: dict[str, list[Place]] = {"srflx": [], "relay": []}
    for line in lines:
        if (match := _CANDIDATE.search(line)) is not None:
            found[match[3].lower()].append((match[1], int(match[2])))
    return found["srflx"], found["relay"]
