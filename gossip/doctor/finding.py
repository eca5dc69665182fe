"""What the doctor says of one hop, and of all of them.

    fails  multicast  wlan0     what we say by mDNS is not heard, not even here
                                do: let UDP port 5353 in and out of wlan0 through this machine's firewall

Rules kept here: a hop that fails says what to do; whoever was not looked at is never "ok". Plain values: it refuses to
know how anything is found out, and how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

State = Literal["ok", "warns", "fails", "skipped"]
Hop = Literal[
    "backends",  # a WebRTC library that loads
    "machine",  # cores, load, battery
    "clock",  # of this machine, and against the claims of others
    "disk",  # can be written to, and how fast it is sure of it
    "space",  # left on it
    "interface",  # is there, is up, has an address, and is one by which others can be reached
    "multicast",  # our own question by mDNS is answered by ourselves, through the interface's own sockets
    "others",  # anybody else is heard there
    "port",  # can be listened on, and connected to
    "channel",  # DTLS over UDP, from this machine to itself
    "node",  # that runs on this directory: its links
    "dials",  # that failed lately, by its own account
    "name",  # of the other machine has an address
    "route",  # to it leaves by the interface that was named
    "reach",  # TCP
    "answer",  # of a peer, or of a doctor that waits
    "udp",  # DTLS over UDP to it
    "size",  # a whole message of 64 KiB there and back
    "their clock",
    "heard",  # it, by mDNS
    "libp2p",  # of the extra named wide: is there, is new enough, loads
    "bootstrap",  # each: TCP, the key it is named by, and whether it serves the DHT
    "nat",  # address translation on the way out, and whether it depends on the destination
    "relay",  # each: a reservation, and its limits
    "circuit",  # to ourselves through that relay
    "ice",  # each STUN and TURN server: the candidate that it makes possible
]
HOPS: Final[tuple[Hop, ...]] = get_args(Hop)


@dataclass(frozen=True, slots=True)
class Finding:
    """One hop. `where` is an interface, a library, an address; "" where there is only one."""

    hop: Hop
    state: State
    text: str
    next_step: str = ""
    where: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # for programs: numbers with their unit in the name

    def __post_init__(self) -> None:
        if self.state in ("fails", "warns") and not self.next_step:
            raise ValueError(f"{self.hop} {self.state} and nothing can be done?")

    def as_json(self) -> dict[str, Any]:
        return {
            "hop": self.hop, "where": self.where, "state": self.state, "text": self.text, "next_step": self.next_step,
            "facts": dict(self.facts),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a hop that is silent."""

    each_s: float = 8.0  # a link over a bad network takes two or three
    other_s: Mapping[Hop, float] = field(default_factory=dict)  # with some of them another

    def of(self, hop: Hop) -> float:
        return self.other_s.get(hop, self.each_s)


@dataclass(frozen=True, slots=True)
class Report:
    """All of them, in the order in which they were looked at: from this machine outwards."""

    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Report:
        return cls(tuple(findings))

    def having(self, state: State) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state == state)

    @property
    def is_well(self) -> bool:
        return not self.having("fails")

    def as_json(self) -> dict[str, Any]:
        return {
            "well": self.is_well,
            "fails": [finding.hop for finding in self.having("fails")],
            "warns": [finding.hop for finding in self.having("warns")],
            "findings": [finding.as_json() for finding in self.findings],
        }


def ok(hop: Hop, text: str, where: str = "", **facts: Any) -> Finding:
    return Finding(hop, "ok", text, "", where, facts)


def warns(hop: Hop, text: str, next_step: str, where: str = "", **facts: Any) -> Finding:
    return Finding(hop, "warns", text, next_step, where, facts)


def fails(hop: Hop, text: str, next_step: str, where: str = "", **facts: Any) -> Finding:
    return Finding(hop, "fails", text, next_step, where, facts)


def skipped(hop: Hop, why: str, next_step: str = "", where: str = "") -> Finding:
    return Finding(hop, "skipped", why, next_step, where)
