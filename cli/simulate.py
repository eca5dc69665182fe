"""`gossip simulate`: a swarm in virtual time, or what a real node was told, told again.

    SCENARIO             the peer machines of a swarm and its troubles (gossip/sim), by name or from a file
    SCENARIO --fast      the algorithm alone, beside other rules (cli/fast.py)
    --replay FILE        a recording of `gossip run --record FILE` (gossip/recording)

A translator: words become a scenario, its report becomes a table, JSON or a page (cli/simulated.py, cli/page). Rule
kept here: whatever was found wrong is said with the command that shows it again, and ends with exit code 1.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli import exits, passphrase, render, settings
from cli import options as opt
from cli.plain import visible
from ledger.errors import LocalError

if TYPE_CHECKING:
    from gossip.recording.replay import Replayed

MAX_PEERS: Final = 1_000_000  # of --fast; whole machines are 1,000 at most
MAX_SEED: Final = (1 << 63) - 1


def simulate(
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="One of --list, or a .toml file; with --replay, a swarm.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the scenarios there are.")] = False,
    peers: Annotated[
        int | None,
        typer.Option("--peers", metavar="N", min=1, max=MAX_PEERS, help="How many peers, instead of the scenario's."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="K", min=0, max=MAX_SEED, help="All chance comes from it: the same, the same."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="The algorithm alone, beside other rules: no protocol, no signatures.")
    ] = False,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME...", help="With --fast: the rules to compare.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="With --fast: digits, mnist, or a file of requests.")
    ] = None,
    rounds: Annotated[
        float | None,
        typer.Option("--rounds", metavar="N", min=1, max=100_000, help="With --fast: instead of the scenario's."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts, too.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", metavar="FILE", help="Tell a recording again: FILE NAME, or with --dir.")
    ] = None,
    directory: opt.Dir = None,
    passphrase_file: passphrase.File = None,
    json: opt.Json = False,
) -> None:  # fmt: skip
    """Simulate a swarm and its troubles, or replay what a real peer was told."""
    if listing and (scenario is not None or replay is not None):
        raise LocalError("a scenario, --list and --replay exclude one another", next_step="keep one of them")
    if scenario is None and not listing and replay is None:
        raise _which()
    if not fast and (rule or data or rounds is not None):
        raise LocalError(
            "--rule, --data and --rounds are about comparing rules", next_step="add --fast, or leave them out"
        )
    if replay is None and directory is not None:
        raise LocalError("--dir names whose recording is replayed", next_step="add --replay FILE, or leave it out")
    if replay is not None:
        if fast or html is not None or peers is not None or seed is not None:
            raise LocalError("a recording is replayed as it was", next_step="keep --replay FILE --dir FOLDER alone")
        _replay(replay, scenario, directory, passphrase_file, json=json)
    elif listing:
        _list(json=json)
    elif fast:
        from cli.fast import run

        raise typer.Exit(
            run(
                str(scenario),
                peers=peers,
                seed=seed,
                rules=tuple(rule or ()),
                data=data,
                rounds=rounds,
                json=json,
                html=html,
            )
        )
    else:
        _simulate(str(scenario), peers, seed, html, json=json)


def _which() -> LocalError:
    from gossip.sim.scenario_file import scenario_names

    return LocalError(
        "what shall be simulated?", next_step=f"name a .toml file, or one of: {', '.join(scenario_names())}"
    )


def _list(*, json: bool) -> None:
    from gossip.sim.scenario_file import about_scenario, scenario_names

    rows = [(name, about_scenario(name)) for name in scenario_names()]
    fast = list(_fast_names().items())
    if json:
        render.document({
            "scenarios": [{"name": name, "about": about, "fast": False} for name, about in rows]
            + [{"name": name, "about": about, "fast": True} for name, about in fast],
        })  # fmt: skip
        return
    render.table(("scenario", "what it shows"), rows)
    render.say()
    render.table(("for --fast alone", "what it compares"), fast)
    render.say()
    render.say("Next    gossip simulate SCENARIO")


def _fast_names() -> Mapping[str, str]:
    from cli.fast import names

    return names()


def _simulate(name: str, peers: int | None, seed: int | None, html: Path | None, *, json: bool) -> None:
    from cli.progress import Progress
    from cli.simulated import Simulated, facts, show
    from gossip.sim import simulate as run
    from gossip.sim.scenario_file import about_scenario, load_scenario, scenario_names

    if name not in scenario_names() and name in _fast_names():
        raise LocalError(f"{name} compares rules, without whole machines", next_step="add --fast")
    scenario = load_scenario(name, peers=peers, seed=seed)
    settings.check_page(html, [Path(name)])
    with Progress() as progress:
        whole = int(scenario.seconds)

        def heard(at_s: float, _: int, __: Any) -> None:
            progress(min(whole, int(at_s)), whole, "seconds of virtual time")

        report = run(scenario, on_event=heard)
    again = ["gossip", "simulate", name, "--peers", str(scenario.peers), "--seed", str(scenario.seed)]
    outcome = Simulated(name, about_scenario(name), scenario, report, shlex.join(again))
    if html is not None:
        from cli.page.simulated import write_page

        write_page(outcome, html)
    if json:
        render.document(facts(outcome))
    else:
        show(outcome)
        if html is not None:
            render.say(f"wrote     {html}")
    if report.wrong:
        render.complain(f"{outcome.headline}; see it again with: {outcome.again}")
        raise typer.Exit(exits.FINDINGS)


# ------------------------------------------------------------------ recordings


def _replay(file: Path, name: str | None, directory: Path | None, passphrase_file: Path | None, *, json: bool) -> None:
    if directory is None and name is None:
        raise LocalError(
            "whose recording is this?", why="a replay needs the ledger and the key of the peer that was recorded",
            next_step="name its swarm, or its directory with --dir",
        )  # fmt: skip
    from cli.swarm import secret_of
    from gossip.recording.replay import replay_in

    place = _place(name, directory)
    result = replay_in(place, file, secret_of(place, passphrase_file))
    again = shlex.join(["gossip", "simulate", "--replay", str(file), "--dir", str(place)])
    if json:
        render.document(_replayed(file, result, again))
    else:
        _show(file, result)
    if result.differs is not None:
        render.complain(f"{_differs(result)}; see it again with: {again}")
        raise typer.Exit(exits.FINDINGS)


def _place(name: str | None, directory: Path | None) -> Path:
    """--dir is a folder, or the name of a swarm here, which may stand alone, too."""
    if directory is not None and name is None and not settings.holds_peer(directory) and len(directory.parts) == 1:
        try:
            return settings.existing_directory(str(directory), None)
        except LocalError:
            pass
    return settings.existing_directory(name, directory)


def _replayed(file: Path, result: Replayed, again: str) -> dict[str, Any]:
    differs = result.differs
    return {
        "recording": str(file), "written_by": result.written_by,
        "swarm": result.swarm, "peer": result.own, "began": round(result.began, 3),
        "seconds": round(result.seconds, 3), "events": result.events, "effects": result.effects,
        "trace": result.trace, "ended": result.ended, "raised": result.raised, "same": differs is None,
        "differs": None if differs is None else {
            "event": differs.number, "at_s": round(differs.at_s, 3), "what": differs.event, "text": differs.text,
        },
        "again": again,
    }  # fmt: skip


def _show(file: Path, result: Replayed) -> None:
    from gossip import ids

    render.say(f"recorded  {render.moment(int(result.began))}, for {render.span(result.seconds)}")
    render.say(f"peer      {ids.checked(result.own, 'peer')}")
    if result.ended:
        render.say(f"ends      {visible(result.ended)}")
    if result.raised and result.differs is None:
        render.say(f"raised    {visible(result.raised)} at its last event, then as now")
    told = f"{render.many(result.events, 'event')} told, {render.many(result.effects, 'effect')} answered"
    render.say(f"replayed  {told}" + (": the same" if result.differs is None else ""))
    render.say(f"trace     {result.trace}")


def _differs(result: Replayed) -> str:
    assert result.differs is not None
    one = result.differs
    where = f"event {one.number}, {one.at_s:.3f} s after the first" if one.number >= 0 else "its start"
    from gossip.recording.records import PROGRAM

    by = "" if result.written_by == PROGRAM else f" (gossip {result.written_by} recorded it, and this is {PROGRAM})"
    return f"the replay differs at {where} ({visible(one.event, 120)}): {visible(one.text, 400)}{by}"
