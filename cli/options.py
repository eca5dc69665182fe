"""The options that several commands of a peer share, so that they read alike wherever they are offered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The swarm, if there are several.")]
Dir = Annotated[Path | None, typer.Option("--dir", metavar="FOLDER", help="The peer's directory, instead of NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PeerName = Annotated[
    str, typer.Option("--name", metavar="PEERNAME", help="What others see this peer as. Chosen at random if left out.")
]

Data = Annotated[
    list[Path] | None,
    typer.Option("--data", metavar="FILE...", help="Files to train on. They stay here, but for what you make public."),
]
Licence = Annotated[
    str | None,
    typer.Option("--licence", metavar="SPDX", help="Licence of the data, such as CC-BY-4.0, for the ledger."),
]
Lists = Annotated[
    list[Path] | None,
    typer.Option("--list", metavar="FILE...", help="Filter lists that labelled the data, for the ledger."),
]
Validation = Annotated[Path | None, typer.Option("--validation", metavar="FILE", help="Held-out file for the scores.")]
Interface = Annotated[
    str | None,
    typer.Option("--interface", metavar="IF", help="Network interface or address to use, such as wlan0. At first: lo."),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Port to answer on. If left out: as last time, or any free one.",
    ),
]
Address = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="HOST:PORT...", help="Peers to call, where discovery does not reach."),
]
Bootstrap = Annotated[
    list[str] | None,
    typer.Option(
        "--bootstrap", metavar="MULTIADDR...",
        help='libp2p nodes through which to find peers of other networks; "" takes them back.',
    ),
]  # fmt: skip
Relay = Annotated[
    list[str] | None,
    typer.Option(
        "--relay", metavar="MULTIADDR...",
        help='libp2p relays through which peers of other networks reach this one; "" takes them back.',
    ),
]  # fmt: skip
Ice = Annotated[
    list[str] | None,
    typer.Option(
        "--ice", metavar="SERVER...",
        help='STUN or TURN servers for links, as stun:HOST:PORT or turn:U@HOST:PORT for user U; "" takes them back.',
    ),
]  # fmt: skip
TurnPassword = Annotated[
    Path | None,
    typer.Option("--turn-password", metavar="FILE", help="Read the password at those TURN servers from a file."),
]
WidePort = Annotated[
    int | None,
    typer.Option(
        "--wide-port", metavar="PORT", min=0, max=65535,
        help="Port on which peers of other networks may reach this one directly. If left out: as last time, or any.",
    ),
]  # fmt: skip
LendTo = Annotated[
    list[str] | None,
    typer.Option("--lend-to", metavar="PEER...", help='Who may train on your public data, too; "" takes it back.'),
]
BorrowFrom = Annotated[
    list[str] | None,
    typer.Option("--borrow-from", metavar="PEER...", help="Whose public data to train on, too, where they are lent."),
]
Every = Annotated[
    float | None,
    typer.Option(
        "--every", metavar="SECONDS", min=0, max=86_400, help="From one round to the next, at least. At first: 10."
    ),
]
Duty = Annotated[
    int | None,
    typer.Option("--duty", metavar="PERCENT", min=1, max=100, help="Share of the time spent training. At first: 100."),
]
Cores = Annotated[
    int | None,
    typer.Option(
        "--cores", metavar="N", min=1, max=4096,
        help="How many of this machine's cores training may use, and looking at others' work. At first: half of them.",
    ),
]  # fmt: skip
PauseOnBattery = Annotated[
    bool | None,
    typer.Option(
        "--pause-on-battery/--train-on-battery", help="Begin no round while this machine is not on the mains."
    ),
]
Prune = Annotated[
    bool | None,
    typer.Option(
        "--prune/--keep-everything",
        help="Let go of old deltas that a final snapshot holds. Somebody has to keep everything: newcomers and audits.",
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option(
        "--epsilon", metavar="E", min=0,
        help="Differential privacy: what all updates ever may tell of one record, such as 8. At first: 0, no promise.",
    ),
]  # fmt: skip
Unlabelled = Annotated[
    bool | None,
    typer.Option(
        "--unlabelled/--labelled",
        help="What your list does not block is not known to be harmless. At first: benign, as labelled.",
    ),
]
Allowlist = Annotated[
    Path | None,
    typer.Option(
        "--allowlist", metavar="FILE", help="Keys that may enter, a line each: KEY ROLE, or KEY ROLE until YYYY-MM-DD."
    ),
]
LimitsFile = Annotated[
    Path | None,
    typer.Option("--limits", metavar="FILE", help="What other peers may cost this machine (docs/limits.md), as TOML."),
]
Record = Annotated[
    Path | None,
    typer.Option(
        "--record", metavar="FILE",
        help="Keep what this run's peer is told in a new file, for: gossip simulate --replay FILE.",
    ),
]  # fmt: skip
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")]
Stream = Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")]
UntilStdin = Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)]
Role = Annotated[
    str,
    typer.Option(
        "--role", metavar="R",
        help="trainer: publishes and judges; auditor: judges; observer or relay: holds the ledger and vouches for it.",
    ),
]  # fmt: skip
