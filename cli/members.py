"""`gossip members`: who takes part; letting a key in, putting somebody out, and giving more time.

    list     bundle, directory or name --> cli/roster.py
    allow    a key may enter from now on     node, or store            (moves no member; an entry follows when it comes)
    open     anybody may who knows the swarm's name, or no longer
    revoke   a `revoke` entry of this admin  node, or the machine here (cannot be taken back)
    renew    a `member` entry that adds time, or a better role

Who may do what, and what follows, the ledger's rules say; this asks them first, so that nobody confirms what is refused
afterwards.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import control, moments, passphrase, render, settings, wide
from cli import options as opt
from cli.asking import confirm
from cli.group import Gossip
from cli.plain import plain
from gossip import ids
from ledger.errors import LocalError

if TYPE_CHECKING:
    from cli.roster import Roster
    from ledger.private_files import Passphrase
    from ledger.roster import Row

app = typer.Typer(cls=Gossip, help="Who takes part: list, let in, put out.")

Source = Annotated[str | None, typer.Argument(metavar="SOURCE", help="A bundle, a peer's directory or a swarm's name.")]
Who = Annotated[
    str,
    typer.Argument(metavar="PEER", help="Its id or key, its four words or its name, as gossip members list has them."),
]
Role = opt.Role
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Until that day begins (UTC), such as 2027-01-31.")
]
Ttl = Annotated[str | None, typer.Option("--ttl", metavar="T", help="For so long from now on, such as 2h or 30d.")]
Offline = Annotated[bool, typer.Option("--offline", help="With no node running: do not ask the others first.")]


@app.command("list")
def list_members(source: Source = None, directory: opt.Dir = None, json: opt.Json = False) -> None:
    """List everybody: role, end, who let them in, and what became of it."""
    from cli import damaged, roster

    if source is not None and directory is not None:
        settings.existing_directory(source, directory)  # says that they name two
    read = str(directory) if directory is not None else source
    with damaged.reading(read, json=json):
        found = roster.read(read)
    if json:
        render.document({**roster.facts(found), "findings": damaged.listed(found.findings)})
    else:
        damaged.warn(found.findings)
        roster.show(found)
    raise typer.Exit(damaged.code(found.findings))


@app.command()
def allow(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The public key that gossip key new printed there.")],
    name: opt.Name = None,
    role: Role = "trainer",
    until: Until = None,
    ttl: Ttl = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take it back: the key may not enter any more.")] = False,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    json: opt.Json = False,
) -> None:
    """Let the holder of a key in, without a code or ticket, whenever it comes."""
    place = settings.existing_directory(name, directory)
    digits = ids.read(key, "key")
    if remove:
        _disallow(place, digits, json)
        return
    expires = _expires(until, ttl)
    _is_no_id(place, digits)
    answer = control.ask(place, "allow", key=digits, role=role, expires=expires)
    if answer is not None:
        card, addresses = str(answer["card"]), [str(answer["address"])]
    else:
        from gossip import invites

        secret = _secret(place, passphrase_file)
        card, addresses = invites.make_card(place, role=role, beyond=wide.beyond(place), passphrase=secret).text, []
        invites.allow(place, digits, role, expires)
    facts = {
        "key": digits, "role": role, "expires": expires, "card": card, "addresses": addresses,
        "running": answer is not None, "line": f"gossip join {card} --key FILE",
    }  # fmt: skip
    if json:
        render.document(facts)
        return
    ends = f", a member until {moments.end(expires)}" if expires else ""
    render.say(f"may enter  {ids.checked(digits, 'key')}")
    render.say(f"           as {plain(role)}{ends}")
    render.say("On the machine that holds the key, type (FILE is what gossip key new wrote; the card is no secret):")
    render.say()
    render.say(f"    {facts['line']}{' --data FILE' if role == 'trainer' else ''} --interface IF")
    render.say()
    if answer is None:
        render.say(f"Start the node here before it comes: gossip run {settings.how(place)}")


def _is_no_id(place: Path, digits: str) -> None:
    """LocalError if these are the id of somebody here: without check digits an id looks like a key."""
    from gossip.directory import store_path
    from gossip.invites import is_an_id
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        if digits in store.logs():
            raise is_an_id(digits)


def _disallow(place: Path, key: str, json: bool) -> None:
    answer = control.ask(place, "allow", key=key, remove=True)
    if answer is None:
        from gossip import invites

        removed = invites.disallow(place, key)
    else:
        removed = bool(answer["removed"])
    if json:
        render.document({"key": key, "removed": removed})
        return
    render.say(f"{'may not enter any more' if removed else 'was not named here'}  {ids.checked(key, 'key')}")
    if removed:
        render.say("Who is a member already stays one: gossip members revoke puts it out.")


@app.command("open")
def open_door(
    name: opt.Name = None,
    close: Annotated[bool, typer.Option("--close", help="Let nobody in that way any more.")] = False,
    directory: opt.Dir = None,
    json: opt.Json = False,
) -> None:
    """Let anybody near in who asks for the swarm by its name, while this peer runs; or with --close no longer."""
    place = settings.existing_directory(name, directory)
    if control.ask(place, "open", open=not close) is None:
        from gossip import invites

        invites.set_open(place, not close)
    if json:
        render.document({"open": not close, "dir": str(place)})
        return
    called = shlex.quote(plain(settings.name_of(place)))  # of a founder's choosing, and to be typed into a shell
    if close:
        render.say("Closed: nobody enters by the swarm's name any more. Who is a member stays one.")
    else:
        render.say(f"Open to anybody near who types: gossip join --open {called}")
        render.wrapped("Each is a member in full: trains, votes and counts like you, and nothing is asked of them.")
        render.say("Close it with: gossip members open --close")


@app.command()
def revoke(
    who: Who,
    name: opt.Name = None,
    since: Annotated[
        int | None,
        typer.Option(
            "--since", metavar="INDEX", min=0,
            help="Nothing of its log counts from that entry on. If left out: from the next, so all so far stays.",
        ),
    ] = None,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    offline: Offline = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: opt.Json = False,
) -> None:  # fmt: skip
    """As an admin, put a member out; done when as many admins as the threshold asks for have said so."""
    from cli import roster

    place = settings.existing_directory(name, directory)
    found = roster.of_peer(place)
    row = roster.find(found, who)
    at = row.size if since is None else since
    _may_revoke(found, row, at)
    confirm(_what_revoking_does(place, found, row, at), yes)
    answer = control.ask(place, "revoke", peer=row.peer, since=at)
    if answer is None:
        from gossip.node.alone import revoke as write

        request = {"peer": row.peer, "since": at}
        answer = write(place, _secret(place, passphrase_file), request, offline=offline)
    found = roster.of_peer(place)
    after = roster.find(found, row.peer)
    said = roster.row_facts(found, after)
    written = answer["seq"] is not None
    if json:
        render.document({**said, "written": written})
        return
    called = f"{said['name']} ({said['words']})"
    if row.wants_out and after.wants_out and found.threshold > 1:
        render.wrapped(_combined(found))
    if after.state == "revoked":
        render.say(f"revoked  {called}, from entry {after.revoked_from} on")
        render.wrapped(
            "Peers act on it as soon as they hear of it: they end their links with it and take nothing more."
        )
    elif written:
        render.say(f"said     {called} is to go, from entry {at} on")
        render.wrapped(f"{render.many(after.missing, 'admin')} more must type the same before anything happens.")
    else:
        render.wrapped("The node writes it down as soon as it has heard from another peer; see: gossip members list")


@app.command()
def renew(
    who: Who,
    name: opt.Name = None,
    role: Annotated[str, typer.Option("--role", metavar="R", help="Another role, if it is to have a better one.")] = "",
    until: Until = None,
    ttl: Ttl = None,
    forever: Annotated[bool, typer.Option("--forever", help="Without an end.")] = False,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    offline: Offline = False,
    json: opt.Json = False,
) -> None:
    """Give a member more time, or a better role. Only revoking takes it away again."""
    from cli import roster

    if forever and (until is not None or ttl is not None):
        raise LocalError("--forever and another end", next_step="keep one of them")
    if not (forever or until or ttl or role):
        raise LocalError(
            "until when?", next_step="add --until DATE, --ttl T or --forever; or --role R for another role"
        )
    place = settings.existing_directory(name, directory)
    expires = _expires(until, ttl)
    row = roster.find(roster.of_peer(place), who)
    if not (forever or expires):
        expires = row.expires
    if row.state in ("waiting", "revoked"):
        raise LocalError(
            f"{plain(who, 40)!r} is no member" + (" any more" if row.state == "revoked" else " yet"),
            why="its admins have put it out for ever" if row.state == "revoked" else "nobody has let it in",
            next_step="let another key in: gossip members allow KEY" if row.state == "revoked" else "gossip invite",
        )
    wanted = role or row.role
    _may_renew(row, wanted, expires)
    answer = control.ask(place, "renew", peer=row.peer, role=wanted, expires=expires)
    if answer is None:
        from gossip.node.alone import renew as write

        request = {"peer": row.peer, "role": wanted, "expires": expires}
        answer = write(place, _secret(place, passphrase_file), request, offline=offline)
    found = roster.of_peer(place)
    said = roster.row_facts(found, roster.find(found, row.peer))
    if json:
        render.document({**said, "written": answer["seq"] is not None})
        return
    ends = f"until {moments.end(said['expires'])}" if said["expires"] else "for ever"
    if answer["seq"] is None:
        render.wrapped("The node writes it down as soon as it has heard from another peer; see: gossip members list")
        return
    render.say(f"renewed  {said['name']} ({said['words']}): {said['role']} {ends}")


# ------------------------------------------------------------------ asked beforehand


def _expires(until: str | None, ttl: str | None) -> int:
    """Unix time; 0: never. LocalError if both are named, or one is no time."""
    if until is not None and ttl is not None:
        raise LocalError("--until and --ttl name two ends", next_step="keep one of them")
    now = time.time()
    if until is not None:
        return moments.start_of(until, now)
    return int(now) + moments.seconds(ttl) if ttl is not None else 0


def _may_renew(row: Row, role: str, expires: int) -> None:
    """LocalError if what somebody has is as good in every way: the best role and the latest end of all that admins said
    count, and nothing but revoking takes any of it away."""
    from ledger.membership import RANK, Membership

    has = Membership(row.role, row.expires)
    if role not in RANK or row.house or Membership(role, expires).join(has) != has:
        return
    if role != row.role:
        raise LocalError(
            f"it is {row.role} already, which is more than {role}", why="the best role that admins gave counts",
            next_step="to take it away: gossip members revoke; then it can come back with a new key, as what you like",
        )  # fmt: skip
    until = f"until {moments.end(row.expires)}" if row.expires else "for ever"
    raise LocalError(
        f"it is {row.role} {until} already", why="the latest end that admins named counts",
        next_step="name a later one, or another role; only gossip members revoke takes time away",
    )  # fmt: skip


def _may_revoke(found: Roster, row: Row, since: int) -> None:
    """LocalError if the rules would refuse it, or it would change nothing."""
    own = found.own_row()
    if own is None or own.role != "admin" or own.state != "member":
        admins = [found.name(one.peer) for one in found.rows if one.role == "admin" and one.state == "member"]
        raise LocalError(
            "this peer is no admin of the swarm", why=f"members are put out by {', '.join(admins)}",
            next_step="ask one of them",
        )  # fmt: skip
    if row.peer == own.peer:
        raise LocalError("that is this very peer", next_step="to go, type: gossip leave")
    if row.state == "waiting":
        raise LocalError(
            "it was never let in", why="so nobody takes anything from it", next_step="nothing has to be done"
        )
    before = next((one.since for one in row.wants_out if one.by == own.peer), None)
    if before is not None and before <= since:
        more = f"{render.many(row.missing, 'admin')} more must say so" if row.missing else "and it is out"
        raise LocalError(f"this peer has said that already, from entry {before} on", why=more)


def _what_revoking_does(place: Path, found: Roster, row: Row, since: int) -> str:
    """What goes on after "this": for the question before."""
    from gossip.directory import store_path
    from ledger.keys import words
    from ledger.store import Store

    with Store.open_readonly(store_path(place)) as store:
        gone = sum(b'"kind":"update"' in data for data in store.entries(row.peer, since))  # canonical JSON
    taken = f"takes {render.many(gone, 'update')} of it out of the model" if gone else "what it did so far stays"
    own = found.own_row()
    said = {one.key for one in row.wants_out} | ({own.enrol_key} if own else set())
    missing = found.threshold - len(said)
    combined = f"; {_combined(found)}" if found.threshold > 1 else ""
    waits = f"; {render.many(missing, 'admin')} more must say so before it happens" if missing > 0 else ""
    return (
        f"puts {found.name(row.peer)} ({words(row.peer)}) out for ever: nothing of its log counts from entry {since} "
        f"on, {taken}{waits}{combined}"
    )


def _combined(found: Roster) -> str:
    """How the numbers of several admins become one."""
    return f"of the numbers that admins name, the {_ordinal(found.threshold)} lowest counts"


def _ordinal(number: int) -> str:
    last = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{last}"


def _secret(place: Path, file: Path | None) -> Passphrase | None:
    from gossip.identity import KeyFiles

    return passphrase.existing(KeyFiles(place).is_locked, file)
