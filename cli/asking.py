"""Before something that cannot be taken back: say what it does, and go on only if the owner wants that."""

from __future__ import annotations

import sys

import typer

from cli import render
from ledger.errors import LocalError


def confirm(what: str, yes: bool) -> None:
    """`what` goes on after "this": "withdraws 3 updates". LocalError where nobody is there to ask."""
    if yes:
        render.complain(what)
        return
    if not sys.stdin.isatty():
        raise LocalError(f"this {what}", why="nothing was changed, and nobody is here to ask", next_step="add --yes")
    if not typer.confirm(f"This {what}. Go on?", err=True):
        raise typer.Abort
