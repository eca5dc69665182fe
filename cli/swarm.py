"""Founding, running and leaving a swarm: new, run, status, stop, leave. (Letting in and entering: cli/joining.py.)

Each command is a translator: words become a value, the value goes to `gossip.setup` or `gossip.node`,
and what comes back is printed. Where a node runs on the directory, commands go to it through its control
socket; otherwise they act on the store, and say so.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import control, labelling, lending, passphrase, remembered, render, settings, wide
from cli import options as opt
from cli.plain import plain
from cli.pruning import kept_line
from ledger.errors import LinkError, LocalError

if TYPE_CHECKING:
    from ledger.private_files import Passphrase

STOP_WITHIN_S: Final = 20.0


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the swarm is called.")],
    directory: opt.Dir = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="filterlist (the default) or table.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="A model declared in JSON, instead of the task's own."),
    ] = None,
    peer_name: opt.PeerName = "",
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="K", min=0, help="Seed of the starting weights. Drawn if left out.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            metavar="KEY",
            help="Who makes snapshots final, by majority, beside the founder; again for more.",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="Rules for contributions, instead of gossip policy default."),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            "--admin", metavar="KEY", help="Who decides on policy and members, beside the founder; again for more."
        ),
    ] = None,
    threshold: Annotated[
        int,
        typer.Option(
            "--threshold",
            metavar="N",
            min=1,
            help="How many admins it takes to change the policy, or to put a peer out.",
        ),
    ] = 1,
    guests: Annotated[
        int,
        typer.Option(
            "--guests",
            metavar="N",
            min=0,
            max=4096,
            help="How many peers each trainer may let in; with it they weigh as much as one member.",
        ),
    ] = 0,
    open_to_all: Annotated[
        bool, typer.Option("--open", help="Let anybody in who asks for the swarm by name, while this peer runs.")
    ] = False,
    bootstrap: opt.Bootstrap = None,
    relay: opt.Relay = None,
    ice: opt.Ice = None,
    turn_password: opt.TurnPassword = None,
    wide_port: opt.WidePort = None,
    lock: passphrase.Ask = False,
    passphrase_file: passphrase.File = None,
    json: opt.Json = False,
) -> None:
    """Found a swarm: its model, starting weights and rules, in one entry."""
    settings.check_name(name)
    place = settings.new_directory(name, directory)
    beyond = remembered.Wishes(
        bootstrap=wide.bootstraps(bootstrap), relay=wide.relays(relay), ice=wide.ice(ice, turn_password),
        wide_port=wide_port,
    )  # fmt: skip
    remembered.check(beyond)
    from cli.model import read_declaration
    from cli.policy import read_policy
    from gossip.setup import create_swarm
    from ledger.policies import DEFAULT_POLICY

    rules = read_policy(policy).text if policy is not None else DEFAULT_POLICY
    text, task_name = read_declaration(model, task)
    if seed is None:
        import secrets

        seed = secrets.randbits(48)
    created = create_swarm(
        place, name=name, task=task_name, model_text=text, peer_name=peer_name or remembered.new_name(), seed=seed,
        passphrase=passphrase.fresh(lock, passphrase_file), witnesses=witness or (),
        policy_text=rules, admins=admin or (), threshold=threshold,
        guests=guests, is_open=open_to_all,
    )  # fmt: skip
    remembered.remember(place, beyond)
    if json:
        render.document(
            {
                "swarm": created.swarm,
                "peer": created.peer,
                "name": name,
                "task": task_name,
                "seed": seed,
                "guests": guests,
                "threshold": threshold,
                "open": open_to_all,
                "dir": str(place),
            }
        )
        return
    which = f" --dir {shlex.quote(str(place))}" if directory is not None else f" {name}"
    from gossip import ids

    render.say(f"swarm   {name}  {created.swarm}")
    render.say(f"peer    {ids.checked(created.peer, 'peer')}")
    render.say("        the founder, who lets others in")
    if guests:
        render.say(f"        and so may every trainer, {render.many(guests, 'peer')} each")
    if admin:
        render.say(f"admins  the founder, and who holds {'this key' if len(set(admin)) == 1 else 'these keys'}:")
        for one in dict.fromkeys(admin):
            render.say(f"        {ids.checked(ids.read(one, 'key'), 'key')}")
        takes = f"{threshold} of them together" if threshold > 1 else "each of them alone"
        render.say(f"        policy and who is put out: {takes}")
    render.say(f"kept in {place}")
    if open_to_all:
        render.say(f"open    to anybody near who types: gossip join --open {name}")
        render.say("        each counts in full, like you; close it with: gossip members open --close")
    render.say(f"Next    gossip run{which} --data FILE --interface IF")
    render.say(f"        gossip invite{which}      (in another terminal)")


def run(
    name: opt.Name = None,
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
    lend_to: opt.LendTo = None,
    borrow_from: opt.BorrowFrom = None,
    record: opt.Record = None,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    plain_view: opt.Plain = False,
    json: opt.Stream = False,
    until_stdin_closes: opt.UntilStdin = False,
) -> None:
    """Run this machine's peer, or start it again. Without data it observes."""
    place = settings.existing_directory(name, directory)
    refuse_second_node(place)
    wanted = remembered.Wishes(
        data=data, licence=licence, lists=lists, validation=validation, interface=interface, port=port,
        address=address, duty=duty, cores=cores, pause_on_battery=pause_on_battery, every=every, epsilon=epsilon,
        unlabelled=unlabelled, prune=prune,
        allowlist=allowlist, limits=limits, lend_to=lending.peers(place, "--lend-to", lend_to),
        borrow_from=lending.peers(place, "--borrow-from", borrow_from), bootstrap=wide.bootstraps(bootstrap),
        relay=wide.relays(relay), ice=wide.ice(ice, turn_password), wide_port=wide_port,
    )  # fmt: skip
    check_record(record)
    remembered.check(wanted)
    remembered.read_through(wanted)
    secret = secret_of(place, passphrase_file)
    start(
        place, wanted, secret, plain_view=plain_view, json=json, until_stdin_closes=until_stdin_closes, record=record
    )  # fmt: skip


def check_record(file: Path | None) -> None:
    """LocalError if a recording could not be begun there: before anything is made, or an invitation spent."""
    if file is not None and file.exists():
        raise LocalError(
            f"{file} is there already", why="a recording overwrites nothing",
            next_step="name another file with --record, or remove this one",
        )  # fmt: skip
    if file is not None and not file.parent.is_dir():
        raise LocalError(f"no folder {file.parent}", next_step="name a file in one that exists with --record")


def secret_of(place: Path, file: Path | None) -> Passphrase | None:
    """What opens the keys of a peer that exists."""
    from gossip.identity import KeyFiles

    return passphrase.existing(KeyFiles(place).is_locked, file)


def start(
    place: Path, wanted: remembered.Wishes, secret: Passphrase | None, *, plain_view: bool, json: bool,
    until_stdin_closes: bool, ticket: Any = None, record: Path | None = None,
) -> None:  # fmt: skip
    from cli.running import mode_of, run_node

    config = replace(remembered.config(place, wanted, ticket, secret), record=record)
    mode = mode_of(plain_wanted=plain_view, json_wanted=json)
    config = labelling.for_run(place, config, quiet=mode == "json")
    if mode != "json" and (left_out := wide.left_out(place)):
        render.say(left_out)
    if mode != "json" and config.limits is not None:
        render.say(_limited(config.limits))
    if mode != "json" and not remembered.named_interface(place):
        which = "Machines of this network" if config.relays else "Other machines"
        render.say(f"{which} cannot reach this peer: it uses loopback; name an interface with --interface IF")
    code = run_node(config, mode, until_stdin_closes=until_stdin_closes)
    raise typer.Exit(code)


def _limited(file: Path) -> str:
    """Which limits a file changes, in a line."""
    from gossip.limits import DEFAULT, Limits

    said, usual = asdict(Limits.read(file)), asdict(DEFAULT)
    changed = [f"{limit} = {value}" for limit, value in said.items() if value != usual[limit]]
    return f"Limits of {file.name}: {', '.join(changed) or 'none differs from the usual ones'}"


def status(name: opt.Name = None, directory: opt.Dir = None, json: opt.Json = False) -> None:
    """Say what this machine's peer does now."""
    place = settings.existing_directory(name, directory)
    facts = remembered.status_of(place)
    from gossip import ids

    running = facts is not None
    if facts is None:
        facts = remembered.stored_status(place)
    facts["release"] = _release_of(place)
    if json:
        render.document({"running": running, "dir": str(place), **facts})
        return
    if running:
        from cli import live

        board = live.Board(
            f"gossip: {plain(facts.get('swarm_name', ''), 40)}",
            time.time() - float(facts.get("started_at", time.time())),
            (facts,),
            {},
            footer="",
        )
        out = render.console()
        out.print(live.view(board, min(out.width, 100), 40, live.speaks_unicode(out)))
        render.say(f"peer  {ids.checked(str(facts['id']), 'peer')}" if facts.get("id") else "")
        if facts.get("blobs"):
            render.say(kept_line(facts["blobs"]))
        if facts["release"]:
            render.say(_released(facts["release"]))
        return
    render.say(
        f"{plain(facts['swarm_name']) or 'a swarm not yet entered'}: no node runs; start it with: "
        f"gossip run {settings.how(place)}"
    )
    render.say(f"peer  {ids.checked(facts['id'], 'peer')}")
    render.say(f"words {facts['words']}  (of this id, for ever)")
    if facts["out"]:
        render.say("out   the swarm's admins have put this peer out: nobody takes anything from it")
    if facts["open"]:
        render.say("open  anybody near may enter by the swarm's name, while the node runs")
    if facts["release"]:
        render.say(_released(facts["release"]))
    render.say(f"store {facts['entries']:,} entries in {render.many(len(facts['heads']), 'log')}, in {place}")
    render.say(kept_line(facts["blobs"]))


def _release_of(place: Path) -> str:
    """What this peer scores with; a damaged list is told, and hides nothing else."""
    from gossip.releases import index

    try:
        return index(place).in_use
    except LocalError as error:
        render.complain(error)
        return ""


def _released(release: str) -> str:
    return f"model release {release} is what is scored with here; what trains is the newest"


def stop(name: opt.Name = None, directory: opt.Dir = None, json: opt.Json = False) -> None:
    """Stop this machine's peer. Its place in the swarm stays."""
    place = settings.existing_directory(name, directory)
    stopped = stop_node(place)
    if json:
        render.document({"stopped": stopped, "dir": str(place)})
        return
    again = f"gossip run {settings.how(place)}"
    render.say(f"stopped; {again} starts it again" if stopped else f"no node runs on {place}; start it with: {again}")


def leave(
    name: opt.Name = None,
    directory: opt.Dir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: opt.Json = False,
) -> None:
    """Stop, and remove this peer's keys and ledger from this machine."""
    place = settings.existing_directory(name, directory)
    facts = remembered.stored_status(place)
    called = plain(facts["swarm_name"]) or place.name
    if not yes and not typer.confirm(
        f"Leave {called}? This stops the peer and deletes its keys and its copy of the ledger in {place}; your data "
        "files stay, and what it published stays with the others. "
        + (
            "It is the founder: only other admins, if the swarm has any, can let others in then."
            if remembered.is_founder(place)
            else "To return it needs a new invite."
        ),
        err=True,
    ):
        raise typer.Abort
    stop_node(place)
    kept = remembered.remove(place)
    if json:
        render.document({"left": facts["swarm"], "peer": facts["id"], "dir": str(place), "kept": kept})
        return
    render.say(f"left {called}; the entries of this peer remain in the others' ledgers")
    if kept:
        render.say(f"files that are not gossip's were left in {place}: {', '.join(kept)}")


def refuse_second_node(place: Path) -> None:
    """Raise LocalError with the pid of the node that already runs there."""
    from gossip.directory import running_pid

    pid = running_pid(place)
    if pid is not None:
        raise LocalError(
            f"a node already runs on {place}",
            why=f"pid {pid}",
            next_step="see it with: gossip status, end it with: gossip stop",
        )


def stop_node(place: Path) -> bool:
    """Ask the node to stop and wait for it; False if none runs."""
    from gossip.directory import running_pid

    if control.ask(place, "stop") is None and running_pid(place) is None:
        return False
    until = time.monotonic() + STOP_WITHIN_S
    while (pid := running_pid(place)) is not None:
        if time.monotonic() > until:
            raise LinkError(
                f"the node on {place} does not stop",
                why=f"pid {pid} still holds it",
                next_step=f"end it with: kill {pid}",
            )
        time.sleep(0.05)
    return True
