"""A group of commands whose mistakes end in one line and an exit code.

typer answers a wrong option with a panel of several lines, and Python an unexpected error with a traceback;
here both become `gossip: what: why; what next`. Also kept here: options that are shown with dots
(`--data FILE...`) take all the words that follow them, and panels of the help come in one order. What the commands do
is none of its business.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from cli import exits
from cli.render import complain
from cli.values import absent_is_false, lightened
from ledger.errors import GossipError

SPREADING: Final = (
    "--data", "--list", "--lists", "--address", "--to", "--rule", "--bootstrap", "--relay", "--ice", "--public",
    "--lend-to", "--borrow-from",
)  # fmt: skip
PANELS: Final = ("Start", "Members", "Bench", "Model", "Data", "Audit", "Machine", "Research")
PEER_MODULES: Final = (  # of the extra [peer]
    "aiohttp", "aiortc", "jax", "numpy", "optax", "psutil", "segno", "spake2", "tldextract", "zeroconf",
)  # fmt: skip


class Gossip(TyperGroup):
    """A group of commands that says what went wrong in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = spread(list(sys.argv[1:] if args is None else args))
        sys.exit(self._outcome(words, prog_name or "gossip", extra))

    def _outcome(self, words: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        try:
            code = super().main(words, prog_name, standalone_mode=False, **extra)
        except GossipError as error:
            complain(error)
            return exits.code_of(error)
        except typer.Abort:
            complain("stopped: nothing was changed")
            return exits.INTERRUPTED
        except KeyboardInterrupt:
            return exits.INTERRUPTED
        except Exception as error:
            return _translate(error, prog_name)
        return code if isinstance(code, int) else exits.OK

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `gossip ledger log | head`: enough was read
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the flush at exit has somewhere to go
            return exits.OK

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without a word a group shows what there is, unless it does something by itself."""
        return super().parse_args(ctx, args or ([] if self.invoke_without_command else ["--help"]))

    def get_help_option(self, ctx: Any) -> Any:
        return absent_is_false(super().get_help_option(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, lightened(command, ctx), rest

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=self._panel)  # stable: within a panel as assembled

    def _panel(self, name: str) -> int:
        panel = getattr(self.commands[name], "rich_help_panel", None)
        return PANELS.index(panel) if panel in PANELS else len(PANELS)


def _translate(error: Exception, prog_name: str) -> int:
    from cli.settings import settings

    told = getattr(error, "format_message", None)
    if told is not None:  # typer's own: a wrong option, a missing argument
        context = getattr(error, "ctx", None)
        path = getattr(context, "command_path", prog_name)
        complain(f"{str(told()).rstrip('.')}; see: {path} --help")
        return exits.USAGE
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in PEER_MODULES:
        complain(
            f"this is the auditor's install, without {error.name}; a peer needs the extra named peer, see README.md"
        )
        return exits.USAGE
    if settings().debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        complain(f"the system refuses{where}: {error.strerror or error}; check the path, its owner and the free space")
        return exits.USAGE
    complain(f"unexpected {type(error).__name__}: {error}; this is a bug: GOSSIP_DEBUG=1 shows where it is")
    return exits.BUG


def spread(words: list[str]) -> list[str]:
    """`--data A B C` becomes `--data A --data B --data C`, as the help promises."""
    out: list[str] = []
    option, count = "", 0
    for number, word in enumerate(words):
        if word == "--":
            return out + words[number:]
        if word.startswith("-") and word != "-":
            option, count = (word if word in SPREADING else ""), 0
        elif option:
            count += 1
            if count > 1:
                out.append(option)
        out.append(word)
    return out
