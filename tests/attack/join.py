"""A hostile member for a swarm of your own: real links, a real store, and one attack of the kit.

    gossip invite                                              an invite of the swarm that is to be tried
    python -m tests.attack.join INVITE --attack sign-flip      in another terminal, until Ctrl-C

It says what it publishes and what others say of that. Let it into swarms that may be harmed, and take it out again
(`gossip members revoke`). Label flips are a matter of data: give a file whose labels are turned around.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from gossip.events import Note
from gossip.node import NodeConfig
from gossip.setup import enrol
from gossip.transport.tickets import Ticket
from ledger.errors import GossipError, LocalError
from tests.attack.hostile import PROGRAMS
from tests.attack.node import HostileNode

ATTACKS: Final = {name.lower().replace(" ", "-"): program for name, program in PROGRAMS.items()}
TRAINED: Final = ("label-flip", "scaling")  # they change what was learned from data of one's own


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack.join", description="A hostile member.")
    parser.add_argument("invite", help="gossip2-..., as `gossip invite` prints it")
    parser.add_argument("--attack", required=True, choices=tuple(ATTACKS))
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so long; else at Ctrl-C")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds from round to round (1)")
    parser.add_argument("--data", type=Path, nargs="+", default=[], metavar="FILE", help="rows to train on, if any")
    parser.add_argument("--interface", default="lo", help="name or address of where the swarm is (lo)")
    parser.add_argument("--name", default="mallory")
    given = parser.parse_args()
    try:
        with TemporaryDirectory(prefix="gossip-attack-") as folder:
            return asyncio.run(attack(given, Path(folder) / "peer"))
    except GossipError as error:
        print(error, file=sys.stderr)
        return 1


async def attack(given: argparse.Namespace, directory: Path) -> int:
    """Join, and do harm until time is up."""
    if given.attack in TRAINED and not given.data:
        raise LocalError(f"{given.attack} needs rows to train on", next_step="name a file with --data")
    ticket = Ticket.parse(given.invite)
    enrol(directory, ticket, given.name)
    config = NodeConfig(
        directory=directory, data=tuple(given.data), interface=given.interface, min_round_s=given.every, ticket=ticket
    )
    node = HostileNode(config, ATTACKS[given.attack], show)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, node.request_stop)
    if given.seconds is not None:
        loop.call_later(given.seconds, node.request_stop)
    await node.run()
    return 0


def show(note: Note) -> None:
    fields: dict[str, Any] = note.fields
    match note.kind:
        case "published":
            print(
                f"published entry {fields['seq']}, {fields['bytes']} bytes, weight {fields['weight']:.3f}", flush=True
            )
        case "ready" | "knocked" | "verdict" | "condemned" | "revoked" | "trouble":
            print(f"{note.kind} {fields.get('text', '')}".rstrip(), flush=True)
        case _:
            pass


if __name__ == "__main__":
    sys.exit(main())
