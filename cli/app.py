"""The command `gossip`: which commands there are, and in which panel of the help each stands.

Rule kept here: importing this file, and so `gossip --help`, loads neither numpy nor jax nor any network
code, and no command; a command is imported when it is chosen, and imports what it needs when it runs.
"""

from __future__ import annotations

import gc
from typing import Final

import typer

from cli.later import Lazy
from cli.render import say

OBJECTS: Final = 50_000  # new ones between two looks for garbage: imports leave none, and 700 cost a tenth of a command


class _Commands(Lazy):
    AHEAD = (
        ("demo", "cli.demo:demo", "Start", "Four peers co-train here on real requests; an auditor checks."),
        ("new", "cli.swarm:new", "Start", "Found a swarm: its model, starting weights and rules, in one entry."),
        ("run", "cli.swarm:run", "Start", "Run this machine's peer, or start it again. Without data it observes."),
        ("join", "cli.joining:join", "Start", "Enter a swarm with an invitation, and run."),
        ("invite", "cli.inviting:invite", "Members", "Let another machine in: print what to type there."),
        ("leave", "cli.swarm:leave", "Members", "Stop, and remove this peer's keys and ledger from this machine."),
        ("members", "cli.members:app", "Members", "Who takes part: list, let in, put out."),
        (
            "score",
            "cli.score:score",
            "Bench",
            "Score the requests of a capture: P(ad), P(tracker), and which lists block them already.",
        ),
        ("label", "cli.label:label", "Bench", "Judge a URL or a domain yourself: ad, tracker or benign."),
        (
            "suggest",
            "cli.suggest:suggest",
            "Bench",
            "Propose filter rules for what no list blocks, each with its evidence.",
        ),
        (
            "flag",
            "cli.flag:flag",
            "Bench",
            "Find rules that block what scores benign: likely false positives and breakage.",
        ),
        (
            "triage",
            "cli.triage:triage",
            "Bench",
            "Rank the suspects of a reported page, with the nearest rule and a proposal for each.",
        ),
        (
            "gains",
            "cli.gains:gains",
            "Bench",
            "What the swarm gave you: alone, swarm, and both together, on your own held-out sites.",
        ),
        (
            "why",
            "cli.why:why",
            "Bench",
            "Why a request has the score it has: which characters, which features, whose updates.",
        ),
        ("train", "cli.train:train", "Bench", "Train a model on your own data alone, without a swarm."),
        (
            "lists",
            "cli.lists:app",
            "Bench",
            "Your own copies of filter lists: remembered, linted, held against captures.",
        ),
        ("head", "cli.heads:app", "Bench", "Personal categories, from a few dozen examples of your own."),
        ("model", "cli.model:app", "Model", "Models: check a declaration, name a release, take one elsewhere."),
        ("data", "cli.data:app", "Data", "Your own data: their quality, and who may see what of them."),
        ("policy", "cli.policy:app", "Data", "The rules that decide which contributions become part of the model."),
        ("ledger", "cli.ledger:app", "Audit", "Read, export, verify and replay the ledger."),
        ("status", "cli.swarm:status", "Machine", "Say what this machine's peer does now."),
        ("stop", "cli.swarm:stop", "Machine", "Stop this machine's peer. Its place in the swarm stays."),
        ("doctor", "cli.doctor:doctor", "Machine", "Say what keeps this machine and another apart, and what to do."),
        ("key", "cli.key:app", "Machine", "This peer's identity."),
        (
            "relay",
            "cli.relay:relay",
            "Machine",
            "Be a relay and a meeting place for swarms across networks, without keys to any.",
        ),
        (
            "simulate",
            "cli.simulate:simulate",
            "Research",
            "Simulate a swarm and its troubles, or replay what a real peer was told.",
        ),
        (
            "bench",
            "cli.benchmark:app",
            "Research",
            "How fast this machine is at what a swarm does, beside what is bare of it.",
        ),
    )


app = typer.Typer(
    name="gossip",
    cls=_Commands,
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


def main() -> None:
    """The entry point of the installed command."""
    gc.set_threshold(OBJECTS)
    app()
