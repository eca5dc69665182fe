"""Commands that are known by name, panel and one line of help, and imported only when they are chosen.

    Later("join", "cli.joining:join", "Start", "Enter a swarm with an invitation, and run.")

The overview (`gossip --help`, a misspelled command) shows these lines; whoever chooses a command gets the real one,
with its own options and help. Of 0.40 s of a core that `gossip --help` took, 0.22 s were the modules and parameters of
commands that nobody had asked for. A test holds each line equal to what the real command says of itself
(tests/cli/test_later.py). What the commands do is none of this file's business, nor is what they are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand

from cli.group import Gossip
from cli.values import lightened


class Later(TyperCommand):
    """A command of which only the line in the overview is there yet."""

    def __init__(self, name: str, place: str, panel: str, line: str) -> None:
        super().__init__(name, help=line, rich_help_panel=panel)
        self.place = place  # module:attribute, of a function or of a group of commands

    def real(self) -> Any:
        """The command itself, as if it had been added to its group in the ordinary way."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(module), attribute)
        around = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=self.name, rich_help_panel=self.rich_help_panel)
        else:
            around.command(self.name, rich_help_panel=self.rich_help_panel)(found)
        return typer.main.get_group(around).commands[str(self.name)]


class Lazy(Gossip):
    """A group whose commands are `AHEAD`, in this order, each imported when it is chosen."""

    AHEAD: ClassVar[Sequence[tuple[str, str, str, str]]] = ()  # name, place, panel, line: see Later

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "commands": {row[0]: Later(*row) for row in self.AHEAD}})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, lightened(command.real(), ctx) if isinstance(command, Later) else command, rest


def whole(app: typer.Typer) -> Any:
    """The program with every command imported, for who walks through all of them."""
    group: Any = typer.main.get_command(app)
    group.commands = {
        name: command.real() if isinstance(command, Later) else command for name, command in group.commands.items()
    }
    return group
