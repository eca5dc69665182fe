"""`gossip invite`: a code to type on another machine, or a ticket for machines; and a QR code of the line to type.

    node --invite(role, uses, ttl_s, code)--> {ticket, address, code, expires}        a code needs a running node:
    store --make_ticket--> Ticket                                                     without one it is a ticket

A code is two words that are good for minutes; a ticket is long, and good for days, also after a restart. What both are
good for, and how long, is said beside them. It decides nothing: who may invite, and as what, the node or
`gossip.invites` knows.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, moments, passphrase, qr, render, settings, wide
from cli import options as opt
from cli.plain import plain
from ledger.errors import GossipError

if TYPE_CHECKING:
    from rich.console import Console

CODE_FOR: Final = "10m"
TICKET_FOR: Final = "7d"
NAMED: Final = "To be called something others know, add there: --name NAME"
GAP: Final = 3  # columns between the QR code and the text beside it
BESIDE: Final = 36  # columns that text beside it needs at least


def invite(
    name: opt.Name = None,
    role: opt.Role = "trainer",
    uses: Annotated[
        int, typer.Option("--uses", metavar="N", min=1, max=1000, help="How many peers may enter with it.")
    ] = 1,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl", metavar="T",
            help=f"How long it is good, such as 10m, 2h or 30d. If left out: a code {CODE_FOR}, a ticket {TICKET_FOR}.",
        ),
    ] = None,
    ticket: Annotated[
        bool, typer.Option("--ticket", help="A signed text for machines, good also after the node here stops.")
    ] = False,
    no_qr: Annotated[bool, typer.Option("--no-qr", help="Leave the QR code out.")] = False,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    json: opt.Json = False,
) -> None:  # fmt: skip
    """Let another machine in: print what to type there."""
    place = settings.existing_directory(name, directory)
    facts = _open(place, role, uses, ttl, ticket=ticket, passphrase_file=passphrase_file)
    if json:
        render.document(facts)
        return
    facts["asked"] = uses
    if facts["code"] is None:
        _show_ticket(facts, place, asked=ticket)
    else:
        _show_code(facts, no_qr=no_qr)


def _open(
    place: Path, role: str, uses: int, ttl: str | None, *, ticket: bool, passphrase_file: Path | None
) -> dict[str, Any]:
    """The invitation, made by the node that runs, or else in the store; and the line to type."""
    span = moments.seconds(ttl) if ttl is not None else 0  # a slip is told before anything is made
    lasting = span or moments.seconds(TICKET_FOR if ticket else CODE_FOR)
    answer = control.ask(place, "invite", role=role, uses=uses, ttl_s=lasting, code=not ticket)
    facts: dict[str, Any] = {"role": role, "uses": uses, "running": answer is not None}
    if answer is not None:
        code = str(answer["code"]) if answer.get("code") else None
        made = {
            "code": code, "ticket": str(answer["ticket"]), "ttl_s": lasting, "expires": int(answer["expires"]),
            "addresses": [str(answer["address"])], "uses": int(answer.get("uses", uses)),
            "bootstrap": list(answer.get("bootstrap") or ()), "relays": list(answer.get("relays") or ()),
        }  # fmt: skip
    else:
        from gossip.identity import KeyFiles
        from gossip.invites import make_ticket

        lasting = span or moments.seconds(TICKET_FOR)
        secret = passphrase.existing(KeyFiles(place).is_locked, passphrase_file)
        new = make_ticket(place, role=role, uses=uses, ttl_s=lasting, beyond=wide.beyond(place), passphrase=secret)
        made = {
            "code": None,
            "ticket": new.text,
            "ttl_s": lasting,
            "expires": new.expires,
            "addresses": [],
            "uses": new.uses,
            "bootstrap": list(new.bootstraps()),
            "relays": list(new.relays()),
        }
    facts |= made
    return {**facts, "line": f"gossip join {plain(facts['code'] or facts['ticket'])}"}


# ------------------------------------------------------------------ for people


def _show_code(facts: dict[str, Any], *, no_qr: bool) -> None:
    near = _is_near(facts)
    (address,) = facts["addresses"]
    render.say(f"On the other machine, within {moments.lasting(facts['ttl_s'])}, type:")
    render.say()
    render.say(f"    {facts['line']}{_data(facts)} --interface IF")
    render.say()
    told = [
        f"If it finds nobody (mDNS is filtered), add: --address {plain(address)}",
        f"It lets {render.many(facts['uses'], 'peer')} in as {plain(facts['role'])}{_fewer(facts)} while the node here "
        "runs; a third wrong try ends it.",
        NAMED,
        "Both machines show the same six words when they meet: compare them.",
        *wide.told_of(facts, None, is_code=True),
    ]
    if near:
        told.insert(1, "Only this machine can reach that address: start the node with --interface IF")
    out = render.console()
    drawn, left_out = _drawn(facts, out, wanted=not no_qr and out.is_terminal)
    if left_out:
        told.append(f"No QR code: {left_out}.")
    _beside(out, drawn, told)


def _drawn(facts: dict[str, Any], out: Console, *, wanted: bool) -> tuple[list[str], str]:
    """The QR code's lines, or why there are none; nothing of both where nobody wants one."""
    if not wanted:
        return [], ""
    from cli.live import speaks_unicode

    drawn = qr.lines(f"{facts['line']} --address {facts['addresses'][0]}")
    coloured = out.color_system is not None and not out.no_color
    why = qr.obstacle(len(drawn[0]), out.width, coloured=coloured, unicode=speaks_unicode(out))
    return ([], why) if why else (drawn, "")


def _beside(out: Console, drawn: list[str], told: list[str]) -> None:
    """Text to the right of the code where there is room, else below it."""
    from rich.text import Text

    room = out.width - (len(drawn[0]) + GAP if drawn else 0)
    if not drawn or room < BESIDE:
        for line in drawn:
            out.print(Text(line, style=qr.STYLE))
        for text in told:
            render.wrapped(text)
        return
    words = [line for text in [*told, "", "This code holds the whole line, with the address: a phone can read it and "
             "pass it on."] for line in textwrap.wrap(text, room - 1, break_on_hyphens=False) or [""]]  # fmt: skip
    for number in range(max(len(drawn), len(words))):
        left = Text(drawn[number], style=qr.STYLE) if number < len(drawn) else Text(" " * len(drawn[0]))
        said = words[number] if number < len(words) else ""
        out.print(Text.assemble(left, " " * GAP if said else "", said), soft_wrap=True)


def _show_ticket(facts: dict[str, Any], place: Path, *, asked: bool) -> None:
    if not asked:
        render.wrapped("No node runs here, so this is a ticket: a code of two words works only while one does.")
    render.say("On the other machine, type:")
    render.say()
    render.say(f"    {facts['line']}{_data(facts)} --interface IF")
    render.say()
    render.wrapped(
        f"It lets {render.many(facts['uses'], 'peer')} in as {plain(facts['role'])}{_fewer(facts)}, until "
        f"{render.moment(facts['expires'])} ({moments.lasting(facts['ttl_s'])}). Whoever holds it may enter: pass it "
        "on privately."
    )
    render.wrapped(NAMED)
    for line in wide.told_of(facts, _beyond(facts, place), is_code=False):
        render.wrapped(line)
    if not facts["running"]:
        render.say(f"Start the node here before the other machine joins: gossip run {settings.how(place)}")
        if not facts["bootstrap"] and not facts["relays"]:
            render.wrapped(
                "The ticket carries no address, so both must be on one network, or add --address HOST:PORT there."
            )
        return
    (address,) = facts["addresses"]
    reach = ": only this machine can reach it; start the node with --interface IF" if _is_near(facts) else ""
    render.wrapped(f"This peer answers at {plain(address)}{reach}.")


def _beyond(facts: dict[str, Any], place: Path) -> dict[str, Any] | None:
    """How the node here stands with its relays now; None if it does not say, or there is none to stand with."""
    if not facts["running"] or not (facts["bootstrap"] or facts["relays"]):
        return None
    try:
        status = control.ask(place, "status")
    except GossipError:  # the ticket is made: what is doubtful about it may stay unsaid
        return None
    return (status or {}).get("wide")


def _data(facts: dict[str, Any]) -> str:
    """Only who trains needs some."""
    return " --data FILE" if facts["role"] == "trainer" else ""


def _fewer(facts: dict[str, Any]) -> str:
    """That somebody who is no admin may not let in as many as were asked for."""
    return f" (not {facts['asked']}: this peer may let in no more)" if facts["uses"] < facts["asked"] else ""


def _is_near(facts: dict[str, Any]) -> bool:
    return all(str(address).startswith("127.") for address in facts["addresses"])
