"""`gossip join`: entering a swarm, by a code, a ticket, a card or the name of an open swarm; all end in a ticket.

    7-crossover-clockwork     asked for of whoever has that number open (mDNS on --interface, or --address)
    gossip2-...               a ticket as it is; without a secret it is a card, good for a key that was named (--key)
    --open NAME               the card of an open swarm near here, of which anybody may have one

What can fail on this machine (files, rows, keys) is looked at first: a slip must not cost an invitation. It decides
nothing; who may enter the other side knows.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options as opt
from cli import passphrase, remembered, render, settings, wide
from cli.moments import end
from cli.swarm import check_record, refuse_second_node, secret_of, start
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.transport.code import Code
    from gossip.transport.tickets import Ticket
    from ledger.keys import PrivateKey
    from ledger.private_files import Passphrase


def join(
    invitation: Annotated[
        str | None,
        typer.Argument(
            metavar="INVITE", help="The code or ticket that gossip invite printed; - reads it from standard input."
        ),
    ] = None,
    open_name: Annotated[
        str | None, typer.Option("--open", metavar="NAME", help="Enter the open swarm of that name, without INVITE.")
    ] = None,
    data: opt.Data = None,
    licence: opt.Licence = None,
    lists: opt.Lists = None,
    validation: opt.Validation = None,
    interface: opt.Interface = None,
    port: opt.Port = None,
    address: opt.Address = None,
    bootstrap: opt.Bootstrap = None,
    relay: opt.Relay = None,
    ice: opt.Ice = None,
    turn_password: opt.TurnPassword = None,
    wide_port: opt.WidePort = None,
    duty: opt.Duty = None,
    cores: opt.Cores = None,
    pause_on_battery: opt.PauseOnBattery = None,
    prune: opt.Prune = None,
    every: opt.Every = None,
    epsilon: opt.Epsilon = None,
    unlabelled: opt.Unlabelled = None,
    allowlist: opt.Allowlist = None,
    limits: opt.LimitsFile = None,
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
    record: opt.Record = None,
) -> None:
    """Enter a swarm with an invitation, and run."""
    asked = _read(invitation, open_name)
    wanted = remembered.Wishes(
        data=data, licence=licence, lists=lists, validation=validation, interface=interface, port=port,
        address=address, duty=duty, cores=cores, pause_on_battery=pause_on_battery, every=every, epsilon=epsilon,
        unlabelled=unlabelled, prune=prune,
        allowlist=allowlist, limits=limits, bootstrap=wide.bootstraps(bootstrap), relay=wide.relays(relay),
        ice=wide.ice(ice, turn_password), wide_port=wide_port,
    )  # fmt: skip
    check_record(record)
    remembered.check(wanted)
    remembered.read_through(wanted)
    if key is not None and not key.is_file():
        raise LocalError(f"no file {key}", next_step="make one with: gossip key new --out FILE")
    if directory is not None and settings.holds_peer(directory):  # before an invitation is spent on what is refused
        _may_enter_again(directory, peer_name, asked)
    ticket = _ticket(asked, wanted, directory, quiet=json)
    if not json and ticket.role != "trainer" and wanted.data:
        article = "an" if ticket.role[0] in "aeiou" else "a"
        render.say(f"As {article} {ticket.role} this peer does not train: the files of --data are not used")
    place = settings.wanted_directory(f"swarm-{ticket.swarm[:8]}", directory)
    if settings.holds_peer(place):
        refuse_second_node(place)
        if _enter_again(place, ticket, peer_name) and not json:
            render.say("This peer is a member already: the invite tells it where the others meet now")
        if key is not None or lock:
            raise LocalError(f"{place} has its keys already", next_step="leave --key and --passphrase out")
        secret = secret_of(place, passphrase_file)
    else:
        from gossip.setup import enrol

        if ticket.is_card and key is None and open_name is None:
            raise LocalError(
                "this card opens the door only to a key that was named beforehand",
                next_step="add --key FILE, which gossip key new wrote; for an open swarm: gossip join --open NAME",
            )
        secret, own_key = _secret_and_key(key, lock, passphrase_file)
        enrol(place, ticket, peer_name or remembered.new_name(), key=own_key, passphrase=secret)
    start(
        place, wanted, secret, plain_view=plain_view, json=json, until_stdin_closes=until_stdin_closes, ticket=ticket,
        record=record,
    )  # fmt: skip


def _read(invitation: str | None, open_name: str | None) -> Ticket | Code | OpenName:
    """What was typed: a ticket, a code, or the name of an open swarm. LocalError says what is wrong with it."""
    from gossip.transport.code import Code, looks_like_code
    from gossip.transport.tickets import MAX_TEXT_CHARS, Ticket

    if (invitation is None) == (open_name is None):
        raise LocalError(
            "what shall be joined?" if invitation is None else "an invite and --open name two ways to enter",
            next_step="name one: gossip join INVITE, or gossip join --open NAME",
        )
    if open_name is not None:
        return OpenName(open_name)
    assert invitation is not None
    if invitation == "-":  # arguments can be read by everybody on this machine, for as long as the command runs
        invitation = sys.stdin.readline(MAX_TEXT_CHARS + 2)
    return Code.parse(invitation) if looks_like_code(invitation) else Ticket.parse(invitation, time.time())


class OpenName(str):
    """The name of an open swarm."""

    __slots__ = ()


def _ticket(
    asked: Ticket | Code | OpenName, wanted: remembered.Wishes, directory: Path | None, *, quiet: bool
) -> Ticket:
    """The ticket in the end. LocalError and LinkError say what was tried."""
    from gossip.transport.code import Code
    from gossip.transport.tickets import Ticket, split_address

    if isinstance(asked, Ticket):
        return asked
    from gossip.node.entering import card_of_open, ticket_for_code

    known = remembered.last_run(directory) if directory is not None and settings.holds_peer(directory) else None
    interface = wanted.interface or (known.interface if known else "") or remembered.LOOPBACK
    places = [split_address(text) for text in wanted.address or ()]
    if not quiet:
        where = ", ".join(f"{host}:{port}" for host, port in places)
        where = f"at {where}" if where else f"on interface {interface}, for some seconds"
        whom = "who has that code open" if isinstance(asked, Code) else "who has that swarm open"
        render.say(f"Looking for {whom}, {where}")
        if not isinstance(asked, Code):
            render.say("Nothing but the name says who answers: by entering you trust whoever does.")
    if isinstance(asked, Code):
        return ticket_for_code(asked, interface=interface, places=places)
    return card_of_open(asked, interface=interface, places=places)


def _enter_again(place: Path, ticket: Ticket, peer_name: str) -> bool:
    """Give a new invitation to a peer that was never let in, or to a member that knows no more where the others meet;
    whether it is one. LocalError if it is another swarm's, or needs none."""
    from gossip.directory import store_path
    from ledger.store import PutMeta, Store

    is_member = _may_enter_again(place, peer_name, ticket)
    with Store(store_path(place)) as store:
        swarm, founder = (store.meta(key).decode() for key in ("swarm", "founder"))
        if (swarm, founder) != (ticket.swarm, ticket.founder):
            raise LocalError(
                f"{place} already holds a peer", why="of another swarm", next_step="name another folder with --dir"
            )
        store.commit([PutMeta("ticket", ticket.text.encode())])
    return is_member


def _may_enter_again(place: Path, peer_name: str, asked: Ticket | Code | OpenName) -> bool:
    """Whether the peer there was let in before: then an invitation may still say where members meet beyond the
    network. LocalError if this one does not, or the peer is out, or has another name."""
    from gossip.directory import store_path
    from gossip.transport.tickets import Ticket
    from ledger.canonical import decode_entry
    from ledger.entry import Member
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        founder, own, name = (store.meta(key).decode() for key in ("founder", "self", "name"))
        about = (decode_entry(data) for _, _, data in store.history() if own.encode() in data)
        is_member = own == founder or any(isinstance(entry, Member) and entry.peer == own for entry in about)
        if is_member and not (isinstance(asked, Ticket) and asked.rendezvous and _is_in_force(place)):
            raise _is_one(place)
        if peer_name not in ("", name):
            raise LocalError(
                f"this peer is called {name!r}", why="it has signed that name", next_step="leave --name out"
            )
    return is_member


def _is_in_force(place: Path) -> bool:
    from cli.roster import of_peer

    own = of_peer(place).own_row()
    return own is not None and own.state not in ("revoked", "expired")


def _is_one(place: Path) -> LocalError:
    """What to tell a peer that has been let in before."""
    from cli.roster import of_peer

    try:
        own = of_peer(place).own_row()
    except LocalError:  # (what is wrong with the store, `gossip run` says)
        own = None
    if own is not None and own.state == "revoked":
        return LocalError(
            "this peer was put out", why="the swarm's admins have revoked it, for ever",
            next_step="to enter as a new peer, name another folder with --dir",
        )  # fmt: skip
    if own is not None and own.state == "expired":
        return LocalError(
            "this peer's membership is over", why=f"since {end(own.expires)}",
            next_step="an admin can renew it: gossip members renew",
        )  # fmt: skip
    return LocalError(
        "this peer is a member already", why=f"it lies in {place}",
        next_step=f"go on with: gossip run {settings.how(place)}",
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
