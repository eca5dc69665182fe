"""`gossip relay`: a relay and rendezvous node for a community, in the foreground.

    relay 12D3KooW... listens on 0.0.0.0:4001; to be reached:
      --bootstrap /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...
      --relay /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW.../p2p-circuit
    12 connections, 9 reservations, 3 circuits, 14 records, 2.1 MB carried, 0 turned away

With --json one event a line: started, minute, ended. A translator: what it does is gossip/wide/relay_node.py's
business. Nothing of a peer's is printed but counts.
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli import exits, render
from cli.settings import settings
from ledger.errors import LocalError
from ledger.keys import PrivateKey

if TYPE_CHECKING:
    from gossip.wide.relay_node import Counts

KEY_FILE: Final = "relay.key"
LISTEN: Final = "0.0.0.0:4001"


def relay(
    listen: Annotated[
        str,
        typer.Option("--listen", metavar="HOST:PORT", help="Address and TCP port to listen on; port 0: any free one."),
    ] = LISTEN,
    public: Annotated[
        list[str] | None,
        typer.Option(
            "--public",
            metavar="ADDRESS...",
            help="How others reach it, each HOST:PORT or a multiaddress. Needed behind a NAT, or with 0.0.0.0.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Its own libp2p key; made at the first start."),
    ] = None,
    reservations: Annotated[
        int, typer.Option("--reservations", metavar="N", min=1, max=4096, help="Peers that may be reached through it.")
    ] = 128,
    circuits: Annotated[
        int, typer.Option("--circuits", metavar="N", min=1, max=100, help="Circuits of one peer, at once.")
    ] = 48,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="N", min=1, max=1440, help="How long one circuit may last.")
    ] = 120,
    mb: Annotated[
        int, typer.Option("--mb", metavar="N", min=1, max=1_000_000, help="Megabytes of one circuit, each way.")
    ] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print one event per line.")] = False,
) -> None:
    """Be a relay and a meeting place for swarms across networks, without keys to any."""
    host, port = _listen(listen)
    told = [_public(each) for each in public or ()]
    if not told and ipaddress.ip_address(host).is_unspecified:
        told = _own(port)
    path = key if key is not None else settings().home / KEY_FILE
    from gossip.wide.present import require

    require()
    own = _key(path)
    from gossip.wide.put_off import put_off

    put_off()
    from gossip.wide.entrance import Places
    from gossip.wide.hop import Limits
    from gossip.wide.relay_node import RelayNode, serve

    limits = Limits(
        reservations=reservations,
        of_address=max(1, reservations // 4),
        circuits=circuits,
        of_source=max(1, min(4, circuits // 4)),
        of_network=max(1, circuits // 2),
        seconds=60 * minutes,
        each_way=mb * 1_000_000,
    )
    places = Places(in_all=2 * reservations + 64, of_address=max(8, reservations // 4 + 8))

    def started(addresses: list[str]) -> None:
        if json:
            render.event({"event": "started", "addresses": addresses, "limits": asdict(limits)})
        else:
            _say_started(addresses, listen, is_told=bool(public))

    def minute(counts: Counts) -> None:
        if json:
            render.event({"event": "minute", **asdict(counts)})
        else:
            _say_counts(counts)

    import signal

    number = serve(RelayNode(own.seed(), host, port, told, limits, places), started, minute)
    if json:
        render.event({"event": "ended"})
    else:
        render.say("stopped")
    if number == signal.SIGINT:
        raise typer.Exit(exits.INTERRUPTED)


def _say_started(addresses: list[str], listen: str, *, is_told: bool) -> None:
    """What others paste."""
    render.say(f"relay {addresses[0].rpartition('/')[2]} listens on {listen}; to be reached:")
    if not is_told and not is_public(addresses):
        render.say("(from this network alone: for others name the address outside, with --public HOST:PORT)")
    for address in addresses:
        render.say(f"  --bootstrap {address}")
        render.say(f"  --relay {address}/p2p-circuit")


def _say_counts(counts: Counts) -> None:
    render.say(
        f"{counts.connections} connections, {counts.reservations} reservations, {counts.circuits} circuits, "
        f"{counts.records} records, {render.size(counts.carried_bytes)} carried, {counts.refused:,} turned away"
    )


def _listen(text: str) -> tuple[str, int]:
    """LocalError: no address of IPv4 or IPv6 with a port."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ValueError
    except ValueError:
        raise LocalError(
            f"cannot listen on {render_safe(text)}",
            why="--listen takes an IP address of this machine and a port",
            next_step=f"write it like {LISTEN}",
        ) from None
    return str(address), int(port)


def render_safe(text: str) -> str:
    """What was typed, without what acts on a terminal."""
    return text[:100] if text.isprintable() else repr(text[:100])


def _public(text: str) -> str:
    """A multiaddress without a PeerId, of one that was typed so or as HOST:PORT. LocalError: it is neither."""
    from gossip.peer_ids import peer_id_of
    from gossip.transport.multiaddresses import Multiaddress

    spelled = text
    if not text.startswith("/"):
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isdigit() or not host:
            named = render_safe(text)
            raise LocalError(
                f"{named} names no port", why="--public takes HOST:PORT or a multiaddress",
                next_step=f"add the port: {named.rstrip(':')}:{LISTEN.rpartition(':')[2]}",
            )  # fmt: skip
        try:
            kind = f"ip{ipaddress.ip_address(host).version}"
        except ValueError:
            kind = "dns"
        spelled = f"/{kind}/{host}/tcp/{port}"
    bare = spelled.partition("/p2p/")[0]
    anybody = peer_id_of(PrivateKey.from_seed(bytes(32)).public)
    Multiaddress.parse(f"{bare}/p2p/{anybody}")
    return bare


def _own(port: int) -> list[str]:
    """This machine's addresses, loopback last: for people to choose from, where 0.0.0.0 was all they said."""
    from gossip.doctor.interfaces import here

    found = [address for each in here() if each.is_up and not each.is_loopback for address in each.addresses]
    return [f"/ip4/{address}/tcp/{port}" for address in (found or ["127.0.0.1"])[:4]]


def is_public(addresses: list[str]) -> bool:
    """Whether one of them is of the whole internet, or a name, of which that is not known."""
    hosts = [each.split("/")[1:3] for each in addresses]
    return any(kind.startswith("dns") or ipaddress.ip_address(host).is_global for kind, host in hosts)


def _key(path: Path) -> PrivateKey:
    """The relay's own key, made if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        PrivateKey.generate().save(path)
    return PrivateKey.load(path)
