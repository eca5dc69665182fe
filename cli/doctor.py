"""`gossip doctor`: why two machines do not meet, hop by hop.

    ok      channel     aiortc: DTLS to itself open after 54 ms
    fails   reach       192.168.1.9:4100: that machine is there, and nobody listens on its port 4100
                        do: start the peer there, and name the address that gossip status shows on it; ...

A translator: what was typed, and what a peer's directory remembers, become what to look at (gossip/doctor); what was
found becomes lines or JSON, the same facts in both. It decides nothing about any hop.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, passphrase, remembered, render, settings
from cli import options as opt
from cli import wide as words
from cli.plain import plain, visible
from ledger.errors import LinkError, LocalError

if TYPE_CHECKING:
    from gossip.doctor.examine import Beyond, Peer
    from gossip.doctor.finding import Finding, Report
    from gossip.doctor.way import Member

CLAIMS: Final = 2_000  # of the newest entries, whose times are looked at
INDENT: Final = 20
RUNS: Final = "this peer's own node runs: after gossip stop a link is tried as this peer"
PATIENCE_S: Final = 8.0
LISTEN_S: Final = 2.0


def doctor(
    name: opt.Name = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            "--interface",
            metavar="IF",
            help="Interface to look at, such as wlan0; again for more. At first: the peer's, or lo.",
        ),
    ] = None,
    peer: Annotated[
        str | None, typer.Option("--peer", metavar="HOST:PORT", help="Another machine: look at the whole way there.")
    ] = None,
    answer: Annotated[
        bool, typer.Option("--answer", help="Be the other end of --peer, until Ctrl-C: anybody may knock.")
    ] = False,
    port: opt.Port = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Look at the way to other networks, too: bootstraps, relays, ICE servers.")
    ] = False,
    bootstrap: opt.Bootstrap = None,
    relay: opt.Relay = None,
    ice: opt.Ice = None,
    turn_password: opt.TurnPassword = None,
    patience: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", min=0.1, max=120, help="To wait for a hop that is silent.")
    ] = PATIENCE_S,
    listen: Annotated[
        float,
        typer.Option("--listen", metavar="SECONDS", min=0, max=120, help="How long to listen for other machines."),
    ] = LISTEN_S,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    json: opt.Json = False,
) -> None:
    """Say what keeps this machine and another apart, and what to do."""
    place = _place(name, directory)
    before = remembered.last_run(place) if place is not None else remembered.Remembered()
    interfaces = tuple(dict.fromkeys(interface or [before.interface or remembered.LOOPBACK]))
    from gossip.doctor.examine import Patience, Wanted, examine
    from gossip.doctor.examine import answer as answer_others

    target = _target(peer)
    wanted = Wanted(
        folder=place if place is not None else settings.settings().home,
        interfaces=interfaces,
        port=before.port if port is None else port,
        target=target,
        beyond=_beyond(words.bootstraps(bootstrap), words.relays(relay), words.ice(ice, turn_password), before),
        wide=wide or any((bootstrap, relay, ice)),
        peer=known_of(place, passphrase_file, dials=target is not None) if place is not None else None,
        patience=Patience(patience),
        listen_s=listen,
    )
    if answer:
        _check_answer(peer)
        try:
            answer_others(wanted, lambda kind, facts: waiting(kind, facts, interfaces[0], json=json))
        except KeyboardInterrupt:
            return
    report = examine(wanted, (lambda finding: None) if json else show)
    if json:
        render.document(report.as_json())
    else:
        summary(report)
    raise typer.Exit(exits.OK if report.is_well else exits.FINDINGS)


def _place(name: str | None, directory: Path | None) -> Path | None:
    """The peer that is meant; none, where there is none or nobody says which: the machine is looked at alone."""
    if name is None and directory is None and len(settings.swarms(settings.settings().home)) != 1:
        return None
    return settings.existing_directory(name, directory)


def _target(peer: str | None) -> tuple[str, int] | None:
    if peer is None:
        return None
    from gossip.transport.tickets import split_address

    host, port = split_address(peer)
    if not port:
        raise LocalError(f"{peer!r} names no port", next_step="gossip status on the other machine shows its address")
    return host, port


def _beyond(
    bootstrap: list[str] | None, relay: list[str] | None, ice: list[str] | None, before: remembered.Remembered
) -> Beyond:  # fmt: skip
    """What was typed, else what the peer was last told. LocalError: one of it cannot be."""
    from gossip.doctor.examine import Beyond
    from gossip.transport.ice import ice_servers

    return Beyond(
        tuple(before.bootstrap if bootstrap is None else bootstrap),
        tuple(before.relay if relay is None else relay),
        ice_servers(before.ice if ice is None else ice),
    )


def _check_answer(peer: str | None) -> None:
    if peer is not None:
        raise LocalError("--answer and --peer are two ends", next_step="use one here and the other there")


def known_of(place: Path, passphrase_file: Path | None, *, dials: bool) -> Peer:
    """What the directory tells. Its keys are read only to dial somebody, and only while no node uses them."""
    from collections import deque

    from gossip.directory import store_path
    from gossip.doctor.examine import Peer
    from ledger.canonical import decode_entry
    from ledger.store import Store

    try:
        status = remembered.status_of(place)
    except LinkError as error:  # it hangs: what it would have said is missing, and nothing else
        status = None
        if dials:
            render.complain(error)
    newest: deque[tuple[str, bytes]] = deque(maxlen=CLAIMS)
    with Store.open_readonly(store_path(place)) as store:
        swarm, own = store.meta("swarm").decode(), store.meta("self").decode()
        newest.extend((log, data) for log, _, data in store.history())
        member, locked = _member(place, swarm, passphrase_file) if dials and status is None else (None, RUNS)
    claims = [(log, decode_entry(data).time) for log, data in newest]
    names = {str(row.get("peer")): str(row.get("name")) for row in (status or {}).get("links", ())}
    return Peer(swarm=swarm, own=own, status=status, claims=claims, names=names, member=member, locked=locked)


def _member(place: Path, swarm: str, file: Path | None) -> tuple[Member | None, str]:
    from gossip.directory import current_key_path
    from gossip.doctor.way import Member
    from gossip.identity import KeyFiles
    from ledger.keys import PrivateKey

    try:
        if KeyFiles(place).is_locked and file is None:
            return None, "this peer's keys are locked; --passphrase-file lets a link be tried as this peer"
        secret = passphrase.existing(KeyFiles(place).is_locked, file)
        return Member(swarm, PrivateKey.load(current_key_path(place), secret)), ""
    except LocalError as error:
        return None, str(error)


# ------------------------------------------------------------------ what is seen


def lines(finding: Finding, width: int = 100) -> Iterator[str]:
    """One hop for people. Texts may hold what another machine said."""
    where = f"{visible(finding.where, 130)}: " if finding.where else ""
    yield from textwrap.wrap(
        where + visible(finding.text), width, initial_indent=f"{finding.state:<7} {finding.hop:<12}",
        subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    if finding.next_step:
        yield from textwrap.wrap(
            f"do: {visible(finding.next_step)}", width, initial_indent=" " * INDENT,
            subsequent_indent=" " * (INDENT + 4), break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


def show(finding: Finding) -> None:
    for line in lines(finding):
        render.say(line)


def summary(report: Report) -> None:
    """The last line: where to begin."""
    failed, odd = report.having("fails"), report.having("warns")
    if failed:
        first = failed[0]
        at = f" ({visible(first.where, 60)})" if first.where else ""
        more = f", and {render.many(len(failed) - 1, 'other hop')} behind it" if len(failed) > 1 else ""
        render.say(f"Begin with: {first.hop}{at}{more}")
    elif odd:
        render.say(f"Nothing fails; look at: {', '.join(dict.fromkeys(finding.hop for finding in odd))}")
    else:
        render.say("All is well.")


def waiting(kind: str, facts: dict[str, Any], interface: str, *, json: bool) -> None:
    """What a doctor that answers has to say."""
    if json:
        render.event({"event": kind, **facts})
    elif kind == "waiting":
        render.say(f"answering at {facts['address']}, and announced by mDNS on {plain(interface)}; Ctrl-C ends it")
        render.say(f"Next    on the other machine: gossip doctor --interface IF --peer {facts['address']}")
    elif kind == "visited":
        ahead = float(facts["ahead_s"])
        way = "ahead of" if ahead > 0 else "behind"
        render.say(f"a doctor came by TCP and UDP; its clock is {abs(ahead):.1f} s {way} ours")
    else:
        render.say(visible(facts.get("text", "")))
