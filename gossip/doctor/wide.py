"""What stands between this machine and peers of other networks: verdicts on what was found out. Pure.

    libp2p -> bootstrap (each) -> nat -> relay (each): a reservation -> circuit, to ourselves through it -> ice (each)

What libp2p nodes said comes from gossip/wide/probe.py, what STUN and TURN servers said from servers.py. All of them are
strangers, and who is asked sees where we ask from, no more. A verdict on address translation holds for the way to
those who were asked: what cannot be told from that is said, not guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gossip.doctor.finding import Finding, Hop, fails, ok, skipped, warns
from gossip.wide.circuits import OK, refusal
from gossip.wide.config import FLOOR, INSTALL
from gossip.wide.probe import Held, Seen

SMALL_BYTES: Final = 1 << 20  # a delta or two: below that a relay does for signalling only
REFUSED: Final = "ask who runs it for room, wait, or name another relay; gossip relay runs one of your own"
STEPS: Final = {
    "name": "check the name after /dns/, and that this machine can look names up",
    "key": "ask who runs it for its address of today; until then whoever answers there is not trusted",
    "speech": "check the port: something answers there that speaks no libp2p over TCP, Noise and Yamux",
}
TCP: Final = (
    "check that it runs, its address and port, and the firewalls on the way: TCP has to get out of here to there"
)


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is of the extra `wide`. A compiler and GMP matter only where it has to be built."""

    number: str = ""  # of libp2p; "": none
    is_recent: bool = False
    why_not: str = ""  # it is there and does not load
    compiler: bool = True
    gmp: bool = True


@dataclass(frozen=True, slots=True)
class Served:
    """What one STUN or TURN server did for us."""

    server: str  # without its password
    kind: str  # stun, turn
    place: tuple[str, int] | None = None  # ours, as seen there; or that it lent us
    why: str = ""
    refused: bool = False  # it answers, and does not let us
    took_ms: float = 0.0


def judge_installed(found: Installed, *, wanted: bool) -> Finding:
    """`wanted`: this peer was told of a bootstrap or a relay, or somebody asked for this."""
    floor = ".".join(map(str, FLOOR))
    if found.number and not found.is_recent:
        text = f"libp2p {found.number} is too old: {floor} is the first that was tried"
        return fails("libp2p", text, INSTALL, version=found.number)
    if found.number and found.why_not:
        return fails("libp2p", f"libp2p {found.number} does not load: {found.why_not}", INSTALL, version=found.number)
    if found.number:
        return ok("libp2p", f"libp2p {found.number} loads", version=found.number)
    if not wanted:
        return skipped("libp2p", "not installed; only peers beyond one network need it", INSTALL)
    missing = [
        *(["a C compiler (Debian: apt install gcc)"] if not found.compiler else []),
        *(["the headers of GMP (Debian: apt install libgmp-dev)"] if not found.gmp else []),
    ]
    text = "libp2p is not installed" + (
        f", and to build a part of it where no wheel fits {' and '.join(missing)} would be missing" if missing else ""
    )
    how = f"install {' and '.join(missing)}, then {INSTALL}" if missing else INSTALL
    return fails("libp2p", text, how, compiler=found.compiler, gmp=found.gmp)


def judge_bootstrap(seen: Seen) -> Finding:
    if seen.failed:
        return _unreached("bootstrap", seen)
    who = f"{seen.agent or 'a libp2p node'} answers after {seen.took_ms:.1f} ms with the key it is named by"
    facts = {"agent": seen.agent, "kad": seen.kad, "connect_ms": round(seen.took_ms, 2)}
    if not seen.kad:
        how = "name another bootstrap: a node that serves the DHT, such as one that gossip relay runs"
        return fails(
            "bootstrap", f"{who}, and serves no DHT: nobody can be found through it", how, seen.address, **facts
        )
    return ok("bootstrap", f"{who}, and serves the DHT", seen.address, **facts)


def judge_relay(seen: Seen, held: Held | None) -> Iterator[Finding]:
    """The reservation, and a circuit through it."""
    if seen.failed:
        yield _unreached("relay", seen)
        return
    if not seen.hop:
        text = f"{seen.agent or 'a libp2p node'} answers, and is no relay (circuit relay v2)"
        yield fails("relay", text, "name another relay; gossip relay runs one of your own", seen.address)
        return
    if held is None:
        yield skipped("relay", "it was not asked", "", seen.address)
        return
    facts = {
        "status": held.status, "lasts_s": held.lasts_s, "limit_s": held.limit_s, "limit_bytes": held.limit_bytes
    }  # fmt: skip
    if held.status != OK:
        why = refusal(held.status) if held.status else held.why
        yield fails("relay", f"no reservation: {why}", REFUSED, seen.address, **facts)
        return
    limits = [
        *([f"{_long(held.limit_s)}"] if held.limit_s else []),
        *([f"{held.limit_bytes / 1024:.0f} KiB"] if held.limit_bytes else []),
    ]
    text = f"reserved for {_long(held.lasts_s)}; a circuit through it carries " + (
        f"at most {' and '.join(limits)}" if limits else "what it will: it names no limit"
    )
    if 0 < held.limit_bytes < SMALL_BYTES or 0 < held.limit_s < 600:
        how = (
            "nothing, if data channels can be made (see nat, ice); else deltas want a relay without such limits: "
            "gossip relay"
        )
        yield warns("relay", f"{text}: enough for signalling, not for deltas", how, seen.address, **facts)
    else:
        yield ok("relay", text, seen.address, **facts)
    if held.circuit:
        how = "have who runs it look, or name another relay: peers behind address translation will not reach this one"
        yield fails("circuit", f"none to ourselves: {held.circuit}", how, seen.address)
    else:
        text = f"a word went to ourselves and back after {held.circuit_ms:.0f} ms"
        yield ok("circuit", text, seen.address, circuit_ms=round(held.circuit_ms, 1))


def judge_nat(own: Collection[str], seen: Sequence[Seen], served: Sequence[Served], *, has_relay: bool) -> Finding:
    """Whether our address is translated on the way out, and whether the translation depends on where it leads.

    `own`: addresses of this machine. `served`: what STUN servers said to one and the same socket.
    """
    stuns = [each for each in served if each.kind == "stun" and each.place is not None]
    outside = [each.observed for each in seen if each.observed]
    outside += [each.place[0] for each in stuns if each.place is not None]
    told = list(dict.fromkeys(outside))
    if not told:
        how = "name a bootstrap or, with --ice, a STUN server"
        if any(each.failed for each in seen):
            how = "mend what fails among bootstraps and relays; a STUN server (--ice) says it, too"
        elif seen:
            how = "nothing, if all of this is on one machine or network; a STUN server outside (--ice) says it, too"
        return skipped("nat", "nobody outside says where we come from", how)
    foreign = [ip for ip in told if ip not in own]
    places = {each.place for each in stuns}
    kind = "none" if not foreign else "unknown" if len(stuns) < 2 else "alike" if len(places) == 1 else "by destination"
    facts: dict[str, Any] = {"outside": told, "mapping": kind, "stun_servers": len(stuns)}
    if not foreign:
        return ok(
            "nat", f"no address translation on the way to who was asked: we are {', '.join(told)} to them", **facts
        )
    text = f"behind address translation: outside we are {', '.join(foreign)}"
    if kind == "by destination":
        how = (
            "name a TURN server (--ice turn:...), or let deltas go over the relay: data channels to peers behind "
            "another such router will not open"
        )
        return warns("nat", f"{text}, at another port for each destination", how, **facts)
    if kind == "alike":
        text += ", at the same port whoever is asked: data channels can be made through it"
    else:
        more = {0: "without two STUN servers (--ice)", 1: "with one STUN server"}[len(stuns)]
        text += f"; {more} it cannot be told whether the port depends on the destination"
    if not has_relay:
        how = "name a relay (--relay): without one nobody can begin a connection to here"
        return warns("nat", text, how, **facts)
    return ok("nat", text, **facts)


def judge_served(served: Served) -> Finding:
    what = "relayed" if served.kind == "turn" else "reflexive"
    if served.place is not None:
        host, port = served.place
        text = f"a {what} candidate, {host}:{port}, after {served.took_ms:.0f} ms"
        return ok("ice", text, served.server, candidate=f"{host}:{port}", kind=what)
    if served.refused:
        return fails("ice", f"it does not let us: {served.why}", "check user and password of --ice", served.server)
    how = "check host and port, that it runs, and that UDP gets out of here to there and back"
    return fails("ice", f"no {what} candidate: {served.why}", how, served.server)


def judge_hosts(own: Sequence[str]) -> Finding:
    """What a data channel has without any server."""
    text = f"host candidates {', '.join(own)}" if own else "no host candidate"
    return ok("ice", text, "", own=list(own))


def _unreached(hop: Hop, seen: Seen) -> Finding:
    match seen.failed:
        case "name":
            text = f"its name has no address here: {seen.why}"
        case "tcp":
            text = f"no TCP connection: {seen.why}"
        case "key":
            text = f"somebody else answers there: {seen.other}"
        case _:
            text = f"TCP connects, and no libp2p: {seen.why}"
    return fails(hop, text, STEPS.get(seen.failed, TCP), seen.address, failed=seen.failed)


def _long(seconds: int) -> str:
    return f"{seconds} s" if seconds < 600 else f"{seconds / 60:.0f} min"
