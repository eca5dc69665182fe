"""`gossip data`: a peer's own data: what they are worth, who may see what of them, what leaves this machine.

Each command has a file of its own; this one only names them.
"""

from __future__ import annotations

import typer

from cli import privacy, quality, zones
from cli.group import Gossip

app = typer.Typer(cls=Gossip, help="Your own data: their quality, and who may see what of them.")


@app.callback()
def _group() -> None:
    pass


app.command("check")(quality.check)
app.command("privacy")(privacy.privacy)
app.command("zone")(zones.zone)
