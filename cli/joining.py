"""Letting somebody in, and entering: invite and join.

Each command is a translator: words become a value, the value goes to `gossip.setup` or `gossip.node`,
and what comes back is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import control, passphrase, remembered, render, settings
from cli import options as opt
from cli.plain import plain
from cli.swarm import refuse_second_node, secret_of, start
from ledger.errors import LocalError

if TYPE_CHECKING:
    from ledger.keys import PrivateKey
    from ledger.private_files import Passphrase


def join(
    invitation: Annotated[
        str, typer.Argument(metavar="INVITE", help="What gossip invite printed; - reads it from standard input.")
    ],
    data: opt.Data = None,
    licence: opt.Licence = None,
    lists: opt.Lists = None,
    validation: opt.Validation = None,
    interface: opt.Interface = None,
    port: opt.Port = None,
    address: opt.Address = None,
    duty: opt.Duty = None,
    every: opt.Every = None,
    epsilon: opt.Epsilon = None,
    directory: opt.Dir = None,
    peer_name: opt.PeerName = "",
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Use the key that gossip key new wrote.")
    ] = None,
    lock: passphrase.Ask = False,
    passphrase_file: passphrase.File = None,
    plain_view: opt.Plain = False,
    json: opt.Stream = False,
    until_stdin_closes: opt.UntilStdin = False,
) -> None:
    """Enter a swarm with an invitation, and run."""
    from gossip.transport.tickets import MAX_TEXT_CHARS, Ticket

    if invitation == "-":  # arguments can be read by everybody on this machine, for as long as the command runs
        invitation = sys.stdin.readline(MAX_TEXT_CHARS + 2)
    ticket = Ticket.parse(invitation)
    wanted = remembered.Wishes(
        data=data, licence=licence, lists=lists, validation=validation, interface=interface, port=port,
        address=address, duty=duty, every=every, epsilon=epsilon,
    )  # fmt: skip
    remembered.check(wanted)
    remembered.read_through(wanted)
    place = settings.wanted_directory(f"swarm-{ticket.swarm[:8]}", directory)
    if settings.holds_peer(place):
        refuse_second_node(place)
        remembered.invite_again(place, ticket, peer_name)
        if key is not None or lock:
            raise LocalError(f"{place} has its keys already", next_step="leave --key and --passphrase out")
        secret = secret_of(place, passphrase_file)
    else:
        from gossip.setup import enrol

        secret, own_key = _secret_and_key(key, lock, passphrase_file)
        enrol(place, ticket, peer_name or remembered.new_name(), key=own_key, passphrase=secret)
    start(
        place, wanted, secret, plain_view=plain_view, json=json, until_stdin_closes=until_stdin_closes, ticket=ticket
    )  # fmt: skip


def _secret_and_key(key: Path | None, lock: bool, file: Path | None) -> tuple[Passphrase | None, PrivateKey | None]:
    """What a new peer's keys are locked with, and the key made beforehand: if that is locked, with its passphrase."""
    from ledger.keys import PrivateKey
    from ledger.private_files import is_locked, read_private

    if key is None:
        return passphrase.fresh(lock, file), None
    if is_locked(read_private(key)):
        secret = passphrase.required(file, str(key))
        return secret, PrivateKey.load(key, secret)
    return passphrase.fresh(lock, file), PrivateKey.load(key)


def invite(
    name: opt.Name = None,
    uses: Annotated[
        int, typer.Option("--uses", metavar="N", min=1, max=1000, help="How many peers may enter with it.")
    ] = 1,
    directory: opt.Dir = None,
    json: opt.Json = False,
) -> None:
    """Print what to type on the other machine."""
    place = settings.existing_directory(name, directory)
    answer = control.ask(place, "invite", uses=uses)
    if answer is not None:
        text, addresses = str(answer["ticket"]), [str(answer["address"])]
    else:
        from gossip.setup import make_ticket

        ticket = make_ticket(place, uses=uses)
        text, addresses = ticket.text, []
    if json:
        render.document({"ticket": text, "uses": uses, "addresses": addresses, "running": answer is not None})
        return
    render.say("On the other machine, type:")
    render.say()
    render.say(f"    gossip join {text} --data FILE --interface IF")
    render.say()
    render.say(f"It lets {render.many(uses, 'peer')} in, to train. Whoever holds it may enter: pass it on privately.")
    if answer is None:
        render.say("No node runs here now. Start it with gossip run before the other machine joins;")
        render.say("the invitation carries no address, so both must be on one network.")
    elif addresses and all(address.startswith("127.") for address in addresses):
        render.say(
            f"This peer answers at {', '.join(plain(a) for a in addresses)}: only this machine can reach it; "
            "start the node with --interface IF"
        )
    elif addresses:
        render.say(f"This peer answers at {', '.join(plain(a) for a in addresses)}.")
