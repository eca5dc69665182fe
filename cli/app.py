"""The command `gossip`: which commands there are, and in which panel of the help each stands.

Rule kept here: importing this file, and so `gossip --help`, loads neither numpy nor jax nor any network
code; a command imports what it needs when it runs.
"""

from __future__ import annotations

import typer

from cli import (
    benchmark,
    data,
    demo,
    doctor,
    flag,
    gains,
    heads,
    inviting,
    joining,
    key,
    label,
    ledger,
    lists,
    members,
    model,
    policy,
    score,
    simulate,
    suggest,
    swarm,
    train,
    triage,
    why,
)
from cli.group import Gossip
from cli.render import say

app = typer.Typer(
    name="gossip",
    cls=Gossip,
    help="Co-train a model with no server, and recompute bit for bit how it came about.",
    epilog="Exit codes: 0 ok, 1 findings, 2 usage, 3 inconclusive, 4 network or another peer, 70 a bug of ours, "
    "130 interrupted.",
    rich_markup_mode="rich",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            say(f"gossip {version('gossip-swarm')}")
        except PackageNotFoundError:
            say("gossip, from a checkout")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


app.command(rich_help_panel="Start")(demo.demo)
app.command(rich_help_panel="Start")(swarm.new)
app.command(rich_help_panel="Start")(swarm.run)
app.command(rich_help_panel="Start")(joining.join)
app.command(rich_help_panel="Members")(inviting.invite)
app.add_typer(members.app, name="members", rich_help_panel="Members")
app.command(rich_help_panel="Members")(swarm.leave)
app.command(rich_help_panel="Bench")(score.score)
app.command(rich_help_panel="Bench")(label.label)
app.command(rich_help_panel="Bench")(suggest.suggest)
app.command(rich_help_panel="Bench")(flag.flag)
app.command(rich_help_panel="Bench")(triage.triage)
app.add_typer(lists.app, name="lists", rich_help_panel="Bench")
app.command(rich_help_panel="Bench")(gains.gains)
app.command(rich_help_panel="Bench")(why.why)
app.add_typer(heads.app, name="head", rich_help_panel="Bench")
app.command(rich_help_panel="Bench")(train.train)
app.add_typer(model.app, name="model", rich_help_panel="Model")
app.add_typer(data.app, name="data", rich_help_panel="Data")
app.add_typer(policy.app, name="policy", rich_help_panel="Data")
app.add_typer(ledger.app, name="ledger", rich_help_panel="Audit")
app.command(rich_help_panel="Machine")(swarm.status)
app.command(rich_help_panel="Machine")(swarm.stop)
app.command(rich_help_panel="Machine")(doctor.doctor)
app.add_typer(key.app, name="key", rich_help_panel="Machine")
app.command(rich_help_panel="Research")(simulate.simulate)
app.add_typer(benchmark.app, name="bench", rich_help_panel="Research")


def main() -> None:
    """The entry point of the installed command."""
    app()
